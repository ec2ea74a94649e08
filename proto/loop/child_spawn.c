#include "loop/child_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "loop/exec.h"

/* All descriptors of one start, so that whatever happens they are closed. */
struct pipes {
	int in[2], out[2], status[2];
};

static void
close_all(struct pipes *p)
{
	for (int i = 0; i < 2; i++) {
		fm_closep(&p->in[i]);
		fm_closep(&p->out[i]);
		fm_closep(&p->status[i]);
	}
}

static int
take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

static int
open_pipes(struct pipes *p, bool has_input, struct fm_err *err)
{
	bool fine = pipe2(p->out, O_CLOEXEC) == 0 && pipe2(p->status, O_CLOEXEC) == 0;

	if (fine && has_input) fine = pipe2(p->in, O_CLOEXEC) == 0;
	if (fine && !has_input) fine = (p->in[0] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;
	if (!fine) return fm_fail(err, FM_ERR_IO, errno, "pipe");
	if (fcntl(p->out[0], F_SETFL, O_NONBLOCK) < 0 ||
	    (has_input && fcntl(p->in[1], F_SETFL, O_NONBLOCK) < 0))
		return fm_fail(err, FM_ERR_IO, errno, "pipe");
	return 0;
}

static bool
become(const struct fm_child_plan *plan, pid_t parent)
{
	if (plan->own_group && setpgid(0, 0) < 0) return false;
	if (plan->gid && (setgroups(0, NULL) < 0 || setgid(plan->gid) < 0)) return false;
	if (plan->uid && setuid(plan->uid) < 0) return false;
	/* After setuid(), which would clear it. */
	if (plan->dies_with_us && prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) return false;
	if (plan->dies_with_us && getppid() != parent) _exit(127);
	return !plan->cwd || chdir(plan->cwd) == 0;
}

/* In the child, where only what is safe between fork and exec may be called. */
_Noreturn static void
run(const struct fm_child_plan *plan, const struct pipes *p, pid_t parent)
{
	fm_exec_reset_signals();
	/* A child has its three descriptors and nothing of ours, or of who started us. */
	(void)close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
	if (dup2(p->in[0], STDIN_FILENO) >= 0 && dup2(p->out[1], STDOUT_FILENO) >= 0 &&
	    (!plan->errors_too || dup2(p->out[1], STDERR_FILENO) >= 0) && become(plan, parent)) {
		char *const *argv = (char *const *)(uintptr_t)plan->argv;

		if (plan->env) environ = (char **)(uintptr_t)plan->env;
		(void)execvp(argv[0], argv);
	}
	fm_exec_failed(p->status[1]);
}

int
fm_spawn(const struct fm_child_plan *plan, struct fm_spawned *ret, struct fm_err *err)
{
	_cleanup_(close_all) struct pipes p = { { -1, -1 }, { -1, -1 }, { -1, -1 } };
	pid_t parent = getpid(), pid;
	int sys;

	if (open_pipes(&p, plan->input != NULL, err) < 0) return -1;
	pid = fork();
	if (pid < 0) return fm_fail(err, FM_ERR_IO, errno, "fork");
	if (pid == 0) run(plan, &p, parent);
	fm_closep(&p.status[1]);
	p.status[1] = -1;
	sys = fm_exec_wait(p.status[0]);
	ret->pidfd = sys ? -1 : pidfd_open(pid, 0);
	if (ret->pidfd < 0) {
		if (!sys) sys = errno;
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		return fm_fail(err, FM_ERR_IO, sys, "run %s", plan->argv[0]);
	}
	ret->pid = pid;
	ret->input = take_fd(&p.in[1]);
	ret->output = take_fd(&p.out[0]);
	return 0;
}
