/* maintenance.c - in-app maintenance: one node is kept, a person works in the application, the others
 * come back and load what changed. */
#include "coordinator/procedures/procedures.h"
#include "coordinator/steps/steps.h"

/* clang-format off */
static const struct co_step maintenance_steps[] = {
/*  name              about                            only when            ask for it             done when             write down         job               limit                  if it fails, back to              what it says to people */
  { "preflight",      CO_GATES | CO_ALL,               NULL,                co_ask_attention,      co_is_fit_to_serve,   NULL,              CO_JOB_NONE,      CO_LIMIT_PREFLIGHT,    CO_REFUSE,   NULL,               "look at every node and gate" },
  { "pin gates",      CO_GATES,                        NULL,                co_ask_pin_or_page,    co_is_pinned,         NULL,              CO_JOB_NONE,      CO_LIMIT_CLOSE,        CO_BACK,     "open gates",       "send visitors to the kept node" },
  { "drain others",   CO_GATES,                        NULL,                NULL,                  co_others_are_drained,NULL,              CO_JOB_NONE,      CO_LIMIT_DRAIN,        CO_BACK,     "open gates",       "let requests on the other nodes end" },
  { "stop others",    CO_OTHERS,                       NULL,                co_ask_stop,           co_is_stopped,        NULL,              CO_JOB_NONE,      CO_LIMIT_STOP,         CO_BACK,     "start others",     "stop the other nodes" },
  { "hold",           CO_PERSON,                       NULL,                co_ask_leave_alone,    co_is_ended,          NULL,              CO_JOB_NONE,      CO_LIMIT_HOLD,         CO_BACK,     "kept ready",       "wait while a person works in the application" },
  { "kept ready",     CO_FIRST,                        NULL,                co_ask_keep_running,   co_is_ready,          NULL,              CO_JOB_NONE,      CO_LIMIT_READY,        CO_HALT,     NULL,               "wait for the kept node to be ready" },
  { "start others",   CO_OTHERS,                       NULL,                co_ask_start,          co_is_ready,          NULL,              CO_JOB_NONE,      CO_LIMIT_READY,        CO_HALT,     NULL,               "start the other nodes; they load what changed" },
  { "open gates",     CO_GATES,                        NULL,                co_ask_open,           co_is_open,           NULL,              CO_JOB_NONE,      CO_LIMIT_OPEN,         CO_HALT,     NULL,               "send visitors to every node again" },
  { .name = NULL },
};

static const struct co_step maintenance_recovery[] = {
  { "kept ready",     CO_FIRST,                        NULL,                co_ask_keep_running,   co_is_ready,          NULL,              CO_JOB_NONE,      CO_LIMIT_READY,        CO_HALT,     NULL,               "wait for the kept node to be ready" },
  { "start others",   CO_OTHERS,                       NULL,                co_ask_start,          co_is_ready,          NULL,              CO_JOB_NONE,      CO_LIMIT_READY,        CO_HALT,     NULL,               "start the other nodes" },
  { "open gates",     CO_GATES,                        NULL,                co_ask_open,           co_is_open,           NULL,              CO_JOB_NONE,      CO_LIMIT_OPEN,         CO_HALT,     NULL,               "send visitors to every node again" },
  { .name = NULL },
};
/* clang-format on */

const struct co_procedure co_maintenance = {
	.name = "maintenance",
	.says = "keep one node while a person works in the application",
	.command = "restart",
	.prepare = co_prepare_maintenance,
	.steps = maintenance_steps,
	.recovery = maintenance_recovery,
};
