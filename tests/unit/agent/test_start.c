/* Starting: the guard before it, readiness after it, crashes. */
#include "made_up.h"

#include <string.h>

#include "base/text.h"

#define SAYS(field, part)                                                                         \
	do {                                                                                      \
		if (!strstr((field), (part))) fail_msg("\"%s\" says no \"%s\"", (field), (part)); \
	} while (0)

static void
test_look_before_start(void **state)
{
	struct made_up *w = *state;

	made_up_run(w, 1, 1, FM_START_PLAIN);
	assert_int_equal(w->looks, 1);
	assert_int_equal(w->spawns, 0);
	made_up_look(w, "2.2.15", 0);
	assert_int_equal(w->spawns, 1);
	assert_string_equal(w->spawned, "2.2.15");
	/* Written before it was done. */
	assert_string_equal(w->at_spawn.running, "2.2.15");
	assert_int_equal(w->at_spawn.start_serial, 1);
	assert_int_equal(w->at_spawn.starts, 1);
}

static void
test_old_look_is_no_leave(void **state)
{
	struct made_up *w = *state;
	struct fm_agent_ask ask = made_up_ask(2, FM_APP_GOAL_RUNNING, "2.2.15");

	made_up_run(w, 1, 1, FM_START_PLAIN);
	ask.run = 1;
	ask.start_serial = 9;
	made_up_say(w, &ask);
	made_up_look(w, "2.2.15", 0); /* asked for by the first ask */
	assert_int_equal(w->spawns, 0);
	assert_int_equal(w->looks, 2);
	made_up_look(w, "2.2.15", 0);
	assert_int_equal(w->spawns, 1);
}

static void
test_refused(void **state)
{
	struct made_up *w = *state;

	made_up_run(w, 1, 1, FM_START_MIGRATE);
	made_up_look(w, "2.2.16", 0);
	assert_int_equal(w->spawns, 0);
	assert_int_equal(w->said.app, FM_APP_REFUSED);
	SAYS(w->said.failure, "2.2.16");
	SAYS(w->said.failure, "2.2.15");
	assert_string_equal(w->said.database, "2.2.16");
	/* Looked at again by itself; the state does not flicker meanwhile. */
	made_up_pass(w, 5000);
	assert_int_equal(w->looks, 2);
	assert_int_equal(w->said.app, FM_APP_REFUSED);
	made_up_look(w, "2.2.15", 0);
	assert_int_equal(w->spawns, 1);
}

static void
test_database_away(void **state)
{
	struct made_up *w = *state;

	made_up_run(w, 1, 1, FM_START_PLAIN);
	for (int i = 1; i <= 1000; i++) {
		assert_int_equal(w->looks, i);
		made_up_look(w, NULL, 0);
		assert_int_equal(w->said.app, FM_APP_STARTING);
		SAYS(w->said.detail, "waiting for the database: connection refused");
		made_up_pass(w, 1000);
	}
	made_up_look(w, "2.2.15", 0);
	assert_int_equal(w->spawns, 1);
}

static void
test_modes(void **state)
{
	struct made_up *w = *state;

	made_up_run(w, 1, 1, FM_START_MIGRATE);
	made_up_look(w, "", 0);
	assert_int_equal(w->spawns, 1);
	assert_int_equal(w->mode, FM_START_MIGRATE);
}

static void
test_mode_same_version_is_plain(void **state)
{
	struct made_up *w = *state;

	made_up_run(w, 1, 1, FM_START_MIGRATE);
	made_up_look(w, "2.2.15", 0);
	assert_int_equal(w->mode, FM_START_PLAIN);
}

/* The leave to migrate is spent by one start: what died is not started with it again. */
static void
test_migrate_once(void **state)
{
	struct made_up *w = *state;

	made_up_run(w, 1, 0, FM_START_MIGRATE);
	made_up_look(w, "2.2.14", 0);
	assert_int_equal(w->mode, FM_START_MIGRATE);
	ag_on_spawned(w->core, true, "", w->now);
	made_up_processes(w, 0, "");
	made_up_probe(w, AG_HEALTH_SILENT, "");
	assert_int_equal(w->said.app, FM_APP_BACKOFF);
	made_up_pass(w, 2000);
	made_up_look(w, "2.2.14", 0);
	assert_int_equal(w->spawns, 1);
	assert_int_equal(w->said.app, FM_APP_REFUSED);
	/* The same after the agent died. */
	made_up_restart(w, 0);
	made_up_look(w, "2.2.14", 0);
	assert_int_equal(w->spawns, 1);
	/* A new try that was asked for has it again. */
	made_up_run(w, 2, 0, FM_START_MIGRATE);
	made_up_look(w, "2.2.14", 0); /* of before */
	made_up_look(w, "2.2.14", 0);
	assert_int_equal(w->spawns, 2);
	assert_int_equal(w->mode, FM_START_MIGRATE);
}

