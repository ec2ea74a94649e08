/* listen.c - the side that is called: who may come in, and what it must say first. */
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "loop/peer_internal.h"
#include "wire/frame.h"

#define LISTENER_MAGIC 0x6c697374u
#define BACKLOG 64
#define GREETING_MAX 64 /* connections that have not said Hello yet */
#define PAUSE_MS 500	/* after the system refused to accept */
#define GROUPS_MAX 256

struct fm_listener {
	unsigned magic;
	struct event_base *base;
	struct evconnlistener *ev;
	struct event *again;
	struct fm_peer_calls calls;
	struct fm_tls *tls;
	void (*welcome)(void *arg, Fermata__Welcome *ret);
	void *arg;
	bool is_unix, has_group;
	gid_t gid;
	char path[sizeof((struct sockaddr_un *)NULL)->sun_path];
	unsigned greeting_count;
	LIST_HEAD(, fm_peer) greeting;
};

static struct fm_listener *
listener_from(void *arg)
{
	struct fm_listener *listener = arg;

	CHECK(listener && listener->magic == LISTENER_MAGIC);
	return listener;
}

int
fm_listener_fd(const struct fm_listener *listener)
{
	return evconnlistener_get_fd(listener->ev);
}

void
fm_listen_forget(struct fm_peer *peer)
{
	if (!peer->listener) return;
	peer->listener->greeting_count--;
	LIST_REMOVE(peer, greeting);
	peer->listener = NULL;
}

/* SO_PEERCRED names the primary group only. */
static bool
is_member(int fd, gid_t gid)
{
	gid_t groups[GROUPS_MAX];
	socklen_t size = sizeof groups;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0) return false;
	for (size_t i = 0; i < size / sizeof groups[0]; i++)
		if (groups[i] == gid) return true;
	return false;
}

/* May this user talk to us? Its name is put into the peer: an operator does not choose it. */
static bool
check_user(const struct fm_listener *listener, struct fm_peer *peer, int fd)
{
	const struct passwd *user;
	struct ucred cred = { 0 };
	socklen_t size = sizeof cred;
	bool is_welcome;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0) return false;
	user = getpwuid(cred.uid);
	if (user && fm_is_name(user->pw_name, sizeof peer->name))
		(void)FM_COPY(peer->name, user->pw_name);
	else
		(void)FM_FORMAT(peer->name, "uid%u", (unsigned)cred.uid);
	(void)FM_FORMAT(peer->address, "pid %d", (int)cred.pid);
	is_welcome = cred.uid == 0 || cred.uid == geteuid();
	if (!is_welcome && listener->has_group)
		is_welcome = cred.gid == listener->gid || is_member(fd, listener->gid);
	return is_welcome;
}

static void
on_accept(struct evconnlistener *ev, evutil_socket_t fd, struct sockaddr *sa, int size, void *arg)
{
	struct fm_listener *listener = listener_from(arg);
	struct fm_peer *peer;

	(void)ev;
	(void)size;
	if (listener->greeting_count >= GREETING_MAX) {
		fm_log(FM_LOG_WARNING, "connection refused", "why=\"too many without Hello\"");
		(void)close(fd);
		return;
	}
	peer = fm_peer_new(listener->base, &listener->calls, listener->arg);
	peer->tls = listener->tls;
	(void)fm_address_format(sa, peer->address, sizeof peer->address);
	fm_peer_attach(peer, fd, FM_PEER_GREETING);
	peer->listener = listener;
	LIST_INSERT_HEAD(&listener->greeting, peer, greeting);
	listener->greeting_count++;
	if (listener->is_unix && !check_user(listener, peer, fd)) {
		fm_peer_set_label(peer);
		fm_peer_end(peer, "this user is not root, not ours, not in the socket's group",
			    FM_PEER_TOLD);
		return;
	}
	fm_peer_set_label(peer);
}

