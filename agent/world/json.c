#include "agent/world/json.h"

#include <jansson.h>
#include <stdint.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

static void
drop(json_t **json)
{
	json_decref(*json);
}

/* For one line of a terminal or a log: whole characters, no control characters. */
static void
clean(char *dst, size_t size, const char *src, size_t len)
{
	size_t used = len < size ? len : size - 1;

	while (used > 0 && used < len && ((unsigned char)src[used] & 0xc0) == 0x80) used--;
	for (size_t i = 0; i < used; i++)
		dst[i] = (unsigned char)src[i] < 0x20 || src[i] == 0x7f ? ' ' : src[i];
	dst[used] = '\0';
}

static const json_t *
member(const json_t *object, const char *path, size_t len)
{
	char key[64];

	return fm_format(key, sizeof(key), "%.*s", (int)len, path) ? json_object_get(object, key)
								   : NULL;
}

bool
ag_json_find(const char *text, size_t len, const char *path, char *dst, size_t size)
{
	_cleanup_(drop) json_t *json = json_loadb(text, len, JSON_ALLOW_NUL, NULL);
	const json_t *value = json;

	dst[0] = '\0';
	for (; value && *path; path += *path == '.') {
		size_t key_len = strcspn(path, ".");

		value = member(value, path, key_len);
		path += key_len;
	}
	if (json_is_string(value))
		clean(dst, size, json_string_value(value), json_string_length(value));
	else if (json_is_integer(value))
		(void)fm_format(dst, size, "%jd", (intmax_t)json_integer_value(value));
	else if (json_is_boolean(value))
		(void)fm_copy(dst, size, json_is_true(value) ? "true" : "false");
	else
		return false;
	return true;
}
