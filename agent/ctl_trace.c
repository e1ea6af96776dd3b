/* ctl_trace.c - mtrelayctl trace: everything the tables know of one message, as one line of time.
 *
 * Numbers are masked and texts are not read at all, so that the output may be sent to somebody. */
#include "config.h"
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include "agent/ctl.h"
#include "agent/text.h"

#define KEY_IDS_MAX 16

static const char *const status_words[] = { "READY",   "SENDING", "ACCEPTED",
					    "UNKNOWN", "HELD",	  "DEFERRED" };

static const char *
status_word(int status)
{
	return status >= ROW_READY && status <= ROW_DEFERRED ? status_words[status] : "-";
}

struct line {
	int64_t at_ms;
	size_t order; /* as found: keeps what happened in the same millisecond */
	char text[512];
};

struct trace {
	struct line *lines;
	size_t n, max;
	json_t *events; /* with --json */
	bool is_full;
};

static void PRINTF_LIKE(3, 4) add(struct trace *t, int64_t at_ms, const char *fmt, ...)
{
	va_list ap;

	if (at_ms == 0 || t->is_full)
		return;
	if (t->n == t->max) {
		struct line *more = realloc(t->lines, (t->max + 64) * sizeof *more);

		if (more == NULL) {
			t->is_full = true;
			return;
		}
		t->lines = more;
		t->max += 64;
	}
	t->lines[t->n].at_ms = at_ms;
	t->lines[t->n].order = t->n;
	va_start(ap, fmt);
	vsnprintf(t->lines[t->n].text, sizeof t->lines[t->n].text, fmt, ap);
	va_end(ap);
	t->n++;
}

