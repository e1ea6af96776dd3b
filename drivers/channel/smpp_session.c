#include "config.h"
#include "drivers/channel/smpp_session.h"

#include <errno.h>
#include <event2/util.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/clock.h"
#include "agent/log.h"
#include "agent/text.h"
#include "drivers/channel/stream.h"

/* DIAGNOSTICS (events): smpp.fault, once for each kind on each connection. */

#define BACKOFF_MS 1000
#define BACKOFF_MAX_MS 60000
#define BACKOFF_REFUSED_MS 5000
#define BACKOFF_REFUSED_MAX_MS 300000
#define NEXT_HOST_MS 100
#define PROVEN_MS 10000
#define ENDING_MS 3000
#define LATE_MAX 256
/* One answer that does not come holds its place, and all behind it theirs, until it is given up: at
 * 500 messages a second, 30 s. */
#define RING_LEAST ((size_t)16 * 1024)
/* A peer that sends and does not read: what is still unsent of our answers. */
#define UNSENT_MAX ((size_t)1024 * 1024)
/* More of our own is not queued: what lies here may leave after its write deadline. */
#define UNSENT_SUBMIT_MAX ((size_t)64 * 1024)
#define PDU_ROOM (64 * 1024 + 2048)

/* In order of sequence numbers, which is the order of age. */
struct slot {
	uint32_t sequence;
	int64_t sent_ms;
	uint64_t end;  /* of its bytes, counted as written is */
	void *request; /* NULL: answered */
};

struct late {
	uint32_t sequence;
	char client_key[CLIENT_KEY_LEN + 1];
};

enum fault { FAULT_PDU, FAULT_COMMAND, FAULT_SEQUENCE, FAULT_COUNT };

struct smpp_session {
	struct smpp_session_env env;
	enum smpp_role role;
	enum smpp_session_state state;
	struct stream *stream;
	uint64_t connection;
	size_t host; /* of the connection, or the next to be tried */
	unsigned fails;
	unsigned refusals;  /* of them in this round of all hosts */
	bool is_proven;	    /* this bind was of use: something came of it, or it lasted */
	int64_t bound_ms;   /* since when; 0: it was not */
	int64_t retry_ms;   /* DOWN: not before */
	int64_t since_ms;   /* of the state */
	int64_t heard_ms;   /* last PDU of the peer */
	int64_t asked_ms;   /* when our enquire_link went */
	unsigned questions; /* of them without an answer */
	uint64_t written;   /* bytes on this connection */
	uint32_t sequence;
	uint32_t bind_sequence;
	uint32_t enquire_sequence;
	bool takes_tlvs;
	bool stays_down;  /* smpp_session_end() */
	bool unbind_owed; /* the peer's unbind is answered when the window is empty */
	uint32_t unbind_sequence;
	bool unbind_sent;
	bool was_seen[FAULT_COUNT];
	char peer[sizeof(struct smpp_host) + 4];
	char centre[SMPP_SYSTEM_ID_SIZE];
	struct slot *ring;
	size_t ring_size;  /* a power of two */
	size_t first, end; /* counted on; index is & (ring_size - 1) */
	unsigned outstanding;
	struct late late[LATE_MAX];
	size_t late_next;
	uint8_t out[PDU_ROOM];
};

static const struct stream_events stream_calls;

static const struct conf_channel *
options(const struct smpp_session *s)
{
	return s->env.setup->cf;
}

static struct slot *
slot_at(struct smpp_session *s, size_t i)
{
	return &s->ring[i & (s->ring_size - 1)];
}

/* ---- faults of the peer ---- */

static void
note_fault(struct smpp_session *s, enum fault kind, const char *what, const char *name)
{
	if (s->was_seen[kind])
		return;
	s->was_seen[kind] = true;
	log_event(
		LOG_LEVEL_WARN, "smpp.fault",
		"channel=%s peer=%s text=\"%s (%s); further ones of this connection are not told\"",
		options(s)->name, s->peer, what, name);
}

/* ---- ending a connection ---- */

static int64_t
with_jitter(int64_t ms)
{
	uint32_t dice;

	evutil_secure_rng_get_bytes(&dice, sizeof dice);
	return ms + (int64_t)(dice % (uint32_t)(ms / 5 + 1));
}

