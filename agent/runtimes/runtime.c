#include "agent/runtimes/runtime.h"

#include <string.h>

#include "base/check.h"

static const struct ag_runtime *const runtimes[] = {
	&ag_runtime_process,
	&ag_runtime_systemd,
	&ag_runtime_docker,
};

const struct ag_runtime *
ag_runtime_of(const struct ag_settings *settings)
{
	size_t i = 0;

	/* The setting's choices are these; a unit test compares them. */
	while (strcmp(runtimes[i]->name, settings->runtime) != 0)
		CHECK(++i < sizeof(runtimes) / sizeof(*runtimes));
	return runtimes[i];
}
