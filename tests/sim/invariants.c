/* invariants.c - what is always true, looked at from outside: at what is so, never at what was told. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "tests/sim/world.h"

void
sim_violate(struct sim_world *w, const char *fmt, ...)
{
	va_list args;

	if (w->violation[0] != '\0') return;
	va_start(args, fmt);
	vsnprintf(w->violation, sizeof(w->violation), fmt, args);
	va_end(args);
	if (w->verbose) printf("%9.3f  VIOLATION %s\n", (double)w->now / 1000, w->violation);
}

/* I1: no two releases have a live process against one database. */
static void
check_one_version(struct sim_world *w)
{
	const char *release = NULL;

	for (unsigned i = 0; i < SIM_NODES; i++) {
		const struct sim_app *app = &w->nodes[i].app;

		if (!sim_app_is_alive(app)) continue;
		if (release != NULL && !fm_is_equal(release, app->release))
			sim_violate(w, "I1: %s and %s are alive together", release, app->release);
		release = app->release;
	}
}

/* Left out by a person who said that no visitor can come through it, and not told since: cut off and
 * alive, or come back where no coordinator was to be found in time. */
static bool
is_on_its_own(const struct sim_world *w, unsigned gate)
{
	const struct sim_gate *g = &w->gates[gate];

	return co_is_without(&w->state.run, w->config.gates[gate]) && g->untold;
}

/* I2: from "the gates are closed" until a row asks to open them, no gate lets a visitor through. */
static void
check_gates(struct sim_world *w)
{
	const struct co_run *run = &w->state.run;

	if (run->state == CO_RUN_NONE || run->state == CO_RUN_ENDED || !run->closed) return;
	if (w->state.gate.mode != FM_GATE_CLOSED) return;
	for (unsigned i = 0; i < SIM_GATES; i++)
		if (sim_gate_mode(&w->gates[i]) != FM_GATE_CLOSED && !is_on_its_own(w, i))
			sim_violate(w, "I2: gate%u is %s while the run holds the gates closed",
				    i + 1, fm_gate_mode_name(sim_gate_mode(&w->gates[i])));
}

/* I2: operators get past the page to an application that stays, and by the links of this run alone. */
static void
check_bypass(struct sim_world *w)
{
	const struct co_state *s = &w->state;
	const struct fm_gate_bypass *bypass = &s->gate.bypass;
	bool ended = s->run.state == CO_RUN_NONE || s->run.state == CO_RUN_ENDED;

	if (s->gate.mode == FM_GATE_OPEN && ended && bypass->key[0] != 0)
		sim_violate(w, "I2: links are good after the run has opened the gates");
	if (!ended && bypass->key[0] != (uint8_t)s->run.number)
		sim_violate(w, "I2: the key is not this run's");
	if (s->gate.mode != FM_GATE_CLOSED || bypass->shut) return;
	for (unsigned i = 0; i < s->node_count; i++) {
		if (!fm_is_empty(bypass->node) && !fm_is_equal(bypass->node, s->node_names[i]))
			continue;
		if (s->nodes[i].app == FM_APP_GOAL_STOPPED)
			sim_violate(w, "I2: operators are let through to %s, which is to stop",
				    s->node_names[i]);
	}
}

/* I2: visitors never meet an application that does not fit the database. */
static void
check_served(struct sim_world *w)
{
	if (w->db.moved) return;
	for (unsigned i = 0; i < SIM_GATES; i++) {
		const struct sim_gate *g = &w->gates[i];
		enum fm_gate_mode mode = sim_gate_mode(g);

		if (mode != FM_GATE_OPEN && mode != FM_GATE_PINNED) continue;
		if (is_on_its_own(w, i)) continue;
		for (unsigned k = 0; k < SIM_NODES; k++) {
			const struct sim_app *app = &w->nodes[k].app;

			if (mode == FM_GATE_PINNED &&
			    !fm_is_equal(g->ask.pinned, w->config.nodes[k]))
				continue;
			if (app->phase == SIM_READY && !fm_is_equal(app->release, w->db.version))
				sim_violate(w, "I2: gate%u serves %s on a database of %s", i + 1,
					    app->release, w->db.version);
			if (app->phase == SIM_MIGRATES || app->phase == SIM_INSTALLS)
				sim_violate(w, "I2: gate%u serves app%u while it migrates", i + 1,
					    k + 1);
		}
	}
}

/* Visitors are told of this run; a time that we worked out only while they are kept out and the run goes on, and
 * never in place of the time that a person promised. */
