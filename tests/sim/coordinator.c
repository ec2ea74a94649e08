/* coordinator.c - the real runner in the made-up world: its journal, its links, the person at the CLI. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "tests/sim/world.h"

static int64_t
env_wall(void *ctx)
{
	const struct sim_world *w = ctx;

	return 1000000 + w->now;
}

static int
env_commit(void *ctx, const struct co_state *state, const struct co_run_row *run,
	   const struct co_event_row *events, unsigned count, const struct co_point_row *point)
{
	struct sim_world *w = ctx;

	(void)run;
	(void)point;
	sim_effect(w);
	if (w->co_dead) return -1;
	if (w->journal_refuses_once || w->now < w->journal_refuses_until) {
		w->journal_refuses_once = false;
		return -1;
	}
	for (unsigned i = 0; i < count; i++)
		if (fm_is_equal(events[i].kind, "step") || fm_is_equal(events[i].kind, "held"))
			w->steps_entered++;
	if (state->epoch < w->state.epoch && w->has_state)
		sim_violate(w, "I5: the journal's epoch went back");
	for (unsigned i = 0; i < count; i++)
		if (fm_is_equal(events[i].kind, "done")) sim_check_proof(w, events[i].step);
	memcpy(&w->state, state, co_state_size(state));
	w->has_state = true;
	if (state->run.closed && !w->closed_seen) {
		w->closed_seen = true;
		w->at_close = w->db;
	}
	return 0;
}

static void
env_ask_node(void *ctx, unsigned node, const struct fm_agent_ask *ask)
{
	struct sim_world *w = ctx;
	struct sim_node *n = &w->nodes[node];
	struct fm_agent_ask *copy = NULL;
	int64_t in = 1;

	sim_effect(w);
	if (w->co_dead || !n->up || !n->link) return;
	if (n->lose_ask) {
		n->lose_ask = false;
		return;
	}
	if (n->late_ask) {
		n->late_ask = false;
		in = sim_fault_lasts(SIM_LATE_ASK);
	}
	copy = fm_new(struct fm_agent_ask, 1);
	*copy = *ask;
	sim_later(w, in, (struct sim_event){ .kind = SIM_EV_ASK, .who = node, .data = copy });
	if (!n->double_ask) return;
	n->double_ask = false;
	copy = fm_new(struct fm_agent_ask, 1);
	*copy = *ask;
	sim_later(w, sim_fault_lasts(SIM_DOUBLE_ASK),
		  (struct sim_event){ .kind = SIM_EV_ASK, .who = node, .data = copy });
}

static void
env_ask_gate(void *ctx, unsigned gate, const struct fm_gate_ask *ask)
{
	struct sim_world *w = ctx;
	struct sim_gate *g = &w->gates[gate];
	struct fm_gate_ask *copy = NULL;

	sim_effect(w);
	if (w->co_dead || !g->up || !g->link) return;
	if (g->lose_ask) {
		g->lose_ask = false;
		return;
	}
	copy = fm_new(struct fm_gate_ask, 1);
	*copy = *ask;
	sim_later(w, 1, (struct sim_event){ .kind = SIM_EV_GATE_ASK, .who = gate, .data = copy });
	if (!g->double_ask) return;
	g->double_ask = false;
	copy = fm_new(struct fm_gate_ask, 1);
	*copy = *ask;
	sim_later(w, sim_fault_lasts(SIM_GATE_DOUBLE_ASK),
		  (struct sim_event){ .kind = SIM_EV_GATE_ASK, .who = gate, .data = copy });
}

static void
env_job(void *ctx, const struct co_job_order *order)
{
	struct sim_world *w = ctx;

	sim_effect(w);
	if (!w->co_dead) sim_job(w, order);
}

static void
env_job_stop(void *ctx)
{
	struct sim_world *w = ctx;

	if (!w->co_dead) w->job_serial++;
}

static void
env_event(void *ctx, const struct co_event_row *event)
{
	struct sim_world *w = ctx;

	if (w->verbose)
		printf("%9.3f  %-8s %-16s %s\n", (double)w->now / 1000, event->kind, event->step,
		       event->text);
}

/* Every other step ran before, so that times are known, forgotten and known again. */
static int64_t
env_median(void *ctx, const char *procedure, const char *step)
{
	(void)ctx;
	(void)procedure;
	return step[0] == 'p' ? -1 : 1000;
}

void
sim_co_setup(struct sim_world *w)
{
	static const struct {
		int64_t ms;
	} limits[CO_LIMITS] = {
		[CO_LIMIT_PREFLIGHT] = { 15000 }, [CO_LIMIT_FETCH] = { 300000 },
		[CO_LIMIT_CLOSE] = { 10000 },	  [CO_LIMIT_DRAIN] = { 30000 },
		[CO_LIMIT_STOP] = { 60000 },	  [CO_LIMIT_FENCE] = { 30000 },
		[CO_LIMIT_BACKUP] = { 300000 },	  [CO_LIMIT_VERIFY_BACKUP] = { 300000 },
		[CO_LIMIT_SWITCH] = { 60000 },	  [CO_LIMIT_READY] = { 600000 },
		[CO_LIMIT_APPROVE] = { 3600000 }, [CO_LIMIT_HOLD] = { 3600000 },
		[CO_LIMIT_OPEN] = { 30000 },	  [CO_LIMIT_RESTORE] = { 300000 },
		[CO_LIMIT_SWEEP] = { 60000 },
	};

	w->env = (struct co_env){ w,	   env_wall,	 env_commit, env_ask_node, env_ask_gate,
				  env_job, env_job_stop, env_event,  env_median };
	memset(&w->config, 0, sizeof(w->config));
	FM_COPY(w->config.cluster, "sim");
	w->config.node_count = SIM_NODES;
	w->config.gate_count = SIM_GATES;
	for (unsigned i = 0; i < SIM_NODES; i++) {
		FM_FORMAT(w->config.nodes[i], "app%u", i + 1);
		w->config.workers[i] = (w->plan.workers >> i & 1) != 0;
	}
	for (unsigned i = 0; i < SIM_GATES; i++) FM_FORMAT(w->config.gates[i], "gate%u", i + 1);
	w->config.open_first = w->plan.open_first;
	w->config.rollback_auto = true;
	w->config.keep_releases = 2;
	for (unsigned i = 0; i < CO_LIMITS; i++) w->config.limits_ms[i] = limits[i].ms;
}

