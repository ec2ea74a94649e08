/* control.h - inside of control/: how an answer is sent, and the answers that are more than words. */
#ifndef CO_CONTROL_CONTROL_H
#define CO_CONTROL_CONTROL_H

#include "coordinator/control/commands.h"
#include "coordinator/coordinator.h"

/* One request of one operator. */
struct co_request {
	struct co_daemon *daemon;
	struct co_client *client;
	const struct co_parsed *parsed;
};

/* Sends one event to an operator; body is the message that the case names. */
void co_answer(struct co_client *client, Fermata__ControlEvent__WhatCase what, void *body);
void co_answer_end(struct co_client *client, Fermata__ExitCode code, const char *text,
		   const char *next, uint64_t run);

/* views.c: the cluster and its runs as messages, sent to one operator. */
/* Was this node left out of the current or last run, and is not yet as it is wanted? */
bool co_node_is_behind(const struct co_state *state, const struct co_fleet *fleet, unsigned i);
/* The same in words, for people; "" when it is not. Returns text. */
const char *co_say_node(const struct co_daemon *daemon, unsigned i, char *text, size_t size);
void co_view_status(struct co_daemon *daemon, struct co_client *client);
/* -1: no such run. */
int co_view_run(struct co_daemon *daemon, struct co_client *client, uint64_t run,
		struct fm_err *err);
int co_view_events(struct co_daemon *daemon, struct co_client *client, uint64_t run, uint64_t after,
		   struct fm_err *err);
int co_view_runs(struct co_daemon *daemon, struct co_client *client, unsigned most,
		 struct fm_err *err);
void co_view_event(struct co_client *client, const struct co_event_row *row);

/* view_plan.c, view_doctor.c, view_settings.c */
void co_view_plan(struct co_daemon *daemon, struct co_client *client, const struct co_order *order);
bool co_view_doctor(struct co_daemon *daemon, struct co_client *client); /* no error found */
void co_view_settings(struct co_daemon *daemon, struct co_client *client);

/* bypass.c */
void co_cmd_bypass(struct co_request *request);

/* orders.c: a row of the table of commands as an order for the core. false: not one that begins
 * a run. */
/* The gates and nodes that --without names; at most CO_WITHOUT_MOST. */
unsigned co_without_of(const struct co_parsed *parsed, char ret[][FM_NAME_SIZE]);
bool co_order_of(const struct co_parsed *parsed, const char *who, struct co_order *ret);

/* logs.c: `fermata logs`: begins, goes on when there is room and news, forgets. */
void co_logs_begin(struct co_request *request);
void co_logs_pump(struct co_daemon *daemon, struct co_client *client);
void co_logs_end(struct co_client *client);

/* follow.c: the exit code that the run's standing means; -1: it goes on. */
int co_exit_of(const struct co_daemon *daemon, const struct co_run_row *row, bool to_hold);
void co_follow(struct co_request *request, uint64_t run, bool to_hold, uint64_t after);

#endif
