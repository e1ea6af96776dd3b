/* ctl_unknown.c - unknown list, unknown resolve, requeue: what an operator decides where the agent
 * may not guess. Works on the tables alone, whether an agent runs or not. */
#include "config.h"
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include "agent/ctl.h"
#include "agent/log.h"
#include "agent/text.h"

#define LIMIT 100
#define LIMIT_MAX 100000
#define TRIES 10
#define POLL_MS 100
#define WHO_MAX 64     /* mt_history.who */
#define REASON_MAX 200 /* mt_history.reason, in characters that may take several bytes */
#define OPERATOR "a login that may do what the agent may, such as the agent's own"

/* ---- unknown list ---- */

static const char *
or_dash(const char *text)
{
	return text[0] != '\0' ? text : "-";
}

static void
print_open(const struct admin_open *r)
{
	char since[32], due[32], to[260];

	printf("%8" PRId64 "  %-7s  %-4s  %-10s  %-13s  %-23s  %s\n", r->msg_id,
	       r->status == ROW_HELD ? "HELD" : "UNKNOWN", or_dash(r->type), or_dash(r->channel),
	       mask_number(to, sizeof to, r->recipient), ctl_time(since, sizeof since, r->since_ms),
	       ctl_time(due, sizeof due, r->due_ms));
	printf("          key %s  attempt %d  code %s%s%s\n", or_dash(r->client_key), r->try_no,
	       or_dash(r->hold_code), r->pend_class[0] != '\0' ? " " : "", r->pend_class);
}

static json_t *
json_open(const struct admin_open *r)
{
	char to[260];

	return json_pack("{s:I, s:s, s:s, s:s, s:o, s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:I}",
			 "msg_id", (json_int_t)r->msg_id, "status",
			 r->status == ROW_HELD ? "HELD" : "UNKNOWN", "msg_type", r->type, "channel",
			 r->channel, "since", ctl_json_time(r->since_ms), "tries", r->try_no,
			 "client_key", r->client_key, "hold_code", r->hold_code, "pend_class",
			 r->pend_class, "pend_code", r->pend_code, "recipient",
			 mask_number(to, sizeof to, r->recipient), "owner", r->owner, "due",
			 ctl_json_time(r->due_ms), "due_in_ms", (json_int_t)r->due_in_ms);
}

static int
say_open(struct ctl *c, const struct admin_open *rows, size_t n, bool has_more)
{
	size_t held = 0;

	if (c->is_json) {
		json_t *list = json_array();

		for (size_t i = 0; i < n; i++)
			json_array_append_new(list, json_open(&rows[i]));
		ctl_print_json(
			json_pack("{s:b, s:b, s:o}", "ok", true, "more", has_more, "rows", list));
		return n > 0 ? CTL_WARN : CTL_OK;
	}
	if (n == 0) {
		printf("no message is unknown or held\n");
		return CTL_OK;
	}
	printf("%8s  %-7s  %-4s  %-10s  %-13s  %-23s  %s\n", "id", "status", "type", "channel",
	       "recipient", "sent at", "next look or close");
	for (size_t i = 0; i < n; i++) {
		print_open(&rows[i]);
		held += rows[i].status == ROW_HELD;
	}
	printf("%zu held, %zu unknown%s\n", held, n - held,
	       has_more ? ", and there are more: --limit" : "");
	return CTL_WARN;
}

/* Held ones first: nobody but an operator or a report moves them. One more than limit is asked
 * for. */
static enum rc
read_open(struct store *s, struct admin_open *rows, size_t limit, size_t *n, bool *has_more,
	  struct err *e)
{
	size_t unknown = 0;
	enum rc rc = store_admin_open(s, ROW_HELD, rows, limit + 1, n, e);

	if (rc == RC_OK && *n <= limit)
		rc = store_admin_open(s, ROW_UNKNOWN, rows + *n, limit + 1 - *n, &unknown, e);
	*n += unknown;
	*has_more = *n > limit;
	if (*has_more)
		*n = limit;
	return rc;
}

