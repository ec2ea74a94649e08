/* control.c - people's requests: checked against the table of commands, then answered by one function
 * each. The right to a command is a column of that table, tested here and nowhere else. */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/mono.h"
#include "base/text.h"
#include "coordinator/control/control.h"
#include "loop/peer.h"

#define RUNS_SHOWN 20
#define RUNS_MOST 1000

static const char *
who_is(const struct co_request *r)
{
	return fm_peer_name(r->client->peer);
}

static void
refuse(struct co_request *r, Fermata__ExitCode code, const struct fm_err *err, const char *next)
{
	co_answer_end(r->client, code, err->text, next, 0);
}

static void
done(struct co_request *r, const char *text, const char *next)
{
	co_answer_end(r->client, FERMATA__EXIT_CODE__EXIT_CODE_DONE, text, next,
		      co_core_state(r->daemon->core)->run.number);
}

/* The run that the request is about: the one it names, else the current or last one. */
static uint64_t
run_of(const struct co_request *r)
{
	return co_parsed_number(r->parsed, "run", co_core_state(r->daemon->core)->run.number);
}

static void
cmd_status(struct co_request *r)
{
	co_view_status(r->daemon, r->client);
	done(r, "", "");
}

static void
cmd_plan(struct co_request *r)
{
	struct co_order order;

	if (!co_order_of(r->parsed, who_is(r), &order)) {
		co_answer_end(r->client, FERMATA__EXIT_CODE__EXIT_CODE_USAGE,
			      "only commands that begin a run can be planned", "fermata help plan",
			      0);
		return;
	}
	co_view_plan(r->daemon, r->client, &order);
	done(r, "nothing was touched", "");
}

static void
begin(struct co_request *r, struct co_order *order)
{
	struct fm_err err;

	if (getrandom(order->bypass_key, sizeof(order->bypass_key), 0) !=
	    (ssize_t)sizeof(order->bypass_key))
		memset(order->bypass_key, 0, sizeof(order->bypass_key));

	if (co_begin(r->daemon->core, order, fm_mono_now(), &err) != 0) {
		refuse(r, FERMATA__EXIT_CODE__EXIT_CODE_REFUSED, &err, "fermata status");
		return;
	}
	co_follow(r, co_core_state(r->daemon->core)->run.number,
		  fm_is_equal(order->procedure, "maintenance"), 0);
}

static void
cmd_begin(struct co_request *r)
{
	struct co_order order;

	if (co_order_of(r->parsed, who_is(r), &order)) begin(r, &order);
}

/* A word to the current run. false: it was refused, and that is said. */
static bool
say(struct co_request *r, enum co_verb verb)
{
	uint64_t current = co_core_state(r->daemon->core)->run.number;
	struct fm_err err;

	if (run_of(r) != current) {
		fm_fail(&err, FM_ERR_REFUSED, 0, "run %llu is not the current one, which is %llu",
			(unsigned long long)run_of(r), (unsigned long long)current);
		refuse(r, FERMATA__EXIT_CODE__EXIT_CODE_USAGE, &err, "fermata runs");
		return false;
	}
	if (co_operate(r->daemon->core, verb, who_is(r), fm_mono_now(), &err) != 0) {
		refuse(r, FERMATA__EXIT_CODE__EXIT_CODE_FAILED, &err, "fermata status");
		return false;
	}
	return true;
}

static enum co_verb
verb_of(const struct co_command *command)
{
	for (int verb = 0; verb < CO_VERB_COUNT; verb++)
		if (fm_is_equal(co_verb_name((enum co_verb)verb), command->name))
			return (enum co_verb)verb;
	return CO_VERB_COUNT;
}

static void
cmd_word(struct co_request *r)
{
	struct co_run_row row;

	if (!say(r, verb_of(r->parsed->command))) return;
	co_core_row(r->daemon->core, &row);
	done(r, row.text, row.next);
}

/* --without, said to the current run. false: refused, and that is said. */
static bool
leave_out(struct co_request *r)
{
	char names[CO_WITHOUT_MOST][FM_NAME_SIZE];
	unsigned count = co_without_of(r->parsed, names);
	struct fm_err err;

	if (count == 0 || co_leave_out(r->daemon->core, count, (const char(*)[FM_NAME_SIZE])names,
				       who_is(r), fm_mono_now(), &err) == 0)
		return true;
	refuse(r, FERMATA__EXIT_CODE__EXIT_CODE_FAILED, &err, "fermata status");
	return false;
}