/* After a connection that was of use. */
static bool
forget_failures(struct smpp_session *s)
{
	bool was_of_use =
		s->is_proven || (s->bound_ms != 0 && clock_mono_ms() - s->bound_ms > PROVEN_MS);

	if (was_of_use)
		s->fails = s->refusals = 0;
	s->is_proven = false;
	s->bound_ms = 0;
	return was_of_use;
}

/* When the next try is due, and at which host. A bind that ends before it was of any use is a
 * failure too. */
static int64_t
back_off(struct smpp_session *s, bool is_refused)
{
	size_t hosts = s->env.setup->host_n;
	bool is_account;
	unsigned round;
	int64_t wait, most;

	forget_failures(s);
	s->fails++;
	s->refusals += is_refused ? 1 : 0;
	s->host = (s->host + 1) % hosts;
	/* All of them are tried before there is a pause: where one refuses, as a centre that stands
	 * by may, another can be in order. When all refuse it is the account, and that is locked by
	 * many tries. */
	if (s->fails % hosts != 0)
		return with_jitter(NEXT_HOST_MS);
	is_account = s->refusals >= hosts;
	s->refusals = 0;
	most = is_account ? BACKOFF_REFUSED_MAX_MS : BACKOFF_MAX_MS;
	round = (unsigned)(s->fails / hosts) - 1;
	wait = (int64_t)(is_account ? BACKOFF_REFUSED_MS : BACKOFF_MS) << (round > 10 ? 10 : round);
	return with_jitter(wait > most ? most : wait);
}

static void
set_state(struct smpp_session *s, enum smpp_session_state state)
{
	s->state = state;
	s->since_ms = clock_mono_ms();
}

/* Gives back what is in the window. */
static void
empty_window(struct smpp_session *s)
{
	for (; s->first != s->end; s->first++) {
		struct slot *slot = slot_at(s, s->first);
		void *request = slot->request;

		if (request == NULL)
			continue;
		slot->request = NULL;
		s->outstanding--;
		s->env.events->gone(s->env.owner, s, request, 0);
	}
}

static void
disconnect(struct smpp_session *s)
{
	stream_close(s->stream);
	s->stream = NULL;
	s->centre[0] = '\0';
	s->unbind_owed = s->unbind_sent = false;
	memset(s->late, 0, sizeof s->late);
}

static void
fail(struct smpp_session *s, const struct err *why, bool is_refused)
{
	struct err own = *why; /* it may lie in the stream */
	int64_t wait;

	disconnect(s);
	wait = back_off(s, is_refused);
	s->retry_ms = clock_mono_ms() + wait;
	set_state(s, SMPP_SESSION_DOWN);
	empty_window(s);
	s->env.events->down(s->env.owner, s, &own, is_refused, wait);
	s->env.events->rest(s->env.owner, s);
}

/* After an unbind, ours or theirs. */
static void
part(struct smpp_session *s, const char *text)
{
	struct err why;
	int64_t wait;

	err_set(&why, RC_LOST, 0, "smpp", "%s: %s", s->peer, text);
	disconnect(s);
	/* When it was in order: the same host, soon. */
	wait = forget_failures(s) ? with_jitter(BACKOFF_MS) : back_off(s, false);
	s->retry_ms = clock_mono_ms() + wait;
	set_state(s, SMPP_SESSION_DOWN);
	empty_window(s);
	s->env.events->down(s->env.owner, s, &why, false, wait);
	s->env.events->rest(s->env.owner, s);
}

/* ---- sending ---- */

static enum rc
send_pdu(struct smpp_session *s, const struct smpp_pdu *pdu, struct err *e)
{
	size_t n;
	enum rc rc;

	if (s->stream == NULL)
		return err_set(e, RC_LOST, 0, "smpp.send", "not connected");
	rc = smpp_write(pdu, s->out, sizeof s->out, &n, e);
	if (rc == RC_OK)
		rc = stream_write(s->stream, s->out, n, e);
	if (rc == RC_OK)
		s->written += n;
	return rc;
}

/* What nobody waits for: when it cannot be sent the connection has ended, or ends by its timers. */
static void
send_answer(struct smpp_session *s, const struct smpp_pdu *pdu)
{
	struct err ignored;

	(void)send_pdu(s, pdu, &ignored);
}

