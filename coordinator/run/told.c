/* told.c - what nodes tell of their own accord, into the timeline: how the operator's commands ended. Each
 * once: a report is said again and again, and after a crash of either side. */
#include "base/text.h"
#include "coordinator/run/core.h"

static void
tell_hook(struct co_core *core, unsigned node, const struct fm_hook_told *told)
{
	char text[FM_TEXT_SIZE];

	FM_FORMAT(text, "%s %s %s%s%s%s", core->state.node_names[node], told->hook,
		  told->ok ? "ended well" : "failed",
		  told->goes_on ? ", which is a warning only" : "",
		  fm_is_empty(told->text) ? "" : ": ", told->text);
	co_tell_event(core, "hook", core->next.run.step, text, (int64_t)told->took_ms);
}

void
co_take_told(struct co_core *core, unsigned node)
{
	const struct fm_hook_told *told = core->fleet.nodes[node].report.hooks;
	uint64_t newest = told[FM_HOOKS_TOLD - 1].serial, seen = core->state.hooks_seen[node];
	unsigned count = 0;

	for (unsigned i = 0; i < FM_HOOKS_TOLD; i++)
		if (told[i].serial > newest) newest = told[i].serial;
	if (newest == 0 || newest == seen) return;
	/* Its state was made anew, and counts from the beginning. */
	if (newest < seen) seen = 0;
	co_draft(core);
	for (unsigned i = 0; i < FM_HOOKS_TOLD && count < CO_EVENTS_MAX; i++) {
		if (told[i].serial <= seen) continue;
		tell_hook(core, node, &told[i]);
		count++;
	}
	core->next.hooks_seen[node] = newest;
	(void)co_settle(core, NULL);
}
