/* pipeline_unknown.c - what became of messages whose outcome is unknown: asked for, sent again,
 * held or closed, by the channel's ability and the route's policy.
 *
 * DIAGNOSTICS (events): unknown.held, resend.failed. */
#include "config.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/blackbox.h"
#include "agent/clock.h"
#include "agent/log.h"
#include "agent/pipeline_int.h"
#include "agent/stats.h"
#include "agent/text.h"

static void
row_change(struct pipeline *p, const struct store_row *r, enum change_kind kind, int64_t delay_ms)
{
	struct change c;

	memset(&c, 0, sizeof c);
	c.kind = kind;
	c.msg_id = r->msg_id;
	c.fence = r->fence;
	c.leg = r->leg;
	c.try_no = r->try_no;
	c.client_key = blackbox_shuns_in(r->msg_id, 1u << BOX_SETTLE) ? "" : r->client_key;
	c.new_type = MSG_TYPE_NONE;
	c.delay_ms = delay_ms;
	text_copy(c.channel, sizeof c.channel, r->channel);
	if (kind == CHANGE_HOLD) {
		c.hold_code = blackbox_shuns(r->msg_id, 0) ? "9003" : "8002";
		stat_inc(STAT_rows_held);
		log_event(LOG_LEVEL_WARN, "unknown.held",
			  "id=%" PRId64 " channel=%s text=\"its outcome cannot be found out; see "
			  "mtrelayctl trace\"",
			  r->msg_id, r->channel);
	}
	if (kind == CHANGE_RESULT) {
		c.class = RESULT_UNKNOWN;
		text_copy(c.code, sizeof c.code, "8002");
	}
	pipeline_change(p, &c);
}

/* The growing distance between looks at one row. */
static int64_t
next_look_ms(const struct pipeline *p, const struct store_row *r)
{
	int64_t wait = r->since_first_ms / 2;

	if (wait < p->conf->times.unknown_look_ms)
		wait = p->conf->times.unknown_look_ms;
	if (wait > p->conf->times.quiet_time_ms)
		wait = p->conf->times.quiet_time_ms;
	return wait;
}

static enum rc
resend_run(struct store *st, struct db_job *j, struct err *e)
{
	struct resend_job *rj = (struct resend_job *)j;

	return store_resend(st, rj->r, rj->n, &rj->count, rj->batch, rj->out, &rj->got, e);
}

static bool
is_among(int64_t msg_id, struct message *const *m, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (m[i]->msg_id == msg_id)
			return true;
	return false;
}

static void
resend_done(struct db_job *j)
{
	struct resend_job *rj = (struct resend_job *)j;
	struct pipeline *p = rj->p;
	struct validate_rules rules;
	struct verdict v;
	struct message *m;
	size_t i;

	p->resends -= rj->n;
	if (j->rc == RC_UNSURE || j->rc == RC_LOST) {
		p->claim_unsure = true; /* rows may be ours in SENDING: found as orphans */
		p->wait_for_beat = true;
	}
	if (j->rc == RC_OK && rj->count.mismatch)
		pipeline_miscounted(p);
	if (j->rc == RC_OK && rj->got > 0)
		pipeline_counted(p, rj->count.claim_seq);
	if (j->rc != RC_OK) {
		rj->got = 0;
		if (j->rc != RC_AGAIN)
			log_err(LOG_LEVEL_WARN, "resend.failed", &j->err, "rows=%zu", rj->n);
	}
	way_rules(p, &rules, NULL);
	for (i = 0; i < rj->got; i++) {
		m = rj->out[i];
		msg_move(m, AT_NONE, AT_PIPELINE);
		m->deadline_boot_ms =
			pipeline_deadline(m, rj->claimed_boot_ms, p->conf->times.write_deadline_ms);
		pipeline_table_add(p, m);
		stat_inc(STAT_resends);
		/* The rules held when it was first sent; they are run again only for the wire
		 * forms. A re-send stays on its channel. */
		if (rj->way->ch != NULL && m->type < MSG_TYPE_COUNT)
			way_rules_of(rj->way, m->type, &rules);
		validate_message(m, &rules, &v);
		if (v.kind != VERDICT_SEND || pipeline_takes_no_more(p) ||
		    !way_is_open(p, rj->way)) {
			settle_give_back(p, m, AT_PIPELINE);
		} else {
			validate_apply(&v, m);
			way_enqueue(rj->way, m);
		}
	}
	/* The others were put off for the time of the question; whoever is still UNKNOWN is looked
	 * at again. */
	for (i = 0; i < rj->n; i++)
		if (!is_among(rj->rows[i].msg_id, rj->out, rj->got))
			row_change(p, &rj->rows[i], CHANGE_LOOK, next_look_ms(p, &rj->rows[i]));
	if (rj->got == 0)
		batch_free(rj->batch);
	free(rj);
	pipeline_pump(p);
}

