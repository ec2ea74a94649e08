/* state_file.h - the agent's memory on disk: text, a checksum in its last line, replaced whole and
 * durably. A file that is there and cannot be read is never taken for an empty memory: who has
 * forgotten which asks it obeyed must not start anything. */
#ifndef AG_WORLD_STATE_FILE_H
#define AG_WORLD_STATE_FILE_H

#include "agent/core/supervise.h"
#include "base/err.h"

/* 1: read; 0: there is no file, *ret is empty; -1: unreadable or damaged. */
int ag_state_read(const char *path, struct ag_memory *ret, struct fm_err *err);
/* Returns when it is durable: a temporary file, fsync, rename, fsync of the folder. */
int ag_state_write(const char *path, const struct ag_memory *memory, struct fm_err *err);

#endif
