/* Which nodes the gates have for visitors: by what agents report, in a run and outside. */
#include "tests/unit/test.h"

#include <string.h>

#include "base/text.h"
#include "tests/unit/coordinator/run/run_world.h"

static uint64_t starts = 1;

static const struct fm_gate_ask *
gate(const struct run_world *w)
{
	return &co_core_state(w->core)->gate;
}

static void
report(struct run_world *w, unsigned node, enum fm_app_state app, uint32_t pids)
{
	struct fm_agent_report r = { .app = app, .pids = pids, .starts = starts };

	r.voice = co_core_state(w->core)->nodes[node].voice;
	FM_COPY(r.current, "2.2.15");
	if (pids > 0) FM_COPY(r.running, "2.2.15");
	co_on_node_report(w->core, node, &r, w->now);
}

/* The cluster serves, and every agent has said so. */
static int
set_up(void **state)
{
	(void)run_world_set_up_served(state);
	report(*state, 0, FM_APP_READY, 1);
	report(*state, 1, FM_APP_READY, 1);
	return 0;
}

static void
assert_drained(const struct run_world *w, unsigned count, const char *first, const char *second)
{
	assert_int_equal(gate(w)->drained_count, count);
	if (count > 0) assert_string_equal(gate(w)->drained[0], first);
	if (count > 1) assert_string_equal(gate(w)->drained[1], second);
	for (unsigned i = 0; i < w->config.node_count; i++)
		assert_int_equal(co_core_is_drained(w->core, i),
				 (count > 0 && fm_is_equal(w->config.nodes[i], first)) ||
					 (count > 1 && fm_is_equal(w->config.nodes[i], second)));
}

static const char *
says(const struct run_world *w, unsigned node)
{
	static char text[FM_TEXT_SIZE];

	co_core_say_service(w->core, node, text, sizeof(text));
	return text;
}

static void
test_what_cannot_serve_is_taken_out_and_comes_back(void **state)
{
	struct run_world *w = *state;
	struct fm_voice before = gate(w)->voice;

	assert_drained(w, 0, NULL, NULL);
	report(w, 1, FM_APP_BACKOFF, 0);
	assert_drained(w, 1, "app2", NULL);
	assert_int_equal(gate(w)->mode, FM_GATE_OPEN);
	/* The same epoch, a later word. */
	assert_int_equal(gate(w)->voice.epoch, before.epoch);
	assert_true(fm_voice_compare(gate(w)->voice, before) > 0);
	assert_string_equal(says(w, 1), "gets no visitors until it is ready");
	assert_non_null(strstr(w->last_event.text, "app2 gets no visitors: it is backoff"));
	starts++;
	report(w, 1, FM_APP_STARTING, 1);
	assert_drained(w, 1, "app2", NULL);
	report(w, 1, FM_APP_READY, 1);
	assert_drained(w, 0, NULL, NULL);
	assert_string_equal(w->last_event.text, "app2 gets visitors again");
	assert_string_equal(says(w, 1), "");
}

/* Waits for its database, or has too much to do: its load would be the end of the others. */
static void
test_a_live_one_that_was_ready_stays(void **state)
{
	struct run_world *w = *state;

	report(w, 1, FM_APP_STARTING, 1);
	assert_drained(w, 0, NULL, NULL);
	report(w, 1, FM_APP_STUCK, 1);
	assert_drained(w, 0, NULL, NULL);
	report(w, 1, FM_APP_UNKNOWN, 0);
	assert_drained(w, 0, NULL, NULL);
	/* It has said itself that it failed. */
	report(w, 1, FM_APP_FAILED, 1);
	assert_drained(w, 1, "app2", NULL);
}

