/* child.h - a child process in the loop: its exit by pidfd, its output by pipe. For blocking work
 * (database jobs, fetches, copies); the application itself is the agent's affair. */
#ifndef FM_LOOP_CHILD_H
#define FM_LOOP_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "schema/envelope.pb-c.h"

struct event_base;
struct fm_child;

struct fm_child_calls {
	/* A line of standard output (lines mode), or an Envelope (frames mode). */
	void (*line)(void *arg, struct fm_child *child, const char *line);
	void (*envelope)(void *arg, struct fm_child *child, const Fermata__Envelope *envelope);
	/* All output has been handed over and the process is gone. status as of waitpid(). The child is
	 * freed after this returns. */
	void (*exited)(void *arg, struct fm_child *child, int status);
};

struct fm_child_plan {
	const char *const *argv; /* argv[0] is looked up in PATH */
	const char *const *env;	 /* NULL: ours */
	const char *cwd;	 /* NULL: ours */
	bool frames;		 /* output is frames, not lines */
	bool errors_too;	 /* its standard error is output, too; else it is ours */
	bool dies_with_us;	 /* PR_SET_PDEATHSIG SIGKILL */
	bool own_group;		 /* a process group of its own; fm_child_kill() reaches all of it */
	const uint8_t *input;	 /* written to standard input, then closed; copied; may be NULL */
	size_t input_size;
	uid_t uid;
	gid_t gid; /* when not 0 */
};

struct fm_child *fm_child_start(struct event_base *base, const struct fm_child_plan *plan,
				const struct fm_child_calls *calls, void *arg, struct fm_err *err);
/* SIGKILL; exited() follows as always. */
void fm_child_kill(struct fm_child *child);
/* SIGKILL, and no callback follows. NULL is nothing. */
void fm_child_drop(struct fm_child *child);
pid_t fm_child_pid(const struct fm_child *child);
/* Is this one of ours that is not reaped yet? Whoever else waits for children leaves it alone. */
bool fm_child_is_known(pid_t pid);

#endif
