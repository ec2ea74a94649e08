/* What visitors are told: the kind of work, and when the service is back. */
#include "tests/unit/test.h"

#include "base/text.h"
#include "coordinator/procedures/procedures.h"
#include "tests/unit/coordinator/run/run_world.h"

static const struct fm_gate_ask *
told(const struct run_world *w)
{
	return &co_core_state(w->core)->gate;
}

static int64_t
now_s(struct run_world *w)
{
	return (w->env.wall_ms(w) + 999) / 1000;
}

static void
test_the_first_time_is_not_known(void **state)
{
	struct run_world *w = *state;

	run_world_serve(w);
	run_world_upgrade(w, true, "start first");
	assert_int_equal(told(w)->mode, FM_GATE_CLOSED);
	assert_int_equal(told(w)->back_at, 0);
	assert_false(told(w)->estimated);
}

static void
test_estimated_anew_at_each_step(void **state)
{
	struct run_world *w = *state;

	w->median_ms = 60000;
	run_world_serve(w);
	assert_int_equal(told(w)->back_at, 0); /* open */
	assert_int_equal(run_world_begin(w, "upgrade", "2.2.16", true), 0);
	assert_int_equal(told(w)->back_at, 0); /* still open */
	/* stop, fence, restore point, prove, switch, unfence, first, others */
	run_world_until(w, "stop nodes");
	assert_true(told(w)->estimated);
	assert_int_equal(told(w)->back_at, now_s(w) + 8 * 60);
	/* what was quicker than before moves it forward */
	run_world_until(w, "start first");
	assert_int_equal(told(w)->back_at, now_s(w) + 2 * 60);
	run_world_until(w, "sweep");
	assert_int_equal(told(w)->mode, FM_GATE_OPEN);
	assert_int_equal(told(w)->back_at, 0);
	assert_false(told(w)->estimated);
}

static void
test_a_persons_word_stands(void **state)
{
	struct run_world *w = *state;
	struct co_order order = {
		.procedure = "upgrade", .to = "2.2.16", .yes = true, .back_at = 77
	};
	struct fm_err err;

	w->median_ms = 60000;
	run_world_serve(w);
	assert_int_equal(co_begin(w->core, &order, w->now, &err), 0);
	run_world_until(w, "start first");
	assert_int_equal(told(w)->back_at, 77);
	assert_false(told(w)->estimated);
}

static void
test_what_never_opens_promises_nothing(void **state)
{
	struct run_world *w = *state;

	w->median_ms = 60000;
	run_world_serve(w);
	assert_int_equal(run_world_begin(w, "page on", "", false), 0);
	run_world_until(w, "close gates");
	assert_int_equal(told(w)->back_at, 0);
}

static void
test_a_halt_promises_nothing(void **state)
{
	struct run_world *w = *state;

	w->median_ms = 60000;
	w->config.rollback_auto = false;
	run_world_serve(w);
	run_world_restart(w);
	run_world_upgrade(w, true, "start first");
	assert_int_not_equal(told(w)->back_at, 0);
	w->app[0] = FM_APP_FAILED;
	run_world_obey(w);
	assert_int_equal(run_world_run(w)->state, CO_RUN_HALTED);
	assert_int_equal(told(w)->back_at, 0);
	assert_false(told(w)->estimated);
}

static void
test_an_estimate_outlives_the_coordinator(void **state)
{
	struct run_world *w = *state;

	w->median_ms = 60000;
	run_world_serve(w);
	run_world_upgrade(w, true, "start first");
	w->median_ms = 30000; /* others have been since */
	run_world_restart(w);
	assert_true(told(w)->estimated);
	assert_int_equal(told(w)->back_at, now_s(w) + 60);
}

static void
test_the_kind_of_work(void **state)
{
	struct run_world *w = *state;

	run_world_serve(w);
	assert_int_equal(told(w)->phase, FM_PHASE_NONE); /* nothing under way */
	run_world_upgrade(w, true, "restore point");
	assert_int_equal(told(w)->phase, FM_PHASE_SAVING);
	run_world_until(w, "switch release");
	w->job_answers = false;
	run_world_until(w, "unfence");
	assert_int_equal(told(w)->phase, FM_PHASE_STARTING);
	w->job_answers = true;
	run_world_until(w, "sweep");
	assert_int_equal(told(w)->phase, FM_PHASE_NONE); /* behind open gates */
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, run_world_set_up, run_world_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_the_first_time_is_not_known),
		TEST(test_estimated_anew_at_each_step),
		TEST(test_a_persons_word_stands),
		TEST(test_what_never_opens_promises_nothing),
		TEST(test_a_halt_promises_nothing),
		TEST(test_an_estimate_outlives_the_coordinator),
		TEST(test_the_kind_of_work),
	};

	return cmocka_run_group_tests_name("estimate", tests, NULL, NULL);
}
