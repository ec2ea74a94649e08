/* journal_read.c - what the journal tells: the state at a start, runs and timelines for people. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "coordinator/run/journal.h"
#include "coordinator/store/journal_store.h"

#define RUN_COLUMNS                                                                             \
	"run, procedure, args, who, state, \"end\", text, next, why, restore_point, began_ms, " \
	"ended_ms, closed_ms, opened_ms"

static int
prepare(struct co_journal *journal, const char *sql, sqlite3_stmt **ret, struct fm_err *err)
{
	if (sqlite3_prepare_v2(journal->db, sql, -1, ret, NULL) == SQLITE_OK) return 0;
	return co_journal_fail(journal, "read", err);
}

#define COPY_COLUMN(field, s, at) FM_COPY(field, (const char *)sqlite3_column_text((s), (at)))

int
co_journal_load(struct co_journal *journal, uint8_t **ret, size_t *ret_size, struct fm_err *err)
{
	_cleanup_(co_statement_free) sqlite3_stmt *s = NULL;
	int rc;

	*ret = NULL;
	*ret_size = 0;
	if (prepare(journal, "select body from state", &s, err) < 0) return -1;
	rc = sqlite3_step(s);
	if (rc == SQLITE_DONE) return 0;
	if (rc != SQLITE_ROW) return co_journal_fail(journal, "read", err);
	*ret_size = (size_t)sqlite3_column_bytes(s, 0);
	*ret = fm_new(uint8_t, *ret_size + 1);
	if (*ret_size) memcpy(*ret, sqlite3_column_blob(s, 0), *ret_size);
	return 0;
}

static void
take_run(sqlite3_stmt *s, void *item)
{
	struct co_run_row *row = item;

	row->run = (uint64_t)sqlite3_column_int64(s, 0);
	COPY_COLUMN(row->procedure, s, 1);
	COPY_COLUMN(row->args, s, 2);
	COPY_COLUMN(row->who, s, 3);
	COPY_COLUMN(row->state, s, 4);
	COPY_COLUMN(row->end, s, 5);
	COPY_COLUMN(row->text, s, 6);
	COPY_COLUMN(row->next, s, 7);
	COPY_COLUMN(row->why, s, 8);
	COPY_COLUMN(row->restore_point, s, 9);
	row->began_ms = sqlite3_column_int64(s, 10);
	row->ended_ms = sqlite3_column_int64(s, 11);
	row->closed_ms = sqlite3_column_int64(s, 12);
	row->opened_ms = sqlite3_column_int64(s, 13);
}

static void
take_event(sqlite3_stmt *s, void *item)
{
	struct co_event_row *row = item;

	row->run = (uint64_t)sqlite3_column_int64(s, 0);
	row->number = (uint64_t)sqlite3_column_int64(s, 1);
	row->at_ms = sqlite3_column_int64(s, 2);
	row->took_ms = sqlite3_column_int64(s, 3);
	COPY_COLUMN(row->kind, s, 4);
	COPY_COLUMN(row->step, s, 5);
	COPY_COLUMN(row->text, s, 6);
}

static void
take_point(sqlite3_stmt *s, void *item)
{
	struct co_point_row *row = item;

	COPY_COLUMN(row->id, s, 0);
	row->run = (uint64_t)sqlite3_column_int64(s, 1);
	COPY_COLUMN(row->version, s, 2);
	COPY_COLUMN(row->node, s, 3);
	row->at_ms = sqlite3_column_int64(s, 4);
	row->database_bytes = (uint64_t)sqlite3_column_int64(s, 5);
	row->storage_bytes = (uint64_t)sqlite3_column_int64(s, 6);
	row->tables = (uint64_t)sqlite3_column_int64(s, 7);
	row->rows = (uint64_t)sqlite3_column_int64(s, 8);
	row->verified = sqlite3_column_int(s, 9);
	row->swept = sqlite3_column_int(s, 10);
}

/* All rows of a bound statement as an array in fresh memory. */
struct rows {
	void (*take)(sqlite3_stmt *s, void *item);
	size_t item_size;
	char *items;
	unsigned count, room;
};

static int
read_all(struct co_journal *journal, sqlite3_stmt *s, struct rows *rows, struct fm_err *err)
{
	int rc;

	while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
		if (rows->count == rows->room) {
			unsigned room = rows->room ? 2 * rows->room : 16;
			char *more = fm_new_bytes(room, rows->item_size);

			if (rows->count) memcpy(more, rows->items, rows->count * rows->item_size);
			free(rows->items);
			rows->items = more;
			rows->room = room;
		}
		rows->take(s, rows->items + rows->count++ * rows->item_size);
	}
	if (rc == SQLITE_DONE) return 0;
	free(TAKE(rows->items));
	return co_journal_fail(journal, "read", err);
}

