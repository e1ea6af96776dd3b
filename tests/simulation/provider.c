/* provider.c - the channel driver "sim" of the agents, and providers that know what really
 * happened.
 *
 * The provider's side lives on when an agent dies: a request that left is taken at its time or
 * never, reports are handed out once, by the page, to whoever asks first. */
#include "config.h"
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/key.h"
#include "drivers/channel/channel.h"
#include "tests/simulation/sim.h"

#define RECORDS_MAX 256
#define REPORTS_MAX 512
#define BATCH_MAX 4
#define PAGE_MAX 3
#define REQUESTS_MAX 3 /* under way at once, a channel */
#define ANSWER_TIMEOUT_MS (30 * SECOND)
#define PARTS_MAX 3
#define IDS_MAX 64 /* bytes of the ids of parts 2 and on */

/* What a provider took. */
struct record {
	int provider, message, leg;
	char key[CLIENT_KEY_LEN + 1];
	char id[24];
	int64_t taken_ms, known_ms; /* when its end is known there */
	bool is_delivered;
	int parts;
};

struct waiting {
	bool is_used;
	int provider;
	int64_t due_ms;
	struct report r;
};

/* One request after its bytes left, shared by both sides. */
struct hand {
	int provider;
	unsigned refs;
	size_t n;
	int message[BATCH_MAX], leg[BATCH_MAX], generation[BATCH_MAX];
	char key[BATCH_MAX][CLIENT_KEY_LEN + 1];
	bool is_processed;
	struct outcome out[BATCH_MAX];
	char more_ids[BATCH_MAX][IDS_MAX];
};

struct request {
	struct request *next;
	struct sim_channel *c;
	struct event *timer;
	struct hand *hand; /* NULL: not on the wire */
	bool is_answered;  /* the answer will be the hand's */
	size_t n;
	struct message *m[BATCH_MAX];
};

struct question {
	struct question *next;
	struct sim_channel *c;
	struct event *timer;
	struct query *q;
	size_t n;
	bool is_looked;
};

struct sim_channel {
	struct channel_env env;
	int provider;
	struct agent *agent;
	struct channel_caps caps;
	struct request *requests;
	struct question *questions;
	struct event *poll;
	size_t in_flight;
	unsigned request_count;
	bool is_up, is_draining, page_out;
};

static struct {
	struct provider_plan plan;
	bool is_up;
	unsigned next_id;
} providers[PROVIDERS_MAX];
static unsigned provider_count;
static struct record records[RECORDS_MAX];
static size_t record_count;
static struct waiting reports[REPORTS_MAX];
static size_t report_most; /* places that were ever used in this schedule */
static struct truth truths[MESSAGES_MAX];
static struct {
	char key[CLIENT_KEY_LEN + 1];
	int message;
} keys[RECORDS_MAX];
static size_t key_count;

/* ---- what the oracle asks ---- */

const struct truth *
truth_of(unsigned n)
{
	return &truths[n];
}

int
message_of_key(const char *client_key)
{
	size_t i;

	for (i = 0; i < key_count; i++)
		if (strcmp(keys[i].key, client_key) == 0)
			return keys[i].message;
	return -1;
}

int64_t
providers_next_ms(void)
{
	int64_t least = INT64_MAX;
	size_t i;

	for (i = 0; i < report_most; i++)
		if (reports[i].is_used && reports[i].due_ms < least)
			least = reports[i].due_ms;
	return least;
}

bool
providers_are_empty(void)
{
	return providers_next_ms() == INT64_MAX;
}

void
providers_begin(unsigned n, const struct provider_plan *plans)
{
	unsigned i;

	provider_count = n;
	for (i = 0; i < n; i++) {
		providers[i].plan = plans[i];
		providers[i].is_up = true;
		providers[i].next_id = 1;
	}
	record_count = key_count = 0;
	memset(reports, 0, report_most * sizeof *reports);
	report_most = 0;
	memset(truths, 0, sizeof truths);
}

void
provider_set_up(unsigned at, bool is_up)
{
	if (at < provider_count)
		providers[at].is_up = is_up;
}

void
provider_agent_crash(struct agent *a)
{
	(void)a; /* its requests are gone with its memory; the hands live on */
}

/* ---- the provider's side ---- */

