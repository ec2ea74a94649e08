/* http.c - the server, libevent's. It has no bound on connections in 2.1, and none on how long one may take
 * as long as a byte comes now and then; both are kept here: each connection has a place, and is ended with
 * its time. All places taken: the kernel keeps who comes next. */
#include "coordinator/http/http.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/mono.h"
#include "base/text.h"
#include "coordinator/http/metrics.h"
#include "loop/address.h"
#include "loop/timer.h"

#define PLACES 16
#define LISTENERS_MOST 4
#define BACKLOG 16
#define HEADERS_MOST 8192
#define READ_MOST (2 * HEADERS_MOST) /* enough for the server to see that it is too much */
#define VISIT_MS 5000		     /* from accept to the answer's last byte */
#define SWEEP_MS 100		     /* only while somebody is connected */
#define TEXT_TYPE "text/plain; charset=utf-8"

/* The bufferevent is ours too, so that it is there until we have seen that the server let it go. */
struct visit {
	struct bufferevent *bev;
	struct fm_mono since;
};

struct co_http {
	struct co_daemon *daemon;
	struct evhttp *server;
	struct evconnlistener *listeners[LISTENERS_MOST];
	unsigned listener_count;
	struct event *sweep;
	struct visit visits[PLACES];
	unsigned count;
	bool is_pausing;
	struct co_tally tally;
	int64_t started_ms;
};

/* ---- connections ---- */

static void
sweep_soon(struct co_http *http)
{
	fm_timer_arm(http->sweep, SWEEP_MS);
}

static void
pause_accepting(struct co_http *http)
{
	for (unsigned i = 0; i < http->listener_count; i++)
		evconnlistener_disable(http->listeners[i]);
	http->is_pausing = true;
	sweep_soon(http);
}

/* What is freed has no callbacks any more. */
static bool
is_let_go(struct bufferevent *bev)
{
	bufferevent_data_cb read = NULL, write = NULL;
	bufferevent_event_cb event = NULL;

	bufferevent_getcb(bev, &read, &write, &event, NULL);
	return read == NULL && write == NULL && event == NULL;
}

static void
end_visit(struct co_http *http, struct visit *visit)
{
	bufferevent_decref(visit->bev);
	visit->bev = NULL;
	http->count--;
}

static void
on_sweep(evutil_socket_t fd, short what, void *arg)
{
	struct co_http *http = arg;
	struct fm_mono now = fm_mono_now();

	(void)fd;
	(void)what;
	for (unsigned i = 0; i < PLACES; i++) {
		struct visit *visit = &http->visits[i];

		if (visit->bev == NULL) continue;
		/* The server takes this for its own limit, and frees it. */
		if (!is_let_go(visit->bev) && fm_mono_since(now, visit->since) >= VISIT_MS)
			bufferevent_trigger_event(visit->bev, BEV_EVENT_TIMEOUT | BEV_EVENT_READING,
						  0);
		if (is_let_go(visit->bev)) end_visit(http, visit);
	}
	if (http->is_pausing && http->count < PLACES) {
		http->is_pausing = false;
		for (unsigned i = 0; i < http->listener_count; i++)
			evconnlistener_enable(http->listeners[i]);
	}
	if (http->count > 0) sweep_soon(http);
}

/* A connection was accepted; the server wants to know with what it is to read. */
static struct bufferevent *
on_visit(struct event_base *base, void *arg)
{
	struct co_http *http = arg;
	struct bufferevent *bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	struct visit *visit = http->visits;

	CHECK(bev != NULL);
	bufferevent_setwatermark(bev, EV_READ, 0, READ_MOST);
	/* The listener was told to pause, and had one more at hand: the server's own limit must do. */
	if (http->count == PLACES) return bev;
	while (visit->bev != NULL) visit++;
	bufferevent_incref(bev);
	*visit = (struct visit){ bev, fm_mono_now() };
	if (++http->count == PLACES)
		pause_accepting(http);
	else if (http->count == 1)
		sweep_soon(http);
	return bev;
}

