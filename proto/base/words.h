/* words.h - a command of the operator's, as it stands in a configuration file. */
#ifndef FM_BASE_WORDS_H
#define FM_BASE_WORDS_H

#include "base/err.h"

#define FM_WORDS_MAX 64 /* of one command */

/* A command as words. White space parts them; '...' and "..." hold together what is between them. No shell
 * reads it: nothing in it stands for anything else. */
struct fm_words {
	char text[1024];
	char *list[FM_WORDS_MAX + 1]; /* into text; ends with NULL */
	unsigned count;
};

/* -1: a quote without its end, too many words, or the first is no absolute path. */
int fm_words_split(struct fm_words *words, const char *command, struct fm_err *err);

#endif
