/* service.c - whom visitors meet, held against what is so: not a node that cannot serve while another can, all
 * that can, and nobody only while it is certain that nobody would answer. Looked at when nothing has
 * been cut off, lost or late for long enough that everybody must have been told. */
#include <string.h>

#include "base/text.h"
#include "tests/sim/world.h"

#define TOLD_MS 5000	/* an ask that was lost is repeated after three seconds */
#define STEADY_MS 60000 /* one that fell out again and again shows first that it stays */
#define FALLS_MOST 3

/* At once, where nothing is lost on the way. */
#define TOLD_AT_ONCE_MS 1500

static int64_t
told_ms(const struct sim_world *w)
{
	enum sim_fault_kind kind = w->plan.faults[0].kind;

	if (w->plan.fault_count != 1) return TOLD_MS;
	return kind == SIM_APP_DIES || kind == SIM_APP_DIES_LATER ? TOLD_AT_ONCE_MS : TOLD_MS;
}

static bool
is_calm(const struct sim_world *w)
{
	if (w->core == NULL || w->now < w->journal_refuses_until) return false;
	for (unsigned i = 0; i < w->plan.fault_count; i++)
		if (w->plan.faults[i].kind == SIM_LATE_REPORT && w->plan.faults[i].fired)
			return false;
	for (unsigned i = 0; i < SIM_GATES; i++) {
		const struct sim_gate *g = &w->gates[i];

		if (!g->up || !g->link || g->dead || g->waiting || g->by_hand != FM_GATE_NONE)
			return false;
	}
	return true;
}

/* Heard of, that is: connected, by an agent that lives. */
static bool
is_known(const struct sim_node *n)
{
	return n->core != NULL && n->up && n->link;
}

/* No process, or one that has not been ready: nothing there would answer. */
static bool
is_down(const struct sim_node *n)
{
	enum sim_phase phase = n->app.phase;
	enum fm_app_state says = ag_core_report(n->core)->app;

	if (says == FM_APP_READY || says == FM_APP_UNKNOWN || n->strange != NULL) return false;
	if (phase == SIM_DEAD) return true;
	return says == FM_APP_STARTING && phase != SIM_READY && phase != SIM_SICK &&
	       phase != SIM_BROKEN;
}

static bool
is_bad(const struct sim_node *n)
{
	enum fm_app_state says = ag_core_report(n->core)->app;

	return says != FM_APP_READY && says != FM_APP_UNKNOWN && n->app.phase != SIM_READY &&
	       n->app.phase != SIM_SICK;
}

static bool
is_good(const struct sim_world *w, const struct sim_node *n)
{
	return ag_core_report(n->core)->app == FM_APP_READY && n->app.phase == SIM_READY &&
	       fm_is_equal(n->app.release, w->state.nodes[n->index].release);
}

static bool
is_taken_out(const struct sim_world *w, unsigned i)
{
	return w->state.run.drains && w->state.run.subject == i;
}

static void
since(int64_t *at, bool is_so, int64_t now)
{
	if (!is_so)
		*at = 0;
	else if (*at == 0)
		*at = now;
}

static void
take_times(struct sim_world *w)
{
	since(&w->calm_at, is_calm(w), w->now);
	for (unsigned i = 0; i < SIM_NODES; i++) {
		struct sim_node *n = &w->nodes[i];
		bool known = is_known(n);

		since(&n->good_at, known && is_good(w, n) && !is_taken_out(w, i), w->now);
		since(&n->bad_at, known && is_bad(n), w->now);
		since(&n->down_at, known && is_down(n), w->now);
		if (w->state.kept_out[i] && !n->was_kept_out) n->falls++;
		n->was_kept_out = w->state.kept_out[i];
	}
}

static bool
is_long(const struct sim_world *w, int64_t at, int64_t ms)
{
	return at != 0 && w->now - at > ms && w->now - w->calm_at > told_ms(w);
}

static bool
sends(const struct sim_world *w, const struct sim_gate *g, unsigned i)
{
	if (g->ask.mode == FM_GATE_PINNED && !fm_is_equal(g->ask.pinned, w->config.nodes[i]))
		return false;
	return !sim_gate_drains(g, w->config.nodes[i]);
}

static bool
may_serve(const struct sim_world *w, const struct sim_gate *g, unsigned i)
{
	if (w->config.workers[i] || is_taken_out(w, i)) return false;
	return g->ask.mode != FM_GATE_PINNED || fm_is_equal(g->ask.pinned, w->config.nodes[i]);
}

static void
check_gate(struct sim_world *w, const struct sim_gate *g)
{
	unsigned may = 0, down = 0, up = 0, good = 0, sent = 0;

	for (unsigned i = 0; i < SIM_NODES; i++) {
		const struct sim_node *n = &w->nodes[i];

		if (!may_serve(w, g, i)) continue;
		may++;
		down += is_long(w, n->down_at, told_ms(w));
		up += n->down_at == 0 && is_long(w, n->bad_at, told_ms(w));
		good += is_long(w, n->good_at, told_ms(w));
		sent += sends(w, g, i);
	}
	for (unsigned i = 0; i < SIM_NODES; i++) {
		const struct sim_node *n = &w->nodes[i];

		if (!may_serve(w, g, i)) continue;
		if (good > 0 && sends(w, g, i) && is_long(w, n->bad_at, told_ms(w)))
			sim_violate(w,
				    "service: gate%u sends visitors to app%u, which is not ready",
				    g->index + 1, i + 1);
		if (!sends(w, g, i) &&
		    is_long(w, n->good_at,
			    n->falls < FALLS_MOST ? told_ms(w) : STEADY_MS + told_ms(w)))
			sim_violate(w, "service: gate%u sends nobody to app%u, which is ready",
				    g->index + 1, i + 1);
	}
	if (may > 0 && down == may && sent > 0)
		sim_violate(w, "service: gate%u sends visitors where nobody answers", g->index + 1);
	if (sent == 0 && up > 0)
		sim_violate(w, "service: gate%u sends visitors nowhere, and something is there",
			    g->index + 1);
}

void
sim_check_service(struct sim_world *w)
{
	take_times(w);
	if (w->calm_at == 0 || w->now - w->calm_at <= told_ms(w)) return;
	for (unsigned i = 0; i < SIM_GATES; i++) {
		enum fm_gate_mode mode = sim_gate_mode(&w->gates[i]);

		if (mode == FM_GATE_OPEN || mode == FM_GATE_PINNED) check_gate(w, &w->gates[i]);
	}
}
