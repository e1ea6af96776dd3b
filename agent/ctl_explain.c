/* ctl_explain.c - mtrelayctl explain: why is this row not going out, in the order in which it
 * would be stopped. */
#include "config.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include "agent/ctl.h"
#include "agent/text.h"

#define AHEAD_MAX 10000

struct explain {
	struct ctl *c;
	struct store *s;
	struct admin_row row;
	struct admin_agent agents[ADMIN_AGENTS_MAX];
	size_t agent_count, live_count;
	struct store_facts facts;
	unsigned crashes;
	char last_crash[300];
	unsigned parts, delivered, failed; /* of the row's own attempt */
	json_t *sentences;
	int status;
};

static void PRINTF_LIKE(3, 4) say(struct explain *x, int status, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (status > x->status)
		x->status = status;
	if (x->sentences != NULL)
		json_array_append_new(x->sentences, json_string(text));
	else
		printf("%s\n", text);
}

/* ---- what may keep any message ---- */

static void
say_frozen(struct explain *x)
{
	if (x->facts.is_frozen)
		say(x, CTL_FAIL,
		    "Nothing is sent at all: the tables are frozen (%s). Look into the agents' "
		    "logs, then mtrelayctl unfreeze.",
		    x->facts.freeze_reason);
}

static void
say_agents(struct explain *x)
{
	char span[32];

	for (size_t i = 0; i < x->agent_count; i++)
		x->live_count += x->agents[i].is_live;
	if (x->agent_count == 0)
		say(x, CTL_FAIL,
		    "No agent ever worked on these tables: start mtrelayd with a configuration "
		    "that names them.");
	else if (x->live_count == 0)
		say(x, CTL_FAIL,
		    "No agent is running: the last one, %s on %s, %s %s%s. Start mtrelayd.",
		    x->agents[0].id, x->agents[0].host,
		    strcmp(x->agents[0].state, "STOPPED") == 0 ? "was ended"
							       : "gave no sign of life for",
		    ctl_span(span, sizeof span, x->agents[0].since_beat_ms),
		    strcmp(x->agents[0].state, "STOPPED") == 0 ? " ago" : "");
}

static void
take_event(void *ctx, const struct admin_event *ev)
{
	struct explain *x = ctx;

	if (ev->source == ADMIN_TRY && ev->part > 0 &&
	    strcmp(ev->client_key, x->row.client_key) == 0) {
		x->parts++;
		x->delivered += strcmp(ev->what, "DELIVERED") == 0;
		x->failed += strcmp(ev->what, "FAILED") == 0;
	}
	if (ev->source != ADMIN_HISTORY || strcmp(ev->what, "crashed") != 0)
		return;
	x->crashes++;
	(void)text_copy(x->last_crash, sizeof x->last_crash, ev->reason);
}

/* 0, or the exit status after a failure that was told. */
static int
say_crashes(struct explain *x, int64_t msg_id)
{
	struct err e;

	if (store_admin_events(x->s, msg_id, take_event, x, &e) != RC_OK)
		return ctl_fail_as(x->c, &e, CTL_READER);
	if (x->crashes > 0)
		say(x, CTL_WARN,
		    "Working on it ended an agent %u time%s, at last %s. After three times in a "
		    "row "
		    "an agent leaves it alone: tell the maker, with the agent's log.",
		    x->crashes, x->crashes == 1 ? "" : "s", x->last_crash);
	return 0;
}

/* The word behind "name=" in an agent's list of channels; false when it has no such channel. */
static bool
channel_word(const struct admin_agent *a, const char *name, char *word, size_t size)
{
	size_t n = strlen(name);

	for (const char *p = a->channels; *p != '\0'; p += strspn(p, " ")) {
		size_t len = strcspn(p, " ");

		if (len > n && memcmp(p, name, n) == 0 && p[n] == '=')
			return text_copy_n(word, size, p + n + 1, len - n - 1);
		p += len;
	}
	return false;
}

static const char *
channel_remedy(const char *word)
{
	if (strcmp(word, "PAUSED") == 0)
		return "paused by an operator: mtrelayctl resume";
	if (strcmp(word, "REFUSED") == 0)
		return "login, certificate or account are refused: mtrelayctl check";
	if (strcmp(word, "DOWN") == 0)
		return "the provider cannot be reached; it is tried again by itself";
	if (strcmp(word, "THROTTLED") == 0)
		return "the provider asked for less; it goes on by itself";
	if (strcmp(word, "CLOSED") == 0)
		return "it could not be opened: mtrelayctl check, and the agent's log";
	return "it is connecting, which takes a moment";
}

