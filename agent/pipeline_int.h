/* pipeline_int.h - what the parts of the pipeline share. Nobody else includes it. See pipeline.h.
 */
#ifndef MTRELAY_PIPELINE_INT_H
#define MTRELAY_PIPELINE_INT_H
#include "agent/pipeline.h"
#include "agent/validate.h"
#include "drivers/channel/channel.h"

struct event;

#define QUEUE_MAX (MSG_TYPE_COUNT * PRIORITY_COUNT)
#define TABLE_SIZE 8192u /* buckets of the table by msg_id */
#define CHANNELS_MAX 16
#define WIRE_MAX 2000  /* messages in one request, the upper bound of channels.batch */
#define REPORT_PAGES 2 /* pages that may wait for the database before no further one is pulled */
#define RESEND_ROWS 100
#define SLOW_START_FIRST 10 /* messages under way at once after a channel has come back */
#define RESENDS_MAX 3	    /* automatic re-sends of one leg stop here */
#define GENERATIONS_MAX 60  /* a provider that refuses "for now" this often has refused */
#define BACKOFF_FIRST_MS 200
#define BACKOFF_LAST_MS 30000
/* Messages from phones that wait for the database: no more, and not longer, since the provider can
 * bring them again and our memory cannot. */
#define RECEIVED_MAX 1000
#define RECEIVED_BYTES ((size_t)1024 * 1024)
#define RECEIVED_WAIT_MS 10000
#define RECEIVED_BATCH 100
#define MESSAGE_BYTES 2048 /* of a message with its texts, more than most */

/* A configured channel and what the pipeline keeps about it. */
struct way {
	struct pipeline *p;
	const struct conf_channel *cf; /* NULL while closed */
	struct conf *conf;	       /* that cf is in */
	const struct conf_channel *next_cf;
	struct conf *next_conf; /* with reopen */
	const struct channel_driver *driver;
	struct channel *ch;
	enum channel_state state;
	bool is_paused;
	bool reopen; /* the options changed: close when quiet, open with the new ones */
	char name[CHANNEL_NAME_MAX + 1];
	struct message *head[PRIORITY_COUNT], **tail[PRIORITY_COUNT]; /* ready to be submitted */
	size_t ready;
	size_t sent;   /* lent to the driver */
	size_t window; /* after trouble: most that may be ready or sent, doubled by each good
			  answer; 0: no limit */
	int64_t not_before_ms; /* after a row of deferrals nothing is submitted for a while */
	int64_t backoff_ms;
	size_t queries;	   /* asked by resolve() */
	unsigned pages;	   /* of reports, between the provider and the database */
	bool page_owed;	   /* reports_taken() is due as soon as there is room */
	size_t received;   /* messages from phones that it has not been told about yet */
	unsigned openings; /* what is told belongs to one of them */
};

struct settle_item {
	struct settle_item *next;
	struct change c;
	struct message *m; /* NULL: not from memory */
	char *more_ids;	   /* what c.more_ids points to */
	struct journal_mark mark;
	bool has_mark;
	char key[CLIENT_KEY_LEN + 1];
	int64_t not_before_ms; /* repeated slowly after a failure of its own */
};

struct report_wait {
	struct report_wait *next;
	struct report_item item;
	struct way *way; /* NULL: from the journal */
	bool ends_page;
};

/* A message from a phone between the provider and the database; its texts lie behind the struct. */
struct received_wait {
	struct received_wait *next;
	struct way *way;
	unsigned opening; /* of the channel: its number means nothing to a later one */
	uint64_t number;
	int64_t since_ms;
	size_t bytes;
	bool is_put_off; /* no room: without texts, only to tell the channel */
	struct store_received r;
};

struct received_job {
	struct db_job db;
	struct pipeline *p;
	struct received_wait *waits[RECEIVED_BATCH];
	struct store_received items[RECEIVED_BATCH];
	size_t n;
	bool busy;
};

struct claim_job {
	struct db_job db;
	struct pipeline *p;
	bool is_peek;
	bool look_for_orphans; /* a COMMIT was UNSURE */
	struct store_queue queues[QUEUE_MAX];
	bool due[QUEUE_MAX];
	size_t queue_count;
	struct store_claim claim;
	struct validate_rules rules; /* as the routes were when the claim began */
	char channels[MSG_TYPE_COUNT][CHANNEL_NAME_MAX + 1]; /* that each type goes by */
	size_t queue_at;
	int64_t claimed_boot_ms; /* before the statement */
	struct store_row *rows;	 /* of orphans */
	size_t row_count, row_max;
};

struct settle_job {
	struct db_job db;
	struct pipeline *p;
	struct settle_item **items;
	struct change *changes;
	struct err *why; /* of those that failed alone */
	size_t n;
	bool busy;
};

struct report_job {
	struct db_job db;
	struct pipeline *p;
	struct report_wait **waits;
	struct report_item *items;
	size_t n, max;
	bool busy;
};

struct sync_job {
	struct job job;
	struct pipeline *p;
	struct way *way;
	int fd;
	int why;
};

/* Rows of one channel that are sent again by one transaction; the arrays lie behind the struct. */
struct resend_job {
	struct db_job db;
	struct pipeline *p;
	struct way *way;
	struct store_row *rows;
	struct store_resend *r;
	struct message **out;
	size_t n, max, got;
	struct store_count count;
	struct batch *batch;
	int64_t claimed_boot_ms; /* before the statement */
};

