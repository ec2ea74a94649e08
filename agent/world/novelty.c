#include "agent/world/novelty.h"

#include <ctype.h>

#define FNV_BASIS UINT64_C(14695981039346656037)
#define FNV_PRIME UINT64_C(1099511628211)

static uint64_t
mix(uint64_t hash, uint64_t value)
{
	return ((hash ? hash : FNV_BASIS) ^ value) * FNV_PRIME;
}

static void
end_word(struct ag_novelty *n)
{
	if (n->word != 0 && !n->has_digit) n->line = mix(n->line, n->word);
	n->word = 0;
	n->has_digit = false;
}

static bool
end_line(struct ag_novelty *n)
{
	uint64_t line = n->line;

	n->line = 0;
	if (line == 0) return false;
	for (unsigned i = 0; i < AG_LINES_REMEMBERED; i++)
		if (n->seen[i] == line) return false;
	n->seen[n->next] = line;
	n->next = (n->next + 1) % AG_LINES_REMEMBERED;
	return true;
}

bool
ag_novelty_feed(struct ag_novelty *n, const char *text, size_t size)
{
	bool is_news = false;

	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)text[i];

		if (isalnum(c) || c == '_' || c == '-' || c >= 0x80) {
			n->word = mix(n->word, c);
			n->has_digit |= isdigit(c) != 0;
			continue;
		}
		end_word(n);
		if (c == '\n' && end_line(n)) is_news = true;
	}
	return is_news;
}
