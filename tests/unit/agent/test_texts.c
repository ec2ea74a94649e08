/* What comes from elsewhere as text: dotenv files, JSON, answers of the application, conninfo. */
#include "made_up.h"

#include <stdlib.h>
#include <string.h>

#include "agent/world/dotenv.h"
#include "agent/world/json.h"
#include "agent/world/look.h"
#include "agent/world/verdict.h"
#include "base/text.h"

static void
test_dotenv(void **state)
{
	static const struct {
		const char *text, *key, *value;
	} rows[] = {
		{ "A=1", "A", "1" },
		{ "  export A = two words # and not this\n", "A", "two words" },
		{ "A=\"x y # z\\n\\\"q\\\" \\$\" # c\nB=2", "A", "x y # z\n\"q\" \\$" },
		{ "A=\"x\"\nB=2", "B", "2" },
		{ "A='single \\n $x'", "A", "single \\n $x" },
		{ "A=`back`", "A", "back" },
		{ "A=\n#C=3\nB=b\r\n", "B", "b" },
		{ "A=\nB=2", "A", "" },
		{ "A=1\nA=2", "A", "2" },
		{ "no row\n=3\nA=x=y", "A", "x=y" },
		{ "A=\"two\nlines\"\nB=3", "A", "two\nlines" },
		{ "A=p@ss#word", "A", "p@ss" },
		{ "A='p@ss#word'", "A", "p@ss#word" },
		{ "", "A", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct ag_dotenv env;
		struct fm_err err;

		assert_int_equal(ag_dotenv_parse(&env, rows[i].text, &err), 0);
		assert_string_equal(ag_dotenv_get(&env, rows[i].key), rows[i].value);
		ag_dotenv_done(&env);
	}
}

static void
test_dotenv_faults(void **state)
{
	char many[AG_DOTENV_MAX * 8 + 64] = "";
	struct ag_dotenv env;
	struct fm_err err;

	(void)state;
	assert_int_equal(ag_dotenv_parse(&env, "A=1\nB=\"open", &err), -1);
	assert_non_null(strstr(err.text, "row 2"));
	assert_null(strstr(err.text, "open")); /* values are secrets */
	assert_int_equal(env.count, 0);
	for (int i = 0; i <= AG_DOTENV_MAX; i++)
		(void)snprintf(many + strlen(many), 16, "K%04d=\n", i);
	assert_int_equal(ag_dotenv_parse(&env, many + 7, &err),
			 0); /* as many as there is room for */
	assert_int_equal(env.count, AG_DOTENV_MAX);
	ag_dotenv_done(&env);
	assert_int_equal(ag_dotenv_parse(&env, many, &err), -1);
	assert_int_equal(env.count, 0);
	assert_int_equal(ag_dotenv_read(&env, "/nowhere/at/all", &err), -1);
	assert_int_equal(env.count, 0);
}

static void
test_json(void **state)
{
	static const struct {
		const char *text, *path, *value; /* value NULL: not found */
	} rows[] = {
		{ "{\"a\":\"b\"}", "a", "b" },
		{ " { \"x\" : [1,{\"a\":2}], \"a\" : \"b\" } ", "a", "b" },
		{ "{\"e\":{\"x\":{\"a\":1},\"a\":\"y\"},\"a\":2}", "e.a", "y" },
		{ "{\"e\":{\"c\":{\"n\":\"start\"}}}", "e.c.n", "start" },
		{ "{\"n\":503,\"t\":true}", "n", "503" },
		{ "{\"n\":503,\"t\":true}", "t", "true" },
		{ "{\"a\":\"q\\\"\\\\ \\u00e4\\n\\ud83d\\ude00\"}", "a",
		  "q\"\\ \303\244 \360\237\230\200" },
		{ "{\"a\":\"x\\u0000\\u001b\\u007fy\"}", "a", "x   y" },
		{ "{\"a\":\"x\"} and more", "a", NULL },
		{ "{\"a\":\"\377\"}", "a", NULL },
		{ "{\"a\":1.5}", "a", NULL },
		{ "{\"a\":null}", "a", NULL },
		{ "{\"a\":\"\"}", "a", "" },
		{ "{\"a\":{}}", "a", NULL },
		{ "{\"a\":[1]}", "a", NULL },
		{ "{\"a\"}", "a", NULL },
		{ "{\"a\":\"b", "a", NULL },
		{ "{\"a\":\"\\u12\"}", "a", NULL },
		{ "{\"b\":\"\\x\",\"a\":1}", "a", NULL },
		{ "{\"b\":[[[[,\"a\":1}", "a", NULL },
		{ "{\"b\":1}", "a", NULL },
		{ "{\"a\":1}", "a.b", NULL },
		{ "[]", "a", NULL },
		{ "", "a", NULL },
		{ "<html>", "a", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char value[64];
		bool found = ag_json_find(rows[i].text, strlen(rows[i].text), rows[i].path, value,
					  sizeof(value));

		if (found != (rows[i].value != NULL)) fail_msg("row %zu: %s", i, value);
		if (found) assert_string_equal(value, rows[i].value);
	}
}

/* Every prefix and every broken byte ends, and stays in its bounds. */
static void
test_json_hostile(void **state)
{
	static const char text[] =
		"{\"b\":[1,{\"c\":\"\\u00e4\\\"\"}],\"e\":{\"code\":\"APP\",\"m\":\"x\"}}";
	size_t len = sizeof(text) - 1;
	char value[8];

	(void)state;
	for (size_t cut = 0; cut <= len; cut++) {
		char *part = malloc(cut + 1);

		assert_non_null(part);
		memcpy(part, text, cut);
		(void)ag_json_find(part, cut, "e.code", value, sizeof(value));
		for (size_t at = 0; at < cut; at++) {
			for (int byte = 0; byte < 256; byte += 3) {
				part[at] = (char)byte;
				(void)ag_json_find(part, cut, "e.code", value, sizeof(value));
				assert_true(strlen(value) < sizeof(value));
			}
			part[at] = text[at];
		}
		free(part);
	}
}

static void
test_json_cuts_whole_characters(void **state)
{
	static const char text[] = "{\"a\":\"ab\303\244\303\244\"}";
	char value[6];

	(void)state;
	assert_true(ag_json_find(text, sizeof(text) - 1, "a", value, sizeof(value)));
	assert_string_equal(value, "ab\303\244");
}

static void
test_health(void **state)
{
#define SAYS(code, message, name)                                                \
	"{\"error\":{\"status\":503,\"maintaining\":true,\"message\":\"" message \
	"\",\"command\":{\"name\":\"" name "\"},\"code\":\"" code "\"}}"
	static const struct {
		int status;
		const char *body;
		enum ag_health health;
		const char *text;
	} rows[] = {
		{ 0, "", AG_HEALTH_SILENT, "" },
		{ 200, "ok", AG_HEALTH_OK, "" },
		{ 200, "<html>", AG_HEALTH_BUSY, "not NocoBase's" },
		{ 503, SAYS("APP_COMMANDING", "load plugin [acl], 1/77", "start"), AG_HEALTH_BUSY,
		  "start: load plugin [acl], 1/77" },
		{ 503, SAYS("APP_COMMANDING", "", "upgrade"), AG_HEALTH_BUSY, "upgrade" },
		{ 503, SAYS("APP_INITIALIZING", "x", ""), AG_HEALTH_BUSY, "x" },
		{ 404, SAYS("APP_NOT_FOUND", "application main not found", ""), AG_HEALTH_BUSY,
		  "application main not found" },
		{ 503, SAYS("APP_ERROR", "Validation error", "start"), AG_HEALTH_FAILED,
		  "APP_ERROR: Validation error" },
		{ 503, SAYS("APP_NOT_INSTALLED_ERROR", "not installed", "start"), AG_HEALTH_FAILED,
		  "APP_NOT_INSTALLED_ERROR" },
		{ 503, SAYS("SOMETHING_NEW", "", "start"), AG_HEALTH_FAILED, "SOMETHING_NEW" },
		{ 502, "<html>bad gateway", AG_HEALTH_BUSY, "status 502" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char text[FM_TEXT_SIZE];

		assert_int_equal(ag_health_verdict(rows[i].status, rows[i].body,
						   strlen(rows[i].body), text, sizeof(text)),
				 rows[i].health);
		assert_non_null(strstr(text, rows[i].text));
	}
}

static void
test_info(void **state)
{
	char text[FM_TEXT_SIZE];

	(void)state;
	assert_int_equal(ag_info_verdict(200, "{}", 2, text, sizeof(text)), AG_HEALTH_OK);
	assert_int_equal(ag_info_verdict(500, "{\"errors\":[]}", 13, text, sizeof(text)),
			 AG_HEALTH_SICK);
	assert_non_null(strstr(text, "500"));
	assert_int_equal(ag_info_verdict(0, "", 0, text, sizeof(text)), AG_HEALTH_SICK);
	/* It began to do something between the two questions. */
	assert_int_equal(ag_info_verdict(503, SAYS("APP_COMMANDING", "", "pm.enable"), 90, text,
					 sizeof(text)),
			 AG_HEALTH_BUSY);
}

static void
test_conninfo(void **state)
{
	struct ag_dotenv env;
	struct fm_err err;
	char text[1024], small[40];

	(void)state;
	assert_int_equal(
		ag_dotenv_parse(&env,
				"DB_DIALECT=postgres\nDB_HOST=db.example\nDB_PORT=5432\n"
				"DB_USER=noco\nDB_DATABASE=noco\nDB_PASSWORD=\"a'b\\\\c d\"\n",
				&err),
		0);
	assert_int_equal(ag_conninfo(&env, text, sizeof(text), &err), 0);
	assert_string_equal(text, "host='db.example' port='5432' dbname='noco' user='noco' "
				  "password='a\\'b\\\\c d' connect_timeout=5 "
				  "application_name=fermata-agent");
	assert_int_equal(ag_conninfo(&env, small, sizeof(small), &err), -1);
	ag_dotenv_done(&env);
	assert_int_equal(ag_dotenv_parse(&env, "DB_DIALECT=mysql", &err), 0);
	assert_int_equal(ag_conninfo(&env, text, sizeof(text), &err), -1);
	assert_non_null(strstr(err.text, "mysql"));
	ag_dotenv_done(&env);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dotenv),
		cmocka_unit_test(test_dotenv_faults),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_json_hostile),
		cmocka_unit_test(test_json_cuts_whole_characters),
		cmocka_unit_test(test_health),
		cmocka_unit_test(test_info),
		cmocka_unit_test(test_conninfo),
	};

	return cmocka_run_group_tests_name("agent texts", tests, NULL, NULL);
}
