/* pipeline.c - see pipeline.h.
 *
 * DIAGNOSTICS (events): channel.state, channel.duplicate, claim.failed, claim.mismatch, settle.failed, settle.stale,
 * settle.held, settle.gone, report.conflict, report.kept, row.refused (debug), unknown.held, wire.late, journal.failed. */
#include "config.h"
#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "agent/clock.h"
#include "agent/failpoint.h"
#include "agent/log.h"
#include "agent/pipeline.h"
#include "agent/result.h"
#include "agent/stats.h"
#include "agent/validate.h"
#include "drivers/channel/channel.h"

#define QUEUE_MAX (MSG_TYPE_COUNT * PRIORITY_COUNT)
#define TABLE_SIZE 8192u /* buckets of the table by msg_id */
#define CHANNELS_MAX 16
#define WIRE_MAX 2000  /* messages in one request, the upper bound of channels.batch */
#define REPORT_PAGES 4 /* pages that may wait for the database before no further one is pulled */
#define ATTEMPTS_MAX 3 /* automatic re-sends of one leg stop here */
#define GENERATIONS_MAX 60 /* a provider that refuses "for now" this often has refused */
#define BACKOFF_FIRST_MS 200
#define BACKOFF_LAST_MS 30000
#define BATCH_CAP_BYTES (24u << 20) /* texts of one claim */

/* A configured channel and what the pipeline keeps about it. */
struct way {
	struct pipeline *p;
	const struct conf_channel *cf;
	const struct channel_driver *driver;
	struct channel *ch;
	enum channel_state state;
	bool is_paused;
	bool reopen; /* the options changed: close when empty, open with the new ones */
	char name[33];
	struct message *head[PRIORITY_COUNT], **tail[PRIORITY_COUNT]; /* ready to be submitted */
	size_t ready;
	size_t sent;	       /* lent to the driver */
	int64_t not_before_ms; /* after a row of deferrals nothing is submitted for a while */
	int64_t backoff_ms;
	size_t queries; /* asked by resolve() */
	unsigned pages; /* of reports, between the provider and the database */
	bool page_owed; /* reports_taken() is due as soon as there is room */
};

struct settle_item {
	struct settle_item *next;
	struct change c;
	struct message *m; /* NULL: not from memory */
	struct journal_mark mark;
	bool has_mark;
	char key[CLIENT_KEY_LEN + 1];
	int64_t not_before_ms; /* repeated slowly after a failure of its own */
};

struct report_wait {
	struct report_wait *next;
	struct report_item item;
	struct way *way; /* NULL: from the journal */
	bool ends_page;
};

struct claim_job {
	struct db_job db;
	struct pipeline *p;
	bool is_peek;
	bool look_for_orphans; /* a COMMIT was UNSURE */
	struct store_queue queues[QUEUE_MAX];
	bool due[QUEUE_MAX];
	size_t queue_count;
	struct store_claim claim;
	size_t queue_at;
	int64_t deadline_boot_ms;
	struct store_row *rows; /* of orphans */
	size_t row_count, row_max;
};

struct settle_job {
	struct db_job db;
	struct pipeline *p;
	struct settle_item **items;
	struct change *changes;
	size_t n;
	bool busy;
};

struct report_job {
	struct db_job db;
	struct pipeline *p;
	struct report_wait **waits;
	struct report_item *items;
	size_t n, max;
	bool busy;
};

struct sync_job {
	struct job job;
	struct pipeline *p;
	struct way *way;
	int fd;
	int why;
};

struct resend_job {
	struct db_job db;
	struct pipeline *p;
	struct way *way;
	struct store_resend r;
	struct batch *batch;
	struct message *out[1];
	size_t got;
	int64_t deadline_boot_ms;
};

struct pipeline {
	struct pipeline_env env;
	struct conf *conf;
	struct way ways[CHANNELS_MAX];
	size_t way_count;
	struct message *table[TABLE_SIZE];
	size_t in_memory;

	struct store_queue queues[QUEUE_MAX];
	bool due[QUEUE_MAX];
	int tokens[QUEUE_MAX];
	size_t queue_count;
	size_t next_queue;
	int64_t last_peek_ms;
	struct claim_job claim;
	bool claim_busy;
	bool claim_unsure;
	int64_t claim_seq;
	int64_t claim_not_before_ms;
	int64_t claim_backoff_ms;
	struct event *poll;

	struct settle_item *settle_head, **settle_tail;
	size_t settle_count;
	struct settle_job settle;
	int64_t settle_not_before_ms;
	int64_t settle_backoff_ms;

	struct report_wait *report_head, **report_tail;
	size_t report_count;
	struct report_job report;
	size_t resends;
	size_t syncs;

	bool is_draining, is_stopped, is_frozen, is_paused, mismatch_logged;
	int64_t claimed, settled; /* messages, for the invariant */
};

static void pump(struct pipeline *p);
static void claim_some(struct pipeline *p);
static void settle_some(struct pipeline *p);
static void report_some(struct pipeline *p);

/* ---- small things ---- */

static void
again_in(struct pipeline *p, int64_t ms)
{
	struct timeval tv = { (time_t)(ms / 1000), (suseconds_t)(ms % 1000) * 1000 };

	if (!p->is_stopped)
		event_add(p->poll, &tv);
}

static int64_t
grow(int64_t *backoff_ms)
{
	*backoff_ms = *backoff_ms == 0 ? BACKOFF_FIRST_MS : *backoff_ms * 2;
	if (*backoff_ms > BACKOFF_LAST_MS)
		*backoff_ms = BACKOFF_LAST_MS;
	/* Jitter from the clock keeps several agents from asking in step. */
	return *backoff_ms / 2 + clock_mono_ms() % (*backoff_ms / 2 + 1);
}

static void
mark_of(const struct message *m, const char *channel, struct journal_mark *mark)
{
	memset(mark, 0, sizeof *mark);
	mark->msg_id = m->msg_id;
	mark->fence = m->fence;
	mark->leg = m->leg;
	mark->generation = m->generation;
	mark->try_no = m->try_no;
	mark->is_resend = m->is_resend;
	snprintf(mark->client_key, sizeof mark->client_key, "%s", m->client_key);
	snprintf(mark->channel, sizeof mark->channel, "%s", channel);
}

static struct message **
table_place(const struct pipeline *p, int64_t msg_id)
{
	struct message **m = (struct message **)&p->table[(uint64_t)msg_id % TABLE_SIZE];

	while (*m != NULL && (*m)->msg_id != msg_id)
		m = &(*m)->hash_next;
	return m;
}

bool
pipeline_has(const struct pipeline *p, int64_t msg_id)
{
	return *table_place(p, msg_id) != NULL;
}

static void
table_add(struct pipeline *p, struct message *m)
{
	struct message **place = table_place(p, m->msg_id);

	m->hash_next = *place;
	*place = m;
	p->in_memory++;
	p->claimed++;
}

static void
table_remove(struct pipeline *p, struct message *m)
{
	struct message **place = (struct message **)&p->table[(uint64_t)m->msg_id % TABLE_SIZE];

	while (*place != m)
		place = &(*place)->hash_next;
	*place = m->hash_next;
	p->in_memory--;
	p->settled++;
}

