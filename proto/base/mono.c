#include "base/mono.h"

#include <time.h>

#include "base/check.h"

static int64_t
read_clock(clockid_t id)
{
	struct timespec t;

	CHECK(clock_gettime(id, &t) == 0);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

struct fm_mono
fm_mono_now(void)
{
	return (struct fm_mono){ read_clock(CLOCK_MONOTONIC) };
}

int64_t
fm_wall_now_ms(void)
{
	return read_clock(CLOCK_REALTIME);
}
