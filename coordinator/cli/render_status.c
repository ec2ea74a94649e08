/* render_status.c - the cluster at a glance. */
#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "coordinator/cli/render.h"
#include "coordinator/cli/table.h"
#include "wire/ask.h"

const char *
co_node_state(const Fermata__NodeStatus *node)
{
	return node->connected ? node->app : "away";
}

char *
co_node_says(char *dst, size_t size, const Fermata__NodeStatus *node)
{
	char silent[32];

	dst[0] = '\0';
	if (!node->connected) {
		(void)fm_format(dst, size, "its agent is not connected");
		if (node->silent_ms > 0) {
			(void)fm_append(dst, size, ", silent for %s",
					co_took(silent, sizeof(silent), node->silent_ms));
		}
		if (*node->says) (void)fm_append(dst, size, "; %s", node->says);
		return dst;
	}
	(void)fm_format(dst, size, "%s%s%s", node->worker ? "worker, takes no requests" : "",
			node->worker && *node->says ? "; " : "", node->says);
	(void)fm_append(dst, size, "%s%s", *dst ? (*node->says ? ": " : "; ") : "",
			*node->failure ? node->failure : node->detail);
	/* While there is nothing more important to be said. */
	if (strcmp(node->app, "ready") == 0 && node->memory_bytes)
		(void)fm_append(dst, size, "%suses %" PRIu64 " MiB, %.1f %% of a core",
				*dst ? "; " : "", node->memory_bytes >> 20,
				(double)node->cpu_permille / 10);
	return dst;
}

/* One sentence; the coordinator's own when it sent one. */
static void
sentence(FILE *out, const struct co_look *look, const Fermata__ClusterStatus *status)
{
	unsigned ready = 0;

	fputs(co_color_begin(look, CO_STRONG), out);
	if (*status->summary) {
		fputs(status->summary, out);
	} else {
		for (size_t i = 0; i < status->n_nodes; i++) {
			ready += strcmp(co_node_state(status->nodes[i]), "ready") == 0;
		}
		fprintf(out, "%s: the gates are %s, %u of %zu nodes ready", status->cluster,
			*status->public_state ? status->public_state : "not known", ready,
			status->n_nodes);
		if (*status->database) fprintf(out, ", database at %s", status->database);
	}
	fprintf(out, "%s\n", co_color_end(look, CO_STRONG));
}

/* What visitors are told, while the page is up. */
static void
back(FILE *out, const struct co_look *look, const Fermata__ClusterStatus *status)
{
	char clock[32];
	bool is_past = status->back_at * 1000 <= look->now_ms;

	if (status->back_at <= 0 || strcmp(status->public_state, "closed") != 0) return;
	if (status->back_at * 1000 - look->now_ms > INT64_C(12) * 3600 * 1000)
		(void)co_date(clock, sizeof(clock), status->back_at * 1000);
	else
		(void)co_clock(clock, sizeof(clock), status->back_at * 1000);
	fprintf(out, "back at about %s%s%s\n", clock,
		status->back_estimated ? ", judged by earlier runs" : "",
		is_past ? "; that is past, visitors read that it takes longer" : "");
}

static void
nodes(FILE *out, const struct co_look *look, const Fermata__ClusterStatus *status)
{
	static const struct co_column columns[] = {
		{ "NODE", CO_LEFT },	{ "STATE", CO_LEFT },	  { "RELEASE", CO_LEFT },
		{ "RUNNING", CO_LEFT }, { "REQUESTS", CO_RIGHT }, { "WEBSOCKETS", CO_RIGHT },
		{ "IDLE", CO_RIGHT },	{ "ADDRESS", CO_LEFT },	  { "SAYS", CO_CUT },
		{ NULL, CO_LEFT },
	};
	_cleanup_(co_table_freep) struct co_table *table = co_table_new(look, columns);

	for (size_t i = 0; i < status->n_nodes; i++) {
		const Fermata__NodeStatus *n = status->nodes[i];
		char requests[16], websockets[16], idle[16], says[FM_TEXT_SIZE];
		FM_FORMAT(requests, "%" PRIu32, n->in_flight);
		FM_FORMAT(websockets, "%" PRIu32, n->websockets);
		FM_FORMAT(idle, "%" PRIu32, n->idle);
		if (n->worker) requests[0] = websockets[0] = idle[0] = '-';
		if (n->worker) requests[1] = websockets[1] = idle[1] = '\0';
		const char *cells[] = {
			n->name,    co_node_state(n), n->release,
			n->running, requests,	      websockets,
			idle,	    n->address,	      co_node_says(says, sizeof(says), n),
		};
		co_table_add(table, cells, 1, co_color_of(co_node_state(n)));
	}
	co_table_print(table, out);
}