static void
test_ready_needs_all_three(void **state)
{
	struct made_up *w = *state;

	made_up_run(w, 1, 1, FM_START_MIGRATE);
	made_up_look(w, "2.2.14", 0);
	ag_on_spawned(w->core, true, "", w->now);
	made_up_processes(w, 3, "");
	made_up_probe(w, AG_HEALTH_BUSY, "load plugin [acl], 1/77");
	assert_int_equal(w->said.app, FM_APP_STARTING);
	SAYS(w->said.detail, "load plugin [acl], 1/77");
	made_up_pass(w, 500);
	made_up_probe(w, AG_HEALTH_SICK, "ECONNREFUSED");
	assert_int_equal(w->said.app, FM_APP_STARTING);
	made_up_pass(w, 500);
	made_up_probe(w, AG_HEALTH_OK, "");
	assert_int_equal(w->said.app, FM_APP_STARTING);
	made_up_look(w, "2.2.14", 0); /* not the version of the release */
	assert_int_equal(w->said.app, FM_APP_STARTING);
	SAYS(w->said.detail, "2.2.14");
	made_up_pass(w, 500);
	made_up_probe(w, AG_HEALTH_OK, "");
	made_up_look(w, "2.2.15", 1); /* a plugin is not installed */
	assert_int_equal(w->said.app, FM_APP_STARTING);
	made_up_pass(w, 500);
	made_up_probe(w, AG_HEALTH_OK, "");
	made_up_look(w, NULL, 0);
	assert_int_equal(w->said.app, FM_APP_STARTING);
	made_up_pass(w, 500);
	made_up_probe(w, AG_HEALTH_OK, "");
	made_up_look(w, "2.2.15", 0);
	assert_int_equal(w->said.app, FM_APP_READY);
	assert_int_equal(w->said.ready_ms, 2500);
	assert_string_equal(w->said.running, "2.2.15");
}

static void
test_said_failed(void **state)
{
	struct made_up *w = *state;

	made_up_run(w, 1, 1, FM_START_PLAIN);
	made_up_look(w, "2.2.15", 0);
	ag_on_spawned(w->core, true, "", w->now);
	made_up_processes(w, 2, "");
	made_up_probe(w, AG_HEALTH_FAILED, "APP_ERROR: Migration x failed");
	assert_int_equal(w->said.app, FM_APP_FAILED);
	SAYS(w->said.failure, "Migration x failed");
	/* It lives on, for people to look at, until a stop or a new try is asked for. */
	made_up_pass(w, 60000);
	assert_int_equal(w->terms, 0);
	made_up_run(w, 2, 1, FM_START_PLAIN);
	assert_int_equal(w->said.app, FM_APP_STARTING);
	made_up_probe(w, AG_HEALTH_FAILED, "of before the ask");
	assert_int_equal(w->terms, 0);
	made_up_probe(w, AG_HEALTH_FAILED, "APP_ERROR: Migration x failed");
	assert_int_equal(w->terms, 1);
	assert_int_equal(w->said.app, FM_APP_STOPPING);
	made_up_processes(w, 0, "");
	assert_int_equal(w->looks, 2);
	made_up_ready(w, "2.2.15");
}

/* Another try of what turns out to be well is that: not stopped, and spent. */
static void
test_new_try_of_ready(void **state)
{
	struct made_up *w = *state;

	made_up_run(w, 1, 1, FM_START_PLAIN);
	made_up_ready(w, "2.2.15");
	made_up_run(w, 2, 1, FM_START_MIGRATE);
	assert_int_equal(w->said.app, FM_APP_READY); /* as it was, and proves nothing new */
	assert_int_equal(w->said.voice.seq, 1);
	made_up_probe(w, AG_HEALTH_OK, "");
	assert_int_equal(w->said.voice.seq, 1);
	made_up_look(w, "2.2.15", 0);
	assert_int_equal(w->said.app, FM_APP_READY);
	assert_int_equal(w->said.voice.seq, 2);
	assert_int_equal(w->terms, 0);
	assert_int_equal(w->disk.start_serial, 2);
	made_up_processes(w, 0, "");
	assert_int_equal(w->said.app, FM_APP_FAILED); /* died in a run: no second start */
}

