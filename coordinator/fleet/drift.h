/* drift.h - where nodes of one cluster are not alike, by the facts that their agents tell. Each is held
 * against the first that has told any; a node alone is like itself. */
#ifndef CO_FLEET_DRIFT_H
#define CO_FLEET_DRIFT_H

#include "coordinator/fleet/fleet.h"

struct co_drift {
	bool breaks; /* the cluster would not work as one: no run that starts nodes begins */
	char text[FM_TEXT_SIZE];
	char next[FM_NAME_SIZE * 4]; /* what to type */
};

#define CO_DRIFTS_MOST 10 /* of one node: one for each look */

/* What is odd about a node, and what to do; the worst first. names: of the nodes. Returns how many. */
unsigned co_drift_of_node(const struct co_fleet *fleet, const char names[][FM_NAME_SIZE],
			  unsigned count, unsigned node, struct co_drift found[CO_DRIFTS_MOST]);

#endif
