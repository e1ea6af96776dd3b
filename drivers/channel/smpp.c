/* smpp.c - SMS (and LMS, where the centre makes them) through SMPP 3.4: messages into windows,
 * answers and receipts out of them.
 *
 * A message goes as one PDU or as parts, all of them over one session in one go, and has one
 * outcome when all parts are answered. A part that the centre put off alone is sent again, as long
 * as the message's write deadline allows: the centre said that it did not take it. Parts without an
 * answer make the whole UNSURE, and nothing of it is sent again here.
 *
 * Less speed when the centre asks for it: a pause for the whole channel, then a limit on what is
 * under way in all windows together, halved at each such answer and raised by one with each round
 * of answers without.
 *
 * DIAGNOSTICS (events): smpp.session, smpp.receipt, smpp.fault (smpp_session.c). */
#include "config.h"
#include "drivers/channel/drivers.h"

#include <errno.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/clock.h"
#include "agent/conf.h"
#include "agent/log.h"
#include "agent/text.h"
#include "drivers/channel/pace.h"
#include "drivers/channel/smpp_session.h"

#define QUEUE_MAX 4096	  /* messages that wait for a window */
#define GROUP_MAX 500	  /* messages of one journal mark, and outcomes handed over at once */
#define PAGE_MAX 500	  /* receipts handed over at once */
#define RECEIPTS_MAX 4096 /* that wait for the pipeline; more are put off at the centre */
#define RECEIVED_MAX 1000 /* messages from phones, the same */
#define PAUSE_MAX_MS 30000
#define SESSIONS_MAX 64 /* pairs count twice */
#define CONGESTED 90	/* of congestion_state, per cent (SMPP 5.0, 4.8.4.18) */
#define REFUSED_PAUSE_MS 60000
#define AGAIN_MS 1000 /* between two tries of a part */
#define LATER_MS UINT32_C(1000)

enum piece_state { PIECE_WAITS, PIECE_SENT, PIECE_TAKEN, PIECE_REFUSED, PIECE_UNSURE };

struct sending;

/* One PDU of a message. */
struct piece {
	struct sending *of;
	unsigned no; /* from 0 */
	enum piece_state state;
	char id[PROVIDER_ID_MAX + 1];
};

struct sending {
	struct sending *next;
	struct message *m;
	bool is_wired;
	int64_t again_ms; /* in the list again: not before */
	uint16_t reference;
	unsigned parts;	    /* as the carrier counts */
	unsigned n;	    /* pieces; 0: not planned */
	unsigned open;	    /* of them without an answer */
	struct outcome why; /* of the first piece that was not taken */
	enum smpp_split split;
	struct piece *piece;
};

struct sending_list {
	struct sending *first;
	struct sending **end;
	size_t n;
};

/* A deliver_sm that is not answered yet. */
struct owed {
	struct smpp_session *session;
	uint64_t connection;
	uint32_t command;
	uint32_t sequence;
};

struct receipt {
	struct owed owed;
	struct report report;
	bool is_answer; /* a late answer to a submit: nobody waits for ours */
};

struct waiting_mo {
	struct waiting_mo *next;
	uint64_t number;
	struct owed owed;
};

struct smpp_channel {
	struct channel_env env;
	const struct conf_channel *cf;
	struct channel_caps caps;
	struct smpp_setup *setup;
	struct smpp_text_rules no_tlvs; /* for a centre that knows no optional parameters */
	struct evdns_base *dns;
	struct smpp_session_env session_env;
	struct smpp_session **session;
	size_t session_n;
	struct event *tick, *kick;
	int64_t ticked_ms;
	enum channel_state state;
	bool is_refused;
	bool is_draining;
	bool room_owed;
	struct pace pace;

	struct sending_list queue; /* nothing of them has left */
	struct sending_list again; /* some parts have to be sent again */
	size_t messages;	   /* in all lists and windows */
	struct sending **group;
	struct smpp_session **group_session;
	struct message **group_message;

	/* outcomes that were found and are not handed over yet */
	struct message **done_message;
	struct outcome *done_outcome;
	char **done_ids;
	size_t done_n;

	int64_t pause_ms;
	int64_t paused_until_ms;
	int64_t paused_at_ms;
	size_t limit; /* requests under way at most; 0: only the windows' */
	size_t good;  /* answers since the limit was changed */

	struct receipt *receipt; /* a ring */
	size_t receipt_first, receipt_n, page_n;
	struct report *page;
	struct waiting_mo *mo;
	size_t mo_n;
	uint64_t mo_number;
	uint16_t reference;

	struct {
		unsigned long long outcome[OUT_UNSURE + 1]; /* messages, by enum outcome_kind */
		unsigned long long submitted, throttled, late, receipts, unreadable, put_off,
			received, binds;
	} count;
};

static struct smpp_channel *
self(const struct channel *c)
{
	return (struct smpp_channel *)(uintptr_t)c;
}

static void
arm(struct event *ev, int64_t ms)
{
	struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	evtimer_add(ev, &tv);
}

static void
list_init(struct sending_list *l)
{
	l->first = NULL;
	l->end = &l->first;
	l->n = 0;
}

static void
list_put(struct sending_list *l, struct sending *s)
{
	s->next = NULL;
	*l->end = s;
	l->end = &s->next;
	l->n++;
}

static struct sending *
list_take(struct sending_list *l)
{
	struct sending *s = l->first;

	if (s == NULL)
		return NULL;
	l->first = s->next;
	if (l->first == NULL)
		l->end = &l->first;
	l->n--;
	return s;
}

/* ---- giving messages back ---- */

static void
hand_over(struct smpp_channel *ch)
{
	size_t n = ch->done_n;

	if (n == 0)
		return;
	ch->done_n = 0;
	ch->messages -= n;
	ch->env.events->done(ch->env.owner, ch->done_message, ch->done_outcome, n);
	for (size_t i = 0; i < n; i++) {
		free(ch->done_ids[i]);
		ch->done_ids[i] = NULL;
	}
}

/* Takes over ids (may be NULL) and frees the sending. */
static void
finish(struct smpp_channel *ch, struct sending *s, const struct outcome *o, char *ids)
{
	ch->count.outcome[o->kind]++;
	ch->done_message[ch->done_n] = s->m;
	ch->done_outcome[ch->done_n] = *o;
	ch->done_outcome[ch->done_n].more_ids = ids;
	ch->done_ids[ch->done_n++] = ids;
	free(s->piece);
	free(s);
	if (ch->done_n == GROUP_MAX)
		hand_over(ch);
}

