/* Snapshots of the storage and back, sweeping, fetching. */
#include "made_up.h"

#include "folder.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/runtimes/runtime.h"
#include "agent/work/manifest.h"
#include "agent/work/storage.h"
#include "agent/work/tree.h"
#include "agent/world/sha256.h"
#include "base/text.h"

static struct ag_settings settings;
static struct fm_err err;

static int
setup(void **state)
{
	if (folder_setup(state) < 0) return -1;
	memset(&settings, 0, sizeof(settings));
	FM_COPY(settings.runtime, "process");
	FM_COPY(settings.root, folder_path("app"));
	FM_COPY(settings.state_dir, folder_path("state"));
	FM_COPY(settings.storage, folder_path("storage"));
	FM_COPY(settings.snapshots, folder_path("snapshots"));
	FM_COPY(settings.env_file, folder_path("env"));
	settings.keep_snapshots = 2;
	folder_write("state/x", "");
	folder_write("env", "APP_KEY=secret\n");
	folder_write("storage/uploads/a b%\n.png", "picture");
	folder_write("storage/uploads/deep/er/c.txt", "");
	folder_write("storage/plugins/p/index.js", "code");
	folder_write("storage/apps/main/aes_key.dat", "key");
	folder_write("storage/logs/main/x.log", "not part of it");
	return symlink("p/index.js", folder_path("storage/plugins/link"));
}

static int
snapshot(const char *id)
{
	struct ag_done done;

	return ag_work_snapshot(&settings, id, &done, &err);
}

static int
restore(const char *id, const char *serial)
{
	struct ag_done done;

	return ag_work_restore(&settings, id, serial, &done, &err);
}

static ino_t
inode(const char *name)
{
	struct stat st;

	assert_int_equal(stat(folder_path(name), &st), 0);
	return st.st_ino;
}

static void
age(const char *name, time_t seconds)
{
	struct timespec times[2] = { { .tv_sec = 1000000 - seconds },
				     { .tv_sec = 1000000 - seconds } };

	assert_int_equal(utimensat(AT_FDCWD, folder_path(name), times, 0), 0);
}

static time_t
written(const char *name)
{
	struct stat st;

	assert_int_equal(stat(folder_path(name), &st), 0);
	return st.st_mtime;
}

