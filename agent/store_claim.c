#include "config.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "agent/blackbox.h"
#include "agent/clock.h"
#include "agent/key.h"
#include "agent/store_int.h"
#include "agent/text.h"

/* DIAGNOSTICS: RC_NOMEM from store_claim() and store_resend() means that the texts of so many
 * rows do not fit the batch (or there is no memory): nothing was claimed, ask for fewer with a
 * new batch. RC_LOST: the database gave other rows than were marked; so does a node of a cluster
 * that has undone the transaction for another node's and has not yet said so. After RC_UNSURE the
 * rows may be ours without anybody knowing them: store_list_own() names them, they were never
 * handed out and may be released. */

#define PEEK_QUEUES 18
#define AROUND_MS 60000 /* how long claims step around rows that somebody holds */
#define TOO_LONG_KEPT_BYTES 256

enum rc
store_peek(struct store *s, const struct store_queue *q, size_t n, bool *due, struct err *e)
{
	for (size_t from = 0; from < n; from += PEEK_QUEUES) {
		struct db_value args[2 * PEEK_QUEUES];
		size_t here = n - from < PEEK_QUEUES ? n - from : PEEK_QUEUES;
		bool found;
		enum rc rc;

		for (size_t i = 0; i < PEEK_QUEUES; i++) {
			/* No row has the empty type: one look at the index. */
			args[2 * i] = store_v_text(i < here ? msg_type_name(q[from + i].type) : "");
			args[2 * i + 1] = v_int(i < here ? q[from + i].priority : 0);
		}
		rc = store_one(s, "peek", args, COUNT_OF(args), &found, e);
		if (rc != RC_OK)
			return rc;
		for (size_t i = 0; i < here; i++)
			due[from + i] = found && s->cols[i].i == 1;
	}
	return RC_OK;
}

/* ---- reading rows into a batch ---- */

struct reader {
	struct store *s;
	struct batch *batch;
	size_t at; /* the next column */
	bool full; /* the batch took no more */
};

static int64_t
read_int(struct reader *r)
{
	const struct db_value *v = &r->s->cols[r->at++];

	return v->type == DB_INT ? v->i : 0;
}

static struct text
read_text_cap(struct reader *r, size_t cap)
{
	const struct db_value *v = &r->s->cols[r->at++];
	struct text t = { NULL, 0, 0 };

	if (v->type == DB_NULL || v->p == NULL)
		return t;
	t.full = v->n;
	t.n = v->n <= cap ? v->n : text_utf8_cut(v->p, v->n, cap);
	t.p = batch_text(r->batch, v->p, t.n);
	if (t.p == NULL) {
		r->full = true;
		t.n = 0;
	}
	return t;
}

static struct text
read_text(struct reader *r)
{
	return read_text_cap(r, SIZE_MAX);
}

/* A text and behind it its true length. Of one that is refused for its length the beginning is
 * enough: 500 of them must not fill the memory. */
static struct text
read_long(struct reader *r)
{
	const struct db_value *length = &r->s->cols[r->at + 1];
	bool is_too_long = length->type == DB_INT && length->i > r->s->cfg->body_cap_bytes;
	struct text t = read_text_cap(r, is_too_long ? TOO_LONG_KEPT_BYTES
						     : (size_t)r->s->cfg->body_cap_bytes);
	int64_t full = read_int(r);

	if (full > 0 && (size_t)full > t.full)
		t.full = (size_t)full;
	return t;
}

static void
read_fixed(struct reader *r, char *dst, size_t size)
{
	(void)store_col_text(&r->s->cols[r->at++], dst, size);
}

static void
use_fallback_texts(struct message *m)
{
	if (m->fallback_subject.n > 0)
		m->subject = m->fallback_subject;
	if (m->fallback_body.n > 0)
		m->body = m->fallback_body;
	if (m->fallback_file_key.n > 0)
		m->file_key = m->fallback_file_key;
}

