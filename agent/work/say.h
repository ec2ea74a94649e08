/* say.h - what work tells the agent whose child it is: how it goes on, and what came of it. */
#ifndef AG_WORK_SAY_H
#define AG_WORK_SAY_H

#include <stdint.h>

#include "wire/ask.h"

struct ag_done {
	uint64_t bytes;
	char text[FM_TEXT_SIZE];
};

/* A line of progress; work.h. */
__attribute__((format(printf, 1, 2))) void ag_work_say(const char *fmt, ...);

#endif
