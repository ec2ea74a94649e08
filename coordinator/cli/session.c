/* session.c - one command's conversation with the coordinator.
 *
 *   dialling -> asked -> (the run is known) -> End
 *                 |             |
 *                 +--- lost ----+--- up again: the question once more if it only reads, else
 *                                    attach to the run, behind the last event that we saw
 *
 * What changes the cluster is never asked twice. When the connection broke before we learned the
 * number of our run, we look at the current one: it is ours if it began after we asked. */
#include "coordinator/cli/session.h"

#include <event2/event.h>
#include <inttypes.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/mono.h"
#include "base/text.h"
#include "coordinator/cli/ends.h"
#include "coordinator/cli/message.h"
#include "coordinator/cli/output.h"
#include "loop/peer.h"

#define ANSWER_MS 30000
#define AWAY_MS 60000
#define DRAW_MS 100
#define WATCH_MS 1000
#define SIGNALS 4

struct session {
	const struct co_parsed *parsed;
	const char *socket;
	struct event_base *base;
	struct fm_peer *peer;
	struct event *limit, *tick, *again, *signals[SIGNALS];
	struct co_output *output;
	enum co_way way;
	bool was_up, is_lost, asked, searching, ended;
	bool streams;	      /* the answer comes in pieces, for as long as it takes */
	uint64_t run, number; /* of the run, and of the last event, or place of the output, seen */
	int64_t asked_ms;     /* wall clock: to know our run from an older one */
	long long limit_ms;
	int code;
	char why[200];
};

/* --- ending ------------------------------------------------------------------------------- */

static struct co_plight
plight(const struct session *s)
{
	return (struct co_plight){
		.parsed = s->parsed,
		.socket = s->socket,
		.run = s->run,
		.was_up = s->was_up,
		.is_lost = s->is_lost,
		.waited_ms = s->limit_ms,
		.why = s->why,
	};
}

static void
end_with(struct session *s, const Fermata__End *end)
{
	if (s->ended) return;
	s->ended = true;
	s->code = end->code >= 0 && end->code < CO_EXITS ? (int)end->code : 1;
	if (!co_output_end(s->output, end) && s->code == 0) s->code = 1;
	(void)event_base_loopbreak(s->base);
}

static void
end_by(struct session *s, void (*how)(struct co_end *ret, const struct co_plight *plight))
{
	struct co_plight now = plight(s);
	struct co_end end = { 0 };

	how(&end, &now);
	end_with(s, &end.end);
}

static void
arm_limit(struct session *s, long long ms)
{
	struct timeval after = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	if (s->parsed->global.timeout_ms) return; /* one limit for all, set at the start */
	s->limit_ms = ms;
	CHECK(event_add(s->limit, &after) == 0);
}

static void
disarm_limit(struct session *s)
{
	if (!s->parsed->global.timeout_ms) (void)event_del(s->limit);
}

/* --- asking ------------------------------------------------------------------------------- */

static void
send_request(struct session *s, const char *command, const struct co_arg *args, unsigned count)
{
	Fermata__ControlRequest request = FERMATA__CONTROL_REQUEST__INIT;
	Fermata__Arg messages[CO_ARGS_MAX + 1], *list[CO_ARGS_MAX + 1];

	CHECK(count <= CO_ARGS_MAX + 1);
	for (unsigned i = 0; i < count; i++) {
		fermata__arg__init(&messages[i]);
		messages[i].name = (char *)(uintptr_t)args[i].name;
		messages[i].value = (char *)(uintptr_t)args[i].value;
		list[i] = &messages[i];
	}
	request.command = (char *)(uintptr_t)command;
	request.args = list;
	request.n_args = count;
	fm_peer_send(s->peer, FERMATA__ENVELOPE__BODY_CONTROL_REQUEST, &request);
}

/* A stream that broke goes on behind what was seen: of one node, for many have as many places. */
static unsigned
go_on_after(const struct session *s, struct co_arg *arg)
{
	if (!s->number || s->parsed->count == CO_ARGS_MAX || !co_parsed_has(s->parsed, "node") ||
	    co_parsed_has(s->parsed, "after"))
		return 0;
	FM_COPY(arg->name, "after");
	FM_FORMAT(arg->value, "%" PRIu64, s->number);
	return 1;
}

