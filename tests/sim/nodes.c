/* nodes.c - a host: the real agent core over a made-up disk, process table and network. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "tests/sim/world.h"

/* What an act answers, later. */
enum answer_kind {
	ANSWER_SPAWNED,
	ANSWER_PROBE,
	ANSWER_LOOK,
	ANSWER_JOB,
	ANSWER_REPEAT,
	ANSWER_WATCH
};

struct answer {
	enum answer_kind kind;
	enum ag_job job;
	char what[FM_NAME_SIZE];
	enum fm_start_mode mode;
	uint64_t job_number;
};

static struct fm_mono
now_of(const struct sim_world *w)
{
	return (struct fm_mono){ w->now };
}

/* False when the agent is dead, or dies of this very effect. */
static bool
effect(struct sim_node *n)
{
	if (n->dead) return false;
	sim_effect(n->world);
	return !n->dead;
}

static void
answer_later(struct sim_node *n, int64_t in, const struct answer *answer)
{
	struct answer *copy = fm_new(struct answer, 1);

	*copy = *answer;
	sim_later(n->world, in,
		  (struct sim_event){
			  .kind = SIM_EV_ANSWER, .who = n->index, .life = n->life, .data = copy });
}

static int
env_persist(void *ctx, const struct ag_memory *memory)
{
	struct sim_node *n = ctx;

	if (!effect(n) || n->world->now < n->persist_fails_until) return -1;
	if (fm_voice_compare(memory->ask.voice, n->highest) < 0)
		sim_violate(n->world, "I5: the agent of app%u goes back to a lower voice",
			    n->index + 1);
	n->highest = memory->ask.voice;
	n->memory = *memory;
	n->has_memory = true;
	return 0;
}

static void
send_report(struct sim_node *n, const struct fm_agent_report *report)
{
	struct fm_agent_report *copy = NULL;
	int64_t in = 1;

	if (!n->up || !n->link) return;
	if (n->lose_report) {
		n->lose_report = false;
		/* The agent says all of it again every second. */
		answer_later(n, 1000, &(struct answer){ .kind = ANSWER_REPEAT });
		return;
	}
	if (n->late_report) {
		n->late_report = false;
		in = sim_fault_lasts(SIM_LATE_REPORT);
	}
	copy = fm_new(struct fm_agent_report, 1);
	*copy = *report;
	sim_later(n->world, in,
		  (struct sim_event){ .kind = SIM_EV_REPORT, .who = n->index, .data = copy });
}

static void
env_report(void *ctx, const struct fm_agent_report *report)
{
	struct sim_node *n = ctx;

	if (!effect(n)) return;
	if (report->app == FM_APP_READY)
		sim_check_hooks(n->world, n->index, AG_HOOK_BEFORE_READY, "is ready");
	if (report->app == FM_APP_STOPPED && n->owes_stop)
		sim_check_hooks(n->world, n->index, AG_HOOK_AFTER_STOP, "is stopped");
	if (fm_is_equal(report->fetched, SIM_NEW) && !n->had_new)
		sim_check_hooks(n->world, n->index, AG_HOOK_AFTER_FETCH, "has fetched");
	send_report(n, report);
}

static void
env_spawn(void *ctx, const char *release, enum fm_start_mode mode)
{
	struct sim_node *n = ctx;
	struct answer answer = { .kind = ANSWER_SPAWNED, .mode = mode };

	if (!effect(n)) return;
	sim_check_spawn(n->world, n->index, release, mode);
	sim_check_hooks(n->world, n->index, AG_HOOK_BEFORE_START, "starts");
	n->hooks_ran &= AG_HOOK_BIT(AG_HOOK_BEFORE_FETCH) | AG_HOOK_BIT(AG_HOOK_AFTER_FETCH);
	n->owes_stop = false;
	sim_app_spawn(n->world, n->index, release, mode);
	answer_later(n, 5, &answer);
}

static void
env_signal(void *ctx, enum ag_signal signal)
{
	struct sim_node *n = ctx;

	if (!effect(n)) return;
	if (signal == AG_TERM) {
		sim_check_hooks(n->world, n->index, AG_HOOK_BEFORE_STOP, "is told to end");
		n->owes_stop = n->world->plan.hooks;
	}
	sim_app_signal(n->world, n->index, signal);
}

