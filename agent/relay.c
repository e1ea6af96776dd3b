/* relay.c - see relay.h.
 *
 * Order of a start: journal and lock, database, registration, recovery, lanes, channels, control,
 * ready. The end is the reverse. DIAGNOSTICS (events): relay.start, relay.ready, relay.recovered,
 * relay.stop, relay.waiting, relay.taken_over, relay.frozen, row.crashed, report.dropped,
 * relay.unfrozen, relay.stuck, relay.reload, care.failed, heartbeat.failed, lease.lost. */
#include "config.h"
#include <errno.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>
#include "agent/blackbox.h"
#include "agent/clock.h"
#include "agent/control.h"
#include "agent/journal.h"
#include "agent/key.h"
#include "agent/log.h"
#include "agent/notify.h"
#include "agent/pipeline.h"
#include "agent/recover.h"
#include "agent/relay.h"
#include "agent/schema.h"
#include "agent/session.h"
#include "agent/stats.h"
#include "agent/store_setup.h"
#include "agent/supervise.h"
#include "agent/text.h"

#define TICK_MS 500
#define CARE_STEP 500
#define CARE_ROUNDS 40
#define WALK_STEP 5000
#define UNKNOWN_ROWS 200
#define SILENT_LEAD_MS INT64_C(3600000)
#define COUNT_EVERY_MS 60000
#define CLOCK_JUMP_MS 5000
#define COMPARED_MS 1000 /* so long a heartbeat speaks for the database's clock */
#define CONNECT_WAIT_MS 1000
#define RECOVER_WAIT_MS 200
#define RECOVER_TRIES 25
#define STOP_WAIT_MS 2000

struct beat_job {
	struct db_job db;
	struct relay *r;
	struct store_beat beat;
	char channels[512];
	char last_error[256];
	int64_t expected_seq;
	int64_t before_ms, after_ms; /* boot-time clock around the call, by the lane */
	bool busy;
};

struct care_job {
	struct db_job db;
	struct relay *r;
	struct store_care care;
	struct store_row unknown[UNKNOWN_ROWS], overdue[UNKNOWN_ROWS], silent[UNKNOWN_ROWS];
	bool is_behind; /* more changes wait than the database takes: no new ones from here */
	size_t unknown_count, overdue_count, silent_count;
	int64_t silent_lead_ms; /* 0: nobody could be asked */
	bool take_unknown, is_frozen;
	bool busy;
};

struct walk_job {
	struct db_job db;
	struct relay *r;
	struct store_walk walk;
	struct store_queue queues[MSG_TYPE_COUNT * PRIORITY_COUNT];
	bool busy;
};

struct marks {
	struct journal_mark *v;
	size_t n, max;
	bool failed;
};

struct freeze_job {
	struct db_job db;
	struct relay *r;
	char reason[160]; /* changed only while not busy */
	struct marks marks;
	int64_t delay_ms;
	int64_t touched;
	bool lifted;
	bool wanted, busy;
};

struct relay {
	const char *conf_path;
	struct conf *conf;
	struct store_setup setup; /* store_config and the secrets behind it */
	struct event_base *base;
	struct journal *journal;
	struct session *claim, *settle, *care;
	struct lane *sync;
	struct event *sync_readable;
	struct pipeline *pipeline;
	struct control *control;
	struct event *signals[6];
	struct event *tick, *beat_timer, *care_timer, *walk_timer;
	struct beat_job beat;
	struct care_job care_job;
	struct walk_job walk;
	struct freeze_job freeze;
	struct store_registration registration;
	char identity[128];
	char dialect[16];
	char started_at[32];
	int64_t started_ms;
	int64_t last_count_ms;
	int64_t last_compared_ms; /* clocks, by a heartbeat; monotonic */
	bool care_is_due, walk_is_due;
	int64_t last_beat_seq, last_db_now_ms, last_before_ms, last_after_ms;
	int64_t waiting, unknown, held, oldest_due_ms;
	bool is_frozen, is_draining, is_quitting, database_ok;
	sigset_t waiting_signals; /* blocked until the loop handles them */
	int64_t drain_until_ms;
	int64_t last_watchdog_ms;
	struct blackbox_crash crashes[BLACKBOX_SLOTS]; /* of the process before */
	size_t crash_count;
	int status;
};

static void
set_timer(struct event *ev, int64_t ms)
{
	struct timeval tv = { (time_t)(ms / 1000), (suseconds_t)(ms % 1000) * 1000 };

	event_add(ev, &tv);
}

static void
leave(struct relay *r, int status)
{
	r->status = status;
	event_base_loopbreak(r->base);
}

static void
on_fatal(void *arg, int status, const char *why)
{
	log_event(LOG_LEVEL_ERROR, "relay.stop",
		  "status=%d text=\"%s; the supervisor starts a new process\"", status, why);
	/* Nothing may run on after a mark that could not be written: not even the rest of this turn
	 * of the loop. */
	(void)arg;
	_exit(status);
}

/* ---- freeze: the database may have lost acknowledged commits ---- */

static void
collect_mark(void *arg, const struct journal_mark *m)
{
	struct marks *all = arg;
	struct journal_mark *more;

	if (all->n == all->max) {
		more = realloc(all->v, (all->max * 2 + 1024) * sizeof *more);
		if (more == NULL) {
			all->failed = true;
			return;
		}
		all->max = all->max * 2 + 1024;
		all->v = more;
	}
	all->v[all->n++] = *m;
}

/* Every SUBMIT mark that is kept; the caller frees v. */
static enum rc
collect_marks(const struct journal *j, struct marks *all, struct err *e)
{
	bool is_whole;
	enum rc rc;

	memset(all, 0, sizeof *all);
	rc = journal_scan(j, collect_mark, all, &is_whole, e);
	if (rc == RC_OK && !is_whole)
		log_event(LOG_LEVEL_ERROR, "journal.broken",
			  "text=\"an older segment cannot be read; what it knew better than the "
			  "database is lost\"");
	if (rc == RC_OK && all->failed)
		rc = err_set(e, RC_NOMEM, 0, "relay.freeze",
			     "out of memory for the journal's marks");
	return rc;
}

/* Sets the flag that all agents obey (reason NULL: it is set already), tells what our journal knows
 * better, and says that we have. The freeze ends with the last listed agent that did. */
