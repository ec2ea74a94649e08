#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/options.h"
#include "base/text.h"
#include "test.h"

struct settings {
	char name[16], nodes[64], root[64], admin[64], mode[8], listen[64];
	long long keep, term_ms;
	bool is_on;
};

#define ROW(section, key, type, field, fallback, min, max, choices, secret)                       \
	{                                                                                         \
		section, key, FM_OPT_##type, offsetof(struct settings, field),                    \
			sizeof(((struct settings *)0)->field), fallback, min, max, choices, true, \
			secret, "Is the help of " key "."                                         \
	}

static const struct fm_opt table[] = {
	ROW("cluster", "name", NAME, name, NULL, 0, 0, NULL, false),
	ROW("cluster", "nodes", NAMES, nodes, "app1", 1, 3, NULL, false),
	ROW("cluster", "keep_releases", NUMBER, keep, "2", 1, 9, NULL, false),
	ROW("cluster", "open_when", CHOICE, mode, "all", 0, 0, "all|first", false),
	ROW("database", "admin", TEXT, admin, "", 0, 0, NULL, true),
	ROW("database", "underscored", BOOL, is_on, "no", 0, 0, NULL, false),
	ROW("app", "root", PATH, root, "/srv/app", 0, 0, NULL, false),
	ROW("app", "listen", ADDRESS, listen, "127.0.0.1:7400", 0, 0, NULL, false),
	ROW("limits", "term", DURATION, term_ms, "15s", 1000, 60000, NULL, false),
	{ 0 },
};

static char said[4096];

static void
say(void *arg, const char *line)
{
	(void)arg;
	(void)FM_APPEND(said, "%s\n", line);
}

static int
read_text(const char *text, struct settings *settings, struct fm_opt_origins *origins,
	  struct fm_err *err)
{
	char path[] = "/tmp/fm-options-XXXXXX";
	int fd = mkstemp(path);
	int rc;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	(void)close(fd);
	said[0] = '\0';
	memset(settings, 0xee, sizeof *settings);
	rc = fm_options_read(table, settings, path, origins, say, NULL, err);
	(void)unlink(path);
	return rc;
}

/* The file fails, and one of the lines said ends so. */
static void
assert_fault(const char *text, const char *end)
{
	struct settings s;
	struct fm_err err = { 0 };
	char want[300];

	assert_int_equal(read_text(text, &s, NULL, &err), -1);
	assert_int_equal(err.kind, FM_ERR_CONFIG);
	(void)FM_FORMAT(want, "%s\n", end);
	if (!strstr(said, want)) fail_msg("wanted \"%s\" in:\n%s", end, said);
}

static void
test_defaults_values_and_origins(void **state)
{
	struct settings s;
	struct fm_opt_origins origins;
	struct fm_err err;

	(void)state;
	assert_int_equal(read_text("# a comment\n[cluster]\nname = demo ; why\nnodes = a  b\tc\n\n"
				   "[limits]\nterm=20s\n[database]\nunderscored = on\n",
				   &s, &origins, &err),
			 0);
	assert_string_equal(said, "");
	assert_string_equal(s.name, "demo");
	assert_string_equal(s.nodes, "a b c");
	assert_int_equal(s.keep, 2);
	assert_string_equal(s.mode, "all");
	assert_string_equal(s.admin, "");
	assert_string_equal(s.listen, "127.0.0.1:7400");
	assert_int_equal(s.term_ms, 20000);
	assert_true(s.is_on);
	assert_int_equal(origins.line[0], 3);
	assert_int_equal(origins.line[1], 4);
	assert_int_equal(origins.line[2], 0);
	assert_int_equal(origins.line[8], 7);
}

static void
test_unknown_words_are_faults_with_a_hint(void **state)
{
	(void)state;
	assert_fault("[cluster]\nname=x\nnods=a\n",
		     ":3: [cluster] has no nods (did you mean nodes?)");
	assert_fault("[cluster]\nname=x\nzzz=a\n", ":3: [cluster] has no zzz");
	assert_fault("[clustr]\nname=x\n",
		     ":1: there is no section [clustr] (did you mean cluster?)");
	assert_fault("name=x\n", ":1: name stands before the first [section]");
}

static void
test_broken_lines_are_faults(void **state)
{
	(void)state;
	assert_fault("[cluster]\nname=x\nhello\n", ":3: this is neither [section] nor key = value");
	assert_fault("[cluster\nname=x\n", ":1: a section is written [name]");
	assert_fault("[cluster]\nname=x\nname=y\n", ":3: name is set twice, first in line 2");
	assert_fault("[cluster]\n", ": [cluster] name must be set: Is the help of name.");
}

