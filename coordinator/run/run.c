/* run.c - events in, progress out. */
#include "coordinator/run/run.h"

#include <string.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "coordinator/run/core.h"

/* Enough for every row of a table to be passed at once, and a guard against a table that runs in
 * a circle. */
#define PUMP_MOST 256

static bool
is_at_work(const struct co_core *core)
{
	enum co_run_state state = core->state.run.state;

	return core->step != NULL && (state == CO_RUN_RUNNING || state == CO_RUN_HELD ||
				      (state == CO_RUN_PAUSED && core->state.run.words.abort));
}

/* A proved row, and a person wants the run to stand still here. */
static int
pause_here(struct co_core *core)
{
	struct co_state *draft = co_draft(core);

	draft->run.state = CO_RUN_PAUSED;
	draft->run.words.pause = false;
	co_tell_event(core, "held", core->step->name, "paused by a person", 0);
	return co_settle(core, NULL);
}

/* Longer closed than the person who began the run would have it, and there is a way back. */
static bool
is_past_downtime(const struct co_core *core)
{
	const struct co_run *run = &core->state.run;
	bool may_go_back = core->step->fails == CO_BACK || core->step->fails == CO_ROLLBACK;

	return run->max_downtime_ms != 0 && run->closed && !run->recovering && may_go_back &&
	       core->env.wall_ms(core->env.ctx) - run->closed_ms > run->max_downtime_ms;
}

static int
pump_once(struct co_core *core)
{
	enum co_verdict verdict = CO_WAIT;
	char why[FM_TEXT_SIZE];

	if (core->state.run.words.abort && !core->state.run.recovering)
		return co_fail(core, "stopped by a person");
	verdict = co_prove(core);
	if (verdict == CO_DONE && core->state.run.words.pause) return pause_here(core);
	if (verdict == CO_DONE) return co_advance(core);
	FM_COPY(why, core->waiting);
	if (verdict == CO_FAILED) return co_fail(core, why);
	if (verdict == CO_STALLED) return co_stall(core, why);
	if (is_past_downtime(core)) {
		FM_FORMAT(why, "closed for longer than --max-downtime; waited for %s",
			  core->waiting);
		return co_fail(core, why);
	}
	if (!co_is_past_limit(core)) return 1;
	FM_FORMAT(why, "not within the limit \"%s\": waited for %s",
		  co_limit_name(core->step->limit), core->waiting);
	return co_stall(core, why);
}

/* A person was asked since nothing moved; what was waited for has come before there was an answer. */
static void
go_on_after_all(struct co_core *core)
{
	const struct co_run *run = &core->state.run;
	struct co_state *draft = NULL;

	if (run->state != CO_RUN_HALTED || !run->stalled || core->step == NULL) return;
	if (co_prove(core) != CO_DONE) return;
	draft = co_draft(core);
	draft->run.state = CO_RUN_RUNNING;
	draft->run.stalled = false;
	co_tell_event(core, "note", core->step->name, "it has come after all, the run goes on", 0);
	(void)co_settle(core, NULL);
}

/* After anything that was heard, and as time passes: takes nodes out and in, in a commit of its own. */
static int
mind_service(struct co_core *core)
{
	uint64_t fallen = 0;

	if (!co_draft_service(core, &fallen)) return 0;
	if (co_settle(core, NULL) != 0) return -1;
	co_note_fallen(core, fallen);
	return 0;
}

void
co_pump(struct co_core *core)
{
	unsigned turns = 0;

	if (core->journal_refuses && fm_mono_since(core->journal_retry, core->now) > 0) return;
	if (mind_service(core) != 0) return;
	go_on_after_all(core);
	while (is_at_work(core)) {
		if (pump_once(core) != 0) return;
		CHECK(++turns < PUMP_MOST);
	}
}

void
co_core_free(struct co_core *core)
{
	fm_freep(&core);
}

/* A peer has heard a higher epoch than ours: another life of this cluster's coordinator whose
 * journal we do not have. We move past it, or nobody would obey us. */
static void
move_past(struct co_core *core, uint64_t epoch)
{
	if (epoch <= core->state.epoch) return;
	co_draft(core)->epoch = epoch + 1;
	(void)co_settle(core, NULL);
}

