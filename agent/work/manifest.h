/* manifest.h - what a release held when it was fetched: a checksum, the size and the name of each file, and
 * a last line that says that it is whole. */
#ifndef AG_WORK_MANIFEST_H
#define AG_WORK_MANIFEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define AG_MANIFEST ".fermata-manifest"

struct ag_extent {
	uint64_t bytes, files;
};

/* Of the folder as it is; durable when this returns. Two folders with the same files have the same
 * manifest, byte by byte. */
int ag_manifest_write(const char *folder, struct ag_extent *ret, struct fm_err *err);

/* Is every file there, of its size? A look at names, not at contents: it is done while visitors wait.
 * Without a manifest, or with one that was spent, there is nothing to say. */
int ag_manifest_check(const char *folder, struct fm_err *err);
/* The release is about to be started, and may change its own files from now on. */
void ag_manifest_spend(const char *folder);

/* Of the files below it, by its manifest if it has one. false: there is none. */
bool ag_extent_of(const char *folder, struct ag_extent *ret);

#endif
