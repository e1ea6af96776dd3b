#include "config.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "agent/clock.h"
#include "agent/key.h"
#include "agent/store_int.h"
#include "agent/text.h"

/* A report finds its attempt by the key (which names the message) or by channel and provider id,
 * among rows, older attempts and results; what it says then goes the way of every other evidence
 * (store_apply.c). What finds nothing is kept.
 *
 * DIAGNOSTICS: as store_apply(). A report that the database does not even let us keep is
 * answered REPORT_CONFLICT. */

void
store_change_of_report(const struct report *r, int64_t msg_id, const char *client_key,
		       struct change *c)
{
	struct key_parts k;

	memset(c, 0, sizeof *c);
	/* "Duplicate" says that the provider has the first one: evidence of acceptance, never of
	 * a failure. */
	c->kind = r->class == REPORT_PENDING || r->duplicate ? CHANGE_ACCEPT : CHANGE_RESULT;
	c->class = r->class == REPORT_OK ? RESULT_OK : RESULT_FAIL;
	c->msg_id = msg_id;
	c->fence = -1;
	c->leg = key_decode(client_key, strlen(client_key), &k) ? (int32_t)k.leg : 0;
	c->client_key = client_key;
	c->new_type = MSG_TYPE_NONE;
	c->is_evidence = true;
	c->is_report = true;
	c->parts = r->parts;
	if (!text_copy(c->code, sizeof c->code, r->code) || c->code[0] == '\0')
		(void)text_copy(c->code, sizeof c->code, r->class == REPORT_OK ? "0000" : "9099");
	(void)text_copy(c->provider_code, sizeof c->provider_code, r->provider_code);
	(void)text_copy(c->provider_id, sizeof c->provider_id, r->provider_id);
	(void)text_copy(c->carrier, sizeof c->carrier, r->carrier);
	(void)text_copy(c->channel, sizeof c->channel, r->channel);
	(void)text_copy(c->done_at, sizeof c->done_at, r->done_at);
}

/* ---- reports that are kept ---- */

static enum report_class
class_of_text(const struct db_value *v)
{
	if (v->n == 2)
		return REPORT_OK;
	return v->n == 4 ? REPORT_FAIL : REPORT_PENDING;
}

static const char *
class_name(enum report_class c)
{
	switch (c) {
	case REPORT_OK:
		return "OK";
	case REPORT_FAIL:
		return "FAIL";
	case REPORT_PENDING:
		break;
	}
	return "PENDING";
}

/* In the order of schema/<dialect>/report_page.sql. */
static void
read_kept(const struct store *s, struct kept_report *k)
{
	const struct db_value *c = s->cols;

	memset(k, 0, sizeof *k);
	k->id = c[0].i;
	(void)store_col_text(&c[1], k->r.channel, sizeof k->r.channel);
	(void)store_col_text(&c[2], k->r.client_key, sizeof k->r.client_key);
	(void)store_col_text(&c[3], k->r.provider_id, sizeof k->r.provider_id);
	k->r.class = class_of_text(&c[4]);
	(void)store_col_text(&c[5], k->r.code, sizeof k->r.code);
	(void)store_col_text(&c[6], k->r.provider_code, sizeof k->r.provider_code);
	(void)store_col_text(&c[7], k->r.carrier, sizeof k->r.carrier);
	k->r.parts = c[8].type == DB_INT ? (unsigned)c[8].i : 0;
	(void)store_col_text(&c[9], k->r.done_at, sizeof k->r.done_at);
	k->r.duplicate = c[10].n > 0 && c[10].p[0] == 'Y';
}

