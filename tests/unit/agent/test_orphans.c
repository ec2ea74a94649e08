/* Processes that have left parent, session and environment behind: found, ended, buried. */
#include "made_up.h"

#include "turning.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/runtimes/runtime.h"
#include "base/text.h"
#include "loop/child.h"

/* A daemon, made as daemons are made: a child that ends at once, a session of its own, and of the
 * environment only what it is given. Its number is in daemon.pid. */
#define DAEMON(env, seconds)                                                                           \
	"sh -c 'sh -c \"env -i " env                                                                   \
	" setsid sh -c \\\"echo \\\\$\\\\$ >daemon.new; mv daemon.new daemon.pid; exec sleep " seconds \
	"\\\" & exit 0\"; exec sleep 300'"
#define PID_FILE "app/releases/2.2.15/daemon.pid"

static struct fm_err err;

static bool
has_file(void *arg)
{
	return access(folder_path(arg), F_OK) == 0;
}

static char pid_file[] = PID_FILE;

/* The daemon's number, once it is there. */
static pid_t
start(struct turning_processes *e, const char *command)
{
	(void)unlink(folder_path(pid_file));
	FM_COPY(turning_settings.start_command, command);
	assert_int_equal(ag_runtime_process.start(e->instance, "2.2.15", FM_START_PLAIN, &err), 0);
	turning_until(has_file, pid_file);
	return (pid_t)strtol(folder_read(pid_file), NULL, 10);
}

static void
end(struct turning_processes *e)
{
	ag_runtime_process.signal(e->instance, AG_KILL);
	e->count = 0;
	turning_until(turning_has_count, e);
	ag_runtime_process.close(e->instance);
}

static void
test_one_without_marks_is_found_and_ended(void **state)
{
	struct turning_processes e = { turning_open(), 2 };
	pid_t daemon = start(&e, DAEMON("", "300"));

	(void)state;
	turning_until(turning_has_count, &e);
	assert_int_equal(getsid(daemon), daemon);
	ag_runtime_process.signal(e.instance, AG_TERM);
	e.count = 0;
	turning_until(turning_has_count, &e);
	assert_int_equal(kill(daemon, 0), -1);
	assert_int_equal(errno, ESRCH);
	ag_runtime_process.close(e.instance);
}

/* It finds the application without the daemon, and ends it without the daemon. */
static void
next_life_leaves_alone(struct turning_processes *e, pid_t daemon)
{
	e->instance = turning_open();
	e->count = 1;
	assert_true(turning_has_count(e));
	end(e);
	assert_int_equal(kill(daemon, SIGKILL), 0);
}

/* A new life of the agent is nobody's parent; it has what the one before wrote down. */
static void
test_it_is_known_to_the_next_life(void **state)
{
	struct turning_processes e = { turning_open(), 2 };
	pid_t daemon = start(&e, DAEMON("", "300"));

	(void)state;
	turning_until(turning_has_count, &e);
	ag_runtime_process.close(e.instance);
	e.instance = turning_open();
	assert_true(turning_has_count(&e));
	ag_runtime_process.close(e.instance);
	/* A child that nobody has written down was here before the agent: it is somebody else's. */
	assert_int_equal(unlink(folder_path("state/application.known")), 0);
	next_life_leaves_alone(&e, daemon);
}

/* The same number, born at another time, is somebody else. */
static void
test_a_number_alone_is_not_known(void **state)
{
	struct turning_processes e = { turning_open(), 2 };
	pid_t daemon = start(&e, DAEMON("", "300"));
	char boot[40], text[160], written[32];

	(void)state;
	turning_until(turning_has_count, &e);
	ag_runtime_process.close(e.instance);
	assert_int_equal(sscanf(folder_read("state/application.known"), "%39s", boot), 1);
	(void)snprintf(written, sizeof(written), "\n%d ", (int)daemon);
	assert_non_null(strstr(folder_read("state/application.known"), written));
	(void)snprintf(text, sizeof(text), "%s\n%d 1\n", boot, (int)daemon);
	folder_write("state/application.known", text);
	next_life_leaves_alone(&e, daemon);
}

/* It outlives the hook, or the fetch, on purpose, and is no process of the application. */
static void
leave_alone(const char *command)
{
	struct turning_processes e = { turning_open(), 1 };
	pid_t daemon = start(&e, command);

	turning_until(turning_has_count, &e);
	end(&e);
	assert_int_equal(kill(daemon, 0), 0);
	assert_int_equal(kill(daemon, SIGKILL), 0);
}

static void
test_what_a_hook_left_is_not_ours(void **state)
{
	(void)state;
	leave_alone(DAEMON("FERMATA_HOOK=after_start", "300"));
}

static void
test_what_a_fetch_left_is_not_ours(void **state)
{
	(void)state;
	leave_alone(DAEMON("FERMATA_RELEASE_DIR=/somewhere", "300"));
}

static bool
is_buried(void *arg)
{
	return kill(*(pid_t *)arg, 0) < 0 && errno == ESRCH;
}

/* Nobody has seen it alive, and nobody looks. */
static void
test_the_dead_are_buried_unseen(void **state)
{
	struct turning_processes e = { turning_open(), 1 };
	pid_t daemon = start(&e, DAEMON("", "0.05"));

	(void)state;
	turning_until(is_buried, &daemon);
	assert_true(turning_has_count(&e));
	end(&e);
}

/* Descendants of what is found are found, whoever is their parent's parent. */
static void
test_a_child_without_marks_is_found(void **state)
{
	struct turning_processes e = { turning_open(), 3 };

	(void)state;
	FM_COPY(turning_settings.start_command,
		"sh -c 'env -i setsid sh -c \"sleep 300 & wait\" & exec sleep 300'");
	assert_int_equal(ag_runtime_process.start(e.instance, "2.2.15", FM_START_PLAIN, &err), 0);
	turning_until(turning_has_count, &e);
	end(&e);
}

static int worker_status;

static void
on_exited(void *arg, struct fm_child *child, int status)
{
	(void)arg;
	(void)child;
	worker_status = status;
}

static bool
has_exited(void *arg)
{
	(void)arg;
	return worker_status != -1;
}

/* The agent's own work is no orphan, and its end is told to who has started it. */
static void
test_a_worker_is_not_ours(void **state)
{
	static const struct fm_child_calls calls = { .exited = on_exited };
	static const char *const argv[] = { "sh", "-c", "read line; exit 7", NULL };
	const struct fm_child_plan plan = { .argv = argv,
					    .input = (const uint8_t *)"x\n",
					    .input_size = 2 };
	struct turning_processes e = { turning_open(), 0 };
	struct fm_child *child;

	(void)state;
	for (int i = 0; i < 20; i++) {
		worker_status = -1;
		child = fm_child_start(turning_base, &plan, &calls, NULL, &err);
		assert_non_null(child);
		assert_true(turning_has_count(&e));
		turning_until(has_exited, NULL);
		assert_true(WIFEXITED(worker_status));
		assert_int_equal(WEXITSTATUS(worker_status), 7);
	}
	ag_runtime_process.close(e.instance);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, turning_setup, turning_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_one_without_marks_is_found_and_ended),
		TEST(test_it_is_known_to_the_next_life),
		TEST(test_a_number_alone_is_not_known),
		TEST(test_what_a_hook_left_is_not_ours),
		TEST(test_what_a_fetch_left_is_not_ours),
		TEST(test_the_dead_are_buried_unseen),
		TEST(test_a_child_without_marks_is_found),
		TEST(test_a_worker_is_not_ours),
	};

	return cmocka_run_group_tests_name("agent orphans", tests, NULL, NULL);
}
