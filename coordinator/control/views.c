/* views.c - the cluster and its runs as messages. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mono.h"
#include "base/text.h"
#include "coordinator/control/control.h"
#include "loop/peer.h"

/* protobuf-c wants char *, and only reads. */
#define TEXT(s) ((char *)(uintptr_t)(s))
#define EVENTS_MOST 2000
#define STEPS_MOST 256

void
co_answer(struct co_client *client, Fermata__ControlEvent__WhatCase what, void *body)
{
	Fermata__ControlEvent event = FERMATA__CONTROL_EVENT__INIT;

	event.what_case = what;
	event.status = body; /* a union of pointers: any of them will do */
	fm_peer_send(client->peer, FERMATA__ENVELOPE__BODY_CONTROL_EVENT, &event);
}

void
co_answer_end(struct co_client *client, Fermata__ExitCode code, const char *text, const char *next,
	      uint64_t run)
{
	Fermata__End end = FERMATA__END__INIT;

	end.code = code;
	end.text = TEXT(text);
	end.next = TEXT(next);
	end.run = run;
	co_answer(client, FERMATA__CONTROL_EVENT__WHAT_END, &end);
}

static void
fill_event(Fermata__RunEvent *msg, const struct co_event_row *row)
{
	fermata__run_event__init(msg);
	msg->run = row->run;
	msg->number = row->number;
	msg->at_ms = row->at_ms;
	msg->kind = TEXT(row->kind);
	msg->step = TEXT(row->step);
	msg->text = TEXT(row->text);
	msg->took_ms = row->took_ms;
}

void
co_view_event(struct co_client *client, const struct co_event_row *row)
{
	Fermata__RunEvent msg;

	fill_event(&msg, row);
	co_answer(client, FERMATA__CONTROL_EVENT__WHAT_EVENT, &msg);
}

int
co_view_events(struct co_daemon *daemon, struct co_client *client, uint64_t run, uint64_t after,
	       struct fm_err *err)
{
	_cleanup_free_ struct co_event_row *rows = NULL;
	_cleanup_free_ Fermata__RunEvent *events = NULL;
	_cleanup_free_ Fermata__RunEvent **list = NULL;
	Fermata__RunEvents msg = FERMATA__RUN_EVENTS__INIT;
	unsigned count = 0;

	if (co_journal_events(daemon->journal, run, after, EVENTS_MOST, &rows, &count, err) != 0)
		return -1;
	events = fm_new(Fermata__RunEvent, count + 1);
	list = fm_new(Fermata__RunEvent *, count + 1);
	for (unsigned i = 0; i < count; i++) {
		fill_event(&events[i], &rows[i]);
		list[i] = &events[i];
	}
	msg.events = list;
	msg.n_events = count;
	co_answer(client, FERMATA__CONTROL_EVENT__WHAT_EVENTS, &msg);
	return 0;
}

static void
fill_run(Fermata__RunStatus *msg, const struct co_run_row *row)
{
	fermata__run_status__init(msg);
	msg->run = row->run;
	msg->procedure = TEXT(row->procedure);
	msg->args = TEXT(row->args);
	msg->state = TEXT(row->state);
	msg->end = TEXT(row->end);
	msg->text = TEXT(row->text);
	msg->next = TEXT(row->next);
	msg->began_ms = row->began_ms;
	msg->ended_ms = row->ended_ms;
	msg->closed_ms = row->closed_ms;
	msg->opened_ms = row->opened_ms;
	msg->who = TEXT(row->who);
	msg->why = TEXT(row->why);
	msg->restore_point = TEXT(row->restore_point);
}

/* A run's steps, as its events tell of them; then those that are still to come. */
struct steps {
	Fermata__StepStatus steps[STEPS_MOST];
	Fermata__StepStatus *list[STEPS_MOST];
	unsigned count;
	bool recovering;
};

static Fermata__StepStatus *
add_step(struct steps *s, const char *name, const char *says, const char *state)
{
	Fermata__StepStatus *step = NULL;

	if (s->count == STEPS_MOST) return NULL;
	step = &s->steps[s->count];
	fermata__step_status__init(step);
	step->name = TEXT(name);
	step->says = TEXT(says);
	step->state = TEXT(state);
	step->table = TEXT(s->recovering ? "recovery" : "steps");
	s->list[s->count++] = step;
	return step;
}

