/* What the gates are told for visitors: the words of each step, and whether open tabs must load again. */
#include "tests/unit/test.h"

#include "base/text.h"
#include "tests/unit/coordinator/run/run_world.h"

static const struct fm_gate_ask *
asked(const struct run_world *w)
{
	return &co_core_state(w->core)->gate;
}

static void
upgrade(struct run_world *w)
{
	run_world_upgrade(w, true, "sweep");
	for (unsigned i = 0; i < 5; i++) run_world_obey(w);
	assert_int_equal(run_world_run(w)->end, CO_END_DONE);
}

static void
test_each_step_is_told_with_a_voice_of_its_own(void **state)
{
	struct run_world *w = *state;
	char step[FM_TEXT_SIZE] = "";
	unsigned steps = 0;
	struct fm_voice voice;

	assert_int_equal(run_world_begin(w, "upgrade", "2.2.16", true), 0);
	voice = asked(w)->voice;
	for (unsigned i = 0; i < 40 && run_world_run(w)->end == CO_END_NONE; i++) {
		if (!fm_is_equal(step, asked(w)->step)) {
			assert_true(steps == 0 || fm_voice_compare(asked(w)->voice, voice) > 0);
			voice = asked(w)->voice;
			FM_COPY(step, asked(w)->step);
			steps++;
		}
		assert_string_equal(asked(w)->command, "upgrade");
		run_world_obey(w);
	}
	assert_int_equal(run_world_run(w)->end, CO_END_DONE);
	assert_true(steps >= 8); /* rows that are proved already are passed in one go */
	assert_string_equal(asked(w)->step, ""); /* nothing is going on any more */
}

static void
test_an_upgrade_loads_tabs_again(void **state)
{
	struct run_world *w = *state;

	upgrade(w);
	assert_int_equal(asked(w)->mode, FM_GATE_OPEN);
	assert_true(asked(w)->refresh);
}

static void
test_an_upgrade_taken_back_before_anybody_saw_it_does_not(void **state)
{
	struct run_world *w = *state;

	run_world_upgrade(w, true, "start first");
	w->app[0] = FM_APP_FAILED;
	run_world_obey(w);
	w->app[0] = FM_APP_READY;
	run_world_until(w, "open gates");
	run_world_obey(w);
	assert_int_equal(run_world_run(w)->end, CO_END_ROLLED_BACK);
	assert_int_equal(asked(w)->mode, FM_GATE_OPEN);
	assert_false(asked(w)->refresh);
}

static void
test_a_rollback_loads_tabs_again(void **state)
{
	struct run_world *w = *state;

	upgrade(w);
	assert_int_equal(run_world_begin(w, "rollback", "", true), 0);
	for (unsigned i = 0; i < 40 && run_world_run(w)->end == CO_END_NONE; i++) run_world_obey(w);
	assert_string_equal(co_core_state(w->core)->version, "2.2.15");
	assert_int_equal(asked(w)->mode, FM_GATE_OPEN);
	assert_true(asked(w)->refresh);
}

static void
test_what_keeps_the_version_does_not(void **state)
{
	static const char *const procedures[] = { "restart", "page on", "page off", "stop",
						  "startup" };
	struct run_world *w = *state;

	upgrade(w);
	for (size_t i = 0; i < sizeof(procedures) / sizeof(procedures[0]); i++) {
		assert_int_equal(run_world_begin(w, procedures[i], "", true), 0);
		for (unsigned n = 0; n < 40 && run_world_run(w)->end == CO_END_NONE; n++)
			run_world_obey(w);
		assert_int_equal(run_world_run(w)->end, CO_END_DONE);
		assert_false(asked(w)->refresh);
	}
}

static void
test_maintenance_does_not(void **state)
{
	struct run_world *w = *state;

	assert_int_equal(run_world_begin(w, "maintenance", "", false), 0);
	run_world_until(w, "hold");
	assert_false(asked(w)->refresh);
	assert_int_equal(co_operate(w->core, CO_VERB_END, "ann", w->now, NULL), 0);
	for (unsigned i = 0; i < 10; i++) run_world_obey(w);
	assert_int_equal(run_world_run(w)->end, CO_END_DONE);
	assert_false(asked(w)->refresh);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, run_world_set_up_served, run_world_tear_down)
	const struct CMUnitTest tests[] = {
		T(test_each_step_is_told_with_a_voice_of_its_own),
		T(test_an_upgrade_loads_tabs_again),
		T(test_an_upgrade_taken_back_before_anybody_saw_it_does_not),
		T(test_a_rollback_loads_tabs_again),
		T(test_what_keeps_the_version_does_not),
		T(test_maintenance_does_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
#undef T
}
