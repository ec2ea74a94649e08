/* news.c - what people are told of a run who are not looking. */
#include "coordinator/news.h"

#include <string.h>

#include "base/text.h"
#include "coordinator/run/state.h"

struct kind {
	const char *name, *words;
	enum co_news_more more;
	bool attention;
};

static const struct kind kinds[] = {
#define X(name_, words_, more_, attention_) { name_, words_, more_, attention_ },
	CO_NEWS(X)
#undef X
};

static const struct kind *
kind_of(const char *name)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (fm_is_equal(kinds[i].name, name)) return &kinds[i];
	return NULL;
}

static void
say_subject(const struct kind *kind, const struct co_event_row *event, const struct co_run_row *run,
	    const char *cluster, struct co_news *ret)
{
	const char *command = fm_is_empty(run->args) ? run->procedure : run->args;

	FM_FORMAT(ret->subject, "%s: ", cluster);
	if (!fm_is_empty(kind->words)) FM_APPEND(ret->subject, "%s %s ", command, kind->words);
	switch (kind->more) {
	case CO_NEWS_PLAIN:
		ret->subject[strlen(ret->subject) - 1] = '\0';
		return;
	case CO_NEWS_STEP:
		FM_APPEND(ret->subject, "\"%s\"", event->step);
		return;
	case CO_NEWS_TEXT:
		FM_APPEND(ret->subject, "%s", event->text);
		return;
	}
}

bool
co_news_of(const struct co_event_row *event, const struct co_run_row *run, const char *cluster,
	   struct co_news *ret)
{
	const struct kind *kind = kind_of(event->kind);
	bool over = run->ended_ms != 0;

	if (kind == NULL) return false;
	if (fm_is_equal(kind->name, "note") && (!over || event->at_ms < run->ended_ms))
		return false;
	*ret = (struct co_news){ .attention = kind->attention };
	if (fm_is_equal(kind->name, "end") && fm_is_equal(event->text, co_end_name(CO_END_DONE)))
		ret->attention = false;
	say_subject(kind, event, run, cluster, ret);
	FM_FORMAT(ret->body, "%s\n", ret->subject);
	if (kind->more == CO_NEWS_STEP) FM_APPEND(ret->body, "%s\n", event->text);
	FM_APPEND(ret->body, "\nNow: %s\n", run->text);
	if (!fm_is_empty(run->next)) FM_APPEND(ret->body, "Type: %s\n", run->next);
	FM_APPEND(ret->body, "Run %llu, begun by %s\n", (unsigned long long)run->run, run->who);
	return true;
}
