/* docker_init.h - the first process of the application's container, held by a pidfd: the kernel tells of its
 * end at once, an engine when it comes to it (Podman 4.3: half a minute after a kill). */
#ifndef AG_RUNTIMES_DOCKER_INIT_H
#define AG_RUNTIMES_DOCKER_INIT_H

#include <sys/types.h>

struct event_base;
struct ag_docker_init;

/* ended(): it is no more; never inside a call. Again every 100 ms, as long as the engine names it still. */
struct ag_docker_init *ag_docker_init_new(struct event_base *base, void (*ended)(void *arg),
					  void *arg);
void ag_docker_init_free(struct ag_docker_init *init); /* NULL is nothing */

/* What the engine says: the process, 0 for none, and the id of its container. A process that is not in a
 * control group of that id is somebody else's (the engine has other pids than we see): nobody is watched then,
 * and the engine's events are all there is. */
void ag_docker_init_watch(struct ag_docker_init *init, pid_t pid, const char *id);
#endif
