/* world.c - what the core asks of the world, done. */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/mono.h"
#include "coordinator/coordinator.h"
#include "coordinator/http/http.h"
#include "coordinator/notify.h"
#include "coordinator/store/state_codec.h"
#include "loop/peer.h"
#include "wire/convert.h"

static int64_t
wall_ms(void *ctx)
{
	(void)ctx;
	return fm_wall_now_ms();
}

static int
commit(void *ctx, const struct co_state *state, const struct co_run_row *run,
       const struct co_event_row *events, unsigned count, const struct co_point_row *point)
{
	struct co_daemon *daemon = ctx;
	struct co_commit c = { .run = run, .events = events, .event_count = count, .point = point };
	_cleanup_free_ uint8_t *bytes = co_state_pack(state, &c.state_size);
	struct fm_err err;

	c.state = bytes;
	if (co_journal_commit(daemon->journal, &c, &err) == 0) {
		co_http_committed(daemon->http, state, run);
		return 0;
	}
	co_http_refused(daemon->http);
	fm_log(FM_LOG_ERROR, "the journal cannot be written; nothing is done until it can",
	       "error=\"%s\"", err.text);
	return -1;
}

static void
ask_node(void *ctx, unsigned node, const struct fm_agent_ask *ask)
{
	struct co_daemon *daemon = ctx;
	size_t size = 0;
	uint8_t *frame = NULL;

	if (daemon->nodes[node] == NULL) return;
	frame = fm_agent_ask_pack_salted(ask, daemon->salt, &size);
	fm_peer_send_frame(daemon->nodes[node], frame, size);
}

static void
ask_gate(void *ctx, unsigned gate, const struct fm_gate_ask *ask)
{
	struct co_daemon *daemon = ctx;
	size_t size = 0;

	for (unsigned i = 0; i < CO_SESSIONS_MAX; i++) {
		struct fm_peer *peer = daemon->gates[gate][i].peer;
		uint8_t *frame = NULL;

		if (peer == NULL) continue;
		frame = fm_gate_ask_pack(ask, &size);
		fm_peer_send_frame(peer, frame, size);
	}
}

static void
job(void *ctx, const struct co_job_order *order)
{
	co_job_start(ctx, order);
}

static void
job_stop(void *ctx)
{
	co_job_stop(ctx);
}

static void
event(void *ctx, const struct co_event_row *row)
{
	struct co_daemon *daemon = ctx;

	fm_log(FM_LOG_NOTICE, "run", "run=%llu event=%s step=\"%s\" text=\"%s\" took_ms=%lld",
	       (unsigned long long)row->run, row->kind, row->step, row->text,
	       (long long)row->took_ms);
	co_control_event(ctx, row);
	co_notify_event(daemon->notify, row->run, row->number);
}

static int64_t
median_ms(void *ctx, const char *procedure, const char *step)
{
	struct co_daemon *daemon = ctx;

	return co_journal_median_ms(daemon->journal, procedure, step, CO_MEDIAN_OF);
}

struct co_env
co_world(struct co_daemon *daemon)
{
	return (struct co_env){ daemon, wall_ms,  commit, ask_node, ask_gate,
				job,	job_stop, event,  median_ms };
}
