/* words.c - small texts of the command line. */
#include "coordinator/cli/words.h"

#include <string.h>
#include <time.h>
#include <wchar.h>

#include "base/text.h"

static const char *const begins[] = {
	[CO_PLAIN] = "",	 [CO_GOOD] = "\033[32m", [CO_BUSY] = "\033[33m",
	[CO_BAD] = "\033[1;31m", [CO_DIM] = "\033[2m",	 [CO_STRONG] = "\033[1m",
};

const char *
co_color_begin(const struct co_look *look, enum co_color color)
{
	return look->color ? begins[color] : "";
}

const char *
co_color_end(const struct co_look *look, enum co_color color)
{
	return look->color && color != CO_PLAIN ? "\033[0m" : "";
}

enum co_color
co_color_of(const char *state)
{
	static const struct {
		const char *word;
		enum co_color color;
	} words[] = {
		{ "done", CO_GOOD },	 { "ready", CO_GOOD },
		{ "open", CO_GOOD },	 { "ok", CO_GOOD },
		{ "running", CO_BUSY },	 { "starting", CO_BUSY },
		{ "stopping", CO_BUSY }, { "held", CO_BUSY },
		{ "paused", CO_BUSY },	 { "pinned", CO_BUSY },
		{ "closed", CO_BUSY },	 { "warning", CO_BUSY },
		{ "backoff", CO_BUSY },	 { "rolled-back", CO_BUSY },
		{ "stuck", CO_BAD },	 { "failed", CO_BAD },
		{ "halted", CO_BAD },	 { "refused", CO_BAD },
		{ "error", CO_BAD },	 { "needs-operator", CO_BAD },
		{ "away", CO_BAD },	 { "rolled-back-with-loss", CO_BAD },
		{ "pending", CO_DIM },	 { "skipped", CO_DIM },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (fm_is_equal(words[i].word, state)) return words[i].color;
	}
	return CO_PLAIN;
}

static char *
local_time(char *dst, size_t size, int64_t ms, const char *format)
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;

	dst[0] = '\0';
	if (ms <= 0 || !localtime_r(&seconds, &tm)) return dst;
	if (strcmp(format, "clock") == 0)
		(void)strftime(dst, size, "%H:%M:%S", &tm);
	else
		(void)strftime(dst, size, "%Y-%m-%d %H:%M:%S", &tm);
	return dst;
}

char *
co_clock(char *dst, size_t size, int64_t ms)
{
	return local_time(dst, size, ms, "clock");
}

char *
co_date(char *dst, size_t size, int64_t ms)
{
	return local_time(dst, size, ms, "date");
}

char *
co_took(char *dst, size_t size, int64_t ms)
{
	if (ms > 0) return fm_format_duration(dst, size, ms);
	dst[0] = '\0';
	return dst;
}

/* One character of text: its bytes, and the columns it takes. 0 bytes at the end. */
static size_t
next_character(const char *text, unsigned *ret_columns)
{
	mbstate_t state = { 0 };
	wchar_t wide;

	*ret_columns = 0;
	if (!*text) return 0;
	if (*text == '\033') {
		size_t n = 1 + strcspn(text + 1, "mKJAH");
		return text[n] ? n + 1 : n;
	}
	size_t n = mbrtowc(&wide, text, strlen(text), &state);
	if (n == 0 || n > strlen(text)) {
		*ret_columns = 1;
		return 1;
	}
	int columns = wcwidth(wide);
	*ret_columns = columns > 0 ? (unsigned)columns : 0;
	return n;
}

unsigned
co_width(const char *text)
{
	unsigned width = 0, columns;

	for (size_t n; (n = next_character(text, &columns)) > 0; text += n) width += columns;
	return width;
}

unsigned
co_clip(char *dst, size_t size, const char *text, unsigned columns)
{
	unsigned width = 0, more;
	size_t used = 0;

	dst[0] = '\0';
	if (co_width(text) <= columns) {
		(void)fm_copy(dst, size, text);
		return co_width(text);
	}
	if (columns == 0) return 0;
	for (size_t n; (n = next_character(text, &more)) > 0; text += n) {
		if (width + more > columns - 1 || used + n + 2 > size) break;
		memcpy(dst + used, text, n);
		used += n;
		width += more;
	}
	dst[used] = '~';
	dst[used + 1] = '\0';
	return width + 1;
}
