/* pipeline_received.c - messages from phones: into mt_recv, and only then confirmed to the
 * provider.
 *
 * The journal has no part in it, since a message that is not confirmed comes again: what the
 * database does not take in time is left to the provider.
 *
 * DIAGNOSTICS (events): received.failed (repeated by itself), received.put_off, received.refused,
 * received.cut. */
#include "config.h"
#include <stdlib.h>
#include <string.h>
#include "agent/clock.h"
#include "agent/log.h"
#include "agent/pipeline_int.h"
#include "agent/stats.h"
#include "agent/text.h"

/* What every mt_recv can hold (schema/columns.def). */
#define NUMBER_CHARS 32
#define BODY_CHARS 4000

static void
add(struct pipeline *p, struct received_wait *rw)
{
	rw->next = NULL;
	*p->received_tail = rw;
	p->received_tail = &rw->next;
	p->received_count++;
	p->received_bytes += rw->bytes;
	rw->way->received++;
}

/* The channel may answer with the next message: nothing of ours is half done here. */
static void
end(struct pipeline *p, struct received_wait *rw, bool is_stored)
{
	struct way *w = rw->way;

	p->received_count--;
	p->received_bytes -= rw->bytes;
	w->received--;
	stat_inc(is_stored ? STAT_received : STAT_received_put_off);
	if (w->ch != NULL && w->openings == rw->opening && w->driver->received_taken != NULL)
		w->driver->received_taken(w->ch, rw->number, is_stored);
	free(rw);
}

/* Whoever sends such bytes must not be able to make the database refuse the message. *cut: there
 * was more of it. */
static const char *
copy_text(char **room, const char *text, size_t most_chars, bool *cut)
{
	char *out = *room, *to = out;
	size_t n = strlen(text), at = 0, chars;

	for (chars = 0; at < n && chars < most_chars; chars++) {
		size_t from = at;

		if (text_utf8_next(text, n, &at) < 0) {
			*to++ = '?';
			at = from + 1;
			continue;
		}
		memcpy(to, text + from, at - from);
		to += at - from;
	}
	*cut = at < n;
	*to++ = '\0';
	*room = to;
	return out;
}

void
received_on(void *owner, const struct received *r, uint64_t number)
{
	struct way *w = owner;
	struct pipeline *p = w->p;
	struct received_wait *rw;
	size_t bytes = strlen(r->from) + strlen(r->to) + strlen(r->text) + strlen(r->provider_id) +
		       strlen(r->sent_at) + 5;
	bool is_full =
		p->received_count >= RECEIVED_MAX || p->received_bytes + bytes > RECEIVED_BYTES;
	bool cut, body_cut;
	char *room;

	rw = calloc(1, sizeof *rw + (is_full ? 0 : bytes));
	if (rw == NULL)
		abort();
	rw->way = w;
	rw->opening = w->openings;
	rw->number = number;
	rw->since_ms = clock_mono_ms();
	rw->is_put_off = is_full;
	/* Told on the next turn: never from inside of this call. */
	pipeline_again_in(p, 0);
	if (is_full) {
		log_event(LOG_LEVEL_WARN, "received.put_off",
			  "channel=%s text=\"too many messages wait for the database; the provider "
			  "is asked to bring them again\"",
			  w->name);
		add(p, rw);
		return;
	}
	rw->bytes = bytes;
	room = (char *)(rw + 1);
	rw->r = (struct store_received){
		.channel = w->name, .reference = r->reference, .parts = r->parts, .part = r->part
	};
	rw->r.from = copy_text(&room, r->from, NUMBER_CHARS, &cut);
	rw->r.to = copy_text(&room, r->to, NUMBER_CHARS, &cut);
	rw->r.text = copy_text(&room, r->text, BODY_CHARS, &body_cut);
	rw->r.provider_id = copy_text(&room, r->provider_id, PROVIDER_ID_MAX, &cut);
	rw->r.sent_at = copy_text(&room, r->sent_at, NUMBER_CHARS, &cut);
	if (body_cut) {
		char masked[40];

		log_event(LOG_LEVEL_WARN, "received.cut",
			  "channel=%s from=%s bytes=%zu text=\"longer than %d characters; the rest "
			  "is "
			  "dropped\"",
			  w->name, mask_number(masked, sizeof masked, rw->r.from), strlen(r->text),
			  BODY_CHARS);
	}
	add(p, rw);
}

