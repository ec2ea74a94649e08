#include "base/clean.h"
#include "base/text.h"

#include <string.h>

#include "test.h"

static void
assert_cleaned(const char *text, const char *clean)
{
	char copy[100];

	assert_true(strlen(text) < sizeof(copy));
	FM_COPY(copy, text);
	fm_clean(copy);
	assert_string_equal(copy, clean);
}

static void
test_control_characters_never_reach_the_terminal(void **state)
{
	(void)state;
	assert_cleaned("plain text", "plain text");
	assert_cleaned("two\nlines\tand\r", "two lines and ");
	assert_cleaned("\033[2Jgone", "?[2Jgone");
	assert_cleaned("\xc2\x9b"
		       "2J",
		       "??2J"); /* U+009B, one-character CSI */
	assert_cleaned("\x7f\x01", "??");
	assert_cleaned("Gr\xc3\xbc\xc3\x9f"
		       "e \xe2\x82\xac \xf0\x9f\x8e\xb5",
		       "Gr\xc3\xbc\xc3\x9f"
		       "e \xe2\x82\xac \xf0\x9f\x8e\xb5");
	assert_cleaned("cut \xe2\x82", "cut ??");
	assert_cleaned("\xc0\xaf\xff\xed\xa0\x80\xf4\x90\x80\x80", "??????????");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_control_characters_never_reach_the_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
