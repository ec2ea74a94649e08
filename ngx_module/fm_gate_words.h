/*
 * What the page says to visitors, in their language, and which language that
 * is.  Pure: no nginx, no clock, no memory of its own.
 */

#ifndef FM_GATE_WORDS_H
#define FM_GATE_WORDS_H

#include <stddef.h>
#include <stdint.h>

#include "wire/ask.h"

#define FM_GATE_LANGUAGES 10

/*
 * Seconds for Retry-After: never less than this, never more than that, and
 * spread by up to a quarter, so that clients that were refused together do not
 * come back together.
 */
#define FM_GATE_RETRY_FLOOR 5
#define FM_GATE_RETRY_CEIL 3600
#define FM_GATE_RETRY_SPREAD 60

struct fm_gate_words {
	const char *tag; /* as in lang="" */
	const char *dir; /* ltr or rtl */
	const char *title;
	const char *message; /* when the operator has not given one */
	const char *back;    /* %s: the time */
	const char *late;    /* that time has passed */
	const char *note;
	const char *phases[FM_PHASE_COUNT]; /* NULL: NONE */
};

/* language: below FM_GATE_LANGUAGES; any other number is English. */
const struct fm_gate_words *fm_gate_words(unsigned language);

/*
 * The language that the value of an Accept-Language header likes best, English
 * when it likes none of ours.  Any bytes will do; size may be 0.  Looks at the
 * first FM_GATE_RANGES ranges.
 */
#define FM_GATE_RANGES 16
unsigned fm_gate_language(const char *value, size_t size);

/*
 * Seconds after which a client may try again.  now and back_at in unix seconds
 * (back_at 0 or past: not known, fallback is used); client: any number that
 * stays the same for a client.
 */
uint32_t fm_gate_retry_after(int64_t now, int64_t back_at, int64_t fallback, uint32_t client);

#endif /* FM_GATE_WORDS_H */
