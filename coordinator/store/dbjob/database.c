#include "coordinator/store/dbjob/database.h"

#include "base/cleanup.h"
#include "base/text.h"

static char *
run_name(const struct db_job *job, const char *kind, char dst[DB_NAME_SIZE])
{
	fm_format(dst, DB_NAME_SIZE, "fermata_%s_%llu_%s", kind,
		  (unsigned long long)job->order->run, job->order->database);
	return dst;
}

char *
db_scratch_name(const struct db_job *job, char dst[DB_NAME_SIZE])
{
	return run_name(job, "scratch", dst);
}

char *
db_restore_name(const struct db_job *job, char dst[DB_NAME_SIZE])
{
	return run_name(job, "restore", dst);
}

int
db_find_comment(struct db_job *job, const char *name, char **ret, struct fm_err *err)
{
	_cleanup_(db_result_free) PGresult *result = db_query_with(
		&job->admin, err,
		"select shobj_description(oid, 'pg_database') from pg_database where datname = $1",
		1, &name);

	if (!result) return fm_wrap(err, "look for database %s", name);
	*ret = fm_strdup(db_field(result, 0, 0));
	return PQntuples(result) > 0;
}

int
db_find(struct db_job *job, const char *name, char mark[DB_MARK_SIZE], struct fm_err *err)
{
	_cleanup_free_ char *comment = NULL;
	int found = db_find_comment(job, name, &comment, err);

	if (mark) fm_copy(mark, DB_MARK_SIZE, comment);
	return found;
}

int
db_find_mark(struct db_job *job, const char *mark, char name[DB_NAME_SIZE], struct fm_err *err)
{
	const char *const values[] = { mark, job->order->database };
	_cleanup_(db_result_free) PGresult *result = db_query_with(
		&job->admin, err,
		"select datname from pg_database where shobj_description(oid, 'pg_database') = $1 "
		"and "
		"(starts_with(datname, 'fermata_') or starts_with(datname, $2 || '_failed_')) "
		"limit 1",
		2, values);

	if (!result) return fm_wrap(err, "look for databases");
	fm_copy(name, DB_NAME_SIZE, db_field(result, 0, 0));
	return PQntuples(result) > 0;
}

int
db_mark(struct db_job *job, const char *name, const char *mark, struct fm_err *err)
{
	if (db_run(&job->admin, err, "comment on database \"%s\" is '%s'", name, mark) == 0)
		return 0;
	return fm_wrap(err, "mark database %s", name);
}

/* Name $2 like database $1; without one, like template1 but of the application's role $3. */
#define CREATE_LIKE                                                                  \
	"select format('create database %I owner %I template template0 encoding %L " \
	"lc_collate %L lc_ctype %L%s%s%s', $2::text, "                               \
	"case datname when 'template1' then $3 else pg_get_userbyid(datdba) end, "   \
	"pg_encoding_to_char(encoding), datcollate, datctype, "                      \
	"case spcname when 'pg_default' then '' else format(' tablespace %I', spcname) end, "
#define PROVIDER(locale)                                                                         \
	"case datlocprovider when 'i' then format(' locale_provider icu icu_locale %L', " locale \
	") when 'b' then format(' locale_provider builtin builtin_locale %L', " locale           \
	") else '' end, ' strategy wal_log'"
#define CREATE_FROM                                                         \
	") from pg_database join pg_tablespace t on t.oid = dattablespace " \
	"where datname in ($1, 'template1') order by datname <> $1 limit 1"

/* By the server's version: what names the locale, and whether pages go through the log, which saves
 * two checkpoints. */
static const char *
create_query(int server)
{
	if (server >= 170000) return CREATE_LIKE PROVIDER("datlocale") CREATE_FROM;
	if (server >= 150000) return CREATE_LIKE PROVIDER("daticulocale") CREATE_FROM;
	return CREATE_LIKE "'', ''" CREATE_FROM;
}

