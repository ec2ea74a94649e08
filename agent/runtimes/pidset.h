/* pidset.h - the live processes of one application, each held by a pidfd: the kernel tells of an end
 * at once, and a signal cannot reach another process that got the number since. */
#ifndef AG_RUNTIMES_PIDSET_H
#define AG_RUNTIMES_PIDSET_H

#include "agent/runtimes/runtime.h"
#include "agent/world/procs.h"

struct event_base;
struct ag_pidset;

/* ended(): one of them is no more; ag_pidset_update() finds out which. */
struct ag_pidset *ag_pidset_new(struct event_base *base, void (*ended)(void *arg), void *arg);
/* NULL is allowed. The processes live on. */
void ag_pidset_free(struct ag_pidset *set);

/* These are alive, and no others. Those that are our children and no more are buried and logged. */
void ag_pidset_update(struct ag_pidset *set, const struct ag_pids *pids);
/* One that was started just now. */
void ag_pidset_add(struct ag_pidset *set, pid_t pid);
bool ag_pidset_has(const struct ag_pidset *set, pid_t pid);
unsigned ag_pidset_count(const struct ag_pidset *set);
void ag_pidset_send_one(struct ag_pidset *set, pid_t pid, int signal);
/* To each once. */
void ag_pidset_send(struct ag_pidset *set, int signal);

/* What they use: by their control group if they have one that counts it ("": none), else one by one.
 * false: none is alive. */
bool ag_alive_use(const struct ag_pidset *set, const char *group, struct ag_use *ret);

#endif
