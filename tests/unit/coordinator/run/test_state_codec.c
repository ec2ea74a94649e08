/* The durable state survives its way to bytes and back, field by field. */
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "coordinator/store/state_codec.h"

static void
fill(struct co_state *s)
{
	memset(s, 0, sizeof(*s));
	s->epoch = 7;
	s->seq = 1234567890123;
	s->last_run = 9;
	FM_COPY(s->version, "2.2.15");
	FM_COPY(s->back.restore_point, "rp-8-0");
	FM_COPY(s->back.storage_node, "app1");
	FM_COPY(s->back.version, "2.2.14");
	s->back.opened_ms = 55;
	s->run.number = 9;
	s->run.state = CO_RUN_HALTED;
	s->run.end = CO_END_NEEDS_OPERATOR;
	s->run.words.pause = s->run.words.ended = true;
	s->run.recovering = s->run.touched = s->run.verified = s->run.by_operator = true;
	s->run.subject = 1;
	s->run.first = 1;
	s->run.serial = 3;
	s->run.step_ms = 77;
	s->run.max_downtime_ms = 600000;
	s->hooks_seen[1] = 77;
	s->kept_out[1] = true;
	s->run.drains = true;
	FM_COPY(s->run.procedure, "upgrade");
	s->run.without_count = 2;
	FM_COPY(s->run.without[0], "gate2");
	FM_COPY(s->run.without[1], "gate4");
	FM_COPY(s->run.step, "start first");
	FM_COPY(s->run.why, "because \"it\" failed\nhere");
	s->gate.mode = FM_GATE_PINNED;
	s->gate.voice = (struct fm_voice){ 7, 12 };
	FM_COPY(s->gate.pinned, "app2");
	s->node_count = 2;
	FM_COPY(s->node_names[0], "app1");
	FM_COPY(s->node_names[1], "app2");
	s->nodes[1].voice = (struct fm_voice){ 7, 13 };
	s->nodes[1].app = FM_APP_GOAL_RUNNING;
	s->nodes[1].start = FM_START_MIGRATE;
	s->nodes[1].restore_serial = UINT64_C(1) << 40;
	FM_COPY(s->nodes[1].release, "2.2.16");
	s->nodes[1].keep_count = 1;
	FM_COPY(s->nodes[1].keep[0], "2.2.16");
}

static void
test_round_trip(void **state)
{
	static struct co_state a, b;
	_cleanup_free_ uint8_t *bytes = NULL;
	_cleanup_free_ uint8_t *again = NULL;
	size_t size = 0, again_size = 0;
	struct fm_err err;

	(void)state;
	fill(&a);
	bytes = co_state_pack(&a, &size);
	if (co_state_unpack(bytes, size, &b, &err) != 0) fail_msg("%s", err.text);
	again = co_state_pack(&b, &again_size);
	assert_int_equal(size, again_size);
	assert_memory_equal(bytes, again, size);
	assert_int_equal(b.run.state, CO_RUN_HALTED);
	assert_true(b.run.words.pause && b.run.words.ended && !b.run.words.abort);
	assert_string_equal(b.run.why, a.run.why);
	assert_int_equal(b.nodes[1].start, FM_START_MIGRATE);
	assert_int_equal(b.nodes[1].restore_serial, a.nodes[1].restore_serial);
	assert_string_equal(b.gate.pinned, "app2");
	assert_int_equal(b.run.max_downtime_ms, 600000);
	assert_int_equal(b.hooks_seen[1], 77);
	assert_true(b.kept_out[1] && !b.kept_out[0] && b.run.drains);
}

static void
test_damage_is_said(void **state)
{
	static struct co_state a, b;
	_cleanup_free_ uint8_t *bytes = NULL;
	size_t size = 0;
	struct fm_err err;

	(void)state;
	fill(&a);
	bytes = co_state_pack(&a, &size);
	assert_int_equal(co_state_unpack(bytes, size / 2, &b, &err), -1);
	assert_int_equal(co_state_unpack((const uint8_t *)"", 0, &b, &err), -1);
	assert_true(err.text[0] != '\0');
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_damage_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
