#include "config.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "agent/blackbox.h"
#include "agent/store_int.h"
#include "agent/text.h"

/* Recovery, care and the walk over waiting rows. Every step finds rows by an index, at most
 * limit of them, and changes them by msg_id and fence in a short transaction of its own, so that
 * a table with a million rows and a busy application notice nothing. Whether a lease is over is
 * the database's word.
 *
 * DIAGNOSTICS: the first failing step ends the call; what the steps before it did stays done. */

#define STEP_MAX STORE_LIST_MAX
#define TYPES_PER_PASS 64

struct candidate {
	int64_t msg_id, fence;
	bool is_foreign;
};

/* Rows of a statement whose first columns are msg_id and fence, and perhaps client_key behind
 * them. */
static enum rc
collect(struct store *s, const char *statement, const struct db_value *args, size_t nargs,
	bool has_key, struct candidate *out, size_t max, size_t *n, struct err *e)
{
	bool more = true;
	enum rc rc = store_run(s, statement, args, nargs, NULL, e);

	*n = 0;
	while (rc == RC_OK) {
		struct candidate *c;

		rc = store_next(s, &more, e);
		if (rc != RC_OK || !more || *n == max)
			break;
		c = &out[(*n)++];
		c->msg_id = s->cols[0].i;
		c->fence = s->cols[1].i;
		c->is_foreign = has_key && store_is_foreign(c->msg_id, c->fence, &s->cols[2]);
	}
	return rc;
}

static int
by_msg(const void *a, const void *b)
{
	const struct candidate *x = a;
	const struct candidate *y = b;

	return x->msg_id < y->msg_id ? -1 : x->msg_id > y->msg_id;
}

/* Drops those that are foreign (or those that are not). */
static size_t
only(struct candidate *c, size_t n, bool foreign)
{
	size_t left = 0;

	for (size_t i = 0; i < n; i++)
		if (c[i].is_foreign == foreign)
			c[left++] = c[i];
	return left;
}

static enum rc
commit_care(struct store *s, struct err *e)
{
	enum rc rc = store_fault(FAILPOINT(care_before_commit), "store.care", e);

	if (rc == RC_OK)
		rc = store_commit(s, e);
	if (rc == RC_OK)
		rc = store_fault(FAILPOINT(care_after_commit), "store.care", e);
	return rc;
}

/* Leaves out the candidates that somebody else holds. */
static enum rc
without_locked(struct store *s, struct candidate *c, size_t *n, bool *known, struct err *e)
{
	int64_t ids[STEP_MAX];
	bool is_locked[STEP_MAX];
	size_t left = 0;
	enum rc rc;

	for (size_t i = 0; i < *n; i++)
		ids[i] = c[i].msg_id;
	rc = store_find_locked(s, ids, *n, is_locked, known, e);
	if (rc != RC_OK || !*known)
		return rc;
	for (size_t i = 0; i < *n; i++)
		if (!is_locked[i])
			c[left++] = c[i];
	*n = left;
	return RC_OK;
}

/* One compare-and-set for each row, in one transaction. */
static enum rc
change_rows(struct store *s, const char *statement, struct candidate *c, size_t n, int64_t *count,
	    struct err *e)
{
	struct db_value args[2 * STEP_MAX];
	int64_t affected[STEP_MAX];
	struct err why;
	bool known, around = false;
	enum rc rc;

again:
	if (n == 0)
		return RC_OK;
	qsort(c, n, sizeof *c, by_msg);
	for (size_t i = 0; i < n; i++) {
		args[2 * i] = v_int(c[i].msg_id);
		args[2 * i + 1] = v_int(c[i].fence);
	}
	rc = store_begin(s, e);
	if (rc != RC_OK)
		return rc;
	rc = store_run_many(s, statement, args, n, affected, &why);
	if (rc == RC_OK)
		rc = commit_care(s, &why);
	if (rc != RC_OK)
		store_rollback(s);
	/* Rows that somebody holds must not keep the others from their turn. */
	if (rc == RC_AGAIN && store_is_locked(&why) && !around) {
		around = true;
		rc = without_locked(s, c, &n, &known, e);
		if (rc != RC_OK)
			return rc;
		if (known)
			goto again;
		rc = RC_AGAIN;
	}
	if (rc != RC_OK && e != NULL)
		*e = why;
	for (size_t i = 0; rc == RC_OK && i < n; i++)
		*count += affected[i];
	return rc;
}