static void
check_visitors(struct sim_world *w)
{
	const struct fm_gate_ask *gate = &w->state.gate;
	const struct co_run *run = &w->state.run;
	bool goes_on = run->state != CO_RUN_NONE && run->state != CO_RUN_ENDED &&
		       run->state != CO_RUN_HALTED;

	if (gate->estimated && (!goes_on || gate->mode != FM_GATE_CLOSED))
		sim_violate(
			w, "visitors: a time is promised, and the gates are %s in a run that is %s",
			fm_gate_mode_name(gate->mode), co_run_state_name(run->state));
	if (gate->estimated && gate->back_at * 1000 < run->step_ms)
		sim_violate(w, "visitors: a time is promised that was over when the step began");
	if (!goes_on || run->number != w->run) return;
	if (gate->run != run->number || fm_is_empty(gate->step))
		sim_violate(w, "visitors: told of run %llu and \"%s\", in run %llu",
			    (unsigned long long)gate->run, gate->step,
			    (unsigned long long)run->number);
	if (w->plan.open_first && (gate->estimated || gate->back_at != SIM_PROMISE))
		sim_violate(w, "visitors: the time that a person promised is gone");
}

/* A worker node is never first, never pinned, never waited for in a drain, never the operators' way in. */
static void
check_workers(struct sim_world *w)
{
	const struct co_run *run = &w->state.run;
	const struct fm_gate_ask *gate = &w->state.gate;

	if (run->state != CO_RUN_NONE && run->number == w->run && w->config.workers[run->first])
		sim_violate(w, "workers: app%u goes first", run->first + 1);
	for (unsigned i = 0; i < SIM_NODES; i++) {
		const char *name = w->config.nodes[i];

		if (!w->config.workers[i]) continue;
		if (gate->mode == FM_GATE_PINNED && fm_is_equal(gate->pinned, name))
			sim_violate(w, "workers: the gates are pinned to %s", name);
		if (fm_is_equal(gate->bypass.node, name))
			sim_violate(w, "workers: operators are led to %s", name);
		for (unsigned k = 0; k < gate->drained_count; k++)
			if (fm_is_equal(gate->drained[k], name))
				sim_violate(w, "workers: the gates are to drain %s", name);
	}
}

/* I5: in a new epoch everything is asked anew, so that no report of before proves anything. */
static void
check_voices(struct sim_world *w)
{
	const struct co_state *s = &w->state;

	if (!w->has_state || s->run.state == CO_RUN_NONE) return;
	if (s->gate.voice.epoch != s->epoch)
		sim_violate(w, "I5: the gates are asked with a voice of epoch %llu in %llu",
			    (unsigned long long)s->gate.voice.epoch, (unsigned long long)s->epoch);
	for (unsigned i = 0; i < s->node_count; i++)
		if (s->nodes[i].voice.epoch != s->epoch)
			sim_violate(w, "I5: app%u is asked with a voice of epoch %llu in %llu",
				    i + 1, (unsigned long long)s->nodes[i].voice.epoch,
				    (unsigned long long)s->epoch);
}

void
sim_check(struct sim_world *w)
{
	check_voices(w);
	check_visitors(w);
	check_workers(w);
	check_one_version(w);
	check_gates(w);
	check_bypass(w);
	check_served(w);
	sim_check_service(w);
}

#define TOLD_MS 1000 /* a report has arrived by then */

void
sim_check_proof(struct sim_world *w, const char *step)
{
	if (!fm_is_equal(step, "open gates")) return;
	for (unsigned i = 0; i < SIM_GATES; i++) {
		const struct sim_gate *g = &w->gates[i];

		if (g->by_hand == FM_GATE_CLOSED && g->up && g->link &&
		    w->now - g->by_hand_at > TOLD_MS)
			sim_violate(w, "gates: open, they say, and gate%u is closed by hand",
				    i + 1);
	}
}

static bool
run_is_on(const struct sim_world *w)
{
	return w->has_state && w->state.run.state != CO_RUN_NONE &&
	       w->state.run.state != CO_RUN_ENDED;
}

/* I4: in a run, no second node starts before the first is ready: neither while the run is at that row,
 * nor beside a start that may change the database. A first node that was ready and died since is
 * another matter: nothing migrates any more. */
static void
check_first_alone(struct sim_world *w, unsigned node, enum fm_start_mode mode)
{
	if (!run_is_on(w)) return;
	if (fm_is_equal(w->state.run.step, "start first") && node != w->state.run.first)
		sim_violate(w, "I4: app%u starts while the run is at \"start first\"", node + 1);
	for (unsigned i = 0; i < SIM_NODES; i++) {
		const struct sim_app *app = &w->nodes[i].app;

		if (i == node || !sim_app_is_alive(app) || app->phase == SIM_READY) continue;
		if (mode == FM_START_MIGRATE || app->mode == FM_START_MIGRATE)
			sim_violate(w, "I4: app%u starts before the first is ready", node + 1);
	}
}

