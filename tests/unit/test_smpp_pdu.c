/* SMPP's PDUs byte by byte, there and back, and what is done with those that are cut, garbled or
 * hostile. */
#include "config.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "agent/text.h"
#include "drivers/channel/smpp_pdu.h"

#define MAX 4096
#define ROUNDS 20000

struct bytes {
	uint8_t p[MAX];
	size_t n;
};

/* Hexadecimal digits; blanks between them are for the reader. */
static struct bytes
bytes(const char *hex)
{
	struct bytes b = { .n = 0 };
	char pair[3] = "";

	for (; *hex != '\0'; hex++) {
		if (*hex == ' ')
			continue;
		pair[strlen(pair)] = *hex;
		if (pair[1] != '\0') {
			assert_true(text_unhex(pair, &b.p[b.n++], 1));
			memset(pair, 0, sizeof pair);
		}
	}
	assert_int_equal(pair[0], '\0');
	return b;
}

/* Reads from memory that ends where the bytes end, so that one too far is noticed. */
static enum smpp_read
reads(const uint8_t *p, size_t n, size_t max, unsigned lax, struct smpp_pdu *pdu,
      struct smpp_fault *f, uint8_t **keep)
{
	enum smpp_read answer;

	*keep = malloc(n > 0 ? n : 1);
	assert_non_null(*keep);
	memcpy(*keep, p, n);
	answer = smpp_read(*keep, n, max, lax, pdu, f);
	return answer;
}

static struct bytes
written(const struct smpp_pdu *pdu)
{
	struct bytes b;
	struct err e;

	assert_int_equal(smpp_write(pdu, b.p, sizeof b.p, &b.n, &e), RC_OK);
	return b;
}

/* --- byte by byte --- */

static void
put(struct smpp_pdu *pdu, uint16_t tag, const void *p, size_t n)
{
	assert_true(smpp_tlv_put(pdu, tag, p, n));
}

static void
put_int(struct smpp_pdu *pdu, uint16_t tag, unsigned size, uint32_t v)
{
	assert_true(smpp_tlv_put_int(pdu, tag, size, v));
}

static void
make_bind(struct smpp_pdu *pdu)
{
	smpp_pdu_init(pdu, SMPP_BIND_TRANSCEIVER, 1);
	pdu->bind = (struct smpp_bind){ .system_id = "SMPP3TEST",
					.password = "secret08",
					.system_type = "SUBMIT1",
					.interface_version = SMPP_VERSION_34,
					.range = { 1, 1, NULL } };
}

static void
make_bind_resp(struct smpp_pdu *pdu)
{
	smpp_pdu_init(pdu, SMPP_BIND_TRANSCEIVER_RESP, 1);
	snprintf(pdu->id, sizeof pdu->id, "SMSC");
	put_int(pdu, SMPP_TLV_SC_INTERFACE_VERSION, 1, SMPP_VERSION_34);
}

static void
make_submit(struct smpp_pdu *pdu)
{
	smpp_pdu_init(pdu, SMPP_SUBMIT_SM, 2);
	pdu->sm = (struct smpp_sm){ .source = { 5, 0, "MTRELAY" },
				    .destination = { 1, 1, "821012345678" },
				    .esm_class = SMPP_ESM_UDHI,
				    .validity = "000001000000000R",
				    .registered_delivery = 1,
				    .data_coding = 8,
				    .text = (const uint8_t *)"\x05\x00\x03\x2a\x02\x01\xc5\x48",
				    .text_n = 8 };
	put_int(pdu, SMPP_TLV_USER_MESSAGE_REFERENCE, 2, 0x1234);
}

static void
make_submit_payload(struct smpp_pdu *pdu)
{
	smpp_pdu_init(pdu, SMPP_SUBMIT_SM, SMPP_SEQUENCE_MAX);
	pdu->sm = (struct smpp_sm){ .service_type = "CMT", .destination = { 2, 1, "01012345678" } };
	put(pdu, SMPP_TLV_MESSAGE_PAYLOAD, "hello", 5);
}

static void
make_submit_resp(struct smpp_pdu *pdu)
{
	smpp_pdu_init(pdu, SMPP_SUBMIT_SM_RESP, 2);
	snprintf(pdu->id, sizeof pdu->id, "1830fd6c");
	put_int(pdu, SMPP_TLV_CONGESTION_STATE, 1, 80);
}

static void
make_throttled(struct smpp_pdu *pdu)
{
	smpp_pdu_init(pdu, SMPP_SUBMIT_SM_RESP, 3);
	pdu->status = SMPP_RTHROTTLED;
	pdu->has_body = false;
}

static void
make_deliver(struct smpp_pdu *pdu)
{
	smpp_pdu_init(pdu, SMPP_DELIVER_SM, 7);
	pdu->sm = (struct smpp_sm){ .source = { 1, 1, "821012345678" },
				    .destination = { 0, 1, "15880000" },
				    .esm_class = SMPP_ESM_RECEIPT,
				    .text = (const uint8_t *)"id:1 stat:DELIVRD",
				    .text_n = 17 };
	put(pdu, SMPP_TLV_RECEIPTED_MESSAGE_ID, "1830fd6c", 9);
	put_int(pdu, SMPP_TLV_MESSAGE_STATE, 1, SMPP_STATE_DELIVERED);
	put(pdu, SMPP_TLV_NETWORK_ERROR_CODE, "\x03\x00\x00", 3);
}

