/* The runner's promises, one by one; the simulator looks for what nobody thought of. */
#include "tests/unit/test.h"

#include <string.h>

#include "base/text.h"
#include "tests/unit/coordinator/run/run_world.h"

static void
test_a_startup_is_done(void **state)
{
	struct run_world *w = *state;

	run_world_serve(w);
	assert_int_equal(run_world_run(w)->end, CO_END_DONE);
	assert_int_equal(co_core_state(w->core)->gate.mode, FM_GATE_OPEN);
	assert_string_equal(co_core_state(w->core)->version, "2.2.15");
	/* The run let go of its nodes: their agents may restart what crashes. */
	assert_int_equal(co_core_state(w->core)->nodes[1].run, 0);
}

static void
test_nodes_that_are_not_alike_are_refused(void **state)
{
	struct run_world *w = *state;

	FM_COPY(w->facts[0].environment, "APP_KEY aa\n");
	FM_COPY(w->facts[1].environment, "APP_KEY bb\n");
	run_world_serve(w);
	assert_int_equal(run_world_run(w)->end, CO_END_REFUSED);
	assert_non_null(strstr(run_world_run(w)->why, "app2: APP_KEY is not as on app1"));
	assert_int_equal(co_core_state(w->core)->gate.mode, FM_GATE_NONE);
}

static void
test_small_differences_are_remarked(void **state)
{
	struct run_world *w = *state;

	FM_COPY(w->facts[0].environment, "TZ aa\n");
	FM_COPY(w->facts[1].environment, "TZ bb\n");
	run_world_obey(w);
	assert_int_equal(run_world_begin(w, "startup", "2.2.15", true), 0);
	for (unsigned i = 0; i < 20 && !fm_is_equal(w->last_done.step, "preflight"); i++)
		run_world_obey(w);
	assert_non_null(strstr(w->last_done.text, "app2: settings that are not as on app1: TZ"));
}

static void
test_nothing_is_said_before_it_is_written(void **state)
{
	struct run_world *w = *state;

	run_world_serve(w);
	run_world_upgrade(w, true, "sweep");
	assert_true(w->commits > 15);
	assert_int_equal(w->asked_before_commit, 0);
}

static void
test_what_the_journal_refuses_is_not_said(void **state)
{
	struct run_world *w = *state;
	unsigned asks = 0;

	run_world_serve(w);
	asks = w->node_asks + w->gate_asks;
	w->journal_refuses = true;
	assert_int_equal(run_world_begin(w, "stop", "", false), -1);
	assert_int_equal(w->node_asks + w->gate_asks, asks);
	assert_int_equal(run_world_run(w)->end, CO_END_DONE); /* still the startup */
	w->journal_refuses = false;
	assert_int_equal(run_world_begin(w, "stop", "", false), 0);
}

static void
test_a_refused_commit_is_tried_again(void **state)
{
	struct run_world *w = *state;

	run_world_serve(w);
	assert_int_equal(run_world_begin(w, "page on", "", false), 0);
	w->journal_refuses = true;
	run_world_obey(w);
	assert_string_equal(run_world_run(w)->step, "preflight");
	w->journal_refuses = false;
	run_world_pass(w, 1000);
	assert_string_equal(run_world_run(w)->step, "close gates");
}

static void
test_no_upgrade_to_an_older_version(void **state)
{
	struct run_world *w = *state;
	unsigned commits = 0;

	run_world_serve(w);
	commits = w->commits;
	assert_int_equal(run_world_begin(w, "upgrade", "2.2.14", true), -1);
	assert_int_equal(run_world_begin(w, "upgrade", "2.2.15", true), -1);
	assert_int_equal(w->commits, commits);
	assert_int_equal(run_world_begin(w, "upgrade", "2.2.16-beta.1", true), 0);
}

static void
test_one_run_at_a_time(void **state)
{
	struct run_world *w = *state;

	run_world_serve(w);
	assert_int_equal(run_world_begin(w, "stop", "", false), 0);
	assert_int_equal(run_world_begin(w, "restart", "", false), -1);
	assert_string_equal(run_world_run(w)->procedure, "stop");
}

