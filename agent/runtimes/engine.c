#include "agent/runtimes/engine.h"

#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#include <dlfcn.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "agent/runtimes/docker_text.h"
#include "agent/world/json.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/text.h"

#define LIBRARY "libcurl.so.4"
#define CONNECT_MS 5000
#define URL_SIZE 4096

/* ---- the library ---- */

#define FUNCTIONS(X)                \
	X(curl_global_init)         \
	X(curl_easy_init)           \
	X(curl_easy_setopt)         \
	X(curl_easy_getinfo)        \
	X(curl_easy_strerror)       \
	X(curl_easy_cleanup)        \
	X(curl_multi_init)          \
	X(curl_multi_setopt)        \
	X(curl_multi_add_handle)    \
	X(curl_multi_remove_handle) \
	X(curl_multi_socket_action) \
	X(curl_multi_assign)        \
	X(curl_multi_info_read)     \
	X(curl_multi_cleanup)       \
	X(curl_slist_append)        \
	X(curl_slist_free_all)

struct functions {
	void *library;
#define X(name) __typeof__(&(name)) name;
	FUNCTIONS(X)
#undef X
};

static bool
find(void *library, const char *name, void *function)
{
	void *symbol = dlsym(library, name);

	memcpy(function, &symbol, sizeof(symbol));
	return symbol != NULL;
}

static int
load(struct functions *f, struct fm_err *err)
{
	bool ok = true;

	f->library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (!f->library)
		return fm_fail(err, FM_ERR_CONFIG, 0,
			       "%s cannot be loaded, and the docker runtime needs it: install "
			       "libcurl4 (%s)",
			       LIBRARY, dlerror());
#define X(name) ok = ok && find(f->library, #name, (void *)&f->name);
	FUNCTIONS(X)
#undef X
	if (!ok || f->curl_global_init(CURL_GLOBAL_NOTHING) != CURLE_OK)
		return fm_fail(err, FM_ERR_CONFIG, 0, "%s is not what it should be", LIBRARY);
	return 0;
}

/* ---- calls ---- */

struct ag_engine_call {
	TAILQ_ENTRY(ag_engine_call) link;
	struct ag_engine *engine;
	CURL *easy;
	struct curl_slist *headers;
	int (*data)(void *arg, const char *bytes, size_t len, struct fm_err *err);
	void (*done)(void *arg, const struct ag_engine_answer *answer);
	void *arg;
	char *body;
	size_t len, size;
	struct fm_err err;
};

struct ag_engine {
	struct functions f;
	struct event_base *base;
	struct event *timer;
	CURLM *multi;
	TAILQ_HEAD(, ag_engine_call) calls;
	char socket[1024];
	char version[16]; /* "v1.41/"; "": not agreed */
};

static void
free_call(struct ag_engine_call *call)
{
	struct functions *f = &call->engine->f;

	TAILQ_REMOVE(&call->engine->calls, call, link);
	(void)f->curl_multi_remove_handle(call->engine->multi, call->easy);
	f->curl_easy_cleanup(call->easy);
	f->curl_slist_free_all(call->headers);
	free(call->body);
	free(call);
}

static int
keep(struct ag_engine_call *call, const char *bytes, size_t len)
{
	if (len > AG_ENGINE_MOST - call->len)
		return fm_fail(&call->err, FM_ERR_LIMIT, 0, "the engine's answer is too long");
	if (call->len + len + 1 > call->size) {
		size_t size = 2 * (call->len + len + 1);
		char *grown = realloc(call->body, size);

		CHECK(grown);
		call->body = grown;
		call->size = size;
	}
	memcpy(call->body + call->len, bytes, len);
	call->len += len;
	call->body[call->len] = '\0';
	return 0;
}

static long
status_of(struct ag_engine_call *call)
{
	long status = 0;

	(void)call->engine->f.curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

static size_t
on_bytes(char *bytes, size_t one, size_t len, void *arg)
{
	struct ag_engine_call *call = arg;
	long status = status_of(call);
	int r;

	(void)one;
	if (call->data && status >= 200 && status < 300)
		r = call->data(call->arg, bytes, len, &call->err);
	else
		r = keep(call, bytes, len);
	return r < 0 ? 0 : len;
}

static void
finish(struct ag_engine_call *call, CURLcode code)
{
	struct ag_engine_answer answer = { .body = call->body ? call->body : "", .len = call->len };
	char said[300];

	answer.status = code == CURLE_OK ? status_of(call) : 0;
	answer.err = call->err;
	if (code != CURLE_OK && !call->err.text[0])
		(void)fm_fail(&answer.err, FM_ERR_IO, 0, "the engine at %s does not answer: %s",
			      call->engine->socket, call->engine->f.curl_easy_strerror(code));
	else if (code == CURLE_OK && (answer.status < 200 || answer.status > 299))
		(void)fm_fail(&answer.err, FM_ERR_REFUSED, 0, "%s",
			      ag_json_find(answer.body, answer.len, "message", said, sizeof(said))
				      ? said
				      : "the engine refused without a word");
	call->done(call->arg, &answer);
	free_call(call);
}

static void
collect(struct ag_engine *engine)
{
	CURLMsg *message;
	int left;

	while ((message = engine->f.curl_multi_info_read(engine->multi, &left))) {
		char *call = NULL;

		if (message->msg != CURLMSG_DONE) continue;
		(void)engine->f.curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &call);
		finish((struct ag_engine_call *)(void *)call, message->data.result);
	}
}

