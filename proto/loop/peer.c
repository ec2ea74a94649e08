#include "loop/peer_internal.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "wire/frame.h"

#define PEER_MAGIC 0x70656572u
#define WAITING_MAX (4u << 20)

static struct fm_peer *
peer_from(void *arg)
{
	struct fm_peer *peer = arg;

	CHECK(peer && peer->magic == PEER_MAGIC);
	return peer;
}

void
fm_peer_arm(struct fm_peer *peer, unsigned ms)
{
	struct timeval after = { .tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000 };

	CHECK(event_add(peer->timer, &after) == 0);
}

void
fm_peer_set_label(struct fm_peer *peer)
{
	static const char *const roles[] = { "peer", "agent", "gate", "operator", "coordinator" };
	const char *role = (unsigned)peer->role < 5 ? roles[peer->role] : "peer";

	(void)FM_FORMAT(peer->label, "%s%s%s %s", role, peer->name[0] ? " " : "", peer->name,
			peer->address);
}

/* Ours are small and seldom, so what is read never waits for more than this peer may send. */
static void
set_low_mark(struct fm_peer *peer, size_t low)
{
	bufferevent_setwatermark(peer->bev, EV_READ, low,
				 FM_FRAME_HEAD + fm_frame_limit(peer->role));
}

static void
write_body(struct fm_peer *peer, Fermata__Envelope__BodyCase body_case, void *body)
{
	Fermata__Envelope envelope = FERMATA__ENVELOPE__INIT;
	_cleanup_free_ uint8_t *frame = NULL;
	size_t size;

	envelope.body_case = body_case;
	envelope.hello = body; /* a union of pointers: any of them will do */
	frame = fm_frame_pack(&envelope, &size);
	(void)bufferevent_write(peer->bev, frame, size);
}

/* As much as the socket takes at once. true when nothing is left. */
static bool
push_out(struct fm_peer *peer)
{
	struct evbuffer *out = bufferevent_get_output(peer->bev);
	int fd = bufferevent_getfd(peer->bev);

	if (peer->is_secure) {
		fm_tls_push(peer->bev);
		return evbuffer_get_length(out) == 0;
	}
	/* The bufferevent keeps the front of its output to itself; it is not writing now, and will
	 * find the rest where we leave it. */
	(void)evbuffer_unfreeze(out, 1);
	while (evbuffer_get_length(out) > 0 && evbuffer_write(out, fd) > 0) continue;
	(void)evbuffer_freeze(out, 1);
	return evbuffer_get_length(out) == 0;
}

static bool
say_goodbye(struct fm_peer *peer, const char *reason)
{
	Fermata__Goodbye goodbye = FERMATA__GOODBYE__INIT;
	char text[200];

	(void)FM_COPY(text, reason ? reason : "");
	goodbye.reason = text;
	write_body(peer, FERMATA__ENVELOPE__BODY_GOODBYE, &goodbye);
	return push_out(peer);
}

static void
drop_connection(struct fm_peer *peer)
{
	if (peer->held) evbuffer_free(TAKE(peer->held));
	if (!peer->bev) return;
	bufferevent_setcb(peer->bev, NULL, NULL, NULL, NULL);
	bufferevent_free(TAKE(peer->bev));
	peer->is_secure = false;
}

static void
release(struct event *timer, void *arg)
{
	struct fm_peer *peer = peer_from(arg);

	(void)timer; /* is freed by the loop after this */
	fm_dial_free(peer->dial);
	peer->magic = 0;
	free(peer);
}

void
fm_peer_bury(struct fm_peer *peer)
{
	CHECK(peer->state != FM_PEER_GONE);
	fm_listen_forget(peer);
	drop_connection(peer);
	peer->state = FM_PEER_GONE;
	(void)event_free_finalize(0, peer->timer, release);
}

/* An attempt that fails as the last one did says nothing new. */
static void
log_end(struct fm_peer *peer, const char *why, enum fm_peer_ending ending)
{
	bool is_known = peer->dial && fm_is_equal(peer->dial->why, why);
	enum fm_log_level level = ending == FM_PEER_LEFT ? FM_LOG_INFO : FM_LOG_WARNING;

	fm_log(is_known ? FM_LOG_DEBUG : level, "connection ended", "peer=\"%s\" why=\"%s\"",
	       peer->label, why);
	if (peer->dial) (void)FM_COPY(peer->dial->why, why);
}

