/* What is written to Infobip's API and how its answers are read, also when they are cut, garbled or
 * hostile. */
#include "config.h"
#include "tests/unit/unit.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "drivers/channel/infobip_codec.h"
#include "drivers/channel/isotime.h"

#define KEY(c) "4" c "aaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static struct codemap *codes;
static const char channel[] = "infobip";

static int
setup(void **state)
{
	struct err e;

	(void)state;
	return codemap_builtin("infobip", &codes, &e) == RC_OK ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	codemap_free(codes);
	return 0;
}

static struct text
text(const char *s)
{
	struct text t = { s, strlen(s), strlen(s) };

	return t;
}

static struct message
message(const char *key, const char *body)
{
	struct message m;

	memset(&m, 0, sizeof m);
	m.type = MSG_TYPE_SMS;
	m.body = text(body);
	snprintf(m.client_key, sizeof m.client_key, "%s", key);
	snprintf(m.to_wire, sizeof m.to_wire, "821012345678");
	snprintf(m.from_wire, sizeof m.from_wire, "15880000");
	return m;
}

/* --- request --- */

static json_t *
built(struct message *m, size_t n, enum number_form form)
{
	struct message *list[8];
	char *body;
	size_t body_n;
	size_t bad;
	char code[RESULT_CODE_LEN + 1];
	struct err e;
	json_t *root;

	for (size_t i = 0; i < n; i++)
		list[i] = &m[i];
	assert_int_equal(infobip_build(list, n, form, &body, &body_n, &bad, code, &e), RC_OK);
	assert_int_equal(strlen(body), body_n);
	root = json_loadb(body, body_n, 0, NULL);
	assert_non_null(root);
	free(body);
	return root;
}

static json_t *
at(json_t *root, size_t i)
{
	return json_array_get(json_object_get(root, "messages"), i);
}

static json_t *
in(json_t *o, const char *a, const char *b)
{
	return json_object_get(json_object_get(o, a), b);
}

static void
a_request_holds_what_the_message_says(void **state)
{
	struct message m[2] = { message(KEY("1"), "\xea\xb0\x80 \"quoted\"\n\xf0\x9f\x98\x80"),
				message(KEY("2"), "b") };
	json_t *root;
	json_t *d;

	(void)state;
	m[0].expire_in_s = 3600;
	m[1].type = MSG_TYPE_LMS;
	m[1].subject = text("title");
	m[1].origin_code = text("012345678");
	m[1].expire_in_s = 9999999;
	m[1].from_wire[0] = '\0';
	root = built(m, 2, NUMBER_E164_DIGITS);
	d = json_array_get(json_object_get(at(root, 0), "destinations"), 0);
	assert_string_equal(json_string_value(json_object_get(d, "to")), "821012345678");
	assert_string_equal(json_string_value(json_object_get(d, "messageId")), KEY("1"));
	assert_string_equal(json_string_value(json_object_get(at(root, 0), "sender")), "15880000");
	assert_string_equal(json_string_value(in(at(root, 0), "content", "text")), m[0].body.p);
	assert_int_equal(json_integer_value(json_object_get(
				 in(at(root, 0), "options", "validityPeriod"), "amount")),
			 3600);
	assert_null(in(at(root, 0), "options", "regional"));
	assert_null(json_object_get(at(root, 1), "sender"));
	d = json_object_get(in(at(root, 1), "options", "regional"), "southKorea");
	assert_string_equal(json_string_value(json_object_get(d, "title")), "title");
	assert_int_equal(json_integer_value(json_object_get(d, "resellerCode")), 12345678);
	assert_int_equal(json_integer_value(json_object_get(
				 in(at(root, 1), "options", "validityPeriod"), "amount")),
			 INFOBIP_VALIDITY_MAX_S);
	assert_true(json_is_true(in(root, "options", "includeSmsCountInResponse")));
	json_decref(root);
}