static int
unknown_list(struct ctl *c, int argc, char **argv)
{
	static const struct option options[] = {
		{ "limit", required_argument, NULL, 'l' },
		{ NULL, 0, NULL, 0 },
	};
	struct admin_open *rows;
	struct store *s = NULL;
	int64_t limit = LIMIT;
	bool has_more = false;
	struct err e;
	size_t n = 0;
	int opt, status;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (opt != 'l' || !text_i64(optarg, 1, LIMIT_MAX, &limit))
			limit = 0;
	if (limit == 0 || optind < argc)
		return ctl_complain(c, EX_USAGE, "usage: unknown list [--limit N], N from 1 to %d",
				    LIMIT_MAX);
	rows = calloc((size_t)limit + 1, sizeof *rows);
	if (rows == NULL)
		return ctl_complain(c, EX_OSERR, "out of memory");
	status = ctl_need_store(c, &s);
	if (status == 0)
		status = read_open(s, rows, (size_t)limit, &n, &has_more, &e) == RC_OK
				 ? say_open(c, rows, n, has_more)
				 : ctl_fail_as(c, &e, CTL_READER);
	store_close(s);
	free(rows);
	return status;
}

/* ---- decisions ---- */

static const char *
status_name(int status)
{
	static const char *const names[] = { "READY",	"SENDING", "ACCEPTED",
					     "UNKNOWN", "HELD",	   "DEFERRED" };

	return status >= ROW_READY && status <= ROW_DEFERRED ? names[status] : "in no known status";
}

static int
refuse_status(struct ctl *c, const struct admin_order *o)
{
	const char *why = "";

	switch (o->row.status) {
	case ROW_READY:
	case ROW_DEFERRED:
		why = "it waits to be sent; mtrelayctl explain says for what, mtrelayctl cancel "
		      "stops it";
		break;
	case ROW_SENDING:
		why = "an agent has it; when that one is dead, the next one that runs takes the "
		      "row over at the end of its lease and makes it UNKNOWN";
		break;
	case ROW_ACCEPTED:
		why = "the provider has it, and a report or the close time ends it";
		break;
	case ROW_UNKNOWN:
		why = "nobody knows whether it was taken; mtrelayctl unknown resolve is for such "
		      "messages";
		break;
	default:
		break;
	}
	return ctl_complain(c, CTL_FAIL, "message %" PRId64 " is %s: %s. Nothing was changed",
			    o->msg_id, status_name(o->row.status), why);
}

static int
refuse_gone(struct ctl *c, struct store *s, const struct admin_order *o)
{
	struct admin_result results[ADMIN_RESULTS_MAX], *r;
	struct err e;
	size_t n;

	if (store_admin_results(s, o->msg_id, results, ADMIN_RESULTS_MAX, &n, &e) != RC_OK)
		return ctl_fail_as(c, &e, CTL_READER);
	if (n == 0)
		return ctl_complain(c, CTL_FAIL, "there is no message %" PRId64, o->msg_id);
	r = &results[n - 1];
	return ctl_complain(c, CTL_FAIL,
			    "message %" PRId64 " is done, it has its result %s %s (%s). Nothing "
			    "was changed",
			    o->msg_id, r->class, r->code,
			    r->text[0] != '\0' ? r->text : result_text(r->code));
}

static int
say_refusal(struct ctl *c, struct store *s, const struct admin_order *o)
{
	char span[32];

	switch (o->refusal) {
	case ADMIN_NO_ROW:
		return refuse_gone(c, s, o);
	case ADMIN_NOT_OURS:
		return ctl_complain(
			c, CTL_FAIL,
			"message %" PRId64 " was never sent: an application wrote its "
			"status, and the agent takes it as new at its due time. Nothing "
			"was changed",
			o->msg_id);
	case ADMIN_OUTCOME_KNOWN:
		return ctl_complain(c, CTL_FAIL,
				    "the outcome of message %" PRId64 " is known (%s %s) and is "
				    "written as soon as the database takes it: mtrelayctl explain "
				    "%" PRId64 " says what is in its way. Nothing was changed",
				    o->msg_id, o->row.pend_class, o->row.pend_code, o->msg_id);
	case ADMIN_ATTEMPT_OPEN:
		return ctl_complain(c, CTL_FAIL,
				    "message %" PRId64 " may have been taken by the provider, and "
				    "requeue is only for what certainly failed: mtrelayctl unknown "
				    "resolve %" PRId64 " resend. Nothing was changed",
				    o->msg_id, o->msg_id);
	case ADMIN_EXPIRED:
		return ctl_complain(c, CTL_FAIL,
				    "the time of message %" PRId64
				    " was over %s ago (expire_at, or "
				    "send_at and times.expire_after): it would not be sent again. "
				    "Nothing was changed",
				    o->msg_id, ctl_span(span, sizeof span, o->row.expire_in_ms));
	case ADMIN_CANCELLED:
		return ctl_complain(c, CTL_FAIL,
				    "the cancellation of message %" PRId64 " was asked for "
				    "(cancel_yn): it would not be sent again. Nothing was changed",
				    o->msg_id);
	case ADMIN_CLOSES:
		return ctl_complain(c, CTL_FAIL,
				    "the close time of message %" PRId64 " is too near for another "
				    "attempt (report.close_after, times.row_lease). Nothing was "
				    "changed",
				    o->msg_id);
	case ADMIN_KEYS_USED:
		return ctl_complain(c, CTL_FAIL,
				    "message %" PRId64 " was sent too often already: it has no "
				    "further key. Nothing was changed",
				    o->msg_id);
	case ADMIN_MAY_COME_TWICE:
		return ctl_complain(c, CTL_FAIL,
				    "message %" PRId64 " may have reached the phone already, and "
				    "its provider is not known to recognise it (dedup_window): say "
				    "--yes-it-may-arrive-twice if that is better than not at all. "
				    "Nothing was changed",
				    o->msg_id);
	case ADMIN_DONE:
	case ADMIN_WRONG_STATUS:
		break;
	}
	return refuse_status(c, o);
}