static enum rc
collect_kept(struct store *s, struct kept_report **out, size_t *count, size_t *room, struct err *e)
{
	bool more = true;
	enum rc rc = RC_OK;

	while (rc == RC_OK) {
		struct kept_report k;
		bool known = false;

		rc = store_next(s, &more, e);
		if (rc != RC_OK || !more)
			break;
		read_kept(s, &k);
		for (size_t i = 0; i < *count; i++)
			known = known || (*out)[i].id == k.id;
		if (known)
			continue;
		if (*count == *room) {
			size_t larger = *room == 0 ? 16 : 2 * *room;
			struct kept_report *p = realloc(*out, larger * sizeof *p);

			if (p == NULL)
				return err_set(e, RC_NOMEM, 0, "store.reports", "no memory");
			*out = p;
			*room = larger;
		}
		(*out)[(*count)++] = k;
	}
	return rc;
}

static int
by_text(const void *a, const void *b)
{
	const struct db_value *x = a;
	const struct db_value *y = b;
	int c = memcmp(x->p, y->p, x->n < y->n ? x->n : y->n);

	return c != 0 ? c : x->n < y->n ? -1 : x->n > y->n;
}

static int
by_kept_id(const void *a, const void *b)
{
	const struct kept_report *x = a;
	const struct kept_report *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static enum rc
kept_by_provider(struct store *s, const char *channel_name, struct db_value *ids, size_t n,
		 struct kept_report **out, size_t *count, size_t *room, struct err *e)
{
	const struct db_value channel[] = { store_v_text(channel_name) };
	enum rc rc;

	qsort(ids, n, sizeof ids[0], by_text);
	rc = store_run_list(s, "report_by_provider", channel, 1, ids, n, NULL, e);
	return rc == RC_OK ? collect_kept(s, out, count, room, e) : rc;
}

enum rc
store_kept_find(struct store *s, struct work **w, size_t n, struct kept_report **out, size_t *count,
		struct err *e)
{
	struct db_value list[STORE_LIST_MAX];
	size_t room = 0;
	bool any = false;
	enum rc rc = store_one(s, "report_any", NULL, 0, &any, e);

	*out = NULL;
	*count = 0;
	if (rc != RC_OK || !any)
		return rc;
	for (size_t from = 0; rc == RC_OK && from < n; from += STORE_LIST_MAX) {
		size_t here = n - from < STORE_LIST_MAX ? n - from : STORE_LIST_MAX;
		size_t keys = 0;

		for (size_t i = from; i < from + here; i++)
			if (w[i]->c->answer == CHANGED && w[i]->c->client_key[0] != '\0')
				list[keys++] = store_v_text(w[i]->c->client_key);
		if (keys == 0)
			continue;
		qsort(list, keys, sizeof list[0], by_text);
		rc = store_run_list(s, "report_by_key", NULL, 0, list, keys, NULL, e);
		if (rc == RC_OK)
			rc = collect_kept(s, out, count, &room, e);
	}
	/* One statement for each run of the same channel: an answer batch comes from one. */
	for (size_t from = 0, to; rc == RC_OK && from < n; from = to) {
		size_t ids = 0;

		for (to = from;
		     rc == RC_OK && to < n && strcmp(w[to]->c->channel, w[from]->c->channel) == 0;
		     to++) {
			const struct change *c = w[to]->c;
			const char *more = NULL;
			struct db_value id = store_v_some(c->provider_id);

			if (c->answer != CHANGED || id.type == DB_NULL)
				continue;
			do {
				list[ids++] = id;
				if (ids < STORE_LIST_MAX)
					continue;
				rc = kept_by_provider(s, c->channel, list, ids, out, count, &room,
						      e);
				ids = 0;
			} while (rc == RC_OK && store_part_id(c, &more, &id));
		}
		if (rc == RC_OK && ids > 0)
			rc = kept_by_provider(s, w[from]->c->channel, list, ids, out, count, &room,
					      e);
	}
	if (rc == RC_OK && *count > 0)
		qsort(*out, *count, sizeof **out, by_kept_id);
	return rc;
}

enum rc
store_kept_page(struct store *s, const struct db_value *args, size_t nargs,
		struct kept_report **out, size_t *count, struct err *e)
{
	size_t room = 0;
	enum rc rc = store_run(s, "report_page", args, nargs, NULL, e);

	*out = NULL;
	*count = 0;
	return rc == RC_OK ? collect_kept(s, out, count, &room, e) : rc;
}

enum rc
store_kept_drop(struct store *s, const struct kept_report *k, size_t n, struct err *e)
{
	enum rc rc = RC_OK;

	for (size_t from = 0; rc == RC_OK && from < n; from += STORE_LIST_MAX) {
		size_t here = n - from < STORE_LIST_MAX ? n - from : STORE_LIST_MAX;
		struct db_value ids[STORE_LIST_MAX];

		for (size_t i = 0; i < here; i++)
			ids[i] = v_int(k[from + i].id);
		rc = store_run_list(s, "report_drop", NULL, 0, ids, here, NULL, e);
	}
	return rc;
}

static enum rc
keep(struct store *s, const struct report *r, bool *added, struct err *e)
{
	const struct db_value class = store_v_text(class_name(r->class));
	const struct db_value key = store_v_some(r->client_key);
	const struct db_value id = store_v_some(r->provider_id);
	const struct db_value channel = store_v_some(r->channel);
	const struct db_value args[] = {
		channel,
		key,
		id,
		class,
		store_v_some(r->code),
		store_v_some(r->provider_code),
		store_v_some(r->carrier),
		r->parts > 0 ? v_int(r->parts) : v_null(),
		store_v_some(r->done_at),
		store_v_text(r->duplicate ? "Y" : "N"),
		key,
		class,
		id,
		channel,
		id,
		class,
	};
	int64_t affected = 0;
	enum rc rc = store_run(s, "report_add", args, COUNT_OF(args), &affected, e);

	*added = affected == 1;
	return rc;
}

/* ---- whom a report is about ---- */

struct target {
	struct report_item *item;
	struct change c;
	char key[CLIENT_KEY_LEN + 1];
	int64_t msg_id;
	bool found;
	bool is_part;
};

static void
take_key(struct store *s, struct target *t)
{
	const char *key = t->item->r.client_key;
	struct key_parts k;

	if (!key_decode(key, strlen(key), &k) || k.installation != s->cfg->installation)
		return;
	t->found = true;
	t->msg_id = k.msg_id;
	(void)text_copy(t->key, sizeof t->key, key);
}

/* Places in a statement's columns; part 0: it has none. */
struct id_cols {
	size_t msg, id, key, part;
};

static enum rc
find_by_provider(struct store *s, const char *statement, const struct db_value *args, size_t nargs,
		 struct target *t, size_t n, const struct id_cols *col, struct err *e)
{
	struct db_value ids[STORE_LIST_MAX];
	const char *channel = t[0].item->r.channel;
	size_t nids = 0;
	bool more = true;
	enum rc rc;

	for (size_t i = 0; i < n; i++)
		if (!t[i].found && t[i].item->r.provider_id[0] != '\0' &&
		    strcmp(t[i].item->r.channel, channel) == 0)
			ids[nids++] = store_v_text(t[i].item->r.provider_id);
	if (nids == 0)
		return RC_OK;
	qsort(ids, nids, sizeof ids[0], by_text);
	rc = store_run_list(s, statement, args, nargs, ids, nids, NULL, e);
	while (rc == RC_OK) {
		char id[PROVIDER_ID_MAX + 1];

		rc = store_next(s, &more, e);
		if (rc != RC_OK || !more)
			break;
		(void)store_col_text(&s->cols[col->id], id, sizeof id);
		for (size_t i = 0; i < n; i++) {
			if (t[i].found || strcmp(t[i].item->r.provider_id, id) != 0 ||
			    strcmp(t[i].item->r.channel, channel) != 0)
				continue;
			if (!store_col_text(&s->cols[col->key], t[i].key, sizeof t[i].key))
				continue;
			t[i].msg_id = s->cols[col->msg].i;
			t[i].is_part = col->part > 0 && s->cols[col->part].i > 0;
			t[i].found = true;
		}
	}
	return rc;
}

/* Reports of one channel that came without a key of ours. */
static enum rc
find_ids(struct store *s, struct target *t, size_t n, struct err *e)
{
	const struct db_value channel = store_v_text(t[0].item->r.channel);
	static const struct id_cols row_cols = { .msg = 0, .id = 11, .key = 9 };
	static const struct id_cols try_cols = { .msg = 1, .id = 3, .key = 5, .part = 7 };
	static const struct id_cols result_cols = { .msg = 0, .id = 8, .key = 2 };
	const struct db_value row_args[] = { v_int(s->cfg->close_after_ms), channel };
	const struct db_value result_args[] = { v_int(s->cfg->late_ms), channel };
	enum rc rc = find_by_provider(s, "row_by_provider", row_args, 2, t, n, &row_cols, e);

	if (rc == RC_OK)
		rc = find_by_provider(s, "try_by_provider", &channel, 1, t, n, &try_cols, e);
	if (rc == RC_OK)
		rc = find_by_provider(s, "result_by_provider", result_args, 2, t, n, &result_cols,
				      e);
	return rc;
}

static enum rc
find_targets(struct store *s, struct target *t, size_t n, struct err *e)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; i < n; i++)
		take_key(s, &t[i]);
	for (size_t from = 0; rc == RC_OK && from < n;) {
		size_t to = from;

		while (to < n && to - from < STORE_LIST_MAX &&
		       strcmp(t[to].item->r.channel, t[from].item->r.channel) == 0)
			to++;
		rc = find_ids(s, &t[from], to - from, e);
		from = to;
	}
	return rc;
}

