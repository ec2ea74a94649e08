/* facts.h - what must be alike on all nodes, looked up by a child (agent/work/facts.c) when the
 * coordinator has given a salt for the digests, after a job on the disk, when the settings file was
 * changed, and every minute. */
#ifndef AG_WORLD_FACTS_H
#define AG_WORLD_FACTS_H

#include "agent/settings.h"
#include "wire/facts.h"

struct event_base;
struct ag_facts;

/* changed(): other than those told last, but for the room on the disk and the clock. */
struct ag_facts *ag_facts_new(struct event_base *base, const struct ag_settings *settings,
			      void (*changed)(void *arg, const struct fm_node_facts *facts),
			      void *arg);
void ag_facts_free(struct ag_facts *facts);
/* Looks, if the salt is another than before. */
void ag_facts_salt(struct ag_facts *facts, const char *salt);
/* Looks, if the settings file is another than before; cheap. */
void ag_facts_glance(struct ag_facts *facts);
/* Something has changed: looks soon. */
void ag_facts_again(struct ag_facts *facts);

#endif
