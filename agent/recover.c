/* recover.c - see recover.h.
 *
 * DIAGNOSTICS (events): settle.held, row.lost. */
#include "config.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "agent/blackbox.h"
#include "agent/failpoint.h"
#include "agent/log.h"
#include "agent/pipeline.h"
#include "agent/recover.h"
#include "agent/text.h"
#include "agent/transition.h"

#define APPLY_ROWS 200

/* Changes on their way to the store, with the marks that end when the database has them. */
struct todo {
	struct store *st;
	struct journal *j;
	struct change c[APPLY_ROWS];
	struct err why[APPLY_ROWS];
	struct journal_mark mark[APPLY_ROWS];
	bool has_mark[APPLY_ROWS];
	size_t n;
	enum rc rc;
	struct err *e;
};

static void
todo_flush(struct todo *t)
{
	size_t i;

	if (t->rc != RC_OK || t->n == 0)
		return;
	t->rc = store_apply(t->st, t->c, t->n, t->e);
	for (i = 0; i < t->n && t->rc == RC_OK; i++) {
		if (t->c[i].answer == CHANGE_FAILED && t->why[i].rc == RC_AGAIN) {
			/* A customer's transaction holds the row: nobody else would ever tell it
			 * what the journal knows. What is done is done; recovery is repeated. */
			*t->e = t->why[i];
			t->rc = RC_AGAIN;
			break;
		}
		if (t->c[i].answer == CHANGE_FAILED)
			log_err(LOG_LEVEL_ERROR, "settle.held", &t->why[i],
				"id=%" PRId64 " code=%s", t->c[i].msg_id, t->c[i].code);
		/* A row that could not even be held keeps its mark, so that the next start tries
		 * again. */
		if (t->has_mark[i] && (t->c[i].answer != CHANGE_FAILED || t->c[i].new_fence > 0))
			t->rc = journal_settled(t->j, &t->mark[i], 1, t->e);
	}
	t->n = 0;
}

static struct change *
todo_add(struct todo *t, const struct journal_mark *m, bool has_mark)
{
	if (t->n == APPLY_ROWS)
		todo_flush(t);
	t->mark[t->n] = *m;
	t->has_mark[t->n] = has_mark;
	memset(&t->c[t->n], 0, sizeof t->c[t->n]);
	t->c[t->n].msg_id = m->msg_id;
	t->c[t->n].fence = m->fence;
	t->c[t->n].leg = m->leg;
	t->c[t->n].try_no = m->try_no;
	/* The fence is enough for a row whose settling ended the process. */
	t->c[t->n].client_key =
		blackbox_shuns_in(m->msg_id, 1u << BOX_SETTLE) ? "" : t->mark[t->n].client_key;
	t->c[t->n].new_type = MSG_TYPE_NONE;
	t->c[t->n].err = &t->why[t->n];
	return &t->c[t->n++];
}

/* ---- attempts that the journal knows ---- */

struct kept_attempt {
	struct journal_mark mark;
	struct outcome answer;
	bool has_answer;
};

struct attempts {
	struct kept_attempt *v;
	size_t n, max;
};

static void
collect_attempt(void *arg, const struct journal_mark *m, const struct outcome *o)
{
	struct attempts *a = arg;

	if (a->n == a->max)
		return;
	a->v[a->n].mark = *m;
	a->v[a->n].has_answer = o != NULL;
	if (o != NULL)
		a->v[a->n].answer = *o;
	a->n++;
}

/* The database does not know of this attempt. What an application wrote into the agent's columns
 * (fence 0) says nothing. */
static bool
is_later(const struct store_row *r, const struct journal_mark *m)
{
	int32_t leg = r->fence > 0 ? r->leg : 0;
	int32_t try_no = r->fence > 0 ? r->try_no : 0;

	return transition_allows(TRANSITION_TOUCHED, r->status) &&
	       (leg < m->leg || (leg == m->leg && try_no < m->try_no));
}

/* Or it has this try as another agent's, who claimed the row in a database that had lost our claim
 * (or took the row over, then it is looked at once more). */
static bool
is_lost(const struct store_row *r, const struct journal_mark *m, const char *agent_id)
{
	return is_later(r, m) ||
	       (transition_allows(TRANSITION_TOUCHED, r->status) && r->fence > 0 &&
		r->leg == m->leg && r->try_no == m->try_no && strcmp(r->owner, agent_id) != 0);
}

