#include "agent/agent.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/condition.h"
#include "agent/core/supervise.h"
#include "agent/runtimes/runtime.h"
#include "agent/sender.h"
#include "agent/work/hook.h"
#include "agent/world/disk.h"
#include "agent/world/facts.h"
#include "agent/world/log_watch.h"
#include "agent/world/look.h"
#include "agent/world/output.h"
#include "agent/world/probe.h"
#include "agent/world/state_file.h"
#include "agent/world/worker.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/text.h"
#include "wire/convert.h"

#define SCAN_IDLE_MS 1000   /* nothing is alive: who appears? */
#define SCAN_BUSY_MS 500    /* starting or stopping */
#define SCAN_READY_MS 30000 /* ends are told by the kernel; this looks for strays */
#define DISK_EVERY_MS 10000
#define STARTED_LINE "app has been started" /* nocobase: its log says so when it is ready */
#define HINTS 6
#define HINT_MS 20 /* then doubling: between the line and the answer of the health check */

struct ag_agent {
	struct event_base *base;
	const struct ag_settings *settings;
	const struct ag_runtime *runtime;
	int lock;
	char state_path[AG_PATH_SIZE + 16];
	struct ag_memory memory; /* as it was found */
	struct ag_core *core;
	struct ag_instance *instance;
	struct ag_probe *probe;
	struct ag_looker *looker, *watcher;
	struct ag_worker *worker;
	struct ag_log_watch *log_watch;
	struct ag_facts *facts;
	struct ag_output *output; /* of the runtime that writes it to a file of ours; or NULL */
	struct ag_sender *sender;
	struct event *tick, *scan, *disk, *spawned, *hint;
	bool spawning; /* under way: the runtime tells */
	bool spawn_ok;
	char spawn_why[FM_TEXT_SIZE];
	unsigned hints;
	struct ag_meter meter;
	enum fm_app_state logged;
};

static void
add_in(struct event *event, int64_t ms)
{
	struct timeval in = { ms / 1000, ms % 1000 * 1000 };

	if (ms < 0) in = (struct timeval){ 0, 0 };
	CHECK(event_add(event, &in) == 0);
}

/* After every event: the core says when it wants to be woken. */
static void
settle(struct ag_agent *agent)
{
	struct fm_mono now = fm_mono_now();
	struct fm_mono next = ag_core_tick(agent->core, now);

	add_in(agent->tick, fm_mono_since(next, now));
}

/* ---- what the core wants ---- */

static int
env_persist(void *ctx, const struct ag_memory *memory)
{
	struct ag_agent *agent = ctx;
	struct fm_err err;

	if (ag_state_write(agent->state_path, memory, &err) == 0) return 0;
	fm_log(FM_LOG_ERROR, "state is not written", "why=\"%s\"", err.text);
	return -1;
}

static void
env_report(void *ctx, const struct fm_agent_report *report)
{
	struct ag_agent *agent = ctx;

	if (report->app != agent->logged) {
		bool bad = report->app == FM_APP_FAILED || report->app == FM_APP_REFUSED ||
			   report->app == FM_APP_STUCK;

		fm_log(bad ? FM_LOG_WARNING : FM_LOG_NOTICE, "application",
		       "state=%s release=%s pids=%u detail=\"%s\"", fm_app_state_name(report->app),
		       report->running[0] ? report->running : report->current, report->pids,
		       report->detail);
		agent->logged = report->app;
		if (report->app == FM_APP_READY) ag_log_watch_end(agent->log_watch);
	}
	ag_sender_report(agent->sender, report);
}

static void
note_spawned(struct ag_agent *agent, const char *failure)
{
	agent->spawning = false;
	agent->spawn_ok = !failure;
	FM_COPY(agent->spawn_why, failure);
	if (failure) ag_log_watch_end(agent->log_watch);
	event_active(agent->spawned, 0, 0);
}

