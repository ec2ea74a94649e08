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

/* Where the table of this role's peers keeps it; NULL: not one of ours. */
static struct fm_peer **
place_of(struct co_daemon *daemon, Fermata__Role role, const char *name, unsigned *ret)
{
	const struct co_config *config = &daemon->config;
	int i = -1;

	if (role == FERMATA__ROLE__ROLE_AGENT)
		i = index_of(config->nodes, config->node_count, name);
	if (role == FERMATA__ROLE__ROLE_GATE) i = index_of(config->gates, config->gate_count, name);
	if (i < 0) return NULL;
	*ret = (unsigned)i;
	return role == FERMATA__ROLE__ROLE_AGENT ? &daemon->nodes[i] : &daemon->gates[i];
}

static int
on_up(void *arg, struct fm_peer *peer, const Fermata__Hello *hello, const Fermata__Welcome *welcome,
      struct fm_err *err)
{
	struct co_daemon *daemon = arg;
	unsigned i = 0;
	struct fm_peer **place = place_of(daemon, hello->role, hello->name, &i);

	(void)welcome;
	if (place == NULL)
		return fm_fail(err, FM_ERR_REFUSED, 0, "%s is not in the settings of cluster %s",
			       hello->name, daemon->settings.cluster);
	/* The newer connection is the living one: the older may be half dead for seconds. */
	if (*place != NULL) fm_peer_free(*place, "a newer connection of the same name");
	*place = peer;
	if (hello->role == FERMATA__ROLE__ROLE_AGENT)
		co_on_node_up(daemon->core, i, hello->epoch, fm_mono_now());
	else
		co_on_gate_up(daemon->core, i, hello->epoch, fm_mono_now());
	co_daemon_stirred(daemon);
	return 0;
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
	struct fm_agent_report report;

	if (fm_agent_report_from(msg, &report, err) != 0) return -1;
	if (msg->facts != NULL && on_facts(daemon, i, msg->facts, err) != 0) return -1;
	co_on_node_report(daemon->core, i, &report, fm_mono_now());
	return 0;
}

static int
on_gate(struct co_daemon *daemon, unsigned i, const Fermata__GateReport *msg, struct fm_err *err)
{
	struct fm_gate_report report;

	if (fm_gate_report_from(msg, &report, err) != 0) return -1;
	co_on_gate_report(daemon->core, i, &report, fm_mono_now());
	return 0;
}

static int
on_message(void *arg, struct fm_peer *peer, const Fermata__Envelope *envelope, struct fm_err *err)
{
	struct co_daemon *daemon = arg;
	unsigned i = 0;
	int rc = 0;

	if (place_of(daemon, fm_peer_role(peer), fm_peer_name(peer), &i) == NULL) return 0;
	if (envelope->body_case == FERMATA__ENVELOPE__BODY_AGENT_REPORT)
		rc = on_agent(daemon, i, envelope->agent_report, err);
	else if (envelope->body_case == FERMATA__ENVELOPE__BODY_GATE_REPORT)
		rc = on_gate(daemon, i, envelope->gate_report, err);
	co_daemon_stirred(daemon);
	return rc;
}

static void
on_down(void *arg, struct fm_peer *peer, const char *why)
{
	struct co_daemon *daemon = arg;
	unsigned i = 0;
	struct fm_peer **place = place_of(daemon, fm_peer_role(peer), fm_peer_name(peer), &i);

	(void)why;
	if (place == NULL || *place != peer) return;
	*place = NULL;
	if (fm_peer_role(peer) == FERMATA__ROLE__ROLE_AGENT)
		co_on_node_down(daemon->core, i, fm_mono_now());
	else
		co_on_gate_down(daemon->core, i, fm_mono_now());
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
	for (unsigned i = 0; i < FM_GATES_MAX; i++)
		if (daemon->gates[i] != NULL)
			fm_peer_free(daemon->gates[i], "the coordinator is going down");
	fm_tls_freep(&daemon->tls);
}
