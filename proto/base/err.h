/* err.h - an error as a value on the caller's stack: reporting one never allocates. */
#ifndef FM_BASE_ERR_H
#define FM_BASE_ERR_H

/* What code may branch on; the text is for people. */
#define FM_ERR_KINDS(X)                                                   \
	X(NONE, "none")                                                   \
	X(CONFIG, "config")   /* a setting or an argument is wrong */     \
	X(IO, "io")	      /* the system refused */                    \
	X(PEER, "peer")	      /* the other side broke the protocol */     \
	X(REFUSED, "refused") /* not allowed now, or not for this role */ \
	X(TIMEOUT, "timeout")                                             \
	X(STALE, "stale") /* a lower epoch */                             \
	X(LIMIT, "limit") /* larger than we accept */                     \
	X(DATABASE, "database")

enum fm_err_kind {
#define X(name, text) FM_ERR_##name,
	FM_ERR_KINDS(X)
#undef X
};

struct fm_err {
	enum fm_err_kind kind;
	int sys; /* errno, or 0 */
	char text[480];
};

/* Fills *err ("text: strerror(sys)" when sys is not 0) and returns -1. err may be NULL. */
int fm_fail(struct fm_err *err, enum fm_err_kind kind, int sys, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Puts "context: " before the text of an error that travels up; returns -1. err may be NULL. */
int fm_wrap(struct fm_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

const char *fm_err_kind_name(enum fm_err_kind kind);

#endif
