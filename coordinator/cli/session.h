/* session.h - one command's conversation with the coordinator, from its request to its End. */
#ifndef CO_CLI_SESSION_H
#define CO_CLI_SESSION_H

#include "coordinator/control/commands.h"

/* Asks, shows what is answered, follows the run if the command begins one; through a restart of
 * the coordinator too. Returns the exit code. */
int co_session_run(const struct co_parsed *parsed, const char *socket);

#endif
