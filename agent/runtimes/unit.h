/* unit.h - one unit of systemd as it says it is, and whether Fermata can work with it. */
#ifndef AG_RUNTIMES_UNIT_H
#define AG_RUNTIMES_UNIT_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#include "agent/settings.h"
#include "base/err.h"

#define AG_SYSTEMD "org.freedesktop.systemd1"
#define AG_SYSTEMD_PATH "/org/freedesktop/systemd1"
#define AG_SYSTEMD_MANAGER AG_SYSTEMD ".Manager"

/* systemd's own words (man org.freedesktop.systemd1); lists are joined by spaces. */
struct ag_unit {
	char load_state[32], active_state[32], sub_state[32];
	char type[16], restart[32], kill_mode[32], result[32];
	char user[FM_NAME_SIZE];
	char working_directory[AG_PATH_SIZE], control_group[AG_PATH_SIZE];
	char exec_start[2 * AG_PATH_SIZE], drop_ins[2 * AG_PATH_SIZE];
	uint32_t main_pid, job; /* job: 0 none */
	int32_t exit_code, exit_status;
	bool remain_after_exit, need_reload;
};

/* A service's name that means nothing more in a path or in systemd's own files. */
bool ag_unit_is_name(const char *name);
/* Where the bus has it. false: no unit can have this name. */
bool ag_unit_path(const char *name, char *dst, size_t size);

/* Everything, by asking. Blocking, bounded by the bus's limit. */
int ag_unit_read(sd_bus *link, const char *path, struct ag_unit *ret, struct fm_err *err);
/* What a PropertiesChanged signal carries; what it does not carry stays. */
int ag_unit_apply(sd_bus_message *signal, struct ag_unit *unit);

/* Asked for, and no more; the unit's properties tell what becomes of it. name stays until they have
 * answered. The caller settles the bus. */
void ag_unit_stop(sd_bus *link, const char *name);
/* KILL, to every process of it. */
void ag_unit_kill(sd_bus *link, const char *name);

/* No process of it runs, and none is about to. */
bool ag_unit_is_down(const struct ag_unit *unit);

/* What a person has to change before Fermata can run this unit, one sentence; 0 when nothing. */
int ag_unit_check(const struct ag_unit *unit, const struct ag_settings *settings,
		  struct fm_err *err);
/* Is it started by us alone? drop_in: path of ours, that must be in force. */
int ag_unit_check_hold(const struct ag_unit *unit, const struct ag_settings *settings,
		       const char *drop_in, struct fm_err *err);
/* Does its command heed the permission to migrate? */
bool ag_unit_can_migrate(const struct ag_unit *unit);

#endif
