#include "config.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/blackbox.h"
#include "agent/clock.h"
#include "agent/store_int.h"
#include "agent/text.h"

/* How a change becomes SQL. Most of them go out as one statement a kind with compare-and-set on
 * the fence, and the row counts tell which rows moved on. Those, failures, and evidence that
 * knows no fence are decided one by one after the row was read; what was decided is again
 * compare-and-set, so a row that moves in between rolls everything back (RC_AGAIN).
 *
 * DIAGNOSTICS: RC_AGAIN: a row moved between reading and writing, or the database says so;
 * nothing was changed by this transaction. RC_DATA: one row at least is refused; store_apply()
 * halves until it stands alone. RC_BUG: a change that agent/transition.def does not know was
 * about to be made. */

#define PEND_RETRY_MS 60000
#define HOLD_DATABASE_FAULT "9001"

static struct db_value
type_value(enum msg_type t)
{
	return t < MSG_TYPE_COUNT ? store_v_text(msg_type_name(t)) : v_null();
}

static void
changed(struct work *w, int64_t fence)
{
	w->c->answer = CHANGED;
	w->c->new_fence = fence;
	w->report = REPORT_APPLIED;
}

static void
stale(struct work *w)
{
	w->c->answer = CHANGE_STALE;
	w->c->new_fence = w->has_state ? w->st->row.fence : 0;
	w->report = REPORT_KNOWN;
}

static bool
is_own_rule(const struct change *c)
{
	/* An answer or a report is the provider's, whatever code an operator's map gave it. 9003:
	 * left alone by us, and nothing of this attempt has left. */
	return !c->is_evidence &&
	       (c->code[0] == '2' || c->code[0] == '3' || strcmp(c->code, "9003") == 0);
}

static bool
allowed(enum transition_kind k, const struct work *w, struct err *e)
{
	if (transition_allows(k, w->st->row.status))
		return true;
	(void)err_set(e, RC_BUG, 0, "store.apply",
		      "message %" PRId64 " in status %d cannot go the way \"%s\"", w->c->msg_id,
		      w->st->row.status, transition_get(k)->sentence);
	return false;
}

/* ---- statements of the simple kinds ---- */

struct kind_sql {
	const char *statement;
	enum transition_kind transition;
	int to;
};

static const struct kind_sql kind_sql[] = {
	[CHANGE_ACCEPT] = { "accept", TRANSITION_ACCEPT, ROW_ACCEPTED },
	[CHANGE_UNKNOWN] = { "unknown", TRANSITION_UNKNOWN, ROW_UNKNOWN },
	[CHANGE_RELEASE] = { "release", TRANSITION_RELEASE, ROW_READY },
	[CHANGE_DEFER] = { "defer", TRANSITION_DEFER, ROW_DEFERRED },
	[CHANGE_LOOK] = { "look", TRANSITION_LOOK, ROW_UNKNOWN },
	[CHANGE_HOLD] = { "hold", TRANSITION_HOLD, ROW_HELD },
	[CHANGE_TOUCHED] = { "touched", TRANSITION_TOUCHED, ROW_UNKNOWN },
	[CHANGE_RESULT] = { "result_add", TRANSITION_RESULT, -1 },
};

#define ARGS_OF_KIND_MAX 12

static size_t
put_release(const struct store *s, struct db_value *a, const struct change *c, int64_t fence)
{
	size_t n = 0;

	if (c->kind == CHANGE_DEFER)
		a[n++] = v_int(c->delay_ms);
	for (int i = 0; i < 4; i++)
		a[n++] = v_int(c->keeps_attempt ? 1 : 0);
	a[n++] = type_value(c->new_type);
	a[n++] = v_int(c->new_generation ? 1 : 0);
	a[n++] = v_int(c->msg_id);
	a[n++] = v_int(fence);
	/* A fence comes again in a database that went back: perhaps it is another agent's by now.
	 */
	a[n++] = store_v_text(s->cfg->agent_id);
	return n;
}

/* The arguments of the statement of c's kind; returns how many. */
static size_t
put_args(const struct store *s, struct db_value *a, const struct change *c, int64_t fence)
{
	const struct db_value close = v_int(s->cfg->close_after_ms);
	size_t n = 0;

	switch (c->kind) {
	case CHANGE_ACCEPT:
		a[n++] = store_v_some(c->channel);
		a[n++] = store_v_some(c->provider_id);
		a[n++] = close;
		break;
	case CHANGE_UNKNOWN:
		a[n++] = store_v_some(c->channel);
		a[n++] = v_int(c->delay_ms);
		a[n++] = close;
		break;
	case CHANGE_RELEASE:
	case CHANGE_DEFER:
		return put_release(s, a, c, fence);
	case CHANGE_LOOK:
		a[n++] = v_int(c->delay_ms);
		a[n++] = close;
		break;
	case CHANGE_HOLD:
		a[n++] = store_v_some(c->hold_code);
		a[n++] = close;
		break;
	case CHANGE_TOUCHED: /* decided one by one */
	case CHANGE_RESULT:
		return 0;
	}
	a[n++] = v_int(c->msg_id);
	a[n++] = v_int(fence);
	if (c->kind == CHANGE_ACCEPT)
		a[n++] = store_v_text(c->client_key);
	return n;
}

/* ---- results ---- */

#define RESULT_ARGS 16

static void
put_result(const struct store *s, const struct work *w, struct db_value *a)
{
	const struct change *c = w->c;
	size_t k = 0;

	a[k++] = v_int(s->cfg->text_policy);
	a[k++] = v_int(s->cfg->text_policy);
	a[k++] = store_v_text(result_class_name(c->class));
	a[k++] = store_v_text(c->code);
	a[k++] = store_v_text(c->text[0] != '\0' ? c->text : result_text(c->code));
	a[k++] = store_v_some(c->provider_code);
	a[k++] = store_v_some(c->provider_id);
	a[k++] = store_v_some(c->client_key);
	a[k++] = store_v_some(c->carrier);
	a[k++] = c->parts > 0 ? v_int(c->parts) : v_null();
	a[k++] = store_v_some(c->channel);
	a[k++] = store_v_text(s->cfg->agent_id);
	a[k++] = v_int(is_own_rule(c) ? 0 : 1);
	a[k++] = store_v_some(c->done_at);
	a[k++] = v_int(c->msg_id);
	a[k++] = v_int(w->fence);
}

static enum rc
not_dropped(struct err *e)
{
	return err_set(e, RC_DATA, 0, "store.apply",
		       "a result was added and its row did not go; does a trigger hold it?");
}

/* *added: how many results and as many rows gone, of n; -1: not possible in this form. */
static enum rc
move_set(struct store *s, struct work **w, size_t n, const struct db_value *add, int64_t *added,
	 struct err *e)
{
	struct db_value drop[2 * STORE_LIST_MAX];
	int64_t dropped = 0;
	enum rc rc = store_run_set(s, "result_add", add, RESULT_ARGS, n, added, e);

	if (rc != RC_OK || *added <= 0)
		return rc;
	for (size_t i = 0; i < n; i++) {
		drop[2 * i] = v_int(w[i]->c->msg_id);
		drop[2 * i + 1] = v_int(w[i]->fence);
	}
	rc = store_run_set(s, "result_drop", drop, 2, n, &dropped, e);
	return rc == RC_OK && dropped != *added ? not_dropped(e) : rc;
}

