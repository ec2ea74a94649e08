/* fleet.c - reports in, answers out. */
#include "coordinator/fleet/fleet.h"

#include <string.h>

#include "base/text.h"

/* Progress is a change of what a node says it does, not the mere arrival of a report. */
static bool
says_something_new(const struct fm_agent_report *a, const struct fm_agent_report *b)
{
	return a->app != b->app || !fm_is_equal(a->detail, b->detail) ||
	       !fm_is_equal(a->current, b->current) || !fm_is_equal(a->fetched, b->fetched) ||
	       !fm_is_equal(a->snapshot, b->snapshot) || a->pids != b->pids ||
	       a->restored_serial != b->restored_serial ||
	       fm_voice_compare(a->voice, b->voice) != 0;
}

void
co_fleet_node_report(struct co_fleet *fleet, unsigned node, const struct fm_agent_report *report,
		     struct fm_mono now)
{
	struct co_node *n = &fleet->nodes[node];

	if (!n->reported || says_something_new(&n->report, report)) n->changed = now;
	n->report = *report;
	n->reported = true;
	n->heard = now;
}

void
co_fleet_node_facts(struct co_fleet *fleet, unsigned node, const struct fm_node_facts *facts,
		    int64_t wall_ms)
{
	struct co_node *n = &fleet->nodes[node];

	n->facts = *facts;
	n->facts.known = true;
	n->clock_off_ms = facts->clock_ms - wall_ms;
}

void
co_fleet_gate_report(struct co_fleet *fleet, unsigned gate, const struct fm_gate_report *report,
		     struct fm_mono now)
{
	struct co_gate *g = &fleet->gates[gate];

	g->report = *report;
	g->reported = true;
	g->heard = now;
}

bool
co_node_obeys(const struct co_node *node, struct fm_voice voice)
{
	return node->reported && fm_voice_compare(node->report.voice, voice) == 0;
}

bool
co_gate_obeys(const struct co_gate *gate, struct fm_voice voice)
{
	return gate->reported && fm_voice_compare(gate->report.voice, voice) == 0;
}

/* One gate's traffic to a node, or to all. */
static struct fm_node_traffic
gate_traffic(const struct fm_gate_report *report, const char *name)
{
	struct fm_node_traffic sum = { .in_flight = 0 };

	if (name == NULL) {
		sum.in_flight = report->in_flight;
		sum.websockets = report->websockets;
		return sum;
	}
	for (unsigned i = 0; i < report->node_count; i++)
		if (fm_is_equal(report->nodes[i].name, name)) return report->nodes[i];
	return sum;
}

unsigned
co_fleet_in_flight(const struct co_fleet *fleet, unsigned gate_count, const char *name)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < gate_count; i++)
		sum += gate_traffic(&fleet->gates[i].report, name).in_flight;
	return sum;
}

unsigned
co_fleet_websockets(const struct co_fleet *fleet, unsigned gate_count, const char *name)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < gate_count; i++)
		sum += gate_traffic(&fleet->gates[i].report, name).websockets;
	return sum;
}
