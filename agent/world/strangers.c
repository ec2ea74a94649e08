#include "agent/world/strangers.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"

#define TITLE_SIZE 512
#define ANCESTORS_MOST 8

/* nocobase: pm2 renames itself: "PM2 v6.0.5: God Daemon (/srv/nocobase/storage/.pm2)". */
#define PM2_TITLE "PM2 v"
#define PM2_DAEMON "God Daemon ("

struct search {
	const struct ag_settings *settings;
	const struct ag_pids *ours;
	char releases[AG_PATH_SIZE + 16];
	char program[64];
	char *who;
	size_t size;
};

static bool
link_of(pid_t pid, const char *name, char *dst, size_t size)
{
	char path[64];
	ssize_t len;

	(void)FM_FORMAT(path, "/proc/%d/%s", (int)pid, name);
	len = readlink(path, dst, size - 1);
	dst[len > 0 ? len : 0] = '\0';
	return len > 0;
}

static const char *
base_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Is path the folder, or below it? */
static bool
is_below(const char *path, const char *folder)
{
	size_t len = strlen(folder);

	return len > 1 && strncmp(path, folder, len) == 0 && (path[len] == '/' || !path[len]);
}

/* The program's own name may be followed by its version: python3 is python3.11. */
static bool
runs_program(const struct search *s, pid_t pid)
{
	char exe[AG_PATH_SIZE];

	if (!link_of(pid, "exe", exe, sizeof(exe))) return false;
	if (strncmp(base_of(exe), "node", 4) == 0) return true;
	return s->program[0] && strncmp(base_of(exe), s->program, strlen(s->program)) == 0;
}

/* In a release that is complete or was: a fetch works in a folder whose name begins with a dot. */
static bool
works_in_release(const struct search *s, pid_t pid, char *cwd, size_t size)
{
	size_t len = strlen(s->releases);

	if (!link_of(pid, "cwd", cwd, size) || !is_below(cwd, s->releases)) return false;
	return cwd[len] == '/' && cwd[len + 1] != '.';
}

static bool
is_ours(const struct search *s, pid_t pid)
{
	for (unsigned i = 0; i < s->ours->count; i++)
		if (s->ours->pids[i] == pid) return true;
	return pid == getpid();
}

/* The home of a pm2 daemon; false: it is none. */
static bool
pm2_home(pid_t pid, char *dst, size_t size)
{
	char title[TITLE_SIZE];
	const char *at;

	if (!ag_procs_title(pid, title, sizeof(title))) return false;
	if (strncmp(title, PM2_TITLE, strlen(PM2_TITLE)) != 0) return false;
	at = strstr(title, PM2_DAEMON);
	if (!at) return false;
	at += strlen(PM2_DAEMON);
	(void)fm_format(dst, size, "%.*s", (int)strcspn(at, ")"), at);
	return true;
}

static bool
is_our_pm2(const struct search *s, const char *home)
{
	const struct ag_settings *set = s->settings;

	return is_below(home, set->root) || is_below(home, set->storage) ||
	       is_below(home, set->node_dir);
}

static void
name_pm2(const struct search *s, pid_t pid, const char *home)
{
	(void)fm_append(s->who, s->size,
			"pm2 (process %d) would start the application behind our "
			"back; type: PM2_HOME=%s pm2 kill",
			(int)pid, home);
}

/* Whose parent is a pm2 comes back when it is ended. */
static void
name_keeper(const struct search *s, pid_t pid)
{
	char home[TITLE_SIZE];

	for (int i = 0; i < ANCESTORS_MOST && (pid = ag_procs_parent(pid)) > 1; i++) {
		if (!pm2_home(pid, home, sizeof(home))) continue;
		(void)fm_append(s->who, s->size, "; ");
		name_pm2(s, pid, home);
		return;
	}
}

static bool
is_stranger(const struct search *s, pid_t pid)
{
	char home[AG_PATH_SIZE], cwd[AG_PATH_SIZE];
	bool works_here;

	if (is_ours(s, pid) || !runs_program(s, pid)) return false;
	works_here = works_in_release(s, pid, cwd, sizeof(cwd)) && !ag_procs_has_agent(pid);
	if (pm2_home(pid, home, sizeof(home)) && (works_here || is_our_pm2(s, home))) {
		name_pm2(s, pid, home);
		return true;
	}
	if (!works_here) return false;
	(void)ag_procs_describe(pid, s->who, s->size);
	(void)fm_append(s->who, s->size, " works in %s and is not this agent's", cwd);
	name_keeper(s, pid);
	return true;
}

/* Its first word, without its folder. */
static void
read_program(struct search *s)
{
	char word[sizeof(s->settings->start_command)];

	(void)FM_COPY(word, s->settings->start_command);
	word[strcspn(word, " \t")] = '\0';
	(void)FM_COPY(s->program, base_of(word));
}

bool
ag_strangers_find(const struct ag_settings *settings, const struct ag_pids *ours, char *who,
		  size_t size)
{
	struct search s = { .settings = settings, .ours = ours, .who = who, .size = size };
	_cleanup_free_ char *root = realpath(settings->root, NULL);
	DIR *dir = root ? opendir("/proc") : NULL;
	const struct dirent *entry;
	bool found = false;

	who[0] = '\0';
	read_program(&s);
	(void)FM_FORMAT(s.releases, "%s/releases", root ? root : "");
	while (dir && !found && (entry = readdir(dir))) {
		if (!isdigit((unsigned char)entry->d_name[0])) continue;
		found = is_stranger(&s, (pid_t)strtol(entry->d_name, NULL, 10));
	}
	if (dir) (void)closedir(dir);
	return found;
}
