/* check.h - assertions about our own faults. They stay in release builds: a daemon that stops is
 * restarted and resumes from its journal; one that goes on with broken state does harm.
 * Never for what a peer, a file or an operator can cause. */
#ifndef FM_BASE_CHECK_H
#define FM_BASE_CHECK_H

_Noreturn void fm_check_failed(const char *cond, const char *file, int line, const char *func);

#define CHECK(cond)                                                                \
	do {                                                                       \
		if (!(cond)) fm_check_failed(#cond, __FILE__, __LINE__, __func__); \
	} while (0)

#endif
