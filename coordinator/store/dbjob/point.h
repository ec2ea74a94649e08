/* point.h - a restore point on disk: <directory>/<id>/ with database.dump, database.list and
 * manifest.json. It comes into being by one rename, so one that is there is complete. */
#ifndef DB_POINT_H
#define DB_POINT_H

#include <jansson.h>
#include <stdbool.h>

#include "coordinator/store/dbjob/job.h"

#define DB_PATH_SIZE 4096
#define DB_SUM_SIZE 65

struct db_point {
	char folder[DB_PATH_SIZE], partial[DB_PATH_SIZE];
	char dump[DB_PATH_SIZE + 32];
	json_t *manifest;
};

/* Names only. */
int db_point_init(const struct db_job *job, const char *id, struct db_point *ret,
		  struct fm_err *err);
void db_point_done(struct db_point *point);

/* Reads the manifest: 1, 0 when there is no such restore point, -1 when it cannot be read. */
int db_point_read(struct db_point *point, struct fm_err *err);
/* The same, and none is a failure. */
int db_point_need(struct db_point *point, const char *id, struct fm_err *err);

/* Makes an empty <id>.partial; what a killed job left of it is removed. */
int db_point_begin(struct db_point *point, struct fm_err *err);
/* Writes the manifest into folder, durable when it returns. */
int db_point_write(const struct db_point *point, const char *folder, struct fm_err *err);
/* Puts the partial one in the place of folder. */
int db_point_finish(struct db_point *point, struct fm_err *err);
int db_point_remove(const char *folder, struct fm_err *err);

/* SHA-256 of a file in hex, and its size. */
int db_file_sum(const char *path, char sum[DB_SUM_SIZE], unsigned long long *ret_bytes,
		struct fm_err *err);
/* Whether the dump is the one the manifest was written for. */
int db_point_check_sum(const struct db_point *point, struct fm_err *err);

unsigned long long db_point_number(const struct db_point *point, const char *key);
const char *db_point_text(const struct db_point *point, const char *key); /* "" when missing */
bool db_point_is_verified(const struct db_point *point);

#endif
