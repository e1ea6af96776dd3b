/* dialect.h - from an embedded SQL text to one that this database takes.
 *
 * In the texts a table or view is written {send} (prefix and quotes are put around it), an index
 * {ix:send_queue}, a list of values {ids}. What stands inside '...' is left alone. Pure
 * functions, any thread; the caller owns the buffers. */
#ifndef MTRELAY_DIALECT_H
#define MTRELAY_DIALECT_H
#include <stdbool.h>
#include <stddef.h>
#include "agent/buf.h"
#include "agent/err.h"

#define DIALECT_PREFIX_MAX 16

/* "mysql" and so on are dialects that the schema folder has. */
bool dialect_is_known(const char *dialect);
/* Adds text to out with all names written out; {ids} becomes list_n marks (RC_BUG when list_n is
 * 0 and the text has a list). */
enum rc dialect_expand(const char *dialect, const char *prefix, const char *text, size_t list_n,
		       struct buf *out, struct err *e) MUST_USE;
/* The next statement of a script, without its ';' and the blanks around it: *p moves behind it,
 * NULL *at the end. */
const char *dialect_next_statement(const char **p, size_t *n);

#endif
