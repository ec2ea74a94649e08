/* The table of commands keeps its own rules, and the parser keeps the table. */
#include "coordinator/control/commands.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../test.h"
#include "base/text.h"

#define WORDS_MAX 12

/* Parses a line, its words separated by one space; _ inside a word stands for a space. */
static int
parse(const char *line, struct co_parsed *ret, struct fm_err *err)
{
	static char words[WORDS_MAX][64];
	char *argv[WORDS_MAX + 1] = { words[0] };
	int argc = 1;

	FM_COPY(words[0], "fermata");
	while (*line) {
		size_t n = strcspn(line, " ");
		assert_true(argc < WORDS_MAX);
		FM_FORMAT(words[argc], "%.*s", (int)n, line);
		for (char *c = words[argc]; *c; c++) *c = *c == '_' ? ' ' : *c;
		argv[argc] = words[argc];
		argc++;
		line += n + (line[n] == ' ');
	}
	return co_command_parse(argc, argv, ret, err);
}

static void
assert_refused(const char *line, const char *text)
{
	struct co_parsed parsed;
	struct fm_err err = { 0 };

	if (parse(line, &parsed, &err) == 0) fail_msg("'%s' was accepted", line);
	assert_int_equal(err.kind, FM_ERR_CONFIG);
	if (!strstr(err.text, text)) fail_msg("'%s' says: %s", line, err.text);
}

/* The longest text that is taken, and that the refusal of a longer one says how long it may be. */
static void
assert_long_text(size_t size, bool is_taken)
{
	char program[] = "fermata", page[] = "page", on[] = "on", option[] = "--message";
	char text[FM_TEXT_SIZE + 1] = "", most[40];
	char *argv[] = { program, page, on, option, text, NULL };
	struct co_parsed parsed;
	struct fm_err err = { 0 };

	memset(text, 'x', size);
	FM_FORMAT(most, "at most %d bytes", FM_TEXT_SIZE - 1);
	assert_int_equal(co_command_parse(5, argv, &parsed, &err) == 0, is_taken);
	if (!is_taken) assert_non_null(strstr(err.text, most));
}

static void
test_every_row_is_well_formed(void **state)
{
	(void)state;
	for (const struct co_command *c = co_commands; c->name; c++) {
		const char *at = c->usage;
		struct co_token token;
		unsigned words = 0;
		bool rest = false;

		assert_ptr_equal(co_command_find(c->name), c); /* names are unique */
		assert_true(*c->brief && strlen(c->brief) < 60);
		assert_true(strlen(c->help) > 20);
		assert_true(*c->exits == '0' && strchr(c->exits, '2'));
		for (const char *e = c->exits; *e; e++)
			assert_true(*e >= '0' && *e < '0' + CO_EXITS);
		/* Whoever follows a run may be detached from it; whoever does not, may not. */
		bool follows = c->kind == CO_KIND_BEGINS || c->kind == CO_KIND_FOLLOWS;
		assert_int_equal(follows, strchr(c->exits, '5') != NULL);
		assert_int_equal(c->kind == CO_KIND_LOCAL, c->right == CO_RIGHT_LOCAL);
		while (co_usage_next(&at, &token)) {
			assert_false(rest); /* nothing after "..." */
			rest = token.rest;
			if (!*co_word_help(c, token.shown)) {
				fail_msg("%s of '%s' has no help", token.shown, c->name);
			}
			assert_true(++words <= CO_ARGS_MAX);
		}
	}
}

/* Whether a usage line of the command takes the word. */
static bool
takes(const struct co_command *command, const char *word)
{
	struct co_token token;

	for (const char *at = command->usage; co_usage_next(&at, &token);) {
		if (strcmp(token.shown, word) == 0) return true;
	}
	return false;
}

/* A help without a command belongs to at least two commands that have none of their own. */
static void
test_every_help_belongs_to_a_word(void **state)
{
	(void)state;
	for (const struct co_word_help *w = co_word_helps; w->word; w++) {
		bool common = w->command[0] == '\0';
		unsigned takers = 0;

		for (const struct co_command *c = co_commands; c->name; c++) {
			takers += (common || strcmp(c->name, w->command) == 0) &&
				  takes(c, w->word) && co_word_help(c, w->word) == w->help;
		}
		if (takers < (common ? 2 : 1)) fail_msg("'%s' has no %s", w->command, w->word);
		for (const struct co_word_help *o = co_word_helps; o < w; o++) {
			assert_false(strcmp(o->command, w->command) == 0 &&
				     strcmp(o->word, w->word) == 0);
		}
	}
}

/* From any command that only reads nothing may be changed: the right is a column. */
static void
test_rights(void **state)
{
	static const char *const reads[] = { "status", "plan",	 "runs", "show",
					     "attach", "doctor", "logs", "config show" };
	unsigned count = 0;

	(void)state;
	for (const struct co_command *c = co_commands; c->name; c++) {
		count += c->right == CO_RIGHT_READ;
	}
	assert_int_equal(count, COUNT(reads));
	for (size_t i = 0; i < COUNT(reads); i++) {
		assert_int_equal(co_command_find(reads[i])->right, CO_RIGHT_READ);
	}
}

