/* infobip.c - SMS and LMS through Infobip's SMS API v3: requests, pulled reports, questions about
 * unknown outcomes.
 *
 * What stops the channel is of two kinds. Trouble with reaching (address, TLS, key) is probed by
 * the harmless question for reports; trouble with sending (credit, 5xx, time-outs) by one message
 * at a time. So a provider that is ill makes few outcomes unknown, and none of them by way of a
 * wrong key. */
#include "config.h"
#include "drivers/channel/infobip_driver.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/util.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/clock.h"
#include "agent/codemap.h"
#include "agent/conf.h"
#include "agent/log.h"
#include "drivers/channel/drivers.h"
#include "drivers/channel/infobip_codec.h"

#define SEND_PATH "/sms/3/messages"
#define CHECK_PATH "/sms/3/logs?limit=1"
#define BACKOFF_REFUSED_MS 5000
#define GAP_MS 100
#define GAP_MAX_MS 30000
#define ROUTE_STREAK 3
#define ROUTE_WAIT_MS 300000

struct infobip *
infobip_self(const struct channel *c)
{
	return (struct infobip *)(uintptr_t)c;
}

void
infobip_arm(struct event *ev, int64_t ms)
{
	struct timeval tv;

	if (ms < 0)
		ms = 0;
	tv.tv_sec = ms / 1000;
	tv.tv_usec = ms % 1000 * 1000;
	evtimer_add(ev, &tv);
}

int64_t
infobip_backoff_ms(int64_t base, unsigned fails)
{
	int64_t wait = base << (fails > 12 ? 12 : fails);
	uint32_t dice;

	if (wait > BACKOFF_MAX_MS)
		wait = BACKOFF_MAX_MS;
	evutil_secure_rng_get_bytes(&dice, sizeof dice);
	return wait + (int64_t)(dice % (uint32_t)(wait / 5 + 1));
}

static void
set_state(struct infobip *ch, enum channel_state s, const struct err *why)
{
	if (ch->state == s)
		return;
	ch->state = s;
	ch->env.events->state(ch->env.owner, s, why);
}

/* --- giving messages back --- */

static void
give_back(struct infobip *ch, struct message **m, const struct outcome *o, size_t n)
{
	for (size_t i = 0; i < n; i++)
		ch->count.outcome[o[i].kind]++;
	ch->messages -= n;
	ch->env.events->done(ch->env.owner, m, o, n);
}

static void
free_post(struct post *p)
{
	free(p->body);
	free(p);
}

/* The same outcome for all of them; frees p, which is in no list any more. */
static void
finish_post(struct post *p, const struct outcome *o)
{
	struct infobip *ch = p->ch;

	for (size_t i = 0; i < p->n; i++)
		ch->scratch[i] = *o;
	give_back(ch, p->m, ch->scratch, p->n);
	free_post(p);
}

static struct outcome
make_outcome(enum outcome_kind kind, const char *code, const char *text)
{
	struct outcome o;

	memset(&o, 0, sizeof o);
	o.kind = kind;
	snprintf(o.code, sizeof o.code, "%s", code);
	snprintf(o.text, sizeof o.text, "%s", text);
	return o;
}

static struct post *
take_queued(struct infobip *ch)
{
	struct post *p = ch->queued;

	if (p == NULL)
		return NULL;
	ch->queued = p->next;
	if (ch->queued == NULL)
		ch->queued_end = &ch->queued;
	ch->queued_n--;
	p->next = NULL;
	return p;
}

/* What waits here while nothing may go waits better in the table. */
static void
flush_queue(struct infobip *ch, int64_t wait_ms, const char *text)
{
	struct outcome o = make_outcome(OUT_DEFERRED, "", text);
	struct post *p;

	o.retry_after_ms = (uint32_t)wait_ms;
	while ((p = take_queued(ch)) != NULL)
		finish_post(p, &o);
}

/* --- state, back-off, throttling --- */

