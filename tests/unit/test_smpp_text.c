/* Which alphabet a text takes, where it is divided, that it comes back whole, and how addresses are
 * typed. */
#include "config.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "agent/cp949.h"
#include "agent/text.h"
#include "drivers/channel/smpp_text.h"

#define MAX 65536
#define ROUNDS 3000
#define EMOJI "\xf0\x9f\x98\x80"

static struct smpp_text_rules
rules(const char *names, enum smpp_split split)
{
	struct smpp_text_rules r = { .split = split, .parts_max = SMPP_PARTS_MAX };

	while (*names != '\0') {
		char name[16];
		size_t n = strcspn(names, " ");

		memcpy(name, names, n);
		name[n] = '\0';
		assert_true(smpp_charset_parse(name, &r.coding[r.coding_n].charset));
		r.coding[r.coding_n].data_coding =
			smpp_charset_data_coding(r.coding[r.coding_n].charset);
		r.coding_n++;
		names += n + (names[n] == ' ');
	}
	return r;
}

static size_t
append(char *out, size_t at, const char *piece, size_t times)
{
	size_t n = strlen(piece);

	for (; times > 0; times--, at += n)
		memcpy(out + at, piece, n);
	out[at] = '\0';
	return at;
}

/* --- alphabets --- */

static const struct {
	const char *alphabets;
	const char *text;
	enum smpp_charset charset;
	const char *hex;
} encoded[] = {
	{ "gsm latin1 ksc5601 ucs2", "Hello", SMPP_CHARSET_GSM, "48656c6c6f" },
	{ "gsm latin1 ksc5601 ucs2", "", SMPP_CHARSET_GSM, "" },
	{ "gsm", "@$_\xc2\xa1\xc3\xa0\n", SMPP_CHARSET_GSM, "000211407f0a" },
	{ "gsm", "[\xe2\x82\xac]{}\\~|^", SMPP_CHARSET_GSM,
	  "1b3c1b651b3e1b281b291b2f1b3d1b401b14" },
	{ "gsm", "\xce\x94\xce\xa9", SMPP_CHARSET_GSM, "1015" },
	{ "gsm latin1 ucs2", "gar\xc3\xa7on", SMPP_CHARSET_LATIN1, "676172e76f6e" },
	{ "gsm latin1 ucs2", "\xc3\x87", SMPP_CHARSET_GSM, "09" },
	{ "gsm latin1 ucs2", "a`b", SMPP_CHARSET_LATIN1, "616062" },
	{ "ascii", "a[b]", SMPP_CHARSET_ASCII, "615b625d" },
	{ "gsm latin1 ksc5601 ucs2", "안녕", SMPP_CHARSET_KSC5601, "bec8b3e7" },
	{ "gsm ucs2", "안녕", SMPP_CHARSET_UCS2, "c548b155" },
	{ "ucs2", "a" EMOJI "b", SMPP_CHARSET_UCS2, "0061d83dde000062" },
	{ "gsm ksc5601 ucs2", "안" EMOJI, SMPP_CHARSET_UCS2, "c548d83dde00" },
	/* Not in KS X 1001. */
	{ "ksc5601 ucs2", "똠", SMPP_CHARSET_UCS2, "b620" },
	{ "ksc5601 cp949 ucs2", "똠", SMPP_CHARSET_CP949, "8c63" },
	{ "cp949", "a똠b", SMPP_CHARSET_CP949, "618c6362" },
};

