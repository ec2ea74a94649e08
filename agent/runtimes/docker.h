/* docker.h - what the files of the docker runtime share: its containers by name, and calls that block,
 * for the agent's children. */
#ifndef AG_RUNTIMES_DOCKER_H
#define AG_RUNTIMES_DOCKER_H

#include <jansson.h>
#include <stdbool.h>

#include "agent/runtimes/docker_store.h"
#include "agent/runtimes/engine.h"
#include "agent/settings.h"
#include "agent/work/say.h"

#define AG_CONTAINER_NAME 256
#define AG_KEPT "-fermata-"    /* NAME-fermata-VERSION is kept for the way back */
#define AG_NEW AG_KEPT "new"   /* being made; never started under this name */
#define AG_OLD AG_KEPT "old"   /* replaced by one of the same release; removed at once */
#define AG_LOOK AG_KEPT "look" /* never started: the code of an image is read from it */

#define AG_CONTAINER_ENV \
	"container.env"		  /* in state_dir: its environment, when env_file is not set */
#define AG_OWNED_FILE "container" /* in state_dir: its name, once it was started by us */

/* ---- names: pure ---- */

/* The path that lists the application's containers, all that ever bore its name. */
void ag_docker_list_path(const struct ag_settings *settings, char *dst, size_t size);
/* The name of the application's container, from that list: the setting, or the one that compose made. */
int ag_docker_name(const struct ag_settings *settings, const json_t *list, char *dst, size_t size,
		   struct fm_err *err);
/* Row of the list with exactly this name, or NULL. */
const json_t *ag_docker_row(const json_t *list, const char *name);
const char *ag_docker_row_name(const json_t *row);
/* Appended to a path as a value of its query. */
void ag_docker_escape(char *dst, size_t size, const char *text);

/* ---- for children of the agent ---- */

struct ag_docker {
	const struct ag_settings *settings;
	struct event_base *base;
	struct ag_engine *engine;
	char name
		[AG_CONTAINER_NAME]; /* of the application's container; "" before ag_docker_find() */
	int lock;		     /* -1: not taken */
};

/* Connected, and agreed on a version. ag_docker_done() in any case. */
int ag_docker_init(struct ag_docker *docker, const struct ag_settings *settings,
		   struct fm_err *err);
void ag_docker_done(struct ag_docker *docker);
/* Held until ag_docker_done(): who makes, renames or removes containers does it alone. Two children of
 * the agent may want to. */
int ag_docker_lock(struct ag_docker *docker, struct fm_err *err);
#define _cleanup_docker_ _cleanup_(ag_docker_done)

void ag_json_drop(json_t **json);
#define _cleanup_json_ _cleanup_(ag_json_drop)

/* The answer as JSON; path by printf. NULL with err; *status (may be NULL) as in ag_engine_do(). */
json_t *ag_docker_get(struct ag_docker *docker, long *status, struct fm_err *err, const char *path,
		      ...) __attribute__((format(printf, 4, 5)));
/* method: POST or DELETE; body may be NULL. ret (may be NULL): the answer. */
int ag_docker_ask(struct ag_docker *docker, const char *method, const json_t *body, json_t **ret,
		  struct fm_err *err, const char *path, ...) __attribute__((format(printf, 6, 7)));

/* Finds the application's container, and ends a switch that was broken off half way. ret: inspected. */
int ag_docker_find(struct ag_docker *docker, json_t **ret, struct fm_err *err);
/* A container by name, inspected; *ret NULL: there is none. */
int ag_docker_inspect(struct ag_docker *docker, const char *name, json_t **ret, struct fm_err *err);
/* Gone is well. Volumes stay. */
int ag_docker_remove(struct ag_docker *docker, const char *name, struct fm_err *err);

/* docker_fetch.c: reads the version out of an image, and writes it down. want: what it must be; NULL:
 * whatever it is. */
int ag_docker_learn(struct ag_docker *docker, const char *image, const char *want,
		    struct ag_image *ret, struct fm_err *err);

/* In a child of the agent; shapes of runtime.h. */
int ag_docker_fetch(const struct ag_settings *s, const char *version, struct ag_done *ret,
		    struct fm_err *err);
int ag_docker_link(const struct ag_settings *s, const char *version, struct ag_done *ret,
		   struct fm_err *err);
int ag_docker_sweep(const struct ag_settings *s, const char *const *keep, struct ag_done *ret,
		    struct fm_err *err);
int ag_docker_prepare(struct ag_settings *s, struct fm_err *err);
int ag_docker_look(const struct ag_settings *s, struct fm_err *err);
int ag_docker_let_go(const struct ag_settings *s, char *held, size_t size, struct fm_err *err);
/* argv: "start" VERSION MODE, or "learn" IMAGE. */
int ag_docker_work(const struct ag_settings *s, int argc, char **argv, struct ag_done *ret,
		   struct fm_err *err);

#endif