void
infobip_trouble(struct infobip *ch, enum block kind, enum channel_state s, int64_t started_ms,
		const struct err *why)
{
	int64_t now = clock_mono_ms();

	/* A refusal is not softened by a request that was under way when it came. */
	if (ch->block != BLOCK_NONE && ch->state == CHANNEL_REFUSED && s == CHANNEL_DOWN &&
	    started_ms < ch->block_set_ms)
		return;
	if (ch->block == BLOCK_NONE || ch->state != s)
		ch->fails = 0;
	else if (started_ms >= ch->block_set_ms)
		ch->fails++;
	ch->block = kind;
	ch->block_set_ms = now;
	ch->blocked_until_ms =
		now + infobip_backoff_ms(s == CHANNEL_REFUSED ? BACKOFF_REFUSED_MS : BACKOFF_MS,
					 ch->fails);
	set_state(ch, s, why);
	if (kind == BLOCK_REACH && ch->pull == PULL_IDLE)
		infobip_arm_pull(ch, ch->blocked_until_ms - now);
	flush_queue(ch, ch->blocked_until_ms - now, why->text);
}

void
infobip_all_well(struct infobip *ch)
{
	ch->block = BLOCK_NONE;
	ch->fails = 0;
	ch->blocked_until_ms = 0;
	set_state(ch, ch->gap_ms > 0 ? CHANNEL_THROTTLED : CHANNEL_UP, NULL);
}

/* The provider asked for less: pause, and double the distance between requests. */
static int64_t
throttled(struct infobip *ch, int64_t started_ms, int64_t retry_after_ms)
{
	int64_t now = clock_mono_ms();
	int64_t wait;
	struct err why;

	ch->count.throttled++;
	if (started_ms >= ch->gap_set_ms) {
		ch->gap_ms = ch->gap_ms == 0 ? GAP_MS : ch->gap_ms * 2;
		if (ch->gap_ms > GAP_MAX_MS)
			ch->gap_ms = GAP_MAX_MS;
		ch->gap_set_ms = now;
	}
	wait = retry_after_ms > ch->gap_ms ? retry_after_ms : ch->gap_ms;
	if (now + wait > ch->gap_until_ms)
		ch->gap_until_ms = now + wait;
	err_set(&why, RC_AGAIN, 0, "infobip", "%s asks for less: next request in %lld ms",
		http_peer(ch->http), (long long)wait);
	if (ch->block == BLOCK_NONE)
		set_state(ch, CHANNEL_THROTTLED, &why);
	flush_queue(ch, wait, why.text);
	return wait;
}

static void
relax(struct infobip *ch)
{
	if (ch->gap_ms > 0) {
		ch->gap_ms = ch->gap_ms * 3 / 4 - 10;
		if (ch->gap_ms < 20)
			ch->gap_ms = 0;
	}
	infobip_all_well(ch);
}

/* --- sending --- */

static struct suspect *
suspect_of(struct infobip *ch, int64_t msg_id)
{
	return &ch->suspects[((uint64_t)msg_id * UINT64_C(0x9e3779b97f4a7c15)) >> 52];
}

static unsigned
limit_of(struct infobip *ch, const struct message *m)
{
	const struct suspect *s = suspect_of(ch, m->msg_id);

	return s->limit > 0 && s->msg_id == m->msg_id ? s->limit : ch->caps.batch_max;
}

static void
set_limit(struct infobip *ch, const struct message *m, unsigned limit)
{
	struct suspect *s = suspect_of(ch, m->msg_id);

	if (limit == 0 && s->msg_id != m->msg_id)
		return;
	s->msg_id = m->msg_id;
	s->limit = limit;
}

static void
clear_limits(struct infobip *ch, const struct post *p)
{
	for (size_t i = 0; i < p->n; i++)
		set_limit(ch, p->m[i], 0);
}

static bool
post_leaving(void *arg)
{
	struct post *p = arg;

	p->wired = p->ch->env.events->wire(p->ch->env.owner, p->m, p->n);
	return p->wired;
}

/* Another request may have ended or outlasted the block meanwhile. */
static uint32_t
still_blocked_ms(const struct infobip *ch)
{
	int64_t left = ch->blocked_until_ms - clock_mono_ms();

	return left > 0 ? (uint32_t)left : 0;
}

