/* The application as a session of processes: started, found again, ended to the last. */
#include "made_up.h"

#include "turning.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/runtimes/runtime.h"
#include "agent/world/listeners.h"
#include "agent/world/procs.h"
#include "base/text.h"

static struct fm_err err;

/* A leader, a child, and one that left the session: three, whoever their parents are. */
static const char three[] = "sh -c 'env >env.out; echo \"$0\" \"$@\" >args.out; sleep 300 &"
			    " setsid sleep 300 & exec sleep 300' name";

static void
test_start_and_stop(void **state)
{
	struct turning_processes e = { turning_open(), 0 };
	pid_t leader;

	(void)state;
	assert_true(turning_has_count(&e));
	FM_COPY(turning_settings.start_command, three);
	FM_COPY(turning_settings.migrate_args, "--quickstart 'a b'");
	assert_int_equal(ag_runtime_process.start(e.instance, "2.2.15", FM_START_MIGRATE, &err), 0);
	e.count = 3;
	turning_until(turning_has_count, &e);
	leader = (pid_t)strtol(folder_read("state/application.session"), NULL, 10);
	assert_int_equal(getsid(leader), leader);
	assert_string_equal(folder_read("app/releases/2.2.15/args.out"), "name --quickstart a b\n");
	turning_calls = 0;
	ag_runtime_process.signal(e.instance, AG_TERM);
	turning_until(turning_was_called, NULL); /* told by the kernel, not by a poll */
	e.count = 0;
	turning_until(turning_has_count, &e);
	ag_runtime_process.close(e.instance);
}

static void
test_environment(void **state)
{
	struct turning_processes e = { turning_open(), 3 };
	const char *env;
	char line[2048];

	(void)state;
	assert_int_equal(setenv("SECRET_OF_THE_AGENT", "x", 1), 0);
	FM_COPY(turning_settings.start_command, three);
	FM_COPY(turning_settings.migrate_args, "--quickstart");
	assert_int_equal(ag_runtime_process.start(e.instance, "2.2.15", FM_START_PLAIN, &err), 0);
	turning_until(turning_has_count, &e);
	env = folder_read("app/releases/2.2.15/env.out");
	assert_non_null(strstr(env, "\nAPP_KEY=sec ret\n"));
	assert_non_null(strstr(env, "FERMATA_NODE=app1\n"));
	assert_non_null(strstr(env, "NB_SKIP_STARTUP_UPDATE=1\n"));
	/* Of this node, whatever the shared file says. */
	(void)snprintf(line, sizeof(line), "SOCKET_PATH=%s/gateway.sock\n",
		       turning_settings.node_dir);
	assert_non_null(strstr(env, line));
	(void)snprintf(line, sizeof(line), "APP_ENV_PATH=%s\n", turning_settings.env_file);
	assert_non_null(strstr(env, line));
	(void)snprintf(line, sizeof(line),
		       "PATH=%s/releases/2.2.15/node_modules/.bin:", turning_settings.root);
	assert_non_null(strstr(env, line));
	assert_null(strstr(env, "SECRET_OF_THE_AGENT"));
	/* And nothing that a start with leave to migrate would have. */
	assert_string_equal(folder_read("app/releases/2.2.15/args.out"), "name\n");
	ag_runtime_process.signal(e.instance, AG_KILL);
	e.count = 0;
	turning_until(turning_has_count, &e);
	ag_runtime_process.close(e.instance);
}

static void
test_kill_of_the_deaf(void **state)
{
	struct turning_processes e = { turning_open(), 2 };

	(void)state;
	FM_COPY(turning_settings.start_command, "sh -c 'trap \"\" TERM; sleep 300 & wait; wait' x");
	assert_int_equal(ag_runtime_process.start(e.instance, "2.2.15", FM_START_PLAIN, &err), 0);
	turning_until(turning_has_count, &e);
	ag_runtime_process.signal(e.instance, AG_TERM);
	assert_true(turning_has_count(&e)); /* an ignored TERM is inherited */
	ag_runtime_process.signal(e.instance, AG_KILL);
	e.count = 0;
	turning_until(turning_has_count, &e);
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
	struct turning_processes e = { turning_open(), 3 };

	(void)state;
	FM_COPY(turning_settings.start_command, three);
	assert_int_equal(ag_runtime_process.start(e.instance, "2.2.15", FM_START_PLAIN, &err), 0);
	turning_until(turning_has_count, &e);
	ag_runtime_process.close(e.instance);
	/* Another node of the same name, of another agent, which remembers that number: not its
	 * affair. */
	FM_COPY(turning_settings.state_dir, folder_path("other"));
	folder_write("other/application.session",
		     spoilt_session(folder_read("state/application.session")));
	e.instance = turning_open();
	e.count = 0;
	assert_true(turning_has_count(&e));
	ag_runtime_process.close(e.instance);
	/* With nothing remembered but its own name. */
	FM_COPY(turning_settings.state_dir, folder_path("state"));
	assert_int_equal(unlink(folder_path("state/application.session")), 0);
	e.instance = turning_open();
	e.count = 3;
	assert_true(turning_has_count(&e));
	turning_calls = 0;
	ag_runtime_process.signal(e.instance, AG_KILL);
	turning_until(turning_was_called, NULL);
	e.count = 0;
	turning_until(turning_has_count, &e);
	ag_runtime_process.close(e.instance);
}

