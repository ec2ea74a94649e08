#include "agent/work/space.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "agent/work/manifest.h"
#include "base/text.h"

#define MIB (1ULL << 20)
/* nocobase 2.2.15: 1.2 GB in 97,000 files, and 1.9 GB that are downloaded once. */
#define USUAL_BYTES (1200 * MIB)
#define USUAL_FILES 97000
#define DOWNLOAD_BYTES (2000 * MIB)
#define SPARE_BYTES (256 * MIB)	 /* the old release serves meanwhile, and writes */
#define COMMAND_BYTES (64 * MIB) /* a command of the operator's may make hard links */

struct need {
	unsigned long long bytes, files;
};

char *
ag_format_bytes(char *dst, size_t size, unsigned long long bytes)
{
	if (bytes >= 1024 * MIB)
		(void)fm_format(dst, size, "%.1f GiB", (double)bytes / (1024.0 * MIB));
	else
		(void)fm_format(dst, size, "%llu MiB", bytes / MIB);
	return dst;
}

static struct need
estimate(const struct ag_settings *s, bool is_ours)
{
	char path[AG_PATH_SIZE + 16];
	struct ag_extent current;
	struct need need = { COMMAND_BYTES, 0 };
	struct stat st;

	if (!is_ours) return need;
	(void)FM_FORMAT(path, "%s/current/", s->root);
	if (!ag_extent_of(path, &current)) current = (struct ag_extent){ USUAL_BYTES, USUAL_FILES };
	need.files = current.files + current.files / 10;
	need.bytes = current.bytes + current.bytes / 10 + SPARE_BYTES;
	(void)FM_FORMAT(path, "%s/cache/yarn", s->state_dir);
	if (stat(path, &st) < 0) need.bytes += DOWNLOAD_BYTES;
	return need;
}

int
ag_space_check(const struct ag_settings *s, bool is_ours, struct fm_err *err)
{
	struct need need = estimate(s, is_ours);
	char wanted[32], there[32];
	unsigned long long free_bytes;
	struct statvfs vfs;

	if (statvfs(s->root, &vfs) < 0)
		return fm_fail(err, FM_ERR_IO, errno, "look at %s", s->root);
	free_bytes = (unsigned long long)vfs.f_bavail * vfs.f_frsize;
	if (free_bytes < need.bytes)
		return fm_fail(
			err, FM_ERR_REFUSED, 0,
			"no room: the release takes about %s and %s has %s free; make room there, "
			"or remove a release that nobody needs from %s/releases",
			ag_format_bytes(wanted, sizeof(wanted), need.bytes), s->root,
			ag_format_bytes(there, sizeof(there), free_bytes), s->root);
	/* File systems without a table of inodes say 0 of 0. */
	if (vfs.f_files > 0 && vfs.f_favail < need.files)
		return fm_fail(
			err, FM_ERR_REFUSED, 0,
			"no room: the release takes about %llu files and %s has %llu inodes free",
			need.files, s->root, (unsigned long long)vfs.f_favail);
	return 0;
}