/* Out of descriptors: the same call would be refused at once, so it waits a little. */
static void
on_accept_error(struct evconnlistener *ev, void *arg)
{
	struct fm_listener *listener = listener_from(arg);
	struct timeval pause = { .tv_usec = PAUSE_MS * 1000 };

	fm_log(FM_LOG_ERROR, "cannot accept", "why=\"%s\"",
	       evutil_socket_error_to_string(EVUTIL_SOCKET_ERROR()));
	(void)evconnlistener_disable(ev);
	(void)event_add(listener->again, &pause);
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	struct fm_listener *listener = listener_from(arg);

	(void)fd;
	(void)what;
	(void)evconnlistener_enable(listener->ev);
}

static int
check_hello(const struct fm_listener *listener, const struct fm_peer *peer,
	    const Fermata__Hello *hello, struct fm_err *err)
{
	bool is_role_fine = listener->is_unix ? hello->role == FERMATA__ROLE__ROLE_OPERATOR
					      : hello->role == FERMATA__ROLE__ROLE_AGENT ||
							hello->role == FERMATA__ROLE__ROLE_GATE;

	if (hello->major != FM_WIRE_MAJOR)
		return fm_fail(err, FM_ERR_PEER, 0, "it speaks version %u, we speak %d",
			       hello->major, FM_WIRE_MAJOR);
	if (!is_role_fine)
		return fm_fail(err, FM_ERR_REFUSED, 0, "role %d has no business on this listener",
			       (int)hello->role);
	if (!listener->is_unix && !fm_is_name(hello->name, sizeof peer->name))
		return fm_fail(err, FM_ERR_PEER, 0, "Hello without a proper name");
	if (peer->is_secure && !fm_tls_is(peer->bev, hello->role, hello->name))
		return fm_fail(err, FM_ERR_REFUSED, 0,
			       "it says that it is %s %s, its certificate does not",
			       fm_tls_role(hello->role), hello->name);
	return 0;
}

static void
send_welcome(struct fm_peer *peer, const struct fm_listener *listener, struct evbuffer *held)
{
	Fermata__Welcome welcome = FERMATA__WELCOME__INIT;

	welcome.major = FM_WIRE_MAJOR;
	welcome.minor = FM_WIRE_MINOR;
	welcome.heartbeat_ms = FM_HEARTBEAT_MS;
	welcome.lost_ms = FM_LOST_MS;
	if (listener->welcome) listener->welcome(listener->arg, &welcome);
	peer->heartbeat_ms = welcome.heartbeat_ms;
	peer->lost_ms = welcome.lost_ms;
	fm_peer_send(peer, FERMATA__ENVELOPE__BODY_WELCOME, &welcome);
	(void)bufferevent_write_buffer(peer->bev, held);
	evbuffer_free(held);
}

void
fm_listen_hello(struct fm_peer *peer, const Fermata__Hello *hello)
{
	const struct fm_listener *listener = peer->listener;
	struct fm_err err = { 0 };

	if (!listener || check_hello(listener, peer, hello, &err) < 0) {
		fm_peer_end(peer, err.text, FM_PEER_TOLD);
		return;
	}
	if (!listener->is_unix) (void)FM_COPY(peer->name, hello->name);
	peer->role = hello->role;
	fm_peer_set_label(peer);
	fm_listen_forget(peer);
	peer->held = evbuffer_new();
	CHECK(peer->held != NULL);
	fm_peer_set_up(peer, FM_HEARTBEAT_MS, FM_LOST_MS);
	if (peer->calls.up(peer->arg, peer, hello, NULL, &err) < 0) {
		if (peer->state != FM_PEER_UP) return;
		peer->calls.down = NULL; /* it never was up for our user */
		fm_peer_end(peer, err.text, FM_PEER_TOLD);
		return;
	}
	if (peer->state == FM_PEER_UP) send_welcome(peer, listener, TAKE(peer->held));
}

static int
find_group(struct fm_listener *listener, const char *group, struct fm_err *err)
{
	const struct group *found;

	if (fm_is_empty(group)) return 0;
	found = getgrnam(group);
	if (!found) return fm_fail(err, FM_ERR_CONFIG, 0, "there is no group %s", group);
	listener->gid = found->gr_gid;
	listener->has_group = true;
	return 0;
}