static void
env_spawn(void *ctx, const char *release, enum fm_start_mode mode)
{
	struct ag_agent *agent = ctx;
	struct fm_err err;
	int r;

	r = agent->runtime->start(agent->instance, release, mode, &err);
	if (r >= 0) ag_log_watch_begin(agent->log_watch);
	agent->spawning = r > 0;
	if (r <= 0) note_spawned(agent, r == 0 ? NULL : err.text);
}

static void
env_signal(void *ctx, enum ag_signal signal)
{
	struct ag_agent *agent = ctx;

	agent->runtime->signal(agent->instance, signal);
	add_in(agent->scan, SCAN_BUSY_MS);
}

static void
env_probe(void *ctx)
{
	ag_probe_begin(((struct ag_agent *)ctx)->probe);
}

/* Plugins are compared with the version that runs, or is to run. */
static void
env_look(void *ctx)
{
	struct ag_agent *agent = ctx;
	const struct ag_memory *memory = ag_core_memory(agent->core);
	const struct fm_agent_report *report = ag_core_report(agent->core);
	const char *version = memory->ask.release[0] ? memory->ask.release : report->current;

	if (report->pids > 0 && memory->running[0]) version = memory->running;
	ag_looker_begin(agent->looker, version);
}

static void
env_job(void *ctx, enum ag_job job, const char *what, const struct fm_agent_ask *ask)
{
	struct ag_agent *agent = ctx;

	ag_worker_begin(agent->worker, job, what, ask, ag_core_memory(agent->core)->running);
}

static void
env_job_stop(void *ctx)
{
	ag_worker_stop(((struct ag_agent *)ctx)->worker);
}

static double
env_random(void *ctx)
{
	(void)ctx;
	return (double)arc4random() / UINT32_MAX;
}

static void
env_watch(void *ctx)
{
	ag_looker_watch(((struct ag_agent *)ctx)->watcher);
}

/* ---- what the world says ---- */

static void
look_at_spawn(struct ag_agent *agent)
{
	struct fm_err err;
	int r = agent->runtime->started(agent->instance, &err);

	if (r <= 0) note_spawned(agent, r == 0 ? NULL : err.text);
}

static void
scan_now(struct ag_agent *agent)
{
	const struct fm_agent_report *report = ag_core_report(agent->core);
	const struct ag_runtime *runtime = agent->runtime;
	char strange[FM_TEXT_SIZE] = "", why[FM_TEXT_SIZE];
	unsigned alive = runtime->scan(agent->instance, strange, sizeof(strange));

	if (agent->spawning) look_at_spawn(agent);
	if (runtime->is_blind && runtime->is_blind(agent->instance, why, sizeof(why)))
		ag_on_unseen(agent->core, why, fm_mono_now());
	else
		ag_on_processes(agent->core, alive, strange, fm_mono_now());
	settle(agent);
	add_in(agent->scan, report->app == FM_APP_READY ? SCAN_READY_MS
			    : alive > 0			? SCAN_BUSY_MS
							: SCAN_IDLE_MS);
}

static void
on_scan(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	scan_now(arg);
}

static void
on_processes_changed(void *arg)
{
	struct ag_agent *agent = arg;

	event_active(agent->scan, 0, 0);
	event_active(agent->disk, 0, 0);
}

static void
disk_now(struct ag_agent *agent)
{
	struct ag_condition condition;
	struct ag_disk disk;

	if (agent->runtime->releases(agent->instance, &disk))
		ag_on_disk(agent->core, disk.current, disk.count,
			   (const char(*)[FM_VERSION_SIZE])disk.releases, fm_mono_now());
	ag_facts_glance(agent->facts);
	ag_condition_look(&agent->meter, agent->runtime, agent->instance, &condition);
	ag_on_condition(agent->core, &condition, fm_mono_now());
	settle(agent);
	add_in(agent->disk, DISK_EVERY_MS);
}

static void
on_disk(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	disk_now(arg);
}

