/* environ.c - the environment of a command that we run for the operator. */
#include "base/environ.h"

#include <stdio.h>
#include <stdlib.h>

#define PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

void
fm_environ_put(struct fm_environ *env, const char *name, const char *value)
{
	char *row = NULL;

	if (env->count == FM_ENVIRON_MAX || asprintf(&row, "%s=%s", name, value) < 0) return;
	env->list[env->count++] = row;
	env->list[env->count] = NULL;
}

void
fm_environ_put_ours(struct fm_environ *env, const char *name, const char *fallback)
{
	const char *value = getenv(name);

	if (value || fallback) fm_environ_put(env, name, value ? value : fallback);
}

void
fm_environ_put_common(struct fm_environ *env)
{
	fm_environ_put_ours(env, "PATH", PATH_DEFAULT);
	fm_environ_put_ours(env, "LANG", "C.UTF-8");
	fm_environ_put_ours(env, "TZ", NULL);
}

void
fm_environ_done(struct fm_environ *env)
{
	for (unsigned i = 0; i < env->count; i++) free(env->list[i]);
	env->count = 0;
}
