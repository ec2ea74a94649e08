/* commands.c - the rows of commands.def as data, and the rules that a command must keep. */
#include "coordinator/control/commands.h"

#include <ctype.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "base/text.h"

#define TYPES (sizeof(type_words) / sizeof(type_words[0]))

static const char *const type_words[] = {
#define X(name, word, what) [CO_TYPE_##name] = (word),
	CO_TYPES(X)
#undef X
};

static const char *const type_whats[] = {
#define X(name, word, what) [CO_TYPE_##name] = (what),
	CO_TYPES(X)
#undef X
};

const struct co_command co_commands[] = {
#define CO_COMMAND(name, usage, right, kind, exits, brief, help) \
	{ (name), (usage), CO_RIGHT_##right, CO_KIND_##kind, (exits), (brief), (help) },
#include "coordinator/control/commands.def"
	{ NULL, NULL, CO_RIGHT_READ, CO_KIND_ANSWER, NULL, NULL, NULL },
};

const struct co_word_help co_word_helps[] = {
#define CO_WORD(command, word, help) { (command), (word), (help) },
#include "coordinator/control/commands.def"
	{ NULL, NULL, NULL },
};

const struct co_word_help co_globals[] = {
#define CO_GLOBAL(word, type, help) { (type), (word), (help) },
#include "coordinator/control/commands.def"
	{ NULL, NULL, NULL },
};

const char *const co_exits[CO_EXITS] = {
#define CO_EXIT(code, help) [code] = (help),
#include "coordinator/control/commands.def"
};

const char *
co_type_word(enum co_type type)
{
	CHECK(type < TYPES);
	return type_words[type];
}

const char *
co_type_what(enum co_type type)
{
	CHECK(type < TYPES);
	return type_whats[type];
}

const struct co_command *
co_command_find(const char *name)
{
	for (const struct co_command *c = co_commands; c->name; c++) {
		if (strcmp(c->name, name) == 0) return c;
	}
	return NULL;
}

const char *
co_word_help(const struct co_command *command, const char *shown)
{
	const char *common = "";

	for (const struct co_word_help *w = co_word_helps; w->word; w++) {
		if (strcmp(w->word, shown) != 0) continue;
		if (strcmp(w->command, command->name) == 0) return w->help;
		if (w->command[0] == '\0') common = w->help;
	}
	return common;
}

/* --- the usage line ----------------------------------------------------------------------- */

static enum co_type
type_of(const char *word)
{
	for (size_t t = 1; t < TYPES; t++) {
		if (strcmp(type_words[t], word) == 0) return (enum co_type)t;
	}
	CHECK(!"a type of a usage line is in CO_TYPES");
	return CO_TYPE_FLAG;
}

/* One item between spaces or brackets into dst; *at moves behind it. */
static void
usage_word(const char **at, char *dst, size_t size)
{
	size_t n = strcspn(*at, " []");

	CHECK(n > 0 && n < size);
	memcpy(dst, *at, n);
	dst[n] = '\0';
	*at += n;
}

/* Takes "..." off the end of a word; whether it was there. */
static bool
cut_dots(char *word)
{
	size_t n = strlen(word);

	if (n <= 3 || strcmp(word + n - 3, "...") != 0) return false;
	word[n - 3] = '\0';
	return true;
}

static void
lower(char *word)
{
	for (; *word; word++) *word = (char)tolower((unsigned char)*word);
}

bool
co_usage_next(const char **at, struct co_token *ret)
{
	char word[32];

	memset(ret, 0, sizeof(*ret));
	*at += strspn(*at, " ");
	if (!**at) return false;
	ret->required = **at != '[';
	if (!ret->required) (*at)++;

	usage_word(at, word, sizeof(word));
	ret->option = word[0] == '-';
	ret->rest = cut_dots(word);
	FM_COPY(ret->shown, word);
	FM_COPY(ret->name, ret->option ? word + 2 : word);
	if (!ret->option) {
		lower(ret->name);
		ret->type = type_of(word);
	} else if (**at == ' ' && isupper((unsigned char)(*at)[1])) {
		(*at)++;
		usage_word(at, word, sizeof(word));
		ret->type = type_of(word);
	}
	if (ret->required) return true;
	CHECK(**at == ']');
	(*at)++;
	ret->repeats = strncmp(*at, "...", 3) == 0;
	if (ret->repeats) *at += 3;
	return true;
}

/* The row whose usage line the arguments keep to. */
static const struct co_command *
grammar(const struct co_parsed *parsed)
{
	return parsed->planned ? parsed->planned : parsed->command;
}

static bool
find_token(const struct co_command *command, const char *name, struct co_token *ret)
{
	const char *at = command->usage;

	while (co_usage_next(&at, ret)) {
		if (strcmp(ret->name, name) == 0) return true;
	}
	return false;
}

/* --- one value ---------------------------------------------------------------------------- */

static bool
is_text(const char *s)
{
	if (!*s || strlen(s) >= FM_TEXT_SIZE) return false;
	for (; *s; s++) {
		if (iscntrl((unsigned char)*s)) return false;
	}
	return true;
}

/* "14:30" to minutes of the day, -1: it is not one. */
static int
parse_time(const char *s)
{
	if (strlen(s) != 5 || s[2] != ':') return -1;
	for (int i = 0; i < 5; i++) {
		if (i != 2 && !isdigit((unsigned char)s[i])) return -1;
	}
	int hour = (s[0] - '0') * 10 + (s[1] - '0');
	int minute = (s[3] - '0') * 10 + (s[4] - '0');
	return hour > 23 || minute > 59 ? -1 : hour * 60 + minute;
}

static bool
is_of_type(enum co_type type, const char *value)
{
	unsigned long long number;
	long long ms;

	switch (type) {
	case CO_TYPE_FLAG:
		return strcmp(value, "yes") == 0;
	case CO_TYPE_VERSION:
		return isdigit((unsigned char)value[0]) && fm_is_name(value, FM_VERSION_SIZE);
	case CO_TYPE_NODE:
	case CO_TYPE_GATE:
	case CO_TYPE_NAME:
	case CO_TYPE_ROLE:
		return fm_is_name(value, FM_NAME_SIZE);
	case CO_TYPE_DURATION:
		return fm_parse_duration(value, &ms) && ms > 0;
	case CO_TYPE_NUMBER:
		return fm_parse_u64(value, 0, INT64_MAX, &number);
	case CO_TYPE_RUN:
		return fm_parse_u64(value, 1, INT64_MAX, &number);
	case CO_TYPE_TIME:
		return parse_time(value) >= 0;
	case CO_TYPE_URL:
		return fm_is_site(value, FM_TEXT_SIZE);
	case CO_TYPE_TEXT:
	case CO_TYPE_FILE:
	case CO_TYPE_DIR:
	case CO_TYPE_PROCEDURE:
	case CO_TYPE_COMMAND:
		return is_text(value);
	}
	return false;
}

/* --- a command put together --------------------------------------------------------------- */

int
co_parsed_begin(struct co_parsed *parsed, const char *command, struct fm_err *err)
{
	struct co_global kept = parsed->global;

	memset(parsed, 0, sizeof(*parsed));
	parsed->global = kept;
	parsed->command = co_command_find(command);
	if (!parsed->command) {
		return fm_fail(err, FM_ERR_CONFIG, 0, "there is no command '%.60s'", command);
	}
	return 0;
}

static int
plan_what(struct co_parsed *parsed, const char *value, struct fm_err *err)
{
	const struct co_command *planned = co_command_find(value);

	if (!planned) {
		return fm_fail(err, FM_ERR_CONFIG, 0, "there is no command '%.60s' to plan", value);
	}
	if (planned->kind != CO_KIND_BEGINS) {
		return fm_fail(err, FM_ERR_CONFIG, 0, "'%s' begins no run: nothing to plan",
			       planned->name);
	}
	parsed->planned = planned;
	return 0;
}

int
co_parsed_add(struct co_parsed *parsed, const char *name, const char *value, struct fm_err *err)
{
	const struct co_command *row = grammar(parsed);
	struct co_token token;

	if (!parsed->planned && strcmp(parsed->command->name, "plan") == 0) {
		if (strcmp(name, "command") == 0) return plan_what(parsed, value, err);
		return fm_fail(err, FM_ERR_CONFIG, 0, "plan needs a command before '%.40s'", name);
	}
	if (!find_token(row, name, &token)) {
		return fm_fail(err, FM_ERR_CONFIG, 0, "'%s' knows no '%.40s'", row->name, name);
	}
	if (!token.repeats && co_parsed_has(parsed, name)) {
		return fm_fail(err, FM_ERR_CONFIG, 0, "%s was given twice", token.shown);
	}
	if (co_parsed_nth(parsed, name, FM_GATES_MAX - 1)) {
		return fm_fail(err, FM_ERR_CONFIG, 0, "%s was given more than %d times",
			       token.shown, FM_GATES_MAX);
	}
	if (!is_of_type(token.type, value)) {
		return fm_fail(err, FM_ERR_CONFIG, 0, "%s must be %s, not '%.80s'", token.shown,
			       co_type_what(token.type), value);
	}
	CHECK(parsed->count < CO_ARGS_MAX);
	FM_COPY(parsed->args[parsed->count].name, name);
	FM_COPY(parsed->args[parsed->count].value, value);
	parsed->count++;
	return 0;
}

int
co_parsed_finish(struct co_parsed *parsed, struct fm_err *err)
{
	const struct co_command *row = grammar(parsed);
	const char *at = row->usage;
	struct co_token token;

	if (parsed->planned == NULL && strcmp(row->name, "plan") == 0) {
		return fm_fail(err, FM_ERR_CONFIG, 0,
			       "plan what? For example: fermata plan upgrade --to 2.2.16");
	}
	while (co_usage_next(&at, &token)) {
		if (!token.required || co_parsed_has(parsed, token.name)) continue;
		if (!token.option) {
			return fm_fail(err, FM_ERR_CONFIG, 0, "%s needs %s", row->name,
				       co_type_what(token.type));
		}
		return fm_fail(err, FM_ERR_CONFIG, 0, "%s needs %s %s", row->name, token.shown,
			       co_type_word(token.type));
	}
	return 0;
}

/* --- what was given ----------------------------------------------------------------------- */

const char *
co_parsed_nth(const struct co_parsed *parsed, const char *name, unsigned n)
{
	for (unsigned i = 0; i < parsed->count; i++) {
		if (strcmp(parsed->args[i].name, name) == 0 && n-- == 0) {
			return parsed->args[i].value;
		}
	}
	return NULL;
}

const char *
co_parsed_value(const struct co_parsed *parsed, const char *name)
{
	return co_parsed_nth(parsed, name, 0);
}

bool
co_parsed_has(const struct co_parsed *parsed, const char *name)
{
	return co_parsed_value(parsed, name) != NULL;
}

uint64_t
co_parsed_number(const struct co_parsed *parsed, const char *name, uint64_t fallback)
{
	const char *value = co_parsed_value(parsed, name);
	unsigned long long number;

	return value && fm_parse_u64(value, 0, INT64_MAX, &number) ? number : fallback;
}

long long
co_parsed_duration(const struct co_parsed *parsed, const char *name, long long fallback)
{
	const char *value = co_parsed_value(parsed, name);
	long long ms;

	return value && fm_parse_duration(value, &ms) ? ms : fallback;
}

int64_t
co_parsed_time(const struct co_parsed *parsed, const char *name, int64_t now_s)
{
	const char *value = co_parsed_value(parsed, name);
	int minutes = value ? parse_time(value) : -1;
	time_t now = (time_t)now_s;
	struct tm tm;

	if (minutes < 0 || !localtime_r(&now, &tm)) return 0;
	tm.tm_hour = minutes / 60;
	tm.tm_min = minutes % 60;
	tm.tm_sec = 0;
	tm.tm_isdst = -1;
	struct tm tomorrow = tm;
	time_t at = mktime(&tm);
	if (at > now) return (int64_t)at;
	tomorrow.tm_mday++;
	return (int64_t)mktime(&tomorrow);
}

/* A value as a shell would take it back. */
static void
append_quoted(char *dst, size_t size, const char *value)
{
	static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				   "._:/@+-";

	if (value[strspn(value, safe)] == '\0') {
		fm_append(dst, size, "%s", value);
		return;
	}
	fm_append(dst, size, "'");
	for (const char *c = value; *c; c++) {
		fm_append(dst, size, *c == '\'' ? "'\\''" : "%c", *c);
	}
	fm_append(dst, size, "'");
}

char *
co_parsed_typed(const struct co_parsed *parsed, char *dst, size_t size)
{
	const struct co_command *row = grammar(parsed);
	struct co_token token;

	fm_copy(dst, size, row->name);
	for (unsigned i = 0; i < parsed->count; i++) {
		const struct co_arg *arg = &parsed->args[i];
		if (!find_token(row, arg->name, &token)) continue;
		if (strcmp(arg->name, "detach") == 0) continue;
		if (token.option) fm_append(dst, size, " %s", token.shown);
		if (token.type == CO_TYPE_FLAG) continue;
		fm_append(dst, size, " ");
		append_quoted(dst, size, arg->value);
	}
	return dst;
}
