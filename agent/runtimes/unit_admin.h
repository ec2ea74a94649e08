/* unit_admin.h - what a person does about the unit with the agent at rest: look whether it is fit, and
 * let go of it. */
#ifndef AG_RUNTIMES_UNIT_ADMIN_H
#define AG_RUNTIMES_UNIT_ADMIN_H

#include "agent/settings.h"
#include "base/err.h"

/* Asks systemd; changes nothing. -1: what is to be changed. */
int ag_unit_admin_check(const struct ag_settings *settings, struct fm_err *err);
/* The unit is anybody's again: what holds it is removed, and systemd reloads. The application lives
 * on. */
int ag_unit_admin_let_go(const struct ag_settings *settings, char *held, size_t size,
			 struct fm_err *err);

#endif
