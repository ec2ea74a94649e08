#include "made_up.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

const struct ag_limits made_up_limits = {
	.term_ms = 15000,
	.kill_ms = 10000,
	.poll_ms = 1000,
	.start_poll_ms = 500,
	.stuck_ms = 900000,
	.retry_ms = 1000,
};

static int
persist(void *ctx, const struct ag_memory *memory)
{
	struct made_up *w = ctx;

	w->persists++;
	if (w->disk_full) return -1;
	w->disk = *memory;
	w->has_disk = true;
	return 0;
}

static void
report(void *ctx, const struct fm_agent_report *r)
{
	struct made_up *w = ctx;

	w->reports++;
	w->said = *r;
}

static void
spawn(void *ctx, const char *release, enum fm_start_mode mode)
{
	struct made_up *w = ctx;

	w->spawns++;
	w->mode = mode;
	w->at_spawn = w->disk;
	FM_COPY(w->spawned, release);
}

static void
signal_all(void *ctx, enum ag_signal signal)
{
	struct made_up *w = ctx;

	if (signal == AG_TERM)
		w->terms++;
	else
		w->kills++;
}

static void
probe(void *ctx)
{
	((struct made_up *)ctx)->probes++;
}

static void
look(void *ctx)
{
	((struct made_up *)ctx)->looks++;
}

static void
job(void *ctx, enum ag_job kind, const char *what, const struct fm_agent_ask *ask)
{
	struct made_up *w = ctx;

	FM_COPY(w->job_release, ask->release);
	w->jobs++;
	w->job = kind;
	FM_COPY(w->job_what, what);
}

static void
job_stop(void *ctx)
{
	((struct made_up *)ctx)->job_stops++;
}

static void
watch(void *ctx)
{
	((struct made_up *)ctx)->watches++;
}

static double
half(void *ctx)
{
	(void)ctx;
	return 0.5;
}

static void
wake(struct made_up *w)
{
	w->next = ag_core_tick(w->core, w->now);
}

static void
make_core(struct made_up *w, unsigned alive)
{
	static const char releases[][FM_VERSION_SIZE] = { "2.2.15", "2.2.16" };
	struct ag_limits limits = made_up_limits;
	struct ag_env env = { w,    persist, report,   spawn, signal_all, probe,
			      look, job,     job_stop, half,  watch };

	limits.hooks = w->hooks;
	limits.hooks_go_on = w->hooks_go_on;
	w->core = ag_core_new(&env, &limits, "app1", "127.0.0.1:13000",
			      w->has_disk ? &w->disk : NULL, w->now);
	ag_on_disk(w->core, "2.2.15", 2, releases, w->now);
	ag_on_processes(w->core, alive, "", w->now);
	wake(w);
}

void
made_up_begin(struct made_up *w)
{
	memset(w, 0, sizeof(*w));
	w->now.ms = 1000000;
	make_core(w, 0);
}

void
made_up_begin_hooked(struct made_up *w, unsigned hooks, unsigned go_on)
{
	memset(w, 0, sizeof(*w));
	w->now.ms = 1000000;
	w->hooks = hooks;
	w->hooks_go_on = go_on;
	make_core(w, 0);
}

void
made_up_restart(struct made_up *w, unsigned alive)
{
	ag_core_free(w->core);
	make_core(w, alive);
}

void
made_up_end(struct made_up *w)
{
	ag_core_free(w->core);
	w->core = NULL;
}

int
made_up_setup(void **state)
{
	struct made_up *w = calloc(1, sizeof(*w));

	if (!w) return -1;
	made_up_begin(w);
	*state = w;
	return 0;
}

int
made_up_teardown(void **state)
{
	made_up_end(*state);
	free(*state);
	return 0;
}

struct fm_agent_ask
made_up_ask(uint64_t seq, enum fm_app_goal app, const char *release)
{
	struct fm_agent_ask ask;

	memset(&ask, 0, sizeof(ask));
	ask.voice.epoch = 1;
	ask.voice.seq = seq;
	ask.app = app;
	FM_COPY(ask.release, release);
	return ask;
}

bool
made_up_say(struct made_up *w, const struct fm_agent_ask *ask)
{
	bool ok = ag_on_ask(w->core, ask, w->now);

	wake(w);
	return ok;
}

void
made_up_pass(struct made_up *w, int64_t ms)
{
	struct fm_mono end = fm_mono_after(w->now, ms);

	while (w->next.ms <= end.ms) {
		assert_true(w->next.ms > w->now.ms);
		w->now = w->next;
		wake(w);
	}
	w->now = end;
	wake(w);
}

void
made_up_processes(struct made_up *w, unsigned alive, const char *strange)
{
	ag_on_processes(w->core, alive, strange, w->now);
	wake(w);
}

void
made_up_probe(struct made_up *w, enum ag_health health, const char *text)
{
	ag_on_probe(w->core, health, text, w->now);
	wake(w);
}

void
made_up_look(struct made_up *w, const char *version, unsigned pending)
{
	struct ag_look l;

	memset(&l, 0, sizeof(l));
	l.ok = version != NULL;
	l.installed = version && version[0];
	l.pending = pending;
	FM_COPY(l.version, version);
	FM_COPY(l.text, version ? "" : "connection refused");
	ag_on_look(w->core, &l, w->now);
	wake(w);
}

void
made_up_job(struct made_up *w, bool ok, const char *text)
{
	ag_on_job(w->core, w->job, ok, text, 4096, w->now);
	wake(w);
}

void
made_up_ready(struct made_up *w, const char *version)
{
	unsigned spawns = w->spawns;

	made_up_look(w, version, 0);
	assert_int_equal(w->spawns, spawns + 1);
	ag_on_spawned(w->core, true, "", w->now);
	made_up_processes(w, 3, "");
	made_up_probe(w, AG_HEALTH_OK, "");
	made_up_look(w, w->spawned, 0);
	assert_int_equal(w->said.app, FM_APP_READY);
}

void
made_up_run(struct made_up *w, uint64_t seq, uint64_t run, enum fm_start_mode mode)
{
	struct fm_agent_ask ask = made_up_ask(seq, FM_APP_GOAL_RUNNING, "2.2.15");

	ask.run = run;
	ask.start = mode;
	ask.start_serial = seq;
	assert_true(made_up_say(w, &ask));
}