static enum rc
freeze_database(struct store *st, const char *reason, const struct marks *all, int64_t delay_ms,
		int64_t *touched, bool *lifted, struct err *e)
{
	enum rc rc = RC_OK;

	*lifted = false;
	if (reason != NULL)
		rc = store_freeze(st, reason, e);
	if (rc == RC_OK)
		rc = recover_lost_commits(st, all->v, all->n, delay_ms, touched, e);
	if (rc == RC_OK)
		rc = store_replayed(st, lifted, e);
	return rc;
}

static enum rc
freeze_run(struct store *st, struct db_job *j, struct err *e)
{
	struct freeze_job *f = (struct freeze_job *)j;

	return freeze_database(st, f->reason[0] != '\0' ? f->reason : NULL, &f->marks, f->delay_ms,
			       &f->touched, &f->lifted, e);
}

static void
freeze_done(struct db_job *j)
{
	struct freeze_job *f = (struct freeze_job *)j;

	f->busy = false;
	free(f->marks.v);
	f->marks.v = NULL;
	if (j->rc != RC_OK) {
		log_err(LOG_LEVEL_ERROR, "relay.frozen", &j->err,
			"text=\"the journal is not replayed yet; tried again\"");
		return; /* the next heartbeat tries again */
	}
	f->wanted = false;
	log_event(LOG_LEVEL_ERROR, "relay.frozen", "reason=\"%s\" touched=%" PRId64 " text=\"%s\"",
		  f->reason[0] != '\0' ? f->reason : "set by another agent", f->touched,
		  f->lifted
			  ? "every listed agent has replayed its journal; claims go on"
			  : "no new claims before every listed agent has replayed its journal, or: "
			    "mtrelayctl unfreeze");
}

/* Nothing is claimed from here on. reason "": another agent has set the flag, we only replay. */
static void
freeze(struct relay *r, const char *reason)
{
	struct freeze_job *f = &r->freeze;
	struct err e;

	r->is_frozen = true;
	pipeline_freeze(r->pipeline, true);
	f->wanted = true;
	if (f->busy)
		return;
	if (reason[0] != '\0')
		snprintf(f->reason, sizeof f->reason, "%s: %s", r->conf->agent.id, reason);
	else
		f->reason[0] = '\0';
	f->delay_ms = r->conf->times.unknown_look_ms;
	f->db.run = freeze_run;
	f->db.done = freeze_done;
	f->busy = true;
	if (collect_marks(r->journal, &f->marks, &e) != RC_OK) {
		f->db.rc = e.rc;
		f->db.err = e;
		freeze_done(&f->db);
	} else if (session_submit(r->care, &f->db, true) != RC_OK) {
		f->db.rc = RC_AGAIN;
		freeze_done(&f->db);
	}
}

/* The number by which the journal knows a database again. */
static uint64_t
identity_number(const char *identity)
{
	size_t n = strlen(identity);

	return (uint64_t)text_crc32c(0, identity, n) << 32 | text_crc32c(0x9e3779b9, identity, n);
}

/* ---- heartbeat ---- */

static enum rc
beat_run(struct store *st, struct db_job *j, struct err *e)
{
	struct beat_job *b = (struct beat_job *)j;
	enum rc rc;

	/* The database read its clock somewhere between these two: a slow call must not look like a
	 * jump. */
	b->before_ms = clock_boot_ms();
	rc = store_heartbeat(st, &b->beat, e);
	b->after_ms = clock_boot_ms();
	return rc;
}

/* What the database said about itself since the last beat. */
static void
judge_database(struct relay *r, const struct beat_job *b)
{
	char text[140];
	int64_t db_gone, host_least, host_most;

	if (r->identity[0] != '\0' && strcmp(r->identity, b->beat.identity) != 0) {
		snprintf(
			text, sizeof text,
			"the database is another one than before (a fail-over or a restored copy)");
		snprintf(r->identity, sizeof r->identity, "%s", b->beat.identity);
		freeze(r, text);
	} else if (b->beat.claim_seq < b->expected_seq || b->beat.beat_seq <= r->last_beat_seq) {
		snprintf(text, sizeof text,
			 "the database has lost acknowledged commits (claim counter %" PRId64
			 ", was %" PRId64 "; heartbeats %" PRId64 ", were %" PRId64 ")",
			 b->beat.claim_seq, b->expected_seq, b->beat.beat_seq,
			 r->last_beat_seq + 1);
		pipeline_set_claim_seq(r->pipeline, b->beat.claim_seq);
		freeze(r, text);
	} else if (b->beat.claim_seq > pipeline_claim_seq(r->pipeline)) {
		pipeline_set_claim_seq(r->pipeline, b->beat.claim_seq);
	}
	if (r->last_after_ms != 0 && b->after_ms - r->last_after_ms > r->conf->times.agent_lease_ms)
		log_event(
			LOG_LEVEL_WARN, "lease.lost",
			"agent=%s silent_ms=%" PRId64
			" text=\"no heartbeat for longer than times.agent_lease: nothing could be "
			"claimed, and others may have taken rows over\"",
			r->conf->agent.id, b->after_ms - r->last_after_ms);
	db_gone = b->beat.db_now_ms - r->last_db_now_ms;
	host_least = b->before_ms - r->last_after_ms;
	host_most = b->after_ms - r->last_before_ms;
	if (r->last_db_now_ms != 0 && db_gone < host_least - CLOCK_JUMP_MS) {
		snprintf(text, sizeof text, "the database's clock went back by %" PRId64 " s",
			 (host_least - db_gone) / 1000);
		freeze(r, text);
	} else if (r->last_db_now_ms != 0 && db_gone > host_most + CLOCK_JUMP_MS) {
		snprintf(text, sizeof text, "the database's clock went ahead by %" PRId64 " s",
			 (db_gone - host_most) / 1000);
		freeze(r, text);
	}
	r->last_compared_ms = clock_mono_ms();
	r->last_beat_seq = b->beat.beat_seq;
	pipeline_set_beat_seq(r->pipeline, b->beat.beat_seq);
	r->last_db_now_ms = b->beat.db_now_ms;
	r->last_before_ms = b->before_ms;
	r->last_after_ms = b->after_ms;
}

