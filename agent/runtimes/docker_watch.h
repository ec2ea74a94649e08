/* docker_watch.h - the application's container as the engine says it is, kept up to date by the
 * engine's events, in the agent's loop. */
#ifndef AG_RUNTIMES_DOCKER_WATCH_H
#define AG_RUNTIMES_DOCKER_WATCH_H

#include <sys/types.h>

#include "agent/runtimes/docker.h"

struct event_base;
struct ag_docker_watch;

struct ag_docker_facts {
	bool is_known;		/* false: why */
	char why[FM_TEXT_SIZE]; /* for people, with what to do */
	char name[AG_CONTAINER_NAME];
	char id[80]; /* "": it is just being made anew */
	char image[AG_IMAGE_ID_SIZE];
	bool is_running, has_terminal;
	pid_t pid;		    /* its first process, by the engine's count; 0: none */
	char node[FM_NAME_SIZE];    /* whose it is by its label; "": nobody's */
	char mode[32];		    /* label: what its start may do */
	char ended[200];	    /* why it is not running, in the engine's words */
	char strange[FM_TEXT_SIZE]; /* another of its name that runs, or "" */
	unsigned lost_count;	    /* images that were written down, and are not in the engine */
	char lost[FM_RELEASES_MAX][AG_IMAGE_ID_SIZE];
};

/* docker_facts.c: from one that was inspected, and from the list of all that bear the name. */
void ag_docker_facts_read(struct ag_docker_facts *facts, const json_t *container);
void ag_docker_facts_strange(struct ag_docker_facts *facts, const json_t *list);

/* changed(): the facts differ from what they were; never inside a call. Its restart policy is set to
 * "no" when it is found with another. */
struct ag_docker_watch *ag_docker_watch_new(struct event_base *base,
					    const struct ag_settings *settings,
					    void (*changed)(void *arg), void *arg);
void ag_docker_watch_free(struct ag_docker_watch *watch);

const struct ag_docker_facts *ag_docker_watch_facts(const struct ag_docker_watch *watch);
/* Asks anew, unless it was asked a moment ago. */
void ag_docker_watch_refresh(struct ag_docker_watch *watch);
/* What of images is here, too. told() once the facts are those of now or later; may be NULL. */
void ag_docker_watch_renew(struct ag_docker_watch *watch, void (*told)(void *arg));

/* TERM, then KILL by the engine after limit_ms. */
void ag_docker_watch_stop(struct ag_docker_watch *watch, long long limit_ms);
void ag_docker_watch_kill(struct ag_docker_watch *watch);

/* The engine, while the facts are known; NULL: not connected. */
struct ag_engine *ag_docker_watch_engine(struct ag_docker_watch *watch);

#endif
