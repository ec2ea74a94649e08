/* facts.c - what must be alike on all nodes of a cluster, looked up: settings, plugins, the storage,
 * room on the disk. By a child, because a storage that hangs hangs whoever looks at it. Rows on
 * standard output, as agent/world/facts.c reads them:
 *   env NAME DIGEST   plugin NAME VERSION   storage ID INODE ON   disk FREE SIZE
 *   worker MODE       fault TEXT                  hook 1|0 TEXT */
#include "agent/work/facts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "agent/work/hook.h"
#include "agent/world/disk.h"
#include "agent/world/dotenv.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "wire/facts.h"

#define MARK ".fermata-storage"
#define DIGEST_BYTES 8
#define PLUGINS_MAX 512
#define SCOPE "node_modules/@nocobase"
#define BUNDLED "plugin-"

__attribute__((format(printf, 1, 2))) static void
fault(const char *fmt, ...)
{
	char text[FM_TEXT_SIZE];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	(void)printf("fault %s\n", text);
}

/* ---- settings ---- */

/* A value is told by its digest only. Without the salt, which nodes and coordinator know, nobody can
 * try passwords against it. */
static bool
digest_of(const char *salt, const char *value, char dst[2 * DIGEST_BYTES + 1])
{
	unsigned char full[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (!HMAC(EVP_sha256(), salt, (int)strlen(salt), (const unsigned char *)value,
		  strlen(value), full, &len))
		return false;
	for (unsigned i = 0; i < DIGEST_BYTES; i++) (void)snprintf(dst + 2 * i, 3, "%02x", full[i]);
	return true;
}

/* "!", "*", "-", or names parted by commas. */
static void
tell_worker(const char *mode)
{
	for (const char *at = mode; *at; at++)
		if ((unsigned char)*at < 0x20 || (unsigned char)*at >= 0x7f) {
			fault("WORKER_MODE is not in plain letters");
			return;
		}
	if (strlen(mode) >= FM_NAME_SIZE)
		fault("WORKER_MODE is longer than %d bytes", FM_NAME_SIZE - 1);
	else if (mode[0])
		(void)printf("worker %s\n", mode);
}

static void
tell_settings(const struct ag_settings *s, const char *salt)
{
	_cleanup_(ag_dotenv_done) struct ag_dotenv env;
	char digest[2 * DIGEST_BYTES + 1];
	struct fm_err err;

	if (ag_dotenv_read(&env, s->env_file, &err) < 0) {
		fault("%s", err.text);
		return;
	}
	for (size_t i = 0; i < env.count; i++) {
		if (!fm_is_name(env.keys[i], FM_NAME_SIZE)) continue;
		if (!digest_of(salt, env.values[i], digest)) continue;
		(void)printf("env %s %s\n", env.keys[i], digest);
	}
	tell_worker(ag_dotenv_get(&env, "WORKER_MODE"));
}

/* ---- plugins ---- */

static void
tell_plugin(const char *folder, const char *name)
{
	char path[3 * AG_PATH_SIZE], version[FM_VERSION_SIZE];

	if (!FM_FORMAT(path, "%s/%s", folder, name)) return;
	if (!ag_disk_package_version(path, version, sizeof(version))) return;
	if (fm_is_name(version, FM_VERSION_SIZE)) (void)printf("plugin %s %s\n", name, version);
}

static unsigned
tell_plugins_in(const char *folder, const char *prefix, unsigned room)
{
	DIR *dir = opendir(folder);
	const struct dirent *entry;
	unsigned count = 0;

	while (dir && count < room && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0) continue;
		if (!fm_is_name(entry->d_name, FM_NAME_SIZE)) continue;
		tell_plugin(folder, entry->d_name);
		count++;
	}
	if (dir) (void)closedir(dir);
	return count;
}

/* Those of the release, and those that an operator has put into the storage: its own, or a scope's. */
static void
tell_plugins(const struct ag_settings *s)
{
	char path[2 * AG_PATH_SIZE];
	unsigned room = PLUGINS_MAX;

	(void)FM_FORMAT(path, "%s/current/" SCOPE, s->root);
	room -= tell_plugins_in(path, BUNDLED, room);
	(void)FM_FORMAT(path, "%s/plugins", s->storage);
	room -= tell_plugins_in(path, "", room);
	(void)FM_FORMAT(path, "%s/plugins/@nocobase", s->storage);
	room -= tell_plugins_in(path, "", room);
	if (room == 0) fault("more than %d plugins: the rest is not compared", PLUGINS_MAX);
}

/* ---- the storage ---- */

