/* store.h - the meaning of the tables: every transaction of the agent is here, no SQL text is
 * (schema/<dialect>/).
 *
 * A store is one database session with its prepared statements. It belongs to the thread (lane)
 * that opened it; several stores of one agent work side by side. Nothing here decides what should
 * become of a message: callers ask for a change of the state machine (DESIGN:
 * agent/transition.def), the store does it as compare-and-set inside one transaction and says what
 * it met. Texts that are returned live in the caller's batch or structs. All time arithmetic is in
 * the SQL.
 *
 * Errors: RC_AGAIN (nothing changed, repeat later), RC_LOST and RC_UNSURE (close the store, open a
 * new one, repeat the same call: every call reads back what a lost COMMIT may have done and reports
 * it as applied), RC_CONFIG (an operator must act), RC_DATA only inside single changes. */
#ifndef MTRELAY_STORE_H
#define MTRELAY_STORE_H
#include "agent/batch.h"
#include "agent/err.h"
#include "agent/message.h"
#include "agent/result.h"
#include "drivers/db/db.h"

#define STORE_SCHEMA_VERSION 1
#define STORE_ID_MAX 64

enum row_status { ROW_READY, ROW_SENDING, ROW_ACCEPTED, ROW_UNKNOWN, ROW_HELD, ROW_DEFERRED };
enum text_policy { TEXT_KEEP, TEXT_MASK, TEXT_DROP };

struct store;

/* Kept by reference until store_close(). */
struct store_config {
	const struct db_driver *driver;
	struct db_params params;
	const char *dialect; /* NULL: found from the server */
	const char *prefix;  /* "mt_", already checked as an identifier */
	const char *agent_id;
	int64_t incarnation;   /* 0 before store_register() */
	uint32_t installation; /* for client keys; read by store_facts_read(), set by the caller */
	int64_t agent_lease_ms, row_lease_ms, close_after_ms, expire_after_ms, late_ms;
	int64_t body_cap_bytes; /* texts are read up to here, with their true length */
	enum text_policy text_policy;
};

enum rc store_open(const struct store_config *cfg, struct store **out, struct err *e) MUST_USE;
void store_close(struct store *s); /* NULL is allowed */
/* From another thread, while a call lasts too long. */
void store_cancel(struct store *s);
const char *store_dialect(const struct store *s);
const char *store_agent_id(const struct store *s);

/* ---- what kind of database this is ---- */
enum durability { DURABLE, DURABLE_RISKY, DURABLE_NOT };
struct store_facts {
	char dialect[16];
	char product[96];
	char identity[128];    /* of this server and this database: changes at a fail-over or a
				  restored copy */
	int schema_version;    /* 0: no tables */
	uint32_t installation; /* random, made with the schema */
	bool is_frozen;
	char freeze_reason[160];
	enum durability durability;
	char durability_text[200]; /* the setting, what it costs, what to set */
};
enum rc store_facts_read(struct store *s, struct store_facts *f, struct err *e) MUST_USE;

/* ---- the agent's own row ---- */
struct store_agent {
	char journal_id[40], boot_id[40], host[64], version[32];
	int64_t pid;
};
struct store_registration {
	int64_t incarnation;	      /* of this start */
	int64_t previous_incarnation; /* 0: the first start ever */
	bool same_journal;	      /* the previous start used our journal */
	int64_t claim_seq;
};
/* RC_AGAIN while another journal holds the live lease of this id: e names host and process of the
 * holder. Sets incarnation in cfg. */
enum rc store_register(struct store *s, const struct store_agent *a, struct store_registration *out,
		       struct err *e) MUST_USE;
