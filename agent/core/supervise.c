/* supervise.c - events in: what each makes known, and one turn of the table after it. */
#include "agent/core/core.h"

#include <string.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "base/text.h"

#define SLEEP_MAX_MS 60000
#define CRASH_WINDOW_MS (10 * 60 * 1000)
#define BACKOFF_MS 1000
#define BACKOFF_MAX_MS 60000
#define SILENT_SHARE 5 /* of start_poll_ms, while nothing listens */
#define WATCH_MS 3000  /* between two looks at what the database does */
#define WATCH_FAILED_MS 10000
#define TURNS_MAX 64 /* rows that one event may pass through; more is a fault of the table */

/* ---- one turn ---- */

/* An env that answers inside its own call is taken in: the answer changes facts, and the table is
 * read again. */
static void
step(struct ag_core *core)
{
	const struct ag_rule *rule;
	unsigned turns = 0;

	core->again = true;
	if (core->stepping) return;
	core->stepping = true;
	do {
		core->again = false;
		core->wake = fm_mono_after(core->now, SLEEP_MAX_MS);
		core->hook = AG_HOOK_NONE;
		rule = ag_rule_find(core);
		if (rule->act && rule->act(core)) core->again = true;
		if (!core->again) ag_jobs_step(core);
		CHECK(++turns <= TURNS_MAX);
	} while (core->again);
	/* Directly before the start, or not at all. */
	if (core->verdict == AG_VERDICT_MAY) core->verdict = AG_VERDICT_NONE;
	core->stepping = false;
	ag_report_publish(core, rule);
}

static void
set_now(struct ag_core *core, struct fm_mono now)
{
	if (now.ms > core->now.ms) core->now = now;
}

/* ---- life ---- */

struct ag_core *
ag_core_new(const struct ag_env *env, const struct ag_limits *limits, const char *node,
	    const char *address, const struct ag_memory *memory, struct fm_mono now)
{
	struct ag_core *core = fm_new(struct ag_core, 1);

	core->env = *env;
	core->limits = *limits;
	core->now = core->wake = core->born = now;
	FM_COPY(core->node, node);
	FM_COPY(core->address, address);
	if (memory) core->memory = *memory;
	ag_forget_answers(core);
	core->backoff_at = core->write_at = core->kill_again_at = now;
	for (unsigned i = 0; i < AG_JOBS; i++) core->jobs[i].again = now;
	return core;
}

void
ag_core_free(struct ag_core *core)
{
	fm_freep(&core);
}

/* ---- events ---- */

/* Does what is known of the application answer the new ask, too? */
static bool
is_another_wish(const struct fm_agent_ask *a, const struct fm_agent_ask *b)
{
	return a->app != b->app || a->start != b->start || a->run != b->run ||
	       a->start_serial != b->start_serial || !fm_is_equal(a->release, b->release);
}

bool
ag_on_ask(struct ag_core *core, const struct fm_agent_ask *ask, struct fm_mono now)
{
	struct ag_memory memory = core->memory;
	bool is_other;

	set_now(core, now);
	if (memory.has_ask) {
		int order = fm_voice_compare(ask->voice, memory.ask.voice);

		if (order < 0) return false;
		if (order == 0) {
			core->told = true;
			step(core);
			return true;
		}
	}
	/* A seq means nothing beside another epoch's; and what has been asked for anew has its time anew. */
	if (ask->voice.epoch != memory.ask.voice.epoch) {
		memory.swept_seq = 0;
		core->changed_at = core->now;
	}
	is_other = !memory.has_ask || is_another_wish(ask, &memory.ask);
	memory.ask = *ask;
	memory.has_ask = true;
	ag_hooks_at_ask(core, &memory, is_other);
	if (!ag_remember(core, &memory)) {
		step(core);
		return false;
	}
	core->told = true;
	if (is_other) {
		core->again_asked = core->ready && core->report.app == FM_APP_READY &&
				    ask->app == FM_APP_GOAL_RUNNING;
		ag_forget_answers(core);
	}
	step(core);
	return true;
}

void
ag_on_disk(struct ag_core *core, const char *current, unsigned count,
	   const char releases[][FM_VERSION_SIZE], struct fm_mono now)
{
	set_now(core, now);
	core->disk_known = true;
	FM_COPY(core->current, current);
	core->release_count = count < FM_RELEASES_MAX ? count : FM_RELEASES_MAX;
	for (unsigned i = 0; i < core->release_count; i++) FM_COPY(core->releases[i], releases[i]);
	step(core);
}

static void
note_crash(struct ag_core *core, const char *text)
{
	int64_t delay_ms = BACKOFF_MS;

	if (core->crashes > 0 && fm_mono_since(core->now, core->crash_first) > CRASH_WINDOW_MS)
		core->crashes = 0;
	if (core->crashes == 0) core->crash_first = core->now;
	for (unsigned i = 0; i < core->crashes && delay_ms < BACKOFF_MAX_MS; i++) delay_ms *= 2;
	if (delay_ms > BACKOFF_MAX_MS) delay_ms = BACKOFF_MAX_MS;
	core->crashes++;
	/* Half fixed, half by chance: nodes that died together do not come back together. */
	delay_ms = delay_ms / 2 + (int64_t)((double)delay_ms / 2 * core->env.random(core->env.ctx));
	core->backoff_at = fm_mono_after(core->now, delay_ms);
	FM_COPY(core->crash_text, text);
	ag_forget_answers(core);
}

