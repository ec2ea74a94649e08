/* prove.c - is the current row's proof there? */
#include <string.h>

#include "base/text.h"
#include "coordinator/run/core.h"

struct co_turn
co_turn_of(struct co_core *core, struct co_state *state)
{
	return (struct co_turn){
		.state = state,
		.fleet = &core->fleet,
		.config = &core->config,
		.job = &core->job,
		.wall_ms = core->env.wall_ms(core->env.ctx),
		.why = core->waiting,
		.remark = core->remark,
	};
}

/* A job's result is proof by itself. */
static enum co_verdict
prove_job(const struct co_turn *t, const struct co_step *step)
{
	const struct co_job *job = t->job;

	if (job->kind != step->job || !job->finished) {
		fm_format(t->why, FM_TEXT_SIZE, "the database: %s",
			  fm_is_empty(job->progress) ? "at work" : job->progress);
		return CO_WAIT;
	}
	if (job->result.ok) return CO_DONE;
	fm_copy(t->why, FM_TEXT_SIZE, job->result.text);
	return CO_FAILED;
}

static enum co_verdict
prove_store(const struct co_turn *t, const struct co_step *step)
{
	enum co_verdict verdict = CO_DONE;

	/* What the row knows to be impossible comes first: it need not wait for the job. */
	if (step->done != NULL) verdict = step->done(t, (struct co_who){ CO_STORE, 0 });
	return verdict == CO_FAILED ? verdict : prove_job(t, step);
}

bool
co_is_about_node(const struct co_step *step, const struct co_run *run, unsigned i)
{
	if ((step->scope & CO_GATES) != 0 && (step->scope & CO_EACH) != 0) return false;
	if ((step->scope & CO_EACH) != 0) return i == run->subject;
	return (step->scope & (i == run->first ? CO_FIRST : CO_OTHERS)) != 0;
}

/* A node that is left out is waited for in one case: it is there, and what it is to end may live. Another
 * release would be started beside it (I1). */
static enum co_verdict
prove_left_out(const struct co_turn *t, unsigned i)
{
	const struct co_node *node = &t->fleet->nodes[i];
	const struct fm_agent_ask *want = &t->state->nodes[i];

	if (!node->connected || want->app != FM_APP_GOAL_STOPPED) return CO_DONE;
	if (co_node_obeys(node, want->voice) && node->report.pids == 0) return CO_DONE;
	fm_format(t->why, FM_TEXT_SIZE, "%s, which is left out and is back, to end what runs on it",
		  t->state->node_names[i]);
	return CO_WAIT;
}

static enum co_verdict
prove_node(const struct co_turn *t, const struct co_step *step, unsigned i)
{
	if (co_is_without(&t->state->run, t->state->node_names[i])) return prove_left_out(t, i);
	if (!co_is_about_node(step, &t->state->run, i)) return CO_DONE;
	return step->done(t, (struct co_who){ CO_FIRST, i });
}

/* Folds one verdict in: failed beats stalled beats waiting beats done. The first text of the stronger stays. */
static void
fold(enum co_verdict *sum, enum co_verdict one, char *text, const char *why)
{
	static const unsigned strength[] = {
		[CO_DONE] = 0, [CO_WAIT] = 1, [CO_STALLED] = 2, [CO_FAILED] = 3
	};

	if (strength[one] <= strength[*sum]) return;
	*sum = one;
	fm_copy(text, FM_TEXT_SIZE, why);
}

enum co_verdict
co_prove(struct co_core *core)
{
	const struct co_step *step = core->step;
	struct co_turn t = co_turn_of(core, &core->state);
	enum co_verdict sum = CO_DONE;
	char why[FM_TEXT_SIZE] = "", text[FM_TEXT_SIZE] = "";

	t.why = why;
	core->remark[0] = '\0';
	if ((step->scope & CO_PERSON) != 0)
		fold(&sum, step->done(&t, (struct co_who){ CO_PERSON, 0 }), text, why);
	if ((step->scope & CO_STORE) != 0) fold(&sum, prove_store(&t, step), text, why);
	for (unsigned i = 0; (step->scope & CO_GATES) != 0 && i < core->config.gate_count; i++)
		fold(&sum, step->done(&t, (struct co_who){ CO_GATES, i }), text, why);
	for (unsigned i = 0; i < core->state.node_count; i++)
		fold(&sum, prove_node(&t, step, i), text, why);
	FM_COPY(core->waiting, text);
	return sum;
}

bool
co_is_past_limit(const struct co_core *core)
{
	const struct co_step *step = core->step;
	struct fm_mono from = core->step_began;

	if (co_limit_counts_from_progress(step->limit)) {
		if (core->job.kind == step->job && core->job_moved.ms > from.ms)
			from = core->job_moved;
		for (unsigned i = 0; i < core->state.node_count; i++)
			if (co_is_about_node(step, &core->state.run, i) &&
			    core->fleet.nodes[i].changed.ms > from.ms)
				from = core->fleet.nodes[i].changed;
	}
	return fm_mono_since(core->now, from) >= core->config.limits_ms[step->limit];
}