static void
finish_plain(struct smpp_channel *ch, struct sending *s, enum outcome_kind kind, const char *code,
	     int64_t retry_ms, const char *text)
{
	struct outcome o;

	memset(&o, 0, sizeof o);
	o.kind = kind;
	o.retry_after_ms = retry_ms > 0 ? (uint32_t)retry_ms : 0;
	(void)text_copy(o.code, sizeof o.code, code);
	(void)text_copy(o.text, sizeof o.text, text);
	finish(ch, s, &o, NULL);
}

/* What waits here while nothing may go waits better in the table. */
static void
flush_queue(struct smpp_channel *ch, int64_t retry_ms, const char *text)
{
	struct sending *s;

	while ((s = list_take(&ch->queue)) != NULL)
		finish_plain(ch, s, OUT_DEFERRED, "", retry_ms, text);
}

static void
finish_accepted(struct smpp_channel *ch, struct sending *s)
{
	struct outcome o;
	char *ids = NULL;
	size_t at = 0;

	memset(&o, 0, sizeof o);
	o.kind = OUT_ACCEPTED;
	o.parts = s->parts;
	(void)text_copy(o.provider_id, sizeof o.provider_id, s->piece[0].id);
	if (s->n > 1) {
		ids = malloc((size_t)s->n * (PROVIDER_ID_MAX + 1));
		if (ids == NULL)
			abort(); /* small; a restart is safe, receipts that nothing matches are not
				  */
		for (unsigned i = 1; i < s->n; i++) {
			size_t n = strlen(s->piece[i].id);

			memcpy(ids + at, s->piece[i].id, n);
			at += n;
			ids[at++] = i + 1 < s->n ? ' ' : '\0';
		}
	}
	finish(ch, s, &o, ids);
}

/* Every piece has its answer, or none will come. */
static void
judge(struct smpp_channel *ch, struct sending *s)
{
	unsigned in[PIECE_UNSURE + 1] = { 0 };

	if (s->open > 0)
		return;
	for (unsigned i = 0; i < s->n; i++)
		in[s->piece[i].state]++;
	if (in[PIECE_UNSURE] > 0) {
		s->why.kind = OUT_UNSURE;
		finish(ch, s, &s->why, NULL);
	} else if (in[PIECE_TAKEN] == s->n) {
		finish_accepted(ch, s);
	} else if (in[PIECE_REFUSED] > 0) {
		/* Also when other parts were taken: the message as a whole never comes. */
		s->why.kind = OUT_REJECTED;
		finish(ch, s, &s->why, NULL);
	} else if (in[PIECE_TAKEN] == 0) {
		s->why.kind = OUT_DEFERRED;
		finish(ch, s, &s->why, NULL);
	} else {
		s->again_ms = clock_mono_ms() + AGAIN_MS;
		list_put(&ch->again, s);
	}
}

/* ---- state ---- */

static size_t
bound_senders(const struct smpp_channel *ch)
{
	size_t n = 0;

	for (size_t i = 0; i < ch->session_n; i++)
		n += smpp_session_sends(ch->session[i]) ? 1 : 0;
	return n;
}

static size_t
outstanding(const struct smpp_channel *ch)
{
	size_t n = 0;

	for (size_t i = 0; i < ch->session_n; i++)
		n += smpp_session_outstanding(ch->session[i]);
	return n;
}

static void
set_state(struct smpp_channel *ch, enum channel_state state, const struct err *why)
{
	if (ch->state == state)
		return;
	ch->state = state;
	ch->env.events->state(ch->env.owner, state, why);
}

static void
find_state(struct smpp_channel *ch, const struct err *why)
{
	if (bound_senders(ch) > 0)
		set_state(ch, ch->limit > 0 ? CHANNEL_THROTTLED : CHANNEL_UP, NULL);
	else if (why != NULL)
		set_state(ch, ch->is_refused ? CHANNEL_REFUSED : CHANNEL_DOWN, why);
}

static void
arm_kick(struct smpp_channel *ch, int64_t ms)
{
	if (ms > 0 && evtimer_pending(ch->kick, NULL))
		return;
	arm(ch->kick, ms);
}

/* ---- less, and more again ---- */

static void
slow_down(struct smpp_channel *ch, int64_t pause_ms)
{
	int64_t now = clock_mono_ms();
	size_t under_way = outstanding(ch) + 1;

	ch->count.throttled++;
	/* Answers to what was sent before the pause tell nothing new. */
	if (now < ch->paused_until_ms)
		return;
	if (ch->limit == 0 || ch->limit > under_way)
		ch->limit = under_way;
	ch->limit = ch->limit > 1 ? ch->limit / 2 : 1;
	/* Not one good answer since the last pause: it was too short. */
	ch->pause_ms = ch->paused_at_ms != 0 && ch->good == 0 ? ch->pause_ms * 2 : pause_ms;
	if (ch->pause_ms > PAUSE_MAX_MS)
		ch->pause_ms = PAUSE_MAX_MS;
	ch->good = 0;
	ch->paused_at_ms = now;
	ch->paused_until_ms = now + ch->pause_ms;
	find_state(ch, NULL);
	flush_queue(ch, ch->pause_ms, "the centre asks for less");
	arm(ch->kick, ch->pause_ms);
}

static void
speed_up(struct smpp_channel *ch)
{
	size_t most = (size_t)ch->cf->window * bound_senders(ch);

	if (ch->limit == 0)
		return;
	ch->good++;
	if (ch->good % ch->limit == 0)
		ch->limit++;
	if (ch->limit < most)
		return;
	ch->limit = 0;
	ch->paused_at_ms = 0;
	find_state(ch, NULL);
}

static void
heed_congestion(struct smpp_channel *ch, const struct smpp_pdu *pdu)
{
	uint32_t state;

	if (smpp_tlv_int(pdu, SMPP_TLV_CONGESTION_STATE, &state) && state >= CONGESTED) {
		ch->good++; /* it was taken all the same: the pause need not become longer */
		slow_down(ch, ch->cf->throttle_pause_ms);
	} else {
		speed_up(ch);
	}
}

/* ---- answers to submits ---- */

/* For a message that the centre puts off: longer each time. */
static uint32_t
later_ms(int32_t try_no)
{
	return LATER_MS << (try_no <= 1 ? 0 : try_no > 9 ? 8 : try_no - 1);
}

