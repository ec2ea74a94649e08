#include "agent/runtimes/bus.h"

#include <event2/event.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"

#define ANSWER_US (10 * 1000000ULL) /* PID 1 is slow while it reloads, not while it lives */
#define RETRY_S 1

struct ag_bus {
	struct event_base *base;
	struct ag_bus_calls calls;
	void *arg;
	sd_bus *link;
	struct event *socket, *timer, *retry;
	struct fm_err why;
	bool is_said;
};

int
ag_bus_fail(struct fm_err *err, int r, const sd_bus_error *error, const char *what)
{
	if (error && error->message)
		return fm_fail(err, FM_ERR_IO, 0, "%s: %s", what, error->message);
	return fm_fail(err, FM_ERR_IO, r < 0 ? -r : 0, "%s", what);
}

static void
unlink_bus(struct ag_bus *bus)
{
	if (bus->socket) event_free(TAKE(bus->socket));
	(void)event_del(bus->timer);
	/* Never flush_: what is not sent yet is about a past that nobody answers for. */
	bus->link = sd_bus_close_unref(bus->link);
}

static void
lose(struct ag_bus *bus)
{
	const struct timeval in = { RETRY_S, 0 };

	unlink_bus(bus);
	if (!bus->is_said) fm_log(FM_LOG_WARNING, "no D-Bus", "why=\"%s\"", bus->why.text);
	bus->is_said = true;
	(void)event_add(bus->retry, &in);
}

static void
arm_timer(struct ag_bus *bus)
{
	struct timespec now;
	struct timeval in = { 0, 0 };
	uint64_t at, now_us;

	if (sd_bus_get_timeout(bus->link, &at) <= 0 || at == UINT64_MAX) {
		(void)event_del(bus->timer);
		return;
	}
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	now_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
	if (at > now_us) {
		in.tv_sec = (time_t)((at - now_us) / 1000000);
		in.tv_usec = (suseconds_t)((at - now_us) % 1000000);
	}
	CHECK(event_add(bus->timer, &in) == 0);
}

static void on_work(evutil_socket_t fd, short what, void *arg);

void
ag_bus_settle(struct ag_bus *bus)
{
	int events;

	if (!bus->link) return;
	events = sd_bus_get_events(bus->link);
	if (events < 0) return; /* lost: its socket says so in a moment */
	if (bus->socket) event_free(TAKE(bus->socket));
	bus->socket = event_new(bus->base, sd_bus_get_fd(bus->link),
				(short)(EV_READ | (events & POLLOUT ? EV_WRITE : 0)), on_work, bus);
	CHECK(bus->socket && event_add(bus->socket, NULL) == 0);
	arm_timer(bus);
}

static void
on_work(evutil_socket_t fd, short what, void *arg)
{
	struct ag_bus *bus = arg;
	int r;

	(void)fd;
	(void)what;
	do {
		r = sd_bus_process(bus->link, NULL);
	} while (r > 0);
	if (r < 0) {
		(void)fm_fail(&bus->why, FM_ERR_IO, -r, "its connection broke");
		lose(bus);
		bus->calls.lost(bus->arg);
		return;
	}
	ag_bus_settle(bus);
}

static int
connect_bus(struct ag_bus *bus)
{
	int r = sd_bus_open_system(&bus->link);

	if (r < 0) return ag_bus_fail(&bus->why, r, NULL, "connect to the system's bus");
	(void)sd_bus_set_method_call_timeout(bus->link, ANSWER_US);
	if (bus->calls.begun(bus->arg, bus->link, &bus->why) < 0) return -1;
	bus->why.text[0] = '\0';
	if (bus->is_said) fm_log(FM_LOG_NOTICE, "D-Bus is back", NULL);
	bus->is_said = false;
	/* Not armed by settle alone: signals may have been read while begun() waited for answers. */
	ag_bus_settle(bus);
	event_active(bus->timer, 0, 0);
	return 0;
}

static void
on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct ag_bus *bus = arg;

	(void)fd;
	(void)what;
	if (connect_bus(bus) < 0) lose(bus);
}

struct ag_bus *
ag_bus_new(struct event_base *base, const struct ag_bus_calls *calls, void *arg)
{
	struct ag_bus *bus = fm_new(struct ag_bus, 1);

	bus->base = base;
	bus->calls = *calls;
	bus->arg = arg;
	bus->timer = event_new(base, -1, 0, on_work, bus);
	bus->retry = event_new(base, -1, 0, on_retry, bus);
	CHECK(bus->timer && bus->retry);
	on_retry(-1, 0, bus);
	return bus;
}

void
ag_bus_free(struct ag_bus *bus)
{
	if (!bus) return;
	unlink_bus(bus);
	event_free(bus->timer);
	event_free(bus->retry);
	free(bus);
}

sd_bus *
ag_bus_link(const struct ag_bus *bus)
{
	return bus->link;
}

const char *
ag_bus_why(const struct ag_bus *bus)
{
	return bus->link ? "" : bus->why.text;
}
