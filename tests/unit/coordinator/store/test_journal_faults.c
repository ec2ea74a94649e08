/* The disk fails at the N-th call, for every N: the commit is refused and nothing of it is there,
 * neither now nor after a crash. The door is SQLite's: a VFS of ours before the real one. */
#include "journal_fixture.h"

#include <sys/wait.h>

#include <sqlite3.h>

static int calls_left = -1; /* -1: no fault */
static bool is_broken_for_good;
static bool is_synced; /* nothing was written since the last sync */

static bool
fails_now(void)
{
	if (calls_left < 0) return false;
	if (calls_left > 0) {
		calls_left--;
		return false;
	}
	if (!is_broken_for_good) calls_left = -1;
	return true;
}

struct shim_file {
	sqlite3_file base;
	const sqlite3_io_methods *real;
	sqlite3_io_methods methods;
};

/* The real file lies behind ours. */
static sqlite3_file *
real_of(sqlite3_file *file)
{
	return (sqlite3_file *)(void *)((char *)file + sizeof(struct shim_file));
}

#define REAL(file) (((struct shim_file *)(void *)(file))->real)

/* Handed on as it is. */
#define PASS(ret, name, method, params, ...)                       \
	static ret name params                                     \
	{                                                          \
		return REAL(f)->method(real_of(f), ##__VA_ARGS__); \
	}

PASS(int, shim_close, xClose, (sqlite3_file * f))
PASS(int, shim_read, xRead, (sqlite3_file * f, void *p, int n, sqlite3_int64 at), p, n, at)
PASS(int, shim_size, xFileSize, (sqlite3_file * f, sqlite3_int64 *n), n)
PASS(int, shim_lock, xLock, (sqlite3_file * f, int level), level)
PASS(int, shim_unlock, xUnlock, (sqlite3_file * f, int level), level)
PASS(int, shim_reserved, xCheckReservedLock, (sqlite3_file * f, int *ret), ret)
PASS(int, shim_control, xFileControl, (sqlite3_file * f, int op, void *p), op, p)
PASS(int, shim_sector, xSectorSize, (sqlite3_file * f))
PASS(int, shim_traits, xDeviceCharacteristics, (sqlite3_file * f))
PASS(int, shim_map, xShmMap, (sqlite3_file * f, int i, int n, int x, void volatile **p), i, n, x, p)
PASS(int, shim_shm_lock, xShmLock, (sqlite3_file * f, int at, int n, int flags), at, n, flags)
PASS(void, shim_barrier, xShmBarrier, (sqlite3_file * f))
PASS(int, shim_unmap, xShmUnmap, (sqlite3_file * f, int remove), remove)

static int
shim_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	return fails_now() ? SQLITE_IOERR_TRUNCATE : REAL(f)->xTruncate(real_of(f), size);
}

static int
shim_sync(sqlite3_file *f, int flags)
{
	is_synced = true;
	return fails_now() ? SQLITE_IOERR_FSYNC : REAL(f)->xSync(real_of(f), flags);
}

/* A failing write has written half: a full disk does so. */
static int
shim_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
	is_synced = false;
	if (!fails_now()) return REAL(f)->xWrite(real_of(f), p, n, at);
	REAL(f)->xWrite(real_of(f), p, n / 2, at);
	return SQLITE_FULL;
}

static int
shim_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
	sqlite3_vfs *real = vfs->pAppData;
	struct shim_file *shim = (struct shim_file *)(void *)file;
	int rc = real->xOpen(real, name, real_of(file), flags, ret_flags);

	file->pMethods = NULL;
	if (!real_of(file)->pMethods) return rc;
	shim->real = real_of(file)->pMethods;
	shim->methods = (sqlite3_io_methods){
		.iVersion = 2,
		.xClose = shim_close,
		.xRead = shim_read,
		.xWrite = shim_write,
		.xTruncate = shim_truncate,
		.xSync = shim_sync,
		.xFileSize = shim_size,
		.xLock = shim_lock,
		.xUnlock = shim_unlock,
		.xCheckReservedLock = shim_reserved,
		.xFileControl = shim_control,
		.xSectorSize = shim_sector,
		.xDeviceCharacteristics = shim_traits,
		.xShmMap = shim_map,
		.xShmLock = shim_shm_lock,
		.xShmBarrier = shim_barrier,
		.xShmUnmap = shim_unmap,
	};
	file->pMethods = &shim->methods;
	return rc;
}

