/* null.c - accepts everything and sends nothing: dry runs, benches, the first tests. */
#include "config.h"
#include "drivers/channel/drivers.h"

#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/clock.h"
#include "agent/conf.h"
#include "drivers/channel/pace.h"

#define WAITING_MAX 16384 /* messages */

struct handful {
	struct handful *next;
	int64_t due_ms;
	size_t n;
	struct message *m[];
};

struct null_channel {
	struct channel_env env;
	const struct conf_channel *cf;
	struct channel_caps caps;
	struct pace pace;
	struct event *timer;
	struct handful *first;
	struct handful **last;
	size_t waiting;
	uint64_t accepted;
	bool draining;
	bool up;
	bool room_owed; /* somebody was told that there is none */
};

static struct null_channel *
self(const struct channel *c)
{
	return (struct null_channel *)(uintptr_t)c;
}

static void
arm(struct null_channel *n)
{
	int64_t now = clock_mono_ms();
	int64_t wait = INT64_MAX;
	struct timeval tv;

	if (n->first != NULL)
		wait = n->first->due_ms > now ? n->first->due_ms - now : 0;
	else if (n->room_owed)
		wait = pace_wait_ms(&n->pace, now, pace_worth(&n->pace, n->caps.batch_max));
	if (!n->up)
		wait = 0;
	if (wait == INT64_MAX)
		return;
	tv.tv_sec = wait / 1000;
	tv.tv_usec = wait % 1000 * 1000;
	evtimer_add(n->timer, &tv);
}

/* Says wire() for the handful, gives it back and frees it. */
static void
hand_back(struct null_channel *n, struct handful *h, bool accept)
{
	struct outcome *o = calloc(h->n, sizeof *o);
	struct outcome one = { .kind = OUT_DEFERRED };

	accept = accept && n->env.events->wire(n->env.owner, h->m, h->n);
	n->waiting -= h->n;
	n->accepted += accept ? h->n : 0;
	for (size_t i = 0; i < h->n; i++) {
		struct outcome *mine = o != NULL ? &o[i] : &one;

		memset(mine, 0, sizeof *mine);
		mine->kind = accept ? OUT_ACCEPTED : OUT_DEFERRED;
		if (accept) {
			mine->parts = 1;
			snprintf(mine->provider_id, sizeof mine->provider_id, "%s",
				 h->m[i]->client_key);
		}
		if (o == NULL)
			n->env.events->done(n->env.owner, &h->m[i], mine, 1);
	}
	if (o != NULL)
		n->env.events->done(n->env.owner, h->m, o, h->n);
	free(o);
	free(h);
}

static struct handful *
take_first(struct null_channel *n)
{
	struct handful *h = n->first;

	n->first = h->next;
	if (n->first == NULL)
		n->last = &n->first;
	return h;
}

static void
on_timer(evutil_socket_t fd, short what, void *user)
{
	struct null_channel *n = user;
	int64_t now = clock_mono_ms();

	(void)fd;
	(void)what;
	if (!n->up) {
		n->up = true;
		n->env.events->state(n->env.owner, CHANNEL_UP, NULL);
	}
	while (n->first != NULL && n->first->due_ms <= now)
		hand_back(n, take_first(n), true);
	if (n->room_owed) {
		n->room_owed = false;
		n->env.events->room(n->env.owner);
	}
	arm(n);
}

static enum rc
null_open(const struct channel_env *env, const struct conf_channel *cf, struct channel **out,
	  struct err *e)
{
	struct null_channel *n = calloc(1, sizeof *n);

	*out = NULL;
	if (n == NULL)
		return err_set(e, RC_NOMEM, ENOMEM, "null.open", "no memory for channel %s",
			       cf->name);
	n->env = *env;
	n->cf = cf;
	n->last = &n->first;
	n->caps.types = ((1u << MSG_TYPE_COUNT) - 1) & ~(1u << MSG_TYPE_AUTO);
	n->caps.batch_max = (unsigned)cf->batch;
	n->caps.dedup_window_ms = cf->dedup_window_ms;
	n->caps.number_form = cf->number_form;
	n->caps.charset = cf->charset;
	n->caps.sms_bytes = (unsigned)cf->sms_bytes;
	n->caps.lms_bytes = (unsigned)cf->lms_bytes;
	pace_init(&n->pace, cf->rate, 1000, clock_mono_ms());
	n->timer = evtimer_new(env->base, on_timer, n);
	if (n->timer == NULL) {
		free(n);
		return err_set(e, RC_NOMEM, ENOMEM, "null.open", "no memory for channel %s",
			       cf->name);
	}
	arm(n);
	*out = (struct channel *)n;
	return RC_OK;
}

static const struct channel_caps *
null_caps(const struct channel *c)
{
	return &self(c)->caps;
}

static unsigned
null_room(const struct channel *c)
{
	struct null_channel *n = self(c);
	unsigned room = pace_room(&n->pace, clock_mono_ms());

	if (n->draining)
		return 0;
	if (room < pace_worth(&n->pace, n->caps.batch_max))
		room = 0;
	if (room > WAITING_MAX - n->waiting)
		room = (unsigned)(WAITING_MAX - n->waiting);
	if (room == 0) {
		n->room_owed = true;
		arm(n);
	}
	return room;
}

static enum rc
null_submit(struct channel *c, struct message **m, size_t count, struct err *e)
{
	struct null_channel *n = self(c);
	struct handful *h;

	if (count == 0 || count > n->caps.batch_max)
		return err_set(e, RC_BUG, 0, "null.submit", "%zu messages at once, %u are allowed",
			       count, n->caps.batch_max);
	if (count > null_room(c))
		return err_set(e, RC_AGAIN, 0, "null.submit", "no room");
	h = malloc(sizeof *h + count * sizeof h->m[0]);
	if (h == NULL)
		return err_set(e, RC_NOMEM, ENOMEM, "null.submit", "no memory for %zu messages",
			       count);
	memcpy(h->m, m, count * sizeof h->m[0]);
	h->n = count;
	h->next = NULL;
	h->due_ms = clock_mono_ms() + n->cf->latency_ms;
	*n->last = h;
	n->last = &h->next;
	n->waiting += count;
	n->room_owed = true;
	pace_take(&n->pace, clock_mono_ms(), (unsigned)count);
	arm(n);
	return RC_OK;
}

static void
null_reports_taken(struct channel *c)
{
	(void)c;
}

static void
null_drain(struct channel *c)
{
	self(c)->draining = true;
}

static size_t
null_in_flight(const struct channel *c)
{
	return self(c)->waiting;
}

static enum rc
null_check(const struct conf_channel *cf, char *sentence, size_t size, struct err *e)
{
	(void)e;
	(void)cf;
	snprintf(sentence, size, "accepts everything and sends nothing (driver null)");
	return RC_OK;
}

static void
null_describe(const struct channel *c, char *buf, size_t size)
{
	snprintf(buf, size, "accepted=%llu waiting=%zu", (unsigned long long)self(c)->accepted,
		 self(c)->waiting);
}

static void
null_close(struct channel *c)
{
	struct null_channel *n = self(c);

	while (n->first != NULL)
		hand_back(n, take_first(n), false);
	event_free(n->timer);
	free(n);
}

const struct channel_driver channel_null = {
	.name = "null",
	.open = null_open,
	.caps = null_caps,
	.room = null_room,
	.submit = null_submit,
	.resolve = NULL,
	.reports_taken = null_reports_taken,
	.drain = null_drain,
	.in_flight = null_in_flight,
	.check = null_check,
	.describe = null_describe,
	.close = null_close,
};
