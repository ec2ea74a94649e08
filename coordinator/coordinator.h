/* coordinator.h - the daemon around the core: for the files of this folder and control/.
 *
 *   coordinator.c  its life: opens everything, runs the loop, closes everything
 *   clock.c        time for the core, news for those who follow
 *   world.c        struct co_env on the real world
 *   jobs.c         database work in a child process
 *   peers.c        agents and gates
 *   notify.c       a command that tells people who are not looking; news.c: what of, in what words
 *   http/          Prometheus, and whoever else only looks
 *   control/       people */
#ifndef CO_COORDINATOR_H
#define CO_COORDINATOR_H

#include <sys/queue.h>

#include "coordinator/run/run.h"
#include "coordinator/settings.h"
#include "schema/envelope.pb-c.h"

struct event;
struct event_base;
struct co_http;
struct fm_child;
struct fm_listener;
struct fm_peer;
struct fm_tls;
struct co_notify;

/* One operator's connection. */
struct co_client {
	TAILQ_ENTRY(co_client) link;
	struct fm_peer *peer;
	uint64_t run;		    /* the run it follows; 0: none */
	bool to_hold;		    /* until the run is held, as `maintenance begin` */
	char waiting[FM_TEXT_SIZE]; /* last progress it was told */
	bool run_changed;	    /* since it was last shown the run's steps */
	struct fm_mono status_at;
	struct co_logs *logs; /* the output it reads; NULL: none */
};

/* One nginx that bears a gate's name. */
struct co_gate_peer {
	struct fm_peer *peer; /* NULL: free */
	char instance[FM_NAME_SIZE];
};

struct co_daemon {
	struct co_settings settings;
	struct fm_opt_origins origins;
	const char *config_path;
	struct co_config config;
	struct event_base *base;
	struct co_journal *journal;
	struct co_core *core;
	struct fm_tls *tls; /* NULL: plain, on loopback */
	struct fm_listener *peers_listener, *control_listener;
	char salt[FM_SALT_SIZE]; /* of this life, for digests of what must be alike on all nodes */
	struct fm_peer *nodes[FM_NODES_MAX];
	struct co_gate_peer gates[FM_GATES_MAX][CO_SESSIONS_MAX];
	struct event *tick, *pump;
	uint64_t last_logs;			     /* number of the last reading of output */
	Fermata__LogLines *last_words[FM_NODES_MAX]; /* of nodes that failed; or NULL */
	struct fm_child *job;
	struct co_job_result job_result;
	bool job_final;
	struct co_notify *notify; /* NULL: nobody is told */
	struct co_http *http;	  /* NULL: off */
	TAILQ_HEAD(, co_client) clients;
};

/* Runs until SIGTERM or SIGINT. 0: a clean end. */
int co_daemon_run(struct co_daemon *daemon, struct fm_err *err);

/* clock.c: the loop calls the core from here on; all is open. */
void co_clock_start(struct co_daemon *daemon);
/* The daemon may not have got so far. */
void co_clock_stop(struct co_daemon *daemon);
/* After any event for the core: tells those who follow, in a turn of the loop's own. */
void co_daemon_stirred(struct co_daemon *daemon);

/* world.c */
struct co_env co_world(struct co_daemon *daemon);

/* jobs.c */
void co_job_start(struct co_daemon *daemon, const struct co_job_order *order);
void co_job_stop(struct co_daemon *daemon);

/* peers.c */
int co_peers_open(struct co_daemon *daemon, struct fm_err *err);
void co_peers_close(struct co_daemon *daemon);

/* control/logs.c: pieces of output that an agent sent; and what a node that fails said last. */
void co_logs_heard(struct co_daemon *daemon, unsigned node, const Fermata__LogLines *lines);
void co_logs_note(struct co_daemon *daemon, unsigned node, enum fm_app_state before);
void co_logs_forget(struct co_daemon *daemon);

/* What every Welcome says, to agents, gates and operators; arg is the daemon. */
void co_daemon_welcome(void *arg, Fermata__Welcome *ret);

/* control/control.c */
int co_control_open(struct co_daemon *daemon, struct fm_err *err);
void co_control_close(struct co_daemon *daemon);
/* To those who follow this run: an event, and where the run stands now. */
void co_control_event(struct co_daemon *daemon, const struct co_event_row *event);
/* Tells followers what is waited for, and those whose run stands still or is over its end. */
void co_control_stirred(struct co_daemon *daemon);

#endif
