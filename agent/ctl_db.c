/* ctl_db.c - the commands that change something in the tables: send, cancel, unfreeze. */
#include "config.h"
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sysexits.h>
#include <time.h>
#include "agent/clock.h"
#include "agent/ctl.h"
#include "agent/text.h"

#define SEND_WAIT_MS CONF_S(60)
#define SEND_WAIT_MAX_MS CONF_H(72)
#define POLL_MS 100
#define TRIES 10
#define WHO_MAX 64     /* mt_history.who */
#define REASON_MAX 150 /* mt_history.reason, in characters that may take several bytes */

static void
pause_ms(int64_t ms)
{
	struct timespec t = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };

	nanosleep(&t, NULL);
}

/* ---- send ---- */

struct send_request {
	struct admin_new new;
	int64_t wait_ms;
};

static int
parse_send(const struct ctl *c, int argc, char **argv, struct send_request *q)
{
	static const struct option options[] = {
		{ "to", required_argument, NULL, 't' },
		{ "from", required_argument, NULL, 'f' },
		{ "type", required_argument, NULL, 'y' },
		{ "subject", required_argument, NULL, 's' },
		{ "wait", required_argument, NULL, 'w' },
		{ NULL, 0, NULL, 0 },
	};
	bool is_right = true;
	int opt;

	*q = (struct send_request){ .new = { .type = "AUTO" }, .wait_ms = SEND_WAIT_MS };
	while (is_right && (opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 't':
			q->new.recipient = optarg;
			break;
		case 'f':
			q->new.sender = optarg;
			break;
		case 'y':
			q->new.type = optarg;
			break;
		case 's':
			q->new.subject = optarg;
			break;
		case 'w':
			if (!text_ms(optarg, 0, SEND_WAIT_MAX_MS, &q->wait_ms))
				return ctl_complain(
					c, EX_USAGE,
					"--wait %s: write a time such as 60s or 5min, up to 72h",
					optarg);
			break;
		default:
			is_right = false;
			break;
		}
	}
	if (!is_right || q->new.recipient == NULL || q->new.sender == NULL || argc != optind + 1)
		return ctl_complain(c, EX_USAGE,
				    "usage: send --to NUMBER --from NUMBER [--type T] [--subject "
				    "S] [--wait 60s] TEXT (one argument: "
				    "quote it)");
	q->new.body = argv[optind];
	return 0;
}

void
ctl_print_result(int64_t msg_id, const struct admin_result *r)
{
	char at[32];

	printf("message %" PRId64 ": %s %s %s", msg_id, r->class, r->code,
	       r->text[0] != '\0' ? r->text : result_text(r->code));
	if (r->channel[0] != '\0')
		printf("  %s by channel %s", r->sent_type, r->channel);
	if (r->provider_code[0] != '\0')
		printf("  provider's code %s", r->provider_code);
	printf("  at %s\n", ctl_time(at, sizeof at, r->done_ms));
}

static int
status_of_result(const struct admin_result *r)
{
	if (strcmp(r->class, "OK") == 0)
		return CTL_OK;
	return strcmp(r->class, "FAIL") == 0 ? CTL_FAIL : CTL_WARN;
}

static int
say_result(struct ctl *c, int64_t msg_id, const struct admin_result *r)
{
	if (c->is_json)
		ctl_print_json(json_pack("{s:b, s:I, s:o}", "ok", true, "msg_id",
					 (json_int_t)msg_id, "result", ctl_json_result(r)));
	else
		ctl_print_result(msg_id, r);
	return status_of_result(r);
}

static int
say_no_result(struct ctl *c, struct store *s, int64_t msg_id, int64_t wait_ms)
{
	json_t *sentences = NULL;
	char span[32];
	int status;

	if (!c->is_json)
		printf("message %" PRId64 " has no result after %s; mtrelayctl trace %" PRId64
		       " tells more later\n",
		       msg_id, ctl_span(span, sizeof span, wait_ms), msg_id);
	status = ctl_explain_id(c, s, msg_id, c->is_json ? &sentences : NULL);
	if (status > CTL_FAIL) {
		json_decref(sentences);
		return status == EX_NOPERM ? CTL_WARN : status; /* an application's login */
	}
	if (c->is_json)
		ctl_print_json(json_pack("{s:b, s:I, s:n, s:o}", "ok", true, "msg_id",
					 (json_int_t)msg_id, "result", "sentences", sentences));
	return CTL_WARN;
}