static void
make_data(struct smpp_pdu *pdu)
{
	smpp_pdu_init(pdu, SMPP_DATA_SM, 8);
	pdu->sm = (struct smpp_sm){ .source = { 1, 1, "821012345678" },
				    .destination = { 1, 1, "8215880000" },
				    .registered_delivery = 1,
				    .data_coding = 14 };
	put(pdu, SMPP_TLV_MESSAGE_PAYLOAD, "\xb0\xa1", 2);
}

static void
make_alert(struct smpp_pdu *pdu)
{
	smpp_pdu_init(pdu, SMPP_ALERT_NOTIFICATION, 9);
	pdu->alert = (struct smpp_alert){ { 1, 1, "821012345678" }, { 0, 0, "shop" } };
	put_int(pdu, SMPP_TLV_MS_AVAILABILITY_STATUS, 1, 0);
}

static void
make_outbind(struct smpp_pdu *pdu)
{
	smpp_pdu_init(pdu, SMPP_OUTBIND, 1);
	pdu->bind.system_id = "SMSC";
	pdu->bind.password = "pw";
}

static void
make_enquire(struct smpp_pdu *pdu)
{
	smpp_pdu_init(pdu, SMPP_ENQUIRE_LINK, 10);
}

static void
make_nack(struct smpp_pdu *pdu)
{
	smpp_pdu_init(pdu, SMPP_GENERIC_NACK, 0);
	pdu->status = SMPP_RINVCMDLEN;
}

static void
make_deliver_resp(struct smpp_pdu *pdu)
{
	smpp_pdu_init(pdu, SMPP_DELIVER_SM_RESP, 7);
}

static void
make_unbind(struct smpp_pdu *pdu)
{
	smpp_pdu_init(pdu, SMPP_UNBIND_RESP, 11);
}

#define HEADER(length, command, status, sequence) length command status sequence
static const struct exact {
	const char *name;
	void (*make)(struct smpp_pdu *pdu);
	const char *hex;
} exact[] = {
	/* The specification's own example (3.2), as a transceiver of version 3.4. */
	{ "bind_transceiver", make_bind,
	  HEADER("0000002f", "00000009", "00000000",
		 "00000001") "534d50503354455354 00 7365637265743038 00 5355424d495431 00 34 01 01 "
			     "00" },
	{ "bind_transceiver_resp", make_bind_resp,
	  HEADER("0000001a", "80000009", "00000000", "00000001") "534d5343 00 0210 0001 34" },
	{ "submit_sm", make_submit,
	  HEADER("00000052", "00000004", "00000000",
		 "00000002") "00 05 00 4d5452454c4159 00 01 01 383231303132333435363738 00 40 00 "
			     "00 00"
			     "30303030303130303030303030303052 00 01 00 08 00 08 0500032a0201 c548"
			     "0204 0002 1234" },
	{ "submit_sm with message_payload", make_submit_payload,
	  HEADER("00000038", "00000004", "00000000",
		 "7fffffff") "434d54 00 00 00 00 02 01 3031303132333435363738 00 00 00 00 00 00 00 "
			     "00 00 00 00"
			     "0424 0005 68656c6c6f" },
	{ "submit_sm_resp", make_submit_resp,
	  HEADER("0000001e", "80000004", "00000000",
		 "00000002") "3138333066643663 00 0428 0001 50" },
	{ "submit_sm_resp without a body", make_throttled,
	  HEADER("00000010", "80000004", "00000058", "00000003") "" },
	{ "deliver_sm", make_deliver,
	  HEADER("0000005f", "00000005", "00000000",
		 "00000007") "00 01 01 383231303132333435363738 00 00 01 3135383830303030 00 04 00 "
			     "00 00 00 00 00 00 00"
			     "11 69643a3120737461743a44454c49565244"
			     "001e 0009 313833306664366300 0427 0001 02 0423 0003 030000" },
	{ "deliver_sm_resp", make_deliver_resp,
	  HEADER("00000011", "80000005", "00000000", "00000007") "00" },
	{ "data_sm", make_data,
	  HEADER("00000036", "00000103", "00000000",
		 "00000008") "00 01 01 383231303132333435363738 00 01 01 38323135383830303030 00 "
			     "00 01 0e"
			     "0424 0002 b0a1" },
	{ "alert_notification", make_alert,
	  HEADER("0000002b", "00000102", "00000000",
		 "00000009") "01 01 383231303132333435363738 00 00 00 73686f70 00 0422 0001 00" },
	{ "outbind", make_outbind,
	  HEADER("00000018", "0000000b", "00000000", "00000001") "534d5343 00 7077 00" },
	{ "enquire_link", make_enquire, HEADER("00000010", "00000015", "00000000", "0000000a") },
	{ "unbind_resp", make_unbind, HEADER("00000010", "80000006", "00000000", "0000000b") },
	{ "generic_nack", make_nack, HEADER("00000010", "80000000", "00000002", "00000000") },
};

