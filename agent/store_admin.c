#include "config.h"
#include "agent/store_admin.h"
#include <string.h>
#include "agent/store_int.h"

/* DIAGNOSTICS: what the statements return goes up unchanged; RC_CONFIG with SQLSTATE 42501 (MySQL 1142,
 * 1143) when the login lacks the right. */

/* Columns come one after the other, in the order of the SELECT. */
struct reader {
	const struct db_value *at;
};

static void
get_text(struct reader *r, char *dst, size_t size)
{
	(void)store_col_text(r->at++, dst, size);
}

static int64_t
get_i64(struct reader *r)
{
	const struct db_value *v = r->at++;

	return v->type == DB_INT ? v->i : 0;
}

static int
get_int(struct reader *r)
{
	return (int)get_i64(r);
}

static bool
get_yes(struct reader *r)
{
	char word[8];

	get_text(r, word, sizeof word);
	return word[0] == 'Y' || word[0] == 'y';
}

#define GET_TEXT(r, field) get_text(r, field, sizeof(field))

enum rc
store_admin_row(struct store *s, int64_t msg_id, struct admin_row *r, bool *found, struct err *e)
{
	const struct db_value args[] = { v_int(s->cfg->expire_after_ms), v_int(msg_id) };
	struct reader in = { s->cols };
	enum rc rc = store_one(s, "admin_row", args, COUNT_OF(args), found, e);

	memset(r, 0, sizeof *r);
	if (rc != RC_OK || !*found)
		return rc;
	r->msg_id = get_i64(&in);
	r->status = get_int(&in);
	GET_TEXT(&in, r->req_key);
	GET_TEXT(&in, r->type);
	GET_TEXT(&in, r->asked_type);
	GET_TEXT(&in, r->sender);
	GET_TEXT(&in, r->recipient);
	GET_TEXT(&in, r->group_key);
	r->priority = get_int(&in);
	r->is_cancelled = get_int(&in) != 0;
	GET_TEXT(&in, r->owner);
	GET_TEXT(&in, r->channel);
	GET_TEXT(&in, r->client_key);
	GET_TEXT(&in, r->provider_id);
	GET_TEXT(&in, r->hold_code);
	GET_TEXT(&in, r->pend_class);
	GET_TEXT(&in, r->pend_code);
	r->leg = get_int(&in);
	r->try_no = get_int(&in);
	r->created_ms = get_i64(&in);
	r->send_ms = get_i64(&in);
	r->due_ms = get_i64(&in);
	r->first_sent_ms = get_i64(&in);
	r->last_sent_ms = get_i64(&in);
	r->send_in_ms = get_i64(&in);
	r->due_in_ms = get_i64(&in);
	r->expire_in_ms = get_i64(&in);
	return RC_OK;
}

static void
read_result(struct store *s, struct admin_result *r)
{
	struct reader in = { s->cols };

	memset(r, 0, sizeof *r);
	GET_TEXT(&in, r->class);
	GET_TEXT(&in, r->code);
	GET_TEXT(&in, r->text);
	GET_TEXT(&in, r->provider_code);
	GET_TEXT(&in, r->provider_id);
	GET_TEXT(&in, r->client_key);
	GET_TEXT(&in, r->channel);
	GET_TEXT(&in, r->owner);
	GET_TEXT(&in, r->sent_type);
	GET_TEXT(&in, r->carrier);
	r->is_late = get_yes(&in);
	r->is_read = get_yes(&in);
	GET_TEXT(&in, r->req_key);
	r->leg = get_int(&in);
	r->try_no = get_int(&in);
	r->parts = get_int(&in);
	r->rev = get_int(&in);
	r->created_ms = get_i64(&in);
	r->sent_ms = get_i64(&in);
	r->done_ms = get_i64(&in);
	r->changed_ms = get_i64(&in);
}

enum rc
store_admin_results(struct store *s, int64_t msg_id, struct admin_result *r, size_t max, size_t *n,
		    struct err *e)
{
	const struct db_value args[] = { v_int(msg_id) };
	bool more = true;
	enum rc rc;

	*n = 0;
	rc = store_run(s, "admin_results", args, COUNT_OF(args), NULL, e);
	while (rc == RC_OK && more) {
		rc = store_next(s, &more, e);
		if (rc == RC_OK && more && *n < max)
			read_result(s, &r[(*n)++]);
	}
	return rc;
}

/* ---- what happened ---- */

