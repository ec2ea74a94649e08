/* Preloaded: the wall clock of this process is off by as many seconds as the file says. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

static char path[4096];

__attribute__((constructor)) static void
remember(void)
{
	const char *from = getenv("CLOCK_FILE"); /* nginx clears the environment later */

	for (int i = 0; from != NULL && from[i] != '\0' && i < 4095; i++) path[i] = from[i];
}

int
gettimeofday(struct timeval *tv, void *tz)
{
	char text[32] = "";
	int rc = (int)syscall(SYS_gettimeofday, tv, tz), fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) return rc;
	if (read(fd, text, sizeof(text) - 1) > 0) tv->tv_sec += atoll(text);
	close(fd);
	return rc;
}
