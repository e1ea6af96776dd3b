#include "config.h"
#include <string.h>
#include "agent/store_int.h"
#include "agent/text.h"

/* Messages that were sent as several PDUs: each part has an id and a report of its own, and a row
 * of mt_try with the key of its attempt and part 1, 2, ... The message failed as soon as one part
 * failed, and was delivered when all are.
 *
 * DIAGNOSTICS: what a driver returns goes up unchanged. */

#define PART_ARGS 11

/* The next id of a list with blanks between; false at its end. */
static bool
next_id(const char **list, struct db_value *id)
{
	const char *p = *list + strspn(*list, " ");
	size_t n = strcspn(p, " ");

	*list = p + n;
	*id = (struct db_value){ .type = DB_TEXT, .p = p, .n = n };
	if (n > PROVIDER_ID_MAX)
		id->n = PROVIDER_ID_MAX;
	return n > 0;
}

static bool
is_id(const struct db_value *id, const char *text)
{
	return strlen(text) == id->n && memcmp(text, id->p, id->n) == 0;
}

/* A provider that gives all parts the same id speaks of the message as a whole. */
static bool
has_parts(const struct change *c)
{
	const char *list = c->more_ids;
	struct db_value id;

	while (list != NULL && next_id(&list, &id))
		if (!is_id(&id, c->provider_id))
			return true;
	return false;
}

bool
store_part_id(const struct change *c, const char **list, struct db_value *id)
{
	if (*list == NULL) {
		if (!has_parts(c))
			return false;
		*list = c->more_ids;
	}
	return next_id(list, id);
}

bool
store_has_id(const struct change *c, const char *provider_id)
{
	const char *list = NULL;
	struct db_value id;

	if (provider_id[0] == '\0')
		return false;
	if (strcmp(provider_id, c->provider_id) == 0)
		return true;
	while (store_part_id(c, &list, &id))
		if (is_id(&id, provider_id))
			return true;
	return false;
}

static void
put_part(struct db_value *a, const struct change *c, int64_t part, struct db_value id)
{
	const struct db_value key = store_v_text(c->client_key);
	struct key_parts k = { .generation = 0 };
	size_t n = 0;

	if (!key_decode(c->client_key, strlen(c->client_key), &k))
		k.generation = 0;
	a[n++] = v_int(c->try_no);
	a[n++] = v_int(k.generation);
	a[n++] = key;
	a[n++] = store_v_some(c->channel);
	a[n++] = id;
	a[n++] = v_int(part);
	a[n++] = v_int(c->msg_id);
	a[n++] = key;
	a[n++] = key;
	a[n++] = key;
	a[n++] = v_int(part);
}

enum rc
store_parts_add(struct store *s, struct work **w, size_t n, struct err *e)
{
	int64_t added[STORE_LIST_MAX];
	size_t rows = 0;
	enum rc rc = RC_OK;

	for (size_t i = 0; i < n; i++) {
		const struct change *c = w[i]->c;
		struct db_value id = store_v_some(c->provider_id);
		const char *list = NULL;
		int64_t part = 1;

		if (c->answer != CHANGED || !has_parts(c))
			continue;
		do {
			put_part(&s->many[PART_ARGS * rows++], c, part++, id);
			if (rows < STORE_LIST_MAX)
				continue;
			rc = store_run_many(s, "part_add", s->many, rows, added, e);
			if (rc != RC_OK)
				return rc;
			rows = 0;
		} while (store_part_id(c, &list, &id));
	}
	return rows > 0 ? store_run_many(s, "part_add", s->many, rows, added, e) : RC_OK;
}

enum rc
store_part_find(struct store *s, const struct change *c, struct part *out, bool *found,
		struct err *e)
{
	const struct db_value args[] = { v_int(c->msg_id), store_v_text(c->client_key),
					 store_v_text(c->channel), store_v_text(c->provider_id) };
	enum rc rc = store_one(s, "part_find", args, COUNT_OF(args), found, e);

	if (rc == RC_OK && *found)
		*out = (struct part){ .id = s->cols[0].i, .leg = (int32_t)s->cols[1].i };
	return rc;
}

enum rc
store_part_hold(struct store *s, const struct change *c, struct err *e)
{
	const struct db_value args[] = { v_int(c->msg_id), store_v_text(c->client_key) };
	bool more = true;
	enum rc rc = store_run(s, "part_hold", args, COUNT_OF(args), NULL, e);

	while (rc == RC_OK && more)
		rc = store_next(s, &more, e);
	return rc;
}

enum rc
store_part_close(struct store *s, const struct change *c, enum result_class class, struct part *p,
		 struct err *e)
{
	const struct db_value close[] = {
		store_v_text(class == RESULT_OK ? "DELIVERED" : "FAILED"),
		store_v_some(c->code),
		v_int(p->id),
	};
	const struct db_value count[] = { v_int(c->msg_id), store_v_text(c->client_key) };
	int64_t affected = 0, all, delivered, failed;
	bool found;
	enum rc rc = store_run(s, "part_close", close, COUNT_OF(close), &affected, e);

	p->closed = affected == 1;
	p->decides = p->is_open = false;
	if (rc != RC_OK || !p->closed)
		return rc;
	rc = store_one(s, "part_count", count, COUNT_OF(count), &found, e);
	if (rc != RC_OK || !found)
		return rc;
	all = s->cols[0].i;
	delivered = s->cols[1].i;
	failed = s->cols[2].i;
	p->parts = (unsigned)all;
	p->decides = class == RESULT_OK ? delivered == all : failed == 1;
	p->is_open = failed == 0;
	return RC_OK;
}
