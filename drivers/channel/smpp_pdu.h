/* smpp_pdu.h - the PDUs of SMPP 3.4 as bytes and as structures: a strict reader and a writer.
 *
 * Pure functions over the caller's memory, no I/O, no allocation, no state; any thread; fuzzed.
 * Sources: "Short Message Peer to Peer Protocol Specification v3.4", issue 1.2, sections 3.2 to 5;
 * of version 5.0 congestion_state, the message states 0 and 9 and the statuses from 0x100 on.
 *
 * Reading borrows: texts and values in a struct smpp_pdu point into the bytes that were read and
 * live as long as they stay where they are. Every C-octet string was seen to end in its NUL within
 * its field, so it can be used as a C string; it is the peer's and may hold any other byte.
 * Both directions of every command are read and written, so that one side can be tested with the
 * other; whether a command is allowed in the session's state is not looked at here.
 *
 * Sequence numbers: 1 to SMPP_SEQUENCE_MAX in own requests; an answer takes over whatever came. */
#ifndef MTRELAY_SMPP_PDU_H
#define MTRELAY_SMPP_PDU_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "agent/err.h"
#include "agent/message.h"

#define SMPP_HEADER_BYTES 16
#define SMPP_PDU_MAX_BYTES (64 * 1024) /* for the reader, where nothing else is configured */
#define SMPP_SEQUENCE_MAX 0x7fffffffu
#define SMPP_SHORT_MESSAGE_MAX 254 /* longer texts go as message_payload */
#define SMPP_ID_SIZE 65		   /* message_id with its NUL */
#define SMPP_SYSTEM_ID_SIZE 16
#define SMPP_PASSWORD_SIZE 9
#define SMPP_SYSTEM_TYPE_SIZE 13
#define SMPP_ADDRESS_RANGE_SIZE 41
#define SMPP_SERVICE_TYPE_SIZE 6
#define SMPP_ADDRESS_SIZE 21
#define SMPP_LONG_ADDRESS_SIZE 65 /* data_sm, alert_notification */
#define SMPP_TIME_SIZE 17
#define SMPP_TLVS_MAX 24
#define SMPP_VERSION_34 0x34

/* An answer is its request with this bit; generic_nack is the bit alone. */
#define SMPP_RESP 0x80000000u
#define SMPP_GENERIC_NACK SMPP_RESP
#define SMPP_BIND_RECEIVER_RESP (SMPP_RESP | SMPP_BIND_RECEIVER)
#define SMPP_BIND_TRANSMITTER_RESP (SMPP_RESP | SMPP_BIND_TRANSMITTER)
#define SMPP_BIND_TRANSCEIVER_RESP (SMPP_RESP | SMPP_BIND_TRANSCEIVER)
#define SMPP_SUBMIT_SM_RESP (SMPP_RESP | SMPP_SUBMIT_SM)
#define SMPP_DELIVER_SM_RESP (SMPP_RESP | SMPP_DELIVER_SM)
#define SMPP_DATA_SM_RESP (SMPP_RESP | SMPP_DATA_SM)
#define SMPP_UNBIND_RESP (SMPP_RESP | SMPP_UNBIND)
#define SMPP_ENQUIRE_LINK_RESP (SMPP_RESP | SMPP_ENQUIRE_LINK)

/* esm_class */
#define SMPP_ESM_UDHI 0x40
#define SMPP_ESM_KIND 0x3c /* what kind of message the centre delivers: */
#define SMPP_ESM_RECEIPT 0x04
#define SMPP_ESM_INTERMEDIATE 0x20
#define SMPP_ESM_ACK_BITS 0x18 /* acknowledged by the handset, its user, or a conversation's end \
				*/

