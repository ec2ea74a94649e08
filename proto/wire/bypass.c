#include "wire/bypass.h"

#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#define MAC_SIZE 32
#define DIGITS (2 * (size_t)MAC_SIZE)

bool
fm_bypass_has_key(const uint8_t key[FM_BYPASS_KEY_SIZE])
{
	uint8_t any = 0;

	for (size_t i = 0; i < FM_BYPASS_KEY_SIZE; i++) any |= key[i];
	return any != 0;
}

/* The digits for a text, not terminated. */
static bool
digits_of(const uint8_t key[FM_BYPASS_KEY_SIZE], const char *text, size_t size, char dst[DIGITS])
{
	static const char hex[] = "0123456789abcdef";
	uint8_t mac[EVP_MAX_MD_SIZE];
	unsigned mac_size = 0;

	if (HMAC(EVP_sha256(), key, FM_BYPASS_KEY_SIZE, (const uint8_t *)text, size, mac,
		 &mac_size) == NULL ||
	    mac_size != MAC_SIZE)
		return false;
	for (size_t i = 0; i < MAC_SIZE; i++) {
		dst[2 * i] = hex[mac[i] >> 4];
		dst[2 * i + 1] = hex[mac[i] & 15];
	}
	return true;
}

bool
fm_bypass_make(const uint8_t key[FM_BYPASS_KEY_SIZE], const struct fm_bypass *grant,
	       char dst[FM_BYPASS_TOKEN_SIZE])
{
	int n = snprintf(dst, FM_BYPASS_TOKEN_SIZE, "1.%" PRIu64 ".%" PRId64 ".", grant->run,
			 grant->expires);

	if (n < 0 || (size_t)n + DIGITS >= FM_BYPASS_TOKEN_SIZE) return false;
	if (!digits_of(key, dst, (size_t)n, dst + n)) return false;
	dst[(size_t)n + DIGITS] = '\0';
	return true;
}

/* A decimal number that ends with a dot, *at moving behind it. At most 19 digits: it cannot overflow. */
static bool
take_number(const char **at, const char *end, uint64_t *ret)
{
	const char *p = *at;
	uint64_t number = 0;

	while (p < end && *p >= '0' && *p <= '9' && p - *at < 19)
		number = number * 10 + (uint64_t)(*p++ - '0');
	if (p == *at || p == end || *p != '.') return false;
	*at = p + 1;
	*ret = number;
	return true;
}

enum fm_bypass_verdict
fm_bypass_check(const uint8_t key[FM_BYPASS_KEY_SIZE], const char *token, size_t size,
		const struct fm_bypass *now, int64_t *expires)
{
	const char *at = token, *end = token + size;
	uint64_t version = 0, run = 0, until = 0;
	char digits[DIGITS];

	if (!take_number(&at, end, &version) || version != 1 || !take_number(&at, end, &run) ||
	    !take_number(&at, end, &until) || (size_t)(end - at) != DIGITS || until > INT64_MAX)
		return FM_BYPASS_BAD;
	if (!fm_bypass_has_key(key) || run != now->run) return FM_BYPASS_OTHER;
	if (!digits_of(key, token, (size_t)(at - token), digits) ||
	    CRYPTO_memcmp(digits, at, DIGITS) != 0)
		return FM_BYPASS_BAD;
	if ((int64_t)until <= now->expires) return FM_BYPASS_OVER;
	*expires = (int64_t)until;
	return FM_BYPASS_GOOD;
}

bool
fm_bypass_find(const char *name, const char *cookies, size_t size, const char **token,
	       size_t *token_size)
{
	const size_t length = strlen(name);
	const char *at = cookies, *end = cookies + size;

	while (at < end) {
		const char *stop = memchr(at, ';', (size_t)(end - at));

		if (stop == NULL) stop = end;
		while (at < stop && (*at == ' ' || *at == '\t')) at++;
		if ((size_t)(stop - at) > length && memcmp(at, name, length) == 0 &&
		    at[length] == '=') {
			at += length + 1;
			while (stop > at && (stop[-1] == ' ' || stop[-1] == '\t')) stop--;
			*token = at;
			*token_size = (size_t)(stop - at);
			return true;
		}
		at = stop + 1;
	}
	return false;
}
