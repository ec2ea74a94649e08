/* Every pair of a state and an event is decided. From a new agent all that can be reached is walked,
 * breadth first: in each state every event comes, also the answer that nobody asked for. The pairs
 * are of a row of the table and an event; what is promised is looked at after each. */
#include "made_up.h"

#include <stdlib.h>
#include <string.h>

#include "agent/core/core.h"
#include "base/text.h"

#define OLD "2.2.15"
#define NEW "2.2.16"
#define ROWS_MOST 64
#define STATES_MOST 60000
#define BUCKETS 65536

/* What tells two states apart here. What a row tells by itself is left out, and so are figures. */
struct key {
	uint8_t row, goal, run, release, alive, strange, running;
	uint8_t spawning, probing, looking, is_old_question, stopping, killed, gave_up, job,
		restore;
	uint8_t hook;
};

struct found {
	struct key key;
	struct ag_core core;
	struct ag_memory disk;
	bool has_disk;
	struct fm_mono now;
	unsigned next; /* in the same bucket, plus one */
};

struct walk {
	struct made_up w;
	struct found *found;
	unsigned count, pairs, spawns, signals;
	unsigned *buckets;
	unsigned seen[ROWS_MOST][64];
};

/* ---- the events ---- */

static void
ask(struct made_up *w, enum fm_app_goal app, const char *release, enum fm_start_mode mode,
    uint64_t run)
{
	struct fm_agent_ask a = w->core->memory.ask;

	if (!w->core->memory.has_ask) a = made_up_ask(0, app, release);
	a.voice.seq++;
	a.app = app;
	a.run = run;
	a.start = mode;
	a.start_serial = run ? 2 : 1;
	FM_COPY(a.release, release);
	a.fetch[0] = a.snapshot[0] = a.restore[0] = '\0';
	a.keep_count = 0;
	(void)ag_on_ask(w->core, &a, w->now);
}

static void
ask_more(struct made_up *w, const char *fetch, const char *snapshot, const char *restore)
{
	struct fm_agent_ask a = w->core->memory.ask;

	a.voice.epoch = 1;
	a.voice.seq++;
	FM_COPY(a.fetch, fetch);
	FM_COPY(a.snapshot, snapshot);
	FM_COPY(a.restore, restore);
	a.restore_serial = restore[0] ? w->core->memory.restored_serial + 1 : 0;
	a.keep_count = fetch[0] ? 0 : 1;
	FM_COPY(a.keep[0], OLD);
	(void)ag_on_ask(w->core, &a, w->now);
}

static void
stale_ask(struct made_up *w)
{
	struct fm_agent_ask a = w->core->memory.ask;
	bool has_ask = w->core->memory.has_ask;

	if (a.voice.seq > 0) a.voice.seq--;
	a.app = a.app == FM_APP_GOAL_RUNNING ? FM_APP_GOAL_STOPPED : FM_APP_GOAL_RUNNING;
	if (has_ask) assert_false(ag_on_ask(w->core, &a, w->now));
}

static void
disk(struct made_up *w, const char *current, unsigned count)
{
	static const char releases[2][FM_VERSION_SIZE] = { OLD, NEW };

	ag_on_disk(w->core, current, count, releases, w->now);
}

static void
fenced(struct made_up *w)
{
	struct ag_look l;

	memset(&l, 0, sizeof(l));
	l.hopeless = true;
	FM_COPY(l.text, "may not log in");
	ag_on_look(w->core, &l, w->now);
}

static void
look(struct made_up *w, bool ok, const char *version, unsigned pending)
{
	struct ag_look l;

	memset(&l, 0, sizeof(l));
	l.ok = ok;
	l.installed = version[0] != '\0';
	l.pending = pending;
	FM_COPY(l.version, version);
	if (!ok) FM_COPY(l.text, "refused");
	ag_on_look(w->core, &l, w->now);
}

static void
watched(struct made_up *w, bool ok)
{
	struct ag_activity a = { .ok = ok, .id = (uint64_t)w->now.ms };

	if (ok) FM_COPY(a.sql, "alter table x");
	ag_on_activity(w->core, &a, w->now);
}

static void
pass(struct made_up *w, int64_t ms)
{
	w->now.ms += ms;
}

