/* exec.h - between a fork and an exec, for those who fork by themselves: what the child is rid of, and how the
 * parent learns that there was no exec. The pipe between them is of O_CLOEXEC, so that an exec closes it. */
#ifndef FM_LOOP_EXEC_H
#define FM_LOOP_EXEC_H

/* In the child. What we ignore or hold back is not its affair. Safe between fork and exec. */
void fm_exec_reset_signals(void);
/* In the child, after an exec that failed, or what was to come before it: tells errno, and ends. */
_Noreturn void fm_exec_failed(int fd);
/* In the parent: errno of what failed, or 0: the program runs. */
int fm_exec_wait(int fd);

#endif
