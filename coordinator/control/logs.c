/* logs.c - the output of applications, for operators. It is pulled: the next piece is asked of a node when the
 * operator has read the last, so that nothing piles up here, nor there. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mono.h"
#include "base/text.h"
#include "coordinator/control/control.h"
#include "loop/peer.h"

#define LINES 50
#define LINES_MOST 2000
#define ROOM_BYTES (64 << 10) /* that may wait for an operator to read */
#define PAUSE_MS 300	      /* until a node that had nothing is asked again */
#define ANSWER_MS 3000	      /* then it was lost */
#define WORDS_SIZE 400
#define WORDS_MOST 6 /* entries of a timeline, for one failure */
#define LAST_WORDS 0 /* the number of readings for ourselves */

struct source {
	bool is_wanted, is_asked, has_begun, is_idle;
	struct fm_mono at; /* of the last ask, or answer */
	uint64_t after, end;
};

struct co_logs {
	uint64_t id;
	bool follow;
	unsigned lines;
	struct source sources[FM_NODES_MAX];
};

static void
ask(struct co_daemon *daemon, unsigned node, const Fermata__LogAsk *what)
{
	Fermata__LogAsk msg = *what;

	fm_peer_send(daemon->nodes[node], FERMATA__ENVELOPE__BODY_LOG_ASK, &msg);
}

/* ---- what a node that fails said last ---- */

static void
forget(struct co_daemon *daemon, unsigned node)
{
	if (daemon->last_words[node] == NULL) return;
	fermata__log_lines__free_unpacked(daemon->last_words[node], NULL);
	daemon->last_words[node] = NULL;
}

static void
remember(struct co_daemon *daemon, unsigned node, const Fermata__LogLines *lines)
{
	size_t size = fermata__log_lines__get_packed_size(lines);
	_cleanup_free_ uint8_t *bytes = fm_new(uint8_t, size + 1);

	forget(daemon, node);
	fermata__log_lines__pack(lines, bytes);
	daemon->last_words[node] = fermata__log_lines__unpack(NULL, size, bytes);
}

static void
journal_one(struct co_daemon *daemon, const char *name, char *text)
{
	char line[FM_TEXT_SIZE];

	for (char *at = text; *at; at++)
		if ((unsigned char)*at < 0x20 || *at == 0x7f) *at = ' ';
	FM_FORMAT(line, "%s printed last: %s", name, text);
	(void)co_note(daemon->core, line, fm_mono_now());
}

/* Into the timeline of the run in which it failed, as many as WORDS_MOST entries hold: status forgets them
 * when the node is well again. */
static void
journal(struct co_daemon *daemon, unsigned node, const Fermata__LogLines *lines)
{
	const char *name = daemon->config.nodes[node];
	char text[WORDS_SIZE] = "";
	size_t from = lines->n_lines, size = 0;

	if (co_core_state(daemon->core)->run.number == 0) return;
	while (from > 0 && size + strlen(lines->lines[from - 1]) + 3 < WORDS_MOST * WORDS_SIZE / 2)
		size += strlen(lines->lines[--from]) + 3;
	/* One that is longer than all of that is cut. */
	if (from > 0 && from == lines->n_lines) from--;
	for (size_t i = from; i < lines->n_lines; i++) {
		if (text[0] && strlen(text) + strlen(lines->lines[i]) + 4 > sizeof(text)) {
			journal_one(daemon, name, text);
			text[0] = '\0';
		}
		FM_APPEND(text, "%s%s", text[0] ? " | " : "", lines->lines[i]);
	}
	if (text[0]) journal_one(daemon, name, text);
}

void
co_logs_note(struct co_daemon *daemon, unsigned node, enum fm_app_state before)
{
	enum fm_app_state now = co_core_fleet(daemon->core)->nodes[node].report.app;
	Fermata__LogAsk msg = FERMATA__LOG_ASK__INIT;

	if (now == FM_APP_READY || now == FM_APP_STOPPED) forget(daemon, node);
	if (now != FM_APP_FAILED && now != FM_APP_STUCK) return;
	if (now == before || daemon->nodes[node] == NULL) return;
	msg.id = LAST_WORDS;
	msg.tail = msg.whole = true;
	msg.lines = LINES;
	ask(daemon, node, &msg);
}

void
co_logs_forget(struct co_daemon *daemon)
{
	for (unsigned i = 0; i < FM_NODES_MAX; i++) forget(daemon, i);
}

/* ---- what an operator reads ---- */

static void
tell(struct co_daemon *daemon, struct co_client *client, unsigned node,
     const Fermata__LogLines *lines)
{
	Fermata__LogChunk chunk = FERMATA__LOG_CHUNK__INIT;

	chunk.node = daemon->config.nodes[node];
	chunk.lines = lines->lines;
	chunk.n_lines = lines->n_lines;
	chunk.skipped = lines->skipped;
	chunk.after = lines->after;
	chunk.fault = lines->fault;
	co_answer(client, FERMATA__CONTROL_EVENT__WHAT_LOG, &chunk);
}

