/* Who else is the application here: found, named, and nobody else is taken for it. */
#include "made_up.h"

#include "turning.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/world/strangers.h"
#include "base/text.h"

static struct ag_pids nobody;
static char who[FM_TEXT_SIZE];
static pid_t child;

/* The program tail, under this name and in this folder, running when this returns. */
static void
begin(const char *name, const char *folder, const char *mark)
{
	char *const argv[] = { (char *)(uintptr_t)name, (char *)(uintptr_t) "--retry",
			       (char *)(uintptr_t) "-f", (char *)(uintptr_t) "/dev/null", NULL };
	char *const envp[] = { (char *)(uintptr_t)mark, NULL };
	int ready[2];
	char byte;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		if (chdir(folder) == 0) (void)execve("/usr/bin/tail", argv, envp);
		_exit(1);
	}
	(void)close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 0); /* closed by exec */
	(void)close(ready[0]);
	FM_COPY(turning_settings.start_command, "tail -f x");
}

static void
end(void)
{
	(void)kill(child, SIGKILL);
	(void)waitpid(child, NULL, 0);
}

static bool
find(void)
{
	return ag_strangers_find(&turning_settings, &nobody, who, sizeof(who));
}

static void
test_a_copy_in_a_release(void **state)
{
	struct ag_pids ours = { .count = 1 };
	char pid[64];

	(void)state;
	assert_false(find());
	begin("/opt/tail", folder_path("app/releases/2.2.15"), "X=1");
	assert_true(find());
	(void)snprintf(pid, sizeof(pid), "process %d (tail /dev/null, user ", (int)child);
	assert_non_null(strstr(who, pid));
	assert_non_null(strstr(who, "app/releases/2.2.15"));
	/* Options may be secrets. */
	assert_null(strstr(who, "retry"));
	ours.pids[0] = child;
	assert_false(ag_strangers_find(&turning_settings, &ours, who, sizeof(who)));
	assert_string_equal(who, "");
	end();
	assert_false(find());
}

static void
test_who_is_none(void **state)
{
	(void)state;
	/* Of another agent on this host. */
	begin("tail", folder_path("app/releases/2.2.15"), "FERMATA_AGENT=/elsewhere");
	assert_false(find());
	end();
	/* A person's shell that stands there. */
	begin("tail", folder_path("app/releases/2.2.15"), "X=1");
	FM_COPY(turning_settings.start_command, "yarn start");
	assert_false(find());
	end();
	/* A fetch under way, and a folder that is called alike. */
	folder_write("app/releases/.fetch-2.2.16/x", "");
	begin("tail", folder_path("app/releases/.fetch-2.2.16"), "X=1");
	assert_false(find());
	end();
	folder_write("app/releases-old/x", "");
	begin("tail", folder_path("app/releases-old"), "X=1");
	assert_false(find());
	end();
}

static void
test_a_pm2_of_ours(void **state)
{
	char title[2048], wanted[2048];

	(void)state;
	(void)snprintf(title, sizeof(title), "PM2 v6.0.5: God Daemon (%s/.pm2)",
		       turning_settings.storage);
	begin(title, "/", "X=1");
	assert_true(find());
	(void)snprintf(wanted, sizeof(wanted), "type: PM2_HOME=%s/.pm2 pm2 kill",
		       turning_settings.storage);
	assert_non_null(strstr(who, wanted));
	end();
	begin("PM2 v6.0.5: God Daemon (/home/x/.pm2)", "/", "X=1");
	assert_false(find());
	end();
	/* Whatever its home, it stands in our release. */
	begin("PM2 v6.0.5: God Daemon (/home/x/.pm2)", folder_path("app/releases/2.2.15"), "X=1");
	assert_true(find());
	assert_non_null(strstr(who, "PM2_HOME=/home/x/.pm2 pm2 kill"));
	end();
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, turning_setup, turning_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_copy_in_a_release),
		TEST(test_who_is_none),
		TEST(test_a_pm2_of_ours),
	};

	return cmocka_run_group_tests_name("agent strangers", tests, NULL, NULL);
}