static void
test_words_and_options(void **state)
{
	struct co_parsed p;

	(void)state;
	assert_int_equal(parse("upgrade --to 2.2.16 --yes --max-downtime=10m", &p, NULL), 0);
	assert_string_equal(p.command->name, "upgrade");
	assert_int_equal(p.count, 3);
	assert_string_equal(co_parsed_value(&p, "to"), "2.2.16");
	assert_string_equal(co_parsed_value(&p, "yes"), "yes");
	assert_null(co_parsed_value(&p, "no-backup"));
	assert_int_equal(co_parsed_duration(&p, "max-downtime", 0), 600000);
	assert_int_equal(co_parsed_duration(&p, "to-what", 7), 7);

	assert_int_equal(parse("maintenance begin --keep app2", &p, NULL), 0);
	assert_string_equal(p.command->name, "maintenance begin");
	assert_string_equal(co_parsed_value(&p, "keep"), "app2");

	assert_int_equal(parse("attach --after 7 12", &p, NULL), 0);
	assert_int_equal(co_parsed_number(&p, "run", 0), 12);
	assert_int_equal(co_parsed_number(&p, "after", 0), 7);
	assert_int_equal(parse("attach", &p, NULL), 0);
	assert_int_equal(co_parsed_number(&p, "run", 99), 99);

	assert_int_equal(parse("config check -- --odd-name.ini", &p, NULL), 0);
	assert_string_equal(co_parsed_value(&p, "file"), "--odd-name.ini");
}

static void
test_global_options_go_anywhere(void **state)
{
	struct co_parsed p;

	(void)state;
	assert_int_equal(parse("--json --socket /tmp/s status --watch --timeout 90s", &p, NULL), 0);
	assert_true(p.global.json);
	assert_string_equal(p.global.socket, "/tmp/s");
	assert_int_equal(p.global.timeout_ms, 90000);
	assert_false(p.global.no_color);
	assert_int_equal(p.count, 1);
	assert_int_equal(parse("--no-color status", &p, NULL), 0);
	assert_true(p.global.no_color);
	assert_int_equal(parse("", &p, NULL), 0);
	assert_null(p.command);
	/* Help is given for what is not complete. */
	assert_int_equal(parse("upgrade --help", &p, NULL), 0);
	assert_true(p.global.help);
	assert_int_equal(parse("-V", &p, NULL), 0);
	assert_true(p.global.version);
}

static void
test_what_is_wrong_is_said(void **state)
{
	(void)state;
	assert_refused("upgrad", "did you mean 'upgrade'?");
	assert_refused("xyzzyxyzzy", "there is no command 'xyzzyxyzzy'");
	assert_refused("maintenance", "maintenance begin or maintenance end");
	assert_refused("maintenance endx", "did you mean 'maintenance end'?");
	assert_refused("upgrade", "upgrade needs --to VERSION");
	assert_refused("upgrade --to", "--to needs a version");
	assert_refused("upgrade --to --yes", "--to needs a version");
	assert_refused("upgrade --to latest", "--to must be a version such as 2.2.16");
	assert_refused("upgrade --to 2.2/../..", "--to must be a version");
	assert_refused("upgrade --to 2 --to 3", "--to was given twice");
	assert_refused("upgrade --to 2 --yes --yes", "--yes was given twice");
	assert_refused("upgrade --to 2 --yes=no", "--yes takes no value");
	assert_refused("upgrade --to 2 --deatch", "did you mean '--detach'?");
	assert_refused("upgrade --to 2 --max-downtime soon", "must be a duration");
	assert_refused("upgrade --to 2 --max-downtime 0", "must be a duration");
	assert_refused("upgrade --to 2 3", "'upgrade' does not know what to do with '3'");
	assert_refused("maintenance begin --keep ../x", "--keep must be the name of a node");
	assert_refused("approve 0", "RUN must be the number of a run, not '0'");
	assert_refused("approve first", "RUN must be the number of a run");
	assert_refused("approve 1 2", "does not know what to do with '2'");
	assert_refused("runs --last -1", "must be a number");
	assert_refused("page on --until 24:00", "must be a time of day");
	assert_refused("page on --until 1:30pm", "must be a time of day");
	assert_refused("page on --message=", "must be one line of text");
	assert_refused("page on --message a\nb", "must be one line of text");
	assert_long_text(FM_TEXT_SIZE - 1, true);
	assert_long_text(FM_TEXT_SIZE, false);
	assert_refused("--wacth status", "is no option of every command");
	assert_refused("status --timeout never", "--timeout must be a duration");
	assert_refused("status --timeout", "--timeout needs a duration");
}

