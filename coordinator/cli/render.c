/* render.c - lists, plans, findings, settings, and the end of a command. */
#include "coordinator/cli/render.h"

#include <inttypes.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "coordinator/cli/table.h"
#include "wire/ask.h"

void
co_render_runs(FILE *out, const struct co_look *look, const Fermata__RunList *list)
{
	static const struct co_column columns[] = {
		{ "RUN", CO_RIGHT },	{ "BEGAN", CO_LEFT }, { "TOOK", CO_RIGHT },
		{ "CLOSED", CO_RIGHT }, { "HOW", CO_LEFT },   { "WHO", CO_LEFT },
		{ "COMMAND", CO_CUT },	{ NULL, CO_LEFT },
	};
	_cleanup_(co_table_freep) struct co_table *table = NULL;

	if (list->n_runs == 0) {
		fputs("no run yet\n", out);
		return;
	}
	table = co_table_new(look, columns);
	for (size_t i = 0; i < list->n_runs; i++) {
		const Fermata__RunStatus *run = list->runs[i];
		char number[24], began[32], took[32], closed[32], title[FM_TEXT_SIZE];
		const char *how = *run->end ? run->end : run->state;
		int64_t until = run->ended_ms ? run->ended_ms : look->now_ms;
		int64_t opened = run->opened_ms ? run->opened_ms : until;
		FM_FORMAT(number, "%" PRIu64, run->run);
		co_took(closed, sizeof(closed), run->closed_ms ? opened - run->closed_ms : 0);
		const char *cells[] = {
			number,
			co_date(began, sizeof(began), run->began_ms),
			co_took(took, sizeof(took), until - run->began_ms),
			closed,
			how,
			run->who,
			co_run_title(title, sizeof(title), run),
		};
		co_table_add(table, cells, 4, co_color_of(how));
	}
	co_table_print(table, out);
}

/* --- plan --------------------------------------------------------------------------------- */

static void
plan_steps(FILE *out, const struct co_look *look, Fermata__PlanStep *const *steps, size_t count)
{
	static const struct co_column columns[] = {
		{ "#", CO_RIGHT },	{ "STEP", CO_LEFT },	    { "LIMIT", CO_RIGHT },
		{ "BEFORE", CO_RIGHT }, { "IF IT FAILS", CO_LEFT }, { "WHAT", CO_CUT },
		{ NULL, CO_LEFT },
	};
	_cleanup_(co_table_freep) struct co_table *table = co_table_new(look, columns);

	for (size_t i = 0; i < count; i++) {
		char number[24], before[32];
		FM_FORMAT(number, "%" PRIu32, steps[i]->number);
		const char *cells[] = {
			number,
			steps[i]->name,
			steps[i]->limit,
			co_took(before, sizeof(before), steps[i]->expected_ms),
			steps[i]->on_failure,
			steps[i]->says,
		};
		co_table_add(table, cells, -1, CO_PLAIN);
	}
	co_table_print(table, out);
}

void
co_render_plan(FILE *out, const struct co_look *look, const Fermata__Plan *plan)
{
	char downtime[32];

	fprintf(out, "%s%s%s\n\n", co_color_begin(look, CO_STRONG),
		*plan->args ? plan->args : plan->procedure, co_color_end(look, CO_STRONG));
	plan_steps(out, look, plan->steps, plan->n_steps);
	if (plan->n_recovery) {
		fputs("\nif it has to be taken back:\n\n", out);
		plan_steps(out, look, plan->recovery, plan->n_recovery);
	}
	if (*plan->workers)
		fprintf(out,
			"\nworker nodes, started behind the first and not behind the gates: %s\n",
			plan->workers);
	if (plan->expected_downtime_ms > 0) {
		fprintf(out, "\nclosed for visitors for about %s, as before\n",
			co_took(downtime, sizeof(downtime), plan->expected_downtime_ms));
	}
	if (plan->n_refusals == 0) {
		fputs("\nnothing would refuse it now\n", out);
		return;
	}
	fputs("\nwould be refused now:\n", out);
	for (size_t i = 0; i < plan->n_refusals; i++) {
		fprintf(out, "  %s-%s %s\n", co_color_begin(look, CO_BAD),
			co_color_end(look, CO_BAD), plan->refusals[i]);
	}
}

/* --- doctor, settings, end ---------------------------------------------------------------- */

void
co_render_findings(FILE *out, const struct co_look *look, const Fermata__Findings *findings)
{
	for (size_t i = 0; i < findings->n_findings; i++) {
		const Fermata__Finding *f = findings->findings[i];
		enum co_color color = co_color_of(f->level);
		fprintf(out, "%s%-8s%s %s: %s\n", co_color_begin(look, color), f->level,
			co_color_end(look, color), f->what, f->text);
		if (*f->next) fprintf(out, "         next: %s\n", f->next);
	}
}

