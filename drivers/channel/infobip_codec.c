#include "config.h"
#include "drivers/channel/infobip_codec.h"

#include <errno.h>
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/blackbox.h"
#include "agent/failpoint.h"
#include "drivers/channel/isotime.h"

#define DEPTH_MAX 24
#define ITEM_MAX_BYTES (32 * 1024)
/* How often the reader of a damaged page may start anew: bounds the work on hostile input. */
#define RESYNC_MAX 2000
#define PARTS_MAX 255

#define PARSE_FLAGS (JSON_REJECT_DUPLICATES)

/* --- what comes back --- */

/* Nesting as deep as jansson would go costs stack: look first. */
static bool
shallow(const char *p, size_t n)
{
	unsigned depth = 0;
	bool string = false;

	for (size_t i = 0; i < n; i++) {
		if (string) {
			if (p[i] == '\\')
				i++;
			else if (p[i] == '"')
				string = false;
		} else if (p[i] == '"') {
			string = true;
		} else if (p[i] == '{' || p[i] == '[') {
			if (++depth > DEPTH_MAX)
				return false;
		} else if ((p[i] == '}' || p[i] == ']') && depth > 0) {
			depth--;
		}
	}
	return true;
}

static json_t *
parse(const char *p, size_t n, char *why, size_t why_size)
{
	json_error_t error;
	json_t *root;

	if (!shallow(p, n)) {
		snprintf(why, why_size, "nested too deep");
		return NULL;
	}
	root = json_loadb(p, n, PARSE_FLAGS, &error);
	/* error.text may quote what it met, and that may be a number. */
	if (root == NULL)
		snprintf(why, why_size, "no JSON at line %d column %d", error.line, error.column);
	return root;
}

static const char *
string_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s == NULL ? "" : s;
}

static int
int_of(const json_t *o, const char *key, int missing)
{
	const json_t *v = json_object_get(o, key);
	json_int_t i;

	if (!json_is_integer(v))
		return missing;
	i = json_integer_value(v);
	return i < 0 || i > 9999999 ? missing : (int)i;
}

static int
group_of(const json_t *status)
{
	static const char *const names[] = {
		"ACCEPTED", "PENDING", "UNDELIVERABLE", "DELIVERED", "EXPIRED", "REJECTED",
	};
	int group = int_of(status, "groupId", -1);
	const char *name = string_of(status, "groupName");

	for (int i = 0; group < 0 && i < (int)(sizeof names / sizeof names[0]); i++)
		if (strcmp(name, names[i]) == 0)
			group = i;
	return group;
}

/* Keeps s in out when it fits and holds nothing but printable ASCII. */
static bool
keep(char *out, size_t size, const char *s)
{
	size_t n = strlen(s);

	out[0] = '\0';
	if (n >= size)
		return false;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] <= ' ' || (unsigned char)s[i] > '~')
			return false;
	memcpy(out, s, n + 1);
	return true;
}

static unsigned
parts_of(const json_t *o)
{
	int v = int_of(o, "messageCount", 0);

	return v > PARTS_MAX ? PARTS_MAX : (unsigned)v;
}

struct judged {
	struct code_verdict verdict;
	int group;
	int status;
	char provider_code[PROVIDER_CODE_MAX + 1]; /* "9/27": status, error */
};

/* False when the item has no usable status. */
static bool
judge(const json_t *item, const struct codemap *codes, struct judged *j)
{
	const json_t *status = json_object_get(item, "status");
	const json_t *error = json_object_get(item, "error");
	int error_id = int_of(error, "id", 0);

	j->group = group_of(status);
	j->status = int_of(status, "id", -1);
	if (!json_is_object(status) || j->group < 0 || j->status < 0)
		return false;
	codemap_judge(codes, INFOBIP_FAMILY, j->group, j->status, error_id, &j->verdict);
	if (error_id > 0)
		snprintf(j->provider_code, sizeof j->provider_code, "%d/%d", j->status, error_id);
	else
		snprintf(j->provider_code, sizeof j->provider_code, "%d", j->status);
	return true;
}

/* --- answer to a request --- */

struct slot {
	const char *key;
	size_t i;
};

static int
slot_order(const void *a, const void *b)
{
	return strcmp(((const struct slot *)a)->key, ((const struct slot *)b)->key);
}

