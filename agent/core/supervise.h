/* supervise.h - the agent's mind: what to do next, given what was asked and what is so. Pure: no
 * clock, no process, no socket, no file. The world comes through struct ag_env, filled by
 * agent/world/ in production and by tests/sim/ in tests.
 *
 * An ask is a desired state; the core compares it with what it knows and starts at most one act of
 * the application (spawn, probe, look) and at most one job at a time: a release is fetched while the
 * old one serves. LINK, SNAPSHOT and RESTORE run only while nothing of the application is alive, and
 * before a start. Every act ends with exactly one event; an act that never answers is the world's
 * fault, and the world has a limit for each.
 *
 * Promises (design: I1, I4, I5, I8):
 *  - an ask with a voice lower than the highest accepted is refused, also after a crash: the ask is
 *    persisted before it is obeyed, and one that cannot be persisted is not obeyed;
 *  - no start without a look at the database directly before it, and only if the guard allows it:
 *      release on disk == version in the database, or START_MIGRATE asked by the current ask and the
 *      database empty or older, never an older release on a newer database;
 *  - one that was away starts nothing, and touches nothing on the disk, before the coordinator has said
 *    in this life what is to run: meanwhile a run may have begun to migrate what still names the old
 *    version (start_wait_ms bounds that, if somebody wants it bounded);
 *  - a release is switched only while no process is alive;
 *  - a crash while a run holds this node (ask.run != 0) is reported as FAILED, never restarted;
 *    outside a run it is restarted with back-off (1 s doubling to 60 s, jittered; after
 *    AG_CRASH_LIMIT crashes within 10 min without a ready between: FAILED, "gave up"). */
#ifndef AG_CORE_SUPERVISE_H
#define AG_CORE_SUPERVISE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/core/hooks.h"
#include "base/mono.h"
#include "wire/ask.h"

#define AG_CRASH_LIMIT 5 /* the fifth is not followed by a start */

struct ag_limits {
	int64_t term_ms;       /* TERM to KILL; 15 s (nocobase: ends by itself in 0.5-3.5 s) */
	int64_t kill_ms;       /* KILL to "cannot be killed"; default 10 s */
	int64_t poll_ms;       /* between probes while ready; default 1 s */
	int64_t start_poll_ms; /* while starting; default 500 ms; a fifth while silent */
	int64_t stuck_ms; /* no sign of progress while starting: STUCK, and left alone; default 15 min */
	int64_t retry_ms; /* between tries of an act that failed by itself; default 1 s */
	/* From the core's birth: a start waits so long for a word of the coordinator; 0: until it comes. */
	int64_t start_wait_ms;
	unsigned hooks;	      /* bits of those that an operator has set */
	unsigned hooks_go_on; /* of those whose failure is a warning only */
};

/* What must survive a crash of the agent. Written whole, atomically, before it is acted upon. */
struct ag_memory {
	struct fm_agent_ask ask; /* the highest accepted */
	bool has_ask;
	uint64_t starts;
	uint64_t restored_serial;
	uint64_t swept_seq;
	char snapshot[FM_NAME_SIZE]; /* last complete one */
	uint64_t snapshot_bytes;
	char running[FM_VERSION_SIZE]; /* release that was started; empty when stopped */
	uint64_t start_serial;	       /* of the last start that was tried */
	uint64_t hooks_due;   /* bits: what they follow has happened, and they have not ended */
	uint64_t hook_serial; /* of the last one that ended */
};

/* What a probe of the application's own URLs said. */
enum ag_health {
	AG_HEALTH_SILENT, /* connection refused or timed out: boots, or is gone */
	AG_HEALTH_BUSY,	  /* 503 with a code that is not final; text says what it does */
	AG_HEALTH_OK,	  /* health check 200 "ok" and app:getInfo 200 */
	AG_HEALTH_FAILED, /* a final failure; text says which */
	AG_HEALTH_SICK,	  /* health check ok, app:getInfo not: no database; heals by itself */
};

/* A look at the database with the application's own settings (JOB_LOOK). */
struct ag_look {
	bool ok;	/* false: could not look; text says why */
	bool hopeless;	/* and waiting does not help: somebody must act; text says how */
	bool installed; /* the application's tables are there */
	char version[FM_VERSION_SIZE];
	unsigned pending, stale, enabled;
	char text[FM_TEXT_SIZE];
};

/* What a start has the database do just now. */
struct ag_activity {
	bool ok;				   /* false: could not look */
	char sql[FM_SQL_SIZE], waits[FM_SQL_SIZE]; /* without literals; empty: nothing */
	uint64_t id, age_ms;			   /* another statement has another id */
};