static void
take_event(struct steps *s, const struct co_event_row *row)
{
	Fermata__StepStatus *last = s->count == 0 ? NULL : &s->steps[s->count - 1];
	bool begins = fm_is_equal(row->kind, "step") || fm_is_equal(row->kind, "held");

	if (begins && last != NULL && fm_is_equal(last->state, "running") &&
	    fm_is_equal(last->name, row->step))
		return; /* the same row again, after a restart or a retry */
	if (begins && (last == NULL || !fm_is_equal(row->text, "paused by a person"))) {
		last = add_step(s, row->step, row->text, "running");
		if (last != NULL) last->began_ms = row->at_ms;
		return;
	}
	if (last == NULL) return;
	if (fm_is_equal(row->kind, "done")) {
		last->state = TEXT("done");
		last->took_ms = row->took_ms;
		last->why = TEXT(row->text);
	}
	if (fm_is_equal(row->kind, "turn")) s->recovering = true;
	if (fm_is_equal(row->kind, "turn") || fm_is_equal(row->kind, "failed") ||
	    fm_is_equal(row->kind, "halted")) {
		last->state = TEXT("failed");
		last->why = TEXT(row->text);
	}
}

/* Rows of the current run's table that are not reached yet. */
static void
add_pending(struct co_daemon *daemon, struct steps *s)
{
	const struct co_run *run = &co_core_state(daemon->core)->run;
	struct co_order order = { .yes = run->yes, .no_backup = run->no_backup, .page = run->page };
	const struct co_step *step = co_core_step(daemon->core);

	if (step == NULL) return;
	if (s->count > 0) s->steps[s->count - 1].waiting_for = TEXT(co_core_waiting(daemon->core));
	for (step++; step->name != NULL; step++)
		if (co_step_applies(daemon->core, step, &order))
			add_step(s, step->name, step->says, "pending");
}

int
co_view_run(struct co_daemon *daemon, struct co_client *client, uint64_t run, struct fm_err *err)
{
	_cleanup_free_ struct co_event_row *rows = NULL;
	_cleanup_free_ struct steps *s = fm_new(struct steps, 1);
	struct co_run_row row;
	Fermata__RunStatus msg;
	unsigned count = 0;

	co_core_row(daemon->core, &row);
	if (row.run != run && co_journal_run(daemon->journal, run, &row, err) != 0) return -1;
	if (co_journal_events(daemon->journal, run, 0, EVENTS_MOST, &rows, &count, err) != 0)
		return -1;
	for (unsigned i = 0; i < count; i++) take_event(s, &rows[i]);
	if (run == co_core_state(daemon->core)->run.number) add_pending(daemon, s);
	fill_run(&msg, &row);
	msg.steps = s->list;
	msg.n_steps = s->count;
	co_answer(client, FERMATA__CONTROL_EVENT__WHAT_RUN, &msg);
	return 0;
}

int
co_view_runs(struct co_daemon *daemon, struct co_client *client, unsigned most, struct fm_err *err)
{
	_cleanup_free_ struct co_run_row *rows = NULL;
	_cleanup_free_ Fermata__RunStatus *runs = NULL;
	_cleanup_free_ Fermata__RunStatus **list = NULL;
	Fermata__RunList msg = FERMATA__RUN_LIST__INIT;
	unsigned count = 0;

	if (co_journal_runs(daemon->journal, most, &rows, &count, err) != 0) return -1;
	runs = fm_new(Fermata__RunStatus, count + 1);
	list = fm_new(Fermata__RunStatus *, count + 1);
	for (unsigned i = 0; i < count; i++) {
		fill_run(&runs[i], &rows[i]);
		list[i] = &runs[i];
	}
	msg.runs = list;
	msg.n_runs = count;
	co_answer(client, FERMATA__CONTROL_EVENT__WHAT_RUNS, &msg);
	return 0;
}

static int64_t
silence(bool reported, struct fm_mono heard)
{
	return reported ? fm_mono_since(fm_mono_now(), heard) : 0;
}

bool
co_node_is_behind(const struct co_state *state, const struct co_fleet *fleet, unsigned i)
{
	const struct fm_agent_ask *want = &state->nodes[i];
	const struct co_node *node = &fleet->nodes[i];

	if (!co_is_without(&state->run, state->node_names[i])) return false;
	if (!node->connected || !co_node_obeys(node, want->voice)) return true;
	if (want->app == FM_APP_GOAL_RUNNING) return node->report.app != FM_APP_READY;
	return !fm_is_empty(want->release) && !fm_is_equal(node->report.current, want->release);
}