static enum rc
add_and_drop(struct store *s, struct work **w, size_t n, bool *done, struct err *e)
{
	struct db_value drop[2 * STORE_LIST_MAX];
	int64_t met[STORE_LIST_MAX];
	int64_t moved;
	size_t rows = 0;
	enum rc rc;

	for (size_t i = 0; i < n; i++)
		put_result(s, w[i], &s->many[RESULT_ARGS * i]);
	rc = move_set(s, w, n, s->many, &moved, e);
	if (rc != RC_OK)
		return rc;
	for (size_t i = 0; moved >= 0 && i < n; i++)
		/* When some are missing, all are looked at: those that went have their result
		 * now. */
		done[i] = moved == (int64_t)n;
	if (moved >= 0)
		return RC_OK;
	rc = store_run_many(s, "result_add", s->many, n, met, e);
	if (rc != RC_OK)
		return rc;
	for (size_t i = 0; i < n; i++) {
		done[i] = met[i] == 1;
		if (!done[i])
			continue;
		drop[2 * rows] = v_int(w[i]->c->msg_id);
		drop[2 * rows + 1] = v_int(w[i]->fence);
		rows++;
	}
	if (rows == 0)
		return RC_OK;
	rc = store_run_many(s, "result_drop", drop, rows, met, e);
	for (size_t i = 0; rc == RC_OK && i < rows; i++)
		if (met[i] != 1)
			rc = not_dropped(e);
	return rc;
}

/* done[i] false: the row is not there under that fence. */
static enum rc
write_results(struct store *s, struct work **w, size_t n, bool *done, struct err *e)
{
	enum rc rc = RC_OK;

	for (size_t from = 0; rc == RC_OK && from < n; from += STORE_LIST_MAX) {
		size_t here = n - from < STORE_LIST_MAX ? n - from : STORE_LIST_MAX;

		rc = add_and_drop(s, w + from, here, done + from, e);
	}
	for (size_t i = 0; rc == RC_OK && i < n; i++)
		if (done[i])
			changed(w[i], w[i]->fence);
	return rc;
}

/* The rows of one reading are finished together when all of them are decided. */
static enum rc
finish(struct work *w)
{
	w->fence = w->st->row.fence;
	w->to_finish = true;
	return RC_OK;
}

static enum rc
finish_all(struct store *s, struct work **w, size_t n, struct err *e)
{
	struct work *list[STORE_LIST_MAX];
	bool done[STORE_LIST_MAX];
	size_t many = 0;
	enum rc rc;

	for (size_t i = 0; i < n; i++) {
		if (w[i]->to_finish)
			list[many++] = w[i];
		w[i]->to_finish = false;
	}
	if (many == 0)
		return RC_OK;
	rc = write_results(s, list, many, done, e);
	for (size_t i = 0; rc == RC_OK && i < many; i++)
		if (!done[i])
			rc = err_set(
				e, RC_DATA, 0, "store.apply",
				"the result of message %" PRId64
				" was not taken; does a trigger on the result table refuse it?",
				list[i]->c->msg_id);
	return rc;
}

static enum rc
must_change(int64_t affected, const struct work *w, struct err *e)
{
	if (affected == 1)
		return RC_OK;
	return err_set(e, RC_AGAIN, 0, "store.apply", "message %" PRId64 " moved on meanwhile",
		       w->c->msg_id);
}

static enum rc
note(struct store *s, const struct work *w, const char *event, int to, const char *reason,
     struct err *e)
{
	const struct change *c = w->c;
	const struct history h = {
		.msg_id = c->msg_id,
		.created_at = w->has_state ? w->st->created_at : NULL,
		.event = event,
		.who = s->cfg->agent_id,
		.code = c->code,
		.client_key = c->client_key[0] != '\0' ? c->client_key
			      : w->has_state	       ? w->st->row.client_key
						       : NULL,
		.channel = c->channel[0] != '\0' ? c->channel
			   : w->has_state	 ? w->st->row.channel
						 : NULL,
		.reason = reason,
		.from = w->has_state ? w->st->row.status : -1,
		.to = to,
		.leg = w->has_state ? w->st->row.leg : c->leg,
		.try_no = w->has_state ? w->st->row.try_no : c->try_no,
	};

	return store_history(s, &h, e);
}

static enum msg_type
fallback_of(const struct row_state *st)
{
	size_t n = strlen(st->fallback_type);
	const char *p = text_trim(st->fallback_type, &n);

	if (n == 0 || text_equal_nocase(p, n, "NONE"))
		return MSG_TYPE_NONE;
	return msg_type_parse(p, n);
}

static enum rc
start_next_leg(struct store *s, struct work *w, enum msg_type t, struct err *e)
{
	const struct db_value args[] = { type_value(t), v_int(s->cfg->expire_after_ms),
					 v_int(w->c->msg_id), v_int(w->st->row.fence) };
	int64_t affected = 0;
	enum rc rc;

	if (!allowed(TRANSITION_NEXT_LEG, w, e))
		return RC_BUG;
	rc = store_run(s, "fallback_next", args, COUNT_OF(args), &affected, e);
	if (rc == RC_OK)
		rc = must_change(affected, w, e);
	if (rc == RC_OK)
		rc = note(s, w, "leg_failed", ROW_READY,
			  w->c->text[0] != '\0' ? w->c->text : result_text(w->c->code), e);
	if (rc == RC_OK)
		changed(w, w->st->row.fence + 1);
	return rc;
}

/* Every attempt of the leg is closed. */
static enum rc
fail_leg(struct store *s, struct work *w, struct err *e)
{
	enum msg_type next =
		w->st->row.leg == 0 && !is_own_rule(w->c) ? fallback_of(w->st) : MSG_TYPE_NONE;

	if (next != MSG_TYPE_NONE && transition_allows(TRANSITION_NEXT_LEG, w->st->row.status))
		return start_next_leg(s, w, next, e);
	return finish(w);
}

/* ---- attempts of which there are several ---- */

/* The refusal of one attempt says nothing about an earlier one with the same key; a report, and a
 * delivery, speak for the key. */
static enum rc
close_try(struct store *s, const struct work *w, const char *outcome, int64_t *affected,
	  struct err *e)
{
	int64_t try_no = w->c->class == RESULT_FAIL ? w->c->try_no : 0;
	const struct db_value args[] = { store_v_text(outcome),
					 store_v_some(w->c->code),
					 store_v_some(w->c->provider_id),
					 v_int(w->c->msg_id),
					 store_v_text(w->c->client_key),
					 v_int(try_no),
					 v_int(try_no) };

	return store_run(s, "try_close", args, COUNT_OF(args), affected, e);
}

static enum rc
cas_row(struct store *s, struct work *w, const char *statement, enum transition_kind k,
	struct err *e)
{
	const struct db_value args[] = { v_int(w->c->msg_id), v_int(w->st->row.fence) };
	int64_t affected = 0;
	enum rc rc;

	if (!allowed(k, w, e))
		return RC_BUG;
	rc = store_run(s, statement, args, COUNT_OF(args), &affected, e);
	if (rc == RC_OK)
		rc = must_change(affected, w, e);
	if (rc == RC_OK)
		changed(w, w->st->row.fence + 1);
	return rc;
}

