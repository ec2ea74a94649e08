#include <ctype.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "agent/runtimes/docker.h"
#include "agent/runtimes/docker_spec.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/text.h"

#define PATH_MAX_BYTES 3000

/* ---- names ---- */

void
ag_docker_escape(char *dst, size_t size, const char *text)
{
	for (; *text; text++) {
		bool is_plain = isalnum((unsigned char)*text) || strchr("-_.~", *text);

		(void)fm_append(dst, size, is_plain ? "%c" : "%%%02X", (unsigned char)*text);
	}
}

void
ag_docker_list_path(const struct ag_settings *s, char *dst, size_t size)
{
	char filter[1024];

	if (s->docker_container[0])
		(void)FM_FORMAT(filter, "{\"name\":[\"%s\"]}", s->docker_container);
	else
		(void)FM_FORMAT(filter,
				"{\"label\":[\"com.docker.compose.project=%s\","
				"\"com.docker.compose.service=%s\"]}",
				s->docker_project, s->docker_service);
	(void)fm_copy(dst, size, "containers/json?all=1&filters=");
	ag_docker_escape(dst, size, filter);
}

const char *
ag_docker_row_name(const json_t *row)
{
	const char *name = json_string_value(json_array_get(json_object_get(row, "Names"), 0));

	return name ? name + (*name == '/') : "";
}

const json_t *
ag_docker_row(const json_t *list, const char *name)
{
	const json_t *row;
	size_t i;

	json_array_foreach(list, i, row) if (strcmp(ag_docker_row_name(row), name) == 0) return row;
	return NULL;
}

/* "app-1-fermata-new" is of "app-1". */
static void
stem_of(const char *name, char *dst, size_t size)
{
	const char *kept = strstr(name, AG_KEPT);

	(void)fm_format(dst, size, "%.*s", kept ? (int)(kept - name) : (int)strlen(name), name);
}

int
ag_docker_name(const struct ag_settings *s, const json_t *list, char *dst, size_t size,
	       struct fm_err *err)
{
	char stem[AG_CONTAINER_NAME];
	const json_t *row;
	size_t i;

	(void)fm_copy(dst, size, s->docker_container);
	if (dst[0]) return 0;
	json_array_foreach(list, i, row)
	{
		stem_of(ag_docker_row_name(row), stem, sizeof(stem));
		if (dst[0] && strcmp(dst, stem) != 0)
			return fm_fail(err, FM_ERR_CONFIG, 0,
				       "compose made both %s and %s for service %s: a node is one "
				       "container; set [docker] container, one agent for each",
				       dst, stem, s->docker_service);
		(void)fm_copy(dst, size, stem);
	}
	if (dst[0]) return 0;
	return fm_fail(err, FM_ERR_CONFIG, 0,
		       "compose made no container for service %s of project %s yet: type 'docker "
		       "compose create %s', and Fermata starts it",
		       s->docker_service, s->docker_project, s->docker_service);
}

/* ---- calls ---- */

void
ag_json_drop(json_t **json)
{
	json_decref(*json);
	*json = NULL;
}

static int
agree(struct ag_docker *d, struct fm_err *err)
{
	const struct ag_engine_ask ask = { .method = "GET",
					   .path = "version",
					   .limit_ms = AG_ENGINE_SHORT_MS };
	struct ag_engine_answer answer = { .status = 200 };
	_cleanup_free_ char *body = NULL;

	if (ag_engine_do(d->engine, &ask, NULL, &body, err) < 0) return -1;
	answer.body = body;
	answer.len = strlen(body);
	return ag_engine_agree(d->engine, &answer, err);
}

int
ag_docker_init(struct ag_docker *d, const struct ag_settings *s, struct fm_err *err)
{
	memset(d, 0, sizeof(*d));
	d->lock = -1;
	d->settings = s;
	d->base = event_base_new();
	CHECK(d->base);
	d->engine = ag_engine_new(d->base, s->docker_socket, err);
	return d->engine ? agree(d, err) : -1;
}

void
ag_docker_done(struct ag_docker *d)
{
	ag_engine_free(d->engine);
	if (d->base) event_base_free(d->base);
	fm_closep(&d->lock);
}

