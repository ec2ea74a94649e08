/* A run moved on by its events stands as the coordinator would tell of it. */
#include "coordinator/cli/progress.h"

#include <string.h>

#include "../../test.h"
#include "coordinator/cli/message.h"
#include "made_up.h"

/* Run 12 in its fifth step, as it comes over the wire. */
static Fermata__ControlEvent *
heard(void)
{
	Fermata__ControlEvent event = FERMATA__CONTROL_EVENT__INIT;

	event.what_case = FERMATA__CONTROL_EVENT__WHAT_RUN;
	event.run = made_up_run();
	return co_event_copy(&event);
}

static void
happens(Fermata__ControlEvent *event, const char *kind, const char *step, const char *text)
{
	Fermata__RunEvent row = FERMATA__RUN_EVENT__INIT;

	row.kind = (char *)(uintptr_t)kind;
	row.step = (char *)(uintptr_t)step;
	row.text = (char *)(uintptr_t)text;
	row.at_ms = NOON + 30000;
	row.took_ms = 1234;
	co_progress(event->run, &row);
}

static void
assert_row(const Fermata__RunStatus *run, size_t i, const char *name, const char *row_state)
{
	assert_true(i < run->n_steps);
	assert_string_equal(run->steps[i]->name, name);
	assert_string_equal(run->steps[i]->state, row_state);
}

static void
test_from_step_to_step(void **state)
{
	Fermata__ControlEvent *event = heard();
	Fermata__RunStatus *run = event->run;

	(void)state;
	happens(event, "waiting", "first node", "app1: nearly there");
	assert_string_equal(run->steps[4]->waiting_for, "app1: nearly there");
	happens(event, "done", "first node", "");
	assert_row(run, 4, "first node", "done");
	assert_string_equal(run->steps[4]->waiting_for, "");
	assert_int_equal(run->steps[4]->took_ms, 1234);
	happens(event, "held", "approve", "wait for a person");
	assert_row(run, 5, "verify", "skipped");
	assert_row(run, 6, "approve", "running");
	assert_row(run, 7, "other nodes", "pending");
	assert_int_equal(run->steps[6]->began_ms, NOON + 30000);
	assert_string_equal(run->state, "held");
	assert_int_equal(run->n_steps, 11);
	co_event_free(event);
}

static void
test_turning_back(void **state)
{
	Fermata__ControlEvent *event = heard();
	Fermata__RunStatus *run = event->run;

	(void)state;
	happens(event, "turn", "first node", "app1: boom");
	assert_row(run, 4, "first node", "failed");
	assert_string_equal(run->steps[4]->why, "app1: boom");
	assert_string_equal(run->why, "app1: boom");
	assert_int_equal(run->n_steps, 5); /* what was to come will not */
	happens(event, "step", "close gates", "show visitors the page");
	assert_row(run, 5, "close gates", "running");
	happens(event, "done", "close gates", "");
	happens(event, "step", "stop nodes", "stop the application");
	happens(event, "halted", "stop nodes", "app2 does not end");
	assert_row(run, 6, "stop nodes", "failed");
	assert_string_equal(run->state, "halted");
	assert_string_equal(run->why, "app1: boom"); /* what failed first */
	/* A retry is the same row again. */
	happens(event, "step", "stop nodes", "stop the application");
	assert_row(run, 6, "stop nodes", "running");
	assert_string_equal(run->steps[6]->why, "");
	assert_string_equal(run->state, "running");
	assert_int_equal(run->n_steps, 7);
	happens(event, "end", "", "rolled-back");
	assert_string_equal(run->state, "ended");
	assert_string_equal(run->end, "rolled-back");
	assert_int_equal(run->ended_ms, NOON + 30000);
	co_event_free(event);
}

/* A rolling group goes through the same rows once a node. */
static void
test_rows_that_come_again(void **state)
{
	Fermata__ControlEvent *event = heard();
	Fermata__RunStatus *run = event->run;

	(void)state;
	happens(event, "done", "first node", "");
	happens(event, "step", "stop nodes", "stop that node: app2");
	assert_row(run, 5, "stop nodes", "running");
	assert_row(run, 6, "verify", "pending");
	happens(event, "step", "first node", "start that node: app2");
	assert_row(run, 5, "stop nodes", "done"); /* though that was not heard */
	assert_row(run, 6, "first node", "running");
	assert_int_equal(run->n_steps, 13);
	/* The coordinator came back: the same row, not another one. */
	happens(event, "step", "first node", "start that node: app2");
	assert_int_equal(run->n_steps, 13);
	co_event_free(event);
}

static void
test_a_run_of_which_nothing_is_known(void **state)
{
	Fermata__ControlEvent event = FERMATA__CONTROL_EVENT__INIT;
	Fermata__RunStatus empty = FERMATA__RUN_STATUS__INIT;

	(void)state;
	event.what_case = FERMATA__CONTROL_EVENT__WHAT_RUN;
	event.run = &empty;
	Fermata__ControlEvent *copy = co_event_copy(&event);
	happens(copy, "waiting", "x", "y");
	happens(copy, "done", "x", "");
	happens(copy, "step", "preflight", "look");
	assert_row(copy->run, 0, "preflight", "running");
	co_event_free(copy);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_from_step_to_step),
		cmocka_unit_test(test_turning_back),
		cmocka_unit_test(test_rows_that_come_again),
		cmocka_unit_test(test_a_run_of_which_nothing_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
