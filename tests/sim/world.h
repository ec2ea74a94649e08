/* world.h - a made-up cluster in virtual time: the real runner (coordinator/run), the real agent cores
 * (agent/core), and models of what they act upon: applications that speak NocoBase's measured
 * habits, a database, gates, links. What is so is kept apart from what was told: cores learn only
 * by messages, invariants look only at what is so.
 *
 * Deterministic: one seed, one order of events. A fault fires at the Nth effect (any call of a core
 * into the world) or when the run enters a given step. */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/core/supervise.h"
#include "coordinator/run/run.h"

#define SIM_NODES 3
#define SIM_GATES 2
#define SIM_POINTS 8
#define SIM_FAULTS 8
#define SIM_OLD "2.2.15"
#define SIM_NEW "2.2.16"
#define SIM_NEWEST "2.2.17"
#define SIM_OLDEST "2.2.14"

/* Every fault that the world knows; X(name, about a node or gate, lasts ms). */
#define SIM_FAULT_KINDS(X)                                                                     \
	X(CO_CRASH, 1, 300) /* before the effect */                                            \
	X(CO_CRASH_AFTER, 1, 300)                                                              \
	X(CO_CRASH_LONG, 1, 90000)                                                             \
	X(JOURNAL_REFUSES, 1, 1)                                                               \
	X(JOURNAL_REFUSES_LONG, 1, 8000)                                                       \
	X(AGENT_CRASH, SIM_NODES, 400)                                                         \
	X(AGENT_CRASH_AFTER, SIM_NODES, 400)                                                   \
	X(HOST_REBOOT, SIM_NODES, 20000)                                                       \
	X(HOST_DEAD, SIM_NODES, 5000000) /* back long after the run; a person leaves it out */ \
	X(HOST_BACK, 1, 6000)		 /* the one that was dead before; its network later */ \
	X(APP_DIES, SIM_NODES, 0)                                                              \
	X(APP_DIES_LATER, SIM_NODES, 0) /* when the run is over */                             \
	X(ALL_BREAK_LATER, 1, 0)	/* then all say that they failed */                    \
	X(CUT_SHORT, SIM_NODES, 5000)                                                          \
	X(CUT_LONG, SIM_NODES, 4000000)                                                        \
	X(LOSE_ASK, SIM_NODES, 0)                                                              \
	X(LATE_ASK, SIM_NODES, 30000)                                                          \
	X(DOUBLE_ASK, SIM_NODES, 25000)                                                        \
	X(LOSE_REPORT, SIM_NODES, 0)                                                           \
	X(LATE_REPORT, SIM_NODES, 15000)                                                       \
	X(GATE_RESTART, SIM_GATES, 2000)                                                       \
	X(GATE_CUT_SHORT, SIM_GATES, 5000)                                                     \
	X(GATE_CUT_LONG, SIM_GATES, 4000000)                                                   \
	X(GATE_DOUBLE_ASK, SIM_GATES, 25000)                                                   \
	X(GATE_LOSE_ASK, SIM_GATES, 0)                                                         \
	X(GATE_BACK, 1, 0) /* the one that was away from the beginning */                      \
	X(GATE_CLOSED_BY_HAND, SIM_GATES, 8000)                                                \
	X(JOB_FAILS, 1, 0)                                                                     \
	X(JOB_FAILS_AFTER, 1, 0) /* carried out, and told as failed */                         \
	X(JOB_HANGS, 1, 0)                                                                     \
	X(DUMP_IS_BAD, 1, 0)                                                                   \
	X(DB_MOVES, 2, 0) /* somebody migrates it, or takes it back, behind our back */        \
	X(DB_AWAY, 1, 20000)                                                                   \
	X(MIGRATION_FAILS, 1, 0)                                                               \
	X(MIGRATION_SLOW, 1, 900000)                                                           \
	X(MIGRATION_HANGS, 1, 0) /* never ends by itself; on TERM neither */                   \
	X(START_FAILS, SIM_NODES, 0)                                                           \
	X(WONT_STOP, SIM_NODES, 0) /* ends on KILL only */                                     \
	X(WONT_DIE, SIM_NODES, 600000)                                                         \
	X(FETCH_FAILS, SIM_NODES, 0)                                                           \
	X(DISK_FAILS, SIM_NODES, 3000) /* link, snapshot, restore, sweep */                    \
	X(PERSIST_FAILS, SIM_NODES, 5000)                                                      \
	X(SECOND_COPY, SIM_NODES, 40000)     /* on the port: what we start ends at once */     \
	X(FOREIGN_MANAGER, SIM_NODES, 90000) /* for longer than a stop may take */             \
	X(DRIFT, SIM_NODES, 60000)	     /* another APP_KEY than the other nodes */        \
	X(HOOK_FAILS, SIM_NODES, 0)                                                            \
	X(HOOK_HANGS, SIM_NODES, 30000) /* until its limit */                                  \
	X(PERSON_ABORTS, 1, 0)                                                                 \
	X(PERSON_PAUSES, 1, 4000)                                                              \
	X(PERSON_REJECTS, 1, 0)

