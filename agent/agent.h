/* agent.h - one agent: the core, the world around it, the line to the coordinator. Wiring only. */
#ifndef AG_AGENT_H
#define AG_AGENT_H

#include "agent/settings.h"
#include "base/err.h"

struct event_base;
struct ag_agent;

/* NULL with err: another agent holds the state, or the state cannot be read (nothing is started
 * then). */
struct ag_agent *ag_agent_new(struct event_base *base, const struct ag_settings *settings,
			      struct fm_err *err);
/* The application lives on. */
void ag_agent_free(struct ag_agent *agent);

#endif