static struct fm_mono
now_of(const struct sim_world *w)
{
	return (struct fm_mono){ w->now };
}

static void
tick_later(struct sim_world *w, struct fm_mono at)
{
	sim_later(w, at.ms > w->now ? at.ms - w->now : 1,
		  (struct sim_event){ .kind = SIM_EV_TICK, .life = w->co_life });
}

void
sim_co_start(struct sim_world *w)
{
	w->co_dead = false;
	w->co_life++;
	w->core = co_core_new(&w->env, &w->config, w->has_state ? &w->state : NULL, now_of(w));
	if (w->core == NULL || w->co_dead) {
		sim_co_bury(w);
		return;
	}
	tick_later(w, fm_mono_after(now_of(w), 1000));
	for (unsigned i = 0; i < SIM_NODES; i++)
		sim_node_link(w, i, w->nodes[i].link && w->nodes[i].core != NULL);
	for (unsigned i = 0; i < SIM_GATES; i++) sim_gate_link(w, i, w->gates[i].link);
}

/* The process is gone; its children (jobs) with it, its connections too. */
void
sim_co_bury(struct sim_world *w)
{
	co_core_free(w->core);
	w->core = NULL;
	w->co_life++;
	w->job_serial++;
	for (unsigned i = 0; i < SIM_NODES; i++) w->nodes[i].up = false;
	for (unsigned i = 0; i < SIM_GATES; i++) w->gates[i].up = false;
	if (!w->co_dead) /* it refused to live: systemd tries again */
		w->co_dead = true;
	sim_later(w, 500, (struct sim_event){ .kind = SIM_EV_CO_START, .life = w->co_life });
}

void
sim_co_event(struct sim_world *w, const struct sim_event *event)
{
	if (event->kind == SIM_EV_CO_START) {
		if (w->core == NULL && event->life == w->co_life) sim_co_start(w);
		return;
	}
	if (w->core == NULL) return;
	if (event->kind == SIM_EV_TICK && event->life == w->co_life)
		tick_later(w, co_core_tick(w->core, now_of(w)));
	else if (event->kind == SIM_EV_REPORT && w->nodes[event->who].up)
		co_on_node_report(w->core, event->who, event->data, now_of(w));
	else if (event->kind == SIM_EV_GATE_REPORT && w->gates[event->who].up)
		co_on_gate_report(w->core, event->who, 0, event->data, now_of(w));
}

void
sim_leave_out(struct sim_world *w)
{
	unsigned i = w->leave_out - 1;

	if (w->leave_out == 0 || w->now >= w->nodes[i].away_until) return;
	if (co_leave_out(w->core, 1, (const char(*)[FM_NAME_SIZE]) & w->config.nodes[i], "sim",
			 now_of(w), NULL) == 0)
		w->leave_out = 0;
	else if (w->state.run.state != CO_RUN_ENDED) /* not begun yet, or the journal refuses */
		sim_later(w, 5000,
			  (struct sim_event){ .kind = SIM_EV_PERSON, .value = SIM_SAYS_WITHOUT });
}

/* The person at the CLI: approves, ends what is held, resumes what is paused, and where the run halts
 * waits on once if nothing moves, tries again three times, then rolls back, then gives up. */
void
sim_person(struct sim_world *w)
{
	const struct co_run *run = NULL;
	enum co_verb verb = CO_VERB_COUNT;

	w->person_busy = false;
	if (w->core == NULL) return;
	run = &co_core_state(w->core)->run;
	if (run->state == CO_RUN_HELD)
		verb = fm_is_equal(run->step, "hold") ? CO_VERB_END : CO_VERB_APPROVE;
	if (run->state == CO_RUN_PAUSED) verb = CO_VERB_RESUME;
	if (run->state == CO_RUN_HALTED && run->stalled && w->waits++ < 1) {
		verb = CO_VERB_RESUME;
	} else if (run->state == CO_RUN_HALTED) {
		w->said_to_end = true;
		w->retries++;
		verb = w->retries <= 3			     ? CO_VERB_RETRY
		       : w->retries == 4 && !run->recovering ? CO_VERB_ROLLBACK
							     : CO_VERB_ABORT;
	}
	if (verb == CO_VERB_COUNT) return;
	if (co_operate(w->core, verb, "sim", now_of(w), NULL) != 0 && verb == CO_VERB_ROLLBACK)
		(void)co_operate(w->core, CO_VERB_ABORT, "sim", now_of(w), NULL);
}
