#include "config.h"
#include "agent/store_admin.h"
#include <inttypes.h>
#include <string.h>
#include "agent/store_int.h"
#include "agent/text.h"

/* DIAGNOSTICS: what the statements return goes up unchanged; RC_CONFIG with SQLSTATE 42501 (MySQL
 * 1142, 1143) when the login lacks the right. */

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
		ev->part = get_int(&in);
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

/* ---- what an operator decides ---- */

enum rc
store_admin_open(struct store *s, enum row_status status, struct admin_open *rows, size_t max,
		 size_t *n, struct err *e)
{
	const struct db_value args[] = { v_int(status), v_int((int64_t)max) };
	bool more = true;
	enum rc rc = store_run(s, "admin_open", args, COUNT_OF(args), NULL, e);

	*n = 0;
	while (rc == RC_OK && more) {
		struct reader in = { s->cols };
		struct admin_open *r = &rows[*n];

		rc = store_next(s, &more, e);
		if (rc != RC_OK || !more || *n == max)
			continue;
		memset(r, 0, sizeof *r);
		r->status = status;
		r->msg_id = get_i64(&in);
		GET_TEXT(&in, r->type);
		GET_TEXT(&in, r->recipient);
		GET_TEXT(&in, r->owner);
		GET_TEXT(&in, r->channel);
		GET_TEXT(&in, r->client_key);
		GET_TEXT(&in, r->hold_code);
		GET_TEXT(&in, r->pend_class);
		GET_TEXT(&in, r->pend_code);
		r->try_no = get_int(&in);
		r->since_ms = get_i64(&in);
		r->due_ms = get_i64(&in);
		r->due_in_ms = get_i64(&in);
		(*n)++;
	}
	return rc;
}

static enum rc
lock_row(struct store *s, int64_t msg_id, bool *found, struct err *e)
{
	const struct db_value id = v_int(msg_id);
	bool more = true;
	enum rc rc = store_run_list(s, "admin_lock", NULL, 0, &id, 1, NULL, e);

	*found = false;
	while (rc == RC_OK && more) {
		rc = store_next(s, &more, e);
		*found = *found || (rc == RC_OK && more);
	}
	return rc;
}

static bool
has_outcome(const struct row_state *st)
{
	return st->pend_class[0] != '\0' && strcmp(st->pend_class, "OPEN") != 0;
}

/* Whether the provider recognises the key of the open attempt as long as the message may be sent:
 * the claim comes later, and looks at nothing but the expiry. A tenth of the window is kept as a
 * margin for clocks that are not ours. */
static bool
is_recognised(const struct admin_order *o, const struct row_state *st)
{
	return o->dedup_window_ms > 0 && o->channel != NULL &&
	       strcmp(o->channel, st->row.channel) == 0 && st->open_tries == 0 && !st->own_closed &&
	       st->row.since_first_ms + o->row.expire_in_ms <
		       o->dedup_window_ms - o->dedup_window_ms / 10;
}

static enum admin_refusal
refuse_attempt(const struct store *s, struct admin_order *o, const struct row_state *st)
{
	if (o->row.is_cancelled)
		return ADMIN_CANCELLED;
	if (o->row.send_ms != 0 && o->row.expire_in_ms <= 0)
		return ADMIN_EXPIRED;
	if (o->verdict == ADMIN_RESEND && o->until_close_ms <= s->cfg->row_lease_ms)
		return ADMIN_CLOSES;
	o->keeps_key = o->verdict == ADMIN_RESEND && is_recognised(o, st);
	if (!o->keeps_key && st->row.generation >= KEY_GENERATION_MAX)
		return ADMIN_KEYS_USED;
	if (o->verdict == ADMIN_RESEND && !o->keeps_key && !o->may_come_twice)
		return ADMIN_MAY_COME_TWICE;
	return ADMIN_DONE;
}

