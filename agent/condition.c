#include "agent/condition.h"

#include <string.h>

#include "base/text.h"

#define SPAN_MS 5000	   /* shorter ones tell more of the moment than of the application */
#define GRAIN (1ULL << 20) /* a report for each page would be noise */

static void
measure(struct ag_meter *meter, const struct ag_use *use, struct fm_mono now)
{
	int64_t span_ms = fm_mono_since(now, meter->at);

	if (meter->known && span_ms < SPAN_MS) return;
	/* Less than before: processes ended, and took their share with them. */
	meter->cpu_permille = 0;
	if (meter->known && use->cpu_us > meter->cpu_us)
		meter->cpu_permille = (uint32_t)((use->cpu_us - meter->cpu_us) / (uint64_t)span_ms);
	meter->known = true;
	meter->cpu_us = use->cpu_us;
	meter->at = now;
}

void
ag_condition_look(struct ag_meter *meter, const struct ag_runtime *runtime,
		  struct ag_instance *instance, struct ag_condition *ret)
{
	struct ag_use use;

	memset(ret, 0, sizeof(*ret));
	if (runtime->unfit) runtime->unfit(instance, ret->unfit, sizeof(ret->unfit));
	if (!runtime->use || !runtime->use(instance, &use)) {
		meter->known = false;
		return;
	}
	measure(meter, &use, fm_mono_now());
	ret->memory_bytes = use.memory_bytes / GRAIN * GRAIN;
	ret->cpu_permille = meter->cpu_permille;
}
