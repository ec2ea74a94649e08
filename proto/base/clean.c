/* clean.c - texts that come from elsewhere, made fit to be shown. */
#include "base/clean.h"

#include <stddef.h>

/* Bytes of the valid, printable UTF-8 character at s; 0: it is none. */
static size_t
character_bytes(const unsigned char *s)
{
	if (s[0] >= 0x20 && s[0] < 0x7f) return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf && (s[1] & 0xc0) == 0x80) {
		return s[0] == 0xc2 && s[1] < 0xa0 ? 0 : 2; /* U+0080..U+009F are controls */
	}
	if ((s[0] & 0xf0) == 0xe0 && (s[1] & 0xc0) == 0x80 && (s[2] & 0xc0) == 0x80) {
		if (s[0] == 0xe0 && s[1] < 0xa0) return 0;
		if (s[0] == 0xed && s[1] > 0x9f) return 0;
		return 3;
	}
	if (s[0] >= 0xf0 && s[0] <= 0xf4 && (s[1] & 0xc0) == 0x80 && (s[2] & 0xc0) == 0x80 &&
	    (s[3] & 0xc0) == 0x80) {
		if (s[0] == 0xf0 && s[1] < 0x90) return 0;
		if (s[0] == 0xf4 && s[1] > 0x8f) return 0;
		return 4;
	}
	return 0;
}

void
fm_clean(char *text)
{
	unsigned char *s = (unsigned char *)text;

	while (*s) {
		size_t n = character_bytes(s);
		if (n == 0) *s = *s == '\n' || *s == '\t' || *s == '\r' ? ' ' : '?';
		s += n ? n : 1;
	}
}