enum smpp_command {
#define SMPP_COMMAND_DEF(id, value, name, answer) SMPP_##id = (value),
#include "drivers/channel/smpp_words.def"
#undef SMPP_COMMAND_DEF
};
enum smpp_tag {
#define SMPP_TLV_DEF(id, tag, least, most, name) SMPP_TLV_##id = (tag),
#include "drivers/channel/smpp_words.def"
#undef SMPP_TLV_DEF
};
enum smpp_state {
#define SMPP_STATE_DEF(id, value, word) SMPP_STATE_##id = (value),
#include "drivers/channel/smpp_words.def"
#undef SMPP_STATE_DEF
	SMPP_STATE_NONE = -1,
};
enum smpp_status_value {
#define SMPP_STATUS_DEF(name, value, reaction, code, sentence) SMPP_##name = (value),
#include "drivers/channel/smpp_status.def"
#undef SMPP_STATUS_DEF
};

struct smpp_tlv {
	uint16_t tag;
	uint16_t n;
	const uint8_t *p; /* NULL: the value is in small */
	uint8_t small[4];
};

struct smpp_address {
	uint8_t ton;
	uint8_t npi;
	const char *digits; /* or letters */
};

struct smpp_bind { /* outbind: the first two */
	const char *system_id;
	const char *password;
	const char *system_type;
	uint8_t interface_version;
	struct smpp_address range; /* digits: address_range */
};

/* data_sm has no protocol_id, priority, times, replace, default_id and text. */
struct smpp_sm {
	const char *service_type;
	struct smpp_address source;
	struct smpp_address destination;
	uint8_t esm_class;
	uint8_t protocol_id;
	uint8_t priority;
	const char *schedule; /* "" or 16 characters; not looked at in a deliver_sm */
	const char *validity;
	uint8_t registered_delivery;
	uint8_t replace;
	uint8_t data_coding;
	uint8_t default_id;
	size_t text_n; /* up to SMPP_SHORT_MESSAGE_MAX */
	const uint8_t *text;
};

struct smpp_alert {
	struct smpp_address source;
	struct smpp_address esme;
};

struct smpp_pdu {
	uint32_t length; /* as read; not for writing */
	uint32_t command;
	uint32_t status;
	uint32_t sequence;
	/* Of an answer: its mandatory part is there. Centres leave it out when status is an error,
	 * and some with success too; then id is "". */
	bool has_body;
	union {
		struct smpp_bind bind; /* bind_*, outbind */
		struct smpp_sm sm;     /* submit_sm, deliver_sm, data_sm */
		struct smpp_alert alert;
		char id[SMPP_ID_SIZE]; /* answers: message_id, or system_id to a bind */
	};
	size_t tlv_n;
	struct smpp_tlv tlv[SMPP_TLVS_MAX];
};

/* What real centres do wrong and a configuration may let pass. Without a bit it is a fault. */
enum smpp_lax {
	/* message_id or system_id of an answer ends with the PDU instead of a NUL. */
	SMPP_LAX_ID_END = 1,
	/* A known parameter of a wrong length is passed over like an unknown one. */
	SMPP_LAX_TLV_LENGTH = 2,
	/* Bytes behind the last whole field are passed over. */
	SMPP_LAX_REST = 4,
};

enum smpp_read {
	SMPP_READ_PDU,	/* *pdu is filled */
	SMPP_READ_MORE, /* not whole yet: pdu->length bytes are needed, or the header when 0 */
	/* A PDU that is not as it must be, in a stream that is still in step: *pdu has its header
	 * only. Send what fault.answer says and go on behind pdu->length bytes. Where it is an
	 * answer (fault.answer is 0), what it answers stays without a definite answer. */
	SMPP_READ_BAD,
	/* Its length cannot be: the stream is out of step. Send fault.answer, drop the
	 * connection. */
	SMPP_READ_LOST,
};

struct smpp_fault {
	uint32_t status;   /* to answer with */
	uint32_t answer;   /* command of the answer; 0: an answer is never answered */
	const char *field; /* "source_addr"; never NULL */
	size_t at;	   /* offset in the PDU where the field begins */
};

/* Reads the PDU at the begin of p. Of an answer only status and id count, of one with an error only
 * the status: faults behind them are passed over, as it cannot be asked for again. max_bytes is at
 * least SMPP_HEADER_BYTES; lax is bits of enum smpp_lax. Parameters that are not in smpp_words.def
 * are kept as they are while there is room; of a repeated one smpp_tlv_find() gives the first. */
