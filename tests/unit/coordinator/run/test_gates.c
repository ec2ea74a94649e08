/* Several gates as one: gates that are away, two nginx of one name, modes given by hand. */
#include "tests/unit/test.h"

#include <string.h>

#include "base/text.h"
#include "tests/unit/coordinator/run/run_world.h"

/* Serves 2.2.15 by two gates; gate2 is obey()ed by the test itself. */
static int
set_up(void **state)
{
	struct run_world *w = run_world_new();

	run_world_serve(w);
	w->config.gate_count = 2;
	FM_COPY(w->config.gates[1], "gate2");
	run_world_restart(w);
	*state = w;
	return 0;
}

static void
report(struct run_world *w, unsigned gate, unsigned session, uint32_t in_flight,
       enum fm_gate_mode by_hand)
{
	struct fm_gate_report r = {
		.workers = 2, .generations = 1, .in_flight = in_flight, .held = in_flight
	};

	r.voice = co_core_state(w->core)->gate.voice;
	r.mode = by_hand == FM_GATE_NONE ? co_core_state(w->core)->gate.mode : by_hand;
	r.override = by_hand;
	r.override_at = by_hand == FM_GATE_NONE ? 0 : 77;
	if (by_hand != FM_GATE_NONE) FM_COPY(r.override_by, "root");
	r.node_count = 1;
	FM_COPY(r.nodes[0].name, "app1");
	r.nodes[0].in_flight = in_flight;
	co_on_gate_report(w->core, gate, session, &r, w->now);
}

static int
begin(struct run_world *w, const char *procedure, const char *without)
{
	struct co_order order = { .yes = true, .without_count = without == NULL ? 0 : 1 };

	FM_COPY(order.procedure, procedure);
	FM_COPY(order.args, procedure);
	if (without != NULL) FM_COPY(order.without[0], without);
	return co_begin(w->core, &order, w->now, NULL);
}

static void
obey(struct run_world *w, unsigned times)
{
	while (times-- > 0) run_world_obey(w);
}

static void
test_a_gate_that_is_away_blocks_and_says_what_to_type(void **state)
{
	struct run_world *w = *state;

	assert_int_equal(begin(w, "page on", NULL), 0);
	obey(w, 5);
	assert_string_equal(run_world_run(w)->step, "preflight");
	assert_non_null(strstr(co_core_waiting(w->core), "gate gate2, which is not connected"));
	assert_non_null(strstr(co_core_waiting(w->core), "fermata page on --without gate2"));
	assert_int_equal(co_core_state(w->core)->gate.mode, FM_GATE_OPEN);
	run_world_pass(w, 11000);
	assert_int_equal(run_world_run(w)->end, CO_END_REFUSED);
}

static void
test_left_out_it_is_not_waited_for(void **state)
{
	struct run_world *w = *state;

	assert_int_equal(begin(w, "page on", "gate2"), 0);
	obey(w, 5);
	assert_int_equal(run_world_run(w)->end, CO_END_DONE);
	assert_string_equal(run_world_run(w)->without[0], "gate2");
	/* Back after the run: it is asked at once, as every gate. */
	w->gate_asks = 0;
	co_on_gate_up(w->core, 1, 0, 0, w->now);
	assert_int_equal(w->gate_asks, 1);
}

static void
test_left_out_and_back_it_is_waited_for(void **state)
{
	struct run_world *w = *state;

	co_on_gate_up(w->core, 1, 0, 0, w->now);
	assert_int_equal(begin(w, "page on", "gate2"), 0);
	obey(w, 2);
	report(w, 1, 0, 0, FM_GATE_NONE);
	assert_string_equal(run_world_run(w)->step, "close gates");
	obey(w, 4);
	assert_int_equal(run_world_run(w)->state, CO_RUN_RUNNING);
	assert_non_null(strstr(co_core_waiting(w->core), "gate gate2"));
	report(w, 1, 0, 0, FM_GATE_NONE);
	obey(w, 2);
	assert_int_equal(run_world_run(w)->end, CO_END_DONE);
}

static void
test_a_name_that_is_no_gate_is_refused(void **state)
{
	struct run_world *w = *state;
	uint64_t before = co_core_state(w->core)->last_run;

	assert_int_equal(begin(w, "page on", "gate3"), -1);
	assert_int_equal(co_core_state(w->core)->last_run, before);
}

static void
test_a_run_goes_on_without_a_gate_that_went_away(void **state)
{
	struct run_world *w = *state;
	const char names[][FM_NAME_SIZE] = { "gate2" }, strange[][FM_NAME_SIZE] = { "x" };

	co_on_gate_up(w->core, 1, 0, 0, w->now);
	assert_int_equal(begin(w, "page on", NULL), 0);
	report(w, 1, 0, 0, FM_GATE_NONE);
	obey(w, 3);
	assert_string_equal(run_world_run(w)->step, "close gates");
	co_on_gate_down(w->core, 1, 0, w->now);
	obey(w, 3);
	assert_non_null(strstr(co_core_waiting(w->core), "fermata retry --without gate2"));
	assert_int_equal(co_leave_out(w->core, 1, strange, "ops", w->now, NULL), -1);
	assert_int_equal(co_leave_out(w->core, 1, names, "ops", w->now, NULL), 0);
	assert_int_equal(run_world_run(w)->end, CO_END_DONE);
	assert_int_equal(co_leave_out(w->core, 1, names, "ops", w->now, NULL), -1);
}

