/* state_file.h - the agent's memory on disk: text, a checksum in its last line, replaced whole and
 * durably. A file that is there and cannot be read is never taken for an empty memory: who has
 * forgotten which asks it obeyed must not start anything. */
#ifndef AG_WORLD_STATE_FILE_H
#define AG_WORLD_STATE_FILE_H

#include <sys/types.h>

#include "agent/core/supervise.h"
#include "base/err.h"

#define AG_BOOT_SIZE 40

/* The memory, and the process that was started last: what a new life of the agent looks for. */
struct ag_saved {
	struct ag_memory memory;
	uint64_t pid;           /* of the session; 0: none */
	uint64_t born;          /* its start time, in ticks since boot */
	char boot[AG_BOOT_SIZE]; /* of which boot */
};

/* 1: read; 0: there is no file, *ret is empty; -1: unreadable or damaged. */
int ag_state_read(const char *path, struct ag_saved *ret, struct fm_err *err);
/* Returns when it is durable: a temporary file, fsync, rename, fsync of the folder. */
int ag_state_write(const char *path, const struct ag_saved *saved, struct fm_err *err);

#endif
