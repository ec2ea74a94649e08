#include "fake.h"

#include <event2/event.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../test.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/mono.h"
#include "base/text.h"
#include "made_up.h"

#define WORDS_MAX 16

/* --- the coordinator ---------------------------------------------------------------------- */

static int
on_up(void *arg, struct fm_peer *peer, const Fermata__Hello *hello, const Fermata__Welcome *welcome,
      struct fm_err *err)
{
	struct fake *fake = arg;

	(void)welcome, (void)err;
	assert_int_equal(hello->role, FERMATA__ROLE__ROLE_OPERATOR);
	fake->peer = peer;
	return 0;
}

static int
on_message(void *arg, struct fm_peer *peer, const Fermata__Envelope *envelope, struct fm_err *err)
{
	struct fake *fake = arg;
	const Fermata__ControlRequest *request = envelope->control_request;

	(void)peer, (void)err;
	assert_int_equal(envelope->body_case, FERMATA__ENVELOPE__BODY_CONTROL_REQUEST);
	assert_true(fake->requests < FAKE_REQUESTS);
	char *asked = fake->asked[fake->requests++];
	fm_copy(asked, 200, request->command);
	for (size_t i = 0; i < request->n_args; i++) {
		fm_append(asked, 200, " %s=%s", request->args[i]->name, request->args[i]->value);
	}
	fake->answer(fake, request);
	return 0;
}

static void
on_down(void *arg, struct fm_peer *peer, const char *why)
{
	struct fake *fake = arg;

	(void)why;
	if (fake->peer == peer) fake->peer = NULL;
}

void
fake_come_back(struct fake *fake)
{
	static const struct fm_peer_calls calls = { on_up, on_message, on_down };
	char address[120];
	struct fm_err err;

	FM_FORMAT(address, "unix:%s", fake->socket);
	fake->listener = fm_listener_open(fake->base, &(struct fm_listen_on){ .address = address },
					  &calls, fake, &err);
	if (!fake->listener) fail_msg("%s", err.text);
}

void
fake_die(struct fake *fake)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };

	fm_peer_free(TAKE(fake->peer), "killed");
	fm_listener_close(TAKE(fake->listener));
	/* What kill -9 leaves behind: a socket that nobody listens on. */
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	FM_COPY(at.sun_path, fake->socket);
	assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(close(fd), 0);
}

int
fake_setup(void **state)
{
	struct fake *fake = fm_new(struct fake, 1);

	fm_log_set_level(FM_LOG_ERROR);
	FM_COPY(fake->folder, "/tmp/fermata-cli-XXXXXX");
	assert_non_null(mkdtemp(fake->folder));
	FM_FORMAT(fake->socket, "%s/sock", fake->folder);
	fake->base = event_base_new();
	fake_come_back(fake);
	*state = fake;
	return 0;
}

int
fake_teardown(void **state)
{
	struct fake *fake = *state;

	fm_peer_free(fake->peer, "the test is over");
	fm_listener_close(fake->listener);
	(void)event_base_loop(fake->base, EVLOOP_NONBLOCK);
	event_base_free(fake->base);
	(void)unlink(fake->socket);
	(void)rmdir(fake->folder);
	free(fake);
	return 0;
}

static void
on_later(evutil_socket_t fd, short what, void *arg)
{
	struct fake_later *later = arg;

	(void)fd, (void)what;
	later->how(later->fake);
}

void
fake_later(struct fake *fake, unsigned ms, void (*how)(struct fake *fake))
{
	struct fake_later *later = &fake->laters[fake->later_count++];
	struct timeval after = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	assert_true(fake->later_count <= FAKE_LATERS);
	*later = (struct fake_later){ fake, how };
	assert_int_equal(event_base_once(fake->base, -1, EV_TIMEOUT, on_later, later, &after), 0);
}

/* --- what it says ------------------------------------------------------------------------- */

static void
send_event(struct fake *fake, Fermata__ControlEvent__WhatCase what, void *body)
{
	Fermata__ControlEvent event = FERMATA__CONTROL_EVENT__INIT;

	event.what_case = what;
	event.status = body; /* a union of pointers */
	fm_peer_send(fake->peer, FERMATA__ENVELOPE__BODY_CONTROL_EVENT, &event);
}

void
fake_send_run(struct fake *fake, const char *state, int64_t began_ms)
{
	Fermata__RunStatus *run = made_up_run();

	run->state = (char *)(uintptr_t)state;
	run->began_ms = began_ms ? began_ms : fm_wall_now_ms();
	if (strcmp(state, "held") == 0) run->next = (char *)(uintptr_t) "fermata approve 12";
	send_event(fake, FERMATA__CONTROL_EVENT__WHAT_RUN, run);
}

void
fake_send_event(struct fake *fake, uint64_t number, const char *kind, const char *text)
{
	Fermata__RunEvent event = FERMATA__RUN_EVENT__INIT;

	event.run = 12;
	event.number = number;
	event.at_ms = NOON;
	event.kind = (char *)(uintptr_t)kind;
	event.step = (char *)(uintptr_t) "fetch";
	event.text = (char *)(uintptr_t)text;
	send_event(fake, FERMATA__CONTROL_EVENT__WHAT_EVENT, &event);
}

void
fake_send_status(struct fake *fake, const char *summary)
{
	Fermata__ClusterStatus *status = made_up_status();

	status->summary = (char *)(uintptr_t)summary;
	send_event(fake, FERMATA__CONTROL_EVENT__WHAT_STATUS, status);
}