static const struct slot *
slot_find(const struct slot *slots, size_t n, const char *key)
{
	struct slot want = { key, 0 };

	return bsearch(&want, slots, n, sizeof *slots, slot_order);
}

static void
unsure(struct outcome *o, const char *text)
{
	memset(o, 0, sizeof *o);
	o->kind = OUT_UNSURE;
	snprintf(o->code, sizeof o->code, "8002");
	snprintf(o->text, sizeof o->text, "%s", text);
}

static void
outcome_of(const json_t *item, const struct judged *j, const char *key, struct outcome *o)
{
	memset(o, 0, sizeof *o);
	snprintf(o->provider_code, sizeof o->provider_code, "%s", j->provider_code);
	snprintf(o->provider_id, sizeof o->provider_id, "%s", key);
	o->parts = parts_of(json_object_get(item, "details"));
	/* The name of a status is a word of the provider's own list: no personal data. */
	keep(o->text, sizeof o->text, string_of(json_object_get(item, "status"), "name"));
	switch (j->verdict.class) {
	case CODE_OK:
	case CODE_PENDING:
		o->kind = OUT_ACCEPTED;
		return;
	case CODE_DUPLICATE:
		o->kind = OUT_ACCEPTED;
		o->duplicate = true;
		return;
	case CODE_FAIL:
		o->kind = OUT_REJECTED;
		break;
	case CODE_AGAIN:
	case CODE_STOP:
	case CODE_ROUTE:
		/* The message id is used up by the refusal: the next attempt needs another, or it
		 * is a "duplicate". */
		o->kind = OUT_DEFERRED;
		o->certainly_ended = true;
		break;
	}
	snprintf(o->code, sizeof o->code, "%s", j->verdict.code);
}

static void
tally(struct infobip_tally *t, const struct judged *j)
{
	switch (j->verdict.class) {
	case CODE_OK:
	case CODE_PENDING:
	case CODE_DUPLICATE:
		t->accepted++;
		break;
	case CODE_FAIL:
		t->rejected++;
		break;
	case CODE_AGAIN:
		t->again++;
		break;
	case CODE_STOP:
		t->stopped++;
		break;
	case CODE_ROUTE:
		t->route++;
		break;
	}
}

/* One item for the message o belongs to, which may have had one already: an acceptance wins, as a
 * phone may get it. */
static void
take_item(const json_t *item, const struct codemap *codes, const char *key, struct outcome *o,
	  bool *seen, struct infobip_tally *t)
{
	struct judged j;
	struct outcome fresh;

	if (!judge(item, codes, &j))
		return;
	outcome_of(item, &j, key, &fresh);
	if (*seen) {
		t->twice++;
		if (o->kind == OUT_ACCEPTED && !o->duplicate)
			return;
		if (fresh.kind != OUT_ACCEPTED)
			return;
	}
	*seen = true;
	*o = fresh;
	tally(t, &j);
}

enum rc
infobip_read_answer(const char *p, size_t p_n, const struct codemap *codes,
		    struct message *const *m, size_t n, struct outcome *o, struct infobip_tally *t,
		    struct err *e)
{
	char why[64] = "no list of messages in it";
	struct slot *slots = calloc(n, sizeof *slots);
	bool *seen = calloc(n, sizeof *seen);
	json_t *root = NULL;
	json_t *list;
	json_t *item;
	size_t k;
	enum rc rc = RC_OK;

	memset(t, 0, sizeof *t);
	for (size_t i = 0; i < n; i++)
		unsure(&o[i], "the answer does not name the message");
	if (slots == NULL || seen == NULL) {
		rc = err_set(e, RC_NOMEM, ENOMEM, "infobip.answer", "no memory to read an answer");
		goto out;
	}
	for (size_t i = 0; i < n; i++) {
		slots[i].key = m[i]->client_key;
		slots[i].i = i;
	}
	qsort(slots, n, sizeof *slots, slot_order);
	root = parse(p, p_n, why, sizeof why);
	list = json_object_get(root, "messages");
	if (!json_is_array(list)) {
		for (size_t i = 0; i < n; i++)
			unsure(&o[i], "the answer could not be read");
		rc = err_set(e, RC_DATA, 0, "infobip.answer",
			     "an answer of %zu bytes could not be read: %s", p_n, why);
		goto out;
	}
	json_array_foreach(list, k, item)
	{
		const struct slot *s = slot_find(slots, n, string_of(item, "messageId"));

		if (s == NULL) {
			t->unknown++;
			continue;
		}
		blackbox_at_key(BOX_ANSWER, s->key);
		(void)FAILPOINT_TEXT(row_answer, s->key, strlen(s->key));
		take_item(item, codes, s->key, &o[s->i], &seen[s->i], t);
		blackbox_off();
	}
	for (size_t i = 0; i < n; i++)
		t->missing += !seen[i];
out:
	json_decref(root);
	free(slots);
	free(seen);
	return rc;
}

