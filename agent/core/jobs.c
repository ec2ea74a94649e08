/* jobs.c - work on the disk: one job at a time, the first of the table that is wanted. */
#include "agent/core/core.h"

#include "base/text.h"

/* Failed under the present ask: a new ask is a new try. */
bool
ag_job_has_failed(const struct ag_core *core, enum ag_job job)
{
	const struct ag_job_state *state = &core->jobs[job];

	return state->failure[0] && core->memory.has_ask &&
	       fm_voice_compare(state->failed, core->memory.ask.voice) == 0;
}

static bool
needs_restore(const struct ag_core *core)
{
	const struct ag_memory *m = &core->memory;

	return m->has_ask && !fm_is_empty(m->ask.restore) &&
	       m->ask.restore_serial > m->restored_serial;
}

/* What is to be restored is not overwritten first. */
static bool
needs_snapshot(const struct ag_core *core)
{
	const struct ag_memory *m = &core->memory;

	if (!m->has_ask || fm_is_empty(m->ask.snapshot)) return false;
	if (needs_restore(core) && fm_is_equal(m->ask.restore, m->ask.snapshot)) return false;
	return !fm_is_equal(m->ask.snapshot, m->snapshot);
}

static bool
needs_link(const struct ag_core *core)
{
	const struct ag_memory *m = &core->memory;

	return m->has_ask && !fm_is_empty(m->ask.release) &&
	       !fm_is_equal(m->ask.release, core->current) && ag_is_present(core, m->ask.release);
}

static bool
needs_fetch(const struct ag_core *core)
{
	const struct ag_memory *m = &core->memory;

	if (ag_hook_is_due(core, AG_HOOK_BEFORE_FETCH)) return false;
	return m->has_ask && !fm_is_empty(m->ask.fetch) && !ag_is_present(core, m->ask.fetch);
}

static bool
needs_sweep(const struct ag_core *core)
{
	const struct ag_memory *m = &core->memory;

	return m->has_ask && m->ask.keep_count > 0 && m->swept_seq != m->ask.voice.seq;
}

static bool
needs_hook(const struct ag_core *core)
{
	return core->hook_next != AG_HOOK_NONE;
}

/* clang-format off */
static const struct {
	enum ag_job job;
	bool (*needed)(const struct ag_core *core);
	bool alone;    /* only while nothing of the application is alive; and before a start */
	bool once;     /* tried once for an ask; the others are tried again by themselves */
	bool stops;    /* may be stopped half way when it is no longer wanted */
	const char *says, *fails;
} ag_job_rules[] = {
{ AG_JOB_HOOK,     needs_hook,     false, true,  true,  "hook", "" },
{ AG_JOB_SNAPSHOT, needs_snapshot, true,  true,  true,  "takes a snapshot of the storage", "" },
{ AG_JOB_RESTORE,  needs_restore,  true,  true,  false, "restores the storage", "" },
{ AG_JOB_LINK,     needs_link,     true,  false, false, "switches the release", "cannot switch" },
{ AG_JOB_FETCH,    needs_fetch,    false, true,  true,  "fetches", "" },
{ AG_JOB_SWEEP,    needs_sweep,    false, false, false, "sweeps old releases", "cannot sweep" },
};
/* clang-format on */

#define JOB_RULES (sizeof(ag_job_rules) / sizeof(*ag_job_rules))

static const char *
what_of(enum ag_job job, const struct fm_agent_ask *ask)
{
	switch (job) {
	case AG_JOB_LINK:
		return ask->release;
	case AG_JOB_FETCH:
		return ask->fetch;
	case AG_JOB_SNAPSHOT:
		return ask->snapshot;
	case AG_JOB_RESTORE:
		return ask->restore;
	case AG_JOB_SWEEP:
	case AG_JOB_HOOK:
		return "";
	}
	return "";
}

static size_t
rule_of(enum ag_job job)
{
	size_t i = 0;

	while (i + 1 < JOB_RULES && ag_job_rules[i].job != job) i++;
	return i;
}

bool
ag_jobs_before_start(const struct ag_core *core)
{
	if (core->job_running && ag_job_rules[rule_of(core->job)].alone) return true;
	for (size_t i = 0; i < JOB_RULES; i++)
		if (ag_job_rules[i].alone && ag_job_rules[i].needed(core)) return true;
	return false;
}

bool
ag_jobs_forbid_start(const struct ag_core *core)
{
	return (needs_restore(core) && ag_job_has_failed(core, AG_JOB_RESTORE)) ||
	       (needs_snapshot(core) && ag_job_has_failed(core, AG_JOB_SNAPSHOT));
}

static bool
may_begin(struct ag_core *core, size_t i)
{
	enum ag_job job = ag_job_rules[i].job;

	if (!ag_job_rules[i].needed(core)) return false;
	if (ag_job_rules[i].alone && !ag_is_quiet(core)) return false;
	if (ag_job_rules[i].once) return !ag_job_has_failed(core, job);
	return ag_is_due(core, core->jobs[job].again);
}