/* -> 3 with the key of the attempt; *fence is the row's afterwards. */
static enum rc
touch(struct store *st, const struct store_row *row, const struct journal_mark *m, int64_t delay_ms,
      int64_t *fence, struct err *e)
{
	struct change c;
	enum rc rc;

	memset(&c, 0, sizeof c);
	c.kind = CHANGE_TOUCHED;
	c.msg_id = row->msg_id;
	c.fence = row->fence;
	c.leg = m->leg;
	c.try_no = m->try_no;
	c.client_key = m->client_key;
	c.new_type = MSG_TYPE_NONE;
	c.delay_ms = delay_ms;
	text_copy(c.channel, sizeof c.channel, m->channel);
	rc = store_apply(st, &c, 1, e);
	*fence = c.new_fence;
	if (rc == RC_OK && c.answer == CHANGE_STALE)
		rc = err_set(e, RC_AGAIN, 0, "recover.touch",
			     "message %" PRId64 " moved on meanwhile", row->msg_id);
	return rc;
}

/* Is the row of this id the message of the attempt, or one that got the id after the database went
 * back? */
static enum rc
is_same(struct store *st, const struct store_row *row, const struct journal_mark *m, bool *same,
	struct err *e)
{
	*same = true;
	if (strcmp(row->client_key, m->client_key) == 0)
		return RC_OK;
	return store_is_message(st, m->msg_id, m->client_key, same, e);
}

static enum rc
replay_attempt(struct todo *t, const struct kept_attempt *a, const struct conf *c,
	       struct recovered *out)
{
	struct store_row row;
	struct change *ch;
	struct journal_mark mark = a->mark;
	int64_t delay_ms = a->mark.is_resend ? c->times.quiet_time_ms : c->times.unknown_look_ms;
	/* An answer that ends the process is none. */
	bool has_answer = a->has_answer && !blackbox_shuns_in(mark.msg_id, BOX_EVIDENCE);
	bool found, same = true;

	t->rc = store_row_read(t->st, mark.msg_id, &row, &found, t->e);
	if (t->rc == RC_OK && found)
		t->rc = is_same(t->st, &row, &mark, &same, t->e);
	if (t->rc == RC_OK && !same) {
		log_event(LOG_LEVEL_ERROR, "row.lost",
			  "id=%" PRId64
			  " key=%s channel=%s text=\"the database has another message "
			  "under this id: it has lost one that was sent\"",
			  mark.msg_id, mark.client_key, mark.channel);
		t->rc = journal_settled(t->j, &a->mark, 1, t->e);
	}
	if (t->rc != RC_OK || !same)
		return t->rc;
	if (found && is_later(&row, &mark)) {
		/* The database has even lost the claim: first the row learns that it was touched.
		 */
		t->rc = touch(t->st, &row, &mark, delay_ms, &mark.fence, t->e);
		if (t->rc != RC_OK)
			return t->rc;
		out->touched++;
		if (!has_answer || a->answer.kind == OUT_UNSURE) {
			t->rc = journal_settled(t->j, &a->mark, 1, t->e);
			return t->rc;
		}
	}
	ch = todo_add(t, &mark, true);
	if (has_answer) {
		pipeline_decide(&mark, &a->answer, delay_ms, ch);
		ch->client_key = t->mark[t->n - 1].client_key;
		out->answered++;
	} else {
		/* Stale where the row moved on: then the mark only ends. */
		ch->kind = CHANGE_UNKNOWN;
		/* Where to ask: the claim did not know it yet. */
		text_copy(ch->channel, sizeof ch->channel, mark.channel);
		ch->delay_ms = delay_ms;
		out->unknown++;
	}
	return RC_OK;
}

/* ---- rows of ours that the journal knows nothing of ---- */

struct suspects {
	const struct store_row *rows; /* in order of msg_id */
	bool *was_marked;
	size_t n;
};

static int
compare_row(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = ((const struct store_row *)b)->msg_id;

	return (x > y) - (x < y);
}

static void
seen_in_journal(void *arg, const struct journal_mark *m)
{
	struct suspects *s = arg;
	const struct store_row *hit;

	hit = bsearch(&m->msg_id, s->rows, s->n, sizeof *s->rows, compare_row);
	/* Of this try or of a later one, which the database has lost. */
	if (hit != NULL && (hit->leg < m->leg || (hit->leg == m->leg && hit->try_no <= m->try_no)))
		s->was_marked[hit - s->rows] = true;
}