static int
say_decided(struct ctl *c, const struct admin_order *o)
{
	static const char *const to[] = { [ADMIN_SENT] = "ACCEPTED",
					  [ADMIN_FAILED] = "UNKNOWN 8002",
					  [ADMIN_RESEND] = "READY",
					  [ADMIN_REQUEUE] = "READY" };
	const bool is_over = o->until_close_ms <= 0;
	char span[32];

	if (c->is_json) {
		ctl_print_json(json_pack("{s:b, s:I, s:s, s:s, s:b}", "ok", true, "msg_id",
					 (json_int_t)o->msg_id, "from", status_name(o->row.status),
					 "to", to[o->verdict], "keeps_key", o->keeps_key));
		return CTL_OK;
	}
	switch (o->verdict) {
	case ADMIN_SENT:
		printf("message %" PRId64 " is ACCEPTED: a report ends it, or without one 8001 "
		       "%s%s\n",
		       o->msg_id, is_over ? "at once" : "in ",
		       is_over ? "" : ctl_span(span, sizeof span, o->until_close_ms));
		break;
	case ADMIN_FAILED:
		printf("message %" PRId64 " is closed: UNKNOWN 8002, not FAIL, since no report "
		       "proves it; one that comes within report.late corrects it\n",
		       o->msg_id);
		break;
	case ADMIN_RESEND:
		printf("message %" PRId64 " is READY and is sent again%s; reports of the earlier "
		       "attempt still count\n",
		       o->msg_id,
		       o->keeps_key ? " under the same key, by which the provider recognises it"
				    : "");
		break;
	case ADMIN_REQUEUE:
		printf("message %" PRId64 " is READY and is sent anew; its outcome %s %s is no "
		       "longer kept\n",
		       o->msg_id, o->row.pend_class, o->row.pend_code);
		break;
	}
	return CTL_OK;
}

static const struct conf_route *
route_of(const struct conf *c, const char *type)
{
	enum msg_type t = msg_type_parse(type, strlen(type));

	return t == MSG_TYPE_NONE || t == MSG_TYPE_AUTO ? NULL : conf_route_find(c, t);
}

/* Keys count only where the message cannot go out by another channel. */
static enum rc
add_window(struct ctl *c, struct store *s, struct admin_order *o, struct err *e)
{
	const struct conf_route *route;
	const struct conf_channel *channel;
	struct admin_row row;
	bool found;
	enum rc rc = store_admin_row(s, o->msg_id, &row, &found, e);

	if (rc != RC_OK || !found)
		return rc;
	route = route_of(c->conf, row.type);
	if (route == NULL || route->channels_count != 1)
		return RC_OK;
	channel = conf_channel_find(c->conf, route->channels[0]);
	if (channel == NULL)
		return RC_OK;
	o->channel = channel->name;
	o->dedup_window_ms = channel->dedup_window_ms;
	return RC_OK;
}

static int
decide(struct ctl *c, struct admin_order *o)
{
	const struct timespec pause = { .tv_nsec = POLL_MS * 1000000 };
	struct store *s;
	struct err e;
	enum rc rc;
	int status = ctl_need_store(c, &s);

	if (status != 0)
		return status;
	rc = add_window(c, s, o, &e);
	for (int i = 0; rc == RC_OK && i < TRIES; i++) {
		rc = store_admin_decide(s, o, &e);
		if (rc != RC_AGAIN || i == TRIES - 1)
			break;
		/* An agent was quicker, or a deadlock: as the row stands now. */
		rc = RC_OK;
		nanosleep(&pause, NULL);
	}
	if (rc != RC_OK)
		status = ctl_fail_as(c, &e, OPERATOR);
	else if (o->refusal != ADMIN_DONE)
		status = say_refusal(c, s, o);
	else
		status = say_decided(c, o);
	store_close(s);
	return status;
}

