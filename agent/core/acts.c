/* acts.c - what the rows of the table do, and what the answers of looks decide. */
#include "agent/core/core.h"

#include <string.h>

#include "agent/core/guard.h"
#include "base/text.h"

#define WATCH_FIRST_MS 3000 /* most starts are well on their way by then */
#define REFUSED_PAUSE 5	    /* times retry_ms between two looks after a refusal */

bool
ag_act_term(struct ag_core *core)
{
	core->stopping = true;
	core->killed = false;
	core->term_at = core->now;
	ag_forget_answers(core);
	core->env.signal(core->env.ctx, AG_TERM);
	return true;
}

bool
ag_act_kill(struct ag_core *core)
{
	core->killed = true;
	core->kill_at = core->now;
	core->env.signal(core->env.ctx, AG_KILL);
	return true;
}

bool
ag_act_kill_again(struct ag_core *core)
{
	if (!ag_is_due(core, core->kill_again_at)) return false;
	core->kill_again_at = fm_mono_after(core->now, core->limits.retry_ms);
	core->env.signal(core->env.ctx, AG_KILL);
	(void)ag_is_due(core, core->kill_again_at);
	return false;
}

bool
ag_act_note_gone(struct ag_core *core)
{
	struct ag_memory memory = core->memory;

	if (!ag_is_due(core, core->write_at)) return false;
	memory.running[0] = '\0';
	ag_hooks_at_gone(core, &memory);
	if ((!fm_is_empty(core->memory.running) || memory.hooks_due != core->memory.hooks_due) &&
	    !ag_remember(core, &memory))
		return false;
	core->stopping = core->killed = false;
	core->crashes = 0;
	core->crash_text[0] = '\0';
	ag_forget_answers(core);
	return true;
}

static bool
is_idle(const struct ag_core *core)
{
	return !core->probing && !core->looking && !core->spawning;
}

bool
ag_act_look(struct ag_core *core)
{
	if (!is_idle(core) || !ag_is_due(core, core->look_at)) return false;
	core->looking = true;
	core->question_mark = core->mark;
	core->env.look(core->env.ctx);
	return false;
}

bool
ag_act_probe(struct ag_core *core)
{
	if (!is_idle(core) || !ag_is_due(core, core->probe_at)) return false;
	core->probing = true;
	core->question_mark = core->mark;
	core->env.probe(core->env.ctx);
	return false;
}

/* Beside the one question to the application: neither is held up by the other. */
static void
watch(struct ag_core *core)
{
	if (core->watching || !ag_is_due(core, core->watch_at)) return;
	core->watching = true;
	core->env.watch(core->env.ctx);
}

bool
ag_act_compare(struct ag_core *core)
{
	watch(core);
	(void)ag_act_look(core);
	return ag_act_probe(core);
}

bool
ag_act_follow(struct ag_core *core)
{
	watch(core);
	return ag_act_probe(core);
}

/* Durable first: after a crash between the two lines nothing is started a second time. */
bool
ag_act_start(struct ag_core *core)
{
	struct ag_memory memory = core->memory;
	enum fm_start_mode mode = core->may_mode;

	FM_COPY(memory.running, ag_wanted(core));
	if (memory.start_serial < memory.ask.start_serial)
		memory.start_serial = memory.ask.start_serial;
	memory.starts++;
	ag_hooks_at_start(core, &memory);
	ag_forget_answers(core);
	if (!ag_remember(core, &memory)) {
		core->verdict = AG_VERDICT_WAIT;
		core->look_at = core->write_at;
		FM_COPY(core->look_text, "the agent's state cannot be written");
		return true;
	}
	core->spawning = true;
	core->spawned_here = false;
	core->ready_ms = 0;
	core->spawned_at = core->now;
	core->watch_at = fm_mono_after(core->now, WATCH_FIRST_MS);
	memset(&core->activity, 0, sizeof(core->activity));
	core->env.spawn(core->env.ctx, core->memory.running, mode);
	return true;
}

/* ---- hooks: the job begins when the table has been read ---- */

static bool
want_hook(struct ag_core *core, enum ag_hook hook)
{
	core->hook = hook;
	return false;
}

