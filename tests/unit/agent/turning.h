/* turning.h - an event loop, settings for a node in a folder of its own, and waiting by turning. */
#ifndef TEST_UNIT_AGENT_TURNING_H
#define TEST_UNIT_AGENT_TURNING_H

#include <stdbool.h>

#include "agent/settings.h"
#include "folder.h"

struct ag_instance;
struct event_base;

/* Made anew for each test. */
extern struct event_base *turning_base;
extern struct ag_settings turning_settings;
extern unsigned turning_calls; /* of turning_count() */

int turning_setup(void **state);
int turning_teardown(void **state);

/* A callback that counts. */
void turning_count(void *arg);
bool turning_was_called(void *arg);
/* The loop turns until the condition holds; fails after 10 s. */
void turning_until(bool (*holds)(void *arg), void *arg);

/* What the process runtime is expected to find. */
struct turning_processes {
	struct ag_instance *instance;
	unsigned count;
};

/* An instance of that runtime, over the settings. */
struct ag_instance *turning_open(void);
bool turning_has_count(void *processes);

#endif
