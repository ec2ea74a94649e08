/* timer.h - a timer of the loop, set in milliseconds as all our limits are. */
#ifndef FM_LOOP_TIMER_H
#define FM_LOOP_TIMER_H

#include <event2/event.h>

#include "base/check.h"

/* From now; in place of when it was to come before. */
static inline void
fm_timer_arm(struct event *timer, int64_t ms)
{
	struct timeval after = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	CHECK(event_add(timer, &after) == 0);
}

#endif
