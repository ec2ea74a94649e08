/* words.c - a command line as words. */
#include "base/words.h"

#include <stdbool.h>
#include <string.h>

int
fm_words_split(struct fm_words *words, const char *command, struct fm_err *err)
{
	char *to = words->text, quote = '\0';
	bool in_word = false;

	*words = (struct fm_words){ .count = 0 };
	if (strlen(command) >= sizeof(words->text))
		return fm_fail(err, FM_ERR_CONFIG, 0, "it is too long");
	for (const char *at = command; *at; at++) {
		bool is_space = !quote && strchr(" \t", *at);

		if (is_space && in_word) *to++ = '\0';
		if (is_space) in_word = false;
		if (is_space) continue;
		if (!in_word && words->count == FM_WORDS_MAX)
			return fm_fail(err, FM_ERR_CONFIG, 0, "it has more than %d words",
				       FM_WORDS_MAX);
		if (!in_word) words->list[words->count++] = to;
		in_word = true;
		if (quote ? *at == quote : strchr("'\"", *at) != NULL)
			quote = quote ? '\0' : *at;
		else
			*to++ = *at;
	}
	*to = '\0';
	words->list[words->count] = NULL;
	if (quote) return fm_fail(err, FM_ERR_CONFIG, 0, "a quote %c has no end", quote);
	if (!words->list[0] || words->list[0][0] != '/')
		return fm_fail(err, FM_ERR_CONFIG, 0,
			       "its first word must be a program with its whole path, as in "
			       "/usr/local/bin/announce or /bin/sh -c '...'");
	return 0;
}