void
fm_peer_end(struct fm_peer *peer, const char *why, enum fm_peer_ending ending)
{
	bool was_up = peer->state == FM_PEER_UP;
	char reason[200];

	(void)FM_COPY(reason, why); /* why may live in the peer */
	if (ending == FM_PEER_TOLD && peer->bev) (void)say_goodbye(peer, reason);
	log_end(peer, reason, ending);
	fm_listen_forget(peer);
	drop_connection(peer);
	peer->doom[0] = '\0';
	peer->state = FM_PEER_RESTING;
	if ((was_up || peer->dial) && peer->calls.down) peer->calls.down(peer->arg, peer, reason);
	if (peer->state != FM_PEER_RESTING) return; /* it was freed there */
	if (peer->dial)
		fm_dial_rest(peer);
	else
		fm_peer_bury(peer);
}

void
fm_peer_set_up(struct fm_peer *peer, unsigned heartbeat_ms, unsigned lost_ms)
{
	peer->heartbeat_ms = heartbeat_ms;
	peer->lost_ms = lost_ms;
	peer->state = FM_PEER_UP;
	peer->ticked = fm_mono_now();
	fm_peer_arm(peer, heartbeat_ms);
}

/* A message of a peer that has been greeted. */
static void
take_message(struct fm_peer *peer, const Fermata__Envelope *envelope)
{
	struct fm_err err = { 0 };

	if (envelope->body_case == FERMATA__ENVELOPE__BODY_HEARTBEAT) return;
	if (envelope->body_case == FERMATA__ENVELOPE__BODY_WELCOME) {
		fm_peer_end(peer, "a second Welcome", FM_PEER_TOLD);
		return;
	}
	if (peer->calls.message(peer->arg, peer, envelope, &err) == 0) return;
	if (peer->state == FM_PEER_UP) fm_peer_end(peer, err.text, FM_PEER_TOLD);
}

static void
dispatch(struct fm_peer *peer, const Fermata__Envelope *envelope)
{
	char why[200];

	if (envelope->body_case == FERMATA__ENVELOPE__BODY_GOODBYE) {
		(void)FM_FORMAT(why, "it said goodbye: %s", envelope->goodbye->reason);
		fm_peer_end(peer, why, FM_PEER_LEFT);
	} else if (peer->state == FM_PEER_UP) {
		take_message(peer, envelope);
	} else if (envelope->body_case == FERMATA__ENVELOPE__BODY_HELLO) {
		fm_listen_hello(peer, envelope->hello);
	} else if (envelope->body_case == FERMATA__ENVELOPE__BODY_WELCOME) {
		fm_dial_welcome(peer, envelope->welcome);
	} else {
		(void)FM_FORMAT(why, "%s before Welcome", fm_body_name((int)envelope->body_case));
		fm_peer_end(peer, why, FM_PEER_TOLD);
	}
}

/* One frame off the input. false: there is no whole one, or no connection any more. */
static bool
take_frame(struct fm_peer *peer)
{
	struct evbuffer *in = bufferevent_get_input(peer->bev);
	_cleanup_(fm_envelope_freep) Fermata__Envelope *envelope = NULL;
	uint8_t head[FM_FRAME_HEAD];
	const uint8_t *frame;
	struct fm_err err;
	size_t size;

	set_low_mark(peer, FM_FRAME_HEAD);
	if (evbuffer_copyout(in, head, sizeof head) < (ev_ssize_t)sizeof head) return false;
	if (fm_frame_head(head, peer->role, &size, &err) < 0) {
		fm_peer_end(peer, err.text, FM_PEER_TOLD);
		return false;
	}
	if (evbuffer_get_length(in) < FM_FRAME_HEAD + size) {
		set_low_mark(peer, FM_FRAME_HEAD + size);
		return false;
	}
	frame = evbuffer_pullup(in, (ev_ssize_t)(FM_FRAME_HEAD + size));
	CHECK(frame != NULL);
	envelope = fm_frame_unpack(frame + FM_FRAME_HEAD, size, peer->role, &err);
	(void)evbuffer_drain(in, FM_FRAME_HEAD + size);
	if (!envelope) {
		fm_peer_end(peer, err.text, FM_PEER_TOLD);
		return false;
	}
	dispatch(peer, envelope);
	return true;
}

