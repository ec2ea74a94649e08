/* restore.c - the storage as it is in a snapshot. Each part is made beside the storage first, then
 * swapped in by two renames; what was replaced is kept until the next sweep:
 *   <storage>/.fermata-new/<part>            what will be
 *   <storage>/.fermata-replaced/<id>.<serial>/<part>  what was
 * Killed between any two of these steps it is begun anew, and loses nothing: what was is moved away
 * once only, by the first try. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/work/storage.h"
#include "agent/work/tree.h"
#include "agent/world/disk.h"
#include "base/text.h"

struct restoring {
	char snapshot[2 * AG_PATH_SIZE];
	char storage[AG_PATH_SIZE];
	char fresh[2 * AG_PATH_SIZE];
	char replaced[2 * AG_PATH_SIZE];
};

static bool
exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static int
make_folder(const char *path, struct fm_err *err)
{
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return fm_fail(err, FM_ERR_IO, errno, "make %s", path);
	return 0;
}

static int
make_fresh(const struct restoring *r, struct fm_err *err)
{
	char from[3 * AG_PATH_SIZE], to[3 * AG_PATH_SIZE];

	if (ag_tree_remove(r->fresh, err) < 0 || make_folder(r->fresh, err) < 0) return -1;
	for (const struct ag_part *part = ag_parts; part->name; part++) {
		(void)FM_FORMAT(from, "%s/storage/%s", r->snapshot, part->name);
		(void)FM_FORMAT(to, "%s/%s", r->fresh, part->name);
		if (!exists(from)) continue;
		ag_work_say("copying %s", part->name);
		if (ag_tree_copy(from, to, part->is_written_once, NULL, NULL, err) < 0) return -1;
	}
	return ag_disk_sync(r->fresh, err);
}

static int
move(const char *from, const char *to, struct fm_err *err)
{
	if (rename(from, to) < 0)
		return fm_fail(err, FM_ERR_IO, errno, "rename %s to %s", from, to);
	return 0;
}

static int
swap_part(const struct restoring *r, const char *name, struct fm_err *err)
{
	char live[3 * AG_PATH_SIZE], fresh[3 * AG_PATH_SIZE], old[3 * AG_PATH_SIZE];

	(void)FM_FORMAT(live, "%s/%s", r->storage, name);
	(void)FM_FORMAT(fresh, "%s/%s", r->fresh, name);
	(void)FM_FORMAT(old, "%s/%s", r->replaced, name);
	if (exists(live)) {
		/* An earlier try has moved the original already: this is that try's copy. */
		if (exists(old) && ag_tree_remove(live, err) < 0) return -1;
		if (!exists(old) && move(live, old, err) < 0) return -1;
	}
	return exists(fresh) ? move(fresh, live, err) : 0;
}

int
ag_work_restore(const struct ag_settings *s, const char *id, const char *serial,
		struct ag_done *ret, struct fm_err *err)
{
	struct restoring r;
	char folder[2 * AG_PATH_SIZE];

	(void)FM_COPY(r.storage, s->storage);
	(void)FM_FORMAT(r.snapshot, "%s/%s", s->snapshots, id);
	(void)FM_FORMAT(r.fresh, "%s/" AG_STORAGE_NEW, s->storage);
	(void)FM_FORMAT(folder, "%s/" AG_STORAGE_REPLACED, s->storage);
	(void)FM_FORMAT(r.replaced, "%s/" AG_STORAGE_REPLACED "/%s.%s", s->storage, id, serial);
	if (ag_snapshot_verify(r.snapshot, id, &ret->bytes, err) < 0) return -1;
	if (make_fresh(&r, err) < 0 || make_folder(folder, err) < 0 ||
	    make_folder(r.replaced, err) < 0)
		return -1;
	for (const struct ag_part *part = ag_parts; part->name; part++)
		if (swap_part(&r, part->name, err) < 0) return -1;
	if (ag_disk_sync(r.replaced, err) < 0 || ag_disk_sync(s->storage, err) < 0) return -1;
	return ag_tree_remove(r.fresh, err);
}