enum ag_job {
	AG_JOB_LINK,
	AG_JOB_FETCH,
	AG_JOB_SNAPSHOT,
	AG_JOB_RESTORE,
	AG_JOB_SWEEP,
	AG_JOB_HOOK,
};
enum ag_signal { AG_TERM, AG_KILL };

struct ag_env {
	void *ctx;
	/* Durable when it returns 0. -1: not written, nothing may be done on its strength. */
	int (*persist)(void *ctx, const struct ag_memory *memory);
	/* The latest report; the world sends it when it can. Called on every change, and only then. */
	void (*report)(void *ctx, const struct fm_agent_report *report);
	/* Starts the application as a group of its own. Answer: ag_on_spawned(). */
	void (*spawn)(void *ctx, const char *release, enum fm_start_mode mode);
	/* To every process of the application. No answer; ag_on_processes() tells. */
	void (*signal)(void *ctx, enum ag_signal signal);
	/* Answer: ag_on_probe(). */
	void (*probe)(void *ctx);
	/* Answer: ag_on_look(). */
	void (*look)(void *ctx);
	/* LINK, FETCH: what is a release. SNAPSHOT, RESTORE: what is a restore point. SWEEP: keep list of
	 * the ask, what is "". HOOK: what is its name, the ask's release the one that it is about. Answers: ag_on_job_progress() any number of times, ag_on_job() once. */
	void (*job)(void *ctx, enum ag_job job, const char *what, const struct fm_agent_ask *ask);
	/* Stops a job under way (a fetch no longer wanted); ag_on_job() follows with ok false. */
	void (*job_stop)(void *ctx);
	/* 0..1, for jitter. */
	double (*random)(void *ctx);
	/* A look at what the application has the database do; only while it starts, beside all else.
	 * Answer: ag_on_activity(). */
	void (*watch)(void *ctx);
};

/* How the application and what runs it are; the core passes it on. */
struct ag_condition {
	uint64_t memory_bytes;	  /* 0: not known */
	uint32_t cpu_permille;	  /* of one core */
	char unfit[FM_TEXT_SIZE]; /* why a start would be refused, whatever the release; or "" */
};

struct ag_core;

/* memory: what was persisted by an earlier life, or NULL. The world calls ag_on_disk() and
 * ag_on_processes() once each before anything else: the core acts on nothing before it knows both. */
struct ag_core *ag_core_new(const struct ag_env *env, const struct ag_limits *limits,
			    const char *node, const char *address, const struct ag_memory *memory,
			    struct fm_mono now);
void ag_core_free(struct ag_core *core);

/* Events. Each may cause acts through env before it returns. */
/* An ask from the coordinator. false: refused as stale (the report says the voice we obey). */
bool ag_on_ask(struct ag_core *core, const struct fm_agent_ask *ask, struct fm_mono now);
void ag_on_disk(struct ag_core *core, const char *current, unsigned count,
		const char releases[][FM_VERSION_SIZE], struct fm_mono now);
/* Number of live processes of the application; by pidfd and by scan. strange: what else was found
 * (a foreign process on the port, a second copy), for people, or "". */
void ag_on_processes(struct ag_core *core, unsigned alive, const char *strange, struct fm_mono now);
/* It cannot be seen whether anything is alive (the engine that runs it is away); why, for people.
 * Until the next ag_on_processes() nothing is done and nothing is proved. */
void ag_on_unseen(struct ag_core *core, const char *why, struct fm_mono now);
void ag_on_spawned(struct ag_core *core, bool ok, const char *why, struct fm_mono now);
void ag_on_probe(struct ag_core *core, enum ag_health health, const char *text, struct fm_mono now);
void ag_on_look(struct ag_core *core, const struct ag_look *look, struct fm_mono now);
void ag_on_condition(struct ag_core *core, const struct ag_condition *condition,
		     struct fm_mono now);
/* The world has a reason to think that the application changed (a line in its log): probe at once. */
void ag_on_hint(struct ag_core *core, struct fm_mono now);
void ag_on_activity(struct ag_core *core, const struct ag_activity *activity, struct fm_mono now);
/* The application has printed a line unlike those before. */
void ag_on_output(struct ag_core *core, struct fm_mono now);
void ag_on_job_progress(struct ag_core *core, const char *text, struct fm_mono now);
/* bytes: size of a snapshot. text: why it failed; for SWEEP what was removed. */
void ag_on_job(struct ag_core *core, enum ag_job job, bool ok, const char *text, uint64_t bytes,
	       struct fm_mono now);
/* Time has passed. Returns when the core wants to be called next (never more than 60 s ahead). */
struct fm_mono ag_core_tick(struct ag_core *core, struct fm_mono now);

const struct fm_agent_report *ag_core_report(const struct ag_core *core);
const struct ag_memory *ag_core_memory(const struct ag_core *core);

#endif
