/* verify.c - the proof that a restore point can be restored: it is, into a scratch database,
 * which is then compared with the original, table by table. The scratch database is kept until
 * SWEEP: dropping it takes time while visitors wait, and should the run go back, it is the
 * restored one already. */
#include "base/cleanup.h"
#include "base/mono.h"
#include "base/text.h"
#include "coordinator/store/dbjob/database.h"
#include "coordinator/store/dbjob/facts.h"
#include "coordinator/store/dbjob/fill.h"
#include "coordinator/store/dbjob/guard.h"
#include "coordinator/store/dbjob/point.h"

/* Above this a sum over the contents would take longer than the restore. */
#define SUMS_BYTES (64u << 20)

static void
facts_free(json_t **facts)
{
	json_decref(TAKE(*facts));
}

/* An empty scratch database; DUMP has made one, unless something came between. */
static int
need_scratch(struct db_job *job, const char *name, struct fm_err *err)
{
	char mark[DB_MARK_SIZE];
	int found = db_find(job, name, mark, err);

	if (found < 0) return -1;
	if (found && fm_is_equal(mark, DB_MARK_EMPTY)) return 0;
	if (found && db_drop(job, name, err) < 0) return -1;
	return db_create(job, name, err);
}

/* What the copy must be: the original as it stands, while it is the one that was dumped; later,
 * what was written down of it. */
static int
read_both(struct db_job *job, const struct db_point *point, const char *scratch, bool is_original,
	  json_t **ret_want, json_t **ret_got, struct fm_err *err)
{
	bool with_sums;

	if (!is_original) {
		with_sums = json_is_true(json_object_get(point->manifest, "sums"));
		*ret_want = json_incref(json_object_get(point->manifest, "facts"));
		return db_read_facts(job, scratch, NULL, with_sums, ret_got, NULL, err);
	}
	with_sums = db_point_number(point, "bytes") < SUMS_BYTES;
	json_object_set_new(point->manifest, "sums", json_boolean(with_sums));
	return db_read_facts(job, scratch, job->order->database, with_sums, ret_got, ret_want, err);
}

static int
write_down(struct db_job *job, struct db_point *point, json_t *facts, struct fm_err *err)
{
	json_object_set_new(point->manifest, "verified", json_true());
	json_object_set_new(point->manifest, "tables", json_integer(job->report.tables));
	json_object_set_new(point->manifest, "rows", json_integer((json_int_t)job->report.rows));
	json_object_set(point->manifest, "facts", facts);
	if (db_guard_check(job, err) < 0) return -1;
	return db_point_write(point, point->folder, err);
}

static int
choose_original(struct db_job *job, const struct db_point *point, bool *ret, struct fm_err *err)
{
	if (db_read_fence(job, err) < 0) return -1;
	*ret = !job->may_login && db_point_number(point, "fence") == job->fences;
	if (*ret) return db_need_fence(job, err);
	if (db_point_is_verified(point)) return 0;
	return fm_fail(
		err, FM_ERR_REFUSED, 0,
		"the database was open again since %s was dumped, it cannot be compared any more; "
		"take a new restore point",
		job->order->restore_point);
}

int
db_verify(struct db_job *job, struct fm_err *err)
{
	_cleanup_(db_point_done) struct db_point point;
	_cleanup_(facts_free) json_t *want = NULL, *got = NULL;
	char scratch[DB_NAME_SIZE], mark[DB_MARK_SIZE];
	int64_t began = fm_mono_now().ms, filled;
	bool is_original;

	db_scratch_name(job, scratch);
	if (db_point_init(job, job->order->restore_point, &point, err) < 0 ||
	    db_point_need(&point, job->order->restore_point, err) < 0 ||
	    choose_original(job, &point, &is_original, err) < 0 ||
	    db_point_check_sum(&point, err) < 0 || need_scratch(job, scratch, err) < 0 ||
	    db_fill(job, &point, scratch, err) < 0)
		return -1;
	filled = fm_mono_now().ms;
	db_progress(job, "restored into %s in %lld ms, comparing", scratch,
		    (long long)(filled - began));
	if (read_both(job, &point, scratch, is_original, &want, &got, err) < 0 ||
	    db_compare_facts(job, want, got, err) < 0)
		return -1;
	if (is_original && write_down(job, &point, want, err) < 0) return -1;
	job->report.bytes = db_point_number(&point, "bytes");
	if (db_mark(job, scratch, db_holds_mark(&point, job->order->restore_point, mark), err) < 0)
		return -1;
	db_say(job,
	       "restored %u tables, %llu rows in %lld ms, the same as %s (compared in %lld ms); "
	       "the copy "
	       "%s stays until the sweep",
	       job->report.tables, (unsigned long long)job->report.rows,
	       (long long)(filled - began), is_original ? "the original" : "what was dumped",
	       (long long)(fm_mono_now().ms - filled), scratch);
	return 0;
}
