/* launch.h - fork and exec of the application: its environment, its output, its session. */
#ifndef AG_RUNTIMES_LAUNCH_H
#define AG_RUNTIMES_LAUNCH_H

#include <sys/types.h>

#include "agent/settings.h"
#include "base/err.h"
#include "wire/ask.h"

/* The entries of its environment by which the application of this agent is found. */
void ag_launch_marks(const struct ag_settings *settings, char marks[2][AG_PATH_SIZE + 32]);
/* The environment of the application in fresh memory, NULL-terminated; holds its secrets. */
char **ag_launch_env(const struct ag_settings *settings, const char marks[2][AG_PATH_SIZE + 32],
		     const char *release, struct fm_err *err);
void ag_launch_env_free(char **env);

/* The node's own folder, owned by this user ("": ours). */
int ag_node_dir_make(const struct ag_settings *settings, const char *user, struct fm_err *err);

/* The pid of the new session, whose exec has succeeded; -1 with err. It is in this control group from
 * the beginning, if it can be ("": in ours). */
pid_t ag_launch(const struct ag_settings *settings, const char marks[2][AG_PATH_SIZE + 32],
		const char *release, enum fm_start_mode mode, const char *cgroup,
		struct fm_err *err);

#endif
