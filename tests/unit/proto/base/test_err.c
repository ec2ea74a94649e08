#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "test.h"

static void
test_fail_adds_the_system_s_reason(void **state)
{
	struct fm_err err;

	(void)state;
	assert_int_equal(fm_fail(&err, FM_ERR_IO, ENOENT, "open %s", "/x"), -1);
	assert_int_equal(err.kind, FM_ERR_IO);
	assert_int_equal(err.sys, ENOENT);
	assert_string_equal(err.text, "open /x: No such file or directory");
	assert_int_equal(fm_fail(&err, FM_ERR_PEER, 0, "plain"), -1);
	assert_string_equal(err.text, "plain");
}

static void
test_wrap_puts_context_before_and_keeps_the_kind(void **state)
{
	struct fm_err err;

	(void)state;
	(void)fm_fail(&err, FM_ERR_STALE, 0, "epoch 3 is over");
	assert_int_equal(fm_wrap(&err, "ask %d", 7), -1);
	assert_string_equal(err.text, "ask 7: epoch 3 is over");
	assert_int_equal(err.kind, FM_ERR_STALE);
}

static void
test_nobody_needs_to_listen(void **state)
{
	(void)state;
	assert_int_equal(fm_fail(NULL, FM_ERR_IO, EPERM, "x"), -1);
	assert_int_equal(fm_wrap(NULL, "x"), -1);
}

static void
test_long_texts_are_cut_not_overrun(void **state)
{
	char text[2000];
	struct fm_err err;

	(void)state;
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	(void)fm_fail(&err, FM_ERR_IO, EPERM, "%s", text);
	assert_int_equal(strlen(err.text), sizeof err.text - 1);
	(void)fm_wrap(&err, "%s", "before");
	assert_int_equal(strlen(err.text), sizeof err.text - 1);
	assert_memory_equal(err.text, "before: xxx", 11);
}

static void
test_an_error_may_quote_itself(void **state)
{
	struct fm_err err;

	(void)state;
	(void)fm_fail(&err, FM_ERR_IO, 0, "inner");
	(void)fm_fail(&err, FM_ERR_DATABASE, 0, "outer (%s)", err.text);
	assert_string_equal(err.text, "outer (inner)");
}

static void
test_kinds_have_names(void **state)
{
	(void)state;
	assert_string_equal(fm_err_kind_name(FM_ERR_NONE), "none");
	assert_string_equal(fm_err_kind_name(FM_ERR_DATABASE), "database");
	assert_string_equal(fm_err_kind_name((enum fm_err_kind)99), "?");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fail_adds_the_system_s_reason),
		cmocka_unit_test(test_wrap_puts_context_before_and_keeps_the_kind),
		cmocka_unit_test(test_nobody_needs_to_listen),
		cmocka_unit_test(test_long_texts_are_cut_not_overrun),
		cmocka_unit_test(test_an_error_may_quote_itself),
		cmocka_unit_test(test_kinds_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
