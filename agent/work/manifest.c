#include "agent/work/manifest.h"

#include <errno.h>
#include <fts.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/settings.h"
#include "agent/work/say.h"
#include "agent/work/tree.h"
#include "agent/world/disk.h"
#include "base/cleanup.h"
#include "base/text.h"

#define SPENT AG_MANIFEST ".started"
#define PATH_SIZE 4096
#define SAY_EVERY 5000 /* files */

static void
close_ftsp(FTS **fts)
{
	if (*fts) (void)fts_close(*fts);
}

static int
by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

static FTS *
open_tree(const char *folder)
{
	char *const roots[] = { (char *)(uintptr_t)folder, NULL };

	return fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
}

static int
write_row(FILE *out, const FTSENT *entry, size_t skip, struct ag_extent *ret, struct fm_err *err)
{
	char sha256[AG_SHA256_HEX];
	uint64_t bytes;

	/* A row is a line. */
	if (strchr(entry->fts_path, '\n')) return 0;
	if (ag_file_sha256(entry->fts_path, sha256, &bytes, err) < 0) return -1;
	if (fprintf(out, "%s %" PRIu64 " %s\n", sha256, bytes, entry->fts_path + skip) < 0)
		return fm_fail(err, FM_ERR_IO, errno, "write the manifest");
	ret->bytes += bytes;
	if (++ret->files % SAY_EVERY == 0)
		ag_work_say("checksums of %" PRIu64 " files", ret->files);
	return 0;
}

static int
write_rows(const char *folder, FILE *out, struct ag_extent *ret, struct fm_err *err)
{
	_cleanup_(close_ftsp) FTS *fts = open_tree(folder);
	size_t skip = strlen(folder) + 1;
	FTSENT *entry;

	errno = 0;
	while (fts && (entry = fts_read(fts))) {
		if (entry->fts_info == FTS_ERR || entry->fts_info == FTS_DNR)
			return fm_fail(err, FM_ERR_IO, entry->fts_errno, "read %s",
				       entry->fts_path);
		if (entry->fts_info != FTS_F ||
		    strncmp(entry->fts_name, AG_MANIFEST, strlen(AG_MANIFEST)) == 0)
			continue;
		if (write_row(out, entry, skip, ret, err) < 0) return -1;
	}
	return errno ? fm_fail(err, FM_ERR_IO, errno, "read %s", folder) : 0;
}

int
ag_manifest_write(const char *folder, struct ag_extent *ret, struct fm_err *err)
{
	char path[PATH_SIZE], fresh[PATH_SIZE];
	_cleanup_fclose_ FILE *out = NULL;

	*ret = (struct ag_extent){ 0, 0 };
	if (!FM_FORMAT(path, "%s/" AG_MANIFEST, folder) || !FM_FORMAT(fresh, "%s.new", path))
		return fm_fail(err, FM_ERR_LIMIT, 0, "%s: too long", folder);
	out = fopen(fresh, "we");
	if (!out) return fm_fail(err, FM_ERR_IO, errno, "open %s", fresh);
	if (write_rows(folder, out, ret, err) < 0) return -1;
	if (fprintf(out, "end %" PRIu64 " %" PRIu64 "\n", ret->files, ret->bytes) < 0 ||
	    fflush(out) != 0 || fsync(fileno(out)) < 0 || rename(fresh, path) < 0)
		return fm_fail(err, FM_ERR_IO, errno, "write %s", path);
	return ag_disk_sync(folder, err);
}

/* 1: there is another row. 0: that was the last. */
static int
check_row(const char *folder, char *row, struct fm_err *err)
{
	char path[2 * PATH_SIZE];
	uint64_t bytes, files;
	struct stat st;
	int at = 0;

	row[strcspn(row, "\n")] = '\0';
	if (sscanf(row, "end %" SCNu64 " %" SCNu64, &files, &bytes) == 2) return 0;
	if (sscanf(row, "%*64[0-9a-f] %" SCNu64 " %n", &bytes, &at) != 1 || at == 0)
		return fm_fail(err, FM_ERR_IO, 0, "%s/" AG_MANIFEST " is damaged", folder);
	(void)FM_FORMAT(path, "%s/%s", folder, row + at);
	if (lstat(path, &st) < 0) return fm_fail(err, FM_ERR_IO, errno, "%s", path);
	if ((uint64_t)st.st_size == bytes) return 1;
	return fm_fail(err, FM_ERR_IO, 0, "%s has %" PRIu64 " bytes, and had %" PRIu64, path,
		       (uint64_t)st.st_size, bytes);
}

int
ag_manifest_check(const char *folder, struct fm_err *err)
{
	char row[2 * PATH_SIZE], path[PATH_SIZE];
	_cleanup_fclose_ FILE *in = NULL;
	int r = 1;

	if (FM_FORMAT(path, "%s/" AG_MANIFEST, folder)) in = fopen(path, "re");
	if (!in) return 0;
	while (r > 0 && fgets(row, sizeof(row), in)) r = check_row(folder, row, err);
	if (r > 0) r = fm_fail(err, FM_ERR_IO, 0, "%s has no end", path);
	if (r == 0) return 0;
	return fm_wrap(err, "the release is not as it was fetched, remove %s and fetch it again",
		       folder);
}

void
ag_manifest_spend(const char *folder)
{
	char from[PATH_SIZE], to[PATH_SIZE];

	if (FM_FORMAT(from, "%s/" AG_MANIFEST, folder) && FM_FORMAT(to, "%s/" SPENT, folder))
		(void)rename(from, to);
}

/* Of its last line. */
static bool
read_end(const char *path, struct ag_extent *ret)
{
	_cleanup_fclose_ FILE *in = fopen(path, "re");
	char tail[128];
	size_t len;
	char *at;

	if (!in || fseek(in, -(long)(sizeof(tail) - 1), SEEK_END) < 0) return false;
	len = fread(tail, 1, sizeof(tail) - 1, in);
	tail[len] = '\0';
	at = strstr(tail, "\nend ");
	return at && sscanf(at, "\nend %" SCNu64 " %" SCNu64, &ret->files, &ret->bytes) == 2;
}

static bool
measure(const char *folder, struct ag_extent *ret)
{
	_cleanup_(close_ftsp) FTS *fts = open_tree(folder);
	const FTSENT *entry;

	*ret = (struct ag_extent){ 0, 0 };
	while (fts && (entry = fts_read(fts))) {
		if (entry->fts_info != FTS_F) continue;
		ret->bytes += (uint64_t)entry->fts_statp->st_blocks * 512;
		ret->files++;
	}
	return ret->files > 0;
}

bool
ag_extent_of(const char *folder, struct ag_extent *ret)
{
	static const char *const names[] = { AG_MANIFEST, SPENT };
	char path[PATH_SIZE];

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (FM_FORMAT(path, "%s/%s", folder, names[i]) && read_end(path, ret)) return true;
	return measure(folder, ret);
}
