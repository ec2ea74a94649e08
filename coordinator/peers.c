/* peers.c - agents and gates: who they are, what they report. */
#include <string.h>

#include "base/log.h"
#include "base/mono.h"
#include "base/text.h"
#include "coordinator/coordinator.h"
#include "loop/peer.h"
#include "loop/tls.h"
#include "wire/convert.h"
#include "wire/frame.h"

static int
index_of(const char names[][FM_NAME_SIZE], unsigned count, const char *name)
{
	for (unsigned i = 0; i < count; i++)
		if (fm_is_equal(names[i], name)) return (int)i;
	return -1;
}

static int
refuse_unknown(const struct co_daemon *daemon, const char *name, struct fm_err *err)
{
	return fm_fail(err, FM_ERR_REFUSED, 0, "%s is not in the settings of cluster %s", name,
		       daemon->settings.cluster);
}

static int
node_up(struct co_daemon *daemon, struct fm_peer *peer, const Fermata__Hello *hello,
	struct fm_err *err)
{
	int i = index_of(daemon->config.nodes, daemon->config.node_count, hello->name);

	if (i < 0) return refuse_unknown(daemon, hello->name, err);
	/* The newer connection is the living one: the older may be half dead for seconds. */
	if (daemon->nodes[i] != NULL)
		fm_peer_free(daemon->nodes[i], "a newer connection of the same name");
	daemon->nodes[i] = peer;
	co_on_node_up(daemon->core, (unsigned)i, hello->epoch, fm_mono_now());
	return 0;
}

/* The place of an nginx among those of the gate's name: its own, when it has only connected anew;
 * else a free one; else the first. */
static unsigned
place_of(const struct co_gate_peer *peers, const char *instance)
{
	for (unsigned i = 0; i < CO_SESSIONS_MAX; i++)
		if (peers[i].peer != NULL && fm_is_equal(peers[i].instance, instance)) return i;
	for (unsigned i = 0; i < CO_SESSIONS_MAX; i++)
		if (peers[i].peer == NULL) return i;
	return 0;
}

static int
gate_up(struct co_daemon *daemon, struct fm_peer *peer, const Fermata__Hello *hello,
	struct fm_err *err)
{
	int i = index_of(daemon->config.gates, daemon->config.gate_count, hello->name);
	unsigned session = 0;

	if (i < 0) return refuse_unknown(daemon, hello->name, err);
	session = place_of(daemon->gates[i], hello->instance);
	if (daemon->gates[i][session].peer != NULL)
		fm_peer_free(daemon->gates[i][session].peer, "a newer connection of the same name");
	daemon->gates[i][session].peer = peer;
	FM_COPY(daemon->gates[i][session].instance, hello->instance);
	co_on_gate_up(daemon->core, (unsigned)i, session, hello->epoch, fm_mono_now());
	return 0;
}

static int
on_up(void *arg, struct fm_peer *peer, const Fermata__Hello *hello, const Fermata__Welcome *welcome,
      struct fm_err *err)
{
	struct co_daemon *daemon = arg;
	int rc = hello->role == FERMATA__ROLE__ROLE_AGENT ? node_up(daemon, peer, hello, err)
							  : gate_up(daemon, peer, hello, err);

	(void)welcome;
	if (rc == 0) co_daemon_stirred(daemon);
	return rc;
}

/* Who this peer is among nodes and gates; false: it was replaced by a newer connection. */
static bool
find_node(const struct co_daemon *daemon, const struct fm_peer *peer, unsigned *ret)
{
	for (unsigned i = 0; i < daemon->config.node_count; i++) {
		if (daemon->nodes[i] != peer) continue;
		*ret = i;
		return true;
	}
	return false;
}

static bool
find_gate(const struct co_daemon *daemon, const struct fm_peer *peer, unsigned *ret,
	  unsigned *ret_session)
{
	for (unsigned i = 0; i < daemon->config.gate_count * CO_SESSIONS_MAX; i++) {
		*ret = i / CO_SESSIONS_MAX;
		*ret_session = i % CO_SESSIONS_MAX;
		if (daemon->gates[*ret][*ret_session].peer == peer) return true;
	}
	return false;
}

/* Digests of another salt cannot be compared; an agent that has ours now says it again. */
static int
on_facts(struct co_daemon *daemon, unsigned i, const Fermata__NodeFacts *msg, struct fm_err *err)
{
	struct fm_node_facts facts;

	if (fm_node_facts_from(msg, &facts, err) != 0) return -1;
	if (fm_is_equal(facts.salt, daemon->salt))
		co_on_node_facts(daemon->core, i, &facts, fm_mono_now());
	return 0;
}