static void
on_accept_error(struct evconnlistener *listener, void *arg)
{
	(void)listener;
	fm_log(FM_LOG_WARNING, "a scraper cannot be accepted", "error=\"%s\"", strerror(errno));
	pause_accepting(arg);
}

/* ---- answers ---- */

struct answer {
	int code;
	const char *reason, *type, *text;
	size_t size;
};

static void
send_answer(struct evhttp_request *request, const struct answer *answer)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
	struct evbuffer *body = evhttp_request_get_output_buffer(request);
	char length[24];

	FM_FORMAT(length, "%zu", answer->size);
	evhttp_add_header(headers, "Content-Type", answer->type);
	evhttp_add_header(headers, "Content-Length", length);
	evhttp_add_header(headers, "Cache-Control", "no-store");
	evhttp_add_header(headers, "Connection", "close");
	if (evhttp_request_get_command(request) != EVHTTP_REQ_HEAD)
		CHECK(evbuffer_add(body, answer->text, answer->size) == 0);
	evhttp_send_reply(request, answer->code, answer->reason, NULL);
}

static void
say(struct evhttp_request *request, int code, const char *reason, const char *text)
{
	struct answer answer = { code, reason, TEXT_TYPE, text, strlen(text) };

	send_answer(request, &answer);
}

static void
on_metrics(struct evhttp_request *request, void *arg)
{
	struct co_http *http = arg;
	const struct co_daemon *daemon = http->daemon;
	struct co_picture picture = {
		.state = co_core_state(daemon->core),
		.fleet = co_core_fleet(daemon->core),
		.config = &daemon->config,
		.tally = &http->tally,
		.now = fm_mono_now(),
		.wall_ms = fm_wall_now_ms(),
		.started_ms = http->started_ms,
		.journal_bytes = co_journal_bytes(daemon->journal),
	};
	struct answer answer = { HTTP_OK, "OK", CO_METRICS_TYPE, NULL, 0 };
	_cleanup_free_ char *text = NULL;
	FILE *out = open_memstream(&text, &answer.size);

	CHECK(out != NULL);
	co_metrics_write(&picture, out);
	CHECK(fclose(out) == 0);
	answer.text = text;
	send_answer(request, &answer);
}

/* That the loop turns is said by there being an answer. */
static void
on_health(struct evhttp_request *request, void *arg)
{
	const struct co_http *http = arg;

	if (http->tally.refused)
		say(request, HTTP_SERVUNAVAIL, "Service Unavailable",
		    "The journal cannot be written, and nothing is done until it can; the "
		    "coordinator's log says why.\n");
	else
		say(request, HTTP_OK, "OK", "ok\n");
}

static void
on_root(struct evhttp_request *request, void *arg)
{
	(void)arg;
	say(request, HTTP_OK, "OK",
	    "Fermata's coordinator: /metrics for Prometheus, /health for a monitor.\n");
}

static void
on_other(struct evhttp_request *request, void *arg)
{
	(void)arg;
	say(request, HTTP_NOTFOUND, "Not Found",
	    "There is nothing here; there are /metrics and /health.\n");
}

/* ---- its life ---- */

static int
resolve(const char *address, struct fm_address *ret, struct fm_err *err)
{
	if (fm_address_resolve(address, FM_ADDRESS_PASSIVE, ret, err) == 0) return 0;
	if (fm_address_resolve(address, FM_ADDRESS_PASSIVE | FM_ADDRESS_ANYWHERE, ret, NULL) != 0)
		return -1;
	return fm_fail(
		err, FM_ERR_CONFIG, 0,
		"%s is not a loopback address, and what is said there is neither encrypted nor "
		"asks who reads it: listen on 127.0.0.1, and scrape on this host or through a "
		"reverse proxy on it",
		address);
}