/* --- error answers --- */

/* Appends s to text, printable and with runs of five digits and more masked. */
static void
append_clean(char *text, size_t size, const char *s)
{
	size_t used = strlen(text);

	while (*s != '\0' && used + 1 < size) {
		size_t digits = strspn(s, "0123456789");

		if (digits >= 5) {
			text[used++] = '*';
			s += digits;
		} else if (digits > 0) {
			for (; digits > 0 && used + 1 < size; digits--)
				text[used++] = *s++;
		} else {
			unsigned char c = (unsigned char)*s++;

			text[used++] = c < ' ' || c > '~' || c == '"' ? ' ' : (char)c;
		}
	}
	text[used] = '\0';
}

static void
append_pair(char *text, size_t size, const char *a, const char *b)
{
	if (text[0] != '\0')
		append_clean(text, size, "; ");
	append_clean(text, size, a);
	if (a[0] != '\0' && b[0] != '\0')
		append_clean(text, size, ": ");
	append_clean(text, size, b);
}

static void
read_violations(const json_t *root, char *text, size_t size)
{
	const json_t *item;
	size_t i;

	json_array_foreach(json_object_get(root, "violations"), i, item)
		append_pair(text, size, string_of(item, "property"), string_of(item, "violation"));
}

static void
read_validation_errors(const json_t *errors, char *text, size_t size)
{
	const char *field;
	json_t *list;
	const json_t *item;
	size_t i;

	json_object_foreach((json_t *)errors, field, list) json_array_foreach(list, i, item)
		append_pair(text, size, field, json_is_string(item) ? json_string_value(item) : "");
}

void
infobip_read_error(const char *p, size_t n, char *code, size_t code_size, char *text,
		   size_t text_size)
{
	char why[64];
	json_t *root = parse(p, n, why, sizeof why);
	const json_t *old =
		json_object_get(json_object_get(root, "requestError"), "serviceException");

	code[0] = '\0';
	text[0] = '\0';
	if (json_is_object(old)) {
		append_clean(code, code_size, string_of(old, "messageId"));
		append_pair(text, text_size, "", string_of(old, "text"));
		read_validation_errors(json_object_get(old, "validationErrors"), text, text_size);
	} else if (json_is_object(root)) {
		append_clean(code, code_size, string_of(root, "errorCode"));
		read_violations(root, text, text_size);
		if (text[0] == '\0')
			append_pair(text, text_size, "", string_of(root, "description"));
	}
	json_decref(root);
}

/* --- reports --- */

