/* main.c - fermata-dbjob: one order in, reports out, the last of them final. Blocking work in
 * PostgreSQL for programs that must not block. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "coordinator/store/dbjob/frames.h"
#include "coordinator/store/dbjob/guard.h"
#include "wire/frame.h"

enum {
	NEEDS_ADMIN = 1, /* a connection to the maintenance database, a role and a database */
	NEEDS_VOICE = 2, /* no higher epoch, and no other job meanwhile */
	NEEDS_FENCE = 4, /* the application is shut out */
	NEEDS_FOLDER = 8,
	NEEDS_POINT = 16,
};

struct db_row {
	Fermata__JobKind kind;
	const char *name;
	unsigned needs;
	int (*run)(struct db_job *job, struct fm_err *err);
};

/* clang-format off */
static const struct db_row jobs[] = {
	{ FERMATA__JOB_KIND__JOB_LOOK,      "look",      0,                                                                    db_look },
	{ FERMATA__JOB_KIND__JOB_ACTIVITY,  "activity",  0,                                                                    db_activity },
	{ FERMATA__JOB_KIND__JOB_FENCE,     "fence",     NEEDS_ADMIN | NEEDS_VOICE,                                            db_fence },
	{ FERMATA__JOB_KIND__JOB_UNFENCE,   "unfence",   NEEDS_ADMIN | NEEDS_VOICE,                                            db_unfence },
	{ FERMATA__JOB_KIND__JOB_DUMP,      "dump",      NEEDS_ADMIN | NEEDS_VOICE | NEEDS_FENCE | NEEDS_FOLDER | NEEDS_POINT, db_dump },
	{ FERMATA__JOB_KIND__JOB_VERIFY,    "verify",    NEEDS_ADMIN | NEEDS_VOICE | NEEDS_FOLDER | NEEDS_POINT,               db_verify },
	{ FERMATA__JOB_KIND__JOB_RESTORE,   "restore",   NEEDS_ADMIN | NEEDS_VOICE | NEEDS_FENCE | NEEDS_FOLDER | NEEDS_POINT, db_restore },
	{ FERMATA__JOB_KIND__JOB_SWEEP,     "sweep",     NEEDS_ADMIN | NEEDS_VOICE | NEEDS_FOLDER,                             db_sweep },
	{ FERMATA__JOB_KIND__JOB_PREFLIGHT, "preflight", NEEDS_ADMIN | NEEDS_FOLDER,                                           db_preflight },
};
/* clang-format on */

static const struct db_row *
find_row(Fermata__JobKind kind)
{
	for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++)
		if (jobs[i].kind == kind) return &jobs[i];
	return NULL;
}

/* Goes into statements between double quotes and into arguments of pg_restore. */
static bool
is_plain(const char *name, size_t most)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.$-";
	size_t size = strlen(name);

	return size > 0 && size <= most && strspn(name, plain) == size && name[0] != '-';
}

static int
check_names(const Fermata__JobOrder *order, unsigned needs, struct fm_err *err)
{
	if (!fm_is_empty(order->schema) && !is_plain(order->schema, DB_NAME_SIZE - 1))
		return fm_fail(err, FM_ERR_CONFIG, 0, "\"%s\" cannot be a schema", order->schema);
	if (!fm_is_empty(order->table_prefix) && !is_plain(order->table_prefix, DB_NAME_MOST))
		return fm_fail(err, FM_ERR_CONFIG, 0, "\"%s\" cannot be a prefix",
			       order->table_prefix);
	if ((needs & NEEDS_ADMIN) && !is_plain(order->database, DB_NAME_MOST))
		return fm_fail(
			err, FM_ERR_CONFIG, 0,
			"the database's name \"%s\" is not of 1 to %d letters, digits and _.$-",
			order->database, DB_NAME_MOST);
	if ((needs & NEEDS_ADMIN) && !is_plain(order->role, DB_NAME_SIZE - 1))
		return fm_fail(err, FM_ERR_CONFIG, 0,
			       "the role's name \"%s\" is not of letters, digits "
			       "and _.$-",
			       order->role);
	if ((needs & NEEDS_VOICE) && !fm_is_name(order->cluster, FM_NAME_SIZE))
		return fm_fail(err, FM_ERR_CONFIG, 0, "\"%s\" is no name of a cluster",
			       order->cluster);
	if ((needs & NEEDS_POINT) && !fm_is_name(order->restore_point, FM_NAME_SIZE))
		return fm_fail(err, FM_ERR_CONFIG, 0, "\"%s\" is no name of a restore point",
			       order->restore_point);
	if ((needs & NEEDS_FOLDER) && order->directory[0] != '/')
		return fm_fail(err, FM_ERR_CONFIG, 0, "\"%s\" is no folder for restore points",
			       order->directory);
	if (order->run >= 1000000)
		return fm_fail(err, FM_ERR_CONFIG, 0, "no run has number %llu",
			       (unsigned long long)order->run);
	return 0;
}