static void
cmd_retry(struct co_request *r)
{
	uint64_t seen = co_core_state(r->daemon->core)->run.events;

	if (!leave_out(r)) return;
	/* A run that only waited for it has gone on by itself. */
	if (co_parsed_has(r->parsed, "without") &&
	    co_core_state(r->daemon->core)->run.state != CO_RUN_HALTED)
		co_follow(r, run_of(r), false, seen);
	else if (say(r, CO_VERB_RETRY))
		co_follow(r, run_of(r), false, seen);
}

static void
cmd_word_and_follow(struct co_request *r)
{
	if (leave_out(r) && say(r, verb_of(r->parsed->command)))
		co_follow(r, run_of(r), false, co_core_state(r->daemon->core)->run.events);
}

static void
cmd_rollback(struct co_request *r)
{
	const struct co_state *state = co_core_state(r->daemon->core);
	struct co_order order;
	struct fm_err err;
	char since[40];

	if (state->run.state != CO_RUN_NONE && state->run.state != CO_RUN_ENDED) {
		cmd_word_and_follow(r);
		return;
	}
	if (state->back.opened_ms != 0 && !co_parsed_has(r->parsed, "yes")) {
		fm_format_duration(since, sizeof(since), fm_wall_now_ms() - state->back.opened_ms);
		fm_fail(&err, FM_ERR_REFUSED, 0,
			"visitors were let in %s ago; what they wrote since would be lost. Nothing was "
			"touched",
			since);
		refuse(r, FERMATA__EXIT_CODE__EXIT_CODE_REFUSED, &err, "fermata rollback --yes");
		return;
	}
	if (co_order_of(r->parsed, who_is(r), &order)) begin(r, &order);
}

static void
cmd_runs(struct co_request *r)
{
	uint64_t most = co_parsed_number(r->parsed, "last", RUNS_SHOWN);
	struct fm_err err;

	if (co_view_runs(r->daemon, r->client, most > RUNS_MOST ? RUNS_MOST : (unsigned)most,
			 &err) != 0)
		refuse(r, FERMATA__EXIT_CODE__EXIT_CODE_FAILED, &err, "fermata doctor");
	else
		done(r, "", "");
}

static void
cmd_show(struct co_request *r)
{
	struct fm_err err;

	if (run_of(r) == 0)
		co_answer_end(r->client, FERMATA__EXIT_CODE__EXIT_CODE_FAILED, "no run yet",
			      "fermata startup", 0);
	else if (co_view_run(r->daemon, r->client, run_of(r), &err) != 0 ||
		 co_view_events(r->daemon, r->client, run_of(r), 0, &err) != 0)
		refuse(r, FERMATA__EXIT_CODE__EXIT_CODE_USAGE, &err, "fermata runs");
	else
		done(r, "", "");
}

static void
cmd_attach(struct co_request *r)
{
	if (run_of(r) == 0)
		co_answer_end(r->client, FERMATA__EXIT_CODE__EXIT_CODE_FAILED, "no run yet",
			      "fermata startup", 0);
	else
		co_follow(r, run_of(r), true, co_parsed_number(r->parsed, "after", 0));
}

static void
cmd_doctor(struct co_request *r)
{
	if (co_view_doctor(r->daemon, r->client))
		done(r, "nothing stands in the way of a run", "");
	else
		co_answer_end(r->client, FERMATA__EXIT_CODE__EXIT_CODE_OPERATOR,
			      "a run would be refused as things are", "fermata status", 0);
}

static void
cmd_settings(struct co_request *r)
{
	co_view_settings(r->daemon, r->client);
	done(r, "", "");
}

/* Who answers; every row of commands.def that is not local is here (a unit test looks). */
static const struct {
	const char *name;
	void (*answer)(struct co_request *r);
} answers[] = {
	{ "status", cmd_status },
	{ "plan", cmd_plan },
	{ "startup", cmd_begin },
	{ "stop", cmd_begin },
	{ "restart", cmd_begin },
	{ "upgrade", cmd_begin },
	{ "maintenance begin", cmd_begin },
	{ "maintenance end", cmd_word_and_follow },
	{ "page on", cmd_begin },
	{ "page off", cmd_begin },
	{ "bypass", co_cmd_bypass },
	{ "approve", cmd_word },
	{ "reject", cmd_word },
	{ "pause", cmd_word },
	{ "resume", cmd_word_and_follow },
	{ "retry", cmd_retry },
	{ "abort", cmd_word_and_follow },
	{ "rollback", cmd_rollback },
	{ "runs", cmd_runs },
	{ "show", cmd_show },
	{ "attach", cmd_attach },
	{ "doctor", cmd_doctor },
	{ "logs", co_logs_begin },
	{ "config show", cmd_settings },
};