static void
last_crash(struct made_up *w)
{
	w->core->crashes = AG_CRASH_LIMIT - 1;
	w->core->crash_first = w->now;
	ag_on_processes(w->core, 0, "", w->now);
}

static void
ends_unwritten(struct made_up *w)
{
	w->disk_full = true;
	ag_on_processes(w->core, 0, "", w->now);
}

static void
agent_dies(struct made_up *w)
{
	made_up_restart(w, w->core->alive);
}

#define PROBE(name, health_) X(name, ag_on_probe(w->core, AG_HEALTH_##health_, #name, w->now))
#define EVENTS                                                                     \
	X(ask_nothing, ask(w, FM_APP_GOAL_NONE, "", FM_START_PLAIN, 0))            \
	X(ask_stopped, ask(w, FM_APP_GOAL_STOPPED, OLD, FM_START_PLAIN, 0))        \
	X(ask_running, ask(w, FM_APP_GOAL_RUNNING, OLD, FM_START_PLAIN, 0))        \
	X(ask_running_in_run, ask(w, FM_APP_GOAL_RUNNING, OLD, FM_START_PLAIN, 7)) \
	X(ask_migrate, ask(w, FM_APP_GOAL_RUNNING, NEW, FM_START_MIGRATE, 7))      \
	X(ask_fetch, ask_more(w, NEW, "", ""))                                     \
	X(ask_snapshot, ask_more(w, "", "rp-1", ""))                               \
	X(ask_restore, ask_more(w, "", "", "rp-1"))                                \
	X(ask_stale, stale_ask(w))                                                 \
	X(disk_old, disk(w, OLD, 1))                                               \
	X(disk_both, disk(w, w->core->current, 2))                                 \
	X(disk_empty, disk(w, "", 0))                                              \
	X(processes_none, ag_on_processes(w->core, 0, "", w->now))                 \
	X(processes_one, ag_on_processes(w->core, 1, "", w->now))                  \
	X(processes_foreign, ag_on_processes(w->core, 0, "pid 1", w->now))         \
	X(processes_both, ag_on_processes(w->core, 1, "pid 1", w->now))            \
	X(unseen, ag_on_unseen(w->core, "the engine is away", w->now))             \
	X(ends_again, last_crash(w))                                               \
	X(ends_unwritten, ends_unwritten(w))                                       \
	X(spawned, ag_on_spawned(w->core, true, "", w->now))                       \
	X(not_spawned, ag_on_spawned(w->core, false, "no", w->now))                \
	PROBE(silent, SILENT)                                                      \
	PROBE(busy, BUSY)                                                          \
	PROBE(well, OK)                                                            \
	PROBE(failed, FAILED)                                                      \
	PROBE(sick, SICK)                                                          \
	X(look_fails, look(w, false, "", 0))                                       \
	X(fenced, fenced(w))                                                       \
	X(look_empty, look(w, true, "", 0))                                        \
	X(look_old, look(w, true, OLD, 0))                                         \
	X(look_new, look(w, true, NEW, 0))                                         \
	X(look_pending, look(w, true, OLD, 3))                                     \
	X(hint, ag_on_hint(w->core, w->now))                                       \
	X(printed, ag_on_output(w->core, w->now))                                  \
	X(watched, watched(w, true))                                               \
	X(not_watched, watched(w, false))                                          \
	X(job_progress, ag_on_job_progress(w->core, "1/2", w->now))                \
	X(job_done, ag_on_job(w->core, w->core->job, true, "", 1, w->now))         \
	X(job_failed, ag_on_job(w->core, w->core->job, false, "why", 0, w->now))   \
	X(a_second, pass(w, 1000))                                                 \
	X(a_term, pass(w, made_up_limits.term_ms + 1))                             \
	X(stuck_long, pass(w, made_up_limits.stuck_ms + 1))                        \
	X(agent_dies, agent_dies(w))                                               \
	X(disk_full, w->disk_full = true; ask(w, FM_APP_GOAL_RUNNING, OLD, FM_START_PLAIN, 0))

/* clang-format off */
#define X(name, act) static void event_##name(struct made_up *w) { act; }
EVENTS
#undef X
static const struct {
	const char *name;
	void (*come)(struct made_up *w);
} events[] = {
#define X(name, act) { #name, event_##name },
EVENTS
#undef X
};
/* clang-format on */
#define EVENT_COUNT (sizeof(events) / sizeof(*events))

