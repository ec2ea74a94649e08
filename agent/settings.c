#include "agent/settings.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent/runtimes/runtime.h"
#include "agent/work/hook.h"
#include "agent/world/dotenv.h"
#include "base/cleanup.h"
#include "base/text.h"

#define ROW(section, key, type, field, fallback, min, max, choices, secret, help) \
	{ section,                                                                \
	  key,                                                                    \
	  FM_OPT_##type,                                                          \
	  offsetof(struct ag_settings, field),                                    \
	  sizeof(((struct ag_settings *)0)->field),                               \
	  fallback,                                                               \
	  min,                                                                    \
	  max,                                                                    \
	  choices,                                                                \
	  false,                                                                  \
	  secret,                                                                 \
	  help },

const struct fm_opt ag_options[] = {
#include "agent/options.def"
	{ .section = NULL },
};
#undef ROW

struct reading {
	void (*say)(void *arg, const char *line);
	void *arg;
	const char *path;
	struct fm_err *err;
	unsigned faults;
};

__attribute__((format(printf, 2, 3))) static void
fault(void *arg, const char *fmt, ...)
{
	struct reading *r = arg;
	char text[400], line[600];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	(void)FM_FORMAT(line, "%s: %s", r->path, text);
	if (r->say) r->say(r->arg, line);
	if (r->faults++ == 0) (void)fm_fail(r->err, FM_ERR_CONFIG, 0, "%s", line);
}

static bool
beside(char *dst, size_t size, const char *folder, size_t len, const char *name)
{
	return fm_format(dst, size, "%.*s/%s", (int)len, folder, name) && access(dst, X_OK) == 0;
}

/* Beside the agent when installed; in a build folder beside the coordinator. */
static void
find_dbjob(struct ag_settings *s, struct reading *r)
{
	const char *slash = strrchr(s->program, '/');
	size_t len = slash ? (size_t)(slash - s->program) : 0;

	if (s->dbjob[0]) {
		if (access(s->dbjob, X_OK) < 0) fault(r, "dbjob %s: %s", s->dbjob, strerror(errno));
		return;
	}
	if (beside(s->dbjob, sizeof(s->dbjob), s->program, len, "fermata-dbjob")) return;
	if (beside(s->dbjob, sizeof(s->dbjob), s->program, len, "../coordinator/fermata-dbjob"))
		return;
	fault(r, "fermata-dbjob is not beside %s: set dbjob", s->program);
}

static void
find_user(struct ag_settings *s, struct reading *r)
{
	const struct passwd *pw;

	if (!s->user[0]) return;
	pw = getpwnam(s->user);
	if (!pw) {
		fault(r, "user %s is not known here", s->user);
		return;
	}
	if (pw->pw_uid == geteuid()) return;
	if (geteuid() != 0)
		fault(r, "to run the application as %s the agent must be root", s->user);
	s->uid = pw->pw_uid;
	s->gid = pw->pw_gid;
	(void)FM_COPY(s->home, pw->pw_dir);
}

static void
find_group(struct ag_settings *s, struct reading *r)
{
	const struct group *gr;

	if (!s->group[0]) return;
	gr = getgrnam(s->group);
	if (!gr)
		fault(r, "group %s is not known here", s->group);
	else if (s->uid)
		s->gid = gr->gr_gid;
	else if (gr->gr_gid != getegid())
		fault(r, "group %s goes with another user: set user, and run the agent as root",
		      s->group);
}

static void
check_open_files(const struct ag_settings *s, struct reading *r)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || s->open_files <= (long long)limit.rlim_max)
		return;
	fault(r,
	      "open_files %lld is more than the agent itself may give (%llu): raise LimitNOFILE of "
	      "its unit",
	      s->open_files, (unsigned long long)limit.rlim_max);
}

/* As the application, unless another is named. */
static void
find_hook_user(struct ag_settings *s, struct reading *r)
{
	struct ag_user *user = &s->hook_user;
	const struct passwd *pw;

	if (!s->hooks_as[0]) {
		(void)FM_COPY(user->name, s->user);
		(void)FM_COPY(user->home, s->home);
		user->uid = s->uid;
		user->gid = s->gid;
		return;
	}
	pw = getpwnam(s->hooks_as);
	if (!pw) {
		fault(r, "user %s of [hooks] is not known here", s->hooks_as);
		return;
	}
	(void)FM_COPY(user->name, s->hooks_as);
	if (pw->pw_uid == geteuid()) return;
	if (geteuid() != 0) fault(r, "to run hooks as %s the agent must be root", s->hooks_as);
	user->uid = pw->pw_uid;
	user->gid = pw->pw_gid;
	(void)FM_COPY(user->home, pw->pw_dir);
}

/* Whether the programs are there is looked up again and again, and told by `fermata doctor`: an agent that
 * does not start for a missing script would be worse. */
