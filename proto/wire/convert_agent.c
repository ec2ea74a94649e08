#include <string.h>

#include "schema/envelope.pb-c.h"
#include "wire/convert.h"
#include "wire/field.h"
#include "wire/frame.h"

#define NAME(field) fm_field_name(ret->field, sizeof ret->field, msg->field, #field, err)
#define TEXT(field) fm_field_text(ret->field, sizeof ret->field, msg->field, #field, err)
#define NAMES(field)                                                                       \
	fm_field_names((struct fm_field_list){ ret->field[0], sizeof ret->field[0],        \
					       sizeof ret->field / sizeof ret->field[0] }, \
		       msg->field, msg->n_##field, #field, err)

uint8_t *
fm_agent_ask_pack(const struct fm_agent_ask *ask, size_t *ret_size)
{
	return fm_agent_ask_pack_salted(ask, NULL, ret_size);
}

uint8_t *
fm_agent_ask_pack_salted(const struct fm_agent_ask *ask, const char *salt, size_t *ret_size)
{
	struct fm_agent_ask a = *ask;
	Fermata__Envelope envelope = FERMATA__ENVELOPE__INIT;
	Fermata__AgentAsk msg = FERMATA__AGENT_ASK__INIT;
	char *keep[FM_RELEASES_MAX];

	for (unsigned i = 0; i < a.keep_count; i++) keep[i] = fm_field_clean(a.keep[i]);
	msg.epoch = a.voice.epoch;
	msg.seq = a.voice.seq;
	msg.run = a.run;
	msg.app = (Fermata__AppGoal)a.app;
	msg.release = fm_field_clean(a.release);
	msg.start = (Fermata__StartMode)a.start;
	msg.fetch = fm_field_clean(a.fetch);
	msg.snapshot = fm_field_clean(a.snapshot);
	msg.restore = fm_field_clean(a.restore);
	msg.restore_serial = a.restore_serial;
	msg.n_keep = a.keep_count;
	msg.keep = keep;
	msg.start_serial = a.start_serial;
	if (salt) msg.salt = (char *)(uintptr_t)salt;
	envelope.body_case = FERMATA__ENVELOPE__BODY_AGENT_ASK;
	envelope.agent_ask = &msg;
	return fm_frame_pack(&envelope, ret_size);
}

static void
fill_report_texts(Fermata__AgentReport *msg, struct fm_agent_report *r)
{
	msg->node = fm_field_clean(r->node);
	msg->current = fm_field_clean(r->current);
	msg->running = fm_field_clean(r->running);
	msg->detail = fm_field_clean(r->detail);
	msg->failure = fm_field_clean(r->failure);
	msg->database = fm_field_clean(r->database);
	msg->fetched = fm_field_clean(r->fetched);
	msg->fetch_failure = fm_field_clean(r->fetch_failure);
	msg->snapshot = fm_field_clean(r->snapshot);
	msg->snapshot_failure = fm_field_clean(r->snapshot_failure);
	msg->restore_failure = fm_field_clean(r->restore_failure);
	msg->address = fm_field_clean(r->address);
	msg->swept = fm_field_clean(r->swept);
	msg->unfit = fm_field_clean(r->unfit);
	msg->sql = fm_field_clean(r->sql);
	msg->sql_waits = fm_field_clean(r->sql_waits);
	msg->hook_failure = fm_field_clean(r->hook_failure);
}

static size_t
fill_hooks(Fermata__HookTold msgs[FM_HOOKS_TOLD], Fermata__HookTold *list[FM_HOOKS_TOLD],
	   struct fm_agent_report *r)
{
	size_t count = 0;

	for (unsigned i = 0; i < FM_HOOKS_TOLD; i++) {
		if (r->hooks[i].serial == 0) continue;
		fermata__hook_told__init(&msgs[i]);
		msgs[i].serial = r->hooks[i].serial;
		msgs[i].hook = fm_field_clean(r->hooks[i].hook);
		msgs[i].ok = r->hooks[i].ok;
		msgs[i].goes_on = r->hooks[i].goes_on;
		msgs[i].took_ms = r->hooks[i].took_ms;
		msgs[i].text = fm_field_clean(r->hooks[i].text);
		list[count++] = &msgs[i];
	}
	return count;
}

static void
fill_facts(Fermata__NodeFacts *msg, struct fm_node_facts *f)
{
	msg->salt = fm_field_clean(f->salt);
	msg->environment = fm_field_clean(f->environment);
	msg->plugins = fm_field_clean(f->plugins);
	msg->storage = fm_field_clean(f->storage);
	msg->storage_inode = f->storage_inode;
	msg->storage_on = fm_field_clean(f->storage_on);
	msg->worker_mode = fm_field_clean(f->worker_mode);
	msg->disk_free = f->disk_free;
	msg->disk_size = f->disk_size;
	msg->clock_ms = f->clock_ms;
	msg->fault = fm_field_clean(f->fault);
	msg->hooks = fm_field_clean(f->hooks);
	msg->hooks_break = f->hooks_break;
}

uint8_t *
fm_agent_report_pack(const struct fm_agent_report *report, size_t *ret_size)
{
	return fm_agent_report_pack_with(report, NULL, ret_size);
}

uint8_t *
fm_agent_report_pack_with(const struct fm_agent_report *report, const struct fm_node_facts *facts,
			  size_t *ret_size)
{
	struct fm_agent_report r = *report;
	struct fm_node_facts f;
	Fermata__Envelope envelope = FERMATA__ENVELOPE__INIT;
	Fermata__AgentReport msg = FERMATA__AGENT_REPORT__INIT;
	Fermata__NodeFacts facts_msg = FERMATA__NODE_FACTS__INIT;
	char *releases[FM_RELEASES_MAX];
	Fermata__HookTold hooks[FM_HOOKS_TOLD], *hook_list[FM_HOOKS_TOLD];

	for (unsigned i = 0; i < r.release_count; i++) releases[i] = fm_field_clean(r.releases[i]);
	fill_report_texts(&msg, &r);
	msg.epoch = r.voice.epoch;
	msg.seq = r.voice.seq;
	msg.app = (Fermata__AppState)r.app;
	msg.n_releases = r.release_count;
	msg.releases = releases;
	msg.n_hooks = fill_hooks(hooks, hook_list, &r);
	msg.hooks = hook_list;
	msg.pids = r.pids;
	msg.restored_serial = r.restored_serial;
	msg.ready_ms = r.ready_ms;
	msg.starts = r.starts;
	msg.snapshot_bytes = r.snapshot_bytes;
	msg.swept_seq = r.swept_seq;
	if (facts) {
		f = *facts;
		fill_facts(&facts_msg, &f);
		msg.facts = &facts_msg;
	}
	msg.memory_bytes = r.memory_bytes;
	msg.cpu_permille = r.cpu_permille;
	msg.sql_age_ms = r.sql_age_ms;
	msg.signs = r.signs;
	envelope.body_case = FERMATA__ENVELOPE__BODY_AGENT_REPORT;
	envelope.agent_report = &msg;
	return fm_frame_pack(&envelope, ret_size);
}

int
fm_agent_ask_from(const struct Fermata__AgentAsk *msg, struct fm_agent_ask *ret, struct fm_err *err)
{
	memset(ret, 0, sizeof *ret);
	if (fm_field_enum((int)msg->app, FM_APP_GOAL_RUNNING + 1, "app", err) < 0 ||
	    fm_field_enum((int)msg->start, FM_START_MIGRATE + 1, "start", err) < 0 ||
	    NAME(release) < 0 || NAME(fetch) < 0 || NAME(snapshot) < 0 || NAME(restore) < 0 ||
	    NAMES(keep) < 0)
		return fm_wrap(err, "AGENT_ASK");
	ret->voice = (struct fm_voice){ msg->epoch, msg->seq };
	ret->run = msg->run;
	ret->app = (enum fm_app_goal)msg->app;
	ret->start = (enum fm_start_mode)msg->start;
	ret->restore_serial = msg->restore_serial;
	ret->start_serial = msg->start_serial;
	ret->keep_count = (unsigned)msg->n_keep;
	return 0;
}

static int
read_hooks(const struct Fermata__AgentReport *from, struct fm_agent_report *report,
	   struct fm_err *err)
{
	if (from->n_hooks > FM_HOOKS_TOLD)
		return fm_fail(err, FM_ERR_LIMIT, 0, "hooks: %zu of them", from->n_hooks);
	for (size_t i = 0; i < from->n_hooks; i++) {
		const Fermata__HookTold *msg = from->hooks[i];
		struct fm_hook_told *ret = &report->hooks[i];

		if (NAME(hook) < 0 || TEXT(text) < 0) return -1;
		ret->serial = msg->serial;
		ret->ok = msg->ok;
		ret->goes_on = msg->goes_on;
		ret->took_ms = msg->took_ms;
	}
	return 0;
}

int
fm_agent_report_from(const struct Fermata__AgentReport *msg, struct fm_agent_report *ret,
		     struct fm_err *err)
{
	memset(ret, 0, sizeof *ret);
	if (fm_field_enum((int)msg->app, FM_APP_STUCK + 1, "app", err) < 0 || NAME(node) < 0 ||
	    NAME(current) < 0 || NAMES(releases) < 0 || NAME(running) < 0 || TEXT(detail) < 0 ||
	    TEXT(failure) < 0 || TEXT(database) < 0 || NAME(fetched) < 0 ||
	    TEXT(fetch_failure) < 0 || NAME(snapshot) < 0 || TEXT(snapshot_failure) < 0 ||
	    TEXT(restore_failure) < 0 || TEXT(address) < 0 || TEXT(swept) < 0 || TEXT(unfit) < 0 ||
	    TEXT(sql) < 0 || TEXT(sql_waits) < 0 || TEXT(hook_failure) < 0 ||
	    read_hooks(msg, ret, err) < 0)
		return fm_wrap(err, "AGENT_REPORT");
	ret->voice = (struct fm_voice){ msg->epoch, msg->seq };
	ret->app = (enum fm_app_state)msg->app;
	ret->release_count = (unsigned)msg->n_releases;
	ret->pids = msg->pids;
	ret->restored_serial = msg->restored_serial;
	ret->ready_ms = msg->ready_ms;
	ret->starts = msg->starts;
	ret->snapshot_bytes = msg->snapshot_bytes;
	ret->swept_seq = msg->swept_seq;
	ret->memory_bytes = msg->memory_bytes;
	ret->cpu_permille = msg->cpu_permille;
	ret->sql_age_ms = msg->sql_age_ms;
	ret->signs = msg->signs;
	return 0;
}

int
fm_node_facts_from(const struct Fermata__NodeFacts *msg, struct fm_node_facts *ret,
		   struct fm_err *err)
{
	memset(ret, 0, sizeof *ret);
	if (TEXT(salt) < 0 || TEXT(environment) < 0 || TEXT(plugins) < 0 || NAME(storage) < 0 ||
	    TEXT(storage_on) < 0 || TEXT(worker_mode) < 0 || TEXT(fault) < 0 || TEXT(hooks) < 0)
		return fm_wrap(err, "AGENT_REPORT");
	ret->storage_inode = msg->storage_inode;
	ret->disk_free = msg->disk_free;
	ret->disk_size = msg->disk_size;
	ret->clock_ms = msg->clock_ms;
	ret->hooks_break = msg->hooks_break;
	ret->known = true;
	return 0;
}
