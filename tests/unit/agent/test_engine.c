/* Calls to a container engine, which is played: its answers whole and in pieces, cut, oversize, late. */
#include "made_up.h"

#include "played_engine.h"
#include "turning.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/runtimes/engine.h"
#include "base/text.h"

static struct ag_engine *client;
static struct fm_err err;

static int
setup(void **state)
{
	if (turning_setup(state) < 0 || engine_play() < 0) return -1;
	client = ag_engine_new(turning_base, folder_path("engine.sock"), &err);
	return client ? 0 : -1;
}

static int
teardown(void **state)
{
	ag_engine_free(client);
	engine_end();
	return turning_teardown(state);
}

/* ---- a call ---- */

static struct {
	unsigned count; /* of done() */
	long status;
	char body[256];
	size_t len;    /* of the body */
	size_t pieces; /* bytes that data() was given */
	char first[256];
	struct fm_err err;
	struct ag_engine_call *call;
	size_t most; /* data() has enough of so many */
} got;

static void
on_done(void *arg, const struct ag_engine_answer *said)
{
	(void)arg;
	got.count++;
	got.call = NULL;
	got.status = said->status;
	got.len = said->len;
	got.err = said->err;
	assert_int_equal(said->body[said->len], '\0');
	(void)FM_COPY(got.body, said->body);
}

static int
on_data(void *arg, const char *bytes, size_t len, struct fm_err *why)
{
	(void)arg;
	if (got.pieces + len < sizeof(got.first)) memcpy(got.first + got.pieces, bytes, len);
	got.pieces += len;
	if (got.most && got.pieces >= got.most) return fm_fail(why, FM_ERR_LIMIT, 0, "enough");
	return 0;
}

static bool
is_done(void *arg)
{
	(void)arg;
	return got.count > 0;
}

static struct ag_engine_ask
question(void)
{
	return (struct ag_engine_ask){ .method = "GET", .path = "x", .done = on_done };
}

static void
begin(const struct ag_engine_ask *ask)
{
	memset(&got, 0, sizeof(got));
	got.call = ag_engine_begin(client, ask);
	assert_int_equal(got.count, 0);
}

static void
call(const struct ag_engine_ask *ask)
{
	begin(ask);
	turning_until(is_done, NULL);
	assert_int_equal(got.count, 1);
}

static void
get(const char *said)
{
	struct ag_engine_ask ask = question();

	engine_says(said);
	call(&ask);
}

/* ---- what is sent ---- */

static void
test_request(void **state)
{
	struct ag_engine_ask ask = question();

	(void)state;
	engine_says("HTTP/1.1 204 No Content\r\n\r\n");
	ask.path = "containers/json?all=1";
	call(&ask);
	assert_int_equal(got.status, 204);
	assert_ptr_equal(strstr(engine.asked, "GET /containers/json?all=1 HTTP/1.1\r\nHost: "),
			 engine.asked);
	assert_null(strstr(engine.asked, "Content-"));
	ask.method = "POST";
	call(&ask);
	assert_non_null(strstr(engine.asked, "Content-Length: 0\r\n"));
	ask.body = "{\"a\":1}";
	ask.header = "X-Registry-Auth: abc";
	call(&ask);
	assert_non_null(strstr(engine.asked, "\r\nX-Registry-Auth: abc\r\n"));
	assert_non_null(strstr(engine.asked, "\r\nContent-Type: application/json\r\n"));
	assert_non_null(strstr(engine.asked, "\r\nContent-Length: 7\r\n\r\n{\"a\":1}"));
}

/* A name that the engine told goes into a path. */
static void
test_one_request_only(void **state)
{
	static const char *const bad[] = { "a b", "a\r\nX: y", "a\x7f" };
	struct ag_engine_ask ask = question();

	(void)state;
	engine_says("HTTP/1.1 204 No Content\r\n\r\n");
	for (size_t i = 0; i < (sizeof(bad) / sizeof(*bad)); i++) {
		ask.path = bad[i];
		call(&ask);
		assert_int_equal(got.status, 0);
		assert_int_equal(got.err.kind, FM_ERR_PEER);
	}
	ask.path = "x";
	ask.header = "A: b\r\nC: d";
	call(&ask);
	assert_int_equal(got.err.kind, FM_ERR_PEER);
	assert_string_equal(engine.asked, "");
}

static void
test_version(void **state)
{
	struct ag_engine_answer said = { .status = 200 };
	struct ag_engine_ask ask = question();

	(void)state;
	said.body = "{\"ApiVersion\":\"1.44\",\"MinAPIVersion\":\"1.24\"}";
	said.len = strlen(said.body);
	assert_int_equal(ag_engine_agree(client, &said, &err), 0);
	engine_says("HTTP/1.1 204 No Content\r\n\r\n");
	call(&ask);
	assert_ptr_equal(strstr(engine.asked, "GET /v1.44/x HTTP/1.1\r\n"), engine.asked);
	said.body = "{}";
	said.len = 2;
	assert_int_equal(ag_engine_agree(client, &said, &err), -1);
	assert_non_null(strstr(err.text, "engine.sock is no container engine"));
}