static void
refused_status(struct infobip *ch, struct post *p, const struct http_answer *a, enum block kind,
	       enum outcome_kind out, const char *code, const char *what)
{
	char id[24];
	char text[100];
	struct err why;
	struct outcome o;

	infobip_read_error(a->body, a->body_n, id, sizeof id, text, sizeof text);
	err_set(&why, RC_CONFIG, a->status, "infobip", "%s answers %d, %s%s%s", http_peer(ch->http),
		a->status, what, text[0] != '\0' ? ": " : "", text);
	o = make_outcome(out, code, why.text);
	snprintf(o.provider_code, sizeof o.provider_code, "HTTP %d", a->status);
	infobip_trouble(ch, kind, CHANNEL_REFUSED, p->started_ms, &why);
	if (out == OUT_DEFERRED)
		o.retry_after_ms = still_blocked_ms(ch);
	finish_post(p, &o);
}

/* The whole request was refused as malformed: told apart by halves, and alone it is the message's
 * fault. */
static void
malformed(struct infobip *ch, struct post *p, const struct http_answer *a)
{
	char id[24];
	struct outcome o = make_outcome(OUT_REJECTED, "7099", "");

	infobip_read_error(a->body, a->body_n, id, sizeof id, o.text, sizeof o.text);
	snprintf(o.provider_code, sizeof o.provider_code, "HTTP %d %s", a->status, id);
	if (p->n > 1) {
		log_event(LOG_LEVEL_WARN, "infobip.refused",
			  "channel=%s status=%d messages=%zu text=\"%s\"", ch->cf->name, a->status,
			  p->n, o.text);
		o.kind = OUT_DEFERRED;
		o.retry_after_ms = 1;
		for (size_t i = 0; i < p->n; i++)
			set_limit(ch, p->m[i], (unsigned)(p->n / 2));
	} else {
		clear_limits(ch, p);
	}
	infobip_all_well(ch);
	finish_post(p, &o);
}

static void
log_tally(const struct infobip *ch, const struct infobip_tally *t, size_t n)
{
	if (t->missing + t->unknown + t->twice > 0)
		log_event(LOG_LEVEL_WARN, "infobip.answer",
			  "channel=%s messages=%zu missing=%zu unknown=%zu twice=%zu", ch->cf->name,
			  n, t->missing, t->unknown, t->twice);
}

/* What the items of an answer say about the channel as a whole. */
static void
weigh(struct infobip *ch, const struct post *p, const struct infobip_tally *t)
{
	struct err why;

	if (t->accepted > 0)
		ch->route_streak = 0;
	else if (t->route > 0)
		ch->route_streak++;
	if (t->stopped > 0) {
		err_set(&why, RC_CONFIG, 0, "infobip",
			"%s takes no messages: credit or package used up; top up the account of "
			"channel %s",
			http_peer(ch->http), ch->cf->name);
		infobip_trouble(ch, BLOCK_SEND, CHANNEL_REFUSED, p->started_ms, &why);
	} else if (ch->route_streak >= ROUTE_STREAK) {
		err_set(&why, RC_CONFIG, 0, "infobip",
			"%s has no route for any message of channel %s: ask the provider",
			http_peer(ch->http), ch->cf->name);
		infobip_trouble(ch, BLOCK_SEND, CHANNEL_REFUSED, p->started_ms, &why);
	} else if (t->again > 0 && t->accepted + t->rejected == 0) {
		throttled(ch, p->started_ms, 0);
	} else {
		relax(ch);
	}
}