static void
on_spawned(evutil_socket_t fd, short what, void *arg)
{
	struct ag_agent *agent = arg;

	(void)fd;
	(void)what;
	ag_on_spawned(agent->core, agent->spawn_ok, agent->spawn_why, fm_mono_now());
	scan_now(agent);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	settle(arg);
}

static void
on_hint(evutil_socket_t fd, short what, void *arg)
{
	struct ag_agent *agent = arg;

	(void)fd;
	(void)what;
	if (ag_core_report(agent->core)->app != FM_APP_STARTING) return;
	ag_on_hint(agent->core, fm_mono_now());
	settle(agent);
	if (++agent->hints < HINTS) add_in(agent->hint, HINT_MS << agent->hints);
}

static void
on_started_line(void *arg)
{
	struct ag_agent *agent = arg;

	agent->hints = 0;
	event_active(agent->hint, 0, 0);
}

static void
on_probed(void *arg, enum ag_health health, const char *text)
{
	struct ag_agent *agent = arg;

	ag_on_probe(agent->core, health, text, fm_mono_now());
	settle(agent);
}

static void
on_looked(void *arg, const struct ag_look *look)
{
	struct ag_agent *agent = arg;

	ag_on_look(agent->core, look, fm_mono_now());
	settle(agent);
}

static void
on_watched(void *arg, const struct ag_activity *activity)
{
	struct ag_agent *agent = arg;

	ag_on_activity(agent->core, activity, fm_mono_now());
	settle(agent);
}

static void
on_printed(void *arg)
{
	struct ag_agent *agent = arg;

	ag_on_output(agent->core, fm_mono_now());
	settle(agent);
}

static void
on_job_progress(void *arg, const char *text)
{
	struct ag_agent *agent = arg;

	ag_on_job_progress(agent->core, text, fm_mono_now());
	settle(agent);
}

static void
on_job_done(void *arg, enum ag_job job, bool ok, const char *text, uint64_t bytes)
{
	struct ag_agent *agent = arg;

	ag_on_job(agent->core, job, ok, text, bytes, fm_mono_now());
	disk_now(agent);
	ag_facts_again(agent->facts);
}

static void
on_ask(void *arg, const struct fm_agent_ask *ask)
{
	struct ag_agent *agent = arg;
	struct fm_voice obeyed;

	if (ag_on_ask(agent->core, ask, fm_mono_now())) {
		obeyed = ag_core_memory(agent->core)->ask.voice;
		ag_sender_set_voice(agent->sender, obeyed);
	} else {
		ag_sender_again(agent->sender);
	}
	settle(agent);
}

static void
on_salt(void *arg, const char *salt)
{
	ag_facts_salt(((struct ag_agent *)arg)->facts, salt);
}

static void
on_facts(void *arg, const struct fm_node_facts *facts)
{
	ag_sender_facts(((struct ag_agent *)arg)->sender, facts);
}

/* ---- life ---- */

static int
lock_state(struct ag_agent *agent, struct fm_err *err)
{
	char path[AG_PATH_SIZE + 16];
	const char *folder = agent->settings->state_dir;

	if (mkdir(folder, 0711) < 0 && errno != EEXIST)
		return fm_fail(err, FM_ERR_IO, errno, "make %s", folder);
	(void)FM_FORMAT(path, "%s/agent.lock", folder);
	agent->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (agent->lock < 0) return fm_fail(err, FM_ERR_IO, errno, "open %s", path);
	if (fm_lock(agent->lock) == 0) return 0;
	if (errno != EWOULDBLOCK) return fm_fail(err, FM_ERR_IO, errno, "lock %s", path);
	return fm_fail(err, FM_ERR_REFUSED, 0, "another agent works with %s", folder);
}

static int
read_state(struct ag_agent *agent, struct fm_err *err)
{
	(void)FM_FORMAT(agent->state_path, "%s/agent.state", agent->settings->state_dir);
	if (ag_state_read(agent->state_path, &agent->memory, err) >= 0) return 0;
	return fm_wrap(err, "nothing is started, because what was promised is not known");
}