/* ---- what is answered ---- */

static const struct {
	const char *said;
	long status;
	const char *body, *err;
} answers[] = {
	{ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello", "" },
	{ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello, and more", 200, "hello", "" },
	{ "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
	  200, "{}", "" },
	{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",
	  200, "hello", "" },
	{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n",
	  200, "hello", "" },
	{ "HTTP/1.0 200 OK\r\n\r\nhello", 200, "hello", "" },
	{ "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", 200, "", "" },
	{ "HTTP/1.1 204 No Content\r\n\r\n", 204, "", "" },
	{ "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}", 201,
	  "{}", "" },
	{ "HTTP/1.1 304 Not Modified\r\n\r\n", 304, "", "refused without a word" },
	{ "HTTP/1.1 404 Not Found\r\nContent-Length: 23\r\n\r\n{\"message\":\"none there\"}", 404,
	  "{\"message\":\"none there\"", "refused without a word" },
	{ "HTTP/1.1 404 Not Found\r\nContent-Length: 24\r\n\r\n{\"message\":\"none there\"}", 404,
	  "{\"message\":\"none there\"}", "none there" },
	{ "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nraw", 101, "",
	  "refused without a word" },
	{ "", 0, "", "has ended the connection unanswered" },
	{ "HTTP/1.1 200 OK\r\nContent-Le", 0, "", "cut off" },
	{ "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", 0, "hello", "cut off" },
	{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", 0, "hello",
	  "cut off" },
	{ "SSH-2.0-OpenSSH_9.2\r\n", 0, "", "is not HTTP: " },
	{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 0, "", "is not HTTP: " },
	{ "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n", 0, "",
	  "is not HTTP: " },
};

static void
test_answers(void **state)
{
	static const size_t pieces[] = { SIZE_MAX, 1, 7 };
	struct ag_engine_ask ask = question();

	(void)state;
	for (size_t i = 0;
	     i < (sizeof(answers) / sizeof(*answers)) * (sizeof(pieces) / sizeof(*pieces)) * 2;
	     i++) {
		size_t n = i / 2 / (sizeof(pieces) / sizeof(*pieces));
		bool is_streamed = i % 2 && answers[n].status < 300;

		print_message("%s\n", answers[n].said);
		engine.piece = pieces[i / 2 % (sizeof(pieces) / sizeof(*pieces))];
		ask.data = is_streamed ? on_data : NULL;
		engine_says(answers[n].said);
		call(&ask);
		assert_int_equal(got.status, answers[n].status);
		assert_string_equal(is_streamed ? got.first : got.body, answers[n].body);
		assert_non_null(strstr(got.err.text, answers[n].err));
		assert_int_equal(got.err.text[0] == '\0', answers[n].err[0] == '\0');
	}
}

/* What a refusal says is kept, also where a 2xx answer would be streamed. */
static void
test_refused_stream(void **state)
{
	struct ag_engine_ask ask = question();

	(void)state;
	engine_says("HTTP/1.1 500 Oh\r\nContent-Length: 16\r\n\r\n{\"message\":\"no\"}");
	ask.data = on_data;
	call(&ask);
	assert_int_equal(got.status, 500);
	assert_int_equal(got.pieces, 0);
	assert_string_equal(got.err.text, "no");
	assert_int_equal(got.err.kind, FM_ERR_REFUSED);
}

/* ---- limits ---- */

static char *
long_answer(const char *head, size_t len)
{
	char *text = malloc(strlen(head) + len + 1);

	assert_non_null(text);
	memset(text, 'x', strlen(head) + len);
	memcpy(text, head, strlen(head));
	text[strlen(head) + len] = '\0';
	return text;
}

static void
test_too_long(void **state)
{
	struct ag_engine_ask ask = question();
	char *text = long_answer("HTTP/1.1 200 OK\r\n\r\n", AG_ENGINE_MOST);

	(void)state;
	get(text);
	assert_int_equal(got.status, 200);
	assert_int_equal(got.len, AG_ENGINE_MOST);
	free(text);
	text = long_answer("HTTP/1.1 200 OK\r\n\r\n", AG_ENGINE_MOST + 1);
	get(text);
	assert_int_equal(got.status, 0);
	assert_int_equal(got.err.kind, FM_ERR_LIMIT);
	/* Piece by piece there is no end to it. */
	ask.data = on_data;
	call(&ask);
	assert_int_equal(got.status, 200);
	assert_int_equal(got.pieces, AG_ENGINE_MOST + 1);
	/* Until its reader says so. */
	begin(&ask);
	got.most = 100000;
	turning_until(is_done, NULL);
	assert_int_equal(got.status, 0);
	assert_string_equal(got.err.text, "enough");
	assert_true(got.pieces < AG_ENGINE_MOST);
	free(text);
	text = long_answer("HTTP/1.1 200 OK\r\nX: ", 200000);
	get(text);
	assert_int_equal(got.status, 0);
	assert_non_null(strstr(got.err.text, "too many header bytes"));
	free(text);
}

/* An answer that comes for ever, a byte now and then, is late too. */
static void
test_too_late(void **state)
{
	struct ag_engine_ask ask = question();

	(void)state;
	ask.limit_ms = 60;
	ask.data = on_data;
	engine.stays = true;
	engine_says("HTTP/1.1 200 OK\r\n\r\nsome");
	call(&ask);
	assert_int_equal(got.status, 0);
	assert_int_equal(got.err.kind, FM_ERR_TIMEOUT);
	assert_string_equal(got.first, "some");
	assert_non_null(strstr(got.err.text, "has not answered within 60 ms"));
	ask.limit_ms = 600000;
	engine.stays = false;
	call(&ask);
	assert_int_equal(got.status, 200);
}

static void
test_away(void **state)
{
	struct ag_engine_ask ask = question();
	char path[200];

	(void)state;
	assert_int_equal(unlink(folder_path("engine.sock")), 0);
	call(&ask);
	assert_int_equal(got.status, 0);
	assert_non_null(strstr(got.err.text, "engine.sock does not answer: No such file"));
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	assert_null(ag_engine_new(turning_base, path, &err));
	assert_int_equal(err.kind, FM_ERR_CONFIG);
}

/* It refuses before it has read all: what it says counts, not that it hung up. */
static void
test_early_refusal(void **state)
{
	struct ag_engine_ask ask = question();
	char *body = long_answer("", 3u << 20);

	(void)state;
	engine.is_deaf = true;
	engine_says("HTTP/1.1 413 Too Large\r\nContent-Length: 18\r\n\r\n{\"message\":\"much\"}");
	ask.method = "POST";
	ask.body = body;
	call(&ask);
	assert_int_equal(got.status, 413);
	assert_string_equal(got.err.text, "much");
	free(body);
}

/* ---- dropped, and one out of the other ---- */

static bool
has_begun(void *arg)
{
	(void)arg;
	return got.pieces > 0;
}

static bool
is_gone(void *arg)
{
	(void)arg;
	return engine.is_gone;
}

static void
test_drop(void **state)
{
	struct ag_engine_ask ask = question();
	char *text = long_answer("HTTP/1.1 200 OK\r\n\r\n", 8u << 20);
	size_t had;

	(void)state;
	engine_says(text);
	ask.data = on_data;
	begin(&ask);
	turning_until(has_begun, NULL);
	had = got.pieces;
	ag_engine_drop(got.call);
	turning_until(is_gone, NULL);
	assert_int_equal(got.count, 0);
	assert_int_equal(got.pieces, had);
	/* Before it was sent, and with no connection at all. */
	begin(&ask);
	ag_engine_drop(got.call);
	ask.path = " ";
	begin(&ask);
	ag_engine_drop(got.call);
	ag_engine_drop(NULL);
	assert_int_equal(event_base_loop(turning_base, EVLOOP_ONCE | EVLOOP_NONBLOCK), 0);
	assert_int_equal(got.count, 0);
	free(text);
}

static void
on_done_free(void *arg, const struct ag_engine_answer *said)
{
	on_done(arg, said);
	ag_engine_free(client);
	client = NULL;
}

static void
test_engine_freed_in_done(void **state)
{
	struct ag_engine_ask ask = question();

	(void)state;
	engine.stays = true;
	engine_says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
	ask.data = on_data;
	ask.limit_ms = 600000;
	(void)ag_engine_begin(client, &ask);
	ask.data = NULL;
	ask.done = on_done_free;
	ask.path = " ";
	call(&ask);
	assert_null(client);
}

static void
on_done_next(void *arg, const struct ag_engine_answer *said)
{
	struct ag_engine_ask ask = question();

	(void)arg;
	(void)said;
	got.call = ag_engine_begin(client, &ask);
	assert_int_equal(got.count, 0);
}

static void
test_next_in_done(void **state)
{
	struct ag_engine_ask ask = question();

	(void)state;
	engine_says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
	ask.done = on_done_next;
	call(&ask);
	assert_string_equal(got.body, "{}");
}

static void
test_do(void **state)
{
	struct ag_engine_ask ask = question();
	char *body = NULL;
	long status = 0;

	(void)state;
	ask.done = NULL;
	engine_says("HTTP/1.1 200 OK\r\n\r\nhello");
	assert_int_equal(ag_engine_do(client, &ask, &status, &body, &err), 0);
	assert_int_equal(status, 200);
	assert_string_equal(body, "hello");
	free(body);
	engine_says("HTTP/1.1 409 Conflict\r\n\r\n{\"message\":\"in use\"}");
	assert_int_equal(ag_engine_do(client, &ask, &status, NULL, &err), -1);
	assert_int_equal(status, 409);
	assert_string_equal(err.text, "in use");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_request),
		TEST(test_one_request_only),
		TEST(test_version),
		TEST(test_answers),
		TEST(test_refused_stream),
		TEST(test_too_long),
		TEST(test_too_late),
		TEST(test_away),
		TEST(test_early_refusal),
		TEST(test_drop),
		TEST(test_engine_freed_in_done),
		TEST(test_next_in_done),
		TEST(test_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