/* Care and walk that waited for the clocks to be compared. */
static void
start_what_is_due(struct relay *r)
{
	if (r->care_is_due)
		set_timer(r->care_timer, 0);
	if (r->walk_is_due && !r->is_frozen)
		set_timer(r->walk_timer, 0);
	r->care_is_due = false;
	r->walk_is_due = r->walk_is_due && r->is_frozen;
}

static void
beat_done(struct db_job *j)
{
	struct beat_job *b = (struct beat_job *)j;
	struct relay *r = b->r;

	b->busy = false;
	set_timer(r->beat_timer, r->conf->times.heartbeat_ms);
	if (j->rc != RC_OK) {
		if (j->rc != RC_AGAIN)
			log_err(LOG_LEVEL_WARN, "heartbeat.failed", &j->err, "%s", "");
		r->database_ok = false;
		return;
	}
	r->database_ok = true;
	if (!b->beat.is_ours) {
		log_event(LOG_LEVEL_ERROR, "relay.taken_over",
			  "agent=%s text=\"another process has taken this agent id over; this one "
			  "ends at once\"",
			  r->conf->agent.id);
		leave(r, EX_TEMPFAIL);
		return;
	}
	if (b->beat.count) {
		r->waiting = b->beat.waiting;
		r->unknown = b->beat.unknown;
		r->held = b->beat.held;
		r->oldest_due_ms = b->beat.oldest_due_ms;
	}
	judge_database(r, b);
	if (r->freeze.wanted && !r->freeze.busy) {
		char again[160];
		const char *behind = strstr(r->freeze.reason, ": ");

		snprintf(again, sizeof again, "%s", behind != NULL ? behind + 2 : "");
		freeze(r, again);
	} else if (!r->freeze.wanted && b->beat.is_frozen &&
		   (!r->is_frozen || b->beat.owes_replay)) {
		log_event(LOG_LEVEL_WARN, "relay.frozen", "reason=\"set by another agent\"");
		freeze(r, "");
	} else if (!r->freeze.wanted && !b->beat.is_frozen && r->is_frozen) {
		log_event(LOG_LEVEL_WARN, "relay.unfrozen", "agent=%s", r->conf->agent.id);
		r->is_frozen = false;
		pipeline_freeze(r->pipeline, false);
	}
	start_what_is_due(r);
}

static void
on_beat(evutil_socket_t fd, short what, void *arg)
{
	struct relay *r = arg;
	struct beat_job *b = &r->beat;
	int64_t now = clock_mono_ms();

	(void)fd;
	(void)what;
	if (b->busy)
		return;
	memset(&b->beat, 0, sizeof b->beat);
	pipeline_channel_text(r->pipeline, b->channels, sizeof b->channels);
	log_last_error(b->last_error, sizeof b->last_error);
	b->beat.channels = b->channels;
	b->beat.last_error = b->last_error;
	b->beat.count = r->last_count_ms == 0 || now - r->last_count_ms >= COUNT_EVERY_MS;
	if (b->beat.count)
		r->last_count_ms = now;
	b->expected_seq = pipeline_claim_seq(r->pipeline);
	b->r = r;
	b->busy = true;
	b->db.run = beat_run;
	b->db.done = beat_done;
	if (session_submit(r->care, &b->db, true) != RC_OK) {
		b->busy = false;
		set_timer(r->beat_timer, r->conf->times.heartbeat_ms);
	}
}

/* ---- care ---- */

/* What closes or expires by the database's clock comes right behind a heartbeat, which has just
 * compared it with ours; otherwise one is asked for. */
static bool
clock_is_compared(struct relay *r)
{
	if (r->last_compared_ms != 0 && clock_mono_ms() - r->last_compared_ms < COMPARED_MS)
		return true;
	if (!r->beat.busy)
		set_timer(r->beat_timer, 0);
	return false;
}

static bool
care_goes_on(const struct store_care *c)
{
	int64_t full = (int64_t)c->limit;

	return c->leases >= full || c->due >= full || c->closed >= full ||
	       c->kept_reports >= full || c->purged >= full || c->made_new >= full;
}

static enum rc
care_run(struct store *st, struct db_job *j, struct err *e)
{
	struct care_job *c = (struct care_job *)j;
	enum rc rc;
	int round = 0;

	do {
		memset(&c->care, 0, sizeof c->care);
		c->care.limit = CARE_STEP;
		c->care.clock_is_doubted = c->is_frozen;
		rc = store_care(st, &c->care, e);
	} while (rc == RC_OK && care_goes_on(&c->care) && ++round < CARE_ROUNDS);
	if (rc == RC_OK && c->take_unknown)
		rc = store_take_unknown(st, c->unknown, UNKNOWN_ROWS, &c->unknown_count, e);
	if (rc == RC_OK)
		rc = store_list_own(st, 0, true, c->overdue, UNKNOWN_ROWS, &c->overdue_count, e);
	if (rc == RC_OK && c->silent_lead_ms > 0)
		rc = store_take_silent(st, c->silent_lead_ms, c->silent, UNKNOWN_ROWS,
				       &c->silent_count, e);
	return rc;
}

static void
care_done(struct db_job *j)
{
	struct care_job *c = (struct care_job *)j;
	struct relay *r = c->r;
	struct change ch;
	size_t i;

	c->busy = false;
	/* A full page of unknown rows is followed by the next one at once. */
	set_timer(r->care_timer, j->rc == RC_OK && c->unknown_count == UNKNOWN_ROWS
					 ? 100
					 : r->conf->times.care_pass_ms);
	if (j->rc != RC_OK) {
		if (j->rc != RC_AGAIN)
			log_err(LOG_LEVEL_WARN, "care.failed", &j->err, "%s", "");
		return;
	}
	if (r->is_draining)
		return;
	if (c->unknown_count > 0)
		pipeline_resolve(r->pipeline, c->unknown, c->unknown_count);
	if (c->silent_count > 0)
		pipeline_ask_silent(r->pipeline, c->silent, c->silent_count);
	/* Our own rows whose lease is over: those in memory still have an answer to come, of the
	 * others nobody knows more. */
	for (i = 0; i < c->overdue_count; i++) {
		const struct store_row *row = &c->overdue[i];

		if (pipeline_has(r->pipeline, row->msg_id))
			continue;
		memset(&ch, 0, sizeof ch);
		ch.kind = CHANGE_UNKNOWN;
		ch.msg_id = row->msg_id;
		ch.fence = row->fence;
		ch.leg = row->leg;
		ch.try_no = row->try_no;
		ch.client_key = row->client_key;
		ch.new_type = MSG_TYPE_NONE;
		ch.delay_ms = r->conf->times.unknown_look_ms;
		pipeline_change(r->pipeline, &ch);
	}
}

