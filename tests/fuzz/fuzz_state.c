/* fuzz_state.c - the coordinator's durable state out of a journal that somebody else may have had in
 * hand: whatever is accepted can be kept, and is the same when it is read again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "coordinator/store/state_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ struct co_state *first = fm_new(struct co_state, 1);
	_cleanup_free_ struct co_state *second = fm_new(struct co_state, 1);
	_cleanup_free_ uint8_t *bytes = NULL, *again = NULL;
	size_t count, count_again;
	struct fm_err err;

	if (co_state_unpack(data, size, first, &err) < 0) return 0;
	bytes = co_state_pack(first, &count);
	CHECK(co_state_unpack(bytes, count, second, &err) == 0);
	again = co_state_pack(second, &count_again);
	CHECK(count == count_again && memcmp(bytes, again, count) == 0);
	return 0;
}
