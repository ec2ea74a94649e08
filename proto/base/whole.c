/* whole.c - small files that a reader never sees half of. */
#include "base/whole.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"

int
fm_write_whole(const char *path, mode_t mode, const char *text, struct fm_err *err)
{
	char fresh[PATH_MAX];
	_cleanup_close_ int fd = -1;
	size_t size = strlen(text);

	if (!FM_FORMAT(fresh, "%s.new", path))
		return fm_fail(err, FM_ERR_IO, ENAMETOOLONG, "write %s", path);
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	if (fd < 0) return fm_fail(err, FM_ERR_IO, errno, "open %s", fresh);
	if (write(fd, text, size) != (ssize_t)size || fsync(fd) < 0)
		return fm_fail(err, FM_ERR_IO, errno, "write %s", fresh);
	if (rename(fresh, path) < 0) return fm_fail(err, FM_ERR_IO, errno, "rename %s", fresh);
	return 0;
}