static enum rc
reports_in_tx(struct store *s, struct target *t, struct work *w, size_t n, struct err *e)
{
	size_t used = 0;
	enum rc rc = find_targets(s, t, n, e);

	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		if (!t[i].found)
			continue;
		store_change_of_report(&t[i].item->r, t[i].msg_id, t[i].key, &t[i].c);
		t[i].c.is_part = t[i].is_part;
		w[used++].c = &t[i].c;
	}
	if (rc == RC_OK && used > 0)
		rc = store_apply_all(s, w, used, e);
	used = 0;
	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		struct report_item *item = t[i].item;
		const struct work *mine = t[i].found ? &w[used++] : NULL;
		bool added = false;

		item->msg_id = t[i].msg_id;
		if (mine != NULL && !mine->unmatched) {
			item->answer = mine->report;
			continue;
		}
		item->msg_id = 0;
		/* Without key and id it can never match anything. */
		if (item->r.client_key[0] != '\0' || item->r.provider_id[0] != '\0')
			rc = keep(s, &item->r, &added, e);
		item->answer = added ? REPORT_KEPT : REPORT_KNOWN;
	}
	return rc;
}

static enum rc
reports_once(struct store *s, struct target *t, struct work *w, size_t n, struct err *e)
{
	enum rc rc = store_begin(s, e);

	if (rc != RC_OK)
		return rc;
	rc = reports_in_tx(s, t, w, n, e);
	if (rc == RC_OK)
		rc = store_fault(FAILPOINT(report_before_commit), "store.reports", e);
	if (rc == RC_OK)
		rc = store_commit(s, e);
	if (rc == RC_OK)
		rc = store_fault(FAILPOINT(report_after_commit), "store.reports", e);
	if (rc != RC_OK)
		store_rollback(s);
	return rc;
}

