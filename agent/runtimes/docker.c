/* docker.c - the application as an existing container, spoken to over the engine's socket. What takes
 * several steps (pulling, making the container anew, starting it) is done by children of the agent; here
 * is what has to be known at once. */
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/runtimes/docker.h"
#include "agent/runtimes/docker_logs.h"
#include "agent/runtimes/docker_text.h"
#include "agent/runtimes/docker_watch.h"
#include "agent/runtimes/runtime.h"
#include "agent/world/listeners.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "loop/child.h"

#define START_LIMIT_MS 120000
#define LEARN_AGAIN_MS 30000

enum start_state { START_NONE, START_WORKS, START_TOLD };

struct ag_instance {
	struct event_base *base;
	const struct ag_settings *settings;
	void (*changed)(void *arg);
	void *arg;
	struct ag_docker_watch *watch;
	struct ag_docker_logs *logs;
	struct fm_child *child; /* one at a time: a start, or learning an image's version */
	struct event *limit, *learn;
	enum start_state start;
	char failure[FM_TEXT_SIZE]; /* of the start; "": well */
	char said[FM_TEXT_SIZE];    /* by the child, last */
	bool is_child_well;
	char learning[AG_IMAGE_ID_SIZE]; /* the image whose version is being read */
	char unreadable[FM_TEXT_SIZE];	 /* why that failed */
	char unreadable_id[AG_IMAGE_ID_SIZE];
	char logged[80]; /* id of the container whose end was logged */
	bool had_unseen; /* listener, at the last scan */
	struct ag_inodes held;
};

/* ---- children ---- */

static void
on_line(void *arg, struct fm_child *child, const char *line)
{
	struct ag_instance *in = arg;

	(void)child;
	if (strncmp(line, "failed ", 7) == 0) FM_COPY(in->said, line + 7);
	if (strncmp(line, "done ", 5) == 0) in->is_child_well = true;
}

/* The facts are those after the start. */
static void
on_renewed(void *arg)
{
	struct ag_instance *in = arg;

	if (in->start == START_WORKS && !in->child) in->start = START_TOLD;
}

static void
on_exited(void *arg, struct fm_child *child, int status)
{
	struct ag_instance *in = arg;

	(void)child;
	in->child = NULL;
	(void)event_del(in->limit);
	if (!in->is_child_well && !in->said[0]) {
		if (WIFSIGNALED(status))
			FM_FORMAT(in->said, "it was not done in time (signal %d)",
				  WTERMSIG(status));
		else
			FM_FORMAT(in->said, "its process ended with %d", WEXITSTATUS(status));
	}
	if (in->is_child_well) in->said[0] = '\0';
	if (in->start == START_WORKS) {
		FM_COPY(in->failure, in->said);
	} else {
		FM_COPY(in->unreadable, in->said);
		FM_COPY(in->unreadable_id, in->said[0] ? in->learning : "");
		if (in->said[0])
			fm_log(FM_LOG_ERROR, "version of the image cannot be told", "why=\"%s\"",
			       in->said);
	}
	in->learning[0] = '\0';
	ag_docker_watch_renew(in->watch, on_renewed);
}

static void
on_limit(evutil_socket_t fd, short what, void *arg)
{
	struct ag_instance *in = arg;

	(void)fd;
	(void)what;
	if (in->child) fm_child_kill(in->child);
}

/* program --work runtime WORDS: no secrets among them. */
static int
begin_child(struct ag_instance *in, const char *const words[3], struct fm_err *err)
{
	static const struct fm_child_calls calls = { on_line, NULL, on_exited };
	const struct ag_settings *s = in->settings;
	const char *argv[] = { s->program, "--config", s->config, "--work", AG_WORK_RUNTIME,
			       words[0],   words[1],   words[2],  NULL };
	const struct fm_child_plan plan = { .argv = argv, .dies_with_us = true, .own_group = true };
	const struct timeval limit = { START_LIMIT_MS / 1000, 0 };

	in->said[0] = '\0';
	in->is_child_well = false;
	in->child = fm_child_start(in->base, &plan, &calls, in, err);
	if (!in->child) return -1;
	(void)event_add(in->limit, &limit);
	return 0;
}

/* ---- what the engine says ---- */

static const struct ag_image *
find_image(struct ag_instance *in, struct ag_images *images)
{
	struct fm_err err;

	if (ag_images_read(in->settings, images, &err) < 0) return NULL;
	return ag_images_id(images, ag_docker_watch_facts(in->watch)->image);
}