static struct way *
way_find(struct pipeline *p, const char *name)
{
	size_t i;

	for (i = 0; i < p->way_count; i++)
		if (strcmp(p->ways[i].name, name) == 0)
			return &p->ways[i];
	return NULL;
}

static bool
way_is_open(const struct pipeline *p, const struct way *w)
{
	return w->ch != NULL && !w->is_paused && !p->is_paused && !w->reopen &&
	       w->state != CHANNEL_DOWN && w->state != CHANNEL_REFUSED &&
	       clock_mono_ms() >= w->not_before_ms;
}

/* Messages that the channel would take at once and that are not waiting for it already. */
static size_t
way_room(const struct pipeline *p, const struct way *w)
{
	size_t room;

	if (!way_is_open(p, w))
		return 0;
	room = w->driver->room(w->ch);
	return room > w->ready ? room - w->ready : 0;
}

/* The first channel of the route that can take it now: a later one only while the ones before cannot. */
static struct way *
route_way(struct pipeline *p, enum msg_type type)
{
	const struct conf_route *r = conf_route_find(p->conf, type);
	struct way *w;
	size_t i;

	for (i = 0; r != NULL && i < r->channels_count; i++) {
		w = way_find(p, r->channels[i]);
		if (w == NULL || w->ch == NULL || (w->driver->caps(w->ch)->types & 1u << type) == 0)
			continue;
		if (way_is_open(p, w))
			return w;
	}
	return NULL;
}

static size_t
type_room(struct pipeline *p, enum msg_type type)
{
	struct way *w;
	size_t sms, lms;

	if (type == MSG_TYPE_AUTO) {
		sms = type_room(p, MSG_TYPE_SMS);
		lms = type_room(p, MSG_TYPE_LMS);
		return sms > lms ? sms : lms;
	}
	w = route_way(p, type);
	return w == NULL ? 0 : way_room(p, w);
}

/* ---- settling ---- */

static struct settle_item *
item_new(struct pipeline *p, struct message *m)
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
		snprintf(it->key, sizeof it->key, "%s", m->client_key);
		it->c.client_key = it->key;
	}
	(void)p;
	return it;
}

static void
settle_add(struct pipeline *p, struct settle_item *it)
{
	it->next = NULL;
	*p->settle_tail = it;
	p->settle_tail = &it->next;
	p->settle_count++;
}

static void
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

/* The row is settled in the database, or it is not ours to settle any more. */
static void
item_end(struct pipeline *p, struct settle_item *it)
{
	struct err e;
	struct message *m = it->m;

	if (it->has_mark && journal_settled(p->env.journal, &it->mark, 1, &e) != RC_OK)
		p->env.fatal(p->env.arg, 75, e.text);
	if (m != NULL) {
		table_remove(p, m);
		msg_move(m, AT_SETTLE, AT_NONE);
		batch_let_go(m);
	}
	free(it);
}

static void
settle_done(struct db_job *j)
{
	struct settle_job *sj = (struct settle_job *)j;
	struct pipeline *p = sj->p;
	struct settle_item *it;
	size_t i;

	sj->busy = false;
	if (j->rc != RC_OK) {
		/* Back to the head of the line, in order; LOST and UNSURE are read back by the repeat itself. */
		for (i = sj->n; i > 0; i--) {
			it = sj->items[i - 1];
			it->c = sj->changes[i - 1];
			it->next = p->settle_head;
			p->settle_head = it;
			if (it->next == NULL)
				p->settle_tail = &it->next;
			p->settle_count++;
		}
		if (j->rc != RC_AGAIN)
			log_err(j->rc == RC_LOST || j->rc == RC_UNSURE ? LOG_LEVEL_WARN
								       : LOG_LEVEL_ERROR,
				"settle.failed", &j->err, "changes=%zu waiting=%zu", sj->n,
				p->settle_count);
		stat_inc(STAT_settle_retries);
		p->settle_not_before_ms =
			clock_mono_ms() + (j->rc == RC_AGAIN ? 10 + clock_mono_ms() % 50
							     : grow(&p->settle_backoff_ms));
		again_in(p, 20);
		return;
	}
	p->settle_backoff_ms = 0;
	stat_inc(STAT_settle_transactions);
	for (i = 0; i < sj->n; i++) {
		it = sj->items[i];
		it->c = sj->changes[i];
		switch (it->c.answer) {
		case CHANGED:
			stat_inc(STAT_rows_settled);
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
			log_err(LOG_LEVEL_ERROR, "settle.held", &it->c.err,
				"id=%" PRId64 " code=%s held=%s", it->c.msg_id, it->c.code,
				it->c.new_fence > 0 ? "yes" : "no");
			if (it->c.new_fence <= 0) {
				it->not_before_ms = clock_mono_ms() + BACKOFF_LAST_MS;
				settle_add(p, it);
				continue;
			}
			break;
		}
		item_end(p, it);
	}
	pump(p);
}

static void
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
	struct settle_item *it = item_new(p, NULL);

	it->c = *c;
	snprintf(it->key, sizeof it->key, "%s", c->client_key != NULL ? c->client_key : "");
	it->c.client_key = it->key;
	it->c.m = NULL;
	settle_add(p, it);
	settle_some(p);
}

/* ---- what an outcome makes of a row ---- */

static void
set_text(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from);
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
	set_text(c->channel, sizeof c->channel, mark->channel);
	set_text(c->code, sizeof c->code, o->code);
	set_text(c->text, sizeof c->text, o->text);
	set_text(c->provider_code, sizeof c->provider_code, o->provider_code);
	set_text(c->provider_id, sizeof c->provider_id, o->provider_id);

	/* "Duplicate" proves an acceptance only when an attempt of ours with this key is open; else somebody else used our key. */
	if (kind == OUT_ACCEPTED && o->duplicate && !mark->is_resend) {
		log_event(LOG_LEVEL_ERROR, "channel.duplicate",
			  "id=%" PRId64 " channel=%s text=\"the provider says that it knows the "
					"key of a first attempt; the outcome is kept as unknown\"",
			  mark->msg_id, mark->channel);
		kind = OUT_UNSURE;
	}
	/* While an older attempt with the same key is open, "no" to this one says nothing about that one. */
	if (mark->is_resend && (kind == OUT_REJECTED || kind == OUT_DEFERRED))
		kind = OUT_UNSURE;
	if (kind == OUT_DEFERRED && o->certainly_ended && mark->generation >= GENERATIONS_MAX)
		kind = OUT_REJECTED;
	switch (kind) {
	case OUT_ACCEPTED:
		if (!o->is_final) {
			c->kind = CHANGE_ACCEPT;
			return;
		}
		c->kind = CHANGE_RESULT;
		c->class = RESULT_OK;
		c->is_evidence = true;
		set_text(c->code, sizeof c->code, "0000");
		return;
	case OUT_REJECTED:
		c->kind = CHANGE_RESULT;
		c->class = RESULT_FAIL;
		c->is_evidence = true;
		if (c->code[0] == '\0')
			set_text(c->code, sizeof c->code, "9099");
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
		set_text(c->code, sizeof c->code, "8002");
		return;
	}
}

