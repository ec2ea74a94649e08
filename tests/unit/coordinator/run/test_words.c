/* What a person may say to a run, when, and what comes of it. */
#include <string.h>

#include "tests/unit/test.h"

#include "base/text.h"
#include "tests/unit/coordinator/run/run_world.h"

static int
say(struct run_world *w, enum co_verb verb)
{
	return co_operate(w->core, verb, "ann", w->now, NULL);
}

static void
test_no_word_fits_a_run_that_has_ended(void **state)
{
	struct run_world *w = *state;

	for (int verb = 0; verb < CO_VERB_COUNT; verb++)
		assert_int_equal(say(w, (enum co_verb)verb), -1);
}

static void
test_approval_is_waited_for(void **state)
{
	struct run_world *w = *state;

	run_world_upgrade(w, false, "approve");
	assert_int_equal(run_world_run(w)->state, CO_RUN_HELD);
	assert_int_equal(say(w, CO_VERB_END), -1);
	assert_int_equal(say(w, CO_VERB_APPROVE), 0);
	assert_string_equal(run_world_run(w)->step, "start others");
}

/* A link made at any time of a run leads to the first node alone, and only while it is there to stay. */
static void
test_operators_get_in_once_the_first_node_is_started(void **state)
{
	static const char *const shut[] = { "stop nodes", "switch release" };
	struct run_world *w = *state;
	const struct fm_gate_ask *gate = &co_core_state(w->core)->gate;

	assert_int_equal(run_world_begin(w, "upgrade", "2.2.16", false), 0);
	for (unsigned i = 0; i < sizeof(shut) / sizeof(shut[0]); i++) {
		run_world_until(w, shut[i]);
		if (!gate->bypass.shut) fail_msg("%s: %s", shut[i], run_world_run(w)->step);
	}
	run_world_until(w, "start first");
	assert_false(gate->bypass.shut);
	assert_string_equal(gate->bypass.node, "app1");
	run_world_until(w, "approve");
	assert_int_equal(say(w, CO_VERB_REJECT), 0);
	run_world_until(w, "stop nodes");
	assert_true(gate->bypass.shut);
	run_world_until(w, "start first");
	assert_false(gate->bypass.shut);
	run_world_until(w, "open gates");
	assert_string_equal(gate->bypass.node, "");
}

static void
test_a_key_lives_as_long_as_the_page_of_its_run(void **state)
{
	struct run_world *w = *state;
	const struct fm_gate_bypass *bypass = &co_core_state(w->core)->gate.bypass;
	struct co_order order = { .procedure = "page on", .bypass_key = { 1 } };

	assert_int_equal(co_begin(w->core, &order, w->now, NULL), 0);
	run_world_obey(w);
	run_world_obey(w);
	assert_int_equal(run_world_run(w)->end, CO_END_DONE);
	assert_int_equal(bypass->key[0], 1);
	assert_false(bypass->shut);
	order.bypass_key[0] = 2;
	FM_COPY(order.procedure, "page off");
	assert_int_equal(co_begin(w->core, &order, w->now, NULL), 0);
	assert_int_equal(bypass->key[0], 2);
	run_world_until(w, "open gates");
	run_world_obey(w);
	assert_int_equal(run_world_run(w)->end, CO_END_DONE);
	assert_int_equal(bypass->key[0], 0);
}

static void
test_a_note_is_a_line_of_the_timeline(void **state)
{
	struct run_world *w = *state;
	unsigned commits = w->commits, asks = w->gate_asks;

	assert_int_equal(co_note(w->core, "a link was made", w->now), 0);
	assert_string_equal(w->last_event.text, "a link was made");
	assert_string_equal(w->last_event.kind, "note");
	assert_int_equal(w->commits, commits + 1);
	assert_int_equal(w->gate_asks, asks);
	w->journal_refuses = true;
	assert_int_equal(co_note(w->core, "another", w->now), -1);
}

