#include "agent/runtimes/unit_admin.h"

#include <fcntl.h>

#include "agent/runtimes/bus.h"
#include "agent/runtimes/hold.h"
#include "agent/runtimes/unit.h"
#include "base/cleanup.h"
#include "base/lock.h"
#include "base/text.h"

#define ANSWER_US (30 * 1000000ULL)

static int
open_bus(sd_bus **ret, struct fm_err *err)
{
	int r = sd_bus_open_system(ret);

	if (r < 0) return ag_bus_fail(err, r, NULL, "connect to the system's bus");
	(void)sd_bus_set_method_call_timeout(*ret, ANSWER_US);
	return 0;
}

int
ag_unit_admin_check(const struct ag_settings *s, struct fm_err *err)
{
	_cleanup_(sd_bus_flush_close_unrefp) sd_bus *link = NULL;
	char path[AG_PATH_SIZE];
	struct ag_unit unit;

	if (!ag_unit_path(s->unit, path, sizeof(path)))
		return fm_fail(err, FM_ERR_CONFIG, 0, "unit %s: no such name can be", s->unit);
	if (open_bus(&link, err) < 0 || ag_unit_read(link, path, &unit, err) < 0) return -1;
	return ag_unit_check(&unit, s, err);
}

static bool
is_agent_there(const struct ag_settings *s)
{
	char path[AG_PATH_SIZE + 16];
	_cleanup_close_ int fd = -1;

	(void)FM_FORMAT(path, "%s/agent.lock", s->state_dir);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd >= 0 && fm_is_locked(fd);
}

int
ag_unit_admin_let_go(const struct ag_settings *s, char *held, size_t size, struct fm_err *err)
{
	_cleanup_(sd_bus_flush_close_unrefp) sd_bus *link = NULL;
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	struct ag_hold hold;
	int r;

	(void)fm_copy(held, size, s->unit);
	if (!ag_hold_name(&hold, s))
		return fm_fail(err, FM_ERR_CONFIG, 0, "unit %s: too long", s->unit);
	if (is_agent_there(s))
		return fm_fail(
			err, FM_ERR_REFUSED, 0,
			"an agent still works with %s: end it first, or it takes the unit again",
			s->state_dir);
	if (ag_hold_let_go(&hold, err) < 0 || open_bus(&link, err) < 0) return -1;
	r = sd_bus_call_method(link, AG_SYSTEMD, AG_SYSTEMD_PATH, AG_SYSTEMD_MANAGER, "Reload",
			       &error, NULL, "");
	return r < 0 ? ag_bus_fail(err, r, &error, "systemctl daemon-reload") : 0;
}