static bool
read_mark(const char *path, char id[FM_NAME_SIZE], uint64_t *ret_inode)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	ssize_t len;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) return false;
	len = read(fd, id, FM_NAME_SIZE - 1);
	if (len <= 0) return false;
	id[len] = '\0';
	id[strcspn(id, "\n")] = '\0';
	*ret_inode = st.st_ino;
	return fm_is_name(id, FM_NAME_SIZE);
}

/* Whole or not at all, and by one of those who try at once: link() is, on network storage too. */
static bool
make_mark(const char *storage, const char *path)
{
	char fresh[2 * AG_PATH_SIZE], id[2 * 16 + 2];
	unsigned char chance[16];
	int fd;
	bool ok;

	if (getrandom(chance, sizeof(chance), 0) != sizeof(chance)) return false;
	for (unsigned i = 0; i < sizeof(chance); i++)
		(void)snprintf(id + 2 * i, 3, "%02x", chance[i]);
	(void)FM_FORMAT(fresh, "%s/" MARK ".%s", storage, id);
	(void)FM_APPEND(id, "\n");
	fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0) return false;
	ok = write(fd, id, strlen(id)) == (ssize_t)strlen(id) && fsync(fd) == 0;
	(void)close(fd);
	ok = ok && (link(fresh, path) == 0 || errno == EEXIST);
	(void)unlink(fresh);
	return ok;
}

/* The mount that path lies on: the longest mount point that begins it. */
static void
mount_of(const char *path, char *dst, size_t size)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/self/mountinfo", "re");
	char row[4096], point[AG_PATH_SIZE], type[64], source[AG_PATH_SIZE];
	size_t best = 0;

	fm_copy(dst, size, "?");
	while (file && fgets(row, sizeof(row), file)) {
		const char *tail = strstr(row, " - ");
		size_t len;

		if (!tail || sscanf(row, "%*d %*d %*s %*s %1023s", point) != 1 ||
		    sscanf(tail, " - %63s %1023s", type, source) != 2)
			continue;
		len = strlen(point);
		if (strcmp(point, "/") == 0) len = 0;
		if (strncmp(path, point, len) != 0 || (path[len] != '/' && path[len])) continue;
		if (len < best) continue;
		best = len;
		(void)fm_format(dst, size, "%s of %s", type, source);
	}
}

static void
tell_storage(const struct ag_settings *s)
{
	_cleanup_free_ char *real = realpath(s->storage, NULL);
	char path[2 * AG_PATH_SIZE], id[FM_NAME_SIZE], on[FM_TEXT_SIZE];
	uint64_t inode = 0;

	if (!real) {
		fault("storage %s: %s", s->storage, strerror(errno));
		return;
	}
	(void)FM_FORMAT(path, "%s/" MARK, real);
	if (!read_mark(path, id, &inode) &&
	    (!make_mark(real, path) || !read_mark(path, id, &inode))) {
		fault("storage %s cannot be marked: %s", real, strerror(errno));
		return;
	}
	mount_of(real, on, sizeof(on));
	(void)printf("storage %s %" PRIu64 " %s\n", id, inode, on);
}

static void
tell_disk(const struct ag_settings *s)
{
	struct statvfs vfs;

	if (statvfs(s->root, &vfs) < 0)
		fault("root %s: %s", s->root, strerror(errno));
	else
		(void)printf("disk %" PRIu64 " %" PRIu64 "\n",
			     (uint64_t)vfs.f_bavail * vfs.f_frsize,
			     (uint64_t)vfs.f_blocks * vfs.f_frsize);
}

/* Which of the operator's commands cannot be run; 1: and that would fail its step. */
static void
tell_hooks(const struct ag_settings *s)
{
	for (int i = AG_HOOK_NONE + 1; i < AG_HOOK_COUNT; i++) {
		bool goes_on = i == AG_HOOK_AFTER_READY ||
			       (s->hooks_go_on_bits & AG_HOOK_BIT(i)) != 0;
		struct fm_err err;

		if (!s->hooks[i][0] || ag_hook_check(s, (enum ag_hook)i, &err) == 0) continue;
		(void)printf("hook %d %s: %s\n", !goes_on, ag_hook_name((enum ag_hook)i), err.text);
	}
}

/* The salt comes on standard input: arguments can be read by everybody. */
int
ag_work_facts(const struct ag_settings *s, struct ag_done *ret, struct fm_err *err)
{
	char salt[FM_SALT_SIZE] = "";

	(void)ret;
	if (!fgets(salt, sizeof(salt), stdin))
		return fm_fail(err, FM_ERR_IO, 0, "no salt was given");
	tell_settings(s, salt);
	tell_disk(s);
	tell_plugins(s);
	(void)fflush(stdout);
	tell_hooks(s);
	(void)fflush(stdout);
	/* Last: it may hang, and then the rest is known. */
	tell_storage(s);
	return 0;
}
