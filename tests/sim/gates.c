/* gates.c - a model of the gate: its rules are the module's (persist, then apply, then tell; refuse a
 * lower voice; never open by itself). Its real code is tested in tests/gate. */
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "tests/sim/world.h"

void
sim_gate_setup(struct sim_world *w, unsigned i)
{
	w->gates[i].index = i;
	w->gates[i].link = true;
	w->gates[i].mode = FM_GATE_CLOSED;
}

/* fermata_start_wait */
#define WAIT_MS 3000

enum fm_gate_mode
sim_gate_mode(const struct sim_gate *g)
{
	if (g->dead) return FM_GATE_CLOSED;
	if (g->by_hand != FM_GATE_NONE) return g->by_hand;
	return g->waiting ? FM_GATE_CLOSED : g->mode;
}

static void
send_report(struct sim_world *w, unsigned i)
{
	struct sim_gate *g = &w->gates[i];
	struct fm_gate_report *report = NULL;

	if (!g->up || !g->link) return;
	report = fm_new(struct fm_gate_report, 1);
	report->voice = g->ask.voice;
	report->mode = sim_gate_mode(g);
	report->waiting = g->waiting;
	report->override = g->by_hand;
	report->override_at = g->by_hand == FM_GATE_NONE ? 0 : 1;
	FM_COPY(report->pinned, g->ask.pinned);
	report->in_flight = g->in_flight;
	report->websockets = g->websockets;
	report->node_count = SIM_NODES;
	for (unsigned k = 0; k < SIM_NODES; k++) {
		FM_COPY(report->nodes[k].name, w->config.nodes[k]);
		report->nodes[k].in_flight = k == 0 ? g->in_flight : 0;
	}
	sim_later(w, 1, (struct sim_event){ .kind = SIM_EV_GATE_REPORT, .who = i, .data = report });
}

void
sim_gate_link(struct sim_world *w, unsigned i, bool up)
{
	struct sim_gate *g = &w->gates[i];

	if (g->up == up || w->core == NULL) return;
	g->up = up;
	if (up) {
		co_on_gate_up(w->core, i, 0, g->ask.voice.epoch, (struct fm_mono){ w->now });
		send_report(w, i);
	} else {
		co_on_gate_down(w->core, i, 0, (struct fm_mono){ w->now });
	}
}

static void
obey(struct sim_world *w, unsigned i, const struct fm_gate_ask *ask)
{
	struct sim_gate *g = &w->gates[i];

	if (fm_voice_compare(ask->voice, g->ask.voice) < 0) {
		send_report(w, i);
		return;
	}
	if (fm_voice_compare(ask->voice, g->highest) < 0)
		sim_violate(w, "I5: gate%u obeys a lower voice", i + 1);
	g->waiting = g->untold = false;
	g->highest = ask->voice;
	g->ask = *ask;
	if (ask->mode != FM_GATE_NONE && ask->mode != g->mode) {
		if (ask->mode == FM_GATE_CLOSED) g->in_flight = (unsigned)sim_random(w, 3);
		g->mode = ask->mode;
		g->websockets = 0;
		w->touched_anything = true;
	}
	if (ask->drained_count > 0) g->in_flight = (unsigned)sim_random(w, 3);
	send_report(w, i);
	if (g->in_flight > 0)
		sim_later(w, 200, (struct sim_event){ .kind = SIM_EV_TRAFFIC, .who = i });
}

void
sim_gate_event(struct sim_world *w, const struct sim_event *event)
{
	struct sim_gate *g = &w->gates[event->who];

	switch ((int)event->kind) {
	case SIM_EV_GATE_ASK:
		if (g->link) obey(w, event->who, event->data);
		return;
	case SIM_EV_TRAFFIC:
		g->in_flight = 0;
		send_report(w, event->who);
		return;
	case SIM_EV_GATE_START:
		/* nginx came back: zone from the state file, no request in flight. */
		g->in_flight = g->websockets = 0;
		g->dead = false;
		g->waiting = g->mode != FM_GATE_CLOSED;
		g->link = true;
		g->life++;
		sim_later(w, WAIT_MS,
			  (struct sim_event){
				  .kind = SIM_EV_GATE_WAITED, .who = event->who, .life = g->life });
		sim_gate_link(w, event->who, true);
		return;
	case SIM_EV_GATE_WAITED:
		if (event->life != g->life || !g->waiting) return;
		g->waiting = false;
		g->untold = true;
		send_report(w, event->who);
		return;
	case SIM_EV_GATE_RESUME:
		/* value 1: closed by hand, else taken back. */
		g->by_hand = event->value == 1 ? FM_GATE_CLOSED : FM_GATE_NONE;
		g->by_hand_at = w->now;
		send_report(w, event->who);
		return;
	case SIM_EV_GATE_LINK:
		if (g->dead) return;
		g->link = true;
		sim_gate_link(w, event->who, true);
		return;
	case SIM_EV_GATE_LOST:
		sim_gate_link(w, event->who, false);
		return;
	default:
		return;
	}
}

bool
sim_gate_drains(const struct sim_gate *g, const char *node)
{
	for (unsigned i = 0; i < g->ask.drained_count; i++)
		if (fm_is_equal(g->ask.drained[i], node)) return true;
	return false;
}

/* Visitors write wherever a gate lets them through to an application that works. */
void
sim_visitors(struct sim_world *w)
{
	for (unsigned i = 0; i < SIM_GATES; i++) {
		const struct sim_gate *g = &w->gates[i];

		for (unsigned k = 0; k < SIM_NODES; k++) {
			const struct sim_app *app = &w->nodes[k].app;

			enum fm_gate_mode mode = sim_gate_mode(g);

			if (mode != FM_GATE_OPEN && mode != FM_GATE_PINNED) continue;
			if (mode == FM_GATE_PINNED &&
			    !fm_is_equal(g->ask.pinned, w->config.nodes[k]))
				continue;
			if (sim_gate_drains(g, w->config.nodes[k]) || app->phase != SIM_READY)
				continue;
			if (!w->db.fenced && !w->db.away) w->db.data++;
		}
	}
	sim_later(w, 500, (struct sim_event){ .kind = SIM_EV_VISITORS });
}
