/* systemd.c - the application as an existing unit of systemd, spoken to over D-Bus. systemd tells of
 * every change by a signal, and the kernel of every end by a pidfd; nothing is polled. What is alive
 * is counted in the unit's control group, and found by its marks wherever it hid. */
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "agent/runtimes/bus.h"
#include "agent/runtimes/folder.h"
#include "agent/runtimes/hold.h"
#include "agent/runtimes/launch.h"
#include "agent/runtimes/pidset.h"
#include "agent/runtimes/runtime.h"
#include "agent/runtimes/unit.h"
#include "agent/runtimes/unit_admin.h"
#include "agent/world/cgroup.h"
#include "agent/world/disk.h"
#include "agent/world/listeners.h"
#include "agent/world/procs.h"
#include "agent/world/strangers.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"

#define START_LIMIT_S 120 /* longer than systemd's own, of what runs before the command */

struct ag_instance {
	const struct ag_settings *settings;
	void (*changed)(void *arg);
	void *arg;
	char marks[2][AG_PATH_SIZE + 32];
	struct ag_hold hold;
	struct ag_bus *bus;
	struct ag_pidset *alive;
	char path[AG_PATH_SIZE]; /* the unit's, on the bus */
	struct ag_unit unit;
	struct fm_err fault;	  /* why the unit cannot be run; "" when it can */
	char group[AG_PATH_SIZE]; /* control group of the unit's last life that we saw */
	bool starting;		  /* asked for, and its job has not ended */
	struct fm_err start_err;  /* why it ended; "": well */
	struct event *start_limit;
	bool had_unseen; /* listener, at the last scan */
	struct ag_inodes held;
	unsigned in_group; /* of the pids of the last find() these come first */
	struct ag_pids pids;
};

/* ---- what systemd says ---- */

static void
note_group(struct ag_instance *in)
{
	char group[AG_PATH_SIZE] = "", *at;

	if (in->unit.main_pid > 0) ag_cgroup_of((pid_t)in->unit.main_pid, group, sizeof(group));
	if (!group[0]) (void)FM_COPY(group, in->unit.control_group);
	/* A unit may have groups of its own below its group. */
	at = strstr(group, in->settings->unit);
	if (!at || at == group || at[-1] != '/') return;
	at[strlen(in->settings->unit)] = '\0';
	(void)FM_COPY(in->group, group);
}

static void
note_end(struct ag_instance *in)
{
	const struct ag_unit *u = &in->unit;
	bool was_killed = u->exit_code != CLD_EXITED;

	fm_log(FM_LOG_NOTICE, "unit ended", "unit=%s result=%s %s=%d", in->settings->unit,
	       u->result, was_killed ? "signal" : "code", u->exit_status);
}

static void
check(struct ag_instance *in)
{
	struct fm_err before = in->fault;

	in->fault.text[0] = '\0';
	if (ag_unit_check(&in->unit, in->settings, &in->fault) < 0 ||
	    ag_unit_check_hold(&in->unit, in->settings, in->hold.drop_in, &in->fault) < 0) {
		if (strcmp(before.text, in->fault.text) != 0)
			fm_log(FM_LOG_ERROR, "unit cannot be run", "why=\"%s\"", in->fault.text);
		return;
	}
	if (before.text[0]) fm_log(FM_LOG_NOTICE, "unit can be run", NULL);
	if (!ag_unit_can_migrate(&in->unit))
		fm_log(FM_LOG_WARNING, "unit may never migrate",
		       "unit=%s why=\"its command has neither $FERMATA_START_ARGS nor "
		       "--quickstart\"",
		       in->settings->unit);
}

static bool
is_up(const struct ag_unit *unit)
{
	return strcmp(unit->active_state, "inactive") != 0 &&
	       strcmp(unit->active_state, "failed") != 0;
}

static int
on_properties(sd_bus_message *signal, void *arg, sd_bus_error *error)
{
	struct ag_instance *in = arg;
	bool was_up = is_up(&in->unit);

	(void)error;
	if (ag_unit_apply(signal, &in->unit) < 0) return 0;
	note_group(in);
	if (was_up && !is_up(&in->unit)) note_end(in);
	in->changed(in->arg);
	return 0;
}