static void
on_readable(struct bufferevent *bev, void *arg)
{
	struct fm_peer *peer = peer_from(arg);

	peer->heard = fm_mono_now();
	while (peer->bev == bev && peer->state != FM_PEER_FLUSHING && take_frame(peer)) continue;
}

static void
on_written(struct bufferevent *bev, void *arg)
{
	struct fm_peer *peer = peer_from(arg);

	(void)bev;
	if (peer->state == FM_PEER_FLUSHING && fm_peer_waiting(peer) == 0) fm_peer_bury(peer);
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	struct fm_peer *peer = peer_from(arg);
	int sys = EVUTIL_SOCKET_ERROR();
	char why[200] = "";

	if (peer->state == FM_PEER_FLUSHING) {
		fm_peer_bury(peer);
	} else if (what & BEV_EVENT_CONNECTED) {
		if (peer->state == FM_PEER_CONNECTING) fm_dial_connected(peer);
	} else if (what & BEV_EVENT_EOF) {
		fm_peer_end(peer, "closed by the other side", FM_PEER_LOST);
	} else if (what & BEV_EVENT_ERROR) {
		if (peer->is_secure) fm_tls_why(bev, why, sizeof why);
		if (!why[0])
			(void)FM_FORMAT(why, "%s%s",
					peer->state == FM_PEER_CONNECTING ? "connect: " : "",
					evutil_socket_error_to_string(sys));
		fm_peer_end(peer, why, FM_PEER_LOST);
	}
}

/* Bytes come and go from here on. */
static void
begin(struct fm_peer *peer)
{
	CHECK(peer->bev != NULL);
	peer->heard = fm_mono_now();
	bufferevent_setcb(peer->bev, on_readable, on_written, on_event, peer);
	set_low_mark(peer, FM_FRAME_HEAD);
	(void)bufferevent_enable(peer->bev, EV_READ | EV_WRITE);
	fm_peer_arm(peer, FM_GREETING_MS);
}

void
fm_peer_attach(struct fm_peer *peer, int fd, enum fm_peer_state state)
{
	int on = 1;

	/* Fails on a unix socket, where there is nothing to switch off. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	peer->state = state;
	if (peer->tls && !peer->dial) {
		peer->bev = fm_tls_wrap(peer->tls, peer->base, fd, true);
		peer->is_secure = true;
	} else {
		peer->bev = bufferevent_socket_new(peer->base, fd,
						   BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	}
	begin(peer);
}

void
fm_peer_secure(struct fm_peer *peer)
{
	int fd = bufferevent_getfd(peer->bev);

	CHECK(peer->dial && peer->tls && !peer->is_secure);
	(void)bufferevent_setfd(peer->bev, -1);
	drop_connection(peer);
	peer->bev = fm_tls_wrap(peer->tls, peer->base, fd, false);
	peer->is_secure = true;
	begin(peer);
}

static void
beat(struct fm_peer *peer)
{
	Fermata__Heartbeat heartbeat = FERMATA__HEARTBEAT__INIT;
	struct fm_mono now = fm_mono_now();
	char why[200];

	/* A process that was itself stopped must not blame its peers for the silence. */
	if (fm_mono_since(now, peer->ticked) > (int64_t)peer->heartbeat_ms + peer->lost_ms / 2)
		peer->heard = now;
	peer->ticked = now;
	if (fm_mono_since(now, peer->heard) > (int64_t)peer->lost_ms) {
		(void)FM_FORMAT(why, "silent for %lld ms",
				(long long)fm_mono_since(now, peer->heard));
		fm_peer_end(peer, why, FM_PEER_TOLD);
		return;
	}
	heartbeat.count = ++peer->beats;
	write_body(peer, FERMATA__ENVELOPE__BODY_HEARTBEAT, &heartbeat);
	fm_peer_arm(peer, peer->heartbeat_ms);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct fm_peer *peer = peer_from(arg);

	(void)fd;
	(void)what;
	if (peer->doom[0]) {
		fm_peer_end(peer, peer->doom, FM_PEER_TOLD);
		return;
	}
	switch (peer->state) {
	case FM_PEER_RESTING:
		fm_dial_try(peer);
		break;
	case FM_PEER_CONNECTING:
		fm_peer_end(peer, "connect: no answer", FM_PEER_LOST);
		break;
	case FM_PEER_GREETING:
		fm_peer_end(peer, peer->dial ? "no Welcome" : "no Hello", FM_PEER_TOLD);
		break;
	case FM_PEER_UP:
		beat(peer);
		break;
	case FM_PEER_FLUSHING:
		fm_peer_bury(peer);
		break;
	case FM_PEER_GONE:
	default:
		break;
	}
}

