#include "agent/runtimes/docker_init.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "base/text.h"

#define GROUPS_SIZE 4096 /* of /proc/PID/cgroup */
#define AGAIN_MS 100

struct ag_docker_init {
	struct event_base *base;
	void (*ended)(void *arg);
	void *arg;
	pid_t pid; /* as the engine says; 0: none */
	int pidfd; /* -1: not watched */
	struct event *end, *again;
};

static void
on_end(evutil_socket_t fd, short what, void *arg)
{
	const struct timeval later = { 0, AGAIN_MS * 1000 };
	struct ag_docker_init *init = arg;

	(void)fd;
	(void)what;
	CHECK(event_add(init->again, &later) == 0);
	init->ended(init->arg);
}

static void
let_go(struct ag_docker_init *init)
{
	if (init->end) event_free(TAKE(init->end));
	if (init->pidfd >= 0) (void)close(init->pidfd);
	init->pidfd = -1;
	init->pid = 0;
	CHECK(event_del(init->again) == 0);
}

struct ag_docker_init *
ag_docker_init_new(struct event_base *base, void (*ended)(void *arg), void *arg)
{
	struct ag_docker_init *init = fm_new(struct ag_docker_init, 1);

	init->base = base;
	init->ended = ended;
	init->arg = arg;
	init->pidfd = -1;
	init->again = evtimer_new(base, on_end, init);
	CHECK(init->again);
	return init;
}

void
ag_docker_init_free(struct ag_docker_init *init)
{
	if (!init) return;
	let_go(init);
	event_free(init->again);
	free(init);
}

/* By any hierarchy: engines name a container's groups after it. */
static bool
is_of(pid_t pid, const char *id)
{
	char path[40], text[GROUPS_SIZE];
	_cleanup_fclose_ FILE *file = NULL;
	size_t n;

	(void)FM_FORMAT(path, "/proc/%d/cgroup", (int)pid);
	file = fopen(path, "re");
	if (!file || !id[0]) return false;
	n = fread(text, 1, sizeof(text) - 1, file);
	text[n] = '\0';
	return strstr(text, id) != NULL;
}

/* The pidfd is there before the look at whose it is: afterwards the number could be another's. */
void
ag_docker_init_watch(struct ag_docker_init *init, pid_t pid, const char *id)
{
	if (pid == init->pid) return;
	let_go(init);
	init->pid = pid;
	if (pid <= 0) return;
	init->pidfd = pidfd_open(pid, 0);
	if (init->pidfd < 0 || !is_of(pid, id)) return;
	init->end = event_new(init->base, init->pidfd, EV_READ, on_end, init);
	CHECK(init->end && event_add(init->end, NULL) == 0);
}
