#include "config.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/buf.h"
#include "agent/clock.h"
#include "agent/dialect.h"
#include "agent/store_int.h"
#include "agent/text.h"
#include "schema/sql_source.h"

/* DIAGNOSTICS: what a driver returns goes up unchanged. RC_BUG: a statement is missing, was
 * called with another number of arguments than its file names, or a list is too long. */

#define SQL_TEXT_MAX 65536
/* Fewer rows go faster one by one. */
#define SET_WORTH 4

static const size_t list_sizes[STORE_LIST_SIZES] = { 1, 10, 100, STORE_LIST_MAX };

struct db_value
store_v_text(const char *s)
{
	if (s == NULL)
		return v_null();
	return (struct db_value){ .type = DB_TEXT, .p = s, .n = strlen(s) };
}

struct db_value
store_v_some(const char *s)
{
	return s == NULL || *s == '\0' ? v_null() : store_v_text(s);
}

struct db_value
store_v_field(const struct text *t)
{
	if (t->p == NULL || t->n == 0)
		return v_null();
	return (struct db_value){ .type = DB_TEXT, .p = t->p, .n = t->n };
}

/* The list among the names of the arguments: how many stand before it; false when there is none. */
static bool
list_place(const struct sql_source *src, size_t *before)
{
	const char *p = src->args;

	*before = 0;
	while (*p != '\0') {
		size_t n = strcspn(p, " ");

		if (n >= 3 && memcmp(p + n - 3, "ids", 3) == 0)
			return true;
		(*before)++;
		p += n;
		p += strspn(p, " ");
	}
	return false;
}

bool
store_has(const struct store *s, const char *name)
{
	return sql_source_find(s->dialect, name) != NULL;
}

static enum rc
get_ready(struct store *s, const char *name, size_t size_class, struct store_ready **out,
	  const struct sql_source **source, struct err *e)
{
	const struct sql_source *src = sql_source_find(s->dialect, name);
	struct store_ready *r;
	struct buf text;
	size_t before;
	bool has_list;
	enum rc rc;

	if (src == NULL)
		return err_set(e, RC_BUG, 0, "store.statement",
			       "schema/%s/%s.sql is not in this program", s->dialect, name);
	*source = src;
	r = &s->ready[src - sql_sources][size_class];
	*out = r;
	if (r->st != NULL)
		return RC_OK;
	has_list = list_place(src, &before);
	buf_init(&text, SQL_TEXT_MAX);
	rc = dialect_expand(s->dialect, s->cfg->prefix, src->text,
			    has_list ? list_sizes[size_class] : 0, &text, e);
	if (rc == RC_OK) {
		r->text = buf_take(&text, NULL);
		if (r->text == NULL)
			rc = err_set(e, RC_NOMEM, 0, "store.statement",
				     "no memory for statement %s", name);
	}
	buf_free(&text);
	if (rc != RC_OK)
		return rc;
	r->sql = (struct db_sql){ .name = src->name,
				  .text = r->text,
				  .nargs = src->nargs +
					   (has_list ? (unsigned)list_sizes[size_class] : 0),
				  .cols = src->cols,
				  .is_write = src->is_write,
				  .one_row = true };
	rc = s->drv->prepare(s->db, &r->sql, &r->st, e);
	if (rc != RC_OK) {
		free(r->text);
		r->text = NULL;
		r->st = NULL;
	}
	return rc;
}

static void
forget_rows(struct store *s)
{
	if (s->rows != NULL)
		s->drv->reset(s->rows);
	s->rows = NULL;
}

static enum rc
execute(struct store *s, const struct store_ready *r, const struct db_value *args,
	int64_t *affected, struct err *e)
{
	enum rc rc = s->drv->exec(r->st, args, affected, e);

	if (rc == RC_OK && r->sql.cols[0] != '\0') {
		s->rows = r->st;
		s->rows_cols = r->sql.cols;
	}
	return rc;
}

enum rc
store_run(struct store *s, const char *name, const struct db_value *args, size_t n,
	  int64_t *affected, struct err *e)
{
	struct store_ready *r;
	const struct sql_source *src;
	enum rc rc;

	forget_rows(s);
	rc = get_ready(s, name, 0, &r, &src, e);
	if (rc != RC_OK)
		return rc;
	if (n != r->sql.nargs)
		return err_set(e, RC_BUG, 0, "store.statement", "%s takes %u arguments and got %zu",
			       name, r->sql.nargs, n);
	return execute(s, r, args, affected, e);
}

