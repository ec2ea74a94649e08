#include "base/err.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

static const char *const kind_names[] = {
#define X(name, text) [FM_ERR_##name] = text,
	FM_ERR_KINDS(X)
#undef X
};

int
fm_fail(struct fm_err *err, enum fm_err_kind kind, int sys, const char *fmt, ...)
{
	char text[sizeof err->text];
	char reason[128];
	va_list args;

	if (!err) return -1;
	va_start(args, fmt);
	(void)fm_format_args(text, sizeof text, fmt, args);
	va_end(args);
	if (sys) (void)FM_APPEND(text, ": %s", strerror_r(sys, reason, sizeof reason));
	err->kind = kind;
	err->sys = sys;
	(void)FM_COPY(err->text, text);
	return -1;
}

int
fm_wrap(struct fm_err *err, const char *fmt, ...)
{
	char text[sizeof err->text];
	va_list args;

	if (!err) return -1;
	va_start(args, fmt);
	(void)fm_format_args(text, sizeof text, fmt, args);
	va_end(args);
	(void)FM_APPEND(text, ": %s", err->text);
	(void)FM_COPY(err->text, text);
	return -1;
}

const char *
fm_err_kind_name(enum fm_err_kind kind)
{
	if ((size_t)kind >= sizeof kind_names / sizeof kind_names[0]) return "?";
	return kind_names[kind];
}