static void
test_a_new_life_is_a_new_epoch_and_goes_on(void **state)
{
	struct run_world *w = *state;
	uint64_t epoch = 0;

	run_world_serve(w);
	assert_int_equal(run_world_begin(w, "upgrade", "2.2.16", true), 0);
	w->job_answers = false;
	run_world_until(w, "preflight");
	co_on_job(w->core, &w->result, w->now);
	run_world_until(w, "fence");
	epoch = co_core_state(w->core)->epoch;
	run_world_restart(w);
	assert_true(co_core_state(w->core)->epoch > epoch);
	assert_string_equal(run_world_run(w)->step, "fence");
	assert_true(co_core_job(w->core)->running);
	w->job_answers = true;
	run_world_until(w, "sweep");
	run_world_obey(w);
	assert_int_equal(run_world_run(w)->end, CO_END_DONE);
}

static void
test_an_old_report_proves_nothing(void **state)
{
	struct run_world *w = *state;
	struct fm_agent_report stopped = { .app = FM_APP_STOPPED };

	run_world_serve(w);
	run_world_upgrade(w, true, "stop nodes");
	stopped.voice = co_core_state(w->core)->nodes[0].voice;
	stopped.voice.seq--;
	co_on_node_report(w->core, 0, &stopped, w->now);
	co_on_node_report(w->core, 1, &stopped, w->now);
	assert_string_equal(run_world_run(w)->step, "stop nodes");
}

static void
test_a_failed_migration_is_rolled_back(void **state)
{
	struct run_world *w = *state;

	run_world_serve(w);
	run_world_upgrade(w, true, "start first");
	w->app[0] = FM_APP_FAILED;
	run_world_obey(w);
	assert_true(run_world_run(w)->recovering);
	w->app[0] = FM_APP_READY;
	run_world_until(w, "restore");
	assert_int_equal(w->order.kind, CO_JOB_RESTORE);
	assert_string_equal(w->order.restore_point, run_world_run(w)->restore_point);
	run_world_until(w, "open gates");
	run_world_obey(w);
	assert_int_equal(run_world_run(w)->end, CO_END_ROLLED_BACK);
	assert_string_equal(co_core_state(w->core)->version, "2.2.15");
	assert_string_equal(run_world_run(w)->why, "app1: it said so");
}

static void
test_without_a_backup_there_is_no_way_back(void **state)
{
	struct run_world *w = *state;
	struct co_order order = { .yes = true, .no_backup = true };

	run_world_serve(w);
	FM_COPY(order.procedure, "upgrade");
	FM_COPY(order.to, "2.2.16");
	assert_int_equal(co_begin(w->core, &order, w->now, NULL), 0);
	run_world_until(w, "start first");
	w->app[0] = FM_APP_FAILED;
	run_world_until(w, "restore");
	assert_int_equal(run_world_run(w)->state, CO_RUN_HALTED);
	assert_int_equal(co_core_state(w->core)->gate.mode, FM_GATE_CLOSED);
}

static void
test_a_limit_ends_a_row(void **state)
{
	struct run_world *w = *state;

	run_world_serve(w);
	assert_int_equal(run_world_begin(w, "page on", "", false), 0);
	for (unsigned i = 0; i < 11; i++) run_world_pass(w, 1000);
	assert_int_equal(run_world_run(w)->end, CO_END_REFUSED);
}

static void
test_progress_moves_the_limit(void **state)
{
	struct run_world *w = *state;
	struct fm_agent_report busy = { .app = FM_APP_STARTING };

	run_world_serve(w);
	run_world_upgrade(w, true, "start first");
	for (unsigned i = 0; i < 30; i++) {
		busy.voice = co_core_state(w->core)->nodes[0].voice;
		FM_FORMAT(busy.detail, "load plugin %u/77", i);
		co_on_node_report(w->core, 0, &busy, w->now);
		run_world_pass(w, 1000);
	}
	assert_string_equal(run_world_run(w)->step, "start first");
	/* And none at all asks a person, who may wait on; what is slow is not ended. */
	for (unsigned n = 0; n < 2; n++) {
		for (unsigned i = 0; i < 11; i++) run_world_pass(w, 1000);
		assert_int_equal(run_world_run(w)->state, CO_RUN_HALTED);
		assert_int_equal(co_core_state(w->core)->nodes[0].app, FM_APP_GOAL_RUNNING);
		assert_int_equal(co_operate(w->core, CO_VERB_RESUME, "ops", w->now, NULL), 0);
		assert_int_equal(run_world_run(w)->state, CO_RUN_RUNNING);
		assert_int_equal(run_world_run(w)->serial, 0); /* the same start */
	}
	busy.app = FM_APP_STUCK;
	busy.voice = co_core_state(w->core)->nodes[0].voice;
	co_on_node_report(w->core, 0, &busy, w->now);
	assert_int_equal(run_world_run(w)->state, CO_RUN_HALTED);
	assert_int_equal(co_operate(w->core, CO_VERB_ROLLBACK, "ops", w->now, NULL), 0);
	assert_true(run_world_run(w)->recovering);
}

