/* Telling people, with a real command and a real journal: each once and in order; again when it fails, and over
 * a crash; never by one that hangs for ever. */
#include "coordinator/notify.h"

#include <event2/event.h>
#include <sched.h>
#include <signal.h>

#include "base/log.h"
#include "base/mono.h"
#include "store/journal_fixture.h"

#define WAIT_MS 20000

static struct folder *folder;
static struct co_settings settings;
static struct co_journal *journal;
static struct event_base *base;
static struct co_notify *notify;
static uint64_t last; /* number of the newest event of run 1 */

static int
set_up(void **state)
{
	if (make_folder(state) != 0) return -1;
	folder = *state;
	fm_log_set_level((enum fm_log_level)0); /* some are to fail, and say so */
	settings = (struct co_settings){ .notify_ms = 10000, .again_ms = 10 };
	FM_COPY(settings.cluster, "shop");
	FM_COPY(settings.notify_on, "all");
	FM_COPY(settings.state_dir, folder->path);
	journal = open_journal(folder);
	base = event_base_new();
	notify = NULL;
	last = 0;
	return 0;
}

static int
tear_down(void **state)
{
	static const char *const files[] = { "told", "notified", "tries", "sleeper" };
	char path[128];

	co_notify_close(notify);
	(void)event_base_loop(base, EVLOOP_NONBLOCK);
	event_base_free(base);
	co_journal_close(journal);
	for (size_t i = 0; i < COUNT(files); i++) {
		FM_FORMAT(path, "%s/%s", folder->path, files[i]);
		unlink(path);
	}
	return drop_folder(state);
}

/* Runs in the folder. */
static void
command(const char *script)
{
	FM_FORMAT(settings.notify, "/bin/sh -c 'cd %s; %s'", folder->path, script);
}

static void
begin_life(void)
{
	notify = co_notify_open(base, &settings, journal, last ? 1 : 0, last);
	assert_non_null(notify);
}

static void
end_life(void)
{
	co_notify_close(TAKE(notify));
	(void)event_base_loop(base, EVLOOP_NONBLOCK);
}

static void
happen(const char *kind, const char *text)
{
	struct co_run_row run = { .run = 1, .began_ms = 1 };
	struct co_event_row event = { .run = 1, .number = ++last, .at_ms = 7000 };
	struct fm_err err;

	FM_COPY(run.args, "upgrade --to 2.2.16");
	FM_COPY(run.next, "fermata attach 1");
	FM_COPY(event.kind, kind);
	FM_COPY(event.step, "start first");
	FM_COPY(event.text, text);
	assert_int_equal(co_journal_commit(journal,
					   &(struct co_commit){ .state = (const uint8_t *)"s",
								.state_size = 1,
								.run = &run,
								.events = &event,
								.event_count = 1 },
					   &err),
			 0);
	if (notify) co_notify_event(notify, 1, last);
}

static const char *
contents(const char *name)
{
	static char text[8192];
	char path[128];
	_cleanup_fclose_ FILE *file = NULL;

	FM_FORMAT(path, "%s/%s", folder->path, name);
	file = fopen(path, "re");
	text[file ? fread(text, 1, sizeof(text) - 1, file) : 0] = '\0';
	return text;
}

/* Turns the loop until a file has just this. */
static void
await(const char *name, const char *text)
{
	struct fm_mono begun = fm_mono_now();

	while (strcmp(contents(name), text) != 0) {
		struct timeval slice = { .tv_usec = 2000 };

		if (fm_mono_since(fm_mono_now(), begun) > WAIT_MS)
			fail_msg("%s is \"%s\", not \"%s\"", name, contents(name), text);
		event_base_loopexit(base, &slice);
		event_base_dispatch(base);
	}
}

static void
await_place(uint64_t number)
{
	char text[32];

	FM_FORMAT(text, "1 %llu\n", (unsigned long long)number);
	await("notified", text);
}

static void
test_each_once_and_in_order(void **state)
{
	(void)state;
	happen("begin", "before anybody was to be told");
	command("echo $FERMATA_EVENT $FERMATA_RUN $FERMATA_ATTENTION >> told");
	begin_life();
	happen("step", "x");
	happen("halted", "it has crashed");
	happen("done", "x");
	happen("end", "done");
	await("told", "halted 1 yes\nend 1 no\n");
	await_place(last);
	end_life();
	begin_life();
	happen("begin", "x");
	await("told", "halted 1 yes\nend 1 no\nbegin 1 no\n");
}

static void
test_words_and_environment(void **state)
{
	(void)state;
	command("cat > told; env | grep ^FERMATA_ | sort >> told; echo ${SECRET-none} >> told");
	setenv("SECRET", "s3cret", 1);
	begin_life();
	happen("halted", "it has crashed");
	await("told", "shop: upgrade --to 2.2.16 stands still at \"start first\"\n"
		      "it has crashed\n"
		      "\n"
		      "Now: \n"
		      "Type: fermata attach 1\n"
		      "Run 1, begun by \n"
		      "FERMATA_AT=7\n"
		      "FERMATA_ATTENTION=yes\n"
		      "FERMATA_CLUSTER=shop\n"
		      "FERMATA_COMMAND=upgrade --to 2.2.16\n"
		      "FERMATA_END=\n"
		      "FERMATA_EVENT=halted\n"
		      "FERMATA_NEXT=fermata attach 1\n"
		      "FERMATA_RUN=1\n"
		      "FERMATA_STATE=\n"
		      "FERMATA_STEP=start first\n"
		      "FERMATA_SUBJECT=shop: upgrade --to 2.2.16 stands still at \"start first\"\n"
		      "FERMATA_TEXT=it has crashed\n"
		      "FERMATA_WHO=\n"
		      "none\n");
}

