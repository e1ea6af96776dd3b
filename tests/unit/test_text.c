#include "config.h"
#include <string.h>
#include "tests/unit/unit.h"
#include "agent/text.h"

static void
numbers_are_taken_whole_or_not_at_all(void **state)
{
	static const struct {
		const char *text;
		int64_t min;
		int64_t max;
		bool good;
		int64_t value;
	} cases[] = {
		{ "0", 0, 10, true, 0 },
		{ "10", 0, 10, true, 10 },
		{ "11", 0, 10, false, 0 },
		{ "-1", -1, 10, true, -1 },
		{ "-2", -1, 10, false, 0 },
		{ "007", 0, 10, true, 7 },
		{ "", 0, 10, false, 0 },
		{ "-", -10, 10, false, 0 },
		{ "+1", 0, 10, false, 0 },
		{ " 1", 0, 10, false, 0 },
		{ "1 ", 0, 10, false, 0 },
		{ "1x", 0, 10, false, 0 },
		{ "0x1", 0, 10, false, 0 },
		{ "9223372036854775807", INT64_MIN, INT64_MAX, true, INT64_MAX },
		{ "9223372036854775808", INT64_MIN, INT64_MAX, false, 0 },
		{ "-9223372036854775808", INT64_MIN, INT64_MAX, true, INT64_MIN },
		{ "-9223372036854775809", INT64_MIN, INT64_MAX, false, 0 },
		{ "99999999999999999999999", INT64_MIN, INT64_MAX, false, 0 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < NELEM(cases); i++) {
		int64_t value = 4711;

		if (text_i64(cases[i].text, cases[i].min, cases[i].max, &value) != cases[i].good)
			fail_msg("\"%s\"", cases[i].text);
		assert_int_equal(value, cases[i].good ? cases[i].value : 4711);
	}
}

static void
durations_carry_units(void **state)
{
	static const struct {
		const char *text;
		bool good;
		int64_t ms;
		const char *back;
	} cases[] = {
		{ "100ms", true, 100, "100ms" },
		{ "5s", true, 5000, "5s" },
		{ "10min", true, 600000, "10min" },
		{ "48h", true, 172800000, "48h" },
		{ "47h", true, 169200000, "47h" },
		{ "7d", true, 604800000, "7d" },
		{ "90s", true, 90000, "90s" },
		{ "60s", true, 60000, "1min" },
		{ "1500ms", true, 1500, "1500ms" },
		{ "0", true, 0, "0s" },
		{ "0s", true, 0, "0s" },
		{ "5", false, 0, NULL },
		{ "5 s", false, 0, NULL },
		{ "s", false, 0, NULL },
		{ "-5s", false, 0, NULL },
		{ "5m", false, 0, NULL },
		{ "1.5s", false, 0, NULL },
		{ "8d", false, 0, NULL }, /* above the maximum */
		{ "9223372036854775807h", false, 0, NULL },
		{ "", false, 0, NULL },
	};
	size_t i;

	(void)state;
	for (i = 0; i < NELEM(cases); i++) {
		char back[32];
		int64_t ms = 4711;

		if (text_ms(cases[i].text, 0, 604800000, &ms) != cases[i].good)
			fail_msg("\"%s\"", cases[i].text);
		assert_int_equal(ms, cases[i].good ? cases[i].ms : 4711);
		if (cases[i].good)
			assert_string_equal(text_ms_format(back, sizeof back, ms), cases[i].back);
	}
}

static void
utf8_is_strict_and_names_the_first_bad_byte(void **state)
{
	static const struct {
		const char *text;
		bool good;
		size_t n; /* characters, or the offset of the bad byte */
	} cases[] = {
		{ "", true, 0 },
		{ "abc", true, 3 },
		{ "\xed\x95\x9c\xea\xb8\x80", true, 2 },
		{ "\xf0\x9f\x98\x80!", true, 2 },
		{ "\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf4\x8f\xbf\xbf", true, 5 },
		{ "\xee\x80\x80\xed\x9f\xbf", true, 2 },
		{ "ab\x80", false, 2 },		  /* begins with a continuation */
		{ "a\xc0\x80", false, 1 },	  /* overlong NUL */
		{ "\xc1\xbf", false, 0 },	  /* overlong */
		{ "\xe0\x9f\xbf", false, 0 },	  /* overlong */
		{ "\xf0\x8f\xbf\xbf", false, 0 }, /* overlong */
		{ "x\xed\xa0\x80", false, 1 },	  /* surrogate */
		{ "x\xed\xbf\xbf", false, 1 },	  /* surrogate */
		{ "\xf4\x90\x80\x80", false, 0 }, /* above U+10FFFF */
		{ "\xf8\x88\x80\x80\x80", false, 0 },
		{ "\xff", false, 0 },
		{ "ok\xed\x95", false, 2 }, /* cut */
		{ "ok\xed\x95z", false, 2 },
		{ "\xb0\xa1", false, 0 }, /* EUC-KR */
	};
	size_t i;

	(void)state;
	for (i = 0; i < NELEM(cases); i++) {
		size_t n = strlen(cases[i].text);
		size_t bad = 4711;

		if (text_utf8_check(cases[i].text, n, &bad) != cases[i].good)
			fail_msg("case %zu", i);
		if (cases[i].good)
			assert_int_equal(text_utf8_len(cases[i].text, n), cases[i].n);
		else
			assert_int_equal(bad, cases[i].n);
	}
	assert_false(text_utf8_check("\xff", 1, NULL));
	assert_int_equal(text_utf8_len("a\xff\xed\x95\x9c", 5), 3);
}

static void
every_character_comes_back(void **state)
{
	int32_t c;

	(void)state;
	for (c = 0; c <= 0x10ffff; c++) {
		char b[4];
		size_t n = 0;
		size_t at = 0;
		bool surrogate = c >= 0xd800 && c <= 0xdfff;

		if (c < 0x80) {
			b[n++] = (char)c;
		} else if (c < 0x800) {
			b[n++] = (char)(0xc0 | c >> 6);
		} else if (c < 0x10000) {
			b[n++] = (char)(0xe0 | c >> 12);
			b[n++] = (char)(0x80 | (c >> 6 & 0x3f));
		} else {
			b[n++] = (char)(0xf0 | c >> 18);
			b[n++] = (char)(0x80 | (c >> 12 & 0x3f));
			b[n++] = (char)(0x80 | (c >> 6 & 0x3f));
		}
		if (c >= 0x80)
			b[n++] = (char)(0x80 | (c & 0x3f));
		if (text_utf8_next(b, n, &at) != (surrogate ? -1 : c) || at != (surrogate ? 0 : n))
			fail_msg("U+%04X", (unsigned)c);
	}
}

static void
a_cut_never_splits_a_character(void **state)
{
	const char *text = "a\xed\x95\x9c\xf0\x9f\x98\x80z";
	static const size_t want[] = { 0, 1, 1, 1, 4, 4, 4, 4, 8, 9, 9 };
	char copy[8];
	size_t i;

	(void)state;
	for (i = 0; i < NELEM(want); i++)
		assert_int_equal(text_utf8_cut(text, 9, i), want[i]);
	assert_false(text_copy(copy, sizeof copy, text));
	assert_string_equal(copy, "a\xed\x95\x9c");
	assert_true(text_copy(copy, sizeof copy, "1234567"));
	assert_false(text_copy(copy, sizeof copy, "12345678"));
	assert_string_equal(copy, "1234567");
	assert_true(text_copy_n(copy, sizeof copy, NULL, 0));
	assert_string_equal(copy, "");
}

static void
hex_goes_both_ways(void **state)
{
	unsigned char bytes[4] = { 0 };
	char hex[9];

	(void)state;
	text_hex(hex, "\x00\x7f\xab\xff", 4);
	assert_string_equal(hex, "007fabff");
	assert_true(text_unhex("007FabFf", bytes, 4));
	assert_memory_equal(bytes, "\x00\x7f\xab\xff", 4);
	assert_false(text_unhex("007fabf", bytes, 4));
	assert_false(text_unhex("007fabfff", bytes, 4));
	assert_false(text_unhex("007fabfg", bytes, 4));
	assert_false(text_unhex("007fabf ", bytes, 4));
	text_hex(hex, "", 0);
	assert_string_equal(hex, "");
}

static void
crc32c_is_that_of_rfc_3720(void **state)
{
	unsigned char zeros[32] = { 0 };
	unsigned char ones[32];

	(void)state;
	memset(ones, 0xff, sizeof ones);
	assert_int_equal(text_crc32c(0, "123456789", 9), 0xe3069283);
	assert_int_equal(text_crc32c(0, zeros, sizeof zeros), 0x8a9136aa);
	assert_int_equal(text_crc32c(0, ones, sizeof ones), 0x62a8ab43);
	assert_int_equal(text_crc32c(text_crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
	assert_int_equal(text_crc32c(0, "", 0), 0);
}

static void
small_helpers(void **state)
{
	const char *text = " \t\r\n sms \n";
	char secret[] = "secret";
	size_t n = strlen(text);
	const char *p = text_trim(text, &n);

	(void)state;
	assert_int_equal(n, 3);
	assert_true(text_equal_nocase(p, n, "SMS"));
	assert_false(text_equal_nocase(p, n, "SM"));
	assert_false(text_equal_nocase(p, n, "MMS"));
	n = 3;
	(void)text_trim("   ", &n);
	assert_int_equal(n, 0);
	assert_true(text_is_identifier("mt_send", 7));
	assert_true(text_is_identifier("_1", 7));
	assert_false(text_is_identifier("mt_send2", 7));
	assert_false(text_is_identifier("", 7));
	assert_false(text_is_identifier("1a", 7));
	assert_false(text_is_identifier("a-b", 7));
	assert_false(text_is_identifier("a\"b", 7));
	text_wipe(secret, sizeof secret);
	assert_memory_equal(secret, "\0\0\0\0\0\0", 7);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_taken_whole_or_not_at_all),
		cmocka_unit_test(durations_carry_units),
		cmocka_unit_test(utf8_is_strict_and_names_the_first_bad_byte),
		cmocka_unit_test(every_character_comes_back),
		cmocka_unit_test(a_cut_never_splits_a_character),
		cmocka_unit_test(hex_goes_both_ways),
		cmocka_unit_test(crc32c_is_that_of_rfc_3720),
		cmocka_unit_test(small_helpers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
