#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "test.h"
#include "wire/convert.h"
#include "wire/frame.h"

/* Every byte of a struct's texts and numbers set to something, so that a field that is forgotten on
 * the way shows as a difference. */
static void
fill_text(char *dst, size_t size, char c)
{
	memset(dst, c, size - 1);
	dst[size - 1] = '\0';
}

#define FILL(field, c) fill_text(field, sizeof(field), c)

static Fermata__Envelope *
unpack(uint8_t *frame, const size_t *size, Fermata__Role role)
{
	_cleanup_free_ uint8_t *own = frame;
	struct fm_err err = { 0 };
	Fermata__Envelope *envelope;
	size_t body;

	assert_int_equal(fm_frame_head(own, role, &body, &err), 0);
	assert_int_equal(body, *size - FM_FRAME_HEAD);
	envelope = fm_frame_unpack(own + FM_FRAME_HEAD, body, role, &err);
	if (!envelope) fail_msg("%s", err.text);
	return envelope;
}

static void
fill_agent_ask(struct fm_agent_ask *ask)
{
	memset(ask, 0, sizeof *ask);
	*ask = (struct fm_agent_ask){ .voice = { 1, 2 },
				      .run = 3,
				      .app = FM_APP_GOAL_RUNNING,
				      .start = FM_START_MIGRATE,
				      .restore_serial = 4,
				      .start_serial = 5,
				      .keep_count = FM_RELEASES_MAX };
	FILL(ask->release, 'a');
	FILL(ask->fetch, 'b');
	FILL(ask->snapshot, 'c');
	FILL(ask->restore, 'd');
	for (int i = 0; i < FM_RELEASES_MAX; i++) FILL(ask->keep[i], (char)('A' + i));
}

static void
fill_agent_report(struct fm_agent_report *r)
{
	memset(r, 0, sizeof *r);
	*r = (struct fm_agent_report){ .voice = { 1, 2 },
				       .app = FM_APP_BACKOFF,
				       .release_count = FM_RELEASES_MAX,
				       .pids = 3,
				       .restored_serial = 4,
				       .ready_ms = 5,
				       .starts = 6,
				       .snapshot_bytes = 7,
				       .swept_seq = 8,
				       .memory_bytes = 9,
				       .cpu_permille = 10,
				       .sql_age_ms = 11,
				       .signs = 12 };
	FILL(r->node, 'a');
	FILL(r->current, 'b');
	for (int i = 0; i < FM_RELEASES_MAX; i++) FILL(r->releases[i], (char)('A' + i));
	FILL(r->running, 'c');
	FILL(r->detail, 'd');
	FILL(r->failure, 'e');
	FILL(r->database, 'f');
	FILL(r->fetched, 'g');
	FILL(r->fetch_failure, 'h');
	FILL(r->snapshot, 'i');
	FILL(r->snapshot_failure, 'j');
	FILL(r->restore_failure, 'k');
	FILL(r->address, 'l');
	FILL(r->swept, 'm');
	FILL(r->unfit, 'n');
	FILL(r->sql, 'o');
	FILL(r->sql_waits, 'p');
	FILL(r->hook_failure, 'q');
	for (unsigned i = 0; i < FM_HOOKS_TOLD; i++) {
		r->hooks[i] = (struct fm_hook_told){
			.serial = i + 1, .ok = i & 1, .goes_on = i < 2, .took_ms = 5000 + i
		};
		FILL(r->hooks[i].hook, 'r');
		FILL(r->hooks[i].text, 's');
	}
}

static void
fill_gate_ask(struct fm_gate_ask *ask)
{
	memset(ask, 0, sizeof *ask);
	*ask = (struct fm_gate_ask){ .voice = { 1, 2 },
				     .mode = FM_GATE_PINNED,
				     .drained_count = FM_NODES_MAX,
				     .cut_after_ms = 3,
				     .back_at = -4,
				     .run = 5,
				     .refresh = true,
				     .bypass.shut = true,
				     .phase = FM_PHASE_WORKING,
				     .estimated = true,
				     .hole = true };
	FILL(ask->pinned, 'a');
	for (int i = 0; i < FM_NODES_MAX; i++) FILL(ask->drained[i], (char)('A' + i % 26));
	FILL(ask->message, 'b');
	FILL(ask->step, 'c');
	FILL(ask->command, 'd');
	memset(ask->bypass.key, 'e', sizeof(ask->bypass.key));
	FILL(ask->bypass.node, 'f');
}