static void
test_what_nobody_knows_changes_nothing(void **state)
{
	struct run_world *w = *state;

	co_on_node_down(w->core, 1, w->now);
	assert_drained(w, 0, NULL, NULL);
	co_on_node_up(w->core, 1, 0, w->now);
	report(w, 1, FM_APP_STOPPED, 0);
	co_on_node_down(w->core, 1, w->now);
	assert_drained(w, 1, "app2", NULL);
	/* Nor does a new life of the coordinator. */
	run_world_restart(w);
	assert_drained(w, 1, "app2", NULL);
	report(w, 0, FM_APP_STARTING, 1);
	assert_drained(w, 1, "app2", NULL);
	starts++;
	report(w, 1, FM_APP_STARTING, 1);
	assert_drained(w, 1, "app2", NULL);
	report(w, 1, FM_APP_READY, 1);
	assert_drained(w, 0, NULL, NULL);
}

static void
test_another_release_gets_no_visitors(void **state)
{
	struct run_world *w = *state;
	struct fm_agent_report r = { .app = FM_APP_READY, .pids = 1, .starts = 1 };

	FM_COPY(r.running, "2.2.14");
	co_on_node_report(w->core, 1, &r, w->now);
	assert_drained(w, 1, "app2", NULL);
	assert_string_equal(says(w, 1), "gets no visitors: it runs 2.2.14, and is to run 2.2.15");
}

static void
test_the_last_one_is_not_taken_out(void **state)
{
	struct run_world *w = *state;

	report(w, 1, FM_APP_BACKOFF, 0);
	report(w, 0, FM_APP_FAILED, 1);
	assert_drained(w, 0, NULL, NULL);
	assert_string_equal(says(w, 0), "gets visitors though it is not ready: no other node is");
	report(w, 1, FM_APP_READY, 1);
	assert_drained(w, 1, "app1", NULL);
}

/* Nobody would answer: that is a hole, in which the gates let wait. */
static void
test_where_nobody_is_visitors_are_held(void **state)
{
	struct run_world *w = *state;
	struct co_run_row row;

	report(w, 1, FM_APP_BACKOFF, 0);
	report(w, 0, FM_APP_BACKOFF, 0);
	assert_drained(w, 2, "app1", "app2");
	assert_true(gate(w)->hole);
	co_core_row(w->core, &row);
	assert_non_null(strstr(row.text, "No node is there for visitors"));
	/* Its agent is gone, and with it the certainty. */
	co_on_node_down(w->core, 0, w->now);
	assert_drained(w, 0, NULL, NULL);
	assert_false(gate(w)->hole);
	co_on_node_up(w->core, 0, 0, w->now);
	starts++;
	report(w, 0, FM_APP_STARTING, 1);
	assert_drained(w, 2, "app1", "app2");
	report(w, 0, FM_APP_READY, 1);
	assert_drained(w, 1, "app2", NULL);
	co_core_row(w->core, &row);
	assert_non_null(strstr(row.text, "Visitors are served."));
}

static void
test_the_pinned_node_is_held_while_it_is_gone(void **state)
{
	struct run_world *w = *state;

	assert_int_equal(run_world_begin(w, "maintenance", "", false), 0);
	run_world_until(w, "hold");
	assert_int_equal(gate(w)->mode, FM_GATE_PINNED);
	/* Those that are stopped are nobody's business while one is pinned. */
	assert_drained(w, 0, NULL, NULL);
	report(w, 0, FM_APP_BACKOFF, 0);
	assert_int_equal(gate(w)->mode, FM_GATE_PINNED);
	assert_drained(w, 1, "app1", NULL);
	report(w, 0, FM_APP_READY, 1);
	assert_drained(w, 0, NULL, NULL);
	assert_int_equal(run_world_run(w)->state, CO_RUN_HELD);
}

static void
test_closed_gates_are_told_nothing(void **state)
{
	struct run_world *w = *state;
	unsigned asks = 0;

	assert_int_equal(run_world_begin(w, "page on", "", false), 0);
	for (unsigned i = 0; i < 5; i++) run_world_obey(w);
	asks = w->gate_asks;
	report(w, 1, FM_APP_BACKOFF, 0);
	assert_int_equal(w->gate_asks, asks);
	assert_drained(w, 0, NULL, NULL);
	assert_string_equal(says(w, 1), "");
}

