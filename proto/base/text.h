/* text.h - bounded strings: copying and building that cannot overrun and says when it cut. */
#ifndef FM_BASE_TEXT_H
#define FM_BASE_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* Copies src (NULL is "") into dst of size bytes, always terminated, never splitting an UTF-8
 * sequence. Returns false when it had to cut. */
bool fm_copy(char *dst, size_t size, const char *src);
#define FM_COPY(dst, src) fm_copy((dst), sizeof(dst), (src))

/* snprintf with the same promise. */
bool fm_format(char *dst, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
#define FM_FORMAT(dst, ...) fm_format((dst), sizeof(dst), __VA_ARGS__)
bool fm_format_args(char *dst, size_t size, const char *fmt, va_list args)
	__attribute__((format(printf, 3, 0)));

/* Appends to a terminated string. Returns false when it had to cut. */
bool fm_append(char *dst, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
#define FM_APPEND(dst, ...) fm_append((dst), sizeof(dst), __VA_ARGS__)

bool fm_is_equal(const char *a, const char *b); /* NULL equals "" */
bool fm_is_empty(const char *s);

/* A name of a node, gate, release, restore point: [A-Za-z0-9][A-Za-z0-9._-]*, at most max - 1
 * bytes, never "..". Such a string is safe in a path, an SQL identifier (quoted) and a log. */
bool fm_is_name(const char *s, size_t max);

/* The address of a site: http:// or https://, a host, perhaps a port and a path, at most max - 1 bytes;
 * nothing in it that a shell, a terminal or a browser could take for something else. */
bool fm_is_site(const char *s, size_t max);

/* Whole string as a decimal number in [min, max]. */
bool fm_parse_u64(const char *s, unsigned long long min, unsigned long long max,
		  unsigned long long *ret);

/* Durations: "500ms", "10s", "5m", "1h30m"; a bare number means seconds. To milliseconds. */
bool fm_parse_duration(const char *s, long long *ret_ms);
/* "12.3 s", "4 min 02 s", "870 ms": as people read them. Returns dst. */
char *fm_format_duration(char *dst, size_t size, long long ms);

/* The nearest of names (NULL-terminated) by edit distance, or NULL when none is near. */
const char *fm_nearest(const char *word, const char *const *names);

#endif
