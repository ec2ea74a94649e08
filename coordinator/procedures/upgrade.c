/* upgrade.c - THE upgrade, top to bottom.
 * Point of no return: the first row that lets visitors in. Until then every failure goes back to the
 * row named in `back` of the rollback's table; from then on a person decides. */
#include "coordinator/procedures/procedures.h"
#include "coordinator/steps/steps.h"

/* clang-format off */
static const struct co_step upgrade_steps[] = {
/*  name              about                            only when            ask for it             done when             write down         job               limit                  if it fails, back to              what it says to people */
  { "preflight",      CO_GATES | CO_STORE | CO_ALL,    NULL,                co_ask_attention,      co_is_fit_to_upgrade, NULL,              CO_JOB_PREFLIGHT, CO_LIMIT_PREFLIGHT,    CO_REFUSE,   NULL,               "look at every node, gate and the database" },
  { "fetch",          CO_ALL,                          NULL,                co_ask_fetch,          co_has_fetched,       NULL,              CO_JOB_NONE,      CO_LIMIT_FETCH,        CO_BACK,     NULL,               "fetch the new version while the old one serves" },
  { "close gates",    CO_GATES,                        NULL,                co_ask_close,          co_is_closed,         co_note_closed,    CO_JOB_NONE,      CO_LIMIT_CLOSE,        CO_BACK,     "open gates",       "show visitors the maintenance page" },
  { "drain",          CO_GATES,                        NULL,                NULL,                  co_is_drained,        NULL,              CO_JOB_NONE,      CO_LIMIT_DRAIN,        CO_BACK,     "open gates",       "let requests in flight end" },
  { "stop nodes",     CO_ALL,                          NULL,                co_ask_stop,           co_is_stopped,        NULL,              CO_JOB_NONE,      CO_LIMIT_STOP,         CO_BACK,     "start first",      "stop the application on every node" },
  { "fence",          CO_STORE,                        NULL,                NULL,                  NULL,                 NULL,              CO_JOB_FENCE,     CO_LIMIT_FENCE,        CO_BACK,     "unfence",          "shut the application out of the database" },
  { "restore point",  CO_STORE | CO_FIRST,             co_wants_backup,     co_ask_restore_point,  co_has_restore_point, NULL,              CO_JOB_DUMP,      CO_LIMIT_BACKUP,       CO_BACK,     "unfence",          "take the restore point: database and storage" },
  { "prove it",       CO_STORE,                        co_wants_backup,     NULL,                  NULL,                 co_note_verified,  CO_JOB_VERIFY,    CO_LIMIT_VERIFY_BACKUP,CO_BACK,     "unfence",          "prove that the restore point can be restored" },
  { "switch release", CO_ALL,                          NULL,                co_ask_switch,         co_has_switched,      NULL,              CO_JOB_NONE,      CO_LIMIT_SWITCH,       CO_BACK,     "switch back",      "put the new version in place on every node" },
  { "unfence",        CO_STORE,                        NULL,                NULL,                  NULL,                 NULL,              CO_JOB_UNFENCE,   CO_LIMIT_FENCE,        CO_BACK,     "switch back",      "let the application into the database again" },
  { "start first",    CO_FIRST,                        NULL,                co_ask_start_first,    co_is_ready,          NULL,              CO_JOB_NONE,      CO_LIMIT_READY,        CO_ROLLBACK, "close gates",      "start the first node; it migrates the database" },
  { "approve",        CO_PERSON,                       co_wants_approval,   NULL,                  co_is_approved,       NULL,              CO_JOB_NONE,      CO_LIMIT_APPROVE,      CO_ROLLBACK, "close gates",      "wait for a person to approve the new version" },
  { "start others",   CO_OTHERS,                       co_opens_when_all,   co_ask_start,          co_is_ready,          co_note_version,   CO_JOB_NONE,      CO_LIMIT_READY,        CO_ROLLBACK, "close gates",      "start the other nodes" },
  { "open on first",  CO_GATES,                        co_opens_when_first, co_ask_pin,            co_is_pinned,         co_note_opened,    CO_JOB_NONE,      CO_LIMIT_OPEN,         CO_HALT,     NULL,               "let visitors in on the first node" },
  { "join others",    CO_OTHERS,                       co_opens_when_first, co_ask_start,          co_is_ready,          co_note_version,   CO_JOB_NONE,      CO_LIMIT_READY,        CO_HALT,     NULL,               "start the other nodes behind the first" },
  { "open gates",     CO_GATES,                        NULL,                co_ask_open,           co_is_open,           co_note_opened,    CO_JOB_NONE,      CO_LIMIT_OPEN,         CO_HALT,     NULL,               "let visitors in" },
  { "sweep",          CO_ALL | CO_STORE,               NULL,                co_ask_sweep,          co_has_swept,         NULL,              CO_JOB_SWEEP,     CO_LIMIT_SWEEP,        CO_CARRY_ON, NULL,               "remove what no way back needs" },
  { .name = NULL },
};
/* clang-format on */

const struct co_procedure co_upgrade = {
	.name = "upgrade",
	.says = "bring the cluster to another version",
	.command = "upgrade",
	.prepare = co_prepare_upgrade,
	.steps = upgrade_steps,
	.recovery = co_rollback_steps,
};