/* I8: the release equals the database's version, or the run permits the change - never backwards. */
void
sim_check_spawn(struct sim_world *w, unsigned node, const char *release, enum fm_start_mode mode)
{
	bool same = w->db.installed && fm_is_equal(release, w->db.version);

	if (w->nodes[node].strange != NULL)
		sim_violate(w, "I1: app%u starts beside somebody else's: %s", node + 1,
			    w->nodes[node].strange);
	if (w->db.fenced) sim_violate(w, "I8: app%u starts on a fenced database", node + 1);
	if (w->db.away)
		sim_violate(w, "I8: app%u starts on a database that it could not look at",
			    node + 1);
	/* What a crash now would bring back must know of this start, and of the ask it is for. */
	if (!fm_is_equal(w->nodes[node].memory.running, release) ||
	    fm_voice_compare(w->nodes[node].memory.ask.voice,
			     ag_core_memory(w->nodes[node].core)->ask.voice) != 0)
		sim_violate(w, "I5: app%u starts on the strength of what is not written", node + 1);
	if (!fm_is_equal(release, w->nodes[node].current))
		sim_violate(w, "I8: app%u starts %s while current names %s", node + 1, release,
			    w->nodes[node].current);
	if (!same && mode == FM_START_PLAIN)
		sim_violate(w, "I8: app%u starts %s plainly on a database of %s", node + 1, release,
			    w->db.installed ? w->db.version : "nothing");
	if (!same && w->db.installed && strcmp(release, w->db.version) < 0)
		sim_violate(w, "I8: app%u starts %s on a newer database", node + 1, release);
	check_first_alone(w, node, mode);
}

/* What an operator has put before something has ended well before it. */
void
sim_check_hooks(struct sim_world *w, unsigned node, enum ag_hook before, const char *what)
{
	if (w->plan.hooks && (w->nodes[node].hooks_ran & AG_HOOK_BIT(before)) == 0)
		sim_violate(w, "hooks: app%u %s, and %s has not ended well", node + 1, what,
			    ag_hook_name(before));
}

/* I3: a way back first; I8: only with the permission of the run that is on. */
void
sim_check_migration(struct sim_world *w, unsigned node)
{
	const struct sim_app *app = &w->nodes[node].app;
	const struct sim_point *point = NULL;

	if (!run_is_on(w) || !w->state.run.touched)
		sim_violate(w, "I8: app%u changes the database and no run permits it", node + 1);
	if (node != w->state.run.first)
		sim_violate(w, "I4: app%u migrates, and is not the first node", node + 1);
	if (!w->db.installed || fm_is_equal(app->release, w->db.version)) return;
	if (w->plan.no_backup || w->db.moved) return;
	point = sim_point_find(w, w->state.run.restore_point);
	if (point == NULL || !point->verified)
		sim_violate(w, "I3: app%u migrates without a verified restore point", node + 1);
	else if (point->content.data != w->db.data || !point->content.installed)
		sim_violate(w, "I3: the restore point is not what the migration starts on");
}

/* A migration is never ended because it is slow: only when something failed, or a person said so. */
void
sim_check_signal(struct sim_world *w, unsigned node)
{
	const struct sim_app *app = &w->nodes[node].app;

	if (app->phase != SIM_MIGRATES && app->phase != SIM_INSTALLS) return;
	if (w->said_to_end) return;
	for (unsigned i = 0; i < w->plan.fault_count; i++)
		if (w->plan.faults[i].kind != SIM_MIGRATION_SLOW &&
		    w->plan.faults[i].kind != SIM_MIGRATION_HANGS)
			return;
	sim_violate(w, "app%u is ended while it migrates, and nobody was asked", node + 1);
}

static bool
was_hurt(const struct sim_world *w, unsigned node)
{
	for (unsigned i = 0; i < w->plan.fault_count; i++) {
		const struct sim_fault *f = &w->plan.faults[i];

		/* A dead host that is back has caught up by itself. */
		if (f->kind == SIM_HOST_DEAD && w->plan.fault_count == 1 &&
		    w->nodes[node].away_until == 0)
			continue;
		if (sim_fault_targets(f->kind) == SIM_NODES && f->target % SIM_NODES == node)
			return true;
		if (f->kind == SIM_DB_AWAY || f->kind == SIM_ALL_BREAK_LATER) return true;
	}
	return false;
}

