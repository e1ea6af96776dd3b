/* pipeline_channel.c - the ways to the providers: their ready lines, what they tell, and the
 * journal mark before the first byte.
 *
 * DIAGNOSTICS (events): channel.state, channel.submit, wire.late, journal.failed. */
#include "config.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/clock.h"
#include "agent/failpoint.h"
#include "agent/log.h"
#include "agent/pipeline_int.h"
#include "agent/stats.h"
#include "agent/text.h"

struct way *
way_find(struct pipeline *p, const char *name)
{
	size_t i;

	for (i = 0; i < p->way_count; i++)
		if (strcmp(p->ways[i].name, name) == 0)
			return &p->ways[i];
	return NULL;
}

/* Neither stopped nor in trouble; a short pause or a full window is no trouble. */
static bool
is_usable(const struct pipeline *p, const struct way *w)
{
	if (w->ch == NULL || w->is_paused || p->is_paused || p->is_draining || w->reopen)
		return false;
	/* Whether a channel that failed is well again the next message tells: room() says when. */
	return (w->state != CHANNEL_DOWN && w->state != CHANNEL_REFUSED) ||
	       w->driver->room(w->ch) > 0;
}

bool
way_is_open(const struct pipeline *p, const struct way *w)
{
	return is_usable(p, w) && clock_mono_ms() >= w->not_before_ms;
}

/* Messages that may be with the driver beside those that are: the slow start's. */
static size_t
window_left(const struct way *w, size_t has)
{
	return w->window == 0 ? SIZE_MAX : w->window > has ? w->window - has : 0;
}

/* Messages that the channel would take at once and that are not waiting for it already. */
size_t
way_room(const struct pipeline *p, const struct way *w)
{
	size_t room, left;

	if (!way_is_open(p, w))
		return 0;
	room = w->driver->room(w->ch);
	room = room > w->ready ? room - w->ready : 0;
	left = window_left(w, w->ready + w->sent);
	return room < left ? room : left;
}

/* The first channel of the route that is not in trouble: a later one only while the ones before
 * are, and only for rows that none of these was given. */
struct way *
way_of_type(struct pipeline *p, enum msg_type type)
{
	const struct conf_route *r = conf_route_find(p->conf, type);
	struct way *w;
	size_t i;

	for (i = 0; r != NULL && i < r->channels_count; i++) {
		w = way_find(p, r->channels[i]);
		if (w == NULL || w->ch == NULL || (w->driver->caps(w->ch)->types & 1u << type) == 0)
			continue;
		if (is_usable(p, w))
			return w;
	}
	return NULL;
}

size_t
way_room_of_type(struct pipeline *p, enum msg_type type)
{
	struct way *w;
	size_t sms, lms;

	if (type == MSG_TYPE_AUTO) {
		sms = way_room_of_type(p, MSG_TYPE_SMS);
		lms = way_room_of_type(p, MSG_TYPE_LMS);
		return sms > lms ? sms : lms;
	}
	w = way_of_type(p, type);
	return w == NULL ? 0 : way_room(p, w);
}

static void
log_late(const struct way *w, size_t n)
{
	log_event(LOG_LEVEL_WARN, "wire.late",
		  "channel=%s messages=%zu text=\"the write deadline or their validity is over; "
		  "nothing was sent\"",
		  w->name, n);
}

/* Tested twice for each request: whoever is past it may find that another agent has the messages.
 */
static bool
is_late(const struct way *w, struct message *const *m, size_t n)
{
	int64_t now = clock_boot_ms();

	for (size_t i = 0; i < n; i++) {
		if (now > m[i]->deadline_boot_ms) {
			log_late(w, n);
			return true;
		}
	}
	return false;
}

static bool
on_wire(void *owner, struct message **m, size_t n)
{
	static struct journal_mark marks[WIRE_MAX]; /* loop thread only; too large for the stack */
	struct way *w = owner;
	struct pipeline *p = w->p;
	struct err e;
	size_t i;
	enum rc rc;

	/* A database that lost commits may have lost the claim of these too. */
	if (n > WIRE_MAX || p->is_frozen)
		return false;
	if (is_late(w, m, n))
		return false;
	for (i = 0; i < n; i++)
		pipeline_mark_of(m[i], w->name, &marks[i]);
	rc = journal_submit(p->env.journal, marks, n, &e);
	if (rc != RC_OK) {
		log_err(LOG_LEVEL_ERROR, "journal.failed", &e, "channel=%s messages=%zu", w->name,
			n);
		w->not_before_ms = clock_mono_ms() + 1000;
		if (rc == RC_BUG)
			p->env.fatal(p->env.arg, 75, e.text);
		return false;
	}
	for (i = 0; i < n; i++)
		m[i]->touched = true;
	stat_add(STAT_messages_wire, (int64_t)n);
	if (FAILPOINT(wire_after_mark) != RC_OK)
		return false;
	/* Once more: the disk under the journal may have hung, or the whole process stood still,
	 * and then another agent has asked for these and sends them. */
	return !is_late(w, m, n);
}

