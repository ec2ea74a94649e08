/* glass.h - break-glass: the gate of this host, without the coordinator. */
#ifndef CO_CLI_GLASS_H
#define CO_CLI_GLASS_H

#include "coordinator/control/commands.h"

/* Carries out a row "gate ..." of the table of commands; returns the exit code. Waits at most 5 s. */
int co_glass_run(const struct co_parsed *parsed);

#endif
