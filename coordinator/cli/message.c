/* message.c - copying, cleaning and printing messages by their description. */
#include "coordinator/cli/message.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clean.h"
#include "base/cleanup.h"

static bool
is_list(const ProtobufCFieldDescriptor *field)
{
	return field->label == PROTOBUF_C_LABEL_REPEATED;
}

static void *
member(const ProtobufCMessage *message, unsigned offset)
{
	return (char *)(uintptr_t)message + offset;
}

/* Whether the field is there: a oneof's other members lie in the same place. */
static bool
is_set(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	if (!(field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)) return true;
	return *(const uint32_t *)member(message, field->quantifier_offset) == field->id;
}

static void
clean_message(ProtobufCMessage *message)
{
	for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
		if (!is_set(message, field)) continue;
		void *at = member(message, field->offset);
		size_t count = 1;
		void **values = at;
		if (is_list(field)) {
			count = *(size_t *)member(message, field->quantifier_offset);
			values = *(void ***)at;
		}
		if (field->type == PROTOBUF_C_TYPE_STRING) {
			for (size_t n = 0; n < count; n++) {
				if (values[n]) fm_clean(values[n]);
			}
		} else if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
			for (size_t n = 0; n < count; n++) {
				if (values[n]) clean_message(values[n]);
			}
		}
	}
}

Fermata__ControlEvent *
co_event_copy(const Fermata__ControlEvent *event)
{
	size_t size = fermata__control_event__get_packed_size(event);
	_cleanup_free_ uint8_t *bytes = fm_new(uint8_t, size + 1);

	fermata__control_event__pack(event, bytes);
	Fermata__ControlEvent *copy = fermata__control_event__unpack(NULL, size, bytes);
	CHECK(copy);
	clean_message(&copy->base);
	return copy;
}

void
co_event_free(Fermata__ControlEvent *event)
{
	if (event) fermata__control_event__free_unpacked(event, NULL);
}

void
co_event_freep(Fermata__ControlEvent **event)
{
	co_event_free(*event);
	*event = NULL;
}

/* --- JSON --------------------------------------------------------------------------------- */

void
co_json_text(FILE *out, const char *text)
{
	fputc('"', out);
	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
		if (*c == '"' || *c == '\\')
			fprintf(out, "\\%c", *c);
		else if (*c == '\n')
			fputs("\\n", out);
		else if (*c < 0x20)
			fprintf(out, "\\u%04x", *c);
		else
			fputc(*c, out);
	}
	fputc('"', out);
}

static void
json_value(FILE *out, const ProtobufCFieldDescriptor *field, const void *value)
{
	/* -Wswitch-enum names every type that the schema could use one day. */
	switch (field->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_ENUM:
		fprintf(out, "%" PRId32, *(const int32_t *)value);
		return;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		fprintf(out, "%" PRIu32, *(const uint32_t *)value);
		return;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		fprintf(out, "%" PRId64, *(const int64_t *)value);
		return;
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		fprintf(out, "%" PRIu64, *(const uint64_t *)value);
		return;
	case PROTOBUF_C_TYPE_BOOL:
		fputs(*(const protobuf_c_boolean *)value ? "true" : "false", out);
		return;
	case PROTOBUF_C_TYPE_STRING:
		co_json_text(out, *(char *const *)value);
		return;
	case PROTOBUF_C_TYPE_MESSAGE: {
		const ProtobufCMessage *inner = *(ProtobufCMessage *const *)value;
		if (inner)
			co_json_message(out, inner);
		else
			fputs("null", out);
		return;
	}
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_DOUBLE:
	case PROTOBUF_C_TYPE_BYTES:
		CHECK(!"the control messages have no such field");
	}
}

static size_t
size_of(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return 8;
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_ENUM:
	case PROTOBUF_C_TYPE_BOOL:
	case PROTOBUF_C_TYPE_FLOAT:
		return 4;
	}
	return 0;
}

static void
json_list(FILE *out, const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	size_t count = *(const size_t *)member(message, field->quantifier_offset);
	const char *at = *(char *const *)member(message, field->offset);

	fputc('[', out);
	for (size_t n = 0; n < count; n++) {
		if (n) fputs(", ", out);
		json_value(out, field, at + n * size_of(field->type));
	}
	fputc(']', out);
}

void
co_json_message(FILE *out, const ProtobufCMessage *message)
{
	const char *comma = "";

	fputc('{', out);
	for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
		fprintf(out, "%s\"%s\": ", comma, field->name);
		comma = ", ";
		if (is_list(field))
			json_list(out, message, field);
		else
			json_value(out, field, member(message, field->offset));
	}
	fputc('}', out);
}

static const ProtobufCFieldDescriptor *
event_field(const Fermata__ControlEvent *event)
{
	if (event->what_case == FERMATA__CONTROL_EVENT__WHAT__NOT_SET) return NULL;
	return protobuf_c_message_descriptor_get_field(event->base.descriptor,
						       (unsigned)event->what_case);
}

const char *
co_event_name(const Fermata__ControlEvent *event)
{
	const ProtobufCFieldDescriptor *field = event_field(event);

	return field ? field->name : NULL;
}

const ProtobufCMessage *
co_event_body(const Fermata__ControlEvent *event)
{
	const ProtobufCFieldDescriptor *field = event_field(event);

	return field ? *(ProtobufCMessage *const *)member(&event->base, field->offset) : NULL;
}
