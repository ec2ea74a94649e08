/* What people read, against golden files, and the rules that a view on a terminal keeps. */
#include "coordinator/cli/render.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../test.h"
#include "base/text.h"
#include "coordinator/cli/live.h"
#include "coordinator/cli/manual.h"
#include "golden.h"
#include "made_up.h"

static const struct co_look plain = { .now_ms = NOON + 32600 };

static char *
text(const char *s)
{
	return (char *)(uintptr_t)s;
}

static void
test_what_a_node_uses(void **state)
{
	Fermata__NodeStatus node = FERMATA__NODE_STATUS__INIT;
	char ready[] = "ready", starting[] = "starting", says[FM_TEXT_SIZE];

	(void)state;
	node.connected = true;
	node.detail = ready;
	node.app = ready;
	node.memory_bytes = 512 << 20;
	node.cpu_permille = 31;
	assert_string_equal(co_node_says(says, sizeof(says), &node),
			    "ready; uses 512 MiB, 3.1 % of a core");
	node.app = starting;
	assert_string_equal(co_node_says(says, sizeof(says), &node), "ready");
}

static void
test_status(void **state)
{
	Fermata__ClusterStatus *status = made_up_status();

	(void)state;
	co_render_status(golden_open(), &plain, status);
	golden_check("cli-status.txt", golden_text());
}

static void
test_status_fits_the_terminal(void **state)
{
	struct co_look look = { .columns = 80, .rows = 24, .now_ms = NOON };
	Fermata__ClusterStatus *status = made_up_status();
	FILE *out = golden_open();

	(void)state;
	status->run = NULL;
	status->nodes[0]->failure = text("a very long sentence that an application may well say of "
					 "itself when it fails, with all that belongs to it");
	co_render_status(out, &look, status);
	for (const char *at = golden_text(), *end; (end = strchr(at, '\n')); at = end + 1) {
		assert_true(end - at <= 80);
	}
}

static void
test_operators_on_a_closed_gate_are_told(void **state)
{
	Fermata__ClusterStatus *status = made_up_status();

	(void)state;
	status->gates[0]->bypassed = 2;
	status->gates[0]->held = 7;
	co_render_status(golden_open(), &plain, status);
	assert_non_null(strstr(golden_text(), "2 of operators; 7 held"));
}

static void
test_a_link_stands_alone_on_its_line(void **state)
{
	Fermata__BypassLink link = FERMATA__BYPASS_LINK__INIT;

	(void)state;
	link.url = text("https://intranet.example/fermata-bypass/1.12.1790000060.00");
	link.run = 12;
	link.expires_ms = NOON;
	co_render_bypass(golden_open(), &plain, &link);
	assert_non_null(strstr(golden_text(), ", in run 12, to every node\n"));
	link.node = text("app1");
	co_render_bypass(golden_open(), &plain, &link);
	const char *shown = golden_text();
	assert_memory_equal(shown, link.url, strlen(link.url));
	assert_int_equal(shown[strlen(link.url)], '\n');
	assert_non_null(strstr(shown, ", in run 12, to app1\n"));
}

static void
test_the_coordinator_s_sentence_is_taken(void **state)
{
	Fermata__ClusterStatus *status = made_up_status();

	(void)state;
	status->summary = text("All is well.");
	co_render_status(golden_open(), &plain, status);
	assert_memory_equal(golden_text(), "All is well.\n", 13);
}

static void
test_run_and_its_timeline(void **state)
{
	Fermata__RunEvent rows[3];
	FILE *out = golden_open();

	(void)state;
	co_render_run(out, &plain, made_up_run());
	fputs("----\n", out);
	co_render_run(out, &plain, made_up_ended_run());
	fputs("----\n", out);
	for (size_t i = 0; i < 3; i++) {
		fermata__run_event__init(&rows[i]);
		rows[i].at_ms = NOON + (int64_t)i * 1000;
	}
	rows[0].kind = text("begin");
	rows[0].text = text("upgrade --to 2.2.16");
	rows[1].kind = text("done");
	rows[1].step = text("preflight");
	rows[1].took_ms = 400;
	rows[2].kind = text("failed");
	rows[2].step = text("first node");
	rows[2].text = text("app1: boom");
	rows[2].took_ms = 61000;
	for (size_t i = 0; i < 3; i++) co_render_event(out, &plain, &rows[i]);
	golden_check("cli-run.txt", golden_text());
}