static void
check_hooks(struct ag_settings *s, struct reading *r)
{
	char names[sizeof(s->hooks_go_on)];
	struct fm_words words;
	struct fm_err why;
	char *rest = NULL;

	for (int i = AG_HOOK_NONE + 1; i < AG_HOOK_COUNT; i++)
		if (s->hooks[i][0] && fm_words_split(&words, s->hooks[i], &why) < 0)
			fault(r, "hook %s: %s", ag_hook_name((enum ag_hook)i), why.text);
	(void)FM_COPY(names, s->hooks_go_on);
	for (char *at = strtok_r(names, " \t,", &rest); at; at = strtok_r(NULL, " \t,", &rest)) {
		enum ag_hook hook = ag_hook_find(at);

		if (hook == AG_HOOK_NONE)
			fault(r, "go_on: there is no hook %s", at);
		else
			s->hooks_go_on_bits |= AG_HOOK_BIT(hook);
	}
	find_hook_user(s, r);
}

/* "http://host:port" with nothing behind it. */
static bool
split_url(struct ag_settings *s)
{
	const char *at = s->url, *colon;
	unsigned long long port;
	size_t len;

	if (strncmp(at, "http://", 7) != 0) return false;
	at += 7;
	colon = strrchr(at, ':');
	if (!colon || colon == at || !fm_parse_u64(colon + 1, 1, 65535, &port)) return false;
	len = (size_t)(colon - at);
	s->port = (unsigned)port;
	if (!FM_COPY(s->address, at)) return false;
	if (at[0] == '[' && colon[-1] == ']') at++, len -= 2;
	return FM_FORMAT(s->host, "%.*s", (int)len, at);
}

static void
find_url(struct ag_settings *s, const struct ag_dotenv *env)
{
	const char *host = ag_dotenv_get(env, "APP_HOST"), *port = ag_dotenv_get(env, "APP_PORT");

	/* nocobase: without APP_HOST it listens everywhere. */
	if (!host[0] || strcmp(host, "0.0.0.0") == 0) host = "127.0.0.1";
	(void)FM_FORMAT(s->url, "http://%s:%s", host, port[0] ? port : "13000");
}

static void
read_env_file(struct ag_settings *s, struct reading *r)
{
	_cleanup_(ag_dotenv_done) struct ag_dotenv env;
	struct fm_err why;

	if (ag_dotenv_read(&env, s->env_file, &why) < 0)
		fault(r, "env_file: %s", why.text);
	else if (!s->url[0])
		find_url(s, &env);
}

static void
default_path(char *dst, size_t size, const char *folder, const char *name)
{
	if (!dst[0]) (void)fm_format(dst, size, "%s/%s", folder, name);
}

static void
find_program(struct ag_settings *s)
{
	ssize_t len = readlink("/proc/self/exe", s->program, sizeof(s->program) - 1);

	s->program[len > 0 ? len : 0] = '\0';
}

int
ag_settings_read(struct ag_settings *s, const char *path, void (*say)(void *arg, const char *line),
		 void *arg, struct fm_err *err)
{
	struct reading r = { .say = say, .arg = arg, .path = path, .err = err };
	_cleanup_free_ char *absolute = realpath(path, NULL);
	memset(s, 0, sizeof(*s));
	if (fm_options_read(ag_options, s, path, NULL, say, arg, err) < 0) return -1;
	if (!FM_COPY(s->config, absolute ? absolute : path)) fault(&r, "its path is too long");
	find_program(s);
	default_path(s->node_dir, sizeof(s->node_dir), s->state_dir, "run");
	default_path(s->log_file, sizeof(s->log_file), s->state_dir, "app.log");
	default_path(s->snapshots, sizeof(s->snapshots), s->state_dir, "snapshots");
	find_dbjob(s, &r);
	find_user(s, &r);
	find_group(s, &r);
	check_open_files(s, &r);
	check_hooks(s, &r);
	ag_runtime_of(s)->check(s, fault, &r);
	if (s->env_file[0]) read_env_file(s, &r);
	default_path(s->env_file, sizeof(s->env_file), s->state_dir, "container.env");
	if (s->url[0] && !split_url(s)) fault(&r, "url %s is not http://host:port", s->url);
	return r.faults ? -1 : 0;
}

struct ag_limits
ag_settings_limits(const struct ag_settings *s)
{
	return (struct ag_limits){
		.term_ms = s->term_ms,
		.kill_ms = s->kill_ms,
		.poll_ms = s->poll_ms,
		.start_poll_ms = s->start_poll_ms,
		.stuck_ms = s->stuck_ms,
		.retry_ms = s->retry_ms,
		.start_wait_ms = s->start_wait_ms,
		.hooks = ag_hooks_set(s),
		.hooks_go_on = s->hooks_go_on_bits,
	};
}
