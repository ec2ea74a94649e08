/* novelty.h - does a program still print what it has not printed just before? A line that differs from an
 * earlier one in figures, times and numbered names only is not news: an application that stands still
 * answers each probe with such a line. Pure. */
#ifndef AG_WORLD_NOVELTY_H
#define AG_WORLD_NOVELTY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AG_LINES_REMEMBERED 32

/* Zeros: nothing was printed yet. */
struct ag_novelty {
	uint64_t line, word;
	bool has_digit;
	uint64_t seen[AG_LINES_REMEMBERED];
	unsigned next;
};

/* What was printed next, cut anywhere. Has a line ended in it that is news? */
bool ag_novelty_feed(struct ag_novelty *novelty, const char *text, size_t size);

#endif