/* The pause that a channel asks for is its own: when the route goes another way meanwhile, the
 * message need not wait for it, or it would be ready again just in time to be the next that finds
 * this channel ill. */
static bool
has_other_way(struct way *w, const struct message *m)
{
	const struct way *other = way_of_type(w->p, m->type);

	return other != NULL && other != w;
}

static void
on_done(void *owner, struct message **m, const struct outcome *o, size_t n)
{
	static struct journal_mark marks[WIRE_MAX];
	static struct outcome answers[WIRE_MAX];
	struct way *w = owner;
	struct pipeline *p = w->p;
	struct settle_item *it;
	struct outcome answer;
	struct err e;
	bool has_reports = w->driver->caps(w->ch)->has_reports;
	size_t i, touched = 0, taken = 0, answered = 0;

	/* A failed ANSWER mark cannot be undone: the marks so far say "touched", which is true and
	 * safe. */
	(void)FAILPOINT(answer_before_mark);
	for (i = 0; i < n; i++) {
		if (!m[i]->touched)
			continue;
		pipeline_mark_of(m[i], w->name, &marks[touched]);
		answers[touched] = o[i];
		answers[touched++].is_final = !has_reports;
	}
	if (touched > 0 && touched <= WIRE_MAX &&
	    journal_answer(p->env.journal, marks, answers, touched, &e) != RC_OK) {
		log_err(LOG_LEVEL_ERROR, "journal.failed", &e, "channel=%s", w->name);
		p->env.fatal(p->env.arg, 75, e.text);
	}
	(void)FAILPOINT(answer_after_mark);
	w->sent -= n;
	for (i = 0; i < n; i++) {
		if (o[i].kind != OUT_DEFERRED)
			taken++;
		if (o[i].kind == OUT_ACCEPTED || o[i].kind == OUT_REJECTED)
			answered++;
		stat_inc(o[i].kind == OUT_ACCEPTED   ? STAT_messages_accepted
			 : o[i].kind == OUT_REJECTED ? STAT_messages_rejected
			 : o[i].kind == OUT_DEFERRED ? STAT_messages_deferred
						     : STAT_messages_unsure);
		if (!m[i]->touched) {
			/* wire() never said yes: whatever the driver thinks, nothing left. What it
			 * cannot send at all has failed; given back, it would come for ever. */
			if (o[i].kind == OUT_REJECTED && !m[i]->is_resend) {
				it = settle_item_new(p, m[i]);
				pipeline_mark_of(m[i], w->name, &it->mark);
				pipeline_decide(&it->mark, &o[i], 0, &it->c);
				it->c.client_key = it->key;
				settle_message(p, it, AT_CHANNEL);
			} else if (o[i].retry_after_ms > 0 && !m[i]->is_resend &&
				   !m[i]->older_open && !has_other_way(w, m[i])) {
				it = settle_item_new(p, m[i]);
				it->c.kind = CHANGE_DEFER;
				it->c.delay_ms = o[i].retry_after_ms;
				settle_message(p, it, AT_CHANNEL);
			} else {
				settle_give_back(p, m[i], AT_CHANNEL);
			}
			continue;
		}
		it = settle_item_new(p, m[i]);
		pipeline_mark_of(m[i], w->name, &it->mark);
		it->has_mark = true;
		/* A second look at a re-send must not come before the quiet time of the re-send
		 * itself. */
		answer = o[i];
		answer.is_final = !has_reports;
		/* With a key that is used up it must be deferred, if only for a moment. */
		if (answer.kind == OUT_DEFERRED && has_other_way(w, m[i]))
			answer.retry_after_ms = answer.certainly_ended ? 1 : 0;
		pipeline_decide(&it->mark, &answer,
				m[i]->is_resend ? p->conf->times.quiet_time_ms
						: p->conf->times.unknown_look_ms,
				&it->c);
		settle_own_ids(it);
		it->c.keeps_attempt = m[i]->older_open;
		it->c.client_key = it->key;
		settle_message(p, it, AT_CHANNEL);
	}
	if (answered > 0 && w->window > 0) {
		w->window *= 2;
		if (w->window >= (size_t)p->conf->limits.in_flight)
			w->window = 0;
	}
	if (taken > 0) {
		w->backoff_ms = 0;
		w->not_before_ms = 0;
	} else {
		w->not_before_ms = clock_mono_ms() + pipeline_backoff(&w->backoff_ms);
	}
	pipeline_again_in(p, 0);
}

