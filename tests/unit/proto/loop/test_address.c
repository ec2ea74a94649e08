#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#include "loop/address.h"
#include "test.h"

static void
test_lists_are_words(void **state)
{
	const char *list = " 127.0.0.1:1\t[::1]:2  unix:/x ";
	char one[16];

	(void)state;
	assert_true(fm_address_next(&list, one, sizeof one));
	assert_string_equal(one, "127.0.0.1:1");
	assert_true(fm_address_next(&list, one, sizeof one));
	assert_string_equal(one, "[::1]:2");
	assert_true(fm_address_next(&list, one, sizeof one));
	assert_string_equal(one, "unix:/x");
	assert_false(fm_address_next(&list, one, sizeof one));
	list = "far-too-long-for-sixteen:1";
	assert_false(fm_address_next(&list, one, sizeof one));
}

static void
test_what_resolves(void **state)
{
	struct fm_address a;
	struct fm_err err;
	char text[64];

	(void)state;
	assert_int_equal(fm_address_resolve("127.0.0.1:7400", 0, &a, &err), 0);
	assert_string_equal(fm_address_format((struct sockaddr *)&a.sa, text, sizeof text),
			    "127.0.0.1:7400");
	assert_int_equal(fm_address_resolve("[::1]:80", 0, &a, &err), 0);
	assert_string_equal(fm_address_format((struct sockaddr *)&a.sa, text, sizeof text),
			    "[::1]:80");
	assert_int_equal(fm_address_resolve("unix:/run/x.sock", 0, &a, &err), 0);
	assert_string_equal(((struct sockaddr_un *)&a.sa)->sun_path, "/run/x.sock");
	assert_int_equal(fm_address_resolve("127.0.0.1:0", FM_ADDRESS_PASSIVE, &a, &err), 0);
}

static void
test_what_is_refused(void **state)
{
	static const char *const bad[] = {
		"",	":1",	  "127.0.0.1", "127.0.0.1:",  "127.0.0.1:65536", "127.0.0.1:0",
		"[]:1", "[::1:1", "unix:x",    "127.0.0.1:1x"
	};
	char path[300] = "unix:/";
	struct fm_address a;
	struct fm_err err;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		assert_int_equal(fm_address_resolve(bad[i], 0, &a, &err), -1);
		assert_int_equal(err.kind, FM_ERR_CONFIG);
	}
	memset(path + 6, 'x', 200);
	assert_int_equal(fm_address_resolve(path, 0, &a, &err), -1);
}

static void
test_plain_tcp_stays_on_this_host(void **state)
{
	static const char *const far[] = { "10.0.0.1:7400", "0.0.0.0:7400", "[::]:7400",
					   "[2001:db8::1]:7400" };
	struct fm_address a;
	struct fm_err err;

	(void)state;
	for (size_t i = 0; i < COUNT(far); i++) {
		assert_int_equal(fm_address_resolve(far[i], FM_ADDRESS_PASSIVE, &a, &err), -1);
		assert_int_equal(err.kind, FM_ERR_CONFIG);
		assert_non_null(strstr(err.text, "not a loopback address"));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists_are_words),
		cmocka_unit_test(test_what_resolves),
		cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_plain_tcp_stays_on_this_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
