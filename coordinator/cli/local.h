/* local.h - the commands that never ask the coordinator. */
#ifndef CO_CLI_LOCAL_H
#define CO_CLI_LOCAL_H

#include "coordinator/control/commands.h"

/* Runs a command of kind LOCAL; returns the exit code. `config check` becomes the daemon that the
 * file is for, and does not return when that is found. */
int co_local_run(const struct co_parsed *parsed);

#endif
