/* The real `fermata` in front of a coordinator: questions that are answered at once, and what needs
 * no coordinator. */
#include <jansson.h>
#include <string.h>

#include "../../test.h"
#include "fake.h"

/* --- answers at once ---------------------------------------------------------------------- */

static void
test_status(void **state)
{
	struct fake *fake = *state;

	fake->answer = fake_answer_status;
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

	fake->answer = fake_answer_status;
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FAKE(test_status),
		WITH_FAKE(test_status_as_json),
		WITH_FAKE(test_errors_go_to_standard_error),
		WITH_FAKE(test_what_is_heard_cannot_drive_the_terminal),
		WITH_FAKE(test_a_plan_names_its_command),
		WITH_FAKE(test_no_answer),
		WITH_FAKE(test_watching_asks_again),
		WITH_FAKE(test_usage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
