/* pipeline_settle.c - what an outcome makes of a row, and the line of changes that wait for the
 * database.
 *
 * DIAGNOSTICS (events): channel.duplicate, settle.failed (repeated by itself), settle.stale,
 * settle.held, settle.waiting, settle.gone. */
#include "config.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/blackbox.h"
#include "agent/clock.h"
#include "agent/log.h"
#include "agent/pipeline_int.h"
#include "agent/stats.h"
#include "agent/text.h"

struct settle_item *
settle_item_new(struct pipeline *p, struct message *m)
{
	struct settle_item *it = calloc(1, sizeof *it);

	if (it == NULL)
		abort(); /* bounded by limits.in_flight; a restart replays the journal */
	it->m = m;
	it->c.new_type = MSG_TYPE_NONE;
	if (m != NULL) {
		it->c.msg_id = m->msg_id;
		it->c.fence = m->fence;
		it->c.leg = m->leg;
		it->c.try_no = m->try_no;
		it->c.m = m;
		/* The fence is enough for one that is not worked on: its settling may be what ended
		 * the process. */
		snprintf(it->key, sizeof it->key, "%s", m->is_shunned ? "" : m->client_key);
		it->c.client_key = it->key;
	}
	(void)p;
	return it;
}

void
settle_item_free(struct settle_item *it)
{
	free(it->more_ids);
	free(it);
}

void
settle_own_ids(struct settle_item *it)
{
	if (it->c.more_ids == NULL)
		return;
	it->more_ids = strdup(it->c.more_ids);
	if (it->more_ids == NULL)
		abort();
	it->c.more_ids = it->more_ids;
}

void
settle_add(struct pipeline *p, struct settle_item *it)
{
	it->next = NULL;
	*p->settle_tail = it;
	p->settle_tail = &it->next;
	p->settle_count++;
}

void
settle_message(struct pipeline *p, struct settle_item *it, enum msg_where from)
{
	msg_move(it->m, from, AT_SETTLE);
	settle_add(p, it);
}

static enum rc
settle_run(struct store *st, struct db_job *j, struct err *e)
{
	struct settle_job *sj = (struct settle_job *)j;

	return store_apply(st, sj->changes, sj->n, e);
}

/* The database has what became of these: one write for all of them. */
static void
mark_settled(struct pipeline *p, struct settle_job *sj)
{
	static struct journal_mark marks[WIRE_MAX]; /* loop thread only; too large for the stack */
	struct err e;
	size_t i, n = 0;

	for (i = 0; i < sj->n; i++) {
		const struct change *c = &sj->changes[i];

		/* What could not even be held is settled again. */
		if (!sj->items[i]->has_mark || (c->answer == CHANGE_FAILED && c->new_fence <= 0))
			continue;
		if (n == WIRE_MAX) {
			if (journal_settled(p->env.journal, marks, n, &e) != RC_OK)
				p->env.fatal(p->env.arg, 75, e.text);
			n = 0;
		}
		marks[n++] = sj->items[i]->mark;
	}
	if (n > 0 && journal_settled(p->env.journal, marks, n, &e) != RC_OK)
		p->env.fatal(p->env.arg, 75, e.text);
}

/* The row is settled in the database, or it is not ours to settle any more; the journal knows. */
void
settle_item_end(struct pipeline *p, struct settle_item *it)
{
	struct message *m = it->m;

	if (m != NULL) {
		pipeline_table_remove(p, m);
		msg_move(m, AT_SETTLE, AT_NONE);
		batch_let_go(m);
	}
	settle_item_free(it);
}

