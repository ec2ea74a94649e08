/* notify.h - tells people who are not looking: runs [notify] command for events of the journal, one at a time,
 * in order, each at least once also over a crash of ours. What it told last is in the state folder. */
#ifndef CO_NOTIFY_H
#define CO_NOTIFY_H

#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "coordinator/settings.h"

struct co_journal;
struct event_base;

struct co_notify;

/* run, number: the newest event in the journal. With nothing kept what is in it already is not told.
 * Borrows all of it. The command is one that co_settings_config() has taken. */
struct co_notify *co_notify_open(struct event_base *base, const struct co_settings *settings,
				 struct co_journal *journal, uint64_t run, uint64_t number);
void co_notify_close(struct co_notify *notify);

/* There is this event now. Nothing is run before the loop turns. NULL is nothing. */
void co_notify_event(struct co_notify *notify, uint64_t run, uint64_t number);

/* Why the last one could not be told; "" if it could. NULL is "". */
const char *co_notify_failure(const struct co_notify *notify);

/* Runs the command once with a trial and says on out what came of it. Blocks. -1: err says why. */
int co_notify_try(const struct co_settings *settings, FILE *out, struct fm_err *err);

#endif
