#include "agent/runtimes/docker_logs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/runtimes/docker_stream.h"
#include "agent/runtimes/engine.h"
#include "agent/settings.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"

struct ag_docker_logs {
	char path[AG_PATH_SIZE], id[80];
	struct ag_engine_call *call;
	struct ag_frames frames;
	int fd;
	bool is_lost; /* said once */
};

static void
put(void *arg, const char *text, size_t len)
{
	struct ag_docker_logs *logs = arg;

	while (logs->fd >= 0 && len > 0) {
		ssize_t n = write(logs->fd, text, len);

		if (n < 0 && errno == EINTR) continue;
		if (n < 0) {
			if (!logs->is_lost)
				fm_log(FM_LOG_WARNING, "application's output is not written",
				       "path=%s why=\"%s\"", logs->path, strerror(errno));
			logs->is_lost = true;
			return;
		}
		text += n;
		len -= (size_t)n;
	}
}

static int
on_bytes(void *arg, const char *bytes, size_t len, struct fm_err *err)
{
	struct ag_docker_logs *logs = arg;

	return ag_frames_add(&logs->frames, bytes, len, put, logs, err);
}

static void
on_end(void *arg, const struct ag_engine_answer *answer)
{
	struct ag_docker_logs *logs = arg;

	logs->call = NULL;
	if (answer->err.text[0])
		fm_log(FM_LOG_DEBUG, "application's output ends", "why=\"%s\"", answer->err.text);
}

struct ag_docker_logs *
ag_docker_logs_new(const char *log_file)
{
	struct ag_docker_logs *logs = fm_new(struct ag_docker_logs, 1);

	(void)FM_COPY(logs->path, log_file);
	logs->fd = -1;
	return logs;
}

void
ag_docker_logs_end(struct ag_docker_logs *logs)
{
	ag_engine_drop(TAKE(logs->call));
}

void
ag_docker_logs_free(struct ag_docker_logs *logs)
{
	if (!logs) return;
	ag_docker_logs_end(logs);
	fm_closep(&logs->fd);
	free(logs);
}

void
ag_docker_logs_follow(struct ag_docker_logs *logs, struct ag_engine *engine, const char *id,
		      bool has_terminal)
{
	char path[256];
	const struct ag_engine_ask ask = {
		.method = "GET", .path = path, .data = on_bytes, .done = on_end, .arg = logs
	};
	struct stat st;
	bool is_same = fm_is_equal(logs->id, id);

	if (logs->call && is_same) return;
	ag_docker_logs_end(logs);
	/* What came while nobody followed: since the file was written last. */
	memset(&st, 0, sizeof(st));
	if (stat(logs->path, &st) < 0) memset(&st, 0, sizeof(st));
	fm_closep(&logs->fd);
	logs->fd = open(logs->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	(void)FM_COPY(logs->id, id);
	memset(&logs->frames, 0, sizeof(logs->frames));
	logs->frames.is_raw = has_terminal;
	logs->is_lost = false;
	(void)FM_FORMAT(path, "containers/%s/logs?follow=1&stdout=1&stderr=1&since=%lld.%09ld", id,
			(long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	logs->call = ag_engine_begin(engine, &ask);
}
