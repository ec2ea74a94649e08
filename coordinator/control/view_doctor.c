/* view_doctor.c - what would get in the way of the next run. Each look is a function that says what it
 * finds; the list of them is at the end. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mono.h"
#include "base/text.h"
#include "coordinator/control/control.h"
#include "coordinator/fleet/drift.h"
#include "coordinator/notify.h"
#include "loop/peer.h"
#include "loop/tls.h"

#define FINDINGS_MOST 128
#define SOON_DAYS 30

struct findings {
	Fermata__Finding findings[FINDINGS_MOST];
	Fermata__Finding *list[FINDINGS_MOST];
	char texts[FINDINGS_MOST][FM_TEXT_SIZE], nexts[FINDINGS_MOST][FM_NAME_SIZE * 4];
	unsigned count, errors;
};

__attribute__((format(printf, 5, 6))) static void
find(struct findings *f, const char *level, const char *what, const char *next, const char *fmt,
     ...)
{
	Fermata__Finding *finding = &f->findings[f->count];
	va_list args;

	if (f->count == FINDINGS_MOST) return;
	va_start(args, fmt);
	vsnprintf(f->texts[f->count], FM_TEXT_SIZE, fmt, args);
	va_end(args);
	fermata__finding__init(finding);
	finding->level = (char *)(uintptr_t)level;
	finding->what = (char *)(uintptr_t)what;
	FM_COPY(f->nexts[f->count], next);
	finding->next = f->nexts[f->count];
	finding->text = f->texts[f->count];
	if (fm_is_equal(level, "error")) f->errors++;
	f->list[f->count++] = finding;
}

/* Is a run at work on the nodes? Then they are on their way, and being there is not expected yet. */
static bool
run_is_on(const struct co_state *state)
{
	return state->run.state != CO_RUN_NONE && state->run.state != CO_RUN_ENDED;
}

static void
look_at_application(struct co_daemon *daemon, struct findings *f, unsigned i)
{
	const struct co_state *state = co_core_state(daemon->core);
	const struct fm_agent_report *report = &co_core_fleet(daemon->core)->nodes[i].report;
	const char *name = daemon->config.nodes[i];

	if (report->app == FM_APP_FAILED || report->app == FM_APP_REFUSED ||
	    report->app == FM_APP_STUCK)
		find(f, "error", name, "", "%s: %s", fm_app_state_name(report->app),
		     report->failure);
	else if (state->nodes[i].app == FM_APP_GOAL_RUNNING && report->app != FM_APP_READY)
		find(f, "warning", name, "", "to be running, and %s: %s",
		     fm_app_state_name(report->app), report->detail);
	else
		find(f, "ok", name, "", "%s, release %s", fm_app_state_name(report->app),
		     report->current);
}

/* What is expected of a node is what is wanted of it now, which in a run is not what the cluster was
 * on. */
static void
look_at_release(struct co_daemon *daemon, struct findings *f, unsigned i)
{
	const struct co_state *state = co_core_state(daemon->core);
	const struct co_fleet *fleet = co_core_fleet(daemon->core);
	const char *current = fleet->nodes[i].report.current;
	const char *want = state->nodes[i].release, *name = daemon->config.nodes[i];

	if (fm_is_empty(want)) want = state->version;
	if (fm_is_empty(want) || fm_is_equal(current, want)) return;
	if (run_is_on(state))
		find(f, "warning", name, "fermata attach",
		     "on release %s, and the run has it go to %s", current, want);
	else if (co_node_is_behind(state, fleet, i))
		find(f, "warning", name, "fermata status", "on release %s, and on its way to %s",
		     current, want);
	else
		find(f, "error", name, "", "on release %s, the cluster on %s", current, want);
}

static void
look_at_nodes(struct co_daemon *daemon, struct findings *f)
{
	const struct co_fleet *fleet = co_core_fleet(daemon->core);

	for (unsigned i = 0; i < daemon->config.node_count; i++) {
		const char *name = daemon->config.nodes[i];
		char says[FM_TEXT_SIZE];

		(void)co_say_node(daemon, i, says, sizeof(says));
		if (!fleet->nodes[i].connected) {
			find(f, "error", name, "systemctl status fermata-agent (on that node)",
			     "its agent is not connected%s%s", *says ? "; " : "", says);
			continue;
		}
		if (*says) find(f, "warning", name, "fermata status", "%s", says);
		look_at_application(daemon, f, i);
		look_at_release(daemon, f, i);
	}
}

static void
look_at_drift(struct co_daemon *daemon, struct findings *f)
{
	const struct co_fleet *fleet = co_core_fleet(daemon->core);
	const struct co_config *config = &daemon->config;
	struct co_drift found[CO_DRIFTS_MOST];

	for (unsigned i = 0; i < config->node_count; i++) {
		unsigned count = co_drift_of_node(fleet, config->nodes, config->node_count, i,
						  found);

		for (unsigned k = 0; k < count; k++)
			find(f, found[k].breaks ? "error" : "warning", config->nodes[i],
			     found[k].next, "%s", found[k].text);
	}
}

