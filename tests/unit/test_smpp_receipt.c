/* Delivery receipts in the dialects of the field, where they meet the answer to submit_sm, and what
 * the answers mean. */
#include "config.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "drivers/channel/smpp_receipt.h"

static struct codemap *codes;

static int
setup(void **state)
{
	struct err e;

	(void)state;
	return codemap_builtin("smpp", &codes, &e) == RC_OK ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	codemap_free(codes);
	return 0;
}

static struct smpp_receipt_rules
rules(void)
{
	return (struct smpp_receipt_rules){ .codes = codes, .channel = "smsc" };
}

static struct smpp_pdu
deliver(uint8_t esm_class, const char *text)
{
	struct smpp_pdu pdu;

	smpp_pdu_init(&pdu, SMPP_DELIVER_SM, 1);
	pdu.sm.esm_class = esm_class;
	pdu.sm.text = (const uint8_t *)text;
	pdu.sm.text_n = strlen(text);
	return pdu;
}

static void
put(struct smpp_pdu *pdu, uint16_t tag, const void *p, size_t n)
{
	assert_true(smpp_tlv_put(pdu, tag, p, n));
}

/* --- the text form --- */

static const struct {
	const char *text;
	enum smpp_delivery delivery;
	enum report_class class;
	const char *id;
	const char *code;
	const char *provider_code;
	const char *done_at;
} texts[] = {
	/* As the specification has it. */
	{ "id:1234567890 sub:001 dlvrd:001 submit date:2403011230 done date:2403011231 "
	  "stat:DELIVRD err:000 text:hello",
	  SMPP_DELIVERY_REPORT, REPORT_OK, "1234567890", "0000", "DELIVRD/000",
	  "2024-03-01 12:31:00.000" },
	{ "id:a sub:001 dlvrd:000 submit date:240301123000 done date:240301123159 stat:UNDELIV "
	  "err:042 Text:",
	  SMPP_DELIVERY_REPORT, REPORT_FAIL, "a", "4010", "UNDELIV/042",
	  "2024-03-01 12:31:59.000" },
	/* Seconds, centuries, words and separators of their own. */
	{ "id:a submit date:20240301123000 done date:20240301123159 stat:EXPIRED err:0",
	  SMPP_DELIVERY_REPORT, REPORT_FAIL, "a", "4011", "EXPIRED/0", "2024-03-01 12:31:59.000" },
	{ "ID:a STAT:delivrd ERR:000", SMPP_DELIVERY_REPORT, REPORT_OK, "a", "0000", "delivrd/000",
	  "" },
	{ "stat:DELIVRD done date:2403011231 id:a", SMPP_DELIVERY_REPORT, REPORT_OK, "a", "0000",
	  "DELIVRD", "2024-03-01 12:31:00.000" },
	{ "id: a  stat: DELIVRD  err: 000", SMPP_DELIVERY_REPORT, REPORT_OK, "a", "0000",
	  "DELIVRD/000", "" },
	{ "id=a;stat=DELIVRD;err=000", SMPP_DELIVERY_REPORT, REPORT_OK, "a", "0000", "DELIVRD/000",
	  "" },
	{ "id:a,sub:001,submit_date:2403011230,done_date:2403011231,stat:DELIVRD,err:000,text:x",
	  SMPP_DELIVERY_REPORT, REPORT_OK, "a", "0000", "DELIVRD/000", "2024-03-01 12:31:00.000" },
	{ "id:a\nstat:DELIVRD\nsubmitdate:2403011230\ndonedate:2403011231\n", SMPP_DELIVERY_REPORT,
	  REPORT_OK, "a", "0000", "DELIVRD", "2024-03-01 12:31:00.000" },
	{ "id:0123-4567:89.ab@x_y stat:REJECTD err:E12", SMPP_DELIVERY_REPORT, REPORT_FAIL,
	  "0123-4567:89.ab@x_y", "7099", "REJECTD/E12", "" },
	/* An empty field is followed by the next. */
	{ "id:a stat:DELIVRD err: text:b", SMPP_DELIVERY_REPORT, REPORT_OK, "a", "0000", "DELIVRD",
	  "" },
	{ "id:a sub: dlvrd: submit date: done date: stat:DELIVRD err:", SMPP_DELIVERY_REPORT,
	  REPORT_OK, "a", "0000", "DELIVRD", "" },
	/* Impossible dates are left out. */
	{ "id:a done date:2413011231 stat:DELIVRD", SMPP_DELIVERY_REPORT, REPORT_OK, "a", "0000",
	  "DELIVRD", "" },
	{ "id:a done date:24030112 stat:DELIVRD", SMPP_DELIVERY_REPORT, REPORT_OK, "a", "0000",
	  "DELIVRD", "" },
	/* Not final. */
	{ "id:a stat:ACCEPTD err:000", SMPP_DELIVERY_REPORT, REPORT_PENDING, "a", "", "ACCEPTD/000",
	  "" },
	{ "id:a stat:ENROUTE", SMPP_DELIVERY_REPORT, REPORT_PENDING, "a", "", "ENROUTE", "" },
	{ "id:a stat:BUFFRED", SMPP_DELIVERY_REPORT, REPORT_PENDING, "a", "", "BUFFRED", "" },
	{ "id:a stat:ACKED", SMPP_DELIVERY_REPORT, REPORT_PENDING, "a", "", "ACKED", "" },
	{ "id:a stat:UNKNOWN err:001", SMPP_DELIVERY_REPORT, REPORT_PENDING, "a", "8003",
	  "UNKNOWN/001", "" },
	/* Nobody knows the word: nothing is called failed on a guess. */
	{ "id:a stat:KAPUTT err:001", SMPP_DELIVERY_REPORT, REPORT_PENDING, "a", "", "KAPUTT/001",
	  "" },
	{ "id:a stat:DELETED", SMPP_DELIVERY_REPORT, REPORT_FAIL, "a", "7099", "DELETED", "" },
	{ "id:a stat:SKIPPED", SMPP_DELIVERY_REPORT, REPORT_FAIL, "a", "7099", "SKIPPED", "" },
	/* What the message says itself counts for nothing. */
	{ "id:a stat:UNDELIV err:001 text:id:b stat:DELIVRD", SMPP_DELIVERY_REPORT, REPORT_FAIL,
	  "a", "4010", "UNDELIV/001", "" },
	{ "id:a err:001 text:stat:DELIVRD", SMPP_DELIVERY_UNREADABLE, REPORT_OK, "a", "", "/001",
	  "" },
	{ "text:hello id:a stat:DELIVRD", SMPP_DELIVERY_REPORT, REPORT_OK, "a", "0000", "DELIVRD",
	  "" },
	/* A name is a word of its own. */
	{ "msgid:b id:a prestat:UNDELIV stat:DELIVRD", SMPP_DELIVERY_REPORT, REPORT_OK, "a", "0000",
	  "DELIVRD", "" },
	{ "id:a id:b stat:DELIVRD stat:UNDELIV", SMPP_DELIVERY_REPORT, REPORT_OK, "a", "0000",
	  "DELIVRD", "" },
	{ "stat:DELIVRD err:000", SMPP_DELIVERY_UNREADABLE, REPORT_OK, "", "", "DELIVRD/000", "" },
	{ "id:a", SMPP_DELIVERY_UNREADABLE, REPORT_OK, "a", "", "", "" },
	{ "", SMPP_DELIVERY_UNREADABLE, REPORT_OK, "", "", "", "" },
	{ "id:\x01 stat:DELIVRD", SMPP_DELIVERY_UNREADABLE, REPORT_OK, "", "", "DELIVRD", "" },
};