/* Takes away the socket that a predecessor left, but not one that somebody listens on. */
static int
clear_path(const struct fm_address *at, const char *path, struct fm_err *err)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct stat st;

	if (lstat(path, &st) < 0) return 0;
	if (!S_ISSOCK(st.st_mode))
		return fm_fail(err, FM_ERR_CONFIG, 0, "%s is there and is not a socket", path);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&at->sa, at->size) == 0)
		return fm_fail(err, FM_ERR_IO, 0, "%s: another program listens there", path);
	if (unlink(path) < 0) return fm_fail(err, FM_ERR_IO, errno, "remove %s", path);
	return 0;
}

static int
bind_to(struct fm_listener *listener, int fd, const struct fm_address *at, const char *address,
	struct fm_err *err)
{
	const char *path = ((const struct sockaddr_un *)&at->sa)->sun_path;
	mode_t mask;
	int rc;

	if (!listener->is_unix) {
		int on = 1;

		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
		if (bind(fd, (const struct sockaddr *)&at->sa, at->size) < 0)
			return fm_fail(err, FM_ERR_IO, errno, "listen on %s", address);
		return 0;
	}
	if (clear_path(at, path, err) < 0) return -1;
	mask = umask(0117);
	rc = bind(fd, (const struct sockaddr *)&at->sa, at->size);
	(void)umask(mask);
	if (rc < 0) return fm_fail(err, FM_ERR_IO, errno, "listen on %s", address);
	(void)FM_COPY(listener->path, path);
	if (listener->has_group && chown(path, (uid_t)-1, listener->gid) < 0)
		return fm_fail(err, FM_ERR_IO, errno, "give %s to its group", path);
	return 0;
}

static int
start(struct fm_listener *listener, const char *address, struct fm_err *err)
{
	_cleanup_close_ int fd = -1;
	struct fm_address at;
	unsigned flags = FM_ADDRESS_PASSIVE | (listener->tls ? FM_ADDRESS_ANYWHERE : 0);

	if (fm_address_resolve(address, flags, &at, err) < 0) return -1;
	fd = socket(at.sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) return fm_fail(err, FM_ERR_IO, errno, "socket");
	if (bind_to(listener, fd, &at, address, err) < 0) return -1;
	listener->ev = evconnlistener_new(listener->base, on_accept, listener,
					  LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, BACKLOG,
					  fd);
	if (!listener->ev) return fm_fail(err, FM_ERR_IO, errno, "listen on %s", address);
	fd = -1;
	evconnlistener_set_error_cb(listener->ev, on_accept_error);
	return 0;
}

struct fm_listener *
fm_listener_open(struct event_base *base, const struct fm_listen_on *on,
		 const struct fm_peer_calls *calls, void *arg, struct fm_err *err)
{
	struct fm_listener *listener = fm_new(struct fm_listener, 1);

	(void)signal(SIGPIPE, SIG_IGN);
	listener->magic = LISTENER_MAGIC;
	listener->base = base;
	listener->calls = *calls;
	listener->welcome = on->welcome;
	listener->arg = arg;
	listener->is_unix = fm_address_is_unix(on->address);
	if (!listener->is_unix) listener->tls = on->tls;
	LIST_INIT(&listener->greeting);
	listener->again = evtimer_new(base, on_again, listener);
	CHECK(listener->again != NULL);
	if (find_group(listener, on->group, err) < 0 || start(listener, on->address, err) < 0) {
		fm_listener_close(listener);
		return NULL;
	}
	return listener;
}

void
fm_listener_close(struct fm_listener *listener)
{
	struct fm_peer *peer;

	if (!listener) return;
	while ((peer = LIST_FIRST(&listener->greeting)) != NULL)
		fm_peer_free(peer, "we are closing");
	if (listener->ev) evconnlistener_free(listener->ev);
	if (listener->path[0]) (void)unlink(listener->path);
	event_free(listener->again);
	listener->magic = 0;
	free(listener);
}
