/* The table is well-formed and total, and no order of events makes the core break its word. */
#include "made_up.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/core/core.h"
#include "base/text.h"

static void
test_well_formed(void **state)
{
	unsigned i, k;

	(void)state;
	assert_true(ag_rule_count > 10);
	for (i = 0; i < ag_rule_count; i++) {
		assert_non_null(ag_rules[i].when);
		assert_true(ag_rules[i].says[0] != '\0');
		for (k = 0; k < i; k++) assert_string_not_equal(ag_rules[i].name, ag_rules[k].name);
	}
	assert_string_equal(ag_rules[ag_rule_count - 1].name, "always");
}

/* Any facts whatsoever are met by a row, which has words for them. */
static void
test_total(void **state)
{
	struct made_up *w = *state;

	srandom(7);
	for (int i = 0; i < 200000; i++) {
		struct ag_core core = *w->core;
		const struct ag_rule *rule;

		core.disk_known = random() % 8;
		core.processes_known = random() % 8;
		core.alive = (unsigned)random() % 3;
		core.spawning = random() % 4 == 0;
		core.stopping = random() % 4 == 0;
		core.killed = core.stopping && random() % 2;
		core.verdict = (enum ag_verdict)(random() % 4);
		core.health_known = random() % 2;
		core.health = (enum ag_health)(random() % 5);
		core.ready = random() % 2;
		core.crashes = (unsigned)random() % 7;
		FM_COPY(core.strange, random() % 4 ? "" : "pid 1");
		FM_COPY(core.memory.running, random() % 2 ? "" : "2.2.15");
		core.memory.has_ask = random() % 8;
		core.memory.ask.app = (enum fm_app_goal)(random() % 3);
		core.memory.ask.run = (uint64_t)random() % 2;
		core.memory.ask.start_serial = (uint64_t)random() % 2;
		core.now.ms += random() % 2000000;
		rule = ag_rule_find(&core);
		assert_true(rule >= ag_rules && rule < ag_rules + ag_rule_count);
		if (rule->more) assert_non_null(rule->more(&core));
	}
}

/* ---- any order of events ---- */

struct walk {
	struct made_up w;
	unsigned alive; /* what is so */
	char strange[32];
	bool look_open, probe_open, job_open, spawn_open;
	unsigned looks, probes, jobs, spawns;
	bool look_answered; /* by this very event */
	struct ag_look look;
	unsigned refused, ready, stopped;
};

static void
check_spawn(struct walk *k)
{
	struct made_up *w = &k->w;
	const struct ag_memory *m = ag_core_memory(w->core);
	int order;

	if (w->spawns == k->spawns) return;
	assert_int_equal(w->spawns, k->spawns + 1);
	k->spawns = w->spawns;
	assert_false(k->spawn_open);
	k->spawn_open = true;
	assert_true(k->look_answered);
	assert_true(k->look.ok);
	assert_int_equal(k->alive, 0);
	assert_string_equal(k->strange, "");
	assert_int_equal(m->ask.app, FM_APP_GOAL_RUNNING);
	assert_string_equal(w->spawned, m->ask.release);
	assert_string_equal(w->disk.running, w->spawned); /* durable */
	assert_memory_equal(&w->disk, m, sizeof(*m));
	order = strcmp(k->look.version, w->spawned);
	if (w->mode == FM_START_PLAIN) {
		assert_int_equal(order, 0);
	} else {
		assert_int_equal(m->ask.start, FM_START_MIGRATE);
		assert_true(order < 0);
	}
}

static void
check_acts(struct walk *k)
{
	struct made_up *w = &k->w;

	check_spawn(k);
	if (w->looks != k->looks) k->look_open = true;
	if (w->probes != k->probes) k->probe_open = true;
	assert_true(w->looks - k->looks + w->probes - k->probes <= 1);
	assert_false(k->look_open && k->probe_open);
	k->looks = w->looks;
	k->probes = w->probes;
	if (w->jobs != k->jobs) {
		assert_int_equal(w->jobs, k->jobs + 1);
		assert_false(k->job_open);
		k->job_open = true;
		k->jobs = w->jobs;
		if (w->job != AG_JOB_FETCH && w->job != AG_JOB_SWEEP) {
			assert_int_equal(k->alive, 0);
			assert_false(k->spawn_open);
		}
	}
	k->look_answered = false;
}

static void
check_report(struct walk *k)
{
	const struct fm_agent_report *r = &k->w.said;
	const struct ag_memory *m = ag_core_memory(k->w.core);

	if (k->w.has_disk && k->w.disk.has_ask && !k->w.core->again_asked)
		assert_int_equal(fm_voice_compare(r->voice, k->w.disk.ask.voice), 0);
	if (r->app == FM_APP_STOPPED) {
		k->stopped++;
		assert_int_equal(k->alive, 0);
		assert_string_equal(k->strange, "");
		assert_false(k->spawn_open);
		assert_int_equal(r->pids, 0);
	}
	if (r->app == FM_APP_READY) {
		k->ready++;
		assert_true(k->alive > 0);
		if (m->ask.app == FM_APP_GOAL_RUNNING && !k->w.core->again_asked) {
			assert_string_equal(r->running, m->ask.release);
			assert_true(m->start_serial >= m->ask.start_serial);
		}
	}
	if (r->app == FM_APP_REFUSED) k->refused++;
	if (r->app == FM_APP_REFUSED || r->app == FM_APP_FAILED) assert_true(r->failure[0]);
}

