/* look.c - what version is in the database, and whether its plugins are in order: nocobase's own
 * tables, asked as the application. Runs before every start and while one goes on, so it is one
 * connection and one query. */
#include "coordinator/store/dbjob/look.h"
#include "base/cleanup.h"
#include "base/text.h"

static const char *
plain_or_underscored(const Fermata__JobOrder *order, const char *plain, const char *underscored)
{
	return order->underscored ? underscored : plain;
}

char *
db_table_name(const Fermata__JobOrder *order, const char *plain, const char *underscored, char *dst,
	      size_t size)
{
	fm_format(dst, size, "\"%s\".\"%s%s\"",
		  fm_is_empty(order->schema) ? "public" : order->schema, order->table_prefix,
		  plain_or_underscored(order, plain, underscored));
	return dst;
}

int
db_look_with(struct db_job *job, struct db_link *link, struct fm_err *err)
{
	const Fermata__JobOrder *order = job->order;
	char versions[3 * DB_NAME_SIZE], plugins[3 * DB_NAME_SIZE], sql[1200];
	_cleanup_(db_result_free) PGresult *result = NULL;

	db_table_name(order, "applicationVersion", "application_version", versions,
		      sizeof versions);
	db_table_name(order, "applicationPlugins", "application_plugins", plugins, sizeof plugins);
	FM_FORMAT(sql,
		  "with v as (select (select value from %s order by id desc limit 1) as value) "
		  "select coalesce(value, ''), "
		  "count(*) filter (where enabled and installed is not true), "
		  "count(*) filter (where enabled), "
		  "count(*) filter (where \"%s\" and version is distinct from value) "
		  "from v left join %s on true group by value",
		  versions, plain_or_underscored(order, "builtIn", "built_in"), plugins);
	result = db_query(link, err, sql);
	if (!result) {
		/* Nothing is installed yet, or so little that this table is not there. */
		if (db_is_state(link, "42P01")) return 0;
		return fm_wrap(err, "look at the application's tables");
	}
	job->report.installed = true;
	FM_COPY(job->version, db_field(result, 0, 0));
	job->report.pending_plugins = (uint32_t)db_number(result, 0, 1);
	job->report.enabled_plugins = (uint32_t)db_number(result, 0, 2);
	job->report.stale_plugins = (uint32_t)db_number(result, 0, 3);
	return 0;
}

int
db_look(struct db_job *job, struct fm_err *err)
{
	_cleanup_(db_link_close) struct db_link link;

	if (db_link_open(&link, job->order->admin, job->order->database, err) < 0) {
		FM_COPY(job->sqlstate, link.sqlstate);
		if (!link.is_fenced) return -1;
		return fm_fail(err, FM_ERR_DATABASE, 0,
			       "the application's role may not log in (the database is fenced)");
	}
	job->may_login = true;
	if (db_look_with(job, &link, err) < 0) {
		FM_COPY(job->sqlstate, link.sqlstate);
		return -1;
	}
	if (!job->report.installed)
		db_say(job, "the application is not installed in this database");
	else
		db_say(job, "version %s, %u plugins enabled, %u of them not installed, %u stale",
		       fm_is_empty(job->version) ? "not written yet" : job->version,
		       job->report.enabled_plugins, job->report.pending_plugins,
		       job->report.stale_plugins);
	return 0;
}
