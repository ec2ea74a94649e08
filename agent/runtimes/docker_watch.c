#include "agent/runtimes/docker_watch.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "agent/runtimes/docker_init.h"
#include "agent/runtimes/docker_spec.h"
#include "agent/runtimes/docker_stream.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/mono.h"
#include "base/text.h"

#define RETRY_MS 1000
#define AGAIN_MS 100	/* a container that is just being renamed */
#define FRESH_MS 400	/* so old an answer is good enough for a scan */
#define IMAGES_MS 60000 /* images are removed by hand, seldom */
#define STOP_EXTRA_MS 30000
#define LISTED_MAX 2048

/* What is followed of all containers: where one of ours may have changed. */
static const char events_filter[] =
	"{\"type\":[\"container\"],\"event\":[\"create\",\"start\",\"die\","
	"\"destroy\",\"rename\",\"update\"]}";

struct ag_docker_watch {
	struct event_base *base;
	const struct ag_settings *settings;
	void (*changed)(void *arg);
	void (*told)(void *arg);
	void *arg;
	struct ag_engine *engine;
	struct event *retry, *later;
	struct ag_docker_init *init;
	struct ag_engine_call *events, *asking, *acting;
	struct ag_lines lines; /* of events */
	bool is_connected, again, wants_images;
	bool is_renewing; /* told() is for what is asked from now on */
	struct fm_mono asked_at, images_at;
	char listed[LISTED_MAX];
	char env_of[80]; /* id of the container whose environment was written down */
	char policy_of[80];
	struct ag_docker_facts facts, fresh;
};

static void begin(struct ag_docker_watch *watch);

static void
add_in(struct event *event, int64_t ms)
{
	struct timeval in = { ms / 1000, ms % 1000 * 1000 };

	CHECK(event_add(event, &in) == 0);
}

/* ---- the round: list, inspect, images ---- */

static void
take_over(struct ag_docker_watch *watch)
{
	void (*told)(void *arg) = NULL;
	bool differs = memcmp(&watch->facts, &watch->fresh, sizeof(watch->facts)) != 0;

	watch->facts = watch->fresh;
	if (!watch->again && watch->is_renewing) {
		told = TAKE(watch->told);
		watch->is_renewing = false;
	}
	if (told) told(watch->arg);
	if (differs || told) watch->changed(watch->arg);
	ag_docker_init_watch(watch->init, watch->facts.is_running ? watch->facts.pid : 0,
			     watch->facts.id);
	if (watch->again) begin(watch);
}

static void
set_blind(struct ag_docker_watch *watch, const char *why)
{
	watch->fresh = watch->facts;
	watch->fresh.is_known = false;
	FM_COPY(watch->fresh.why, why);
	take_over(watch);
}

static void
lose_engine(struct ag_docker_watch *watch, const char *why)
{
	struct ag_engine_call **calls[] = { &watch->events, &watch->asking, &watch->acting };

	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) ag_engine_drop(TAKE(*calls[i]));
	if (watch->facts.is_known || !fm_is_equal(watch->facts.why, why))
		fm_log(FM_LOG_WARNING, "the engine cannot be asked", "why=\"%s\"", why);
	watch->is_connected = false;
	watch->again = false;
	watch->is_renewing = watch->told != NULL;
	add_in(watch->retry, RETRY_MS);
	set_blind(watch, why);
}

static void
ask(struct ag_docker_watch *watch, const char *path,
    void (*done)(void *arg, const struct ag_engine_answer *answer))
{
	const struct ag_engine_ask question = { .method = "GET",
						.path = path,
						.limit_ms = AG_ENGINE_SHORT_MS,
						.done = done,
						.arg = watch };

	watch->asking = ag_engine_begin(watch->engine, &question);
}

