#include <string.h>

#include "base/cleanup.h"
#include "test.h"
#include "wire/frame.h"

#define NONE FERMATA__ROLE__ROLE_NONE
#define AGENT FERMATA__ROLE__ROLE_AGENT
#define GATE FERMATA__ROLE__ROLE_GATE
#define ROLES 6

static uint8_t *
pack_heartbeat(size_t *size)
{
	Fermata__Heartbeat beat = FERMATA__HEARTBEAT__INIT;
	Fermata__Envelope envelope = FERMATA__ENVELOPE__INIT;

	beat.count = 300;
	envelope.body_case = FERMATA__ENVELOPE__BODY_HEARTBEAT;
	envelope.heartbeat = &beat;
	return fm_frame_pack(&envelope, size);
}

static void
test_a_frame_comes_back_as_it_was(void **state)
{
	_cleanup_(fm_envelope_freep) Fermata__Envelope *back = NULL;
	_cleanup_free_ uint8_t *frame = NULL;
	struct fm_err err;
	size_t size, body;

	(void)state;
	frame = pack_heartbeat(&size);
	assert_int_equal(fm_frame_head(frame, AGENT, &body, &err), 0);
	assert_int_equal(body, size - FM_FRAME_HEAD);
	back = fm_frame_unpack(frame + FM_FRAME_HEAD, body, AGENT, &err);
	assert_non_null(back);
	assert_int_equal(back->body_case, FERMATA__ENVELOPE__BODY_HEARTBEAT);
	assert_int_equal(back->heartbeat->count, 300);
}

static void
test_a_length_is_checked_against_the_role(void **state)
{
	static const uint8_t huge[] = { 0xff, 0xff, 0xff, 0xff }, empty[] = { 0, 0, 0, 0 };
	struct fm_err err;
	size_t size = 7;

	(void)state;
	for (int role = 0; role < ROLES; role++) {
		size_t limit = fm_frame_limit((Fermata__Role)role);
		uint8_t head[4] = { (uint8_t)(limit >> 24), (uint8_t)(limit >> 16),
				    (uint8_t)(limit >> 8), (uint8_t)limit };

		assert_int_equal(fm_frame_head(head, (Fermata__Role)role, &size, &err), 0);
		assert_int_equal(size, limit);
		limit++;
		for (int i = 0; i < 4; i++) head[i] = (uint8_t)(limit >> (24 - 8 * i));
		assert_int_equal(fm_frame_head(head, (Fermata__Role)role, &size, &err), -1);
		assert_int_equal(err.kind, FM_ERR_LIMIT);
		assert_int_equal(fm_frame_head(huge, (Fermata__Role)role, &size, &err), -1);
		assert_int_equal(fm_frame_head(empty, (Fermata__Role)role, &size, &err), -1);
		assert_int_equal(err.kind, FM_ERR_PEER);
	}
	assert_true(fm_frame_limit(NONE) <= 4096);
	assert_int_equal(fm_frame_limit((Fermata__Role)77), fm_frame_limit(NONE));
}

