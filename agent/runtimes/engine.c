#include "agent/runtimes/engine.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/runtimes/docker_text.h"
#include "agent/runtimes/engine_answer.h"
#include "agent/world/json.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/text.h"

#define HEAD_SIZE 512 /* of a request, without what the ask brings */

/* Each call has a connection of its own: a unix socket's costs next to nothing, and what one call
 * leaves half read disturbs no other. */
struct ag_engine_call {
	TAILQ_ENTRY(ag_engine_call) link;
	struct ag_engine *engine;
	struct bufferevent *bev; /* NULL: there is no connection */
	struct event *timer;	 /* its limit, or a fault that begin() cannot tell */
	struct ag_reading reading;
	void (*done)(void *arg, const struct ag_engine_answer *answer);
	void *arg;
	long limit_ms;
	struct fm_err err;
};

struct ag_engine {
	struct event_base *base;
	TAILQ_HEAD(, ag_engine_call) calls;
	struct sockaddr_un address;
	char version[16]; /* "v1.41/"; "": not agreed */
};

/* ---- the end of a call ---- */

static void
free_call(struct ag_engine_call *call)
{
	if (call->bev) bufferevent_free(call->bev);
	event_free(call->timer);
	ag_reading_free(&call->reading);
	free(call);
}

static void
finish(struct ag_engine_call *call)
{
	const struct ag_reading *r = &call->reading;
	struct ag_engine_answer answer = { .body = r->body ? r->body : "", .len = r->len };
	char said[300];

	answer.status = r->status;
	answer.err = call->err;
	if (r->status && (r->status < 200 || r->status > 299))
		(void)fm_fail(&answer.err, FM_ERR_REFUSED, 0, "%s",
			      ag_json_find(answer.body, answer.len, "message", said, sizeof(said))
				      ? said
				      : "the engine refused without a word");
	/* done() may drop the others, or free the engine. */
	TAILQ_REMOVE(&call->engine->calls, call, link);
	call->done(call->arg, &answer);
	free_call(call);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct ag_engine_call *call = arg;
	char limit[32];

	(void)fd;
	(void)what;
	if (!call->err.text[0])
		(void)fm_fail(&call->err, FM_ERR_TIMEOUT, 0,
			      "the engine at %s has not answered within %s",
			      call->engine->address.sun_path,
			      fm_format_duration(limit, sizeof(limit), call->limit_ms));
	finish(call);
}

/* ---- its connection ---- */

/* What has come is used up before more is read: who is slow with it slows the engine, and nothing
 * piles up here. */
static void
on_bytes(struct bufferevent *bev, void *arg)
{
	struct ag_engine_call *call = arg;
	struct evbuffer *input = bufferevent_get_input(bev);
	struct evbuffer_iovec piece;
	int r = 0;

	while (r == 0 && evbuffer_get_length(input) > 0) {
		CHECK(evbuffer_peek(input, -1, NULL, &piece, 1) > 0);
		r = ag_reading_add(&call->reading, piece.iov_base, piece.iov_len, &call->err);
		(void)evbuffer_drain(input, piece.iov_len);
	}
	if (r != 0) finish(call);
}

static void
on_end(struct bufferevent *bev, short what, void *arg)
{
	struct ag_engine_call *call = arg;
	int sys = EVUTIL_SOCKET_ERROR();

	(void)bev;
	/* It may refuse before it has read all: what it says about that is still to be read. */
	if (what & BEV_EVENT_WRITING) return;
	if (what & BEV_EVENT_EOF)
		(void)ag_reading_end(&call->reading, &call->err);
	else
		(void)fm_fail(&call->err, FM_ERR_IO, sys, "the engine at %s has broken off",
			      call->engine->address.sun_path);
	finish(call);
}

/* A unix socket connects at once or not at all. */
static int
connect_to(struct ag_engine *engine, struct fm_err *err)
{
	const struct sockaddr *to = (const struct sockaddr *)(const void *)&engine->address;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), sys;

	if (fd < 0) return fm_fail(err, FM_ERR_IO, errno, "socket");
	if (connect(fd, to, sizeof(engine->address)) == 0) return fd;
	sys = errno;
	(void)close(fd);
	return fm_fail(err, FM_ERR_IO, sys, "the engine at %s does not answer",
		       engine->address.sun_path);
}

/* ---- the request ---- */

/* Names that the engine told are in a path: none of them may begin another line. */
static int
check_ask(const struct ag_engine_ask *ask, struct fm_err *err)
{
	const unsigned char *at = (const unsigned char *)ask->path;

	while (*at > ' ' && *at != 0x7f) at++;
	if (!*at && (!ask->header || !strpbrk(ask->header, "\r\n"))) return 0;
	return fm_fail(err, FM_ERR_PEER, 0, "the engine has names that it cannot be asked for");
}

static void
wipe(const void *bytes, size_t len, void *text)
{
	(void)bytes;
	explicit_bzero(text, len);
	free(text);
}