static struct record *
find_record(int provider, const char *key)
{
	size_t i;

	for (i = record_count; i > 0; i--)
		if (records[i - 1].provider == provider && strcmp(records[i - 1].key, key) == 0)
			return &records[i - 1];
	return NULL;
}

static void
put_report(int provider, int64_t due_ms, const struct report *r)
{
	size_t i;

	for (i = 0; i < REPORTS_MAX; i++)
		if (!reports[i].is_used) {
			reports[i] = (struct waiting){ true, provider, due_ms, *r };
			if (report_most <= i)
				report_most = i + 1;
			return;
		}
	violation("the simulation is out of places for reports");
}

static void
report_of(const struct record *k, enum report_class class, struct report *r)
{
	int by = providers[k->provider].plan.report_by;

	memset(r, 0, sizeof *r);
	r->class = class;
	if (by != 2)
		snprintf(r->client_key, sizeof r->client_key, "%s", k->key);
	if (by != 1)
		snprintf(r->provider_id, sizeof r->provider_id, "%s", k->id);
	snprintf(r->code, sizeof r->code, "%s",
		 class == REPORT_OK	? "0000"
		 : class == REPORT_FAIL ? "4002"
					: "");
	snprintf(r->provider_code, sizeof r->provider_code, "%d", (int)class);
	r->parts = 1;
}

static int64_t
report_delay_ms(void)
{
	unsigned r = pick(100);

	if (r < 45)
		return between(0, 2 * SECOND);
	if (r < 85)
		return between(2 * SECOND, 3 * MINUTE);
	if (r < 97)
		return between(3 * MINUTE, 46 * HOUR);
	return between(46 * HOUR, 60 * HOUR);
}

/* One that fails is enough for the message. */
static void
plan_part_reports(const struct record *k)
{
	const struct provider_plan *p = &providers[k->provider].plan;
	int fails = k->is_delivered ? 0 : 1 + (int)pick((unsigned)k->parts), part;
	struct report r;

	for (part = 1; part <= k->parts; part++) {
		bool is_ok = k->is_delivered || (part != fails && chance(7000));
		int64_t due_ms = W.now_ms + report_delay_ms();

		report_of(k, is_ok ? REPORT_OK : REPORT_FAIL, &r);
		if (part > 1)
			snprintf(r.provider_id, sizeof r.provider_id, "%s/%d", k->id, part);
		put_report(k->provider, due_ms, &r);
		if (chance(p->p_duplicate))
			put_report(k->provider, due_ms + between(0, 10 * MINUTE), &r);
		if (chance(p->p_pending)) {
			r.class = REPORT_PENDING;
			put_report(k->provider, W.now_ms + between(0, due_ms - W.now_ms), &r);
		}
	}
}

static void
plan_reports(struct record *k)
{
	const struct provider_plan *p = &providers[k->provider].plan;
	enum report_class class = k->is_delivered ? REPORT_OK : REPORT_FAIL;
	struct report r;

	k->known_ms = W.now_ms + report_delay_ms();
	if (!p->has_reports)
		return;
	if (chance(p->p_pending)) {
		report_of(k, REPORT_PENDING, &r);
		put_report(k->provider, W.now_ms + between(0, k->known_ms - W.now_ms), &r);
	}
	if (chance(p->p_silent)) {
		if (chance(5000))
			k->known_ms = INT64_MAX;
		return;
	}
	if (k->parts > 1) {
		plan_part_reports(k);
		return;
	}
	report_of(k, class, &r);
	put_report(k->provider, k->known_ms, &r);
	if (chance(p->p_duplicate))
		put_report(k->provider, k->known_ms + between(0, 10 * MINUTE), &r);
	if (chance(p->p_contradict)) {
		report_of(k, class == REPORT_OK ? REPORT_FAIL : REPORT_OK, &r);
		put_report(k->provider, W.now_ms + 2 * (k->known_ms - W.now_ms) + 1, &r);
		truths[k->message].lied = true;
	}
}

