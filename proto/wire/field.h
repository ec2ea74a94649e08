/* field.h - one field of a message: texts checked on their way in, made sendable on their way out.
 * Internal to wire/. */
#ifndef FM_WIRE_FIELD_H
#define FM_WIRE_FIELD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* Into a field: -1 when it is longer than dst, or not UTF-8. */
int fm_field_text(char *dst, size_t size, const char *src, const char *what, struct fm_err *err);
/* The same for a name or a version; may be empty. */
int fm_field_name(char *dst, size_t size, const char *src, const char *what, struct fm_err *err);
/* An enum's value must be one of count. */
int fm_field_enum(int value, int count, const char *what, struct fm_err *err);
/* Names into an array of `most` fields of `size` bytes each; none of them empty. */
struct fm_field_list {
	char *fields;
	size_t size, most;
};
int fm_field_names(struct fm_field_list dst, char **src, size_t count, const char *what,
		   struct fm_err *err);

/* Out of a field: what is not UTF-8 (an application may print anything) becomes '?'. Returns s. */
char *fm_field_clean(char *s);

#endif
