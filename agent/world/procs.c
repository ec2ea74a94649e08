#include "agent/world/procs.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"

#define ENVIRON_MAX (256 << 10)

static void
close_dirp(DIR **dir)
{
	if (*dir) (void)closedir(*dir);
}

#define _cleanup_dir_ _cleanup_(close_dirp)

/* At most size - 1 bytes, terminated. -1: it is gone, or not for us. */
static ssize_t
read_proc(pid_t pid, const char *name, char *dst, size_t size)
{
	char path[64];
	_cleanup_close_ int fd = -1;
	size_t used = 0;

	(void)FM_FORMAT(path, "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) return -1;
	while (used + 1 < size) {
		ssize_t n = read(fd, dst + used, size - 1 - used);

		if (n < 0) return -1;
		if (n == 0) break;
		used += (size_t)n;
	}
	dst[used] = '\0';
	return (ssize_t)used;
}

struct stat_row {
	char state;
	pid_t parent, session;
	uint64_t born;
};

/* The name in brackets may hold anything, so the row is read from its last bracket on. */
static bool
read_stat(pid_t pid, struct stat_row *ret)
{
	char text[1024], *at;
	int parent, session;
	unsigned long long born;

	if (read_proc(pid, "stat", text, sizeof(text)) <= 0) return false;
	at = strrchr(text, ')');
	if (!at) return false;
	if (sscanf(at + 1,
		   " %c %d %*d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
		   "%*d %llu",
		   &ret->state, &parent, &session, &born) != 4)
		return false;
	ret->parent = parent;
	ret->session = session;
	ret->born = born;
	return ret->state != 'Z' && ret->state != 'X';
}

static bool
has_entry(const char *text, size_t len, const char *entry)
{
	size_t size = strlen(entry);

	for (const char *at = text; at < text + len; at += strlen(at) + 1)
		if (strncmp(at, entry, size) == 0 && at[size] == '\0') return true;
	return false;
}

/* Who was asked, and is not ours. What a process got at its exec stays, and one that lives so long does
 * not exec into ours any more; so most of a machine is asked once. One table for the program: it is
 * about the machine. */
#define OLD_S 10
#define STRANGERS 1024 /* a power of two; two that fall on one place take turns in it */

static struct stranger {
	pid_t pid;
	uint64_t born;
} strangers[STRANGERS];

static bool
is_stranger(pid_t pid, uint64_t born)
{
	const struct stranger *s = &strangers[(unsigned)pid % STRANGERS];

	return s->pid == pid && s->born == born;
}

static void
note_stranger(pid_t pid, uint64_t born)
{
	struct timespec now;
	uint64_t ticks = (uint64_t)sysconf(_SC_CLK_TCK);

	(void)clock_gettime(CLOCK_BOOTTIME, &now);
	if (born / ticks + OLD_S < (uint64_t)now.tv_sec)
		strangers[(unsigned)pid % STRANGERS] = (struct stranger){ pid, born };
}

static bool
is_marked(pid_t pid, const char *const marks[2], char *buffer)
{
	ssize_t len = read_proc(pid, "environ", buffer, ENVIRON_MAX);

	return len > 0 && has_entry(buffer, (size_t)len, marks[0]) &&
	       has_entry(buffer, (size_t)len, marks[1]);
}

static pid_t
pid_of(const struct dirent *entry)
{
	return isdigit((unsigned char)entry->d_name[0]) ? (pid_t)strtol(entry->d_name, NULL, 10)
							: 0;
}

bool
ag_pids_has(const struct ag_pids *pids, pid_t pid)
{
	for (unsigned i = 0; i < pids->count; i++)
		if (pids->pids[i] == pid) return true;
	return false;
}

void
ag_pids_add(struct ag_pids *pids, pid_t pid)
{
	if (!ag_pids_has(pids, pid) && pids->count < AG_PIDS_MAX) pids->pids[pids->count++] = pid;
}

/* Who is whose child, of all that a search has seen. */
struct family {
	struct kin {
		pid_t pid, parent;
	} * kin;
	size_t count, room;
};

static void
family_done(struct family *family)
{
	free(family->kin);
}

static void
note_kin(struct family *family, pid_t pid, pid_t parent)
{
	if (family->count == family->room) {
		struct kin *more = fm_new(struct kin, 2 * family->room + 256);

		if (family->kin) memcpy(more, family->kin, family->count * sizeof(*more));
		free(family->kin);
		family->kin = more;
		family->room = 2 * family->room + 256;
	}
	family->kin[family->count++] = (struct kin){ pid, parent };
}

static void
add_descendants(const struct family *family, struct ag_pids *ret)
{
	unsigned before;

	do {
		before = ret->count;
		for (size_t i = 0; i < family->count; i++)
			if (ag_pids_has(ret, family->kin[i].parent))
				ag_pids_add(ret, family->kin[i].pid);
	} while (ret->count > before);
}

void
ag_procs_find(const char *const marks[2], pid_t session, const struct ag_procs_also *also,
	      struct ag_pids *ret)
{
	_cleanup_dir_ DIR *dir = opendir("/proc");
	_cleanup_free_ char *buffer = fm_new(char, ENVIRON_MAX);
	_cleanup_(family_done) struct family family = { .count = 0 };
	const struct dirent *entry;

	ret->count = 0;
	while (dir && ret->count < AG_PIDS_MAX && (entry = readdir(dir))) {
		pid_t pid = pid_of(entry);
		struct stat_row row;

		if (pid <= 0 || pid == getpid() || !read_stat(pid, &row)) continue;
		note_kin(&family, pid, row.parent);
		if ((session > 0 && row.session == session) ||
		    (also && also->is(also->arg, pid, row.parent, row.born)) ||
		    (!is_stranger(pid, row.born) && is_marked(pid, marks, buffer)))
			ret->pids[ret->count++] = pid;
		else
			note_stranger(pid, row.born);
	}
	add_descendants(&family, ret);
}

void
ag_procs_children(pid_t parent, struct ag_pids *ret)
{
	_cleanup_dir_ DIR *dir = opendir("/proc");
	const struct dirent *entry;

	ret->count = 0;
	while (dir && (entry = readdir(dir))) {
		pid_t pid = pid_of(entry);

		if (pid > 0 && ag_procs_parent(pid) == parent) ag_pids_add(ret, pid);
	}
}

pid_t
ag_procs_parent(pid_t pid)
{
	struct stat_row row;

	return pid > 0 && read_stat(pid, &row) ? row.parent : 0;
}

bool
ag_procs_has_entry(pid_t pid, const char *begin)
{
	_cleanup_free_ char *buffer = fm_new(char, ENVIRON_MAX);
	ssize_t len = read_proc(pid, "environ", buffer, ENVIRON_MAX);

	for (const char *at = buffer; at < buffer + len; at += strlen(at) + 1)
		if (strncmp(at, begin, strlen(begin)) == 0) return true;
	return false;
}

bool
ag_procs_has_agent(pid_t pid)
{
	return ag_procs_has_entry(pid, "FERMATA_AGENT=");
}

bool
ag_procs_title(pid_t pid, char *dst, size_t size)
{
	ssize_t len = read_proc(pid, "cmdline", dst, size);

	while (len > 0 && dst[len - 1] == '\0') len--;
	for (ssize_t i = 0; i < len; i++)
		if ((unsigned char)dst[i] < 0x20 || dst[i] == 0x7f) dst[i] = ' ';
	if (len < 0) dst[0] = '\0';
	return len > 0;
}

static const char *
base_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* The program, and what it runs. */
static void
name_command(pid_t pid, char *dst, size_t size)
{
	char words[1024];
	ssize_t len = read_proc(pid, "cmdline", words, sizeof(words));
	const char *at = words;

	if (len <= 0 || words[0] == '\0') {
		if (read_proc(pid, "comm", dst, size) <= 0) (void)fm_copy(dst, size, "?");
		dst[strcspn(dst, "\n")] = '\0';
		return;
	}
	(void)fm_copy(dst, size, base_of(words));
	for (at += strlen(at) + 1; at < words + len && *at == '-'; at += strlen(at) + 1) continue;
	if (at < words + len && *at) (void)fm_append(dst, size, " %s", at);
}

char *
ag_procs_describe(pid_t pid, char *dst, size_t size)
{
	char path[64], command[160], memory[1024];
	struct passwd pw, *found = NULL;
	struct stat st;

	name_command(pid, command, sizeof(command));
	for (char *at = command; *at; at++)
		if ((unsigned char)*at < 0x20 || *at == 0x7f) *at = ' ';
	(void)fm_format(dst, size, "process %d (%s", (int)pid, command);
	(void)FM_FORMAT(path, "/proc/%d", (int)pid);
	if (stat(path, &st) == 0) {
		(void)getpwuid_r(st.st_uid, &pw, memory, sizeof(memory), &found);
		if (found)
			(void)fm_append(dst, size, ", user %s", found->pw_name);
		else
			(void)fm_append(dst, size, ", user %u", (unsigned)st.st_uid);
	}
	(void)fm_append(dst, size, ")");
	return dst;
}

uint64_t
ag_procs_born(pid_t pid)
{
	struct stat_row row;

	return pid > 0 && read_stat(pid, &row) ? row.born : 0;
}

void
ag_procs_boot(char *dst, size_t size)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

	dst[0] = '\0';
	if (!file || !fgets(dst, (int)size, file)) return;
	dst[strcspn(dst, "\n")] = '\0';
}

void
ag_procs_use(const struct ag_pids *pids, uint64_t *ret_memory_bytes, uint64_t *ret_cpu_us)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), hz = (uint64_t)sysconf(_SC_CLK_TCK);
	char text[1024];

	*ret_memory_bytes = *ret_cpu_us = 0;
	for (unsigned i = 0; i < pids->count; i++) {
		unsigned long long resident, shared, user, system;
		const char *at = NULL;

		if (read_proc(pids->pids[i], "statm", text, sizeof(text)) > 0 &&
		    sscanf(text, "%*u %llu %llu", &resident, &shared) == 2)
			*ret_memory_bytes += (resident - shared) * page;
		if (read_proc(pids->pids[i], "stat", text, sizeof(text)) > 0)
			at = strrchr(text, ')');
		if (at && sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu",
				 &user, &system) == 2)
			*ret_cpu_us += (user + system) * 1000000 / hz;
	}
}
