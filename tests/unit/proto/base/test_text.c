#include <string.h>

#include "base/text.h"
#include "test.h"

static void
test_copy_says_when_it_cut(void **state)
{
	char dst[4];

	(void)state;
	assert_true(FM_COPY(dst, "abc"));
	assert_string_equal(dst, "abc");
	assert_false(FM_COPY(dst, "abcd"));
	assert_string_equal(dst, "abc");
	assert_true(FM_COPY(dst, NULL));
	assert_string_equal(dst, "");
}

static void
test_a_cut_never_splits_a_letter(void **state)
{
	static const struct {
		const char *text;
		size_t size;
		const char *left;
	} rows[] = {
		{ "a\xc3\xa4", 3, "a" }, /* two bytes, one fits */
		{ "a\xc3\xa4", 4, "a\xc3\xa4" },
		{ "\xe2\x82\xac!", 3, "" }, /* three bytes, two fit */
		{ "\xe2\x82\xac!", 4, "\xe2\x82\xac" },
		{ "x\xf0\x9f\x8e\xb5!", 5, "x" }, /* four bytes, three fit */
		{ "x\xf0\x9f\x8e\xb5!", 6, "x\xf0\x9f\x8e\xb5" },
	};
	char dst[16];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		bool fits = strlen(rows[i].text) < rows[i].size;

		assert_int_equal(fm_copy(dst, rows[i].size, rows[i].text), fits);
		assert_string_equal(dst, rows[i].left);
		assert_int_equal(fm_format(dst, rows[i].size, "%s", rows[i].text), fits);
		assert_string_equal(dst, rows[i].left);
	}
}

static void
test_append_stays_inside(void **state)
{
	char dst[8] = "";

	(void)state;
	assert_true(FM_APPEND(dst, "%d", 1234));
	assert_true(FM_APPEND(dst, "%s", "567"));
	assert_false(FM_APPEND(dst, "8"));
	assert_string_equal(dst, "1234567");
}

static void
test_names(void **state)
{
	static const char *const good[] = { "a", "app1", "2.2.16", "2.2.16-beta.1", "A_b-c" };
	static const char *const bad[] = { "",	   ".a",  "-a",	      "a/b", "a b",
					   "a..b", "a\n", "\xc3\xa4", "a'b", "0123456789" };

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) assert_true(fm_is_name(good[i], 64));
	for (size_t i = 0; i < COUNT(bad); i++) assert_false(fm_is_name(bad[i], 10));
	assert_false(fm_is_name(NULL, 10));
	assert_true(fm_is_name("012345678", 10));
}

static void
test_numbers_are_whole_and_in_range(void **state)
{
	unsigned long long n = 7;

	(void)state;
	assert_true(fm_parse_u64("0", 0, 5, &n));
	assert_int_equal(n, 0);
	assert_true(fm_parse_u64("18446744073709551615", 0, UINT64_MAX, &n));
	assert_true(n == UINT64_MAX);
	n = 7;
	assert_false(fm_parse_u64("18446744073709551616", 0, UINT64_MAX, &n));
	assert_false(fm_parse_u64("6", 0, 5, &n));
	assert_false(fm_parse_u64("1", 2, 5, &n));
	assert_false(fm_parse_u64("", 0, 5, &n));
	assert_false(fm_parse_u64("-1", 0, 5, &n));
	assert_false(fm_parse_u64(" 1", 0, 5, &n));
	assert_false(fm_parse_u64("1x", 0, 5, &n));
	assert_int_equal(n, 7);
}

static void
test_durations(void **state)
{
	static const struct {
		const char *text;
		long long ms;
	} good[] = { { "500ms", 500 }, { "10s", 10000 }, { "5m", 300000 },   { "1h30m", 5400000 },
		     { "7", 7000 },    { "0", 0 },	 { "1d", 86400000 }, { "1m500ms", 60500 } };
	static const char *const bad[] = { "",
					   "s",
					   "10x",
					   "1h30",
					   "-1s",
					   "1.5s",
					   "10 s",
					   "99999999999999999999s",
					   "9223372036854775807h" };
	long long ms = -7;

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		assert_true(fm_parse_duration(good[i].text, &ms));
		assert_int_equal(ms, good[i].ms);
	}
	ms = -7;
	for (size_t i = 0; i < COUNT(bad); i++) assert_false(fm_parse_duration(bad[i], &ms));
	assert_int_equal(ms, -7);
}

static void
test_durations_as_people_read_them(void **state)
{
	static const struct {
		long long ms;
		const char *text;
	} rows[] = { { 0, "0 ms" },
		     { 870, "870 ms" },
		     { 1000, "1.0 s" },
		     { 12340, "12.3 s" },
		     { 59949, "59.9 s" },
		     { 59950, "1 min 00 s" },
		     { 242000, "4 min 02 s" },
		     { 3599400, "59 min 59 s" },
		     { 3600000, "1 h 00 min" },
		     { 7500000, "2 h 05 min" },
		     { -1500, "-1.5 s" } };
	char dst[32];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_string_equal(fm_format_duration(dst, sizeof dst, rows[i].ms), rows[i].text);
}

static void
test_addresses_of_sites(void **state)
{
	static const char *const good[] = { "http://a", "https://intranet.example",
					    "https://[::1]:8443", "http://10.0.0.1:80/nocobase/" };
	static const char *const bad[] = { "",
					   "https://",
					   "https:///x",
					   "intranet.example",
					   "ftp://a",
					   "javascript://a",
					   "https://a b",
					   "https://a?x",
					   "https://a#x",
					   "https://a/$(x)",
					   "https://user@a",
					   "https://a\n",
					   "https://a/\x1b[2J" };

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) assert_true(fm_is_site(good[i], 64));
	for (size_t i = 0; i < COUNT(bad); i++)
		if (fm_is_site(bad[i], 64)) fail_msg("%s", bad[i]);
	assert_false(fm_is_site("http://abc", 10));
	assert_true(fm_is_site("http://ab", 10));
}

static void
test_nearest(void **state)
{
	static const char *const names[] = { "status", "startup", "stop", "restart", NULL };

	(void)state;
	assert_string_equal(fm_nearest("statsu", names), "status");
	assert_string_equal(fm_nearest("STOP", names), "stop");
	assert_string_equal(fm_nearest("restrat", names), "restart");
	assert_null(fm_nearest("banana", names));
	assert_null(fm_nearest("", names));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_copy_says_when_it_cut),
		cmocka_unit_test(test_a_cut_never_splits_a_letter),
		cmocka_unit_test(test_append_stays_inside),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_numbers_are_whole_and_in_range),
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_durations_as_people_read_them),
		cmocka_unit_test(test_addresses_of_sites),
		cmocka_unit_test(test_nearest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
