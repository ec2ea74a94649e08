#include "wire/frame.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/cleanup.h"

#define ROLE_COUNT 6

/* The longest frame of each role. A Hello is a few names; a report of an agent is a dozen texts
 * and two lists; the coordinator answers the CLI with whole timelines. */
static const size_t limits[ROLE_COUNT] = {
	[FERMATA__ROLE__ROLE_NONE] = 4 << 10,	     [FERMATA__ROLE__ROLE_AGENT] = 64 << 10,
	[FERMATA__ROLE__ROLE_GATE] = 32 << 10,	     [FERMATA__ROLE__ROLE_OPERATOR] = 32 << 10,
	[FERMATA__ROLE__ROLE_COORDINATOR] = 2 << 20, [FERMATA__ROLE__ROLE_JOB] = 32 << 10,
};

static const struct {
	int body;
	const char *name;
	bool may_send[ROLE_COUNT];
} messages[] = {
#define FM_MESSAGE(body, ...) { FERMATA__ENVELOPE__BODY_##body, #body, { __VA_ARGS__ } },
#include "wire/messages.def"
#undef FM_MESSAGE
};

#define MESSAGE_COUNT (sizeof messages / sizeof messages[0])

static const char *
role_name(Fermata__Role role)
{
	static const char *const names[ROLE_COUNT] = {
		"a peer without Hello", "an agent",	 "a gate",
		"an operator",		"a coordinator", "a job",
	};

	return (unsigned)role < ROLE_COUNT ? names[role] : "an unknown role";
}

size_t
fm_frame_limit(Fermata__Role role)
{
	return (unsigned)role < ROLE_COUNT ? limits[role] : limits[FERMATA__ROLE__ROLE_NONE];
}

int
fm_frame_head(const uint8_t head[FM_FRAME_HEAD], Fermata__Role role, size_t *ret_size,
	      struct fm_err *err)
{
	size_t size = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 |
		      head[3];

	if (size == 0) return fm_fail(err, FM_ERR_PEER, 0, "empty frame");
	if (size > fm_frame_limit(role))
		return fm_fail(err, FM_ERR_LIMIT, 0, "frame of %zu bytes, %s may send %zu", size,
			       role_name(role), fm_frame_limit(role));
	*ret_size = size;
	return 0;
}

/* What unpacking may still take: a message of many tiny parts needs much more memory than it has
 * bytes, and a peer must not choose how much. */
struct budget {
	size_t left;
};

static void *
take_memory(void *arg, size_t size)
{
	struct budget *budget = arg;

	if (size > budget->left) return NULL;
	budget->left -= size;
	return malloc(size);
}

static void
give_memory(void *arg, void *p)
{
	(void)arg;
	free(p);
}

static int
check_right(const Fermata__Envelope *envelope, Fermata__Role role, struct fm_err *err)
{
	for (size_t i = 0; i < MESSAGE_COUNT; i++) {
		if (messages[i].body != (int)envelope->body_case) continue;
		if ((unsigned)role < ROLE_COUNT && messages[i].may_send[role]) return 0;
		return fm_fail(err, FM_ERR_REFUSED, 0, "%s may not send %s", role_name(role),
			       messages[i].name);
	}
	if (envelope->base.n_unknown_fields > 0)
		return fm_fail(err, FM_ERR_PEER, 0, "unknown message %u",
			       (unsigned)envelope->base.unknown_fields[0].tag);
	return fm_fail(err, FM_ERR_PEER, 0, "envelope without a message");
}

Fermata__Envelope *
fm_frame_unpack(const uint8_t *body, size_t size, Fermata__Role role, struct fm_err *err)
{
	struct budget budget = { .left = 64 * 1024 + 16 * size };
	ProtobufCAllocator memory = { take_memory, give_memory, &budget };
	_cleanup_(fm_envelope_freep) Fermata__Envelope *envelope = NULL;

	if (size <= fm_frame_limit(role)) envelope = fermata__envelope__unpack(&memory, size, body);
	if (!envelope) {
		(void)fm_fail(err, FM_ERR_PEER, 0, "%zu bytes that are no envelope", size);
		return NULL;
	}
	if (check_right(envelope, role, err) < 0) return NULL;
	return TAKE(envelope);
}

void
fm_envelope_free(Fermata__Envelope *envelope)
{
	if (envelope) fermata__envelope__free_unpacked(envelope, NULL);
}

void
fm_envelope_freep(Fermata__Envelope **envelope)
{
	fm_envelope_free(*envelope);
}

uint8_t *
fm_frame_pack(const Fermata__Envelope *envelope, size_t *ret_size)
{
	size_t size = fermata__envelope__get_packed_size(envelope);
	uint8_t *frame;

	CHECK(size > 0 && size <= UINT32_MAX);
	frame = fm_new(uint8_t, FM_FRAME_HEAD + size);
	for (unsigned i = 0; i < FM_FRAME_HEAD; i++)
		frame[i] = (uint8_t)(size >> (8 * (FM_FRAME_HEAD - 1 - i)));
	CHECK(fermata__envelope__pack(envelope, frame + FM_FRAME_HEAD) == size);
	*ret_size = FM_FRAME_HEAD + size;
	return frame;
}

const char *
fm_body_name(int body_case)
{
	for (size_t i = 0; i < MESSAGE_COUNT; i++)
		if (messages[i].body == body_case) return messages[i].name;
	return "unknown";
}
