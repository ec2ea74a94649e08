/* hook.c - one of the operator's commands, run in a child of the agent: words without a shell, another user,
 * an environment of its own, its output into a file and its last lines to the coordinator. The limit is
 * kept by agent/world/worker.c, which ends the whole group. */
#include "agent/work/hook.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "base/environ.h"
#include "base/text.h"

#define LOG_MAX (1 << 20) /* bytes of output that are kept */
#define TAIL_SIZE 400	  /* of the end of it, for the journal */

unsigned
ag_hooks_set(const struct ag_settings *s)
{
	unsigned bits = 0;

	for (int i = AG_HOOK_NONE + 1; i < AG_HOOK_COUNT; i++)
		if (s->hooks[i][0]) bits |= AG_HOOK_BIT(i);
	return bits;
}

/* ---- as whom ---- */

static bool
become(const struct ag_settings *s)
{
	const struct ag_user *user = &s->hook_user;

	if (user->uid && (initgroups(user->name, user->gid) < 0 || setgid(user->gid) < 0 ||
			  setuid(user->uid) < 0))
		return false;
	/* After setuid(), which would clear it. */
	return prctl(PR_SET_PDEATHSIG, SIGKILL) == 0;
}

/* What root runs is root's alone to change. */
static int
check_owner(const struct ag_settings *s, const char *path, struct fm_err *err)
{
	struct stat st;

	if (s->hook_user.uid || geteuid() != 0) return 0;
	if (stat(path, &st) < 0) return fm_fail(err, FM_ERR_IO, errno, "%s", path);
	if (st.st_uid == 0 && (st.st_mode & (S_IWGRP | S_IWOTH)) == 0) return 0;
	return fm_fail(err, FM_ERR_REFUSED, 0,
		       "%s is run as root, and others than root may write to it: chown root it and "
		       "chmod go-w, or set user in [hooks]",
		       path);
}

/* Asked as the user who is to run it, by a child that has become that user. */
static int
check_access(const struct ag_settings *s, const char *path, struct fm_err *err)
{
	const char *name = s->hook_user.name[0] ? s->hook_user.name : "the agent's user";
	int status = 0;
	pid_t pid = fork();

	if (pid < 0) return fm_fail(err, FM_ERR_IO, errno, "fork");
	if (pid == 0) {
		struct stat st;

		if (!become(s)) _exit(EPERM);
		if (stat(path, &st) < 0) _exit(errno);
		if (!S_ISREG(st.st_mode)) _exit(EISDIR);
		_exit(access(path, X_OK) < 0 ? errno : 0);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
	if (!WIFEXITED(status)) return fm_fail(err, FM_ERR_IO, 0, "%s cannot be looked at", path);
	if (WEXITSTATUS(status) == EACCES)
		return fm_fail(err, FM_ERR_IO, 0, "%s is not executable for %s", path, name);
	return fm_fail(err, FM_ERR_IO, WEXITSTATUS(status), "%s, as %s", path, name);
}

static int
words_of(const struct ag_settings *s, enum ag_hook hook, struct fm_words *words, struct fm_err *err)
{
	if (fm_words_split(words, s->hooks[hook], err) < 0) return -1;
	CHECK(words->list[0]);
	if (check_owner(s, words->list[0], err) < 0) return -1;
	return check_access(s, words->list[0], err);
}

int
ag_hook_check(const struct ag_settings *s, enum ag_hook hook, struct fm_err *err)
{
	struct fm_words words;

	return words_of(s, hook, &words, err);
}

/* ---- its environment: nothing of ours, and no secret ---- */

/* "before_stop" is about the step "stop". */
static const char *
step_of(enum ag_hook hook)
{
	const char *name = strchr(ag_hook_name(hook), '_');

	return name ? name + 1 : "";
}

static void
fill(struct fm_environ *env, const struct ag_settings *s, enum ag_hook hook, const char *release,
     const char *run)
{
	fm_environ_put_common(env);
	if (s->hook_user.uid) {
		fm_environ_put(env, "HOME", s->hook_user.home);
		fm_environ_put(env, "USER", s->hook_user.name);
	} else {
		fm_environ_put_ours(env, "HOME", "/");
		fm_environ_put_ours(env, "USER", NULL);
	}
	fm_environ_put(env, "FERMATA_NODE", s->node);
	fm_environ_put(env, "FERMATA_HOOK", ag_hook_name(hook));
	fm_environ_put(env, "FERMATA_STEP", step_of(hook));
	fm_environ_put(env, "FERMATA_VERSION", release);
	fm_environ_put(env, "FERMATA_RUN", run);
	fm_environ_put(env, "FERMATA_URL", s->url);
}

/* ---- running it ---- */

struct running {
	FILE *log;
	size_t logged;
	char line[256], tail[TAIL_SIZE];
	size_t len;
};

/* The last lines, as one: a journal's entry is one line. */
static void
end_line(struct running *r)
{
	size_t used, len = strlen(r->line), drop;

	if (r->line[strspn(r->line, " \t")]) {
		ag_work_say("%s", r->line);
		used = strlen(r->tail);
		if (used + len + 4 > sizeof(r->tail)) {
			drop = used + len + 4 - sizeof(r->tail);
			/* Whole lines go, the oldest first. */
			while (drop < used && r->tail[drop] != '|') drop++;
			if (drop >= used) drop = used;
			memmove(r->tail, r->tail + drop, used - drop + 1);
			while (r->tail[0] == '|' || r->tail[0] == ' ')
				memmove(r->tail, r->tail + 1, strlen(r->tail));
		}
		(void)FM_APPEND(r->tail, "%s%s", r->tail[0] ? " | " : "", r->line);
	}
	r->len = 0;
	r->line[0] = '\0';
}

static void
take(struct running *r, const char *bytes, size_t count)
{
	size_t room = LOG_MAX - r->logged, kept = count < room ? count : room;

	if (r->log) (void)fwrite(bytes, 1, kept, r->log);
	r->logged += kept;
	for (size_t i = 0; i < count; i++) {
		unsigned char c = (unsigned char)bytes[i];

		if (c == '\n' || c == '\r' || r->len + 1 == sizeof(r->line)) end_line(r);
		if (c == '\n' || c == '\r') continue;
		r->line[r->len++] = c < 0x20 || c == 0x7f ? ' ' : (char)c;
		r->line[r->len] = '\0';
	}
}

/* Until it ends. Who it has started in the background may hold the pipe: what is in it then is all. */
static void
follow(struct running *r, int out, int ends)
{
	struct pollfd fds[2] = { { .fd = out, .events = POLLIN },
				 { .fd = ends, .events = POLLIN } };
	char bytes[4096];
	bool is_over = false;

	while (!is_over) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR) return;
		is_over = (fds[1].revents & POLLIN) != 0;
		for (int i = 0; fds[0].fd >= 0 && (i == 0 || (is_over && i < 256)); i++) {
			ssize_t n = read(out, bytes, sizeof(bytes));

			if (n > 0) take(r, bytes, (size_t)n);
			if (n == 0) fds[0].fd = -1;
			if (n <= 0) break;
		}
	}
	end_line(r);
}

