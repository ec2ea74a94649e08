/* hooks.c - which of the operator's commands is due, and what its end means.
 *
 * Hooks before something are remembered by this life of the agent only (hooks_done): an agent that begins
 * anew begins what it was about anew, too. Hooks after something, and that before ready, are written
 * down as due together with what they follow (memory.hooks_due), and stay so until they ended. */
#include "agent/core/core.h"

#include "base/text.h"

#define AFTER_START_BITS                                                        \
	(AG_HOOK_BIT(AG_HOOK_AFTER_START) | AG_HOOK_BIT(AG_HOOK_BEFORE_READY) | \
	 AG_HOOK_BIT(AG_HOOK_AFTER_READY))
#define WRITTEN_BITS \
	(AFTER_START_BITS | AG_HOOK_BIT(AG_HOOK_AFTER_FETCH) | AG_HOOK_BIT(AG_HOOK_AFTER_STOP))
#define START_BITS (AFTER_START_BITS | AG_HOOK_BIT(AG_HOOK_BEFORE_START))
#define RETRY_PAUSE 30 /* times retry_ms, outside a run */

static const char *const names[AG_HOOK_COUNT] = { [AG_HOOK_NONE] = "",
#define X(name, text) [AG_HOOK_##name] = (text),
						  AG_HOOKS(X)
#undef X
};

const char *
ag_hook_name(enum ag_hook hook)
{
	return names[hook];
}

enum ag_hook
ag_hook_find(const char *name)
{
	for (int i = AG_HOOK_NONE + 1; i < AG_HOOK_COUNT; i++)
		if (fm_is_equal(names[i], name)) return (enum ag_hook)i;
	return AG_HOOK_NONE;
}

/* ---- what is due ---- */

bool
ag_hook_is_due(const struct ag_core *core, enum ag_hook hook)
{
	unsigned bit = AG_HOOK_BIT(hook);

	if ((core->limits.hooks & bit) == 0) return false;
	return bit & WRITTEN_BITS ? (core->memory.hooks_due & bit) != 0
				  : (core->hooks_done & bit) == 0;
}

bool
ag_hook_has_failed(struct ag_core *core, enum ag_hook hook)
{
	const struct ag_job_state *state = &core->hooks[hook];

	if (!state->failure[0] || !ag_hook_is_due(core, hook) ||
	    fm_voice_compare(state->failed, core->memory.ask.voice) != 0)
		return false;
	if (core->memory.ask.run != 0 || (AG_HOOK_BIT(hook) & START_BITS) == 0) return true;
	return !ag_is_due(core, state->again);
}

const char *
ag_hook_failure(struct ag_core *core)
{
	for (int i = AG_HOOK_BEFORE_STOP; i < AG_HOOK_COUNT; i++)
		if (ag_hook_has_failed(core, (enum ag_hook)i)) return core->hooks[i].failure;
	return "";
}

const char *
ag_hook_fetch_failure(struct ag_core *core)
{
	if (ag_hook_has_failed(core, AG_HOOK_BEFORE_FETCH))
		return core->hooks[AG_HOOK_BEFORE_FETCH].failure;
	if (ag_hook_has_failed(core, AG_HOOK_AFTER_FETCH))
		return core->hooks[AG_HOOK_AFTER_FETCH].failure;
	return "";
}

/* The row's own first; those around a fetch are no affair of the application. */
enum ag_hook
ag_hook_next(struct ag_core *core)
{
	const struct fm_agent_ask *ask = &core->memory.ask;

	if (core->hook != AG_HOOK_NONE) return core->hook;
	if (!core->memory.has_ask || fm_is_empty(ask->fetch)) return AG_HOOK_NONE;
	if (!ag_is_present(core, ask->fetch)) {
		if (ag_hook_is_due(core, AG_HOOK_BEFORE_FETCH) &&
		    !ag_hook_has_failed(core, AG_HOOK_BEFORE_FETCH))
			return AG_HOOK_BEFORE_FETCH;
	} else if (ag_hook_is_due(core, AG_HOOK_AFTER_FETCH) &&
		   !ag_hook_has_failed(core, AG_HOOK_AFTER_FETCH)) {
		return AG_HOOK_AFTER_FETCH;
	}
	return AG_HOOK_NONE;
}

const char *
ag_hook_release(const struct ag_core *core, enum ag_hook hook)
{
	const struct ag_memory *m = &core->memory;

	if (hook == AG_HOOK_BEFORE_FETCH || hook == AG_HOOK_AFTER_FETCH) return m->ask.fetch;
	if (hook == AG_HOOK_BEFORE_START) return ag_wanted(core);
	return m->running[0] ? m->running : core->current;
}

