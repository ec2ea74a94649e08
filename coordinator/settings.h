/* settings.h - the coordinator's settings, by the table in options.def and the limits in
 * run/limits.def. */
#ifndef CO_SETTINGS_H
#define CO_SETTINGS_H

#include <stdbool.h>

#include "base/options.h"
#include "coordinator/run/step.h"

struct co_settings {
	char cluster[FM_NAME_SIZE];
	char nodes[FM_NODES_MAX * FM_NAME_SIZE];
	char workers[FM_NODES_MAX * FM_NAME_SIZE];
	char gates[FM_GATES_MAX * FM_NAME_SIZE];
	char open_when[8], rollback[8], log_level[8];
	long long keep_releases, keep_points;
	char public_url[208];
	char database[FM_NAME_SIZE], role[FM_NAME_SIZE], admin[FM_TEXT_SIZE];
	char schema[FM_NAME_SIZE], table_prefix[40], bindir[208];
	bool underscored;
	char listen[FM_NAME_SIZE], socket[112], socket_group[40];
	char notify[1008], notify_on[16];
	long long notify_ms, again_ms;
	char http_listen[FM_NAME_SIZE];
	char tls_ca[208], tls_certificate[208], tls_key[208];
	char state_dir[208], points_dir[208], dbjob[208];
	long long limits_ms[CO_LIMITS];
};

extern const struct fm_opt co_options[]; /* ends with section NULL */

/* What the core needs of the settings. -1: two names are equal, or more than fit. */
int co_settings_config(const struct co_settings *settings, struct co_config *ret,
		       struct fm_err *err);

#endif
