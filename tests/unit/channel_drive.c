/* channel_drive.c - one channel driver on a loop of its own, driven from outside by lines of JSON.
 *
 * channel_drive name=value ...   (options of a channel as in mtrelay.conf(5), durations and sizes
 * as plain numbers, words as their number) Commands on stdin, one JSON object a line, events on
 * stdout likewise; tests/integration/test_channel_infobip.py is the other side. It aborts when a
 * message gets no outcome or two, or when the driver calls back from inside submit() or resolve().
 * "check=1" asks check() and ends. */
#include "config.h"

#include <event2/event.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include "agent/batch.h"
#include "agent/conf.h"
#include "drivers/channel/channel.h"

#define TEXTS_MAX_BYTES ((size_t)64 * 1024 * 1024)

struct sent {
	struct message *m;
	bool out;
	struct sent *next;
};

struct rig {
	struct event_base *base;
	const struct channel_driver *driver;
	struct channel *channel;
	struct batch *batch; /* all messages, for life */
	struct sent *all;
	bool hold;   /* wire() says no */
	bool manual; /* reports_taken() only on command */
	bool inside; /* submit() or resolve() is running */
	struct query *q;
	size_t line_n;
	char line[1 << 20];
};

static void
fail(const char *what)
{
	fprintf(stderr, "channel_drive: %s\n", what);
	abort();
}

static void
emit(json_t *o)
{
	char *line = json_dumps(o, JSON_COMPACT);

	puts(line == NULL ? "{}" : line);
	fflush(stdout);
	free(line);
	json_decref(o);
}

static const char *
kind_name(enum outcome_kind k)
{
	static const char *const names[] = { "ACCEPTED", "REJECTED", "DEFERRED", "UNSURE" };

	return names[k];
}

static const char *
class_name(enum report_class c)
{
	static const char *const names[] = { "OK", "FAIL", "PENDING" };

	return names[c];
}

static bool
on_wire(void *owner, struct message **m, size_t n)
{
	struct rig *r = owner;
	json_t *keys = json_array();

	for (size_t i = 0; i < n; i++) {
		if (m[i]->where != AT_CHANNEL)
			fail("wire() for a message that was given back");
		m[i]->touched = !r->hold;
		json_array_append_new(keys, json_string(m[i]->client_key));
	}
	emit(json_pack("{s:s,s:b,s:o}", "ev", "wire", "go", !r->hold, "keys", keys));
	return !r->hold;
}

static void
on_done(void *owner, struct message **m, const struct outcome *o, size_t n)
{
	struct rig *r = owner;
	json_t *items = json_array();

	if (r->inside)
		fail("done() from inside submit()");
	for (size_t i = 0; i < n; i++) {
		msg_move(m[i], AT_CHANNEL, AT_PIPELINE);
		((struct sent *)m[i]->pipeline_ref)->out = false;
		if (o[i].kind == OUT_UNSURE && !m[i]->touched)
			fail("UNSURE without wire()");
		json_array_append_new(
			items, json_pack("{s:s,s:s,s:b,s:b,s:s,s:i,s:i,s:s,s:s,s:s}", "key",
					 m[i]->client_key, "kind", kind_name(o[i].kind), "dup",
					 o[i].duplicate, "ended", o[i].certainly_ended, "code",
					 o[i].code, "retry", (int)o[i].retry_after_ms, "parts",
					 (int)o[i].parts, "pcode", o[i].provider_code, "pid",
					 o[i].provider_id, "text", o[i].text));
	}
	emit(json_pack("{s:s,s:o}", "ev", "done", "items", items));
}

static json_t *
report_json(const struct report *p)
{
	return json_pack("{s:s,s:s,s:s,s:b,s:s,s:s,s:s,s:i,s:s,s:s}", "key", p->client_key, "pid",
			 p->provider_id, "class", class_name(p->class), "dup", p->duplicate, "code",
			 p->code, "pcode", p->provider_code, "carrier", p->carrier, "parts",
			 (int)p->parts, "at", p->done_at, "channel", p->channel);
}