static void
a_text_takes_its_first_alphabet(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEM(encoded); i++) {
		struct smpp_text_rules r = rules(encoded[i].alphabets, SMPP_SPLIT_UDH);
		struct smpp_plan plan;
		struct smpp_pdu pdu;
		uint8_t room[SMPP_SHORT_MESSAGE_MAX];
		char hex[128];
		char back[64];
		char code[RESULT_CODE_LEN + 1];
		struct err e;

		assert_int_equal(smpp_text_plan(&r, encoded[i].text, strlen(encoded[i].text), &plan,
						code, &e),
				 RC_OK);
		assert_int_equal(plan.pdus, 1);
		smpp_pdu_init(&pdu, SMPP_SUBMIT_SM, 1);
		assert_int_equal(smpp_text_part(&plan, 0, &pdu, room, sizeof room, &e), RC_OK);
		text_hex(hex, pdu.sm.text, pdu.sm.text_n);
		if (plan.charset != encoded[i].charset || strcmp(hex, encoded[i].hex) != 0)
			fail_msg("case %zu: %s, %s", i, smpp_charset_name(plan.charset), hex);
		assert_int_equal(pdu.sm.data_coding, smpp_charset_data_coding(plan.charset));
		assert_int_equal(pdu.sm.esm_class, 0);
		assert_int_equal(smpp_text_decode(plan.charset, pdu.sm.text, pdu.sm.text_n, back,
						  sizeof back),
				 strlen(encoded[i].text));
		assert_string_equal(back, encoded[i].text);
		assert_int_equal(smpp_text_part(&plan, 0, &pdu, room, sizeof room, &e), RC_BUG);
	}
}

static void
a_text_without_an_alphabet_is_refused(void **state)
{
	static const struct {
		const char *alphabets;
		const char *text;
		const char *says;
	} cases[] = {
		{ "gsm", "ab안", "character 3 (U+C548)" },
		{ "gsm latin1 ksc5601", "안녕" EMOJI, "character 3 (U+1F600)" },
		{ "ascii", "a\xc3\xa9", "character 2 (U+00E9)" },
		{ "gsm ucs2", "a\xff", "no UTF-8" },
		{ "gsm", "a\x1b", "U+001B" },
		{ "latin1", "\xc2\x80", "U+0080" },
		{ "ksc5601", "\x01", "U+0001" },
	};

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		struct smpp_text_rules r = rules(cases[i].alphabets, SMPP_SPLIT_UDH);
		struct smpp_plan plan;
		char code[RESULT_CODE_LEN + 1];
		struct err e;

		assert_int_equal(
			smpp_text_plan(&r, cases[i].text, strlen(cases[i].text), &plan, code, &e),
			RC_DATA);
		assert_string_equal(code, "2005");
		if (strstr(e.text, cases[i].says) == NULL)
			fail_msg("case %zu: %s", i, e.text);
	}
}

/* --- parts --- */

