#include "agent/runtimes/pidset.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "agent/world/cgroup.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/log.h"

struct watched {
	pid_t pid;
	int pidfd;
	struct event *ended;
	bool is_seen; /* by the update under way */
};

struct ag_pidset {
	struct event_base *base;
	void (*ended)(void *arg);
	void *arg;
	unsigned count;
	struct watched watched[AG_PIDS_MAX];
};

static void
log_end(pid_t pid, int status)
{
	if (WIFSIGNALED(status))
		fm_log(FM_LOG_NOTICE, "application process ended", "pid=%d signal=%d", (int)pid,
		       WTERMSIG(status));
	else
		fm_log(FM_LOG_NOTICE, "application process ended", "pid=%d code=%d", (int)pid,
		       WEXITSTATUS(status));
}

static void
on_ended(evutil_socket_t fd, short what, void *arg)
{
	struct ag_pidset *set = arg;

	(void)fd;
	(void)what;
	set->ended(set->arg);
}

struct ag_pidset *
ag_pidset_new(struct event_base *base, void (*ended)(void *arg), void *arg)
{
	struct ag_pidset *set = fm_new(struct ag_pidset, 1);

	set->base = base;
	set->ended = ended;
	set->arg = arg;
	return set;
}

void
ag_pidset_add(struct ag_pidset *set, pid_t pid)
{
	struct watched *w = &set->watched[set->count];

	if (set->count == AG_PIDS_MAX) return;
	w->pid = pid;
	w->is_seen = true;
	w->pidfd = pidfd_open(pid, 0);
	if (w->pidfd < 0) return;
	w->ended = event_new(set->base, w->pidfd, EV_READ, on_ended, set);
	CHECK(w->ended && event_add(w->ended, NULL) == 0);
	set->count++;
}

static void
forget(struct ag_pidset *set, unsigned i)
{
	struct watched *w = &set->watched[i];
	int status;

	/* Not our child after a restart of the agent: init buries it then. */
	if (!w->is_seen && waitpid(w->pid, &status, WNOHANG) == w->pid) log_end(w->pid, status);
	event_free(w->ended);
	fm_closep(&w->pidfd);
	*w = set->watched[--set->count];
}

void
ag_pidset_free(struct ag_pidset *set)
{
	if (!set) return;
	while (set->count > 0) forget(set, set->count - 1);
	free(set);
}

static bool
is_watched(struct ag_pidset *set, pid_t pid)
{
	for (unsigned i = 0; i < set->count; i++) {
		if (set->watched[i].pid != pid) continue;
		set->watched[i].is_seen = true;
		return true;
	}
	return false;
}

void
ag_pidset_update(struct ag_pidset *set, const struct ag_pids *pids)
{
	for (unsigned i = 0; i < set->count; i++) set->watched[i].is_seen = false;
	for (unsigned i = 0; i < pids->count; i++)
		if (!is_watched(set, pids->pids[i])) ag_pidset_add(set, pids->pids[i]);
	for (unsigned i = set->count; i-- > 0;)
		if (!set->watched[i].is_seen) forget(set, i);
}

bool
ag_pidset_has(const struct ag_pidset *set, pid_t pid)
{
	for (unsigned i = 0; i < set->count; i++)
		if (set->watched[i].pid == pid) return true;
	return false;
}

unsigned
ag_pidset_count(const struct ag_pidset *set)
{
	return set->count;
}

void
ag_pidset_send(struct ag_pidset *set, int signal)
{
	for (unsigned i = 0; i < set->count; i++)
		(void)pidfd_send_signal(set->watched[i].pidfd, signal, NULL, 0);
}

void
ag_pidset_send_one(struct ag_pidset *set, pid_t pid, int signal)
{
	for (unsigned i = 0; i < set->count; i++)
		if (set->watched[i].pid == pid)
			(void)pidfd_send_signal(set->watched[i].pidfd, signal, NULL, 0);
}

bool
ag_alive_use(const struct ag_pidset *set, const char *group, struct ag_use *ret)
{
	struct ag_pids pids = { .count = set->count };
	struct ag_cgroup_use counted;

	if (set->count == 0) return false;
	for (unsigned i = 0; i < set->count; i++) pids.pids[i] = set->watched[i].pid;
	ag_procs_use(&pids, &ret->memory_bytes, &ret->cpu_us);
	if (!group[0] || !ag_cgroup_use(group, &counted)) return true;
	if (counted.memory_bytes) ret->memory_bytes = counted.memory_bytes;
	if (counted.cpu_us) ret->cpu_us = counted.cpu_us;
	return true;
}
