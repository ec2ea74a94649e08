/* screen.h - lines that are drawn again in place, at the bottom of what a terminal already shows. */
#ifndef CO_CLI_SCREEN_H
#define CO_CLI_SCREEN_H

#include <stdbool.h>
#include <stdio.h>

#define CO_SCREEN_LINES 256

struct co_screen {
	FILE *out;
	unsigned count; /* lines that stand there */
	unsigned widths[CO_SCREEN_LINES];
	char *text; /* what they are */
};

/* Whether fd is a terminal that can be drawn on. */
int co_screen_is_able(int fd);
/* The same, if neither the option nor NO_COLOR in the environment forbids colours. */
bool co_screen_wants_color(int fd, bool no_color);
/* Its size now; 80x24 when it does not say. */
void co_screen_size(int fd, unsigned *ret_columns, unsigned *ret_rows);

/* Puts text (whole lines) in the place of what the last call drew. On a terminal of this size now;
 * after a resize the old lines may have been folded, which is taken into account. Writes nothing
 * when nothing changed. */
void co_screen_draw(struct co_screen *screen, const char *text, unsigned columns, unsigned rows);
/* Leaves what is drawn where it is; the next draw begins below. */
void co_screen_leave(struct co_screen *screen);

#endif
