/* settings.h - what the agent was told in agent.ini, and what follows from it. */
#ifndef AG_SETTINGS_H
#define AG_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "agent/core/hooks.h"
#include "agent/core/supervise.h"
#include "base/err.h"
#include "base/options.h"
#include "wire/ask.h"

#define AG_PATH_SIZE 1024

/* Whom something is run as. */
struct ag_user {
	char name[FM_NAME_SIZE]; /* "": as the agent */
	uid_t uid;		 /* 0: ours */
	gid_t gid;
	char home[AG_PATH_SIZE];
};

struct ag_settings {
	char node[FM_NAME_SIZE];
	char coordinator[FM_TEXT_SIZE];
	char state_dir[AG_PATH_SIZE], dbjob[AG_PATH_SIZE];
	char log_level[16];
	char tls_ca[AG_PATH_SIZE], tls_certificate[AG_PATH_SIZE], tls_key[AG_PATH_SIZE];
	char root[AG_PATH_SIZE];
	char runtime[16];
	char unit[256]; /* of systemd */
	char docker_socket[108], docker_container[128], docker_project[128], docker_service[128];
	char docker_image[256], docker_app_dir[256], docker_auth_file[AG_PATH_SIZE];
	char docker_database[256];
	char env_file[AG_PATH_SIZE], storage[AG_PATH_SIZE], node_dir[AG_PATH_SIZE];
	char start_command[AG_PATH_SIZE], migrate_args[256], fetch_command[AG_PATH_SIZE];
	char url[256], user[FM_NAME_SIZE], group[FM_NAME_SIZE];
	long long open_files, nice;
	char log_file[AG_PATH_SIZE], snapshots[AG_PATH_SIZE];
	long long keep_snapshots, log_mib;
	long long term_ms, kill_ms, poll_ms, start_poll_ms, stuck_ms, retry_ms, start_wait_ms;
	long long probe_ms, look_ms, fetch_ms, storage_ms;
	char hooks[AG_HOOK_COUNT][AG_PATH_SIZE]; /* by enum ag_hook */
	char hooks_go_on[256], hooks_as[FM_NAME_SIZE];
	long long hook_ms;

	/* Not in the file. */
	char config[AG_PATH_SIZE];  /* the file */
	char program[AG_PATH_SIZE]; /* ours, to be run again for work that blocks */
	char host[128];		    /* of url, as it is dialled */
	unsigned port;
	char address[FM_NAME_SIZE]; /* host:port, for the coordinator */
	uid_t uid;		    /* of user; 0: ours */
	gid_t gid;
	char home[AG_PATH_SIZE]; /* of user; "": ours */
	struct ag_user hook_user;
	unsigned hooks_go_on_bits;
};

extern const struct fm_opt ag_options[];

/* One fault, without the name of the file. */
typedef void ag_settings_fault(void *arg, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Those of them that the core goes by. */
struct ag_limits ag_settings_limits(const struct ag_settings *settings);
/* Reads the file, fills the defaults that depend on others, and looks at what it names. All faults
 * go to say (may be NULL). */
int ag_settings_read(struct ag_settings *settings, const char *path,
		     void (*say)(void *arg, const char *line), void *arg, struct fm_err *err);

#endif
