#include "schema/envelope.pb-c.h"
#include "test.h"
#include "wire/ask.h"

static void
test_later_voices_win(void **state)
{
	static const struct {
		struct fm_voice a, b;
		int order;
	} rows[] = {
		{ { 1, 1 }, { 1, 1 }, 0 },  { { 1, 2 }, { 1, 3 }, -1 },
		{ { 2, 1 }, { 1, 9 }, 1 },  { { 1, 9 }, { 2, 1 }, -1 },
		{ { 0, 0 }, { 0, 1 }, -1 }, { { UINT64_MAX, 0 }, { 0, 1 }, 1 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int order = fm_voice_compare(rows[i].a, rows[i].b);

		assert_int_equal((order > 0) - (order < 0), rows[i].order);
	}
}

static void
test_every_value_has_a_name(void **state)
{
	(void)state;
	assert_string_equal(fm_app_goal_name(FM_APP_GOAL_RUNNING), "running");
	assert_string_equal(fm_start_mode_name(FM_START_MIGRATE), "migrate");
	assert_string_equal(fm_app_state_name(FM_APP_BACKOFF), "backoff");
	assert_string_equal(fm_gate_mode_name(FM_GATE_PINNED), "pinned");
	assert_string_equal(fm_app_state_name((enum fm_app_state)99), "?");
	assert_string_equal(fm_gate_mode_name((enum fm_gate_mode) - 1), "?");
}

static void
test_values_are_the_schema_s(void **state)
{
	(void)state;
	assert_int_equal((int)FM_APP_GOAL_RUNNING, (int)FERMATA__APP_GOAL__APP_GOAL_RUNNING);
	assert_int_equal((int)FM_START_MIGRATE, (int)FERMATA__START_MODE__START_MIGRATE);
	assert_int_equal((int)FM_APP_STARTING, (int)FERMATA__APP_STATE__APP_STARTING);
	assert_int_equal((int)FM_APP_READY, (int)FERMATA__APP_STATE__APP_READY);
	assert_int_equal((int)FM_APP_FAILED, (int)FERMATA__APP_STATE__APP_FAILED);
	assert_int_equal((int)FM_APP_STOPPING, (int)FERMATA__APP_STATE__APP_STOPPING);
	assert_int_equal((int)FM_APP_REFUSED, (int)FERMATA__APP_STATE__APP_REFUSED);
	assert_int_equal((int)FM_APP_BACKOFF, (int)FERMATA__APP_STATE__APP_BACKOFF);
	assert_int_equal((int)FM_GATE_CLOSED, (int)FERMATA__GATE_MODE__GATE_CLOSED);
	assert_int_equal((int)FM_GATE_PINNED, (int)FERMATA__GATE_MODE__GATE_PINNED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_later_voices_win),
		cmocka_unit_test(test_every_value_has_a_name),
		cmocka_unit_test(test_values_are_the_schema_s),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
