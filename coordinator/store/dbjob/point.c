#include "coordinator/store/dbjob/point.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"

#define MANIFEST_MOST (16u << 20)

static void
folder_closep(DIR **folder)
{
	if (*folder) closedir(*folder);
}

static void
digest_free(EVP_MD_CTX **digest)
{
	EVP_MD_CTX_free(*digest);
}

int
db_point_init(const struct db_job *job, const char *id, struct db_point *ret, struct fm_err *err)
{
	*ret = (struct db_point){ .manifest = NULL };
	if (!FM_FORMAT(ret->folder, "%s/%s", job->order->directory, id) ||
	    !FM_FORMAT(ret->partial, "%s/%s.partial", job->order->directory, id))
		return fm_fail(err, FM_ERR_LIMIT, 0, "the path of the restore points is too long");
	FM_FORMAT(ret->dump, "%s/database.dump", ret->folder);
	return 0;
}

void
db_point_done(struct db_point *point)
{
	json_decref(TAKE(point->manifest));
}

int
db_point_read(struct db_point *point, struct fm_err *err)
{
	char path[DB_PATH_SIZE + 32];
	json_error_t fault;
	struct stat st;

	FM_FORMAT(path, "%s/manifest.json", point->folder);
	if (stat(path, &st) < 0) {
		if (errno == ENOENT || errno == ENOTDIR) return 0;
		return fm_fail(err, FM_ERR_IO, errno, "open %s", path);
	}
	if (st.st_size > MANIFEST_MOST)
		return fm_fail(err, FM_ERR_LIMIT, 0, "%s is too large", path);
	json_decref(point->manifest);
	point->manifest = json_load_file(path, JSON_REJECT_DUPLICATES, &fault);
	if (json_is_object(point->manifest)) return 1;
	return fm_fail(err, FM_ERR_IO, 0, "%s:%d: %s", path, fault.line, fault.text);
}

int
db_point_need(struct db_point *point, const char *id, struct fm_err *err)
{
	int found = db_point_read(point, err);

	if (found > 0) return 0;
	if (found < 0) return -1;
	return fm_fail(err, FM_ERR_REFUSED, 0, "there is no restore point %s in %s", id,
		       dirname(point->folder));
}

static int
sync_path(const char *path, struct fm_err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && fsync(fd) == 0) return 0;
	return fm_fail(err, FM_ERR_IO, errno, "sync %s", path);
}

static int
sync_parent(const char *path, struct fm_err *err)
{
	_cleanup_free_ char *copy = fm_strdup(path);

	return sync_path(dirname(copy), err);
}

int
db_point_remove(const char *path, struct fm_err *err)
{
	_cleanup_(folder_closep) DIR *folder = opendir(path);
	struct dirent *entry;

	if (!folder) {
		if (errno == ENOENT) return 0;
		return fm_fail(err, FM_ERR_IO, errno, "open %s", path);
	}
	/* First what makes it a restore point: half a one must not look like one. */
	if (unlinkat(dirfd(folder), "manifest.json", 0) < 0 && errno != ENOENT)
		return fm_fail(err, FM_ERR_IO, errno, "remove %s/manifest.json", path);
	while ((entry = readdir(folder))) {
		if (fm_is_equal(entry->d_name, ".") || fm_is_equal(entry->d_name, "..")) continue;
		if (unlinkat(dirfd(folder), entry->d_name, 0) < 0 && errno != ENOENT)
			return fm_fail(err, FM_ERR_IO, errno, "remove %s/%s", path, entry->d_name);
	}
	if (rmdir(path) < 0 && errno != ENOENT)
		return fm_fail(err, FM_ERR_IO, errno, "remove %s", path);
	return 0;
}

int
db_point_begin(struct db_point *point, struct fm_err *err)
{
	_cleanup_free_ char *copy = fm_strdup(point->folder);
	const char *directory = dirname(copy);

	if (mkdir(directory, 0700) < 0 && errno != EEXIST)
		return fm_fail(err, FM_ERR_IO, errno, "make %s", directory);
	if (db_point_remove(point->partial, err) < 0) return -1;
	if (mkdir(point->partial, 0700) < 0)
		return fm_fail(err, FM_ERR_IO, errno, "make %s", point->partial);
	return 0;
}

