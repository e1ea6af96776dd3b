/* pipeline.c - the table of messages in memory, the turn of the pump, begin and end. See
 * pipeline.h. */
#include "config.h"
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/clock.h"
#include "agent/log.h"
#include "agent/pipeline_int.h"
#include "agent/text.h"

void
pipeline_again_in(struct pipeline *p, int64_t ms)
{
	struct timeval tv = { (time_t)(ms / 1000), (suseconds_t)(ms % 1000) * 1000 };
	int64_t at = clock_mono_ms() + ms;

	/* Never later than what was asked for before: a retry must not wait for a long idle poll.
	 */
	if (p->is_stopped || (event_pending(p->poll, EV_TIMEOUT, NULL) && p->poll_at_ms <= at))
		return;
	p->poll_at_ms = at;
	event_add(p->poll, &tv);
}

int64_t
pipeline_backoff(int64_t *backoff_ms)
{
	*backoff_ms = *backoff_ms == 0 ? BACKOFF_FIRST_MS : *backoff_ms * 2;
	if (*backoff_ms > BACKOFF_LAST_MS)
		*backoff_ms = BACKOFF_LAST_MS;
	/* Jitter from the clock keeps several agents from asking in step. */
	return *backoff_ms / 2 + clock_mono_ms() % (*backoff_ms / 2 + 1);
}

int64_t
pipeline_deadline(const struct message *m, int64_t claimed_boot_ms, int64_t write_ms)
{
	/* expire_in_s was counted later than claimed_boot_ms: never beyond the true end. */
	int64_t valid_ms = m->expire_in_s * 1000;

	return claimed_boot_ms + (valid_ms < write_ms ? valid_ms : write_ms);
}

void
pipeline_mark_of(const struct message *m, const char *channel, struct journal_mark *mark)
{
	memset(mark, 0, sizeof *mark);
	mark->msg_id = m->msg_id;
	mark->fence = m->fence;
	mark->leg = m->leg;
	mark->generation = m->generation;
	mark->try_no = m->try_no;
	mark->is_resend = m->is_resend;
	snprintf(mark->client_key, sizeof mark->client_key, "%s", m->client_key);
	snprintf(mark->channel, sizeof mark->channel, "%s", channel);
}

static struct message **
table_place(const struct pipeline *p, int64_t msg_id)
{
	struct message **m = (struct message **)&p->table[(uint64_t)msg_id % TABLE_SIZE];

	while (*m != NULL && (*m)->msg_id != msg_id)
		m = &(*m)->hash_next;
	return m;
}

bool
pipeline_has(const struct pipeline *p, int64_t msg_id)
{
	return *table_place(p, msg_id) != NULL;
}

void
pipeline_table_add(struct pipeline *p, struct message *m)
{
	struct message **place = table_place(p, m->msg_id);

	m->hash_next = *place;
	*place = m;
	p->in_memory++;
	p->claimed++;
}

void
pipeline_table_remove(struct pipeline *p, struct message *m)
{
	struct message **place = (struct message **)&p->table[(uint64_t)m->msg_id % TABLE_SIZE];

	while (*place != m)
		place = &(*place)->hash_next;
	*place = m->hash_next;
	p->in_memory--;
	p->settled++;
}

void
pipeline_pump(struct pipeline *p)
{
	size_t i;

	for (i = 0; i < p->way_count; i++) {
		struct way *w = &p->ways[i];

		if (w->reopen)
			way_reopen_when_quiet(w);
		way_submit_some(w);
		if (w->ready > 0 && !way_is_open(p, w))
			way_return_ready(w);
	}
	/* Settle first: an answer we hold costs memory and may be lost, a row we have not claimed
	 * costs nothing. */
	settle_some(p);
	report_some(p);
	received_some(p);
	claim_some(p);
}

static void
on_poll(evutil_socket_t fd, short what, void *arg)
{
	struct pipeline *p = arg;

	(void)fd;
	(void)what;
	pipeline_pump(p);
	pipeline_again_in(p, p->conf->times.idle_poll_ms);
}

size_t
pipeline_queues(const struct pipeline *p, struct store_queue *q)
{
	memcpy(q, p->queues, p->queue_count * sizeof *q);
	return p->queue_count;
}

