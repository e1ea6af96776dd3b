#include "config.h"
#include "drivers/channel/smpp_pdu.h"

#include <stdio.h>
#include <string.h>
#include "agent/text.h"

#define TLV_HEADER_BYTES 4
#define PAYLOAD_MAX 65535

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct command {
	uint32_t value;
	const char *name;
	const char *answer;
} commands[] = {
#define SMPP_COMMAND_DEF(id, value, name, answer) { value, name, answer },
#include "drivers/channel/smpp_words.def"
#undef SMPP_COMMAND_DEF
};

static const struct tag {
	uint16_t tag;
	uint16_t least;
	uint16_t most;
	const char *name;
} tags[] = {
#define SMPP_TLV_DEF(id, tag, least, most, name) { tag, least, most, name },
#include "drivers/channel/smpp_words.def"
#undef SMPP_TLV_DEF
};

/* The first word of a state is its proper one. */
static const struct state_word {
	int state;
	const char *word;
} state_words[] = {
#define SMPP_STATE_DEF(id, value, word) { value, word },
#include "drivers/channel/smpp_words.def"
#undef SMPP_STATE_DEF
#define SMPP_STATE_WORD_DEF(id, word) { SMPP_STATE_##id, word },
#include "drivers/channel/smpp_words.def"
#undef SMPP_STATE_WORD_DEF
};

