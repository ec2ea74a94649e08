/* commands_parse.c - the words that a person typed, held against the table. */
#include "coordinator/control/commands.h"

#include <string.h>

#include "base/check.h"
#include "base/text.h"

#define NAMES_MAX 64

struct words {
	int argc, at;
	char *const *argv;
};

static bool
is_option(const char *word)
{
	return word[0] == '-' && word[1];
}

static int
fail_unknown(struct fm_err *err, const char *what, const char *word, const char *const *names)
{
	const char *near = fm_nearest(word, names);

	if (near) {
		return fm_fail(err, FM_ERR_CONFIG, 0, "there is no %s '%.60s'; did you mean '%s'?",
			       what, word, near);
	}
	return fm_fail(err, FM_ERR_CONFIG, 0, "there is no %s '%.60s'", what, word);
}

/* --- the command -------------------------------------------------------------------------- */

/* "maintenance what? begin or end" */
static int
fail_second(struct fm_err *err, const char *first, const char *second)
{
	const char *names[NAMES_MAX];
	char list[120] = "", word[80];
	size_t n = 0, length = strlen(first);

	for (const struct co_command *c = co_commands; c->name; c++) {
		if (strncmp(c->name, first, length) != 0 || c->name[length] != ' ') continue;
		FM_APPEND(list, "%s%s", n ? " or " : "", c->name);
		names[n++] = c->name;
		CHECK(n < NAMES_MAX);
	}
	names[n] = NULL;
	if (!second) return fm_fail(err, FM_ERR_CONFIG, 0, "%s what? %s", first, list);
	FM_FORMAT(word, "%s %s", first, second);
	if (fm_nearest(word, names)) return fail_unknown(err, "command", word, names);
	return fm_fail(err, FM_ERR_CONFIG, 0, "there is no command '%.60s', only %s", word, list);
}

static bool
is_first_word(const char *word)
{
	size_t length = strlen(word);

	for (const struct co_command *c = co_commands; c->name; c++) {
		if (strncmp(c->name, word, length) == 0 && c->name[length] == ' ') return true;
	}
	return false;
}

/* The row for the words from here on, moving over them. */
static const struct co_command *
take_command(struct words *w, struct fm_err *err)
{
	const char *first = w->argv[w->at++];
	const char *names[NAMES_MAX];
	size_t n = 0;

	const struct co_command *row = co_command_find(first);
	if (row && !strchr(first, ' ')) return row;
	if (is_first_word(first)) {
		const char *second = w->at < w->argc && !is_option(w->argv[w->at]) ? w->argv[w->at]
										   : NULL;
		char name[80];
		FM_FORMAT(name, "%s %s", first, second ? second : "");
		row = co_command_find(name);
		if (row)
			w->at++;
		else
			(void)fail_second(err, first, second);
		return row;
	}
	for (const struct co_command *c = co_commands; c->name; c++) {
		CHECK(n < NAMES_MAX - 1);
		names[n++] = c->name;
	}
	names[n] = NULL;
	(void)fail_unknown(err, "command", first, names);
	return NULL;
}

/* --- a word without dashes ---------------------------------------------------------------- */

/* The first place in the usage line that has nothing yet. */
static bool
free_place(const struct co_parsed *parsed, struct co_token *ret)
{
	const char *at = (parsed->planned ? parsed->planned : parsed->command)->usage;

	while (co_usage_next(&at, ret)) {
		if (!ret->option && (ret->rest || !co_parsed_has(parsed, ret->name))) return true;
	}
	return false;
}

static int
add_to_rest(struct co_parsed *ret, const char *name, const char *word, struct fm_err *err)
{
	if (ret->count == 0) return co_parsed_add(ret, name, word, err);
	if (!FM_APPEND(ret->args[0].value, " %s", word)) {
		return fm_fail(err, FM_ERR_CONFIG, 0, "too many words");
	}
	return 0;
}

static int
take_word(struct words *w, struct co_parsed *ret, struct fm_err *err)
{
	struct co_token place;

	if (!ret->command) {
		const struct co_command *row = take_command(w, err);
		return row ? co_parsed_begin(ret, row->name, err) : -1;
	}
	if (!free_place(ret, &place)) {
		return fm_fail(err, FM_ERR_CONFIG, 0, "'%s' does not know what to do with '%.60s'",
			       (ret->planned ? ret->planned : ret->command)->name, w->argv[w->at]);
	}
	if (place.type == CO_TYPE_PROCEDURE) {
		const struct co_command *row = take_command(w, err);
		return row ? co_parsed_add(ret, "command", row->name, err) : -1;
	}
	const char *word = w->argv[w->at++];
	if (place.rest) return add_to_rest(ret, place.name, word, err);
	return co_parsed_add(ret, place.name, word, err);
}

/* --- a word with dashes ------------------------------------------------------------------- */

