/* Where nodes of one cluster are not alike. */
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "coordinator/fleet/drift.h"

static const char names[2][FM_NAME_SIZE] = { "app1", "app2" };
static struct co_fleet *fleet;
static struct co_drift found[CO_DRIFTS_MOST];

static int
set_up(void **state)
{
	struct fm_node_facts facts = { .storage_inode = 7,
				       .disk_free = UINT64_C(9) << 30,
				       .disk_size = UINT64_C(90) << 30,
				       .clock_ms = 5000 };
	struct fm_agent_report report = { .app = FM_APP_READY };

	(void)state;
	fleet = calloc(1, sizeof(*fleet));
	assert_non_null(fleet);
	FM_COPY(facts.environment, "APP_KEY aa\nAPP_PORT 11\nREDIS_URL bb\nTZ cc\n");
	FM_COPY(facts.plugins, "plugin-acl 2.2.15\nplugin-users 2.2.15\n");
	FM_COPY(facts.storage, "one");
	FM_COPY(facts.storage_on, "nfs4 of nas:/nocobase");
	FM_COPY(report.current, "2.2.15");
	for (unsigned i = 0; i < 2; i++) {
		fleet->nodes[i].connected = true;
		co_fleet_node_report(fleet, i, &report, (struct fm_mono){ 1 });
		co_fleet_node_facts(fleet, i, &facts, 5000);
	}
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	free(fleet);
	return 0;
}

static unsigned
of_second(void)
{
	return co_drift_of_node(fleet, names, 2, 1, found);
}

static void
test_alike(void **state)
{
	(void)state;
	assert_int_equal(co_drift_of_node(fleet, names, 2, 0, found), 0);
	assert_int_equal(of_second(), 0);
}

static void
test_what_is_each_node_s_own_may_differ(void **state)
{
	(void)state;
	FM_COPY(fleet->nodes[1].facts.environment,
		"APP_KEY aa\nAPP_PORT 22\nFERMATA_X yy\nREDIS_URL bb\nSOCKET_PATH xx\nTZ cc\n");
	assert_int_equal(of_second(), 0);
}

static void
test_another_key_breaks_the_cluster(void **state)
{
	(void)state;
	FM_COPY(fleet->nodes[1].facts.environment,
		"APP_KEY zz\nAPP_PORT 11\nREDIS_URL bb\nTZ cc\n");
	assert_int_equal(of_second(), 1);
	assert_true(found[0].breaks);
	assert_string_equal(found[0].text, "APP_KEY is not as on app1: who is logged in on one is "
					   "not on the other");
	assert_true(found[0].next[0]);
	/* Missing on one is not alike either. */
	FM_COPY(fleet->nodes[1].facts.environment, "APP_PORT 11\nREDIS_URL bb\nTZ cc\n");
	assert_int_equal(of_second(), 1);
	assert_true(found[0].breaks);
	/* The first that told is what others are held against. */
	assert_int_equal(co_drift_of_node(fleet, names, 2, 0, found), 0);
}

static void
test_other_settings_are_named(void **state)
{
	(void)state;
	FM_COPY(fleet->nodes[1].facts.environment,
		"APP_KEY aa\nAPP_PORT 11\nLANG dd\nREDIS_URL b\nTZ cc\n");
	assert_int_equal(of_second(), 1);
	assert_false(found[0].breaks);
	assert_string_equal(found[0].text, "settings that are not as on app1: LANG, REDIS_URL");
}

static void
test_many_settings_are_counted_out(void **state)
{
	(void)state;
	FM_COPY(fleet->nodes[1].facts.environment,
		"APP_KEY aa\nAPP_PORT 11\nK1 1\nK2 1\nK3 1\nK4 1\nK5 1\nK6 1\nREDIS_URL bb\nTZ cc\n");
	assert_int_equal(of_second(), 1);
	assert_string_equal(found[0].text,
			    "settings that are not as on app1: K1, K2, K3, K4, K5 and more");
}

static void
test_plugins_are_named(void **state)
{
	(void)state;
	FM_COPY(fleet->nodes[1].facts.plugins, "plugin-acl 2.2.16\nplugin-x 1.0\n");
	assert_int_equal(of_second(), 1);
	assert_false(found[0].breaks);
	assert_non_null(strstr(found[0].text, "plugin-acl, plugin-users, plugin-x"));
	/* Another release has others, and that it is another is said elsewhere. */
	FM_COPY(fleet->nodes[1].report.current, "2.2.16");
	assert_int_equal(of_second(), 0);
}