static void
numbers_take_the_form_of_the_channel(void **state)
{
	static const struct {
		enum number_form form;
		const char *to;
		const char *want;
	} cases[] = {
		{ NUMBER_E164_DIGITS, "821012345678", "821012345678" },
		{ NUMBER_E164_PLUS, "821012345678", "+821012345678" },
		{ NUMBER_NATIONAL, "821012345678", "01012345678" },
		{ NUMBER_NATIONAL, "14155550100", "14155550100" },
	};

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		struct message m = message(KEY("1"), "x");
		json_t *root;

		snprintf(m.to_wire, sizeof m.to_wire, "%s", cases[i].to);
		root = built(&m, 1, cases[i].form);
		assert_string_equal(
			json_string_value(json_object_get(
				json_array_get(json_object_get(at(root, 0), "destinations"), 0),
				"to")),
			cases[i].want);
		json_decref(root);
	}
}

static void
a_title_is_cut_between_characters(void **state)
{
	struct message m = message(KEY("1"), "x");
	char subject[400] = "";
	const char *title;
	json_t *root;

	(void)state;
	for (int i = 0; i < 70; i++)
		memcpy(subject + strlen(subject), "\xea\xb0\x80", 4);
	m.type = MSG_TYPE_LMS;
	m.subject = text(subject);
	root = built(&m, 1, NUMBER_E164_DIGITS);
	title = json_string_value(json_object_get(
		json_object_get(in(at(root, 0), "options", "regional"), "southKorea"), "title"));
	assert_int_equal(strlen(title), 66 * 3);
	json_decref(root);
}

static void
what_cannot_be_said_is_named(void **state)
{
	static const struct {
		const char *body;
		const char *origin;
		const char *code;
	} cases[] = {
		{ "\xff\xfe", "", "2005" },
		{ "ok", "12345678x", "6006" },
		{ "ok", "1234567890", "6006" },
		{ "ok", "000000000", "6006" },
	};

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		struct message m[2] = { message(KEY("1"), "fine"),
					message(KEY("2"), cases[i].body) };
		struct message *list[] = { &m[0], &m[1] };
		char *body;
		size_t body_n;
		size_t bad = 99;
		char code[RESULT_CODE_LEN + 1];
		struct err e;

		m[1].origin_code = text(cases[i].origin);
		assert_int_equal(
			infobip_build(list, 2, NUMBER_E164_DIGITS, &body, &body_n, &bad, code, &e),
			RC_DATA);
		assert_null(body);
		assert_int_equal(bad, 1);
		assert_string_equal(code, cases[i].code);
	}
}

/* --- answers --- */

#define ITEM(key, group, id)                                                                       \
	"{\"messageId\":\"" key "\",\"status\":{\"groupId\":" #group                               \
	",\"groupName\":\"X\",\"id\":" #id                                                         \
	",\"name\":\"NAME\",\"description\":\"d\"},\"destination\":\"821012345678\",\"details\":{" \
	"\"messageCount\":2}}"

struct answered {
	struct message m[3];
	struct message *list[3];
	struct outcome o[3];
	struct infobip_tally t;
	enum rc rc;
};

static void
answer(struct answered *a, const char *p, size_t n)
{
	struct err e;
	/* A copy of the exact size: reading behind it is found. */
	char *copy = malloc(n + (n == 0));

	assert_non_null(copy);
	memcpy(copy, p, n);
	for (size_t i = 0; i < 3; i++)
		a->list[i] = &a->m[i];
	a->m[0] = message(KEY("1"), "a");
	a->m[1] = message(KEY("2"), "b");
	a->m[2] = message(KEY("3"), "c");
	a->rc = infobip_read_answer(copy, n, codes, a->list, 3, a->o, &a->t, &e);
	free(copy);
}

