#include "agent/runtimes/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/world/cgroup.h"
#include "agent/world/dotenv.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "loop/exec.h"

#define EXTRA_ENV 16

/* ---- environment ---- */

struct env_list {
	char **list;
	size_t count, max;
};

static void
put(struct env_list *env, const char *key, const char *value)
{
	size_t key_len = strlen(key), len = key_len + strlen(value) + 2;
	char *entry = fm_new(char, len);
	size_t i;

	(void)fm_format(entry, len, "%s=%s", key, value);
	for (i = 0; i < env->count; i++)
		if (strncmp(env->list[i], entry, key_len + 1) == 0) break;
	CHECK(i < env->max);
	if (i < env->count) {
		explicit_bzero(env->list[i], strlen(env->list[i]));
		free(env->list[i]);
	} else {
		env->count++;
	}
	env->list[i] = entry;
}

static void
put_mark(struct env_list *env, const char *mark)
{
	char key[32];
	const char *equals = strchr(mark, '=');

	(void)FM_FORMAT(key, "%.*s", (int)(equals - mark), mark);
	put(env, key, equals + 1);
}

static void
put_ours(struct env_list *env, const char *name, const char *fallback)
{
	const char *value = getenv(name);

	if (value || fallback) put(env, name, value ? value : fallback);
}

static void
put_path(struct env_list *env, const char *folder)
{
	const char *path = getenv("PATH");
	size_t size;
	_cleanup_free_ char *full = NULL;

	if (!path || !path[0])
		path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	size = strlen(folder) + strlen(path) + 32;
	full = fm_new(char, size);
	(void)fm_format(full, size, "%s/node_modules/.bin:%s", folder, path);
	put(env, "PATH", full);
}

/* Two, because another agent on this host may have a node of the same name. */
void
ag_launch_marks(const struct ag_settings *s, char marks[2][AG_PATH_SIZE + 32])
{
	(void)fm_format(marks[0], sizeof(marks[0]), "FERMATA_NODE=%s", s->node);
	(void)fm_format(marks[1], sizeof(marks[1]), "FERMATA_AGENT=%s", s->state_dir);
}

char **
ag_launch_env(const struct ag_settings *s, const char marks[2][AG_PATH_SIZE + 32],
	      const char *release, struct fm_err *err)
{
	struct env_list env = { .max = AG_DOTENV_MAX + EXTRA_ENV };
	_cleanup_(ag_dotenv_done) struct ag_dotenv file;
	char path[2 * AG_PATH_SIZE];

	if (ag_dotenv_read(&file, s->env_file, err) < 0) return NULL;
	env.list = fm_new(char *, env.max + 1);
	put_ours(&env, "HOME", "/");
	put_ours(&env, "LANG", "C.UTF-8");
	put_ours(&env, "TZ", NULL);
	put_ours(&env, "USER", NULL);
	if (s->uid) put(&env, "HOME", s->home);
	if (s->uid) put(&env, "USER", s->user);
	for (size_t i = 0; i < file.count; i++) put(&env, file.keys[i], file.values[i]);
	(void)FM_FORMAT(path, "%s/releases/%s", s->root, release);
	put_path(&env, path);
	put(&env, "APP_ENV_PATH", s->env_file);
	put(&env, "STORAGE_PATH", s->storage);
	/* nocobase: every start deletes both first, another node's too if they are shared. */
	(void)FM_FORMAT(path, "%s/gateway.sock", s->node_dir);
	put(&env, "SOCKET_PATH", path);
	(void)FM_FORMAT(path, "%s/pm2", s->node_dir);
	put(&env, "PM2_HOME", path);
	put(&env, "NB_SKIP_STARTUP_UPDATE", "1");
	put_mark(&env, marks[0]);
	put_mark(&env, marks[1]);
	return env.list;
}

void
ag_launch_env_free(char **env)
{
	for (char **at = env; at && *at; at++) {
		explicit_bzero(*at, strlen(*at));
		free(*at);
	}
	free(env);
}

/* ---- output ---- */

static int
open_log(const struct ag_settings *s, struct fm_err *err)
{
	int fd = open(s->log_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);

	return fd < 0 ? fm_fail(err, FM_ERR_IO, errno, "open %s", s->log_file) : fd;
}

/* ---- fork and exec ---- */

