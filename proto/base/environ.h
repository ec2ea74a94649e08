/* environ.h - the environment of a command that we run for the operator: nothing of ours gets into it by
 * itself, so no secret does. */
#ifndef FM_BASE_ENVIRON_H
#define FM_BASE_ENVIRON_H

#define FM_ENVIRON_MAX 24

struct fm_environ {
	char *list[FM_ENVIRON_MAX + 1]; /* ends with NULL */
	unsigned count;
};

/* Copies. What is too much is left out: the callers' lists are short and fixed. */
void fm_environ_put(struct fm_environ *env, const char *name, const char *value);
/* Our own value, or fallback; neither: left out. */
void fm_environ_put_ours(struct fm_environ *env, const char *name, const char *fallback);
/* PATH, LANG and TZ as ours are. */
void fm_environ_put_common(struct fm_environ *env);
/* For _cleanup_. */
void fm_environ_done(struct fm_environ *env);

#endif
