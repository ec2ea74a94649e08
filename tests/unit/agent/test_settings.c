/* agent.ini: what a runtime needs is demanded by it alone. */
#include "made_up.h"

#include "folder.h"

#include <stdio.h>
#include <string.h>

#include "agent/runtimes/runtime.h"
#include "agent/settings.h"
#include "base/text.h"

static struct ag_settings settings;
static struct fm_err err;
static char said[4096];

static void
say(void *arg, const char *line)
{
	(void)arg;
	(void)FM_APPEND(said, "%s\n", line);
}

static int
read_ini(const char *app)
{
	char text[4096];

	said[0] = '\0';
	(void)FM_FORMAT(text, "[agent]\nnode = app1\ndbjob = /bin/true\nstate_dir = %s\n%s",
			folder_path("state"), app);
	folder_write("agent.ini", text);
	return ag_settings_read(&settings, folder_path("agent.ini"), say, NULL, &err);
}

static void
test_every_choice_is_a_runtime(void **state)
{
	char words[128], *save = NULL;
	unsigned count = 0;

	(void)state;
	for (const struct fm_opt *o = ag_options; o->section; o++) {
		if (strcmp(o->key, "runtime") != 0) continue;
		(void)FM_COPY(words, o->choices);
		for (char *word = strtok_r(words, "|", &save); word;
		     word = strtok_r(NULL, "|", &save)) {
			(void)FM_COPY(settings.runtime, word);
			assert_string_equal(ag_runtime_of(&settings)->name, word);
			count++;
		}
	}
	assert_true(count > 0);
}

static void
test_process(void **state)
{
	char text[2048];

	(void)state;
	assert_int_equal(read_ini("[app]\nroot = /nowhere\n"), -1);
	assert_non_null(strstr(said, "env_file is not set"));
	assert_non_null(strstr(said, "storage is not set"));
	assert_non_null(strstr(said, "root /nowhere: No such file"));
	folder_write("env", "APP_HOST=0.0.0.0\nAPP_PORT=13001\n");
	folder_write("app/x", "");
	(void)FM_FORMAT(text, "[app]\nroot = %s\nstorage = /tmp\nenv_file = %s\n",
			folder_path("app"), folder_path("env"));
	assert_int_equal(read_ini(text), 0);
	assert_string_equal(said, "");
	assert_string_equal(settings.url, "http://127.0.0.1:13001");
	assert_int_equal(settings.port, 13001);
	(void)FM_APPEND(text, "url = http://127.0.0.1\n");
	assert_int_equal(read_ini(text), -1);
	assert_non_null(strstr(said, "is not http://host:port"));
	folder_write("env", "APP_PORT='13001\n");
	assert_int_equal(read_ini(text), -1);
	assert_non_null(strstr(said, "env_file: "));
}

/* Neither folders of releases nor a settings file, but where the container answers. */
static void
test_docker(void **state)
{
	(void)state;
	assert_int_equal(read_ini("[app]\nruntime = docker\n[docker]\nimage = a/b:latest\n"), -1);
	assert_non_null(strstr(said, "needs container, or compose_project"));
	assert_non_null(strstr(said, "names a tag"));
	assert_non_null(strstr(said, "url is not set"));
	assert_null(strstr(said, "env_file"));
	assert_null(strstr(said, "root"));
	assert_int_equal(read_ini("[app]\nruntime = docker\nurl = http://127.0.0.1:13000\n"
				  "[docker]\ncontainer = app\n"),
			 0);
	assert_non_null(strstr(settings.env_file, "/state/container.env"));
	assert_int_equal(read_ini("[app]\nruntime = docker\nurl = http://127.0.0.1:13000\n"
				  "[docker]\ncontainer = app\ncompose_project = x\n"),
			 -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_choice_is_a_runtime),
		cmocka_unit_test_setup_teardown(test_process, folder_setup, folder_teardown),
		cmocka_unit_test_setup_teardown(test_docker, folder_setup, folder_teardown),
	};

	return cmocka_run_group_tests_name("agent settings", tests, NULL, NULL);
}