static void
test_what_comes_after_all_needs_no_answer(void **state)
{
	struct run_world *w = *state;

	run_world_serve(w);
	run_world_upgrade(w, true, "start first");
	for (unsigned i = 0; i < 11; i++) run_world_pass(w, 1000);
	assert_int_equal(run_world_run(w)->state, CO_RUN_HALTED);
	run_world_obey(w);
	assert_int_equal(run_world_run(w)->state, CO_RUN_RUNNING);
	assert_string_not_equal(run_world_run(w)->step, "start first");
}

/* What has failed does not go on by waiting. */
static void
test_only_what_stalled_is_waited_on(void **state)
{
	struct run_world *w = *state;

	w->config.rollback_auto = false;
	run_world_restart(w);
	run_world_serve(w);
	run_world_upgrade(w, true, "start first");
	w->app[0] = FM_APP_FAILED;
	run_world_obey(w);
	assert_int_equal(run_world_run(w)->state, CO_RUN_HALTED);
	assert_int_equal(co_operate(w->core, CO_VERB_RESUME, "ops", w->now, NULL), -1);
	assert_int_equal(co_operate(w->core, CO_VERB_RETRY, "ops", w->now, NULL), 0);
}

static void
test_downtime_over_the_limit_goes_back(void **state)
{
	struct run_world *w = *state;
	struct co_order order = { .yes = true, .max_downtime_ms = 3000 };

	run_world_serve(w);
	FM_COPY(order.procedure, "upgrade");
	FM_COPY(order.to, "2.2.16");
	assert_int_equal(co_begin(w->core, &order, w->now, NULL), 0);
	run_world_until(w, "stop nodes");
	run_world_pass(w, 2000);
	assert_false(run_world_run(w)->recovering);
	run_world_pass(w, 2000);
	assert_true(run_world_run(w)->recovering);
}

static void
test_an_epoch_from_elsewhere_is_passed(void **state)
{
	struct run_world *w = *state;

	co_on_node_up(w->core, 0, 900, w->now);
	assert_true(co_core_state(w->core)->epoch > 900);
}

static void
test_restart_goes_node_by_node(void **state)
{
	struct run_world *w = *state;

	run_world_serve(w);
	assert_int_equal(run_world_begin(w, "restart", "", false), 0);
	run_world_until(w, "stop one");
	assert_int_equal(co_core_state(w->core)->nodes[0].app, FM_APP_GOAL_STOPPED);
	assert_int_equal(co_core_state(w->core)->nodes[1].app, FM_APP_GOAL_RUNNING);
	assert_string_equal(co_core_state(w->core)->gate.drained[0], "app1");
	for (unsigned i = 0; i < 20 && run_world_run(w)->subject == 0; i++) run_world_obey(w);
	run_world_until(w, "stop one");
	assert_int_equal(run_world_run(w)->subject, 1);
	assert_int_equal(co_core_state(w->core)->nodes[0].app, FM_APP_GOAL_RUNNING);
	assert_int_equal(co_core_state(w->core)->nodes[1].app, FM_APP_GOAL_STOPPED);
	for (unsigned i = 0; i < 10; i++) run_world_obey(w);
	assert_int_equal(run_world_run(w)->end, CO_END_DONE);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, run_world_set_up, run_world_tear_down)
	const struct CMUnitTest tests[] = {
		T(test_a_startup_is_done),
		T(test_nodes_that_are_not_alike_are_refused),
		T(test_small_differences_are_remarked),
		T(test_nothing_is_said_before_it_is_written),
		T(test_what_the_journal_refuses_is_not_said),
		T(test_a_refused_commit_is_tried_again),
		T(test_one_run_at_a_time),
		T(test_no_upgrade_to_an_older_version),
		T(test_a_new_life_is_a_new_epoch_and_goes_on),
		T(test_an_old_report_proves_nothing),
		T(test_a_failed_migration_is_rolled_back),
		T(test_without_a_backup_there_is_no_way_back),
		T(test_a_limit_ends_a_row),
		T(test_progress_moves_the_limit),
		T(test_what_comes_after_all_needs_no_answer),
		T(test_only_what_stalled_is_waited_on),
		T(test_downtime_over_the_limit_goes_back),
		T(test_an_epoch_from_elsewhere_is_passed),
		T(test_restart_goes_node_by_node),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