static void
on_answer(void *owner, struct smpp_session *session, void *request, const struct smpp_pdu *pdu)
{
	struct smpp_channel *ch = owner;
	struct piece *p = request;
	struct sending *s = p->of;
	enum smpp_reaction reaction;
	struct outcome o;
	struct err why;

	smpp_outcome(ch->setup->codes, &ch->setup->receipts.ids, pdu, &o, &reaction);
	s->open--;
	switch (o.kind) {
	case OUT_ACCEPTED:
		p->state = PIECE_TAKEN;
		(void)text_copy(p->id, sizeof p->id, o.provider_id);
		heed_congestion(ch, pdu);
		break;
	case OUT_REJECTED:
		p->state = PIECE_REFUSED;
		heed_congestion(ch, pdu);
		break;
	case OUT_DEFERRED:
		p->state = PIECE_WAITS;
		break;
	case OUT_UNSURE:
		p->state = PIECE_UNSURE;
		break;
	}
	if (reaction == SMPP_RETRY) {
		o.retry_after_ms = later_ms(s->m->try_no);
	} else if (reaction == SMPP_THROTTLE) {
		slow_down(ch, ch->cf->throttle_pause_ms);
		o.retry_after_ms = (uint32_t)ch->pause_ms;
	} else if (reaction == SMPP_STOP) {
		ch->paused_until_ms = clock_mono_ms() + REFUSED_PAUSE_MS;
		err_set(&why, RC_CONFIG, (int)pdu->status, "smpp",
			"%s refuses all messages with 0x%02x (%s); nothing is sent for a minute",
			smpp_session_peer(session), pdu->status, o.text);
		set_state(ch, CHANNEL_REFUSED, &why);
		flush_queue(ch, REFUSED_PAUSE_MS, why.text);
		o.retry_after_ms = REFUSED_PAUSE_MS;
	} else if (reaction == SMPP_REBIND) {
		err_set(&why, RC_LOST, (int)pdu->status, "smpp",
			"answers a submit with 0x%02x (%s); binding anew", pdu->status, o.text);
		smpp_session_rebind(session, &why);
	}
	/* A refusal explains more than "later". */
	if (p->state != PIECE_TAKEN && (s->why.kind == OUT_ACCEPTED || o.kind == OUT_REJECTED))
		s->why = o;
	judge(ch, s);
}

static void
on_gone(void *owner, struct smpp_session *session, void *request, uint32_t sequence)
{
	struct smpp_channel *ch = owner;
	struct piece *p = request;
	struct sending *s = p->of;

	if (sequence != 0 && s->n == 1)
		smpp_session_expect_late(session, sequence, s->m->client_key);
	p->state = PIECE_UNSURE;
	s->open--;
	memset(&s->why, 0, sizeof s->why);
	s->why.kind = OUT_UNSURE;
	(void)text_copy(s->why.text, sizeof s->why.text,
			sequence != 0 ? "no answer to submit_sm in time"
				      : "the session ended before the answer");
	judge(ch, s);
}

/* ---- receipts ---- */

static struct receipt *
receipt_at(struct smpp_channel *ch, size_t i)
{
	return &ch->receipt[(ch->receipt_first + i) % RECEIPTS_MAX];
}

/* Nothing is left to be done but to end. A centre that always has another receipt must not keep us
 * from it: those that the pipeline has not seen come again to the next session. */
static bool
is_over(const struct smpp_channel *ch)
{
	return ch->is_draining && ch->messages == 0;
}

static void
put_off_receipts(struct smpp_channel *ch)
{
	size_t kept = 0;

	for (size_t i = 0; i < ch->receipt_n; i++) {
		const struct receipt *r = receipt_at(ch, i);

		if (r->is_answer) {
			*receipt_at(ch, kept++) = *r;
			continue;
		}
		ch->count.put_off++;
		smpp_session_confirm(r->owed.session, r->owed.connection, r->owed.command,
				     r->owed.sequence, SMPP_RX_T_APPN);
	}
	ch->receipt_n = kept;
}

/* One page at a time. */
static void
next_page(struct smpp_channel *ch)
{
	size_t n;

	if (ch->page_n > 0)
		return;
	if (is_over(ch))
		put_off_receipts(ch);
	n = ch->receipt_n < PAGE_MAX ? ch->receipt_n : PAGE_MAX;
	if (n == 0)
		return;
	for (size_t i = 0; i < n; i++)
		ch->page[i] = receipt_at(ch, i)->report;
	ch->page_n = n;
	ch->env.events->reports(ch->env.owner, ch->page, n);
}

static void
smpp_reports_taken(struct channel *c)
{
	struct smpp_channel *ch = self(c);

	for (size_t i = 0; i < ch->page_n; i++) {
		const struct receipt *r = receipt_at(ch, i);

		if (!r->is_answer)
			smpp_session_confirm(r->owed.session, r->owed.connection, r->owed.command,
					     r->owed.sequence, SMPP_ROK);
	}
	ch->receipt_first = (ch->receipt_first + ch->page_n) % RECEIPTS_MAX;
	ch->receipt_n -= ch->page_n;
	ch->page_n = 0;
	/* Not from inside of this call. */
	if (ch->receipt_n > 0)
		arm(ch->kick, 0);
}

static bool
keep_receipt(struct smpp_channel *ch, const struct report *r, const struct owed *owed)
{
	struct receipt *place;

	if (ch->receipt_n == RECEIPTS_MAX)
		return false;
	place = receipt_at(ch, ch->receipt_n++);
	place->report = *r;
	place->is_answer = owed == NULL;
	if (owed != NULL)
		place->owed = *owed;
	ch->count.receipts++;
	return true;
}

/* Our own key, where the centre hands it back; that of a part has more behind it. */
static void
find_key(const struct smpp_channel *ch, const struct smpp_pdu *pdu, struct report *r)
{
	const char *key;
	size_t n;

	key = ch->cf->key_tag != 0 ? smpp_tlv_text(pdu, (uint16_t)ch->cf->key_tag, &n) : NULL;
	if (key == NULL || n != CLIENT_KEY_LEN)
		return;
	memcpy(r->client_key, key, CLIENT_KEY_LEN);
	r->client_key[CLIENT_KEY_LEN] = '\0';
	if (strspn(r->client_key, "0123456789abcdefghijklmnopqrstuvwxyz") != CLIENT_KEY_LEN)
		r->client_key[0] = '\0';
}

/* The answer to a message whose outcome is unknown meanwhile: evidence like a report. */
static void
on_late(void *owner, struct smpp_session *session, const char *client_key,
	const struct smpp_pdu *pdu)
{
	struct smpp_channel *ch = owner;
	enum smpp_reaction reaction;
	struct outcome o;
	struct report r;

	(void)session;
	smpp_outcome(ch->setup->codes, &ch->setup->receipts.ids, pdu, &o, &reaction);
	if (o.kind == OUT_UNSURE)
		return;
	ch->count.late++;
	memset(&r, 0, sizeof r);
	/* "Later" as the answer to something that is given up here is a refusal of that attempt. */
	r.class = o.kind == OUT_ACCEPTED ? REPORT_PENDING : REPORT_FAIL;
	(void)text_copy(r.client_key, sizeof r.client_key, client_key);
	(void)text_copy(r.provider_id, sizeof r.provider_id, o.provider_id);
	(void)text_copy(r.channel, sizeof r.channel, ch->cf->name);
	(void)text_copy(r.code, sizeof r.code, o.kind == OUT_ACCEPTED ? "" : o.code);
	(void)text_copy(r.provider_code, sizeof r.provider_code, o.provider_code);
	(void)keep_receipt(ch, &r, NULL);
}

