#include "config.h"
#include "drivers/channel/smpp_text.h"

#include <stdio.h>
#include <string.h>
#include "agent/cp949.h"
#include "agent/text.h"

#define UDH_BYTES 6
#define UNIT_MAX 4 /* octets that must not be divided: a surrogate pair */
#define ESCAPE 0x1b
#define REPLACEMENT 0xfffdu
#define PAYLOAD_MAX 65535

#define TON_INTERNATIONAL 1
#define TON_NATIONAL 2
#define TON_ALPHANUMERIC 5
#define NPI_ISDN 1
#define NPI_NONE 0

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct {
	const char *name;
	uint8_t data_coding;
} charsets[SMPP_CHARSET_COUNT] = {
	[SMPP_CHARSET_GSM] = { "gsm", 0 },	 [SMPP_CHARSET_ASCII] = { "ascii", 1 },
	[SMPP_CHARSET_LATIN1] = { "latin1", 3 }, [SMPP_CHARSET_KSC5601] = { "ksc5601", 14 },
	[SMPP_CHARSET_CP949] = { "cp949", 14 },	 [SMPP_CHARSET_UCS2] = { "ucs2", 8 },
};

/* clang-format off */
static const uint16_t gsm[128] = {
	'@', 0xa3, '$', 0xa5, 0xe8, 0xe9, 0xf9, 0xec, 0xf2, 0xc7, '\n', 0xd8, 0xf8, '\r', 0xc5, 0xe5,
	0x394, '_', 0x3a6, 0x393, 0x39b, 0x3a9, 0x3a0, 0x3a8,
	0x3a3, 0x398, 0x39e, ESCAPE, 0xc6, 0xe6, 0xdf, 0xc9,
	' ', '!', '"', '#', 0xa4, '%', '&', '\'', '(', ')', '*', '+', ',', '-', '.', '/',
	'0', '1', '2', '3', '4', '5', '6', '7', '8', '9', ':', ';', '<', '=', '>', '?',
	0xa1, 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O',
	'P', 'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', 0xc4, 0xd6, 0xd1, 0xdc, 0xa7,
	0xbf, 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o',
	'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 0xe4, 0xf6, 0xf1, 0xfc, 0xe0,
};
static const struct {
	uint8_t septet;
	uint16_t code_point;
} gsm_extension[] = {
	{ 0x0a, '\f' }, { 0x14, '^' }, { 0x28, '{' }, { 0x29, '}' }, { 0x2f, '\\' },
	{ 0x3c, '[' }, { 0x3d, '~' }, { 0x3e, ']' }, { 0x40, '|' }, { 0x65, 0x20ac },
};
/* clang-format on */

const char *
smpp_charset_name(enum smpp_charset c)
{
	return charsets[c].name;
}

bool
smpp_charset_parse(const char *name, enum smpp_charset *out)
{
	for (unsigned i = 0; i < SMPP_CHARSET_COUNT; i++) {
		if (strcmp(charsets[i].name, name) == 0) {
			*out = (enum smpp_charset)i;
			return true;
		}
	}
	return false;
}

uint8_t
smpp_charset_data_coding(enum smpp_charset c)
{
	return charsets[c].data_coding;
}

/* --- one character --- */

static size_t
put_gsm(uint32_t cp, uint8_t *out)
{
	/* Most of a text: where both alphabets are equal. */
	if (cp < 128 && cp != ESCAPE && gsm[cp] == cp) {
		out[0] = (uint8_t)cp;
		return 1;
	}
	for (unsigned i = 0; i < COUNT(gsm); i++) {
		if (gsm[i] == cp && i != ESCAPE) {
			out[0] = (uint8_t)i;
			return 1;
		}
	}
	for (unsigned i = 0; i < COUNT(gsm_extension); i++) {
		if (gsm_extension[i].code_point == cp) {
			out[0] = ESCAPE;
			out[1] = gsm_extension[i].septet;
			return 2;
		}
	}
	return 0;
}