const char *
co_say_node(const struct co_daemon *daemon, unsigned i, char *text, size_t size)
{
	const struct co_state *state = co_core_state(daemon->core);
	const struct co_fleet *fleet = co_core_fleet(daemon->core);
	unsigned long long run = state->run.number;
	char service[FM_TEXT_SIZE];

	co_core_say_service(daemon->core, i, service, sizeof(service));
	fm_format(text, size, "%s", "");
	if (!co_node_is_behind(state, fleet, i))
		;
	else if (fleet->nodes[i].connected)
		fm_format(text, size, "catches up, as run %llu went on without it", run);
	else if (state->run.state == CO_RUN_ENDED)
		fm_format(text, size,
			  "run %llu went on without it; it catches up by itself when it is back",
			  run);
	else
		fm_format(text, size,
			  "the run goes on without it (--without); it catches up by itself when it "
			  "is back");
	if (!fm_is_empty(service))
		fm_append(text, size, "%s%s", fm_is_empty(text) ? "" : "; ", service);
	return text;
}

struct node_texts {
	char says[FM_TEXT_SIZE], detail[2 * FM_TEXT_SIZE];
};

/* What it does, down to the statement that runs for it. */
static const char *
say_detail(const struct fm_agent_report *report, char *text, size_t size)
{
	fm_copy(text, size, report->detail);
	co_say_sql(report, text, size);
	return text;
}

static void
fill_node(struct co_daemon *daemon, unsigned i, struct node_texts *texts, Fermata__NodeStatus *msg)
{
	const struct co_node *node = &co_core_fleet(daemon->core)->nodes[i];
	const struct co_state *state = co_core_state(daemon->core);
	struct fm_node_traffic traffic = co_fleet_traffic(
		co_core_fleet(daemon->core), daemon->config.gate_count, daemon->config.nodes[i]);

	fermata__node_status__init(msg);
	msg->name = TEXT(daemon->config.nodes[i]);
	msg->connected = node->connected;
	msg->silent_ms = silence(node->reported, node->heard);
	msg->app = TEXT(fm_app_state_name(node->report.app));
	msg->release = TEXT(node->report.current);
	msg->running = TEXT(node->report.running);
	msg->detail = TEXT(say_detail(&node->report, texts->detail, sizeof(texts->detail)));
	msg->failure = TEXT(node->report.failure);
	msg->address = TEXT(node->report.address);
	msg->memory_bytes = node->report.memory_bytes;
	msg->cpu_permille = node->report.cpu_permille;
	msg->goal = TEXT(fm_app_goal_name(state->nodes[i].app));
	msg->worker = daemon->config.workers[i];
	msg->in_flight = traffic.in_flight;
	msg->websockets = traffic.websockets;
	msg->idle = traffic.idle;
	msg->says = TEXT(co_say_node(daemon, i, texts->says, sizeof(texts->says)));
	msg->without = co_node_is_behind(state, co_core_fleet(daemon->core), i);
	msg->drained = co_core_is_drained(daemon->core, i);
	if (daemon->last_words[i] == NULL) return;
	msg->output = daemon->last_words[i]->lines;
	msg->n_output = daemon->last_words[i]->n_lines;
}

static bool
is_without(const struct co_daemon *daemon, unsigned gate)
{
	const struct co_run *run = &co_core_state(daemon->core)->run;

	return run->state != CO_RUN_NONE && run->state != CO_RUN_ENDED &&
	       co_is_without(run, daemon->config.gates[gate]);
}

/* What is special about a gate, in one sentence; empty: nothing. */
static const char *
say_gate(const struct co_daemon *daemon, unsigned i, char *text, size_t size)
{
	const struct co_gate *gate = &co_core_fleet(daemon->core)->gates[i];
	const struct fm_gate_report *report = &gate->report;

	fm_format(text, size, "%s", "");
	if (is_without(daemon, i))
		fm_format(text, size, "the run goes on without it (--without); %s",
			  gate->connected ? "it is back, and obeys" : "it obeys when it is back");
	else if (gate->connected && report->override != FM_GATE_NONE)
		fm_format(
			text, size,
			"%s by hand of %s on its host; there, to end that: fermata gate resume --local",
			fm_gate_mode_name(report->override), report->override_by);
	else if (gate->connected && report->waiting)
		fm_format(text, size,
			  "has just started, and shows the page until it is told the newest");
	else if (gate->session_count > 1)
		fm_format(text, size, "%u nginx of this name: its binary is being replaced",
			  gate->session_count);
	return text;
}

