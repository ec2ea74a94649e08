#include "agent/world/worker.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "loop/child.h"

struct ag_worker {
	struct event_base *base;
	const struct ag_settings *settings;
	struct ag_worker_calls calls;
	void *arg;
	struct event *limit, *later;
	struct fm_child *child;
	enum ag_job job;
	bool has_verdict, ok;
	uint64_t bytes;
	char text[FM_TEXT_SIZE];
	const char *killed_why; /* NULL: by nobody */
};

static const char *
job_name(enum ag_job job)
{
	switch (job) {
	case AG_JOB_LINK:
		return "link";
	case AG_JOB_FETCH:
		return "fetch";
	case AG_JOB_SNAPSHOT:
		return "snapshot";
	case AG_JOB_RESTORE:
		return "restore";
	case AG_JOB_SWEEP:
		return "sweep";
	case AG_JOB_HOOK:
		return "hook";
	}
	return "?";
}

static void
settle(struct ag_worker *worker, bool ok, const char *text)
{
	worker->ok = ok;
	FM_COPY(worker->text, text);
	event_active(worker->later, 0, 0);
}

static void
on_later(evutil_socket_t fd, short what, void *arg)
{
	struct ag_worker *worker = arg;

	(void)fd;
	(void)what;
	fm_log(worker->ok ? FM_LOG_NOTICE : FM_LOG_WARNING,
	       worker->ok ? "job is done" : "job failed", "job=%s text=\"%s\"",
	       job_name(worker->job), worker->text);
	worker->calls.done(worker->arg, worker->job, worker->ok, worker->text, worker->bytes);
}

static void
on_line(void *arg, struct fm_child *child, const char *line)
{
	struct ag_worker *worker = arg;
	int at = 0;

	(void)child;
	if (strncmp(line, "progress ", 9) == 0) {
		worker->calls.progress(worker->arg, line + 9);
	} else if (sscanf(line, "done %" SCNu64 "%n", &worker->bytes, &at) == 1) {
		worker->has_verdict = worker->ok = true;
		line += at + (line[at] == ' ');
		FM_COPY(worker->text, line);
	} else if (strncmp(line, "failed ", 7) == 0) {
		worker->has_verdict = true;
		worker->ok = false;
		FM_COPY(worker->text, line + 7);
	}
}

static void
on_exited(void *arg, struct fm_child *child, int status)
{
	struct ag_worker *worker = arg;
	char why[160];

	(void)child;
	worker->child = NULL;
	(void)event_del(worker->limit);
	if (worker->has_verdict && (!worker->ok || status == 0)) {
		event_active(worker->later, 0, 0);
		return;
	}
	if (worker->killed_why)
		FM_COPY(why, worker->killed_why);
	else if (WIFSIGNALED(status))
		FM_FORMAT(why, "its process was killed by signal %d", WTERMSIG(status));
	else
		FM_FORMAT(why, "its process ended with %d and said nothing", WEXITSTATUS(status));
	settle(worker, false, why);
}

static void
on_limit(evutil_socket_t fd, short what, void *arg)
{
	struct ag_worker *worker = arg;

	(void)fd;
	(void)what;
	worker->killed_why = "it took longer than its limit";
	if (worker->child) fm_child_kill(worker->child);
}

/* program --work KIND ARGUMENTS: no secrets among them. */
static void
start_child(struct ag_worker *worker, const char *const *args, size_t count, long long limit_ms)
{
	static const struct fm_child_calls calls = { on_line, NULL, on_exited };
	const struct ag_settings *s = worker->settings;
	const char *argv[FM_RELEASES_MAX + 12] = { s->program, "--config", s->config, "--work" };
	struct fm_child_plan plan = { .argv = argv, .dies_with_us = true, .own_group = true };
	struct timeval limit = { limit_ms / 1000, limit_ms % 1000 * 1000 };
	struct fm_err err;

	CHECK(count + 5 <= sizeof(argv) / sizeof(*argv));
	memcpy(argv + 4, args, count * sizeof(*args));
	worker->child = fm_child_start(worker->base, &plan, &calls, worker, &err);
	if (!worker->child) {
		settle(worker, false, err.text);
		return;
	}
	(void)event_add(worker->limit, &limit);
}

static void
begin_sweep(struct ag_worker *worker, const struct fm_agent_ask *ask, const char *running)
{
	const char *args[FM_RELEASES_MAX + 6] = { "sweep", ask->snapshot };
	size_t count = 2;

	for (unsigned i = 0; i < ask->keep_count; i++) args[count++] = ask->keep[i];
	if (running[0]) args[count++] = running;
	if (ask->release[0]) args[count++] = ask->release;
	if (ask->fetch[0]) args[count++] = ask->fetch;
	start_child(worker, args, count, worker->settings->storage_ms);
}

static void
begin_hook(struct ag_worker *worker, const char *what, const struct fm_agent_ask *ask)
{
	char run[24];
	const char *args[4] = { "hook", what, ask->release, run };

	(void)FM_FORMAT(run, "%" PRIu64, ask->run);
	start_child(worker, args, 4, worker->settings->hook_ms);
}

struct ag_worker *
ag_worker_new(struct event_base *base, const struct ag_settings *settings,
	      const struct ag_worker_calls *calls, void *arg)
{
	struct ag_worker *worker = fm_new(struct ag_worker, 1);

	worker->base = base;
	worker->settings = settings;
	worker->calls = *calls;
	worker->arg = arg;
	worker->limit = event_new(base, -1, 0, on_limit, worker);
	worker->later = event_new(base, -1, 0, on_later, worker);
	CHECK(worker->limit && worker->later);
	return worker;
}

void
ag_worker_free(struct ag_worker *worker)
{
	if (!worker) return;
	fm_child_drop(worker->child);
	event_free(worker->limit);
	event_free(worker->later);
	free(worker);
}

void
ag_worker_begin(struct ag_worker *worker, enum ag_job job, const char *what,
		const struct fm_agent_ask *ask, const char *running)
{
	const char *args[3] = { job_name(job), what };
	char serial[24];

	worker->job = job;
	worker->has_verdict = worker->ok = false;
	worker->bytes = 0;
	worker->text[0] = '\0';
	worker->killed_why = NULL;
	fm_log(FM_LOG_INFO, "job begins", "job=%s what=%s", job_name(job), what);
	switch (job) {
	case AG_JOB_FETCH:
		start_child(worker, args, 2, worker->settings->fetch_ms);
		break;
	case AG_JOB_LINK:
	case AG_JOB_SNAPSHOT:
		start_child(worker, args, 2, worker->settings->storage_ms);
		break;
	case AG_JOB_RESTORE:
		(void)FM_FORMAT(serial, "%" PRIu64, ask->restore_serial);
		args[2] = serial;
		start_child(worker, args, 3, worker->settings->storage_ms);
		break;
	case AG_JOB_SWEEP:
		begin_sweep(worker, ask, running);
		break;
	case AG_JOB_HOOK:
		begin_hook(worker, what, ask);
		break;
	}
}

void
ag_worker_stop(struct ag_worker *worker)
{
	if (!worker->child) return;
	worker->killed_why = "it is no longer wanted";
	fm_child_kill(worker->child);
}