/* ---- states ---- */

static struct key
key_of(struct ag_core *c)
{
	const struct ag_memory *m = &c->memory;
	struct key k;

	memset(&k, 0, sizeof(k));
	k.row = (uint8_t)(ag_rule_find(c) - ag_rules);
	k.goal = (uint8_t)(m->has_ask ? m->ask.app : 3);
	k.run = m->ask.run != 0;
	k.release = (uint8_t)m->ask.release[5];
	k.alive = c->alive > 0;
	k.strange = c->strange[0] != '\0';
	k.running = (uint8_t)m->running[5];
	k.spawning = c->spawning;
	k.probing = c->probing;
	k.looking = c->looking;
	k.is_old_question = (c->probing || c->looking) && c->question_mark != c->mark;
	k.stopping = c->stopping;
	k.killed = c->killed;
	k.gave_up = c->crashes >= AG_CRASH_LIMIT;
	k.job = c->job_running ? 1 + (uint8_t)c->job : 0;
	k.hook = c->job_running ? (uint8_t)c->hook_running : 0;
	return k;
}

static unsigned
bucket_of(const struct key *key)
{
	const uint8_t *byte = (const uint8_t *)key;
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < sizeof(*key); i++) hash = (hash ^ byte[i]) * 16777619u;
	return hash % BUCKETS;
}

/* Keeps the state, unless one like it is kept already. */
static void
keep(struct walk *k)
{
	struct key key = key_of(k->w.core);
	unsigned *bucket = &k->buckets[bucket_of(&key)];
	struct found *f;

	for (unsigned at = *bucket; at; at = k->found[at - 1].next)
		if (memcmp(&k->found[at - 1].key, &key, sizeof(key)) == 0) return;
	assert_true(k->count < STATES_MOST);
	f = &k->found[k->count++];
	f->key = key;
	f->core = *k->w.core;
	f->disk = k->w.disk;
	f->has_disk = k->w.has_disk;
	f->now = k->w.now;
	f->next = *bucket;
	*bucket = k->count;
}

static void
go_to(struct walk *k, const struct found *f)
{
	struct made_up *w = &k->w;

	*w->core = f->core;
	w->disk = f->disk;
	w->has_disk = f->has_disk;
	w->now = f->now;
	w->said = f->core.report;
	w->disk_full = false;
	w->spawns = w->probes = w->looks = w->jobs = w->kills = w->terms = 0;
}

/* ---- what is promised ---- */

static void
check_spawn(const struct walk *k, const char *event)
{
	const struct made_up *w = &k->w;
	const struct ag_core *c = w->core;
	const char *in_database = strcmp(event, "look_new") == 0     ? NEW
				  : strcmp(event, "look_empty") == 0 ? ""
								     : OLD;
	bool is_equal = strcmp(in_database, w->spawned) == 0;

	assert_int_equal(w->spawns, 1);
	assert_memory_equal(event, "look_", 5);
	assert_string_not_equal(event, "look_fails");
	assert_int_equal(c->alive, 0);
	assert_string_equal(c->strange, "");
	assert_true(c->spawning && c->memory.ask.app == FM_APP_GOAL_RUNNING);
	assert_memory_equal(&w->disk, &c->memory, sizeof(w->disk));
	assert_string_equal(w->disk.running, w->spawned);
	assert_false(strcmp(in_database, w->spawned) > 0);
	if (!is_equal) assert_int_equal(c->memory.ask.start, FM_START_MIGRATE);
	if (!is_equal) assert_int_equal(w->mode, FM_START_MIGRATE);
}

/* Something is under way that will answer, or the core asked to be woken for a reason. */
static bool
has_next(struct ag_core *c)
{
	/* Or it is the word of the coordinator that comes next. */
	return ag_is_untold(c) || c->spawning || c->probing || c->looking || c->job_running ||
	       c->wake.ms < c->now.ms + 60000;
}

