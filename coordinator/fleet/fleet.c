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
	       a->restored_serial != b->restored_serial || a->signs != b->signs ||
	       fm_voice_compare(a->voice, b->voice) != 0;
}

bool
co_takes_requests(const char *mode)
{
	if (fm_is_empty(mode)) return true;
	mode += strspn(mode, " \t");
	for (;;) {
		size_t length = strcspn(mode, ",");

		while (length > 0 && strchr(" \t", mode[length - 1])) length--;
		if (length == 1 && *mode == '!') return true;
		mode += strcspn(mode, ",");
		if (*mode++ == '\0') return false;
	}
}

/* Whether the live process was ready once. A report that is the first of our life may come from one that has
 * served for days. */
static void
note_ready(struct co_node *n, const struct fm_agent_report *report, struct fm_mono now)
{
	bool is_ready = report->app == FM_APP_READY;

	if (is_ready && (!n->reported || n->report.app != FM_APP_READY)) n->ready_since = now;
	if (!n->reported) n->was_ready = true;
	if (n->reported && report->starts != n->report.starts) n->was_ready = false;
	if (report->pids == 0) n->was_ready = false;
	if (is_ready) n->was_ready = true;
}

void
co_fleet_node_report(struct co_fleet *fleet, unsigned node, const struct fm_agent_report *report,
		     struct fm_mono now)
{
	struct co_node *n = &fleet->nodes[node];

	if (!n->reported || says_something_new(&n->report, report)) n->changed = now;
	note_ready(n, report, now);
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

static void
add_node(struct fm_gate_report *sum, const struct fm_node_traffic *node)
{
	unsigned i = 0;

	while (i < sum->node_count && !fm_is_equal(sum->nodes[i].name, node->name)) i++;
	if (i == FM_NODES_MAX) return;
	if (i == sum->node_count) {
		sum->nodes[sum->node_count++] = *node;
		return;
	}
	sum->nodes[i].in_flight += node->in_flight;
	sum->nodes[i].websockets += node->websockets;
	sum->nodes[i].idle += node->idle;
}

/* Two reports as one: what is said to be so is so in both. */
static void
add_report(struct fm_gate_report *sum, const struct fm_gate_report *more)
{
	if (fm_voice_compare(more->voice, sum->voice) < 0) {
		sum->voice = more->voice;
		sum->mode = more->mode;
		FM_COPY(sum->pinned, more->pinned);
	}
	for (unsigned i = 0; i < more->node_count; i++) add_node(sum, &more->nodes[i]);
	sum->in_flight += more->in_flight;
	sum->websockets += more->websockets;
	sum->idle += more->idle;
	sum->workers += more->workers;
	sum->generations += more->generations;
	sum->passed += more->passed;
	sum->refused += more->refused;
	sum->bypassed += more->bypassed;
	sum->tabs += more->tabs;
	sum->held += more->held;
	sum->waiting |= more->waiting;
	if (fm_is_empty(sum->error)) FM_COPY(sum->error, more->error);
	if (sum->override != FM_GATE_NONE) return;
	sum->override = more->override;
	sum->override_at = more->override_at;
	FM_COPY(sum->override_by, more->override_by);
}

static void
fold_gate(struct co_gate *g)
{
	g->session_count = 0;
	g->reported = true;
	for (unsigned i = 0; i < CO_SESSIONS_MAX; i++) {
		const struct co_session *s = &g->sessions[i];

		if (!s->connected) continue;
		if (!s->reported)
			g->reported = false;
		else if (g->session_count == 0)
			g->report = s->report;
		else
			add_report(&g->report, &s->report);
		g->session_count++;
		if (fm_mono_since(s->heard, g->heard) > 0) g->heard = s->heard;
	}
	g->connected = g->session_count > 0;
	if (!g->connected) g->reported = fm_mono_since(g->heard, (struct fm_mono){ 0 }) > 0;
}

void
co_fleet_gate_up(struct co_fleet *fleet, unsigned gate, unsigned session, struct fm_mono now)
{
	struct co_session *s = &fleet->gates[gate].sessions[session];

	s->connected = true;
	s->reported = false;
	s->heard = now;
	fold_gate(&fleet->gates[gate]);
}

void
co_fleet_gate_down(struct co_fleet *fleet, unsigned gate, unsigned session)
{
	fleet->gates[gate].sessions[session].connected = false;
	fold_gate(&fleet->gates[gate]);
}

void
co_fleet_gate_report(struct co_fleet *fleet, unsigned gate, unsigned session,
		     const struct fm_gate_report *report, struct fm_mono now)
{
	struct co_session *s = &fleet->gates[gate].sessions[session];

	s->report = *report;
	s->reported = true;
	s->heard = now;
	fold_gate(&fleet->gates[gate]);
}

void
co_say_sql(const struct fm_agent_report *report, char *text, size_t size)
{
	char age[32];

	if (fm_is_empty(report->sql)) return;
	fm_append(text, size, "; in the database for %s: %s",
		  fm_format_duration(age, sizeof(age), (int64_t)report->sql_age_ms), report->sql);
	if (!fm_is_empty(report->sql_waits))
		fm_append(text, size, "; waits for %s", report->sql_waits);
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

struct fm_node_traffic
co_fleet_traffic(const struct co_fleet *fleet, unsigned gate_count, const char *name)
{
	struct fm_node_traffic sum = { .in_flight = 0 };

	for (unsigned i = 0; i < gate_count; i++) {
		const struct fm_gate_report *report = &fleet->gates[i].report;

		for (unsigned k = 0; k < report->node_count; k++) {
			if (!fm_is_equal(report->nodes[k].name, name)) continue;
			sum.in_flight += report->nodes[k].in_flight;
			sum.websockets += report->nodes[k].websockets;
			sum.idle += report->nodes[k].idle;
		}
	}
	return sum;
}
