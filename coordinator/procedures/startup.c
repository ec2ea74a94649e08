/* startup.c - nothing runs yet: the first node alone until it is ready, then the others. */
#include "coordinator/procedures/procedures.h"
#include "coordinator/steps/steps.h"

/* clang-format off */
static const struct co_step startup_steps[] = {
/*  name              about                            only when            ask for it             done when             write down         job               limit                  if it fails, back to              what it says to people */
  { "preflight",      CO_GATES | CO_STORE | CO_ALL,    NULL,                co_ask_attention,      co_is_fit_to_start,   co_note_database,  CO_JOB_PREFLIGHT, CO_LIMIT_PREFLIGHT,    CO_REFUSE,   NULL,               "look at every node, gate and the database" },
  { "close gates",    CO_GATES,                        NULL,                co_ask_close,          co_is_closed,         co_note_closed,    CO_JOB_NONE,      CO_LIMIT_CLOSE,        CO_BACK,     "stop nodes",       "show visitors the maintenance page" },
  { "switch release", CO_ALL,                          NULL,                co_ask_switch,         co_has_switched,      NULL,              CO_JOB_NONE,      CO_LIMIT_SWITCH,       CO_BACK,     "stop nodes",       "put the version in place on every node" },
  { "unfence",        CO_STORE,                        NULL,                NULL,                  NULL,                 NULL,              CO_JOB_UNFENCE,   CO_LIMIT_FENCE,        CO_BACK,     "stop nodes",       "let the application into the database" },
  { "start first",    CO_FIRST,                        NULL,                co_ask_start_first,    co_is_ready,          co_note_version,   CO_JOB_NONE,      CO_LIMIT_READY,        CO_BACK,     "stop nodes",       "start the first node, until its plugins are installed and enabled" },
  { "start others",   CO_OTHERS,                       NULL,                co_ask_start,          co_is_ready,          NULL,              CO_JOB_NONE,      CO_LIMIT_READY,        CO_BACK,     "stop nodes",       "start the other nodes" },
  { "open gates",     CO_GATES,                        NULL,                co_ask_open,           co_is_open,           co_note_opened,    CO_JOB_NONE,      CO_LIMIT_OPEN,         CO_HALT,     NULL,               "let visitors in" },
  { .name = NULL },
};

/* Before a startup nothing ran and visitors saw the page: that is what it is taken back to. */
static const struct co_step startup_recovery[] = {
  { "stop nodes",     CO_ALL,                          NULL,                co_ask_stop,           co_is_stopped,        NULL,              CO_JOB_NONE,      CO_LIMIT_STOP,         CO_HALT,     NULL,               "stop the application on every node" },
  { .name = NULL },
};
/* clang-format on */

const struct co_procedure co_startup = {
	.name = "startup",
	.says = "start a cluster of which nothing runs",
	.command = "start",
	.prepare = co_prepare_startup,
	.steps = startup_steps,
	.recovery = startup_recovery,
};
