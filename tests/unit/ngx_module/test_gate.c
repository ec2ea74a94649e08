/* The gate's decision: every mode against every kind of request, node and ask. */
#include "tests/unit/test.h"

#include "base/text.h"
#include "ngx_module/fm_gate.h"

#define ALL UINT64_C(7)

static uint64_t
closed(void)
{
	return fm_gate_word(FM_GATE_CLOSED, FM_GATE_NO_NODE, 0);
}

static uint64_t
pinned_to(int node, uint64_t denied)
{
	return fm_gate_word(FM_GATE_PINNED, node, denied);
}

static enum fm_gate_verdict
decide(uint64_t word, bool is_off, bool is_bypass, bool wants_json)
{
	struct fm_gate_facts facts = {
		.nodes = ALL,
		.is_off = is_off,
		.is_bypass = is_bypass,
		.wants_json = wants_json,
	};

	return fm_gate_decide(word, &facts);
}

static void
word_keeps_what_it_is_made_of(void **state)
{
	(void)state;
	for (int node = FM_GATE_NO_NODE; node < FM_GATE_DENIED_BITS; node++) {
		uint64_t word = fm_gate_word(FM_GATE_PINNED, node, UINT64_C(0x800000000001));

		assert_int_equal(fm_gate_word_mode(word), FM_GATE_PINNED);
		assert_int_equal(fm_gate_word_pinned(word), node);
		assert_true(fm_gate_word_denied(word) == UINT64_C(0x800000000001));
	}
	assert_true(fm_gate_word(FM_GATE_OPEN, 5, 0) == FM_GATE_WORD_OPEN);
	assert_int_equal(fm_gate_word_pinned(fm_gate_word(FM_GATE_PINNED, 48, 0)), FM_GATE_NO_NODE);
	/* more bits than there are nodes do not reach the mode */
	assert_int_equal(fm_gate_word_mode(fm_gate_word(FM_GATE_CLOSED, 0, UINT64_MAX)),
			 FM_GATE_CLOSED);
}

static void
closed_gate_lets_only_the_exempt_through(void **state)
{
	(void)state;
	assert_int_equal(decide(closed(), false, false, false), FM_GATE_PAGE);
	assert_int_equal(decide(closed(), false, false, true), FM_GATE_REFUSE);
	assert_int_equal(decide(closed(), true, false, true), FM_GATE_PASS);
	assert_int_equal(decide(closed(), false, true, false), FM_GATE_PASS);
}

static void
unknown_mode_is_closed(void **state)
{
	(void)state;
	for (unsigned mode = 0; mode < 256; mode++) {
		uint64_t word = (uint64_t)mode << 56 | UINT64_C(1) << 48;
		bool is_known = mode == FM_GATE_OPEN || mode == FM_GATE_PINNED;

		assert_int_equal(decide(word, false, false, false),
				 is_known ? FM_GATE_PASS : FM_GATE_PAGE);
		assert_int_equal(decide(word, false, true, false), FM_GATE_PASS);
	}
}

static void
open_gate_passes_while_a_node_is_left(void **state)
{
	(void)state;
	assert_int_equal(decide(FM_GATE_WORD_OPEN, false, false, false), FM_GATE_PASS);
	assert_int_equal(decide(fm_gate_word(FM_GATE_OPEN, -1, 6), false, false, false),
			 FM_GATE_PASS);
	assert_int_equal(decide(fm_gate_word(FM_GATE_OPEN, -1, ALL), false, false, false),
			 FM_GATE_PAGE);
	/* nobody is left for the operator either */
	assert_int_equal(decide(fm_gate_word(FM_GATE_OPEN, -1, ALL), false, true, true),
			 FM_GATE_REFUSE);
	assert_int_equal(decide(fm_gate_word(FM_GATE_CLOSED, -1, ALL), false, true, false),
			 FM_GATE_PAGE);
}