static bool
is_blank(const char *text)
{
	size_t n = strlen(text);

	(void)text_trim(text, &n);
	return n == 0;
}

/* Name and reason, and the confirmation where it is asked for; operands stay behind optind. */
static int
parse_order(struct ctl *c, int argc, char **argv, struct admin_order *o, const char *usage)
{
	static const struct option options[] = {
		{ "by", required_argument, NULL, 'b' },
		{ "reason", required_argument, NULL, 'r' },
		{ "yes-it-may-arrive-twice", no_argument, NULL, 'y' },
		{ NULL, 0, NULL, 0 },
	};
	bool is_right = true;
	int opt;

	o->by = o->reason = "";
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 'b')
			o->by = optarg;
		else if (opt == 'r')
			o->reason = optarg;
		else if (opt == 'y')
			o->may_come_twice = true;
		else
			is_right = false;
	}
	if (!is_right || is_blank(o->by) || is_blank(o->reason))
		return ctl_complain(c, EX_USAGE,
				    "usage: %s (--by and --reason are kept in mt_history)", usage);
	if (strlen(o->by) > WHO_MAX || text_utf8_len(o->reason, strlen(o->reason)) > REASON_MAX)
		return ctl_complain(c, EX_USAGE,
				    "--by has at most %d bytes and --reason %d characters", WHO_MAX,
				    REASON_MAX);
	if (!text_utf8_check(o->by, strlen(o->by), NULL) ||
	    !text_utf8_check(o->reason, strlen(o->reason), NULL))
		return ctl_complain(c, EX_USAGE, "--by and --reason are to be written in UTF-8");
	return 0;
}

static int
parse_id(struct ctl *c, const char *text, int64_t *id)
{
	if (text_i64(text, 1, INT64_MAX, id))
		return 0;
	return ctl_complain(c, EX_USAGE, "\"%s\" is no msg_id", text);
}

#define RESOLVE_USAGE                                                                           \
	"unknown resolve ID sent|failed|resend [--yes-it-may-arrive-twice] --by NAME --reason " \
	"TEXT"

static int
unknown_resolve(struct ctl *c, int argc, char **argv)
{
	static const struct {
		const char *word;
		enum admin_verdict verdict;
	} words[] = {
		{ "sent", ADMIN_SENT },
		{ "failed", ADMIN_FAILED },
		{ "resend", ADMIN_RESEND },
	};
	struct admin_order o = { .verdict = ADMIN_REQUEUE };
	int status = parse_order(c, argc, argv, &o, RESOLVE_USAGE);

	if (status != 0)
		return status;
	for (size_t i = 0; optind + 2 == argc && i < sizeof words / sizeof *words; i++)
		if (strcmp(argv[optind + 1], words[i].word) == 0)
			o.verdict = words[i].verdict;
	if (o.verdict == ADMIN_REQUEUE || (o.may_come_twice && o.verdict != ADMIN_RESEND))
		return ctl_complain(c, EX_USAGE, "usage: %s", RESOLVE_USAGE);
	status = parse_id(c, argv[optind], &o.msg_id);
	return status != 0 ? status : decide(c, &o);
}

int
ctl_unknown(struct ctl *c, int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "list") == 0)
		return unknown_list(c, argc - 1, argv + 1);
	if (argc > 1 && strcmp(argv[1], "resolve") == 0)
		return unknown_resolve(c, argc - 1, argv + 1);
	return ctl_complain(c, EX_USAGE, "usage: unknown list [--limit N], or %s", RESOLVE_USAGE);
}

int
ctl_requeue(struct ctl *c, int argc, char **argv)
{
	static const char usage[] = "requeue ID --by NAME --reason TEXT";
	struct admin_order o = { .verdict = ADMIN_REQUEUE };
	int status = parse_order(c, argc, argv, &o, usage);

	if (status != 0)
		return status;
	if (optind + 1 != argc || o.may_come_twice)
		return ctl_complain(c, EX_USAGE, "usage: %s", usage);
	status = parse_id(c, argv[optind], &o.msg_id);
	return status != 0 ? status : decide(c, &o);
}
