#include "loop/child.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "loop/child_spawn.h"
#include "wire/frame.h"

#define CHILD_MAGIC 0x63686c64u
#define LINE_MAX_BYTES 4096
#define DROP_WAIT_MS 50
#define LEFTOVER_READS 128 /* of 16 KiB: more than the largest pipe holds */

struct fm_child {
	unsigned magic;
	struct fm_child_calls calls;
	void *arg;
	struct fm_spawned os;
	bool frames, own_group, is_reaped, is_buried;
	struct event *exit_ev, *output_ev, *input_ev;
	struct evbuffer *output, *input;
	struct fm_child *next; /* of those not reaped */
};

/* One list for the program: its children are the program's. */
static struct fm_child *unreaped;

static struct fm_child *
child_from(void *arg)
{
	struct fm_child *child = arg;

	CHECK(child && child->magic == CHILD_MAGIC);
	return child;
}

static void
release(struct event *exit_ev, void *arg)
{
	struct fm_child *child = child_from(arg);

	(void)exit_ev; /* is freed by the loop after this */
	child->magic = 0;
	free(child);
}

static void
close_input(struct fm_child *child)
{
	if (child->input_ev) event_free(TAKE(child->input_ev));
	if (child->input) evbuffer_free(TAKE(child->input));
	fm_closep(&child->os.input);
	child->os.input = -1;
}

static void
close_output(struct fm_child *child)
{
	if (child->output_ev) event_free(TAKE(child->output_ev));
	fm_closep(&child->os.output);
	child->os.output = -1;
}

/* The process is reaped; the memory goes at the end of the tick. */
static void
bury(struct fm_child *child)
{
	close_input(child);
	close_output(child);
	if (child->output) evbuffer_free(TAKE(child->output));
	fm_closep(&child->os.pidfd);
	child->os.pidfd = -1;
	child->is_buried = true;
	(void)event_free_finalize(0, child->exit_ev, release);
}

static bool
take_line(struct fm_child *child, bool is_last)
{
	_cleanup_free_ char *line = evbuffer_readln(child->output, NULL, EVBUFFER_EOL_LF);
	size_t left = evbuffer_get_length(child->output);

	/* A line without end is cut; the last one needs none. */
	if (!line && (left >= LINE_MAX_BYTES || (is_last && left > 0))) {
		line = fm_new(char, LINE_MAX_BYTES + 1);
		(void)evbuffer_remove(child->output, line, LINE_MAX_BYTES);
	}
	if (!line) return false;
	if (child->calls.line) child->calls.line(child->arg, child, line);
	return true;
}

static void
refuse(struct fm_child *child, const char *why)
{
	fm_log(FM_LOG_ERROR, "child broke the protocol", "pid=%d why=\"%s\"", (int)child->os.pid,
	       why);
	close_output(child);
	(void)evbuffer_drain(child->output, evbuffer_get_length(child->output));
	fm_child_kill(child);
}

static bool
take_frame(struct fm_child *child)
{
	_cleanup_(fm_envelope_freep) Fermata__Envelope *envelope = NULL;
	uint8_t head[FM_FRAME_HEAD];
	struct fm_err err;
	size_t size;

	if (evbuffer_copyout(child->output, head, sizeof head) < (ev_ssize_t)sizeof head)
		return false;
	if (fm_frame_head(head, FERMATA__ROLE__ROLE_JOB, &size, &err) < 0) {
		refuse(child, err.text);
		return false;
	}
	if (evbuffer_get_length(child->output) < FM_FRAME_HEAD + size) return false;
	(void)evbuffer_drain(child->output, FM_FRAME_HEAD);
	envelope = fm_frame_unpack(evbuffer_pullup(child->output, (ev_ssize_t)size), size,
				   FERMATA__ROLE__ROLE_JOB, &err);
	(void)evbuffer_drain(child->output, size);
	if (!envelope) {
		refuse(child, err.text);
		return false;
	}
	if (child->calls.envelope) child->calls.envelope(child->arg, child, envelope);
	return true;
}

/* Hands over what has been read. false: the child is gone for good. */
static bool
hand_over(struct fm_child *child, bool is_last)
{
	while (child->frames ? take_frame(child) : take_line(child, is_last))
		if (child->is_buried) return false;
	return !child->is_buried;
}

/* Reads what is there, a bounded amount a call. false: nothing (EAGAIN), or the end. */
static bool
read_some(struct fm_child *child)
{
	int n;

	errno = 0;
	if (child->os.output < 0) return false;
	n = evbuffer_read(child->output, child->os.output, 16 << 10);
	return n > 0 || (n < 0 && errno == EINTR);
}

