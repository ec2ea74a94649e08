/* bus.h - the system's D-Bus inside the libevent loop: its socket, its timeouts, and its return after
 * it was lost. */
#ifndef AG_RUNTIMES_BUS_H
#define AG_RUNTIMES_BUS_H

#include <systemd/sd-bus.h>

#include "base/err.h"

struct event_base;
struct ag_bus;

struct ag_bus_calls {
	/* Connected: make matches, ask what is so. -1 with err: not good for anything, tried again. */
	int (*begun)(void *arg, sd_bus *link, struct fm_err *err);
	void (*lost)(void *arg);
};

/* Tries at once, before it returns, and then each second until it succeeds. Never NULL. */
struct ag_bus *ag_bus_new(struct event_base *base, const struct ag_bus_calls *calls, void *arg);
void ag_bus_free(struct ag_bus *bus);

/* NULL while there is none. */
sd_bus *ag_bus_link(const struct ag_bus *bus);
/* Why there is none; "" when there is one. */
const char *ag_bus_why(const struct ag_bus *bus);
/* After calls were made outside of a callback: what they want of the loop. */
void ag_bus_settle(struct ag_bus *bus);

/* "what: the peer's own words", or what the system says about -r. Returns -1. */
int ag_bus_fail(struct fm_err *err, int r, const sd_bus_error *error, const char *what);

#endif