int
db_point_write(const struct db_point *point, const char *folder, struct fm_err *err)
{
	char path[DB_PATH_SIZE + 32], fresh[DB_PATH_SIZE + 32];
	_cleanup_free_ char *text = json_dumps(point->manifest, JSON_INDENT(1));
	_cleanup_fclose_ FILE *f = NULL;
	int fd;

	FM_FORMAT(path, "%s/manifest.json", folder);
	FM_FORMAT(fresh, "%s/manifest.new", folder);
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	f = fd < 0 ? NULL : fdopen(fd, "w");
	if (!text || !f || fprintf(f, "%s\n", text) < 0 || fflush(f) != 0 || fsync(fd) < 0)
		return fm_fail(err, FM_ERR_IO, errno, "write %s", fresh);
	if (rename(fresh, path) < 0) return fm_fail(err, FM_ERR_IO, errno, "write %s", path);
	return sync_path(folder, err);
}

int
db_point_finish(struct db_point *point, struct fm_err *err)
{
	if (renameat2(AT_FDCWD, point->partial, AT_FDCWD, point->folder, RENAME_NOREPLACE) == 0)
		return sync_parent(point->folder, err);
	if (errno != EEXIST) return fm_fail(err, FM_ERR_IO, errno, "make %s", point->folder);
	/* One of an earlier closing is there: there is never a moment without either. */
	if (renameat2(AT_FDCWD, point->partial, AT_FDCWD, point->folder, RENAME_EXCHANGE) < 0)
		return fm_fail(err, FM_ERR_IO, errno, "replace %s", point->folder);
	if (sync_parent(point->folder, err) < 0) return -1;
	return db_point_remove(point->partial, err);
}

int
db_file_sum(const char *path, char sum[DB_SUM_SIZE], unsigned long long *ret_bytes,
	    struct fm_err *err)
{
	_cleanup_(digest_free) EVP_MD_CTX *digest = EVP_MD_CTX_new();
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_free_ unsigned char *block = fm_new(unsigned char, 1 << 18);
	unsigned char hash[EVP_MAX_MD_SIZE];
	unsigned size = 0;
	ssize_t n;

	*ret_bytes = 0;
	if (fd < 0) return fm_fail(err, FM_ERR_IO, errno, "open %s", path);
	if (!digest || !EVP_DigestInit_ex(digest, EVP_sha256(), NULL))
		return fm_fail(err, FM_ERR_IO, 0, "no SHA-256 in this OpenSSL");
	while ((n = read(fd, block, 1 << 18)) > 0) {
		EVP_DigestUpdate(digest, block, (size_t)n);
		*ret_bytes += (unsigned long long)n;
	}
	if (n < 0) return fm_fail(err, FM_ERR_IO, errno, "read %s", path);
	EVP_DigestFinal_ex(digest, hash, &size);
	for (unsigned i = 0; i < size && i < 32; i++)
		fm_format(sum + 2 * (size_t)i, DB_SUM_SIZE - 2 * (size_t)i, "%02x", hash[i]);
	return 0;
}

int
db_point_check_sum(const struct db_point *point, struct fm_err *err)
{
	char sum[DB_SUM_SIZE] = "";
	unsigned long long bytes;

	if (db_file_sum(point->dump, sum, &bytes, err) < 0) return -1;
	if (fm_is_equal(sum, db_point_text(point, "sha256"))) return 0;
	return fm_fail(
		err, FM_ERR_IO, 0,
		"%s is not what was dumped: its SHA-256 differs from the manifest's; the restore "
		"point is spoilt",
		point->dump);
}

unsigned long long
db_point_number(const struct db_point *point, const char *key)
{
	return (unsigned long long)json_integer_value(json_object_get(point->manifest, key));
}

const char *
db_point_text(const struct db_point *point, const char *key)
{
	const char *text = json_string_value(json_object_get(point->manifest, key));

	return text ? text : "";
}

bool
db_point_is_verified(const struct db_point *point)
{
	return json_is_true(json_object_get(point->manifest, "verified"));
}
