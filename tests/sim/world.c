/* world.c - one run of a plan, from a cluster at rest to a cluster at rest. */
#include "tests/sim/world.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "tests/sim/heap.h"

#define LONGEST_MS (8 * 3600 * 1000)
#define SETTLE_MS 6000
#define SETTLE_HURT_MS 16000
#define SETTLE_REBOOT_MS 45000

/* A cluster that serves, kept from a startup without faults, and one that was upgraded. */
struct rest {
	bool made;
	struct co_state state;
	struct ag_memory memory[SIM_NODES];
	struct sim_gate gates[SIM_GATES];
	struct sim_db db;
	struct sim_point points[SIM_POINTS];
	struct sim_app apps[SIM_NODES];
	char current[SIM_NODES][FM_VERSION_SIZE];
	bool has_new;
};

static struct rest served, upgraded;

void
sim_later(struct sim_world *w, int64_t in, struct sim_event event)
{
	event.at = w->now + (in < 0 ? 0 : in);
	sim_heap_push(w->heap, event);
}

/* xorshift64*: the same run from the same seed on every machine. */
uint64_t
sim_random(struct sim_world *w, uint64_t below)
{
	w->random ^= w->random >> 12;
	w->random ^= w->random << 25;
	w->random ^= w->random >> 27;
	return (w->random * UINT64_C(2685821657736338717) >> 33) % below;
}

static void
keep(const struct sim_world *w, struct rest *rest)
{
	rest->made = true;
	rest->state = w->state;
	rest->db = w->db;
	rest->has_new = w->nodes[0].has_new;
	memcpy(rest->points, w->points, sizeof(rest->points));
	memcpy(rest->gates, w->gates, sizeof(rest->gates));
	for (unsigned i = 0; i < SIM_NODES; i++) {
		rest->memory[i] = w->nodes[i].memory;
		rest->apps[i] = w->nodes[i].app;
		FM_COPY(rest->current[i], w->nodes[i].current);
	}
}

static void
stand_up(struct sim_world *w, const struct rest *rest)
{
	w->state = rest->state;
	w->has_state = true;
	w->db = rest->db;
	memcpy(w->points, rest->points, sizeof(w->points));
	for (unsigned i = 0; i < SIM_GATES; i++) {
		w->gates[i].mode = rest->gates[i].mode;
		w->gates[i].ask = rest->gates[i].ask;
		w->gates[i].highest = rest->gates[i].highest;
	}
	for (unsigned i = 0; i < SIM_NODES; i++) {
		w->nodes[i].memory = rest->memory[i];
		w->nodes[i].has_memory = true;
		w->nodes[i].highest = rest->memory[i].ask.voice;
		w->nodes[i].app = rest->apps[i];
		w->nodes[i].hooks_ran = AG_HOOK_BIT(AG_HOOK_BEFORE_READY);
		w->nodes[i].has_new = rest->has_new;
		FM_COPY(w->nodes[i].current, rest->current[i]);
	}
}

static void
set_up(struct sim_world *w, const struct sim_plan *plan)
{
	struct sim_heap *heap = w->heap == NULL ? sim_heap_new() : w->heap;
	bool verbose = w->verbose;

	memset(w, 0, sizeof(*w));
	w->verbose = verbose;
	w->heap = heap;
	sim_heap_clear(heap);
	w->plan = *plan;
	w->random = plan->seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	for (unsigned i = 0; i < SIM_GATES; i++) sim_gate_setup(w, i);
	sim_co_setup(w);
	for (unsigned i = 0; i < SIM_NODES; i++) {
		sim_node_setup(w, i);
		FM_COPY(w->nodes[i].current, SIM_OLD);
	}
	if (fm_is_equal(plan->procedure, "rollback"))
		stand_up(w, &upgraded);
	else if (!plan->empty)
		stand_up(w, &served);
	w->gates[SIM_GATES - 1].dead = plan->without;
	w->gates[SIM_GATES - 1].link = !plan->without;
	if (plan->without_node) {
		w->nodes[SIM_NODES - 1].away_until = LONGEST_MS;
		w->nodes[SIM_NODES - 1].app.phase = SIM_DEAD;
	}
}

static void
begin(struct sim_world *w)
{
	struct co_order order = { .yes = !w->plan.approve,
				  .no_backup = w->plan.no_backup,
				  .page = w->plan.page,
				  .back_at = w->plan.open_first ? SIM_PROMISE : 0 };

	memset(order.bypass_key, (int)w->state.last_run + 1, sizeof(order.bypass_key));
	FM_COPY(order.procedure, w->plan.procedure);
	FM_COPY(order.to, fm_is_equal(w->plan.procedure, "upgrade") ? SIM_NEW : "");
	FM_COPY(order.args, w->plan.procedure);
	if (w->plan.without)
		FM_COPY(order.without[order.without_count++], w->config.gates[SIM_GATES - 1]);
	if (w->plan.without_node)
		FM_COPY(order.without[order.without_count++], w->config.nodes[SIM_NODES - 1]);
	if (w->core == NULL || w->state.last_run >= w->run) return;
	(void)co_begin(w->core, &order, (struct fm_mono){ w->now }, NULL);
}

