/* fuzz_gate_language.c - the header Accept-Language of a visitor: whatever it says, it is a language of ours,
 * and the same whether its bytes are followed by others or not. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "ngx_module/fm_gate_words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *longer = fm_new_bytes(size + 2, 1);
	unsigned language = fm_gate_language((const char *)data, size);

	CHECK(language < FM_GATE_LANGUAGES);
	if (size) memcpy(longer, data, size);
	memcpy(longer + size, "9", 2);
	CHECK(fm_gate_language(longer, size) == language);
	return 0;
}
