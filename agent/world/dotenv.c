#include "agent/world/dotenv.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

#define FILE_MAX (256 << 10)

static void
wipe(char **text)
{
	if (*text) explicit_bzero(*text, strlen(*text));
	free(*text);
	*text = NULL;
}

void
ag_dotenv_done(struct ag_dotenv *env)
{
	for (size_t i = 0; i < env->count; i++) {
		free(env->keys[i]);
		wipe(&env->values[i]);
	}
	env->count = 0;
}

static const char *
skip_blanks(const char *at)
{
	return at + strspn(at, " \t\r");
}

static bool
is_key_char(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '.' || c == '-';
}

/* In single quotes and back quotes everything is as it is; in double ones \n, \r and \" mean
 * something. Returns behind the closing quote, or NULL: there is none. */
static const char *
take_quoted(const char *at, char *dst)
{
	char quote = *at++;

	for (; *at && *at != quote; at++) {
		if (quote == '"' && *at == '\\' && at[1]) {
			at++;
			*dst++ = (char)(*at == 'n' ? '\n' : *at == 'r' ? '\r' : *at);
			if (*at != 'n' && *at != 'r' && *at != '"' && *at != '\\') {
				dst[-1] = '\\';
				*dst++ = *at;
			}
		} else {
			*dst++ = *at;
		}
	}
	*dst = '\0';
	return *at ? at + 1 : NULL;
}

/* Up to a '#' (as dotenv has it, with or without a blank before it), trimmed. */
static const char *
take_plain(const char *at, char *dst)
{
	size_t len = strcspn(at, "#\n"), used = len;

	while (used > 0 && isspace((unsigned char)at[used - 1])) used--;
	memcpy(dst, at, used);
	dst[used] = '\0';
	return at + len;
}

static void
put(struct ag_dotenv *env, const char *key, size_t key_len, const char *value)
{
	char *name = fm_new(char, key_len + 1);

	memcpy(name, key, key_len);
	for (size_t i = 0; i < env->count; i++) {
		if (strcmp(env->keys[i], name) != 0) continue;
		wipe(&env->values[i]);
		env->values[i] = fm_strdup(value);
		free(name);
		return;
	}
	env->keys[env->count] = name;
	env->values[env->count++] = fm_strdup(value);
}

int
ag_dotenv_parse(struct ag_dotenv *env, const char *text, struct fm_err *err)
{
	_cleanup_free_ char *value = fm_new(char, strlen(text) + 1);
	int line = 0;

	env->count = 0;
	for (const char *at = text; *at; at += *at == '\n') {
		const char *key, *end;

		line++;
		at = skip_blanks(at);
		if (strncmp(at, "export ", 7) == 0) at = skip_blanks(at + 7);
		for (key = end = at; is_key_char(*end); end++) continue;
		at = skip_blanks(end);
		if (end == key || *at != '=') {
			at += strcspn(at, "\n");
			continue;
		}
		at = skip_blanks(at + 1);
		at = strchr("\"'`", *at) && *at ? take_quoted(at, value) : take_plain(at, value);
		if (!at || env->count == AG_DOTENV_MAX) {
			ag_dotenv_done(env);
			return fm_fail(err, FM_ERR_CONFIG, 0, "row %d: %s", line,
				       at ? "too many settings" : "a quote is not closed");
		}
		put(env, key, (size_t)(end - key), value);
		at += strcspn(at, "\n");
	}
	explicit_bzero(value, strlen(text));
	return 0;
}

int
ag_dotenv_read(struct ag_dotenv *env, const char *path, struct fm_err *err)
{
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	_cleanup_free_ char *text = NULL;
	size_t len;
	int ret;

	env->count = 0;
	if (!file) return fm_fail(err, FM_ERR_CONFIG, errno, "%s", path);
	text = fm_new(char, FILE_MAX + 1);
	len = fread(text, 1, FILE_MAX + 1, file);
	if (ferror(file)) return fm_fail(err, FM_ERR_CONFIG, errno, "%s", path);
	if (len > FILE_MAX) return fm_fail(err, FM_ERR_CONFIG, 0, "%s: larger than 256 KiB", path);
	text[len] = '\0';
	ret = ag_dotenv_parse(env, text, err);
	explicit_bzero(text, len);
	return ret < 0 ? fm_wrap(err, "%s", path) : 0;
}

const char *
ag_dotenv_get(const struct ag_dotenv *env, const char *key)
{
	for (size_t i = 0; i < env->count; i++)
		if (strcmp(env->keys[i], key) == 0) return env->values[i];
	return "";
}
