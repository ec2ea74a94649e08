/* live.h - the view of a run on a terminal. Pure: what is known in, at most rows - 1 lines of at
 * most columns - 1 out, so that drawing it never wraps and never scrolls. */
#ifndef CO_CLI_LIVE_H
#define CO_CLI_LIVE_H

#include <stdio.h>

#include "coordinator/cli/words.h"
#include "schema/control.pb-c.h"

struct co_live {
	const Fermata__ClusterStatus *status; /* NULL: not heard yet */
	const Fermata__RunStatus *run;	      /* NULL: not heard yet */
	const char *notice;		      /* such as a lost coordinator; NULL: none */
	const char *hint;		      /* last line; NULL: none */
};

void co_live_render(FILE *out, const struct co_look *look, const struct co_live *live);

#endif
