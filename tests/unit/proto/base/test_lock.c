/* The lock ends with its process, whatever that process has started. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/lock.h"

static char path[] = "/tmp/fm-lock-XXXXXX";

static int
open_file(void)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

/* Takes the lock and forks a child that does not exec; says so, and waits to be killed. */
_Noreturn static void
hold(int said)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	pid_t child = fm_lock(fd) == 0 ? fork() : -1;

	if (child > 0 && write(said, &child, sizeof(child)) != sizeof(child)) _exit(1);
	if (child < 0) _exit(1);
	(void)alarm(30); /* also if the test has failed */
	for (;;) (void)pause();
}

static void
test_ends_with_its_process(void **state)
{
	int said[2], fd = open_file();
	pid_t holder, child;

	(void)state;
	assert_int_equal(pipe(said), 0);
	holder = fork();
	if (holder == 0) hold(said[1]);
	assert_int_equal(read(said[0], &child, sizeof(child)), sizeof(child));
	assert_true(fm_is_locked(fd));
	assert_int_equal(fm_lock(fd), -1);
	assert_int_equal(errno, EWOULDBLOCK);
	assert_int_equal(kill(holder, SIGKILL), 0);
	assert_int_equal(waitpid(holder, NULL, 0), holder);
	/* As between fork and exec: it has all that its parent had open. */
	assert_int_equal(kill(child, 0), 0);
	assert_false(fm_is_locked(fd));
	assert_int_equal(fm_lock(fd), 0);
	assert_int_equal(kill(child, SIGKILL), 0);
	(void)close(said[0]);
	(void)close(said[1]);
	(void)close(fd);
}

static void
test_cannot_be_had_for_reading_only(void **state)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(fm_lock(fd), -1);
	assert_int_not_equal(errno, EWOULDBLOCK);
	(void)close(fd);
}

static int
setup(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	if (fd >= 0) (void)close(fd);
	return fd < 0 ? -1 : 0;
}

static int
teardown(void **state)
{
	(void)state;
	return unlink(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ends_with_its_process),
		cmocka_unit_test(test_cannot_be_had_for_reading_only),
	};

	return cmocka_run_group_tests_name("base lock", tests, setup, teardown);
}
