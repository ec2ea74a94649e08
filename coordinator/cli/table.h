/* table.h - tables by libsmartcols, with the look that we were told instead of the terminal's. */
#ifndef CO_CLI_TABLE_H
#define CO_CLI_TABLE_H

#include <stdio.h>

#include "coordinator/cli/words.h"

struct co_column {
	const char *title;
	enum { CO_LEFT, CO_RIGHT, CO_CUT } how; /* CO_CUT: what does not fit is cut here */
};

struct co_table;

/* At most so many columns may be described; the last title is followed by NULL. */
#define CO_COLUMNS_MAX 12

struct co_table *co_table_new(const struct co_look *look, const struct co_column *columns);
/* As many cells as columns. The line has a colour in the cell of this number; -1: in none. */
void co_table_add(struct co_table *table, const char *const *cells, int colored,
		  enum co_color color);
void co_table_print(const struct co_table *table, FILE *out);
void co_table_freep(struct co_table **table);

#endif