static void
take_received(struct smpp_channel *ch, const struct smpp_pdu *pdu, const struct owed *owed)
{
	struct smpp_incoming in;
	enum smpp_charset charset;
	struct waiting_mo *w;
	struct received r;
	char *text, id[PROVIDER_ID_MAX + 1] = "";
	const char *tlv;
	size_t room, n;

	smpp_text_incoming(pdu, &in);
	room = in.n * 4 + 1;
	text = malloc(room);
	w = calloc(1, sizeof *w);
	if (ch->mo_n >= RECEIVED_MAX || ch->is_draining || text == NULL || w == NULL) {
		ch->count.put_off++;
		smpp_session_confirm(owed->session, owed->connection, owed->command, owed->sequence,
				     SMPP_RX_T_APPN);
		free(text);
		free(w);
		return;
	}
	/* Data that is no text is stored as digits. */
	if (smpp_text_charset(&ch->setup->text, pdu->sm.data_coding, &charset))
		(void)smpp_text_decode(charset, in.p, in.n, text, room);
	else
		text_hex(text, in.p, in.n);
	tlv = smpp_tlv_text(pdu, SMPP_TLV_RECEIPTED_MESSAGE_ID, &n);
	if (tlv != NULL)
		(void)text_copy_n(id, sizeof id, tlv, n);
	w->number = ++ch->mo_number;
	w->owed = *owed;
	w->next = ch->mo;
	ch->mo = w;
	ch->mo_n++;
	ch->count.received++;
	r = (struct received){
		.from = pdu->sm.source.digits,
		.to = pdu->sm.destination.digits,
		.text = text,
		.provider_id = id,
		.sent_at = "",
		.reference = in.reference,
		.parts = in.total,
		.part = in.part_no,
	};
	ch->env.events->received(ch->env.owner, &r, w->number);
	free(text);
}

static void
smpp_received_taken(struct channel *c, uint64_t number, bool is_stored)
{
	struct smpp_channel *ch = self(c);
	struct waiting_mo **at = &ch->mo, *w;

	while (*at != NULL && (*at)->number != number)
		at = &(*at)->next;
	w = *at;
	if (w == NULL)
		return;
	*at = w->next;
	ch->mo_n--;
	smpp_session_confirm(w->owed.session, w->owed.connection, w->owed.command, w->owed.sequence,
			     is_stored ? SMPP_ROK : SMPP_RX_T_APPN);
	free(w);
}

static void
on_deliver(void *owner, struct smpp_session *session, const struct smpp_pdu *pdu)
{
	struct smpp_channel *ch = owner;
	struct owed owed = { session, smpp_session_connection(session), pdu->command,
			     pdu->sequence };
	struct smpp_receipt receipt;
	uint32_t status = SMPP_ROK;

	switch (smpp_receipt_read(pdu, &ch->setup->receipts, &receipt)) {
	case SMPP_DELIVERY_MO:
		take_received(ch, pdu, &owed);
		return;
	case SMPP_DELIVERY_REPORT:
		find_key(ch, pdu, &receipt.report);
		if (!is_over(ch) && keep_receipt(ch, &receipt.report, &owed))
			return;
		ch->count.put_off++;
		status = SMPP_RX_T_APPN;
		break;
	case SMPP_DELIVERY_ACK:
		break;
	case SMPP_DELIVERY_UNREADABLE:
		/* It would be the same each time it comes. */
		ch->count.unreadable++;
		if (ch->count.unreadable % 100 == 1)
			log_event(LOG_LEVEL_WARN, "smpp.receipt",
				  "channel=%s unreadable=%llu text=\"a receipt has %s; see "
				  "plain_receipts and the provider's "
				  "description\"",
				  ch->cf->name, ch->count.unreadable, receipt.why);
		break;
	}
	smpp_session_confirm(session, owed.connection, owed.command, owed.sequence, status);
}

/* ---- sending ---- */

static void
fill(struct smpp_channel *ch, const struct smpp_session *session, const struct sending *s,
     unsigned part_no, struct smpp_pdu *pdu)
{
	const struct conf_channel *cf = ch->cf;
	const struct message *m = s->m;
	/* loop thread; read at once by the writer */
	static char validity[SMPP_TIME_SIZE], key[CLIENT_KEY_LEN + 8];
	int64_t seconds =
		m->expire_in_s < SMPP_RELATIVE_MAX_S ? m->expire_in_s : SMPP_RELATIVE_MAX_S;

	pdu->sm.service_type = cf->service_type;
	if (cf->validity && seconds > 0) {
		smpp_time_relative(seconds, validity);
		pdu->sm.validity = validity;
	}
	if (cf->receipts)
		pdu->sm.registered_delivery = cf->intermediate ? 0x11 : 0x01;
	if (!smpp_session_takes_tlvs(session))
		return;
	/* There is room for them: a part has three of its own, and these are bounded. */
	if (cf->user_reference && !smpp_tlv_put_int(pdu, SMPP_TLV_USER_MESSAGE_REFERENCE, 2,
						    (uint32_t)(m->msg_id & 0xffff)))
		abort();
	/* The receipt of one part must not speak for the message. */
	snprintf(key, sizeof key, s->n > 1 ? "%s.%u" : "%s", m->client_key, part_no);
	if (cf->key_tag != 0 && !smpp_tlv_put(pdu, (uint16_t)cf->key_tag, key, strlen(key)))
		abort();
	for (size_t i = 0; i < ch->setup->extra_n; i++)
		if (!smpp_tlv_put(pdu, ch->setup->extra[i].tag, ch->setup->extra[i].bytes,
				  ch->setup->extra[i].n))
			abort();
}

static const struct smpp_text_rules *
rules_for(const struct smpp_channel *ch, const struct smpp_session *session)
{
	return smpp_session_takes_tlvs(session) ? &ch->setup->text : &ch->no_tlvs;
}

