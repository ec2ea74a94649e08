/* docker_stream.h - what a container engine answers piece by piece, as pure functions. All bytes are
 * from elsewhere. */
#ifndef AG_RUNTIMES_DOCKER_STREAM_H
#define AG_RUNTIMES_DOCKER_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* ---- a stream of JSON objects, one a line ---- */

#define AG_LINE_MAX (64u << 10)

struct ag_lines {
	char text[AG_LINE_MAX];
	size_t len;
};

/* Calls each() with every whole line; a longer one is a fault. -1: each() said so, or that. */
int ag_lines_add(struct ag_lines *lines, const char *bytes, size_t len,
		 int (*each)(void *arg, const char *line, size_t len, struct fm_err *err),
		 void *arg, struct fm_err *err);

/* ---- a pull ---- */

#define AG_LAYERS_MAX 256

struct ag_layer {
	char id[16];
	uint64_t current, total;
	bool is_done;
};

struct ag_pull {
	unsigned count;
	struct ag_layer layers[AG_LAYERS_MAX];
	char status[200]; /* a line that is about no layer */
};

/* One line of POST /images/create. -1 with err: the engine says that the pull failed. */
int ag_pull_line(struct ag_pull *pull, const char *line, size_t len, struct fm_err *err);
/* "3 of 12 layers, 41 of 380 MiB". */
void ag_pull_text(const struct ag_pull *pull, char *dst, size_t size);

/* ---- a container's output: frames of 8 bytes of head (stream, 0, 0, 0, length) and text, or with a
 * terminal the text alone ---- */

struct ag_frames {
	bool is_raw;
	unsigned char head[8];
	size_t have; /* of head */
	uint32_t left;
};

int ag_frames_add(struct ag_frames *frames, const char *bytes, size_t len,
		  void (*each)(void *arg, const char *text, size_t len), void *arg,
		  struct fm_err *err);

/* ---- an archive with one small file, as GET /containers/ID/archive answers ---- */

#define AG_ARCHIVE_MAX (256u << 10)

struct ag_archive {
	char bytes[AG_ARCHIVE_MAX];
	size_t len;
};

int ag_archive_add(struct ag_archive *archive, const char *bytes, size_t len, struct fm_err *err);
/* The first regular file's contents, inside archive; NULL: there is none, or it is cut. */
const char *ag_archive_file(const struct ag_archive *archive, size_t *ret_len);

#endif