static void
test_a_node_that_was_left_out_gets_no_visitors_until_it_is_ready(void **state)
{
	struct run_world *w = *state;
	struct co_order order = { .yes = true, .without_count = 1 };

	co_on_node_down(w->core, 1, w->now);
	FM_COPY(order.procedure, "upgrade");
	FM_COPY(order.args, "upgrade");
	FM_COPY(order.to, "2.2.16");
	FM_COPY(order.without[0], "app2");
	assert_int_equal(co_begin(w->core, &order, w->now, NULL), 0);
	/* A person has said that nothing runs there: the others serve without it at once. */
	assert_drained(w, 1, "app2", NULL);
	for (unsigned i = 0; i < 40 && run_world_run(w)->end != CO_END_DONE; i++) run_world_obey(w);
	assert_int_equal(gate(w)->mode, FM_GATE_OPEN);
}

/* It dies, is ready again, and dies: after the third time it is to show that it stays. */
static void
test_one_that_falls_out_again_and_again_is_to_be_steady(void **state)
{
	struct run_world *w = *state;

	for (unsigned i = 0; i < 3; i++) {
		run_world_pass(w, 20000);
		assert_drained(w, 0, NULL, NULL);
		report(w, 1, FM_APP_BACKOFF, 0);
		starts++;
		report(w, 1, FM_APP_READY, 1);
	}
	assert_drained(w, 1, "app2", NULL);
	assert_non_null(strstr(says(w, 1), "ready for a minute"));
	run_world_pass(w, 59000);
	assert_drained(w, 1, "app2", NULL);
	run_world_pass(w, 1000);
	assert_drained(w, 0, NULL, NULL);
	/* The only one there is is taken at once. */
	report(w, 1, FM_APP_BACKOFF, 0);
	report(w, 0, FM_APP_BACKOFF, 0);
	report(w, 1, FM_APP_READY, 1);
	assert_drained(w, 1, "app1", NULL);
}

static void
test_workers_are_no_matter_for_gates(void **state)
{
	struct run_world *w = *state;

	w->config.workers[1] = true;
	run_world_restart(w);
	report(w, 1, FM_APP_BACKOFF, 0);
	assert_drained(w, 0, NULL, NULL);
	/* And serve nobody: with the other one gone there is a hole. */
	report(w, 1, FM_APP_READY, 1);
	report(w, 0, FM_APP_BACKOFF, 0);
	assert_drained(w, 1, "app1", NULL);
}

static void
test_what_the_journal_refuses_is_not_asked(void **state)
{
	struct run_world *w = *state;
	unsigned asks = w->gate_asks;

	w->journal_refuses = true;
	report(w, 1, FM_APP_BACKOFF, 0);
	assert_drained(w, 0, NULL, NULL);
	assert_int_equal(w->gate_asks, asks);
	w->journal_refuses = false;
	run_world_pass(w, 1000);
	assert_drained(w, 1, "app2", NULL);
	assert_int_equal(w->asked_before_commit, 0);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, run_world_tear_down)
	static const struct CMUnitTest tests[] = {
		T(test_what_cannot_serve_is_taken_out_and_comes_back),
		T(test_a_live_one_that_was_ready_stays),
		T(test_what_nobody_knows_changes_nothing),
		T(test_another_release_gets_no_visitors),
		T(test_the_last_one_is_not_taken_out),
		T(test_where_nobody_is_visitors_are_held),
		T(test_the_pinned_node_is_held_while_it_is_gone),
		T(test_closed_gates_are_told_nothing),
		T(test_a_node_that_was_left_out_gets_no_visitors_until_it_is_ready),
		T(test_one_that_falls_out_again_and_again_is_to_be_steady),
		T(test_workers_are_no_matter_for_gates),
		T(test_what_the_journal_refuses_is_not_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
