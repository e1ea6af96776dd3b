/* store_int.h - what the files of the store share: running statements, transactions, rows as
 * they stand.
 *
 * Only store*.c include this. A store belongs to the thread that opened it. At most one
 * statement has rows to be fetched at a time, and they are read to the end before the next
 * statement runs: not every client library can do more. After any result but RC_OK inside a
 * transaction the caller rolls back. */
#ifndef MTRELAY_STORE_INT_H
#define MTRELAY_STORE_INT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "agent/buf.h"
#include "agent/failpoint.h"
#include "agent/key.h"
#include "agent/store.h"
#include "agent/transition.h"

/* Lists are prepared once for each of these lengths and padded by repeating the last value. */
#define STORE_LIST_SIZES 4
#define STORE_LIST_MAX 500
#define STORE_COLS_MAX 48
#define STORE_MANY_ARGS 16

struct store_ready {
	struct db_stmt *st;
	struct db_sql sql;
	char *text;
	bool is_refused; /* this server does not know what the statement needs */
};

/* Servers without SKIP LOCKED do not tell which row is locked: halving waits for each half. Well
 * below times.stuck_limit. */
#define STORE_HALVE_MS 10000

struct store {
	const struct store_config *cfg;
	const struct db_driver *drv;
	struct db_session *db;
	const char *dialect;
	struct store_ready (*ready)[STORE_LIST_SIZES]; /* one line for each of sql_sources[] */
	struct db_value *list;			       /* arguments of a statement with a list */
	struct db_value *many; /* arguments of many rows: STORE_LIST_MAX times STORE_MANY_ARGS */
	struct db_stmt *rows;  /* being fetched */
	const char *rows_cols;
	struct db_value cols[STORE_COLS_MAX];
	bool in_tx;
	bool identity_is_plain;
	struct buf json;
	int64_t report_cursor, try_cursor;
	int64_t claim_around_ms; /* until then claims step around rows that others hold */
	int64_t claim_seq;	 /* after the last claim or re-send of this session */
	int64_t halve_until_ms;	 /* so long a call looks for the locked row by halving */
};

static inline struct db_value
v_int(int64_t i)
{
	return (struct db_value){ .type = DB_INT, .i = i };
}

static inline struct db_value
v_null(void)
{
	return (struct db_value){ .type = DB_NULL };
}

struct db_value store_v_text(const char *s);	     /* NULL becomes NULL */
struct db_value store_v_some(const char *s);	     /* NULL and "" become NULL */
struct db_value store_v_field(const struct text *t); /* one without bytes becomes NULL */

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* ---- statements; name is that of the file ---- */
bool store_has(const struct store *s, const char *name);
/* Prepares the forms for many rows: what an old server refuses is done row by row. Outside of a
 * transaction. */
enum rc store_try_sets(struct store *s, struct err *e) MUST_USE;
enum rc store_run(struct store *s, const char *name, const struct db_value *args, size_t n,
		  int64_t *affected, struct err *e) MUST_USE;
/* ids: 1 to STORE_LIST_MAX values in ascending order. */
enum rc store_run_list(struct store *s, const char *name, const struct db_value *args, size_t n,
		       const struct db_value *ids, size_t nids, int64_t *affected, struct err *e)
	MUST_USE;
/* affected has nrows places. Every row of arguments names one row of the table at most. */
enum rc store_run_many(struct store *s, const char *name, const struct db_value *args, size_t nrows,
		       int64_t *affected, struct err *e) MUST_USE;
/* The same through schema/<dialect>/<name>_set.sql, which takes all rows in one argument, as
 * JSON. *met counts the rows that it changed (which ones is to be seen in the table); -1: not
 * possible here, use store_run_many(). */
enum rc store_run_set(struct store *s, const char *name, const struct db_value *args, size_t nargs,
		      size_t nrows, int64_t *met, struct err *e) MUST_USE;
/* The rows of the last store_run() or store_run_list(): *more false at the end, or s->cols holds
 * the next one. */
enum rc store_next(struct store *s, bool *more, struct err *e) MUST_USE;
/* One row of integers and texts at most; *found tells. The columns stay in s->cols until the
 * next statement. */
enum rc store_one(struct store *s, const char *name, const struct db_value *args, size_t n,
		  bool *found, struct err *e) MUST_USE;

/* ---- transactions ---- */
enum rc store_begin(struct store *s, struct err *e) MUST_USE;
enum rc store_commit(struct store *s, struct err *e) MUST_USE;
void store_rollback(struct store *s);
/* Gives an armed fault point its sentence. */
enum rc store_fault(enum rc rc, const char *where, struct err *e);

/* ---- columns ---- */
/* False: there was nothing (NULL), or it did not fit and was cut. */
bool store_col_text(const struct db_value *v, char *dst, size_t size);

/* ---- rows as they stand ---- */
struct row_state {
	struct store_row row;
	char provider_id[PROVIDER_ID_MAX + 1];
	char fallback_type[9];
	char created_at[32];
	char pend_class[9];
	char pend_code[RESULT_CODE_LEN + 1];
	int64_t open_tries; /* older attempts of the leg in mt_try */
	bool own_closed; /* the row's own attempt was refused or failed, it waits for older ones */
	bool has_parts;	 /* some attempt of it was accepted in several parts */
};
/* A row whose columns of the agent an application wrote: no claim of ours made it. */
bool store_is_foreign(int64_t msg_id, int64_t fence, const struct db_value *client_key);
void store_state_from_cols(struct store *s, struct row_state *st);
/* Up to STORE_LIST_MAX rows; found[i] tells. */
enum rc store_states(struct store *s, const int64_t *ids, size_t n, struct row_state *st,
		     bool *found, struct err *e) MUST_USE;