static bool
is_ascii_text(uint32_t cp)
{
	return (cp >= ' ' && cp <= '~') || cp == '\n' || cp == '\r' || cp == '\t';
}

static size_t
put_korean(uint32_t cp, bool all, uint8_t *out)
{
	unsigned code = cp949_encode(cp);

	if (code < 0x80) {
		out[0] = (uint8_t)code;
		return is_ascii_text(code);
	}
	if (!all && !cp949_in_ksx1001(code))
		return 0;
	out[0] = (uint8_t)(code >> 8);
	out[1] = (uint8_t)code;
	return 2;
}

static size_t
put_utf16(uint32_t cp, uint8_t *out)
{
	uint32_t units = cp;

	if (cp > 0xffff) {
		cp -= 0x10000;
		units = (0xd800 + (cp >> 10)) << 16 | (0xdc00 + (cp & 0x3ff));
		out[0] = (uint8_t)(units >> 24);
		out[1] = (uint8_t)(units >> 16);
		out += 2;
	}
	out[0] = (uint8_t)(units >> 8);
	out[1] = (uint8_t)units;
	return units > 0xffff ? 4 : 2;
}

/* The octets of a character, at most UNIT_MAX; 0 when the alphabet has none. */
static size_t
encode(enum smpp_charset c, uint32_t cp, uint8_t *out)
{
	switch (c) {
	case SMPP_CHARSET_GSM:
		return put_gsm(cp, out);
	case SMPP_CHARSET_ASCII:
		out[0] = (uint8_t)cp;
		return is_ascii_text(cp);
	case SMPP_CHARSET_LATIN1:
		out[0] = (uint8_t)cp;
		return is_ascii_text(cp) || (cp >= 0xa0 && cp <= 0xff);
	case SMPP_CHARSET_KSC5601:
		return put_korean(cp, false, out);
	case SMPP_CHARSET_CP949:
		return put_korean(cp, true, out);
	case SMPP_CHARSET_UCS2:
		return put_utf16(cp, out);
	case SMPP_CHARSET_COUNT:
		break;
	}
	return 0;
}

/* --- planning --- */

/* What short_message takes of a part that has so many octets on the air. */
static size_t
limit_of(enum smpp_charset c, unsigned octets)
{
	size_t most = octets > SMPP_OCTETS_MAX ? SMPP_OCTETS_MAX : octets;

	return c == SMPP_CHARSET_GSM ? most * 8 / 7 : most;
}

static size_t
single_limit(const struct smpp_text_rules *r, enum smpp_charset c)
{
	return limit_of(c, r->single_octets > 0 ? r->single_octets : SMPP_SINGLE_OCTETS);
}

static size_t
part_limit(const struct smpp_text_rules *r, enum smpp_charset c)
{
	return limit_of(c, r->part_octets > 0 ? r->part_octets : SMPP_PART_OCTETS);
}

struct measure {
	size_t octets;
	size_t parts;
	size_t chars; /* up to the one that cannot be written */
	int32_t bad;  /* that one; -1: none, -2: no UTF-8 */
};

static void
measure(const struct smpp_text_rules *r, enum smpp_charset c, const char *p, size_t n,
	struct measure *m)
{
	size_t limit = part_limit(r, c);
	size_t used = 0;

	*m = (struct measure){ .parts = 1, .bad = -1 };
	for (size_t at = 0; at < n; m->chars++) {
		int32_t cp = text_utf8_next(p, n, &at);
		uint8_t unit[UNIT_MAX];
		size_t width = cp < 0 ? 0 : encode(c, (uint32_t)cp, unit);

		if (width == 0) {
			m->bad = cp < 0 ? -2 : cp;
			return;
		}
		if (used + width > limit) {
			m->parts++;
			used = 0;
		}
		used += width;
		m->octets += width;
	}
	if (m->octets <= single_limit(r, c))
		m->parts = 1;
}

