/* The state file, releases and the link. */
#include "made_up.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/world/disk.h"
#include "agent/world/state_file.h"
#include "base/text.h"
#include "folder.h"

static struct ag_memory
some_state(void)
{
	struct ag_memory saved;

	memset(&saved, 0, sizeof(saved));
	saved.ask = made_up_ask(9, FM_APP_GOAL_RUNNING, "2.2.16");
	saved.has_ask = true;
	saved.ask.voice.epoch = UINT64_MAX;
	saved.ask.run = 3;
	saved.ask.start = FM_START_MIGRATE;
	FM_COPY(saved.ask.snapshot, "rp-3-0");
	saved.ask.keep_count = 2;
	FM_COPY(saved.ask.keep[0], "2.2.15");
	FM_COPY(saved.ask.keep[1], "2.2.16");
	saved.ask.start_serial = 7;
	saved.restored_serial = 5;
	FM_COPY(saved.running, "2.2.16");
	return saved;
}

static void
test_state_round(void **state)
{
	struct ag_memory saved = some_state(), back;
	struct stat st;
	struct fm_err err;

	(void)state;
	assert_int_equal(ag_state_read(folder_path("s"), &back, &err), 0);
	assert_false(back.has_ask);
	assert_int_equal(ag_state_write(folder_path("s"), &saved, &err), 0);
	assert_int_equal(ag_state_read(folder_path("s"), &back, &err), 1);
	assert_memory_equal(&saved, &back, sizeof(saved));
	assert_int_equal(stat(folder_path("s"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_false(folder_has("s.new"));
}

/* Any byte changed, any end cut off: an error, never a shorter memory. */
static void
test_state_damaged(void **state)
{
	struct ag_memory saved = some_state(), back;
	char text[16384];
	size_t len;
	struct fm_err err;

	(void)state;
	assert_int_equal(ag_state_write(folder_path("s"), &saved, &err), 0);
	len = strlen(folder_read("s"));
	memcpy(text, folder_read("s"), len + 1);
	for (size_t i = 0; i < len; i++) {
		char kept = text[i];

		text[i] = (char)(kept ^ 1);
		folder_write("s", text);
		assert_int_equal(ag_state_read(folder_path("s"), &back, &err), -1);
		assert_false(back.has_ask);
		text[i] = '\0';
		folder_write("s", text);
		assert_int_equal(ag_state_read(folder_path("s"), &back, &err), -1);
		assert_non_null(strstr(err.text, "damaged"));
		text[i] = kept;
	}
	folder_write("s", text);
	assert_int_equal(ag_state_read(folder_path("s"), &back, &err), 1);
}

static uint32_t
crc32_of(const char *text)
{
	uint32_t crc = UINT32_MAX;

	for (; *text; text++) {
		crc ^= (unsigned char)*text;
		for (int k = 0; k < 8; k++) crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
	}
	return ~crc;
}

/* Whole, but with a row that we do not know: nothing of it is taken. */
static void
test_state_of_a_later_agent(void **state)
{
	struct ag_memory saved = some_state(), back;
	char text[16384];
	struct fm_err err;

	(void)state;
	assert_int_equal(ag_state_write(folder_path("s"), &saved, &err), 0);
	FM_COPY(text, folder_read("s"));
	*strstr(text, "crc ") = '\0';
	FM_APPEND(text, "promise 1\n");
	FM_APPEND(text, "crc %08x\n", crc32_of(text));
	folder_write("s", text);
	assert_int_equal(ag_state_read(folder_path("s"), &back, &err), -1);
	assert_non_null(strstr(err.text, "promise"));
	assert_false(back.has_ask);
}

static void
test_state_not_written(void **state)
{
	struct ag_memory saved = some_state(), back;
	struct fm_err err;

	(void)state;
	assert_int_equal(ag_state_write(folder_path("s"), &saved, &err), 0);
	/* The temporary file cannot be made: the old state stays whole. */
	assert_int_equal(mkdir(folder_path("s.new"), 0755), 0);
	saved.starts = 99;
	assert_int_equal(ag_state_write(folder_path("s"), &saved, &err), -1);
	assert_int_equal(ag_state_read(folder_path("s"), &back, &err), 1);
	assert_int_equal(back.starts, 0);
	assert_int_equal(ag_state_read(folder_path("s/under"), &back, &err), -1);
}

static void
test_releases(void **state)
{
	struct ag_disk disk;

	(void)state;
	ag_disk_scan(folder_path("app"), &disk);
	assert_int_equal(disk.count, 0);
	assert_string_equal(disk.current, "");
	folder_release("app", "2.2.16");
	folder_release("app", "2.2.15");
	folder_release("app", ".fetch-2.2.17/app");
	folder_write("app/releases/2.2.18/package.json", "{}"); /* not complete */
	folder_write("app/releases/2.2.19/node_modules/@nocobase/server/package.json",
		     "{\"version\":\"2.2.15\"}"); /* lies about its version */
	folder_write("app/releases/notes.txt", "x");
	ag_disk_scan(folder_path("app"), &disk);
	assert_int_equal(disk.count, 2);
	assert_string_equal(disk.releases[0], "2.2.15");
	assert_string_equal(disk.releases[1], "2.2.16");
}

static void
test_link(void **state)
{
	struct ag_disk disk;
	char target[64] = "";
	struct fm_err err;

	(void)state;
	folder_release("app", "2.2.15");
	folder_release("app", "2.2.16");
	assert_int_equal(ag_disk_link(folder_path("app"), "2.2.15", &err), 0);
	ag_disk_scan(folder_path("app"), &disk);
	assert_string_equal(disk.current, "2.2.15");
	/* One that was half done by an agent that died. */
	assert_int_equal(symlink("x", folder_path("app/.current.new")), 0);
	assert_int_equal(ag_disk_link(folder_path("app"), "2.2.16", &err), 0);
	ag_disk_scan(folder_path("app"), &disk);
	assert_string_equal(disk.current, "2.2.16");
	assert_true(readlink(folder_path("app/current"), target, sizeof(target) - 1) > 0);
	assert_string_equal(target, "releases/2.2.16");
	assert_int_equal(ag_disk_link(folder_path("app"), "../x", &err), -1);
	assert_int_equal(unlink(folder_path("app/current")), 0);
	folder_write("app/current/file", "a person's folder");
	assert_int_equal(ag_disk_link(folder_path("app"), "2.2.16", &err), -1);
	assert_non_null(strstr(err.text, "move it away"));
	assert_true(folder_has("app/current/file"));
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, folder_setup, folder_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_state_round),
		TEST(test_state_damaged),
		TEST(test_state_of_a_later_agent),
		TEST(test_state_not_written),
		TEST(test_releases),
		TEST(test_link),
	};

	return cmocka_run_group_tests_name("agent disk", tests, NULL, NULL);
}
