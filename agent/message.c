#include "config.h"
#include "agent/message.h"
#include <inttypes.h>
#include <stdlib.h>
#include "agent/arena.h"
#include "agent/batch.h"
#include "agent/log.h"
#include "agent/text.h"

#define MESSAGE_MAGIC UINT32_C(0x4d736731)

struct batch {
	struct arena *rows;    /* what was read, capped */
	struct arena *derived; /* what was made of it; NULL before the first */
	size_t count;
	size_t held;
};

static size_t held_bytes;
static size_t place_counts[AT_SETTLE + 1];

static const char *const type_names[] = {
#define MSG_TYPE_DEF(id, name, text) name,
#include "agent/msg_type.def"
#undef MSG_TYPE_DEF
};

const char *
msg_type_name(enum msg_type t)
{
	return (unsigned)t < MSG_TYPE_COUNT ? type_names[t] : "";
}

enum msg_type
msg_type_parse(const char *p, size_t n)
{
	if (p == NULL)
		return MSG_TYPE_AUTO;
	p = text_trim(p, &n);
	if (n == 0)
		return MSG_TYPE_AUTO;
	for (int i = 0; i < MSG_TYPE_COUNT; i++)
		if (text_equal_nocase(p, n, type_names[i]))
			return (enum msg_type)i;
	return MSG_TYPE_NONE;
}

static const char *
place_name(enum msg_where w)
{
	switch (w) {
	case AT_NONE:
		return "none";
	case AT_PIPELINE:
		return "pipeline";
	case AT_CHANNEL:
		return "channel";
	case AT_SETTLE:
		return "settle";
	}
	return "nowhere known";
}

/* Going on would lose or double a message; the restart reads the truth from journal and
 * database. */
static void
must_be(const struct message *m, enum msg_where where, const char *caller)
{
	if (m->magic == MESSAGE_MAGIC && m->where == where)
		return;
	if (m->magic != MESSAGE_MAGIC)
		log_event(LOG_LEVEL_ERROR, "bug.message",
			  "caller=%s text=\"this is no live message\"", caller);
	else
		log_event(LOG_LEVEL_ERROR, "bug.message",
			  "caller=%s msg_id=%" PRId64 " is_at=%s believed_at=%s", caller, m->msg_id,
			  place_name(m->where), place_name(where));
	abort();
}

void
msg_move(struct message *m, enum msg_where from, enum msg_where to)
{
	must_be(m, from, "msg_move");
	if (from != AT_NONE)
		place_counts[from]--;
	if (to != AT_NONE)
		place_counts[to]++;
	m->where = to;
}

size_t
msg_count(enum msg_where where)
{
	return place_counts[where];
}

struct batch *
batch_new(size_t cap_bytes)
{
	struct batch *b = calloc(1, sizeof *b);

	if (b == NULL)
		return NULL;
	b->rows = arena_new(cap_bytes);
	if (b->rows == NULL) {
		free(b);
		return NULL;
	}
	return b;
}

struct message *
batch_message(struct batch *b)
{
	struct message *m = arena_calloc(b->rows, 1, sizeof *m);

	if (m == NULL)
		return NULL;
	m->magic = MESSAGE_MAGIC;
	m->where = AT_NONE;
	m->batch = b;
	b->count++;
	return m;
}

char *
batch_text(struct batch *b, const char *p, size_t n)
{
	return arena_strndup(b->rows, p, n);
}

void *
batch_derive(struct batch *b, size_t n)
{
	if (b->derived == NULL)
		b->derived = arena_new(SIZE_MAX / 2);
	return b->derived != NULL ? arena_alloc(b->derived, n) : NULL;
}

void
batch_let_go(struct message *m)
{
	struct batch *b;

	if (m == NULL)
		return;
	must_be(m, AT_NONE, "batch_let_go");
	m->magic = 0;
	b = m->batch;
	b->count--;
	if (b->count == 0)
		batch_free(b);
}

void
batch_free(struct batch *b)
{
	if (b == NULL)
		return;
	held_bytes -= b->held;
	arena_free(b->rows);
	arena_free(b->derived);
	free(b);
}

size_t
batch_bytes(const struct batch *b)
{
	return arena_used(b->rows);
}

void
batch_hold(struct batch *b)
{
	held_bytes += batch_bytes(b) - b->held;
	b->held = batch_bytes(b);
}

size_t
batch_held_bytes(void)
{
	return held_bytes;
}

size_t
batch_count(const struct batch *b)
{
	return b->count;
}
