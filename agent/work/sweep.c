/* sweep.c - what nobody wants any more: releases, what half-made fetches and snapshots left,
 * storage that a restore replaced, old snapshots. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/runtimes/folder.h"
#include "agent/work/say.h"
#include "agent/work/storage.h"
#include "agent/work/tree.h"
#include "agent/world/disk.h"
#include "base/cleanup.h"
#include "base/text.h"

#define NAMES_MAX 256

static void
close_dirp(DIR **dir)
{
	if (*dir) (void)closedir(*dir);
}

static bool
is_kept(const char *const *keep, const char *name)
{
	for (; *keep; keep++)
		if (strcmp(*keep, name) == 0) return true;
	return false;
}

static int
remove_below(const char *folder, const char *name, struct fm_err *err)
{
	char path[3 * AG_PATH_SIZE];

	if (!FM_FORMAT(path, "%s/%s", folder, name))
		return fm_fail(err, FM_ERR_LIMIT, 0, "%s/%s: too long", folder, name);
	return ag_tree_remove(path, err);
}

/* A folder whose name is no version is not ours. */
int
ag_folder_sweep(const struct ag_settings *s, const char *const *keep, struct ag_done *ret,
		struct fm_err *err)
{
	char folder[2 * AG_PATH_SIZE];
	_cleanup_(close_dirp) DIR *dir = NULL;
	const struct dirent *entry;
	struct ag_disk disk;

	ag_disk_scan(s->root, &disk);
	(void)FM_FORMAT(folder, "%s/releases", s->root);
	dir = opendir(folder);
	if (!dir) return errno == ENOENT ? 0 : fm_fail(err, FM_ERR_IO, errno, "read %s", folder);
	while ((entry = readdir(dir))) {
		bool is_half = strncmp(entry->d_name, ".fetch-", 7) == 0;
		bool is_release = false;

		for (unsigned i = 0; i < disk.count; i++)
			is_release = is_release || strcmp(disk.releases[i], entry->d_name) == 0;
		if (is_release &&
		    (is_kept(keep, entry->d_name) || strcmp(entry->d_name, disk.current) == 0))
			continue;
		if (!is_half && !is_release) continue;
		ag_work_say("removing %s", entry->d_name);
		if (remove_below(folder, entry->d_name, err) < 0) return -1;
		if (is_release)
			(void)FM_APPEND(ret->text, "%s%s", ret->text[0] ? " " : "", entry->d_name);
	}
	return 0;
}

struct aged {
	char name[FM_NAME_SIZE + 16];
	struct timespec made;
};

static int
newest_first(const void *a, const void *b)
{
	const struct aged *x = a, *y = b;

	if (x->made.tv_sec != y->made.tv_sec) return x->made.tv_sec < y->made.tv_sec ? 1 : -1;
	return (x->made.tv_nsec < y->made.tv_nsec) - (x->made.tv_nsec > y->made.tv_nsec);
}

static bool
is_partial(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot && strcmp(dot, ".partial") == 0;
}

static int
sweep_snapshots(const struct ag_settings *s, const char *keep_id, struct fm_err *err)
{
	_cleanup_(close_dirp) DIR *dir = opendir(s->snapshots);
	_cleanup_free_ struct aged *found = fm_new(struct aged, NAMES_MAX);
	const struct dirent *entry;
	char path[3 * AG_PATH_SIZE];
	size_t count = 0;
	struct stat st;

	while (dir && count < NAMES_MAX && (entry = readdir(dir))) {
		if (!fm_is_name(entry->d_name, sizeof(found->name))) continue;
		if (is_partial(entry->d_name)) {
			if (remove_below(s->snapshots, entry->d_name, err) < 0) return -1;
			continue;
		}
		(void)FM_FORMAT(path, "%s/%s/manifest", s->snapshots, entry->d_name);
		if (stat(path, &st) < 0) continue;
		(void)FM_COPY(found[count].name, entry->d_name);
		found[count++].made = st.st_mtim;
	}
	qsort(found, count, sizeof(*found), newest_first);
	for (size_t i = (size_t)s->keep_snapshots; i < count; i++)
		if (strcmp(found[i].name, keep_id) != 0 &&
		    remove_below(s->snapshots, found[i].name, err) < 0)
			return -1;
	return 0;
}

int
ag_storage_sweep(const struct ag_settings *s, const char *keep_id, struct fm_err *err)
{
	if (sweep_snapshots(s, keep_id, err) < 0) return -1;
	if (remove_below(s->storage, AG_STORAGE_NEW, err) < 0) return -1;
	return remove_below(s->storage, AG_STORAGE_REPLACED, err);
}
