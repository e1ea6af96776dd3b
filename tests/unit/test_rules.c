/* Runs tests/data/messages.tsv through validate_message(), and random rows for what always
 * holds. */
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
#include "agent/batch.h"
#include "agent/result.h"
#include "agent/text.h"
#include "agent/validate.h"

#define CAP_BYTES 16384
#define CELL_MAX ((size_t)2 * 1024 * 1024)
#define CASES_MIN 120

enum cell {
	NAME,
	RULES,
	TYPE,
	SENDER,
	RECIPIENT,
	BODY,
	MORE,
	CODE,
	SENT_AS,
	BYTES,
	TO,
	FROM,
	WHY,
	CELLS
};

static uint64_t seed;

static uint64_t
next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* ---- the file ---- */

struct bytes {
	char *p;
	size_t n;
};

/* One text at a time is put together here. */
static char scratch[CELL_MAX];

static void
put(struct bytes *b, const char *p, size_t n)
{
	assert_true(b->n + n < CELL_MAX);
	memcpy(b->p + b->n, p, n);
	b->n += n;
	b->p[b->n] = '\0';
}

static void
put_character(struct bytes *b, unsigned long cp)
{
	char utf8[4];
	size_t n = 0;

	if (cp < 0x80) {
		utf8[n++] = (char)cp;
	} else if (cp < 0x800) {
		utf8[n++] = (char)(0xc0 | cp >> 6);
		utf8[n++] = (char)(0x80 | (cp & 63));
	} else if (cp < 0x10000) {
		utf8[n++] = (char)(0xe0 | cp >> 12);
		utf8[n++] = (char)(0x80 | (cp >> 6 & 63));
		utf8[n++] = (char)(0x80 | (cp & 63));
	} else {
		utf8[n++] = (char)(0xf0 | cp >> 18);
		utf8[n++] = (char)(0x80 | (cp >> 12 & 63));
		utf8[n++] = (char)(0x80 | (cp >> 6 & 63));
		utf8[n++] = (char)(0x80 | (cp & 63));
	}
	put(b, utf8, n);
}

static unsigned long
hex(const char *p, size_t n)
{
	char digits[9] = "";
	char *end;
	unsigned long v;

	assert_in_range(n, 1, 8);
	memcpy(digits, p, n);
	v = strtoul(digits, &end, 16);
	if (*end != '\0')
		fail_msg("bad escape '%s'", digits);
	return v;
}

/* One escape at p[0] = '\\'; returns its length. */
static size_t
unescape_one(struct bytes *b, const char *p, size_t n)
{
	size_t i, open = 1, begin;
	long times;
	char c;

	assert_true(n >= 2);
	switch (p[1]) {
	case 'n':
		put(b, "\n", 1);
		return 2;
	case 'r':
		put(b, "\r", 1);
		return 2;
	case 't':
		put(b, "\t", 1);
		return 2;
	case '\\':
		put(b, "\\", 1);
		return 2;
	case 'x':
		assert_true(n >= 4);
		c = (char)hex(p + 2, 2);
		put(b, &c, 1);
		return 4;
	case 'u':
		assert_true(n >= 5);
		if (p[2] != '{') {
			assert_true(n >= 6);
			put_character(b, hex(p + 2, 4));
			return 6;
		}
		for (i = 3; i < n && p[i] != '}'; i++)
			;
		put_character(b, hex(p + 3, i - 3));
		return i + 1;
	case '*':
		times = strtol(p + 2, NULL, 10);
		for (i = 2; i < n && p[i] != '{'; i++)
			;
		begin = ++i;
		for (; i < n; i++) {
			if (p[i] == '{')
				open++;
			else if (p[i] == '}' && --open == 0)
				break;
		}
		assert_true(i < n);
		for (long k = 0; k < times; k++)
			put(b, p + begin, i - begin);
		return i + 1;
	default:
		fail_msg("unknown escape \\%c", p[1]);
		return 2;
	}
}

static struct bytes
unescape(const char *p, size_t n)
{
	struct bytes b = { scratch, 0 };

	b.p[0] = '\0';
	for (size_t at = 0; at < n;) {
		if (p[at] == '\\') {
			at += unescape_one(&b, p + at, n - at);
		} else {
			put(&b, p + at, 1);
			at++;
		}
	}
	return b;
}

/* As the store reads a column: up to the cap and the first NUL, with the true length. */
static struct text
stored(struct batch *batch, const char *p, size_t n)
{
	struct text t = { .full = n };
	const char *nul = memchr(p, '\0', n);

	t.n = nul != NULL ? (size_t)(nul - p) : n;
	if (t.n > CAP_BYTES)
		t.n = CAP_BYTES;
	t.p = batch_text(batch, p, t.n);
	assert_non_null(t.p);
	return t;
}