static void
begin(struct ag_core *core, enum ag_job job)
{
	const struct fm_agent_ask *ask = &core->memory.ask;

	core->job_running = true;
	core->job_stopped = false;
	core->job = job;
	core->job_ask = *ask;
	FM_COPY(core->job_what, what_of(job, ask));
	core->job_text[0] = '\0';
	if (job == AG_JOB_HOOK) {
		core->hook_running = core->hook_next;
		core->hook_began = core->now;
		FM_COPY(core->job_what, ag_hook_name(core->hook_running));
		FM_COPY(core->job_ask.release, ag_hook_release(core, core->hook_running));
	}
	if (ag_job_rules[rule_of(job)].once) core->jobs[job].failure[0] = '\0';
	core->env.job(core->env.ctx, job, core->job_what, &core->job_ask);
}

static void
stop_unwanted(struct ag_core *core)
{
	size_t i = rule_of(core->job);

	if (core->job_stopped || !ag_job_rules[i].stops) return;
	if (core->job == AG_JOB_HOOK && ag_hook_is_wanted(core)) return;
	if (core->job != AG_JOB_HOOK &&
	    fm_is_equal(core->job_what, what_of(core->job, &core->memory.ask)))
		return;
	core->job_stopped = true;
	core->env.job_stop(core->env.ctx);
}

/* What follows a fetch is due before the fetch begins: its end may be seen by nobody. */
static bool
announce_fetch(struct ag_core *core)
{
	uint64_t bit = core->limits.hooks & AG_HOOK_BIT(AG_HOOK_AFTER_FETCH);
	struct ag_memory memory = core->memory;

	if ((memory.hooks_due & bit) == bit) return true;
	memory.hooks_due |= bit;
	return ag_is_due(core, core->write_at) && ag_remember(core, &memory);
}

void
ag_jobs_step(struct ag_core *core)
{
	if (!core->disk_known || !core->processes_known || ag_is_untold(core)) return;
	if (core->job_running) {
		stop_unwanted(core);
		return;
	}
	core->hook_next = ag_hook_next(core);
	for (size_t i = 0; i < JOB_RULES; i++) {
		if (!may_begin(core, i)) continue;
		if (ag_job_rules[i].job == AG_JOB_FETCH && !announce_fetch(core)) return;
		begin(core, ag_job_rules[i].job);
		return;
	}
}

static void
add_release(struct ag_core *core, const char *release)
{
	if (ag_is_present(core, release) || core->release_count == FM_RELEASES_MAX) return;
	FM_COPY(core->releases[core->release_count], release);
	core->release_count++;
}

/* What a job that succeeded changed. false: it cannot be written down, so it is done again. */
static bool
note_done(struct ag_core *core, const char *text, uint64_t bytes)
{
	struct ag_memory memory = core->memory;

	switch (core->job) {
	case AG_JOB_LINK:
		FM_COPY(core->current, core->job_what);
		return true;
	case AG_JOB_FETCH:
		add_release(core, core->job_what);
		return true;
	case AG_JOB_SNAPSHOT:
		FM_COPY(memory.snapshot, core->job_what);
		memory.snapshot_bytes = bytes;
		break;
	case AG_JOB_RESTORE:
		memory.restored_serial = core->job_ask.restore_serial;
		break;
	case AG_JOB_SWEEP:
		FM_COPY(core->swept, text);
		memory.swept_seq = core->job_ask.voice.seq;
		break;
	case AG_JOB_HOOK:
		return true;
	}
	return ag_remember(core, &memory);
}

void
ag_jobs_end(struct ag_core *core, bool ok, const char *text, uint64_t bytes)
{
	struct ag_job_state *state = &core->jobs[core->job];

	core->job_running = false;
	if (core->job == AG_JOB_HOOK) {
		ag_hook_end(core, ok, text);
		return;
	}
	if (core->job == AG_JOB_FETCH) core->hooks_done &= ~AG_HOOK_BIT(AG_HOOK_BEFORE_FETCH);
	if (ok) {
		ok = note_done(core, text, bytes);
		text = "the agent's state cannot be written";
	}
	state->failure[0] = '\0';
	if (ok) return;
	FM_COPY(state->failure, fm_is_empty(text) ? "no reason was given" : text);
	state->failed = core->job_ask.voice;
	state->again = fm_mono_after(core->now, core->limits.retry_ms);
}

const char *
ag_jobs_detail(struct ag_core *core)
{
	core->scratch[0] = '\0';
	if (core->job_running) {
		FM_APPEND(core->scratch, "%s", ag_job_rules[rule_of(core->job)].says);
		if (core->job_what[0]) FM_APPEND(core->scratch, " %s", core->job_what);
		if (core->job_text[0]) FM_APPEND(core->scratch, ": %s", core->job_text);
		return core->scratch;
	}
	for (size_t i = 0; i < JOB_RULES; i++) {
		const struct ag_job_state *state = &core->jobs[ag_job_rules[i].job];

		if (ag_job_rules[i].once || !state->failure[0]) continue;
		if (ag_job_rules[i].needed(core))
			FM_APPEND(core->scratch, "%s: %s", ag_job_rules[i].fails, state->failure);
	}
	return core->scratch;
}
