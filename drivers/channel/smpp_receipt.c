#include "config.h"
#include "drivers/channel/smpp_receipt.h"

#include <stdio.h>
#include <string.h>
#include "agent/text.h"
#include "drivers/channel/isotime.h"
#include "drivers/channel/smpp_text.h"

#define NUMBER_DIGITS_MAX 64
#define LIMBS 10 /* 320 bits: more than 64 hexadecimal digits */
#define TEXT_MAX_BYTES 1024
#define ERROR_MAX 9999999 /* as code maps have them */
#define ERROR_WORD_MAX 12
#define STATE_WORD_MAX 16
#define NETWORK_GSM 3

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* --- ids --- */

struct number {
	uint32_t limb[LIMBS]; /* the lowest first */
};

static int
digit_of(char c, unsigned base)
{
	int v = c >= '0' && c <= '9'   ? c - '0'
		: c >= 'a' && c <= 'f' ? c - 'a' + 10
		: c >= 'A' && c <= 'F' ? c - 'A' + 10
				       : 99;

	return v < (int)base ? v : -1;
}

static void
multiply_add(struct number *x, uint32_t by, uint32_t add)
{
	uint64_t carry = add;

	for (unsigned i = 0; i < LIMBS; i++) {
		carry += (uint64_t)x->limb[i] * by;
		x->limb[i] = (uint32_t)carry;
		carry >>= 32;
	}
}

/* Divides by a small number and returns the rest. */
static uint32_t
divide(struct number *x, uint32_t by)
{
	uint64_t rest = 0;

	for (unsigned i = LIMBS; i-- > 0;) {
		rest = rest << 32 | x->limb[i];
		x->limb[i] = (uint32_t)(rest / by);
		rest %= by;
	}
	return (uint32_t)rest;
}

static bool
is_zero(const struct number *x)
{
	for (unsigned i = 0; i < LIMBS; i++)
		if (x->limb[i] != 0)
			return false;
	return true;
}

/* From bit from on, those below to are set and no other. */
static bool
is_extended(const struct number *x, unsigned from, unsigned to)
{
	for (unsigned i = from; i < LIMBS * 32; i++)
		if ((x->limb[i / 32] >> i % 32 & 1) != (i < to))
			return false;
	return true;
}

/* A number of width bits that somebody had in a signed integer, and printed with its sign or in a
 * wider one. */
static bool
undo_sign(struct number *x, bool minus, unsigned width)
{
	unsigned limbs = width / 32;
	bool negative = x->limb[limbs - 1] >> 31;

	if (minus) {
		uint64_t carry = 1;

		for (unsigned i = limbs; i < LIMBS; i++)
			if (x->limb[i] != 0)
				return false;
		for (unsigned i = 0; i < limbs; i++) {
			carry += (uint32_t)~x->limb[i];
			x->limb[i] = (uint32_t)carry;
			carry >>= 32;
		}
		return is_zero(x) || x->limb[limbs - 1] >> 31;
	}
	if (negative && width < 64 && is_extended(x, width, 64))
		memset(x->limb + limbs, 0, (LIMBS - limbs) * sizeof x->limb[0]);
	return true;
}

static bool
read_number(const char *p, size_t n, unsigned base, unsigned width, struct number *x)
{
	bool minus = width > 0 && n > 1 && p[0] == '-';

	*x = (struct number){ 0 };
	p += minus;
	n -= minus;
	if (base == 16 && n > 2 && p[0] == '0' && (p[1] == 'x' || p[1] == 'X')) {
		p += 2;
		n -= 2;
	}
	if (n == 0 || n > NUMBER_DIGITS_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		int digit = digit_of(p[i], base);

		if (digit < 0)
			return false;
		multiply_add(x, base, (uint32_t)digit);
	}
	return width == 0 || undo_sign(x, minus, width);
}