static void
note_death(struct ag_core *core)
{
	char text[FM_TEXT_SIZE] = "it ended by itself", age[32];

	if (core->spawned_here)
		FM_APPEND(text, " %s after its start",
			  fm_format_duration(age, sizeof(age),
					     fm_mono_since(core->now, core->spawned_at)));
	if (core->health_text[0] && !core->ready)
		FM_APPEND(text, "; the last it said was: %s", core->health_text);
	note_crash(core, text);
}

void
ag_on_processes(struct ag_core *core, unsigned alive, const char *strange, struct fm_mono now)
{
	bool is_first = !core->processes_known, had = core->alive > 0;

	set_now(core, now);
	core->processes_known = true;
	core->alive = alive;
	FM_COPY(core->strange, strange);
	if (alive == 0 && !core->stopping && !core->spawning && core->memory.running[0]) {
		if (is_first)
			FM_COPY(core->crash_text, core->unseen[0]
							  ? "it ended while it could not be seen"
							  : "it ended while this agent was away");
		else if (had)
			note_death(core);
	}
	core->unseen[0] = '\0';
	step(core);
}

void
ag_on_unseen(struct ag_core *core, const char *why, struct fm_mono now)
{
	set_now(core, now);
	if (core->processes_known) ag_forget_answers(core);
	core->processes_known = false;
	FM_COPY(core->unseen, fm_is_empty(why) ? "?" : why);
	step(core);
}

void
ag_on_spawned(struct ag_core *core, bool ok, const char *why, struct fm_mono now)
{
	char text[FM_TEXT_SIZE];

	set_now(core, now);
	if (!core->spawning) return;
	core->spawning = false;
	core->spawned_here = ok;
	core->changed_at = core->probe_at = core->now;
	if (ok) {
		/* Alive until the world says otherwise. */
		if (core->alive == 0) core->alive = 1;
	} else {
		FM_FORMAT(text, "it could not be started: %s", fm_is_empty(why) ? "?" : why);
		note_crash(core, text);
	}
	step(core);
}

/* A closed port costs nobody anything; each early answer is an error line in the log. */
static int64_t
pause_after_probe(const struct ag_core *core)
{
	if (core->ready) return core->limits.poll_ms;
	if (core->health == AG_HEALTH_SILENT) return core->limits.start_poll_ms / SILENT_SHARE;
	return core->limits.start_poll_ms;
}

void
ag_on_probe(struct ag_core *core, enum ag_health health, const char *text, struct fm_mono now)
{
	bool is_old = core->question_mark != core->mark;

	set_now(core, now);
	if (!core->probing) return;
	core->probing = false;
	core->probe_at = core->now;
	if (is_old) {
		step(core);
		return;
	}
	core->silences = health == AG_HEALTH_SILENT ? core->silences + 1 : 0;
	/* One lost answer of a busy node is not a change of state. */
	if (!(core->ready && health == AG_HEALTH_SILENT && core->silences < AG_SILENCES)) {
		if (!core->health_known || health != core->health ||
		    !fm_is_equal(text, core->health_text))
			ag_note_sign(core);
		if (health == AG_HEALTH_OK && !core->ready) core->look_at = core->now;
		if (health != AG_HEALTH_OK) core->ready = false;
		core->health_known = true;
		core->health = health;
		FM_COPY(core->health_text, text);
	}
	core->probe_at = fm_mono_after(core->now, pause_after_probe(core));
	step(core);
}

void
ag_on_look(struct ag_core *core, const struct ag_look *look, struct fm_mono now)
{
	set_now(core, now);
	if (!core->looking) return;
	core->looking = false;
	core->look = *look;
	core->looked = true;
	core->look_at = core->now;
	if (core->question_mark == core->mark) ag_judge_look(core);
	step(core);
}

void
ag_on_condition(struct ag_core *core, const struct ag_condition *condition, struct fm_mono now)
{
	set_now(core, now);
	core->condition = *condition;
	step(core);
}

void
ag_on_hint(struct ag_core *core, struct fm_mono now)
{
	set_now(core, now);
	core->probe_at = core->now;
	step(core);
}

void
ag_on_activity(struct ag_core *core, const struct ag_activity *activity, struct fm_mono now)
{
	set_now(core, now);
	if (!core->watching) return;
	core->watching = false;
	core->watch_at = fm_mono_after(core->now, activity->ok ? WATCH_MS : WATCH_FAILED_MS);
	if (activity->ok && (activity->id != core->activity.id ||
			     !fm_is_equal(activity->waits, core->activity.waits)))
		ag_note_sign(core);
	core->activity = *activity;
	step(core);
}

void
ag_on_output(struct ag_core *core, struct fm_mono now)
{
	set_now(core, now);
	if (core->alive > 0 && !core->ready) ag_note_sign(core);
	step(core);
}

void
ag_on_job_progress(struct ag_core *core, const char *text, struct fm_mono now)
{
	set_now(core, now);
	if (!core->job_running) return;
	FM_COPY(core->job_text, text);
	step(core);
}

void
ag_on_job(struct ag_core *core, enum ag_job job, bool ok, const char *text, uint64_t bytes,
	  struct fm_mono now)
{
	set_now(core, now);
	if (!core->job_running || core->job != job) return;
	ag_jobs_end(core, ok, text, bytes);
	step(core);
}

struct fm_mono
ag_core_tick(struct ag_core *core, struct fm_mono now)
{
	set_now(core, now);
	step(core);
	return core->wake;
}

const struct fm_agent_report *
ag_core_report(const struct ag_core *core)
{
	return &core->report;
}

const struct ag_memory *
ag_core_memory(const struct ag_core *core)
{
	return &core->memory;
}