/* An image that the agent did not fetch: that of the container as it was found. */
static void
learn(struct ag_instance *in)
{
	const struct ag_docker_facts *facts = ag_docker_watch_facts(in->watch);
	const struct timeval again = { LEARN_AGAIN_MS / 1000, 0 };
	const char *const words[3] = { "learn", "image", NULL };
	struct ag_images images;
	struct fm_err err;

	if (!facts->is_known || !facts->id[0] || in->child || find_image(in, &images)) return;
	if (fm_is_equal(in->unreadable_id, facts->image) &&
	    event_pending(in->learn, EV_TIMEOUT, NULL))
		return;
	(void)event_add(in->learn, &again);
	FM_COPY(in->learning, facts->image);
	if (begin_child(in, words, &err) < 0) {
		FM_COPY(in->unreadable, err.text);
		FM_COPY(in->unreadable_id, facts->image);
	}
}

static void
on_learn(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	learn(arg);
}

static void
on_facts(void *arg)
{
	struct ag_instance *in = arg;
	const struct ag_docker_facts *facts = ag_docker_watch_facts(in->watch);
	struct ag_engine *engine = ag_docker_watch_engine(in->watch);

	if (!engine)
		ag_docker_logs_end(in->logs);
	else if (facts->is_known && facts->is_running)
		ag_docker_logs_follow(in->logs, engine, facts->id, facts->has_terminal);
	if (facts->is_running) in->logged[0] = '\0';
	if (facts->is_known && !facts->is_running && facts->ended[0] &&
	    !fm_is_equal(in->logged, facts->id)) {
		FM_COPY(in->logged, facts->id);
		fm_log(FM_LOG_NOTICE, "container does not run", "container=%s %s", facts->name,
		       facts->ended);
	}
	learn(in);
	in->changed(in->arg);
}

/* ---- the table ---- */

static struct ag_instance *
docker_open(struct event_base *base, const struct ag_settings *settings, void (*changed)(void *arg),
	    void *arg)
{
	struct ag_instance *in = fm_new(struct ag_instance, 1);

	in->base = base;
	in->settings = settings;
	in->changed = changed;
	in->arg = arg;
	in->limit = event_new(base, -1, 0, on_limit, in);
	in->learn = event_new(base, -1, 0, on_learn, in);
	CHECK(in->limit && in->learn);
	in->logs = ag_docker_logs_new(settings->log_file);
	in->watch = ag_docker_watch_new(base, settings, on_facts, in);
	return in;
}

static void
docker_close(struct ag_instance *in)
{
	if (!in) return;
	fm_child_drop(in->child);
	ag_docker_logs_free(in->logs);
	ag_docker_watch_free(in->watch);
	event_free(in->limit);
	event_free(in->learn);
	free(in);
}

static int
docker_start(struct ag_instance *in, const char *release, enum fm_start_mode mode,
	     struct fm_err *err)
{
	const char *const words[3] = { "start", release, fm_start_mode_name(mode) };

	if (in->child)
		return fm_fail(err, FM_ERR_REFUSED, 0, "the version of its image is being read");
	in->failure[0] = '\0';
	if (begin_child(in, words, err) < 0) return -1;
	in->start = START_WORKS;
	return 1;
}

static int
docker_started(struct ag_instance *in, struct fm_err *err)
{
	const struct ag_docker_facts *facts = ag_docker_watch_facts(in->watch);

	if (in->start == START_WORKS) return 1;
	in->start = START_NONE;
	if (in->failure[0]) return fm_fail(err, FM_ERR_REFUSED, 0, "%s", in->failure);
	fm_log(FM_LOG_NOTICE, "container started", "container=%s id=%.12s mode=%s", facts->name,
	       facts->id, facts->mode);
	return 0;
}

static void
docker_signal(struct ag_instance *in, enum ag_signal signal)
{
	const struct ag_docker_facts *facts = ag_docker_watch_facts(in->watch);

	fm_log(FM_LOG_NOTICE, "container is told to end", "container=%s signal=%s", facts->name,
	       signal == AG_TERM ? "TERM" : "KILL");
	if (signal == AG_TERM)
		ag_docker_watch_stop(in->watch, in->settings->term_ms);
	else
		ag_docker_watch_kill(in->watch);
}

/* We started one of this name already, so this one came later, from somebody else's hand. */
static bool
is_foreign(const struct ag_instance *in, const struct ag_docker_facts *facts)
{
	char path[AG_PATH_SIZE + 32];
	struct stat st;

	if (fm_is_equal(facts->node, in->settings->node)) return false;
	(void)FM_FORMAT(path, "%s/" AG_OWNED_FILE, in->settings->state_dir);
	return facts->node[0] || stat(path, &st) == 0;
}

