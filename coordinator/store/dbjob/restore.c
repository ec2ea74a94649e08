/* restore.c - back to a restore point: restored beside the live database, proved there, then put
 * in its place by one transaction that renames both. The database that is replaced is kept.
 *
 * Killed at any point, a second try finds: a copy that is marked as proved (goes on from there),
 * one that is not (drops it), or the failed database marked with this run and fence (all is
 * done). */
#include <string.h>

#include "base/cleanup.h"
#include "base/mono.h"
#include "base/text.h"
#include "coordinator/store/dbjob/database.h"
#include "coordinator/store/dbjob/fill.h"
#include "coordinator/store/dbjob/guard.h"
#include "coordinator/store/dbjob/point.h"

#define SWAP_LIMIT_MS 20000
#define FIRST_LOOK_MS 5
#define LOOK_MS 20

static void
facts_free(json_t **facts)
{
	json_decref(TAKE(*facts));
}

static char *
failed_mark(const struct db_job *job, char mark[DB_MARK_SIZE])
{
	fm_format(mark, DB_MARK_SIZE, DB_MARK_FAILED, (unsigned long long)job->order->run,
		  (unsigned long long)job->fences, job->order->restore_point);
	return mark;
}

/* nocobase_failed_7; a second failed database of the same run is told apart by its fence. */
static int
choose_failed_name(struct db_job *job, struct fm_err *err)
{
	int found;

	FM_FORMAT(job->kept, "%s_failed_%llu", job->order->database,
		  (unsigned long long)job->order->run);
	found = db_find(job, job->kept, NULL, err);
	if (found > 0)
		FM_FORMAT(job->kept, "%s_failed_%llu_%llu", job->order->database,
			  (unsigned long long)job->order->run,
			  (unsigned long long)job->fences % 1000000);
	return found < 0 ? -1 : 0;
}

static int
prove(struct db_job *job, const struct db_point *point, const char *name, struct fm_err *err)
{
	_cleanup_(facts_free) json_t *got = NULL;
	bool with_sums = json_is_true(json_object_get(point->manifest, "sums"));

	if (db_read_facts(job, name, NULL, with_sums, &got, NULL, err) < 0) return -1;
	return db_compare_facts(job, json_object_get(point->manifest, "facts"), got, err);
}

/* A proved copy from before, proved again: of the verification, or of a try that was killed. */
static int
find_copy(struct db_job *job, const struct db_point *point, const char *mark,
	  char name[DB_NAME_SIZE], struct fm_err *err)
{
	int found = db_find_mark(job, mark, name, err);

	if (found <= 0) return found;
	if (prove(job, point, name, NULL) == 0) return 1;
	return db_drop(job, name, err);
}

static int
make_copy(struct db_job *job, const struct db_point *point, const char *mark,
	  char name[DB_NAME_SIZE], struct fm_err *err)
{
	db_restore_name(job, name);
	/* Copies of other restore points only take the room that this one needs. */
	if (db_point_check_sum(point, err) < 0 || db_drop_copies(job, NULL, err) < 0 ||
	    db_create(job, name, err) < 0 || db_fill(job, point, name, err) < 0 ||
	    prove(job, point, name, err) < 0)
		return -1;
	return db_mark(job, name, mark, err);
}

/* How many are connected to either database. All of the live one's are told to end, whoever they
 * are: a database with a guest cannot be renamed. */
static int
end_guests(struct db_job *job, const char *copy, unsigned long long *ret_left, struct fm_err *err)
{
	const char *const values[] = { job->order->database, copy };
	_cleanup_(db_result_free) PGresult *result = db_query_with(
		&job->admin, err,
		"select count(*), count(pg_terminate_backend(pid)) from pg_stat_activity "
		"where datname in ($1, $2) and backend_type = 'client backend'",
		2, values);

	if (!result) return fm_wrap(err, "end backends");
	*ret_left = db_number(result, 0, 0);
	return 0;
}

static int
swap_once(struct db_job *job, const char *copy, bool is_live, const char *comment,
	  struct fm_err *err)
{
	struct db_link *admin = &job->admin;
	const char *live = job->order->database;
	_cleanup_free_ char *literal = PQescapeLiteral(admin->conn, comment, strlen(comment));
	char mark[DB_MARK_SIZE];