static void
read_answer(struct infobip *ch, struct post *p, const struct http_answer *a)
{
	struct infobip_tally t;
	struct err e;
	struct err why;

	if (infobip_read_answer(a->body, a->body_n, ch->codes, p->m, p->n, ch->answers, &t, &e) ==
	    RC_OK) {
		log_tally(ch, &t, p->n);
		clear_limits(ch, p);
		weigh(ch, p, &t);
	} else {
		log_err(LOG_LEVEL_WARN, "infobip.answer", &e, "channel=%s messages=%zu",
			ch->cf->name, p->n);
		err_set(&why, RC_UNSURE, a->status, "infobip", "%s answers what cannot be read",
			http_peer(ch->http));
		infobip_trouble(ch, BLOCK_SEND, CHANNEL_DOWN, p->started_ms, &why);
	}
	for (size_t i = 0; i < p->n; i++)
		if (ch->answers[i].kind == OUT_DEFERRED && t.route > 0 &&
		    ch->answers[i].retry_after_ms == 0)
			ch->answers[i].retry_after_ms = ROUTE_WAIT_MS;
	give_back(ch, p->m, ch->answers, p->n);
	free_post(p);
}

static void
by_status(struct infobip *ch, struct post *p, const struct http_answer *a)
{
	struct outcome o;
	struct err why;

	switch (a->status) {
	case 200:
		read_answer(ch, p, a);
		return;
	case 400:
	case 413:
	case 414:
	case 422:
	case 431:
		malformed(ch, p, a);
		return;
	case 401:
		refused_status(ch, p, a, BLOCK_SEND, OUT_DEFERRED, "7001",
			       "the API key is refused (api_key_file)");
		return;
	case 403:
		refused_status(ch, p, a, BLOCK_SEND, OUT_DEFERRED, "7001",
			       "the API key may not send (scope, address)");
		return;
	case 404:
	case 405:
	case 406:
	case 410:
	case 415:
	case 426:
		refused_status(ch, p, a, BLOCK_SEND, OUT_DEFERRED, "",
			       "this is not the address of the SMS API (url)");
		return;
	case 301:
	case 302:
	case 303:
	case 307:
	case 308:
		/* Whoever redirects may have taken it before. */
		refused_status(ch, p, a, BLOCK_SEND, OUT_UNSURE, "8002",
			       "a redirect, which is not followed (url, proxy)");
		return;
	case 429:
		o = make_outcome(OUT_DEFERRED, "7005", "the provider asks for less");
		snprintf(o.provider_code, sizeof o.provider_code, "HTTP 429");
		o.retry_after_ms = (uint32_t)throttled(ch, p->started_ms, a->retry_after_ms);
		finish_post(p, &o);
		return;
	default:
		/* Nothing says that it was not taken. */
		err_set(&why, RC_UNSURE, a->status, "infobip", "%s answers %d", http_peer(ch->http),
			a->status);
		infobip_trouble(ch, BLOCK_SEND, CHANNEL_DOWN, p->started_ms, &why);
		o = make_outcome(OUT_UNSURE, "8002", why.text);
		snprintf(o.provider_code, sizeof o.provider_code, "HTTP %d", a->status);
		finish_post(p, &o);
		return;
	}
}

static void
unlink_active(struct infobip *ch, struct post *p)
{
	if (p->prev != NULL)
		p->prev->next = p->next;
	else
		ch->active = p->next;
	if (p->next != NULL)
		p->next->prev = p->prev;
	p->next = p->prev = NULL;
	ch->active_n--;
}

static void
post_done(void *arg, const struct http_answer *a)
{
	struct post *p = arg;
	struct infobip *ch = p->ch;
	enum channel_state s = a->untrusted ? CHANNEL_REFUSED : CHANNEL_DOWN;
	struct outcome o;

	unlink_active(ch, p);
	p->call = NULL;
	switch (a->fate) {
	case HTTP_ANSWERED:
		by_status(ch, p, a);
		break;
	case HTTP_NOT_SENT:
		o = make_outcome(OUT_DEFERRED, "", a->err.text);
		if (!a->held) {
			infobip_trouble(ch, BLOCK_REACH, s, p->started_ms, &a->err);
			o.retry_after_ms = still_blocked_ms(ch);
		}
		finish_post(p, &o);
		break;
	case HTTP_MAYBE_SENT:
		infobip_trouble(ch, a->untrusted ? BLOCK_REACH : BLOCK_SEND, s, p->started_ms,
				&a->err);
		o = make_outcome(OUT_UNSURE, "8002", a->err.text);
		finish_post(p, &o);
		break;
	}
	infobip_arm_kick(ch);
	ch->env.events->room(ch->env.owner);
}

