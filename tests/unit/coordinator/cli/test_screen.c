/* Drawing in place, watched by a small terminal that knows what ours may send. */
#include "coordinator/cli/screen.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "../../test.h"

#define ROWS_MAX 40
#define COLUMNS_MAX 120

static struct {
	unsigned rows, columns, row, column;
	char cells[ROWS_MAX][COLUMNS_MAX + 1];
	unsigned bytes;
} term;

static void
term_new(unsigned rows, unsigned columns)
{
	memset(&term, 0, sizeof(term));
	term.rows = rows;
	term.columns = columns;
	for (unsigned r = 0; r < ROWS_MAX; r++) memset(term.cells[r], ' ', columns);
}

static void
term_line_feed(void)
{
	if (++term.row < term.rows) return;
	term.row = term.rows - 1;
	memmove(term.cells[0], term.cells[1], (term.rows - 1) * sizeof(term.cells[0]));
	memset(term.cells[term.rows - 1], ' ', term.columns);
}

/* The sequences that screen.c sends: up, clear to the end of the line, clear below. */
static const char *
term_escape(const char *at)
{
	unsigned n = 0;

	assert_int_equal(*at++, '[');
	while (isdigit((unsigned char)*at)) n = n * 10 + (unsigned)(*at++ - '0');
	if (*at == 'A') {
		assert_true(n <= term.row); /* never above the top */
		term.row -= n;
	} else if (*at == 'K' || *at == 'J') {
		memset(term.cells[term.row] + term.column, ' ', term.columns - term.column);
		for (unsigned r = term.row + 1; *at == 'J' && r < term.rows; r++) {
			memset(term.cells[r], ' ', term.columns);
		}
	} else {
		fail_msg("the terminal does not know ESC [ %u %c", n, *at);
	}
	return at + 1;
}

static void
term_write(const char *at)
{
	term.bytes += (unsigned)strlen(at);
	while (*at) {
		char c = *at++;
		if (c == '\033') {
			at = term_escape(at);
		} else if (c == '\r') {
			term.column = 0;
		} else if (c == '\n') {
			term.column = 0;
			term_line_feed();
		} else {
			if (term.column == term.columns) {
				term.column = 0;
				term_line_feed();
			}
			term.cells[term.row][term.column++] = c;
		}
	}
}

static void
assert_row(unsigned row, const char *text)
{
	char line[COLUMNS_MAX + 1];

	memcpy(line, term.cells[row], term.columns);
	line[term.columns] = '\0';
	for (size_t n = term.columns; n > 0 && line[n - 1] == ' '; n--) line[n - 1] = '\0';
	assert_string_equal(line, text);
}

static void
draw(struct co_screen *screen, const char *text)
{
	char *bytes = NULL;
	size_t size = 0;

	screen->out = open_memstream(&bytes, &size);
	assert_non_null(screen->out);
	co_screen_draw(screen, text, term.columns, term.rows);
	assert_int_equal(fclose(screen->out), 0);
	term_write(bytes);
	free(bytes);
}

static void
test_the_second_view_replaces_the_first(void **state)
{
	struct co_screen screen = { 0 };

	(void)state;
	term_new(10, 40);
	term_write("$ fermata upgrade\n");
	draw(&screen, "one\ntwo long\nthree\n");
	draw(&screen, "eins\nzwei\n");
	assert_row(0, "$ fermata upgrade");
	assert_row(1, "eins");
	assert_row(2, "zwei");
	assert_row(3, "");
	assert_int_equal(term.row, 3);
	co_screen_leave(&screen);
	draw(&screen, "below\n");
	assert_row(1, "eins");
	assert_row(3, "below");
	co_screen_leave(&screen);
}

static void
test_nothing_is_written_when_nothing_changed(void **state)
{
	struct co_screen screen = { 0 };

	(void)state;
	term_new(10, 40);
	draw(&screen, "one\ntwo\n");
	unsigned before = term.bytes;
	draw(&screen, "one\ntwo\n");
	assert_int_equal(term.bytes, before);
	co_screen_leave(&screen);
}

/* At the bottom of the terminal the view scrolls up once, and stays there. */
static void
test_at_the_bottom(void **state)
{
	struct co_screen screen = { 0 };

	(void)state;
	term_new(5, 40);
	term_write("p\nq\nr\ns\n");
	draw(&screen, "one\ntwo\nthree\n");
	draw(&screen, "uno\ndue\nsei\n");
	assert_row(0, "s");
	assert_row(1, "uno");
	assert_row(3, "sei");
	draw(&screen, "uno\ndue\nsei\nquattro\n");
	assert_row(0, "uno");
	assert_row(3, "quattro");
	co_screen_leave(&screen);
}

/* A terminal that becomes narrow folds what stands there; no rest of it may stay. */
static void
test_narrowing_folds_the_old_lines(void **state)
{
	struct co_screen screen = { 0 };

	(void)state;
	term_new(10, 40);
	draw(&screen, "a line of thirty columns wide.\nshort\n");
	/* What a terminal of 20 columns makes of it. */
	term_new(10, 20);
	term_write("a line of thirty columns wide.\nshort\n");
	draw(&screen, "narrow\nview\n");
	assert_row(0, "narrow");
	assert_row(1, "view");
	assert_row(2, "");
	assert_row(3, "");
	co_screen_leave(&screen);
}

/* Folded higher than the terminal: what scrolled away cannot be reached, the rest is. */
static void
test_never_above_the_top(void **state)
{
	struct co_screen screen = { 0 };

	(void)state;
	term_new(20, 100);
	draw(&screen, "a line that is folded a lot on ten columns, to five of its rows\n"
		      "a line that is folded a lot on ten columns, to five of its rows\n");
	term_new(4, 10);
	term_write("a line that is folded a lot on ten columns, to five of its rows\n");
	draw(&screen, "tiny\n");
	assert_row(0, "tiny");
	assert_row(1, "");
	co_screen_leave(&screen);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_second_view_replaces_the_first),
		cmocka_unit_test(test_nothing_is_written_when_nothing_changed),
		cmocka_unit_test(test_at_the_bottom),
		cmocka_unit_test(test_narrowing_folds_the_old_lines),
		cmocka_unit_test(test_never_above_the_top),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