static void
person(struct sim_world *w, const struct sim_event *event)
{
	/* Nobody is there to hear it: a person types it again. */
	if (w->core == NULL) {
		sim_later(w, 1000, *event);
		return;
	}
	if (event->value == SIM_SAYS_WITHOUT) {
		sim_leave_out(w);
	} else if (event->value != 0) {
		w->said_to_end = true;
		(void)co_operate(w->core, (enum co_verb)(event->value - 1), "sim",
				 (struct fm_mono){ w->now }, NULL);
	} else {
		sim_person(w);
	}
}

static void
move_database(struct sim_world *w, const char *version)
{
	w->db.moved = true;
	if (w->db.installed) FM_COPY(w->db.version, version);
}

static void
dispatch(struct sim_world *w, const struct sim_event *event)
{
	switch (event->kind) {
	case SIM_EV_CO_START:
		/* value 1: the crash after the effect. */
		if (event->value == 1)
			w->co_dead = true;
		else
			sim_co_event(
				w, &(struct sim_event){ .kind = event->kind, .life = w->co_life });
		return;
	case SIM_EV_TICK:
	case SIM_EV_REPORT:
	case SIM_EV_GATE_REPORT:
		sim_co_event(w, event);
		return;
	case SIM_EV_NODE_START:
		if (event->value == 1)
			w->nodes[event->who].dead = true;
		else
			sim_node_event(w, event);
		return;
	case SIM_EV_NODE_TICK:
	case SIM_EV_ASK:
	case SIM_EV_ANSWER:
	case SIM_EV_LINK:
	case SIM_EV_LOST:
	case SIM_EV_STRANGE:
	case SIM_EV_DRIFT:
		sim_node_event(w, event);
		return;
	case SIM_EV_GATE_ASK:
	case SIM_EV_GATE_START:
	case SIM_EV_GATE_LINK:
	case SIM_EV_GATE_LOST:
	case SIM_EV_GATE_WAITED:
	case SIM_EV_GATE_RESUME:
	case SIM_EV_TRAFFIC:
		sim_gate_event(w, event);
		return;
	case SIM_EV_JOB:
		sim_job_event(w, event);
		return;
	case SIM_EV_APP:
		sim_app_event(w, event);
		return;
	case SIM_EV_DB_BACK:
		w->db.away = event->value == 1;
		return;
	case SIM_EV_DB_MOVES:
		move_database(w, event->value == 0 ? SIM_NEWEST : SIM_OLDEST);
		return;
	case SIM_EV_VISITORS:
		sim_visitors(w);
		return;
	case SIM_EV_PERSON:
		person(w, event);
		return;
	}
}

/* Those that died inside the event are buried after it, and come back in their time. */
static void
bury(struct sim_world *w)
{
	if (w->co_dead && w->core != NULL) sim_co_bury(w);
	for (unsigned i = 0; i < SIM_NODES; i++) {
		struct sim_node *n = &w->nodes[i];
		int64_t in = sim_fault_lasts(SIM_AGENT_CRASH);

		if (!n->dead || n->core == NULL) continue;
		if (n->away_until > w->now) in = n->away_until - w->now;
		for (unsigned k = 0; n->away_until <= w->now && k < w->plan.fault_count; k++)
			if (w->plan.faults[k].kind == SIM_HOST_REBOOT && w->plan.faults[k].fired)
				in = sim_fault_lasts(SIM_HOST_REBOOT);
		sim_node_bury(w, i);
		sim_later(
			w, in,
			(struct sim_event){ .kind = SIM_EV_NODE_START, .who = i, .life = n->life });
	}
}

static void
look_around(struct sim_world *w)
{
	enum co_run_state state = w->state.run.state;
	bool waits = state == CO_RUN_HELD || state == CO_RUN_PAUSED || state == CO_RUN_HALTED;
	int64_t in = 1500;

	for (unsigned i = 0; i < w->plan.fault_count; i++) {
		struct sim_fault *fault = &w->plan.faults[i];

		if (!fault->fired && fault->step != 0 && w->steps_entered >= fault->step)
			sim_fire(w, fault);
	}
	if (w->state.run.number != w->run || !waits || w->person_busy) return;
	if (state == CO_RUN_HALTED) w->halts++;
	w->person_busy = true;
	/* Long enough in the application for a node to die there and be back. */
	if (fm_is_equal(w->state.run.step, "hold")) in = 12000;
	sim_later(w, state == CO_RUN_HALTED ? 30000 : in,
		  (struct sim_event){ .kind = SIM_EV_PERSON });
}

static bool
is_over(const struct sim_world *w)
{
	return w->state.last_run >= w->run && w->state.run.state == CO_RUN_ENDED;
}

