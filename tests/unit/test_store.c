/* The store: every transaction of the agent, on the SQLite of the test process, or on the
 * database that the environment names (tests/integration/test_store_sql.py runs the same cases
 * on MariaDB, PostgreSQL and SQLite through ODBC): MTRELAY_STORE_DRIVER, _CONNECTION, _HOST,
 * _PORT, _SOCKET, _NAME, _USER, _PASSWORD. The tables are made and emptied. */
#include "config.h"
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/batch.h"
#include "agent/clock.h"
#include "agent/dialect.h"
#include "agent/key.h"
#include "agent/schema.h"
#include "agent/store.h"
#include "agent/store_int.h"
#include "agent/text.h"
#include "agent/transition.h"
#include "drivers/db/db.h"
#include "drivers/db/mem.h"
#include "schema/sql_source.h"
#include "tests/unit/unit.h"

#define HOUR_MS INT64_C(3600000)

static const struct db_driver *driver;
static struct db_params params;
static bool is_mem;
static struct store_config cfg;
static struct store *st;
static struct db_session *raw; /* what applications and operators do */
static const char *dialect;
static int64_t seq;

/* ---- helpers ---- */

#define OK(call)                                                   \
	do {                                                       \
		struct err e_ = { 0 };                             \
		enum rc rc_ = (call);                              \
		if (rc_ != RC_OK)                                  \
			fail_msg("%s: %s", rc_name(rc_), e_.text); \
	} while (0)
#define E (&e_)

static void
sql(const char *text)
{
	struct err e = { 0 };

	if (driver->exec_text(raw, text, &e) != RC_OK)
		fail_msg("%s: %s", text, e.text);
}

#define SQLF(...)                                               \
	do {                                                    \
		char sql_[1000];                                \
		(void)snprintf(sql_, sizeof sql_, __VA_ARGS__); \
		sql(sql_);                                      \
	} while (0)

/* The first column of the first row as text; "NULL", "none" without a row. */
static const char *
ask(const char *text)
{
	static char answers[8][300];
	static unsigned turn;
	char *out = answers[turn++ % 8];
	const struct db_sql q = { .name = "ask", .text = text, .cols = "t" };
	struct db_value v = { 0 };
	struct db_stmt *stmt;
	bool more = false;

	OK(driver->prepare(raw, &q, &stmt, E));
	OK(driver->exec(stmt, NULL, NULL, E));
	OK(driver->fetch(stmt, &v, &more, E));
	if (!more)
		(void)snprintf(out, 300, "none");
	else if (v.type == DB_NULL)
		(void)snprintf(out, 300, "NULL");
	else
		(void)text_copy_n(out, 300, v.p, v.n);
	driver->finish(stmt);
	return out;
}

static int64_t
number(const char *text)
{
	int64_t v = -1;
	const char *a = ask(text);

	if (!text_i64(a, INT64_MIN, INT64_MAX, &v))
		fail_msg("%s: %s", text, a);
	return v;
}

static const char *
row_text(const char *col, int64_t id)
{
	char q[200];

	(void)snprintf(q, sizeof q, "SELECT %s FROM mt_send WHERE msg_id = %" PRId64, col, id);
	return ask(q);
}

static const char *
result_text_of(const char *col, int64_t id)
{
	char q[200];

	(void)snprintf(q, sizeof q, "SELECT %s FROM mt_result WHERE msg_id = %" PRId64, col, id);
	return ask(q);
}

/* An expression for the time ms from now. */
static const char *
at(int64_t ms)
{
	static char out[4][160];
	static unsigned turn;
	char *p = out[turn++ % 4];

	if (strcmp(dialect, "sqlite") == 0)
		(void)snprintf(p, 160,
			       "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now', '%+.3f seconds')",
			       (double)ms / 1000.0);
	else if (strcmp(dialect, "mysql") == 0)
		(void)snprintf(p, 160, "NOW(3) + INTERVAL %" PRId64 " MICROSECOND", ms * 1000);
	else
		(void)snprintf(p, 160, "clock_timestamp() + INTERVAL '%" PRId64 " milliseconds'",
			       ms);
	return p;
}

static int64_t
insert(const char *type)
{
	SQLF("INSERT INTO mt_send (msg_type, sender, recipient, body) VALUES ('%s', '0212345678', "
	     "'01012345678', 'hello')",
	     type);
	return number("SELECT MAX(msg_id) FROM mt_send");
}

static void
reopen(void)
{
	store_close(st);
	st = NULL;
	OK(store_open(&cfg, &st, E));
}

static void
register_agent(const char *journal)
{
	struct store_agent a = { .pid = 42 };
	struct store_registration reg;

	(void)text_copy(a.journal_id, sizeof a.journal_id, journal);
	(void)text_copy(a.boot_id, sizeof a.boot_id, "boot");
	(void)text_copy(a.host, sizeof a.host, "host-1");
	(void)text_copy(a.version, sizeof a.version, "0.1");
	OK(store_register(st, &a, &reg, E));
	seq = reg.claim_seq;
}

static int
setup(void **state)
{
	static const char *const tables[] = { "send",	 "result", "try", "report",
					      "history", "agent",  "recv" };

	(void)state;
	for (size_t i = 0; i < NELEM(tables); i++)
		SQLF("DELETE FROM mt_%s", tables[i]);
	sql("UPDATE mt_meta SET frozen = 'N', freeze_epoch = 0");
	cfg.agent_id = "agent-1";
	cfg.agent_lease_ms = 30000;
	cfg.row_lease_ms = 120000;
	cfg.text_policy = TEXT_KEEP;
	reopen();
	register_agent("journal-1");
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	if (is_mem)
		db_mem_fail_at(0, RC_OK, false);
	store_close(st);
	st = NULL;
	return 0;
}

struct claimed {
	struct batch *batch;
	struct message *m[100];
	unsigned n;
	bool mismatch;
};

static void
claim_type(struct claimed *k, enum msg_type type, unsigned want)
{
	struct store_claim c = {
		.queue = { type, 1 }, .want = want, .claim_seq = seq, .out = k->m
	};

	k->batch = batch_new(1 << 20);
	c.batch = k->batch;
	OK(store_claim(st, &c, E));
	k->n = c.got;
	k->mismatch = c.seq_mismatch;
	if (c.got > 0)
		seq = c.claim_seq;
}

static void
let_go(struct claimed *k)
{
	batch_free(k->batch);
}

static struct change
change_of(enum change_kind kind, const struct message *m)
{
	struct change c = { .kind = kind,
			    .msg_id = m->msg_id,
			    .fence = m->fence,
			    .leg = m->leg,
			    .try_no = m->try_no,
			    .client_key = m->client_key,
			    .m = m,
			    .new_type = MSG_TYPE_NONE };

	(void)text_copy(c.channel, sizeof c.channel, "ch");
	return c;
}

static void
set_result(struct change *c, enum result_class class, const char *code)
{
	c->class = class;
	(void)text_copy(c->code, sizeof c->code, code);
}

static void
apply_one(struct change *c, enum change_answer expected)
{
	OK(store_apply(st, c, 1, E));
	if (c->answer != expected)
		fail_msg("answer %d instead of %d", (int)c->answer, (int)expected);
}

/* Claims one new row and gives it to the caller. */
static struct message *
one_claimed(struct claimed *k)
{
	(void)insert("SMS");
	claim_type(k, MSG_TYPE_SMS, 10);
	assert_int_equal(k->n, 1);
	return k->m[0];
}

static struct change
accepted(struct message *m, const char *provider_id)
{
	struct change c = change_of(CHANGE_ACCEPT, m);

	(void)text_copy(c.provider_id, sizeof c.provider_id, provider_id);
	apply_one(&c, CHANGED);
	m->fence = c.new_fence;
	return c;
}

static struct report_item
report(enum report_class class, const char *key, const char *provider_id, const char *code)
{
	struct report_item r = { .r = { .class = class } };

	(void)text_copy(r.r.client_key, sizeof r.r.client_key, key);
	(void)text_copy(r.r.provider_id, sizeof r.r.provider_id, provider_id);
	(void)text_copy(r.r.channel, sizeof r.r.channel, "ch");
	(void)text_copy(r.r.code, sizeof r.r.code, code);
	return r;
}

static void
report_one(struct report_item *r, enum report_answer expected)
{
	OK(store_reports(st, r, 1, E));
	if (r->answer != expected)
		fail_msg("report answer %d instead of %d", (int)r->answer, (int)expected);
}

/* ---- statements ---- */

static void
test_transitions(void **state)
{
	(void)state;
	for (int k = 0; k < TRANSITION_COUNT; k++) {
		const struct transition *t = transition_get((enum transition_kind)k);
		const struct sql_source *src = sql_source_find(dialect, t->statement);
		const char *p;
		char from[16] = "";
		size_t n = 0;

		if (src == NULL && strcmp(t->statement, "claim_mark") == 0)
			src = sql_source_find(dialect, "claim_take");
		assert_non_null(src);
		p = strstr(src->text, "AND status = ");
		if (p == NULL && strstr(src->text, "WHERE status = 0 AND msg_type") != NULL)
			p = strstr(src->text, "WHERE status = 0") - 0;
		if (p != NULL) {
			from[n++] = *(strstr(p, "status = ") + strlen("status = "));
		} else if ((p = strstr(src->text, "AND status IN (")) != NULL) {
			for (p += strlen("AND status IN ("); *p != ')'; p++)
				if (*p >= '0' && *p <= '9')
					from[n++] = *p;
		} else if (strstr(src->text, "AND status <> 0") != NULL) {
			(void)text_copy(from, sizeof from, "12345");
		} else {
			(void)text_copy(from, sizeof from,
					"012345"); /* by msg_id and fence alone */
		}
		if (strcmp(from, t->from) != 0)
			fail_msg("%s starts from %s, agent/transition.def says %s", t->statement,
				 from, t->from);
	}
}

static void
test_every_statement_prepares(void **state)
{
	(void)state;
	for (size_t i = 0; i < sql_source_count; i++) {
		const struct sql_source *src = &sql_sources[i];
		struct db_sql q = { .name = src->name,
				    .nargs = src->nargs,
				    .cols = src->cols,
				    .is_write = src->is_write };
		struct buf text;
		struct db_stmt *stmt;
		struct err e = { 0 };

		if (strcmp(src->dialect, dialect) != 0 || src->is_script)
			continue;
		buf_init(&text, 65536);
		OK(dialect_expand(dialect, "mt_", src->text, 1, &text, E));
		q.text = buf_text(&text);
		if (strstr(src->args, "ids") != NULL)
			q.nargs++;
		if (driver->prepare(raw, &q, &stmt, &e) != RC_OK) {
			/* MySQL before 8.0 and MariaDB before 10.6 cannot take JSON apart: row
			 * by row there. */
			if (strcmp(src->args, "rows") != 0)
				fail_msg("%s: %s", src->name, e.text);
			buf_free(&text);
			continue;
		}
		driver->finish(stmt);
		buf_free(&text);
	}
}

/* ---- facts and registration ---- */

static void
test_facts(void **state)
{
	struct store_facts f;

	(void)state;
	OK(store_facts_read(st, &f, E));
	assert_string_equal(f.dialect, dialect);
	assert_int_equal(f.schema_version, STORE_SCHEMA_VERSION);
	assert_true(f.installation != 0);
	assert_true(f.identity[0] != '\0');
	assert_false(f.is_frozen);
	assert_string_equal(store_dialect(st), dialect);
}

static void
test_register(void **state)
{
	struct store_agent a = { .journal_id = "journal-2",
				 .boot_id = "b",
				 .host = "host-2",
				 .version = "0.1",
				 .pid = 7 };
	struct store_registration reg;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(cfg.incarnation, 1);
	assert_int_equal(store_register(st, &a, &reg, &e), RC_AGAIN);
	assert_non_null(strstr(e.text, "host-1"));
	assert_non_null(strstr(e.text, "42"));
	register_agent("journal-1");
	assert_int_equal(cfg.incarnation, 2);
	OK(store_sign_off(st, E));
	OK(store_register(st, &a, &reg, E));
	assert_int_equal(reg.incarnation, 3);
	assert_int_equal(reg.previous_incarnation, 2);
	assert_false(reg.same_journal);
}

static void
test_heartbeat(void **state)
{
	struct store_beat b = { .channels = "ch=UP", .last_error = "", .count = true };

	(void)state;
	(void)insert("SMS");
	(void)insert("LMS");
	SQLF("UPDATE mt_send SET send_at = %s", at(-5000));
	OK(store_heartbeat(st, &b, E));
	assert_true(b.is_ours);
	assert_false(b.is_frozen);
	assert_int_equal(b.waiting, 2);
	assert_int_equal(b.unknown, 0);
	assert_in_range(b.oldest_due_ms, 4000, 60000);
	assert_true(b.db_now_ms > INT64_C(1500000000000));
	assert_true(b.identity[0] != '\0');
	assert_string_equal(ask("SELECT channels FROM mt_agent"), "ch=UP");
	sql("UPDATE mt_agent SET incarnation = 99");
	OK(store_heartbeat(st, &b, E));
	assert_false(b.is_ours);
}

static void
test_freeze(void **state)
{
	struct claimed k;
	struct store_facts f;
	bool lifted;

	(void)state;
	(void)insert("SMS");
	OK(store_freeze(st, "commits were lost", E));
	OK(store_freeze(st, "again", E));
	OK(store_facts_read(st, &f, E));
	assert_true(f.is_frozen);
	assert_string_equal(f.freeze_reason, "commits were lost");
	claim_type(&k, MSG_TYPE_SMS, 10);
	assert_true(k.mismatch);
	assert_int_equal(k.n, 0);
	let_go(&k);
	sql("INSERT INTO mt_agent (agent_id) VALUES ('other')");
	OK(store_replayed(st, &lifted, E));
	assert_false(lifted);
	sql("UPDATE mt_agent SET replayed_epoch = 1 WHERE agent_id = 'other'");
	OK(store_replayed(st, &lifted, E));
	assert_true(lifted);
	OK(store_freeze(st, "once more", E));
	OK(store_unfreeze(st, "kim", "looked at it", E));
	claim_type(&k, MSG_TYPE_SMS, 10);
	assert_int_equal(k.n, 1);
	let_go(&k);
	assert_int_equal(
		number("SELECT COUNT(*) FROM mt_history WHERE event = 'unfreeze' AND who = 'kim'"),
		1);
}

/* ---- claim ---- */

static void
test_claim(void **state)
{
	const struct store_queue q[] = { { MSG_TYPE_SMS, 1 },
					 { MSG_TYPE_LMS, 1 },
					 { MSG_TYPE_SMS, 0 } };
	bool due[3] = { 0 };
	struct claimed k;
	struct message *m;
	struct key_parts parts;
	int64_t id;

	(void)state;
	id = insert("SMS");
	SQLF("UPDATE mt_send SET subject = 'subj', req_key = 'r1', is_ad = 'y', vars = '{}', etc4 "
	     "= 'e4', group_key = 'g' "
	     "WHERE msg_id = %" PRId64,
	     id);
	(void)insert("LMS");
	SQLF("UPDATE mt_send SET send_at = %s WHERE msg_type = 'LMS'", at(3600000));
	OK(store_peek(st, q, 3, due, E));
	assert_true(due[0]);
	assert_false(due[1]);
	assert_false(due[2]);
	claim_type(&k, MSG_TYPE_SMS, 10);
	assert_int_equal(k.n, 1);
	m = k.m[0];
	assert_int_equal(m->msg_id, id);
	assert_int_equal(m->fence, 1);
	assert_int_equal(m->try_no, 1);
	assert_int_equal(m->leg, 0);
	assert_int_equal(m->type, MSG_TYPE_SMS);
	assert_int_equal(m->asked_type, MSG_TYPE_SMS);
	assert_int_equal(m->priority, 1);
	assert_true(m->is_ad);
	assert_false(m->cancel);
	assert_false(m->is_resend);
	assert_false(m->is_repeated);
	assert_string_equal(m->body.p, "hello");
	assert_int_equal(m->body.full, 5);
	assert_string_equal(m->subject.p, "subj");
	assert_string_equal(m->etc4.p, "e4");
	assert_string_equal(m->recipient.p, "01012345678");
	assert_string_equal(m->group_key.p, "g");
	assert_true(m->expire_in_s > 86390 && m->expire_in_s <= 86400);
	assert_true(key_decode(m->client_key, strlen(m->client_key), &parts));
	assert_int_equal(parts.msg_id, id);
	assert_int_equal(parts.installation, cfg.installation);
	assert_string_equal(row_text("client_key", id), m->client_key);
	assert_string_equal(row_text("status", id), "1");
	assert_string_equal(row_text("owner", id), "agent-1");
	assert_int_equal(number("SELECT claim_seq FROM mt_agent"), 1);
	let_go(&k);
	claim_type(&k, MSG_TYPE_SMS, 10);
	assert_int_equal(k.n, 0);
	assert_false(k.mismatch);
	let_go(&k);
	claim_type(&k, MSG_TYPE_LMS, 10);
	assert_int_equal(k.n, 0);
	let_go(&k);
	assert_int_equal(number("SELECT claim_seq FROM mt_agent"), 1);
}

