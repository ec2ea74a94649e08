#include "base/text.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"

/* Bytes of the UTF-8 sequence that begins with c; 1 for anything that begins none. */
static size_t
sequence_size(unsigned char c)
{
	if (c >= 0xf0) return 4;
	if (c >= 0xe0) return 3;
	if (c >= 0xc0) return 2;
	return 1;
}

/* Takes a sequence off the end that was cut in the middle. */
static void
trim_partial(char *s)
{
	size_t size = strlen(s);
	size_t lead = size;

	while (lead > 0 && size - lead < 3 && ((unsigned char)s[lead - 1] & 0xc0) == 0x80) lead--;
	if (lead == 0) return;
	lead--;
	if (sequence_size((unsigned char)s[lead]) > size - lead) s[lead] = '\0';
}

bool
fm_copy(char *dst, size_t size, const char *src)
{
	size_t want = src ? strlen(src) : 0;
	bool fits = want < size;

	CHECK(size > 0);
	if (!fits) want = size - 1;
	if (want) memmove(dst, src, want);
	dst[want] = '\0';
	if (!fits) trim_partial(dst);
	return fits;
}

bool
fm_format_args(char *dst, size_t size, const char *fmt, va_list args)
{
	int n;

	CHECK(size > 0);
	n = vsnprintf(dst, size, fmt, args);
	CHECK(n >= 0);
	if ((size_t)n < size) return true;
	trim_partial(dst);
	return false;
}

bool
fm_format(char *dst, size_t size, const char *fmt, ...)
{
	va_list args;
	bool fits;

	va_start(args, fmt);
	fits = fm_format_args(dst, size, fmt, args);
	va_end(args);
	return fits;
}

bool
fm_append(char *dst, size_t size, const char *fmt, ...)
{
	size_t used = strnlen(dst, size);
	va_list args;
	bool fits;

	CHECK(used < size);
	va_start(args, fmt);
	fits = fm_format_args(dst + used, size - used, fmt, args);
	va_end(args);
	return fits;
}

bool
fm_is_equal(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

bool
fm_is_empty(const char *s)
{
	return !s || !*s;
}

/* isalnum() asks the locale; a name means the same everywhere. */
static bool
is_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool
fm_is_name(const char *s, size_t max)
{
	size_t n;

	if (fm_is_empty(s) || !is_plain(s[0])) return false;
	for (n = 0; s[n]; n++) {
		if (n + 1 >= max) return false;
		if (!is_plain(s[n]) && s[n] != '.' && s[n] != '_' && s[n] != '-') return false;
		if (s[n] == '.' && s[n + 1] == '.') return false;
	}
	return true;
}

bool
fm_is_site(const char *s, size_t max)
{
	static const char host[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				   ".-_:[]";
	size_t n = 0;

	if (fm_is_empty(s) || strlen(s) >= max) return false;
	if (strncmp(s, "http://", 7) != 0 && strncmp(s, "https://", 8) != 0) return false;
	s = strstr(s, "//") + 2;
	n = strspn(s, host);
	if (n == 0 || (s[n] != '\0' && s[n] != '/')) return false;
	for (s += n; *s != '\0'; s++)
		if (*s != '/' && *s != '~' && strchr(host, *s) == NULL) return false;
	return true;
}

bool
fm_parse_u64(const char *s, unsigned long long min, unsigned long long max, unsigned long long *ret)
{
	unsigned long long n = 0;

	if (fm_is_empty(s)) return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9') return false;
		if (__builtin_mul_overflow(n, 10ULL, &n)) return false;
		if (__builtin_add_overflow(n, (unsigned long long)(*s - '0'), &n)) return false;
	}
	if (n < min || n > max) return false;
	*ret = n;
	return true;
}

/* Milliseconds of a unit at *s, which moves behind it; 0 for no unit. */
static long long
take_unit(const char **s)
{
	static const struct {
		const char *name;
		long long ms;
	} units[] = {
		{ "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 }
	};

	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		size_t n = strlen(units[i].name);

		if (strncmp(*s, units[i].name, n) != 0) continue;
		*s += n;
		return units[i].ms;
	}
	return 0;
}

bool
fm_parse_duration(const char *s, long long *ret_ms)
{
	long long total = 0;
	bool is_bare = true;

	if (fm_is_empty(s)) return false;
	while (*s) {
		long long n = 0, unit;

		if (*s < '0' || *s > '9') return false;
		for (; *s >= '0' && *s <= '9'; s++)
			if (__builtin_mul_overflow(n, 10LL, &n) ||
			    __builtin_add_overflow(n, (long long)(*s - '0'), &n))
				return false;
		unit = take_unit(&s);
		if (!unit) {
			if (*s || !is_bare) return false;
			unit = 1000;
		}
		is_bare = false;
		if (__builtin_mul_overflow(n, unit, &n)) return false;
		if (__builtin_add_overflow(total, n, &total)) return false;
	}
	*ret_ms = total;
	return true;
}

char *
fm_format_duration(char *dst, size_t size, long long ms)
{
	const char *sign = ms < 0 ? "-" : "";
	unsigned long long n = ms < 0 ? 0ULL - (unsigned long long)ms : (unsigned long long)ms;
	unsigned long long seconds = (n + 500) / 1000;

	if (n < 1000)
		(void)fm_format(dst, size, "%s%llu ms", sign, n);
	else if (n < 59950)
		(void)fm_format(dst, size, "%s%llu.%llu s", sign, (n + 50) / 1000,
				(n + 50) % 1000 / 100);
	else if (seconds < 3600)
		(void)fm_format(dst, size, "%s%llu min %02llu s", sign, seconds / 60, seconds % 60);
	else
		(void)fm_format(dst, size, "%s%llu h %02llu min", sign, seconds / 3600,
				seconds % 3600 / 60);
	return dst;
}

#define NEAREST_MAX 48

static int
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

/* Levenshtein's distance, letters of either case the same; words longer than we compare: far. */
static size_t
distance(const char *a, const char *b)
{
	size_t row[NEAREST_MAX + 1];
	size_t a_size = strlen(a), b_size = strlen(b);

	if (a_size > NEAREST_MAX || b_size > NEAREST_MAX) return NEAREST_MAX;
	for (size_t j = 0; j <= b_size; j++) row[j] = j;
	for (size_t i = 1; i <= a_size; i++) {
		size_t corner = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b_size; j++) {
			size_t change = corner + (lower(a[i - 1]) != lower(b[j - 1]));
			size_t step = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;

			corner = row[j];
			row[j] = change < step ? change : step;
		}
	}
	return row[b_size];
}

const char *
fm_nearest(const char *word, const char *const *names)
{
	const char *best = NULL;
	size_t far = strlen(word) / 3 + 1;

	if (fm_is_empty(word)) return NULL;
	for (; *names; names++) {
		size_t d = distance(word, *names);

		if (d > far || (best && d == far)) continue;
		best = *names;
		far = d;
	}
	return best;
}