static void
on_state(void *owner, enum channel_state s, const struct err *why)
{
	struct way *w = owner;

	if (s == w->state)
		return;
	if (why != NULL && (s == CHANNEL_DOWN || s == CHANNEL_REFUSED))
		log_err(s == CHANNEL_REFUSED ? LOG_LEVEL_ERROR : LOG_LEVEL_WARN, "channel.state",
			why, "channel=%s state=%s", w->name, channel_state_name(s));
	else
		log_event(LOG_LEVEL_INFO, "channel.state", "channel=%s state=%s", w->name,
			  channel_state_name(s));
	w->state = s;
	/* What has just come back is not met with all that has waited. */
	if (s == CHANNEL_DOWN || s == CHANNEL_REFUSED)
		w->window = SLOW_START_FIRST;
	pipeline_again_in(w->p, 0);
}

static void
on_room(void *owner)
{
	struct way *w = owner;

	pipeline_again_in(w->p, 0);
}

void
way_enqueue(struct way *w, struct message *m)
{
	int pr =
		m->priority < 0 || m->priority >= PRIORITY_COUNT ? PRIORITY_COUNT - 1 : m->priority;

	m->next = NULL;
	*w->tail[pr] = m;
	w->tail[pr] = &m->next;
	w->ready++;
}

/* What this channel can carry of that type. */
void
way_rules_of(const struct way *w, enum msg_type t, struct validate_rules *r)
{
	const struct channel_caps *caps = w->driver->caps(w->ch);

	r->types |= 1u << t;
	r->by_type[t].charset = caps->charset;
	r->by_type[t].number_form = caps->number_form;
	r->by_type[t].letters_in_sender = caps->letters_in_sender;
	r->by_type[t].max_bytes = t == MSG_TYPE_SMS ? caps->sms_bytes : caps->lms_bytes;
}

/* What the routes can carry, by the first channel of each that is not in trouble, else by its first
 * one; channels (may be NULL) gets their names, "" for a type without a route. */
void
way_rules(struct pipeline *p, struct validate_rules *r, char (*channels)[CHANNEL_NAME_MAX + 1])
{
	const struct conf_route *route;
	struct way *w;
	enum msg_type t;

	memset(r, 0, sizeof *r);
	if (channels != NULL)
		memset(channels, 0, MSG_TYPE_COUNT * sizeof *channels);
	r->text_cap_bytes = (size_t)p->conf->limits.body_bytes;
	for (t = MSG_TYPE_SMS; t < MSG_TYPE_COUNT; t++) {
		route = conf_route_find(p->conf, t);
		if (route == NULL)
			continue;
		w = way_of_type(p, t);
		if (w == NULL)
			w = way_find(p, route->channels[0]);
		if (w == NULL || w->ch == NULL)
			continue;
		way_rules_of(w, t, r);
		if (channels != NULL)
			text_copy(channels[t], sizeof channels[t], w->name);
	}
}

void
way_submit_some(struct way *w)
{
	static struct message *list[WIRE_MAX];
	struct pipeline *p = w->p;
	struct message *m;
	struct err e;
	int64_t now = clock_boot_ms();
	size_t n, i, most, late = 0;
	int pr;
	enum rc rc;

	while (w->ready > 0 && way_is_open(p, w) && (most = w->driver->room(w->ch)) > 0) {
		if (most > window_left(w, w->sent))
			most = window_left(w, w->sent);
		if (most == 0)
			break;
		if (most > w->driver->caps(w->ch)->batch_max)
			most = w->driver->caps(w->ch)->batch_max;
		if (most > WIRE_MAX)
			most = WIRE_MAX;
		for (n = 0, pr = 0; pr < PRIORITY_COUNT; pr++)
			while (n < most && (m = w->head[pr]) != NULL) {
				w->head[pr] = m->next;
				if (m->next == NULL)
					w->tail[pr] = &w->head[pr];
				w->ready--;
				/* One that came too late must not take the others of its request
				 * back with it. */
				if (now > m->deadline_boot_ms) {
					settle_give_back(p, m, AT_PIPELINE);
					late++;
				} else {
					list[n++] = m;
				}
			}
		if (n == 0)
			break;
		for (i = 0; i < n; i++)
			msg_move(list[i], AT_PIPELINE, AT_CHANNEL);
		w->sent += n;
		rc = w->driver->submit(w->ch, list, n, &e);
		if (rc == RC_OK)
			continue;
		w->sent -= n;
		for (i = 0; i < n; i++)
			settle_give_back(p, list[i], AT_CHANNEL);
		if (rc != RC_AGAIN)
			log_err(LOG_LEVEL_WARN, "channel.submit", &e, "channel=%s messages=%zu",
				w->name, n);
		w->not_before_ms = clock_mono_ms() + pipeline_backoff(&w->backoff_ms);
	}
	if (late > 0)
		log_late(w, late);
}

