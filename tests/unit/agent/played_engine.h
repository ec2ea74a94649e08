/* played_engine.h - a container engine on a unix socket in turning.h's loop: it says what a test wants. */
#ifndef TEST_UNIT_AGENT_PLAYED_ENGINE_H
#define TEST_UNIT_AGENT_PLAYED_ENGINE_H

#include <stdbool.h>
#include <stddef.h>

#define ASKED_MAX 8192

struct played_engine {
	const char *answer; /* of len bytes, at most piece at once */
	size_t len, piece;
	bool is_deaf;	       /* reads nothing, and answers a little later */
	bool stays;	       /* does not close behind its answer */
	bool is_gone;	       /* the other side has closed */
	char asked[ASKED_MAX]; /* of the last call, what fits */
};

extern struct played_engine engine;

/* At folder_path("engine.sock"). 0: it listens. */
int engine_play(void);
void engine_end(void);
void engine_says(const char *text);

#endif