/* A message that no byte of has left: back to the table at once. */
static void
give_back(struct pipeline *p, struct message *m, enum msg_where from)
{
	struct settle_item *it = item_new(p, m);

	if (m->is_resend || m->older_open) {
		it->c.kind = CHANGE_UNKNOWN;
		it->c.delay_ms = p->conf->times.unknown_look_ms;
	} else {
		it->c.kind = CHANGE_RELEASE;
	}
	settle_message(p, it, from);
}

/* ---- channel events ---- */

static bool
on_wire(void *owner, struct message **m, size_t n)
{
	static struct journal_mark marks[WIRE_MAX]; /* loop thread only; too large for the stack */
	struct way *w = owner;
	struct pipeline *p = w->p;
	struct err e;
	int64_t now = clock_boot_ms();
	size_t i;
	enum rc rc;

	if (n > WIRE_MAX)
		return false;
	for (i = 0; i < n; i++) {
		if (now > m[i]->deadline_boot_ms) {
			log_event(LOG_LEVEL_WARN, "wire.late",
				  "channel=%s messages=%zu text=\"the write deadline is over; "
				  "nothing was sent\"",
				  w->name, n);
			return false;
		}
		mark_of(m[i], w->name, &marks[i]);
	}
	rc = journal_submit(p->env.journal, marks, n, &e);
	if (rc != RC_OK) {
		log_err(LOG_LEVEL_ERROR, "journal.failed", &e, "channel=%s messages=%zu", w->name,
			n);
		w->not_before_ms = clock_mono_ms() + 1000;
		if (rc == RC_BUG)
			p->env.fatal(p->env.arg, 75, e.text);
		return false;
	}
	for (i = 0; i < n; i++)
		m[i]->touched = true;
	stat_add(STAT_messages_wire, (int64_t)n);
	return FAILPOINT(wire_after_mark) == RC_OK;
}

static void
on_done(void *owner, struct message **m, const struct outcome *o, size_t n)
{
	static struct journal_mark marks[WIRE_MAX];
	static struct outcome answers[WIRE_MAX];
	struct way *w = owner;
	struct pipeline *p = w->p;
	struct settle_item *it;
	struct outcome answer;
	struct err e;
	bool has_reports = w->driver->caps(w->ch)->has_reports;
	size_t i, touched = 0, taken = 0;

	/* A failed ANSWER mark cannot be undone: the marks so far say "touched", which is true and safe. */
	(void)FAILPOINT(answer_before_mark);
	for (i = 0; i < n; i++) {
		if (!m[i]->touched)
			continue;
		mark_of(m[i], w->name, &marks[touched]);
		answers[touched] = o[i];
		answers[touched++].is_final = !has_reports;
	}
	if (touched > 0 && touched <= WIRE_MAX &&
	    journal_answer(p->env.journal, marks, answers, touched, &e) != RC_OK) {
		log_err(LOG_LEVEL_ERROR, "journal.failed", &e, "channel=%s", w->name);
		p->env.fatal(p->env.arg, 75, e.text);
	}
	(void)FAILPOINT(answer_after_mark);
	w->sent -= n;
	for (i = 0; i < n; i++) {
		if (o[i].kind != OUT_DEFERRED)
			taken++;
		stat_inc(o[i].kind == OUT_ACCEPTED   ? STAT_messages_accepted
			 : o[i].kind == OUT_REJECTED ? STAT_messages_rejected
			 : o[i].kind == OUT_DEFERRED ? STAT_messages_deferred
						     : STAT_messages_unsure);
		if (!m[i]->touched) {
			/* wire() never said yes: whatever the driver thinks, nothing left. */
			if (o[i].retry_after_ms > 0 && !m[i]->is_resend && !m[i]->older_open) {
				it = item_new(p, m[i]);
				it->c.kind = CHANGE_DEFER;
				it->c.delay_ms = o[i].retry_after_ms;
				settle_message(p, it, AT_CHANNEL);
			} else {
				give_back(p, m[i], AT_CHANNEL);
			}
			continue;
		}
		it = item_new(p, m[i]);
		mark_of(m[i], w->name, &it->mark);
		it->has_mark = true;
		/* A second look at a re-send must not come before the quiet time of the re-send itself. */
		answer = o[i];
		answer.is_final = !has_reports;
		pipeline_decide(&it->mark, &answer,
				m[i]->is_resend ? p->conf->times.quiet_time_ms
						: p->conf->times.unknown_look_ms,
				&it->c);
		it->c.keeps_attempt = m[i]->older_open;
		it->c.client_key = it->key;
		settle_message(p, it, AT_CHANNEL);
	}
	if (taken > 0) {
		w->backoff_ms = 0;
		w->not_before_ms = 0;
	} else {
		w->not_before_ms = clock_mono_ms() + grow(&w->backoff_ms);
	}
	again_in(p, 0);
}

static void
sync_run(struct job *j, void *ctx)
{
	struct sync_job *sj = (struct sync_job *)j;

	(void)ctx;
	sj->why = sj->fd < 0 || fdatasync(sj->fd) != 0 ? errno : 0;
}

static void
page_taken(struct way *w)
{
	struct pipeline *p = w->p;

	/* Called when the page is synced and again when the database has it: whichever is last lets the next page come. */
	if (w->pages >= REPORT_PAGES || p->is_draining) {
		w->page_owed = true;
		return;
	}
	w->page_owed = false;
	if (w->ch != NULL)
		w->driver->reports_taken(w->ch);
}

static void
sync_done(struct job *j)
{
	struct sync_job *sj = (struct sync_job *)j;
	struct pipeline *p = sj->p;

	close(sj->fd);
	if (sj->why == 0) {
		page_taken(sj->way);
	} else {
		/* Not confirmed by the disk: the next page is asked for when the database has this one. */
		log_event(LOG_LEVEL_ERROR, "journal.failed", "text=\"cannot sync: %s\"",
			  strerror(sj->why));
		sj->way->page_owed = true;
	}
	p->syncs--;
	free(sj);
}

static void
on_reports(void *owner, const struct report *r, size_t n)
{
	struct way *w = owner;
	struct pipeline *p = w->p;
	struct report_wait *rw;
	struct sync_job *sj;
	uint64_t *numbers;
	struct err e;
	size_t i;

	numbers = calloc(n, sizeof *numbers);
	sj = calloc(1, sizeof *sj);
	if (numbers == NULL || sj == NULL)
		abort();
	(void)FAILPOINT(report_before_mark);
	if (journal_report(p->env.journal, r, numbers, n, &e) != RC_OK) {
		/* The provider has forgotten this page and we cannot keep it on disk: the database is the only place left. */
		log_err(LOG_LEVEL_ERROR, "journal.failed", &e, "reports=%zu", n);
		memset(numbers, 0, n * sizeof *numbers);
	}
	(void)FAILPOINT(report_after_mark);
	for (i = 0; i < n; i++) {
		rw = calloc(1, sizeof *rw);
		if (rw == NULL)
			abort();
		rw->item.r = r[i];
		set_text(rw->item.r.channel, sizeof rw->item.r.channel, w->name);
		rw->item.mark = numbers[i];
		rw->way = w;
		rw->ends_page = i + 1 == n;
		*p->report_tail = rw;
		p->report_tail = &rw->next;
		p->report_count++;
	}
	stat_add(STAT_reports_received, (int64_t)n);
	w->pages++;
	free(numbers);
	sj->p = p;
	sj->way = w;
	sj->fd = journal_sync_fd(p->env.journal);
	sj->job.run = sync_run;
	sj->job.done = sync_done;
	sj->job.urgent = true;
	p->syncs++;
	if (lane_submit(p->env.sync, &sj->job) != RC_OK) {
		sj->why = EAGAIN;
		sync_done(&sj->job);
	}
	report_some(p);
}

