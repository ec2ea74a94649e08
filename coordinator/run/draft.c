/* draft.c - a copy of the state for the next change, and the events that tell of it. */
#include <string.h>

#include "base/check.h"
#include "base/text.h"
#include "coordinator/run/core.h"

size_t
co_state_size(const struct co_state *state)
{
	return offsetof(struct co_state, nodes) + state->node_count * sizeof(state->nodes[0]);
}

struct co_state *
co_draft(struct co_core *core)
{
	memcpy(&core->next, &core->state, co_state_size(&core->state));
	core->event_count = 0;
	return &core->next;
}

void
co_tell_event(struct co_core *core, const char *kind, const char *step, const char *text,
	      int64_t took_ms)
{
	struct co_event_row *event = &core->events[core->event_count];

	CHECK(core->event_count < CO_EVENTS_MAX);
	*event = (struct co_event_row){
		.run = core->next.run.number,
		.number = ++core->next.run.events,
		.at_ms = core->env.wall_ms(core->env.ctx),
		.took_ms = took_ms,
	};
	FM_COPY(event->kind, kind);
	FM_COPY(event->step, step);
	FM_COPY(event->text, text);
	core->event_count++;
}
