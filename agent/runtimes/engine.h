/* engine.h - HTTP to a container engine on its unix socket, in the loop: Docker's Engine API, or what
 * speaks it. Nothing piles up on our side: an answer is read no faster than it is used. */
#ifndef AG_RUNTIMES_ENGINE_H
#define AG_RUNTIMES_ENGINE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct event_base;
struct ag_engine;
struct ag_engine_call;

#define AG_ENGINE_SHORT_MS 15000  /* for what the engine does at once */
#define AG_ENGINE_MOST (4u << 20) /* bytes of an answer that is kept whole */

struct ag_engine_answer {
	long status;	  /* of HTTP; 0: there was no answer, err says why */
	const char *body; /* terminated; what data() was given is not in it */
	size_t len;
	struct fm_err err; /* also when status is not 2xx: the engine's own words */
};

struct ag_engine_ask {
	const char *method;
	const char *path;   /* behind the version, with its query */
	const char *body;   /* JSON; NULL: none */
	const char *header; /* one more, whole; NULL: none */
	long limit_ms;	    /* for all of it; 0: none */
	/* Of a 2xx answer, piece by piece as it comes; -1 with err ends it. NULL: it is kept whole, up
	 * to AG_ENGINE_MOST. Must not begin or drop calls. */
	int (*data)(void *arg, const char *bytes, size_t len, struct fm_err *err);
	/* Once, never inside ag_engine_begin(); the call is gone when it returns. */
	void (*done)(void *arg, const struct ag_engine_answer *answer);
	void *arg;
};

/* NULL with err: no socket has so long a path. Nothing is connected yet. SIGPIPE is ignored from here
 * on. */
struct ag_engine *ag_engine_new(struct event_base *base, const char *socket, struct fm_err *err);
/* Calls under way are dropped. */
void ag_engine_free(struct ag_engine *engine);

struct ag_engine_call *ag_engine_begin(struct ag_engine *engine, const struct ag_engine_ask *ask);
/* done() is not called. NULL is nothing. */
void ag_engine_drop(struct ag_engine_call *call);

/* Takes the highest version of the API that both know from the answer to GET /version. */
int ag_engine_agree(struct ag_engine *engine, const struct ag_engine_answer *answer,
		    struct fm_err *err);

/* For a process that may block: turns the loop until it is done. 0: a 2xx answer. *ret_body (may be
 * NULL) is for free(). status (may be NULL) tells a -1 that the engine gave from one without it. */
int ag_engine_do(struct ag_engine *engine, const struct ag_engine_ask *ask, long *status,
		 char **ret_body, struct fm_err *err);

#endif
