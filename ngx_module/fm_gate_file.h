
/*
 * The files of the gate's state directory as bytes and names, pure: no nginx,
 * no file.  The directory is that of the workers' user, so nothing in it is
 * believed.
 *
 *     "FMGS"  version  length  the ask, packed  CRC32 of all before
 *
 * Numbers are 32 bits, big endian.
 */

#ifndef FM_GATE_FILE_H
#define FM_GATE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/ask.h"

/* The longest ask has some 3.4 KB: 32 names, three texts, and numbers. */
#define FM_GATE_FILE_MAX 4096

/*
 * Into dst of FM_GATE_FILE_MAX bytes; returns how many they are, 0: an ask
 * that cannot be (more is drained than there may be nodes).
 */
size_t fm_gate_file_write(uint8_t *dst, const struct fm_gate_ask *ask);

/* False: no such file, or one that was damaged; *ret is all zeros then. */
bool fm_gate_file_read(const uint8_t *data, size_t size, struct fm_gate_ask *ret);

enum fm_gate_verb {
	FM_GATE_VERB_NONE = 0,
	FM_GATE_VERB_CLOSE,
	FM_GATE_VERB_OPEN,
	FM_GATE_VERB_RESUME,
	FM_GATE_VERB_STATUS
};

#define FM_GATE_REQUEST_ID 16

/* What root asks for by hand. */
struct fm_gate_request {
	enum fm_gate_verb verb;
	bool force;
	char id[FM_GATE_REQUEST_ID + 1]; /* 0-9a-f */
};

/* The name of a file, request.VERB[.force].ID; false: it is another file. */
bool fm_gate_request_read(const char *name, struct fm_gate_request *ret);

const char *fm_gate_verb_name(enum fm_gate_verb verb);

#endif /* FM_GATE_FILE_H */