static void
fill_gate_report(struct fm_gate_report *r)
{
	memset(r, 0, sizeof *r);
	*r = (struct fm_gate_report){ .voice = { 1, 2 },
				      .mode = FM_GATE_CLOSED,
				      .drained_count = FM_NODES_MAX,
				      .node_count = FM_NODES_MAX,
				      .in_flight = 3,
				      .websockets = 4,
				      .workers = 5,
				      .passed = 6,
				      .refused = 7,
				      .bypassed = 8,
				      .tabs = 9,
				      .idle = 10,
				      .generations = 11,
				      .override = FM_GATE_OPEN,
				      .override_at = 12,
				      .waiting = true,
				      .held = 13 };
	FILL(r->override_by, 'c');
	FILL(r->pinned, 'a');
	for (int i = 0; i < FM_NODES_MAX; i++) {
		FILL(r->drained[i], (char)('A' + i % 26));
		FILL(r->nodes[i].name, (char)('a' + i % 26));
		r->nodes[i].in_flight = (uint32_t)i;
		r->nodes[i].websockets = (uint32_t)i * 2;
		r->nodes[i].idle = (uint32_t)i * 3;
	}
	FILL(r->error, 'b');
}

static void
test_everything_of_an_agent_s_ask_arrives(void **state)
{
	_cleanup_(fm_envelope_freep) Fermata__Envelope *e = NULL;
	struct fm_agent_ask ask, back;
	struct fm_err err = { 0 };
	size_t size;

	(void)state;
	fill_agent_ask(&ask);
	e = unpack(fm_agent_ask_pack(&ask, &size), &size, FERMATA__ROLE__ROLE_COORDINATOR);
	assert_int_equal(fm_agent_ask_from(e->agent_ask, &back, &err), 0);
	assert_memory_equal(&back, &ask, sizeof ask);
}

static void
test_everything_of_an_agent_s_report_arrives(void **state)
{
	_cleanup_(fm_envelope_freep) Fermata__Envelope *e = NULL;
	struct fm_agent_report report, back;
	struct fm_err err = { 0 };
	size_t size;

	(void)state;
	fill_agent_report(&report);
	e = unpack(fm_agent_report_pack(&report, &size), &size, FERMATA__ROLE__ROLE_AGENT);
	assert_int_equal(fm_agent_report_from(e->agent_report, &back, &err), 0);
	assert_memory_equal(&back, &report, sizeof report);
}

static void
test_salt_and_facts_travel_along(void **state)
{
	_cleanup_(fm_envelope_freep) Fermata__Envelope *e = NULL, *asked = NULL;
	static struct fm_node_facts facts, back; /* large */
	struct fm_agent_report report = { 0 };
	struct fm_agent_ask ask = { 0 };
	struct fm_err err = { 0 };
	size_t size;

	(void)state;
	FILL(facts.salt, 's');
	FILL(facts.environment, 'e');
	FILL(facts.plugins, 'p');
	FILL(facts.storage, 'i');
	FILL(facts.storage_on, 'o');
	FILL(facts.worker_mode, 'w');
	FILL(facts.fault, 'f');
	facts.storage_inode = 1;
	facts.disk_free = 2;
	facts.disk_size = 3;
	facts.clock_ms = -4;
	fill_agent_report(&report);
	/* The longest that an agent can say is within its limit. */
	e = unpack(fm_agent_report_pack_with(&report, &facts, &size), &size,
		   FERMATA__ROLE__ROLE_AGENT);
	assert_int_equal(fm_node_facts_from(e->agent_report->facts, &back, &err), 0);
	facts.known = true;
	assert_memory_equal(&back, &facts, sizeof facts);
	asked = unpack(fm_agent_ask_pack_salted(&ask, "abc", &size), &size,
		       FERMATA__ROLE__ROLE_COORDINATOR);
	assert_string_equal(asked->agent_ask->salt, "abc");
}

static void
test_everything_of_a_gate_s_ask_arrives(void **state)
{
	_cleanup_(fm_envelope_freep) Fermata__Envelope *e = NULL;
	struct fm_gate_ask ask, back;
	struct fm_err err = { 0 };
	size_t size;

	(void)state;
	fill_gate_ask(&ask);
	e = unpack(fm_gate_ask_pack(&ask, &size), &size, FERMATA__ROLE__ROLE_COORDINATOR);
	assert_int_equal(fm_gate_ask_from(e->gate_ask, &back, &err), 0);
	assert_memory_equal(&back, &ask, sizeof ask);
}

static void
test_everything_of_a_gate_s_report_arrives(void **state)
{
	_cleanup_(fm_envelope_freep) Fermata__Envelope *e = NULL;
	struct fm_gate_report report, back;
	struct fm_err err = { 0 };
	size_t size;

	(void)state;
	fill_gate_report(&report);
	e = unpack(fm_gate_report_pack(&report, &size), &size, FERMATA__ROLE__ROLE_GATE);
	assert_int_equal(fm_gate_report_from(e->gate_report, &back, &err), 0);
	assert_memory_equal(&back, &report, sizeof report);
}

static void
test_an_empty_report_is_a_report(void **state)
{
	_cleanup_(fm_envelope_freep) Fermata__Envelope *e = NULL;
	struct fm_agent_report report = { 0 }, back;
	struct fm_err err = { 0 };
	size_t size;

	(void)state;
	e = unpack(fm_agent_report_pack(&report, &size), &size, FERMATA__ROLE__ROLE_AGENT);
	assert_int_equal(fm_agent_report_from(e->agent_report, &back, &err), 0);
	assert_memory_equal(&back, &report, sizeof report);
}