struct store_beat {
	const char *channels; /* text for people: "infobip=UP smsc=DOWN" */
	const char *last_error;
	bool count; /* also count the rows (dearer; once a minute) */
	/* answers */
	bool is_ours; /* false: another incarnation took this id, this process must end */
	bool is_frozen;
	bool owes_replay;  /* to this freeze, also when one ended and another began in between */
	int64_t claim_seq; /* as the database has it */
	int64_t beat_seq;  /* counts the heartbeats, this one, too */
	int64_t db_now_ms; /* the database's clock, ms since 1970 */
	char identity[128];
	int64_t waiting, unknown, held; /* counted up to 100000 */
	int64_t oldest_due_ms;		/* age of the oldest due READY row, 0 none */
};
enum rc store_heartbeat(struct store *s, struct store_beat *b, struct err *e) MUST_USE;
/* Ends the lease at once: a normal stop. */
enum rc store_sign_off(struct store *s, struct err *e) MUST_USE;
enum rc store_freeze(struct store *s, const char *reason, struct err *e) MUST_USE;
enum rc store_unfreeze(struct store *s, const char *by, const char *reason, struct err *e) MUST_USE;
/* This agent has told what its journal knew; *lifted: it was the last listed one and claims may go
 * on. */
enum rc store_replayed(struct store *s, bool *lifted, struct err *e) MUST_USE;

/* ---- claiming ---- */
struct store_queue {
	enum msg_type type;
	int priority;
};
/* One statement for all queues; due[i] tells whether queue i has a due row. */
enum rc store_peek(struct store *s, const struct store_queue *q, size_t n, bool *due, struct err *e)
	MUST_USE;

struct store_claim {
	struct store_queue queue;
	unsigned want;
	int64_t claim_seq;    /* what we remember; with got > 0 what it is now */
	int64_t beat_seq;     /* the same of heartbeats */
	struct batch *batch;  /* where messages and texts go */
	struct message **out; /* want places */
	/* Called in this thread for each message before its key is written: runs the rules, sets
	 * m->channel, and m->type when it resolves AUTO, which then stand in the row before a byte
	 * can leave. NULL: none. */
	void (*judge)(void *arg, struct message *m);
	void *judge_arg;
	unsigned got;
	unsigned candidates; /* READY rows that were seen, also those that another agent took */
	bool seq_mismatch;   /* RC_OK, got 0: the database has a lower claim_seq (or frozen, or not
				ours): heartbeat tells */
};
/* 0 -> 1 for up to want rows. Messages come with type_text, asked_type, texts, fence, try_no,
 * client_key, cancel, expire_in_s (read with or after the claim) and, for a req_key that mt_result
 * has already, is_repeated set. */
enum rc store_claim(struct store *s, struct store_claim *c, struct err *e) MUST_USE;

/* 3 -> 1 for rows of our own (policy said so): CAS on msg_id, status, fence; loads the texts like a
 * claim. */
struct store_resend {
	int64_t msg_id, fence;
	bool new_generation; /* the open attempt goes to mt_try, the key changes */
};
/* Counted like claims, so that a re-send that the database loses is noticed, too. */
struct store_count {
	int64_t claim_seq; /* what we remember; with got > 0 what it is now */
	int64_t beat_seq;
	bool mismatch; /* as seq_mismatch of a claim */
};
enum rc store_resend(struct store *s, const struct store_resend *r, size_t n,
		     struct store_count *count, struct batch *b, struct message **out, size_t *got,
		     struct err *e) MUST_USE;

