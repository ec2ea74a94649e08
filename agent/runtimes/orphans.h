/* orphans.h - processes of the application that nothing tells: a daemon that left its parent, its session
 * and its environment behind. As long as we live the kernel gives them to us instead of init (we are a
 * subreaper), so they are found, and buried when they end. Who was found once is known by number and start
 * time, on disk too, for the next life of the agent. */
#ifndef AG_RUNTIMES_ORPHANS_H
#define AG_RUNTIMES_ORPHANS_H

#include "agent/runtimes/pidset.h"
#include "agent/settings.h"
#include "agent/world/procs.h"

struct ag_orphans;

/* Whose end nobody in `watched` and no fm_child waits for is buried here. Children that we have already are
 * somebody else's, but for those that an earlier life knew. */
struct ag_orphans *ag_orphans_new(struct event_base *base, const struct ag_settings *settings,
				  const struct ag_pidset *watched);
void ag_orphans_free(struct ag_orphans *orphans); /* NULL is nothing */

/* From here on they come to us. Not needed where a control group holds them. */
void ag_orphans_claim(void);
/* For a search: is this one of them? */
bool ag_orphans_is(void *orphans, pid_t pid, pid_t parent, uint64_t born);
/* All that was found: from here on they are known. */
void ag_orphans_note(struct ag_orphans *orphans, const struct ag_pids *found);

#endif