static void
test_rejection_is_rolled_back(void **state)
{
	struct run_world *w = *state;

	run_world_upgrade(w, false, "approve");
	assert_int_equal(say(w, CO_VERB_REJECT), 0);
	assert_true(run_world_run(w)->recovering);
	run_world_until(w, "open gates");
	run_world_obey(w);
	assert_int_equal(run_world_run(w)->end, CO_END_ROLLED_BACK);
}

static void
test_abort_takes_back(void **state)
{
	struct run_world *w = *state;

	run_world_upgrade(w, true, "stop nodes");
	assert_int_equal(say(w, CO_VERB_ABORT), 0);
	assert_true(run_world_run(w)->recovering);
	assert_string_equal(run_world_run(w)->step, "start first");
	assert_int_equal(say(w, CO_VERB_ABORT), -1);
	run_world_until(w, "open gates");
	run_world_obey(w);
	assert_int_equal(run_world_run(w)->end, CO_END_STOPPED_BY_OPERATOR);
}

static void
test_abort_is_refused_once_visitors_are_in(void **state)
{
	struct run_world *w = *state;

	run_world_upgrade(w, true, "sweep");
	assert_int_equal(say(w, CO_VERB_ABORT), -1);
	assert_int_equal(run_world_run(w)->state, CO_RUN_RUNNING);
	assert_false(run_world_run(w)->by_operator);
}

static void
test_pause_stands_still_between_rows(void **state)
{
	struct run_world *w = *state;

	run_world_upgrade(w, true, "stop nodes");
	assert_int_equal(say(w, CO_VERB_PAUSE), 0);
	run_world_obey(w);
	assert_int_equal(run_world_run(w)->state, CO_RUN_PAUSED);
	for (unsigned i = 0; i < 30; i++) run_world_pass(w, 1000);
	assert_int_equal(run_world_run(w)->state, CO_RUN_PAUSED);
	assert_int_equal(say(w, CO_VERB_RESUME), 0);
	run_world_until(w, "sweep");
	assert_string_equal(run_world_run(w)->step, "sweep");
}

static void
test_a_paused_run_can_be_aborted(void **state)
{
	struct run_world *w = *state;

	run_world_upgrade(w, true, "stop nodes");
	assert_int_equal(say(w, CO_VERB_PAUSE), 0);
	run_world_obey(w);
	assert_int_equal(say(w, CO_VERB_ABORT), 0);
	assert_true(run_world_run(w)->recovering);
}

static void
test_retry_is_a_new_try(void **state)
{
	struct run_world *w = *state;
	uint64_t epoch = 0, serial = 0;

	w->config.rollback_auto = false;
	run_world_restart(w);
	run_world_obey(w);
	run_world_upgrade(w, true, "start first");
	w->app[0] = FM_APP_FAILED;
	run_world_obey(w);
	assert_int_equal(run_world_run(w)->state, CO_RUN_HALTED);
	epoch = co_core_state(w->core)->epoch;
	serial = co_core_state(w->core)->nodes[0].start_serial;
	w->app[0] = FM_APP_READY;
	assert_int_equal(say(w, CO_VERB_RETRY), 0);
	assert_true(co_core_state(w->core)->epoch > epoch);
	assert_true(co_core_state(w->core)->nodes[0].start_serial > serial);
	run_world_until(w, "sweep");
	assert_string_equal(run_world_run(w)->step, "sweep");
}

static void
test_a_halted_run_can_be_rolled_back_or_given_up(void **state)
{
	struct run_world *w = *state;

	w->config.rollback_auto = false;
	run_world_restart(w);
	run_world_obey(w);
	run_world_upgrade(w, true, "start first");
	w->app[0] = FM_APP_FAILED;
	run_world_obey(w);
	assert_int_equal(run_world_begin(w, "stop", "", false),
			 -1); /* a halted run locks the cluster */
	assert_int_equal(say(w, CO_VERB_ROLLBACK), 0);
	assert_true(run_world_run(w)->recovering);
	run_world_until(w, "start first");
	run_world_obey(w); /* app1 says FAILED still: the way back halts */
	assert_int_equal(run_world_run(w)->state, CO_RUN_HALTED);
	assert_int_equal(say(w, CO_VERB_ABORT), 0);
	assert_int_equal(run_world_run(w)->end, CO_END_NEEDS_OPERATOR);
	assert_int_equal(co_core_state(w->core)->gate.mode, FM_GATE_CLOSED);
}

