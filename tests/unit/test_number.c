#include "config.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>
#include "agent/number.h"

static uint64_t seed;

static uint64_t
next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

struct number_case {
	const char *written;
	const char *wire; /* NULL: refused */
	const char *why;  /* part of the reason */
};

static const struct number_rules digits = { NULL, NUMBER_E164_DIGITS, false };
static const struct number_rules plus = { "82", NUMBER_E164_PLUS, false };
static const struct number_rules national = { "82", NUMBER_NATIONAL, false };
static const struct number_rules names = { "82", NUMBER_E164_DIGITS, true };
static const struct number_rules germany = { "49", NUMBER_E164_PLUS, false };

typedef bool (*number_fn)(const char *p, size_t n, const struct number_rules *r, char *wire,
			  char *why);

static void
run_n(number_fn f, const char *p, size_t n, const struct number_rules *r, const char *wire_expected,
      const char *why_expected)
{
	char wire[NUMBER_WIRE_SIZE], why[NUMBER_WHY_SIZE];
	bool ok = f(p, n, r, wire, why);

	if (ok != (wire_expected != NULL))
		fail_msg("'%s': %s, %s", p, ok ? "taken as" : "refused:", ok ? wire : why);
	if (ok) {
		assert_string_equal(wire, wire_expected);
		assert_string_equal(why, "");
	} else {
		assert_string_equal(wire, "");
		if (strstr(why, why_expected) == NULL)
			fail_msg("'%s': the reason '%s' does not say '%s'", p, why, why_expected);
		assert_true(strlen(why) < NUMBER_WHY_SIZE - 1);
	}
}

static void
run(number_fn f, const struct number_rules *r, const struct number_case *c, size_t n)
{
	for (size_t i = 0; i < n; i++)
		run_n(f, c[i].written, strlen(c[i].written), r, c[i].wire, c[i].why);
}
#define RUN(f, r, c) run(f, r, c, sizeof(c) / sizeof(c)[0])

