/* turn.c - from row to row: on, back, to a halt, to the end. */
#include <string.h>

#include "base/check.h"
#include "base/text.h"
#include "coordinator/run/core.h"

const struct co_step *
co_table(const struct co_core *core)
{
	return core->state.run.recovering ? core->procedure->recovery : core->procedure->steps;
}

static void
ask_row(struct co_core *core, struct co_turn *t, const struct co_step *step)
{
	if (step->ask == NULL) return;
	if ((step->scope & CO_PERSON) != 0) step->ask(t, (struct co_who){ CO_PERSON, 0 });
	if ((step->scope & CO_STORE) != 0) step->ask(t, (struct co_who){ CO_STORE, 0 });
	if ((step->scope & CO_GATES) != 0) step->ask(t, (struct co_who){ CO_GATES, 0 });
	for (unsigned i = 0; i < core->state.node_count; i++)
		if (co_is_about_node(step, &t->state->run, i))
			step->ask(t, (struct co_who){ CO_FIRST, i });
}

/* Makes the draft stand at the row: its asks, its words for visitors. */
int
co_enter_row(struct co_core *core, struct co_state *draft, const struct co_step *step)
{
	struct co_turn t = co_turn_of(core, draft);
	struct co_run *run = &draft->run;
	char name[FM_TEXT_SIZE];

	FM_COPY(run->step, step->name);
	run->step_ms = t.wall_ms;
	run->stalled = false;
	run->state = (step->scope & CO_PERSON) != 0 ? CO_RUN_HELD : CO_RUN_RUNNING;
	ask_row(core, &t, step);
	co_tell_visitors(core, draft, step);
	FM_FORMAT(name, "%s%s%s", step->says, (step->scope & CO_EACH) != 0 ? ": " : "",
		  (step->scope & CO_EACH) != 0 ? draft->node_names[run->subject] : "");
	co_tell_event(core, run->state == CO_RUN_HELD ? "held" : "step", step->name, name, 0);
	return 0;
}

static void
start_job(struct co_core *core)
{
	const struct co_run *run = &core->state.run;
	struct co_job_order order = {
		.kind = core->step->job,
		.epoch = core->state.epoch,
		.run = run->number,
	};

	if (core->job.running) core->env.job_stop(core->env.ctx);
	memset(&core->job, 0, sizeof(core->job));
	core->job_moved = core->now;
	if (order.kind == CO_JOB_NONE) return;
	FM_COPY(order.restore_point, run->restore_point);
	FM_COPY(order.version, run->from);
	FM_COPY(order.way_back, core->state.back.restore_point);
	core->job.kind = order.kind;
	core->job.epoch = order.epoch;
	core->job.running = true;
	core->env.job(core->env.ctx, &order);
}

void
co_entered(struct co_core *core, const struct co_step *step)
{
	core->step = step;
	core->step_began = core->now;
	core->waiting[0] = '\0';
	start_job(core);
}

static bool
applies(struct co_core *core, struct co_state *draft, const struct co_step *row)
{
	struct co_turn t = co_turn_of(core, draft);

	return row->when == NULL || row->when(&t);
}

/* The first row of the rolling group that `row` is in. */
static const struct co_step *
group_start(const struct co_step *table, const struct co_step *row)
{
	while (row > table && (row[-1].scope & CO_EACH) != 0) row--;
	return row;
}

/* The row after this one that applies; NULL: the table ends. A rolling group begins anew with the
 * next node until all have been through it. */
static const struct co_step *
next_row(struct co_core *core, struct co_state *draft)
{
	const struct co_step *table = co_table(core);
	const struct co_step *row = core->step + 1;
	bool group_ends = (core->step->scope & CO_EACH) != 0 &&
			  (row->name == NULL || (row->scope & CO_EACH) == 0);

	if (group_ends && draft->run.subject + 1 < draft->node_count) {
		draft->run.subject++;
		return group_start(table, core->step);
	}
	while (row->name != NULL && !applies(core, draft, row)) row++;
	return row->name == NULL ? NULL : row;
}

static enum co_end
end_of(const struct co_core *core)
{
	const struct co_run *run = &core->state.run;

	if (run->recovering)
		return run->by_operator ? CO_END_STOPPED_BY_OPERATOR : CO_END_ROLLED_BACK;
	if (core->procedure->goes_back)
		return run->opened ? CO_END_ROLLED_BACK_WITH_LOSS : CO_END_ROLLED_BACK;
	return CO_END_DONE;
}

/* I8: who comes back after the end migrates nothing on the strength of a run that is over. */
void
co_let_go(struct co_state *draft)
{
	for (unsigned i = 0; i < draft->node_count; i++) {
		draft->nodes[i].run = 0;
		draft->nodes[i].start = FM_START_PLAIN;
	}
}

void
co_end_links(struct co_state *draft)
{
	if (draft->gate.mode != FM_GATE_CLOSED)
		memset(draft->gate.bypass.key, 0, sizeof(draft->gate.bypass.key));
}

/* Lets go of the nodes and writes the end. Part of a commit. */
static void
finish(struct co_core *core, struct co_state *draft, enum co_end end)
{
	struct co_run *run = &draft->run;

	run->state = CO_RUN_ENDED;
	run->end = end;
	run->ended_ms = core->env.wall_ms(core->env.ctx);
	memset(&run->words, 0, sizeof(run->words));
	co_let_go(draft);
	draft->gate.step[0] = '\0';
	co_end_links(draft);
	draft->gate.phase = FM_PHASE_NONE;
	co_promise_nothing(draft);
	co_tell_event(core, "end", run->step, co_end_name(end), run->ended_ms - run->began_ms);
}

