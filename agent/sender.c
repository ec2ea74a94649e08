#include "agent/sender.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "agent/world/output.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/mono.h"
#include "loop/peer.h"
#include "loop/tls.h"
#include "wire/convert.h"
#include "wire/frame.h"

#define FLOOD_MS 50
#define EVERY_MS 1000

struct ag_sender {
	struct fm_peer *peer;
	struct ag_sender_calls calls;
	void *arg;
	struct fm_tls *tls;
	struct event *due;
	struct fm_agent_report report;
	bool has_report;
	struct fm_node_facts facts;
	bool owes_facts; /* not said on this connection */
	const struct ag_settings *settings;
	struct ag_output *output;
	struct fm_mono sent;
};

static void
arm(struct ag_sender *sender, int64_t ms)
{
	struct timeval in = { ms / 1000, ms % 1000 * 1000 };

	CHECK(event_add(sender->due, &in) == 0);
}

static void
send_now(struct ag_sender *sender)
{
	size_t size = 0;
	uint8_t *frame;

	arm(sender, EVERY_MS);
	if (!sender->has_report || !fm_peer_is_up(sender->peer)) return;
	sender->facts.clock_ms = fm_wall_now_ms();
	frame = fm_agent_report_pack_with(&sender->report,
					  sender->owes_facts ? &sender->facts : NULL, &size);
	sender->owes_facts = false;
	fm_peer_send_frame(sender->peer, frame, size);
	sender->sent = fm_mono_now();
}

static void
on_due(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	send_now(arg);
}

static int
on_up(void *arg, struct fm_peer *peer, const Fermata__Hello *hello, const Fermata__Welcome *welcome,
      struct fm_err *err)
{
	struct ag_sender *sender = arg;

	(void)peer;
	(void)hello;
	(void)welcome;
	(void)err;
	sender->owes_facts = sender->facts.known;
	send_now(sender);
	return 0;
}

/* One piece for one ask: what nobody has room for is not read. */
static void
answer_log(struct ag_sender *sender, const Fermata__LogAsk *ask)
{
	static struct ag_output_piece piece; /* large; one thread */
	const struct ag_output_ask wanted = {
		.after = ask->after, .tail = ask->tail, .lines = ask->lines, .whole = ask->whole
	};
	Fermata__LogLines msg = FERMATA__LOG_LINES__INIT;
	struct fm_err err;

	msg.id = ask->id;
	if (!sender->output) {
		(void)fm_fail(&err, FM_ERR_IO, 0, "its output is kept by %s",
			      sender->settings->runtime);
		msg.fault = err.text;
	} else if (ag_output_read(sender->output, &wanted, &piece, &err) < 0) {
		msg.fault = err.text;
	} else {
		msg.after = piece.after;
		msg.end = piece.end;
		msg.skipped = piece.skipped;
		msg.lines = piece.lines;
		msg.n_lines = piece.count;
	}
	fm_peer_send(sender->peer, FERMATA__ENVELOPE__BODY_LOG_LINES, &msg);
}

static int
on_message(void *arg, struct fm_peer *peer, const Fermata__Envelope *envelope, struct fm_err *err)
{
	struct ag_sender *sender = arg;
	struct fm_agent_ask ask;

	(void)peer;
	if (envelope->body_case == FERMATA__ENVELOPE__BODY_LOG_ASK) {
		answer_log(sender, envelope->log_ask);
		return 0;
	}
	if (envelope->body_case != FERMATA__ENVELOPE__BODY_AGENT_ASK)
		return fm_fail(err, FM_ERR_PEER, 0, "%s is nothing for an agent",
			       fm_body_name((int)envelope->body_case));
	if (fm_agent_ask_from(envelope->agent_ask, &ask, err) < 0) return -1;
	sender->calls.salt(sender->arg, envelope->agent_ask->salt);
	sender->calls.ask(sender->arg, &ask);
	return 0;
}

/* Without a coordinator the agent goes on with what it was asked last. */
static void
on_down(void *arg, struct fm_peer *peer, const char *why)
{
	(void)arg;
	(void)peer;
	(void)why;
}

struct ag_sender *
ag_sender_new(struct event_base *base, const struct ag_settings *settings, struct fm_voice voice,
	      const struct ag_sender_calls *calls, void *arg, struct fm_err *err)
{
	static const struct fm_peer_calls peer_calls = { on_up, on_message, on_down };
	struct ag_sender *sender = fm_new(struct ag_sender, 1);
	Fermata__Hello hello = FERMATA__HELLO__INIT;
	struct fm_tls_files files = { settings->tls_ca, settings->tls_certificate,
				      settings->tls_key };
	struct fm_dial_to to = { .addresses = settings->coordinator };
	uint64_t chance = 0;
	char instance[20];

	if (getrandom(&chance, sizeof(chance), GRND_NONBLOCK) != sizeof(chance)) chance = 0;
	(void)snprintf(instance, sizeof(instance), "%016llx", (unsigned long long)chance);
	hello.major = FM_WIRE_MAJOR;
	hello.minor = FM_WIRE_MINOR;
	hello.role = FERMATA__ROLE__ROLE_AGENT;
	hello.name = (char *)(uintptr_t)settings->node;
	hello.program = (char *)(uintptr_t) "fermata-agent " FM_VERSION;
	hello.instance = instance;
	hello.epoch = voice.epoch;
	hello.seq = voice.seq;
	sender->calls = *calls;
	sender->arg = arg;
	sender->settings = settings;
	sender->due = event_new(base, -1, 0, on_due, sender);
	CHECK(sender->due);
	to.hello = &hello;
	if (fm_tls_new(&files, &sender->tls, err) == 0) {
		to.tls = sender->tls;
		sender->peer = fm_peer_dial(base, &to, &peer_calls, sender, err);
	}
	if (sender->peer) return sender;
	fm_tls_freep(&sender->tls);
	event_free(sender->due);
	free(sender);
	return NULL;
}

void
ag_sender_free(struct ag_sender *sender)
{
	if (!sender) return;
	fm_peer_free(sender->peer, "the agent ends; the application lives on");
	fm_tls_freep(&sender->tls);
	event_free(sender->due);
	free(sender);
}

void
ag_sender_report(struct ag_sender *sender, const struct fm_agent_report *report)
{
	struct fm_agent_report before = sender->report;
	int64_t age_ms = fm_mono_since(fm_mono_now(), sender->sent);
	bool only_words;

	memcpy(before.detail, report->detail, sizeof(before.detail));
	only_words = sender->has_report && memcmp(&before, report, sizeof(before)) == 0;
	sender->report = *report;
	sender->has_report = true;
	if (!only_words || age_ms >= FLOOD_MS)
		send_now(sender);
	else
		arm(sender, FLOOD_MS - age_ms);
}

void
ag_sender_facts(struct ag_sender *sender, const struct fm_node_facts *facts)
{
	sender->facts = *facts;
	sender->owes_facts = true;
	send_now(sender);
}

void
ag_sender_set_output(struct ag_sender *sender, struct ag_output *output)
{
	sender->output = output;
}

void
ag_sender_again(struct ag_sender *sender)
{
	send_now(sender);
}

void
ag_sender_set_voice(struct ag_sender *sender, struct fm_voice voice)
{
	fm_peer_set_voice(sender->peer, voice.epoch, voice.seq);
}
