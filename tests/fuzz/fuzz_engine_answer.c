/* fuzz_engine_answer.c - what a container engine answers, as HTTP: in pieces it is the same as in one. The
 * first byte says how long they are. */
#include <stdint.h>
#include <string.h>

#include "agent/runtimes/engine.h"
#include "agent/runtimes/engine_answer.h"
#include "base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
count(void *arg, const char *bytes, size_t len, struct fm_err *err)
{
	(void)bytes;
	(void)err;
	*(size_t *)arg += len;
	return 0;
}

static int
read_all(struct ag_reading *reading, const char *text, size_t size, size_t piece)
{
	struct fm_err err;
	int r = 0;

	for (size_t at = 0; r == 0 && at < size; at += piece)
		r = ag_reading_add(reading, text + at, size - at < piece ? size - at : piece, &err);
	return r ? r : ag_reading_end(reading, &err);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ag_reading whole = { 0 }, pieces = { 0 }, streamed = { 0 };
	const char *text = (const char *)data + 1;
	size_t seen = 0;
	int r;

	if (size < 2) return 0;
	ag_reading_begin(&whole, NULL, NULL);
	ag_reading_begin(&pieces, NULL, NULL);
	ag_reading_begin(&streamed, count, &seen);
	r = read_all(&whole, text, size - 1, size);
	CHECK(read_all(&pieces, text, size - 1, (size_t)data[0] + 1) == r);
	CHECK(read_all(&streamed, text, size - 1, (size_t)data[0] + 1) == r);
	CHECK(whole.is_whole == (r == 1) && whole.status == pieces.status);
	CHECK(whole.len == pieces.len && whole.len == streamed.len + seen && whole.len < size);
	CHECK(whole.len == 0 || memcmp(whole.body, pieces.body, whole.len) == 0);
	ag_reading_free(&whole);
	ag_reading_free(&pieces);
	ag_reading_free(&streamed);
	return 0;
}
