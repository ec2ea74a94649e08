#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/mono.h"
#include "base/text.h"
#include "loop/child.h"
#include "test.h"
#include "wire/frame.h"

#define WAIT_MS 10000

struct seen {
	struct event_base *base;
	char lines[12000];
	unsigned line_count, envelopes, exits;
	int status;
	char text[100];
	bool drops;
};

static void
on_line(void *arg, struct fm_child *child, const char *line)
{
	struct seen *seen = arg;

	seen->line_count++;
	(void)FM_APPEND(seen->lines, "%s|", line);
	if (seen->drops) fm_child_drop(child);
}

static void
on_envelope(void *arg, struct fm_child *child, const Fermata__Envelope *envelope)
{
	struct seen *seen = arg;

	(void)child;
	seen->envelopes++;
	(void)FM_COPY(seen->text, envelope->job_report->text);
}

static void
on_exited(void *arg, struct fm_child *child, int status)
{
	struct seen *seen = arg;

	(void)child;
	seen->exits++;
	seen->status = status;
}

static const struct fm_child_calls calls = { on_line, on_envelope, on_exited };
static struct seen seen;

static int
set_up(void **state)
{
	(void)state;
	fm_log_set_level((enum fm_log_level)0); /* some are to fail, and say so */
	memset(&seen, 0, sizeof seen);
	seen.base = event_base_new();
	return seen.base ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	(void)event_base_loop(seen.base, EVLOOP_NONBLOCK);
	event_base_free(seen.base);
	return 0;
}

static void
turn(unsigned ms)
{
	struct timeval t = { .tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000 };

	(void)event_base_loopexit(seen.base, &t);
	(void)event_base_dispatch(seen.base);
}

static void
wait_for(const unsigned *what, unsigned at_least)
{
	struct fm_mono end = fm_mono_after(fm_mono_now(), WAIT_MS);

	while (*what < at_least) {
		if (fm_mono_since(end, fm_mono_now()) < 0) fail_msg("nothing came: %u", *what);
		turn(5);
	}
}

static struct fm_child *
start(struct fm_child_plan plan, const char *script)
{
	const char *const argv[] = { "sh", "-c", script, NULL };
	struct fm_err err = { 0 };
	struct fm_child *child;

	plan.argv = argv;
	child = fm_child_start(seen.base, &plan, &calls, &seen, &err);
	if (!child) fail_msg("%s", err.text);
	return child;
}

static void
test_lines_then_the_exit(void **state)
{
	(void)state;
	(void)start((struct fm_child_plan){ 0 }, "echo one; echo two; printf three; exit 3");
	assert_int_equal(seen.line_count, 0); /* nothing happens inside our own call */
	wait_for(&seen.exits, 1);
	assert_string_equal(seen.lines, "one|two|three|");
	assert_true(WIFEXITED(seen.status));
	assert_int_equal(WEXITSTATUS(seen.status), 3);
}

static void
test_a_line_without_end_comes_in_parts(void **state)
{
	(void)state;
	(void)start((struct fm_child_plan){ 0 }, "head -c 10000 /dev/zero | tr '\\0' x");
	wait_for(&seen.exits, 1);
	assert_int_equal(seen.line_count, 3);
	assert_int_equal(strlen(seen.lines), 10000 + 3);
}

static void
test_input_is_written_and_closed(void **state)
{
	_cleanup_free_ uint8_t *input = fm_new(uint8_t, 500000);

	(void)state;
	memset(input, 'y', 500000); /* more than a pipe holds */
	(void)start((struct fm_child_plan){ .input = input, .input_size = 500000 }, "wc -c");
	wait_for(&seen.exits, 1);
	assert_string_equal(seen.lines, "500000|");
	(void)start((struct fm_child_plan){ 0 }, "wc -c"); /* no input is the end at once */
	wait_for(&seen.exits, 2);
	assert_string_equal(seen.lines, "500000|0|");
}

