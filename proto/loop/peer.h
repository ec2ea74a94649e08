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
struct fm_tls;

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

struct fm_dial_to {
	const char *addresses;	     /* "host:port ..." or "unix:/path" */
	const Fermata__Hello *hello; /* is copied */
	struct fm_tls *tls;	     /* NULL: plain, and only to loopback */
};
/* Dials one address after the other, for ever, with jittered back-off 0.2..3 s. With TLS whoever
 * answers must prove to be a coordinator. */
struct fm_peer *fm_peer_dial(struct event_base *base, const struct fm_dial_to *to,
			     const struct fm_peer_calls *calls, void *arg, struct fm_err *err);

/* The epoch and seq to say in the next Hello of a dialler. */
void fm_peer_set_voice(struct fm_peer *peer, uint64_t epoch, uint64_t seq);

struct fm_listener;
struct fm_listen_on {
	const char *address; /* "host:port" or "unix:/path" */
	const char *group; /* whose members may use the path, besides root and ourselves; or NULL */
	struct fm_tls *tls;				   /* NULL: plain, and only on loopback */
	void (*welcome)(void *arg, Fermata__Welcome *ret); /* fills what each says; may be NULL */
};
/* Accepts. A path has mode 0660, and who comes there is judged by its uid; its peers may only be
 * OPERATOR, those of a TCP listener AGENT or GATE. With TLS the name and the role that a peer says
 * must be those of its certificate. */
struct fm_listener *fm_listener_open(struct event_base *base, const struct fm_listen_on *on,
				     const struct fm_peer_calls *calls, void *arg,
				     struct fm_err *err);
void fm_listener_close(struct fm_listener *listener);

/* Sends a body (the Envelope is made here). Dropped when not up: asks are level-triggered. A peer
 * that does not read is ended when 4 MiB wait. */
void fm_peer_send(struct fm_peer *peer, Fermata__Envelope__BodyCase body_case, void *body);
/* The same for a frame packed by wire/convert.h. Takes the memory. */
void fm_peer_send_frame(struct fm_peer *peer, uint8_t *frame, size_t size);

/* Sends what waits, says Goodbye with reason, closes. No callback follows. */
void fm_peer_free(struct fm_peer *peer, const char *reason);

/* Bytes that were sent and wait for the other side to read. */
size_t fm_peer_waiting(const struct fm_peer *peer);

bool fm_peer_is_up(const struct fm_peer *peer);
/* When its certificate ends, unix s; 0: it has none. */
int64_t fm_peer_until(const struct fm_peer *peer);
Fermata__Role fm_peer_role(const struct fm_peer *peer);
/* The name it said in Hello; of an operator: the user's name as the kernel knows it; of a dialler's
 * peer: the cluster. */
const char *fm_peer_name(const struct fm_peer *peer);
const char *fm_peer_label(const struct fm_peer *peer); /* for logs: role, name, address */
void *fm_peer_data(const struct fm_peer *peer);
void fm_peer_set_data(struct fm_peer *peer, void *data);

#endif
