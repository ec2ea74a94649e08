/* run.h - the runner: the coordinator's mind. It goes through the rows of a procedure's table, asks,
 * waits for proof, takes back, halts. Pure: the world comes through struct co_env, filled by
 * coordinator/coordinator.c in production and by tests/sim/ in tests.
 *
 * Promises:
 *  - nothing is said to a peer that is not in the journal first; what the journal refuses is not said;
 *  - a new epoch begins with every life of the coordinator, every run and every turn of a run;
 *  - at most one run at a time; a halted run locks the cluster;
 *  - every row ends: proved, failed, or past its limit. */
#ifndef CO_RUN_RUN_H
#define CO_RUN_RUN_H

#include "base/err.h"
#include "base/mono.h"
#include "coordinator/run/step.h"

struct co_job_order {
	enum co_job_kind kind;
	uint64_t epoch, run;
	char restore_point[FM_NAME_SIZE];
	char version[FM_VERSION_SIZE]; /* of the application, for the restore point's manifest */
	char way_back[FM_NAME_SIZE];   /* the restore point that a sweep must leave in any case */
};

struct co_env {
	void *ctx;
	int64_t (*wall_ms)(void *ctx);
	/* Durable when it returns 0; -1: nothing of it is written. The rows may be NULL. */
	int (*commit)(void *ctx, const struct co_state *state, const struct co_run_row *run,
		      const struct co_event_row *events, unsigned event_count,
		      const struct co_point_row *point);
	/* Level-triggered; may be lost. */
	void (*ask_node)(void *ctx, unsigned node, const struct fm_agent_ask *ask);
	void (*ask_gate)(void *ctx, unsigned gate, const struct fm_gate_ask *ask);
	/* One job at a time. Answer: co_on_job_progress() any number of times, co_on_job() once. */
	void (*job)(void *ctx, const struct co_job_order *order);
	void (*job_stop)(void *ctx); /* no answer follows */
	/* To those who follow a run; after the commit. */
	void (*event)(void *ctx, const struct co_event_row *event);
	/* How long a step of this procedure took before; -1: it never ran. */
	int64_t (*median_ms)(void *ctx, const char *procedure, const char *step);
};

/* What a person asks for. */
struct co_order {
	char procedure[CO_STEP_SIZE];
	char to[FM_VERSION_SIZE];
	char keep[FM_NAME_SIZE];
	bool yes, no_backup, page;
	unsigned without_count; /* gates and nodes to leave out */
	char without[CO_WITHOUT_MOST][FM_NAME_SIZE];
	char message[FM_TEXT_SIZE]; /* for visitors */
	int64_t back_at;	    /* unix seconds; 0: not known */
	int64_t max_downtime_ms;    /* 0: no limit */
	char who[FM_NAME_SIZE];
	char args[CO_ARGS_SIZE];		/* as typed */
	uint8_t bypass_key[FM_BYPASS_KEY_SIZE]; /* random; zeros: no links in this run */
};

#define CO_VERBS(X)             \
	X(APPROVE, "approve")   \
	X(REJECT, "reject")     \
	X(PAUSE, "pause")       \
	X(RESUME, "resume")     \
	X(RETRY, "retry")       \
	X(ABORT, "abort")       \
	X(ROLLBACK, "rollback") \
	X(END, "maintenance end")

#define X(name, text) CO_VERB_##name,
enum co_verb { CO_VERBS(X) CO_VERB_COUNT };
#undef X
const char *co_verb_name(enum co_verb verb);

struct co_core;

/* state: what the journal held, or NULL. Begins a new epoch (one commit): -1 when the journal refuses. */
struct co_core *co_core_new(const struct co_env *env, const struct co_config *config,
			    const struct co_state *state, struct fm_mono now);
void co_core_free(struct co_core *core);

/* A person's word. 0, or -1: refused; the text says what is true now. */
int co_begin(struct co_core *core, const struct co_order *order, struct fm_mono now,
	     struct fm_err *err);
/* Leaves gates or nodes out of the run that is on, from here on. */
int co_leave_out(struct co_core *core, unsigned count, const char names[][FM_NAME_SIZE],
		 const char *who, struct fm_mono now, struct fm_err *err);
int co_operate(struct co_core *core, enum co_verb verb, const char *who, struct fm_mono now,
	       struct fm_err *err);

/* Writes a line into the timeline of the current or last run. -1: the journal refuses. */
int co_note(struct co_core *core, const char *text, struct fm_mono now);

/* Events. */
void co_on_node_up(struct co_core *core, unsigned node, uint64_t epoch, struct fm_mono now);
void co_on_node_down(struct co_core *core, unsigned node, struct fm_mono now);
void co_on_node_report(struct co_core *core, unsigned node, const struct fm_agent_report *report,
		       struct fm_mono now);
/* What its agent told besides, at connect and when it changed. */
void co_on_node_facts(struct co_core *core, unsigned node, const struct fm_node_facts *facts,
		      struct fm_mono now);
/* session: 0..CO_SESSIONS_MAX-1, one for each nginx that bears the gate's name. */
void co_on_gate_up(struct co_core *core, unsigned gate, unsigned session, uint64_t epoch,
		   struct fm_mono now);
void co_on_gate_down(struct co_core *core, unsigned gate, unsigned session, struct fm_mono now);
void co_on_gate_report(struct co_core *core, unsigned gate, unsigned session,
		       const struct fm_gate_report *report, struct fm_mono now);
void co_on_job_progress(struct co_core *core, const char *text, struct fm_mono now);
void co_on_job(struct co_core *core, const struct co_job_result *result, struct fm_mono now);
/* Time has passed. Returns when it wants to be called next (at most 1 s ahead). */
struct fm_mono co_core_tick(struct co_core *core, struct fm_mono now);

/* For those who look. */
const struct co_state *co_core_state(const struct co_core *core);
const struct co_fleet *co_core_fleet(const struct co_core *core);
const struct co_config *co_core_config(const struct co_core *core);
const struct co_job *co_core_job(const struct co_core *core);
/* The current row (NULL outside a run) and what it waits for. */
const struct co_step *co_core_step(const struct co_core *core);
const char *co_core_waiting(const struct co_core *core);
/* What is true now and what to type next, of the current or last run. */
void co_core_tell(const struct co_core *core, char *text, size_t text_size, char *next,
		  size_t next_size);
/* Are the gates asked to send nothing to this node? */
bool co_core_is_drained(const struct co_core *core, unsigned node);
/* Why visitors do not get to a node that they could get to, or why they do although it is not ready; "" when
 * there is nothing to be said. */
void co_core_say_service(const struct co_core *core, unsigned node, char *text, size_t size);
/* The run as lists show it. */
void co_core_row(const struct co_core *core, struct co_run_row *ret);
/* Would this row be gone through in a run of this order? For plans. */
bool co_step_applies(const struct co_core *core, const struct co_step *step,
		     const struct co_order *order);

#endif
