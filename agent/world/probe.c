#include "agent/world/probe.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/world/verdict.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/text.h"

#define BODY_MAX (64 << 10)
#define HEADERS_MAX (16 << 10)

struct ag_probe {
	struct event_base *base;
	char host[128], header_host[160];
	unsigned port;
	int64_t limit_ms;
	void (*done)(void *arg, enum ag_health health, const char *text);
	void *arg;
	struct evhttp_connection *http;
	struct event *later; /* tells the verdict when no callback of libevent is running */
	struct evhttp_request *request; /* under way */
	bool asks_info, keeps;
	enum ag_health health;
	char text[FM_TEXT_SIZE];
};

static void ask(struct ag_probe *probe, const char *path);

static void
settle(struct ag_probe *probe, enum ag_health health, bool keeps)
{
	probe->health = health;
	probe->keeps = keeps;
	event_active(probe->later, 0, 0);
}

static void
on_later(evutil_socket_t fd, short what, void *arg)
{
	struct ag_probe *probe = arg;

	(void)fd;
	(void)what;
	/* A connection that failed once is not trusted with another question. */
	if (!probe->keeps && probe->http) evhttp_connection_free(TAKE(probe->http));
	probe->done(probe->arg, probe->health, probe->text);
}

static void
on_answer(struct evhttp_request *request, void *arg)
{
	struct ag_probe *probe = arg;
	int status = request ? evhttp_request_get_response_code(request) : 0;
	struct evbuffer *input = request ? evhttp_request_get_input_buffer(request) : NULL;
	size_t len = input ? evbuffer_get_length(input) : 0;
	const char *body = len ? (const char *)evbuffer_pullup(input, -1) : "";
	enum ag_health health;

	probe->request = NULL;
	if (!probe->asks_info) {
		health = ag_health_verdict(status, body, len, probe->text, sizeof(probe->text));
		if (health == AG_HEALTH_OK) {
			probe->asks_info = true;
			ask(probe, "/api/app:getInfo");
			return;
		}
	} else {
		health = ag_info_verdict(status, body, len, probe->text, sizeof(probe->text));
	}
	settle(probe, health, status != 0);
}

static struct evhttp_connection *
connection(struct ag_probe *probe)
{
	struct timeval limit = { probe->limit_ms / 1000, probe->limit_ms % 1000 * 1000 };

	if (probe->http) return probe->http;
	probe->http = evhttp_connection_base_new(probe->base, NULL, probe->host,
						 (ev_uint16_t)probe->port);
	CHECK(probe->http);
	evhttp_connection_set_timeout_tv(probe->http, &limit);
	evhttp_connection_set_retries(probe->http, 0);
	evhttp_connection_set_max_body_size(probe->http, BODY_MAX);
	evhttp_connection_set_max_headers_size(probe->http, HEADERS_MAX);
	return probe->http;
}

static void
ask(struct ag_probe *probe, const char *path)
{
	struct evkeyvalq *headers;

	probe->request = evhttp_request_new(on_answer, probe);
	CHECK(probe->request);
	headers = evhttp_request_get_output_headers(probe->request);
	(void)evhttp_add_header(headers, "Host", probe->header_host);
	(void)evhttp_add_header(headers, "User-Agent", "fermata-agent/" FM_VERSION);
	(void)evhttp_add_header(headers, "Accept", "application/json, text/plain");
	(void)evhttp_add_header(headers, "Connection", "keep-alive");
	/* On -1 libevent has freed the request, and called nobody. */
	if (evhttp_make_request(connection(probe), probe->request, EVHTTP_REQ_GET, path) == 0)
		return;
	probe->request = NULL;
	probe->text[0] = '\0';
	settle(probe, AG_HEALTH_SILENT, false);
}

struct ag_probe *
ag_probe_new(struct event_base *base, const char *host, unsigned port, int64_t limit_ms,
	     void (*done)(void *arg, enum ag_health health, const char *text), void *arg)
{
	struct ag_probe *probe = fm_new(struct ag_probe, 1);

	probe->base = base;
	FM_COPY(probe->host, host);
	FM_FORMAT(probe->header_host, "%s:%u", host, port);
	probe->port = port;
	probe->limit_ms = limit_ms;
	probe->done = done;
	probe->arg = arg;
	probe->later = event_new(base, -1, 0, on_later, probe);
	CHECK(probe->later);
	return probe;
}

void
ag_probe_free(struct ag_probe *probe)
{
	if (!probe) return;
	if (probe->request) evhttp_cancel_request(TAKE(probe->request));
	if (probe->http) evhttp_connection_free(probe->http);
	event_free(probe->later);
	free(probe);
}

void
ag_probe_begin(struct ag_probe *probe)
{
	probe->asks_info = false;
	probe->text[0] = '\0';
	ask(probe, "/api/__health_check");
}