int
ctl_send(struct ctl *c, int argc, char **argv)
{
	struct admin_result results[ADMIN_RESULTS_MAX];
	struct send_request q;
	unsigned char noise[8];
	char key[32] = "mtrelayctl-";
	struct store *s;
	struct err e;
	int64_t msg_id, until;
	size_t n = 0;
	int status;

	status = parse_send(c, argc, argv, &q);
	if (status == 0)
		status = ctl_need_store(c, &s);
	if (status != 0)
		return status;
	if (getrandom(noise, sizeof noise, 0) != (ssize_t)sizeof noise) {
		status = ctl_complain(c, EX_OSERR, "the system gives no random bytes");
		goto out;
	}
	text_hex(key + strlen(key), noise, sizeof noise);
	q.new.req_key = key;
	if (store_admin_insert(s, &q.new, &msg_id, &e) != RC_OK) {
		status = ctl_fail_as(c, &e, CTL_WRITER);
		goto out;
	}
	if (!c->is_json) {
		printf("message %" PRId64 " is in the table (request key %s)%s\n", msg_id, key,
		       q.wait_ms > 0 ? "; waiting for its result" : "");
		fflush(stdout);
	}
	if (q.wait_ms == 0) {
		if (c->is_json)
			ctl_print_json(json_pack("{s:b, s:I, s:s, s:n}", "ok", true, "msg_id",
						 (json_int_t)msg_id, "req_key", key, "result"));
		goto out;
	}
	until = clock_mono_ms() + q.wait_ms;
	for (;;) {
		if (store_admin_results(s, msg_id, results, ADMIN_RESULTS_MAX, &n, &e) != RC_OK) {
			status = ctl_fail_as(c, &e, CTL_READER);
			goto out;
		}
		/* An id may come again: only the result with our key is ours. */
		while (n > 0 && strcmp(results[n - 1].req_key, key) != 0)
			n--;
		if (n > 0 || clock_mono_ms() >= until)
			break;
		pause_ms(POLL_MS);
	}
	status = n > 0 ? say_result(c, msg_id, &results[n - 1])
		       : say_no_result(c, s, msg_id, q.wait_ms);
out:
	store_close(s);
	return status;
}

/* ---- cancel ---- */

