#include "agent/runtimes/orphans.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "loop/child.h"

#define KNOWN_FILE "application.known"
#define BOOT_SIZE 40
#define WRITE_MS 100 /* later, and once for several: a report does not wait for the disk */
#define AGAIN_MS 20 /* somebody else's dead child stands before ours; its owner buries it at once */

struct known {
	pid_t pid;
	uint64_t born;
};

struct ag_orphans {
	const struct ag_settings *settings;
	const struct ag_pidset *watched;
	struct event *died, *again, *write;
	struct list {
		unsigned count;
		struct known who[AG_PIDS_MAX];
	} known, before; /* before: children that we had at the beginning */
};

static bool
has(const struct list *list, pid_t pid, uint64_t born)
{
	for (unsigned i = 0; i < list->count; i++)
		if (list->who[i].pid == pid && list->who[i].born == born) return true;
	return false;
}

/* What is gone meanwhile is left out. */
static void
fill(struct list *list, const struct ag_pids *pids)
{
	list->count = 0;
	for (unsigned i = 0; i < pids->count; i++) {
		struct known k = { pids->pids[i], ag_procs_born(pids->pids[i]) };

		if (k.born) list->who[list->count++] = k;
	}
}

/* ---- who is known, over lives of the agent ---- */

static void
path_of(const struct ag_orphans *o, const char *suffix, char dst[AG_PATH_SIZE + 32])
{
	(void)fm_format(dst, AG_PATH_SIZE + 32, "%s/" KNOWN_FILE "%s", o->settings->state_dir,
			suffix);
}

/* A line for the boot, then one for each. Not synced: when the machine ends, so do they. */
static void
write_known(const struct ag_orphans *o)
{
	char path[AG_PATH_SIZE + 32], fresh[AG_PATH_SIZE + 32], boot[BOOT_SIZE];
	_cleanup_fclose_ FILE *file = NULL;
	bool ok;

	ag_procs_boot(boot, sizeof(boot));
	path_of(o, "", path);
	path_of(o, ".new", fresh);
	file = fopen(fresh, "we");
	ok = file && fprintf(file, "%s\n", boot) > 0;
	for (unsigned i = 0; ok && i < o->known.count; i++)
		ok = fprintf(file, "%d %" PRIu64 "\n", (int)o->known.who[i].pid,
			     o->known.who[i].born) > 0;
	ok = ok && fflush(file) == 0 && rename(fresh, path) == 0;
	if (!ok) fm_log(FM_LOG_WARNING, "processes are not written down", "path=%s", path);
}

static void
read_known(struct ag_orphans *o)
{
	char path[AG_PATH_SIZE + 32], boot[BOOT_SIZE], found[BOOT_SIZE];
	_cleanup_fclose_ FILE *file = NULL;
	uint64_t born;
	int pid;

	path_of(o, "", path);
	file = fopen(path, "re");
	ag_procs_boot(boot, sizeof(boot));
	if (!file || fscanf(file, "%39s", found) != 1 || strcmp(found, boot) != 0) return;
	while (o->known.count < AG_PIDS_MAX && fscanf(file, "%d %" SCNu64, &pid, &born) == 2)
		o->known.who[o->known.count++] = (struct known){ pid, born };
}

static void
on_write(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	write_known(arg);
}

void
ag_orphans_note(struct ag_orphans *o, const struct ag_pids *found)
{
	const struct timeval later = { 0, WRITE_MS * 1000 };
	struct list now;
	bool is_same;

	fill(&now, found);
	is_same = now.count == o->known.count;
	for (unsigned i = 0; is_same && i < now.count; i++)
		is_same = has(&o->known, now.who[i].pid, now.who[i].born);
	if (is_same) return;
	o->known = now;
	if (!event_pending(o->write, EV_TIMEOUT, NULL)) (void)event_add(o->write, &later);
}

/* ---- whose is it? ---- */

/* What a hook or a fetch has left behind says so in its environment. */
static bool
is_of_work(pid_t pid)
{
	return ag_procs_has_entry(pid, "FERMATA_HOOK=") ||
	       ag_procs_has_entry(pid, "FERMATA_RELEASE_DIR=");
}

bool
ag_orphans_is(void *orphans, pid_t pid, pid_t parent, uint64_t born)
{
	const struct ag_orphans *o = orphans;

	if (has(&o->known, pid, born)) return true;
	return parent == getpid() && !fm_child_is_known(pid) && !has(&o->before, pid, born) &&
	       !is_of_work(pid);
}

/* ---- burying ---- */

/* The first of our dead; 0: there is none. It stays as it is. */
static pid_t
first_dead(void)
{
	siginfo_t info = { .si_pid = 0 };

	if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0) return 0;
	return info.si_pid;
}

static void
bury(struct ag_orphans *o)
{
	const struct timeval again = { 0, AGAIN_MS * 1000 };
	pid_t pid;

	while ((pid = first_dead()) > 0) {
		if (fm_child_is_known(pid) || ag_pidset_has(o->watched, pid)) {
			CHECK(event_add(o->again, &again) == 0);
			return;
		}
		if (waitpid(pid, NULL, WNOHANG) != pid) return;
		fm_log(FM_LOG_DEBUG, "an orphan ended", "pid=%d", (int)pid);
	}
}

static void
on_died(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	bury(arg);
}

struct ag_orphans *
ag_orphans_new(struct event_base *base, const struct ag_settings *settings,
	       const struct ag_pidset *watched)
{
	struct ag_orphans *o = fm_new(struct ag_orphans, 1);
	struct ag_pids children;

	o->settings = settings;
	o->watched = watched;
	o->died = evsignal_new(base, SIGCHLD, on_died, o);
	o->again = evtimer_new(base, on_died, o);
	o->write = evtimer_new(base, on_write, o);
	CHECK(o->died && o->again && o->write && event_add(o->died, NULL) == 0);
	read_known(o);
	ag_procs_children(getpid(), &children);
	fill(&o->before, &children);
	event_active(o->again, 0, 0); /* who died before we listened */
	return o;
}

void
ag_orphans_free(struct ag_orphans *o)
{
	if (!o) return;
	event_free(o->died);
	event_free(o->again);
	if (event_pending(o->write, EV_TIMEOUT, NULL)) write_known(o);
	event_free(o->write);
	free(o);
}

void
ag_orphans_claim(void)
{
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		fm_log(FM_LOG_WARNING, "orphans of the application go to init", "why=\"%s\"",
		       strerror(errno));
}