static int
parse(const Fermata__ControlRequest *msg, struct co_parsed *parsed, struct fm_err *err)
{
	if (co_parsed_begin(parsed, msg->command, err) != 0) return -1;
	for (size_t i = 0; i < msg->n_args; i++)
		if (co_parsed_add(parsed, msg->args[i]->name, msg->args[i]->value, err) != 0)
			return -1;
	return co_parsed_finish(parsed, err);
}

static void
answer(struct co_daemon *daemon, struct co_client *client, const Fermata__ControlRequest *msg)
{
	_cleanup_free_ struct co_parsed *parsed = fm_new(struct co_parsed, 1);
	struct co_request request = { daemon, client, parsed };
	struct fm_err err;

	if (parse(msg, parsed, &err) != 0) {
		refuse(&request, FERMATA__EXIT_CODE__EXIT_CODE_USAGE, &err, "fermata help");
		return;
	}
	if (parsed->command->right == CO_RIGHT_OPERATE)
		fm_log(FM_LOG_NOTICE, "command", "who=%s command=\"%s\"",
		       fm_peer_name(client->peer), parsed->command->name);
	client->run = 0;
	co_logs_end(client);
	for (unsigned i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		if (!fm_is_equal(answers[i].name, parsed->command->name)) continue;
		answers[i].answer(&request);
		co_daemon_stirred(daemon);
		return;
	}
	co_answer_end(client, FERMATA__EXIT_CODE__EXIT_CODE_USAGE,
		      "that command is not for the coordinator", "fermata help", 0);
}

static int
on_up(void *arg, struct fm_peer *peer, const Fermata__Hello *hello, const Fermata__Welcome *welcome,
      struct fm_err *err)
{
	struct co_daemon *daemon = arg;
	struct co_client *client = fm_new(struct co_client, 1);

	(void)hello;
	(void)welcome;
	(void)err;
	client->peer = peer;
	TAILQ_INSERT_TAIL(&daemon->clients, client, link);
	fm_peer_set_data(peer, client);
	return 0;
}

static int
on_message(void *arg, struct fm_peer *peer, const Fermata__Envelope *envelope, struct fm_err *err)
{
	struct co_client *client = fm_peer_data(peer);

	if (client == NULL || envelope->body_case != FERMATA__ENVELOPE__BODY_CONTROL_REQUEST)
		return fm_fail(err, FM_ERR_PEER, 0, "not a request");
	answer(arg, client, envelope->control_request);
	return 0;
}

static void
on_down(void *arg, struct fm_peer *peer, const char *why)
{
	struct co_daemon *daemon = arg;
	struct co_client *client = fm_peer_data(peer);

	(void)why;
	if (client == NULL) return;
	TAILQ_REMOVE(&daemon->clients, client, link);
	fm_peer_set_data(peer, NULL);
	co_logs_end(client);
	free(client);
}

int
co_control_open(struct co_daemon *daemon, struct fm_err *err)
{
	static const struct fm_peer_calls calls = { on_up, on_message, on_down };
	char address[sizeof(daemon->settings.socket) + 8];
	struct fm_listen_on on = { .address = address,
				   .group = daemon->settings.socket_group,
				   .welcome = co_daemon_welcome };

	FM_FORMAT(address, "unix:%s", daemon->settings.socket);
	daemon->control_listener = fm_listener_open(daemon->base, &on, &calls, daemon, err);
	return daemon->control_listener == NULL ? fm_wrap(err, "listen for operators") : 0;
}

void
co_control_close(struct co_daemon *daemon)
{
	struct co_client *client = NULL;

	if (daemon->control_listener != NULL) fm_listener_close(daemon->control_listener);
	while ((client = TAILQ_FIRST(&daemon->clients)) != NULL) {
		TAILQ_REMOVE(&daemon->clients, client, link);
		fm_peer_free(client->peer, "the coordinator is going down");
		co_logs_end(client);
		free(client);
	}
}