static void
every_byte_is_where_the_specification_has_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEM(exact); i++) {
		struct bytes expected = bytes(exact[i].hex);
		struct bytes again;
		struct bytes b;
		struct smpp_pdu pdu;
		struct smpp_fault f;
		uint8_t *keep;

		exact[i].make(&pdu);
		b = written(&pdu);
		if (b.n != expected.n || memcmp(b.p, expected.p, b.n) != 0)
			fail_msg("%s: written otherwise", exact[i].name);
		assert_int_equal(reads(b.p, b.n, MAX, 0, &pdu, &f, &keep), SMPP_READ_PDU);
		assert_int_equal(pdu.length, b.n);
		again = written(&pdu);
		free(keep);
		if (again.n != b.n || memcmp(again.p, b.p, b.n) != 0)
			fail_msg("%s: read otherwise", exact[i].name);
	}
}

static void
fields_of_a_deliver_sm(void **state)
{
	struct bytes b;
	struct smpp_pdu pdu;
	struct smpp_fault f;
	uint8_t *keep;
	uint32_t v;
	size_t n;

	(void)state;
	make_deliver(&pdu);
	b = written(&pdu);
	/* The next PDU of the stream is not looked at. */
	b.p[b.n] = 0xff;
	assert_int_equal(reads(b.p, b.n + 1, MAX, 0, &pdu, &f, &keep), SMPP_READ_PDU);
	assert_int_equal(pdu.command, SMPP_DELIVER_SM);
	assert_int_equal(pdu.sequence, 7);
	assert_string_equal(pdu.sm.source.digits, "821012345678");
	assert_int_equal(pdu.sm.source.ton, 1);
	assert_string_equal(pdu.sm.destination.digits, "15880000");
	assert_int_equal(pdu.sm.destination.npi, 1);
	assert_int_equal(pdu.sm.esm_class, SMPP_ESM_RECEIPT);
	assert_memory_equal(smpp_sm_text(&pdu, &n), "id:1 stat:DELIVRD", 17);
	assert_int_equal(n, 17);
	assert_memory_equal(smpp_tlv_text(&pdu, SMPP_TLV_RECEIPTED_MESSAGE_ID, &n), "1830fd6c", 8);
	assert_int_equal(n, 8);
	assert_true(smpp_tlv_int(&pdu, SMPP_TLV_MESSAGE_STATE, &v));
	assert_int_equal(v, SMPP_STATE_DELIVERED);
	assert_false(smpp_tlv_int(&pdu, SMPP_TLV_CONGESTION_STATE, &v));
	assert_null(smpp_tlv_text(&pdu, SMPP_TLV_CONGESTION_STATE, &n));
	free(keep);
}

/* --- there and back --- */

static unsigned long seed;
static uint64_t random_state;

static unsigned
random_below(unsigned n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (unsigned)(random_state >> 20) % n;
}

/* Up to size - 1 random bytes without a NUL; the pool is used up by one PDU. */
static const char *
random_string(char **pool, size_t size)
{
	size_t n = random_below(4) == 0 ? size - 1 : random_below((unsigned)size);
	char *s = *pool;

	for (size_t i = 0; i < n; i++)
		s[i] = (char)(1 + random_below(255));
	s[n] = '\0';
	*pool += n + 1;
	return s;
}

static void
random_address(char **pool, struct smpp_address *a, size_t size)
{
	a->ton = (uint8_t)random_below(256);
	a->npi = (uint8_t)random_below(256);
	a->digits = random_string(pool, size);
}

static void
random_tlvs(struct smpp_pdu *pdu)
{
	static const uint8_t value[64];
	unsigned n = random_below(4) == 0 ? SMPP_TLVS_MAX : random_below(5);

	for (unsigned i = 0; i < n; i++) {
		switch (random_below(3)) {
		case 0:
			put_int(pdu, SMPP_TLV_SAR_MSG_REF_NUM, 2, random_below(65536));
			break;
		case 1:
			put_int(pdu, SMPP_TLV_CONGESTION_STATE, 1, random_below(256));
			break;
		default: /* one of the centre's own */
			put(pdu, (uint16_t)(0x1400 + random_below(0x2c00)), value,
			    random_below(sizeof value));
			break;
		}
	}
}

static void
random_sm(struct smpp_pdu *pdu, char **pool)
{
	static uint8_t text[SMPP_SHORT_MESSAGE_MAX];
	struct smpp_sm *m = &pdu->sm;
	bool data = pdu->command == SMPP_DATA_SM;
	size_t size = data ? SMPP_LONG_ADDRESS_SIZE : SMPP_ADDRESS_SIZE;

	m->service_type = random_string(pool, SMPP_SERVICE_TYPE_SIZE);
	random_address(pool, &m->source, size);
	random_address(pool, &m->destination, size);
	m->esm_class = (uint8_t)random_below(256);
	m->registered_delivery = (uint8_t)random_below(256);
	m->data_coding = (uint8_t)random_below(256);
	if (data)
		return;
	m->protocol_id = (uint8_t)random_below(256);
	m->priority = (uint8_t)random_below(256);
	m->replace = (uint8_t)random_below(256);
	m->default_id = (uint8_t)random_below(256);
	m->schedule = random_below(2) ? "" : "991231235959948+";
	m->validity = random_below(2) ? "" : "000000020000000R";
	m->text_n = random_below(SMPP_SHORT_MESSAGE_MAX + 1);
	m->text = text;
	for (size_t i = 0; i < m->text_n; i++)
		text[i] = (uint8_t)random_below(256);
}

