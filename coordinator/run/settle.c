/* settle.c - the draft is committed, then said to the peers: in this order. */
#include <string.h>

#include "base/text.h"
#include "coordinator/run/core.h"

static bool
same_names(unsigned count, const char a[][FM_NAME_SIZE], const char b[][FM_NAME_SIZE])
{
	for (unsigned i = 0; i < count; i++)
		if (!fm_is_equal(a[i], b[i])) return false;
	return true;
}

/* Two asks are the same when only their voices differ. */
static bool
same_node_ask(const struct fm_agent_ask *a, const struct fm_agent_ask *b)
{
	return a->run == b->run && a->app == b->app && a->start == b->start &&
	       a->restore_serial == b->restore_serial && a->start_serial == b->start_serial &&
	       a->keep_count == b->keep_count && fm_is_equal(a->release, b->release) &&
	       fm_is_equal(a->fetch, b->fetch) && fm_is_equal(a->snapshot, b->snapshot) &&
	       fm_is_equal(a->restore, b->restore) && same_names(a->keep_count, a->keep, b->keep);
}

static bool
same_gate_ask(const struct fm_gate_ask *a, const struct fm_gate_ask *b)
{
	if (a->bypass.shut != b->bypass.shut || !fm_is_equal(a->bypass.node, b->bypass.node) ||
	    memcmp(a->bypass.key, b->bypass.key, sizeof(a->bypass.key)) != 0)
		return false;
	return a->mode == b->mode && a->drained_count == b->drained_count && a->hole == b->hole &&
	       a->cut_after_ms == b->cut_after_ms && a->back_at == b->back_at && a->run == b->run &&
	       a->refresh == b->refresh && a->phase == b->phase && a->estimated == b->estimated &&
	       fm_is_equal(a->pinned, b->pinned) && fm_is_equal(a->message, b->message) &&
	       fm_is_equal(a->step, b->step) && fm_is_equal(a->command, b->command) &&
	       same_names(a->drained_count, a->drained, b->drained);
}

/* What is new gets a new voice; in a new epoch everything is. Returns a mask of nodes, and bit 63 for
 * the gates. */
static uint64_t
give_voice(const struct co_state *old, struct co_state *next)
{
	bool turn = next->epoch != old->epoch;
	uint64_t changed = 0;

	for (unsigned i = 0; i < next->node_count; i++) {
		if (!turn && same_node_ask(&old->nodes[i], &next->nodes[i])) continue;
		next->nodes[i].voice = (struct fm_voice){ next->epoch, ++next->seq };
		changed |= UINT64_C(1) << i;
	}
	if (turn || !same_gate_ask(&old->gate, &next->gate)) {
		next->gate.voice = (struct fm_voice){ next->epoch, ++next->seq };
		changed |= UINT64_C(1) << 63;
	}
	return changed;
}

void
co_ask_again_node(struct co_core *core, unsigned node)
{
	core->node_asked[node] = core->now;
	if (core->fleet.nodes[node].connected)
		core->env.ask_node(core->env.ctx, node, &core->state.nodes[node]);
}

void
co_ask_again_gate(struct co_core *core, unsigned gate)
{
	core->gate_asked[gate] = core->now;
	if (core->fleet.gates[gate].connected)
		core->env.ask_gate(core->env.ctx, gate, &core->state.gate);
}

static void
say(struct co_core *core, uint64_t changed)
{
	for (unsigned i = 0; i < core->state.node_count; i++)
		if (changed >> i & 1) co_ask_again_node(core, i);
	if (changed >> 63 == 0) return;
	for (unsigned i = 0; i < core->config.gate_count; i++) co_ask_again_gate(core, i);
}

int
co_settle(struct co_core *core, const struct co_point_row *point)
{
	uint64_t changed = 0;
	struct co_run_row row;

	co_name_drained(core, &core->next);
	changed = give_voice(&core->state, &core->next);
	co_row_of(core, &core->next, &row);
	if (core->env.commit(core->env.ctx, &core->next, row.run == 0 ? NULL : &row, core->events,
			     core->event_count, point) != 0) {
		core->journal_refuses = true;
		core->journal_retry = fm_mono_after(core->now, CO_TICK_MS);
		return -1;
	}
	core->journal_refuses = false;
	memcpy(&core->state, &core->next, co_state_size(&core->next));
	say(core, changed);
	for (unsigned i = 0; i < core->event_count; i++)
		core->env.event(core->env.ctx, &core->events[i]);
	core->event_count = 0;
	return 0;
}

void
co_remind(struct co_core *core)
{
	for (unsigned i = 0; i < core->state.node_count; i++) {
		if (co_node_obeys(&core->fleet.nodes[i], core->state.nodes[i].voice)) continue;
		if (fm_mono_since(core->now, core->node_asked[i]) >= CO_REMIND_MS)
			co_ask_again_node(core, i);
	}
	for (unsigned i = 0; i < core->config.gate_count; i++) {
		if (co_gate_obeys(&core->fleet.gates[i], core->state.gate.voice)) continue;
		if (fm_mono_since(core->now, core->gate_asked[i]) >= CO_REMIND_MS)
			co_ask_again_gate(core, i);
	}
}
