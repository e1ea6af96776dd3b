/* pipeline_claim.c - from the table into memory: peek, claim, rules.
 *
 * DIAGNOSTICS (events): claim.failed (repeated by itself), claim.mismatch (the heartbeat finds out
 * why). */
#include "config.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/clock.h"
#include "agent/log.h"
#include "agent/pipeline_int.h"
#include "agent/recover.h"
#include "agent/stats.h"
#include "agent/text.h"

static void
refuse(struct pipeline *p, struct message *m, const char *code, const char *text)
{
	struct settle_item *it = settle_item_new(p, m);

	it->c.kind = CHANGE_RESULT;
	it->c.class = RESULT_FAIL;
	text_copy(it->c.code, sizeof it->c.code, code);
	text_copy(it->c.text, sizeof it->c.text, text);
	stat_inc(STAT_rows_refused);
	settle_message(p, it, AT_PIPELINE);
}

/* In the lane's thread, inside the claim: what AUTO becomes and which channel it goes by must stand
 * in the row before a byte can leave; while an attempt is open that is its channel. What may be
 * sent refers to itself; another verdict rides with its message, and without memory for it the
 * loop judges again. */
static void
judge(void *arg, struct message *m)
{
	const struct claim_job *cj = arg;
	struct verdict v, *kept;

	/* Its channel may have other rules than the route's first one: the loop judges. */
	if (m->channel[0] != '\0' && (m->is_resend || m->older_open)) {
		m->pipeline_ref = NULL;
		return;
	}
	validate_message(m, &cj->rules, &v);
	if (v.kind == VERDICT_SEND) {
		validate_apply(&v, m);
		text_copy(m->channel, sizeof m->channel, cj->channels[m->type]);
		m->pipeline_ref = m;
		return;
	}
	if (v.kind != VERDICT_REFUSE && m->type == MSG_TYPE_AUTO)
		m->type = v.type;
	kept = batch_derive(m->batch, sizeof *kept);
	if (kept != NULL)
		*kept = v;
	m->pipeline_ref = kept;
}

/* Refused, or the ready line of its channel, or back to the queue of the resolved type. */
static void
route_message(struct pipeline *p, struct message *m, const struct validate_rules *rules)
{
	enum msg_type type = m->type;
	struct settle_item *it;
	struct way *w = NULL;

	if (m->is_shunned) {
		refuse(p, m, "9003", "");
		return;
	}
	if (m->pipeline_ref == m) {
		w = way_find(p, m->channel);
	} else {
		struct verdict again, *v = m->pipeline_ref;

		if (v == NULL) {
			struct validate_rules own = *rules;

			v = &again;
			w = way_find(p, m->channel);
			if (w != NULL && w->ch != NULL && m->type < MSG_TYPE_COUNT)
				way_rules_of(w, m->type, &own);
			validate_message(m, &own, v);
			if (v->kind == VERDICT_SEND)
				validate_apply(v, m);
		}
		if (v->kind == VERDICT_REFUSE) {
			m->pipeline_ref = NULL;
			refuse(p, m, v->code, v->text);
			return;
		}
		type = v->type;
	}
	m->pipeline_ref = NULL;
	if ((m->is_resend || m->older_open) && (w == NULL || !way_is_open(p, w))) {
		settle_give_back(p, m, AT_PIPELINE);
		return;
	}
	if (w == NULL || !way_is_open(p, w) ||
	    (m->asked_type == MSG_TYPE_AUTO && m->leg == 0 && way_room(p, w) == 0)) {
		it = settle_item_new(p, m);
		it->c.kind = CHANGE_RELEASE;
		it->c.new_type = type;
		settle_message(p, it, AT_PIPELINE);
		return;
	}
	way_enqueue(w, m);
}