/* Hands over what resend() has collected; rj may be NULL. */
static void
resend_submit(struct pipeline *p, struct resend_job *rj)
{
	if (rj == NULL)
		return;
	rj->claimed_boot_ms = clock_boot_ms();
	rj->count = (struct store_count){ .claim_seq = p->claim_seq, .beat_seq = p->beat_seq };
	rj->db.run = resend_run;
	rj->db.done = resend_done;
	rj->db.needs_open = true; /* else it could be the first to meet a database that went back */
	p->resends += rj->n;
	if (session_submit(p->env.claim, &rj->db, false) != RC_OK) {
		rj->db.rc = RC_AGAIN;
		resend_done(&rj->db);
	}
}

static struct resend_job *
resend_job_new(struct pipeline *p, struct way *w)
{
	/* Four long texts a row at most: the batch must take them all, or none of them would ever
	 * go. */
	size_t most = batch_cap(p->conf) / (4 * (size_t)p->conf->limits.body_bytes + 8192);
	struct resend_job *rj;

	if (most > RESEND_ROWS)
		most = RESEND_ROWS;
	if (most == 0)
		most = 1;
	rj = calloc(1, sizeof *rj + most * (sizeof *rj->rows + sizeof *rj->r + sizeof *rj->out));
	if (rj == NULL || (rj->batch = batch_new(batch_cap(p->conf))) == NULL)
		abort();
	rj->p = p;
	rj->way = w;
	rj->max = most;
	rj->rows = (struct store_row *)(rj + 1);
	rj->r = (struct store_resend *)(rj->rows + most);
	rj->out = (struct message **)(rj->r + most);
	return rj;
}

/* Collects the row into *rj, which is handed over when it is full and by resend_submit(). */
static void
resend(struct pipeline *p, struct way *w, const struct store_row *r, bool new_generation,
       struct resend_job **rj)
{
	size_t waiting = *rj != NULL ? (*rj)->n : 0;

	if (p->is_draining || p->is_frozen || p->wait_for_beat ||
	    way_room(p, w) <= p->resends + waiting ||
	    p->in_memory + p->resends + waiting >= (size_t)p->conf->limits.in_flight) {
		row_change(p, r, CHANGE_LOOK, next_look_ms(p, r));
		return;
	}
	if (*rj == NULL)
		*rj = resend_job_new(p, w);
	(*rj)->rows[(*rj)->n] = *r;
	(*rj)->r[(*rj)->n++] = (struct store_resend){ .msg_id = r->msg_id,
						      .fence = r->fence,
						      .new_generation = new_generation };
	if ((*rj)->n == (*rj)->max) {
		resend_submit(p, *rj);
		*rj = NULL;
	}
}