static void
test_runs(void **state)
{
	Fermata__RunStatus *rows[] = { made_up_run(), made_up_ended_run() };
	Fermata__RunList list = FERMATA__RUN_LIST__INIT;

	(void)state;
	co_render_runs(golden_open(), &plain, &list);
	assert_string_equal(golden_text(), "no run yet\n");
	list.runs = rows;
	list.n_runs = 2;
	co_render_runs(golden_open(), &plain, &list);
	golden_check("cli-runs.txt", golden_text());
}

static void
test_plan(void **state)
{
	Fermata__Plan plan = FERMATA__PLAN__INIT;
	Fermata__PlanStep rows[3], *steps[] = { &rows[0], &rows[1] }, *back[] = { &rows[2] };
	char *refusals[] = { text("app3: its agent is not connected") };
	FILE *out = golden_open();

	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		fermata__plan_step__init(&rows[i]);
		rows[i].number = i + 1;
		rows[i].limit = text("30 s");
		rows[i].on_failure = text(i ? "roll back" : "end");
	}
	rows[0].name = text("preflight");
	rows[0].says = text("look whether everything is in order");
	rows[1].name = text("close gates");
	rows[1].says = text("show visitors the page");
	rows[1].expected_ms = 950;
	rows[2].name = text("restore");
	rows[2].says = text("restore database and storage");
	plan.procedure = text("upgrade");
	plan.args = text("upgrade --to 2.2.16");
	plan.steps = steps;
	plan.n_steps = 2;
	plan.recovery = back;
	plan.n_recovery = 1;
	plan.expected_downtime_ms = 41000;
	co_render_plan(out, &plain, &plan);
	fputs("----\n", out);
	plan.refusals = refusals;
	plan.n_refusals = 1;
	co_render_plan(out, &plain, &plan);
	golden_check("cli-plan.txt", golden_text());
}

static void
test_findings_settings_end(void **state)
{
	Fermata__Finding warning = FERMATA__FINDING__INIT, *findings[] = { &warning };
	Fermata__Findings doctor = FERMATA__FINDINGS__INIT;
	Fermata__Setting rows[3], *settings[] = { &rows[0], &rows[1], &rows[2] };
	Fermata__Settings config = FERMATA__SETTINGS__INIT;
	Fermata__End end = FERMATA__END__INIT;
	FILE *out = golden_open();

	(void)state;
	warning.level = text("warning");
	warning.what = text("space");
	warning.text = text("1.2 GB are free for restore points");
	warning.next = text("make room below restore_points");
	doctor.findings = findings;
	doctor.n_findings = 1;
	co_render_findings(out, &plain, &doctor);
	for (size_t i = 0; i < 3; i++) {
		fermata__setting__init(&rows[i]);
		rows[i].section = text(i < 2 ? "cluster" : "database");
		rows[i].key = text(i == 0 ? "name" : i == 1 ? "gates" : "schema");
		rows[i].value = text(i == 0 ? "demo" : i == 1 ? "" : "public");
		rows[i].origin = text(i == 0 ? "coordinator.ini:2" : "default");
	}
	config.settings = settings;
	config.n_settings = 3;
	fputs("----\n", out);
	co_render_settings(out, &plain, &config);
	end.text = text("the cluster serves 2.2.16");
	end.next = text("fermata show 12");
	fputs("----\n", out);
	co_render_end(out, &plain, &end);
	golden_check("cli-others.txt", golden_text());
}

/* --- the view on a terminal --------------------------------------------------------------- */

static const char *
live(unsigned columns, unsigned rows, bool color, const char *notice)
{
	struct co_look look = { color, columns, rows, NOON + 32600 };
	struct co_live view = {
		.status = made_up_status(),
		.run = made_up_run(),
		.notice = notice,
		.hint = "Ctrl-C leaves; the run goes on",
	};

	co_live_render(golden_open(), &look, &view);
	return golden_text();
}

