/* What people who are not looking hear of, and in what words. */
#include <string.h>
#include "base/text.h"
#include "coordinator/news.h"

#include "test.h"

static const struct co_run_row under_way = {
	.run = 12,
	.procedure = "upgrade",
	.args = "upgrade --to 2.2.16",
	.who = "root",
	.state = "halted",
	.text = "upgrade stands still. Visitors see the maintenance page.",
	.next = "fermata retry, or fermata rollback",
	.began_ms = 1000,
};

static struct co_news news;

static bool
hears(const struct co_run_row *run, const char *kind, const char *step, const char *text)
{
	struct co_event_row event = { .run = run->run, .number = 7, .at_ms = 5000 };

	FM_COPY(event.kind, kind);
	FM_COPY(event.step, step);
	FM_COPY(event.text, text);
	return co_news_of(&event, run, "shop", &news);
}

static void
test_what_stands_still(void **state)
{
	(void)state;
	assert_true(hears(&under_way, "halted", "start first", "it has crashed 3 times"));
	assert_true(news.attention);
	assert_string_equal(news.subject,
			    "shop: upgrade --to 2.2.16 stands still at \"start first\"");
	assert_string_equal(news.body,
			    "shop: upgrade --to 2.2.16 stands still at \"start first\"\n"
			    "it has crashed 3 times\n"
			    "\n"
			    "Now: upgrade stands still. Visitors see the maintenance page.\n"
			    "Type: fermata retry, or fermata rollback\n"
			    "Run 12, begun by root\n");
}

static void
test_subjects(void **state)
{
	static const struct {
		const char *kind, *step, *text, *subject;
		bool attention;
	} rows[] = {
		{ "begin", "", "upgrade --to 2.2.16", "shop: upgrade --to 2.2.16 begins", false },
		{ "held", "approve", "wait",
		  "shop: upgrade --to 2.2.16 waits for a person at \"approve\"", true },
		{ "turn", "start first", "why",
		  "shop: upgrade --to 2.2.16 has failed and is taken back from \"start first\"",
		  true },
		{ "end", "open", "done", "shop: upgrade --to 2.2.16 has ended: done", false },
		{ "end", "open", "rolled-back", "shop: upgrade --to 2.2.16 has ended: rolled-back",
		  true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_true(hears(&under_way, rows[i].kind, rows[i].step, rows[i].text));
		assert_string_equal(news.subject, rows[i].subject);
		assert_int_equal(news.attention, rows[i].attention);
	}
}

static void
test_steps_are_no_news(void **state)
{
	static const char *const kinds[] = { "step", "done", "failed", "hook", "", "something" };

	(void)state;
	for (size_t i = 0; i < COUNT(kinds); i++)
		assert_false(hears(&under_way, kinds[i], "start first", "x"));
}

/* Who follows a run sees its notes. */
static void
test_notes_are_news_outside_of_runs(void **state)
{
	struct co_run_row over = under_way;

	(void)state;
	assert_false(hears(&under_way, "note", "open", "app2 gets no visitors: it is failed"));
	over.ended_ms = 5001;
	assert_false(hears(&over, "note", "open", "app2 gets no visitors: it is failed"));
	over.ended_ms = 5000;
	assert_true(hears(&over, "note", "open", "app2 gets no visitors: it is failed"));
	assert_true(news.attention);
	assert_string_equal(news.subject, "shop: app2 gets no visitors: it is failed");
}

/* An older journal, or a command without words of its own. */
static void
test_without_the_typed_command(void **state)
{
	struct co_run_row plain = under_way;

	(void)state;
	plain.args[0] = '\0';
	plain.next[0] = '\0';
	assert_true(hears(&plain, "begin", "", ""));
	assert_string_equal(news.subject, "shop: upgrade begins");
	assert_null(strstr(news.body, "Type:"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_stands_still),
		cmocka_unit_test(test_subjects),
		cmocka_unit_test(test_steps_are_no_news),
		cmocka_unit_test(test_notes_are_news_outside_of_runs),
		cmocka_unit_test(test_without_the_typed_command),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