/* Why a node failed is most often in what its application said last. */
static void
last_words(FILE *out, const Fermata__ClusterStatus *status)
{
	for (size_t i = 0; i < status->n_nodes; i++) {
		const Fermata__NodeStatus *n = status->nodes[i];

		if (n->n_output == 0) continue;
		fprintf(out, "\nthe last that %s printed:\n", n->name);
		for (size_t k = 0; k < n->n_output; k++) fprintf(out, "  %s\n", n->output[k]);
	}
}

static void
gates(FILE *out, const struct co_look *look, const Fermata__ClusterStatus *status)
{
	static const struct co_column columns[] = {
		{ "GATE", CO_LEFT },	  { "MODE", CO_LEFT },	      { "WORKERS", CO_RIGHT },
		{ "REQUESTS", CO_RIGHT }, { "WEBSOCKETS", CO_RIGHT }, { "IDLE", CO_RIGHT },
		{ "TABS", CO_RIGHT },	  { "PASSED", CO_RIGHT },     { "REFUSED", CO_RIGHT },
		{ "SAYS", CO_CUT },	  { NULL, CO_LEFT },
	};
	_cleanup_(co_table_freep) struct co_table *table = co_table_new(look, columns);

	for (size_t i = 0; i < status->n_gates; i++) {
		const Fermata__GateStatus *g = status->gates[i];
		char requests[16], websockets[16], tabs[16], passed[24], refused[24], idle[16];
		char workers[40], says[FM_TEXT_SIZE] = "";
		FM_FORMAT(requests, "%" PRIu32, g->in_flight);
		FM_FORMAT(websockets, "%" PRIu32, g->websockets);
		FM_FORMAT(tabs, "%" PRIu32, g->tabs);
		FM_FORMAT(idle, "%" PRIu32, g->idle);
		FM_FORMAT(workers, "%" PRIu32, g->workers);
		if (g->generations > 1)
			FM_APPEND(workers, " of %" PRIu32 " generations", g->generations);
		FM_FORMAT(passed, "%" PRIu64, g->passed);
		FM_FORMAT(refused, "%" PRIu64, g->refused);
		if (!g->connected)
			FM_FORMAT(says, "not connected; it keeps the mode it was in%s%s",
				  *g->says ? "; " : "", g->says);
		else if (*g->error)
			FM_COPY(says, g->error);
		else if (*g->says)
			FM_COPY(says, g->says);
		else if (*g->pinned)
			FM_FORMAT(says, "all visitors go to %s", g->pinned);
		if (g->bypassed)
			FM_APPEND(says, "%s%" PRIu32 " of operators", *says ? "; " : "",
				  g->bypassed);
		if (g->held) FM_APPEND(says, "%s%" PRIu32 " held", *says ? "; " : "", g->held);
		const char *mode = g->connected ? g->mode : "away";
		const char *cells[] = { g->name, mode, workers, requests, websockets,
					idle,	 tabs, passed,	refused,  says };
		co_table_add(table, cells, 1, co_color_of(mode));
	}
	co_table_print(table, out);
}

static void
run(FILE *out, const struct co_look *look, const Fermata__RunStatus *r, const char *summary)
{
	char title[FM_TEXT_SIZE], times[200];

	fprintf(out, "\nrun %" PRIu64 ": %s, %s\n", r->run, co_run_title(title, sizeof(title), r),
		co_run_times(times, sizeof(times), r, look->now_ms));
	for (size_t i = 0; i < r->n_steps; i++) {
		const Fermata__StepStatus *s = r->steps[i];
		if (strcmp(s->state, "running") != 0) continue;
		fprintf(out, "  at %s: %s\n", s->name, s->says);
		if (*s->waiting_for) fprintf(out, "  waiting for %s\n", s->waiting_for);
	}
	if (*r->why) fprintf(out, "  failed first: %s\n", r->why);
	if (*r->text && strcmp(r->text, summary) != 0) fprintf(out, "  now: %s\n", r->text);
	if (*r->next) fprintf(out, "  next: %s\n", r->next);
}

void
co_render_status(FILE *out, const struct co_look *look, const Fermata__ClusterStatus *status)
{
	sentence(out, look, status);
	back(out, look, status);
	if (status->n_nodes) {
		fputc('\n', out);
		nodes(out, look, status);
	}
	if (status->n_gates) {
		fputc('\n', out);
		gates(out, look, status);
	}
	last_words(out, status);
	if (status->run && status->run->run) run(out, look, status->run, status->summary);
}