/* A route is open when a running agent has one of its channels up; false when it is not. */
static bool
say_channels(struct explain *x, const struct conf_route *route)
{
	bool is_open = false;
	char word[32];

	if (x->live_count == 0)
		return true; /* that was said */
	for (size_t i = 0; !is_open && i < x->agent_count; i++)
		for (size_t k = 0; x->agents[i].is_live && k < route->channels_count; k++)
			if (channel_word(&x->agents[i], route->channels[k], word, sizeof word) &&
			    strcmp(word, "UP") == 0)
				is_open = true;
	for (size_t i = 0; !is_open && i < x->agent_count; i++) {
		for (size_t k = 0; x->agents[i].is_live && k < route->channels_count; k++) {
			if (!channel_word(&x->agents[i], route->channels[k], word, sizeof word))
				say(x, CTL_WARN,
				    "Agent %s has not told of channel %s yet: it has just started, "
				    "or runs with another configuration.",
				    x->agents[i].id, route->channels[k]);
			else
				say(x,
				    strcmp(word, "THROTTLED") == 0 || strcmp(word, "STARTING") == 0
					    ? CTL_WARN
					    : CTL_FAIL,
				    "Channel %s of agent %s is %s: %s.", route->channels[k],
				    x->agents[i].id, word, channel_remedy(word));
		}
	}
	return is_open;
}

static void
say_last_errors(struct explain *x)
{
	for (size_t i = 0; i < x->agent_count; i++)
		if (x->agents[i].is_live && x->agents[i].last_error[0] != '\0')
			say(x, x->status, "The last trouble of agent %s: %s", x->agents[i].id,
			    x->agents[i].last_error);
}

/* ---- a message that waits ---- */

/* NULL: no queue covers it, and the sentence is said. */
static const struct conf_route *
find_route(struct explain *x)
{
	const struct admin_row *r = &x->row;
	enum msg_type type = msg_type_parse(r->type, strlen(r->type));
	const struct conf_route *route;

	if (type == MSG_TYPE_NONE) {
		say(x, CTL_FAIL,
		    "Its type \"%s\" is none that mtrelay knows: it ends with 2006 at the next "
		    "walk over waiting rows.",
		    r->type);
		return NULL;
	}
	if (r->priority < -1 || r->priority >= PRIORITY_COUNT) {
		say(x, CTL_FAIL,
		    "Its priority %d is not 0, 1 or 2: it ends with 2006 at the next walk over "
		    "waiting rows.",
		    r->priority);
		return NULL;
	}
	route = conf_route_find(x->c->conf, type == MSG_TYPE_AUTO ? MSG_TYPE_SMS : type);
	if (route == NULL && type == MSG_TYPE_AUTO)
		route = conf_route_find(x->c->conf, MSG_TYPE_LMS);
	if (route == NULL)
		say(x, CTL_FAIL,
		    "No route of %s is for type %s: add one and mtrelayctl reload; without one it "
		    "ends with 2006 once it has expired.",
		    x->c->conf_path, msg_type_name(type));
	return route;
}

static int
say_queue(struct explain *x)
{
	int64_t ahead;
	char span[32];
	struct err e;

	if (store_admin_ahead(x->s, &x->row, AHEAD_MAX, &ahead, &e) != RC_OK)
		return ctl_fail_as(x->c, &e, CTL_READER);
	if (ahead > 0)
		say(x, CTL_WARN,
		    "%s%" PRId64 " due messages of its type and priority come before it.",
		    ahead == AHEAD_MAX ? "More than " : "", ahead);
	else
		say(x, CTL_OK,
		    "Nothing known is in its way: it is at the head of its queue and is taken at "
		    "the next look. (The agents last told of themselves %s ago.)",
		    ctl_span(span, sizeof span, x->agents[0].since_beat_ms));
	return 0;
}

