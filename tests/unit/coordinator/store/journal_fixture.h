/* journal_fixture.h - a journal in a folder of its own, and rows to put into it. */
#ifndef TEST_JOURNAL_FIXTURE_H
#define TEST_JOURNAL_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/test.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "coordinator/run/journal.h"

struct folder {
	char path[64], journal[96];
};

static inline int
make_folder(void **state)
{
	struct folder *folder = fm_new(struct folder, 1);

	FM_COPY(folder->path, "/tmp/fermata-journal-XXXXXX");
	if (!mkdtemp(folder->path)) return -1;
	FM_FORMAT(folder->journal, "%s/journal.db", folder->path);
	*state = folder;
	return 0;
}

static inline int
drop_folder(void **state)
{
	static const char *const endings[] = { "", "-wal", "-shm", "-journal", ".lock" };
	struct folder *folder = *state;
	char path[128];

	for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
		FM_FORMAT(path, "%s%s", folder->journal, endings[i]);
		unlink(path);
	}
	rmdir(folder->path);
	free(folder);
	return 0;
}

static inline struct co_journal *
open_journal(const struct folder *folder)
{
	struct co_journal *journal = NULL;
	struct fm_err err = { .text = "" };

	if (co_journal_open(folder->journal, &journal, &err) < 0) fail_msg("open: %s", err.text);
	return journal;
}

/* The n-th commit of a life: its number is in the state, the run, the event and the point. */
static inline int
commit_number(struct co_journal *journal, uint64_t n, struct fm_err *err)
{
	struct co_run_row run = { .run = n, .began_ms = (int64_t)n * 1000 };
	struct co_event_row events[2] = { { .run = n, .number = 1, .took_ms = (int64_t)n },
					  { .run = n, .number = 2, .took_ms = (int64_t)n } };
	struct co_point_row point = { .run = n, .at_ms = (int64_t)n, .verified = true };
	char body[3000];

	memset(body, 'a' + (int)(n % 26), sizeof body);
	FM_FORMAT(body, "%llu", (unsigned long long)n);
	FM_COPY(run.procedure, "upgrade");
	FM_COPY(run.state, "running");
	FM_COPY(events[0].kind, "begin");
	FM_COPY(events[1].kind, "done");
	FM_COPY(events[1].step, "close gates");
	FM_FORMAT(point.id, "rp-%llu", (unsigned long long)n);
	return co_journal_commit(journal,
				 &(struct co_commit){ .state = (const uint8_t *)body,
						      .state_size = sizeof body,
						      .run = &run,
						      .events = events,
						      .event_count = 2,
						      .point = &point },
				 err);
}

/* The number of the last commit, having checked that every earlier one is there and whole. */
static inline uint64_t
last_number(struct co_journal *journal)
{
	_cleanup_free_ uint8_t *body = NULL;
	_cleanup_free_ struct co_run_row *runs = NULL;
	_cleanup_free_ struct co_point_row *points = NULL;
	unsigned long long last = 0;
	unsigned run_count = 0, point_count = 0;
	size_t size;

	assert_int_equal(co_journal_load(journal, &body, &size, NULL), 0);
	if (body) {
		assert_int_equal(size, 3000);
		assert_true(fm_parse_u64((const char *)body, 1, UINT64_MAX, &last));
	}
	assert_int_equal(co_journal_runs(journal, 1 << 20, &runs, &run_count, NULL), 0);
	assert_int_equal(co_journal_points(journal, &points, &point_count, NULL), 0);
	assert_int_equal(run_count, last);
	assert_int_equal(point_count, last);
	for (unsigned i = 0; i < run_count; i++) {
		_cleanup_free_ struct co_event_row *events = NULL;
		unsigned count = 0;

		assert_int_equal(runs[i].run, last - i);
		assert_int_equal(points[i].run, last - i);
		assert_int_equal(co_journal_events(journal, last - i, 0, 10, &events, &count, NULL),
				 0);
		assert_int_equal(count, 2);
	}
	return last;
}

#endif