/* How long before its close time a message without a report is asked for. */
static int64_t
silent_lead_ms(const struct relay *r)
{
	int64_t lead = r->conf->report.close_after_ms / 4;

	if (!pipeline_may_ask(r->pipeline))
		return 0;
	return lead < SILENT_LEAD_MS ? lead : SILENT_LEAD_MS;
}

static void
on_care(evutil_socket_t fd, short what, void *arg)
{
	struct relay *r = arg;
	struct care_job *c = &r->care_job;

	(void)fd;
	(void)what;
	if (c->busy || r->is_draining)
		return;
	if (!clock_is_compared(r)) {
		r->care_is_due = true;
		return;
	}
	c->r = r;
	c->busy = true;
	c->db.run = care_run;
	c->db.done = care_done;
	c->unknown_count = c->overdue_count = c->silent_count = 0;
	c->silent_lead_ms = r->is_frozen ? 0 : silent_lead_ms(r);
	c->is_frozen = r->is_frozen;
	c->is_behind = pipeline_is_behind(r->pipeline);
	/* What is being asked for stays taken only so long: no more of it than one pass. */
	c->take_unknown = !pipeline_is_asking(r->pipeline);
	if (session_submit(r->care, &c->db, false) != RC_OK) {
		c->busy = false;
		set_timer(r->care_timer, 1000);
	}
}

static enum rc
walk_run(struct store *st, struct db_job *j, struct err *e)
{
	struct walk_job *w = (struct walk_job *)j;

	return store_walk(st, &w->walk, e);
}

static void
walk_done(struct db_job *j)
{
	struct walk_job *w = (struct walk_job *)j;
	struct relay *r = w->r;

	w->busy = false;
	if (j->rc != RC_OK && j->rc != RC_AGAIN)
		log_err(LOG_LEVEL_WARN, "care.failed", &j->err, "walk=%" PRId64, w->walk.cursor);
	/* Steps are paced, so that the walk over a million rows is a murmur for the database. */
	set_timer(r->walk_timer,
		  j->rc == RC_OK && w->walk.cursor != 0 ? 20 : r->conf->times.walk_ms);
}

static void
on_walk(evutil_socket_t fd, short what, void *arg)
{
	struct relay *r = arg;
	struct walk_job *w = &r->walk;

	(void)fd;
	(void)what;
	if (w->busy || r->is_draining)
		return;
	if (r->is_frozen || !clock_is_compared(r)) {
		r->walk_is_due = true;
		return;
	}
	w->r = r;
	w->walk.step = WALK_STEP;
	w->walk.queues = w->queues;
	w->walk.queue_count = pipeline_queues(r->pipeline, w->queues);
	w->busy = true;
	w->db.run = walk_run;
	w->db.done = walk_done;
	if (session_submit(r->care, &w->db, false) != RC_OK) {
		w->busy = false;
		set_timer(r->walk_timer, 1000);
	}
}

/* ---- tick: stuck lanes, watchdog, end of a drain ---- */

static void
check_stuck(struct relay *r)
{
	struct session *all[] = { r->claim, r->settle, r->care };
	size_t i;

	for (i = 0; i < 3; i++)
		if (all[i] != NULL && session_busy_ms(all[i]) > r->conf->times.stuck_limit_ms) {
			log_event(LOG_LEVEL_ERROR, "relay.stuck",
				  "lane=%s busy_ms=%" PRId64
				  " text=\"a database call does not come back; the process ends "
				  "and is started again\"",
				  session_name(all[i]), session_busy_ms(all[i]));
			/* The thread cannot be ended safely; the process can: the journal has
			 * everything. */
			blackbox_stuck();
			_exit(EX_TEMPFAIL);
		}
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct relay *r = arg;
	int64_t now = clock_mono_ms();

	(void)fd;
	(void)what;
	set_timer(r->tick, r->is_draining ? 20 : TICK_MS);
	supervise_alive();
	check_stuck(r);
	if (notify_watchdog_ms() > 0 && now - r->last_watchdog_ms >= notify_watchdog_ms()) {
		r->last_watchdog_ms = now;
		notify_watchdog();
	}
	if (!r->is_draining)
		return;
	if (pipeline_is_empty(r->pipeline)) {
		leave(r, EX_OK);
	} else if (now >= r->drain_until_ms) {
		log_event(
			LOG_LEVEL_WARN, "relay.stop",
			"text=\"the time to drain is over; what is under way is in the journal\"");
		leave(r, EX_OK);
	}
}

/* ---- signals and what control asks for ---- */

void
relay_drain(struct relay *r)
{
	if (r->is_draining) {
		log_event(LOG_LEVEL_WARN, "relay.stop", "text=\"second request: ending at once\"");
		leave(r, EX_OK);
		return;
	}
	log_event(LOG_LEVEL_INFO, "relay.stop", "text=\"draining\" most_ms=%" PRId64,
		  r->conf->times.drain_ms);
	notify_stopping();
	r->is_draining = true;
	r->drain_until_ms = clock_mono_ms() + r->conf->times.drain_ms;
	pipeline_drain(r->pipeline);
	set_timer(r->tick, 0);
}

bool
relay_reload(struct relay *r, char *text, size_t size)
{
	struct conf_problems problems = { NULL, 0 };
	struct conf *fresh = NULL;
	struct err e;
	char names[256];
	size_t i, n = 0;
	bool done = false;

	text[0] = '\0';
	notify_reloading();
	if (conf_load(r->conf_path, &fresh, &problems) != RC_OK ||
	    conf_check_files(fresh, &problems) != RC_OK) {
		for (i = 0; i < problems.n && n < size; i++) {
			log_event(LOG_LEVEL_ERROR, "relay.reload", "file=%s line=%d text=\"%s\"",
				  problems.v[i].file, problems.v[i].line, problems.v[i].text);
			n += (size_t)snprintf(text + n, size - n, "%s:%d: %s\n", problems.v[i].file,
					      problems.v[i].line, problems.v[i].text);
		}
	} else if (conf_reload_check(r->conf, fresh, names, sizeof names)) {
		snprintf(text, size,
			 "changed options that need a restart: %s; the old configuration stays\n",
			 names);
	} else if (pipeline_reload(r->pipeline, fresh, &e) != RC_OK) {
		snprintf(text, size, "%s\n", e.text);
	} else {
		conf_unref(r->conf);
		r->conf = conf_ref(fresh);
		log_set_level(r->conf->log.level);
		done = true;
	}
	log_event(done ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, "relay.reload", "done=%s text=\"%.*s\"",
		  done ? "yes" : "no", (int)strcspn(text, "\n"), text);
	conf_unref(fresh);
	conf_problems_free(&problems);
	notify_ready();
	return done;
}

