/* worker.h - the core's jobs, each in a child (agent/work/). One job at a time. */
#ifndef AG_WORLD_WORKER_H
#define AG_WORLD_WORKER_H

#include "agent/core/supervise.h"
#include "agent/settings.h"

struct event_base;
struct ag_worker;

struct ag_worker_calls {
	void (*progress)(void *arg, const char *text);
	void (*done)(void *arg, enum ag_job job, bool ok, const char *text, uint64_t bytes);
};

struct ag_worker *ag_worker_new(struct event_base *base, const struct ag_settings *settings,
				const struct ag_worker_calls *calls, void *arg);
void ag_worker_free(struct ag_worker *worker); /* work under way is killed; it is begun anew */
/* running: the release of the live process, or "". done() follows exactly once, never inside this
 * call. */
void ag_worker_begin(struct ag_worker *worker, enum ag_job job, const char *what,
		     const struct fm_agent_ask *ask, const char *running);
void ag_worker_stop(struct ag_worker *worker);

#endif
