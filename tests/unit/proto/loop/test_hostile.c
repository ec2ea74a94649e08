/* test_hostile.c - bytes that no peer of ours would send: that connection ends with a reason, and the
 * next one is served as if nothing had been. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "host.h"
#include "test.h"
#include "wire/frame.h"

static struct host host;

static int
set_up(void **state)
{
	(void)state;
	fm_log_set_level(FM_LOG_ERROR);
	host_open(&host, false);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	host_close(&host);
	return 0;
}

/* A proper agent still comes in. */
static void
assert_alive(void)
{
	unsigned before = host.ups;
	_cleanup_close_ int fd = host_connect(&host);

	host_hello(fd, FM_WIRE_MAJOR, FERMATA__ROLE__ROLE_AGENT, "good");
	host_wait(&host, &host.ups, before + 1);
	assert_string_equal(host.name, "good");
}

static void
assert_ends(int fd, const char *why)
{
	char reason[300] = "";

	assert_true(host_is_closed(&host, fd, 1000, reason, sizeof reason));
	assert_string_equal(reason, why);
	assert_alive();
}

static void
send_bytes(int fd, const void *bytes, size_t size)
{
	assert_int_equal(send(fd, bytes, size, MSG_NOSIGNAL), (ssize_t)size);
}

/* A frame of one message without content. */
static void
send_empty(int fd, int body)
{
	uint8_t frame[] = {
		0, 0, 0, 3, (uint8_t)((body << 3 | 2) & 0x7f) | 0x80, (uint8_t)((body << 3) >> 7), 0
	};

	send_bytes(fd, frame, sizeof frame);
}

static int
greeted(Fermata__Role role)
{
	unsigned before = host.ups;
	int fd = host_connect(&host);

	host_hello(fd, FM_WIRE_MAJOR, role, "x");
	host_wait(&host, &host.ups, before + 1);
	return fd;
}

static void
test_a_length_too_large_before_hello(void **state)
{
	_cleanup_close_ int fd = host_connect(&host);

	(void)state;
	send_bytes(fd, "\xff\xff\xff\xff", 4);
	assert_ends(fd, "frame of 4294967295 bytes, a peer without Hello may send 4096");
	assert_int_equal(host.downs, 0); /* it never was up */
}

static void
test_a_length_too_large_for_the_role(void **state)
{
	_cleanup_close_ int fd = greeted(FERMATA__ROLE__ROLE_AGENT);

	(void)state;
	send_bytes(fd, "\x00\x01\x00\x01", 4);
	assert_ends(fd, "frame of 65537 bytes, an agent may send 65536");
	assert_int_equal(host.downs, 1);
}

static void
test_a_frame_as_large_as_allowed_is_read(void **state)
{
	static uint8_t frame[FM_FRAME_HEAD + 65536] = { 0x00, 0x01, 0x00, 0x00 };
	_cleanup_close_ int fd = greeted(FERMATA__ROLE__ROLE_AGENT);

	(void)state;
	/* A heartbeat, and an unknown field that fills the rest. */
	memcpy(frame + 4, "\x1a\x00\xa2\x06\xf9\xff\x03", 7);
	send_bytes(fd, frame, sizeof frame);
	host_turn(&host, 50);
	assert_int_equal(host.downs, 0);
	send_empty(fd, FERMATA__ENVELOPE__BODY_AGENT_REPORT);
	host_wait(&host, &host.messages, 1);
}

static void
test_an_empty_frame(void **state)
{
	_cleanup_close_ int fd = host_connect(&host);

	(void)state;
	send_bytes(fd, "\0\0\0\0", 4);
	assert_ends(fd, "empty frame");
}

static void
test_garbage(void **state)
{
	_cleanup_close_ int fd = host_connect(&host);

	(void)state;
	send_bytes(fd, "\0\0\0\x05hello", 9);
	assert_ends(fd, "5 bytes that are no envelope");
}

static void
test_another_protocol(void **state)
{
	_cleanup_close_ int fd = host_connect(&host);

	(void)state;
	send_bytes(fd, "GET / HTTP/1.1\r\n", 16);
	assert_ends(fd, "frame of 1195725856 bytes, a peer without Hello may send 4096");
}

static void
test_an_unknown_message(void **state)
{
	_cleanup_close_ int fd = greeted(FERMATA__ROLE__ROLE_GATE);

	(void)state;
	send_empty(fd, 99);
	assert_ends(fd, "unknown message 99");
}

static void
test_a_message_of_another_role(void **state)
{
	_cleanup_close_ int fd = greeted(FERMATA__ROLE__ROLE_AGENT);

	(void)state;
	send_empty(fd, FERMATA__ENVELOPE__BODY_GATE_REPORT);
	assert_ends(fd, "an agent may not send GATE_REPORT");
	assert_int_equal(host.messages, 0);
}

