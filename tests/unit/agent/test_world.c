/* The world for real: processes, their listeners, their log, probes over HTTP, looks by a child. */
#include "made_up.h"

#include "folder.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/runtimes/runtime.h"
#include "agent/world/log_watch.h"
#include "agent/world/look.h"
#include "agent/world/probe.h"
#include "agent/world/procs.h"
#include "base/mono.h"
#include "base/text.h"

#define LIMIT_MS 10000

static struct event_base *base;
static struct ag_settings settings;
static struct fm_err err;
static unsigned called;

static int
setup(void **state)
{
	if (folder_setup(state) < 0) return -1;
	base = event_base_new();
	memset(&settings, 0, sizeof(settings));
	FM_COPY(settings.node, "app1");
	FM_COPY(settings.root, folder_path("app"));
	FM_COPY(settings.state_dir, folder_path("state"));
	FM_COPY(settings.node_dir, folder_path("state/run"));
	FM_COPY(settings.storage, folder_path("storage"));
	FM_COPY(settings.env_file, folder_path("env"));
	FM_COPY(settings.log_file, folder_path("app.log"));
	FM_COPY(settings.host, "127.0.0.1");
	settings.look_ms = 5000;
	folder_write("state/x", "");
	folder_write("env", "APP_KEY='sec ret'\nSOCKET_PATH=/shared/by/all\nDB_DIALECT=postgres\n"
			    "DB_PASSWORD=hunter2\nDB_HOST=127.0.0.1\n");
	folder_release("app", "2.2.15");
	called = 0;
	return base ? 0 : -1;
}

static int
teardown(void **state)
{
	event_base_free(base);
	return folder_teardown(state);
}

static void
count_call(void *arg)
{
	(void)arg;
	called++;
}