static void
random_pdu(struct smpp_pdu *pdu, char *pool)
{
	static const uint32_t all[] = {
		SMPP_BIND_RECEIVER,
		SMPP_BIND_TRANSMITTER,
		SMPP_BIND_TRANSCEIVER,
		SMPP_SUBMIT_SM,
		SMPP_DELIVER_SM,
		SMPP_DATA_SM,
		SMPP_OUTBIND,
		SMPP_ALERT_NOTIFICATION,
		SMPP_ENQUIRE_LINK,
		SMPP_UNBIND,
		SMPP_BIND_TRANSCEIVER_RESP,
		SMPP_BIND_RECEIVER_RESP,
		SMPP_SUBMIT_SM_RESP,
		SMPP_DELIVER_SM_RESP,
		SMPP_DATA_SM_RESP,
		SMPP_ENQUIRE_LINK_RESP,
		SMPP_UNBIND_RESP,
		SMPP_GENERIC_NACK,
	};
	uint32_t command = all[random_below(NELEM(all))];

	smpp_pdu_init(pdu, command, random_below(0x7fffffff));
	pdu->status = random_below(3) == 0 ? random_below(1280) : 0;
	switch (command) {
	case SMPP_BIND_RECEIVER:
	case SMPP_BIND_TRANSMITTER:
	case SMPP_BIND_TRANSCEIVER:
		pdu->bind.system_type = random_string(&pool, SMPP_SYSTEM_TYPE_SIZE);
		pdu->bind.interface_version = (uint8_t)random_below(256);
		random_address(&pool, &pdu->bind.range, SMPP_ADDRESS_RANGE_SIZE);
		/* fall through */
	case SMPP_OUTBIND:
		pdu->bind.system_id = random_string(&pool, SMPP_SYSTEM_ID_SIZE);
		pdu->bind.password = random_string(&pool, SMPP_PASSWORD_SIZE);
		break;
	case SMPP_SUBMIT_SM:
	case SMPP_DELIVER_SM:
	case SMPP_DATA_SM:
		random_sm(pdu, &pool);
		random_tlvs(pdu);
		break;
	case SMPP_ALERT_NOTIFICATION:
		random_address(&pool, &pdu->alert.source, SMPP_LONG_ADDRESS_SIZE);
		random_address(&pool, &pdu->alert.esme, SMPP_LONG_ADDRESS_SIZE);
		random_tlvs(pdu);
		break;
	case SMPP_BIND_TRANSCEIVER_RESP:
	case SMPP_BIND_RECEIVER_RESP:
		snprintf(pdu->id, SMPP_SYSTEM_ID_SIZE, "%s",
			 random_string(&pool, SMPP_SYSTEM_ID_SIZE));
		random_tlvs(pdu);
		break;
	case SMPP_SUBMIT_SM_RESP:
	case SMPP_DELIVER_SM_RESP:
	case SMPP_DATA_SM_RESP:
		snprintf(pdu->id, sizeof pdu->id, "%s", random_string(&pool, SMPP_ID_SIZE));
		random_tlvs(pdu);
		break;
	default:
		break;
	}
}

static void
whatever_is_written_is_read_and_written_again(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		char pool[1024];
		struct smpp_pdu pdu;
		struct smpp_pdu back;
		struct smpp_fault f;
		struct bytes b;
		struct bytes again;
		uint8_t *keep;

		random_pdu(&pdu, pool);
		b = written(&pdu);
		if (reads(b.p, b.n, MAX, 0, &back, &f, &keep) != SMPP_READ_PDU)
			fail_msg("round %u, seed %lu: %s refused for %s", i, seed,
				 smpp_command_name(pdu.command), f.field);
		assert_int_equal(back.sequence, pdu.sequence);
		assert_int_equal(back.status, pdu.status);
		assert_int_equal(back.tlv_n, pdu.tlv_n);
		again = written(&back);
		free(keep);
		if (again.n != b.n || memcmp(again.p, b.p, b.n) != 0)
			fail_msg("round %u, seed %lu: %s is not the same again", i, seed,
				 smpp_command_name(pdu.command));
	}
}

/* --- cut, garbled, hostile --- */

static void
a_cut_stream_waits_for_its_rest(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEM(exact); i++) {
		struct bytes b = bytes(exact[i].hex);

		for (size_t n = 0; n < b.n; n++) {
			struct smpp_pdu pdu;
			struct smpp_fault f;
			uint8_t *keep;

			assert_int_equal(reads(b.p, n, MAX, 0, &pdu, &f, &keep), SMPP_READ_MORE);
			assert_int_equal(pdu.length, n < 4 ? 0 : b.n);
			free(keep);
		}
	}
}

/* A PDU that says itself that it is as short as it was cut is whole, or a fault that keeps the
 * stream in step. */