/* The report alone, for care to try again. */
static enum rc
keep_one(struct store *s, struct target *t, struct err *e)
{
	bool added = false;
	enum rc rc = store_begin(s, e);

	if (rc != RC_OK)
		return rc;
	rc = keep(s, &t->item->r, &added, e);
	if (rc == RC_OK)
		rc = store_commit(s, e);
	if (rc != RC_OK)
		store_rollback(s);
	t->item->answer = added ? REPORT_KEPT : REPORT_KNOWN;
	t->item->msg_id = 0; /* applied to nobody: care must not drop it */
	return rc;
}

static enum rc reports_range(struct store *s, struct target *t, struct work *w, size_t n,
			     struct err *e);

/* Somebody holds one of these rows and does not commit: its report is kept, the others are
 * applied. */
static enum rc
reports_around(struct store *s, struct target *t, struct work *w, size_t n, const struct err *why,
	       struct err *e)
{
	int64_t ids[STORE_LIST_MAX];
	bool is_locked[STORE_LIST_MAX];
	bool halve;
	size_t left = 0;
	enum rc rc;

	for (size_t i = 0; i < n && i < STORE_LIST_MAX; i++)
		ids[i] = t[i].msg_id;
	rc = store_look_around(s, ids, n, why, is_locked, &halve, e);
	if (rc == RC_OK && halve) {
		rc = reports_range(s, t, w, n / 2, e);
		return rc == RC_OK ? reports_range(s, t + n / 2, w + n / 2, n - n / 2, e) : rc;
	}
	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		if (!is_locked[i])
			t[left++] = t[i];
		else
			rc = keep_one(s, &t[i], e);
	}
	if (rc != RC_OK || left == 0)
		return rc;
	if (left < n)
		return reports_range(s, t, w, left, e);
	/* Meanwhile it is free, or it is another table's row. */
	if (e != NULL)
		*e = *why;
	return RC_AGAIN;
}