static void
test_plan_takes_a_command(void **state)
{
	struct co_parsed p;

	(void)state;
	assert_int_equal(parse("plan upgrade --to 2.2.16 --json", &p, NULL), 0);
	assert_string_equal(p.command->name, "plan");
	assert_string_equal(p.planned->name, "upgrade");
	assert_string_equal(co_parsed_value(&p, "to"), "2.2.16");
	assert_true(p.global.json);
	assert_int_equal(parse("plan maintenance begin --page", &p, NULL), 0);
	assert_string_equal(p.planned->name, "maintenance begin");
	assert_refused("plan", "plan what?");
	assert_refused("plan upgrade", "upgrade needs --to");
	assert_refused("plan status", "'status' begins no run");
	assert_refused("plan maintenance end", "'maintenance end' begins no run");
	assert_refused("plan attach 3", "'attach' begins no run");
	assert_refused("plan plan startup", "'plan' begins no run");
	assert_refused("plan upgrad --to 2", "did you mean 'upgrade'?");
	assert_refused("plan --to 2", "'plan' has no option '--to'");
}

/* The coordinator trusts nothing that comes over the wire: the same rows test it again. */
static void
test_what_comes_over_the_wire(void **state)
{
	struct co_parsed p = { 0 };
	struct fm_err err = { 0 };

	(void)state;
	assert_int_equal(co_parsed_begin(&p, "no such", &err), -1);
	assert_int_equal(co_parsed_begin(&p, "upgrade", &err), 0);
	assert_int_equal(co_parsed_finish(&p, &err), -1);
	assert_int_equal(co_parsed_add(&p, "to", "2.2.16", &err), 0);
	assert_int_equal(co_parsed_add(&p, "to", "2.2.17", &err), -1);
	assert_int_equal(co_parsed_add(&p, "yes", "maybe", &err), -1);
	assert_int_equal(co_parsed_add(&p, "run", "1", &err), -1);
	assert_int_equal(co_parsed_add(&p, "max-downtime", "x", &err), -1);
	assert_int_equal(co_parsed_finish(&p, &err), 0);
	assert_int_equal(p.count, 1);

	assert_int_equal(co_parsed_begin(&p, "plan", &err), 0);
	assert_int_equal(co_parsed_finish(&p, &err), -1);
	assert_int_equal(co_parsed_add(&p, "to", "2.2.16", &err), -1);
	assert_int_equal(co_parsed_add(&p, "command", "approve", &err), -1);
	assert_int_equal(co_parsed_add(&p, "command", "upgrade", &err), 0);
	assert_int_equal(co_parsed_add(&p, "command", "startup", &err), -1);
	assert_int_equal(co_parsed_add(&p, "to", "2.2.16", &err), 0);
	assert_int_equal(co_parsed_finish(&p, &err), 0);
}

static void
test_typed_again(void **state)
{
	struct co_parsed p;
	char typed[200];

	(void)state;
	assert_int_equal(parse("--json upgrade --detach --to=2.2.16 --yes", &p, NULL), 0);
	assert_string_equal(co_parsed_typed(&p, typed, sizeof(typed)), "upgrade --to 2.2.16 --yes");
	assert_int_equal(parse("page on --message it's_late --until 14:30", &p, NULL), 0);
	assert_string_equal(co_parsed_typed(&p, typed, sizeof(typed)),
			    "page on --message 'it'\\''s late' --until 14:30");
	assert_int_equal(parse("plan rollback 12", &p, NULL), 0);
	assert_string_equal(co_parsed_typed(&p, typed, sizeof(typed)), "rollback 12");
	assert_string_equal(co_parsed_typed(&p, typed, 9), "rollback");
}

static void
test_times_of_day_are_ahead(void **state)
{
	int64_t noon = 1795348800;
	struct co_parsed p;

	(void)state;
	assert_int_equal(parse("page on --until 12:30", &p, NULL), 0);
	assert_int_equal(co_parsed_time(&p, "until", noon), noon + 1800);
	assert_int_equal(co_parsed_time(&p, "until", noon + 1800), noon + 1800 + 86400);
	assert_int_equal(parse("page on --until 11:59", &p, NULL), 0);
	assert_int_equal(co_parsed_time(&p, "until", noon), noon - 60 + 86400);
	assert_int_equal(parse("page on", &p, NULL), 0);
	assert_int_equal(co_parsed_time(&p, "until", noon), 0);
}

static void
test_help_takes_words(void **state)
{
	struct co_parsed p;

	(void)state;
	assert_int_equal(parse("help maintenance begin", &p, NULL), 0);
	assert_string_equal(co_parsed_value(&p, "command"), "maintenance begin");
	assert_int_equal(parse("help", &p, NULL), 0);
	assert_null(co_parsed_value(&p, "command"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_row_is_well_formed),
		cmocka_unit_test(test_every_help_belongs_to_a_word),
		cmocka_unit_test(test_rights),
		cmocka_unit_test(test_words_and_options),
		cmocka_unit_test(test_global_options_go_anywhere),
		cmocka_unit_test(test_what_is_wrong_is_said),
		cmocka_unit_test(test_plan_takes_a_command),
		cmocka_unit_test(test_what_comes_over_the_wire),
		cmocka_unit_test(test_typed_again),
		cmocka_unit_test(test_times_of_day_are_ahead),
		cmocka_unit_test(test_help_takes_words),
	};

	(void)setenv("TZ", "UTC", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