/* The row's own attempt failed and older ones are open: it is kept in mt_try and the row waits. */
static enum rc
wait_for_older(struct store *s, struct work *w, struct err *e)
{
	const char *outcome = w->c->is_evidence ? "FAILED" : "REFUSED";
	const struct db_value args[] = { store_v_text(outcome), store_v_text(outcome),
					 store_v_some(w->c->code), v_int(w->c->msg_id),
					 v_int(w->st->row.fence) };
	enum rc rc = RC_OK;

	if (!w->st->own_closed)
		rc = store_run(s, "try_add", args, COUNT_OF(args), NULL, e);
	if (rc == RC_OK)
		rc = cas_row(s, w, "keep_waiting", TRANSITION_WAIT, e);
	return rc;
}

static enum rc
fail_own(struct store *s, struct work *w, struct err *e)
{
	const struct row_state *st = w->st;
	bool older_same_key = st->row.is_resend && is_own_rule(w->c);

	if (st->open_tries == 0 && !older_same_key)
		return fail_leg(s, w, e);
	if (is_own_rule(w->c))
		return cas_row(s, w, "unknown_older", TRANSITION_WAIT_OLDER, e);
	return wait_for_older(s, w, e);
}

/* A definite failure of an attempt that stands in mt_try. */
static enum rc
fail_older(struct store *s, struct work *w, struct err *e)
{
	int64_t affected = 0;
	enum rc rc = close_try(s, w, "FAILED", &affected, e);

	if (rc != RC_OK)
		return rc;
	if (affected == 0) {
		stale(w); /* not open any more, or of another message with this id */
		return RC_OK;
	}
	if (w->st->open_tries <= affected && w->st->own_closed)
		return fail_leg(s, w, e);
	/* The fence goes up so that a decision about the other attempts that did not see this
	 * one is made again. */
	return cas_row(s, w, "keep_waiting", TRANSITION_WAIT, e);
}

/* ---- evidence about a row that is there ---- */

static bool
is_own_attempt(const struct work *w)
{
	const struct change *c = w->c;

	return c->client_key[0] != '\0' && c->leg == w->st->row.leg &&
	       strcmp(c->client_key, w->st->row.client_key) == 0;
}

/* Of the same message (not of one that had the same id before), by the fingerprint that all its
 * keys share. */
static bool
same_message(const char *key, const char *other)
{
	struct key_parts a, b;

	return key_decode(key, strlen(key), &a) && key_decode(other, strlen(other), &b) &&
	       a.msg_id == b.msg_id && a.installation == b.installation &&
	       a.fingerprint == b.fingerprint;
}

/* *is: an attempt with this key stands in mt_try for this row's leg. */
static enum rc
is_older_attempt(struct store *s, const struct work *w, bool *is, struct err *e)
{
	const struct db_value id = v_int(w->c->msg_id);
	bool more = true;
	enum rc rc;

	*is = false;
	if (w->c->client_key[0] == '\0')
		return RC_OK;
	rc = store_run_list(s, "try_by_msg", NULL, 0, &id, 1, NULL, e);
	while (rc == RC_OK) {
		char key[CLIENT_KEY_LEN + 1];
		char created[32];

		rc = store_next(s, &more, e);
		if (rc != RC_OK || !more)
			break;
		(void)store_col_text(&s->cols[2], created, sizeof created);
		(void)store_col_text(&s->cols[4], key, sizeof key);
		if (strcmp(key, w->c->client_key) == 0 && strcmp(created, w->st->created_at) == 0 &&
		    s->cols[3].i == w->st->row.leg)
			*is = true;
	}
	return rc;
}

/* A later attempt of this row's leg than the database knows: another node of its cluster is ahead.
 */
static bool
is_ahead(const struct work *w)
{
	const struct change *c = w->c;
	struct key_parts k;

	if (c->leg != w->st->row.leg)
		return c->leg > w->st->row.leg;
	return w->st->row.client_key[0] == '\0' ||
	       (key_decode(c->client_key, strlen(c->client_key), &k) &&
		k.generation > (unsigned)w->st->row.generation);
}

/* An attempt of this row's message that is neither its own nor an older one of its leg. */
static enum rc
other_leg(struct store *s, struct work *w, struct err *e)
{
	const struct change *c = w->c;

	stale(w);
	if (w->st->row.client_key[0] != '\0' &&
	    !same_message(c->client_key, w->st->row.client_key)) {
		w->unmatched = true;
		return RC_OK;
	}
	if (c->leg < w->st->row.leg && c->kind == CHANGE_RESULT && c->class == RESULT_OK) {
		w->report = REPORT_CONFLICT;
		return note(s, w, "conflict", -1,
			    "a leg that was reported as failed is now reported as delivered", e);
	}
	w->unmatched = is_ahead(w);
	return RC_OK;
}

/* Its result is known and waits for the database to take it: no later word undoes that. */
static bool
has_outcome(const struct row_state *st)
{
	return st->row.status == ROW_HELD && st->pend_class[0] != '\0' && !st->row.is_resend;
}

static enum rc
accept_row(struct store *s, struct work *w, struct err *e)
{
	struct db_value args[ARGS_OF_KIND_MAX];
	int64_t affected = 0;
	enum rc rc;

	if (w->st->row.status == ROW_ACCEPTED || has_outcome(w->st)) {
		const struct db_value fill[] = { store_v_some(w->c->channel),
						 store_v_text(w->c->provider_id),
						 v_int(w->c->msg_id),
						 store_v_text(w->c->client_key) };

		changed(w, w->st->row.fence);
		w->report = REPORT_KNOWN;
		if (w->c->provider_id[0] == '\0' || w->st->provider_id[0] != '\0')
			return RC_OK;
		return store_run(s, "accept_fill", fill, COUNT_OF(fill), NULL, e);
	}
	if (!allowed(TRANSITION_ACCEPT, w, e))
		return RC_BUG;
	rc = store_run(s, "accept", args, put_args(s, args, w->c, w->st->row.fence), &affected, e);
	if (rc == RC_OK)
		rc = must_change(affected, w, e);
	if (rc == RC_OK)
		changed(w, w->st->row.fence + 1);
	return rc;
}

static enum rc
accept_older(struct store *s, struct work *w, struct err *e)
{
	const struct db_value try_args[] = { store_v_some(w->c->provider_id),
					     store_v_some(w->c->channel), v_int(w->c->msg_id),
					     store_v_text(w->c->client_key) };
	const struct db_value row_args[] = { v_int(s->cfg->close_after_ms), v_int(w->c->msg_id),
					     v_int(w->st->row.fence) };
	int64_t affected = 0;
	enum rc rc = store_run(s, "try_accept", try_args, COUNT_OF(try_args), &affected, e);

	if (rc != RC_OK)
		return rc;
	changed(w, w->st->row.fence);
	if (affected == 0 || w->st->row.status == ROW_ACCEPTED || has_outcome(w->st)) {
		w->report = REPORT_KNOWN;
		return RC_OK;
	}
	if (!allowed(TRANSITION_ACCEPT_OLDER, w, e))
		return RC_BUG;
	rc = store_run(s, "accept_older", row_args, COUNT_OF(row_args), &affected, e);
	if (rc == RC_OK)
		rc = must_change(affected, w, e);
	if (rc == RC_OK)
		changed(w, w->st->row.fence + 1);
	return rc;
}