/* How it will go. False: it cannot, and was given back. */
static bool
plan(struct smpp_channel *ch, struct sending *s, const struct smpp_session *session)
{
	const struct smpp_text_rules *rules = rules_for(ch, session);
	char code[RESULT_CODE_LEN + 1] = "2005";
	struct smpp_address address;
	struct smpp_plan p;
	struct err e;

	if (s->n > 0 && s->split == rules->split)
		return true;
	if (smpp_text_plan(rules, s->m->body.p, s->m->body.n, &p, code, &e) != RC_OK) {
		finish_plain(ch, s, OUT_REJECTED, code, 0, e.text);
		return false;
	}
	if (smpp_source(&ch->setup->source, s->m->from_wire, &address, &e) != RC_OK) {
		finish_plain(ch, s, OUT_REJECTED, "2002", 0, e.text);
		return false;
	}
	if (smpp_destination(&ch->setup->destination, ch->caps.number_form, s->m->to_wire, &address,
			     &e) != RC_OK) {
		finish_plain(ch, s, OUT_REJECTED, "2001", 0, e.text);
		return false;
	}
	free(s->piece);
	s->piece = calloc(p.pdus, sizeof *s->piece);
	if (s->piece == NULL) {
		s->n = 0;
		finish_plain(ch, s, OUT_DEFERRED, "", 0, "no memory");
		return false;
	}
	s->n = p.pdus;
	s->parts = p.parts;
	s->split = rules->split;
	for (unsigned i = 0; i < s->n; i++)
		s->piece[i] = (struct piece){ .of = s, .no = i };
	return true;
}

/* Sends the pieces that wait; wire() has said yes. */
static void
send_pieces(struct smpp_channel *ch, struct sending *s, struct smpp_session *session)
{
	static uint8_t room[64 * 1024]; /* loop thread */
	struct smpp_plan p;
	struct smpp_pdu pdu;
	char code[RESULT_CODE_LEN + 1];
	struct err e;
	enum rc rc;

	rc = smpp_text_plan(rules_for(ch, session), s->m->body.p, s->m->body.n, &p, code, &e);
	s->why.kind = OUT_ACCEPTED;
	for (unsigned i = 0; i < s->n; i++) {
		smpp_pdu_init(&pdu, SMPP_SUBMIT_SM, 0);
		if (rc == RC_OK)
			rc = smpp_text_part(&p, s->reference, &pdu, room, sizeof room, &e);
		if (s->piece[i].state != PIECE_WAITS)
			continue;
		fill(ch, session, s, i + 1, &pdu);
		if (rc == RC_OK)
			rc = smpp_source(&ch->setup->source, s->m->from_wire, &pdu.sm.source, &e);
		if (rc == RC_OK)
			rc = smpp_destination(&ch->setup->destination, ch->caps.number_form,
					      s->m->to_wire, &pdu.sm.destination, &e);
		if (rc == RC_OK)
			rc = smpp_session_submit(session, &pdu, &s->piece[i], &e);
		if (rc == RC_OK) {
			s->piece[i].state = PIECE_SENT;
			s->open++;
			ch->count.submitted++;
			continue;
		}
		/* Not a byte of this one was taken; of those before it the answers come. */
		s->why.kind = rc == RC_DATA ? OUT_REJECTED : OUT_DEFERRED;
		(void)text_copy(s->why.code, sizeof s->why.code, rc == RC_DATA ? "9099" : "");
		(void)text_copy(s->why.text, sizeof s->why.text, e.text);
		s->piece[i].state = rc == RC_DATA ? PIECE_REFUSED : PIECE_WAITS;
	}
	judge(ch, s);
}

/* The session with the most room; taken[] is what this round has given to each. */
static struct smpp_session *
roomiest(const struct smpp_channel *ch, const unsigned *taken, unsigned *room)
{
	struct smpp_session *best = NULL;

	*room = 0;
	for (size_t i = 0; i < ch->session_n; i++) {
		unsigned r = smpp_session_room(ch->session[i]);

		r = r > taken[i] ? r - taken[i] : 0;
		if (r > *room) {
			*room = r;
			best = ch->session[i];
		}
	}
	return best;
}

static size_t
index_of(const struct smpp_channel *ch, const struct smpp_session *session)
{
	size_t i = 0;

	while (ch->session[i] != session)
		i++;
	return i;
}

static bool
is_paused(const struct smpp_channel *ch)
{
	return clock_mono_ms() < ch->paused_until_ms;
}

/* Requests that may be under way beside those that are. */
static size_t
allowance(const struct smpp_channel *ch)
{
	size_t under_way = outstanding(ch);

	if (is_paused(ch))
		return 0;
	return ch->limit == 0 ? SIZE_MAX : ch->limit > under_way ? ch->limit - under_way : 0;
}

/* Parts of messages of which other parts were taken. False: some wait for room, and what comes
 * behind them must not take it. */
static bool
send_again(struct smpp_channel *ch)
{
	static const unsigned none[SESSIONS_MAX];
	int64_t now = clock_mono_ms();
	struct sending *s;

	while ((s = ch->again.first) != NULL && now >= s->again_ms) {
		unsigned room;
		struct smpp_session *session = roomiest(ch, none, &room);
		bool can_go = allowance(ch) > 0 && session != NULL && room >= s->n;

		if (!can_go && clock_boot_ms() <= s->m->deadline_boot_ms)
			return false;
		(void)list_take(&ch->again);
		if (!can_go || rules_for(ch, session)->split != s->split ||
		    !ch->env.events->wire(ch->env.owner, &s->m, 1)) {
			s->why.kind = OUT_REJECTED;
			if (s->why.code[0] == '\0')
				(void)text_copy(s->why.code, sizeof s->why.code, "7006");
			(void)text_copy(s->why.text, sizeof s->why.text,
					"the centre took some parts and not the others in time");
			finish(ch, s, &s->why, NULL);
			continue;
		}
		send_pieces(ch, s, session);
	}
	return true;
}

/* Messages for which there is room now, and their sessions. */
static size_t
gather(struct smpp_channel *ch)
{
	unsigned taken[SESSIONS_MAX] = { 0 };
	size_t allowed = allowance(ch);
	size_t n = 0;
	unsigned room;

	while (n < GROUP_MAX && ch->queue.first != NULL && allowed > 0) {
		struct smpp_session *session = roomiest(ch, taken, &room);
		struct sending *s;

		if (session == NULL)
			break;
		s = list_take(&ch->queue);
		if (!plan(ch, s, session))
			continue;
		if (s->n > room) {
			/* Its turn comes when answers have made room for all of it: window is not
			 * less than parts_max. */
			s->next = ch->queue.first;
			if (ch->queue.first == NULL)
				ch->queue.end = &s->next;
			ch->queue.first = s;
			ch->queue.n++;
			break;
		}
		taken[index_of(ch, session)] += s->n;
		allowed = allowed > s->n ? allowed - s->n : 0;
		ch->group[n] = s;
		ch->group_session[n] = session;
		ch->group_message[n++] = s->m;
	}
	return n;
}