static const struct {
	const char *name;
	const char *alphabets;
	struct {
		const char *piece;
		size_t times;
	} text[3];
	unsigned parts;
	enum smpp_charset charset;
} divided[] = {
	{ "160 GSM", "gsm ucs2", { { "a", 160 } }, 1, SMPP_CHARSET_GSM },
	{ "161 GSM", "gsm ucs2", { { "a", 161 } }, 2, SMPP_CHARSET_GSM },
	{ "306 GSM", "gsm", { { "a", 306 } }, 2, SMPP_CHARSET_GSM },
	{ "307 GSM", "gsm", { { "a", 307 } }, 3, SMPP_CHARSET_GSM },
	{ "1530 GSM", "gsm", { { "a", 1530 } }, 10, SMPP_CHARSET_GSM },
	{ "1531 GSM", "gsm", { { "a", 1531 } }, 11, SMPP_CHARSET_GSM },
	{ "80 escapes", "gsm", { { "[", 80 } }, 1, SMPP_CHARSET_GSM },
	{ "81 escapes", "gsm", { { "[", 81 } }, 2, SMPP_CHARSET_GSM },
	/* 153 is odd: the escape moves to the next part. */
	{ "152 escapes", "gsm", { { "[", 152 } }, 2, SMPP_CHARSET_GSM },
	{ "153 escapes", "gsm", { { "[", 153 } }, 3, SMPP_CHARSET_GSM },
	{ "140 Latin", "latin1", { { "\xc3\xa7", 140 } }, 1, SMPP_CHARSET_LATIN1 },
	{ "141 Latin", "latin1", { { "\xc3\xa7", 141 } }, 2, SMPP_CHARSET_LATIN1 },
	{ "1340 Latin", "latin1", { { "\xc3\xa7", 1340 } }, 10, SMPP_CHARSET_LATIN1 },
	{ "70 syllables", "ksc5601", { { "안", 70 } }, 1, SMPP_CHARSET_KSC5601 },
	{ "71 syllables", "ksc5601", { { "안", 71 } }, 2, SMPP_CHARSET_KSC5601 },
	{ "670 syllables", "ksc5601", { { "안", 670 } }, 10, SMPP_CHARSET_KSC5601 },
	/* One octet stays free, the syllable is not divided. */
	{ "a and 134 syllables",
	  "ksc5601",
	  { { "a", 1 }, { "안", 134 } },
	  3,
	  SMPP_CHARSET_KSC5601 },
	{ "70 units", "ucs2", { { "안", 70 } }, 1, SMPP_CHARSET_UCS2 },
	{ "71 units", "ucs2", { { "안", 71 } }, 2, SMPP_CHARSET_UCS2 },
	{ "134 units", "ucs2", { { "안", 134 } }, 2, SMPP_CHARSET_UCS2 },
	{ "670 units", "ucs2", { { "안", 670 } }, 10, SMPP_CHARSET_UCS2 },
	{ "35 emoji", "ucs2", { { EMOJI, 35 } }, 1, SMPP_CHARSET_UCS2 },
	/* 67 units are 33 pairs and a half that stays free. */
	{ "66 emoji", "ucs2", { { EMOJI, 66 } }, 2, SMPP_CHARSET_UCS2 },
	{ "67 emoji", "ucs2", { { EMOJI, 67 } }, 3, SMPP_CHARSET_UCS2 },
	{ "330 emoji", "ucs2", { { EMOJI, 330 } }, 10, SMPP_CHARSET_UCS2 },
	/* The cheapest: of Korean with much Latin in it the code page, of a few emoji UCS-2. */
	{ "mixed", "gsm ucs2 ksc5601", { { "abc 가", 20 } }, 1, SMPP_CHARSET_KSC5601 },
	{ "as cheap", "gsm ucs2 ksc5601", { { "가", 70 } }, 1, SMPP_CHARSET_UCS2 },
	{ "as cheap, other order", "gsm ksc5601 ucs2", { { "가", 70 } }, 1, SMPP_CHARSET_KSC5601 },
	{ "emoji at the end",
	  "gsm ksc5601 ucs2",
	  { { "가", 68 }, { EMOJI, 1 } },
	  1,
	  SMPP_CHARSET_UCS2 },
};

static size_t
build(char *out, size_t i)
{
	size_t n = 0;

	for (size_t k = 0; k < 3 && divided[i].text[k].piece != NULL; k++)
		n = append(out, n, divided[i].text[k].piece, divided[i].text[k].times);
	return n;
}

/* Takes every PDU as the other side does, and returns the text together. */
static size_t
reassembled(struct smpp_plan *plan, char *out, size_t size)
{
	static uint8_t room[MAX];
	static uint8_t wire[MAX + 256];
	bool udh = plan->rules->split == SMPP_SPLIT_UDH;
	size_t at = 0;

	for (unsigned i = 1; i <= plan->pdus; i++) {
		struct smpp_pdu pdu;
		struct smpp_pdu got;
		struct smpp_incoming in;
		struct smpp_fault f;
		struct err e;
		enum smpp_charset charset;
		size_t n;

		smpp_pdu_init(&pdu, SMPP_SUBMIT_SM, i);
		assert_int_equal(smpp_text_part(plan, 0x12c3, &pdu, room, smpp_text_room(plan), &e),
				 RC_OK);
		assert_int_equal(smpp_write(&pdu, wire, sizeof wire, &n, &e), RC_OK);
		assert_int_equal(smpp_read(wire, n, sizeof wire, 0, &got, &f), SMPP_READ_PDU);
		smpp_text_incoming(&got, &in);
		assert_true(in.whole);
		assert_int_equal(in.total, plan->pdus > 1 ? plan->pdus : 0);
		if (plan->pdus > 1) {
			assert_int_equal(in.part_no, i);
			assert_int_equal(in.reference, udh ? 0xc3 : 0x12c3);
			assert_int_equal(got.sm.esm_class, udh ? SMPP_ESM_UDHI : 0);
			/* As much as fits, whatever the last character takes. */
			if (plan->charset == SMPP_CHARSET_GSM)
				assert_true(in.n <= 153 && (i == plan->pdus || in.n >= 152));
			else
				assert_true(in.n <= 134 && (i == plan->pdus || in.n > 130));
		}
		assert_true(smpp_text_charset(plan->rules, got.sm.data_coding, &charset));
		at += smpp_text_decode(charset, in.p, in.n, out + at, size - at);
		assert_true(at < size);
	}
	return at;
}

