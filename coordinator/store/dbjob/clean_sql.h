/* clean_sql.h - a statement as it may be shown: without a literal of it, without comments, in one line. */
#ifndef DB_CLEAN_SQL_H
#define DB_CLEAN_SQL_H

#include <stddef.h>

/* Writes at most size - 1 bytes and a zero to dst; what does not fit is left out, said by "...". Strings (also E'',
 * $tag$), numbers and what a cut statement leaves open become ?. Names stay, quoted ones too. */
void db_clean_sql(char *dst, size_t size, const char *sql);

#endif
