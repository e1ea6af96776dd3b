/* buf.h - a growing byte buffer with a maximum.
 *
 * The first failure sticks: later additions do nothing and buf_rc() tells it, so a text of many
 * pieces is checked once. RC_DATA: the maximum would be passed; RC_NOMEM: no memory. A failed
 * addition adds nothing. b->p is NULL or holds n bytes and a NUL behind them. Belongs to one
 * thread at a time; the owner calls buf_free(). */
#ifndef MTRELAY_BUF_H
#define MTRELAY_BUF_H
#include <stddef.h>
#include "agent/err.h"

struct buf {
	char *p;
	size_t n;
	size_t cap;
	size_t max;
	enum rc rc;
};

/* Allocates nothing. max counts content without the NUL. */
void buf_init(struct buf *b, size_t max);
enum rc buf_add(struct buf *b, const void *p, size_t n);
enum rc buf_addz(struct buf *b, const char *s);
enum rc buf_addc(struct buf *b, char c);
enum rc buf_addf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
enum rc buf_rc(const struct buf *b);
/* The content as text, "" when empty. Valid until the next change. */
const char *buf_text(const struct buf *b);
/* Removes the first n bytes (all when n is larger). */
void buf_drop(struct buf *b, size_t n);
/* Forgets content and failure, keeps the memory. */
void buf_clear(struct buf *b);
/* Moves the content out, to be freed by the caller; n may be NULL. NULL when a failure stuck or
 * there is no memory. */
char *buf_take(struct buf *b, size_t *n);
void buf_free(struct buf *b);
/* The same after overwriting the content: for secrets. */
void buf_wipe(struct buf *b);

#endif