/* In the order of schema/<dialect>/message_read.sql. */
static void
read_message(struct reader *r, struct message *m)
{
	struct text asked;

	r->at = 0;
	m->msg_id = read_int(r);
	blackbox_at(BOX_READ, m->msg_id, 0);
	m->fence = read_int(r);
	m->try_no = (int32_t)read_int(r);
	m->leg = (int32_t)read_int(r);
	m->generation = (int32_t)read_int(r);
	read_fixed(r, m->client_key, sizeof m->client_key);
	read_fixed(r, m->channel, sizeof m->channel);
	read_fixed(r, m->created_at, sizeof m->created_at);
	m->type_text = read_text(r);
	m->type = msg_type_parse(m->type_text.p, m->type_text.n);
	asked = read_text(r);
	m->asked_type = msg_type_parse(asked.p, asked.n);
	m->priority = (int)read_int(r);
	m->expire_in_s = read_int(r) / 1000;
	m->cancel = read_int(r) == 1;
	m->is_ad = read_int(r) == 1;
	m->is_resend = read_int(r) == 1;
	m->older_open = read_int(r) > 0;
	m->is_shunned = blackbox_shuns(m->msg_id, blackbox_made(m->created_at));
	if (m->is_shunned) {
		blackbox_off();
		return;
	}
	blackbox_at(BOX_READ, m->msg_id, blackbox_made(m->created_at));
	m->req_key = read_text(r);
	m->sender = read_text(r);
	m->recipient = read_text(r);
	m->subject = read_text(r);
	m->body = read_long(r);
	m->vars = read_long(r);
	m->profile_key = read_text(r);
	m->template_code = read_text(r);
	m->payload = read_long(r);
	m->file_key = read_text(r);
	m->fallback_type = read_text(r);
	m->fallback_subject = read_text(r);
	m->fallback_body = read_long(r);
	m->fallback_file_key = read_text(r);
	m->group_key = read_text(r);
	m->dept_code = read_text(r);
	m->origin_code = read_text(r);
	m->etc1 = read_text(r);
	m->etc2 = read_text(r);
	m->etc3 = read_text(r);
	m->etc4 = read_text(r);
	m->send_at = read_text(r);
	(void)FAILPOINT_TEXT(row_read, m->body.p, m->body.n);
	blackbox_off();
}

enum rc
store_read_messages(struct store *s, const struct db_value *ids, size_t n, struct batch *b,
		    struct message **out, size_t max, size_t *got, struct err *e)
{
	struct reader r = { .s = s, .batch = b };
	bool more = true;
	enum rc rc = RC_OK;

	*got = 0;
	if (ids != NULL) {
		const struct db_value cap = v_int(s->cfg->body_cap_bytes);
		const struct db_value args[] = { v_int(s->cfg->expire_after_ms),
						 cap,
						 cap,
						 cap,
						 cap,
						 store_v_text(s->cfg->agent_id),
						 v_int(s->cfg->incarnation) };

		rc = store_run_list(s, "message_read", args, COUNT_OF(args), ids, n, NULL, e);
	}
	while (rc == RC_OK) {
		struct message *m;

		rc = store_next(s, &more, e);
		if (rc != RC_OK || !more)
			break;
		if (*got == max)
			return err_set(e, RC_BUG, 0, "store.claim",
				       "the database gave more than the %zu rows that were marked",
				       max);
		m = batch_message(b);
		if (m != NULL)
			read_message(&r, m);
		if (m == NULL || r.full)
			return err_set(e, RC_NOMEM, 0, "store.claim",
				       "the texts of these rows are larger than a batch may be");
		out[(*got)++] = m;
	}
	return rc;
}

/* ---- keys ---- */

#define KEY_ARGS 5 /* of claim_key */

/* A row as it stood before the rules ran. */
struct judged {
	enum msg_type type;
	char channel[CHANNEL_NAME_MAX + 1];
};

static bool
has_own_key(const struct store *s, const struct message *m)
{
	struct key_parts k;

	return key_decode(m->client_key, strlen(m->client_key), &k) &&
	       k.installation == s->cfg->installation && k.msg_id == m->msg_id &&
	       k.leg == (unsigned)m->leg && k.generation == (unsigned)m->generation;
}

/* The key of each attempt, made of the texts as they stand in the table: all legs of a message
 * have the same fingerprint. */
