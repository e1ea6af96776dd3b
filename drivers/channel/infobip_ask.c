/* infobip_ask.c - what the channel asks for: reports of what was sent, and messages whose outcome
 * is unknown. */
#include "config.h"
#include "drivers/channel/infobip_driver.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/clock.h"
#include "agent/conf.h"
#include "agent/log.h"
#include "drivers/channel/infobip_codec.h"

#define REPORTS_PATH "/sms/3/reports?limit=%lld"
#define LOGS_PATH "/sms/3/logs?limit=1000&messageId="
#define REPORT_BYTES ((size_t)8 * 1024) /* room for each report of a page */
#define ASK_MAX 50	/* keys in one question: far below the 2048 characters allowed */
#define ASKS_MAX 8	/* resolve() calls waiting */
#define PULL_PATIENCE 3 /* cut pulls until the channel counts as down */

/* --- delivery reports --- */

static void pull_done(void *arg, const struct http_answer *a);

void
infobip_arm_pull(struct infobip *ch, int64_t wait_ms)
{
	ch->pull = PULL_IDLE;
	if (!ch->draining)
		infobip_arm(ch->pull_timer, wait_ms);
}

void
infobip_on_pull(evutil_socket_t fd, short what, void *user)
{
	struct infobip *ch = user;
	struct http_request q = { .done = pull_done, .arg = ch };
	char path[64];
	struct err e;

	(void)fd;
	(void)what;
	if (ch->draining || ch->pull != PULL_IDLE)
		return;
	snprintf(path, sizeof path, REPORTS_PATH, (long long)ch->cf->report_limit);
	q.path = path;
	q.answer_max = ANSWER_MAX_BYTES + (size_t)ch->cf->report_limit * REPORT_BYTES;
	if (http_start(ch->http, &q, &ch->pull_call, &e) != RC_OK) {
		log_err(LOG_LEVEL_WARN, "infobip.pull", &e, "channel=%s", ch->cf->name);
		infobip_arm_pull(ch, BACKOFF_MAX_MS);
		return;
	}
	ch->pull = PULL_ASKING;
}

/* Hands over what the page holds and says what to do after that: wait_ms, or at once when the page
 * was full. */
static void
take_page(struct infobip *ch, const struct http_answer *a, int64_t wait_ms)
{
	struct infobip_page page;
	struct err e;

	if (infobip_read_reports(a->body, a->body_n, ch->codes, ch->cf->name, &page, &e) != RC_OK)
		log_err(LOG_LEVEL_ERROR, "infobip.reports", &e, "channel=%s", ch->cf->name);
	if (page.damaged || page.broken > 0)
		log_event(LOG_LEVEL_WARN, "infobip.reports",
			  "channel=%s bytes=%zu items=%zu broken=%zu damaged=%d", ch->cf->name,
			  a->body_n, page.items, page.broken, page.damaged);
	ch->count.pages++;
	ch->count.reports += page.n;
	ch->count.broken += page.broken;
	ch->pull_wait_ms = a->fate == HTTP_ANSWERED && page.items >= (size_t)ch->cf->report_limit
				   ? 0
				   : wait_ms;
	if (page.n > 0) {
		ch->pull = PULL_TAKING;
		ch->env.events->reports(ch->env.owner, page.r, page.n);
	} else {
		infobip_arm_pull(ch, ch->pull_wait_ms);
	}
	free(page.r);
}

static void
pull_failed(struct infobip *ch, const struct http_answer *a, const struct err *why)
{
	int64_t wait = infobip_backoff_ms(BACKOFF_MS, ch->pull_fails);

	if (a->retry_after_ms > wait)
		wait = a->retry_after_ms;
	if (wait < ch->cf->report_poll_ms)
		wait = ch->cf->report_poll_ms;
	ch->pull_fails++;
	log_err(LOG_LEVEL_WARN, "infobip.pull", why, "channel=%s retry_ms=%lld", ch->cf->name,
		(long long)wait);
	/* Reports are handed out once: what came before a cut is all that there will be. */
	if (a->status == 200 && a->body_n > 0)
		take_page(ch, a, wait);
	else
		infobip_arm_pull(ch, wait);
}