static size_t
bounded(unsigned limit)
{
	if (limit == 0)
		return 1;
	return limit < STEP_MAX ? limit : STEP_MAX;
}

/* ---- steps of care ---- */

static enum rc
make_new(struct store *s, size_t limit, int64_t *count, struct err *e)
{
	enum rc rc = RC_OK;

	for (int status = ROW_SENDING; rc == RC_OK && status <= ROW_DEFERRED; status++) {
		const struct db_value args[] = { v_int(status), v_int((int64_t)limit) };
		struct candidate found[STEP_MAX];
		size_t n, foreign;

		rc = collect(s, "foreign_due", args, COUNT_OF(args), true, found, limit, &n, e);
		if (rc == RC_OK)
			rc = change_rows(s, "foreign_new", found, only(found, n, true), count, e);
		if (rc == RC_OK)
			rc = collect(s, "foreign_null", args, COUNT_OF(args), true, found, limit,
				     &n, e);
		if (rc != RC_OK || n == 0)
			continue;
		{
			struct candidate ours[STEP_MAX];

			memcpy(ours, found, n * sizeof *ours);
			foreign = only(found, n, true);
			/* Somebody wrote NULL over a row of the agent's: its ordinary way goes
			 * on now. */
			rc = change_rows(s, "due_repair", ours, only(ours, n, false), count, e);
		}
		if (rc == RC_OK)
			rc = change_rows(s, "foreign_new", found, foreign, count, e);
	}
	return rc;
}

static enum rc
end_leases(struct store *s, size_t limit, int64_t *count, struct err *e)
{
	const struct db_value args[] = { store_v_text(s->cfg->agent_id), v_int((int64_t)limit) };
	struct candidate found[STEP_MAX];
	size_t n;
	enum rc rc = collect(s, "lease_over", args, COUNT_OF(args), true, found, limit, &n, e);

	if (rc == RC_OK)
		rc = change_rows(s, "lease_unknown", found, only(found, n, false), count, e);
	return rc;
}

static enum rc
end_deferral(struct store *s, size_t limit, int64_t *count, struct err *e)
{
	const struct db_value args[] = { v_int((int64_t)limit) };
	struct candidate found[STEP_MAX];
	size_t n;
	enum rc rc = collect(s, "deferred_due", args, COUNT_OF(args), false, found, limit, &n, e);

	if (rc == RC_OK)
		rc = change_rows(s, "deferred_ready", found, n, count, e);
	return rc;
}

/* Rows whose outcome is decided by time or was decided before; the strings that a change points
 * to are in keys. */
struct closing {
	struct change c[STEP_MAX];
	char keys[STEP_MAX][CLIENT_KEY_LEN + 1];
	size_t n;
};

static enum rc
settle(struct store *s, struct closing *k, int64_t *count, struct err *e)
{
	enum rc rc = store_apply(s, k->c, k->n, e);

	for (size_t i = 0; rc == RC_OK && i < k->n; i++)
		if (k->c[i].answer == CHANGED)
			(*count)++;
	return rc;
}

static struct change *
next_change(struct store *s, struct closing *k)
{
	struct change *c = &k->c[k->n];

	memset(c, 0, sizeof *c);
	c->kind = CHANGE_RESULT;
	c->new_type = MSG_TYPE_NONE;
	c->msg_id = s->cols[0].i;
	c->fence = s->cols[1].i;
	c->leg = (int32_t)s->cols[2].i;
	c->try_no = (int32_t)s->cols[3].i;
	(void)store_col_text(&s->cols[4], k->keys[k->n], sizeof k->keys[0]);
	/* The fence is enough for a row whose settling ended the process. */
	if (blackbox_shuns_in(c->msg_id, 1u << BOX_SETTLE))
		k->keys[k->n][0] = '\0';
	c->client_key = k->keys[k->n];
	(void)store_col_text(&s->cols[5], c->channel, sizeof c->channel);
	k->n++;
	return c;
}

static enum rc
close_status(struct store *s, int status, size_t limit, struct closing *k, int64_t *count,
	     struct err *e)
{
	const struct db_value args[] = { v_int(status), v_int(s->cfg->close_after_ms),
					 v_int((int64_t)limit) };
	bool more = true;
	enum rc rc = store_run(s, "close_due", args, COUNT_OF(args), NULL, e);

