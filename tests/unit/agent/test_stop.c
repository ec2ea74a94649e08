/* Stopping, voices, jobs. */
#include "made_up.h"

#include <string.h>

#include "base/text.h"

static void
run_it(struct made_up *w)
{
	struct fm_agent_ask ask = made_up_ask(1, FM_APP_GOAL_RUNNING, "2.2.15");

	assert_true(made_up_say(w, &ask));
	made_up_ready(w, "2.2.15");
}

static struct fm_agent_ask
stop_it(struct made_up *w, uint64_t seq)
{
	struct fm_agent_ask ask = made_up_ask(seq, FM_APP_GOAL_STOPPED, "");

	assert_true(made_up_say(w, &ask));
	return ask;
}

static void
test_term_then_kill(void **state)
{
	struct made_up *w = *state;

	run_it(w);
	stop_it(w, 2);
	assert_int_equal(w->terms, 1);
	assert_int_equal(w->said.app, FM_APP_STOPPING);
	made_up_pass(w, 14999);
	assert_int_equal(w->kills, 0);
	made_up_processes(w, 1, ""); /* one is left */
	made_up_pass(w, 1);
	assert_int_equal(w->kills, 1);
	assert_int_equal(w->said.app, FM_APP_STOPPING);
	assert_int_equal(w->said.pids, 1);
	made_up_pass(w, 10000);
	assert_int_equal(w->said.app, FM_APP_FAILED);
	assert_non_null(strstr(w->said.failure, "cannot be killed"));
	made_up_pass(w, 5000);
	assert_int_equal(w->kills, 7);
	assert_int_equal(w->terms, 1);
	made_up_processes(w, 0, "");
	assert_int_equal(w->said.app, FM_APP_STOPPED);
	assert_int_equal(w->said.pids, 0);
	assert_string_equal(w->disk.running, "");
}

static void
test_stop_while_starting(void **state)
{
	struct made_up *w = *state;
	struct fm_agent_ask ask = made_up_ask(1, FM_APP_GOAL_RUNNING, "2.2.15");

	made_up_say(w, &ask);
	made_up_look(w, "2.2.15", 0);
	stop_it(w, 2); /* the start has not answered yet */
	assert_int_equal(w->said.app, FM_APP_STOPPING);
	assert_int_equal(w->terms, 0);
	ag_on_spawned(w->core, true, "", w->now);
	assert_int_equal(w->terms, 1);
	assert_int_equal(w->said.app, FM_APP_STOPPING);
	made_up_processes(w, 0, "");
	assert_int_equal(w->said.app, FM_APP_STOPPED);
}

static void
test_start_while_stopping(void **state)
{
	struct made_up *w = *state;
	struct fm_agent_ask ask = made_up_ask(3, FM_APP_GOAL_RUNNING, "2.2.15");

	run_it(w);
	stop_it(w, 2);
	made_up_say(w, &ask); /* TERM is on its way: there is no way back */
	assert_int_equal(w->said.app, FM_APP_STOPPING);
	made_up_pass(w, 15000);
	assert_int_equal(w->kills, 1);
	made_up_processes(w, 0, "");
	made_up_look(w, "2.2.15", 0);
	assert_int_equal(w->spawns, 2);
}

static void
test_stop_not_proved_by_foreign(void **state)
{
	struct made_up *w = *state;

	run_it(w);
	stop_it(w, 2);
	made_up_processes(w, 0, "pid 99 (node) listens on 127.0.0.1:13000");
	assert_int_equal(w->said.app, FM_APP_FAILED);
	assert_int_equal(w->said.pids, 1);
	assert_non_null(strstr(w->said.failure, "pid 99"));
	made_up_processes(w, 0, "");
	assert_int_equal(w->said.app, FM_APP_STOPPED);
	assert_int_equal(w->said.pids, 0);
}

static void
test_strays_are_ended(void **state)
{
	struct made_up *w = *state;

	stop_it(w, 1);
	assert_int_equal(w->said.app, FM_APP_STOPPED);
	made_up_processes(w, 2, "");
	assert_int_equal(w->terms, 1);
	assert_int_equal(w->said.app, FM_APP_STOPPING);
}

