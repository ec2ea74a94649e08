/* gates.c - what rows ask of the gates. All gates have one want: they are flipped as one. */
#include <string.h>

#include "base/text.h"
#include "coordinator/steps/steps.h"

/* Have visitors a version in their tabs that is not the one to come? An upgrade that was taken back before
 * anybody was let in has changed nothing for them; a rollback after that has. */
static bool
version_changes(const struct co_run *run)
{
	if (run->opened && run->verified) return true;
	return !run->recovering && !fm_is_equal(run->to, run->from);
}

static void
set_mode(struct co_turn *t, enum fm_gate_mode mode, const char *pinned)
{
	struct fm_gate_ask *gate = &t->state->gate;

	gate->mode = mode;
	if (mode != FM_GATE_CLOSED) t->state->run.closed = false;
	t->state->run.drains = false;
	FM_COPY(gate->pinned, pinned);
	gate->bypass.node[0] = '\0';
	gate->bypass.shut = false;
	/* The rest of the drain's limit is for the proof that what was cut is gone. */
	gate->cut_after_ms = (uint32_t)(t->config->limits_ms[CO_LIMIT_DRAIN] * 8 / 10);
	gate->refresh = version_changes(&t->state->run);
}

/* The application is about to be stopped: operators are visitors until the first node is there again. */
void
co_ask_close(struct co_turn *t, struct co_who who)
{
	(void)who;
	set_mode(t, FM_GATE_CLOSED, "");
	t->state->gate.bypass.shut = true;
}

/* The page alone: operators go on using all nodes. */
void
co_ask_page(struct co_turn *t, struct co_who who)
{
	(void)who;
	set_mode(t, FM_GATE_CLOSED, "");
}

void
co_let_operators_in(struct co_turn *t)
{
	struct fm_gate_bypass *bypass = &t->state->gate.bypass;

	if (t->state->gate.mode != FM_GATE_CLOSED) return;
	bypass->shut = false;
	FM_COPY(bypass->node, co_node_name(t, t->state->run.first));
}

void
co_keep_operators_out(struct co_turn *t, unsigned node)
{
	struct fm_gate_bypass *bypass = &t->state->gate.bypass;

	if (t->state->gate.mode != FM_GATE_CLOSED) return;
	if (fm_is_empty(bypass->node) || fm_is_equal(bypass->node, co_node_name(t, node)))
		bypass->shut = true;
}

void
co_ask_pin(struct co_turn *t, struct co_who who)
{
	(void)who;
	set_mode(t, FM_GATE_PINNED, co_node_name(t, t->state->run.first));
}

void
co_ask_pin_or_page(struct co_turn *t, struct co_who who)
{
	if (!t->state->run.page) {
		co_ask_pin(t, who);
		return;
	}
	co_ask_page(t, who);
	co_let_operators_in(t);
}

void
co_ask_open(struct co_turn *t, struct co_who who)
{
	(void)who;
	set_mode(t, FM_GATE_OPEN, "");
}

void
co_ask_drain_one(struct co_turn *t, struct co_who who)
{
	(void)who;
	set_mode(t, FM_GATE_OPEN, "");
	t->state->run.drains = true;
}

void
co_ask_undrain(struct co_turn *t, struct co_who who)
{
	co_ask_open(t, who);
}

/* A gate that is away and left out is not waited for. One that is there is, always: it may be letting
 * visitors in. */
static bool
is_left_out(const struct co_turn *t, unsigned gate)
{
	return !t->fleet->gates[gate].connected &&
	       co_is_without(&t->state->run, t->config->gates[gate]);
}

/* Held in another mode by hand on its own host: only there it can be taken back. */
static enum co_verdict
say_override(const struct co_turn *t, const struct fm_gate_report *report, const char *name)
{
	return co_say(t, CO_WAIT,
		      "gate %s to be %s: it is %s by hand of %s. On its host, type: fermata gate "
		      "resume --local",
		      name, fm_gate_mode_name(t->state->gate.mode), fm_gate_mode_name(report->mode),
		      report->override_by);
}