/* Credentials and a container's environment are in it: wiped as soon as it is sent. */
static void
send_ask(struct ag_engine_call *call, const struct ag_engine_ask *ask)
{
	const char *body = ask->body ? ask->body : "", *header = ask->header ? ask->header : "";
	size_t len = strlen(body);
	size_t size = HEAD_SIZE + strlen(ask->path) + strlen(header) + len;
	char *text = fm_new(char, size);
	bool fits = fm_format(text, size,
			      "%s /%s%s HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n"
			      "User-Agent: fermata-agent/" FM_VERSION "\r\n%s%s",
			      ask->method, call->engine->version, ask->path, header,
			      header[0] ? "\r\n" : "");

	if (ask->body) fits = fits && fm_append(text, size, "Content-Type: application/json\r\n");
	if (ask->body || strcmp(ask->method, "POST") == 0)
		fits = fits && fm_append(text, size, "Content-Length: %zu\r\n", len);
	CHECK(fits && fm_append(text, size, "\r\n%s", body));
	CHECK(evbuffer_add_reference(bufferevent_get_output(call->bev), text, strlen(text), wipe,
				     text) == 0);
}

static int
start(struct ag_engine_call *call, const struct ag_engine_ask *ask)
{
	struct ag_engine *engine = call->engine;
	int fd;

	if (check_ask(ask, &call->err) < 0) return -1;
	fd = connect_to(engine, &call->err);
	if (fd < 0) return -1;
	call->bev = bufferevent_socket_new(engine->base, fd, BEV_OPT_CLOSE_ON_FREE);
	CHECK(call->bev);
	bufferevent_setcb(call->bev, on_bytes, NULL, on_end, call);
	send_ask(call, ask);
	return bufferevent_enable(call->bev, EV_READ | EV_WRITE);
}

/* ---- life ---- */

struct ag_engine *
ag_engine_new(struct event_base *base, const char *socket, struct fm_err *err)
{
	struct ag_engine *engine = fm_new(struct ag_engine, 1);

	engine->base = base;
	TAILQ_INIT(&engine->calls);
	engine->address.sun_family = AF_UNIX;
	(void)signal(SIGPIPE, SIG_IGN);
	if (FM_COPY(engine->address.sun_path, socket)) return engine;
	free(engine);
	(void)fm_fail(err, FM_ERR_CONFIG, 0, "the path %s is too long for a socket", socket);
	return NULL;
}

void
ag_engine_free(struct ag_engine *engine)
{
	struct ag_engine_call *call, *next;

	if (!engine) return;
	for (call = TAILQ_FIRST(&engine->calls); call; call = next) {
		next = TAILQ_NEXT(call, link);
		free_call(call);
	}
	free(engine);
}

struct ag_engine_call *
ag_engine_begin(struct ag_engine *engine, const struct ag_engine_ask *ask)
{
	struct ag_engine_call *call = fm_new(struct ag_engine_call, 1);
	struct timeval limit = { ask->limit_ms / 1000, ask->limit_ms % 1000 * 1000 };

	call->engine = engine;
	call->done = ask->done;
	call->arg = ask->arg;
	call->limit_ms = ask->limit_ms;
	ag_reading_begin(&call->reading, ask->data, ask->arg);
	TAILQ_INSERT_TAIL(&engine->calls, call, link);
	call->timer = event_new(engine->base, -1, 0, on_timer, call);
	CHECK(call->timer);
	if (start(call, ask) < 0)
		event_active(call->timer, EV_TIMEOUT, 0);
	else if (ask->limit_ms > 0)
		CHECK(event_add(call->timer, &limit) == 0);
	return call;
}

void
ag_engine_drop(struct ag_engine_call *call)
{
	if (!call) return;
	TAILQ_REMOVE(&call->engine->calls, call, link);
	free_call(call);
}

int
ag_engine_agree(struct ag_engine *engine, const struct ag_engine_answer *answer, struct fm_err *err)
{
	char most[16], least[16], agreed[16];

	if (answer->status != 200) {
		*err = answer->err;
		return -1;
	}
	if (!ag_json_find(answer->body, answer->len, "ApiVersion", most, sizeof(most)))
		return fm_fail(err, FM_ERR_PEER, 0,
			       "%s is no container engine: it has no ApiVersion",
			       engine->address.sun_path);
	if (!ag_json_find(answer->body, answer->len, "MinAPIVersion", least, sizeof(least)))
		least[0] = '\0';
	if (ag_docker_api(most, least, agreed, sizeof(agreed), err) < 0) return -1;
	(void)FM_FORMAT(engine->version, "v%s/", agreed);
	return 0;
}

/* ---- blocking ---- */

struct waiting {
	bool over;
	long status;
	char *body;
	struct fm_err err;
};

static void
on_over(void *arg, const struct ag_engine_answer *answer)
{
	struct waiting *w = arg;

	w->over = true;
	w->status = answer->status;
	w->err = answer->err;
	w->body = fm_strdup(answer->body);
}

/* data() is called with the caller's own argument. */
struct passing {
	struct waiting waiting;
	const struct ag_engine_ask *ask;
};

static int
pass_data(void *arg, const char *bytes, size_t len, struct fm_err *err)
{
	const struct passing *p = arg;

	return p->ask->data(p->ask->arg, bytes, len, err);
}

int
ag_engine_do(struct ag_engine *engine, const struct ag_engine_ask *ask, long *status,
	     char **ret_body, struct fm_err *err)
{
	struct passing p = { .ask = ask };
	struct ag_engine_ask own = *ask;

	own.done = on_over;
	own.arg = &p;
	if (ask->data) own.data = pass_data;
	(void)ag_engine_begin(engine, &own);
	while (!p.waiting.over) CHECK(event_base_loop(engine->base, EVLOOP_ONCE) == 0);
	if (status) *status = p.waiting.status;
	if (ret_body)
		*ret_body = p.waiting.body;
	else
		free(p.waiting.body);
	if (p.waiting.status >= 200 && p.waiting.status < 300) return 0;
	*err = p.waiting.err;
	return -1;
}