static enum rc
decide_accept(struct store *s, struct work *w, struct err *e)
{
	bool is_older = false;
	enum rc rc;

	if (is_own_attempt(w))
		return accept_row(s, w, e);
	rc = is_older_attempt(s, w, &is_older, e);
	if (rc != RC_OK)
		return rc;
	return is_older ? accept_older(s, w, e) : other_leg(s, w, e);
}

/* A refusal counts for its own attempt only, whatever the fence (which a database that went back
 * gives out again), and an answer does not undo an acceptance: that was another attempt's with this
 * key. Without a key the fence decides alone. */
static bool
failure_counts(const struct work *w)
{
	const struct change *c = w->c;
	bool has_fence = c->fence >= 0 && c->fence == w->st->row.fence;

	if (c->client_key[0] == '\0')
		return has_fence;
	if (!is_own_attempt(w) || (!has_fence && !c->is_evidence))
		return false;
	if (c->try_no == 0)
		return true;
	return c->try_no == w->st->row.try_no &&
	       !(c->is_evidence && w->st->row.status == ROW_ACCEPTED);
}

static enum rc
decide_result(struct store *s, struct work *w, struct err *e)
{
	const struct change *c = w->c;
	bool has_fence = c->fence >= 0 && c->fence == w->st->row.fence;
	bool is_older = false;
	int64_t closed = 0;
	enum rc rc;

	if (c->class == RESULT_FAIL && failure_counts(w))
		return fail_own(s, w, e);
	if (c->class == RESULT_OK && (is_own_attempt(w) || (has_fence && c->client_key[0] == '\0')))
		return finish(w);
	if (c->class == RESULT_UNKNOWN && has_fence)
		return finish(w);
	/* The outcome of a call whose answer was lost. */
	if (c->class == RESULT_FAIL && c->fence >= 0 && w->st->row.fence == c->fence + 1 &&
	    (w->st->row.leg == c->leg + 1 || (w->st->row.leg == c->leg && w->st->own_closed))) {
		changed(w, w->st->row.fence);
		return RC_OK;
	}
	if (c->class == RESULT_UNKNOWN || is_own_attempt(w)) {
		stale(w);
		return RC_OK;
	}
	rc = is_older_attempt(s, w, &is_older, e);
	if (rc != RC_OK)
		return rc;
	if (!is_older)
		return other_leg(s, w, e);
	if (c->class == RESULT_FAIL)
		return fail_older(s, w, e);
	rc = close_try(s, w, "DELIVERED", &closed, e);
	return rc == RC_OK ? finish(w) : rc;
}

/* A report about one part of several: until it decides the message it is evidence of the
 * acceptance, and no more than that is left of it when the database refuses what is written here.
 */
static enum rc
decide_part(struct store *s, struct work *w, const struct part *found, struct err *e)
{
	struct change *c = w->c;
	struct part part = *found;
	enum result_class class = c->class;
	bool is_final = c->kind == CHANGE_RESULT;
	bool same_leg = part.leg == w->st->row.leg;
	enum rc rc = RC_OK;

	c->kind = CHANGE_ACCEPT;
	c->provider_id[0] = '\0'; /* the row keeps that of part 1 */
	if (is_final && same_leg) {
		rc = cas_row(s, w, "part_seen", TRANSITION_PART, e);
		if (rc == RC_OK)
			w->st->row.fence++;
	}
	if (rc == RC_OK && is_final)
		rc = store_part_close(s, c, class, &part, e);
	if (rc != RC_OK)
		return rc;
	if (is_final && same_leg && part.decides) {
		c->kind = CHANGE_RESULT;
		c->parts = part.parts;
		return decide_result(s, w, e);
	}
	if (same_leg && (!is_final || part.is_open))
		return decide_accept(s, w, e);
	/* Said before, or another part has failed. */
	changed(w, w->st->row.fence);
	w->report = REPORT_KNOWN;
	return RC_OK;
}

/* A simple kind whose row is not under the expected fence: was it done by a call whose answer
 * was lost? */
static enum rc
decide_simple(struct work *w)
{
	const struct store_row *r = &w->st->row;
	const struct change *c = w->c;

	/* Only one change can have raised the fence by one, and the row is where this one brings
	 * it. */
	if (c->fence >= 0 && r->fence == c->fence + 1 && r->status == kind_sql[c->kind].to &&
	    r->leg == c->leg) {
		changed(w, r->fence);
		return RC_OK;
	}
	stale(w);
	return RC_OK;
}

/* The journal knows better: perhaps even of the next leg, whose type is then the row's. */
static enum rc
decide_touched(struct store *s, struct work *w, struct err *e)
{
	const struct change *c = w->c;
	const struct store_row *r = &w->st->row;
	bool is_new_leg = r->fence > 0 ? c->leg > r->leg : c->leg > 0;
	struct key_parts k = { .generation = 0 };
	int64_t affected = 0;
	enum rc rc;

	if (w->fence != r->fence)
		return decide_simple(w);
	/* Delivered is delivered; only the result could not be written yet. */
	if (has_outcome(w->st) && strcmp(w->st->pend_class, result_class_name(RESULT_OK)) == 0) {
		changed(w, r->fence);
		return RC_OK;
	}
	if (!allowed(TRANSITION_TOUCHED, w, e))
		return RC_BUG;
	if (!key_decode(c->client_key, strlen(c->client_key), &k))
		k.generation = 0;
	{
		const struct db_value new_leg = v_int(is_new_leg ? 1 : 0);
		const struct db_value args[] = {
			store_v_text(s->cfg->agent_id),
			v_int(s->cfg->incarnation),
			v_int(c->try_no),
			type_value(is_new_leg ? fallback_of(w->st) : MSG_TYPE_NONE),
			v_int(c->leg),
			v_int(k.generation),
			store_v_some(c->client_key),
			store_v_some(c->channel),
			new_leg,
			v_int(c->delay_ms),
			new_leg,
			v_int(s->cfg->close_after_ms),
			new_leg,
			v_int(c->msg_id),
			v_int(r->fence),
		};

		rc = store_run(s, "touched", args, COUNT_OF(args), &affected, e);
	}
	if (rc == RC_OK)
		rc = must_change(affected, w, e);
	if (rc == RC_OK)
		changed(w, r->fence + 1);
	return rc;
}

/* ---- evidence about a row that is not there (any more) ---- */

struct result_row {
	char created_at[32], client_key[CLIENT_KEY_LEN + 1], code[RESULT_CODE_LEN + 1];
	int32_t leg;
	enum result_class class;
	int64_t rev;
	bool is_recent;
	int match; /* 0 none, 1 the same message, 2 the same attempt */
};

static enum result_class
class_of(const struct db_value *v)
{
	if (v->n == 2)
		return RESULT_OK;
	return v->n == 4 ? RESULT_FAIL : RESULT_UNKNOWN;
}

static int
match_result(const struct change *c, const struct result_row *r)
{
	if (c->client_key[0] != '\0' && strcmp(c->client_key, r->client_key) == 0)
		return 2;
	if (c->client_key[0] != '\0')
		return same_message(c->client_key, r->client_key) ? 1 : 0;
	if (c->m != NULL)
		return strcmp(c->m->created_at, r->created_at) == 0 ? 2 : 0;
	return strcmp(c->code, r->code) == 0 ? 2 : 0;
}

