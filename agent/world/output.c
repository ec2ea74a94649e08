#include "agent/world/output.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"

#define WINDOW (256 << 10) /* how far back the last lines are looked for */
#define LOOK_MS 1000
#define LOOK_FLOOD_MS 100
#define FLOOD_SHARE 16 /* grown by that part of its size since the last look: a flood */
#define KEPT_SHARE 8   /* what is left by a cut; more of it would be written out meanwhile */

struct ag_output {
	char path[AG_PATH_SIZE];
	uint64_t size;
	struct event *due;
	/* Places: base + offset in the file that has this inode. */
	ino_t inode;
	uint64_t base, seen;
	bool is_unbounded; /* and that was said */
};

/* ---- the size ---- */

/* Another file in its place goes on where the old one ended. */
static bool
meet(struct ag_output *o, int fd, struct stat *st)
{
	if (fd < 0 || fstat(fd, st) < 0 || !S_ISREG(st->st_mode)) return false;
	if (o->inode && o->inode != st->st_ino) o->base += o->seen;
	/* Emptied by somebody else. */
	if (o->inode == st->st_ino && (uint64_t)st->st_size < o->seen) o->base += o->seen;
	o->inode = st->st_ino;
	o->seen = (uint64_t)st->st_size;
	return true;
}

/* Cuts the beginning off, by whole blocks. Best the file gets shorter; where the file system cannot,
 * its beginning becomes a hole; where it cannot even that, it is emptied. Those who append to it
 * notice nothing. */
static void
cut(struct ag_output *o, int fd, const struct stat *st)
{
	off_t block = st->st_blksize > 0 ? st->st_blksize : 4096;
	off_t kept = (off_t)(o->size / KEPT_SHARE);
	off_t gone = st->st_size > kept ? (st->st_size - kept) / block * block : 0;

	if (gone == 0) return;
	if (fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, gone) == 0) {
		o->base += (uint64_t)gone;
		o->seen -= (uint64_t)gone;
		return;
	}
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, gone) == 0) return;
	if (ftruncate(fd, 0) == 0) {
		o->base += o->seen;
		o->seen = 0;
		return;
	}
	if (!o->is_unbounded)
		fm_log(FM_LOG_ERROR, "the application's output cannot be kept within its size",
		       "path=%s why=\"%s\"", o->path, strerror(errno));
	o->is_unbounded = true;
}

static void
again(struct ag_output *o, int64_t ms)
{
	const struct timeval in = { ms / 1000, ms % 1000 * 1000 };

	CHECK(event_add(o->due, &in) == 0);
}

void
ag_output_look(struct ag_output *o)
{
	_cleanup_close_ int fd = open(o->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	uint64_t before = o->base + o->seen;
	struct stat st;
	bool floods;

	again(o, LOOK_MS);
	if (!meet(o, fd, &st)) return;
	floods = o->base + o->seen - before > o->size / FLOOD_SHARE;
	if ((uint64_t)st.st_blocks * 512 > o->size) cut(o, fd, &st);
	if (floods) again(o, LOOK_FLOOD_MS);
}

static void
on_due(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	ag_output_look(arg);
}

struct ag_output *
ag_output_new(struct event_base *base, const char *path, uint64_t size)
{
	struct ag_output *o = fm_new(struct ag_output, 1);

	(void)FM_COPY(o->path, path);
	o->size = size;
	o->due = event_new(base, -1, 0, on_due, o);
	CHECK(o->due);
	ag_output_look(o);
	return o;
}

void
ag_output_free(struct ag_output *o)
{
	if (!o) return;
	event_free(o->due);
	free(o);
}

/* ---- pieces ---- */

/* Where the last so many lines begin, within the window. */
static off_t
tail_of(int fd, off_t size, unsigned lines)
{
	off_t from = size > WINDOW ? size - WINDOW : 0;
	_cleanup_free_ char *text = fm_new(char, WINDOW);
	ssize_t len = pread(fd, text, WINDOW, from), at = len;

	if (lines == 0 || len <= 0) return size;
	/* The newline at the very end ends a line, and begins none. */
	if (text[at - 1] == '\n') at--;
	for (; at > 0; at--)
		if (text[at - 1] == '\n' && --lines == 0) break;
	return from + at;
}

/* Over a hole at the beginning, to the first whole line. */
static off_t
over_hole(int fd, off_t at, struct ag_output_piece *ret)
{
	off_t data = lseek(fd, at, SEEK_DATA);

	if (data <= at) return at;
	ret->skipped += (uint64_t)(data - at);
	return data;
}

/* A terminal's sequence beginning at its ESC: bytes. */
static size_t
sequence(const char *at)
{
	size_t n = 1;

	if (at[1] != '[') return 1;
	for (n = 2; at[n] && (at[n] < 0x40 || at[n] > 0x7e); n++) continue;
	return at[n] ? n + 1 : n;
}

/* In place. Other control characters become blanks; what is no UTF-8 is the reader's affair. */
static void
clean(char *line)
{
	char *to = line;

	for (const char *at = line; *at && to - line < AG_OUTPUT_LINE_MAX;) {
		if (*at == '\033') {
			at += sequence(at);
			continue;
		}
		*to++ = (unsigned char)*at < 0x20 || *at == 0x7f ? ' ' : *at;
		at++;
	}
	*to = '\0';
}

/* Cuts text into lines. Returns the bytes that they took. */
static size_t
split(struct ag_output_piece *ret, size_t len, bool whole)
{
	size_t used = 0;

	for (size_t i = 0; i < len; i++)
		if (ret->text[i] == '\0') ret->text[i] = ' ';
	ret->text[len] = '\0';
	while (used < len && ret->count < AG_OUTPUT_LINES) {
		char *line = ret->text + used, *end = strchr(line, '\n');

		/* A line that is longer than a piece is given in pieces. */
		if (!end && !whole && (used > 0 || len < AG_OUTPUT_BYTES)) break;
		used = end ? (size_t)(end + 1 - ret->text) : len;
		if (end) *end = '\0';
		ret->lines[ret->count++] = line;
	}
	for (unsigned i = 0; i < ret->count; i++) clean(ret->lines[i]);
	return used;
}

int
ag_output_read(struct ag_output *o, const struct ag_output_ask *ask, struct ag_output_piece *ret,
	       struct fm_err *err)
{
	_cleanup_close_ int fd = open(o->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	off_t at = 0;
	ssize_t len;

	ret->count = 0;
	ret->skipped = 0;
	if (!meet(o, fd, &st)) return fm_fail(err, FM_ERR_IO, fd < 0 ? errno : 0, "%s", o->path);
	ret->end = o->base + o->seen;
	if (ask->tail)
		at = tail_of(fd, st.st_size, ask->lines);
	else if (ask->after < o->base)
		ret->skipped = o->base - ask->after;
	else
		at = ask->after > ret->end ? st.st_size : (off_t)(ask->after - o->base);
	at = over_hole(fd, at, ret);
	len = pread(fd, ret->text, AG_OUTPUT_BYTES, at);
	if (len < 0) return fm_fail(err, FM_ERR_IO, errno, "%s", o->path);
	ret->after = o->base + (uint64_t)at + split(ret, (size_t)len, ask->whole);
	return 0;
}
