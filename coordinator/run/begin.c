/* begin.c - a life of the coordinator begins, a run begins. */
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "coordinator/run/core.h"
#include "coordinator/run/run.h"

/* The nodes of the settings, each with what the journal wants of it. */
static void
adopt_nodes(struct co_state *next, const struct co_config *config, const struct co_state *old)
{
	next->node_count = config->node_count;
	memset(next->hooks_seen, 0, sizeof(next->hooks_seen));
	memset(next->kept_out, 0, sizeof(next->kept_out));
	for (unsigned i = 0; i < config->node_count; i++) {
		memset(&next->nodes[i], 0, sizeof(next->nodes[i]));
		FM_COPY(next->node_names[i], config->nodes[i]);
		for (unsigned k = 0; k < old->node_count; k++) {
			if (!fm_is_equal(old->node_names[k], config->nodes[i])) continue;
			next->nodes[i] = old->nodes[k];
			next->hooks_seen[i] = old->hooks_seen[k];
			next->kept_out[i] = old->kept_out[k];
			if (old->run.first == k) next->run.first = i;
			if (old->run.subject == k) next->run.subject = i;
		}
	}
}

/* Stands again where the journal left the run: asks anew, under the new epoch. */
static void
resume(struct co_core *core)
{
	struct co_run *run = &core->next.run;
	const struct co_step *step = NULL;

	if (run->state == CO_RUN_NONE || run->state == CO_RUN_ENDED) return;
	core->procedure = co_procedure_find(run->procedure);
	if (core->procedure != NULL)
		step = co_step_find(run->recovering ? core->procedure->recovery
						    : core->procedure->steps,
				    run->step);
	if (step == NULL) {
		run->state = CO_RUN_HALTED;
		FM_FORMAT(run->why, "the journal names a step that this version does not know: %s",
			  run->step);
		return;
	}
	core->step = step;
	if (core->config.workers[run->first]) {
		run->state = CO_RUN_HALTED;
		FM_FORMAT(
			run->why,
			"[cluster] workers names %s now, with which this run began as its first node: "
			"take it out there and restart the coordinator",
			core->next.node_names[run->first]);
		return;
	}
	co_tell_event(core, "note", run->step, "the coordinator came back and goes on", 0);
	if (run->state == CO_RUN_RUNNING || run->state == CO_RUN_HELD)
		co_enter_row(core, &core->next, step);
}

struct co_core *
co_core_new(const struct co_env *env, const struct co_config *config, const struct co_state *state,
	    struct fm_mono now)
{
	static const struct co_state nothing;
	struct co_core *core = fm_new(struct co_core, 1);
	enum co_run_state was = CO_RUN_NONE;

	core->env = *env;
	core->config = *config;
	for (unsigned i = 0; i < config->node_count; i++)
		core->fleet.nodes[i].is_worker = config->workers[i];
	core->now = now;
	if (state == NULL) state = &nothing;
	was = state->run.state;
	memcpy(&core->state, state, co_state_size(state));
	memcpy(&core->next, state, co_state_size(state));
	adopt_nodes(&core->next, config, state);
	core->next.epoch++;
	resume(core);
	/* The wants are compared with those of the same nodes, so the new epoch stamps them all. */
	core->state.node_count = core->next.node_count;
	if (co_settle(core, NULL) != 0) {
		co_core_free(core);
		return NULL;
	}
	if (core->step != NULL && (was == CO_RUN_RUNNING || was == CO_RUN_HELD))
		co_entered(core, core->step);
	return core;
}

static int
may_begin(const struct co_core *core, struct fm_err *err)
{
	const struct co_run *run = &core->state.run;

	if (run->state == CO_RUN_NONE || run->state == CO_RUN_ENDED) return 0;
	return fm_fail(err, FM_ERR_REFUSED, 0,
		       "run %llu (%s) is %s; one run at a time. See: fermata show %llu",
		       (unsigned long long)run->number, run->procedure,
		       co_run_state_name(run->state), (unsigned long long)run->number);
}

/* A fresh run in the draft. */
static void
make_run(struct co_core *core, struct co_state *draft, const struct co_order *order)
{
	struct co_run *run = &draft->run;

	*run = (struct co_run){
		.number = ++draft->last_run,
		.state = CO_RUN_RUNNING,
		.yes = order->yes,
		.no_backup = order->no_backup,
		.page = order->page,
		.open_first = core->config.open_first,
		.max_downtime_ms = order->max_downtime_ms,
		.began_ms = core->env.wall_ms(core->env.ctx),
	};
	FM_COPY(run->procedure, order->procedure);
	FM_COPY(run->who, order->who);
	FM_COPY(run->args, order->args);
	memcpy(draft->gate.bypass.key, order->bypass_key, sizeof(order->bypass_key));
	FM_COPY(draft->gate.message, order->message);
	draft->gate.back_at = order->back_at;
	draft->gate.estimated = false;
	draft->epoch++;
}

int
co_begin(struct co_core *core, const struct co_order *order, struct fm_mono now, struct fm_err *err)
{
	const struct co_procedure *procedure = co_procedure_find(order->procedure);
	struct co_state *draft = NULL;
	struct co_turn t;

	core->now = now;
	if (procedure == NULL)
		return fm_fail(err, FM_ERR_REFUSED, 0, "there is no procedure %s",
			       order->procedure);
	if (may_begin(core, err) != 0) return -1;
	draft = co_draft(core);
	make_run(core, draft, order);
	t = co_turn_of(core, draft);
	if (co_take_without(core, &draft->run, order->without_count, order->without, err) != 0)
		return -1;
	if (procedure->prepare(&t, order, err) != 0) return -1;
	if (co_check_first(draft, err) != 0) return -1;
	core->procedure = procedure;
	co_tell_event(core, "begin", "", order->args, 0);
	co_enter_row(core, draft, procedure->steps);
	if (co_settle(core, NULL) != 0) {
		core->procedure = NULL;
		return fm_fail(err, FM_ERR_IO, 0,
			       "the journal cannot be written; nothing was begun");
	}
	co_entered(core, procedure->steps);
	co_pump(core);
	return 0;
}

bool
co_step_applies(const struct co_core *core, const struct co_step *step,
		const struct co_order *order)
{
	struct co_state state = { .run = { .yes = order->yes,
					   .no_backup = order->no_backup,
					   .page = order->page,
					   .open_first = core->config.open_first,
					   .touched = true } };
	struct co_turn t = { .state = &state, .fleet = &core->fleet, .config = &core->config };

	return step->when == NULL || step->when(&t);
}
