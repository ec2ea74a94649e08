/* log_watch.h - the application's output is a file of ours: while it starts, a line that says that it has
 * is seen when it is written, not at the next poll; and that it prints news is seen at all. */
#ifndef AG_WORLD_LOG_WATCH_H
#define AG_WORLD_LOG_WATCH_H

struct event_base;
struct ag_log_watch;

struct ag_log_watch_calls {
	void (*found)(
		void *arg); /* the needle was written after ag_log_watch_begin(); once a beginning */
	void (*printed)(void *arg); /* a line unlike those before (novelty.h) */
};

struct ag_log_watch *ag_log_watch_new(struct event_base *base, const char *path, const char *needle,
				      const struct ag_log_watch_calls *calls, void *arg);
void ag_log_watch_free(struct ag_log_watch *watch);
/* From the present end of the file on. A system that refuses is no fault: polling goes on. */
void ag_log_watch_begin(struct ag_log_watch *watch);
void ag_log_watch_end(struct ag_log_watch *watch);

#endif
