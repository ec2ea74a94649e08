/* fit.c - preflight: what must be so before a run may touch anything. Peers that are silent are
 * waited for until the row's limit; what is plainly wrong fails at once. */
#include "base/text.h"
#include "coordinator/fleet/drift.h"
#include "coordinator/steps/steps.h"

/* The node belongs to the run: its agent restarts nothing by itself until the run lets go. */
void
co_ask_attention(struct co_turn *t, struct co_who who)
{
	if (who.kind == CO_FIRST) t->state->nodes[who.i].run = t->state->run.number;
}

static enum co_verdict
gate_is_fit(const struct co_turn *t, unsigned i)
{
	const struct co_gate *gate = &t->fleet->gates[i];

	if (!gate->connected)
		return co_is_without(&t->state->run, t->config->gates[i])
			       ? CO_DONE
			       : co_say_gate_away(t, i, t->state->run.args);
	if (!co_gate_obeys(gate, t->state->gate.voice))
		return co_say(t, CO_WAIT, "gate %s to answer", t->config->gates[i]);
	if (!fm_is_empty(gate->report.error))
		return co_say(t, CO_FAILED, "gate %s: %s", t->config->gates[i], gate->report.error);
	return CO_DONE;
}

enum co_verdict
co_is_fit(const struct co_turn *t, struct co_who who)
{
	const struct co_node *node = &t->fleet->nodes[who.i];

	if (who.kind == CO_STORE) return CO_DONE;
	if (who.kind == CO_GATES) return gate_is_fit(t, who.i);
	if (!node->connected) return co_say_node_away(t, who.i, t->state->run.args);
	if (!co_node_obeys(node, t->state->nodes[who.i].voice))
		return co_say(t, CO_WAIT, "%s to answer", co_node_name(t, who.i));
	if (node->report.app == FM_APP_UNKNOWN)
		return co_say(t, CO_WAIT, "%s to look around", co_node_name(t, who.i));
	return CO_DONE;
}

/* Is the node like the others? What breaks the cluster fails, the rest is remarked. */
static enum co_verdict
is_alike(const struct co_turn *t, unsigned node)
{
	struct co_drift found[CO_DRIFTS_MOST];
	unsigned count;

	if (!t->fleet->nodes[node].facts.known)
		return co_say(t, CO_WAIT, "%s to say how it is set up", co_node_name(t, node));
	count = co_drift_of_node(t->fleet, t->state->node_names, t->state->node_count, node, found);
	if (count > 0 && found[0].breaks)
		return co_say(t, CO_FAILED, "%s: %s; %s", co_node_name(t, node), found[0].text,
			      found[0].next);
	for (unsigned i = 0; i < count; i++)
		fm_append(t->remark, FM_TEXT_SIZE, "%s%s: %s", t->remark[0] ? "; " : "",
			  co_node_name(t, node), found[i].text);
	return CO_DONE;
}

/* What no release could change: a node on which a start would only be refused fails the run before
 * anything is touched. */
static enum co_verdict
can_be_started(const struct co_turn *t, unsigned node)
{
	const char *unfit = t->fleet->nodes[node].report.unfit;

	if (fm_is_empty(unfit)) return CO_DONE;
	return co_say(t, CO_FAILED, "%s could not be started: %s", co_node_name(t, node), unfit);
}

static enum co_verdict
is_in_order(const struct co_turn *t, unsigned node)
{
	enum co_verdict verdict = can_be_started(t, node);

	return verdict == CO_DONE ? is_alike(t, node) : verdict;
}

static bool
has_release(const struct fm_agent_report *report, const char *release)
{
	for (unsigned i = 0; i < report->release_count; i++)
		if (fm_is_equal(report->releases[i], release)) return true;
	return false;
}

enum co_verdict
co_is_fit_to_start(const struct co_turn *t, struct co_who who)
{
	const struct fm_agent_report *report = &t->fleet->nodes[who.i].report;
	const char *name = co_node_name(t, who.i);
	enum co_verdict verdict = co_is_fit(t, who);

	if (verdict != CO_DONE || who.kind != CO_FIRST) return verdict;
	if (report->pids != 0 && !fm_is_empty(report->failure))
		return co_say(t, CO_FAILED, "%s: %s", name, report->failure);
	if (report->pids != 0)
		return co_say(
			t, CO_FAILED,
			"the application runs on %s already (%s, %u processes); type: fermata stop",
			name, fm_app_state_name(report->app), report->pids);
	if (!has_release(report, t->state->run.to))
		return co_say(t, CO_FAILED, "%s has no release %s", name, t->state->run.to);
	return is_in_order(t, who.i);
}

enum co_verdict
co_is_fit_to_serve(const struct co_turn *t, struct co_who who)
{
	const struct fm_agent_report *report = &t->fleet->nodes[who.i].report;
	enum co_verdict verdict = co_is_fit(t, who);

	if (verdict != CO_DONE || who.kind != CO_FIRST) return verdict;
	if (!fm_is_empty(t->state->version) && !fm_is_equal(report->current, t->state->version))
		return co_say(t, CO_FAILED, "%s is on release %s, the cluster on %s",
			      co_node_name(t, who.i), report->current, t->state->version);
	if (report->app == FM_APP_READY) return is_in_order(t, who.i);
	if (report->app == FM_APP_STARTING || report->app == FM_APP_BACKOFF)
		return co_say(t, CO_WAIT, "%s: %s, %s", co_node_name(t, who.i),
			      fm_app_state_name(report->app), report->detail);
	return co_say(t, CO_FAILED, "%s is %s%s%s", co_node_name(t, who.i),
		      fm_app_state_name(report->app), fm_is_empty(report->failure) ? "" : ": ",
		      report->failure);
}

enum co_verdict
co_is_fit_to_upgrade(const struct co_turn *t, struct co_who who)
{
	const struct fm_agent_report *report = &t->fleet->nodes[who.i].report;
	enum co_verdict verdict = co_is_fit(t, who);

	if (verdict != CO_DONE || who.kind != CO_FIRST) return verdict;
	if (!fm_is_equal(report->current, t->state->run.from))
		return co_say(t, CO_FAILED, "%s is on release %s, the cluster on %s",
			      co_node_name(t, who.i), report->current, t->state->run.from);
	if (report->app == FM_APP_STOPPED) return is_in_order(t, who.i);
	return co_is_fit_to_serve(t, who);
}

void
co_note_database(struct co_turn *t)
{
	t->state->run.installed = t->job->result.installed;
}
