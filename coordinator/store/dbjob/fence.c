/* fence.c - the application out of its database, and in again. The role is forbidden to log in,
 * which holds for every database of the server; its backends are ended in the application's
 * database alone. */
#include <string.h>

#include "base/cleanup.h"
#include "base/mono.h"
#include "base/text.h"
#include "coordinator/store/dbjob/guard.h"

#define END_LIMIT_MS 20000
#define FIRST_LOOK_MS 5
#define LOOK_MS 20
/* A backend that passed the role's check before it was changed shows itself within this time. */
#define ARRIVE_LIMIT_MS 500

/* Backends that hold a transaction but are not listed yet: they are coming up. */
#define ARRIVING                                                                 \
	"from pg_locks l where locktype = 'virtualxid' and pid is not null and " \
	"not exists (select 1 from pg_stat_activity a where a.pid = l.pid)"

static int
refuse_lockout(struct db_job *job, struct fm_err *err)
{
	const char *const values[] = { job->order->role };
	_cleanup_(db_result_free) PGresult *result = db_query_with(
		&job->admin, err,
		"select session_user = $1, coalesce((select rolsuper from pg_roles where rolname "
		"= $1), "
		"false) and not exists (select 1 from pg_roles where rolsuper and rolcanlogin and "
		"rolname <> $1)",
		1, values);

	if (!result) return fm_wrap(err, "look at the roles");
	if (db_truth(result, 0, 0))
		return fm_fail(
			err, FM_ERR_REFUSED, 0,
			"[database] admin is the application's own role \"%s\": it would lock "
			"itself "
			"out; name another role there",
			job->order->role);
	if (db_truth(result, 0, 1))
		return fm_fail(
			err, FM_ERR_REFUSED, 0,
			"the application's role \"%s\" is the only superuser that may log in: "
			"nobody "
			"could undo the fence; make another one first",
			job->order->role);
	return 0;
}

/* What is prepared may be committed by anybody later, behind the restore point's back. */
static int
refuse_prepared(struct db_job *job, struct fm_err *err)
{
	const char *const values[] = { job->order->database };
	_cleanup_(db_result_free) PGresult *result = db_query_with(
		&job->admin, err,
		"select count(*), min(gid) from pg_prepared_xacts where database = $1", 1, values);

	if (!result) return fm_wrap(err, "look for prepared transactions");
	if (db_number(result, 0, 0) == 0) return 0;
	return fm_fail(
		err, FM_ERR_REFUSED, 0,
		"%s prepared transactions are open in the database; in it, type: ROLLBACK PREPARED "
		"'%s'",
		db_field(result, 0, 0), db_field(result, 0, 1));
}

/* The number of a closing is never used twice, not even when the table was lost: what a restore
 * point or a failed database says of it must not come true by chance. */
static int
close_role(struct db_job *job, struct fm_err *err)
{
	if (db_run(&job->admin, err, "begin") < 0 || db_guard_check(job, err) < 0) return -1;
	if (job->may_login &&
	    db_run(&job->admin, err,
		   "update public.fermata_epoch set fences = greatest(fences + 1, "
		   "(1000 * extract(epoch from clock_timestamp()))::bigint) where cluster = '%s'",
		   job->order->cluster) < 0)
		return -1;
	if (db_run(&job->admin, err, "alter role \"%s\" nologin", job->order->role) < 0)
		return fm_wrap(err, "forbid the role to log in");
	return db_run(&job->admin, err, "commit");
}

static int
await_arriving(struct db_job *job, struct fm_err *err)
{
	int64_t end = fm_mono_now().ms + ARRIVE_LIMIT_MS;
	_cleanup_(db_result_free) PGresult *first = db_query(
		&job->admin, err,
		"select '{' || coalesce(string_agg(pid::text, ','), '') || '}' " ARRIVING);
	const char *const values[] = { first ? db_field(first, 0, 0) : "" };

	if (!first) return fm_wrap(err, "look for arriving backends");
	while (!fm_is_equal(values[0], "{}") && fm_mono_now().ms < end) {
		_cleanup_(db_result_free) PGresult *left = db_query_with(
			&job->admin, err, "select count(*) " ARRIVING " and pid = any ($1::int[])",
			1, values);

		if (!left) return fm_wrap(err, "look for arriving backends");
		if (db_number(left, 0, 0) == 0) break;
		db_pause(FIRST_LOOK_MS);
	}
	return 0;
}

static int
end_backends(struct db_job *job, struct fm_err *err)
{
	const char *const values[] = { job->order->database, job->order->role };
	int64_t end = fm_mono_now().ms + END_LIMIT_MS;
	int pause = FIRST_LOOK_MS;

	for (;;) {
		_cleanup_(db_result_free) PGresult *result = db_query_with(
			&job->admin, err,
			"select count(*), count(pg_terminate_backend(pid)) from pg_stat_activity "
			"where datname = $1 and usename = $2",
			2, values);
		unsigned long long left = result ? db_number(result, 0, 0) : 0;

		if (!result) return fm_wrap(err, "end backends");
		if (left == 0) return 0;
		if (left > job->report.backends) job->report.backends = (uint32_t)left;
		if (fm_mono_now().ms > end)
			return fm_fail(
				err, FM_ERR_TIMEOUT, 0,
				"%llu backends of \"%s\" do not end; the role may not log in any "
				"more",
				left, job->order->role);
		db_pause(pause);
		pause = LOOK_MS;
	}
}

int
db_fence(struct db_job *job, struct fm_err *err)
{
	if (refuse_lockout(job, err) < 0 || refuse_prepared(job, err) < 0 ||
	    db_read_fence(job, err) < 0 || close_role(job, err) < 0 ||
	    await_arriving(job, err) < 0 || end_backends(job, err) < 0)
		return -1;
	job->may_login = false;
	db_say(job, "the role \"%s\" may not log in, %u of its backends were ended",
	       job->order->role, job->report.backends);
	return 0;
}

int
db_unfence(struct db_job *job, struct fm_err *err)
{
	if (db_read_fence(job, err) < 0) return -1;
	if (db_run(&job->admin, err, "begin") < 0 || db_guard_check(job, err) < 0) return -1;
	if (db_run(&job->admin, err, "alter role \"%s\" login", job->order->role) < 0)
		return fm_wrap(err, "let the role log in");
	if (db_run(&job->admin, err, "commit") < 0) return -1;
	job->may_login = true;
	db_say(job, "the role \"%s\" may log in", job->order->role);
	return 0;
}
