#include "agent/caps.h"

#include <cap-ng.h>
#include <unistd.h>

/* clang-format off */
static const unsigned needed[] = {
	CAP_SETUID, CAP_SETGID,   /* the application and its fetch run as their user */
	CAP_CHOWN, CAP_FOWNER,    /* snapshots keep owners; hard links to what others own */
	CAP_DAC_OVERRIDE,         /* releases, storage, control groups of others */
	CAP_FSETID,               /* copies keep their modes */
	CAP_KILL,                 /* the application, to the last process */
	CAP_SYS_PTRACE,           /* environ and fd of others in /proc: whose process is it? */
	CAP_SETPCAP,              /* to give up the rest */
};
/* clang-format on */

int
ag_caps_drop(const struct ag_settings *s, struct fm_err *err)
{
	if (geteuid() != 0) return 0;
	/* What we do not have, in a container say, is not asked for. */
	if (capng_get_caps_process() < 0)
		return fm_fail(err, FM_ERR_IO, 0, "capabilities cannot be read");
	for (unsigned cap = 0; cap <= CAP_LAST_CAP; cap++) {
		bool keep = !s->uid &&
			    cap == CAP_NET_BIND_SERVICE; /* an application that is root */

		for (size_t i = 0; i < sizeof(needed) / sizeof(*needed); i++)
			keep = keep || needed[i] == cap;
		if (!keep)
			(void)capng_update(CAPNG_DROP,
					   CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_INHERITABLE |
						   CAPNG_BOUNDING_SET,
					   cap);
	}
	if (capng_apply(CAPNG_SELECT_BOTH) == 0) return 0;
	return fm_fail(err, FM_ERR_IO, 0, "capabilities cannot be given up");
}
