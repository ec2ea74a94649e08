/* docker_switch.c - the application's container with another image or another permission. A container
 * is never changed, it is made anew from what the engine says about it; the one before is kept under
 * NAME-fermata-VERSION until it is swept. Each function may be killed between any two calls, and ends
 * what an earlier one began (ag_docker_find). */
#include <stdlib.h>
#include <string.h>

#include "agent/runtimes/docker.h"
#include "agent/runtimes/docker_spec.h"
#include "agent/runtimes/docker_text.h"
#include "base/cleanup.h"
#include "base/text.h"

static bool
is_running(const json_t *container)
{
	return json_is_true(ag_docker_at(container, "State.Running")) ||
	       json_integer_value(ag_docker_at(container, "State.Pid")) > 0;
}

static const char *
label_of(const json_t *container, const char *label)
{
	const char *text = json_string_value(
		json_object_get(ag_docker_at(container, "Config.Labels"), label));

	return text ? text : "";
}

static int
find_image(const struct ag_settings *s, const char *version, struct ag_image *ret,
	   struct fm_err *err)
{
	const struct ag_image *image;
	struct ag_images images;

	if (ag_images_read(s, &images, err) < 0) return -1;
	image = ag_images_version(&images, version);
	if (!image)
		return fm_fail(err, FM_ERR_REFUSED, 0, "release %s was never fetched here",
			       version);
	*ret = *image;
	return 0;
}

/* The policy that it had before it was ours: its label, else what was written down when it was taken. */
static void
find_restart(const struct ag_settings *s, const json_t *container, char *dst, size_t size)
{
	(void)fm_copy(dst, size, label_of(container, AG_LABEL_RESTART));
	if (!dst[0]) ag_restart_read(s, dst, size);
	if (!dst[0])
		ag_docker_restart_text(ag_docker_at(container, "HostConfig.RestartPolicy"), dst,
				       size);
}

static int
connect_networks(struct ag_docker *d, const json_t *container, const char *name, struct fm_err *err)
{
	_cleanup_json_ json_t *networks = ag_docker_networks(container);
	const char *network;
	json_t *endpoint;

	json_object_foreach(networks, network, endpoint)
	{
		_cleanup_json_ json_t *body = json_pack("{ss sO}", "Container", name,
							"EndpointConfig", endpoint);
		char escaped[512] = "";

		ag_docker_escape(escaped, sizeof(escaped), network);
		if (ag_docker_ask(d, "POST", body, NULL, err, "networks/%s/connect", escaped) < 0)
			return fm_wrap(err, "connect it to network %s", network);
	}
	return 0;
}

/* NAME-fermata-new, as container is but with image and mode. */
static int
make_new(struct ag_docker *d, const json_t *container, const struct ag_image *image,
	 enum fm_start_mode mode, struct fm_err *err)
{
	_cleanup_json_ json_t *old_image = NULL, *spec = NULL;
	char name[AG_CONTAINER_NAME + 32], restart[64];
	struct ag_docker_change change = { .image = image->id,
					   .node = d->settings->node,
					   .version = image->version,
					   .digest = image->digest,
					   .mode = mode,
					   .restart = restart };

	find_restart(d->settings, container, restart, sizeof(restart));
	(void)FM_FORMAT(name, "%s" AG_NEW, d->name);
	old_image = ag_docker_get(d, NULL, err, "images/%s/json",
				  ag_docker_text_at(container, "Image"));
	if (!old_image) return fm_wrap(err, "the image of container %s", d->name);
	spec = ag_docker_spec(container, old_image, &change, err);
	if (!spec || ag_docker_remove(d, name, err) < 0) return -1;
	if (ag_docker_ask(d, "POST", spec, NULL, err, "containers/create?name=%s", name) < 0)
		return fm_wrap(err, "make container %s anew with %s", d->name, image->digest);
	return connect_networks(d, container, name, err);
}

static int
rename_to(struct ag_docker *d, const char *from, const char *to, struct fm_err *err)
{
	return ag_docker_ask(d, "POST", NULL, NULL, err, "containers/%s/rename?name=%s", from, to);
}

/* NAME is put aside as `aside`, and NAME-fermata-new takes its place. */
static int
swap(struct ag_docker *d, const char *aside, struct fm_err *err)
{
	char fresh[AG_CONTAINER_NAME + 32];

	(void)FM_FORMAT(fresh, "%s" AG_NEW, d->name);
	if (ag_docker_remove(d, aside, err) < 0 || rename_to(d, d->name, aside, err) < 0) return -1;
	return rename_to(d, fresh, d->name, err);
}

static int
refuse_running(const char *name, struct fm_err *err)
{
	return fm_fail(err, FM_ERR_REFUSED, 0, "container %s runs", name);
}

/* Of the container's image; its short id when nobody has read it. */
static void
kept_name(const struct ag_docker *d, const json_t *container, char *dst, size_t size)
{
	const char *id = ag_docker_text_at(container, "Image");
	const struct ag_image *image = NULL;
	struct ag_images images;
	struct fm_err err;

	if (ag_images_read(d->settings, &images, &err) == 0) image = ag_images_id(&images, id);
	if (image)
		(void)fm_format(dst, size, "%s" AG_KEPT "%s", d->name, image->version);
	else
		(void)fm_format(dst, size, "%s" AG_KEPT "%.12s", d->name,
				strncmp(id, "sha256:", 7) == 0 ? id + 7 : id);
}

