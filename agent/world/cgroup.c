#include "agent/world/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/settings.h"
#include "base/cleanup.h"
#include "base/text.h"

#define DEPTH_MAX 8 /* a delegated group may have groups of its own; nobody nests deeper */

static void
close_dirp(DIR **dir)
{
	if (*dir) (void)closedir(*dir);
}

/* Where cgroup v2 lies: alone, or beside v1. */
static const char *
root(void)
{
	static const char *const roots[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
	char path[64];

	for (size_t i = 0; i < sizeof(roots) / sizeof(*roots); i++) {
		(void)FM_FORMAT(path, "%s/cgroup.controllers", roots[i]);
		if (access(path, F_OK) == 0) return roots[i];
	}
	return NULL;
}

static bool
path_of(const char *group, const char *file, char *dst, size_t size)
{
	const char *at = root();

	return at && group[0] == '/' && fm_format(dst, size, "%s%s/%s", at, group, file);
}

static void
add_below(const char *folder, unsigned depth, struct ag_pids *ret)
{
	char path[2 * AG_PATH_SIZE];
	_cleanup_fclose_ FILE *procs = NULL;
	_cleanup_(close_dirp) DIR *dir = NULL;
	const struct dirent *entry;
	int pid;

	(void)FM_FORMAT(path, "%s/cgroup.procs", folder);
	procs = fopen(path, "re");
	/* 0: of a process that our own pid namespace does not show. */
	while (procs && fscanf(procs, "%d", &pid) == 1)
		if (pid > 0 && pid != getpid()) ag_pids_add(ret, pid);
	if (depth == DEPTH_MAX) return;
	dir = opendir(folder);
	while (dir && (entry = readdir(dir)))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.' &&
		    FM_FORMAT(path, "%s/%s", folder, entry->d_name))
			add_below(path, depth + 1, ret);
}

void
ag_cgroup_add_pids(const char *group, struct ag_pids *ret)
{
	char folder[AG_PATH_SIZE];

	if (path_of(group, "", folder, sizeof(folder))) add_below(folder, 0, ret);
}

static int
write_file(const char *group, const char *file, const char *text)
{
	char path[AG_PATH_SIZE];
	_cleanup_close_ int fd = -1;

	if (!path_of(group, file, path, sizeof(path))) {
		errno = ENOENT;
		return -1;
	}
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd >= 0 && write(fd, text, strlen(text)) >= 0 ? 0 : -1;
}

bool
ag_cgroup_kill(const char *group)
{
	return write_file(group, "cgroup.kill", "1") == 0;
}

static uint64_t
read_number(const char *group, const char *file, const char *key)
{
	char path[AG_PATH_SIZE], line[128];
	_cleanup_fclose_ FILE *in = NULL;
	size_t len = strlen(key);
	unsigned long long value;

	if (path_of(group, file, path, sizeof(path))) in = fopen(path, "re");
	while (in && fgets(line, sizeof(line), in))
		if (strncmp(line, key, len) == 0 && sscanf(line + len, "%llu", &value) == 1)
			return value;
	return 0;
}

bool
ag_cgroup_use(const char *group, struct ag_cgroup_use *ret)
{
	char path[AG_PATH_SIZE];

	*ret = (struct ag_cgroup_use){ .memory_bytes = 0 };
	if (!path_of(group, "cgroup.procs", path, sizeof(path)) || access(path, F_OK) < 0)
		return false;
	ret->memory_bytes = read_number(group, "memory.current", "");
	ret->cpu_us = read_number(group, "cpu.stat", "usage_usec ");
	return true;
}

void
ag_cgroup_of(pid_t pid, char *dst, size_t size)
{
	char line[AG_PATH_SIZE];
	_cleanup_fclose_ FILE *file = NULL;

	(void)FM_FORMAT(line, "/proc/%d/cgroup", (int)pid);
	file = fopen(line, "re");
	dst[0] = '\0';
	while (file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, "0::", 3) != 0) continue;
		line[strcspn(line, "\n")] = '\0';
		(void)fm_copy(dst, size, line + 3);
	}
}

int
ag_cgroup_make(const char *group, struct fm_err *err)
{
	char folder[AG_PATH_SIZE];

	if (!path_of(group, "", folder, sizeof(folder)))
		return fm_fail(err, FM_ERR_IO, 0, "there is no cgroup v2 here");
	if (mkdir(folder, 0755) < 0 && errno != EEXIST)
		return fm_fail(err, FM_ERR_IO, errno, "make %s", folder);
	return 0;
}

static void
remove_below(const char *folder, unsigned depth)
{
	_cleanup_(close_dirp) DIR *dir = depth < DEPTH_MAX ? opendir(folder) : NULL;
	const struct dirent *entry;
	char path[2 * AG_PATH_SIZE];

	while (dir && (entry = readdir(dir)))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.' &&
		    FM_FORMAT(path, "%s/%s", folder, entry->d_name))
			remove_below(path, depth + 1);
	(void)rmdir(folder);
}

void
ag_cgroup_remove(const char *group)
{
	char folder[AG_PATH_SIZE];

	if (path_of(group, "", folder, sizeof(folder))) remove_below(folder, 0);
}

int
ag_cgroup_enter(const char *group, pid_t pid)
{
	char text[16];

	(void)FM_FORMAT(text, "%d", (int)pid);
	return write_file(group, "cgroup.procs", text);
}
