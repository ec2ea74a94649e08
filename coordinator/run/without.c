/* without.c - who is left out of a run. What that means is in state.h. */
#include "base/text.h"
#include "coordinator/run/core.h"

bool
co_is_without(const struct co_run *run, const char *name)
{
	for (unsigned i = 0; i < run->without_count; i++)
		if (fm_is_equal(run->without[i], name)) return true;
	return false;
}

static bool
is_peer(const struct co_config *config, const char *name)
{
	for (unsigned i = 0; i < config->gate_count; i++)
		if (fm_is_equal(config->gates[i], name)) return true;
	for (unsigned i = 0; i < config->node_count; i++)
		if (fm_is_equal(config->nodes[i], name)) return true;
	return false;
}

static int
no_such_peer(const struct co_config *config, const char *name, struct fm_err *err)
{
	char known[FM_TEXT_SIZE] = "";

	for (unsigned i = 0; i < config->gate_count; i++)
		FM_APPEND(known, "%s%s", i == 0 ? "" : ", ", config->gates[i]);
	for (unsigned i = 0; i < config->node_count; i++)
		FM_APPEND(known, ", %s", config->nodes[i]);
	return fm_fail(err, FM_ERR_REFUSED, 0,
		       "there is no gate or node %s in this cluster, only %s; nothing was touched",
		       name, known);
}

int
co_take_without(struct co_core *core, struct co_run *run, unsigned count,
		const char names[][FM_NAME_SIZE], struct fm_err *err)
{
	for (unsigned i = 0; i < count; i++) {
		if (!is_peer(&core->config, names[i]))
			return no_such_peer(&core->config, names[i], err);
		if (co_is_without(run, names[i])) continue;
		if (run->without_count == CO_WITHOUT_MOST)
			return fm_fail(
				err, FM_ERR_REFUSED, 0,
				"no more than %d can be left out of a run; nothing was touched",
				CO_WITHOUT_MOST);
		FM_COPY(run->without[run->without_count++], names[i]);
	}
	return 0;
}

int
co_check_first(const struct co_state *draft, struct fm_err *err)
{
	const struct co_run *run = &draft->run;

	if (draft->node_count == 0 || !co_is_without(run, draft->node_names[run->first])) return 0;
	return fm_fail(err, FM_ERR_REFUSED, 0,
		       "%s is the node that goes first in this %s; it cannot be left out",
		       draft->node_names[run->first], run->procedure);
}
