#include "agent/work/work.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "agent/runtimes/runtime.h"
#include "agent/work/facts.h"
#include "agent/work/hook.h"
#include "agent/work/say.h"
#include "agent/work/storage.h"
#include "base/text.h"

#define LOCK_TRIES 100
#define LOCK_PAUSE_MS 50

/* The group of work that an earlier agent left behind; 0: nobody wrote one. */
static pid_t
holder_of(int fd)
{
	char text[32] = "";
	unsigned long long pid;

	if (pread(fd, text, sizeof(text) - 1, 0) <= 0) return 0;
	return fm_parse_u64(text, 2, INT32_MAX, &pid) ? (pid_t)pid : 0;
}

/* The agent that ordered it is gone, and its child too; what the child had started may live. All of
 * it holds the lock, so while the lock is held its group's number is nobody else's. */
static int
lock(const struct ag_settings *s, const char *name, struct fm_err *err)
{
	const struct timespec pause = { 0, LOCK_PAUSE_MS * 1000000L };
	char path[AG_PATH_SIZE + 16], text[32];
	int fd;

	(void)FM_FORMAT(path, "%s/%s", s->state_dir, name);
	/* Not closed at exec: everybody we start holds it. */
	fd = open(path, O_RDWR | O_CREAT, 0600);
	if (fd < 0) return fm_fail(err, FM_ERR_IO, errno, "open %s", path);
	for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
		pid_t group = holder_of(fd);

		if (i == LOCK_TRIES || (errno != EWOULDBLOCK && errno != EINTR))
			return fm_fail(err, FM_ERR_IO, errno, "lock %s", path);
		if (group > 1) (void)kill(-group, SIGKILL);
		(void)nanosleep(&pause, NULL);
	}
	(void)FM_FORMAT(text, "%d", (int)getpgrp());
	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, strlen(text), 0) < 0)
		return fm_fail(err, FM_ERR_IO, errno, "write %s", path);
	return 0;
}

static int
run_fetch(const struct ag_settings *s, int argc, char **argv, struct ag_done *ret,
	  struct fm_err *err)
{
	(void)argc;
	return ag_runtime_of(s)->fetch(s, argv[0], ret, err);
}

static int
run_link(const struct ag_settings *s, int argc, char **argv, struct ag_done *ret,
	 struct fm_err *err)
{
	(void)argc;
	return ag_runtime_of(s)->link(s, argv[0], ret, err);
}

static int
run_snapshot(const struct ag_settings *s, int argc, char **argv, struct ag_done *ret,
	     struct fm_err *err)
{
	(void)argc;
	return ag_work_snapshot(s, argv[0], ret, err);
}

static int
run_restore(const struct ag_settings *s, int argc, char **argv, struct ag_done *ret,
	    struct fm_err *err)
{
	(void)argc;
	return ag_work_restore(s, argv[0], argv[1], ret, err);
}

static int
run_sweep(const struct ag_settings *s, int argc, char **argv, struct ag_done *ret,
	  struct fm_err *err)
{
	(void)argc;
	if (ag_runtime_of(s)->sweep(s, (const char *const *)(argv + 1), ret, err) < 0) return -1;
	return ag_storage_sweep(s, argv[0], err);
}

static int
run_facts(const struct ag_settings *s, int argc, char **argv, struct ag_done *ret,
	  struct fm_err *err)
{
	(void)argc;
	(void)argv;
	return ag_work_facts(s, ret, err);
}

/* Beside other work: its own lock ends what an earlier agent's hook left in its group. What a hook has
 * put elsewhere may go on, and holds up nobody. */
static int
run_hook(const struct ag_settings *s, int argc, char **argv, struct ag_done *ret,
	 struct fm_err *err)
{
	enum ag_hook hook = ag_hook_find(argv[0]);

	(void)argc;
	if (hook == AG_HOOK_NONE)
		return fm_fail(err, FM_ERR_CONFIG, 0, "there is no hook %s", argv[0]);
	if (lock(s, "hook.lock", err) < 0) ag_work_say("%s", err->text);
	return ag_hook_run(s, hook, argv[1], argv[2], ret, err);
}

static const struct {
	const char *kind;
	int min;     /* arguments */
	bool beside; /* other work: it changes nothing, or has a lock of its own */
	int (*run)(const struct ag_settings *s, int argc, char **argv, struct ag_done *ret,
		   struct fm_err *err);
} kinds[] = {
	{ "fetch", 1, false, run_fetch },	{ "link", 1, false, run_link },
	{ "snapshot", 1, false, run_snapshot }, { "restore", 2, false, run_restore },
	{ "sweep", 2, false, run_sweep },	{ "facts", 0, true, run_facts },
	{ "hook", 3, true, run_hook },
};

static int
run(const struct ag_settings *s, int argc, char **argv, struct ag_done *ret, struct fm_err *err)
{
	const struct ag_runtime *runtime = ag_runtime_of(s);

	/* Beside other work: a start does not wait for a fetch. Its locks are the runtime's own. */
	if (argc > 1 && strcmp(argv[0], AG_WORK_RUNTIME) == 0 && runtime->work)
		return runtime->work(s, argc - 1, argv + 1, ret, err);
	for (size_t i = 0; argc > 0 && i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (strcmp(argv[0], kinds[i].kind) != 0 || argc - 1 < kinds[i].min) continue;
		for (int k = 1; k < argc; k++)
			if (argv[k][0] && !fm_is_name(argv[k], FM_NAME_SIZE))
				return fm_fail(err, FM_ERR_CONFIG, 0, "\"%s\" is no name", argv[k]);
		if (!kinds[i].beside && lock(s, "work.lock", err) < 0) return -1;
		return kinds[i].run(s, argc - 1, argv + 1, ret, err);
	}
	return fm_fail(err, FM_ERR_CONFIG, 0, "no such work");
}

int
ag_work_main(struct ag_settings *s, int argc, char **argv)
{
	const struct ag_runtime *runtime = ag_runtime_of(s);
	struct ag_done done = { .bytes = 0 };
	struct fm_err err;

	/* An operator's command wants nothing of the runtime: it may be what brings it there. */
	bool is_plain = !runtime->prepare || (argc > 0 && strcmp(argv[0], "hook") == 0);

	if ((is_plain || runtime->prepare(s, &err) == 0) && run(s, argc, argv, &done, &err) == 0) {
		(void)printf("done %llu %s\n", (unsigned long long)done.bytes, done.text);
		return fflush(stdout) == 0 ? 0 : 1;
	}
	for (char *at = err.text; *at; at++)
		if ((unsigned char)*at < 0x20) *at = ' ';
	(void)printf("failed %s\n", err.text);
	(void)fflush(stdout);
	return 1;
}
