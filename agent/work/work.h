/* work.h - work that blocks: fetching a release and switching to it, a snapshot of the storage and
 * its restore, sweeping. It is done by a child of the agent, which is the same program started with --work; what
 * it says on its standard output is read by agent/world/worker.c:
 *   progress TEXT      any number of times
 *   done BYTES TEXT    or
 *   failed TEXT        once, last
 * Everything here may be killed at any moment and be begun anew. */
#ifndef AG_WORK_WORK_H
#define AG_WORK_WORK_H

#include "agent/settings.h"

/* argc/argv: kind and its arguments. Exit status. */
int ag_work_main(struct ag_settings *settings, int argc, char **argv);

#endif