static uint32_t
send_request(struct smpp_session *s, struct smpp_pdu *pdu)
{
	s->sequence = smpp_sequence_next(s->sequence);
	pdu->sequence = s->sequence;
	send_answer(s, pdu);
	return s->sequence;
}

static void
refuse(struct smpp_session *s, const struct smpp_pdu *pdu, uint32_t status)
{
	struct smpp_pdu answer;

	smpp_pdu_answer(&answer, pdu, status);
	send_answer(s, &answer);
}

static void
send_bind(struct smpp_session *s)
{
	static const uint32_t commands[] = { SMPP_BIND_TRANSCEIVER, SMPP_BIND_TRANSMITTER,
					     SMPP_BIND_RECEIVER };
	const struct conf_channel *cf = options(s);
	struct smpp_pdu pdu;

	smpp_pdu_init(&pdu, commands[s->role], 0);
	pdu.bind.system_id = cf->system_id;
	pdu.bind.password = s->env.setup->password;
	pdu.bind.system_type = cf->system_type;
	pdu.bind.interface_version = SMPP_VERSION_34;
	pdu.bind.range.digits = cf->address_range;
	s->bind_sequence = send_request(s, &pdu);
	text_wipe(s->out, sizeof s->out);
}

static void
send_unbind(struct smpp_session *s)
{
	struct smpp_pdu pdu;

	smpp_pdu_init(&pdu, SMPP_UNBIND, 0);
	s->unbind_sent = true;
	(void)send_request(s, &pdu);
}

static void
send_enquire(struct smpp_session *s, int64_t now_ms)
{
	struct smpp_pdu pdu;

	smpp_pdu_init(&pdu, SMPP_ENQUIRE_LINK, 0);
	s->asked_ms = now_ms;
	s->questions++;
	s->enquire_sequence = send_request(s, &pdu);
}

/* The window is empty and somebody wants to part: does it. */
static void
end_when_quiet(struct smpp_session *s)
{
	struct smpp_pdu pdu;

	if (s->state != SMPP_SESSION_ENDING || s->outstanding > 0)
		return;
	if (s->unbind_owed) {
		smpp_pdu_init(&pdu, SMPP_UNBIND_RESP, s->unbind_sequence);
		send_answer(s, &pdu);
		stream_flush(s->stream);
		part(s, "it has ended the session (unbind)");
	} else if (!s->unbind_sent) {
		send_unbind(s);
	}
}

/* ---- what comes ---- */

/* How many sequence numbers ago; they begin again behind the last. */
static uint32_t
age_of(const struct smpp_session *s, uint32_t sequence)
{
	return sequence <= s->sequence ? s->sequence - sequence
				       : s->sequence + SMPP_SEQUENCE_MAX - sequence;
}

/* The request with that sequence number leaves the window; NULL: there is none. */
static void *
take_request(struct smpp_session *s, uint32_t sequence)
{
	size_t low = s->first, high = s->end;
	void *request = NULL;
	struct slot *slot;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (age_of(s, slot_at(s, middle)->sequence) > age_of(s, sequence))
			low = middle + 1;
		else
			high = middle;
	}
	slot = slot_at(s, low);
	if (low != s->end && slot->sequence == sequence && slot->request != NULL) {
		request = slot->request;
		slot->request = NULL;
		s->outstanding--;
	}
	while (s->first != s->end && slot_at(s, s->first)->request == NULL)
		s->first++;
	return request;
}

static const char *
take_late(struct smpp_session *s, uint32_t sequence)
{
	for (size_t i = 0; i < LATE_MAX; i++) {
		if (s->late[i].sequence == sequence && sequence != 0) {
			s->late[i].sequence = 0;
			return s->late[i].client_key;
		}
	}
	return NULL;
}

