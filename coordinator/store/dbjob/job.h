/* job.h - what every job sees. fermata-dbjob does one job a life: main.c reads the order,
 * connects and guards as the job's row says, and reports what the job leaves here. db_ is this
 * program's prefix.
 *
 * Every job may be killed between any two of its statements, and may be repeated: it looks at
 * what is there first. */
#ifndef DB_JOB_H
#define DB_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "coordinator/store/dbjob/link.h"
#include "schema/envelope.pb-c.h"
#include "wire/ask.h"

/* PostgreSQL's own limit for names, and what we put before and after the application's database. */
#define DB_NAME_SIZE 64
#define DB_NAME_MOST 38

struct db_job {
	const Fermata__JobOrder *order;
	struct db_link admin;		/* to the maintenance database */
	char maintenance[DB_NAME_SIZE]; /* the admin's, never the application's */
	uint64_t fences;		/* which closing of the role this is; 0: none yet */
	bool may_login;			/* the application's role */
	char text[FM_TEXT_SIZE], version[FM_VERSION_SIZE], kept[DB_NAME_SIZE];
	char sqlstate[DB_STATE_SIZE];
	char sql[FM_SQL_SIZE], sql_waits[FM_SQL_SIZE];
	Fermata__JobReport report;
};

/* say.c: progress; and what is true at the end. */
void db_progress(struct db_job *job, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void db_say(struct db_job *job, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The jobs. 0, or -1 with err. */
int db_look(struct db_job *job, struct fm_err *err);
int db_fence(struct db_job *job, struct fm_err *err);
int db_unfence(struct db_job *job, struct fm_err *err);
int db_dump(struct db_job *job, struct fm_err *err);
int db_verify(struct db_job *job, struct fm_err *err);
int db_restore(struct db_job *job, struct fm_err *err);
int db_sweep(struct db_job *job, struct fm_err *err);
int db_activity(struct db_job *job, struct fm_err *err);
int db_preflight(struct db_job *job, struct fm_err *err);

#endif
