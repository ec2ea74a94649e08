/* fuzz_bypass.c - the Cookie header and the token of a bypass, as anybody may send them: whatever is found
 * lies within what was given, and only what was made with the key is good. */
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "wire/bypass.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t key[FM_BYPASS_KEY_SIZE] = { 1, 2, 3 };
	struct fm_bypass now = { .run = 7, .expires = 1790000000 };
	const char *text = (const char *)data, *token = NULL;
	char again[FM_BYPASS_TOKEN_SIZE];
	size_t token_size = 0;
	int64_t expires = 0;

	if (!fm_bypass_find(FM_BYPASS_COOKIE, text, size, &token, &token_size)) {
		token = text;
		token_size = size;
	}
	CHECK(token >= text && token + token_size <= text + size);
	if (fm_bypass_check(key, token, token_size, &now, &expires) != FM_BYPASS_GOOD) return 0;
	now.expires = expires;
	CHECK(fm_bypass_make(key, &now, again));
	CHECK(strlen(again) == token_size && memcmp(again, token, token_size) == 0);
	return 0;
}
