/* preflight.c - would the other jobs work? Looks, and touches nothing. Every fault is said, not
 * only the first, each with what to type. */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "coordinator/store/dbjob/guard.h"
#include "coordinator/store/dbjob/look.h"
#include "coordinator/store/dbjob/tool.h"

#define OLDEST_SERVER 130000 /* DROP DATABASE ... WITH (FORCE) */

struct faults {
	struct db_job *job;
	unsigned count;
	char text[FM_TEXT_SIZE];
};

static void add(struct faults *faults, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void
add(struct faults *faults, const char *fmt, ...)
{
	char line[FM_TEXT_SIZE];
	va_list args;

	va_start(args, fmt);
	fm_format_args(line, sizeof line, fmt, args);
	va_end(args);
	db_progress(faults->job, "%s", line);
	FM_APPEND(faults->text, "%s%s", faults->count > 0 ? "; " : "", line);
	faults->count++;
}

/* The columns of role_query. */
enum {
	IS_SELF,
	EXISTS,
	LOGS_IN,
	IS_ONLY_SUPERUSER,
	IS_ADMIN_SUPERUSER,
	MAY_CREATE_DB,
	MAY_ALTER,
	IS_MEMBER,
	MAY_SIGNAL,
	MAY_READ,
	MAY_MAKE_EPOCH,
	MAY_KEEP_EPOCH
};

static const char role_query[] =
	"select session_user = $1, r.oid is not null, coalesce(r.rolcanlogin, false), "
	"coalesce(r.rolsuper, false) and not exists (select 1 from pg_roles o where o.rolsuper and "
	"o.rolcanlogin and o.rolname <> $1), a.rolsuper, a.rolcreatedb, a.rolcreaterole, "
	"r.oid is null or pg_has_role(a.oid, r.oid, 'member'), "
	"pg_has_role(a.oid, 'pg_signal_backend', 'member') or r.oid is null or "
	"pg_has_role(a.oid, r.oid, 'member'), "
	"r.oid is null or pg_has_role(a.oid, r.oid, 'usage'), "
	"t is not null or has_schema_privilege('public', 'create'), t is null or "
	"(has_table_privilege(t, 'select') and has_table_privilege(t, 'insert') and "
	"has_table_privilege(t, 'update')) "
	"from pg_roles a left join pg_roles r on r.rolname = $1, "
	"to_regclass('public.fermata_epoch') t "
	"where a.rolname = session_user";

static void
check_admin_rights(struct faults *faults, const PGresult *r)
{
	const char *role = faults->job->order->role, *admin = PQuser(faults->job->admin.conn);

	if (!db_truth(r, 0, MAY_CREATE_DB))
		add(faults, "%s may not make databases; type: ALTER ROLE \"%s\" CREATEDB", admin,
		    admin);
	if (!db_truth(r, 0, MAY_ALTER))
		add(faults,
		    "%s may not forbid a role to log in; type: ALTER ROLE \"%s\" CREATEROLE", admin,
		    admin);
	if (!db_truth(r, 0, IS_MEMBER))
		add(faults, "%s may not act as \"%s\"; type: GRANT \"%s\" TO \"%s\"%s", admin, role,
		    role, admin,
		    PQserverVersion(faults->job->admin.conn) >= 160000 ? " WITH ADMIN OPTION" : "");
	else if (!db_truth(r, 0, MAY_READ))
		add(faults, "%s may not read what \"%s\" owns; type: ALTER ROLE \"%s\" INHERIT",
		    admin, role, admin);
	if (!db_truth(r, 0, MAY_SIGNAL))
		add(faults, "%s may not end backends; type: GRANT pg_signal_backend TO \"%s\"",
		    admin, admin);
}

static int
check_roles(struct faults *faults, struct fm_err *err)
{
	struct db_job *job = faults->job;
	const char *const values[] = { job->order->role };
	_cleanup_(db_result_free)
		PGresult *r = db_query_with(&job->admin, err, role_query, 1, values);
	const char *role = job->order->role, *admin = PQuser(job->admin.conn);

	if (!r) return fm_wrap(err, "look at the roles");
	job->may_login = db_truth(r, 0, LOGS_IN);
	if (db_truth(r, 0, IS_SELF))
		add(faults,
		    "[database] admin is the application's own role \"%s\", which would lock "
		    "itself "
		    "out; name another role there",
		    role);
	if (!db_truth(r, 0, EXISTS))
		add(faults,
		    "the role \"%s\" does not exist; type: CREATE ROLE \"%s\" LOGIN PASSWORD '...'",
		    role, role);
	if (db_truth(r, 0, IS_ONLY_SUPERUSER))
		add(faults,
		    "the application's role \"%s\" is the only superuser that may log in; make "
		    "another one for [database] admin",
		    role);
	if (!db_truth(r, 0, IS_ADMIN_SUPERUSER)) check_admin_rights(faults, r);
	if (!db_truth(r, 0, MAY_MAKE_EPOCH))
		add(faults,
		    "%s may not make a table in database %s; type there: GRANT CREATE ON SCHEMA "
		    "public TO \"%s\"",
		    admin, job->maintenance, admin);
	if (!db_truth(r, 0, MAY_KEEP_EPOCH))
		add(faults,
		    "%s may not use public.fermata_epoch in database %s; type there: GRANT ALL ON "
		    "public.fermata_epoch TO \"%s\"",
		    admin, job->maintenance, admin);
	return 0;
}

static void
check_tools(struct faults *faults)
{
	static const char *const tools[] = { "pg_dump", "pg_restore" };
	int server = PQserverVersion(faults->job->admin.conn);
	struct fm_err err;

	if (server < OLDEST_SERVER)
		add(faults, "the server is PostgreSQL %d, Fermata needs 13 or later",
		    server / 10000);
	for (size_t i = 0; i < 2; i++) {
		int major = db_tool_major(faults->job, tools[i], &err);

		if (major == 0)
			add(faults, "%s; type: apt install postgresql-client-%d", err.text,
			    server / 10000);
		else if (major < server / 10000)
			add(faults,
			    "%s is of version %d, the server of %d; type: apt install "
			    "postgresql-client-%d, or name its folder in [database] bindir",
			    tools[i], major, server / 10000, server / 10000);
	}
}

/* The folder itself, or the one in which it will be made. */
static void
check_folder(struct faults *faults, unsigned long long need)
{
	const char *directory = faults->job->order->directory;
	_cleanup_free_ char *place = fm_strdup(directory);
	struct statvfs fs;
	struct stat st;
	char *slash;

	if (stat(place, &st) < 0 && errno == ENOENT && (slash = strrchr(place, '/')) &&
	    slash != place)
		*slash = '\0';
	if (stat(place, &st) < 0 || !S_ISDIR(st.st_mode) || access(place, W_OK | X_OK) < 0) {
		add(faults,
		    "%s cannot be written (restore points go to %s); type: install -d -m 700 -o "
		    "%u %s",
		    place, directory, (unsigned)geteuid(), directory);
		return;
	}
	if (statvfs(place, &fs) == 0 && (unsigned long long)fs.f_bavail * fs.f_frsize < need)
		add(faults,
		    "%s has %llu MB left, a restore point may need %llu MB; make room there", place,
		    (unsigned long long)fs.f_bavail * fs.f_frsize >> 20, need >> 20);
}

/* 1, 0 when there is none yet, or -1. */
static int
measure_database(struct db_job *job, struct fm_err *err)
{
	const char *const values[] = { job->order->database };
	_cleanup_(db_result_free) PGresult *r = db_query_with(
		&job->admin, err,
		"select pg_database_size(oid) from pg_database where datname = $1", 1, values);

	if (!r) return fm_wrap(err, "look at database %s", job->order->database);
	job->report.bytes = db_number(r, 0, 0);
	return PQntuples(r) > 0;
}

static void
look_inside(struct faults *faults)
{
	struct db_job *job = faults->job;
	_cleanup_(db_link_close) struct db_link link;
	struct fm_err err;

	if (db_link_open(&link, job->order->admin, job->order->database, &err) < 0 ||
	    db_look_with(job, &link, &err) < 0)
		add(faults, "[database] admin cannot read database %s: %s", job->order->database,
		    err.text);
}

int
db_preflight(struct db_job *job, struct fm_err *err)
{
	struct faults faults = { .job = job };
	int is_there;

	if (db_guard_look(job, err) < 0 || check_roles(&faults, err) < 0) return -1;
	is_there = measure_database(job, err);
	if (is_there < 0) return -1;
	if (is_there > 0) look_inside(&faults);
	check_tools(&faults);
	check_folder(&faults, 2 * job->report.bytes);
	if (faults.count > 0) return fm_fail(err, FM_ERR_REFUSED, 0, "%s", faults.text);
	if (is_there)
		db_say(job, "the database has %llu MB, version %s",
		       (unsigned long long)job->report.bytes >> 20,
		       job->report.installed ? job->version : "none yet");
	else
		db_say(job,
		       "there is no database %s yet; before the first startup type: CREATE "
		       "DATABASE \"%s\" "
		       "OWNER \"%s\"",
		       job->order->database, job->order->database, job->order->role);
	return 0;
}
