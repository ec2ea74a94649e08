/* state_codec.c - field by field; asks travel as the frames that they are on the wire. */
#include "coordinator/store/state_codec.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "coordinator/run/step.h"
#include "schema/state.pb-c.h"
#include "wire/convert.h"
#include "wire/frame.h"

/* Plain fields that bear the same name on both sides, and texts. */
/* clang-format off */
#define RUN_PLAIN(X) \
	X(number) X(recovering) X(subject) X(first) X(yes) X(no_backup) X(page) X(open_first) \
	X(closed) X(opened) X(touched) X(installed) X(by_operator) X(drains) X(stalled) X(serial) X(verified) X(events) \
	X(began_ms) X(ended_ms) X(closed_ms) X(opened_ms) X(step_ms) X(max_downtime_ms)
/* clang-format on */
#define RUN_WORDS(X) X(approved) X(rejected) X(ended) X(pause) X(abort)
#define RUN_TEXTS(X) \
	X(procedure) X(step) X(to) X(from) X(restore_point) X(storage_node) X(who) X(args) X(why)
#define BACK_TEXTS(X) X(restore_point) X(storage_node) X(version)

/* protobuf-c wants char *, and only reads. */
static char *
text(const char *s)
{
	return (char *)(uintptr_t)s;
}

static void
fill_run(Fermata__StateRun *msg, const struct co_run *run)
{
	fermata__state_run__init(msg);
#define X(field) msg->field = run->field;
	RUN_PLAIN(X)
#undef X
#define X(field) msg->field = run->words.field;
	RUN_WORDS(X)
#undef X
#define X(field) msg->field = text(run->field);
	RUN_TEXTS(X)
#undef X
	msg->state = text(co_run_state_name(run->state));
	msg->end = text(co_end_name(run->end));
}

static void
fill_back(Fermata__StateWayBack *msg, const struct co_way_back *back)
{
	fermata__state_way_back__init(msg);
#define X(field) msg->field = text(back->field);
	BACK_TEXTS(X)
#undef X
	msg->opened_ms = back->opened_ms;
}

uint8_t *
co_state_pack(const struct co_state *state, size_t *ret_size)
{
	Fermata__State msg = FERMATA__STATE__INIT;
	Fermata__StateRun run;
	Fermata__StateWayBack back;
	ProtobufCBinaryData nodes[FM_NODES_MAX];
	char *names[FM_NODES_MAX], *without[CO_WITHOUT_MOST];
	uint64_t seen[FM_NODES_MAX];
	protobuf_c_boolean kept_out[FM_NODES_MAX];
	uint8_t *bytes = NULL;

	fill_run(&run, &state->run);
	for (unsigned i = 0; i < state->run.without_count; i++)
		without[i] = text(state->run.without[i]);
	run.n_without = state->run.without_count;
	run.without = without;
	fill_back(&back, &state->back);
	msg.epoch = state->epoch;
	msg.seq = state->seq;
	msg.last_run = state->last_run;
	msg.version = text(state->version);
	msg.run = &run;
	msg.back = &back;
	msg.gate.data = fm_gate_ask_pack(&state->gate, &msg.gate.len);
	for (unsigned i = 0; i < state->node_count; i++) {
		names[i] = text(state->node_names[i]);
		seen[i] = state->hooks_seen[i];
		kept_out[i] = state->kept_out[i];
		nodes[i].data = fm_agent_ask_pack(&state->nodes[i], &nodes[i].len);
	}
	msg.n_node_names = msg.n_nodes = state->node_count;
	msg.node_names = names;
	msg.nodes = nodes;
	msg.n_hooks_seen = msg.n_kept_out = state->node_count;
	msg.kept_out = kept_out;
	msg.hooks_seen = seen;
	*ret_size = fermata__state__get_packed_size(&msg);
	bytes = fm_new(uint8_t, *ret_size + 1);
	fermata__state__pack(&msg, bytes);
	free(msg.gate.data);
	for (unsigned i = 0; i < state->node_count; i++) free(nodes[i].data);
	return bytes;
}

