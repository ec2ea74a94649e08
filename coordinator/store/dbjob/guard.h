/* guard.h - one voice in the database (I5). The highest epoch that ever spoke to it is kept
 * there, in public.fermata_epoch of the maintenance database; a lower one is refused, and the job
 * of an earlier order that still runs is ended before the next begins. */
#ifndef DB_GUARD_H
#define DB_GUARD_H

#include "coordinator/store/dbjob/job.h"

/* Raises the epoch, or refuses with FM_ERR_STALE; then takes the cluster's lock for our life. */
int db_guard(struct db_job *job, struct fm_err *err);

/* Whether we are the voice still; before what cannot be taken back. In a transaction the answer
 * holds until its end. */
int db_guard_check(struct db_job *job, struct fm_err *err);

/* Refuses when the epoch there is higher; writes nothing. */
int db_guard_look(struct db_job *job, struct fm_err *err);

/* Reads job->may_login and job->fences. */
int db_read_fence(struct db_job *job, struct fm_err *err);

/* Refuses unless the role may not log in and none of its backends is left. */
int db_need_fence(struct db_job *job, struct fm_err *err);

/* Sleeps that long; for conditions that can only be looked at. */
void db_pause(int ms);

#endif
