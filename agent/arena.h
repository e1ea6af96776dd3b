/* arena.h - a bump allocator with a cap: everything of one batch lives and dies together.
 *
 * NULL means that the cap would be passed or that there is no memory; what was given before stays
 * good. Nothing is freed one by one. Memory is aligned for any type and not cleared. Belongs to
 * one thread at a time. */
#ifndef MTRELAY_ARENA_H
#define MTRELAY_ARENA_H
#include <stddef.h>

struct arena;

/* NULL when there is no memory. cap_bytes counts what is handed out, rounded up to the
 * alignment. */
struct arena *arena_new(size_t cap_bytes);
void *arena_alloc(struct arena *a, size_t n);
/* n zeroed elements of the given size; NULL also when the product overflows. */
void *arena_calloc(struct arena *a, size_t n, size_t size);
/* n bytes and a NUL behind them. p may be NULL when n is 0. */
char *arena_strndup(struct arena *a, const char *p, size_t n);
char *arena_strdup(struct arena *a, const char *s);
size_t arena_used(const struct arena *a);
/* NULL is allowed. */
void arena_free(struct arena *a);

#endif