int
co_journal_runs(struct co_journal *journal, unsigned most, struct co_run_row **ret,
		unsigned *ret_count, struct fm_err *err)
{
	_cleanup_(co_statement_free) sqlite3_stmt *s = NULL;
	struct rows rows = { .take = take_run, .item_size = sizeof(struct co_run_row) };

	if (prepare(journal, "select " RUN_COLUMNS " from run order by run desc limit ?1", &s,
		    err) < 0)
		return -1;
	sqlite3_bind_int64(s, 1, most);
	if (read_all(journal, s, &rows, err) < 0) return -1;
	*ret = (struct co_run_row *)(void *)rows.items;
	*ret_count = rows.count;
	return 0;
}

int
co_journal_run(struct co_journal *journal, uint64_t run, struct co_run_row *ret, struct fm_err *err)
{
	_cleanup_(co_statement_free) sqlite3_stmt *s = NULL;
	int rc;

	if (prepare(journal, "select " RUN_COLUMNS " from run where run = ?1", &s, err) < 0)
		return -1;
	sqlite3_bind_int64(s, 1, (sqlite3_int64)run);
	rc = sqlite3_step(s);
	if (rc == SQLITE_DONE)
		return fm_fail(err, FM_ERR_REFUSED, 0, "there is no run %llu; type: fermata runs",
			       (unsigned long long)run);
	if (rc != SQLITE_ROW) return co_journal_fail(journal, "read", err);
	take_run(s, ret);
	return 0;
}

int
co_journal_events(struct co_journal *journal, uint64_t run, uint64_t after, unsigned most,
		  struct co_event_row **ret, unsigned *ret_count, struct fm_err *err)
{
	_cleanup_(co_statement_free) sqlite3_stmt *s = NULL;
	struct rows rows = { .take = take_event, .item_size = sizeof(struct co_event_row) };

	if (prepare(journal,
		    "select run, number, at_ms, took_ms, kind, step, text from event "
		    "where run = ?1 and number > ?2 order by number limit ?3",
		    &s, err) < 0)
		return -1;
	sqlite3_bind_int64(s, 1, (sqlite3_int64)run);
	sqlite3_bind_int64(s, 2, (sqlite3_int64)after);
	sqlite3_bind_int64(s, 3, most);
	if (read_all(journal, s, &rows, err) < 0) return -1;
	*ret = (struct co_event_row *)(void *)rows.items;
	*ret_count = rows.count;
	return 0;
}

int
co_journal_points(struct co_journal *journal, struct co_point_row **ret, unsigned *ret_count,
		  struct fm_err *err)
{
	_cleanup_(co_statement_free) sqlite3_stmt *s = NULL;
	struct rows rows = { .take = take_point, .item_size = sizeof(struct co_point_row) };

	if (prepare(journal,
		    "select id, run, version, node, at_ms, database_bytes, storage_bytes, tables, "
		    "rows, verified, swept from point where not swept order by at_ms desc, id desc",
		    &s, err) < 0)
		return -1;
	if (read_all(journal, s, &rows, err) < 0) return -1;
	*ret = (struct co_point_row *)(void *)rows.items;
	*ret_count = rows.count;
	return 0;
}

int64_t
co_journal_median_ms(struct co_journal *journal, const char *procedure, const char *step,
		     unsigned most)
{
	static const char sql[] =
		"with took as (select e.took_ms, row_number() over (order by e.took_ms) as place, "
		"count(*) over () as count from (select event.took_ms from event join run using "
		"(run) "
		"where kind = 'done' and step = ?1 and procedure = ?2 "
		"order by event.run desc, number desc limit ?3) e) "
		"select took_ms from took where place = (count + 1) / 2";
	_cleanup_(co_statement_free) sqlite3_stmt *s = NULL;

	if (prepare(journal, sql, &s, NULL) < 0) return -1;
	sqlite3_bind_text(s, 1, step, -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 2, procedure, -1, SQLITE_STATIC);
	sqlite3_bind_int64(s, 3, most);
	return sqlite3_step(s) == SQLITE_ROW ? sqlite3_column_int64(s, 0) : -1;
}