static void
test_other_release(void **state)
{
	struct made_up *w = *state;
	struct fm_agent_ask ask = made_up_ask(2, FM_APP_GOAL_RUNNING, "2.2.16");

	run_it(w);
	ask.start = FM_START_MIGRATE;
	made_up_say(w, &ask);
	assert_int_equal(w->said.voice.seq, 2);
	assert_int_equal(w->said.app, FM_APP_STOPPING); /* never ready of the old release */
	assert_int_equal(w->jobs, 0);
	made_up_processes(w, 1, "");
	assert_int_equal(w->jobs, 0); /* switched only while nothing is alive */
	made_up_processes(w, 0, "");
	assert_int_equal(w->jobs, 1);
	assert_int_equal(w->job, AG_JOB_LINK);
	assert_string_equal(w->job_what, "2.2.16");
	assert_int_equal(w->looks, 2);
	made_up_job(w, true, "");
	assert_string_equal(w->said.current, "2.2.16");
	made_up_look(w, "2.2.15", 0);
	assert_string_equal(w->spawned, "2.2.16");
	assert_int_equal(w->mode, FM_START_MIGRATE);
}

static void
test_voices(void **state)
{
	struct made_up *w = *state;
	struct fm_agent_ask low = made_up_ask(4, FM_APP_GOAL_RUNNING, "2.2.15");
	struct fm_agent_ask same = made_up_ask(5, FM_APP_GOAL_RUNNING, "2.2.15");
	struct fm_agent_ask higher = made_up_ask(1, FM_APP_GOAL_NONE, "");
	unsigned persists;

	stop_it(w, 5);
	assert_int_equal(w->said.voice.seq, 5);
	assert_false(made_up_say(w, &low));
	persists = w->persists;
	assert_true(made_up_say(w, &same)); /* a repetition, whatever it says */
	assert_int_equal(w->persists, persists);
	assert_int_equal(w->looks, 0);
	made_up_restart(w, 0);
	assert_int_equal(w->said.voice.seq, 5);
	assert_false(made_up_say(w, &low));
	assert_int_equal(w->looks, 0);
	higher.voice.epoch = 2;
	assert_true(made_up_say(w, &higher));
	assert_int_equal(w->said.voice.epoch, 2);
	assert_int_equal(w->said.voice.seq, 1);
}

static void
test_unwritten_ask_is_not_obeyed(void **state)
{
	struct made_up *w = *state;
	struct fm_agent_ask ask = made_up_ask(2, FM_APP_GOAL_RUNNING, "2.2.15");

	stop_it(w, 1);
	w->disk_full = true;
	assert_false(made_up_say(w, &ask));
	assert_int_equal(w->said.voice.seq, 1);
	assert_int_equal(w->looks, 0);
	assert_non_null(strstr(w->said.detail, "cannot be written"));
	w->disk_full = false;
	assert_true(made_up_say(w, &ask));
	assert_int_equal(w->said.voice.seq, 2);
	assert_null(strstr(w->said.detail, "cannot be written"));
	/* Nor is a start made that is not written down. */
	w->disk_full = true;
	made_up_look(w, "2.2.15", 0);
	assert_int_equal(w->spawns, 0);
	assert_int_equal(w->said.app, FM_APP_STARTING);
	w->disk_full = false;
	made_up_pass(w, 1000);
	made_up_ready(w, "2.2.15");
}

static void
test_fetch_while_serving(void **state)
{
	struct made_up *w = *state;
	struct fm_agent_ask ask = made_up_ask(2, FM_APP_GOAL_NONE, "");
	unsigned probes;

	run_it(w);
	FM_COPY(ask.fetch, "2.3.0");
	made_up_say(w, &ask);
	assert_int_equal(w->jobs, 1);
	assert_int_equal(w->job, AG_JOB_FETCH);
	probes = w->probes;
	made_up_probe(w, AG_HEALTH_OK, "");
	made_up_look(w, "2.2.15", 0);
	made_up_pass(w, 1000);
	assert_int_equal(w->probes, probes + 1); /* watched meanwhile */
	assert_int_equal(w->said.app, FM_APP_READY);
	ag_on_job_progress(w->core, "12 of 990", w->now);
	assert_non_null(strstr(w->said.detail, "12 of 990"));
	assert_string_equal(w->said.fetched, "");
	made_up_job(w, true, "");
	assert_string_equal(w->said.fetched, "2.3.0");
	assert_int_equal(w->jobs, 1);
}

static void
test_fetch_fails_once_an_ask(void **state)
{
	struct made_up *w = *state;
	struct fm_agent_ask ask = made_up_ask(2, FM_APP_GOAL_NONE, "");

	FM_COPY(ask.fetch, "2.3.0");
	made_up_say(w, &ask);
	made_up_job(w, false, "no route to the registry");
	assert_string_equal(w->said.fetch_failure, "no route to the registry");
	made_up_pass(w, 600000);
	assert_int_equal(w->jobs, 1);
	ask.voice.seq = 3;
	made_up_say(w, &ask);
	assert_int_equal(w->jobs, 2);
	assert_string_equal(w->said.fetch_failure, "");
}

