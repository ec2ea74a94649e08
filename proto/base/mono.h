/* mono.h - time that only goes forward, as a type of its own so that it cannot be mixed with wall
 * clock milliseconds. The cores never read a clock: they are handed one. */
#ifndef FM_BASE_MONO_H
#define FM_BASE_MONO_H

#include <stdint.h>

struct fm_mono {
	int64_t ms;
};

/* CLOCK_MONOTONIC, and unix milliseconds. Not for the cores. */
struct fm_mono fm_mono_now(void);
int64_t fm_wall_now_ms(void);

static inline int64_t
fm_mono_since(struct fm_mono later, struct fm_mono earlier)
{
	return later.ms - earlier.ms;
}

static inline struct fm_mono
fm_mono_after(struct fm_mono t, int64_t ms)
{
	return (struct fm_mono){ t.ms + ms };
}

#endif