static enum rc
claim_run(struct store *st, struct db_job *j, struct err *e)
{
	struct claim_job *cj = (struct claim_job *)j;
	int64_t after = 0;
	size_t n;
	enum rc rc;

	if (!cj->look_for_orphans)
		return cj->is_peek ? store_peek(st, cj->queues, cj->queue_count, cj->due, e)
				   : store_claim(st, &cj->claim, e);
	for (cj->row_count = 0; cj->row_count < cj->row_max; cj->row_count += n) {
		rc = store_list_own(st, after, false, cj->rows + cj->row_count,
				    cj->row_max - cj->row_count, &n, e);
		if (rc != RC_OK)
			return rc;
		if (n == 0)
			break;
		after = cj->rows[cj->row_count + n - 1].msg_id;
	}
	return RC_OK;
}

/* The rows of a claim whose COMMIT answer was lost: ours in the database and unknown here. What
 * certainly never had a byte goes back. */
static void
release_orphans(struct pipeline *p)
{
	struct claim_job *cj = &p->claim;
	struct change c;
	struct err e;
	bool *is_free = calloc(cj->row_count + 1, sizeof *is_free);
	size_t i, n;
	enum rc rc = RC_NOMEM;

	for (i = n = 0; i < cj->row_count; i++)
		if (!pipeline_has(p, cj->rows[i].msg_id) &&
		    !journal_knows(p->env.journal, cj->rows[i].msg_id, cj->rows[i].leg,
				   cj->rows[i].try_no))
			cj->rows[n++] = cj->rows[i];
	/* Rows of this incarnation: the journal has been whole since its start. */
	if (is_free != NULL)
		rc = recover_prove(p->env.journal, p->env.store->incarnation, cj->rows, n, is_free,
				   &e);
	for (i = 0; i < n && rc == RC_OK; i++) {
		const struct store_row *r = &cj->rows[i];

		memset(&c, 0, sizeof c);
		c.msg_id = r->msg_id;
		c.fence = r->fence;
		c.leg = r->leg;
		c.try_no = r->try_no;
		c.client_key = r->client_key;
		c.new_type = MSG_TYPE_NONE;
		c.kind = is_free[i] ? CHANGE_RELEASE : CHANGE_UNKNOWN;
		c.delay_ms = is_free[i] ? 0 : p->conf->times.unknown_look_ms;
		pipeline_change(p, &c);
	}
	free(is_free);
	free(cj->rows);
	cj->rows = NULL;
	p->claim_unsure = rc != RC_OK; /* then the lease finds them, or the next look */
}

static void
claim_failed(struct pipeline *p, struct db_job *j)
{
	/* Also after LOST: looking for rows that nobody knows costs one read, and a driver that
	 * took a lost COMMIT for a lost connection costs a lease. */
	if (j->rc == RC_UNSURE || j->rc == RC_LOST) {
		p->claim_unsure = true;
		p->wait_for_beat = true;
	}
	if (j->rc == RC_BUG)
		p->env.fatal(p->env.arg, 70, j->err.text);
	if (j->rc == RC_NOMEM) {
		/* The texts of so many rows do not fit: fewer, until they do; one row always fits.
		 */
		p->claim_most = p->claim.claim.want > 1 ? p->claim.claim.want / 2 : 1;
		pipeline_again_in(p, 0);
		return;
	}
	if (j->rc != RC_AGAIN)
		log_err(j->rc == RC_LOST || j->rc == RC_UNSURE ? LOG_LEVEL_WARN : LOG_LEVEL_ERROR,
			"claim.failed", &j->err, "peek=%d", p->claim.is_peek);
	p->claim_not_before_ms =
		clock_mono_ms() + (j->rc == RC_AGAIN ? 10 + clock_mono_ms() % 50
						     : pipeline_backoff(&p->claim_backoff_ms));
	pipeline_again_in(p, 20);
}

