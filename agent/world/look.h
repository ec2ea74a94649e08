/* look.h - a look at the application's database with its own settings, by a child (fermata-dbjob):
 * the agent itself speaks no SQL. One look at a time; a second looker may watch beside it. */
#ifndef AG_WORLD_LOOK_H
#define AG_WORLD_LOOK_H

#include "agent/core/supervise.h"
#include "agent/settings.h"

struct event_base;
struct ag_looker;

struct ag_looker *ag_looker_new(struct event_base *base, const struct ag_settings *settings,
				void (*done)(void *arg, const struct ag_look *look),
				void (*watched)(void *arg, const struct ag_activity *activity),
				void *arg);
void ag_looker_free(struct ag_looker *looker);
/* version: the one that plugins are compared with. done() follows exactly once, never inside this
 * call. */
void ag_looker_begin(struct ag_looker *looker, const char *version);

/* The same, at what the application has the database do (JOB_ACTIVITY): `activity` in what done() gets. */
void ag_looker_watch(struct ag_looker *looker);

struct ag_dotenv;
/* The application's DB_* as a conninfo for libpq; holds its password. */
int ag_conninfo(const struct ag_dotenv *env, char *dst, size_t size, struct fm_err *err);

#endif
