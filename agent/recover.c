/* recover.c - see recover.h. */
#include "config.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "agent/failpoint.h"
#include "agent/log.h"
#include "agent/pipeline.h"
#include "agent/recover.h"
#include "agent/text.h"

#define APPLY_ROWS 200

/* Changes on their way to the store, with the marks that end when the database has them. */
struct todo {
	struct store *st;
	struct journal *j;
	struct change c[APPLY_ROWS];
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
		if (t->c[i].answer == CHANGE_FAILED)
			log_err(LOG_LEVEL_ERROR, "settle.held", &t->c[i].err,
				"id=%" PRId64 " code=%s", t->c[i].msg_id, t->c[i].code);
		/* A row that could not even be held keeps its mark, so that the next start tries again. */
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
	t->c[t->n].client_key = t->mark[t->n].client_key;
	t->c[t->n].new_type = MSG_TYPE_NONE;
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

static bool
is_lost_commit(const struct store_row *r, const struct journal_mark *m)
{
	return (r->status == ROW_READY || r->status == ROW_DEFERRED) && r->leg == m->leg &&
	       r->try_no < m->try_no;
}

static enum rc
replay_attempt(struct todo *t, const struct kept_attempt *a, const struct conf *c,
	       struct recovered *out)
{
	struct store_row row;
	struct change *ch;
	bool found;

	if (a->has_answer) {
		ch = todo_add(t, &a->mark, true);
		pipeline_decide(
			&a->mark, &a->answer,
			a->mark.is_resend ? c->times.quiet_time_ms : c->times.unknown_look_ms, ch);
		ch->client_key = t->mark[t->n - 1].client_key;
		out->answered++;
		return t->rc;
	}
	t->rc = store_row_read(t->st, a->mark.msg_id, &row, &found, t->e);
	if (t->rc != RC_OK)
		return t->rc;
	ch = todo_add(t, &a->mark, true);
	/* Where to ask: the claim did not know it yet. */
	text_copy(ch->channel, sizeof ch->channel, a->mark.channel);
	ch->delay_ms = a->mark.is_resend ? c->times.quiet_time_ms : c->times.unknown_look_ms;
	if (found && is_lost_commit(&row, &a->mark)) {
		ch->kind = CHANGE_TOUCHED;
		ch->fence = row.fence;
		out->touched++;
	} else {
		ch->kind =
			CHANGE_UNKNOWN; /* stale where the row moved on: then the mark only ends */
		out->unknown++;
	}
	return RC_OK;
}

/* ---- rows of ours that the journal knows nothing of ---- */

struct suspect {
	struct store_row row;
	bool was_marked;
};

struct suspects {
	struct suspect *v;
	size_t n;
};

static int
compare_suspect(const void *a, const void *b)
{
	int64_t x = ((const struct suspect *)a)->row.msg_id,
		y = ((const struct suspect *)b)->row.msg_id;

	return (x > y) - (x < y);
}

static void
seen_in_journal(void *arg, const struct journal_mark *m)
{
	struct suspects *s = arg;
	struct suspect key, *hit;

	key.row.msg_id = m->msg_id;
	hit = bsearch(&key, s->v, s->n, sizeof *s->v, compare_suspect);
	if (hit != NULL && hit->row.leg == m->leg && hit->row.try_no <= m->try_no)
		hit->was_marked = true;
}

/* One page of own rows in SENDING; *after moves on, *last tells that there are no more. */
static enum rc
recover_rows(struct todo *t, const struct journal_info *info, const struct conf *c, int64_t *after,
	     bool *last, struct recovered *out)
{
	struct store_row rows[256];
	struct suspects s = { NULL, 0 };
	struct journal_mark m;
	struct change *ch;
	size_t n, i;
	bool proven;

	*last = true;
	t->rc = store_list_own(t->st, *after, false, rows, 256, &n, t->e);
	if (t->rc != RC_OK || n == 0)
		return t->rc;
	*after = rows[n - 1].msg_id;
	*last = false;
	s.v = calloc(n, sizeof *s.v);
	if (s.v == NULL)
		return t->rc = err_set(t->e, RC_NOMEM, 0, "recover.rows", "out of memory");
	for (i = 0; i < n; i++)
		if (!journal_knows(t->j, rows[i].msg_id, rows[i].leg, rows[i].try_no))
			s.v[s.n++].row = rows[i];
	/* A settle that the database has lost since shows in an older segment: SUBMIT, ANSWER and SETTLED, and the row still waits. */
	if (s.n > 0)
		t->rc = journal_scan(t->j, seen_in_journal, &s, t->e);
	for (i = 0; i < s.n && t->rc == RC_OK; i++) {
		const struct store_row *r = &s.v[i].row;

		proven = !info->is_new && !info->is_broken && info->same_boot &&
			 r->incarnation >= info->unbroken_since && !s.v[i].was_marked &&
			 !r->is_resend;
		memset(&m, 0, sizeof m);
		m.msg_id = r->msg_id;
		m.fence = r->fence;
		m.leg = r->leg;
		m.try_no = r->try_no;
		memcpy(m.client_key, r->client_key, sizeof m.client_key);
		ch = todo_add(t, &m, false);
		ch->kind = proven ? CHANGE_RELEASE : CHANGE_UNKNOWN;
		ch->delay_ms = proven ? 0 : c->times.unknown_look_ms;
		if (proven)
			out->released++;
		else
			out->unknown++;
	}
	free(s.v);
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
	struct change c;
	size_t i;
	bool found;
	enum rc rc = RC_OK;

	*touched = 0;
	for (i = 0; i < n && rc == RC_OK; i++) {
		rc = store_row_read(st, marks[i].msg_id, &row, &found, e);
		if (rc != RC_OK || !found || !is_lost_commit(&row, &marks[i]))
			continue;
		memset(&c, 0, sizeof c);
		c.kind = CHANGE_TOUCHED;
		c.msg_id = row.msg_id;
		c.fence = row.fence;
		c.leg = marks[i].leg;
		c.try_no = marks[i].try_no;
		c.client_key = marks[i].client_key;
		c.new_type = MSG_TYPE_NONE;
		c.delay_ms = delay_ms;
		text_copy(c.channel, sizeof c.channel, marks[i].channel);
		rc = store_apply(st, &c, 1, e);
		if (rc == RC_OK && c.answer == CHANGED)
			++*touched;
	}
	return rc;
}