static void
write_number(struct number *x, unsigned base, char key[PROVIDER_ID_MAX + 1])
{
	char digits[LIMBS * 32];
	size_t n = 0;

	do
		digits[n++] = "0123456789abcdef"[divide(x, base)];
	while (!is_zero(x));
	for (size_t i = 0; i < n; i++)
		key[i] = digits[n - 1 - i];
	key[n] = '\0';
}

static unsigned
base_of(enum smpp_id_form f)
{
	return f == SMPP_ID_HEX ? 16 : 10;
}

static bool
printable(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] <= ' ' || p[i] > '~')
			return false;
	return true;
}

bool
smpp_id_key(const struct smpp_id_rules *r, enum smpp_id_side side, const char *p, size_t n,
	    char key[PROVIDER_ID_MAX + 1])
{
	enum smpp_id_form submit = r->form[SMPP_ID_OF_SUBMIT];
	enum smpp_id_form form = r->form[side] == SMPP_ID_TEXT ? submit : r->form[side];
	struct number x;

	key[0] = '\0';
	if (n == 0 || n > PROVIDER_ID_MAX || !printable(p, n))
		return false;
	if (submit != SMPP_ID_TEXT) {
		/* What is no number of its base may be one of the answer's: the same centre may
		 * write both. */
		if (read_number(p, n, base_of(form), r->width_bits, &x) ||
		    read_number(p, n, base_of(submit), r->width_bits, &x)) {
			write_number(&x, base_of(submit), key);
			return true;
		}
	} else if (r->strip_zeros) {
		while (n > 1 && *p == '0') {
			p++;
			n--;
		}
	}
	memcpy(key, p, n);
	key[n] = '\0';
	for (size_t i = 0; submit == SMPP_ID_TEXT && r->fold_case && i < n; i++)
		if (key[i] >= 'A' && key[i] <= 'Z')
			key[i] = (char)(key[i] - 'A' + 'a');
	return true;
}

/* --- the answer to a submit_sm --- */

/* Lets the code map have its word: true when it has one. */
static bool
mapped_reaction(const struct codemap *codes, uint32_t status, struct outcome *o,
		enum smpp_reaction *reaction)
{
	struct code_verdict v;

	if (status > ERROR_MAX)
		return false;
	codemap_judge(codes, SMPP_FAMILY_SUBMIT, -1, (int)status, 0, &v);
	if (!v.mapped)
		return false;
	switch (v.class) {
	case CODE_OK:
	case CODE_PENDING:
		*reaction = SMPP_TAKEN;
		break;
	case CODE_DUPLICATE:
		*reaction = SMPP_TAKEN;
		o->duplicate = true;
		break;
	case CODE_FAIL:
		*reaction = SMPP_FINAL;
		break;
	case CODE_AGAIN:
	case CODE_ROUTE:
		*reaction = SMPP_RETRY;
		break;
	case CODE_STOP:
		*reaction = SMPP_STOP;
		break;
	}
	if (*reaction != SMPP_TAKEN)
		snprintf(o->code, sizeof o->code, "%s", v.code);
	return true;
}

void
smpp_outcome(const struct codemap *codes, const struct smpp_id_rules *ids,
	     const struct smpp_pdu *answer, struct outcome *o, enum smpp_reaction *reaction)
{
	const struct smpp_status *s = smpp_status_find(answer->status);
	bool nack = answer->command == SMPP_GENERIC_NACK;

	memset(o, 0, sizeof *o);
	*reaction = s->reaction;
	if (nack && answer->status == SMPP_ROK) {
		o->kind = OUT_UNSURE;
		snprintf(o->code, sizeof o->code, "8002");
		snprintf(o->text, sizeof o->text, "a generic_nack without an error");
		return;
	}
	if (answer->status != SMPP_ROK) {
		snprintf(o->provider_code, sizeof o->provider_code, "0x%x",
			 (unsigned)answer->status);
		snprintf(o->text, sizeof o->text, "%s: %s", s->name, s->text);
		if (!mapped_reaction(codes, answer->status, o, reaction))
			snprintf(o->code, sizeof o->code, "%s", s->code);
	}
	switch (*reaction) {
	case SMPP_TAKEN:
		o->kind = OUT_ACCEPTED;
		if (!nack && !smpp_id_key(ids, SMPP_ID_OF_SUBMIT, answer->id,
					  strnlen(answer->id, sizeof answer->id), o->provider_id))
			snprintf(o->text, sizeof o->text,
				 "the centre gave no message_id: no receipt can be matched");
		break;
	case SMPP_FINAL:
		o->kind = OUT_REJECTED;
		break;
	case SMPP_RETRY:
	case SMPP_THROTTLE:
	case SMPP_REBIND:
	case SMPP_STOP:
		o->kind = OUT_DEFERRED;
		break;
	}
}

