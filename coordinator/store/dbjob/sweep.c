/* sweep.c - removes what no way back needs: copies that have served, failed databases but the last,
 * restore points that are not to be kept. Only what bears our mark is touched. */
#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "coordinator/store/dbjob/database.h"
#include "coordinator/store/dbjob/guard.h"
#include "coordinator/store/dbjob/point.h"

static void
folder_closep(DIR **folder)
{
	if (*folder) closedir(*folder);
}

/* The last failed one is for the post-mortem. */
static int
drop_failed(struct db_job *job, unsigned *ret_count, struct fm_err *err)
{
	const char *const values[] = { job->order->database };
	_cleanup_(db_result_free) PGresult *result = db_query_with(
		&job->admin, err,
		"select datname from pg_database where starts_with(datname, $1 || '_failed_') and "
		"shobj_description(oid, 'pg_database') like 'fermata: failed in run %' order by "
		"substring(shobj_description(oid, 'pg_database') from 'fence ([0-9]+)')::numeric "
		"desc, "
		"substring(shobj_description(oid, 'pg_database') from 'run ([0-9]+)')::numeric "
		"desc offset 1",
		1, values);

	if (!result) return fm_wrap(err, "look for failed databases");
	for (int i = 0; i < PQntuples(result); i++)
		if (db_drop(job, db_field(result, i, 0), err) < 0) return -1;
	*ret_count = (unsigned)PQntuples(result);
	return 0;
}

static bool
is_kept(const Fermata__JobOrder *order, const char *id)
{
	for (size_t i = 0; i < order->n_keep; i++)
		if (fm_is_equal(order->keep[i], id)) return true;
	return false;
}

static bool
is_partial(const char *name)
{
	size_t size = strlen(name), tail = strlen(".partial");

	return size > tail && fm_is_equal(name + size - tail, ".partial");
}

/* 1: it is a restore point of this cluster, or what is left of one, and nobody wants it. */
static int
is_to_go(struct db_job *job, const char *name, struct db_point *point, struct fm_err *err)
{
	int found;

	if (!fm_is_name(name, FM_NAME_SIZE) || is_kept(job->order, name)) return 0;
	if (db_point_init(job, name, point, err) < 0) return -1;
	if (is_partial(name)) return 1;
	found = db_point_read(point, err);
	if (found <= 0) return found;
	return fm_is_equal(db_point_text(point, "cluster"), job->order->cluster);
}

static int
remove_points(struct db_job *job, unsigned *ret_count, struct fm_err *err)
{
	_cleanup_(folder_closep) DIR *folder = opendir(job->order->directory);
	struct dirent *entry;

	*ret_count = 0;
	if (!folder) {
		if (errno == ENOENT) return 0;
		return fm_fail(err, FM_ERR_IO, errno, "open %s", job->order->directory);
	}
	while ((entry = readdir(folder))) {
		_cleanup_(db_point_done) struct db_point point = { .manifest = NULL };
		int gone = is_to_go(job, entry->d_name, &point, err);

		if (gone < 0) return -1;
		if (gone == 0) continue;
		if (db_guard_check(job, err) < 0 || db_point_remove(point.folder, err) < 0)
			return -1;
		++*ret_count;
	}
	return 0;
}

int
db_sweep(struct db_job *job, struct fm_err *err)
{
	unsigned copies = 0, failed = 0, points = 0;

	if (db_drop_copies(job, &copies, err) < 0 || drop_failed(job, &failed, err) < 0) return -1;
	/* An empty list is a fault of who asks rather than a wish to lose every way back. */
	if (job->order->n_keep > 0 && remove_points(job, &points, err) < 0) return -1;
	db_say(job, "removed %u copies, %u failed databases, %u restore points", copies, failed,
	       points);
	return 0;
}