/* Sets message i aside as its own outcome. */
static void
drop_one(struct post *p, size_t i, const char *code, const struct err *e)
{
	struct message *m = p->m[i];
	struct outcome o = make_outcome(OUT_REJECTED, code, e->text);

	memmove(&p->m[i], &p->m[i + 1], (p->n - i - 1) * sizeof p->m[0]);
	p->n--;
	give_back(p->ch, &m, &o, 1);
}

static void
start_post(struct post *p)
{
	struct infobip *ch = p->ch;
	struct http_request q = {
		.path = SEND_PATH, .leaving = post_leaving, .done = post_done, .arg = p
	};
	char code[RESULT_CODE_LEN + 1];
	struct outcome o;
	struct err e;
	size_t bad = 0;
	enum rc rc = RC_DATA;

	while (p->n > 0 && rc == RC_DATA) {
		rc = infobip_build(p->m, p->n, ch->caps.number_form, &p->body, &q.body_n, &bad,
				   code, &e);
		if (rc == RC_DATA)
			drop_one(p, bad, code, &e);
	}
	if (p->n == 0) {
		free_post(p);
		return;
	}
	q.body = p->body;
	q.answer_max = ANSWER_MAX_BYTES;
	if (rc == RC_OK)
		rc = http_start(ch->http, &q, &p->call, &e);
	if (rc != RC_OK) {
		log_err(LOG_LEVEL_WARN, "infobip.submit", &e, "channel=%s messages=%zu",
			ch->cf->name, p->n);
		o = make_outcome(OUT_DEFERRED, "", e.text);
		finish_post(p, &o);
		return;
	}
	ch->count.requests++;
	p->started_ms = clock_mono_ms();
	p->next = ch->active;
	if (ch->active != NULL)
		ch->active->prev = p;
	ch->active = p;
	ch->active_n++;
}

/* Room for messages, and when there is none for a time: when there may be again (-1: an event
 * tells). */
static unsigned
room_now(struct infobip *ch, int64_t *wait_ms)
{
	int64_t now = clock_mono_ms();
	size_t busy = ch->active_n + ch->queued_n;
	unsigned worth = pace_worth(&ch->pace, ch->caps.batch_max);
	uint64_t room;

	*wait_ms = -1;
	if (ch->draining || ch->state == CHANNEL_STARTING || ch->block == BLOCK_REACH)
		return 0;
	if (ch->block == BLOCK_SEND) {
		if (now < ch->blocked_until_ms)
			*wait_ms = ch->blocked_until_ms - now;
		return now >= ch->blocked_until_ms && busy == 0 ? 1 : 0;
	}
	if (now < ch->gap_until_ms) {
		*wait_ms = ch->gap_until_ms - now;
		return 0;
	}
	if (busy >= (size_t)ch->cf->connections)
		return 0;
	room = ch->gap_ms > 0 ? 1 : (uint64_t)ch->cf->connections - busy;
	room *= ch->caps.batch_max;
	if (room > pace_room(&ch->pace, now))
		room = pace_room(&ch->pace, now);
	if (room < worth) {
		*wait_ms = pace_wait_ms(&ch->pace, now, worth);
		return 0;
	}
	return room > UINT_MAX ? UINT_MAX : (unsigned)room;
}

static bool
may_start(const struct infobip *ch, int64_t now)
{
	return ch->queued != NULL && ch->active_n < (size_t)ch->cf->connections &&
	       now >= ch->gap_until_ms;
}

void
infobip_arm_kick(struct infobip *ch)
{
	int64_t now = clock_mono_ms();
	int64_t wait;
	unsigned room = room_now(ch, &wait);

	if (may_start(ch, now) || (ch->room_owed && room > 0))
		infobip_arm(ch->kick, 0);
	else if (ch->queued != NULL && now < ch->gap_until_ms)
		infobip_arm(ch->kick, ch->gap_until_ms - now);
	else if (ch->room_owed && wait >= 0)
		infobip_arm(ch->kick, wait);
}