static void
make_keys(const struct store *s, struct message **m, size_t n, bool *is_new)
{
	for (size_t i = 0; i < n; i++) {
		struct key_parts k = { .version = KEY_VERSION,
				       .installation = s->cfg->installation,
				       .msg_id = m[i]->msg_id,
				       .leg = (unsigned)m[i]->leg,
				       .generation = (unsigned)m[i]->generation };

		k.fingerprint = key_fingerprint(m[i]->created_at, m[i]->recipient.p,
						m[i]->recipient.n, m[i]->body.p, m[i]->body.n);
		/* While an attempt is open its key stays, whatever became of the settings. */
		is_new[i] =
			!has_own_key(s, m[i]) && !(m[i]->is_resend && m[i]->client_key[0] != '\0');
		if (is_new[i])
			key_encode(&k, m[i]->client_key);
	}
}

/* What an attempt goes out as, by which channel and under which key, is in the table before a byte
 * of it can leave. */
static enum rc
write_keys(struct store *s, struct message **m, size_t n, const bool *is_new,
	   const struct judged *was, struct err *e)
{
	struct db_value args[KEY_ARGS * STORE_LIST_MAX];
	int64_t affected[STORE_LIST_MAX];
	int64_t met;
	size_t rows = 0;
	enum rc rc;

	for (size_t i = 0; i < n; i++) {
		bool is_resolved = m[i]->type != was[i].type && m[i]->type != MSG_TYPE_NONE;
		bool is_routed = strcmp(m[i]->channel, was[i].channel) != 0;
		struct db_value *a = &args[KEY_ARGS * rows];

		if (!is_new[i] && !is_resolved && !is_routed)
			continue;
		a[0] = store_v_text(m[i]->client_key);
		a[1] = is_resolved ? store_v_text(msg_type_name(m[i]->type)) : v_null();
		a[2] = is_routed ? store_v_text(m[i]->channel) : v_null();
		a[3] = v_int(m[i]->msg_id);
		a[4] = v_int(m[i]->fence);
		rows++;
	}
	if (rows == 0)
		return RC_OK;
	rc = store_run_set(s, "claim_key", args, KEY_ARGS, rows, &met, e);
	if (rc != RC_OK || met == (int64_t)rows)
		return rc;
	rc = store_run_many(s, "claim_key", args, rows, affected, e);
	for (size_t i = 0; rc == RC_OK && i < rows; i++)
		if (affected[i] != 1)
			rc = err_set(e, RC_LOST, 0, "store.claim",
				     "row %" PRId64 " was claimed and could not be given its key",
				     args[KEY_ARGS * i + 3].i);
	return rc;
}

static int
by_text(const void *a, const void *b)
{
	const struct db_value *x = a;
	const struct db_value *y = b;
	int c = memcmp(x->p, y->p, x->n < y->n ? x->n : y->n);

	return c != 0 ? c : x->n < y->n ? -1 : x->n > y->n;
}

static enum rc
find_repeats(struct store *s, struct message **m, size_t n, struct err *e)
{
	struct db_value keys[STORE_LIST_MAX];
	size_t nkeys = 0;
	bool more = true;
	enum rc rc;

	for (size_t i = 0; i < n; i++)
		if (m[i]->req_key.n > 0)
			keys[nkeys++] = store_v_field(&m[i]->req_key);
	if (nkeys == 0)
		return RC_OK;
	qsort(keys, nkeys, sizeof keys[0], by_text);
	rc = store_run_list(s, "result_req_keys", NULL, 0, keys, nkeys, NULL, e);
	while (rc == RC_OK) {
		rc = store_next(s, &more, e);
		if (rc != RC_OK || !more)
			break;
		for (size_t i = 0; i < n; i++)
			if (m[i]->req_key.n > 0 && m[i]->req_key.n == s->cols[0].n &&
			    memcmp(m[i]->req_key.p, s->cols[0].p, s->cols[0].n) == 0)
				m[i]->is_repeated = true;
	}
	return rc;
}

enum rc
store_finish_messages(struct store *s, struct message **m, size_t n,
		      void (*judge)(void *arg, struct message *m), void *arg, struct err *e)
{
	bool is_new[STORE_LIST_MAX];
	struct judged was[STORE_LIST_MAX];
	enum rc rc;

	make_keys(s, m, n, is_new);
	rc = find_repeats(s, m, n, e);
	for (size_t i = 0; i < n; i++) {
		was[i].type = m[i]->type;
		memcpy(was[i].channel, m[i]->channel, sizeof was[i].channel);
		if (m[i]->leg > 0)
			use_fallback_texts(m[i]);
		if (rc == RC_OK && judge != NULL && !m[i]->is_shunned) {
			blackbox_at(BOX_JUDGE, m[i]->msg_id, blackbox_made(m[i]->created_at));
			(void)FAILPOINT_TEXT(row_judge, m[i]->body.p, m[i]->body.n);
			judge(arg, m[i]);
			blackbox_off();
		}
	}
	return rc == RC_OK ? write_keys(s, m, n, is_new, was, e) : rc;
}