void
unknown_on_resolved(void *owner, struct query *q, size_t n)
{
	struct way *w = owner;
	struct pipeline *p = w->p;
	struct change c;
	struct resend_job *rj = NULL;
	struct store_row row;
	size_t i;

	w->queries -= n;
	for (i = 0; i < n; i++) {
		struct store_row *r = &((struct store_row *)(q + n))[i];

		row = *r;
		/* Only a report was missing: anything but an outcome leaves the row to its close
		 * time. */
		if (row.status == ROW_ACCEPTED &&
		    (q[i].kind != RESOLVE_ACCEPTED || q[i].report.class == REPORT_PENDING))
			continue;
		switch (q[i].kind) {
		case RESOLVE_ACCEPTED:
			stat_inc(STAT_unknown_resolved);
			if (q[i].report.class == REPORT_PENDING) {
				memset(&c, 0, sizeof c);
				c.kind = CHANGE_ACCEPT;
				c.msg_id = row.msg_id;
				c.fence = row.fence;
				c.leg = row.leg;
				c.try_no = row.try_no;
				c.client_key = row.client_key;
				c.new_type = MSG_TYPE_NONE;
				c.parts = q[i].outcome.parts;
				text_copy(c.channel, sizeof c.channel, w->name);
				text_copy(c.provider_id, sizeof c.provider_id,
					  q[i].outcome.provider_id);
				text_copy(c.provider_code, sizeof c.provider_code,
					  q[i].outcome.provider_code);
				pipeline_change(p, &c);
			} else {
				/* Already final: the same evidence as a report, and taken the same
				 * way. */
				text_copy(q[i].report.channel, sizeof q[i].report.channel, w->name);
				pipeline_report(p, &q[i].report, 0);
			}
			break;
		case RESOLVE_NOT_FOUND:
			if (row.since_try_ms < p->conf->times.quiet_time_ms)
				row_change(p, &row, CHANGE_LOOK, next_look_ms(p, &row));
			else if (row.resends >= RESENDS_MAX || row.older_open)
				/* That this key is not there says nothing about an older one. */
				row_change(p, &row, CHANGE_HOLD, 0);
			else
				resend(p, w, &row, false, &rj);
			break;
		case RESOLVE_FAILED:
			row_change(p, &row, CHANGE_LOOK, next_look_ms(p, &row));
			break;
		}
	}
	resend_submit(p, rj);
	free(q);
}

static void
ask(struct pipeline *p, struct way *w, const struct store_row *rows, size_t n)
{
	struct query *q =
		calloc(1, n * (sizeof *q + sizeof *rows)); /* the rows ride behind the questions */
	struct err e;
	size_t i;

	if (q == NULL)
		abort();
	for (i = 0; i < n; i++) {
		q[i].msg_id = rows[i].msg_id;
		q[i].fence = rows[i].fence;
		memcpy(q[i].client_key, rows[i].client_key, sizeof q[i].client_key);
	}
	memcpy(q + n, rows, n * sizeof *rows);
	w->queries += n;
	if (w->driver->resolve(w->ch, q, n, &e) == RC_OK)
		return;
	w->queries -= n;
	for (i = 0; i < n; i++)
		if (rows[i].status == ROW_UNKNOWN)
			row_change(p, &rows[i], CHANGE_LOOK, next_look_ms(p, &rows[i]));
	free(q);
}

static bool
may_ask(const struct way *w)
{
	return w->ch != NULL && w->driver->caps(w->ch)->query_by_key && w->queries == 0;
}

bool
pipeline_is_asking(const struct pipeline *p)
{
	size_t i;

	for (i = 0; i < p->way_count; i++)
		if (p->ways[i].queries > 0)
			return true;
	return false;
}

bool
pipeline_may_ask(const struct pipeline *p)
{
	size_t i;

	for (i = 0; i < p->way_count; i++)
		if (may_ask(&p->ways[i]))
			return true;
	return false;
}

void
pipeline_ask_silent(struct pipeline *p, const struct store_row *rows, size_t n)
{
	struct store_row *list = calloc(n + 1, sizeof *list);
	size_t i, k, count;

	if (list == NULL)
		abort();
	for (k = 0; k < p->way_count; k++) {
		count = 0;
		for (i = 0; i < n; i++)
			if (strcmp(rows[i].channel, p->ways[k].name) == 0 &&
			    !blackbox_shuns(rows[i].msg_id, 0))
				list[count++] = rows[i];
		if (count > 0 && p->ways[k].ch != NULL &&
		    p->ways[k].driver->caps(p->ways[k].ch)->query_by_key)
			ask(p, &p->ways[k], list, count);
	}
	free(list);
}

