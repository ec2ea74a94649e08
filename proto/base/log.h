/* log.h - one line an event on standard error: "<level>what k=v ...". journald keeps the level.
 * Logged once, where an error stops travelling; library code is silent. */
#ifndef FM_BASE_LOG_H
#define FM_BASE_LOG_H

enum fm_log_level {
	FM_LOG_ERROR = 3,
	FM_LOG_WARNING = 4,
	FM_LOG_NOTICE = 5,
	FM_LOG_INFO = 6,
	FM_LOG_DEBUG = 7
};

/* what: a few words, the same for the same event. fmt: "key=%s key=%d" pairs, may be NULL.
 * Control characters in the result are shown as \xNN, so that a peer cannot forge a line. */
void fm_log(enum fm_log_level level, const char *what, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Lines above this level are dropped; default INFO. */
void fm_log_set_level(enum fm_log_level level);
/* "error" ... "debug" to a level, -1 for another word. */
int fm_log_level_from(const char *word);
/* Name before each line; default none. Kept by reference. */
void fm_log_set_program(const char *name);

#endif