/* --- receipts --- */

enum field {
	FIELD_ID,
	FIELD_SUB,
	FIELD_DLVRD,
	FIELD_SUBMIT_DATE,
	FIELD_DONE_DATE,
	FIELD_STAT,
	FIELD_ERR,
	FIELD_TEXT,
	FIELD_COUNT
};
/* A blank stands for any number of blanks, '_' and '-'. */
static const char *const field_names[FIELD_COUNT] = {
	"id", "sub", "dlvrd", "submit date", "done date", "stat", "err", "text",
};

struct span {
	const char *p; /* NULL: not there */
	size_t n;
};

static bool
is_blank(char c)
{
	return (unsigned char)c <= ' ';
}

static bool
is_word(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       c == '_';
}

/* Bytes of the name with its colon at p; 0 when it is another. */
static size_t
match_name(const char *p, size_t n, const char *name)
{
	size_t at = 0;

	for (; *name != '\0'; name++) {
		if (*name == ' ') {
			while (at < n && (is_blank(p[at]) || p[at] == '_' || p[at] == '-'))
				at++;
		} else if (at < n && (p[at] | 0x20) == *name) {
			at++;
		} else {
			return 0;
		}
	}
	while (at < n && is_blank(p[at]))
		at++;
	return at < n && (p[at] == ':' || p[at] == '=') ? at + 1 : 0;
}

static size_t
match_any(const char *p, size_t n, enum field *f)
{
	for (unsigned i = 0; i < FIELD_COUNT; i++) {
		size_t length = match_name(p, n, field_names[i]);

		if (length > 0) {
			*f = (enum field)i;
			return length;
		}
	}
	return 0;
}

/* Takes the fields; the first of a name counts. What stands behind "text:" is the begin of the
 * message, so nothing is looked for in there, unless the id has not come yet. */
static void
read_fields(const char *p, size_t n, struct span *fields)
{
	size_t at = 0;

	while (at < n) {
		enum field f;
		enum field next;
		size_t length = at > 0 && is_word(p[at - 1]) ? 0 : match_any(p + at, n - at, &f);
		size_t end;

		if (length == 0) {
			at++;
			continue;
		}
		at += length;
		while (at < n && is_blank(p[at]))
			at++;
		if (f == FIELD_TEXT && fields[FIELD_ID].p != NULL)
			return;
		/* An empty one is followed by the next name. */
		if (match_any(p + at, n - at, &next) > 0)
			continue;
		end = at;
		while (end < n && !is_blank(p[end]) && p[end] != ',' && p[end] != ';')
			end++;
		if (f != FIELD_TEXT && fields[f].p == NULL && end > at)
			fields[f] = (struct span){ p + at, end - at };
		at = end;
	}
}

static bool
all_digits(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] < '0' || p[i] > '9')
			return false;
	return n > 0;
}

