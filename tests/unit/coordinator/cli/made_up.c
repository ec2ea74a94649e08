#include "made_up.h"

#include <stdbool.h>

#include "../../test.h"

#define STEPS 11

static Fermata__StepStatus step_rows[STEPS];
static Fermata__StepStatus *step_list[STEPS];

static const struct {
	const char *name, *says, *state;
	int64_t began_ms, took_ms;
	const char *waiting_for;
} steps[STEPS] = {
	{ "preflight", "look whether everything is in order", "done", NOON, 400, "" },
	{ "fetch", "fetch the version on every node", "done", NOON + 400, 21300, "" },
	{ "close gates", "show visitors the page", "done", NOON + 21700, 900, "" },
	{ "stop nodes", "stop the application everywhere", "done", NOON + 22600, 2400, "" },
	{ "first node", "start the first node, which migrates", "running", NOON + 25000, 0,
	  "app1: starting: before load plugin [acl], 12/77" },
	{ "verify", "check the first node", "pending", 0, 0, "" },
	{ "approve", "a person looks at it", "pending", 0, 0, "" },
	{ "other nodes", "start the others", "pending", 0, 0, "" },
	{ "open gates", "let visitors in", "pending", 0, 0, "" },
	{ "keep", "keep what a rollback needs", "pending", 0, 0, "" },
	{ "sweep", "remove what is older", "pending", 0, 0, "" },
};

/* The schema's texts are not const; nothing writes to ours. */
static char *
text(const char *s)
{
	return (char *)(uintptr_t)s;
}

static void
fill_steps(Fermata__RunStatus *run)
{
	for (size_t i = 0; i < STEPS; i++) {
		fermata__step_status__init(&step_rows[i]);
		step_rows[i].name = text(steps[i].name);
		step_rows[i].says = text(steps[i].says);
		step_rows[i].state = text(steps[i].state);
		step_rows[i].began_ms = steps[i].began_ms;
		step_rows[i].took_ms = steps[i].took_ms;
		step_rows[i].waiting_for = text(steps[i].waiting_for);
		step_list[i] = &step_rows[i];
	}
	run->steps = step_list;
	run->n_steps = STEPS;
}

Fermata__RunStatus *
made_up_run(void)
{
	static Fermata__RunStatus run;

	fermata__run_status__init(&run);
	run.run = 12;
	run.procedure = text("upgrade");
	run.args = text("upgrade --to 2.2.16");
	run.state = text("running");
	run.who = text("root");
	run.began_ms = NOON;
	run.closed_ms = NOON + 22600;
	fill_steps(&run);
	return &run;
}

Fermata__RunStatus *
made_up_ended_run(void)
{
	static Fermata__RunStatus run;

	fermata__run_status__init(&run);
	run.run = 11;
	run.procedure = text("upgrade");
	run.args = text("upgrade --to 2.2.16 --yes");
	run.state = text("ended");
	run.end = text("rolled-back");
	run.who = text("anna");
	run.began_ms = NOON - 3600000;
	run.ended_ms = NOON - 3600000 + 92000;
	run.closed_ms = NOON - 3600000 + 22000;
	run.opened_ms = NOON - 3600000 + 90000;
	run.why = text("app1: Migration boom failed: Original error: boom");
	run.text = text("the cluster serves 2.2.15 with the data of before; nothing was lost");
	run.next = text("fermata show 11");
	run.restore_point = text("rp-11");
	return &run;
}

static Fermata__NodeStatus *
node(size_t i, const char *name, const char *app, const char *running, const char *detail)
{
	static Fermata__NodeStatus rows[3];

	fermata__node_status__init(&rows[i]);
	rows[i].name = text(name);
	rows[i].connected = true;
	rows[i].app = text(app);
	rows[i].release = text("2.2.16");
	rows[i].running = text(running);
	rows[i].detail = text(detail);
	rows[i].address = text("127.0.0.1:13001");
	return &rows[i];
}

Fermata__ClusterStatus *
made_up_status(void)
{
	static Fermata__ClusterStatus status;
	static Fermata__NodeStatus *nodes[3];
	static Fermata__GateStatus gate, *gates[1];

	fermata__cluster_status__init(&status);
	fermata__gate_status__init(&gate);
	nodes[0] = node(0, "app1", "starting", "2.2.16", "before load plugin [acl], 12/77");
	nodes[1] = node(1, "app2", "stopped", "", "");
	nodes[2] = node(2, "app3", "stopped", "", "");
	nodes[2]->connected = false;
	nodes[2]->silent_ms = 4200;
	gate.name = text("gate1");
	gate.connected = true;
	gate.mode = text("closed");
	gate.passed = 120345;
	gate.refused = 77;
	gate.websockets = 3;
	gate.tabs = 41;
	gates[0] = &gate;
	status.cluster = text("demo");
	status.database = text("2.2.15");
	status.public_state = text("closed");
	status.nodes = nodes;
	status.n_nodes = 3;
	status.gates = gates;
	status.n_gates = 1;
	status.run = made_up_run();
	return &status;
}