static void
on_images(void *arg, const struct ag_engine_answer *answer)
{
	struct ag_docker_watch *watch = arg;
	_cleanup_json_ json_t *list = NULL;
	struct ag_images images;
	struct fm_err err;

	watch->asking = NULL;
	if (answer->status == 0) {
		lose_engine(watch, answer->err.text);
		return;
	}
	list = json_loadb(answer->body, answer->len, 0, NULL);
	watch->fresh.lost_count = 0;
	/* Which are here is not known then: a start would tell. */
	if (!json_is_array(list) || ag_images_read(watch->settings, &images, &err) < 0)
		images.count = 0;
	for (unsigned i = 0; i < images.count; i++) {
		bool is_there = false;
		json_t *row;
		size_t k;

		json_array_foreach(list, k, row)
			is_there = is_there ||
				   fm_is_equal(ag_docker_text_at(row, "Id"), images.rows[i].id);
		if (!is_there)
			FM_COPY(watch->fresh.lost[watch->fresh.lost_count++], images.rows[i].id);
	}
	watch->images_at = fm_mono_now();
	take_over(watch);
}

static void
after_container(struct ag_docker_watch *watch)
{
	if (!watch->wants_images && watch->facts.is_known &&
	    fm_mono_since(fm_mono_now(), watch->images_at) < IMAGES_MS) {
		take_over(watch);
		return;
	}
	watch->wants_images = false;
	ask(watch, "images/json", on_images);
}

/* ---- what follows from the container's own settings ---- */

static void
write_env(struct ag_docker_watch *watch, const json_t *container)
{
	const struct ag_settings *s = watch->settings;
	char own[AG_PATH_SIZE + 32];
	struct fm_err err;
	char *text;

	(void)FM_FORMAT(own, "%s/" AG_CONTAINER_ENV, s->state_dir);
	if (strcmp(own, s->env_file) != 0 || fm_is_equal(watch->env_of, watch->fresh.id)) return;
	text = ag_docker_dotenv(container, s->docker_database);
	if (ag_store_write(s, AG_CONTAINER_ENV, text, &err) < 0)
		fm_log(FM_LOG_ERROR, "environment is not written", "why=\"%s\"", err.text);
	else
		FM_COPY(watch->env_of, watch->fresh.id);
	explicit_bzero(text, strlen(text));
	free(text);
}

static void
on_policy_set(void *arg, const struct ag_engine_answer *answer)
{
	struct ag_docker_watch *watch = arg;

	watch->acting = NULL;
	if (answer->err.text[0])
		fm_log(FM_LOG_ERROR, "restart policy is not set", "why=\"%s\"", answer->err.text);
}

/* A container that the engine starts by itself would be started behind the guard's back. */
static void
take_policy(struct ag_docker_watch *watch, const json_t *container)
{
	char policy[64], path[160];
	struct fm_err err;
	const struct ag_engine_ask question = { .method = "POST",
						.path = path,
						.body = "{\"RestartPolicy\":{\"Name\":\"no\"}}",
						.limit_ms = AG_ENGINE_SHORT_MS,
						.done = on_policy_set,
						.arg = watch };

	ag_docker_restart_text(ag_docker_at(container, "HostConfig.RestartPolicy"), policy,
			       sizeof(policy));
	if (strcmp(policy, "no") == 0 || watch->acting ||
	    fm_is_equal(watch->policy_of, watch->fresh.id))
		return;
	if (ag_restart_write(watch->settings, policy, &err) < 0) {
		fm_log(FM_LOG_ERROR, "restart policy is not written down", "why=\"%s\"", err.text);
		return;
	}
	FM_COPY(watch->policy_of, watch->fresh.id);
	(void)FM_FORMAT(path, "containers/%s/update", watch->fresh.id);
	fm_log(FM_LOG_NOTICE, "restart policy is ours", "container=%s was=%s now=no",
	       watch->fresh.name, policy);
	watch->acting = ag_engine_begin(watch->engine, &question);
}