enum rc
pipeline_new(const struct pipeline_env *env, struct conf *conf, struct pipeline **out,
	     struct err *e)
{
	struct pipeline *p = calloc(1, sizeof *p);

	*out = NULL;
	if (p == NULL)
		return err_set(e, RC_NOMEM, 0, "pipeline.new", "out of memory");
	p->env = *env;
	p->conf = conf_ref(conf);
	p->claim_seq = env->claim_seq;
	p->claim_most = (size_t)conf->limits.batch;
	p->settle_tail = &p->settle_head;
	p->report_tail = &p->report_head;
	p->received_tail = &p->received_head;
	p->settle.items = calloc((size_t)conf->limits.settle_batch, sizeof *p->settle.items);
	p->settle.changes = calloc((size_t)conf->limits.settle_batch, sizeof *p->settle.changes);
	p->settle.why = calloc((size_t)conf->limits.settle_batch, sizeof *p->settle.why);
	p->report.max = (size_t)conf->limits.settle_batch;
	p->report.waits = calloc(p->report.max, sizeof *p->report.waits);
	p->report.items = calloc(p->report.max, sizeof *p->report.items);
	p->claim.claim.out = calloc((size_t)conf->limits.batch, sizeof *p->claim.claim.out);
	p->poll = event_new(env->base, -1, 0, on_poll, p);
	if (p->settle.items == NULL || p->settle.changes == NULL || p->settle.why == NULL ||
	    p->report.waits == NULL || p->report.items == NULL || p->claim.claim.out == NULL ||
	    p->poll == NULL) {
		pipeline_free(p);
		return err_set(e, RC_NOMEM, 0, "pipeline.new", "out of memory");
	}
	claim_queues_of_routes(p);
	*out = p;
	return RC_OK;
}

enum rc
pipeline_start(struct pipeline *p, struct err *e)
{
	size_t i;
	enum rc rc;

	for (i = 0; i < p->conf->channel_count; i++) {
		if (p->way_count == CHANNELS_MAX)
			return err_set(e, RC_CONFIG, 0, "pipeline.start", "more than %d channels",
				       CHANNELS_MAX);
		rc = way_open(p, &p->ways[p->way_count++], p->conf, &p->conf->channels[i], e);
		if (rc != RC_OK)
			return rc;
	}
	pipeline_again_in(p, 0);
	return RC_OK;
}

void
pipeline_free(struct pipeline *p)
{
	struct settle_item *it;
	struct report_wait *rw;
	struct received_wait *mo;
	struct message *m;
	size_t i;

	if (p == NULL)
		return;
	if (p->poll != NULL) {
		pipeline_stop(p);
		event_free(p->poll);
	}
	while ((it = p->settle_head) != NULL) {
		p->settle_head = it->next;
		settle_item_free(it);
	}
	while ((rw = p->report_head) != NULL) {
		p->report_head = rw->next;
		free(rw);
	}
	while ((mo = p->received_head) != NULL) {
		p->received_head = mo->next;
		free(mo);
	}
	for (i = 0; i < TABLE_SIZE; i++)
		while ((m = p->table[i]) != NULL) {
			p->table[i] = m->hash_next;
			msg_move(m, m->where, AT_NONE);
			batch_let_go(m);
		}
	for (i = 0; i < p->way_count; i++)
		conf_unref(p->ways[i].next_conf);
	free(p->claim.claim.out);
	free(p->settle.items);
	free(p->settle.changes);
	free(p->settle.why);
	free(p->report.waits);
	free(p->report.items);
	conf_unref(p->conf);
	free(p);
}

bool
pipeline_is_behind(const struct pipeline *p)
{
	return p->settle_count > 2 * (size_t)p->conf->limits.settle_batch;
}

bool
pipeline_takes_no_more(const struct pipeline *p)
{
	return p->is_frozen || p->is_draining || p->is_stopped;
}

void
pipeline_drain(struct pipeline *p)
{
	size_t i;

	if (p->is_draining)
		return;
	p->is_draining = true;
	for (i = 0; i < p->way_count; i++) {
		way_return_ready(&p->ways[i]);
		if (p->ways[i].ch != NULL)
			p->ways[i].driver->drain(p->ways[i].ch);
	}
	pipeline_pump(p);
}