int
ag_docker_link(const struct ag_settings *s, const char *version, struct ag_done *ret,
	       struct fm_err *err)
{
	_cleanup_docker_ struct ag_docker d = { .lock = -1 };
	_cleanup_json_ json_t *now = NULL, *kept = NULL;
	char name[AG_CONTAINER_NAME + FM_VERSION_SIZE + 32], fresh[AG_CONTAINER_NAME + 32];
	struct ag_image image;

	if (ag_docker_init(&d, s, err) < 0 || ag_docker_lock(&d, err) < 0 ||
	    find_image(s, version, &image, err) < 0 || ag_docker_find(&d, &now, err) < 0)
		return -1;
	(void)FM_COPY(ret->text, version);
	if (strcmp(ag_docker_text_at(now, "Image"), image.id) == 0) return 0;
	if (is_running(now)) return refuse_running(d.name, err);
	(void)FM_FORMAT(name, "%s" AG_KEPT "%s", d.name, version);
	(void)FM_FORMAT(fresh, "%s" AG_NEW, d.name);
	if (ag_docker_inspect(&d, name, &kept, err) < 0) return -1;
	/* The way back: the very container that it was, with the settings that it had. */
	if (kept && strcmp(ag_docker_text_at(kept, "Image"), image.id) == 0) {
		if (is_running(kept)) return refuse_running(name, err);
		if (ag_docker_remove(&d, fresh, err) < 0 || rename_to(&d, name, fresh, err) < 0)
			return -1;
	} else if (make_new(&d, now, &image, FM_START_PLAIN, err) < 0) {
		return -1;
	}
	kept_name(&d, now, name, sizeof(name));
	return swap(&d, name, err);
}

/* ---- start ---- */

/* Ours, for this start, and left alone by the engine. */
static bool
is_fit(const struct ag_settings *s, const json_t *container, enum fm_start_mode mode)
{
	char restart[64];

	ag_docker_restart_text(ag_docker_at(container, "HostConfig.RestartPolicy"), restart,
			       sizeof(restart));
	return strcmp(label_of(container, AG_LABEL_NODE), s->node) == 0 &&
	       strcmp(label_of(container, AG_LABEL_MODE), fm_start_mode_name(mode)) == 0 &&
	       strcmp(restart, "no") == 0;
}

static int
start(const struct ag_settings *s, const char *version, enum fm_start_mode mode, struct fm_err *err)
{
	_cleanup_docker_ struct ag_docker d = { .lock = -1 };
	_cleanup_json_ json_t *now = NULL;
	char old[AG_CONTAINER_NAME + 32];
	struct ag_image image;

	if (ag_docker_init(&d, s, err) < 0 || ag_docker_lock(&d, err) < 0 ||
	    find_image(s, version, &image, err) < 0 || ag_docker_find(&d, &now, err) < 0)
		return -1;
	if (is_running(now)) return refuse_running(d.name, err);
	if (strcmp(ag_docker_text_at(now, "Image"), image.id) != 0)
		return fm_fail(err, FM_ERR_REFUSED, 0, "container %s is not of release %s", d.name,
			       version);
	(void)FM_FORMAT(old, "%s" AG_OLD, d.name);
	if (!is_fit(s, now, mode)) {
		if (make_new(&d, now, &image, mode, err) < 0 || swap(&d, old, err) < 0) return -1;
	}
	if (ag_docker_remove(&d, old, err) < 0) return -1;
	/* From now on one that is not ours was made by somebody else. */
	if (ag_store_write(s, AG_OWNED_FILE, d.name, err) < 0) return -1;
	return ag_docker_ask(&d, "POST", NULL, NULL, err, "containers/%s/start", d.name);
}

int
ag_docker_work(const struct ag_settings *s, int argc, char **argv, struct ag_done *ret,
	       struct fm_err *err)
{
	enum fm_start_mode mode = FM_START_PLAIN;

	(void)ret;
	if (argc >= 3 && strcmp(argv[0], "start") == 0) {
		if (strcmp(argv[2], fm_start_mode_name(FM_START_MIGRATE)) == 0)
			mode = FM_START_MIGRATE;
		return start(s, argv[1], mode, err);
	}
	if (argc >= 2 && strcmp(argv[0], "learn") == 0) {
		_cleanup_docker_ struct ag_docker d = { .lock = -1 };
		_cleanup_json_ json_t *now = NULL;
		struct ag_image image;

		if (ag_docker_init(&d, s, err) < 0 || ag_docker_find(&d, &now, err) < 0) return -1;
		return ag_docker_learn(&d, ag_docker_text_at(now, "Image"), NULL, &image, err);
	}
	return fm_fail(err, FM_ERR_CONFIG, 0, "no such work");
}

/* ---- sweep ---- */

static bool
is_kept(const char *const *keep, const char *version)
{
	for (; *keep; keep++)
		if (strcmp(*keep, version) == 0) return true;
	return false;
}

