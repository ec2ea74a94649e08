/* The operator's commands: when each is run, what waits for it, and what its failure means. */
#include "made_up.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define ALL (~0U)
#define BIT(name) AG_HOOK_BIT(AG_HOOK_##name)

static struct made_up w;

static int
tear_down(void **state)
{
	(void)state;
	made_up_end(&w);
	return 0;
}

static void
ask_app(uint64_t seq, enum fm_app_goal app, const char *release, uint64_t run)
{
	struct fm_agent_ask ask = made_up_ask(seq, app, release);

	ask.run = run;
	ask.start_serial = run;
	assert_true(made_up_say(&w, &ask));
}

/* This hook is under way, about this release. */
static void
assert_hook(const char *name, const char *release)
{
	assert_int_equal(w.job, AG_JOB_HOOK);
	assert_string_equal(w.job_what, name);
	assert_string_equal(w.job_release, release);
}

static const struct fm_hook_told *
last_told(void)
{
	return &w.said.hooks[FM_HOOKS_TOLD - 1];
}

/* To a process that is there, with the hook after_start behind it. */
static void
start(const char *version)
{
	assert_hook("before_start", version);
	made_up_job(&w, true, "mounted");
	made_up_look(&w, version, 0);
	assert_int_equal(w.spawns, 1);
	ag_on_spawned(w.core, true, "", w.now);
	made_up_processes(&w, 3, "");
	assert_hook("after_start", version);
	made_up_job(&w, true, "");
}

static void
get_ready(const char *version)
{
	ask_app(1, FM_APP_GOAL_RUNNING, version, 7);
	start(version);
	made_up_probe(&w, AG_HEALTH_OK, "");
	made_up_look(&w, version, 0);
	made_up_job(&w, true, "warm");
	made_up_job(&w, true, "told");
	assert_int_equal(w.said.app, FM_APP_READY);
}

static void
test_a_start_in_order(void **state)
{
	(void)state;
	made_up_begin_hooked(&w, ALL, 0);
	ask_app(1, FM_APP_GOAL_RUNNING, "2.2.15", 7);
	assert_int_equal(w.looks, 0);
	start("2.2.15");
	made_up_probe(&w, AG_HEALTH_OK, "");
	made_up_look(&w, "2.2.15", 0);
	/* It is well, and nobody is told before the hook has ended. */
	assert_hook("before_ready", "2.2.15");
	assert_int_equal(w.said.app, FM_APP_STARTING);
	made_up_job(&w, true, "warm");
	assert_int_equal(w.said.app, FM_APP_READY);
	assert_hook("after_ready", "2.2.15");
	made_up_job(&w, true, "");
	assert_string_equal(last_told()->hook, "after_ready");
	assert_string_equal(w.said.hooks[2].text, "warm");
	assert_true(last_told()->ok);
	assert_int_equal(last_told()->serial, 4);
	assert_int_equal(w.jobs, 4);
	made_up_pass(&w, 60000);
	assert_int_equal(w.jobs, 4);
}

static void
test_a_stop_in_order(void **state)
{
	(void)state;
	made_up_begin_hooked(&w, ALL, 0);
	get_ready("2.2.15");
	ask_app(2, FM_APP_GOAL_STOPPED, "2.2.15", 8);
	assert_hook("before_stop", "2.2.15");
	assert_int_equal(w.said.app, FM_APP_STOPPING);
	assert_int_equal(w.terms, 0);
	made_up_job(&w, true, "");
	assert_int_equal(w.terms, 1);
	made_up_processes(&w, 0, "");
	assert_hook("after_stop", "2.2.15");
	assert_int_not_equal(w.said.app, FM_APP_STOPPED);
	made_up_job(&w, true, "");
	assert_int_equal(w.said.app, FM_APP_STOPPED);
	assert_int_equal(w.jobs, 6);
}

