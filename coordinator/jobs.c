/* jobs.c - one database job at a time, each in a child of its own (fermata-dbjob). The child dies with
 * us; what it was doing can be done again. */
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/mono.h"
#include "base/text.h"
#include "coordinator/coordinator.h"
#include "coordinator/run/journal.h"
#include "loop/child.h"
#include "wire/frame.h"

/* protobuf-c wants char *, and only reads. */
#define TEXT(s) ((char *)(uintptr_t)(s))

#define KEEP_MOST 128

struct kept {
	struct co_point_row *points;
	char *ids[KEEP_MOST];
	unsigned count;
};

static void
free_kept(struct kept *kept)
{
	free(kept->points);
}

static void
finish(struct co_daemon *daemon, const struct co_job_result *result)
{
	co_on_job(daemon->core, result, fm_mono_now());
	co_daemon_stirred(daemon);
}

static void
on_envelope(void *arg, struct fm_child *child, const Fermata__Envelope *envelope)
{
	struct co_daemon *daemon = arg;
	const Fermata__JobReport *report = envelope->job_report;
	struct co_job_result *result = &daemon->job_result;

	if (child != daemon->job || envelope->body_case != FERMATA__ENVELOPE__BODY_JOB_REPORT)
		return;
	if (!report->final) {
		co_on_job_progress(daemon->core, report->text, fm_mono_now());
		co_daemon_stirred(daemon);
		return;
	}
	daemon->job_final = true;
	*result = (struct co_job_result){
		.ok = report->ok,
		.installed = report->installed,
		.bytes = report->bytes,
		.tables = report->tables,
		.rows = report->rows,
	};
	FM_COPY(result->version, report->version);
	FM_COPY(result->text, report->text);
}

static void
on_exited(void *arg, struct fm_child *child, int status)
{
	struct co_daemon *daemon = arg;

	if (child != daemon->job) return;
	daemon->job = NULL;
	if (!daemon->job_final) {
		daemon->job_result = (struct co_job_result){ .ok = false };
		FM_FORMAT(daemon->job_result.text, "the database job ended without a word (%s %d)",
			  WIFSIGNALED(status) ? "signal" : "exit code",
			  WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	}
	fm_log(daemon->job_result.ok ? FM_LOG_INFO : FM_LOG_WARNING, "job", "ok=%d text=\"%s\"",
	       daemon->job_result.ok, daemon->job_result.text);
	finish(daemon, &daemon->job_result);
}

/* Restore points that a sweep must leave: the newest by the settings, and the way back's. */
static int
points_to_keep(struct co_daemon *daemon, const struct co_job_order *order, struct kept *kept,
	       struct fm_err *err)
{
	unsigned count = 0;

	if (co_journal_points(daemon->journal, &kept->points, &count, err) != 0) return -1;
	for (unsigned i = 0; i < count && kept->count < KEEP_MOST; i++)
		if (i < (unsigned)daemon->settings.keep_points ||
		    fm_is_equal(kept->points[i].id, order->way_back))
			kept->ids[kept->count++] = kept->points[i].id;
	return 0;
}

/* NULL: err says why. */
static uint8_t *
pack_order(struct co_daemon *daemon, const struct co_job_order *order, size_t *ret_size,
	   struct fm_err *err)
{
	const struct co_settings *s = &daemon->settings;
	_cleanup_(free_kept) struct kept kept = { .count = 0 };
	Fermata__JobOrder msg = FERMATA__JOB_ORDER__INIT;
	Fermata__Envelope envelope = FERMATA__ENVELOPE__INIT;

	msg.kind = (Fermata__JobKind)order->kind;
	msg.epoch = order->epoch;
	msg.run = order->run;
	msg.cluster = TEXT(s->cluster);
	msg.admin = TEXT(s->admin);
	msg.database = TEXT(s->database);
	msg.role = TEXT(s->role);
	msg.restore_point = TEXT(order->restore_point);
	msg.directory = TEXT(s->points_dir);
	msg.schema = TEXT(s->schema);
	msg.table_prefix = TEXT(s->table_prefix);
	msg.underscored = s->underscored;
	msg.version = TEXT(order->version);
	msg.pg_bindir = TEXT(s->bindir);
	if (order->kind == CO_JOB_SWEEP && points_to_keep(daemon, order, &kept, err) != 0)
		return NULL;
	msg.n_keep = kept.count;
	msg.keep = kept.ids;
	envelope.body_case = FERMATA__ENVELOPE__BODY_JOB_ORDER;
	envelope.job_order = &msg;
	return fm_frame_pack(&envelope, ret_size);
}

/* The program beside our own, unless set. */
static void
program_of(const struct co_daemon *daemon, char *dst, size_t size)
{
	char self[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (!fm_is_empty(daemon->settings.dbjob) || length < 0) {
		fm_copy(dst, size, daemon->settings.dbjob);
		return;
	}
	self[length] = '\0';
	fm_format(dst, size, "%s/fermata-dbjob", dirname(self));
}

void
co_job_start(struct co_daemon *daemon, const struct co_job_order *order)
{
	static const struct fm_child_calls calls = { .envelope = on_envelope, .exited = on_exited };
	struct fm_child_plan plan = { .frames = true, .dies_with_us = true, .own_group = true };
	_cleanup_free_ uint8_t *input = NULL;
	char program[PATH_MAX];
	const char *argv[] = { program, NULL };
	struct fm_err err;

	co_job_stop(daemon);
	program_of(daemon, program, sizeof(program));
	input = pack_order(daemon, order, &plan.input_size, &err);
	plan.argv = argv;
	plan.input = input;
	daemon->job_final = false;
	if (input != NULL) daemon->job = fm_child_start(daemon->base, &plan, &calls, daemon, &err);
	if (daemon->job != NULL) return;
	/* The core must not be called from inside its own call: the clock finds this result. */
	daemon->job_result = (struct co_job_result){ .ok = false };
	FM_COPY(daemon->job_result.text, err.text);
	daemon->job_final = true;
}

void
co_job_stop(struct co_daemon *daemon)
{
	fm_child_drop(daemon->job);
	daemon->job = NULL;
	daemon->job_final = false;
}
