/* listeners.h - who listens where, of all processes of this machine. */
#ifndef AG_WORLD_LISTENERS_H
#define AG_WORLD_LISTENERS_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/world/procs.h"

#define AG_INODES_MAX 16

struct ag_inodes {
	unsigned count;
	unsigned long inodes[AG_INODES_MAX];
};

enum ag_listener {
	AG_LISTENER_NONE,
	AG_LISTENER_SEEN,
	AG_LISTENER_UNSEEN, /* by nobody we can see; one that just ends looks so */
};

/* Who listens on host:port, or on port of every address, besides those in ours; who is a text for
 * people. held: zeroed before the first call, kept by the caller: what ours listened on the last time.
 * A socket outlives its process by a moment; it is not looked for in the whole machine then. */
enum ag_listener ag_foreign_listener(const char *host, unsigned port, const struct ag_pids *ours,
				     struct ag_inodes *held, char *who, size_t size);

#endif