void
pipeline_report(struct pipeline *p, const struct report *r, uint64_t number)
{
	struct report_wait *rw = calloc(1, sizeof *rw);

	if (rw == NULL)
		abort();
	rw->item.r = *r;
	rw->item.mark = number;
	*p->report_tail = rw;
	p->report_tail = &rw->next;
	p->report_count++;
	report_some(p);
}

static enum rc
report_run(struct store *st, struct db_job *j, struct err *e)
{
	struct report_job *rj = (struct report_job *)j;

	return store_reports(st, rj->items, rj->n, e);
}

static void
report_done(struct db_job *j)
{
	struct report_job *rj = (struct report_job *)j;
	struct pipeline *p = rj->p;
	struct report_wait *rw;
	struct err e;
	size_t i;

	rj->busy = false;
	if (j->rc != RC_OK) {
		for (i = rj->n; i > 0; i--) {
			rw = rj->waits[i - 1];
			rw->next = p->report_head;
			p->report_head = rw;
			if (rw->next == NULL)
				p->report_tail = &rw->next;
			p->report_count++;
		}
		if (j->rc != RC_AGAIN)
			log_err(LOG_LEVEL_WARN, "report.failed", &j->err, "reports=%zu", rj->n);
		p->settle_not_before_ms =
			clock_mono_ms() + (j->rc == RC_AGAIN ? 20 : grow(&p->settle_backoff_ms));
		again_in(p, 20);
		return;
	}
	p->settle_backoff_ms = 0;
	for (i = 0; i < rj->n; i++) {
		rw = rj->waits[i];
		switch (rj->items[i].answer) {
		case REPORT_APPLIED:
		case REPORT_REVISED:
			stat_inc(STAT_reports_applied);
			break;
		case REPORT_KEPT:
			log_event(LOG_LEVEL_DEBUG, "report.kept", "channel=%s key=%s",
				  rw->item.r.channel, rw->item.r.client_key);
			stat_inc(STAT_reports_kept);
			break;
		case REPORT_KNOWN:
			break;
		case REPORT_CONFLICT:
			log_event(LOG_LEVEL_WARN, "report.conflict",
				  "id=%" PRId64 " code=%s text=\"the result stays as it was\"",
				  rj->items[i].msg_id, rw->item.r.code);
			break;
		}
		if (rw->item.mark != 0 &&
		    journal_report_settled(p->env.journal, &rw->item.mark, 1, &e) != RC_OK)
			p->env.fatal(p->env.arg, 75, e.text);
		if (rw->way != NULL && rw->ends_page) {
			rw->way->pages--;
			if (rw->way->page_owed)
				page_taken(rw->way);
		}
		free(rw);
	}
	pump(p);
}

static void
report_some(struct pipeline *p)
{
	struct report_job *rj = &p->report;
	struct report_wait *rw;

	if (p->is_stopped || rj->busy || p->report_count == 0 ||
	    clock_mono_ms() < p->settle_not_before_ms)
		return;
	for (rj->n = 0; rj->n < rj->max && (rw = p->report_head) != NULL; rj->n++) {
		p->report_head = rw->next;
		if (p->report_head == NULL)
			p->report_tail = &p->report_head;
		p->report_count--;
		rj->waits[rj->n] = rw;
		rj->items[rj->n] = rw->item;
	}
	rj->p = p;
	rj->db.run = report_run;
	rj->db.done = report_done;
	rj->busy = true;
	if (session_submit(p->env.settle, &rj->db, true) != RC_OK) {
		rj->db.rc = RC_AGAIN;
		report_done(&rj->db);
	}
}

static void
on_state(void *owner, enum channel_state s, const struct err *why)
{
	struct way *w = owner;

	if (s == w->state)
		return;
	if (why != NULL && (s == CHANNEL_DOWN || s == CHANNEL_REFUSED))
		log_err(s == CHANNEL_REFUSED ? LOG_LEVEL_ERROR : LOG_LEVEL_WARN, "channel.state",
			why, "channel=%s state=%s", w->name, channel_state_name(s));
	else
		log_event(LOG_LEVEL_INFO, "channel.state", "channel=%s state=%s", w->name,
			  channel_state_name(s));
	w->state = s;
	again_in(w->p, 0);
}

static void
on_room(void *owner)
{
	struct way *w = owner;

	again_in(w->p, 0);
}

/* ---- from the table to the channel ---- */

static void
refuse(struct pipeline *p, struct message *m, const char *code, const char *text)
{
	struct settle_item *it = item_new(p, m);

	it->c.kind = CHANGE_RESULT;
	it->c.class = RESULT_FAIL;
	set_text(it->c.code, sizeof it->c.code, code);
	set_text(it->c.text, sizeof it->c.text, text);
	stat_inc(STAT_rows_refused);
	settle_message(p, it, AT_PIPELINE);
}

static void
enqueue(struct way *w, struct message *m)
{
	int pr =
		m->priority < 0 || m->priority >= PRIORITY_COUNT ? PRIORITY_COUNT - 1 : m->priority;

	m->next = NULL;
	*w->tail[pr] = m;
	w->tail[pr] = &m->next;
	w->ready++;
}

/* What the routes can carry, by the first channel of each that is open, else by its first one. */
static void
rules_of(struct pipeline *p, struct validate_rules *r)
{
	const struct channel_caps *caps;
	const struct conf_route *route;
	struct way *w;
	enum msg_type t;

	memset(r, 0, sizeof *r);
	r->text_cap_bytes = (size_t)p->conf->limits.body_bytes;
	for (t = MSG_TYPE_SMS; t < MSG_TYPE_COUNT; t++) {
		route = conf_route_find(p->conf, t);
		if (route == NULL)
			continue;
		w = route_way(p, t);
		if (w == NULL)
			w = way_find(p, route->channels[0]);
		if (w == NULL || w->ch == NULL)
			continue;
		caps = w->driver->caps(w->ch);
		r->types |= 1u << t;
		r->by_type[t].charset = caps->charset;
		r->by_type[t].number_form = caps->number_form;
		r->by_type[t].letters_in_sender = caps->letters_in_sender;
		r->by_type[t].max_bytes = t == MSG_TYPE_SMS ? caps->sms_bytes : caps->lms_bytes;
	}
}

/* Rules, then the ready line of the channel, or back to the queue of the resolved type. */
static void
route_message(struct pipeline *p, struct message *m, const struct validate_rules *rules)
{
	struct verdict v;
	struct settle_item *it;
	struct way *w = NULL;

	validate_message(m, rules, &v);
	if (v.kind == VERDICT_REFUSE) {
		refuse(p, m, v.code, v.text);
		return;
	}
	if (v.kind == VERDICT_SEND) {
		validate_apply(&v, m);
		w = route_way(p, m->type);
	}
	if (w == NULL || (m->asked_type == MSG_TYPE_AUTO && m->leg == 0 && way_room(p, w) == 0)) {
		it = item_new(p, m);
		it->c.kind = CHANGE_RELEASE;
		it->c.new_type = v.type;
		settle_message(p, it, AT_PIPELINE);
		return;
	}
	enqueue(w, m);
}

