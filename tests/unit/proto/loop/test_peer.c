/* test_peer.c - our two sides talking to each other. */
#include <event2/event.h>
#include <pwd.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
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
set_up_unix(void **state)
{
	(void)state;
	fm_log_set_level(FM_LOG_ERROR);
	host_open(&host, true);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	host_close(&host);
	return 0;
}

/* A dialler in the same loop; what it saw goes to its own host. */
static struct fm_listener *
listen_on(const char *address, const char *group, struct fm_err *err)
{
	struct fm_listen_on on = { .address = address, .group = group };

	return fm_listener_open(host.base, &on, &host_calls, &host, err);
}

static struct fm_peer *
dial(struct host *side, const char *addresses, Fermata__Role role)
{
	Fermata__Hello hello = FERMATA__HELLO__INIT;
	struct fm_err err = { 0 };
	struct fm_peer *peer;

	hello.role = role;
	hello.name = (char *)(uintptr_t) "app1";
	hello.epoch = 7;
	peer = fm_peer_dial(host.base, &(struct fm_dial_to){ addresses, &hello, NULL }, &host_calls,
			    side, &err);
	if (!peer) fail_msg("%s", err.text);
	return peer;
}

static void
test_hello_welcome_and_messages_both_ways(void **state)
{
	Fermata__AgentReport report = FERMATA__AGENT_REPORT__INIT;
	struct host agent = { 0 };
	struct fm_peer *peer = dial(&agent, host.address, FERMATA__ROLE__ROLE_AGENT);

	(void)state;
	assert_int_equal(agent.ups, 0); /* nothing happens inside our own call */
	host.answers = true;		/* an ask from inside up() must not overtake the Welcome */
	host_wait(&host, &agent.messages, 1);
	assert_int_equal(host.ups, 1);
	assert_string_equal(host.name, "app1");
	assert_int_equal(host.role, FERMATA__ROLE__ROLE_AGENT);
	assert_int_equal(host.hello_epoch, 7);
	assert_int_equal(agent.ups, 1);
	assert_string_equal(agent.name, "demo");
	assert_int_equal(agent.welcome_epoch, 42);
	assert_int_equal(agent.last_body, FERMATA__ENVELOPE__BODY_AGENT_ASK);
	assert_true(fm_peer_is_up(peer));
	fm_peer_send(peer, FERMATA__ENVELOPE__BODY_AGENT_REPORT, &report);
	host_wait(&host, &host.messages, 1);
	assert_int_equal(host.last_body, FERMATA__ENVELOPE__BODY_AGENT_REPORT);
	fm_peer_free(peer, "done");
	host_wait(&host, &host.downs, 1);
	assert_string_equal(host.why, "it said goodbye: done");
	assert_int_equal(agent.downs, 0); /* no callback after fm_peer_free() */
}

static void
test_a_quiet_connection_lives_by_heartbeats(void **state)
{
	struct host agent = { 0 };
	struct fm_peer *peer = dial(&agent, host.address, FERMATA__ROLE__ROLE_AGENT);

	(void)state;
	host_wait(&host, &agent.ups, 1);
	host_turn(&host, 4500); /* longer than the limit of silence */
	assert_int_equal(host.downs, 0);
	assert_int_equal(agent.downs, 0);
	fm_peer_free(peer, "done");
}

static void
test_a_dialler_comes_back_with_its_new_voice(void **state)
{
	struct host agent = { 0 };
	struct fm_peer *peer = dial(&agent, host.address, FERMATA__ROLE__ROLE_AGENT);
	struct fm_mono began;

	(void)state;
	host_wait(&host, &agent.ups, 1);
	fm_peer_set_voice(peer, 9, 3);
	fm_peer_free(TAKE(host.peer), "go away");
	began = fm_mono_now();
	host_wait(&host, &agent.downs, 1);
	assert_string_equal(agent.why, "it said goodbye: go away");
	host_wait(&host, &agent.ups, 2);
	assert_in_range(fm_mono_since(fm_mono_now(), began), 150, 1000);
	assert_int_equal(host.hello_epoch, 9);
	fm_peer_free(peer, "done");
}

static void
test_a_dialler_goes_through_its_addresses(void **state)
{
	char addresses[400];
	struct host agent = { 0 };
	struct fm_peer *peer;

	(void)state;
	(void)FM_FORMAT(addresses, "unix:/nonexistent/sock 127.0.0.1:1 %s", host.address);
	peer = dial(&agent, addresses, FERMATA__ROLE__ROLE_AGENT);
	host_wait(&host, &agent.ups, 1);
	assert_int_equal(agent.downs, 2); /* told of each try */
	assert_string_equal(agent.why, "connect: Connection refused");
	fm_peer_free(peer, "done");
}

