#include "coordinator/fleet/drift.h"

#include <string.h>

#include "base/text.h"

#define CLOCK_MOST_MS 2000
#define DISK_LEAST (UINT64_C(2) << 30) /* nocobase: a release takes 1.2 GB, 97,000 files */
#define NAMES_MOST 5		       /* in one sentence */

/* The two that are compared, and what was found so far. */
struct pair {
	const struct co_node *a, *b;
	const char *name; /* of a */
	struct co_drift *found;
	unsigned count;
};

__attribute__((format(printf, 4, 5))) static void
find(struct pair *p, bool breaks, const char *next, const char *fmt, ...)
{
	struct co_drift *d = &p->found[p->count];
	va_list args;

	if (p->count == CO_DRIFTS_MOST) return;
	d->breaks = breaks;
	va_start(args, fmt);
	(void)fm_format_args(d->text, sizeof(d->text), fmt, args);
	va_end(args);
	FM_COPY(d->next, next);
	p->count++;
}

/* ---- sorted rows "name value" ---- */

struct row {
	char name[FM_NAME_SIZE];
	const char *value;
	size_t value_len;
};

/* false: no row is left. */
static bool
read_row(const char *at, struct row *ret)
{
	size_t name_len = strcspn(at, " \n");

	if (*at == '\0') return false;
	(void)FM_FORMAT(ret->name, "%.*s", (int)name_len, at);
	ret->value = at + name_len;
	ret->value_len = strcspn(ret->value, "\n");
	return true;
}

static const char *
next_row(const char *at)
{
	at += strcspn(at, "\n");
	return *at ? at + 1 : at;
}

/* Goes through two sorted lists at once; each() gets what one of them has not, or has otherwise. */
static void
compare_rows(struct pair *p, const char *a, const char *b,
	     void (*each)(struct pair *p, void *arg, const char *name), void *arg)
{
	struct row left, right;

	for (;;) {
		bool has_left = read_row(a, &left), has_right = read_row(b, &right);
		int order = !has_left ? 1 : !has_right ? -1 : strcmp(left.name, right.name);

		if (!has_left && !has_right) return;
		if (order == 0 && (left.value_len != right.value_len ||
				   memcmp(left.value, right.value, left.value_len) != 0))
			each(p, arg, left.name);
		if (order < 0) each(p, arg, left.name);
		if (order > 0) each(p, arg, right.name);
		if (order <= 0) a = next_row(a);
		if (order >= 0) b = next_row(b);
	}
}

/* ---- settings ---- */

/* What is known of the application's settings; all others should be alike, and need not. */
static const struct {
	const char *name;
	bool is_own;	 /* of each node, by its nature */
	const char *why; /* it breaks the cluster when they differ */
} settings[] = {
	{ "APP_KEY", false, "who is logged in on one is not on the other" },
	{ "APP_AES_SECRET_KEY", false, "one cannot read what the other has encrypted" },
	{ "DB_DIALECT", false, "they work on different databases" },
	{ "DB_DATABASE", false, "they work on different databases" },
	{ "DB_SCHEMA", false, "they work on different tables" },
	{ "DB_TABLE_PREFIX", false, "they work on different tables" },
	{ "DB_UNDERSCORED", false, "they work on different tables" },
	{ "APP_HOST", true, NULL },
	{ "APP_PORT", true, NULL },
	{ "APP_ENV_PATH", true, NULL },
	{ "STORAGE_PATH", true, NULL }, /* the folder itself is compared */
	{ "SOCKET_PATH", true, NULL },
	{ "PM2_HOME", true, NULL },
	{ "LOGGER_BASE_PATH", true, NULL },
	{ "WORKER_MODE", true, NULL },
	{ "INSTANCE_ID", true, NULL },
	{ "NODE_OPTIONS", true, NULL },
};

struct names {
	char text[FM_TEXT_SIZE / 2];
	unsigned count;
};

static void
add_name(struct names *names, const char *name)
{
	if (names->count < NAMES_MOST)
		FM_APPEND(names->text, "%s%s", names->count ? ", " : "", name);
	if (names->count == NAMES_MOST) FM_APPEND(names->text, " and more");
	names->count++;
}

static void
each_setting(struct pair *p, void *arg, const char *name)
{
	for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++) {
		if (!fm_is_equal(settings[i].name, name)) continue;
		if (settings[i].why)
			find(p, true, "make both env_files alike, then: fermata restart",
			     "%s is not as on %s: %s", name, p->name, settings[i].why);
		return;
	}
	if (strncmp(name, "FERMATA_", 8) != 0) add_name(arg, name);
}

static void
look_at_settings(struct pair *p)
{
	struct names names = { .count = 0 };

	compare_rows(p, p->a->facts.environment, p->b->facts.environment, each_setting, &names);
	if (names.count > 0)
		find(p, false, "compare both env_files, then: fermata restart",
		     "settings that are not as on %s: %s", p->name, names.text);
}

/* ---- the rest ---- */

static void
each_plugin(struct pair *p, void *arg, const char *name)
{
	(void)p;
	add_name(arg, name);
}