static void
claimed(struct pipeline *p, struct claim_job *cj)
{
	struct message *m;
	unsigned i;

	if (cj->claim.seq_mismatch) {
		pipeline_miscounted(p);
		batch_free(cj->claim.batch);
		return;
	}
	p->mismatch_logged = false;
	/* Twice as many would not fit. */
	if (p->claim_most < (size_t)p->conf->limits.batch &&
	    batch_bytes(cj->claim.batch) < batch_cap(p->conf) / 2)
		p->claim_most *= 2;
	/* A claim of nothing was rolled back, and its count with it. */
	if (cj->claim.got > 0)
		pipeline_counted(p, cj->claim.claim_seq);
	/* A short claim empties the queue only when nobody else took what was seen. */
	if (cj->claim.candidates < cj->claim.want)
		p->due[cj->queue_at] = false;
	if (cj->claim.got == 0) {
		batch_free(cj->claim.batch);
		return;
	}
	batch_hold(cj->claim.batch);
	stat_inc(STAT_claims);
	stat_add(STAT_rows_claimed, cj->claim.got);
	for (i = 0; i < cj->claim.got; i++) {
		m = cj->claim.out[i];
		msg_move(m, AT_NONE, AT_PIPELINE);
		m->deadline_boot_ms =
			pipeline_deadline(m, cj->claimed_boot_ms, p->conf->times.write_deadline_ms);
		pipeline_table_add(p, m);
	}
	for (i = 0; i < cj->claim.got; i++)
		if (pipeline_takes_no_more(p))
			settle_give_back(p, cj->claim.out[i], AT_PIPELINE);
		else
			route_message(p, cj->claim.out[i], &cj->rules);
}

static void
claim_done(struct db_job *j)
{
	struct claim_job *cj = (struct claim_job *)j;
	struct pipeline *p = cj->p;
	size_t i;

	p->claim_busy = false;
	if (j->rc != RC_OK) {
		if (!cj->is_peek && !cj->look_for_orphans)
			batch_free(cj->claim.batch);
		free(cj->rows);
		cj->rows = NULL;
		claim_failed(p, j);
		return;
	}
	p->claim_backoff_ms = 0;
	if (cj->look_for_orphans) {
		release_orphans(p);
	} else if (cj->is_peek) {
		for (i = 0; i < cj->queue_count && i < p->queue_count; i++)
			p->due[i] = cj->due[i];
	} else {
		claimed(p, cj);
	}
	pipeline_pump(p);
}

static const int shares[PRIORITY_COUNT] = { 8, 3, 1 };

/* The next queue to claim from: by priority, but each due queue gets its share so that none
 * starves. */
static bool
queue_choose(struct pipeline *p, size_t *at, size_t *room)
{
	size_t i, k, r, best = SIZE_MAX, best_room = 0;
	int round;

	for (round = 0; round < 2; round++) {
		for (i = 0; i < p->queue_count; i++) {
			k = (p->next_queue + i) % p->queue_count;
			if (!p->due[k] || p->tokens[k] <= 0)
				continue;
			r = way_room_of_type(p, p->queues[k].type);
			if (r > 0 && (best == SIZE_MAX ||
				      p->queues[k].priority < p->queues[best].priority)) {
				best = k;
				best_room = r;
			}
		}
		if (best != SIZE_MAX)
			break;
		for (i = 0; i < p->queue_count; i++)
			p->tokens[i] = shares[p->queues[i].priority];
	}
	if (best == SIZE_MAX)
		return false;
	p->tokens[best]--;
	p->next_queue = best + 1;
	*at = best;
	*room = best_room;
	return true;
}

static bool
any_room(struct pipeline *p)
{
	size_t i;

	for (i = 0; i < p->queue_count; i++)
		if (way_room_of_type(p, p->queues[i].type) > 0)
			return true;
	return false;
}

