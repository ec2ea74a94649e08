#include "host.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "test.h"
#include "wire/frame.h"

#define WAIT_MS 10000

static int
on_up(void *arg, struct fm_peer *peer, const Fermata__Hello *hello, const Fermata__Welcome *welcome,
      struct fm_err *err)
{
	struct host *host = arg;
	Fermata__AgentAsk ask = FERMATA__AGENT_ASK__INIT;

	assert_int_equal(hello != NULL, welcome == NULL);
	host->ups++;
	host->peer = peer;
	host->role = fm_peer_role(peer);
	(void)FM_COPY(host->name, fm_peer_name(peer));
	if (hello) host->hello_epoch = hello->epoch;
	if (welcome) host->welcome_epoch = welcome->epoch;
	if (host->refuses) return fm_fail(err, FM_ERR_REFUSED, 0, "not today");
	if (host->answers) fm_peer_send(peer, FERMATA__ENVELOPE__BODY_AGENT_ASK, &ask);
	if (host->frees_when_up) fm_peer_free(peer, "freed in up");
	return 0;
}

static int
on_message(void *arg, struct fm_peer *peer, const Fermata__Envelope *envelope, struct fm_err *err)
{
	struct host *host = arg;

	(void)peer;
	host->messages++;
	host->last_body = (int)envelope->body_case;
	return host->refuses_messages ? fm_fail(err, FM_ERR_PEER, 0, "nonsense") : 0;
}

static void
on_down(void *arg, struct fm_peer *peer, const char *why)
{
	struct host *host = arg;

	host->downs++;
	host->peer = NULL;
	(void)FM_COPY(host->why, why);
	if (host->frees_when_down) fm_peer_free(peer, "freed in down");
}

const struct fm_peer_calls host_calls = { on_up, on_message, on_down };

static void
fill_welcome(void *arg, Fermata__Welcome *ret)
{
	(void)arg;
	ret->cluster = (char *)(uintptr_t) "demo";
	ret->epoch = 42;
}

void
host_open(struct host *host, bool is_unix)
{
	host_open_tls(host, is_unix, NULL);
}

void
host_open_tls(struct host *host, bool is_unix, struct fm_tls *tls)
{
	struct sockaddr_in at;
	socklen_t size = sizeof at;
	struct fm_listen_on on = { .welcome = fill_welcome, .tls = tls };
	struct fm_err err = { 0 };

	memset(host, 0, sizeof *host);
	host->base = event_base_new();
	assert_non_null(host->base);
	(void)FM_COPY(host->address, "127.0.0.1:0");
	if (is_unix) {
		(void)FM_COPY(host->dir, "/tmp/fm-peer-XXXXXX");
		assert_non_null(mkdtemp(host->dir));
		(void)FM_FORMAT(host->address, "unix:%s/sock", host->dir);
	}
	on.address = host->address;
	host->listener = fm_listener_open(host->base, &on, &host_calls, host, &err);
	if (!host->listener) fail_msg("%s", err.text);
	if (is_unix) return;
	assert_int_equal(getsockname(fm_listener_fd(host->listener), (struct sockaddr *)&at, &size),
			 0);
	(void)FM_FORMAT(host->address, "127.0.0.1:%u", ntohs(at.sin_port));
}

void
host_close(struct host *host)
{
	if (host->peer) fm_peer_free(host->peer, "test ends");
	fm_listener_close(host->listener);
	host_turn(host, 1);
	event_base_free(host->base);
	if (host->dir[0]) assert_int_equal(rmdir(host->dir), 0); /* the socket is gone */
}

void
host_turn(struct host *host, unsigned ms)
{
	struct timeval t = { .tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000 };

	(void)event_base_loopexit(host->base, &t);
	(void)event_base_dispatch(host->base);
}

void
host_wait(struct host *host, const unsigned *what, unsigned at_least)
{
	struct fm_mono end = fm_mono_after(fm_mono_now(), WAIT_MS);

	while (*what < at_least) {
		if (fm_mono_since(end, fm_mono_now()) < 0) fail_msg("nothing came: %u", *what);
		host_turn(host, 5);
	}
}

int
host_connect(const struct host *host)
{
	struct fm_address to;
	struct fm_err err;
	int fd;

	assert_int_equal(fm_address_resolve(host->address, 0, &to, &err), 0);
	fd = socket(to.sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to.sa, to.size), 0);
	return fd;
}

void
host_hello(int fd, unsigned major, Fermata__Role role, const char *name)
{
	Fermata__Hello hello = FERMATA__HELLO__INIT;
	Fermata__Envelope envelope = FERMATA__ENVELOPE__INIT;
	_cleanup_free_ uint8_t *frame = NULL;
	size_t size;

	hello.major = major;
	hello.role = role;
	hello.name = (char *)(uintptr_t)name;
	envelope.body_case = FERMATA__ENVELOPE__BODY_HELLO;
	envelope.hello = &hello;
	frame = fm_frame_pack(&envelope, &size);
	assert_int_equal(write(fd, frame, size), (ssize_t)size);
}

/* The Goodbye among the frames in got, if any. */
static void
find_goodbye(const uint8_t *got, size_t size, char *reason, size_t reason_size)
{
	size_t at = 0, body;
	struct fm_err err;

	reason[0] = '\0';
	while (size - at >= FM_FRAME_HEAD &&
	       fm_frame_head(got + at, FERMATA__ROLE__ROLE_COORDINATOR, &body, &err) == 0 &&
	       size - at - FM_FRAME_HEAD >= body) {
		_cleanup_(fm_envelope_freep) Fermata__Envelope *e = fm_frame_unpack(
			got + at + FM_FRAME_HEAD, body, FERMATA__ROLE__ROLE_COORDINATOR, &err);

		if (e && e->body_case == FERMATA__ENVELOPE__BODY_GOODBYE)
			(void)fm_copy(reason, reason_size, e->goodbye->reason);
		at += FM_FRAME_HEAD + body;
	}
}

bool
host_is_closed(struct host *host, int fd, unsigned ms, char *reason, size_t size)
{
	struct fm_mono end = fm_mono_after(fm_mono_now(), ms);
	static uint8_t got[1 << 16];
	size_t count = 0;

	while (fm_mono_since(end, fm_mono_now()) > 0) {
		ssize_t n;

		host_turn(host, 5);
		n = recv(fd, got + count, sizeof got - count, MSG_DONTWAIT);
		if (n > 0) count += (size_t)n;
		if (n > 0 || (n < 0 && errno == EAGAIN)) continue;
		find_goodbye(got, count, reason, size);
		return true;
	}
	return false;
}
