/* json.h - one value of a JSON text from elsewhere. Hostile bytes end in "not found". */
#ifndef AG_WORLD_JSON_H
#define AG_WORLD_JSON_H

#include <stdbool.h>
#include <stddef.h>

/* path: keys of nested objects, "error.command.name". The value, a string (cut to size between
 * two characters, control characters as blanks), a whole number or a boolean, goes to dst as text.
 * false: it is something else, there is none, or the text is not JSON from end to end. The caller bounds
 * len: what a hostile text makes us build may take a hundred times as much memory, for the time of
 * the call. */
bool ag_json_find(const char *text, size_t len, const char *path, char *dst, size_t size);

#endif
