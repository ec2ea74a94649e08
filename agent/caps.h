/* caps.h - an agent that is root keeps of root's powers only what its work takes. */
#ifndef AG_CAPS_H
#define AG_CAPS_H

#include "agent/settings.h"
#include "base/err.h"

/* For good, for us and for everybody we start. Nothing happens when we are not root. */
int ag_caps_drop(const struct ag_settings *settings, struct fm_err *err);

#endif
