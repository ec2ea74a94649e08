/* prepare.c - a new run from an order: which releases, which node first, which way back. */
#include <string.h>

#include "base/text.h"
#include "base/version.h"
#include "coordinator/steps/steps.h"

static int
find_node(const struct co_turn *t, const char *name)
{
	for (unsigned i = 0; i < t->state->node_count; i++)
		if (fm_is_equal(t->state->node_names[i], name)) return (int)i;
	return -1;
}

/* The first of the settings that takes requests and is not left out; if all of them are, the first of them,
 * which is then refused by its name. */
static unsigned
first_node(const struct co_turn *t)
{
	int first = -1;

	for (unsigned i = 0; i < t->state->node_count; i++) {
		if (t->config->workers[i]) continue;
		if (!co_is_without(&t->state->run, co_node_name(t, i))) return i;
		if (first < 0) first = (int)i;
	}
	return first < 0 ? 0 : (unsigned)first;
}

/* The release that the cluster is on: as journalled, else as the first node says. */
static const char *
release_of_cluster(const struct co_turn *t)
{
	const struct co_node *node = &t->fleet->nodes[t->state->run.first];
	const struct fm_agent_report *report = &node->report;

	if (!fm_is_empty(t->state->version)) return t->state->version;
	if (!node->reported) return "";
	if (!fm_is_empty(report->current)) return report->current;
	return report->release_count == 1 ? report->releases[0] : "";
}

int
co_prepare(struct co_turn *t, const struct co_order *order, struct fm_err *err)
{
	struct co_run *run = &t->state->run;

	(void)order;
	(void)err;
	run->first = first_node(t);
	FM_COPY(run->to, release_of_cluster(t));
	FM_COPY(run->from, run->to);
	run->installed = true;
	return 0;
}

int
co_prepare_startup(struct co_turn *t, const struct co_order *order, struct fm_err *err)
{
	struct co_run *run = &t->state->run;

	run->first = first_node(t);
	FM_COPY(run->to, fm_is_empty(order->to) ? release_of_cluster(t) : order->to);
	FM_COPY(run->from, run->to);
	if (!fm_is_empty(run->to)) return 0;
	return fm_fail(err, FM_ERR_REFUSED, 0,
		       "which release to start is not known: %s has not reported one; name it "
		       "with --to VERSION",
		       co_node_name(t, run->first));
}

int
co_prepare_upgrade(struct co_turn *t, const struct co_order *request, struct fm_err *err)
{
	struct co_run *run = &t->state->run;
	int order = 0;

	run->first = first_node(t);
	FM_COPY(run->to, request->to);
	FM_COPY(run->from, release_of_cluster(t));
	run->installed = true;
	if (fm_is_empty(run->from))
		return fm_fail(err, FM_ERR_REFUSED, 0,
			       "the cluster has never been started; type: fermata startup");
	if (fm_is_equal(run->to, run->from))
		return fm_fail(err, FM_ERR_REFUSED, 0, "the cluster is on %s already", run->to);
	/* nocobase: an older release on a newer database runs, answers 200 and damages it. */
	if (fm_version_compare(run->to, run->from, &order) && order < 0)
		return fm_fail(err, FM_ERR_REFUSED, 0,
			       "%s is older than %s, which the cluster is on: NocoBase does not "
			       "downgrade a database; the way back is: fermata rollback",
			       run->to, run->from);
	return 0;
}

int
co_prepare_rollback(struct co_turn *t, const struct co_order *order, struct fm_err *err)
{
	struct co_run *run = &t->state->run;
	const struct co_way_back *back = &t->state->back;
	int node = find_node(t, back->storage_node);

	(void)order;
	if (fm_is_empty(back->restore_point) || node < 0)
		return fm_fail(err, FM_ERR_REFUSED, 0,
			       "there is no way back: no upgrade has left a restore point");
	if (t->config->workers[node])
		return fm_fail(
			err, FM_ERR_REFUSED, 0,
			"the storage of restore point %s is kept by %s, which must go first and "
			"is a worker node now: take it out of [cluster] workers, and restart "
			"the coordinator",
			back->restore_point, back->storage_node);
	FM_COPY(run->to, back->version);
	FM_COPY(run->from, back->version);
	FM_COPY(run->restore_point, back->restore_point);
	FM_COPY(run->storage_node, back->storage_node);
	run->first = (unsigned)node;
	run->verified = run->touched = run->installed = run->opened = true;
	return 0;
}

int
co_prepare_maintenance(struct co_turn *t, const struct co_order *order, struct fm_err *err)
{
	int node = fm_is_empty(order->keep) ? (int)first_node(t) : find_node(t, order->keep);

	if (node < 0)
		return fm_fail(err, FM_ERR_REFUSED, 0, "there is no node %s in this cluster",
			       order->keep);
	if (t->config->workers[node])
		return fm_fail(err, FM_ERR_REFUSED, 0,
			       "%s is a worker node: it takes no requests, and cannot be the kept "
			       "one; type: fermata maintenance begin --keep %s",
			       order->keep, co_node_name(t, first_node(t)));
	if (co_prepare(t, order, err) != 0) return -1;
	t->state->run.first = (unsigned)node;
	return 0;
}
