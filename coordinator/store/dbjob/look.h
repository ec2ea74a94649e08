/* look.h - the application's own tables, by the settings that change their names (DB_SCHEMA,
 * DB_TABLE_PREFIX, DB_UNDERSCORED). */
#ifndef DB_LOOK_H
#define DB_LOOK_H

#include "coordinator/store/dbjob/job.h"

/* "schema"."prefix_name", quoted. Returns dst. */
char *db_table_name(const Fermata__JobOrder *order, const char *plain, const char *underscored,
		    char *dst, size_t size);

/* Fills version, installed and the counts of plugins; no such tables is no failure. */
int db_look_with(struct db_job *job, struct db_link *link, struct fm_err *err);

#endif