static enum rc
no_alphabet(const struct smpp_text_rules *r, const struct measure *m, struct err *e)
{
	char names[64] = "";
	size_t used = 0;

	if (m->bad == -2)
		return err_set(e, RC_DATA, 0, "smpp.text", "the text is no UTF-8 at character %zu",
			       m->chars + 1);
	for (size_t i = 0; i < r->coding_n && used < sizeof names; i++)
		used += (size_t)snprintf(names + used, sizeof names - used, "%s%s",
					 i > 0 ? ", " : "", charsets[r->coding[i].charset].name);
	return err_set(e, RC_DATA, 0, "smpp.text",
		       "character %zu (U+%04X) is in no alphabet of the channel (%s)", m->chars + 1,
		       (unsigned)m->bad, names);
}

enum rc
smpp_text_plan(const struct smpp_text_rules *rules, const char *p, size_t n, struct smpp_plan *plan,
	       char code[RESULT_CODE_LEN + 1], struct err *e)
{
	struct measure best = { 0 };
	struct measure farthest = { .bad = -1 };
	size_t chosen = rules->coding_n;

	for (size_t i = 0; i < rules->coding_n; i++) {
		struct measure m;

		measure(rules, rules->coding[i].charset, p, n, &m);
		if (m.bad != -1) {
			if (farthest.bad == -1 || m.chars > farthest.chars)
				farthest = m;
		} else if (chosen == rules->coding_n || m.parts < best.parts) {
			best = m;
			chosen = i;
		}
	}
	*plan = (struct smpp_plan){ .rules = rules, .p = p, .n = n };
	if (chosen == rules->coding_n) {
		memcpy(code, "2005", RESULT_CODE_LEN + 1);
		return no_alphabet(rules, &farthest, e);
	}
	if (best.parts > rules->parts_max || best.parts > SMPP_PARTS_MAX ||
	    best.octets > PAYLOAD_MAX) {
		memcpy(code, "2004", RESULT_CODE_LEN + 1);
		return err_set(e, RC_DATA, 0, "smpp.text",
			       "the text needs %zu parts, and the channel allows %u", best.parts,
			       rules->parts_max);
	}
	code[0] = '\0';
	plan->charset = rules->coding[chosen].charset;
	plan->data_coding = rules->coding[chosen].data_coding;
	plan->octets = best.octets;
	plan->parts = (unsigned)best.parts;
	plan->pdus = rules->split == SMPP_SPLIT_PAYLOAD ? 1 : plan->parts;
	return RC_OK;
}

/* --- parts --- */

static bool
as_payload(const struct smpp_plan *plan)
{
	return plan->rules->split == SMPP_SPLIT_PAYLOAD && plan->parts > 1;
}

/* Octets of the next PDU without a header. */
static size_t
next_limit(const struct smpp_plan *plan)
{
	return plan->pdus == 1 ? plan->octets : part_limit(plan->rules, plan->charset);
}

size_t
smpp_text_room(const struct smpp_plan *plan)
{
	return next_limit(plan) + UDH_BYTES;
}

static void
put_udh(uint8_t *out, unsigned reference, unsigned total, unsigned part_no)
{
	out[0] = UDH_BYTES - 1;
	out[1] = 0; /* concatenation with a reference of 8 bits */
	out[2] = 3;
	out[3] = (uint8_t)reference;
	out[4] = (uint8_t)total;
	out[5] = (uint8_t)part_no;
}