/* YYMMDDhhmm, YYMMDDhhmmss or YYYYMMDDhhmmss of the centre's clock. */
static void
read_date(const struct span *s, int zone_min, char *out, size_t size)
{
	char iso[40];
	const char *p = s->p;
	unsigned minutes = (unsigned)(zone_min < 0 ? -zone_min : zone_min);

	out[0] = '\0';
	if ((s->n != 10 && s->n != 12 && s->n != 14) || !all_digits(s->p, s->n))
		return;
	if (s->n == 14)
		p += 2;
	snprintf(iso, sizeof iso, "%.2s%.2s-%.2s-%.2sT%.2s:%.2s:%.2s%c%02u%02u",
		 s->n == 14 ? s->p : "20", p, p + 2, p + 4, p + 6, p + 8, s->n > 10 ? p + 10 : "00",
		 zone_min < 0 ? '-' : '+', minutes / 60 % 100, minutes % 60);
	isotime_utc(iso, out, size);
}

struct cause {
	const char *family;
	int id; /* 0: none */
	char word[ERROR_WORD_MAX + 1];
};

static void
read_cause(const struct smpp_pdu *pdu, const struct span *err, struct cause *c)
{
	const struct smpp_tlv *t = smpp_tlv_find(pdu, SMPP_TLV_NETWORK_ERROR_CODE);
	const uint8_t *v = t == NULL || t->n != 3 ? NULL : smpp_tlv_value(t);
	struct span s = *err;
	int64_t id = 0;

	*c = (struct cause){ .family = SMPP_FAMILY_RECEIPT };
	if (v != NULL && all_digits((const char *)v, 3)) {
		s = (struct span){ (const char *)v, 3 };
	} else if (v != NULL && (v[1] != 0 || v[2] != 0)) {
		c->id = v[1] << 8 | v[2];
		if (v[0] == NETWORK_GSM)
			c->family = SMPP_FAMILY_GSM;
		snprintf(c->word, sizeof c->word, "%d-%d", v[0], c->id);
		return;
	}
	if (s.p == NULL || s.n > ERROR_WORD_MAX || !printable(s.p, s.n))
		return;
	memcpy(c->word, s.p, s.n);
	if (text_i64_n(s.p, s.n, 0, ERROR_MAX, &id))
		c->id = (int)id;
}

static void
judge(const struct smpp_receipt_rules *r, int state, const struct cause *c, struct report *out)
{
	struct code_verdict v = { .class = CODE_PENDING };

	if (state != SMPP_STATE_NONE)
		codemap_judge(r->codes, c->family, -1, state, c->id, &v);
	snprintf(out->code, sizeof out->code, "%s", v.code);
	switch (v.class) {
	case CODE_OK:
		out->class = REPORT_OK;
		break;
	case CODE_FAIL:
	case CODE_AGAIN:
	case CODE_STOP:
	case CODE_ROUTE:
		out->class = REPORT_FAIL;
		break;
	case CODE_PENDING:
		out->class = REPORT_PENDING;
		break;
	case CODE_DUPLICATE:
		out->class = REPORT_PENDING;
		out->duplicate = true;
		break;
	}
}

/* The state and how it is called: by its number where that is given. */
static int
read_state(const struct smpp_pdu *pdu, const struct span *stat, char word[STATE_WORD_MAX + 1])
{
	uint32_t number;
	int state = SMPP_STATE_NONE;

	word[0] = '\0';
	if (smpp_tlv_int(pdu, SMPP_TLV_MESSAGE_STATE, &number)) {
		const char *known = smpp_state_word((int)number);

		if (known[0] != '\0') {
			snprintf(word, STATE_WORD_MAX + 1, "%s", known);
			return (int)number;
		}
		snprintf(word, STATE_WORD_MAX + 1, "%u", (unsigned)(number & 0xff));
	}
	if (stat->p == NULL)
		return state;
	state = smpp_state_parse(stat->p, stat->n);
	if (printable(stat->p, stat->n))
		snprintf(word, STATE_WORD_MAX + 1, "%.*s", (int)stat->n, stat->p);
	return state;
}

