/* strangers.h - who else is the application on this node, besides those that this agent started: found
 * and named before anything is started, and never ended by us. */
#ifndef AG_WORLD_STRANGERS_H
#define AG_WORLD_STRANGERS_H

#include "agent/settings.h"
#include "agent/world/procs.h"

/* A process with the program of start_command, or node, that works in one of our releases; or a pm2
 * whose home is ours, which would start the application behind our back. Processes of another
 * agent on this host are none. who: a text for people, "" when there is nobody. */
bool ag_strangers_find(const struct ag_settings *settings, const struct ag_pids *ours, char *who,
		       size_t size);

#endif
