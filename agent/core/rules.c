/* rules.c - what the application is, and what to do next: one table, read from the top. */
#include "agent/core/core.h"

#include "base/text.h"

static bool
is_about_to_stop(const struct ag_core *core)
{
	return core->alive > 0 && !core->stopping && ag_must_stop(core);
}

/* It was started for this ask, and is no more. */
static bool
is_crashed(const struct ag_core *core)
{
	return core->alive == 0 && ag_is_wanted_process(core);
}

/* ---- when ---- */

static bool
when_blind(struct ag_core *core)
{
	return !core->disk_known || !core->processes_known;
}

static bool
when_start_unwanted(struct ag_core *core)
{
	return core->spawning && ag_must_stop(core);
}

static bool
when_spawning(struct ag_core *core)
{
	return core->spawning;
}

static bool
when_unkillable(struct ag_core *core)
{
	return core->alive > 0 && core->killed &&
	       ag_is_due(core, fm_mono_after(core->kill_at, core->limits.kill_ms));
}

static bool
when_kill(struct ag_core *core)
{
	return core->alive > 0 && core->stopping && !core->killed &&
	       ag_is_due(core, fm_mono_after(core->term_at, core->limits.term_ms));
}

static bool
when_term(struct ag_core *core)
{
	return is_about_to_stop(core);
}

static bool
when_ending(struct ag_core *core)
{
	return core->alive > 0 && core->stopping;
}

static bool
when_gone(struct ag_core *core)
{
	if (core->alive > 0) return false;
	return core->stopping ||
	       (ag_goal(core) == FM_APP_GOAL_STOPPED && !fm_is_empty(core->memory.running));
}

static bool
when_occupied(struct ag_core *core)
{
	return core->alive == 0 && !fm_is_empty(core->strange);
}

static bool
when_foreign(struct ag_core *core)
{
	return when_occupied(core) && ag_goal(core) != FM_APP_GOAL_RUNNING;
}

static bool
when_stopped(struct ag_core *core)
{
	return core->alive == 0 && ag_goal(core) != FM_APP_GOAL_RUNNING;
}

static bool
when_untold(struct ag_core *core)
{
	return ag_is_untold(core);
}

static bool
when_crashed_in_run(struct ag_core *core)
{
	return is_crashed(core) && core->memory.ask.run != 0;
}

static bool
when_gave_up(struct ag_core *core)
{
	return is_crashed(core) && core->crashes >= AG_CRASH_LIMIT;
}

static bool
when_backing_off(struct ag_core *core)
{
	return is_crashed(core) && !ag_is_due(core, core->backoff_at);
}

static bool
when_storage_failed(struct ag_core *core)
{
	return core->alive == 0 && ag_jobs_forbid_start(core);
}

static bool
when_absent(struct ag_core *core)
{
	return core->alive == 0 && !ag_is_present(core, ag_wanted(core));
}

static bool
when_fetch_failed(struct ag_core *core)
{
	return when_absent(core) &&
	       (ag_job_has_failed(core, AG_JOB_FETCH) || !fm_is_empty(ag_hook_fetch_failure(core)));
}

static bool
when_being_fetched(struct ag_core *core)
{
	return when_absent(core) && !fm_is_empty(core->memory.ask.fetch) &&
	       fm_is_equal(core->memory.ask.fetch, ag_wanted(core));
}

static bool
when_disk_first(struct ag_core *core)
{
	return core->alive == 0 && ag_jobs_before_start(core);
}

static bool
when_may_start(struct ag_core *core)
{
	return core->alive == 0 && core->verdict == AG_VERDICT_MAY;
}

static bool
when_refused(struct ag_core *core)
{
	return core->alive == 0 && core->verdict == AG_VERDICT_REFUSED;
}

static bool
when_no_look(struct ag_core *core)
{
	return core->alive == 0 && core->verdict == AG_VERDICT_WAIT;
}

static bool
when_none_alive(struct ag_core *core)
{
	return core->alive == 0;
}

static bool
when_nameless(struct ag_core *core)
{
	return fm_is_empty(core->memory.running);
}

static bool
when_unheard(struct ag_core *core)
{
	return !core->health_known;
}

static bool
when_said_failed(struct ag_core *core)
{
	return core->health == AG_HEALTH_FAILED;
}

static bool
when_ready(struct ag_core *core)
{
	return core->ready;
}

static bool
when_sick(struct ag_core *core)
{
	return core->health == AG_HEALTH_SICK;
}

