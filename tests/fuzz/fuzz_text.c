/* Small parsers of texts that come from outside: numbers, durations, UTF-8, CP949 lengths, times,
 * hexadecimal, phone numbers, code maps. The first byte chooses, the rest is the text. */
#include "config.h"
#include <ctype.h>
#include "agent/codemap.h"
#include "agent/cp949.h"
#include "agent/number.h"
#include "agent/text.h"
#include "drivers/channel/isotime.h"
#include "tests/fuzz/fuzz.h"

static void
whole_numbers(const char *p, size_t n)
{
	char text[32];
	int64_t v = 77, again = 78;
	bool ok = text_i64_n(p, n, -1000, INT64_MAX, &v);

	must(ok ? v >= -1000 : v == 77);
	if (ok) {
		snprintf(text, sizeof text, "%lld", (long long)v);
		must(text_i64(text, -1000, INT64_MAX, &again) && again == v);
	}
	v = 77;
	ok = text_ms(p, 0, INT64_MAX, &v);
	must(ok ? v >= 0 : v == 77);
	if (ok) {
		must(text_ms(text_ms_format(text, sizeof text, v), 0, INT64_MAX, &again));
		must(again == v);
	}
}

static void
utf8(const char *p, size_t n)
{
	char *copy = malloc(n + 1), less[7];
	size_t bad = 0, at = 0, chars = 0;
	bool ok = text_utf8_check(p, n, &bad);

	must(copy != NULL);
	while (at < n && text_utf8_next(p, n, &at) >= 0)
		chars++;
	must(ok ? at == n : at == bad && bad < n);
	must(!ok || text_utf8_len(p, n) == chars);
	for (size_t max = 0; max < 6; max++) {
		size_t cut = text_utf8_cut(p, n, max);

		must(cut <= max && cut <= n && (!ok || text_utf8_check(p, cut, NULL)));
		must(text_copy_n(less, max + 1, p, n) == (n <= max));
		must(strlen(less) <= max && (!ok || text_utf8_check(less, strlen(less), NULL)));
	}
	must(text_copy_n(copy, n + 1, p, n));
	free(copy);
}

static void
cp949(const char *p, size_t n)
{
	struct cp949_count a, b;
	enum cp949_answer strict = cp949_bytes(p, n, CHARSET_CP949, &a);
	enum cp949_answer loose = cp949_bytes(p, n, CHARSET_UNICODE, &b);

	must((strict == CP949_BAD_UTF8 || loose == CP949_BAD_UTF8)
		     ? !text_utf8_check(p, n, NULL) || strict == CP949_OUTSIDE
		     : text_utf8_check(p, n, NULL));
	must(loose != CP949_OUTSIDE);
	if (strict == CP949_OK)
		must(loose == CP949_OK && a.bytes == b.bytes && a.chars == b.chars &&
		     a.bytes <= 2 * a.chars);
	if (strict == CP949_OUTSIDE)
		must(a.bad_char >= 1 && !cp949_has(a.bad_code_point));
}

static void
times(const char *p)
{
	char out[32], small[8];

	if (isotime_utc(p, out, sizeof out)) {
		must(strlen(out) == 23 && out[4] == '-' && out[10] == ' ' && out[19] == '.');
		for (int i = 0; i < 23; i++)
			must(strchr("-: .", out[i]) != NULL || isdigit((unsigned char)out[i]));
		must(memcmp(out + 5, "12", 2) <= 0 && memcmp(out + 8, "31", 2) <= 0);
		must(memcmp(out + 11, "23", 2) <= 0 && memcmp(out + 14, "59", 2) <= 0);
	} else {
		must(out[0] == '\0');
	}
	(void)isotime_utc(p, small, sizeof small);
	must(strnlen(small, sizeof small) < sizeof small);
}

static void
hexadecimal(const char *p)
{
	unsigned char raw[16];
	char again[33];

	if (!text_unhex(p, raw, sizeof raw))
		return;
	text_hex(again, raw, sizeof raw);
	for (int i = 0; i < 33; i++)
		must(tolower((unsigned char)p[i]) == again[i]);
}

static void
numbers(const char *p, size_t n, unsigned kind)
{
	struct number_rules r = { .country = (kind & 1) != 0 ? "1" : NULL,
				  .form = (enum number_form)((kind >> 1 & 3) % 3),
				  .letters = (kind & 8) != 0 };
	char wire[NUMBER_WIRE_SIZE], why[NUMBER_WHY_SIZE], again[NUMBER_WIRE_SIZE];

	if (number_recipient(p, n, &r, wire, why)) {
		const char *digits = wire + (r.form == NUMBER_E164_PLUS && wire[0] == '+');

		must(digits[0] != '\0' && strspn(digits, "0123456789") == strlen(digits));
		/* What stands on the wire like that may be written like that. */
		if (r.form != NUMBER_E164_DIGITS)
			must(number_recipient(wire, strlen(wire), &r, again, why) &&
			     strcmp(wire, again) == 0);
	} else {
		must(why[0] != '\0' && text_utf8_check(why, strlen(why), NULL));
	}
	if (number_sender(p, n, &r, wire, why))
		must(wire[0] != '\0' && (r.letters || strspn(wire, "+0123456789") == strlen(wire)));
	else
		must(why[0] != '\0' && text_utf8_check(why, strlen(why), NULL));
}

static void
code_map(const char *p, size_t n)
{
	static const char *const families[] = { "sms", "", "x" };
	struct codemap *c;
	struct code_verdict v;
	struct err e;

	if (codemap_parse("fuzz", p, n, &c, &e) != RC_OK) {
		must(c == NULL && e.text[0] != '\0');
		return;
	}
	for (int i = -1; i < 12; i++)
		for (size_t f = 0; f < 3; f++) {
			codemap_judge(c, families[f], i, i * 7, i * 3, &v);
			must(v.class <= CODE_DUPLICATE &&
			     strnlen(v.code, sizeof v.code) <= RESULT_CODE_LEN);
			must(v.class != CODE_FAIL || v.code[0] != '\0');
		}
	(void)codemap_network(c, "sms", "45005");
	(void)codemap_network(c, "sms", p);
	codemap_free(c);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = { data, size };
	unsigned kind = take_byte(&in);
	char *p = copy_of(in), *word = copy_of(take_until(&(struct bytes){ in.p, in.n }, '\0'));

	switch (kind % 8) {
	case 0:
		whole_numbers(word, strlen(word));
		break;
	case 1:
		utf8(p, in.n);
		break;
	case 2:
		cp949(p, in.n);
		break;
	case 3:
		times(word);
		break;
	case 4:
		hexadecimal(word);
		break;
	case 5:
		numbers(p, in.n, kind >> 3);
		break;
	case 6:
		code_map(p, in.n);
		break;
	default:
		(void)text_is_identifier(word, 30);
		(void)text_equal_nocase(p, in.n, "SMS");
		(void)msg_type_parse(p, in.n);
		break;
	}
	free(word);
	free(p);
	return 0;
}
