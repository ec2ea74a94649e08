/* procedures.h - all procedures. A file here holds its tables and nothing else; what the columns mean
 * is written in run/step.h. */
#ifndef CO_PROCEDURES_PROCEDURES_H
#define CO_PROCEDURES_PROCEDURES_H

#include "coordinator/run/step.h"

extern const struct co_procedure co_startup, co_upgrade, co_rollback, co_maintenance, co_restart,
	co_stop, co_page_on, co_page_off;
extern const struct co_step co_rollback_steps[];

#endif