static void
end_start(struct ag_instance *in, const char *why)
{
	in->starting = false;
	in->start_err.text[0] = '\0';
	(void)event_del(in->start_limit);
	ag_hold_forbid(&in->hold);
	if (why)
		(void)fm_fail(&in->start_err, FM_ERR_IO, 0, "%s (see 'systemctl status %s')", why,
			      in->settings->unit);
	in->changed(in->arg);
}

/* systemd's words for the end of a job. */
static void
end_start_as(struct ag_instance *in, const char *result)
{
	const struct ag_unit *u = &in->unit;
	char why[160];

	if (strcmp(result, "done") == 0) {
		end_start(in, NULL);
		return;
	}
	(void)FM_FORMAT(why, "systemd says: %s", result);
	if (strcmp(result, "failed") == 0)
		(void)FM_APPEND(why, ", %s %d", u->result, u->exit_status);
	end_start(in, why);
}

static int
on_job_removed(sd_bus_message *signal, void *arg, sd_bus_error *error)
{
	struct ag_instance *in = arg;
	const char *unit, *result;
	uint32_t id;

	(void)error;
	if (sd_bus_message_read(signal, "uoss", &id, NULL, &unit, &result) < 0) return 0;
	if (!in->starting || strcmp(unit, in->settings->unit) != 0) return 0;
	end_start_as(in, result);
	return 0;
}

static int
read_unit(struct ag_instance *in, sd_bus *link, struct fm_err *err)
{
	if (ag_unit_read(link, in->path, &in->unit, err) < 0) return -1;
	note_group(in);
	check(in);
	return 0;
}

/* Somebody changed unit files: perhaps ours. */
static int
on_reloading(sd_bus_message *signal, void *arg, sd_bus_error *error)
{
	struct ag_instance *in = arg;
	struct fm_err err;
	int begins;

	(void)error;
	if (sd_bus_message_read(signal, "b", &begins) < 0 || begins) return 0;
	if (read_unit(in, sd_bus_message_get_bus(signal), &err) < 0)
		fm_log(FM_LOG_WARNING, "unit is not known", "why=\"%s\"", err.text);
	in->changed(in->arg);
	return 0;
}

/* ---- the bus ---- */

static int
call(sd_bus *link, const char *method, struct fm_err *err)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	int r = sd_bus_call_method(link, AG_SYSTEMD, AG_SYSTEMD_PATH, AG_SYSTEMD_MANAGER, method,
				   &error, NULL, "");

	return r < 0 ? ag_bus_fail(err, r, &error, method) : 0;
}

static int
listen_to(struct ag_instance *in, sd_bus *link, struct fm_err *err)
{
	int r;

	r = sd_bus_match_signal(link, NULL, AG_SYSTEMD, in->path, "org.freedesktop.DBus.Properties",
				"PropertiesChanged", on_properties, in);
	if (r >= 0)
		r = sd_bus_match_signal(link, NULL, AG_SYSTEMD, AG_SYSTEMD_PATH, AG_SYSTEMD_MANAGER,
					"JobRemoved", on_job_removed, in);
	if (r >= 0)
		r = sd_bus_match_signal(link, NULL, AG_SYSTEMD, AG_SYSTEMD_PATH, AG_SYSTEMD_MANAGER,
					"Reloading", on_reloading, in);
	return r < 0 ? ag_bus_fail(err, r, NULL, "listen to systemd") : 0;
}

/* Otherwise systemd forgets a unit at rest, and with it why it did not start. */
static void
keep_loaded(const struct ag_instance *in, sd_bus *link)
{
	(void)sd_bus_call_method(link, AG_SYSTEMD, AG_SYSTEMD_PATH, AG_SYSTEMD_MANAGER, "RefUnit",
				 NULL, NULL, "s", in->settings->unit);
}

static int
on_begun(void *arg, sd_bus *link, struct fm_err *err)
{
	struct ag_instance *in = arg;
	struct fm_err why;
	bool written;

	if (listen_to(in, link, err) < 0 || call(link, "Subscribe", err) < 0) return -1;
	keep_loaded(in, link);
	if (ag_hold_take(&in->hold, in->settings, &written, &why) < 0)
		fm_log(FM_LOG_ERROR, "unit is not held", "why=\"%s\"", why.text);
	else if (written && call(link, "Reload", err) < 0)
		return -1;
	if (read_unit(in, link, err) < 0) return -1;
	/* A start of an earlier life, whose job has not ended, keeps its permit. */
	if (in->unit.job == 0) ag_hold_forbid(&in->hold);
	in->starting = in->unit.job != 0;
	if (in->bus) in->changed(in->arg); /* else nobody looks yet */
	return 0;
}