static void
items_are_matched_by_id_not_by_place(void **state)
{
	static const char p[] = "{\"bulkId\":\"b\",\"messages\":[" ITEM(KEY("3"), 5, 6) "," ITEM(
		KEY("9"), 1, 26) "," ITEM(KEY("1"), 1, 26) "]}";
	struct answered a;

	(void)state;
	answer(&a, p, sizeof p - 1);
	assert_int_equal(a.rc, RC_OK);
	assert_int_equal(a.o[0].kind, OUT_ACCEPTED);
	assert_string_equal(a.o[0].provider_id, KEY("1"));
	assert_int_equal(a.o[0].parts, 2);
	assert_int_equal(a.o[1].kind, OUT_UNSURE);
	assert_int_equal(a.o[2].kind, OUT_REJECTED);
	assert_string_equal(a.o[2].code, "7099");
	assert_string_equal(a.o[2].provider_code, "6");
	assert_int_equal(a.t.unknown, 1);
	assert_int_equal(a.t.missing, 1);
}

static void
statuses_become_outcomes(void **state)
{
	static const struct {
		const char *item;
		enum outcome_kind kind;
		bool duplicate;
		bool ended;
		const char *code;
	} cases[] = {
		{ ITEM(KEY("1"), 0, 0), OUT_ACCEPTED, false, false, "" },
		{ ITEM(KEY("1"), 1, 26), OUT_ACCEPTED, false, false, "" },
		{ ITEM(KEY("1"), 3, 5), OUT_ACCEPTED, false, false, "" },
		{ ITEM(KEY("1"), 5, 23), OUT_ACCEPTED, true, false, "" },
		{ ITEM(KEY("1"), 2, 9), OUT_REJECTED, false, false, "4010" },
		{ ITEM(KEY("1"), 4, 15), OUT_REJECTED, false, false, "4011" },
		{ ITEM(KEY("1"), 5, 13), OUT_REJECTED, false, false, "6001" },
		{ ITEM(KEY("1"), 5, 777), OUT_REJECTED, false, false, "9099" },
		{ ITEM(KEY("1"), 5, 21), OUT_DEFERRED, false, true, "7006" },
		{ ITEM(KEY("1"), 5, 12), OUT_DEFERRED, false, true, "7003" },
		{ ITEM(KEY("1"), 5, 19), OUT_DEFERRED, false, true, "7004" },
		/* a group from the future says nothing of a failure */
		{ ITEM(KEY("1"), 8, 777), OUT_ACCEPTED, false, false, "" },
		/* no status to be used */
		{ "{\"messageId\":\"" KEY("1") "\"}", OUT_UNSURE, false, false, "8002" },
		{ "{\"messageId\":\"" KEY("1") "\",\"status\":null}", OUT_UNSURE, false, false,
		  "8002" },
		{ "{\"messageId\":\"" KEY("1") "\",\"status\":{\"groupId\":\"1\",\"id\":26}}",
		  OUT_UNSURE, false, false, "8002" },
		{ "{\"messageId\":\"" KEY("1") "\",\"status\":{\"groupId\":-1,\"id\":26}}",
		  OUT_UNSURE, false, false, "8002" },
		{ "{\"messageId\":\"" KEY(
			  "1") "\",\"status\":{\"groupName\":\"REJECTED\",\"id\":6}}",
		  OUT_REJECTED, false, false, "7099" },
		{ "{\"messageId\":7,\"status\":{\"groupId\":1,\"id\":26}}", OUT_UNSURE, false,
		  false, "8002" },
		{ "null", OUT_UNSURE, false, false, "8002" },
		{ "[[]]", OUT_UNSURE, false, false, "8002" },
		/* two items for one message: a phone may get it */
		{ ITEM(KEY("1"), 5, 6) "," ITEM(KEY("1"), 1, 26), OUT_ACCEPTED, false, false, "" },
		{ ITEM(KEY("1"), 1, 26) "," ITEM(KEY("1"), 5, 6), OUT_ACCEPTED, false, false, "" },
		{ ITEM(KEY("1"), 5, 23) "," ITEM(KEY("1"), 1, 26), OUT_ACCEPTED, false, false, "" },
	};

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		char p[2000];
		struct answered a;

		snprintf(p, sizeof p, "{\"messages\":[%s]}", cases[i].item);
		answer(&a, p, strlen(p));
		if (a.rc != RC_OK || a.o[0].kind != cases[i].kind ||
		    a.o[0].duplicate != cases[i].duplicate ||
		    a.o[0].certainly_ended != cases[i].ended ||
		    strcmp(a.o[0].code, cases[i].code) != 0)
			fail_msg("case %zu: rc %d kind %d dup %d ended %d code %s", i, (int)a.rc,
				 (int)a.o[0].kind, a.o[0].duplicate, a.o[0].certainly_ended,
				 a.o[0].code);
	}
}

