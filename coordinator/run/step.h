/* step.h - one row of a procedure, and what a row's functions may see. A procedure is a table of
 * these; the runner (run.h) knows no procedure by name.
 *
 * Rules of a row (checked by co_procedure_check(), in the unit tests and at every start):
 *  - ask() changes wants and nothing else; it may be called any number of times;
 *  - done() looks at reports of the current voice and nothing else;
 *  - note() writes down, once, what the proof of the row has made true;
 *  - a row that fails goes BACK to a row of the recovery table, or says why it need not (REFUSE: nothing
 *    was touched), or cannot (HALT), or does not matter (CARRY_ON).
 * Taking back is a table too, not a function per row: the reverse of "stop all" is not "start all"
 * but "start the first, prove it, start the others" (I4), and an order is what a table can say. */
#ifndef CO_RUN_STEP_H
#define CO_RUN_STEP_H

#include <stdbool.h>
#include <stdint.h>

#include "coordinator/fleet/fleet.h"
#include "coordinator/run/state.h"

enum co_limit {
#define CO_LIMIT(name, key, fallback, progress, asks, help) CO_LIMIT_##name,
#include "coordinator/run/limits.def"
#undef CO_LIMIT
	CO_LIMITS
};

/* Whom a row is about; the runner asks each, and waits for the proof of each. */
enum co_scope {
	CO_GATES = 1,
	CO_STORE = 2, /* the database, by a job */
	CO_FIRST = 4,
	CO_OTHERS = 8,
	CO_ALL = CO_FIRST | CO_OTHERS,
	CO_EACH = 16, /* rolling: consecutive rows with this bit are gone through node by node */
	CO_PERSON = 32,
};

enum co_policy {
	CO_REFUSE,   /* nothing was touched: the run ends */
	CO_BACK,     /* take back, from the row `back` of the recovery table on; NULL: nothing to */
	CO_ROLLBACK, /* the same, if the cluster's policy is automatic; else HALT */
	CO_HALT,
	CO_CARRY_ON, /* said, and gone on */
};

/* STALLED: a peer says that nothing moves any more; as if the row were past its limit. */
enum co_verdict { CO_WAIT, CO_DONE, CO_STALLED, CO_FAILED };

/* Work in the database, as the core sees it. Values equal Fermata__JobKind. */
enum co_job_kind {
	CO_JOB_NONE = 0,
	CO_JOB_FENCE = 2,
	CO_JOB_UNFENCE = 3,
	CO_JOB_DUMP = 4,
	CO_JOB_VERIFY = 5,
	CO_JOB_RESTORE = 6,
	CO_JOB_SWEEP = 7,
	CO_JOB_PREFLIGHT = 8,
};

struct co_job_result {
	bool ok, installed;
	char version[FM_VERSION_SIZE];
	char text[FM_TEXT_SIZE];
	uint64_t bytes, tables, rows;
};

struct co_job {
	enum co_job_kind kind;
	uint64_t epoch; /* of the state when it was started */
	bool running, finished;
	struct co_job_result result;
	char progress[FM_TEXT_SIZE];
};

struct co_config {
	char cluster[FM_NAME_SIZE];
	unsigned node_count, gate_count;
	char nodes[FM_NODES_MAX][FM_NAME_SIZE];
	bool workers[FM_NODES_MAX]; /* nodes that take no requests: no gate has them for a peer */
	char gates[FM_GATES_MAX][FM_NAME_SIZE];
	bool open_first; /* open_when = first */
	bool rollback_auto;
	unsigned keep_releases;
	int64_t limits_ms[CO_LIMITS];
};

/* One of those a row is about. */
struct co_who {
	enum co_scope kind; /* GATES, STORE, FIRST (any node), PERSON */
	unsigned i;	    /* node or gate */
};

/* What a row's functions see. state is const for done(). */
struct co_turn {
	struct co_state *state;
	const struct co_fleet *fleet;
	const struct co_config *config;
	const struct co_job *job;
	int64_t wall_ms; /* unix; for note() */
	char *why;	 /* FM_TEXT_SIZE: what is waited for, or what failed */
	char *remark;	 /* the same: what a person should know of a proof; done() appends */
};

struct co_step {
	const char *name;
	unsigned scope;
	bool (*when)(const struct co_turn *t); /* NULL: always */
	void (*ask)(struct co_turn *t, struct co_who who);
	enum co_verdict (*done)(const struct co_turn *t, struct co_who who);
	void (*note)(struct co_turn *t); /* NULL: nothing to write down */
	enum co_job_kind job;		 /* with CO_STORE; its result is proof by itself */
	enum co_limit limit;
	enum co_policy fails;
	const char *back;
	const char *says;
};

struct co_order;

struct co_procedure {
	const char *name;
	/* Fills the new run from the order and what is known; -1: refused, nothing was touched. */
	int (*prepare)(struct co_turn *t, const struct co_order *order, struct fm_err *err);
	const char *says;
	const char *command;		/* NocoBase's word for it, for open tabs */
	const struct co_step *steps;	/* ends with name NULL */
	const struct co_step *recovery; /* NULL: nothing is ever taken back */
	const char *then; /* what undoes its good end, as it is typed; NULL: nothing must */
	bool opens;	  /* at its good end visitors are served */
	bool goes_back;	  /* its steps go to an older state: names its end */
};

extern const struct co_procedure *const co_procedures[]; /* ends with NULL */
const struct co_procedure *co_procedure_find(const char *name);
const struct co_step *co_step_find(const struct co_step *table, const char *name);

/* Whether the table keeps the rules above; what is wrong goes to why. */
bool co_procedure_check(const struct co_procedure *procedure, char *why, size_t size);

const char *co_limit_name(enum co_limit limit);
bool co_limit_counts_from_progress(enum co_limit limit);
/* Past it a person is asked, whatever a failure of the row would mean. */
bool co_limit_asks(enum co_limit limit);
const char *co_policy_name(enum co_policy policy);

#endif
