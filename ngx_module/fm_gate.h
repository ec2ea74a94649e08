
/*
 * The decision of the gate, pure: a control word and the facts of a request
 * in, a verdict out.  No nginx, no clock, no memory of its own.
 *
 * The control word is one 64-bit number, so that one aligned load is a
 * coherent picture of the whole gate:
 *
 *     bits  0-47   nodes that get nothing new, by index
 *     bits 48-55   pinned: the node + 1, 0: none; closed: the node + 1 that an
 *                  operator's bypass reaches, 0: every node, 255: none
 *     bits 56-63   the mode (enum fm_gate_mode)
 */

#ifndef FM_GATE_H
#define FM_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/ask.h"

#define FM_GATE_NO_NODE (-1)
#define FM_GATE_DENIED_BITS 48

/* Open, nothing pinned, nothing drained: most words, most of the time. */
#define FM_GATE_WORD_OPEN ((uint64_t)FM_GATE_OPEN << 56)

enum fm_gate_verdict {
	FM_GATE_PASS = 0,
	FM_GATE_PAGE,	/* the page for people */
	FM_GATE_REFUSE, /* the same for programs, as JSON */
	FM_GATE_HOLD,	/* neither yet: it waits for hold_ms, then once more */
	FM_GATE_ASSET	/* a part of the client: from the gate's own disk */
};

enum fm_gate_hearing {
	FM_GATE_TAKE = 0, /* a later voice: carry it out */
	FM_GATE_REPEAT,	  /* the one already obeyed */
	FM_GATE_STALE,	  /* an earlier voice: never carried out */
	FM_GATE_CLASH	  /* the same voice with other rules */
};

struct fm_gate_facts {
	uint64_t nodes; /* every node this gate knows, by index */
	bool is_off;	/* the gate is off here: assets, health */
	bool is_bypass; /* an operator's */
	bool wants_json;
	bool is_asset;	  /* and the gate has those on disk */
	uint64_t hold_ms; /* it may wait so long; 0: it may not */
	bool holds_closed;
};

/* A request that has been let through and has not ended yet. */
struct fm_gate_ride {
	uint64_t since; /* number of the change it was let through at */
	int node;	/* FM_GATE_NO_NODE: none chosen yet */
	bool is_exempt; /* gate off, or bypass */
	bool is_bypass;
};

/* Whom a bypass reaches while the gate is closed, in place of an index. */
#define FM_GATE_BYPASS_ALL (-1)
#define FM_GATE_BYPASS_NONE 254

uint64_t fm_gate_word(enum fm_gate_mode mode, int pinned, uint64_t denied);

/* The word of a closed gate; bypass is an index, or one of the two above. */
uint64_t fm_gate_word_closed(int bypass, uint64_t denied);
enum fm_gate_mode fm_gate_word_mode(uint64_t word);
int fm_gate_word_pinned(uint64_t word);
uint64_t fm_gate_word_denied(uint64_t word);

/* Those of nodes that may get something new. */
uint64_t fm_gate_word_nodes(uint64_t word, uint64_t nodes);

/* Whether a request let through before or now may go to a node. */
bool fm_gate_may_use(uint64_t word, int node);

/* The same for a request that is an operator's, while the gate is closed. */
bool fm_gate_may_bypass(uint64_t word, int node);

/*
 * The node that alone may serve a request, FM_GATE_NO_NODE: there may be
 * several, or none.
 */
int fm_gate_only_node(uint64_t word, bool is_bypass);

/* Whether an operator's requests are let past a closed gate at all. */
bool fm_gate_has_bypass(uint64_t word);

/* Whether visitors are served at all: else there is a hole. */
bool fm_gate_serves(uint64_t word, uint64_t nodes);

/*
 * How long a request may still wait for the end of a hole that began at
 * hole_at (0: nobody knows), so that nobody waits for one that has lasted
 * longer than limit.  All in ms of one clock; 0: not at all.
 */
uint64_t fm_gate_hold_left(uint64_t hole_at, uint64_t now, uint64_t limit);

enum fm_gate_verdict fm_gate_decide(uint64_t word, const struct fm_gate_facts *facts);

/*
 * Whether a ride is on something that has been closed, drained or pinned
 * away.  closed_at is the number of the change that closed the gate: what was
 * exempt before is over too, what became exempt after it is not.
 */
bool fm_gate_is_over(uint64_t word, uint64_t closed_at, const struct fm_gate_ride *ride);

/* What to do with an ask, given the last one that was taken. */
enum fm_gate_hearing fm_gate_hear(const struct fm_gate_ask *taken, const struct fm_gate_ask *asked);

/* Same rules for requests; the texts may differ. */
bool fm_gate_is_same_rule(const struct fm_gate_ask *a, const struct fm_gate_ask *b);

#endif /* FM_GATE_H */
