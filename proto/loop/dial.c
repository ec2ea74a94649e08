/* dial.c - the side that calls: address after address, for ever, and greets. */
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "loop/peer_internal.h"
#include "wire/frame.h"

#define REST_LEAST_MS 200
#define REST_MOST_MS 3000

void
fm_dial_free(struct fm_dialler *dial)
{
	if (!dial) return;
	if (dial->hello) fermata__hello__free_unpacked(dial->hello, NULL);
	free(dial);
}

static Fermata__Hello *
copy_hello(const Fermata__Hello *hello)
{
	size_t size = fermata__hello__get_packed_size(hello);
	_cleanup_free_ uint8_t *packed = fm_new(uint8_t, size);
	Fermata__Hello *copy;

	(void)fermata__hello__pack(hello, packed);
	copy = fermata__hello__unpack(NULL, size, packed);
	CHECK(copy != NULL);
	copy->major = FM_WIRE_MAJOR;
	copy->minor = FM_WIRE_MINOR;
	return copy;
}

/* Each word must be an address as far as can be told without a resolver. */
static int
check_addresses(const char *addresses, bool anywhere, struct fm_err *err)
{
	char one[FM_ADDRESS_SIZE];
	const char *rest = addresses;
	unsigned count = 0;

	for (; fm_address_next(&rest, one, sizeof one); count++) {
		struct fm_address address;
		struct fm_err why;

		if (fm_address_resolve(one, anywhere ? FM_ADDRESS_ANYWHERE : 0, &address, &why) ==
		    0)
			continue;
		if (why.kind != FM_ERR_CONFIG) continue; /* a name that does not resolve, yet */
		return fm_fail(err, why.kind, 0, "%s", why.text);
	}
	if (count > 0 && !*rest) return 0;
	return fm_fail(err, FM_ERR_CONFIG, 0, "\"%s\" is no list of addresses", addresses);
}

struct fm_peer *
fm_peer_dial(struct event_base *base, const struct fm_dial_to *to,
	     const struct fm_peer_calls *calls, void *arg, struct fm_err *err)
{
	struct fm_dialler *dial;
	struct fm_peer *peer;

	if (check_addresses(to->addresses, to->tls != NULL, err) < 0) return NULL;
	dial = fm_new(struct fm_dialler, 1);
	if (!FM_COPY(dial->addresses, to->addresses)) {
		fm_dial_free(dial);
		(void)fm_fail(err, FM_ERR_CONFIG, 0, "too many addresses");
		return NULL;
	}
	/* Writing to a socket that the other side closed is an error, not the end of the process. */
	(void)signal(SIGPIPE, SIG_IGN);
	dial->hello = copy_hello(to->hello);
	dial->next = dial->addresses;
	peer = fm_peer_new(base, calls, arg);
	peer->dial = dial;
	peer->tls = to->tls;
	peer->role = FERMATA__ROLE__ROLE_COORDINATOR;
	fm_peer_arm(peer, 0);
	return peer;
}

void
fm_peer_set_voice(struct fm_peer *peer, uint64_t epoch, uint64_t seq)
{
	CHECK(peer->dial != NULL);
	peer->dial->hello->epoch = epoch;
	peer->dial->hello->seq = seq;
}

/* Jitter keeps a fleet from calling in step; the rest grows only after a round of all addresses. */
void
fm_dial_rest(struct fm_peer *peer)
{
	struct fm_dialler *dial = peer->dial;
	unsigned most = REST_LEAST_MS;

	if (!dial->next[strspn(dial->next, " \t")]) {
		most = dial->rest_ms * 3 > REST_LEAST_MS ? dial->rest_ms * 3 : REST_LEAST_MS;
		dial->next = dial->addresses;
	}
	if (most > REST_MOST_MS) most = REST_MOST_MS;
	dial->rest_ms = REST_LEAST_MS + arc4random_uniform(most - REST_LEAST_MS + 100);
	fm_peer_arm(peer, dial->rest_ms);
}

static int
connect_to(struct fm_peer *peer, struct fm_err *err)
{
	struct fm_address to;
	int fd;

	if (fm_address_resolve(peer->address, peer->tls ? FM_ADDRESS_ANYWHERE : 0, &to, err) < 0)
		return -1;
	fd = socket(to.sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) return fm_fail(err, FM_ERR_IO, errno, "socket");
	fm_peer_attach(peer, fd, FM_PEER_CONNECTING);
	if (bufferevent_socket_connect(peer->bev, (struct sockaddr *)&to.sa, (int)to.size) < 0)
		return fm_fail(err, FM_ERR_IO, errno, "connect");
	return 0;
}

void
fm_dial_try(struct fm_peer *peer)
{
	struct fm_err err;

	if (!fm_address_next(&peer->dial->next, peer->address, sizeof peer->address)) {
		peer->dial->next = peer->dial->addresses;
		CHECK(fm_address_next(&peer->dial->next, peer->address, sizeof peer->address));
	}
	fm_peer_set_label(peer);
	if (connect_to(peer, &err) < 0) fm_peer_end(peer, err.text, FM_PEER_LOST);
}

void
fm_dial_connected(struct fm_peer *peer)
{
	Fermata__Envelope envelope = FERMATA__ENVELOPE__INIT;
	_cleanup_free_ uint8_t *frame = NULL;
	size_t size;

	if (peer->tls && !peer->is_secure) {
		fm_peer_secure(peer);
		return;
	}
	peer->state = FM_PEER_GREETING;
	envelope.body_case = FERMATA__ENVELOPE__BODY_HELLO;
	envelope.hello = peer->dial->hello;
	frame = fm_frame_pack(&envelope, &size);
	(void)bufferevent_write(peer->bev, frame, size);
	fm_peer_arm(peer, FM_GREETING_MS);
}

static unsigned
bounded(unsigned value, unsigned fallback)
{
	return value >= 50 && value <= 60000 ? value : fallback;
}

void
fm_dial_welcome(struct fm_peer *peer, const Fermata__Welcome *welcome)
{
	struct fm_err err = { 0 };

	if (welcome->major != FM_WIRE_MAJOR) {
		(void)fm_fail(&err, FM_ERR_PEER, 0, "it speaks version %u, we speak %d",
			      welcome->major, FM_WIRE_MAJOR);
		fm_peer_end(peer, err.text, FM_PEER_TOLD);
		return;
	}
	(void)FM_COPY(peer->name,
		      fm_is_name(welcome->cluster, sizeof peer->name) ? welcome->cluster : "");
	fm_peer_set_label(peer);
	peer->dial->rest_ms = 0;
	peer->dial->next = peer->dial->addresses;
	peer->dial->why[0] = '\0';
	fm_peer_set_up(peer, bounded(welcome->heartbeat_ms, FM_HEARTBEAT_MS),
		       bounded(welcome->lost_ms, FM_LOST_MS));
	if (peer->calls.up(peer->arg, peer, NULL, welcome, &err) < 0 && peer->state == FM_PEER_UP)
		fm_peer_end(peer, err.text, FM_PEER_TOLD);
}