static void
on_reports(void *owner, const struct report *p, size_t n)
{
	struct rig *r = owner;
	json_t *items = json_array();

	if (n == 0)
		fail("reports() with nothing");
	for (size_t i = 0; i < n; i++)
		json_array_append_new(items, report_json(&p[i]));
	emit(json_pack("{s:s,s:o}", "ev", "reports", "items", items));
	if (!r->manual)
		r->driver->reports_taken(r->channel);
}

static void
on_resolved(void *owner, struct query *q, size_t n)
{
	static const char *const names[] = { "ACCEPTED", "NOT_FOUND", "FAILED" };
	struct rig *r = owner;
	json_t *items = json_array();

	if (r->inside || q != r->q)
		fail("resolved() at a wrong moment or with another array");
	for (size_t i = 0; i < n; i++) {
		json_t *o =
			json_pack("{s:s,s:s}", "key", q[i].client_key, "kind", names[q[i].kind]);

		if (q[i].kind == RESOLVE_ACCEPTED)
			json_object_set_new(o, "report", report_json(&q[i].report));
		json_array_append_new(items, o);
	}
	free(q);
	r->q = NULL;
	emit(json_pack("{s:s,s:o}", "ev", "resolved", "items", items));
}

static void
on_state(void *owner, enum channel_state s, const struct err *why)
{
	(void)owner;
	emit(json_pack("{s:s,s:s,s:s}", "ev", "state", "state", channel_state_name(s), "why",
		       why == NULL ? "" : why->text));
}

static void
on_room(void *owner)
{
	(void)owner;
}

static const struct channel_events events = {
	.wire = on_wire,
	.done = on_done,
	.reports = on_reports,
	.resolved = on_resolved,
	.state = on_state,
	.room = on_room,
};

static void
put_text(struct rig *r, struct text *t, const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	t->n = t->full = s == NULL ? 0 : strlen(s);
	t->p = batch_text(r->batch, s, t->n);
	if (t->p == NULL)
		fail("no memory");
}

static struct message *
new_message(struct rig *r, const json_t *o)
{
	struct sent *s = calloc(1, sizeof *s);
	struct message *m = batch_message(r->batch);
	const char *key = json_string_value(json_object_get(o, "key"));
	const char *to = json_string_value(json_object_get(o, "to"));
	const char *from = json_string_value(json_object_get(o, "from"));
	const char *type = json_string_value(json_object_get(o, "type"));

	if (s == NULL || m == NULL || key == NULL || to == NULL)
		fail("a message needs key, to and memory");
	s->next = r->all;
	s->m = m;
	r->all = s;
	m->pipeline_ref = s;
	m->msg_id = json_integer_value(json_object_get(o, "id"));
	m->type = type != NULL && strcmp(type, "LMS") == 0 ? MSG_TYPE_LMS : MSG_TYPE_SMS;
	m->expire_in_s = json_integer_value(json_object_get(o, "expire"));
	snprintf(m->client_key, sizeof m->client_key, "%s", key);
	snprintf(m->to_wire, sizeof m->to_wire, "%s", to);
	snprintf(m->from_wire, sizeof m->from_wire, "%s", from == NULL ? "15880000" : from);
	put_text(r, &m->body, o, "text");
	put_text(r, &m->subject, o, "subject");
	put_text(r, &m->origin_code, o, "origin");
	return m;
}

static enum rc
do_submit(struct rig *r, const json_t *list, struct err *e)
{
	size_t n = json_array_size(list);
	struct message **m = calloc(n + 1, sizeof(struct message *));
	enum rc rc;

	if (m == NULL)
		fail("no memory");
	for (size_t i = 0; i < n; i++) {
		m[i] = new_message(r, json_array_get(list, i));
		msg_move(m[i], AT_NONE, AT_PIPELINE);
	}
	r->inside = true;
	rc = r->driver->submit(r->channel, m, n, e);
	r->inside = false;
	for (size_t i = 0; i < n && rc == RC_OK; i++) {
		msg_move(m[i], AT_PIPELINE, AT_CHANNEL);
		((struct sent *)m[i]->pipeline_ref)->out = true;
	}
	free(m);
	return rc;
}