static enum admin_refusal
refuse(const struct store *s, struct admin_order *o, const struct row_state *st)
{
	const char *key = st->row.client_key;
	enum row_status status = (enum row_status)st->row.status;
	bool is_requeue = o->verdict == ADMIN_REQUEUE;
	struct key_parts k;

	if (status != ROW_HELD && (status != ROW_UNKNOWN || is_requeue))
		return ADMIN_WRONG_STATUS;
	/* Refused by our own rules before its first claim, a row has no key. */
	if (st->row.fence == 0 || (key[0] == '\0' && !is_requeue) ||
	    (key[0] != '\0' && (!key_decode(key, strlen(key), &k) || k.msg_id != st->row.msg_id)))
		return ADMIN_NOT_OURS;
	if (is_requeue) {
		if (!has_outcome(st) || st->open_tries > 0)
			return ADMIN_ATTEMPT_OPEN;
		if (strcmp(st->pend_class, "FAIL") != 0)
			return ADMIN_OUTCOME_KNOWN;
	} else if (has_outcome(st)) {
		return ADMIN_OUTCOME_KNOWN;
	}
	if (is_requeue || o->verdict == ADMIN_RESEND)
		return refuse_attempt(s, o, st);
	return ADMIN_DONE;
}

/* The key of the attempt that was taken: the row's own, unless that one was refused; then the
 * youngest open one of mt_try. */
static enum rc
taken_key(struct store *s, const struct row_state *st, char *key, size_t size, struct err *e)
{
	const struct db_value id = v_int(st->row.msg_id);
	int64_t youngest = 0;
	bool more = true;
	enum rc rc = RC_OK;

	(void)text_copy(key, size, st->row.client_key);
	if (!st->own_closed)
		return RC_OK;
	rc = store_run_list(s, "try_by_msg", NULL, 0, &id, 1, NULL, e);
	while (rc == RC_OK) {
		char created[32], outcome[16];

		rc = store_next(s, &more, e);
		if (rc != RC_OK || !more)
			break;
		(void)store_col_text(&s->cols[2], created, sizeof created);
		(void)store_col_text(&s->cols[5], outcome, sizeof outcome);
		if (s->cols[0].i <= youngest || s->cols[3].i != st->row.leg ||
		    strcmp(created, st->created_at) != 0 ||
		    (strcmp(outcome, "OPEN") != 0 && strcmp(outcome, "ACCEPTED") != 0))
			continue;
		youngest = s->cols[0].i;
		(void)store_col_text(&s->cols[4], key, size);
	}
	return rc;
}

/* The changes that the agent makes itself, for the same reasons and with the same consequences:
 * kept reports are looked at, attempts are told apart. */
static enum rc
decide_by_change(struct store *s, const struct admin_order *o, const struct row_state *st,
		 struct err *e)
{
	char key[CLIENT_KEY_LEN + 1];
	struct change c = { .kind = o->verdict == ADMIN_SENT ? CHANGE_ACCEPT : CHANGE_RESULT,
			    .msg_id = o->msg_id,
			    .fence = st->row.fence,
			    .leg = st->row.leg,
			    .try_no = st->row.try_no,
			    .client_key = key,
			    .new_type = MSG_TYPE_NONE };
	struct work w = { .c = &c };
	enum rc rc = RC_OK;

	(void)text_copy(key, sizeof key, st->row.client_key);
	(void)text_copy(c.channel, sizeof c.channel, st->row.channel);
	if (o->verdict == ADMIN_SENT) {
		rc = taken_key(s, st, key, sizeof key, e);
		/* An older attempt has its own in mt_try. */
		if (strcmp(key, st->row.client_key) != 0)
			c.channel[0] = '\0';
	} else {
		c.class = RESULT_UNKNOWN;
		(void)text_copy(c.code, sizeof c.code, "8002");
		(void)text_copy(c.text, sizeof c.text,
				"outcome of the hand-over unknown, closed by an operator");
	}
	if (rc == RC_OK)
		rc = store_apply_all(s, &w, 1, e);
	if (rc == RC_OK && c.answer != CHANGED)
		rc = err_set(e, RC_AGAIN, 0, "store.decide",
			     "message %" PRId64 " moved on meanwhile", o->msg_id);
	return rc;
}

/* What was sent so far becomes one of mt_try, and the row gets the key of the next generation:
 * reports of both are told apart from now on, before the next attempt is claimed. */
