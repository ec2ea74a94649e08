#include "agent/world/facts.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "loop/child.h"

#define EVERY_S 60
#define LIMIT_S 20
#define ROWS_MAX 512
#define ROW_SIZE (2 * FM_NAME_SIZE)
#define DISK_STEP 16 /* a change of room by less than one part of so many is none */

/* Rows as they come, to be sorted. */
struct rows {
	unsigned count;
	char rows[ROWS_MAX][ROW_SIZE];
};

struct ag_facts {
	struct event_base *base;
	const struct ag_settings *settings;
	void (*changed)(void *arg, const struct fm_node_facts *facts);
	void *arg;
	struct event *due, *limit;
	struct fm_child *child;
	char salt[FM_SALT_SIZE];
	bool is_wanted, timed_out;
	struct timespec written; /* the settings file, at the last look */
	struct fm_node_facts told, fresh;
	struct rows environment, plugins;
};

static void look(struct ag_facts *facts);

static void
arm(struct event *event, long seconds)
{
	const struct timeval in = { seconds, 0 };

	CHECK(event_add(event, &in) == 0);
}

/* ---- what the child says ---- */

static void
add_row(struct rows *rows, const char *row)
{
	if (rows->count < ROWS_MAX && FM_COPY(rows->rows[rows->count], row)) rows->count++;
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void
join(struct rows *rows, char *dst, size_t size, const char *what, char *fault)
{
	qsort(rows->rows, rows->count, sizeof(*rows->rows), by_text);
	dst[0] = '\0';
	for (unsigned i = 0; i < rows->count; i++) {
		size_t used = strlen(dst);

		if (used + strlen(rows->rows[i]) + 2 > size) {
			(void)fm_append(fault, FM_TEXT_SIZE, "%smore %s than can be compared",
					fault[0] ? "; " : "", what);
			return;
		}
		(void)fm_format(dst + used, size - used, "%s\n", rows->rows[i]);
	}
}

/* "1 before_stop: why" or "0 ..." */
static void
add_hook(struct fm_node_facts *facts, const char *row)
{
	if (row[0] == '1') facts->hooks_break = true;
	if (row[0] && row[1] == ' ')
		(void)FM_APPEND(facts->hooks, "%s%s", facts->hooks[0] ? "; " : "", row + 2);
}

static void
on_line(void *arg, struct fm_child *child, const char *line)
{
	struct ag_facts *f = arg;
	int at = 0;

	(void)child;
	if (strncmp(line, "env ", 4) == 0)
		add_row(&f->environment, line + 4);
	else if (strncmp(line, "plugin ", 7) == 0)
		add_row(&f->plugins, line + 7);
	else if (strncmp(line, "worker ", 7) == 0)
		(void)FM_COPY(f->fresh.worker_mode, line + 7);
	else if (strncmp(line, "hook ", 5) == 0)
		add_hook(&f->fresh, line + 5);
	else if (strncmp(line, "fault ", 6) == 0)
		(void)FM_APPEND(f->fresh.fault, "%s%s", f->fresh.fault[0] ? "; " : "", line + 6);
	else if (sscanf(line, "storage %63s %" SCNu64 " %n", f->fresh.storage,
			&f->fresh.storage_inode, &at) == 2 &&
		 at > 0)
		(void)FM_COPY(f->fresh.storage_on, line + at);
	else
		(void)sscanf(line, "disk %" SCNu64 " %" SCNu64, &f->fresh.disk_free,
			     &f->fresh.disk_size);
}

static bool
is_news(const struct ag_facts *f)
{
	const struct fm_node_facts *a = &f->told, *b = &f->fresh;
	uint64_t step = b->disk_size / DISK_STEP;

	if (!a->known || strcmp(a->salt, b->salt) != 0 ||
	    strcmp(a->environment, b->environment) != 0 || strcmp(a->plugins, b->plugins) != 0 ||
	    strcmp(a->storage, b->storage) != 0 || a->storage_inode != b->storage_inode ||
	    strcmp(a->worker_mode, b->worker_mode) != 0 || strcmp(a->fault, b->fault) != 0 ||
	    strcmp(a->hooks, b->hooks) != 0 || a->hooks_break != b->hooks_break)
		return true;
	return a->disk_free / (step ? step : 1) != b->disk_free / (step ? step : 1);
}

static void
on_exited(void *arg, struct fm_child *child, int status)
{
	struct ag_facts *f = arg;

	(void)child;
	(void)status;
	f->child = NULL;
	(void)event_del(f->limit);
	if (f->timed_out)
		(void)FM_APPEND(f->fresh.fault, "%sthe storage does not answer within %d s",
				f->fresh.fault[0] ? "; " : "", LIMIT_S);
	join(&f->environment, f->fresh.environment, sizeof(f->fresh.environment), "settings",
	     f->fresh.fault);
	join(&f->plugins, f->fresh.plugins, sizeof(f->fresh.plugins), "plugins", f->fresh.fault);
	f->fresh.known = true;
	if (strcmp(f->fresh.salt, f->salt) != 0) f->is_wanted = true;
	if (is_news(f)) {
		if (f->fresh.fault[0] && strcmp(f->fresh.fault, f->told.fault) != 0)
			fm_log(FM_LOG_WARNING, "this node cannot be compared with the others",
			       "why=\"%s\"", f->fresh.fault);
		f->told = f->fresh;
		f->changed(f->arg, &f->told);
	}
	arm(f->due, f->is_wanted ? 0 : EVERY_S);
}

/* ---- looking ---- */

static void
on_limit(evutil_socket_t fd, short what, void *arg)
{
	struct ag_facts *f = arg;

	(void)fd;
	(void)what;
	f->timed_out = true;
	if (f->child) fm_child_kill(f->child);
}

static void
on_due(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	look(arg);
}

static void
look(struct ag_facts *f)
{
	static const struct fm_child_calls calls = { on_line, NULL, on_exited };
	const struct ag_settings *s = f->settings;
	const char *argv[] = { s->program, "--config", s->config, "--work", "facts", NULL };
	struct fm_child_plan plan = { .argv = argv,
				      .dies_with_us = true,
				      .own_group = true,
				      .input = (const uint8_t *)f->salt,
				      .input_size = strlen(f->salt) };
	struct fm_err err;

	if (f->child || !f->salt[0]) return;
	f->is_wanted = f->timed_out = false;
	memset(&f->fresh, 0, sizeof(f->fresh));
	FM_COPY(f->fresh.salt, f->salt);
	f->environment.count = f->plugins.count = 0;
	f->child = fm_child_start(f->base, &plan, &calls, f, &err);
	if (f->child) {
		arm(f->limit, LIMIT_S);
		return;
	}
	fm_log(FM_LOG_WARNING, "facts are not looked up", "why=\"%s\"", err.text);
	arm(f->due, EVERY_S);
}

struct ag_facts *
ag_facts_new(struct event_base *base, const struct ag_settings *settings,
	     void (*changed)(void *arg, const struct fm_node_facts *facts), void *arg)
{
	struct ag_facts *f = fm_new(struct ag_facts, 1);

	f->base = base;
	f->settings = settings;
	f->changed = changed;
	f->arg = arg;
	f->due = event_new(base, -1, 0, on_due, f);
	f->limit = event_new(base, -1, 0, on_limit, f);
	CHECK(f->due && f->limit);
	return f;
}

void
ag_facts_free(struct ag_facts *f)
{
	if (!f) return;
	fm_child_drop(f->child);
	event_free(f->due);
	event_free(f->limit);
	free(f);
}

void
ag_facts_salt(struct ag_facts *f, const char *salt)
{
	if (!salt[0] || strcmp(salt, f->salt) == 0 || !FM_COPY(f->salt, salt)) return;
	ag_facts_again(f);
}

static struct timespec
written(const struct ag_facts *f)
{
	struct stat st = { .st_mtim = { 0, 0 } };

	(void)stat(f->settings->env_file, &st);
	return st.st_mtim;
}

void
ag_facts_glance(struct ag_facts *f)
{
	struct timespec now = written(f);

	if (now.tv_sec == f->written.tv_sec && now.tv_nsec == f->written.tv_nsec) return;
	f->written = now;
	ag_facts_again(f);
}

void
ag_facts_again(struct ag_facts *f)
{
	if (!f->salt[0]) return;
	f->is_wanted = true;
	if (!f->child) arm(f->due, 0);
}
