/* dotenv.h - the application's settings file, read as the application reads it: KEY=VALUE, optional
 * "export", quotes (escapes only in double ones), comments. Values may be secrets. */
#ifndef AG_WORLD_DOTENV_H
#define AG_WORLD_DOTENV_H

#include <stddef.h>

#include "base/err.h"

#define AG_DOTENV_MAX 512

struct ag_dotenv {
	size_t count;
	char *keys[AG_DOTENV_MAX];
	char *values[AG_DOTENV_MAX];
};

/* Of two rows with the same key the later holds. On -1 env is empty, and may be given to _done(). */
int ag_dotenv_read(struct ag_dotenv *env, const char *path, struct fm_err *err);
int ag_dotenv_parse(struct ag_dotenv *env, const char *text, struct fm_err *err);
void ag_dotenv_done(struct ag_dotenv *env); /* wipes */
/* "" when it is not set. */
const char *ag_dotenv_get(const struct ag_dotenv *env, const char *key);

#endif
