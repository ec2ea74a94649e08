/* nodes.c - what rows ask of the nodes' agents. */
#include <string.h>

#include "base/text.h"
#include "coordinator/steps/steps.h"

static struct fm_agent_ask *
want(struct co_turn *t, struct co_who who)
{
	return &t->state->nodes[who.i];
}

uint64_t
co_serial_of(const struct co_run *run)
{
	return run->number << 16 | (run->serial & 0xffff);
}

void
co_ask_fetch(struct co_turn *t, struct co_who who)
{
	struct fm_agent_ask *w = want(t, who);

	FM_COPY(w->fetch, t->state->run.to);
	w->keep_count = 0;
}

void
co_ask_stop(struct co_turn *t, struct co_who who)
{
	struct fm_agent_ask *w = want(t, who);

	w->app = FM_APP_GOAL_STOPPED;
	w->start = FM_START_PLAIN;
	co_keep_operators_out(t, who.i);
}

void
co_ask_switch(struct co_turn *t, struct co_who who)
{
	struct fm_agent_ask *w = want(t, who);

	FM_COPY(w->release, t->state->run.to);
	FM_COPY(w->fetch, t->state->run.to);
}

void
co_ask_switch_back(struct co_turn *t, struct co_who who)
{
	struct fm_agent_ask *w = want(t, who);

	FM_COPY(w->release, t->state->run.from);
	FM_COPY(w->fetch, t->state->run.from);
}

static void
ask_running(struct co_turn *t, struct co_who who, const char *release, enum fm_start_mode mode)
{
	struct fm_agent_ask *w = want(t, who);

	w->app = FM_APP_GOAL_RUNNING;
	w->start = mode;
	w->start_serial = co_serial_of(&t->state->run);
	FM_COPY(w->release, release);
}

/* The one start of a run that may change the database. */
void
co_ask_start_first(struct co_turn *t, struct co_who who)
{
	bool may = !t->state->run.installed || !fm_is_equal(t->state->run.to, t->state->run.from);

	ask_running(t, who, t->state->run.to, may ? FM_START_MIGRATE : FM_START_PLAIN);
	if (may) t->state->run.touched = true;
	co_let_operators_in(t);
}

void
co_ask_start(struct co_turn *t, struct co_who who)
{
	ask_running(t, who, t->state->run.to, FM_START_PLAIN);
}

void
co_ask_start_back(struct co_turn *t, struct co_who who)
{
	ask_running(t, who, t->state->run.from, FM_START_PLAIN);
	co_let_operators_in(t);
}

/* What runs is left running; only a retry asks for another start. */
void
co_ask_keep_running(struct co_turn *t, struct co_who who)
{
	uint64_t serial = want(t, who)->start_serial;

	co_ask_start(t, who);
	if (t->state->run.serial == 0) want(t, who)->start_serial = serial;
}

/* During in-app maintenance the kept node is on its own again: its agent may restart it. */
void
co_ask_leave_alone(struct co_turn *t, struct co_who who)
{
	(void)who;
	t->state->nodes[t->state->run.first].run = 0;
}

void
co_ask_sweep(struct co_turn *t, struct co_who who)
{
	struct fm_agent_ask *w = want(t, who);

	w->keep_count = 0;
	FM_COPY(w->keep[w->keep_count++], t->state->run.to);
	if (!fm_is_empty(t->state->run.from)) FM_COPY(w->keep[w->keep_count++], t->state->run.from);
}

/* Connected, and obeying what is wanted of it now; else what is waited for. */
static enum co_verdict
is_with_us(const struct co_turn *t, struct co_who who)
{
	const struct co_node *node = &t->fleet->nodes[who.i];

	if (!node->connected) return co_say_node_away(t, who.i, "retry");
	if (!co_node_obeys(node, t->state->nodes[who.i].voice))
		return co_say(t, CO_WAIT, "%s to take the order", co_node_name(t, who.i));
	return CO_DONE;
}