/* Written out a second time on purpose: a right that changes is to be seen in a review. */
static void
test_the_table_of_rights(void **state)
{
	static const struct {
		int body;
		const char *name, *roles;
	} rows[] = {
		{ 1, "HELLO", "N" },
		{ 2, "WELCOME", "C" },
		{ 3, "HEARTBEAT", "AGOC" },
		{ 4, "GOODBYE", "NAGOC" },
		{ 10, "AGENT_ASK", "C" },
		{ 11, "AGENT_REPORT", "A" },
		{ 20, "GATE_ASK", "C" },
		{ 21, "GATE_REPORT", "G" },
		{ 30, "CONTROL_REQUEST", "O" },
		{ 31, "CONTROL_EVENT", "C" },
		{ 40, "JOB_ORDER", "C" },
		{ 41, "JOB_REPORT", "J" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		/* field number, length-delimited, empty */
		uint8_t body[3] = { (uint8_t)(rows[i].body << 3 | 2), 0, 0 };
		size_t size = 2;

		if (rows[i].body >= 16) {
			body[0] = (uint8_t)((rows[i].body << 3 | 2) & 0x7f) | 0x80;
			body[1] = (uint8_t)((rows[i].body << 3) >> 7);
			size = 3;
		}
		assert_string_equal(fm_body_name(rows[i].body), rows[i].name);
		for (int role = 0; role < ROLES; role++) {
			struct fm_err err = { 0 };
			Fermata__Envelope *e = fm_frame_unpack(body, size, (Fermata__Role)role,
							       &err);

			assert_int_equal(e != NULL, strchr(rows[i].roles, "NAGOCJ"[role]) != NULL);
			if (!e) assert_int_equal(err.kind, FM_ERR_REFUSED);
			fm_envelope_free(e);
		}
	}
}

static void
test_what_is_no_envelope_is_refused(void **state)
{
	static const uint8_t unknown[] = { 0xa2, 0x06, 0x00 }; /* field 100 */
	static const uint8_t garbage[] = "GET / HTTP/1.1\r\n\r\n";
	struct fm_err err;

	(void)state;
	assert_null(fm_frame_unpack(unknown, sizeof unknown, AGENT, &err));
	assert_string_equal(err.text, "unknown message 100");
	assert_null(fm_frame_unpack(garbage, sizeof garbage - 1, AGENT, &err));
	assert_int_equal(err.kind, FM_ERR_PEER);
	assert_null(fm_frame_unpack(garbage, 0, AGENT, &err));
	assert_string_equal(err.text, "envelope without a message");
	assert_string_equal(fm_body_name(99), "unknown");
}

static void
test_a_small_frame_cannot_take_much_memory(void **state)
{
	uint8_t body[5 + 2 * 15000];
	struct fm_err err;
	size_t n = 0;

	(void)state;
	/* GATE_REPORT with nodes and nodes, each empty: two bytes for a struct of many. */
	body[n++] = 0xaa;
	body[n++] = 0x01;
	body[n++] = (uint8_t)((sizeof body - 5) & 0x7f) | 0x80;
	body[n++] = (uint8_t)((sizeof body - 5) >> 7 & 0x7f) | 0x80;
	body[n++] = (uint8_t)((sizeof body - 5) >> 14);
	while (n < sizeof body) {
		body[n++] = 6 << 3 | 2;
		body[n++] = 0;
	}
	assert_null(fm_frame_unpack(body, n, GATE, &err));
	assert_int_equal(err.kind, FM_ERR_PEER);
}

static void
test_every_cut_and_every_flipped_byte_is_survived(void **state)
{
	_cleanup_free_ uint8_t *frame = NULL;
	Fermata__Hello hello = FERMATA__HELLO__INIT;
	Fermata__Envelope envelope = FERMATA__ENVELOPE__INIT;
	struct fm_err err;
	size_t size;

	(void)state;
	hello.name = (char *)(uintptr_t) "app1";
	hello.program = (char *)(uintptr_t) "fermata-agent 0.1";
	hello.epoch = 1234567;
	envelope.body_case = FERMATA__ENVELOPE__BODY_HELLO;
	envelope.hello = &hello;
	frame = fm_frame_pack(&envelope, &size);
	for (size_t cut = 1; cut < size - FM_FRAME_HEAD; cut++)
		assert_null(fm_frame_unpack(frame + FM_FRAME_HEAD, cut, NONE, &err));
	for (size_t at = FM_FRAME_HEAD; at < size; at++)
		for (int bit = 0; bit < 8; bit++) {
			frame[at] ^= (uint8_t)(1 << bit);
			fm_envelope_free(fm_frame_unpack(frame + FM_FRAME_HEAD,
							 size - FM_FRAME_HEAD, NONE, &err));
			frame[at] ^= (uint8_t)(1 << bit);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_frame_comes_back_as_it_was),
		cmocka_unit_test(test_a_length_is_checked_against_the_role),
		cmocka_unit_test(test_the_table_of_rights),
		cmocka_unit_test(test_what_is_no_envelope_is_refused),
		cmocka_unit_test(test_a_small_frame_cannot_take_much_memory),
		cmocka_unit_test(test_every_cut_and_every_flipped_byte_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