static void
install_shim(void)
{
	static sqlite3_vfs shim;
	sqlite3_vfs *real = sqlite3_vfs_find(NULL);

	shim = *real;
	shim.zName = "shim";
	shim.pAppData = real;
	shim.szOsFile = (int)sizeof(struct shim_file) + real->szOsFile;
	shim.xOpen = shim_open;
	assert_int_equal(sqlite3_vfs_register(&shim, 1), SQLITE_OK);
}

/* What a new process finds: the crash is an exit without a close. */
static void
assert_found_after_crash(const struct folder *folder, uint64_t most)
{
	struct co_journal *journal = open_journal(folder);

	assert_int_equal(last_number(journal), most);
	co_journal_close(journal);
}

/* In a child, so that its crash is one: commits 1..3, then a fourth that fails at call n. Returns
 * whether it did fail. */
static bool
fail_at(const struct folder *folder, int n)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct co_journal *journal = open_journal(folder);
		struct fm_err err = { .text = "" };
		bool failed;

		for (uint64_t i = 1; i <= 3; i++)
			if (commit_number(journal, i, NULL) < 0) _exit(9);
		calls_left = n;
		failed = commit_number(journal, 4, &err) < 0;
		if (failed && (err.kind != FM_ERR_IO || !err.text[0])) _exit(8);
		if (failed && !is_broken_for_good && last_number(journal) != 3) _exit(7);
		_exit(failed);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_in_range(WEXITSTATUS(status), 0, 1);
	return WEXITSTATUS(status) == 1;
}

static void
test_every_call(void **state)
{
	int n = 0;

	(void)state;
	for (;; n++) {
		void *folder = NULL;
		bool failed;

		assert_int_equal(make_folder(&folder), 0);
		failed = fail_at(folder, n);
		assert_found_after_crash(folder, failed ? 3 : 4);
		drop_folder(&folder);
		if (!failed) break;
	}
	assert_true(n >= 3);
}

/* After a refusal the next commit goes through, once there is room again. */
static void
test_goes_on(void **state)
{
	struct co_journal *journal = open_journal(*state);

	assert_int_equal(commit_number(journal, 1, NULL), 0);
	for (int n = 0; n < 3; n++) {
		calls_left = n;
		assert_int_equal(commit_number(journal, 2, NULL), -1);
		calls_left = -1;
	}
	assert_int_equal(last_number(journal), 1);
	assert_int_equal(commit_number(journal, 2, NULL), 0);
	assert_int_equal(commit_number(journal, 3, NULL), 0);
	co_journal_close(journal);
	assert_found_after_crash(*state, 3);
}

/* No write goes through any more: every commit is refused, and what was there stays. */
static void
test_full_for_good(void **state)
{
	struct co_journal *journal = open_journal(*state);

	assert_int_equal(commit_number(journal, 1, NULL), 0);
	is_broken_for_good = true;
	calls_left = 0;
	for (int i = 0; i < 5; i++) assert_int_equal(commit_number(journal, 2, NULL), -1);
	assert_int_equal(last_number(journal), 1);
	is_broken_for_good = false;
	calls_left = -1;
	co_journal_close(journal);
	assert_found_after_crash(*state, 1);
}

/* What a crash of the machine would take away is what no sync came after. */
static void
test_is_on_the_disk(void **state)
{
	struct co_journal *journal = open_journal(*state);

	for (uint64_t n = 1; n <= 5; n++) {
		assert_int_equal(commit_number(journal, n, NULL), 0);
		assert_true(is_synced);
	}
	co_journal_close(journal);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_call),
		cmocka_unit_test_setup_teardown(test_goes_on, make_folder, drop_folder),
		cmocka_unit_test_setup_teardown(test_full_for_good, make_folder, drop_folder),
		cmocka_unit_test_setup_teardown(test_is_on_the_disk, make_folder, drop_folder),
	};

	install_shim();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