/* ---- claim ---- */

static int
by_due(const void *a, const void *b)
{
	const struct message *x = *(struct message *const *)a;
	const struct message *y = *(struct message *const *)b;
	int c = strcmp(x->send_at.p != NULL ? x->send_at.p : "",
		       y->send_at.p != NULL ? y->send_at.p : "");

	return c != 0 ? c : x->msg_id < y->msg_id ? -1 : x->msg_id > y->msg_id;
}

static int
by_int(const void *a, const void *b)
{
	const struct db_value *x = a;
	const struct db_value *y = b;

	return x->i < y->i ? -1 : x->i > y->i;
}

static enum rc
pick(struct store *s, const char *how, const struct store_claim *c, size_t want,
     struct db_value *ids, size_t *n, struct err *e)
{
	const struct db_value args[] = { store_v_text(msg_type_name(c->queue.type)),
					 v_int(c->queue.priority), v_int((int64_t)want) };
	bool more = true;
	enum rc rc = store_run(s, how, args, COUNT_OF(args), NULL, e);

	*n = 0;
	while (rc == RC_OK) {
		rc = store_next(s, &more, e);
		if (rc != RC_OK || !more || *n == want)
			break;
		ids[(*n)++] = v_int(s->cols[0].i);
	}
	if (rc == RC_OK)
		qsort(ids, *n, sizeof ids[0], by_int);
	return rc;
}

/* One statement marks and returns the rows. */
static enum rc
take(struct store *s, struct store_claim *c, size_t want, size_t *got, struct err *e)
{
	const struct db_value cap = v_int(s->cfg->body_cap_bytes);
	const struct db_value args[] = {
		store_v_text(s->cfg->agent_id),
		v_int(s->cfg->incarnation),
		v_int(s->cfg->row_lease_ms),
		store_v_text(msg_type_name(c->queue.type)),
		v_int(c->queue.priority),
		v_int((int64_t)want),
		v_int(s->cfg->expire_after_ms),
		cap,
		cap,
		cap,
		cap,
	};
	enum rc rc = store_run(s, "claim_take", args, COUNT_OF(args), NULL, e);

	if (rc == RC_OK)
		rc = store_read_messages(s, NULL, 0, c->batch, c->out, want, got, e);
	c->candidates = (unsigned)*got;
	return rc;
}

/* Marks those picked rows that are still READY and reads them. */
static enum rc
mark(struct store *s, struct store_claim *c, const struct db_value *ids, size_t n, size_t *got,
     struct err *e)
{
	const struct db_value args[] = {
		store_v_text(s->cfg->agent_id), v_int(s->cfg->incarnation),
		v_int(s->cfg->row_lease_ms),	store_v_text(msg_type_name(c->queue.type)),
		v_int(c->queue.priority),
	};
	int64_t affected = 0;
	enum rc rc = store_run_list(s, "claim_mark", args, COUNT_OF(args), ids, n, &affected, e);

	*got = 0;
	if (rc != RC_OK || affected == 0)
		return rc;
	rc = store_read_messages(s, ids, n, c->batch, c->out, n, got, e);
	if (rc == RC_OK && (int64_t)*got != affected)
		rc = err_set(e, RC_LOST, 0, "store.claim",
			     "%" PRId64 " rows were marked and %zu came back", affected, *got);
	return rc;
}

/* All claims and re-sends of an agent go through one session, one after the other; the caller may
 * not have heard of the last one when it asks for the next. *seq: what the counter is after the
 * COMMIT. */
