/* dump.c - the database into a restore point. The database that will prove it is made meanwhile:
 * that takes as long as a small dump does, and the visitors wait for both. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/mono.h"
#include "base/text.h"
#include "coordinator/store/dbjob/database.h"
#include "coordinator/store/dbjob/guard.h"
#include "coordinator/store/dbjob/point.h"
#include "coordinator/store/dbjob/tool.h"

/* A complete one of this closing of the role: nothing can have been written since. */
static int
is_there(struct db_job *job, struct db_point *point, struct fm_err *err)
{
	int found = db_point_read(point, err);

	if (found <= 0) return found;
	if (db_point_number(point, "fence") != job->fences) return 0;
	if (db_point_check_sum(point, err) < 0) return 0;
	job->report.bytes = db_point_number(point, "bytes");
	db_say(job, "the restore point %s is there already", job->order->restore_point);
	return 1;
}

/* Sends off the making of the scratch database; link->conn stays NULL when there is nothing to
 * wait for. Failures are for VERIFY to meet again and to tell. */
static void
begin_scratch(struct db_job *job, struct db_link *link)
{
	char name[DB_NAME_SIZE], sql[DB_SQL_SIZE];

	db_scratch_name(job, name);
	if (db_find(job, name, NULL, NULL) != 0 || db_create_sql(job, name, sql, NULL) < 0) return;
	if (db_link_open(link, job->order->admin, job->maintenance, NULL) < 0) return;
	if (!PQsendQuery(link->conn, sql)) db_link_close(link);
}

static void
finish_scratch(struct db_job *job, struct db_link *link)
{
	_cleanup_(db_result_free) PGresult *made = NULL;
	char name[DB_NAME_SIZE];

	if (!link->conn) return;
	made = db_take(link, NULL);
	if (made) (void)db_mark(job, db_scratch_name(job, name), DB_MARK_EMPTY, NULL);
}

static int
write_dump(struct db_job *job, const char *path, struct fm_err *err)
{
	const char *const argv[] = { "--format=custom",
				     "--compress=1",
				     "--no-password",
				     "--lock-wait-timeout=30000",
				     "--file",
				     path,
				     NULL };

	/* It syncs its file itself. */
	return db_tool_run(job,
			   &(struct db_tool){ .name = "pg_dump",
					      .argv = argv,
					      .database = job->order->database,
					      .watch = path,
					      .says = "dumping" },
			   err);
}

static unsigned
count_listed(const char *path)
{
	_cleanup_fclose_ FILE *f = fopen(path, "r");
	char line[1000];
	unsigned count = 0;

	while (f && fgets(line, sizeof line, f))
		if (strstr(line, " TABLE DATA ")) count++;
	return count;
}

static int
write_list(struct db_job *job, const char *dump, const char *path, struct fm_err *err)
{
	const char *const argv[] = { "--list", dump, NULL };
	_cleanup_(db_result_free) PGresult *tables = NULL;
	_cleanup_(db_link_close) struct db_link link = { .conn = NULL };

	if (db_tool_run(job,
			&(struct db_tool){ .name = "pg_restore",
					   .argv = argv,
					   .out = path,
					   .says = "reading the dump's list" },
			err) < 0)
		return -1;
	if (count_listed(path) > 0) return 0;
	if (db_link_open(&link, job->order->admin, job->order->database, err) < 0) return -1;
	tables = db_query(
		&link, err,
		"select count(*) from pg_class c join pg_namespace n on n.oid = relnamespace "
		"where relkind = 'r' and nspname !~ '^pg_' and nspname <> 'information_schema'");
	if (!tables) return fm_wrap(err, "count tables");
	if (db_number(tables, 0, 0) == 0) return 0;
	return fm_fail(err, FM_ERR_DATABASE, 0, "the dump names no table, the database has %s",
		       db_field(tables, 0, 0));
}

static json_t *
make_manifest(const struct db_job *job, const char *sum, unsigned long long bytes)
{
	const Fermata__JobOrder *order = job->order;
	int64_t now = fm_wall_now_ms();
	time_t seconds = (time_t)(now / 1000);
	struct tm tm;
	char taken[40];

	gmtime_r(&seconds, &tm);
	strftime(taken, sizeof taken, "%Y-%m-%dT%H:%M:%SZ", &tm);
	return json_pack("{s:i, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:s, s:I, s:I, s:s, s:i, s:b}",
			 "format", 1, "id", order->restore_point, "cluster", order->cluster,
			 "database", order->database, "version", order->version, "run",
			 (json_int_t)order->run, "epoch", (json_int_t)order->epoch, "fence",
			 (json_int_t)job->fences, "taken", taken, "taken_ms", (json_int_t)now,
			 "bytes", (json_int_t)bytes, "sha256", sum, "server",
			 PQserverVersion(job->admin.conn), "verified", 0);
}

static int
fill_point(struct db_job *job, struct db_point *point, struct fm_err *err)
{
	char dump[DB_PATH_SIZE + 32], list[DB_PATH_SIZE + 32], sum[DB_SUM_SIZE] = "";
	unsigned long long bytes;

	FM_FORMAT(dump, "%s/database.dump", point->partial);
	FM_FORMAT(list, "%s/database.list", point->partial);
	if (db_point_begin(point, err) < 0 || write_dump(job, dump, err) < 0 ||
	    write_list(job, dump, list, err) < 0 || db_file_sum(dump, sum, &bytes, err) < 0)
		return -1;
	db_point_done(point);
	point->manifest = make_manifest(job, sum, bytes);
	if (!point->manifest)
		return fm_fail(err, FM_ERR_CONFIG, 0, "a name in the manifest is not UTF-8");
	job->report.bytes = bytes;
	return db_point_write(point, point->partial, err);
}

int
db_dump(struct db_job *job, struct fm_err *err)
{
	_cleanup_(db_link_close) struct db_link scratch = { .conn = NULL };
	_cleanup_(db_point_done) struct db_point point;
	int found;

	if (db_point_init(job, job->order->restore_point, &point, err) < 0) return -1;
	found = is_there(job, &point, err);
	if (found != 0) return found < 0 ? -1 : 0;
	begin_scratch(job, &scratch);
	if (fill_point(job, &point, err) < 0 || db_guard_check(job, err) < 0 ||
	    db_point_finish(&point, err) < 0)
		return -1;
	finish_scratch(job, &scratch);
	db_say(job, "dumped %llu kB into %s", (unsigned long long)job->report.bytes / 1024,
	       point.folder);
	return 0;
}