	k->n = 0;
	while (rc == RC_OK) {
		rc = store_next(s, &more, e);
		if (rc != RC_OK || !more || k->n == limit)
			break;
		if (!store_is_foreign(s->cols[0].i, s->cols[1].i, &s->cols[4])) {
			struct change *c = next_change(s, k);

			c->class = RESULT_UNKNOWN;
			(void)text_copy(c->code, sizeof c->code,
					status == ROW_ACCEPTED ? "8001" : "8002");
		}
	}
	return rc == RC_OK && k->n > 0 ? settle(s, k, count, e) : rc;
}

static enum rc
close_all(struct store *s, size_t limit, struct closing *k, int64_t *count, struct err *e)
{
	static const int statuses[] = { ROW_ACCEPTED, ROW_UNKNOWN, ROW_HELD, ROW_SENDING };
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < COUNT_OF(statuses); i++)
		rc = close_status(s, statuses[i], limit, k, count, e);
	return rc;
}

static enum result_class
class_of(const struct db_value *v)
{
	if (v->n == 2)
		return RESULT_OK;
	return v->n == 4 ? RESULT_FAIL : RESULT_UNKNOWN;
}

static enum rc
settle_pending(struct store *s, size_t limit, struct closing *k, int64_t *count, struct err *e)
{
	const struct db_value args[] = { v_int((int64_t)limit) };
	bool more = true;
	enum rc rc = store_run(s, "pend_due", args, COUNT_OF(args), NULL, e);

	k->n = 0;
	while (rc == RC_OK) {
		struct change *c;

		rc = store_next(s, &more, e);
		if (rc != RC_OK || !more || k->n == limit)
			break;
		c = next_change(s, k);
		c->class = class_of(&s->cols[6]);
		(void)store_col_text(&s->cols[7], c->code, sizeof c->code);
		(void)store_col_text(&s->cols[8], c->provider_id, sizeof c->provider_id);
	}
	return rc == RC_OK && k->n > 0 ? settle(s, k, count, e) : rc;
}

/* A page of the kept reports, from where the last pass ended. */
static enum rc
match_reports(struct store *s, size_t limit, int64_t *count, struct err *e)
{
	const struct db_value args[] = { v_int(s->report_cursor), v_int((int64_t)limit) };
	struct kept_report *kept = NULL;
	struct report_item *items = calloc(limit, sizeof *items);
	size_t n = 0;
	size_t matched = 0;
	enum rc rc;

	if (items == NULL)
		return err_set(e, RC_NOMEM, 0, "store.care", "no memory");
	rc = store_kept_page(s, args, COUNT_OF(args), &kept, &n, e);
	s->report_cursor = rc == RC_OK && n == limit ? kept[n - 1].id : 0;
	for (size_t i = 0; rc == RC_OK && i < n; i++)
		items[i].r = kept[i].r;
	if (rc == RC_OK)
		rc = store_reports(s, items, n, e);
	for (size_t i = 0; rc == RC_OK && i < n; i++)
		if (items[i].msg_id != 0)
			kept[matched++] = kept[i];
	if (rc == RC_OK && matched > 0)
		rc = store_kept_drop(s, kept, matched, e);
	if (rc == RC_OK)
		*count += (int64_t)matched;
	free(items);
	free(kept);
	return rc;
}

static enum rc
drop_ids(struct store *s, const char *statement, const struct db_value *ids, size_t n,
	 int64_t *count, struct err *e)
{
	int64_t affected = 0;
	enum rc rc;

	if (n == 0)
		return RC_OK;
	rc = store_run_list(s, statement, NULL, 0, ids, n, &affected, e);
	if (rc == RC_OK)
		*count += affected;
	return rc;
}

