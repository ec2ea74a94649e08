/* coordinator.c - the daemon's life. */
#include "coordinator/coordinator.h"

#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/mono.h"
#include "base/text.h"
#include "coordinator/http/http.h"
#include "coordinator/notify.h"
#include "coordinator/run/journal.h"
#include "coordinator/store/state_codec.h"

static void
on_signal(evutil_socket_t number, short what, void *arg)
{
	struct co_daemon *daemon = arg;

	(void)what;
	fm_log(FM_LOG_NOTICE, "going down", "signal=%d", number);
	event_base_loopbreak(daemon->base);
}

/* Ours to make, unless the packaging has; the folder above it is not. */
static int
make_dir(const char *path, struct fm_err *err)
{
	if (mkdir(path, 0700) == 0 || errno == EEXIST) return 0;
	return fm_fail(err, FM_ERR_IO, errno, "make the folder %s", path);
}

static void
make_salt(struct co_daemon *daemon)
{
	unsigned char chance[(FM_SALT_SIZE - 1) / 2];

	CHECK(getrandom(chance, sizeof(chance), 0) == sizeof(chance));
	for (size_t i = 0; i < sizeof(chance); i++)
		(void)snprintf(daemon->salt + 2 * i, 3, "%02x", chance[i]);
}

static int
open_core(struct co_daemon *daemon, struct fm_err *err)
{
	char path[PATH_MAX];
	_cleanup_free_ uint8_t *bytes = NULL;
	_cleanup_free_ struct co_state *state = fm_new(struct co_state, 1);
	struct co_env env = co_world(daemon);
	size_t size = 0;

	make_salt(daemon);
	if (make_dir(daemon->settings.state_dir, err) != 0) return -1;
	if (make_dir(daemon->settings.points_dir, err) != 0) return -1;
	FM_FORMAT(path, "%s/journal.sqlite", daemon->settings.state_dir);
	if (co_journal_open(path, &daemon->journal, err) != 0) return -1;
	if (co_journal_load(daemon->journal, &bytes, &size, err) != 0) return -1;
	if (bytes != NULL && co_state_unpack(bytes, size, state, err) != 0) return -1;
	daemon->core = co_core_new(&env, &daemon->config, bytes == NULL ? NULL : state,
				   fm_mono_now());
	if (daemon->core == NULL)
		return fm_fail(err, FM_ERR_IO, 0, "the journal %s cannot be written", path);
	return 0;
}

/* After the core, which may have begun this life with events of its own. */
static void
open_notify(struct co_daemon *daemon)
{
	const struct co_run *run = &co_core_state(daemon->core)->run;

	if (fm_is_empty(daemon->settings.notify)) return;
	daemon->notify = co_notify_open(daemon->base, &daemon->settings, daemon->journal,
					run->number, run->events);
}

static int
open_all(struct co_daemon *daemon, struct fm_err *err)
{
	TAILQ_INIT(&daemon->clients);
	daemon->base = event_base_new();
	CHECK(daemon->base != NULL);
	if (open_core(daemon, err) != 0) return -1;
	open_notify(daemon);
	if (co_peers_open(daemon, err) != 0) return -1;
	if (co_control_open(daemon, err) != 0) return -1;
	if (co_http_open(daemon, err) != 0) return -1;
	co_clock_start(daemon);
	return 0;
}

static void
close_all(struct co_daemon *daemon)
{
	co_http_close(daemon->http);
	co_control_close(daemon);
	co_peers_close(daemon);
	co_job_stop(daemon);
	co_notify_close(daemon->notify);
	co_logs_forget(daemon);
	/* Goodbyes and dropped children end with one more turn of the loop. */
	if (daemon->base != NULL) event_base_loop(daemon->base, EVLOOP_NONBLOCK);
	if (daemon->core != NULL) co_core_free(daemon->core);
	if (daemon->journal != NULL) co_journal_close(daemon->journal);
	co_clock_stop(daemon);
	if (daemon->base != NULL) event_base_free(daemon->base);
}

int
co_daemon_run(struct co_daemon *daemon, struct fm_err *err)
{
	struct event *term = NULL, *interrupt = NULL;
	int rc = open_all(daemon, err);

	if (rc == 0) {
		term = evsignal_new(daemon->base, SIGTERM, on_signal, daemon);
		interrupt = evsignal_new(daemon->base, SIGINT, on_signal, daemon);
		CHECK(term != NULL && interrupt != NULL);
		event_add(term, NULL);
		event_add(interrupt, NULL);
		fm_log(FM_LOG_NOTICE, "coordinating", "cluster=%s epoch=%llu listen=%s socket=%s",
		       daemon->settings.cluster,
		       (unsigned long long)co_core_state(daemon->core)->epoch,
		       daemon->settings.listen, daemon->settings.socket);
		event_base_dispatch(daemon->base);
		event_free(term);
		event_free(interrupt);
	}
	close_all(daemon);
	return rc;
}
