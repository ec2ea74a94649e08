/* The real `fermata` following runs, through a terminal that is left, limits, and a coordinator that
 * dies. */
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../test.h"
#include "base/mono.h"
#include "base/text.h"
#include "fake.h"

/* --- runs --------------------------------------------------------------------------------- */

static void
answer_whole_run(struct fake *fake, const Fermata__ControlRequest *request)
{
	(void)request;
	fake_send_run(fake, "running", 0);
	fake_send_event(fake, 1, "begin", "upgrade --to 2.2.16");
	fake_send_status(fake, "");
	fake_send_event(fake, 2, "failed", "no space");
	fake_send_run(fake, "held", 0);
	fake_send_run(fake, "held", 0);
	fake_send_end(fake, 4, "it stands still", "fermata retry 12");
}

static void
test_a_run_in_lines(void **state)
{
	struct fake *fake = *state;

	fake->answer = answer_whole_run;
	fake_run(fake, "upgrade --to 2.2.16");
	assert_int_equal(fake->code, 4);
	assert_string_equal(fake->asked[0], "upgrade to=2.2.16");
	assert_string_equal(fake->out, "");
	assert_says(fake->errors, "12:00:00  fetch          begin    upgrade --to 2.2.16\n");
	assert_says(fake->errors, "failed   no space\n");
	assert_int_equal(count_of(fake->errors, "next: fermata approve 12\n"), 1);
	assert_says(fake->errors, "now:  it stands still\nnext: fermata retry 12\n");
}

static void
answer_run_that_holds(struct fake *fake, const Fermata__ControlRequest *request)
{
	(void)request;
	fake_send_run(fake, "held", 0);
	fake_send_end(fake, 0,
		      "the cluster serves 2.2.15 with the data of before; nothing was lost",
		      "fermata approve 12");
}

static void
test_closing_words_are_said_once(void **state)
{
	struct fake *fake = *state;

	fake->answer = answer_run_that_holds;
	fake_run(fake, "maintenance begin");
	assert_int_equal(fake->code, 0);
	assert_string_equal(
		fake->out,
		"now:  the cluster serves 2.2.15 with the data of before; nothing was lost\nnext: fermata approve 12\n");
	assert_string_equal(fake->errors, "");
}

static void
test_a_run_as_json_lines(void **state)
{
	struct fake *fake = *state;
	unsigned lines = 0;

	fake->answer = answer_whole_run;
	fake_run(fake, "upgrade --to 2.2.16 --json");
	assert_int_equal(fake->code, 4);
	for (char *at = fake->out, *end; (end = strchr(at, '\n')) != NULL; at = end + 1) {
		json_t *json = json_loadb(at, (size_t)(end - at), 0, NULL);
		assert_non_null(json);
		assert_int_equal(json_object_size(json), 1);
		json_decref(json);
		lines++;
	}
	assert_int_equal(lines, 7);
	assert_string_equal(fake->errors, "");
}

static void
test_a_run_on_a_terminal(void **state)
{
	struct fake *fake = *state;

	fake->answer = answer_whole_run;
	fake->on_terminal = true;
	fake_run(fake, "upgrade --to 2.2.16");
	assert_int_equal(fake->code, 4);
	assert_says(fake->out, "run 12: upgrade --to 2.2.16");
	assert_says(fake->out, "waiting for app1: starting");
	assert_says(fake->out, "next: fermata approve 12");
	assert_says(fake->out, "\033["); /* drawn, and coloured */
	assert_says(fake->out, "it stands still");
	fake_run(fake, "upgrade --to 2.2.16 --no-color");
	assert_null(strstr(fake->out, "\033[3"));
	assert_null(strstr(fake->out, "\033[1;31m"));
}

/* A coordinator that tells of the run once, and then only what happens. */
static void
answer_by_events(struct fake *fake, const Fermata__ControlRequest *request)
{
	(void)request;
	fake_send_run(fake, "running", 0);
	fake_send_event(fake, 7, "step", "fetch once more");
	for (int i = 0; i < 5; i++) fake_send_event(fake, 0, "waiting", i ? "app2" : "app1");
	fake_send_end(fake, 0, "well", "");
}

static void
test_events_move_the_view_on(void **state)
{
	struct fake *fake = *state;

	fake->answer = answer_by_events;
	fake->on_terminal = true;
	fake_run(fake, "upgrade --to 2.2.16");
	assert_int_equal(fake->code, 0);
	assert_says(fake->out, "fetch once more");
	assert_says(fake->out, "waiting for app2");
}

