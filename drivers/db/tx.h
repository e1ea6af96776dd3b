/* tx.h - what every database driver must refuse, and what a failure means by what was under way.
 *
 * Owned by a driver's session; the session's thread only; nothing to free. Here stand the rules of
 * db.h once: LOST becomes UNSURE where the other side may have committed, a transaction with a
 * failed statement cannot be committed, a lost session stays lost. */
#ifndef MTRELAY_TX_H
#define MTRELAY_TX_H
#include <stdbool.h>
#include "agent/err.h"

struct tx {
	bool open;   /* between begin() and commit() or rollback() */
	bool failed; /* a statement of it failed: only rollback() is left */
	bool lost;   /* the session is of no use any more */
};

enum tx_call { TX_READ, TX_WRITE, TX_COMMIT };

/* RC_OK when a statement, begin() or commit() may be sent now. */
enum rc tx_check_call(const struct tx *t, const char *where, struct err *e);
enum rc tx_check_begin(const struct tx *t, const char *where, struct err *e);
/* A refused commit() leaves the transaction to be rolled back. */
enum rc tx_check_commit(const struct tx *t, const char *where, struct err *e);

/* Takes what the library's error means by itself, updates t and returns what it means here. On
 * RC_AGAIN with t->open still set the driver must roll back before it returns. */
enum rc tx_failed(struct tx *t, enum tx_call call, enum rc rc);

#endif
