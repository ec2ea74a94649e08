/* core.h - inside of the runner; for the files of this folder only.
 *
 * Every change goes the same way: co_draft() copies the committed state, the change is made to the
 * copy, co_settle() commits it with the events that tell of it and only then makes it the state and
 * says it to the peers. A refused commit leaves everything as it was. */
#ifndef CO_RUN_CORE_H
#define CO_RUN_CORE_H

#include "coordinator/run/run.h"

#define CO_REMIND_MS 3000 /* an ask that is not obeyed is repeated */
#define CO_TICK_MS 1000
#define CO_EVENTS_MAX 4 /* of one commit */

struct co_core {
	struct co_env env;
	struct co_config config;
	struct co_state state; /* committed */
	struct co_state next;  /* the draft */
	struct co_fleet fleet;
	struct co_job job;
	const struct co_procedure *procedure;
	const struct co_step *step;
	struct fm_mono now;
	struct fm_mono step_began, job_moved;
	struct fm_mono node_asked[FM_NODES_MAX], gate_asked[FM_GATES_MAX];
	struct {
		enum fm_gate_mode mode;
		int64_t at;
	} by_hand[FM_GATES_MAX]; /* what the journal was told of it */
	struct {
		unsigned count;
		struct fm_mono last;
	} falls[FM_NODES_MAX];	      /* by itself out of traffic, in the last minutes */
	struct fm_mono journal_retry; /* after a refused commit */
	bool journal_refuses;
	unsigned event_count;
	struct co_event_row events[CO_EVENTS_MAX];
	char waiting[FM_TEXT_SIZE];
	char remark[FM_TEXT_SIZE]; /* of the last look for the row's proof */
};

/* draft.c */
struct co_state *co_draft(struct co_core *core);
/* Adds an event to the draft's commit. text may be NULL. */
void co_tell_event(struct co_core *core, const char *kind, const char *step, const char *text,
		   int64_t took_ms);

/* settle.c: 0, or -1: the journal refuses it. */
int co_settle(struct co_core *core, const struct co_point_row *point);
/* Says to a peer what is wanted of it. */
void co_ask_again_node(struct co_core *core, unsigned node);
void co_ask_again_gate(struct co_core *core, unsigned gate);
/* Repeats what is not obeyed. */
void co_remind(struct co_core *core);

/* prove.c */
/* The view of the draft (writable) or of the committed state for a row's functions. */
struct co_turn co_turn_of(struct co_core *core, struct co_state *state);
/* Is the row about this node: asked, and waited for? */
bool co_is_about_node(const struct co_step *step, const struct co_run *run, unsigned node);
/* The current row's verdict; core->waiting says what for, or what failed. */
enum co_verdict co_prove(struct co_core *core);
bool co_is_past_limit(const struct co_core *core);

/* turn.c: each is one commit. */
int co_enter_row(struct co_core *core, struct co_state *draft, const struct co_step *step);
/* After a settled co_enter_row(): starts the row's clock and its job. */
void co_entered(struct co_core *core, const struct co_step *step);
/* At the end of a run: the nodes are their agents' again, and no leave of the run is left. */
void co_let_go(struct co_state *draft);
/* At the end of a run: its links past the page are good only as long as the page is there. */
void co_end_links(struct co_state *draft);
int co_advance(struct co_core *core);
int co_fail(struct co_core *core, const char *why);
/* Nothing moves: as the row's limit says of that. */
int co_stall(struct co_core *core, const char *why);
int co_turn_back(struct co_core *core, const char *back, const char *why);

/* without.c: the names into the run; -1: there is no such gate or node. */
int co_take_without(struct co_core *core, struct co_run *run, unsigned count,
		    const char names[][FM_NAME_SIZE], struct fm_err *err);
/* -1: the node that goes first is among them. */
int co_check_first(const struct co_state *draft, struct fm_err *err);

/* visitors.c: to the draft's ask of the gates; after the row's own asks. */
void co_tell_visitors(struct co_core *core, struct co_state *draft, const struct co_step *step);
/* Takes back what was estimated; what a person promised stays. */
void co_promise_nothing(struct co_state *draft);

/* service.c */
/* Writes into the draft's ask of the gates whom they are to send nothing. */
void co_name_drained(const struct co_core *core, struct co_state *draft);
/* Drafts whom the gates have for visitors from now on. false: nothing has changed, and there is no draft. */
bool co_draft_service(struct co_core *core, uint64_t *ret_fallen);
/* After it is settled: fallen fell out of traffic. */
void co_note_fallen(struct co_core *core, uint64_t fallen);

/* told.c: of the node's last report */
void co_take_told(struct co_core *core, unsigned node);

/* tell.c: of the committed state, or of a draft. */
void co_row_of(const struct co_core *core, const struct co_state *state, struct co_run_row *ret);

/* run.c */
void co_pump(struct co_core *core);
const struct co_step *co_table(const struct co_core *core);

#endif
