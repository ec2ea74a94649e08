/* process.c - the application as a session of its own, made by fork and exec. It outlives the
 * agent, and is found again by its session and by two marks in its environment. */
#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
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

#define SESSION_FILE "application.session"
#define BOOT_SIZE 40
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
	pid_t session;	 /* of the last start, while no other can have its number; 0: none */
	bool had_unseen; /* at the last scan */
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
	enum ag_listener found;
	struct ag_pids pids;

	find(in, &pids);
	found = ag_procs_foreign_listener(in->settings->host, in->settings->port, &pids, strange,
					  size);
	/* Seen twice, it is no process of ours in its last moment. */
	if (found == AG_LISTENER_UNSEEN && !in->had_unseen) strange[0] = '\0';
	in->had_unseen = found == AG_LISTENER_UNSEEN;
	return pids.count;
}

/* The session that was started last, as "pid start-time boot". Not synced: when the machine ends,
 * so does the session. Without this file the marks find all but what hides its environment. */
static void
write_session(const struct ag_instance *in, pid_t pid)
{
	char path[AG_PATH_SIZE + 24], fresh[AG_PATH_SIZE + 24], boot[BOOT_SIZE];
	_cleanup_fclose_ FILE *file = NULL;
	bool ok;

	ag_procs_boot(boot, sizeof(boot));
	(void)FM_FORMAT(path, "%s/" SESSION_FILE, in->settings->state_dir);
	(void)FM_FORMAT(fresh, "%s.new", path);
	file = fopen(fresh, "we");
	ok = file && fprintf(file, "%d %" PRIu64 " %s\n", (int)pid, ag_procs_born(pid), boot) > 0 &&
	     fflush(file) == 0 && rename(fresh, path) == 0;
	if (!ok) fm_log(FM_LOG_WARNING, "session is not written", "path=%s", path);
}

static pid_t
read_session(const struct ag_instance *in)
{
	char path[AG_PATH_SIZE + 24], found[BOOT_SIZE], boot[BOOT_SIZE];
	_cleanup_fclose_ FILE *file = NULL;
	uint64_t born;
	int pid;

	(void)FM_FORMAT(path, "%s/" SESSION_FILE, in->settings->state_dir);
	file = fopen(path, "re");
	if (!file || fscanf(file, "%d %" SCNu64 " %39s", &pid, &born, found) != 3) return 0;
	ag_procs_boot(boot, sizeof(boot));
	/* The same number on another day is somebody else. */
	return born && strcmp(found, boot) == 0 && ag_procs_born(pid) == born ? pid : 0;
}

static struct ag_instance *
process_open(struct event_base *base, const struct ag_settings *settings,
	     void (*changed)(void *arg), void *arg)
{
	struct ag_instance *in = fm_new(struct ag_instance, 1);

	in->base = base;
	in->settings = settings;
	in->changed = changed;
	in->arg = arg;
	/* Two, because another agent on this host may have a node of the same name. */
	(void)FM_FORMAT(in->marks[0], "FERMATA_NODE=%s", settings->node);
	(void)FM_FORMAT(in->marks[1], "FERMATA_AGENT=%s", settings->state_dir);
	in->session = read_session(in);
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
	      struct fm_err *err)
{
	pid_t pid = ag_launch(in->settings, in->marks, release, mode, err);

	if (pid < 0) return -1;
	in->session = pid;
	watch(in, pid);
	write_session(in, pid);
	fm_log(FM_LOG_NOTICE, "application started", "release=%s mode=%s pid=%d", release,
	       fm_start_mode_name(mode), (int)pid);
	return 0;
}

/* To each process once, by its pidfd: a number could be another's by now, and the application takes
 * a second TERM for impatience. */
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