static void
test_claim_order_and_limit(void **state)
{
	struct claimed k;

	(void)state;
	for (int i = 0; i < 30; i++)
		(void)insert("SMS");
	SQLF("UPDATE mt_send SET send_at = %s WHERE msg_id = (SELECT m FROM (SELECT MAX(msg_id) AS "
	     "m FROM mt_send) x)",
	     at(-60000));
	claim_type(&k, MSG_TYPE_SMS, 7);
	assert_int_equal(k.n, 7);
	assert_int_equal(k.m[0]->msg_id, number("SELECT MAX(msg_id) FROM mt_send"));
	for (unsigned i = 2; i < 7; i++)
		assert_true(k.m[i]->msg_id > k.m[i - 1]->msg_id);
	let_go(&k);
	claim_type(&k, MSG_TYPE_SMS, 100);
	assert_int_equal(k.n, 23);
	let_go(&k);
}

static void
test_claim_what_an_application_wrote(void **state)
{
	struct claimed k;
	struct message *m;
	int64_t id;

	(void)state;
	SQLF("INSERT INTO mt_send (msg_type, sender, recipient, body, leg, generation, try_no, "
	     "client_key, provider_id, channel, "
	     "first_sent_at, asked_type, owner, pend_class, hold_code) VALUES ('SMS', '1', '2', "
	     "'b', 3, 4, 9, 'junk', 'p', 'c', %s, 'MMS', "
	     "'x', 'OPEN', '1234')",
	     at(-100000000));
	id = number("SELECT MAX(msg_id) FROM mt_send");
	claim_type(&k, MSG_TYPE_SMS, 10);
	assert_int_equal(k.n, 1);
	m = k.m[0];
	assert_int_equal(m->leg, 0);
	assert_int_equal(m->generation, 0);
	assert_int_equal(m->try_no, 1);
	assert_false(m->is_resend);
	assert_int_equal(m->asked_type, MSG_TYPE_SMS);
	assert_int_equal(strlen(m->client_key), CLIENT_KEY_LEN);
	assert_string_equal(row_text("provider_id", id), "NULL");
	assert_string_equal(row_text("channel", id), "NULL");
	assert_string_equal(row_text("hold_code", id), "NULL");
	SQLF("UPDATE mt_send SET body = 'x' WHERE first_sent_at > %s", at(-60000));
	assert_string_equal(row_text("body", id), "x");
	let_go(&k);
}

static void
test_claim_big_body(void **state)
{
	struct claimed k;
	char *big = malloc(1 << 20);
	const struct db_sql q = { .name = "big",
				  .nargs = 1,
				  .cols = "",
				  .is_write = true,
				  .text = "INSERT INTO mt_send (msg_type, sender, recipient, body) "
					  "VALUES ('SMS', '1', '2', ?)" };
	struct db_stmt *stmt;
	struct db_value v = { .type = DB_TEXT, .p = big };

	(void)state;
	assert_non_null(big);
	/* TEXT of MySQL ends at 64 KiB. */
	v.n = strcmp(dialect, "mysql") == 0 ? 65000 : 1 << 20;
	for (size_t i = 0; i + 3 <= v.n; i += 3)
		memcpy(big + i, "\xea\xb0\x80", 3);
	v.n -= v.n % 3;
	OK(driver->prepare(raw, &q, &stmt, E));
	OK(driver->exec(stmt, &v, NULL, E));
	driver->finish(stmt);
	claim_type(&k, MSG_TYPE_SMS, 10);
	assert_int_equal(k.n, 1);
	assert_int_equal(k.m[0]->body.full, v.n);
	/* Refused for its length: the beginning is enough. */
	assert_in_range(k.m[0]->body.n, 200, 256);
	assert_true(text_utf8_check(k.m[0]->body.p, k.m[0]->body.n, NULL));
	let_go(&k);
	free(big);
}

static void
test_claim_too_big_for_the_batch(void **state)
{
	struct store_claim c = { .queue = { MSG_TYPE_SMS, 1 }, .want = 100, .claim_seq = seq };
	struct message *out[100];
	struct err e = { 0 };

	(void)state;
	for (int i = 0; i < 20; i++)
		(void)insert("SMS");
	c.out = out;
	c.batch = batch_new(4000);
	assert_int_equal(store_claim(st, &c, &e), RC_NOMEM);
	assert_int_equal(number("SELECT COUNT(*) FROM mt_send WHERE status = 0 AND fence = 0"), 20);
	assert_int_equal(number("SELECT claim_seq FROM mt_agent"), 0);
	batch_free(c.batch);
}

static void
test_claim_refused(void **state)
{
	struct claimed k;

	(void)state;
	(void)insert("SMS");
	seq += 5;
	claim_type(&k, MSG_TYPE_SMS, 10);
	assert_true(k.mismatch);
	let_go(&k);
	seq -= 5;
	SQLF("UPDATE mt_agent SET lease_until = %s", at(-1000));
	claim_type(&k, MSG_TYPE_SMS, 10);
	assert_true(k.mismatch);
	let_go(&k);
	assert_int_equal(number("SELECT COUNT(*) FROM mt_send WHERE status = 0 AND fence = 0"), 1);
}

static void
test_claim_cancel_and_repeat(void **state)
{
	struct claimed k;
	struct change c;

	(void)state;
	(void)insert("SMS");
	sql("UPDATE mt_send SET req_key = 'key-1'");
	claim_type(&k, MSG_TYPE_SMS, 10);
	c = change_of(CHANGE_RESULT, k.m[0]);
	set_result(&c, RESULT_OK, "0000");
	apply_one(&c, CHANGED);
	let_go(&k);
	(void)insert("SMS");
	sql("UPDATE mt_send SET req_key = 'key-1', cancel_yn = 'y'");
	(void)insert("SMS");
	sql("UPDATE mt_send SET req_key = 'KEY-1' WHERE req_key IS NULL");
	claim_type(&k, MSG_TYPE_SMS, 10);
	assert_int_equal(k.n, 2);
	assert_true(k.m[0]->is_repeated);
	assert_true(k.m[0]->cancel);
	assert_false(k.m[1]->is_repeated);
	assert_false(k.m[1]->cancel);
	let_go(&k);
}

/* ---- changes ---- */

static void
test_accept_and_result(void **state)
{
	struct claimed k;
	struct message *m;
	struct change c;
	int64_t id;

	(void)state;
	m = one_claimed(&k);
	id = m->msg_id;
	SQLF("UPDATE mt_send SET group_key = 'g', etc1 = 'e', subject = 's', dept_code = 'd' WHERE "
	     "msg_id = %" PRId64,
	     id);
	c = accepted(m, "prov-1");
	assert_int_equal(c.new_fence, 2);
	assert_string_equal(row_text("status", id), "2");
	assert_string_equal(row_text("provider_id", id), "prov-1");
	assert_string_equal(row_text("channel", id), "ch");
	SQLF("UPDATE mt_send SET etc2 = 'due' WHERE due_at > %s AND due_at < %s",
	     at(47 * HOUR_MS - 60000), at(47 * HOUR_MS + 60000));
	assert_string_equal(row_text("etc2", id), "due");
	/* The same again, as after a lost answer. */
	c.fence = 1;
	apply_one(&c, CHANGED);
	assert_int_equal(c.new_fence, 2);
	c = change_of(CHANGE_RESULT, m);
	set_result(&c, RESULT_OK, "0000");
	c.parts = 2;
	(void)text_copy(c.carrier, sizeof c.carrier, "SKT");
	(void)text_copy(c.provider_code, sizeof c.provider_code, "5");
	(void)text_copy(c.done_at, sizeof c.done_at, "2026-01-02 03:04:05.678");
	apply_one(&c, CHANGED);
	assert_string_equal(row_text("status", id), "none");
	assert_string_equal(result_text_of("result_class", id), "OK");
	assert_string_equal(result_text_of("result_code", id), "0000");
	assert_string_equal(result_text_of("result_text", id), "delivered");
	assert_string_equal(result_text_of("provider_id", id), "prov-1");
	assert_string_equal(result_text_of("client_key", id), m->client_key);
	assert_string_equal(result_text_of("group_key", id), "g");
	assert_string_equal(result_text_of("etc1", id), "e");
	assert_string_equal(result_text_of("dept_code", id), "d");
	assert_string_equal(result_text_of("body", id), "hello");
	assert_string_equal(result_text_of("carrier", id), "SKT");
	assert_string_equal(result_text_of("parts", id), "2");
	assert_string_equal(result_text_of("sent_type", id), "SMS");
	assert_string_equal(result_text_of("asked_type", id), "SMS");
	assert_string_equal(result_text_of("rev", id), "0");
	assert_string_equal(result_text_of("read_yn", id), "N");
	if (strcmp(dialect, "sqlite") == 0)
		assert_string_equal(result_text_of("done_at", id), "2026-01-02 03:04:05.678");
	/* And again: done before. */
	apply_one(&c, CHANGED);
	assert_int_equal(number("SELECT COUNT(*) FROM mt_result"), 1);
	let_go(&k);
}

static void
test_text_policy(void **state)
{
	struct claimed k;
	struct change c;
	int64_t id;

	(void)state;
	for (int p = TEXT_MASK; p <= TEXT_DROP; p++) {
		cfg.text_policy = (enum text_policy)p;
		id = one_claimed(&k)->msg_id;
		c = change_of(CHANGE_RESULT, k.m[0]);
		set_result(&c, RESULT_FAIL, "2004");
		apply_one(&c, CHANGED);
		assert_string_equal(result_text_of("body", id), p == TEXT_MASK ? "he***" : "NULL");
		assert_string_equal(result_text_of("sent_at", id), "NULL");
		let_go(&k);
	}
}

static void
test_many_in_one(void **state)
{
	struct claimed k;
	struct change c[100];

	(void)state;
	for (int i = 0; i < 60; i++)
		(void)insert("SMS");
	claim_type(&k, MSG_TYPE_SMS, 100);
	assert_int_equal(k.n, 60);
	for (unsigned i = 0; i < 60; i++) {
		static const enum change_kind kinds[] = { CHANGE_ACCEPT,  CHANGE_UNKNOWN,
							  CHANGE_RELEASE, CHANGE_DEFER,
							  CHANGE_RESULT,  CHANGE_RESULT };

		c[i] = change_of(kinds[i % 6], k.m[i]);
		c[i].delay_ms = 60000;
		if (i % 6 == 2)
			c[i].new_type = MSG_TYPE_LMS;
		if (i % 6 >= 4)
			set_result(&c[i], i % 6 == 4 ? RESULT_OK : RESULT_FAIL,
				   i % 6 == 4 ? "0000" : "4001");
	}
	OK(store_apply(st, c, 60, E));
	for (unsigned i = 0; i < 60; i++)
		assert_int_equal(c[i].answer, CHANGED);
	assert_int_equal(number("SELECT COUNT(*) FROM mt_send WHERE status = 2"), 10);
	assert_int_equal(number("SELECT COUNT(*) FROM mt_send WHERE status = 3"), 10);
	assert_int_equal(number("SELECT COUNT(*) FROM mt_send WHERE status = 0 AND msg_type = "
				"'LMS' AND asked_type = 'SMS' "
				"AND first_sent_at IS NULL AND due_at IS NULL"),
			 10);
	assert_int_equal(
		number("SELECT COUNT(*) FROM mt_send WHERE status = 5 AND due_at IS NOT NULL"), 10);
	assert_int_equal(number("SELECT COUNT(*) FROM mt_result WHERE result_class = 'OK'"), 10);
	assert_int_equal(number("SELECT COUNT(*) FROM mt_result WHERE result_class = 'FAIL' AND "
				"result_code = '4001'"),
			 10);
	/* All once more, as after a COMMIT whose answer was lost: nothing changes, all is told
	 * as done. */
	OK(store_apply(st, c, 60, E));
	for (unsigned i = 0; i < 60; i++)
		if (c[i].answer != CHANGED)
			fail_msg("change %u of kind %d is answered %d", i, (int)c[i].kind,
				 (int)c[i].answer);
	assert_int_equal(number("SELECT COUNT(*) FROM mt_result"), 20);
	assert_int_equal(number("SELECT COUNT(*) FROM mt_send WHERE fence = 2"), 40);
	let_go(&k);
}

/* Some of many moved on: the others are done all the same, and each is told its own story. */
static void
test_many_with_some_stale(void **state)
{
	static const enum change_kind kinds[] = { CHANGE_ACCEPT, CHANGE_UNKNOWN, CHANGE_RESULT };

	(void)state;
	for (size_t kind = 0; kind < NELEM(kinds); kind++) {
		struct claimed k;
		struct change c[30];

		for (int i = 0; i < 30; i++)
			(void)insert("SMS");
		claim_type(&k, MSG_TYPE_SMS, 30);
		assert_int_equal(k.n, 30);
		for (unsigned i = 0; i < 30; i++) {
			c[i] = change_of(kinds[kind], k.m[i]);
			(void)snprintf(c[i].provider_id, sizeof c[i].provider_id, "p\"\\%u", i);
			set_result(&c[i], RESULT_OK, "0000");
		}
		/* Another attempt of it, one that the application deleted, one under another
		 * fence. */
		SQLF("UPDATE mt_send SET fence = 9, leg = 1, client_key = NULL WHERE msg_id = "
		     "%" PRId64,
		     k.m[3]->msg_id);
		SQLF("DELETE FROM mt_send WHERE msg_id = %" PRId64, k.m[7]->msg_id);
		SQLF("UPDATE mt_send SET fence = 9, status = 3 WHERE msg_id = %" PRId64,
		     k.m[11]->msg_id);
		OK(store_apply(st, c, 30, E));
		for (unsigned i = 0; i < 30; i++) {
			enum change_answer expected = i == 3   ? CHANGE_STALE
						      : i == 7 ? CHANGE_GONE
							       : CHANGED;

			if (i == 11 && kinds[kind] == CHANGE_UNKNOWN)
				expected = CHANGE_STALE;
			if (i == 7 && kinds[kind] == CHANGE_UNKNOWN)
				expected = CHANGE_GONE;
			if (c[i].answer != expected)
				fail_msg("kind %d: change %u is answered %d", (int)kinds[kind], i,
					 (int)c[i].answer);
			if (expected == CHANGED && kinds[kind] != CHANGE_RESULT)
				assert_int_equal(c[i].new_fence, i == 11 ? 10 : 2);
		}
		if (kinds[kind] == CHANGE_ACCEPT)
			assert_string_equal(row_text("provider_id", k.m[5]->msg_id), "p\"\\5");
		if (kinds[kind] == CHANGE_RESULT)
			assert_string_equal(result_text_of("provider_id", k.m[5]->msg_id),
					    "p\"\\5");
		sql("DELETE FROM mt_send");
		let_go(&k);
	}
	assert_int_equal(number("SELECT COUNT(*) FROM mt_result"), 29);
}