static void
test_a_fetch_in_order(void **state)
{
	static const char releases[][FM_VERSION_SIZE] = { "2.2.15", "2.2.16", "2.2.17" };
	struct fm_agent_ask ask = made_up_ask(1, FM_APP_GOAL_NONE, "");

	(void)state;
	made_up_begin_hooked(&w, ALL, 0);
	FM_COPY(ask.fetch, "2.2.17");
	assert_true(made_up_say(&w, &ask));
	assert_hook("before_fetch", "2.2.17");
	made_up_job(&w, true, "");
	assert_int_equal(w.job, AG_JOB_FETCH);
	/* The agent dies when the release is there and nothing has been told of it. */
	w.hooks = ALL;
	made_up_restart(&w, 0);
	ag_on_disk(w.core, "2.2.15", 3, releases, w.now);
	assert_true(made_up_say(&w, &ask));
	assert_hook("after_fetch", "2.2.17");
	assert_string_equal(w.said.fetched, "");
	made_up_job(&w, true, "scanned");
	assert_string_equal(w.said.fetched, "2.2.17");
}

/* What an operator's command forbids is said, and not done; under the next ask it is tried again. */
static void
test_a_failure_holds(void **state)
{
	(void)state;
	made_up_begin_hooked(&w, ALL, 0);
	get_ready("2.2.15");
	ask_app(2, FM_APP_GOAL_STOPPED, "2.2.15", 8);
	made_up_job(&w, false, "exit 3: a report is being written");
	assert_int_equal(w.terms, 0);
	assert_int_equal(w.said.app, FM_APP_FAILED);
	assert_string_equal(w.said.hook_failure, "before_stop: exit 3: a report is being written");
	assert_non_null(strstr(w.said.failure, "not stopped, an operator's command failed"));
	assert_false(last_told()->ok || last_told()->goes_on);
	made_up_pass(&w, 600000);
	assert_int_equal(w.jobs, 5);
	ask_app(3, FM_APP_GOAL_STOPPED, "2.2.15", 8);
	assert_hook("before_stop", "2.2.15");
	assert_int_equal(w.jobs, 6);
	assert_string_equal(w.said.hook_failure, "");
	made_up_job(&w, true, "");
	assert_int_equal(w.terms, 1);
}

static void
test_a_warning_goes_on(void **state)
{
	(void)state;
	made_up_begin_hooked(&w, ALL, BIT(BEFORE_STOP));
	get_ready("2.2.15");
	ask_app(2, FM_APP_GOAL_STOPPED, "2.2.15", 8);
	made_up_job(&w, false, "exit 3");
	assert_int_equal(w.terms, 1);
	assert_true(!last_told()->ok && last_told()->goes_on);
	assert_string_equal(last_told()->text, "exit 3");
}

/* Nothing waits for it. */
static void
test_after_ready_is_a_warning(void **state)
{
	(void)state;
	made_up_begin_hooked(&w, BIT(AFTER_READY), 0);
	ask_app(1, FM_APP_GOAL_RUNNING, "2.2.15", 7);
	made_up_ready(&w, "2.2.15");
	made_up_job(&w, false, "exit 1");
	assert_int_equal(w.said.app, FM_APP_READY);
	assert_true(last_told()->goes_on);
	made_up_pass(&w, 600000);
	assert_int_equal(w.jobs, 1);
}

/* The way back does not hang on a hook of the stop that failed. */
static void
test_after_stop_that_failed_is_left(void **state)
{
	(void)state;
	made_up_begin_hooked(&w, BIT(AFTER_STOP), 0);
	ask_app(1, FM_APP_GOAL_RUNNING, "2.2.15", 7);
	made_up_ready(&w, "2.2.15");
	ask_app(2, FM_APP_GOAL_STOPPED, "2.2.15", 8);
	made_up_processes(&w, 0, "");
	made_up_job(&w, false, "exit 3");
	assert_int_equal(w.said.app, FM_APP_FAILED);
	assert_int_equal(w.said.pids, 0);
	ask_app(3, FM_APP_GOAL_RUNNING, "2.2.15", 8);
	made_up_look(&w, "2.2.15", 0);
	assert_int_equal(w.spawns, 2);
}

/* Outside a run, and after a reboot: what is missing may come by itself. */
static void
test_a_start_outside_a_run_is_tried_again(void **state)
{
	(void)state;
	made_up_begin_hooked(&w, BIT(BEFORE_START), 0);
	ask_app(1, FM_APP_GOAL_RUNNING, "2.2.15", 0);
	made_up_job(&w, false, "not mounted");
	assert_int_equal(w.said.app, FM_APP_FAILED);
	made_up_pass(&w, 29000);
	assert_int_equal(w.jobs, 1);
	made_up_pass(&w, 2000);
	assert_hook("before_start", "2.2.15");
	assert_int_equal(w.jobs, 2);
	made_up_job(&w, true, "");
	made_up_look(&w, "2.2.15", 0);
	assert_int_equal(w.spawns, 1);
}