static void
a_pdu_that_is_too_short_keeps_the_stream_in_step(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEM(exact); i++) {
		struct bytes b = bytes(exact[i].hex);

		for (size_t n = SMPP_HEADER_BYTES; n < b.n; n++) {
			struct smpp_pdu pdu;
			struct smpp_fault f;
			enum smpp_read answer;
			uint8_t *keep;

			b.p[3] = (uint8_t)n;
			answer = reads(b.p, n, MAX, 0, &pdu, &f, &keep);
			assert_true(answer == SMPP_READ_PDU || answer == SMPP_READ_BAD);
			assert_int_equal(pdu.length, n);
			assert_int_equal(pdu.sequence, (uint32_t)b.p[12] << 24 | b.p[13] << 16 |
							       b.p[14] << 8 | b.p[15]);
			if (answer == SMPP_READ_BAD)
				assert_true(f.at <= n && f.status != SMPP_ROK);
			free(keep);
		}
	}
}

static void
try_mutated(const struct bytes *b, unsigned lax)
{
	struct smpp_pdu pdu;
	struct smpp_fault f;
	uint8_t *keep;
	enum smpp_read answer = reads(b->p, b->n, MAX, lax, &pdu, &f, &keep);
	struct bytes again;
	struct err e;

	/* A request that passed says the same when it is written, or cannot be written. */
	if (answer == SMPP_READ_PDU && lax == 0 && !(pdu.command & SMPP_RESP) &&
	    pdu.tlv_n < SMPP_TLVS_MAX &&
	    smpp_write(&pdu, again.p, sizeof again.p, &again.n, &e) == RC_OK &&
	    (again.n != pdu.length || memcmp(again.p, b->p, again.n) != 0))
		fail_msg("%s is not the same again", smpp_command_name(pdu.command));
	if (answer == SMPP_READ_BAD || answer == SMPP_READ_LOST) {
		assert_non_null(f.field);
		assert_int_not_equal(f.status, SMPP_ROK);
		if (pdu.command & SMPP_RESP)
			assert_int_equal(f.answer, 0);
	}
	free(keep);
}

static void
no_changed_byte_does_harm(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEM(exact); i++) {
		struct bytes b = bytes(exact[i].hex);

		for (size_t at = 0; at < b.n; at++) {
			uint8_t was = b.p[at];

			for (unsigned v = 0; v < 256; v++) {
				b.p[at] = (uint8_t)v;
				try_mutated(&b, 0);
				try_mutated(&b,
					    SMPP_LAX_ID_END | SMPP_LAX_TLV_LENGTH | SMPP_LAX_REST);
			}
			b.p[at] = was;
		}
	}
}

#define ADDRESSES "00 0101 3832 00 0101 3131 00"
static const struct {
	const char *name;
	const char *hex; /* command_length is put in where it is 0 */
	enum smpp_read answer;
	uint32_t status;
	uint32_t command; /* of the answer */
	const char *field;
	unsigned lax; /* with it the PDU passes */
} faults[] = {
	{ "shorter than a header", HEADER("0000000f", "00000015", "00000000", "00000001"),
	  SMPP_READ_LOST, SMPP_RINVCMDLEN, SMPP_GENERIC_NACK, "command_length", 0 },
	{ "over the cap", HEADER("00001001", "00000005", "00000000", "00000001"), SMPP_READ_LOST,
	  SMPP_RINVCMDLEN, SMPP_GENERIC_NACK, "command_length", 0 },
	{ "over the cap, an answer", HEADER("ffffffff", "80000004", "00000000", "00000001"),
	  SMPP_READ_LOST, SMPP_RINVCMDLEN, 0, "command_length", 0 },
	{ "unknown command", HEADER("00000010", "00000777", "00000000", "00000009"), SMPP_READ_BAD,
	  SMPP_RINVCMDID, SMPP_GENERIC_NACK, "command_id", 0 },
	{ "unknown answer", HEADER("00000010", "80000777", "00000000", "00000009"), SMPP_READ_BAD,
	  SMPP_RINVCMDID, 0, "command_id", 0 },
	{ "answer to a command that has none",
	  HEADER("00000010", "8000000b", "00000000", "00000001"), SMPP_READ_BAD, SMPP_RINVCMDID, 0,
	  "command_id", 0 },
	{ "source_addr without end",
	  HEADER("00000000", "00000005", "00000000",
		 "00000001") "00 0101"
			     "3131313131313131313131313131313131313131 31 00",
	  SMPP_READ_BAD, SMPP_RINVSRCADR, SMPP_DELIVER_SM_RESP, "source_addr", 0 },
	{ "the PDU ends in source_addr",
	  HEADER("00000000", "00000005", "00000000", "00000001") "00 0101 3131", SMPP_READ_BAD,
	  SMPP_RINVCMDLEN, SMPP_DELIVER_SM_RESP, "source_addr", 0 },
	{ "service_type too long",
	  HEADER("00000000", "00000005", "00000000", "00000001") "414141414141 00", SMPP_READ_BAD,
	  SMPP_RINVSERTYP, SMPP_DELIVER_SM_RESP, "service_type", 0 },
	{ "sm_length behind the end",
	  HEADER("00000000", "00000005", "00000000", "00000001") ADDRESSES
	  "04 00 00 00 00 00 00 00 00 05 6869",
	  SMPP_READ_BAD, SMPP_RINVMSGLEN, SMPP_DELIVER_SM_RESP, "sm_length", 0 },
	{ "validity_period cut",
	  HEADER("00000000", "00000004", "00000000", "00000001") ADDRESSES
	  "00 00 00 00 3030 00 00 00 00 00 00",
	  SMPP_READ_BAD, SMPP_RINVEXPIRY, SMPP_SUBMIT_SM_RESP, "validity_period", 0 },
	{ "message_state of two bytes",
	  HEADER("00000000", "00000005", "00000000", "00000001") ADDRESSES
	  "04 00 00 00 00 00 00 00 00 00 0427 0002 0002",
	  SMPP_READ_BAD, SMPP_RINVPARLEN, SMPP_DELIVER_SM_RESP, "message_state",
	  SMPP_LAX_TLV_LENGTH },
	{ "parameter behind the end",
	  HEADER("00000000", "00000005", "00000000", "00000001") ADDRESSES
	  "04 00 00 00 00 00 00 00 00 00 0427 0002 00",
	  SMPP_READ_BAD, SMPP_RINVOPTPARSTREAM, SMPP_DELIVER_SM_RESP, "optional parameters",
	  SMPP_LAX_REST },
	{ "half a parameter",
	  HEADER("00000000", "00000005", "00000000", "00000001") ADDRESSES
	  "04 00 00 00 00 00 00 00 00 00 0427",
	  SMPP_READ_BAD, SMPP_RINVOPTPARSTREAM, SMPP_DELIVER_SM_RESP, "optional parameters",
	  SMPP_LAX_REST },
	{ "enquire_link with a body", HEADER("00000000", "00000015", "00000000", "00000001") "00",
	  SMPP_READ_BAD, SMPP_RINVCMDLEN, SMPP_ENQUIRE_LINK_RESP, "command_length", SMPP_LAX_REST },
	{ "message_id without its NUL",
	  HEADER("00000000", "80000004", "00000000", "00000001") "616263", SMPP_READ_BAD,
	  SMPP_RINVCMDLEN, 0, "message_id", SMPP_LAX_ID_END },
	{ "system_id of 16 letters",
	  HEADER("00000000", "00000009", "00000000",
		 "00000001") "41414141414141414141414141414141 00 00 00 34 00 00 00",
	  SMPP_READ_BAD, SMPP_RINVSYSID, SMPP_BIND_TRANSCEIVER_RESP, "system_id", 0 },
	{ "password of 9 letters",
	  HEADER("00000000", "00000009", "00000000",
		 "00000001") "41 00 414141414141414141 00 00 34 00 00 00",
	  SMPP_READ_BAD, SMPP_RINVPASWD, SMPP_BIND_TRANSCEIVER_RESP, "password", 0 },
};