static void
on_inspected(void *arg, const struct ag_engine_answer *answer)
{
	struct ag_docker_watch *watch = arg;
	_cleanup_json_ json_t *container = NULL;

	watch->asking = NULL;
	if (answer->status == 0) {
		lose_engine(watch, answer->err.text);
		return;
	}
	container = json_loadb(answer->body, answer->len, 0, NULL);
	if (answer->status != 200 || !container) {
		/* Renamed or removed since it was listed. */
		add_in(watch->later, AGAIN_MS);
		return;
	}
	watch->fresh.is_known = true;
	watch->fresh.why[0] = '\0';
	ag_docker_facts_read(&watch->fresh, container);
	write_env(watch, container);
	take_policy(watch, container);
	after_container(watch);
}

/* Nothing bears the name: is it being made anew, or was it removed? */
static void
take_missing(struct ag_docker_watch *watch, const json_t *list)
{
	struct ag_docker_facts *f = &watch->fresh;
	char name[AG_CONTAINER_NAME + 32];

	(void)FM_FORMAT(name, "%s" AG_NEW, f->name);
	f->is_known = ag_docker_row(list, name) != NULL;
	f->id[0] = f->node[0] = f->mode[0] = f->ended[0] = '\0';
	f->is_running = false;
	FM_FORMAT(
		f->why,
		"there is no container %s: make it as you always did, without starting it (docker "
		"create, docker compose create)",
		f->name);
	if (f->is_known) f->why[0] = '\0';
	after_container(watch);
}

static void
on_listed(void *arg, const struct ag_engine_answer *answer)
{
	struct ag_docker_watch *watch = arg;
	_cleanup_json_ json_t *list = NULL;
	char path[AG_CONTAINER_NAME + 32];
	struct fm_err err;

	watch->asking = NULL;
	if (answer->status != 200) {
		lose_engine(watch, answer->err.text);
		return;
	}
	list = json_loadb(answer->body, answer->len, 0, NULL);
	watch->fresh = watch->facts;
	if (ag_docker_name(watch->settings, list, watch->fresh.name, sizeof(watch->fresh.name),
			   &err) < 0) {
		set_blind(watch, err.text);
		return;
	}
	ag_docker_facts_strange(&watch->fresh, list);
	if (!ag_docker_row(list, watch->fresh.name)) {
		take_missing(watch, list);
		return;
	}
	(void)FM_FORMAT(path, "containers/%s/json", watch->fresh.name);
	ask(watch, path, on_inspected);
}

static void
begin(struct ag_docker_watch *watch)
{
	if (!watch->is_connected) return;
	watch->again = watch->asking != NULL || event_pending(watch->later, EV_TIMEOUT, NULL);
	if (watch->again) return;
	if (watch->told) watch->is_renewing = true;
	watch->asked_at = fm_mono_now();
	ask(watch, watch->listed, on_listed);
}

static void
on_later(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	begin(arg);
}

static void
on_init_ended(void *arg)
{
	begin(arg);
}

/* ---- the connection ---- */

static int
on_event(void *arg, const char *line, size_t len, struct fm_err *err)
{
	(void)line;
	(void)len;
	(void)err;
	/* Whatever it was, the round says what is so; not from inside the engine's own callback. */
	add_in(((struct ag_docker_watch *)arg)->later, 0);
	return 0;
}

static int
on_event_bytes(void *arg, const char *bytes, size_t len, struct fm_err *err)
{
	struct ag_docker_watch *watch = arg;

	return ag_lines_add(&watch->lines, bytes, len, on_event, watch, err);
}

static void
on_events_end(void *arg, const struct ag_engine_answer *answer)
{
	struct ag_docker_watch *watch = arg;

	watch->events = NULL;
	lose_engine(watch, answer->err.text[0]
				   ? answer->err.text
				   : "the engine has ended its events: it ends or begins "
				     "anew");
}

static void
on_version(void *arg, const struct ag_engine_answer *answer)
{
	struct ag_docker_watch *watch = arg;
	char path[1024] = "events?filters=";
	const struct ag_engine_ask question = { .method = "GET",
						.path = path,
						.data = on_event_bytes,
						.done = on_events_end,
						.arg = watch };
	struct fm_err err;

	watch->asking = NULL;
	if (ag_engine_agree(watch->engine, answer, &err) < 0) {
		lose_engine(watch, err.text);
		return;
	}
	ag_docker_escape(path, sizeof(path), events_filter);
	watch->lines.len = 0;
	watch->is_connected = true;
	watch->wants_images = true;
	watch->events = ag_engine_begin(watch->engine, &question);
	begin(watch);
}

