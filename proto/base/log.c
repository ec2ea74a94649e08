#include "base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include "base/text.h"

#define LINE_SIZE 4096

/* The two things here that are not const: a log that had to be handed to everybody would be. */
static enum fm_log_level most = FM_LOG_INFO;
static const char *program;

static const struct {
	const char *word;
	enum fm_log_level level;
} words[] = {
	{ "error", FM_LOG_ERROR }, { "warning", FM_LOG_WARNING }, { "notice", FM_LOG_NOTICE },
	{ "info", FM_LOG_INFO },   { "debug", FM_LOG_DEBUG },
};

/* Copies text into out with control characters as \xNN; returns the length. */
static size_t
escape(char *out, size_t size, const char *text)
{
	static const char hex[] = "0123456789abcdef";
	size_t n = 0;

	for (; *text && n + 5 < size; text++) {
		unsigned char c = (unsigned char)*text;

		if (c >= 0x20 && c != 0x7f) {
			out[n++] = (char)c;
			continue;
		}
		out[n++] = '\\';
		out[n++] = 'x';
		out[n++] = hex[c >> 4];
		out[n++] = hex[c & 15];
	}
	out[n] = '\0';
	return n;
}

void
fm_log(enum fm_log_level level, const char *what, const char *fmt, ...)
{
	char text[LINE_SIZE / 2], line[LINE_SIZE];
	size_t head, n;
	va_list args;

	if (level > most) return;
	(void)FM_FORMAT(line, "<%d>", (int)level);
	head = 3;
	(void)FM_FORMAT(text, "%s%s%s%s", program ? program : "", program ? ": " : "", what,
			fmt ? " " : "");
	if (fmt) {
		char values[LINE_SIZE / 2];

		va_start(args, fmt);
		(void)fm_format_args(values, sizeof values, fmt, args);
		va_end(args);
		(void)FM_APPEND(text, "%s", values);
	}
	n = head + escape(line + head, sizeof line - head - 1, text);
	line[n++] = '\n';
	/* One write, so that lines of several processes do not mix; a log that cannot be written has
	 * nowhere to complain. */
	if (write(STDERR_FILENO, line, n) < 0) return;
}

void
fm_log_set_level(enum fm_log_level level)
{
	most = level;
}

int
fm_log_level_from(const char *word)
{
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (fm_is_equal(words[i].word, word)) return (int)words[i].level;
	return -1;
}

void
fm_log_set_program(const char *name)
{
	program = name;
}
