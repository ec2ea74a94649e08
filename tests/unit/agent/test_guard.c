/* I8: which release may be started on which database, and what the start may do. */
#include "made_up.h"

#include <string.h>

#include "agent/core/guard.h"
#include "base/text.h"

enum { NO = -1 };

static const struct row {
	const char *release;
	enum fm_start_mode asked;
	bool installed;
	const char *database;
	unsigned pending, stale;
	int verdict; /* mode, or NO */
	const char *says;
} rows[] = {
	{ "2.2.15", FM_START_PLAIN, true, "2.2.15", 0, 0, FM_START_PLAIN, "" },
	{ "2.2.15", FM_START_PLAIN, true, "2.2.15", 2, 0, FM_START_PLAIN, "" },
	{ "2.2.15", FM_START_MIGRATE, true, "2.2.15", 0, 0, FM_START_PLAIN, "" },
	{ "2.2.15", FM_START_MIGRATE, true, "2.2.15", 1, 0, FM_START_MIGRATE, "" },
	{ "2.2.15", FM_START_MIGRATE, true, "2.2.15", 0, 1, FM_START_MIGRATE, "" },
	{ "2.2.16", FM_START_PLAIN, true, "2.2.15", 0, 0, NO, "fermata upgrade --to 2.2.16" },
	{ "2.2.16", FM_START_MIGRATE, true, "2.2.15", 0, 0, FM_START_MIGRATE, "" },
	{ "2.2.15", FM_START_PLAIN, true, "2.2.16", 0, 0, NO, "fermata rollback" },
	{ "2.2.15", FM_START_MIGRATE, true, "2.2.16", 0, 0, NO, "newer than release 2.2.15" },
	{ "2.2.16-alpha", FM_START_MIGRATE, true, "2.2.16", 0, 0, NO, "newer than release" },
	{ "2.2.16", FM_START_MIGRATE, true, "2.2.16-alpha", 0, 0, FM_START_MIGRATE, "" },
	{ "2.2.15", FM_START_PLAIN, false, "", 0, 0, NO, "empty" },
	{ "2.2.15", FM_START_MIGRATE, false, "", 0, 0, FM_START_MIGRATE, "" },
	{ "2.2.15", FM_START_PLAIN, true, "", 0, 0, NO, "unfinished" },
	{ "2.2.15", FM_START_MIGRATE, true, "", 0, 0, FM_START_MIGRATE, "" },
	{ "2.2.15", FM_START_MIGRATE, true, "main", 0, 0, NO, "order cannot be told" },
	{ "main", FM_START_PLAIN, true, "main", 0, 0, FM_START_PLAIN, "" },
};

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct row *row = &rows[i];
		struct ag_look look;
		enum fm_start_mode mode = FM_START_PLAIN;
		char text[FM_TEXT_SIZE] = "";
		bool may;

		memset(&look, 0, sizeof(look));
		look.ok = true;
		look.installed = row->installed;
		look.pending = row->pending;
		look.stale = row->stale;
		FM_COPY(look.version, row->database);
		may = ag_guard(row->release, row->asked, &look, &mode, text, sizeof(text));
		if (may != (row->verdict != NO) || (may && (int)mode != row->verdict))
			fail_msg("row %zu: may %d mode %d: %s", i, may, mode, text);
		if (may) continue;
		assert_non_null(strstr(text, row->release));
		assert_non_null(strstr(text, row->database));
		assert_non_null(strstr(text, row->says));
	}
}

/* Waiting does not help, so it is no waiting; and when it was helped, the start follows. */
static void
test_hopeless_look_is_a_refusal(void **state)
{
	struct made_up *w = *state;
	struct fm_agent_ask ask = made_up_ask(1, FM_APP_GOAL_RUNNING, "2.2.15");
	struct ag_look fenced = { .hopeless = true };

	(void)made_up_say(w, &ask);
	FM_COPY(fenced.text, "the role may not log in");
	ag_on_look(w->core, &fenced, w->now);
	assert_int_equal(w->said.app, FM_APP_REFUSED);
	assert_string_equal(w->said.failure, "not started: the role may not log in");
	assert_int_equal(w->spawns, 0);
	made_up_pass(w, 5000);
	assert_int_equal(w->looks, 2);
	made_up_look(w, "2.2.15", 0);
	assert_int_equal(w->spawns, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test_setup_teardown(test_hopeless_look_is_a_refusal, made_up_setup,
						made_up_teardown),
	};

	return cmocka_run_group_tests_name("agent guard", tests, NULL, NULL);
}
