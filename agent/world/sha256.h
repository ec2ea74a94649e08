/* sha256.h - SHA-256 by libcrypto, for the manifests of snapshots and releases. */
#ifndef AG_WORLD_SHA256_H
#define AG_WORLD_SHA256_H

#include <stddef.h>

#define AG_SHA256_HEX 65

struct ag_sha256 {
	struct evp_md_ctx_st *ctx;
};

void ag_sha256_init(struct ag_sha256 *sha);
void ag_sha256_add(struct ag_sha256 *sha, const void *data, size_t len);
void ag_sha256_hex(struct ag_sha256 *sha, char dst[AG_SHA256_HEX]); /* ends it */
void ag_sha256_drop(struct ag_sha256 *sha); /* for _cleanup_: ends it, too */

#endif
