/* operate.c - what a person may say to a run, when, and what it does. The table is the manual. */
#include <string.h>

#include "base/text.h"
#include "coordinator/run/core.h"

#define IN(state) (1u << CO_RUN_##state)

static const struct {
	unsigned in;	       /* states of the run in which the word may be said */
	const char *otherwise; /* what is true when it may not */
} verbs[CO_VERB_COUNT] = {
	[CO_VERB_APPROVE] = { IN(HELD), "nothing waits for approval" },
	[CO_VERB_REJECT] = { IN(HELD), "nothing waits for approval" },
	[CO_VERB_PAUSE] = { IN(RUNNING) | IN(HELD), "nothing runs that could be paused" },
	[CO_VERB_RESUME] = { IN(PAUSED) | IN(HALTED), "nothing is paused" },
	[CO_VERB_RETRY] = { IN(HALTED), "nothing has halted" },
	[CO_VERB_ABORT] = { IN(RUNNING) | IN(HELD) | IN(PAUSED) | IN(HALTED), "nothing runs" },
	[CO_VERB_ROLLBACK] = { IN(HALTED) | IN(HELD) | IN(PAUSED),
			       "no run stands where it could be rolled back" },
	[CO_VERB_END] = { IN(HELD), "no in-app maintenance is held" },
};

/* Does the row wait for this word? approve and reject are for "approve", end is for "hold". */
static bool
row_waits_for(const struct co_core *core, enum co_verb verb)
{
	bool hold = core->step != NULL && core->step->limit == CO_LIMIT_HOLD;

	if (verb == CO_VERB_END) return hold;
	if (verb == CO_VERB_APPROVE || verb == CO_VERB_REJECT) return !hold;
	return true;
}

/* One commit that only notes the word; the pump obeys it. */
static int
note_word(struct co_core *core, enum co_verb verb, const char *who)
{
	struct co_state *draft = co_draft(core);
	struct co_words *words = &draft->run.words;
	char text[FM_TEXT_SIZE];

	words->approved |= verb == CO_VERB_APPROVE;
	words->rejected |= verb == CO_VERB_REJECT;
	words->ended |= verb == CO_VERB_END;
	words->pause |= verb == CO_VERB_PAUSE;
	words->abort |= verb == CO_VERB_ABORT;
	draft->run.by_operator |= verb == CO_VERB_ABORT;
	FM_FORMAT(text, "%s, said %s", co_verb_name(verb), fm_is_empty(who) ? "a person" : who);
	co_tell_event(core, "note", draft->run.step, text, 0);
	return co_settle(core, NULL);
}

/* The current row anew: another epoch, another serial, its limit from the start. */
static int
enter_again(struct co_core *core, enum co_verb verb, const char *who)
{
	struct co_state *draft = co_draft(core);
	char text[FM_TEXT_SIZE];

	draft->epoch++;
	if (verb == CO_VERB_RETRY) draft->run.serial++;
	FM_FORMAT(text, "%s, said %s", co_verb_name(verb), fm_is_empty(who) ? "a person" : who);
	co_tell_event(core, "note", draft->run.step, text, 0);
	co_enter_row(core, draft, core->step);
	if (co_settle(core, NULL) != 0) return -1;
	co_entered(core, core->step);
	return 0;
}

/* Gives a halted run up: everything stays as it is, the cluster is free for another run. */
static int
give_up(struct co_core *core, const char *who)
{
	struct co_state *draft = co_draft(core);
	char text[FM_TEXT_SIZE];

	draft->run.state = CO_RUN_ENDED;
	draft->run.end = draft->run.recovering || draft->run.closed_ms != 0
				 ? CO_END_NEEDS_OPERATOR
				 : CO_END_STOPPED_BY_OPERATOR;
	draft->run.ended_ms = core->env.wall_ms(core->env.ctx);
	co_let_go(draft);
	co_end_links(draft);
	FM_FORMAT(text, "given up, said %s; everything stays as it is",
		  fm_is_empty(who) ? "a person" : who);
	co_tell_event(core, "end", draft->run.step, text, 0);
	if (co_settle(core, NULL) != 0) return -1;
	core->step = NULL;
	core->procedure = NULL;
	return 0;
}

