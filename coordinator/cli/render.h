/* render.h - what people read: a message in, text out. Pure: no terminal, no clock, no socket. The
 * texts of a message must be clean (co_event_copy). */
#ifndef CO_CLI_RENDER_H
#define CO_CLI_RENDER_H

#include <stdio.h>

#include "coordinator/cli/words.h"
#include "schema/control.pb-c.h"

/* Whatever the event carries, except End; nothing for an empty one. */
void co_render(FILE *out, const struct co_look *look, const Fermata__ControlEvent *event);

void co_render_status(FILE *out, const struct co_look *look, const Fermata__ClusterStatus *status);
void co_render_run(FILE *out, const struct co_look *look, const Fermata__RunStatus *run);
void co_render_runs(FILE *out, const struct co_look *look, const Fermata__RunList *list);
void co_render_plan(FILE *out, const struct co_look *look, const Fermata__Plan *plan);
void co_render_findings(FILE *out, const struct co_look *look, const Fermata__Findings *findings);
void co_render_settings(FILE *out, const struct co_look *look, const Fermata__Settings *settings);

void co_render_bypass(FILE *out, const struct co_look *look, const Fermata__BypassLink *link);

/* One line of the timeline: time, step, what happened, how long it took. */
void co_render_event(FILE *out, const struct co_look *look, const Fermata__RunEvent *event);

/* "now: ..." and "next: ...". */
void co_render_end(FILE *out, const struct co_look *look, const Fermata__End *end);

/* The pieces that the live view shows too. Return dst. */
char *co_run_title(char *dst, size_t size, const Fermata__RunStatus *run);
/* "running for 41.2 s, closed for visitors 20.0 s" */
char *co_run_times(char *dst, size_t size, const Fermata__RunStatus *run, int64_t now_ms);
/* "ready", or for a node that is not connected "away". */
const char *co_node_state(const Fermata__NodeStatus *node);
/* What a node says of itself, or how long it has been silent. */
char *co_node_says(char *dst, size_t size, const Fermata__NodeStatus *node);

#endif
