#include "coordinator/store/dbjob/guard.h"

#include <poll.h>

#include "base/cleanup.h"
#include "base/mono.h"
#include "base/text.h"

#define LOCK_LIMIT_MS 10000
#define LOOK_MS 20
#define HAS_TABLE "select to_regclass('public.fermata_epoch') is not null"

/* Both halves are positive, so that pg_locks shows them as they are. */
#define LOCK_KEYS "1179473985, hashtext($1) & 2147483647"

void
db_pause(int ms)
{
	poll(NULL, 0, ms);
}

static char *
epoch_text(const struct db_job *job, char dst[24])
{
	fm_format(dst, 24, "%llu", (unsigned long long)job->order->epoch);
	return dst;
}

static int
stale(const struct db_job *job, unsigned long long found, struct fm_err *err)
{
	return fm_fail(
		err, FM_ERR_STALE, 0,
		"stale: this order is of epoch %llu, but epoch %llu has spoken to the database; "
		"another coordinator leads. If there is none (a lost journal), type in database "
		"%s: DELETE FROM public.fermata_epoch WHERE cluster = '%s'",
		(unsigned long long)job->order->epoch, found, job->maintenance,
		job->order->cluster);
}

static int
make_table(struct db_job *job, struct fm_err *err)
{
	_cleanup_(db_result_free) PGresult *found = db_query(&job->admin, err, HAS_TABLE);

	if (!found) return -1;
	if (db_truth(found, 0, 0)) return 0;
	if (db_run(&job->admin, err,
		   "create table if not exists public.fermata_epoch (cluster text primary key, "
		   "epoch bigint not null, fences bigint not null default 0)") == 0)
		return 0;
	/* Another job made it at the same moment. */
	if (db_is_state(&job->admin, "23505")) return 0;
	return fm_wrap(err, "make public.fermata_epoch in database %s", job->maintenance);
}

static int
raise_epoch(struct db_job *job, struct fm_err *err)
{
	char epoch[24];
	const char *const values[] = { job->order->cluster, epoch_text(job, epoch) };
	_cleanup_(db_result_free) PGresult *result = db_query_with(
		&job->admin, err,
		"insert into public.fermata_epoch as e (cluster, epoch) values ($1, $2) on "
		"conflict "
		"(cluster) do update set epoch = greatest(e.epoch, excluded.epoch) "
		"returning epoch, fences",
		2, values);

	if (!result) return fm_wrap(err, "raise the epoch");
	if (db_number(result, 0, 0) != job->order->epoch)
		return stale(job, db_number(result, 0, 0), err);
	job->fences = db_number(result, 0, 1);
	return 0;
}

/* Who holds the lock obeys an earlier order, whose time is over: the epoch in the table is ours. */
static int
end_holder(struct db_job *job, struct fm_err *err)
{
	char epoch[24];
	const char *const values[] = { job->order->cluster, epoch_text(job, epoch) };
	_cleanup_(db_result_free) PGresult *result = db_query_with(
		&job->admin, err,
		"select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and "
		"classid = 1179473985 and objid = (hashtext($1) & 2147483647)::oid and granted and "
		"database = (select oid from pg_database where datname = current_database()) and "
		"(select epoch from public.fermata_epoch where cluster = $1) = $2::bigint",
		2, values);

	return result ? 0 : fm_wrap(err, "end an earlier job");
}

static int
take_lock(struct db_job *job, struct fm_err *err)
{
	const char *const values[] = { job->order->cluster };
	int64_t end = fm_mono_now().ms + LOCK_LIMIT_MS;

	for (;;) {
		_cleanup_(db_result_free) PGresult *result = db_query_with(
			&job->admin, err, "select pg_try_advisory_lock(" LOCK_KEYS ")", 1, values);

		if (!result) return fm_wrap(err, "take the cluster's lock");
		if (db_truth(result, 0, 0)) return 0;
		if (fm_mono_now().ms > end)
			return fm_fail(
				err, FM_ERR_TIMEOUT, 0,
				"another job of this cluster holds the database and does not end");
		if (end_holder(job, err) < 0) return -1;
		db_pause(LOOK_MS);
	}
}

static int
check(struct db_job *job, const char *sql, struct fm_err *err)
{
	const char *const values[] = { job->order->cluster };
	_cleanup_(db_result_free)
		PGresult *result = db_query_with(&job->admin, err, sql, 1, values);

	if (!result) return fm_wrap(err, "look at the epoch");
	if (db_number(result, 0, 0) > job->order->epoch)
		return stale(job, db_number(result, 0, 0), err);
	return 0;
}

int
db_guard_check(struct db_job *job, struct fm_err *err)
{
	return check(job, "select epoch from public.fermata_epoch where cluster = $1 for update",
		     err);
}

int
db_guard_look(struct db_job *job, struct fm_err *err)
{
	_cleanup_(db_result_free) PGresult *found = db_query(&job->admin, err, HAS_TABLE);

	if (!found) return -1;
	if (!db_truth(found, 0, 0)) return 0;
	return check(job, "select epoch from public.fermata_epoch where cluster = $1", err);
}

int
db_guard(struct db_job *job, struct fm_err *err)
{
	if (make_table(job, err) < 0 || raise_epoch(job, err) < 0 || take_lock(job, err) < 0)
		return -1;
	return db_guard_check(job, err);
}

int
db_read_fence(struct db_job *job, struct fm_err *err)
{
	const char *const values[] = { job->order->cluster, job->order->role };
	_cleanup_(db_result_free) PGresult *result = db_query_with(
		&job->admin, err,
		"select rolcanlogin, (select fences from public.fermata_epoch where cluster = $1) "
		"from pg_roles where rolname = $2",
		2, values);

	if (!result) return fm_wrap(err, "look at the role");
	if (PQntuples(result) == 0)
		return fm_fail(err, FM_ERR_DATABASE, 0,
			       "the role \"%s\" does not exist; see [database] role",
			       job->order->role);
	job->may_login = db_truth(result, 0, 0);
	job->fences = db_number(result, 0, 1);
	return 0;
}

int
db_need_fence(struct db_job *job, struct fm_err *err)
{
	const char *const values[] = { job->order->database, job->order->role };
	_cleanup_(db_result_free) PGresult *result = NULL;

	if (db_read_fence(job, err) < 0) return -1;
	if (job->may_login)
		return fm_fail(
			err, FM_ERR_REFUSED, 0,
			"the database is not fenced: the role \"%s\" may log in; nothing was done",
			job->order->role);
	result = db_query_with(
		&job->admin, err,
		"select count(*) from pg_stat_activity where datname = $1 and usename = $2", 2,
		values);
	if (!result) return fm_wrap(err, "count backends");
	if (db_number(result, 0, 0) == 0) return 0;
	return fm_fail(
		err, FM_ERR_REFUSED, 0,
		"the database is not fenced: %llu backends of \"%s\" are left; nothing was done",
		db_number(result, 0, 0), job->order->role);
}
