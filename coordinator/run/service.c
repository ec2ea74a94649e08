/* service.c - which nodes the gates have for visitors: a rule of their ask, in a run and outside. A row says
 * whether they are open, pinned or closed, and which node it takes out; this says which nodes cannot
 * serve, from what their agents report. docs/design.md, "Nodes that cannot serve". */
#include <string.h>

#include "base/text.h"
#include "coordinator/run/core.h"

#define FALLS_MOST 3 /* so often within FALLS_MS, and it is to show first that it stays */
#define FALLS_MS (10 * 60 * 1000)
#define STEADY_MS (60 * 1000) /* ready for so long */

/* What a report means for visitors. DOWN is certain: nothing is there that could answer them. */
enum service { AS_BEFORE, SERVES, UNREADY, DOWN };

/* live: there is a process, and it was ready since its start. One that was, and is not just now, waits for its
 * database or has too much to do: its load on the others would be the end of them, too. */
static const struct {
	enum service none, fresh, live;
} means[] = {
	/* no process, never ready yet, was ready */
	[FM_APP_UNKNOWN] = { AS_BEFORE, AS_BEFORE, AS_BEFORE },
	[FM_APP_STOPPED] = { DOWN, UNREADY, UNREADY },
	[FM_APP_STARTING] = { DOWN, DOWN, AS_BEFORE },
	[FM_APP_READY] = { SERVES, SERVES, SERVES },
	[FM_APP_FAILED] = { DOWN, UNREADY, UNREADY },
	[FM_APP_STOPPING] = { DOWN, UNREADY, UNREADY },
	[FM_APP_REFUSED] = { DOWN, UNREADY, UNREADY },
	[FM_APP_BACKOFF] = { DOWN, UNREADY, UNREADY },
	[FM_APP_STUCK] = { DOWN, UNREADY, AS_BEFORE },
};

static bool
is_other_release(const struct co_node *node, const struct fm_agent_ask *want)
{
	const char *running = node->report.running;

	return !fm_is_empty(want->release) && !fm_is_empty(running) &&
	       !fm_is_equal(running, want->release);
}

static enum service
service_of(const struct co_core *core, unsigned i)
{
	const struct co_node *node = &core->fleet.nodes[i];
	const struct co_state *state = &core->state;
	enum service is = AS_BEFORE;

	/* A person has said that nothing runs there. */
	if (!node->connected && co_is_without(&state->run, state->node_names[i])) return UNREADY;
	if (!node->reported) return AS_BEFORE;
	if (is_other_release(node, &state->nodes[i])) return UNREADY;
	is = node->report.pids == 0 ? means[node->report.app].none
	     : node->was_ready	    ? means[node->report.app].live
				    : means[node->report.app].fresh;
	/* What its agent said last is what is known; whether it is still so, nobody knows. */
	return is == DOWN && !node->connected ? UNREADY : is;
}

static uint64_t
bit(unsigned i)
{
	return UINT64_C(1) << i;
}

/* Those that take requests, and are not taken out by the row. */
static uint64_t
candidates(const struct co_core *core, const struct co_state *state)
{
	uint64_t mask = 0;

	for (unsigned i = 0; i < state->node_count; i++)
		if (!core->config.workers[i] && !(state->run.drains && i == state->run.subject))
			mask |= bit(i);
	return mask;
}

static uint64_t
kept_out(const struct co_state *state)
{
	uint64_t mask = 0;

	for (unsigned i = 0; i < state->node_count; i++)
		if (state->kept_out[i]) mask |= bit(i);
	return mask;
}

/* Nobody serves for certain while all of these are down. */
static bool
are_down(const struct co_core *core, uint64_t nodes)
{
	for (unsigned i = 0; i < core->state.node_count; i++)
		if ((nodes & bit(i)) && service_of(core, i) != DOWN) return false;
	return nodes != 0;
}

/* Of the nodes that a row leaves to visitors: whom the gates are to send nothing. */
static uint64_t
unfit(const struct co_core *core, const struct co_state *state, bool *ret_hole)
{
	uint64_t may = candidates(core, state);

	*ret_hole = false;
	if (state->gate.mode != FM_GATE_OPEN && state->gate.mode != FM_GATE_PINNED) return 0;
	for (unsigned i = 0; state->gate.mode == FM_GATE_PINNED && i < state->node_count; i++)
		if (!fm_is_equal(state->node_names[i], state->gate.pinned)) may &= ~bit(i);
	*ret_hole = are_down(core, may);
	if (*ret_hole) return may;
	/* The last one is left to nginx. */
	if (state->gate.mode == FM_GATE_PINNED || (may & ~kept_out(state)) == 0) return 0;
	return may & kept_out(state);
}

/* By the row and by this rule. */
static uint64_t
drained(const struct co_core *core, const struct co_state *state, bool *ret_hole)
{
	uint64_t row = 0;

	/* No gate knows a worker. */
	if (state->run.drains && !core->config.workers[state->run.subject])
		row = bit(state->run.subject);
	return row | unfit(core, state, ret_hole);
}

static uint64_t
named(const struct co_state *state)
{
	uint64_t mask = 0;

	for (unsigned i = 0; i < state->node_count; i++)
		for (unsigned k = 0; k < state->gate.drained_count; k++)
			if (fm_is_equal(state->gate.drained[k], state->node_names[i]))
				mask |= bit(i);
	return mask;
}