static int
listen_at(struct co_http *http, const char *address, struct fm_err *err)
{
	struct evconnlistener *listener = NULL;
	struct fm_address at;

	if (http->listener_count == LISTENERS_MOST)
		return fm_fail(err, FM_ERR_CONFIG, 0, "more than %d addresses", LISTENERS_MOST);
	if (resolve(address, &at, err) != 0) return -1;
	listener = evconnlistener_new_bind(http->daemon->base, NULL, NULL,
					   LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC |
						   LEV_OPT_REUSEABLE,
					   BACKLOG, (const struct sockaddr *)&at.sa, (int)at.size);
	if (listener == NULL) return fm_fail(err, FM_ERR_IO, errno, "listen on %s", address);
	evconnlistener_set_error_cb(listener, on_accept_error);
	CHECK(evhttp_bind_listener(http->server, listener) != NULL);
	http->listeners[http->listener_count++] = listener;
	return 0;
}

static int
listen_at_all(struct co_http *http, const char *list, struct fm_err *err)
{
	char address[FM_ADDRESS_SIZE];

	while (fm_address_next(&list, address, sizeof(address)))
		if (listen_at(http, address, err) != 0) return -1;
	return 0;
}

static void
add_ended(void *arg, const char *procedure, const char *end, uint64_t count, uint64_t run)
{
	co_tally_ended(arg, procedure, end, count, run);
}

/* What the tally would be had we been there all the time. */
static int
begin_tally(struct co_http *http, struct fm_err *err)
{
	const struct co_state *state = co_core_state(http->daemon->core);

	http->started_ms = fm_wall_now_ms();
	if (state->gate.mode == FM_GATE_CLOSED)
		http->tally.closed_ms = state->run.closed_ms ? state->run.closed_ms
							     : state->run.began_ms;
	return co_journal_ends(http->daemon->journal, add_ended, &http->tally, err);
}

int
co_http_open(struct co_daemon *daemon, struct fm_err *err)
{
	struct co_http *http = NULL;

	if (fm_is_empty(daemon->settings.http_listen)) return 0;
	http = daemon->http = fm_new(struct co_http, 1);
	http->daemon = daemon;
	http->server = evhttp_new(daemon->base);
	http->sweep = evtimer_new(daemon->base, on_sweep, http);
	CHECK(http->server != NULL && http->sweep != NULL);
	evhttp_set_allowed_methods(http->server, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
	evhttp_set_max_headers_size(http->server, HEADERS_MOST);
	evhttp_set_max_body_size(http->server, 0);
	evhttp_set_timeout(http->server, VISIT_MS / 1000);
	evhttp_set_bevcb(http->server, on_visit, http);
	evhttp_set_cb(http->server, "/metrics", on_metrics, http);
	evhttp_set_cb(http->server, "/health", on_health, http);
	evhttp_set_cb(http->server, "/", on_root, http);
	evhttp_set_gencb(http->server, on_other, http);
	if (listen_at_all(http, daemon->settings.http_listen, err) != 0 ||
	    begin_tally(http, err) != 0)
		return fm_wrap(err, "[http] listen");
	fm_log(FM_LOG_NOTICE, "metrics", "http=%s", daemon->settings.http_listen);
	return 0;
}

void
co_http_close(struct co_http *http)
{
	if (http == NULL) return;
	evhttp_free(http->server); /* and the listeners */
	for (unsigned i = 0; i < PLACES; i++)
		if (http->visits[i].bev != NULL) end_visit(http, &http->visits[i]);
	event_free(http->sweep);
	free(http);
}

void
co_http_committed(struct co_http *http, const struct co_state *state, const struct co_run_row *run)
{
	if (http != NULL) co_tally_commit(&http->tally, state, run, fm_wall_now_ms());
}

void
co_http_refused(struct co_http *http)
{
	if (http != NULL) co_tally_refusal(&http->tally);
}