/* What is waited for may change many times a second: a log gets a line of it now and then. */
static void
test_lines_leave_chatter_out(void **state)
{
	struct fake *fake = *state;

	fake->answer = answer_by_events;
	fake_run(fake, "upgrade --to 2.2.16");
	assert_int_equal(count_of(fake->errors, "waiting  app1"), 1);
	assert_int_equal(count_of(fake->errors, "waiting  app2"), 0);
}

static void
answer_begun(struct fake *fake, const Fermata__ControlRequest *request)
{
	(void)request;
	fake_send_run(fake, "running", 0);
	fake_send_event(fake, 1, "begin", "upgrade");
}

static void
test_detach(void **state)
{
	struct fake *fake = *state;

	fake->answer = answer_begun;
	fake_run(fake, "upgrade --to 2.2.16 --detach");
	assert_int_equal(fake->code, 5);
	assert_says(fake->asked[0], "detach=yes");
	assert_says(fake->errors, "now:  run 12 has begun and goes on\nnext: fermata attach 12\n");
}

static void
answer_begun_then_interrupt(struct fake *fake, const Fermata__ControlRequest *request)
{
	answer_begun(fake, request);
	fake_later(fake, 300, fake_signal);
}

static void
test_interrupting_leaves_the_run_alone(void **state)
{
	struct fake *fake = *state;

	fake->answer = answer_begun_then_interrupt;
	fake_run(fake, "upgrade --to 2.2.16");
	assert_int_equal(fake->code, 5);
	assert_int_equal(fake->requests, 1); /* nothing like an abort was sent */
	assert_says(fake->errors, "detached; run 12 goes on\nnext: fermata attach 12\n");
}

static void
test_the_limit_leaves_the_run_alone(void **state)
{
	struct fake *fake = *state;
	struct fm_mono began = fm_mono_now();

	fake->answer = answer_begun;
	fake_run(fake, "upgrade --to 2.2.16 --timeout 500ms");
	assert_int_equal(fake->code, 5);
	assert_says(fake->errors, "500 ms are over; run 12 goes on\nnext: fermata attach 12\n");
	assert_true(fm_mono_since(fm_mono_now(), began) >= 500);
}

/* --- a coordinator that dies -------------------------------------------------------------- */

static void
answer_through_a_restart(struct fake *fake, const Fermata__ControlRequest *request)
{
	if (strcmp(request->command, "upgrade") == 0) {
		fake_send_run(fake, "running", 0);
		fake_send_event(fake, 1, "begin", "one");
		fake_send_event(fake, 2, "step", "two");
		fake_later(fake, 300, fake_die);
		fake_later(fake, 900, fake_come_back);
		return;
	}
	fake_send_run(fake, "running", 0);
	fake_send_event(fake, 2, "step", "two");
	fake_send_event(fake, 3, "done", "three");
	fake_send_end(fake, 0, "the cluster serves 2.2.16", "");
}

static void
test_a_run_outlives_its_coordinator(void **state)
{
	struct fake *fake = *state;

	fake->answer = answer_through_a_restart;
	fake_run(fake, "upgrade --to 2.2.16");
	assert_int_equal(fake->code, 0);
	assert_int_equal(fake->requests, 2);
	assert_string_equal(fake->asked[1], "attach run=12 after=2");
	assert_int_equal(count_of(fake->errors, "one\n"), 1);
	assert_int_equal(count_of(fake->errors, "two\n"), 1);
	assert_int_equal(count_of(fake->errors, "three\n"), 1);
	assert_int_equal(count_of(fake->errors, "lost the coordinator"), 1);
	assert_says(fake->out, "now:  the cluster serves 2.2.16\n");
}

static void
die_and_come_back(struct fake *fake)
{
	fake_die(fake);
	fake_later(fake, 300, fake_come_back);
}

/* It dies before it said the number of the run; afterwards the current run is a new one. */
static void
answer_after_all(struct fake *fake, const Fermata__ControlRequest *request)
{
	if (strcmp(request->command, "upgrade") == 0) {
		fake_later(fake, 100, die_and_come_back);
		return;
	}
	fake_send_run(fake, "running", 0);
	fake_send_end(fake, 0, "done after all", "");
}

/* ... or an old one: ours was never begun. */
static void
answer_old_run(struct fake *fake, const Fermata__ControlRequest *request)
{
	if (strcmp(request->command, "upgrade") == 0) {
		fake_later(fake, 100, die_and_come_back);
		return;
	}
	fake_send_run(fake, "ended", fm_wall_now_ms() - 3600000);
	fake_send_end(fake, 0, "an hour ago", "");
}

