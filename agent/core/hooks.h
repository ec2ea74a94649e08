/* hooks.h - the moments at which an operator's own commands are run on a node. Pure.
 *
 * Promises:
 *  - a hook runs only at its moment, one at a time, and beside no other work on the disk;
 *  - at least once: one that was under way when the agent ended is run again, and so is one that ran before
 *    something that has not been begun. What ended well and was for something that has been done is not;
 *  - one that failed is run again when its step is: with the next ask. Outside a run those of a start
 *    are, in addition, tried again by themselves. */
#ifndef AG_CORE_HOOKS_H
#define AG_CORE_HOOKS_H

/* X(name, text as it is configured, shown, and given to the command) */
#define AG_HOOKS(X)                                                                \
	X(BEFORE_FETCH, "before_fetch")                                            \
	X(AFTER_FETCH, "after_fetch")	/* nothing has been told of the release */ \
	X(BEFORE_STOP, "before_stop")	/* it still serves */                      \
	X(AFTER_STOP, "after_stop")	/* no process is left */                   \
	X(BEFORE_START, "before_start") /* then follow the look and the start */   \
	X(AFTER_START, "after_start")	/* its process is there */                 \
	X(BEFORE_READY, "before_ready") /* it is well; nobody has been told */     \
	X(AFTER_READY, "after_ready")	/* told; nothing waits for the command */

#define X(name, text) AG_HOOK_##name,
enum ag_hook { AG_HOOK_NONE, AG_HOOKS(X) AG_HOOK_COUNT };
#undef X

#define AG_HOOK_BIT(hook) (1u << (hook))

/* "" for AG_HOOK_NONE. */
const char *ag_hook_name(enum ag_hook hook);
/* AG_HOOK_NONE: no such hook. */
enum ag_hook ag_hook_find(const char *name);

#endif