/* ---- changes of the state machine ---- */
enum change_kind {
	CHANGE_ACCEPT,	/* 1 (3 4, 0 5 after a release) -> 2, under any fence as long as the key is
			   the row's; older keys: mt_try */
	CHANGE_UNKNOWN, /* 1 -> 3; delay_ms to the next look */
	CHANGE_RELEASE, /* 1 (3 4: never marked) -> 0; new_type when AUTO goes to its type's queue
			 */
	CHANGE_DEFER,	/* 1 -> 5; delay_ms */
	CHANGE_LOOK,	/* 3 -> 3, next look after delay_ms (or the close time) */
	CHANGE_HOLD,	/* 3 -> 4, hold_code */
	CHANGE_TOUCHED, /* 0 1 3 4 5 -> 3: the journal knows a later attempt than the database, or
			   another one */
	CHANGE_RESULT,	/* 0 1 2 3 4 5 -> gone with a result row; a FAIL of a sent leg with a
			   fallback left starts the next leg instead */
};
enum change_answer {
	CHANGED,       /* done, now or by an earlier call whose answer was lost */
	CHANGE_STALE,  /* the row moved on without us; nothing was written (kept says where the
			  evidence went) */
	CHANGE_GONE,   /* no such row and no result: the application deleted it (RESULT writes its
			  result all the same) */
	CHANGE_FAILED, /* this change alone failed (err): the row is HELD with the outcome kept, or
			  the caller repeats slowly */
};
struct change {
	enum change_kind kind;
	int64_t msg_id;
	int64_t fence; /* compare-and-set; ignored for positive evidence */
	int32_t leg, try_no;
	const char *client_key;	 /* of the attempt that this is evidence of; "" for rows that were
				    never sent */
	const struct message *m; /* for a result whose row was deleted; NULL: only what the row or
				    the key tells */
	enum msg_type new_type;	 /* MSG_TYPE_NONE: as it is */
	bool keeps_attempt;	 /* RELEASE, DEFER: an older attempt is open, first_sent_at stays */
	bool new_generation; /* RELEASE, DEFER: the provider certainly ended the attempt with this
				key */
	bool is_evidence;    /* RESULT: report or answer about (leg, client_key): a FAIL counts only
				for its attempt */
	int64_t delay_ms;
	const char *hold_code; /* 4 digits */
	enum result_class class;
	char code[RESULT_CODE_LEN + 1];
	char text[128];
	char provider_code[PROVIDER_CODE_MAX + 1];
	char provider_id[PROVIDER_ID_MAX + 1];
	char carrier[CARRIER_MAX + 1];
	char channel[33];
	char done_at[32]; /* "" now */
	unsigned parts;
	/* ACCEPT of several parts: the ids of parts 2 and on with blanks between, NULL otherwise;
	 * borrowed until the answer */
	const char *more_ids;
	bool is_report; /* what a report says, which may be about one part */
	bool is_part;	/* it is known to be about one part */
	/* the answer */
	enum change_answer answer;
	int64_t new_fence;
	struct err *err; /* room of the caller's, or NULL: why, with CHANGE_FAILED */
};
/* One transaction for all n; when a row alone is refused by the database (RC_DATA) the batch is
 * halved until that row stands alone: it gets CHANGE_FAILED and, if it can be, is put to HELD with
 * its outcome in pend_class and pend_code. */
enum rc store_apply(struct store *s, struct change *c, size_t n, struct err *e) MUST_USE;

/* ---- delivery reports ---- */
enum report_answer { REPORT_APPLIED, REPORT_KEPT, REPORT_REVISED, REPORT_KNOWN, REPORT_CONFLICT };
struct report_item {
	struct report r;
	uint64_t mark; /* the journal's, for the caller */
	enum report_answer answer;
	int64_t msg_id; /* 0 unknown */
};
/* Row by client key (exact, binary) or (channel, provider_id) -> mt_try -> mt_result (revision) ->
 * mt_report, all in one transaction. */
enum rc store_reports(struct store *s, struct report_item *items, size_t n, struct err *e) MUST_USE;

/* ---- messages from phones ---- */
struct store_received {
	/* borrowed; "" where there is nothing. A text has at most 4000 characters of UTF-8. */
	const char *channel, *from, *to, *text, *provider_id, *sent_at;
	unsigned reference, parts, part; /* parts 0: not divided */
	/* the answer */
	bool is_stored; /* now, or before under the same id of the provider */
	struct err err; /* why not: the database refuses this one alone */
};
/* One transaction for all n. After RC_OK each is stored or has its err. One without provider_id is
 * stored again by every call. */
