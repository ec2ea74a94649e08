/* docker_fetch.c - a release as an image: pulled by its tag, its version read from the code in it, and
 * from then on known by its id alone. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/runtimes/docker.h"
#include "agent/runtimes/docker_spec.h"
#include "agent/runtimes/docker_stream.h"
#include "agent/runtimes/docker_text.h"
#include "agent/world/json.h"
#include "base/cleanup.h"
#include "base/text.h"

#define PACKAGE "node_modules/@nocobase/server/package.json"
#define CONFIG_MAX (256 << 10)
#define HEADER_MAX (16 << 10)

/* ---- the version of an image ---- */

static int
take_archive(void *arg, const char *bytes, size_t len, struct fm_err *err)
{
	return ag_archive_add(arg, bytes, len, err);
}

/* Of the code in a container that was made and never started: what runs in it could lie. */
static int
read_version(struct ag_docker *d, const char *container, char *dst, size_t size, struct fm_err *err)
{
	_cleanup_free_ struct ag_archive *archive = fm_new(struct ag_archive, 1);
	struct ag_engine_ask ask = { .method = "GET",
				     .limit_ms = AG_ENGINE_SHORT_MS,
				     .data = take_archive,
				     .arg = archive };
	char file[AG_PATH_SIZE + 64], path[4 * AG_PATH_SIZE];
	const char *text;
	long status = 0;
	size_t len = 0;

	(void)FM_FORMAT(file, "%s/" PACKAGE, d->settings->docker_app_dir);
	(void)FM_FORMAT(path, "containers/%s/archive?path=", container);
	ag_docker_escape(path, sizeof(path), file);
	ask.path = path;
	if (ag_engine_do(d->engine, &ask, &status, NULL, err) < 0) {
		if (status != 404) return -1;
		return fm_fail(err, FM_ERR_REFUSED, 0,
			       "it holds no %s: it is no image of NocoBase, or [docker] app_dir is "
			       "another",
			       file);
	}
	text = ag_archive_file(archive, &len);
	if (text && ag_json_find(text, len, "version", dst, size) && dst[0] &&
	    fm_is_name(dst, FM_VERSION_SIZE))
		return 0;
	return fm_fail(err, FM_ERR_REFUSED, 0, "its %s names no version", file);
}

static int
read_image(struct ag_docker *d, const char *id, char *dst, size_t size, struct fm_err *err)
{
	_cleanup_json_ json_t *spec = json_pack("{ss s[s] s[] s{ss} s{ss sb}}", "Image", id, "Cmd",
						"never-started", "Entrypoint", "Labels",
						AG_LABEL_NODE, d->settings->node, "HostConfig",
						"NetworkMode", "none", "ReadonlyRootfs", 0);
	char name[AG_CONTAINER_NAME + 32];
	struct fm_err later;
	int r;

	(void)FM_FORMAT(name, "%s" AG_LOOK, d->name);
	if (ag_docker_lock(d, err) < 0 || ag_docker_remove(d, name, err) < 0 ||
	    ag_docker_ask(d, "POST", spec, NULL, err, "containers/create?name=%s", name) < 0)
		return -1;
	r = read_version(d, name, dst, size, err);
	if (ag_docker_remove(d, name, r < 0 ? &later : err) < 0) return -1;
	return r;
}

/* What a registry knows it by, of this repository if it is in several. */
static void
find_digest(const json_t *image, const char *repository, char *dst, size_t size)
{
	const json_t *row;
	size_t i, len = strlen(repository);

	(void)fm_copy(dst, size, ag_docker_text_at(image, "Id"));
	json_array_foreach(json_object_get(image, "RepoDigests"), i, row)
	{
		const char *text = json_string_value(row);

		if (text && strncmp(text, repository, len) == 0 && text[len] == '@')
			(void)fm_copy(dst, size, text);
	}
}

int
ag_docker_learn(struct ag_docker *d, const char *image, const char *want, struct ag_image *ret,
		struct fm_err *err)
{
	_cleanup_json_ json_t *found = ag_docker_get(d, NULL, err, "images/%s/json", image);

	memset(ret, 0, sizeof(*ret));
	if (!found) return -1;
	if (!FM_COPY(ret->id, ag_docker_text_at(found, "Id")) || !ret->id[0] ||
	    strpbrk(ret->id, " \n"))
		return fm_fail(err, FM_ERR_PEER, 0, "the engine tells no id of image %s", image);
	find_digest(found, d->settings->docker_image, ret->digest, sizeof(ret->digest));
	if (read_image(d, ret->id, ret->version, sizeof(ret->version), err) < 0)
		return fm_wrap(err, "image %s", image);
	if (want && strcmp(ret->version, want) != 0)
		return fm_fail(
			err, FM_ERR_REFUSED, 0,
			"image %s holds NocoBase %s, not %s: its tag lies, and it is not used",
			image, ret->version, want);
	return ag_images_put(d->settings, ret, err);
}

/* ---- the pull ---- */

struct pulling {
	struct ag_lines lines;
	struct ag_pull pull;
	const char *version;
};

static int
take_line(void *arg, const char *line, size_t len, struct fm_err *err)
{
	struct pulling *p = arg;
	char text[256];

	if (ag_pull_line(&p->pull, line, len, err) < 0) return -1;
	ag_pull_text(&p->pull, text, sizeof(text));
	ag_work_say("%s", text);
	return 0;
}