static void
check(const struct walk *k, const char *event)
{
	struct ag_core *c = k->w.core;
	const struct ag_rule *rule = ag_rule_find(c);
	const struct fm_agent_report *r = ag_core_report(c);
	bool is_bad = r->app == FM_APP_FAILED || r->app == FM_APP_REFUSED || r->app == FM_APP_STUCK;

	/* The event is answered, by the row that holds, with words. */
	assert_false(c->stepping || c->again);
	assert_int_equal(r->app, c->again_asked ? FM_APP_READY : rule->state);
	assert_true(r->detail[0] != '\0');
	assert_int_equal(r->failure[0] != '\0', is_bad);
	assert_memory_equal(r, &k->w.said, sizeof(*r));
	/* One act of the application at a time, and never without a next. */
	assert_true(c->probing + c->looking <= 1 + c->spawning);
	assert_true(c->wake.ms > c->now.ms && c->wake.ms <= c->now.ms + 60000);
	assert_true(k->w.probes + k->w.looks + k->w.spawns <= 1);
	if (r->app == FM_APP_STARTING || r->app == FM_APP_BACKOFF || r->app == FM_APP_STOPPING)
		assert_true(has_next(c));
	if (r->app == FM_APP_STOPPED) assert_true(ag_is_quiet(c));
	if (r->app == FM_APP_READY) assert_true(c->alive > 0);
	if (r->app == FM_APP_READY && !c->again_asked) assert_int_equal(c->health, AG_HEALTH_OK);
	if (k->w.jobs > 0 && k->w.job != AG_JOB_FETCH && k->w.job != AG_JOB_SWEEP &&
	    k->w.job != AG_JOB_HOOK)
		assert_true(ag_is_quiet(c));
	if (k->w.spawns > 0) check_spawn(k, event);
	if (k->w.disk_full) assert_int_equal(k->w.spawns, 0);
}

static void
come(struct walk *k, const struct found *from, size_t event)
{
	go_to(k, from);
	events[event].come(&k->w);
	(void)ag_core_tick(k->w.core, k->w.now);
	k->pairs++;
	k->spawns += k->w.spawns;
	k->signals += k->w.terms + k->w.kills;
	k->seen[from->key.row][event]++;
	check(k, events[event].name);
	keep(k);
}

static void
begin(struct walk *k, unsigned hooks)
{
	k->found = calloc(STATES_MOST, sizeof(*k->found));
	k->buckets = calloc(BUCKETS, sizeof(*k->buckets));
	assert_true(k->found && k->buckets);
	made_up_begin_hooked(&k->w, hooks, 0);
	keep(k);
	/* And one that knows nothing yet. */
	k->w.core->disk_known = k->w.core->processes_known = false;
	(void)ag_core_tick(k->w.core, k->w.now);
	keep(k);
}

/* A row whose act always changes facts is passed through, and nothing can come in it. */
static void
check_seen(const struct walk *k, unsigned row, size_t event)
{
	static const char *const passed[] = { "kill", "term", "may_start" };
	bool is_passed = false;

	for (size_t i = 0; i < sizeof(passed) / sizeof(*passed); i++)
		if (strcmp(ag_rules[row].name, passed[i]) == 0) is_passed = true;
	if (is_passed == (k->seen[row][event] > 0))
		fail_msg("%s in %s %s", events[event].name, ag_rules[row].name,
			 is_passed ? "came" : "never came");
}

static void
walk_all(unsigned hooks)
{
	struct walk *k = calloc(1, sizeof(*k));

	assert_non_null(k);
	assert_true(ag_rule_count <= ROWS_MOST && EVENT_COUNT <= 64);
	begin(k, hooks);
	for (unsigned i = 0; i < k->count; i++)
		for (size_t event = 0; event < EVENT_COUNT; event++) come(k, &k->found[i], event);
	for (unsigned row = 0; hooks != 0 && row < ag_rule_count; row++)
		for (size_t event = 0; event < EVENT_COUNT; event++) check_seen(k, row, event);
	assert_true(k->spawns > 100 && k->signals > 100);
	print_message("%u states, %u pairs of a state and an event, %u starts\n", k->count,
		      k->pairs, k->spawns);
	made_up_end(&k->w);
	free(k->found);
	free(k->buckets);
	free(k);
}

/* With all of an operator's commands every row of the table can hold. */
static void
test_every_pair_is_decided(void **state)
{
	(void)state;
	walk_all(~0U);
}

static void
test_every_pair_is_decided_without_hooks(void **state)
{
	(void)state;
	walk_all(0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_pair_is_decided),
		cmocka_unit_test(test_every_pair_is_decided_without_hooks),
	};

	return cmocka_run_group_tests_name("agent table is total", tests, NULL, NULL);
}
