/* database.h - whole databases: made like the application's, marked, dropped. A mark is the
 * comment on a database; what has a name of ours and no mark of the right kind was left half
 * done. */
#ifndef DB_DATABASE_H
#define DB_DATABASE_H

#include <stdbool.h>
#include <stddef.h>

#include "coordinator/store/dbjob/job.h"

#define DB_MARK_SIZE 240
#define DB_SQL_SIZE 1200

/* HOLDS is followed by restore point and checksum, FAILED by run, fence and restore point. */
#define DB_MARK_EMPTY "fermata: empty"
#define DB_MARK_FILLING "fermata: being filled"
#define DB_MARK_HOLDS "fermata: holds %s %s"
#define DB_MARK_FAILED "fermata: failed in run %llu, fence %llu, replaced from %s"

/* fermata_scratch_<run>_<database> and fermata_restore_<run>_<database>. Return dst. */
char *db_scratch_name(const struct db_job *job, char dst[DB_NAME_SIZE]);
char *db_restore_name(const struct db_job *job, char dst[DB_NAME_SIZE]);

/* Whether it exists, with its comment. 1, 0, or -1 with err. */
int db_find(struct db_job *job, const char *name, char mark[DB_MARK_SIZE], struct fm_err *err);
/* The same with the whole comment in fresh memory, "" when there is none. */
int db_find_comment(struct db_job *job, const char *name, char **ret, struct fm_err *err);
/* The name of a database of ours with this mark; 1, 0, or -1. */
int db_find_mark(struct db_job *job, const char *mark, char name[DB_NAME_SIZE], struct fm_err *err);

int db_mark(struct db_job *job, const char *name, const char *mark, struct fm_err *err);

/* The statement that makes an empty database like the application's: owner, encoding, collation,
 * tablespace. */
int db_create_sql(struct db_job *job, const char *name, char sql[DB_SQL_SIZE], struct fm_err *err);
int db_create(struct db_job *job, const char *name, struct fm_err *err);
int db_drop(struct db_job *job, const char *name, struct fm_err *err);

/* Drops every scratch and restore database of the application's database; how many goes to
 * *ret_count (may be NULL). */
int db_drop_copies(struct db_job *job, unsigned *ret_count, struct fm_err *err);

/* Gives `to` what a dump of `from` does not carry: settings, rights, the limit of connections. */
int db_carry_over(struct db_job *job, const char *from, const char *to, struct fm_err *err);

#endif