static int
take_progress(void *arg, const char *bytes, size_t len, struct fm_err *err)
{
	struct pulling *p = arg;

	return ag_lines_add(&p->lines, bytes, len, take_line, p, err);
}

/* The setting, else where docker login writes. */
static bool
config_path(const struct ag_settings *s, char *dst, size_t size)
{
	const char *folder = getenv("DOCKER_CONFIG"), *home = getenv("HOME");

	if (s->docker_auth_file[0]) return fm_copy(dst, size, s->docker_auth_file);
	if (folder && folder[0]) return fm_format(dst, size, "%s/config.json", folder);
	return fm_format(dst, size, "%s/.docker/config.json", home && home[0] ? home : "/root");
}

static int
find_auth(const struct ag_settings *s, char *dst, size_t size, struct fm_err *err)
{
	char path[AG_PATH_SIZE + 32], registry[300];
	_cleanup_free_ char *text = fm_new(char, CONFIG_MAX);
	_cleanup_fclose_ FILE *file = NULL;
	size_t len;
	int r;

	dst[0] = '\0';
	if (!config_path(s, path, sizeof(path)))
		return fm_fail(err, FM_ERR_CONFIG, 0,
			       "the path of docker's config.json is too long");
	file = fopen(path, "re");
	if (!file && errno == ENOENT && !s->docker_auth_file[0]) return 0;
	if (!file) return fm_fail(err, FM_ERR_IO, errno, "open %s", path);
	len = fread(text, 1, CONFIG_MAX, file);
	ag_docker_registry(s->docker_image, registry, sizeof(registry));
	r = ag_docker_auth(text, len, registry, dst, size, err);
	explicit_bzero(text, len);
	return r < 0 ? fm_wrap(err, "%s", path) : 0;
}

static int
pull(struct ag_docker *d, const char *version, struct fm_err *err)
{
	_cleanup_free_ struct pulling *p = fm_new(struct pulling, 1);
	_cleanup_free_ char *header = fm_new(char, HEADER_MAX);
	struct ag_engine_ask ask = { .method = "POST", .data = take_progress, .arg = p };
	char path[1024] = "images/create?fromImage=";
	int r;

	ag_docker_escape(path, sizeof(path), d->settings->docker_image);
	(void)FM_APPEND(path, "&tag=%s", version);
	if (find_auth(d->settings, header, HEADER_MAX, err) < 0) return -1;
	ask.path = path;
	ask.header = header[0] ? header : NULL;
	p->version = version;
	/* The agent ends us when it takes longer than [limits] fetch. */
	r = ag_engine_do(d->engine, &ask, NULL, NULL, err);
	explicit_bzero(header, HEADER_MAX);
	return r;
}

/* ---- fetch ---- */

/* A mount over the code would hide every image's, and the version that it brings. */
static int
check_mounts(const json_t *container, const struct ag_settings *s, struct fm_err *err)
{
	char code[AG_PATH_SIZE + 64], host[AG_PATH_SIZE];

	(void)FM_FORMAT(code, "%s/" PACKAGE, s->docker_app_dir);
	if (!ag_docker_host_path(container, code, host, sizeof(host))) return 0;
	return fm_fail(err, FM_ERR_CONFIG, 0,
		       "%s is mounted over the application's code (%s), so no image can bring "
		       "another version: mount %s/storage alone",
		       host, s->docker_app_dir, s->docker_app_dir);
}

static bool
is_here(struct ag_docker *d, const char *version)
{
	struct ag_images images;
	const struct ag_image *image;
	_cleanup_json_ json_t *found = NULL;
	struct fm_err err;

	if (ag_images_read(d->settings, &images, &err) < 0) return false;
	image = ag_images_version(&images, version);
	if (image) found = ag_docker_get(d, NULL, &err, "images/%s/json", image->id);
	return found != NULL;
}

int
ag_docker_fetch(const struct ag_settings *s, const char *version, struct ag_done *ret,
		struct fm_err *err)
{
	_cleanup_docker_ struct ag_docker d = { .lock = -1 };
	_cleanup_json_ json_t *container = NULL;
	char image[512];
	struct ag_image learned;
	struct fm_err why;
	bool pulled;

	if (ag_docker_is_version(version, err) < 0 || ag_docker_init(&d, s, err) < 0 ||
	    ag_docker_find(&d, &container, err) < 0 || check_mounts(container, s, err) < 0)
		return -1;
	if (is_here(&d, version)) return 0;
	(void)FM_FORMAT(image, "%s:%s", s->docker_image, version);
	ag_work_say("asks the registry for %s", image);
	pulled = pull(&d, version, &why) == 0;
	/* One that was loaded by hand, where no registry can be reached, is as good. */
	if (ag_docker_learn(&d, image, version, &learned, err) < 0) {
		if (!pulled) return fm_fail(err, FM_ERR_IO, 0, "pull %s: %s", image, why.text);
		return -1;
	}
	(void)FM_FORMAT(
		ret->text, "%s%s%s", learned.digest,
		pulled ? "" : " was here already; the registry said: ", pulled ? "" : why.text);
	return 0;
}
