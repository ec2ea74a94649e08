/* tool.h - pg_dump and pg_restore as children. They get the connection, password and all, by their
 * environment, never by their arguments, and die with us. */
#ifndef DB_TOOL_H
#define DB_TOOL_H

#include <stddef.h>

#include "coordinator/store/dbjob/job.h"

struct db_tool {
	const char *name;	 /* "pg_dump" */
	const char *const *argv; /* after the name; ends with NULL */
	const char *database;	 /* PGDATABASE; NULL: none */
	const char *options;	 /* of the server, "-c name=value"; NULL: none */
	const char *out;	 /* file for its standard output; NULL: none */
	const char *watch;	 /* file whose growth is progress; NULL: time is */
	const char *says;	 /* what it is doing, for people */
};

/* Runs it to its end. -1: it could not start, or failed; its own words are in err. */
int db_tool_run(struct db_job *job, const struct db_tool *tool, struct fm_err *err);

/* Where it is: in pg_bindir, else where Debian and the RPMs put the server's version, else in PATH.
 * Returns dst. */
char *db_tool_path(const struct db_job *job, const char *name, char *dst, size_t size);

/* Major version it says it has, 0 with err when it cannot be run. */
int db_tool_major(struct db_job *job, const char *name, struct fm_err *err);

#endif
