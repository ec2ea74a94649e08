#include "agent/world/sha256.h"

#include <openssl/evp.h>
#include <stdio.h>

#include "base/check.h"

void
ag_sha256_init(struct ag_sha256 *sha)
{
	sha->ctx = EVP_MD_CTX_new();
	CHECK(sha->ctx && EVP_DigestInit_ex(sha->ctx, EVP_sha256(), NULL) == 1);
}

void
ag_sha256_add(struct ag_sha256 *sha, const void *data, size_t len)
{
	CHECK(EVP_DigestUpdate(sha->ctx, data, len) == 1);
}

void
ag_sha256_hex(struct ag_sha256 *sha, char dst[AG_SHA256_HEX])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned size = 0;

	CHECK(EVP_DigestFinal_ex(sha->ctx, digest, &size) == 1);
	CHECK(2 * size + 1 == AG_SHA256_HEX);
	for (unsigned i = 0; i < size; i++) (void)snprintf(dst + 2 * i, 3, "%02x", digest[i]);
	ag_sha256_drop(sha);
}

void
ag_sha256_drop(struct ag_sha256 *sha)
{
	EVP_MD_CTX_free(sha->ctx);
	sha->ctx = NULL;
}
