/* The metrics of a made-up fleet, against tests/golden/metrics.txt; and what is counted. */
#include "coordinator/http/metrics.h"

#include <stdlib.h>
#include <string.h>

#include "../../test.h"
#include "../cli/golden.h"
#include "base/cleanup.h"
#include "base/text.h"

#define NOW_MS 1700000600000
#define AN_HOUR_AGO (NOW_MS - 3600000)

struct made_up {
	struct co_state state;
	struct co_fleet fleet;
	struct co_config config;
	struct co_tally tally;
	struct co_picture picture;
};

static void
make_nodes(struct made_up *m)
{
	static const char *const names[] = { "app1", "app2", "jobs1" };
	struct co_node *nodes = m->fleet.nodes;

	m->config.node_count = m->state.node_count = 3;
	for (unsigned i = 0; i < 3; i++) {
		FM_COPY(m->config.nodes[i], names[i]);
		FM_COPY(m->state.node_names[i], names[i]);
		m->state.nodes[i].app = FM_APP_GOAL_RUNNING;
	}
	m->config.workers[2] = true;
	nodes[0] = (struct co_node){ .connected = true, .reported = true, .heard = { 99250 } };
	nodes[0].report = (struct fm_agent_report){ .app = FM_APP_READY,
						    .pids = 4,
						    .starts = 7,
						    .memory_bytes = 734003200,
						    .cpu_permille = 1250 };
	FM_COPY(nodes[0].report.current, "2.2.16");
	FM_COPY(nodes[0].report.running, "2.2.16");
	nodes[0].facts.known = true;
	nodes[0].clock_off_ms = 60000;
	FM_COPY(nodes[0].facts.worker_mode, "*");
	nodes[1] = (struct co_node){ .reported = true, .heard = { 40000 } };
	nodes[1].report = (struct fm_agent_report){ .app = FM_APP_FAILED, .pids = 2 };
	FM_COPY(nodes[1].report.current, "2.2.16");
}

static void
make_gates(struct made_up *m)
{
	struct co_gate *gate = &m->fleet.gates[0];

	m->config.gate_count = 2;
	FM_COPY(m->config.gates[0], "gate1");
	FM_COPY(m->config.gates[1], "gate2");
	*gate = (struct co_gate){ .connected = true, .reported = true, .session_count = 1 };
	gate->heard.ms = 99900;
	gate->report = (struct fm_gate_report){ .voice = { 9, 41 },
						.mode = FM_GATE_CLOSED,
						.in_flight = 3,
						.websockets = 2,
						.idle = 5,
						.workers = 4,
						.generations = 1,
						.tabs = 120,
						.held = 6,
						.bypassed = 1,
						.passed = 1234567890123,
						.refused = 4567,
						.node_count = 1,
						.nodes = { { "app1", 3, 2, 5 } } };
	m->state.gate = (struct fm_gate_ask){ .voice = { 9, 41 },
					      .mode = FM_GATE_CLOSED,
					      .back_at = 1700000900,
					      .drained_count = 1,
					      .drained = { "app2" } };
}

static void
make_run(struct made_up *m)
{
	struct co_run *run = &m->state.run;

	run->number = 12;
	run->state = CO_RUN_HALTED;
	run->began_ms = NOW_MS - 302500;
	run->step_ms = NOW_MS - 90000;
	FM_COPY(run->procedure, "upgrade");
	FM_COPY(run->step, "start first");
	run->without_count = 2;
	FM_COPY(run->without[0], "app2");
	FM_COPY(run->without[1], "gate2");
	m->tally = (struct co_tally){ .commits = 1042, .closed_ms = NOW_MS - 61250 };
	co_tally_ended(&m->tally, "upgrade", "done", 3, 10);
	co_tally_ended(&m->tally, "upgrade", "rolled-back", 1, 11);
	co_tally_ended(&m->tally, "page on", "done", 2, 9);
}

static int
set_up(void **state)
{
	struct made_up *m = fm_new(struct made_up, 1);

	FM_COPY(m->config.cluster, "intranet");
	FM_COPY(m->state.version, "2.2.15");
	make_nodes(m);
	make_gates(m);
	make_run(m);
	m->picture = (struct co_picture){ .state = &m->state,
					  .fleet = &m->fleet,
					  .config = &m->config,
					  .tally = &m->tally,
					  .now = { 100000 },
					  .wall_ms = NOW_MS,
					  .started_ms = AN_HOUR_AGO,
					  .journal_bytes = 81920 };
	*state = m;
	return 0;
}

