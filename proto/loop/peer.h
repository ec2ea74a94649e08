/* peer.h - one connection that carries frames, on libevent. Used by both sides: a dialler (agent,
 * CLI) reconnects by itself with jitter; an accepted peer dies with its connection.
 *
 * Life: no callback runs inside a call of ours (deferred), and nothing is freed inside its own
 * callback: fm_peer_free() retires the peer, the loop frees it at the end of the tick. After
 * fm_peer_free() no callback is called any more.
 * Heartbeats, the 5 s limit for Hello/Welcome and the limit of silence live here.
 *
 * An accepted peer frees itself when down() has returned, or when up() refused it: forget it there.
 * A dialler lives until fm_peer_free(). Before event_base_free(), memory of freed peers goes with the
 * next turn of the loop or with the base. SIGPIPE is ignored from the first call on. */
#ifndef FM_LOOP_PEER_H
#define FM_LOOP_PEER_H

#include <stdbool.h>

#include "base/err.h"
#include "schema/envelope.pb-c.h"

struct event_base;
struct fm_peer;

#define FM_HEARTBEAT_MS 1000
#define FM_LOST_MS 3000

struct fm_peer_calls {
	/* Dialler: Welcome has come. Accepted: Hello has come and its version fits; return -1 with
	 * err to refuse the peer (it is told, then closed). hello or welcome is set, the other NULL. */
	int (*up)(void *arg, struct fm_peer *peer, const Fermata__Hello *hello,
		  const Fermata__Welcome *welcome, struct fm_err *err);
	/* A message that this peer's role may send; never Hello, Welcome, Heartbeat, Goodbye. Return
	 * -1 with err to end the connection. */
	int (*message)(void *arg, struct fm_peer *peer, const Fermata__Envelope *envelope,
		       struct fm_err *err);
	/* The connection is gone (why is for people, already logged). A dialler goes on trying, and is
	 * told of each try that failed, too. */
	void (*down)(void *arg, struct fm_peer *peer, const char *why);
};

/* Dials addresses ("host:port ..." or "unix:/path"), one after the other, for ever, with jittered
 * back-off 0.2..3 s. hello is copied. */
struct fm_peer *fm_peer_dial(struct event_base *base, const char *addresses,
			     const Fermata__Hello *hello, const struct fm_peer_calls *calls,
			     void *arg, struct fm_err *err);

/* The epoch and seq to say in the next Hello of a dialler. */
void fm_peer_set_voice(struct fm_peer *peer, uint64_t epoch, uint64_t seq);

struct fm_listener;
/* Accepts on "host:port" (loopback only: without TLS another address is refused) or "unix:/path"
 * (mode 0660; the peer's uid must be 0, ours, or a member of group, else it is refused). welcome()
 * fills what each Welcome says. Peers of a unix listener may only be OPERATOR, of a TCP one AGENT or
 * GATE. */
struct fm_listener *fm_listener_open(struct event_base *base, const char *address,
				     const char *group, const struct fm_peer_calls *calls,
				     void (*welcome)(void *arg, Fermata__Welcome *ret), void *arg,
				     struct fm_err *err);
void fm_listener_close(struct fm_listener *listener);

/* Sends a body (the Envelope is made here). Dropped when not up: asks are level-triggered. A peer
 * that does not read is ended when 4 MiB wait. */
void fm_peer_send(struct fm_peer *peer, Fermata__Envelope__BodyCase body_case, void *body);
/* The same for a frame packed by wire/convert.h. Takes the memory. */
void fm_peer_send_frame(struct fm_peer *peer, uint8_t *frame, size_t size);

/* Sends what waits, says Goodbye with reason, closes. No callback follows. */
void fm_peer_free(struct fm_peer *peer, const char *reason);

bool fm_peer_is_up(const struct fm_peer *peer);
Fermata__Role fm_peer_role(const struct fm_peer *peer);
/* The name it said in Hello; of an operator: the user's name as the kernel knows it; of a dialler's
 * peer: the cluster. */
const char *fm_peer_name(const struct fm_peer *peer);
const char *fm_peer_label(const struct fm_peer *peer); /* for logs: role, name, address */
void *fm_peer_data(const struct fm_peer *peer);
void fm_peer_set_data(struct fm_peer *peer, void *data);

#endif