static void
test_what_the_application_printed_can_always_be_sent(void **state)
{
	_cleanup_(fm_envelope_freep) Fermata__Envelope *e = NULL;
	struct fm_agent_report report = { 0 }, back;
	struct fm_err err = { 0 };
	size_t size;

	(void)state;
	(void)FM_COPY(report.detail, "caf\xe9 \xc3\xa9 \xed\xa0\x80 \xc0\xaf \xff");
	e = unpack(fm_agent_report_pack(&report, &size), &size, FERMATA__ROLE__ROLE_AGENT);
	assert_int_equal(fm_agent_report_from(e->agent_report, &back, &err), 0);
	assert_string_equal(back.detail, "caf? \xc3\xa9 ??? ?? ?");
}

static char *
text_of(size_t size)
{
	static char text[2000];

	memset(text, 'x', size);
	text[size] = '\0';
	return text;
}

/* A report with one thing wrong is refused with what is wrong. */
static void
assert_refused(const Fermata__AgentReport *msg, const char *why)
{
	struct fm_agent_report back;
	struct fm_err err = { 0 };

	assert_int_equal(fm_agent_report_from(msg, &back, &err), -1);
	assert_string_equal(err.text, why);
}

static void
test_a_broken_agent_is_refused(void **state)
{
	const Fermata__AgentReport good = FERMATA__AGENT_REPORT__INIT;
	Fermata__AgentReport bad;
	char *many[FM_RELEASES_MAX + 1];

	(void)state;
	for (size_t i = 0; i < COUNT(many); i++) many[i] = (char *)(uintptr_t) "1.0";
	bad = good, bad.detail = text_of(FM_TEXT_SIZE);
	assert_refused(&bad, "AGENT_REPORT: detail is longer than 479 bytes");
	bad = good, bad.detail = (char *)(uintptr_t) "\xff";
	assert_refused(&bad, "AGENT_REPORT: detail is not UTF-8");
	bad = good, bad.node = (char *)(uintptr_t) "../x";
	assert_refused(&bad, "AGENT_REPORT: node is not a name");
	bad = good, bad.current = text_of(FM_VERSION_SIZE);
	assert_refused(&bad, "AGENT_REPORT: current is not a name");
	bad = good, bad.app = (Fermata__AppState)9;
	assert_refused(&bad, "AGENT_REPORT: app has no value 9");
	bad = good, bad.app = (Fermata__AppState)-1;
	assert_refused(&bad, "AGENT_REPORT: app has no value -1");
	bad = good, bad.releases = many, bad.n_releases = COUNT(many);
	assert_refused(&bad, "AGENT_REPORT: 17 releases, at most 16");
	many[3] = (char *)(uintptr_t) "";
	bad.n_releases = 5;
	assert_refused(&bad, "AGENT_REPORT: an empty name in releases");
}

static void
test_a_broken_gate_or_coordinator_is_refused(void **state)
{
	Fermata__GateReport report = FERMATA__GATE_REPORT__INIT;
	Fermata__GateAsk gate = FERMATA__GATE_ASK__INIT;
	Fermata__AgentAsk ask = FERMATA__AGENT_ASK__INIT;
	Fermata__NodeTraffic node = FERMATA__NODE_TRAFFIC__INIT, *nodes[FM_NODES_MAX + 1];
	struct fm_gate_report r;
	struct fm_gate_ask g;
	struct fm_agent_ask a;
	struct fm_err err;

	(void)state;
	for (size_t i = 0; i < COUNT(nodes); i++) nodes[i] = &node;
	report.nodes = nodes;
	report.n_nodes = COUNT(nodes);
	assert_int_equal(fm_gate_report_from(&report, &r, &err), -1);
	assert_string_equal(err.text, "GATE_REPORT: 33 nodes, at most 32");
	gate.mode = (Fermata__GateMode)4;
	assert_int_equal(fm_gate_ask_from(&gate, &g, &err), -1);
	assert_string_equal(err.text, "GATE_ASK: mode has no value 4");
	ask.release = (char *)(uintptr_t) "a/b";
	assert_int_equal(fm_agent_ask_from(&ask, &a, &err), -1);
	assert_string_equal(err.text, "AGENT_ASK: release is not a name");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everything_of_an_agent_s_ask_arrives),
		cmocka_unit_test(test_everything_of_an_agent_s_report_arrives),
		cmocka_unit_test(test_salt_and_facts_travel_along),
		cmocka_unit_test(test_everything_of_a_gate_s_ask_arrives),
		cmocka_unit_test(test_everything_of_a_gate_s_report_arrives),
		cmocka_unit_test(test_an_empty_report_is_a_report),
		cmocka_unit_test(test_what_the_application_printed_can_always_be_sent),
		cmocka_unit_test(test_a_broken_agent_is_refused),
		cmocka_unit_test(test_a_broken_gate_or_coordinator_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