static enum rc
raise_seq(struct store *s, int64_t *seq, int64_t beat_seq, bool *raised, struct err *e)
{
	int64_t known = *seq > s->claim_seq ? *seq : s->claim_seq;
	const struct db_value args[] = { store_v_text(s->cfg->agent_id), v_int(s->cfg->incarnation),
					 v_int(known), v_int(beat_seq) };
	int64_t affected = 0;
	enum rc rc = store_run(s, "claim_seq", args, COUNT_OF(args), &affected, e);

	*raised = rc == RC_OK && affected == 1;
	if (*raised)
		*seq = known + 1;
	else if (rc == RC_OK)
		s->claim_seq = 0; /* the heartbeat tells the caller what it is */
	return rc;
}

static enum rc
commit_counted(struct store *s, int64_t seq, int64_t *told, struct err *e)
{
	enum rc rc = store_commit(s, e);

	if (rc == RC_OK)
		*told = s->claim_seq = seq;
	return rc;
}

static enum rc
claim_in_tx(struct store *s, struct store_claim *c, const struct db_value *ids, size_t n,
	    size_t *got, struct err *e)
{
	int64_t seq = c->claim_seq;
	bool raised = false;
	enum rc rc = raise_seq(s, &seq, c->beat_seq, &raised, e);

	c->seq_mismatch = rc == RC_OK && !raised;
	if (rc != RC_OK || !raised)
		return rc;
	rc = ids != NULL ? mark(s, c, ids, n, got, e) : take(s, c, n, got, e);
	if (rc == RC_OK && *got > 0)
		rc = store_finish_messages(s, c->out, *got, c->judge, c->judge_arg, e);
	if (rc != RC_OK || *got == 0)
		return rc;
	rc = store_fault(FAILPOINT(claim_before_commit), "store.claim", e);
	if (rc == RC_OK)
		rc = commit_counted(s, seq, &c->claim_seq, e);
	if (rc == RC_OK)
		rc = store_fault(FAILPOINT(claim_after_commit), "store.claim", e);
	return rc;
}

enum rc
store_claim(struct store *s, struct store_claim *c, struct err *e)
{
	struct db_value ids[STORE_LIST_MAX];
	bool in_one = store_has(s, "claim_take");
	size_t n = c->want < STORE_LIST_MAX ? c->want : STORE_LIST_MAX;
	size_t got = 0;
	struct err why;
	enum rc rc;

	c->got = 0;
	c->candidates = 0;
	c->seq_mismatch = false;
	if (!in_one) {
		/* Outside of the transaction: an empty queue costs no write. */
		bool around = s->claim_around_ms > clock_mono_ms();
		size_t want = n;

		rc = pick(s, around ? "claim_pick_free" : "claim_pick", c, want, ids, &n, e);
		/* SKIP LOCKED is younger than some servers. */
		if (around && (rc == RC_CONFIG || rc == RC_DATA)) {
			s->claim_around_ms = -1; /* not here */
			rc = pick(s, "claim_pick", c, want, ids, &n, e);
		}
		if (rc != RC_OK)
			return rc;
		c->candidates = (unsigned)n;
	}
	if (n == 0)
		return RC_OK;
	rc = store_begin(s, e);
	if (rc != RC_OK)
		return rc;
	rc = claim_in_tx(s, c, in_one ? NULL : ids, n, &got, &why);
	if (rc != RC_OK || s->in_tx)
		store_rollback(s);
	/* A customer's transaction holds the head of the queue: what lies behind it does not wait.
	 */
	if (rc == RC_AGAIN && store_is_locked(&why) && store_has(s, "claim_pick_free") &&
	    s->claim_around_ms >= 0)
		s->claim_around_ms = clock_mono_ms() + AROUND_MS;
	if (rc != RC_OK && e != NULL)
		*e = why;
	if (rc != RC_OK)
		return rc;
	/* No statement promises an order of what it marked. */
	qsort(c->out, got, sizeof c->out[0], by_due);
	c->got = (unsigned)got;
	return RC_OK;
}

/* ---- another attempt ---- */

/* The attempt so far becomes one of mt_try, still open; the row gets another generation. */
static enum rc
keep_attempt(struct store *s, const struct store_resend *r, struct err *e)
{
	const struct db_value args[] = { store_v_text("OPEN"), store_v_text("OPEN"), v_null(),
					 v_int(r->msg_id), v_int(r->fence) };

	return store_run(s, "try_add", args, COUNT_OF(args), NULL, e);
}