static void
check(const char *name, const struct smpp_receipt *got, size_t i)
{
	const struct report *r = &got->report;

	if (texts[i].delivery == SMPP_DELIVERY_REPORT &&
	    (r->class != texts[i].class || strcmp(r->code, texts[i].code) != 0))
		fail_msg("%s: class %d code %s", name, (int)r->class, r->code);
	if (strcmp(r->provider_id, texts[i].id) != 0 ||
	    strcmp(r->provider_code, texts[i].provider_code) != 0 ||
	    strcmp(r->done_at, texts[i].done_at) != 0)
		fail_msg("%s: id \"%s\" provider code \"%s\" done \"%s\"", name, r->provider_id,
			 r->provider_code, r->done_at);
	assert_string_equal(r->channel, "smsc");
	assert_string_equal(r->client_key, "");
	if ((got->why != NULL) != (texts[i].delivery == SMPP_DELIVERY_UNREADABLE))
		fail_msg("%s: %s", name, got->why == NULL ? "no reason" : got->why);
}

static void
texts_of_receipts(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEM(texts); i++) {
		const char *text = texts[i].text;
		size_t n = strlen(text);
		struct smpp_pdu pdu = deliver(SMPP_ESM_RECEIPT, text);
		struct smpp_receipt_rules r = rules();
		struct smpp_receipt got;
		uint8_t wide[512];

		if (smpp_receipt_read(&pdu, &r, &got) != texts[i].delivery)
			fail_msg("\"%s\" is something else", text);
		check(text, &got, i);
		/* The same in message_payload, and in UCS-2. */
		pdu.sm.text_n = 0;
		put(&pdu, SMPP_TLV_MESSAGE_PAYLOAD, text, n);
		assert_int_equal(smpp_receipt_read(&pdu, &r, &got), texts[i].delivery);
		check(text, &got, i);
		for (size_t k = 0; k < n; k++) {
			wide[2 * k] = 0;
			wide[2 * k + 1] = (uint8_t)text[k];
		}
		pdu = deliver(SMPP_ESM_RECEIPT, "");
		pdu.command = SMPP_DATA_SM;
		pdu.sm.data_coding = 8;
		put(&pdu, SMPP_TLV_MESSAGE_PAYLOAD, wide, 2 * n);
		assert_int_equal(smpp_receipt_read(&pdu, &r, &got), texts[i].delivery);
		check(text, &got, i);
	}
}