static enum rc
find_result(struct store *s, const struct change *c, struct result_row *best, struct err *e)
{
	const struct db_value args[] = { v_int(s->cfg->late_ms) };
	const struct db_value id = v_int(c->msg_id);
	bool more = true;
	enum rc rc = store_run_list(s, "result_by_msg", args, COUNT_OF(args), &id, 1, NULL, e);

	memset(best, 0, sizeof *best);
	while (rc == RC_OK) {
		struct result_row r;

		rc = store_next(s, &more, e);
		if (rc != RC_OK || !more)
			break;
		memset(&r, 0, sizeof r);
		(void)store_col_text(&s->cols[1], r.created_at, sizeof r.created_at);
		(void)store_col_text(&s->cols[2], r.client_key, sizeof r.client_key);
		r.leg = (int32_t)s->cols[3].i;
		r.class = class_of(&s->cols[4]);
		(void)store_col_text(&s->cols[5], r.code, sizeof r.code);
		r.rev = s->cols[6].i;
		r.is_recent = s->cols[9].i == 1;
		r.match = match_result(c, &r);
		if (r.match > best->match)
			*best = r;
	}
	return rc;
}

/* *n: attempts of the leg in mt_try that are open, but for the one with c's key. */
static enum rc
count_other_open(struct store *s, const struct change *c, const struct result_row *r, size_t *n,
		 struct err *e)
{
	const struct db_value id = v_int(c->msg_id);
	bool more = true;
	enum rc rc = store_run_list(s, "try_by_msg", NULL, 0, &id, 1, NULL, e);

	*n = 0;
	while (rc == RC_OK) {
		char key[CLIENT_KEY_LEN + 1], created[32], outcome[16];

		rc = store_next(s, &more, e);
		if (rc != RC_OK || !more)
			break;
		(void)store_col_text(&s->cols[2], created, sizeof created);
		(void)store_col_text(&s->cols[4], key, sizeof key);
		(void)store_col_text(&s->cols[5], outcome, sizeof outcome);
		if (strcmp(created, r->created_at) == 0 && s->cols[3].i == r->leg &&
		    strcmp(key, c->client_key) != 0 &&
		    (strcmp(outcome, "OPEN") == 0 || strcmp(outcome, "ACCEPTED") == 0))
			(*n)++;
	}
	return rc;
}

static enum rc
revise(struct store *s, struct work *w, const struct result_row *r, struct err *e)
{
	const struct change *c = w->c;
	const struct db_value args[] = {
		store_v_text(result_class_name(c->class)),
		store_v_text(c->code),
		store_v_text(c->text[0] != '\0' ? c->text : result_text(c->code)),
		store_v_some(c->provider_code),
		store_v_some(c->provider_id),
		store_v_some(c->carrier),
		c->parts > 0 ? v_int(c->parts) : v_null(),
		store_v_some(c->done_at),
		v_int(c->msg_id),
		store_v_text(r->created_at),
		v_int(r->rev),
	};
	struct history h = { .msg_id = c->msg_id,
			     .created_at = r->created_at,
			     .event = "revised",
			     .who = s->cfg->agent_id,
			     .code = r->code,
			     .client_key = c->client_key,
			     .channel = c->channel,
			     .reason = "a report came after the result",
			     .from = -1,
			     .to = -1,
			     .leg = r->leg };
	int64_t affected = 0;
	enum rc rc = store_run(s, "result_revise", args, COUNT_OF(args), &affected, e);

	if (rc == RC_OK)
		rc = must_change(affected, w, e);
	if (rc == RC_OK)
		rc = store_history(s, &h, e);
	if (rc == RC_OK) {
		w->c->answer = CHANGED;
		w->report = REPORT_REVISED;
	}
	return rc;
}

/* A report about a part of a message that has its result: *decides: it completes one that ended as
 * UNKNOWN, or it is about no part. */
static enum rc
part_of_result(struct store *s, struct work *w, const struct result_row *r, bool *decides,
	       struct err *e)
{
	struct part part;
	bool found, matters;
	enum rc rc = store_part_find(s, w->c, &part, &found, e);

	*decides = rc == RC_OK && !found;
	if (rc != RC_OK || !found)
		return rc;
	w->c->provider_id[0] = '\0';
	matters = r->class == RESULT_UNKNOWN && part.leg == r->leg;
	if (matters)
		rc = store_part_hold(s, w->c, e);
	if (rc == RC_OK)
		rc = store_part_close(s, w->c, w->c->class, &part, e);
	if (rc != RC_OK || !matters || !part.decides)
		return rc;
	*decides = true;
	w->c->parts = part.parts;
	return RC_OK;
}

static enum rc
meet_result(struct store *s, struct work *w, const struct result_row *r, struct err *e)
{
	const struct change *c = w->c;
	struct history h = { .msg_id = c->msg_id,
			     .created_at = r->created_at,
			     .who = s->cfg->agent_id,
			     .code = c->code,
			     .client_key = c->client_key,
			     .channel = c->channel,
			     .from = -1,
			     .to = -1,
			     .leg = r->leg };
	int64_t ignored;
	size_t open = 0;
	enum rc rc;

	w->c->answer = CHANGED;
	w->c->new_fence = 0;
	w->report = REPORT_KNOWN;
	if (c->kind == CHANGE_ACCEPT)
		return RC_OK;
	if (c->kind != CHANGE_RESULT) {
		w->c->answer = CHANGE_STALE;
		return RC_OK;
	}
	/* A report that agrees costs no statement, unless it is known to be about a part. */
	if (c->is_report && c->provider_id[0] != '\0' && (c->is_part || c->class != r->class)) {
		bool decides;

		rc = part_of_result(s, w, r, &decides, e);
		if (rc != RC_OK || !decides)
			return rc;
	}
	if (c->class == r->class || c->class == RESULT_UNKNOWN)
		return RC_OK;
	if (c->leg != r->leg && c->class == RESULT_FAIL)
		return RC_OK; /* the failure of the leg before, which is why there was another one
			       */
	if (c->class == RESULT_FAIL && c->try_no > 0)
		return RC_OK; /* the late answer to one attempt; only a report speaks for the key */
	if (r->class != RESULT_UNKNOWN || c->leg != r->leg) {
		w->c->answer = CHANGE_STALE;
		w->report = REPORT_CONFLICT;
		h.event = "conflict";
		h.reason =
			"a report contradicts the result; OK and FAIL never change into each other";
		return store_history(s, &h, e);
	}
	if (!r->is_recent) {
		h.event = "too_late";
		h.reason = "a report came after the time for late reports";
		return store_history(s, &h, e);
	}
	if (c->class == RESULT_FAIL) {
		rc = close_try(s, w, "FAILED", &ignored, e);
		if (rc == RC_OK)
			rc = count_other_open(s, c, r, &open, e);
		/* Another attempt may still have reached the phone. */
		if (rc != RC_OK || open > 0 || r->match != 2)
			return rc;
	}
	return revise(s, w, r, e);
}

/* The application deleted the row after the claim: the result all the same, from memory or from
 * what the key tells. */
