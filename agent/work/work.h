/* work.h - work that blocks: fetching a release and switching to it, a snapshot of the storage and
 * its restore, sweeping. It is done by a child of the agent, which is the same program started with --work; what
 * it says on its standard output is read by agent/world/worker.c:
 *   progress TEXT      any number of times
 *   done BYTES TEXT    or
 *   failed TEXT        once, last
 * Everything here may be killed at any moment and be begun anew. */
#ifndef AG_WORK_WORK_H
#define AG_WORK_WORK_H

#include <stdint.h>

#include "agent/settings.h"
#include "base/err.h"

#define AG_WORK_RUNTIME "runtime" /* kind: what the runtime orders itself */
#define AG_STORAGE_NEW ".fermata-new"
#define AG_STORAGE_REPLACED ".fermata-replaced"

/* One part of the storage that belongs to a restore point. */
struct ag_part {
	const char *name;
	bool is_written_once; /* its files are never changed in place: a hard link is a copy */
};

extern const struct ag_part ag_parts[]; /* ends with name NULL */

struct ag_done {
	uint64_t bytes;
	char text[FM_TEXT_SIZE];
};

/* argc/argv: kind and its arguments. Exit status. */
int ag_work_main(struct ag_settings *settings, int argc, char **argv);

__attribute__((format(printf, 1, 2))) void ag_work_say(const char *fmt, ...);

int ag_work_snapshot(const struct ag_settings *s, const char *id, struct ag_done *ret,
		     struct fm_err *err);
/* serial: of this restore; a second one of the same snapshot is another. */
int ag_work_restore(const struct ag_settings *s, const char *id, const char *serial,
		    struct ag_done *ret, struct fm_err *err);
/* Releases go by the runtime. keep: those that stay, ends with NULL. keep_id: a snapshot that stays
 * whatever its age, or "". */
int ag_work_sweep(const struct ag_settings *s, const char *const *keep, const char *keep_id,
		  struct ag_done *ret, struct fm_err *err);

/* Its rows are in facts.c. */
int ag_work_facts(const struct ag_settings *s, struct ag_done *ret, struct fm_err *err);

/* snapshot.c: does the snapshot in folder hold all that its manifest says? */
int ag_snapshot_verify(const char *folder, const char *id, uint64_t *ret_bytes, struct fm_err *err);

#endif