static void
on_lost(void *arg)
{
	struct ag_instance *in = arg;

	if (in->starting) end_start(in, "D-Bus was lost meanwhile");
	in->changed(in->arg);
}

static void
on_start_limit(evutil_socket_t fd, short what, void *arg)
{
	struct ag_instance *in = arg;
	sd_bus *link = ag_bus_link(in->bus);

	(void)fd;
	(void)what;
	if (link) ag_unit_stop(link, in->settings->unit); /* which takes the place of the start */
	ag_bus_settle(in->bus);
	end_start(in, "its start waits for something else of the system");
}

/* ---- the table ---- */

static struct ag_instance *
systemd_open(struct event_base *base, const struct ag_settings *settings,
	     void (*changed)(void *arg), void *arg)
{
	static const struct ag_bus_calls calls = { on_begun, on_lost };
	struct ag_instance *in = fm_new(struct ag_instance, 1);

	in->settings = settings;
	in->changed = changed;
	in->arg = arg;
	ag_launch_marks(settings, in->marks);
	(void)ag_hold_name(&in->hold, settings);
	(void)ag_unit_path(settings->unit, in->path, sizeof(in->path));
	in->alive = ag_pidset_new(base, changed, arg);
	in->start_limit = event_new(base, -1, 0, on_start_limit, in);
	CHECK(in->start_limit);
	in->bus = ag_bus_new(base, &calls, in);
	return in;
}

static void
systemd_close(struct ag_instance *in)
{
	if (!in) return;
	ag_bus_free(in->bus);
	event_free(in->start_limit);
	ag_pidset_free(in->alive);
	free(in);
}

static void
find(struct ag_instance *in)
{
	const char *const marks[2] = { in->marks[0], in->marks[1] };
	struct ag_pids marked;

	in->pids.count = 0;
	if (in->group[0]) ag_cgroup_add_pids(in->group, &in->pids);
	in->in_group = in->pids.count;
	ag_procs_find(marks, 0, NULL, &marked);
	for (unsigned i = 0; i < marked.count; i++) ag_pids_add(&in->pids, marked.pids[i]);
	ag_pidset_update(in->alive, &in->pids);
}

static void
say_unasked(const struct ag_instance *in, char *dst, size_t size)
{
	(void)fm_format(dst, size, "systemd cannot be asked about unit %s: %s", in->settings->unit,
			ag_bus_why(in->bus));
}

/* What we see alive is alive; but nothing seen is no proof while systemd may be about to start it. */
static bool
systemd_is_blind(struct ag_instance *in, char *why, size_t size)
{
	if (ag_bus_link(in->bus) || in->pids.count > 0) return false;
	say_unasked(in, why, size);
	return true;
}

static unsigned
systemd_scan(struct ag_instance *in, char *strange, size_t size)
{
	enum ag_listener found;

	find(in);
	found = ag_foreign_listener(in->settings->host, in->settings->port, &in->pids, &in->held,
				    strange, size);
	/* Seen twice, it is no process of ours in its last moment. */
	if (found == AG_LISTENER_UNSEEN && !in->had_unseen) strange[0] = '\0';
	in->had_unseen = found == AG_LISTENER_UNSEEN;
	if (!strange[0]) (void)ag_strangers_find(in->settings, &in->pids, strange, size);
	if (!ag_bus_link(in->bus)) {
		say_unasked(in, strange, size);
		return in->pids.count;
	}
	/* Between two processes, or before the first, it is no less alive. */
	if (in->pids.count == 0 && (in->starting || !ag_unit_is_down(&in->unit))) return 1;
	return in->pids.count;
}

static int
on_start_answer(sd_bus_message *answer, void *arg, sd_bus_error *error)
{
	struct ag_instance *in = arg;
	const sd_bus_error *why = sd_bus_message_get_error(answer);

	(void)error;
	if (why && in->starting) end_start(in, why->message ? why->message : why->name);
	return 0;
}