static void
test_stale_and_gone(void **state)
{
	struct claimed k;
	struct message *m;
	struct change c;
	int64_t id;

	(void)state;
	m = one_claimed(&k);
	id = m->msg_id;
	SQLF("UPDATE mt_send SET fence = 7, status = 3, due_at = %s WHERE msg_id = %" PRId64,
	     at(1000), id);
	c = change_of(CHANGE_UNKNOWN, m);
	apply_one(&c, CHANGE_STALE);
	assert_int_equal(c.new_fence, 7);
	c = change_of(CHANGE_RESULT, m);
	set_result(&c, RESULT_FAIL, "4001");
	apply_one(&c, CHANGE_STALE);
	/* The same as evidence counts for its attempt under any fence. */
	c.is_evidence = true;
	apply_one(&c, CHANGED);
	assert_string_equal(result_text_of("result_code", id), "4001");
	let_go(&k);
	/* Of another attempt than the row's it does not. */
	m = one_claimed(&k);
	id = m->msg_id;
	SQLF("UPDATE mt_send SET fence = 7, try_no = 2, status = 3 WHERE msg_id = %" PRId64, id);
	c = change_of(CHANGE_RESULT, m);
	set_result(&c, RESULT_FAIL, "4001");
	c.is_evidence = true;
	apply_one(&c, CHANGE_STALE);
	/* Positive evidence does. */
	c = change_of(CHANGE_ACCEPT, m);
	apply_one(&c, CHANGED);
	assert_int_equal(c.new_fence, 8);
	set_result(&c, RESULT_OK, "0000");
	c.kind = CHANGE_RESULT;
	apply_one(&c, CHANGED);
	let_go(&k);
	/* The application deletes the row. */
	m = one_claimed(&k);
	id = m->msg_id;
	sql("DELETE FROM mt_send");
	c = change_of(CHANGE_ACCEPT, m);
	apply_one(&c, CHANGE_GONE);
	c = change_of(CHANGE_RESULT, m);
	set_result(&c, RESULT_OK, "0000");
	apply_one(&c, CHANGE_GONE);
	assert_string_equal(result_text_of("result_class", id), "OK");
	assert_string_equal(result_text_of("recipient", id), "01012345678");
	assert_string_equal(result_text_of("body", id), "hello");
	apply_one(&c, CHANGED);
	assert_int_equal(number("SELECT COUNT(*) FROM mt_history WHERE event = 'row_deleted'"), 1);
	let_go(&k);
	/* Without memory: what the key tells. */
	m = one_claimed(&k);
	sql("DELETE FROM mt_send");
	c = change_of(CHANGE_RESULT, m);
	c.m = NULL;
	set_result(&c, RESULT_FAIL, "4001");
	apply_one(&c, CHANGE_GONE);
	assert_string_equal(result_text_of("result_class", m->msg_id), "FAIL");
	let_go(&k);
}

static void
test_accept_after_release(void **state)
{
	struct claimed k;
	struct message *m;
	struct change c;

	(void)state;
	m = one_claimed(&k);
	c = change_of(CHANGE_RELEASE, m);
	apply_one(&c, CHANGED);
	c = change_of(CHANGE_ACCEPT, m);
	apply_one(&c, CHANGED);
	assert_string_equal(row_text("status", m->msg_id), "2");
	let_go(&k);
}

static void
test_release_keeps(void **state)
{
	struct claimed k, k2;
	struct message *m;
	struct change c;
	char key[CLIENT_KEY_LEN + 1];

	(void)state;
	m = one_claimed(&k);
	(void)text_copy(key, sizeof key, m->client_key);
	c = change_of(CHANGE_RELEASE, m);
	c.keeps_attempt = true;
	apply_one(&c, CHANGED);
	assert_string_not_equal(row_text("first_sent_at", m->msg_id), "NULL");
	sql("UPDATE mt_send SET body = 'edited meanwhile'");
	claim_type(&k2, MSG_TYPE_SMS, 10);
	assert_int_equal(k2.n, 1);
	assert_true(k2.m[0]->is_resend);
	assert_string_equal(k2.m[0]->client_key, key);
	assert_int_equal(k2.m[0]->try_no, 2);
	/* Refused by our own rules now: the older attempt may still be delivered. */
	c = change_of(CHANGE_RESULT, k2.m[0]);
	set_result(&c, RESULT_FAIL, "3007");
	apply_one(&c, CHANGED);
	assert_string_equal(row_text("status", m->msg_id), "3");
	assert_int_equal(number("SELECT COUNT(*) FROM mt_result"), 0);
	let_go(&k2);
	let_go(&k);
	/* The provider ended the attempt: another key. */
	sql("DELETE FROM mt_send");
	m = one_claimed(&k);
	c = change_of(CHANGE_DEFER, m);
	c.new_generation = true;
	c.delay_ms = 0;
	apply_one(&c, CHANGED);
	{
		struct store_care care = { .limit = 100 };

		OK(store_care(st, &care, E));
		assert_int_equal(care.due, 1);
	}
	claim_type(&k2, MSG_TYPE_SMS, 10);
	assert_int_equal(k2.n, 1);
	assert_int_equal(k2.m[0]->generation, 1);
	assert_string_not_equal(k2.m[0]->client_key, m->client_key);
	assert_false(k2.m[0]->is_resend);
	let_go(&k2);
	let_go(&k);
}

static void
test_several_of_one_message(void **state)
{
	struct claimed k;
	struct message *m;
	struct change c[3];

	(void)state;
	m = one_claimed(&k);
	c[0] = change_of(CHANGE_UNKNOWN, m);
	c[1] = change_of(CHANGE_ACCEPT, m);
	c[2] = change_of(CHANGE_RESULT, m);
	c[2].is_evidence = true;
	set_result(&c[2], RESULT_OK, "0000");
	OK(store_apply(st, c, 3, E));
	for (int i = 0; i < 3; i++)
		assert_int_equal(c[i].answer, CHANGED);
	assert_string_equal(result_text_of("result_class", m->msg_id), "OK");
	let_go(&k);
}

/* A row without a report is asked for twice before its close, and never by two agents. */
static void
test_silent(void **state)
{
	struct claimed k;
	struct message *m;
	struct change c;
	struct store_row rows[10];
	size_t n;

	(void)state;
	m = one_claimed(&k);
	c = change_of(CHANGE_ACCEPT, m);
	apply_one(&c, CHANGED);
	OK(store_take_silent(st, HOUR_MS, rows, 10, &n, E));
	assert_int_equal(n, 0);
	SQLF("UPDATE mt_send SET due_at = %s", at(HOUR_MS / 2));
	OK(store_take_silent(st, HOUR_MS, rows, 10, &n, E));
	assert_int_equal(n, 1);
	assert_int_equal(rows[0].msg_id, m->msg_id);
	assert_int_equal(rows[0].status, ROW_ACCEPTED);
	assert_int_equal(rows[0].fence, c.new_fence);
	assert_string_equal(rows[0].channel, "ch");
	assert_string_equal(rows[0].client_key, m->client_key);
	OK(store_take_silent(st, HOUR_MS, rows, 10, &n, E));
	assert_int_equal(n, 0);
	SQLF("UPDATE mt_send SET due_at = %s, owner = 'agent-2'", at(HOUR_MS / 5));
	SQLF("INSERT INTO mt_agent (agent_id, incarnation, lease_until) VALUES ('agent-2', 5, %s)",
	     at(60000));
	OK(store_take_silent(st, HOUR_MS, rows, 10, &n, E));
	assert_int_equal(n, 0);
	SQLF("UPDATE mt_agent SET lease_until = %s WHERE agent_id = 'agent-2'", at(-1000));
	OK(store_take_silent(st, HOUR_MS, rows, 10, &n, E));
	assert_int_equal(n, 1);
	OK(store_take_silent(st, HOUR_MS, rows, 10, &n, E));
	assert_int_equal(n, 0);
	/* What came of it is taken under the same fence. */
	c = change_of(CHANGE_RESULT, m);
	c.fence = rows[0].fence;
	set_result(&c, RESULT_OK, "0000");
	apply_one(&c, CHANGED);
	let_go(&k);
}

static void
test_unknown_look_hold(void **state)
{
	struct claimed k;
	struct message *m;
	struct change c;
	struct store_row rows[10];
	size_t n;

	(void)state;
	m = one_claimed(&k);
	c = change_of(CHANGE_UNKNOWN, m);
	c.delay_ms = 0;
	apply_one(&c, CHANGED);
	OK(store_take_unknown(st, rows, 10, &n, E));
	assert_int_equal(n, 1);
	assert_int_equal(rows[0].msg_id, m->msg_id);
	assert_int_equal(rows[0].fence, 3);
	assert_string_equal(rows[0].channel, "ch");
	assert_string_equal(rows[0].client_key, m->client_key);
	assert_in_range(rows[0].until_close_ms, 47 * HOUR_MS - 60000, 47 * HOUR_MS);
	OK(store_take_unknown(st, rows, 10, &n, E));
	assert_int_equal(n, 0);
	c = change_of(CHANGE_LOOK, m);
	c.fence = 3;
	c.delay_ms = INT64_C(1000) * HOUR_MS;
	apply_one(&c, CHANGED);
	SQLF("UPDATE mt_send SET etc2 = 'bounded' WHERE due_at < %s", at(48 * HOUR_MS));
	assert_string_equal(row_text("etc2", m->msg_id), "bounded");
	c = change_of(CHANGE_HOLD, m);
	c.fence = 4;
	c.hold_code = "8002";
	apply_one(&c, CHANGED);
	assert_string_equal(row_text("status", m->msg_id), "4");
	assert_string_equal(row_text("hold_code", m->msg_id), "8002");
	let_go(&k);
}

static void
test_touched(void **state)
{
	struct claimed k;
	struct message *m;
	struct change c;
	struct store_row row;
	bool found;

	(void)state;
	m = one_claimed(&k);
	/* The database lost the claim. */
	sql("UPDATE mt_send SET status = 0, owner = NULL, fence = 0, try_no = 0, client_key = "
	    "NULL, due_at = NULL, first_sent_at = NULL");
	c = change_of(CHANGE_TOUCHED, m);
	c.fence = 0;
	apply_one(&c, CHANGED);
	OK(store_row_read(st, m->msg_id, &row, &found, E));
	assert_true(found);
	assert_int_equal(row.status, ROW_UNKNOWN);
	assert_string_equal(row.client_key, m->client_key);
	assert_int_equal(row.try_no, 1);
	c = change_of(CHANGE_TOUCHED, m);
	c.fence = row.fence + 1;
	apply_one(&c, CHANGE_STALE);
	OK(store_row_read(st, 999999, &row, &found, E));
	assert_false(found);
	let_go(&k);
}

/* The journal knows the fallback, the database its claim of the first leg only. */
static void
test_touched_in_the_next_leg(void **state)
{
	struct key_parts parts;
	char key[CLIENT_KEY_LEN + 1];
	struct claimed k;
	struct message *m;
	struct change c;

	(void)state;
	m = one_claimed(&k);
	SQLF("UPDATE mt_send SET fallback_type = ' lms', first_sent_at = %s, provider_id = 'x', "
	     "resend_no = 2",
	     at(-40 * HOUR_MS));
	assert_true(key_decode(m->client_key, strlen(m->client_key), &parts));
	parts.leg = 1;
	parts.generation = 3;
	key_encode(&parts, key);
	c = change_of(CHANGE_TOUCHED, m);
	c.leg = 1;
	c.try_no = 2;
	c.client_key = key;
	c.delay_ms = 1000;
	apply_one(&c, CHANGED);
	assert_string_equal(row_text("status", m->msg_id), "3");
	assert_string_equal(row_text("leg", m->msg_id), "1");
	assert_string_equal(row_text("try_no", m->msg_id), "2");
	assert_string_equal(row_text("generation", m->msg_id), "3");
	assert_string_equal(row_text("client_key", m->msg_id), key);
	assert_string_equal(row_text("msg_type", m->msg_id), "LMS");
	assert_string_equal(row_text("asked_type", m->msg_id), "SMS");
	assert_string_equal(row_text("resend_no", m->msg_id), "0");
	/* The leg has its own 48 hours, and none of the identifiers of the other one. */
	SQLF("UPDATE mt_send SET etc1 = 'anew' WHERE first_sent_at > %s AND provider_id IS NULL",
	     at(-HOUR_MS));
	assert_string_equal(row_text("etc1", m->msg_id), "anew");
	let_go(&k);
}

/* An outcome that is only not written yet: a delivery stays one, a failure was that of an earlier
 * attempt. */
static void
test_touched_with_an_outcome(void **state)
{
	struct claimed k;
	struct message *m;
	struct change c;

	(void)state;
	m = one_claimed(&k);
	sql("UPDATE mt_send SET status = 4, pend_class = 'OK', pend_code = '0000'");
	c = change_of(CHANGE_TOUCHED, m);
	c.try_no = 2;
	apply_one(&c, CHANGED);
	assert_string_equal(row_text("status", m->msg_id), "4");
	assert_string_equal(row_text("pend_class", m->msg_id), "OK");
	sql("UPDATE mt_send SET pend_class = 'FAIL', pend_code = '4001'");
	apply_one(&c, CHANGED);
	assert_string_equal(row_text("status", m->msg_id), "3");
	let_go(&k);
}

/* In a database that went back, fences and tries are given out once more. */
static void
test_fences_that_come_again(void **state)
{
	struct claimed k;
	struct message *m;
	struct change c;

	(void)state;
	m = one_claimed(&k);
	sql("UPDATE mt_send SET owner = 'agent-2'");
	c = change_of(CHANGE_RELEASE, m);
	apply_one(&c, CHANGE_STALE);
	c = change_of(CHANGE_DEFER, m);
	apply_one(&c, CHANGE_STALE);
	assert_string_equal(row_text("status", m->msg_id), "1");
	/* The answer to another attempt than the one that has this fence now. */
	sql("UPDATE mt_send SET owner = 'agent-1', try_no = 2");
	c = change_of(CHANGE_RESULT, m);
	c.class = RESULT_FAIL;
	c.is_evidence = true;
	(void)text_copy(c.code, sizeof c.code, "4001");
	apply_one(&c, CHANGE_STALE);
	/* Or to one of the same number, while the other was taken. */
	sql("UPDATE mt_send SET status = 2, try_no = 1");
	apply_one(&c, CHANGE_STALE);
	assert_string_equal(row_text("status", m->msg_id), "2");
	sql("UPDATE mt_send SET status = 1");
	apply_one(&c, CHANGED);
	assert_int_equal(number("SELECT COUNT(*) FROM mt_result WHERE result_code = '4001'"), 1);
	let_go(&k);
}

/* ---- another attempt, another leg ---- */

static void
make_unknown(struct message *m)
{
	struct change c = change_of(CHANGE_UNKNOWN, m);

	apply_one(&c, CHANGED);
	m->fence = c.new_fence;
}

static void
resend(struct message *m, bool new_generation, struct claimed *k, size_t expected)
{
	struct store_resend r = { .msg_id = m->msg_id,
				  .fence = m->fence,
				  .new_generation = new_generation };
	struct store_count count = { .claim_seq = seq };
	size_t got;

	k->batch = batch_new(1 << 20);
	OK(store_resend(st, &r, 1, &count, k->batch, k->m, &got, E));
	assert_int_equal(got, expected);
	assert_int_equal(count.claim_seq, seq + (int64_t)got);
	assert_int_equal(number("SELECT claim_seq FROM mt_agent WHERE agent_id = 'agent-1'"),
			 count.claim_seq);
	k->n = (unsigned)got;
	k->mismatch = count.mismatch;
	seq = count.claim_seq;
}

/* A re-send is one of the commits that a database can lose. */
static void
test_resend_is_counted(void **state)
{
	struct claimed k, k2;
	struct message *m;
	int64_t before;

	(void)state;
	m = one_claimed(&k);
	make_unknown(m);
	before = seq;
	resend(m, false, &k2, 1);
	let_go(&k2);
	/* The caller has not heard of that one yet: what it asks for next is told both, ... */
	(void)insert("SMS");
	seq = before;
	claim_type(&k2, MSG_TYPE_SMS, 1);
	assert_int_equal(k2.n, 1);
	assert_int_equal(number("SELECT claim_seq FROM mt_agent"), before + 2);
	let_go(&k2);
	/* ... and does not happen in a database that has lost them, */
	SQLF("UPDATE mt_agent SET claim_seq = %d", (int)before + 1);
	(void)insert("SMS");
	claim_type(&k2, MSG_TYPE_SMS, 1);
	assert_int_equal(k2.n, 0);
	assert_true(k2.mismatch);
	let_go(&k2);
	/* nor does a re-send, until the caller knows better. */
	sql("UPDATE mt_send SET status = 3 WHERE try_no = 2");
	m->fence = 3;
	seq = before + 2;
	SQLF("UPDATE mt_agent SET claim_seq = %d", (int)before);
	{
		struct store_resend r = { .msg_id = m->msg_id, .fence = 3 };
		struct store_count count = { .claim_seq = seq };
		size_t got;

		k2.batch = batch_new(1 << 20);
		OK(store_resend(st, &r, 1, &count, k2.batch, k2.m, &got, E));
		assert_int_equal(got, 0);
		assert_true(count.mismatch);
		let_go(&k2);
	}
	seq = before;
	resend(m, false, &k2, 1);
	assert_int_equal(k2.n, 1);
	let_go(&k2);
	let_go(&k);
}