static void
what_is_no_answer_leaves_all_unsure(void **state)
{
	static const char *const cases[] = {
		"",
		"null",
		"[]",
		"{}",
		"<html>",
		"{\"messages\":null}",
		"{\"messages\":{}}",
		"{\"messages\":[]} x",
		"{\"messages\":[],\"messages\":[]}",
		"{\"messages\":[\"\xff\"]}",
		"{\"messages\":[123456789012345678901234567890]}",
	};
	char deep[2000];

	(void)state;
	for (size_t i = 0; i <= NELEM(cases); i++) {
		struct answered a;

		memset(deep, '[', sizeof deep - 1);
		deep[sizeof deep - 1] = '\0';
		answer(&a, i < NELEM(cases) ? cases[i] : deep,
		       strlen(i < NELEM(cases) ? cases[i] : deep));
		if (a.rc != RC_DATA)
			fail_msg("case %zu was read", i);
		for (size_t k = 0; k < 3; k++)
			assert_int_equal(a.o[k].kind, OUT_UNSURE);
	}
}

static void
an_answer_cut_anywhere_says_nothing(void **state)
{
	static const char p[] =
		"{\"messages\":[" ITEM(KEY("1"), 1, 26) "," ITEM(KEY("2"), 5, 6) "]}";

	(void)state;
	for (size_t n = 0; n < sizeof p - 1; n++) {
		struct answered a;

		answer(&a, p, n);
		if (a.rc != RC_DATA || a.o[0].kind != OUT_UNSURE || a.o[1].kind != OUT_UNSURE)
			fail_msg("cut at %zu was believed", n);
	}
}

static void
error_bodies_are_read_without_numbers_of_people(void **state)
{
	static const struct {
		const char *body;
		const char *code;
		const char *text;
	} cases[] = {
		{ "{\"errorCode\":\"E400\",\"description\":\"Bad\",\"action\":\"x\",\"violations\":"
		  "[{\"property\":"
		  "\"messages[0].to\",\"violation\":\"821012345678 is wrong\"}],\"resources\":[]}",
		  "E400", "messages[0].to: * is wrong" },
		{ "{\"errorCode\":\"E429\",\"description\":\"Slow\",\"violations\":[]}", "E429",
		  "Slow" },
		{ "{\"requestError\":{\"serviceException\":{\"messageId\":\"BAD_REQUEST\",\"text\":"
		  "\"Bad\","
		  "\"validationErrors\":{\"from\":[\"empty\"]}}}}",
		  "BAD_REQUEST", "Bad; from: empty" },
		{ "<html>", "", "" },
		{ "", "", "" },
		{ "{\"errorCode\":7,\"violations\":{\"a\":1}}", "", "" },
	};

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		char code[20];
		char why[60];

		infobip_read_error(cases[i].body, strlen(cases[i].body), code, sizeof code, why,
				   sizeof why);
		assert_string_equal(code, cases[i].code);
		assert_string_equal(why, cases[i].text);
	}
}

/* --- times --- */

