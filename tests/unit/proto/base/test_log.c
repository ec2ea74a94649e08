#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "test.h"

static int saved = -1, reader = -1;
static char got[8192];

/* Standard error into a pipe until caught() is called: a failing assertion must still be seen. */
static void
catch_log(void)
{
	int ends[2];

	assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
	saved = dup(STDERR_FILENO);
	(void)dup2(ends[1], STDERR_FILENO);
	(void)close(ends[1]);
	reader = ends[0];
}

static const char *
caught(void)
{
	ssize_t n;

	(void)dup2(saved, STDERR_FILENO);
	(void)close(saved);
	n = read(reader, got, sizeof got - 1);
	(void)close(reader);
	got[n > 0 ? n : 0] = '\0';
	return got;
}

static void
test_a_line_has_level_words_and_pairs(void **state)
{
	(void)state;
	catch_log();
	fm_log(FM_LOG_WARNING, "peer lost", "peer=%s after_ms=%d", "app1", 3000);
	assert_string_equal(caught(), "<4>peer lost peer=app1 after_ms=3000\n");
	catch_log();
	fm_log(FM_LOG_INFO, "began", NULL);
	assert_string_equal(caught(), "<6>began\n");
}

static void
test_a_program_s_name_stands_first(void **state)
{
	(void)state;
	fm_log_set_program("fermata-x");
	catch_log();
	fm_log(FM_LOG_ERROR, "ended", "why=%s", "x");
	assert_string_equal(caught(), "<3>fermata-x: ended why=x\n");
	fm_log_set_program(NULL);
}

static void
test_nobody_can_forge_a_line(void **state)
{
	(void)state;
	catch_log();
	fm_log(FM_LOG_INFO, "said", "text=%s", "a\n<3>forged\x1b[2J\x7f \xc3\xa4");
	assert_string_equal(caught(), "<6>said text=a\\x0a<3>forged\\x1b[2J\\x7f \xc3\xa4\n");
}

static void
test_levels(void **state)
{
	(void)state;
	catch_log();
	fm_log(FM_LOG_DEBUG, "hidden", NULL);
	fm_log_set_level(FM_LOG_ERROR);
	fm_log(FM_LOG_WARNING, "hidden", NULL);
	fm_log(FM_LOG_ERROR, "seen", NULL);
	assert_string_equal(caught(), "<3>seen\n");
	fm_log_set_level(FM_LOG_INFO);
	assert_int_equal(fm_log_level_from("debug"), FM_LOG_DEBUG);
	assert_int_equal(fm_log_level_from("error"), FM_LOG_ERROR);
	assert_int_equal(fm_log_level_from("loud"), -1);
}

static void
test_a_huge_line_is_cut_and_still_one_line(void **state)
{
	char text[20000];

	(void)state;
	memset(text, '\n', sizeof text - 1); /* each grows to four bytes */
	text[sizeof text - 1] = '\0';
	catch_log();
	fm_log(FM_LOG_INFO, "big", "text=%s", text);
	(void)caught();
	assert_in_range(strlen(got), 3000, 4096);
	assert_ptr_equal(strchr(got, '\n'), got + strlen(got) - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_line_has_level_words_and_pairs),
		cmocka_unit_test(test_a_program_s_name_stands_first),
		cmocka_unit_test(test_nobody_can_forge_a_line),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_a_huge_line_is_cut_and_still_one_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