static void
the_centres_clock(void **state)
{
	struct smpp_pdu pdu = deliver(SMPP_ESM_RECEIPT, "id:a done date:2403010230 stat:DELIVRD");
	struct smpp_receipt_rules r = rules();
	struct smpp_receipt got;

	(void)state;
	r.zone_min = 9 * 60;
	assert_int_equal(smpp_receipt_read(&pdu, &r, &got), SMPP_DELIVERY_REPORT);
	assert_string_equal(got.report.done_at, "2024-02-29 17:30:00.000");
	r.zone_min = -(3 * 60 + 30);
	assert_int_equal(smpp_receipt_read(&pdu, &r, &got), SMPP_DELIVERY_REPORT);
	assert_string_equal(got.report.done_at, "2024-03-01 06:00:00.000");
}

/* --- parameters --- */

static void
parameters_go_before_the_text(void **state)
{
	struct smpp_pdu pdu = deliver(SMPP_ESM_RECEIPT | SMPP_ESM_UDHI,
				      "\x05\x02\x03\x01\x02\x03id:text stat:UNDELIV err:001");
	struct smpp_receipt_rules r = rules();
	struct smpp_receipt got;

	(void)state;
	/* With its NUL, as specified, and without. */
	for (size_t n = 3; n <= 4; n++) {
		pdu.tlv_n = 0;
		put(&pdu, SMPP_TLV_RECEIPTED_MESSAGE_ID, "tlv", n);
		put(&pdu, SMPP_TLV_MESSAGE_STATE, "\x02", 1);
		put(&pdu, SMPP_TLV_USER_MESSAGE_REFERENCE, "\x12\x34", 2);
		assert_int_equal(smpp_receipt_read(&pdu, &r, &got), SMPP_DELIVERY_REPORT);
		assert_string_equal(got.report.provider_id, "tlv");
		assert_string_equal(got.report.provider_code, "DELIVRD/001");
		assert_int_equal(got.report.class, REPORT_OK);
		assert_true(got.has_reference);
		assert_int_equal(got.reference, 0x1234);
	}
	/* A state that nobody knows: the word then. */
	pdu.tlv_n = 0;
	put(&pdu, SMPP_TLV_MESSAGE_STATE, "\x63", 1);
	assert_int_equal(smpp_receipt_read(&pdu, &r, &got), SMPP_DELIVERY_REPORT);
	assert_string_equal(got.report.provider_id, "text");
	assert_int_equal(got.report.class, REPORT_FAIL);
	pdu.sm.text_n = 0;
	put(&pdu, SMPP_TLV_RECEIPTED_MESSAGE_ID, "tlv", 4);
	assert_int_equal(smpp_receipt_read(&pdu, &r, &got), SMPP_DELIVERY_REPORT);
	assert_int_equal(got.report.class, REPORT_PENDING);
	assert_string_equal(got.report.provider_code, "99");
}

