/* journal_sqlite.c - the journal in SQLite: opened by one process, written in whole commits. WAL
 * with synchronous=FULL: a commit is on the disk when it returns, and a torn one is not there at
 * all. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/lock.h"
#include "base/text.h"
#include "coordinator/run/journal.h"
#include "coordinator/store/journal_store.h"

/* A person may look with sqlite3 meanwhile; so long we wait for him. */
#define BUSY_MS 2000

static const char *const writes[CO_SQL_COUNT] = {
	[CO_SQL_STATE] = "insert or replace into state (one, body) values (1, ?1)",
	[CO_SQL_RUN] =
		"insert or replace into run (run, procedure, args, who, state, \"end\", text, "
		"next, why, restore_point, began_ms, ended_ms, closed_ms, opened_ms) "
		"values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
	[CO_SQL_EVENT] = "insert or replace into event (run, number, at_ms, took_ms, kind, step, "
			 "text) values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	[CO_SQL_POINT] = "insert or replace into point (id, run, version, node, at_ms, "
			 "database_bytes, storage_bytes, tables, rows, verified, swept) "
			 "values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
};

int
co_journal_fail(struct co_journal *journal, const char *what, struct fm_err *err)
{
	return fm_fail(err, FM_ERR_IO, 0, "%s: %s: %s", journal->path, what,
		       sqlite3_errmsg(journal->db));
}

void
co_statement_free(sqlite3_stmt **statement)
{
	sqlite3_finalize(*statement);
	*statement = NULL;
}

static void
journal_freep(struct co_journal **journal)
{
	co_journal_close(*journal);
	*journal = NULL;
}

/* The lock is the kernel's, so that it ends with us however we end; the pid in it is for people. */
static int
take_lock(struct co_journal *journal, struct fm_err *err)
{
	char path[sizeof journal->path + 8];
	char pid[32] = "";

	FM_FORMAT(path, "%s.lock", journal->path);
	journal->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (journal->lock < 0) return fm_fail(err, FM_ERR_IO, errno, "open %s", path);
	if (fm_lock(journal->lock) < 0) {
		if (errno != EWOULDBLOCK) return fm_fail(err, FM_ERR_IO, errno, "lock %s", path);
		if (pread(journal->lock, pid, sizeof pid - 1, 0) < 0) pid[0] = '\0';
		pid[strcspn(pid, "\n")] = '\0';
		return fm_fail(
			err, FM_ERR_REFUSED, 0,
			"%s is in use by another coordinator, process %s; stop that one first",
			journal->path, fm_is_empty(pid) ? "unknown" : pid);
	}
	FM_FORMAT(pid, "%ld\n", (long)getpid());
	if (ftruncate(journal->lock, 0) < 0 ||
	    pwrite(journal->lock, pid, strlen(pid), 0) != (ssize_t)strlen(pid))
		return fm_fail(err, FM_ERR_IO, errno, "write %s", path);
	return 0;
}

static int
sync_folder(const char *path)
{
	_cleanup_free_ char *copy = fm_strdup(path);
	_cleanup_close_ int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -1 : fsync(fd);
}

/* SQLite gives -wal and -shm the mode of the file it finds. */
static int
make_file(struct co_journal *journal, struct fm_err *err)
{
	_cleanup_close_ int fd = open(journal->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
				      0600);

	if (fd < 0 || fchmod(fd, 0600) < 0 || sync_folder(journal->path) < 0)
		return fm_fail(err, FM_ERR_IO, errno, "open %s", journal->path);
	return 0;
}

static int
damaged(struct co_journal *journal, const char *what, struct fm_err *err)
{
	return fm_fail(
		err, FM_ERR_IO, 0,
		"the journal %s is damaged (%s); keep a copy of it, then either save what can "
		"be read (sqlite3 %s .recover | sqlite3 NEW) or move it away: the coordinator "
		"then begins anew, without its history",
		journal->path, what, journal->path);
}

static int
check_file(struct co_journal *journal, struct fm_err *err)
{
	_cleanup_(co_statement_free) sqlite3_stmt *check = NULL;
	const char *said;

	if (sqlite3_prepare_v2(journal->db, "pragma quick_check(1)", -1, &check, NULL) ||
	    sqlite3_step(check) != SQLITE_ROW)
		return damaged(journal, sqlite3_errmsg(journal->db), err);
	said = (const char *)sqlite3_column_text(check, 0);
	return fm_is_equal(said, "ok") ? 0 : damaged(journal, said ? said : "no answer", err);
}

static int
open_database(struct co_journal *journal, struct fm_err *err)
{
	static const char setup[] = "pragma journal_mode = wal; pragma synchronous = full;"
				    "pragma foreign_keys = on; pragma trusted_schema = off";
	int rc = sqlite3_open_v2(journal->path, &journal->db,
				 SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);

	if (rc != SQLITE_OK) return co_journal_fail(journal, "open", err);
	sqlite3_extended_result_codes(journal->db, 1);
	sqlite3_busy_timeout(journal->db, BUSY_MS);
	if (check_file(journal, err) < 0) return -1;
	if (co_journal_migrate(journal->db, journal->path, err) < 0) return -1;
	if (sqlite3_exec(journal->db, setup, NULL, NULL, NULL) != SQLITE_OK)
		return co_journal_fail(journal, "open", err);
	for (int i = 0; i < CO_SQL_COUNT; i++)
		if (sqlite3_prepare_v3(journal->db, writes[i], -1, SQLITE_PREPARE_PERSISTENT,
				       &journal->writes[i], NULL) != SQLITE_OK)
			return co_journal_fail(journal, "open", err);
	return 0;
}

int
co_journal_open(const char *path, struct co_journal **ret, struct fm_err *err)
{
	_cleanup_(journal_freep) struct co_journal *journal = fm_new(struct co_journal, 1);

	journal->lock = -1;
	if (!FM_COPY(journal->path, path))
		return fm_fail(err, FM_ERR_LIMIT, 0, "the journal's path is too long");
	if (take_lock(journal, err) < 0 || make_file(journal, err) < 0 ||
	    open_database(journal, err) < 0)
		return -1;
	*ret = TAKE(journal);
	return 0;
}

void
co_journal_close(struct co_journal *journal)
{
	if (!journal) return;
	for (int i = 0; i < CO_SQL_COUNT; i++) co_statement_free(&journal->writes[i]);
	sqlite3_close(journal->db);
	fm_closep(&journal->lock);
	free(journal);
}

static void
bind_text(sqlite3_stmt *statement, int at, const char *text)
{
	sqlite3_bind_text(statement, at, text, -1, SQLITE_STATIC);
}

static void
bind_run(sqlite3_stmt *s, const struct co_run_row *row)
{
	const char *const texts[] = { row->procedure, row->args, row->who,
				      row->state,     row->end,	 row->text,
				      row->next,      row->why,	 row->restore_point };
	const int64_t times[] = { row->began_ms, row->ended_ms, row->closed_ms, row->opened_ms };

	sqlite3_bind_int64(s, 1, (sqlite3_int64)row->run);
	for (int i = 0; i < 9; i++) bind_text(s, 2 + i, texts[i]);
	for (int i = 0; i < 4; i++) sqlite3_bind_int64(s, 11 + i, times[i]);
}

static void
bind_event(sqlite3_stmt *s, const struct co_event_row *row)
{
	sqlite3_bind_int64(s, 1, (sqlite3_int64)row->run);
	sqlite3_bind_int64(s, 2, (sqlite3_int64)row->number);
	sqlite3_bind_int64(s, 3, row->at_ms);
	sqlite3_bind_int64(s, 4, row->took_ms);
	bind_text(s, 5, row->kind);
	bind_text(s, 6, row->step);
	bind_text(s, 7, row->text);
}

static void
bind_point(sqlite3_stmt *s, const struct co_point_row *row)
{
	bind_text(s, 1, row->id);
	sqlite3_bind_int64(s, 2, (sqlite3_int64)row->run);
	bind_text(s, 3, row->version);
	bind_text(s, 4, row->node);
	sqlite3_bind_int64(s, 5, row->at_ms);
	sqlite3_bind_int64(s, 6, (sqlite3_int64)row->database_bytes);
	sqlite3_bind_int64(s, 7, (sqlite3_int64)row->storage_bytes);
	sqlite3_bind_int64(s, 8, (sqlite3_int64)row->tables);
	sqlite3_bind_int64(s, 9, (sqlite3_int64)row->rows);
	sqlite3_bind_int(s, 10, row->verified);
	sqlite3_bind_int(s, 11, row->swept);
}

/* Runs a bound write and makes it ready for the next; the first failure of a commit is kept in
 * err. */
static int
put(struct co_journal *journal, enum co_statement which, struct fm_err *err)
{
	sqlite3_stmt *statement = journal->writes[which];
	int rc = sqlite3_step(statement);

	if (rc != SQLITE_DONE) co_journal_fail(journal, "write", err);
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
	return rc == SQLITE_DONE ? 0 : -1;
}

static int
put_all(struct co_journal *journal, const struct co_commit *commit, struct fm_err *err)
{
	sqlite3_bind_blob64(journal->writes[CO_SQL_STATE], 1,
			    commit->state_size ? (const void *)commit->state : "",
			    commit->state_size, SQLITE_STATIC);
	if (put(journal, CO_SQL_STATE, err) < 0) return -1;
	if (commit->run) {
		bind_run(journal->writes[CO_SQL_RUN], commit->run);
		if (put(journal, CO_SQL_RUN, err) < 0) return -1;
	}
	for (unsigned i = 0; i < commit->event_count; i++) {
		bind_event(journal->writes[CO_SQL_EVENT], &commit->events[i]);
		if (put(journal, CO_SQL_EVENT, err) < 0) return -1;
	}
	if (commit->point) {
		bind_point(journal->writes[CO_SQL_POINT], commit->point);
		if (put(journal, CO_SQL_POINT, err) < 0) return -1;
	}
	return 0;
}

/* A commit whose sync failed may lie whole in the log, and a crash now would bring it back: what
 * was refused must not come true, so the log is emptied. */
static void
take_back(struct co_journal *journal)
{
	sqlite3_exec(journal->db, "rollback", NULL, NULL, NULL);
	sqlite3_wal_checkpoint_v2(journal->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
}

int
co_journal_commit(struct co_journal *journal, const struct co_commit *commit, struct fm_err *err)
{
	if (sqlite3_exec(journal->db, "begin immediate", NULL, NULL, NULL) != SQLITE_OK)
		return co_journal_fail(journal, "begin", err);
	if (put_all(journal, commit, err) == 0) {
		if (sqlite3_exec(journal->db, "commit", NULL, NULL, NULL) == SQLITE_OK) return 0;
		co_journal_fail(journal, "commit", err);
	}
	take_back(journal);
	return -1;
}
