/* notify.c - tells people who are not looking. It follows the journal behind the newest event, at its own
 * pace: what is slow or broken here holds up nothing else. */
#include "coordinator/notify.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clean.h"
#include "base/cleanup.h"
#include "base/environ.h"
#include "base/log.h"
#include "base/text.h"
#include "base/whole.h"
#include "base/words.h"
#include "coordinator/news.h"
#include "coordinator/run/journal.h"
#include "loop/child.h"
#include "loop/timer.h"

#define ATTEMPTS 3

struct co_notify {
	struct event_base *base;
	const struct co_settings *settings;
	struct co_journal *journal;
	char path[PATH_MAX];		/* of the file that keeps the place */
	uint64_t run, number;		/* the place: told up to here */
	uint64_t last_run, last_number; /* the newest event there is */
	struct co_event_row event;	/* the next one to tell, */
	struct co_run_row row;		/* its run, */
	struct co_news news;		/* and the words for it */
	struct event *turn;		/* look for the next, or try again */
	struct event *limit;
	struct fm_child *child;
	unsigned attempts;
	bool timed_out;
	char line[FM_TEXT_SIZE]; /* its last */
	char failure[FM_TEXT_SIZE];
	FILE *out; /* of a trial; else NULL */
};

/* ---- the place ---- */

static void
keep_place(struct co_notify *n)
{
	char text[64];
	struct fm_err err;

	FM_FORMAT(text, "%" PRIu64 " %" PRIu64 "\n", n->run, n->number);
	if (fm_write_whole(n->path, 0600, text, &err) == 0) return;
	fm_log(FM_LOG_WARNING, "what was told may be told again", "error=\"%s\"", err.text);
}

/* The kept place, if there is one that can be: not behind what is in the journal. */
static bool
find_place(struct co_notify *n)
{
	_cleanup_fclose_ FILE *file = fopen(n->path, "re");
	uint64_t run, number;

	if (file == NULL || fscanf(file, "%" SCNu64 " %" SCNu64, &run, &number) != 2) return false;
	if (run > n->last_run || (run == n->last_run && number > n->last_number)) return false;
	n->run = run;
	n->number = number;
	return true;
}

/* ---- one of them ---- */

static void
fill(const struct co_notify *n, struct fm_environ *env)
{
	char number[32], at[32];

	FM_FORMAT(number, "%" PRIu64, n->event.run);
	FM_FORMAT(at, "%lld", (long long)(n->event.at_ms / 1000));
	fm_environ_put_common(env);
	fm_environ_put_ours(env, "HOME", "/");
	fm_environ_put_ours(env, "USER", NULL);
	fm_environ_put(env, "FERMATA_CLUSTER", n->settings->cluster);
	fm_environ_put(env, "FERMATA_SUBJECT", n->news.subject);
	fm_environ_put(env, "FERMATA_ATTENTION", n->news.attention ? "yes" : "no");
	fm_environ_put(env, "FERMATA_EVENT", n->event.kind);
	fm_environ_put(env, "FERMATA_STEP", n->event.step);
	fm_environ_put(env, "FERMATA_TEXT", n->event.text);
	fm_environ_put(env, "FERMATA_AT", at);
	fm_environ_put(env, "FERMATA_RUN", number);
	fm_environ_put(env, "FERMATA_COMMAND", n->row.args);
	fm_environ_put(env, "FERMATA_WHO", n->row.who);
	fm_environ_put(env, "FERMATA_STATE", n->row.state);
	fm_environ_put(env, "FERMATA_END", n->row.end);
	fm_environ_put(env, "FERMATA_NEXT", n->row.next);
}

static void
told(struct co_notify *n)
{
	n->run = n->event.run;
	n->number = n->event.number;
	n->attempts = 0;
	keep_place(n);
	fm_timer_arm(n->turn, 0);
}

static void
failed(struct co_notify *n, const char *why)
{
	bool again = ++n->attempts < ATTEMPTS;

	FM_COPY(n->failure, why);
	if (!n->journal) return; /* of a trial its caller tells */
	fm_log(FM_LOG_WARNING,
	       again ? "people were not told; they will be" : "people were not told",
	       "subject=\"%s\" error=\"%s\"", n->news.subject, why);
	if (again)
		fm_timer_arm(n->turn, n->settings->again_ms * (n->attempts == 1 ? 1 : 10));
	else
		told(n);
}

static void
on_line(void *arg, struct fm_child *child, const char *line)
{
	struct co_notify *n = arg;

	(void)child;
	FM_COPY(n->line, line);
	if (n->out)
		(void)fprintf(n->out, "  %s\n", line);
	else
		fm_log(FM_LOG_DEBUG, "notify", "line=\"%s\"", line);
}

static void
on_exited(void *arg, struct fm_child *child, int status)
{
	struct co_notify *n = arg;
	char why[FM_TEXT_SIZE];

	(void)child;
	n->child = NULL;
	event_del(n->limit);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		n->failure[0] = '\0';
		if (n->journal) told(n);
		return;
	}
	if (n->timed_out)
		FM_FORMAT(why, "it took longer than %lld s and was killed",
			  n->settings->notify_ms / 1000);
	else
		FM_FORMAT(why, "%s %d", WIFSIGNALED(status) ? "killed by signal" : "exit",
			  WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	if (!fm_is_empty(n->line)) FM_APPEND(why, ": %s", n->line);
	failed(n, why);
}