/* False when the item is none that a message could be found by. */
static bool
report_of(const json_t *item, const struct codemap *codes, const char *channel, struct report *r)
{
	const char *network = string_of(item, "mccMnc");
	const char *carrier = codemap_network(codes, INFOBIP_FAMILY, network);
	struct judged j;

	memset(r, 0, sizeof *r);
	if (!json_is_object(item) ||
	    !keep(r->provider_id, sizeof r->provider_id, string_of(item, "messageId")) ||
	    r->provider_id[0] == '\0' || blackbox_shuns_key(r->provider_id))
		return false;
	blackbox_at_key(BOX_REPORT, r->provider_id);
	(void)FAILPOINT_TEXT(row_report, r->provider_id, strlen(r->provider_id));
	if (!judge(item, codes, &j)) {
		blackbox_off();
		return false;
	}
	/* The id is ours when it has our length; who has the table decides whether it is. */
	if (strlen(r->provider_id) == CLIENT_KEY_LEN)
		memcpy(r->client_key, r->provider_id, CLIENT_KEY_LEN + 1);
	snprintf(r->channel, sizeof r->channel, "%s", channel);
	snprintf(r->provider_code, sizeof r->provider_code, "%s", j.provider_code);
	snprintf(r->code, sizeof r->code, "%s", j.verdict.code);
	keep(r->carrier, sizeof r->carrier, carrier == NULL ? network : carrier);
	r->parts = parts_of(item);
	isotime_utc(string_of(item, "doneAt"), r->done_at, sizeof r->done_at);
	switch (j.verdict.class) {
	case CODE_OK:
		r->class = REPORT_OK;
		break;
	case CODE_FAIL:
	case CODE_AGAIN:
	case CODE_STOP:
	case CODE_ROUTE:
		r->class = REPORT_FAIL;
		break;
	case CODE_PENDING:
		r->class = REPORT_PENDING;
		break;
	case CODE_DUPLICATE:
		r->class = REPORT_PENDING;
		r->duplicate = true;
		break;
	}
	blackbox_off();
	return true;
}

static size_t
skip_blank(const char *p, size_t n, size_t i)
{
	while (i < n && (p[i] == ' ' || p[i] == '\t' || p[i] == '\n' || p[i] == '\r'))
		i++;
	return i;
}

/* The end of the string that begins at the quote p[i]: behind its closing quote, n when it has
 * none. */
static size_t
string_end(const char *p, size_t n, size_t i)
{
	for (i++; i < n; i++) {
		if (p[i] == '\\')
			i++;
		else if (p[i] == '"')
			return i + 1;
	}
	return n;
}

/* The end of the object that begins at p[i], 0 when it does not end or is too long. */
static size_t
object_end(const char *p, size_t n, size_t i)
{
	unsigned depth = 0;
	size_t stop = n - i > ITEM_MAX_BYTES ? i + ITEM_MAX_BYTES : n;

	while (i < stop) {
		char c = p[i];

		if (c == '"') {
			i = string_end(p, stop, i);
			continue;
		}
		i++;
		if (c == '{' || c == '[') {
			depth++;
		} else if (c == '}' || c == ']') {
			if (--depth == 0)
				return i;
		}
	}
	return 0;
}

/* Where the items of the array "results" of the outermost object begin: behind its bracket, 0 when
 * there is none. */
static size_t
results_begin(const char *p, size_t n)
{
	static const char name[] = "\"results\"";
	unsigned depth = 0;
	size_t i = 0;

	while (i < n) {
		if (p[i] == '"') {
			size_t end = string_end(p, n, i);
			bool match = depth == 1 && end - i == sizeof name - 1 &&
				     memcmp(p + i, name, sizeof name - 1) == 0;

			i = end;
			if (!match)
				continue;
			end = skip_blank(p, n, end);
			if (end >= n || p[end] != ':')
				continue;
			end = skip_blank(p, n, end + 1);
			return end < n && p[end] == '[' ? end + 1 : 0;
		}
		if (p[i] == '{' || p[i] == '[')
			depth++;
		else if ((p[i] == '}' || p[i] == ']') && depth > 0)
			depth--;
		i++;
	}
	return 0;
}

static bool
page_room(struct infobip_page *page, size_t *room)
{
	size_t more = *room == 0 ? 64 : *room * 2;
	struct report *r;

	if (page->n < *room)
		return true;
	r = realloc(page->r, more * sizeof *r);
	if (r == NULL)
		return false;
	page->r = r;
	*room = more;
	return true;
}

/* One object of the list; *found says whether a report came of it, *json whether it was an object
 * at all. */
static enum rc
page_item(const char *p, size_t n, const struct codemap *codes, const char *channel,
	  struct infobip_page *page, size_t *room, bool *found, bool *json, struct err *e)
{
	char why[64];
	json_t *item = parse(p, n, why, sizeof why);
	enum rc rc = RC_OK;

	*found = false;
	*json = item != NULL;
	if (item == NULL)
		return RC_OK;
	if (!page_room(page, room)) {
		rc = err_set(e, RC_NOMEM, ENOMEM, "infobip.reports",
			     "no memory for a page of reports");
	} else if (report_of(item, codes, channel, &page->r[page->n])) {
		page->n++;
		*found = true;
	}
	json_decref(item);
	return rc;
}

