/* probe.h - asks the application how it is, by its own URLs: the health check, then app:getInfo.
 * One connection is kept; one probe at a time. */
#ifndef AG_WORLD_PROBE_H
#define AG_WORLD_PROBE_H

#include "agent/core/supervise.h"

struct event_base;
struct ag_probe;

struct ag_probe *ag_probe_new(struct event_base *base, const char *host, unsigned port,
			      int64_t limit_ms,
			      void (*done)(void *arg, enum ag_health health, const char *text),
			      void *arg);
void ag_probe_free(struct ag_probe *probe);
/* done() follows exactly once, never inside this call. */
void ag_probe_begin(struct ag_probe *probe);

#endif