static void
each_fault_has_its_answer(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEM(faults); i++) {
		struct bytes b = bytes(faults[i].hex);
		struct smpp_pdu pdu;
		struct smpp_pdu answer;
		struct smpp_fault f = { 0 };
		uint8_t *keep;
		enum smpp_read got;

		if (memcmp(b.p, "\0\0\0\0", 4) == 0)
			b.p[3] = (uint8_t)b.n;
		got = reads(b.p, b.n, MAX, 0, &pdu, &f, &keep);
		free(keep);
		if (got != faults[i].answer || f.status != faults[i].status ||
		    f.answer != faults[i].command || strcmp(f.field, faults[i].field) != 0)
			fail_msg("%s: answer %d, status 0x%x in %s, command 0x%x", faults[i].name,
				 (int)got, (unsigned)f.status, f.field, (unsigned)f.answer);
		if (f.answer != 0) {
			smpp_pdu_nack(&answer, &pdu, &f);
			b = written(&answer);
			assert_int_equal(b.n, SMPP_HEADER_BYTES);
			assert_int_equal(answer.sequence, pdu.sequence);
		}
		if (faults[i].lax == 0)
			continue;
		b = bytes(faults[i].hex);
		b.p[3] = (uint8_t)b.n;
		got = reads(b.p, b.n, MAX, faults[i].lax, &pdu, &f, &keep);
		if (got != SMPP_READ_PDU)
			fail_msg("%s: not tolerated", faults[i].name);
		free(keep);
	}
}

/* What a centre has decided must not get lost for what stands behind it. */
static void
an_answer_counts_by_status_and_id(void **state)
{
	static const struct {
		const char *hex;
		uint32_t status;
		const char *id;
		bool has_body;
	} cases[] = {
		{ "00000010 80000004 00000000 00000001", 0, "", false },
		{ "00000011 80000004 00000000 00000001 00", 0, "", true },
		{ "00000010 80000004 00000058 00000001", SMPP_RTHROTTLED, "", false },
		{ "00000012 80000004 00000008 00000001 4142", SMPP_RSYSERR, "", false },
		{ "00000013 80000004 0000000b 00000001 4142 00", SMPP_RINVDSTADR, "AB", true },
		{ "00000017 80000004 00000000 00000001 4142 00 0428 0009", 0, "AB", true },
		{ "00000014 80000004 00000000 00000001 41 00 0428", 0, "A", true },
		{ "00000012 80000015 00000000 00000001 0000", 0, "", false },
	};

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		struct bytes b = bytes(cases[i].hex);
		struct smpp_pdu pdu;
		struct smpp_fault f;
		uint8_t *keep;

		assert_int_equal(reads(b.p, b.n, MAX, 0, &pdu, &f, &keep), SMPP_READ_PDU);
		assert_int_equal(pdu.status, cases[i].status);
		assert_string_equal(pdu.id, cases[i].id);
		assert_int_equal(pdu.has_body, cases[i].has_body);
		free(keep);
	}
}

