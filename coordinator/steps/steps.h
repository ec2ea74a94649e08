/* steps.h - what the rows of the procedure tables ask for, and how they know that it is so. Pairs
 * ask_x() / x_is_done(), a few lines each; the rules they keep are in run/step.h.
 *
 * gates.c    the page, pins, drains
 * nodes.c    the application on its nodes
 * points.c   restore points and the way back
 * persons.c  words that only people can say
 * fit.c      preflight: may this run begin?
 * prepare.c  a new run from an order
 * say.c      what is waited for, or what failed, in words */
#ifndef CO_STEPS_STEPS_H
#define CO_STEPS_STEPS_H

#include "coordinator/run/run.h"

typedef void co_ask_fn(struct co_turn *t, struct co_who who);
typedef enum co_verdict co_done_fn(const struct co_turn *t, struct co_who who);
typedef void co_note_fn(struct co_turn *t);
typedef bool co_when_fn(const struct co_turn *t);
typedef int co_prepare_fn(struct co_turn *t, const struct co_order *order, struct fm_err *err);

/* gates.c */
co_ask_fn co_ask_close, co_ask_page, co_ask_pin, co_ask_pin_or_page, co_ask_open, co_ask_drain_one,
	co_ask_undrain;
co_done_fn co_is_closed, co_is_drained, co_is_pinned, co_others_are_drained, co_is_open,
	co_one_is_drained;
co_note_fn co_note_closed, co_note_opened;

/* nodes.c */
co_ask_fn co_ask_fetch, co_ask_stop, co_ask_switch, co_ask_start_first, co_ask_start,
	co_ask_switch_back, co_ask_start_back, co_ask_keep_running, co_ask_sweep,
	co_ask_leave_alone;
co_done_fn co_has_fetched, co_is_stopped, co_has_switched, co_has_switched_back, co_is_ready,
	co_has_swept;
co_note_fn co_note_version, co_note_version_back;

/* points.c */
co_ask_fn co_ask_restore_point, co_ask_restore;
co_done_fn co_has_restore_point, co_has_restored;
co_note_fn co_note_verified, co_note_restored;
co_when_fn co_wants_backup, co_was_touched;

/* persons.c */
co_done_fn co_is_approved, co_is_ended;
co_when_fn co_wants_approval, co_opens_when_all, co_opens_when_first;

/* fit.c */
co_ask_fn co_ask_attention;
co_done_fn co_is_fit, co_is_fit_to_start, co_is_fit_to_serve, co_is_fit_to_upgrade;
co_note_fn co_note_database;

/* prepare.c */
co_prepare_fn co_prepare, co_prepare_startup, co_prepare_upgrade, co_prepare_rollback,
	co_prepare_maintenance;

/* say.c, for these files: fills t->why and returns the verdict. */
enum co_verdict co_say(const struct co_turn *t, enum co_verdict verdict, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* What is said of a gate that is not connected: how to go on with this command. Returns CO_WAIT. */
enum co_verdict co_say_gate_away(const struct co_turn *t, unsigned gate, const char *command);
/* The same of a node that is not connected. */
enum co_verdict co_say_node_away(const struct co_turn *t, unsigned node, const char *command);
const char *co_node_name(const struct co_turn *t, unsigned node);

/* nodes.c: a new try of a start, or of a restore, has a number that no earlier one had. */
uint64_t co_serial_of(const struct co_run *run);
/* gates.c: while the gates are closed: an operator's bypass leads to the first node; and no more to one that is
 * to be stopped. */
void co_let_operators_in(struct co_turn *t);
void co_keep_operators_out(struct co_turn *t, unsigned node);

#endif