int
db_create_sql(struct db_job *job, const char *name, char sql[DB_SQL_SIZE], struct fm_err *err)
{
	const char *const values[] = { job->order->database, name, job->order->role };
	_cleanup_(db_result_free) PGresult *result = db_query_with(
		&job->admin, err, create_query(PQserverVersion(job->admin.conn)), 3, values);

	if (!result) return fm_wrap(err, "look at database %s", job->order->database);
	fm_copy(sql, DB_SQL_SIZE, db_field(result, 0, 0));
	return 0;
}

int
db_create(struct db_job *job, const char *name, struct fm_err *err)
{
	char sql[DB_SQL_SIZE];

	if (db_create_sql(job, name, sql, err) < 0) return -1;
	if (db_run(&job->admin, err, "%s", sql) == 0) return 0;
	if (!db_is_state(&job->admin, "42P04")) return fm_wrap(err, "make database %s", name);
	/* The server has finished what it was told by an earlier job that was killed. */
	if (db_drop(job, name, err) < 0) return -1;
	if (db_run(&job->admin, err, "%s", sql) < 0) return fm_wrap(err, "make database %s", name);
	return 0;
}

int
db_drop(struct db_job *job, const char *name, struct fm_err *err)
{
	if (db_run(&job->admin, err, "drop database if exists \"%s\" with (force)", name) == 0)
		return 0;
	return fm_wrap(err, "drop database %s", name);
}

int
db_drop_copies(struct db_job *job, unsigned *ret_count, struct fm_err *err)
{
	const char *const values[] = { job->order->database };
	_cleanup_(db_result_free) PGresult *result = db_query_with(
		&job->admin, err,
		"select datname from pg_database where datname ~ "
		"'^fermata_(scratch|restore)_[0-9]+_' and "
		"regexp_replace(datname, '^fermata_(scratch|restore)_[0-9]+_', '') = $1",
		1, values);

	if (!result) return fm_wrap(err, "look for databases");
	for (int i = 0; i < PQntuples(result); i++)
		if (db_drop(job, db_field(result, i, 0), err) < 0) return -1;
	if (ret_count) *ret_count = (unsigned)PQntuples(result);
	return 0;
}

/* Statements that make $2 as $1 is. A list of names is kept as it was written. */
static const char carry_query[] =
	"with d as (select * from pg_database where datname = $1) "
	"select format('alter database %I connection limit %s', $2::text, datconnlimit) from d "
	"union all select format(case setrole when 0 then 'alter database %1$I set %3$I to %4$s' "
	"else "
	"'alter role %2$I in database %1$I set %3$I to %4$s' end, $2::text, "
	"case when setrole <> 0 then pg_get_userbyid(setrole) end, key, "
	"case when value = '\"\"' then '''''' when key in ('search_path', 'temp_tablespaces', "
	"'local_preload_libraries', 'session_preload_libraries') then value "
	"else quote_literal(value) end) "
	"from pg_db_role_setting s join d on s.setdatabase = d.oid, "
	"unnest(setconfig) c, split_part(c, '=', 1) key, substr(c, length(key) + 2) value "
	"union all select unnest(array[format('revoke all on database %I from public', $2::text), "
	"format('revoke all on database %I from %I', $2::text, pg_get_userbyid(datdba))]) "
	"from d where datacl is not null "
	"union all select format('grant %s on database %I to %s%s', privilege_type, $2::text, "
	"case grantee when 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end, "
	"case when is_grantable then ' with grant option' else '' end) from d, aclexplode(datacl)";

int
db_carry_over(struct db_job *job, const char *from, const char *to, struct fm_err *err)
{
	const char *const values[] = { from, to };
	_cleanup_(db_result_free)
		PGresult *result = db_query_with(&job->admin, err, carry_query, 2, values);

	if (!result) return fm_wrap(err, "read the settings of database %s", from);
	for (int i = 0; i < PQntuples(result); i++)
		if (db_run(&job->admin, err, "%s", db_field(result, i, 0)) < 0)
			return fm_wrap(err, "carry over the settings of database %s", from);
	return 0;
}