static enum rc
write_orphan(struct store *s, struct work *w, struct err *e)
{
	static const struct message nothing;
	const struct change *c = w->c;
	const struct message *m = c->m != NULL ? c->m : &nothing;
	bool keep = s->cfg->text_policy == TEXT_KEEP;
	const struct db_value args[] = {
		v_int(c->msg_id),
		store_v_some(m->created_at),
		store_v_field(&m->req_key),
		c->m != NULL ? type_value(m->asked_type) : v_null(),
		store_v_field(&m->sender),
		store_v_field(&m->recipient),
		keep ? store_v_field(&m->subject) : v_null(),
		keep ? store_v_field(&m->body) : v_null(),
		store_v_field(&m->group_key),
		store_v_field(&m->dept_code),
		store_v_field(&m->origin_code),
		store_v_field(&m->etc1),
		store_v_field(&m->etc2),
		store_v_field(&m->etc3),
		store_v_field(&m->etc4),
		store_v_field(&m->send_at),
		store_v_text(result_class_name(c->class)),
		store_v_text(c->code),
		store_v_text(c->text[0] != '\0' ? c->text : result_text(c->code)),
		store_v_some(c->provider_code),
		store_v_some(c->provider_id),
		store_v_some(c->client_key),
		c->m != NULL ? type_value(m->type) : v_null(),
		v_int(c->leg),
		store_v_some(c->carrier),
		c->parts > 0 ? v_int(c->parts) : v_null(),
		store_v_some(c->channel),
		store_v_text(s->cfg->agent_id),
		v_int(c->try_no),
		store_v_some(c->done_at),
	};
	enum rc rc = store_run(s, "result_orphan", args, COUNT_OF(args), NULL, e);

	if (rc == RC_OK)
		rc = note(s, w, "row_deleted", -1,
			  "the row was deleted while the message was on its way", e);
	return rc;
}

static enum rc
leg_has_failed(struct store *s, const struct change *c, bool *is_over, struct err *e)
{
	const struct db_value args[] = { v_int(c->msg_id), store_v_text(c->client_key) };

	return store_one(s, "leg_failed", args, COUNT_OF(args), is_over, e);
}

/* The same where the row was deleted and has no result yet. */
static enum rc
part_of_deleted(struct store *s, struct work *w, bool *decides, struct err *e)
{
	struct part part;
	bool found;
	enum rc rc = store_part_find(s, w->c, &part, &found, e);

	*decides = rc == RC_OK && !found;
	if (rc != RC_OK || !found)
		return rc;
	w->c->provider_id[0] = '\0';
	w->report = REPORT_KNOWN;
	rc = store_part_hold(s, w->c, e);
	if (rc == RC_OK)
		rc = store_part_close(s, w->c, w->c->class, &part, e);
	if (rc != RC_OK || !part.decides)
		return rc;
	*decides = true;
	w->c->parts = part.parts;
	w->report = REPORT_APPLIED;
	return RC_OK;
}

static enum rc
decide_gone(struct store *s, struct work *w, struct err *e)
{
	const struct change *c = w->c;
	struct result_row r;
	struct key_parts k;
	bool is_ours, is_over = false;
	enum rc rc = find_result(s, c, &r, e);

	if (rc != RC_OK)
		return rc;
	if (r.match > 0)
		return meet_result(s, w, &r, e);
	w->c->answer = CHANGE_GONE;
	w->c->new_fence = 0;
	w->report = REPORT_APPLIED;
	is_ours = c->m != NULL || c->fence >= 0 ||
		  (key_decode(c->client_key, strlen(c->client_key), &k) &&
		   k.installation == s->cfg->installation);
	if (c->kind == CHANGE_RESULT && is_ours && c->is_report && c->provider_id[0] != '\0') {
		bool decides;

		rc = part_of_deleted(s, w, &decides, e);
		if (rc != RC_OK || !decides)
			return rc;
	}
	if (c->kind == CHANGE_RESULT && is_ours) {
		/* A failed leg said so once and was followed by another, which may still arrive. */
		rc = c->class == RESULT_FAIL ? leg_has_failed(s, c, &is_over, e) : RC_OK;
		if (rc != RC_OK || is_over)
			return rc;
		return write_orphan(s, w, e);
	}
	w->unmatched = true;
	return RC_OK;
}

/* ---- groups ---- */

static enum rc
decide(struct store *s, struct work *w, struct err *e)
{
	if (!w->has_state)
		return decide_gone(s, w, e);
	if (w->c->is_report && w->st->has_parts && w->c->provider_id[0] != '\0') {
		struct part part;
		bool found;
		enum rc rc = store_part_find(s, w->c, &part, &found, e);

		if (rc != RC_OK || found)
			return rc == RC_OK ? decide_part(s, w, &part, e) : rc;
	}
	switch (w->c->kind) {
	case CHANGE_ACCEPT:
		return decide_accept(s, w, e);
	case CHANGE_RESULT:
		return decide_result(s, w, e);
	case CHANGE_TOUCHED:
		return decide_touched(s, w, e);
	case CHANGE_UNKNOWN:
	case CHANGE_RELEASE:
	case CHANGE_DEFER:
	case CHANGE_LOOK:
	case CHANGE_HOLD:
		break;
	}
	return decide_simple(w);
}

/* Reads the rows and decides one by one. */
static enum rc
decide_all(struct store *s, struct work **w, size_t n, struct err *e)
{
	struct row_state *st = calloc(n < STORE_LIST_MAX ? n : STORE_LIST_MAX, sizeof *st);
	enum rc rc = RC_OK;

	if (st == NULL)
		return err_set(e, RC_NOMEM, 0, "store.apply", "no memory");
	for (size_t from = 0; rc == RC_OK && from < n; from += STORE_LIST_MAX) {
		size_t here = n - from < STORE_LIST_MAX ? n - from : STORE_LIST_MAX;
		int64_t ids[STORE_LIST_MAX];
		bool found[STORE_LIST_MAX];

		for (size_t i = 0; i < here; i++)
			ids[i] = w[from + i]->c->msg_id;
		rc = store_states(s, ids, here, st, found, e);
		for (size_t i = 0; rc == RC_OK && i < here; i++) {
			w[from + i]->has_state = found[i];
			w[from + i]->st = &st[i];
			blackbox_at(BOX_SETTLE, ids[i], 0);
			(void)FAILPOINT_TEXT(row_settle, w[from + i]->c->client_key,
					     strlen(w[from + i]->c->client_key));
			rc = decide(s, w[from + i], e);
			blackbox_off();
		}
		if (rc == RC_OK)
			rc = finish_all(s, w + from, here, e);
		for (size_t i = 0; i < here; i++)
			w[from + i]->st = NULL;
	}
	free(st);
	return rc;
}

