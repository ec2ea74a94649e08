/* facts.h - what is in a database, as a flat JSON object of texts: rows of every table, last
 * values of every sequence, sums over the definitions, the application's version and its
 * migrations. Two databases with the same facts hold the same; a restore point keeps the facts of
 * its original. */
#ifndef DB_FACTS_H
#define DB_FACTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "coordinator/store/dbjob/job.h"

struct db_gather {
	struct db_link *link;
	bool with_sums; /* a sum over the contents of every table too */
	json_t *facts;	/* of the caller: to free with json_decref() */
	PGresult *tables;
	int next; /* of tables: the first that is not asked yet */
	bool is_counting;
};

/* Gathers from all at the same time: each has its own server process. */
int db_gather_all(const struct db_job *job, struct db_gather *gathers, int count,
		  struct fm_err *err);

/* How many facts differ; the first few go to text. */
unsigned db_facts_differ(const json_t *want, const json_t *got, char *text, size_t size);

void db_facts_total(const json_t *facts, unsigned long long *ret_tables,
		    unsigned long long *ret_rows);

#endif
