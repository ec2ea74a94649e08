/* journal_store.h - what the files of the journal share; nobody else includes it. */
#ifndef CO_STORE_JOURNAL_STORE_H
#define CO_STORE_JOURNAL_STORE_H

#include <sqlite3.h>
#include <stddef.h>

#include "base/err.h"

enum co_statement { CO_SQL_STATE, CO_SQL_RUN, CO_SQL_EVENT, CO_SQL_POINT, CO_SQL_COUNT };

struct co_journal {
	sqlite3 *db;
	int lock; /* held for our life; the file names our pid */
	sqlite3_stmt *writes[CO_SQL_COUNT];
	char path[4000];
};

/* Makes the tables, or brings them to this program's version. */
int co_journal_migrate(sqlite3 *db, const char *path, struct fm_err *err);

/* Fills err with what SQLite says now; returns -1. */
int co_journal_fail(struct co_journal *journal, const char *what, struct fm_err *err);

void co_statement_free(sqlite3_stmt **statement);

#endif
