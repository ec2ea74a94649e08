/* peer_internal.h - what peer.c, dial.c and listen.c know of a peer. Internal to loop/.
 *
 * States:  RESTING -> CONNECTING -> GREETING -> UP      a dialler, and back to RESTING
 *                                   GREETING -> UP      an accepted peer, which then is GONE
 *          any -> FLUSHING -> GONE                      after fm_peer_free()
 * One timer serves all: in each state it has one meaning (peer_on_timer). */
#ifndef FM_LOOP_PEER_INTERNAL_H
#define FM_LOOP_PEER_INTERNAL_H

#include <sys/queue.h>

#include "base/mono.h"
#include "loop/address.h"
#include "loop/peer.h"
#include "loop/tls.h"

struct bufferevent;
struct evbuffer;
struct event;

#define FM_GREETING_MS 5000
#define FM_FLUSH_MS 5000

enum fm_peer_state {
	FM_PEER_RESTING,
	FM_PEER_CONNECTING,
	FM_PEER_GREETING,
	FM_PEER_UP,
	FM_PEER_FLUSHING,
	FM_PEER_GONE,
};

enum fm_peer_ending {
	FM_PEER_TOLD, /* by us, with a Goodbye that says why */
	FM_PEER_LOST,
	FM_PEER_LEFT, /* it said Goodbye */
};

struct fm_dialler {
	Fermata__Hello *hello;
	char addresses[1024];
	const char *next; /* in addresses */
	char address[FM_ADDRESS_SIZE];
	unsigned rest_ms; /* the last rest; 0 after having been up */
	char why[200];	  /* of the last failure, so that the same is not logged each time */
};

struct fm_peer {
	unsigned magic;
	enum fm_peer_state state;
	struct event_base *base;
	struct event *timer;
	struct bufferevent *bev;
	struct fm_tls *tls;    /* the caller's; NULL: plain */
	bool is_secure;	       /* bev is TLS; of a dialler once it has connected */
	struct evbuffer *held; /* what up() sends waits here for the Welcome to go first */
	struct fm_peer_calls calls;
	void *arg, *data;
	Fermata__Role role;
	char name[64];
	char address[FM_ADDRESS_SIZE];
	char label[400];
	char doom[200]; /* why the connection is to end at the end of this tick */
	unsigned heartbeat_ms, lost_ms;
	uint64_t beats;
	struct fm_mono heard, ticked;

	struct fm_dialler *dial;      /* of a dialler */
	struct fm_listener *listener; /* of an accepted peer that has not said Hello */
	LIST_ENTRY(fm_peer) greeting;
};

struct fm_peer *fm_peer_new(struct event_base *base, const struct fm_peer_calls *calls, void *arg);
/* Takes fd: from now on bytes are read from it. */
void fm_peer_attach(struct fm_peer *peer, int fd, enum fm_peer_state state);
/* From here on the connection is TLS; an event says when its other end has proved itself. */
void fm_peer_secure(struct fm_peer *peer);
void fm_peer_set_label(struct fm_peer *peer);
void fm_peer_arm(struct fm_peer *peer, unsigned ms);
/* Ends the connection now; may only be called from a callback of the loop. */
void fm_peer_end(struct fm_peer *peer, const char *why, enum fm_peer_ending ending);
/* The memory goes at the end of the tick. */
void fm_peer_bury(struct fm_peer *peer);
/* Greeted: heartbeats begin. */
void fm_peer_set_up(struct fm_peer *peer, unsigned heartbeat_ms, unsigned lost_ms);

void fm_dial_try(struct fm_peer *peer);
void fm_dial_connected(struct fm_peer *peer);
void fm_dial_rest(struct fm_peer *peer);
void fm_dial_welcome(struct fm_peer *peer, const Fermata__Welcome *welcome);
void fm_dial_free(struct fm_dialler *dial);
void fm_listen_hello(struct fm_peer *peer, const Fermata__Hello *hello);
void fm_listen_forget(struct fm_peer *peer);

/* The port or path a listener really has, for tests. */
int fm_listener_fd(const struct fm_listener *listener);

#endif
