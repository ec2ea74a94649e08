/* What counts as news among the lines that an application prints. */
#include "tests/unit/test.h"

#include <string.h>

#include "agent/world/novelty.h"

static bool
feed(struct ag_novelty *n, const char *text)
{
	return ag_novelty_feed(n, text, strlen(text));
}

static void
test_figures_and_times_are_no_news(void **state)
{
	struct ag_novelty n;

	(void)state;
	memset(&n, 0, sizeof(n));
	assert_true(feed(&n, "2026-11-26T15:00:00.1Z error 503 reqId=a81f-12 app is starting\n"));
	assert_false(feed(&n, "2026-11-26T15:00:00.6Z error 503 reqId=77aa-9 app is starting\n"));
	assert_true(feed(&n, "2026-11-26T15:00:01.1Z info migration done\n"));
	assert_false(feed(&n, "2026-11-26T15:00:01.2Z info migration done\n"));
}

static void
test_a_line_may_be_cut_anywhere(void **state)
{
	static const char line[] = "error at 12 again and again\n";
	struct ag_novelty n;

	(void)state;
	for (size_t cut = 0; cut < sizeof(line); cut++) {
		memset(&n, 0, sizeof(n));
		assert_true(feed(&n, "error at 11 again and again\n"));
		assert_false(ag_novelty_feed(&n, line, cut));
		assert_false(feed(&n, line + cut));
	}
}

static void
test_an_unfinished_or_empty_line_says_nothing(void **state)
{
	struct ag_novelty n;

	(void)state;
	memset(&n, 0, sizeof(n));
	assert_false(feed(&n, "\n\n 12 34 \n loading"));
	assert_true(feed(&n, " plugins\n"));
}

static void
test_what_is_long_ago_is_news_again(void **state)
{
	char line[] = "step a\n";
	struct ag_novelty n;

	(void)state;
	memset(&n, 0, sizeof(n));
	assert_true(feed(&n, "once\n"));
	for (unsigned i = 0; i < AG_LINES_REMEMBERED; i++) {
		assert_false(feed(&n, "once\n"));
		line[5] = (char)(i < 26 ? 'a' + i : 'A' + i - 26);
		assert_true(feed(&n, line));
	}
	assert_true(feed(&n, "once\n"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_figures_and_times_are_no_news),
		cmocka_unit_test(test_a_line_may_be_cut_anywhere),
		cmocka_unit_test(test_an_unfinished_or_empty_line_says_nothing),
		cmocka_unit_test(test_what_is_long_ago_is_news_again),
	};

	return cmocka_run_group_tests_name("novelty", tests, NULL, NULL);
}