static void
on_limit(evutil_socket_t fd, short what, void *arg)
{
	struct co_notify *n = arg;

	(void)fd;
	(void)what;
	n->timed_out = true;
	fm_child_kill(n->child);
}

static void
tell(struct co_notify *n)
{
	static const struct fm_child_calls calls = { .line = on_line, .exited = on_exited };
	_cleanup_(fm_environ_done) struct fm_environ env = { .count = 0 };
	struct fm_words words;
	struct fm_err err;

	CHECK(fm_words_split(&words, n->settings->notify, &err) == 0);
	fill(n, &env);
	n->line[0] = '\0';
	n->timed_out = false;
	n->child = fm_child_start(n->base,
				  &(struct fm_child_plan){
					  .argv = (const char *const *)words.list,
					  .env = (const char *const *)env.list,
					  .cwd = "/",
					  .errors_too = true,
					  .dies_with_us = true,
					  .own_group = true,
					  .input = (const uint8_t *)n->news.body,
					  .input_size = strlen(n->news.body),
				  },
				  &calls, n, &err);
	if (n->child)
		fm_timer_arm(n->limit, n->settings->notify_ms);
	else
		failed(n, err.text);
}

/* ---- which one ---- */

/* Agents and the application have a say in these. */
static void
clean(struct co_notify *n)
{
	fm_clean(n->event.text);
	fm_clean(n->event.step);
	fm_clean(n->row.args);
	fm_clean(n->row.who);
	fm_clean(n->row.text);
	fm_clean(n->row.next);
}

/* The event behind the place. false: there is none, or it cannot be read now. */
static bool
next(struct co_notify *n)
{
	_cleanup_free_ struct co_event_row *rows = NULL;
	unsigned count = 0;
	struct fm_err err;

	while (n->run < n->last_run || (n->run == n->last_run && n->number < n->last_number)) {
		free(TAKE(rows));
		if (co_journal_events(n->journal, n->run, n->number, 1, &rows, &count, &err) != 0 ||
		    (count && co_journal_run(n->journal, n->run, &n->row, &err) != 0)) {
			fm_log(FM_LOG_WARNING, "people are not told", "error=\"%s\"", err.text);
			return false;
		}
		if (count) {
			n->event = rows[0];
			clean(n);
			return true;
		}
		if (n->run == n->last_run) return false;
		n->run++;
		n->number = 0;
	}
	return false;
}

static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct co_notify *n = arg;

	(void)fd;
	(void)what;
	if (n->child) return;
	if (n->attempts) {
		tell(n);
		return;
	}
	while (next(n)) {
		if (co_news_of(&n->event, &n->row, n->settings->cluster, &n->news) &&
		    (n->news.attention || fm_is_equal(n->settings->notify_on, "all"))) {
			tell(n);
			return;
		}
		n->run = n->event.run;
		n->number = n->event.number;
	}
}

/* ---- from outside ---- */

static struct co_notify *
make(struct event_base *base, const struct co_settings *settings, struct co_journal *journal)
{
	struct co_notify *n = fm_new(struct co_notify, 1);

	n->base = base;
	n->settings = settings;
	n->journal = journal;
	n->turn = evtimer_new(base, on_turn, n);
	n->limit = evtimer_new(base, on_limit, n);
	CHECK(n->turn && n->limit);
	return n;
}

struct co_notify *
co_notify_open(struct event_base *base, const struct co_settings *settings,
	       struct co_journal *journal, uint64_t run, uint64_t number)
{
	struct co_notify *n = make(base, settings, journal);

	FM_FORMAT(n->path, "%s/notified", settings->state_dir);
	n->last_run = run;
	n->last_number = number;
	if (!find_place(n)) {
		n->run = run;
		n->number = number;
		keep_place(n);
	}
	fm_timer_arm(n->turn, 0);
	return n;
}

void
co_notify_close(struct co_notify *n)
{
	if (n == NULL) return;
	fm_child_drop(n->child);
	event_free(n->turn);
	event_free(n->limit);
	free(n);
}

void
co_notify_event(struct co_notify *n, uint64_t run, uint64_t number)
{
	if (n == NULL) return;
	n->last_run = run;
	n->last_number = number;
	if (!n->child && !n->attempts) fm_timer_arm(n->turn, 0);
}

const char *
co_notify_failure(const struct co_notify *n)
{
	return n ? n->failure : "";
}

int
co_notify_try(const struct co_settings *settings, FILE *out, struct fm_err *err)
{
	struct event_base *base = NULL;
	struct co_notify *n = NULL;
	int rc = 0;

	if (fm_is_empty(settings->notify))
		return fm_fail(err, FM_ERR_CONFIG, 0, "[notify] command is not set");
	base = event_base_new();
	CHECK(base);
	n = make(base, settings, NULL);
	n->out = out;
	FM_COPY(n->event.kind, "trial");
	FM_COPY(n->event.text, "this is a trial");
	FM_FORMAT(n->news.subject, "%s: this is a trial of [notify] command", settings->cluster);
	FM_FORMAT(n->news.body, "%s\n\nNobody has to do anything.\n", n->news.subject);
	(void)fprintf(out, "%s\n", settings->notify);
	tell(n);
	while (n->child) event_base_loop(base, EVLOOP_ONCE);
	if (!fm_is_empty(n->failure)) rc = fm_fail(err, FM_ERR_IO, 0, "%s", n->failure);
	co_notify_close(n);
	event_base_free(base);
	return rc;
}