static void
test_maintenance_is_held_and_ended(void **state)
{
	struct run_world *w = *state;

	assert_int_equal(run_world_begin(w, "maintenance", "", false), 0);
	run_world_until(w, "hold");
	assert_int_equal(co_core_state(w->core)->gate.mode, FM_GATE_PINNED);
	assert_string_equal(co_core_state(w->core)->gate.pinned, "app1");
	assert_int_equal(co_core_state(w->core)->nodes[1].app, FM_APP_GOAL_STOPPED);
	assert_int_equal(co_core_state(w->core)->nodes[0].run, 0);
	assert_int_equal(say(w, CO_VERB_APPROVE), -1);
	assert_int_equal(say(w, CO_VERB_END), 0);
	for (unsigned i = 0; i < 10; i++) run_world_obey(w);
	assert_int_equal(run_world_run(w)->end, CO_END_DONE);
	assert_int_equal(co_core_state(w->core)->gate.mode, FM_GATE_OPEN);
}

static const char *
told(struct run_world *w, const char **ret_next)
{
	static char text[FM_TEXT_SIZE], next[FM_TEXT_SIZE];

	co_core_tell(w->core, text, sizeof(text), next, sizeof(next));
	if (ret_next) *ret_next = next;
	return text;
}

static void
test_a_good_end_that_leaves_the_page_says_what_ends_it(void **state)
{
	struct run_world *w = *state;
	const char *next = NULL;

	assert_int_equal(run_world_begin(w, "page on", "", false), 0);
	for (unsigned i = 0; i < 10; i++) run_world_obey(w);
	assert_int_equal(run_world_run(w)->end, CO_END_DONE);
	(void)told(w, &next);
	assert_string_equal(next, "fermata page off");
	assert_int_equal(run_world_begin(w, "page off", "", false), 0);
	for (unsigned i = 0; i < 10; i++) run_world_obey(w);
	(void)told(w, &next);
	assert_string_equal(next, "");
}

static void
test_what_was_not_lost_has_its_true_reason(void **state)
{
	struct run_world *w = *state;

	run_world_upgrade(w, true, "fetch");
	assert_int_equal(say(w, CO_VERB_ABORT), 0);
	assert_null(strstr(told(w, NULL), "nobody could write"));
	run_world_upgrade(w, false, "approve");
	assert_int_equal(say(w, CO_VERB_REJECT), 0);
	for (unsigned i = 0; i < 40; i++) run_world_obey(w);
	assert_int_equal(run_world_run(w)->end, CO_END_ROLLED_BACK);
	assert_non_null(strstr(told(w, NULL), "nobody could write"));
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, run_world_set_up_served, run_world_tear_down)
	const struct CMUnitTest tests[] = {
		T(test_no_word_fits_a_run_that_has_ended),
		T(test_approval_is_waited_for),
		T(test_operators_get_in_once_the_first_node_is_started),
		T(test_a_key_lives_as_long_as_the_page_of_its_run),
		T(test_a_note_is_a_line_of_the_timeline),
		T(test_rejection_is_rolled_back),
		T(test_abort_takes_back),
		T(test_abort_is_refused_once_visitors_are_in),
		T(test_pause_stands_still_between_rows),
		T(test_a_paused_run_can_be_aborted),
		T(test_retry_is_a_new_try),
		T(test_a_halted_run_can_be_rolled_back_or_given_up),
		T(test_maintenance_is_held_and_ended),
		T(test_a_good_end_that_leaves_the_page_says_what_ends_it),
		T(test_what_was_not_lost_has_its_true_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