static void
env_probe(void *ctx)
{
	struct sim_node *n = ctx;

	if (!n->dead) answer_later(n, 3, &(struct answer){ .kind = ANSWER_PROBE });
}

static void
env_look(void *ctx)
{
	struct sim_node *n = ctx;

	if (effect(n)) answer_later(n, 8, &(struct answer){ .kind = ANSWER_LOOK });
}

static void
env_job(void *ctx, enum ag_job job, const char *what, const struct fm_agent_ask *ask)
{
	static const int64_t takes[] = {
		[AG_JOB_LINK] = 5,	[AG_JOB_FETCH] = 2000, [AG_JOB_SNAPSHOT] = 100,
		[AG_JOB_RESTORE] = 100, [AG_JOB_SWEEP] = 50,   [AG_JOB_HOOK] = 40
	};
	struct sim_node *n = ctx;
	struct answer answer = { .kind = ANSWER_JOB, .job = job };

	(void)ask;
	if (!effect(n)) return;
	answer.job_number = ++n->job_number;
	if (job == AG_JOB_FETCH)
		sim_check_hooks(n->world, n->index, AG_HOOK_BEFORE_FETCH, "fetches");
	n->hook_runs = job == AG_JOB_HOOK;
	if (job == AG_JOB_HOOK && n->hook_hangs) {
		n->hook_hangs = false;
		n->hook_fails = true;
		FM_COPY(answer.what, what);
		answer_later(n, sim_fault_lasts(SIM_HOOK_HANGS), &answer);
		return;
	}
	FM_COPY(answer.what, what);
	answer_later(n, takes[job], &answer);
}

static void
env_job_stop(void *ctx)
{
	struct sim_node *n = ctx;
	struct answer answer = { .kind = ANSWER_JOB, .job = AG_JOB_HOOK };

	/* The others end on their own soon enough. */
	if (n->dead || !n->hook_runs) return;
	answer.job_number = ++n->job_number;
	n->hook_fails = true;
	answer_later(n, 2, &answer);
}

/* No database is slow to say what it does. */
static void
env_watch(void *ctx)
{
	struct sim_node *n = ctx;

	if (!n->dead) answer_later(n, 10, &(struct answer){ .kind = ANSWER_WATCH });
}

static double
env_random(void *ctx)
{
	struct sim_node *n = ctx;

	return (double)sim_random(n->world, 1000) / 1000.0;
}

void
sim_node_setup(struct sim_world *w, unsigned i)
{
	struct sim_node *n = &w->nodes[i];

	n->index = i;
	n->world = w;
	n->link = true;
	n->env = (struct ag_env){ n,	     env_persist, env_report, env_spawn,    env_signal,
				  env_probe, env_look,	  env_job,    env_job_stop, env_random,
				  env_watch };
}

static void
tell_disk(struct sim_world *w, struct sim_node *n)
{
	static const char releases[2][FM_VERSION_SIZE] = { SIM_OLD, SIM_NEW };

	ag_on_disk(n->core, n->current, n->has_new ? 2 : 1, releases, now_of(w));
}

void
sim_node_processes(struct sim_world *w, unsigned i)
{
	struct sim_node *n = &w->nodes[i];

	if (n->core == NULL || n->dead) return;
	ag_on_processes(n->core, sim_app_is_alive(&n->app) ? 1 : 0, n->strange ? n->strange : "",
			now_of(w));
}

/* Runs the core's clock and keeps one timer for it. */
static void
tick(struct sim_world *w, struct sim_node *n)
{
	struct fm_mono next = ag_core_tick(n->core, now_of(w));

	if (next.ms <= w->now) next.ms = w->now + 1;
	if (next.ms == n->tick_at) return;
	n->tick_at = next.ms;
	sim_later(w, next.ms - w->now,
		  (struct sim_event){ .kind = SIM_EV_NODE_TICK,
				      .who = n->index,
				      .life = n->life,
				      .value = (uint64_t)next.ms });
}

