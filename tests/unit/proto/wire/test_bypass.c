/* The token of a bypass, and the cookie that carries it. */
#include "wire/bypass.h"

#include <string.h>

#include "base/text.h"
#include "test.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NOW 1790000000

static const uint8_t key[FM_BYPASS_KEY_SIZE] = "0123456789abcdef0123456789abcdef";
static const uint8_t no_key[FM_BYPASS_KEY_SIZE];
static const struct fm_bypass grant = { .run = 12, .expires = NOW + 60 };

static enum fm_bypass_verdict
check_at(const char *token, uint64_t run, int64_t when)
{
	struct fm_bypass now = { .run = run, .expires = when };
	int64_t expires = 0;

	return fm_bypass_check(key, token, strlen(token), &now, &expires);
}

static void
test_a_token_is_good_for_its_run_and_time(void **state)
{
	struct fm_bypass now = { .run = 12, .expires = NOW };
	char token[FM_BYPASS_TOKEN_SIZE];
	int64_t expires = 0;

	(void)state;
	assert_true(fm_bypass_make(key, &grant, token));
	assert_int_equal(fm_bypass_check(key, token, strlen(token), &now, &expires),
			 FM_BYPASS_GOOD);
	assert_int_equal(expires, NOW + 60);
	assert_int_equal(check_at(token, 12, NOW + 59), FM_BYPASS_GOOD);
	assert_int_equal(check_at(token, 12, NOW + 60), FM_BYPASS_OVER);
	assert_int_equal(check_at(token, 11, NOW), FM_BYPASS_OTHER);
	assert_int_equal(check_at(token, 13, NOW), FM_BYPASS_OTHER);
	assert_int_equal(fm_bypass_check(no_key, token, strlen(token), &now, &expires),
			 FM_BYPASS_OTHER);
}

/* The digits were made with another program: printf '1.12.1790000060.' | openssl dgst -sha256 -hmac KEY */
static void
test_the_format_is_the_one_that_is_described(void **state)
{
	char token[FM_BYPASS_TOKEN_SIZE];

	(void)state;
	assert_true(fm_bypass_make(key, &grant, token));
	assert_string_equal(token,
			    "1.12.1790000060."
			    "2d893e04ae1242edd6456ceaf0a97e0a4b53d51c610f6e1b881e83dd0ea2a494");
}

static void
test_a_key_of_zeros_is_none(void **state)
{
	uint8_t last[FM_BYPASS_KEY_SIZE] = { 0 };

	(void)state;
	last[FM_BYPASS_KEY_SIZE - 1] = 1;
	assert_false(fm_bypass_has_key(no_key));
	assert_true(fm_bypass_has_key(last));
}

static void
test_every_change_of_a_token_makes_it_bad(void **state)
{
	char token[FM_BYPASS_TOKEN_SIZE], other[FM_BYPASS_TOKEN_SIZE];
	struct fm_bypass now = { .run = 12, .expires = NOW };
	int64_t expires = 0;

	(void)state;
	assert_true(fm_bypass_make(key, &grant, token));
	for (size_t i = 0; i < strlen(token); i++) {
		FM_COPY(other, token);
		other[i] = other[i] == '5' ? '6' : '5';
		assert_int_not_equal(check_at(other, 12, NOW), FM_BYPASS_GOOD);
		/* cut off at any place, too */
		assert_int_not_equal(fm_bypass_check(key, token, i, &now, &expires),
				     FM_BYPASS_GOOD);
	}
	FM_FORMAT(other, "%s0", token);
	assert_int_equal(check_at(other, 12, NOW), FM_BYPASS_BAD);
}

static void
test_what_is_no_token_is_bad(void **state)
{
	static const char *const bad[] = {
		"",
		".",
		"1",
		"1.",
		"1.12",
		"1.12.",
		"1.12.1790000060",
		"1.12.1790000060.",
		"1.12.1790000060.00",
		"2.12.1790000060.0000000000000000000000000000000000000000000000000000000000000000",
		"-1.12.1790000060.000000000000000000000000000000000000000000000000000000000000000",
		"1..1790000060.0000000000000000000000000000000000000000000000000000000000000000",
		"1.99999999999999999999.1.00000000000000000000000000000000000000000000000000000000",
		"1.12.9999999999999999999.0000000000000000000000000000000000000000000000000000000000000000",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(check_at(bad[i], 12, NOW), FM_BYPASS_BAD);
}

static void
test_the_longest_numbers_fit(void **state)
{
	static const struct fm_bypass longest = { .run = UINT64_MAX, .expires = INT64_MAX };
	char token[FM_BYPASS_TOKEN_SIZE];

	(void)state;
	assert_true(fm_bypass_make(key, &longest, token));
	assert_int_equal(strlen(token), 2 + 20 + 1 + 19 + 1 + 64);
}

static void
test_the_cookie_is_found_where_browsers_put_it(void **state)
{
	static const struct {
		const char *cookies, *token; /* NULL: not there */
	} rows[] = {
		{ "fermata_bypass=abc", "abc" },
		{ "a=b; fermata_bypass=abc", "abc" },
		{ "a=b;fermata_bypass=abc;c=d", "abc" },
		{ "a=b; fermata_bypass=abc ; c=d", "abc" },
		{ "fermata_bypass=", "" },
		{ "fermata_bypass=1; fermata_bypass=2", "1" },
		{ "", NULL },
		{ ";;;", NULL },
		{ "fermata_bypass", NULL },
		{ "xfermata_bypass=abc", NULL },
		{ "a=fermata_bypass=abc", NULL },
		{ "fermata_bypass2=abc", NULL },
		{ "Fermata_bypass=abc", NULL },
		{ "fermata_bypas", NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *token = NULL;
		size_t size = 0;
		bool is_there = fm_bypass_find(FM_BYPASS_COOKIE, rows[i].cookies,
					       strlen(rows[i].cookies), &token, &size);

		if (is_there != (rows[i].token != NULL)) fail_msg("%s", rows[i].cookies);
		if (!is_there) continue;
		assert_int_equal(size, strlen(rows[i].token));
		assert_memory_equal(token, rows[i].token, size);
	}
}

static void
test_a_name_is_no_part_of_another(void **state)
{
	static const char cookies[] = "fermata_bypass_two=2; fermata_bypass=1; fermata_bypass_tw=3";
	static const struct {
		const char *name, *token;
	} rows[] = {
		{ "fermata_bypass", "1" },	 { "fermata_bypass_two", "2" },
		{ "fermata_bypass_tw", "3" },	 { "fermata_bypass_t", NULL },
		{ "fermata_bypass_two2", NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *token = NULL;
		size_t size = 0;
		bool is_there = fm_bypass_find(rows[i].name, cookies, sizeof(cookies) - 1, &token,
					       &size);

		if (is_there != (rows[i].token != NULL)) fail_msg("%s", rows[i].name);
		if (!is_there) continue;
		assert_int_equal(size, 1);
		assert_memory_equal(token, rows[i].token, 1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_token_is_good_for_its_run_and_time),
		cmocka_unit_test(test_the_format_is_the_one_that_is_described),
		cmocka_unit_test(test_a_key_of_zeros_is_none),
		cmocka_unit_test(test_every_change_of_a_token_makes_it_bad),
		cmocka_unit_test(test_what_is_no_token_is_bad),
		cmocka_unit_test(test_the_longest_numbers_fit),
		cmocka_unit_test(test_the_cookie_is_found_where_browsers_put_it),
		cmocka_unit_test(test_a_name_is_no_part_of_another),
	};

	return cmocka_run_group_tests_name("bypass", tests, NULL, NULL);
}
