/* state.h - what the coordinator knows that must survive it: what it wants of every peer, and where the
 * run stands. Plain values; committed to the journal whole before anything is said (journal.h).
 * Wants are state, not the outcome of replaying steps: after a crash they are read back and
 * said again under a new epoch. */
#ifndef CO_RUN_STATE_H
#define CO_RUN_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coordinator/run/journal.h"
#include "wire/ask.h"

#define CO_RUN_STATES(X)                                                               \
	X(NONE, "none")                                                                \
	X(RUNNING, "running")                                                          \
	X(HELD, "held")	    /* a step waits for a person */                            \
	X(PAUSED, "paused") /* between two steps, on a person's word */                \
	X(HALTED, "halted") /* a step failed and only a person can say how to go on */ \
	X(ENDED, "ended")

/* How a run ends; the text is the exit of `fermata` and stands in every list. */
#define CO_ENDS(X)                                        \
	X(NONE, "")                                       \
	X(DONE, "done")                                   \
	X(REFUSED, "refused")                             \
	X(ROLLED_BACK, "rolled-back")                     \
	X(ROLLED_BACK_WITH_LOSS, "rolled-back-with-loss") \
	X(STOPPED_BY_OPERATOR, "stopped-by-operator")     \
	X(NEEDS_OPERATOR, "needs-operator")

#define X(name, text) CO_RUN_##name,
enum co_run_state { CO_RUN_STATES(X) };
#undef X
#define X(name, text) CO_END_##name,
enum co_end { CO_ENDS(X) };
#undef X

const char *co_run_state_name(enum co_run_state state);
const char *co_end_name(enum co_end end);

#define CO_WITHOUT_MOST 16 /* gates and nodes that one run may leave out */

/* What a person has said to the run; each is forgotten when it has been obeyed. */
struct co_words {
	bool approved, rejected, ended, pause, abort;
};

struct co_run {
	uint64_t number;
	enum co_run_state state;
	enum co_end end;
	char procedure[CO_STEP_SIZE];
	char step[CO_STEP_SIZE]; /* by name, so that a journal outlives a changed table */
	bool recovering;	 /* in the procedure's recovery table */
	unsigned subject;	 /* node of a rolling group */
	unsigned first;		 /* the node that goes first, or is kept */
	struct co_words words;
	bool yes, no_backup, page;
	bool open_first; /* visitors come back with the first node; the others join behind it */
	bool closed;	 /* proved: the gates are closed, and stay so until asked to open */
	bool opened;  /* visitors were let in again: what they write would be lost by a rollback */
	bool touched; /* a start that may change the database was asked */
	bool installed;		    /* what preflight found in the database */
	bool stalled;		    /* halted since nothing moved: waiting on is a choice */
	bool by_operator;	    /* taking back because a person said so */
	bool drains;		    /* the row has taken the subject out of traffic */
	uint64_t serial;	    /* raised by every retry, so that what failed is asked anew */
	char to[FM_VERSION_SIZE];   /* the release to end on */
	char from[FM_VERSION_SIZE]; /* the release to go back to; may be empty */
	char restore_point[FM_NAME_SIZE]; /* taken by this run, or to be restored by it */
	char storage_node[FM_NAME_SIZE];  /* whose agent holds its storage */
	bool verified;			  /* the restore point was proved */
	unsigned without_count;		  /* gates and nodes that are left out (--without) */
	char without[CO_WITHOUT_MOST][FM_NAME_SIZE];
	char who[FM_NAME_SIZE];
	char args[CO_ARGS_SIZE];
	char why[FM_TEXT_SIZE];					   /* what failed first */
	uint64_t events;					   /* number of the last event */
	int64_t began_ms, ended_ms, closed_ms, opened_ms, step_ms; /* unix */
	int64_t max_downtime_ms; /* longer closed than this: go back; 0: no limit */
};

/* The way back that the last upgrade left. */
struct co_way_back {
	char restore_point[FM_NAME_SIZE], storage_node[FM_NAME_SIZE];
	char version[FM_VERSION_SIZE];
	int64_t opened_ms; /* since when visitors write what going back would lose */
};

struct co_state {
	uint64_t epoch;
	uint64_t seq; /* of the last changed want; never goes back */
	uint64_t last_run;
	char version
		[FM_VERSION_SIZE]; /* the release the cluster is to run; empty before the first startup */
	struct co_way_back back;
	struct co_run run; /* the current one, or the last */
	/* One want for all gates: they are flipped as one. Whom they send nothing follows from run.drains and
	 * kept_out, and is worked out with every commit. */
	struct fm_gate_ask gate;
	uint64_t hooks_seen[FM_NODES_MAX]; /* serials of those that the journal knows */
	bool kept_out[FM_NODES_MAX];	   /* not ready, by the last that is known (service.c) */
	unsigned node_count;
	char node_names[FM_NODES_MAX][FM_NAME_SIZE];
	struct fm_agent_ask nodes[FM_NODES_MAX]; /* last: a copy ends with the last node in use */
};

/* Is this gate or node left out of the run (--without)? A gate is not waited for while it is away. A node
 * is asked like the others, and not waited for at all, but for one thing: while it is there, that
 * what it is to end has ended. So it catches up by itself, and can fail nothing. */
bool co_is_without(const struct co_run *run, const char *name);

/* Bytes of a state that are in use. */
size_t co_state_size(const struct co_state *state);

#endif
