#include "agent/world/look.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "agent/world/dotenv.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "loop/child.h"
#include "wire/frame.h"

#define CONNECT_LIMIT_S 5

struct ag_looker {
	struct event_base *base;
	const struct ag_settings *settings;
	void (*done)(void *arg, const struct ag_look *look);
	void (*watched)(void *arg, const struct ag_activity *activity);
	void *arg;
	struct event *limit, *later;
	struct fm_child *child;
	struct ag_look look;
	struct ag_activity activity;
	Fermata__JobKind kind;
	bool has_final, timed_out;
};

/* 'value' with quotes and backslashes escaped, as libpq reads it. */
static bool
add_setting(char *dst, size_t size, const char *key, const char *value)
{
	bool ok = fm_append(dst, size, "%s%s='", dst[0] ? " " : "", key);

	for (; ok && *value; value++)
		ok = fm_append(dst, size, "%s%c", strchr("'\\", *value) ? "\\" : "", *value);
	return ok && fm_append(dst, size, "'");
}

int
ag_conninfo(const struct ag_dotenv *env, char *dst, size_t size, struct fm_err *err)
{
	static const struct {
		const char *key, *name;
	} rows[] = {
		{ "host", "DB_HOST" }, { "port", "DB_PORT" },	      { "dbname", "DB_DATABASE" },
		{ "user", "DB_USER" }, { "password", "DB_PASSWORD" },
	};
	const char *dialect = ag_dotenv_get(env, "DB_DIALECT");
	bool ok = true;

	dst[0] = '\0';
	if (!fm_is_equal(dialect, "postgres"))
		return fm_fail(err, FM_ERR_CONFIG, 0,
			       "DB_DIALECT is \"%s\"; only postgres can be looked at", dialect);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const char *value = ag_dotenv_get(env, rows[i].name);

		if (!fm_is_empty(value)) ok = ok && add_setting(dst, size, rows[i].key, value);
	}
	ok = ok && fm_append(dst, size, " connect_timeout=%d application_name=fermata-agent",
			     CONNECT_LIMIT_S);
	return ok ? 0 : fm_fail(err, FM_ERR_LIMIT, 0, "DB_* settings are too long");
}

static void
fail(struct ag_looker *looker, const char *why)
{
	memset(&looker->look, 0, sizeof(looker->look));
	FM_COPY(looker->look.text, why);
}

static void
on_later(evutil_socket_t fd, short what, void *arg)
{
	struct ag_looker *looker = arg;

	(void)fd;
	(void)what;
	if (looker->kind == FERMATA__JOB_KIND__JOB_LOOK)
		looker->done(looker->arg, &looker->look);
	else
		looker->watched(looker->arg, &looker->activity);
}

static void
take_activity(struct ag_looker *looker, const Fermata__JobReport *report)
{
	struct ag_activity *activity = &looker->activity;

	looker->has_final = true;
	activity->ok = report->ok;
	FM_COPY(activity->sql, report->sql);
	FM_COPY(activity->waits, report->sql_waits);
	activity->id = report->sql_id;
	activity->age_ms = report->sql_age_ms;
}

static void
on_envelope(void *arg, struct fm_child *child, const Fermata__Envelope *envelope)
{
	struct ag_looker *looker = arg;
	const Fermata__JobReport *report = envelope->job_report;

	(void)child;
	if (envelope->body_case != FERMATA__ENVELOPE__BODY_JOB_REPORT || !report->final) return;
	if (looker->kind == FERMATA__JOB_KIND__JOB_ACTIVITY) {
		take_activity(looker, report);
		return;
	}
	fail(looker, report->text);
	looker->has_final = true;
	looker->look.ok = report->ok;
	/* invalid_authorization_specification: the role may not log in, or not from here. */
	if (!report->ok && fm_is_equal(report->sqlstate, "28000")) {
		looker->look.hopeless = true;
		FM_APPEND(looker->look.text,
			  "; a run has shut the application out, or its rights were changed: type "
			  "'fermata status'");
	}
	if (!report->ok) return;
	looker->look.text[0] = '\0';
	looker->look.installed = report->installed;
	looker->look.pending = report->pending_plugins;
	looker->look.stale = report->stale_plugins;
	looker->look.enabled = report->enabled_plugins;
	if (!FM_COPY(looker->look.version, report->version))
		fail(looker, "the database's version is too long to be one");
}

static void
on_exited(void *arg, struct fm_child *child, int status)
{
	struct ag_looker *looker = arg;
	char why[128];

	(void)child;
	looker->child = NULL;
	(void)event_del(looker->limit);
	if (!looker->has_final) {
		if (looker->timed_out)
			FM_COPY(why, "it did not answer in time");
		else if (WIFSIGNALED(status))
			FM_FORMAT(why, "fermata-dbjob was killed by signal %d", WTERMSIG(status));
		else
			FM_FORMAT(why, "fermata-dbjob ended with %d", WEXITSTATUS(status));
		fail(looker, why);
	}
	event_active(looker->later, 0, 0);
}

