/* persons.c - rows that wait for a person's word, and choices a person made in the order. */
#include "base/text.h"
#include "coordinator/steps/steps.h"

bool
co_wants_approval(const struct co_turn *t)
{
	return !t->state->run.yes;
}

bool
co_opens_when_all(const struct co_turn *t)
{
	return !t->state->run.open_first;
}

bool
co_opens_when_first(const struct co_turn *t)
{
	return t->state->run.open_first;
}

enum co_verdict
co_is_approved(const struct co_turn *t, struct co_who who)
{
	(void)who;
	if (t->state->run.words.rejected)
		return co_say(t, CO_FAILED, "rejected after verification");
	if (t->state->run.words.approved) return CO_DONE;
	return co_say(t, CO_WAIT,
		      "a person to look at %s (fermata bypass) and type: fermata approve",
		      co_node_name(t, t->state->run.first));
}

enum co_verdict
co_is_ended(const struct co_turn *t, struct co_who who)
{
	(void)who;
	if (t->state->run.words.ended) return CO_DONE;
	return co_say(t, CO_WAIT, "a person to work on %s%s and type: fermata maintenance end",
		      co_node_name(t, t->state->run.first),
		      t->state->run.page ? " (fermata bypass)" : "");
}
