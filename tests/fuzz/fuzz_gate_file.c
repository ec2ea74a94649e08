/* fuzz_gate_file.c - a file of the gate's state directory: as it is, and with the bytes of the input as its ask
 * under a good checksum, or that would be all that is found. What is accepted is the same when it is written
 * and read again. */
#include <stdint.h>
#include <string.h>
#include <zlib.h>

#include "base/check.h"
#include "base/text.h"
#include "ngx_module/fm_gate_file.h"

#define MOST 40000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
number(uint8_t *p, uint32_t n)
{
	for (int i = 0; i < 4; i++) p[i] = (uint8_t)(n >> (24 - 8 * i));
}

static void
read_one(const uint8_t *data, size_t size)
{
	uint8_t again[FM_GATE_FILE_MAX];
	struct fm_gate_ask first, second;

	if (!fm_gate_file_read(data, size, &first)) return;
	CHECK(first.mode != FM_GATE_NONE && first.mode <= FM_GATE_PINNED);
	CHECK(first.drained_count <= FM_NODES_MAX && first.phase < FM_PHASE_COUNT);
	for (unsigned i = 0; i < first.drained_count; i++)
		CHECK(fm_is_name(first.drained[i], FM_NAME_SIZE));
	CHECK(fm_gate_file_read(again, fm_gate_file_write(again, &first), &second));
	CHECK(memcmp(&first, &second, sizeof first) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t file[MOST + 16];

	read_one(data, size);
	if (size > MOST) return 0;
	memcpy(file, "FMGS\0\0\0\1", 8);
	number(file + 8, (uint32_t)size);
	memcpy(file + 12, data, size);
	number(file + 12 + size, (uint32_t)crc32(0, file, (uInt)(12 + size)));
	read_one(file, size + 16);
	return 0;
}
