#include "agent/first.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"

/* Of a shell: 128 and the signal. */
static int
code_of(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

_Noreturn static void
serve(pid_t agent, const sigset_t *all)
{
	int status, number;
	pid_t pid;

	for (;;) {
		number = sigwaitinfo(all, NULL);
		if (number < 0) continue;
		if (number != SIGCHLD) (void)kill(agent, number);
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
			if (pid == agent) _exit(code_of(status));
	}
}

void
ag_first_split(void)
{
	sigset_t all, before;
	pid_t pid;

	if (getpid() != 1) return;
	(void)signal(SIGCHLD, SIG_DFL); /* ignored, they would be buried behind our back */
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid > 0) serve(pid, &all);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	if (pid < 0)
		fm_log(FM_LOG_WARNING, "the agent remains the first process", "why=\"%s\"",
		       strerror(errno));
}