struct fm_peer *
fm_peer_new(struct event_base *base, const struct fm_peer_calls *calls, void *arg)
{
	struct fm_peer *peer = fm_new(struct fm_peer, 1);

	peer->magic = PEER_MAGIC;
	peer->base = base;
	peer->calls = *calls;
	peer->arg = arg;
	peer->timer = evtimer_new(base, on_timer, peer);
	CHECK(peer->timer != NULL);
	return peer;
}

/* Ends the connection, but not inside the caller's call. */
static void
doom(struct fm_peer *peer, const char *why)
{
	(void)FM_COPY(peer->doom, why);
	event_active(peer->timer, EV_TIMEOUT, 0);
}

static bool
may_send(struct fm_peer *peer, size_t size)
{
	Fermata__Role ours = peer->dial ? peer->dial->hello->role : FERMATA__ROLE__ROLE_COORDINATOR;

	if (peer->state != FM_PEER_UP || peer->doom[0]) return false;
	if (size > FM_FRAME_HEAD + fm_frame_limit(ours)) {
		fm_log(FM_LOG_ERROR, "message too large to send", "peer=\"%s\" bytes=%zu",
		       peer->label, size);
		return false;
	}
	if (fm_peer_waiting(peer) + size <= WAITING_MAX) return true;
	doom(peer, "it does not read what we send");
	return false;
}

void
fm_peer_send_frame(struct fm_peer *peer, uint8_t *frame, size_t size)
{
	_cleanup_free_ uint8_t *own = frame;

	if (!may_send(peer, size)) return;
	if (peer->held)
		(void)evbuffer_add(peer->held, own, size);
	else
		(void)bufferevent_write(peer->bev, own, size);
}

void
fm_peer_send(struct fm_peer *peer, Fermata__Envelope__BodyCase body_case, void *body)
{
	Fermata__Envelope envelope = FERMATA__ENVELOPE__INIT;
	uint8_t *frame;
	size_t size;

	envelope.body_case = body_case;
	envelope.hello = body;
	frame = fm_frame_pack(&envelope, &size);
	fm_peer_send_frame(peer, frame, size);
}

void
fm_peer_free(struct fm_peer *peer, const char *reason)
{
	if (!peer || peer->state == FM_PEER_FLUSHING || peer->state == FM_PEER_GONE) return;
	memset(&peer->calls, 0, sizeof peer->calls);
	peer->doom[0] = '\0';
	if (!peer->bev || peer->state == FM_PEER_CONNECTING || say_goodbye(peer, reason)) {
		fm_peer_bury(peer);
		return;
	}
	fm_listen_forget(peer);
	peer->state = FM_PEER_FLUSHING;
	(void)bufferevent_disable(peer->bev, EV_READ);
	fm_peer_arm(peer, FM_FLUSH_MS);
}

size_t
fm_peer_waiting(const struct fm_peer *peer)
{
	return peer->bev ? evbuffer_get_length(bufferevent_get_output(peer->bev)) : 0;
}

bool
fm_peer_is_up(const struct fm_peer *peer)
{
	return peer && peer->state == FM_PEER_UP;
}

Fermata__Role
fm_peer_role(const struct fm_peer *peer)
{
	return peer->role;
}

const char *
fm_peer_name(const struct fm_peer *peer)
{
	return peer->name;
}

const char *
fm_peer_label(const struct fm_peer *peer)
{
	return peer->label;
}

void *
fm_peer_data(const struct fm_peer *peer)
{
	return peer->data;
}

void
fm_peer_set_data(struct fm_peer *peer, void *data)
{
	peer->data = data;
}