/* Of one release only: another has others. */
static void
look_at_plugins(struct pair *p)
{
	struct names names = { .count = 0 };

	if (!fm_is_equal(p->a->report.current, p->b->report.current)) return;
	compare_rows(p, p->a->facts.plugins, p->b->facts.plugins, each_plugin, &names);
	if (names.count > 0)
		find(p, false, "copy the plugins to that node, then: fermata restart",
		     "plugins on its disk that are not as on %s: %s", p->name, names.text);
}

static void
look_at_storage(struct pair *p)
{
	const struct fm_node_facts *a = &p->a->facts, *b = &p->b->facts;

	if (fm_is_empty(a->storage) || fm_is_empty(b->storage)) return;
	if (!fm_is_equal(a->storage, b->storage))
		find(p, true, "mount the same storage on both, then: fermata doctor",
		     "its storage (%s) is not that of %s (%s): files of visitors would be on one "
		     "node only",
		     b->storage_on, p->name, a->storage_on);
	else if (a->storage_inode != b->storage_inode)
		find(p, false, "fermata doctor (after both mount the same storage)",
		     "its storage (%s) looks like a copy of that of %s (%s)", b->storage_on,
		     p->name, a->storage_on);
}

static void
look_at_clock(struct pair *p)
{
	int64_t off_ms = p->b->clock_off_ms;
	char off[32];

	if (off_ms >= -CLOCK_MOST_MS && off_ms <= CLOCK_MOST_MS) return;
	fm_format_duration(off, sizeof(off), off_ms < 0 ? -off_ms : off_ms);
	find(p, false, "timedatectl (on that node)", "its clock is %s %s the coordinator's", off,
	     off_ms < 0 ? "behind" : "ahead of");
}

static void
look_at_disk(struct pair *p)
{
	const struct fm_node_facts *f = &p->b->facts;

	if (f->disk_size == 0 || f->disk_free >= DISK_LEAST) return;
	find(p, false, "df -h (on that node)", "%.1f GiB are free where its releases are kept",
	     (double)f->disk_free / (1 << 30));
}

static void
look_at_faults(struct pair *p)
{
	if (!fm_is_empty(p->b->facts.fault))
		find(p, false, "journalctl -u fermata-agent (on that node)",
		     "it cannot be compared whole: %s", p->b->facts.fault);
}

static void
look_at_hooks(struct pair *p)
{
	const struct fm_node_facts *f = &p->b->facts;

	if (!fm_is_empty(f->hooks))
		find(p, f->hooks_break,
		     "put it there or change [hooks] (on that node), then: fermata doctor",
		     "a hook cannot be run: %s", f->hooks);
}

/* Declared is what the run goes by; what is so must be the same. */
static void
look_at_worker(struct pair *p)
{
	const char *mode = p->b->facts.worker_mode;
	bool takes = co_takes_requests(mode);

	if (takes && p->b->is_worker)
		find(p, true, "WORKER_MODE=* in its env_file, or take it out of [cluster] workers",
		     "it is declared a worker, and takes requests (%s%s): it would be stopped under "
		     "visitors",
		     fm_is_empty(mode) ? "no WORKER_MODE" : "WORKER_MODE=", mode);
	else if (!takes && !p->b->is_worker)
		find(p, true, "name it in [cluster] workers, take it out of the gates' upstream",
		     "it takes no requests (WORKER_MODE=%s), and is not declared a worker: visitors could "
		     "be sent to it alone",
		     mode);
}

/* The first that has told its facts. */
static const struct co_node *
reference(const struct co_fleet *fleet, unsigned count, unsigned *ret)
{
	for (*ret = 0; *ret < count; ++*ret)
		if (fleet->nodes[*ret].connected && fleet->nodes[*ret].facts.known)
			return &fleet->nodes[*ret];
	return NULL;
}

static void
worst_first(struct co_drift *found, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct co_drift worst = found[i];

		if (!worst.breaks) continue;
		for (unsigned k = i; k > 0 && !found[k - 1].breaks; k--) {
			found[k] = found[k - 1];
			found[k - 1] = worst;
		}
	}
}

unsigned
co_drift_of_node(const struct co_fleet *fleet, const char names[][FM_NAME_SIZE], unsigned count,
		 unsigned node, struct co_drift found[CO_DRIFTS_MOST])
{
	static void (*const of_two[])(struct pair *) = { look_at_settings, look_at_plugins,
							 look_at_storage };
	static void (*const of_one[])(struct pair *) = { look_at_clock, look_at_disk, look_at_hooks,
							 look_at_worker, look_at_faults };
	unsigned first = 0;
	struct pair p = { .a = reference(fleet, count, &first),
			  .b = &fleet->nodes[node],
			  .found = found };

	if (!p.a || !p.b->connected || !p.b->facts.known) return 0;
	p.name = names[first];
	for (size_t i = 0; first != node && i < sizeof(of_two) / sizeof(*of_two); i++)
		of_two[i](&p);
	for (size_t i = 0; i < sizeof(of_one) / sizeof(*of_one); i++) of_one[i](&p);
	worst_first(found, p.count);
	return p.count;
}
