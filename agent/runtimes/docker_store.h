/* docker_store.h - what the docker runtime writes down in the agent's state folder: which image is which
 * version, and the restart policy that a container had. A release is here when it has a row and its
 * image is still in the engine. */
#ifndef AG_RUNTIMES_DOCKER_STORE_H
#define AG_RUNTIMES_DOCKER_STORE_H

#include "agent/settings.h"
#include "base/err.h"
#include "wire/ask.h"

#define AG_IMAGE_ID_SIZE 80 /* "sha256:" and 64 digits */

struct ag_image {
	char version[FM_VERSION_SIZE]; /* read from the code in it, never from its tag */
	char id[AG_IMAGE_ID_SIZE];
	char digest[512]; /* REPOSITORY@sha256:... as it was pulled; its id when it never was */
};

struct ag_images {
	unsigned count;
	struct ag_image rows[FM_RELEASES_MAX];
};

/* No file: none. */
int ag_images_read(const struct ag_settings *settings, struct ag_images *ret, struct fm_err *err);
/* Durable; a row of the same version is replaced. */
int ag_images_put(const struct ag_settings *settings, const struct ag_image *image,
		  struct fm_err *err);
int ag_images_drop(const struct ag_settings *settings, const char *version, struct fm_err *err);
const struct ag_image *ag_images_version(const struct ag_images *images, const char *version);
const struct ag_image *ag_images_id(const struct ag_images *images, const char *id);

/* As AG_LABEL_RESTART has it; "": never written. */
void ag_restart_read(const struct ag_settings *settings, char *dst, size_t size);
int ag_restart_write(const struct ag_settings *settings, const char *policy, struct fm_err *err);

/* Replaced whole, readable by us alone, durable. */
int ag_store_write(const struct ag_settings *settings, const char *name, const char *text,
		   struct fm_err *err);

#endif