static enum rc
resend_one(struct store *s, const struct store_resend *r, bool *done, struct err *e)
{
	const struct db_value args[] = {
		store_v_text(s->cfg->agent_id),
		v_int(s->cfg->incarnation),
		v_int(s->cfg->row_lease_ms),
		v_int(r->new_generation ? 1 : 0),
		r->new_generation ? v_null() : store_v_text("OPEN"),
		v_int(r->msg_id),
		v_int(r->fence),
		v_int(s->cfg->close_after_ms),
		v_int(s->cfg->row_lease_ms),
	};
	struct row_state st;
	int64_t affected = 0;
	bool found = false;
	enum rc rc;

	*done = false;
	rc = store_states(s, &r->msg_id, 1, &st, &found, e);
	if (rc != RC_OK || !found)
		return rc;
	/* Done by an earlier call whose answer was lost. */
	if (st.row.status == ROW_SENDING && st.row.fence == r->fence + 1 &&
	    st.row.incarnation == s->cfg->incarnation &&
	    strcmp(st.row.owner, s->cfg->agent_id) == 0) {
		*done = true;
		return RC_OK;
	}
	if (st.row.status != ROW_UNKNOWN || st.row.fence != r->fence ||
	    st.row.until_close_ms <= s->cfg->row_lease_ms ||
	    (r->new_generation && st.row.generation >= KEY_GENERATION_MAX))
		return RC_OK;
	if (r->new_generation) {
		rc = keep_attempt(s, r, e);
		if (rc != RC_OK)
			return rc;
	}
	rc = store_run(s, "resend", args, COUNT_OF(args), &affected, e);
	*done = rc == RC_OK && affected == 1;
	/* The attempt in mt_try must not stand there without the row having moved. */
	if (rc == RC_OK && !*done && r->new_generation)
		rc = err_set(e, RC_AGAIN, 0, "store.resend", "row %" PRId64 " moved on meanwhile",
			     r->msg_id);
	return rc;
}

static enum rc
resend_in_tx(struct store *s, const struct store_resend *r, size_t n, struct store_count *count,
	     struct batch *b, struct message **out, size_t *got, struct err *e)
{
	struct db_value ids[STORE_LIST_MAX];
	int64_t seq = count->claim_seq;
	size_t marked = 0;
	bool may = false;
	enum rc rc = raise_seq(s, &seq, count->beat_seq, &may, e);

	count->mismatch = rc == RC_OK && !may;
	for (size_t i = 0; rc == RC_OK && may && i < n; i++) {
		bool done;

		rc = resend_one(s, &r[i], &done, e);
		if (rc == RC_OK && done)
			ids[marked++] = v_int(r[i].msg_id);
	}
	if (rc != RC_OK || marked == 0)
		return rc;
	qsort(ids, marked, sizeof ids[0], by_int);
	rc = store_read_messages(s, ids, marked, b, out, n, got, e);
	if (rc == RC_OK && *got != marked)
		rc = err_set(e, RC_LOST, 0, "store.resend",
			     "%zu rows were marked and %zu came back", marked, *got);
	if (rc == RC_OK)
		rc = store_finish_messages(s, out, *got, NULL, NULL, e);
	if (rc == RC_OK)
		rc = store_fault(FAILPOINT(resend_before_commit), "store.resend", e);
	if (rc == RC_OK)
		rc = commit_counted(s, seq, &count->claim_seq, e);
	if (rc == RC_OK)
		rc = store_fault(FAILPOINT(resend_after_commit), "store.resend", e);
	return rc;
}

enum rc
store_resend(struct store *s, const struct store_resend *r, size_t n, struct store_count *count,
	     struct batch *b, struct message **out, size_t *got, struct err *e)
{
	enum rc rc;

	*got = 0;
	count->mismatch = false;
	if (n == 0)
		return RC_OK;
	if (n > STORE_LIST_MAX)
		return err_set(e, RC_BUG, 0, "store.resend", "asked for %zu rows at once", n);
	rc = store_begin(s, e);
	if (rc != RC_OK)
		return rc;
	rc = resend_in_tx(s, r, n, count, b, out, got, e);
	if (rc != RC_OK || s->in_tx)
		store_rollback(s);
	if (rc != RC_OK)
		*got = 0;
	return rc;
}