/* What waits for a channel that stopped goes back: rows wait best in the table, where another agent
 * or channel finds them. */
void
way_return_ready(struct way *w)
{
	struct message *m;
	int pr;

	for (pr = 0; pr < PRIORITY_COUNT; pr++) {
		while ((m = w->head[pr]) != NULL) {
			w->head[pr] = m->next;
			w->ready--;
			settle_give_back(w->p, m, AT_PIPELINE);
		}
		w->tail[pr] = &w->head[pr];
	}
}

static const struct channel_events events = {
	.wire = on_wire,
	.done = on_done,
	.reports = report_on_page,
	.received = received_on,
	.resolved = unknown_on_resolved,
	.state = on_state,
	.room = on_room,
};

static void
env_of(struct pipeline *p, struct way *w, struct channel_env *env)
{
	*env = (struct channel_env){
		.base = p->env.base,
		.events = &events,
		.owner = w,
		.state_dir = p->conf->agent.state_dir,
	};
}

enum rc
way_open(struct pipeline *p, struct way *w, struct conf *conf, const struct conf_channel *cf,
	 struct err *e)
{
	struct channel_env env;
	enum rc rc;
	int pr;

	w->p = p;
	w->driver = channel_driver_find(cf->driver);
	text_copy(w->name, sizeof w->name, cf->name);
	if (w->driver == NULL)
		return err_set(e, RC_CONFIG, 0, "pipeline.channel",
			       "channel %s: there is no driver \"%s\"; built in are %s", cf->name,
			       cf->driver, channel_driver_names());
	for (pr = 0; pr < PRIORITY_COUNT; pr++)
		if (w->tail[pr] == NULL)
			w->tail[pr] = &w->head[pr];
	w->state = CHANNEL_STARTING;
	/* The driver keeps cf by reference, so the configuration stays as long as the channel. */
	w->conf = conf_ref(conf);
	w->cf = cf;
	env_of(p, w, &env);
	rc = w->driver->open(&env, cf, &w->ch, e);
	if (rc != RC_OK)
		w->ch = NULL;
	return rc;
}

void
way_close(struct way *w)
{
	if (w->ch != NULL)
		w->driver->close(w->ch);
	w->ch = NULL;
	conf_unref(w->conf);
	w->conf = NULL;
	w->cf = NULL;
	w->page_owed = false;
	w->openings++;
}

/* Would these options open? Nothing is sent by it. */
enum rc
way_try(struct pipeline *p, const struct conf_channel *cf, struct err *e)
{
	struct way probe = { .p = p, .driver = channel_driver_find(cf->driver) };
	struct channel_env env;
	enum rc rc;

	text_copy(probe.name, sizeof probe.name, cf->name);
	env_of(p, &probe, &env);
	rc = probe.driver->open(&env, cf, &probe.ch, e);
	if (rc == RC_OK)
		probe.driver->close(probe.ch);
	return rc;
}

/* Changed options: what is under way ends with the old ones, then the channel is opened anew. */
void
way_reopen(struct way *w, struct conf *conf, const struct conf_channel *cf)
{
	conf_unref(w->next_conf);
	w->next_conf = conf_ref(conf);
	w->next_cf = cf;
	w->reopen = true;
	way_return_ready(w);
	if (w->ch != NULL)
		w->driver->drain(w->ch);
	way_reopen_when_quiet(w);
}

void
way_reopen_when_quiet(struct way *w)
{
	struct conf *conf = w->next_conf;
	struct err e;

	if (w->ch != NULL && (w->driver->in_flight(w->ch) > 0 || w->queries > 0 || w->pages > 0 ||
			      w->sent > 0 || w->received > 0))
		return;
	way_close(w);
	w->reopen = false;
	w->next_conf = NULL;
	w->not_before_ms = w->backoff_ms = 0;
	if (way_open(w->p, w, conf, w->next_cf, &e) != RC_OK)
		log_err(LOG_LEVEL_ERROR, "channel.open", &e, "channel=%s", w->name);
	conf_unref(conf);
}