static void
causes_of_the_network(void **state)
{
	static const struct {
		const char *value;
		const char *text;
		const char *code;
		const char *provider_code;
	} cases[] = {
		{ "\x03\x00\x01", "err:099", "4001", "UNDELIV/3-1" }, /* unknown subscriber */
		{ "\x03\x00\x1b", "", "4003", "UNDELIV/3-27" },	      /* absent */
		{ "\x03\x01\xf4", "", "4010", "UNDELIV/3-500" },      /* no row: the state's */
		{ "\x03\x00\x00", "err:099", "4010", "UNDELIV/099" }, /* none */
		{ "\x02\x00\x01", "", "4010", "UNDELIV/2-1" },	      /* no GSM network */
		{ "027", "", "4010", "UNDELIV/027" },		      /* three digits */
	};
	struct smpp_receipt_rules r = rules();

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		struct smpp_pdu pdu = deliver(SMPP_ESM_RECEIPT, cases[i].text);
		struct smpp_receipt got;

		put(&pdu, SMPP_TLV_RECEIPTED_MESSAGE_ID, "a", 2);
		put(&pdu, SMPP_TLV_MESSAGE_STATE, "\x05", 1);
		put(&pdu, SMPP_TLV_NETWORK_ERROR_CODE, cases[i].value, 3);
		assert_int_equal(smpp_receipt_read(&pdu, &r, &got), SMPP_DELIVERY_REPORT);
		assert_int_equal(got.report.class, REPORT_FAIL);
		if (strcmp(got.report.code, cases[i].code) != 0 ||
		    strcmp(got.report.provider_code, cases[i].provider_code) != 0)
			fail_msg("case %zu: %s, %s", i, got.report.code, got.report.provider_code);
	}
}

static void
a_code_map_of_the_customers(void **state)
{
	static const char map[] = "receipt status 2 0000 ok x\n"
				  "receipt status 5 4010 fail? x\n"
				  "receipt status 6 0000 ok x\n"
				  "receipt error 42 4005 fail x\n"
				  "submit status 1025 7003 stop x\n"
				  "submit status 11 6005 fail x\n"
				  "submit status 69 7006 again x\n"
				  "submit status 1026 7007 dup x\n";
	struct smpp_receipt_rules r = rules();
	struct smpp_pdu pdu = deliver(SMPP_ESM_RECEIPT, "id:a stat:UNDELIV err:042");
	struct smpp_receipt got;
	static const struct {
		uint32_t status;
		enum outcome_kind kind;
		enum smpp_reaction reaction;
		const char *code;
	} cases[] = {
		{ 1025, OUT_DEFERRED, SMPP_STOP, "7003" },
		{ 11, OUT_REJECTED, SMPP_FINAL, "6005" },
		{ 69, OUT_DEFERRED, SMPP_RETRY, "7006" },
		{ 1026, OUT_ACCEPTED, SMPP_TAKEN, "" },
		{ 1027, OUT_REJECTED, SMPP_FINAL, "9099" },
		{ 0x58, OUT_DEFERRED, SMPP_THROTTLE, "7005" },
	};
	struct codemap *own;
	struct err e;

	(void)state;
	assert_int_equal(codemap_parse("own", map, strlen(map), &own, &e), RC_OK);
	r.codes = own;
	assert_int_equal(smpp_receipt_read(&pdu, &r, &got), SMPP_DELIVERY_REPORT);
	assert_string_equal(got.report.code, "4005");
	pdu = deliver(SMPP_ESM_RECEIPT, "id:a stat:ACCEPTD");
	assert_int_equal(smpp_receipt_read(&pdu, &r, &got), SMPP_DELIVERY_REPORT);
	assert_int_equal(got.report.class, REPORT_OK);
	for (size_t i = 0; i < NELEM(cases); i++) {
		struct outcome o;
		enum smpp_reaction reaction;

		smpp_pdu_init(&pdu, SMPP_SUBMIT_SM_RESP, 1);
		pdu.status = cases[i].status;
		smpp_outcome(own, &r.ids, &pdu, &o, &reaction);
		assert_int_equal(o.kind, cases[i].kind);
		assert_int_equal(reaction, cases[i].reaction);
		assert_string_equal(o.code, cases[i].code);
	}
	codemap_free(own);
}

