/* condition.h - how the application and what runs it are: what it uses, and what would keep it from
 * being started. */
#ifndef AG_CONDITION_H
#define AG_CONDITION_H

#include "agent/core/supervise.h"
#include "agent/runtimes/runtime.h"

/* Between two looks; zeroed before the first. */
struct ag_meter {
	bool known;
	uint64_t cpu_us;
	struct fm_mono at;
	uint32_t cpu_permille;
};

/* Asks the runtime. The share of the processor is that since a look some seconds ago. */
void ag_condition_look(struct ag_meter *meter, const struct ag_runtime *runtime,
		       struct ag_instance *instance, struct ag_condition *ret);

#endif