/* ---- the loop ---- */

static void
on_socket(evutil_socket_t fd, short what, void *arg)
{
	struct ag_engine *engine = arg;
	int running, action = 0;

	if (what & EV_READ) action |= CURL_CSELECT_IN;
	if (what & EV_WRITE) action |= CURL_CSELECT_OUT;
	(void)engine->f.curl_multi_socket_action(engine->multi, fd, action, &running);
	collect(engine);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct ag_engine *engine = arg;
	int running;

	(void)fd;
	(void)what;
	(void)engine->f.curl_multi_socket_action(engine->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	collect(engine);
}

static int
set_timer(CURLM *multi, long ms, void *arg)
{
	struct ag_engine *engine = arg;
	struct timeval in = { ms / 1000, ms % 1000 * 1000 };

	(void)multi;
	if (ms < 0) return event_del(engine->timer);
	return event_add(engine->timer, &in);
}

static int
set_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *old)
{
	struct ag_engine *engine = arg;
	struct event *event = old;
	short kind = EV_PERSIST;

	(void)easy;
	if (event) event_free(event);
	event = NULL;
	if (what != CURL_POLL_REMOVE) {
		if (what & CURL_POLL_IN) kind |= EV_READ;
		if (what & CURL_POLL_OUT) kind |= EV_WRITE;
		event = event_new(engine->base, fd, kind, on_socket, engine);
		CHECK(event && event_add(event, NULL) == 0);
	}
	(void)engine->f.curl_multi_assign(engine->multi, fd, event);
	return 0;
}

/* ---- life ---- */

struct ag_engine *
ag_engine_new(struct event_base *base, const char *socket, struct fm_err *err)
{
	struct ag_engine *engine = fm_new(struct ag_engine, 1);
	struct functions *f = &engine->f;

	if (load(f, err) < 0) {
		free(engine);
		return NULL;
	}
	engine->base = base;
	TAILQ_INIT(&engine->calls);
	(void)FM_COPY(engine->socket, socket);
	engine->timer = event_new(base, -1, 0, on_timer, engine);
	engine->multi = f->curl_multi_init();
	CHECK(engine->timer && engine->multi);
	(void)f->curl_multi_setopt(engine->multi, CURLMOPT_SOCKETFUNCTION, set_socket);
	(void)f->curl_multi_setopt(engine->multi, CURLMOPT_SOCKETDATA, engine);
	(void)f->curl_multi_setopt(engine->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	(void)f->curl_multi_setopt(engine->multi, CURLMOPT_TIMERDATA, engine);
	return engine;
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
	(void)engine->f.curl_multi_cleanup(engine->multi);
	event_free(engine->timer);
	free(engine);
}

static void
set_body(struct ag_engine_call *call, const struct ag_engine_ask *ask)
{
	struct functions *f = &call->engine->f;

	call->headers = f->curl_slist_append(NULL, "Expect:");
	if (ask->body)
		call->headers = f->curl_slist_append(call->headers,
						     "Content-Type: application/json");
	if (ask->header) call->headers = f->curl_slist_append(call->headers, ask->header);
	(void)f->curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->headers);
	if (strcmp(ask->method, "POST") == 0)
		(void)f->curl_easy_setopt(call->easy, CURLOPT_COPYPOSTFIELDS,
					  ask->body ? ask->body : "");
	(void)f->curl_easy_setopt(call->easy, CURLOPT_CUSTOMREQUEST, ask->method);
}

struct ag_engine_call *
ag_engine_begin(struct ag_engine *engine, const struct ag_engine_ask *ask)
{
	struct ag_engine_call *call = fm_new(struct ag_engine_call, 1);
	struct functions *f = &engine->f;
	char url[URL_SIZE];

	call->engine = engine;
	call->data = ask->data;
	call->done = ask->done;
	call->arg = ask->arg;
	call->easy = f->curl_easy_init();
	CHECK(call->easy);
	CHECK(FM_FORMAT(url, "http://engine/%s%s", engine->version, ask->path));
	(void)f->curl_easy_setopt(call->easy, CURLOPT_URL, url);
	(void)f->curl_easy_setopt(call->easy, CURLOPT_UNIX_SOCKET_PATH, engine->socket);
	(void)f->curl_easy_setopt(call->easy, CURLOPT_PROXY, "");
	(void)f->curl_easy_setopt(call->easy, CURLOPT_NOSIGNAL, 1L);
	(void)f->curl_easy_setopt(call->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
	(void)f->curl_easy_setopt(call->easy, CURLOPT_TIMEOUT_MS, ask->limit_ms);
	(void)f->curl_easy_setopt(call->easy, CURLOPT_WRITEFUNCTION, on_bytes);
	(void)f->curl_easy_setopt(call->easy, CURLOPT_WRITEDATA, call);
	(void)f->curl_easy_setopt(call->easy, CURLOPT_PRIVATE, call);
	set_body(call, ask);
	TAILQ_INSERT_TAIL(&engine->calls, call, link);
	CHECK(f->curl_multi_add_handle(engine->multi, call->easy) == CURLM_OK);
	return call;
}

void
ag_engine_drop(struct ag_engine_call *call)
{
	if (call) free_call(call);
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
			       "%s is no container engine: it has no ApiVersion", engine->socket);
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