#define X(name, targets, lasts) SIM_##name,
enum sim_fault_kind { SIM_FAULT_KINDS(X) SIM_FAULT_COUNT };
#undef X

#define SIM_SAYS_WITHOUT 1000 /* value of SIM_EV_PERSON */

const char *sim_fault_name(enum sim_fault_kind kind);
unsigned sim_fault_targets(enum sim_fault_kind kind);
int64_t sim_fault_lasts(enum sim_fault_kind kind);

struct sim_fault {
	enum sim_fault_kind kind;
	unsigned target;
	unsigned effect; /* fires at this effect, when not 0 */
	unsigned step;	 /* else when the run has entered this many rows */
	bool fired;
};

/* What a run is to be, and what goes wrong. */
/* When service is back, by the word of a person (--until), in a run with open_first. */
#define SIM_PROMISE INT64_C(4000000000)

struct sim_plan {
	const char *procedure;
	bool open_first, no_backup, approve, page;
	bool without;	   /* the second gate is away, and left out */
	bool without_node; /* the last node's host is dead, and left out */
	unsigned workers;  /* bits of nodes that take no requests */
	bool hooks;	   /* an operator has set all of them */
	bool empty;	   /* startup on an empty database; else the cluster serves */
	unsigned fault_count;
	struct sim_fault faults[SIM_FAULTS];
	uint64_t seed;
};

enum sim_phase {
	SIM_DEAD,
	SIM_BOOTS,
	SIM_WAITS_FOR_DB,
	SIM_INSTALLS,
	SIM_MIGRATES,
	SIM_LOADS,
	SIM_READY,
	SIM_SICK,
	SIM_BROKEN
};

struct sim_app {
	enum sim_phase phase;
	bool terming, wont_stop, wont_die, will_fail;
	enum fm_start_mode mode;
	char release[FM_VERSION_SIZE];
	char failure[64];
	unsigned life; /* raised by every start and end: old timers are void */
};

struct sim_node {
	struct ag_core *core;
	struct ag_env env;
	struct sim_world *world;
	unsigned index, life;
	bool dead;	     /* the agent crashed inside the present event */
	int64_t away_until;  /* its host is dead */
	const char *strange; /* who else is there; NULL: nobody */
	bool is_port_taken, has_drifted;
	bool link; /* the network */
	bool up;   /* connected, as both sides see it */
	bool lose_ask, late_ask, double_ask, lose_report, late_report;
	bool dies_later;
	int64_t good_at, bad_at, down_at; /* service.c; 0: it is not so */
	bool was_kept_out;
	unsigned falls;
	bool fetch_fails, start_fails, hook_fails, hook_hangs;
	bool hook_runs, had_new;
	unsigned hooks_ran; /* well, since the last start; bits */
	bool owes_stop;	    /* it was told to end, and the hook behind that is to come */
	uint64_t job_number;
	int64_t disk_fails_until, persist_fails_until;
	bool has_new; /* the new release is on its disk */
	char current[FM_VERSION_SIZE];
	bool has_memory;
	struct ag_memory memory;
	struct fm_voice highest; /* ever accepted: never goes back */
	struct sim_app app;
	int64_t tick_at;
};

struct sim_gate {
	unsigned index, life;
	bool link, up, lose_ask, double_ask;
	bool dead;    /* no nginx: nobody is served */
	bool waiting; /* just started: the page until it is told */
	bool untold;  /* waited in vain, or cut off: goes by its file */
	enum fm_gate_mode by_hand;
	int64_t by_hand_at;
	enum fm_gate_mode mode;
	struct fm_gate_ask ask; /* on disk */
	struct fm_voice highest;
	unsigned in_flight, websockets;
};

struct sim_db {
	bool installed, fenced, away;
	bool moved; /* by somebody else: only the agents' guard can be relied on then */
	char version[FM_VERSION_SIZE];
	uint64_t data;	 /* raised by visitors' writes */
	uint64_t schema; /* raised by installs and migrations */
	uint64_t epoch;
};

struct sim_point {
	char id[FM_NAME_SIZE];
	bool used, verified, bad;
	struct sim_db content;
};

struct sim_tally {
	uint64_t runs, events, effects;
	uint64_t done, refused, rolled_back, with_loss, stopped, needs_operator, stuck, violations;
	uint64_t halted;
};

struct sim_world {
	struct sim_plan plan;
	int64_t now;
	uint64_t random;
	struct sim_heap *heap;
	uint64_t event_count;
	unsigned effects, steps_entered;

	struct co_core *core;
	struct co_env env;
	struct co_config config;
	unsigned co_life;
	bool co_dead;
	int64_t co_tick_at;
	bool has_state;
	struct co_state state; /* the journal */
	int64_t journal_refuses_until;
	bool journal_refuses_once;
	uint64_t job_serial;
	bool job_fails, job_fails_after, job_hangs, dump_is_bad, migration_fails, migration_slow,
		migration_hangs;

	struct sim_node nodes[SIM_NODES];
	struct sim_gate gates[SIM_GATES];
	struct sim_db db;
	struct sim_point points[SIM_POINTS];

