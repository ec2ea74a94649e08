/* output.h - where what we hear goes: data to standard output, progress to standard error; as
 * tables, lines, a view drawn in place, or JSON. */
#ifndef CO_CLI_OUTPUT_H
#define CO_CLI_OUTPUT_H

#include <stdbool.h>

#include "schema/control.pb-c.h"

/* What the command is: one answer, a run to follow, the cluster to watch. */
enum co_way { CO_WAY_ANSWER, CO_WAY_FOLLOW, CO_WAY_WATCH };

struct co_output;

struct co_output *co_output_new(enum co_way way, bool json, bool no_color);
void co_output_freep(struct co_output **output);

/* Takes the event, which must be clean (co_event_copy). Never End. */
void co_output_event(struct co_output *output, Fermata__ControlEvent *event);
/* A sentence about ourselves ("lost the coordinator ..."); NULL: no longer so. */
void co_output_notice(struct co_output *output, const char *notice);
/* Time has passed, or the terminal changed: draws again if something is drawn. */
void co_output_tick(struct co_output *output);
/* The last word. Returns false when standard output could not be written. */
bool co_output_end(struct co_output *output, const Fermata__End *end);

#endif
