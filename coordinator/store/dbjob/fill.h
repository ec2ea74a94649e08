/* fill.h - a restore point into an empty database, and the proof that it came back whole. */
#ifndef DB_FILL_H
#define DB_FILL_H

#include "coordinator/store/dbjob/database.h"
#include "coordinator/store/dbjob/point.h"

/* Restores into `database`, which is empty and ours. */
int db_fill(struct db_job *job, const struct db_point *point, const char *database,
	    struct fm_err *err);

/* The facts of a database, and of `against` at the same time (may be NULL). New references. */
int db_read_facts(struct db_job *job, const char *database, const char *against, bool with_sums,
		  json_t **ret, json_t **ret_against, struct fm_err *err);

/* Fails, with the first differences, unless both are the same. Fills the report's counts. */
int db_compare_facts(struct db_job *job, const json_t *want, const json_t *got, struct fm_err *err);

/* The mark of a database that holds the restore point, proved. */
char *db_holds_mark(const struct db_point *point, const char *id, char dst[DB_MARK_SIZE]);

#endif
