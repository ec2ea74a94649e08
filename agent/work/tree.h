/* tree.h - copying and removing whole folders. Links are never followed out of a tree. */
#ifndef AG_WORK_TREE_H
#define AG_WORK_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/world/sha256.h"
#include "base/err.h"

struct ag_copied {
	const char *path; /* below the tree's root */
	uint64_t bytes;
	bool is_link; /* a hard link: the same file, its contents were not read */
	bool is_symlink;
	char sha256[AG_SHA256_HEX]; /* "-" for links */
};

/* Copies from (a folder) to `to`, which must not exist, with modes, owners and times; durably.
 * may_link: regular files become hard links where the file system allows. Sockets and the like are
 * left out. each() is told of every file; -1 from it ends the copying. */
int ag_tree_copy(const char *from, const char *to, bool may_link,
		 int (*each)(void *arg, const struct ag_copied *copied, struct fm_err *err),
		 void *arg, struct fm_err *err);

/* Of a regular file, durable. */
int ag_file_copy(const char *from, const char *to, struct ag_copied *ret, struct fm_err *err);
int ag_file_sha256(const char *path, char dst[AG_SHA256_HEX], uint64_t *ret_bytes,
		   struct fm_err *err);

/* With all that is in it. What does not exist is removed already. */
int ag_tree_remove(const char *path, struct fm_err *err);

#endif
