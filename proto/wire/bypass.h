/* bypass.h - the token that lets an operator past the page: made by the coordinator, in a link, and checked
 * by the gate, in a link or a cookie. Text, safe in both:
 *
 *     1 . run . unix seconds . 64 hexadecimal digits
 *
 * The digits are HMAC-SHA256 over all that is before them, dot included, under the key of the run. Needs
 * libcrypto, and is a library of its own: not every user of wire/ does. */
#ifndef FM_WIRE_BYPASS_H
#define FM_WIRE_BYPASS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/ask.h"

/* The longest token and a terminator: "1." + 20 + "." + 19 + "." + 64. */
#define FM_BYPASS_TOKEN_SIZE 112

/* The link is this path and the token, then a path to go to; the cookie has this name. A gate of several
 * clusters adds _ and the name to it for those that have one: browsers keep one cookie of a name for a host,
 * whatever the port. */
#define FM_BYPASS_PATH "/fermata-bypass/"
#define FM_BYPASS_COOKIE "fermata_bypass"

/* What a token grants; the key and the run are the gate's ask's. */
struct fm_bypass {
	uint64_t run;
	int64_t expires; /* unix seconds; from then on it is over */
};

enum fm_bypass_verdict {
	FM_BYPASS_GOOD = 0,
	FM_BYPASS_BAD,	 /* not a token, or not one of this key */
	FM_BYPASS_OTHER, /* of another run, or there is no run with a key */
	FM_BYPASS_OVER	 /* it has run out */
};

/* Whether the ask has a key: one of zeros is none. */
bool fm_bypass_has_key(const uint8_t key[FM_BYPASS_KEY_SIZE]);

/* The token, terminated. false: libcrypto refuses to work. */
bool fm_bypass_make(const uint8_t key[FM_BYPASS_KEY_SIZE], const struct fm_bypass *grant,
		    char dst[FM_BYPASS_TOKEN_SIZE]);

/* token need not be terminated. now.run is the run that has the key, now.expires the time, unix seconds.
 * *expires is set when the verdict is GOOD. The digits are compared in constant time. */
enum fm_bypass_verdict fm_bypass_check(const uint8_t key[FM_BYPASS_KEY_SIZE], const char *token,
				       size_t size, const struct fm_bypass *now, int64_t *expires);

/* Finds the cookie called name in the value of one Cookie header, the first of that name as browsers send
 * it; *token points into it. false: it is not there. */
bool fm_bypass_find(const char *name, const char *cookies, size_t size, const char **token,
		    size_t *token_size);

#endif
