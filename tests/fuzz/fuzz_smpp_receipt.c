/* Whatever a receipt says: a report has an id and what is final a code, nothing that is no
 * printable word gets into it, and an id always meets itself. The first bytes choose the rules and
 * the parameters beside the text. */
#include "config.h"
#include "drivers/channel/smpp_receipt.h"
#include "tests/fuzz/fuzz.h"

static void
see_word(const char *s)
{
	for (; *s != '\0'; s++)
		must(*s > ' ' && *s <= '~');
}

static void
see_report(const struct report *r)
{
	must(r->provider_id[0] != '\0');
	must(r->class != REPORT_FAIL || r->code[0] != '\0');
	see_word(r->provider_id);
	see_word(r->provider_code);
	must(r->done_at[0] == '\0' || strlen(r->done_at) == 23);
}

/* The key is an id that has itself for a key, on whatever side it comes again as it was written
 * first. */
static void
see_id(const struct smpp_id_rules *r, const char *p, size_t n)
{
	char key[PROVIDER_ID_MAX + 1];
	char again[PROVIDER_ID_MAX + 1];

	if (!smpp_id_key(r, SMPP_ID_OF_SUBMIT, p, n, key))
		return;
	see_word(key);
	must(smpp_id_key(r, SMPP_ID_OF_SUBMIT, key, strlen(key), again));
	must(strcmp(key, again) == 0);
}

static void
read_it(struct bytes b, const struct codemap *codes)
{
	unsigned flags = take_byte(&b);
	unsigned forms = take_byte(&b);
	struct smpp_receipt_rules r = {
		.codes = codes,
		.ids = { .form = { (enum smpp_id_form)(forms % 3),
				   (enum smpp_id_form)(forms / 3 % 3),
				   (enum smpp_id_form)(forms / 9 % 3) },
			 .width_bits = flags & 1   ? 32
				       : flags & 2 ? 64
						   : 0,
			 .fold_case = flags & 4,
			 .strip_zeros = flags & 8 },
		.channel = "fuzz",
		.zone_min = (int)(forms * 4) - 512,
		.plain_text = flags & 16,
	};
	struct smpp_pdu pdu;
	struct smpp_receipt got;
	struct bytes id;
	bool ok = true;

	smpp_pdu_init(&pdu, flags & 32 ? SMPP_DATA_SM : SMPP_DELIVER_SM, 1);
	pdu.sm.esm_class = (uint8_t)take_byte(&b);
	pdu.sm.data_coding = (uint8_t)take_byte(&b);
	id = take_some(&b, take_byte(&b) % 66);
	if (id.n > 0)
		ok &= smpp_tlv_put(&pdu, SMPP_TLV_RECEIPTED_MESSAGE_ID, id.p, id.n);
	if (flags & 64)
		ok &= smpp_tlv_put_int(&pdu, SMPP_TLV_MESSAGE_STATE, 1, take_byte(&b));
	if (flags & 128)
		ok &= smpp_tlv_put_int(&pdu, SMPP_TLV_NETWORK_ERROR_CODE, 3,
				       (uint32_t)take_int(&b, 3));
	if (b.n > SMPP_SHORT_MESSAGE_MAX) {
		ok &= smpp_tlv_put(&pdu, SMPP_TLV_MESSAGE_PAYLOAD, b.p, b.n < 65535 ? b.n : 65535);
	} else {
		pdu.sm.text = b.p;
		pdu.sm.text_n = b.n;
	}
	must(ok);
	if (smpp_receipt_read(&pdu, &r, &got) == SMPP_DELIVERY_REPORT)
		see_report(&got.report);
	see_id(&r.ids, (const char *)id.p, id.n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct codemap *codes;
	char *p = copy_of((struct bytes){ data, size });
	struct err e;

	must(codes != NULL || codemap_builtin("smpp", &codes, &e) == RC_OK);
	read_it((struct bytes){ (const uint8_t *)p, size }, codes);
	free(p);
	return 0;
}