enum rc
relay_pause(struct relay *r, const char *channel, bool is_paused, struct err *e)
{
	return pipeline_pause(r->pipeline, channel, is_paused, e);
}

const struct conf *
relay_conf(const struct relay *r)
{
	return r->conf;
}

static void
on_signal(evutil_socket_t number, short what, void *arg)
{
	struct relay *r = arg;
	struct err e;
	char text[1024];

	(void)what;
	switch (number) {
	case SIGTERM:
	case SIGINT:
		relay_drain(r);
		break;
	case SIGHUP:
		relay_reload(r, text, sizeof text);
		break;
	case SIGUSR1:
		if (log_reopen(&e) != RC_OK)
			log_err(LOG_LEVEL_ERROR, "log.reopen", &e, "%s", "");
		break;
	default:
		break;
	}
}

/* ---- status ---- */

static void
add_stat(const struct stat_info *info, int64_t value, void *ctx)
{
	json_object_set_new(ctx, info->name, json_integer(value));
}

json_t *
relay_stats(const struct relay *r)
{
	json_t *root = json_object();

	(void)r;
	stats_each(add_stat, root);
	return root;
}

static json_t *
lane_status(const struct session *s)
{
	return json_pack("{s:s, s:I}", "name", session_name(s), "busy_ms",
			 (json_int_t)session_busy_ms(s));
}

/* The last heartbeat succeeded, and no call takes much longer than the server lets one. */
static bool
database_answers(const struct relay *r)
{
	struct session *all[] = { r->claim, r->settle, r->care };
	bool answers = r->database_ok;

	for (size_t i = 0; i < 3; i++)
		if (all[i] != NULL &&
		    session_busy_ms(all[i]) > 2 * r->conf->database.statement_timeout_ms)
			answers = false;
	return answers;
}

json_t *
relay_status(const struct relay *r)
{
	json_t *root, *lanes = json_array();
	char error[256];

	json_array_append_new(lanes, lane_status(r->claim));
	if (r->settle != r->claim)
		json_array_append_new(lanes, lane_status(r->settle));
	if (r->care != r->settle)
		json_array_append_new(lanes, lane_status(r->care));
	log_last_error(error, sizeof error);
	root = json_pack(
		"{s:s, s:s, s:I, s:s, s:I, s:s, s:b, s:b, s:b, s:I, s:I, s:I, s:I, s:I, s:s, s:o}",
		"agent", r->conf->agent.id, "version", PACKAGE_VERSION, "pid", (json_int_t)getpid(),
		"started_at", r->started_at, "up_s",
		(json_int_t)((clock_mono_ms() - r->started_ms) / 1000), "dialect", r->dialect,
		"database_ok", database_answers(r), "is_frozen", r->is_frozen, "is_draining",
		r->is_draining, "waiting", (json_int_t)r->waiting, "unknown",
		(json_int_t)r->unknown, "held", (json_int_t)r->held, "oldest_due_ms",
		(json_int_t)r->oldest_due_ms, "incarnation",
		(json_int_t)r->registration.incarnation, "last_error", error, "lanes", lanes);
	json_object_set_new(root, "pipeline", pipeline_status(r->pipeline));
	return root;
}

/* ---- start ---- */

/* False: a signal asks for the end. A reload is nothing yet: the configuration has just been read.
 */
static bool
wait_ms(struct relay *r, int64_t ms)
{
	const struct timespec ts = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };
	struct err e;
	int number;

	notify_extend(ms + 15000);
	number = sigtimedwait(&r->waiting_signals, NULL, &ts);
	if (number == SIGTERM || number == SIGINT)
		return false;
	if (number == SIGUSR1 && log_reopen(&e) != RC_OK)
		log_err(LOG_LEVEL_ERROR, "log.reopen", &e, "%s", "");
	return true;
}

/* Is a TERM or INT waiting that nobody has handled yet? */
static bool
asked_to_end(void)
{
	sigset_t pending;

	return sigpending(&pending) == 0 &&
	       (sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1);
}

/* The first session: waits for a server that cannot be reached, gives up on what an operator must
 * mend. */
static enum rc
connect_first(struct relay *r, struct store **out, struct err *e)
{
	int64_t pause = CONNECT_WAIT_MS;
	enum rc rc;

	for (;;) {
		rc = session_open_store(&r->setup.cfg, r->conf->database.accept_weak_durability,
					out, e);
		if (rc != RC_LOST && rc != RC_AGAIN && rc != RC_UNSURE)
			return rc;
		log_err(LOG_LEVEL_WARN, "relay.waiting", e, "for=database");
		notify_status("waiting for the database: %s", e->text);
		if (!wait_ms(r, pause)) {
			r->is_quitting = true;
			return rc;
		}
		if (pause < 15000)
			pause *= 2;
	}
}

static void
keep_first_failure(void *ctx, const struct schema_finding *f)
{
	struct err *e = ctx;

	if (f->level == SCHEMA_FAIL && e->rc == RC_OK)
		(void)err_set(e, RC_CONFIG, 0, "relay.check", "%s: %s", f->thing, f->text);
	else if (f->level == SCHEMA_WARN)
		log_event(LOG_LEVEL_WARN, "db.check", "thing=\"%s\" text=\"%s\"", f->thing,
			  f->text);
}

/* What would break later, in the middle of a message, refuses the start now. */
static enum rc
check_tables(const struct relay *r, const char *dialect, struct err *e)
{
	const struct db_driver *driver = r->setup.cfg.driver;
	struct schema_db db = { .driver = driver,
				.dialect = dialect,
				.prefix = r->conf->database.prefix };
	struct err first = { .rc = RC_OK };
	unsigned fails = 0;
	enum rc rc;

	rc = driver->open(&r->setup.cfg.params, &db.session, e);
	if (rc != RC_OK)
		return rc;
	rc = schema_check(&db, keep_first_failure, &first, &fails, e);
	driver->close(db.session);
	if (rc == RC_OK && fails > 0) {
		*e = first;
		rc = RC_CONFIG;
	}
	return rc;
}