static void
on_kick(evutil_socket_t fd, short what, void *user)
{
	struct infobip *ch = user;
	int64_t wait;

	(void)fd;
	(void)what;
	while (may_start(ch, clock_mono_ms())) {
		start_post(take_queued(ch));
		if (ch->gap_ms > 0)
			ch->gap_until_ms = clock_mono_ms() + ch->gap_ms;
	}
	if (ch->room_owed && room_now(ch, &wait) > 0) {
		ch->room_owed = false;
		ch->env.events->room(ch->env.owner);
	}
	infobip_arm_kick(ch);
}

static unsigned
infobip_room(const struct channel *c)
{
	struct infobip *ch = infobip_self(c);
	int64_t wait;
	unsigned room = room_now(ch, &wait);

	if (room == 0) {
		ch->room_owed = true;
		infobip_arm_kick(ch);
	}
	return room;
}

static struct post *
new_post(struct infobip *ch, size_t most, unsigned limit)
{
	struct post *p = calloc(1, sizeof *p + most * sizeof p->m[0]);

	if (p == NULL)
		return NULL;
	p->ch = ch;
	p->limit = limit;
	return p;
}

/* The messages as posts in which none is with more others than its limit allows. NULL: no memory.
 */
static struct post *
split(struct infobip *ch, struct message **m, size_t n)
{
	struct post *list = NULL;

	for (size_t i = 0; i < n; i++) {
		unsigned limit = limit_of(ch, m[i]);
		size_t most = limit < n ? limit : n;
		struct post *p;

		for (p = list; p != NULL && (p->limit != limit || p->n >= most); p = p->next)
			;
		if (p == NULL) {
			p = new_post(ch, most, limit);
			if (p == NULL)
				break;
			p->next = list;
			list = p;
		}
		p->m[p->n++] = m[i];
		if (i + 1 == n)
			return list;
	}
	while (list != NULL) {
		struct post *p = list;

		list = p->next;
		free_post(p);
	}
	return NULL;
}

static enum rc
infobip_submit(struct channel *c, struct message **m, size_t n, struct err *e)
{
	struct infobip *ch = infobip_self(c);
	struct post *list;

	if (n == 0 || n > ch->caps.batch_max)
		return err_set(e, RC_BUG, 0, "infobip.submit",
			       "%zu messages at once, %u are allowed", n, ch->caps.batch_max);
	if (n > infobip_room(c))
		return err_set(e, RC_AGAIN, 0, "infobip.submit", "no room");
	list = split(ch, m, n);
	if (list == NULL)
		return err_set(e, RC_NOMEM, ENOMEM, "infobip.submit", "no memory for %zu messages",
			       n);
	while (list != NULL) {
		struct post *p = list;

		list = p->next;
		p->next = NULL;
		*ch->queued_end = p;
		ch->queued_end = &p->next;
		ch->queued_n++;
	}
	ch->messages += n;
	pace_take(&ch->pace, clock_mono_ms(), (unsigned)n);
	/* Not from inside submit(): that may call back. */
	infobip_arm_kick(ch);
	return RC_OK;
}

/* --- life --- */

/* "Authorization: App KEY"; the caller wipes it. */
static enum rc
read_key(const struct conf_channel *cf, char *line, size_t size, struct err *e)
{
	static const char head[] = "Authorization: App ";
	const char *key = line + sizeof head - 1;
	enum rc rc;

	if (cf->api_key_file == NULL || cf->api_key_file[0] == '\0')
		return err_set(e, RC_CONFIG, 0, "infobip.open",
			       "channel %s: api_key_file is not set", cf->name);
	memcpy(line, head, sizeof head);
	rc = conf_secret_read(cf->api_key_file, line + sizeof head - 1, size - sizeof head + 1, e);
	if (rc != RC_OK)
		return rc;
	for (const char *p = key; *p != '\0'; p++)
		if (*p <= ' ' || *p > '~')
			return err_set(e, RC_CONFIG, 0, "infobip.open",
				       "channel %s: the key in %s holds a blank or a character "
				       "that no key has",
				       cf->name, cf->api_key_file);
	if (*key == '\0')
		return err_set(e, RC_CONFIG, 0, "infobip.open", "channel %s: %s holds no key",
			       cf->name, cf->api_key_file);
	return RC_OK;
}

