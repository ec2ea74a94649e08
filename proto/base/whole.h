/* whole.h - small files that a reader never sees half of, and that a power failure leaves as they were or as
 * they are to be. */
#ifndef FM_BASE_WHOLE_H
#define FM_BASE_WHOLE_H

#include <sys/types.h>

#include "base/err.h"

/* Writes PATH.new, then renames it. */
int fm_write_whole(const char *path, mode_t mode, const char *text, struct fm_err *err);

#endif
