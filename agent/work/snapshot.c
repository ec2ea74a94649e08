/* snapshot.c - a restore point's half of the storage:
 *   <snapshots>/<id>/storage/<part>/...   env   manifest
 * made as <id>.partial and renamed when every file of the manifest has been found in it again. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/work/storage.h"
#include "agent/work/tree.h"
#include "agent/world/disk.h"
#include "base/cleanup.h"
#include "base/text.h"

#define HEAD "fermata-storage 1 "
#define SAY_EVERY 500
#define ROW_MAX 8192

/* nocobase: what a restore needs besides the database: uploads, plugin packages, the keys under
 * apps/, and the licence of commercial plugins. */
const struct ag_part ag_parts[] = {
	{ "uploads", true },   { "plugins", false }, { "apps", false },
	{ ".license", false }, { NULL, false },
};

struct taking {
	FILE *manifest;
	const char *part;
	uint64_t files, bytes;
};

/* Names may hold anything but '/' and NUL; a row must stay a row. */
static void
put_name(FILE *out, const char *name)
{
	for (; *name; name++) {
		if (*name == '%' || (unsigned char)*name < 0x20)
			(void)fprintf(out, "%%%02x", (unsigned)(unsigned char)*name);
		else
			(void)fputc(*name, out);
	}
}

static bool
take_name(const char *row, char *dst, size_t size)
{
	size_t used = 0;

	for (; *row; row++) {
		unsigned byte = (unsigned char)*row;

		if (byte == '%') {
			if (sscanf(row + 1, "%2x", &byte) != 1 || !row[1] || !row[2]) return false;
			row += 2;
		}
		if (used + 1 >= size) return false;
		dst[used++] = (char)byte;
	}
	dst[used] = '\0';
	return true;
}

static int
note_copied(void *arg, const struct ag_copied *copied, struct fm_err *err)
{
	struct taking *t = arg;

	(void)fprintf(t->manifest, "%s %" PRIu64 " ",
		      copied->is_symlink ? "symlink"
		      : copied->is_link	 ? "link"
					 : copied->sha256,
		      copied->bytes);
	put_name(t->manifest, t->part);
	(void)fputc('/', t->manifest);
	put_name(t->manifest, copied->path);
	(void)fputc('\n', t->manifest);
	t->bytes += copied->bytes;
	if (++t->files % SAY_EVERY == 0)
		ag_work_say("%" PRIu64 " files, %" PRIu64 " MiB", t->files, t->bytes >> 20);
	return ferror(t->manifest) ? fm_fail(err, FM_ERR_IO, errno, "write the manifest") : 0;
}

static int
take_parts(const struct ag_settings *s, const char *folder, struct taking *t, struct fm_err *err)
{
	char from[2 * AG_PATH_SIZE], to[2 * AG_PATH_SIZE];
	struct stat st;

	(void)FM_FORMAT(to, "%s/storage", folder);
	if (mkdir(to, 0700) < 0) return fm_fail(err, FM_ERR_IO, errno, "make %s", to);
	for (const struct ag_part *part = ag_parts; part->name; part++) {
		(void)FM_FORMAT(from, "%s/%s", s->storage, part->name);
		(void)FM_FORMAT(to, "%s/storage/%s", folder, part->name);
		if (stat(from, &st) < 0 && errno == ENOENT) continue;
		/* A part that is a link to elsewhere is copied from there. */
		if (lstat(from, &st) == 0 && S_ISLNK(st.st_mode) &&
		    !FM_FORMAT(from, "%s/%s/.", s->storage, part->name))
			return fm_fail(err, FM_ERR_LIMIT, 0, "%s: too long", from);
		t->part = part->name;
		if (ag_tree_copy(from, to, part->is_written_once, note_copied, t, err) < 0)
			return -1;
	}
	return 0;
}

static int
take_env(const struct ag_settings *s, const char *folder, struct taking *t, struct fm_err *err)
{
	struct ag_copied copied = { .path = "" };
	char to[2 * AG_PATH_SIZE];

	(void)FM_FORMAT(to, "%s/env", folder);
	if (ag_file_copy(s->env_file, to, &copied, err) < 0) return -1;
	(void)chmod(to, 0600);
	t->files++;
	t->bytes += copied.bytes;
	(void)fprintf(t->manifest, "%s %" PRIu64 " env\n", copied.sha256, copied.bytes);
	return 0;
}

static int
take(const struct ag_settings *s, const char *folder, const char *id, struct fm_err *err)
{
	char path[2 * AG_PATH_SIZE];
	struct taking t = { .manifest = NULL };
	_cleanup_fclose_ FILE *manifest = NULL;

	if (mkdir(folder, 0700) < 0) return fm_fail(err, FM_ERR_IO, errno, "make %s", folder);
	(void)FM_FORMAT(path, "%s/manifest", folder);
	t.manifest = manifest = fopen(path, "wxe");
	if (!manifest) return fm_fail(err, FM_ERR_IO, errno, "make %s", path);
	(void)fprintf(manifest, HEAD "%s\n", id);
	if (take_parts(s, folder, &t, err) < 0 || take_env(s, folder, &t, err) < 0) return -1;
	(void)fprintf(manifest, "end %" PRIu64 " %" PRIu64 "\n", t.files, t.bytes);
	if (fflush(manifest) != 0 || fdatasync(fileno(manifest)) < 0)
		return fm_fail(err, FM_ERR_IO, errno, "write %s", path);
	(void)FM_FORMAT(path, "%s/storage", folder);
	return ag_disk_sync(path, err) < 0 ? -1 : ag_disk_sync(folder, err);
}