static void
test_fetch_no_longer_wanted(void **state)
{
	struct made_up *w = *state;
	struct fm_agent_ask ask = made_up_ask(2, FM_APP_GOAL_NONE, "");

	FM_COPY(ask.fetch, "2.3.0");
	made_up_say(w, &ask);
	ask.voice.seq = 3;
	ask.fetch[0] = '\0';
	made_up_say(w, &ask);
	assert_int_equal(w->job_stops, 1);
	made_up_pass(w, 10000);
	assert_int_equal(w->job_stops, 1);
	made_up_job(w, false, "killed");
	assert_string_equal(w->said.fetch_failure, "");
}

static void
test_snapshot(void **state)
{
	struct made_up *w = *state;
	struct fm_agent_ask ask = made_up_ask(2, FM_APP_GOAL_STOPPED, "");

	run_it(w);
	FM_COPY(ask.snapshot, "rp-1");
	made_up_say(w, &ask);
	assert_int_equal(w->jobs, 0); /* something can still write */
	made_up_processes(w, 0, "");
	assert_int_equal(w->jobs, 1);
	assert_int_equal(w->job, AG_JOB_SNAPSHOT);
	assert_string_equal(w->said.snapshot, "");
	made_up_job(w, true, "");
	assert_string_equal(w->said.snapshot, "rp-1");
	assert_int_equal(w->said.snapshot_bytes, 4096);
	/* What is to be restored is not overwritten with what went wrong. */
	ask.voice.seq = 3;
	FM_COPY(ask.snapshot, "rp-0");
	FM_COPY(ask.restore, "rp-0");
	ask.restore_serial = 1;
	made_up_say(w, &ask);
	assert_int_equal(w->job, AG_JOB_RESTORE);
	made_up_job(w, true, "");
	assert_int_equal(w->jobs, 3);
	made_up_job(w, true, "");
	FM_COPY(ask.snapshot, "rp-1");
	ask.voice.seq = 4;
	made_up_say(w, &ask);
	made_up_job(w, true, "");
	made_up_restart(w, 0);
	assert_string_equal(w->said.snapshot, "rp-1");
	assert_int_equal(w->jobs, 4);
}

static void
test_restore_link_start(void **state)
{
	struct made_up *w = *state;
	struct fm_agent_ask ask = made_up_ask(1, FM_APP_GOAL_RUNNING, "2.2.16");

	FM_COPY(ask.restore, "rp-1");
	ask.restore_serial = 3;
	made_up_say(w, &ask);
	assert_int_equal(w->job, AG_JOB_RESTORE);
	assert_string_equal(w->job_what, "rp-1");
	made_up_job(w, true, "");
	assert_int_equal(w->said.restored_serial, 3);
	assert_int_equal(w->disk.restored_serial, 3);
	assert_int_equal(w->job, AG_JOB_LINK);
	assert_int_equal(w->looks, 0);
	made_up_job(w, true, "");
	assert_int_equal(w->looks, 1);
	made_up_restart(w, 0);
	assert_int_equal(w->said.restored_serial, 3);
	assert_int_equal(w->jobs, 2);
	made_up_say(w, &ask);
	assert_int_equal(w->job, AG_JOB_LINK); /* the made-up disk still says 2.2.15 */
	assert_int_equal(w->jobs, 3);
}

static void
test_restore_fails(void **state)
{
	struct made_up *w = *state;
	struct fm_agent_ask ask = made_up_ask(1, FM_APP_GOAL_RUNNING, "2.2.15");

	FM_COPY(ask.restore, "rp-1");
	ask.restore_serial = 1;
	made_up_say(w, &ask);
	made_up_job(w, false, "no such snapshot");
	assert_string_equal(w->said.restore_failure, "no such snapshot");
	assert_int_equal(w->said.app, FM_APP_FAILED);
	made_up_pass(w, 60000);
	assert_int_equal(w->looks, 0);
	assert_int_equal(w->said.restored_serial, 0);
}

static void
test_restored_but_unwritten(void **state)
{
	struct made_up *w = *state;
	struct fm_agent_ask ask = made_up_ask(1, FM_APP_GOAL_STOPPED, "");

	FM_COPY(ask.restore, "rp-1");
	ask.restore_serial = 1;
	made_up_say(w, &ask);
	w->disk_full = true;
	made_up_job(w, true, "");
	assert_int_equal(w->said.restored_serial, 0);
	assert_true(w->said.restore_failure[0] != '\0');
}