static void
send_queue(struct smpp_channel *ch)
{
	size_t n;

	while ((n = gather(ch)) > 0) {
		if (!ch->env.events->wire(ch->env.owner, ch->group_message, n)) {
			for (size_t i = 0; i < n; i++)
				finish_plain(ch, ch->group[i], OUT_DEFERRED, "", 0,
					     "held back before the wire");
			continue;
		}
		for (size_t i = 0; i < n; i++) {
			ch->group[i]->is_wired = true;
			ch->group[i]->reference = ++ch->reference;
			send_pieces(ch, ch->group[i], ch->group_session[i]);
		}
	}
}

static void
end_if_drained(struct smpp_channel *ch)
{
	if (!ch->is_draining || ch->messages > 0 || ch->receipt_n > 0 || ch->mo_n > 0)
		return;
	for (size_t i = 0; i < ch->session_n; i++)
		smpp_session_end(ch->session[i]);
}

static unsigned smpp_room(const struct channel *c);

/* Everything that must not be done from inside of a call of the pipeline's or a session's. */
static void
on_kick(evutil_socket_t fd, short what, void *user)
{
	struct smpp_channel *ch = user;
	int64_t now = clock_mono_ms();

	(void)fd;
	(void)what;
	if (now >= ch->paused_until_ms && ch->state == CHANNEL_REFUSED)
		find_state(ch, NULL);
	if (ch->is_draining || bound_senders(ch) == 0)
		flush_queue(ch, 0,
			    ch->is_draining ? "the channel is being drained"
					    : "no session is bound");
	if (send_again(ch))
		send_queue(ch);
	hand_over(ch);
	next_page(ch);
	end_if_drained(ch);
	if (is_paused(ch))
		arm_kick(ch, ch->paused_until_ms - now);
	else if (ch->room_owed && smpp_room((struct channel *)ch) > 0) {
		ch->room_owed = false;
		ch->env.events->room(ch->env.owner);
	}
}

static void
on_tick(evutil_socket_t fd, short what, void *user)
{
	struct smpp_channel *ch = user;
	int64_t now = clock_mono_ms();
	int64_t every = smpp_session_tick_ms(ch->setup);
	bool is_late = ch->ticked_ms != 0 && now - ch->ticked_ms > 2 * every + 200;

	(void)fd;
	(void)what;
	ch->ticked_ms = now;
	for (size_t i = 0; i < ch->session_n; i++)
		smpp_session_tick(ch->session[i], now, is_late);
	end_if_drained(ch);
	/* Also when no session is left that would bring it about. */
	if (ch->again.n > 0)
		arm_kick(ch, 0);
	arm(ch->tick, every);
}

/* ---- sessions ---- */

static void
on_bound(void *owner, struct smpp_session *session)
{
	struct smpp_channel *ch = owner;

	ch->count.binds++;
	ch->is_refused = false;
	log_event(LOG_LEVEL_INFO, "smpp.session", "channel=%s peer=%s tls=%s text=\"bound\"",
		  ch->cf->name, smpp_session_peer(session), smpp_session_protocol(session));
	find_state(ch, NULL);
	ch->room_owed = true;
	arm(ch->kick, 0);
}

static void
on_down(void *owner, struct smpp_session *session, const struct err *why, bool is_refused,
	int64_t retry_ms)
{
	struct smpp_channel *ch = owner;

	(void)session;
	ch->is_refused = is_refused;
	/* While others are bound the state of the channel does not tell it: half the speed, or a
	 * pair without its receiver. */
	log_err(bound_senders(ch) > 0 && !ch->is_draining ? LOG_LEVEL_WARN : LOG_LEVEL_INFO,
		"smpp.session", why, "channel=%s retry_ms=%" PRId64, ch->cf->name, retry_ms);
	if (bound_senders(ch) == 0 && !ch->is_draining) {
		find_state(ch, why);
		flush_queue(ch, retry_ms, why->text);
	}
}

static void
on_rest(void *owner, struct smpp_session *session)
{
	struct smpp_channel *ch = owner;

	(void)session;
	hand_over(ch);
	next_page(ch);
	if (ch->queue.n > 0 || ch->again.n > 0 || ch->room_owed)
		arm_kick(ch, 0);
}

static const struct smpp_session_events session_calls = {
	.bound = on_bound,
	.answer = on_answer,
	.gone = on_gone,
	.late = on_late,
	.deliver = on_deliver,
	.rest = on_rest,
	.down = on_down,
};

/* ---- the contract ---- */

static void
smpp_close(struct channel *c)
{
	struct smpp_channel *ch = self(c);
	struct waiting_mo *w;
	struct sending *s;

	flush_queue(ch, 0, "the channel is being closed");
	while ((s = list_take(&ch->again)) != NULL)
		finish_plain(ch, s, OUT_UNSURE, "", 0, "the channel was closed");
	for (size_t i = 0; i < ch->session_n; i++)
		if (ch->session[i] != NULL)
			smpp_session_abandon(ch->session[i]);
	hand_over(ch);
	for (size_t i = 0; i < ch->session_n; i++)
		smpp_session_free(ch->session[i]);
	while ((w = ch->mo) != NULL) {
		ch->mo = w->next;
		free(w);
	}
	if (ch->tick != NULL)
		event_free(ch->tick);
	if (ch->kick != NULL)
		event_free(ch->kick);
	if (ch->dns != NULL)
		evdns_base_free(ch->dns, 0);
	smpp_setup_free(ch->setup);
	free(ch->session);
	free(ch->group);
	free(ch->group_session);
	free(ch->group_message);
	free(ch->done_message);
	free(ch->done_outcome);
	free(ch->done_ids);
	free(ch->receipt);
	free(ch->page);
	free(ch);
}

