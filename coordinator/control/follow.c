/* follow.c - operators who watch a run: its events as they happen, what is waited for, its end. */
#include <string.h>

#include "base/mono.h"
#include "base/text.h"
#include "coordinator/control/control.h"

#define STATUS_MS 400

int
co_exit_of(const struct co_daemon *daemon, const struct co_run_row *row, bool to_hold)
{
	const struct co_procedure *procedure = co_procedure_find(row->procedure);
	bool goes_back = procedure != NULL && procedure->goes_back;
	const struct co_run *run = &co_core_state(daemon->core)->run;

	if (fm_is_equal(row->state, co_run_state_name(CO_RUN_HALTED)))
		return FERMATA__EXIT_CODE__EXIT_CODE_OPERATOR;
	if (fm_is_equal(row->state, co_run_state_name(CO_RUN_HELD)) && to_hold &&
	    run->number == row->run && fm_is_equal(run->step, "hold"))
		return FERMATA__EXIT_CODE__EXIT_CODE_DONE;
	if (!fm_is_equal(row->state, co_run_state_name(CO_RUN_ENDED))) return -1;
	for (int end = CO_END_NONE; end <= CO_END_NEEDS_OPERATOR; end++) {
		if (!fm_is_equal(row->end, co_end_name((enum co_end)end))) continue;
		switch ((enum co_end)end) {
		case CO_END_DONE:
			return FERMATA__EXIT_CODE__EXIT_CODE_DONE;
		case CO_END_REFUSED:
			return FERMATA__EXIT_CODE__EXIT_CODE_REFUSED;
		case CO_END_ROLLED_BACK:
		case CO_END_ROLLED_BACK_WITH_LOSS:
			return goes_back ? FERMATA__EXIT_CODE__EXIT_CODE_DONE
					 : FERMATA__EXIT_CODE__EXIT_CODE_FAILED;
		case CO_END_NONE:
		case CO_END_STOPPED_BY_OPERATOR:
			return FERMATA__EXIT_CODE__EXIT_CODE_FAILED;
		case CO_END_NEEDS_OPERATOR:
			return FERMATA__EXIT_CODE__EXIT_CODE_OPERATOR;
		}
	}
	return FERMATA__EXIT_CODE__EXIT_CODE_FAILED;
}

/* The run's row: the core's own for the current run, the journal's for an older one. */
static int
row_of(struct co_daemon *daemon, uint64_t run, struct co_run_row *ret)
{
	co_core_row(daemon->core, ret);
	if (ret->run == run) return 0;
	return co_journal_run(daemon->journal, run, ret, NULL);
}

/* Ends the following when the run stands still. */
static void
end_if_over(struct co_daemon *daemon, struct co_client *client)
{
	struct co_run_row row;
	int code = -1;

	if (client->run == 0 || row_of(daemon, client->run, &row) != 0) return;
	code = co_exit_of(daemon, &row, client->to_hold);
	if (code < 0) return;
	(void)co_view_run(daemon, client, client->run, NULL);
	client->run = 0;
	co_answer_end(client, (Fermata__ExitCode)code, row.text, row.next, row.run);
}

void
co_follow(struct co_request *request, uint64_t run, bool to_hold, uint64_t after)
{
	struct co_client *client = request->client;
	struct fm_err err;

	if (co_view_run(request->daemon, client, run, &err) != 0 ||
	    co_view_events(request->daemon, client, run, after, &err) != 0) {
		co_answer_end(client, FERMATA__EXIT_CODE__EXIT_CODE_USAGE, err.text, "fermata runs",
			      0);
		return;
	}
	client->run = run;
	client->to_hold = to_hold;
	client->waiting[0] = '\0';
	end_if_over(request->daemon, client);
}

void
co_control_event(struct co_daemon *daemon, const struct co_event_row *event)
{
	struct co_client *client = NULL;

	TAILQ_FOREACH (client, &daemon->clients, link) {
		if (client->run == 0 || client->run != event->run) continue;
		co_view_event(client, event);
		client->run_changed = true;
	}
}

/* What the run waits for, to one who follows it and has not heard it yet. */
static void
tell_waiting(struct co_daemon *daemon, struct co_client *client)
{
	const struct co_step *step = co_core_step(daemon->core);
	struct co_event_row event = { .run = client->run, .at_ms = fm_wall_now_ms() };

	if (step == NULL || fm_is_equal(client->waiting, co_core_waiting(daemon->core))) return;
	FM_COPY(client->waiting, co_core_waiting(daemon->core));
	if (fm_is_empty(client->waiting)) return;
	FM_COPY(event.kind, "waiting");
	FM_COPY(event.step, step->name);
	FM_COPY(event.text, client->waiting);
	co_view_event(client, &event);
}

/* The run's steps after each of its events, the cluster's state now and then: for live views. */
static void
tell_whole(struct co_daemon *daemon, struct co_client *client)
{
	struct fm_mono now = fm_mono_now();

	if (client->run_changed) (void)co_view_run(daemon, client, client->run, NULL);
	client->run_changed = false;
	if (fm_mono_since(now, client->status_at) < STATUS_MS) return;
	client->status_at = now;
	co_view_status(daemon, client);
}

void
co_control_stirred(struct co_daemon *daemon)
{
	uint64_t current = co_core_state(daemon->core)->run.number;
	struct co_client *client = NULL;

	TAILQ_FOREACH (client, &daemon->clients, link) {
		co_logs_pump(daemon, client);
		if (client->run == 0) continue;
		if (client->run == current) tell_waiting(daemon, client);
		tell_whole(daemon, client);
		end_if_over(daemon, client);
	}
}
