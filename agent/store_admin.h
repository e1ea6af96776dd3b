/* store_admin.h - what mtrelayctl asks of the tables and changes there.
 *
 * Part of the store (agent/store.h says whose thread and what the errors mean): the statements are
 * schema/<dialect>/admin_*.sql. Every time comes as ms since 1970 by the database's clock, 0 where
 * the column is NULL, and every distance is reckoned by the database. Numbers come whole: whoever
 * shows them masks them. Nothing is to be freed. */
#ifndef MTRELAY_STORE_ADMIN_H
#define MTRELAY_STORE_ADMIN_H
#include "agent/store.h"

#define ADMIN_RESULTS_MAX 16
#define ADMIN_AGENTS_MAX 64
#define ADMIN_IDS_MAX 500

/* A row of mt_send. */
struct admin_row {
	int64_t msg_id;
	int status, leg, try_no, priority; /* priority -1: NULL */
	bool is_cancelled;
	char req_key[257], type[33], asked_type[33], group_key[257], sender[129], recipient[257];
	char owner[STORE_ID_MAX + 1], channel[33], client_key[CLIENT_KEY_LEN + 1],
		provider_id[PROVIDER_ID_MAX + 1];
	char hold_code[RESULT_CODE_LEN + 1], pend_class[9], pend_code[RESULT_CODE_LEN + 1];
	int64_t created_ms, send_ms, due_ms, first_sent_ms, last_sent_ms;
	int64_t send_in_ms, due_in_ms, expire_in_ms; /* from now; negative: past */
};
enum rc store_admin_row(struct store *s, int64_t msg_id, struct admin_row *r, bool *found,
			struct err *e) MUST_USE;

/* A row of mt_result; an id that came again has several. */
struct admin_result {
	char class[9], code[RESULT_CODE_LEN + 1], text[257];
	char provider_code[PROVIDER_CODE_MAX + 1], provider_id[PROVIDER_ID_MAX + 1],
		client_key[CLIENT_KEY_LEN + 1];
	char channel[33], owner[STORE_ID_MAX + 1], sent_type[33], carrier[CARRIER_MAX + 1],
		req_key[257];
	bool is_late, is_read;
	int leg, try_no, parts, rev;
	int64_t created_ms, sent_ms, done_ms, changed_ms;
};
/* Oldest first. */
enum rc store_admin_results(struct store *s, int64_t msg_id, struct admin_result *r, size_t max,
			    size_t *n, struct err *e) MUST_USE;

/* What mt_try, mt_report and mt_history say of a message, each in its own order. */
enum admin_source { ADMIN_TRY, ADMIN_REPORT, ADMIN_HISTORY };
struct admin_event {
	enum admin_source source;
	int64_t at_ms, closed_ms;
	char what[33]; /* outcome, class or event */
	char code[RESULT_CODE_LEN + 1], provider_code[PROVIDER_CODE_MAX + 1];
	char client_key[CLIENT_KEY_LEN + 1], channel[33], provider_id[PROVIDER_ID_MAX + 1];
	char reason[300];
	int leg, try_no, from, to; /* from, to: statuses, -1 none */
	int part; /* of an attempt in several parts, from 1; 0: the attempt itself */
};
enum rc store_admin_events(struct store *s, int64_t msg_id,
			   void (*each)(void *ctx, const struct admin_event *ev), void *ctx,
			   struct err *e) MUST_USE;

/* A row of mt_agent; those that live come first. */
struct admin_agent {
	char id[STORE_ID_MAX + 1], host[65], version[33], state[17], channels[1001],
		last_error[501];
	int64_t pid, since_beat_ms, waiting;
	bool is_live;
};
enum rc store_admin_agents(struct store *s, struct admin_agent *a, size_t max, size_t *n,
			   struct err *e) MUST_USE;
/* Due rows of the same queue that come before it, counted up to limit. */
enum rc store_admin_ahead(struct store *s, const struct admin_row *r, int64_t limit, int64_t *n,
			  struct err *e) MUST_USE;

struct admin_new {
	const char *req_key, *type, *sender, *recipient, *subject, *body; /* subject may be NULL */
};
enum rc store_admin_insert(struct store *s, const struct admin_new *m, int64_t *msg_id,
			   struct err *e) MUST_USE;