static void
texts_are_divided_at_their_boundaries(void **state)
{
	static char text[MAX];
	static char back[MAX];

	(void)state;
	for (size_t i = 0; i < NELEM(divided); i++) {
		for (int split = SMPP_SPLIT_UDH; split <= SMPP_SPLIT_PAYLOAD; split++) {
			struct smpp_text_rules r =
				rules(divided[i].alphabets, (enum smpp_split)split);
			struct smpp_plan plan;
			char code[RESULT_CODE_LEN + 1];
			struct err e;
			size_t n = build(text, i);

			assert_int_equal(smpp_text_plan(&r, text, n, &plan, code, &e), RC_OK);
			if (plan.parts != divided[i].parts || plan.charset != divided[i].charset)
				fail_msg("%s: %u parts in %s", divided[i].name, plan.parts,
					 smpp_charset_name(plan.charset));
			assert_int_equal(plan.pdus, split == SMPP_SPLIT_PAYLOAD ? 1 : plan.parts);
			assert_int_equal(reassembled(&plan, back, sizeof back), n);
			assert_string_equal(back, text);
		}
	}
}

static void
a_part_with_its_header_byte_by_byte(void **state)
{
	struct smpp_text_rules r = rules("gsm", SMPP_SPLIT_UDH);
	struct smpp_plan plan;
	struct smpp_pdu pdu;
	uint8_t room[SMPP_SHORT_MESSAGE_MAX];
	char text[200];
	char code[RESULT_CODE_LEN + 1];
	struct err e;
	uint32_t v;

	(void)state;
	append(text, append(text, 0, "a", 152), "[", 10);
	assert_int_equal(smpp_text_plan(&r, text, strlen(text), &plan, code, &e), RC_OK);
	assert_int_equal(smpp_text_room(&plan), 159);
	smpp_pdu_init(&pdu, SMPP_SUBMIT_SM, 1);
	assert_int_equal(smpp_text_part(&plan, 0x1ff, &pdu, room, 158, &e), RC_BUG);
	assert_int_equal(smpp_text_part(&plan, 0x1ff, &pdu, room, 159, &e), RC_OK);
	assert_int_equal(pdu.sm.text_n, 158); /* 152 and not half of an escape */
	assert_memory_equal(pdu.sm.text,
			    "\x05\x00\x03\xff\x02\x01"
			    "aaa",
			    9);
	smpp_pdu_init(&pdu, SMPP_SUBMIT_SM, 2);
	assert_int_equal(smpp_text_part(&plan, 0x1ff, &pdu, room, 159, &e), RC_OK);
	assert_int_equal(pdu.sm.text_n, 26);
	assert_memory_equal(pdu.sm.text, "\x05\x00\x03\xff\x02\x02\x1b\x3c\x1b\x3c", 10);
	assert_int_equal(smpp_text_part(&plan, 0x1ff, &pdu, room, 159, &e), RC_BUG);

	r.split = SMPP_SPLIT_SAR;
	assert_int_equal(smpp_text_plan(&r, text, strlen(text), &plan, code, &e), RC_OK);
	smpp_pdu_init(&pdu, SMPP_SUBMIT_SM, 1);
	assert_int_equal(smpp_text_part(&plan, 0x1ff, &pdu, room, sizeof room, &e), RC_OK);
	assert_int_equal(pdu.sm.text_n, 152);
	assert_int_equal(pdu.sm.esm_class, 0);
	assert_true(smpp_tlv_int(&pdu, SMPP_TLV_SAR_MSG_REF_NUM, &v));
	assert_int_equal(v, 0x1ff);
	assert_true(smpp_tlv_int(&pdu, SMPP_TLV_SAR_TOTAL_SEGMENTS, &v));
	assert_int_equal(v, 2);
	assert_true(smpp_tlv_int(&pdu, SMPP_TLV_SAR_SEGMENT_SEQNUM, &v));
	assert_int_equal(v, 1);

	r.split = SMPP_SPLIT_PAYLOAD;
	assert_int_equal(smpp_text_plan(&r, text, strlen(text), &plan, code, &e), RC_OK);
	smpp_pdu_init(&pdu, SMPP_SUBMIT_SM, 1);
	assert_int_equal(smpp_text_part(&plan, 0x1ff, &pdu, room, sizeof room, &e), RC_OK);
	assert_int_equal(pdu.sm.text_n, 0);
	assert_int_equal(smpp_tlv_find(&pdu, SMPP_TLV_MESSAGE_PAYLOAD)->n, 172);
	assert_int_equal(plan.parts, 2);
}