static void
on_limit(evutil_socket_t fd, short what, void *arg)
{
	struct ag_looker *looker = arg;

	(void)fd;
	(void)what;
	looker->timed_out = true;
	if (looker->child) fm_child_kill(looker->child);
}

static int
start_child(struct ag_looker *looker, const Fermata__JobOrder *order, struct fm_err *err)
{
	static const struct fm_child_calls calls = { NULL, on_envelope, on_exited };
	const char *argv[] = { looker->settings->dbjob, NULL };
	Fermata__Envelope envelope = FERMATA__ENVELOPE__INIT;
	struct fm_child_plan plan = {
		.argv = argv, .frames = true, .dies_with_us = true, .own_group = true
	};
	uint8_t *frame;

	envelope.body_case = FERMATA__ENVELOPE__BODY_JOB_ORDER;
	envelope.job_order = (Fermata__JobOrder *)(uintptr_t)order;
	frame = fm_frame_pack(&envelope, &plan.input_size);
	plan.input = frame;
	looker->child = fm_child_start(looker->base, &plan, &calls, looker, err);
	explicit_bzero(frame, plan.input_size);
	free(frame);
	return looker->child ? 0 : -1;
}

static char *
text_of(const char *s)
{
	return (char *)(uintptr_t)s;
}

static int
begin(struct ag_looker *looker, const char *version, struct fm_err *err)
{
	Fermata__JobOrder order = FERMATA__JOB_ORDER__INIT;
	_cleanup_(ag_dotenv_done) struct ag_dotenv env;
	char conninfo[2048];
	const char *schema;
	int ret;

	if (ag_dotenv_read(&env, looker->settings->env_file, err) < 0)
		return fm_wrap(err, "the application's settings cannot be read; once they can, it "
				    "starts by itself");
	if (ag_conninfo(&env, conninfo, sizeof(conninfo), err) < 0) return -1;
	schema = ag_dotenv_get(&env, "DB_SCHEMA");
	order.kind = looker->kind;
	order.admin = conninfo;
	order.database = text_of(ag_dotenv_get(&env, "DB_DATABASE"));
	order.role = text_of(ag_dotenv_get(&env, "DB_USER"));
	order.schema = text_of(fm_is_empty(schema) ? "public" : schema);
	order.table_prefix = text_of(ag_dotenv_get(&env, "DB_TABLE_PREFIX"));
	order.underscored = fm_is_equal(ag_dotenv_get(&env, "DB_UNDERSCORED"), "true");
	order.version = text_of(version);
	ret = start_child(looker, &order, err);
	explicit_bzero(conninfo, sizeof(conninfo));
	return ret;
}

struct ag_looker *
ag_looker_new(struct event_base *base, const struct ag_settings *settings,
	      void (*done)(void *arg, const struct ag_look *look),
	      void (*watched)(void *arg, const struct ag_activity *activity), void *arg)
{
	struct ag_looker *looker = fm_new(struct ag_looker, 1);

	looker->base = base;
	looker->settings = settings;
	looker->done = done;
	looker->watched = watched;
	looker->arg = arg;
	looker->limit = event_new(base, -1, 0, on_limit, looker);
	looker->later = event_new(base, -1, 0, on_later, looker);
	CHECK(looker->limit && looker->later);
	return looker;
}

void
ag_looker_free(struct ag_looker *looker)
{
	if (!looker) return;
	fm_child_drop(looker->child);
	event_free(looker->limit);
	event_free(looker->later);
	free(looker);
}

static void
ask(struct ag_looker *looker, Fermata__JobKind kind, const char *version)
{
	struct timeval limit = { looker->settings->look_ms / 1000,
				 looker->settings->look_ms % 1000 * 1000 };
	struct fm_err err;

	looker->kind = kind;
	memset(&looker->activity, 0, sizeof(looker->activity));
	looker->has_final = looker->timed_out = false;
	if (begin(looker, version, &err) < 0) {
		fail(looker, err.text);
		looker->look.hopeless = err.kind == FM_ERR_CONFIG;
		event_active(looker->later, 0, 0);
		return;
	}
	(void)event_add(looker->limit, &limit);
}

void
ag_looker_begin(struct ag_looker *looker, const char *version)
{
	ask(looker, FERMATA__JOB_KIND__JOB_LOOK, version);
}

void
ag_looker_watch(struct ag_looker *looker)
{
	ask(looker, FERMATA__JOB_KIND__JOB_ACTIVITY, "");
}