static void
read_event(struct store *s, enum admin_source source, struct admin_event *ev)
{
	struct reader in = { s->cols };

	*ev = (struct admin_event){ .source = source, .from = -1, .to = -1 };
	ev->at_ms = get_i64(&in);
	GET_TEXT(&in, ev->what);
	GET_TEXT(&in, ev->code);
	switch (source) {
	case ADMIN_TRY:
		GET_TEXT(&in, ev->client_key);
		GET_TEXT(&in, ev->channel);
		GET_TEXT(&in, ev->provider_id);
		ev->leg = get_int(&in);
		ev->try_no = get_int(&in);
		ev->closed_ms = get_i64(&in);
		break;
	case ADMIN_REPORT:
		GET_TEXT(&in, ev->provider_code);
		GET_TEXT(&in, ev->client_key);
		GET_TEXT(&in, ev->channel);
		GET_TEXT(&in, ev->provider_id);
		break;
	case ADMIN_HISTORY:
		GET_TEXT(&in, ev->client_key);
		GET_TEXT(&in, ev->channel);
		GET_TEXT(&in, ev->reason);
		ev->leg = get_int(&in);
		ev->try_no = get_int(&in);
		ev->from = get_int(&in);
		ev->to = get_int(&in);
		break;
	}
}

enum rc
store_admin_events(struct store *s, int64_t msg_id,
		   void (*each)(void *ctx, const struct admin_event *ev), void *ctx, struct err *e)
{
	static const struct {
		const char *name;
		enum admin_source source;
		size_t nargs;
	} sources[] = {
		{ "admin_tries", ADMIN_TRY, 1 },
		{ "admin_reports", ADMIN_REPORT, 3 },
		{ "admin_history", ADMIN_HISTORY, 1 },
	};
	const struct db_value args[] = { v_int(msg_id), v_int(msg_id), v_int(msg_id) };
	struct admin_event ev;
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < COUNT_OF(sources); i++) {
		bool more = true;

		rc = store_run(s, sources[i].name, args, sources[i].nargs, NULL, e);
		while (rc == RC_OK && more) {
			rc = store_next(s, &more, e);
			if (rc != RC_OK || !more)
				break;
			read_event(s, sources[i].source, &ev);
			each(ctx, &ev);
		}
	}
	return rc;
}

/* ---- agents and queues ---- */

enum rc
store_admin_agents(struct store *s, struct admin_agent *a, size_t max, size_t *n, struct err *e)
{
	bool more = true;
	enum rc rc;

	*n = 0;
	rc = store_run(s, "admin_agents", NULL, 0, NULL, e);
	while (rc == RC_OK && more) {
		struct reader in = { s->cols };
		struct admin_agent *one = &a[*n];

		rc = store_next(s, &more, e);
		if (rc != RC_OK || !more || *n == max)
			continue;
		memset(one, 0, sizeof *one);
		GET_TEXT(&in, one->id);
		GET_TEXT(&in, one->host);
		GET_TEXT(&in, one->version);
		GET_TEXT(&in, one->state);
		GET_TEXT(&in, one->channels);
		GET_TEXT(&in, one->last_error);
		one->pid = get_i64(&in);
		one->is_live = get_i64(&in) != 0;
		one->since_beat_ms = -get_i64(&in);
		one->waiting = get_i64(&in);
		(*n)++;
	}
	return rc;
}

enum rc
store_admin_ahead(struct store *s, const struct admin_row *r, int64_t limit, int64_t *n,
		  struct err *e)
{
	const struct db_value args[] = { store_v_text(r->type), v_int(r->priority),
					 v_int(r->msg_id), v_int(limit) };
	bool found;
	enum rc rc = store_one(s, "admin_ahead", args, COUNT_OF(args), &found, e);

	*n = rc == RC_OK && found ? s->cols[0].i : 0;
	return rc;
}

/* ---- ids ---- */

static enum rc
read_ids(struct store *s, int64_t *ids, size_t max, size_t *n, struct err *e)
{
	bool more = true;
	enum rc rc = RC_OK;

	while (rc == RC_OK && more) {
		rc = store_next(s, &more, e);
		if (rc == RC_OK && more && *n < max)
			ids[(*n)++] = s->cols[0].i;
	}
	return rc;
}

enum rc
store_admin_ids_by_key(struct store *s, const char *req_key, int64_t *ids, size_t max, size_t *n,
		       struct err *e)
{
	const struct db_value args[] = { store_v_text(req_key), store_v_text(req_key) };
	enum rc rc = store_run(s, "admin_ids_by_key", args, COUNT_OF(args), NULL, e);

	*n = 0;
	return rc == RC_OK ? read_ids(s, ids, max, n, e) : rc;
}