static void
gate_without_named_nodes_passes_when_open(void **state)
{
	struct fm_gate_facts facts = { .nodes = 0 };

	(void)state;
	assert_int_equal(fm_gate_decide(fm_gate_word(FM_GATE_OPEN, -1, 1), &facts), FM_GATE_PASS);
	assert_int_equal(fm_gate_decide(closed(), &facts), FM_GATE_PAGE);
}

static void
pin_leaves_one_node(void **state)
{
	(void)state;
	assert_true(fm_gate_may_use(pinned_to(1, 0), 1));
	assert_false(fm_gate_may_use(pinned_to(1, 0), 0));
	assert_false(fm_gate_may_use(pinned_to(1, 0), FM_GATE_NO_NODE));
	assert_int_equal(decide(pinned_to(1, 0), false, false, false), FM_GATE_PASS);
	/* drained wins over pinned */
	assert_false(fm_gate_may_use(pinned_to(1, 2), 1));
	assert_int_equal(decide(pinned_to(1, 2), false, false, false), FM_GATE_PAGE);
	/* pinned to a node that is not known here */
	assert_int_equal(decide(pinned_to(-1, 0), false, false, false), FM_GATE_PAGE);
	assert_int_equal(decide(pinned_to(9, 0), false, false, false), FM_GATE_PAGE);
	assert_false(fm_gate_may_use(pinned_to(-1, 0), 0));
}

static void
drained_node_gets_nothing_in_any_mode(void **state)
{
	static const enum fm_gate_mode modes[] = { FM_GATE_OPEN, FM_GATE_CLOSED, FM_GATE_PINNED };

	(void)state;
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		uint64_t word = fm_gate_word(modes[i], 0, 2);

		assert_true(fm_gate_may_use(word, 0));
		assert_false(fm_gate_may_use(word, 1));
	}
	assert_true(fm_gate_may_use(fm_gate_word(FM_GATE_OPEN, -1, 2), FM_GATE_NO_NODE));
	assert_true(fm_gate_may_use(fm_gate_word(FM_GATE_OPEN, -1, 2), 60));
}

static void
rides_are_over_when_their_node_is(void **state)
{
	struct fm_gate_ride ride = { .since = 4, .node = 1 };

	(void)state;
	assert_false(fm_gate_is_over(FM_GATE_WORD_OPEN, 0, &ride));
	assert_true(fm_gate_is_over(fm_gate_word(FM_GATE_OPEN, -1, 2), 0, &ride));
	assert_false(fm_gate_is_over(fm_gate_word(FM_GATE_OPEN, -1, 5), 0, &ride));
	assert_true(fm_gate_is_over(pinned_to(0, 0), 0, &ride));
	assert_false(fm_gate_is_over(pinned_to(1, 0), 0, &ride));
	ride.node = FM_GATE_NO_NODE; /* its body is still coming: it will go where it may */
	assert_false(fm_gate_is_over(pinned_to(0, 0), 0, &ride));
	assert_true(fm_gate_is_over(closed(), 5, &ride));
}

static void
exempt_rides_outlive_a_closing_only_when_younger(void **state)
{
	struct fm_gate_ride ride = { .since = 4, .node = 1, .is_exempt = true };

	(void)state;
	assert_true(fm_gate_is_over(closed(), 5, &ride));
	ride.since = 5;
	assert_false(fm_gate_is_over(closed(), 5, &ride));
	assert_true(fm_gate_is_over(fm_gate_word(FM_GATE_CLOSED, -1, 2), 5, &ride));
	ride.is_exempt = false;
	assert_true(fm_gate_is_over(closed(), 5, &ride));
}

