/* The journal keeps what it is given, for one process at a time. */
#include "journal_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <sqlite3.h>

static void
fill(char *dst, size_t size, char c)
{
	memset(dst, c, size - 1);
	dst[size - 1] = '\0';
}
#define FILL(field, c) fill((field), sizeof(field), (c))

static void
test_begins_empty(void **state)
{
	struct co_journal *journal = open_journal(*state);
	struct co_run_row run;
	struct fm_err err;
	uint8_t *body = (uint8_t *)1;
	size_t size = 1;

	assert_int_equal(co_journal_load(journal, &body, &size, NULL), 0);
	assert_null(body);
	assert_int_equal(size, 0);
	assert_int_equal(last_number(journal), 0);
	assert_int_equal(co_journal_run(journal, 3, &run, &err), -1);
	assert_int_equal(err.kind, FM_ERR_REFUSED);
	assert_int_equal(co_journal_median_ms(journal, "upgrade", "fence", 5), -1);
	co_journal_close(journal);
}

static void
test_keeps_every_field(void **state)
{
	struct co_journal *journal = open_journal(*state);
	struct co_run_row run = { .run = UINT32_MAX,
				  .began_ms = 1,
				  .ended_ms = 2,
				  .closed_ms = 3,
				  .opened_ms = INT64_MAX };
	struct co_event_row event = { .run = UINT32_MAX, .number = 7, .at_ms = 8, .took_ms = 9 };
	struct co_point_row point = { .run = 5,
				      .at_ms = 6,
				      .database_bytes = 1ULL << 40,
				      .storage_bytes = 7,
				      .tables = 104,
				      .rows = 9,
				      .verified = true };
	_cleanup_free_ struct co_event_row *events = NULL;
	_cleanup_free_ struct co_point_row *points = NULL;
	struct co_run_row got;
	unsigned count;

	FILL(run.procedure, 'p'), FILL(run.args, 'a'), FILL(run.who, 'w'), FILL(run.state, 's');
	FILL(run.end, 'e'), FILL(run.text, 't'), FILL(run.next, 'n'), FILL(run.why, 'y');
	FILL(run.restore_point, 'r'), FILL(event.kind, 'k'), FILL(event.step, 'q');
	FILL(event.text, '\''), FILL(point.id, 'i'), FILL(point.version, 'v'),
		FILL(point.node, 'd');
	assert_int_equal(co_journal_commit(journal,
					   &(struct co_commit){ .state = (const uint8_t *)"x",
								.state_size = 1,
								.run = &run,
								.events = &event,
								.event_count = 1,
								.point = &point },
					   NULL),
			 0);
	co_journal_close(journal);

	journal = open_journal(*state);
	assert_int_equal(co_journal_run(journal, UINT32_MAX, &got, NULL), 0);
	assert_memory_equal(&got, &run, sizeof run);
	assert_int_equal(co_journal_events(journal, UINT32_MAX, 6, 1, &events, &count, NULL), 0);
	assert_int_equal(count, 1);
	assert_memory_equal(events, &event, sizeof event);
	assert_int_equal(co_journal_points(journal, &points, &count, NULL), 0);
	assert_int_equal(count, 1);
	assert_memory_equal(points, &point, sizeof point);
	co_journal_close(journal);
}

static void
test_replaces_and_orders(void **state)
{
	struct co_journal *journal = open_journal(*state);
	struct co_point_row swept = { .id = "rp-2", .run = 2, .at_ms = 2, .swept = true };
	_cleanup_free_ struct co_run_row *runs = NULL;
	_cleanup_free_ struct co_point_row *points = NULL;
	_cleanup_free_ struct co_event_row *events = NULL;
	unsigned count;

	for (uint64_t n = 1; n <= 4; n++) assert_int_equal(commit_number(journal, n, NULL), 0);
	assert_int_equal(commit_number(journal, 4, NULL), 0);
	assert_int_equal(co_journal_runs(journal, 3, &runs, &count, NULL), 0);
	assert_int_equal(count, 3);
	assert_int_equal(runs[0].run, 4);
	assert_int_equal(runs[2].run, 2);
	assert_int_equal(co_journal_events(journal, 4, 1, 9, &events, &count, NULL), 0);
	assert_int_equal(count, 1);
	assert_int_equal(events[0].number, 2);
	assert_int_equal(co_journal_commit(journal,
					   &(struct co_commit){ .state = NULL, .point = &swept },
					   NULL),
			 0);
	assert_int_equal(co_journal_points(journal, &points, &count, NULL), 0);
	assert_int_equal(count, 3);
	assert_string_equal(points[0].id, "rp-4");
	assert_string_equal(points[1].id, "rp-3");
	assert_string_equal(points[2].id, "rp-1");
	co_journal_close(journal);
}

static void
test_median(void **state)
{
	struct co_journal *journal = open_journal(*state);

	for (uint64_t n = 1; n <= 9; n++) assert_int_equal(commit_number(journal, n, NULL), 0);
	assert_int_equal(co_journal_median_ms(journal, "upgrade", "close gates", 100), 5);
	assert_int_equal(co_journal_median_ms(journal, "upgrade", "close gates", 3), 8);
	assert_int_equal(co_journal_median_ms(journal, "upgrade", "close gates", 4), 7);
	assert_int_equal(co_journal_median_ms(journal, "restart", "close gates", 3), -1);
	assert_int_equal(co_journal_median_ms(journal, "upgrade", "fence", 3), -1);
	co_journal_close(journal);
}

struct ended {
	char text[400];
	uint64_t count;
};