/* A row that was handed over and still says AUTO (another agent's, by its lease): SMS or LMS, the
 * policy of the first that has a route counts. */
static const struct conf_route *
route_of(const struct pipeline *p, enum msg_type type)
{
	const struct conf_route *route;

	if (type != MSG_TYPE_AUTO)
		return conf_route_find(p->conf, type);
	route = conf_route_find(p->conf, MSG_TYPE_SMS);
	return route != NULL ? route : conf_route_find(p->conf, MSG_TYPE_LMS);
}

/* The channel that an attempt went out by. A row that ended its lease in SENDING does not tell:
 * then it is known only where the route has one channel, since "not found" at another one proves
 * nothing. */
static struct way *
way_of_row(struct pipeline *p, const struct store_row *r, const struct conf_route *route)
{
	if (r->channel[0] != '\0')
		return way_find(p, r->channel);
	return route != NULL && route->channels_count == 1 ? way_find(p, route->channels[0]) : NULL;
}

void
pipeline_resolve(struct pipeline *p, const struct store_row *rows, size_t n)
{
	const struct conf_route *route;
	const struct channel_caps *caps;
	struct resend_job *rj;
	struct store_row *list;
	struct way *w;
	size_t i, k, count;

	list = calloc(n + 1, sizeof *list);
	if (list == NULL)
		abort();
	for (k = 0; k <= p->way_count; k++) {
		w = k < p->way_count ? &p->ways[k] : NULL;
		count = 0;
		rj = NULL;
		for (i = 0; i < n; i++) {
			route = route_of(p, rows[i].type);
			if (way_of_row(p, &rows[i], route) != w || pipeline_has(p, rows[i].msg_id))
				continue;
			/* Neither sent again nor asked for: either would end the process once more.
			 */
			if (w == NULL || blackbox_shuns(rows[i].msg_id, 0)) {
				row_change(p, &rows[i], CHANGE_HOLD, 0);
				continue;
			}
			if (w->ch == NULL) {
				row_change(p, &rows[i], CHANGE_LOOK, next_look_ms(p, &rows[i]));
				continue;
			}
			caps = w->driver->caps(w->ch);
			switch (route != NULL ? route->on_unknown : CONF_UNKNOWN_HOLD) {
			case CONF_UNKNOWN_CLOSE:
				row_change(p, &rows[i], CHANGE_RESULT, 0);
				break;
			case CONF_UNKNOWN_HOLD:
				row_change(p, &rows[i], CHANGE_HOLD, 0);
				break;
			case CONF_UNKNOWN_RESEND:
				if (rows[i].resends >= RESENDS_MAX)
					row_change(p, &rows[i], CHANGE_HOLD, 0);
				else
					resend(p, w, &rows[i],
					       rows[i].since_first_ms >= caps->dedup_window_ms,
					       &rj);
				break;
			case CONF_UNKNOWN_AUTO:
				/* A tenth of the window is kept as a margin for clocks that are not
				 * ours. A database's clock that went back makes the age negative:
				 * then nobody knows it, and a provider without a window must never
				 * look as if it had one. */
				if (!rows[i].older_open && rows[i].since_first_ms >= 0 &&
				    rows[i].since_first_ms <
					    caps->dedup_window_ms - caps->dedup_window_ms / 10 &&
				    rows[i].resends < RESENDS_MAX)
					resend(p, w, &rows[i], false, &rj);
				else if (caps->query_by_key)
					list[count++] = rows[i];
				else
					row_change(p, &rows[i], CHANGE_HOLD, 0);
				break;
			}
		}
		resend_submit(p, rj);
		if (count > 0)
			ask(p, w, list, count);
	}
	free(list);
	pipeline_pump(p);
}
