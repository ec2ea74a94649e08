#include "coordinator/store/dbjob/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mono.h"
#include "base/text.h"

#define PROGRESS_MS 1000
#define ARGS_MAX 24
#define CANNOT_RUN 127

/* What a child says, as far as it matters. */
struct said {
	char text[400];
	size_t used;
};

static bool
is_runnable(const char *path)
{
	return access(path, X_OK) == 0;
}

char *
db_tool_path(const struct db_job *job, const char *name, char *dst, size_t size)
{
	static const char *const places[] = { "/usr/lib/postgresql/%d/bin/%s",
					      "/usr/pgsql-%d/bin/%s" };
	int major = PQserverVersion(job->admin.conn) / 10000;

	if (!fm_is_empty(job->order->pg_bindir)) {
		fm_format(dst, size, "%s/%s", job->order->pg_bindir, name);
		return dst;
	}
	/* Before PATH: what lies there may be a wrapper that guesses the version. */
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		fm_format(dst, size, places[i], major, name);
#pragma GCC diagnostic pop
		if (is_runnable(dst)) return dst;
	}
	fm_copy(dst, size, name);
	return dst;
}

/* In the child: every part of the admin's conninfo that has an environment variable. */
static void
set_environment(const struct db_job *job, const struct db_tool *tool)
{
	PQconninfoOption *options = PQconninfoParse(job->order->admin, NULL);

	for (PQconninfoOption *o = options; o && o->keyword; o++)
		if (o->envvar && o->val) setenv(o->envvar, o->val, 1);
	if (tool->database) setenv("PGDATABASE", tool->database, 1);
	if (tool->options) {
		char all[1000] = "";
		const char *had = getenv("PGOPTIONS");

		FM_FORMAT(all, "%s %s", had ? had : "", tool->options);
		setenv("PGOPTIONS", all, 1);
	}
	setenv("PGAPPNAME", "fermata-dbjob", 1);
	setenv("LC_ALL", "C", 1);
}

static _Noreturn void
become(const struct db_job *job, const struct db_tool *tool, const char *path, int err_fd)
{
	const char *argv[ARGS_MAX + 2] = { path };
	int out = open(tool->out ? tool->out : "/dev/null", O_WRONLY | O_CREAT | O_TRUNC, 0600);
	int in = open("/dev/null", O_RDONLY);

	for (int i = 0; i < ARGS_MAX && tool->argv[i]; i++) argv[i + 1] = tool->argv[i];
	if (out < 0 || in < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err_fd, 2) < 0)
		_exit(CANNOT_RUN);
	set_environment(job, tool);
	execvp(path, (char *const *)(void *)argv);
	dprintf(2, "cannot run %s: %s", path, strerror(errno));
	_exit(CANNOT_RUN);
}

static pid_t
start(const struct db_job *job, const struct db_tool *tool, int *ret_fd, struct fm_err *err)
{
	pid_t parent = getpid(), pid;
	char path[4096];
	int fds[2];

	db_tool_path(job, tool->name, path, sizeof path);
	if (pipe2(fds, O_CLOEXEC) < 0) return fm_fail(err, FM_ERR_IO, errno, "pipe");
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent) _exit(CANNOT_RUN);
		become(job, tool, path, fds[1]);
	}
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		return fm_fail(err, FM_ERR_IO, errno, "fork");
	}
	*ret_fd = fds[0];
	return pid;
}

static void
say_progress(struct db_job *job, const struct db_tool *tool, int64_t began)
{
	char took[32];
	struct stat st;

	fm_format_duration(took, sizeof took, fm_mono_now().ms - began);
	if (tool->watch && stat(tool->watch, &st) == 0)
		db_progress(job, "%s: %lld kB after %s", tool->says, (long long)st.st_size / 1024,
			    took);
	else
		db_progress(job, "%s for %s", tool->says, took);
}

/* Room for more: what came before the first error goes, then what came long after it. */
static void
make_room(struct said *said)
{
	size_t half = sizeof said->text / 2;
	const char *from;

	if (said->used < sizeof said->text - 1) return;
	said->text[said->used] = '\0';
	from = strstr(said->text, "error: ");
	if (!from) from = said->text + half;
	said->used -= (size_t)(from - said->text);
	memmove(said->text, from, said->used);
	if (said->used > half) said->used = half;
}

static void
tidy(struct said *said)
{
	const char *error;

	while (said->used > 0 && said->text[said->used - 1] == '\n') said->used--;
	said->text[said->used] = '\0';
	error = strstr(said->text, "error: ");
	if (error) memmove(said->text, error + 7, strlen(error + 7) + 1);
	for (char *c = said->text; *c; c++)
		if (*c == '\n') *c = ' ';
}

/* Until the child has closed its standard error. */
static void
listen_to(struct db_job *job, const struct db_tool *tool, int fd, struct said *said)
{
	int64_t began = fm_mono_now().ms;

	for (;;) {
		struct pollfd wait = { .fd = fd, .events = POLLIN };
		int ready = poll(&wait, 1, PROGRESS_MS);
		ssize_t n;

		if (ready == 0) say_progress(job, tool, began);
		if (ready <= 0) continue;
		make_room(said);
		n = read(fd, said->text + said->used, sizeof said->text - 1 - said->used);
		if (n == 0 || (n < 0 && errno != EINTR)) break;
		if (n > 0) said->used += (size_t)n;
	}
	tidy(said);
}

int
db_tool_run(struct db_job *job, const struct db_tool *tool, struct fm_err *err)
{
	_cleanup_close_ int fd = -1;
	struct said said = { .used = 0 };
	pid_t pid = start(job, tool, &fd, err);
	int status;

	if (pid < 0) return -1;
	listen_to(job, tool, fd, &said);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return fm_fail(err, FM_ERR_IO, errno, "wait for %s", tool->name);
	if (WIFSIGNALED(status))
		return fm_fail(err, FM_ERR_DATABASE, 0, "%s was ended by signal %d%s%s", tool->name,
			       WTERMSIG(status), said.used ? ": " : "", said.text);
	if (WEXITSTATUS(status) != 0)
		return fm_fail(err, FM_ERR_DATABASE, 0, "%s failed (exit code %d)%s%s", tool->name,
			       WEXITSTATUS(status), said.used ? ": " : "", said.text);
	return 0;
}

int
db_tool_major(struct db_job *job, const char *name, struct fm_err *err)
{
	static const char *const argv[] = { "--version", NULL };
	char path[] = "/tmp/fermata-version-XXXXXX";
	_cleanup_fclose_ FILE *f = NULL;
	_cleanup_close_ int fd = mkstemp(path);
	char line[200] = "";
	const char *number;
	int rc;

	if (fd < 0) {
		(void)fm_fail(err, FM_ERR_IO, errno, "make %s", path);
		return 0;
	}
	rc = db_tool_run(job,
			 &(struct db_tool){ .name = name, .argv = argv, .out = path, .says = name },
			 err);
	if (rc == 0 && read(fd, line, sizeof line - 1) <= 0) line[0] = '\0';
	unlink(path);
	if (rc < 0) return 0;
	number = strpbrk(line, "0123456789");
	if (number) return (int)strtol(number, NULL, 10);
	(void)fm_fail(err, FM_ERR_CONFIG, 0, "%s does not say its version", name);
	return 0;
}
