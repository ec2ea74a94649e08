#include "agent/world/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/settings.h"
#include "agent/world/json.h"
#include "base/cleanup.h"
#include "base/text.h"

#define SERVER "node_modules/@nocobase/server"
#define PACKAGE_MAX (64 << 10)
#define NEW_LINK ".current.new"

bool
ag_disk_version(const char *folder, char *dst, size_t size)
{
	char path[2 * AG_PATH_SIZE];

	dst[0] = '\0';
	return FM_FORMAT(path, "%s/" SERVER, folder) && ag_disk_package_version(path, dst, size);
}

bool
ag_disk_package_version(const char *folder, char *dst, size_t size)
{
	char path[3 * AG_PATH_SIZE];
	_cleanup_fclose_ FILE *file = NULL;
	_cleanup_free_ char *text = NULL;
	size_t len;

	dst[0] = '\0';
	if (!FM_FORMAT(path, "%s/package.json", folder)) return false;
	file = fopen(path, "re");
	if (!file) return false;
	text = fm_new(char, PACKAGE_MAX);
	len = fread(text, 1, PACKAGE_MAX, file);
	return ag_json_find(text, len, "version", dst, size) && dst[0];
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void
scan_releases(const char *folder, struct ag_disk *ret)
{
	DIR *dir = opendir(folder);
	const struct dirent *entry;
	char path[2 * AG_PATH_SIZE], version[FM_VERSION_SIZE];

	while (dir && ret->count < FM_RELEASES_MAX && (entry = readdir(dir))) {
		if (!fm_is_name(entry->d_name, FM_VERSION_SIZE)) continue;
		if (!FM_FORMAT(path, "%s/%s", folder, entry->d_name)) continue;
		/* One whose folder lies about its version is not started as that version. */
		if (!ag_disk_version(path, version, sizeof(version)) ||
		    strcmp(version, entry->d_name) != 0)
			continue;
		FM_COPY(ret->releases[ret->count], version);
		ret->count++;
	}
	if (dir) (void)closedir(dir);
	qsort(ret->releases, ret->count, sizeof(*ret->releases), by_name);
}

void
ag_disk_scan(const char *root, struct ag_disk *ret)
{
	char path[2 * AG_PATH_SIZE], target[AG_PATH_SIZE];
	const char *name;
	ssize_t len;

	memset(ret, 0, sizeof(*ret));
	if (FM_FORMAT(path, "%s/releases", root)) scan_releases(path, ret);
	if (!FM_FORMAT(path, "%s/current", root)) return;
	len = readlink(path, target, sizeof(target) - 1);
	if (len <= 0) return;
	target[len] = '\0';
	while (len > 1 && target[len - 1] == '/') target[--len] = '\0';
	name = strrchr(target, '/');
	name = name ? name + 1 : target;
	if (fm_is_name(name, FM_VERSION_SIZE)) FM_COPY(ret->current, name);
}

int
ag_disk_sync(const char *folder, struct fm_err *err)
{
	_cleanup_close_ int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0) return fm_fail(err, FM_ERR_IO, errno, "sync %s", folder);
	return 0;
}

int
ag_disk_link(const char *root, const char *release, struct fm_err *err)
{
	char target[FM_VERSION_SIZE + 16], path[2 * AG_PATH_SIZE], fresh[2 * AG_PATH_SIZE];
	struct stat st;

	if (!fm_is_name(release, FM_VERSION_SIZE))
		return fm_fail(err, FM_ERR_CONFIG, 0, "\"%s\" is no release", release);
	(void)FM_FORMAT(target, "releases/%s", release);
	(void)FM_FORMAT(fresh, "%s/" NEW_LINK, root);
	(void)FM_FORMAT(path, "%s/current", root);
	if (lstat(path, &st) == 0 && !S_ISLNK(st.st_mode))
		return fm_fail(err, FM_ERR_IO, 0, "%s is not a link: move it away", path);
	if (unlink(fresh) < 0 && errno != ENOENT)
		return fm_fail(err, FM_ERR_IO, errno, "remove %s", fresh);
	if (symlink(target, fresh) < 0) return fm_fail(err, FM_ERR_IO, errno, "link %s", fresh);
	if (rename(fresh, path) < 0) return fm_fail(err, FM_ERR_IO, errno, "rename %s", fresh);
	return ag_disk_sync(root, err);
}
