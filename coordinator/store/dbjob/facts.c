#include "coordinator/store/dbjob/facts.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "coordinator/store/dbjob/look.h"

/* One query counts so many tables: the server's parser is recursive. */
#define TABLES_AT_ONCE 200
#define DIFFERENCES_SAID 3

/* What texts of values depend on is set, whatever the role or the database say. */
static const char setup[] =
	"set search_path = ''; set timezone = 'UTC'; set datestyle = 'ISO'; set intervalstyle = "
	"'postgres'; set extra_float_digits = 3; set bytea_output = 'hex'; set row_security = off; "
	"set statement_timeout = 0; set lock_timeout = 0; set jit = off; "
	"set default_transaction_read_only = on; ";

#define USERS "n.nspname !~ '^pg_' and n.nspname <> 'information_schema'"
#define SUM(name, columns, from)                                                                 \
	"union all select '" name "', 'columns', md5(coalesce(string_agg(f, chr(10) order by f " \
	"collate \"C\"), '')) || ' ' || count(*) from (select concat_ws(' ', " columns           \
	") f from " from ") s "

/* Kind, key, value. Definitions are compared by their parts, never by their text: an expression
 * may be written differently after a restore and still be the same. A table that inherits may
 * have its columns in another order, so its contents are counted only. An invalid index is not
 * dumped, and an extension comes back in the version that is installed. */
/* clang-format off */
static const char catalog_query[] =
	"select 'table', format('%I.%I', n.nspname, c.relname), case when c.relispartition or "
	"exists (select 1 from pg_catalog.pg_inherits i where i.inhrelid = c.oid) then 'i' "
	"else 'r' end "
	"from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace "
	"where c.relkind = 'r' and " USERS " "
	"union all select 'sequence', format('sequence %I.%I', schemaname, sequencename), "
	"coalesce(last_value::text, 'unused') from pg_catalog.pg_sequences "
	SUM("columns",
	    "n.nspname, c.relname, c.relkind, a.attname, format_type(a.atttypid, a.atttypmod), "
	    "a.attnotnull, a.atthasdef, a.attidentity, a.attgenerated",
	    "pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid "
	    "join pg_catalog.pg_namespace n on n.oid = c.relnamespace "
	    "where a.attnum > 0 and not a.attisdropped and "
	    "c.relkind in ('r', 'p', 'v', 'm', 'f', 'c') and " USERS)
	SUM("indexes",
	    "n.nspname, c.relname, i.relname, x.indisunique, x.indisprimary, x.indnatts",
	    "pg_catalog.pg_index x join pg_catalog.pg_class i on i.oid = x.indexrelid "
	    "join pg_catalog.pg_class c on c.oid = x.indrelid "
	    "join pg_catalog.pg_namespace n on n.oid = c.relnamespace "
	    "where (x.indisvalid or c.relkind = 'p') and " USERS)
	SUM("constraints",
	    "n.nspname, conrelid::regclass, conname, contype, confrelid::regclass, convalidated",
	    "pg_catalog.pg_constraint k "
	    "join pg_catalog.pg_namespace n on n.oid = k.connamespace where " USERS)
	SUM("functions",
	    "n.nspname, p.oid::regprocedure",
	    "pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace "
	    "where not exists (select 1 from pg_catalog.pg_depend d where d.deptype = 'e' "
	    "and d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = p.oid) and " USERS)
	SUM("triggers",
	    "n.nspname, c.relname, t.tgname, t.tgenabled",
	    "pg_catalog.pg_trigger t join pg_catalog.pg_class c on c.oid = t.tgrelid "
	    "join pg_catalog.pg_namespace n on n.oid = c.relnamespace "
	    "where not t.tgisinternal and " USERS)
	SUM("extensions", "extname", "pg_catalog.pg_extension")
	SUM("large objects", "oid", "pg_catalog.pg_largeobject_metadata");
/* clang-format on */