static int
by_id(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

/* Up to ADMIN_IDS_MAX ids, sorted; a deadlock with an agent is tried again. */
static enum rc
cancel_some(struct store *s, const int64_t *ids, size_t n, struct admin_cancel *sum, struct err *e)
{
	enum rc rc = RC_OK;

	for (int i = 0; i < TRIES; i++) {
		rc = store_admin_cancel(s, ids, n, sum, e);
		if (rc != RC_AGAIN)
			break;
		pause_ms(POLL_MS);
	}
	return rc;
}

static enum rc
cancel_group(struct store *s, const char *group, struct admin_cancel *sum, struct err *e)
{
	int64_t ids[ADMIN_IDS_MAX], after = INT64_MIN;
	size_t n;
	enum rc rc = RC_OK;

	do {
		rc = store_admin_ids_by_group(s, group, after, ids, ADMIN_IDS_MAX, &n, e);
		if (rc == RC_OK && n > 0) {
			after = ids[n - 1];
			rc = cancel_some(s, ids, n, sum, e);
		}
	} while (rc == RC_OK && n == ADMIN_IDS_MAX);
	return rc;
}

static enum rc
cancel_key(struct store *s, const char *key, struct admin_cancel *sum, struct err *e)
{
	int64_t ids[ADMIN_IDS_MAX];
	size_t n;
	enum rc rc = store_admin_ids_by_key(s, key, ids, ADMIN_IDS_MAX, &n, e);

	return rc == RC_OK && n > 0 ? cancel_some(s, ids, n, sum, e) : rc;
}

static enum rc
cancel_ids(struct store *s, int64_t *ids, size_t n, struct admin_cancel *sum, struct err *e)
{
	size_t i, kept = 0;
	enum rc rc = RC_OK;

	qsort(ids, n, sizeof *ids, by_id);
	for (i = 0; i < n; i++)
		if (kept == 0 || ids[kept - 1] != ids[i])
			ids[kept++] = ids[i];
	for (i = 0; rc == RC_OK && i < kept; i += ADMIN_IDS_MAX)
		rc = cancel_some(s, ids + i, kept - i < ADMIN_IDS_MAX ? kept - i : ADMIN_IDS_MAX,
				 sum, e);
	return rc;
}

static int
say_cancelled(struct ctl *c, const struct admin_cancel *k)
{
	int64_t all = k->waiting + k->claimed + k->too_late + k->done + k->unknown;
	int status = all > 0 && k->waiting == all  ? CTL_OK
		     : k->waiting + k->claimed > 0 ? CTL_WARN
						   : CTL_FAIL;

	if (c->is_json) {
		ctl_print_json(json_pack("{s:b, s:I, s:I, s:I, s:I, s:I}", "ok", true, "waiting",
					 (json_int_t)k->waiting, "claimed", (json_int_t)k->claimed,
					 "too_late", (json_int_t)k->too_late, "done",
					 (json_int_t)k->done, "unknown", (json_int_t)k->unknown));
		return status;
	}
	printf("waiting    %6" PRId64 "  end with 3007, unless another refusal comes first\n",
	       k->waiting);
	printf("being sent %6" PRId64 "  too late, unless they come back unsent\n", k->claimed);
	printf("sent       %6" PRId64 "  too late\n", k->too_late);
	printf("done       %6" PRId64 "  had their result before\n", k->done);
	printf("not found  %6" PRId64 "  neither waiting nor with a result\n", k->unknown);
	if (k->waiting + k->claimed > 0)
		printf("The proof is the result of each message: 3007 or not.\n");
	return status;
}

static int
wrong_cancel(const struct ctl *c)
{
	return ctl_complain(c, EX_USAGE, "usage: cancel ID... | --key REQ_KEY | --group GROUP_KEY");
}

int
ctl_cancel(struct ctl *c, int argc, char **argv)
{
	static const struct option options[] = {
		{ "key", required_argument, NULL, 'k' },
		{ "group", required_argument, NULL, 'g' },
		{ NULL, 0, NULL, 0 },
	};
	struct admin_cancel sum = { 0 };
	const char *key = NULL, *group = NULL;
	int64_t *ids;
	struct store *s = NULL;
	struct err e;
	size_t n = 0;
	enum rc rc;
	int opt, status;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 'k')
			key = optarg;
		else if (opt == 'g')
			group = optarg;
		else
			return wrong_cancel(c);
	}
	if ((key != NULL) + (group != NULL) + (optind < argc) != 1)
		return wrong_cancel(c);
	ids = calloc((size_t)argc, sizeof *ids);
	if (ids == NULL)
		return ctl_complain(c, EX_OSERR, "out of memory");
	for (; optind < argc; optind++) {
		if (!text_i64(argv[optind], 1, INT64_MAX, &ids[n++])) {
			status = ctl_complain(c, EX_USAGE, "\"%s\" is no msg_id", argv[optind]);
			goto out;
		}
	}
	status = ctl_need_store(c, &s);
	if (status != 0)
		goto out;
	if (key != NULL)
		rc = cancel_key(s, key, &sum, &e);
	else if (group != NULL)
		rc = cancel_group(s, group, &sum, &e);
	else
		rc = cancel_ids(s, ids, n, &sum, &e);
	if (rc != RC_OK)
		status = ctl_fail_as(c, &e, CTL_WRITER);
	else if (key != NULL && sum.waiting + sum.claimed + sum.too_late + sum.done == 0)
		status = ctl_complain(c, CTL_FAIL, "no message has the request key %s", key);
	else if (group != NULL && sum.waiting + sum.claimed + sum.too_late == 0)
		status = ctl_complain(c, CTL_FAIL,
				      "no message that is not done has the group key %s", group);
	else
		status = say_cancelled(c, &sum);
out:
	store_close(s);
	free(ids);
	return status;
}

/* ---- unfreeze ---- */

int
ctl_unfreeze(struct ctl *c, int argc, char **argv)
{
	static const struct option options[] = {
		{ "by", required_argument, NULL, 'b' },
		{ "reason", required_argument, NULL, 'r' },
		{ NULL, 0, NULL, 0 },
	};
	const char *by = "", *reason = "";
	struct store_facts f;
	struct store *s;
	struct err e;
	int opt, status;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 'b')
			by = optarg;
		else if (opt == 'r')
			reason = optarg;
		else
			by = "";
	}
	if (*by == '\0' || *reason == '\0' || optind < argc)
		return ctl_complain(
			c, EX_USAGE,
			"usage: unfreeze --by NAME --reason TEXT (both are kept in mt_history)");
	if (strlen(by) > WHO_MAX || text_utf8_len(reason, strlen(reason)) > REASON_MAX)
		return ctl_complain(c, EX_USAGE,
				    "--by has at most %d bytes and --reason %d characters", WHO_MAX,
				    REASON_MAX);
	status = ctl_need_store(c, &s);
	if (status != 0)
		return status;
	if (store_facts_read(s, &f, &e) != RC_OK || store_unfreeze(s, by, reason, &e) != RC_OK)
		status = ctl_fail_as(c, &e, CTL_WRITER);
	else if (c->is_json)
		ctl_print_json(json_pack("{s:b, s:b, s:s}", "ok", true, "was_frozen", f.is_frozen,
					 "freeze_reason", f.freeze_reason));
	else if (f.is_frozen)
		printf("unfrozen: it was frozen for \"%s\"; the agents go on within seconds\n",
		       f.freeze_reason);
	else
		printf("nothing was frozen\n");
	store_close(s);
	return status;
}