static void
sizes_and_the_number_of_parts_are_the_channels(void **state)
{
	static char text[MAX];
	struct smpp_text_rules r = rules("gsm ucs2", SMPP_SPLIT_UDH);
	struct smpp_plan plan;
	char code[RESULT_CODE_LEN + 1];
	struct err e;

	(void)state;
	r.parts_max = 2;
	append(text, 0, "a", 307);
	assert_int_equal(smpp_text_plan(&r, text, 307, &plan, code, &e), RC_DATA);
	assert_string_equal(code, "2004");
	assert_non_null(strstr(e.text, "3 parts"));
	assert_int_equal(smpp_text_plan(&r, text, 306, &plan, code, &e), RC_OK);
	r.parts_max = SMPP_PARTS_MAX;
	r.part_octets = 132; /* with a reference of 16 bits: 150 characters of 7 */
	assert_int_equal(smpp_text_plan(&r, text, 301, &plan, code, &e), RC_OK);
	assert_int_equal(plan.parts, 3);
	r.single_octets = r.part_octets = SMPP_OCTETS_MAX;
	append(text, 0, "a", 247 * 3);
	assert_int_equal(smpp_text_plan(&r, text, 247 * 3, &plan, code, &e), RC_OK);
	assert_true(smpp_text_room(&plan) <= SMPP_SHORT_MESSAGE_MAX);
	append(text, 0, "a", 255 * 153 + 1);
	r.single_octets = r.part_octets = 0;
	assert_int_equal(smpp_text_plan(&r, text, 255 * 153, &plan, code, &e), RC_OK);
	assert_int_equal(plan.parts, 255);
	assert_int_equal(smpp_text_plan(&r, text, 255 * 153 + 1, &plan, code, &e), RC_DATA);
	assert_string_equal(code, "2004");
}

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

static void
any_text_comes_back_whole(void **state)
{
	static const char *const pieces[] = {
		"a",	    "b c", "[",	  "\xe2\x82\xac", "\xc3\xa9", "\xc3\xa7",     "안",
		"녕하세요", "똠",  EMOJI, "\n",		  "@",	      "\xe4\xb8\xad", "0123456789",
	};
	static const char *const lists[] = {
		"gsm latin1 ksc5601 ucs2", "ucs2", "cp949 ucs2", "gsm ucs2", "ascii ucs2",
	};
	static char text[MAX];
	static char back[MAX];

	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct smpp_text_rules r =
			rules(lists[random_below(NELEM(lists))], (enum smpp_split)random_below(3));
		/* Few kinds of pieces, so that the narrow alphabets are chosen too. */
		unsigned first = random_below(NELEM(pieces));
		unsigned kinds = 1 + random_below(NELEM(pieces) - first);
		unsigned length = random_below(2000);
		struct smpp_plan plan;
		char code[RESULT_CODE_LEN + 1];
		struct err e;
		size_t n = 0;

		while (n < length)
			n = append(text, n, pieces[first + random_below(kinds)], 1);
		text[n] = '\0';
		if (smpp_text_plan(&r, text, n, &plan, code, &e) != RC_OK)
			fail_msg("round %u, seed %lu: %s", round, seed, e.text);
		if (reassembled(&plan, back, sizeof back) != n || memcmp(back, text, n) != 0)
			fail_msg("round %u, seed %lu: another text in %s", round, seed,
				 smpp_charset_name(plan.charset));
	}
}