static void
on_output(evutil_socket_t fd, short what, void *arg)
{
	struct fm_child *child = child_from(arg);
	bool is_open = read_some(child) || errno == EAGAIN;

	(void)fd;
	(void)what;
	if (!hand_over(child, !is_open)) return;
	if (!is_open) close_output(child);
}

static void
on_input(evutil_socket_t fd, short what, void *arg)
{
	struct fm_child *child = child_from(arg);
	int n = evbuffer_write(child->input, (int)fd);

	(void)what;
	if (evbuffer_get_length(child->input) == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		close_input(child);
}

static void
strike_off(const struct fm_child *child)
{
	struct fm_child **at = &unreaped;

	while (*at && *at != child) at = &(*at)->next;
	if (*at) *at = child->next;
}

/* What is left of its group has no owner any more. Before waitpid(): a zombie still holds its number,
 * so that no stranger can have it. */
static int
reap(struct fm_child *child)
{
	int status = 0;

	if (child->own_group) (void)kill(-child->os.pid, SIGKILL);
	while (waitpid(child->os.pid, &status, 0) < 0 && errno == EINTR) continue;
	child->is_reaped = true;
	strike_off(child);
	return status;
}

static void
on_exit_event(evutil_socket_t fd, short what, void *arg)
{
	struct fm_child *child = child_from(arg);
	int status = reap(child);

	(void)fd;
	(void)what;
	/* Somebody it started may still hold the pipe: what is in it now is all that counts. */
	for (int i = 0; i < LEFTOVER_READS && read_some(child); i++)
		if (!hand_over(child, false)) return;
	if (!hand_over(child, true)) return;
	if (child->calls.exited) child->calls.exited(child->arg, child, status);
	if (!child->is_buried) bury(child);
}

static void
watch(struct fm_child *child, struct event_base *base, const struct fm_child_plan *plan)
{
	child->exit_ev = event_new(base, child->os.pidfd, EV_READ, on_exit_event, child);
	child->output_ev = event_new(base, child->os.output, EV_READ | EV_PERSIST, on_output,
				     child);
	child->output = evbuffer_new();
	CHECK(child->exit_ev && child->output_ev && child->output);
	CHECK(event_add(child->exit_ev, NULL) == 0 && event_add(child->output_ev, NULL) == 0);
	if (!plan->input) return;
	child->input = evbuffer_new();
	child->input_ev = event_new(base, child->os.input, EV_WRITE | EV_PERSIST, on_input, child);
	CHECK(child->input && child->input_ev);
	CHECK(evbuffer_add(child->input, plan->input, plan->input_size) == 0);
	CHECK(event_add(child->input_ev, NULL) == 0);
}

struct fm_child *
fm_child_start(struct event_base *base, const struct fm_child_plan *plan,
	       const struct fm_child_calls *calls, void *arg, struct fm_err *err)
{
	struct fm_child *child;
	struct fm_spawned os;

	/* A child that does not read its input is an error of that child alone. */
	(void)signal(SIGPIPE, SIG_IGN);
	if (fm_spawn(plan, &os, err) < 0) return NULL;
	child = fm_new(struct fm_child, 1);
	child->magic = CHILD_MAGIC;
	child->calls = *calls;
	child->arg = arg;
	child->os = os;
	child->frames = plan->frames;
	child->own_group = plan->own_group;
	child->next = unreaped;
	unreaped = child;
	watch(child, base, plan);
	return child;
}

void
fm_child_kill(struct fm_child *child)
{
	if (child->is_reaped) return;
	/* It is not reaped yet, so the number is still its own. */
	(void)kill(child->own_group ? -child->os.pid : child->os.pid, SIGKILL);
}

void
fm_child_drop(struct fm_child *child)
{
	struct pollfd gone;

	if (!child || child->is_buried) return;
	memset(&child->calls, 0, sizeof child->calls);
	fm_child_kill(child);
	close_input(child);
	gone = (struct pollfd){ .fd = child->os.pidfd, .events = POLLIN };
	if (poll(&gone, 1, DROP_WAIT_MS) != 1) return; /* on_exit_event() will see it */
	if (!child->is_reaped) (void)reap(child);
	bury(child);
}

pid_t
fm_child_pid(const struct fm_child *child)
{
	return child->os.pid;
}

bool
fm_child_is_known(pid_t pid)
{
	for (const struct fm_child *child = unreaped; child; child = child->next)
		if (child->os.pid == pid) return true;
	return false;
}
