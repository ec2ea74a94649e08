/* http.h - what the coordinator says over HTTP, if [http] listen is set: /metrics for Prometheus, /health
 * for whoever looks after it. Reads only, answers from memory in one go, and bounded in everything, so
 * that whoever asks how often or how badly, the conducting goes on. */
#ifndef CO_HTTP_HTTP_H
#define CO_HTTP_HTTP_H

#include "coordinator/coordinator.h"

struct co_http;

/* After the core is there. Leaves daemon->http NULL when it is off. -1: the address is not ours to listen on. */
int co_http_open(struct co_daemon *daemon, struct fm_err *err);
/* Takes NULL. The loop must turn once more afterwards. */
void co_http_close(struct co_http *http);

/* What became of a commit. Take NULL. */
void co_http_committed(struct co_http *http, const struct co_state *state,
		       const struct co_run_row *run);
void co_http_refused(struct co_http *http);

#endif
