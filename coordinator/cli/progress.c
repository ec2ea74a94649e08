/* progress.c - a run as its events move it on. */
#include "coordinator/cli/progress.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

/* Texts of an unpacked message are malloc()ed, or the one empty text of protobuf-c. */
static void
set_text(char **place, const char *text)
{
	if (*place != (const char *)protobuf_c_empty_string) free(*place);
	*place = fm_strdup(text);
}

/* How many rows have begun; those that are pending come after them. */
static size_t
begun(const Fermata__RunStatus *run)
{
	size_t n = run->n_steps;

	while (n > 0 && strcmp(run->steps[n - 1]->state, "pending") == 0) n--;
	return n;
}

/* A row of this name at this place: the next pending one (what lies before it was left out), or a
 * new one. */
static Fermata__StepStatus *
next_row(Fermata__RunStatus *run, size_t at, const char *name)
{
	size_t next = at;

	while (next < run->n_steps && strcmp(run->steps[next]->name, name) != 0) next++;
	if (next < run->n_steps) {
		for (size_t i = at; i < next; i++) set_text(&run->steps[i]->state, "skipped");
		return run->steps[next];
	}
	Fermata__StepStatus **rows = fm_new(Fermata__StepStatus *, run->n_steps + 1);
	Fermata__StepStatus *row = fm_new(Fermata__StepStatus, 1);
	fermata__step_status__init(row);
	set_text(&row->name, name);
	for (size_t i = 0; i < run->n_steps; i++) rows[i < at ? i : i + 1] = run->steps[i];
	rows[at] = row;
	free(run->steps);
	run->steps = rows;
	run->n_steps++;
	return row;
}

static void
begin_row(Fermata__RunStatus *run, const Fermata__RunEvent *event)
{
	size_t at = begun(run);
	Fermata__StepStatus *row = at ? run->steps[at - 1] : NULL;

	/* After a restart or a retry the row that was at work begins again. */
	if (row && strcmp(row->name, event->step) != 0 && strcmp(row->state, "running") == 0) {
		set_text(&row->state, "done");
	}
	if (!row || strcmp(row->state, "done") == 0 || strcmp(row->name, event->step) != 0) {
		row = next_row(run, at, event->step);
	}
	set_text(&row->state, "running");
	set_text(&row->says, event->text);
	set_text(&row->why, "");
	set_text(&row->waiting_for, "");
	row->began_ms = event->at_ms;
	set_text(&run->state, strcmp(event->kind, "held") == 0 ? "held" : "running");
}

/* The rows that will not come any more, because the run has turned. */
static void
drop_pending(Fermata__RunStatus *run)
{
	for (size_t kept = begun(run); run->n_steps > kept; run->n_steps--) {
		fermata__step_status__free_unpacked(run->steps[run->n_steps - 1], NULL);
	}
}

static void
end_row(Fermata__StepStatus *row, const Fermata__RunEvent *event, bool good)
{
	set_text(&row->state, good ? "done" : "failed");
	set_text(&row->waiting_for, "");
	if (good) row->took_ms = event->took_ms;
	if (!good || *event->text) set_text(&row->why, event->text);
}

void
co_progress(Fermata__RunStatus *run, const Fermata__RunEvent *event)
{
	static const char *const begins[] = { "step", "held" };
	static const char *const fails[] = { "turn", "failed", "halted" };
	bool is_begin = false, is_failure = false;

	for (size_t i = 0; i < 2; i++) is_begin = is_begin || !strcmp(begins[i], event->kind);
	for (size_t i = 0; i < 3; i++) is_failure = is_failure || !strcmp(fails[i], event->kind);
	if (is_begin) {
		begin_row(run, event);
		return;
	}
	size_t at = begun(run);
	Fermata__StepStatus *row = at ? run->steps[at - 1] : NULL;
	if (row && strcmp(event->kind, "waiting") == 0) set_text(&row->waiting_for, event->text);
	if (row && strcmp(event->kind, "done") == 0) end_row(row, event, true);
	if (row && is_failure) end_row(row, event, false);
	if (is_failure && fm_is_empty(run->why)) set_text(&run->why, event->text);
	if (strcmp(event->kind, "turn") == 0) drop_pending(run);
	if (strcmp(event->kind, "halted") == 0) set_text(&run->state, "halted");
	if (strcmp(event->kind, "end") == 0) {
		set_text(&run->state, "ended");
		set_text(&run->end, event->text);
		run->ended_ms = event->at_ms;
	}
}
