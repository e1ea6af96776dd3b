/* A stream of PDUs from a hostile peer: each is read within its bounds, what passes strictly says
 * the same when it is written again, and an answer is never answered. The first byte chooses what
 * is tolerated. */
#include "config.h"
#include "drivers/channel/smpp_pdu.h"
#include "drivers/channel/smpp_text.h"
#include "tests/fuzz/fuzz.h"

#define CAP 4096

static void
see_text(const char *s, size_t size)
{
	must(strlen(s) < size);
}

static void
see_address(const struct smpp_address *a, size_t size)
{
	see_text(a->digits, size);
}

static void
see_message(const struct smpp_pdu *pdu)
{
	const struct smpp_sm *m = &pdu->sm;
	struct smpp_incoming in;
	char text[256];
	size_t n;

	see_text(m->service_type, SMPP_SERVICE_TYPE_SIZE);
	see_address(&m->source, SMPP_LONG_ADDRESS_SIZE);
	see_address(&m->destination, SMPP_LONG_ADDRESS_SIZE);
	see_text(m->schedule, SMPP_TIME_SIZE);
	see_text(m->validity, SMPP_TIME_SIZE);
	must(m->text_n <= SMPP_SHORT_MESSAGE_MAX);
	smpp_text_incoming(pdu, &in);
	must(in.part_no <= in.total);
	n = smpp_text_decode((enum smpp_charset)(m->data_coding % SMPP_CHARSET_COUNT), in.p, in.n,
			     text, sizeof text);
	must(strlen(text) <= n && (n >= sizeof text || strlen(text) == n));
}

static void
see(const struct smpp_pdu *pdu)
{
	switch (pdu->command) {
	case SMPP_SUBMIT_SM:
	case SMPP_DELIVER_SM:
	case SMPP_DATA_SM:
		see_message(pdu);
		break;
	case SMPP_BIND_RECEIVER:
	case SMPP_BIND_TRANSMITTER:
	case SMPP_BIND_TRANSCEIVER:
	case SMPP_OUTBIND:
		see_text(pdu->bind.system_id, SMPP_SYSTEM_ID_SIZE);
		see_text(pdu->bind.password, SMPP_PASSWORD_SIZE);
		see_text(pdu->bind.system_type, SMPP_SYSTEM_TYPE_SIZE);
		see_address(&pdu->bind.range, SMPP_ADDRESS_RANGE_SIZE);
		break;
	case SMPP_ALERT_NOTIFICATION:
		see_address(&pdu->alert.source, SMPP_LONG_ADDRESS_SIZE);
		see_address(&pdu->alert.esme, SMPP_LONG_ADDRESS_SIZE);
		break;
	default:
		if (pdu->command & SMPP_RESP)
			must(memchr(pdu->id, '\0', sizeof pdu->id) != NULL);
		break;
	}
	for (size_t i = 0; i < pdu->tlv_n; i++) {
		const uint8_t *v = smpp_tlv_value(&pdu->tlv[i]);
		unsigned sum = 0;

		for (size_t k = 0; k < pdu->tlv[i].n; k++)
			sum += v[k];
		must(sum <= 255u * 65535u);
	}
}

static void
same_again(const struct smpp_pdu *pdu, const uint8_t *p)
{
	static uint8_t again[CAP];
	struct err e;
	size_t n;

	if (pdu->command & SMPP_RESP || pdu->tlv_n == SMPP_TLVS_MAX)
		return;
	if (smpp_write(pdu, again, sizeof again, &n, &e) == RC_OK)
		must(n == pdu->length && memcmp(again, p, n) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes b = { data, size };
	unsigned lax = take_byte(&b) & (SMPP_LAX_ID_END | SMPP_LAX_TLV_LENGTH | SMPP_LAX_REST);

	for (;;) {
		struct smpp_pdu pdu;
		struct smpp_pdu answer;
		struct smpp_fault f = { 0 };
		uint8_t wire[SMPP_HEADER_BYTES + 1];
		struct err e;
		size_t n;
		enum smpp_read got = smpp_read(b.p, b.n, CAP, lax, &pdu, &f);

		if (got == SMPP_READ_MORE) {
			must(pdu.length == 0 || pdu.length > b.n);
			return 0;
		}
		if (got == SMPP_READ_PDU) {
			see(&pdu);
			if (lax == 0)
				same_again(&pdu, b.p);
			smpp_pdu_answer(&answer, &pdu, SMPP_ROK);
			must(smpp_write(&answer, wire, sizeof wire, &n, &e) == RC_OK);
		} else {
			must(f.field != NULL && f.status != SMPP_ROK);
			must(!(pdu.command & SMPP_RESP) || f.answer == 0);
			if (f.answer != 0) {
				smpp_pdu_nack(&answer, &pdu, &f);
				must(smpp_write(&answer, wire, sizeof wire, &n, &e) == RC_OK);
			}
		}
		if (got == SMPP_READ_LOST)
			return 0;
		must(pdu.length >= SMPP_HEADER_BYTES && pdu.length <= b.n);
		(void)take_some(&b, pdu.length);
	}
}
