#include "tests/unit/coordinator/run/run_world.h"

#include <string.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "base/text.h"

static int64_t
wall(void *ctx)
{
	const struct run_world *w = ctx;

	return 1000000 + w->now.ms;
}

static int
commit(void *ctx, const struct co_state *state, const struct co_run_row *run,
       const struct co_event_row *events, unsigned count, const struct co_point_row *point)
{
	struct run_world *w = ctx;

	(void)run;
	(void)point;
	if (w->journal_refuses) return -1;
	w->commits++;
	memcpy(&w->journal, state, co_state_size(state));
	w->has_journal = true;
	if (count > 0) w->last_event = events[count - 1];
	for (unsigned i = 0; i < count; i++)
		if (fm_is_equal(events[i].kind, "done")) w->last_done = events[i];
	return 0;
}

static void
ask_node(void *ctx, unsigned node, const struct fm_agent_ask *ask)
{
	struct run_world *w = ctx;

	w->node_asks++;
	if (fm_voice_compare(w->journal.nodes[node].voice, ask->voice) != 0)
		w->asked_before_commit++;
}

static void
ask_gate(void *ctx, unsigned gate, const struct fm_gate_ask *ask)
{
	struct run_world *w = ctx;

	(void)gate;
	w->gate_asks++;
	if (fm_voice_compare(w->journal.gate.voice, ask->voice) != 0) w->asked_before_commit++;
}

static void
job(void *ctx, const struct co_job_order *order)
{
	struct run_world *w = ctx;

	w->jobs++;
	w->order = *order;
}

static void
job_stop(void *ctx)
{
	(void)ctx;
}

static void
event(void *ctx, const struct co_event_row *row)
{
	(void)ctx;
	(void)row;
}

static int64_t
median(void *ctx, const char *procedure, const char *step)
{
	const struct run_world *w = ctx;

	(void)procedure;
	(void)step;
	return w->median_ms;
}

struct run_world *
run_world_new(void)
{
	struct run_world *w = fm_new(struct run_world, 1);

	w->env = (struct co_env){
		w, wall, commit, ask_node, ask_gate, job, job_stop, event, median
	};
	w->config.node_count = 2;
	w->config.gate_count = 1;
	w->config.rollback_auto = true;
	FM_COPY(w->config.nodes[0], "app1");
	FM_COPY(w->config.nodes[1], "app2");
	FM_COPY(w->config.gates[0], "gate1");
	for (unsigned i = 0; i < CO_LIMITS; i++) w->config.limits_ms[i] = 10000;
	w->job_answers = true;
	w->median_ms = -1;
	w->result.ok = w->result.installed = true;
	w->app[0] = w->app[1] = FM_APP_READY;
	run_world_restart(w);
	return w;
}

void
run_world_free(struct run_world *w)
{
	co_core_free(w->core);
	fm_freep(&w);
}

void
run_world_restart(struct run_world *w)
{
	co_core_free(w->core);
	w->core = co_core_new(&w->env, &w->config, w->has_journal ? &w->journal : NULL, w->now);
	if (w->core == NULL) return;
	co_on_node_up(w->core, 0, 0, w->now);
	co_on_node_up(w->core, 1, 0, w->now);
	co_on_gate_up(w->core, 0, 0, 0, w->now);
}

static void
obey_node(struct run_world *w, unsigned i)
{
	struct fm_agent_ask ask = co_core_state(w->core)->nodes[i];
	struct fm_agent_report report = { .voice = ask.voice,
					  .app = FM_APP_STOPPED,
					  .swept_seq = ask.voice.seq,
					  .restored_serial = ask.restore_serial,
					  .release_count = 2 };

	if (!co_core_fleet(w->core)->nodes[i].facts.known)
		co_on_node_facts(w->core, i, &w->facts[i], w->now);
	FM_COPY(report.releases[0], "2.2.15");
	FM_COPY(report.releases[1], "2.2.16");
	FM_COPY(report.current, fm_is_empty(ask.release) ? "2.2.15" : ask.release);
	FM_COPY(report.fetched, ask.fetch);
	FM_COPY(report.snapshot, ask.snapshot);
	if (ask.app == FM_APP_GOAL_RUNNING) {
		report.app = w->app[i];
		report.pids = 1;
		FM_COPY(report.running, ask.release);
		if (report.app == FM_APP_FAILED) FM_COPY(report.failure, "it said so");
	}
	co_on_node_report(w->core, i, &report, w->now);
}

void
run_world_obey(struct run_world *w)
{
	struct fm_gate_report report = { .workers = 1 };

	for (unsigned i = 0; i < w->config.node_count; i++) obey_node(w, i);
	report.voice = co_core_state(w->core)->gate.voice;
	report.mode = co_core_state(w->core)->gate.mode;
	co_on_gate_report(w->core, 0, 0, &report, w->now);
	if (w->job_answers && co_core_job(w->core)->running) co_on_job(w->core, &w->result, w->now);
}

void
run_world_pass(struct run_world *w, int64_t ms)
{
	w->now = fm_mono_after(w->now, ms);
	co_core_tick(w->core, w->now);
}

int
run_world_begin(struct run_world *w, const char *procedure, const char *to, bool yes)
{
	struct co_order order = { .yes = yes };

	FM_COPY(order.procedure, procedure);
	FM_COPY(order.to, to);
	FM_COPY(order.args, procedure);
	return co_begin(w->core, &order, w->now, NULL);
}

const struct co_run *
run_world_run(const struct run_world *w)
{
	return &co_core_state(w->core)->run;
}

void
run_world_serve(struct run_world *w)
{
	run_world_obey(w);
	(void)run_world_begin(w, "startup", "2.2.15", true);
	for (unsigned i = 0; i < 20; i++) run_world_obey(w);
}

void
run_world_until(struct run_world *w, const char *step)
{
	for (unsigned i = 0; i < 40 && !fm_is_equal(run_world_run(w)->step, step); i++)
		run_world_obey(w);
}

void
run_world_upgrade(struct run_world *w, bool yes, const char *step)
{
	CHECK(run_world_begin(w, "upgrade", "2.2.16", yes) == 0);
	run_world_until(w, step);
	CHECK(fm_is_equal(run_world_run(w)->step, step));
}

int
run_world_set_up(void **state)
{
	*state = run_world_new();
	return 0;
}

int
run_world_set_up_served(void **state)
{
	(void)run_world_set_up(state);
	run_world_serve(*state);
	return 0;
}

int
run_world_tear_down(void **state)
{
	run_world_free(*state);
	return 0;
}
