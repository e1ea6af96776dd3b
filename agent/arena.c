#include "config.h"
#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "agent/arena.h"

#define FIRST_CHUNK_BYTES 4096
#define LARGEST_CHUNK_BYTES 65536

struct chunk {
	struct chunk *next;
	size_t size;
	size_t used;
	alignas(max_align_t) unsigned char data[];
};

struct arena {
	struct chunk *chunks; /* the one being filled first */
	size_t cap;
	size_t used;
	size_t next_chunk;
};

struct arena *
arena_new(size_t cap_bytes)
{
	struct arena *a = calloc(1, sizeof *a);

	if (a == NULL)
		return NULL;
	a->cap = cap_bytes;
	a->next_chunk = FIRST_CHUNK_BYTES;
	return a;
}

static struct chunk *
chunk_add(struct arena *a, size_t n)
{
	size_t size = n > a->next_chunk ? n : a->next_chunk;
	struct chunk *c;

	if (size > SIZE_MAX - sizeof *c)
		return NULL;
	c = malloc(sizeof *c + size);
	if (c == NULL)
		return NULL;
	c->size = size;
	c->used = 0;
	if (n > a->next_chunk && a->chunks != NULL) {
		/* A big piece gets a chunk of its own, the room left in the current one stays
		 * usable. */
		c->next = a->chunks->next;
		a->chunks->next = c;
		return c;
	}
	c->next = a->chunks;
	a->chunks = c;
	if (a->next_chunk < LARGEST_CHUNK_BYTES)
		a->next_chunk *= 2;
	return c;
}

void *
arena_alloc(struct arena *a, size_t n)
{
	const size_t align = alignof(max_align_t);
	struct chunk *c = a->chunks;
	void *p;

	if (n > SIZE_MAX - align)
		return NULL;
	n = (n + align - 1) / align * align;
	if (n == 0)
		n = align;
	if (n > a->cap - a->used)
		return NULL;
	if (c == NULL || n > c->size - c->used) {
		c = chunk_add(a, n);
		if (c == NULL)
			return NULL;
	}
	p = c->data + c->used;
	c->used += n;
	a->used += n;
	return p;
}

void *
arena_calloc(struct arena *a, size_t n, size_t size)
{
	void *p;

	if (size != 0 && n > SIZE_MAX / size)
		return NULL;
	p = arena_alloc(a, n * size);
	if (p != NULL)
		memset(p, 0, n * size);
	return p;
}

char *
arena_strndup(struct arena *a, const char *p, size_t n)
{
	char *copy;

	if (n == SIZE_MAX)
		return NULL;
	copy = arena_alloc(a, n + 1);
	if (copy == NULL)
		return NULL;
	if (n > 0)
		memcpy(copy, p, n);
	copy[n] = '\0';
	return copy;
}

char *
arena_strdup(struct arena *a, const char *s)
{
	return arena_strndup(a, s, strlen(s));
}

size_t
arena_used(const struct arena *a)
{
	return a->used;
}

void
arena_free(struct arena *a)
{
	struct chunk *c;

	if (a == NULL)
		return;
	while ((c = a->chunks) != NULL) {
		a->chunks = c->next;
		free(c);
	}
	free(a);
}
