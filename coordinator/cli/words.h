/* words.h - small texts of the command line: times, colours, the room that a text takes. Pure. */
#ifndef CO_CLI_WORDS_H
#define CO_CLI_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How and where a text will be seen. Renderers take it instead of asking the terminal. */
struct co_look {
	bool color;
	unsigned columns, rows; /* 0: not a terminal, lines may be of any length */
	int64_t now_ms;		/* wall clock */
};

enum co_color { CO_PLAIN, CO_GOOD, CO_BUSY, CO_BAD, CO_DIM, CO_STRONG };

/* The escape sequence that begins a colour, and the one that ends it; "" without colours. */
const char *co_color_begin(const struct co_look *look, enum co_color color);
const char *co_color_end(const struct co_look *look, enum co_color color);
/* Colour of the state of a step, a run, an application, a gate or a finding, by its word. */
enum co_color co_color_of(const char *state);

/* Unix milliseconds as local time: "12:03:11", "2026-11-22 12:03:11"; 0 gives "". Return dst. */
char *co_clock(char *dst, size_t size, int64_t ms);
char *co_date(char *dst, size_t size, int64_t ms);
/* A duration, or "" for 0 and less. Returns dst. */
char *co_took(char *dst, size_t size, int64_t ms);

/* The columns that a text takes on a terminal, escape sequences left out. */
unsigned co_width(const char *text);
/* Copies at most so many columns of text; what was cut ends in "~". Returns the columns taken. */
unsigned co_clip(char *dst, size_t size, const char *text, unsigned columns);

#endif
