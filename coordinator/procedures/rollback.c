/* rollback.c - the way back, top to bottom: what `fermata rollback` runs, and the table that failing
 * rows of the upgrade enter in the middle. Nobody writes between "close gates" and "open gates", so
 * nothing is lost that was there when the gates closed. A row that fails here halts: only a person
 * can say how to go on. */
#include "coordinator/procedures/procedures.h"
#include "coordinator/steps/steps.h"

/* clang-format off */
const struct co_step co_rollback_steps[] = {
/*  name              about                            only when            ask for it             done when             write down            job               limit                  if it fails, back to              what it says to people */
  { "preflight",      CO_GATES | CO_STORE | CO_ALL,    NULL,                co_ask_attention,      co_is_fit,            NULL,                 CO_JOB_PREFLIGHT, CO_LIMIT_PREFLIGHT,    CO_REFUSE,   NULL,               "look at every node, gate and the database" },
  { "close gates",    CO_GATES,                        NULL,                co_ask_close,          co_is_closed,         co_note_closed,       CO_JOB_NONE,      CO_LIMIT_CLOSE,        CO_HALT,     NULL,               "show visitors the maintenance page" },
  { "drain",          CO_GATES,                        NULL,                NULL,                  co_is_drained,        NULL,                 CO_JOB_NONE,      CO_LIMIT_DRAIN,        CO_HALT,     NULL,               "let requests in flight end" },
  { "stop nodes",     CO_ALL,                          NULL,                co_ask_stop,           co_is_stopped,        NULL,                 CO_JOB_NONE,      CO_LIMIT_STOP,         CO_HALT,     NULL,               "stop the application on every node" },
  { "fence",          CO_STORE,                        NULL,                NULL,                  NULL,                 NULL,                 CO_JOB_FENCE,     CO_LIMIT_FENCE,        CO_HALT,     NULL,               "shut the application out of the database" },
  { "restore",        CO_STORE | CO_FIRST,             co_was_touched,      co_ask_restore,        co_has_restored,      co_note_restored,     CO_JOB_RESTORE,   CO_LIMIT_RESTORE,      CO_HALT,     NULL,               "restore database and storage from the restore point" },
  { "switch back",    CO_ALL,                          NULL,                co_ask_switch_back,    co_has_switched_back, co_note_version_back, CO_JOB_NONE,      CO_LIMIT_SWITCH,       CO_HALT,     NULL,               "put the old version in place on every node" },
  { "unfence",        CO_STORE,                        NULL,                NULL,                  NULL,                 NULL,                 CO_JOB_UNFENCE,   CO_LIMIT_FENCE,        CO_HALT,     NULL,               "let the application into the database again" },
  { "start first",    CO_FIRST,                        NULL,                co_ask_start_back,     co_is_ready,          NULL,                 CO_JOB_NONE,      CO_LIMIT_READY,        CO_HALT,     NULL,               "start the first node" },
  { "start others",   CO_OTHERS,                       NULL,                co_ask_start_back,     co_is_ready,          NULL,                 CO_JOB_NONE,      CO_LIMIT_READY,        CO_HALT,     NULL,               "start the other nodes" },
  { "open gates",     CO_GATES,                        NULL,                co_ask_open,           co_is_open,           co_note_opened,       CO_JOB_NONE,      CO_LIMIT_OPEN,         CO_HALT,     NULL,               "let visitors in" },
  { .name = NULL },
};
/* clang-format on */

const struct co_procedure co_rollback = {
	.name = "rollback",
	.says = "go back to the restore point of the last upgrade",
	.command = "restart",
	.prepare = co_prepare_rollback,
	.steps = co_rollback_steps,
	.goes_back = true,
};