void
claim_some(struct pipeline *p)
{
	struct claim_job *cj = &p->claim;
	int64_t now = clock_mono_ms();
	size_t at, room, free_rows;

	if (p->is_stopped || p->claim_busy || p->is_draining || p->queue_count == 0)
		return;
	if (p->wait_for_beat)
		return;
	if (now < p->claim_not_before_ms) {
		pipeline_again_in(p, p->claim_not_before_ms - now);
		return;
	}
	cj->p = p;
	cj->db.run = claim_run;
	cj->db.done = claim_done;
	cj->look_for_orphans = p->claim_unsure && !p->is_frozen;
	cj->is_peek = false;
	if (cj->look_for_orphans) {
		cj->row_max = (size_t)(p->conf->limits.in_flight + p->conf->limits.batch);
		cj->row_count = 0;
		cj->rows = calloc(cj->row_max, sizeof *cj->rows);
		if (cj->rows == NULL) {
			pipeline_again_in(p, 1000);
			return;
		}
	} else {
		free_rows = p->in_memory < (size_t)p->conf->limits.in_flight
				    ? (size_t)p->conf->limits.in_flight - p->in_memory
				    : 0;
		/* Long texts take the room of many messages. */
		if (batch_held_bytes() > (size_t)p->conf->limits.in_flight * MESSAGE_BYTES)
			free_rows = 0;
		if (p->is_frozen || free_rows == 0 || !any_room(p)) {
			pipeline_again_in(p, p->conf->times.idle_poll_ms);
			return;
		}
		/* While bulk drains, an urgent row must be seen at the pace of the idle poll all
		 * the same. */
		if (now - p->last_peek_ms < p->conf->times.idle_poll_ms &&
		    queue_choose(p, &at, &room)) {
			cj->queue_at = at;
			cj->claim = (struct store_claim){ .queue = p->queues[at],
							  .claim_seq = p->claim_seq,
							  .beat_seq = p->beat_seq,
							  .out = cj->claim.out };
			cj->claim.want = (unsigned)(room < (size_t)p->conf->limits.batch
							    ? room
							    : (size_t)p->conf->limits.batch);
			if (cj->claim.want > free_rows)
				cj->claim.want = (unsigned)free_rows;
			if (cj->claim.want > p->claim_most)
				cj->claim.want = (unsigned)p->claim_most;
			way_rules(p, &cj->rules, cj->channels);
			cj->claim.judge = judge;
			cj->claim.judge_arg = cj;
			cj->claim.batch = batch_new(batch_cap(p->conf));
			if (cj->claim.batch == NULL) {
				pipeline_again_in(p, 1000);
				return;
			}
			/* Before the statement: whatever the database takes, the deadline is never
			 * later than the lease allows. */
			cj->claimed_boot_ms = clock_boot_ms();
		} else {
			/* Also when something is due whose channel has no room. */
			if (now - p->last_peek_ms < p->conf->times.idle_poll_ms) {
				pipeline_again_in(p, p->conf->times.idle_poll_ms -
							     (now - p->last_peek_ms));
				return;
			}
			p->last_peek_ms = now;
			cj->is_peek = true;
			memcpy(cj->queues, p->queues, sizeof cj->queues);
			cj->queue_count = p->queue_count;
		}
	}
	p->claim_busy = true;
	if (session_submit(p->env.claim, &cj->db, false) != RC_OK) {
		cj->db.rc = RC_AGAIN;
		claim_done(&cj->db);
	}
}

void
claim_queues_of_routes(struct pipeline *p)
{
	enum msg_type t;
	int pr;

	p->queue_count = 0;
	for (t = MSG_TYPE_AUTO; t < MSG_TYPE_COUNT; t++) {
		if (t == MSG_TYPE_AUTO ? conf_route_find(p->conf, MSG_TYPE_SMS) == NULL &&
						 conf_route_find(p->conf, MSG_TYPE_LMS) == NULL
				       : conf_route_find(p->conf, t) == NULL)
			continue;
		for (pr = 0; pr < PRIORITY_COUNT; pr++) {
			p->queues[p->queue_count] =
				(struct store_queue){ .type = t, .priority = pr };
			p->due[p->queue_count] = false;
			p->tokens[p->queue_count++] = shares[pr];
		}
	}
}
