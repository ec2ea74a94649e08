/* fuzz_engine.c - what a container engine answers: a stream in pieces, a frame of output, an archive, a
 * container's settings, a file of credentials. The first byte says which, the second the pieces. */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/runtimes/docker.h"
#include "agent/runtimes/docker_spec.h"
#include "agent/runtimes/docker_stream.h"
#include "agent/runtimes/docker_text.h"
#include "base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct fm_err err;

static int
take_line(void *arg, const char *line, size_t len, struct fm_err *why)
{
	char text[64];
	int r = ag_pull_line(arg, line, len, why);

	ag_pull_text(arg, text, sizeof(text));
	CHECK(strnlen(text, sizeof(text)) < sizeof(text));
	return r;
}

static void
count(void *arg, const char *text, size_t len)
{
	(void)text;
	*(size_t *)arg += len;
}

static void
streams(const char *text, size_t size, size_t piece)
{
	static struct ag_lines lines;
	static struct ag_pull pull;
	static struct ag_archive archive;
	struct ag_frames frames = { .is_raw = false };
	const char *file;
	size_t seen = 0, len = 0;

	lines.len = 0;
	archive.len = 0;
	memset(&pull, 0, sizeof(pull));
	for (size_t at = 0; at < size; at += piece) {
		size_t part = size - at < piece ? size - at : piece;

		(void)ag_lines_add(&lines, text + at, part, take_line, &pull, &err);
		(void)ag_archive_add(&archive, text + at, part, &err);
		if (frames.have < sizeof(frames.head))
			(void)ag_frames_add(&frames, text + at, part, count, &seen, &err);
	}
	CHECK(seen <= size);
	file = ag_archive_file(&archive, &len);
	if (file) CHECK(file >= archive.bytes && file + len <= archive.bytes + archive.len);
}

static void
settings(const char *text, size_t size)
{
	static const struct ag_docker_change change = { .image = "sha256:n",
							.node = "n",
							.version = "2.2.16",
							.digest = "d",
							.restart = "no" };
	json_t *root = json_loadb(text, size, 0, NULL), *spec, *networks;
	static struct ag_settings s;
	char path[64], name[32];
	char *dotenv;

	if (!root) return;
	spec = ag_docker_spec(root, json_object_get(root, "image"), &change, &err);
	if (spec) CHECK(strcmp(ag_docker_text_at(spec, "Image"), "sha256:n") == 0);
	networks = ag_docker_networks(root);
	(void)ag_docker_host_path(root, "/app/nocobase/storage", path, sizeof(path));
	(void)ag_docker_name(&s, root, name, sizeof(name), &err);
	dotenv = ag_docker_dotenv(root, "h:1");
	free(dotenv);
	json_decref(networks);
	json_decref(spec);
	json_decref(root);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data + 2;
	char header[300];

	if (size < 3) return 0;
	size -= 2;
	if (data[0] % 3 == 0) streams(text, size, (size_t)data[1] + 1);
	if (data[0] % 3 == 1) settings(text, size);
	if (data[0] % 3 == 2)
		(void)ag_docker_auth(text, size, "r.example", header, sizeof(header), &err);
	return 0;
}
