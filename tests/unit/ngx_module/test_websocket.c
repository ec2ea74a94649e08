/* Frames of a websocket: what is obeyed, what is thrown away, and what ends it. */
#include "tests/unit/test.h"

#include <string.h>

#include "ngx_module/fm_websocket.h"

#define BUDGET 1000

static const uint8_t mask[4] = { 0x37, 0xfa, 0x21, 0x3d };

struct made {
	size_t size;
	uint8_t data[4096];
};

/* A frame of a client: length is what its head says of a payload of size bytes of 'x'. */
static void
add_frame(struct made *made, unsigned first, uint64_t length, size_t size)
{
	uint8_t *p = made->data + made->size;

	*p++ = (uint8_t)first;
	if (length < 126) {
		*p++ = (uint8_t)(0x80 | length);
	} else if (length <= UINT16_MAX) {
		*p++ = 0x80 | 126;
		*p++ = (uint8_t)(length >> 8);
		*p++ = (uint8_t)length;
	} else {
		*p++ = 0x80 | 127;
		for (int shift = 56; shift >= 0; shift -= 8) *p++ = (uint8_t)(length >> shift);
	}
	memcpy(p, mask, sizeof(mask));
	p += sizeof(mask);
	for (size_t i = 0; i < size; i++) *p++ = (uint8_t)('x' ^ mask[i % 4]);
	made->size = (size_t)(p - made->data);
}

static enum fm_websocket_event
read_all(struct fm_websocket *ws, const struct made *made, size_t *used)
{
	fm_websocket_init(ws, BUDGET);
	return fm_websocket_read(ws, made->data, made->size, used);
}

static void
expect_fault(const struct made *made, unsigned code)
{
	struct fm_websocket ws;
	size_t used;

	assert_int_equal(read_all(&ws, made, &used), FM_WEBSOCKET_FAULT);
	assert_int_equal(ws.code, code);
}

static void
expect_fault_of_frame(unsigned first, uint64_t length, size_t size, unsigned code)
{
	struct made made = { 0 };

	add_frame(&made, first, length, size);
	expect_fault(&made, code);
}

static void
test_the_example_of_the_standard(void **state)
{
	/* RFC 6455, 5.7: a masked "Hello", as a pong */
	static const uint8_t hello[] = { 0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d,
					 0x7f, 0x9f, 0x4d, 0x51, 0x58 };
	struct fm_websocket ws;
	size_t used;

	(void)state;
	fm_websocket_init(&ws, BUDGET);
	assert_int_equal(fm_websocket_read(&ws, hello, sizeof(hello), &used), FM_WEBSOCKET_PONG);
	assert_int_equal(used, sizeof(hello));
	assert_int_equal(ws.control_size, 5);
	assert_memory_equal(ws.control, "Hello", 5);
}

static void
test_data_is_thrown_away_and_pings_are_kept(void **state)
{
	struct made made = { 0 };
	struct fm_websocket ws;
	size_t used;

	(void)state;
	add_frame(&made, 0x01, 200, 200); /* a message in parts, with a ping between them */
	add_frame(&made, 0x89, 3, 3);
	add_frame(&made, 0x80, 0, 0);
	add_frame(&made, 0x82, 125, 125);
	assert_int_equal(read_all(&ws, &made, &used), FM_WEBSOCKET_PING);
	assert_int_equal(ws.control_size, 3);
	assert_memory_equal(ws.control, "xxx", 3);
	assert_int_equal(fm_websocket_read(&ws, made.data + used, made.size - used, &used),
			 FM_WEBSOCKET_MORE);
	assert_false(ws.in_message);
	assert_int_equal(ws.budget, BUDGET - made.size);
}

static void
test_cut_anywhere_it_is_the_same(void **state)
{
	struct made made = { 0 };
	struct fm_websocket ws;

	(void)state;
	add_frame(&made, 0x81, 300, 300);
	add_frame(&made, 0x89, 0, 0);
	add_frame(&made, 0x89, 125, 125);
	for (size_t part = 1; part < made.size; part++) {
		size_t at = 0, used, pings = 0;

		fm_websocket_init(&ws, BUDGET);
		while (at < made.size) {
			size_t now = part < made.size - at ? part : made.size - at;
			enum fm_websocket_event event = fm_websocket_read(&ws, made.data + at, now,
									  &used);

			assert_true(event == FM_WEBSOCKET_MORE || event == FM_WEBSOCKET_PING);
			pings += event == FM_WEBSOCKET_PING;
			at += used;
		}
		assert_int_equal(pings, 2);
		assert_int_equal(ws.control_size, 125);
	}
}

