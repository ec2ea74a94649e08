/* space.h - is there room for another release? Asked before anything is written. */
#ifndef AG_WORK_SPACE_H
#define AG_WORK_SPACE_H

#include <stdbool.h>

#include "agent/settings.h"
#include "base/err.h"

/* As much as the release in use takes, and some to spare; with is_ours (we fetch it ourselves, from npm)
 * what is downloaded besides. -1: the figures. */
int ag_space_check(const struct ag_settings *settings, bool is_ours, struct fm_err *err);

/* "1.2 GiB". Returns dst. */
char *ag_format_bytes(char *dst, size_t size, unsigned long long bytes);

#endif