static void
test_stuck(void **state)
{
	struct made_up *w = *state;

	made_up_run(w, 1, 1, FM_START_PLAIN);
	made_up_look(w, "2.2.15", 0);
	ag_on_spawned(w->core, true, "", w->now);
	made_up_processes(w, 2, "");
	for (int i = 0; i < 1900; i++) { /* it says something else now and then */
		made_up_probe(w, AG_HEALTH_BUSY, (i / 1000) % 2 ? "b" : "a");
		assert_int_equal(w->said.app, FM_APP_STARTING);
		made_up_pass(w, 500);
	}
	for (int i = 0; i < 1000; i++) {
		made_up_probe(w, AG_HEALTH_BUSY, "b");
		made_up_pass(w, 500);
	}
	assert_int_equal(w->said.app, FM_APP_STUCK);
	SAYS(w->said.failure, "no progress: 15 min");
	assert_int_equal(w->terms, 0);
}

/* It is well, and its database is away: that is no reason to call it failed. */
static void
test_not_stuck_without_database(void **state)
{
	struct made_up *w = *state;

	made_up_run(w, 1, 1, FM_START_PLAIN);
	made_up_look(w, "2.2.15", 0);
	ag_on_spawned(w->core, true, "", w->now);
	made_up_processes(w, 2, "");
	made_up_probe(w, AG_HEALTH_OK, "");
	for (int i = 0; i < 2000; i++) {
		made_up_look(w, NULL, 0);
		assert_int_equal(w->said.app, FM_APP_STARTING);
		made_up_pass(w, 500);
		made_up_probe(w, AG_HEALTH_OK, "");
		made_up_pass(w, 500);
	}
}

static void
test_crash_in_a_run(void **state)
{
	struct made_up *w = *state;

	made_up_run(w, 1, 7, FM_START_PLAIN);
	made_up_ready(w, "2.2.15");
	made_up_processes(w, 0, "");
	assert_int_equal(w->said.app, FM_APP_FAILED);
	assert_int_equal(w->said.pids, 0);
	assert_string_equal(w->said.running, "");
	made_up_pass(w, 3600000);
	assert_int_equal(w->spawns, 1);
	assert_int_equal(w->said.app, FM_APP_FAILED);
	made_up_restart(w, 0);
	assert_int_equal(w->said.app, FM_APP_FAILED);
	made_up_pass(w, 3600000);
	assert_int_equal(w->spawns, 1);
}

static void
test_back_off(void **state)
{
	static const int64_t waits[] = { 750, 1500, 3000, 6000 }; /* chance says 0.5 */
	struct made_up *w = *state;
	unsigned i;

	made_up_run(w, 1, 0, FM_START_PLAIN);
	made_up_ready(w, "2.2.15");
	for (i = 0; i < AG_CRASH_LIMIT - 1; i++) {
		unsigned looks;

		made_up_processes(w, 0, "");
		assert_int_equal(w->said.app, FM_APP_BACKOFF);
		looks = w->looks;
		made_up_pass(w, waits[i] - 1);
		assert_int_equal(w->looks, looks);
		made_up_pass(w, 1);
		assert_int_equal(w->looks, looks + 1);
		made_up_look(w, "2.2.15", 0);
		ag_on_spawned(w->core, true, "", w->now);
		made_up_probe(w, AG_HEALTH_SILENT, "");
	}
	made_up_processes(w, 0, "");
	assert_int_equal(w->said.app, FM_APP_FAILED);
	SAYS(w->said.failure, "gave up");
	made_up_pass(w, 7200000);
	assert_int_equal(w->spawns, AG_CRASH_LIMIT);
}

static void
test_ready_forgives_crashes(void **state)
{
	struct made_up *w = *state;

	made_up_run(w, 1, 0, FM_START_PLAIN);
	made_up_ready(w, "2.2.15");
	for (unsigned i = 0; i < 3 * AG_CRASH_LIMIT; i++) {
		made_up_processes(w, 0, "");
		assert_int_equal(w->said.app, FM_APP_BACKOFF);
		made_up_pass(w, 750);
		made_up_ready(w, "2.2.15");
	}
}

static void
test_spawn_fails(void **state)
{
	struct made_up *w = *state;

	made_up_run(w, 1, 3, FM_START_PLAIN);
	made_up_look(w, "2.2.15", 0);
	ag_on_spawned(w->core, false, "fork: no memory", w->now);
	assert_int_equal(w->said.app, FM_APP_FAILED);
	SAYS(w->said.failure, "fork: no memory");
	made_up_pass(w, 60000);
	assert_int_equal(w->spawns, 1);
}

