/* hook.h - the operator's own commands, as they are configured and run. */
#ifndef AG_WORK_HOOK_H
#define AG_WORK_HOOK_H

#include "agent/core/hooks.h"
#include "agent/settings.h"
#include "agent/work/say.h"
#include "base/words.h"

/* Can the hook's user run it? May block. -1: why not. */
int ag_hook_check(const struct ag_settings *settings, enum ag_hook hook, struct fm_err *err);

/* Runs it to its end, in the group of this process. release: what it is about, or "". */
int ag_hook_run(const struct ag_settings *settings, enum ag_hook hook, const char *release,
		const char *run, struct ag_done *ret, struct fm_err *err);

/* Of the settings: bits of the hooks that are set. */
unsigned ag_hooks_set(const struct ag_settings *settings);

#endif