void
fake_send_end(struct fake *fake, int code, const char *text, const char *next)
{
	Fermata__End end = FERMATA__END__INIT;

	end.code = (Fermata__ExitCode)code;
	end.text = (char *)(uintptr_t)text;
	end.next = (char *)(uintptr_t)next;
	send_event(fake, FERMATA__CONTROL_EVENT__WHAT_END, &end);
}

void
fake_answer_status(struct fake *fake, const Fermata__ControlRequest *request)
{
	(void)request;
	fake_send_status(fake, "");
	fake_send_end(fake, 0, "", "");
}

unsigned
count_of(const char *text, const char *part)
{
	unsigned n = 0;

	for (const char *at = text; (at = strstr(at, part)) != NULL; at += strlen(part)) n++;
	return n;
}

void
fake_signal(struct fake *fake)
{
	assert_int_equal(kill(fake->pid, SIGINT), 0);
}

/* --- the command -------------------------------------------------------------------------- */

static void
on_output(evutil_socket_t fd, short what, void *arg)
{
	char *text = arg, chunk[4096];
	ssize_t n = read(fd, chunk, sizeof(chunk) - 1);

	(void)what;
	if (n <= 0) return;
	chunk[n] = '\0';
	fm_append(text, FAKE_TEXT, "%s", chunk);
}

static void
on_exit_of_cli(evutil_socket_t fd, short what, void *arg)
{
	struct fake *fake = arg;

	(void)fd;
	if (what & EV_TIMEOUT) {
		(void)kill(fake->pid, SIGKILL);
		fail_msg("fermata did not end; out:\n%s\nerrors:\n%s", fake->out, fake->errors);
	}
	fake->ended = true;
	(void)event_base_loopbreak(fake->base);
}

/* In the child: becomes fermata. Never returns. */
static void
become_cli(const struct fake *fake, const char *words, int out, int errors)
{
	char *argv[WORDS_MAX] = { (char *)(uintptr_t) "fermata", (char *)(uintptr_t) "--socket",
				  (char *)(uintptr_t)fake->socket };
	char copy[400], *at = copy, *word;
	int argc = 3;

	FM_COPY(copy, words);
	while ((word = strsep(&at, " ")) != NULL && argc < WORDS_MAX - 1) argv[argc++] = word;
	if (out >= 0) {
		(void)dup2(out, STDOUT_FILENO);
		(void)dup2(errors, STDERR_FILENO);
	}
	(void)setenv("TZ", "UTC", 1);
	(void)setenv("LC_ALL", "C.UTF-8", 1);
	(void)setenv("TERM", "xterm", 1);
	(void)execv(getenv("FERMATA_CLI"), argv);
	_exit(127);
}

static void
start(struct fake *fake, const char *words, int fds[2])
{
	struct winsize size = { .ws_row = 24, .ws_col = 80 };
	int out[2], errors[2];

	if (fake->on_terminal) {
		fake->pid = forkpty(&fake->terminal, NULL, NULL, &size);
		if (fake->pid == 0) become_cli(fake, words, -1, -1);
		fds[0] = fake->terminal;
		fds[1] = -1;
	} else {
		assert_int_equal(pipe2(out, O_CLOEXEC), 0);
		assert_int_equal(pipe2(errors, O_CLOEXEC), 0);
		fake->pid = fork();
		if (fake->pid == 0) become_cli(fake, words, out[1], errors[1]);
		(void)close(out[1]);
		(void)close(errors[1]);
		fds[0] = out[0];
		fds[1] = errors[0];
	}
	assert_true(fake->pid > 0);
}

/* What it wrote last. */
static void
read_rest(int fd, char *text)
{
	char chunk[4096];
	ssize_t n;

	while (fd >= 0 && (n = read(fd, chunk, sizeof(chunk) - 1)) > 0) {
		chunk[n] = '\0';
		fm_append(text, FAKE_TEXT, "%s", chunk);
	}
	if (fd >= 0) (void)close(fd);
}

void
fake_run(struct fake *fake, const char *words)
{
	struct timeval most = { .tv_sec = 20 };
	struct event *events[3] = { NULL };
	int fds[2], status, pidfd;

	assert_non_null(getenv("FERMATA_CLI"));
	fake->ended = false;
	fake->out[0] = fake->errors[0] = '\0';
	fake->requests = 0;
	start(fake, words, fds);
	pidfd = (int)syscall(SYS_pidfd_open, fake->pid, 0);
	assert_true(pidfd >= 0);
	events[0] = event_new(fake->base, pidfd, EV_READ, on_exit_of_cli, fake);
	(void)event_add(events[0], &most);
	for (int i = 0; i < 2; i++) {
		if (fds[i] < 0) continue;
		(void)fcntl(fds[i], F_SETFL, O_NONBLOCK);
		events[i + 1] = event_new(fake->base, fds[i], EV_READ | EV_PERSIST, on_output,
					  i ? fake->errors : fake->out);
		(void)event_add(events[i + 1], NULL);
	}
	while (!fake->ended) (void)event_base_dispatch(fake->base);
	for (int i = 0; i < 3; i++) {
		if (events[i]) event_free(events[i]);
	}
	read_rest(fds[0], fake->out);
	read_rest(fds[1], fake->errors);
	(void)close(pidfd);
	assert_int_equal(waitpid(fake->pid, &status, 0), fake->pid);
	fake->code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