static enum rc
do_resolve(struct rig *r, const json_t *keys, struct err *e)
{
	size_t n = json_array_size(keys);
	struct query *q = calloc(n + 1, sizeof *q);
	enum rc rc;

	if (q == NULL || r->q != NULL)
		fail("one question at a time");
	for (size_t i = 0; i < n; i++)
		snprintf(q[i].client_key, sizeof q[i].client_key, "%s",
			 json_string_value(json_array_get(keys, i)));
	r->q = q;
	r->inside = true;
	rc = r->driver->resolve(r->channel, q, n, e);
	r->inside = false;
	if (rc != RC_OK) {
		free(q);
		r->q = NULL;
	}
	return rc;
}

static void
command(struct rig *r, const json_t *o)
{
	const char *cmd = json_string_value(json_object_get(o, "cmd"));
	json_t *answer = json_pack("{s:s,s:s}", "ev", "reply", "cmd", cmd == NULL ? "" : cmd);
	struct err e = { .rc = RC_OK };
	char text[1024];
	enum rc rc = RC_OK;

	if (cmd == NULL)
		fail("a line without cmd");
	if (strcmp(cmd, "submit") == 0) {
		rc = do_submit(r, json_object_get(o, "messages"), &e);
	} else if (strcmp(cmd, "resolve") == 0) {
		rc = do_resolve(r, json_object_get(o, "keys"), &e);
	} else if (strcmp(cmd, "hold") == 0) {
		r->hold = json_is_true(json_object_get(o, "on"));
	} else if (strcmp(cmd, "manual") == 0) {
		r->manual = json_is_true(json_object_get(o, "on"));
	} else if (strcmp(cmd, "taken") == 0) {
		r->driver->reports_taken(r->channel);
	} else if (strcmp(cmd, "drain") == 0) {
		r->driver->drain(r->channel);
	} else if (strcmp(cmd, "status") == 0) {
		r->driver->describe(r->channel, text, sizeof text);
		json_object_set_new(answer, "describe", json_string(text));
		json_object_set_new(answer, "room", json_integer(r->driver->room(r->channel)));
		json_object_set_new(answer, "in_flight",
				    json_integer((json_int_t)r->driver->in_flight(r->channel)));
	} else if (strcmp(cmd, "close") == 0) {
		r->driver->close(r->channel);
		r->channel = NULL;
		event_base_loopbreak(r->base);
	} else {
		fail("unknown cmd");
	}
	json_object_set_new(answer, "rc", json_string(rc_name(rc)));
	json_object_set_new(answer, "text", json_string(rc == RC_OK ? "" : e.text));
	emit(answer);
}

static void
on_input(evutil_socket_t fd, short what, void *user)
{
	struct rig *r = user;
	ssize_t got = read(fd, r->line + r->line_n, sizeof r->line - r->line_n - 1);
	char *end;

	(void)what;
	if (got <= 0) {
		event_base_loopbreak(r->base);
		return;
	}
	r->line_n += (size_t)got;
	while (r->channel != NULL && (end = memchr(r->line, '\n', r->line_n)) != NULL) {
		size_t n = (size_t)(end - r->line);
		json_t *o = json_loadb(r->line, n, 0, NULL);

		if (o == NULL)
			fail("a line that is no JSON");
		command(r, o);
		json_decref(o);
		r->line_n -= n + 1;
		memmove(r->line, end + 1, r->line_n);
	}
}

static void
set_defaults(struct conf_channel *cf)
{
	memset(cf, 0, sizeof *cf);
#define CONF_STR(s, name, def, min, max, reload, text) cf->name = def;
#define CONF_INT(s, name, def, min, max, reload, text) cf->name = def;
#define CONF_MS(s, name, def, min, max, reload, text) cf->name##_ms = def;
#define CONF_BYTES(s, name, def, min, max, reload, text) cf->name##_bytes = def;
#define CONF_ENUM(s, name, tag, def, words, reload, text) cf->name = def;
#define CONF_BOOL(s, name, def, reload, text) cf->name = def;
#define CONF_WANT CONF_IN_CHANNEL
#include "agent/conf.def"
}

