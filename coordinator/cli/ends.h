/* ends.h - how a command ends when the coordinator does not say it: what is true now, and what to
 * type next. Pure, but for one look at the socket. */
#ifndef CO_CLI_ENDS_H
#define CO_CLI_ENDS_H

#include <stdbool.h>

#include "coordinator/control/commands.h"
#include "schema/control.pb-c.h"
#include "wire/ask.h"

/* What the session knows when it ends. */
struct co_plight {
	const struct co_parsed *parsed;
	const char *socket;
	uint64_t run; /* 0: none that we know of */
	bool was_up;  /* the coordinator answered once */
	bool is_lost; /* it does not now */
	long long waited_ms;
	const char *why; /* of the last failure to reach it */
};

struct co_end {
	Fermata__End end;
	char text[FM_TEXT_SIZE], next[FM_TEXT_SIZE];
};

/* Fill *ret, whose pointers lead into itself. */
void co_end_unreachable(struct co_end *ret, const struct co_plight *plight);
void co_end_timeout(struct co_end *ret, const struct co_plight *plight);
void co_end_interrupted(struct co_end *ret, const struct co_plight *plight);
void co_end_detached(struct co_end *ret, const struct co_plight *plight);
/* The connection broke before the answer to something that must not be asked twice. */
void co_end_unknown(struct co_end *ret, const struct co_plight *plight);
/* The coordinator was restarted, and knows nothing of what was asked. */
void co_end_not_begun(struct co_end *ret, const struct co_plight *plight);
void co_end_say(struct co_end *ret, Fermata__ExitCode code, const char *text, const char *next);

#endif