static void
on_bind_answer(struct smpp_session *s, const struct smpp_pdu *pdu)
{
	const struct smpp_status *status = smpp_status_find(pdu->status);
	bool is_refused = smpp_status_refuses_bind(pdu->status);
	struct err why;
	uint32_t version;

	if (pdu->sequence != s->bind_sequence) {
		note_fault(s, FAULT_SEQUENCE, "an answer to a bind that was not sent",
			   smpp_command_name(pdu->command));
		return;
	}
	if (pdu->status != SMPP_ROK) {
		err_set(&why, is_refused ? RC_CONFIG : RC_LOST, (int)pdu->status, "smpp",
			"%s refuses the bind of system_id %s with %s (0x%02x): %s%s", s->peer,
			options(s)->system_id, status->name, pdu->status, status->text,
			is_refused ? "; check system_id, password_file, system_type and bind" : "");
		fail(s, &why, is_refused);
		return;
	}
	/* "If absent, 3.3 and no optional parameters" (7.4.4): so the specification; many centres
	 * of today that know them do not say so in a bind that they answer. A version that is said
	 * and too low counts. */
	s->takes_tlvs = !smpp_tlv_int(pdu, SMPP_TLV_SC_INTERFACE_VERSION, &version) ||
			version >= SMPP_VERSION_34;
	(void)text_copy(s->centre, sizeof s->centre, pdu->has_body ? pdu->id : "");
	set_state(s, SMPP_SESSION_BOUND);
	s->bound_ms = s->since_ms;
	s->env.events->bound(s->env.owner, s);
}

static void
on_submit_answer(struct smpp_session *s, const struct smpp_pdu *pdu)
{
	void *request = take_request(s, pdu->sequence);
	const char *key;

	if (request != NULL) {
		s->is_proven |= pdu->status == SMPP_ROK;
		s->env.events->answer(s->env.owner, s, request, pdu);
		end_when_quiet(s);
		return;
	}
	key = take_late(s, pdu->sequence);
	if (key != NULL)
		s->env.events->late(s->env.owner, s, key, pdu);
	else
		note_fault(s, FAULT_SEQUENCE, "an answer to nothing that was sent",
			   smpp_command_name(pdu->command));
}

static void
on_nack(struct smpp_session *s, const struct smpp_pdu *pdu)
{
	const struct smpp_status *status = smpp_status_find(pdu->status);
	struct err why;

	if (s->state != SMPP_SESSION_BINDING && pdu->sequence != 0) {
		/* A centre that does not know enquire_link answers so, and lives. */
		if (pdu->sequence != s->enquire_sequence)
			on_submit_answer(s, pdu);
		return;
	}
	/* Without a number it is about the stream, not about a request. */
	err_set(&why, RC_LOST, (int)pdu->status, "smpp",
		"%s understands nothing: generic_nack %s (0x%02x)", s->peer, status->name,
		pdu->status);
	fail(s, &why, false);
}

static void
on_unbind(struct smpp_session *s, const struct smpp_pdu *pdu)
{
	s->unbind_owed = true;
	s->unbind_sequence = pdu->sequence;
	if (s->state == SMPP_SESSION_BOUND)
		set_state(s, SMPP_SESSION_ENDING);
	end_when_quiet(s);
}

static void
on_pdu(struct smpp_session *s, const struct smpp_pdu *pdu)
{
	struct smpp_pdu answer;
	bool is_bound = s->state == SMPP_SESSION_BOUND || s->state == SMPP_SESSION_ENDING;
	struct err why;

	switch (pdu->command) {
	case SMPP_ENQUIRE_LINK:
		smpp_pdu_init(&answer, SMPP_ENQUIRE_LINK_RESP, pdu->sequence);
		send_answer(s, &answer);
		return;
	case SMPP_ENQUIRE_LINK_RESP:
		return; /* it was heard, as all that comes */
	case SMPP_GENERIC_NACK:
		on_nack(s, pdu);
		return;
	case SMPP_BIND_TRANSCEIVER_RESP:
	case SMPP_BIND_TRANSMITTER_RESP:
	case SMPP_BIND_RECEIVER_RESP:
		if (s->state == SMPP_SESSION_BINDING)
			on_bind_answer(s, pdu);
		return;
	case SMPP_OUTBIND:
		/* It is the centre's own call to come and bind, and has no answer (4.1.7). We have
		 * come. */
		note_fault(s, FAULT_COMMAND, "outbind is refused", "outbind");
		err_set(&why, RC_LOST, 0, "smpp", "%s sent an outbind, which is refused", s->peer);
		fail(s, &why, false);
		return;
	default:
		break;
	}
	if ((pdu->command & SMPP_RESP) != 0) {
		if (!is_bound)
			return;
		if (pdu->command == SMPP_UNBIND_RESP && s->unbind_sent)
			part(s, "unbound");
		else if (pdu->command == SMPP_SUBMIT_SM_RESP || pdu->command == SMPP_DATA_SM_RESP)
			on_submit_answer(s, pdu);
		return;
	}
	if (!is_bound) {
		refuse(s, pdu, SMPP_RINVBNDSTS);
		return;
	}
	switch (pdu->command) {
	case SMPP_UNBIND:
		on_unbind(s, pdu);
		return;
	case SMPP_DELIVER_SM:
	case SMPP_DATA_SM:
		if (s->role == SMPP_TRANSMITTER) {
			refuse(s, pdu, SMPP_RINVBNDSTS);
			return;
		}
		s->is_proven = true;
		s->env.events->deliver(s->env.owner, s, pdu);
		return;
	case SMPP_ALERT_NOTIFICATION:
		return; /* has no answer and says nothing that we need */
	default:
		note_fault(s, FAULT_COMMAND, "a command that a centre does not send",
			   smpp_command_name(pdu->command));
		refuse(s, pdu, SMPP_RINVCMDID);
	}
}

