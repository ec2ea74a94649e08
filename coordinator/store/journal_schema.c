/* journal_schema.c - the journal's tables, by versions: PRAGMA user_version says which one a file
 * has. */
#include "coordinator/store/journal_store.h"

static const char *const versions[] = {
/* 1 */
#include "schema.sql.inc"
};

#define VERSION ((int)(sizeof versions / sizeof versions[0]))

/* "FMTA": `file` and we know the journal by it. */
#define APPLICATION_ID 0x464d5441

static int
read_number(sqlite3 *db, const char *pragma, int *ret)
{
	sqlite3_stmt *statement = NULL;
	int rc = sqlite3_prepare_v2(db, pragma, -1, &statement, NULL);

	if (rc == SQLITE_OK) rc = sqlite3_step(statement);
	if (rc == SQLITE_ROW) *ret = sqlite3_column_int(statement, 0);
	sqlite3_finalize(statement);
	return rc == SQLITE_ROW ? 0 : -1;
}

static int
step_up(sqlite3 *db, int from)
{
	char mark[80];

	if (sqlite3_exec(db, "begin immediate", NULL, NULL, NULL) != SQLITE_OK) return -1;
	sqlite3_snprintf(sizeof mark, mark, "pragma user_version = %d; pragma application_id = %d",
			 from + 1, APPLICATION_ID);
	if (sqlite3_exec(db, versions[from], NULL, NULL, NULL) == SQLITE_OK &&
	    sqlite3_exec(db, mark, NULL, NULL, NULL) == SQLITE_OK &&
	    sqlite3_exec(db, "commit", NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	return -1;
}

int
co_journal_migrate(sqlite3 *db, const char *path, struct fm_err *err)
{
	int version = 0, id = 0;

	if (read_number(db, "pragma user_version", &version) < 0 ||
	    read_number(db, "pragma application_id", &id) < 0)
		return fm_fail(err, FM_ERR_IO, 0, "%s: %s", path, sqlite3_errmsg(db));
	if (version != 0 && id != APPLICATION_ID)
		return fm_fail(err, FM_ERR_CONFIG, 0,
			       "%s is a database of another program; name another file as journal",
			       path);
	if (version > VERSION)
		return fm_fail(
			err, FM_ERR_CONFIG, 0,
			"%s was written by a newer Fermata (journal version %d, this program "
			"knows %d); install that one again",
			path, version, VERSION);
	for (; version < VERSION; version++)
		if (step_up(db, version) < 0) {
			fm_fail(err, FM_ERR_IO, 0, "%s: make journal version %d: %s", path,
				version + 1, sqlite3_errmsg(db));
			sqlite3_exec(db, "rollback", NULL, NULL, NULL);
			return -1;
		}
	return 0;
}