static void
test_what_the_standard_forbids(void **state)
{
	struct made made = { .size = 2, .data = { 0x81, 0x01 } };

	(void)state;
	expect_fault(&made, FM_WEBSOCKET_PROTOCOL);		      /* not masked */
	expect_fault_of_frame(0xc1, 1, 1, FM_WEBSOCKET_PROTOCOL);     /* reserved bit */
	expect_fault_of_frame(0x83, 1, 1, FM_WEBSOCKET_PROTOCOL);     /* unknown */
	expect_fault_of_frame(0x8b, 1, 1, FM_WEBSOCKET_PROTOCOL);     /* unknown control */
	expect_fault_of_frame(0x09, 1, 1, FM_WEBSOCKET_PROTOCOL);     /* a ping in parts */
	expect_fault_of_frame(0x89, 126, 126, FM_WEBSOCKET_PROTOCOL); /* a long ping */
	expect_fault_of_frame(0x80, 1, 1, FM_WEBSOCKET_PROTOCOL);     /* goes on with nothing */
	expect_fault_of_frame(0x81, UINT64_C(1) << 63, 1, FM_WEBSOCKET_PROTOCOL);
	made.size = 0;
	add_frame(&made, 0x01, 1, 1);
	add_frame(&made, 0x01, 1, 1);
	expect_fault(&made, FM_WEBSOCKET_PROTOCOL); /* a message in a message */
}

static void
test_lengths_are_written_as_short_as_can_be(void **state)
{
	struct made made = { .size = 8, .data = { 0x81, 0xfe, 0, 125, 0, 0, 0, 0 } };

	(void)state;
	expect_fault(&made, FM_WEBSOCKET_PROTOCOL);
	made = (struct made){ .size = 14,
			      .data = { 0x81, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0 } };
	expect_fault(&made, FM_WEBSOCKET_PROTOCOL);
}

static void
test_more_than_allowed_ends_it(void **state)
{
	struct made made = { 0 };
	struct fm_websocket ws;
	size_t used;

	(void)state;
	expect_fault_of_frame(0x81, BUDGET, 0, FM_WEBSOCKET_TOO_BIG);
	expect_fault_of_frame(0x81, UINT64_C(1) << 40, 0, FM_WEBSOCKET_TOO_BIG);
	add_frame(&made, 0x01, 0, 0);
	while (made.size <= BUDGET) add_frame(&made, 0x00, 0, 0);
	assert_int_equal(read_all(&ws, &made, &used), FM_WEBSOCKET_FAULT);
	assert_int_equal(ws.code, FM_WEBSOCKET_POLICY);
	assert_int_equal(used, BUDGET);
	/* the time has passed: as much may come again */
	fm_websocket_init(&ws, BUDGET);
	assert_int_equal(fm_websocket_read(&ws, made.data, BUDGET / 2, &used), FM_WEBSOCKET_MORE);
	fm_websocket_allow(&ws, BUDGET);
	assert_int_equal(
		fm_websocket_read(&ws, made.data + BUDGET / 2, made.size - BUDGET / 2, &used),
		FM_WEBSOCKET_MORE);
}

static enum fm_websocket_event
read_close(struct fm_websocket *ws, unsigned code, size_t size)
{
	struct made made = { .size = 6 + size, .data = { 0x88, (uint8_t)(0x80 | size) } };
	size_t used;

	made.data[6] = (uint8_t)(code >> 8);
	made.data[7] = (uint8_t)code;
	return read_all(ws, &made, &used);
}

static void
test_close_is_answered_with_its_code(void **state)
{
	static const unsigned good[] = { 1000, 1001, 1003, 1007, 1012, 3000, 4999 };
	static const unsigned bad[] = { 0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65535 };
	struct fm_websocket ws;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(read_close(&ws, good[i], 2), FM_WEBSOCKET_CLOSE);
		assert_int_equal(ws.code, good[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(read_close(&ws, bad[i], 2), FM_WEBSOCKET_FAULT);
		assert_int_equal(ws.code, FM_WEBSOCKET_PROTOCOL);
	}
	assert_int_equal(read_close(&ws, 0, 0), FM_WEBSOCKET_CLOSE);
	assert_int_equal(ws.code, FM_WEBSOCKET_NORMAL);
	assert_int_equal(read_close(&ws, 1000, 1), FM_WEBSOCKET_FAULT);
}

static void
test_frames_that_we_write(void **state)
{
	uint8_t dst[FM_WEBSOCKET_SERVER_HEAD];

	(void)state;
	assert_int_equal(fm_websocket_head(dst, FM_WEBSOCKET_OP_TEXT, 125), 2);
	assert_memory_equal(dst, "\x81\x7d", 2);
	assert_int_equal(fm_websocket_head(dst, FM_WEBSOCKET_OP_TEXT, 126), 4);
	assert_memory_equal(dst, "\x81\x7e\x00\x7e", 4);
	assert_int_equal(fm_websocket_head(dst, FM_WEBSOCKET_OP_PING, FM_WEBSOCKET_PAYLOAD_MAX), 4);
	assert_memory_equal(dst, "\x89\x7e\xff\xff", 4);
	assert_int_equal(fm_websocket_close(dst, FM_WEBSOCKET_RESTART), 4);
	assert_memory_equal(dst, "\x88\x02\x03\xf4", 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_example_of_the_standard),
		cmocka_unit_test(test_data_is_thrown_away_and_pings_are_kept),
		cmocka_unit_test(test_cut_anywhere_it_is_the_same),
		cmocka_unit_test(test_what_the_standard_forbids),
		cmocka_unit_test(test_lengths_are_written_as_short_as_can_be),
		cmocka_unit_test(test_more_than_allowed_ends_it),
		cmocka_unit_test(test_close_is_answered_with_its_code),
		cmocka_unit_test(test_frames_that_we_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
