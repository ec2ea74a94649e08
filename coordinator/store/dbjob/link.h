/* link.h - one connection to PostgreSQL, blocking, with a limit for coming up. */
#ifndef DB_LINK_H
#define DB_LINK_H

#include <libpq-fe.h>
#include <stdbool.h>

#include "base/err.h"

#define DB_STATE_SIZE 6

struct db_link {
	PGconn *conn;
	char sqlstate[DB_STATE_SIZE]; /* of the last failure, empty when the server gave none */
	bool is_fenced;		      /* of db_link_open(): the role is not permitted to log in */
};

/* Connects with conninfo (a password comes from it, a passfile or the environment), to `database`
 * when that is not empty. */
int db_link_open(struct db_link *link, const char *conninfo, const char *database,
		 struct fm_err *err);
void db_link_close(struct db_link *link); /* half-made ones too */

/* One statement, or several without parameters. The result is the caller's (db_result_free), NULL
 * with err when it failed. */
PGresult *db_query(struct db_link *link, struct fm_err *err, const char *sql);
PGresult *db_query_with(struct db_link *link, struct fm_err *err, const char *sql, int count,
			const char *const *values);
/* The result of a query sent before with PQsendQuery(). */
PGresult *db_take(struct db_link *link, struct fm_err *err);
/* A statement whose result nobody wants; made of fmt: names in it must be fm_is_name(). */
int db_run(struct db_link *link, struct fm_err *err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

void db_result_free(PGresult **result);
/* A field as text; "" for null. */
const char *db_field(const PGresult *result, int row, int column);
unsigned long long db_number(const PGresult *result, int row, int column);
bool db_truth(const PGresult *result, int row, int column);

bool db_is_state(const struct db_link *link, const char *sqlstate);

/* The value of a keyword of a conninfo (postgres:// or key=value), "" when it is not there.
 * Returns dst. */
char *db_conninfo_value(const char *conninfo, const char *keyword, char *dst, size_t size);

#endif
