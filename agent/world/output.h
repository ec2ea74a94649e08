/* output.h - what the application prints: a file that it appends to by itself, so that it prints on
 * whether an agent lives or not, and is never waited for. We keep the file within a size by cutting
 * its beginning off, and read pieces of it for whoever asks.
 * Measured: under 200 MB/s, looked at every 100 ms, the file stays below 1.6 times its size and the
 * writer is not slowed (tests/bench/flood.py); without cutting the disk slows it. */
#ifndef AG_WORLD_OUTPUT_H
#define AG_WORLD_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/settings.h"

#define AG_OUTPUT_LINES 200	/* of one piece */
#define AG_OUTPUT_BYTES 16384	/* the same */
#define AG_OUTPUT_LINE_MAX 2000 /* a longer line is cut */

struct event_base;
struct ag_output;

struct ag_output_ask {
	uint64_t after; /* place to go on from: bytes since the output began */
	bool tail; /* instead: from the last so many lines on, as far as they are near the end */
	unsigned lines;
	bool whole; /* the last line too, when it has no end yet */
};

struct ag_output_piece {
	uint64_t after; /* behind these lines */
	uint64_t end;	/* of the output now */
	uint64_t skipped;
	unsigned count;
	char *lines[AG_OUTPUT_LINES]; /* in text; without control sequences of terminals */
	char text[AG_OUTPUT_BYTES + 1];
};

/* path: of the file; size: bytes that it may have. */
struct ag_output *ag_output_new(struct event_base *base, const char *path, uint64_t size);
void ag_output_free(struct ag_output *output);
/* -1 with err: there is no output, or it cannot be read. */
int ag_output_read(struct ag_output *output, const struct ag_output_ask *ask,
		   struct ag_output_piece *ret, struct fm_err *err);
/* Looks at the size now; else it is done by itself. For tests. */
void ag_output_look(struct ag_output *output);

#endif
