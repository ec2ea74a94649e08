/* render_run.c - a run: its title, its steps, its timeline. */
#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "coordinator/cli/render.h"
#include "coordinator/cli/table.h"
#include "wire/ask.h"

char *
co_run_title(char *dst, size_t size, const Fermata__RunStatus *run)
{
	size_t n = strlen(run->procedure);

	/* "upgrade --to 2.2.16" is typed so; a procedure that a command begins under another name
	 * ("maintenance end") is shown as typed. */
	if (*run->args && strncmp(run->args, run->procedure, n) == 0) {
		(void)fm_copy(dst, size, run->args);
	} else if (*run->args && *run->args != '-') {
		(void)fm_copy(dst, size, run->args);
	} else {
		(void)fm_format(dst, size, "%s%s%s", run->procedure, *run->args ? " " : "",
				run->args);
	}
	return dst;
}

char *
co_run_times(char *dst, size_t size, const Fermata__RunStatus *run, int64_t now_ms)
{
	int64_t until = run->ended_ms ? run->ended_ms : now_ms;
	char took[32];

	(void)fm_format(dst, size, "%s%s%s", *run->end ? run->end : run->state,
			run->ended_ms ? " after " : " for ",
			fm_format_duration(took, sizeof(took), until - run->began_ms));
	if (run->closed_ms) {
		int64_t opened = run->opened_ms ? run->opened_ms : until;
		(void)fm_append(dst, size, ", closed for visitors %s",
				fm_format_duration(took, sizeof(took), opened - run->closed_ms));
	}
	return dst;
}

static void
line(FILE *out, const char *name, const char *text)
{
	if (*text) fprintf(out, "  %-14s %s\n", name, text);
}

static void
steps(FILE *out, const struct co_look *look, const Fermata__RunStatus *run)
{
	static const struct co_column columns[] = {
		{ "STEP", CO_LEFT },  { "STATE", CO_LEFT }, { "BEGAN", CO_LEFT },
		{ "TOOK", CO_RIGHT }, { "WHAT", CO_CUT },   { NULL, CO_LEFT },
	};
	_cleanup_(co_table_freep) struct co_table *table = co_table_new(look, columns);

	for (size_t i = 0; i < run->n_steps; i++) {
		const Fermata__StepStatus *s = run->steps[i];
		char began[16], took[32];
		const char *cells[] = {
			s->name,
			s->state,
			co_clock(began, sizeof(began), s->began_ms),
			co_took(took, sizeof(took), s->took_ms),
			*s->why ? s->why : s->says,
		};
		co_table_add(table, cells, 1, co_color_of(s->state));
	}
	co_table_print(table, out);
}

void
co_render_run(FILE *out, const struct co_look *look, const Fermata__RunStatus *run)
{
	char text[FM_TEXT_SIZE], date[32];

	fprintf(out, "%srun %" PRIu64 ": %s%s\n", co_color_begin(look, CO_STRONG), run->run,
		co_run_title(text, sizeof(text), run), co_color_end(look, CO_STRONG));
	FM_FORMAT(text, "%s%s%s", co_date(date, sizeof(date), run->began_ms),
		  *run->who ? " by " : "", run->who);
	line(out, "began", text);
	line(out, "state", co_run_times(text, sizeof(text), run, look->now_ms));
	line(out, "restore point", run->restore_point);
	line(out, "failed first", run->why);
	line(out, "now", run->text);
	line(out, "next", run->next);
	if (run->n_steps == 0) return;
	fputc('\n', out);
	steps(out, look, run);
}

void
co_render_event(FILE *out, const struct co_look *look, const Fermata__RunEvent *event)
{
	char clock[16], took[32];
	enum co_color color = co_color_of(event->kind);

	if (strcmp(event->kind, "turn") == 0) color = CO_BAD;
	fprintf(out, "%s  %-14s %s%-8s%s %s", co_clock(clock, sizeof(clock), event->at_ms),
		*event->step ? event->step : "-", co_color_begin(look, color), event->kind,
		co_color_end(look, color), event->text);
	if (event->took_ms > 0) {
		fprintf(out, "%s(%s)", *event->text ? " " : "",
			co_took(took, sizeof(took), event->took_ms));
	}
	fputc('\n', out);
}