static void
add_ended(void *arg, const char *procedure, const char *end, uint64_t count, uint64_t last_run)
{
	struct ended *ended = arg;

	FM_APPEND(ended->text, "%s %s %llu %llu; ", procedure, end, (unsigned long long)count,
		  (unsigned long long)last_run);
	ended->count += count;
}

/* Told is how many, and up to which; a run that has not ended is none of them. */
static void
test_ends_are_counted(void **state)
{
	static const struct co_run_row rows[] = {
		{ .run = 1, .procedure = "upgrade", .end = "done" },
		{ .run = 2, .procedure = "upgrade", .end = "refused" },
		{ .run = 3, .procedure = "upgrade", .end = "done" },
		{ .run = 4, .procedure = "upgrade", .end = "" },
	};
	struct co_journal *journal = open_journal(*state);
	struct ended ended = { .count = 0 };
	uint64_t before = co_journal_bytes(journal);

	assert_int_equal(co_journal_ends(journal, add_ended, &ended, NULL), 0);
	assert_int_equal(ended.count, 0);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct co_commit commit = { .state = (const uint8_t *)"", .run = &rows[i] };

		assert_int_equal(co_journal_commit(journal, &commit, NULL), 0);
	}
	assert_int_equal(co_journal_ends(journal, add_ended, &ended, NULL), 0);
	assert_string_equal(ended.text, "upgrade done 2 3; upgrade refused 1 2; ");
	assert_true(before > 0 && co_journal_bytes(journal) > before);
	co_journal_close(journal);
}

static void
test_is_for_its_owner_only(void **state)
{
	const struct folder *folder = *state;
	mode_t old = umask(0);
	struct co_journal *journal = open_journal(folder);
	static const char *const endings[] = { "", "-wal", "-shm", ".lock" };
	struct stat st;
	char path[128];

	umask(old);
	assert_int_equal(commit_number(journal, 1, NULL), 0);
	for (size_t i = 0; i < 4; i++) {
		FM_FORMAT(path, "%s%s", folder->journal, endings[i]);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
	}
	co_journal_close(journal);
}

/* A child opens, says so, and waits for its end by kill -9. */
static pid_t
start_holder(const struct folder *folder)
{
	int said[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe(said), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct co_journal *journal;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (co_journal_open(folder->journal, &journal, NULL) < 0) _exit(1);
		if (write(said[1], "x", 1) != 1) _exit(1);
		for (;;) pause();
	}
	close(said[1]);
	assert_int_equal(read(said[0], &c, 1), 1);
	close(said[0]);
	return pid;
}

static void
test_one_process(void **state)
{
	const struct folder *folder = *state;
	pid_t pid = start_holder(folder);
	struct co_journal *journal = NULL;
	struct fm_err err;
	char want[32];

	FM_FORMAT(want, "process %ld;", (long)pid);
	assert_int_equal(co_journal_open(folder->journal, &journal, &err), -1);
	assert_int_equal(err.kind, FM_ERR_REFUSED);
	assert_non_null(strstr(err.text, want));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	journal = open_journal(folder);
	assert_int_equal(commit_number(journal, 1, NULL), 0);
	co_journal_close(journal);
}

static void
test_damaged(void **state)
{
	const struct folder *folder = *state;
	struct co_journal *journal = open_journal(folder);
	struct fm_err err;
	char noise[4096];
	int fd;

	for (uint64_t n = 1; n <= 20; n++) assert_int_equal(commit_number(journal, n, NULL), 0);
	co_journal_close(journal);
	memset(noise, 0xa5, sizeof noise);
	fd = open(folder->journal, O_WRONLY);
	for (off_t at = 4096; at < 16 * 4096; at += 4096)
		assert_int_equal(pwrite(fd, noise, sizeof noise, at), sizeof noise);
	close(fd);
	assert_int_equal(co_journal_open(folder->journal, &journal, &err), -1);
	assert_int_equal(err.kind, FM_ERR_IO);
	assert_non_null(strstr(err.text, "is damaged"));
	assert_non_null(strstr(err.text, ".recover"));
}

static void
test_no_database_at_all(void **state)
{
	const struct folder *folder = *state;
	struct co_journal *journal;
	struct fm_err err;
	FILE *f = fopen(folder->journal, "w");

	for (int i = 0; i < 1000; i++) fputs("these are no pages of a database\n", f);
	fclose(f);
	assert_int_equal(co_journal_open(folder->journal, &journal, &err), -1);
	assert_non_null(strstr(err.text, "is damaged"));
}

static void
run_sql(const struct folder *folder, const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(folder->journal, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void
test_newer_and_foreign(void **state)
{
	const struct folder *folder = *state;
	struct co_journal *journal;
	struct fm_err err;

	co_journal_close(open_journal(folder));
	run_sql(folder, "pragma user_version = 99");
	assert_int_equal(co_journal_open(folder->journal, &journal, &err), -1);
	assert_int_equal(err.kind, FM_ERR_CONFIG);
	assert_non_null(strstr(err.text, "newer Fermata"));
	run_sql(folder, "pragma user_version = 1; pragma application_id = 5");
	assert_int_equal(co_journal_open(folder->journal, &journal, &err), -1);
	assert_non_null(strstr(err.text, "another program"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_folder, drop_folder)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_begins_empty),	TEST(test_keeps_every_field),
		TEST(test_replaces_and_orders), TEST(test_median),
		TEST(test_ends_are_counted),	TEST(test_is_for_its_owner_only),
		TEST(test_one_process),		TEST(test_damaged),
		TEST(test_no_database_at_all),	TEST(test_newer_and_foreign),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
