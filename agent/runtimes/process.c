/* process.c - the application as a session of its own, made by fork and exec. It outlives the agent,
 * and is found again by its session and by two marks in its environment. */
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/runtimes/launch.h"
#include "agent/runtimes/runtime.h"
#include "agent/world/procs.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"

#define KILL_ROUNDS 4 /* scans until nothing new is found that was born meanwhile */

struct watched {
	pid_t pid;
	int pidfd;
	struct event *ended;
	bool is_seen; /* by the scan under way */
};

struct ag_instance {
	struct event_base *base;
	const struct ag_settings *settings;
	void (*changed)(void *arg);
	void *arg;
	char marks[2][AG_PATH_SIZE + 32];
	pid_t session; /* of the last start, while no other can have its number; 0: none */
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
	struct ag_instance *in = arg;

	(void)fd;
	(void)what;
	in->changed(in->arg);
}

static void
watch(struct ag_instance *in, pid_t pid)
{
	struct watched *w = &in->watched[in->count];

	if (in->count == AG_PIDS_MAX) return;
	w->pid = pid;
	w->is_seen = true;
	w->pidfd = pidfd_open(pid, 0);
	if (w->pidfd < 0) return;
	w->ended = event_new(in->base, w->pidfd, EV_READ, on_ended, in);
	CHECK(w->ended && event_add(w->ended, NULL) == 0);
	in->count++;
}

static void
unwatch(struct ag_instance *in, unsigned i)
{
	struct watched *w = &in->watched[i];
	int status;

	/* Not our child after a restart of the agent: init buries it then. */
	if (!w->is_seen && waitpid(w->pid, &status, WNOHANG) == w->pid) log_end(w->pid, status);
	event_free(w->ended);
	fm_closep(&w->pidfd);
	*w = in->watched[--in->count];
}

static bool
is_watched(struct ag_instance *in, pid_t pid)
{
	for (unsigned i = 0; i < in->count; i++) {
		if (in->watched[i].pid != pid) continue;
		in->watched[i].is_seen = true;
		return true;
	}
	return false;
}

static void
find(struct ag_instance *in, struct ag_pids *pids)
{
	const char *const marks[2] = { in->marks[0], in->marks[1] };

	ag_procs_find(marks, in->session, pids);
	for (unsigned i = 0; i < in->count; i++) in->watched[i].is_seen = false;
	for (unsigned i = 0; i < pids->count; i++)
		if (!is_watched(in, pids->pids[i])) watch(in, pids->pids[i]);
	for (unsigned i = in->count; i-- > 0;)
		if (!in->watched[i].is_seen) unwatch(in, i);
	/* An empty session's number may be given to somebody else. */
	if (pids->count == 0) in->session = 0;
}

static unsigned
process_scan(struct ag_instance *in, char *strange, size_t size)
{
	struct ag_pids pids;

	find(in, &pids);
	(void)ag_procs_foreign_listener(in->settings->host, in->settings->port, &pids, strange, size);
	return pids.count;
}

static struct ag_instance *
process_open(struct event_base *base, const struct ag_settings *settings,
	     const struct ag_handle *last, void (*changed)(void *arg), void *arg)
{
	struct ag_instance *in = fm_new(struct ag_instance, 1);
	char boot[40];

	in->base = base;
	in->settings = settings;
	in->changed = changed;
	in->arg = arg;
	/* Two, because another agent on this host may have a node of the same name. */
	(void)FM_FORMAT(in->marks[0], "FERMATA_NODE=%s", settings->node);
	(void)FM_FORMAT(in->marks[1], "FERMATA_AGENT=%s", settings->state_dir);
	ag_procs_boot(boot, sizeof(boot));
	if (last->pid && last->born && boot[0] && strcmp(boot, last->boot) == 0 &&
	    ag_procs_born((pid_t)last->pid) == last->born)
		in->session = (pid_t)last->pid;
	return in;
}

static void
process_close(struct ag_instance *in)
{
	if (!in) return;
	while (in->count > 0) unwatch(in, in->count - 1);
	free(in);
}

static int
process_start(struct ag_instance *in, const char *release, enum fm_start_mode mode,
	      struct ag_handle *ret, struct fm_err *err)
{
	pid_t pid = ag_launch(in->settings, in->marks, release, mode, err);

	memset(ret, 0, sizeof(*ret));
	if (pid < 0) return -1;
	in->session = pid;
	watch(in, pid);
	ret->pid = (uint64_t)pid;
	ret->born = ag_procs_born(pid);
	ag_procs_boot(ret->boot, sizeof(ret->boot));
	fm_log(FM_LOG_NOTICE, "application started", "release=%s mode=%s pid=%d", release,
	       fm_start_mode_name(mode), (int)pid);
	return 0;
}

/* To each process once, by its pidfd: a number could be another's by now, and the application takes a
 * second TERM for impatience. */
static void
send_all(struct ag_instance *in, int signal)
{
	struct ag_pids pids;

	find(in, &pids);
	for (unsigned i = 0; i < in->count; i++)
		(void)pidfd_send_signal(in->watched[i].pidfd, signal, NULL, 0);
}

static void
process_signal(struct ag_instance *in, enum ag_signal signal)
{
	fm_log(FM_LOG_NOTICE, "application is told to end", "signal=%s processes=%u",
	       signal == AG_TERM ? "TERM" : "KILL", in->count);
	if (signal == AG_TERM) {
		send_all(in, SIGTERM);
		return;
	}
	for (int i = 0; i < KILL_ROUNDS; i++) {
		if (in->session > 0) (void)kill(-in->session, SIGKILL);
		send_all(in, SIGKILL);
	}
	/* The rounds above have seen some end, and forgot them. */
	in->changed(in->arg);
}

const struct ag_runtime ag_runtime_process = {
	.name = "process",
	.open = process_open,
	.close = process_close,
	.start = process_start,
	.signal = process_signal,
	.scan = process_scan,
};