static void
test_live(void **state)
{
	(void)state;
	golden_check("cli-live-80x24.txt", live(80, 24, false, NULL));
	golden_check("cli-live-64x14.txt", live(64, 14, false, "lost the coordinator"));
}

/* On any terminal: never a line too wide, never a line too many, always the step that runs, what
 * it waits for, the notice and the hint. */
static void
test_live_fits_every_terminal(void **state)
{
	(void)state;
	for (unsigned rows = 12; rows <= 50; rows++) {
		for (unsigned columns = 20; columns <= 200; columns += 9) {
			const char *view = live(columns, rows, rows % 2, "lost");
			unsigned lines = 0;
			for (const char *at = view, *end; (end = strchr(at, '\n')); at = end + 1) {
				char line[1024];
				FM_FORMAT(line, "%.*s", (int)(end - at), at);
				assert_true(co_width(line) < columns);
				lines++;
			}
			if (lines > rows - 1)
				fail_msg("%u lines on %u rows:\n%s", lines, rows, view);
			assert_non_null(strstr(view, "waiting"));
			assert_non_null(strstr(view, "lost"));
			assert_non_null(strstr(view, "Ctrl-C leaves"));
		}
	}
}

static void
test_live_says_what_to_type_when_it_waits(void **state)
{
	struct co_look look = { false, 80, 24, NOON + 50000 };
	Fermata__RunStatus *run = made_up_run();
	struct co_live view = { .run = run };

	(void)state;
	run->state = text("held");
	run->text = text("2.2.16 runs on app1, the gates are closed");
	run->next = text("fermata approve 12, or fermata reject 12");
	co_live_render(golden_open(), &look, &view);
	assert_non_null(strstr(golden_text(), "next: fermata approve 12, or fermata reject 12\n"));
}

static void
test_live_before_anything_is_known(void **state)
{
	struct co_look look = { false, 80, 24, NOON };
	struct co_live view = { 0 };

	(void)state;
	co_live_render(golden_open(), &look, &view);
	assert_memory_equal(golden_text(), "waiting for the run to begin\n", 29);
}

/* --- what the table of commands says ------------------------------------------------------ */

static void
test_the_table_and_its_manual(void **state)
{
	FILE *out;

	(void)state;
	co_manual_table(golden_open());
	golden_check("commands.txt", golden_text());
	out = golden_open();
	co_manual_all(out);
	for (const struct co_command *c = co_commands; c->name; c++) {
		fputs("----\n", out);
		co_manual_command(out, c);
	}
	golden_check("help.txt", golden_text());
	co_manual_bash(golden_open());
	golden_check("completion.bash", golden_text());
	co_manual_scdoc(golden_open());
	assert_null(strstr(golden_text(), "``"));
}

static void
test_help_finds_groups(void **state)
{
	(void)state;
	assert_true(co_manual_words(golden_open(), "maintenance"));
	const char *text_of_both = golden_text();
	assert_non_null(strstr(text_of_both, "fermata maintenance begin -"));
	assert_non_null(strstr(text_of_both, "\n\nfermata maintenance end -"));
	assert_int_not_equal(text_of_both[0], '\n');
	assert_false(co_manual_words(golden_open(), "maint"));
	assert_string_equal(golden_text(), "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_operators_on_a_closed_gate_are_told),
		cmocka_unit_test(test_a_link_stands_alone_on_its_line),
		cmocka_unit_test(test_what_a_node_uses),
		cmocka_unit_test(test_status_fits_the_terminal),
		cmocka_unit_test(test_the_coordinator_s_sentence_is_taken),
		cmocka_unit_test(test_run_and_its_timeline),
		cmocka_unit_test(test_runs),
		cmocka_unit_test(test_plan),
		cmocka_unit_test(test_findings_settings_end),
		cmocka_unit_test(test_live),
		cmocka_unit_test(test_live_fits_every_terminal),
		cmocka_unit_test(test_live_says_what_to_type_when_it_waits),
		cmocka_unit_test(test_live_before_anything_is_known),
		cmocka_unit_test(test_the_table_and_its_manual),
		cmocka_unit_test(test_help_finds_groups),
	};

	(void)setenv("TZ", "UTC", 1);
	tzset();
	assert_non_null(setlocale(LC_ALL, "C.UTF-8"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
