/* smpp_text.h - a text on its way into PDUs: alphabet, parts, addresses; and back.
 *
 * Pure functions over the caller's memory, any thread; fuzzed through smpp_receipt.c. Texts are
 * UTF-8. Sources: 3GPP TS 23.038 (GSM default alphabet and its extension table, unpacked: one octet
 * a septet), TS 23.040 9.2.3.24 (user data header, concatenation), SMPP 3.4 5.2.5 and 5.2.6 (TON,
 * NPI), 5.2.19 (data_coding), 5.3.2.22 to 24 (sar_*), 5.3.2.32 (message_payload); UTF-16 surrogate
 * pairs in UCS-2 as the field uses them for emoji.
 *
 * How long a part is. A short message on the air has 140 octets: 160 GSM characters of 7 bits, 140
 * of 8, 70 UCS-2 units. With a header for concatenation (6 octets) 134 are left: 153, 134, 67. The
 * SAR parameters take no room in the PDU and the specification gives no size for such a part, but a
 * GSM centre makes the same header of them, so the sizes are the same; a centre that takes 16 bit
 * references (132) or none (CDMA) is told by part_octets. A part never ends inside of an escape
 * sequence, a surrogate pair or a two-byte character. */
#ifndef MTRELAY_SMPP_TEXT_H
#define MTRELAY_SMPP_TEXT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "agent/err.h"
#include "drivers/channel/channel.h"
#include "drivers/channel/smpp_pdu.h"

#define SMPP_CODINGS_MAX 6
#define SMPP_SINGLE_OCTETS 140
#define SMPP_PART_OCTETS 134
#define SMPP_OCTETS_MIN 20  /* of single_octets and part_octets */
#define SMPP_OCTETS_MAX 216 /* 246 GSM characters and a header fit into short_message */
#define SMPP_PARTS_MAX 255
#define SMPP_ALPHA_MAX 11   /* letters of a sender's name */
#define SMPP_SHORT_DIGITS 8 /* Korea's representative numbers (1588-0000) */

enum smpp_charset {
	SMPP_CHARSET_GSM,
	SMPP_CHARSET_ASCII,
	SMPP_CHARSET_LATIN1,
	SMPP_CHARSET_KSC5601, /* EUC-KR: syllables of everyday use, not all of Hangul */
	SMPP_CHARSET_CP949,   /* all of Hangul; only for centres that say so */
	SMPP_CHARSET_UCS2,
	SMPP_CHARSET_COUNT
};
/* "gsm" "ascii" "latin1" "ksc5601" "cp949" "ucs2", as the configuration has them. */
const char *smpp_charset_name(enum smpp_charset c);
bool smpp_charset_parse(const char *name, enum smpp_charset *out) MUST_USE;
/* The data_coding that the specification gives it: 0 1 3 14 14 8. */
uint8_t smpp_charset_data_coding(enum smpp_charset c);

enum smpp_split { SMPP_SPLIT_UDH, SMPP_SPLIT_SAR, SMPP_SPLIT_PAYLOAD };

/* Constant while the configuration lives. */
struct smpp_text_rules {
	struct {
		enum smpp_charset charset;
		uint8_t data_coding; /* 0 may mean EUC-KR to a Korean centre */
	} coding[SMPP_CODINGS_MAX];  /* in the order of preference */
	size_t coding_n;
	enum smpp_split split;
	unsigned parts_max;	/* 1 to SMPP_PARTS_MAX */
	unsigned single_octets; /* on the air, of an undivided message; 0: SMPP_SINGLE_OCTETS */
	unsigned part_octets;	/* on the air, behind the header; 0: SMPP_PART_OCTETS */
};

/* How a text will be sent. Borrows rules and text. */
struct smpp_plan {
	const struct smpp_text_rules *rules;
	enum smpp_charset charset;
	uint8_t data_coding;
	unsigned parts; /* as the carrier counts them */
	unsigned pdus;	/* equal to parts but with message_payload */
	size_t octets;	/* of the whole text, encoded, without headers */
	const char *p;
	size_t n;
	size_t at;	  /* the next part begins here */
	unsigned part_no; /* parts made so far */
};

/* Chooses the alphabet that needs the fewest parts, of several the first in the rules. RC_DATA: it
 * cannot be sent; code is 2005 (no alphabet has a character) or 2004 (too many parts). */
enum rc smpp_text_plan(const struct smpp_text_rules *rules, const char *p, size_t n,
		       struct smpp_plan *plan, char code[RESULT_CODE_LEN + 1], struct err *e)
	MUST_USE;
/* Room that smpp_text_part() needs. */
size_t smpp_text_room(const struct smpp_plan *plan);
/* Puts the next part into pdu->sm: data_coding, text and, of several parts, the UDHI bit of
 * esm_class or optional parameters (up to 3). The text lies in room. Call it plan->pdus times with
 * the same reference. RC_BUG: no part, no room or no place for a parameter is left. */
enum rc smpp_text_part(struct smpp_plan *plan, uint16_t reference, struct smpp_pdu *pdu,
		       uint8_t *room, size_t size, struct err *e) MUST_USE;

/* --- what comes in --- */

/* The text of a deliver_sm or data_sm without its header. */
struct smpp_incoming {
	const uint8_t *p;
	size_t n;
	bool whole; /* false: the header is broken, and p, n are all that there was */
	/* total 0: one part only */
	unsigned reference;
	unsigned total;
	unsigned part_no;
};
void smpp_text_incoming(const struct smpp_pdu *pdu, struct smpp_incoming *in);
/* False: data, no text (8 bit, compressed or a coding that nobody named). */
bool smpp_text_charset(const struct smpp_text_rules *rules, uint8_t data_coding,
		       enum smpp_charset *out) MUST_USE;
/* As UTF-8 with a NUL, U+FFFD for what means nothing. Returns the bytes that the whole text needs
 * without the NUL; where that is size or more, out was cut behind a whole character. size > 0. */
size_t smpp_text_decode(enum smpp_charset c, const uint8_t *p, size_t n, char *out, size_t size);

/* --- addresses --- */

struct smpp_number_rules {
	int ton; /* of every number; -1: by its form. Letters stay 5 and 0 */
	int npi;
	unsigned short_digits; /* a sender of no more digits and no 0 in front is a short code */
	uint8_t short_ton;     /* 3, 0 with many centres */
	uint8_t short_npi;
};
/* Sender: letters are TON 5 NPI 0; "+" and "00" international, TON 1 NPI 1, and left out; another 0
 * in front national, TON 2 NPI 1; short codes by the rules; the rest international. RC_DATA: too
 * long. out borrows wire. */
enum rc smpp_source(const struct smpp_number_rules *r, const char *wire, struct smpp_address *out,
		    struct err *e) MUST_USE;
/* Recipient, which is a number in this form. */
enum rc smpp_destination(const struct smpp_number_rules *r, enum number_form form, const char *wire,
			 struct smpp_address *out, struct err *e) MUST_USE;

#endif