static void
test_our_run_is_found_again(void **state)
{
	struct fake *fake = *state;

	fake->answer = answer_after_all;
	fake_run(fake, "upgrade --to 2.2.16 --yes");
	assert_int_equal(fake->code, 0);
	assert_string_equal(fake->asked[1], "attach");
	assert_says(fake->out, "done after all");
	fake->answer = answer_old_run;
	fake_run(fake, "upgrade --to 2.2.16 --yes");
	assert_int_equal(fake->code, 1);
	assert_int_equal(fake->requests, 2); /* never asked twice */
	assert_says(fake->errors, "nothing was begun\nnext: fermata upgrade --to 2.2.16 --yes\n");
	assert_null(strstr(fake->out, "an hour ago"));
}

static void
answer_by_dying(struct fake *fake, const Fermata__ControlRequest *request)
{
	(void)request;
	fake_later(fake, 50, fake_die);
	if (fake->requests == 1) fake_later(fake, 400, fake_come_back);
}

static void
answer_second_time(struct fake *fake, const Fermata__ControlRequest *request)
{
	if (fake->requests == 1)
		answer_by_dying(fake, request);
	else
		fake_answer_status(fake, request);
}

static void
test_only_questions_are_asked_twice(void **state)
{
	struct fake *fake = *state;

	fake->answer = answer_second_time;
	fake_run(fake, "status");
	assert_int_equal(fake->code, 0);
	assert_int_equal(fake->requests, 2);
	assert_int_equal(count_of(fake->out, "NODE"), 1);
	fake->answer = answer_by_dying;
	fake_run(fake, "approve");
	assert_int_equal(fake->code, 1);
	assert_int_equal(fake->requests, 1);
	assert_says(fake->errors,
		    "whether 'approve' was taken up is not known\nnext: fermata status");
}

static void
answer_only_by_dying(struct fake *fake, const Fermata__ControlRequest *request)
{
	(void)request;
	fake_later(fake, 50, fake_die);
}

/* Which run a word was for cannot be found out by when it began. */
static void
test_words_are_not_looked_for(void **state)
{
	struct fake *fake = *state;

	fake->answer = answer_only_by_dying;
	fake_run(fake, "retry 12");
	assert_int_equal(fake->code, 1);
	assert_int_equal(fake->requests, 1);
	assert_says(fake->errors,
		    "whether 'retry' was taken up is not known\nnext: fermata status");
}

static void
answer_and_die_for_good(struct fake *fake, const Fermata__ControlRequest *request)
{
	answer_begun(fake, request);
	fake_later(fake, 200, fake_die);
}

static void
test_a_coordinator_that_stays_away(void **state)
{
	struct fake *fake = *state;

	fake->answer = answer_and_die_for_good;
	fake_run(fake, "upgrade --to 2.2.16 --timeout 1s");
	assert_int_equal(fake->code, 5);
	assert_says(fake->errors, "has been away for 1.0 s; run 12 stands where it is");
	assert_says(fake->errors, "then fermata attach 12\n");
	/* Now that nobody listens: */
	fake_run(fake, "status");
	assert_int_equal(fake->code, 1);
	assert_says(fake->errors, "the coordinator does not run: nobody listens at");
	assert_says(fake->errors, "next: systemctl start fermata-coordinator\n");
	assert_int_equal(unlink(fake->socket), 0);
	fake_run(fake, "status --json");
	assert_int_equal(fake->code, 1);
	assert_says(fake->out, "there is no such socket");
	json_t *json = json_loads(fake->out, 0, NULL);
	assert_non_null(json);
	json_decref(json);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FAKE(test_a_run_in_lines),
		WITH_FAKE(test_closing_words_are_said_once),
		WITH_FAKE(test_a_run_as_json_lines),
		WITH_FAKE(test_a_run_on_a_terminal),
		WITH_FAKE(test_events_move_the_view_on),
		WITH_FAKE(test_lines_leave_chatter_out),
		WITH_FAKE(test_detach),
		WITH_FAKE(test_interrupting_leaves_the_run_alone),
		WITH_FAKE(test_the_limit_leaves_the_run_alone),
		WITH_FAKE(test_a_run_outlives_its_coordinator),
		WITH_FAKE(test_our_run_is_found_again),
		WITH_FAKE(test_only_questions_are_asked_twice),
		WITH_FAKE(test_words_are_not_looked_for),
		WITH_FAKE(test_a_coordinator_that_stays_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
