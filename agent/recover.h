/* recover.h - what a start does about the attempts of the last one, before anything new is claimed.
 *
 * Blocking, on the main thread, with a store of its own. Answers in the journal are settled;
 * attempts with a mark and without an answer become UNKNOWN; rows of ours in SENDING go back to
 * READY only where the journal, unbroken and of this boot, proves that no byte of them can have
 * left. Running it twice does no harm. */
#ifndef MTRELAY_RECOVER_H
#define MTRELAY_RECOVER_H
#include "agent/conf.h"
#include "agent/journal.h"
#include "agent/store.h"

struct recovered {
	int64_t answered, unknown, released, touched;
};

enum rc recover_run(struct store *st, struct journal *j, const struct journal_info *info,
		    const struct conf *c, struct recovered *out, struct err *e) MUST_USE;
/* Own rows in SENDING that nobody in memory knows: is_free[i] tells that no byte of rows[i] can
 * have left, by the journal: unbroken since the incarnation that claimed the row, no mark of this
 * attempt in any segment (a settle that the database has lost since left one), no older attempt
 * open. unbroken_since INT64_MAX: nothing can be proven. */
enum rc recover_prove(const struct journal *j, int64_t unbroken_since, const struct store_row *rows,
		      size_t n, bool *is_free, struct err *e) MUST_USE;
/* The database lost commits: rows that the journal knows better (a SUBMIT of a later leg or try
 * than the row has, or of its try while the row is another agent's) go to UNKNOWN. marks is what
 * journal_scan() gave. RC_AGAIN: a row moved meanwhile, call again. Any thread, with its own store.
 */
enum rc recover_lost_commits(struct store *st, const struct journal_mark *marks, size_t n,
			     int64_t delay_ms, int64_t *touched, struct err *e) MUST_USE;

#endif