static void
word_of_a_closed_gate_says_whom_a_bypass_reaches(void **state)
{
	(void)state;
	for (int node = 0; node < FM_GATE_DENIED_BITS; node++) {
		uint64_t word = fm_gate_word_closed(node, 0);

		assert_int_equal(fm_gate_word_mode(word), FM_GATE_CLOSED);
		assert_true(fm_gate_has_bypass(word));
		assert_int_equal(fm_gate_only_node(word, true), node);
		assert_int_equal(fm_gate_only_node(word, false), FM_GATE_NO_NODE);
		assert_true(fm_gate_may_bypass(word, node));
		assert_false(fm_gate_may_bypass(word, node ^ 1));
		assert_false(fm_gate_may_bypass(word, FM_GATE_NO_NODE));
		/* what the gate is off for is not pinned with the operator */
		assert_true(fm_gate_may_use(word, node ^ 1));
	}
	assert_true(fm_gate_word_closed(FM_GATE_BYPASS_ALL, 6) ==
		    fm_gate_word(FM_GATE_CLOSED, FM_GATE_NO_NODE, 6));
}

static void
bypass_reaches_one_node_all_or_none(void **state)
{
	static const int none[] = { FM_GATE_BYPASS_NONE, FM_GATE_DENIED_BITS, 255, -2 };
	uint64_t word = fm_gate_word_closed(1, 0);

	(void)state;
	assert_int_equal(decide(word, false, true, false), FM_GATE_PASS);
	assert_int_equal(decide(word, false, false, false), FM_GATE_PAGE);
	/* its node is drained, or not one of this gate */
	assert_int_equal(decide(fm_gate_word_closed(1, 2), false, true, false), FM_GATE_PAGE);
	assert_int_equal(decide(fm_gate_word_closed(9, 0), false, true, true), FM_GATE_REFUSE);
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		struct fm_gate_facts facts = { .nodes = 0, .is_bypass = true };

		word = fm_gate_word_closed(none[i], 0);
		assert_false(fm_gate_has_bypass(word));
		assert_int_equal(decide(word, false, true, false), FM_GATE_PAGE);
		assert_int_equal(fm_gate_decide(word, &facts), FM_GATE_PAGE);
		assert_int_equal(decide(word, true, false, false), FM_GATE_PASS);
		assert_int_equal(fm_gate_only_node(word, true), FM_GATE_NO_NODE);
		for (int node = FM_GATE_NO_NODE; node < FM_GATE_DENIED_BITS; node++)
			assert_false(fm_gate_may_bypass(word, node));
	}
	word = fm_gate_word_closed(FM_GATE_BYPASS_ALL, 2);
	assert_true(fm_gate_may_bypass(word, 0));
	assert_false(fm_gate_may_bypass(word, 1));
	assert_true(fm_gate_may_bypass(word, FM_GATE_NO_NODE));
}

static void
bypass_is_nothing_while_visitors_are_served(void **state)
{
	(void)state;
	assert_false(fm_gate_has_bypass(FM_GATE_WORD_OPEN));
	assert_false(fm_gate_has_bypass(pinned_to(0, 0)));
	assert_int_equal(fm_gate_only_node(pinned_to(2, 0), false), 2);
	assert_int_equal(fm_gate_only_node(pinned_to(2, 0), true), 2);
	assert_false(fm_gate_may_bypass(pinned_to(2, 0), 1));
	assert_true(fm_gate_may_bypass(FM_GATE_WORD_OPEN, 1));
}

static void
operator_s_rides_end_when_they_may_not_be_made_any_more(void **state)
{
	struct fm_gate_ride ride = { .since = 5, .node = 1, .is_exempt = true, .is_bypass = true };

	(void)state;
	assert_false(fm_gate_is_over(fm_gate_word_closed(1, 0), 5, &ride));
	assert_false(fm_gate_is_over(closed(), 5, &ride));
	assert_true(fm_gate_is_over(fm_gate_word_closed(0, 0), 5, &ride));
	assert_true(fm_gate_is_over(fm_gate_word_closed(FM_GATE_BYPASS_NONE, 0), 5, &ride));
	assert_false(fm_gate_is_over(FM_GATE_WORD_OPEN, 5, &ride));
	ride.node = FM_GATE_NO_NODE;
	assert_false(fm_gate_is_over(fm_gate_word_closed(0, 0), 5, &ride));
	assert_true(fm_gate_is_over(fm_gate_word_closed(FM_GATE_BYPASS_NONE, 0), 5, &ride));
	/* what the gate is off for goes on */
	ride.is_bypass = false;
	assert_false(fm_gate_is_over(fm_gate_word_closed(FM_GATE_BYPASS_NONE, 0), 5, &ride));
}

