/* runtime.h - how the application is run: one table of functions for each way (process today;
 * docker and systemd have their place here). Everything that knows what a "process of the
 * application" is lies behind it. */
#ifndef AG_RUNTIMES_RUNTIME_H
#define AG_RUNTIMES_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/core/supervise.h"
#include "agent/settings.h"

struct event_base;
struct ag_instance;

struct ag_runtime {
	const char *name;
	/* Finds what an earlier life of the agent started. changed(): something ended by itself or
	 * appeared; scan() says what. */
	struct ag_instance *(*open)(struct event_base *base, const struct ag_settings *settings,
				    void (*changed)(void *arg), void *arg);
	/* The application lives on. */
	void (*close)(struct ag_instance *instance);
	/* 0: its process is there. 1: under way, started() tells. -1 with err: nothing was started. */
	int (*start)(struct ag_instance *instance, const char *release, enum fm_start_mode mode,
		     struct fm_err *err);
	/* What became of a start that was under way, asked after each changed(): as start(). May be
	 * NULL if no start ever is. The runtime has a limit for it. */
	int (*started)(struct ag_instance *instance, struct fm_err *err);
	void (*signal)(struct ag_instance *instance, enum ag_signal signal);
	/* Everything alive, counted anew; strange: what else is in the way, or "". */
	unsigned (*scan)(struct ag_instance *instance, char *strange, size_t size);
};

extern const struct ag_runtime ag_runtime_process;
extern const struct ag_runtime ag_runtime_systemd;

#endif
