/* fleet.h - what the peers have reported, and how fresh that is. What was told is kept apart from what
 * is wanted (run/state.h): a proof compares the two. */
#ifndef CO_FLEET_FLEET_H
#define CO_FLEET_FLEET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mono.h"
#include "wire/facts.h"

#define CO_SESSIONS_MAX 3

struct co_node {
	bool connected, reported;
	bool is_worker;		/* as it is declared; what is so is in facts */
	struct fm_mono heard;	/* last report */
	struct fm_mono changed; /* last report that said something new: progress */
	bool was_ready;		/* the live process, since its start; or nobody knows */
	struct fm_mono ready_since;
	struct fm_agent_report report;
	struct fm_node_facts facts; /* known: said on this connection */
	int64_t clock_off_ms;	    /* its clock minus ours, when they came */
};

/* One nginx. A gate has two while its binary is replaced, each with shared memory of its own. */
struct co_session {
	bool connected, reported; /* since it connected */
	struct fm_mono heard;
	struct fm_gate_report report;
};

/* What its sessions say together: the earliest voice, the sum of all counts; of those that are
 * connected, or of the last ones that were. reported: every one of them has. */
struct co_gate {
	bool connected, reported;
	unsigned session_count; /* connected */
	struct fm_mono heard;
	struct fm_gate_report report;
	struct co_session sessions[CO_SESSIONS_MAX];
};

struct co_fleet {
	struct co_node nodes[FM_NODES_MAX];
	struct co_gate gates[FM_GATES_MAX];
};

/* Does an application with this WORKER_MODE answer visitors? nocobase: without one it does all, and "!"
 * among its words is for requests. */
bool co_takes_requests(const char *worker_mode);

void co_fleet_node_report(struct co_fleet *fleet, unsigned node,
			  const struct fm_agent_report *report, struct fm_mono now);
/* wall_ms: our clock. */
void co_fleet_node_facts(struct co_fleet *fleet, unsigned node, const struct fm_node_facts *facts,
			 int64_t wall_ms);
void co_fleet_gate_up(struct co_fleet *fleet, unsigned gate, unsigned session, struct fm_mono now);
void co_fleet_gate_down(struct co_fleet *fleet, unsigned gate, unsigned session);
void co_fleet_gate_report(struct co_fleet *fleet, unsigned gate, unsigned session,
			  const struct fm_gate_report *report, struct fm_mono now);

/* Has this peer said that it obeys this voice? A report of another voice proves nothing. */
bool co_node_obeys(const struct co_node *node, struct fm_voice voice);
bool co_gate_obeys(const struct co_gate *gate, struct fm_voice voice);

/* Appends what its application has the database do, for how long, and what that waits for. */
void co_say_sql(const struct fm_agent_report *report, char *text, size_t size);

/* Requests in flight, websockets and kept connections on a node, over the gates. */
struct fm_node_traffic co_fleet_traffic(const struct co_fleet *fleet, unsigned gate_count,
					const char *name);

#endif
