#include "loop/exec.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

void
fm_exec_reset_signals(void)
{
	struct sigaction plain = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int i = 1; i < NSIG; i++) (void)sigaction(i, &plain, NULL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

void
fm_exec_failed(int fd)
{
	if (write(fd, &errno, sizeof errno) < 0) _exit(126);
	_exit(127);
}

int
fm_exec_wait(int fd)
{
	int sys = 0;
	ssize_t n;

	do {
		n = read(fd, &sys, sizeof sys);
	} while (n < 0 && errno == EINTR);
	return n == sizeof sys ? sys : 0;
}