enum rc store_received(struct store *s, struct store_received *r, size_t n, struct err *e) MUST_USE;

/* ---- recovery and care ---- */
struct store_row {
	int64_t msg_id, fence, incarnation;
	int status;
	int32_t leg, try_no, generation;
	enum msg_type type;
	int64_t since_first_ms; /* since first_sent_at of the leg, 0 when NULL */
	int64_t since_try_ms;	/* since the last attempt was claimed (last_sent_at), 0 when NULL */
	int64_t until_close_ms; /* till its close time */
	/* An older attempt of this leg is open, with the same key (remembered in the row,
	 * pend_class 'OPEN') or with another (mt_try): a recovery never takes such a row for one
	 * that was never sent. */
	bool is_resend, older_open;
	int32_t resends; /* re-sends of this leg so far */
	char client_key[CLIENT_KEY_LEN + 1];
	char channel[33];
	char owner[STORE_ID_MAX + 1];
};
/* Own rows in SENDING after msg_id `after`, in order of msg_id; overdue_only: with the lease over.
 */
enum rc store_list_own(struct store *s, int64_t after, bool overdue_only, struct store_row *rows,
		       size_t max, size_t *n, struct err *e) MUST_USE;
enum rc store_row_read(struct store *s, int64_t msg_id, struct store_row *row, bool *found,
		       struct err *e) MUST_USE;
/* A line of mt_history about a row that is still there, by this agent; nothing about another one.
 * created_at (32 places): of the row, "" when there is none. */
enum rc store_note(struct store *s, int64_t msg_id, const char *event, const char *reason,
		   char *created_at, struct err *e) MUST_USE;
/* Is the row the message that the key was made for? After the database went back to an older copy
 * its id may have been given to another one. True also for a key that is none of ours. */
enum rc store_is_message(struct store *s, int64_t msg_id, const char *client_key, bool *is,
			 struct err *e) MUST_USE;
/* Rows in UNKNOWN whose next look is due, ours or of agents whose lease is over (they become ours);
 * their next look moves half a row lease on so that nobody else takes them meanwhile. */
enum rc store_take_unknown(struct store *s, struct store_row *rows, size_t max, size_t *n,
			   struct err *e) MUST_USE;
/* Rows in ACCEPTED that no report came for and that are near their close time, ours or of agents
 * whose lease is over: each of them at most twice, lead_ms and again a quarter of it before the
 * close. The row remembers it in hold_code ('ASK1', 'ASK2'), which means nothing else in ACCEPTED;
 * nothing else of it changes, not even the fence. */
enum rc store_take_silent(struct store *s, int64_t lead_ms, struct store_row *rows, size_t max,
			  size_t *n, struct err *e) MUST_USE;

struct store_care {
	unsigned limit;	       /* rows a step */
	bool clock_is_doubted; /* nothing is closed or purged by the database's clock */
	/* answers: rows changed by each step */
	int64_t leases, due, closed, kept_reports, purged, made_new, pend_settled, normalised;
};
/* 1 -> 3 of agents whose lease is over; 5 -> 0; rows inserted with agent columns set; close at the
 * close time; reports that match now; HELD rows with an outcome (slowly); retention. Repeat while a
 * step reached the limit. */
enum rc store_care(struct store *s, struct store_care *c, struct err *e) MUST_USE;
struct store_walk {
	int64_t cursor; /* in and out: msg_id; 0 from the start, 0 again at the end */
	unsigned step;	/* rows looked at */
	const struct store_queue *queues; /* that some route covers */
	size_t queue_count;
	int64_t expired, cancelled, refused, normalised;
};
/* READY and DEFERRED rows: expiry (3008), cancellation (3007), type and priority that no queue
 * covers (2006; known types without a route only past their expiry), oddly written types and NULLs
 * brought to their form. */
enum rc store_walk(struct store *s, struct store_walk *w, struct err *e) MUST_USE;

#endif