static void
test_absent_release(void **state)
{
	struct made_up *w = *state;
	struct fm_agent_ask ask = made_up_ask(1, FM_APP_GOAL_RUNNING, "9.9.9");

	made_up_say(w, &ask);
	assert_int_equal(w->said.app, FM_APP_REFUSED);
	assert_non_null(strstr(w->said.failure, "9.9.9"));
	ask.voice.seq = 2;
	FM_COPY(ask.fetch, "9.9.9");
	made_up_say(w, &ask);
	assert_int_equal(w->said.app, FM_APP_STARTING);
	assert_int_equal(w->job, AG_JOB_FETCH);
	made_up_job(w, true, "");
	assert_int_equal(w->job, AG_JOB_LINK);
}

static void
test_sweep(void **state)
{
	struct made_up *w = *state;
	struct fm_agent_ask ask = made_up_ask(4, FM_APP_GOAL_NONE, "");

	run_it(w);
	ask.keep_count = 1;
	FM_COPY(ask.keep[0], "2.2.15");
	made_up_say(w, &ask);
	assert_int_equal(w->job, AG_JOB_SWEEP);
	made_up_job(w, false, "busy");
	assert_int_equal(w->said.swept_seq, 0);
	made_up_pass(w, 1000);
	assert_int_equal(w->jobs, 2);
	made_up_job(w, true, "2.2.16");
	assert_int_equal(w->said.swept_seq, 4);
	assert_string_equal(w->said.swept, "2.2.16");
	made_up_pass(w, 10000);
	assert_int_equal(w->jobs, 2);
	ask.voice.epoch = 2; /* another coordinator, the same number: another ask */
	made_up_say(w, &ask);
	assert_int_equal(w->said.swept_seq, 0);
	assert_int_equal(w->jobs, 3);
}

static void
test_none_leaves_it(void **state)
{
	struct made_up *w = *state;
	struct fm_agent_ask ask = made_up_ask(2, FM_APP_GOAL_NONE, "2.2.16");

	run_it(w);
	made_up_say(w, &ask);
	made_up_probe(w, AG_HEALTH_OK, "");
	made_up_look(w, "2.2.15", 0);
	assert_int_equal(w->said.app, FM_APP_READY);
	assert_int_equal(w->terms, 0);
	assert_int_equal(w->jobs, 0);
	made_up_processes(w, 0, "");
	assert_int_equal(w->said.app, FM_APP_STOPPED);
	made_up_pass(w, 600000);
	assert_int_equal(w->spawns, 1);
}

/* An engine that does not answer proves nothing, and nothing is done on a guess. */
static void
test_unseen_is_unknown(void **state)
{
	struct made_up *w = *state;

	run_it(w);
	ag_on_unseen(w->core, "the engine does not answer", w->now);
	assert_int_equal(w->said.app, FM_APP_UNKNOWN);
	assert_non_null(strstr(w->said.detail, "the engine does not answer"));
	stop_it(w, 2);
	made_up_pass(w, 60000);
	assert_int_equal(w->terms, 0);
	assert_int_equal(w->said.app, FM_APP_UNKNOWN);
	made_up_processes(w, 1, "");
	assert_int_equal(w->terms, 1);
	made_up_processes(w, 0, "");
	assert_int_equal(w->said.app, FM_APP_STOPPED);
}

/* What ended meanwhile is started again at once: it is no crash of the application. */
static void
test_ended_while_unseen(void **state)
{
	struct made_up *w = *state;
	unsigned looks;

	run_it(w);
	looks = w->looks;
	ag_on_unseen(w->core, "the engine does not answer", w->now);
	made_up_processes(w, 0, "");
	assert_int_equal(w->looks, looks + 1);
	made_up_look(w, "2.2.15", 0);
	assert_int_equal(w->spawns, 2);
	assert_int_equal(w->mode, FM_START_PLAIN);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, made_up_setup, made_up_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_term_then_kill),
		TEST(test_stop_while_starting),
		TEST(test_start_while_stopping),
		TEST(test_stop_not_proved_by_foreign),
		TEST(test_strays_are_ended),
		TEST(test_other_release),
		TEST(test_voices),
		TEST(test_unwritten_ask_is_not_obeyed),
		TEST(test_fetch_while_serving),
		TEST(test_fetch_fails_once_an_ask),
		TEST(test_fetch_no_longer_wanted),
		TEST(test_snapshot),
		TEST(test_restore_link_start),
		TEST(test_restore_fails),
		TEST(test_restored_but_unwritten),
		TEST(test_absent_release),
		TEST(test_sweep),
		TEST(test_none_leaves_it),
		TEST(test_unseen_is_unknown),
		TEST(test_ended_while_unseen),
	};

	return cmocka_run_group_tests_name("agent stop", tests, NULL, NULL);
}
