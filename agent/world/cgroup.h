/* cgroup.h - control groups as plain files (cgroup v2, also beside a v1 hierarchy). A group is named
 * as in /proc/PID/cgroup: "/system.slice/nocobase.service". */
#ifndef AG_WORLD_CGROUP_H
#define AG_WORLD_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/world/procs.h"
#include "base/err.h"

/* Adds the processes of the group and of all below it to ret, each once. A group that does not exist
 * has none. */
void ag_cgroup_add_pids(const char *group, struct ag_pids *ret);
/* Everything in it and below it, at once, whoever forks meanwhile. false: the kernel has no
 * cgroup.kill, or we may not. */
bool ag_cgroup_kill(const char *group);

struct ag_cgroup_use {
	uint64_t memory_bytes; /* 0: not counted here (no memory controller) */
	uint64_t cpu_us;       /* since the group was made */
};

/* false: there is no such group. */
bool ag_cgroup_use(const char *group, struct ag_cgroup_use *ret);

/* The group of a process; "" without cgroup v2, or when it is gone. */
void ag_cgroup_of(pid_t pid, char *dst, size_t size);
/* A child of our own group, empty; it must have been delegated to us. */
int ag_cgroup_make(const char *group, struct fm_err *err);
/* Of a group without processes; what is below it goes too. */
void ag_cgroup_remove(const char *group);
/* Moves the calling process (0) or another. -1 with errno. */
int ag_cgroup_enter(const char *group, pid_t pid);

#endif
