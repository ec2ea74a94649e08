/* test_listen.c - who may come in by the unix socket, and a system that has no descriptors left. */
#include <grp.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/log.h"
#include "base/text.h"
#include "host.h"
#include "test.h"
#include "wire/frame.h"

#define STRANGER 65534

/* HELLO {major: 1, role: OPERATOR, name: "root"} */
static const char hello[] = "\0\0\0\x0c\x0a\x0a\x08\x01\x18\x03\x22\x04root";

static struct host host;

static int
tear_down(void **state)
{
	(void)state;
	if (host.base) host_close(&host); /* NULL: the test was skipped */
	host.base = NULL;
	return 0;
}

/* A unix listener that the file system would let everybody reach, so that only our own check is left.
 * group may be NULL. */
static void
open_wide(const char *group)
{
	const char *path;
	struct fm_err err = { 0 };

	fm_log_set_level(FM_LOG_ERROR);
	host_open(&host, true);
	path = host.address + strlen("unix:");
	if (group) {
		fm_listener_close(host.listener);
		host.listener = fm_listener_open(
			host.base,
			&(struct fm_listen_on){ .address = host.address, .group = group },
			&host_calls, &host, &err);
		if (!host.listener) fail_msg("%s", err.text);
	}
	assert_int_equal(chmod(path, 0777), 0);
	assert_int_equal(chmod(host.dir, 0755), 0);
}

/* Says Hello as another user, with these groups; waits until it is closed or 2 s are over. Nothing in
 * the child may fail as a test does: it would go on with the parent's tests. */
static pid_t
call_as(gid_t gid, size_t group_count, const gid_t *groups)
{
	struct fm_address to;
	char byte;
	pid_t pid;
	int fd;

	assert_int_equal(fm_address_resolve(host.address, 0, &to, NULL), 0);
	pid = fork();
	if (pid != 0) return pid;
	(void)alarm(2);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (setgroups(group_count, groups) < 0 || setgid(gid) < 0 || setuid(STRANGER) < 0) _exit(9);
	if (connect(fd, (struct sockaddr *)&to.sa, to.size) < 0) _exit(8);
	/* One who is refused may be so before it has said anything. */
	(void)send(fd, hello, sizeof hello - 1, MSG_NOSIGNAL);
	while (read(fd, &byte, 1) == 1) continue;
	_exit(0);
}

static void
test_a_stranger_is_refused(void **state)
{
	pid_t pid;
	int status = -1;

	if (geteuid() != 0) skip();
	(void)state;
	open_wide(NULL);
	pid = call_as(STRANGER, 0, NULL);
	for (int i = 0; i < 400 && waitpid(pid, &status, WNOHANG) == 0; i++) host_turn(&host, 5);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0); /* it was closed */
	assert_int_equal(host.ups, 0);
}

static void
test_a_member_of_the_group_is_let_in(void **state)
{
	static const gid_t both[] = { STRANGER, 4 };
	const struct group *group = getgrgid(4);
	pid_t pid;

	(void)state;
	if (geteuid() != 0 || !group) skip();
	open_wide(group->gr_name);
	pid = call_as(4, 0, NULL); /* as its own group */
	host_wait(&host, &host.ups, 1);
	(void)waitpid(pid, NULL, 0);
	host_wait(&host, &host.downs, 1);
	pid = call_as(STRANGER, 2, both); /* as one of many */
	host_wait(&host, &host.ups, 2);
	(void)waitpid(pid, NULL, 0);
	host_wait(&host, &host.downs, 2);
	assert_string_not_equal(host.name, "root"); /* whatever it says */
}

static void
test_without_descriptors_a_call_waits(void **state)
{
	struct rlimit before, none;
	int fd;

	(void)state;
	fm_log_set_level((enum fm_log_level)0);
	host_open(&host, false);
	fd = host_connect(&host);
	host_hello(fd, FM_WIRE_MAJOR, FERMATA__ROLE__ROLE_AGENT, "app1");
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = (rlim_t)fd + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	host_turn(&host, 100);
	assert_int_equal(host.ups, 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	host_wait(&host, &host.ups, 1);
	(void)close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_a_stranger_is_refused, tear_down),
		cmocka_unit_test_teardown(test_a_member_of_the_group_is_let_in, tear_down),
		cmocka_unit_test_teardown(test_without_descriptors_a_call_waits, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