static void
an_id_without_its_nul_is_taken_where_tolerated(void **state)
{
	struct bytes b = bytes("00000013 80000004 00000000 00000001 616263");
	struct smpp_pdu pdu;
	struct smpp_fault f;
	uint8_t *keep;

	(void)state;
	assert_int_equal(reads(b.p, b.n, MAX, SMPP_LAX_ID_END, &pdu, &f, &keep), SMPP_READ_PDU);
	assert_string_equal(pdu.id, "abc");
	free(keep);
}

static void
parameters_without_end_are_bounded(void **state)
{
	struct bytes b = bytes("00000000 00000005 00000000 00000001" ADDRESSES
			       "04 00 00 00 00 00 00 00 00 00");
	struct smpp_pdu pdu;
	struct smpp_fault f;
	uint32_t v;
	uint8_t *keep;

	(void)state;
	for (unsigned i = 0; i < 4 * SMPP_TLVS_MAX; i++) {
		memcpy(b.p + b.n, "\x14\x00\x00\x01\x07", 5); /* nobody knows it */
		b.n += 5;
	}
	b.p[2] = (uint8_t)(b.n >> 8);
	b.p[3] = (uint8_t)b.n;
	assert_int_equal(reads(b.p, b.n, MAX, 0, &pdu, &f, &keep), SMPP_READ_PDU);
	assert_int_equal(pdu.tlv_n, SMPP_TLVS_MAX);
	assert_true(smpp_tlv_int(&pdu, 0x1400, &v));
	assert_int_equal(v, 7);
	free(keep);
	memcpy(b.p + b.n - 5, "\x04\x27\x00\x01\x02", 5); /* one that counts found no place */
	assert_int_equal(reads(b.p, b.n, MAX, 0, &pdu, &f, &keep), SMPP_READ_BAD);
	assert_int_equal(f.status, SMPP_RINVOPTPARSTREAM);
	free(keep);
}

/* --- what cannot be written --- */

static void
fields_that_do_not_fit_are_named(void **state)
{
	static const uint8_t text[300];
	struct smpp_pdu pdu;
	uint8_t buf[MAX];
	size_t n;
	struct err e;

	(void)state;
	make_bind(&pdu);
	pdu.bind.password = "nine char";
	assert_int_equal(smpp_write(&pdu, buf, sizeof buf, &n, &e), RC_DATA);
	assert_non_null(strstr(e.text, "password"));
	assert_null(strstr(e.text, "nine"));
	make_submit(&pdu);
	pdu.sm.destination.digits = "123456789012345678901";
	assert_int_equal(smpp_write(&pdu, buf, sizeof buf, &n, &e), RC_DATA);
	assert_non_null(strstr(e.text, "destination_addr"));
	make_submit(&pdu);
	pdu.sm.text = text;
	pdu.sm.text_n = 255;
	assert_int_equal(smpp_write(&pdu, buf, sizeof buf, &n, &e), RC_DATA);
	make_submit(&pdu);
	put(&pdu, SMPP_TLV_MESSAGE_PAYLOAD, text, 255);
	assert_int_equal(smpp_write(&pdu, buf, sizeof buf, &n, &e), RC_DATA);
	make_submit(&pdu);
	pdu.sm.validity = "1h";
	assert_int_equal(smpp_write(&pdu, buf, sizeof buf, &n, &e), RC_DATA);
	make_submit(&pdu);
	put(&pdu, SMPP_TLV_MESSAGE_STATE, text, 2);
	assert_int_equal(smpp_write(&pdu, buf, sizeof buf, &n, &e), RC_DATA);
	make_submit(&pdu);
	for (size_t room = 0; room < 0x52; room++)
		assert_int_equal(smpp_write(&pdu, buf, room, &n, &e), RC_BUG);
	assert_int_equal(smpp_write(&pdu, buf, 0x52, &n, &e), RC_OK);
	smpp_pdu_init(&pdu, 0x777, 1);
	assert_int_equal(smpp_write(&pdu, buf, sizeof buf, &n, &e), RC_BUG);
}

static void
answers_to_requests(void **state)
{
	struct smpp_pdu pdu;
	struct smpp_pdu answer;

	(void)state;
	make_deliver(&pdu);
	smpp_pdu_answer(&answer, &pdu, SMPP_ROK);
	assert_int_equal(answer.command, SMPP_DELIVER_SM_RESP);
	assert_int_equal(answer.sequence, 7);
	assert_int_equal(written(&answer).n, SMPP_HEADER_BYTES + 1);
	smpp_pdu_answer(&answer, &pdu, SMPP_RX_T_APPN);
	assert_int_equal(written(&answer).n, SMPP_HEADER_BYTES);
	make_outbind(&pdu);
	smpp_pdu_answer(&answer, &pdu, SMPP_RINVCMDID);
	assert_int_equal(answer.command, SMPP_GENERIC_NACK);
	assert_int_equal(smpp_sequence_next(0), 1);
	assert_int_equal(smpp_sequence_next(41), 42);
	assert_int_equal(smpp_sequence_next(SMPP_SEQUENCE_MAX), 1);
}