enum rc
smpp_text_part(struct smpp_plan *plan, uint16_t reference, struct smpp_pdu *pdu, uint8_t *room,
	       size_t size, struct err *e)
{
	size_t limit = next_limit(plan);
	bool divided = plan->pdus > 1;
	bool udh = divided && plan->rules->split == SMPP_SPLIT_UDH;
	size_t head = udh ? UDH_BYTES : 0;
	size_t used = 0;
	bool fits = true;

	if (plan->part_no == plan->pdus || size < limit + head)
		return err_set(e, RC_BUG, 0, "smpp.text", "no part is left, or %zu bytes of room",
			       size);
	plan->part_no++;
	while (plan->at < plan->n) {
		size_t at = plan->at;
		uint8_t unit[UNIT_MAX];
		size_t width;

		width = encode(plan->charset, (uint32_t)text_utf8_next(plan->p, plan->n, &at),
			       unit);
		if (used + width > limit)
			break;
		memcpy(room + head + used, unit, width);
		used += width;
		plan->at = at;
	}
	pdu->sm.data_coding = plan->data_coding;
	pdu->sm.text = room;
	pdu->sm.text_n = head + used;
	if (udh) {
		put_udh(room, reference, plan->pdus, plan->part_no);
		pdu->sm.esm_class |= SMPP_ESM_UDHI;
	} else if (divided) {
		fits = smpp_tlv_put_int(pdu, SMPP_TLV_SAR_MSG_REF_NUM, 2, reference) &&
		       smpp_tlv_put_int(pdu, SMPP_TLV_SAR_TOTAL_SEGMENTS, 1, plan->pdus) &&
		       smpp_tlv_put_int(pdu, SMPP_TLV_SAR_SEGMENT_SEQNUM, 1, plan->part_no);
	} else if (as_payload(plan)) {
		fits = smpp_tlv_put(pdu, SMPP_TLV_MESSAGE_PAYLOAD, room, used);
		pdu->sm.text_n = 0;
	}
	if (!fits)
		return err_set(e, RC_BUG, 0, "smpp.text", "the PDU has too many parameters");
	return RC_OK;
}

/* --- what comes in --- */

static void
read_element(const uint8_t *p, size_t n, struct smpp_incoming *in)
{
	if (p[0] == 0x00 && n == 5) {
		in->reference = p[2];
		in->total = p[3];
		in->part_no = p[4];
	} else if (p[0] == 0x08 && n == 6) {
		in->reference = (unsigned)p[2] << 8 | p[3];
		in->total = p[4];
		in->part_no = p[5];
	}
}

static void
read_sar(const struct smpp_pdu *pdu, struct smpp_incoming *in)
{
	uint32_t reference;
	uint32_t total;
	uint32_t part_no;

	if (!smpp_tlv_int(pdu, SMPP_TLV_SAR_MSG_REF_NUM, &reference) ||
	    !smpp_tlv_int(pdu, SMPP_TLV_SAR_TOTAL_SEGMENTS, &total) ||
	    !smpp_tlv_int(pdu, SMPP_TLV_SAR_SEGMENT_SEQNUM, &part_no))
		return;
	in->reference = reference;
	in->total = total;
	in->part_no = part_no;
}

void
smpp_text_incoming(const struct smpp_pdu *pdu, struct smpp_incoming *in)
{
	size_t end;

	*in = (struct smpp_incoming){ .whole = true };
	in->p = smpp_sm_text(pdu, &in->n);
	if (pdu->sm.esm_class & SMPP_ESM_UDHI) {
		end = in->n > 0 ? in->p[0] + 1u : 1;
		in->whole = end <= in->n;
		for (size_t at = 1; in->whole && at < end;) {
			size_t left = end - at;

			if (left < 2 || in->p[at + 1] + 2u > left) {
				in->whole = false;
				break;
			}
			read_element(in->p + at, in->p[at + 1] + 2u, in);
			at += in->p[at + 1] + 2u;
		}
		if (in->whole) {
			in->p += end;
			in->n -= end;
		}
	} else {
		read_sar(pdu, in);
	}
	/* A number that cannot be is none. */
	if (!in->whole || in->total < 2 || in->part_no == 0 || in->part_no > in->total)
		in->reference = in->total = in->part_no = 0;
}

