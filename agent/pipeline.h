/* pipeline.h - the flow of messages: claim, rules, journal mark, channel, answer, settle.
 *
 * Owns every message in memory and the decision what becomes of it; a channel only says what
 * happened, the store only does the change that is asked for. Each claimed row ends in exactly one
 * change: claimed = settled + in memory, which status shows and the end of a drain asserts. Loop
 * thread only. */
#ifndef MTRELAY_PIPELINE_H
#define MTRELAY_PIPELINE_H
#include <jansson.h>
#include "agent/conf.h"
#include "agent/journal.h"
#include "agent/session.h"

struct event_base;
struct pipeline;

struct pipeline_env {
	struct event_base *base;
	struct journal *journal;
	struct session *claim, *settle; /* may be one and the same */
	struct lane *sync;		/* a lane without a database that syncs the journal */
	const struct store_config *store;
	uint64_t identity; /* of the database, for the journal */
	int64_t claim_seq; /* after store_register() */
	/* The process must end (RC_BUG, journal lost); the loop is left with this status. */
	void (*fatal)(void *arg, int status, const char *why);
	void *arg;
};

enum rc pipeline_new(const struct pipeline_env *env, struct conf *conf, struct pipeline **out,
		     struct err *e) MUST_USE;
/* Closes the channels and starts nothing any more; done() of jobs under way may still come, so the
 * sessions are stopped after this and before pipeline_free(). */
void pipeline_stop(struct pipeline *p);
/* Messages still inside are dropped: their journal marks tell the next start. */
void pipeline_free(struct pipeline *p);
/* Opens the channels and begins to claim. */
enum rc pipeline_start(struct pipeline *p, struct err *e) MUST_USE;

/* No further claim; messages that no channel has go back to the table, the channels finish.
 * pipeline_is_empty() tells the end. */
void pipeline_drain(struct pipeline *p);
bool pipeline_is_empty(const struct pipeline *p);
/* More changes wait than the database takes in two transactions. */
bool pipeline_is_behind(const struct pipeline *p);

/* Operator: channel NULL means all. RC_CONFIG when there is no such channel. */
enum rc pipeline_pause(struct pipeline *p, const char *channel, bool is_paused, struct err *e)
	MUST_USE;
/* The database must not be trusted with new claims (freeze), or may be again. */
void pipeline_freeze(struct pipeline *p, bool is_frozen);
/* A claim's COMMIT was UNSURE or the heartbeat read it: what the database has now. */
void pipeline_set_claim_seq(struct pipeline *p, int64_t seq);
int64_t pipeline_claim_seq(const struct pipeline *p);
/* The same of heartbeats, which only the heartbeat counts; after a lost connection nothing is
 * claimed before one. */
void pipeline_set_beat_seq(struct pipeline *p, int64_t seq);
/* Swaps the configuration; channels whose options changed are closed and opened again when they are
 * empty. */
enum rc pipeline_reload(struct pipeline *p, struct conf *conf, struct err *e) MUST_USE;

bool pipeline_has(const struct pipeline *p, int64_t msg_id);
/* Rows in UNKNOWN that store_take_unknown() gave us: resolved by the channel's ability and the
 * route's policy. */
void pipeline_resolve(struct pipeline *p, const struct store_row *rows, size_t n);
/* Are questions under way? */
bool pipeline_is_asking(const struct pipeline *p);
/* Is there a channel that could be asked now about messages without a report? */
bool pipeline_may_ask(const struct pipeline *p);
/* Rows in ACCEPTED that store_take_silent() gave us: an outcome that the channel knows by now is
 * taken as a report, any other answer changes nothing. */
void pipeline_ask_silent(struct pipeline *p, const struct store_row *rows, size_t n);
/* A change that did not come from a message in memory (recovery, overdue rows); copied. */
void pipeline_change(struct pipeline *p, const struct change *c);
/* Reports from the journal of the last start. */
void pipeline_report(struct pipeline *p, const struct report *r, uint64_t number);

/* Which queues some route covers; n is at most MSG_TYPE_COUNT * PRIORITY_COUNT. */
size_t pipeline_queues(const struct pipeline *p, struct store_queue *q);
/* "infobip=UP smsc=PAUSED" for mt_agent. */
void pipeline_channel_text(const struct pipeline *p, char *buf, size_t size);
/* For status and stats; the caller owns it. */
json_t *pipeline_status(const struct pipeline *p);

/* What an outcome makes of a row: shared with the recovery, which replays answers from the journal.
 * c borrows the ids of o. */
void pipeline_decide(const struct journal_mark *mark, const struct outcome *o,
		     int64_t unknown_look_ms, struct change *c);

#endif
