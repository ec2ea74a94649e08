#include "agent/core/guard.h"

#include "base/text.h"
#include "base/version.h"

static bool
guard_no_version(const char *release, enum fm_start_mode mode, const struct ag_look *look,
		 char *text, size_t size)
{
	if (mode == FM_START_MIGRATE) return true;
	if (look->installed)
		fm_format(
			text, size,
			"the database holds an unfinished installation; release %s is not started "
			"on it without permission to install: type 'fermata startup'",
			release);
	else
		fm_format(
			text, size,
			"the database is empty; release %s is not started on it without permission "
			"to install: type 'fermata startup'",
			release);
	return false;
}

bool
ag_guard(const char *release, enum fm_start_mode mode, const struct ag_look *look,
	 enum fm_start_mode *ret_mode, char *text, size_t size)
{
	int order = 0;

	*ret_mode = mode;
	if (!look->installed || fm_is_empty(look->version))
		return guard_no_version(release, mode, look, text, size);
	if (!fm_version_compare(look->version, release, &order)) {
		fm_format(
			text, size,
			"the database says version %s and the release is %s: their order cannot be "
			"told, so nothing is started",
			look->version, release);
		return false;
	}
	if (order == 0) {
		/* nocobase: with --quickstart the whole upgrade runs again (22 s, not 10). */
		if (look->pending == 0 && look->stale == 0) *ret_mode = FM_START_PLAIN;
		return true;
	}
	/* nocobase: an old release on a newer database starts, answers 200 and damages it. */
	if (order > 0) {
		fm_format(text, size,
			  "the database is at %s, newer than release %s: an older release is never "
			  "started on it. Type 'fermata upgrade --to %s', or 'fermata rollback'",
			  look->version, release, look->version);
		return false;
	}
	if (mode == FM_START_MIGRATE) return true;
	fm_format(
		text, size,
		"the database is at %s, older than release %s, and this start may not migrate it: "
		"type 'fermata upgrade --to %s'",
		look->version, release, release);
	return false;
}