static void
on_pause(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

/* The loop turns until the condition holds. */
static void
turn_until(bool (*holds)(void *arg), void *arg)
{
	struct fm_mono end = fm_mono_after(fm_mono_now(), LIMIT_MS);
	struct timeval pause = { 0, 5000 };

	while (!holds(arg)) {
		assert_true(fm_mono_since(end, fm_mono_now()) > 0);
		assert_int_equal(event_base_once(base, -1, EV_TIMEOUT, on_pause, NULL, &pause), 0);
		assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
	}
}

/* ---- processes ---- */

struct expected {
	struct ag_instance *instance;
	unsigned count;
};

static bool
has_count(void *arg)
{
	struct expected *e = arg;
	char strange[FM_TEXT_SIZE];

	return ag_runtime_process.scan(e->instance, strange, sizeof(strange)) == e->count;
}

static bool
was_called(void *arg)
{
	(void)arg;
	return called > 0;
}

static struct ag_instance *
open_instance(void)
{
	return ag_runtime_process.open(base, &settings, count_call, NULL);
}

/* A leader, a child, and one that left the session: three, whoever their parents are. */
static const char three[] = "sh -c 'env >env.out; echo \"$0\" \"$@\" >args.out; sleep 300 &"
			    " setsid sleep 300 & exec sleep 300' name";

static void
test_start_and_stop(void **state)
{
	struct expected e = { open_instance(), 0 };
	pid_t leader;

	(void)state;
	assert_true(has_count(&e));
	FM_COPY(settings.start_command, three);
	FM_COPY(settings.migrate_args, "--quickstart 'a b'");
	assert_int_equal(ag_runtime_process.start(e.instance, "2.2.15", FM_START_MIGRATE, &err),
			 0);
	e.count = 3;
	turn_until(has_count, &e);
	leader = (pid_t)strtol(folder_read("state/application.session"), NULL, 10);
	assert_int_equal(getsid(leader), leader);
	assert_string_equal(folder_read("app/releases/2.2.15/args.out"), "name --quickstart a b\n");
	called = 0;
	ag_runtime_process.signal(e.instance, AG_TERM);
	turn_until(was_called, NULL); /* told by the kernel, not by a poll */
	e.count = 0;
	turn_until(has_count, &e);
	ag_runtime_process.close(e.instance);
}

static void
test_environment(void **state)
{
	struct expected e = { open_instance(), 3 };
	const char *env;
	char line[2048];

	(void)state;
	assert_int_equal(setenv("SECRET_OF_THE_AGENT", "x", 1), 0);
	FM_COPY(settings.start_command, three);
	assert_int_equal(ag_runtime_process.start(e.instance, "2.2.15", FM_START_PLAIN, &err), 0);
	turn_until(has_count, &e);
	env = folder_read("app/releases/2.2.15/env.out");
	assert_non_null(strstr(env, "\nAPP_KEY=sec ret\n"));
	assert_non_null(strstr(env, "FERMATA_NODE=app1\n"));
	assert_non_null(strstr(env, "NB_SKIP_STARTUP_UPDATE=1\n"));
	/* Of this node, whatever the shared file says. */
	(void)snprintf(line, sizeof(line), "SOCKET_PATH=%s/gateway.sock\n", settings.node_dir);
	assert_non_null(strstr(env, line));
	(void)snprintf(line, sizeof(line), "APP_ENV_PATH=%s\n", settings.env_file);
	assert_non_null(strstr(env, line));
	(void)snprintf(line, sizeof(line), "PATH=%s/releases/2.2.15/node_modules/.bin:", settings.root);
	assert_non_null(strstr(env, line));
	assert_null(strstr(env, "SECRET_OF_THE_AGENT"));
	assert_string_equal(folder_read("app/releases/2.2.15/args.out"), "name\n");
	ag_runtime_process.signal(e.instance, AG_KILL);
	e.count = 0;
	turn_until(has_count, &e);
	ag_runtime_process.close(e.instance);
}

static void
test_kill_of_the_deaf(void **state)
{
	struct expected e = { open_instance(), 2 };

	(void)state;
	FM_COPY(settings.start_command, "sh -c 'trap \"\" TERM; sleep 300 & wait; wait' x");
	assert_int_equal(ag_runtime_process.start(e.instance, "2.2.15", FM_START_PLAIN, &err), 0);
	turn_until(has_count, &e);
	ag_runtime_process.signal(e.instance, AG_TERM);
	assert_true(has_count(&e)); /* an ignored TERM is inherited */
	ag_runtime_process.signal(e.instance, AG_KILL);
	e.count = 0;
	turn_until(has_count, &e);
	ag_runtime_process.close(e.instance);
}

/* The same number, born at another time. */
static const char *
spoilt_session(const char *text)
{
	static char spoilt[128];
	long long pid, born;
	char boot[40];

	assert_int_equal(sscanf(text, "%lld %lld %39s", &pid, &born, boot), 3);
	(void)snprintf(spoilt, sizeof(spoilt), "%lld %lld %s\n", pid, born + 1, boot);
	return spoilt;
}

static void
test_adoption(void **state)
{
	struct expected e = { open_instance(), 3 };

	(void)state;
	FM_COPY(settings.start_command, three);
	assert_int_equal(ag_runtime_process.start(e.instance, "2.2.15", FM_START_PLAIN, &err), 0);
	turn_until(has_count, &e);
	ag_runtime_process.close(e.instance);
	/* Another node of the same name, of another agent, which remembers that number: not its affair. */
	FM_COPY(settings.state_dir, folder_path("other"));
	folder_write("other/application.session",
		     spoilt_session(folder_read("state/application.session")));
	e.instance = open_instance();
	e.count = 0;
	assert_true(has_count(&e));
	ag_runtime_process.close(e.instance);
	/* With nothing remembered but its own name. */
	FM_COPY(settings.state_dir, folder_path("state"));
	assert_int_equal(unlink(folder_path("state/application.session")), 0);
	e.instance = open_instance();
	e.count = 3;
	assert_true(has_count(&e));
	called = 0;
	ag_runtime_process.signal(e.instance, AG_KILL);
	turn_until(was_called, NULL);
	e.count = 0;
	turn_until(has_count, &e);
	ag_runtime_process.close(e.instance);
}

/* One that hides its environment is found by its session, by a new life, too. */
static void
test_adoption_by_session(void **state)
{
	struct expected e = { open_instance(), 2 };

	(void)state;
	FM_COPY(settings.start_command, "env -i /bin/sh -c 'sleep 300 & wait'");
	assert_int_equal(ag_runtime_process.start(e.instance, "2.2.15", FM_START_PLAIN, &err), 0);
	turn_until(has_count, &e);
	ag_runtime_process.close(e.instance);
	e.instance = open_instance();
	assert_true(has_count(&e));
	ag_runtime_process.signal(e.instance, AG_KILL);
	e.count = 0;
	turn_until(has_count, &e);
	ag_runtime_process.close(e.instance);
}

static void
test_start_fails(void **state)
{
	struct ag_instance *in = open_instance();

	(void)state;
	FM_COPY(settings.start_command, "true");
	assert_int_equal(ag_runtime_process.start(in, "9.9.9", FM_START_PLAIN, &err), -1);
	assert_non_null(strstr(err.text, "9.9.9"));
	FM_COPY(settings.env_file, folder_path("nowhere"));
	assert_int_equal(ag_runtime_process.start(in, "2.2.15", FM_START_PLAIN, &err), -1);
	ag_runtime_process.close(in);
}

static int
listen_somewhere(const char *address, unsigned *ret_port)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(inet_pton(AF_INET, address, &at.sin_addr), 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	*ret_port = ntohs(at.sin_port);
	return fd;
}

static void
test_foreign_listener(void **state)
{
	struct ag_pids nobody = { .count = 0 }, us = { .count = 1, .pids = { getpid() } };
	char who[FM_TEXT_SIZE], pid[32];
	unsigned port;
	int fd = listen_somewhere("127.0.0.1", &port);

	(void)state;
	(void)snprintf(pid, sizeof(pid), "process %d ", (int)getpid());
	assert_int_equal(ag_procs_foreign_listener("127.0.0.1", port, &nobody, who, sizeof(who)),
			 AG_LISTENER_SEEN);
	assert_non_null(strstr(who, pid));
	assert_int_equal(ag_procs_foreign_listener("127.0.0.1", port, &us, who, sizeof(who)),
			 AG_LISTENER_NONE);
	assert_string_equal(who, "");
	assert_int_equal(ag_procs_foreign_listener("127.0.0.2", port, &nobody, who, sizeof(who)),
			 AG_LISTENER_NONE);
	assert_int_equal(ag_procs_foreign_listener("0.0.0.0", port, &nobody, who, sizeof(who)),
			 AG_LISTENER_SEEN);
	(void)close(fd);
	assert_int_equal(ag_procs_foreign_listener("127.0.0.1", port, &nobody, who, sizeof(who)),
			 AG_LISTENER_NONE);
	fd = listen_somewhere("0.0.0.0", &port);
	assert_int_equal(ag_procs_foreign_listener("127.0.0.1", port, &nobody, who, sizeof(who)),
			 AG_LISTENER_SEEN);
	(void)close(fd);
}

/* ---- the log ---- */

static void
append(const char *text)
{
	FILE *file = fopen(settings.log_file, "a");

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

static void
test_log_watch(void **state)
{
	struct ag_log_watch *watch = ag_log_watch_new(base, settings.log_file, "has been started",
						      count_call, NULL);
	unsigned turns = 0;

	(void)state;
	ag_log_watch_begin(watch); /* there is no file yet: nothing happens */
	append("app has been started\n");
	ag_log_watch_begin(watch); /* of an earlier start */
	append("loading\napp has be");
	turn_until(has_read_all, &turns);
	assert_int_equal(called, 0);
	append("en started\n"); /* cut by a write */
	turn_until(was_called, NULL);
	append("app has been started\n");
	turns = 0;
	turn_until(has_read_all, &turns);
	assert_int_equal(called, 1); /* once a beginning */
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
	const char *agent = evhttp_find_header(evhttp_request_get_input_headers(request), "User-Agent");
	bool is_health = strcmp(evhttp_request_get_uri(request), "/api/__health_check") == 0;
	int status = is_health ? app->health_status : app->info_status;
	struct evbuffer *body = evbuffer_new();

	app->requests++;
	FM_COPY(app->agent, agent);
	if (app->deaf) {
		evbuffer_free(body);
		return;
	}
	(void)evbuffer_add_printf(body, "%s",
				  status == 200 ? "ok"
				  : status == 503
				  ? "{\"error\":{\"code\":\"APP_COMMANDING\",\"message\":\"m\"}}" : "{}");
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
	app->http = evhttp_new(base);
	bound = evhttp_bind_socket_with_handle(app->http, "127.0.0.1", 0);
	assert_non_null(bound);
	assert_int_equal(getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&at, &len), 0);
	app->port = ntohs(at.sin_port);
	evhttp_set_gencb(app->http, answer, app);
}

static enum ag_health last_health;
static char last_text[FM_TEXT_SIZE];

static void
on_probed(void *arg, enum ag_health health, const char *text)
{
	(void)arg;
	called++;
	last_health = health;
	FM_COPY(last_text, text);
}

static enum ag_health
probe_once(struct ag_probe *probe)
{
	called = 0;
	ag_probe_begin(probe);
	assert_int_equal(called, 0);
	turn_until(was_called, NULL);
	assert_int_equal(called, 1);
	return last_health;
}

static void
test_probe(void **state)
{
	struct ag_probe *probe;
	struct app app;

	(void)state;
	open_app(&app);
	probe = ag_probe_new(base, "127.0.0.1", app.port, 200, on_probed, NULL);
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
	called++;
	last_look = *look;
}

static void
look_once(const char *script)
{
	struct ag_looker *looker;

	FM_COPY(settings.dbjob, folder_path("dbjob"));
	folder_write("dbjob", script);
	assert_int_equal(chmod(settings.dbjob, 0755), 0);
	looker = ag_looker_new(base, &settings, on_looked, NULL);
	called = 0;
	ag_looker_begin(looker, "2.2.15");
	assert_int_equal(called, 0);
	turn_until(was_called, NULL);
	assert_int_equal(called, 1);
	ag_looker_free(looker);
}

static void
test_look(void **state)
{
	char script[2048];

	(void)state;
	(void)snprintf(script, sizeof(script),
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
	settings.look_ms = 100;
	look_once("#!/bin/sh\nexec sleep 300\n");
	assert_false(last_look.ok);
	assert_non_null(strstr(last_look.text, "in time"));
	FM_COPY(settings.env_file, folder_path("nowhere"));
	look_once("#!/bin/sh\n");
	assert_false(last_look.ok);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_start_and_stop),
		TEST(test_environment),
		TEST(test_kill_of_the_deaf),
		TEST(test_adoption),
		TEST(test_adoption_by_session),
		TEST(test_start_fails),
		TEST(test_foreign_listener),
		TEST(test_log_watch),
		TEST(test_probe),
		TEST(test_look),
		TEST(test_look_fails),
	};

	return cmocka_run_group_tests_name("agent world", tests, NULL, NULL);
}
