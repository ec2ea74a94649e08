/* message.h - what may be done with any message of the schema, by its description: a copy that is
 * safe to print, and JSON. New fields need nothing here. */
#ifndef CO_CLI_MESSAGE_H
#define CO_CLI_MESSAGE_H

#include <stdio.h>

#include "schema/control.pb-c.h"

/* A copy in fresh memory in which every text is clean (base/clean.h). Never NULL. */
Fermata__ControlEvent *co_event_copy(const Fermata__ControlEvent *event);
void co_event_free(Fermata__ControlEvent *event);
void co_event_freep(Fermata__ControlEvent **event);

/* The message as a JSON object, every field present, enums as numbers. */
void co_json_message(FILE *out, const ProtobufCMessage *message);
void co_json_text(FILE *out, const char *text);
/* Name of the event that is set, as in the schema ("status", "end"), and its message; NULL when
 * none is. */
const char *co_event_name(const Fermata__ControlEvent *event);
const ProtobufCMessage *co_event_body(const Fermata__ControlEvent *event);

#endif
