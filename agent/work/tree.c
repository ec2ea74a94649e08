#include "agent/work/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/settings.h"
#include "base/cleanup.h"
#include "base/text.h"

#define CHUNK (256 << 10)
#define PATH_SIZE 4096

static void
close_ftsp(FTS **fts)
{
	if (*fts) (void)fts_close(*fts);
}

#define _cleanup_fts_ _cleanup_(close_ftsp)

static FTS *
open_tree(const char *path)
{
	char *const roots[] = { (char *)(uintptr_t)path, NULL };

	return fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
}

/* ---- one file ---- */

static int
write_all(int fd, const char *at, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno == EINTR) continue;
		if (n < 0) return -1;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Reads from on, counting and hashing; what was read goes to `to` when that is not -1. */
static int
pump(int from, int to, char sha256[AG_SHA256_HEX], uint64_t *ret_bytes)
{
	_cleanup_free_ char *buffer = fm_new(char, CHUNK);
	_cleanup_(ag_sha256_drop) struct ag_sha256 sha = { NULL };

	ag_sha256_init(&sha);
	*ret_bytes = 0;
	for (;;) {
		ssize_t n = read(from, buffer, CHUNK);

		if (n < 0 && errno == EINTR) continue;
		if (n < 0) return -1;
		if (n == 0) break;
		if (to >= 0 && write_all(to, buffer, (size_t)n) < 0) return -1;
		ag_sha256_add(&sha, buffer, (size_t)n);
		*ret_bytes += (uint64_t)n;
	}
	ag_sha256_hex(&sha, sha256);
	return 0;
}

static int
take_over(int fd, const struct stat *st)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };

	/* Owners can be kept by root only; a copy that we own is a copy, too. */
	if (fchown(fd, st->st_uid, st->st_gid) < 0 && geteuid() == 0) return -1;
	return fchmod(fd, st->st_mode & 07777) < 0 || futimens(fd, times) < 0 ? -1 : 0;
}

int
ag_file_sha256(const char *path, char dst[AG_SHA256_HEX], uint64_t *ret_bytes, struct fm_err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || pump(fd, -1, dst, ret_bytes) < 0)
		return fm_fail(err, FM_ERR_IO, errno, "read %s", path);
	return 0;
}

int
ag_file_copy(const char *from, const char *to, struct ag_copied *ret, struct fm_err *err)
{
	_cleanup_close_ int in = open(from, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_close_ int out = -1;
	struct stat st;
	bool is_clone;

	if (in < 0 || fstat(in, &st) < 0) return fm_fail(err, FM_ERR_IO, errno, "open %s", from);
	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (out < 0) return fm_fail(err, FM_ERR_IO, errno, "make %s", to);
	/* Where the file system can share blocks, the copy costs nothing. */
	is_clone = ioctl(out, FICLONE, in) == 0;
	if (pump(in, is_clone ? -1 : out, ret->sha256, &ret->bytes) < 0 ||
	    take_over(out, &st) < 0 || fdatasync(out) < 0)
		return fm_fail(err, FM_ERR_IO, errno, "copy %s to %s", from, to);
	return 0;
}

/* ---- a tree ---- */

struct copying {
	const char *from, *to;
	bool may_link;
	int (*each)(void *arg, const struct ag_copied *copied, struct fm_err *err);
	void *arg;
};

static int
copy_symlink(const char *from, const char *to, struct fm_err *err)
{
	char target[PATH_SIZE];
	ssize_t len = readlink(from, target, sizeof(target) - 1);

	if (len < 0) return fm_fail(err, FM_ERR_IO, errno, "read link %s", from);
	target[len] = '\0';
	if (symlink(target, to) < 0) return fm_fail(err, FM_ERR_IO, errno, "link %s", to);
	return 0;
}

static int
copy_entry(const struct copying *c, const FTSENT *entry, const char *below, const char *to,
	   struct fm_err *err)
{
	struct ag_copied copied = { .path = below, .sha256 = "-" };

	if (entry->fts_info == FTS_SL || entry->fts_info == FTS_SLNONE) {
		copied.is_symlink = true;
		if (copy_symlink(entry->fts_path, to, err) < 0) return -1;
	} else if (c->may_link && link(entry->fts_path, to) == 0) {
		copied.is_link = true;
		copied.bytes = (uint64_t)entry->fts_statp->st_size;
	} else if (ag_file_copy(entry->fts_path, to, &copied, err) < 0) {
		return -1;
	}
	return c->each ? c->each(c->arg, &copied, err) : 0;
}

static int
end_folder(const char *to, const struct stat *st, struct fm_err *err)
{
	_cleanup_close_ int fd = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || take_over(fd, st) < 0 || fsync(fd) < 0)
		return fm_fail(err, FM_ERR_IO, errno, "finish %s", to);
	return 0;
}

static int
copy_one(const struct copying *c, const FTSENT *entry, struct fm_err *err)
{
	const char *below = entry->fts_path + strlen(c->from);
	char to[PATH_SIZE];

	if (!FM_FORMAT(to, "%s%s", c->to, below))
		return fm_fail(err, FM_ERR_LIMIT, 0, "%s: the path is too long", entry->fts_path);
	below += *below == '/';
	switch (entry->fts_info) {
	case FTS_D:
		if (mkdir(to, 0700) == 0) return 0;
		return fm_fail(err, FM_ERR_IO, errno, "make %s", to);
	case FTS_DP:
		return end_folder(to, entry->fts_statp, err);
	case FTS_F:
	case FTS_SL:
	case FTS_SLNONE:
		return copy_entry(c, entry, below, to, err);
	case FTS_DEFAULT: /* a socket, a pipe */
		return 0;
	default:
		return fm_fail(err, FM_ERR_IO, entry->fts_errno, "read %s", entry->fts_path);
	}
}

int
ag_tree_copy(const char *from, const char *to, bool may_link,
	     int (*each)(void *arg, const struct ag_copied *copied, struct fm_err *err), void *arg,
	     struct fm_err *err)
{
	const struct copying c = { from, to, may_link, each, arg };
	_cleanup_fts_ FTS *fts = open_tree(from);
	const FTSENT *entry;

	if (!fts) return fm_fail(err, FM_ERR_IO, errno, "read %s", from);
	while ((errno = 0, entry = fts_read(fts)))
		if (copy_one(&c, entry, err) < 0) return -1;
	return errno ? fm_fail(err, FM_ERR_IO, errno, "read %s", from) : 0;
}

int
ag_tree_remove(const char *path, struct fm_err *err)
{
	_cleanup_fts_ FTS *fts = NULL;
	const FTSENT *entry;
	struct stat st;

	if (lstat(path, &st) < 0) {
		if (errno == ENOENT) return 0;
		return fm_fail(err, FM_ERR_IO, errno, "remove %s", path);
	}
	fts = open_tree(path);
	if (!fts) return fm_fail(err, FM_ERR_IO, errno, "remove %s", path);
	while ((errno = 0, entry = fts_read(fts))) {
		if (entry->fts_info == FTS_D) continue;
		if ((entry->fts_info == FTS_DP ? rmdir(entry->fts_path) : unlink(entry->fts_path)) <
			    0 &&
		    errno != ENOENT)
			return fm_fail(err, FM_ERR_IO, errno, "remove %s", entry->fts_path);
	}
	return errno ? fm_fail(err, FM_ERR_IO, errno, "remove %s", path) : 0;
}
