/* facts.h - what must be alike on all nodes, looked up; its rows are in facts.c. */
#ifndef AG_WORK_FACTS_H
#define AG_WORK_FACTS_H

#include "agent/settings.h"
#include "agent/work/say.h"
#include "base/err.h"

int ag_work_facts(const struct ag_settings *s, struct ag_done *ret, struct fm_err *err);

#endif
