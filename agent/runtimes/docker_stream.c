#include "agent/runtimes/docker_stream.h"

#include <jansson.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

#define TAR_BLOCK 512u
#define TAR_SIZE_AT 124u
#define TAR_TYPE_AT 156u

/* ---- lines ---- */

static int
take_line(struct ag_lines *lines,
	  int (*each)(void *arg, const char *line, size_t len, struct fm_err *err), void *arg,
	  struct fm_err *err)
{
	size_t len = lines->len;

	lines->len = 0;
	while (len > 0 && lines->text[len - 1] == '\r') len--;
	return len > 0 ? each(arg, lines->text, len, err) : 0;
}

int
ag_lines_add(struct ag_lines *lines, const char *bytes, size_t len,
	     int (*each)(void *arg, const char *line, size_t len, struct fm_err *err), void *arg,
	     struct fm_err *err)
{
	while (len > 0) {
		const char *end = memchr(bytes, '\n', len);
		size_t part = end ? (size_t)(end - bytes) : len;

		if (part > AG_LINE_MAX - lines->len)
			return fm_fail(err, FM_ERR_LIMIT, 0, "a line of the engine is too long");
		memcpy(lines->text + lines->len, bytes, part);
		lines->len += part;
		if (end && take_line(lines, each, arg, err) < 0) return -1;
		part += end != NULL;
		bytes += part;
		len -= part;
	}
	return 0;
}

/* ---- a pull ---- */

static void
drop(json_t **json)
{
	json_decref(*json);
}

static const char *
text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static struct ag_layer *
layer_of(struct ag_pull *pull, const char *id)
{
	struct ag_layer *layer;

	for (unsigned i = 0; i < pull->count; i++)
		if (strcmp(pull->layers[i].id, id) == 0) return &pull->layers[i];
	if (pull->count == AG_LAYERS_MAX) return NULL;
	layer = &pull->layers[pull->count++];
	(void)FM_COPY(layer->id, id);
	return layer;
}

static bool
begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static void
note_layer(struct ag_pull *pull, const char *id, const char *status, const json_t *detail)
{
	struct ag_layer *layer = strlen(id) < sizeof(layer->id) ? layer_of(pull, id) : NULL;
	json_int_t current = json_integer_value(json_object_get(detail, "current"));
	json_int_t total = json_integer_value(json_object_get(detail, "total"));

	if (!layer) return;
	if (begins(status, "Pull complete") || begins(status, "Already exists")) {
		layer->is_done = true;
		layer->current = layer->total;
	}
	/* What is extracted was counted when it came. */
	if (!begins(status, "Downloading") || current < 0 || total < current) return;
	layer->current = (uint64_t)current;
	layer->total = (uint64_t)total;
}

int
ag_pull_line(struct ag_pull *pull, const char *line, size_t len, struct fm_err *err)
{
	_cleanup_(drop) json_t *root = json_loadb(line, len, 0, NULL);
	const char *id = text_of(root, "id"), *status = text_of(root, "status");
	const char *error = text_of(root, "error");

	if (!json_is_object(root))
		return fm_fail(err, FM_ERR_PEER, 0, "the engine's progress is not JSON");
	if (error[0]) return fm_fail(err, FM_ERR_REFUSED, 0, "%s", error);
	/* "Pulling from ..." has the tag for an id. */
	if (id[0] && !begins(status, "Pulling from"))
		note_layer(pull, id, status, json_object_get(root, "progressDetail"));
	else if (status[0])
		(void)FM_COPY(pull->status, status);
	return 0;
}

void
ag_pull_text(const struct ag_pull *pull, char *dst, size_t size)
{
	uint64_t current = 0, total = 0;
	unsigned done = 0;

	for (unsigned i = 0; i < pull->count; i++) {
		current += pull->layers[i].current;
		total += pull->layers[i].total;
		done += pull->layers[i].is_done;
	}
	if (pull->count == 0)
		(void)fm_copy(dst, size, pull->status[0] ? pull->status : "asks the registry");
	else
		(void)fm_format(dst, size, "%u of %u layers, %.1f of %.1f MiB", done, pull->count,
				(double)current / 1048576, (double)total / 1048576);
}

/* ---- a container's output ---- */

static int
take_head(struct ag_frames *frames, struct fm_err *err)
{
	const unsigned char *h = frames->head;

	if (h[0] > 2 || h[1] || h[2] || h[3])
		return fm_fail(err, FM_ERR_PEER, 0, "the engine's output has no frames");
	frames->left = (uint32_t)h[4] << 24 | (uint32_t)h[5] << 16 | (uint32_t)h[6] << 8 | h[7];
	frames->have = 0;
	return 0;
}

int
ag_frames_add(struct ag_frames *frames, const char *bytes, size_t len,
	      void (*each)(void *arg, const char *text, size_t len), void *arg, struct fm_err *err)
{
	if (frames->is_raw) {
		each(arg, bytes, len);
		return 0;
	}
	while (len > 0) {
		size_t part = sizeof(frames->head) - frames->have;

		if (frames->left > 0) {
			part = frames->left < len ? frames->left : len;
			each(arg, bytes, part);
			frames->left -= (uint32_t)part;
		} else {
			if (part > len) part = len;
			memcpy(frames->head + frames->have, bytes, part);
			frames->have += part;
			if (frames->have == sizeof(frames->head) && take_head(frames, err) < 0)
				return -1;
		}
		bytes += part;
		len -= part;
	}
	return 0;
}

/* ---- an archive ---- */

int
ag_archive_add(struct ag_archive *archive, const char *bytes, size_t len, struct fm_err *err)
{
	if (len > sizeof(archive->bytes) - archive->len)
		return fm_fail(err, FM_ERR_LIMIT, 0, "the file is too long");
	memcpy(archive->bytes + archive->len, bytes, len);
	archive->len += len;
	return 0;
}

static bool
read_octal(const char *at, size_t len, size_t *ret)
{
	*ret = 0;
	for (size_t i = 0; i < len && at[i] && at[i] != ' '; i++) {
		if (at[i] < '0' || at[i] > '7' || *ret > SIZE_MAX >> 4) return false;
		*ret = *ret << 3 | (size_t)(at[i] - '0');
	}
	return true;
}

const char *
ag_archive_file(const struct ag_archive *archive, size_t *ret_len)
{
	size_t at = 0, size;

	while (archive->len - at >= TAR_BLOCK) {
		const char *head = archive->bytes + at;

		at += TAR_BLOCK;
		if (!head[0] || !read_octal(head + TAR_SIZE_AT, 12, &size)) return NULL;
		if (size > archive->len - at) return NULL;
		if (head[TAR_TYPE_AT] == '0' || head[TAR_TYPE_AT] == '\0') {
			*ret_len = size;
			return archive->bytes + at;
		}
		/* A long name or attributes, in blocks of their own. */
		size = (size + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
		if (size > archive->len - at) return NULL;
		at += size;
	}
	return NULL;
}