/* Says which option it is: of the command (*ret), or global (type in *ret, global true). */
static bool
find_option(const struct co_parsed *parsed, const char *word, struct co_token *ret, bool *global)
{
	const struct co_command *row = parsed->planned ? parsed->planned : parsed->command;
	const char *at = row ? row->usage : "";

	*global = false;
	while (co_usage_next(&at, ret)) {
		if (ret->option && strcmp(ret->shown, word) == 0) return true;
	}
	*global = true;
	for (const struct co_word_help *g = co_globals; g->word; g++) {
		if (strcmp(g->word, word) != 0) continue;
		char usage[80];
		FM_FORMAT(usage, "%s%s%s", g->word, *g->command ? " " : "", g->command);
		at = usage;
		return co_usage_next(&at, ret);
	}
	return false;
}

static int
fail_option(const struct co_parsed *parsed, const char *word, struct fm_err *err)
{
	const struct co_command *row = parsed->planned ? parsed->planned : parsed->command;
	const char *names[NAMES_MAX], *at = row ? row->usage : "";
	struct co_token tokens[CO_ARGS_MAX];
	size_t n = 0, t = 0;

	while (t < CO_ARGS_MAX && co_usage_next(&at, &tokens[t])) {
		if (tokens[t].option) names[n++] = tokens[t++].shown;
	}
	for (const struct co_word_help *g = co_globals; g->word; g++) {
		CHECK(n < NAMES_MAX - 1);
		names[n++] = g->word;
	}
	names[n] = NULL;
	const char *near = fm_nearest(word, names);
	char hint[80] = "";
	if (near) FM_FORMAT(hint, "; did you mean '%s'?", near);
	if (row) {
		return fm_fail(err, FM_ERR_CONFIG, 0, "'%s' has no option '%.60s'%s", row->name,
			       word, hint);
	}
	return fm_fail(err, FM_ERR_CONFIG, 0,
		       "'%.60s' is no option of every command; its own come after it%s", word,
		       hint);
}

static int
set_global(struct co_global *global, const char *name, const char *value, struct fm_err *err)
{
	if (strcmp(name, "socket") == 0) {
		if (!*value || !FM_COPY(global->socket, value)) {
			return fm_fail(err, FM_ERR_CONFIG, 0, "--socket must be a file");
		}
		return 0;
	}
	if (strcmp(name, "timeout") == 0) {
		if (fm_parse_duration(value, &global->timeout_ms) && global->timeout_ms > 0) {
			return 0;
		}
		return fm_fail(err, FM_ERR_CONFIG, 0, "--timeout must be %s, not '%.80s'",
			       co_type_what(CO_TYPE_DURATION), value);
	}
	if (strcmp(name, "json") == 0)
		global->json = true;
	else if (strcmp(name, "no-color") == 0)
		global->no_color = true;
	else if (strcmp(name, "help") == 0)
		global->help = true;
	else if (strcmp(name, "version") == 0)
		global->version = true;
	else
		CHECK(!"every global option is set here");
	return 0;
}

static int
take_option(struct words *w, struct co_parsed *ret, struct fm_err *err)
{
	const char *word = w->argv[w->at++];
	const char *equals = strchr(word, '='), *value = "yes";
	char name[80];
	struct co_token token;
	bool global;

	FM_FORMAT(name, "%.*s", equals ? (int)(equals - word) : (int)strlen(word), word);
	if (strcmp(name, "-h") == 0) FM_COPY(name, "--help");
	if (strcmp(name, "-f") == 0) FM_COPY(name, "--follow");
	if (strcmp(name, "-n") == 0) FM_COPY(name, "--lines");
	if (strcmp(name, "-V") == 0) FM_COPY(name, "--version");
	if (!find_option(ret, name, &token, &global)) return fail_option(ret, name, err);
	if (token.type == CO_TYPE_FLAG && equals) {
		return fm_fail(err, FM_ERR_CONFIG, 0, "%s takes no value", token.shown);
	}
	if (token.type != CO_TYPE_FLAG) {
		value = equals ? equals + 1 : w->at < w->argc ? w->argv[w->at] : "--";
		if (!equals && strncmp(value, "--", 2) == 0) {
			return fm_fail(err, FM_ERR_CONFIG, 0, "%s needs %s", token.shown,
				       co_type_what(token.type));
		}
		if (!equals) w->at++;
	}
	if (global) return set_global(&ret->global, token.name, value, err);
	return co_parsed_add(ret, token.name, value, err);
}

int
co_command_parse(int argc, char *const *argv, struct co_parsed *ret, struct fm_err *err)
{
	struct words w = { .argc = argc, .at = 1, .argv = argv };
	bool options = true;

	memset(ret, 0, sizeof(*ret));
	while (w.at < argc) {
		if (options && strcmp(argv[w.at], "--") == 0) {
			options = false;
			w.at++;
			continue;
		}
		int bad = options && is_option(argv[w.at]) ? take_option(&w, ret, err)
							   : take_word(&w, ret, err);
		if (bad) return -1;
	}
	if (!ret->command || ret->global.help || ret->global.version) return 0;
	return co_parsed_finish(ret, err);
}