static void
test_resend_same_key(void **state)
{
	struct claimed k, k2;
	struct message *m;
	struct store_row row;
	bool found;

	(void)state;
	m = one_claimed(&k);
	make_unknown(m);
	resend(m, false, &k2, 1);
	assert_true(k2.m[0]->is_resend);
	assert_string_equal(k2.m[0]->client_key, m->client_key);
	assert_int_equal(k2.m[0]->try_no, 2);
	assert_int_equal(k2.m[0]->fence, 3);
	OK(store_row_read(st, m->msg_id, &row, &found, E));
	assert_true(row.is_resend);
	let_go(&k2);
	/* The answer of that call was lost: once more. */
	resend(m, false, &k2, 1);
	assert_int_equal(k2.m[0]->fence, 3);
	let_go(&k2);
	/* Too near to the close time. */
	sql("UPDATE mt_send SET status = 3");
	SQLF("UPDATE mt_send SET first_sent_at = %s", at(-47 * HOUR_MS + 60000));
	m->fence = 3;
	resend(m, false, &k2, 0);
	let_go(&k2);
	OK(store_freeze(st, "test", E));
	SQLF("UPDATE mt_send SET first_sent_at = %s", at(-1000));
	resend(m, false, &k2, 0);
	assert_true(k2.mismatch);
	let_go(&k2);
	let_go(&k);
}

static void
test_resend_new_key(void **state)
{
	struct claimed k, k2;
	struct message *m, *second;
	struct change c;
	int64_t id;

	(void)state;
	m = one_claimed(&k);
	id = m->msg_id;
	make_unknown(m);
	resend(m, true, &k2, 1);
	second = k2.m[0];
	assert_false(second->is_resend);
	assert_true(second->older_open);
	assert_int_equal(second->generation, 1);
	assert_string_not_equal(second->client_key, m->client_key);
	assert_int_equal(number("SELECT COUNT(*) FROM mt_try WHERE outcome = 'OPEN'"), 1);
	/* The second is refused: says nothing about the first. */
	c = change_of(CHANGE_RESULT, second);
	set_result(&c, RESULT_FAIL, "6001");
	apply_one(&c, CHANGED);
	assert_string_equal(row_text("status", id), "3");
	assert_int_equal(number("SELECT COUNT(*) FROM mt_try WHERE outcome = 'REFUSED'"), 1);
	assert_int_equal(number("SELECT COUNT(*) FROM mt_result"), 0);
	apply_one(&c, CHANGED);
	/* The first fails too: now it is certain. */
	{
		struct report_item r = report(REPORT_FAIL, m->client_key, "", "4001");

		report_one(&r, REPORT_APPLIED);
		assert_int_equal(r.msg_id, id);
	}
	assert_string_equal(result_text_of("result_class", id), "FAIL");
	assert_string_equal(result_text_of("result_code", id), "4001");
	assert_int_equal(number("SELECT COUNT(*) FROM mt_try WHERE outcome = 'OPEN'"), 0);
	let_go(&k2);
	let_go(&k);
	/* The other way round: the first is delivered while the second is open. */
	m = one_claimed(&k);
	id = m->msg_id;
	make_unknown(m);
	resend(m, true, &k2, 1);
	{
		struct report_item r = report(REPORT_PENDING, m->client_key, "p-old", "");

		report_one(&r, REPORT_APPLIED);
		assert_string_equal(row_text("status", id), "2");
		r = report(REPORT_OK, "", "p-old", "0000");
		report_one(&r, REPORT_APPLIED);
		assert_string_equal(result_text_of("result_class", id), "OK");
		assert_string_equal(result_text_of("client_key", id), m->client_key);
		/* The second one's failure changes nothing. */
		r = report(REPORT_FAIL, k2.m[0]->client_key, "", "4001");
		report_one(&r, REPORT_CONFLICT);
		assert_string_equal(result_text_of("result_class", id), "OK");
	}
	let_go(&k2);
	let_go(&k);
}

static void
test_fallback(void **state)
{
	struct claimed k, k2;
	struct message *m;
	struct change c;
	int64_t id;

	(void)state;
	(void)insert("AT");
	sql("UPDATE mt_send SET fallback_type = ' sms ', fallback_body = 'instead', subject = 'S', "
	    "expire_at = NULL");
	claim_type(&k, MSG_TYPE_AT, 10);
	m = k.m[0];
	id = m->msg_id;
	assert_string_equal(m->body.p, "hello");
	(void)accepted(m, "p1");
	{
		struct report_item r = report(REPORT_FAIL, m->client_key, "p1", "5001");

		report_one(&r, REPORT_APPLIED);
	}
	assert_string_equal(row_text("status", id), "0");
	assert_string_equal(row_text("msg_type", id), "SMS");
	assert_string_equal(row_text("leg", id), "1");
	assert_string_equal(row_text("first_sent_at", id), "NULL");
	assert_string_equal(row_text("client_key", id), "NULL");
	assert_int_equal(number("SELECT COUNT(*) FROM mt_history WHERE event = 'leg_failed' AND "
				"code = '5001'"),
			 1);
	claim_type(&k2, MSG_TYPE_SMS, 10);
	assert_int_equal(k2.n, 1);
	assert_string_equal(k2.m[0]->body.p, "instead");
	assert_string_equal(k2.m[0]->subject.p, "S");
	assert_int_equal(k2.m[0]->leg, 1);
	assert_int_equal(k2.m[0]->asked_type, MSG_TYPE_AT);
	/* What comes late about the first leg. */
	{
		struct report_item r = report(REPORT_FAIL, m->client_key, "", "5001");

		report_one(&r, REPORT_KNOWN);
		r = report(REPORT_OK, m->client_key, "", "0000");
		report_one(&r, REPORT_CONFLICT);
	}
	assert_string_equal(row_text("status", id), "1");
	c = change_of(CHANGE_RESULT, k2.m[0]);
	set_result(&c, RESULT_FAIL, "4001");
	apply_one(&c, CHANGED);
	assert_string_equal(result_text_of("result_code", id), "4001");
	assert_string_equal(result_text_of("leg", id), "1");
	assert_string_equal(result_text_of("asked_type", id), "AT");
	assert_string_equal(result_text_of("sent_type", id), "SMS");
	let_go(&k2);
	let_go(&k);
	/* Refused by our own rules: no fallback. */
	(void)insert("AT");
	sql("UPDATE mt_send SET fallback_type = 'SMS'");
	claim_type(&k, MSG_TYPE_AT, 10);
	c = change_of(CHANGE_RESULT, k.m[0]);
	set_result(&c, RESULT_FAIL, "2009");
	apply_one(&c, CHANGED);
	assert_string_equal(result_text_of("result_code", k.m[0]->msg_id), "2009");
	let_go(&k);
	/* Refused by the provider: the fallback, also when the answer to us was lost. */
	(void)insert("AT");
	sql("UPDATE mt_send SET fallback_type = 'LMS'");
	claim_type(&k, MSG_TYPE_AT, 10);
	c = change_of(CHANGE_RESULT, k.m[0]);
	set_result(&c, RESULT_FAIL, "5004");
	apply_one(&c, CHANGED);
	assert_string_equal(row_text("msg_type", k.m[0]->msg_id), "LMS");
	apply_one(&c, CHANGED);
	assert_string_equal(row_text("leg", k.m[0]->msg_id), "1");
	let_go(&k);
}

/* ---- reports ---- */

static void
test_reports(void **state)
{
	struct claimed k;
	struct message *m;
	struct report_item r;
	int64_t id;

	(void)state;
	m = one_claimed(&k);
	id = m->msg_id;
	/* Before its acceptance, by the provider's id alone. */
	r = report(REPORT_OK, "", "p9", "0000");
	report_one(&r, REPORT_KEPT);
	report_one(&r, REPORT_KNOWN);
	assert_int_equal(number("SELECT COUNT(*) FROM mt_report"), 1);
	(void)accepted(m, "p9");
	assert_string_equal(result_text_of("result_class", id), "OK");
	assert_int_equal(number("SELECT COUNT(*) FROM mt_report"), 0);
	report_one(&r, REPORT_KNOWN);
	assert_int_equal(r.msg_id, id);
	r = report(REPORT_FAIL, m->client_key, "", "4001");
	report_one(&r, REPORT_CONFLICT);
	assert_string_equal(result_text_of("result_class", id), "OK");
	assert_int_equal(number("SELECT COUNT(*) FROM mt_history WHERE event = 'conflict'"), 1);
	let_go(&k);
	/* Evidence of acceptance. */
	m = one_claimed(&k);
	make_unknown(m);
	r = report(REPORT_PENDING, m->client_key, "p10", "");
	report_one(&r, REPORT_APPLIED);
	assert_string_equal(row_text("status", m->msg_id), "2");
	assert_string_equal(row_text("provider_id", m->msg_id), "p10");
	report_one(&r, REPORT_KNOWN);
	r = report(REPORT_FAIL, "", "p10", "4002");
	report_one(&r, REPORT_APPLIED);
	assert_string_equal(result_text_of("result_code", m->msg_id), "4002");
	let_go(&k);
	/* "Duplicate" is never a failure. */
	m = one_claimed(&k);
	make_unknown(m);
	r = report(REPORT_FAIL, m->client_key, "", "7007");
	r.r.duplicate = true;
	report_one(&r, REPORT_APPLIED);
	assert_string_equal(row_text("status", m->msg_id), "2");
	/* Of another installation, of nobody. */
	{
		struct key_parts other = { .version = KEY_VERSION,
					   .installation = cfg.installation + 1,
					   .msg_id = m->msg_id };
		char key[CLIENT_KEY_LEN + 1];

		key_encode(&other, key);
		r = report(REPORT_OK, key, "", "0000");
		report_one(&r, REPORT_KEPT);
		assert_string_equal(row_text("status", m->msg_id), "2");
		r = report(REPORT_OK, "", "", "0000");
		report_one(&r, REPORT_KNOWN);
	}
	/* Of a message that had this id before (other fingerprint). */
	{
		struct key_parts old;
		char key[CLIENT_KEY_LEN + 1];

		assert_true(key_decode(m->client_key, CLIENT_KEY_LEN, &old));
		old.fingerprint ^= 1;
		key_encode(&old, key);
		r = report(REPORT_OK, key, "", "0000");
		report_one(&r, REPORT_KEPT);
		assert_string_equal(row_text("status", m->msg_id), "2");
	}
	/* Of a row that the application deleted. */
	sql("DELETE FROM mt_send");
	r = report(REPORT_OK, m->client_key, "p11", "0000");
	report_one(&r, REPORT_APPLIED);
	assert_string_equal(result_text_of("result_class", m->msg_id), "OK");
	report_one(&r, REPORT_KNOWN);
	let_go(&k);
}

static void
test_reports_page(void **state)
{
	struct claimed k;
	struct report_item r[42];

	(void)state;
	for (int i = 0; i < 40; i++)
		(void)insert("SMS");
	claim_type(&k, MSG_TYPE_SMS, 100);
	for (unsigned i = 0; i < 40; i++) {
		char id[20];

		(void)snprintf(id, sizeof id, "pp%u", i);
		(void)accepted(k.m[i], id);
		r[i] = report(i % 3 == 0 ? REPORT_FAIL : REPORT_OK,
			      i % 2 == 0 ? k.m[i]->client_key : "", id,
			      i % 3 == 0 ? "4001" : "0000");
	}
	r[40] = report(REPORT_OK, "", "nobody's", "0000");
	r[41] = r[1];
	OK(store_reports(st, r, 42, E));
	for (int i = 0; i < 40; i++)
		assert_int_equal(r[i].answer, REPORT_APPLIED);
	assert_int_equal(r[40].answer, REPORT_KEPT);
	assert_int_equal(r[41].answer, REPORT_KNOWN);
	assert_int_equal(number("SELECT COUNT(*) FROM mt_result WHERE result_class = 'OK'"), 26);
	assert_int_equal(number("SELECT COUNT(*) FROM mt_result WHERE result_class = 'FAIL'"), 14);
	OK(store_reports(st, r, 42, E));
	for (int i = 0; i < 42; i++)
		assert_int_equal(r[i].answer, REPORT_KNOWN);
	assert_int_equal(number("SELECT COUNT(*) FROM mt_result"), 40);
	assert_int_equal(number("SELECT COUNT(*) FROM mt_send"), 0);
	let_go(&k);
}

static void
test_revision(void **state)
{
	struct claimed k;
	struct message *m;
	struct change c;
	struct report_item r;
	int64_t id;

	(void)state;
	m = one_claimed(&k);
	id = m->msg_id;
	c = change_of(CHANGE_RESULT, m);
	set_result(&c, RESULT_UNKNOWN, "8001");
	apply_one(&c, CHANGED);
	sql("UPDATE mt_result SET read_yn = 'Y'");
	r = report(REPORT_OK, m->client_key, "p1", "0000");
	report_one(&r, REPORT_REVISED);
	assert_string_equal(result_text_of("result_class", id), "OK");
	assert_string_equal(result_text_of("result_code", id), "0000");
	assert_string_equal(result_text_of("rev", id), "1");
	assert_string_equal(result_text_of("late", id), "Y");
	assert_string_equal(result_text_of("read_yn", id), "N");
	assert_int_equal(
		number("SELECT COUNT(*) FROM mt_history WHERE event = 'revised' AND code = '8001'"),
		1);
	report_one(&r, REPORT_KNOWN);
	r = report(REPORT_FAIL, m->client_key, "p1", "4001");
	report_one(&r, REPORT_CONFLICT);
	assert_string_equal(result_text_of("rev", id), "1");
	let_go(&k);
	/* Later than late. */
	m = one_claimed(&k);
	c = change_of(CHANGE_RESULT, m);
	set_result(&c, RESULT_UNKNOWN, "8002");
	apply_one(&c, CHANGED);
	SQLF("UPDATE mt_result SET done_at = %s WHERE msg_id = %" PRId64, at(-8 * 24 * HOUR_MS),
	     m->msg_id);
	r = report(REPORT_OK, m->client_key, "", "0000");
	report_one(&r, REPORT_KNOWN);
	assert_string_equal(result_text_of("result_class", m->msg_id), "UNKNOWN");
	let_go(&k);
}

/* ---- messages in several parts ---- */

static struct change
accepted_parts(struct message *m, const char *provider_id, const char *more_ids)
{
	struct change c = change_of(CHANGE_ACCEPT, m);

	(void)text_copy(c.provider_id, sizeof c.provider_id, provider_id);
	c.more_ids = more_ids;
	apply_one(&c, CHANGED);
	m->fence = c.new_fence;
	return c;
}

static void
report_part(enum report_class class, const char *provider_id, const char *code,
	    enum report_answer expected)
{
	struct report_item r = report(class, "", provider_id, code);

	report_one(&r, expected);
}

static const char *
parts_text(int64_t id)
{
	static char out[100];

	out[0] = '\0';
	for (int part = 1; part < 10; part++) {
		char q[200];
		const char *outcome;

		(void)snprintf(q, sizeof q,
			       "SELECT outcome FROM mt_try WHERE msg_id = %" PRId64
			       " AND part = %d",
			       id, part);
		outcome = ask(q);
		if (strcmp(outcome, "none") == 0)
			break;
		(void)snprintf(out + strlen(out), sizeof out - strlen(out), "%c", outcome[0]);
	}
	return out;
}

