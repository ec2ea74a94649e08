/* A node that was away: what runs there is not decided by what was asked of it before. */
#include "made_up.h"

#include <string.h>

#include "agent/core/core.h"
#include "base/text.h"

static void
test_reboot(void **state)
{
	struct made_up *w = *state;
	unsigned looks;

	made_up_run(w, 1, 0, FM_START_PLAIN);
	made_up_ready(w, "2.2.15");
	made_up_restart(w, 0);
	looks = w->looks;
	made_up_pass(w, 3600000); /* nobody has said what is to run by now */
	assert_int_equal(w->looks, looks);
	assert_int_equal(w->said.app, FM_APP_STOPPED);
	made_up_run(w, 1, 0, FM_START_PLAIN); /* the same as before, and yet a word */
	made_up_look(w, "2.2.16", 0);	      /* upgraded meanwhile: the guard holds */
	assert_int_equal(w->said.app, FM_APP_REFUSED);
	assert_int_equal(w->spawns, 1);
	made_up_pass(w, 5000);
	made_up_ready(w, "2.2.15");
}

/* A host that was dead during an upgrade: told its release, it fetches it, switches and starts. */
static void
test_catching_up(void **state)
{
	struct made_up *w = *state;
	struct fm_agent_ask ask = made_up_ask(9, FM_APP_GOAL_RUNNING, "2.2.17");
	unsigned jobs;

	made_up_run(w, 1, 0, FM_START_PLAIN);
	made_up_ready(w, "2.2.15");
	jobs = w->jobs;
	made_up_restart(w, 0);
	assert_int_equal(w->jobs, jobs);
	ask.start_serial = 5;
	FM_COPY(ask.fetch, "2.2.17");
	made_up_say(w, &ask);
	assert_int_equal(w->said.app, FM_APP_STARTING);
	assert_int_equal(w->job, AG_JOB_FETCH);
	made_up_job(w, true, "");
	assert_int_equal(w->job, AG_JOB_LINK);
	made_up_job(w, true, "");
	made_up_ready(w, "2.2.17");
	assert_string_equal(w->spawned, "2.2.17");
	assert_int_equal(w->mode, FM_START_PLAIN);
}

/* Who wants the coordinator's absence bounded has it bounded; the guard holds all the same. */
static void
test_start_wait(void **state)
{
	struct made_up *w = *state;
	unsigned looks;

	made_up_run(w, 1, 0, FM_START_PLAIN);
	made_up_ready(w, "2.2.15");
	made_up_restart(w, 0);
	w->core->limits.start_wait_ms = 60000;
	looks = w->looks;
	made_up_pass(w, 59000);
	assert_int_equal(w->looks, looks);
	made_up_pass(w, 1000);
	assert_int_equal(w->looks, looks + 1);
	made_up_ready(w, "2.2.15");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, made_up_setup, made_up_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_reboot),
		TEST(test_catching_up),
		TEST(test_start_wait),
	};

	return cmocka_run_group_tests_name("agent was away", tests, NULL, NULL);
}