static void
fill_gate(struct co_daemon *daemon, unsigned i, char *says, Fermata__GateStatus *msg)
{
	const struct co_gate *gate = &co_core_fleet(daemon->core)->gates[i];

	fermata__gate_status__init(msg);
	msg->name = TEXT(daemon->config.gates[i]);
	msg->connected = gate->connected;
	msg->silent_ms = silence(gate->reported, gate->heard);
	msg->mode = TEXT(fm_gate_mode_name(gate->report.mode));
	msg->pinned = TEXT(gate->report.pinned);
	msg->in_flight = gate->report.in_flight;
	msg->websockets = gate->report.websockets;
	msg->tabs = gate->report.tabs;
	msg->passed = gate->report.passed;
	msg->refused = gate->report.refused;
	msg->bypassed = gate->report.bypassed;
	msg->held = gate->report.held;
	msg->error = TEXT(gate->report.error);
	msg->workers = gate->report.workers;
	msg->generations = gate->report.generations;
	msg->idle = gate->report.idle;
	if (gate->report.override != FM_GATE_NONE)
		msg->override = TEXT(fm_gate_mode_name(gate->report.override));
	msg->says = TEXT(say_gate(daemon, i, says, FM_TEXT_SIZE));
	msg->sessions = gate->session_count;
	msg->without = is_without(daemon, i);
}

/* Where the run stands, and what for. */
static void
fill_current_step(struct co_daemon *daemon, Fermata__StepStatus *msg)
{
	const struct co_step *step = co_core_step(daemon->core);

	fermata__step_status__init(msg);
	msg->name = TEXT(step->name);
	msg->says = TEXT(step->says);
	msg->state = TEXT("running");
	msg->began_ms = co_core_state(daemon->core)->run.step_ms;
	msg->waiting_for = TEXT(co_core_waiting(daemon->core));
}

void
co_view_status(struct co_daemon *daemon, struct co_client *client)
{
	const struct co_state *state = co_core_state(daemon->core);
	Fermata__NodeStatus nodes[FM_NODES_MAX], *node_list[FM_NODES_MAX];
	Fermata__GateStatus gates[FM_GATES_MAX], *gate_list[FM_GATES_MAX];
	Fermata__ClusterStatus msg = FERMATA__CLUSTER_STATUS__INIT;
	char says[FM_GATES_MAX][FM_TEXT_SIZE];
	struct node_texts texts[FM_NODES_MAX];
	Fermata__StepStatus step, *steps[] = { &step };
	Fermata__RunStatus run;
	struct co_run_row row;

	for (unsigned i = 0; i < daemon->config.node_count; i++) {
		fill_node(daemon, i, &texts[i], &nodes[i]);
		node_list[i] = &nodes[i];
	}
	for (unsigned i = 0; i < daemon->config.gate_count; i++) {
		fill_gate(daemon, i, says[i], &gates[i]);
		gate_list[i] = &gates[i];
	}
	co_core_row(daemon->core, &row);
	fill_run(&run, &row);
	if (co_core_step(daemon->core) != NULL) {
		fill_current_step(daemon, &step);
		run.steps = steps;
		run.n_steps = 1;
	}
	msg.cluster = daemon->settings.cluster;
	msg.database = TEXT(state->version);
	msg.public_state = TEXT(fm_gate_mode_name(state->gate.mode));
	msg.epoch = state->epoch;
	msg.nodes = node_list;
	msg.n_nodes = daemon->config.node_count;
	msg.gates = gate_list;
	msg.n_gates = daemon->config.gate_count;
	if (row.run != 0) msg.run = &run;
	msg.coordinator = TEXT("fermata-coordinator " FM_VERSION);
	msg.summary = row.text;
	msg.back_at = state->gate.back_at;
	msg.back_estimated = state->gate.estimated;
	co_answer(client, FERMATA__CONTROL_EVENT__WHAT_STATUS, &msg);
}
