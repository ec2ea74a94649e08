/* table.c - tables by libsmartcols. */
#include "coordinator/cli/table.h"

#include <libsmartcols/libsmartcols.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/cleanup.h"

struct co_table {
	struct libscols_table *scols;
	const struct co_look *look;
	size_t columns;
};

static int
flags_of(const struct co_column *column)
{
	switch (column->how) {
	case CO_LEFT:
		return 0;
	case CO_RIGHT:
		return SCOLS_FL_RIGHT;
	case CO_CUT:
		return SCOLS_FL_TRUNC;
	}
	return 0;
}

struct co_table *
co_table_new(const struct co_look *look, const struct co_column *columns)
{
	struct co_table *table = fm_new(struct co_table, 1);

	table->look = look;
	table->scols = scols_new_table();
	CHECK(table->scols);
	(void)scols_table_enable_colors(table->scols, look->color);
	(void)scols_table_set_termforce(table->scols, look->columns ? SCOLS_TERMFORCE_ALWAYS
								    : SCOLS_TERMFORCE_NEVER);
	if (look->columns) (void)scols_table_set_termwidth(table->scols, look->columns);
	for (; columns->title; columns++, table->columns++) {
		CHECK(scols_table_new_column(table->scols, columns->title, 0, flags_of(columns)));
	}
	return table;
}

void
co_table_add(struct co_table *table, const char *const *cells, int colored, enum co_color color)
{
	struct libscols_line *line = scols_table_new_line(table->scols, NULL);

	CHECK(line);
	for (size_t i = 0; i < table->columns; i++) {
		CHECK(scols_line_set_data(line, i, cells[i]) == 0);
	}
	if (colored >= 0 && color != CO_PLAIN && table->look->color) {
		(void)scols_cell_set_color(scols_line_get_cell(line, (size_t)colored),
					   co_color_begin(table->look, color));
	}
}

void
co_table_print(const struct co_table *table, FILE *out)
{
	_cleanup_free_ char *text = NULL;

	CHECK(scols_print_table_to_string(table->scols, &text) == 0);
	/* Without the blanks that an empty last column leaves. */
	for (const char *at = text; at && *at;) {
		size_t n = strcspn(at, "\n"), kept = n;
		while (kept > 0 && at[kept - 1] == ' ') kept--;
		fprintf(out, "%.*s\n", (int)kept, at);
		at += n + (at[n] == '\n');
	}
}

void
co_table_freep(struct co_table **table)
{
	if (!*table) return;
	scols_unref_table((*table)->scols);
	free(*table);
	*table = NULL;
}
