/* process.c - the application as a session of its own, made by fork and exec. It outlives the
 * agent, and is found again by its session, by two marks in its environment, and by what was found before. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/runtimes/folder.h"
#include "agent/runtimes/launch.h"
#include "agent/runtimes/orphans.h"
#include "agent/runtimes/pidset.h"
#include "agent/runtimes/runtime.h"
#include "agent/world/cgroup.h"
#include "agent/world/listeners.h"
#include "agent/world/procs.h"
#include "agent/world/strangers.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"

#define SESSION_FILE "application.session"
#define BOOT_SIZE 40
#define KILL_ROUNDS 4 /* scans until nothing new is found that was born meanwhile */

struct ag_instance {
	const struct ag_settings *settings;
	void (*changed)(void *arg);
	void *arg;
	char marks[2][AG_PATH_SIZE + 32];
	pid_t session; /* of the last start, while no other can have its number; 0: none */
	char delegated[AG_PATH_SIZE]; /* control group of ours below which we may make some; "" */
	char group[AG_PATH_SIZE];     /* that of the last start, until it is empty; "": none */
	bool had_unseen;	      /* at the last scan */
	struct ag_inodes held;
	struct ag_pidset *alive;
	struct ag_orphans *orphans;
};

static void
find(struct ag_instance *in, struct ag_pids *pids)
{
	const char *const marks[2] = { in->marks[0], in->marks[1] };
	const struct ag_procs_also also = { ag_orphans_is, in->orphans };

	ag_procs_find(marks, in->session, &also, pids);
	if (in->group[0]) ag_cgroup_add_pids(in->group, pids);
	ag_orphans_note(in->orphans, pids);
	ag_pidset_update(in->alive, pids);
	/* An empty session's number may be given to somebody else. */
	if (pids->count == 0) in->session = 0;
	if (pids->count > 0 || !in->group[0]) return;
	ag_cgroup_remove(in->group);
	in->group[0] = '\0';
}

static unsigned
process_scan(struct ag_instance *in, char *strange, size_t size)
{
	enum ag_listener found;
	struct ag_pids pids;

	find(in, &pids);
	found = ag_foreign_listener(in->settings->host, in->settings->port, &pids, &in->held,
				    strange, size);
	/* Seen twice, it is no process of ours in its last moment. */
	if (found == AG_LISTENER_UNSEEN && !in->had_unseen) strange[0] = '\0';
	in->had_unseen = found == AG_LISTENER_UNSEEN;
	if (!strange[0]) (void)ag_strangers_find(in->settings, &pids, strange, size);
	return pids.count;
}

/* What was started last, as "pid start-time boot group". Not synced: when the machine ends,
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
	ok = file && fprintf(file, "%d %" PRIu64 " %s ", (int)pid, ag_procs_born(pid), boot) > 0 &&
	     fprintf(file, "%s\n", in->group[0] ? in->group : "-") > 0 && fflush(file) == 0 &&
	     rename(fresh, path) == 0;
	if (!ok) fm_log(FM_LOG_WARNING, "session is not written", "path=%s", path);
}

static void
read_session(struct ag_instance *in)
{
	char path[AG_PATH_SIZE + 24], found[BOOT_SIZE], boot[BOOT_SIZE], group[AG_PATH_SIZE];
	_cleanup_fclose_ FILE *file = NULL;
	uint64_t born;
	int pid;

	(void)FM_FORMAT(path, "%s/" SESSION_FILE, in->settings->state_dir);
	file = fopen(path, "re");
	if (!file || fscanf(file, "%d %" SCNu64 " %39s", &pid, &born, found) != 3) return;
	ag_procs_boot(boot, sizeof(boot));
	if (strcmp(found, boot) != 0) return;
	/* The same number on another day is somebody else. */
	if (born && ag_procs_born(pid) == born) in->session = pid;
	if (fscanf(file, " %1023s", group) == 1 && group[0] == '/') (void)FM_COPY(in->group, group);
}

/* Only below a service's own group: there systemd leaves them alone if it was told so (Delegate=). */
static void
find_delegated(struct ag_instance *in)
{
	char group[AG_PATH_SIZE];
	size_t len;

	ag_cgroup_of(getpid(), group, sizeof(group));
	len = strlen(group);
	if (len > 8 && strcmp(group + len - 8, ".service") == 0) FM_COPY(in->delegated, group);
}

/* For one life of the application. Without one it is found and ended all the same, by its session and
 * its marks. */
static void
make_group(struct ag_instance *in)
{
	struct fm_err err;

	in->group[0] = '\0';
	if (!in->delegated[0] ||
	    !FM_FORMAT(in->group, "%s/app-%s", in->delegated, in->settings->node))
		return;
	if (ag_cgroup_make(in->group, &err) == 0) return;
	fm_log(FM_LOG_WARNING, "no control group", "why=\"%s\"", err.text);
	in->group[0] = in->delegated[0] = '\0';
	ag_orphans_claim();
}

static bool
process_releases(struct ag_instance *in, struct ag_disk *ret)
{
	ag_disk_scan(in->settings->root, ret);
	return true;
}

static struct ag_instance *
process_open(struct event_base *base, const struct ag_settings *settings,
	     void (*changed)(void *arg), void *arg)
{
	struct ag_instance *in = fm_new(struct ag_instance, 1);

	in->settings = settings;
	in->changed = changed;
	in->arg = arg;
	ag_launch_marks(settings, in->marks);
	read_session(in);
	find_delegated(in);
	if (!in->delegated[0]) ag_orphans_claim();
	in->alive = ag_pidset_new(base, changed, arg);
	in->orphans = ag_orphans_new(base, settings, in->alive);
	return in;
}

static void
process_close(struct ag_instance *in)
{
	if (!in) return;
	ag_orphans_free(in->orphans);
	ag_pidset_free(in->alive);
	free(in);
}

static int
process_start(struct ag_instance *in, const char *release, enum fm_start_mode mode,
	      struct fm_err *err)
{
	pid_t pid;

	make_group(in);
	pid = ag_launch(in->settings, in->marks, release, mode, in->group, err);
	if (pid < 0) return -1;
	in->session = pid;
	ag_pidset_add(in->alive, pid);
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
	ag_pidset_send(in->alive, signal);
}

static void
process_signal(struct ag_instance *in, enum ag_signal signal)
{
	fm_log(FM_LOG_NOTICE, "application is told to end", "signal=%s processes=%u",
	       signal == AG_TERM ? "TERM" : "KILL", ag_pidset_count(in->alive));
	if (signal == AG_TERM) {
		send_all(in, SIGTERM);
		return;
	}
	for (int i = 0; i < KILL_ROUNDS; i++) {
		if (in->group[0]) (void)ag_cgroup_kill(in->group);
		if (in->session > 0) (void)kill(-in->session, SIGKILL);
		send_all(in, SIGKILL);
	}
	/* The rounds above have seen some end, and forgot them. */
	in->changed(in->arg);
}

static bool
process_use(struct ag_instance *in, struct ag_use *ret)
{
	return ag_alive_use(in->alive, in->group, ret);
}

const struct ag_runtime ag_runtime_process = {
	.name = "process",
	.writes_log = true,
	.open = process_open,
	.close = process_close,
	.start = process_start,
	.signal = process_signal,
	.scan = process_scan,
	.use = process_use,
	.releases = process_releases,
	.check = ag_folder_check,
	.fetch = ag_folder_fetch,
	.link = ag_folder_link,
	.sweep = ag_folder_sweep,
};