static int
explain_waiting(struct explain *x)
{
	const struct admin_row *r = &x->row;
	const struct conf_route *route;
	char at[32], span[32];
	int status;

	status = say_crashes(x, r->msg_id);
	if (status != 0)
		return status;
	say_frozen(x);
	say_agents(x);
	if (r->is_cancelled)
		say(x, CTL_WARN,
		    "Its cancellation was asked for (cancel_yn): it ends with 3007, at the latest "
		    "after times.walk.");
	else if (r->send_ms != 0 && r->expire_in_ms <= 0)
		say(x, CTL_WARN,
		    "Its time was over %s ago (expire_at, or send_at and times.expire_after): it "
		    "ends with 3008.",
		    ctl_span(span, sizeof span, r->expire_in_ms));
	else if (r->send_in_ms > 0)
		say(x, CTL_WARN,
		    "It is reserved for %s, that is in %s (send_at; a literal means the time zone "
		    "of the session that wrote it, on SQLite UTC).",
		    ctl_time(at, sizeof at, r->send_ms),
		    ctl_span(span, sizeof span, r->send_in_ms));
	if (r->status == ROW_DEFERRED && r->due_in_ms > 0)
		say(x, CTL_WARN,
		    "It was put off until %s, that is for %s: the last attempt was certainly not "
		    "taken%s%s.",
		    ctl_time(at, sizeof at, r->due_ms), ctl_span(span, sizeof span, r->due_in_ms),
		    r->channel[0] != '\0' ? " by " : "", r->channel);
	route = find_route(x);
	if (route != NULL && !say_channels(x, route))
		say_last_errors(x);
	if (x->status == CTL_OK)
		status = say_queue(x);
	return status != 0 ? status : x->status;
}

/* ---- a message under way ---- */

static bool
owner_lives(const struct explain *x)
{
	for (size_t i = 0; i < x->agent_count; i++)
		if (x->agents[i].is_live && strcmp(x->agents[i].id, x->row.owner) == 0)
			return true;
	return false;
}

static void
explain_sending(struct explain *x)
{
	const struct admin_row *r = &x->row;
	char span[32];

	say(x, CTL_OK,
	    "Agent %s has claimed it (attempt %d) and is handing it over; its lease %s %s%s.",
	    r->owner, r->try_no, r->due_in_ms >= 0 ? "ends in" : "ended",
	    ctl_span(span, sizeof span, r->due_in_ms), r->due_in_ms >= 0 ? "" : " ago");
	if (!owner_lives(x))
		say(x, x->live_count == 0 ? CTL_FAIL : CTL_WARN,
		    "Agent %s gives no sign of life: %s takes the row over when the lease is over, "
		    "and finds out whether it was sent.",
		    r->owner, x->live_count == 0 ? "the next one that is started" : "another one");
}

static void
explain_sent(struct explain *x)
{
	const struct admin_row *r = &x->row;
	char at[32], span[32];

	if (r->status == ROW_ACCEPTED && x->parts > 0)
		say(x, CTL_OK,
		    "It was sent in %u parts: %s has them since %s; %u delivered, %u failed, for "
		    "%u "
		    "no delivery report has come yet; without them it ends with 8001 in %s.",
		    x->parts, r->channel, ctl_time(at, sizeof at, r->first_sent_ms), x->delivered,
		    x->failed, x->parts - x->delivered - x->failed,
		    ctl_span(span, sizeof span, r->due_in_ms));
	else if (r->status == ROW_ACCEPTED)
		say(x, CTL_OK,
		    "It was sent: %s has it since %s and no delivery report has come yet; without "
		    "one it ends with 8001 in %s.",
		    r->channel, ctl_time(at, sizeof at, r->first_sent_ms),
		    ctl_span(span, sizeof span, r->due_in_ms));
	else
		say(x, CTL_WARN,
		    "It was handed to %s at %s and no answer came, so nobody knows whether it was "
		    "taken: it is not sent again "
		    "blindly. The agent asks, or waits for a report; it ends with 8002 if nothing "
		    "is learnt. Next look in %s.",
		    r->channel,
		    ctl_time(at, sizeof at,
			     r->last_sent_ms != 0 ? r->last_sent_ms : r->first_sent_ms),
		    r->due_in_ms > 0 ? ctl_span(span, sizeof span, r->due_in_ms) : "0 s");
	if (x->live_count == 0)
		say_agents(x);
}