static void
test_a_dialler_waits_longer_and_longer(void **state)
{
	struct host agent = { 0 };
	struct fm_peer *peer = dial(&agent, "127.0.0.1:1", FERMATA__ROLE__ROLE_AGENT);

	(void)state;
	host_turn(&host, 3000);
	assert_in_range(agent.downs, 3, 12); /* at 0.2 s each there would be 15 */
	assert_false(fm_peer_is_up(peer));
	fm_peer_free(peer, "done");
}

static void
test_addresses_that_are_wrong_are_refused_at_once(void **state)
{
	Fermata__Hello hello = FERMATA__HELLO__INIT;
	struct fm_err err;

	(void)state;
	assert_null(fm_peer_dial(host.base, &(struct fm_dial_to){ "", &hello, NULL }, &host_calls,
				 NULL, &err));
	assert_null(fm_peer_dial(host.base, &(struct fm_dial_to){ "127.0.0.1:1 x", &hello, NULL },
				 &host_calls, NULL, &err));
	assert_int_equal(err.kind, FM_ERR_CONFIG);
	assert_null(fm_peer_dial(host.base, &(struct fm_dial_to){ "10.1.2.3:7400", &hello, NULL },
				 &host_calls, NULL, &err));
	assert_int_equal(err.kind, FM_ERR_CONFIG);
	assert_null(listen_on("0.0.0.0:0", NULL, &err));
	assert_int_equal(err.kind, FM_ERR_CONFIG);
	assert_null(listen_on(host.address, NULL, &err));
	assert_int_equal(err.kind, FM_ERR_IO);
	assert_null(listen_on("unix:/tmp/x/y", "no-such-group", &err));
	assert_string_equal(err.text, "there is no group no-such-group");
}

static void
test_a_refused_peer_is_told(void **state)
{
	struct host agent = { 0 };
	struct fm_peer *peer = dial(&agent, host.address, FERMATA__ROLE__ROLE_AGENT);

	(void)state;
	host.refuses = host.answers = true;
	host_wait(&host, &agent.downs, 1);
	host.peer = NULL;
	assert_string_equal(agent.why, "it said goodbye: not today");
	assert_int_equal(agent.ups, 0);
	assert_int_equal(agent.messages, 0);
	assert_int_equal(host.downs, 0); /* it never was up */
	fm_peer_free(peer, "done");
}

static void
test_a_refused_message_ends_the_connection(void **state)
{
	Fermata__AgentReport report = FERMATA__AGENT_REPORT__INIT;
	struct host agent = { 0 };
	struct fm_peer *peer = dial(&agent, host.address, FERMATA__ROLE__ROLE_AGENT);

	(void)state;
	host.refuses_messages = true;
	host_wait(&host, &agent.ups, 1);
	fm_peer_send(peer, FERMATA__ENVELOPE__BODY_AGENT_REPORT, &report);
	fm_peer_send(peer, FERMATA__ENVELOPE__BODY_AGENT_REPORT, &report);
	host_wait(&host, &agent.downs, 1);
	assert_int_equal(host.messages, 1);
	assert_string_equal(agent.why, "it said goodbye: nonsense");
	fm_peer_free(peer, "done");
}

static void
test_peers_may_be_freed_in_their_callbacks(void **state)
{
	struct host agent = { 0 };
	struct fm_peer *peer = dial(&agent, host.address, FERMATA__ROLE__ROLE_AGENT);

	(void)state;
	host.frees_when_up = true;
	agent.frees_when_down = true;
	host_wait(&host, &agent.downs, 1);
	host.peer = NULL;
	(void)peer; /* freed in down() */
	host.frees_when_up = false;
	host.frees_when_down = true;
	memset(&agent, 0, sizeof agent);
	peer = dial(&agent, host.address, FERMATA__ROLE__ROLE_AGENT);
	host_wait(&host, &agent.ups, 1);
	fm_peer_free(peer, "done");
	host_wait(&host, &host.downs, 1);
}

static void
test_what_waits_is_sent_before_goodbye(void **state)
{
	Fermata__ControlEvent event = FERMATA__CONTROL_EVENT__INIT;
	Fermata__End end = FERMATA__END__INIT;
	struct host cli = { 0 };
	struct fm_peer *peer = dial(&cli, host.address, FERMATA__ROLE__ROLE_OPERATOR);
	static char text[100000];

	(void)state;
	memset(text, 'x', sizeof text - 1);
	end.text = text;
	event.what_case = FERMATA__CONTROL_EVENT__WHAT_END;
	event.end = &end;
	host_wait(&host, &cli.ups, 1);
	for (int i = 0; i < 30; i++) /* 3 MB: more than any socket takes at once */
		fm_peer_send(host.peer, FERMATA__ENVELOPE__BODY_CONTROL_EVENT, &event);
	fm_peer_free(TAKE(host.peer), "that was all");
	host_wait(&host, &cli.downs, 1);
	assert_int_equal(cli.messages, 30);
	assert_string_equal(cli.why, "it said goodbye: that was all");
	fm_peer_free(peer, "done");
}

