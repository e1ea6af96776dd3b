#include "config.h"
#include "agent/number.h"
#include <stdio.h>
#include <string.h>
#include "agent/log.h"
#include "agent/text.h"

#define DIGITS_MAX 32
#define E164_MIN 7
#define E164_MAX 15

enum kind {
	KIND_INTERNATIONAL, /* digits begin with the country code */
	KIND_NATIONAL,	    /* digits begin with 0 */
	KIND_PLAIN,	    /* neither */
};

struct digits {
	const char *column;
	enum kind kind;
	size_t n;
	char d[DIGITS_MAX + 1];
	char masked[24]; /* a longer number is cut */
};

/* Korean numbering plan: digits of the whole national number by its code. */
static const struct plan {
	const char *code;
	unsigned min, max;
	bool is_area; /* a subscriber's number of its own follows, never a service number */
} plans[] = {
	{ "010", 11, 11, false }, { "011", 10, 11, false }, { "016", 10, 11, false },
	{ "017", 10, 11, false }, { "018", 10, 11, false }, { "019", 10, 11, false },
	{ "02", 9, 10, true },	  { "030", 11, 12, false }, { "031", 10, 11, true },
	{ "032", 10, 11, true },  { "033", 10, 11, true },  { "041", 10, 11, true },
	{ "042", 10, 11, true },  { "043", 10, 11, true },  { "044", 10, 11, true },
	{ "050", 11, 12, false }, { "051", 10, 11, true },  { "052", 10, 11, true },
	{ "053", 10, 11, true },  { "054", 10, 11, true },  { "055", 10, 11, true },
	{ "060", 10, 11, false }, { "061", 10, 11, true },  { "062", 10, 11, true },
	{ "063", 10, 11, true },  { "064", 10, 11, true },  { "070", 11, 11, false },
	{ "080", 10, 11, false },
};

static const char *
country_of(const struct number_rules *r)
{
	return r->country != NULL && r->country[0] != '\0' ? r->country : NUMBER_COUNTRY;
}

static bool
is_korea(const struct number_rules *r)
{
	return strcmp(country_of(r), "82") == 0;
}

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Says what stands at offset `at` of the column's text. */
static void
refuse_character(const char *column, const char *p, size_t n, size_t at, char *why)
{
	size_t position = text_utf8_len(p, at) + 1;
	size_t next = at;
	int32_t cp = text_utf8_next(p, n, &next);
	char what[16];

	if (cp > 0x20 && cp < 0x7f)
		snprintf(what, sizeof what, "'%c'", (char)cp);
	else if (cp >= 0)
		snprintf(what, sizeof what, "U+%04X", (unsigned)cp);
	else
		snprintf(what, sizeof what, "byte 0x%02X", (unsigned)(unsigned char)p[at]);
	snprintf(why, NUMBER_WHY_SIZE,
		 "%s holds %s at character %zu; write only digits, '-', blanks and a leading '+'",
		 column, what, position);
}

/* Reads the text into digits and tells national from international. */
static bool
collect(const char *column, const char *p, size_t n, struct digits *x, char *why)
{
	bool plus = false;
	size_t trimmed_n = n;
	size_t begin = (size_t)(text_trim(p, &trimmed_n) - p);

	*x = (struct digits){ .column = column };
	for (size_t i = begin; i < begin + trimmed_n; i++) {
		if (is_digit(p[i])) {
			if (x->n == DIGITS_MAX) {
				snprintf(why, NUMBER_WHY_SIZE,
					 "%s has more than %d digits; a number has at most %d",
					 column, DIGITS_MAX, E164_MAX);
				return false;
			}
			x->d[x->n++] = p[i];
		} else if (p[i] == '+' && !plus && x->n == 0) {
			plus = true;
		} else if (p[i] != '-' && p[i] != ' ' && p[i] != '\t') {
			refuse_character(column, p, n, i, why);
			return false;
		}
	}
	if (x->n == 0) {
		snprintf(why, NUMBER_WHY_SIZE,
			 "%s holds no digit; write a number like 010-1234-5678", column);
		return false;
	}
	mask_number(x->masked, sizeof x->masked, x->d);
	if (plus) {
		x->kind = KIND_INTERNATIONAL;
	} else if (x->n >= 2 && x->d[0] == '0' && x->d[1] == '0') {
		x->kind = KIND_INTERNATIONAL;
		memmove(x->d, x->d + 2, x->n - 1);
		x->n -= 2;
	} else {
		x->kind = x->d[0] == '0' ? KIND_NATIONAL : KIND_PLAIN;
	}
	return true;
}