_Noreturn static void
run_child(const struct ag_settings *s, const struct fm_words *words, struct fm_environ *env,
	  int out)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int sys;

	if (null >= 0 && dup2(null, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 &&
	    dup2(out, STDERR_FILENO) >= 0 && become(s) && chdir("/") == 0)
		(void)execve(words->list[0], words->list, env->list);
	sys = errno;
	(void)dprintf(STDERR_FILENO, "%s: %s\n", words->list[0], strerror(sys));
	_exit(127);
}

static int
verdict(const struct running *r, int status, const char *log, struct fm_err *err)
{
	char how[40];

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
	if (WIFSIGNALED(status))
		FM_FORMAT(how, "killed by signal %d", WTERMSIG(status));
	else
		FM_FORMAT(how, "exit %d", WEXITSTATUS(status));
	if (!r->tail[0]) return fm_fail(err, FM_ERR_IO, 0, "%s, without a word", how);
	return fm_fail(err, FM_ERR_IO, 0, "%s: %s (all of it: %s)", how, r->tail, log);
}

int
ag_hook_run(const struct ag_settings *s, enum ag_hook hook, const char *release, const char *run,
	    struct ag_done *ret, struct fm_err *err)
{
	_cleanup_(fm_environ_done) struct fm_environ env = { .count = 0 };
	_cleanup_close_ int out = -1, in = -1, ends = -1;
	struct running r = { .logged = 0 };
	char log[AG_PATH_SIZE + 64];
	struct fm_words words;
	int pipes[2], fd, status = 0;
	pid_t pid;

	if (words_of(s, hook, &words, err) < 0) return -1;
	fill(&env, s, hook, release, run);
	(void)FM_FORMAT(log, "%s/hook-%s.log", s->state_dir, ag_hook_name(hook));
	fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (pipe2(pipes, O_CLOEXEC) < 0) return fm_fail(err, FM_ERR_IO, errno, "pipe");
	in = pipes[0];
	out = pipes[1];
	if (fcntl(in, F_SETFL, O_NONBLOCK) < 0) return fm_fail(err, FM_ERR_IO, errno, "pipe");
	pid = fork();
	if (pid < 0) return fm_fail(err, FM_ERR_IO, errno, "fork");
	if (pid == 0) run_child(s, &words, &env, out);
	fm_closep(&out);
	out = -1;
	r.log = fd >= 0 ? fdopen(fd, "w") : NULL;
	ends = pidfd_open(pid, 0);
	if (ends >= 0) follow(&r, in, ends);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
	if (r.log) (void)fclose(r.log);
	(void)FM_COPY(ret->text, r.tail);
	return verdict(&r, status, log, err);
}
