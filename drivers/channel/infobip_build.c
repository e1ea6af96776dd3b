#include "config.h"
#include "agent/blackbox.h"
#include "agent/failpoint.h"
#include "agent/text.h"
#include "drivers/channel/infobip_codec.h"

#include <errno.h>
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TITLE_MAX_CHARS 66

static size_t
utf8_prefix(const char *p, size_t n, size_t chars)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (((unsigned char)p[i] & 0xc0) != 0x80 && chars-- == 0)
			break;
	return i;
}

/* Gives v to o; false when either is missing, and then v is gone all the same. */
static bool
put(json_t *o, const char *key, json_t *v)
{
	return json_object_set_new(o, key, v) == 0;
}

static json_t *
recipient(const char *to_wire, enum number_form form)
{
	char to[sizeof((struct message *)NULL)->to_wire + 2];

	switch (form) {
	case NUMBER_E164_DIGITS:
		return json_string(to_wire);
	case NUMBER_E164_PLUS:
		snprintf(to, sizeof to, "+%s", to_wire);
		return json_string(to);
	case NUMBER_NATIONAL:
		if (strncmp(to_wire, "82", 2) != 0)
			return json_string(to_wire);
		snprintf(to, sizeof to, "0%s", to_wire + 2);
		return json_string(to);
	}
	return NULL;
}

/* The registration number as the API wants it, 0 when it has another form. */
static json_int_t
reseller(const struct text *t)
{
	json_int_t v = 0;

	if (t->n == 0 || t->n > 9)
		return 0;
	for (size_t i = 0; i < t->n; i++) {
		if (t->p[i] < '0' || t->p[i] > '9')
			return 0;
		v = v * 10 + (t->p[i] - '0');
	}
	return v;
}

/* options.regional.southKorea, where there is something to say. False: no memory or text that is
 * not UTF-8. */
static bool
put_korea(const struct message *m, json_t *options)
{
	bool title = m->type == MSG_TYPE_LMS && m->subject.n > 0;
	json_t *regional;
	json_t *korea;
	bool ok = true;

	if (!title && m->origin_code.n == 0)
		return true;
	korea = json_object();
	if (title) {
		size_t n = utf8_prefix(m->subject.p, m->subject.n, TITLE_MAX_CHARS);

		ok = put(korea, "title", json_stringn(m->subject.p, n));
	}
	if (ok && m->origin_code.n > 0)
		ok = put(korea, "resellerCode", json_integer(reseller(&m->origin_code)));
	regional = json_object();
	ok = put(regional, "southKorea", korea) && ok;
	return put(options, "regional", regional) && ok;
}

static json_t *
one_message(const struct message *m, enum number_form form)
{
	json_t *o = json_object();
	json_t *destination = json_object();
	json_t *destinations = json_array();
	json_t *content = json_object();
	json_t *options = json_object();
	bool ok = true;

	ok = put(destination, "to", recipient(m->to_wire, form)) &&
	     put(destination, "messageId", json_string(m->client_key));
	ok = json_array_append_new(destinations, destination) == 0 && ok;
	ok = put(o, "destinations", destinations) && ok;
	if (m->from_wire[0] != '\0')
		ok = put(o, "sender", json_string(m->from_wire)) && ok;
	ok = put(content, "text", json_stringn(m->body.p == NULL ? "" : m->body.p, m->body.n)) &&
	     ok;
	ok = put(o, "content", content) && ok;
	if (m->expire_in_s > 0) {
		int64_t s = m->expire_in_s;
		json_t *validity = json_object();

		if (s > INFOBIP_VALIDITY_MAX_S)
			s = INFOBIP_VALIDITY_MAX_S;
		ok = put(validity, "amount", json_integer(s)) && ok;
		ok = put(validity, "timeUnit", json_string("SECONDS")) && ok;
		ok = put(options, "validityPeriod", validity) && ok;
	}
	ok = put_korea(m, options) && ok;
	if (json_object_size(options) > 0) {
		ok = put(o, "options", options) && ok;
	} else {
		json_decref(options);
	}
	if (ok)
		return o;
	json_decref(o);
	return NULL;
}

/* What one_message() could not write for want of memory must not end as the message's fault. */
static bool
is_sayable(const struct message *m)
{
	return text_utf8_check(m->body.p, m->body.n, NULL) &&
	       text_utf8_check(m->subject.p, m->subject.n, NULL) &&
	       text_utf8_check(m->from_wire, strlen(m->from_wire), NULL);
}

enum rc
infobip_build(struct message *const *m, size_t n, enum number_form form, char **body,
	      size_t *body_n, size_t *bad, char code[RESULT_CODE_LEN + 1], struct err *e)
{
	json_t *root = json_object();
	json_t *list = json_array();
	json_t *options = json_object();
	bool ok;

	*body = NULL;
	for (size_t i = 0; i < n; i++) {
		json_t *o = NULL;

		blackbox_at(BOX_ENCODE, m[i]->msg_id, blackbox_made(m[i]->created_at));
		(void)FAILPOINT_TEXT(row_encode, m[i]->body.p, m[i]->body.n);
		snprintf(code, RESULT_CODE_LEN + 1, "%s", "6006");
		if (m[i]->origin_code.n == 0 || reseller(&m[i]->origin_code) > 0) {
			snprintf(code, RESULT_CODE_LEN + 1, "%s", "2005");
			o = one_message(m[i], form);
		}
		if (o == NULL || json_array_append_new(list, o) != 0) {
			*bad = i;
			blackbox_off();
			json_decref(root);
			json_decref(list);
			json_decref(options);
			if (strcmp(code, "2005") == 0 && is_sayable(m[i]))
				return err_set(e, RC_NOMEM, ENOMEM, "infobip.build",
					       "no memory for a request of %zu messages", n);
			return err_set(e, RC_DATA, 0, "infobip.build",
				       "message %lld cannot be written as a request: text that is "
				       "not UTF-8, or "
				       "origin_code that is no registration number",
				       (long long)m[i]->msg_id);
		}
	}
	blackbox_off();
	ok = put(options, "includeSmsCountInResponse", json_true());
	ok = put(root, "messages", list) && ok;
	ok = put(root, "options", options) && ok;
	if (ok)
		*body = json_dumps(root, JSON_COMPACT);
	json_decref(root);
	if (*body == NULL)
		return err_set(e, RC_NOMEM, ENOMEM, "infobip.build",
			       "no memory for a request of %zu messages", n);
	*body_n = strlen(*body);
	return RC_OK;
}
