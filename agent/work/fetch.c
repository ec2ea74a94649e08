/* fetch.c - a release from elsewhere: made in releases/.fetch-<version>/, looked at, renamed. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/runtimes/folder.h"
#include "agent/work/manifest.h"
#include "agent/work/say.h"
#include "agent/work/space.h"
#include "agent/work/tree.h"
#include "agent/world/disk.h"
#include "base/cleanup.h"
#include "base/text.h"

static const char default_script[] =
#include "fetch_script.h"
	;

#define QUIET_MS 3000

struct fetching {
	const struct ag_settings *settings;
	char folder[2 * AG_PATH_SIZE];	/* releases/.fetch-<version> */
	char release[3 * AG_PATH_SIZE]; /* what the script fills */
	char cache[2 * AG_PATH_SIZE];
	char log[2 * AG_PATH_SIZE];
	char last[300]; /* line of the script */
};

static int
give_to_user(const struct ag_settings *s, const char *path, struct fm_err *err)
{
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return fm_fail(err, FM_ERR_IO, errno, "make %s", path);
	if (s->uid && chown(path, s->uid, s->gid) < 0)
		return fm_fail(err, FM_ERR_IO, errno, "give %s to %s", path, s->user);
	return 0;
}

_Noreturn static void
run_script(const struct fetching *f, const char *version, int out)
{
	const struct ag_settings *s = f->settings;
	const char *script = s->fetch_command[0] ? s->fetch_command : default_script;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (setenv("FERMATA_VERSION", version, 1) < 0 ||
	    setenv("FERMATA_RELEASE_DIR", f->release, 1) < 0 ||
	    setenv("FERMATA_CACHE", f->cache, 1) < 0)
		_exit(126);
	if (s->uid && setenv("HOME", s->home, 1) < 0) _exit(126);
	if (dup2(out, STDOUT_FILENO) < 0 || dup2(out, STDERR_FILENO) < 0) _exit(126);
	if (s->uid && (initgroups(s->user, s->gid) < 0 || setgid(s->gid) < 0 || setuid(s->uid) < 0))
		_exit(126);
	if (chdir(f->folder) < 0) _exit(126);
	(void)execl("/bin/sh", "sh", "-c", script, (char *)NULL);
	_exit(127);
}

static unsigned long long
used_bytes(const char *folder)
{
	struct statvfs vfs;

	if (statvfs(folder, &vfs) < 0) return 0;
	return (unsigned long long)(vfs.f_blocks - vfs.f_bfree) * vfs.f_frsize;
}

/* The package managers are silent for a minute, and then warn of what is nobody's fault. */
static bool
is_noise(const char *line)
{
	static const char *const begins[] = { "warning ", "npm warn", "npm notice",
					      "Copy:", "Write:" };

	for (size_t i = 0; i < sizeof(begins) / sizeof(*begins); i++)
		if (strncmp(line, begins[i], strlen(begins[i])) == 0) return true;
	return line[strspn(line, " \t")] == '\0';
}

static void
take_line(struct fetching *f, char *line)
{
	line[strcspn(line, "\r\n")] = '\0';
	if (is_noise(line)) return;
	(void)FM_COPY(f->last, line);
	ag_work_say("%s", f->last);
}

/* Nothing was said for a while: what grew meanwhile. */
static void
say_growth(const struct fetching *f, unsigned long long before)
{
	unsigned long long now = used_bytes(f->folder);
	char text[32];

	if (now > before)
		ag_work_say("%s (%s so far)", f->last,
			    ag_format_bytes(text, sizeof(text), now - before));
}

/* To the log whole, to the coordinator the last line of it that says something. */
static void
follow(struct fetching *f, int fd)
{
	_cleanup_fclose_ FILE *log = fopen(f->log, "we");
	unsigned long long before = used_bytes(f->folder);
	struct pollfd readable = { .fd = fd, .events = POLLIN };
	_cleanup_fclose_ FILE *in = fdopen(fd, "re");
	char line[1024];

	/* Without a buffer, poll() and fgets() see the same. */
	if (in) (void)setvbuf(in, NULL, _IONBF, 0);
	while (in) {
		if (poll(&readable, 1, QUIET_MS) == 0) {
			say_growth(f, before);
			continue;
		}
		if (!fgets(line, sizeof(line), in)) break;
		if (log) (void)fputs(line, log);
		take_line(f, line);
	}
}