static int64_t
histories(void)
{
	return number("SELECT COUNT(*) FROM mt_history");
}

static void
test_parts(void **state)
{
	struct claimed k;
	struct message *m;
	struct change c;
	struct store_row row;
	bool found;
	int64_t id;

	(void)state;
	m = one_claimed(&k);
	id = m->msg_id;
	(void)accepted_parts(m, "a1", "a2 a3");
	assert_string_equal(row_text("provider_id", id), "a1");
	assert_string_equal(parts_text(id), "AAA");
	assert_int_equal(
		number("SELECT COUNT(*) FROM mt_try WHERE part = 3 AND provider_id = 'a3' AND "
		       "channel = 'ch' AND try_no = 1 AND generation = 0"),
		1);
	/* The answer to the COMMIT was lost: once more. */
	c = change_of(CHANGE_ACCEPT, m);
	c.fence = m->fence - 1;
	c.more_ids = "a2 a3";
	(void)text_copy(c.provider_id, sizeof c.provider_id, "a1");
	apply_one(&c, CHANGED);
	assert_string_equal(parts_text(id), "AAA");
	OK(store_row_read(st, id, &row, &found, E));
	assert_true(found && !row.older_open);
	/* A part that is on its way says nothing about its id. */
	report_part(REPORT_PENDING, "a2", "", REPORT_KNOWN);
	assert_string_equal(row_text("provider_id", id), "a1");
	report_part(REPORT_OK, "a2", "0000", REPORT_KNOWN);
	report_part(REPORT_OK, "a2", "0000", REPORT_KNOWN);
	/* The first final word stands. */
	report_part(REPORT_FAIL, "a2", "4001", REPORT_KNOWN);
	assert_string_equal(parts_text(id), "ADA");
	report_part(REPORT_OK, "a1", "0000", REPORT_KNOWN);
	assert_string_equal(row_text("status", id), "2");
	report_part(REPORT_OK, "a3", "0000", REPORT_APPLIED);
	assert_string_equal(result_text_of("result_class", id), "OK");
	assert_string_equal(result_text_of("parts", id), "3");
	assert_string_equal(result_text_of("provider_id", id), "a1");
	assert_string_equal(row_text("status", id), "none");
	/* Nothing of it is news. */
	report_part(REPORT_OK, "a1", "0000", REPORT_KNOWN);
	report_part(REPORT_FAIL, "a3", "4001", REPORT_KNOWN);
	report_part(REPORT_FAIL, "a1", "4001", REPORT_KNOWN);
	assert_string_equal(parts_text(id), "DDD");
	assert_int_equal(histories(), 0);
	let_go(&k);
	/* One that failed decides, and the others are quiet. */
	m = one_claimed(&k);
	id = m->msg_id;
	(void)accepted_parts(m, "b1", "b2 b3 b4");
	report_part(REPORT_OK, "b1", "0000", REPORT_KNOWN);
	report_part(REPORT_FAIL, "b3", "4002", REPORT_APPLIED);
	assert_string_equal(result_text_of("result_class", id), "FAIL");
	assert_string_equal(result_text_of("result_code", id), "4002");
	assert_string_equal(result_text_of("parts", id), "4");
	report_part(REPORT_OK, "b4", "0000", REPORT_KNOWN);
	report_part(REPORT_FAIL, "b2", "4001", REPORT_KNOWN);
	assert_string_equal(parts_text(id), "DFFD");
	assert_string_equal(result_text_of("result_code", id), "4002");
	assert_int_equal(histories(), 0);
	let_go(&k);
	/* Several in one page, with our key, the last one twice. */
	m = one_claimed(&k);
	id = m->msg_id;
	(void)accepted_parts(m, "c1", "c2 c3");
	{
		struct report_item r[4] = { report(REPORT_OK, m->client_key, "c3", "0000"),
					    report(REPORT_OK, m->client_key, "c1", "0000"),
					    report(REPORT_OK, "", "c2", "0000"),
					    report(REPORT_OK, m->client_key, "c2", "0000") };

		OK(store_reports(st, r, 4, E));
		assert_int_equal(r[0].answer, REPORT_KNOWN);
		assert_int_equal(r[2].answer, REPORT_APPLIED);
		assert_int_equal(r[3].answer, REPORT_KNOWN);
	}
	assert_string_equal(result_text_of("result_class", id), "OK");
	let_go(&k);
	/* All parts have one id: the report is about the message. */
	m = one_claimed(&k);
	(void)accepted_parts(m, "d", "d d");
	assert_string_equal(parts_text(m->msg_id), "");
	report_part(REPORT_OK, "d", "0000", REPORT_APPLIED);
	assert_string_equal(result_text_of("result_class", m->msg_id), "OK");
	let_go(&k);
	assert_int_equal(histories(), 0);
}

static void
test_parts_reported_before(void **state)
{
	struct claimed k;
	struct message *m;
	struct report_item r;

	(void)state;
	m = one_claimed(&k);
	report_part(REPORT_OK, "a2", "0000", REPORT_KEPT);
	report_part(REPORT_PENDING, "a3", "", REPORT_KEPT);
	report_part(REPORT_OK, "a1", "0000", REPORT_KEPT);
	/* Two with the same key are two. */
	r = report(REPORT_OK, "0000000000000000000000000000xx", "a3", "0000");
	report_one(&r, REPORT_KEPT);
	r = report(REPORT_OK, "0000000000000000000000000000xx", "a4", "0000");
	report_one(&r, REPORT_KEPT);
	report_one(&r, REPORT_KNOWN);
	(void)accepted_parts(m, "a1", "a2 a3 a4 a5");
	assert_string_equal(parts_text(m->msg_id), "DDDDA");
	assert_string_equal(row_text("status", m->msg_id), "2");
	assert_int_equal(number("SELECT COUNT(*) FROM mt_report"), 0);
	let_go(&k);
	report_part(REPORT_FAIL, "b3", "4001", REPORT_KEPT);
	report_part(REPORT_OK, "b1", "0000", REPORT_KEPT);
	m = one_claimed(&k);
	(void)accepted_parts(m, "b1", "b2 b3");
	assert_string_equal(result_text_of("result_code", m->msg_id), "4001");
	assert_int_equal(number("SELECT COUNT(*) FROM mt_report"), 0);
	let_go(&k);
	/* Written by another agent at the same moment: care finds it. */
	m = one_claimed(&k);
	(void)accepted_parts(m, "c1", "c2");
	report_part(REPORT_OK, "c1", "0000", REPORT_KNOWN);
	sql("INSERT INTO mt_report (channel, provider_id, class, code) VALUES ('ch', 'c2', 'OK', "
	    "'0000')");
	{
		struct store_care care_answer = { .limit = 100 };

		OK(store_care(st, &care_answer, E));
	}
	assert_string_equal(result_text_of("result_class", m->msg_id), "OK");
	assert_int_equal(number("SELECT COUNT(*) FROM mt_report"), 0);
	let_go(&k);
}

static void
test_parts_late(void **state)
{
	static const struct {
		enum report_class last;
		bool too_late;
		const char *class, *code;
	} cases[] = {
		{ REPORT_OK, false, "OK", "0000" },
		{ REPORT_FAIL, false, "FAIL", "4001" },
		{ REPORT_OK, true, "UNKNOWN", "8001" },
	};

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		struct claimed k;
		struct message *m;
		struct change c;
		int64_t id;

		(void)setup(NULL);
		m = one_claimed(&k);
		id = m->msg_id;
		(void)accepted_parts(m, "a1", "a2 a3");
		report_part(REPORT_OK, "a2", "0000", REPORT_KNOWN);
		m->fence = number("SELECT fence FROM mt_send");
		c = change_of(CHANGE_RESULT, m);
		set_result(&c, RESULT_UNKNOWN, "8001");
		apply_one(&c, CHANGED);
		report_part(REPORT_OK, "a1", "0000", REPORT_KNOWN);
		report_part(REPORT_OK, "a2", "0000", REPORT_KNOWN);
		assert_string_equal(result_text_of("result_class", id), "UNKNOWN");
		assert_int_equal(histories(), 0);
		if (cases[i].too_late)
			SQLF("UPDATE mt_result SET done_at = %s", at(-8 * 24 * HOUR_MS));
		report_part(cases[i].last, "a3", cases[i].code,
			    cases[i].too_late ? REPORT_KNOWN : REPORT_REVISED);
		assert_string_equal(result_text_of("result_class", id), cases[i].class);
		assert_string_equal(result_text_of("result_code", id), cases[i].code);
		assert_string_equal(result_text_of("rev", id), cases[i].too_late ? "0" : "1");
		assert_string_equal(result_text_of("parts", id), cases[i].too_late ? "NULL" : "3");
		assert_string_equal(result_text_of("provider_id", id), "a1");
		assert_int_equal(histories(), 1);
		let_go(&k);
	}
}

static void
test_parts_and_attempts(void **state)
{
	struct claimed k, k2;
	struct message *m;
	struct change c;
	struct store_care care_answer = { .limit = 100 };
	struct report_item r;
	int64_t id;

	(void)state;
	/* The leg fails with one part; the others say nothing about the next leg. */
	m = one_claimed(&k);
	id = m->msg_id;
	SQLF("UPDATE mt_send SET fallback_type = 'SMS', fallback_body = 'b' WHERE msg_id = "
	     "%" PRId64,
	     id);
	(void)accepted_parts(m, "a1", "a2");
	report_part(REPORT_FAIL, "a2", "4001", REPORT_APPLIED);
	assert_string_equal(row_text("leg", id), "1");
	report_part(REPORT_OK, "a1", "0000", REPORT_KNOWN);
	assert_string_equal(row_text("status", id), "0");
	assert_int_equal(number("SELECT COUNT(*) FROM mt_history WHERE event <> 'leg_failed'"), 0);
	claim_type(&k2, MSG_TYPE_SMS, 1);
	assert_int_equal(k2.n, 1);
	assert_false(k2.m[0]->older_open);
	(void)accepted_parts(k2.m[0], "a3", "a4");
	report_part(REPORT_OK, "a3", "0000", REPORT_KNOWN);
	report_part(REPORT_OK, "a4", "0000", REPORT_APPLIED);
	assert_string_equal(result_text_of("leg", id), "1");
	assert_string_equal(result_text_of("parts", id), "2");
	let_go(&k2);
	let_go(&k);
	/* Two attempts, the older one in parts. */
	m = one_claimed(&k);
	id = m->msg_id;
	make_unknown(m);
	resend(m, true, &k2, 1);
	c = change_of(CHANGE_RESULT, k2.m[0]);
	set_result(&c, RESULT_FAIL, "6001");
	c.is_evidence = true;
	apply_one(&c, CHANGED);
	(void)accepted_parts(m, "b1", "b2 b3");
	assert_string_equal(parts_text(id), "AAA");
	assert_int_equal(
		number("SELECT COUNT(*) FROM mt_try WHERE part = 0 AND provider_id = 'b1'"), 1);
	assert_string_equal(row_text("status", id), "2");
	report_part(REPORT_OK, "b1", "0000", REPORT_KNOWN);
	report_part(REPORT_FAIL, "b2", "4001", REPORT_APPLIED);
	assert_string_equal(result_text_of("result_class", id), "FAIL");
	assert_string_equal(result_text_of("result_code", id), "4001");
	report_part(REPORT_OK, "b3", "0000", REPORT_KNOWN);
	let_go(&k2);
	let_go(&k);
	/* The younger one in parts fails, the older one delivers. */
	m = one_claimed(&k);
	id = m->msg_id;
	make_unknown(m);
	resend(m, true, &k2, 1);
	(void)accepted_parts(k2.m[0], "c1", "c2");
	report_part(REPORT_FAIL, "c1", "4001", REPORT_APPLIED);
	assert_int_equal(number("SELECT COUNT(*) FROM mt_result WHERE result_code = '4001'"), 1);
	assert_string_equal(row_text("status", id), "2");
	report_part(REPORT_OK, "c2", "0000", REPORT_KNOWN);
	r = report(REPORT_OK, m->client_key, "c0", "0000");
	report_one(&r, REPORT_APPLIED);
	assert_string_equal(result_text_of("result_class", id), "OK");
	let_go(&k2);
	let_go(&k);
	/* The row was deleted: its result all the same, when all are there. */
	m = one_claimed(&k);
	id = m->msg_id;
	(void)accepted_parts(m, "d1", "d2 d3");
	SQLF("DELETE FROM mt_send WHERE msg_id = %" PRId64, id);
	report_part(REPORT_OK, "d3", "0000", REPORT_KNOWN);
	report_part(REPORT_OK, "d1", "0000", REPORT_KNOWN);
	report_part(REPORT_OK, "d1", "0000", REPORT_KNOWN);
	assert_string_equal(result_text_of("result_class", id), "none");
	report_part(REPORT_OK, "d2", "0000", REPORT_APPLIED);
	assert_string_equal(result_text_of("result_class", id), "OK");
	assert_string_equal(result_text_of("parts", id), "3");
	report_part(REPORT_FAIL, "d3", "4001", REPORT_KNOWN);
	let_go(&k);
	m = one_claimed(&k);
	id = m->msg_id;
	(void)accepted_parts(m, "e1", "e2 e3");
	SQLF("DELETE FROM mt_send WHERE msg_id = %" PRId64, id);
	report_part(REPORT_OK, "e3", "0000", REPORT_KNOWN);
	report_part(REPORT_FAIL, "e1", "4001", REPORT_APPLIED);
	report_part(REPORT_OK, "e2", "0000", REPORT_KNOWN);
	assert_string_equal(result_text_of("result_code", id), "4001");
	assert_int_equal(number("SELECT COUNT(*) FROM mt_history WHERE event = 'conflict'"), 0);
	let_go(&k);
	/* They go with the attempts. */
	SQLF("UPDATE mt_try SET sent_at = %s", at(-10 * 24 * HOUR_MS));
	OK(store_care(st, &care_answer, E));
	assert_int_equal(number("SELECT COUNT(*) FROM mt_try"), 0);
}

/* More ids than one statement takes, half of them reported before. */
static void
test_parts_many(void **state)
{
	static char more[5][255 * 12];
	struct claimed k;
	struct change c[5];
	struct report_item r[255];

	(void)state;
	for (int i = 0; i < 5; i++)
		(void)insert("SMS");
	claim_type(&k, MSG_TYPE_SMS, 10);
	assert_int_equal(k.n, 5);
	for (unsigned i = 0; i < 5; i++) {
		size_t n = 0, reports = 0;

		for (unsigned part = 1; part <= 255; part++) {
			char id[12];

			(void)snprintf(id, sizeof id, "m%u-%u", i, part);
			if (part > 1)
				n += (size_t)snprintf(more[i] + n, sizeof more[i] - n, "%s ", id);
			if (part % 2 == 0)
				r[reports++] = report(REPORT_OK, "", id, "0000");
		}
		OK(store_reports(st, r, reports, E));
		c[i] = change_of(CHANGE_ACCEPT, k.m[i]);
		(void)snprintf(c[i].provider_id, sizeof c[i].provider_id, "m%u-1", i);
		c[i].more_ids = more[i];
	}
	OK(store_apply(st, c, 5, E));
	assert_int_equal(number("SELECT COUNT(*) FROM mt_try WHERE part BETWEEN 1 AND 255"),
			 5 * 255);
	assert_int_equal(number("SELECT COUNT(*) FROM mt_try WHERE outcome = 'DELIVERED'"),
			 5 * 127);
	assert_int_equal(number("SELECT COUNT(*) FROM mt_report"), 0);
	for (unsigned i = 0; i < 5; i++) {
		size_t reports = 0;

		for (unsigned part = 1; part <= 255; part += 2) {
			char id[12];

			(void)snprintf(id, sizeof id, "m%u-%u", i, part);
			r[reports++] = report(REPORT_OK, "", id, "0000");
		}
		OK(store_reports(st, r, reports, E));
	}
	assert_int_equal(
		number("SELECT COUNT(*) FROM mt_result WHERE result_class = 'OK' AND parts = 255"),
		5);
	let_go(&k);
}

/* ---- care ---- */

static void
care(struct store_care *c)
{
	memset(c, 0, sizeof *c);
	c->limit = 100;
	OK(store_care(st, c, E));
}