struct pipeline {
	struct pipeline_env env;
	struct conf *conf;
	struct way ways[CHANNELS_MAX];
	size_t way_count;
	struct message *table[TABLE_SIZE];
	size_t in_memory;

	struct store_queue queues[QUEUE_MAX];
	bool due[QUEUE_MAX];
	int tokens[QUEUE_MAX];
	size_t queue_count;
	size_t next_queue;
	int64_t last_peek_ms;
	struct claim_job claim;
	bool claim_busy;
	bool claim_unsure;
	int64_t claim_seq, beat_seq; /* that the database has acknowledged */
	bool wait_for_beat;	     /* after a lost connection: is it the database that it was? */
	size_t claim_most;	     /* rows of one claim: fewer after their texts did not fit */
	int64_t claim_not_before_ms;
	int64_t claim_backoff_ms;
	struct event *poll;
	int64_t poll_at_ms; /* when it fires next */

	struct settle_item *settle_head, **settle_tail;
	size_t settle_count;
	struct settle_job settle;
	int64_t settle_not_before_ms;
	int64_t settle_backoff_ms;

	struct report_wait *report_head, **report_tail;
	size_t report_count;
	struct report_job report;

	struct received_wait *received_head, **received_tail;
	size_t received_count, received_bytes; /* with those of the job */
	struct received_job received;
	int64_t received_not_before_ms;
	int64_t received_backoff_ms;

	size_t resends; /* rows */
	size_t syncs;

	bool is_draining, is_stopped, is_frozen, is_paused, mismatch_logged;
	int64_t claimed, settled; /* messages, for the invariant */
};

/* Messages and texts of one claim: at least one of the longest fits. */
static inline size_t
batch_cap(const struct conf *c)
{
	size_t many = (size_t)c->limits.batch * 3 * MESSAGE_BYTES;
	size_t one = 5 * (size_t)c->limits.body_bytes;

	return many > one ? many : one;
}

/* pipeline.c */
void pipeline_again_in(struct pipeline *p, int64_t ms);
int64_t pipeline_backoff(int64_t *backoff_ms);
/* Until when it may be handed over: within the lease and its own validity. */
int64_t pipeline_deadline(const struct message *m, int64_t claimed_boot_ms, int64_t write_ms);
void pipeline_mark_of(const struct message *m, const char *channel, struct journal_mark *mark);
void pipeline_table_add(struct pipeline *p, struct message *m);
void pipeline_table_remove(struct pipeline *p, struct message *m);
void pipeline_pump(struct pipeline *p);
/* A claim or a re-send was counted: this is what the database has acknowledged, and the journal
 * knows it. */
void pipeline_counted(struct pipeline *p, int64_t claim_seq);
/* It was not, since the database's counter is below what we remember (or all is frozen, or the id
 * is another's). */
void pipeline_miscounted(struct pipeline *p);
/* Frozen or ending: what comes out of a claim now goes back. */
bool pipeline_takes_no_more(const struct pipeline *p);

/* pipeline_settle.c */
struct settle_item *settle_item_new(struct pipeline *p, struct message *m);
void settle_add(struct pipeline *p, struct settle_item *it);
void settle_message(struct pipeline *p, struct settle_item *it, enum msg_where from);
void settle_item_end(struct pipeline *p, struct settle_item *it);
void settle_item_free(struct settle_item *it);
/* Takes a copy of the ids that c points to. */
void settle_own_ids(struct settle_item *it);
void settle_some(struct pipeline *p);
void settle_give_back(struct pipeline *p, struct message *m, enum msg_where from);

/* pipeline_report.c */
void report_page_taken(struct way *w);
void report_on_page(void *owner, const struct report *r, size_t n);
void report_some(struct pipeline *p);

/* pipeline_received.c */
void received_on(void *owner, const struct received *r, uint64_t number);
void received_some(struct pipeline *p);

/* pipeline_channel.c */
struct way *way_find(struct pipeline *p, const char *name);
bool way_is_open(const struct pipeline *p, const struct way *w);
size_t way_room(const struct pipeline *p, const struct way *w);
struct way *way_of_type(struct pipeline *p, enum msg_type type);
size_t way_room_of_type(struct pipeline *p, enum msg_type type);
void way_enqueue(struct way *w, struct message *m);
void way_rules(struct pipeline *p, struct validate_rules *r,
	       char (*channels)[CHANNEL_NAME_MAX + 1]);
void way_rules_of(const struct way *w, enum msg_type t, struct validate_rules *r);
void way_submit_some(struct way *w);
void way_return_ready(struct way *w);
enum rc way_open(struct pipeline *p, struct way *w, struct conf *conf,
		 const struct conf_channel *cf, struct err *e);
void way_close(struct way *w);
enum rc way_try(struct pipeline *p, const struct conf_channel *cf, struct err *e);
void way_reopen(struct way *w, struct conf *conf, const struct conf_channel *cf);
void way_reopen_when_quiet(struct way *w);

/* pipeline_claim.c */
void claim_some(struct pipeline *p);
void claim_queues_of_routes(struct pipeline *p);

/* pipeline_unknown.c */
void unknown_on_resolved(void *owner, struct query *q, size_t n);

#endif
