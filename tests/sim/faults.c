/* faults.c - what goes wrong, and when. Firing only sets what the world will do next: the core in
 * whose call it happens finds out as it would in life. */
#include <stdio.h>

#include "tests/sim/world.h"

#define X(name, targets, lasts) [SIM_##name] = { #name, (targets), (lasts) },
static const struct {
	const char *name;
	unsigned targets;
	int64_t lasts;
} kinds[SIM_FAULT_COUNT] = { SIM_FAULT_KINDS(X) };
#undef X

const char *
sim_fault_name(enum sim_fault_kind kind)
{
	return kinds[kind].name;
}

unsigned
sim_fault_targets(enum sim_fault_kind kind)
{
	return kinds[kind].targets;
}

int64_t
sim_fault_lasts(enum sim_fault_kind kind)
{
	return kinds[kind].lasts;
}

void
sim_effect(struct sim_world *w)
{
	w->effects++;
	for (unsigned i = 0; i < w->plan.fault_count; i++) {
		struct sim_fault *fault = &w->plan.faults[i];

		if (!fault->fired && fault->effect != 0 && fault->effect == w->effects)
			sim_fire(w, fault);
	}
}

static void
event_in(struct sim_world *w, int64_t in, enum sim_kind kind, unsigned who, uint64_t value)
{
	sim_later(w, in, (struct sim_event){ .kind = kind, .who = who, .value = value });
}

static void
reboot(struct sim_world *w, struct sim_node *n)
{
	n->dead = true;
	/* The application ends with its host, and not since somebody wants it stopped. */
	if (n->memory.ask.app != FM_APP_GOAL_STOPPED) n->owes_stop = false;
	event_in(w, 0, SIM_EV_APP, n->index, 2);
}

static void
fire_process(struct sim_world *w, const struct sim_fault *f)
{
	struct sim_node *n = &w->nodes[f->target % SIM_NODES];
	int64_t lasts = sim_fault_lasts(f->kind);

	switch ((int)f->kind) {
	case SIM_CO_CRASH:
	case SIM_CO_CRASH_LONG:
		w->co_dead = true;
		event_in(w, lasts, SIM_EV_CO_START, 0, 0);
		return;
	case SIM_CO_CRASH_AFTER:
		event_in(w, 0, SIM_EV_CO_START, 0, 1);
		return;
	case SIM_AGENT_CRASH:
		n->dead = true;
		return;
	case SIM_AGENT_CRASH_AFTER:
		event_in(w, 0, SIM_EV_NODE_START, n->index, 1);
		return;
	case SIM_HOST_REBOOT:
		reboot(w, n);
		return;
	case SIM_HOST_DEAD:
		n->dead = true;
		n->away_until = w->now + lasts;
		event_in(w, 0, SIM_EV_APP, n->index, 2);
		w->leave_out = n->index + 1;
		event_in(w, 20000, SIM_EV_PERSON, 0, SIM_SAYS_WITHOUT);
		return;
	case SIM_HOST_BACK:
		n = &w->nodes[SIM_NODES - 1];
		if (!w->plan.without_node || n->core != NULL) return;
		n->link = false;
		event_in(w, 0, SIM_EV_NODE_START, n->index, 2);
		event_in(w, lasts, SIM_EV_LINK, n->index, 0);
		return;
	case SIM_SECOND_COPY:
	case SIM_FOREIGN_MANAGER:
		event_in(w, 0, SIM_EV_STRANGE, n->index, f->kind);
		event_in(w, lasts, SIM_EV_STRANGE, n->index, 0);
		return;
	case SIM_DRIFT:
		event_in(w, 0, SIM_EV_DRIFT, n->index, 1);
		event_in(w, lasts, SIM_EV_DRIFT, n->index, 0);
		return;
	case SIM_APP_DIES:
		event_in(w, 0, SIM_EV_APP, n->index, 2);
		return;
	case SIM_WONT_DIE:
		n->app.wont_die = true;
		event_in(w, lasts, SIM_EV_APP, n->index, 2);
		return;
	default:
		return;
	}
}

