
/*
 * The decision of the gate.  See fm_gate.h.
 */

#include <string.h>

#include "fm_gate.h"

#define FM_GATE_DENIED_MASK ((UINT64_C(1) << FM_GATE_DENIED_BITS) - 1)

uint64_t
fm_gate_word(enum fm_gate_mode mode, int pinned, uint64_t denied)
{
	uint64_t pin;

	pin = 0;

	if (mode == FM_GATE_PINNED && pinned >= 0 && pinned < FM_GATE_DENIED_BITS) {
		pin = (uint64_t)pinned + 1;
	}

	return (uint64_t)mode << 56 | pin << 48 | (denied & FM_GATE_DENIED_MASK);
}

uint64_t
fm_gate_word_closed(int bypass, uint64_t denied)
{
	uint64_t index;

	if (bypass < FM_GATE_BYPASS_ALL || bypass >= FM_GATE_DENIED_BITS) {
		bypass = FM_GATE_BYPASS_NONE;
	}

	index = (uint64_t)bypass + 1;

	return (uint64_t)FM_GATE_CLOSED << 56 | index << 48 | (denied & FM_GATE_DENIED_MASK);
}

enum fm_gate_mode
fm_gate_word_mode(uint64_t word)
{
	return (enum fm_gate_mode)(word >> 56);
}

int
fm_gate_word_pinned(uint64_t word)
{
	return (int)(word >> 48 & 0xff) - 1;
}

uint64_t
fm_gate_word_denied(uint64_t word)
{
	return word & FM_GATE_DENIED_MASK;
}

uint64_t
fm_gate_word_nodes(uint64_t word, uint64_t nodes)
{
	int pinned;

	nodes &= ~fm_gate_word_denied(word);

	if (fm_gate_word_mode(word) != FM_GATE_PINNED) {
		return nodes;
	}

	pinned = fm_gate_word_pinned(word);

	/* pinned to a node that this gate does not know: nobody serves */

	return pinned == FM_GATE_NO_NODE ? 0 : nodes & UINT64_C(1) << pinned;
}

bool
fm_gate_may_use(uint64_t word, int node)
{
	if (node < 0 || node >= FM_GATE_DENIED_BITS) {
		/* a server without a name cannot be drained, nor be the pinned one */

		return fm_gate_word_mode(word) != FM_GATE_PINNED;
	}

	return fm_gate_word_nodes(word, UINT64_C(1) << node) != 0;
}

/* A mode that we do not know is a closed one. */
static bool
fm_gate_is_closed(uint64_t word)
{
	enum fm_gate_mode mode;

	mode = fm_gate_word_mode(word);

	return mode != FM_GATE_OPEN && mode != FM_GATE_PINNED;
}

/* Those of nodes that an operator's request may reach on a closed gate. */
static uint64_t
fm_gate_word_bypass(uint64_t word, uint64_t nodes)
{
	int only;

	nodes &= ~fm_gate_word_denied(word);
	only = fm_gate_word_pinned(word);

	if (only == FM_GATE_BYPASS_ALL) {
		return nodes;
	}

	return only >= FM_GATE_DENIED_BITS ? 0 : nodes & UINT64_C(1) << only;
}

bool
fm_gate_may_bypass(uint64_t word, int node)
{
	if (!fm_gate_is_closed(word)) {
		return fm_gate_may_use(word, node);
	}

	if (node < 0 || node >= FM_GATE_DENIED_BITS) {
		/* nobody can say that a server without a name is the one */

		return fm_gate_word_pinned(word) == FM_GATE_BYPASS_ALL;
	}

	return fm_gate_word_bypass(word, UINT64_C(1) << node) != 0;
}

int
fm_gate_only_node(uint64_t word, bool is_bypass)
{
	int only;

	if (fm_gate_is_closed(word) && !is_bypass) {
		return FM_GATE_NO_NODE;
	}

	only = fm_gate_word_pinned(word);

	return only < FM_GATE_DENIED_BITS ? only : FM_GATE_NO_NODE;
}