static int
on_agent(struct co_daemon *daemon, unsigned i, const Fermata__AgentReport *msg, struct fm_err *err)
{
	enum fm_app_state before = co_core_fleet(daemon->core)->nodes[i].report.app;
	struct fm_agent_report report;

	if (fm_agent_report_from(msg, &report, err) != 0) return -1;
	if (msg->facts != NULL && on_facts(daemon, i, msg->facts, err) != 0) return -1;
	co_on_node_report(daemon->core, i, &report, fm_mono_now());
	co_logs_note(daemon, i, before);
	return 0;
}

static int
on_gate(struct co_daemon *daemon, unsigned i, unsigned session, const Fermata__GateReport *msg,
	struct fm_err *err)
{
	struct fm_gate_report report;

	if (fm_gate_report_from(msg, &report, err) != 0) return -1;
	co_on_gate_report(daemon->core, i, session, &report, fm_mono_now());
	return 0;
}

static int
on_message(void *arg, struct fm_peer *peer, const Fermata__Envelope *envelope, struct fm_err *err)
{
	struct co_daemon *daemon = arg;
	unsigned i = 0, session = 0;
	int rc = 0;

	if (envelope->body_case == FERMATA__ENVELOPE__BODY_AGENT_REPORT) {
		if (find_node(daemon, peer, &i))
			rc = on_agent(daemon, i, envelope->agent_report, err);
	} else if (envelope->body_case == FERMATA__ENVELOPE__BODY_LOG_LINES) {
		if (find_node(daemon, peer, &i)) co_logs_heard(daemon, i, envelope->log_lines);
	} else if (envelope->body_case == FERMATA__ENVELOPE__BODY_GATE_REPORT) {
		if (find_gate(daemon, peer, &i, &session))
			rc = on_gate(daemon, i, session, envelope->gate_report, err);
	}
	co_daemon_stirred(daemon);
	return rc;
}

static void
on_down(void *arg, struct fm_peer *peer, const char *why)
{
	struct co_daemon *daemon = arg;
	unsigned i = 0, session = 0;

	(void)why;
	if (find_node(daemon, peer, &i)) {
		daemon->nodes[i] = NULL;
		co_on_node_down(daemon->core, i, fm_mono_now());
	} else if (find_gate(daemon, peer, &i, &session)) {
		daemon->gates[i][session].peer = NULL;
		co_on_gate_down(daemon->core, i, session, fm_mono_now());
	} else {
		return;
	}
	co_daemon_stirred(daemon);
}

void
co_daemon_welcome(void *arg, Fermata__Welcome *ret)
{
	struct co_daemon *daemon = arg;

	ret->major = FM_WIRE_MAJOR;
	ret->minor = FM_WIRE_MINOR;
	ret->cluster = daemon->settings.cluster;
	ret->epoch = co_core_state(daemon->core)->epoch;
	ret->heartbeat_ms = FM_HEARTBEAT_MS;
	ret->lost_ms = FM_LOST_MS;
}

int
co_peers_open(struct co_daemon *daemon, struct fm_err *err)
{
	static const struct fm_peer_calls calls = { on_up, on_message, on_down };
	const struct co_settings *set = &daemon->settings;
	struct fm_tls_files files = { set->tls_ca, set->tls_certificate, set->tls_key };
	struct fm_listen_on on = { .address = set->listen, .welcome = co_daemon_welcome };

	if (fm_tls_new(&files, &daemon->tls, err) != 0) return -1;
	on.tls = daemon->tls;
	daemon->peers_listener = fm_listener_open(daemon->base, &on, &calls, daemon, err);
	return daemon->peers_listener == NULL ? fm_wrap(err, "listen for agents and gates") : 0;
}

void
co_peers_close(struct co_daemon *daemon)
{
	if (daemon->peers_listener != NULL) fm_listener_close(daemon->peers_listener);
	for (unsigned i = 0; i < FM_NODES_MAX; i++)
		if (daemon->nodes[i] != NULL)
			fm_peer_free(daemon->nodes[i], "the coordinator is going down");
	for (unsigned i = 0; i < FM_GATES_MAX * CO_SESSIONS_MAX; i++) {
		struct fm_peer *peer = daemon->gates[i / CO_SESSIONS_MAX][i % CO_SESSIONS_MAX].peer;

		if (peer != NULL) fm_peer_free(peer, "the coordinator is going down");
	}
	fm_tls_freep(&daemon->tls);
}