static int
by_time(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	if (x->at_ms != y->at_ms)
		return x->at_ms < y->at_ms ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

/* Only a fallback has a leg above 0. */
static const char *
attempt(char *buf, size_t size, int leg, int try_no)
{
	if (leg > 0)
		snprintf(buf, size, "attempt %d of leg %d", try_no, leg);
	else
		snprintf(buf, size, "attempt %d", try_no);
	return buf;
}

/* The name and the value, or nothing at all. */
static const char *
fact(char *buf, size_t size, const char *name, const char *value)
{
	snprintf(buf, size, "%s%s", value[0] != '\0' ? name : "", value);
	return buf;
}

static void
take_event(void *ctx, const struct admin_event *ev)
{
	static const char *const sources[] = {
		[ADMIN_TRY] = "attempt", [ADMIN_REPORT] = "report", [ADMIN_HISTORY] = "history"
	};
	struct trace *t = ctx;
	char code[16], channel[48], provider[128], pcode[64], reason[320], key[48], which[48],
		part[32] = "";

	if (t->events != NULL) {
		json_array_append_new(
			t->events,
			json_pack("{s:s, s:o, s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:s}",
				  "source", sources[ev->source], "at", ctl_json_time(ev->at_ms),
				  "what", ev->what, "code", ev->code, "provider_code",
				  ev->provider_code, "channel", ev->channel, "provider_id",
				  ev->provider_id, "client_key", ev->client_key, "leg", ev->leg,
				  "try_no", ev->try_no, "part", ev->part, "reason", ev->reason));
		return;
	}
	fact(code, sizeof code, "  code ", ev->code);
	fact(channel, sizeof channel, "  channel ", ev->channel);
	fact(provider, sizeof provider, "  provider's id ",
	     strcmp(ev->provider_id, ev->client_key) != 0 ? ev->provider_id : "");
	fact(pcode, sizeof pcode, "  provider's code ", ev->provider_code);
	fact(reason, sizeof reason, "  ", ev->reason);
	fact(key, sizeof key, "  key ", ev->client_key);
	attempt(which, sizeof which, ev->leg, ev->try_no);
	switch (ev->source) {
	case ADMIN_TRY:
		if (ev->part > 0) {
			(void)snprintf(part, sizeof part, "part %d of ", ev->part);
			key[0] = '\0'; /* that of its attempt */
		}
		add(t, ev->at_ms, "%s%s  %s%s%s%s%s", part, which, ev->what, code, channel,
		    provider, key);
		add(t, ev->closed_ms, "%s%s is closed  %s%s", part, which, ev->what, code);
		break;
	case ADMIN_REPORT:
		add(t, ev->at_ms, "report kept, it fits no state of this message yet  %s%s%s%s%s",
		    ev->what, code, pcode, channel, provider);
		break;
	case ADMIN_HISTORY:
		add(t, ev->at_ms, "%s%s%s%s%s  %s%s", ev->what,
		    ev->from >= 0 || ev->to >= 0 ? "  " : "",
		    ev->from >= 0 ? status_word(ev->from) : "", ev->to >= 0 ? " to " : "",
		    ev->to >= 0 ? status_word(ev->to) : "", which, code);
		if (reason[0] != '\0')
			add(t, ev->at_ms, "    %s", ev->reason);
		break;
	}
}

static void
add_row(struct trace *t, const struct admin_row *r)
{
	char key[48];

	add(t, r->created_ms, "inserted");
	if (r->send_ms > r->created_ms + 1000)
		add(t, r->send_ms, "reserved for this time (send_at)");
	fact(key, sizeof key, "  key ", r->client_key);
	if (r->leg > 0)
		add(t, r->first_sent_ms, "first handed over in leg %d  channel %s%s", r->leg,
		    r->channel, key);
	else
		add(t, r->first_sent_ms, "first handed over  channel %s%s", r->channel, key);
	if (r->last_sent_ms > r->first_sent_ms && r->first_sent_ms != 0)
		add(t, r->last_sent_ms, "attempt %d claimed", r->try_no);
}

static void
add_result(struct trace *t, const struct admin_result *r)
{
	char provider[128], pcode[64], channel[48], which[48];

	add(t, r->created_ms, "inserted");
	add(t, r->sent_ms, "sent, %s%s  key %s", attempt(which, sizeof which, r->leg, r->try_no),
	    fact(channel, sizeof channel, "  channel ", r->channel), r->client_key);
	add(t, r->done_ms, "result %s %s %s%s%s", r->class, r->code,
	    r->text[0] != '\0' ? r->text : result_text(r->code),
	    fact(pcode, sizeof pcode, "  provider's code ", r->provider_code),
	    fact(provider, sizeof provider, "  provider's id ",
		 strcmp(r->provider_id, r->client_key) != 0 ? r->provider_id : ""));
	if (r->rev > 0)
		add(t, r->changed_ms, "result revised (rev %d%s)", r->rev,
		    r->is_late ? ", by a late report" : "");
}

static json_t *
json_row(const struct admin_row *r)
{
	char from[130], to[260];

	return json_pack(
		"{s:s, s:s, s:s, s:s, s:s, s:i, s:s, s:s, s:s, s:b, s:s, s:s, s:s, s:s, s:s, s:s, "
		"s:i, s:i, s:o, s:o, "
		"s:o, s:o}",
		"status", status_word(r->status), "req_key", r->req_key, "msg_type", r->type,
		"asked_type", r->asked_type, "group_key", r->group_key, "priority", r->priority,
		"sender", mask_number(from, sizeof from, r->sender), "recipient",
		mask_number(to, sizeof to, r->recipient), "owner", r->owner, "cancel",
		r->is_cancelled, "channel", r->channel, "client_key", r->client_key, "provider_id",
		r->provider_id, "hold_code", r->hold_code, "pend_class", r->pend_class, "pend_code",
		r->pend_code, "leg", r->leg, "try_no", r->try_no, "created_at",
		ctl_json_time(r->created_ms), "send_at", ctl_json_time(r->send_ms), "first_sent_at",
		ctl_json_time(r->first_sent_ms), "due_at", ctl_json_time(r->due_ms));
}

json_t *
ctl_json_result(const struct admin_result *r)
{
	return json_pack(
		"{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:i, s:i, s:i, "
		"s:i, s:o, s:o, s:o, s:o}",
		"result_class", r->class, "result_code", r->code, "result_text", r->text,
		"provider_code", r->provider_code, "provider_id", r->provider_id, "client_key",
		r->client_key, "channel", r->channel, "owner", r->owner, "sent_type", r->sent_type,
		"carrier", r->carrier, "req_key", r->req_key, "late", r->is_late, "read",
		r->is_read, "leg", r->leg, "try_no", r->try_no, "parts", r->parts, "rev", r->rev,
		"created_at", ctl_json_time(r->created_ms), "sent_at", ctl_json_time(r->sent_ms),
		"done_at", ctl_json_time(r->done_ms), "changed_at", ctl_json_time(r->changed_ms));
}

static void
print_lines(struct trace *t)
{
	char at[32];

	if (t->n > 0)
		qsort(t->lines, t->n, sizeof *t->lines, by_time);
	for (size_t i = 0; i < t->n; i++)
		printf("%s  %s\n", ctl_time(at, sizeof at, t->lines[i].at_ms), t->lines[i].text);
}

static void
print_row_head(const struct admin_row *r)
{
	char from[130], to[260];

	printf("message %" PRId64 "  %s  %s, priority %d, from %s to %s", r->msg_id,
	       status_word(r->status), r->type, r->priority,
	       mask_number(from, sizeof from, r->sender), mask_number(to, sizeof to, r->recipient));
	if (r->asked_type[0] != '\0' && strcmp(r->asked_type, r->type) != 0)
		printf(", asked as %s", r->asked_type);
	if (r->req_key[0] != '\0')
		printf("  request key %s", r->req_key);
	if (r->owner[0] != '\0')
		printf("  owner %s", r->owner);
	printf("\n");
}

static void
print_result_head(int64_t msg_id, const struct admin_result *r)
{
	printf("message %" PRId64 "  done  %s  %s %s", msg_id, r->sent_type, r->class, r->code);
	if (r->parts > 1)
		printf("  in %d parts", r->parts);
	if (r->req_key[0] != '\0')
		printf("  request key %s", r->req_key);
	printf("\n");
}

/* One message; *found false when no table knows it. */
static int
trace_one(struct ctl *c, struct store *s, int64_t msg_id, bool *found)
{
	struct admin_result results[ADMIN_RESULTS_MAX];
	struct trace t = { .events = c->is_json ? json_array() : NULL };
	struct admin_row row;
	bool is_waiting;
	struct err e;
	size_t n = 0;

	*found = false;
	if (store_admin_row(s, msg_id, &row, &is_waiting, &e) != RC_OK ||
	    store_admin_results(s, msg_id, results, ADMIN_RESULTS_MAX, &n, &e) != RC_OK ||
	    store_admin_events(s, msg_id, take_event, &t, &e) != RC_OK) {
		json_decref(t.events);
		free(t.lines);
		return ctl_fail_as(c, &e, CTL_READER);
	}
	*found = is_waiting || n > 0 || t.n > 0 || json_array_size(t.events) > 0;
	if (*found && c->is_json) {
		json_t *list = json_array();

		for (size_t i = 0; i < n; i++)
			json_array_append_new(list, ctl_json_result(&results[i]));
		ctl_print_json(json_pack("{s:b, s:I, s:o, s:o, s:O}", "ok", true, "msg_id",
					 (json_int_t)msg_id, "row",
					 is_waiting ? json_row(&row) : json_null(), "results", list,
					 "events", t.events));
	} else if (*found) {
		if (is_waiting)
			add_row(&t, &row);
		for (size_t i = 0; i < n; i++)
			add_result(&t, &results[i]);
		if (is_waiting)
			print_row_head(&row);
		else if (n > 0)
			print_result_head(msg_id, &results[n - 1]);
		else
			printf("message %" PRId64
			       "  neither waiting nor with a result; what is left of it:\n",
			       msg_id);
		print_lines(&t);
	}
	json_decref(t.events);
	free(t.lines);
	return 0;
}

static int
wrong_use(const struct ctl *c)
{
	return ctl_complain(c, EX_USAGE, "usage: trace ID | trace --key REQ_KEY");
}

int
ctl_trace(struct ctl *c, int argc, char **argv)
{
	static const struct option options[] = { { "key", required_argument, NULL, 'k' },
						 { NULL, 0, NULL, 0 } };
	int64_t ids[KEY_IDS_MAX];
	const char *key = NULL;
	struct store *s;
	struct err e;
	size_t n = 0;
	bool found = false, any = false;
	int opt, status;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt != 'k')
			return wrong_use(c);
		key = optarg;
	}
	if (key == NULL) {
		if (argc != optind + 1 || !text_i64(argv[optind], 1, INT64_MAX, &ids[0]))
			return wrong_use(c);
		n = 1;
	} else if (argc != optind) {
		return wrong_use(c);
	}
	status = ctl_need_store(c, &s);
	if (status != 0)
		return status;
	if (key != NULL && store_admin_ids_by_key(s, key, ids, KEY_IDS_MAX, &n, &e) != RC_OK)
		status = ctl_fail_as(c, &e, CTL_READER);
	for (size_t i = 0; status == 0 && i < n; i++) {
		status = trace_one(c, s, ids[i], &found);
		any = any || found;
	}
	store_close(s);
	if (status == 0 && !any)
		status = key != NULL ? ctl_complain(c, CTL_FAIL,
						    "no message has the request key %s", key)
				     : ctl_complain(c, CTL_FAIL,
						    "no table knows a message %" PRId64, ids[0]);
	return status;
}