struct launch {
	const struct ag_settings *settings;
	const char *folder, *command, *cgroup;
	char **env;
	int log, null, status[2];
};

static void
launch_done(struct launch *l)
{
	fm_closep(&l->log);
	fm_closep(&l->null);
	fm_closep(&l->status[0]);
	fm_closep(&l->status[1]);
	ag_launch_env_free(l->env);
}

static bool
become(const struct ag_settings *s)
{
	if (s->uid == 0) return true;
	return initgroups(s->user, s->gid) == 0 && setgid(s->gid) == 0 && setuid(s->uid) == 0;
}

static bool
limit(const struct ag_settings *s)
{
	const rlim_t files = (rlim_t)s->open_files;
	const struct rlimit open_files = { files, files };

	if (files && setrlimit(RLIMIT_NOFILE, &open_files) < 0) return false;
	/* An agent that stands back further itself cannot give more than it has. */
	if (getpriority(PRIO_PROCESS, 0) >= (int)s->nice) return true;
	return setpriority(PRIO_PROCESS, 0, (int)s->nice) == 0;
}

/* In the child. */
_Noreturn static void
run(const struct launch *l)
{
	char *const argv[] = { (char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c",
			       (char *)(uintptr_t)l->command, NULL };

	fm_exec_reset_signals();
	if (l->cgroup[0]) (void)ag_cgroup_enter(l->cgroup, 0);
	if (setsid() >= 0 && dup2(l->null, STDIN_FILENO) >= 0 && dup2(l->log, STDOUT_FILENO) >= 0 &&
	    dup2(l->log, STDERR_FILENO) >= 0 && limit(l->settings) && become(l->settings) &&
	    chdir(l->folder) == 0)
		(void)execve("/bin/sh", argv, l->env);
	fm_exec_failed(l->status[1]);
}

int
ag_node_dir_make(const struct ag_settings *s, const char *user, struct fm_err *err)
{
	const struct passwd *pw = user[0] ? getpwnam(user) : NULL;

	if (mkdir(s->node_dir, 0755) < 0 && errno != EEXIST)
		return fm_fail(err, FM_ERR_IO, errno, "make %s", s->node_dir);
	if (user[0] && !pw)
		return fm_fail(err, FM_ERR_CONFIG, 0, "user %s is not known here", user);
	if (pw && pw->pw_uid != geteuid() && chown(s->node_dir, pw->pw_uid, pw->pw_gid) < 0)
		return fm_fail(err, FM_ERR_IO, errno, "give %s to %s", s->node_dir, user);
	return 0;
}

pid_t
ag_launch(const struct ag_settings *s, const char marks[2][AG_PATH_SIZE + 32], const char *release,
	  enum fm_start_mode mode, const char *cgroup, struct fm_err *err)
{
	_cleanup_(launch_done) struct launch l = {
		.settings = s, .log = -1, .null = -1, .status = { -1, -1 }
	};
	char folder[2 * AG_PATH_SIZE], command[2 * AG_PATH_SIZE];
	pid_t pid;
	int sys;

	(void)FM_FORMAT(folder, "%s/releases/%s", s->root, release);
	/* exec: the command itself leads the session, not a shell. */
	(void)FM_FORMAT(command, "exec %s%s%s", s->start_command,
			mode == FM_START_MIGRATE ? " " : "",
			mode == FM_START_MIGRATE ? s->migrate_args : "");
	l.folder = folder;
	l.command = command;
	l.cgroup = cgroup;
	l.env = ag_launch_env(s, marks, release, err);
	if (!l.env || ag_node_dir_make(s, s->uid ? s->user : "", err) < 0) return -1;
	l.log = open_log(s, err);
	if (l.log < 0) return -1;
	l.null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (l.null < 0 || pipe2(l.status, O_CLOEXEC) < 0)
		return fm_fail(err, FM_ERR_IO, errno, "start %s", release);
	pid = fork();
	if (pid < 0) return fm_fail(err, FM_ERR_IO, errno, "fork");
	if (pid == 0) run(&l);
	fm_closep(&l.status[1]);
	l.status[1] = -1;
	sys = fm_exec_wait(l.status[0]);
	if (sys == 0) return pid;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) continue;
	return fm_fail(err, FM_ERR_IO, sys, "start %s", release);
}