/* It came and cannot be read. */
static void
on_bad(struct smpp_session *s, const struct smpp_pdu *pdu, const struct smpp_fault *fault)
{
	struct smpp_pdu answer;
	void *request;

	note_fault(s, FAULT_PDU, smpp_command_name(pdu->command), fault->field);
	if (fault->answer != 0) {
		smpp_pdu_nack(&answer, pdu, fault);
		send_answer(s, &answer);
		return;
	}
	request = take_request(s, pdu->sequence);
	if (request != NULL)
		s->env.events->gone(s->env.owner, s, request, 0);
}

/* Whole PDUs alone say that the peer lives: when the stream is out of step, and a length is waited
 * for that was none, its answers to enquire_link are only filling. */
static void
heard(struct smpp_session *s)
{
	s->heard_ms = clock_mono_ms();
	s->questions = 0;
}

static size_t
on_data(void *owner, const unsigned char *p, size_t n)
{
	struct smpp_session *s = owner;
	uint64_t connection = s->connection;
	struct smpp_pdu pdu, answer;
	struct smpp_fault fault;
	struct err why;
	size_t done = 0;

	while (s->stream != NULL && s->connection == connection) {
		switch (smpp_read(p + done, n - done, SMPP_PDU_MAX_BYTES, s->env.setup->lax, &pdu,
				  &fault)) {
		case SMPP_READ_MORE:
			s->env.events->rest(s->env.owner, s);
			return done;
		case SMPP_READ_PDU:
			done += pdu.length;
			heard(s);
			on_pdu(s, &pdu);
			break;
		case SMPP_READ_BAD:
			done += pdu.length;
			heard(s);
			on_bad(s, &pdu, &fault);
			break;
		case SMPP_READ_LOST:
			smpp_pdu_nack(&answer, &pdu, &fault);
			send_answer(s, &answer);
			stream_flush(s->stream);
			err_set(&why, RC_LOST, 0, "smpp",
				"%s: a PDU of %u bytes cannot be: the stream is out of step",
				s->peer, pdu.length);
			fail(s, &why, false);
			return n;
		}
		if (s->stream != NULL && stream_unsent(s->stream) > UNSENT_MAX) {
			err_set(&why, RC_LOST, 0, "smpp", "%s sends without reading our answers",
				s->peer);
			fail(s, &why, false);
		}
	}
	return n;
}

static void
on_up(void *owner)
{
	struct smpp_session *s = owner;

	set_state(s, SMPP_SESSION_BINDING);
	s->heard_ms = s->since_ms;
	send_bind(s);
}

static void
on_down(void *owner, const struct err *why, bool is_untrusted)
{
	fail(owner, why, is_untrusted);
}

static const struct stream_events stream_calls = { .up = on_up, .data = on_data, .down = on_down };

/* ---- timers ---- */