static int
tear_down(void **state)
{
	free(*state);
	return 0;
}

static const char *
written(const struct made_up *m)
{
	co_metrics_write(&m->picture, golden_open());
	return golden_text();
}

/* The value of one sample, as it is written; fails the test when there is none. */
static const char *
value(const struct made_up *m, const char *sample)
{
	static char found[64];
	char line[256];
	const char *at = NULL;

	FM_FORMAT(line, "\n%s ", sample);
	at = strstr(written(m), line);
	if (!at) fail_msg("no sample %s", sample);
	FM_FORMAT(found, "%.*s", (int)strcspn(at + strlen(line), "\n"), at + strlen(line));
	return found;
}

#define assert_value(m, sample, is) assert_string_equal(value((m), (sample)), (is))

static void
test_a_fleet_is_written_as_it_is_kept(void **state)
{
	golden_check("metrics.txt", written(*state));
}

static void
test_text_from_outside_stays_inside_its_label(void **state)
{
	struct made_up *m = *state;

	FM_COPY(m->fleet.nodes[0].report.current, "1\"} 1\n# \\ \x1b[31m\xc3\xa9\xff");
	assert_non_null(strstr(written(m),
			       "fermata_node_info{node=\"app1\",release=\"1\\\"} 1\\n# \\\\ "
			       "?[31m\xc3\xa9?\",running=\"2.2.16\",role=\"server\"} 1\n"));
}

static void
test_what_is_not_known_is_not_said(void **state)
{
	struct made_up *m = *state;
	const char *text = NULL;

	text = written(m);
	assert_non_null(strstr(text, "fermata_node_state{node=\"app2\",state=\"failed\"} 1\n"));
	assert_null(strstr(text, "fermata_node_memory_bytes{node=\"app2\"}"));
	assert_null(strstr(text, "fermata_node_state{node=\"jobs1\""));
	assert_null(strstr(text, "fermata_gate_tabs{gate=\"gate2\"}"));
	assert_value(m, "fermata_gate_connected{gate=\"gate2\"}", "0");
	m->state.run = (struct co_run){ .number = 0 };
	assert_null(strstr(written(m), "\nfermata_run_info{"));
	assert_value(m, "fermata_run_state{state=\"none\"}", "1");
}

static void
test_a_node_away_is_not_ready_whatever_it_said(void **state)
{
	struct made_up *m = *state;

	assert_value(m, "fermata_node_ready{node=\"app1\"}", "1");
	m->fleet.nodes[0].connected = false;
	assert_value(m, "fermata_node_ready{node=\"app1\"}", "0");
}

static void
test_a_gate_of_an_earlier_voice_has_not_followed(void **state)
{
	struct made_up *m = *state;

	assert_value(m, "fermata_gate_in_force{gate=\"gate1\"}", "1");
	m->state.gate.voice.seq++;
	assert_value(m, "fermata_gate_in_force{gate=\"gate1\"}", "0");
	m->state.gate.voice.seq--;
	m->fleet.gates[0].connected = false;
	assert_value(m, "fermata_gate_in_force{gate=\"gate1\"}", "0");
}

static void
test_a_run_waits_for_a_person_where_only_one_can_go_on(void **state)
{
	static const struct {
		enum co_run_state state;
		enum co_end end;
		const char *waits, *active;
	} rows[] = {
		{ CO_RUN_NONE, CO_END_NONE, "0", "0" },
		{ CO_RUN_RUNNING, CO_END_NONE, "0", "1" },
		{ CO_RUN_HELD, CO_END_NONE, "1", "1" },
		{ CO_RUN_PAUSED, CO_END_NONE, "1", "1" },
		{ CO_RUN_HALTED, CO_END_NONE, "1", "1" },
		{ CO_RUN_ENDED, CO_END_DONE, "0", "0" },
		{ CO_RUN_ENDED, CO_END_NEEDS_OPERATOR, "1", "0" },
	};
	struct made_up *m = *state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		m->state.run.state = rows[i].state;
		m->state.run.end = rows[i].end;
		assert_value(m, "fermata_run_waits_for_person", rows[i].waits);
		assert_value(m, "fermata_run_active", rows[i].active);
	}
	assert_value(m, "fermata_run_duration_seconds", "0.000");
}