/* 1588-1234: valid without an area code only. */
static bool
is_representative(const char *d, size_t n)
{
	return n == 8 && d[0] == '1' && (d[1] == '5' || d[1] == '6' || d[1] == '8');
}

/* d is the whole national number with its 0. */
static bool
check_korean(const struct digits *x, const char *d, size_t n, char *why)
{
	for (size_t i = 0; i < sizeof plans / sizeof plans[0]; i++) {
		const struct plan *plan = &plans[i];
		size_t code_n = strlen(plan->code);

		if (strncmp(d, plan->code, code_n) != 0)
			continue;
		if (plan->is_area && n > code_n &&
		    (d[code_n] == '0' || is_representative(d + code_n, n - code_n))) {
			snprintf(why, NUMBER_WHY_SIZE,
				 "%s %s has the area code %s before a service number; leave the "
				 "area code out",
				 x->column, x->masked, plan->code);
			return false;
		}
		if (n >= plan->min && n <= plan->max)
			return true;
		if (plan->min == plan->max)
			snprintf(why, NUMBER_WHY_SIZE,
				 "%s %s has %zu digits, a number that begins with %s has %u",
				 x->column, x->masked, n, plan->code, plan->max);
		else
			snprintf(why, NUMBER_WHY_SIZE,
				 "%s %s has %zu digits, a number that begins with %s has %u or %u",
				 x->column, x->masked, n, plan->code, plan->min, plan->max);
		return false;
	}
	snprintf(why, NUMBER_WHY_SIZE,
		 "%s %s begins with no Korean area or service code; correct the number", x->column,
		 x->masked);
	return false;
}

static bool
check_international(const struct digits *x, const char *country, size_t n, char *why)
{
	if (country[0] == '0' || n == 0) {
		snprintf(why, NUMBER_WHY_SIZE,
			 "%s %s has no country code behind + or 00; write it like +82 10-1234-5678",
			 x->column, x->masked);
		return false;
	}
	if (n < E164_MIN || n > E164_MAX) {
		snprintf(why, NUMBER_WHY_SIZE,
			 "%s %s has %zu digits with its country code, an international number has "
			 "%d to %d",
			 x->column, x->masked, n, E164_MIN, E164_MAX);
		return false;
	}
	return true;
}

/* Splits off the own country: significant is what follows its code or its 0, *foreign is true
 * for other countries' numbers (significant then begins with their code). */
static bool
split(const struct digits *x, const struct number_rules *r, const char **significant, bool *foreign,
      char *why)
{
	const char *country = country_of(r);
	size_t country_n = strlen(country);

	*significant = x->d;
	*foreign = false;
	if (x->kind == KIND_NATIONAL) {
		(*significant)++;
		return true;
	}
	if (strncmp(x->d, country, country_n) == 0) {
		*significant += country_n;
		if (**significant == '0')
			(*significant)++;
		return true;
	}
	*foreign = true;
	return check_international(x, x->d, x->n, why);
}

/* The number of the own country, by its plan where we know one. */
static bool
check_own(const struct digits *x, const struct number_rules *r, const char *significant, char *why)
{
	char national[DIGITS_MAX + 2];

	if (is_korea(r)) {
		snprintf(national, sizeof national, "0%s", significant);
		return check_korean(x, national, strlen(national), why);
	}
	/* "00..." in national form would be somebody else's number abroad. */
	if (significant[0] == '0') {
		snprintf(why, NUMBER_WHY_SIZE, "%s %s begins with too many zeroes", x->column,
			 x->masked);
		return false;
	}
	return check_international(x, country_of(r), strlen(country_of(r)) + strlen(significant),
				   why);
}