struct text {
	char *at;
	size_t size;
	FILE *out;
};

static void
text_free(struct text *text)
{
	fm_fclosep(&text->out);
	free(text->at);
}

static void
add_fact(json_t *facts, const char *key, const char *value)
{
	json_object_set_new(facts, key, json_string(value));
}

static bool
has_table(const PGresult *tables, const char *name)
{
	char plain[3 * DB_NAME_SIZE];
	size_t n = 0;

	/* format('%I') quotes only where it must. */
	for (const char *c = name; *c && n + 1 < sizeof plain; c++)
		if (*c != '"') plain[n++] = *c;
	plain[n] = '\0';
	for (int i = 0; i < PQntuples(tables); i++) {
		const char *have = db_field(tables, i, 1);
		const char *want = plain;

		if (!fm_is_equal(db_field(tables, i, 0), "table")) continue;
		for (; *have; have++) {
			if (*have == '"') continue;
			if (*have != *want) break;
			want++;
		}
		if (!*have && !*want) return true;
	}
	return false;
}

/* nocobase: the version is written last in an upgrade, a migration's name once it is done. */
static void
ask_application(const struct db_job *job, const struct db_gather *g, FILE *out)
{
	char versions[3 * DB_NAME_SIZE], migrations[3 * DB_NAME_SIZE];

	db_table_name(job->order, "applicationVersion", "application_version", versions,
		      sizeof versions);
	db_table_name(job->order, "migrations", "migrations", migrations, sizeof migrations);
	if (has_table(g->tables, versions))
		fprintf(out,
			" union all select 'application version', string_agg(value, ' ' order by "
			"id) "
			"from %s",
			versions);
	if (has_table(g->tables, migrations))
		fprintf(out,
			" union all select 'migrations', count(*) || ' ' || "
			"md5(coalesce(string_agg("
			"name, ' ' order by name collate \"C\"), '')) from %s",
			migrations);
}

/* Asks for the next tables; 0 when there are none left. */
static int
ask_counts(const struct db_job *job, struct db_gather *g, struct fm_err *err)
{
	_cleanup_(text_free) struct text sql = { NULL, 0, NULL };
	int end = g->next + TABLES_AT_ONCE;
	bool is_first = g->next == 0;

	if (g->next >= PQntuples(g->tables)) return 0;
	sql.out = open_memstream(&sql.at, &sql.size);
	if (!sql.out) return fm_fail(err, FM_ERR_IO, 0, "make a statement");
	fputs("select '', ''", sql.out);
	for (; g->next < PQntuples(g->tables) && g->next < end; g->next++) {
		const char *name = db_field(g->tables, g->next, 1);
		bool is_plain = fm_is_equal(db_field(g->tables, g->next, 2), "r");
		_cleanup_free_ char *literal = NULL;

		if (!fm_is_equal(db_field(g->tables, g->next, 0), "table")) continue;
		literal = PQescapeLiteral(g->link->conn, name, strlen(name));
		if (!literal) return fm_fail(err, FM_ERR_DATABASE, 0, "quote %s", name);
		fprintf(sql.out,
			" union all select 'table ' || %s, count(*)::text%s from only %s "
			"fermata_row",
			literal,
			g->with_sums && is_plain
				? " || ' ' || coalesce(sum(pg_catalog.hashtextextended("
				  "fermata_row::text, 0)), 0)"
				: "",
			name);
	}
	if (is_first) ask_application(job, g, sql.out);
	fflush(sql.out);
	if (!PQsendQuery(g->link->conn, sql.at))
		return fm_fail(err, FM_ERR_DATABASE, 0, "%s", PQerrorMessage(g->link->conn));
	g->is_counting = true;
	return 1;
}

