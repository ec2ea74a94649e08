#include "agent/world/json.h"

#include <string.h>

#define DEPTH_MAX 32

struct cursor {
	const char *at, *end;
};

static void
skip_space(struct cursor *c)
{
	while (c->at < c->end && strchr(" \t\r\n", *c->at) && *c->at) c->at++;
}

static bool
take(struct cursor *c, char want)
{
	skip_space(c);
	if (c->at == c->end || *c->at != want) return false;
	c->at++;
	return true;
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9') return c - '0';
	if (c >= 'a' && c <= 'f') return c - 'a' + 10;
	if (c >= 'A' && c <= 'F') return c - 'A' + 10;
	return -1;
}

struct sink {
	char *dst;
	size_t size, used;
};

static void
put_byte(struct sink *s, unsigned byte)
{
	if (s->used + 1 < s->size) s->dst[s->used++] = (char)byte;
}

/* Whole or not at all, so that no sequence is split. */
static void
put_code(struct sink *s, unsigned code)
{
	if (code < 0x20 || code == 0x7f) code = ' ';
	if (s->used + 4 >= s->size) {
		s->size = s->used + 1;
		return;
	}
	if (code < 0x80) {
		put_byte(s, code);
	} else if (code < 0x800) {
		put_byte(s, 0xc0 | code >> 6);
		put_byte(s, 0x80 | (code & 0x3f));
	} else {
		put_byte(s, 0xe0 | code >> 12);
		put_byte(s, 0x80 | (code >> 6 & 0x3f));
		put_byte(s, 0x80 | (code & 0x3f));
	}
}

/* Behind a backslash. Halves of surrogate pairs become '?': names and messages are for people. */
static bool
take_escape(struct cursor *c, struct sink *s)
{
	static const char plain[] = "\"\\/bfnrt", meant[] = "\"\\/ \f\n\r\t";
	const char *found;
	unsigned code = 0;

	if (c->at == c->end) return false;
	if (*c->at != 'u') {
		found = *c->at ? strchr(plain, *c->at) : NULL;
		if (!found) return false;
		c->at++;
		put_code(s, (unsigned char)meant[found - plain]);
		return true;
	}
	if (c->end - c->at < 5) return false;
	for (int i = 1; i <= 4; i++) {
		int value = hex_value(c->at[i]);

		if (value < 0) return false;
		code = code << 4 | (unsigned)value;
	}
	c->at += 5;
	put_code(s, code >= 0xd800 && code < 0xe000 ? '?' : code);
	return true;
}

/* Of a text that was cut in the middle of a character, the half goes. */
static void
end_text(struct sink *s)
{
	size_t at = s->used;

	if (s->used + 1 >= s->size) {
		while (at > 0 && ((unsigned char)s->dst[at - 1] & 0xc0) == 0x80) at--;
		if (at > 0 && (unsigned char)s->dst[at - 1] >= 0xc0) s->used = at - 1;
	}
	s->dst[s->used] = '\0';
}

static bool
take_string(struct cursor *c, char *dst, size_t size)
{
	struct sink s = { dst, size, 0 };

	if (!take(c, '"')) return false;
	while (c->at < c->end && *c->at != '"') {
		if (*c->at == '\\') {
			c->at++;
			if (!take_escape(c, &s)) return false;
		} else if ((unsigned char)*c->at < 0x20 || *c->at == 0x7f) {
			put_byte(&s, ' ');
			c->at++;
		} else {
			put_byte(&s, (unsigned char)*c->at++);
		}
	}
	end_text(&s);
	return take(c, '"');
}

/* Of a number, true, false or null: anything else ends it, and then the object. */
static bool
is_literal(char ch)
{
	return (ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
	       ch == '+' || ch == '-' || ch == '.';
}

static bool
take_literal(struct cursor *c, char *dst, size_t size)
{
	size_t used = 0;

	skip_space(c);
	while (c->at < c->end && is_literal(*c->at)) {
		if (used + 1 < size) dst[used++] = *c->at;
		c->at++;
	}
	dst[used] = '\0';
	return used > 0;
}

/* Without recursion: brackets are counted, strings are stepped over. */
static bool
skip_value(struct cursor *c)
{
	char unused[8];
	int depth = 0;

	do {
		skip_space(c);
		if (c->at == c->end) return false;
		if (*c->at == '"') {
			if (!take_string(c, unused, sizeof(unused))) return false;
		} else if (*c->at == '{' || *c->at == '[') {
			if (++depth > DEPTH_MAX) return false;
			c->at++;
		} else if (*c->at == '}' || *c->at == ']') {
			depth--;
			c->at++;
		} else if (*c->at == ',' || *c->at == ':') {
			c->at++;
		} else if (!take_literal(c, unused, sizeof(unused))) {
			return false;
		}
	} while (depth > 0);
	return depth == 0;
}

/* To the value of a key of the object that begins here. */
static bool
enter_key(struct cursor *c, const char *key, size_t key_len)
{
	char name[64];

	if (!take(c, '{')) return false;
	do {
		if (!take_string(c, name, sizeof(name)) || !take(c, ':')) return false;
		if (strlen(name) == key_len && memcmp(name, key, key_len) == 0) return true;
		if (!skip_value(c)) return false;
	} while (take(c, ','));
	return false;
}

bool
ag_json_find(const char *text, size_t len, const char *path, char *dst, size_t size)
{
	struct cursor c = { text, text + len };

	dst[0] = '\0';
	for (;;) {
		size_t key_len = strcspn(path, ".");

		if (!enter_key(&c, path, key_len)) return false;
		path += key_len;
		if (*path == '\0') break;
		path++;
	}
	skip_space(&c);
	if (c.at == c.end || *c.at == '{' || *c.at == '[') return false;
	return *c.at == '"' ? take_string(&c, dst, size) : take_literal(&c, dst, size);
}