static void
times_become_utc(void **state)
{
	static const struct {
		const char *in;
		const char *out;
	} cases[] = {
		{ "2019-11-09T16:00:00.000+0100", "2019-11-09 15:00:00.000" },
		{ "2026-01-01T00:30:00.5+09:00", "2025-12-31 15:30:00.500" },
		{ "2024-02-28T23:59:59.999-0100", "2024-02-29 00:59:59.999" },
		{ "2023-03-01T00:00:00Z", "2023-03-01 00:00:00.000" },
		{ "2000-02-29T12:00:00.123456+0000", "2000-02-29 12:00:00.123" },
		{ "", "" },
		{ "yesterday", "" },
		{ "2019-11-09", "" },
		{ "2019-11-09T16:00:00", "" },
		{ "2019-13-09T16:00:00Z", "" },
		{ "2019-11-09T25:00:00Z", "" },
		{ "0000-00-00T00:00:00Z", "" },
		{ "2019-11-09T16:00:00.+0100", "" },
		{ "2019-11-09T16:00:00Zx", "" },
	};

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		char out[32];

		assert_int_equal(isotime_utc(cases[i].in, out, sizeof out),
				 cases[i].out[0] != '\0');
		assert_string_equal(out, cases[i].out);
	}
}

/* --- reports --- */

#define REPORT(key, group, id, error)                                                              \
	"{\"bulkId\":\"b\",\"price\":{\"pricePerMessage\":0.01,\"currency\":\"EUR\"},\"status\":{" \
	"\"groupId\":" #group ",\"id\":" #id                                                       \
	",\"name\":\"N\"},\"error\":{\"groupId\":1,\"id\":" #error                                 \
	",\"name\":\"E\",\"permanent\":true},\"messageId\":\"" key                                 \
	"\",\"to\":\"821012345678\",\"sender\":\"x\","                                             \
	"\"doneAt\":\"2026-01-01T09:00:00.000+0900\",\"messageCount\":3,\"mccMnc\":\"45005\"}"

static struct infobip_page
page_of(const char *p, size_t n)
{
	struct infobip_page page;
	struct err e;
	char *copy = malloc(n + (n == 0));

	assert_non_null(copy);
	memcpy(copy, p, n);
	assert_int_equal(infobip_read_reports(copy, n, codes, channel, &page, &e), RC_OK);
	free(copy);
	return page;
}

static void
a_report_is_normalised(void **state)
{
	static const char p[] = "{\"results\":[" REPORT(KEY("1"), 2, 9, 27) "," REPORT(
		"short", 3, 5, 0) "," REPORT(KEY("3"), 5, 23, 0) "]}";
	struct infobip_page page = page_of(p, sizeof p - 1);

	(void)state;
	assert_int_equal(page.n, 3);
	assert_false(page.damaged);
	assert_int_equal(page.r[0].class, REPORT_FAIL);
	assert_string_equal(page.r[0].client_key, KEY("1"));
	assert_string_equal(page.r[0].provider_id, KEY("1"));
	assert_string_equal(page.r[0].code, "4003");
	assert_string_equal(page.r[0].provider_code, "9/27");
	assert_string_equal(page.r[0].carrier, "SKT");
	assert_string_equal(page.r[0].channel, channel);
	assert_string_equal(page.r[0].done_at, "2026-01-01 00:00:00.000");
	assert_int_equal(page.r[0].parts, 3);
	assert_int_equal(page.r[1].class, REPORT_OK);
	assert_string_equal(page.r[1].client_key, "");
	assert_string_equal(page.r[1].provider_id, "short");
	assert_int_equal(page.r[2].class, REPORT_PENDING);
	assert_true(page.r[2].duplicate);
	free(page.r);
}

