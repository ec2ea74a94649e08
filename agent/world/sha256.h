/* sha256.h - SHA-256 (FIPS 180-4), for the manifests of snapshots. */
#ifndef AG_WORLD_SHA256_H
#define AG_WORLD_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define AG_SHA256_HEX 65

struct ag_sha256 {
	uint32_t state[8];
	uint64_t bytes;
	uint8_t block[64];
};

void ag_sha256_init(struct ag_sha256 *sha);
void ag_sha256_add(struct ag_sha256 *sha, const void *data, size_t len);
void ag_sha256_hex(struct ag_sha256 *sha, char dst[AG_SHA256_HEX]); /* ends it */

#endif
