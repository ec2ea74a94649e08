/* options.h - settings as a table: one row gives the parser, `config check`, `config show` and the
 * manual. A daemon writes its rows in options.def and makes a table of them. */
#ifndef FM_BASE_OPTIONS_H
#define FM_BASE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/err.h"

enum fm_opt_type {
	FM_OPT_TEXT,	 /* char[size]; min/max are lengths */
	FM_OPT_NAME,	 /* char[size], fm_is_name() */
	FM_OPT_NAMES,	 /* char[size], names separated by white space; min/max are counts */
	FM_OPT_PATH,	 /* char[size], absolute */
	FM_OPT_NUMBER,	 /* long long */
	FM_OPT_DURATION, /* long long, ms; min/max in ms; written "10s" */
	FM_OPT_BOOL,	 /* bool; yes no on off true false */
	FM_OPT_CHOICE,	 /* char[size], one of `choices` */
	FM_OPT_ADDRESS,	 /* char[size], host:port or [v6]:port, several separated by white space */
};

struct fm_opt {
	const char *section, *key;
	enum fm_opt_type type;
	size_t offset, size;  /* of the field in the settings struct */
	const char *fallback; /* default as written; NULL: must be set */
	long long min, max;
	const char *choices; /* "a|b|c" for CHOICE */
	bool reloadable;
	bool secret;	  /* `config show` prints *** */
	const char *help; /* one or two sentences; is the manual */
};

#define FM_OPTS_MAX 96

/* Where each value came from; same index as the table. */
struct fm_opt_origins {
	int line[FM_OPTS_MAX]; /* 0: default */
};

/* Fills *settings with defaults, then from the INI file at path. All faults are found, not only the
 * first: each goes to `say` (may be NULL) as "file:line: text (did you mean ...?)", and the return
 * is -1 with the first in err. Unknown sections and keys are faults. table ends with section NULL. */
int fm_options_read(const struct fm_opt *table, void *settings, const char *path,
		    struct fm_opt_origins *origins, void (*say)(void *arg, const char *line),
		    void *arg, struct fm_err *err);

/* The value of one row as it would be written; secrets as ***. Returns dst. */
char *fm_option_value(const struct fm_opt *opt, const void *settings, char *dst, size_t size);

/* The table as scdoc for the manual's OPTIONS section. */
void fm_options_document(const struct fm_opt *table, FILE *out);

#endif
