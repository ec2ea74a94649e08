/* made_up.h - a made-up world for the agent's core: it writes down what the core wants done, and
 * says what the test tells it to say. */
#ifndef TEST_UNIT_AGENT_MADE_UP_H
#define TEST_UNIT_AGENT_MADE_UP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/core/supervise.h"

struct made_up {
	struct ag_core *core;
	struct fm_mono now, next;
	struct ag_memory disk; /* what a crash of the agent leaves */
	bool has_disk, disk_full;
	unsigned persists;
	struct fm_agent_report said;
	unsigned reports;
	unsigned spawns, terms, kills, probes, looks, jobs, job_stops, watches;
	char spawned[FM_VERSION_SIZE];
	enum fm_start_mode mode;
	enum ag_job job;
	char job_what[FM_NAME_SIZE];
	char job_release[FM_VERSION_SIZE]; /* of the ask that came with it */
	unsigned hooks, hooks_go_on;	   /* for the next core */
	struct ag_memory at_spawn;	   /* the disk when the last start was made */
};

extern const struct ag_limits made_up_limits;

/* A node with releases 2.2.15 (linked) and 2.2.16, nothing alive, disk and processes told. */
void made_up_begin(struct made_up *w);
/* The same, with hooks. */
void made_up_begin_hooked(struct made_up *w, unsigned hooks, unsigned go_on);
/* The agent dies and begins again with what was on disk; alive: processes it finds. */
void made_up_restart(struct made_up *w, unsigned alive);
void made_up_end(struct made_up *w);
int made_up_setup(void **state);
int made_up_teardown(void **state);

struct fm_agent_ask made_up_ask(uint64_t seq, enum fm_app_goal app, const char *release);
bool made_up_say(struct made_up *w, const struct fm_agent_ask *ask);
/* To run 2.2.15, under a serial of its own; it must be taken. */
void made_up_run(struct made_up *w, uint64_t seq, uint64_t run, enum fm_start_mode mode);
void made_up_pass(struct made_up *w, int64_t ms); /* time, in wakes the core asked for */
void made_up_processes(struct made_up *w, unsigned alive, const char *strange);
void made_up_probe(struct made_up *w, enum ag_health health, const char *text);
/* version NULL: the look fails; "": an empty database. */
void made_up_look(struct made_up *w, const char *version, unsigned pending);
void made_up_job(struct made_up *w, bool ok, const char *text);
/* Through a whole start, to ready. */
void made_up_ready(struct made_up *w, const char *version);

#endif