/* Messages that wait or have a result. */
enum rc store_admin_ids_by_key(struct store *s, const char *req_key, int64_t *ids, size_t max,
			       size_t *n, struct err *e) MUST_USE;
/* Messages of mt_send with an id above after, in order of the id. */
enum rc store_admin_ids_by_group(struct store *s, const char *group_key, int64_t after,
				 int64_t *ids, size_t max, size_t *n, struct err *e) MUST_USE;

/* How the rows stood when cancellation was asked for, in one transaction; added to what is there.
 */
struct admin_cancel {
	int64_t waiting;  /* READY, DEFERRED: end with 3007 unless another refusal is nearer */
	int64_t claimed;  /* SENDING: marked too, which counts only if the row comes back unsent */
	int64_t too_late; /* ACCEPTED, UNKNOWN, HELD */
	int64_t done;	  /* had its result before */
	int64_t unknown;  /* no such message */
};
/* Up to ADMIN_IDS_MAX ids, each once and in ascending order. */
enum rc store_admin_cancel(struct store *s, const int64_t *ids, size_t n, struct admin_cancel *sum,
			   struct err *e) MUST_USE;

/* A row in UNKNOWN or HELD. */
struct admin_open {
	int64_t msg_id;
	int status, try_no;
	char type[33], recipient[257], owner[STORE_ID_MAX + 1], channel[33],
		client_key[CLIENT_KEY_LEN + 1];
	char hold_code[RESULT_CODE_LEN + 1], pend_class[9], pend_code[RESULT_CODE_LEN + 1];
	int64_t since_ms;	   /* when the last attempt was claimed */
	int64_t due_ms, due_in_ms; /* the next look or the close time, as date and from now */
};
/* Rows of that status, the next due first. */
enum rc store_admin_open(struct store *s, enum row_status status, struct admin_open *rows,
			 size_t max, size_t *n, struct err *e) MUST_USE;

/* What an operator says became, or shall become, of one message. */
enum admin_verdict {
	/* The provider has it: 3, 4 -> 2. A report ends it, or the close time. */
	ADMIN_SENT,
	/* Nobody waits any longer: 3, 4 -> gone with UNKNOWN 8002 and no fallback. The word of an
	 * operator is no proof that no phone gets it, and FAIL could never be corrected by a late
	 * report. */
	ADMIN_FAILED,
	/* 3, 4 -> 0: sent again while an attempt is open. */
	ADMIN_RESEND,
	/* 4 -> 0: sent anew; only when every attempt certainly ended (the outcome is FAIL and could
	 * not be written). */
	ADMIN_REQUEUE,
};
enum admin_refusal {
	ADMIN_DONE,
	ADMIN_NO_ROW,
	ADMIN_WRONG_STATUS,
	ADMIN_NOT_OURS,	      /* an application wrote the agent's columns: care makes it new */
	ADMIN_OUTCOME_KNOWN,  /* it only could not be written yet */
	ADMIN_ATTEMPT_OPEN,   /* requeue: some attempt may have been taken */
	ADMIN_EXPIRED,	      /* it would not be sent any more */
	ADMIN_CANCELLED,      /* the same */
	ADMIN_CLOSES,	      /* resend: the close time comes before another attempt could end */
	ADMIN_KEYS_USED,      /* no generation of the client key is left */
	ADMIN_MAY_COME_TWICE, /* resend: to be confirmed by may_come_twice */
};
struct admin_order {
	int64_t msg_id;
	enum admin_verdict verdict;
	const char *by, *reason; /* for mt_history */
	bool may_come_twice;
	/* The only channel that the message can go out by, and how long that one recognises a key;
	 * 0: not at all. While the message may be sent a resend then keeps its key and needs no
	 * confirmation. */
	const char *channel;
	int64_t dedup_window_ms;
	/* answers */
	enum admin_refusal refusal; /* but for ADMIN_DONE nothing was changed */
	struct admin_row row;	    /* as it was found */
	int64_t until_close_ms;
	bool keeps_key;
};
/* In one transaction with its history row; the row is held still from the first look on. RC_DATA:
 * the database refuses the result. */
enum rc store_admin_decide(struct store *s, struct admin_order *o, struct err *e) MUST_USE;

#endif