void
co_on_node_up(struct co_core *core, unsigned node, uint64_t epoch, struct fm_mono now)
{
	core->now = now;
	core->fleet.nodes[node].connected = true;
	core->fleet.nodes[node].facts.known = false;
	core->fleet.nodes[node].heard = core->fleet.nodes[node].changed = now;
	move_past(core, epoch);
	co_ask_again_node(core, node);
	co_pump(core);
}

void
co_on_node_down(struct co_core *core, unsigned node, struct fm_mono now)
{
	core->now = now;
	core->fleet.nodes[node].connected = false;
	co_pump(core);
}

void
co_on_node_report(struct co_core *core, unsigned node, const struct fm_agent_report *report,
		  struct fm_mono now)
{
	core->now = now;
	co_fleet_node_report(&core->fleet, node, report, now);
	move_past(core, report->voice.epoch);
	co_take_told(core, node);
	co_pump(core);
}

/* What somebody did by hand on the gate's own host belongs into the journal, like every order. */
static void
note_override(struct co_core *core, unsigned gate)
{
	const struct fm_gate_report *report = &core->fleet.gates[gate].report;
	char text[FM_TEXT_SIZE];

	if (report->override == core->by_hand[gate].mode &&
	    report->override_at == core->by_hand[gate].at)
		return;
	if (report->override == FM_GATE_NONE)
		FM_FORMAT(text,
			  "gate %s obeys the coordinator again: taken back by hand on its host",
			  core->config.gates[gate]);
	else
		FM_FORMAT(text, "gate %s is %s by hand of %s on its host, whatever is asked of it",
			  core->config.gates[gate], fm_gate_mode_name(report->override),
			  report->override_by);
	co_tell_event(core, "note", co_draft(core)->run.step, text, 0);
	if (co_settle(core, NULL) != 0) return;
	core->by_hand[gate].mode = report->override;
	core->by_hand[gate].at = report->override_at;
}

void
co_on_node_facts(struct co_core *core, unsigned node, const struct fm_node_facts *facts,
		 struct fm_mono now)
{
	core->now = now;
	co_fleet_node_facts(&core->fleet, node, facts, core->env.wall_ms(core->env.ctx));
	co_pump(core);
}

void
co_on_gate_up(struct co_core *core, unsigned gate, unsigned session, uint64_t epoch,
	      struct fm_mono now)
{
	core->now = now;
	co_fleet_gate_up(&core->fleet, gate, session, now);
	move_past(core, epoch);
	co_ask_again_gate(core, gate);
	co_pump(core);
}

void
co_on_gate_down(struct co_core *core, unsigned gate, unsigned session, struct fm_mono now)
{
	core->now = now;
	co_fleet_gate_down(&core->fleet, gate, session);
	co_pump(core);
}

void
co_on_gate_report(struct co_core *core, unsigned gate, unsigned session,
		  const struct fm_gate_report *report, struct fm_mono now)
{
	core->now = now;
	co_fleet_gate_report(&core->fleet, gate, session, report, now);
	move_past(core, report->voice.epoch);
	note_override(core, gate);
	co_pump(core);
}

void
co_on_job_progress(struct co_core *core, const char *text, struct fm_mono now)
{
	core->now = now;
	core->job_moved = now;
	FM_COPY(core->job.progress, text);
}

void
co_on_job(struct co_core *core, const struct co_job_result *result, struct fm_mono now)
{
	core->now = now;
	if (!core->job.running) return;
	core->job.running = false;
	core->job.finished = true;
	core->job.result = *result;
	co_pump(core);
}

struct fm_mono
co_core_tick(struct co_core *core, struct fm_mono now)
{
	core->now = now;
	co_remind(core);
	co_pump(core);
	return fm_mono_after(now, CO_TICK_MS);
}

const struct co_state *
co_core_state(const struct co_core *core)
{
	return &core->state;
}

const struct co_fleet *
co_core_fleet(const struct co_core *core)
{
	return &core->fleet;
}

const struct co_config *
co_core_config(const struct co_core *core)
{
	return &core->config;
}

const struct co_job *
co_core_job(const struct co_core *core)
{
	return &core->job;
}

const struct co_step *
co_core_step(const struct co_core *core)
{
	return core->step;
}

const char *
co_core_waiting(const struct co_core *core)
{
	return core->waiting;
}
