/* errmap.h - what a database's error numbers mean, and the one sentence made of its message.
 *
 * Pure functions over the tables errors_*.def; any thread; nothing is freed. The library's message
 * is cut to its first line and cleaned before it is kept: what it quotes from the row and every
 * long number is masked, since an error must not carry a customer's text or number into a log. */
#ifndef MTRELAY_ERRMAP_H
#define MTRELAY_ERRMAP_H
#include <stdbool.h>
#include <stddef.h>
#include "agent/err.h"

struct db_fact {
	enum rc rc;
	bool has_value; /* the message quotes something of the row */
	const char *hint;
};

/* Never NULL: what is not listed goes by its SQLSTATE ("" when unknown) and at last is CONFIG. */
const struct db_fact *db_fact_mysql(int native, const char *sqlstate);
/* Takes primary and extended codes. */
const struct db_fact *db_fact_sqlite(int native);
/* NULL when no prefix fits, as for HY000. */
const struct db_fact *db_fact_sqlstate(const char *sqlstate);
/* What an unknown refusal is: CONFIG, no hint. */
const struct db_fact *db_fact_unknown(void);

/* Fills e with "what: message; hint" and returns rc, which may differ from the fact's own class. */
enum rc db_err(struct err *e, enum rc rc, const struct db_fact *f, int native, const char *sqlstate,
	       const char *where, const char *what, const char *message);
/* The masking alone. Writes at most size bytes with the NUL. */
void db_clean_message(char *out, size_t size, const char *message, bool has_value);

#endif
