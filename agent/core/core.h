/* core.h - the inside of the core: what it knows. Shared by supervise.c (events), rules.c and acts.c (the
 * application), jobs.c (work on the disk), hooks.c (the operator's commands), report.c and, below them all,
 * state.c; else only unit tests include it. */
#ifndef AG_CORE_CORE_H
#define AG_CORE_CORE_H

#include "agent/core/supervise.h"

#define AG_JOBS (AG_JOB_HOOK + 1)
#define AG_SILENCES 3 /* probes unanswered, and a ready application is not called so any more */

/* What the last look said about a start. */
enum ag_verdict {
	AG_VERDICT_NONE,    /* not asked yet */
	AG_VERDICT_WAIT,    /* could not look; asked again by itself */
	AG_VERDICT_REFUSED, /* the guard forbids it; looked at again by itself */
	AG_VERDICT_MAY,	    /* of this very event: spent at once, or dropped */
};

struct ag_job_state {
	char failure[FM_TEXT_SIZE];
	struct fm_voice failed; /* the ask under which it failed */
	struct fm_mono again;	/* not before */
};

struct ag_core {
	struct ag_env env;
	struct ag_limits limits;
	char node[FM_NAME_SIZE], address[FM_NAME_SIZE];
	struct ag_memory memory;
	struct fm_agent_report report;
	struct fm_mono now, wake, born;
	bool told; /* an ask of this life is obeyed */
	bool stepping, again;
	bool unwritten; /* the last try to persist failed */
	struct fm_mono write_at;

	/* Facts. */
	bool disk_known, processes_known;
	char current[FM_VERSION_SIZE];
	unsigned release_count;
	char releases[FM_RELEASES_MAX][FM_VERSION_SIZE];
	unsigned alive;
	struct ag_condition condition;
	char strange[FM_TEXT_SIZE];
	char unseen[FM_TEXT_SIZE]; /* why the processes are not known, if the world has said so */

	/* The application: one question (probe or look) or start at a time. */
	bool spawning, probing, looking;
	unsigned mark, question_mark; /* an answer to an older mark is about the past */
	bool stopping, killed;	      /* TERM was sent: there is no way back to running */
	struct fm_mono term_at, kill_at, kill_again_at;
	enum ag_verdict verdict;
	enum fm_start_mode may_mode;
	char look_text[FM_TEXT_SIZE];
	struct ag_look look;
	bool looked;
	struct fm_mono look_at, probe_at;
	bool health_known, ready, spawned_here;
	/* Signs that a start goes on. */
	bool watching;
	struct fm_mono watch_at, sign_at;
	uint64_t signs;
	struct ag_activity activity;
	bool again_asked; /* was ready under the ask before; looked at anew before a word is said */
	enum ag_health health;
	char health_text[FM_TEXT_SIZE];
	unsigned silences;
	struct fm_mono spawned_at, changed_at;
	uint64_t ready_ms;
	unsigned crashes;
	struct fm_mono crash_first, backoff_at;
	char crash_text[FM_TEXT_SIZE];

	/* Work on the disk: one job at a time. */
	bool job_running, job_stopped;
	enum ag_job job;
	char job_what[FM_NAME_SIZE];
	struct fm_agent_ask job_ask;
	char job_text[FM_TEXT_SIZE];
	struct ag_job_state jobs[AG_JOBS];
	char swept[FM_TEXT_SIZE];

	/* The operator's commands; hooks.c. */
	enum ag_hook hook;	   /* that the row which holds wants */
	enum ag_hook hook_next;	   /* that may begin */
	enum ag_hook hook_running; /* of the job under way */
	unsigned hooks_done;
	struct fm_mono hook_began;
	struct ag_job_state hooks[AG_HOOK_COUNT];
	struct fm_hook_told hooks_told[FM_HOOKS_TOLD]; /* the newest last; serial 0: none */
	char scratch[FM_TEXT_SIZE];
};

/* One row of the table of the application; the first whose `when` holds is what is so. */
struct ag_rule {
	const char *name;
	bool (*when)(struct ag_core *core);
	enum fm_app_state state;
	bool (*act)(struct ag_core *core); /* true: facts changed, look at the table again */
	const char *says;
	const char *(*more)(struct ag_core *core); /* after "says: "; may be NULL or answer "" */
};

extern const struct ag_rule ag_rules[];
extern const unsigned ag_rule_count;