static enum rc
purge(struct store *s, size_t limit, int64_t *count, struct err *e)
{
	const struct db_value report_args[] = { v_int(s->cfg->late_ms), v_int((int64_t)limit) };
	const struct db_value try_args[] = { v_int(s->cfg->close_after_ms + s->cfg->late_ms),
					     v_int(s->try_cursor), v_int((int64_t)limit) };
	struct db_value ids[STEP_MAX];
	size_t n = 0;
	size_t seen = 0;
	int64_t last = 0;
	bool more = true;
	enum rc rc = store_run(s, "purge_reports", report_args, COUNT_OF(report_args), NULL, e);

	while (rc == RC_OK) {
		rc = store_next(s, &more, e);
		if (rc != RC_OK || !more || n == limit)
			break;
		ids[n++] = v_int(s->cols[0].i);
	}
	if (rc == RC_OK)
		rc = drop_ids(s, "report_drop", ids, n, count, e);
	if (rc == RC_OK)
		rc = store_run(s, "purge_tries", try_args, COUNT_OF(try_args), NULL, e);
	n = 0;
	while (rc == RC_OK) {
		rc = store_next(s, &more, e);
		if (rc != RC_OK || !more || seen == limit)
			break;
		seen++;
		last = s->cols[0].i;
		if (s->cols[1].i == 1)
			ids[n++] = v_int(last);
	}
	s->try_cursor = rc == RC_OK && seen == limit ? last : 0;
	if (rc == RC_OK)
		rc = drop_ids(s, "try_drop", ids, n, count, e);
	return rc;
}

/* ---- how types are written ---- */

struct written {
	int64_t msg_id, fence;
	enum msg_type type;
	int64_t priority;
};

static enum rc
write_forms(struct store *s, const struct written *w, size_t n, int64_t *count, struct err *e)
{
	struct db_value args[4 * STEP_MAX];
	int64_t affected[STEP_MAX];
	enum rc rc;

	if (n == 0)
		return RC_OK;
	for (size_t i = 0; i < n; i++) {
		args[4 * i] = store_v_text(msg_type_name(w[i].type));
		args[4 * i + 1] = v_int(w[i].priority);
		args[4 * i + 2] = v_int(w[i].msg_id);
		args[4 * i + 3] = v_int(w[i].fence);
	}
	rc = store_begin(s, e);
	if (rc != RC_OK)
		return rc;
	rc = store_run_many(s, "walk_form", args, n, affected, e);
	if (rc == RC_OK)
		rc = commit_care(s, e);
	if (rc != RC_OK)
		store_rollback(s);
	for (size_t i = 0; rc == RC_OK && i < n; i++)
		*count += affected[i];
	return rc;
}

static enum rc
form_of_rows(struct store *s, const char *statement, const struct db_value *args, size_t nargs,
	     enum msg_type t, size_t limit, int64_t *count, struct err *e)
{
	struct written w[STEP_MAX];
	size_t n = 0;
	bool more = true;
	enum rc rc = store_run(s, statement, args, nargs, NULL, e);

	while (rc == RC_OK) {
		rc = store_next(s, &more, e);
		if (rc != RC_OK || !more || n == limit)
			break;
		w[n++] = (struct written){ s->cols[0].i, s->cols[1].i, t, s->cols[2].i };
	}
	return rc == RC_OK ? write_forms(s, w, n, count, e) : rc;
}

/* "sms" and " SMS" stand in queues of their own that nobody claims from. Steps over the distinct
 * ways of writing by the index; the walk sees all the rest. */
static enum rc
write_types(struct store *s, size_t limit, int64_t *count, struct err *e)
{
	char word[64] = "";
	const struct db_value null_args[] = { v_int((int64_t)limit) };
	enum rc rc = form_of_rows(s, "type_null", null_args, 1, MSG_TYPE_AUTO, limit, count, e);

	for (int i = 0; rc == RC_OK && i < TYPES_PER_PASS; i++) {
		const struct db_value after[] = { store_v_text(word) };
		enum msg_type t;
		bool found;

		rc = store_one(s, "type_next", after, 1, &found, e);
		if (rc != RC_OK || !found || !store_col_text(&s->cols[0], word, sizeof word))
			break;
		t = msg_type_parse(word, strlen(word));
		if (t != MSG_TYPE_NONE && strcmp(word, msg_type_name(t)) != 0) {
			const struct db_value args[] = { store_v_text(word),
							 v_int((int64_t)limit) };

			rc = form_of_rows(s, "type_rows", args, COUNT_OF(args), t, limit, count, e);
		}
	}
	return rc;
}

