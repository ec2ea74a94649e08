/* report.c - what the agent tells the coordinator: composed anew from the facts, handed over when
 * it differs from the last. */
#include "agent/core/core.h"

#include <string.h>

#include "base/text.h"

static void
say_application(struct ag_core *core, const struct ag_rule *rule, struct fm_agent_report *report)
{
	const char *more = rule->more ? rule->more(core) : "";

	report->app = rule->state;
	FM_COPY(report->detail, rule->says);
	if (!fm_is_empty(more)) FM_APPEND(report->detail, ": %s", more);
	if (rule->state == FM_APP_FAILED || rule->state == FM_APP_REFUSED ||
	    rule->state == FM_APP_STUCK)
		FM_COPY(report->failure, report->detail);
	if (core->strange[0] && core->alive > 0)
		FM_APPEND(report->detail, "; besides: %s", core->strange);
	if (core->unwritten) FM_APPEND(report->detail, "; the agent's state cannot be written");
	more = ag_jobs_detail(core);
	if (!fm_is_empty(more)) FM_APPEND(report->detail, "; %s", more);
}

static void
say_jobs(struct ag_core *core, struct fm_agent_report *report)
{
	const struct ag_memory *m = &core->memory;

	const char *failure = ag_hook_fetch_failure(core);

	if (m->has_ask && !fm_is_empty(m->ask.fetch) && ag_is_present(core, m->ask.fetch) &&
	    !ag_hook_is_due(core, AG_HOOK_AFTER_FETCH))
		FM_COPY(report->fetched, m->ask.fetch);
	if (ag_job_has_failed(core, AG_JOB_FETCH))
		FM_COPY(report->fetch_failure, core->jobs[AG_JOB_FETCH].failure);
	else if (!fm_is_empty(failure))
		FM_COPY(report->fetch_failure, failure);
	FM_COPY(report->snapshot, m->snapshot);
	report->snapshot_bytes = m->snapshot_bytes;
	if (ag_job_has_failed(core, AG_JOB_SNAPSHOT))
		FM_COPY(report->snapshot_failure, core->jobs[AG_JOB_SNAPSHOT].failure);
	report->restored_serial = m->restored_serial;
	if (ag_job_has_failed(core, AG_JOB_RESTORE))
		FM_COPY(report->restore_failure, core->jobs[AG_JOB_RESTORE].failure);
	report->swept_seq = m->swept_seq;
	FM_COPY(report->swept, core->swept);
}

static void
say_facts(const struct ag_core *core, struct fm_agent_report *report)
{
	FM_COPY(report->node, core->node);
	FM_COPY(report->address, core->address);
	FM_COPY(report->current, core->current);
	report->release_count = core->release_count;
	for (unsigned i = 0; i < core->release_count; i++)
		FM_COPY(report->releases[i], core->releases[i]);
	if (core->alive > 0) FM_COPY(report->running, core->memory.running);
	/* I1: a copy that is not ours is alive all the same, and nothing is proved stopped beside
	 * it. */
	report->pids = core->alive + (core->strange[0] ? 1 : 0);
	if (core->looked) FM_COPY(report->database, core->look.version);
	if (core->alive > 0) {
		report->memory_bytes = core->condition.memory_bytes;
		report->cpu_permille = core->condition.cpu_permille;
	}
	report->signs = core->signs;
	if (core->alive > 0 && (report->app == FM_APP_STARTING || report->app == FM_APP_STUCK)) {
		FM_COPY(report->sql, core->activity.sql);
		FM_COPY(report->sql_waits, core->activity.waits);
		report->sql_age_ms = core->activity.age_ms;
	}
	FM_COPY(report->unfit, core->condition.unfit);
	report->ready_ms = core->ready_ms;
	report->starts = core->memory.starts;
}

/* What was ready is not called otherwise only because it is asked anew: the last report stands, with the
 * voice that it proves, until the answers are there. Each of them has its limit. */
static bool
waits_for_answers(struct ag_core *core, const struct ag_rule *rule)
{
	bool unheard = !core->health_known,
	     compares = core->health == AG_HEALTH_OK && core->looking;

	if (rule->state != FM_APP_STARTING || core->alive == 0 || !(unheard || compares))
		core->again_asked = false;
	return core->again_asked;
}

void
ag_report_publish(struct ag_core *core, const struct ag_rule *rule)
{
	struct fm_agent_report report;

	if (waits_for_answers(core, rule)) return;
	memset(&report, 0, sizeof(report));
	/* Written, and nothing else: this is the voice that would be obeyed after a crash, too. */
	if (core->memory.has_ask) report.voice = core->memory.ask.voice;
	say_application(core, rule, &report);
	FM_COPY(report.hook_failure, ag_hook_failure(core));
	memcpy(report.hooks, core->hooks_told, sizeof(report.hooks));
	say_jobs(core, &report);
	say_facts(core, &report);
	if (memcmp(&report, &core->report, sizeof(report)) == 0) return;
	memcpy(&core->report, &report, sizeof(report));
	core->env.report(core->env.ctx, &core->report);
}
