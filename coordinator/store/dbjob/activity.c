/* activity.c - what the application has the database do just now, for people who wait for its migration. Asked as
 * the application's own role, which may read its own statements; no table of the application is
 * touched, so no lock of a migration holds this up. */
#include "base/cleanup.h"
#include "base/text.h"
#include "coordinator/store/dbjob/clean_sql.h"
#include "coordinator/store/dbjob/job.h"

/* The oldest statement that runs, in a transaction if there is one: that is the migration's. Who is named as
 * holding it is seen by every role: pid, user and application. */
static const char query[] =
	"set statement_timeout = '2s'; set lock_timeout = '1s'; "
	"select a.query, greatest(0, extract(epoch from clock_timestamp() - a.query_start) * "
	"1000)::bigint, case when a.wait_event_type is null or a.wait_event_type in ('Client', "
	"'Activity') then '' else a.wait_event_type || '/' || a.wait_event end, "
	"(extract(epoch from a.query_start) * 1000000)::bigint # a.pid, b.pid, b.usename, "
	"b.application_name from pg_catalog.pg_stat_activity a "
	"left join lateral (select pid, usename, application_name from "
	"pg_catalog.pg_stat_activity s where s.pid = any(case when a.wait_event_type = 'Lock' then "
	"pg_catalog.pg_blocking_pids(a.pid) end) order by s.xact_start limit 1) b on true "
	"where a.datname = current_database() and a.usename = current_user and a.pid <> "
	"pg_catalog.pg_backend_pid() and a.application_name not like 'fermata%' and a.state = "
	"'active' and a.backend_type = 'client backend' "
	"order by a.xact_start is null, a.query_start limit 1";

static void
say_waits(struct db_job *job, const PGresult *r)
{
	FM_COPY(job->sql_waits, db_field(r, 0, 2));
	if (fm_is_empty(db_field(r, 0, 4))) return;
	FM_APPEND(job->sql_waits, ", held by pid %s of %s%s%s", db_field(r, 0, 4),
		  db_field(r, 0, 5), fm_is_empty(db_field(r, 0, 6)) ? "" : ", ", db_field(r, 0, 6));
}

int
db_activity(struct db_job *job, struct fm_err *err)
{
	_cleanup_(db_link_close) struct db_link link;
	_cleanup_(db_result_free) PGresult *result = NULL;

	if (db_link_open(&link, job->order->admin, job->order->database, err) < 0) {
		FM_COPY(job->sqlstate, link.sqlstate);
		return -1;
	}
	result = db_query(&link, err, query);
	if (!result) return fm_wrap(err, "look at what the database does");
	if (PQntuples(result) == 0) {
		db_say(job, "it has the database do nothing");
		return 0;
	}
	db_clean_sql(job->sql, sizeof job->sql, db_field(result, 0, 0));
	job->report.sql_age_ms = db_number(result, 0, 1);
	job->report.sql_id = db_number(result, 0, 3);
	say_waits(job, result);
	db_say(job, "it has the database do something");
	return 0;
}
