/* sender.h - the line to the coordinator: asks come in, the latest report goes out. */
#ifndef AG_SENDER_H
#define AG_SENDER_H

#include "agent/settings.h"
#include "wire/facts.h"

struct event_base;
struct ag_output;
struct ag_sender;

struct ag_sender_calls {
	void (*ask)(void *arg, const struct fm_agent_ask *ask);
	/* Of digests in facts; "" when the coordinator gives none. Before the ask that brought it. */
	void (*salt)(void *arg, const char *salt);
};

/* voice: of the ask obeyed so far, said in Hello. */
struct ag_sender *ag_sender_new(struct event_base *base, const struct ag_settings *settings,
				struct fm_voice voice, const struct ag_sender_calls *calls,
				void *arg, struct fm_err *err);
void ag_sender_free(struct ag_sender *sender);

/* Sent at once when it says something new; when only its words changed (progress floods), at most
 * every 50 ms; and every second besides. */
void ag_sender_report(struct ag_sender *sender, const struct fm_agent_report *report);
/* Said with the next report, which goes out at once, and after every connect. */
void ag_sender_facts(struct ag_sender *sender, const struct fm_node_facts *facts);
/* What LogAsks are answered from; NULL: it is kept elsewhere. */
void ag_sender_set_output(struct ag_sender *sender, struct ag_output *output);
/* The last report once more: somebody has not understood whom we obey. */
void ag_sender_again(struct ag_sender *sender);
void ag_sender_set_voice(struct ag_sender *sender, struct fm_voice voice);

#endif