static void
send_command(struct session *s)
{
	struct co_arg args[CO_ARGS_MAX + 1] = { 0 };
	unsigned count = 0;

	if (s->parsed->planned) {
		FM_COPY(args[0].name, "command");
		FM_COPY(args[0].value, s->parsed->planned->name);
		count = 1;
	}
	memcpy(args + count, s->parsed->args, s->parsed->count * sizeof(args[0]));
	if (s->streams && s->asked) count += go_on_after(s, args + count + s->parsed->count);
	if (!s->asked) s->asked_ms = fm_wall_now_ms();
	s->asked = true;
	send_request(s, s->parsed->command->name, args, count + s->parsed->count);
}

static void
send_attach(struct session *s)
{
	struct co_arg args[2] = { 0 };
	unsigned count = 0;

	if (s->run) {
		FM_COPY(args[0].name, "run");
		FM_FORMAT(args[0].value, "%" PRIu64, s->run);
		FM_COPY(args[1].name, "after");
		FM_FORMAT(args[1].value, "%" PRIu64, s->number);
		count = s->number ? 2 : 1;
	}
	send_request(s, "attach", args, count);
}

/* Whether the command begins a run of its own, instead of acting on one. */
static bool
begins_run(const struct session *s)
{
	const char *at = s->parsed->command->usage;
	struct co_token token;

	/* rollback may do either, and which it did cannot be told afterwards. */
	while (co_usage_next(&at, &token)) {
		if (token.type == CO_TYPE_RUN) return false;
	}
	return s->parsed->command->kind == CO_KIND_BEGINS;
}

/* --- the connection ----------------------------------------------------------------------- */

static int
on_up(void *arg, struct fm_peer *peer, const Fermata__Hello *hello, const Fermata__Welcome *welcome,
      struct fm_err *err)
{
	struct session *s = arg;
	bool reads = s->parsed->command->right == CO_RIGHT_READ;

	(void)peer, (void)hello, (void)welcome, (void)err;
	if (s->was_up) co_output_notice(s->output, NULL);
	s->was_up = true;
	s->is_lost = false;
	if (s->way != CO_WAY_ANSWER || s->streams) arm_limit(s, ANSWER_MS);
	if (s->asked && (s->run || !reads)) {
		s->searching = !s->run;
		send_attach(s);
	} else {
		send_command(s);
	}
	return 0;
}

static void
on_down(void *arg, struct fm_peer *peer, const char *why)
{
	struct session *s = arg;
	bool reads = s->parsed->command->right == CO_RIGHT_READ;

	(void)peer;
	if (s->ended) return;
	FM_COPY(s->why, why);
	if (!s->was_up) {
		end_by(s, co_end_unreachable);
		return;
	}
	if (s->is_lost) return;
	s->is_lost = true;
	if (!reads && !s->run && !begins_run(s)) {
		end_by(s, co_end_unknown);
		return;
	}
	if (s->way != CO_WAY_ANSWER || s->streams) arm_limit(s, AWAY_MS);
	co_output_notice(s->output, "lost the coordinator; trying to reach it again");
}

/* --- what is heard ------------------------------------------------------------------------ */

/* The number of the run that the event belongs to; 0: of none. */
static uint64_t
run_of(const Fermata__ControlEvent *event)
{
	if (event->what_case == FERMATA__CONTROL_EVENT__WHAT_RUN) return event->run->run;
	if (event->what_case == FERMATA__CONTROL_EVENT__WHAT_EVENT) return event->event->run;
	return 0;
}

static void
learn_run(struct session *s, const Fermata__ControlEvent *event)
{
	uint64_t run = run_of(event);

	if (s->searching && event->what_case == FERMATA__CONTROL_EVENT__WHAT_RUN) {
		if (event->run->began_ms < s->asked_ms) {
			end_by(s, co_end_not_begun);
			return;
		}
		s->searching = false;
	}
	if (s->way != CO_WAY_FOLLOW || s->searching || s->run || !run) return;
	s->run = run;
	if (co_parsed_has(s->parsed, "detach")) end_by(s, co_end_detached);
}