static void
test_care_close(void **state)
{
	struct claimed k;
	struct store_care c;
	int64_t ids[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		ids[i] = insert("SMS");
	claim_type(&k, MSG_TYPE_SMS, 10);
	SQLF("UPDATE mt_send SET status = 2 WHERE msg_id = %" PRId64, ids[0]);
	SQLF("UPDATE mt_send SET status = 3 WHERE msg_id = %" PRId64, ids[1]);
	SQLF("UPDATE mt_send SET status = 4 WHERE msg_id = %" PRId64, ids[2]);
	care(&c);
	assert_int_equal(c.closed, 0);
	SQLF("UPDATE mt_send SET first_sent_at = %s, due_at = %s", at(-47 * HOUR_MS - 1000),
	     at(-1000));
	care(&c);
	assert_int_equal(c.closed, 4);
	assert_string_equal(result_text_of("result_code", ids[0]), "8001");
	assert_string_equal(result_text_of("result_code", ids[1]), "8002");
	assert_string_equal(result_text_of("result_code", ids[2]), "8002");
	assert_string_equal(result_text_of("result_code", ids[3]), "8002");
	assert_int_equal(number("SELECT COUNT(*) FROM mt_result WHERE result_class = 'UNKNOWN'"),
			 4);
	assert_int_equal(number("SELECT COUNT(*) FROM mt_send"), 0);
	let_go(&k);
}

static void
test_care_leases(void **state)
{
	struct claimed k;
	struct store_care c;
	struct store_row rows[10];
	size_t n;
	int64_t a, b;

	(void)state;
	a = insert("SMS");
	b = insert("SMS");
	claim_type(&k, MSG_TYPE_SMS, 10);
	SQLF("UPDATE mt_send SET due_at = %s", at(-1000));
	SQLF("UPDATE mt_send SET owner = 'agent-2', incarnation = 5 WHERE msg_id = %" PRId64, b);
	SQLF("INSERT INTO mt_agent (agent_id, incarnation, lease_until) VALUES ('agent-2', 5, %s)",
	     at(60000));
	care(&c);
	assert_int_equal(c.leases, 0);
	SQLF("UPDATE mt_agent SET lease_until = %s WHERE agent_id = 'agent-2'", at(-1000));
	care(&c);
	assert_int_equal(c.leases, 1);
	assert_string_equal(row_text("status", b), "3");
	assert_string_equal(row_text("status", a), "1");
	OK(store_list_own(st, 0, true, rows, 10, &n, E));
	assert_int_equal(n, 1);
	assert_int_equal(rows[0].msg_id, a);
	assert_string_equal(rows[0].client_key, row_text("client_key", a));
	OK(store_list_own(st, a, false, rows, 10, &n, E));
	assert_int_equal(n, 0);
	SQLF("UPDATE mt_send SET due_at = %s WHERE msg_id = %" PRId64, at(1000000), a);
	OK(store_list_own(st, 0, true, rows, 10, &n, E));
	assert_int_equal(n, 0);
	OK(store_list_own(st, 0, false, rows, 10, &n, E));
	assert_int_equal(n, 1);
	/* Its owner is dead, so the row becomes ours. */
	OK(store_take_unknown(st, rows, 10, &n, E));
	assert_int_equal(n, 1);
	assert_int_equal(rows[0].msg_id, b);
	assert_string_equal(row_text("owner", b), "agent-1");
	let_go(&k);
}

static void
test_care_foreign_rows(void **state)
{
	struct store_care c;
	struct claimed k;

	(void)state;
	for (int i = 1; i <= 5; i++) {
		SQLF("INSERT INTO mt_send (msg_type, sender, recipient, body, status) VALUES "
		     "('SMS', '1', '2', 'b', %d)",
		     i);
		SQLF("INSERT INTO mt_send (msg_type, sender, recipient, body, status, due_at, "
		     "fence, owner, client_key) VALUES "
		     "('SMS', '1', '2', 'b', %d, %s, %d, 'x', %s)",
		     i, at(-60000), i % 2, i > 3 ? "'junk'" : "NULL");
	}
	care(&c);
	assert_int_equal(c.made_new, 10);
	assert_int_equal(number("SELECT COUNT(*) FROM mt_send WHERE status = 0 AND fence = 0"), 10);
	claim_type(&k, MSG_TYPE_SMS, 100);
	assert_int_equal(k.n, 10);
	/* Our own rows with a due time lost: repaired, not sent again. */
	sql("UPDATE mt_send SET due_at = NULL");
	care(&c);
	assert_int_equal(c.made_new, 10);
	assert_int_equal(number("SELECT COUNT(*) FROM mt_send WHERE status = 1 AND due_at IS NOT "
				"NULL AND fence = 2"),
			 10);
	let_go(&k);
}

static void
test_care_reports_and_purge(void **state)
{
	struct claimed k;
	struct message *m;
	struct store_care c;
	struct report_item r;

	(void)state;
	m = one_claimed(&k);
	(void)accepted(m, "p1");
	/* Two lanes passed each other. */
	sql("INSERT INTO mt_report (channel, provider_id, class, code) VALUES ('ch', 'p1', 'OK', "
	    "'0000')");
	r = report(REPORT_FAIL, "", "nobody", "4001");
	report_one(&r, REPORT_KEPT);
	care(&c);
	assert_int_equal(c.kept_reports, 1);
	assert_string_equal(result_text_of("result_class", m->msg_id), "OK");
	assert_int_equal(number("SELECT COUNT(*) FROM mt_report"), 1);
	care(&c);
	assert_int_equal(number("SELECT COUNT(*) FROM mt_report"), 1);
	SQLF("UPDATE mt_report SET received_at = %s", at(-8 * 24 * HOUR_MS));
	sql("INSERT INTO mt_try (msg_id) VALUES (1)");
	SQLF("INSERT INTO mt_try (msg_id, sent_at) VALUES (2, %s)", at(-10 * 24 * HOUR_MS));
	care(&c);
	assert_int_equal(c.purged, 2);
	assert_int_equal(number("SELECT COUNT(*) FROM mt_report"), 0);
	assert_int_equal(number("SELECT COUNT(*) FROM mt_try"), 1);
	let_go(&k);
}

static void
test_odd_types(void **state)
{
	struct store_care c;
	struct claimed k;

	(void)state;
	(void)insert("sms");
	(void)insert(" Sms");
	(void)insert("SMS");
	(void)insert("lms ");
	(void)insert("what");
	sql("INSERT INTO mt_send (msg_type, priority, send_at, sender, recipient, body) VALUES "
	    "(NULL, NULL, NULL, '1', '2', 'b')");
	care(&c);
	claim_type(&k, MSG_TYPE_SMS, 10);
	assert_int_equal(k.n, 3);
	let_go(&k);
	claim_type(&k, MSG_TYPE_LMS, 10);
	assert_int_equal(k.n, 1);
	let_go(&k);
	claim_type(&k, MSG_TYPE_AUTO, 10);
	assert_int_equal(k.n, 1);
	assert_int_equal(k.m[0]->priority, 1);
	let_go(&k);
}

static void
test_walk(void **state)
{
	const struct store_queue q[] = {
		{ MSG_TYPE_SMS, 0 }, { MSG_TYPE_SMS, 1 }, { MSG_TYPE_SMS, 2 }, { MSG_TYPE_AUTO, 1 }
	};
	struct store_walk w = { .step = 3, .queues = q, .queue_count = NELEM(q) };
	struct {
		const char *set, *code;
	} cases[] = {
		{ "cancel_yn = 'y'", "3007" },
		{ "msg_type = 'what'", "2006" },
		{ "priority = 7", "2006" },
		{ "priority = -1", "2006" },
		{ "expire_at = send_at", "3008" },
		{ "msg_type = 'AT'", "none" },
		{ "msg_type = 'AT', expire_at = send_at", "2006" },
		{ "msg_type = 'sms'", "none" },
		{ "priority = NULL", "none" },
		{ "body = 'fine'", "none" },
	};
	int64_t ids[NELEM(cases)], cancelled = 0, expired = 0, refused = 0, normalised = 0;
	unsigned steps = 0;

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		ids[i] = insert("SMS");
		SQLF("UPDATE mt_send SET %s WHERE msg_id = %" PRId64, cases[i].set, ids[i]);
	}
	do {
		OK(store_walk(st, &w, E));
		cancelled += w.cancelled;
		expired += w.expired;
		refused += w.refused;
		normalised += w.normalised;
		assert_true(++steps < 100);
	} while (w.cursor != 0);
	for (size_t i = 0; i < NELEM(cases); i++) {
		const char *code = result_text_of("result_code", ids[i]);

		if (strcmp(code, cases[i].code) != 0)
			fail_msg("%s ends with %s instead of %s", cases[i].set, code,
				 cases[i].code);
	}
	assert_int_equal(cancelled, 1);
	assert_int_equal(expired, 1);
	assert_int_equal(refused, 4);
	assert_int_equal(normalised, 2);
	assert_true(steps >= 4);
	assert_int_equal(number("SELECT COUNT(*) FROM mt_send WHERE status = 0"), 4);
}

/* ---- what cannot be settled ---- */

/* Inserts into that table with the word bad in that column are refused. */
static void
break_inserts(bool on, const char *table, const char *column)
{
	if (strcmp(dialect, "sqlite") == 0 && on) {
		SQLF("CREATE TRIGGER bad BEFORE INSERT ON mt_%s WHEN NEW.%s = 'bad' "
		     "BEGIN SELECT RAISE(ABORT, 'no'); END",
		     table, column);
	} else if (strcmp(dialect, "mysql") == 0 && on) {
		SQLF("CREATE TRIGGER bad BEFORE INSERT ON mt_%s FOR EACH ROW BEGIN IF "
		     "NEW.%s = 'bad' THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no'; END IF; "
		     "END",
		     table, column);
	} else if (on) {
		SQLF("CREATE OR REPLACE FUNCTION bad() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN "
		     "IF NEW.%s = ''bad'' THEN RAISE EXCEPTION ''no''; END IF; RETURN NEW; END'",
		     column);
		SQLF("CREATE TRIGGER bad BEFORE INSERT ON mt_%s FOR EACH ROW EXECUTE PROCEDURE "
		     "bad()",
		     table);
	} else if (strcmp(dialect, "postgresql") == 0) {
		SQLF("DROP TRIGGER bad ON mt_%s", table);
	} else {
		sql("DROP TRIGGER bad");
	}
}

static void
break_results(bool on)
{
	break_inserts(on, "result", "etc1");
}

static void
test_one_bad_row(void **state)
{
	struct claimed k;
	struct change c[20];
	struct err why;
	struct store_care care_answer;
	int64_t bad;

	(void)state;
	for (int i = 0; i < 20; i++)
		(void)insert("SMS");
	claim_type(&k, MSG_TYPE_SMS, 100);
	bad = k.m[13]->msg_id;
	SQLF("UPDATE mt_send SET etc1 = 'bad' WHERE msg_id = %" PRId64, bad);
	break_results(true);
	for (unsigned i = 0; i < 20; i++) {
		c[i] = change_of(CHANGE_RESULT, k.m[i]);
		set_result(&c[i], RESULT_OK, "0000");
	}
	c[13].err = &why;
	OK(store_apply(st, c, 20, E));
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(c[i].answer, i == 13 ? CHANGE_FAILED : CHANGED);
	assert_true(why.text[0] != '\0');
	assert_int_equal(number("SELECT COUNT(*) FROM mt_result"), 19);
	assert_string_equal(row_text("status", bad), "4");
	assert_string_equal(row_text("pend_class", bad), "OK");
	assert_string_equal(row_text("pend_code", bad), "0000");
	SQLF("UPDATE mt_send SET due_at = %s", at(-1000));
	care(&care_answer);
	assert_int_equal(care_answer.pend_settled, 0);
	break_results(false);
	SQLF("UPDATE mt_send SET due_at = %s, first_sent_at = %s", at(-1000), at(-48 * HOUR_MS));
	care(&care_answer);
	assert_int_equal(care_answer.pend_settled, 1);
	assert_int_equal(care_answer.closed, 0);
	assert_string_equal(result_text_of("result_class", bad), "OK");
	assert_int_equal(number("SELECT COUNT(*) FROM mt_history WHERE event = 'not_settled'"), 1);
	let_go(&k);
}

/* ---- messages from phones ---- */

static struct store_received
from_phone(const char *from, const char *text, const char *provider_id)
{
	return (struct store_received){ .channel = "ch",
					.from = from,
					.to = "0212345678",
					.text = text,
					.provider_id = provider_id,
					.sent_at = "2026-01-02 03:04:05.678" };
}

static const char *
recv_text(const char *col, const char *where)
{
	char q[200];

	(void)snprintf(q, sizeof q, "SELECT %s FROM mt_recv WHERE %s", col, where);
	return ask(q);
}

static void
test_received(void **state)
{
	const char *sent = strcmp(dialect, "sqlite") == 0  ? "sent_at"
			   : strcmp(dialect, "mysql") == 0 ? "DATE_FORMAT(sent_at, '%T.%f')"
							   : "to_char(sent_at, 'HH24:MI:SS.US')";
	struct store_received r[7];
	char lone[3 * 4000 + 1] = "";

	(void)state;
	r[0] = from_phone("01011112222", "hello", "m1");
	r[1] = from_phone("01011112222", "part one ", "m2");
	r[1].reference = 65535;
	r[1].parts = 255;
	r[1].part = 1;
	r[2] = from_phone("01011112222", "no id", "");
	r[3] = from_phone("01011112222", "no id", "");
	r[4] = from_phone("01011112222", "again", "m1"); /* in the same transaction */
	r[5] = from_phone("", "", "m3");
	r[5].to = r[5].sent_at = "";
	for (size_t i = 0; i < 4000; i++)
		memcpy(lone + 3 * i, "\xea\xb0\x80", 4);
	r[6] = from_phone("01011112222", lone, "m4");
	OK(store_received(st, r, NELEM(r), E));
	for (size_t i = 0; i < NELEM(r); i++)
		assert_true(r[i].is_stored);
	assert_int_equal(number("SELECT COUNT(*) FROM mt_recv"), 6);
	assert_string_equal(recv_text("body", "provider_id = 'm1'"), "hello");
	assert_string_equal(recv_text("channel", "provider_id = 'm1'"), "ch");
	assert_string_equal(recv_text("sender", "provider_id = 'm1'"), "01011112222");
	assert_string_equal(recv_text("recipient", "provider_id = 'm1'"), "0212345678");
	assert_non_null(strstr(recv_text(sent, "provider_id = 'm1'"), "03:04:05.678"));
	assert_string_equal(recv_text("read_yn", "provider_id = 'm1'"), "N");
	assert_string_equal(recv_text("parts", "provider_id = 'm1'"), "NULL");
	assert_string_equal(recv_text("reference", "provider_id = 'm2'"), "65535");
	assert_string_equal(recv_text("parts", "provider_id = 'm2'"), "255");
	assert_string_equal(recv_text("part", "provider_id = 'm2'"), "1");
	assert_string_equal(recv_text("sender", "provider_id = 'm3'"), "NULL");
	assert_string_equal(recv_text("body", "provider_id = 'm3'"), "NULL");
	assert_string_equal(recv_text("sent_at", "provider_id = 'm3'"), "NULL");
	assert_int_equal(number("SELECT LENGTH(body) FROM mt_recv WHERE provider_id = 'm4'"),
			 strcmp(dialect, "mysql") == 0 ? 12000 : 4000);
	/* Brought again, among new ones: stored, and once. The same id by another channel is
	 * another one. */
	r[1] = from_phone("01011112222", "new", "m5");
	r[2].channel = "other";
	r[2].provider_id = "m1";
	OK(store_received(st, r, 3, E));
	assert_true(r[0].is_stored && r[1].is_stored && r[2].is_stored);
	assert_int_equal(number("SELECT COUNT(*) FROM mt_recv"), 8);
}

