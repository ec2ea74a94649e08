/* test_dial.c - a dialler and a coordinator that does not keep to the rules. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "host.h"
#include "test.h"
#include "wire/frame.h"

static struct host side;
static struct fm_peer *peer;
static int door = -1, line = -1;

static int
set_up(void **state)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	Fermata__Hello hello = FERMATA__HELLO__INIT;
	socklen_t size = sizeof at;

	(void)state;
	fm_log_set_level(FM_LOG_ERROR);
	memset(&side, 0, sizeof side);
	side.base = event_base_new();
	door = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(door, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(listen(door, 8), 0);
	assert_int_equal(getsockname(door, (struct sockaddr *)&at, &size), 0);
	(void)FM_FORMAT(side.address, "127.0.0.1:%u", ntohs(at.sin_port));
	hello.role = FERMATA__ROLE__ROLE_AGENT;
	hello.name = (char *)(uintptr_t) "app1";
	peer = fm_peer_dial(side.base, &(struct fm_dial_to){ side.address, &hello, NULL },
			    &host_calls, &side, NULL);
	assert_non_null(peer);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	fm_peer_free(peer, "done");
	host_turn(&side, 1);
	event_base_free(side.base);
	(void)close(line);
	(void)close(door);
	line = -1;
	return 0;
}

/* Takes the next call, and turns until the Hello is there. */
static void
answer(void)
{
	char first[FM_FRAME_HEAD];

	(void)close(line);
	for (int i = 0; i < 1000; i++) {
		host_turn(&side, 5);
		line = accept4(door, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (line >= 0) break;
	}
	assert_true(line >= 0);
	for (int i = 0; i < 1000; i++) {
		if (recv(line, first, sizeof first, 0) == (ssize_t)sizeof first) return;
		host_turn(&side, 5);
	}
	fail_msg("no Hello");
}

static void
say(Fermata__Envelope__BodyCase body_case, void *body)
{
	Fermata__Envelope envelope = FERMATA__ENVELOPE__INIT;
	_cleanup_free_ uint8_t *frame = NULL;
	size_t size;

	envelope.body_case = body_case;
	envelope.hello = body;
	frame = fm_frame_pack(&envelope, &size);
	assert_int_equal(send(line, frame, size, MSG_NOSIGNAL), (ssize_t)size);
}

static void
say_welcome(unsigned major)
{
	Fermata__Welcome welcome = FERMATA__WELCOME__INIT;

	welcome.major = major;
	welcome.cluster = (char *)(uintptr_t) "demo";
	welcome.epoch = 5;
	say(FERMATA__ENVELOPE__BODY_WELCOME, &welcome);
}

/* The connection ends for this reason; the dialler calls again and is served. */
static void
assert_ends(const char *why)
{
	unsigned ups;

	host_wait(&side, &side.downs, 1);
	assert_string_equal(side.why, why);
	ups = side.ups;
	side.refuses = false;
	answer();
	say_welcome(FM_WIRE_MAJOR);
	host_wait(&side, &side.ups, ups + 1);
	assert_true(fm_peer_is_up(peer));
}

static void
test_another_version(void **state)
{
	(void)state;
	answer();
	say_welcome(2);
	assert_ends("it speaks version 2, we speak 1");
}

static void
test_an_ask_before_the_welcome(void **state)
{
	Fermata__AgentAsk ask = FERMATA__AGENT_ASK__INIT;

	(void)state;
	answer();
	say(FERMATA__ENVELOPE__BODY_AGENT_ASK, &ask);
	assert_ends("AGENT_ASK before Welcome");
	assert_int_equal(side.messages, 0);
}

static void
test_a_second_welcome(void **state)
{
	(void)state;
	answer();
	say_welcome(FM_WIRE_MAJOR);
	say_welcome(FM_WIRE_MAJOR);
	assert_ends("a second Welcome");
	assert_int_equal(side.ups, 2);
}

static void
test_what_a_coordinator_may_not_send(void **state)
{
	Fermata__Hello hello = FERMATA__HELLO__INIT;

	(void)state;
	answer();
	say(FERMATA__ENVELOPE__BODY_HELLO, &hello);
	assert_ends("a coordinator may not send HELLO");
}

static void
test_a_frame_too_large(void **state)
{
	(void)state;
	answer();
	assert_int_equal(send(line, "\x7f\0\0\0", 4, MSG_NOSIGNAL), 4);
	assert_ends("frame of 2130706432 bytes, a coordinator may send 2097152");
}

static void
test_a_call_that_is_cut(void **state)
{
	(void)state;
	answer();
	(void)shutdown(line, SHUT_RDWR);
	assert_ends("closed by the other side");
}

static void
test_no_welcome(void **state)
{
	struct fm_mono began = fm_mono_now();

	(void)state;
	answer();
	assert_ends("no Welcome");
	assert_in_range(fm_mono_since(fm_mono_now(), began), 4500, 8000);
}

static void
test_silence_after_the_welcome(void **state)
{
	(void)state;
	answer();
	say_welcome(FM_WIRE_MAJOR);
	host_wait(&side, &side.downs, 1);
	assert_memory_equal(side.why, "silent for ", 11);
	assert_int_equal(side.ups, 1);
}

static void
test_our_own_user_may_refuse_a_welcome(void **state)
{
	(void)state;
	side.refuses = true;
	answer();
	say_welcome(FM_WIRE_MAJOR);
	assert_ends("not today");
}

static void
test_what_is_sent_while_nobody_is_there_is_dropped(void **state)
{
	Fermata__AgentReport report = FERMATA__AGENT_REPORT__INIT;
	char byte;

	(void)state;
	fm_peer_send(peer, FERMATA__ENVELOPE__BODY_AGENT_REPORT, &report);
	answer();
	while (recv(line, &byte, 1, 0) == 1) continue; /* the rest of the Hello */
	fm_peer_send(peer, FERMATA__ENVELOPE__BODY_AGENT_REPORT, &report);
	host_turn(&side, 50);
	assert_int_equal(recv(line, &byte, 1, 0), -1);
	assert_int_equal(errno, EAGAIN);
}

static void
test_what_the_other_side_would_refuse_is_not_sent(void **state)
{
	static char text[80000]; /* more than an agent may send */
	Fermata__AgentReport report = FERMATA__AGENT_REPORT__INIT;

	(void)state;
	fm_log_set_level((enum fm_log_level)0);
	memset(text, 'x', sizeof text - 1);
	report.detail = text;
	answer();
	say_welcome(FM_WIRE_MAJOR);
	host_wait(&side, &side.ups, 1);
	while (recv(line, text, 1000, 0) > 0) continue;
	fm_peer_send(peer, FERMATA__ENVELOPE__BODY_AGENT_REPORT, &report);
	host_turn(&side, 50);
	assert_int_equal(recv(line, text, 1, 0), -1);
	assert_true(fm_peer_is_up(peer));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_another_version),
		TEST(test_an_ask_before_the_welcome),
		TEST(test_a_second_welcome),
		TEST(test_what_a_coordinator_may_not_send),
		TEST(test_a_frame_too_large),
		TEST(test_a_call_that_is_cut),
		TEST(test_no_welcome),
		TEST(test_silence_after_the_welcome),
		TEST(test_our_own_user_may_refuse_a_welcome),
		TEST(test_what_is_sent_while_nobody_is_there_is_dropped),
		TEST(test_what_the_other_side_would_refuse_is_not_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
