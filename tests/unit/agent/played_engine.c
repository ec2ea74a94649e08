#include "played_engine.h"

#include "turning.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/text.h"
#include "made_up.h"

struct link {
	LIST_ENTRY(link) entry;
	int fd;
	struct event *event;
	size_t asked, sent;
};

struct played_engine engine;

static struct {
	int fd;
	struct event *event;
	LIST_HEAD(, link) links;
} door;

static void
end_link(struct link *link)
{
	LIST_REMOVE(link, entry);
	event_free(link->event);
	(void)close(link->fd);
	free(link);
}

static void
on_room(evutil_socket_t fd, short what, void *arg)
{
	struct link *link = arg;
	size_t part = engine.len - link->sent;
	ssize_t n;

	(void)what;
	if (part > engine.piece) part = engine.piece;
	n = send(fd, engine.answer + link->sent, part, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN) return;
	engine.is_gone = n < 0;
	if (n > 0) link->sent += (size_t)n;
	if (n >= 0 && link->sent < engine.len) return;
	if (n >= 0 && engine.stays)
		(void)event_del(link->event);
	else
		end_link(link);
}

static void
answer(struct link *link)
{
	event_free(link->event);
	link->event = event_new(turning_base, link->fd, EV_WRITE | EV_PERSIST, on_room, link);
	assert_int_equal(event_add(link->event, NULL), 0);
}

static void
on_later(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	answer(arg);
}

static void
on_asked(evutil_socket_t fd, short what, void *arg)
{
	struct link *link = arg;
	ssize_t n = recv(fd, engine.asked + link->asked, ASKED_MAX - 1 - link->asked, 0);
	const char *body, *length;

	(void)what;
	if (n <= 0) {
		engine.is_gone = true;
		end_link(link);
		return;
	}
	link->asked += (size_t)n;
	engine.asked[link->asked] = '\0';
	body = strstr(engine.asked, "\r\n\r\n");
	length = strstr(engine.asked, "Content-Length: ");
	if (body && (!length || strlen(body + 4) >= strtoul(length + 16, NULL, 10))) answer(link);
}

static void
on_call(evutil_socket_t fd, short what, void *arg)
{
	struct link *link = calloc(1, sizeof(*link));
	struct timeval later = { 0, 50000 };

	(void)what;
	(void)arg;
	assert_non_null(link);
	link->fd = accept(fd, NULL, NULL);
	assert_true(link->fd >= 0);
	LIST_INSERT_HEAD(&door.links, link, entry);
	if (engine.is_deaf) {
		assert_int_equal(shutdown(link->fd, SHUT_RD), 0);
		link->event = event_new(turning_base, -1, 0, on_later, link);
	} else {
		link->event = event_new(turning_base, link->fd, EV_READ | EV_PERSIST, on_asked,
					link);
	}
	assert_int_equal(event_add(link->event, engine.is_deaf ? &later : NULL), 0);
}

int
engine_play(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	memset(&engine, 0, sizeof(engine));
	engine.piece = SIZE_MAX;
	LIST_INIT(&door.links);
	FM_COPY(address.sun_path, folder_path("engine.sock"));
	door.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(door.fd, (const struct sockaddr *)(const void *)&address, sizeof(address)) < 0 ||
	    listen(door.fd, 8) < 0)
		return -1;
	door.event = event_new(turning_base, door.fd, EV_READ | EV_PERSIST, on_call, NULL);
	return event_add(door.event, NULL);
}

void
engine_end(void)
{
	while (!LIST_EMPTY(&door.links)) end_link(LIST_FIRST(&door.links));
	event_free(door.event);
	(void)close(door.fd);
}

void
engine_says(const char *text)
{
	engine.answer = text;
	engine.len = strlen(text);
}