bool
smpp_text_charset(const struct smpp_text_rules *rules, uint8_t data_coding, enum smpp_charset *out)
{
	/* Message waiting and message class (TS 23.038 4): the alphabet is in bits 3 and 2, or bit
	 * 2 alone. */
	unsigned group = data_coding >> 4;
	unsigned alphabet = data_coding >> 2 & (group == 0xf ? 1 : 3);

	for (size_t i = 0; i < rules->coding_n; i++) {
		if (rules->coding[i].data_coding == data_coding) {
			*out = rules->coding[i].charset;
			return true;
		}
	}
	if (group == 0x0) {
		/* In order of preference: 14 is EUC-KR, the larger alphabet reads both. */
		*out = SMPP_CHARSET_CP949;
		for (unsigned i = 0; i < SMPP_CHARSET_COUNT; i++)
			if (charsets[i].data_coding == data_coding && i != SMPP_CHARSET_KSC5601)
				*out = (enum smpp_charset)i;
		return charsets[*out].data_coding == data_coding;
	}
	*out = alphabet == 2 || group == 0xe ? SMPP_CHARSET_UCS2 : SMPP_CHARSET_GSM;
	return group == 0xc || group == 0xd || group == 0xe ||
	       ((group == 0x1 || group == 0xf) && alphabet != 1 && alphabet != 3);
}

struct writer {
	char *p;
	size_t size;
	size_t n;
	bool cut;
};

static void
put_utf8(struct writer *w, uint32_t cp)
{
	char b[4];
	size_t n;

	if (cp < 0x80) {
		n = 1;
		b[0] = (char)cp;
	} else {
		n = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
		b[0] = (char)((0xf00 >> n & 0xff) | cp >> 6 * (n - 1));
		for (size_t i = 1; i < n; i++)
			b[i] = (char)(0x80 | (cp >> 6 * (n - 1 - i) & 0x3f));
	}
	if (!w->cut && w->n + n < w->size) {
		memcpy(w->p + w->n, b, n);
		w->p[w->n + n] = '\0';
	} else {
		w->cut = true;
	}
	w->n += n;
}

/* Reads one character and returns the octets that it took; n > 0. */
static size_t
decode_gsm(const uint8_t *p, size_t n, uint32_t *cp)
{
	if (p[0] > 0x7f) {
		*cp = REPLACEMENT;
		return 1;
	}
	if (p[0] != ESCAPE) {
		*cp = gsm[p[0]];
		return 1;
	}
	/* TS 23.038 6.2.1.1: what is not in the extension table is shown from the default one. */
	*cp = n > 1 && p[1] < 0x80 && p[1] != ESCAPE ? gsm[p[1]] : ' ';
	for (unsigned i = 0; n > 1 && i < COUNT(gsm_extension); i++)
		if (gsm_extension[i].septet == p[1])
			*cp = gsm_extension[i].code_point;
	return n > 1 ? 2 : 1;
}

static size_t
decode_korean(const uint8_t *p, size_t n, uint32_t *cp)
{
	*cp = REPLACEMENT;
	if (p[0] < 0x80) {
		*cp = p[0];
		return 1;
	}
	if (n < 2)
		return 1;
	*cp = cp949_decode((unsigned)p[0] << 8 | p[1]);
	if (*cp != 0)
		return 2;
	/* What follows a broken first byte may be a character of its own. */
	*cp = REPLACEMENT;
	return p[1] < 0x80 ? 1 : 2;
}

static size_t
decode_utf16(const uint8_t *p, size_t n, uint32_t *cp)
{
	uint32_t low;

	*cp = REPLACEMENT;
	if (n < 2)
		return 1;
	*cp = (uint32_t)p[0] << 8 | p[1];
	if (*cp < 0xd800 || *cp > 0xdfff)
		return 2;
	low = n >= 4 ? (uint32_t)p[2] << 8 | p[3] : 0;
	if (*cp > 0xdbff || low < 0xdc00 || low > 0xdfff) {
		*cp = REPLACEMENT;
		return 2;
	}
	*cp = 0x10000 + ((*cp - 0xd800) << 10) + (low - 0xdc00);
	return 4;
}