static enum rc
register_agent(struct relay *r, struct store *st, const struct journal_info *info, struct err *e)
{
	struct store_agent a;
	int64_t until =
		clock_mono_ms() + r->conf->times.agent_lease_ms + r->conf->times.heartbeat_ms;
	enum rc rc;

	memset(&a, 0, sizeof a);
	snprintf(a.journal_id, sizeof a.journal_id, "%s", info->id);
	snprintf(a.boot_id, sizeof a.boot_id, "%s", info->boot_id);
	snprintf(a.version, sizeof a.version, "%s", PACKAGE_VERSION);
	if (gethostname(a.host, sizeof a.host - 1) != 0)
		snprintf(a.host, sizeof a.host, "unknown");
	a.pid = (int64_t)getpid();
	for (;;) {
		rc = store_register(st, &a, &r->registration, e);
		/* The holder of another journal may be dead: its lease tells, and only the
		 * database's clock. */
		if (rc != RC_AGAIN || clock_mono_ms() >= until)
			break;
		log_err(LOG_LEVEL_WARN, "relay.waiting", e, "for=lease");
		notify_status("waiting: %s", e->text);
		if (!wait_ms(r, CONNECT_WAIT_MS)) {
			r->is_quitting = true;
			break;
		}
	}
	if (rc == RC_OK)
		r->setup.cfg.incarnation = r->registration.incarnation;
	return rc;
}

static void
on_sync_readable(evutil_socket_t fd, short what, void *arg)
{
	struct relay *r = arg;

	(void)fd;
	(void)what;
	lane_collect(r->sync);
}

static enum rc
start_lanes(struct relay *r, struct err *e)
{
	bool weak = r->conf->database.accept_weak_durability;
	int64_t sessions = r->conf->database.sessions;
	enum rc rc;

	rc = session_start("settle", &r->setup.cfg, weak, false, r->base, &r->settle, e);
	r->claim = r->care = r->settle;
	if (rc == RC_OK && sessions >= 2)
		rc = session_start("claim", &r->setup.cfg, weak, false, r->base, &r->claim, e);
	if (rc == RC_OK && sessions >= 3)
		rc = session_start("care", &r->setup.cfg, weak, false, r->base, &r->care, e);
	else
		r->care = r->settle;
	if (rc == RC_OK)
		rc = lane_start("sync", 64, NULL, NULL, NULL, &r->sync, e);
	if (rc != RC_OK)
		return rc;
	r->sync_readable =
		event_new(r->base, lane_fd(r->sync), EV_READ | EV_PERSIST, on_sync_readable, r);
	if (r->sync_readable == NULL || event_add(r->sync_readable, NULL) != 0)
		return err_set(e, RC_NOMEM, 0, "relay.start", "out of memory");
	return RC_OK;
}

static enum rc
start_timers(struct relay *r, struct err *e)
{
	static const int numbers[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1 };
	size_t i;

	for (i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		r->signals[i] = evsignal_new(r->base, numbers[i], on_signal, r);
		if (r->signals[i] == NULL || event_add(r->signals[i], NULL) != 0)
			return err_set(e, RC_NOMEM, 0, "relay.start", "cannot handle signals");
	}
	r->tick = evtimer_new(r->base, on_tick, r);
	r->beat_timer = evtimer_new(r->base, on_beat, r);
	r->care_timer = evtimer_new(r->base, on_care, r);
	r->walk_timer = evtimer_new(r->base, on_walk, r);
	if (r->tick == NULL || r->beat_timer == NULL || r->care_timer == NULL ||
	    r->walk_timer == NULL)
		return err_set(e, RC_NOMEM, 0, "relay.start", "out of memory");
	sigprocmask(SIG_UNBLOCK, &r->waiting_signals, NULL);
	set_timer(r->tick, TICK_MS);
	set_timer(r->beat_timer, 0);
	set_timer(r->care_timer, 50);
	set_timer(r->walk_timer, r->conf->times.walk_ms / 4);
	return RC_OK;
}

static void
replay_report(void *arg, const struct report *rep, uint64_t number)
{
	struct relay *r = arg;
	struct key_parts k;
	struct err e;

	if (key_decode(rep->client_key, strlen(rep->client_key), &k) &&
	    k.installation == r->setup.cfg.installation &&
	    blackbox_shuns_in(k.msg_id, BOX_EVIDENCE)) {
		log_event(LOG_LEVEL_ERROR, "report.dropped",
			  "id=%" PRId64 " channel=%s code=%s text=\"taking this report ended the "
			  "agent %d times\"",
			  k.msg_id, rep->channel, rep->code, BLACKBOX_LIMIT);
		if (journal_report_settled(r->journal, &number, 1, &e) != RC_OK)
			on_fatal(r, EX_TEMPFAIL, e.text);
		return;
	}
	pipeline_report(r->pipeline, rep, number);
}

/* ---- rows that ended the process before ---- */

static void
crash_text(const struct blackbox_crash *c, char *buf, size_t size)
{
	if (c->signal != 0)
		snprintf(buf, size, "the agent died of signal %d (%s) in step %s of this row",
			 c->signal, strsignal(c->signal), blackbox_step_name(c->step));
	else
		snprintf(buf, size, "the agent did not come back from step %s of this row",
			 blackbox_step_name(c->step));
}

static void
blame_rows(struct relay *r)
{
	for (size_t i = 0; i < r->crash_count; i++) {
		const struct blackbox_crash *c = &r->crashes[i];
		unsigned count = blackbox_blame(c);
		char text[128];

		crash_text(c, text, sizeof text);
		log_event(LOG_LEVEL_ERROR, "row.crashed",
			  "id=%" PRId64 " key=%s step=%s signal=%d count=%u of=%d text=\"%s%s\"",
			  c->msg_id, c->key, blackbox_step_name(c->step), c->signal, count,
			  BLACKBOX_LIMIT, text,
			  count < BLACKBOX_LIMIT ? "" : "; it is not worked on any more");
	}
}