static void
submit_some(struct way *w)
{
	static struct message *list[WIRE_MAX];
	struct pipeline *p = w->p;
	struct message *m;
	struct err e;
	size_t n, i, most;
	int pr;
	enum rc rc;

	while (w->ready > 0 && way_is_open(p, w) && (most = w->driver->room(w->ch)) > 0) {
		if (most > w->driver->caps(w->ch)->batch_max)
			most = w->driver->caps(w->ch)->batch_max;
		if (most > WIRE_MAX)
			most = WIRE_MAX;
		for (n = 0, pr = 0; pr < PRIORITY_COUNT; pr++)
			while (n < most && (m = w->head[pr]) != NULL) {
				w->head[pr] = m->next;
				if (m->next == NULL)
					w->tail[pr] = &w->head[pr];
				w->ready--;
				list[n++] = m;
			}
		for (i = 0; i < n; i++)
			msg_move(list[i], AT_PIPELINE, AT_CHANNEL);
		w->sent += n;
		rc = w->driver->submit(w->ch, list, n, &e);
		if (rc == RC_OK)
			continue;
		w->sent -= n;
		for (i = 0; i < n; i++)
			give_back(p, list[i], AT_CHANNEL);
		if (rc != RC_AGAIN)
			log_err(LOG_LEVEL_WARN, "channel.submit", &e, "channel=%s messages=%zu",
				w->name, n);
		w->not_before_ms = clock_mono_ms() + grow(&w->backoff_ms);
	}
}

/* What waits for a channel that stopped goes back: rows wait best in the table, where another agent or channel finds them. */
static void
return_ready(struct way *w)
{
	struct message *m;
	int pr;

	for (pr = 0; pr < PRIORITY_COUNT; pr++) {
		while ((m = w->head[pr]) != NULL) {
			w->head[pr] = m->next;
			w->ready--;
			give_back(w->p, m, AT_PIPELINE);
		}
		w->tail[pr] = &w->head[pr];
	}
}

/* ---- claiming ---- */

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

/* The rows of a claim whose COMMIT answer was lost: ours in the database, unknown here, never marked: they go back. */
static void
release_orphans(struct pipeline *p)
{
	struct claim_job *cj = &p->claim;
	struct change c;
	size_t i;

	for (i = 0; i < cj->row_count; i++) {
		const struct store_row *r = &cj->rows[i];

		if (pipeline_has(p, r->msg_id) ||
		    journal_knows(p->env.journal, r->msg_id, r->leg, r->try_no))
			continue;
		memset(&c, 0, sizeof c);
		c.msg_id = r->msg_id;
		c.fence = r->fence;
		c.leg = r->leg;
		c.try_no = r->try_no;
		c.client_key = r->client_key;
		c.new_type = MSG_TYPE_NONE;
		c.kind = r->is_resend ? CHANGE_UNKNOWN : CHANGE_RELEASE;
		c.delay_ms = r->is_resend ? p->conf->times.unknown_look_ms : 0;
		pipeline_change(p, &c);
	}
	free(cj->rows);
	cj->rows = NULL;
	p->claim_unsure = false;
}

static void
claim_failed(struct pipeline *p, struct db_job *j)
{
	if (j->rc == RC_UNSURE)
		p->claim_unsure = true;
	if (j->rc != RC_AGAIN)
		log_err(j->rc == RC_LOST || j->rc == RC_UNSURE ? LOG_LEVEL_WARN : LOG_LEVEL_ERROR,
			"claim.failed", &j->err, "peek=%d", p->claim.is_peek);
	p->claim_not_before_ms = clock_mono_ms() + (j->rc == RC_AGAIN ? 10 + clock_mono_ms() % 50
								      : grow(&p->claim_backoff_ms));
	again_in(p, 20);
}

static void
claimed(struct pipeline *p, struct claim_job *cj)
{
	struct validate_rules rules;
	struct message *m;
	unsigned i;

	if (cj->claim.seq_mismatch) {
		/* Frozen, taken over, or a database that went back: the heartbeat tells which and decides. */
		if (!p->mismatch_logged)
			log_event(LOG_LEVEL_WARN, "claim.mismatch", "expected=%" PRId64,
				  p->claim_seq);
		p->mismatch_logged = true;
		p->claim_not_before_ms = clock_mono_ms() + p->conf->times.heartbeat_ms;
		batch_free(cj->claim.batch);
		return;
	}
	p->mismatch_logged = false;
	p->claim_seq = cj->claim.claim_seq;
	/* A short claim empties the queue only when nobody else took what was seen. */
	if (cj->claim.candidates < cj->claim.want)
		p->due[cj->queue_at] = false;
	if (cj->claim.got == 0) {
		batch_free(cj->claim.batch);
		return;
	}
	stat_inc(STAT_claims);
	stat_add(STAT_rows_claimed, cj->claim.got);
	rules_of(p, &rules);
	for (i = 0; i < cj->claim.got; i++) {
		m = cj->claim.out[i];
		msg_move(m, AT_NONE, AT_PIPELINE);
		m->deadline_boot_ms = cj->deadline_boot_ms;
		table_add(p, m);
	}
	for (i = 0; i < cj->claim.got; i++)
		route_message(p, cj->claim.out[i], &rules);
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
	pump(p);
}

static const int shares[PRIORITY_COUNT] = { 8, 3, 1 };

/* The next queue to claim from: by priority, but each due queue gets its share so that none starves. */
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
			r = type_room(p, p->queues[k].type);
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
		if (type_room(p, p->queues[i].type) > 0)
			return true;
	return false;
}

