#include "agent/world/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"

#define FORMAT "fermata-agent-state 1"
#define FILE_SIZE_MAX 16384

enum kind { NUMBER, TEXT, GOAL, MODE, FLAG };

static const struct field {
	const char *name;
	enum kind kind;
	size_t offset, size;
} fields[] = {
#define AT(name, kind, member)                                  \
	{                                                       \
		name, kind, offsetof(struct ag_memory, member), \
			sizeof(((struct ag_memory *)0)->member) \
	}
	AT("asked", FLAG, has_ask),
	AT("epoch", NUMBER, ask.voice.epoch),
	AT("seq", NUMBER, ask.voice.seq),
	AT("run", NUMBER, ask.run),
	AT("app", GOAL, ask.app),
	AT("start", MODE, ask.start),
	AT("release", TEXT, ask.release),
	AT("fetch", TEXT, ask.fetch),
	AT("ask_snapshot", TEXT, ask.snapshot),
	AT("restore", TEXT, ask.restore),
	AT("restore_serial", NUMBER, ask.restore_serial),
	AT("ask_start_serial", NUMBER, ask.start_serial),
	AT("starts", NUMBER, starts),
	AT("restored_serial", NUMBER, restored_serial),
	AT("swept_seq", NUMBER, swept_seq),
	AT("snapshot", TEXT, snapshot),
	AT("snapshot_bytes", NUMBER, snapshot_bytes),
	AT("running", TEXT, running),
	AT("start_serial", NUMBER, start_serial),
	AT("hooks_due", NUMBER, hooks_due),
	AT("hook_serial", NUMBER, hook_serial),
#undef AT
};
#define LATER 2 /* fields that a file of an earlier agent has not */
#define FIELDS (sizeof(fields) / sizeof(*fields))

/* CRC-32 as in IEEE 802.3, bit by bit: the file is small. */
static uint32_t
checksum(const char *text, size_t len)
{
	uint32_t crc = 0xffffffffu;

	for (size_t i = 0; i < len; i++) {
		crc ^= (uint8_t)text[i];
		for (int k = 0; k < 8; k++) crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
	}
	return ~crc;
}

/* ---- to text ---- */

static bool
write_field(char *dst, size_t size, const struct field *f, const struct ag_memory *memory)
{
	const char *at = (const char *)memory + f->offset;

	switch (f->kind) {
	case NUMBER:
		return fm_append(dst, size, "%s %" PRIu64 "\n", f->name,
				 *(const uint64_t *)(const void *)at);
	case TEXT:
		return fm_append(dst, size, "%s %s\n", f->name, at);
	case GOAL:
		return fm_append(dst, size, "%s %s\n", f->name,
				 fm_app_goal_name(*(const enum fm_app_goal *)(const void *)at));
	case MODE:
		return fm_append(dst, size, "%s %s\n", f->name,
				 fm_start_mode_name(*(const enum fm_start_mode *)(const void *)at));
	case FLAG:
		return fm_append(dst, size, "%s %d\n", f->name, *(const bool *)(const void *)at);
	}
	return false;
}

static bool
to_text(char *dst, size_t size, const struct ag_memory *memory)
{
	const struct fm_agent_ask *ask = &memory->ask;
	bool ok = fm_format(dst, size, FORMAT "\n");

	for (size_t i = 0; i < FIELDS; i++) ok = ok && write_field(dst, size, &fields[i], memory);
	for (unsigned i = 0; i < ask->keep_count; i++)
		ok = ok && fm_append(dst, size, "keep %s\n", ask->keep[i]);
	return ok && fm_append(dst, size, "crc %08" PRIx32 "\n", checksum(dst, strlen(dst)));
}

/* ---- from text ---- */

static bool
read_word(const struct field *f, char *at, const char *value)
{
	if (f->kind == GOAL) {
		enum fm_app_goal *goal = (void *)at;

#define X(name, text) \
	if (strcmp(value, text) == 0) return *goal = FM_APP_GOAL_##name, true;
		FM_APP_GOALS(X)
#undef X
	} else {
		enum fm_start_mode *mode = (void *)at;

#define X(name, text) \
	if (strcmp(value, text) == 0) return *mode = FM_START_##name, true;
		FM_START_MODES(X)
#undef X
	}
	return false;
}