enum rc
recover_prove(const struct journal *j, int64_t unbroken_since, const struct store_row *rows,
	      size_t n, bool *is_free, struct err *e)
{
	struct suspects s = { .rows = rows, .n = n };
	bool is_whole;
	size_t i;
	enum rc rc;

	memset(is_free, 0, n * sizeof *is_free);
	if (n == 0)
		return RC_OK;
	s.was_marked = calloc(n, sizeof *s.was_marked);
	if (s.was_marked == NULL)
		return err_set(e, RC_NOMEM, 0, "recover.prove", "out of memory");
	rc = journal_scan(j, seen_in_journal, &s, &is_whole, e);
	for (i = 0; i < n && rc == RC_OK; i++)
		is_free[i] = is_whole && rows[i].incarnation >= unbroken_since &&
			     !s.was_marked[i] && !rows[i].is_resend && !rows[i].older_open;
	free(s.was_marked);
	return rc;
}

/* One page of own rows in SENDING; *after moves on, *last tells that there are no more. */
static enum rc
recover_rows(struct todo *t, const struct journal_info *info, const struct conf *c, int64_t *after,
	     bool *last, struct recovered *out)
{
	struct store_row rows[256];
	bool is_free[256];
	struct journal_mark m;
	struct change *ch;
	size_t n, i, kept;
	int64_t since = info->is_new || info->is_broken || !info->same_boot ? INT64_MAX
									    : info->unbroken_since;

	*last = true;
	t->rc = store_list_own(t->st, *after, false, rows, 256, &n, t->e);
	if (t->rc != RC_OK || n == 0)
		return t->rc;
	*after = rows[n - 1].msg_id;
	*last = false;
	for (i = kept = 0; i < n; i++)
		if (!journal_knows(t->j, rows[i].msg_id, rows[i].leg, rows[i].try_no))
			rows[kept++] = rows[i];
	t->rc = recover_prove(t->j, since, rows, kept, is_free, t->e);
	for (i = 0; i < kept && t->rc == RC_OK; i++) {
		const struct store_row *r = &rows[i];

		memset(&m, 0, sizeof m);
		m.msg_id = r->msg_id;
		m.fence = r->fence;
		m.leg = r->leg;
		m.try_no = r->try_no;
		memcpy(m.client_key, r->client_key, sizeof m.client_key);
		ch = todo_add(t, &m, false);
		ch->kind = is_free[i] ? CHANGE_RELEASE : CHANGE_UNKNOWN;
		ch->delay_ms = is_free[i] ? 0 : c->times.unknown_look_ms;
		if (is_free[i])
			out->released++;
		else
			out->unknown++;
	}
	return t->rc;
}

enum rc
recover_run(struct store *st, struct journal *j, const struct journal_info *info,
	    const struct conf *c, struct recovered *out, struct err *e)
{
	struct attempts a = { NULL, 0, journal_live(j) };
	struct todo *t;
	int64_t after = 0;
	size_t i;
	bool last = false;
	enum rc rc;

	memset(out, 0, sizeof *out);
	t = calloc(1, sizeof *t);
	a.v = calloc(a.max + 1, sizeof *a.v);
	if (t == NULL || a.v == NULL) {
		free(t);
		free(a.v);
		return err_set(e, RC_NOMEM, 0, "recover", "out of memory");
	}
	t->st = st;
	t->j = j;
	t->e = e;
	journal_each(j, collect_attempt, &a);
	for (i = 0; i < a.n && t->rc == RC_OK; i++)
		t->rc = replay_attempt(t, &a.v[i], c, out);
	todo_flush(t);
	if (t->rc == RC_OK)
		t->rc = FAILPOINT(recover_after_answers);
	while (!last && t->rc == RC_OK) {
		t->rc = recover_rows(t, info, c, &after, &last, out);
		todo_flush(t);
	}
	rc = t->rc;
	free(t);
	free(a.v);
	return rc;
}

enum rc
recover_lost_commits(struct store *st, const struct journal_mark *marks, size_t n, int64_t delay_ms,
		     int64_t *touched, struct err *e)
{
	struct store_row row;
	int64_t fence;
	size_t i;
	bool found, same;
	enum rc rc = RC_OK;

	*touched = 0;
	for (i = 0; i < n && rc == RC_OK; i++) {
		rc = store_row_read(st, marks[i].msg_id, &row, &found, e);
		if (rc != RC_OK || !found || !is_lost(&row, &marks[i], store_agent_id(st)))
			continue;
		rc = is_same(st, &row, &marks[i], &same, e);
		if (rc != RC_OK || !same)
			continue;
		rc = touch(st, &row, &marks[i], delay_ms, &fence, e);
		if (rc == RC_OK)
			++*touched;
	}
	return rc;
}