static void
connect_now(struct smpp_session *s)
{
	const struct conf_channel *cf = options(s);
	const struct smpp_host *h = &s->env.setup->host[s->host];
	struct stream_target t = {
		.base = s->env.base,
		.dns = s->env.dns,
		.tls = s->env.setup->tls,
		.host = h->name,
		.port = h->port,
		.source = cf->source_address,
		.connect_timeout_ms = cf->connect_timeout_ms,
		.input_max = SMPP_PDU_MAX_BYTES,
	};
	struct err why;

	if (s->fails > 0 && s->fails % s->env.setup->host_n == 0)
		stream_names_again(s->env.dns);
	snprintf(s->peer, sizeof s->peer, strchr(h->name, ':') != NULL ? "[%s]:%s" : "%s:%s",
		 h->name, h->port);
	s->connection++;
	s->sequence = 0;
	s->written = 0;
	s->questions = 0;
	memset(s->was_seen, 0, sizeof s->was_seen);
	set_state(s, SMPP_SESSION_CONNECTING);
	if (stream_open(&t, &stream_calls, s, &s->stream, &why) != RC_OK)
		fail(s, &why, false);
}

/* Answers that do not come. */
static void
give_up_old(struct smpp_session *s, int64_t now_ms)
{
	struct err why;

	while (s->first != s->end) {
		struct slot *slot = slot_at(s, s->first);
		void *request = slot->request;

		if (request != NULL && now_ms - slot->sent_ms < options(s)->answer_timeout_ms)
			break;
		s->first++;
		if (request == NULL)
			continue;
		/* It may not even have left yet, and must not do so later. */
		if (slot->end > s->written - stream_unsent(s->stream)) {
			s->first--;
			err_set(&why, RC_LOST, ETIMEDOUT, "smpp", "%s reads nothing", s->peer);
			fail(s, &why, false);
			return;
		}
		slot->request = NULL;
		s->outstanding--;
		s->env.events->gone(s->env.owner, s, request, slot->sequence);
	}
}

static void
keep_alive(struct smpp_session *s, int64_t now_ms)
{
	const struct conf_channel *cf = options(s);
	int64_t patience = cf->enquire_link_ms < cf->answer_timeout_ms ? cf->enquire_link_ms
								       : cf->answer_timeout_ms;
	struct err why;

	if (s->questions == 0 ? now_ms - s->heard_ms < cf->enquire_link_ms
			      : now_ms - s->asked_ms < patience)
		return;
	if (s->questions < 2) {
		send_enquire(s, now_ms);
		return;
	}
	err_set(&why, RC_LOST, ETIMEDOUT, "smpp", "%s answers no enquire_link", s->peer);
	fail(s, &why, false);
}

void
smpp_session_tick(struct smpp_session *s, int64_t now_ms, bool is_late)
{
	struct err why;

	switch (s->state) {
	case SMPP_SESSION_DOWN:
		if (!s->stays_down && now_ms >= s->retry_ms)
			connect_now(s);
		return;
	case SMPP_SESSION_CONNECTING:
		return; /* the stream has a timer of its own */
	case SMPP_SESSION_BINDING:
		if (is_late || now_ms - s->since_ms < options(s)->answer_timeout_ms)
			return;
		err_set(&why, RC_LOST, ETIMEDOUT, "smpp", "%s does not answer the bind", s->peer);
		fail(s, &why, false);
		return;
	case SMPP_SESSION_BOUND:
	case SMPP_SESSION_ENDING:
		break;
	}
	if (is_late)
		return;
	give_up_old(s, now_ms);
	if (s->state == SMPP_SESSION_BOUND)
		keep_alive(s, now_ms);
	end_when_quiet(s);
	if (s->state == SMPP_SESSION_ENDING &&
	    now_ms - s->since_ms > ENDING_MS + options(s)->answer_timeout_ms)
		part(s, "it did not answer our unbind");
	s->env.events->rest(s->env.owner, s);
}

int64_t
smpp_session_tick_ms(const struct smpp_setup *setup)
{
	const struct conf_channel *cf = setup->cf;
	int64_t least = cf->answer_timeout_ms < cf->enquire_link_ms ? cf->answer_timeout_ms
								    : cf->enquire_link_ms;

	least /= 8;
	return least < 20 ? 20 : least > 500 ? 500 : least;
}

/* ---- for the channel ---- */

struct smpp_session *
smpp_session_new(const struct smpp_session_env *env, enum smpp_role role)
{
	struct smpp_session *s = calloc(1, sizeof *s);
	size_t size = RING_LEAST;

	if (s == NULL)
		return NULL;
	while (size < (size_t)env->setup->cf->window * 4)
		size *= 2;
	s->ring = calloc(size, sizeof *s->ring);
	if (s->ring == NULL) {
		free(s);
		return NULL;
	}
	s->ring_size = size;
	s->env = *env;
	s->role = role;
	return s;
}