void
sim_node_start(struct sim_world *w, unsigned i)
{
	struct sim_node *n = &w->nodes[i];
	const struct ag_limits limits = { 15000,  10000, 1000, 500,
					  900000, 1000,	 0,    w->plan.hooks ? ~0U : 0,
					  0 };

	n->life++;
	n->dead = n->hook_runs = false;
	n->had_new = n->has_new;
	n->tick_at = -1;
	n->core = ag_core_new(&n->env, &limits, w->config.nodes[i], "127.0.0.1:13000",
			      n->has_memory ? &n->memory : NULL, now_of(w));
	tell_disk(w, n);
	sim_node_processes(w, i);
	if (!n->dead) tick(w, n);
	if (!n->dead && n->link) sim_node_link(w, i, true);
}

void
sim_node_bury(struct sim_world *w, unsigned i)
{
	struct sim_node *n = &w->nodes[i];

	ag_core_free(n->core);
	n->core = NULL;
	n->life++;
	n->dead = false;
	sim_node_link(w, i, false);
}

/* Alike on all, but for what drifted, and for what a node is for. */
static void
tell_facts(struct sim_world *w, unsigned i)
{
	struct fm_node_facts facts = { .known = true, .clock_ms = w->env.wall_ms(w) };

	if (w->config.workers[i]) FM_COPY(facts.worker_mode, "*");
	FM_FORMAT(facts.environment, "APP_KEY %s\n", w->nodes[i].has_drifted ? "other" : "same");
	co_on_node_facts(w->core, i, &facts, now_of(w));
}

void
sim_node_link(struct sim_world *w, unsigned i, bool up)
{
	struct sim_node *n = &w->nodes[i];

	if (n->up == up || w->core == NULL) return;
	n->up = up;
	if (!up) {
		co_on_node_down(w->core, i, now_of(w));
		return;
	}
	co_on_node_up(w->core, i, n->highest.epoch, now_of(w));
	tell_facts(w, i);
	if (n->core != NULL) send_report(n, ag_core_report(n->core));
}

static void
answer_probe(struct sim_world *w, struct sim_node *n)
{
	static const struct {
		enum ag_health health;
		const char *text;
	} says[] = {
		[SIM_DEAD] = { AG_HEALTH_SILENT, "" },
		[SIM_BOOTS] = { AG_HEALTH_SILENT, "" },
		[SIM_WAITS_FOR_DB] = { AG_HEALTH_BUSY, "" },
		[SIM_INSTALLS] = { AG_HEALTH_BUSY, "install plugins..." },
		[SIM_MIGRATES] = { AG_HEALTH_BUSY, "upgrade" },
		[SIM_LOADS] = { AG_HEALTH_BUSY, "load plugin" },
		[SIM_READY] = { AG_HEALTH_OK, "" },
		[SIM_SICK] = { AG_HEALTH_SICK, "database" },
		[SIM_BROKEN] = { AG_HEALTH_FAILED, "APP_ERROR" },
	};
	enum sim_phase phase = n->app.phase;

	if (phase == SIM_READY && w->db.away) phase = SIM_SICK;
	ag_on_probe(n->core, says[phase].health,
		    phase == SIM_BROKEN ? n->app.failure : says[phase].text, now_of(w));
}

static void
answer_look(struct sim_world *w, struct sim_node *n)
{
	struct ag_look look = { .ok = !w->db.away && !w->db.fenced };

	if (look.ok) {
		look.installed = w->db.installed;
		look.enabled = 76;
		FM_COPY(look.version, w->db.version);
	} else {
		look.hopeless = w->db.fenced && !w->db.away;
		FM_COPY(look.text, w->db.fenced ? "fenced" : "away");
	}
	ag_on_look(n->core, &look, now_of(w));
}

static void
answer_hook(struct sim_world *w, struct sim_node *n, const struct answer *answer)
{
	enum ag_hook hook = ag_hook_find(answer->what);
	bool ok = !n->hook_fails;

	n->hook_runs = n->hook_fails = false;
	if (ok) n->hooks_ran |= AG_HOOK_BIT(hook);
	/* Told as failed; another order does not wait for it. */
	if (!ok && hook == AG_HOOK_AFTER_STOP) n->owes_stop = false;
	ag_on_job(n->core, AG_JOB_HOOK, ok, ok ? "done" : "exit 3", 0, now_of(w));
}