enum rc
store_care(struct store *s, struct store_care *c, struct err *e)
{
	size_t limit = bounded(c->limit);
	struct closing *k = malloc(sizeof *k);
	enum rc rc;

	if (k == NULL)
		return err_set(e, RC_NOMEM, 0, "store.care", "no memory");
	c->leases = c->due = c->closed = c->kept_reports = c->purged = c->made_new =
		c->pend_settled = c->normalised = 0;
	rc = make_new(s, limit, &c->made_new, e);
	if (rc == RC_OK)
		rc = end_leases(s, limit, &c->leases, e);
	if (rc == RC_OK)
		rc = end_deferral(s, limit, &c->due, e);
	if (rc == RC_OK && !c->clock_is_doubted)
		rc = close_all(s, limit, k, &c->closed, e);
	if (rc == RC_OK)
		rc = match_reports(s, limit, &c->kept_reports, e);
	if (rc == RC_OK)
		rc = settle_pending(s, limit, k, &c->pend_settled, e);
	if (rc == RC_OK)
		rc = write_types(s, limit, &c->normalised, e);
	if (rc == RC_OK && !c->clock_is_doubted)
		rc = purge(s, limit, &c->purged, e);
	free(k);
	return rc;
}

/* ---- recovery ---- */

enum rc
store_list_own(struct store *s, int64_t after, bool overdue_only, struct store_row *rows,
	       size_t max, size_t *n, struct err *e)
{
	const struct db_value args[] = { v_int(s->cfg->close_after_ms),
					 store_v_text(s->cfg->agent_id), v_int(after),
					 v_int(overdue_only ? 0 : 1), v_int((int64_t)max) };
	bool more = true;
	enum rc rc = store_run(s, "list_own", args, COUNT_OF(args), NULL, e);

	*n = 0;
	while (rc == RC_OK) {
		struct row_state st;

		rc = store_next(s, &more, e);
		if (rc != RC_OK || !more || *n == max)
			break;
		store_state_from_cols(s, &st);
		rows[(*n)++] = st.row;
	}
	return rc;
}

enum rc
store_row_read(struct store *s, int64_t msg_id, struct store_row *row, bool *found, struct err *e)
{
	struct row_state st;
	enum rc rc = store_states(s, &msg_id, 1, &st, found, e);

	if (rc == RC_OK && *found)
		*row = st.row;
	return rc;
}

enum rc
store_is_message(struct store *s, int64_t msg_id, const char *client_key, bool *is, struct err *e)
{
	const struct db_value args[] = { v_int(s->cfg->body_cap_bytes), v_int(msg_id) };
	const struct db_value *c = s->cols;
	struct key_parts key, own;
	char created_at[32];
	bool found;
	enum rc rc;

	*is = true;
	if (!key_decode(client_key, strlen(client_key), &key))
		return RC_OK;
	rc = store_one(s, "row_words", args, COUNT_OF(args), &found, e);
	if (rc != RC_OK || !found)
		return rc;
	(void)store_col_text(&c[0], created_at, sizeof created_at);
	if (c[3].type == DB_NULL || !key_decode(c[3].p, c[3].n, &own))
		own.fingerprint = key_fingerprint(created_at, c[1].p, c[1].n, c[2].p, c[2].n);
	*is = own.fingerprint == key.fingerprint;
	return RC_OK;
}

static enum rc
take_rows(struct store *s, const struct candidate *c, size_t n, bool *taken, struct err *e)
{
	struct db_value args[6 * STEP_MAX];
	int64_t affected[STEP_MAX];
	enum rc rc;

	for (size_t i = 0; i < n; i++) {
		struct db_value *a = &args[6 * i];

		a[0] = store_v_text(s->cfg->agent_id);
		a[1] = v_int(s->cfg->incarnation);
		/* As long as somebody who took them may need to ask; after a kill they come back
		 * by themselves. */
		a[2] = v_int(s->cfg->row_lease_ms / 2);
		a[3] = v_int(s->cfg->close_after_ms);
		a[4] = v_int(c[i].msg_id);
		a[5] = v_int(c[i].fence);
	}
	rc = store_begin(s, e);
	if (rc != RC_OK)
		return rc;
	rc = store_run_many(s, "unknown_take", args, n, affected, e);
	if (rc == RC_OK)
		rc = commit_care(s, e);
	if (rc != RC_OK)
		store_rollback(s);
	for (size_t i = 0; rc == RC_OK && i < n; i++)
		taken[i] = affected[i] == 1;
	return rc;
}