static void
make_core(struct ag_agent *agent)
{
	const struct ag_settings *s = agent->settings;
	const struct ag_env env = { agent,	  env_persist, env_report, env_spawn,
				    env_signal,	  env_probe,   env_look,   env_job,
				    env_job_stop, env_random,  env_watch };
	const struct ag_limits limits = ag_settings_limits(s);

	agent->core = ag_core_new(&env, &limits, s->node, s->address, &agent->memory,
				  fm_mono_now());
}

static void
make_world(struct ag_agent *agent)
{
	static const struct ag_worker_calls worker_calls = { on_job_progress, on_job_done };
	static const struct ag_log_watch_calls log_calls = { on_started_line, on_printed };
	const struct ag_settings *s = agent->settings;

	agent->runtime = ag_runtime_of(s);
	agent->instance = agent->runtime->open(agent->base, s, on_processes_changed, agent);
	agent->probe = ag_probe_new(agent->base, s->host, s->port, s->probe_ms, on_probed, agent);
	agent->looker = ag_looker_new(agent->base, s, on_looked, on_watched, agent);
	agent->watcher = ag_looker_new(agent->base, s, on_looked, on_watched, agent);
	agent->worker = ag_worker_new(agent->base, s, &worker_calls, agent);
	agent->log_watch = ag_log_watch_new(agent->base, s->log_file, STARTED_LINE, &log_calls,
					    agent);
	agent->facts = ag_facts_new(agent->base, s, on_facts, agent);
	if (agent->runtime->writes_log)
		agent->output = ag_output_new(agent->base, s->log_file, (uint64_t)s->log_mib << 20);
	ag_sender_set_output(agent->sender, agent->output);
	agent->tick = event_new(agent->base, -1, 0, on_tick, agent);
	agent->scan = event_new(agent->base, -1, 0, on_scan, agent);
	agent->disk = event_new(agent->base, -1, 0, on_disk, agent);
	agent->spawned = event_new(agent->base, -1, 0, on_spawned, agent);
	agent->hint = event_new(agent->base, -1, 0, on_hint, agent);
	CHECK(agent->tick && agent->scan && agent->disk && agent->spawned && agent->hint);
}

struct ag_agent *
ag_agent_new(struct event_base *base, const struct ag_settings *settings, struct fm_err *err)
{
	static const struct ag_sender_calls calls = { on_ask, on_salt };
	struct ag_agent *agent = fm_new(struct ag_agent, 1);

	agent->base = base;
	agent->settings = settings;
	agent->lock = -1;
	agent->logged = FM_APP_UNKNOWN;
	if (lock_state(agent, err) < 0 || read_state(agent, err) < 0) {
		ag_agent_free(agent);
		return NULL;
	}
	agent->sender = ag_sender_new(base, settings, agent->memory.ask.voice, &calls, agent, err);
	if (!agent->sender) {
		ag_agent_free(agent);
		return NULL;
	}
	make_world(agent);
	make_core(agent);
	disk_now(agent);
	scan_now(agent);
	return agent;
}

void
ag_agent_free(struct ag_agent *agent)
{
	struct event **events[] = { &agent->tick, &agent->scan, &agent->disk, &agent->spawned,
				    &agent->hint };

	ag_worker_free(agent->worker);
	ag_looker_free(agent->looker);
	ag_looker_free(agent->watcher);
	ag_probe_free(agent->probe);
	ag_log_watch_free(agent->log_watch);
	ag_facts_free(agent->facts);
	ag_output_free(agent->output);
	if (agent->instance) agent->runtime->close(agent->instance);
	ag_sender_free(agent->sender);
	for (size_t i = 0; i < sizeof(events) / sizeof(*events); i++)
		if (*events[i]) event_free(*events[i]);
	ag_core_free(agent->core);
	fm_closep(&agent->lock);
	free(agent);
}