static int
may_start(struct ag_instance *in, const char *release, struct fm_err *err)
{
	struct ag_disk disk;

	if (!ag_bus_link(in->bus))
		return fm_fail(err, FM_ERR_IO, 0, "systemd cannot be asked: %s",
			       ag_bus_why(in->bus));
	if (in->fault.text[0]) {
		*err = in->fault;
		return -1;
	}
	/* The unit works in `current`: what that names is what would be started. */
	ag_disk_scan(in->settings->root, &disk);
	if (strcmp(disk.current, release) == 0) return 0;
	return fm_fail(err, FM_ERR_REFUSED, 0, "%s/current names \"%s\", not %s",
		       in->settings->root, disk.current, release);
}

static int
systemd_start(struct ag_instance *in, const char *release, enum fm_start_mode mode,
	      struct fm_err *err)
{
	const struct timeval limit = { START_LIMIT_S, 0 };
	sd_bus *link = ag_bus_link(in->bus);
	int r;

	if (may_start(in, release, err) < 0 ||
	    ag_node_dir_make(in->settings, in->unit.user, err) < 0 ||
	    ag_hold_permit(&in->hold, in->settings, release, mode, err) < 0)
		return -1;
	r = sd_bus_call_method_async(link, NULL, AG_SYSTEMD, AG_SYSTEMD_PATH, AG_SYSTEMD_MANAGER,
				     "StartUnit", on_start_answer, in, "ss", in->settings->unit,
				     "replace");
	if (r < 0) {
		ag_hold_forbid(&in->hold);
		return ag_bus_fail(err, r, NULL, "ask systemd to start the unit");
	}
	in->starting = true;
	(void)event_add(in->start_limit, &limit);
	ag_bus_settle(in->bus);
	fm_log(FM_LOG_NOTICE, "unit is asked to start", "unit=%s release=%s mode=%s",
	       in->settings->unit, release, fm_start_mode_name(mode));
	return 1;
}

static int
systemd_started(struct ag_instance *in, struct fm_err *err)
{
	if (in->starting) return 1;
	if (!in->start_err.text[0]) return 0;
	*err = in->start_err;
	return -1;
}

static void
systemd_signal(struct ag_instance *in, enum ag_signal signal)
{
	sd_bus *link = ag_bus_link(in->bus);

	find(in);
	fm_log(FM_LOG_NOTICE, "unit is told to end", "unit=%s signal=%s processes=%u",
	       in->settings->unit, signal == AG_TERM ? "TERM" : "KILL", in->pids.count);
	if (signal == AG_TERM) {
		/* What systemd does not know of, or nobody tells it, gets its signal from us. */
		for (unsigned i = link ? in->in_group : 0; i < in->pids.count; i++)
			ag_pidset_send_one(in->alive, in->pids.pids[i], SIGTERM);
		if (link && !ag_unit_is_down(&in->unit)) ag_unit_stop(link, in->settings->unit);
		ag_bus_settle(in->bus);
		return;
	}
	if (in->group[0]) (void)ag_cgroup_kill(in->group);
	ag_pidset_send(in->alive, SIGKILL);
	if (link && !ag_unit_is_down(&in->unit)) ag_unit_kill(link, in->settings->unit);
	ag_bus_settle(in->bus);
	in->changed(in->arg);
}

static bool
systemd_releases(struct ag_instance *in, struct ag_disk *ret)
{
	ag_disk_scan(in->settings->root, ret);
	return true;
}

static void
systemd_check(struct ag_settings *s, ag_settings_fault *fault, void *arg)
{
	if (!ag_unit_is_name(s->unit)) fault(arg, "unit %s is not the name of a service", s->unit);
	ag_folder_check(s, fault, arg);
}

static bool
systemd_use(struct ag_instance *in, struct ag_use *ret)
{
	return ag_alive_use(in->alive, in->group, ret);
}

static void
systemd_unfit(struct ag_instance *in, char *why, size_t size)
{
	(void)fm_copy(why, size, in->fault.text);
}

const struct ag_runtime ag_runtime_systemd = {
	.name = "systemd",
	.open = systemd_open,
	.close = systemd_close,
	.start = systemd_start,
	.started = systemd_started,
	.signal = systemd_signal,
	.scan = systemd_scan,
	.is_blind = systemd_is_blind,
	.use = systemd_use,
	.unfit = systemd_unfit,
	.releases = systemd_releases,
	.check = systemd_check,
	.inspect = ag_unit_admin_check,
	.let_go = ag_unit_admin_let_go,
	.fetch = ag_folder_fetch,
	.link = ag_folder_link,
	.sweep = ag_folder_sweep,
};
