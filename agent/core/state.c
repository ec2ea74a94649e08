/* state.c - what the core knows and remembers, as its rules, acts and jobs ask for it and write it down. */
#include "agent/core/core.h"

#include "base/text.h"

#define SIGN_MS 1000 /* between two that are reported */

bool
ag_is_due(struct ag_core *core, struct fm_mono at)
{
	if (core->now.ms >= at.ms) return true;
	if (at.ms < core->wake.ms) core->wake = at;
	return false;
}

bool
ag_remember(struct ag_core *core, const struct ag_memory *memory)
{
	core->unwritten = core->env.persist(core->env.ctx, memory) != 0;
	if (core->unwritten) {
		core->write_at = fm_mono_after(core->now, core->limits.retry_ms);
		return false;
	}
	core->memory = *memory;
	return true;
}

void
ag_forget_answers(struct ag_core *core)
{
	core->mark++;
	core->verdict = AG_VERDICT_NONE;
	core->health_known = core->ready = false;
	core->health_text[0] = core->look_text[0] = '\0';
	core->silences = 0;
	core->look_at = core->probe_at = core->changed_at = core->now;
}

void
ag_note_sign(struct ag_core *core)
{
	core->changed_at = core->now;
	if (fm_mono_since(core->now, core->sign_at) < SIGN_MS && core->signs > 0) return;
	core->sign_at = core->now;
	core->signs++;
}

bool
ag_is_present(const struct ag_core *core, const char *release)
{
	for (unsigned i = 0; i < core->release_count; i++)
		if (fm_is_equal(core->releases[i], release)) return true;
	return false;
}

bool
ag_is_quiet(const struct ag_core *core)
{
	return core->alive == 0 && !core->spawning && fm_is_empty(core->strange);
}

/* ---- what is wanted ---- */

enum fm_app_goal
ag_goal(const struct ag_core *core)
{
	return core->memory.has_ask ? core->memory.ask.app : FM_APP_GOAL_NONE;
}

bool
ag_is_wanted_process(const struct ag_core *core)
{
	const struct ag_memory *m = &core->memory;

	if (fm_is_empty(m->running) || m->start_serial < m->ask.start_serial) return false;
	return fm_is_empty(m->ask.release) || fm_is_equal(m->running, m->ask.release);
}

const char *
ag_wanted(const struct ag_core *core)
{
	const struct ag_memory *m = &core->memory;

	return m->has_ask && !fm_is_empty(m->ask.release) ? m->ask.release : core->current;
}

/* Another try was asked for. A process that is well needs none, nor does one whose database is
 * away: only what is known not to be well is stopped and started anew. */
static bool
is_spent_try(const struct ag_core *core)
{
	return core->health_known && core->health != AG_HEALTH_OK && core->health != AG_HEALTH_SICK;
}

bool
ag_must_stop(const struct ag_core *core)
{
	const struct ag_memory *m = &core->memory;

	if (ag_goal(core) == FM_APP_GOAL_STOPPED) return true;
	if (ag_goal(core) != FM_APP_GOAL_RUNNING || ag_is_wanted_process(core)) return false;
	if (fm_is_empty(m->running) || !fm_is_equal(m->running, ag_wanted(core))) return true;
	return is_spent_try(core);
}

bool
ag_is_untold(struct ag_core *core)
{
	int64_t wait_ms = core->limits.start_wait_ms;

	if (core->told || !core->memory.has_ask || core->alive > 0 || core->spawning) return false;
	return wait_ms == 0 || !ag_is_due(core, fm_mono_after(core->born, wait_ms));
}
