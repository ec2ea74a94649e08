/* options_value.h - one value of the option table: from text and to text. Internal to base/. */
#ifndef FM_BASE_OPTIONS_VALUE_H
#define FM_BASE_OPTIONS_VALUE_H

#include <stdbool.h>

#include "base/options.h"

/* Reads value into the row's field of settings. false: why says what is wrong, as the end of a
 * sentence that begins with the value. */
bool fm_option_set(const struct fm_opt *opt, void *settings, const char *value, char *why,
		   size_t why_size);

/* What may be written for this row, for people: "a number, 1 to 10". Returns dst. */
char *fm_option_range(const struct fm_opt *opt, char *dst, size_t size);

#endif
