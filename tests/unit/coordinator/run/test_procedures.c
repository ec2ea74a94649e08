/* Every procedure's table keeps the rules; a table that breaks one is found out. */
#include "tests/unit/test.h"

#include <string.h>

#include "coordinator/procedures/procedures.h"
#include "coordinator/steps/steps.h"

static void
test_all_tables_keep_the_rules(void **state)
{
	char why[FM_TEXT_SIZE] = "";
	unsigned count = 0;

	(void)state;
	for (; co_procedures[count] != NULL; count++)
		if (!co_procedure_check(co_procedures[count], why, sizeof(why)))
			fail_msg("%s", why);
	assert_int_equal(count, 8);
}

static void
expect_fault(const struct co_step *steps, const struct co_step *recovery, const char *part)
{
	const struct co_procedure p = { .name = "made up", .steps = steps, .recovery = recovery };
	char why[FM_TEXT_SIZE] = "";

	assert_false(co_procedure_check(&p, why, sizeof(why)));
	if (strstr(why, part) == NULL) fail_msg("\"%s\" does not say \"%s\"", why, part);
}

#define GOOD                                                                                   \
	.scope = CO_GATES, .ask = co_ask_close, .done = co_is_closed, .limit = CO_LIMIT_CLOSE, \
	.fails = CO_HALT, .says = "close"

static void
test_each_rule_is_looked_at(void **state)
{
	static const struct co_step twice[] = { { .name = "a", GOOD },
						{ .name = "a", GOOD },
						{ 0 } };
	static const struct co_step silent[] = {
		{ .name = "a", .scope = CO_GATES, .done = co_is_closed, .fails = CO_HALT }, { 0 }
	};
	static const struct co_step unproved[] = {
		{ .name = "a", .scope = CO_GATES, .fails = CO_HALT, .says = "x" }, { 0 }
	};
	static const struct co_step jobless[] = {
		{ .name = "a", .scope = CO_STORE, .fails = CO_HALT, .says = "x" }, { 0 }
	};
	static const struct co_step lost[] = { { .name = "a",
						 .scope = CO_GATES,
						 .done = co_is_closed,
						 .fails = CO_BACK,
						 .back = "nowhere",
						 .says = "x" },
					       { 0 } };
	static const struct co_step late[] = { { .name = "open",
						 .scope = CO_GATES,
						 .done = co_is_open,
						 .note = co_note_opened,
						 .limit = CO_LIMIT_OPEN,
						 .fails = CO_HALT,
						 .says = "x" },
					       { .name = "then",
						 .scope = CO_GATES,
						 .done = co_is_open,
						 .fails = CO_BACK,
						 .says = "x" },
					       { 0 } };

	(void)state;
	expect_fault(twice, NULL, "not unique");
	expect_fault(silent, NULL, "says nothing");
	expect_fault(unproved, NULL, "nothing proves");
	expect_fault(jobless, NULL, "STORE go together");
	expect_fault(lost, twice, "not in the recovery");
	expect_fault(late, NULL, "after visitors were let in");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_tables_keep_the_rules),
		cmocka_unit_test(test_each_rule_is_looked_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
