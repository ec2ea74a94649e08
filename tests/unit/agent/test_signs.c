/* Signs that a start goes on, and what is said of one that shows none. */
#include "made_up.h"

#include <string.h>

#include "agent/core/core.h"
#include "base/text.h"

static void
start(struct made_up *w)
{
	struct fm_agent_ask ask = made_up_ask(1, FM_APP_GOAL_RUNNING, "2.2.16");

	FM_COPY(w->core->current, "2.2.16");
	ask.run = ask.start_serial = 1;
	ask.start = FM_START_MIGRATE;
	assert_true(made_up_say(w, &ask));
	made_up_look(w, "2.2.15", 0);
	ag_on_spawned(w->core, true, "", w->now);
	made_up_processes(w, 2, "");
	made_up_probe(w, AG_HEALTH_BUSY, "start: migrate");
}

static void
watched(struct made_up *w, uint64_t id, const char *sql, const char *waits)
{
	struct ag_activity a = { .ok = sql != NULL, .id = id, .age_ms = 42000 };

	FM_COPY(a.sql, sql);
	FM_COPY(a.waits, waits);
	ag_on_activity(w->core, &a, w->now);
	w->next = ag_core_tick(w->core, w->now);
}

/* An hour in which it answers every probe alike; each() may make a difference once a minute. */
static void
an_hour(struct made_up *w, void (*each)(struct made_up *w, unsigned minute))
{
	for (unsigned i = 0; i < 7200; i++) {
		if (i % 120 == 0) each(w, i / 120);
		if (w->core->probing) made_up_probe(w, AG_HEALTH_BUSY, "start: migrate");
		made_up_pass(w, 500);
	}
}

static void
nothing(struct made_up *w, unsigned minute)
{
	(void)minute;
	if (w->core->watching) watched(w, 7, "alter table x", "");
}

static void
statement(struct made_up *w, unsigned minute)
{
	if (w->core->watching) watched(w, minute, "update x set y = ?", "");
}

static void
prints(struct made_up *w, unsigned minute)
{
	(void)minute;
	ag_on_output(w->core, w->now);
}

static void
test_nothing_at_all_is_stuck_and_left_alone(void **state)
{
	struct made_up *w = *state;

	start(w);
	an_hour(w, nothing);
	assert_int_equal(w->said.app, FM_APP_STUCK);
	assert_string_equal(w->said.sql, "alter table x");
	assert_int_equal(w->terms + w->kills, 0);
	/* It was only slow. */
	made_up_pass(w, 1000);
	if (w->core->looking) made_up_look(w, "2.2.15", 0);
	made_up_probe(w, AG_HEALTH_OK, "");
	made_up_look(w, "2.2.16", 0);
	assert_int_equal(w->said.app, FM_APP_READY);
	assert_string_equal(w->said.sql, "");
}

static void
test_another_statement_is_progress(void **state)
{
	struct made_up *w = *state;
	uint64_t before;

	start(w);
	before = w->said.signs;
	an_hour(w, statement);
	assert_int_equal(w->said.app, FM_APP_STARTING);
	assert_true(w->said.signs >= before + 50);
}

static void
test_a_printed_line_is_progress(void **state)
{
	struct made_up *w = *state;

	start(w);
	an_hour(w, prints);
	assert_int_equal(w->said.app, FM_APP_STARTING);
}

static void
test_who_asks_again_waits_again(void **state)
{
	struct made_up *w = *state;
	struct fm_agent_ask ask;

	start(w);
	an_hour(w, nothing);
	assert_int_equal(w->said.app, FM_APP_STUCK);
	ask = w->core->memory.ask;
	ask.voice = (struct fm_voice){ 2, 1 };
	made_up_say(w, &ask);
	assert_int_equal(w->said.app, FM_APP_STARTING);
	assert_int_equal(w->said.voice.epoch, 2);
	assert_int_equal(w->terms, 0);
}

/* Three seconds after the start, then each three; ten when it could not be looked. One at a time. */
static void
test_the_database_is_asked_now_and_then(void **state)
{
	struct made_up *w = *state;

	start(w);
	made_up_pass(w, 2900);
	assert_int_equal(w->watches, 0);
	made_up_pass(w, 100);
	assert_int_equal(w->watches, 1);
	made_up_pass(w, 60000);
	assert_int_equal(w->watches, 1);
	watched(w, 1, "alter table x", "Lock/relation, held by pid 7 of x");
	assert_string_equal(w->said.sql_waits, "Lock/relation, held by pid 7 of x");
	assert_int_equal(w->said.sql_age_ms, 42000);
	made_up_probe(w, AG_HEALTH_BUSY, "start: migrate");
	made_up_pass(w, 3000);
	assert_int_equal(w->watches, 2);
	watched(w, 0, NULL, "");
	assert_string_equal(w->said.sql, "");
	made_up_pass(w, 9000);
	assert_int_equal(w->watches, 2);
	made_up_pass(w, 1000);
	assert_int_equal(w->watches, 3);
}

static void
test_a_ready_application_is_not_watched(void **state)
{
	struct made_up *w = *state;

	start(w);
	made_up_pass(w, 1000);
	made_up_probe(w, AG_HEALTH_OK, "");
	made_up_look(w, "2.2.16", 0);
	assert_int_equal(w->said.app, FM_APP_READY);
	for (unsigned i = 0; i < 60; i++) {
		if (w->core->probing) made_up_probe(w, AG_HEALTH_OK, "");
		made_up_pass(w, 1000);
	}
	assert_int_equal(w->watches, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, made_up_setup, made_up_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_nothing_at_all_is_stuck_and_left_alone),
		TEST(test_another_statement_is_progress),
		TEST(test_a_printed_line_is_progress),
		TEST(test_who_asks_again_waits_again),
		TEST(test_the_database_is_asked_now_and_then),
		TEST(test_a_ready_application_is_not_watched),
	};

	return cmocka_run_group_tests_name("agent signs", tests, NULL, NULL);
}
