/* journal.h - what the coordinator writes before it says anything, and reads when it wakes up. The
 * interface only: coordinator/store/journal_sqlite.c keeps it in SQLite (WAL, synchronous=FULL),
 * tests/sim/ in memory, where it can be torn and refused. */
#ifndef CO_RUN_JOURNAL_H
#define CO_RUN_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "wire/ask.h"

#define CO_KIND_SIZE 16
#define CO_STEP_SIZE 40
#define CO_ARGS_SIZE 240

/* One line of the timeline. (run, number) is its key; run 0: outside a run. */
struct co_event_row {
	uint64_t run, number;
	int64_t at_ms; /* unix */
	int64_t took_ms;
	char kind[CO_KIND_SIZE];
	char step[CO_STEP_SIZE];
	char text[FM_TEXT_SIZE];
};

/* One run, as lists show it. Replaces the row of the same number. */
struct co_run_row {
	uint64_t run;
	char procedure[CO_STEP_SIZE];
	char args[CO_ARGS_SIZE];
	char who[FM_NAME_SIZE];
	char state[CO_KIND_SIZE];
	char end[CO_STEP_SIZE]; /* empty: not ended */
	char text[FM_TEXT_SIZE];
	char next[FM_TEXT_SIZE];
	char why[FM_TEXT_SIZE];
	char restore_point[FM_NAME_SIZE];
	int64_t began_ms, ended_ms, closed_ms, opened_ms;
};

/* One restore point. Replaces the row of the same id. */
struct co_point_row {
	char id[FM_NAME_SIZE];
	uint64_t run;
	char version[FM_VERSION_SIZE];
	char node[FM_NAME_SIZE]; /* whose agent holds the storage snapshot */
	int64_t at_ms;
	uint64_t database_bytes, storage_bytes, tables, rows;
	bool verified;
	bool swept;
};

/* All or nothing. */
struct co_commit {
	const uint8_t *state; /* the coordinator's whole durable state, opaque here */
	size_t state_size;
	const struct co_run_row *run; /* NULL: unchanged */
	const struct co_event_row *events;
	unsigned event_count;
	const struct co_point_row *point; /* NULL: unchanged */
};

struct co_journal;

/* Opens or makes the journal at path (mode 0600), takes it for this process alone (another
 * coordinator on it: FM_ERR_REFUSED with its pid), and checks it (a damaged file: FM_ERR_IO, with what
 * to do). */
int co_journal_open(const char *path, struct co_journal **ret, struct fm_err *err);
void co_journal_close(struct co_journal *journal);

/* Durable when it returns 0; -1: nothing of it is written. */
int co_journal_commit(struct co_journal *journal, const struct co_commit *commit,
		      struct fm_err *err);

/* The last committed state in fresh memory (caller frees), NULL and 0 when there is none. */
int co_journal_load(struct co_journal *journal, uint8_t **ret, size_t *ret_size,
		    struct fm_err *err);

/* Reads; ret in fresh memory (caller frees), newest run first, events in order. */
int co_journal_runs(struct co_journal *journal, unsigned most, struct co_run_row **ret,
		    unsigned *ret_count, struct fm_err *err);
int co_journal_run(struct co_journal *journal, uint64_t run, struct co_run_row *ret,
		   struct fm_err *err); /* no such run: FM_ERR_REFUSED */
int co_journal_events(struct co_journal *journal, uint64_t run, uint64_t after, unsigned most,
		      struct co_event_row **ret, unsigned *ret_count, struct fm_err *err);
int co_journal_points(struct co_journal *journal, struct co_point_row **ret, unsigned *ret_count,
		      struct fm_err *err); /* newest first, swept ones left out */

/* Calls each with how many runs of a procedure ended so, and the number of the last of them. For a start: it reads
 * all runs. */
typedef void co_journal_each_end(void *arg, const char *procedure, const char *end, uint64_t count,
				 uint64_t last_run);
int co_journal_ends(struct co_journal *journal, co_journal_each_end *each, void *arg,
		    struct fm_err *err);

/* Of its files; asks the file system, not the database. */
uint64_t co_journal_bytes(const struct co_journal *journal);

/* Median of took_ms over the last `most` "done" events of this step in runs of this procedure; -1
 * when it never ran. */
#define CO_MEDIAN_OF 7
int64_t co_journal_median_ms(struct co_journal *journal, const char *procedure, const char *step,
			     unsigned most);

#endif
