/* progress.h - a run as its events move it on: between two states of the run that the coordinator
 * sends, the view on a terminal lives by these. Pure. */
#ifndef CO_CLI_PROGRESS_H
#define CO_CLI_PROGRESS_H

#include "schema/control.pb-c.h"

/* Applies one event of this run to what is known of it. The run is one that co_event_copy() made. */
void co_progress(Fermata__RunStatus *run, const Fermata__RunEvent *event);

#endif
