/* stop.c - the whole cluster stopped, visitors on the page. */
#include "coordinator/procedures/procedures.h"
#include "coordinator/steps/steps.h"

/* clang-format off */
static const struct co_step stop_steps[] = {
/*  name              about                            only when            ask for it             done when             write down         job               limit                  if it fails, back to              what it says to people */
  { "preflight",      CO_GATES | CO_ALL,               NULL,                co_ask_attention,      co_is_fit,            NULL,              CO_JOB_NONE,      CO_LIMIT_PREFLIGHT,    CO_REFUSE,   NULL,               "look at every node and gate" },
  { "close gates",    CO_GATES,                        NULL,                co_ask_close,          co_is_closed,         co_note_closed,    CO_JOB_NONE,      CO_LIMIT_CLOSE,        CO_HALT,     NULL,               "show visitors the maintenance page" },
  { "drain",          CO_GATES,                        NULL,                NULL,                  co_is_drained,        NULL,              CO_JOB_NONE,      CO_LIMIT_DRAIN,        CO_HALT,     NULL,               "let requests in flight end" },
  { "stop nodes",     CO_ALL,                          NULL,                co_ask_stop,           co_is_stopped,        NULL,              CO_JOB_NONE,      CO_LIMIT_STOP,         CO_HALT,     NULL,               "stop the application on every node" },
  { .name = NULL },
};
/* clang-format on */

const struct co_procedure co_stop = {
	.name = "stop",
	.says = "stop the cluster; visitors see the page",
	.then = "fermata startup",
	.command = "maintenance",
	.prepare = co_prepare,
	.steps = stop_steps,
};