static void
a_broken_report_costs_only_itself(void **state)
{
	static const struct {
		const char *middle;
		size_t items;
		size_t n;
		bool damaged;
	} cases[] = {
		{ "", 2, 2, true }, /* two commas */
		{ "null", 2, 2, true },
		{ "{}", 3, 2, false },
		{ "{\"messageId\":\"" KEY("5") "\"}", 3, 2, false },
		{ "{\"messageId\":5,\"status\":{\"groupId\":3,\"id\":5}}", 3, 2, false },
		{ "{\"messageId\":\"" KEY("5") "\",\"status\":{\"groupId\":\"3\",\"id\":5}}", 3, 2,
		  false },
		{ "{\"messageId\":\"" KEY("5") "\",}", 3, 2, true },
		{ "{\"messageId\":\"\xff\"}", 3, 2, true },
		{ "{\"messageId\":\"a b\",\"status\":{\"groupId\":3,\"id\":5}}", 3, 2, false },
		{ "{\"n\":99999999999999999999999999}", 3, 2, true },
		{ "{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}", 3, 2,
		  true },
		{ "{\"messageId\":\"open", 3, 2, true }, /* a quote too few */
		{ "{\"messageId\":", 3, 2, true },
		{ "}]", 2, 2, true },
		{ REPORT(KEY("5"), 3, 5, 0), 3, 3, false },
	};

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		char p[4000];
		struct infobip_page page;

		snprintf(p, sizeof p, " {\"x\":{\"results\":[1]},\"results\" : [ %s , %s , %s ] }",
			 REPORT(KEY("1"), 3, 5, 0), cases[i].middle, REPORT(KEY("2"), 3, 5, 0));
		page = page_of(p, strlen(p));
		if (page.items != cases[i].items || page.n != cases[i].n ||
		    page.damaged != cases[i].damaged)
			fail_msg("case %zu: items %zu n %zu damaged %d", i, page.items, page.n,
				 page.damaged);
		assert_string_equal(page.r[0].client_key, KEY("1"));
		assert_string_equal(page.r[page.n - 1].client_key, KEY("2"));
		assert_int_equal(page.broken, page.items - page.n);
		free(page.r);
	}
}

static void
a_page_cut_anywhere_gives_its_whole_reports(void **state)
{
	static const char one[] = REPORT(KEY("1"), 3, 5, 0);
	static const char p[] =
		"{\"results\":[" REPORT(KEY("1"), 3, 5, 0) "," REPORT(KEY("2"), 3, 5, 0) "]}";
	size_t first = strlen("{\"results\":[") + strlen(one);
	size_t second = first + 1 + strlen(one);

	(void)state;
	for (size_t n = 0; n < sizeof p - 1; n++) {
		struct infobip_page page = page_of(p, n);
		size_t want = n >= second ? 2 : n >= first ? 1 : 0;

		if (page.n != want || (n < second && !page.damaged))
			fail_msg("cut at %zu: %zu reports, damaged %d", n, page.n, page.damaged);
		free(page.r);
	}
}

static void
pages_that_are_none(void **state)
{
	static const char *const cases[] = {
		"",
		"null",
		"[]",
		"{}",
		"<html>",
		"{\"results\":null}",
		"{\"results\":{}}",
		"{\"results\"",
		"\"results\":[",
		"{\"x\":\"\\\"results\\\":[\"}",
		"{\"results\\",
	};

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		struct infobip_page page = page_of(cases[i], strlen(cases[i]));

		assert_true(page.damaged);
		assert_int_equal(page.n, 0);
		free(page.r);
	}
}

static void
hostile_pages_end_soon(void **state)
{
	size_t n = 4 * 1024 * 1024;
	char *p = malloc(n);
	const char fill[] = { '{', '[', '"', '}', ',' };

	(void)state;
	assert_non_null(p);
	for (size_t i = 0; i < sizeof fill; i++) {
		struct infobip_page page;
		struct err e;

		memset(p, fill[i], n);
		memcpy(p, "{\"results\":[", 12);
		assert_int_equal(infobip_read_reports(p, n, codes, channel, &page, &e), RC_OK);
		assert_true(page.damaged);
		free(page.r);
	}
	free(p);
}

/* --- logs
 * -----------------------------------------------------------------------------------------------
 */

