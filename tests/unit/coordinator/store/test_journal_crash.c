/* kill -9 at any moment: what is found again is every acknowledged commit, whole and in order,
 * and at most the one that was under way. */
#include "journal_fixture.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define ROUNDS 25

/* Commits for ever, from where the journal is; each number goes to `to` once it is acknowledged. */
static _Noreturn void
commit_for_ever(const struct folder *folder, int to)
{
	struct co_journal *journal;
	struct fm_err err;
	uint64_t n;

	if (co_journal_open(folder->journal, &journal, &err) < 0) _exit(1);
	for (n = last_number(journal) + 1;; n++) {
		if (commit_number(journal, n, &err) < 0) _exit(2);
		if (write(to, &n, sizeof n) != sizeof n) _exit(3);
	}
}

/* The last number that the child acknowledged. It is killed ms after its first. */
static uint64_t
kill_while_committing(const struct folder *folder, int ms)
{
	uint64_t n, last = 0;
	int said[2], status;
	pid_t pid;

	assert_int_equal(pipe(said), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(said[0]);
		commit_for_ever(folder, said[1]);
	}
	close(said[1]);
	assert_int_equal(read(said[0], &last, sizeof last), sizeof last);
	poll(NULL, 0, ms);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	while (read(said[0], &n, sizeof n) == sizeof n) {
		assert_int_equal(n, last + 1);
		last = n;
	}
	close(said[0]);
	return last;
}

static void
test_kill(void **state)
{
	unsigned seed = (unsigned)getpid();
	uint64_t found = 0;

	for (int i = 0; i < ROUNDS; i++) {
		uint64_t said = kill_while_committing(*state, (int)(rand_r(&seed) % 20));
		struct co_journal *journal = open_journal(*state);

		found = last_number(journal);
		assert_true(found == said || found == said + 1);
		co_journal_close(journal);
	}
	assert_true(found >= ROUNDS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_kill, make_folder, drop_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
