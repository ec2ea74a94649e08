/* tell.c - the run in words: what is true now, what to type next. */
#include <string.h>

#include "base/text.h"
#include "coordinator/run/core.h"

#define X(name, text) [CO_RUN_##name] = (text),
static const char *const state_names[] = { CO_RUN_STATES(X) };
#undef X
#define X(name, text) [CO_END_##name] = (text),
static const char *const end_names[] = { CO_ENDS(X) };
#undef X
#define X(name, text) [CO_VERB_##name] = (text),
static const char *const verb_names[] = { CO_VERBS(X) };
#undef X

const char *
co_run_state_name(enum co_run_state state)
{
	return state_names[state];
}

const char *
co_end_name(enum co_end end)
{
	return end_names[end];
}

const char *
co_verb_name(enum co_verb verb)
{
	return verb_names[verb];
}

/* What visitors see, from what is wanted of the gates. */
static const char *
visitors(const struct co_state *state)
{
	if (state->gate.hole)
		return "No node is there for visitors: they wait, or see the page, until one is "
		       "ready.";
	switch (state->gate.mode) {
	case FM_GATE_OPEN:
		return "Visitors are served.";
	case FM_GATE_CLOSED:
		return "Visitors see the maintenance page.";
	case FM_GATE_PINNED:
		return "Visitors are served by one node.";
	case FM_GATE_NONE:
		break;
	}
	return "The gates are as they were.";
}

static void
tell_ended(const struct co_state *state, char *text, size_t size, char *next, size_t next_size)
{
	const struct co_run *run = &state->run;
	const struct co_procedure *procedure = co_procedure_find(run->procedure);
	const char *why = fm_is_empty(run->why) ? "" : run->why;

	switch (run->end) {
	case CO_END_NONE:
	case CO_END_DONE:
		fm_format(text, size, "%s is done; the cluster is on %s. %s", run->procedure,
			  state->version, visitors(state));
		if (procedure && procedure->then) fm_copy(next, next_size, procedure->then);
		return;
	case CO_END_REFUSED:
		fm_format(text, size, "%s was refused and nothing was touched: %s", run->procedure,
			  why);
		fm_format(next, next_size, "fermata status");
		return;
	case CO_END_ROLLED_BACK:
		fm_format(
			text, size,
			"%s was taken back; the cluster is as it was, on %s. %s Nothing was lost: "
			"%s.%s%s",
			run->procedure, run->from, visitors(state),
			run->closed_ms ? "nobody could write meanwhile"
				       : "the gates were never closed",
			fm_is_empty(why) ? "" : " It failed because: ", why);
		fm_format(next, next_size, "fermata show %llu", (unsigned long long)run->number);
		return;
	case CO_END_ROLLED_BACK_WITH_LOSS:
		fm_format(
			text, size,
			"the cluster is on %s again, as it was when restore point %s was taken; what "
			"visitors wrote since is in the kept database only. %s",
			run->to, run->restore_point, visitors(state));
		return;
	case CO_END_STOPPED_BY_OPERATOR:
		fm_format(text, size, "%s was stopped by a person and taken back. %s",
			  run->procedure, visitors(state));
		return;
	case CO_END_NEEDS_OPERATOR:
		fm_format(text, size, "%s was given up at \"%s\": %s. %s", run->procedure,
			  run->step, why, visitors(state));
		fm_format(next, next_size, "fermata status");
		return;
	}
}

static void
tell_halted(const struct co_state *state, char *text, size_t size, char *next, size_t next_size)
{
	const struct co_run *run = &state->run;
	const struct co_procedure *procedure = co_procedure_find(run->procedure);
	bool may_go_back = !run->recovering && procedure != NULL && procedure->recovery != NULL;

	fm_format(text, size, "%s stands still at \"%s\": %s. %s Nothing will be done by itself.",
		  run->procedure, run->step, run->why, visitors(state));
	fm_format(next, next_size, "%sfermata retry%s, or fermata abort to leave it as it is",
		  run->stalled ? "fermata resume to wait on, or to end it and start anew " : "",
		  may_go_back ? ", or fermata rollback" : "");
}

static void
tell(const struct co_core *core, const struct co_state *state, struct co_run_row *ret)
{
	const struct co_run *run = &state->run;
	char *text = ret->text, *next = ret->next;
	size_t text_size = sizeof(ret->text), next_size = sizeof(ret->next);

	switch (run->state) {
	case CO_RUN_NONE:
		fm_format(text, text_size, "No run yet. %s", visitors(state));
		fm_format(next, next_size, "fermata startup");
		return;
	case CO_RUN_RUNNING:
		fm_format(text, text_size, "%s is at \"%s\". %s", run->procedure, run->step,
			  visitors(state));
		fm_format(next, next_size, "fermata attach %llu", (unsigned long long)run->number);
		return;
	case CO_RUN_HELD:
		fm_format(text, text_size, "%s waits at \"%s\": %s. %s", run->procedure, run->step,
			  core->waiting, visitors(state));
		fm_format(next, next_size, "%s%s",
			  state->gate.mode == FM_GATE_CLOSED ? "fermata bypass to look at it, then "
							     : "",
			  fm_is_equal(run->step, "hold") ? "fermata maintenance end"
							 : "fermata approve, or fermata reject");
		return;
	case CO_RUN_PAUSED:
		fm_format(text, text_size, "%s is paused after \"%s\". %s", run->procedure,
			  run->step, visitors(state));
		fm_format(next, next_size, "fermata resume, or fermata abort");
		return;
	case CO_RUN_HALTED:
		tell_halted(state, text, text_size, next, next_size);
		return;
	case CO_RUN_ENDED:
		tell_ended(state, text, text_size, next, next_size);
		return;
	}
}

void
co_row_of(const struct co_core *core, const struct co_state *state, struct co_run_row *ret)
{
	const struct co_run *run = &state->run;

	*ret = (struct co_run_row){
		.run = run->number,
		.began_ms = run->began_ms,
		.ended_ms = run->ended_ms,
		.closed_ms = run->closed_ms,
		.opened_ms = run->opened_ms,
	};
	FM_COPY(ret->procedure, run->procedure);
	FM_COPY(ret->args, run->args);
	FM_COPY(ret->who, run->who);
	FM_COPY(ret->state, co_run_state_name(run->state));
	FM_COPY(ret->end, co_end_name(run->end));
	FM_COPY(ret->why, run->why);
	FM_COPY(ret->restore_point, run->restore_point);
	tell(core, state, ret);
}

void
co_core_row(const struct co_core *core, struct co_run_row *ret)
{
	co_row_of(core, &core->state, ret);
}

void
co_core_tell(const struct co_core *core, char *text, size_t text_size, char *next, size_t next_size)
{
	struct co_run_row row;

	co_core_row(core, &row);
	fm_copy(text, text_size, row.text);
	fm_copy(next, next_size, row.next);
}
