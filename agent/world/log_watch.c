#include "agent/world/log_watch.h"

#include <event2/event.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "agent/settings.h"
#include "agent/world/novelty.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/text.h"

#define CHUNK 8192
#define CHUNKS_MAX 32 /* of one wake: more is read at the next */
#define NEEDLE_MAX 64

struct ag_log_watch {
	struct event_base *base;
	char path[AG_PATH_SIZE], needle[NEEDLE_MAX];
	struct ag_log_watch_calls calls;
	void *arg;
	struct ag_novelty novelty;
	bool has_news;
	int notify, file;
	struct event *event;
	char tail[NEEDLE_MAX]; /* what a needle may begin with that was cut by a read */
};

static bool
read_chunk(struct ag_log_watch *watch, bool *ret_found)
{
	char text[NEEDLE_MAX + CHUNK + 1];
	size_t kept = strlen(watch->tail), used, want = strlen(watch->needle) - 1;
	ssize_t n;

	memcpy(text, watch->tail, kept);
	n = read(watch->file, text + kept, CHUNK);
	if (n <= 0) return false;
	if (ag_novelty_feed(&watch->novelty, text + kept, (size_t)n)) watch->has_news = true;
	used = kept + (size_t)n;
	for (size_t i = 0; i < used; i++)
		if (text[i] == '\0') text[i] = ' ';
	text[used] = '\0';
	if (strstr(text, watch->needle)) *ret_found = true;
	if (want > used) want = used;
	memcpy(watch->tail, text + used - want, want);
	watch->tail[want] = '\0';
	return true;
}

static void
on_written(evutil_socket_t fd, short what, void *arg)
{
	struct ag_log_watch *watch = arg;
	char events[4096];
	bool found = false;

	(void)what;
	while (read(fd, events, sizeof(events)) > 0) continue;
	for (int i = 0; i < CHUNKS_MAX && !found && read_chunk(watch, &found); i++) continue;
	if (watch->has_news) {
		watch->has_news = false;
		watch->calls.printed(watch->arg);
	}
	if (!found) return;
	ag_log_watch_end(watch);
	watch->calls.found(watch->arg);
}

struct ag_log_watch *
ag_log_watch_new(struct event_base *base, const char *path, const char *needle,
		 const struct ag_log_watch_calls *calls, void *arg)
{
	struct ag_log_watch *watch = fm_new(struct ag_log_watch, 1);

	watch->base = base;
	CHECK(FM_COPY(watch->path, path) && FM_COPY(watch->needle, needle) && needle[0]);
	watch->calls = *calls;
	watch->arg = arg;
	watch->notify = watch->file = -1;
	return watch;
}

void
ag_log_watch_end(struct ag_log_watch *watch)
{
	if (watch->event) event_free(TAKE(watch->event));
	fm_closep(&watch->notify);
	fm_closep(&watch->file);
	watch->notify = watch->file = -1;
}

void
ag_log_watch_free(struct ag_log_watch *watch)
{
	if (!watch) return;
	ag_log_watch_end(watch);
	free(watch);
}

void
ag_log_watch_begin(struct ag_log_watch *watch)
{
	ag_log_watch_end(watch);
	watch->tail[0] = '\0';
	memset(&watch->novelty, 0, sizeof(watch->novelty));
	watch->has_news = false;
	watch->file = open(watch->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	watch->notify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (watch->file < 0 || watch->notify < 0 || lseek(watch->file, 0, SEEK_END) < 0 ||
	    inotify_add_watch(watch->notify, watch->path, IN_MODIFY) < 0) {
		ag_log_watch_end(watch);
		return;
	}
	watch->event = event_new(watch->base, watch->notify, EV_READ | EV_PERSIST, on_written,
				 watch);
	CHECK(watch->event && event_add(watch->event, NULL) == 0);
}
