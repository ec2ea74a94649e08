/* hold.h - files by which a unit of systemd is started by the agent alone: a drop-in that asserts
 * a permit, the permit, which is there only while the agent starts the unit, and the environment of
 * that start. Permit and environment lie in /run: after a reboot there is none. */
#ifndef AG_RUNTIMES_HOLD_H
#define AG_RUNTIMES_HOLD_H

#include "agent/settings.h"
#include "base/err.h"

struct ag_hold {
	char drop_in[2 * AG_PATH_SIZE];
	char folder[AG_PATH_SIZE]; /* in /run */
	char permit[2 * AG_PATH_SIZE], environment[2 * AG_PATH_SIZE];
};

/* false: a name is too long. */
bool ag_hold_name(struct ag_hold *hold, const struct ag_settings *settings);

/* Writes the drop-in if it is not as it should be. *ret_written: systemd must reload. */
int ag_hold_take(const struct ag_hold *hold, const struct ag_settings *settings, bool *ret_written,
		 struct fm_err *err);
/* Environment, then permit. */
int ag_hold_permit(const struct ag_hold *hold, const struct ag_settings *settings,
		   const char *release, enum fm_start_mode mode, struct fm_err *err);
void ag_hold_forbid(const struct ag_hold *hold);
/* Removes all of it: the unit is anybody's again, once systemd has reloaded. */
int ag_hold_let_go(const struct ag_hold *hold, struct fm_err *err);

#endif