static int
read_run(const Fermata__StateRun *msg, struct co_run *run, struct fm_err *err)
{
	int state = -1, end = -1;

	if (msg->n_without > CO_WITHOUT_MOST)
		return fm_fail(err, FM_ERR_IO, 0, "%zu gates and nodes left out", msg->n_without);
	run->without_count = (unsigned)msg->n_without;
	for (unsigned i = 0; i < run->without_count; i++) FM_COPY(run->without[i], msg->without[i]);
#define X(field) run->field = msg->field;
	RUN_PLAIN(X)
#undef X
#define X(field) run->words.field = msg->field;
	RUN_WORDS(X)
#undef X
#define X(field) FM_COPY(run->field, msg->field);
	RUN_TEXTS(X)
#undef X
	for (int i = CO_RUN_NONE; i <= CO_RUN_ENDED; i++)
		if (fm_is_equal(co_run_state_name((enum co_run_state)i), msg->state)) state = i;
	for (int i = CO_END_NONE; i <= CO_END_NEEDS_OPERATOR; i++)
		if (fm_is_equal(co_end_name((enum co_end)i), msg->end)) end = i;
	if (state < 0 || end < 0)
		return fm_fail(err, FM_ERR_IO, 0, "a run that is \"%s\" \"%s\" is not known here",
			       msg->state, msg->end);
	run->state = (enum co_run_state)state;
	run->end = (enum co_end)end;
	return 0;
}

/* The envelope of a frame that was packed by wire/convert.h. */
static Fermata__Envelope *
read_frame(const ProtobufCBinaryData *bytes, struct fm_err *err)
{
	if (bytes->len <= FM_FRAME_HEAD) {
		fm_fail(err, FM_ERR_IO, 0, "a frame that is too short");
		return NULL;
	}
	return fm_frame_unpack(bytes->data + FM_FRAME_HEAD, bytes->len - FM_FRAME_HEAD,
			       FERMATA__ROLE__ROLE_COORDINATOR, err);
}

static int
read_gate(const ProtobufCBinaryData *bytes, struct fm_gate_ask *ret, struct fm_err *err)
{
	_cleanup_(fm_envelope_freep) Fermata__Envelope *envelope = read_frame(bytes, err);

	if (envelope == NULL) return -1;
	if (envelope->body_case != FERMATA__ENVELOPE__BODY_GATE_ASK)
		return fm_fail(err, FM_ERR_IO, 0, "not an ask for gates");
	return fm_gate_ask_from(envelope->gate_ask, ret, err);
}

static int
read_node(const ProtobufCBinaryData *bytes, struct fm_agent_ask *ret, struct fm_err *err)
{
	_cleanup_(fm_envelope_freep) Fermata__Envelope *envelope = read_frame(bytes, err);

	if (envelope == NULL) return -1;
	if (envelope->body_case != FERMATA__ENVELOPE__BODY_AGENT_ASK)
		return fm_fail(err, FM_ERR_IO, 0, "not an ask for an agent");
	return fm_agent_ask_from(envelope->agent_ask, ret, err);
}

static int
read_nodes(const Fermata__State *msg, struct co_state *ret, struct fm_err *err)
{
	if (msg->n_nodes > FM_NODES_MAX || msg->n_node_names != msg->n_nodes)
		return fm_fail(err, FM_ERR_IO, 0, "%zu nodes", msg->n_nodes);
	ret->node_count = (unsigned)msg->n_nodes;
	for (unsigned i = 0; i < ret->node_count; i++) {
		FM_COPY(ret->node_names[i], msg->node_names[i]);
		if (i < msg->n_hooks_seen) ret->hooks_seen[i] = msg->hooks_seen[i];
		if (i < msg->n_kept_out) ret->kept_out[i] = msg->kept_out[i];
		if (read_node(&msg->nodes[i], &ret->nodes[i], err) != 0) return -1;
	}
	return 0;
}

static void
free_msg(Fermata__State **msg)
{
	if (*msg != NULL) fermata__state__free_unpacked(*msg, NULL);
}

int
co_state_unpack(const uint8_t *bytes, size_t size, struct co_state *ret, struct fm_err *err)
{
	_cleanup_(free_msg) Fermata__State *msg = fermata__state__unpack(NULL, size, bytes);

	memset(ret, 0, sizeof(*ret));
	if (msg == NULL || msg->run == NULL || msg->back == NULL)
		return fm_fail(err, FM_ERR_IO, 0, "the journal's state cannot be read");
	ret->epoch = msg->epoch;
	ret->seq = msg->seq;
	ret->last_run = msg->last_run;
	FM_COPY(ret->version, msg->version);
#define X(field) FM_COPY(ret->back.field, msg->back->field);
	BACK_TEXTS(X)
#undef X
	ret->back.opened_ms = msg->back->opened_ms;
	if (read_run(msg->run, &ret->run, err) != 0 ||
	    read_gate(&msg->gate, &ret->gate, err) != 0 || read_nodes(msg, ret, err) != 0)
		return fm_wrap(err, "the journal's state");
	return 0;
}