static enum rc
decide_again(struct store *s, const struct admin_order *o, const struct row_state *st,
	     struct err *e)
{
	const bool is_requeue = o->verdict == ADMIN_REQUEUE;
	const char *outcome = is_requeue ? "FAILED" : "OPEN";
	const struct db_value try_args[] = { store_v_text(outcome), store_v_text(outcome),
					     is_requeue ? store_v_some(st->pend_code) : v_null(),
					     v_int(o->msg_id), v_int(st->row.fence) };
	char key[CLIENT_KEY_LEN + 1] = "";
	struct key_parts k;
	struct db_value args[6];
	int64_t affected = 0;
	size_t n = 0;
	enum rc rc = RC_OK;

	(void)text_copy(key, sizeof key, st->row.client_key);
	if (!o->keeps_key && key_decode(key, strlen(key), &k)) {
		k.generation = (unsigned)st->row.generation + 1;
		key_encode(&k, key);
		if (!st->own_closed)
			rc = store_run(s, "try_add", try_args, COUNT_OF(try_args), NULL, e);
	}
	args[n++] = v_int(st->row.generation + (o->keeps_key ? 0 : 1));
	args[n++] = store_v_some(key);
	if (!is_requeue) {
		args[n++] = o->keeps_key ? store_v_some(st->row.channel) : v_null();
		args[n++] = o->keeps_key ? store_v_text("OPEN") : v_null();
	}
	args[n++] = v_int(o->msg_id);
	args[n++] = v_int(st->row.fence);
	if (rc == RC_OK)
		rc = store_run(
			s,
			transition_get(is_requeue ? TRANSITION_OP_REQUEUE : TRANSITION_OP_RESEND)
				->statement,
			args, n, &affected, e);
	if (rc == RC_OK && affected != 1)
		rc = err_set(e, RC_AGAIN, 0, "store.decide",
			     "message %" PRId64 " moved on meanwhile", o->msg_id);
	return rc;
}

static enum rc
note_decision(struct store *s, const struct admin_order *o, const struct row_state *st,
	      struct err *e)
{
	static const struct {
		const char *event;
		int to;
	} words[] = {
		[ADMIN_SENT] = { "op_sent", ROW_ACCEPTED },
		[ADMIN_FAILED] = { "op_failed", -1 },
		[ADMIN_RESEND] = { "op_resend", ROW_READY },
		[ADMIN_REQUEUE] = { "op_requeue", ROW_READY },
	};
	const struct history h = {
		.msg_id = o->msg_id,
		.created_at = st->created_at,
		.event = words[o->verdict].event,
		.who = o->by,
		.code = o->verdict == ADMIN_FAILED ? "8002" : o->row.hold_code,
		.client_key = st->row.client_key,
		.channel = st->row.channel,
		.reason = o->reason,
		.from = st->row.status,
		.to = words[o->verdict].to,
		.leg = st->row.leg,
		.try_no = st->row.try_no,
	};

	return store_history(s, &h, e);
}

static enum rc
decide_in_tx(struct store *s, struct admin_order *o, struct err *e)
{
	struct row_state st;
	bool found = false;
	enum rc rc = lock_row(s, o->msg_id, &found, e);

	o->refusal = ADMIN_NO_ROW;
	if (rc == RC_OK && found)
		rc = store_admin_row(s, o->msg_id, &o->row, &found, e);
	if (rc == RC_OK && found)
		rc = store_states(s, &o->msg_id, 1, &st, &found, e);
	if (rc != RC_OK || !found)
		return rc;
	o->until_close_ms = st.row.until_close_ms;
	o->refusal = refuse(s, o, &st);
	if (o->refusal != ADMIN_DONE)
		return RC_OK;
	/* Before the change: afterwards there may be no row to hold still any more. */
	rc = note_decision(s, o, &st, e);
	if (rc != RC_OK)
		return rc;
	if (o->verdict == ADMIN_SENT || o->verdict == ADMIN_FAILED)
		return decide_by_change(s, o, &st, e);
	return decide_again(s, o, &st, e);
}

enum rc
store_admin_decide(struct store *s, struct admin_order *o, struct err *e)
{
	enum rc rc = store_begin(s, e);

	o->keeps_key = false;
	if (rc == RC_OK)
		rc = decide_in_tx(s, o, e);
	if (rc == RC_OK && o->refusal == ADMIN_DONE)
		rc = store_commit(s, e);
	if (rc != RC_OK || s->in_tx)
		store_rollback(s);
	return rc;
}