/* False when the answer is none that has reports. */
static bool
pull_status(struct infobip *ch, const struct http_answer *a, struct err *why)
{
	switch (a->status) {
	case 200:
		return true;
	case 401:
		err_set(why, RC_CONFIG, 401, "infobip",
			"%s refuses the API key of channel %s (api_key_file)", http_peer(ch->http),
			ch->cf->name);
		break;
	case 403:
		err_set(why, RC_CONFIG, 403, "infobip",
			"the API key of channel %s may not read reports: without them no result is "
			"known; give it the scope",
			ch->cf->name);
		break;
	case 404:
		err_set(why, RC_CONFIG, 404, "infobip",
			"%s has no SMS API here: check url of channel %s", http_peer(ch->http),
			ch->cf->name);
		break;
	default:
		err_set(why, RC_AGAIN, a->status, "infobip",
			"%s answers %d to the question for reports", http_peer(ch->http),
			a->status);
		break;
	}
	return false;
}

static void
pull_done(void *arg, const struct http_answer *a)
{
	struct infobip *ch = arg;
	int64_t now = clock_mono_ms();
	struct err why;

	ch->pull_call = NULL;
	ch->pull = PULL_IDLE;
	if (a->fate != HTTP_ANSWERED) {
		if (a->unreachable || a->untrusted || ch->pull_fails >= PULL_PATIENCE)
			infobip_trouble(ch, BLOCK_REACH,
					a->untrusted ? CHANNEL_REFUSED : CHANNEL_DOWN, now,
					&a->err);
		pull_failed(ch, a, &a->err);
		if (ch->block == BLOCK_REACH && ch->pull == PULL_IDLE)
			infobip_arm_pull(ch, ch->blocked_until_ms - now);
	} else if (pull_status(ch, a, &why)) {
		ch->pull_fails = 0;
		if (ch->block == BLOCK_REACH || ch->state == CHANNEL_STARTING)
			infobip_all_well(ch);
		take_page(ch, a, ch->cf->report_poll_ms);
	} else {
		pull_failed(ch, a, &why);
		if (a->status == 401 || a->status == 404) {
			infobip_trouble(ch, BLOCK_REACH, CHANNEL_REFUSED, now, &why);
		} else if (ch->block == BLOCK_REACH || ch->state == CHANNEL_STARTING) {
			/* Somebody is there; whether it takes messages is for the messages to find
			 * out. */
			infobip_all_well(ch);
		}
	}
	infobip_arm_kick(ch);
}

void
infobip_reports_taken(struct channel *c)
{
	struct infobip *ch = infobip_self(c);

	if (ch->pull == PULL_TAKING)
		infobip_arm_pull(ch, ch->pull_wait_ms);
}

/* --- questions about unknown outcomes --- */

static void next_ask(struct infobip *ch);

void
infobip_fail_chunk(struct ask *k, size_t n)
{
	for (size_t i = 0; i < n; i++)
		k->q[k->pos + i].kind = RESOLVE_FAILED;
	k->pos += n;
}