enum smpp_read smpp_read(const uint8_t *p, size_t n, size_t max_bytes, unsigned lax,
			 struct smpp_pdu *pdu, struct smpp_fault *fault) MUST_USE;

/* Writes pdu with a NULL text as "". RC_DATA: a field cannot be written, and e names it; RC_BUG:
 * buf is too small or the command unknown. */
enum rc smpp_write(const struct smpp_pdu *pdu, uint8_t *buf, size_t size, size_t *n, struct err *e)
	MUST_USE;

/* An empty PDU; of an answer with its body. */
void smpp_pdu_init(struct smpp_pdu *pdu, uint32_t command, uint32_t sequence);
/* The answer to a request: its own where it has one, generic_nack for others. Only with ROK it has
 * a body (an empty message_id). */
void smpp_pdu_answer(struct smpp_pdu *answer, const struct smpp_pdu *request, uint32_t status);
/* The one to SMPP_READ_BAD and SMPP_READ_LOST; only with fault->answer. */
void smpp_pdu_nack(struct smpp_pdu *answer, const struct smpp_pdu *bad,
		   const struct smpp_fault *fault);
/* The next of own sequence numbers, from 1 on again behind the last. */
uint32_t smpp_sequence_next(uint32_t sequence);

/* Optional parameters. False when there are SMPP_TLVS_MAX already. bytes are borrowed; a C-octet
 * string is given with its NUL. */
bool smpp_tlv_put(struct smpp_pdu *pdu, uint16_t tag, const void *p, size_t n) MUST_USE;
bool smpp_tlv_put_int(struct smpp_pdu *pdu, uint16_t tag, unsigned bytes, uint32_t v) MUST_USE;
const struct smpp_tlv *smpp_tlv_find(const struct smpp_pdu *pdu, uint16_t tag);
const uint8_t *smpp_tlv_value(const struct smpp_tlv *t);
/* One of 1 to 4 bytes; false when there is none. */
bool smpp_tlv_int(const struct smpp_pdu *pdu, uint16_t tag, uint32_t *v);
/* The text of n bytes without the NULs at its end; NULL when there is none. */
const char *smpp_tlv_text(const struct smpp_pdu *pdu, uint16_t tag, size_t *n);

/* The text of a message, from short_message or message_payload. */
const uint8_t *smpp_sm_text(const struct smpp_pdu *pdu, size_t *n);

/* Relative time as validity and schedule take it ("000002030000000R" is 2 days 3 hours), at most
 * SMPP_RELATIVE_MAX_S. out has SMPP_TIME_SIZE bytes. */
#define SMPP_RELATIVE_MAX_S (30 * 24 * 3600)
void smpp_time_relative(int64_t seconds, char *out);

/* What an answer to a submit_sm asks for. */
enum smpp_reaction {
	SMPP_TAKEN,
	SMPP_FINAL,
	SMPP_RETRY,
	SMPP_THROTTLE,
	SMPP_REBIND,
	SMPP_STOP, /* by a code map only: nothing is taken until somebody acts */
};
struct smpp_status {
	uint32_t value;
	const char *name; /* "RTHROTTLED" */
	enum smpp_reaction reaction;
	const char *code; /* ours */
	const char *text;
};
/* Never NULL: what has no row is FINAL with 9099. */
const struct smpp_status *smpp_status_find(uint32_t value);
/* An answer to a bind that an operator must act on: account, password, system type. */
bool smpp_status_refuses_bind(uint32_t value);
/* "submit_sm_resp"; "command" when it has no name. */
const char *smpp_command_name(uint32_t command);
/* NULL when it has none. */
const char *smpp_tlv_name(uint16_t tag);
/* "DELIVRD"; "" for SMPP_STATE_NONE and what has no row. */
const char *smpp_state_word(int state);
/* Reads a word of a receipt, in either case; SMPP_STATE_NONE when it is none that is known. */
int smpp_state_parse(const char *p, size_t n);

#endif