static void
test_values_out_of_range_are_faults(void **state)
{
#define CLUSTER "[cluster]\nname=x\n"
	(void)state;
	assert_fault(CLUSTER "keep_releases=10\n",
		     ":3: keep_releases = 10 is not a number, 1 to 9");
	assert_fault(CLUSTER "keep_releases=0\n", ":3: keep_releases = 0 is not a number, 1 to 9");
	assert_fault(CLUSTER "open_when=al\n", ":3: open_when = al is not one of all|first");
	assert_fault(CLUSTER "nodes=a b c d\n",
		     ":3: nodes = a b c d is not a list of names separated by blanks, 1 to 3");
	assert_fault(CLUSTER "nodes=a/b\n",
		     ":3: nodes = a/b is not a list of names separated by blanks, 1 to 3");
	assert_fault(CLUSTER "[app]\nroot=srv\n",
		     ":4: root = srv is not an absolute path of at most 63 bytes");
	assert_fault(CLUSTER "[app]\nlisten=localhost\n",
		     ":4: listen = localhost is not host:port, or several separated by blanks");
	assert_fault(CLUSTER "[app]\nlisten=1.2.3.4:70000\n",
		     ":4: listen = 1.2.3.4:70000 is not host:port, or several separated by blanks");
	assert_fault(CLUSTER "[limits]\nterm=2m\n",
		     ":4: term = 2m is not a duration like 500ms, 10s or 1h30m, 1s to 1m");
	assert_fault(CLUSTER "[database]\nunderscored=maybe\n",
		     ":4: underscored = maybe is not yes or no");
	assert_fault("[cluster]\nname=a..b\n",
		     ":2: name = a..b is not a name (letters, digits, . _ -; at most 15 bytes)");
}

static void
test_a_secret_is_never_said(void **state)
{
	char text[300] = CLUSTER "[database]\nadmin=", shown[64];
	struct settings s;
	struct fm_err err = { 0 };

	(void)state;
	for (int i = 0; i < 10; i++) (void)FM_APPEND(text, "hunter2hunter2");
	assert_int_equal(read_text(text, &s, NULL, &err), -1);
	assert_non_null(strstr(said, "admin = *** is not a text of 0 to 63 bytes"));
	assert_null(strstr(said, "hunter2"));
	assert_int_equal(read_text(CLUSTER "[database]\nadmin=hunter2\n", &s, NULL, &err), 0);
	assert_string_equal(s.admin, "hunter2");
	assert_string_equal(fm_option_value(&table[4], &s, shown, sizeof shown), "***");
}

static void
test_all_faults_are_found_and_the_first_returned(void **state)
{
	struct settings s;
	struct fm_err err = { 0 };
	unsigned lines = 0;

	(void)state;
	assert_int_equal(read_text("[cluster]\nnods=a\nkeep_releases=x\nhello\n[wrong]\na=b\n", &s,
				   NULL, &err),
			 -1);
	for (const char *at = said; (at = strchr(at, '\n')) != NULL; at++) lines++;
	assert_int_equal(lines, 5); /* nods, x, hello, [wrong], name is missing */
	assert_non_null(strstr(err.text, ":2: [cluster] has no nods"));
}

static void
test_long_lines(void **state)
{
	_cleanup_free_ char *text = fm_new(char, 10000);
	struct settings s;
	struct fm_err err = { 0 };

	(void)state;
	(void)fm_copy(text, 10000, CLUSTER "#");
	memset(text + strlen(text), 'x', 1000); /* longer than inih's own 200 */
	(void)fm_append(text, 10000, "\n[limits]\nterm=7s\n");
	assert_int_equal(read_text(text, &s, NULL, &err), 0);
	assert_int_equal(s.term_ms, 7000);
	(void)fm_copy(text, 10000, CLUSTER);
	memset(text + strlen(text), 'x', 9000);
	assert_fault(text, ":3: a line may have 4094 bytes");
	(void)fm_append(text, 10000, "\nnods=a\n");
	assert_fault(text, ":4: [cluster] has no nods (did you mean nodes?)");
}

static void
test_no_file(void **state)
{
	struct settings s;
	struct fm_err err = { 0 };

	(void)state;
	assert_int_equal(fm_options_read(table, &s, "/nonexistent/x.ini", NULL, NULL, NULL, &err),
			 -1);
	assert_string_equal(err.text, "open /nonexistent/x.ini: No such file or directory");
	assert_int_equal(fm_options_read(table, &s, "/", NULL, NULL, NULL, NULL), -1);
}

static void
test_values_as_written(void **state)
{
	struct settings s;
	struct fm_err err;
	char shown[80];

	(void)state;
	assert_int_equal(read_text(CLUSTER "[limits]\nterm=1500ms\n", &s, NULL, &err), 0);
	assert_string_equal(fm_option_value(&table[8], &s, shown, sizeof shown), "1s500ms");
	assert_string_equal(fm_option_value(&table[2], &s, shown, sizeof shown), "2");
	assert_string_equal(fm_option_value(&table[5], &s, shown, sizeof shown), "no");
	assert_string_equal(fm_option_value(&table[0], &s, shown, sizeof shown), "x");
}

static void
test_the_manual_names_every_row(void **state)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	fm_options_document(table, out);
	(void)fclose(out);
	for (const struct fm_opt *o = table; o->section; o++) {
		char key[80];

		(void)FM_FORMAT(key, "*%s* = ", o->key);
		assert_non_null(strstr(text, key));
	}
	assert_non_null(strstr(text, "## [limits]"));
	assert_non_null(strstr(text, "keep\\_releases. Default: 2."));
	assert_non_null(strstr(text, "Must be set."));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults_values_and_origins),
		cmocka_unit_test(test_unknown_words_are_faults_with_a_hint),
		cmocka_unit_test(test_broken_lines_are_faults),
		cmocka_unit_test(test_values_out_of_range_are_faults),
		cmocka_unit_test(test_a_secret_is_never_said),
		cmocka_unit_test(test_all_faults_are_found_and_the_first_returned),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_no_file),
		cmocka_unit_test(test_values_as_written),
		cmocka_unit_test(test_the_manual_names_every_row),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