static bool
when_stuck(struct ag_core *core)
{
	/* Without its database it cannot go on, and needs no other start. */
	if (core->health == AG_HEALTH_OK && core->looked && !core->look.ok) return false;
	return ag_is_due(core, fm_mono_after(core->changed_at, core->limits.stuck_ms));
}

static bool
when_well(struct ag_core *core)
{
	return core->health == AG_HEALTH_OK;
}

static bool
when_busy(struct ag_core *core)
{
	return core->health == AG_HEALTH_BUSY;
}

static bool
when_always(struct ag_core *core)
{
	(void)core;
	return true;
}

/* ---- when: the operator's commands; that it failed comes before that it is due ---- */

static bool
when_before_stop_failed(struct ag_core *core)
{
	return is_about_to_stop(core) && ag_hook_has_failed(core, AG_HOOK_BEFORE_STOP);
}

static bool
when_before_stop(struct ag_core *core)
{
	return is_about_to_stop(core) && ag_hook_is_due(core, AG_HOOK_BEFORE_STOP);
}

static bool
when_after_stop_failed(struct ag_core *core)
{
	return core->alive == 0 && ag_hook_has_failed(core, AG_HOOK_AFTER_STOP);
}

static bool
when_after_stop(struct ag_core *core)
{
	return core->alive == 0 && ag_hook_is_due(core, AG_HOOK_AFTER_STOP);
}

static bool
when_before_start_failed(struct ag_core *core)
{
	return core->alive == 0 && ag_hook_has_failed(core, AG_HOOK_BEFORE_START);
}

static bool
when_before_start(struct ag_core *core)
{
	return core->alive == 0 && ag_hook_is_due(core, AG_HOOK_BEFORE_START);
}

static bool
when_after_start_failed(struct ag_core *core)
{
	return ag_hook_has_failed(core, AG_HOOK_AFTER_START);
}

static bool
when_after_start(struct ag_core *core)
{
	return ag_hook_is_due(core, AG_HOOK_AFTER_START);
}

static bool
when_before_ready_failed(struct ag_core *core)
{
	return core->ready && ag_hook_has_failed(core, AG_HOOK_BEFORE_READY);
}

static bool
when_before_ready(struct ag_core *core)
{
	return core->ready && ag_hook_is_due(core, AG_HOOK_BEFORE_READY);
}

/* ---- more ---- */

static const char *
more_hook(struct ag_core *core)
{
	return ag_hook_failure(core);
}

static const char *
more_unseen(struct ag_core *core)
{
	return core->unseen;
}

static const char *
more_count(struct ag_core *core)
{
	FM_FORMAT(core->scratch, "%u process%s", core->alive, core->alive == 1 ? "" : "es");
	return core->scratch;
}

static const char *
more_strange(struct ag_core *core)
{
	return core->strange;
}

static const char *
more_crash(struct ag_core *core)
{
	return core->crash_text;
}

static const char *
more_stopped(struct ag_core *core)
{
	const struct ag_memory *m = &core->memory;

	if (!m->has_ask || fm_is_empty(m->ask.release) || ag_is_present(core, m->ask.release))
		return core->crash_text;
	FM_FORMAT(core->scratch, "release %s is not on this node", m->ask.release);
	return core->scratch;
}

static const char *
more_storage(struct ag_core *core)
{
	return ag_job_has_failed(core, AG_JOB_RESTORE) ? core->jobs[AG_JOB_RESTORE].failure
						       : core->jobs[AG_JOB_SNAPSHOT].failure;
}

static const char *
more_fetch(struct ag_core *core)
{
	const char *failure = ag_hook_fetch_failure(core);

	return fm_is_empty(failure) ? core->jobs[AG_JOB_FETCH].failure : failure;
}

static const char *
more_wanted(struct ag_core *core)
{
	const char *wanted = ag_wanted(core);

	return fm_is_empty(wanted) ? "none was asked for, and none is linked" : wanted;
}

static const char *
more_look(struct ag_core *core)
{
	return core->look_text;
}

static const char *
more_health(struct ag_core *core)
{
	return core->health_text;
}

static const char *
more_stuck(struct ag_core *core)
{
	char limit[32];

	FM_FORMAT(core->scratch, "%s; the last it said was: %s",
		  fm_format_duration(limit, sizeof(limit), core->limits.stuck_ms),
		  core->health_text[0] ? core->health_text
		  : core->look_text[0] ? core->look_text
				       : "nothing");
	return core->scratch;
}

/* ---- the table ---- */

