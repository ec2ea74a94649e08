/* visitors.c - what visitors are told of the row that a run stands at: its words, what kind of work it
 * is, and when the service is expected back. */
#include "base/text.h"
#include "coordinator/run/core.h"

/* The kind of work is the kind of limit. What is not here, visitors read as the row says it. */
static const enum fm_gate_phase phases[CO_LIMITS] = {
	[CO_LIMIT_PREFLIGHT] = FM_PHASE_PREPARING, [CO_LIMIT_FETCH] = FM_PHASE_PREPARING,
	[CO_LIMIT_CLOSE] = FM_PHASE_PREPARING,	   [CO_LIMIT_DRAIN] = FM_PHASE_PREPARING,
	[CO_LIMIT_STOP] = FM_PHASE_STOPPING,	   [CO_LIMIT_FENCE] = FM_PHASE_STOPPING,
	[CO_LIMIT_BACKUP] = FM_PHASE_SAVING,	   [CO_LIMIT_VERIFY_BACKUP] = FM_PHASE_SAVING,
	[CO_LIMIT_SWITCH] = FM_PHASE_UPDATING,	   [CO_LIMIT_READY] = FM_PHASE_STARTING,
	[CO_LIMIT_APPROVE] = FM_PHASE_CHECKING,	   [CO_LIMIT_HOLD] = FM_PHASE_WORKING,
	[CO_LIMIT_OPEN] = FM_PHASE_OPENING,	   [CO_LIMIT_RESTORE] = FM_PHASE_RESTORING,
};

static enum fm_gate_phase
phase_of(const struct co_step *step)
{
	return step->job == CO_JOB_UNFENCE ? FM_PHASE_STARTING : phases[step->limit];
}

/* How long the rows from this one to the one that lets visitors in took before. -1: not known, since one
 * of them never ran, or none lets visitors in. */
static int64_t
expected_ms(struct co_core *core, struct co_state *draft, const struct co_step *step)
{
	struct co_turn t = co_turn_of(core, draft);
	int64_t sum = 0;

	for (; step->name != NULL; step++) {
		int64_t took = 0;

		if (step->limit == CO_LIMIT_OPEN) return sum;
		if (step->when != NULL && !step->when(&t)) continue;
		took = core->env.median_ms(core->env.ctx, draft->run.procedure, step->name);
		if (took < 0) return -1;
		sum += took;
	}
	return -1;
}

/* Ours to say unless a person has said it. */
static void
estimate(struct co_core *core, struct co_state *draft, const struct co_step *step)
{
	struct fm_gate_ask *gate = &draft->gate;
	int64_t left = -1;

	if (gate->back_at != 0 && !gate->estimated) return;
	if (gate->mode == FM_GATE_CLOSED) left = expected_ms(core, draft, step);
	gate->estimated = left >= 0;
	gate->back_at = left < 0 ? 0 : (draft->run.step_ms + left + 999) / 1000;
}

void
co_tell_visitors(struct co_core *core, struct co_state *draft, const struct co_step *step)
{
	struct fm_gate_ask *gate = &draft->gate;

	FM_COPY(gate->step, step->says);
	FM_COPY(gate->command, core->procedure->command);
	gate->phase = phase_of(step);
	gate->run = draft->run.number;
	estimate(core, draft, step);
}

void
co_promise_nothing(struct co_state *draft)
{
	struct fm_gate_ask *gate = &draft->gate;

	if (!gate->estimated) return;
	gate->estimated = false;
	gate->back_at = 0;
}
