/* Nodes that a run goes on without: who may be left out, what is waited for all the same, what they are asked. */
#include "tests/unit/test.h"

#include <string.h>

#include "base/text.h"
#include "tests/unit/coordinator/run/run_world.h"

static const char app1[][FM_NAME_SIZE] = { "app1" }, app2[][FM_NAME_SIZE] = { "app2" };

static int
begin(struct run_world *w, const char *without, struct fm_err *err)
{
	struct co_order order = { .yes = true, .without_count = without == NULL ? 0 : 1 };

	FM_COPY(order.procedure, "upgrade");
	FM_COPY(order.args, "upgrade --to 2.2.16");
	FM_COPY(order.to, "2.2.16");
	if (without != NULL) FM_COPY(order.without[0], without);
	return co_begin(w->core, &order, w->now, err);
}

static void
obey(struct run_world *w, unsigned times)
{
	while (times-- > 0) run_world_obey(w);
}

static void
report(struct run_world *w, unsigned node, enum fm_app_state app, uint32_t pids)
{
	struct fm_agent_report r = { .app = app, .pids = pids };

	r.voice = co_core_state(w->core)->nodes[node].voice;
	co_on_node_report(w->core, node, &r, w->now);
}

static void
test_a_node_that_is_away_blocks_and_says_what_to_type(void **state)
{
	struct run_world *w = *state;

	co_on_node_down(w->core, 1, w->now);
	assert_int_equal(begin(w, NULL, NULL), 0);
	obey(w, 3);
	assert_string_equal(run_world_run(w)->step, "preflight");
	assert_non_null(
		strstr(co_core_waiting(w->core), "fermata upgrade --to 2.2.16 --without app2"));
	run_world_pass(w, 11000);
	assert_int_equal(run_world_run(w)->end, CO_END_REFUSED);
}

static void
test_left_out_it_is_asked_and_not_waited_for(void **state)
{
	struct run_world *w = *state;
	const struct fm_agent_ask *want = &co_core_state(w->core)->nodes[1];

	co_on_node_down(w->core, 1, w->now);
	assert_int_equal(begin(w, "app2", NULL), 0);
	obey(w, 40);
	assert_int_equal(run_world_run(w)->end, CO_END_DONE);
	/* What it hears when it is back, with all it needs to catch up. */
	assert_string_equal(want->release, "2.2.16");
	assert_string_equal(want->fetch, "2.2.16");
	assert_int_equal(want->app, FM_APP_GOAL_RUNNING);
	assert_int_equal(want->start, FM_START_PLAIN);
	assert_int_equal(want->run, 0);
}

static void
test_another_node_goes_first_when_the_first_is_left_out(void **state)
{
	struct run_world *w = *state;

	co_on_node_down(w->core, 0, w->now);
	assert_int_equal(begin(w, "app1", NULL), 0);
	assert_int_equal(run_world_run(w)->first, 1);
	obey(w, 40);
	assert_int_equal(run_world_run(w)->end, CO_END_DONE);
	assert_string_equal(co_core_state(w->core)->back.storage_node, "app2");
}

static void
test_the_node_that_goes_first_cannot_be_left_out(void **state)
{
	struct run_world *w = *state;
	struct fm_err err;

	assert_int_equal(begin(w, NULL, NULL), 0);
	run_world_until(w, "start first");
	co_on_node_down(w->core, 0, w->now);
	assert_non_null(strstr(co_core_waiting(w->core), "cannot be left out"));
	assert_int_equal(co_leave_out(w->core, 1, app1, "ops", w->now, &err), -1);
	assert_non_null(strstr(err.text, "goes first"));
	assert_int_equal(run_world_run(w)->without_count, 0);
}

static void
test_a_run_goes_on_without_a_node_that_went_away(void **state)
{
	struct run_world *w = *state;

	assert_int_equal(begin(w, NULL, NULL), 0);
	run_world_until(w, "start first");
	co_on_node_down(w->core, 1, w->now);
	obey(w, 3);
	assert_string_equal(run_world_run(w)->step, "start others");
	assert_non_null(strstr(co_core_waiting(w->core), "fermata retry --without app2"));
	assert_int_equal(co_leave_out(w->core, 1, app2, "ops", w->now, NULL), 0);
	obey(w, 10);
	assert_int_equal(run_world_run(w)->end, CO_END_DONE);
}

/* I1: what runs there is of the release before. */
static void
test_left_out_and_back_it_must_have_ended(void **state)
{
	struct run_world *w = *state;

	co_on_node_down(w->core, 1, w->now);
	assert_int_equal(begin(w, "app2", NULL), 0);
	run_world_until(w, "stop nodes");
	co_on_node_up(w->core, 1, 0, w->now);
	report(w, 1, FM_APP_STOPPING, 3);
	report(w, 0, FM_APP_STOPPED, 0);
	assert_string_equal(run_world_run(w)->step, "stop nodes");
	assert_non_null(strstr(co_core_waiting(w->core), "app2, which is left out and is back"));
	report(w, 1, FM_APP_STOPPED, 0);
	assert_string_equal(run_world_run(w)->step, "fence");
}

static void
test_left_out_and_back_it_can_fail_nothing(void **state)
{
	struct run_world *w = *state;

	co_on_node_down(w->core, 1, w->now);
	assert_int_equal(begin(w, "app2", NULL), 0);
	run_world_until(w, "start others");
	co_on_node_up(w->core, 1, 0, w->now);
	w->app[1] = FM_APP_FAILED;
	obey(w, 10);
	assert_int_equal(run_world_run(w)->end, CO_END_DONE);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, run_world_set_up_served, run_world_tear_down)
	static const struct CMUnitTest tests[] = {
		T(test_a_node_that_is_away_blocks_and_says_what_to_type),
		T(test_left_out_it_is_asked_and_not_waited_for),
		T(test_another_node_goes_first_when_the_first_is_left_out),
		T(test_the_node_that_goes_first_cannot_be_left_out),
		T(test_a_run_goes_on_without_a_node_that_went_away),
		T(test_left_out_and_back_it_must_have_ended),
		T(test_left_out_and_back_it_can_fail_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
