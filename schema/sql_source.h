/* sql_source.h - the SQL texts that were embedded at build time.
 *
 * One row for each file schema/<dialect>/<name>.sql, sorted by dialect and name. Table names in
 * the texts are still written {send}, {result} and lists {ids}: whoever runs a text expands them
 * with checked and quoted identifiers. Constant data, any thread. */
#ifndef MTRELAY_SQL_SOURCE_H
#define MTRELAY_SQL_SOURCE_H
#include <stdbool.h>
#include <stddef.h>

struct sql_source {
	const char *dialect; /* "mysql" */
	const char *name;    /* "claim_mark": the file's name */
	const char *text;    /* without comments; one line, but scripts keep their lines */
	const char *cols;    /* see struct db_sql; "" when it returns no rows */
	bool is_write;
	const char *args;    /* the names in order, a blank between; lists ({ids}) included */
	unsigned nargs;      /* ? marks in text, lists not counted */
	bool is_script;      /* several statements that end in ';'; no args and no cols */
};

extern const struct sql_source sql_sources[];
extern const size_t sql_source_count;

/* NULL when that dialect has no such text. */
const struct sql_source *sql_source_find(const char *dialect, const char *name);

#endif
