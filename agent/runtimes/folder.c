#include "agent/runtimes/folder.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "agent/work/manifest.h"
#include "agent/world/disk.h"
#include "base/text.h"

void
ag_folder_check(struct ag_settings *s, ag_settings_fault *fault, void *arg)
{
	if (!s->env_file[0]) fault(arg, "[app] env_file is not set");
	if (!s->storage[0]) fault(arg, "[app] storage is not set");
	if (access(s->root, R_OK | X_OK) < 0) fault(arg, "root %s: %s", s->root, strerror(errno));
}

int
ag_folder_link(const struct ag_settings *s, const char *version, struct ag_done *ret,
	       struct fm_err *err)
{
	char folder[AG_PATH_SIZE + FM_VERSION_SIZE + 16];

	(void)FM_COPY(ret->text, version);
	(void)FM_FORMAT(folder, "%s/releases/%s", s->root, version);
	if (ag_manifest_check(folder, err) < 0 || ag_disk_link(s->root, version, err) < 0)
		return -1;
	ag_manifest_spend(folder);
	return 0;
}
