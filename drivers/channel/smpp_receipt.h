/* smpp_receipt.h - what a centre says about a message: its answer to submit_sm, and receipts.
 *
 * Pure functions over the caller's memory, any thread; fuzzed. Nothing of the message's text or of
 * its numbers gets into what they fill.
 * Sources: SMPP 3.4 2.11, 5.2.12 (esm_class), 5.3.2.12, 5.3.2.31, 5.3.2.35 (receipted_message_id,
 * network_error_code, message_state), appendix B (text form, which it calls vendor specific). What
 * the field makes of it: any order and letter case of the fields, missing ones, dates of 10, 12 and
 * 14 digits, state words of their own, the text in message_payload or in UCS-2, network_error_code
 * as three digits, ids in another base than the answer gave them.
 *
 * Where accept and receipt meet. An id is an opaque text, compared exactly. Only where the rules of
 * the channel say that ids are numbers, or equal in both letter cases, the two sides are brought to
 * one form, which is that of the answer to submit_sm: different texts then mean the same only if
 * they are the same number. What is no number of the base that the rules name stays as it is, so it
 * can never meet one. */
#ifndef MTRELAY_SMPP_RECEIPT_H
#define MTRELAY_SMPP_RECEIPT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "agent/codemap.h"
#include "agent/message.h"
#include "drivers/channel/smpp_pdu.h"

/* Families of etc/codes/smpp.codes. */
#define SMPP_FAMILY_SUBMIT "submit"   /* command_status */
#define SMPP_FAMILY_RECEIPT "receipt" /* message state, and the centre's own "err:" */
#define SMPP_FAMILY_GSM "gsm"	      /* message state, and network_error_code of a GSM network */

enum smpp_id_form { SMPP_ID_TEXT, SMPP_ID_DECIMAL, SMPP_ID_HEX };
enum smpp_id_side {
	SMPP_ID_OF_SUBMIT, /* message_id of the answer */
	SMPP_ID_OF_TEXT,   /* "id:" of a receipt */
	SMPP_ID_OF_TLV,	   /* its receipted_message_id */
};
struct smpp_id_rules {
	/* TEXT for submit: no id is a number. TEXT for one of the others: in the form of submit. */
	enum smpp_id_form form[3]; /* by enum smpp_id_side */
	unsigned width_bits; /* 32 or 64: numbers may come with a sign or sign-extended; 0: no */
	/* Without numbers only: */
	bool fold_case;	  /* letters are equal in both cases */
	bool strip_zeros; /* zeros in front mean nothing */
};
/* False: no id (empty, longer than PROVIDER_ID_MAX, blanks or other than printable ASCII). */
bool smpp_id_key(const struct smpp_id_rules *r, enum smpp_id_side side, const char *p, size_t n,
		 char key[PROVIDER_ID_MAX + 1]) MUST_USE;

/* The outcome of one PDU from its answer, which is a submit_sm_resp, data_sm_resp or generic_nack.
 * REJECTED with FINAL, DEFERRED with the other reactions but TAKEN. ACCEPTED may come without a
 * provider_id (the centre gave none): no receipt can be matched. A generic_nack that says "no
 * error" is UNSURE. */
void smpp_outcome(const struct codemap *codes, const struct smpp_id_rules *ids,
		  const struct smpp_pdu *answer, struct outcome *o, enum smpp_reaction *reaction);

struct smpp_receipt_rules {
	const struct codemap *codes;
	struct smpp_id_rules ids;
	const char *channel;
	int zone_min;	 /* the centre's clock east of UTC */
	bool plain_text; /* receipts come without their bit in esm_class; then a phone can forge one
			  */
};

enum smpp_delivery {
	SMPP_DELIVERY_MO,     /* a message from a phone */
	SMPP_DELIVERY_REPORT, /* *out is filled */
	SMPP_DELIVERY_ACK,    /* a phone's or its user's own acknowledgement: no report */
	/* Says that it is a receipt, but there is no id in it, or no state. */
	SMPP_DELIVERY_UNREADABLE,
};

struct smpp_receipt {
	/* provider_id is the key. PENDING for every intermediate notification and for states that
	 * are not in the code map. */
	struct report report;
	bool intermediate;
	bool has_reference;
	uint16_t reference; /* user_message_reference of the message, where the centre echoes it */
	const char *why;    /* with UNREADABLE: what is missing */
};

/* pdu is a deliver_sm or data_sm. */
enum smpp_delivery smpp_receipt_read(const struct smpp_pdu *pdu, const struct smpp_receipt_rules *r,
				     struct smpp_receipt *out) MUST_USE;

#endif