enum rc
store_take_unknown(struct store *s, struct store_row *rows, size_t max, size_t *n, struct err *e)
{
	size_t limit = max < STEP_MAX ? max : STEP_MAX;
	const struct db_value args[] = { store_v_text(s->cfg->agent_id), v_int((int64_t)limit) };
	struct candidate found[STEP_MAX];
	struct row_state *st = NULL;
	int64_t ids[STEP_MAX];
	bool taken[STEP_MAX], there[STEP_MAX];
	size_t many, used = 0;
	enum rc rc = collect(s, "unknown_due", args, COUNT_OF(args), true, found, limit, &many, e);

	*n = 0;
	if (rc != RC_OK)
		return rc;
	many = only(found, many, false);
	if (many == 0)
		return RC_OK;
	qsort(found, many, sizeof found[0], by_msg);
	rc = take_rows(s, found, many, taken, e);
	for (size_t i = 0; rc == RC_OK && i < many; i++)
		if (taken[i])
			ids[used++] = found[i].msg_id;
	if (rc != RC_OK || used == 0)
		return rc;
	st = calloc(used, sizeof *st);
	if (st == NULL)
		return err_set(e, RC_NOMEM, 0, "store.take", "no memory");
	rc = store_states(s, ids, used, st, there, e);
	for (size_t i = 0; rc == RC_OK && i < used; i++)
		if (there[i] && st[i].row.status == ROW_UNKNOWN)
			rows[(*n)++] = st[i].row;
	free(st);
	return rc;
}

/* ---- accepted, and silent until near the close ---- */

/* In the order of the alphabet: a row is asked for once under each mark. */
static const char *const silent_marks[] = { "ASK1", "ASK2" };

static enum rc
mark_silent(struct store *s, const char *mark, const struct candidate *c, size_t n, bool *taken,
	    struct err *e)
{
	struct db_value args[4 * STEP_MAX];
	int64_t affected[STEP_MAX];
	enum rc rc;

	for (size_t i = 0; i < n; i++) {
		args[4 * i] = store_v_text(mark);
		args[4 * i + 1] = v_int(c[i].msg_id);
		args[4 * i + 2] = v_int(c[i].fence);
		args[4 * i + 3] = store_v_text(mark);
	}
	rc = store_begin(s, e);
	if (rc != RC_OK)
		return rc;
	rc = store_run_many(s, "silent_mark", args, n, affected, e);
	if (rc == RC_OK)
		rc = commit_care(s, e);
	if (rc != RC_OK)
		store_rollback(s);
	for (size_t i = 0; rc == RC_OK && i < n; i++)
		taken[i] = affected[i] == 1;
	return rc;
}

static enum rc
take_silent(struct store *s, int64_t lead_ms, const char *mark, struct store_row *rows, size_t max,
	    size_t *n, struct err *e)
{
	size_t limit = max < STEP_MAX ? max : STEP_MAX;
	const struct db_value args[] = { v_int(lead_ms), store_v_text(mark),
					 store_v_text(s->cfg->agent_id), v_int((int64_t)limit) };
	struct candidate found[STEP_MAX];
	struct row_state *st = NULL;
	int64_t ids[STEP_MAX];
	bool taken[STEP_MAX], there[STEP_MAX];
	size_t many, used = 0;
	enum rc rc = collect(s, "silent_due", args, COUNT_OF(args), true, found, limit, &many, e);

	*n = 0;
	if (rc != RC_OK)
		return rc;
	many = only(found, many, false);
	if (many == 0)
		return RC_OK;
	qsort(found, many, sizeof found[0], by_msg);
	rc = mark_silent(s, mark, found, many, taken, e);
	for (size_t i = 0; rc == RC_OK && i < many; i++)
		if (taken[i])
			ids[used++] = found[i].msg_id;
	if (rc != RC_OK || used == 0)
		return rc;
	st = calloc(used, sizeof *st);
	if (st == NULL)
		return err_set(e, RC_NOMEM, 0, "store.take", "no memory");
	rc = store_states(s, ids, used, st, there, e);
	for (size_t i = 0; rc == RC_OK && i < used; i++)
		if (there[i] && st[i].row.status == ROW_ACCEPTED)
			rows[(*n)++] = st[i].row;
	free(st);
	return rc;
}

enum rc
store_take_silent(struct store *s, int64_t lead_ms, struct store_row *rows, size_t max, size_t *n,
		  struct err *e)
{
	size_t last = 0;
	enum rc rc;

	/* Those nearest to their close first. */
	rc = take_silent(s, lead_ms / 4, silent_marks[1], rows, max, &last, e);
	*n = last;
	if (rc != RC_OK || last == max)
		return rc;
	rc = take_silent(s, lead_ms, silent_marks[0], rows + last, max - last, n, e);
	*n += last;
	return rc;
}