static size_t
decode_one(enum smpp_charset c, const uint8_t *p, size_t n, uint32_t *cp)
{
	switch (c) {
	case SMPP_CHARSET_GSM:
		return decode_gsm(p, n, cp);
	case SMPP_CHARSET_KSC5601:
	case SMPP_CHARSET_CP949:
		return decode_korean(p, n, cp);
	case SMPP_CHARSET_UCS2:
		return decode_utf16(p, n, cp);
	case SMPP_CHARSET_ASCII:
	case SMPP_CHARSET_LATIN1:
	case SMPP_CHARSET_COUNT:
		break;
	}
	*cp = c == SMPP_CHARSET_ASCII && p[0] > 0x7f ? REPLACEMENT : p[0];
	return 1;
}

size_t
smpp_text_decode(enum smpp_charset c, const uint8_t *p, size_t n, char *out, size_t size)
{
	struct writer w = { .p = out, .size = size };

	out[0] = '\0';
	for (size_t at = 0; at < n;) {
		uint32_t cp;

		at += decode_one(c, p + at, n - at, &cp);
		/* A NUL would end the text before its end. */
		put_utf8(&w, cp == 0 ? REPLACEMENT : cp);
	}
	return w.n;
}

/* --- addresses --- */

static enum rc
address(const struct smpp_number_rules *r, int ton, int npi, const char *digits,
	struct smpp_address *out, struct err *e)
{
	out->ton = (uint8_t)(r->ton >= 0 ? r->ton : ton);
	out->npi = (uint8_t)(r->npi >= 0 ? r->npi : npi);
	out->digits = digits;
	if (strlen(digits) < SMPP_ADDRESS_SIZE)
		return RC_OK;
	return err_set(e, RC_DATA, 0, "smpp.address",
		       "a number of %zu digits is longer than SMPP's %d", strlen(digits),
		       SMPP_ADDRESS_SIZE - 1);
}

static enum rc
international(const struct smpp_number_rules *r, const char *digits, struct smpp_address *out,
	      struct err *e)
{
	return address(r, TON_INTERNATIONAL, NPI_ISDN, digits, out, e);
}

enum rc
smpp_source(const struct smpp_number_rules *r, const char *wire, struct smpp_address *out,
	    struct err *e)
{
	const char *digits = wire[0] == '+' ? wire + 1 : wire;
	size_t n = strlen(digits);

	if (strspn(digits, "0123456789") != n) {
		if (strlen(wire) > SMPP_ALPHA_MAX)
			return err_set(e, RC_DATA, 0, "smpp.address",
				       "a sender's name of %zu letters is longer than %d",
				       strlen(wire), SMPP_ALPHA_MAX);
		*out = (struct smpp_address){ TON_ALPHANUMERIC, NPI_NONE, wire };
		return RC_OK;
	}
	if (digits != wire)
		return international(r, digits, out, e);
	if (strncmp(digits, "00", 2) == 0)
		return international(r, digits + 2, out, e);
	if (digits[0] == '0')
		return address(r, TON_NATIONAL, NPI_ISDN, digits, out, e);
	if (n <= r->short_digits)
		return address(r, r->short_ton, r->short_npi, digits, out, e);
	return international(r, digits, out, e);
}

enum rc
smpp_destination(const struct smpp_number_rules *r, enum number_form form, const char *wire,
		 struct smpp_address *out, struct err *e)
{
	if (wire[0] == '+')
		return international(r, wire + 1, out, e);
	if (form != NUMBER_NATIONAL)
		return international(r, wire, out, e);
	if (strncmp(wire, "00", 2) == 0)
		return international(r, wire + 2, out, e);
	return address(r, TON_NATIONAL, NPI_ISDN, wire, out, e);
}