/* --- what is a receipt --- */

static void
kinds_of_deliveries(void **state)
{
	static const char receipt[] = "id:a stat:DELIVRD";
	static const struct {
		uint8_t esm_class;
		bool tlvs;
		bool plain_text;
		const char *text;
		enum smpp_delivery delivery;
		enum report_class class;
	} cases[] = {
		{ 0x00, false, false, "hello", SMPP_DELIVERY_MO, 0 },
		{ 0x40, false, false, "\x05\x70\x03\x01\x02\x01hello", SMPP_DELIVERY_MO, 0 },
		{ 0x04, false, false, receipt, SMPP_DELIVERY_REPORT, REPORT_OK },
		{ 0x44, false, false, "\x05\x70\x03\x01\x02\x01id:a stat:DELIVRD",
		  SMPP_DELIVERY_REPORT, REPORT_OK },
		{ 0x07, false, false, receipt, SMPP_DELIVERY_REPORT, REPORT_OK }, /* mode bits */
		{ 0x20, false, false, receipt, SMPP_DELIVERY_REPORT, REPORT_PENDING },
		{ 0x20, false, false, "id:a stat:ENROUTE", SMPP_DELIVERY_REPORT, REPORT_PENDING },
		{ 0x24, false, false, receipt, SMPP_DELIVERY_REPORT, REPORT_OK },
		{ 0x08, false, false, "yes", SMPP_DELIVERY_ACK, 0 },
		{ 0x10, true, true, receipt, SMPP_DELIVERY_ACK, 0 },
		/* The bit was forgotten: the parameters tell, a text only where it is allowed. */
		{ 0x00, true, false, "", SMPP_DELIVERY_REPORT, REPORT_OK },
		{ 0x00, false, false, receipt, SMPP_DELIVERY_MO, 0 },
		{ 0x00, false, true, receipt, SMPP_DELIVERY_REPORT, REPORT_OK },
		{ 0x00, false, true, "id: please", SMPP_DELIVERY_MO, 0 },
	};

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		struct smpp_pdu pdu = deliver(cases[i].esm_class, cases[i].text);
		struct smpp_receipt_rules r = rules();
		struct smpp_receipt got;
		enum smpp_delivery delivery;

		r.plain_text = cases[i].plain_text;
		if (cases[i].tlvs) {
			put(&pdu, SMPP_TLV_RECEIPTED_MESSAGE_ID, "a", 2);
			put(&pdu, SMPP_TLV_MESSAGE_STATE, "\x02", 1);
		}
		delivery = smpp_receipt_read(&pdu, &r, &got);
		if (delivery != cases[i].delivery || got.report.class != cases[i].class)
			fail_msg("case %zu: %d, class %d", i, (int)delivery, (int)got.report.class);
		assert_int_equal(got.intermediate, cases[i].esm_class == 0x20);
		if (got.intermediate)
			assert_string_equal(got.report.code, "");
	}
}

/* --- ids --- */

