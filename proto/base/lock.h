/* lock.h - who works with a folder is alone in it: a lock of one process, which ends with it. */
#ifndef FM_BASE_LOCK_H
#define FM_BASE_LOCK_H

#include <stdbool.h>

/* Locks the file behind fd, open for writing, for this process. -1 with errno EWOULDBLOCK: another
 * process has it. A child does not inherit it: flock() would be held on by one that stands between fork and
 * exec, after we were killed, and the next of us would be refused. The other side of that: closing any descriptor
 * of this file gives it up, so a program opens the file once. */
int fm_lock(int fd);
/* Does another process have it? */
bool fm_is_locked(int fd);

#endif