static int
roll_back(struct co_core *core, struct fm_err *err)
{
	const struct co_step *step = core->step;
	const char *back = step == NULL ? NULL : step->back;

	if (core->state.run.recovering)
		return fm_fail(err, FM_ERR_REFUSED, 0,
			       "the run is on its way back already; type: fermata retry");
	if (core->procedure == NULL || core->procedure->recovery == NULL || step == NULL)
		return fm_fail(err, FM_ERR_REFUSED, 0, "this run has no way back");
	if (back == NULL) back = core->procedure->recovery[0].name;
	if (fm_is_equal(back, "preflight")) back = core->procedure->recovery[1].name;
	return co_turn_back(core, back, "a person wanted it");
}

static int
abort_run(struct co_core *core, const char *who, struct fm_err *err)
{
	const struct co_run *run = &core->state.run;

	if (run->state == CO_RUN_HALTED) return give_up(core, who);
	if (run->recovering)
		return fm_fail(err, FM_ERR_REFUSED, 0,
			       "the run is on its way back; it cannot be stopped there");
	if (core->step->fails == CO_HALT || core->step->fails == CO_CARRY_ON)
		return fm_fail(err, FM_ERR_REFUSED, 0,
			       "the run is past its point of no return (%s); let it end",
			       core->step->name);
	return note_word(core, CO_VERB_ABORT, who);
}

static int
obey(struct co_core *core, enum co_verb verb, const char *who, struct fm_err *err)
{
	switch (verb) {
	case CO_VERB_RESUME:
		if (core->state.run.state == CO_RUN_HALTED && !core->state.run.stalled)
			return fm_fail(
				err, FM_ERR_REFUSED, 0,
				"what failed does not go on by waiting; type: fermata retry");
		/* fall through */
	case CO_VERB_RETRY:
		if (core->step == NULL)
			return fm_fail(err, FM_ERR_REFUSED, 0, "%s; type: fermata abort",
				       core->state.run.why);
		return enter_again(core, verb, who);
	case CO_VERB_ROLLBACK:
		return roll_back(core, err);
	case CO_VERB_ABORT:
		return abort_run(core, who, err);
	case CO_VERB_APPROVE:
	case CO_VERB_REJECT:
	case CO_VERB_PAUSE:
	case CO_VERB_END:
	case CO_VERB_COUNT:
		break;
	}
	return note_word(core, verb, who);
}

int
co_note(struct co_core *core, const char *text, struct fm_mono now)
{
	core->now = now;
	co_draft(core);
	co_tell_event(core, "note", core->state.run.step, text, 0);
	return co_settle(core, NULL);
}

int
co_leave_out(struct co_core *core, unsigned count, const char names[][FM_NAME_SIZE],
	     const char *who, struct fm_mono now, struct fm_err *err)
{
	struct co_state *draft = co_draft(core);
	char text[FM_TEXT_SIZE] = "goes on without";

	core->now = now;
	if (draft->run.state == CO_RUN_NONE || draft->run.state == CO_RUN_ENDED)
		return fm_fail(err, FM_ERR_REFUSED, 0,
			       "no run is on that could go on without a gate or node");
	if (co_take_without(core, &draft->run, count, names, err) != 0) return -1;
	if (co_check_first(draft, err) != 0) return -1;
	for (unsigned i = 0; i < count; i++) FM_APPEND(text, " %s", names[i]);
	FM_APPEND(text, ", said %s", fm_is_empty(who) ? "a person" : who);
	co_tell_event(core, "note", draft->run.step, text, 0);
	if (co_settle(core, NULL) != 0)
		return fm_fail(err, FM_ERR_IO, 0,
			       "the journal cannot be written; nothing has changed");
	co_pump(core);
	return 0;
}

int
co_operate(struct co_core *core, enum co_verb verb, const char *who, struct fm_mono now,
	   struct fm_err *err)
{
	const struct co_run *run = &core->state.run;
	struct fm_err inner = { .kind = FM_ERR_NONE };

	core->now = now;
	if ((verbs[verb].in >> run->state & 1) == 0 || !row_waits_for(core, verb))
		return fm_fail(err, FM_ERR_REFUSED, 0, "%s", verbs[verb].otherwise);
	if (obey(core, verb, who, &inner) != 0) {
		if (inner.kind == FM_ERR_NONE)
			return fm_fail(err, FM_ERR_IO, 0,
				       "the journal cannot be written; nothing has changed");
		if (err != NULL) *err = inner;
		return -1;
	}
	co_pump(core);
	return 0;
}
