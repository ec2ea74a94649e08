/* engine_answer.h - one answer of a container engine out of the bytes of its connection, as pure
 * functions. HTTP itself is read by libhttp_parser; a head is not kept and has at most 80 KiB (its
 * limit). All bytes are from elsewhere. */
#ifndef AG_RUNTIMES_ENGINE_ANSWER_H
#define AG_RUNTIMES_ENGINE_ANSWER_H

#include <http_parser.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct ag_reading {
	http_parser parser;
	/* As in struct ag_engine_ask. */
	int (*data)(void *arg, const char *bytes, size_t len, struct fm_err *err);
	void *arg;
	bool is_whole;
	long status; /* 0: the answer is not whole */
	char *body;  /* terminated, of len bytes in memory of size bytes; NULL: nothing is kept */
	size_t len, size;
	struct fm_err err; /* of data() and of our limit */
};

/* Zeroed before. What data() is not given is kept, up to AG_ENGINE_MOST. */
void ag_reading_begin(struct ag_reading *reading,
		      int (*data)(void *arg, const char *bytes, size_t len, struct fm_err *err),
		      void *arg);
void ag_reading_free(struct ag_reading *reading);

/* 1: the answer is whole, and what comes behind it is ignored; 0: more must come; -1 with err: it is
 * none, or too long, or data() said so. After 1 or -1 nothing is added. */
int ag_reading_add(struct ag_reading *reading, const char *bytes, size_t len, struct fm_err *err);
/* The connection has ended: 1, or -1 with err. */
int ag_reading_end(struct ag_reading *reading, struct fm_err *err);

#endif