static void
test_a_message_before_hello(void **state)
{
	_cleanup_close_ int fd = host_connect(&host);

	(void)state;
	send_empty(fd, FERMATA__ENVELOPE__BODY_AGENT_REPORT);
	assert_ends(fd, "a peer without Hello may not send AGENT_REPORT");
}

static void
test_a_second_hello(void **state)
{
	_cleanup_close_ int fd = greeted(FERMATA__ROLE__ROLE_AGENT);

	(void)state;
	host_hello(fd, FM_WIRE_MAJOR, FERMATA__ROLE__ROLE_AGENT, "other");
	assert_ends(fd, "an agent may not send HELLO");
}

static void
test_roles_that_have_no_business_here(void **state)
{
	static const struct {
		int role;
		const char *why;
	} rows[] = { { 0, "role 0 has no business on this listener" },
		     { 3, "role 3 has no business on this listener" },
		     { 4, "role 4 has no business on this listener" },
		     { 5, "role 5 has no business on this listener" },
		     { 99, "role 99 has no business on this listener" } };

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		_cleanup_close_ int fd = host_connect(&host);

		host_hello(fd, FM_WIRE_MAJOR, (Fermata__Role)rows[i].role, "x");
		assert_ends(fd, rows[i].why);
	}
}

static void
test_another_version(void **state)
{
	_cleanup_close_ int fd = host_connect(&host);

	(void)state;
	host_hello(fd, 2, FERMATA__ROLE__ROLE_AGENT, "x");
	assert_ends(fd, "it speaks version 2, we speak 1");
}

static void
test_a_name_that_is_none(void **state)
{
	static const char *const names[] = { "", "../etc", "a b", "a\nb" };

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		_cleanup_close_ int fd = host_connect(&host);

		host_hello(fd, FM_WIRE_MAJOR, FERMATA__ROLE__ROLE_AGENT, names[i]);
		assert_ends(fd, "Hello without a proper name");
	}
}

static void
test_a_frame_that_never_ends(void **state)
{
	_cleanup_close_ int fd = greeted(FERMATA__ROLE__ROLE_AGENT);
	char reason[300];
	unsigned turns = 0;

	(void)state;
	send_bytes(fd, "\0\0\0\x64", 4);
	/* It goes on talking, a byte at a time, inside of one frame: that is silence. */
	while (host.downs == 0 && turns++ < 60) {
		(void)send(fd, "x", 1, MSG_NOSIGNAL);
		host_turn(&host, 100);
	}
	assert_int_equal(host.downs, 1);
	assert_memory_equal(host.why, "silent for ", 11);
	assert_true(host_is_closed(&host, fd, 500, reason, sizeof reason));
	assert_alive();
}

static void
test_silence_before_hello_ends_after_five_seconds(void **state)
{
	_cleanup_close_ int fd = host_connect(&host);
	struct fm_mono began = fm_mono_now();
	char reason[300];

	(void)state;
	send_bytes(fd, "\0", 1);
	assert_true(host_is_closed(&host, fd, 8000, reason, sizeof reason));
	assert_in_range(fm_mono_since(fm_mono_now(), began), 4500, 6500);
	assert_string_equal(reason, "no Hello");
	assert_alive();
}

static void
test_a_peer_that_goes_away_in_the_middle(void **state)
{
	int fd = greeted(FERMATA__ROLE__ROLE_AGENT);

	(void)state;
	send_bytes(fd, "\0\0\0\x64half", 8);
	(void)close(fd);
	host_wait(&host, &host.downs, 1);
	assert_alive();
}

static void
test_too_many_that_say_nothing(void **state)
{
	int fds[70];
	char reason[300];

	(void)state;
	for (size_t i = 0; i < COUNT(fds); i++) {
		fds[i] = host_connect(&host);
		host_turn(&host, 1); /* nobody waits in the kernel's queue */
	}
	assert_true(host_is_closed(&host, fds[69], 1000, reason, sizeof reason));
	for (size_t i = 0; i < COUNT(fds); i++) (void)close(fds[i]);
	host_turn(&host, 50);
	assert_alive();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_length_too_large_before_hello),
		TEST(test_a_length_too_large_for_the_role),
		TEST(test_a_frame_as_large_as_allowed_is_read),
		TEST(test_an_empty_frame),
		TEST(test_garbage),
		TEST(test_another_protocol),
		TEST(test_an_unknown_message),
		TEST(test_a_message_of_another_role),
		TEST(test_a_message_before_hello),
		TEST(test_a_second_hello),
		TEST(test_roles_that_have_no_business_here),
		TEST(test_another_version),
		TEST(test_a_name_that_is_none),
		TEST(test_a_frame_that_never_ends),
		TEST(test_silence_before_hello_ends_after_five_seconds),
		TEST(test_a_peer_that_goes_away_in_the_middle),
		TEST(test_too_many_that_say_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