/* What was under way is run again; what had ended, and was for something that is done, is not. */
static void
test_a_crash_of_the_agent(void **state)
{
	(void)state;
	made_up_begin_hooked(&w, ALL, 0);
	ask_app(1, FM_APP_GOAL_RUNNING, "2.2.15", 7);
	start("2.2.15");
	made_up_probe(&w, AG_HEALTH_OK, "");
	made_up_look(&w, "2.2.15", 0);
	assert_hook("before_ready", "2.2.15");
	assert_int_equal(w.jobs, 3);
	made_up_restart(&w, 3);
	made_up_probe(&w, AG_HEALTH_OK, "");
	made_up_look(&w, "2.2.15", 0);
	assert_hook("before_ready", "2.2.15");
	assert_int_equal(w.jobs, 4);
	made_up_job(&w, true, "");
	assert_int_equal(last_told()->serial, 3);
	made_up_job(&w, true, "");
	made_up_restart(&w, 3);
	made_up_probe(&w, AG_HEALTH_OK, "");
	made_up_look(&w, "2.2.15", 0);
	assert_int_equal(w.said.app, FM_APP_READY);
	assert_int_equal(w.jobs, 5);
	assert_int_equal(w.spawns, 1);
}

/* What it was for is not wanted any more: it is ended, and what it says is about the past. */
static void
test_what_nobody_wants_is_ended(void **state)
{
	(void)state;
	made_up_begin_hooked(&w, BIT(BEFORE_START), 0);
	ask_app(1, FM_APP_GOAL_RUNNING, "2.2.15", 7);
	ask_app(2, FM_APP_GOAL_STOPPED, "2.2.15", 7);
	assert_int_equal(w.job_stops, 1);
	made_up_job(&w, true, "late");
	assert_int_equal(w.said.app, FM_APP_STOPPED);
	assert_int_equal(last_told()->serial, 0);
	ask_app(3, FM_APP_GOAL_RUNNING, "2.2.15", 7);
	assert_int_equal(w.jobs, 2);
}

/* A process that was there before the hooks were set is not held up by them. */
static void
test_hooks_that_come_later(void **state)
{
	(void)state;
	made_up_begin_hooked(&w, 0, 0);
	ask_app(1, FM_APP_GOAL_RUNNING, "2.2.15", 0);
	made_up_ready(&w, "2.2.15");
	w.hooks = ALL;
	made_up_restart(&w, 3);
	made_up_probe(&w, AG_HEALTH_OK, "");
	made_up_look(&w, "2.2.15", 0);
	assert_int_equal(w.said.app, FM_APP_READY);
	assert_int_equal(w.jobs, 0);
	ask_app(2, FM_APP_GOAL_STOPPED, "2.2.15", 8);
	assert_hook("before_stop", "2.2.15");
}

static void
test_a_state_that_cannot_be_written(void **state)
{
	(void)state;
	made_up_begin_hooked(&w, BIT(BEFORE_STOP), 0);
	ask_app(1, FM_APP_GOAL_RUNNING, "2.2.15", 7);
	made_up_ready(&w, "2.2.15");
	ask_app(2, FM_APP_GOAL_STOPPED, "2.2.15", 8);
	w.disk_full = true;
	made_up_job(&w, true, "");
	assert_int_equal(w.terms, 0);
	assert_non_null(strstr(w.said.failure, "cannot be written"));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_teardown(test_##name, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_start_in_order),
		TEST(a_stop_in_order),
		TEST(a_fetch_in_order),
		TEST(a_failure_holds),
		TEST(a_warning_goes_on),
		TEST(after_ready_is_a_warning),
		TEST(after_stop_that_failed_is_left),
		TEST(a_start_outside_a_run_is_tried_again),
		TEST(a_crash_of_the_agent),
		TEST(what_nobody_wants_is_ended),
		TEST(hooks_that_come_later),
		TEST(a_state_that_cannot_be_written),
	};
#undef TEST

	return cmocka_run_group_tests_name("agent hooks", tests, NULL, NULL);
}
