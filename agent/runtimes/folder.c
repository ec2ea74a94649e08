#include "agent/runtimes/folder.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

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
	(void)FM_COPY(ret->text, version);
	return ag_disk_link(s->root, version, err);
}