static void
tell_fault(struct co_daemon *daemon, struct co_client *client, unsigned node, const char *why)
{
	Fermata__LogLines lines = FERMATA__LOG_LINES__INIT;

	lines.fault = (char *)(uintptr_t)why;
	tell(daemon, client, node, &lines);
}

static void
hear(struct co_daemon *daemon, struct co_client *client, unsigned node,
     const Fermata__LogLines *lines)
{
	struct co_logs *logs = client->logs;
	struct source *s = &logs->sources[node];

	if (!s->is_asked) return;
	s->is_asked = false;
	s->at = fm_mono_now();
	s->is_idle = lines->n_lines == 0;
	/* Without --follow up to where the output ended when it was first asked for. */
	if (!s->has_begun) s->end = lines->end;
	s->has_begun = true;
	s->after = lines->after;
	if (lines->n_lines > 0 || lines->skipped > 0 || !fm_is_empty(lines->fault))
		tell(daemon, client, node, lines);
	if (!fm_is_empty(lines->fault) || (!logs->follow && (s->is_idle || s->after >= s->end)))
		s->is_wanted = false;
}

void
co_logs_heard(struct co_daemon *daemon, unsigned node, const Fermata__LogLines *lines)
{
	struct co_client *client = NULL;

	if (lines->id == LAST_WORDS) {
		remember(daemon, node, lines);
		journal(daemon, node, lines);
		return;
	}
	TAILQ_FOREACH (client, &daemon->clients, link)
		if (client->logs != NULL && client->logs->id == lines->id)
			hear(daemon, client, node, lines);
}

static void
pull(struct co_daemon *daemon, struct co_client *client, unsigned node)
{
	struct co_logs *logs = client->logs;
	struct source *s = &logs->sources[node];
	Fermata__LogAsk msg = FERMATA__LOG_ASK__INIT;
	int64_t age_ms = fm_mono_since(fm_mono_now(), s->at);

	if (daemon->nodes[node] == NULL) {
		if (!logs->follow) {
			tell_fault(daemon, client, node, "its agent is not connected");
			s->is_wanted = false;
		}
		return;
	}
	if (s->is_asked && age_ms < ANSWER_MS) return;
	if (!s->is_asked && s->is_idle && age_ms < PAUSE_MS) return;
	if (fm_peer_waiting(client->peer) > ROOM_BYTES) return;
	msg.id = logs->id;
	msg.after = s->after;
	msg.tail = !s->has_begun && s->after == 0;
	msg.lines = logs->lines;
	msg.whole = !logs->follow;
	s->is_asked = true;
	s->at = fm_mono_now();
	ask(daemon, node, &msg);
}

void
co_logs_pump(struct co_daemon *daemon, struct co_client *client)
{
	unsigned wanted = 0;

	if (client->logs == NULL) return;
	for (unsigned i = 0; i < daemon->config.node_count; i++) {
		if (client->logs->sources[i].is_wanted) pull(daemon, client, i);
		if (client->logs->sources[i].is_wanted) wanted++;
	}
	if (wanted > 0) return;
	co_logs_end(client);
	co_answer_end(client, FERMATA__EXIT_CODE__EXIT_CODE_DONE, "", "", 0);
}

void
co_logs_end(struct co_client *client)
{
	free(client->logs);
	client->logs = NULL;
}

void
co_logs_begin(struct co_request *r)
{
	uint64_t lines = co_parsed_number(r->parsed, "lines", LINES);
	const char *node = co_parsed_value(r->parsed, "node");
	struct co_logs *logs = fm_new(struct co_logs, 1);
	unsigned found = 0;

	logs->id = ++r->daemon->last_logs;
	logs->follow = co_parsed_has(r->parsed, "follow");
	logs->lines = lines > LINES_MOST ? LINES_MOST : (unsigned)lines;
	for (unsigned i = 0; i < r->daemon->config.node_count; i++) {
		if (!fm_is_empty(node) && !fm_is_equal(node, r->daemon->config.nodes[i])) continue;
		logs->sources[i].is_wanted = true;
		logs->sources[i].after = fm_is_empty(node)
						 ? 0
						 : co_parsed_number(r->parsed, "after", 0);
		found++;
	}
	co_logs_end(r->client);
	r->client->logs = logs;
	if (found > 0) return;
	co_logs_end(r->client);
	co_answer_end(r->client, FERMATA__EXIT_CODE__EXIT_CODE_USAGE,
		      "there is no node of that name in this cluster", "fermata status", 0);
}