static void
logs_answer_questions(void **state)
{
	static const char p[] = "{\"results\":[" REPORT(KEY("2"), 5, 23, 0) "," REPORT(
		KEY("2"), 1, 26,
		0) "," REPORT(KEY("3"), 5, 23,
			      0) "," REPORT(KEY("4"), 2, 9,
					    1) "," REPORT(KEY("4"), 5, 23,
							  0) "," REPORT(KEY("5"), 1, 7,
									0) "," REPORT(KEY("5"), 3,
										      5, 0) "]}";
	struct query q[5];
	struct err e;

	(void)state;
	memset(q, 0, sizeof q);
	snprintf(q[0].client_key, sizeof q[0].client_key, KEY("1"));
	snprintf(q[1].client_key, sizeof q[1].client_key, KEY("2"));
	snprintf(q[2].client_key, sizeof q[2].client_key, KEY("3"));
	snprintf(q[3].client_key, sizeof q[3].client_key, KEY("4"));
	snprintf(q[4].client_key, sizeof q[4].client_key, KEY("5"));
	assert_int_equal(infobip_read_logs(p, sizeof p - 1, codes, channel, q, 5, &e), RC_OK);
	assert_int_equal(q[0].kind, RESOLVE_NOT_FOUND);
	/* the refused copy is not what became of the first one */
	assert_int_equal(q[1].kind, RESOLVE_ACCEPTED);
	assert_false(q[1].report.duplicate);
	assert_int_equal(q[1].report.class, REPORT_PENDING);
	assert_int_equal(q[2].kind, RESOLVE_ACCEPTED);
	assert_true(q[2].outcome.duplicate);
	assert_int_equal(q[2].report.class, REPORT_PENDING);
	assert_int_equal(q[3].report.class, REPORT_FAIL);
	assert_string_equal(q[3].report.code, "4001");
	assert_int_equal(q[4].report.class, REPORT_OK);
	assert_string_equal(q[4].outcome.provider_id, KEY("5"));
}

static void
logs_that_cannot_be_read_prove_nothing(void **state)
{
	static const char p[] = "{\"results\":[" REPORT(KEY("1"), 1, 26, 0) "]}";
	struct query q;
	struct err e;

	(void)state;
	memset(&q, 0, sizeof q);
	snprintf(q.client_key, sizeof q.client_key, KEY("2"));
	for (size_t n = 0; n < sizeof p - 1; n++) {
		q.kind = RESOLVE_FAILED;
		assert_int_equal(infobip_read_logs(p, n, codes, channel, &q, 1, &e), RC_DATA);
		assert_int_equal(q.kind, RESOLVE_FAILED);
	}
	assert_int_equal(infobip_read_logs("{\"results\":[{}]}", 16, codes, channel, &q, 1, &e),
			 RC_DATA);
	assert_int_equal(infobip_read_logs("{\"results\":[]}", 14, codes, channel, &q, 1, &e),
			 RC_OK);
	assert_int_equal(q.kind, RESOLVE_NOT_FOUND);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_holds_what_the_message_says),
		cmocka_unit_test(numbers_take_the_form_of_the_channel),
		cmocka_unit_test(a_title_is_cut_between_characters),
		cmocka_unit_test(what_cannot_be_said_is_named),
		cmocka_unit_test(items_are_matched_by_id_not_by_place),
		cmocka_unit_test(statuses_become_outcomes),
		cmocka_unit_test(what_is_no_answer_leaves_all_unsure),
		cmocka_unit_test(an_answer_cut_anywhere_says_nothing),
		cmocka_unit_test(error_bodies_are_read_without_numbers_of_people),
		cmocka_unit_test(times_become_utc),
		cmocka_unit_test(a_report_is_normalised),
		cmocka_unit_test(a_broken_report_costs_only_itself),
		cmocka_unit_test(a_page_cut_anywhere_gives_its_whole_reports),
		cmocka_unit_test(pages_that_are_none),
		cmocka_unit_test(hostile_pages_end_soon),
		cmocka_unit_test(logs_answer_questions),
		cmocka_unit_test(logs_that_cannot_be_read_prove_nothing),
	};

	return cmocka_run_group_tests_name("infobip_codec", tests, setup, teardown);
}