enum rc
store_run_list(struct store *s, const char *name, const struct db_value *args, size_t n,
	       const struct db_value *ids, size_t nids, int64_t *affected, struct err *e)
{
	struct store_ready *r;
	const struct sql_source *src;
	size_t size_class = 0;
	size_t before;
	enum rc rc;

	forget_rows(s);
	if (nids == 0 || nids > STORE_LIST_MAX)
		return err_set(e, RC_BUG, 0, "store.statement", "%s got a list of %zu values", name,
			       nids);
	while (list_sizes[size_class] < nids)
		size_class++;
	rc = get_ready(s, name, size_class, &r, &src, e);
	if (rc != RC_OK)
		return rc;
	if (!list_place(src, &before) || n != src->nargs ||
	    n + STORE_LIST_MAX > STORE_COLS_MAX + STORE_LIST_MAX)
		return err_set(e, RC_BUG, 0, "store.statement",
			       "%s takes a list and %u arguments and got %zu", name, src->nargs, n);
	for (size_t i = 0; i < before; i++)
		s->list[i] = args[i];
	for (size_t i = 0; i < list_sizes[size_class]; i++)
		s->list[before + i] = ids[i < nids ? i : nids - 1];
	for (size_t i = before; i < n; i++)
		s->list[list_sizes[size_class] + i] = args[i];
	return execute(s, r, s->list, affected, e);
}

enum rc
store_run_many(struct store *s, const char *name, const struct db_value *args, size_t nrows,
	       int64_t *affected, struct err *e)
{
	struct store_ready *r;
	const struct sql_source *src;
	enum rc rc;

	forget_rows(s);
	if (nrows == 0)
		return RC_OK;
	rc = get_ready(s, name, 0, &r, &src, e);
	if (rc != RC_OK)
		return rc;
	return s->drv->exec_many(r->st, args, nrows, affected, e);
}

static void
add_json_text(struct buf *b, const char *p, size_t n)
{
	size_t from = 0;

	(void)buf_addc(b, '"');
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)p[i];

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		(void)buf_add(b, p + from, i - from);
		(void)buf_addf(b, "\\u%04x", c);
		from = i + 1;
	}
	(void)buf_add(b, p + from, n - from);
	(void)buf_addc(b, '"');
}

static void
add_json_value(struct buf *b, const struct db_value *v)
{
	switch (v->type) {
	case DB_NULL:
		(void)buf_addz(b, "null");
		break;
	case DB_INT:
		(void)buf_addf(b, "%" PRId64, v->i);
		break;
	case DB_TEXT:
	case DB_BLOB:
		add_json_text(b, v->p, v->n);
		break;
	}
}

static void
set_name(char *out, size_t size, const char *name)
{
	(void)snprintf(out, size, "%s_set", name);
}