static void
recipients_become_international_digits(void **state)
{
	static const struct number_case cases[] = {
		{ "01012345678", "821012345678", NULL },
		{ "010-1234-5678", "821012345678", NULL },
		{ " 010 1234 5678 ", "821012345678", NULL },
		{ "\t010\t1234-5678\r\n", "821012345678", NULL },
		{ "010--1234--5678-", "821012345678", NULL },
		{ "+82 10-1234-5678", "821012345678", NULL },
		{ "+82-010-1234-5678", "821012345678", NULL },
		{ "+821012345678", "821012345678", NULL },
		{ "+ 82 10 1234 5678", "821012345678", NULL },
		{ "00821012345678", "821012345678", NULL },
		{ "0082 010 1234 5678", "821012345678", NULL },
		{ "011-123-4567", "82111234567", NULL },
		{ "011-1234-5678", "821112345678", NULL },
		{ "016 123 4567", "82161234567", NULL },
		{ "019-9876-5432", "821998765432", NULL },
		{ "02-123-4567", "8221234567", NULL },
		{ "02-1234-5678", "82212345678", NULL },
		{ "031-123-4567", "82311234567", NULL },
		{ "064-1234-5678", "826412345678", NULL },
		{ "070-1234-5678", "827012345678", NULL },
		{ "0505-123-4567", "825051234567", NULL },
		{ "0502-1234-5678", "8250212345678", NULL },
		{ "+1 415 555 0100", "14155550100", NULL },
		{ "001 415 555 0100", "14155550100", NULL },
		{ "+44 7700 900123", "447700900123", NULL },
		{ "+81-90-1234-5678", "819012345678", NULL },
		{ "+683 4000", "6834000", NULL },
		{ "+123456789012345", "123456789012345", NULL },

		{ "", NULL, "no digit" },
		{ "   ", NULL, "no digit" },
		{ "-", NULL, "no digit" },
		{ "+", NULL, "no digit" },
		{ "00", NULL, "no country code" },
		{ "+0", NULL, "no country code" },
		{ "000-1234-5678", NULL, "no country code" },
		{ "+010-1234-5678", NULL, "no country code" },
		{ "0", NULL, "no Korean area or service code" },
		{ "+82", NULL, "no Korean area or service code" },
		{ "010-1234-567", NULL, "has 10 digits, a number that begins with 010 has 11" },
		{ "010-1234-56789", NULL, "has 12 digits" },
		{ "+82 10 1234 567", NULL, "has 10 digits" },
		{ "02-12345", NULL, "has 7 digits, a number that begins with 02 has 9 or 10" },
		{ "031-12345-67890", NULL, "10 or 11" },
		{ "070-123-4567", NULL, "has 11" },
		{ "050-123-456", NULL, "11 or 12" },
		{ "099-1234-5678", NULL, "no Korean area or service code" },
		{ "020-1234-5678", NULL, "service number" },
		{ "02-1588-1234", NULL, "area code 02 before a service number" },
		{ "02-070-1234-5678", NULL, "area code 02 before a service number" },
		{ "031-1588-1234", NULL, "area code 031 before a service number" },
		{ "821012345678", NULL, "neither 0 nor +" },
		{ "1012345678", NULL, "neither 0 nor +" },
		{ "1588-1234", NULL, "neither 0 nor +" },
		{ "114", NULL, "neither 0 nor +" },
		{ "+12345", NULL, "has 5 digits with its country code" },
		{ "+1234567890123456", NULL, "has 16 digits" },
		{ "01012345678901234567890123456789012", NULL, "more than 32 digits" },
		{ "01O-1234-5678", NULL, "'O' at character 3" },
		{ "010.1234.5678", NULL, "'.' at character 4" },
		{ "(010)1234-5678", NULL, "'(' at character 1" },
		{ "010-1234-5678,010-1111-2222", NULL, "',' at character 14" },
		{ "010+12345678", NULL, "'+' at character 4" },
		{ "++821012345678", NULL, "'+' at character 2" },
		{ "공일공", NULL, "U+ACF5 at character 1" },
		{ "  010\xe2\x80\x91"
		  "1234",
		  NULL, "U+2011 at character 6" },
		{ "\xef\xbc\x90\xef\xbc\x91\xef\xbc\x90", NULL, "U+FF10 at character 1" },
		{ "010\xff", NULL, "byte 0xFF at character 4" },
		{ "010\n12345678", NULL, "U+000A at character 4" },
		{ "hong@example.com", NULL, "'h' at character 1" },
	};

	(void)state;
	RUN(number_recipient, &digits, cases);
	run_n(number_recipient,
	      "010\0"
	      "12345678",
	      12, &digits, NULL, "U+0000 at character 4");
	run_n(number_recipient, NULL, 0, &digits, NULL, "no digit");
}

static void
recipients_take_the_form_of_the_wire(void **state)
{
	static const struct number_case with_plus[] = {
		{ "010-1234-5678", "+821012345678", NULL },
		{ "001 415 555 0100", "+14155550100", NULL },
	};
	static const struct number_case as_national[] = {
		{ "+82 10-1234-5678", "01012345678", NULL },
		{ "+82 2-123-4567", "021234567", NULL },
		{ "+1 415 555 0100", "0014155550100", NULL },
		{ "01012345678", "01012345678", NULL },
	};
	static const struct number_case german[] = {
		{ "0171 1234567", "+491711234567", NULL },
		{ "+82 10-1234-5678", "+821012345678", NULL },
		{ "010-1234-5678", "+491012345678", NULL },
		{ "012", NULL, "4 digits with its country code" },
		{ "+49 00171 1234567", NULL, "begins with too many zeroes" },
	};

	(void)state;
	RUN(number_recipient, &plus, with_plus);
	RUN(number_recipient, &national, as_national);
	RUN(number_recipient, &germany, german);
}