void
pipeline_stop(struct pipeline *p)
{
	size_t i;

	p->is_stopped = true;
	event_del(p->poll);
	for (i = 0; i < p->way_count; i++)
		way_close(&p->ways[i]);
}

bool
pipeline_is_empty(const struct pipeline *p)
{
	size_t i;

	for (i = 0; i < p->way_count; i++)
		if (p->ways[i].queries > 0 ||
		    (p->ways[i].ch != NULL && p->ways[i].driver->in_flight(p->ways[i].ch) > 0))
			return false;
	return p->in_memory == 0 && p->settle_count == 0 && !p->settle.busy &&
	       p->report_count == 0 && !p->report.busy && p->received_count == 0 &&
	       !p->claim_busy && p->resends == 0 && p->syncs == 0;
}

enum rc
pipeline_pause(struct pipeline *p, const char *channel, bool is_paused, struct err *e)
{
	struct way *w;

	if (channel == NULL) {
		p->is_paused = is_paused;
		log_event(LOG_LEVEL_WARN, is_paused ? "operator.pause" : "operator.resume",
			  "channel=all");
	} else {
		w = way_find(p, channel);
		if (w == NULL)
			return err_set(e, RC_CONFIG, 0, "pipeline.pause",
				       "there is no channel \"%s\"; see mtrelayctl status",
				       channel);
		w->is_paused = is_paused;
		log_event(LOG_LEVEL_WARN, is_paused ? "operator.pause" : "operator.resume",
			  "channel=%s", channel);
	}
	pipeline_pump(p);
	return RC_OK;
}

void
pipeline_freeze(struct pipeline *p, bool is_frozen)
{
	struct message *m;
	size_t i;

	if (p->is_frozen == is_frozen)
		return;
	p->is_frozen = is_frozen;
	for (i = 0; is_frozen && i < p->way_count; i++)
		way_return_ready(&p->ways[i]);
	/* What waits inside of a channel must not leave after the freeze either: its claim may be
	 * one of the commits that were lost. */
	for (i = 0; is_frozen && i < TABLE_SIZE; i++)
		for (m = p->table[i]; m != NULL; m = m->hash_next)
			if (!m->touched)
				m->deadline_boot_ms = 0;
	if (!is_frozen)
		p->claim_not_before_ms = 0;
	pipeline_pump(p);
}

void
pipeline_set_claim_seq(struct pipeline *p, int64_t seq)
{
	p->claim_seq = seq;
	p->claim_not_before_ms = 0;
}

void
pipeline_counted(struct pipeline *p, int64_t claim_seq)
{
	struct err e;

	p->mismatch_logged = false;
	/* A heartbeat that was counted meanwhile may have told more. */
	if (p->claim_seq < claim_seq)
		p->claim_seq = claim_seq;
	if (journal_seen(p->env.journal, p->claim_seq, p->env.identity, &e) == RC_BUG)
		p->env.fatal(p->env.arg, 75, e.text);
}

/* The heartbeat tells which it is and decides. */
void
pipeline_miscounted(struct pipeline *p)
{
	if (!p->mismatch_logged)
		log_event(LOG_LEVEL_WARN, "claim.mismatch", "expected=%" PRId64, p->claim_seq);
	p->mismatch_logged = true;
	p->claim_not_before_ms = clock_mono_ms() + p->conf->times.heartbeat_ms;
}

void
pipeline_set_beat_seq(struct pipeline *p, int64_t seq)
{
	p->beat_seq = seq;
	p->wait_for_beat = false;
}

int64_t
pipeline_claim_seq(const struct pipeline *p)
{
	return p->claim_seq;
}

static bool
way_changes(const struct way *w, const struct conf_channel *cf)
{
	const struct conf_channel *has = w->reopen ? w->next_cf : w->cf;

	return has == NULL || !conf_channel_equal(has, cf);
}