static void
settle_done(struct db_job *j)
{
	struct settle_job *sj = (struct settle_job *)j;
	struct pipeline *p = sj->p;
	struct settle_item *it;
	size_t i, locked = 0;

	sj->busy = false;
	if (j->rc != RC_OK) {
		/* Back to the head of the line, in order; LOST and UNSURE are read back by the
		 * repeat itself. */
		for (i = sj->n; i > 0; i--) {
			it = sj->items[i - 1];
			it->c = sj->changes[i - 1];
			it->next = p->settle_head;
			p->settle_head = it;
			if (it->next == NULL)
				p->settle_tail = &it->next;
			p->settle_count++;
		}
		if (j->rc == RC_BUG)
			p->env.fatal(p->env.arg, 70, j->err.text);
		if (j->rc != RC_AGAIN)
			log_err(j->rc == RC_LOST || j->rc == RC_UNSURE ? LOG_LEVEL_WARN
								       : LOG_LEVEL_ERROR,
				"settle.failed", &j->err, "changes=%zu waiting=%zu", sj->n,
				p->settle_count);
		stat_inc(STAT_settle_retries);
		p->settle_not_before_ms =
			clock_mono_ms() + (j->rc == RC_AGAIN
						   ? 10 + clock_mono_ms() % 50
						   : pipeline_backoff(&p->settle_backoff_ms));
		pipeline_again_in(p, 20);
		return;
	}
	p->settle_backoff_ms = 0;
	stat_inc(STAT_settle_transactions);
	mark_settled(p, sj);
	for (i = 0; i < sj->n; i++) {
		it = sj->items[i];
		it->c = sj->changes[i];
		switch (it->c.answer) {
		case CHANGED:
			stat_inc(STAT_rows_settled);
			/* Where an older attempt is open the row lives on. */
			if (it->c.kind == CHANGE_ACCEPT ||
			    (it->c.kind == CHANGE_RESULT &&
			     (it->m == NULL || (!it->m->is_resend && !it->m->older_open))))
				blackbox_forget(it->c.msg_id);
			break;
		case CHANGE_STALE:
			log_event(LOG_LEVEL_WARN, "settle.stale",
				  "id=%" PRId64 " kind=%d try=%d code=%s", it->c.msg_id,
				  (int)it->c.kind, (int)it->c.try_no, it->c.code);
			stat_inc(STAT_settle_stale);
			break;
		case CHANGE_GONE:
			log_event(LOG_LEVEL_INFO, "settle.gone",
				  "id=%" PRId64 " kind=%d text=\"the application deleted the row\"",
				  it->c.msg_id, (int)it->c.kind);
			break;
		case CHANGE_FAILED:
			if (sj->why[i].rc == RC_AGAIN)
				locked++;
			else
				log_err(LOG_LEVEL_ERROR, "settle.held", &sj->why[i],
					"id=%" PRId64 " code=%s held=%s", it->c.msg_id, it->c.code,
					it->c.new_fence > 0 ? "yes" : "no");
			if (it->c.new_fence <= 0) {
				it->not_before_ms = clock_mono_ms() + BACKOFF_LAST_MS;
				settle_add(p, it);
				continue;
			}
			break;
		}
		settle_item_end(p, it);
	}
	if (locked > 0)
		log_event(LOG_LEVEL_WARN, "settle.waiting",
			  "rows=%zu text=\"another transaction holds them; tried again\"", locked);
	pipeline_pump(p);
}

void
settle_some(struct pipeline *p)
{
	struct settle_job *sj = &p->settle;
	struct settle_item **at, *it;
	int64_t now = clock_mono_ms();
	size_t most = (size_t)p->conf->limits.settle_batch;

	if (p->is_stopped || sj->busy || p->settle_count == 0 || now < p->settle_not_before_ms)
		return;
	sj->n = 0;
	for (at = &p->settle_head; (it = *at) != NULL && sj->n < most;) {
		if (it->not_before_ms > now) {
			at = &it->next;
			continue;
		}
		*at = it->next;
		if (*at == NULL)
			p->settle_tail = at;
		it->c.client_key = it->key;
		it->c.err = &sj->why[sj->n];
		sj->items[sj->n] = it;
		sj->changes[sj->n++] = it->c;
		p->settle_count--;
	}
	if (sj->n == 0)
		return;
	sj->db.run = settle_run;
	sj->db.done = settle_done;
	sj->p = p;
	sj->busy = true;
	if (session_submit(p->env.settle, &sj->db, true) != RC_OK) {
		sj->db.rc = RC_AGAIN;
		settle_done(&sj->db);
	}
}

