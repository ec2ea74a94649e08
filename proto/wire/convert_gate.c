#include <string.h>

#include "schema/envelope.pb-c.h"
#include "wire/convert.h"
#include "wire/field.h"
#include "wire/frame.h"

#define NAME(field) fm_field_name(ret->field, sizeof ret->field, msg->field, #field, err)
#define TEXT(field) fm_field_text(ret->field, sizeof ret->field, msg->field, #field, err)
#define DRAINED()                                                                                \
	fm_field_names(                                                                          \
		(struct fm_field_list){ ret->drained[0], sizeof ret->drained[0], FM_NODES_MAX }, \
		msg->drained, msg->n_drained, "drained", err)

/* An ask as a message: all that it points at is in here. */
struct ask_message {
	struct fm_gate_ask ask;
	Fermata__GateAsk msg;
	Fermata__GateBypass bypass;
	char *drained[FM_NODES_MAX];
};

static void
fill_ask(struct ask_message *m, const struct fm_gate_ask *ask)
{
	struct fm_gate_ask *a = &m->ask;
	Fermata__GateAsk *msg = &m->msg;

	*a = *ask;
	*msg = (Fermata__GateAsk)FERMATA__GATE_ASK__INIT;
	m->bypass = (Fermata__GateBypass)FERMATA__GATE_BYPASS__INIT;
	for (unsigned i = 0; i < a->drained_count; i++)
		m->drained[i] = fm_field_clean(a->drained[i]);
	msg->epoch = a->voice.epoch;
	msg->seq = a->voice.seq;
	msg->mode = (Fermata__GateMode)a->mode;
	msg->pinned = fm_field_clean(a->pinned);
	msg->n_drained = a->drained_count;
	msg->drained = m->drained;
	msg->cut_after_ms = a->cut_after_ms;
	msg->message = fm_field_clean(a->message);
	msg->step = fm_field_clean(a->step);
	msg->command = fm_field_clean(a->command);
	msg->back_at = a->back_at;
	msg->run = a->run;
	msg->refresh = a->refresh;
	m->bypass.key.data = a->bypass.key;
	m->bypass.key.len = sizeof(a->bypass.key);
	m->bypass.node = fm_field_clean(a->bypass.node);
	m->bypass.shut = a->bypass.shut;
	msg->bypass = &m->bypass;
	msg->phase = (Fermata__GatePhase)a->phase;
	msg->estimated = a->estimated;
	msg->hole = a->hole;
}

uint8_t *
fm_gate_ask_pack(const struct fm_gate_ask *ask, size_t *ret_size)
{
	struct ask_message m;
	Fermata__Envelope envelope = FERMATA__ENVELOPE__INIT;

	fill_ask(&m, ask);
	envelope.body_case = FERMATA__ENVELOPE__BODY_GATE_ASK;
	envelope.gate_ask = &m.msg;
	return fm_frame_pack(&envelope, ret_size);
}

size_t
fm_gate_ask_put(const struct fm_gate_ask *ask, uint8_t *dst, size_t size)
{
	struct ask_message m;

	fill_ask(&m, ask);
	if (fermata__gate_ask__get_packed_size(&m.msg) > size) return 0;
	return fermata__gate_ask__pack(&m.msg, dst);
}

/* The nodes of a report as messages; list points at them afterwards. */
static void
fill_nodes(struct fm_gate_report *r, Fermata__NodeTraffic *nodes, Fermata__NodeTraffic **list)
{
	for (unsigned i = 0; i < r->node_count; i++) {
		nodes[i] = (Fermata__NodeTraffic)FERMATA__NODE_TRAFFIC__INIT;
		nodes[i].name = fm_field_clean(r->nodes[i].name);
		nodes[i].in_flight = r->nodes[i].in_flight;
		nodes[i].websockets = r->nodes[i].websockets;
		nodes[i].idle = r->nodes[i].idle;
		list[i] = &nodes[i];
	}
}

uint8_t *
fm_gate_report_pack(const struct fm_gate_report *report, size_t *ret_size)
{
	struct fm_gate_report r = *report;
	Fermata__Envelope envelope = FERMATA__ENVELOPE__INIT;
	Fermata__GateReport msg = FERMATA__GATE_REPORT__INIT;
	Fermata__NodeTraffic nodes[FM_NODES_MAX], *list[FM_NODES_MAX];
	char *drained[FM_NODES_MAX];

	for (unsigned i = 0; i < r.drained_count; i++) drained[i] = fm_field_clean(r.drained[i]);
	fill_nodes(&r, nodes, list);
	msg.epoch = r.voice.epoch;
	msg.seq = r.voice.seq;
	msg.mode = (Fermata__GateMode)r.mode;
	msg.pinned = fm_field_clean(r.pinned);
	msg.n_drained = r.drained_count;
	msg.drained = drained;
	msg.n_nodes = r.node_count;
	msg.nodes = list;
	msg.in_flight = r.in_flight;
	msg.websockets = r.websockets;
	msg.workers = r.workers;
	msg.tabs = r.tabs;
	msg.passed = r.passed;
	msg.refused = r.refused;
	msg.bypassed = r.bypassed;
	msg.held = r.held;
	msg.error = fm_field_clean(r.error);
	msg.generations = r.generations;
	msg.idle = r.idle;
	msg.override = (Fermata__GateMode)r.override;
	msg.override_at = r.override_at;
	msg.override_by = fm_field_clean(r.override_by);
	msg.waiting = r.waiting;
	envelope.body_case = FERMATA__ENVELOPE__BODY_GATE_REPORT;
	envelope.gate_report = &msg;
	return fm_frame_pack(&envelope, ret_size);
}

