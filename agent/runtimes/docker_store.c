#include "agent/runtimes/docker_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/world/disk.h"
#include "base/cleanup.h"
#include "base/text.h"

#define IMAGES "images"
#define RESTART "restart-policy"
#define ROW_MAX 1024

int
ag_store_write(const struct ag_settings *s, const char *name, const char *text, struct fm_err *err)
{
	char path[AG_PATH_SIZE + 64], fresh[AG_PATH_SIZE + 72];
	size_t len = strlen(text);
	_cleanup_close_ int fd = -1;

	(void)FM_FORMAT(path, "%s/%s", s->state_dir, name);
	(void)FM_FORMAT(fresh, "%s.new", path);
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || fchmod(fd, 0600) < 0)
		return fm_fail(err, FM_ERR_IO, errno, "write %s", fresh);
	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR) continue;
		if (n < 0) return fm_fail(err, FM_ERR_IO, errno, "write %s", fresh);
		text += n;
		len -= (size_t)n;
	}
	if (fdatasync(fd) < 0 || rename(fresh, path) < 0)
		return fm_fail(err, FM_ERR_IO, errno, "write %s", path);
	return ag_disk_sync(s->state_dir, err);
}

static FILE *
open_file(const struct ag_settings *s, const char *name)
{
	char path[AG_PATH_SIZE + 64];

	(void)FM_FORMAT(path, "%s/%s", s->state_dir, name);
	return fopen(path, "re");
}

int
ag_images_read(const struct ag_settings *s, struct ag_images *ret, struct fm_err *err)
{
	_cleanup_fclose_ FILE *file = open_file(s, IMAGES);
	char row[ROW_MAX];

	memset(ret, 0, sizeof(*ret));
	if (!file && errno != ENOENT)
		return fm_fail(err, FM_ERR_IO, errno, "read %s/" IMAGES, s->state_dir);
	while (file && ret->count < FM_RELEASES_MAX && fgets(row, sizeof(row), file)) {
		struct ag_image *image = &ret->rows[ret->count];

		/* A row that is none is a release that is not here: it is fetched again. */
		if (sscanf(row, "%63s %79s %511s", image->version, image->id, image->digest) == 3 &&
		    fm_is_name(image->version, sizeof(image->version)))
			ret->count++;
	}
	return 0;
}

_Static_assert(FM_VERSION_SIZE == 64, "the width in ag_images_read()");

const struct ag_image *
ag_images_version(const struct ag_images *images, const char *version)
{
	for (unsigned i = 0; i < images->count; i++)
		if (strcmp(images->rows[i].version, version) == 0) return &images->rows[i];
	return NULL;
}

const struct ag_image *
ag_images_id(const struct ag_images *images, const char *id)
{
	for (unsigned i = 0; i < images->count; i++)
		if (strcmp(images->rows[i].id, id) == 0) return &images->rows[i];
	return NULL;
}

/* Two children of the agent may write at once. */
static int
lock(const struct ag_settings *s, struct fm_err *err)
{
	char path[AG_PATH_SIZE + 64];
	int fd;

	(void)FM_FORMAT(path, "%s/" IMAGES ".lock", s->state_dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0) return fm_fail(err, FM_ERR_IO, errno, "open %s", path);
	while (flock(fd, LOCK_EX) < 0)
		if (errno != EINTR) {
			(void)close(fd);
			return fm_fail(err, FM_ERR_IO, errno, "lock %s", path);
		}
	return fd;
}

static int
change(const struct ag_settings *s, const char *version, const struct ag_image *image,
       struct fm_err *err)
{
	_cleanup_close_ int fd = lock(s, err);
	char text[(FM_RELEASES_MAX + 1) * ROW_MAX] = "";
	struct ag_images images;

	if (fd < 0 || ag_images_read(s, &images, err) < 0) return -1;
	for (unsigned i = 0; i < images.count; i++) {
		const struct ag_image *row = &images.rows[i];

		if (strcmp(row->version, version) != 0)
			(void)FM_APPEND(text, "%s %s %s\n", row->version, row->id, row->digest);
	}
	if (image && images.count == FM_RELEASES_MAX && !ag_images_version(&images, version))
		return fm_fail(err, FM_ERR_LIMIT, 0, "too many releases are on this node: sweep");
	if (image) (void)FM_APPEND(text, "%s %s %s\n", image->version, image->id, image->digest);
	return ag_store_write(s, IMAGES, text, err);
}

int
ag_images_put(const struct ag_settings *s, const struct ag_image *image, struct fm_err *err)
{
	return change(s, image->version, image, err);
}

int
ag_images_drop(const struct ag_settings *s, const char *version, struct fm_err *err)
{
	return change(s, version, NULL, err);
}

void
ag_restart_read(const struct ag_settings *s, char *dst, size_t size)
{
	_cleanup_fclose_ FILE *file = open_file(s, RESTART);

	if (!file || !fgets(dst, (int)size, file)) dst[0] = '\0';
	dst[strcspn(dst, "\n")] = '\0';
}

int
ag_restart_write(const struct ag_settings *s, const char *policy, struct fm_err *err)
{
	return ag_store_write(s, RESTART, policy, err);
}
