/* A statement as it may be shown: no literal of it, ever. */
#include "tests/unit/test.h"

#include <string.h>

#include "coordinator/store/dbjob/clean_sql.h"

static void
test_literals_go_and_names_stay(void **state)
{
	static const struct {
		const char *sql, *shown;
	} rows[] = {
		{ "select 1", "select ?" },
		{ "insert into \"users\" (a, b2) values ('s3cret', 42, $1)",
		  "insert into \"users\" (a, b2) values (?, ?, $1)" },
		{ "update t set x = 'it''s' where y = E'a\\'b' and z = 'c'",
		  "update t set x = ? where y = E? and z = ?" },
		{ "select $$a 'b$$, $tag$c $$ d$tag$, e", "select ?, ?, e" },
		{ "select 'never ends", "select ?" },
		{ "select $a$ never ends", "select ?" },
		{ "select \"odd \"\"name", "select \"odd \"\"name" },
		{ "  alter\n\ttable  -- secret\n x /* a /* b */ c */ add y int",
		  "alter table x add y int" },
		{ "select 1.5e10, 0xFF, a1, a_2 from t3", "select ?, ?, a1, a_2 from t3" },
		{ "select '\x01\x1b[31m', \"a\x1b\"", "select ?, \"a?\"" },
		{ "/* open", "" },
		{ "", "" },
	};
	char shown[200];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		db_clean_sql(shown, sizeof(shown), rows[i].sql);
		assert_string_equal(shown, rows[i].shown);
	}
}

static void
test_what_is_long_is_cut_and_says_so(void **state)
{
	char shown[16];

	(void)state;
	db_clean_sql(shown, sizeof(shown), "select abcdefghijklmnop from x");
	assert_string_equal(shown, "select abcde...");
	db_clean_sql(shown, sizeof(shown), "select abcdefgh");
	assert_string_equal(shown, "select abcdefgh");
}

/* Wherever the server has cut it, and wherever a string begins. */
static void
test_no_piece_of_a_literal_is_left(void **state)
{
	static const char sql[] = "insert into t values ('hunter2', E'\\'hunter2', $x$hunter2$x$, "
				  "'a''hunter2') -- hunter2\n/* hunter2 */";
	char cut[sizeof(sql)], shown[300];

	(void)state;
	for (size_t length = 0; length < sizeof(sql); length++) {
		memcpy(cut, sql, length);
		cut[length] = '\0';
		db_clean_sql(shown, sizeof(shown), cut);
		assert_null(strstr(shown, "hunt"));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_literals_go_and_names_stay),
		cmocka_unit_test(test_what_is_long_is_cut_and_says_so),
		cmocka_unit_test(test_no_piece_of_a_literal_is_left),
	};

	return cmocka_run_group_tests_name("clean sql", tests, NULL, NULL);
}
