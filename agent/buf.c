#include "config.h"
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/buf.h"
#include "agent/text.h"

#define FIRST_BYTES 256

void
buf_init(struct buf *b, size_t max)
{
	memset(b, 0, sizeof *b);
	b->max = max;
}

/* Makes room for n more bytes and the NUL. */
static bool
make_room(struct buf *b, size_t n)
{
	size_t cap;
	char *p;

	if (b->rc != RC_OK)
		return false;
	if (n > b->max - b->n) {
		b->rc = RC_DATA;
		return false;
	}
	if (b->n + n < b->cap)
		return true;
	cap = b->cap == 0 ? FIRST_BYTES : b->cap;
	while (cap <= b->n + n)
		cap = cap > SIZE_MAX / 2 ? SIZE_MAX : cap * 2;
	/* Doubling must not take nearly twice the maximum. */
	if (b->max < SIZE_MAX && cap > b->max + 1)
		cap = b->max + 1;
	p = realloc(b->p, cap);
	if (p == NULL) {
		b->rc = RC_NOMEM;
		return false;
	}
	b->p = p;
	b->cap = cap;
	return true;
}

enum rc
buf_add(struct buf *b, const void *p, size_t n)
{
	if (!make_room(b, n))
		return b->rc;
	if (n > 0)
		memcpy(b->p + b->n, p, n);
	b->n += n;
	b->p[b->n] = '\0';
	return RC_OK;
}

enum rc
buf_addz(struct buf *b, const char *s)
{
	return buf_add(b, s, strlen(s));
}

enum rc
buf_addc(struct buf *b, char c)
{
	return buf_add(b, &c, 1);
}

enum rc
buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 && b->rc == RC_OK)
		b->rc = RC_BUG;
	if (n < 0 || !make_room(b, (size_t)n))
		return b->rc;
	va_start(ap, fmt);
	(void)vsnprintf(b->p + b->n, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->n += (size_t)n;
	return RC_OK;
}

enum rc
buf_rc(const struct buf *b)
{
	return b->rc;
}

const char *
buf_text(const struct buf *b)
{
	return b->p == NULL ? "" : b->p;
}

void
buf_drop(struct buf *b, size_t n)
{
	if (b->p == NULL)
		return;
	if (n > b->n)
		n = b->n;
	memmove(b->p, b->p + n, b->n - n + 1);
	b->n -= n;
}

void
buf_clear(struct buf *b)
{
	b->n = 0;
	b->rc = RC_OK;
	if (b->p != NULL)
		b->p[0] = '\0';
}

char *
buf_take(struct buf *b, size_t *n)
{
	char *p;

	if (b->rc != RC_OK || !make_room(b, 0))
		return NULL;
	p = b->p;
	p[b->n] = '\0';
	if (n != NULL)
		*n = b->n;
	b->p = NULL;
	b->n = 0;
	b->cap = 0;
	return p;
}

void
buf_free(struct buf *b)
{
	free(b->p);
	buf_init(b, b->max);
}

void
buf_wipe(struct buf *b)
{
	if (b->p != NULL)
		text_wipe(b->p, b->cap);
	buf_free(b);
}