static void
ask_done(void *arg, const struct http_answer *a)
{
	struct infobip *ch = arg;
	struct ask *k = ch->asks;
	struct err e;
	enum rc rc;

	ch->ask_call = NULL;
	if (a->fate == HTTP_ANSWERED && a->status == 200) {
		rc = infobip_read_logs(a->body, a->body_n, ch->codes, ch->cf->name, &k->q[k->pos],
				       k->now, &e);
	} else if (a->fate != HTTP_ANSWERED) {
		e = a->err;
		rc = e.rc;
	} else {
		rc = err_set(&e, RC_AGAIN, a->status, "infobip",
			     "%s answers %d to a question for messages%s", http_peer(ch->http),
			     a->status,
			     a->status == 401 || a->status == 403
				     ? ": the API key needs the right to read logs"
				     : "");
		if (a->status == 429)
			ch->ask_until_ms = clock_mono_ms() +
					   (a->retry_after_ms > 0 ? a->retry_after_ms : 1000);
	}
	if (rc == RC_OK) {
		k->pos += k->now;
	} else {
		log_err(LOG_LEVEL_WARN, "infobip.logs", &e, "channel=%s messages=%zu", ch->cf->name,
			k->now);
		/* Who cannot be reached is not asked for the rest. */
		infobip_fail_chunk(k, a->unreachable ? k->n - k->pos : k->now);
	}
	next_ask(ch);
}

static enum rc
start_ask(struct infobip *ch, struct ask *k, struct err *e)
{
	struct http_request q = { .answer_max = ANSWER_MAX_BYTES, .done = ask_done, .arg = ch };
	char path[sizeof LOGS_PATH + (size_t)ASK_MAX * (CLIENT_KEY_LEN + 1)];
	size_t used = sizeof LOGS_PATH - 1;

	k->now = k->n - k->pos < ASK_MAX ? k->n - k->pos : ASK_MAX;
	memcpy(path, LOGS_PATH, sizeof LOGS_PATH);
	for (size_t i = 0; i < k->now; i++)
		used += (size_t)snprintf(path + used, sizeof path - used, "%s%s", i > 0 ? "," : "",
					 k->q[k->pos + i].client_key);
	q.path = path;
	ch->count.questions++;
	return http_start(ch->http, &q, &ch->ask_call, e);
}

/* Gives back the first resolve() when it is through, and asks the next question when one may be
 * asked. */
static void
next_ask(struct infobip *ch)
{
	int64_t now = clock_mono_ms();
	struct err e;

	while (ch->asks != NULL && ch->ask_call == NULL) {
		struct ask *k = ch->asks;
		int64_t wait = pace_wait_ms(&ch->ask_pace, now, 1);

		if (k->pos == k->n) {
			ch->asks = k->next;
			if (ch->asks == NULL)
				ch->asks_end = &ch->asks;
			ch->asks_n--;
			ch->env.events->resolved(ch->env.owner, k->q, k->n);
			free(k);
			continue;
		}
		if (ch->ask_until_ms - now > wait)
			wait = ch->ask_until_ms - now;
		if (wait > 0) {
			infobip_arm(ch->ask_timer, wait);
			return;
		}
		pace_take(&ch->ask_pace, now, 1);
		if (start_ask(ch, k, &e) != RC_OK) {
			log_err(LOG_LEVEL_WARN, "infobip.logs", &e, "channel=%s", ch->cf->name);
			infobip_fail_chunk(k, k->n - k->pos);
		}
	}
}

void
infobip_on_ask(evutil_socket_t fd, short what, void *user)
{
	(void)fd;
	(void)what;
	next_ask(user);
}

enum rc
infobip_resolve(struct channel *c, struct query *q, size_t n, struct err *e)
{
	struct infobip *ch = infobip_self(c);
	struct ask *k;

	if (n == 0)
		return err_set(e, RC_BUG, 0, "infobip.resolve", "a question about nothing");
	if (ch->asks_n >= ASKS_MAX)
		return err_set(e, RC_AGAIN, 0, "infobip.resolve", "%u questions are waiting",
			       ch->asks_n);
	k = calloc(1, sizeof *k);
	if (k == NULL)
		return err_set(e, RC_NOMEM, ENOMEM, "infobip.resolve", "no memory for a question");
	k->q = q;
	k->n = n;
	*ch->asks_end = k;
	ch->asks_end = &k->next;
	ch->asks_n++;
	if (ch->ask_call == NULL)
		infobip_arm(ch->ask_timer, 0);
	return RC_OK;
}
