/* clock.c - time passes for the core, and after every event those who follow a run are told. */
#include <event2/event.h>

#include "base/check.h"
#include "base/mono.h"
#include "coordinator/coordinator.h"
#include "loop/timer.h"

/* A run that waits tells its followers what for at least this often; and no peer's silence or
 * limit is noticed later. */
#define TICK_MS 500

/* A job that could not even be started has its result waiting here: the core could not be told in
 * the middle of its own call. */
static void
deliver_stillborn_job(struct co_daemon *daemon)
{
	if (daemon->job != NULL || !daemon->job_final) return;
	daemon->job_final = false;
	if (co_core_job(daemon->core)->running)
		co_on_job(daemon->core, &daemon->job_result, fm_mono_now());
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct co_daemon *daemon = arg;

	(void)fd;
	(void)what;
	deliver_stillborn_job(daemon);
	co_core_tick(daemon->core, fm_mono_now());
	co_control_stirred(daemon);
	fm_timer_arm(daemon->tick, TICK_MS);
}

void
co_daemon_stirred(struct co_daemon *daemon)
{
	fm_timer_arm(daemon->pump, 0);
}

static void
on_pump(evutil_socket_t fd, short what, void *arg)
{
	struct co_daemon *daemon = arg;

	(void)fd;
	(void)what;
	deliver_stillborn_job(daemon);
	co_control_stirred(daemon);
}

void
co_clock_start(struct co_daemon *daemon)
{
	daemon->tick = evtimer_new(daemon->base, on_tick, daemon);
	daemon->pump = evtimer_new(daemon->base, on_pump, daemon);
	CHECK(daemon->tick != NULL && daemon->pump != NULL);
	fm_timer_arm(daemon->tick, 0);
}

void
co_clock_stop(struct co_daemon *daemon)
{
	if (daemon->tick != NULL) event_free(daemon->tick);
	if (daemon->pump != NULL) event_free(daemon->pump);
}
