/* The world for real: the application's log, probes over HTTP, looks by a child. */
#include "made_up.h"

#include "turning.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/world/log_watch.h"
#include "agent/world/look.h"
#include "agent/world/probe.h"
#include "base/text.h"

/* ---- the log ---- */

static void
append(const char *text)
{
	FILE *file = fopen(turning_settings.log_file, "a");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static bool
has_read_all(void *arg)
{
	unsigned *turns = arg;

	return ++*turns > 20;
}

static unsigned printed;

static void
on_printed(void *arg)
{
	(void)arg;
	printed++;
}

static void
test_log_watch(void **state)
{
	static const struct ag_log_watch_calls calls = { turning_count, on_printed };
	struct ag_log_watch *watch = ag_log_watch_new(turning_base, turning_settings.log_file,
						      "has been started", &calls, NULL);
	unsigned turns = 0;

	(void)state;
	ag_log_watch_begin(watch); /* there is no file yet: nothing happens */
	append("app has been started\n");
	ag_log_watch_begin(watch); /* of an earlier start */
	append("loading\napp has be");
	turning_until(has_read_all, &turns);
	assert_int_equal(turning_calls, 0);
	append("en started\n"); /* cut by a write */
	turning_until(turning_was_called, NULL);
	append("app has been started\n");
	turns = 0;
	turning_until(has_read_all, &turns);
	assert_int_equal(turning_calls, 1); /* once a beginning */
	ag_log_watch_free(watch);
}

/* ---- probes ---- */

struct app {
	struct evhttp *http;
	unsigned port, requests;
	int health_status, info_status;
	char agent[64];
	bool deaf;
};

static void
answer(struct evhttp_request *request, void *arg)
{
	struct app *app = arg;
	const char *agent = evhttp_find_header(evhttp_request_get_input_headers(request),
					       "User-Agent");
	bool is_health = strcmp(evhttp_request_get_uri(request), "/api/__health_check") == 0;
	int status = is_health ? app->health_status : app->info_status;
	struct evbuffer *body = evbuffer_new();

	app->requests++;
	FM_COPY(app->agent, agent);
	if (app->deaf) {
		evbuffer_free(body);
		return;
	}
	(void)evbuffer_add_printf(
		body, "%s",
		status == 200	? "ok"
		: status == 503 ? "{\"error\":{\"code\":\"APP_COMMANDING\",\"message\":\"m\"}}"
				: "{}");
	evhttp_send_reply(request, status, "x", body);
	evbuffer_free(body);
}

static void
open_app(struct app *app)
{
	struct evhttp_bound_socket *bound;
	struct sockaddr_in at;
	socklen_t len = sizeof(at);

	memset(app, 0, sizeof(*app));
	app->health_status = app->info_status = 200;
	app->http = evhttp_new(turning_base);
	bound = evhttp_bind_socket_with_handle(app->http, "127.0.0.1", 0);
	assert_non_null(bound);
	assert_int_equal(
		getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&at, &len), 0);
	app->port = ntohs(at.sin_port);
	evhttp_set_gencb(app->http, answer, app);
}

static enum ag_health last_health;
static char last_text[FM_TEXT_SIZE];

static void
on_probed(void *arg, enum ag_health health, const char *text)
{
	(void)arg;
	turning_calls++;
	last_health = health;
	FM_COPY(last_text, text);
}

static enum ag_health
probe_once(struct ag_probe *probe)
{
	turning_calls = 0;
	ag_probe_begin(probe);
	assert_int_equal(turning_calls, 0);
	turning_until(turning_was_called, NULL);
	assert_int_equal(turning_calls, 1);
	return last_health;
}

static void
test_probe(void **state)
{
	struct ag_probe *probe;
	struct app app;

	(void)state;
	open_app(&app);
	probe = ag_probe_new(turning_base, "127.0.0.1", app.port, 200, on_probed, NULL);
	assert_int_equal(probe_once(probe), AG_HEALTH_OK);
	assert_int_equal(app.requests, 2);
	assert_non_null(strstr(app.agent, "fermata-agent/"));
	app.info_status = 500;
	assert_int_equal(probe_once(probe), AG_HEALTH_SICK);
	app.health_status = 503;
	assert_int_equal(probe_once(probe), AG_HEALTH_BUSY);
	assert_string_equal(last_text, "m");
	assert_int_equal(app.requests, 5);
	app.deaf = true;
	assert_int_equal(probe_once(probe), AG_HEALTH_SILENT);
	app.deaf = false;
	assert_int_equal(probe_once(probe), AG_HEALTH_BUSY);
	evhttp_free(app.http);
	assert_int_equal(probe_once(probe), AG_HEALTH_SILENT);
	assert_int_equal(probe_once(probe), AG_HEALTH_SILENT);
	ag_probe_begin(probe); /* freed with a question open */
	ag_probe_free(probe);
}

/* ---- looks ---- */

static struct ag_look last_look;

static void
on_looked(void *arg, const struct ag_look *look)
{
	(void)arg;
	turning_calls++;
	last_look = *look;
}

static void
look_once(const char *script)
{
	struct ag_looker *looker;

	FM_COPY(turning_settings.dbjob, folder_path("dbjob"));
	folder_write("dbjob", script);
	assert_int_equal(chmod(turning_settings.dbjob, 0755), 0);
	looker = ag_looker_new(turning_base, &turning_settings, on_looked, NULL, NULL);
	turning_calls = 0;
	ag_looker_begin(looker, "2.2.15");
	assert_int_equal(turning_calls, 0);
	turning_until(turning_was_called, NULL);
	assert_int_equal(turning_calls, 1);
	ag_looker_free(looker);
}

static void
test_look(void **state)
{
	char script[2048];

	(void)state;
	(void)snprintf(
		script, sizeof(script),
		"#!/bin/sh\ncat >%s/order\ntr '\\0' ' ' </proc/$$/cmdline >%s/seen\n"
		"tr '\\0' ' ' </proc/$$/environ >>%s/seen\n"
		"printf '\\0\\0\\0\\021\\312\\002\\016\\010\\001\\020\\001\"\\0062.2.15(\\001'\n",
		folder_path(""), folder_path(""), folder_path(""));
	look_once(script);
	assert_true(last_look.ok && last_look.installed);
	assert_string_equal(last_look.version, "2.2.15");
	/* The password travels inside the order, and nowhere else. */
	assert_string_not_equal(folder_read("seen"), "");
	assert_null(strstr(folder_read("seen"), "hunter2"));
	(void)snprintf(script, sizeof(script), "grep -qa hunter2 %s", folder_path("order"));
	assert_int_equal(system(script), 0);
}

static void
test_look_fails(void **state)
{
	(void)state;
	look_once("#!/bin/sh\nexit 3\n");
	assert_false(last_look.ok);
	assert_non_null(strstr(last_look.text, "ended with 3"));
	look_once("#!/bin/sh\necho this is no frame at all\nsleep 300\n");
	assert_false(last_look.ok);
	turning_settings.look_ms = 100;
	look_once("#!/bin/sh\nexec sleep 300\n");
	assert_false(last_look.ok);
	assert_non_null(strstr(last_look.text, "in time"));
	FM_COPY(turning_settings.env_file, folder_path("nowhere"));
	look_once("#!/bin/sh\n");
	assert_false(last_look.ok);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, turning_setup, turning_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_log_watch),
		TEST(test_probe),
		TEST(test_look),
		TEST(test_look_fails),
	};

	return cmocka_run_group_tests_name("agent world", tests, NULL, NULL);
}