int
ag_docker_lock(struct ag_docker *d, struct fm_err *err)
{
	char path[AG_PATH_SIZE + 32];

	if (d->lock >= 0) return 0;
	(void)FM_FORMAT(path, "%s/containers.lock", d->settings->state_dir);
	d->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (d->lock < 0) return fm_fail(err, FM_ERR_IO, errno, "open %s", path);
	while (flock(d->lock, LOCK_EX) < 0)
		if (errno != EINTR) return fm_fail(err, FM_ERR_IO, errno, "lock %s", path);
	return 0;
}

static json_t *
parse(const char *body, struct fm_err *err)
{
	json_t *json = json_loads(body[0] ? body : "{}", 0, NULL);

	if (!json) (void)fm_fail(err, FM_ERR_PEER, 0, "the engine's answer is not JSON");
	return json;
}

json_t *
ag_docker_get(struct ag_docker *d, long *status, struct fm_err *err, const char *path, ...)
{
	struct ag_engine_ask ask = { .method = "GET", .limit_ms = AG_ENGINE_SHORT_MS };
	char full[PATH_MAX_BYTES];
	_cleanup_free_ char *body = NULL;
	va_list args;

	va_start(args, path);
	(void)fm_format_args(full, sizeof(full), path, args);
	va_end(args);
	ask.path = full;
	return ag_engine_do(d->engine, &ask, status, &body, err) < 0 ? NULL : parse(body, err);
}

int
ag_docker_ask(struct ag_docker *d, const char *method, const json_t *body, json_t **ret,
	      struct fm_err *err, const char *path, ...)
{
	_cleanup_free_ char *sent = body ? json_dumps(body, JSON_COMPACT) : NULL;
	_cleanup_free_ char *said = NULL;
	struct ag_engine_ask ask = { .method = method,
				     .body = sent,
				     .limit_ms = 4L * AG_ENGINE_SHORT_MS };
	char full[PATH_MAX_BYTES];
	va_list args;
	int r;

	va_start(args, path);
	(void)fm_format_args(full, sizeof(full), path, args);
	va_end(args);
	ask.path = full;
	r = ag_engine_do(d->engine, &ask, NULL, &said, err);
	/* The environment is in it. */
	if (sent) explicit_bzero(sent, strlen(sent));
	if (r < 0 || !ret) return r;
	*ret = parse(said, err);
	return *ret ? 0 : -1;
}

/* ---- containers ---- */

int
ag_docker_inspect(struct ag_docker *d, const char *name, json_t **ret, struct fm_err *err)
{
	long status = 0;

	*ret = ag_docker_get(d, &status, err, "containers/%s/json", name);
	return *ret || status == 404 ? 0 : -1;
}

int
ag_docker_remove(struct ag_docker *d, const char *name, struct fm_err *err)
{
	_cleanup_json_ json_t *there = NULL;

	if (ag_docker_inspect(d, name, &there, err) < 0) return -1;
	if (!there) return 0;
	return ag_docker_ask(d, "DELETE", NULL, NULL, err, "containers/%s?v=0&force=0", name);
}

/* A switch makes NAME-fermata-new, moves NAME away and gives its name to the new one: broken off
 * between the two, the second is left to do. */
static int
end_switch(struct ag_docker *d, json_t **ret, struct fm_err *err)
{
	_cleanup_json_ json_t *fresh = NULL;
	char name[AG_CONTAINER_NAME + 32];

	(void)FM_FORMAT(name, "%s" AG_NEW, d->name);
	if (ag_docker_inspect(d, name, &fresh, err) < 0) return -1;
	if (!fresh)
		return fm_fail(err, FM_ERR_REFUSED, 0,
			       "there is no container %s: make it as you always did, without "
			       "starting it (docker create, docker compose create)",
			       d->name);
	if (ag_docker_ask(d, "POST", NULL, NULL, err, "containers/%s/rename?name=%s", name,
			  d->name) < 0)
		return -1;
	return ag_docker_inspect(d, d->name, ret, err);
}

int
ag_docker_find(struct ag_docker *d, json_t **ret, struct fm_err *err)
{
	_cleanup_json_ json_t *list = NULL;
	char path[PATH_MAX_BYTES];

	*ret = NULL;
	ag_docker_list_path(d->settings, path, sizeof(path));
	list = ag_docker_get(d, NULL, err, "%s", path);
	if (!list || ag_docker_name(d->settings, list, d->name, sizeof(d->name), err) < 0 ||
	    ag_docker_inspect(d, d->name, ret, err) < 0)
		return -1;
	return *ret ? 0 : end_switch(d, ret, err);
}