static void
test_only_who_may_get_visitors_is_in_service(void **state)
{
	struct made_up *m = *state;

	m->state.gate.mode = FM_GATE_OPEN;
	assert_value(m, "fermata_node_in_service{node=\"app1\"}", "1");
	assert_value(m, "fermata_node_in_service{node=\"app2\"}", "0");
	assert_value(m, "fermata_node_in_service{node=\"jobs1\"}", "0");
	m->state.gate.mode = FM_GATE_PINNED;
	m->state.gate.drained_count = 0;
	FM_COPY(m->state.gate.pinned, "app2");
	assert_value(m, "fermata_node_in_service{node=\"app1\"}", "0");
	assert_value(m, "fermata_node_in_service{node=\"app2\"}", "1");
}

static void
test_a_clock_that_was_set_back_makes_nothing_negative(void **state)
{
	struct made_up *m = *state;

	m->picture.wall_ms = AN_HOUR_AGO;
	assert_value(m, "fermata_run_duration_seconds", "0.000");
	assert_value(m, "fermata_shut_out_seconds", "0.000");
}

static void
test_a_run_that_ends_is_counted_once(void **state)
{
	struct made_up *m = *state;
	struct co_run_row row = { .run = 12, .procedure = "upgrade" };

	co_tally_commit(&m->tally, &m->state, &row, NOW_MS);
	assert_value(m, "fermata_runs_ended_total{command=\"upgrade\",end=\"done\"}", "3");
	FM_COPY(row.end, "done");
	co_tally_commit(&m->tally, &m->state, &row, NOW_MS);
	co_tally_commit(&m->tally, &m->state, &row, NOW_MS);
	assert_value(m, "fermata_runs_ended_total{command=\"upgrade\",end=\"done\"}", "4");
	co_tally_ended(&m->tally, "of another version", "done", 5, 13);
	co_tally_ended(&m->tally, "upgrade", "in another way", 5, 14);
	assert_value(m, "fermata_runs_ended_total{command=\"upgrade\",end=\"done\"}", "4");
	assert_value(m, "fermata_journal_commits_total", "1045");
}

static void
test_the_page_is_up_from_its_first_commit_on(void **state)
{
	struct made_up *m = *state;

	co_tally_commit(&m->tally, &m->state, NULL, NOW_MS);
	assert_value(m, "fermata_shut_out_seconds", "61.250");
	m->state.gate.mode = FM_GATE_OPEN;
	co_tally_commit(&m->tally, &m->state, NULL, NOW_MS);
	assert_value(m, "fermata_shut_out_seconds", "0.000");
	m->state.gate.mode = FM_GATE_CLOSED;
	co_tally_commit(&m->tally, &m->state, NULL, NOW_MS - 2000);
	assert_value(m, "fermata_shut_out_seconds", "2.000");
}

static void
test_a_journal_that_refuses_is_said_until_it_takes_again(void **state)
{
	struct made_up *m = *state;

	co_tally_refusal(&m->tally);
	assert_value(m, "fermata_journal_writable", "0");
	assert_value(m, "fermata_journal_refused_total", "1");
	assert_value(m, "fermata_journal_commits_total", "1042");
	co_tally_commit(&m->tally, &m->state, NULL, NOW_MS);
	assert_value(m, "fermata_journal_writable", "1");
	assert_value(m, "fermata_journal_refused_total", "1");
}

static void
test_every_procedure_has_a_place_in_the_tally(void **state)
{
	unsigned count = 0;

	(void)state;
	while (co_procedures[count] != NULL) count++;
	assert_in_range(count, 1, CO_TALLY_PROCEDURES);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_fleet_is_written_as_it_is_kept),
		TEST(test_text_from_outside_stays_inside_its_label),
		TEST(test_what_is_not_known_is_not_said),
		TEST(test_a_node_away_is_not_ready_whatever_it_said),
		TEST(test_a_gate_of_an_earlier_voice_has_not_followed),
		TEST(test_a_run_waits_for_a_person_where_only_one_can_go_on),
		TEST(test_only_who_may_get_visitors_is_in_service),
		TEST(test_a_clock_that_was_set_back_makes_nothing_negative),
		TEST(test_a_run_that_ends_is_counted_once),
		TEST(test_the_page_is_up_from_its_first_commit_on),
		TEST(test_a_journal_that_refuses_is_said_until_it_takes_again),
		TEST(test_every_procedure_has_a_place_in_the_tally),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
