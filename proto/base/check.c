#include "base/check.h"

#include <stdlib.h>

#include "base/log.h"

void
fm_check_failed(const char *cond, const char *file, int line, const char *func)
{
	fm_log(FM_LOG_ERROR, "internal fault", "check=\"%s\" at=%s:%d in=%s", cond, file, line,
	       func);
	abort();
}