enum rc
store_admin_ids_by_group(struct store *s, const char *group_key, int64_t after, int64_t *ids,
			 size_t max, size_t *n, struct err *e)
{
	const struct db_value args[] = { v_int(after), store_v_text(group_key),
					 v_int((int64_t)max) };
	enum rc rc = store_run(s, "admin_ids_by_group", args, COUNT_OF(args), NULL, e);

	*n = 0;
	return rc == RC_OK ? read_ids(s, ids, max, n, e) : rc;
}

enum rc
store_admin_insert(struct store *s, const struct admin_new *m, int64_t *msg_id, struct err *e)
{
	const struct db_value args[] = { store_v_text(m->req_key), store_v_text(m->type),
					 store_v_text(m->sender),  store_v_text(m->recipient),
					 store_v_some(m->subject), store_v_text(m->body) };
	size_t n = 0;
	enum rc rc;

	*msg_id = 0;
	rc = store_begin(s, e);
	if (rc == RC_OK)
		rc = store_run(s, "admin_insert", args, COUNT_OF(args), NULL, e);
	if (rc == RC_OK)
		rc = store_admin_ids_by_key(s, m->req_key, msg_id, 1, &n, e);
	if (rc == RC_OK && n != 1)
		rc = err_set(e, RC_BUG, 0, "store.insert",
			     "the test message is not there after its INSERT: a trigger on %ssend?",
			     s->cfg->prefix);
	if (rc == RC_OK)
		rc = store_commit(s, e);
	if (rc != RC_OK)
		store_rollback(s);
	return rc;
}

/* ---- cancellation ---- */

/* What is left of the ids without those that were seen; both ascending. */
static size_t
without(const struct db_value *all, size_t n, const int64_t *seen, size_t nseen,
	struct db_value *out)
{
	size_t k = 0, left = 0;

	for (size_t i = 0; i < n; i++) {
		while (k < nseen && seen[k] < all[i].i)
			k++;
		if (k == nseen || seen[k] != all[i].i)
			out[left++] = all[i];
	}
	return left;
}

static enum rc
cancel_in_tx(struct store *s, const struct db_value *ids, size_t n, struct admin_cancel *sum,
	     struct err *e)
{
	int64_t seen[ADMIN_IDS_MAX];
	struct db_value rest[ADMIN_IDS_MAX];
	size_t nseen = 0, nrest, ndone = 0;
	bool more = true;
	enum rc rc;

	rc = store_run_list(s, "admin_lock", NULL, 0, ids, n, NULL, e);
	while (rc == RC_OK && more) {
		rc = store_next(s, &more, e);
		if (rc != RC_OK || !more || nseen == COUNT_OF(seen))
			continue;
		seen[nseen++] = s->cols[0].i;
		switch (s->cols[1].i) {
		case ROW_READY:
		case ROW_DEFERRED:
			sum->waiting++;
			break;
		case ROW_SENDING:
			sum->claimed++;
			break;
		default:
			sum->too_late++;
			break;
		}
	}
	if (rc == RC_OK && sum->waiting + sum->claimed > 0)
		rc = store_run_list(s, "admin_cancel", NULL, 0, ids, n, NULL, e);
	nrest = without(ids, n, seen, nseen, rest);
	if (rc == RC_OK && nrest > 0) {
		rc = store_run_list(s, "admin_result_ids", NULL, 0, rest, nrest, NULL, e);
		if (rc == RC_OK)
			rc = read_ids(s, seen, COUNT_OF(seen), &ndone, e);
	}
	sum->done += (int64_t)ndone;
	sum->unknown += (int64_t)(nrest - ndone);
	return rc;
}

enum rc
store_admin_cancel(struct store *s, const int64_t *ids, size_t n, struct admin_cancel *sum,
		   struct err *e)
{
	struct db_value list[ADMIN_IDS_MAX];
	struct admin_cancel one = { 0 };
	enum rc rc;

	if (n == 0 || n > COUNT_OF(list))
		return err_set(e, RC_BUG, 0, "store.cancel", "asked for %zu rows at once", n);
	for (size_t i = 0; i < n; i++)
		list[i] = v_int(ids[i]);
	rc = store_begin(s, e);
	if (rc == RC_OK)
		rc = cancel_in_tx(s, list, n, &one, e);
	if (rc == RC_OK)
		rc = store_commit(s, e);
	if (rc != RC_OK) {
		store_rollback(s);
		return rc;
	}
	sum->waiting += one.waiting;
	sum->claimed += one.claimed;
	sum->too_late += one.too_late;
	sum->done += one.done;
	sum->unknown += one.unknown;
	return RC_OK;
}