static void
note_listener(struct ag_instance *in, char *strange, size_t size)
{
	const struct ag_pids none = { .count = 0 };
	enum ag_listener found = ag_foreign_listener(in->settings->host, in->settings->port, &none,
						     &in->held, strange, size);

	/* Seen twice, it is not the container's in its last moment. */
	if (found != AG_LISTENER_NONE && !in->had_unseen) strange[0] = '\0';
	in->had_unseen = found != AG_LISTENER_NONE;
}

static unsigned
docker_scan(struct ag_instance *in, char *strange, size_t size)
{
	const struct ag_docker_facts *facts = ag_docker_watch_facts(in->watch);

	ag_docker_watch_refresh(in->watch);
	(void)fm_copy(strange, size, facts->strange);
	if (facts->is_running && is_foreign(in, facts)) {
		(void)fm_format(
			strange, size,
			"container %s runs and was made by somebody else since (%s%s): type "
			"'docker stop %s', and it is started again if its release may be",
			facts->name, facts->node[0] ? "for node " : "docker compose up?",
			facts->node, facts->name);
		return 0;
	}
	if (facts->is_running || strange[0] || in->start != START_NONE)
		in->had_unseen = false;
	else
		note_listener(in, strange, size);
	return facts->is_running ? 1 : 0;
}

static bool
docker_is_blind(struct ag_instance *in, char *why, size_t size)
{
	const struct ag_docker_facts *facts = ag_docker_watch_facts(in->watch);
	struct ag_images images;

	(void)fm_copy(why, size, facts->why);
	if (!facts->is_known) return true;
	if (!facts->id[0] || find_image(in, &images)) return false;
	/* A guard that does not know the version has nothing to compare. */
	if (fm_is_equal(in->unreadable_id, facts->image))
		(void)fm_format(why, size, "the version of container %s cannot be told: %s",
				facts->name, in->unreadable);
	else
		(void)fm_format(why, size, "reads the version of container %s", facts->name);
	return true;
}

static bool
is_lost(const struct ag_docker_facts *facts, const char *id)
{
	for (unsigned i = 0; i < facts->lost_count; i++)
		if (strcmp(facts->lost[i], id) == 0) return true;
	return false;
}

static bool
docker_releases(struct ag_instance *in, struct ag_disk *ret)
{
	const struct ag_docker_facts *facts = ag_docker_watch_facts(in->watch);
	const struct ag_image *current;
	struct ag_images images;

	memset(ret, 0, sizeof(*ret));
	current = find_image(in, &images);
	if (!facts->is_known || !current) return false;
	FM_COPY(ret->current, current->version);
	for (unsigned i = 0; i < images.count; i++) {
		if (is_lost(facts, images.rows[i].id)) continue;
		FM_COPY(ret->releases[ret->count], images.rows[i].version);
		ret->count++;
	}
	return true;
}

static void
docker_check(struct ag_settings *s, ag_settings_fault *fault, void *arg)
{
	bool by_name = s->docker_container[0],
	     by_label = s->docker_project[0] || s->docker_service[0];
	struct fm_err err;

	if (by_name == by_label || (by_label && !(s->docker_project[0] && s->docker_service[0])))
		fault(arg, "[docker] needs container, or compose_project and compose_service");
	if (by_name && !ag_docker_is_container(s->docker_container))
		fault(arg, "[docker] container \"%s\" is no name of a container",
		      s->docker_container);
	if (by_label && (strpbrk(s->docker_project, "\"\\") || strpbrk(s->docker_service, "\"\\")))
		fault(arg, "[docker] compose_project or compose_service is no name");
	if (ag_docker_is_repository(s->docker_image, &err) < 0) fault(arg, "[docker] %s", err.text);
	if (!s->url[0])
		fault(arg, "[app] url is not set: where the container's port is published, as in "
			   "http://127.0.0.1:13000");
	/* Whose free space is told, when there are no folders of releases. */
	if (access(s->root, F_OK) < 0) (void)FM_COPY(s->root, s->state_dir);
	if (s->docker_database[0] && !strchr(s->docker_database, ':'))
		fault(arg, "[docker] database %s is not HOST:PORT", s->docker_database);
}

const struct ag_runtime ag_runtime_docker = {
	.name = "docker",
	.writes_log = true,
	.open = docker_open,
	.close = docker_close,
	.start = docker_start,
	.started = docker_started,
	.signal = docker_signal,
	.scan = docker_scan,
	.is_blind = docker_is_blind,
	.releases = docker_releases,
	.check = docker_check,
	.inspect = ag_docker_look,
	.let_go = ag_docker_let_go,
	.prepare = ag_docker_prepare,
	.work = ag_docker_work,
	.fetch = ag_docker_fetch,
	.link = ag_docker_link,
	.sweep = ag_docker_sweep,
};
