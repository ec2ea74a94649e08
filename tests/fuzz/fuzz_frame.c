/* fuzz_frame.c - frames from a peer: first byte its role, then head and body as they would come. What
 * is accepted is converted, packed again, and must come back the same. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "wire/convert.h"
#include "wire/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Unpacks a frame that we have packed ourselves, which cannot fail. Takes the frame. */
static Fermata__Envelope *
again(uint8_t *frame, size_t size, Fermata__Role role)
{
	_cleanup_free_ uint8_t *own = frame;
	Fermata__Envelope *e;
	struct fm_err err;
	size_t body;

	CHECK(fm_frame_head(own, role, &body, &err) == 0);
	CHECK(body == size - FM_FRAME_HEAD);
	e = fm_frame_unpack(own + FM_FRAME_HEAD, body, role, &err);
	CHECK(e != NULL);
	return e;
}

#define ROUND_TRIP(type, field, role)                                            \
	do {                                                                     \
		struct fm_##type first, second;                                  \
		Fermata__Envelope *e;                                            \
		size_t packed;                                                   \
                                                                                 \
		if (fm_##type##_from(envelope->field, &first, &err) < 0) return; \
		{                                                                \
			uint8_t *frame = fm_##type##_pack(&first, &packed);      \
                                                                                 \
			e = again(frame, packed, role);                          \
		}                                                                \
		CHECK(fm_##type##_from(e->field, &second, &err) == 0);           \
		CHECK(memcmp(&first, &second, sizeof first) == 0);               \
		fm_envelope_free(e);                                             \
	} while (0)

static void
convert(const Fermata__Envelope *envelope)
{
	struct fm_err err;

	CHECK(strcmp(fm_body_name((int)envelope->body_case), "unknown") != 0);
	if (envelope->body_case == FERMATA__ENVELOPE__BODY_AGENT_ASK)
		ROUND_TRIP(agent_ask, agent_ask, FERMATA__ROLE__ROLE_COORDINATOR);
	else if (envelope->body_case == FERMATA__ENVELOPE__BODY_AGENT_REPORT)
		ROUND_TRIP(agent_report, agent_report, FERMATA__ROLE__ROLE_AGENT);
	else if (envelope->body_case == FERMATA__ENVELOPE__BODY_GATE_ASK)
		ROUND_TRIP(gate_ask, gate_ask, FERMATA__ROLE__ROLE_COORDINATOR);
	else if (envelope->body_case == FERMATA__ENVELOPE__BODY_GATE_REPORT)
		ROUND_TRIP(gate_report, gate_report, FERMATA__ROLE__ROLE_GATE);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(fm_envelope_freep) Fermata__Envelope *envelope = NULL;
	struct fm_err err;
	Fermata__Role role;
	size_t body;

	if (size < 1 + FM_FRAME_HEAD) return 0;
	role = (Fermata__Role)(data[0] % 7); /* one more than there are */
	data++;
	size--;
	if (fm_frame_head(data, role, &body, &err) == 0) CHECK(body <= fm_frame_limit(role));
	/* The length is tested above; the rest is the body whatever it said, or it would be all that
	 * a fuzzer finds. */
	envelope = fm_frame_unpack(data + FM_FRAME_HEAD, size - FM_FRAME_HEAD, role, &err);
	if (envelope) convert(envelope);
	return 0;
}