/* clang-format off */
#define ROW(when, is, act, says, more) { #when, when_##when, FM_APP_##is, act, says, more }
#define DOES(name) ag_act_##name
const struct ag_rule ag_rules[] = {
/*  when            is        does            says, and more */
ROW(blind,          UNKNOWN,  NULL,           "looks at the disk and the processes", more_unseen),
ROW(start_unwanted, STOPPING, NULL,           "waits for the start under way, to end it", NULL),
ROW(spawning,       STARTING, NULL,           "starts the process", NULL),
ROW(unkillable,     FAILED,   DOES(kill_again), "cannot be killed", more_count),
ROW(kill,           STOPPING, DOES(kill),     "kills what is left", more_count),
ROW(before_stop_failed, FAILED, NULL,         "not stopped, an operator's command failed", more_hook),
ROW(before_stop,    STOPPING, DOES(hook_before_stop), "waits for the operator's command", NULL),
ROW(term,           STOPPING, DOES(term),     "asks the application to end", more_count),
ROW(ending,         STOPPING, NULL,           "waits for the application to end", more_count),
ROW(gone,           STOPPING, DOES(note_gone), "writes down that the application ended", NULL),
ROW(foreign,        FAILED,   NULL,           "not proved stopped, end this by hand", more_strange),
ROW(after_stop_failed, FAILED, NULL,          "stopped, but an operator's command failed", more_hook),
ROW(after_stop,     STOPPING, DOES(hook_after_stop), "waits for the operator's command", NULL),
ROW(stopped,        STOPPED,  NULL,           "no process is left", more_stopped),
ROW(occupied,       REFUSED,  NULL,           "not started, end this by hand", more_strange),
ROW(crashed_in_run, FAILED,   NULL,           "the application is gone", more_crash),
ROW(gave_up,        FAILED,   NULL,           "gave up, it ends again and again", more_crash),
ROW(untold,         STOPPED,  NULL,           "was away: starts nothing before the coordinator says what", NULL),
ROW(backing_off,    BACKOFF,  NULL,           "starts again in a moment", more_crash),
ROW(storage_failed, FAILED,   NULL,           "not started, the storage is not right", more_storage),
ROW(fetch_failed,   FAILED,   NULL,           "not started, the release is not here", more_fetch),
ROW(being_fetched,  STARTING, NULL,           "waits for the release to be fetched", more_wanted),
ROW(absent,         REFUSED,  NULL,           "the release is not on this node", more_wanted),
ROW(disk_first,     STARTING, NULL,           "prepares the disk before the start", NULL),
ROW(before_start_failed, FAILED, NULL,        "not started, an operator's command failed", more_hook),
ROW(before_start,   STARTING, DOES(hook_before_start), "waits for the operator's command", NULL),
ROW(may_start,      STARTING, DOES(start),    "starts the process", NULL),
ROW(refused,        REFUSED,  DOES(look),     "not started", more_look),
ROW(no_look,        STARTING, DOES(look),     "waiting for the database", more_look),
ROW(none_alive,     STARTING, DOES(look),     "asks the database for its version", NULL),
ROW(nameless,       FAILED,   NULL,           "runs, and this agent did not start it", more_count),
ROW(after_start_failed, FAILED, DOES(probe),  "started, but an operator's command failed", more_hook),
ROW(after_start,    STARTING, DOES(hook_after_start), "waits for the operator's command", NULL),
ROW(unheard,        STARTING, DOES(probe),    "asks the application how it is", NULL),
ROW(said_failed,    FAILED,   DOES(probe),    "the application says that it failed", more_health),
ROW(before_ready_failed, FAILED, DOES(probe), "well, but an operator's command failed", more_hook),
ROW(before_ready,   STARTING, DOES(hook_before_ready), "waits for the operator's command", NULL),
ROW(ready,          READY,    DOES(ready),    "ready", NULL),
ROW(sick,           STARTING, DOES(probe),    "waiting, its database is away", more_health),
ROW(stuck,          STUCK,    DOES(compare),  "no progress", more_stuck),
ROW(well,           STARTING, DOES(compare),  "compares the database", more_look),
ROW(busy,           STARTING, DOES(follow),   "starting", more_health),
ROW(always,         STARTING, DOES(follow),   "waits for its port to open", NULL),
};
#undef DOES
#undef ROW
/* clang-format on */

const unsigned ag_rule_count = sizeof(ag_rules) / sizeof(*ag_rules);

const struct ag_rule *
ag_rule_find(struct ag_core *core)
{
	const struct ag_rule *rule = ag_rules;

	while (!rule->when(core)) rule++;
	return rule;
}
