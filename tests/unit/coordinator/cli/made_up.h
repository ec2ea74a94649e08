/* made_up.h - a cluster and its runs as a coordinator would tell of them. */
#ifndef TEST_MADE_UP_H
#define TEST_MADE_UP_H

#include "schema/control.pb-c.h"

/* 2026-11-22 12:00:00 UTC */
#define NOON 1795348800000LL

/* Three nodes (starting, stopped, away), one closed gate, run 12 in its fifth step. Static. */
Fermata__ClusterStatus *made_up_status(void);
/* Run 12 in the middle of an upgrade; and an ended one that was rolled back. Static. */
Fermata__RunStatus *made_up_run(void);
Fermata__RunStatus *made_up_ended_run(void);

#endif
