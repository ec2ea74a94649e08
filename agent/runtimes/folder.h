/* folder.h - releases as folders, root/releases/VERSION/, and the link root/current: for every runtime
 * whose application is files of this host. Shapes as in runtime.h. */
#ifndef AG_RUNTIMES_FOLDER_H
#define AG_RUNTIMES_FOLDER_H

#include "agent/settings.h"
#include "agent/work/say.h"

void ag_folder_check(struct ag_settings *settings, ag_settings_fault *fault, void *arg);
/* agent/work/fetch.c: npm, or the operator's command. */
int ag_folder_fetch(const struct ag_settings *settings, const char *version, struct ag_done *ret,
		    struct fm_err *err);
int ag_folder_link(const struct ag_settings *settings, const char *version, struct ag_done *ret,
		   struct fm_err *err);
/* agent/work/sweep.c: half-made fetches go, too. */
int ag_folder_sweep(const struct ag_settings *settings, const char *const *keep,
		    struct ag_done *ret, struct fm_err *err);

#endif