static enum rc
reports_range(struct store *s, struct target *t, struct work *w, size_t n, struct err *e)
{
	struct err why;
	enum rc rc;

	for (size_t i = 0; i < n; i++) {
		t[i].found = t[i].is_part = false;
		t[i].msg_id = 0;
	}
	rc = reports_once(s, t, w, n, &why);
	if (rc == RC_AGAIN && store_is_locked(&why))
		return reports_around(s, t, w, n, &why, e);
	if (rc == RC_DATA && n > 1) {
		rc = reports_range(s, t, w, n / 2, e);
		return rc == RC_OK ? reports_range(s, t + n / 2, w + n / 2, n - n / 2, e) : rc;
	}
	if (rc == RC_DATA && !t->found) {
		t->item->answer = REPORT_CONFLICT;
		return RC_OK;
	}
	if (rc == RC_DATA) {
		t->item->answer = REPORT_APPLIED;
		t->item->msg_id = t->msg_id;
		w->c = &t->c;
		w->fence = -1;
		rc = store_set_aside(s, w, &why, e);
		/* Not even that: the report itself is what remains, and care tries it again. */
		if (rc == RC_OK && w->c->answer == CHANGE_FAILED && w->c->new_fence <= 0) {
			bool added = false;

			rc = keep(s, &t->item->r, &added, e);
			t->item->answer = added ? REPORT_KEPT : REPORT_KNOWN;
			t->item->msg_id = 0; /* applied to nobody: care must not drop it */
		}
		return rc;
	}
	if (rc != RC_OK && e != NULL)
		*e = why;
	return rc;
}

enum rc
store_reports(struct store *s, struct report_item *items, size_t n, struct err *e)
{
	struct target *t;
	struct work *w;
	enum rc rc;

	if (n == 0)
		return RC_OK;
	s->halve_until_ms = clock_mono_ms() + STORE_HALVE_MS;
	t = calloc(n, sizeof *t);
	w = calloc(n, sizeof *w);
	if (t == NULL || w == NULL) {
		rc = err_set(e, RC_NOMEM, 0, "store.reports", "no memory");
	} else {
		for (size_t i = 0; i < n; i++)
			t[i].item = &items[i];
		rc = reports_range(s, t, w, n, e);
	}
	free(t);
	free(w);
	return rc;
}
