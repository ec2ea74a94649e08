/* news.h - what people are told of a run who are not looking: which events they hear of, and in what words.
 * Pure. coordinator/notify.c sends it. */
#ifndef CO_NEWS_H
#define CO_NEWS_H

#include <stdbool.h>

#include "coordinator/run/journal.h"

/* Of the kinds of events in the journal those that people hear of, how a line about them goes on (with the
 * name of the step behind it, or the event's own text), and whether somebody has to look. */
#define CO_NEWS(X)                                                         \
	X("begin", "begins", CO_NEWS_PLAIN, false)                         \
	X("held", "waits for a person at", CO_NEWS_STEP, true)             \
	X("halted", "stands still at", CO_NEWS_STEP, true)                 \
	X("turn", "has failed and is taken back from", CO_NEWS_STEP, true) \
	X("end", "has ended:", CO_NEWS_TEXT, true)                         \
	X("note", "", CO_NEWS_TEXT, true)

enum co_news_more { CO_NEWS_PLAIN, CO_NEWS_STEP, CO_NEWS_TEXT };

struct co_news {
	char subject[2 * FM_TEXT_SIZE]; /* one line */
	char body[4 * FM_TEXT_SIZE];	/* lines, the last one ended */
	bool attention;			/* somebody has to look */
};

/* run: as it is now. false: nobody hears of this event. An end as it was wished for is for nobody's
 * attention; a note is news only when no run is under way, as nobody follows it then. */
bool co_news_of(const struct co_event_row *event, const struct co_run_row *run, const char *cluster,
		struct co_news *ret);

#endif