#define TEXT SMPP_ID_TEXT
#define DEC SMPP_ID_DECIMAL
#define HEX SMPP_ID_HEX
static const struct {
	struct smpp_id_rules rules;
	enum smpp_id_side side;
	const char *submit;
	const char *receipt;
	bool same;
} ids[] = {
	/* Exactly, where nothing is configured. */
	{ { .form = { TEXT, TEXT, TEXT } }, SMPP_ID_OF_TEXT, "1830fd6c", "1830fd6c", true },
	{ { .form = { TEXT, TEXT, TEXT } }, SMPP_ID_OF_TEXT, "1830fd6c", "1830FD6C", false },
	{ { .form = { TEXT, TEXT, TEXT } }, SMPP_ID_OF_TEXT, "0123", "123", false },
	{ { .form = { TEXT, DEC, HEX } }, SMPP_ID_OF_TEXT, "7b", "123", false },
	{ { .fold_case = true }, SMPP_ID_OF_TEXT, "a-B-c", "A-b-C", true },
	{ { .fold_case = true }, SMPP_ID_OF_TEXT, "0a", "a", false },
	{ { .strip_zeros = true }, SMPP_ID_OF_TLV, "000123", "0123", true },
	{ { .strip_zeros = true }, SMPP_ID_OF_TLV, "000", "0", true },
	{ { .strip_zeros = true }, SMPP_ID_OF_TLV, "0x1", "1", false },
	/* Hexadecimal in the answer, decimal in the receipt: jSMPP's own simulator. */
	{ { .form = { HEX, DEC, TEXT } }, SMPP_ID_OF_TEXT, "1830fd6c", "405863788", true },
	{ { .form = { HEX, DEC, TEXT } }, SMPP_ID_OF_TEXT, "1830FD6C", "0405863788", true },
	{ { .form = { HEX, DEC, TEXT } }, SMPP_ID_OF_TEXT, "001830fd6c", "405863788", true },
	{ { .form = { HEX, DEC, TEXT } }, SMPP_ID_OF_TEXT, "1830fd6c", "405863789", false },
	{ { .form = { HEX, DEC, TEXT } }, SMPP_ID_OF_TEXT, "10", "10", false },
	/* The parameter is as the answer was; so is what cannot be decimal. */
	{ { .form = { HEX, DEC, TEXT } }, SMPP_ID_OF_TLV, "1830fd6c", "1830fd6c", true },
	{ { .form = { HEX, DEC, TEXT } }, SMPP_ID_OF_TLV, "10", "10", true },
	{ { .form = { HEX, DEC, TEXT } }, SMPP_ID_OF_TEXT, "1830fd6c", "1830FD6C", true },
	{ { .form = { DEC, HEX, HEX } }, SMPP_ID_OF_TLV, "405863788", "0x1830fd6c", true },
	{ { .form = { HEX, HEX, HEX } }, SMPP_ID_OF_TEXT, "1830FD6C", "001830fd6c", true },
	{ { .form = { DEC, DEC, DEC } }, SMPP_ID_OF_TEXT, "123", "0000000123", true },
	{ { .form = { HEX, DEC, DEC } },
	  SMPP_ID_OF_TEXT,
	  "ffffffffffffffffffffffffffffffff",
	  "340282366920938463463374607431768211455",
	  true },
	/* No numbers: as they are. */
	{ { .form = { HEX, DEC, DEC } }, SMPP_ID_OF_TEXT, "x1", "x1", true },
	{ { .form = { HEX, DEC, DEC } }, SMPP_ID_OF_TEXT, "x1", "X1", false },
	{ { .form = { DEC, DEC, DEC } }, SMPP_ID_OF_TEXT, "12-1", "0012-1", false },
	{ { .form = { HEX, DEC, DEC } }, SMPP_ID_OF_TEXT, "f830fd6c", "-131007124", false },
	/* Signed integers of some width. */
	{ { .form = { HEX, DEC, DEC }, .width_bits = 32 },
	  SMPP_ID_OF_TEXT,
	  "f830fd6c",
	  "-131007124",
	  true },
	{ { .form = { HEX, DEC, DEC }, .width_bits = 32 },
	  SMPP_ID_OF_TEXT,
	  "fffffffff830fd6c",
	  "4163960172",
	  true },
	{ { .form = { HEX, DEC, DEC }, .width_bits = 32 },
	  SMPP_ID_OF_TEXT,
	  "ffffffff7830fd6c",
	  "2016476524",
	  false },
	{ { .form = { HEX, DEC, DEC }, .width_bits = 64 },
	  SMPP_ID_OF_TEXT,
	  "ffffffffffffffff",
	  "-1",
	  true },
	{ { .form = { HEX, DEC, DEC }, .width_bits = 32 },
	  SMPP_ID_OF_TEXT,
	  "80000000",
	  "-2147483648",
	  true },
	{ { .form = { HEX, DEC, DEC }, .width_bits = 32 },
	  SMPP_ID_OF_TEXT,
	  "7fffffff",
	  "-2147483649",
	  false },
	{ { .form = { HEX, DEC, DEC }, .width_bits = 32 }, SMPP_ID_OF_TEXT, "0", "-0", true },
};

