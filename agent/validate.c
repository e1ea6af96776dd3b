#include "config.h"
#include "agent/validate.h"
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "agent/batch.h"
#include "agent/cp949.h"
#include "agent/number.h"
#include "agent/text.h"

static bool refuse(struct verdict *v, const char *code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Returns false, so that a check can end in one line. */
static bool
refuse(struct verdict *v, const char *code, const char *fmt, ...)
{
	char text[2 * VERDICT_TEXT_SIZE];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	v->kind = VERDICT_REFUSE;
	text_copy(v->code, sizeof v->code, code);
	text_copy(v->text, sizeof v->text, text);
	return false;
}

static bool
must_wait(struct verdict *v, const char *text)
{
	v->kind = VERDICT_WAIT;
	text_copy(v->text, sizeof v->text, text);
	return false;
}

/* What an application wrote, fit to be shown: cut, and only what is printable ASCII. */
static const char *
shown(char *buf, size_t size, const char *p, size_t n)
{
	size_t out = 0;

	for (size_t i = 0; i < n && out + 1 < size; i++)
		buf[out++] = p[i] >= 0x20 && p[i] < 0x7f && p[i] != '\'' ? p[i] : '?';
	buf[out] = '\0';
	return buf;
}

static bool
is_empty(const struct text *t)
{
	size_t n = t->n;

	if (t->full > t->n)
		return false;
	if (n > 0)
		text_trim(t->p, &n);
	return n == 0;
}

/* ---- date ---- */

static bool
two_digits(const char *p, int min, int max)
{
	int v;

	if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
		return false;
	v = (p[0] - '0') * 10 + (p[1] - '0');
	return v >= min && v <= max;
}

/* The database made this text of its own type; what can still be wrong is a zero or infinite
 * date, or one from before there were computers (a program's "no date"). Days of the month are
 * the database's to check. */
static bool
is_date(const struct text *t)
{
	int64_t year;

	if (t->full > t->n || t->n < 10 || t->p[4] != '-' || t->p[7] != '-')
		return false;
	return text_i64_n(t->p, 4, 1970, 9999, &year) && two_digits(t->p + 5, 1, 12) &&
	       two_digits(t->p + 8, 1, 31);
}

static bool
check_times(const struct message *m, struct verdict *v)
{
	char buf[24];

	if (!is_empty(&m->send_at) && !is_date(&m->send_at))
		return refuse(v, "2013",
			      "send_at '%s' is no date from 1970 on; write the time, or leave the "
			      "column out",
			      shown(buf, sizeof buf, m->send_at.p, m->send_at.n));
	if (m->expire_in_s <= 0)
		return refuse(v, "3008",
			      "expire_at passed %" PRIu64 " s before the row could be sent",
			      (uint64_t)0 - (uint64_t)m->expire_in_s);
	return true;
}

/* ---- type and priority ---- */

static bool
is_routed(const struct validate_rules *r, enum msg_type t)
{
	return (r->types >> t & 1) != 0;
}

static bool
check_type(const struct message *m, struct verdict *v)
{
	char buf[20];
	size_t n = m->fallback_type.n;
	const char *fallback = n > 0 ? text_trim(m->fallback_type.p, &n) : "";

	if ((unsigned)m->type >= MSG_TYPE_COUNT)
		return refuse(v, "2006",
			      "msg_type '%s' is unknown; write SMS, LMS, MMS, AUTO, AT or BM",
			      shown(buf, sizeof buf, m->type_text.p, m->type_text.n));
	if (m->priority < 0 || m->priority >= PRIORITY_COUNT)
		return refuse(v, "2006",
			      "priority %d is unknown; write 0 (urgent), 1 (normal) or 2 (bulk)",
			      m->priority);
	if (n > 0 && !text_equal_nocase(fallback, n, "NONE") &&
	    msg_type_parse(fallback, n) == MSG_TYPE_NONE)
		return refuse(v, "2006",
			      "fallback_type '%s' is unknown; write NONE, SMS, LMS, MMS or AUTO",
			      shown(buf, sizeof buf, fallback, n));
	return true;
}

/* ---- JSON and variables ---- */

/* An empty column gives RC_OK and *out NULL. */
static bool
read_object(const char *column, const struct text *t, json_t **out, struct verdict *v)
{
	json_error_t e;
	json_t *j;

	*out = NULL;
	if (is_empty(t))
		return true;
	if (t->full > t->n)
		return refuse(v, "2009",
			      "%s is cut after byte %zu of %zu: it is too long or holds a NUL; "
			      "write a JSON object",
			      column, t->n, t->full);
	/* jansson's own sentence quotes the text, which may name people: only the place is taken
	 * from it. */
	j = json_loadb(t->p, t->n, JSON_REJECT_DUPLICATES, &e);
	if (j == NULL)
		return refuse(v, "2009",
			      "%s is no JSON object: fault at line %d, column %d; correct it",
			      column, e.line, e.column);
	if (!json_is_object(j)) {
		json_decref(j);
		return refuse(v, "2009", "%s is JSON but no object; write {\"name\": \"value\"}",
			      column);
	}
	*out = j;
	return true;
}

/* The length of the #{name} that begins at p, 0 when none does. name has VALIDATE_NAME_MAX + 1
 * bytes. */
static size_t
placeholder(const char *p, size_t n, char *name)
{
	if (n < 4 || p[0] != '#' || p[1] != '{')
		return 0;
	for (size_t i = 2; i < n && i <= VALIDATE_NAME_MAX + 2; i++) {
		if (p[i] == '\n' || p[i] == '\r' || p[i] == '\0')
			return 0;
		if (p[i] != '}')
			continue;
		if (i == 2)
			return 0;
		memcpy(name, p + 2, i - 2);
		name[i - 2] = '\0';
		return i + 1;
	}
	return 0;
}

struct piece {
	const char *p;
	size_t n;
	char number[40];
};

static bool
variable(const char *column, const json_t *vars, const char *name, struct piece *piece,
	 struct verdict *v)
{
	const json_t *j = json_object_get(vars, name);
	char cut[48];

	text_copy(cut, sizeof cut, name);
	if (j == NULL)
		return refuse(v, "2010", "%s needs #{%s}, which vars does not have; add it to vars",
			      column, cut);
	switch (json_typeof(j)) {
	case JSON_STRING:
		piece->p = json_string_value(j);
		piece->n = json_string_length(j);
		return true;
	case JSON_INTEGER:
		snprintf(piece->number, sizeof piece->number, "%" JSON_INTEGER_FORMAT,
			 json_integer_value(j));
		break;
	case JSON_REAL:
		snprintf(piece->number, sizeof piece->number, "%.15g", json_real_value(j));
		break;
	case JSON_TRUE:
		text_copy(piece->number, sizeof piece->number, "true");
		break;
	case JSON_FALSE:
		text_copy(piece->number, sizeof piece->number, "false");
		break;
	case JSON_NULL:
		return refuse(v, "2010", "%s needs #{%s}, which is null in vars; give it a value",
			      column, cut);
	case JSON_OBJECT:
	case JSON_ARRAY:
		return refuse(v, "2009",
			      "vars has no text or number for #{%s}; write \"name\": \"value\"",
			      cut);
	}
	piece->p = piece->number;
	piece->n = strlen(piece->number);
	return true;
}

/* One pass: writes to out, or only measures when out is NULL. The length comes back in *length. */
static bool
expand(const char *column, const struct text *t, const json_t *vars, char *out, size_t *length,
       struct verdict *v)
{
	char name[VALIDATE_NAME_MAX + 1];
	struct piece piece;
	size_t at = 0, n = 0;

	while (at < t->n) {
		size_t skip = placeholder(t->p + at, t->n - at, name);

		if (skip == 0) {
			piece.p = t->p + at;
			piece.n = 1;
			skip = 1;
		} else if (!variable(column, vars, name, &piece, v)) {
			return false;
		}
		if (out != NULL)
			memcpy(out + n, piece.p, piece.n);
		n += piece.n;
		at += skip;
	}
	*length = n;
	return true;
}

/* Checks what was read, and fills in the variables when there are any: out is in or a text in
 * the batch. */
static bool
fill_text(const char *column, const struct message *m, const struct text *in, const json_t *vars,
	  size_t cap, struct text *out, struct verdict *v)
{
	const char *nul;
	size_t bad, n;
	char *p;

	*out = *in;
	if (in->full > cap)
		return refuse(v, "2004",
			      "%s has %zu bytes, more than the %zu that are read (limits.body); "
			      "shorten it",
			      column, in->full, cap);
	if (in->n > 0 && !text_utf8_check(in->p, in->n, &bad))
		return refuse(v, "2005",
			      "%s is no UTF-8 at byte %zu; set the connection's character set, or "
			      "correct it",
			      column, bad + 1);
	/* The database layer cuts at a NUL or keeps it, as its library does. */
	nul = in->n > 0 ? memchr(in->p, '\0', in->n) : NULL;
	if (nul != NULL || in->full > in->n)
		return refuse(v, "2005", "%s holds a NUL at byte %zu; remove it", column,
			      nul != NULL ? (size_t)(nul - in->p) + 1 : in->n + 1);
	if (vars == NULL || in->n == 0)
		return true;
	if (!expand(column, in, vars, NULL, &n, v))
		return false;
	if (n > cap)
		return refuse(
			v, "2004",
			"%s has %zu bytes with its variables, at most %zu are sent; shorten it",
			column, n, cap);
	p = batch_derive(m->batch, n + 1);
	if (p == NULL)
		return must_wait(v, "no memory for the text with its variables");
	if (!expand(column, in, vars, p, &n, v))
		return false;
	p[n] = '\0';
	*out = (struct text){ p, n, n };
	return true;
}

/* ---- characters and length ---- */

/* Nothing that a handset would show. */
static bool
is_invisible(int32_t cp)
{
	return cp == ' ' || (cp >= '\t' && cp <= '\r') || cp == 0xa0 ||
	       (cp >= 0x2000 && cp <= 0x200f) || cp == 0x2028 || cp == 0x2029 || cp == 0x202f ||
	       cp == 0x2060 || cp == 0x3000 || cp == 0x3164 || cp == 0xfeff;
}

static bool
check_characters(const char *column, const struct text *t, bool is_line, struct verdict *v)
{
	size_t position = 0;

	for (size_t at = 0; at < t->n;) {
		int32_t cp = text_utf8_next(t->p, t->n, &at);

		position++;
		if (cp == '\n' || cp == '\r' || cp == '\t') {
			if (is_line && cp != '\t')
				return refuse(
					v, "2005",
					"%s has a line end at character %zu; write it in one line",
					column, position);
		} else if (cp < 0x20 || (cp >= 0x7f && cp < 0xa0)) {
			return refuse(
				v, "2005",
				"%s holds control character U+%04X at character %zu; remove it",
				column, (unsigned)cp, position);
		}
	}
	return true;
}

static bool
is_visible(const struct text *t)
{
	for (size_t at = 0; at < t->n;)
		if (!is_invisible(text_utf8_next(t->p, t->n, &at)))
			return true;
	return false;
}

/* SMS or LMS by the bytes, as the routes allow. */
static bool
resolve_auto(const struct validate_rules *r, struct verdict *v)
{
	unsigned max = is_routed(r, MSG_TYPE_SMS) ? r->by_type[MSG_TYPE_SMS].max_bytes
						  : VALIDATE_SMS_BYTES;

	if (max == 0 || v->bytes <= max)
		v->type = MSG_TYPE_SMS;
	else if (is_routed(r, MSG_TYPE_LMS))
		v->type = MSG_TYPE_LMS;
	else
		return refuse(
			v, "2004",
			"body has %u bytes, an SMS at most %u, and no route takes LMS; shorten it",
			v->bytes, max);
	return true;
}

static bool
check_charset(const char *column, const struct text *t, enum channel_charset charset,
	      struct verdict *v)
{
	struct cp949_count c;

	if (cp949_bytes(t->p, t->n, charset, &c) == CP949_OUTSIDE)
		return refuse(v, "2005",
			      "%s has U+%04X at character %zu, which CP949 does not have; replace "
			      "or remove it",
			      column, (unsigned)c.bad_code_point, c.bad_char);
	return true;
}

static bool
check_body(const struct message *m, const struct validate_rules *r, const json_t *vars,
	   struct verdict *v)
{
	const struct validate_type *t;
	struct cp949_count c;
	char text[VERDICT_TEXT_SIZE];

	if (!fill_text("body", m, &m->body, vars, r->text_cap_bytes, &v->body, v))
		return false;
	if (!is_visible(&v->body))
		return refuse(v, "2003", "body %s; write the text of the message",
			      v->body.n == 0 ? "is empty" : "holds only blanks");
	if (!check_characters("body", &v->body, false, v))
		return false;
	cp949_bytes(v->body.p, v->body.n, CHARSET_UNICODE, &c);
	v->bytes = (unsigned)c.bytes;
	if (m->type == MSG_TYPE_AUTO && !resolve_auto(r, v))
		return false;
	if (!is_routed(r, v->type)) {
		snprintf(text, sizeof text,
			 "no route takes %s; add one to the configuration, or write another "
			 "msg_type",
			 msg_type_name(v->type));
		return must_wait(v, text);
	}
	t = &r->by_type[v->type];
	if (!check_charset("body", &v->body, t->charset, v))
		return false;
	if (t->max_bytes != 0 && v->bytes > t->max_bytes)
		return refuse(v, "2004",
			      "body has %u bytes as the carrier counts, %s takes at most %u; "
			      "shorten it%s",
			      v->bytes, msg_type_name(v->type), t->max_bytes,
			      v->type == MSG_TYPE_SMS ? ", or write AUTO or LMS" : "");
	return true;
}

/* A short message has no subject: what the column holds is not sent and cannot be wrong. */
static bool
check_subject(const struct message *m, const struct validate_rules *r, const json_t *vars,
	      struct verdict *v)
{
	if (v->type == MSG_TYPE_SMS)
		return true;
	return fill_text("subject", m, &m->subject, vars, r->text_cap_bytes, &v->subject, v) &&
	       check_characters("subject", &v->subject, true, v) &&
	       check_charset("subject", &v->subject, r->by_type[v->type].charset, v);
}

static bool
check_texts(const struct message *m, const struct validate_rules *r, struct verdict *v)
{
	json_t *vars, *payload;
	bool ok;

	if (!read_object("payload", &m->payload, &payload, v))
		return false;
	json_decref(payload);
	if (!read_object("vars", &m->vars, &vars, v))
		return false;
	ok = check_body(m, r, vars, v) && check_subject(m, r, vars, v);
	json_decref(vars);
	return ok;
}

/* ---- numbers ---- */

static bool
check_numbers(const struct message *m, const struct validate_rules *r, struct verdict *v)
{
	const struct validate_type *t = &r->by_type[v->type];
	const struct number_rules rules = { r->country, t->number_form, t->letters_in_sender };
	char why[NUMBER_WHY_SIZE];

	if (m->recipient.full > m->recipient.n)
		return refuse(v, "2001", "recipient holds a NUL at byte %zu; remove it",
			      m->recipient.n + 1);
	if (is_empty(&m->recipient))
		return refuse(v, "2001", "recipient is empty; write a number like 010-1234-5678");
	if (!number_recipient(m->recipient.p, m->recipient.n, &rules, v->to_wire, why))
		return refuse(v, "2001", "%s", why);
	if (m->sender.full > m->sender.n)
		return refuse(v, "2002", "sender holds a NUL at byte %zu; remove it",
			      m->sender.n + 1);
	if (is_empty(&m->sender))
		return refuse(v, "2002",
			      "sender is empty; write a number like 02-123-4567 or 1588-1234");
	if (!number_sender(m->sender.p, m->sender.n, &rules, v->from_wire, why))
		return refuse(v, "2002", "%s", why);
	return true;
}

void
validate_message(const struct message *m, const struct validate_rules *r, struct verdict *v)
{
	*v = (struct verdict){ .kind = VERDICT_SEND, .type = m->type };
	if (m->cancel) {
		refuse(v, "3007", "cancelled by the application (cancel_yn)");
		return;
	}
	if (m->is_repeated) {
		refuse(v, "2011",
		       "req_key was used by a message that has its result; give each message a key "
		       "of its own");
		return;
	}
	/* Numbers come last: only now it is known which type's route gives them their form. */
	(void)(check_times(m, v) && check_type(m, v) && check_texts(m, r, v) &&
	       check_numbers(m, r, v));
}

void
validate_apply(const struct verdict *v, struct message *m)
{
	m->type = v->type;
	m->bytes = v->bytes;
	text_copy(m->to_wire, sizeof m->to_wire, v->to_wire);
	text_copy(m->from_wire, sizeof m->from_wire, v->from_wire);
	m->subject = v->subject;
	m->body = v->body;
}
