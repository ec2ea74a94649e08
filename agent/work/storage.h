/* storage.h - work on the application's storage: a snapshot, its restore, and what of both nobody wants any
 * more. Its paths are in snapshot.c and restore.c. */
#ifndef AG_WORK_STORAGE_H
#define AG_WORK_STORAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/settings.h"
#include "agent/work/say.h"
#include "base/err.h"

/* What a restore leaves in the storage. */
#define AG_STORAGE_NEW ".fermata-new"
#define AG_STORAGE_REPLACED ".fermata-replaced"

/* One part of the storage that belongs to a restore point. */
struct ag_part {
	const char *name;
	bool is_written_once; /* its files are never changed in place: a hard link is a copy */
};

extern const struct ag_part ag_parts[]; /* ends with name NULL */

int ag_work_snapshot(const struct ag_settings *s, const char *id, struct ag_done *ret,
		     struct fm_err *err);
/* Does the snapshot in folder hold all that its manifest says? */
int ag_snapshot_verify(const char *folder, const char *id, uint64_t *ret_bytes, struct fm_err *err);
/* serial: of this restore; a second one of the same snapshot is another. */
int ag_work_restore(const struct ag_settings *s, const char *id, const char *serial,
		    struct ag_done *ret, struct fm_err *err);
/* keep_id: a snapshot that stays whatever its age, or "". */
int ag_storage_sweep(const struct ag_settings *s, const char *keep_id, struct fm_err *err);

#endif