/* --- what comes in --- */

static void
the_whole_default_alphabet(void **state)
{
	struct smpp_text_rules r = rules("gsm", SMPP_SPLIT_UDH);
	unsigned known = 0;

	(void)state;
	for (uint32_t cp = 1; cp < 0x3000; cp++) {
		char utf8[4] = "";
		char back[8];
		uint8_t room[16];
		struct smpp_plan plan;
		struct smpp_pdu pdu;
		char code[RESULT_CODE_LEN + 1];
		struct err e;
		size_t n = 1;

		utf8[0] = (char)cp;
		if (cp >= 0x800) {
			utf8[0] = (char)(0xe0 | cp >> 12);
			utf8[1] = (char)(0x80 | (cp >> 6 & 63));
			utf8[2] = (char)(0x80 | (cp & 63));
			n = 3;
		} else if (cp >= 0x80) {
			utf8[0] = (char)(0xc0 | cp >> 6);
			utf8[1] = (char)(0x80 | (cp & 63));
			n = 2;
		}
		if (smpp_text_plan(&r, utf8, n, &plan, code, &e) != RC_OK)
			continue;
		known++;
		smpp_pdu_init(&pdu, SMPP_SUBMIT_SM, 1);
		assert_int_equal(smpp_text_part(&plan, 0, &pdu, room, sizeof room, &e), RC_OK);
		smpp_text_decode(SMPP_CHARSET_GSM, room, pdu.sm.text_n, back, sizeof back);
		assert_memory_equal(back, utf8, n + (n < 4));
	}
	assert_int_equal(known, 127 + 10); /* all but the escape, and its table */
}

static void
broken_bytes_become_replacement_characters(void **state)
{
	static const struct {
		enum smpp_charset charset;
		const char *bytes;
		size_t n;
		const char *text;
	} cases[] = {
		{ SMPP_CHARSET_UCS2, "\xd8\x3d", 2, "\xef\xbf\xbd" },
		{ SMPP_CHARSET_UCS2, "\xd8\x3d\x00\x61", 4,
		  "\xef\xbf\xbd"
		  "a" },
		{ SMPP_CHARSET_UCS2, "\xde\x00\x00\x61\x00", 5,
		  "\xef\xbf\xbd"
		  "a\xef\xbf\xbd" },
		{ SMPP_CHARSET_UCS2, "\x00\x00\x00\x61", 4,
		  "\xef\xbf\xbd"
		  "a" },
		{ SMPP_CHARSET_KSC5601, "a\xb0", 2, "a\xef\xbf\xbd" },
		{ SMPP_CHARSET_KSC5601, "\xb0 b", 3, "\xef\xbf\xbd b" },
		{ SMPP_CHARSET_KSC5601,
		  "\xff\xff"
		  "b",
		  3,
		  "\xef\xbf\xbd"
		  "b" },
		{ SMPP_CHARSET_GSM, "\x80\x1b", 2, "\xef\xbf\xbd " },
		{ SMPP_CHARSET_GSM, "\x1b\x41\x1b\x1b", 4, "A " },
		{ SMPP_CHARSET_ASCII, "a\xe9", 2, "a\xef\xbf\xbd" },
		{ SMPP_CHARSET_LATIN1, "a\xe9", 2, "a\xc3\xa9" },
	};

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		char out[64];

		smpp_text_decode(cases[i].charset, (const uint8_t *)cases[i].bytes, cases[i].n, out,
				 sizeof out);
		if (strcmp(out, cases[i].text) != 0)
			fail_msg("case %zu: %s", i, out);
	}
}

