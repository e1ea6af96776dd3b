/* With the argument "list" it prints all code points that cp949_has() knows with their codes, for
 * tests/integration/test_cp949.py. */
#include "config.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <iconv.h>
#include "agent/cp949.h"

static size_t
put_utf8(char *out, uint32_t cp)
{
	if (cp < 0x80) {
		out[0] = (char)cp;
		return 1;
	}
	if (cp < 0x800) {
		out[0] = (char)(0xc0 | cp >> 6);
		out[1] = (char)(0x80 | (cp & 63));
		return 2;
	}
	if (cp < 0x10000) {
		out[0] = (char)(0xe0 | cp >> 12);
		out[1] = (char)(0x80 | (cp >> 6 & 63));
		out[2] = (char)(0x80 | (cp & 63));
		return 3;
	}
	out[0] = (char)(0xf0 | cp >> 18);
	out[1] = (char)(0x80 | (cp >> 12 & 63));
	out[2] = (char)(0x80 | (cp >> 6 & 63));
	out[3] = (char)(0x80 | (cp & 63));
	return 4;
}

/* Bytes that the C library needs for the character, 0 when it has none. */
static size_t
iconv_bytes(iconv_t cd, const char *p, size_t n)
{
	char in[4], out[8];
	char *ip = in, *op = out;
	size_t left = n, room = sizeof out;

	memcpy(in, p, n);
	iconv(cd, NULL, NULL, NULL, NULL);
	if (iconv(cd, &ip, &left, &op, &room) != 0 || left != 0)
		return 0;
	return sizeof out - room;
}

static void
every_character_counts_as_the_c_library_says(void **state)
{
	iconv_t cd = iconv_open("CP949", "UTF-8");
	unsigned wrong = 0;

	(void)state;
	if (cd == (iconv_t)-1) {
		print_message("# iconv has no CP949 here\n");
		skip();
	}
	for (uint32_t cp = 0; cp <= 0x10ffff; cp++) {
		char utf8[4];
		size_t n, expected;
		struct cp949_count c;
		enum cp949_answer answer;

		if (cp >= 0xd800 && cp <= 0xdfff)
			continue;
		n = put_utf8(utf8, cp);
		expected = iconv_bytes(cd, utf8, n);
		answer = cp949_bytes(utf8, n, CHARSET_CP949, &c);
		if ((expected > 0) != (answer == CP949_OK) ||
		    (answer == CP949_OK && c.bytes != expected)) {
			print_message("# U+%04X: %zu bytes, C library %zu\n", (unsigned)cp, c.bytes,
				      expected);
			wrong++;
		}
	}
	iconv_close(cd);
	assert_int_equal(wrong, 0);
}

static void
every_code_is_there_and_back(void **state)
{
	unsigned pairs = 0;

	(void)state;
	for (uint32_t cp = 1; cp <= 0x10ffff; cp++) {
		unsigned code = cp949_encode(cp);

		pairs += code >= 0x8000;
		if (code != 0)
			assert_int_equal(cp949_decode(code), cp);
	}
	assert_int_equal(pairs, 8226 + 8822);
	for (unsigned code = 1; code <= 0xffff; code++) {
		uint32_t cp = cp949_decode(code);

		if (cp != 0)
			assert_int_equal(cp949_encode(cp), code);
	}
	assert_true(cp949_in_ksx1001(cp949_encode(0xac00)));
	assert_true(cp949_in_ksx1001('A'));
	assert_false(cp949_in_ksx1001(cp949_encode(0xb620))); /* first syllable of 똠방각하 */
}

static void
counts_and_places(void **state)
{
	static const struct {
		const char *text;
		enum channel_charset mode;
		enum cp949_answer answer;
		size_t bytes, chars, bad;
		uint32_t code_point;
	} cases[] = {
		{ "", CHARSET_CP949, CP949_OK, 0, 0, 0, 0 },
		{ "abc\r\n", CHARSET_CP949, CP949_OK, 5, 5, 0, 0 },
		{ "가나다", CHARSET_CP949, CP949_OK, 6, 3, 0, 0 },
		{ "똠방각하 펲시콜라", CHARSET_CP949, CP949_OK, 17, 9, 0, 0 }, /* not in EUC-KR */
		{ "a가\xf0\x9f\x98\x80z", CHARSET_CP949, CP949_OUTSIDE, 3, 3, 3, 0x1f600 },
		{ "a가\xf0\x9f\x98\x80z", CHARSET_UNICODE, CP949_OK, 8, 4, 0, 0 },
		{ "caf\xc3\xa9", CHARSET_CP949, CP949_OUTSIDE, 3, 4, 4, 0xe9 },
		{ "caf\xc3\xa9", CHARSET_UNICODE, CP949_OK, 5, 4, 0, 0 },
		{ "a\xe2\x80\x8b", CHARSET_CP949, CP949_OUTSIDE, 1, 2, 2, 0x200b },
		{ "a\xc2\xa0", CHARSET_CP949, CP949_OUTSIDE, 1, 2, 2, 0xa0 },
		{ "\xe2\x82\xac", CHARSET_CP949, CP949_OK, 2, 1, 0, 0 },
		{ "가\xb0\xa1", CHARSET_CP949, CP949_BAD_UTF8, 2, 1, 3, 0 },
		{ "가\xb0\xa1", CHARSET_UNICODE, CP949_BAD_UTF8, 2, 1, 3, 0 },
		{ "ab\xc0\x80", CHARSET_CP949, CP949_BAD_UTF8, 2, 2, 2, 0 },
		{ "\xed\xa0\x80", CHARSET_UNICODE, CP949_BAD_UTF8, 0, 0, 0, 0 },
		{ "\xf4\x90\x80\x80", CHARSET_UNICODE, CP949_BAD_UTF8, 0, 0, 0, 0 },
		{ "ab\xea\xb0", CHARSET_UNICODE, CP949_BAD_UTF8, 2, 2, 2, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct cp949_count c;
		enum cp949_answer answer =
			cp949_bytes(cases[i].text, strlen(cases[i].text), cases[i].mode, &c);

		if (answer != cases[i].answer || c.bytes != cases[i].bytes ||
		    c.chars != cases[i].chars)
			fail_msg("case %zu: answer %d, %zu bytes, %zu characters", i, (int)answer,
				 c.bytes, c.chars);
		if (answer == CP949_OUTSIDE) {
			assert_int_equal(c.bad_char, cases[i].bad);
			assert_int_equal(c.bad_code_point, cases[i].code_point);
		} else if (answer == CP949_BAD_UTF8) {
			assert_int_equal(c.bad_byte, cases[i].bad);
		}
	}
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_character_counts_as_the_c_library_says),
		cmocka_unit_test(every_code_is_there_and_back),
		cmocka_unit_test(counts_and_places),
	};

	if (argc == 2 && strcmp(argv[1], "list") == 0) {
		for (uint32_t cp = 0; cp <= 0x10ffff; cp++)
			if (cp949_has(cp))
				printf("%04x %04x\n", (unsigned)cp, cp949_encode(cp));
		return 0;
	}
	return cmocka_run_group_tests_name("cp949", tests, NULL, NULL);
}