bool
ag_act_hook_before_stop(struct ag_core *core)
{
	return want_hook(core, AG_HOOK_BEFORE_STOP);
}

bool
ag_act_hook_after_stop(struct ag_core *core)
{
	return want_hook(core, AG_HOOK_AFTER_STOP);
}

bool
ag_act_hook_before_start(struct ag_core *core)
{
	return want_hook(core, AG_HOOK_BEFORE_START);
}

bool
ag_act_hook_after_start(struct ag_core *core)
{
	(void)want_hook(core, AG_HOOK_AFTER_START);
	return ag_act_probe(core);
}

bool
ag_act_hook_before_ready(struct ag_core *core)
{
	(void)want_hook(core, AG_HOOK_BEFORE_READY);
	return ag_act_probe(core);
}

bool
ag_act_ready(struct ag_core *core)
{
	if (ag_hook_is_due(core, AG_HOOK_AFTER_READY)) (void)want_hook(core, AG_HOOK_AFTER_READY);
	return ag_act_probe(core);
}

/* ---- answers of looks, which decide about rows above ---- */

static void
judge_start(struct ag_core *core)
{
	const struct ag_look *look = &core->look;
	enum fm_start_mode mode = core->memory.ask.start;

	/* The permission of an ask is spent by the first start that was tried on its strength. */
	if (ag_is_wanted_process(core)) mode = FM_START_PLAIN;
	core->look_text[0] = '\0';
	core->look_at = fm_mono_after(core->now, core->limits.retry_ms);
	if (!look->ok) {
		core->verdict = look->hopeless ? AG_VERDICT_REFUSED : AG_VERDICT_WAIT;
		FM_COPY(core->look_text, look->text);
	} else if (ag_guard(ag_wanted(core), mode, look, &core->may_mode, core->look_text,
			    sizeof(core->look_text))) {
		core->verdict = AG_VERDICT_MAY;
	} else {
		core->verdict = AG_VERDICT_REFUSED;
	}
	if (core->verdict == AG_VERDICT_REFUSED)
		core->look_at = fm_mono_after(core->now, REFUSED_PAUSE * core->limits.retry_ms);
}

/* What was asked to be tried anew, and turns out to be well, has been tried: should it die later,
 * that is a crash, and no reason to use the leave of that ask. */
static bool
note_try(struct ag_core *core)
{
	struct ag_memory memory = core->memory;

	if (!memory.has_ask || memory.ask.app != FM_APP_GOAL_RUNNING ||
	    memory.start_serial >= memory.ask.start_serial)
		return true;
	memory.start_serial = memory.ask.start_serial;
	return ag_remember(core, &memory);
}

static void
judge_ready(struct ag_core *core)
{
	const struct ag_look *look = &core->look;
	char text[FM_TEXT_SIZE] = "";

	core->look_at = fm_mono_after(core->now, core->limits.retry_ms);
	if (!look->ok)
		FM_FORMAT(text, "waiting for the database: %s", look->text);
	else if (!look->installed || fm_is_empty(look->version))
		FM_COPY(text, "it says that it is well, but the database has no version");
	else if (!fm_is_equal(look->version, core->memory.running))
		FM_FORMAT(text, "the database is at %s, the application at %s", look->version,
			  core->memory.running);
	else if (look->pending || look->stale)
		FM_FORMAT(text, "%u plugins not installed, %u of another version", look->pending,
			  look->stale);
	if (!fm_is_equal(text, core->look_text)) ag_note_sign(core);
	FM_COPY(core->look_text, text);
	if (text[0] || core->health != AG_HEALTH_OK || !note_try(core)) return;
	core->ready = true;
	core->silences = 0;
	core->crashes = 0;
	core->crash_text[0] = '\0';
	core->probe_at = fm_mono_after(core->now, core->limits.poll_ms);
	if (core->spawned_here && core->ready_ms == 0)
		core->ready_ms = (uint64_t)fm_mono_since(core->now, core->spawned_at);
}

void
ag_judge_look(struct ag_core *core)
{
	if (core->alive > 0)
		judge_ready(core);
	else
		judge_start(core);
}
