/* docker_text.h - names, versions and registry credentials of a container engine, as pure functions. */
#ifndef AG_RUNTIMES_DOCKER_TEXT_H
#define AG_RUNTIMES_DOCKER_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* The version of the API to speak: the highest that both know. most, least: the engine's ("1.41"). */
int ag_docker_api(const char *most, const char *least, char *dst, size_t size, struct fm_err *err);

/* A repository as it is pulled: [host[:port]/]path, without tag or digest. err says what to write
 * instead. */
int ag_docker_is_repository(const char *image, struct fm_err *err);
/* The registry that a repository is in, as the file of credentials names it. */
void ag_docker_registry(const char *repository, char *dst, size_t size);
/* A tag that names one version: not "latest" or another that moves. */
int ag_docker_is_version(const char *version, struct fm_err *err);

/* A name of a container, as the engine allows it. */
bool ag_docker_is_container(const char *name);

/* "X-Registry-Auth: ..." for a registry, from the text of docker's config.json; "" when it has nothing
 * for it. The header is a secret. */
int ag_docker_auth(const char *config, size_t len, const char *registry, char *dst, size_t size,
		   struct fm_err *err);

/* Podman calls limits RLIMIT_NOFILE when it tells of them, and nofile when it is told. */
void ag_docker_name_ulimits(json_t *ulimits);

#endif
