#include "base/text.h"
#include "base/words.h"
#include "test.h"

/* No shell reads a command; a quote only holds words together. */
static void
test_words(void **state)
{
	static const struct {
		const char *text;
		unsigned count;
		const char *last;
	} rows[] = {
		{ "/bin/true", 1, "/bin/true" },
		{ "  /bin/echo\ta  $HOME;* ", 3, "$HOME;*" },
		{ "/bin/sh -c 'echo \"two words\" | cat'", 3, "echo \"two words\" | cat" },
		{ "/bin/echo a\"b c\"'d e'f", 2, "ab cd ef" },
		{ "/bin/echo ''", 2, "" },
	};
	static const char *const wrong[] = { "", "  ", "true", "/bin/sh -c 'x", "\"/bin/sh" };
	char many[400] = "/bin/true";
	struct fm_words words;
	struct fm_err err;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_int_equal(fm_words_split(&words, rows[i].text, &err), 0);
		assert_int_equal(words.count, rows[i].count);
		assert_string_equal(words.list[words.count - 1], rows[i].last);
		assert_null(words.list[words.count]);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_int_equal(fm_words_split(&words, wrong[i], &err), -1);
	for (int i = 1; i < FM_WORDS_MAX; i++) assert_true(FM_APPEND(many, " x"));
	assert_int_equal(fm_words_split(&words, many, &err), 0);
	assert_true(FM_APPEND(many, " y"));
	assert_int_equal(fm_words_split(&words, many, &err), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
