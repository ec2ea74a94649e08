#include "agent/work/say.h"

#include <stdarg.h>
#include <stdio.h>

void
ag_work_say(const char *fmt, ...)
{
	char text[FM_TEXT_SIZE];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	(void)printf("progress %s\n", text);
	(void)fflush(stdout);
}