/* Has this gate the mode that is wanted, in every worker and on disk? */
static enum co_verdict
has_mode(const struct co_turn *t, struct co_who who)
{
	const struct co_gate *gate = &t->fleet->gates[who.i];
	const char *name = t->config->gates[who.i];

	if (is_left_out(t, who.i)) return CO_DONE;
	if (!gate->connected) return co_say_gate_away(t, who.i, "retry");
	if (!fm_is_empty(gate->report.error))
		return co_say(t, CO_WAIT, "gate %s: %s", name, gate->report.error);
	if (!co_gate_obeys(gate, t->state->gate.voice))
		return co_say(t, CO_WAIT, "gate %s to change its mode", name);
	if (gate->report.mode == t->state->gate.mode) return CO_DONE;
	if (gate->report.override != FM_GATE_NONE) return say_override(t, &gate->report, name);
	return co_say(t, CO_WAIT, "gate %s to be %s", name, fm_gate_mode_name(t->state->gate.mode));
}

enum co_verdict
co_is_closed(const struct co_turn *t, struct co_who who)
{
	return has_mode(t, who);
}

enum co_verdict
co_is_pinned(const struct co_turn *t, struct co_who who)
{
	return has_mode(t, who);
}

enum co_verdict
co_is_open(const struct co_turn *t, struct co_who who)
{
	return has_mode(t, who);
}

enum co_verdict
co_is_drained(const struct co_turn *t, struct co_who who)
{
	const struct fm_gate_report *report = &t->fleet->gates[who.i].report;
	enum co_verdict verdict = has_mode(t, who);

	if (verdict != CO_DONE || is_left_out(t, who.i)) return verdict;
	if (report->in_flight != 0 || report->websockets != 0 || report->idle != 0)
		return co_say(t, CO_WAIT,
			      "%u requests, %u websockets and %u kept connections at gate %s",
			      report->in_flight, report->websockets, report->idle,
			      t->config->gates[who.i]);
	return CO_DONE;
}

/* Does this gate still have something under way to the node? */
static enum co_verdict
node_is_drained(const struct co_turn *t, struct co_who who, const char *node)
{
	const struct fm_gate_report *report = &t->fleet->gates[who.i].report;

	if (is_left_out(t, who.i)) return CO_DONE;
	for (unsigned i = 0; i < report->node_count; i++) {
		const struct fm_node_traffic *traffic = &report->nodes[i];

		if (!fm_is_equal(traffic->name, node)) continue;
		if (traffic->in_flight == 0 && traffic->websockets == 0 && traffic->idle == 0)
			continue;
		return co_say(t, CO_WAIT,
			      "%u requests, %u websockets and %u kept connections on %s at gate %s",
			      traffic->in_flight, traffic->websockets, traffic->idle, node,
			      t->config->gates[who.i]);
	}
	return CO_DONE;
}

enum co_verdict
co_others_are_drained(const struct co_turn *t, struct co_who who)
{
	enum co_verdict verdict = has_mode(t, who);

	for (unsigned i = 0; verdict == CO_DONE && i < t->state->node_count; i++)
		if (i != t->state->run.first && !t->config->workers[i])
			verdict = node_is_drained(t, who, co_node_name(t, i));
	return verdict;
}

enum co_verdict
co_one_is_drained(const struct co_turn *t, struct co_who who)
{
	enum co_verdict verdict = has_mode(t, who);

	if (verdict != CO_DONE || t->config->workers[t->state->run.subject]) return verdict;
	return node_is_drained(t, who, co_node_name(t, t->state->run.subject));
}

void
co_note_closed(struct co_turn *t)
{
	struct co_run *run = &t->state->run;

	run->closed = true;
	if (run->closed_ms == 0) run->closed_ms = t->wall_ms;
}

void
co_note_opened(struct co_turn *t)
{
	struct co_run *run = &t->state->run;

	if (run->opened_ms == 0) run->opened_ms = t->wall_ms;
	run->opened = true;
	if (run->recovering || fm_is_equal(run->to, run->from)) return;
	t->state->back = (struct co_way_back){ .opened_ms = run->opened_ms };
	if (!run->verified) return;
	FM_COPY(t->state->back.restore_point, run->restore_point);
	FM_COPY(t->state->back.storage_node, run->storage_node);
	FM_COPY(t->state->back.version, run->from);
}