static void
ended(struct co_core *core)
{
	if (core->job.running) core->env.job_stop(core->env.ctx);
	memset(&core->job, 0, sizeof(core->job));
	core->procedure = NULL;
	core->step = NULL;
	core->waiting[0] = '\0';
}

/* The restore point as the journal keeps it, once it is proved. */
static const struct co_point_row *
point_of(const struct co_core *core, struct co_point_row *point)
{
	const struct co_run *run = &core->next.run;
	const struct fm_agent_report *report = &core->fleet.nodes[run->first].report;

	if (!run->verified || core->state.run.verified) return NULL;
	*point = (struct co_point_row){
		.run = run->number,
		.at_ms = core->env.wall_ms(core->env.ctx),
		.tables = core->job.result.tables,
		.rows = core->job.result.rows,
		.database_bytes = core->job.result.bytes,
		.storage_bytes = report->snapshot_bytes,
		.verified = true,
	};
	FM_COPY(point->id, run->restore_point);
	FM_COPY(point->version, run->from);
	FM_COPY(point->node, run->storage_node);
	return point;
}

int
co_advance(struct co_core *core)
{
	struct co_state *draft = co_draft(core);
	struct co_turn t = co_turn_of(core, draft);
	const struct co_step *next = NULL;
	struct co_point_row point;

	if (core->step->note != NULL) core->step->note(&t);
	co_tell_event(core, "done", core->step->name, core->remark, t.wall_ms - draft->run.step_ms);
	core->remark[0] = '\0';
	draft->run.words.approved = draft->run.words.rejected = draft->run.words.ended = false;
	next = next_row(core, draft);
	if (next == NULL)
		finish(core, draft, end_of(core));
	else
		co_enter_row(core, draft, next);
	if (co_settle(core, point_of(core, &point)) != 0) return -1;
	if (next == NULL)
		ended(core);
	else
		co_entered(core, next);
	return 0;
}

int
co_turn_back(struct co_core *core, const char *back, const char *why)
{
	const struct co_step *row = co_step_find(core->procedure->recovery, back);
	struct co_state *draft = co_draft(core);
	struct co_run *run = &draft->run;

	CHECK(row != NULL);
	draft->epoch++;
	run->recovering = true;
	run->serial++;
	memset(&run->words, 0, sizeof(run->words));
	if (fm_is_empty(run->why)) FM_COPY(run->why, why);
	co_tell_event(core, "turn", core->step->name, why, 0);
	while (row->name != NULL && !applies(core, draft, row)) row++;
	CHECK(row->name != NULL);
	co_enter_row(core, draft, row);
	if (co_settle(core, NULL) != 0) return -1;
	co_entered(core, row);
	return 0;
}

static int
halt(struct co_core *core, const char *why, bool stalled)
{
	struct co_state *draft = co_draft(core);

	draft->run.state = CO_RUN_HALTED;
	draft->run.stalled = stalled;
	co_promise_nothing(draft);
	memset(&draft->run.words, 0, sizeof(draft->run.words));
	FM_COPY(draft->run.why, why);
	co_tell_event(core, "halted", core->step->name, why, 0);
	if (co_settle(core, NULL) != 0) return -1;
	if (core->job.running) core->env.job_stop(core->env.ctx);
	core->job.running = false;
	return 0;
}

static int
end_with(struct co_core *core, enum co_end end, const char *why)
{
	struct co_state *draft = co_draft(core);

	FM_COPY(draft->run.why, why);
	co_tell_event(core, "failed", core->step->name, why, 0);
	finish(core, draft, end);
	if (co_settle(core, NULL) != 0) return -1;
	ended(core);
	return 0;
}

static int
carry_on(struct co_core *core, const char *why)
{
	char text[FM_TEXT_SIZE];

	FM_COPY(text, why);
	co_draft(core);
	co_tell_event(core, "failed", core->step->name, text, 0);
	if (co_settle(core, NULL) != 0) return -1;
	return co_advance(core);
}

int
co_fail(struct co_core *core, const char *why)
{
	const struct co_step *step = core->step;
	bool stopped = core->state.run.by_operator;

	switch (step->fails) {
	case CO_REFUSE:
		return end_with(core, stopped ? CO_END_STOPPED_BY_OPERATOR : CO_END_REFUSED, why);
	case CO_CARRY_ON:
		return carry_on(core, why);
	case CO_BACK:
		if (step->back == NULL)
			return end_with(core,
					stopped ? CO_END_STOPPED_BY_OPERATOR : CO_END_ROLLED_BACK,
					why);
		return co_turn_back(core, step->back, why);
	case CO_ROLLBACK:
		if (core->config.rollback_auto || stopped)
			return co_turn_back(core, step->back, why);
		return halt(core, why, false);
	case CO_HALT:
		return halt(core, why, false);
	}
	CHECK(!"a policy that is not one");
	return -1;
}

int
co_stall(struct co_core *core, const char *why)
{
	const struct co_step *step = core->step;

	if (!co_limit_asks(step->limit) || step->fails == CO_REFUSE || step->fails == CO_CARRY_ON)
		return co_fail(core, why);
	return halt(core, why, true);
}
