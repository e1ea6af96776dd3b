/* batch.h - the memory of messages that were claimed together.
 *
 * A lane fills a batch and hands it over with its messages; from then on it belongs to the loop
 * thread. Nothing in it is freed alone: it goes with its last message. One owner at a time, so
 * there are no locks. */
#ifndef MTRELAY_BATCH_H
#define MTRELAY_BATCH_H
#include <stddef.h>
#include "agent/message.h"

struct batch;

/* cap_bytes bounds what batch_message() and batch_text() hand out in sum. NULL without memory. */
struct batch *batch_new(size_t cap_bytes);
/* A zeroed message (AUTO, nowhere) that keeps the batch alive; NULL at the cap or without
 * memory. */
struct message *batch_message(struct batch *b);
/* A copy of n bytes with a NUL behind them, p may be NULL when n is 0; NULL at the cap or
 * without memory. */
char *batch_text(struct batch *b, const char *p, size_t n);
/* n bytes, not counted against the cap: for what is made of a row and bounded by its own limit.
 * NULL without memory. */
void *batch_derive(struct batch *b, size_t n);
/* Ends m, which nobody may have any more (AT_NONE), and frees the batch with the last one. NULL
 * is allowed. */
void batch_let_go(struct message *m);
/* Frees b with all its messages: for a claim that failed or found nothing, before anything was
 * handed over. NULL is allowed. */
void batch_free(struct batch *b);
/* Bytes that were handed out of b so far, derived ones not counted. */
size_t batch_bytes(const struct batch *b);
/* Loop thread: counts those bytes as held until b is freed; for a batch that is full. */
void batch_hold(struct batch *b);
size_t batch_held_bytes(void);
/* Messages that were not let go yet. */
size_t batch_count(const struct batch *b);

#endif