static enum rc
received_run(struct store *st, struct db_job *j, struct err *e)
{
	struct received_job *rj = (struct received_job *)j;

	return store_received(st, rj->items, rj->n, e);
}

static void
put_back(struct pipeline *p, struct received_job *rj)
{
	for (size_t i = rj->n; i > 0; i--) {
		struct received_wait *rw = rj->waits[i - 1];

		rw->next = p->received_head;
		p->received_head = rw;
		if (rw->next == NULL)
			p->received_tail = &rw->next;
	}
}

static void
received_done(struct db_job *j)
{
	struct received_job *rj = (struct received_job *)j;
	struct pipeline *p = rj->p;

	rj->busy = false;
	if (j->rc != RC_OK) {
		put_back(p, rj);
		if (j->rc == RC_BUG)
			p->env.fatal(p->env.arg, 70, j->err.text);
		if (j->rc != RC_AGAIN)
			log_err(LOG_LEVEL_WARN, "received.failed", &j->err, "messages=%zu", rj->n);
		p->received_not_before_ms =
			clock_mono_ms() +
			(j->rc == RC_AGAIN ? 20 : pipeline_backoff(&p->received_backoff_ms));
		/* Each must have been tried several times before it is put off. */
		if (p->received_backoff_ms > RECEIVED_WAIT_MS / 10)
			p->received_backoff_ms = RECEIVED_WAIT_MS / 10;
		pipeline_again_in(p, 20);
		return;
	}
	p->received_backoff_ms = 0;
	for (size_t i = 0; i < rj->n; i++) {
		const struct store_received *r = &rj->items[i];

		if (!r->is_stored) {
			char from[40], to[40];

			stat_inc(STAT_received_refused);
			log_err(LOG_LEVEL_ERROR, "received.refused", &r->err,
				"channel=%s from=%s to=%s", r->channel,
				mask_number(from, sizeof from, r->from),
				mask_number(to, sizeof to, r->to));
		}
		end(p, rj->waits[i], r->is_stored);
	}
	pipeline_pump(p);
}

/* Those that found no room, and those that have waited long enough. */
static void
put_off_some(struct pipeline *p)
{
	struct received_wait **at = &p->received_head, *rw, *list = NULL, **last = &list;
	int64_t now = clock_mono_ms();
	size_t late = 0;

	while ((rw = *at) != NULL) {
		if (!rw->is_put_off && now - rw->since_ms < RECEIVED_WAIT_MS) {
			at = &rw->next;
			continue;
		}
		*at = rw->next;
		late += rw->is_put_off ? 0 : 1;
		rw->next = NULL;
		*last = rw;
		last = &rw->next;
	}
	p->received_tail = at;
	if (late > 0)
		log_event(
			LOG_LEVEL_WARN, "received.put_off",
			"messages=%zu text=\"the database did not take them in %d s; the provider "
			"is asked to bring them again\"",
			late, RECEIVED_WAIT_MS / 1000);
	while ((rw = list) != NULL) {
		list = rw->next;
		end(p, rw, false);
	}
}

void
received_some(struct pipeline *p)
{
	struct received_job *rj = &p->received;
	struct received_wait *rw;

	if (p->is_stopped || p->received_head == NULL)
		return;
	put_off_some(p);
	if (rj->busy || clock_mono_ms() < p->received_not_before_ms)
		return;
	for (rj->n = 0; rj->n < RECEIVED_BATCH && (rw = p->received_head) != NULL; rj->n++) {
		if (rw->is_put_off)
			break; /* it came while the channel was told about others */
		p->received_head = rw->next;
		if (p->received_head == NULL)
			p->received_tail = &p->received_head;
		rj->waits[rj->n] = rw;
		rj->items[rj->n] = rw->r;
	}
	if (rj->n == 0)
		return;
	rj->p = p;
	rj->db.run = received_run;
	rj->db.done = received_done;
	rj->busy = true;
	if (session_submit(p->env.settle, &rj->db, true) != RC_OK) {
		rj->db.rc = RC_AGAIN;
		received_done(&rj->db);
	}
}