/* The row that holds now. Never NULL: the last row always holds. */
const struct ag_rule *ag_rule_find(struct ag_core *core);

/* acts.c: what rows do. true: facts changed, look at the table again. */
bool ag_act_term(struct ag_core *core);
bool ag_act_kill(struct ag_core *core);
bool ag_act_kill_again(struct ag_core *core); /* what hangs, or came between two scans */
bool ag_act_note_gone(struct ag_core *core);
bool ag_act_look(struct ag_core *core);
bool ag_act_probe(struct ag_core *core);
bool ag_act_compare(struct ag_core *core); /* look, probe and watch */
bool ag_act_follow(struct ag_core *core);  /* probe and watch */
bool ag_act_start(struct ag_core *core);
bool ag_act_hook_before_stop(struct ag_core *core);
bool ag_act_hook_after_stop(struct ag_core *core);
bool ag_act_hook_before_start(struct ag_core *core);
bool ag_act_hook_after_start(struct ag_core *core);
bool ag_act_hook_before_ready(struct ag_core *core);
bool ag_act_ready(struct ag_core *core); /* probe; and the hook that follows */
/* What core->look says about a start, or about being ready. */
void ag_judge_look(struct ag_core *core);

/* state.c */
/* Is it time? If not, the core is woken then. */
bool ag_is_due(struct ag_core *core, struct fm_mono at);
/* Writes memory, and only then makes it ours. false: not written, nothing may follow from it. */
bool ag_remember(struct ag_core *core, const struct ag_memory *memory);
/* From here on older answers are about the past, and nothing is known of the application. */
void ag_forget_answers(struct ag_core *core);
/* The start goes on: it has said, printed or had the database do something new. */
void ag_note_sign(struct ag_core *core);

/* It was away, nothing runs, and what is to run has not been said in this life. */
bool ag_is_untold(struct ag_core *core);
/* The process that was started is the one the ask wants: its release, and of this try. */
bool ag_is_wanted_process(const struct ag_core *core);
/* It is there, and is not to be; or is another than the one asked for. */
bool ag_must_stop(const struct ag_core *core);
enum fm_app_goal ag_goal(const struct ag_core *core);
/* The release that is to run: the one asked for, else the one linked. */
const char *ag_wanted(const struct ag_core *core);
bool ag_is_present(const struct ag_core *core, const char *release);
/* Nothing of the application, ours or foreign, is alive or about to be. */
bool ag_is_quiet(const struct ag_core *core);

/* jobs.c */
void ag_jobs_step(struct ag_core *core);
/* A job that must be done before a start is wanted or under way. */
bool ag_jobs_before_start(const struct ag_core *core);
/* One of them failed under the present ask. */
bool ag_jobs_forbid_start(const struct ag_core *core);
bool ag_job_has_failed(const struct ag_core *core, enum ag_job job);
void ag_jobs_end(struct ag_core *core, bool ok, const char *text, uint64_t bytes);
/* What the disk is busy with, or why it cannot be; "" when idle. */
const char *ag_jobs_detail(struct ag_core *core);

/* hooks.c */
bool ag_hook_is_due(const struct ag_core *core, enum ag_hook hook);
/* It is due, was run under the present ask, and failed; what was to follow does not. */
bool ag_hook_has_failed(struct ag_core *core, enum ag_hook hook);
/* Why the application is not stopped, started or ready; "". */
const char *ag_hook_failure(struct ag_core *core);
/* Why a release is not fetched; "". */
const char *ag_hook_fetch_failure(struct ag_core *core);
/* The one to run now, or AG_HOOK_NONE. */
enum ag_hook ag_hook_next(struct ag_core *core);
const char *ag_hook_release(const struct ag_core *core, enum ag_hook hook);
bool ag_hook_is_wanted(struct ag_core *core);
void ag_hook_end(struct ag_core *core, bool ok, const char *text);
/* What else changes makes them due or not; written with it. */
void ag_hooks_at_ask(struct ag_core *core, struct ag_memory *memory, bool is_other);
void ag_hooks_at_start(struct ag_core *core, struct ag_memory *memory);
void ag_hooks_at_gone(struct ag_core *core, struct ag_memory *memory);

/* report.c: composes the report, and hands it over when it changed. */
void ag_report_publish(struct ag_core *core, const struct ag_rule *rule);

#endif