static void
test_another_storage_breaks_the_cluster(void **state)
{
	(void)state;
	FM_COPY(fleet->nodes[1].facts.storage, "two");
	FM_COPY(fleet->nodes[1].facts.storage_on, "ext4 of /dev/sda1");
	assert_int_equal(of_second(), 1);
	assert_true(found[0].breaks);
	assert_non_null(strstr(found[0].text, "nfs4 of nas:/nocobase"));
	assert_non_null(strstr(found[0].text, "ext4 of /dev/sda1"));
}

static void
test_a_copy_of_the_storage_is_suspected(void **state)
{
	(void)state;
	fleet->nodes[1].facts.storage_inode = 8;
	assert_int_equal(of_second(), 1);
	assert_false(found[0].breaks);
}

static void
test_clock_disk_and_faults(void **state)
{
	(void)state;
	fleet->nodes[1].clock_off_ms = -5000;
	fleet->nodes[1].facts.disk_free = UINT64_C(1) << 30;
	FM_COPY(fleet->nodes[1].facts.fault, "storage /x: Permission denied");
	assert_int_equal(of_second(), 3);
	assert_string_equal(found[0].text, "its clock is 5.0 s behind the coordinator's");
	assert_string_equal(found[1].text, "1.0 GiB are free where its releases are kept");
	assert_non_null(strstr(found[2].text, "Permission denied"));
	fleet->nodes[0].clock_off_ms = 2001;
	assert_int_equal(co_drift_of_node(fleet, names, 2, 0, found), 1);
	assert_non_null(strstr(found[0].text, "ahead of"));
}

static void
test_the_worst_comes_first(void **state)
{
	(void)state;
	FM_COPY(fleet->nodes[1].facts.plugins, "");
	FM_COPY(fleet->nodes[1].facts.storage, "two");
	fleet->nodes[1].clock_off_ms = 9000;
	assert_int_equal(of_second(), 3);
	assert_true(found[0].breaks);
	assert_false(found[1].breaks || found[2].breaks);
}

static void
test_who_has_told_nothing_is_not_compared(void **state)
{
	(void)state;
	FM_COPY(fleet->nodes[1].facts.storage, "two");
	fleet->nodes[0].facts.known = false;
	assert_int_equal(of_second(), 0); /* it is the first that told */
	fleet->nodes[0].facts.known = true;
	fleet->nodes[0].connected = false;
	assert_int_equal(of_second(), 0);
	fleet->nodes[0].connected = true;
	fleet->nodes[1].facts.known = false;
	assert_int_equal(of_second(), 0);
}

static void
test_which_modes_take_requests(void **state)
{
	static const char *const takes[] = { "", "!", "!,workflow:process", "workflow:process,!" };
	static const char *const none[] = { "*", "-", "workflow:process", "!x", "a!,b", "," };

	(void)state;
	for (size_t i = 0; i < sizeof(takes) / sizeof(*takes); i++)
		assert_true(co_takes_requests(takes[i]));
	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
		assert_false(co_takes_requests(none[i]));
}

static void
test_a_worker_is_what_is_declared(void **state)
{
	(void)state;
	FM_COPY(fleet->nodes[1].facts.worker_mode, "workflow:process");
	assert_int_equal(of_second(), 1);
	assert_true(found[0].breaks);
	assert_non_null(strstr(found[0].text, "is not declared a worker"));
	fleet->nodes[1].is_worker = true;
	assert_int_equal(of_second(), 0);
	fleet->nodes[1].facts.worker_mode[0] = '\0';
	assert_int_equal(of_second(), 1);
	assert_true(found[0].breaks);
	assert_non_null(strstr(found[0].text, "no WORKER_MODE"));
}

static void
test_a_hook_that_cannot_be_run(void **state)
{
	(void)state;
	FM_COPY(fleet->nodes[1].facts.hooks, "before_stop: /x: no such file");
	assert_int_equal(of_second(), 1);
	assert_false(found[0].breaks);
	fleet->nodes[1].facts.hooks_break = true;
	assert_int_equal(of_second(), 1);
	assert_true(found[0].breaks);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_alike),
		TEST(test_what_is_each_node_s_own_may_differ),
		TEST(test_another_key_breaks_the_cluster),
		TEST(test_other_settings_are_named),
		TEST(test_many_settings_are_counted_out),
		TEST(test_plugins_are_named),
		TEST(test_another_storage_breaks_the_cluster),
		TEST(test_a_copy_of_the_storage_is_suspected),
		TEST(test_clock_disk_and_faults),
		TEST(test_the_worst_comes_first),
		TEST(test_which_modes_take_requests),
		TEST(test_a_worker_is_what_is_declared),
		TEST(test_a_hook_that_cannot_be_run),
		TEST(test_who_has_told_nothing_is_not_compared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