	/* What the run was begun on, for the checks at its end. */
	struct sim_db before;
	struct sim_db at_close;
	bool closed_seen;
	bool touched_anything; /* an application was stopped or started, a gate changed */
	uint64_t run;
	unsigned retries, halts, waits;
	bool said_to_end; /* a person said retry, rollback, abort or reject */
	bool person_busy;
	bool all_break_later;
	int64_t calm_at;    /* since when nothing was cut off; 0: something is */
	unsigned leave_out; /* a node that a person is about to leave out, plus one */

	char violation[400];
	bool verbose;
};

/* One run of the plan: 0 all held, -1 a violation (world->violation), or stuck. */
int sim_run(struct sim_world *world, const struct sim_plan *plan, struct sim_tally *tally);

/* invariants.c: after every event; and at rest. */
void sim_check(struct sim_world *world);
void sim_check_spawn(struct sim_world *world, unsigned node, const char *release,
		     enum fm_start_mode mode);
/* service.c: whom visitors meet. */
void sim_check_service(struct sim_world *world);
/* A hook: a start, an end, a report that it was to come before. */
void sim_check_hooks(struct sim_world *world, unsigned node, enum ag_hook before, const char *what);
void sim_check_migration(struct sim_world *world, unsigned node);
/* Before a signal to a live application. */
void sim_check_signal(struct sim_world *world, unsigned node);
/* Of a row that the journal is told to be done. */
void sim_check_proof(struct sim_world *world, const char *step);
void sim_check_end(struct sim_world *world);
void sim_violate(struct sim_world *world, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* The parts of the world. */
enum sim_kind {
	SIM_EV_TICK,
	SIM_EV_NODE_TICK,
	SIM_EV_ASK,
	SIM_EV_REPORT,
	SIM_EV_GATE_ASK,
	SIM_EV_GATE_REPORT,
	SIM_EV_JOB,
	SIM_EV_APP,
	SIM_EV_ANSWER,
	SIM_EV_CO_START,
	SIM_EV_NODE_START,
	SIM_EV_GATE_START,
	SIM_EV_LINK,
	SIM_EV_GATE_LINK,
	SIM_EV_LOST,
	SIM_EV_GATE_LOST,
	SIM_EV_GATE_WAITED,
	SIM_EV_GATE_RESUME,
	SIM_EV_STRANGE,
	SIM_EV_DRIFT,
	SIM_EV_DB_BACK,
	SIM_EV_DB_MOVES,
	SIM_EV_VISITORS,
	SIM_EV_PERSON,
	SIM_EV_TRAFFIC,
};

struct sim_event {
	int64_t at;
	uint64_t order;
	enum sim_kind kind;
	unsigned who, life;
	uint64_t value;
	void *data; /* freed after the event */
};

void sim_later(struct sim_world *world, int64_t in_ms, struct sim_event event);
uint64_t sim_random(struct sim_world *world, uint64_t below);
/* Counts one effect of a core, fires what is due. */
void sim_effect(struct sim_world *world);
void sim_fire(struct sim_world *world, struct sim_fault *fault);

void sim_co_setup(struct sim_world *world); /* coordinator.c */
void sim_co_start(struct sim_world *world);
void sim_co_bury(struct sim_world *world);
void sim_co_event(struct sim_world *world, const struct sim_event *event);
void sim_person(struct sim_world *world);
/* A person sees that a host is dead, and has the run that is on go on without it, if it may. */
void sim_leave_out(struct sim_world *world);

void sim_node_setup(struct sim_world *world, unsigned i); /* nodes.c */
void sim_node_start(struct sim_world *world, unsigned i);
void sim_node_bury(struct sim_world *world, unsigned i);
void sim_node_event(struct sim_world *world, const struct sim_event *event);
void sim_node_link(struct sim_world *world, unsigned i, bool up);
/* What the node's agent sees of processes, ours and others'. */
void sim_node_processes(struct sim_world *world, unsigned i);
void sim_app_kill(struct sim_world *world, unsigned i);
void sim_app_event(struct sim_world *world, const struct sim_event *event);
void sim_app_spawn(struct sim_world *world, unsigned i, const char *release,
		   enum fm_start_mode mode);
void sim_app_signal(struct sim_world *world, unsigned i, enum ag_signal signal);
bool sim_app_is_alive(const struct sim_app *app);

void sim_gate_setup(struct sim_world *world, unsigned i); /* gates.c */
void sim_gate_event(struct sim_world *world, const struct sim_event *event);
void sim_gate_link(struct sim_world *world, unsigned i, bool up);
enum fm_gate_mode sim_gate_mode(const struct sim_gate *gate); /* what visitors meet */
bool sim_gate_drains(const struct sim_gate *gate, const char *node);
void sim_visitors(struct sim_world *world);

void sim_job(struct sim_world *world, const struct co_job_order *order); /* store.c */
void sim_job_event(struct sim_world *world, const struct sim_event *event);
struct sim_point *sim_point_find(struct sim_world *world, const char *id);

#endif