static bool
read_field(const struct field *f, struct ag_memory *memory, const char *value)
{
	char *at = (char *)memory + f->offset;
	unsigned long long number;

	switch (f->kind) {
	case TEXT:
		return fm_copy(at, f->size, value);
	case NUMBER:
		if (!fm_parse_u64(value, 0, UINT64_MAX, &number)) return false;
		*(uint64_t *)(void *)at = number;
		return true;
	case FLAG:
		if (!fm_parse_u64(value, 0, 1, &number)) return false;
		*(bool *)(void *)at = number;
		return true;
	case GOAL:
	case MODE:
		return read_word(f, at, value);
	}
	return false;
}

static bool
read_keep(struct fm_agent_ask *ask, const char *value)
{
	return ask->keep_count < FM_RELEASES_MAX && FM_COPY(ask->keep[ask->keep_count++], value);
}

/* One "name value" row. A name that we do not know comes from a later agent: its file is not ours
 * to shorten. */
static bool
read_row(struct ag_memory *memory, char *row, unsigned *seen)
{
	char *value = strchr(row, ' ');

	if (!value) return false;
	*value++ = '\0';
	if (strcmp(row, "keep") == 0) return read_keep(&memory->ask, value);
	for (size_t i = 0; i < FIELDS; i++) {
		if (strcmp(row, fields[i].name) != 0) continue;
		*seen |= 1u << i;
		return read_field(&fields[i], memory, value);
	}
	return false;
}

static int
from_text(struct ag_memory *memory, char *text, struct fm_err *err)
{
	char *crc = strstr(text, "\ncrc "), *row, *next;
	unsigned seen = 0;
	char want[16];

	if (strncmp(text, FORMAT "\n", strlen(FORMAT "\n")) != 0)
		return fm_fail(err, FM_ERR_IO, 0, "not a state of this agent's format");
	if (!crc) return fm_fail(err, FM_ERR_IO, 0, "its checksum is missing");
	(void)FM_FORMAT(want, "%08" PRIx32 "\n", checksum(text, (size_t)(crc + 1 - text)));
	if (strcmp(crc + 5, want) != 0) return fm_fail(err, FM_ERR_IO, 0, "its checksum is wrong");
	crc[1] = '\0';
	for (row = text + strlen(FORMAT "\n"); *row; row = next) {
		next = strchr(row, '\n');
		*next++ = '\0';
		if (!read_row(memory, row, &seen))
			return fm_fail(err, FM_ERR_IO, 0, "row \"%s\" is not understood", row);
	}
	seen |= ((1u << LATER) - 1) << (FIELDS - LATER);
	if (seen != (1u << FIELDS) - 1) return fm_fail(err, FM_ERR_IO, 0, "rows are missing");
	return 0;
}

int
ag_state_read(const char *path, struct ag_memory *ret, struct fm_err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[FILE_SIZE_MAX];
	ssize_t len;

	memset(ret, 0, sizeof(*ret));
	if (fd < 0 && errno == ENOENT) return 0;
	if (fd < 0) return fm_fail(err, FM_ERR_IO, errno, "state %s", path);
	len = read(fd, text, sizeof(text) - 1);
	if (len < 0) return fm_fail(err, FM_ERR_IO, errno, "state %s", path);
	text[len] = '\0'; /* one within it ends it early, and is seen by the checksum */
	if (from_text(ret, text, err) < 0) {
		memset(ret, 0, sizeof(*ret));
		return fm_wrap(err, "state %s is damaged", path);
	}
	return 1;
}

/* ---- durably ---- */

static int
write_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR) continue;
		if (n < 0) return -1;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

static int
sync_folder(const char *path)
{
	char folder[1100];
	char *slash;
	_cleanup_close_ int fd = -1;

	if (!FM_COPY(folder, path)) return -1;
	slash = strrchr(folder, '/');
	if (slash) *slash = '\0';
	fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -1 : fsync(fd);
}

int
ag_state_write(const char *path, const struct ag_memory *memory, struct fm_err *err)
{
	char text[FILE_SIZE_MAX], fresh[1100];
	_cleanup_close_ int fd = -1;

	if (!to_text(text, sizeof(text), memory) || !FM_FORMAT(fresh, "%s.new", path))
		return fm_fail(err, FM_ERR_LIMIT, 0, "state %s: too long", path);
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write_all(fd, text, strlen(text)) < 0 || fsync(fd) < 0)
		return fm_fail(err, FM_ERR_IO, errno, "write %s", fresh);
	if (rename(fresh, path) < 0 || sync_folder(path) < 0)
		return fm_fail(err, FM_ERR_IO, errno, "rename %s", fresh);
	return 0;
}