static void
test_sha256(void **state)
{
	char hex[AG_SHA256_HEX];
	struct ag_sha256 sha;

	(void)state;
	ag_sha256_init(&sha);
	ag_sha256_hex(&sha, hex);
	assert_string_equal(hex,
			    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	ag_sha256_init(&sha);
	for (int i = 0; i < 1000000; i += 100)
		ag_sha256_add(&sha,
			      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
			      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
			      100);
	ag_sha256_hex(&sha, hex);
	assert_string_equal(hex,
			    "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void
test_there_and_back(void **state)
{
	struct ag_done done;

	(void)state;
	age("storage/plugins/p/index.js", 40);
	assert_int_equal(ag_work_snapshot(&settings, "rp-1", &done, &err), 0);
	assert_int_equal(done.bytes, 7 + 4 + 3 + 15);
	assert_false(folder_has("snapshots/rp-1.partial"));
	assert_false(folder_has("snapshots/rp-1/storage/logs"));
	assert_string_equal(folder_read("snapshots/rp-1/env"), "APP_KEY=secret\n");
	/* Written once, so the same file; changed in place, so a copy. */
	assert_int_equal(inode("snapshots/rp-1/storage/uploads/a b%\n.png"),
			 inode("storage/uploads/a b%\n.png"));
	assert_int_not_equal(inode("snapshots/rp-1/storage/apps/main/aes_key.dat"),
			     inode("storage/apps/main/aes_key.dat"));
	/* The migration that went wrong. */
	assert_int_equal(unlink(folder_path("storage/uploads/a b%\n.png")), 0);
	folder_write("storage/uploads/new.txt", "of the failed version");
	folder_write("storage/plugins/p/index.js", "broken");
	folder_write("storage/apps/main/aes_key.dat", "other");
	assert_int_equal(restore("rp-1", "1"), 0);
	assert_string_equal(folder_read("storage/uploads/a b%\n.png"), "picture");
	assert_true(folder_has("storage/uploads/deep/er/c.txt"));
	assert_false(folder_has("storage/uploads/new.txt"));
	assert_string_equal(folder_read("storage/plugins/p/index.js"), "code");
	assert_string_equal(folder_read("storage/plugins/link"), "code");
	assert_string_equal(folder_read("storage/apps/main/aes_key.dat"), "key");
	assert_int_equal(written("storage/plugins/p/index.js"), 999960);
	assert_string_equal(folder_read("storage/logs/main/x.log"), "not part of it");
	/* Kept for the post-mortem. */
	assert_string_equal(folder_read("storage/.fermata-replaced/rp-1.1/apps/main/aes_key.dat"),
			    "other");
	assert_false(folder_has("storage/.fermata-new"));
}

static void
test_snapshot_again(void **state)
{
	(void)state;
	folder_write("snapshots/rp-1.partial/storage/x", "half, of an earlier life");
	assert_int_equal(snapshot("rp-1"), 0);
	assert_false(folder_has("snapshots/rp-1/storage/x"));
	/* What is whole is not made anew from what the storage is by now. */
	folder_write("storage/apps/main/aes_key.dat", "later");
	assert_int_equal(snapshot("rp-1"), 0);
	assert_string_equal(folder_read("snapshots/rp-1/storage/apps/main/aes_key.dat"), "key");
}

static void
spoil(const char *name, const char *text)
{
	assert_int_equal(unlink(folder_path(name)), 0);
	if (text) folder_write(name, text);
}

static void
test_spoilt_snapshot_is_refused(void **state)
{
	static const struct {
		const char *name, *text;
	} rows[] = {
		{ "snapshots/rp-1/storage/apps/main/aes_key.dat", "kez" },
		{ "snapshots/rp-1/storage/apps/main/aes_key.dat", "longer" },
		{ "snapshots/rp-1/storage/plugins/p/index.js", NULL },
		{ "snapshots/rp-1/storage/uploads/a b%\n.png", "pict" },
		{ "snapshots/rp-1/storage/plugins/link", NULL },
		{ "snapshots/rp-1/manifest", NULL },
		{ "snapshots/rp-1/manifest", "fermata-storage 1 rp-1\nend 0 0\n" },
		{ "snapshots/rp-1/manifest", "fermata-storage 1 rp-2\nend 0 0\n" },
		{ "snapshots/rp-1/manifest", "fermata-storage 1 rp-1\n" },
		{ "snapshots/rp-1/manifest", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_int_equal(ag_tree_remove(folder_path("snapshots"), &err), 0);
		assert_int_equal(snapshot("rp-1"), 0);
		spoil(rows[i].name, rows[i].text);
		assert_int_equal(restore("rp-1", "1"), -1);
		assert_string_equal(folder_read("storage/apps/main/aes_key.dat"), "key");
		assert_false(folder_has("storage/.fermata-replaced"));
	}
	assert_int_equal(restore("rp-none", "1"), -1);
}

/* Killed after any of its renames, it ends the same, and what was is kept once. */
static void
test_restore_begun_anew(void **state)
{
	static const char *const moved[] = { "uploads", "plugins", "apps" };

	(void)state;
	assert_int_equal(snapshot("rp-1"), 0);
	for (unsigned step = 0; step < 3; step++) {
		char from[128], to[128], serial[8];

		(void)snprintf(serial, sizeof(serial), "%u", step);
		folder_write("storage/apps/main/aes_key.dat", "other");
		folder_write("storage/plugins/p/index.js", "broken");
		(void)snprintf(to, sizeof(to), "storage/.fermata-replaced/rp-1.%u/x", step);
		folder_write(to, "");
		(void)snprintf(from, sizeof(from), "storage/%s", moved[step]);
		(void)snprintf(to, sizeof(to), "storage/.fermata-replaced/rp-1.%u/%s", step,
			       moved[step]);
		assert_int_equal(rename(folder_path(from), folder_path(to)), 0);
		folder_write("storage/.fermata-new/half/x", "half");
		folder_write("storage/.fermata-new/apps/main/left.txt", "half");
		assert_int_equal(restore("rp-1", serial), 0);
		/* And once more after the swap, before anybody heard that it was done. */
		assert_int_equal(restore("rp-1", serial), 0);
		assert_string_equal(folder_read("storage/apps/main/aes_key.dat"), "key");
		assert_false(folder_has("storage/apps/main/left.txt"));
		assert_string_equal(folder_read("storage/plugins/p/index.js"), "code");
		assert_string_equal(folder_read("storage/uploads/a b%\n.png"), "picture");
		(void)snprintf(to, sizeof(to),
			       "storage/.fermata-replaced/rp-1.%u/apps/main/aes_key.dat", step);
		assert_string_equal(folder_read(to), "other");
	}
}

static void
test_sweep(void **state)
{
	const char *keep[] = { "2.2.16", NULL };
	struct ag_done done = { .bytes = 0 };

	(void)state;
	folder_release("app", "2.2.14");
	folder_release("app", "2.2.15");
	folder_release("app", "2.2.16");
	folder_release("app", ".fetch-2.2.17/app");
	folder_write("app/releases/notes/mine.txt", "no release");
	assert_int_equal(symlink("releases/2.2.15", folder_path("app/current")), 0);
	assert_int_equal(snapshot("rp-1"), 0);
	assert_int_equal(snapshot("rp-2"), 0);
	assert_int_equal(snapshot("rp-3"), 0);
	assert_int_equal(snapshot("rp-4"), 0);
	age("snapshots/rp-1/manifest", 40);
	age("snapshots/rp-2/manifest", 30);
	age("snapshots/rp-3/manifest", 20);
	age("snapshots/rp-4/manifest", 10);
	folder_write("snapshots/rp-5.partial/x", "");
	folder_write("storage/.fermata-replaced/rp-1.1/x", "");
	assert_int_equal(ag_runtime_of(&settings)->sweep(&settings, keep, &done, &err), 0);
	assert_int_equal(ag_storage_sweep(&settings, "rp-1", &err), 0);
	assert_string_equal(done.text, "2.2.14");
	assert_true(folder_has("app/releases/2.2.15")); /* current names it */
	assert_true(folder_has("app/releases/2.2.16"));
	assert_true(folder_has("app/releases/notes/mine.txt"));
	assert_false(folder_has("app/releases/.fetch-2.2.17"));
	assert_true(folder_has("snapshots/rp-4") && folder_has("snapshots/rp-3"));
	assert_false(folder_has("snapshots/rp-2"));
	assert_true(folder_has("snapshots/rp-1")); /* asked to stay */
	assert_false(folder_has("snapshots/rp-5.partial"));
	assert_false(folder_has("storage/.fermata-replaced"));
	assert_true(folder_has("storage/uploads"));
}

static void
test_fetch(void **state)
{
	struct ag_done done;

	(void)state;
	folder_write("app/releases/2.2.16/incomplete", "");
	FM_COPY(settings.fetch_command,
		"d=$FERMATA_RELEASE_DIR/node_modules/@nocobase/server; mkdir -p $d; echo working;"
		" echo \"{\\\"version\\\":\\\"${SAY:-$FERMATA_VERSION}\\\"}\" >$d/package.json");
	assert_int_equal(ag_runtime_of(&settings)->fetch(&settings, "2.2.16", &done, &err), 0);
	assert_false(folder_has("app/releases/2.2.16/incomplete"));
	assert_false(folder_has("app/releases/.fetch-2.2.16"));
	assert_string_equal(folder_read("state/fetch.log"), "working\n");
	/* It is there: nothing is fetched. */
	FM_COPY(settings.fetch_command, "echo no route to the registry >&2; exit 1");
	assert_int_equal(ag_runtime_of(&settings)->fetch(&settings, "2.2.16", &done, &err), 0);
	assert_int_equal(ag_runtime_of(&settings)->fetch(&settings, "2.2.17", &done, &err), -1);
	assert_non_null(strstr(err.text, "no route to the registry"));
	assert_false(folder_has("app/releases/2.2.17"));
	FM_COPY(settings.fetch_command,
		"d=$FERMATA_RELEASE_DIR/node_modules/@nocobase/server; mkdir -p $d;"
		" echo '{\"version\":\"2.2.16\"}' >$d/package.json");
	assert_int_equal(ag_runtime_of(&settings)->fetch(&settings, "2.2.18", &done, &err), -1);
	assert_non_null(strstr(err.text, "is 2.2.16, not 2.2.18"));
	assert_false(folder_has("app/releases/2.2.18"));
}

static int
link_release(const char *version)
{
	struct ag_done done;

	return ag_runtime_process.link(&settings, version, &done, &err);
}

/* From the fetch to the first start of it; after that the application may write there. */
static void
test_manifest(void **state)
{
	struct ag_done done;

	(void)state;
	FM_COPY(settings.fetch_command,
		"mkdir -p \"$FERMATA_RELEASE_DIR/node_modules/@nocobase/server\" && cd "
		"\"$FERMATA_RELEASE_DIR\" && printf '{\"version\": \"%s\"}' \"$FERMATA_VERSION\" "
		">node_modules/@nocobase/server/package.json && printf abc >a.js && ln -s a.js b.js");
	folder_write("app/x", "");
	assert_int_equal(ag_runtime_process.fetch(&settings, "2.2.16", &done, &err), 0);
	assert_non_null(strstr(folder_read("app/releases/2.2.16/.fermata-manifest"),
			       "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad 3 "
			       "a.js\n"));
	folder_write("app/releases/2.2.16/a.js", "abcd");
	assert_int_equal(link_release("2.2.16"), -1);
	assert_non_null(strstr(err.text, "a.js has 4 bytes, and had 3"));
	assert_non_null(strstr(err.text, "fetch it again"));
	assert_int_equal(unlink(folder_path("app/releases/2.2.16/a.js")), 0);
	assert_int_equal(link_release("2.2.16"), -1);
	folder_write("app/releases/2.2.16/a.js", "cba");
	assert_int_equal(link_release("2.2.16"), 0);
	folder_write("app/releases/2.2.16/a.js", "written by the application");
	assert_int_equal(link_release("2.2.16"), 0);
}

static void
test_manifest_that_is_cut(void **state)
{
	struct ag_extent extent;

	(void)state;
	folder_write("app/releases/2.2.16/a.js", "abc");
	assert_int_equal(ag_manifest_write(folder_path("app/releases/2.2.16"), &extent, &err), 0);
	assert_int_equal(extent.files, 1);
	assert_int_equal(extent.bytes, 3);
	assert_int_equal(truncate(folder_path("app/releases/2.2.16/.fermata-manifest"), 72), 0);
	assert_int_equal(link_release("2.2.16"), -1);
	assert_non_null(strstr(err.text, "has no end"));
	folder_write("app/releases/2.2.16/.fermata-manifest", "rubbish\n");
	assert_int_equal(link_release("2.2.16"), -1);
	assert_non_null(strstr(err.text, "damaged"));
}

/* What the release in use is said to take is what the next one must find. */
static void
test_no_room(void **state)
{
	struct ag_done done;

	(void)state;
	folder_write("app/releases/2.2.15/.fermata-manifest",
		     "0000000000000000000000000000000000000000000000000000000000000000 1 a\n"
		     "0000000000000000000000000000000000000000000000000000000000000000 1 b\n"
		     "end 2 1125899906842624\n");
	assert_int_equal(symlink("releases/2.2.15", folder_path("app/current")), 0);
	assert_int_equal(ag_runtime_process.fetch(&settings, "2.2.16", &done, &err), -1);
	assert_non_null(strstr(err.text, "no room: the release takes about 11"));
	assert_non_null(strstr(err.text, "GiB free"));
	assert_int_equal(access(folder_path("app/releases/.fetch-2.2.16"), F_OK), -1);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, folder_teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sha256),
		TEST(test_there_and_back),
		TEST(test_snapshot_again),
		TEST(test_spoilt_snapshot_is_refused),
		TEST(test_restore_begun_anew),
		TEST(test_sweep),
		TEST(test_fetch),
		TEST(test_manifest),
		TEST(test_manifest_that_is_cut),
		TEST(test_no_room),
	};

	return cmocka_run_group_tests_name("agent work", tests, NULL, NULL);
}
