/* The real `fermata` in front of a coordinator that answers well, badly, late, or dies. */
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../test.h"
#include "base/mono.h"
#include "base/text.h"
#include "fake.h"

#define assert_says(text, part)                                                             \
	do {                                                                                \
		if (!strstr((text), (part))) fail_msg("no \"%s\" in:\n%s", (part), (text)); \
	} while (0)

static unsigned
count_of(const char *text, const char *part)
{
	unsigned n = 0;

	for (const char *at = text; (at = strstr(at, part)) != NULL; at += strlen(part)) n++;
	return n;
}

/* --- answers at once ---------------------------------------------------------------------- */

static void
answer_status(struct fake *fake, const Fermata__ControlRequest *request)
{
	(void)request;
	fake_send_status(fake, "");
	fake_send_end(fake, 0, "", "");
}

static void
test_status(void **state)
{
	struct fake *fake = *state;

	fake->answer = answer_status;
	fake_run(fake, "status");
	assert_int_equal(fake->code, 0);
	assert_string_equal(fake->asked[0], "status");
	assert_says(fake->out, "demo: the gates are closed");
	assert_says(fake->out, "app1 starting");
	assert_string_equal(fake->errors, "");
}

static void
test_status_as_json(void **state)
{
	struct fake *fake = *state;

	fake->answer = answer_status;
	fake_run(fake, "status --json");
	assert_int_equal(fake->code, 0);
	json_t *json = json_loads(fake->out, 0, NULL);
	assert_non_null(json);
	assert_int_equal(json_array_size(json_object_get(json_object_get(json, "status"), "nodes")),
			 3);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(json, "end"), "code")),
			 0);
	json_decref(json);
}

static void
answer_refused(struct fake *fake, const Fermata__ControlRequest *request)
{
	(void)request;
	fake_send_end(fake, 1, "nothing waits for approval", "fermata status");
}

static void
test_errors_go_to_standard_error(void **state)
{
	struct fake *fake = *state;

	fake->answer = answer_refused;
	fake_run(fake, "approve 12");
	assert_int_equal(fake->code, 1);
	assert_string_equal(fake->asked[0], "approve run=12");
	assert_string_equal(fake->out, "");
	assert_string_equal(fake->errors,
			    "now:  nothing waits for approval\nnext: fermata status\n");
}

static void
answer_nonsense(struct fake *fake, const Fermata__ControlRequest *request)
{
	(void)request;
	fake_send_status(fake, "\033]0;owned\007\033[2J");
	fake_send_end(fake, 99, "what?", "");
}

static void
test_what_is_heard_cannot_drive_the_terminal(void **state)
{
	struct fake *fake = *state;

	fake->answer = answer_nonsense;
	fake_run(fake, "status");
	assert_int_equal(fake->code, 1); /* an exit code that we do not know */
	assert_says(fake->out, "?]0;owned??[2J");
}

static void
test_a_plan_names_its_command(void **state)
{
	struct fake *fake = *state;

	fake->answer = answer_refused;
	fake_run(fake, "plan upgrade --to 2.2.16 --yes");
	assert_string_equal(fake->asked[0], "plan command=upgrade to=2.2.16 yes=yes");
}

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

static void
answer_nothing(struct fake *fake, const Fermata__ControlRequest *request)
{
	(void)fake, (void)request;
}

static void
test_no_answer(void **state)
{
	struct fake *fake = *state;

	fake->answer = answer_nothing;
	fake_run(fake, "status --timeout 300ms");
	assert_int_equal(fake->code, 1);
	assert_says(fake->errors, "no answer within 300 ms");
	fake_run(fake, "pause --timeout 300ms");
	assert_int_equal(fake->code, 1);
	assert_says(fake->errors,
		    "whether 'pause' was taken up is not known\nnext: fermata status");
}

/* --- watching ----------------------------------------------------------------------------- */

static void
answer_watch(struct fake *fake, const Fermata__ControlRequest *request)
{
	(void)request;
	fake_send_status(fake, fake->requests == 1 ? "first" : "second");
	fake_send_end(fake, 0, "", "");
	if (fake->requests == 2) fake_later(fake, 200, fake_signal);
}

static void
test_watching_asks_again(void **state)
{
	struct fake *fake = *state;

	fake->answer = answer_watch;
	fake_run(fake, "status --watch");
	assert_int_equal(fake->code, 0);
	assert_int_equal(fake->requests, 2);
	assert_says(fake->out, "first\n");
	assert_says(fake->out, "second\n");
	fake_run(fake, "status --watch --json");
	assert_int_equal(fake->code, 0);
	assert_int_equal(count_of(fake->out, "\n"), 3); /* two states and an end */
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
		answer_status(fake, request);
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

/* --- without a coordinator ---------------------------------------------------------------- */

static void
test_usage(void **state)
{
	struct fake *fake = *state;

	fake_run(fake, "upgrade");
	assert_int_equal(fake->code, 2);
	assert_says(fake->errors,
		    "upgrade needs --to VERSION\nusage: fermata upgrade --to VERSION");
	assert_says(fake->errors, "next: fermata help upgrade\n");
	fake_run(fake, "--version");
	assert_int_equal(fake->code, 0);
	assert_says(fake->out, "fermata ");
	fake_run(fake, "help page");
	assert_int_equal(fake->code, 0);
	assert_says(fake->out, "usage: fermata page off");
	fake_run(fake, "config check /nonexistent/coordinator.ini");
	assert_int_equal(fake->code, 2);
	assert_says(fake->errors, "No such file or directory");
	fake_run(fake, "completion");
	assert_says(fake->out, "complete -F _fermata fermata\n");
}

#define WITH_FAKE(test) cmocka_unit_test_setup_teardown(test, fake_setup, fake_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FAKE(test_status),
		WITH_FAKE(test_status_as_json),
		WITH_FAKE(test_errors_go_to_standard_error),
		WITH_FAKE(test_what_is_heard_cannot_drive_the_terminal),
		WITH_FAKE(test_a_plan_names_its_command),
		WITH_FAKE(test_a_run_in_lines),
		WITH_FAKE(test_a_run_as_json_lines),
		WITH_FAKE(test_a_run_on_a_terminal),
		WITH_FAKE(test_detach),
		WITH_FAKE(test_interrupting_leaves_the_run_alone),
		WITH_FAKE(test_the_limit_leaves_the_run_alone),
		WITH_FAKE(test_no_answer),
		WITH_FAKE(test_watching_asks_again),
		WITH_FAKE(test_a_run_outlives_its_coordinator),
		WITH_FAKE(test_our_run_is_found_again),
		WITH_FAKE(test_only_questions_are_asked_twice),
		WITH_FAKE(test_a_coordinator_that_stays_away),
		WITH_FAKE(test_usage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