static void
test_a_peer_that_does_not_read_is_ended(void **state)
{
	Fermata__ControlEvent event = FERMATA__CONTROL_EVENT__INIT;
	Fermata__End end = FERMATA__END__INIT;
	_cleanup_close_ int fd = host_connect(&host);
	static char text[100000];

	(void)state;
	memset(text, 'x', sizeof text - 1);
	end.text = text;
	event.what_case = FERMATA__CONTROL_EVENT__WHAT_END;
	event.end = &end;
	host_hello(fd, FM_WIRE_MAJOR, FERMATA__ROLE__ROLE_OPERATOR, "x");
	host_wait(&host, &host.ups, 1);
	for (int i = 0; i < 60; i++) {
		fm_peer_send(host.peer, FERMATA__ENVELOPE__BODY_CONTROL_EVENT, &event);
		assert_int_equal(host.downs, 0); /* not inside our own call */
	}
	host_wait(&host, &host.downs, 1);
	assert_string_equal(host.why, "it does not read what we send");
}

static void
test_the_kernel_says_who_an_operator_is(void **state)
{
	const struct passwd *user = getpwuid(geteuid());
	struct host cli = { 0 };
	struct fm_peer *peer = dial(&cli, host.address, FERMATA__ROLE__ROLE_OPERATOR);
	struct stat st;

	(void)state;
	host_wait(&host, &cli.ups, 1);
	assert_non_null(user);
	assert_string_equal(host.name, user->pw_name); /* and not "app1", as it says itself */
	assert_int_equal(stat(host.address + strlen("unix:"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	fm_peer_free(peer, "done");
}

static void
test_only_operators_on_the_unix_socket(void **state)
{
	struct host agent = { 0 };
	struct fm_peer *peer = dial(&agent, host.address, FERMATA__ROLE__ROLE_AGENT);

	(void)state;
	host_wait(&host, &agent.downs, 1);
	assert_string_equal(agent.why, "it said goodbye: role 1 has no business on this listener");
	assert_int_equal(host.ups, 0);
	fm_peer_free(peer, "done");
}

static void
test_a_socket_left_behind_is_taken_over_but_not_a_live_one(void **state)
{
	struct fm_listener *second;
	struct fm_err err;
	char path[200];

	(void)state;
	assert_null(listen_on(host.address, NULL, &err));
	assert_non_null(strstr(err.text, "another program listens there"));
	/* What kill -9 leaves: a path that nobody listens on. */
	(void)FM_FORMAT(path, "%s/kept", host.dir);
	assert_int_equal(rename(host.address + strlen("unix:"), path), 0);
	fm_listener_close(host.listener);
	assert_int_equal(rename(path, host.address + strlen("unix:")), 0);
	second = listen_on(host.address, NULL, &err);
	assert_non_null(second);
	host.listener = second;
	/* And a file that is no socket is left alone. */
	(void)FM_FORMAT(path, "unix:%s", "/etc/passwd");
	assert_null(listen_on(path, NULL, &err));
	assert_int_equal(err.kind, FM_ERR_CONFIG);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define TEST_UNIX(f) cmocka_unit_test_setup_teardown(f, set_up_unix, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_hello_welcome_and_messages_both_ways),
		TEST(test_a_quiet_connection_lives_by_heartbeats),
		TEST(test_a_dialler_comes_back_with_its_new_voice),
		TEST(test_a_dialler_goes_through_its_addresses),
		TEST(test_a_dialler_waits_longer_and_longer),
		TEST(test_addresses_that_are_wrong_are_refused_at_once),
		TEST(test_a_refused_peer_is_told),
		TEST(test_a_refused_message_ends_the_connection),
		TEST(test_peers_may_be_freed_in_their_callbacks),
		TEST_UNIX(test_what_waits_is_sent_before_goodbye),
		TEST_UNIX(test_a_peer_that_does_not_read_is_ended),
		TEST_UNIX(test_the_kernel_says_who_an_operator_is),
		TEST_UNIX(test_only_operators_on_the_unix_socket),
		TEST_UNIX(test_a_socket_left_behind_is_taken_over_but_not_a_live_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