static void
on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct ag_docker_watch *watch = arg;
	struct fm_err err;

	(void)fd;
	(void)what;
	/* Agreed anew each time: the engine may be another version now. */
	ag_engine_free(watch->engine);
	watch->engine = ag_engine_new(watch->base, watch->settings->docker_socket, &err);
	if (watch->engine)
		ask(watch, "version", on_version);
	else
		lose_engine(watch, err.text);
}

struct ag_docker_watch *
ag_docker_watch_new(struct event_base *base, const struct ag_settings *settings,
		    void (*changed)(void *arg), void *arg)
{
	struct ag_docker_watch *watch = fm_new(struct ag_docker_watch, 1);

	watch->base = base;
	watch->settings = settings;
	watch->changed = changed;
	watch->arg = arg;
	FM_COPY(watch->facts.why, "asks the engine");
	ag_docker_list_path(settings, watch->listed, sizeof(watch->listed));
	watch->init = ag_docker_init_new(base, on_init_ended, watch);
	watch->retry = event_new(base, -1, 0, on_retry, watch);
	watch->later = event_new(base, -1, 0, on_later, watch);
	CHECK(watch->retry && watch->later);
	add_in(watch->retry, 0);
	return watch;
}

void
ag_docker_watch_free(struct ag_docker_watch *watch)
{
	if (!watch) return;
	ag_engine_free(watch->engine);
	event_free(watch->retry);
	event_free(watch->later);
	ag_docker_init_free(watch->init);
	free(watch);
}

const struct ag_docker_facts *
ag_docker_watch_facts(const struct ag_docker_watch *watch)
{
	return &watch->facts;
}

struct ag_engine *
ag_docker_watch_engine(struct ag_docker_watch *watch)
{
	return watch->is_connected ? watch->engine : NULL;
}

void
ag_docker_watch_refresh(struct ag_docker_watch *watch)
{
	if (watch->asking || fm_mono_since(fm_mono_now(), watch->asked_at) < FRESH_MS) return;
	begin(watch);
}

void
ag_docker_watch_renew(struct ag_docker_watch *watch, void (*told)(void *arg))
{
	watch->told = told;
	watch->is_renewing = false;
	watch->wants_images = true;
	begin(watch);
}

/* ---- ending it ---- */

static void
on_acted(void *arg, const struct ag_engine_answer *answer)
{
	struct ag_docker_watch *watch = arg;

	watch->acting = NULL;
	/* 304: it has ended already; 409: it does not run. */
	if (answer->err.text[0] && answer->status != 304 && answer->status != 409)
		fm_log(FM_LOG_WARNING, "the engine does not end the container", "why=\"%s\"",
		       answer->err.text);
	begin(watch);
}

static void
act(struct ag_docker_watch *watch, const char *path, long limit_ms)
{
	const struct ag_engine_ask question = {
		.method = "POST", .path = path, .limit_ms = limit_ms, .done = on_acted, .arg = watch
	};

	if (!watch->is_connected || !watch->facts.id[0]) return;
	/* Its answer would come when all is over; a later word is more urgent. */
	ag_engine_drop(TAKE(watch->acting));
	watch->acting = ag_engine_begin(watch->engine, &question);
}

void
ag_docker_watch_stop(struct ag_docker_watch *watch, long long limit_ms)
{
	char path[160];

	(void)FM_FORMAT(path, "containers/%s/stop?t=%lld", watch->facts.id,
			(limit_ms + 999) / 1000);
	act(watch, path, (long)limit_ms + STOP_EXTRA_MS);
}

void
ag_docker_watch_kill(struct ag_docker_watch *watch)
{
	char path[160];

	(void)FM_FORMAT(path, "containers/%s/kill?signal=KILL", watch->facts.id);
	act(watch, path, AG_ENGINE_SHORT_MS);
}