static void
relative_times(void **state)
{
	static const struct {
		int64_t seconds;
		const char *text;
	} cases[] = {
		{ -5, "000000000000000R" },	   { 0, "000000000000000R" },
		{ 59, "000000000059000R" },	   { 3600, "000000010000000R" },
		{ 183845, "000002030405000R" },	   { 30 * 86400, "000030000000000R" },
		{ INT64_MAX, "000030000000000R" },
	};

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		char out[SMPP_TIME_SIZE];

		smpp_time_relative(cases[i].seconds, out);
		assert_string_equal(out, cases[i].text);
	}
}

static void
words_and_statuses(void **state)
{
	static const struct {
		uint32_t value;
		enum smpp_reaction reaction;
		const char *code;
		const char *name;
	} cases[] = {
		{ 0x00, SMPP_TAKEN, "0000", "ROK" },
		{ 0x58, SMPP_THROTTLE, "7005", "RTHROTTLED" },
		{ 0x14, SMPP_THROTTLE, "7006", "RMSGQFUL" },
		{ 0x08, SMPP_RETRY, "7006", "RSYSERR" },
		{ 0x64, SMPP_RETRY, "7006", "RX_T_APPN" },
		{ 0x04, SMPP_REBIND, "7099", "RINVBNDSTS" },
		{ 0x0b, SMPP_FINAL, "4001", "RINVDSTADR" },
		{ 0x66, SMPP_FINAL, "7099", "RX_R_APPN" },
		{ 0x45, SMPP_FINAL, "7099", "RSUBMITFAIL" },
		{ 0x400, SMPP_FINAL, "9099", "unlisted" },
		{ 0xffffffff, SMPP_FINAL, "9099", "unlisted" },
	};

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		const struct smpp_status *s = smpp_status_find(cases[i].value);

		assert_int_equal(s->reaction, cases[i].reaction);
		assert_string_equal(s->code, cases[i].code);
		assert_string_equal(s->name, cases[i].name);
	}
	assert_true(smpp_status_refuses_bind(SMPP_RINVPASWD));
	assert_false(smpp_status_refuses_bind(SMPP_RALYBND));
	assert_string_equal(smpp_command_name(SMPP_SUBMIT_SM_RESP), "submit_sm_resp");
	assert_string_equal(smpp_command_name(SMPP_GENERIC_NACK), "generic_nack");
	assert_string_equal(smpp_command_name(SMPP_OUTBIND | SMPP_RESP), "command");
	assert_string_equal(smpp_tlv_name(SMPP_TLV_CONGESTION_STATE), "congestion_state");
	assert_null(smpp_tlv_name(0x1400));
	/* Every parameter is found: the table is in order. */
#define SMPP_TLV_DEF(id, tag, least, most, name) assert_string_equal(smpp_tlv_name(tag), name);
#include "drivers/channel/smpp_words.def"
#undef SMPP_TLV_DEF
#define SMPP_STATE_DEF(id, value, word) \
	assert_int_equal(smpp_state_parse(word, strlen(word)), value);
#include "drivers/channel/smpp_words.def"
#undef SMPP_STATE_DEF
	assert_int_equal(smpp_state_parse("delivrd", 7), SMPP_STATE_DELIVERED);
	assert_int_equal(smpp_state_parse("BUFFRED", 7), SMPP_STATE_ENROUTE);
	assert_int_equal(smpp_state_parse("DELIV", 5), SMPP_STATE_NONE);
	assert_string_equal(smpp_state_word(SMPP_STATE_DELIVERED), "DELIVRD");
	assert_string_equal(smpp_state_word(SMPP_STATE_NONE), "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_byte_is_where_the_specification_has_it),
		cmocka_unit_test(fields_of_a_deliver_sm),
		cmocka_unit_test(whatever_is_written_is_read_and_written_again),
		cmocka_unit_test(a_cut_stream_waits_for_its_rest),
		cmocka_unit_test(a_pdu_that_is_too_short_keeps_the_stream_in_step),
		cmocka_unit_test(no_changed_byte_does_harm),
		cmocka_unit_test(each_fault_has_its_answer),
		cmocka_unit_test(an_answer_counts_by_status_and_id),
		cmocka_unit_test(an_id_without_its_nul_is_taken_where_tolerated),
		cmocka_unit_test(parameters_without_end_are_bounded),
		cmocka_unit_test(fields_that_do_not_fit_are_named),
		cmocka_unit_test(answers_to_requests),
		cmocka_unit_test(relative_times),
		cmocka_unit_test(words_and_statuses),
	};
	const char *given = getenv("MTRELAY_SEED");

	seed = given != NULL ? strtoul(given, NULL, 10) : (unsigned long)time(NULL);
	random_state = seed * 0x9e3779b97f4a7c15u + 1;
	print_message("# MTRELAY_SEED=%lu\n", seed);
	return cmocka_run_group_tests_name("smpp_pdu", tests, NULL, NULL);
}
