/* docker_spec.h - a container like another one, with another image: what POST /containers/create is
 * given, from what the engine says about the old container and the old image. Pure.
 *
 * The engine tells a container's settings already merged with its image's. What is the image's own is
 * left out, so that the new image's takes its place; what differs was somebody's wish, and stays. */
#ifndef AG_RUNTIMES_DOCKER_SPEC_H
#define AG_RUNTIMES_DOCKER_SPEC_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "wire/ask.h"

/* Labels of ours; what docker inspect shows of Fermata. */
#define AG_LABEL_NODE "fermata.node"	   /* whose container it is */
#define AG_LABEL_VERSION "fermata.version" /* of the code in the image, read from it */
#define AG_LABEL_DIGEST \
	"fermata.digest"	     /* what was pulled: REPOSITORY@sha256:..., or the image's id */
#define AG_LABEL_MODE "fermata.mode" /* plain or migrate: what its start may do */
#define AG_LABEL_RESTART "fermata.restart" /* the restart policy it had before it was ours */

struct ag_docker_change {
	const char *image; /* id: no tag can move under it */
	const char *node, *version, *digest;
	enum fm_start_mode mode;
	const char *restart; /* as in AG_LABEL_RESTART; "" is "no" */
};

/* container, old_image: answers of GET /containers/ID/json and /images/ID/json. The new reference is
 * the body of a create. NULL with err: such a container cannot be made anew without losing something;
 * err says what. */
json_t *ag_docker_spec(const json_t *container, const json_t *old_image,
		       const struct ag_docker_change *change, struct fm_err *err);
/* Networks besides the one of the create, each to be connected with its endpoint's settings: an object
 * of name to body. */
json_t *ag_docker_networks(const json_t *container);

/* "unless-stopped", "on-failure:3", "no". */
void ag_docker_restart_text(const json_t *policy, char *dst, size_t size);
/* And back; the new reference is a RestartPolicy. */
json_t *ag_docker_restart(const char *text);

/* Where a path inside the container lies on the host, by its mounts. false: in the container itself. */
bool ag_docker_host_path(const json_t *container, const char *inside, char *dst, size_t size);

/* Value of a variable in the container's environment, or NULL. */
const char *ag_docker_env(const json_t *container, const char *name);

/* The environment as a dotenv file. database: HOST:PORT that take the place of DB_HOST and DB_PORT, or
 * "". The text is for free(), holds secrets. */
char *ag_docker_dotenv(const json_t *container, const char *database);

/* Member of members: "HostConfig.NetworkMode"; NULL. */
const json_t *ag_docker_at(const json_t *root, const char *path);
const char *ag_docker_text_at(const json_t *root, const char *path); /* "" */

#endif
