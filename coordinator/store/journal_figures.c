/* journal_figures.c - what the journal tells in numbers. */
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "coordinator/run/journal.h"
#include "coordinator/store/journal_store.h"

int
co_journal_ends(struct co_journal *journal, co_journal_each_end *each, void *arg,
		struct fm_err *err)
{
	static const char sql[] = "select procedure, \"end\", count(*), max(run) from run "
				  "where \"end\" <> '' group by procedure, \"end\" order by 1, 2";
	_cleanup_(co_statement_free) sqlite3_stmt *s = NULL;
	int rc;

	if (sqlite3_prepare_v2(journal->db, sql, -1, &s, NULL) != SQLITE_OK)
		return co_journal_fail(journal, "read", err);
	while ((rc = sqlite3_step(s)) == SQLITE_ROW)
		each(arg, (const char *)sqlite3_column_text(s, 0),
		     (const char *)sqlite3_column_text(s, 1), (uint64_t)sqlite3_column_int64(s, 2),
		     (uint64_t)sqlite3_column_int64(s, 3));
	return rc == SQLITE_DONE ? 0 : co_journal_fail(journal, "read", err);
}

uint64_t
co_journal_bytes(const struct co_journal *journal)
{
	static const char *const endings[] = { "", "-wal" };
	char path[sizeof(journal->path) + 8];
	uint64_t sum = 0;

	for (size_t i = 0; i < sizeof(endings) / sizeof(*endings); i++) {
		struct stat is;

		FM_FORMAT(path, "%s%s", journal->path, endings[i]);
		if (stat(path, &is) == 0) sum += (uint64_t)is.st_size;
	}
	return sum;
}