static const struct smpp_status statuses[] = {
#define SMPP_STATUS_DEF(name, value, reaction, code, sentence) \
	{ value, #name, SMPP_##reaction, code, sentence },
#include "drivers/channel/smpp_status.def"
#undef SMPP_STATUS_DEF
};

/* The table is in order of the tags. */
static const struct tag *
tag_find(uint16_t tag)
{
	size_t low = 0;
	size_t high = COUNT(tags);

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (tags[mid].tag == tag)
			return &tags[mid];
		if (tags[mid].tag < tag)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

static const struct command *
command_find(uint32_t command)
{
	for (size_t i = 0; i < COUNT(commands); i++)
		if (commands[i].value == (command & ~SMPP_RESP))
			return command & SMPP_RESP && commands[i].answer == NULL ? NULL
										 : &commands[i];
	return NULL;
}

/* --- reading --- */

struct in {
	const uint8_t *p;
	size_t n;
	size_t at;
	unsigned lax;
	bool bad; /* the first fault; nothing is taken after it */
	uint32_t status;
	const char *field;
	size_t field_at;
};

static void
refuse(struct in *in, const char *field, size_t at, uint32_t status)
{
	if (in->bad)
		return;
	in->bad = true;
	in->status = status;
	in->field = field;
	in->field_at = at;
}

static uint32_t
big_endian(const uint8_t *p, size_t n)
{
	uint32_t v = 0;

	while (n-- > 0)
		v = v << 8 | *p++;
	return v;
}

static uint8_t
take_byte(struct in *in, const char *field)
{
	if (in->at == in->n)
		refuse(in, field, in->at, SMPP_RINVCMDLEN);
	return in->bad ? 0 : in->p[in->at++];
}

/* A C-octet string of at most size bytes with its NUL. */
static const char *
take_string(struct in *in, const char *field, size_t size, uint32_t status)
{
	size_t left = in->n - in->at;
	const uint8_t *p = in->p + in->at;
	const uint8_t *end;

	if (in->bad)
		return "";
	end = left == 0 ? NULL : memchr(p, '\0', left < size ? left : size);
	if (end == NULL) {
		refuse(in, field, in->at, left < size ? SMPP_RINVCMDLEN : status);
		return "";
	}
	in->at += (size_t)(end - p) + 1;
	return (const char *)p;
}

static void
take_address(struct in *in, struct smpp_address *a, const char *field, size_t size, uint32_t status)
{
	a->ton = take_byte(in, field);
	a->npi = take_byte(in, field);
	a->digits = take_string(in, field, size, status);
}

/* The times of a submit_sm are "" or whole; those of a deliver_sm mean nothing. */
static const char *
take_time(struct in *in, const char *field, uint32_t status, bool strict)
{
	size_t at = in->at;
	const char *s = take_string(in, field, SMPP_TIME_SIZE, status);

	if (strict && s[0] != '\0' && strlen(s) != SMPP_TIME_SIZE - 1)
		refuse(in, field, at, status);
	return s;
}

static void
take_bind(struct in *in, struct smpp_bind *b)
{
	b->system_id = take_string(in, "system_id", SMPP_SYSTEM_ID_SIZE, SMPP_RINVSYSID);
	b->password = take_string(in, "password", SMPP_PASSWORD_SIZE, SMPP_RINVPASWD);
	b->system_type = take_string(in, "system_type", SMPP_SYSTEM_TYPE_SIZE, SMPP_RINVSYSTYP);
	b->interface_version = take_byte(in, "interface_version");
	take_address(in, &b->range, "address_range", SMPP_ADDRESS_RANGE_SIZE, SMPP_RINVSRCADR);
}

static void
take_short_message(struct in *in, struct smpp_sm *m)
{
	size_t at = in->at;

	m->text_n = take_byte(in, "sm_length");
	if (m->text_n > SMPP_SHORT_MESSAGE_MAX || m->text_n > in->n - in->at)
		refuse(in, "sm_length", at, SMPP_RINVMSGLEN);
	m->text = in->p + in->at;
	if (in->bad)
		m->text_n = 0;
	in->at += m->text_n;
}

static void
take_sm(struct in *in, struct smpp_sm *m, uint32_t command)
{
	bool data = command == SMPP_DATA_SM;
	bool submit = command == SMPP_SUBMIT_SM;
	size_t size = data ? SMPP_LONG_ADDRESS_SIZE : SMPP_ADDRESS_SIZE;

	m->service_type = take_string(in, "service_type", SMPP_SERVICE_TYPE_SIZE, SMPP_RINVSERTYP);
	take_address(in, &m->source, "source_addr", size, SMPP_RINVSRCADR);
	take_address(in, &m->destination, "destination_addr", size, SMPP_RINVDSTADR);
	m->esm_class = take_byte(in, "esm_class");
	if (data) {
		m->registered_delivery = take_byte(in, "registered_delivery");
		m->data_coding = take_byte(in, "data_coding");
		m->schedule = m->validity = "";
		return;
	}
	m->protocol_id = take_byte(in, "protocol_id");
	m->priority = take_byte(in, "priority_flag");
	m->schedule = take_time(in, "schedule_delivery_time", SMPP_RINVSCHED, submit);
	m->validity = take_time(in, "validity_period", SMPP_RINVEXPIRY, submit);
	m->registered_delivery = take_byte(in, "registered_delivery");
	m->replace = take_byte(in, "replace_if_present_flag");
	m->data_coding = take_byte(in, "data_coding");
	m->default_id = take_byte(in, "sm_default_msg_id");
	take_short_message(in, m);
}

/* message_id or system_id. With an error only the status counts: whatever else stands there is
 * passed over. */
static void
take_id(struct in *in, struct smpp_pdu *pdu, const char *field, size_t size)
{
	size_t left = in->n - in->at;
	size_t length;

	if (left == 0)
		return;
	length = strnlen((const char *)in->p + in->at, left);
	if (length < size && (length < left || in->lax & SMPP_LAX_ID_END)) {
		pdu->has_body = true;
		memcpy(pdu->id, in->p + in->at, length);
		in->at += length + (length < left);
	} else if (pdu->status != SMPP_ROK) {
		in->at = in->n;
	} else {
		refuse(in, field, in->at, SMPP_RINVCMDLEN);
	}
}

static bool
length_fits(const struct tag *known, size_t n)
{
	return known == NULL || (n >= known->least && n <= known->most);
}

static void
take_tlvs(struct in *in, struct smpp_pdu *pdu)
{
	while (!in->bad && in->at < in->n) {
		size_t left = in->n - in->at;
		const uint8_t *p = in->p + in->at;
		const struct tag *known;
		uint16_t tag;
		size_t n;

		if (left < TLV_HEADER_BYTES ||
		    (n = big_endian(p + 2, 2)) > left - TLV_HEADER_BYTES) {
			if (!(in->lax & SMPP_LAX_REST))
				refuse(in, "optional parameters", in->at, SMPP_RINVOPTPARSTREAM);
			return;
		}
		tag = (uint16_t)big_endian(p, 2);
		known = tag_find(tag);
		if (!length_fits(known, n)) {
			if (!(in->lax & SMPP_LAX_TLV_LENGTH))
				refuse(in, known->name, in->at, SMPP_RINVPARLEN);
		} else if (pdu->tlv_n < SMPP_TLVS_MAX) {
			pdu->tlv[pdu->tlv_n++] =
				(struct smpp_tlv){ tag, (uint16_t)n, p + TLV_HEADER_BYTES, { 0 } };
		} else if (known != NULL) {
			refuse(in, known->name, in->at, SMPP_RINVOPTPARSTREAM);
		}
		in->at += TLV_HEADER_BYTES + n;
	}
}

static void
take_body(struct in *in, struct smpp_pdu *pdu)
{
	switch (pdu->command) {
	case SMPP_BIND_RECEIVER:
	case SMPP_BIND_TRANSMITTER:
	case SMPP_BIND_TRANSCEIVER:
		take_bind(in, &pdu->bind);
		break;
	case SMPP_OUTBIND:
		pdu->bind.system_id =
			take_string(in, "system_id", SMPP_SYSTEM_ID_SIZE, SMPP_RINVSYSID);
		pdu->bind.password =
			take_string(in, "password", SMPP_PASSWORD_SIZE, SMPP_RINVPASWD);
		pdu->bind.system_type = pdu->bind.range.digits = "";
		break;
	case SMPP_SUBMIT_SM:
	case SMPP_DELIVER_SM:
	case SMPP_DATA_SM:
		take_sm(in, &pdu->sm, pdu->command);
		take_tlvs(in, pdu);
		break;
	case SMPP_ALERT_NOTIFICATION:
		take_address(in, &pdu->alert.source, "source_addr", SMPP_LONG_ADDRESS_SIZE,
			     SMPP_RINVSRCADR);
		take_address(in, &pdu->alert.esme, "esme_addr", SMPP_LONG_ADDRESS_SIZE,
			     SMPP_RINVDSTADR);
		take_tlvs(in, pdu);
		break;
	case SMPP_BIND_RECEIVER_RESP:
	case SMPP_BIND_TRANSMITTER_RESP:
	case SMPP_BIND_TRANSCEIVER_RESP:
		take_id(in, pdu, "system_id", SMPP_SYSTEM_ID_SIZE);
		break;
	case SMPP_SUBMIT_SM_RESP:
	case SMPP_DELIVER_SM_RESP:
	case SMPP_DATA_SM_RESP:
		take_id(in, pdu, "message_id", SMPP_ID_SIZE);
		break;
	default: /* the header is all that there is */
		break;
	}
	if (pdu->command & SMPP_RESP) {
		struct in rest = *in;

		if (!in->bad)
			take_tlvs(&rest, pdu);
		return;
	}
	if (in->at < in->n && !(in->lax & SMPP_LAX_REST))
		refuse(in, "command_length", in->at, SMPP_RINVCMDLEN);
}

static void
set_fault(struct smpp_fault *f, const struct smpp_pdu *pdu, const char *field, size_t at,
	  uint32_t status, bool generic)
{
	const struct command *c = command_find(pdu->command);

	f->field = field;
	f->at = at;
	f->status = status;
	if (generic || c == NULL)
		f->answer = SMPP_GENERIC_NACK;
	else
		f->answer = c->answer == NULL ? 0 : pdu->command | SMPP_RESP;
	if (pdu->command & SMPP_RESP)
		f->answer = 0;
}

enum smpp_read
smpp_read(const uint8_t *p, size_t n, size_t max_bytes, unsigned lax, struct smpp_pdu *pdu,
	  struct smpp_fault *fault)
{
	struct in in = { .lax = lax };

	memset(pdu, 0, offsetof(struct smpp_pdu, tlv));
	if (n < 4)
		return SMPP_READ_MORE;
	pdu->length = big_endian(p, 4);
	if (n >= SMPP_HEADER_BYTES) {
		pdu->command = big_endian(p + 4, 4);
		pdu->status = big_endian(p + 8, 4);
		pdu->sequence = big_endian(p + 12, 4);
	}
	if (pdu->length < SMPP_HEADER_BYTES || pdu->length > max_bytes) {
		set_fault(fault, pdu, "command_length", 0, SMPP_RINVCMDLEN, true);
		return SMPP_READ_LOST;
	}
	if (n < pdu->length)
		return SMPP_READ_MORE;
	if (command_find(pdu->command) == NULL && pdu->command != SMPP_GENERIC_NACK) {
		set_fault(fault, pdu, "command_id", 4, SMPP_RINVCMDID, true);
		return SMPP_READ_BAD;
	}
	in.p = p;
	in.n = pdu->length;
	in.at = SMPP_HEADER_BYTES;
	take_body(&in, pdu);
	if (!in.bad)
		return SMPP_READ_PDU;
	set_fault(fault, pdu, in.field, in.field_at, in.status, false);
	smpp_pdu_init(pdu, pdu->command, pdu->sequence);
	pdu->status = big_endian(p + 8, 4);
	pdu->length = (uint32_t)in.n;
	pdu->has_body = false;
	return SMPP_READ_BAD;
}

/* --- writing --- */

struct out {
	uint8_t *p;
	size_t size;
	size_t n; /* goes on counting behind size */
	const char *bad;
};

static void
put_bytes(struct out *o, const void *p, size_t n)
{
	if (n > 0 && o->n <= o->size && n <= o->size - o->n)
		memcpy(o->p + o->n, p, n);
	o->n += n;
}

static void
put_int(struct out *o, uint32_t v, unsigned bytes)
{
	while (bytes-- > 0) {
		uint8_t b = (uint8_t)(v >> 8 * bytes);

		put_bytes(o, &b, 1);
	}
}

static void
put_string(struct out *o, const char *s, const char *field, size_t size)
{
	size_t n = s == NULL ? 0 : strlen(s);

	if (n >= size && o->bad == NULL)
		o->bad = field;
	put_bytes(o, n == 0 ? "" : s, n + 1);
}

static void
put_address(struct out *o, const struct smpp_address *a, const char *field, size_t size)
{
	put_int(o, a->ton, 1);
	put_int(o, a->npi, 1);
	put_string(o, a->digits, field, size);
}

static void
put_time(struct out *o, const char *s, const char *field)
{
	if (s != NULL && s[0] != '\0' && strlen(s) != SMPP_TIME_SIZE - 1 && o->bad == NULL)
		o->bad = field;
	put_string(o, s, field, SMPP_TIME_SIZE);
}

static void
put_bind(struct out *o, const struct smpp_bind *b, bool outbind)
{
	put_string(o, b->system_id, "system_id", SMPP_SYSTEM_ID_SIZE);
	put_string(o, b->password, "password", SMPP_PASSWORD_SIZE);
	if (outbind)
		return;
	put_string(o, b->system_type, "system_type", SMPP_SYSTEM_TYPE_SIZE);
	put_int(o, b->interface_version, 1);
	put_address(o, &b->range, "address_range", SMPP_ADDRESS_RANGE_SIZE);
}

static void
put_sm(struct out *o, const struct smpp_pdu *pdu)
{
	const struct smpp_sm *m = &pdu->sm;
	bool data = pdu->command == SMPP_DATA_SM;
	size_t size = data ? SMPP_LONG_ADDRESS_SIZE : SMPP_ADDRESS_SIZE;

	put_string(o, m->service_type, "service_type", SMPP_SERVICE_TYPE_SIZE);
	put_address(o, &m->source, "source_addr", size);
	put_address(o, &m->destination, "destination_addr", size);
	put_int(o, m->esm_class, 1);
	if (data) {
		put_int(o, m->registered_delivery, 1);
		put_int(o, m->data_coding, 1);
		return;
	}
	put_int(o, m->protocol_id, 1);
	put_int(o, m->priority, 1);
	put_time(o, m->schedule, "schedule_delivery_time");
	put_time(o, m->validity, "validity_period");
	put_int(o, m->registered_delivery, 1);
	put_int(o, m->replace, 1);
	put_int(o, m->data_coding, 1);
	put_int(o, m->default_id, 1);
	if ((m->text_n > SMPP_SHORT_MESSAGE_MAX ||
	     (m->text_n > 0 && smpp_tlv_find(pdu, SMPP_TLV_MESSAGE_PAYLOAD) != NULL)) &&
	    o->bad == NULL)
		o->bad = "short_message";
	put_int(o, (uint32_t)m->text_n, 1);
	put_bytes(o, m->text, m->text_n);
}

static void
put_tlvs(struct out *o, const struct smpp_pdu *pdu)
{
	for (size_t i = 0; i < pdu->tlv_n; i++) {
		const struct smpp_tlv *t = &pdu->tlv[i];
		const struct tag *known = tag_find(t->tag);

		if (!length_fits(known, t->n) && o->bad == NULL)
			o->bad = known->name;
		put_int(o, t->tag, 2);
		put_int(o, t->n, 2);
		put_bytes(o, smpp_tlv_value(t), t->n);
	}
}

/* False: the command is not known. */
static bool
put_body(struct out *o, const struct smpp_pdu *pdu)
{
	switch (pdu->command) {
	case SMPP_BIND_RECEIVER:
	case SMPP_BIND_TRANSMITTER:
	case SMPP_BIND_TRANSCEIVER:
	case SMPP_OUTBIND:
		put_bind(o, &pdu->bind, pdu->command == SMPP_OUTBIND);
		return true;
	case SMPP_SUBMIT_SM:
	case SMPP_DELIVER_SM:
	case SMPP_DATA_SM:
		put_sm(o, pdu);
		break;
	case SMPP_ALERT_NOTIFICATION:
		put_address(o, &pdu->alert.source, "source_addr", SMPP_LONG_ADDRESS_SIZE);
		put_address(o, &pdu->alert.esme, "esme_addr", SMPP_LONG_ADDRESS_SIZE);
		break;
	case SMPP_BIND_RECEIVER_RESP:
	case SMPP_BIND_TRANSMITTER_RESP:
	case SMPP_BIND_TRANSCEIVER_RESP:
		if (!pdu->has_body)
			return true;
		put_string(o, pdu->id, "system_id", SMPP_SYSTEM_ID_SIZE);
		break;
	case SMPP_SUBMIT_SM_RESP:
	case SMPP_DELIVER_SM_RESP:
	case SMPP_DATA_SM_RESP:
		if (!pdu->has_body)
			return true;
		put_string(o, pdu->id, "message_id", SMPP_ID_SIZE);
		break;
	case SMPP_ENQUIRE_LINK:
	case SMPP_ENQUIRE_LINK_RESP:
	case SMPP_UNBIND:
	case SMPP_UNBIND_RESP:
	case SMPP_GENERIC_NACK:
		return true;
	default:
		return false;
	}
	put_tlvs(o, pdu);
	return true;
}

enum rc
smpp_write(const struct smpp_pdu *pdu, uint8_t *buf, size_t size, size_t *n, struct err *e)
{
	struct out o = { .p = buf, .size = size };
	const char *name = smpp_command_name(pdu->command);

	*n = 0;
	put_int(&o, 0, 4);
	put_int(&o, pdu->command, 4);
	put_int(&o, pdu->status, 4);
	put_int(&o, pdu->sequence, 4);
	if (!put_body(&o, pdu))
		return err_set(e, RC_BUG, 0, "smpp.write", "command 0x%08x cannot be written",
			       (unsigned)pdu->command);
	if (o.bad != NULL)
		return err_set(e, RC_DATA, 0, "smpp.write",
			       "%s: the value of %s does not have a length that the field takes",
			       name, o.bad);
	if (o.n > size)
		return err_set(e, RC_BUG, 0, "smpp.write", "%s needs %zu bytes of room, not %zu",
			       name, o.n, size);
	*n = o.n;
	o.n = 0;
	put_int(&o, (uint32_t)*n, 4);
	return RC_OK;
}

/* --- around them --- */

void
smpp_pdu_init(struct smpp_pdu *pdu, uint32_t command, uint32_t sequence)
{
	memset(pdu, 0, offsetof(struct smpp_pdu, tlv));
	pdu->command = command;
	pdu->sequence = sequence;
	pdu->has_body = (command & SMPP_RESP) != 0;
}

void
smpp_pdu_answer(struct smpp_pdu *answer, const struct smpp_pdu *request, uint32_t status)
{
	const struct command *c = command_find(request->command);

	smpp_pdu_init(answer,
		      c != NULL && c->answer != NULL ? request->command | SMPP_RESP
						     : SMPP_GENERIC_NACK,
		      request->sequence);
	answer->status = status;
	answer->has_body = status == SMPP_ROK;
}

void
smpp_pdu_nack(struct smpp_pdu *answer, const struct smpp_pdu *bad, const struct smpp_fault *fault)
{
	smpp_pdu_init(answer, fault->answer, bad->sequence);
	answer->status = fault->status;
	answer->has_body = false;
}

uint32_t
smpp_sequence_next(uint32_t sequence)
{
	return sequence >= SMPP_SEQUENCE_MAX ? 1 : sequence + 1;
}

bool
smpp_tlv_put(struct smpp_pdu *pdu, uint16_t tag, const void *p, size_t n)
{
	if (pdu->tlv_n == SMPP_TLVS_MAX || n > PAYLOAD_MAX)
		return false;
	pdu->tlv[pdu->tlv_n++] = (struct smpp_tlv){ .tag = tag, .n = (uint16_t)n, .p = p };
	return true;
}

bool
smpp_tlv_put_int(struct smpp_pdu *pdu, uint16_t tag, unsigned bytes, uint32_t v)
{
	struct smpp_tlv *t;

	if (bytes > sizeof t->small || !smpp_tlv_put(pdu, tag, NULL, bytes))
		return false;
	t = &pdu->tlv[pdu->tlv_n - 1];
	for (unsigned i = 0; i < bytes; i++)
		t->small[i] = (uint8_t)(v >> 8 * (bytes - 1 - i));
	return true;
}

const struct smpp_tlv *
smpp_tlv_find(const struct smpp_pdu *pdu, uint16_t tag)
{
	for (size_t i = 0; i < pdu->tlv_n; i++)
		if (pdu->tlv[i].tag == tag)
			return &pdu->tlv[i];
	return NULL;
}

const uint8_t *
smpp_tlv_value(const struct smpp_tlv *t)
{
	return t->p != NULL ? t->p : t->small;
}

bool
smpp_tlv_int(const struct smpp_pdu *pdu, uint16_t tag, uint32_t *v)
{
	const struct smpp_tlv *t = smpp_tlv_find(pdu, tag);

	if (t == NULL || t->n == 0 || t->n > 4)
		return false;
	*v = big_endian(smpp_tlv_value(t), t->n);
	return true;
}

const char *
smpp_tlv_text(const struct smpp_pdu *pdu, uint16_t tag, size_t *n)
{
	const struct smpp_tlv *t = smpp_tlv_find(pdu, tag);
	const char *p;

	*n = 0;
	if (t == NULL)
		return NULL;
	p = (const char *)smpp_tlv_value(t);
	*n = t->n;
	while (*n > 0 && p[*n - 1] == '\0')
		--*n;
	return p;
}

const uint8_t *
smpp_sm_text(const struct smpp_pdu *pdu, size_t *n)
{
	const struct smpp_tlv *t;

	*n = pdu->sm.text_n;
	if (*n > 0)
		return pdu->sm.text;
	t = smpp_tlv_find(pdu, SMPP_TLV_MESSAGE_PAYLOAD);
	if (t == NULL)
		return (const uint8_t *)"";
	*n = t->n;
	return smpp_tlv_value(t);
}

void
smpp_time_relative(int64_t seconds, char *out)
{
	unsigned s = seconds < 0		     ? 0
		     : seconds > SMPP_RELATIVE_MAX_S ? SMPP_RELATIVE_MAX_S
						     : (unsigned)seconds;

	snprintf(out, SMPP_TIME_SIZE, "0000%02u%02u%02u%02u000R", s / 86400 % 100, s / 3600 % 24,
		 s / 60 % 60, s % 60);
}

const struct smpp_status *
smpp_status_find(uint32_t value)
{
	static const struct smpp_status unlisted = {
		0, "unlisted", SMPP_FINAL, "9099", "a status of the centre's own",
	};

	for (size_t i = 0; i < COUNT(statuses); i++)
		if (statuses[i].value == value)
			return &statuses[i];
	return &unlisted;
}

bool
smpp_status_refuses_bind(uint32_t value)
{
	return value == SMPP_RBINDFAIL || value == SMPP_RINVPASWD || value == SMPP_RINVSYSID ||
	       value == SMPP_RINVSYSTYP;
}

const char *
smpp_command_name(uint32_t command)
{
	const struct command *c = command_find(command);

	if (command == SMPP_GENERIC_NACK)
		return "generic_nack";
	if (c == NULL)
		return "command";
	return command & SMPP_RESP ? c->answer : c->name;
}

const char *
smpp_tlv_name(uint16_t tag)
{
	const struct tag *t = tag_find(tag);

	return t == NULL ? NULL : t->name;
}

const char *
smpp_state_word(int state)
{
	for (size_t i = 0; i < COUNT(state_words); i++)
		if (state_words[i].state == state)
			return state_words[i].word;
	return "";
}

int
smpp_state_parse(const char *p, size_t n)
{
	for (size_t i = 0; i < COUNT(state_words); i++)
		if (text_equal_nocase(p, n, state_words[i].word))
			return state_words[i].state;
	return SMPP_STATE_NONE;
}