/* ---- verify ---- */

struct verifying {
	const char *folder;
	uint64_t files, bytes;
};

static int
verify_file(const char *path, const char *kind, uint64_t bytes, struct fm_err *err)
{
	char sha256[AG_SHA256_HEX];
	uint64_t found = 0;
	struct stat st;

	if (lstat(path, &st) < 0) return fm_fail(err, FM_ERR_IO, errno, "%s", path);
	if (strcmp(kind, "symlink") == 0)
		return S_ISLNK(st.st_mode) ? 0 : fm_fail(err, FM_ERR_IO, 0, "%s is no link", path);
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != bytes)
		return fm_fail(err, FM_ERR_IO, 0, "%s has not the %" PRIu64 " bytes it had", path,
			       bytes);
	if (strcmp(kind, "link") == 0) return 0;
	if (ag_file_sha256(path, sha256, &found, err) < 0) return -1;
	if (strcmp(sha256, kind) != 0)
		return fm_fail(err, FM_ERR_IO, 0, "%s has not the contents it had", path);
	return 0;
}

static int
verify_row(struct verifying *v, char *row, struct fm_err *err)
{
	char kind[AG_SHA256_HEX], name[ROW_MAX], path[ROW_MAX + AG_PATH_SIZE];
	uint64_t bytes;
	int at = 0;

	if (sscanf(row, "%64s %" SCNu64 " %n", kind, &bytes, &at) != 2 || at == 0 ||
	    !take_name(row + at, name, sizeof(name)))
		return fm_fail(err, FM_ERR_IO, 0, "the manifest has a row that is none");
	(void)FM_FORMAT(path, "%s/%s%s", v->folder, strcmp(name, "env") == 0 ? "" : "storage/",
			name);
	v->files++;
	v->bytes += bytes;
	if (v->files % SAY_EVERY == 0) ag_work_say("%" PRIu64 " files verified", v->files);
	return verify_file(path, kind, bytes, err);
}

static int
verify_rows(struct verifying *v, FILE *manifest, const char *id, struct fm_err *err)
{
	char row[ROW_MAX], want[FM_NAME_SIZE + 32];
	uint64_t files, bytes;

	(void)FM_FORMAT(want, HEAD "%s\n", id);
	if (!fgets(row, sizeof(row), manifest) || strcmp(row, want) != 0)
		return fm_fail(err, FM_ERR_IO, 0, "the manifest is not of snapshot %s", id);
	while (fgets(row, sizeof(row), manifest)) {
		row[strcspn(row, "\n")] = '\0';
		if (sscanf(row, "end %" SCNu64 " %" SCNu64, &files, &bytes) == 2)
			/* At least the settings are in it. */
			return files > 0 && files == v->files && bytes == v->bytes
				       ? 0
				       : fm_fail(err, FM_ERR_IO, 0,
						 "the manifest's sums are wrong");
		if (verify_row(v, row, err) < 0) return -1;
	}
	return fm_fail(err, FM_ERR_IO, 0, "the manifest has no end");
}

int
ag_snapshot_verify(const char *folder, const char *id, uint64_t *ret_bytes, struct fm_err *err)
{
	struct verifying v = { .folder = folder };
	char path[2 * AG_PATH_SIZE];
	_cleanup_fclose_ FILE *manifest = NULL;

	(void)FM_FORMAT(path, "%s/manifest", folder);
	manifest = fopen(path, "re");
	if (!manifest) return fm_fail(err, FM_ERR_IO, errno, "open %s", path);
	if (verify_rows(&v, manifest, id, err) < 0) return fm_wrap(err, "snapshot %s", id);
	*ret_bytes = v.bytes;
	return 0;
}

int
ag_work_snapshot(const struct ag_settings *s, const char *id, struct ag_done *ret,
		 struct fm_err *err)
{
	char folder[2 * AG_PATH_SIZE], partial[2 * AG_PATH_SIZE];
	struct stat st;

	if (mkdir(s->snapshots, 0700) < 0 && errno != EEXIST)
		return fm_fail(err, FM_ERR_IO, errno, "make %s", s->snapshots);
	(void)FM_FORMAT(folder, "%s/%s", s->snapshots, id);
	(void)FM_FORMAT(partial, "%s/%s.partial", s->snapshots, id);
	/* Whole, from an earlier life that could not say so any more. */
	if (lstat(folder, &st) == 0) return ag_snapshot_verify(folder, id, &ret->bytes, err);
	if (ag_tree_remove(partial, err) < 0 || take(s, partial, id, err) < 0 ||
	    ag_snapshot_verify(partial, id, &ret->bytes, err) < 0)
		return -1;
	if (rename(partial, folder) < 0)
		return fm_fail(err, FM_ERR_IO, errno, "rename %s", partial);
	return ag_disk_sync(s->snapshots, err);
}