static void
take(struct hand *h, size_t i)
{
	const struct provider_plan *p = &providers[h->provider].plan;
	struct record *k = find_record(h->provider, h->key[i]);
	struct truth *t = &truths[h->message[i]];
	struct outcome *o = &h->out[i];

	memset(o, 0, sizeof *o);
	if (k != NULL && p->knows_keys && W.now_ms - k->taken_ms <= p->window_ms) {
		o->kind = OUT_ACCEPTED;
		o->duplicate = true;
		snprintf(o->provider_id, sizeof o->provider_id, "%s", k->id);
		trace(NULL, "provider knows", h->message[i], h->leg[i]);
		return;
	}
	if (k == NULL && chance(p->p_reject)) {
		o->kind = OUT_REJECTED;
		snprintf(o->code, sizeof o->code, "4001");
		t->refused++;
		trace(NULL, "provider refuses", h->message[i], h->leg[i]);
		return;
	}
	if (k == NULL && chance(p->p_defer)) {
		o->kind = OUT_DEFERRED;
		o->retry_after_ms = chance(5000) ? 0 : (uint32_t)between(1, 40 * SECOND);
		return;
	}
	if (k == NULL && chance(p->p_ended)) {
		o->kind = OUT_DEFERRED;
		o->certainly_ended = true;
		return;
	}
	if (record_count == RECORDS_MAX) {
		violation("the simulation is out of places for what a provider took");
		return;
	}
	k = &records[record_count++];
	memset(k, 0, sizeof *k);
	k->provider = h->provider;
	k->message = h->message[i];
	k->leg = h->leg[i];
	memcpy(k->key, h->key[i], sizeof k->key);
	snprintf(k->id, sizeof k->id, "p%d-%u", h->provider, providers[h->provider].next_id++);
	k->taken_ms = W.now_ms;
	k->is_delivered = !p->has_reports || !chance(p->p_fail);
	t->accepted++;
	t->delivered += k->is_delivered;
	trace(NULL, k->is_delivered ? "provider takes, will deliver" : "provider takes, will fail",
	      h->message[i], h->leg[i]);
	k->parts = p->has_parts ? 1 + (int)pick(PARTS_MAX) : 1;
	W.counts.parts += k->parts > 1 ? k->parts : 0;
	plan_reports(k);
	o->kind = OUT_ACCEPTED;
	o->parts = (unsigned)k->parts;
	if (k->parts > 1)
		snprintf(h->more_ids[i], IDS_MAX, k->parts == 2 ? "%s/2" : "%s/2 %s/3", k->id,
			 k->id);
	snprintf(o->provider_id, sizeof o->provider_id, "%s", k->id);
}

static void
let_go(struct hand *h)
{
	if (--h->refs == 0)
		free(h);
}

static void
process(void *arg, int64_t n)
{
	struct hand *h = arg;
	size_t i;

	(void)n;
	if (providers[h->provider].is_up) {
		for (i = 0; i < h->n; i++)
			take(h, i);
		h->is_processed = true;
	}
	let_go(h);
}

/* ---- the channel's side ---- */

static struct sim_channel *
self(const struct channel *c)
{
	return (struct sim_channel *)(uintptr_t)c;
}

static void
timer_set(struct event *ev, int64_t ms)
{
	const struct timeval tv = { (time_t)(ms / 1000), (suseconds_t)(ms % 1000) * 1000 };

	(void)event_add(ev, &tv);
}

static void
set_state(struct sim_channel *c, bool is_up)
{
	if (c->is_up == is_up)
		return;
	c->is_up = is_up;
	c->env.events->state(c->env.owner, is_up ? CHANNEL_UP : CHANNEL_DOWN, NULL);
}

static void
request_end(struct request *r, struct outcome *o)
{
	struct sim_channel *c = r->c;
	struct request **at;
	struct outcome swapped[BATCH_MAX];
	struct message *m[BATCH_MAX];
	char more_ids[BATCH_MAX][IDS_MAX];
	size_t i, first = r->n > 1 ? (size_t)pick((unsigned)r->n) : 0;

	for (at = &c->requests; *at != r; at = &(*at)->next)
		;
	*at = r->next;
	event_free(r->timer);
	c->request_count--;
	c->in_flight -= r->n;
	c->agent->hot--;
	/* In any order. */
	for (i = 0; i < r->n; i++) {
		m[i] = r->m[(i + first) % r->n];
		swapped[i] = o[(i + first) % r->n];
		if (swapped[i].kind != OUT_ACCEPTED || swapped[i].parts < 2)
			continue;
		memcpy(more_ids[i], r->hand->more_ids[(i + first) % r->n], IDS_MAX);
		swapped[i].more_ids = more_ids[i];
	}
	i = r->n;
	if (r->hand != NULL)
		let_go(r->hand);
	free(r);
	if (i > 1 && chance(3000)) {
		c->env.events->done(c->env.owner, m, swapped, 1);
		c->env.events->done(c->env.owner, m + 1, swapped + 1, i - 1);
	} else {
		c->env.events->done(c->env.owner, m, swapped, i);
	}
}

