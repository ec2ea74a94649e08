/* disk.h - the releases of this node: complete ones, the one `current` names, and switching. */
#ifndef AG_WORLD_DISK_H
#define AG_WORLD_DISK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "wire/ask.h"

struct ag_disk {
	char current[FM_VERSION_SIZE]; /* "" when the link is missing or leads elsewhere */
	unsigned count;
	char releases[FM_RELEASES_MAX][FM_VERSION_SIZE]; /* in the order of their names */
};

void ag_disk_scan(const char *root, struct ag_disk *ret);

/* The version that the code in folder says it has: node_modules/@nocobase/server/package.json. */
bool ag_disk_version(const char *folder, char *dst, size_t size);

/* The version of the package in folder: its package.json. */
bool ag_disk_package_version(const char *folder, char *dst, size_t size);

/* Points root/current at releases/<release>, atomically and durably. */
int ag_disk_link(const char *root, const char *release, struct fm_err *err);

/* Durable names of what was made, renamed or removed in a folder. */
int ag_disk_sync(const char *folder, struct fm_err *err);

#endif
