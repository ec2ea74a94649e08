/* The container's first process, as the kernel tells of it. */
#include <event2/event.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/runtimes/docker_init.h"
#include "tests/unit/test.h"

#define EVERYBODYS "/" /* stands in each process's groups */
#define NOBODYS "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

struct stage {
	struct event_base *base;
	pid_t child;
	unsigned ended;
};

static void
on_ended(void *arg)
{
	((struct stage *)arg)->ended++;
}

static int
set_up(void **state)
{
	static struct stage stage;

	stage = (struct stage){ .base = event_base_new() };
	assert_non_null(stage.base);
	stage.child = fork();
	assert_true(stage.child >= 0);
	if (stage.child == 0)
		for (;;) (void)pause();
	*state = &stage;
	return 0;
}

static int
tear_down(void **state)
{
	struct stage *stage = *state;

	(void)kill(stage->child, SIGKILL);
	(void)waitpid(stage->child, NULL, 0);
	event_base_free(stage->base);
	return 0;
}

static void
test_an_end_is_told_until_the_engine_knows_it(void **state)
{
	struct stage *stage = *state;
	struct ag_docker_init *init = ag_docker_init_new(stage->base, on_ended, stage);

	ag_docker_init_watch(init, stage->child, EVERYBODYS);
	assert_int_equal(event_base_loop(stage->base, EVLOOP_NONBLOCK), 0);
	assert_int_equal(stage->ended, 0);
	assert_int_equal(kill(stage->child, SIGKILL), 0);
	while (stage->ended < 3) {
		assert_int_equal(event_base_loop(stage->base, EVLOOP_ONCE), 0);
		/* Named once more by an engine that has not seen it. */
		ag_docker_init_watch(init, stage->child, EVERYBODYS);
	}
	ag_docker_init_watch(init, 0, "");
	assert_int_equal(event_base_get_num_events(stage->base, EVENT_BASE_COUNT_ADDED), 0);
	ag_docker_init_free(init);
}

static void
test_somebody_elses_process_is_left_alone(void **state)
{
	struct stage *stage = *state;
	struct ag_docker_init *init = ag_docker_init_new(stage->base, on_ended, stage);

	ag_docker_init_watch(init, stage->child, NOBODYS);
	assert_int_equal(event_base_get_num_events(stage->base, EVENT_BASE_COUNT_ADDED), 0);
	ag_docker_init_watch(init, 0, "");
	ag_docker_init_watch(init, stage->child, ""); /* it is being made anew */
	assert_int_equal(event_base_get_num_events(stage->base, EVENT_BASE_COUNT_ADDED), 0);
	ag_docker_init_free(init);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_an_end_is_told_until_the_engine_knows_it,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_somebody_elses_process_is_left_alone, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