static void
a_text_without_room_is_cut_behind_a_character(void **state)
{
	char out[6];

	(void)state;
	assert_int_equal(smpp_text_decode(SMPP_CHARSET_KSC5601, (const uint8_t *)"\xbe\xc8\xb3\xe7",
					  4, out, sizeof out),
			 6);
	assert_string_equal(out, "안");
	assert_int_equal(smpp_text_decode(SMPP_CHARSET_ASCII, (const uint8_t *)"abc", 3, out, 1),
			 3);
	assert_string_equal(out, "");
}

static void
headers_of_incoming_parts(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		bool whole;
		size_t rest;
		unsigned reference, total, part_no;
	} cases[] = {
		{ "\x05\x00\x03\x2a\x02\x01hi", 8, true, 2, 0x2a, 2, 1 },
		{ "\x06\x08\x04\x01\x2a\x03\x03hi", 9, true, 2, 0x12a, 3, 3 },
		/* A port in front of it, and nothing but a port. */
		{ "\x0b\x05\x04\x0b\x84\x23\xf0\x00\x03\x01\x02\x02x", 13, true, 1, 1, 2, 2 },
		{ "\x06\x05\x04\x0b\x84\x23\xf0x", 8, true, 1, 0, 0, 0 },
		{ "\x05\x00\x03\x2a\x02\x03hi", 8, true, 2, 0, 0, 0 }, /* part 3 of 2 */
		{ "\x05\x00\x03\x2a\x02\x00hi", 8, true, 2, 0, 0, 0 },
		{ "\x05\x00\x04\x2a\x02\x01hi", 8, false, 8, 0, 0, 0 },
		{ "\x09\x00\x03\x2a\x02\x01hi", 8, false, 8, 0, 0, 0 },
		{ "\x01\x00", 2, false, 2, 0, 0, 0 },
		{ "\x00hi", 3, true, 2, 0, 0, 0 },
		{ "", 0, false, 0, 0, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		struct smpp_pdu pdu;
		struct smpp_incoming in;

		smpp_pdu_init(&pdu, SMPP_DELIVER_SM, 1);
		pdu.sm.esm_class = SMPP_ESM_UDHI;
		pdu.sm.text = (const uint8_t *)cases[i].bytes;
		pdu.sm.text_n = cases[i].n;
		smpp_text_incoming(&pdu, &in);
		if (in.whole != cases[i].whole || in.n != cases[i].rest ||
		    in.reference != cases[i].reference || in.total != cases[i].total ||
		    in.part_no != cases[i].part_no)
			fail_msg("case %zu: whole %d, %zu bytes, %u: %u of %u", i, (int)in.whole,
				 in.n, in.reference, in.part_no, in.total);
	}
}

static void
data_codings_of_incoming_texts(void **state)
{
	static const struct {
		uint8_t data_coding;
		int charset; /* -1: no text */
	} cases[] = {
		{ 0, SMPP_CHARSET_KSC5601 }, /* by this channel's rules */
		{ 1, SMPP_CHARSET_ASCII },   { 2, -1 },
		{ 3, SMPP_CHARSET_LATIN1 },  { 4, -1 },
		{ 8, SMPP_CHARSET_UCS2 },    { 14, SMPP_CHARSET_CP949 },
		{ 0x10, SMPP_CHARSET_GSM },  { 0x18, SMPP_CHARSET_UCS2 },
		{ 0xf0, SMPP_CHARSET_GSM },  { 0xf5, -1 },
		{ 0xf8, SMPP_CHARSET_GSM },  { 0x15, -1 },
		{ 0xe0, SMPP_CHARSET_UCS2 }, { 0xc0, SMPP_CHARSET_GSM },
	};
	struct smpp_text_rules r = rules("ksc5601 ucs2", SMPP_SPLIT_UDH);

	(void)state;
	r.coding[0].data_coding = 0;
	for (size_t i = 0; i < NELEM(cases); i++) {
		enum smpp_charset c;
		bool text = smpp_text_charset(&r, cases[i].data_coding, &c);

		if (text != (cases[i].charset >= 0) || (text && (int)c != cases[i].charset))
			fail_msg("data_coding 0x%02x: %s", cases[i].data_coding,
				 text ? smpp_charset_name(c) : "no text");
	}
}