static void
claim_some(struct pipeline *p)
{
	struct claim_job *cj = &p->claim;
	int64_t now = clock_mono_ms();
	size_t at, room, free_rows;
	bool any = false;

	if (p->is_stopped || p->claim_busy || p->is_draining || p->queue_count == 0)
		return;
	if (now < p->claim_not_before_ms) {
		again_in(p, p->claim_not_before_ms - now);
		return;
	}
	cj->p = p;
	cj->db.run = claim_run;
	cj->db.done = claim_done;
	cj->look_for_orphans = p->claim_unsure;
	cj->is_peek = false;
	if (cj->look_for_orphans) {
		cj->row_max = (size_t)(p->conf->limits.in_flight + p->conf->limits.batch);
		cj->row_count = 0;
		cj->rows = calloc(cj->row_max, sizeof *cj->rows);
		if (cj->rows == NULL) {
			again_in(p, 1000);
			return;
		}
	} else {
		free_rows = p->in_memory < (size_t)p->conf->limits.in_flight
				    ? (size_t)p->conf->limits.in_flight - p->in_memory
				    : 0;
		if (p->is_frozen || free_rows == 0 || !any_room(p)) {
			again_in(p, p->conf->times.idle_poll_ms);
			return;
		}
		/* While bulk drains, an urgent row must be seen at the pace of the idle poll all the same. */
		if (now - p->last_peek_ms < p->conf->times.idle_poll_ms &&
		    queue_choose(p, &at, &room)) {
			cj->queue_at = at;
			cj->claim = (struct store_claim){ .queue = p->queues[at],
							  .claim_seq = p->claim_seq,
							  .out = cj->claim.out };
			cj->claim.want = (unsigned)(room < (size_t)p->conf->limits.batch
							    ? room
							    : (size_t)p->conf->limits.batch);
			if (cj->claim.want > free_rows)
				cj->claim.want = (unsigned)free_rows;
			cj->claim.batch = batch_new(BATCH_CAP_BYTES);
			if (cj->claim.batch == NULL) {
				again_in(p, 1000);
				return;
			}
			/* Before the statement: whatever the database takes, the deadline is never later than the lease allows. */
			cj->deadline_boot_ms = clock_boot_ms() + p->conf->times.write_deadline_ms;
		} else {
			for (at = 0; at < p->queue_count; at++)
				any = any || p->due[at];
			if (!any && now - p->last_peek_ms < p->conf->times.idle_poll_ms) {
				again_in(p, p->conf->times.idle_poll_ms - (now - p->last_peek_ms));
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

static void
pump(struct pipeline *p)
{
	size_t i;

	for (i = 0; i < p->way_count; i++) {
		struct way *w = &p->ways[i];

		submit_some(w);
		if (w->ready > 0 && !way_is_open(p, w))
			return_ready(w);
	}
	/* Settle first: an answer we hold costs memory and may be lost, a row we have not claimed costs nothing. */
	settle_some(p);
	report_some(p);
	claim_some(p);
}

static void
on_poll(evutil_socket_t fd, short what, void *arg)
{
	struct pipeline *p = arg;

	(void)fd;
	(void)what;
	pump(p);
	if (!event_pending(p->poll, EV_TIMEOUT, NULL))
		again_in(p, p->conf->times.idle_poll_ms);
}

/* ---- what became of messages whose outcome is unknown ---- */

static void
row_change(struct pipeline *p, const struct store_row *r, enum change_kind kind, int64_t delay_ms)
{
	struct change c;

	memset(&c, 0, sizeof c);
	c.kind = kind;
	c.msg_id = r->msg_id;
	c.fence = r->fence;
	c.leg = r->leg;
	c.try_no = r->try_no;
	c.client_key = r->client_key;
	c.new_type = MSG_TYPE_NONE;
	c.delay_ms = delay_ms;
	set_text(c.channel, sizeof c.channel, r->channel);
	if (kind == CHANGE_HOLD) {
		c.hold_code = "8002";
		stat_inc(STAT_rows_held);
		log_event(LOG_LEVEL_WARN, "unknown.held",
			  "id=%" PRId64 " channel=%s text=\"its outcome cannot be found out; see "
					"mtrelayctl trace\"",
			  r->msg_id, r->channel);
	}
	if (kind == CHANGE_RESULT) {
		c.class = RESULT_UNKNOWN;
		set_text(c.code, sizeof c.code, "8002");
	}
	pipeline_change(p, &c);
}

static enum rc
resend_run(struct store *st, struct db_job *j, struct err *e)
{
	struct resend_job *rj = (struct resend_job *)j;

	return store_resend(st, &rj->r, 1, rj->batch, rj->out, &rj->got, e);
}

static void
resend_done(struct db_job *j)
{
	struct resend_job *rj = (struct resend_job *)j;
	struct pipeline *p = rj->p;
	struct validate_rules rules;
	struct verdict v;
	struct message *m;

	p->resends--;
	if (j->rc == RC_UNSURE)
		p->claim_unsure = true; /* the row may be ours in SENDING: found as an orphan */
	if (j->rc != RC_OK || rj->got == 0) {
		if (j->rc != RC_OK && j->rc != RC_AGAIN)
			log_err(LOG_LEVEL_WARN, "resend.failed", &j->err, "id=%" PRId64,
				rj->r.msg_id);
		batch_free(rj->batch);
		free(rj);
		return;
	}
	m = rj->out[0];
	msg_move(m, AT_NONE, AT_PIPELINE);
	m->deadline_boot_ms = rj->deadline_boot_ms;
	table_add(p, m);
	stat_inc(STAT_resends);
	rules_of(p, &rules);
	/* The rules held when it was first sent; they are run again only for the wire forms. A re-send stays on its channel. */
	validate_message(m, &rules, &v);
	if (v.kind != VERDICT_SEND || p->is_draining || !way_is_open(p, rj->way)) {
		give_back(p, m, AT_PIPELINE);
	} else {
		validate_apply(&v, m);
		enqueue(rj->way, m);
	}
	free(rj);
	pump(p);
}

static void
resend(struct pipeline *p, struct way *w, const struct store_row *r, bool new_generation)
{
	struct resend_job *rj;

	if (w == NULL || p->is_draining || p->is_frozen || way_room(p, w) == 0 ||
	    p->in_memory + p->resends >= (size_t)p->conf->limits.in_flight) {
		row_change(p, r, CHANGE_LOOK, 10000);
		return;
	}
	rj = calloc(1, sizeof *rj);
	if (rj == NULL || (rj->batch = batch_new(BATCH_CAP_BYTES)) == NULL)
		abort();
	rj->p = p;
	rj->way = w;
	rj->r = (struct store_resend){ .msg_id = r->msg_id,
				       .fence = r->fence,
				       .new_generation = new_generation };
	rj->deadline_boot_ms = clock_boot_ms() + p->conf->times.write_deadline_ms;
	rj->db.run = resend_run;
	rj->db.done = resend_done;
	p->resends++;
	if (session_submit(p->env.claim, &rj->db, false) != RC_OK) {
		rj->db.rc = RC_AGAIN;
		resend_done(&rj->db);
	}
}

struct asked {
	struct way *w;
	size_t n;
	struct store_row *rows;
	struct query *q;
};

/* The growing distance between looks at one row. */
static int64_t
next_look_ms(const struct pipeline *p, const struct store_row *r)
{
	int64_t wait = r->since_first_ms / 2;

	if (wait < p->conf->times.unknown_look_ms)
		wait = p->conf->times.unknown_look_ms;
	if (wait > p->conf->times.quiet_time_ms)
		wait = p->conf->times.quiet_time_ms;
	return wait;
}

static void
on_resolved(void *owner, struct query *q, size_t n)
{
	struct way *w = owner;
	struct pipeline *p = w->p;
	struct change c;
	struct store_row row;
	size_t i;

	w->queries -= n;
	for (i = 0; i < n; i++) {
		struct store_row *r = &((struct store_row *)(q + n))[i];

		row = *r;
		switch (q[i].kind) {
		case RESOLVE_ACCEPTED:
			stat_inc(STAT_unknown_resolved);
			if (q[i].report.class == REPORT_PENDING) {
				memset(&c, 0, sizeof c);
				c.kind = CHANGE_ACCEPT;
				c.msg_id = row.msg_id;
				c.fence = row.fence;
				c.leg = row.leg;
				c.try_no = row.try_no;
				c.client_key = row.client_key;
				c.new_type = MSG_TYPE_NONE;
				c.parts = q[i].outcome.parts;
				set_text(c.channel, sizeof c.channel, w->name);
				set_text(c.provider_id, sizeof c.provider_id,
					 q[i].outcome.provider_id);
				set_text(c.provider_code, sizeof c.provider_code,
					 q[i].outcome.provider_code);
				pipeline_change(p, &c);
			} else {
				/* Already final: the same evidence as a report, and taken the same way. */
				set_text(q[i].report.channel, sizeof q[i].report.channel, w->name);
				pipeline_report(p, &q[i].report, 0);
			}
			break;
		case RESOLVE_NOT_FOUND:
			if (row.since_try_ms < p->conf->times.quiet_time_ms)
				row_change(p, &row, CHANGE_LOOK, next_look_ms(p, &row));
			else if (row.try_no > ATTEMPTS_MAX)
				row_change(p, &row, CHANGE_HOLD, 0);
			else
				resend(p, w, &row, false);
			break;
		case RESOLVE_FAILED:
			row_change(p, &row, CHANGE_LOOK, next_look_ms(p, &row));
			break;
		}
	}
	free(q);
}

static void
ask(struct pipeline *p, struct way *w, const struct store_row *rows, size_t n)
{
	struct query *q =
		calloc(1, n * (sizeof *q + sizeof *rows)); /* the rows ride behind the questions */
	struct err e;
	size_t i;

	if (q == NULL)
		abort();
	for (i = 0; i < n; i++) {
		q[i].msg_id = rows[i].msg_id;
		q[i].fence = rows[i].fence;
		memcpy(q[i].client_key, rows[i].client_key, sizeof q[i].client_key);
	}
	memcpy(q + n, rows, n * sizeof *rows);
	w->queries += n;
	if (w->driver->resolve(w->ch, q, n, &e) == RC_OK)
		return;
	w->queries -= n;
	for (i = 0; i < n; i++)
		row_change(p, &rows[i], CHANGE_LOOK, next_look_ms(p, &rows[i]));
	free(q);
}

void
pipeline_resolve(struct pipeline *p, const struct store_row *rows, size_t n)
{
	const struct conf_route *route;
	const struct channel_caps *caps;
	struct store_row *list;
	struct way *w;
	size_t i, k, count;

	list = calloc(n + 1, sizeof *list);
	if (list == NULL)
		abort();
	for (k = 0; k <= p->way_count; k++) {
		w = k < p->way_count ? &p->ways[k] : NULL;
		count = 0;
		for (i = 0; i < n; i++) {
			if (way_find(p, rows[i].channel) != w || pipeline_has(p, rows[i].msg_id))
				continue;
			route = conf_route_find(p->conf, rows[i].type);
			if (w == NULL || w->ch == NULL) {
				row_change(p, &rows[i], CHANGE_HOLD, 0);
				continue;
			}
			caps = w->driver->caps(w->ch);
			switch (route != NULL ? route->on_unknown : CONF_UNKNOWN_HOLD) {
			case CONF_UNKNOWN_CLOSE:
				row_change(p, &rows[i], CHANGE_RESULT, 0);
				break;
			case CONF_UNKNOWN_HOLD:
				row_change(p, &rows[i], CHANGE_HOLD, 0);
				break;
			case CONF_UNKNOWN_RESEND:
				if (rows[i].try_no > ATTEMPTS_MAX)
					row_change(p, &rows[i], CHANGE_HOLD, 0);
				else
					resend(p, w, &rows[i],
					       rows[i].since_first_ms >= caps->dedup_window_ms);
				break;
			case CONF_UNKNOWN_AUTO:
				/* A tenth of the window is kept as a margin for clocks that are not ours. */
				if (rows[i].since_first_ms <
					    caps->dedup_window_ms - caps->dedup_window_ms / 10 &&
				    rows[i].try_no <= ATTEMPTS_MAX)
					resend(p, w, &rows[i], false);
				else if (caps->query_by_key)
					list[count++] = rows[i];
				else
					row_change(p, &rows[i], CHANGE_HOLD, 0);
				break;
			}
		}
		if (count > 0)
			ask(p, w, list, count);
	}
	free(list);
	pump(p);
}

/* ---- channels ---- */

static const struct channel_events events = {
	.wire = on_wire,
	.done = on_done,
	.reports = on_reports,
	.resolved = on_resolved,
	.state = on_state,
	.room = on_room,
};

static enum rc
way_open(struct pipeline *p, struct way *w, const struct conf_channel *cf, struct err *e)
{
	struct channel_env env = { .base = p->env.base,
				   .events = &events,
				   .owner = w,
				   .state_dir = p->conf->agent.state_dir };
	int pr;

	w->p = p;
	w->cf = cf;
	w->driver = channel_driver_find(cf->driver);
	snprintf(w->name, sizeof w->name, "%s", cf->name);
	if (w->driver == NULL)
		return err_set(e, RC_CONFIG, 0, "pipeline.channel",
			       "channel %s: there is no driver \"%s\"; built in are %s", cf->name,
			       cf->driver, channel_driver_names());
	for (pr = 0; pr < PRIORITY_COUNT && w->tail[pr] == NULL; pr++)
		w->tail[pr] = &w->head[pr];
	w->state = CHANNEL_STARTING;
	w->reopen = false;
	return w->driver->open(&env, cf, &w->ch, e);
}

size_t
pipeline_queues(const struct pipeline *p, struct store_queue *q)
{
	memcpy(q, p->queues, p->queue_count * sizeof *q);
	return p->queue_count;
}

static void
queues_of_routes(struct pipeline *p)
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

enum rc
pipeline_new(const struct pipeline_env *env, struct conf *conf, struct pipeline **out,
	     struct err *e)
{
	struct pipeline *p = calloc(1, sizeof *p);

	*out = NULL;
	if (p == NULL)
		return err_set(e, RC_NOMEM, 0, "pipeline.new", "out of memory");
	p->env = *env;
	p->conf = conf_ref(conf);
	p->claim_seq = env->claim_seq;
	p->settle_tail = &p->settle_head;
	p->report_tail = &p->report_head;
	p->settle.items = calloc((size_t)conf->limits.settle_batch, sizeof *p->settle.items);
	p->settle.changes = calloc((size_t)conf->limits.settle_batch, sizeof *p->settle.changes);
	p->report.max = (size_t)conf->limits.settle_batch;
	p->report.waits = calloc(p->report.max, sizeof *p->report.waits);
	p->report.items = calloc(p->report.max, sizeof *p->report.items);
	p->claim.claim.out = calloc((size_t)conf->limits.batch, sizeof *p->claim.claim.out);
	p->poll = event_new(env->base, -1, 0, on_poll, p);
	if (p->settle.items == NULL || p->settle.changes == NULL || p->report.waits == NULL ||
	    p->report.items == NULL || p->claim.claim.out == NULL || p->poll == NULL) {
		pipeline_free(p);
		return err_set(e, RC_NOMEM, 0, "pipeline.new", "out of memory");
	}
	queues_of_routes(p);
	*out = p;
	return RC_OK;
}

enum rc
pipeline_start(struct pipeline *p, struct err *e)
{
	size_t i;
	enum rc rc;

	for (i = 0; i < p->conf->channel_count && i < CHANNELS_MAX; i++) {
		rc = way_open(p, &p->ways[i], &p->conf->channels[i], e);
		if (rc != RC_OK)
			return rc;
		p->way_count++;
	}
	again_in(p, 0);
	return RC_OK;
}

void
pipeline_free(struct pipeline *p)
{
	struct settle_item *it;
	struct report_wait *rw;
	struct message *m;
	size_t i;

	if (p == NULL)
		return;
	if (p->poll != NULL) {
		pipeline_stop(p);
		event_free(p->poll);
	}
	while ((it = p->settle_head) != NULL) {
		p->settle_head = it->next;
		free(it);
	}
	while ((rw = p->report_head) != NULL) {
		p->report_head = rw->next;
		free(rw);
	}
	for (i = 0; i < TABLE_SIZE; i++)
		while ((m = p->table[i]) != NULL) {
			p->table[i] = m->hash_next;
			msg_move(m, m->where, AT_NONE);
			batch_let_go(m);
		}
	free(p->claim.claim.out);
	free(p->settle.items);
	free(p->settle.changes);
	free(p->report.waits);
	free(p->report.items);
	conf_unref(p->conf);
	free(p);
}

void
pipeline_drain(struct pipeline *p)
{
	size_t i;

	if (p->is_draining)
		return;
	p->is_draining = true;
	for (i = 0; i < p->way_count; i++) {
		return_ready(&p->ways[i]);
		if (p->ways[i].ch != NULL)
			p->ways[i].driver->drain(p->ways[i].ch);
	}
	pump(p);
}

void
pipeline_stop(struct pipeline *p)
{
	size_t i;

	p->is_stopped = true;
	event_del(p->poll);
	for (i = 0; i < p->way_count; i++)
		if (p->ways[i].ch != NULL) {
			p->ways[i].driver->close(p->ways[i].ch);
			p->ways[i].ch = NULL;
		}
}

bool
pipeline_is_empty(const struct pipeline *p)
{
	size_t i;

	for (i = 0; i < p->way_count; i++)
		if (p->ways[i].queries > 0)
			return false;
	return p->in_memory == 0 && p->settle_count == 0 && !p->settle.busy &&
	       p->report_count == 0 && !p->report.busy && !p->claim_busy && p->resends == 0 &&
	       p->syncs == 0;
}

enum rc
pipeline_pause(struct pipeline *p, const char *channel, bool is_paused, struct err *e)
{
	struct way *w;

	if (channel == NULL) {
		p->is_paused = is_paused;
		log_event(LOG_LEVEL_WARN, is_paused ? "operator.pause" : "operator.resume",
			  "channel=all");
	} else {
		w = way_find(p, channel);
		if (w == NULL)
			return err_set(e, RC_CONFIG, 0, "pipeline.pause",
				       "there is no channel \"%s\"; see mtrelayctl status",
				       channel);
		w->is_paused = is_paused;
		log_event(LOG_LEVEL_WARN, is_paused ? "operator.pause" : "operator.resume",
			  "channel=%s", channel);
	}
	pump(p);
	return RC_OK;
}

void
pipeline_freeze(struct pipeline *p, bool is_frozen)
{
	size_t i;

	if (p->is_frozen == is_frozen)
		return;
	p->is_frozen = is_frozen;
	for (i = 0; is_frozen && i < p->way_count; i++)
		return_ready(&p->ways[i]);
	if (!is_frozen)
		p->claim_not_before_ms = 0;
	pump(p);
}

void
pipeline_set_claim_seq(struct pipeline *p, int64_t seq)
{
	p->claim_seq = seq;
	p->claim_not_before_ms = 0;
}

int64_t
pipeline_claim_seq(const struct pipeline *p)
{
	return p->claim_seq;
}

enum rc
pipeline_reload(struct pipeline *p, struct conf *conf, struct err *e)
{
	size_t i;
	enum rc rc;

	for (i = 0; i < p->way_count; i++)
		if (conf_channel_find(conf, p->ways[i].name) == NULL &&
		    (p->ways[i].sent > 0 || p->ways[i].ready > 0 || p->ways[i].queries > 0))
			return err_set(e, RC_AGAIN, 0, "pipeline.reload",
				       "channel %s is to be removed and has messages under way; "
				       "pause it first, then reload",
				       p->ways[i].name);
	/* Channels are closed with the old options and opened with the new ones; what is under way comes back through done(). */
	for (i = 0; i < p->way_count; i++) {
		return_ready(&p->ways[i]);
		p->ways[i].driver->close(p->ways[i].ch);
		p->ways[i].ch = NULL;
	}
	conf_unref(p->conf);
	p->conf = conf_ref(conf);
	p->way_count = 0;
	for (i = 0; i < conf->channel_count && i < CHANNELS_MAX; i++) {
		rc = way_open(p, &p->ways[i], &conf->channels[i], e);
		if (rc != RC_OK)
			log_err(LOG_LEVEL_ERROR, "channel.open", e, "channel=%s",
				conf->channels[i].name);
		p->way_count++;
	}
	queues_of_routes(p);
	again_in(p, 0);
	return RC_OK;
}

/* ---- telling ---- */

static const char *
way_word(const struct pipeline *p, const struct way *w)
{
	if (w->is_paused || p->is_paused)
		return "PAUSED";
	return w->ch == NULL ? "CLOSED" : channel_state_name(w->state);
}

void
pipeline_channel_text(const struct pipeline *p, char *buf, size_t size)
{
	size_t i, n = 0;

	buf[0] = '\0';
	for (i = 0; i < p->way_count && n < size; i++)
		n += (size_t)snprintf(buf + n, size - n, "%s%s=%s", i == 0 ? "" : " ",
				      p->ways[i].name, way_word(p, &p->ways[i]));
}

json_t *
pipeline_status(const struct pipeline *p)
{
	json_t *root = json_object(), *list = json_array(), *one;
	char facts[256];
	size_t i;

	for (i = 0; i < p->way_count; i++) {
		const struct way *w = &p->ways[i];

		facts[0] = '\0';
		if (w->ch != NULL)
			w->driver->describe(w->ch, facts, sizeof facts);
		one = json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:s}", "name", w->name, "driver",
				w->cf->driver, "state", way_word(p, w), "room",
				(json_int_t)(w->ch != NULL ? w->driver->room(w->ch) : 0), "ready",
				(json_int_t)w->ready, "sent", (json_int_t)w->sent, "facts", facts);
		json_array_append_new(list, one);
	}
	json_object_set_new(root, "channels", list);
	json_object_set_new(root, "in_memory", json_integer((json_int_t)p->in_memory));
	json_object_set_new(root, "in_memory_most", json_integer(p->conf->limits.in_flight));
	json_object_set_new(root, "settle_waiting", json_integer((json_int_t)p->settle_count));
	json_object_set_new(root, "reports_waiting", json_integer((json_int_t)p->report_count));
	json_object_set_new(root, "claimed", json_integer(p->claimed));
	json_object_set_new(root, "settled", json_integer(p->settled));
	json_object_set_new(root, "is_draining", json_boolean(p->is_draining));
	json_object_set_new(root, "is_frozen", json_boolean(p->is_frozen));
	json_object_set_new(root, "is_paused", json_boolean(p->is_paused));
	return root;
}