/* For the DBA, and for mtrelayctl explain. Not worth failing a start. Only now it is known which
 * keys are of this database, and of when the rows are. */
static void
note_rows(struct relay *r, struct store *st)
{
	for (size_t i = 0; i < r->crash_count; i++) {
		struct blackbox_crash *c = &r->crashes[i];
		struct key_parts k;
		char text[128], created_at[32];
		struct err e;

		if (c->msg_id == 0 && key_decode(c->key, strlen(c->key), &k) &&
		    k.installation == r->setup.cfg.installation)
			c->msg_id = k.msg_id;
		if (c->msg_id == 0)
			continue;
		crash_text(c, text, sizeof text);
		if (store_note(st, c->msg_id, "crashed", text, created_at, &e) != RC_OK)
			log_err(LOG_LEVEL_WARN, "row.crashed", &e, "id=%" PRId64, c->msg_id);
		else if (c->made == 0)
			c->made = created_at[0] != '\0' ? blackbox_made(created_at) : BLACKBOX_GONE;
		blackbox_name(c);
	}
}

/* Is this the database that the journal knows, with all that it had acknowledged? A copy that lost
 * the last second met us here first when it made the call hang that ended the process before. */
static enum rc
judge_start(struct relay *r, struct store *st, const struct journal_info *info,
	    struct store_facts *facts, struct err *e)
{
	struct marks all = { NULL, 0, 0, false };
	char reason[160] = "";
	int64_t touched = 0;
	bool lifted = false;
	enum rc rc;

	if (info->claim_seq > r->registration.claim_seq)
		snprintf(reason, sizeof reason,
			 "%s: the database has lost acknowledged commits (claim counter %" PRId64
			 ", was %" PRId64 ")",
			 r->conf->agent.id, r->registration.claim_seq, info->claim_seq);
	else if (info->claim_seq >= 0 && info->identity != identity_number(facts->identity))
		snprintf(reason, sizeof reason,
			 "%s: the database is another one than before (a fail-over or a restored "
			 "copy)",
			 r->conf->agent.id);
	if (reason[0] == '\0' && !facts->is_frozen)
		return RC_OK;
	rc = collect_marks(r->journal, &all, e);
	if (rc == RC_OK)
		rc = freeze_database(st, reason[0] != '\0' ? reason : NULL, &all,
				     r->conf->times.unknown_look_ms, &touched, &lifted, e);
	free(all.v);
	if (rc != RC_OK)
		return rc;
	facts->is_frozen = !lifted;
	log_event(LOG_LEVEL_ERROR, "relay.frozen", "reason=\"%s\" touched=%" PRId64 " text=\"%s\"",
		  reason[0] != '\0' ? reason : facts->freeze_reason, touched,
		  lifted ? "every listed agent has replayed its journal; claims go on"
			 : "no claims before every listed agent has replayed its journal, or: "
			   "mtrelayctl unfreeze");
	return RC_OK;
}

/* A deadlock with the transaction of another agent, or a lock that took too long, is no reason to
 * end: what was replayed is marked as settled, and the next try goes on behind it. */
static enum rc
recover(struct relay *r, struct store *st, const struct journal_info *info,
	struct store_facts *facts, struct recovered *rec, struct err *e)
{
	bool is_judged = false;
	int tries;
	enum rc rc;

	for (tries = 1;; tries++) {
		rc = is_judged ? RC_OK : judge_start(r, st, info, facts, e);
		if (rc == RC_OK && !is_judged) {
			is_judged = true;
			rc = journal_start(r->journal, r->registration.incarnation, e);
			if (rc != RC_OK)
				return rc;
		}
		if (rc == RC_OK)
			rc = recover_run(st, r->journal, info, r->conf, rec, e);
		if (rc != RC_AGAIN || tries == RECOVER_TRIES)
			return rc;
		log_err(LOG_LEVEL_WARN, "relay.waiting", e, "for=recovery");
		if (!wait_ms(r, RECOVER_WAIT_MS)) {
			r->is_quitting = true;
			return rc;
		}
	}
}

static enum rc
start(struct relay *r, struct err *e)
{
	struct journal_info info;
	struct recovered rec;
	struct store_facts facts;
	struct store *st = NULL;
	struct pipeline_env env;
	enum rc rc;

	rc = journal_open(r->conf->agent.state_dir, r->conf->limits.journal_segment_bytes,
			  (r->conf->limits.journal_keep + 1) *
				  r->conf->limits.journal_segment_bytes,
			  &r->journal, &info, e);
	if (rc != RC_OK)
		return rc;
	r->crash_count = blackbox_open(r->conf->agent.state_dir, info.id, r->crashes);
	blame_rows(r);
	rc = store_setup(&r->setup, r->conf, e);
	if (rc != RC_OK)
		return rc;
	rc = connect_first(r, &st, e);
	if (rc == RC_OK)
		rc = store_facts_read(st, &facts, e);
	if (rc == RC_OK)
		rc = check_tables(r, facts.dialect, e);
	if (rc != RC_OK)
		goto out;
	r->setup.cfg.installation = r->conf->agent.installation != 0
					    ? (uint32_t)r->conf->agent.installation
					    : facts.installation;
	snprintf(r->identity, sizeof r->identity, "%s", facts.identity);
	snprintf(r->dialect, sizeof r->dialect, "%s", facts.dialect);
	rc = register_agent(r, st, &info, e);
	if (rc != RC_OK)
		goto out;
	note_rows(r, st);
	rc = recover(r, st, &info, &facts, &rec, e);
	if (rc != RC_OK)
		goto out;
	log_event(LOG_LEVEL_INFO, "relay.recovered",
		  "incarnation=%" PRId64 " answered=%" PRId64 " unknown=%" PRId64
		  " released=%" PRId64 " touched=%" PRId64 " reports=%zu journal=%s",
		  r->registration.incarnation, rec.answered, rec.unknown, rec.released, rec.touched,
		  info.reports,
		  info.is_new	   ? "new"
		  : info.is_broken ? "broken"
		  : info.same_boot ? "whole"
				   : "older-boot");
	rc = start_lanes(r, e);
	if (rc != RC_OK)
		goto out;
	env = (struct pipeline_env){ .base = r->base,
				     .journal = r->journal,
				     .claim = r->claim,
				     .settle = r->settle,
				     .sync = r->sync,
				     .store = &r->setup.cfg,
				     .identity = identity_number(facts.identity),
				     .claim_seq = r->registration.claim_seq,
				     .fatal = on_fatal,
				     .arg = r };
	rc = pipeline_new(&env, r->conf, &r->pipeline, e);
	if (rc == RC_OK)
		rc = pipeline_start(r->pipeline, e);
	if (rc == RC_OK) {
		r->is_frozen = facts.is_frozen;
		pipeline_freeze(r->pipeline, facts.is_frozen);
		journal_each_report(r->journal, replay_report, r);
		rc = start_timers(r, e);
	}
	if (rc == RC_OK)
		rc = control_open(r, r->base, r->conf->agent.control_socket, &r->control, e);
out:
	store_close(st);
	return rc;
}