static void
free_channel(struct infobip *ch)
{
	struct event *events[] = { ch->kick, ch->pull_timer, ch->ask_timer };

	http_close(ch->http);
	for (size_t i = 0; i < sizeof events / sizeof events[0]; i++)
		if (events[i] != NULL)
			event_free(events[i]);
	codemap_free(ch->codes);
	free(ch->scratch);
	free(ch->answers);
	free(ch);
}

static void
fill_caps(struct channel_caps *caps, const struct conf_channel *cf)
{
	caps->types = 1u << MSG_TYPE_SMS | 1u << MSG_TYPE_LMS;
	caps->batch_max = (unsigned)cf->batch;
	caps->dedup_window_ms = cf->dedup_window_ms;
	caps->query_by_key = true;
	caps->has_reports = true;
	caps->number_form = cf->number_form;
	caps->charset = cf->charset;
	caps->sms_bytes = (unsigned)cf->sms_bytes;
	caps->lms_bytes = (unsigned)cf->lms_bytes;
}

static enum rc
infobip_open(const struct channel_env *env, const struct conf_channel *cf, struct channel **out,
	     struct err *e)
{
	struct infobip *ch = calloc(1, sizeof *ch);
	int64_t now = clock_mono_ms();
	char key[512];
	enum rc rc;

	*out = NULL;
	if (ch == NULL)
		return err_set(e, RC_NOMEM, ENOMEM, "infobip.open", "no memory for channel %s",
			       cf->name);
	ch->env = *env;
	ch->cf = cf;
	ch->queued_end = &ch->queued;
	ch->asks_end = &ch->asks;
	fill_caps(&ch->caps, cf);
	pace_init(&ch->pace, cf->rate, 1000, now);
	pace_init(&ch->ask_pace, cf->log_queries_per_minute, 60000, now);
	if (cf->code_map != NULL && cf->code_map[0] != '\0')
		rc = codemap_read(cf->code_map, &ch->codes, e);
	else
		rc = codemap_builtin("infobip", &ch->codes, e);
	if (rc == RC_OK)
		rc = read_key(cf, key, sizeof key, e);
	if (rc == RC_OK)
		rc = http_open(env->base, cf, key, &ch->http, e);
	conf_secret_wipe(key, sizeof key);
	if (rc != RC_OK) {
		free_channel(ch);
		return rc;
	}
	ch->scratch = calloc(ch->caps.batch_max, sizeof *ch->scratch);
	ch->answers = calloc(ch->caps.batch_max, sizeof *ch->answers);
	ch->kick = evtimer_new(env->base, on_kick, ch);
	ch->pull_timer = evtimer_new(env->base, infobip_on_pull, ch);
	ch->ask_timer = evtimer_new(env->base, infobip_on_ask, ch);
	if (ch->scratch == NULL || ch->answers == NULL || ch->kick == NULL ||
	    ch->pull_timer == NULL || ch->ask_timer == NULL) {
		free_channel(ch);
		return err_set(e, RC_NOMEM, ENOMEM, "infobip.open", "no memory for channel %s",
			       cf->name);
	}
	infobip_arm_pull(ch, 0);
	*out = (struct channel *)ch;
	return RC_OK;
}

static const struct channel_caps *
infobip_caps(const struct channel *c)
{
	return &infobip_self(c)->caps;
}

static void
infobip_drain(struct channel *c)
{
	struct infobip *ch = infobip_self(c);

	ch->draining = true;
	evtimer_del(ch->pull_timer);
}

static size_t
infobip_in_flight(const struct channel *c)
{
	const struct infobip *ch = infobip_self(c);
	size_t n = ch->messages + (ch->pull != PULL_IDLE);

	for (const struct ask *k = ch->asks; k != NULL; k = k->next)
		n += k->n;
	return n;
}