/* A line of an application's becomes no line of a mail's head. */
static void
test_foreign_text(void **state)
{
	(void)state;
	command("echo \"$FERMATA_TEXT\" > told; wc -l >> told");
	begin_life();
	happen("held", "one\r\nBcc: two\033[31m\xff");
	await("told", "one  Bcc: two?[31m?\n6\n");
}

static void
test_attention_only(void **state)
{
	(void)state;
	FM_COPY(settings.notify_on, "attention");
	command("echo $FERMATA_EVENT >> told");
	begin_life();
	happen("begin", "x");
	happen("held", "x");
	happen("end", "done");
	happen("end", "rolled-back");
	await("told", "held\nend\n");
}

static void
test_what_fails_is_tried_again(void **state)
{
	(void)state;
	command("echo x >> tries; [ $(wc -l < tries) -gt 1 ] || { echo no route >&2; exit 3; }; "
		"echo $FERMATA_TEXT >> told");
	begin_life();
	happen("held", "one");
	await("tries", "x\n");
	await("told", "one\n");
	await_place(1);
	assert_string_equal(contents("tries"), "x\nx\n");
	assert_string_equal(co_notify_failure(notify), "");
}

static void
test_after_three_times_the_next(void **state)
{
	(void)state;
	command("echo $FERMATA_TEXT >> tries; [ $FERMATA_TEXT = two ] || { echo no route >&2; exit 3; }; "
		"echo $FERMATA_TEXT >> told");
	begin_life();
	happen("held", "one");
	await("tries", "one\none\none\n");
	await_place(1);
	assert_string_equal(contents("tries"), "one\none\none\n");
	assert_string_equal(co_notify_failure(notify), "exit 3: no route");
	happen("held", "two");
	await("told", "two\n");
	await_place(2);
	assert_string_equal(co_notify_failure(notify), "");
}

static void
test_what_hangs_is_killed(void **state)
{
	struct fm_mono begun = fm_mono_now();
	pid_t sleeper;

	(void)state;
	settings.notify_ms = 1000;
	command("[ -e sleeper ] || { sleep 600 & echo $! > sleeper; wait; }; echo told > told");
	begin_life();
	happen("held", "one");
	await("told", "told\n");
	sleeper = (pid_t)strtol(contents("sleeper"), NULL, 10);
	assert_true(sleeper > 1);
	/* Not our child: whoever reaps it may take a moment. */
	while (kill(sleeper, 0) == 0 && fm_mono_since(fm_mono_now(), begun) < WAIT_MS)
		(void)sched_yield();
	assert_int_equal(kill(sleeper, 0), -1);
}

static void
test_again_over_a_crash(void **state)
{
	(void)state;
	command("echo x >> tries; [ $(wc -l < tries) -gt 1 ] || sleep 600; echo $FERMATA_TEXT >> told");
	begin_life();
	happen("held", "one");
	await("tries", "x\n");
	end_life();
	happen("held", "two");
	begin_life();
	await("told", "one\ntwo\n");
}

static void
test_a_program_that_is_not_there(void **state)
{
	(void)state;
	FM_COPY(settings.notify, "/nowhere/page-me");
	begin_life();
	happen("held", "one");
	await_place(1);
	assert_non_null(strstr(co_notify_failure(notify), "/nowhere/page-me"));
}

/* Rubbish, or a place ahead of the journal: what is there already is not told. */
static void
test_a_place_that_cannot_be(void **state)
{
	static const char *const places[] = { "", "rubbish\n", "7 7\n", "1 99\n" };
	char path[128], told[64] = "";

	(void)state;
	command("echo $FERMATA_TEXT >> told");
	FM_FORMAT(path, "%s/notified", folder->path);
	happen("held", "old");
	for (size_t i = 0; i < COUNT(places); i++) {
		FILE *file = fopen(path, "we");

		assert_true(file && fputs(places[i], file) >= 0 && fclose(file) == 0);
		begin_life();
		happen("held", "new");
		FM_APPEND(told, "new\n");
		await("told", told);
		end_life();
	}
}

static void
test_a_trial(void **state)
{
	_cleanup_free_ char *said = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&said, &size);
	struct fm_err err;

	(void)state;
	command("cat; exit $(wc -l < /dev/null)");
	assert_int_equal(co_notify_try(&settings, out, &err), 0);
	(void)fflush(out);
	assert_non_null(strstr(said, "  shop: this is a trial of [notify] command\n"));
	command("echo no route; exit 4");
	assert_int_equal(co_notify_try(&settings, out, &err), -1);
	assert_string_equal(err.text, "exit 4: no route");
	settings.notify[0] = '\0';
	assert_int_equal(co_notify_try(&settings, out, &err), -1);
	assert_string_equal(err.text, "[notify] command is not set");
	(void)fclose(out);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_each_once_and_in_order),
		TEST(test_words_and_environment),
		TEST(test_foreign_text),
		TEST(test_attention_only),
		TEST(test_what_fails_is_tried_again),
		TEST(test_after_three_times_the_next),
		TEST(test_what_hangs_is_killed),
		TEST(test_again_over_a_crash),
		TEST(test_a_program_that_is_not_there),
		TEST(test_a_place_that_cannot_be),
		TEST(test_a_trial),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
