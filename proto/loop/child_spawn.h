/* child_spawn.h - fork and exec with pipes; nothing of the loop. Internal to loop/. */
#ifndef FM_LOOP_CHILD_SPAWN_H
#define FM_LOOP_CHILD_SPAWN_H

#include "loop/child.h"

struct fm_spawned {
	pid_t pid;
	int pidfd;
	int input;  /* our end of its standard input, -1 when the plan has none; non-blocking */
	int output; /* our end of its standard output; non-blocking */
};

/* Returns when the program runs; a program that cannot be run is an error here. */
int fm_spawn(const struct fm_child_plan *plan, struct fm_spawned *ret, struct fm_err *err);

#endif