void
co_name_drained(const struct co_core *core, struct co_state *draft)
{
	struct fm_gate_ask *gate = &draft->gate;
	uint64_t mask = drained(core, draft, &gate->hole);

	gate->drained_count = 0;
	for (unsigned i = 0; i < draft->node_count; i++)
		if (mask & bit(i))
			FM_COPY(gate->drained[gate->drained_count++], draft->node_names[i]);
}

/* One that falls out again and again is to be ready for a while before it is taken in; the only one that could
 * serve is taken in at once. */
static bool
is_steady(const struct co_core *core, unsigned i)
{
	uint64_t others = candidates(core, &core->state) & ~kept_out(&core->state) & ~bit(i);

	return core->falls[i].count < FALLS_MOST || others == 0 ||
	       fm_mono_since(core->now, core->fleet.nodes[i].ready_since) >= STEADY_MS;
}

static bool
keeps_out(const struct co_core *core, unsigned i)
{
	bool before = core->state.kept_out[i];

	switch (service_of(core, i)) {
	case SERVES:
		return before && !is_steady(core, i);
	case UNREADY:
	case DOWN:
		return true;
	case AS_BEFORE:
		break;
	}
	return before;
}

/* By itself, and not since a run has it stopped, and from under visitors. */
static void
note_fall(struct co_core *core, unsigned i)
{
	enum fm_gate_mode mode = core->state.gate.mode;

	if (core->state.nodes[i].run != 0) return;
	if (mode != FM_GATE_OPEN && mode != FM_GATE_PINNED) return;
	if (fm_mono_since(core->now, core->falls[i].last) > FALLS_MS) core->falls[i].count = 0;
	core->falls[i].count++;
	core->falls[i].last = core->now;
}

static void
tell_change(struct co_core *core, uint64_t before, uint64_t after)
{
	char text[FM_TEXT_SIZE] = "";

	for (unsigned i = 0; i < core->state.node_count; i++) {
		const struct fm_agent_report *report = &core->fleet.nodes[i].report;

		if (((before ^ after) & bit(i)) == 0) continue;
		FM_APPEND(text, "%s%s gets ", text[0] ? "; " : "", core->state.node_names[i]);
		if ((after & bit(i)) == 0)
			FM_APPEND(text, "visitors again");
		else
			FM_APPEND(text, "no visitors: it is %s%s%s", fm_app_state_name(report->app),
				  fm_is_empty(report->detail) ? "" : ", ", report->detail);
	}
	if (core->next.run.number != 0 && before != after)
		co_tell_event(core, "note", core->next.run.step, text, 0);
}

bool
co_draft_service(struct co_core *core, uint64_t *ret_fallen)
{
	const struct co_state *state = &core->state;
	bool kept[FM_NODES_MAX] = { false };
	struct co_state *draft = NULL;
	uint64_t before = named(state);
	bool same = true, hole = false;

	for (unsigned i = 0; i < state->node_count; i++) {
		kept[i] = keeps_out(core, i);
		same &= kept[i] == state->kept_out[i];
	}
	if (same && drained(core, state, &hole) == before && hole == state->gate.hole) return false;
	draft = co_draft(core);
	memcpy(draft->kept_out, kept, sizeof(kept));
	tell_change(core, before, drained(core, draft, &hole));
	*ret_fallen = kept_out(draft) & ~kept_out(state);
	return true;
}

void
co_note_fallen(struct co_core *core, uint64_t fallen)
{
	for (unsigned i = 0; i < core->state.node_count; i++)
		if (fallen & bit(i)) note_fall(core, i);
}

bool
co_core_is_drained(const struct co_core *core, unsigned node)
{
	return (named(&core->state) & bit(node)) != 0;
}

/* What is said of a node that is kept out. */
static void
say_kept_out(const struct co_core *core, unsigned i, char *text, size_t size)
{
	const struct co_node *node = &core->fleet.nodes[i];
	const struct fm_agent_ask *want = &core->state.nodes[i];

	if (node->reported && is_other_release(node, want))
		fm_format(text, size, "gets no visitors: it runs %s, and is to run %s",
			  node->report.running, want->release);
	else if (node->connected && node->report.app == FM_APP_READY)
		fm_format(
			text, size,
			"gets no visitors before it was ready for a minute: it fell out again and "
			"again");
	else
		fm_format(text, size, "gets no visitors until it is ready");
}

void
co_core_say_service(const struct co_core *core, unsigned node, char *text, size_t size)
{
	const struct co_state *state = &core->state;
	bool is_told = co_core_is_drained(core, node);

	fm_format(text, size, "%s", "");
	if (state->gate.mode != FM_GATE_OPEN && state->gate.mode != FM_GATE_PINNED) return;
	if (is_told && !state->kept_out[node])
		fm_format(text, size, "gets no visitors: the run has taken it out");
	else if (is_told)
		say_kept_out(core, node, text, size);
	else if (state->kept_out[node] && (candidates(core, state) & bit(node)) &&
		 state->gate.mode == FM_GATE_OPEN)
		fm_format(text, size, "gets visitors though it is not ready: no other node is");
}