static enum rc
make_memory(struct smpp_channel *ch)
{
	const struct conf_channel *cf = ch->cf;
	size_t each = cf->bind == CONF_BIND_PAIR ? 2 : 1;

	ch->session = calloc((size_t)cf->sessions * each, sizeof(struct smpp_session *));
	ch->session_n = ch->session != NULL ? (size_t)cf->sessions * each : 0;
	ch->group = calloc(GROUP_MAX, sizeof(struct sending *));
	ch->group_session = calloc(GROUP_MAX, sizeof(struct smpp_session *));
	ch->group_message = calloc(GROUP_MAX, sizeof(struct message *));
	ch->done_message = calloc(GROUP_MAX, sizeof(struct message *));
	ch->done_outcome = calloc(GROUP_MAX, sizeof *ch->done_outcome);
	ch->done_ids = calloc(GROUP_MAX, sizeof(char *));
	ch->receipt = calloc(RECEIPTS_MAX, sizeof *ch->receipt);
	ch->page = calloc(PAGE_MAX, sizeof *ch->page);
	ch->tick = evtimer_new(ch->env.base, on_tick, ch);
	ch->kick = evtimer_new(ch->env.base, on_kick, ch);
	if (ch->session == NULL || ch->group == NULL || ch->group_session == NULL ||
	    ch->group_message == NULL || ch->done_message == NULL || ch->done_outcome == NULL ||
	    ch->done_ids == NULL || ch->receipt == NULL || ch->page == NULL || ch->tick == NULL ||
	    ch->kick == NULL)
		return RC_NOMEM;
	ch->dns = evdns_base_new(ch->env.base, EVDNS_BASE_INITIALIZE_NAMESERVERS |
						       EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	/* No name server: addresses and /etc/hosts still work. */
	if (ch->dns == NULL)
		ch->dns = evdns_base_new(ch->env.base, 0);
	if (ch->dns == NULL)
		return RC_NOMEM;
	ch->session_env = (struct smpp_session_env){ .base = ch->env.base,
						     .dns = ch->dns,
						     .setup = ch->setup,
						     .events = &session_calls,
						     .owner = ch };
	for (size_t i = 0; i < ch->session_n; i++) {
		enum smpp_role role = each == 1	   ? SMPP_TRANSCEIVER
				      : i % 2 == 0 ? SMPP_TRANSMITTER
						   : SMPP_RECEIVER;

		ch->session[i] = smpp_session_new(&ch->session_env, role);
		if (ch->session[i] == NULL)
			return RC_NOMEM;
	}
	return RC_OK;
}

static void
fill_caps(struct smpp_channel *ch)
{
	const struct conf_channel *cf = ch->cf;

	ch->caps = (struct channel_caps){
		.types = 1u << MSG_TYPE_SMS | (cf->lms ? 1u << MSG_TYPE_LMS : 0),
		.batch_max = cf->batch < GROUP_MAX ? (unsigned)cf->batch : GROUP_MAX,
		.has_reports = cf->receipts,
		.number_form = cf->number_form,
		.charset = cf->charset,
		.letters_in_sender = true,
		.sms_bytes = (unsigned)cf->sms_bytes,
		.lms_bytes = (unsigned)cf->lms_bytes,
	};
}

static enum rc
smpp_open(const struct channel_env *env, const struct conf_channel *cf, struct channel **out,
	  struct err *e)
{
	struct smpp_channel *ch = calloc(1, sizeof *ch);
	enum rc rc;

	*out = NULL;
	if (ch == NULL)
		return err_set(e, RC_NOMEM, ENOMEM, "smpp.open", "no memory for channel %s",
			       cf->name);
	ch->env = *env;
	ch->cf = cf;
	list_init(&ch->queue);
	list_init(&ch->again);
	rc = smpp_setup_new(cf, &ch->setup, e);
	if (rc == RC_OK && make_memory(ch) != RC_OK)
		rc = err_set(e, RC_NOMEM, ENOMEM, "smpp.open", "no memory for channel %s",
			     cf->name);
	if (rc != RC_OK) {
		smpp_close((struct channel *)ch);
		return rc;
	}
	ch->no_tlvs = ch->setup->text;
	ch->no_tlvs.split = SMPP_SPLIT_UDH;
	/* All parts of a message go at once, also those of a centre that cannot have it as a whole.
	 */
	if (ch->no_tlvs.parts_max > (unsigned)cf->window)
		ch->no_tlvs.parts_max = (unsigned)cf->window;
	fill_caps(ch);
	pace_init(&ch->pace, cf->rate, 1000, clock_mono_ms());
	/* A restart must not use the references of a moment ago. */
	ch->reference = (uint16_t)clock_mono_ms();
	arm(ch->tick, 0);
	*out = (struct channel *)ch;
	return RC_OK;
}

static const struct channel_caps *
smpp_caps(const struct channel *c)
{
	return &self(c)->caps;
}

static unsigned
smpp_room(const struct channel *c)
{
	struct smpp_channel *ch = self(c);
	int64_t now = clock_mono_ms(), wait_ms;
	unsigned pace = pace_room(&ch->pace, now);
	unsigned worth = pace_worth(&ch->pace, ch->caps.batch_max);
	size_t allowed = allowance(ch);
	size_t room = 0;

	if (ch->is_draining)
		return 0;
	for (size_t i = 0; i < ch->session_n; i++)
		room += smpp_session_room(ch->session[i]);
	if (room > allowed)
		room = allowed;
	room = room > ch->queue.n ? room - ch->queue.n : 0;
	if (pace < worth)
		room = 0;
	if (room > pace)
		room = pace;
	if (room > QUEUE_MAX - ch->queue.n)
		room = QUEUE_MAX - ch->queue.n;
	if (room == 0) {
		ch->room_owed = true;
		/* Room in a window comes with an answer, room of the rate with time alone. */
		wait_ms = pace_wait_ms(&ch->pace, now, worth);
		if (wait_ms > 0 && bound_senders(ch) > 0)
			arm_kick(ch, 1 + wait_ms);
	}
	return (unsigned)room;
}

static enum rc
smpp_submit(struct channel *c, struct message **m, size_t n, struct err *e)
{
	struct smpp_channel *ch = self(c);
	struct sending_list made;
	struct sending *s;

	if (n == 0 || n > ch->caps.batch_max)
		return err_set(e, RC_BUG, 0, "smpp.submit", "%zu messages at once, %u are allowed",
			       n, ch->caps.batch_max);
	if (n > smpp_room(c))
		return err_set(e, RC_AGAIN, 0, "smpp.submit", "no room");
	list_init(&made);
	for (size_t i = 0; i < n; i++) {
		s = calloc(1, sizeof *s);
		if (s == NULL) {
			while ((s = list_take(&made)) != NULL)
				free(s);
			return err_set(e, RC_NOMEM, ENOMEM, "smpp.submit",
				       "no memory for %zu messages", n);
		}
		s->m = m[i];
		list_put(&made, s);
	}
	while ((s = list_take(&made)) != NULL)
		list_put(&ch->queue, s);
	ch->messages += n;
	ch->room_owed = true;
	pace_take(&ch->pace, clock_mono_ms(), (unsigned)n);
	arm(ch->kick, 0);
	return RC_OK;
}

static void
smpp_drain(struct channel *c)
{
	struct smpp_channel *ch = self(c);

	ch->is_draining = true;
	arm(ch->kick, 0);
}

static size_t
smpp_in_flight(const struct channel *c)
{
	const struct smpp_channel *ch = self(c);
	size_t n = ch->messages + ch->mo_n;

	for (size_t i = 0; ch->is_draining && i < ch->session_n; i++)
		n += smpp_session_state(ch->session[i]) != SMPP_SESSION_DOWN ? 1 : 0;
	return n;
}

static void
smpp_describe(const struct channel *c, char *buf, size_t size)
{
	const struct smpp_channel *ch = self(c);
	const char *peer = "", *tls = "", *centre = "";
	size_t bound = 0;

	for (size_t i = 0; i < ch->session_n; i++) {
		if (smpp_session_state(ch->session[i]) != SMPP_SESSION_BOUND)
			continue;
		bound++;
		peer = smpp_session_peer(ch->session[i]);
		tls = smpp_session_protocol(ch->session[i]);
		centre = smpp_session_centre(ch->session[i]);
	}
	snprintf(buf, size,
		 "sessions=%zu/%zu bound=%s window=%zu/%" PRId64
		 " limit=%zu submitted=%llu accepted=%llu rejected=%llu "
		 "deferred=%llu unsure=%llu throttled=%llu late=%llu receipts=%llu unreadable=%llu "
		 "put_off=%llu received=%llu "
		 "binds=%llu peer=%s tls=%s centre=%s",
		 bound, ch->session_n, ch->cf->bind == CONF_BIND_PAIR ? "TX+RX" : "TRX",
		 outstanding(ch), ch->cf->window * ch->cf->sessions, ch->limit, ch->count.submitted,
		 ch->count.outcome[OUT_ACCEPTED], ch->count.outcome[OUT_REJECTED],
		 ch->count.outcome[OUT_DEFERRED], ch->count.outcome[OUT_UNSURE],
		 ch->count.throttled, ch->count.late, ch->count.receipts, ch->count.unreadable,
		 ch->count.put_off, ch->count.received, ch->count.binds,
		 peer[0] != '\0' ? peer : "-", tls[0] != '\0' ? tls : "-",
		 centre[0] != '\0' ? centre : "-");
}

/* ---- mtrelayctl check ---- */

struct trial {
	struct event_base *base;
	struct err why;
	bool is_bound, is_over;
	char text[200];
};

static void
trial_bound(void *owner, struct smpp_session *session)
{
	struct trial *t = owner;

	t->is_bound = t->is_over = true;
	snprintf(t->text, sizeof t->text, "%s (%s) binds", smpp_session_peer(session),
		 smpp_session_protocol(session));
	event_base_loopbreak(t->base);
}

static void
trial_down(void *owner, struct smpp_session *session, const struct err *why, bool is_refused,
	   int64_t retry_ms)
{
	struct trial *t = owner;

	(void)session;
	(void)is_refused;
	(void)retry_ms;
	t->why = *why;
	t->is_over = true;
	event_base_loopbreak(t->base);
}

/* What may come between a bind and its end is not ours to take: without an answer it comes again.
 */
static void
trial_deliver(void *owner, struct smpp_session *session, const struct smpp_pdu *pdu)
{
	(void)owner;
	smpp_session_confirm(session, smpp_session_connection(session), pdu->command, pdu->sequence,
			     SMPP_RX_T_APPN);
}

static void
trial_rest(void *owner, struct smpp_session *session)
{
	(void)owner;
	(void)session;
}

/* As a transmitter where that is possible: nothing is delivered to it. */
static void
try_host(struct trial *t, struct evdns_base *dns, const struct smpp_setup *setup)
{
	static const struct smpp_session_events calls = { .bound = trial_bound,
							  .deliver = trial_deliver,
							  .rest = trial_rest,
							  .down = trial_down };
	const struct smpp_session_env env = { t->base, dns, setup, &calls, t };
	struct smpp_session *s = smpp_session_new(
		&env, setup->cf->bind == CONF_BIND_PAIR ? SMPP_TRANSMITTER : SMPP_TRANSCEIVER);
	int64_t until = clock_mono_ms() + setup->cf->connect_timeout_ms +
			setup->cf->answer_timeout_ms + 1000;
	struct timeval tick = { .tv_usec = 20000 };

	if (s == NULL) {
		err_set(&t->why, RC_NOMEM, ENOMEM, "smpp.check", "no memory");
		return;
	}
	while (!t->is_over && clock_mono_ms() < until) {
		smpp_session_tick(s, clock_mono_ms(), false);
		event_base_loopexit(t->base, &tick);
		event_base_dispatch(t->base);
	}
	if (t->is_bound) {
		t->is_over = false;
		smpp_session_end(s);
		until = clock_mono_ms() + 1000;
		while (!t->is_over && clock_mono_ms() < until) {
			smpp_session_tick(s, clock_mono_ms(), false);
			event_base_loopexit(t->base, &tick);
			event_base_dispatch(t->base);
		}
	}
	smpp_session_free(s);
}

static enum rc
smpp_check(const struct conf_channel *cf, char *sentence, size_t size, struct err *e)
{
	struct event_base *base = event_base_new();
	struct evdns_base *dns = NULL;
	struct smpp_setup *setup = NULL;
	size_t good = 0, at = 0;
	enum rc rc = smpp_setup_new(cf, &setup, e);

	sentence[0] = '\0';
	if (rc == RC_OK && base != NULL)
		dns = evdns_base_new(base, EVDNS_BASE_INITIALIZE_NAMESERVERS |
						   EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	if (rc == RC_OK && dns == NULL)
		rc = err_set(e, RC_NOMEM, ENOMEM, "smpp.check", "no memory for channel %s",
			     cf->name);
	for (size_t i = 0; rc == RC_OK && i < setup->host_n; i++) {
		struct smpp_setup one = *setup;
		struct trial t = { .base = base };

		one.host[0] = setup->host[i];
		one.host_n = 1;
		try_host(&t, dns, &one);
		good += t.is_bound ? 1 : 0;
		if (!t.is_bound && t.why.text[0] == '\0')
			err_set(&t.why, RC_LOST, ETIMEDOUT, "smpp.check", "%s:%s does not answer",
				one.host[0].name, one.host[0].port);
		if (!t.is_bound && e != NULL)
			*e = t.why;
		if (at < size)
			at += (size_t)snprintf(sentence + at, size - at, "%s%s", i > 0 ? "; " : "",
					       t.is_bound ? t.text : t.why.text);
		conf_secret_wipe(one.password, sizeof one.password);
	}
	if (rc == RC_OK && good == 0)
		rc = e != NULL ? e->rc : RC_LOST;
	if (dns != NULL)
		evdns_base_free(dns, 0);
	smpp_setup_free(setup);
	if (base != NULL) {
		/* As at the end of the agent: connections that libevent has not let go of yet. */
		(void)event_base_loop(base, EVLOOP_NONBLOCK);
		event_base_free(base);
	}
	return rc;
}

const struct channel_driver channel_smpp = {
	.name = "smpp",
	.open = smpp_open,
	.caps = smpp_caps,
	.room = smpp_room,
	.submit = smpp_submit,
	.resolve = NULL,
	.reports_taken = smpp_reports_taken,
	.received_taken = smpp_received_taken,
	.drain = smpp_drain,
	.in_flight = smpp_in_flight,
	.check = smpp_check,
	.describe = smpp_describe,
	.close = smpp_close,
};