/* One that hides its environment is found by its session, by a new life, too. */
static void
test_adoption_by_session(void **state)
{
	struct turning_processes e = { turning_open(), 2 };

	(void)state;
	FM_COPY(turning_settings.start_command, "env -i /bin/sh -c 'sleep 300 & wait'");
	assert_int_equal(ag_runtime_process.start(e.instance, "2.2.15", FM_START_PLAIN, &err), 0);
	turning_until(turning_has_count, &e);
	ag_runtime_process.close(e.instance);
	e.instance = turning_open();
	assert_true(turning_has_count(&e));
	ag_runtime_process.signal(e.instance, AG_KILL);
	e.count = 0;
	turning_until(turning_has_count, &e);
	ag_runtime_process.close(e.instance);
}

static void
test_start_fails(void **state)
{
	struct ag_instance *in = turning_open();

	(void)state;
	FM_COPY(turning_settings.start_command, "true");
	assert_int_equal(ag_runtime_process.start(in, "9.9.9", FM_START_PLAIN, &err), -1);
	assert_non_null(strstr(err.text, "9.9.9"));
	FM_COPY(turning_settings.env_file, folder_path("nowhere"));
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

static enum ag_listener
whose(const char *host, unsigned port, const struct ag_pids *ours, char *who, size_t size)
{
	struct ag_inodes held = { .count = 0 };

	return ag_foreign_listener(host, port, ours, &held, who, size);
}

/* What ours listened on a moment ago is no stranger's; if it stays, it is. */
static void
test_listener_of_the_dying(void **state)
{
	const struct ag_pids us = { 1, { getpid() } }, nobody = { 0 };
	struct ag_inodes held = { .count = 0 };
	char who[160];
	unsigned port;
	int fd = listen_somewhere("127.0.0.1", &port);

	(void)state;
	assert_int_equal(ag_foreign_listener("127.0.0.1", port, &us, &held, who, sizeof(who)),
			 AG_LISTENER_NONE);
	assert_int_equal(held.count, 1);
	assert_int_equal(ag_foreign_listener("127.0.0.1", port, &nobody, &held, who, sizeof(who)),
			 AG_LISTENER_UNSEEN);
	assert_int_equal(ag_foreign_listener("127.0.0.1", port, &nobody, &held, who, sizeof(who)),
			 AG_LISTENER_SEEN);
	(void)close(fd);
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
	assert_int_equal(whose("127.0.0.1", port, &nobody, who, sizeof(who)), AG_LISTENER_SEEN);
	assert_non_null(strstr(who, pid));
	assert_int_equal(whose("127.0.0.1", port, &us, who, sizeof(who)), AG_LISTENER_NONE);
	assert_string_equal(who, "");
	assert_int_equal(whose("127.0.0.2", port, &nobody, who, sizeof(who)), AG_LISTENER_NONE);
	assert_int_equal(whose("0.0.0.0", port, &nobody, who, sizeof(who)), AG_LISTENER_SEEN);
	(void)close(fd);
	assert_int_equal(whose("127.0.0.1", port, &nobody, who, sizeof(who)), AG_LISTENER_NONE);
	fd = listen_somewhere("0.0.0.0", &port);
	assert_int_equal(whose("127.0.0.1", port, &nobody, who, sizeof(who)), AG_LISTENER_SEEN);
	(void)close(fd);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, turning_setup, turning_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_start_and_stop),	TEST(test_environment),
		TEST(test_kill_of_the_deaf),	TEST(test_adoption),
		TEST(test_adoption_by_session), TEST(test_start_fails),
		TEST(test_foreign_listener),	TEST(test_listener_of_the_dying),
	};

	return cmocka_run_group_tests_name("agent process", tests, NULL, NULL);
}