/* Every node serves this version, those that a fault has hit aside: these must not serve another. */
static void
check_all_serve(struct sim_world *w, const char *version)
{
	if (w->db.fenced) sim_violate(w, "end: the database is still fenced");
	if (!fm_is_equal(w->db.version, version))
		sim_violate(w, "end: the database is at %s, not %s", w->db.version, version);
	for (unsigned i = 0; i < SIM_NODES; i++) {
		const struct sim_app *app = &w->nodes[i].app;

		if (app->phase == SIM_READY && fm_is_equal(app->release, version)) continue;
		if (!was_hurt(w, i)) sim_violate(w, "end: app%u does not serve %s", i + 1, version);
	}
	for (unsigned i = 0; i < SIM_GATES; i++)
		if (sim_gate_mode(&w->gates[i]) != FM_GATE_OPEN && w->gates[i].link &&
		    w->gates[i].by_hand == FM_GATE_NONE)
			sim_violate(w, "end: gate%u is %s", i + 1,
				    fm_gate_mode_name(sim_gate_mode(&w->gates[i])));
}

static void
check_done(struct sim_world *w)
{
	const char *p = w->plan.procedure;

	if (fm_is_equal(p, "upgrade")) check_all_serve(w, SIM_NEW);
	if (fm_is_equal(p, "startup") || fm_is_equal(p, "restart") ||
	    fm_is_equal(p, "maintenance") || fm_is_equal(p, "page off"))
		check_all_serve(w, w->before.installed ? w->before.version : SIM_OLD);
	if (fm_is_equal(p, "stop"))
		for (unsigned i = 0; i < SIM_NODES; i++)
			if (sim_app_is_alive(&w->nodes[i].app))
				sim_violate(w, "end: app%u still runs", i + 1);
	if (w->db.data < w->before.data) sim_violate(w, "end: visitors' data is lost");
}

/* What was taken back is as before: version, schema, and every row that visitors had written. */
static void
check_taken_back(struct sim_world *w)
{
	if (fm_is_equal(w->plan.procedure, "startup")) return;
	check_all_serve(w, w->before.version);
	if (w->db.schema != w->before.schema) sim_violate(w, "end: the schema is not as before");
	if (w->closed_seen && w->db.data < w->at_close.data)
		sim_violate(w, "end: data written before the gates closed is lost");
}

/* One fault that heals, and a way back: no person is needed for more than "retry". */
static bool
must_heal(const struct sim_world *w)
{
	enum sim_fault_kind kind = w->plan.fault_count == 0 ? SIM_LOSE_ASK : w->plan.faults[0].kind;

	return w->plan.fault_count <= 1 && !w->plan.no_backup && kind != SIM_CUT_LONG &&
	       kind != SIM_GATE_CUT_LONG && kind != SIM_WONT_DIE && kind != SIM_DB_MOVES &&
	       kind != SIM_HOST_DEAD;
}

/* What is said again, or read back, costs time and nothing else. */
static bool
must_not_matter(const struct sim_world *w)
{
	static const enum sim_fault_kind kinds[] = {
		SIM_CO_CRASH,	   SIM_CO_CRASH_AFTER,	SIM_LOSE_ASK,	 SIM_DOUBLE_ASK,
		SIM_GATE_LOSE_ASK, SIM_GATE_DOUBLE_ASK, SIM_LOSE_REPORT, SIM_JOURNAL_REFUSES,
		SIM_GATE_BACK,	   SIM_HOST_BACK,
	};

	if (w->plan.fault_count == 0) return true;
	for (unsigned i = 0; w->plan.fault_count == 1 && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i] == w->plan.faults[0].kind) return true;
	return false;
}

void
sim_check_end(struct sim_world *w)
{
	const struct co_run *run = &w->state.run;

	if (run->end == CO_END_NEEDS_OPERATOR && must_heal(w))
		sim_violate(w, "end: a person had to give the run up at \"%s\"", run->step);

	if (w->db.moved || w->before.moved) return;
	if (must_not_matter(w) && run->end != CO_END_DONE &&
	    run->end != CO_END_ROLLED_BACK_WITH_LOSS)
		sim_violate(w, "end: %s, for a fault that costs time only", co_end_name(run->end));
	switch (run->end) {
	case CO_END_DONE:
		check_done(w);
		return;
	case CO_END_ROLLED_BACK:
	case CO_END_STOPPED_BY_OPERATOR:
		if (w->retries == 0 || run->end == CO_END_ROLLED_BACK) check_taken_back(w);
		return;
	case CO_END_ROLLED_BACK_WITH_LOSS:
		check_all_serve(w, SIM_OLD);
		return;
	case CO_END_REFUSED:
		if (run->closed) sim_violate(w, "end: refused, and yet the gates were closed");
		return;
	case CO_END_NEEDS_OPERATOR:
	case CO_END_NONE:
		return;
	}
}