static void
test_foreign(void **state)
{
	struct made_up *w = *state;

	made_up_processes(w, 0, "pid 4711 (node) listens on 127.0.0.1:13000");
	made_up_run(w, 1, 1, FM_START_PLAIN);
	assert_int_equal(w->said.app, FM_APP_REFUSED);
	SAYS(w->said.failure, "4711");
	assert_int_equal(w->looks, 0);
	made_up_processes(w, 0, "");
	made_up_ready(w, "2.2.15");
}

static void
test_adoption(void **state)
{
	struct made_up *w = *state;

	made_up_run(w, 1, 5, FM_START_PLAIN);
	made_up_ready(w, "2.2.15");
	made_up_restart(w, 3);
	assert_int_equal(w->said.app,
			 FM_APP_STARTING); /* nothing is said that was not asked again */
	made_up_probe(w, AG_HEALTH_OK, "");
	made_up_look(w, "2.2.15", 0);
	assert_int_equal(w->said.app, FM_APP_READY);
	assert_int_equal(w->spawns, 1);
	assert_int_equal(w->terms, 0);
}

static void
test_lost_answers(void **state)
{
	struct made_up *w = *state;

	made_up_run(w, 1, 1, FM_START_PLAIN);
	made_up_ready(w, "2.2.15");
	for (int i = 0; i < 2; i++) {
		made_up_pass(w, 1000);
		made_up_probe(w, AG_HEALTH_SILENT, "");
		assert_int_equal(w->said.app, FM_APP_READY);
	}
	made_up_pass(w, 1000);
	made_up_probe(w, AG_HEALTH_SILENT, "");
	assert_int_equal(w->said.app, FM_APP_STARTING);
	made_up_pass(w, 500);
	made_up_probe(w, AG_HEALTH_OK, "");
	assert_int_equal(w->said.app, FM_APP_STARTING);
	made_up_look(w, "2.2.15", 0);
	assert_int_equal(w->said.app, FM_APP_READY);
}

static void
test_ready_is_fresh(void **state)
{
	struct made_up *w = *state;
	unsigned probes, looks;

	made_up_run(w, 1, 1, FM_START_PLAIN);
	made_up_ready(w, "2.2.15");
	made_up_pass(w, 1000); /* a probe is on its way when the ask comes */
	probes = w->probes;
	looks = w->looks;
	{
		struct fm_agent_ask ask = made_up_ask(2, FM_APP_GOAL_RUNNING, "2.2.15");

		ask.start_serial = 1; /* the same start, another run */
		ask.run = 2;
		made_up_say(w, &ask);
	}
	assert_int_equal(w->said.voice.seq, 1);
	made_up_probe(w, AG_HEALTH_OK, "");
	assert_int_equal(w->said.voice.seq, 1);
	assert_int_equal(w->looks, looks);
	assert_int_equal(w->probes, probes + 1);
	made_up_probe(w, AG_HEALTH_OK, "");
	assert_int_equal(w->looks, looks + 1);
	made_up_look(w, "2.2.15", 0);
	assert_int_equal(w->said.app, FM_APP_READY);
	assert_int_equal(w->spawns, 1);
}

static void
test_hint(void **state)
{
	struct made_up *w = *state;
	unsigned probes;

	made_up_run(w, 1, 1, FM_START_PLAIN);
	made_up_look(w, "2.2.15", 0);
	ag_on_spawned(w->core, true, "", w->now);
	made_up_processes(w, 2, "");
	made_up_probe(w, AG_HEALTH_BUSY, "a");
	probes = w->probes;
	ag_on_hint(w->core, w->now);
	assert_int_equal(w->probes, probes + 1);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, made_up_setup, made_up_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_look_before_start),
		TEST(test_old_look_is_no_leave),
		TEST(test_refused),
		TEST(test_database_away),
		TEST(test_modes),
		TEST(test_mode_same_version_is_plain),
		TEST(test_migrate_once),
		TEST(test_ready_needs_all_three),
		TEST(test_said_failed),
		TEST(test_new_try_of_ready),
		TEST(test_stuck),
		TEST(test_not_stuck_without_database),
		TEST(test_crash_in_a_run),
		TEST(test_back_off),
		TEST(test_ready_forgives_crashes),
		TEST(test_spawn_fails),
		TEST(test_foreign),
		TEST(test_adoption),
		TEST(test_lost_answers),
		TEST(test_ready_is_fresh),
		TEST(test_hint),
	};

	return cmocka_run_group_tests_name("agent start", tests, NULL, NULL);
}
