/* Order of versions. */
#include "test.h"

#include "base/version.h"

static void
test_order(void **state)
{
	static const char *const rising[] = {
		"0.9.9",	 "1.0.0-alpha",
		"1.0.0-alpha.1", "1.0.0-alpha.beta",
		"1.0.0-beta",	 "1.0.0-beta.2",
		"1.0.0-beta.11", "1.0.0-rc.1",
		"1.0.0",	 "1.2.4-alpha",
		"1.2.4",	 "2.1.41",
		"2.2.9",	 "2.2.15",
		"2.2.16-alpha",	 "2.2.16",
		"2.10.0",	 "99999999999999999999.0.0",
	};
	enum { COUNT = sizeof(rising) / sizeof(*rising) };

	(void)state;
	for (int i = 0; i < COUNT; i++) {
		for (int k = 0; k < COUNT; k++) {
			int order = 7;

			assert_true(fm_version_compare(rising[i], rising[k], &order));
			assert_int_equal((order > 0) - (order < 0), (i > k) - (i < k));
		}
	}
}

static void
test_same(void **state)
{
	int order = 7;

	(void)state;
	assert_true(fm_version_compare("v2.2.15", "2.2.15", &order));
	assert_int_equal(order, 0);
	assert_true(fm_version_compare("2.2.15+a", "2.2.15+b", &order));
	assert_int_equal(order, 0);
	assert_true(fm_version_compare("2.02.15", "2.2.15", &order));
	assert_int_equal(order, 0);
	/* The same text is the same version, whatever it means. */
	assert_true(fm_version_compare("main", "main", &order));
	assert_int_equal(order, 0);
}

static void
test_no_version(void **state)
{
	static const char *const wrong[] = { "",	   "2",	       "2.2",	  "2.2.",
					     "2.2.x",	   "2.2.15.1", "2.2.15-", "2.2.15-a..b",
					     "2.2.15-a b", " 2.2.15",  "2..15",	  "latest" };
	int order = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		assert_false(fm_version_is_valid(wrong[i]));
		assert_false(fm_version_compare(wrong[i], "2.2.15", &order));
		assert_false(fm_version_compare("2.2.15", wrong[i], &order));
		assert_int_equal(order, 0);
	}
	assert_true(fm_version_is_valid("2.2.15"));
	assert_true(fm_version_is_valid("v1.2.4-alpha.3+sha"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_same),
		cmocka_unit_test(test_no_version),
	};

	return cmocka_run_group_tests_name("agent version", tests, NULL, NULL);
}