static void
look_at_gates(struct co_daemon *daemon, struct findings *f)
{
	const struct co_fleet *fleet = co_core_fleet(daemon->core);
	const struct co_state *state = co_core_state(daemon->core);

	for (unsigned i = 0; i < daemon->config.gate_count; i++) {
		const struct co_gate *gate = &fleet->gates[i];
		const char *name = daemon->config.gates[i];

		if (!gate->connected)
			find(f, "error", name, "nginx -t && systemctl status nginx (on that host)",
			     "this gate is not connected");
		else if (!fm_is_empty(gate->report.error))
			find(f, "error", name, "", "%s", gate->report.error);
		else if (gate->report.override != FM_GATE_NONE)
			find(f, "error", name, "fermata gate resume --local (on that host)",
			     "%s by hand of %s on its host",
			     fm_gate_mode_name(gate->report.override), gate->report.override_by);
		else if (!co_gate_obeys(gate, state->gate.voice))
			find(f, "warning", name, "", "has not taken the last order yet");
		else
			find(f, "ok", name, "", "%s", fm_gate_mode_name(gate->report.mode));
	}
}

static bool
is_worker(const struct co_config *config, const char *name)
{
	for (unsigned i = 0; i < config->node_count; i++)
		if (fm_is_equal(config->nodes[i], name)) return config->workers[i];
	return false;
}

/* A worker that a gate sends visitors to is drained by nobody. */
static void
look_at_peers(struct co_daemon *daemon, struct findings *f)
{
	const struct co_fleet *fleet = co_core_fleet(daemon->core);
	const struct co_config *config = &daemon->config;

	for (unsigned i = 0; i < config->gate_count; i++) {
		const struct fm_gate_report *report = &fleet->gates[i].report;

		for (unsigned k = 0; k < report->node_count; k++) {
			if (!is_worker(config, report->nodes[k].name)) continue;
			find(f, "error", config->gates[i],
			     "take it out of the upstream, then: nginx -s reload",
			     "it sends visitors to %s, which is a worker node",
			     report->nodes[k].name);
		}
	}
}

static void
look_at_end(struct findings *f, const char *name, const char *what, int64_t until)
{
	int64_t days = (until * 1000 - fm_wall_now_ms()) / (24 * 3600 * 1000);

	if (until == 0 || days >= SOON_DAYS) return;
	find(f, days < 0 ? "error" : "warning", name,
	     "fermata cert issue, then put it there and restart",
	     days < 0 ? "%s ended %lld days ago, and is not believed any more"
		      : "%s ends in %lld days; then it is not believed any more",
	     what, (long long)(days < 0 ? -days : days));
}

/* Of the coordinator, of its authority, and of everybody who is connected. */
static void
look_at_certificates(struct co_daemon *daemon, struct findings *f)
{
	const struct co_config *config = &daemon->config;

	if (fm_is_empty(daemon->settings.tls_certificate)) return;
	look_at_end(f, "coordinator", "its certificate",
		    fm_tls_file_until(daemon->settings.tls_certificate));
	look_at_end(f, "coordinator", "the authority's certificate",
		    fm_tls_file_until(daemon->settings.tls_ca));
	for (unsigned i = 0; i < config->node_count; i++)
		if (daemon->nodes[i] != NULL)
			look_at_end(f, config->nodes[i], "its certificate",
				    fm_peer_until(daemon->nodes[i]));
	for (unsigned i = 0; i < config->gate_count; i++)
		if (daemon->gates[i][0].peer != NULL)
			look_at_end(f, config->gates[i], "its certificate",
				    fm_peer_until(daemon->gates[i][0].peer));
}

static void
look_at_run(struct co_daemon *daemon, struct findings *f)
{
	struct co_run_row row;

	co_core_row(daemon->core, &row);
	if (fm_is_equal(row.state, co_run_state_name(CO_RUN_HALTED)))
		find(f, "error", "run", "fermata show", "%s", row.text);
	else if (row.run != 0 && fm_is_empty(row.end))
		find(f, "warning", "run", "fermata attach", "%s", row.text);
}

static void
look_at_way_back(struct co_daemon *daemon, struct findings *f)
{
	const struct co_way_back *back = &co_core_state(daemon->core)->back;
	char ago[40];

	if (fm_is_empty(back->restore_point)) {
		find(f, "ok", "way back", "", "none is kept: no upgrade has ended yet");
		return;
	}
	fm_format_duration(ago, sizeof(ago), fm_wall_now_ms() - back->opened_ms);
	find(f, "ok", "way back", "",
	     "to %s by restore point %s; what visitors wrote in the last %s "
	     "would be lost",
	     back->version, back->restore_point, ago);
}

static void
look_at_notify(struct co_daemon *daemon, struct findings *f)
{
	const char *why = co_notify_failure(daemon->notify);

	if (!fm_is_empty(why))
		find(f, "warning", "notify", "fermata-coordinator --try-notify",
		     "people were not told: %s", why);
	else if (daemon->notify)
		find(f, "ok", "notify", "", "people are told by [notify] command");
}

bool
co_view_doctor(struct co_daemon *daemon, struct co_client *client)
{
	static void (*const looks[])(struct co_daemon *, struct findings *) = {
		look_at_nodes,	      look_at_drift, look_at_gates,    look_at_peers,
		look_at_certificates, look_at_run,   look_at_way_back, look_at_notify,
	};
	_cleanup_free_ struct findings *f = fm_new(struct findings, 1);
	Fermata__Findings msg = FERMATA__FINDINGS__INIT;

	for (unsigned i = 0; i < sizeof(looks) / sizeof(looks[0]); i++) looks[i](daemon, f);
	msg.findings = f->list;
	msg.n_findings = f->count;
	co_answer(client, FERMATA__CONTROL_EVENT__WHAT_FINDINGS, &msg);
	return f->errors == 0;
}
