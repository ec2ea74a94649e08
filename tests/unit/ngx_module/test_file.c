/* The files of the state directory: what is written is read again, and nothing that was touched is believed. */
#include "tests/unit/test.h"

#include <string.h>

#include "base/text.h"
#include "ngx_module/fm_gate_file.h"

static struct fm_gate_ask
some_ask(void)
{
	struct fm_gate_ask ask = { .voice = { 7, 3 }, .mode = FM_GATE_PINNED, .pinned = "app2" };

	ask.drained_count = 2;
	(void)FM_COPY(ask.drained[0], "app1");
	(void)FM_COPY(ask.drained[1], "app3");
	(void)FM_COPY(ask.message, "Zur\xc3\xbc"
				   "ck um acht");
	ask.back_at = 1790000000;
	ask.bypass.shut = true;
	memset(ask.bypass.key, 9, sizeof ask.bypass.key);
	ask.phase = FM_PHASE_STARTING;
	return ask;
}

static void
test_what_is_written_is_read(void **state)
{
	uint8_t file[FM_GATE_FILE_MAX];
	struct fm_gate_ask ask = some_ask(), got;
	size_t size = fm_gate_file_write(file, &ask);

	(void)state;
	assert_true(size > 16);
	assert_memory_equal(file, "FMGS\0\0\0\1", 8);
	assert_true(fm_gate_file_read(file, size, &got));
	assert_memory_equal(&got, &ask, sizeof ask);
}

static void
test_the_longest_ask_has_room(void **state)
{
	uint8_t file[FM_GATE_FILE_MAX];
	struct fm_gate_ask ask = { .mode = FM_GATE_CLOSED, .voice = { UINT64_MAX, UINT64_MAX } },
			   got;

	(void)state;
	ask.drained_count = FM_NODES_MAX;
	for (unsigned i = 0; i < FM_NODES_MAX; i++) memset(ask.drained[i], 'a', FM_NAME_SIZE - 1);
	memset(ask.pinned, 'b', FM_NAME_SIZE - 1);
	memset(ask.command, 'c', FM_NAME_SIZE - 1);
	memset(ask.bypass.node, 'd', FM_NAME_SIZE - 1);
	memset(ask.message, 'e', FM_TEXT_SIZE - 1);
	memset(ask.step, 'f', FM_TEXT_SIZE - 1);
	ask.back_at = -1;
	ask.run = UINT64_MAX;
	ask.cut_after_ms = UINT32_MAX;
	assert_true(fm_gate_file_read(file, fm_gate_file_write(file, &ask), &got));
	assert_memory_equal(&got, &ask, sizeof ask);
	ask.drained_count = FM_NODES_MAX + 1;
	assert_int_equal(fm_gate_file_write(file, &ask), 0);
}

/* One bit, anywhere, and every shorter or longer file. */
static void
test_what_was_touched_is_refused(void **state)
{
	uint8_t file[FM_GATE_FILE_MAX];
	struct fm_gate_ask ask = some_ask(), got, none = { 0 };
	size_t size = fm_gate_file_write(file, &ask);

	(void)state;
	for (size_t i = 0; i < size * 8; i++) {
		file[i / 8] ^= (uint8_t)(1U << i % 8);
		assert_false(fm_gate_file_read(file, size, &got));
		assert_memory_equal(&got, &none, sizeof got);
		file[i / 8] ^= (uint8_t)(1U << i % 8);
	}
	for (size_t i = 0; i < size; i++) assert_false(fm_gate_file_read(file, i, &got));
	assert_false(fm_gate_file_read(file, size + 1, &got));
	assert_true(fm_gate_file_read(file, size, &got));
}

static void
test_no_rule_was_never_taken(void **state)
{
	uint8_t file[FM_GATE_FILE_MAX];
	struct fm_gate_ask ask = some_ask(), got;

	(void)state;
	ask.mode = FM_GATE_NONE;
	assert_false(fm_gate_file_read(file, fm_gate_file_write(file, &ask), &got));
	ask.mode = FM_GATE_OPEN;
	(void)FM_COPY(ask.pinned, "../x");
	assert_false(fm_gate_file_read(file, fm_gate_file_write(file, &ask), &got));
}

static void
test_requests(void **state)
{
	struct fm_gate_request got;

	(void)state;
	assert_true(fm_gate_request_read("request.close.0123456789abcdef", &got));
	assert_int_equal(got.verb, FM_GATE_VERB_CLOSE);
	assert_false(got.force);
	assert_string_equal(got.id, "0123456789abcdef");
	assert_true(fm_gate_request_read("request.open.force.00000000000000ff", &got));
	assert_int_equal(got.verb, FM_GATE_VERB_OPEN);
	assert_true(got.force);
	assert_string_equal(got.id, "00000000000000ff");
	for (int verb = FM_GATE_VERB_CLOSE; verb <= FM_GATE_VERB_STATUS; verb++)
		assert_true(fm_gate_verb_name((enum fm_gate_verb)verb)[0] != '\0');
	assert_string_equal(fm_gate_verb_name(FM_GATE_VERB_NONE), "");
}

static void
test_other_names_are_no_requests(void **state)
{
	static const char *const names[] = {
		"",
		".",
		"state",
		"request.",
		"request.close",
		"request.close.",
		"request.close.0123456789abcde",
		"request.close.0123456789abcdef0",
		"request.close.0123456789ABCDEF",
		"request.close.0123456789abcde/",
		"request.closed.0123456789abcdef",
		"request..0123456789abcdef",
		"request.force.0123456789abcdef",
		"request.close.force.",
		"request.close.force.force.0123456789abcdef",
		"request.close.Force.0123456789abcdef",
		"answer.close.0123456789abcdef",
		"Request.close.0123456789abcdef",
	};
	struct fm_gate_request got;

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		if (fm_gate_request_read(names[i], &got))
			fail_msg("\"%s\" is taken for one", names[i]);
		assert_int_equal(got.verb, FM_GATE_VERB_NONE);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_written_is_read),
		cmocka_unit_test(test_the_longest_ask_has_room),
		cmocka_unit_test(test_what_was_touched_is_refused),
		cmocka_unit_test(test_no_rule_was_never_taken),
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_other_names_are_no_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