static int
status_of(enum rc rc)
{
	switch (rc) {
	case RC_OK:
		return EX_OK;
	case RC_CONFIG:
	case RC_DATA:
		return EX_CONFIG;
	case RC_AGAIN:
	case RC_LOST:
	case RC_UNSURE:
		return EX_UNAVAILABLE;
	case RC_NOMEM:
		return EX_TEMPFAIL;
	case RC_BUG:
		return EX_SOFTWARE;
	}
	return EX_SOFTWARE;
}

/* False: a database call does not come back. Whoever asked for the end does not wait for it. */
static bool
lanes_rest(const struct relay *r)
{
	const struct session *const all[] = { r->claim, r->settle, r->care };
	const struct timespec pause = { 0, 10 * 1000000 };
	int64_t until = clock_mono_ms() + STOP_WAIT_MS;
	size_t i = 0;

	while (i < 3 && clock_mono_ms() < until) {
		if (all[i] == NULL || session_busy_ms(all[i]) == 0)
			i++;
		else
			nanosleep(&pause, NULL);
	}
	return i == 3;
}

static void
stop(struct relay *r)
{
	struct store *st = NULL;
	struct err e;
	size_t i;

	control_close(r->control);
	if (r->pipeline != NULL)
		pipeline_stop(r->pipeline);
	if (!lanes_rest(r)) {
		log_event(LOG_LEVEL_WARN, "relay.stop",
			  "status=%d text=\"a database call does not come back; ending without it, "
			  "the journal has everything\"",
			  r->status);
		_exit(r->status);
	}
	if (r->claim != NULL && r->claim != r->settle)
		session_stop(r->claim);
	if (r->care != NULL && r->care != r->settle)
		session_stop(r->care);
	session_stop(r->settle);
	if (r->sync_readable != NULL)
		event_free(r->sync_readable);
	lane_stop(r->sync);
	/* A clean end frees the agent id at once; when the database does not answer, the lease does
	 * it later. */
	if (r->status == EX_OK && r->registration.incarnation > 0 && r->database_ok &&
	    !r->beat.busy && store_open(&r->setup.cfg, &st, &e) == RC_OK) {
		if (store_sign_off(st, &e) != RC_OK)
			log_err(LOG_LEVEL_WARN, "relay.stop", &e, "text=\"cannot sign off\"");
		store_close(st);
	}
	pipeline_free(r->pipeline);
	for (i = 0; i < sizeof r->signals / sizeof *r->signals; i++)
		if (r->signals[i] != NULL)
			event_free(r->signals[i]);
	if (r->tick != NULL)
		event_free(r->tick);
	if (r->beat_timer != NULL)
		event_free(r->beat_timer);
	if (r->care_timer != NULL)
		event_free(r->care_timer);
	if (r->walk_timer != NULL)
		event_free(r->walk_timer);
	free(r->freeze.marks.v);
	blackbox_close();
	journal_close(r->journal);
	store_setup_free(&r->setup);
}

int
relay_run(const char *conf_path, struct conf *conf)
{
	struct relay *r = calloc(1, sizeof *r);
	struct err e = { .rc = RC_OK };
	enum rc rc;
	int status;

	if (r == NULL)
		return EX_TEMPFAIL;
	r->conf_path = conf_path;
	r->conf = conf_ref(conf);
	r->status = EX_OK;
	clock_wall_text(r->started_at, sizeof r->started_at);
	r->started_ms = clock_mono_ms();
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&r->waiting_signals);
	sigaddset(&r->waiting_signals, SIGTERM);
	sigaddset(&r->waiting_signals, SIGINT);
	sigaddset(&r->waiting_signals, SIGHUP);
	sigaddset(&r->waiting_signals, SIGUSR1);
	sigprocmask(SIG_BLOCK, &r->waiting_signals, NULL);
	log_event(LOG_LEVEL_INFO, "relay.start", "agent=%s version=%s pid=%ld", conf->agent.id,
		  PACKAGE_VERSION, (long)getpid());
	r->base = event_base_new();
	rc = r->base == NULL ? err_set(&e, RC_NOMEM, 0, "relay.start", "out of memory")
			     : notify_open(&e);
	if (rc == RC_OK)
		rc = start(r, &e);
	if (rc != RC_OK && asked_to_end())
		r->is_quitting = true;
	if (rc == RC_OK) {
		notify_ready();
		notify_status("running");
		log_event(LOG_LEVEL_INFO, "relay.ready", "agent=%s dialect=%s", conf->agent.id,
			  r->dialect);
		supervise_alive(); /* watched from here on: the first turn may be the one that does
				      not end */
		event_base_dispatch(r->base);
	} else if (r->is_quitting) {
		log_event(LOG_LEVEL_INFO, "relay.stop", "text=\"asked to end while waiting\"");
	} else {
		log_err(LOG_LEVEL_ERROR, "relay.stop", &e, "text=\"cannot start\"");
		notify_status("cannot start: %s", e.text);
		r->status = status_of(rc);
	}
	/* Their handlers go before the lanes do: one more TERM changes nothing about this end. */
	sigprocmask(SIG_BLOCK, &r->waiting_signals, NULL);
	stop(r);
	status = r->status;
	log_event(LOG_LEVEL_INFO, "relay.stop", "status=%d", status);
	notify_close();
	conf_unref(r->conf);
	if (r->base != NULL) {
		/* libevent lets go of a connection by a call back of its own, perhaps still to
		 * come. */
		(void)event_base_loop(r->base, EVLOOP_NONBLOCK);
		event_base_free(r->base);
	}
	free(r);
	return status;
}