static void
explain_held(struct explain *x)
{
	const struct admin_row *r = &x->row;
	char span[32];

	if (r->pend_class[0] != '\0' && strcmp(r->pend_class, "OPEN") != 0)
		say(x, CTL_FAIL,
		    "Its outcome is known (%s %s) and cannot be written: something in the database "
		    "refuses its row of mt_result, "
		    "a trigger or a foreign key. It is not sent again. mtrelayctl trace %" PRId64
		    " shows what the database said; once that is repaired the result is written by "
		    "itself.",
		    r->pend_class, r->pend_code, r->msg_id);
	else if (strcmp(r->hold_code, "9003") == 0)
		say(x, CTL_FAIL,
		    "It is held: an attempt of it may have reached the provider, and going on with "
		    "it "
		    "ended the agent again and again. A late report settles it; without one it "
		    "ends as "
		    "unknown in %s. Who knows more: mtrelayctl unknown resolve %" PRId64
		    " sent, failed or resend.",
		    ctl_span(span, sizeof span, r->due_in_ms), r->msg_id);
	else
		say(x, CTL_FAIL,
		    "It is held (%s %s): nobody knows whether the provider took it, and the "
		    "route's on_unknown says hold. A late "
		    "report settles it; without one it ends as unknown in %s. Who knows more: "
		    "mtrelayctl unknown resolve %" PRId64 " sent, failed or resend.",
		    r->hold_code, r->hold_code[0] != '\0' ? result_text(r->hold_code) : "no code",
		    ctl_span(span, sizeof span, r->due_in_ms), r->msg_id);
}

/* ---- a message that is done, or none ---- */

static int
explain_gone(struct explain *x, int64_t msg_id)
{
	struct admin_result results[ADMIN_RESULTS_MAX], *r;
	char at[32];
	struct err e;
	size_t n;

	if (store_admin_results(x->s, msg_id, results, ADMIN_RESULTS_MAX, &n, &e) != RC_OK)
		return ctl_fail_as(x->c, &e, CTL_READER);
	if (n == 0) {
		say(x, CTL_FAIL,
		    "There is no message %" PRId64
		    ": none waits with this id and none has a result. Was its INSERT committed, in "
		    "this database?",
		    msg_id);
		return x->status;
	}
	r = &results[n - 1];
	say(x, CTL_OK, "It is done: it has its result since %s, %s %s (%s).",
	    ctl_time(at, sizeof at, r->done_ms), r->class, r->code,
	    r->text[0] != '\0' ? r->text : result_text(r->code));
	if (strcmp(r->code, "9003") == 0) {
		int status = say_crashes(x, msg_id);

		return status != 0 ? status : CTL_OK;
	}
	return x->status;
}

int
ctl_explain_id(struct ctl *c, struct store *s, int64_t msg_id, json_t **out)
{
	static const char *const words[] = { "READY",	"SENDING", "ACCEPTED",
					     "UNKNOWN", "HELD",	   "DEFERRED" };
	static struct explain x; /* too large for a stack */
	int status;
	bool found;
	struct err e;

	memset(&x, 0, sizeof x);
	x.c = c;
	x.s = s;
	x.sentences = out != NULL ? *out = json_array() : NULL;
	if (store_facts_read(s, &x.facts, &e) != RC_OK ||
	    store_admin_row(s, msg_id, &x.row, &found, &e) != RC_OK ||
	    store_admin_agents(s, x.agents, ADMIN_AGENTS_MAX, &x.agent_count, &e) != RC_OK)
		return ctl_fail_as(c, &e, CTL_READER);
	if (!found)
		return explain_gone(&x, msg_id);
	if (out == NULL && x.row.status >= 0 && x.row.status <= ROW_DEFERRED)
		printf("message %" PRId64 " is %s\n", msg_id, words[x.row.status]);
	if (x.row.status == ROW_READY || x.row.status == ROW_DEFERRED)
		return explain_waiting(&x);
	for (size_t i = 0; i < x.agent_count; i++)
		x.live_count += x.agents[i].is_live;
	status = say_crashes(&x, msg_id);
	if (status != 0)
		return status;
	if (x.row.status == ROW_SENDING)
		explain_sending(&x);
	else if (x.row.status == ROW_HELD)
		explain_held(&x);
	else
		explain_sent(&x);
	return x.status;
}

int
ctl_explain(struct ctl *c, int argc, char **argv)
{
	struct store *s;
	json_t *sentences = NULL;
	int64_t id;
	int status;

	if (argc != 2 || !text_i64(argv[1], 1, INT64_MAX, &id))
		return ctl_complain(c, EX_USAGE,
				    "usage: explain ID, where ID is msg_id of mt_send");
	status = ctl_need_store(c, &s);
	if (status != 0)
		return status;
	status = ctl_explain_id(c, s, id, c->is_json ? &sentences : NULL);
	if (c->is_json && status <= CTL_FAIL && sentences != NULL)
		ctl_print_json(json_pack("{s:b, s:I, s:i, s:o}", "ok", true, "msg_id",
					 (json_int_t)id, "status", status, "sentences", sentences));
	else
		json_decref(sentences);
	store_close(s);
	return status;
}