static void
fire_link(struct sim_world *w, const struct sim_fault *f)
{
	struct sim_node *n = &w->nodes[f->target % SIM_NODES];
	struct sim_gate *g = &w->gates[f->target % SIM_GATES];
	int64_t lasts = sim_fault_lasts(f->kind);

	switch ((int)f->kind) {
	case SIM_CUT_SHORT:
	case SIM_CUT_LONG:
		n->link = false;
		event_in(w, 3000, SIM_EV_LOST, n->index, 0);
		event_in(w, lasts, SIM_EV_LINK, n->index, 0);
		return;
	case SIM_GATE_BACK:
		if (w->gates[SIM_GATES - 1].dead)
			event_in(w, 0, SIM_EV_GATE_START, SIM_GATES - 1, 0);
		return;
	case SIM_GATE_CLOSED_BY_HAND:
		event_in(w, 0, SIM_EV_GATE_RESUME, g->index, 1);
		event_in(w, lasts, SIM_EV_GATE_RESUME, g->index, 0);
		return;
	case SIM_GATE_RESTART:
		g->dead = true;
		/* fall through */
	case SIM_GATE_CUT_SHORT:
	case SIM_GATE_CUT_LONG:
		g->link = false;
		g->untold = true;
		event_in(w, f->kind == SIM_GATE_RESTART ? 1 : 3000, SIM_EV_GATE_LOST, g->index, 0);
		event_in(w, lasts,
			 f->kind == SIM_GATE_RESTART ? SIM_EV_GATE_START : SIM_EV_GATE_LINK,
			 g->index, 0);
		return;
	case SIM_LOSE_ASK:
		n->lose_ask = true;
		return;
	case SIM_LATE_ASK:
		n->late_ask = true;
		return;
	case SIM_DOUBLE_ASK:
		n->double_ask = true;
		return;
	case SIM_LOSE_REPORT:
		n->lose_report = true;
		return;
	case SIM_LATE_REPORT:
		n->late_report = true;
		return;
	case SIM_GATE_DOUBLE_ASK:
		g->double_ask = true;
		return;
	case SIM_GATE_LOSE_ASK:
		g->lose_ask = true;
		return;
	default:
		return;
	}
}

static void
fire_work(struct sim_world *w, const struct sim_fault *f)
{
	struct sim_node *n = &w->nodes[f->target % SIM_NODES];
	int64_t until = w->now + sim_fault_lasts(f->kind);

	switch ((int)f->kind) {
	case SIM_JOURNAL_REFUSES:
		w->journal_refuses_once = true;
		return;
	case SIM_JOURNAL_REFUSES_LONG:
		w->journal_refuses_until = until;
		return;
	case SIM_JOB_FAILS:
		w->job_fails = true;
		return;
	case SIM_JOB_FAILS_AFTER:
		w->job_fails_after = true;
		return;
	case SIM_JOB_HANGS:
		w->job_hangs = true;
		return;
	case SIM_DUMP_IS_BAD:
		w->dump_is_bad = true;
		return;
	case SIM_DB_MOVES:
		/* After this event: nobody can guard the moment between a look and its start. */
		event_in(w, 0, SIM_EV_DB_MOVES, 0, f->target);
		return;
	case SIM_DB_AWAY:
		event_in(w, 0, SIM_EV_DB_BACK, 0, 1);
		event_in(w, sim_fault_lasts(f->kind), SIM_EV_DB_BACK, 0, 0);
		return;
	case SIM_MIGRATION_FAILS:
		w->migration_fails = true;
		return;
	case SIM_MIGRATION_SLOW:
		w->migration_slow = true;
		return;
	case SIM_MIGRATION_HANGS:
		w->migration_hangs = true;
		return;
	case SIM_START_FAILS:
		n->start_fails = true;
		return;
	case SIM_WONT_STOP:
		n->app.wont_stop = true;
		return;
	case SIM_FETCH_FAILS:
		n->fetch_fails = true;
		return;
	case SIM_DISK_FAILS:
		n->disk_fails_until = until;
		return;
	case SIM_PERSIST_FAILS:
		n->persist_fails_until = until;
		return;
	default:
		return;
	}
}

/* When the run is over. */
static void
fire_later(struct sim_world *w, const struct sim_fault *f)
{
	if (f->kind == SIM_APP_DIES_LATER) w->nodes[f->target % SIM_NODES].dies_later = true;
	if (f->kind == SIM_ALL_BREAK_LATER) w->all_break_later = true;
}

static void
fire_hook(struct sim_world *w, const struct sim_fault *f)
{
	struct sim_node *n = &w->nodes[f->target % SIM_NODES];

	if (f->kind == SIM_HOOK_FAILS) n->hook_fails = true;
	if (f->kind == SIM_HOOK_HANGS) n->hook_hangs = true;
}

static void
fire_person(struct sim_world *w, const struct sim_fault *f)
{
	static const struct {
		enum sim_fault_kind kind;
		enum co_verb verb;
	} says[] = {
		{ SIM_PERSON_ABORTS, CO_VERB_ABORT },
		{ SIM_PERSON_PAUSES, CO_VERB_PAUSE },
		{ SIM_PERSON_REJECTS, CO_VERB_REJECT },
	};

	for (unsigned i = 0; i < sizeof(says) / sizeof(says[0]); i++)
		if (says[i].kind == f->kind)
			event_in(w, 0, SIM_EV_PERSON, 0, (uint64_t)says[i].verb + 1);
}

void
sim_fire(struct sim_world *w, struct sim_fault *fault)
{
	fault->fired = true;
	if (w->verbose)
		printf("%9.3f  FAULT %s %u (effect %u)\n", (double)w->now / 1000,
		       sim_fault_name(fault->kind), fault->target, w->effects);
	fire_process(w, fault);
	fire_link(w, fault);
	fire_work(w, fault);
	fire_hook(w, fault);
	fire_later(w, fault);
	fire_person(w, fault);
}