/* ---- the walk over waiting rows ---- */

static bool
is_covered(const struct store_walk *w, enum msg_type t, int64_t priority)
{
	for (size_t i = 0; i < w->queue_count; i++)
		if (w->queues[i].type == t && w->queues[i].priority == priority)
			return true;
	return false;
}

struct waiting {
	int64_t msg_id, fence, priority;
	int status;
	enum msg_type type;
	bool is_written_oddly, is_expired, is_cancelled;
};

/* In the order of schema/<dialect>/walk.sql. */
static void
read_waiting(const struct store *s, struct waiting *r)
{
	const struct db_value *c = s->cols;
	const char *name;
	bool no_priority = c[5].i == 1;

	r->msg_id = c[0].i;
	r->status = (int)c[1].i;
	r->fence = c[2].i;
	r->type = msg_type_parse(c[3].type == DB_NULL ? NULL : c[3].p, c[3].n);
	r->priority = no_priority ? 1 : c[4].i;
	name = msg_type_name(r->type);
	r->is_written_oddly = no_priority || c[6].i == 1 || c[3].type == DB_NULL ||
			      c[3].n != strlen(name) || memcmp(c[3].p, name, c[3].n) != 0;
	r->is_expired = c[7].i == 1;
	r->is_cancelled = c[8].i == 1;
}

/* "" when the row waits on. */
static const char *
verdict(const struct store_walk *w, const struct waiting *r)
{
	if (r->is_cancelled)
		return "3007";
	if (r->type == MSG_TYPE_NONE || r->priority < 0 || r->priority >= PRIORITY_COUNT)
		return "2006";
	if (r->is_expired)
		return is_covered(w, r->type, r->priority) ? "3008" : "2006";
	return "";
}

static void
judge(const struct store_walk *w, const struct waiting *r, struct closing *k, struct written *forms,
      size_t *nforms)
{
	const char *code = verdict(w, r);
	struct change *c;

	if (r->status != ROW_READY && r->status != ROW_DEFERRED)
		return;
	if (code[0] == '\0') {
		if (r->is_written_oddly)
			forms[(*nforms)++] =
				(struct written){ r->msg_id, r->fence, r->type, r->priority };
		return;
	}
	c = &k->c[k->n++];
	memset(c, 0, sizeof *c);
	c->kind = CHANGE_RESULT;
	c->new_type = MSG_TYPE_NONE;
	c->msg_id = r->msg_id;
	c->fence = r->fence;
	c->client_key = "";
	c->class = RESULT_FAIL;
	(void)text_copy(c->code, sizeof c->code, code);
}

enum rc
store_walk(struct store *s, struct store_walk *w, struct err *e)
{
	size_t step = bounded(w->step);
	const struct db_value args[] = { v_int(s->cfg->expire_after_ms),
					 v_int(s->cfg->close_after_ms), v_int(w->cursor),
					 v_int((int64_t)step) };
	struct written forms[STEP_MAX];
	struct closing *k = malloc(sizeof *k);
	size_t nforms = 0;
	size_t seen = 0;
	int64_t last = 0;
	bool more = true;
	enum rc rc;

	w->expired = w->cancelled = w->refused = w->normalised = 0;
	if (k == NULL)
		return err_set(e, RC_NOMEM, 0, "store.walk", "no memory");
	k->n = 0;
	rc = store_run(s, "walk", args, COUNT_OF(args), NULL, e);
	while (rc == RC_OK) {
		struct waiting r;

		rc = store_next(s, &more, e);
		if (rc != RC_OK || !more || seen == step)
			break;
		read_waiting(s, &r);
		judge(w, &r, k, forms, &nforms);
		last = r.msg_id;
		seen++;
	}
	if (rc == RC_OK)
		rc = write_forms(s, forms, nforms, &w->normalised, e);
	if (rc == RC_OK && k->n > 0)
		rc = store_apply(s, k->c, k->n, e);
	for (size_t i = 0; rc == RC_OK && i < k->n; i++) {
		if (k->c[i].answer != CHANGED)
			continue;
		if (strcmp(k->c[i].code, "3007") == 0)
			w->cancelled++;
		else if (strcmp(k->c[i].code, "3008") == 0)
			w->expired++;
		else
			w->refused++;
	}
	if (rc == RC_OK)
		w->cursor = seen == step ? last : 0;
	free(k);
	return rc;
}