static void
answer_job(struct sim_world *w, struct sim_node *n, const struct answer *answer)
{
	bool ok = w->now >= n->disk_fails_until || answer->job == AG_JOB_FETCH;

	if (answer->job_number != n->job_number) return;
	if (answer->job == AG_JOB_HOOK) {
		answer_hook(w, n, answer);
		return;
	}
	if (answer->job == AG_JOB_FETCH && n->fetch_fails) {
		n->fetch_fails = false;
		ok = false;
	}
	if (ok && answer->job == AG_JOB_FETCH) n->has_new = true;
	if (ok && answer->job == AG_JOB_LINK) {
		if (sim_app_is_alive(&n->app))
			sim_violate(w, "a release is switched under a live process of app%u",
				    n->index + 1);
		FM_COPY(n->current, answer->what);
	}
	if (ok) tell_disk(w, n);
	if (!n->dead)
		ag_on_job(n->core, answer->job, ok, ok ? "" : "no space left on device", 1000,
			  now_of(w));
}

/* One statement for the whole of a migration: it says nothing new by itself. */
static void
answer_watch(struct sim_world *w, struct sim_node *n)
{
	struct ag_activity activity = { .ok = !w->db.away && !w->db.fenced };

	if (n->app.phase == SIM_MIGRATES || n->app.phase == SIM_INSTALLS) {
		activity.id = n->app.life;
		FM_COPY(activity.sql, "alter table");
	}
	ag_on_activity(n->core, &activity, now_of(w));
}

static void
answer(struct sim_world *w, struct sim_node *n, const struct answer *answer)
{
	switch (answer->kind) {
	case ANSWER_SPAWNED:
		ag_on_spawned(n->core, true, "", now_of(w));
		sim_node_processes(w, n->index);
		return;
	case ANSWER_PROBE:
		answer_probe(w, n);
		return;
	case ANSWER_LOOK:
		answer_look(w, n);
		return;
	case ANSWER_REPEAT:
		send_report(n, ag_core_report(n->core));
		return;
	case ANSWER_JOB:
		answer_job(w, n, answer);
		return;
	case ANSWER_WATCH:
		answer_watch(w, n);
		return;
	}
}

/* Somebody else's application comes, or a person has ended it. */
static void
strange(struct sim_world *w, struct sim_node *n, uint64_t kind)
{
	n->strange = kind == SIM_SECOND_COPY ? "pid 7 on the port" : kind ? "pid 8 is a pm2" : NULL;
	n->is_port_taken = kind == SIM_SECOND_COPY;
	sim_node_processes(w, n->index);
}

void
sim_node_event(struct sim_world *w, const struct sim_event *event)
{
	struct sim_node *n = &w->nodes[event->who];

	if (event->kind == SIM_EV_NODE_START) {
		bool is_back = event->value == 2 && w->now < n->away_until;

		if (is_back) n->away_until = 0;
		if (n->core == NULL && (is_back || event->life == n->life))
			sim_node_start(w, event->who);
		return;
	}
	if (event->kind == SIM_EV_LINK) {
		n->link = true;
		if (n->core != NULL) sim_node_link(w, event->who, true);
		return;
	}
	if (event->kind == SIM_EV_LOST) {
		sim_node_link(w, event->who, false);
		return;
	}
	if (event->kind == SIM_EV_DRIFT) {
		n->has_drifted = event->value != 0;
		if (n->up && n->link && w->core != NULL) tell_facts(w, event->who);
		return;
	}
	if (event->kind == SIM_EV_STRANGE) {
		strange(w, n, event->value);
		if (n->core != NULL && !n->dead) tick(w, n);
		return;
	}
	if (n->core == NULL) return;
	if (event->kind == SIM_EV_ASK) {
		if (n->link) ag_on_ask(n->core, event->data, now_of(w));
		/* An ask is answered, also one that changes nothing. */
		if (n->link && !n->dead) send_report(n, ag_core_report(n->core));
	} else if (event->life != n->life) {
		return;
	} else if (event->kind == SIM_EV_ANSWER) {
		answer(w, n, event->data);
	} else if (event->kind == SIM_EV_NODE_TICK && (int64_t)event->value != n->tick_at) {
		return;
	}
	if (!n->dead) tick(w, n);
}