/* Never the application's own database: that one is renamed and compared. */
static int
connect_admin(struct db_job *job, struct fm_err *err)
{
	db_conninfo_value(job->order->admin, "dbname", job->maintenance, sizeof job->maintenance);
	if (fm_is_empty(job->maintenance) || fm_is_equal(job->maintenance, job->order->database))
		FM_COPY(job->maintenance, "postgres");
	if (db_link_open(&job->admin, job->order->admin, job->maintenance, err) < 0)
		return fm_wrap(err, "connect as [database] admin");
	return db_run(
		&job->admin, err,
		"set statement_timeout = 0; set lock_timeout = 0; set synchronous_commit = on; "
		"set idle_in_transaction_session_timeout = 0; set search_path = ''");
}

static int
run(struct db_job *job, const struct db_row *row, struct fm_err *err)
{
	if (check_names(job->order, row->needs, err) < 0) return -1;
	if ((row->needs & NEEDS_ADMIN) && connect_admin(job, err) < 0) return -1;
	if ((row->needs & NEEDS_VOICE) && db_guard(job, err) < 0) return -1;
	if ((row->needs & NEEDS_FENCE) && db_need_fence(job, err) < 0) return -1;
	return row->run(job, err);
}

static int
finish(struct db_job *job, int rc, const struct fm_err *err)
{
	Fermata__JobReport *report = &job->report;
	struct fm_err lost;

	if (rc < 0) {
		FM_COPY(job->text, err->text);
		if (fm_is_empty(job->sqlstate)) FM_COPY(job->sqlstate, job->admin.sqlstate);
	} else {
		job->sqlstate[0] = '\0';
	}
	report->final = true;
	report->ok = rc == 0;
	report->text = job->text;
	report->version = job->version;
	report->kept_database = job->kept;
	report->sqlstate = job->sqlstate;
	report->login = job->may_login;
	report->sql = job->sql;
	report->sql_waits = job->sql_waits;
	if (db_write_report(STDOUT_FILENO, report, &lost) < 0) return 1;
	return rc == 0 ? 0 : 1;
}

static int
work(void)
{
	struct db_job job = { .report = FERMATA__JOB_REPORT__INIT };
	_cleanup_(fm_envelope_freep) Fermata__Envelope *envelope = NULL;
	const struct db_row *row;
	struct fm_err err = { .text = "" };
	int rc;

	envelope = db_read_order(STDIN_FILENO, &err);
	if (!envelope) return finish(&job, -1, &err);
	job.order = envelope->job_order;
	row = find_row(job.order->kind);
	if (row)
		rc = run(&job, row, &err);
	else
		rc = fm_fail(&err, FM_ERR_PEER, 0, "there is no job of kind %d",
			     (int)job.order->kind);
	db_link_close(&job.admin);
	return finish(&job, rc, &err);
}

static void
help(void)
{
	printf("usage: fermata-dbjob < ORDER > REPORTS\n\n"
	       "A child of fermata-coordinator and fermata-agent: one order as a frame on "
	       "standard\n"
	       "input, reports as frames on standard output. It takes no options. Jobs:");
	for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++) printf(" %s", jobs[i].name);
	printf("\n");
}

int
main(int argc, char **argv)
{
	umask(0077);
	if (argc == 2 && fm_is_equal(argv[1], "--version")) {
		printf("fermata-dbjob %s\n", FM_VERSION);
		return 0;
	}
	if (argc == 2 && fm_is_equal(argv[1], "--help")) {
		help();
		return 0;
	}
	if (argc > 1) {
		fprintf(stderr,
			"fermata-dbjob: unknown argument %s; it takes orders on standard input\n",
			argv[1]);
		return 2;
	}
	return work();
}
