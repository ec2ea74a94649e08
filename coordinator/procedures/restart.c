/* restart.c - the same version anew, node by node, while the others serve. */
#include "coordinator/procedures/procedures.h"
#include "coordinator/steps/steps.h"

/* clang-format off */
static const struct co_step restart_steps[] = {
/*  name              about                            only when            ask for it             done when             write down         job               limit                  if it fails, back to              what it says to people */
  { "preflight",      CO_GATES | CO_ALL,               NULL,                co_ask_attention,      co_is_fit_to_serve,   NULL,              CO_JOB_NONE,      CO_LIMIT_PREFLIGHT,    CO_REFUSE,   NULL,               "look at every node and gate" },
  { "drain one",      CO_GATES | CO_EACH,              NULL,                co_ask_drain_one,      co_one_is_drained,    NULL,              CO_JOB_NONE,      CO_LIMIT_DRAIN,        CO_BACK,     "start nodes",      "take a node out of traffic" },
  { "stop one",       CO_EACH,                         NULL,                co_ask_stop,           co_is_stopped,        NULL,              CO_JOB_NONE,      CO_LIMIT_STOP,         CO_BACK,     "start nodes",      "stop that node" },
  { "start one",      CO_EACH,                         NULL,                co_ask_start,          co_is_ready,          NULL,              CO_JOB_NONE,      CO_LIMIT_READY,        CO_HALT,     NULL,               "start that node" },
  { "undrain one",    CO_GATES | CO_EACH,              NULL,                co_ask_undrain,        co_is_open,           NULL,              CO_JOB_NONE,      CO_LIMIT_OPEN,         CO_HALT,     NULL,               "give that node traffic again" },
  { .name = NULL },
};

static const struct co_step restart_recovery[] = {
  { "start nodes",    CO_ALL,                          NULL,                co_ask_keep_running,   co_is_ready,          NULL,              CO_JOB_NONE,      CO_LIMIT_READY,        CO_HALT,     NULL,               "have every node run" },
  { "open gates",     CO_GATES,                        NULL,                co_ask_open,           co_is_open,           NULL,              CO_JOB_NONE,      CO_LIMIT_OPEN,         CO_HALT,     NULL,               "give every node traffic again" },
  { .name = NULL },
};
/* clang-format on */

const struct co_procedure co_restart = {
	.name = "restart",
	.says = "restart the nodes one after the other while the rest serve",
	.command = "restart",
	.prepare = co_prepare,
	.steps = restart_steps,
	.recovery = restart_recovery,
};