static void
test_a_child_that_does_not_read(void **state)
{
	_cleanup_free_ uint8_t *input = fm_new(uint8_t, 500000);

	(void)state;
	(void)start((struct fm_child_plan){ .input = input, .input_size = 500000 }, "exec true");
	wait_for(&seen.exits, 1);
	assert_int_equal(seen.status, 0);
}

static void
test_environment_and_folder(void **state)
{
	static const char *const env[] = { "PATH=/usr/bin:/bin", "A=b", NULL };

	(void)state;
	(void)start((struct fm_child_plan){ .env = env, .cwd = "/usr" }, "echo $A $HOME; pwd");
	wait_for(&seen.exits, 1);
	assert_string_equal(seen.lines, "b|/usr|");
}

static void
test_a_program_is_looked_up_in_its_own_path(void **state)
{
	static const char *const env[] = { "PATH=/nonexistent", NULL };
	static const char *const argv[] = { "true", NULL };
	struct fm_child_plan plan = { .argv = argv, .env = env };
	struct fm_err err = { 0 };

	(void)state;
	assert_null(fm_child_start(seen.base, &plan, &calls, &seen, &err));
	assert_string_equal(err.text, "run true: No such file or directory");
	assert_int_equal(err.sys, ENOENT);
	plan.env = NULL;
	plan.cwd = "/nonexistent";
	assert_null(fm_child_start(seen.base, &plan, &calls, &seen, &err));
	turn(20);
	assert_int_equal(seen.exits, 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nobody is left to reap */
	assert_int_equal(errno, ECHILD);
}

static void
test_our_signals_are_not_the_child_s(void **state)
{
	sigset_t set, old;

	(void)state;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &set, &old);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)start((struct fm_child_plan){ 0 }, "grep -E 'Sig(Blk|Ign)' /proc/self/status");
	wait_for(&seen.exits, 1);
	(void)sigprocmask(SIG_SETMASK, &old, NULL);
	assert_string_equal(seen.lines, "SigBlk:\t0000000000000000|SigIgn:\t0000000000000000|");
}

/* The process of this folder in /proc ends; whoever adopts it may be slow to reap it. */
static void
assert_gone(const char *folder)
{
	char path[120];

	(void)FM_FORMAT(path, "%s/stat", folder);
	for (int i = 0; i < 400; i++) {
		_cleanup_fclose_ FILE *f = fopen(path, "re");
		char line[200] = "";

		if (!f || !fgets(line, sizeof line, f) || strstr(line, ") Z")) return;
		turn(5);
	}
	fail_msg("%s lives on", folder);
}

static void
test_kill_reaches_the_whole_group(void **state)
{
	struct fm_child *child;
	char left[100];

	(void)state;
	child = start((struct fm_child_plan){ .own_group = true },
		      "sleep 1000 & echo $!; sleep 1000");
	wait_for(&seen.line_count, 1);
	(void)FM_FORMAT(left, "/proc/%s", seen.lines);
	left[strlen(left) - 1] = '\0';
	assert_int_equal(access(left, F_OK), 0);
	fm_child_kill(child);
	wait_for(&seen.exits, 1);
	assert_true(WIFSIGNALED(seen.status));
	assert_gone(left);
}

static void
test_what_is_left_of_a_group_ends_with_its_leader(void **state)
{
	char left[100];

	(void)state;
	(void)start((struct fm_child_plan){ .own_group = true }, "sleep 1000 & echo $!");
	wait_for(&seen.exits, 1);
	(void)FM_FORMAT(left, "/proc/%s", seen.lines);
	left[strlen(left) - 1] = '\0';
	assert_gone(left);
}

static void
test_somebody_who_holds_the_pipe_does_not_hold_us(void **state)
{
	struct fm_mono began = fm_mono_now();

	(void)state;
	(void)start((struct fm_child_plan){ 0 }, "sleep 30 & echo $!");
	wait_for(&seen.exits, 1);
	assert_true(fm_mono_since(fm_mono_now(), began) < 5000);
	assert_int_equal(seen.line_count, 1);
	seen.lines[strlen(seen.lines) - 1] = '\0';
	{
		unsigned long long pid;

		assert_true(fm_parse_u64(seen.lines, 2, 1 << 30, &pid));
		(void)kill((pid_t)pid, SIGKILL);
	}
}