static bool
read_id(const struct smpp_pdu *pdu, const struct smpp_id_rules *ids, const struct span *id,
	char key[PROVIDER_ID_MAX + 1])
{
	size_t n;
	const char *p = smpp_tlv_text(pdu, SMPP_TLV_RECEIPTED_MESSAGE_ID, &n);

	if (p != NULL && smpp_id_key(ids, SMPP_ID_OF_TLV, p, n, key))
		return true;
	return id->p != NULL && smpp_id_key(ids, SMPP_ID_OF_TEXT, id->p, id->n, key);
}

static enum smpp_delivery
kind_of(const struct smpp_pdu *pdu, const struct smpp_receipt_rules *r, const struct span *fields)
{
	unsigned kind = pdu->sm.esm_class & SMPP_ESM_KIND;

	if (kind & (SMPP_ESM_RECEIPT | SMPP_ESM_INTERMEDIATE))
		return SMPP_DELIVERY_REPORT;
	if (kind & SMPP_ESM_ACK_BITS)
		return SMPP_DELIVERY_ACK;
	/* Some centres forget the bit. A phone cannot set these parameters; a text it can. */
	if (smpp_tlv_find(pdu, SMPP_TLV_RECEIPTED_MESSAGE_ID) != NULL &&
	    smpp_tlv_find(pdu, SMPP_TLV_MESSAGE_STATE) != NULL)
		return SMPP_DELIVERY_REPORT;
	if (r->plain_text && fields[FIELD_ID].p != NULL && fields[FIELD_STAT].p != NULL)
		return SMPP_DELIVERY_REPORT;
	return SMPP_DELIVERY_MO;
}

enum smpp_delivery
smpp_receipt_read(const struct smpp_pdu *pdu, const struct smpp_receipt_rules *r,
		  struct smpp_receipt *out)
{
	struct span fields[FIELD_COUNT] = { { NULL, 0 } };
	struct smpp_incoming in;
	struct cause cause;
	enum smpp_delivery kind;
	char text[TEXT_MAX_BYTES];
	char word[STATE_WORD_MAX + 1];
	uint32_t reference;
	int state;

	memset(out, 0, sizeof *out);
	smpp_text_incoming(pdu, &in);
	if (pdu->sm.data_coding == smpp_charset_data_coding(SMPP_CHARSET_UCS2)) {
		(void)smpp_text_decode(SMPP_CHARSET_UCS2, in.p, in.n, text, sizeof text);
		read_fields(text, strlen(text), fields);
	} else {
		read_fields((const char *)in.p, in.n < sizeof text ? in.n : sizeof text, fields);
	}
	kind = kind_of(pdu, r, fields);
	if (kind != SMPP_DELIVERY_REPORT)
		return kind;
	out->intermediate = (pdu->sm.esm_class & SMPP_ESM_KIND) == SMPP_ESM_INTERMEDIATE;
	out->has_reference = smpp_tlv_int(pdu, SMPP_TLV_USER_MESSAGE_REFERENCE, &reference);
	if (out->has_reference)
		out->reference = (uint16_t)reference;
	state = read_state(pdu, &fields[FIELD_STAT], word);
	read_cause(pdu, &fields[FIELD_ERR], &cause);
	snprintf(out->report.channel, sizeof out->report.channel, "%s", r->channel);
	snprintf(out->report.provider_code, sizeof out->report.provider_code, "%s%s%s", word,
		 cause.word[0] != '\0' ? "/" : "", cause.word);
	read_date(&fields[FIELD_DONE_DATE], r->zone_min, out->report.done_at,
		  sizeof out->report.done_at);
	if (!read_id(pdu, &r->ids, &fields[FIELD_ID], out->report.provider_id))
		out->why = "it has no message id";
	else if (word[0] == '\0')
		out->why = "it has no message state";
	if (out->why != NULL)
		return SMPP_DELIVERY_UNREADABLE;
	judge(r, state, &cause, &out->report);
	if (out->intermediate && out->report.class != REPORT_PENDING) {
		out->report.class = REPORT_PENDING;
		out->report.code[0] = '\0';
	}
	return SMPP_DELIVERY_REPORT;
}