static void
request_end_all(struct request *r, enum outcome_kind kind, uint32_t retry_after_ms)
{
	struct outcome o[BATCH_MAX];
	size_t i;

	memset(o, 0, sizeof o);
	for (i = 0; i < r->n; i++) {
		o[i].kind = kind;
		o[i].retry_after_ms = retry_after_ms;
	}
	request_end(r, o);
}

static int
message_number(const struct message *m)
{
	/* The application's number is in etc1. */
	int n = m->etc1.n > 1 ? (int)strtol(m->etc1.p + 1, NULL, 10) : -1;

	if (n < 0 || n >= MESSAGES_MAX) {
		violation("a message without its etc1 goes to the wire");
		abort();
	}
	return n;
}

static struct hand *
hand_new(const struct request *r)
{
	struct hand *h = calloc(1, sizeof *h);
	struct truth *t;
	size_t i;

	h->provider = r->c->provider;
	h->n = r->n;
	for (i = 0; i < r->n; i++) {
		h->message[i] = message_number(r->m[i]);
		h->leg[i] = r->m[i]->leg;
		h->generation[i] = r->m[i]->generation;
		memcpy(h->key[i], r->m[i]->client_key, sizeof h->key[i]);
		t = &truths[h->message[i]];
		t->last_wire_ms = W.now_ms;
		t->bumped = t->bumped || h->generation[i] > 0;
		if (h->leg[i] < LEGS_MAX && t->leg_wire_ms[h->leg[i]] == 0)
			t->leg_wire_ms[h->leg[i]] = W.now_ms;
		if (message_of_key(h->key[i]) < 0 && key_count < RECORDS_MAX) {
			memcpy(keys[key_count].key, h->key[i], sizeof keys[0].key);
			keys[key_count++].message = h->message[i];
		}
		W.counts.resends += r->m[i]->is_resend;
		trace(r->c->agent, r->m[i]->is_resend ? "sends again" : "sends", h->message[i],
		      r->m[i]->try_no);
	}
	return h;
}

/* Bytes leave now. */
static void
go(struct request *r)
{
	struct sim_channel *c = r->c;
	const struct provider_plan *p = &providers[c->provider].plan;
	int64_t taken_in, answered_in;
	bool is_cut = W.faults && chance(p->p_cut_before);
	int i;

	W.counts.requests++;
	r->hand = hand_new(r);
	r->hand->refs = 1;
	crash_point();
	if (is_cut) {
		W.counts.cut_requests++;
		timer_set(r->timer, between(0, ANSWER_TIMEOUT_MS));
		return;
	}
	taken_in = between(0, 1500);
	answered_in = taken_in + between(0, 1500);
	r->is_answered = true;
	if (W.faults && chance(p->p_late)) {
		W.counts.late_requests++;
		taken_in = between(0, p->in_flight_ms);
		answered_in = taken_in + between(0, 1500);
	} else if (W.faults && chance(p->p_lost_answer)) {
		r->is_answered = false;
		answered_in = ANSWER_TIMEOUT_MS;
	} else if (W.faults && chance(p->p_cut_after)) {
		r->is_answered = false;
		answered_in = between(0, 3000);
	}
	if (answered_in > ANSWER_TIMEOUT_MS) {
		answered_in = ANSWER_TIMEOUT_MS;
		r->is_answered = false;
	}
	r->hand->refs++;
	world_at(W.now_ms + taken_in, process, r->hand, 0);
	timer_set(r->timer, answered_in);
	/* The worst moment, so it is tried more often than others. */
	for (i = 0; i < 6; i++) {
		crash_point();
		pause_point();
	}
}