static struct text
cell_text(struct batch *batch, const char *p, size_t n)
{
	struct bytes b = unescape(p, n);

	return stored(batch, b.p, b.n);
}

/* ---- rules by name ---- */

static struct validate_rules
rules_named(const char *name)
{
	struct validate_rules r = {
		.types = 1u << MSG_TYPE_SMS | 1u << MSG_TYPE_LMS,
		.text_cap_bytes = CAP_BYTES,
	};
	struct validate_type *sms = &r.by_type[MSG_TYPE_SMS], *lms = &r.by_type[MSG_TYPE_LMS];

	*sms = (struct validate_type){ NUMBER_E164_DIGITS, CHARSET_CP949, false, 90 };
	*lms = (struct validate_type){ NUMBER_E164_DIGITS, CHARSET_CP949, false, 2000 };
	if (strcmp(name, "kr") == 0)
		return r;
	if (strcmp(name, "sms") == 0) {
		r.types = 1u << MSG_TYPE_SMS;
	} else if (strcmp(name, "lms") == 0) {
		r.types = 1u << MSG_TYPE_LMS;
	} else if (strcmp(name, "none") == 0) {
		r.types = 0;
	} else if (strcmp(name, "uni") == 0) {
		sms->charset = lms->charset = CHARSET_UNICODE;
	} else if (strcmp(name, "wide") == 0) {
		sms->max_bytes = lms->max_bytes = 0;
	} else if (strcmp(name, "plus") == 0) {
		sms->number_form = lms->number_form = NUMBER_E164_PLUS;
		sms->letters_in_sender = lms->letters_in_sender = true;
	} else if (strcmp(name, "nat") == 0) {
		sms->number_form = lms->number_form = NUMBER_NATIONAL;
	} else if (strcmp(name, "de") == 0) {
		sms->number_form = lms->number_form = NUMBER_E164_PLUS;
		r.country = "49";
	} else {
		fail_msg("no rules are called '%s'", name);
	}
	return r;
}

/* ---- one case ---- */

struct expected {
	bool has_text;
	struct text text;
};

static void
read_more(struct message *m, const char *more, struct expected *x)
{
	for (const char *p = more; *p != '\0' && strcmp(more, "-") != 0;) {
		size_t n = strcspn(p, "|");
		const char *eq = memchr(p, '=', n);
		size_t key_n;
		struct text t;

		if (eq == NULL)
			fail_msg("no '=' in '%s'", p);
		key_n = (size_t)(eq - p);
		t = cell_text(m->batch, eq + 1, n - key_n - 1);
		if (text_equal_nocase(p, key_n, "subject"))
			m->subject = t;
		else if (text_equal_nocase(p, key_n, "vars"))
			m->vars = t;
		else if (text_equal_nocase(p, key_n, "payload"))
			m->payload = t;
		else if (text_equal_nocase(p, key_n, "send_at"))
			m->send_at = t;
		else if (text_equal_nocase(p, key_n, "fallback_type"))
			m->fallback_type = t;
		else if (text_equal_nocase(p, key_n, "expire"))
			m->expire_in_s = strtol(t.p, NULL, 10);
		else if (text_equal_nocase(p, key_n, "priority"))
			m->priority = (int)strtol(t.p, NULL, 10);
		else if (text_equal_nocase(p, key_n, "cancel"))
			m->cancel = true;
		else if (text_equal_nocase(p, key_n, "repeated"))
			m->is_repeated = true;
		else if (text_equal_nocase(p, key_n, "null"))
			m->body = (struct text){ NULL, 0, 0 };
		else if (text_equal_nocase(p, key_n, "text"))
			*x = (struct expected){ true, t };
		else
			fail_msg("unknown word in '%s'", p);
		p += n + (p[n] == '|');
	}
}

static bool
differs(const char *name, const char *what, const char *is, const char *should)
{
	if (strcmp(should, "-") == 0 || strcmp(is, should) == 0)
		return false;
	print_message("# %s: %s is '%s' instead of '%s'\n", name, what, is, should);
	return true;
}