static void
nobody_waits_for_a_hole_that_has_lasted(void **state)
{
	(void)state;
	assert_int_equal(fm_gate_hold_left(0, 5000, 1000), 0);
	assert_int_equal(fm_gate_hold_left(5000, 5000, 1000), 1000);
	assert_int_equal(fm_gate_hold_left(5000, 5999, 1000), 1);
	assert_int_equal(fm_gate_hold_left(5000, 6000, 1000), 0);
	assert_int_equal(fm_gate_hold_left(5000, UINT64_MAX, 1000), 0);
	assert_int_equal(fm_gate_hold_left(5000, 4990, 1000), 1000);
	assert_int_equal(fm_gate_hold_left(5000, 5000, 0), 0);
}

static void
holes_are_held_and_closed_gates_where_it_is_said(void **state)
{
	struct fm_gate_facts facts = { .nodes = ALL, .hold_ms = 1 };
	uint64_t hole = fm_gate_word(FM_GATE_OPEN, -1, ALL);

	(void)state;
	assert_int_equal(fm_gate_decide(hole, &facts), FM_GATE_HOLD);
	assert_int_equal(fm_gate_decide(pinned_to(1, 2), &facts), FM_GATE_HOLD);
	assert_int_equal(fm_gate_decide(closed(), &facts), FM_GATE_PAGE);
	facts.holds_closed = true;
	assert_int_equal(fm_gate_decide(closed(), &facts), FM_GATE_HOLD);
	facts.hold_ms = 0;
	assert_int_equal(fm_gate_decide(closed(), &facts), FM_GATE_PAGE);
	assert_int_equal(fm_gate_decide(hole, &facts), FM_GATE_PAGE);
	facts.hold_ms = 1;
	/* who may go on does */
	assert_int_equal(fm_gate_decide(pinned_to(1, 0), &facts), FM_GATE_PASS);
	facts.is_bypass = true;
	assert_int_equal(fm_gate_decide(closed(), &facts), FM_GATE_PASS);
	facts.is_bypass = false;
	facts.is_off = true;
	assert_int_equal(fm_gate_decide(hole, &facts), FM_GATE_PASS);
}

static void
assets_are_served_from_disk_while_visitors_are_not(void **state)
{
	struct fm_gate_facts facts = { .nodes = ALL, .is_asset = true, .wants_json = true };

	(void)state;
	assert_int_equal(fm_gate_decide(closed(), &facts), FM_GATE_ASSET);
	assert_int_equal(fm_gate_decide(fm_gate_word(FM_GATE_OPEN, -1, ALL), &facts),
			 FM_GATE_ASSET);
	/* at once, even where others wait */
	facts.hold_ms = 1;
	facts.holds_closed = true;
	assert_int_equal(fm_gate_decide(closed(), &facts), FM_GATE_ASSET);
	/* from the node while it serves, also to an operator */
	assert_int_equal(fm_gate_decide(FM_GATE_WORD_OPEN, &facts), FM_GATE_PASS);
	assert_int_equal(fm_gate_decide(pinned_to(1, 0), &facts), FM_GATE_PASS);
	facts.is_bypass = true;
	assert_int_equal(fm_gate_decide(closed(), &facts), FM_GATE_PASS);
}

static void
gate_serves_while_it_is_open_and_a_node_is_left(void **state)
{
	(void)state;
	assert_true(fm_gate_serves(FM_GATE_WORD_OPEN, ALL));
	assert_true(fm_gate_serves(FM_GATE_WORD_OPEN, 0));
	assert_true(fm_gate_serves(pinned_to(1, 0), ALL));
	assert_false(fm_gate_serves(pinned_to(1, 2), ALL));
	assert_false(fm_gate_serves(pinned_to(-1, 0), ALL));
	assert_false(fm_gate_serves(fm_gate_word(FM_GATE_OPEN, -1, ALL), ALL));
	assert_false(fm_gate_serves(closed(), ALL));
	assert_false(fm_gate_serves(closed(), 0));
	assert_false(fm_gate_serves(0, ALL));
}