/* --- addresses --- */

static void
addresses_have_their_type(void **state)
{
	static const struct {
		const char *wire;
		uint8_t ton, npi;
		const char *digits;
	} cases[] = {
		{ "MTRELAY", 5, 0, "MTRELAY" },
		{ "My Shop-1.", 5, 0, "My Shop-1." },
		{ "0212345678", 2, 1, "0212345678" },
		{ "01012345678", 2, 1, "01012345678" },
		{ "15880000", 3, 0, "15880000" },
		{ "114", 3, 0, "114" },
		{ "821012345678", 1, 1, "821012345678" },
		{ "+821012345678", 1, 1, "821012345678" },
		{ "008613800000000", 1, 1, "8613800000000" },
	};
	static const struct number_case {
		const char *wire;
		enum number_form form;
		uint8_t ton, npi;
		const char *digits;
	} recipients[] = {
		{ "821012345678", NUMBER_E164_DIGITS, 1, 1, "821012345678" },
		{ "+821012345678", NUMBER_E164_PLUS, 1, 1, "821012345678" },
		{ "01012345678", NUMBER_NATIONAL, 2, 1, "01012345678" },
		{ "008613800000000", NUMBER_NATIONAL, 1, 1, "8613800000000" },
	};
	struct smpp_number_rules r = { -1, -1, SMPP_SHORT_DIGITS, 3, 0 };
	struct smpp_address a;
	struct err e;

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		assert_int_equal(smpp_source(&r, cases[i].wire, &a, &e), RC_OK);
		if (a.ton != cases[i].ton || a.npi != cases[i].npi ||
		    strcmp(a.digits, cases[i].digits) != 0)
			fail_msg("%s: TON %d NPI %d %s", cases[i].wire, a.ton, a.npi, a.digits);
	}
	for (size_t i = 0; i < NELEM(recipients); i++) {
		assert_int_equal(
			smpp_destination(&r, recipients[i].form, recipients[i].wire, &a, &e),
			RC_OK);
		if (a.ton != recipients[i].ton || a.npi != recipients[i].npi ||
		    strcmp(a.digits, recipients[i].digits) != 0)
			fail_msg("%s: TON %d NPI %d %s", recipients[i].wire, a.ton, a.npi,
				 a.digits);
	}
	assert_int_equal(smpp_source(&r, "TWELVELETTER", &a, &e), RC_DATA);
	assert_int_equal(smpp_source(&r, "123456789012345678901", &a, &e), RC_DATA);
	assert_null(strstr(e.text, "123456"));
	r.ton = 0;
	r.npi = 0;
	assert_int_equal(smpp_source(&r, "15880000", &a, &e), RC_OK);
	assert_int_equal(a.ton, 0);
	assert_int_equal(smpp_source(&r, "MTRELAY", &a, &e), RC_OK);
	assert_int_equal(a.ton, 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_text_takes_its_first_alphabet),
		cmocka_unit_test(a_text_without_an_alphabet_is_refused),
		cmocka_unit_test(texts_are_divided_at_their_boundaries),
		cmocka_unit_test(a_part_with_its_header_byte_by_byte),
		cmocka_unit_test(sizes_and_the_number_of_parts_are_the_channels),
		cmocka_unit_test(any_text_comes_back_whole),
		cmocka_unit_test(the_whole_default_alphabet),
		cmocka_unit_test(broken_bytes_become_replacement_characters),
		cmocka_unit_test(a_text_without_room_is_cut_behind_a_character),
		cmocka_unit_test(headers_of_incoming_parts),
		cmocka_unit_test(data_codings_of_incoming_texts),
		cmocka_unit_test(addresses_have_their_type),
	};
	const char *given = getenv("MTRELAY_SEED");

	seed = given != NULL ? strtoul(given, NULL, 10) : (unsigned long)time(NULL);
	random_state = seed * 0x9e3779b97f4a7c15u + 1;
	print_message("# MTRELAY_SEED=%lu\n", seed);
	return cmocka_run_group_tests_name("smpp_text", tests, NULL, NULL);
}
