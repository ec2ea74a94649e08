#include "wire/field.h"

#include <stdint.h>

#include "base/text.h"

/* Bytes of the well-formed UTF-8 sequence at s, 0 when there is none (also at the end). */
static size_t
sequence_at(const char *s)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned char lead = (unsigned char)*s;
	size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
	uint32_t code;

	if (lead < 0x80) return lead ? 1 : 0;
	if (lead < 0xc0 || lead > 0xf4) return 0;
	code = lead & (0xffu >> (size + 1));
	for (size_t i = 1; i < size; i++) {
		if (((unsigned char)s[i] & 0xc0) != 0x80) return 0;
		code = code << 6 | ((unsigned char)s[i] & 0x3f);
	}
	if (code < least[size] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return 0;
	return size;
}

int
fm_field_text(char *dst, size_t size, const char *src, const char *what, struct fm_err *err)
{
	const char *s = src;

	for (size_t n; *s && (n = sequence_at(s)) > 0;) s += n;
	if (*s) return fm_fail(err, FM_ERR_PEER, 0, "%s is not UTF-8", what);
	if (!fm_copy(dst, size, src))
		return fm_fail(err, FM_ERR_LIMIT, 0, "%s is longer than %zu bytes", what, size - 1);
	return 0;
}

int
fm_field_name(char *dst, size_t size, const char *src, const char *what, struct fm_err *err)
{
	if (*src && !fm_is_name(src, size))
		return fm_fail(err, FM_ERR_PEER, 0, "%s is not a name", what);
	(void)fm_copy(dst, size, src);
	return 0;
}

int
fm_field_enum(int value, int count, const char *what, struct fm_err *err)
{
	if (value >= 0 && value < count) return 0;
	return fm_fail(err, FM_ERR_PEER, 0, "%s has no value %d", what, value);
}

int
fm_field_names(struct fm_field_list dst, char **src, size_t count, const char *what,
	       struct fm_err *err)
{
	if (count > dst.most)
		return fm_fail(err, FM_ERR_LIMIT, 0, "%zu %s, at most %zu", count, what, dst.most);
	for (size_t i = 0; i < count; i++) {
		if (!*src[i]) return fm_fail(err, FM_ERR_PEER, 0, "an empty name in %s", what);
		if (fm_field_name(dst.fields + i * dst.size, dst.size, src[i], what, err) < 0)
			return -1;
	}
	return 0;
}

char *
fm_field_clean(char *s)
{
	for (char *at = s; *at;) {
		size_t n = sequence_at(at);

		if (n == 0) *at = '?';
		at += n ? n : 1;
	}
	return s;
}