/* What holds for every verdict, whatever the row was. */
static void
check_verdict(const struct message *m, const struct validate_rules *r, const struct verdict *v)
{
	const struct result *code = result_find(v->code);
	char told[VERDICT_TEXT_SIZE];

	switch (v->kind) {
	case VERDICT_SEND:
		assert_string_equal(v->code, "");
		assert_string_equal(v->text, "");
		assert_true(v->type != MSG_TYPE_AUTO && v->type < MSG_TYPE_COUNT &&
			    (r->types >> v->type & 1) != 0);
		assert_true(v->bytes > 0);
		assert_true(r->by_type[v->type].max_bytes == 0 ||
			    v->bytes <= r->by_type[v->type].max_bytes);
		assert_true(v->to_wire[0] != '\0' && v->from_wire[0] != '\0');
		assert_true(v->body.n == v->body.full && v->body.n <= r->text_cap_bytes);
		assert_int_equal(v->body.p[v->body.n], '\0');
		assert_true(text_utf8_check(v->body.p, v->body.n, NULL));
		break;
	case VERDICT_REFUSE:
		assert_non_null(code);
		assert_int_equal(code->class, RESULT_FAIL);
		assert_true(v->text[0] != '\0');
		assert_true(strlen(v->text) < VERDICT_TEXT_SIZE - 1);
		assert_true(text_utf8_check(v->text, strlen(v->text), NULL));
		/* The sentence masks it; what follows the first semicolon is advice with example
		 * numbers. */
		snprintf(told, sizeof told, "%.*s", (int)strcspn(v->text, ";"), v->text);
		if (m->recipient.n >= 9)
			assert_null(strstr(told, m->recipient.p));
		break;
	case VERDICT_WAIT:
		assert_string_equal(v->code, "");
		assert_true(v->text[0] != '\0' && v->type != MSG_TYPE_AUTO);
		break;
	}
}

static unsigned
run_case(char **cell)
{
	struct validate_rules rules = rules_named(cell[RULES]);
	struct batch *batch = batch_new(4 * CELL_MAX);
	struct message *m = batch_message(batch);
	struct expected x = { 0 };
	struct verdict v;
	char bytes[16];
	const char *code;
	unsigned wrong = 0;

	assert_non_null(m);
	m->type_text = cell_text(batch, cell[TYPE], strlen(cell[TYPE]));
	m->type = m->asked_type = msg_type_parse(m->type_text.p, m->type_text.n);
	m->sender = cell_text(batch, cell[SENDER], strlen(cell[SENDER]));
	m->recipient = cell_text(batch, cell[RECIPIENT], strlen(cell[RECIPIENT]));
	m->body = cell_text(batch, cell[BODY], strlen(cell[BODY]));
	m->priority = 1;
	m->expire_in_s = 86400;
	read_more(m, cell[MORE], &x);

	validate_message(m, &rules, &v);
	check_verdict(m, &rules, &v);
	code = v.kind == VERDICT_SEND ? "SEND" : v.kind == VERDICT_WAIT ? "WAIT" : v.code;
	wrong += differs(cell[NAME], "code", code, cell[CODE]);
	if (wrong != 0)
		print_message("#   %s\n", v.text);
	wrong += differs(cell[NAME], "type", msg_type_name(v.type), cell[SENT_AS]);
	snprintf(bytes, sizeof bytes, "%u", v.bytes);
	wrong += differs(cell[NAME], "bytes", bytes, cell[BYTES]);
	wrong += differs(cell[NAME], "recipient on the wire", v.to_wire, cell[TO]);
	wrong += differs(cell[NAME], "sender on the wire", v.from_wire, cell[FROM]);
	if (strcmp(cell[WHY], "-") != 0 && strstr(v.text, cell[WHY]) == NULL)
		wrong += differs(cell[NAME], "sentence", v.text, cell[WHY]);
	if (x.has_text && v.kind == VERDICT_SEND) {
		validate_apply(&v, m);
		if (m->body.n != x.text.n || memcmp(m->body.p, x.text.p, x.text.n) != 0)
			wrong += differs(cell[NAME], "text", m->body.p, x.text.p);
	}
	batch_let_go(m);
	return wrong != 0;
}

static void
every_row_of_the_table_ends_as_it_says(void **state)
{
	const char *top = getenv("MTRELAY_SRCDIR");
	char path[4096], *line = NULL;
	size_t room = 0;
	unsigned cases = 0, wrong = 0;
	FILE *f;

	(void)state;
	snprintf(path, sizeof path, "%s/tests/data/messages.tsv", top != NULL ? top : ".");
	f = fopen(path, "r");
	if (f == NULL)
		fail_msg("cannot open %s", path);
	while (getline(&line, &room, f) > 0) {
		char *cell[CELLS], *p = line;
		int n = 0;

		if (line[0] == '#')
			continue;
		line[strcspn(line, "\n")] = '\0';
		while (n < CELLS && p != NULL) {
			cell[n++] = p;
			p = strchr(p, '\t');
			if (p != NULL)
				*p++ = '\0';
		}
		if (n != CELLS || p != NULL)
			fail_msg("'%s' has not %d cells", line, CELLS);
		cases++;
		wrong += run_case(cell);
	}
	free(line);
	fclose(f);
	print_message("# %u cases, %u wrong\n", cases, wrong);
	assert_int_equal(wrong, 0);
	assert_true(cases >= CASES_MIN);
}