/* What failed waited for a row that somebody else holds: a customer's transaction, usually. */
bool store_is_locked(const struct err *e);
/* Which of up to STORE_LIST_MAX rows somebody else holds now; *known false: this server cannot
 * tell. Outside of a transaction. */
enum rc store_find_locked(struct store *s, const int64_t *ids, size_t n, bool *is_locked,
			  bool *known, struct err *e) MUST_USE;
/* After a transaction about n rows failed with why, since somebody holds one of them: is_locked
 * (STORE_LIST_MAX places) tells which, or *halve: the halves are to be tried. RC_AGAIN: it cannot
 * be found out in time. */
enum rc store_look_around(struct store *s, const int64_t *ids, size_t n, const struct err *why,
			  bool *is_locked, bool *halve, struct err *e) MUST_USE;

struct history {
	int64_t msg_id;
	const char *created_at, *event, *who, *code, *client_key, *channel, *reason;
	int from, to; /* -1: none */
	int32_t leg, try_no;
};
enum rc store_history(struct store *s, const struct history *h, struct err *e) MUST_USE;

/* ---- the texts of claimed rows ---- */
/* ids are ours and SENDING; NULL: rows of the statement that is being fetched (claim_take). *got
 * counts out. */
enum rc store_read_messages(struct store *s, const struct db_value *ids, size_t n, struct batch *b,
			    struct message **out, size_t max, size_t *got, struct err *e) MUST_USE;
/* Keys of attempts that have none of their own yet, and req_keys that have a result. */
enum rc store_finish_messages(struct store *s, struct message **m, size_t n,
			      void (*judge)(void *arg, struct message *m), void *arg, struct err *e)
	MUST_USE;

/* ---- changes inside a transaction ---- */
struct work {
	struct change *c;
	size_t order;	/* place in the caller's array */
	unsigned round; /* the how manyeth change of this message */
	int64_t fence;	/* compare-and-set; -1: evidence that knows no fence */
	bool has_state;
	struct row_state *st;	   /* room of the caller's */
	bool to_finish;		   /* its result is written together with those of the others */
	bool unmatched;		   /* a report about nothing that is known here */
	enum report_answer report; /* what it was as a report */
};
/* All changes of w in one transaction that the caller opened. RC_DATA: at least one row is
 * refused by the database. */
enum rc store_apply_all(struct store *s, struct work *w, size_t n, struct err *e) MUST_USE;
/* A change that is refused when it stands alone: keeps its outcome in the row, in a transaction
 * of its own. why is what the database said. */
enum rc store_set_aside(struct store *s, struct work *w, const struct err *why, struct err *e)
	MUST_USE;

/* ---- parts inside a transaction ---- */
struct part {
	int64_t id;
	int32_t leg;
	/* after store_part_close() */
	bool closed;  /* this was the first final word about it */
	bool decides; /* with it the message failed, or is delivered */
	bool is_open; /* or it is not: others are awaited */
	unsigned parts;
};
/* Goes through the ids of the parts behind the first one; *list begins as NULL. False at the end,
 * and when c has no parts. */
bool store_part_id(const struct change *c, const char **list, struct db_value *id);
/* Is this the id of c or of one of its parts? */
bool store_has_id(const struct change *c, const char *provider_id);
/* Keeps the ids of those that were accepted in several parts. */
enum rc store_parts_add(struct store *s, struct work **w, size_t n, struct err *e) MUST_USE;
/* The part that the report c is about; the key of its attempt is that of one message only. */
enum rc store_part_find(struct store *s, const struct change *c, struct part *out, bool *found,
			struct err *e) MUST_USE;
/* What c says about it. The row of the message has to be written before, in the same transaction:
 * of two reports at the same time one must see the other. */
enum rc store_part_close(struct store *s, const struct change *c, enum result_class class,
			 struct part *p, struct err *e) MUST_USE;
/* Where there is no row any more, the parts themselves are locked instead. */
enum rc store_part_hold(struct store *s, const struct change *c, struct err *e) MUST_USE;

/* ---- reports inside a transaction ---- */
struct kept_report {
	int64_t id;
	struct report r;
};
/* Kept reports that name one of these attempts; *out is freed by the caller. */
enum rc store_kept_find(struct store *s, struct work **w, size_t n, struct kept_report **out,
			size_t *count, struct err *e) MUST_USE;
/* The rows of report_page. */
enum rc store_kept_page(struct store *s, const struct db_value *args, size_t nargs,
			struct kept_report **out, size_t *count, struct err *e) MUST_USE;
enum rc store_kept_drop(struct store *s, const struct kept_report *k, size_t n, struct err *e)
	MUST_USE;
/* What r says about the attempt with that key, as a change. */
void store_change_of_report(const struct report *r, int64_t msg_id, const char *client_key,
			    struct change *c);

#endif