static void
on_request(evutil_socket_t fd, short what, void *arg)
{
	struct request *r = arg;
	struct sim_channel *c = r->c;
	struct outcome o[BATCH_MAX];
	size_t i;

	(void)fd;
	(void)what;
	if (r->hand == NULL) {
		if (!providers[c->provider].is_up) {
			set_state(c, false);
			request_end_all(r, OUT_DEFERRED, 0);
		} else if (W.faults && chance(150)) {
			request_end_all(r, OUT_DEFERRED, 0); /* no connection */
		} else if (!c->env.events->wire(c->env.owner, r->m, r->n)) {
			request_end_all(r, OUT_DEFERRED, 0);
		} else if (W.faults && chance(100)) {
			request_end_all(r, OUT_DEFERRED, 0); /* certainly not a byte was written */
		} else {
			go(r);
		}
		return;
	}
	if (!r->is_answered || !r->hand->is_processed) {
		request_end_all(r, OUT_UNSURE, 0);
		return;
	}
	for (i = 0; i < r->n; i++) {
		o[i] = r->hand->out[i];
		/* An item may be missing in the answer. */
		if (W.faults && chance(100)) {
			memset(&o[i], 0, sizeof o[i]);
			o[i].kind = OUT_UNSURE;
		}
	}
	request_end(r, o);
}

static unsigned
sim_room(const struct channel *channel)
{
	const struct sim_channel *c = self(channel);

	if (c->is_draining || !c->is_up || c->request_count >= REQUESTS_MAX)
		return 0;
	return (REQUESTS_MAX - c->request_count) * c->caps.batch_max;
}

static enum rc
sim_submit(struct channel *channel, struct message **m, size_t n, struct err *e)
{
	struct sim_channel *c = self(channel);
	struct request *r;

	if (n == 0 || n > c->caps.batch_max)
		return err_set(e, RC_BUG, 0, "sim.submit", "%zu messages", n);
	if (sim_room(channel) == 0 || (W.faults && chance(100)))
		return err_set(e, RC_AGAIN, 0, "sim.submit", "no room");
	r = calloc(1, sizeof *r);
	r->c = c;
	r->n = n;
	memcpy(r->m, m, n * sizeof *m);
	r->timer = evtimer_new(c->env.base, on_request, r);
	r->next = c->requests;
	c->requests = r;
	c->request_count++;
	c->in_flight += n;
	c->agent->hot++;
	timer_set(r->timer, W.faults && chance(200) ? between(0, 40 * SECOND) : between(0, 300));
	return RC_OK;
}

/* ---- questions ---- */

static void
look_up(const struct sim_channel *c, struct query *q)
{
	const struct record *k = find_record(c->provider, q->client_key);

	memset(&q->outcome, 0, sizeof q->outcome);
	memset(&q->report, 0, sizeof q->report);
	if (!providers[c->provider].is_up || (W.faults && chance(1500))) {
		q->kind = RESOLVE_FAILED;
		return;
	}
	if (k == NULL) {
		q->kind = RESOLVE_NOT_FOUND;
		return;
	}
	q->kind = RESOLVE_ACCEPTED;
	q->outcome.kind = OUT_ACCEPTED;
	q->outcome.parts = 1;
	snprintf(q->outcome.provider_id, sizeof q->outcome.provider_id, "%s", k->id);
	report_of(k,
		  k->known_ms > W.now_ms ? REPORT_PENDING
		  : k->is_delivered	 ? REPORT_OK
					 : REPORT_FAIL,
		  &q->report);
	snprintf(q->report.client_key, sizeof q->report.client_key, "%s", k->key);
}

static void
question_end(struct question *u)
{
	struct sim_channel *c = u->c;
	struct question **at;
	struct query *q = u->q;
	size_t n = u->n;

	for (at = &c->questions; *at != u; at = &(*at)->next)
		;
	*at = u->next;
	event_free(u->timer);
	free(u);
	c->agent->hot--;
	c->env.events->resolved(c->env.owner, q, n);
}

static void
on_question(evutil_socket_t fd, short what, void *arg)
{
	struct question *u = arg;
	size_t i;

	(void)fd;
	(void)what;
	if (u->is_looked) {
		question_end(u);
		return;
	}
	for (i = 0; i < u->n; i++) {
		look_up(u->c, &u->q[i]);
		trace(u->c->agent, "asks", message_of_key(u->q[i].client_key), (int)u->q[i].kind);
	}
	u->is_looked = true;
	timer_set(u->timer, between(0, 2000));
}

static enum rc
sim_resolve(struct channel *channel, struct query *q, size_t n, struct err *e)
{
	struct sim_channel *c = self(channel);
	struct question *u;

	if (c->is_draining || (W.faults && chance(300)))
		return err_set(e, RC_AGAIN, 0, "sim.resolve", "not now");
	W.counts.queries += (int64_t)n;
	u = calloc(1, sizeof *u);
	u->c = c;
	u->q = q;
	u->n = n;
	u->timer = evtimer_new(c->env.base, on_question, u);
	u->next = c->questions;
	c->questions = u;
	c->agent->hot++;
	timer_set(u->timer, between(0, 2000));
	return RC_OK;
}