static int
run_and_follow(struct fetching *f, const char *version, struct fm_err *err)
{
	int out[2], status = 0;
	pid_t pid;

	if (pipe2(out, O_CLOEXEC) < 0) return fm_fail(err, FM_ERR_IO, errno, "pipe");
	pid = fork();
	if (pid < 0) return fm_fail(err, FM_ERR_IO, errno, "fork");
	if (pid == 0) run_script(f, version, out[1]);
	(void)close(out[1]);
	follow(f, out[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
	return fm_fail(err, FM_ERR_IO, 0, "%s (all of it: %s)",
		       f->last[0] ? f->last : "the fetch command failed without a word", f->log);
}

static int
check_release(const struct fetching *f, const char *version, struct fm_err *err)
{
	char found[FM_VERSION_SIZE];

	if (!ag_disk_version(f->release, found, sizeof(found)))
		return fm_fail(err, FM_ERR_IO, 0,
			       "what was fetched holds no node_modules/@nocobase/server");
	if (strcmp(found, version) != 0)
		return fm_fail(err, FM_ERR_IO, 0, "what was fetched is %s, not %s", found, version);
	return 0;
}

/* An incomplete folder of that name is no release, and stands in the way. */
static int
put_in_place(const struct fetching *f, const char *releases, const char *version,
	     struct fm_err *err)
{
	char to[3 * AG_PATH_SIZE];
	struct ag_extent extent;
	_cleanup_close_ int fd = open(releases, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)FM_FORMAT(to, "%s/%s", releases, version);
	ag_work_say("checksums");
	if (ag_manifest_write(f->release, &extent, err) < 0 || ag_tree_remove(to, err) < 0)
		return -1;
	ag_work_say("writes it to the disk");
	/* The old release serves meanwhile: there is time to have all of it on the disk. */
	if (fd < 0 || syncfs(fd) < 0) return fm_fail(err, FM_ERR_IO, errno, "sync %s", releases);
	if (rename(f->release, to) < 0)
		return fm_fail(err, FM_ERR_IO, errno, "rename %s to %s", f->release, to);
	return ag_disk_sync(releases, err);
}

int
ag_folder_fetch(const struct ag_settings *s, const char *version, struct ag_done *ret,
		struct fm_err *err)
{
	struct fetching f = { .settings = s };
	char releases[AG_PATH_SIZE + 16], there[FM_VERSION_SIZE];

	(void)FM_FORMAT(releases, "%s/releases", s->root);
	(void)FM_FORMAT(f.release, "%s/%s", releases, version);
	if (ag_disk_version(f.release, there, sizeof(there)) && strcmp(there, version) == 0)
		return 0;
	(void)FM_FORMAT(f.folder, "%s/.fetch-%s", releases, version);
	(void)FM_FORMAT(f.release, "%s/app", f.folder);
	(void)FM_FORMAT(f.cache, "%s/cache", s->state_dir);
	(void)FM_FORMAT(f.log, "%s/fetch.log", s->state_dir);
	if (mkdir(releases, 0755) < 0 && errno != EEXIST)
		return fm_fail(err, FM_ERR_IO, errno, "make %s", releases);
	if (ag_space_check(s, !s->fetch_command[0], err) < 0) return -1;
	if (ag_tree_remove(f.folder, err) < 0 || give_to_user(s, f.folder, err) < 0 ||
	    give_to_user(s, f.cache, err) < 0 || run_and_follow(&f, version, err) < 0 ||
	    check_release(&f, version, err) < 0 || put_in_place(&f, releases, version, err) < 0)
		return -1;
	ret->bytes = 0;
	return ag_tree_remove(f.folder, err);
}