static enum rc
run_fast(struct store *s, struct work **w, size_t n, bool *done, struct err *e)
{
	enum change_kind kind = w[0]->c->kind;
	struct db_value *args;
	int64_t *affected;
	int64_t met;
	size_t nargs = 0;
	enum rc rc;

	if (kind == CHANGE_RESULT)
		return write_results(s, w, n, done, e);
	args = calloc(n, ARGS_OF_KIND_MAX * sizeof *args);
	affected = calloc(n, sizeof *affected);
	if (args == NULL || affected == NULL) {
		rc = err_set(e, RC_NOMEM, 0, "store.apply", "no memory");
		goto out;
	}
	for (size_t i = 0; i < n; i++) {
		const struct change *c = w[i]->c;

		blackbox_at(BOX_SETTLE, c->msg_id, 0);
		(void)FAILPOINT_TEXT(row_settle, c->client_key, strlen(c->client_key));
		nargs = put_args(s, &args[i * nargs], c, w[i]->fence);
		blackbox_off();
	}
	rc = store_run_set(s, kind_sql[kind].statement, args, nargs, n, &met, e);
	if (rc == RC_OK && met < 0)
		rc = store_run_many(s, kind_sql[kind].statement, args, n, affected, e);
	for (size_t i = 0; rc == RC_OK && met >= 0 && i < n; i++)
		affected[i] = met == (int64_t)n ? 1 : 0;
	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		done[i] = affected[i] == 1;
		if (done[i])
			changed(w[i], w[i]->fence + 1);
	}
out:
	free(args);
	free(affected);
	return rc;
}

static bool
needs_look(const struct work *w)
{
	return w->fence < 0 || w->c->kind == CHANGE_TOUCHED ||
	       (w->c->kind == CHANGE_RESULT && w->c->class == RESULT_FAIL);
}

static enum rc apply_kept_reports(struct store *s, struct work **w, size_t n, struct err *e);

static int
by_msg(const void *a, const void *b)
{
	const struct work *x = *(struct work *const *)a;
	const struct work *y = *(struct work *const *)b;

	if (x->c->msg_id != y->c->msg_id)
		return x->c->msg_id < y->c->msg_id ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

/* Changes of one kind, no message twice. room has n places. */
static enum rc
run_group(struct store *s, struct work **w, size_t n, struct work **room, bool *done, struct err *e)
{
	enum change_kind kind = w[0]->c->kind;
	size_t fast = 0;
	size_t slow = 0;
	enum rc rc = RC_OK;

	for (size_t i = 0; i < n; i++) {
		if (needs_look(w[i]))
			room[n - ++slow] = w[i];
		else
			room[fast++] = w[i];
	}
	if (fast > 0)
		rc = run_fast(s, room, fast, done, e);
	if (rc != RC_OK)
		return rc;
	/* What missed joins those that are looked at. */
	for (size_t i = fast; i-- > 0;) {
		if (!done[i]) {
			struct work *missed = room[i];

			memmove(&room[i], &room[i + 1], (n - slow - i - 1) * sizeof *room);
			room[n - ++slow] = missed;
		}
	}
	/* In ascending order, so that two agents meet the rows in the same one. */
	qsort(room + (n - slow), slow, sizeof *room, by_msg);
	if (slow > 0)
		rc = decide_all(s, room + (n - slow), slow, e);
	if (rc != RC_OK || kind != CHANGE_ACCEPT)
		return rc;
	rc = store_parts_add(s, w, n, e);
	return rc == RC_OK ? apply_kept_reports(s, w, n, e) : rc;
}

/* Several changes of one message are done one after the other, each under the fence that the one
 * before left. */
static unsigned
number_rounds(struct work **w, size_t n)
{
	unsigned most = 0;

	for (size_t i = 0; i < n; i++) {
		w[i]->round =
			i > 0 && w[i]->c->msg_id == w[i - 1]->c->msg_id ? w[i - 1]->round + 1 : 0;
		if (w[i]->round > most)
			most = w[i]->round;
	}
	return most;
}

static void
follow_fence(struct work **w, size_t i)
{
	const struct work *before = w[i]->round > 0 ? w[i - 1] : NULL;

	if (before != NULL && before->c->answer == CHANGED && before->c->fence == w[i]->c->fence &&
	    w[i]->fence >= 0)
		w[i]->fence = before->c->new_fence;
}

static const enum change_kind kind_order[] = { CHANGE_ACCEPT,  CHANGE_UNKNOWN, CHANGE_RELEASE,
					       CHANGE_DEFER,   CHANGE_LOOK,    CHANGE_HOLD,
					       CHANGE_TOUCHED, CHANGE_RESULT };

enum rc
store_apply_all(struct store *s, struct work *works, size_t n, struct err *e)
{
	struct work **w = calloc(3 * n, sizeof *w);
	bool *done = calloc(n, sizeof *done);
	unsigned rounds;
	enum rc rc = RC_OK;

	if (w == NULL || done == NULL) {
		rc = err_set(e, RC_NOMEM, 0, "store.apply", "no memory");
		goto out;
	}
	for (size_t i = 0; i < n; i++) {
		w[i] = &works[i];
		w[i]->order = i;
		w[i]->fence = w[i]->c->fence;
		w[i]->unmatched = false;
		w[i]->report = REPORT_KNOWN;
	}
	qsort(w, n, sizeof *w, by_msg);
	rounds = number_rounds(w, n);
	for (unsigned round = 0; rc == RC_OK && round <= rounds; round++) {
		for (size_t k = 0; rc == RC_OK && k < COUNT_OF(kind_order); k++) {
			struct work **group = w + n;
			size_t many = 0;

			for (size_t i = 0; i < n; i++) {
				if (w[i]->round != round || w[i]->c->kind != kind_order[k])
					continue;
				follow_fence(w, i);
				group[many++] = w[i];
			}
			if (many > 0)
				rc = run_group(s, group, many, w + 2 * n, done, e);
		}
	}
out:
	free(w);
	free(done);
	return rc;
}

/* The acceptance that this report is about, when it was written. */
static const struct work *
attempt_of(const struct report *r, struct work **w, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct change *c = w[i]->c;

		if (c->answer != CHANGED)
			continue;
		if (r->client_key[0] != '\0' && strcmp(r->client_key, c->client_key) == 0)
			return w[i];
		if (store_has_id(c, r->provider_id) && strcmp(r->channel, c->channel) == 0)
			return w[i];
	}
	return NULL;
}

/* Reports that came before their acceptance are waiting in mt_report. */
static enum rc
apply_kept_reports(struct store *s, struct work **w, size_t n, struct err *e)
{
	struct kept_report *kept = NULL;
	struct change *changes = NULL;
	struct work *works = NULL;
	struct kept_report *drop = NULL;
	size_t count = 0;
	size_t used = 0;
	size_t drops = 0;
	enum rc rc = store_kept_find(s, w, n, &kept, &count, e);

	if (rc != RC_OK || count == 0)
		goto out;
	changes = calloc(count, sizeof *changes);
	works = calloc(count, sizeof *works);
	drop = calloc(count, sizeof *drop);
	if (changes == NULL || works == NULL || drop == NULL) {
		rc = err_set(e, RC_NOMEM, 0, "store.apply", "no memory");
		goto out;
	}
	for (size_t k = 0; k < count; k++) {
		const struct work *of = attempt_of(&kept[k].r, w, n);

		if (of == NULL)
			continue;
		drop[drops++] = kept[k];
		/* PENDING says no more than the acceptance that has just been written. */
		if (kept[k].r.class == REPORT_PENDING || kept[k].r.duplicate)
			continue;
		store_change_of_report(&kept[k].r, of->c->msg_id, of->c->client_key,
				       &changes[used]);
		works[used].c = &changes[used];
		used++;
	}
	if (used > 0)
		rc = store_apply_all(s, works, used, e);
	if (rc == RC_OK)
		rc = store_kept_drop(s, drop, drops, e);
out:
	free(kept);
	free(drop);
	free(changes);
	free(works);
	return rc;
}

