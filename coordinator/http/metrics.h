/* metrics.h - the cluster as Prometheus reads it, by the table in metrics.def. Pure: a picture in, text
 * out. */
#ifndef CO_HTTP_METRICS_H
#define CO_HTTP_METRICS_H

#include <stdio.h>

#include "coordinator/run/run.h"

#define CO_TALLY_PROCEDURES 16
#define CO_TALLY_ENDS (CO_END_NEEDS_OPERATOR + 1)

/* What nobody else counts. */
struct co_tally {
	uint64_t commits, refusals;
	bool refused;	     /* the last commit */
	int64_t closed_ms;   /* unix: all gates are told to show the page since; 0: they are not */
	uint64_t last_ended; /* a run is counted once */
	uint64_t ended[CO_TALLY_PROCEDURES][CO_TALLY_ENDS]; /* by the index in co_procedures */
};

/* `count` runs of this procedure that ended so, up to the run of this number. A name that this program does
 * not know (an older one's) is left out. */
void co_tally_ended(struct co_tally *tally, const char *procedure, const char *end, uint64_t count,
		    uint64_t run);
/* The journal has taken this; run: its row, or NULL. */
void co_tally_commit(struct co_tally *tally, const struct co_state *state,
		     const struct co_run_row *run, int64_t wall_ms);
/* The journal has refused one. */
void co_tally_refusal(struct co_tally *tally);

/* Everything that a sample is got from, of one moment. */
struct co_picture {
	const struct co_state *state;
	const struct co_fleet *fleet;
	const struct co_config *config;
	const struct co_tally *tally;
	struct fm_mono now;
	int64_t wall_ms, started_ms; /* unix */
	uint64_t journal_bytes;
};

#define CO_METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

void co_metrics_write(const struct co_picture *picture, FILE *out);

/* The table as scdoc for the manual. */
void co_metrics_document(FILE *out);

#endif
