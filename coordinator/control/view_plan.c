/* view_plan.c - what a command would do, from the table it would run. */
#include <string.h>

#include "base/text.h"
#include "coordinator/control/control.h"
#include "coordinator/fleet/drift.h"

#define TEXT(s) ((char *)(uintptr_t)(s))
#define ROWS_MOST 40
#define REFUSALS_MOST (2 * FM_NODES_MAX + FM_GATES_MAX + 1)

struct rows {
	Fermata__PlanStep steps[ROWS_MOST];
	Fermata__PlanStep *list[ROWS_MOST];
	char limits[ROWS_MOST][32], failures[ROWS_MOST][96];
	unsigned count;
};

static void
fill_row(struct co_daemon *daemon, const char *procedure, const struct co_step *row,
	 struct rows *rows)
{
	Fermata__PlanStep *step = &rows->steps[rows->count];
	char *limit = rows->limits[rows->count], *failure = rows->failures[rows->count];
	int64_t took = 0;

	fermata__plan_step__init(step);
	fm_format_duration(limit, sizeof(rows->limits[0]), daemon->config.limits_ms[row->limit]);
	fm_format(failure, sizeof(rows->failures[0]), "%s%s%s", co_policy_name(row->fails),
		  row->back == NULL ? "" : ", from: ", row->back == NULL ? "" : row->back);
	step->number = rows->count + 1;
	step->name = TEXT(row->name);
	step->says = TEXT(row->says);
	step->limit = limit;
	step->on_failure = failure;
	took = co_journal_median_ms(daemon->journal, procedure, row->name, CO_MEDIAN_OF);
	step->expected_ms = took < 0 ? 0 : took;
	rows->list[rows->count++] = step;
}

static void
fill_rows(struct co_daemon *daemon, const struct co_order *order, const struct co_step *table,
	  struct rows *rows)
{
	rows->count = 0;
	for (; table != NULL && table->name != NULL && rows->count < ROWS_MOST; table++)
		if (co_step_applies(daemon->core, table, order))
			fill_row(daemon, order->procedure, table, rows);
}

/* From the gates closed to the gates open, as it took before. */
static int64_t
expected_downtime(const struct rows *rows)
{
	bool closed = false;
	int64_t sum = 0;

	for (unsigned i = 0; i < rows->count; i++) {
		if (fm_is_equal(rows->steps[i].name, "open gates") ||
		    fm_is_equal(rows->steps[i].name, "open on first"))
			return sum;
		if (closed) sum += rows->steps[i].expected_ms;
		closed |= fm_is_equal(rows->steps[i].name, "close gates");
	}
	return 0;
}

/* What breaks the cluster refuses every run that starts nodes. */
static unsigned
drifts(struct co_daemon *daemon, char texts[][FM_TEXT_SIZE], unsigned most)
{
	const struct co_fleet *fleet = co_core_fleet(daemon->core);
	const struct co_config *config = &daemon->config;
	struct co_drift found[CO_DRIFTS_MOST];
	unsigned count = 0;

	for (unsigned i = 0; i < config->node_count && count < most; i++) {
		if (co_drift_of_node(fleet, config->nodes, config->node_count, i, found) == 0 ||
		    !found[0].breaks)
			continue;
		fm_format(texts[count++], FM_TEXT_SIZE, "%s: %s", config->nodes[i], found[0].text);
	}
	return count;
}

static bool
is_left_out(const struct co_order *order, const char *name)
{
	for (unsigned i = 0; i < order->without_count; i++)
		if (fm_is_equal(order->without[i], name)) return true;
	return false;
}

static unsigned
refusals(struct co_daemon *daemon, const struct co_order *order, char texts[][FM_TEXT_SIZE],
	 char **list)
{
	const struct co_fleet *fleet = co_core_fleet(daemon->core);
	const struct co_run *run = &co_core_state(daemon->core)->run;
	unsigned count = 0;

	if (run->state != CO_RUN_NONE && run->state != CO_RUN_ENDED)
		fm_format(texts[count++], FM_TEXT_SIZE, "run %llu (%s) is %s",
			  (unsigned long long)run->number, run->procedure,
			  co_run_state_name(run->state));
	for (unsigned i = 0; i < daemon->config.node_count; i++)
		if (!fleet->nodes[i].connected && !is_left_out(order, daemon->config.nodes[i]))
			fm_format(texts[count++], FM_TEXT_SIZE,
				  "%s is not connected; to go on without it, if nothing of the "
				  "application runs there: --without %s",
				  daemon->config.nodes[i], daemon->config.nodes[i]);
	for (unsigned i = 0; i < daemon->config.gate_count; i++)
		if (!fleet->gates[i].connected && !is_left_out(order, daemon->config.gates[i]))
			fm_format(
				texts[count++], FM_TEXT_SIZE,
				"gate %s is not connected; to go on without it, if no visitor can come "
				"through it: --without %s",
				daemon->config.gates[i], daemon->config.gates[i]);
	count += drifts(daemon, texts + count, REFUSALS_MOST - count);
	for (unsigned i = 0; i < count; i++) list[i] = texts[i];
	return count;
}

void
co_view_plan(struct co_daemon *daemon, struct co_client *client, const struct co_order *order)
{
	static struct rows steps, recovery; /* large; one thread */
	static char texts[REFUSALS_MOST][FM_TEXT_SIZE];
	const struct co_procedure *procedure = co_procedure_find(order->procedure);
	char *list[REFUSALS_MOST], workers[FM_TEXT_SIZE] = "";
	Fermata__Plan msg = FERMATA__PLAN__INIT;

	fill_rows(daemon, order, procedure->steps, &steps);
	fill_rows(daemon, order, procedure->recovery, &recovery);
	msg.procedure = TEXT(procedure->name);
	msg.args = TEXT(order->args);
	msg.steps = steps.list;
	msg.n_steps = steps.count;
	msg.recovery = recovery.list;
	msg.n_recovery = recovery.count;
	msg.refusals = list;
	msg.n_refusals = refusals(daemon, order, texts, list);
	for (unsigned i = 0; i < daemon->config.node_count; i++)
		if (daemon->config.workers[i])
			FM_APPEND(workers, "%s%s", workers[0] ? ", " : "", daemon->config.nodes[i]);
	msg.workers = workers;
	msg.expected_downtime_ms = expected_downtime(&steps);
	co_answer(client, FERMATA__CONTROL_EVENT__WHAT_PLAN, &msg);
}