void
co_render_settings(FILE *out, const struct co_look *look, const Fermata__Settings *settings)
{
	const char *section = "";

	for (size_t i = 0; i < settings->n_settings; i++) {
		const Fermata__Setting *s = settings->settings[i];
		char line[FM_TEXT_SIZE];
		if (!fm_is_equal(section, s->section)) {
			fprintf(out, "%s[%s]\n", i ? "\n" : "", s->section);
			section = s->section;
		}
		/* The origin on a line of its own: a value may hold any character. */
		FM_FORMAT(line, "%s%s%s", s->key, *s->value ? " = " : " =", s->value);
		fprintf(out, "%s; %s%s\n%s\n", co_color_begin(look, CO_DIM), s->origin,
			co_color_end(look, CO_DIM), line);
	}
}

void
co_render_bypass(FILE *out, const struct co_look *look, const Fermata__BypassLink *link)
{
	char until[32];

	/* Alone on its line: it is copied, or cut out by a script. */
	fprintf(out, "%s\n", link->url);
	fprintf(out, "%suntil %s, in run %" PRIu64 ", to %s%s\n", co_color_begin(look, CO_DIM),
		co_date(until, sizeof(until), link->expires_ms), link->run,
		*link->node ? link->node : "every node", co_color_end(look, CO_DIM));
}

void
co_render_end(FILE *out, const struct co_look *look, const Fermata__End *end)
{
	enum co_color color = CO_BAD;

	if (end->code == FERMATA__EXIT_CODE__EXIT_CODE_DONE) color = CO_GOOD;
	if (end->code == FERMATA__EXIT_CODE__EXIT_CODE_DETACHED) color = CO_BUSY;
	if (*end->text) {
		fprintf(out, "%snow:%s  %s\n", co_color_begin(look, color),
			co_color_end(look, color), end->text);
	}
	if (*end->next) {
		fprintf(out, "%snext:%s %s\n", co_color_begin(look, CO_STRONG),
			co_color_end(look, CO_STRONG), end->next);
	}
}

static void
render_log(FILE *out, const Fermata__LogChunk *chunk)
{
	if (chunk->skipped)
		fprintf(out, "%s | (%" PRIu64 " bytes of output are gone)\n", chunk->node,
			chunk->skipped);
	for (size_t i = 0; i < chunk->n_lines; i++)
		fprintf(out, "%s | %s\n", chunk->node, chunk->lines[i]);
	if (*chunk->fault) fprintf(out, "%s | (no output: %s)\n", chunk->node, chunk->fault);
}

void
co_render(FILE *out, const struct co_look *look, const Fermata__ControlEvent *event)
{
	switch (event->what_case) {
	case FERMATA__CONTROL_EVENT__WHAT_STATUS:
		co_render_status(out, look, event->status);
		return;
	case FERMATA__CONTROL_EVENT__WHAT_EVENT:
		co_render_event(out, look, event->event);
		return;
	case FERMATA__CONTROL_EVENT__WHAT_RUN:
		co_render_run(out, look, event->run);
		return;
	case FERMATA__CONTROL_EVENT__WHAT_PLAN:
		co_render_plan(out, look, event->plan);
		return;
	case FERMATA__CONTROL_EVENT__WHAT_RUNS:
		co_render_runs(out, look, event->runs);
		return;
	case FERMATA__CONTROL_EVENT__WHAT_FINDINGS:
		co_render_findings(out, look, event->findings);
		return;
	case FERMATA__CONTROL_EVENT__WHAT_SETTINGS:
		co_render_settings(out, look, event->settings);
		return;
	case FERMATA__CONTROL_EVENT__WHAT_BYPASS:
		co_render_bypass(out, look, event->bypass);
		return;
	case FERMATA__CONTROL_EVENT__WHAT_EVENTS:
		if (event->events->n_events) fputc('\n', out);
		for (size_t i = 0; i < event->events->n_events; i++) {
			co_render_event(out, look, event->events->events[i]);
		}
		return;
	case FERMATA__CONTROL_EVENT__WHAT_LOG:
		render_log(out, event->log);
		return;
	case FERMATA__CONTROL_EVENT__WHAT_END:
	case FERMATA__CONTROL_EVENT__WHAT__NOT_SET:
	case _FERMATA__CONTROL_EVENT__WHAT__CASE_IS_INT_SIZE:
		return;
	}
}