/* As a driver gives it whose library does not stop at a NUL: the length includes it. */
static void
a_nul_that_was_read_is_refused_like_one_that_cut(void **state)
{
	struct validate_rules rules = rules_named("kr");
	struct batch *batch = batch_new(1 << 16);
	struct message *m = batch_message(batch);
	struct verdict v;

	(void)state;
	assert_non_null(m);
	m->type = MSG_TYPE_SMS;
	m->expire_in_s = 1;
	m->sender = stored(batch, "02-123-4567", 11);
	m->recipient = stored(batch, "010-2345-6789", 13);
	m->body = (struct text){ "ab\0cd", 5, 5 };
	validate_message(m, &rules, &v);
	assert_string_equal(v.code, "2005");
	assert_non_null(strstr(v.text, "NUL at byte 3"));

	m->body = stored(batch, "ab", 2);
	m->recipient = (struct text){ "010-2345\0-6789", 14, 14 };
	validate_message(m, &rules, &v);
	assert_string_equal(v.code, "2001");
	m->recipient = stored(batch, "010-2345-6789", 13);
	m->vars = (struct text){ "{}\0", 3, 3 };
	validate_message(m, &rules, &v);
	assert_string_equal(v.code, "2009");
	batch_let_go(m);
}

/* ---- random rows ---- */

static struct text
random_text(struct batch *batch, const char *const *parts, size_t part_count, size_t max)
{
	struct bytes b = { scratch, 0 };
	size_t n = next_random() % (max + 1);

	for (size_t i = 0; i < n; i++) {
		const char *part = parts[next_random() % part_count];

		put(&b, part, part[0] == '\0' ? 1 : strlen(part)); /* "" stands for a NUL byte */
	}
	return stored(batch, b.p, b.n);
}

static void
no_row_breaks_what_always_holds(void **state)
{
	static const char *const texts[] = {
		"a",	"가", "\xf0\x9f\x98\x80", " ",	"\n", "#{", "}", "#{n}", "n",
		"#{m}", "é",  "1234567",	  "\"", "\\"
	};
	static const char *const bad[] = { "a",	       "가", "\x07",	 "\xff",
					   "\xea\xb0", "",   "\xc2\x85", "\r" };
	static const char *const json[] = { "{", "}", "\"n\":", "\"m\":", "1", "\"가\"",
					    ",", "[", "]",	"null",	  " " };
	static const char *const numbers[] = { "0", "1", "2",	 "8",	 "10", "010", "+",
					       "-", " ", "1234", "5678", "82", "a" };
	static const char *const names[] = { "kr",   "sms",  "lms", "none", "uni",
					     "wide", "plus", "nat", "de" };

	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct validate_rules rules =
			rules_named(names[next_random() % (sizeof names / sizeof names[0])]);
		struct batch *batch = batch_new(CELL_MAX);
		struct message *m = batch_message(batch);
		struct verdict v, again;

		assert_non_null(m);
		m->type =
			(enum msg_type)(next_random() % 20 ? next_random() % 3
							   : next_random() % (MSG_TYPE_COUNT + 1));
		m->priority = next_random() % 50 ? (int)(next_random() % 3)
						 : (int)(next_random() % 9) - 3;
		m->expire_in_s = next_random() % 50 ? 100 : (int64_t)next_random();
		m->sender = next_random() % 4 ? stored(batch, "02-123-4567", 11)
					      : random_text(batch, numbers,
							    sizeof numbers / sizeof numbers[0], 6);
		m->recipient = next_random() % 4
				       ? stored(batch, "010-2345-6789", 13)
				       : random_text(batch, numbers,
						     sizeof numbers / sizeof numbers[0], 6);
		m->body = next_random() % 8
				  ? random_text(batch, texts, sizeof texts / sizeof texts[0], 120)
				  : random_text(batch, bad, sizeof bad / sizeof bad[0], 20);
		m->subject = random_text(batch, texts, sizeof texts / sizeof texts[0], 4);
		if (next_random() % 2)
			m->vars = next_random() % 2 ? stored(batch, "{\"n\":\"x\"}", 9)
						    : random_text(batch, json,
								  sizeof json / sizeof json[0], 8);
		validate_message(m, &rules, &v);
		check_verdict(m, &rules, &v);
		validate_message(m, &rules, &again);
		assert_int_equal(v.kind, again.kind);
		assert_string_equal(v.code, again.code);
		assert_string_equal(v.text, again.text);
		assert_int_equal(v.bytes, again.bytes);
		batch_let_go(m);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_of_the_table_ends_as_it_says),
		cmocka_unit_test(a_nul_that_was_read_is_refused_like_one_that_cut),
		cmocka_unit_test(no_row_breaks_what_always_holds),
	};
	const char *given = getenv("MTRELAY_SEED");

	seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL) | 1;
	printf("# MTRELAY_SEED=%llu\n", (unsigned long long)seed);
	return cmocka_run_group_tests_name("rules", tests, NULL, NULL);
}
