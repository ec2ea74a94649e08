#include "base/version.h"

#include <string.h>

#include "base/text.h"

struct slice {
	const char *at;
	size_t len;
};

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_word(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
}

static bool
is_number(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!is_digit(s.at[i])) return false;
	return s.len > 0;
}

/* The next part of text up to one of the stops; *text moves behind it, the stop stays. */
static struct slice
cut_part(const char **text, const char *stops)
{
	struct slice part = { *text, strcspn(*text, stops) };

	*text += part.len;
	return part;
}

static const char *
skip_v(const char *version)
{
	if (!version) return "";
	return version[0] == 'v' ? version + 1 : version;
}

/* Of any length: a number is longer, or differs at the first digit. */
static int
compare_numbers(struct slice a, struct slice b)
{
	while (a.len > 1 && a.at[0] == '0') a.at++, a.len--;
	while (b.len > 1 && b.at[0] == '0') b.at++, b.len--;
	if (a.len != b.len) return a.len < b.len ? -1 : 1;
	return memcmp(a.at, b.at, a.len);
}

static int
compare_words(struct slice a, struct slice b)
{
	size_t shared = a.len < b.len ? a.len : b.len;
	int order = memcmp(a.at, b.at, shared);

	if (order) return order;
	if (a.len == b.len) return 0;
	return a.len < b.len ? -1 : 1;
}

static int
compare_identifiers(struct slice a, struct slice b)
{
	bool a_number = is_number(a), b_number = is_number(b);

	if (a_number && b_number) return compare_numbers(a, b);
	if (a_number != b_number) return a_number ? -1 : 1;
	return compare_words(a, b);
}

/* A pre-release is older than its release; more identifiers are newer than fewer. */
static int
compare_pre(const char *a, const char *b)
{
	if (*a != '-' || *b != '-') return (*a == '-' ? 0 : 1) - (*b == '-' ? 0 : 1);
	a++;
	b++;
	for (;;) {
		int order = compare_identifiers(cut_part(&a, ".+"), cut_part(&b, ".+"));

		if (order) return order;
		if (*a != '.' || *b != '.') return (*a == '.') - (*b == '.');
		a++;
		b++;
	}
}

bool
fm_version_is_valid(const char *version)
{
	const char *at = skip_v(version);

	for (int i = 0; i < 3; i++) {
		if (!is_number(cut_part(&at, ".-+"))) return false;
		if (i < 2 && *at++ != '.') return false;
	}
	if (*at == '.') return false;
	if (*at == '-') {
		do {
			struct slice word;

			at++;
			word = cut_part(&at, ".+");
			if (word.len == 0) return false;
			for (size_t i = 0; i < word.len; i++)
				if (!is_word(word.at[i])) return false;
		} while (*at == '.');
	}
	return *at == '\0' || *at == '+';
}

bool
fm_version_compare(const char *a, const char *b, int *ret)
{
	*ret = 0;
	if (fm_is_equal(a, b)) return true;
	if (!fm_version_is_valid(a) || !fm_version_is_valid(b)) return false;
	a = skip_v(a);
	b = skip_v(b);
	for (int i = 0; i < 3; i++) {
		*ret = compare_numbers(cut_part(&a, ".-+"), cut_part(&b, ".-+"));
		if (*ret) return true;
		if (i < 2) a++, b++;
	}
	*ret = compare_pre(a, b);
	return true;
}
