#include "coordinator/store/dbjob/clean_sql.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#define TAG_MOST 64

struct cleaned {
	char *at;
	size_t used, size; /* size: without the zero */
	bool is_full;
};

static void
put(struct cleaned *out, char c)
{
	bool is_space = c == ' ';

	if (is_space && (out->used == 0 || out->at[out->used - 1] == ' ')) return;
	if (out->used == out->size)
		out->is_full = true;
	else
		out->at[out->used++] = c;
}

static bool
is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

/* Behind the string that begins here; a doubled quote is part of it, a backslash where it escapes. */
static const char *
skip_quoted(const char *at, char quote, bool escapes)
{
	for (at++; *at; at++) {
		if (escapes && *at == '\\' && at[1]) {
			at++;
		} else if (*at == quote) {
			if (at[1] != quote) return at + 1;
			at++;
		}
	}
	return at;
}

/* $tag$ ... $tag$; NULL: it is none ($1, say). */
static const char *
skip_dollar(const char *at)
{
	size_t length = 1;
	char tag[TAG_MOST + 1];
	const char *end = NULL;

	if (isdigit((unsigned char)at[1])) return NULL;
	while (is_word(at[length])) length++;
	if (at[length] != '$' || length >= TAG_MOST) return NULL;
	memcpy(tag, at, length + 1);
	tag[length + 1] = '\0';
	end = strstr(at + length + 1, tag);
	return end ? end + length + 1 : at + strlen(at);
}

static const char *
skip_comment(const char *at)
{
	unsigned depth = 0;

	if (at[0] == '-') return at + strcspn(at, "\n");
	for (; *at; at++) {
		if (at[0] == '/' && at[1] == '*') {
			depth++;
			at++;
		} else if (at[0] == '*' && at[1] == '/') {
			at++;
			if (--depth == 0) return at + 1;
		}
	}
	return at;
}

/* Behind the literal or comment that begins here; NULL: none does. */
static const char *
skip_literal(const char *at, bool in_word, char before)
{
	bool escapes = before == 'E' || before == 'e';

	if (*at == '\'') return skip_quoted(at, '\'', escapes);
	if (*at == '$' && !in_word) return skip_dollar(at);
	if (in_word || !isdigit((unsigned char)*at)) return NULL;
	while (is_word(*at) || (*at == '.' && isdigit((unsigned char)at[1]))) at++;
	return at;
}

static bool
begins_comment(const char *at)
{
	return (at[0] == '-' && at[1] == '-') || (at[0] == '/' && at[1] == '*');
}

static void
copy_name(struct cleaned *out, const char **at)
{
	const char *end = skip_quoted(*at, '"', false);

	for (; *at < end; ++*at) put(out, isprint((unsigned char)**at) || **at & 0x80 ? **at : '?');
}

void
db_clean_sql(char *dst, size_t size, const char *sql)
{
	struct cleaned out = { .at = dst, .size = size - 1 };
	const char *next = NULL;
	char before = '\0';

	while (*sql && !out.is_full) {
		bool in_word = is_word(before) || before == '$';

		if (begins_comment(sql)) {
			sql = skip_comment(sql);
			put(&out, ' ');
			before = ' ';
		} else if (*sql == '"') {
			copy_name(&out, &sql);
			before = '"';
		} else if ((next = skip_literal(sql, in_word, before)) != NULL) {
			put(&out, '?');
			sql = next;
			before = '?';
		} else {
			before = isspace((unsigned char)*sql) || iscntrl((unsigned char)*sql)
					 ? ' '
					 : *sql;
			put(&out, before);
			sql++;
		}
	}
	while (out.used > 0 && dst[out.used - 1] == ' ') out.used--;
	dst[out.used] = '\0';
	if (out.is_full && out.size >= 3) memcpy(dst + out.size - 3, "...", 3);
}