static void
test_received_refused(void **state)
{
	struct store_received r[20];
	char ids[20][8];

	(void)state;
	for (size_t i = 0; i < NELEM(r); i++) {
		(void)snprintf(ids[i], sizeof ids[i], "m%zu", i);
		r[i] = from_phone(i == 13 ? "bad" : "01011112222", "hello", ids[i]);
	}
	/* A time that most databases refuse. */
	r[5].sent_at = "2026-02-31 25:00:00.000";
	break_inserts(true, "recv", "sender");
	OK(store_received(st, r, NELEM(r), E));
	for (size_t i = 0; i < NELEM(r); i++)
		assert_int_equal(r[i].is_stored, i != 13);
	assert_true(r[13].err.text[0] != '\0');
	assert_int_equal(number("SELECT COUNT(*) FROM mt_recv"), 19);
	break_inserts(false, "recv", "sender");
	OK(store_received(st, r, NELEM(r), E));
	assert_true(r[13].is_stored);
	assert_int_equal(number("SELECT COUNT(*) FROM mt_recv"), 20);
}

static void
test_id_that_comes_again(void **state)
{
	struct claimed k;
	struct change c;
	char created[40];
	int64_t id;

	(void)state;
	/* Another message with this id and time has a result: never overwritten, never ignored. */
	id = one_claimed(&k)->msg_id;
	(void)text_copy(created, sizeof created, k.m[0]->created_at);
	SQLF("INSERT INTO mt_result (msg_id, created_at, result_class, result_code, client_key) "
	     "VALUES (%" PRId64 ", '%s', 'OK', '0000', 'another')",
	     id, created);
	c = change_of(CHANGE_RESULT, k.m[0]);
	set_result(&c, RESULT_FAIL, "4001");
	apply_one(&c, CHANGE_FAILED);
	assert_string_equal(row_text("status", id), "4");
	assert_string_equal(row_text("pend_code", id), "4001");
	assert_int_equal(number("SELECT COUNT(*) FROM mt_result"), 1);
	/* The same attempt's result: only the row was left over. */
	SQLF("UPDATE mt_result SET client_key = '%s'", k.m[0]->client_key);
	SQLF("UPDATE mt_send SET status = 1, pend_class = NULL, fence = 1 WHERE msg_id = %" PRId64,
	     id);
	apply_one(&c, CHANGED);
	assert_string_equal(row_text("status", id), "none");
	assert_int_equal(number("SELECT COUNT(*) FROM mt_result"), 1);
	let_go(&k);
	/* With another time it is another message. */
	SQLF("INSERT INTO mt_send (msg_id, msg_type, sender, recipient, body) VALUES (%" PRId64
	     ", 'SMS', '1', '2', 'b')",
	     id);
	claim_type(&k, MSG_TYPE_SMS, 10);
	assert_int_equal(k.n, 1);
	c = change_of(CHANGE_RESULT, k.m[0]);
	set_result(&c, RESULT_OK, "0000");
	apply_one(&c, CHANGED);
	assert_int_equal(number("SELECT COUNT(*) FROM mt_result"), 2);
	let_go(&k);
}

/* ---- every call may fail, each way, once: then the same call again ends as if nothing had been
 * ---- */

static void
torture_setup(struct claimed *k, struct change *c, unsigned n)
{
	(void)setup(NULL);
	for (unsigned i = 0; i < n; i++)
		(void)insert("AT");
	sql("UPDATE mt_send SET fallback_type = 'SMS' WHERE msg_id = (SELECT m FROM (SELECT "
	    "MAX(msg_id) AS m FROM mt_send) x)");
	claim_type(k, MSG_TYPE_AT, n);
	assert_int_equal(k->n, n);
	for (unsigned i = 0; i < n; i++) {
		static const enum change_kind kinds[] = { CHANGE_ACCEPT,  CHANGE_RESULT,
							  CHANGE_UNKNOWN, CHANGE_RELEASE,
							  CHANGE_DEFER,	  CHANGE_RESULT };

		c[i] = change_of(kinds[i % 6], k->m[i]);
		c[i].delay_ms = 60000;
		if (kinds[i % 6] == CHANGE_RESULT)
			set_result(&c[i], i % 6 == 1 ? RESULT_OK : RESULT_FAIL,
				   i % 6 == 1 ? "0000" : "5001");
	}
}

static void
repeat_until_done(enum rc (*call)(void *ctx, struct err *e), void *ctx)
{
	for (int i = 0;; i++) {
		struct err e = { 0 };
		enum rc rc = call(ctx, &e);

		if (rc == RC_OK)
			return;
		if (i == 5)
			fail_msg("still %s: %s", rc_name(rc), e.text);
		/* What an agent does with a session that failed. */
		if (rc == RC_LOST || rc == RC_UNSURE)
			reopen();
	}
}

struct apply_ctx {
	struct change *c;
	size_t n;
};

static enum rc
call_apply(void *ctx, struct err *e)
{
	struct apply_ctx *a = ctx;

	return store_apply(st, a->c, a->n, e);
}

static void
test_torture_apply(void **state)
{
	static const struct {
		enum rc rc;
		bool after;
	} ways[] = { { RC_AGAIN, false },
		     { RC_LOST, false },
		     { RC_LOST, true },
		     { RC_UNSURE, true },
		     { RC_CONFIG, false } };

	(void)state;
	if (!is_mem)
		skip();
	for (size_t way = 0; way < NELEM(ways); way++) {
		for (unsigned long at_call = 1; at_call < 200; at_call++) {
			struct claimed k;
			struct change c[12];
			struct apply_ctx a = { c, 12 };
			unsigned long calls;

			torture_setup(&k, c, 12);
			db_mem_fail_at(at_call, ways[way].rc, ways[way].after);
			repeat_until_done(call_apply, &a);
			calls = db_mem_calls();
			db_mem_fail_at(0, RC_OK, false);
			for (int i = 0; i < 12; i++)
				if (c[i].answer != CHANGED)
					fail_msg("way %zu, call %lu: change %d is answered %d", way,
						 at_call, i, (int)c[i].answer);
			assert_int_equal(number("SELECT COUNT(*) FROM mt_result"), 3);
			assert_int_equal(number("SELECT COUNT(*) FROM mt_send"), 9);
			assert_int_equal(number("SELECT COUNT(*) FROM mt_send WHERE leg = 1 AND "
						"msg_type = 'SMS' AND status = 0"),
					 1);
			assert_int_equal(number("SELECT COUNT(*) FROM mt_send WHERE fence = 2"), 9);
			assert_int_equal(number("SELECT COUNT(*) FROM mt_history"), 1);
			let_go(&k);
			if (calls < at_call)
				break;
			assert_true(at_call < 199);
		}
	}
}

struct report_ctx {
	struct report_item *r;
	size_t n;
};

static enum rc
call_reports(void *ctx, struct err *e)
{
	struct report_ctx *a = ctx;

	return store_reports(st, a->r, a->n, e);
}

static void
test_torture_reports(void **state)
{
	static const struct {
		enum rc rc;
		bool after;
	} ways[] = {
		{ RC_AGAIN, false }, { RC_LOST, false }, { RC_LOST, true }, { RC_UNSURE, true }
	};

	(void)state;
	if (!is_mem)
		skip();
	for (size_t way = 0; way < NELEM(ways); way++) {
		for (unsigned long at_call = 1; at_call < 200; at_call++) {
			struct claimed k;
			struct report_item r[5];
			struct report_ctx a = { r, 5 };
			struct change c;
			unsigned long calls;

			(void)setup(NULL);
			for (int i = 0; i < 4; i++)
				(void)insert("SMS");
			claim_type(&k, MSG_TYPE_SMS, 10);
			(void)accepted(k.m[1], "p1");
			c = change_of(CHANGE_RESULT, k.m[3]);
			set_result(&c, RESULT_UNKNOWN, "8002");
			apply_one(&c, CHANGED);
			r[0] = report(REPORT_OK, k.m[0]->client_key, "", "0000");
			r[1] = report(REPORT_FAIL, "", "p1", "4001");
			r[2] = report(REPORT_PENDING, k.m[2]->client_key, "p2", "");
			r[3] = report(REPORT_OK, k.m[3]->client_key, "", "0000");
			r[4] = report(REPORT_OK, "", "nobody", "0000");
			db_mem_fail_at(at_call, ways[way].rc, ways[way].after);
			repeat_until_done(call_reports, &a);
			calls = db_mem_calls();
			db_mem_fail_at(0, RC_OK, false);
			assert_int_equal(
				number("SELECT COUNT(*) FROM mt_result WHERE result_class = 'OK'"),
				2);
			assert_int_equal(number("SELECT COUNT(*) FROM mt_result WHERE result_class "
						"= 'FAIL'"),
					 1);
			assert_int_equal(number("SELECT COUNT(*) FROM mt_send WHERE status = 2"),
					 1);
			assert_int_equal(number("SELECT COUNT(*) FROM mt_report"), 1);
			assert_int_equal(number("SELECT COUNT(*) FROM mt_result WHERE rev = 1"), 1);
			assert_int_equal(number("SELECT COUNT(*) FROM mt_history"), 1);
			let_go(&k);
			if (calls < at_call)
				break;
			assert_true(at_call < 199);
		}
	}
}

static void
test_torture_parts(void **state)
{
	static const struct {
		enum rc rc;
		bool after;
	} ways[] = {
		{ RC_AGAIN, false }, { RC_LOST, false }, { RC_LOST, true }, { RC_UNSURE, true }
	};

	(void)state;
	if (!is_mem)
		skip();
	for (size_t way = 0; way < NELEM(ways); way++) {
		for (unsigned long at_call = 1; at_call < 300; at_call++) {
			struct claimed k;
			struct report_item r[6];
			struct report_ctx a = { r, 6 };
			struct change c[3];
			struct apply_ctx b = { c, 3 };
			unsigned long calls;

			(void)setup(NULL);
			for (int i = 0; i < 3; i++)
				(void)insert("SMS");
			claim_type(&k, MSG_TYPE_SMS, 10);
			report_part(REPORT_OK, "a2", "0000", REPORT_KEPT);
			for (int i = 0; i < 3; i++)
				c[i] = change_of(CHANGE_ACCEPT, k.m[i]);
			(void)text_copy(c[0].provider_id, sizeof c[0].provider_id, "a1");
			c[0].more_ids = "a2 a3";
			(void)text_copy(c[1].provider_id, sizeof c[1].provider_id, "b1");
			c[1].more_ids = "b2";
			(void)text_copy(c[2].provider_id, sizeof c[2].provider_id, "c1");
			r[0] = report(REPORT_OK, "", "a1", "0000");
			r[1] = report(REPORT_OK, "", "a3", "0000");
			r[2] = report(REPORT_OK, "", "a3", "0000");
			r[3] = report(REPORT_FAIL, "", "b2", "4001");
			r[4] = report(REPORT_OK, "", "b1", "0000");
			r[5] = report(REPORT_OK, "", "c1", "0000");
			db_mem_fail_at(at_call, ways[way].rc, ways[way].after);
			repeat_until_done(call_apply, &b);
			repeat_until_done(call_reports, &a);
			calls = db_mem_calls();
			db_mem_fail_at(0, RC_OK, false);
			assert_int_equal(number("SELECT COUNT(*) FROM mt_try WHERE part > 0"), 5);
			assert_string_equal(parts_text(k.m[0]->msg_id), "DDD");
			assert_string_equal(parts_text(k.m[1]->msg_id), "DF");
			assert_string_equal(result_text_of("result_class", k.m[0]->msg_id), "OK");
			assert_string_equal(result_text_of("result_code", k.m[1]->msg_id), "4001");
			assert_string_equal(result_text_of("result_class", k.m[2]->msg_id), "OK");
			assert_int_equal(number("SELECT COUNT(*) FROM mt_report"), 0);
			assert_int_equal(histories(), 0);
			let_go(&k);
			if (calls < at_call)
				break;
			assert_true(at_call < 299);
		}
	}
}

struct received_ctx {
	struct store_received *r;
	size_t n;
};

static enum rc
call_received(void *ctx, struct err *e)
{
	struct received_ctx *a = ctx;

	return store_received(st, a->r, a->n, e);
}

static void
test_torture_received(void **state)
{
	static const struct {
		enum rc rc;
		bool after;
	} ways[] = { { RC_AGAIN, false },
		     { RC_LOST, false },
		     { RC_LOST, true },
		     { RC_UNSURE, true },
		     { RC_DATA, false } };

	(void)state;
	if (!is_mem)
		skip();
	for (size_t way = 0; way < NELEM(ways); way++) {
		for (unsigned long at_call = 1; at_call < 100; at_call++) {
			struct store_received r[3] = { from_phone("1", "a", "m1"),
						       from_phone("2", "b", "m2"),
						       from_phone("3", "c", "m3") };
			struct received_ctx a = { r, 3 };
			unsigned long calls;

			(void)setup(NULL);
			db_mem_fail_at(at_call, ways[way].rc, ways[way].after);
			repeat_until_done(call_received, &a);
			calls = db_mem_calls();
			db_mem_fail_at(0, RC_OK, false);
			assert_true(r[0].is_stored && r[1].is_stored && r[2].is_stored);
			assert_int_equal(number("SELECT COUNT(*) FROM mt_recv"), 3);
			if (calls < at_call)
				break;
			assert_true(at_call < 99);
		}
	}
}

static void
test_torture_claim(void **state)
{
	static const struct {
		enum rc rc;
		bool after;
	} ways[] = {
		{ RC_AGAIN, false }, { RC_LOST, false }, { RC_LOST, true }, { RC_UNSURE, true }
	};

	(void)state;
	if (!is_mem)
		skip();
	for (size_t way = 0; way < NELEM(ways); way++) {
		for (unsigned long at_call = 1; at_call < 200; at_call++) {
			struct message *out[10];
			struct store_row rows[10];
			unsigned long calls;
			size_t own, seen = 0;

			(void)setup(NULL);
			for (int i = 0; i < 5; i++)
				(void)insert("SMS");
			db_mem_fail_at(at_call, ways[way].rc, ways[way].after);
			for (int turn = 0; turn < 5; turn++) {
				struct store_claim c = { .queue = { MSG_TYPE_SMS, 1 },
							 .want = 10,
							 .claim_seq = seq,
							 .out = out };
				struct err e = { 0 };
				enum rc rc;

				c.batch = batch_new(1 << 20);
				rc = store_claim(st, &c, &e);
				batch_free(c.batch);
				if (rc == RC_LOST || rc == RC_UNSURE)
					reopen();
				seen += c.got;
				if (rc == RC_OK)
					break;
			}
			calls = db_mem_calls();
			db_mem_fail_at(0, RC_OK, false);
			/* Handed out, or found by the list of our own rows; all keys are there. */
			OK(store_list_own(st, 0, false, rows, 10, &own, E));
			assert_int_equal(own, 5);
			assert_true(seen == 5 || seen == 0);
			for (size_t i = 0; i < own; i++)
				assert_int_equal(strlen(rows[i].client_key), CLIENT_KEY_LEN);
			if (calls < at_call)
				break;
			assert_true(at_call < 199);
		}
	}
}

/* ---- two agents at once ---- */

#define RACE_ROWS 400

struct racer {
	pthread_t thread;
	struct store_config cfg;
	struct store *st;
	int64_t seq;
	unsigned claimed, again;
	char failure[300];
};

static enum rc
race_turn(struct racer *r, bool *empty, struct err *e)
{
	struct message *out[25];
	struct change c[25];
	struct store_claim k = {
		.queue = { MSG_TYPE_SMS, 1 }, .want = 25, .claim_seq = r->seq, .out = out
	};
	enum rc rc;

	k.batch = batch_new(1 << 20);
	rc = store_claim(r->st, &k, e);
	*empty = rc == RC_OK && k.candidates == 0;
	if (rc == RC_OK && k.got > 0)
		r->seq++;
	for (int pass = 0; rc == RC_OK && pass < 2; pass++) {
		for (unsigned i = 0; i < k.got; i++) {
			int64_t fence = pass == 0 ? out[i]->fence : c[i].new_fence;

			c[i] = change_of(pass == 0 ? CHANGE_ACCEPT : CHANGE_RESULT, out[i]);
			c[i].fence = fence;
			set_result(&c[i], RESULT_OK, "0000");
		}
		do {
			rc = store_apply(r->st, c, k.got, e);
			r->again += rc == RC_AGAIN;
		} while (rc == RC_AGAIN);
		for (unsigned i = 0; rc == RC_OK && i < k.got; i++)
			if (c[i].answer != CHANGED)
				return err_set(e, RC_BUG, 0, "race", "answer %d in pass %d",
					       (int)c[i].answer, pass);
	}
	if (rc == RC_OK)
		r->claimed += k.got;
	batch_free(k.batch);
	return rc;
}

