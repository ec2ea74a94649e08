/* json.h - finds one value in a JSON text from elsewhere, without building anything. Hostile bytes
 * end in "not found". */
#ifndef AG_WORLD_JSON_H
#define AG_WORLD_JSON_H

#include <stdbool.h>
#include <stddef.h>

/* path: keys of nested objects, "error.command.name". The value, a string (unescaped, cut to
 * size, control characters as blanks), number or literal, goes to dst as text. false: no such
 * value, it is an object or array, or the text is broken before it. */
bool ag_json_find(const char *text, size_t len, const char *path, char *dst, size_t size);

#endif