static void
ids_meet_where_the_rules_say_so(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEM(ids); i++) {
		char a[PROVIDER_ID_MAX + 1];
		char b[PROVIDER_ID_MAX + 1];

		assert_true(smpp_id_key(&ids[i].rules, SMPP_ID_OF_SUBMIT, ids[i].submit,
					strlen(ids[i].submit), a));
		assert_true(smpp_id_key(&ids[i].rules, ids[i].side, ids[i].receipt,
					strlen(ids[i].receipt), b));
		if ((strcmp(a, b) == 0) != ids[i].same)
			fail_msg("case %zu: %s is %s, %s is %s", i, ids[i].submit, a,
				 ids[i].receipt, b);
	}
}

/* Every number is met by its own receipt and by no other. */
static void
no_two_numbers_meet(void **state)
{
	static const struct smpp_id_rules r = { .form = { HEX, DEC, TEXT } };
	char keys[3000][PROVIDER_ID_MAX + 1];

	(void)state;
	for (unsigned i = 0; i < NELEM(keys); i++) {
		char id[32];
		char key[PROVIDER_ID_MAX + 1];

		snprintf(id, sizeof id, "%08X", i);
		assert_true(smpp_id_key(&r, SMPP_ID_OF_SUBMIT, id, strlen(id), keys[i]));
		snprintf(id, sizeof id, "%010u", i);
		assert_true(smpp_id_key(&r, SMPP_ID_OF_TEXT, id, strlen(id), key));
		assert_string_equal(key, keys[i]);
		for (unsigned k = 0; k < i; k++)
			if (strcmp(keys[k], key) == 0)
				fail_msg("%u and %u meet", k, i);
	}
}

static void
what_is_no_id(void **state)
{
	static const struct smpp_id_rules exact = { .form = { TEXT, TEXT, TEXT } };
	static const struct smpp_id_rules hex = { .form = { HEX, DEC, TEXT } };
	char key[PROVIDER_ID_MAX + 1];
	char text[PROVIDER_ID_MAX + 2];

	(void)state;
	memset(text, 'f', sizeof text);
	assert_false(smpp_id_key(&exact, SMPP_ID_OF_SUBMIT, "", 0, key));
	assert_false(smpp_id_key(&exact, SMPP_ID_OF_SUBMIT, "a b", 3, key));
	assert_false(smpp_id_key(&exact, SMPP_ID_OF_SUBMIT, "a\xff", 2, key));
	assert_false(smpp_id_key(&exact, SMPP_ID_OF_SUBMIT, text, PROVIDER_ID_MAX + 1, key));
	assert_true(smpp_id_key(&exact, SMPP_ID_OF_SUBMIT, text, PROVIDER_ID_MAX, key));
	assert_int_equal(strlen(key), PROVIDER_ID_MAX);
	/* 64 digits are a number still, 65 are not. */
	assert_true(smpp_id_key(&hex, SMPP_ID_OF_SUBMIT, text, 64, key));
	assert_int_equal(strlen(key), 64);
	text[0] = '0';
	assert_true(smpp_id_key(&hex, SMPP_ID_OF_SUBMIT, text, 65, key));
	assert_int_equal(strlen(key), 65);
}

/* --- answers --- */

