/* guard.h - I8, the guard before every start: may this release be started on this database, and
 * what may the start do to it? Pure. */
#ifndef AG_CORE_GUARD_H
#define AG_CORE_GUARD_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/core/supervise.h"

/* release: on disk. mode: the permission that the ask gives. look: a look that succeeded.
 * true, and the least that has to be done in *ret_mode; or false, and why not in text. */
bool ag_guard(const char *release, enum fm_start_mode mode, const struct ag_look *look,
	      enum fm_start_mode *ret_mode, char *text, size_t size);

#endif