static void
senders_keep_their_national_form(void **state)
{
	static const struct number_case cases[] = {
		{ "02-123-4567", "021234567", NULL },
		{ "02-1234-5678", "0212345678", NULL },
		{ "031-1234-5678", "03112345678", NULL },
		{ "010-1234-5678", "01012345678", NULL },
		{ "070-1234-5678", "07012345678", NULL },
		{ "080-123-4567", "0801234567", NULL },
		{ "0505-1234-5678", "050512345678", NULL },
		{ "1588-1234", "15881234", NULL },
		{ "1644 1234", "16441234", NULL },
		{ "18991234", "18991234", NULL },
		{ "+82 2-1234-5678", "0212345678", NULL },
		{ "+82 10 1234 5678", "01012345678", NULL },
		{ "+82 1588-1234", "15881234", NULL },
		{ "+1 415 555 0100", "14155550100", NULL },

		{ "", NULL, "no digit" },
		{ "1588-123", NULL, "no area code" },
		{ "1588-1234-1", NULL, "no area code" },
		{ "1788-1234", NULL, "no area code" },
		{ "123-4567", NULL, "no area code" },
		{ "114", NULL, "no area code" },
		{ "02-1588-1234", NULL, "service number" },
		{ "01588-1234", NULL, "no Korean area or service code" },
		{ "010-123-4567", NULL, "begins with 010 has 11" },
		{ "000-0000-0000", NULL, "no country code" },
		{ "InfoSMS", NULL, "'I' at character 1" },
		{ "02-123-456a", NULL, "'a' at character 11" },
	};
	static const struct number_case german[] = {
		{ "0171 1234567", "01711234567", NULL },
		{ "12345", "12345", NULL },
		{ "12", NULL, "no area code" },
		{ "+1 415 555 0100", "+14155550100", NULL },
	};

	(void)state;
	RUN(number_sender, &digits, cases);
	RUN(number_sender, &germany, german);
}

static void
names_send_where_the_channel_allows_it(void **state)
{
	static const struct number_case cases[] = {
		{ "InfoSMS", "InfoSMS", NULL },
		{ " My Shop ", "My Shop", NULL },
		{ "A", "A", NULL },
		{ "24h-Shop.A&B", NULL, "12 characters" },
		{ "24h-ShopA&B", "24h-ShopA&B", NULL },
		{ "MyBigShopName", NULL, "13 characters" },
		{ "Shop!", NULL, "no letter, digit" },
		{ "Sh\xc3\xb6p", NULL, "no letter, digit" },
		{ "02-123-4567", "021234567", NULL },
		{ "1234", NULL, "no area code" },
	};

	(void)state;
	RUN(number_sender, &names, cases);
	run_n(number_sender, "Sh\0p", 4, &names, NULL, "no letter, digit");
}

/* What is accepted stays what it is when its own wire form is read again, and no reason tells a
 * whole number. */
static void
forms_are_stable_and_reasons_are_masked(void **state)
{
	static const char alphabet[] = "00011123456789-+ 8 2";

	(void)state;
	for (int i = 0; i < 200000; i++) {
		char text[NUMBER_WIRE_SIZE], wire[NUMBER_WIRE_SIZE], again[NUMBER_WIRE_SIZE],
			why[NUMBER_WHY_SIZE];
		char bare[24];
		size_t n = next_random() % (sizeof bare - 1), bare_n = 0;

		for (size_t k = 0; k < n; k++) {
			text[k] = alphabet[next_random() % (sizeof alphabet - 1)];
			if (text[k] >= '0' && text[k] <= '9')
				bare[bare_n++] = text[k];
		}
		text[n] = '\0';
		bare[bare_n] = '\0';
		if (!number_recipient(text, n, &plus, wire, why)) {
			assert_true(why[0] != '\0');
			if (bare_n >= 5 && strstr(why, bare) != NULL)
				fail_msg("'%s': the reason shows the number: %s", text, why);
			continue;
		}
		assert_int_equal(wire[0], '+');
		assert_int_equal(strspn(wire + 1, "0123456789"), strlen(wire + 1));
		assert_in_range(strlen(wire), 8, 16);
		assert_true(number_recipient(wire, strlen(wire), &plus, again, why));
		assert_string_equal(again, wire);
		assert_true(number_recipient(text, n, &national, wire, why));
		assert_true(number_recipient(wire, strlen(wire), &plus, text, why));
		assert_string_equal(text, again);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(recipients_become_international_digits),
		cmocka_unit_test(recipients_take_the_form_of_the_wire),
		cmocka_unit_test(senders_keep_their_national_form),
		cmocka_unit_test(names_send_where_the_channel_allows_it),
		cmocka_unit_test(forms_are_stable_and_reasons_are_masked),
	};
	const char *given = getenv("MTRELAY_SEED");

	seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL) | 1;
	printf("# MTRELAY_SEED=%llu\n", (unsigned long long)seed);
	return cmocka_run_group_tests_name("number", tests, NULL, NULL);
}