bool
fm_gate_has_bypass(uint64_t word)
{
	return fm_gate_is_closed(word) && fm_gate_word_pinned(word) != FM_GATE_BYPASS_NONE;
}

bool
fm_gate_serves(uint64_t word, uint64_t nodes)
{
	if (fm_gate_is_closed(word)) {
		return false;
	}

	return nodes == 0 || fm_gate_word_nodes(word, nodes) != 0;
}

uint64_t
fm_gate_hold_left(uint64_t hole_at, uint64_t now, uint64_t limit)
{
	uint64_t passed;

	if (hole_at == 0) {
		return 0;
	}

	/* a process may know the time a little later than the one that set it */

	passed = now > hole_at ? now - hole_at : 0;

	return passed < limit ? limit - passed : 0;
}

enum fm_gate_verdict
fm_gate_decide(uint64_t word, const struct fm_gate_facts *facts)
{
	uint64_t nodes;

	if (word == FM_GATE_WORD_OPEN || facts->is_off) {
		return FM_GATE_PASS;
	}

	if (fm_gate_serves(word, facts->nodes)) {
		return FM_GATE_PASS;
	}

	if (facts->is_bypass && fm_gate_has_bypass(word)) {
		nodes = fm_gate_word_bypass(word, facts->nodes);

		if (facts->nodes == 0 || nodes != 0) {
			return FM_GATE_PASS;
		}
	}

	if (facts->is_asset) {
		return FM_GATE_ASSET;
	}

	if (facts->hold_ms && (facts->holds_closed || !fm_gate_is_closed(word))) {
		return FM_GATE_HOLD;
	}

	return facts->wants_json ? FM_GATE_REFUSE : FM_GATE_PAGE;
}

bool
fm_gate_is_over(uint64_t word, uint64_t closed_at, const struct fm_gate_ride *ride)
{
	if (ride->node != FM_GATE_NO_NODE && !fm_gate_may_use(word, ride->node)) {
		return true;
	}

	if (!fm_gate_is_closed(word)) {
		return false;
	}

	if (ride->is_bypass) {
		if (!fm_gate_has_bypass(word)) {
			return true;
		}

		if (ride->node != FM_GATE_NO_NODE && !fm_gate_may_bypass(word, ride->node)) {
			return true;
		}
	}

	return !ride->is_exempt || ride->since < closed_at;
}

bool
fm_gate_is_same_rule(const struct fm_gate_ask *a, const struct fm_gate_ask *b)
{
	unsigned i;

	if (a->bypass.shut != b->bypass.shut || strcmp(a->bypass.node, b->bypass.node) != 0 ||
	    memcmp(a->bypass.key, b->bypass.key, sizeof(a->bypass.key)) != 0) {
		return false;
	}

	if (a->hole != b->hole) {
		return false;
	}

	if (a->mode != b->mode || a->cut_after_ms != b->cut_after_ms ||
	    a->drained_count != b->drained_count || strcmp(a->pinned, b->pinned) != 0) {
		return false;
	}

	for (i = 0; i < a->drained_count; i++) {
		if (strcmp(a->drained[i], b->drained[i]) != 0) {
			return false;
		}
	}

	return true;
}

enum fm_gate_hearing
fm_gate_hear(const struct fm_gate_ask *taken, const struct fm_gate_ask *asked)
{
	const struct fm_voice *now, *voice;

	now = &taken->voice;
	voice = &asked->voice;

	if (voice->epoch != now->epoch) {
		return voice->epoch > now->epoch ? FM_GATE_TAKE : FM_GATE_STALE;
	}

	if (voice->seq != now->seq) {
		return voice->seq > now->seq ? FM_GATE_TAKE : FM_GATE_STALE;
	}

	return fm_gate_is_same_rule(taken, asked) ? FM_GATE_REPEAT : FM_GATE_CLASH;
}