/* ---- transactions ---- */

/* After the database refused the change although it stood alone. */
static enum rc
set_aside_in_tx(struct store *s, struct work *w, struct row_state *st, const struct err *why,
		struct err *e)
{
	struct change *c = w->c;
	bool found = false;
	bool other = false;
	int64_t affected = 0;
	enum rc rc = store_states(s, &c->msg_id, 1, st, &found, e);

	w->has_state = found;
	w->st = st;
	if (rc != RC_OK)
		return rc;
	if (!found) {
		/* Meanwhile done, or the result of a deleted row is refused, which has no row to
		 * keep it in. */
		struct result_row r;

		rc = find_result(s, c, &r, e);
		if (rc == RC_OK && r.match == 2)
			c->answer = CHANGED;
		return rc;
	}
	if (c->kind != CHANGE_RESULT ||
	    (c->fence >= 0 && st->row.fence != c->fence && !is_own_attempt(w)))
		return RC_OK;
	{
		const struct db_value id[] = { v_int(c->msg_id) };
		char in_result[CLIENT_KEY_LEN + 1], in_row[CLIENT_KEY_LEN + 1];

		rc = store_one(s, "result_same", id, COUNT_OF(id), &other, e);
		if (rc != RC_OK)
			return rc;
		if (other && store_col_text(&s->cols[0], in_result, sizeof in_result) &&
		    store_col_text(&s->cols[1], in_row, sizeof in_row) &&
		    strcmp(in_result, in_row) == 0) {
			const struct db_value drop[] = { v_int(c->msg_id), v_int(st->row.fence) };

			/* Its result stands already: only the row is left over. */
			rc = store_run(s, "result_drop", drop, COUNT_OF(drop), &affected, e);
			if (rc == RC_OK && affected == 1)
				c->answer = CHANGED;
			return rc;
		}
	}
	{
		const struct db_value args[] = { store_v_text(result_class_name(c->class)),
						 store_v_text(c->code),
						 store_v_text(HOLD_DATABASE_FAULT),
						 v_int(PEND_RETRY_MS),
						 v_int(c->msg_id),
						 v_int(st->row.fence) };
		char reason[201];

		rc = store_run(s, "pend", args, COUNT_OF(args), &affected, e);
		if (rc != RC_OK || affected != 1)
			return rc;
		c->new_fence = st->row.fence + 1;
		if (has_outcome(st))
			return RC_OK; /* one history row is enough for all the attempts to settle it
				       */
		(void)text_copy(reason, sizeof reason,
				other ? "another message has a result under this id and time"
				      : why->text);
		return note(s, w, "not_settled", ROW_HELD, reason, e);
	}
}

enum rc
store_set_aside(struct store *s, struct work *w, const struct err *why, struct err *e)
{
	struct row_state st;
	enum rc rc;

	w->c->answer = CHANGE_FAILED;
	if (w->c->err != NULL)
		*w->c->err = *why;
	w->report = REPORT_APPLIED;
	rc = store_begin(s, e);
	if (rc != RC_OK)
		return rc;
	rc = set_aside_in_tx(s, w, &st, why, e);
	w->st = NULL;
	if (rc == RC_OK)
		rc = store_fault(FAILPOINT(aside_before_commit), "store.aside", e);
	if (rc == RC_OK)
		rc = store_commit(s, e);
	if (rc == RC_OK)
		rc = store_fault(FAILPOINT(aside_after_commit), "store.aside", e);
	if (rc != RC_OK)
		store_rollback(s);
	/* A row that takes not even this stays as it is; its lease or close time brings it back. */
	return rc == RC_DATA || rc == RC_CONFIG ? RC_OK : rc;
}

static enum rc
apply_once(struct store *s, struct work *w, size_t n, struct err *e)
{
	enum rc rc = store_begin(s, e);

	if (rc != RC_OK)
		return rc;
	rc = store_apply_all(s, w, n, e);
	if (rc == RC_OK)
		rc = store_fault(FAILPOINT(settle_before_commit), "store.apply", e);
	if (rc == RC_OK)
		rc = store_commit(s, e);
	if (rc == RC_OK)
		rc = store_fault(FAILPOINT(settle_after_commit), "store.apply", e);
	if (rc != RC_OK)
		store_rollback(s);
	return rc;
}

static enum rc apply_range(struct store *s, struct work *w, size_t n, struct err *e);

/* Somebody holds one of these rows and does not commit: it waits, and the others do not wait with
 * it. Its change is answered like one that could not even be held. */
static enum rc
apply_around(struct store *s, struct work *w, size_t n, const struct err *why, struct err *e)
{
	int64_t ids[STORE_LIST_MAX];
	bool is_locked[STORE_LIST_MAX];
	bool halve;
	size_t left = 0;
	enum rc rc;

	for (size_t i = 0; i < n && i < STORE_LIST_MAX; i++)
		ids[i] = w[i].c->msg_id;
	rc = store_look_around(s, ids, n, why, is_locked, &halve, e);
	if (rc == RC_OK && halve) {
		rc = apply_range(s, w, n / 2, e);
		return rc == RC_OK ? apply_range(s, w + n / 2, n - n / 2, e) : rc;
	}
	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		struct change *c = w[i].c;

		/* A start, or a freeze, does not go on before it has said what it knows. */
		if (!is_locked[i] || c->kind == CHANGE_TOUCHED) {
			w[left++] = w[i];
			continue;
		}
		c->answer = CHANGE_FAILED;
		c->new_fence = 0;
		if (c->err != NULL)
			*c->err = *why;
	}
	if (rc != RC_OK || left == 0)
		return rc;
	if (left < n)
		return apply_range(s, w, left, e);
	/* Meanwhile it is free, or it is another table's row. */
	if (e != NULL)
		*e = *why;
	return RC_AGAIN;
}

/* Halves until what the database refuses stands alone. */
static enum rc
apply_range(struct store *s, struct work *w, size_t n, struct err *e)
{
	struct err why;
	enum rc rc = apply_once(s, w, n, &why);

	if (rc == RC_AGAIN && store_is_locked(&why))
		return apply_around(s, w, n, &why, e);
	if (rc == RC_DATA && n > 1) {
		rc = apply_range(s, w, n / 2, e);
		return rc == RC_OK ? apply_range(s, w + n / 2, n - n / 2, e) : rc;
	}
	if (rc == RC_DATA)
		return store_set_aside(s, w, &why, e);
	if (rc != RC_OK && e != NULL)
		*e = why;
	return rc;
}

enum rc
store_apply(struct store *s, struct change *c, size_t n, struct err *e)
{
	struct work *w;
	enum rc rc;

	if (n == 0)
		return RC_OK;
	w = calloc(n, sizeof *w);
	if (w == NULL)
		return err_set(e, RC_NOMEM, 0, "store.apply", "no memory");
	for (size_t i = 0; i < n; i++)
		w[i].c = &c[i];
	s->halve_until_ms = clock_mono_ms() + STORE_HALVE_MS;
	rc = apply_range(s, w, n, e);
	free(w);
	return rc;
}