static enum rc
infobip_check(const struct conf_channel *cf, char *sentence, size_t size, struct err *e)
{
	char key[512];
	char body[4096];
	char tls[16];
	struct http_answer a = { .fate = HTTP_NOT_SENT };
	enum rc rc = read_key(cf, key, sizeof key, e);

	if (rc == RC_OK)
		rc = http_once(cf, key, CHECK_PATH, body, sizeof body, &a, tls, e);
	conf_secret_wipe(key, sizeof key);
	if (rc == RC_OK && a.fate != HTTP_ANSWERED) {
		*e = a.err;
		rc = e->rc;
	} else if (rc == RC_OK && a.status == 401) {
		rc = err_set(e, RC_CONFIG, 401, "infobip.check", "%s refuses the API key in %s",
			     cf->url, cf->api_key_file);
	} else if (rc == RC_OK && a.status == 403) {
		rc = err_set(e, RC_CONFIG, 403, "infobip.check",
			     "%s knows the API key, but it may not read logs: give it the scopes "
			     "to send, to read reports and "
			     "to read logs",
			     cf->url);
	} else if (rc == RC_OK && a.status == 404) {
		rc = err_set(e, RC_CONFIG, 404, "infobip.check", "%s has no SMS API: check url",
			     cf->url);
	} else if (rc == RC_OK && a.status != 200) {
		rc = err_set(e, RC_AGAIN, a.status, "infobip.check", "%s answers %d", cf->url,
			     a.status);
	}
	if (rc == RC_OK)
		snprintf(sentence, size, "%s answers over %s and takes the API key", cf->url, tls);
	else
		snprintf(sentence, size, "%s", e->text);
	return rc;
}

static void
infobip_describe(const struct channel *c, char *buf, size_t size)
{
	const struct infobip *ch = infobip_self(c);
	const struct http_stats *s = http_stats(ch->http);

	snprintf(buf, size,
		 "requests=%llu active=%zu queued=%zu messages=%zu accepted=%llu rejected=%llu "
		 "deferred=%llu unsure=%llu "
		 "throttled=%llu gap_ms=%lld pages=%llu reports=%llu broken_reports=%llu "
		 "questions=%llu connections=%llu "
		 "http=%s prevented_resends=%llu",
		 ch->count.requests, ch->active_n, ch->queued_n, ch->messages,
		 ch->count.outcome[OUT_ACCEPTED], ch->count.outcome[OUT_REJECTED],
		 ch->count.outcome[OUT_DEFERRED], ch->count.outcome[OUT_UNSURE],
		 ch->count.throttled, (long long)ch->gap_ms, ch->count.pages, ch->count.reports,
		 ch->count.broken, ch->count.questions, (unsigned long long)s->connections,
		 s->version == 20   ? "2"
		 : s->version == 11 ? "1.1"
				    : "-",
		 (unsigned long long)s->vetoed);
}

static void
infobip_close(struct channel *c)
{
	struct infobip *ch = infobip_self(c);
	struct outcome o;

	ch->draining = true;
	flush_queue(ch, 0, "the channel was closed");
	while (ch->active != NULL) {
		struct post *p = ch->active;

		unlink_active(ch, p);
		http_cancel(p->call);
		o = p->wired ? make_outcome(OUT_UNSURE, "8002",
					    "the channel was closed before the answer")
			     : make_outcome(OUT_DEFERRED, "", "the channel was closed");
		finish_post(p, &o);
	}
	if (ch->ask_call != NULL)
		http_cancel(ch->ask_call);
	while (ch->asks != NULL) {
		struct ask *k = ch->asks;

		ch->asks = k->next;
		infobip_fail_chunk(k, k->n - k->pos);
		ch->env.events->resolved(ch->env.owner, k->q, k->n);
		free(k);
	}
	free_channel(ch);
}

const struct channel_driver channel_infobip = {
	.name = "infobip",
	.open = infobip_open,
	.caps = infobip_caps,
	.room = infobip_room,
	.submit = infobip_submit,
	.resolve = infobip_resolve,
	.reports_taken = infobip_reports_taken,
	.drain = infobip_drain,
	.in_flight = infobip_in_flight,
	.check = infobip_check,
	.describe = infobip_describe,
	.close = infobip_close,
};