static void
new_ask(struct walk *k, uint64_t *seq)
{
	static const char *const versions[] = { "2.2.15", "2.2.16" };
	struct fm_agent_ask ask;

	*seq += (uint64_t)random() % 2;
	ask = made_up_ask(*seq - (random() % 8 == 0 && *seq > 1),
			  random() % 3 ? FM_APP_GOAL_RUNNING : (enum fm_app_goal)(random() % 2),
			  versions[random() % 2]);
	ask.run = (uint64_t)random() % 3;
	ask.start = (enum fm_start_mode)(random() % 2);
	ask.start_serial = (uint64_t)random() % (*seq + 1);
	if (random() % 4 == 0) FM_COPY(ask.fetch, "2.3.0");
	if (random() % 4 == 0) FM_FORMAT(ask.snapshot, "rp-%ld", random() % 3);
	if (random() % 4 == 0) {
		FM_COPY(ask.restore, "rp-1");
		ask.restore_serial = (uint64_t)random() % (*seq + 1);
	}
	ask.keep_count = random() % 4 == 0;
	FM_COPY(ask.keep[0], "2.2.15");
	(void)made_up_say(&k->w, &ask);
}

static void
answer_look(struct walk *k)
{
	static const char *const versions[] = { "", "2.2.14", "2.2.15", "2.2.16" };

	if (!k->look_open) return;
	k->look_open = false;
	memset(&k->look, 0, sizeof(k->look));
	k->look.ok = random() % 8;
	FM_COPY(k->look.version, versions[random() % 4]);
	k->look.installed = k->look.version[0] != '\0';
	k->look_answered = true;
	ag_on_look(k->w.core, &k->look, k->w.now);
}

static void
one_event(struct walk *k, uint64_t *seq)
{
	struct made_up *w = &k->w;

	w->disk_full = random() % 16 == 0;
	switch (random() % 12) {
	case 0:
		new_ask(k, seq);
		break;
	case 1:
		if (!k->spawn_open) break;
		k->spawn_open = false;
		if (random() % 4) k->alive = 1;
		ag_on_spawned(w->core, k->alive > 0, "no", w->now);
		break;
	case 2:
	case 3:
		answer_look(k);
		break;
	case 4:
	case 5:
		if (!k->probe_open) break;
		k->probe_open = false;
		ag_on_probe(w->core, random() % 2 ? AG_HEALTH_OK : (enum ag_health)(random() % 5),
			    "text", w->now);
		break;
	case 6:
		if (k->spawn_open) break;
		if (k->alive) k->alive = (unsigned)random() % 3;
		FM_COPY(k->strange, random() % 16 || k->alive ? "" : "pid 1");
		ag_on_processes(w->core, k->alive, k->strange, w->now);
		break;
	case 7:
		if (!k->job_open) break;
		k->job_open = false;
		ag_on_job(w->core, w->job, random() % 4, "why", 1, w->now);
		break;
	case 8:
		if (random() % 8 || k->spawn_open) break;
		w->disk_full = false;
		k->look_open = k->probe_open = k->job_open = false;
		k->strange[0] = '\0';
		made_up_restart(w, k->alive);
		break;
	case 9:
		w->now.ms += random() % 20000;
		break;
	default:
		w->now.ms += random() % 600;
		break;
	}
	(void)ag_core_tick(w->core, w->now);
}

static void
test_any_order(void **state)
{
	struct walk *k = calloc(1, sizeof(*k));
	unsigned spawns = 0, ready = 0, stopped = 0, refused = 0;

	(void)state;
	assert_non_null(k);
	for (unsigned seed = 1; seed <= 400; seed++) {
		uint64_t seq = 1;

		srandom(seed);
		memset(k, 0, sizeof(*k));
		made_up_begin(&k->w);
		for (int i = 0; i < 1000; i++) {
			one_event(k, &seq);
			check_acts(k);
			check_report(k);
		}
		spawns += k->spawns;
		ready += k->ready;
		stopped += k->stopped;
		refused += k->refused;
		made_up_end(&k->w);
	}
	free(k);
	/* The walk went everywhere. */
	assert_true(spawns > 1000 && ready > 1000 && stopped > 1000 && refused > 1000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_well_formed),
		cmocka_unit_test_setup_teardown(test_total, made_up_setup, made_up_teardown),
		cmocka_unit_test(test_any_order),
	};

	return cmocka_run_group_tests_name("agent table", tests, NULL, NULL);
}