static void
test_drop_is_silent_and_leaves_nothing(void **state)
{
	struct fm_child *child;

	(void)state;
	child = start((struct fm_child_plan){ 0 }, "echo x; exec sleep 1000");
	fm_child_drop(child);
	fm_child_drop(NULL);
	turn(20);
	assert_int_equal(seen.exits, 0);
	assert_int_equal(seen.line_count, 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	seen.drops = true; /* inside its own callback */
	(void)start((struct fm_child_plan){ 0 }, "echo x; echo y; exec sleep 1000");
	wait_for(&seen.line_count, 1);
	turn(20);
	assert_int_equal(seen.exits, 0);
	assert_int_equal(seen.line_count, 1);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

/* printf's octal for a JOB_REPORT {text: "hi"} frame. */
#define REPORT "\\0\\0\\0\\07\\312\\02\\04\\032\\02hi"

static void
test_frames(void **state)
{
	(void)state;
	(void)start((struct fm_child_plan){ .frames = true },
		    "printf '" REPORT
		    "'; printf '\\0\\0'; sleep 0.1; printf '\\0\\07\\312\\02\\04\\032\\02ho'");
	wait_for(&seen.exits, 1);
	assert_int_equal(seen.envelopes, 2);
	assert_string_equal(seen.text, "ho");
	assert_int_equal(seen.status, 0);
}

static void
test_a_child_that_breaks_the_protocol_is_ended(void **state)
{
	static const char *const scripts[] = {
		"echo not a frame; exec sleep 1000",
		"printf '\\0\\0\\0\\03\\032\\0\\0'; exec sleep 1000", /* HEARTBEAT: not a job's */
		"printf '\\0\\0\\0\\0'; exec sleep 1000",
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(scripts); i++) {
		(void)start((struct fm_child_plan){ .frames = true }, scripts[i]);
		wait_for(&seen.exits, i + 1);
		assert_true(WIFSIGNALED(seen.status));
		assert_int_equal(seen.envelopes, 0);
	}
}

static void
test_it_dies_with_us(void **state)
{
	unsigned long long pid = 0;
	int ends[2];
	char text[32] = "", path[40];
	pid_t parent;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	parent = fork();
	if (parent == 0) {
		static const char *const argv[] = { "sleep", "1000", NULL };
		const struct fm_child_plan plan = { .argv = argv, .dies_with_us = true };
		struct event_base *base = event_base_new();
		struct fm_child *child = fm_child_start(base, &plan, &calls, &seen, NULL);

		(void)FM_FORMAT(text, "%d", child ? (int)fm_child_pid(child) : 0);
		if (write(ends[1], text, strlen(text)) < 0) _exit(1);
		(void)pause();
		_exit(0);
	}
	(void)close(ends[1]);
	assert_true(read(ends[0], text, sizeof text - 1) > 0);
	(void)close(ends[0]);
	assert_true(fm_parse_u64(text, 2, 1 << 30, &pid));
	assert_int_equal(kill((pid_t)pid, 0), 0);
	(void)kill(parent, SIGKILL);
	(void)waitpid(parent, NULL, 0);
	(void)FM_FORMAT(path, "/proc/%llu", pid);
	assert_gone(path);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_lines_then_the_exit),
		TEST(test_a_line_without_end_comes_in_parts),
		TEST(test_input_is_written_and_closed),
		TEST(test_a_child_that_does_not_read),
		TEST(test_environment_and_folder),
		TEST(test_a_program_is_looked_up_in_its_own_path),
		TEST(test_our_signals_are_not_the_child_s),
		TEST(test_kill_reaches_the_whole_group),
		TEST(test_what_is_left_of_a_group_ends_with_its_leader),
		TEST(test_somebody_who_holds_the_pipe_does_not_hold_us),
		TEST(test_drop_is_silent_and_leaves_nothing),
		TEST(test_frames),
		TEST(test_a_child_that_breaks_the_protocol_is_ended),
		TEST(test_it_dies_with_us),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