static void
write_foreign(char *wire, const char *d, enum number_form form)
{
	const char *prefix = "";

	switch (form) {
	case NUMBER_E164_DIGITS:
		break;
	case NUMBER_E164_PLUS:
		prefix = "+";
		break;
	case NUMBER_NATIONAL:
		prefix = "00";
		break;
	}
	snprintf(wire, NUMBER_WIRE_SIZE, "%s%s", prefix, d);
}

bool
number_recipient(const char *p, size_t n, const struct number_rules *r, char *wire, char *why)
{
	struct digits x;
	const char *significant;
	bool foreign;

	wire[0] = '\0';
	why[0] = '\0';
	if (!collect("recipient", p, n, &x, why))
		return false;
	if (x.kind == KIND_PLAIN) {
		snprintf(why, NUMBER_WHY_SIZE,
			 "recipient %s begins with neither 0 nor +; write 010-1234-5678 or +82 "
			 "10-1234-5678",
			 x.masked);
		return false;
	}
	if (!split(&x, r, &significant, &foreign, why))
		return false;
	if (foreign) {
		write_foreign(wire, significant, r->form);
		return true;
	}
	if (!check_own(&x, r, significant, why))
		return false;
	switch (r->form) {
	case NUMBER_E164_DIGITS:
		snprintf(wire, NUMBER_WIRE_SIZE, "%s%s", country_of(r), significant);
		break;
	case NUMBER_E164_PLUS:
		snprintf(wire, NUMBER_WIRE_SIZE, "+%s%s", country_of(r), significant);
		break;
	case NUMBER_NATIONAL:
		snprintf(wire, NUMBER_WIRE_SIZE, "0%s", significant);
		break;
	}
	return true;
}

static bool
has_letter(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (is_letter(p[i]))
			return true;
	return false;
}

static bool
sender_name(const char *p, size_t n, char *wire, char *why)
{
	const char *begin = text_trim(p, &n);

	for (size_t i = 0; i < n; i++) {
		if (!is_letter(begin[i]) && !is_digit(begin[i]) &&
		    (begin[i] == '\0' || strchr(" -._&", begin[i]) == NULL)) {
			snprintf(why, NUMBER_WHY_SIZE,
				 "sender is a name with a character that is no letter, digit, "
				 "blank, -, ., _ or &");
			return false;
		}
	}
	if (n > NUMBER_ALPHA_MAX) {
		snprintf(why, NUMBER_WHY_SIZE,
			 "sender is a name of %zu characters; shorten it to %d", n,
			 NUMBER_ALPHA_MAX);
		return false;
	}
	return text_copy_n(wire, NUMBER_WIRE_SIZE, begin, n);
}

bool
number_sender(const char *p, size_t n, const struct number_rules *r, char *wire, char *why)
{
	struct digits x;
	const char *significant;
	bool foreign;

	wire[0] = '\0';
	why[0] = '\0';
	if (r->letters && has_letter(p, n))
		return sender_name(p, n, wire, why);
	if (!collect("sender", p, n, &x, why))
		return false;
	if (x.kind == KIND_PLAIN) {
		if (is_korea(r) ? is_representative(x.d, x.n) : x.n >= 3 && x.n <= E164_MAX) {
			snprintf(wire, NUMBER_WIRE_SIZE, "%s", x.d);
			return true;
		}
		snprintf(why, NUMBER_WHY_SIZE,
			 "sender %s has no area code; write it like 02-123-4567, 1588-1234 or +82 "
			 "2-123-4567",
			 x.masked);
		return false;
	}
	if (!split(&x, r, &significant, &foreign, why))
		return false;
	if (foreign) {
		write_foreign(wire, significant, r->form);
		return true;
	}
	if (x.kind == KIND_INTERNATIONAL && is_korea(r) &&
	    is_representative(significant, strlen(significant))) {
		snprintf(wire, NUMBER_WIRE_SIZE, "%s", significant);
		return true;
	}
	if (!check_own(&x, r, significant, why))
		return false;
	snprintf(wire, NUMBER_WIRE_SIZE, "0%s", significant);
	return true;
}