void
pipeline_change(struct pipeline *p, const struct change *c)
{
	struct settle_item *it = settle_item_new(p, NULL);

	it->c = *c;
	snprintf(it->key, sizeof it->key, "%s", c->client_key != NULL ? c->client_key : "");
	it->c.client_key = it->key;
	it->c.m = NULL;
	settle_own_ids(it);
	settle_add(p, it);
	settle_some(p);
}

void
pipeline_decide(const struct journal_mark *mark, const struct outcome *o, int64_t unknown_look_ms,
		struct change *c)
{
	enum outcome_kind kind = o->kind;

	c->msg_id = mark->msg_id;
	c->fence = mark->fence;
	c->leg = mark->leg;
	c->try_no = mark->try_no;
	c->client_key = mark->client_key;
	c->new_type = MSG_TYPE_NONE;
	c->parts = o->parts;
	text_copy(c->channel, sizeof c->channel, mark->channel);
	text_copy(c->code, sizeof c->code, o->code);
	text_copy(c->text, sizeof c->text, o->text);
	text_copy(c->provider_code, sizeof c->provider_code, o->provider_code);
	text_copy(c->provider_id, sizeof c->provider_id, o->provider_id);

	/* "Duplicate" proves an acceptance only when an attempt of ours with this key is open; else
	 * somebody else used our key. */
	if (kind == OUT_ACCEPTED && o->duplicate && !mark->is_resend) {
		log_event(LOG_LEVEL_ERROR, "channel.duplicate",
			  "id=%" PRId64 " channel=%s text=\"the provider says that it knows the "
			  "key of a first attempt; the outcome is kept as unknown\"",
			  mark->msg_id, mark->channel);
		kind = OUT_UNSURE;
	}
	/* While an older attempt with the same key is open, "no" to this one says nothing about
	 * that one. */
	if (mark->is_resend && (kind == OUT_REJECTED || kind == OUT_DEFERRED))
		kind = OUT_UNSURE;
	if (kind == OUT_DEFERRED && o->certainly_ended && mark->generation >= GENERATIONS_MAX)
		kind = OUT_REJECTED;
	switch (kind) {
	case OUT_ACCEPTED:
		if (!o->is_final) {
			c->kind = CHANGE_ACCEPT;
			c->more_ids = o->more_ids;
			return;
		}
		c->kind = CHANGE_RESULT;
		c->class = RESULT_OK;
		c->is_evidence = true;
		text_copy(c->code, sizeof c->code, "0000");
		return;
	case OUT_REJECTED:
		c->kind = CHANGE_RESULT;
		c->class = RESULT_FAIL;
		c->is_evidence = true;
		if (c->code[0] == '\0')
			text_copy(c->code, sizeof c->code, "9099");
		return;
	case OUT_DEFERRED:
		if (o->retry_after_ms == 0 && !o->certainly_ended) {
			c->kind = CHANGE_RELEASE;
			return;
		}
		c->kind = CHANGE_DEFER;
		c->new_generation = o->certainly_ended;
		c->delay_ms = o->retry_after_ms;
		if (c->delay_ms == 0)
			c->delay_ms = INT64_C(1000)
				      << (mark->generation < 9 ? mark->generation : 9);
		return;
	case OUT_UNSURE:
		c->kind = CHANGE_UNKNOWN;
		c->delay_ms = unknown_look_ms;
		text_copy(c->code, sizeof c->code, "8002");
		return;
	}
}

/* A message that no byte of has left: back to the table at once. */
void
settle_give_back(struct pipeline *p, struct message *m, enum msg_where from)
{
	struct settle_item *it = settle_item_new(p, m);

	if (m->is_resend || m->older_open) {
		it->c.kind = CHANGE_UNKNOWN;
		it->c.delay_ms = p->conf->times.unknown_look_ms;
	} else {
		it->c.kind = CHANGE_RELEASE;
	}
	settle_message(p, it, from);
}
