#include "base/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int
fm_lock(int fd)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(fd, F_SETLK, &whole) == 0) return 0;
	if (errno == EACCES) errno = EWOULDBLOCK; /* either may be said */
	return -1;
}

bool
fm_is_locked(int fd)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	return fcntl(fd, F_GETLK, &whole) == 0 && whole.l_type != F_UNLCK;
}