static void
outcomes_of_answers(void **state)
{
	static const struct smpp_id_rules hex = { .form = { HEX, DEC, TEXT } };
	static const struct {
		uint32_t command;
		uint32_t status;
		const char *id;
		enum outcome_kind kind;
		enum smpp_reaction reaction;
		const char *code;
		const char *provider_id;
		const char *provider_code;
	} cases[] = {
		{ SMPP_SUBMIT_SM_RESP, 0, "001A", OUT_ACCEPTED, SMPP_TAKEN, "", "1a", "" },
		{ SMPP_SUBMIT_SM_RESP, 0, "", OUT_ACCEPTED, SMPP_TAKEN, "", "", "" },
		{ SMPP_SUBMIT_SM_RESP, SMPP_RTHROTTLED, "", OUT_DEFERRED, SMPP_THROTTLE, "7005", "",
		  "0x58" },
		{ SMPP_SUBMIT_SM_RESP, SMPP_RMSGQFUL, "", OUT_DEFERRED, SMPP_THROTTLE, "7006", "",
		  "0x14" },
		{ SMPP_SUBMIT_SM_RESP, SMPP_RSYSERR, "", OUT_DEFERRED, SMPP_RETRY, "7006", "",
		  "0x8" },
		{ SMPP_SUBMIT_SM_RESP, SMPP_RINVBNDSTS, "", OUT_DEFERRED, SMPP_REBIND, "7099", "",
		  "0x4" },
		{ SMPP_SUBMIT_SM_RESP, SMPP_RINVDSTADR, "1a", OUT_REJECTED, SMPP_FINAL, "4001", "",
		  "0xb" },
		{ SMPP_SUBMIT_SM_RESP, 0x4ff, "", OUT_REJECTED, SMPP_FINAL, "9099", "", "0x4ff" },
		{ SMPP_SUBMIT_SM_RESP, 0xffffffff, "", OUT_REJECTED, SMPP_FINAL, "9099", "",
		  "0xffffffff" },
		{ SMPP_GENERIC_NACK, SMPP_RINVCMDLEN, "", OUT_REJECTED, SMPP_FINAL, "9002", "",
		  "0x2" },
		{ SMPP_GENERIC_NACK, SMPP_RTHROTTLED, "", OUT_DEFERRED, SMPP_THROTTLE, "7005", "",
		  "0x58" },
		{ SMPP_GENERIC_NACK, 0, "", OUT_UNSURE, SMPP_TAKEN, "8002", "", "" },
	};

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		struct smpp_pdu pdu;
		struct outcome o;
		enum smpp_reaction reaction;

		smpp_pdu_init(&pdu, cases[i].command, 1);
		pdu.status = cases[i].status;
		snprintf(pdu.id, sizeof pdu.id, "%s", cases[i].id);
		smpp_outcome(codes, &hex, &pdu, &o, &reaction);
		if (o.kind != cases[i].kind || reaction != cases[i].reaction ||
		    strcmp(o.code, cases[i].code) != 0 ||
		    strcmp(o.provider_id, cases[i].provider_id) != 0 ||
		    strcmp(o.provider_code, cases[i].provider_code) != 0)
			fail_msg("case %zu: kind %d reaction %d code %s id %s provider code %s", i,
				 (int)o.kind, (int)reaction, o.code, o.provider_id,
				 o.provider_code);
	}
}

/* --- hostile --- */

static void
no_changed_byte_of_a_receipt_does_harm(void **state)
{
	static const char whole[] = "id:1234567890 sub:001 dlvrd:001 submit date:2403011230 "
				    "done date:2403011231 stat:DELIVRD err:000 text:hello";
	struct smpp_receipt_rules r = rules();

	(void)state;
	r.ids.form[0] = SMPP_ID_HEX;
	r.ids.form[1] = SMPP_ID_DECIMAL;
	for (size_t n = 0; n < sizeof whole; n++) {
		/* As long as it is, so that a byte too far is noticed. */
		char *text = malloc(n + 1);
		struct smpp_pdu pdu;
		struct smpp_receipt got;

		assert_non_null(text);
		memcpy(text, whole, n);
		pdu = deliver(SMPP_ESM_RECEIPT, "");
		pdu.sm.text = (const uint8_t *)text;
		pdu.sm.text_n = n;
		(void)!smpp_receipt_read(&pdu, &r, &got);
		for (size_t at = 0; at < n; at++) {
			for (unsigned v = 0; v < 256; v += n + 1 == sizeof whole ? 1 : 51) {
				text[at] = (char)v;
				if (smpp_receipt_read(&pdu, &r, &got) == SMPP_DELIVERY_REPORT)
					assert_true(got.report.provider_id[0] != '\0');
			}
			text[at] = whole[at];
		}
		free(text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_of_receipts),
		cmocka_unit_test(the_centres_clock),
		cmocka_unit_test(parameters_go_before_the_text),
		cmocka_unit_test(causes_of_the_network),
		cmocka_unit_test(a_code_map_of_the_customers),
		cmocka_unit_test(kinds_of_deliveries),
		cmocka_unit_test(ids_meet_where_the_rules_say_so),
		cmocka_unit_test(no_two_numbers_meet),
		cmocka_unit_test(what_is_no_id),
		cmocka_unit_test(outcomes_of_answers),
		cmocka_unit_test(no_changed_byte_of_a_receipt_does_harm),
	};

	return cmocka_run_group_tests_name("smpp_receipt", tests, setup, teardown);
}