void
smpp_session_abandon(struct smpp_session *s)
{
	disconnect(s);
	s->stays_down = true;
	set_state(s, SMPP_SESSION_DOWN);
	empty_window(s);
}

void
smpp_session_free(struct smpp_session *s)
{
	if (s == NULL)
		return;
	stream_close(s->stream);
	free(s->ring);
	free(s);
}

enum smpp_session_state
smpp_session_state(const struct smpp_session *s)
{
	return s->state;
}

bool
smpp_session_sends(const struct smpp_session *s)
{
	return s->state == SMPP_SESSION_BOUND && s->role != SMPP_RECEIVER;
}

unsigned
smpp_session_room(const struct smpp_session *s)
{
	size_t window = (size_t)options(s)->window;
	size_t span = s->end - s->first;
	size_t room;

	if (!smpp_session_sends(s) || s->outstanding >= window ||
	    stream_unsent(s->stream) > UNSENT_SUBMIT_MAX)
		return 0;
	room = window - s->outstanding;
	return (unsigned)(room < s->ring_size - span ? room : s->ring_size - span);
}

unsigned
smpp_session_outstanding(const struct smpp_session *s)
{
	return s->outstanding;
}

bool
smpp_session_takes_tlvs(const struct smpp_session *s)
{
	return s->takes_tlvs;
}

enum rc
smpp_session_submit(struct smpp_session *s, struct smpp_pdu *pdu, void *request, struct err *e)
{
	struct slot *slot = slot_at(s, s->end);
	uint32_t sequence = smpp_sequence_next(s->sequence);
	enum rc rc;

	if (s->end - s->first >= s->ring_size)
		return err_set(e, RC_BUG, 0, "smpp.submit", "no room in the window");
	pdu->sequence = sequence;
	rc = send_pdu(s, pdu, e);
	if (rc != RC_OK)
		return rc;
	s->sequence = sequence;
	*slot = (struct slot){ .sequence = sequence,
			       .sent_ms = clock_mono_ms(),
			       .end = s->written,
			       .request = request };
	s->end++;
	s->outstanding++;
	return RC_OK;
}

void
smpp_session_expect_late(struct smpp_session *s, uint32_t sequence, const char *client_key)
{
	struct late *l = &s->late[s->late_next];

	l->sequence = sequence;
	(void)text_copy(l->client_key, sizeof l->client_key, client_key);
	s->late_next = (s->late_next + 1) % LATE_MAX;
}

uint64_t
smpp_session_connection(const struct smpp_session *s)
{
	return s->connection;
}

void
smpp_session_confirm(struct smpp_session *s, uint64_t connection, uint32_t command,
		     uint32_t sequence, uint32_t status)
{
	struct smpp_pdu request = { .command = command, .sequence = sequence };

	if (s->stream == NULL || s->connection != connection)
		return; /* the centre brings it again on another connection */
	refuse(s, &request, status);
}

void
smpp_session_end(struct smpp_session *s)
{
	s->stays_down = true;
	switch (s->state) {
	case SMPP_SESSION_DOWN:
	case SMPP_SESSION_ENDING:
		break;
	case SMPP_SESSION_CONNECTING:
	case SMPP_SESSION_BINDING:
		disconnect(s);
		set_state(s, SMPP_SESSION_DOWN);
		break;
	case SMPP_SESSION_BOUND:
		set_state(s, SMPP_SESSION_ENDING);
		break;
	}
}

void
smpp_session_rebind(struct smpp_session *s, const struct err *why)
{
	if (s->state == SMPP_SESSION_BOUND)
		set_state(s, SMPP_SESSION_ENDING);
	log_err(LOG_LEVEL_WARN, "smpp.fault", why, "channel=%s peer=%s", options(s)->name, s->peer);
}

const char *
smpp_session_peer(const struct smpp_session *s)
{
	return s->peer;
}

const char *
smpp_session_protocol(const struct smpp_session *s)
{
	return s->stream != NULL ? stream_protocol(s->stream) : "";
}

const char *
smpp_session_centre(const struct smpp_session *s)
{
	return s->centre;
}