	admin->sqlstate[0] = '\0';
	if (!literal) return fm_fail(err, FM_ERR_DATABASE, 0, "quote the comment of %s", live);
	if (db_run(admin, err, "begin") < 0 || db_guard_check(job, err) < 0) return -1;
	if (is_live &&
	    (db_run(admin, err, "alter database \"%s\" rename to \"%s\"", live, job->kept) < 0 ||
	     db_mark(job, job->kept, failed_mark(job, mark), err) < 0))
		return -1;
	if (db_run(admin, err, "alter database \"%s\" rename to \"%s\"", copy, live) < 0) return -1;
	if (db_run(admin, err, "comment on database \"%s\" is %s", live,
		   fm_is_empty(comment) ? "null" : literal) < 0)
		return -1;
	return db_run(admin, err, "commit");
}

static int
swap(struct db_job *job, const char *copy, bool is_live, const char *comment, struct fm_err *err)
{
	int64_t end = fm_mono_now().ms + SWAP_LIMIT_MS;
	int pause = FIRST_LOOK_MS;

	for (;;) {
		unsigned long long left = 0;

		if (end_guests(job, copy, &left, err) < 0) return -1;
		if (left == 0) {
			if (swap_once(job, copy, is_live, comment, err) == 0) return 0;
			(void)db_run(&job->admin, NULL, "rollback");
			if (!db_is_state(&job->admin, "55006"))
				return fm_wrap(err, "swap databases");
		}
		if (fm_mono_now().ms > end)
			return fm_fail(
				err, FM_ERR_TIMEOUT, 0,
				"others keep connecting to database %s, so that it cannot be "
				"renamed; "
				"keep them away, then type: fermata retry",
				job->order->database);
		db_pause(pause);
		pause = LOOK_MS;
	}
}

/* 1: this very restore has been done before. */
static int
is_done(struct db_job *job, const struct db_point *point, struct fm_err *err)
{
	char mark[DB_MARK_SIZE];
	int found = db_find(job, job->order->database, NULL, err);

	if (found > 0) found = db_find_mark(job, failed_mark(job, mark), job->kept, err);
	if (found <= 0) return found;
	job->report.tables = (uint32_t)db_point_number(point, "tables");
	job->report.rows = db_point_number(point, "rows");
	db_say(job, "restored from %s already; the failed database is kept as %s",
	       job->order->restore_point, job->kept);
	return 1;
}

static int
replace(struct db_job *job, const struct db_point *point, struct fm_err *err)
{
	_cleanup_free_ char *comment = NULL;
	char mark[DB_MARK_SIZE], copy[DB_NAME_SIZE];
	const char *live = job->order->database;
	int is_live = db_find_comment(job, live, &comment, err), found;
	bool is_fresh;

	if (is_live < 0) return -1;
	db_holds_mark(point, job->order->restore_point, mark);
	found = find_copy(job, point, mark, copy, err);
	is_fresh = found == 0;
	if (found < 0 || (is_fresh && make_copy(job, point, mark, copy, err) < 0)) return -1;
	if (is_live &&
	    (db_carry_over(job, live, copy, err) < 0 || choose_failed_name(job, err) < 0))
		return -1;
	db_progress(job, "the copy %s is proved, putting it in place", copy);
	if (swap(job, copy, is_live, comment, err) < 0) return -1;
	if (!is_live) job->kept[0] = '\0';
	db_say(job, "restored from %s%s: %u tables, %llu rows%s%s", job->order->restore_point,
	       is_fresh ? "" : " (by its proved copy)", job->report.tables,
	       (unsigned long long)job->report.rows,
	       is_live ? "; the failed database is kept as " : "", job->kept);
	return 0;
}

int
db_restore(struct db_job *job, struct fm_err *err)
{
	_cleanup_(db_point_done) struct db_point point;
	const char *id = job->order->restore_point;
	int done;

	if (db_point_init(job, id, &point, err) < 0 || db_point_need(&point, id, err) < 0)
		return -1;
	if (!db_point_is_verified(&point))
		return fm_fail(err, FM_ERR_REFUSED, 0,
			       "the restore point %s was never verified; nothing was done", id);
	done = is_done(job, &point, err);
	if (done != 0) return done < 0 ? -1 : 0;
	return replace(job, &point, err);
}