enum rc
infobip_read_reports(const char *p, size_t n, const struct codemap *codes, const char *channel,
		     struct infobip_page *page, struct err *e)
{
	size_t room = 0;
	unsigned resync = 0;
	bool adrift = false; /* behind a damage, where an object may be a part of an item */
	size_t i;
	enum rc rc = RC_OK;

	memset(page, 0, sizeof *page);
	i = results_begin(p, n);
	if (i == 0) {
		page->damaged = true;
		return RC_OK;
	}
	while (rc == RC_OK && resync <= RESYNC_MAX) {
		size_t end;
		bool found = false;
		bool json = false;

		i = skip_blank(p, n, i);
		if (!adrift && i < n && p[i] == ']')
			return RC_OK;
		if (i >= n || p[i] != '{') {
			const char *next = i >= n ? NULL : memchr(p + i, '{', n - i);

			page->damaged = true;
			adrift = true;
			if (next == NULL)
				return RC_OK;
			i = (size_t)(next - p);
		}
		end = object_end(p, n, i);
		if (end > 0)
			rc = page_item(p + i, end - i, codes, channel, page, &room, &found, &json,
				       e);
		if (!json || (adrift && !found)) {
			/* Broken off, garbled, or a part of such an item: it counts once, then look
			 * for the next beginning, which may lie inside of what looked like this
			 * one. */
			page->broken += !adrift;
			page->items += !adrift;
			page->damaged = true;
			adrift = true;
			resync++;
			i++;
			continue;
		}
		page->items++;
		page->broken += !found;
		adrift = false;
		i = skip_blank(p, n, end);
		if (i < n && p[i] == ',')
			i++;
		else if (i >= n || p[i] != ']')
			page->damaged = adrift = true;
	}
	return rc;
}

/* --- logs --- */

/* A refused copy says nothing against the first one, and what is final says more than what is not.
 */
static bool
says_more(const struct report *a, const struct report *b)
{
	if (a->duplicate != b->duplicate)
		return b->duplicate;
	return a->class != REPORT_PENDING && b->class == REPORT_PENDING;
}

static void
found(struct query *q, const struct report *r)
{
	memset(&q->outcome, 0, sizeof q->outcome);
	q->kind = RESOLVE_ACCEPTED;
	q->report = *r;
	q->outcome.kind = OUT_ACCEPTED;
	q->outcome.duplicate = r->duplicate;
	q->outcome.parts = r->parts;
	snprintf(q->outcome.provider_code, sizeof q->outcome.provider_code, "%s", r->provider_code);
	snprintf(q->outcome.provider_id, sizeof q->outcome.provider_id, "%s", r->provider_id);
}

enum rc
infobip_read_logs(const char *p, size_t p_n, const struct codemap *codes, const char *channel,
		  struct query *q, size_t n, struct err *e)
{
	char why[64] = "no list of results in it";
	json_t *root = parse(p, p_n, why, sizeof why);
	json_t *list = json_object_get(root, "results");
	json_t *item;
	size_t k;
	enum rc rc = RC_OK;

	if (!json_is_array(list)) {
		json_decref(root);
		return err_set(e, RC_DATA, 0, "infobip.logs",
			       "a page of logs of %zu bytes could not be read: %s", p_n, why);
	}
	json_array_foreach(list, k, item)
	{
		struct report r;

		/* An item that cannot be read may be the one asked for. */
		if (!report_of(item, codes, channel, &r)) {
			json_decref(root);
			return err_set(e, RC_DATA, 0, "infobip.logs",
				       "entry %zu of a page of logs could not be read", k);
		}
	}
	for (size_t i = 0; i < n; i++)
		q[i].kind = RESOLVE_NOT_FOUND;
	json_array_foreach(list, k, item)
	{
		struct report r;

		if (!report_of(item, codes, channel, &r))
			continue;
		for (size_t i = 0; i < n; i++)
			if (strcmp(q[i].client_key, r.provider_id) == 0 &&
			    (q[i].kind == RESOLVE_NOT_FOUND || says_more(&r, &q[i].report)))
				found(&q[i], &r);
	}
	json_decref(root);
	return rc;
}
