#include "agent/runtimes/hold.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "base/whole.h"

#define RUN_FOLDER "/run/fermata-agent"
#define UNIT_FOLDER "/etc/systemd/system"
#define DROP_IN_NAME "50-fermata.conf"
/* A person reads this name in `systemctl status`. */
#define PERMIT_NAME "fermata-starts-it"
#define TEXT_SIZE (8 * AG_PATH_SIZE)

bool
ag_hold_name(struct ag_hold *hold, const struct ag_settings *s)
{
	return FM_FORMAT(hold->drop_in, UNIT_FOLDER "/%s.d/" DROP_IN_NAME, s->unit) &&
	       FM_FORMAT(hold->folder, RUN_FOLDER "/%s", s->node) &&
	       FM_FORMAT(hold->permit, "%s/" PERMIT_NAME, hold->folder) &&
	       FM_FORMAT(hold->environment, "%s/start.env", hold->folder);
}

static int
make_folder(const char *path, struct fm_err *err)
{
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return fm_fail(err, FM_ERR_IO, errno, "make %s", path);
	return 0;
}

static void
compose_drop_in(const struct ag_hold *hold, const struct ag_settings *s, char *dst, size_t size)
{
	(void)fm_format(
		dst, size,
		"# Written by fermata-agent for node %s: only it starts this unit. It lets go of it by\n"
		"#   fermata-agent --config %s --let-go\n"
		"[Unit]\n"
		"Documentation=man:fermata-agent(8)\n"
		"# Only there while the agent starts the unit: neither boot nor hand does it behind\n"
		"# Fermata's back. By hand it is: fermata startup, or fermata restart.\n"
		"AssertPathExists=%s\n"
		"StartLimitIntervalSec=0\n"
		"\n"
		"[Service]\n"
		"Restart=no\n"
		"RemainAfterExit=no\n"
		"EnvironmentFile=-%s\n",
		s->node, s->config, hold->permit, hold->environment);
}

static bool
holds_text(const char *path, const char *text)
{
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	_cleanup_free_ char *found = fm_new(char, TEXT_SIZE);

	return file && fread(found, 1, TEXT_SIZE - 1, file) == strlen(text) &&
	       strcmp(found, text) == 0;
}

int
ag_hold_take(const struct ag_hold *hold, const struct ag_settings *s, bool *ret_written,
	     struct fm_err *err)
{
	_cleanup_free_ char *text = fm_new(char, TEXT_SIZE);
	char folder[2 * AG_PATH_SIZE];

	*ret_written = false;
	compose_drop_in(hold, s, text, TEXT_SIZE);
	if (holds_text(hold->drop_in, text)) return 0;
	(void)FM_FORMAT(folder, UNIT_FOLDER "/%s.d", s->unit);
	if (make_folder(folder, err) < 0 || fm_write_whole(hold->drop_in, 0644, text, err) < 0)
		return -1;
	*ret_written = true;
	return 0;
}

/* As systemd.exec reads it: in double quotes, with backslashes before what would mean something. */
static void
put(char *dst, size_t size, const char *key, const char *value)
{
	size_t at;

	(void)fm_append(dst, size, "%s=\"", key);
	for (; *value; value++) {
		if (strchr("\"\\`$", *value)) (void)fm_append(dst, size, "\\");
		at = strlen(dst);
		if (at + 1 >= size) return;
		dst[at] = *value;
		dst[at + 1] = '\0';
	}
	(void)fm_append(dst, size, "\"\n");
}

static void
compose_environment(const struct ag_settings *s, const char *release, enum fm_start_mode mode,
		    char *dst, size_t size)
{
	bool may = mode == FM_START_MIGRATE;
	char path[AG_PATH_SIZE + 16];

	dst[0] = '\0';
	put(dst, size, "FERMATA_NODE", s->node);
	put(dst, size, "FERMATA_AGENT", s->state_dir);
	put(dst, size, "FERMATA_RELEASE", release);
	put(dst, size, "FERMATA_START", fm_start_mode_name(mode));
	put(dst, size, "FERMATA_START_ARGS", may ? s->migrate_args : "");
	/* nocobase: for units whose command always has --quickstart; the versions are equal then. */
	if (!may) put(dst, size, "SKIP_SAME_VERSION_UPGRADE", "true");
	put(dst, size, "NB_SKIP_STARTUP_UPDATE", "1");
	/* nocobase: no pm2 that starts it again behind systemd's back. */
	put(dst, size, "APP_LAUNCH_MODE", "node");
	put(dst, size, "APP_ENV_PATH", s->env_file);
	put(dst, size, "STORAGE_PATH", s->storage);
	(void)FM_FORMAT(path, "%s/gateway.sock", s->node_dir);
	put(dst, size, "SOCKET_PATH", path);
	(void)FM_FORMAT(path, "%s/pm2", s->node_dir);
	put(dst, size, "PM2_HOME", path);
}

int
ag_hold_permit(const struct ag_hold *hold, const struct ag_settings *s, const char *release,
	       enum fm_start_mode mode, struct fm_err *err)
{
	_cleanup_free_ char *text = fm_new(char, TEXT_SIZE);

	compose_environment(s, release, mode, text, TEXT_SIZE);
	if (make_folder(RUN_FOLDER, err) < 0 || make_folder(hold->folder, err) < 0 ||
	    fm_write_whole(hold->environment, 0644, text, err) < 0)
		return -1;
	return fm_write_whole(hold->permit, 0644, "", err);
}

void
ag_hold_forbid(const struct ag_hold *hold)
{
	(void)unlink(hold->permit);
}

int
ag_hold_let_go(const struct ag_hold *hold, struct fm_err *err)
{
	char folder[2 * AG_PATH_SIZE];

	ag_hold_forbid(hold);
	(void)unlink(hold->environment);
	(void)rmdir(hold->folder);
	if (unlink(hold->drop_in) < 0 && errno != ENOENT)
		return fm_fail(err, FM_ERR_IO, errno, "remove %s", hold->drop_in);
	(void)FM_COPY(folder, hold->drop_in);
	*strrchr(folder, '/') = '\0';
	/* Other drop-ins of the operator's may be in there. */
	(void)rmdir(folder);
	return 0;
}
