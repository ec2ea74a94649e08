/* screen.c - lines that are drawn again in place. */
#include "coordinator/cli/screen.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "coordinator/cli/words.h"

int
co_screen_is_able(int fd)
{
	const char *term = getenv("TERM");

	return isatty(fd) && term && *term && strcmp(term, "dumb") != 0;
}

bool
co_screen_wants_color(int fd, bool no_color)
{
	const char *set = getenv("NO_COLOR");

	return !no_color && !(set && *set) && co_screen_is_able(fd);
}

void
co_screen_size(int fd, unsigned *ret_columns, unsigned *ret_rows)
{
	struct winsize size = { 0 };

	(void)ioctl(fd, TIOCGWINSZ, &size);
	*ret_columns = size.ws_col ? size.ws_col : 80;
	*ret_rows = size.ws_row ? size.ws_row : 24;
}

/* The rows that the lines of before take on a terminal of this width. */
static unsigned
rows_taken(const struct co_screen *screen, unsigned columns)
{
	unsigned rows = 0;

	for (unsigned i = 0; i < screen->count; i++) {
		unsigned width = screen->widths[i];
		rows += width ? (width + columns - 1) / columns : 1;
	}
	return rows;
}

void
co_screen_draw(struct co_screen *screen, const char *text, unsigned columns, unsigned rows)
{
	unsigned up = rows_taken(screen, columns);

	if (screen->text && strcmp(screen->text, text) == 0 && up == screen->count) return;
	if (up > rows - 1) up = rows - 1;
	if (up) fprintf(screen->out, "\r\033[%uA", up);

	screen->count = 0;
	for (const char *at = text, *end; (end = strchr(at, '\n')) != NULL; at = end + 1) {
		char line[2048];
		(void)fm_format(line, sizeof(line), "%.*s", (int)(end - at), at);
		fprintf(screen->out, "%s\033[K\n", line);
		if (screen->count < CO_SCREEN_LINES)
			screen->widths[screen->count++] = co_width(line);
	}
	fputs("\033[J", screen->out);
	(void)fflush(screen->out);
	free(screen->text);
	screen->text = fm_strdup(text);
}

void
co_screen_leave(struct co_screen *screen)
{
	screen->count = 0;
	free(screen->text);
	screen->text = NULL;
}