enum rc
store_try_sets(struct store *s, struct err *e)
{
	for (size_t i = 0; i < sql_source_count; i++) {
		const struct sql_source *src = &sql_sources[i];
		struct store_ready *r;
		enum rc rc;

		if (strcmp(src->dialect, s->dialect) != 0 || strcmp(src->args, "rows") != 0)
			continue;
		rc = get_ready(s, src->name, 0, &r, &src, e);
		if (rc == RC_CONFIG || rc == RC_DATA)
			s->ready[src - sql_sources][0].is_refused = true;
		else if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

enum rc
store_run_set(struct store *s, const char *name, const struct db_value *args, size_t nargs,
	      size_t nrows, int64_t *met, struct err *e)
{
	char set[64];
	const struct sql_source *src;
	struct db_value rows;

	*met = -1;
	set_name(set, sizeof set, name);
	src = sql_source_find(s->dialect, set);
	if (src == NULL || s->ready[src - sql_sources][0].is_refused || nrows < SET_WORTH)
		return RC_OK;
	buf_clear(&s->json);
	for (size_t i = 0; i < nrows; i++) {
		(void)buf_addz(&s->json, i == 0 ? "[[" : ",[");
		for (size_t k = 0; k < nargs; k++) {
			if (k > 0)
				(void)buf_addc(&s->json, ',');
			add_json_value(&s->json, &args[i * nargs + k]);
		}
		(void)buf_addc(&s->json, ']');
	}
	(void)buf_addc(&s->json, ']');
	if (buf_rc(&s->json) != RC_OK)
		return buf_rc(&s->json) == RC_DATA
			       ? RC_OK
			       : err_set(e, RC_NOMEM, 0, "store.statement", "no memory");
	rows = (struct db_value){ .type = DB_TEXT, .p = buf_text(&s->json), .n = s->json.n };
	return store_run(s, set, &rows, 1, met, e);
}

enum rc
store_next(struct store *s, bool *more, struct err *e)
{
	enum rc rc;

	*more = false;
	if (s->rows == NULL)
		return RC_OK;
	rc = s->drv->fetch(s->rows, s->cols, more, e);
	if (rc != RC_OK || !*more)
		forget_rows(s);
	return rc;
}

enum rc
store_one(struct store *s, const char *name, const struct db_value *args, size_t n, bool *found,
	  struct err *e)
{
	enum rc rc = store_run(s, name, args, n, NULL, e);

	*found = false;
	if (rc != RC_OK)
		return rc;
	return store_next(s, found, e);
}

enum rc
store_begin(struct store *s, struct err *e)
{
	enum rc rc;

	forget_rows(s);
	rc = s->drv->begin(s->db, e);
	s->in_tx = rc == RC_OK;
	return rc;
}

enum rc
store_commit(struct store *s, struct err *e)
{
	enum rc rc;

	forget_rows(s);
	rc = s->drv->commit(s->db, e);
	if (rc == RC_OK)
		s->in_tx = false;
	return rc;
}

void
store_rollback(struct store *s)
{
	forget_rows(s);
	if (s->in_tx)
		s->drv->rollback(s->db);
	s->in_tx = false;
}

enum rc
store_fault(enum rc rc, const char *where, struct err *e)
{
	return rc == RC_OK ? RC_OK : err_set(e, rc, 0, where, "fault point");
}

bool
store_col_text(const struct db_value *v, char *dst, size_t size)
{
	if (v->type == DB_NULL || v->p == NULL) {
		dst[0] = '\0';
		return false;
	}
	return text_copy_n(dst, size, v->p, v->n);
}

bool
store_is_foreign(int64_t msg_id, int64_t fence, const struct db_value *client_key)
{
	struct key_parts k;

	if (fence == 0 || client_key->type == DB_NULL)
		return true;
	return !key_decode(client_key->p, client_key->n, &k) || k.msg_id != msg_id;
}

/* In the order of schema/<dialect>/row_state.sql. */
void
store_state_from_cols(struct store *s, struct row_state *st)
{
	const struct db_value *c = s->cols;
	struct store_row *r = &st->row;

	memset(st, 0, sizeof *st);
	r->msg_id = c[0].i;
	r->status = (int)c[1].i;
	r->fence = c[2].i;
	r->incarnation = c[3].i;
	r->leg = (int32_t)c[4].i;
	r->try_no = (int32_t)c[5].i;
	r->generation = (int32_t)c[6].i;
	r->type = msg_type_parse(c[7].type == DB_NULL ? NULL : c[7].p, c[7].n);
	(void)store_col_text(&c[8], r->owner, sizeof r->owner);
	(void)store_col_text(&c[9], r->client_key, sizeof r->client_key);
	(void)store_col_text(&c[10], r->channel, sizeof r->channel);
	(void)store_col_text(&c[11], st->provider_id, sizeof st->provider_id);
	(void)store_col_text(&c[12], st->fallback_type, sizeof st->fallback_type);
	(void)store_col_text(&c[13], st->created_at, sizeof st->created_at);
	r->since_first_ms = c[14].i;
	r->since_try_ms = c[15].i;
	r->until_close_ms = c[16].i;
	(void)store_col_text(&c[17], st->pend_class, sizeof st->pend_class);
	(void)store_col_text(&c[18], st->pend_code, sizeof st->pend_code);
	st->open_tries = c[19].i;
	st->own_closed = (c[20].i & 1) != 0;
	st->has_parts = (c[20].i & 2) != 0;
	r->is_resend = strcmp(st->pend_class, "OPEN") == 0;
	r->older_open = st->open_tries > 0;
	r->resends = (int32_t)c[21].i;
}

struct place {
	int64_t id;
	size_t at;
};

static int
by_id(const void *a, const void *b)
{
	const struct place *x = a;
	const struct place *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

enum rc
store_states(struct store *s, const int64_t *ids, size_t n, struct row_state *st, bool *found,
	     struct err *e)
{
	const struct db_value args[] = { v_int(s->cfg->close_after_ms) };
	struct place places[STORE_LIST_MAX];
	struct db_value list[STORE_LIST_MAX];
	bool more = true;
	enum rc rc;

	if (n == 0)
		return RC_OK;
	if (n > STORE_LIST_MAX)
		return err_set(e, RC_BUG, 0, "store.states", "asked for %zu rows at once", n);
	for (size_t i = 0; i < n; i++) {
		places[i] = (struct place){ ids[i], i };
		found[i] = false;
	}
	qsort(places, n, sizeof places[0], by_id);
	for (size_t i = 0; i < n; i++)
		list[i] = v_int(places[i].id);
	rc = store_run_list(s, "row_state", args, COUNT_OF(args), list, n, NULL, e);
	while (rc == RC_OK && more) {
		rc = store_next(s, &more, e);
		if (rc != RC_OK || !more)
			break;
		for (size_t i = 0; i < n; i++) {
			/* An id may be asked for twice. */
			if (ids[i] == s->cols[0].i) {
				store_state_from_cols(s, &st[i]);
				found[i] = true;
			}
		}
	}
	return rc;
}

bool
store_is_locked(const struct err *e)
{
	return e->rc == RC_AGAIN && (e->native == 1205 || strcmp(e->sqlstate, "55P03") == 0);
}

static enum rc
find_locked(struct store *s, const int64_t *ids, size_t n, struct row_state *st, bool *is_locked,
	    struct err *e)
{
	struct place places[STORE_LIST_MAX] = { { 0, 0 } };
	struct db_value list[STORE_LIST_MAX];
	bool more = true;
	/* A row that is gone is not one that waits. */
	enum rc rc = store_states(s, ids, n, st, is_locked, e);

	for (size_t i = 0; i < n; i++)
		places[i] = (struct place){ ids[i], i };
	qsort(places, n, sizeof places[0], by_id);
	for (size_t i = 0; i < n; i++)
		list[i] = v_int(places[i].id);
	if (rc == RC_OK)
		rc = store_run_list(s, "lockable", NULL, 0, list, n, NULL, e);
	while (rc == RC_OK && more) {
		rc = store_next(s, &more, e);
		for (size_t i = 0; rc == RC_OK && more && i < n; i++)
			if (ids[i] == s->cols[0].i)
				is_locked[i] = false;
	}
	return rc;
}

enum rc
store_find_locked(struct store *s, const int64_t *ids, size_t n, bool *is_locked, bool *known,
		  struct err *e)
{
	struct row_state *st;
	enum rc rc;

	*known = false;
	if (!store_has(s, "lockable") || n == 0 || n > STORE_LIST_MAX)
		return RC_OK;
	st = calloc(n, sizeof *st);
	if (st == NULL)
		return err_set(e, RC_NOMEM, 0, "store.locked", "no memory");
	rc = store_begin(s, e);
	if (rc == RC_OK) {
		rc = find_locked(s, ids, n, st, is_locked, e);
		*known = rc == RC_OK;
		store_rollback(s);
	}
	free(st);
	/* SKIP LOCKED is younger than some servers. */
	return rc == RC_CONFIG || rc == RC_DATA ? RC_OK : rc;
}

enum rc
store_look_around(struct store *s, const int64_t *ids, size_t n, const struct err *why,
		  bool *is_locked, bool *halve, struct err *e)
{
	bool known = false;
	enum rc rc;

	*halve = false;
	is_locked[0] = true;
	if (n == 1)
		return RC_OK;
	rc = store_find_locked(s, ids, n, is_locked, &known, e);
	if (rc != RC_OK || known)
		return rc;
	*halve = clock_mono_ms() < s->halve_until_ms;
	if (*halve)
		return RC_OK;
	/* What has been done is recognised when all of it is tried again. */
	if (e != NULL)
		*e = *why;
	return RC_AGAIN;
}

enum rc
store_history(struct store *s, const struct history *h, struct err *e)
{
	const struct db_value args[] = {
		h->msg_id != 0 ? v_int(h->msg_id) : v_null(),
		store_v_some(h->created_at),
		store_v_text(h->event),
		store_v_some(h->who),
		h->from >= 0 ? v_int(h->from) : v_null(),
		h->to >= 0 ? v_int(h->to) : v_null(),
		v_int(h->leg),
		v_int(h->try_no),
		store_v_some(h->code),
		store_v_some(h->client_key),
		store_v_some(h->channel),
		store_v_some(h->reason),
	};

	return store_run(s, "history_add", args, COUNT_OF(args), NULL, e);
}

enum rc
store_note(struct store *s, int64_t msg_id, const char *event, const char *reason, char *created_at,
	   struct err *e)
{
	struct row_state st;
	bool found = false;
	enum rc rc = store_begin(s, e);

	if (rc == RC_OK)
		rc = store_states(s, &msg_id, 1, &st, &found, e);
	created_at[0] = '\0';
	if (rc == RC_OK && found) {
		const struct history h = { .msg_id = msg_id,
					   .created_at = st.created_at,
					   .event = event,
					   .who = s->cfg->agent_id,
					   .client_key = st.row.client_key,
					   .channel = st.row.channel,
					   .reason = reason,
					   .from = st.row.status,
					   .to = st.row.status,
					   .leg = st.row.leg,
					   .try_no = st.row.try_no };

		(void)text_copy(created_at, sizeof st.created_at, st.created_at);
		rc = store_history(s, &h, e);
	}
	if (rc == RC_OK)
		rc = store_commit(s, e);
	if (rc != RC_OK || s->in_tx)
		store_rollback(s);
	return rc;
}