/* What the hook under way is for has not passed: the row still asks for it, or, once the application
 * is there, its process goes on: a database that is away for a moment ends no hook. */
bool
ag_hook_is_wanted(struct ag_core *core)
{
	enum ag_hook hook = core->hook_running;

	if (!fm_is_equal(core->job_ask.release, ag_hook_release(core, hook))) return false;
	if (AG_HOOK_BIT(hook) & AFTER_START_BITS)
		return core->alive > 0 && !core->stopping && ag_hook_is_due(core, hook) &&
		       !ag_must_stop(core);
	return ag_hook_next(core) == hook;
}

/* ---- what sets and takes back ---- */

void
ag_hooks_at_ask(struct ag_core *core, struct ag_memory *memory, bool is_other)
{
	const struct ag_job_state *after_stop = &core->hooks[AG_HOOK_AFTER_STOP];

	if (!fm_is_equal(memory->ask.fetch, core->memory.ask.fetch)) {
		core->hooks_done &= ~AG_HOOK_BIT(AG_HOOK_BEFORE_FETCH);
		memory->hooks_due &= ~(uint64_t)AG_HOOK_BIT(AG_HOOK_AFTER_FETCH);
	}
	if (!is_other) return;
	core->hooks_done &= AG_HOOK_BIT(AG_HOOK_BEFORE_FETCH);
	/* The stop has failed by it, and something else is wanted now: the way back does not hang on it. */
	if (after_stop->failure[0]) memory->hooks_due &= ~(uint64_t)AG_HOOK_BIT(AG_HOOK_AFTER_STOP);
}

void
ag_hooks_at_start(struct ag_core *core, struct ag_memory *memory)
{
	core->hooks_done &= AG_HOOK_BIT(AG_HOOK_BEFORE_FETCH);
	memory->hooks_due &= AG_HOOK_BIT(AG_HOOK_AFTER_FETCH);
	memory->hooks_due |= core->limits.hooks & AFTER_START_BITS;
}

void
ag_hooks_at_gone(struct ag_core *core, struct ag_memory *memory)
{
	core->hooks_done &= AG_HOOK_BIT(AG_HOOK_BEFORE_FETCH);
	memory->hooks_due &= AG_HOOK_BIT(AG_HOOK_AFTER_FETCH);
	memory->hooks_due |= core->limits.hooks & AG_HOOK_BIT(AG_HOOK_AFTER_STOP);
	core->hooks[AG_HOOK_AFTER_STOP].failure[0] = '\0';
}

/* ---- its end ---- */

static void
tell(struct ag_core *core, bool ok, bool goes_on, const char *text)
{
	struct fm_hook_told *at = core->hooks_told;
	const unsigned last = FM_HOOKS_TOLD - 1;

	for (unsigned i = 0; i < last; i++) at[i] = at[i + 1];
	at[last] = (struct fm_hook_told){
		.serial = core->memory.hook_serial,
		.ok = ok,
		.goes_on = goes_on,
		.took_ms = (uint64_t)fm_mono_since(core->now, core->hook_began),
	};
	FM_COPY(at[last].hook, ag_hook_name(core->hook_running));
	FM_COPY(at[last].text, text);
}

void
ag_hook_end(struct ag_core *core, bool ok, const char *text)
{
	enum ag_hook hook = core->hook_running;
	struct ag_job_state *state = &core->hooks[hook];
	bool goes_on = !ok && (hook == AG_HOOK_AFTER_READY ||
			       (core->limits.hooks_go_on & AG_HOOK_BIT(hook)) != 0);
	struct ag_memory memory = core->memory;

	core->hook_running = AG_HOOK_NONE;
	core->changed_at = core->now;
	/* Nobody wanted it any more, and what it said is about the past. */
	if (core->job_stopped) return;
	core->hook_running = hook;
	state->failure[0] = '\0';
	memory.hook_serial++;
	if (ok || goes_on) memory.hooks_due &= ~(uint64_t)AG_HOOK_BIT(hook);
	if (!ag_remember(core, &memory)) {
		ok = goes_on = false;
		text = "the agent's state cannot be written";
	} else {
		tell(core, ok, goes_on, text);
	}
	core->hook_running = AG_HOOK_NONE;
	if (ok || goes_on) {
		core->hooks_done |= AG_HOOK_BIT(hook);
		return;
	}
	FM_FORMAT(state->failure, "%s: %s", ag_hook_name(hook),
		  fm_is_empty(text) ? "no reason was given" : text);
	state->failed = core->job_ask.voice;
	state->again = fm_mono_after(core->now, RETRY_PAUSE * core->limits.retry_ms);
}