enum co_verdict
co_has_fetched(const struct co_turn *t, struct co_who who)
{
	const struct fm_agent_report *report = &t->fleet->nodes[who.i].report;
	enum co_verdict verdict = is_with_us(t, who);

	if (verdict != CO_DONE) return verdict;
	if (!fm_is_empty(report->fetch_failure))
		return co_say(t, CO_FAILED, "%s could not fetch %s: %s", co_node_name(t, who.i),
			      t->state->run.to, report->fetch_failure);
	if (!fm_is_equal(report->fetched, t->state->run.to))
		return co_say(t, CO_WAIT, "%s: %s", co_node_name(t, who.i),
			      fm_is_empty(report->detail) ? "fetching" : report->detail);
	return CO_DONE;
}

enum co_verdict
co_is_stopped(const struct co_turn *t, struct co_who who)
{
	const struct fm_agent_report *report = &t->fleet->nodes[who.i].report;
	enum co_verdict verdict = is_with_us(t, who);

	if (verdict != CO_DONE) return verdict;
	if (report->app == FM_APP_STOPPED && report->pids == 0) return CO_DONE;
	/* An operator's command has the last word, and has said no. */
	if (report->app == FM_APP_FAILED && !fm_is_empty(report->hook_failure))
		return co_say(t, CO_FAILED, "%s: %s", co_node_name(t, who.i), report->failure);
	return co_say(t, CO_WAIT, "%s: %u processes left%s%s", co_node_name(t, who.i), report->pids,
		      fm_is_empty(report->detail) ? "" : ", ", report->detail);
}

static enum co_verdict
names_release(const struct co_turn *t, struct co_who who, const char *release)
{
	enum co_verdict verdict = is_with_us(t, who);

	if (verdict != CO_DONE) return verdict;
	if (fm_is_equal(t->fleet->nodes[who.i].report.current, release)) return CO_DONE;
	return co_say(t, CO_WAIT, "%s to switch to %s", co_node_name(t, who.i), release);
}

enum co_verdict
co_has_switched(const struct co_turn *t, struct co_who who)
{
	return names_release(t, who, t->state->run.to);
}

enum co_verdict
co_has_switched_back(const struct co_turn *t, struct co_who who)
{
	return names_release(t, who, t->state->run.from);
}

enum co_verdict
co_is_ready(const struct co_turn *t, struct co_who who)
{
	const struct fm_agent_report *report = &t->fleet->nodes[who.i].report;
	const char *release = t->state->nodes[who.i].release;
	enum co_verdict verdict = is_with_us(t, who);

	if (verdict != CO_DONE) return verdict;
	if (report->app == FM_APP_FAILED || report->app == FM_APP_REFUSED)
		return co_say(t, CO_FAILED, "%s: %s", co_node_name(t, who.i), report->failure);
	if (report->app == FM_APP_READY && fm_is_equal(report->running, release)) return CO_DONE;
	verdict = co_say(t, report->app == FM_APP_STUCK ? CO_STALLED : CO_WAIT, "%s: %s%s%s",
			 co_node_name(t, who.i), fm_app_state_name(report->app),
			 fm_is_empty(report->detail) ? "" : ", ", report->detail);
	co_say_sql(report, t->why, FM_TEXT_SIZE);
	return verdict;
}

enum co_verdict
co_has_swept(const struct co_turn *t, struct co_who who)
{
	enum co_verdict verdict = is_with_us(t, who);

	if (verdict != CO_DONE) return verdict;
	if (t->fleet->nodes[who.i].report.swept_seq >= t->state->nodes[who.i].voice.seq)
		return CO_DONE;
	return co_say(t, CO_WAIT, "%s to remove old releases", co_node_name(t, who.i));
}

void
co_note_version(struct co_turn *t)
{
	FM_COPY(t->state->version, t->state->run.to);
}

void
co_note_version_back(struct co_turn *t)
{
	FM_COPY(t->state->version, t->state->run.from);
	/* A failed upgrade leaves the way back of the one before it as it was. */
	if (!t->state->run.recovering) t->state->back = (struct co_way_back){ .opened_ms = 0 };
}