static void
test_a_new_life_of_the_coordinator_still_leaves_it_out(void **state)
{
	struct run_world *w = *state;

	assert_int_equal(begin(w, "page on", "gate2"), 0);
	run_world_restart(w);
	obey(w, 5);
	assert_int_equal(run_world_run(w)->end, CO_END_DONE);
}

static void
test_two_nginx_of_one_name_must_both_obey(void **state)
{
	struct run_world *w = *state;

	co_on_gate_up(w->core, 1, 0, 0, w->now);
	co_on_gate_up(w->core, 1, 1, 0, w->now);
	assert_int_equal(begin(w, "stop", NULL), 0);
	for (unsigned i = 0; i < 4; i++) {
		obey(w, 1);
		report(w, 1, 0, 0, FM_GATE_NONE);
	}
	/* Only one of the two has said anything. */
	assert_string_equal(run_world_run(w)->step, "preflight");
	report(w, 1, 1, 0, FM_GATE_NONE);
	obey(w, 2);
	report(w, 1, 0, 0, FM_GATE_NONE);
	assert_string_equal(run_world_run(w)->step, "close gates");
	/* Closed in both, and one still has requests under way. */
	report(w, 1, 1, 3, FM_GATE_NONE);
	obey(w, 2);
	report(w, 1, 0, 0, FM_GATE_NONE);
	report(w, 1, 1, 3, FM_GATE_NONE);
	assert_string_equal(run_world_run(w)->step, "drain");
	assert_int_equal(co_core_fleet(w->core)->gates[1].report.in_flight, 3);
	assert_int_equal(co_core_fleet(w->core)->gates[1].report.held, 3);
	assert_int_equal(co_core_fleet(w->core)->gates[1].report.workers, 4);
	assert_int_equal(co_core_fleet(w->core)->gates[1].session_count, 2);
	/* The old one ends: what it had under way is gone with it. */
	co_on_gate_down(w->core, 1, 1, w->now);
	assert_int_equal(co_core_fleet(w->core)->gates[1].session_count, 1);
	obey(w, 1);
	assert_string_not_equal(run_world_run(w)->step, "drain");
}

static void
test_a_mode_by_hand_is_journalled_and_holds_a_run_up(void **state)
{
	struct run_world *w = *state;
	unsigned commits = 0;

	co_on_gate_up(w->core, 1, 0, 0, w->now);
	report(w, 1, 0, 0, FM_GATE_OPEN);
	assert_string_equal(w->last_event.kind, "note");
	assert_non_null(strstr(w->last_event.text, "gate gate2 is open by hand of root"));
	commits = w->commits;
	report(w, 1, 0, 0, FM_GATE_OPEN);
	assert_int_equal(w->commits, commits); /* once */
	assert_int_equal(begin(w, "page on", NULL), 0);
	for (unsigned i = 0; i < 4; i++) {
		obey(w, 1);
		report(w, 1, 0, 0, FM_GATE_OPEN);
	}
	assert_string_equal(run_world_run(w)->step, "close gates");
	assert_non_null(strstr(co_core_waiting(w->core), "fermata gate resume --local"));
	report(w, 1, 0, 0, FM_GATE_NONE);
	assert_int_equal(run_world_run(w)->end, CO_END_DONE);
}

static void
test_closed_by_hand_is_closed(void **state)
{
	struct run_world *w = *state;

	co_on_gate_up(w->core, 1, 0, 0, w->now);
	assert_int_equal(begin(w, "page on", NULL), 0);
	for (unsigned i = 0; i < 4; i++) {
		obey(w, 1);
		report(w, 1, 0, 0, FM_GATE_CLOSED);
	}
	assert_int_equal(run_world_run(w)->end, CO_END_DONE);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, run_world_tear_down)
	const struct CMUnitTest tests[] = {
		T(test_a_gate_that_is_away_blocks_and_says_what_to_type),
		T(test_left_out_it_is_not_waited_for),
		T(test_left_out_and_back_it_is_waited_for),
		T(test_a_name_that_is_no_gate_is_refused),
		T(test_a_run_goes_on_without_a_gate_that_went_away),
		T(test_a_new_life_of_the_coordinator_still_leaves_it_out),
		T(test_two_nginx_of_one_name_must_both_obey),
		T(test_a_mode_by_hand_is_journalled_and_holds_a_run_up),
		T(test_closed_by_hand_is_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