/* ---- reports ---- */

static void
on_poll(evutil_socket_t fd, short what, void *arg)
{
	struct sim_channel *c = arg;
	struct report page[PAGE_MAX];
	unsigned lost = providers[c->provider].plan.p_lost_page;
	size_t i, n = 0;

	(void)fd;
	(void)what;
	timer_set(c->poll, between(5 * SECOND, 20 * SECOND));
	if (!c->is_up && providers[c->provider].is_up) {
		set_state(c, true);
		c->env.events->room(c->env.owner);
	}
	if (!providers[c->provider].is_up || c->is_draining || c->page_out)
		return;
	for (i = 0; i < report_most && n < PAGE_MAX; i++)
		if (reports[i].is_used && reports[i].provider == c->provider &&
		    reports[i].due_ms <= W.now_ms) {
			page[n++] = reports[i].r;
			reports[i].is_used = false;
		}
	if (n == 0)
		return;
	if (W.faults && chance(lost)) {
		W.counts.lost_pages++;
		return;
	}
	W.counts.reports += (int64_t)n;
	trace(c->agent, "reads reports", (int64_t)n, 0);
	c->page_out = true;
	c->env.events->reports(c->env.owner, page, n);
}

static void
sim_reports_taken(struct channel *channel)
{
	self(channel)->page_out = false;
}

/* ---- the rest ---- */

static enum rc
sim_open(const struct channel_env *env, const struct conf_channel *cf, struct channel **out,
	 struct err *e)
{
	struct sim_channel *c = calloc(1, sizeof *c);
	const struct provider_plan *p;

	(void)e;
	c->env = *env;
	c->provider = cf->name[1] - '0';
	c->agent = world_running();
	p = &providers[c->provider].plan;
	c->caps.types = 1u << MSG_TYPE_SMS | 1u << MSG_TYPE_LMS;
	c->caps.batch_max = (unsigned)cf->batch;
	c->caps.dedup_window_ms = p->knows_keys ? p->window_ms : 0;
	c->caps.query_by_key = p->can_query;
	c->caps.has_reports = p->has_reports;
	c->caps.number_form = NUMBER_E164_DIGITS;
	c->caps.charset = CHARSET_UNICODE;
	c->caps.sms_bytes = 90;
	c->caps.lms_bytes = 2000;
	c->poll = evtimer_new(env->base, on_poll, c);
	timer_set(c->poll, between(0, 500));
	*out = (struct channel *)c;
	return RC_OK;
}

static const struct channel_caps *
sim_caps(const struct channel *c)
{
	return &self(c)->caps;
}

static void
sim_drain(struct channel *c)
{
	self(c)->is_draining = true;
}

static size_t
sim_in_flight(const struct channel *c)
{
	return self(c)->in_flight;
}

static void
sim_describe(const struct channel *c, char *buf, size_t size)
{
	(void)c;
	(void)size;
	buf[0] = '\0';
}

static void
sim_close(struct channel *channel)
{
	struct sim_channel *c = self(channel);
	size_t i;

	while (c->requests != NULL)
		request_end_all(c->requests, c->requests->hand != NULL ? OUT_UNSURE : OUT_DEFERRED,
				0);
	while (c->questions != NULL) {
		for (i = 0; i < c->questions->n; i++)
			c->questions->q[i].kind = RESOLVE_FAILED;
		question_end(c->questions);
	}
	event_free(c->poll);
	free(c);
}

static const struct channel_driver driver = {
	.name = "sim",
	.open = sim_open,
	.caps = sim_caps,
	.room = sim_room,
	.submit = sim_submit,
	.resolve = sim_resolve,
	.reports_taken = sim_reports_taken,
	.drain = sim_drain,
	.in_flight = sim_in_flight,
	.describe = sim_describe,
	.close = sim_close,
};

const struct channel_driver *
channel_driver_find(const char *name)
{
	(void)name;
	return &driver;
}

const char *
channel_driver_names(void)
{
	return "sim";
}

const char *
channel_state_name(enum channel_state s)
{
	return s == CHANNEL_UP ? "UP" : "DOWN";
}