/* Events that were seen before the connection broke come again; each is shown once. */
static bool
is_news(struct session *s, const Fermata__ControlEvent *event)
{
	if (event->what_case != FERMATA__CONTROL_EVENT__WHAT_EVENT) return true;
	if (event->event->number == 0) return true;
	if (event->event->number <= s->number) return false;
	s->number = event->event->number;
	return true;
}

static void
drop_old(struct session *s, Fermata__RunEvents *list)
{
	size_t kept = 0;

	for (size_t i = 0; i < list->n_events; i++) {
		Fermata__RunEvent *event = list->events[i];
		if (event->number && event->number <= s->number) {
			fermata__run_event__free_unpacked(event, NULL);
			continue;
		}
		if (event->number) s->number = event->number;
		list->events[kept++] = event;
	}
	list->n_events = kept;
}

static void
hear_end(struct session *s, const Fermata__End *end)
{
	struct timeval after = { .tv_sec = WATCH_MS / 1000, .tv_usec = WATCH_MS % 1000 * 1000 };

	if (s->searching) {
		end_by(s, co_end_not_begun);
		return;
	}
	/* A coordinator that answers once is asked again. */
	if (s->way == CO_WAY_WATCH && end->code == FERMATA__EXIT_CODE__EXIT_CODE_DONE) {
		CHECK(event_add(s->again, &after) == 0);
		return;
	}
	end_with(s, end);
}

static int
on_message(void *arg, struct fm_peer *peer, const Fermata__Envelope *envelope, struct fm_err *err)
{
	struct session *s = arg;

	(void)peer;
	if (s->ended) return 0;
	if (envelope->body_case != FERMATA__ENVELOPE__BODY_CONTROL_EVENT) {
		return fm_fail(err, FM_ERR_PEER, 0, "an operator expects only events");
	}
	_cleanup_(co_event_freep)
		Fermata__ControlEvent *event = co_event_copy(envelope->control_event);
	if (s->way != CO_WAY_ANSWER || s->streams) disarm_limit(s);
	if (event->what_case == FERMATA__CONTROL_EVENT__WHAT_LOG) s->number = event->log->after;
	if (event->what_case == FERMATA__CONTROL_EVENT__WHAT_END) {
		hear_end(s, event->end);
		return 0;
	}
	learn_run(s, event);
	if (s->ended || s->searching || !is_news(s, event)) return 0;
	if (event->what_case == FERMATA__CONTROL_EVENT__WHAT_EVENTS && s->way == CO_WAY_FOLLOW) {
		drop_old(s, event->events);
	}
	co_output_event(s->output, TAKE(event));
	return 0;
}

/* --- time and signals --------------------------------------------------------------------- */

static void
on_limit(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	end_by(arg, co_end_timeout);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct session *s = arg;

	(void)fd, (void)what;
	co_output_tick(s->output);
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	struct session *s = arg;

	(void)fd, (void)what;
	if (fm_peer_is_up(s->peer)) send_command(s);
}

static void
on_signal(evutil_socket_t number, short what, void *arg)
{
	struct session *s = arg;

	(void)what;
	if (number == SIGWINCH) {
		co_output_tick(s->output);
	} else if (s->way == CO_WAY_WATCH || s->streams) {
		struct co_end end = { 0 };
		co_end_say(&end, FERMATA__EXIT_CODE__EXIT_CODE_DONE, "", "");
		end_with(s, &end.end);
	} else {
		end_by(s, co_end_interrupted);
	}
}

