#include "made_up.h"

#include "turning.h"

#include <event2/event.h>
#include <string.h>

#include "agent/runtimes/runtime.h"
#include "base/mono.h"
#include "base/text.h"

#define LIMIT_MS 10000

struct event_base *turning_base;
struct ag_settings turning_settings;
unsigned turning_calls;

int
turning_setup(void **state)
{
	if (folder_setup(state) < 0) return -1;
	turning_base = event_base_new();
	memset(&turning_settings, 0, sizeof(turning_settings));
	FM_COPY(turning_settings.node, "app1");
	FM_COPY(turning_settings.runtime, "process");
	FM_COPY(turning_settings.root, folder_path("app"));
	FM_COPY(turning_settings.state_dir, folder_path("state"));
	FM_COPY(turning_settings.node_dir, folder_path("state/run"));
	FM_COPY(turning_settings.storage, folder_path("storage"));
	FM_COPY(turning_settings.env_file, folder_path("env"));
	FM_COPY(turning_settings.log_file, folder_path("app.log"));
	FM_COPY(turning_settings.host, "127.0.0.1");
	turning_settings.look_ms = 5000;
	folder_write("state/x", "");
	folder_write("env", "APP_KEY='sec ret'\nSOCKET_PATH=/shared/by/all\nDB_DIALECT=postgres\n"
			    "DB_PASSWORD=hunter2\nDB_HOST=127.0.0.1\n");
	folder_release("app", "2.2.15");
	turning_calls = 0;
	return turning_base ? 0 : -1;
}

/* What a test that failed has left alive ends with it. */
static void
end_processes(void)
{
	struct ag_instance *in;

	FM_COPY(turning_settings.state_dir, folder_path("state"));
	in = ag_runtime_process.open(turning_base, &turning_settings, turning_count, NULL);
	ag_runtime_process.signal(in, AG_KILL);
	ag_runtime_process.close(in);
}

int
turning_teardown(void **state)
{
	end_processes();
	event_base_free(turning_base);
	return folder_teardown(state);
}

void
turning_count(void *arg)
{
	(void)arg;
	turning_calls++;
}

static void
on_pause(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

/* The loop turns until the condition holds. */
void
turning_until(bool (*holds)(void *arg), void *arg)
{
	struct fm_mono end = fm_mono_after(fm_mono_now(), LIMIT_MS);
	struct timeval pause = { 0, 5000 };

	while (!holds(arg)) {
		assert_true(fm_mono_since(end, fm_mono_now()) > 0);
		assert_int_equal(
			event_base_once(turning_base, -1, EV_TIMEOUT, on_pause, NULL, &pause), 0);
		assert_int_equal(event_base_loop(turning_base, EVLOOP_ONCE), 0);
	}
}

bool
turning_was_called(void *arg)
{
	(void)arg;
	return turning_calls > 0;
}

struct ag_instance *
turning_open(void)
{
	return ag_runtime_process.open(turning_base, &turning_settings, turning_count, NULL);
}

bool
turning_has_count(void *processes)
{
	const struct turning_processes *e = processes;
	char strange[FM_TEXT_SIZE];

	return ag_runtime_process.scan(e->instance, strange, sizeof(strange)) == e->count;
}