static int
sweep_containers(struct ag_docker *d, const char *const *keep, struct fm_err *err)
{
	_cleanup_json_ json_t *list = NULL;
	char path[2048], stem[AG_CONTAINER_NAME + 16];
	const json_t *row;
	size_t i;

	ag_docker_list_path(d->settings, path, sizeof(path));
	list = ag_docker_get(d, NULL, err, "%s", path);
	(void)FM_FORMAT(stem, "%s" AG_KEPT, d->name);
	json_array_foreach(list, i, row)
	{
		const char *name = ag_docker_row_name(row);

		if (strncmp(name, stem, strlen(stem)) != 0 || is_kept(keep, name + strlen(stem)))
			continue;
		ag_work_say("removing container %s", name);
		if (ag_docker_remove(d, name, err) < 0) return -1;
	}
	return list ? 0 : -1;
}

/* An image that something else uses stays; it is no release of this node any more. */
static int
sweep_image(struct ag_docker *d, const struct ag_image *image, struct ag_done *ret,
	    struct fm_err *err)
{
	char tag[512];
	struct fm_err why;

	ag_work_say("removing %s", image->version);
	if (ag_images_drop(d->settings, image->version, err) < 0) return -1;
	(void)FM_FORMAT(tag, "%s:%s", d->settings->docker_image, image->version);
	if (ag_docker_ask(d, "DELETE", NULL, NULL, &why, "images/%s", tag) < 0)
		(void)ag_docker_ask(d, "DELETE", NULL, NULL, &why, "images/%s", image->id);
	(void)FM_APPEND(ret->text, "%s%s", ret->text[0] ? " " : "", image->version);
	return 0;
}

int
ag_docker_sweep(const struct ag_settings *s, const char *const *keep, struct ag_done *ret,
		struct fm_err *err)
{
	_cleanup_docker_ struct ag_docker d = { .lock = -1 };
	_cleanup_json_ json_t *now = NULL;
	struct ag_images images;

	if (ag_docker_init(&d, s, err) < 0 || ag_docker_lock(&d, err) < 0 ||
	    ag_docker_find(&d, &now, err) < 0 || sweep_containers(&d, keep, err) < 0 ||
	    ag_images_read(s, &images, err) < 0)
		return -1;
	for (unsigned i = 0; i < images.count; i++) {
		const struct ag_image *image = &images.rows[i];

		if (is_kept(keep, image->version) ||
		    strcmp(image->id, ag_docker_text_at(now, "Image")) == 0)
			continue;
		if (sweep_image(&d, image, ret, err) < 0) return -1;
	}
	return 0;
}

/* ---- the settings, and people ---- */

/* What is written inside of the container ends with it, when it is made anew. */
int
ag_docker_prepare(struct ag_settings *s, struct fm_err *err)
{
	_cleanup_docker_ struct ag_docker d = { .lock = -1 };
	_cleanup_json_ json_t *now = NULL;
	char inside[AG_PATH_SIZE + 16];
	const char *path;

	if (s->storage[0]) return 0;
	if (ag_docker_init(&d, s, err) < 0 || ag_docker_find(&d, &now, err) < 0) return -1;
	path = ag_docker_env(now, "STORAGE_PATH");
	if (path && path[0] == '/')
		(void)FM_COPY(inside, path);
	else
		(void)FM_FORMAT(inside, "%s/%s", s->docker_app_dir,
				path && path[0] ? path : "storage");
	if (ag_docker_host_path(now, inside, s->storage, sizeof(s->storage))) return 0;
	return fm_fail(err, FM_ERR_CONFIG, 0,
		       "%s of container %s is not mounted from outside, and its files would be "
		       "lost with the container: mount a folder or a volume there",
		       inside, d.name);
}

int
ag_docker_look(const struct ag_settings *s, struct fm_err *err)
{
	_cleanup_docker_ struct ag_docker d = { .lock = -1 };
	_cleanup_json_ json_t *now = NULL, *spec = NULL;
	const struct ag_docker_change change = {
		.image = "", .node = "", .version = "", .digest = "", .restart = ""
	};
	struct ag_settings found = *s;

	if (ag_docker_init(&d, s, err) < 0 || ag_docker_find(&d, &now, err) < 0) return -1;
	spec = ag_docker_spec(now, NULL, &change, err);
	return spec ? ag_docker_prepare(&found, err) : -1;
}

int
ag_docker_let_go(const struct ag_settings *s, char *held, size_t size, struct fm_err *err)
{
	_cleanup_docker_ struct ag_docker d = { .lock = -1 };
	_cleanup_json_ json_t *now = NULL, *body = NULL;
	char restart[64];

	if (ag_docker_init(&d, s, err) < 0 || ag_docker_find(&d, &now, err) < 0) return -1;
	(void)fm_format(held, size, "container %s", d.name);
	find_restart(s, now, restart, sizeof(restart));
	body = json_pack("{so}", "RestartPolicy", ag_docker_restart(restart));
	return ag_docker_ask(&d, "POST", body, NULL, err, "containers/%s/update", d.name);
}