enum rc
pipeline_reload(struct pipeline *p, struct conf *conf, struct err *e)
{
	const struct conf_channel *cf;
	struct way *w;
	size_t i;
	enum rc rc = RC_OK;

	if (p->is_draining)
		return err_set(e, RC_AGAIN, 0, "pipeline.reload",
			       "the agent is ending; the old configuration stays");
	/* First all that can fail. Channels come and go with a restart only (conf_reload_check). */
	for (i = 0; i < p->way_count && rc == RC_OK; i++) {
		w = &p->ways[i];
		cf = conf_channel_find(conf, w->name);
		if (cf == NULL)
			return err_set(e, RC_CONFIG, 0, "pipeline.reload",
				       "channel %s is gone: that needs a restart", w->name);
		if (way_changes(w, cf))
			rc = way_try(p, cf, e);
	}
	if (rc != RC_OK)
		return rc;
	for (i = 0; i < p->way_count; i++) {
		w = &p->ways[i];
		cf = conf_channel_find(conf, w->name);
		if (way_changes(w, cf))
			way_reopen(w, conf, cf);
	}
	conf_unref(p->conf);
	p->conf = conf_ref(conf);
	claim_queues_of_routes(p);
	pipeline_again_in(p, 0);
	return RC_OK;
}

static const char *
way_word(const struct pipeline *p, const struct way *w)
{
	if (w->is_paused || p->is_paused)
		return "PAUSED";
	return w->ch == NULL ? "CLOSED" : channel_state_name(w->state);
}

void
pipeline_channel_text(const struct pipeline *p, char *buf, size_t size)
{
	size_t i, n = 0;

	buf[0] = '\0';
	for (i = 0; i < p->way_count && n < size; i++)
		n += (size_t)snprintf(buf + n, size - n, "%s%s=%s", i == 0 ? "" : " ",
				      p->ways[i].name, way_word(p, &p->ways[i]));
}

/* The words "key=value" of a driver, which may repeat what a provider said, as an object; whole
 * numbers become numbers. */
static json_t *
fields_of(const char *facts)
{
	json_t *fields = json_object();
	char key[64], value[256];
	int64_t number;
	size_t n, equals;

	for (const char *p = facts + strspn(facts, " "); *p != '\0'; p += n + strspn(p + n, " ")) {
		n = strcspn(p, " ");
		equals = strcspn(p, "=");
		if (equals >= n)
			continue;
		(void)text_copy_n(key, sizeof key, p, equals);
		(void)text_copy_n(value, sizeof value, p + equals + 1, n - equals - 1);
		json_object_set_new(fields, key,
				    text_i64(value, INT64_MIN, INT64_MAX, &number)
					    ? json_integer(number)
					    : json_string(value));
	}
	return fields;
}

json_t *
pipeline_status(const struct pipeline *p)
{
	json_t *root = json_object(), *list = json_array(), *one;
	char facts[1024];
	size_t i;

	for (i = 0; i < p->way_count; i++) {
		const struct way *w = &p->ways[i];

		facts[0] = '\0';
		if (w->ch != NULL)
			w->driver->describe(w->ch, facts, sizeof facts);
		/* One byte that is no text would cost the whole answer. */
		for (char *c = facts; *c != '\0'; c++)
			if (*c < ' ' || *c > '~')
				*c = '?';
		one = json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:s, s:o}", "name", w->name,
				"driver", w->driver->name, "state", way_word(p, w), "room",
				(json_int_t)(w->ch != NULL ? w->driver->room(w->ch) : 0), "ready",
				(json_int_t)w->ready, "sent", (json_int_t)w->sent, "facts", facts,
				"fields", fields_of(facts));
		json_array_append_new(list, one);
	}
	json_object_set_new(root, "channels", list);
	json_object_set_new(root, "in_memory", json_integer((json_int_t)p->in_memory));
	json_object_set_new(root, "in_memory_most", json_integer(p->conf->limits.in_flight));
	json_object_set_new(root, "settle_waiting", json_integer((json_int_t)p->settle_count));
	json_object_set_new(root, "reports_waiting", json_integer((json_int_t)p->report_count));
	json_object_set_new(root, "received_waiting", json_integer((json_int_t)p->received_count));
	json_object_set_new(root, "claimed", json_integer(p->claimed));
	json_object_set_new(root, "settled", json_integer(p->settled));
	json_object_set_new(root, "is_draining", json_boolean(p->is_draining));
	json_object_set_new(root, "is_frozen", json_boolean(p->is_frozen));
	json_object_set_new(root, "is_paused", json_boolean(p->is_paused));
	return root;
}