/* How long what was hurt needs to come back, at most. */
static int64_t
settle_ms(const struct sim_world *w)
{
	for (unsigned i = 0; i < w->plan.fault_count; i++)
		if (w->plan.faults[i].kind == SIM_HOST_REBOOT ||
		    w->plan.faults[i].kind == SIM_DB_AWAY)
			return SETTLE_REBOOT_MS;
	return w->plan.fault_count == 0 ? SETTLE_MS : SETTLE_HURT_MS;
}

/* Hosts that are dead come back, and catch up, after the run; what dies then is started anew. */
static void
raise_dead(struct sim_world *w)
{
	for (unsigned i = 0; i < SIM_NODES; i++) {
		if (w->all_break_later && w->nodes[i].app.phase == SIM_READY)
			w->nodes[i].app.phase = SIM_BROKEN;
		if (w->nodes[i].dies_later)
			sim_later(w, 500,
				  (struct sim_event){ .kind = SIM_EV_APP, .who = i, .value = 2 });
		if (w->nodes[i].away_until > w->now)
			sim_later(w, 1000,
				  (struct sim_event){
					  .kind = SIM_EV_NODE_START, .who = i, .value = 2 });
	}
}

/* Until the run is over and the dust has settled. False: it never was over. */
static bool
loop(struct sim_world *w, struct sim_tally *tally)
{
	struct sim_event event;
	int64_t until = LONGEST_MS, try_at = 200;

	while (w->violation[0] == '\0' && sim_heap_pop(w->heap, &event)) {
		if (event.at > until) {
			free(event.data);
			break;
		}
		w->now = event.at;
		if (w->now >= try_at && w->state.last_run < w->run) {
			begin(w);
			try_at = w->now + 1000;
			bury(w);
		}
		dispatch(w, &event);
		free(event.data);
		bury(w);
		sim_check(w);
		look_around(w);
		tally->events++;
		if (!is_over(w) || until != LONGEST_MS) continue;
		raise_dead(w);
		until = w->now + settle_ms(w);
	}
	return is_over(w);
}

static void
count(const struct sim_world *w, struct sim_tally *tally)
{
	uint64_t *const ends[] = { [CO_END_NONE] = &tally->stuck,
				   [CO_END_DONE] = &tally->done,
				   [CO_END_REFUSED] = &tally->refused,
				   [CO_END_ROLLED_BACK] = &tally->rolled_back,
				   [CO_END_ROLLED_BACK_WITH_LOSS] = &tally->with_loss,
				   [CO_END_STOPPED_BY_OPERATOR] = &tally->stopped,
				   [CO_END_NEEDS_OPERATOR] = &tally->needs_operator };

	tally->runs++;
	tally->effects += w->effects;
	tally->halted += w->halts;
	++*ends[w->state.run.end];
	if (w->violation[0] != '\0') tally->violations++;
}

static void
tear_down(struct sim_world *w)
{
	co_core_free(w->core);
	w->core = NULL;
	for (unsigned i = 0; i < SIM_NODES; i++) {
		ag_core_free(w->nodes[i].core);
		w->nodes[i].core = NULL;
	}
	sim_heap_clear(w->heap);
}

static int
run_once(struct sim_world *w, const struct sim_plan *plan, struct sim_tally *tally)
{
	bool over = false;

	set_up(w, plan);
	w->before = w->db;
	w->run = w->state.last_run + 1;
	sim_co_start(w);
	for (unsigned i = 0; i < SIM_NODES; i++)
		sim_later(w, w->nodes[i].away_until,
			  (struct sim_event){
				  .kind = SIM_EV_NODE_START, .who = i, .life = w->nodes[i].life });
	sim_later(w, 500, (struct sim_event){ .kind = SIM_EV_VISITORS });
	over = loop(w, tally);
	if (w->violation[0] == '\0' && !over) sim_violate(w, "stuck: the run never ends");
	if (w->violation[0] == '\0') sim_check_end(w);
	count(w, tally);
	return w->violation[0] == '\0' ? 0 : -1;
}

/* The clusters at rest that plans begin with are made by runs of their own, once. */
static void
make_rest(struct sim_world *w)
{
	static const struct sim_plan startup = { .procedure = "startup", .empty = true, .seed = 1 };
	static const struct sim_plan upgrade = { .procedure = "upgrade", .seed = 1 };
	struct sim_tally none = { .runs = 0 };

	if (served.made) return;
	if (run_once(w, &startup, &none) != 0) fprintf(stderr, "%s\n", w->violation);
	CHECK(w->violation[0] == '\0');
	keep(w, &served);
	tear_down(w);
	if (run_once(w, &upgrade, &none) != 0) fprintf(stderr, "%s\n", w->violation);
	CHECK(w->violation[0] == '\0');
	keep(w, &upgraded);
	tear_down(w);
}

int
sim_run(struct sim_world *w, const struct sim_plan *plan, struct sim_tally *tally)
{
	bool verbose = w->verbose;
	int rc = 0;

	w->verbose = false;
	make_rest(w);
	w->verbose = verbose;
	rc = run_once(w, plan, tally);
	tear_down(w);
	return rc;
}