static bool
set_option(struct conf_channel *cf, const char *key, const char *v)
{
#define CONF_STR(s, name, def, min, max, reload, text) \
	if (strcmp(key, #name) == 0)                   \
		return cf->name = v, true;
#define CONF_FILE(s, name, def, reload, text) \
	if (strcmp(key, #name) == 0)          \
		return cf->name = v, true;
#define CONF_SECRET(s, name, reload, text) \
	if (strcmp(key, #name) == 0)       \
		return cf->name = v, true;
#define CONF_INT(s, name, def, min, max, reload, text) \
	if (strcmp(key, #name) == 0)                   \
		return cf->name = strtol(v, NULL, 10), true;
#define CONF_MS(s, name, def, min, max, reload, text) \
	if (strcmp(key, #name) == 0)                  \
		return cf->name##_ms = strtol(v, NULL, 10), true;
#define CONF_BYTES(s, name, def, min, max, reload, text) \
	if (strcmp(key, #name) == 0)                     \
		return cf->name##_bytes = strtol(v, NULL, 10), true;
#define CONF_ENUM(s, name, tag, def, words, reload, text) \
	if (strcmp(key, #name) == 0)                      \
		return cf->name = (enum tag)strtol(v, NULL, 10), true;
#define CONF_WANT CONF_IN_CHANNEL
#include "agent/conf.def"
	return false;
}

static int
check(const struct channel_driver *d, const struct conf_channel *cf)
{
	struct err e = { .rc = RC_OK };
	char sentence[400];
	enum rc rc = d->check(cf, sentence, sizeof sentence, &e);

	emit(json_pack("{s:s,s:s,s:s}", "ev", "check", "rc", rc_name(rc), "text", sentence));
	return 0;
}

int
main(int argc, char **argv)
{
	static struct rig r;
	static struct conf_channel cf;
	struct channel_env env = { .events = &events, .owner = &r };
	struct event *input;
	struct err e;
	bool checking = false;

	set_defaults(&cf);
	cf.name = "infobip";
	cf.driver = "infobip";
	for (int i = 1; i < argc; i++) {
		char *eq = strchr(argv[i], '=');

		if (eq == NULL)
			fail("arguments are name=value");
		*eq = '\0';
		if (strcmp(argv[i], "check") == 0)
			checking = true;
		else if (!set_option(&cf, argv[i], eq + 1))
			fail(argv[i]);
	}
	r.driver = channel_driver_find(cf.driver);
	if (r.driver == NULL)
		fail("no such driver");
	if (checking)
		return check(r.driver, &cf);
	r.base = env.base = event_base_new();
	r.batch = batch_new(TEXTS_MAX_BYTES);
	if (r.base == NULL || r.batch == NULL)
		fail("no memory");
	if (r.driver->open(&env, &cf, &r.channel, &e) != RC_OK) {
		emit(json_pack("{s:s,s:s,s:s}", "ev", "refused", "rc", rc_name(e.rc), "text",
			       e.text));
		batch_free(r.batch);
		event_base_free(r.base);
		return 1;
	}
	input = event_new(r.base, STDIN_FILENO, EV_READ | EV_PERSIST, on_input, &r);
	event_add(input, NULL);
	event_base_dispatch(r.base);
	if (r.channel != NULL)
		r.driver->close(r.channel);
	while (r.all != NULL) {
		struct sent *s = r.all;

		if (s->out)
			fail("a message without an outcome");
		r.all = s->next;
		msg_move(s->m, AT_PIPELINE, AT_NONE);
		free(s);
	}
	batch_free(r.batch);
	event_free(input);
	event_base_free(r.base);
	libevent_global_shutdown();
	return 0;
}