static void *
race(void *arg)
{
	struct racer *r = arg;
	bool empty = false;

	while (!empty) {
		struct err e = { 0 };
		enum rc rc = race_turn(r, &empty, &e);

		r->again += rc == RC_AGAIN;
		if (rc != RC_OK && rc != RC_AGAIN) {
			(void)snprintf(r->failure, sizeof r->failure, "%s: %s", rc_name(rc),
				       e.text);
			break;
		}
	}
	return NULL;
}

static void
test_two_agents(void **state)
{
	struct racer r[2];
	unsigned sum = 0;

	(void)state;
	if (is_mem)
		skip();
	memset(r, 0, sizeof r);
	for (int i = 0; i < RACE_ROWS; i++)
		(void)insert("SMS");
	for (int i = 0; i < 2; i++) {
		struct store_agent a = {
			.journal_id = "j", .boot_id = "b", .host = "h", .version = "0"
		};
		struct store_registration reg;

		r[i].cfg = cfg;
		r[i].cfg.agent_id = i == 0 ? "racer-1" : "racer-2";
		OK(store_open(&r[i].cfg, &r[i].st, E));
		OK(store_register(r[i].st, &a, &reg, E));
		r[i].seq = reg.claim_seq;
	}
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&r[i].thread, NULL, race, &r[i]), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pthread_join(r[i].thread, NULL), 0);
		store_close(r[i].st);
		if (r[i].failure[0] != '\0')
			fail_msg("racer %d: %s", i, r[i].failure);
		sum += r[i].claimed;
	}
	assert_int_equal(sum, RACE_ROWS);
	assert_int_equal(
		number("SELECT COUNT(*) FROM mt_result WHERE try_no = 1 AND result_class = 'OK'"),
		RACE_ROWS);
	assert_int_equal(number("SELECT COUNT(*) FROM mt_send"), 0);
	printf("# %u and %u rows, %u times again\n", r[0].claimed, r[1].claimed,
	       r[0].again + r[1].again);
}

/* ---- two agents hear about the parts of the same messages ---- */

#define PART_ROWS 200

struct listener {
	pthread_t thread;
	pthread_barrier_t *start; /* of each batch */
	struct store *st;
	int part;
	unsigned again, decided;
	char failure[300];
};

static void *
listen_to_parts(void *arg)
{
	struct listener *l = arg;

	for (int from = 0; from < PART_ROWS; from += 10) {
		struct report_item r[10];
		struct err e = { 0 };
		enum rc rc;

		pthread_barrier_wait(l->start);
		for (int i = 0; i < 10; i++) {
			/* Against each other, so that they meet within a batch too. */
			int row = l->part == 1 ? from + i : from + 9 - i;
			char id[20];

			(void)snprintf(id, sizeof id, "r%d-%d", row, l->part);
			r[i] = report(REPORT_OK, "", id, "0000");
		}
		do {
			rc = store_reports(l->st, r, 10, &e);
			l->again += rc == RC_AGAIN;
		} while (rc == RC_AGAIN);
		if (rc != RC_OK)
			(void)snprintf(l->failure, sizeof l->failure, "%s: %s", rc_name(rc),
				       e.text);
		for (int i = 0; rc == RC_OK && i < 10; i++)
			l->decided +=
				r[i].answer == REPORT_APPLIED || r[i].answer == REPORT_REVISED;
	}
	return NULL;
}

static void
test_two_agents_parts(void **state)
{
	struct listener l[2];
	struct store_config cfgs[2];
	pthread_barrier_t start;
	unsigned decided = 0;

	(void)state;
	if (is_mem)
		skip();
	assert_int_equal(pthread_barrier_init(&start, NULL, 2), 0);
	for (int late = 0; late < 2; late++) {
		int row = 0;

		(void)setup(NULL);
		for (int i = 0; i < PART_ROWS; i++)
			(void)insert("SMS");
		while (row < PART_ROWS) {
			struct claimed k;

			claim_type(&k, MSG_TYPE_SMS, 50);
			for (unsigned i = 0; i < k.n; i++, row++) {
				char first[20], second[20];

				(void)snprintf(first, sizeof first, "r%d-1", row);
				(void)snprintf(second, sizeof second, "r%d-2", row);
				(void)accepted_parts(k.m[i], first, second);
				if (late) {
					struct change c = change_of(CHANGE_RESULT, k.m[i]);

					set_result(&c, RESULT_UNKNOWN, "8001");
					apply_one(&c, CHANGED);
				}
			}
			let_go(&k);
		}
		decided = 0;
		for (int i = 0; i < 2; i++) {
			cfgs[i] = cfg;
			l[i] = (struct listener){ .start = &start, .part = i + 1 };
			OK(store_open(&cfgs[i], &l[i].st, E));
		}
		for (int i = 0; i < 2; i++)
			assert_int_equal(pthread_create(&l[i].thread, NULL, listen_to_parts, &l[i]),
					 0);
		for (int i = 0; i < 2; i++) {
			assert_int_equal(pthread_join(l[i].thread, NULL), 0);
			store_close(l[i].st);
			if (l[i].failure[0] != '\0')
				fail_msg("listener %d: %s", i, l[i].failure);
			decided += l[i].decided;
		}
		assert_int_equal(number("SELECT COUNT(*) FROM mt_result WHERE result_class = 'OK' "
					"AND parts = 2"),
				 PART_ROWS);
		assert_int_equal(decided, PART_ROWS);
		assert_int_equal(number("SELECT COUNT(*) FROM mt_send"), 0);
		printf("# %s parts: %u and %u decided, %u times again\n", late ? "late" : "timely",
		       l[0].decided, l[1].decided, l[0].again + l[1].again);
	}
	pthread_barrier_destroy(&start);
}

/* ---- speed: not a test of a machine, but of a statement that forgot its index ---- */

/* Many reserved and many held rows beside those that are due: nothing may become slower. */
static void
fill_waiting(unsigned rows)
{
	unsigned n = 1000;
	char text[600];

	for (unsigned i = 0; i < n; i++)
		SQLF("INSERT INTO mt_send (msg_type, sender, recipient, body, send_at) VALUES "
		     "('SMS', '1', '2', 'b', %s)",
		     at(1000000 + i));
	for (; n < rows; n *= 2) {
		(void)snprintf(text, sizeof text,
			       "INSERT INTO mt_send (msg_type, sender, recipient, body, send_at, "
			       "status, fence, due_at, client_key, "
			       "first_sent_at, owner) SELECT msg_type, sender, recipient, body, "
			       "send_at, CASE WHEN msg_id %% 4 = 3 THEN 4 ELSE 0 "
			       "END, 1, CASE WHEN msg_id %% 4 = 3 THEN send_at ELSE NULL END, "
			       "'000000000000000000000000000000', NULL, 'x' "
			       "FROM mt_send");
		sql(text);
	}
}

static void
timed(const char *what, int64_t start_us)
{
	printf("# %s: %.1f ms\n", what, (double)(clock_mono_us() - start_us) / 1000.0);
}

static void
bench_steps(void)
{
	const struct store_queue q[] = { { MSG_TYPE_SMS, 0 },
					 { MSG_TYPE_SMS, 1 },
					 { MSG_TYPE_LMS, 1 } };
	bool due[3];
	struct store_beat b = { .channels = "", .last_error = "", .count = true };
	struct store_walk w = { .step = 500, .queues = q, .queue_count = 3 };
	struct store_care c = { .limit = 500 };
	struct store_row rows[10];
	struct claimed k;
	size_t n;

	for (int turn = 0; turn < 3; turn++) {
		int64_t start = clock_mono_us();

		OK(store_peek(st, q, 3, due, E));
		timed("peek", start);
		start = clock_mono_us();
		claim_type(&k, MSG_TYPE_SMS, 100);
		timed("claim of nothing", start);
		let_go(&k);
		start = clock_mono_us();
		OK(store_care(st, &c, E));
		timed("care", start);
		start = clock_mono_us();
		OK(store_walk(st, &w, E));
		timed("walk of 500", start);
		start = clock_mono_us();
		OK(store_list_own(st, 0, false, rows, 10, &n, E));
		timed("list of own", start);
		start = clock_mono_us();
		OK(store_take_unknown(st, rows, 10, &n, E));
		timed("take unknown", start);
		start = clock_mono_us();
		OK(store_heartbeat(st, &b, E));
		timed("heartbeat with counts", start);
	}
}

static void
test_bench(void **state)
{
	const char *want = getenv("MTRELAY_STORE_BENCH");
	unsigned rows = want != NULL ? (unsigned)strtoul(want, NULL, 10) : 0;
	struct message *out[STORE_LIST_MAX];
	static struct change c[STORE_LIST_MAX];
	int64_t start, claim_ms = 0, accept_ms = 0, result_ms = 0;
	unsigned done = 0;

	(void)state;
	if (rows == 0)
		skip();
	if (getenv("MTRELAY_STORE_WAITING") != NULL) {
		fill_waiting((unsigned)strtoul(getenv("MTRELAY_STORE_WAITING"), NULL, 10));
		bench_steps();
	}
	for (unsigned i = 0; i < rows; i += 500) {
		char *text = malloc(100000);
		size_t n = 0;

		assert_non_null(text);
		n += (size_t)snprintf(
			text, 100000,
			"INSERT INTO mt_send (msg_type, sender, recipient, body) VALUES ");
		for (unsigned j = 0; j < 500; j++)
			n += (size_t)snprintf(
				text + n, 100000 - n,
				"%s('SMS', '0212345678', '0101234%04u', 'hello number %u')",
				j == 0 ? "" : ", ", j, i + j);
		sql(text);
		free(text);
	}
	while (done < rows) {
		struct store_claim k = { .queue = { MSG_TYPE_SMS, 1 },
					 .want = STORE_LIST_MAX,
					 .claim_seq = seq,
					 .out = out };

		k.batch = batch_new(8 << 20);
		start = clock_mono_ms();
		OK(store_claim(st, &k, E));
		claim_ms += clock_mono_ms() - start;
		assert_true(k.got > 0);
		seq++;
		for (unsigned i = 0; i < k.got; i++) {
			c[i] = change_of(CHANGE_ACCEPT, out[i]);
			(void)snprintf(c[i].provider_id, sizeof c[i].provider_id, "provider-%u",
				       done + i);
		}
		start = clock_mono_ms();
		OK(store_apply(st, c, k.got, E));
		accept_ms += clock_mono_ms() - start;
		for (unsigned i = 0; i < k.got; i++) {
			int64_t fence = c[i].new_fence;

			assert_int_equal(c[i].answer, CHANGED);
			c[i] = change_of(CHANGE_RESULT, out[i]);
			c[i].fence = fence;
			set_result(&c[i], RESULT_OK, "0000");
		}
		start = clock_mono_ms();
		OK(store_apply(st, c, k.got, E));
		result_ms += clock_mono_ms() - start;
		done += k.got;
		batch_free(k.batch);
	}
	printf("# %s: %u rows, claim %.0f/s, accept %.0f/s, result %.0f/s, together %.0f rows/s\n",
	       dialect, done, done * 1000.0 / (double)(claim_ms + 1),
	       done * 1000.0 / (double)(accept_ms + 1), done * 1000.0 / (double)(result_ms + 1),
	       done * 1000.0 / (double)(claim_ms + accept_ms + result_ms + 1));
	assert_int_equal(number("SELECT COUNT(*) FROM mt_result"), rows);
	if (getenv("MTRELAY_STORE_WAITING") == NULL)
		assert_int_equal(number("SELECT COUNT(*) FROM mt_send"), 0);
}

static int
open_all(void **state)
{
	const char *name = getenv("MTRELAY_STORE_DRIVER");
	struct schema_db db = { .prefix = "mt_" };
	struct store_facts facts;
	int64_t port = 0;

	(void)state;
	db_mem_register();
	is_mem = name == NULL;
	driver = db_driver_find(is_mem ? "mem" : name);
	if (driver == NULL)
		return -1;
	params =
		(struct db_params){ .name = is_mem ? ":memory:store" : getenv("MTRELAY_STORE_NAME"),
				    .host = getenv("MTRELAY_STORE_HOST"),
				    .socket = getenv("MTRELAY_STORE_SOCKET"),
				    .user = getenv("MTRELAY_STORE_USER"),
				    .password = getenv("MTRELAY_STORE_PASSWORD"),
				    .connection = getenv("MTRELAY_STORE_CONNECTION"),
				    .connect_timeout_ms = 10000,
				    .statement_timeout_ms = 30000 };
	if (getenv("MTRELAY_STORE_PORT") != NULL &&
	    text_i64(getenv("MTRELAY_STORE_PORT"), 1, 65535, &port))
		params.port = (unsigned)port;
	OK(driver->process_init(E));
	OK(driver->open(&params, &raw, E));
	dialect = driver->dialect(raw);
	db.driver = driver;
	db.session = raw;
	db.dialect = dialect;
	OK(schema_apply(&db, NULL, E));
	if (strcmp(dialect, "mysql") == 0)
		sql("SET time_zone = '+00:00'");
	if (strcmp(dialect, "postgresql") == 0)
		sql("SET TIME ZONE 'UTC'");
	cfg = (struct store_config){ .driver = driver,
				     .params = params,
				     .prefix = "mt_",
				     .agent_id = "agent-1",
				     .agent_lease_ms = 30000,
				     .row_lease_ms = 120000,
				     .close_after_ms = 47 * HOUR_MS,
				     .expire_after_ms = 24 * HOUR_MS,
				     .late_ms = 7 * 24 * HOUR_MS,
				     .body_cap_bytes = 4096 };
	OK(store_open(&cfg, &st, E));
	OK(store_facts_read(st, &facts, E));
	cfg.installation = facts.installation;
	store_close(st);
	st = NULL;
	return 0;
}

static int
close_all(void **state)
{
	(void)state;
	driver->close(raw);
	driver->process_fini();
	return 0;
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_transitions),
		CASE(test_every_statement_prepares),
		CASE(test_facts),
		CASE(test_register),
		CASE(test_heartbeat),
		CASE(test_freeze),
		CASE(test_claim),
		CASE(test_claim_order_and_limit),
		CASE(test_claim_what_an_application_wrote),
		CASE(test_claim_big_body),
		CASE(test_claim_too_big_for_the_batch),
		CASE(test_claim_refused),
		CASE(test_claim_cancel_and_repeat),
		CASE(test_accept_and_result),
		CASE(test_text_policy),
		CASE(test_many_in_one),
		CASE(test_many_with_some_stale),
		CASE(test_stale_and_gone),
		CASE(test_accept_after_release),
		CASE(test_release_keeps),
		CASE(test_several_of_one_message),
		CASE(test_silent),
		CASE(test_unknown_look_hold),
		CASE(test_touched),
		CASE(test_touched_in_the_next_leg),
		CASE(test_touched_with_an_outcome),
		CASE(test_fences_that_come_again),
		CASE(test_resend_same_key),
		CASE(test_resend_is_counted),
		CASE(test_resend_new_key),
		CASE(test_fallback),
		CASE(test_reports),
		CASE(test_reports_page),
		CASE(test_revision),
		CASE(test_parts),
		CASE(test_parts_reported_before),
		CASE(test_parts_late),
		CASE(test_parts_and_attempts),
		CASE(test_parts_many),
		CASE(test_care_close),
		CASE(test_care_leases),
		CASE(test_care_foreign_rows),
		CASE(test_care_reports_and_purge),
		CASE(test_odd_types),
		CASE(test_walk),
		CASE(test_received),
		CASE(test_received_refused),
		CASE(test_one_bad_row),
		CASE(test_id_that_comes_again),
		CASE(test_torture_apply),
		CASE(test_torture_reports),
		CASE(test_torture_parts),
		CASE(test_torture_received),
		CASE(test_torture_claim),
		CASE(test_two_agents),
		CASE(test_two_agents_parts),
		CASE(test_bench),
	};

	return cmocka_run_group_tests(tests, open_all, close_all);
}