static void
arm_all(struct session *s)
{
	static const int numbers[SIGNALS] = { SIGINT, SIGTERM, SIGHUP, SIGWINCH };
	struct timeval draw = { .tv_usec = DRAW_MS * 1000 };
	long long total = s->parsed->global.timeout_ms;

	s->limit = evtimer_new(s->base, on_limit, s);
	s->again = evtimer_new(s->base, on_again, s);
	s->tick = event_new(s->base, -1, EV_PERSIST, on_tick, s);
	CHECK(s->limit && s->again && s->tick);
	CHECK(event_add(s->tick, &draw) == 0);
	for (size_t i = 0; i < SIGNALS; i++) {
		s->signals[i] = evsignal_new(s->base, numbers[i], on_signal, s);
		CHECK(s->signals[i] && event_add(s->signals[i], NULL) == 0);
	}
	if (total) {
		struct timeval after = { .tv_sec = total / 1000, .tv_usec = total % 1000 * 1000 };
		s->limit_ms = total;
		CHECK(event_add(s->limit, &after) == 0);
	} else {
		arm_limit(s, ANSWER_MS);
	}
}

static void
disarm_all(struct session *s)
{
	for (size_t i = 0; i < SIGNALS; i++) event_free(s->signals[i]);
	event_free(s->limit);
	event_free(s->again);
	event_free(s->tick);
}

/* --- the whole ---------------------------------------------------------------------------- */

static int
dial(struct session *s, struct fm_err *err)
{
	static const struct fm_peer_calls calls = { on_up, on_message, on_down };
	Fermata__Hello hello = FERMATA__HELLO__INIT;
	const struct passwd *user = getpwuid(geteuid());
	char name[FM_NAME_SIZE], instance[24], address[FM_TEXT_SIZE + 8];
	struct fm_dial_to to = { .addresses = address };
	uint64_t random = 0;

	if (getrandom(&random, sizeof(random), 0) < 0) random = (uint64_t)getpid();
	FM_FORMAT(instance, "%016" PRIx64, random);
	FM_FORMAT(name, "uid%u", (unsigned)geteuid());
	if (user && fm_is_name(user->pw_name, sizeof(name))) FM_COPY(name, user->pw_name);
	FM_FORMAT(address, "unix:%s", s->socket);
	hello.role = FERMATA__ROLE__ROLE_OPERATOR;
	hello.name = name;
	hello.program = (char *)(uintptr_t) "fermata " FM_VERSION;
	hello.instance = instance;
	to.hello = &hello;
	s->peer = fm_peer_dial(s->base, &to, &calls, s, err);
	return s->peer ? 0 : -1;
}

static enum co_way
way_of(const struct co_parsed *parsed)
{
	switch (parsed->command->kind) {
	case CO_KIND_BEGINS:
	case CO_KIND_FOLLOWS:
		return CO_WAY_FOLLOW;
	case CO_KIND_ANSWER:
	case CO_KIND_LOCAL:
		break;
	}
	return co_parsed_has(parsed, "watch") ? CO_WAY_WATCH : CO_WAY_ANSWER;
}

int
co_session_run(const struct co_parsed *parsed, const char *socket)
{
	struct session s = { .parsed = parsed, .socket = socket, .way = way_of(parsed) };
	struct fm_err err = { 0 };

	s.streams = strcmp(parsed->command->name, "logs") == 0;
	/* The peer's warnings are for a daemon's log; here they are said as a sentence. */
	fm_log_set_level(FM_LOG_ERROR);
	s.output = co_output_new(s.way, parsed->global.json, parsed->global.no_color);
	s.base = event_base_new();
	CHECK(s.base);
	if (strcmp(parsed->command->name, "attach") == 0) {
		s.run = co_parsed_number(parsed, "run", 0);
		s.number = co_parsed_number(parsed, "after", 0);
	}
	if (dial(&s, &err) < 0) {
		fprintf(stderr, "fermata: %s\n", err.text);
		event_base_free(s.base);
		co_output_freep(&s.output);
		return FERMATA__EXIT_CODE__EXIT_CODE_USAGE;
	}
	arm_all(&s);
	(void)event_base_dispatch(s.base);
	disarm_all(&s);
	fm_peer_free(s.peer, "the command has ended");
	(void)event_base_loop(s.base, EVLOOP_NONBLOCK);
	event_base_free(s.base);
	co_output_freep(&s.output);
	return s.code;
}