static enum fm_gate_hearing
hear(uint64_t epoch, uint64_t seq, const struct fm_gate_ask *base)
{
	struct fm_gate_ask ask = *base;

	ask.voice = (struct fm_voice){ epoch, seq };
	return fm_gate_hear(base, &ask);
}

static void
voices_are_heard_in_order(void **state)
{
	struct fm_gate_ask base = { .voice = { 5, 7 }, .mode = FM_GATE_CLOSED };

	(void)state;
	assert_int_equal(hear(5, 8, &base), FM_GATE_TAKE);
	assert_int_equal(hear(6, 0, &base), FM_GATE_TAKE);
	assert_int_equal(hear(5, 6, &base), FM_GATE_STALE);
	assert_int_equal(hear(4, 99, &base), FM_GATE_STALE);
	assert_int_equal(hear(5, 7, &base), FM_GATE_REPEAT);
}

static void
same_voice_with_other_rules_is_a_clash(void **state)
{
	struct fm_gate_ask base = { .voice = { 1, 1 }, .mode = FM_GATE_OPEN, .drained_count = 1 };
	struct fm_gate_ask ask;

	(void)state;
	FM_COPY(base.drained[0], "app1");
#define CLASHES(change)                                                     \
	do {                                                                \
		ask = base;                                                 \
		change;                                                     \
		assert_int_equal(fm_gate_hear(&base, &ask), FM_GATE_CLASH); \
	} while (0)
	CLASHES(ask.mode = FM_GATE_CLOSED);
	CLASHES(ask.drained_count = 0);
	CLASHES(ask.hole = true);
	CLASHES(FM_COPY(ask.drained[0], "app2"));
	CLASHES(FM_COPY(ask.pinned, "app1"));
	CLASHES(ask.cut_after_ms = 1);
	CLASHES(ask.bypass.shut = true);
	CLASHES(FM_COPY(ask.bypass.node, "app1"));
	CLASHES(ask.bypass.key[31] = 1);
	ask = base;
	FM_COPY(ask.message, "other words");
	FM_COPY(ask.step, "are no other rules");
	assert_int_equal(fm_gate_hear(&base, &ask), FM_GATE_REPEAT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(word_keeps_what_it_is_made_of),
		cmocka_unit_test(closed_gate_lets_only_the_exempt_through),
		cmocka_unit_test(unknown_mode_is_closed),
		cmocka_unit_test(open_gate_passes_while_a_node_is_left),
		cmocka_unit_test(gate_without_named_nodes_passes_when_open),
		cmocka_unit_test(pin_leaves_one_node),
		cmocka_unit_test(drained_node_gets_nothing_in_any_mode),
		cmocka_unit_test(rides_are_over_when_their_node_is),
		cmocka_unit_test(exempt_rides_outlive_a_closing_only_when_younger),
		cmocka_unit_test(word_of_a_closed_gate_says_whom_a_bypass_reaches),
		cmocka_unit_test(bypass_reaches_one_node_all_or_none),
		cmocka_unit_test(bypass_is_nothing_while_visitors_are_served),
		cmocka_unit_test(operator_s_rides_end_when_they_may_not_be_made_any_more),
		cmocka_unit_test(nobody_waits_for_a_hole_that_has_lasted),
		cmocka_unit_test(holes_are_held_and_closed_gates_where_it_is_said),
		cmocka_unit_test(assets_are_served_from_disk_while_visitors_are_not),
		cmocka_unit_test(gate_serves_while_it_is_open_and_a_node_is_left),
		cmocka_unit_test(voices_are_heard_in_order),
		cmocka_unit_test(same_voice_with_other_rules_is_a_clash),
	};

	return cmocka_run_group_tests_name("gate", tests, NULL, NULL);
}