static int
take_bypass(const struct Fermata__GateBypass *msg, struct fm_gate_bypass *ret, struct fm_err *err)
{
	if (msg == NULL) return 0;
	if (msg->key.len != 0 && msg->key.len != sizeof(ret->key))
		return fm_fail(err, FM_ERR_PEER, 0, "a key of %zu bytes", msg->key.len);
	if (NAME(node) < 0) return fm_wrap(err, "bypass");
	if (msg->key.len != 0) memcpy(ret->key, msg->key.data, sizeof(ret->key));
	ret->shut = msg->shut;
	return 0;
}

int
fm_gate_ask_from(const struct Fermata__GateAsk *msg, struct fm_gate_ask *ret, struct fm_err *err)
{
	memset(ret, 0, sizeof *ret);
	if (fm_field_enum((int)msg->mode, FM_GATE_PINNED + 1, "mode", err) < 0 ||
	    NAME(pinned) < 0 || DRAINED() < 0 || TEXT(message) < 0 || TEXT(step) < 0 ||
	    TEXT(command) < 0 || take_bypass(msg->bypass, &ret->bypass, err) < 0)
		return fm_wrap(err, "GATE_ASK");
	ret->voice = (struct fm_voice){ msg->epoch, msg->seq };
	ret->mode = (enum fm_gate_mode)msg->mode;
	ret->drained_count = (unsigned)msg->n_drained;
	ret->cut_after_ms = msg->cut_after_ms;
	ret->back_at = msg->back_at;
	ret->run = msg->run;
	ret->refresh = msg->refresh;
	/* A later coordinator may have more words. */
	if ((unsigned)msg->phase < FM_PHASE_COUNT) ret->phase = (enum fm_gate_phase)msg->phase;
	ret->estimated = msg->estimated;
	ret->hole = msg->hole;
	return 0;
}

static int
take_nodes(const struct Fermata__GateReport *msg, struct fm_gate_report *ret, struct fm_err *err)
{
	if (msg->n_nodes > FM_NODES_MAX)
		return fm_fail(err, FM_ERR_LIMIT, 0, "%zu nodes, at most %d", msg->n_nodes,
			       FM_NODES_MAX);
	ret->node_count = (unsigned)msg->n_nodes;
	for (unsigned i = 0; i < ret->node_count; i++) {
		struct fm_node_traffic *node = &ret->nodes[i];

		if (fm_field_name(node->name, sizeof node->name, msg->nodes[i]->name, "nodes",
				  err) < 0)
			return -1;
		node->in_flight = msg->nodes[i]->in_flight;
		node->websockets = msg->nodes[i]->websockets;
		node->idle = msg->nodes[i]->idle;
	}
	return 0;
}

int
fm_gate_report_from(const struct Fermata__GateReport *msg, struct fm_gate_report *ret,
		    struct fm_err *err)
{
	memset(ret, 0, sizeof *ret);
	if (fm_field_enum((int)msg->mode, FM_GATE_PINNED + 1, "mode", err) < 0 ||
	    fm_field_enum((int)msg->override, FM_GATE_PINNED + 1, "override", err) < 0 ||
	    NAME(pinned) < 0 || DRAINED() < 0 || take_nodes(msg, ret, err) < 0 || TEXT(error) < 0 ||
	    NAME(override_by) < 0)
		return fm_wrap(err, "GATE_REPORT");
	ret->voice = (struct fm_voice){ msg->epoch, msg->seq };
	ret->mode = (enum fm_gate_mode)msg->mode;
	ret->drained_count = (unsigned)msg->n_drained;
	ret->in_flight = msg->in_flight;
	ret->websockets = msg->websockets;
	ret->workers = msg->workers;
	ret->bypassed = msg->bypassed;
	ret->tabs = msg->tabs;
	ret->generations = msg->generations;
	ret->idle = msg->idle;
	ret->override = (enum fm_gate_mode)msg->override;
	ret->override_at = msg->override_at;
	ret->waiting = msg->waiting;
	ret->held = msg->held;
	ret->passed = msg->passed;
	ret->refused = msg->refused;
	return 0;
}