static int
begin(struct db_gather *g, struct fm_err *err)
{
	_cleanup_free_ char *sql = fm_new(char, sizeof setup + sizeof catalog_query);

	g->facts = json_object();
	fm_copy(sql, sizeof setup, setup);
	fm_append(sql, sizeof setup + sizeof catalog_query, "%s", catalog_query);
	if (PQsendQuery(g->link->conn, sql)) return 0;
	return fm_fail(err, FM_ERR_DATABASE, 0, "%s", PQerrorMessage(g->link->conn));
}

static int
take_catalog(const struct db_job *job, struct db_gather *g, struct fm_err *err)
{
	g->tables = db_take(g->link, err);
	if (!g->tables) return fm_wrap(err, "read the definitions");
	for (int i = 0; i < PQntuples(g->tables); i++) {
		const char *kind = db_field(g->tables, i, 0), *second = db_field(g->tables, i, 1);

		if (fm_is_equal(kind, "table")) continue;
		add_fact(g->facts, fm_is_equal(kind, "sequence") ? second : kind,
			 db_field(g->tables, i, 2));
	}
	return ask_counts(job, g, err) < 0 ? -1 : 0;
}

static int
take_counts(const struct db_job *job, struct db_gather *g, struct fm_err *err)
{
	_cleanup_(db_result_free) PGresult *counts = NULL;

	g->is_counting = false;
	counts = db_take(g->link, err);
	if (!counts) return fm_wrap(err, "count rows");
	for (int i = 0; i < PQntuples(counts); i++)
		if (!fm_is_empty(db_field(counts, i, 0)))
			add_fact(g->facts, db_field(counts, i, 0), db_field(counts, i, 1));
	return ask_counts(job, g, err);
}

static int
gather(const struct db_job *job, struct db_gather *gathers, int count, struct fm_err *err)
{
	bool is_more = true;

	for (int i = 0; i < count; i++)
		if (begin(&gathers[i], err) < 0) return -1;
	for (int i = 0; i < count; i++)
		if (take_catalog(job, &gathers[i], err) < 0) return -1;
	while (is_more) {
		is_more = false;
		for (int i = 0; i < count; i++) {
			int asked = gathers[i].is_counting ? take_counts(job, &gathers[i], err) : 0;

			if (asked < 0) return -1;
			if (asked > 0) is_more = true;
		}
	}
	return 0;
}

int
db_gather_all(const struct db_job *job, struct db_gather *gathers, int count, struct fm_err *err)
{
	int rc = gather(job, gathers, count, err);

	for (int i = 0; i < count; i++) db_result_free(&gathers[i].tables);
	return rc;
}

static void
say_difference(char *text, size_t size, unsigned nth, const char *key, const char *want,
	       const char *got)
{
	if (nth > DIFFERENCES_SAID) return;
	fm_append(text, size, "%s%s: %s in the original, %s in the copy", nth > 1 ? "; " : "", key,
		  want ? want : "nothing", got ? got : "nothing");
}

unsigned
db_facts_differ(const json_t *want, const json_t *got, char *text, size_t size)
{
	json_t *w = (json_t *)(uintptr_t)want, *g = (json_t *)(uintptr_t)got, *value;
	unsigned count = 0;
	const char *key;

	text[0] = '\0';
	json_object_foreach(w, key, value)
	{
		const char *there = json_string_value(json_object_get(g, key));

		if (!there || !fm_is_equal(there, json_string_value(value)))
			say_difference(text, size, ++count, key, json_string_value(value), there);
	}
	json_object_foreach(g, key, value) if (!json_object_get(w, key))
		say_difference(text, size, ++count, key, NULL, json_string_value(value));
	return count;
}

void
db_facts_total(const json_t *facts, unsigned long long *ret_tables, unsigned long long *ret_rows)
{
	json_t *f = (json_t *)(uintptr_t)facts, *value;
	const char *key;

	*ret_tables = *ret_rows = 0;
	json_object_foreach(f, key, value)
	{
		if (strncmp(key, "table ", 6) != 0) continue;
		++*ret_tables;
		*ret_rows += strtoull(json_string_value(value), NULL, 10);
	}
}
