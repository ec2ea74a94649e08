/* The output of the application: read in pieces, kept within a size, whatever is asked for. */
#include "made_up.h"

#include "turning.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/world/output.h"
#include "base/text.h"

#define SIZE (1u << 20)

static struct ag_output *output;
static struct ag_output_piece piece;
static struct fm_err err;
static int writer = -1;

static int
set_up(void **state)
{
	if (turning_setup(state) < 0) return -1;
	writer = open(folder_path("app.log"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	output = ag_output_new(turning_base, folder_path("app.log"), SIZE);
	return writer < 0 ? -1 : 0;
}

static int
tear_down(void **state)
{
	ag_output_free(output);
	(void)close(writer);
	return turning_teardown(state);
}

static void
print(const char *text)
{
	assert_int_equal(write(writer, text, strlen(text)), strlen(text));
}

static void
print_many(unsigned from, unsigned to)
{
	char line[100];

	for (unsigned i = from; i < to; i++) {
		(void)snprintf(line, sizeof(line), "line %06u %080u\n", i, i);
		print(line);
	}
}

static void
read_after(uint64_t after, bool whole)
{
	const struct ag_output_ask ask = { .after = after, .whole = whole };

	assert_int_equal(ag_output_read(output, &ask, &piece, &err), 0);
}

static void
read_tail(unsigned lines)
{
	const struct ag_output_ask ask = { .tail = true, .lines = lines };

	assert_int_equal(ag_output_read(output, &ask, &piece, &err), 0);
}

static void
test_pieces_follow_each_other(void **state)
{
	unsigned next = 0, number;
	uint64_t after = 0;

	(void)state;
	print_many(0, 1000);
	for (int i = 0; i < 100 && next < 1000; i++) {
		read_after(after, false);
		assert_true(piece.count > 0 && piece.count <= AG_OUTPUT_LINES);
		for (unsigned k = 0; k < piece.count; k++) {
			assert_int_equal(sscanf(piece.lines[k], "line %u", &number), 1);
			assert_int_equal(number, next++);
		}
		after = piece.after;
	}
	assert_int_equal(next, 1000);
	assert_int_equal(after, piece.end);
	read_after(after, false);
	assert_int_equal(piece.count, 0);
	/* A place that never was is the end. */
	read_after(after + 12345, false);
	assert_int_equal(piece.count, 0);
	assert_int_equal(piece.after, after);
}

static void
test_the_last_lines(void **state)
{
	(void)state;
	read_tail(3);
	assert_int_equal(piece.count, 0);
	print_many(0, 100);
	read_tail(3);
	assert_int_equal(piece.count, 3);
	assert_memory_equal(piece.lines[0], "line 000097", 11);
	read_tail(0);
	assert_int_equal(piece.count, 0);
	assert_int_equal(piece.after, piece.end);
	read_tail(5000); /* all that there is, from the first piece on */
	assert_memory_equal(piece.lines[0], "line 000000", 11);
}

static void
test_a_line_without_end(void **state)
{
	(void)state;
	print("one\ntw");
	read_after(0, false);
	assert_int_equal(piece.count, 1);
	assert_int_equal(piece.after, 4);
	print("o\n");
	read_after(4, false);
	assert_string_equal(piece.lines[0], "two");
	print("three");
	read_after(piece.after, true);
	assert_string_equal(piece.lines[0], "three");
}

static void
test_what_terminals_obey_is_taken_out(void **state)
{
	(void)state;
	print("\033[1;32mgreen\033[0m\tend\r\n\033]0;title\007x\n\033[");
	read_after(0, true);
	assert_int_equal(piece.count, 3);
	assert_string_equal(piece.lines[0], "green end ");
	assert_string_equal(piece.lines[1], "]0;title x");
	assert_string_equal(piece.lines[2], "");
	assert_int_equal(write(writer, "\na\0b\n", 5), 5);
	read_after(piece.after, false);
	assert_string_equal(piece.lines[1], "a b");
}

static void
test_an_endless_line_is_cut(void **state)
{
	static char wide[3 * AG_OUTPUT_BYTES];

	(void)state;
	memset(wide, 'x', sizeof(wide) - 2);
	wide[sizeof(wide) - 2] = '\n';
	print(wide);
	print("behind\n");
	read_after(0, false);
	assert_int_equal(piece.count, 1);
	assert_int_equal(strlen(piece.lines[0]), AG_OUTPUT_LINE_MAX);
	for (int i = 0; i < 9 && piece.after < piece.end; i++) read_after(piece.after, false);
	assert_string_equal(piece.lines[piece.count - 1], "behind");
}

static off_t
on_disk(void)
{
	struct stat st;

	assert_int_equal(fstat(writer, &st), 0);
	return st.st_blocks * 512;
}

static void
test_the_oldest_goes(void **state)
{
	unsigned first, last;
	uint64_t end;

	(void)state;
	print_many(0, 30000); /* 2.7 MiB */
	read_tail(0);
	end = piece.end;
	assert_true(on_disk() > (off_t)SIZE);
	ag_output_look(output);
	assert_true(on_disk() <= (off_t)SIZE);
	/* Who has read nothing yet is told how much is gone, and goes on with a line. */
	read_after(0, false);
	assert_true(piece.skipped > SIZE && piece.count > 1);
	assert_int_equal(piece.end, end);
	assert_int_equal(sscanf(piece.lines[1], "line %u", &first), 1);
	assert_true(first > 15000);
	/* Who was at the end misses nothing, and writers notice nothing. */
	print_many(30000, 30001);
	read_after(end, false);
	assert_int_equal(piece.skipped, 0);
	assert_int_equal(sscanf(piece.lines[0], "line %u", &last), 1);
	assert_int_equal(last, 30000);
	read_tail(2);
	assert_memory_equal(piece.lines[0], "line 029999", 11);
}

/* Another file in its place, as after a rotation by somebody else, goes on where the old one ended. */
static void
test_another_file(void **state)
{
	uint64_t end;

	(void)state;
	print("old\n");
	read_tail(1);
	end = piece.end;
	assert_int_equal(rename(folder_path("app.log"), folder_path("app.log.old")), 0);
	folder_write("app.log", "new\n");
	read_after(end, false);
	assert_string_equal(piece.lines[0], "new");
	assert_int_equal(piece.skipped, 0);
	assert_int_equal(unlink(folder_path("app.log")), 0);
	assert_int_equal(
		ag_output_read(output, &(struct ag_output_ask){ .tail = true }, &piece, &err), -1);
	assert_non_null(strstr(err.text, "app.log"));
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_pieces_follow_each_other),
		TEST(test_the_last_lines),
		TEST(test_a_line_without_end),
		TEST(test_what_terminals_obey_is_taken_out),
		TEST(test_an_endless_line_is_cut),
		TEST(test_the_oldest_goes),
		TEST(test_another_file),
	};

	return cmocka_run_group_tests_name("agent output", tests, NULL, NULL);
}
