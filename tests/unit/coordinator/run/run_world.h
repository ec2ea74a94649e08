/* run_world.h - a world for the runner that a test writes by hand: what was committed, what was said,
 * and peers that obey at once when told to. */
#ifndef RUN_WORLD_H
#define RUN_WORLD_H

#include "coordinator/run/run.h"

struct run_world {
	struct co_env env;
	struct co_config config;
	struct co_core *core;
	struct fm_mono now;
	struct co_state journal;
	bool has_journal, journal_refuses, job_answers;
	unsigned commits, node_asks, gate_asks, jobs;
	uint64_t asked_before_commit; /* asks whose voice the journal did not hold yet */
	struct co_job_order order;
	struct co_event_row last_event, last_done;
	struct co_job_result result;
	int64_t median_ms; /* of every step; -1, as at first: none ever ran */
	struct fm_node_facts facts[FM_NODES_MAX]; /* what each says of itself when it obeys */
	enum fm_app_state app[FM_NODES_MAX];	  /* what obedient nodes say when asked to run */
};

/* Two nodes, one gate; limits of 10 s. */
struct run_world *run_world_new(void);
void run_world_free(struct run_world *w);
/* A life of the coordinator ends, another begins from the journal; peers connect. */
void run_world_restart(struct run_world *w);
/* Every peer does what it was last asked, and says so. */
void run_world_obey(struct run_world *w);
void run_world_pass(struct run_world *w, int64_t ms);
int run_world_begin(struct run_world *w, const char *procedure, const char *to, bool yes);
const struct co_run *run_world_run(const struct run_world *w);
/* The cluster serves 2.2.15. */
void run_world_serve(struct run_world *w);
/* Obeys until the run stands at this row, or 40 times. */
void run_world_until(struct run_world *w, const char *step);
/* An upgrade to 2.2.16 begins, and stands at this row. */
void run_world_upgrade(struct run_world *w, bool yes, const char *step);

/* For cmocka: a fresh world; one whose cluster serves; its end. */
int run_world_set_up(void **state);
int run_world_set_up_served(void **state);
int run_world_tear_down(void **state);

#endif
