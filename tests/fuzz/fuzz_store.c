/* Rows as an application may write them, of any type that SQLite lets into a column: whatever
 * stands there, a row is claimed, judged and settled once, or waits, and the texts are within their
 * bounds.
 *
 * The columns of the application's block in their order, each as: kind (default, NULL, number,
 * text, bytes, a text of large length), then its value. */
#include "config.h"
#include <inttypes.h>
#include "agent/batch.h"
#include "agent/log.h"
#include "agent/schema.h"
#include "agent/store.h"
#include "agent/text.h"
#include "agent/validate.h"
#include "drivers/db/db.h"
#include "drivers/db/mem.h"
#include "tests/fuzz/fuzz.h"

#define CAP_BYTES 2000
#define ROWS_MAX 3

static const char *const columns[] = {
	"req_key",
	"msg_type",
	"priority",
	"sender",
	"recipient",
	"subject",
	"body",
	"is_ad",
	"vars",
	"profile_key",
	"template_code",
	"payload",
	"file_key",
	"fallback_type",
	"fallback_subject",
	"fallback_body",
	"fallback_file_key",
	"send_at",
	"expire_at",
	"group_key",
	"dept_code",
	"origin_code",
	"etc1",
	"etc2",
	"etc3",
	"etc4",
	"cancel_yn",
	/* the agent's: a row that is inserted with these set is treated as new */
	"status",
	"fence",
	"client_key",
	"owner",
	"try_no",
	"leg",
	"generation",
	"created_at",
};
#define COLUMNS (sizeof columns / sizeof columns[0])

static const struct db_driver *driver;
static struct db_session *raw;
static struct store *store;
static struct store_config cfg = { .prefix = "mt_",
				   .agent_id = "fuzz",
				   .agent_lease_ms =
					   INT64_C(1000) * 3600000, /* nobody beats here */
				   .row_lease_ms = 120000,
				   .close_after_ms = INT64_C(47) * 3600000,
				   .expire_after_ms = INT64_C(24) * 3600000,
				   .late_ms = INT64_C(7) * 24 * 3600000,
				   .body_cap_bytes = CAP_BYTES };
static int64_t seq;
static struct err e;

static void
sql(const char *text)
{
	must(driver->exec_text(raw, text, &e) == RC_OK);
}

static int64_t
count(const char *text)
{
	const struct db_sql q = { .name = "count", .text = text, .cols = "i" };
	struct db_value v = { 0 };
	struct db_stmt *st;
	bool more;

	must(driver->prepare(raw, &q, &st, &e) == RC_OK &&
	     driver->exec(st, NULL, NULL, &e) == RC_OK);
	must(driver->fetch(st, &v, &more, &e) == RC_OK && more);
	driver->finish(st);
	return v.i;
}

static void
open_store(void)
{
	struct store_agent a = {
		.pid = 1, .journal_id = "j", .boot_id = "b", .host = "h", .version = "0"
	};
	struct store_registration r;

	store_close(store);
	must(store_open(&cfg, &store, &e) == RC_OK);
	must(store_register(store, &a, &r, &e) == RC_OK);
	seq = r.claim_seq;
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct schema_db db = { .dialect = "sqlite", .prefix = "mt_" };
	struct store_facts f;

	(void)argc;
	(void)argv;
	log_set_level(LOG_LEVEL_ERROR);
	db_mem_register();
	driver = cfg.driver = db_driver_find("mem");
	must(driver != NULL && driver->process_init(&e) == RC_OK);
	cfg.params.name = ":memory:fuzz";
	must(driver->open(&cfg.params, &raw, &e) == RC_OK);
	db.driver = driver;
	db.session = raw;
	must(schema_apply(&db, NULL, &e) == RC_OK);
	must(store_open(&cfg, &store, &e) == RC_OK && store_facts_read(store, &f, &e) == RC_OK);
	cfg.installation = f.installation;
	open_store();
	return 0;
}

static struct db_value
value(struct bytes *in, char *large)
{
	unsigned kind = take_byte(in) % 6;
	struct bytes b;

	switch (kind) {
	case 1:
		return (struct db_value){ .type = DB_NULL };
	case 2:
		return (struct db_value){ .type = DB_INT,
					  .i = (int64_t)take_int(in, take_byte(in) % 9) };
	case 5:
		memset(large, (int)(take_byte(in) | 1), 5000);
		return (struct db_value){ .type = DB_TEXT,
					  .p = large,
					  .n = CAP_BYTES - 8 + take_byte(in) * 4 };
	default:
		b = take_some(in, take_byte(in) % 64);
		return (struct db_value){ .type = kind == 4 ? DB_BLOB : DB_TEXT,
					  .p = (const char *)b.p,
					  .n = b.n };
	}
}

/* False when the table itself refuses it: a date that is none, an agent's column out of its range.
 */
static bool
insert(struct bytes *in)
{
	static char large[5000];
	char text[2000] = "INSERT INTO mt_send (";
	struct db_value args[COLUMNS];
	struct db_sql q = {
		.name = "insert", .text = text, .cols = "", .is_write = true, .one_row = true
	};
	struct db_stmt *st;
	uint64_t given = take_int(in, 5);
	bool ok;

	for (size_t i = 0; i < COLUMNS; i++) {
		if ((given >> i & 1) == 0 && i != 3 && i != 4 && i != 6)
			continue;
		args[q.nargs++] = value(in, large);
		strcat(text, q.nargs > 1 ? ", " : "");
		strcat(text, columns[i]);
	}
	strcat(text, ") VALUES (?");
	for (unsigned i = 1; i < q.nargs; i++)
		strcat(text, ", ?");
	strcat(text, ")");
	must(driver->prepare(raw, &q, &st, &e) == RC_OK);
	ok = driver->exec(st, args, NULL, &e) == RC_OK;
	driver->finish(st);
	return ok;
}

static void
check_text(const struct text *t, size_t most)
{
	must(t->n <= most && t->full >= t->n && (t->p != NULL || t->n == 0));
	must(t->p == NULL || t->p[t->n] == '\0');
}

static void
settle(struct message *m)
{
	struct validate_rules rules = { .text_cap_bytes = CAP_BYTES, .types = 6 };
	struct change c = { .kind = CHANGE_RESULT,
			    .msg_id = m->msg_id,
			    .fence = m->fence,
			    .leg = m->leg,
			    .try_no = m->try_no,
			    .client_key = m->client_key,
			    .m = m,
			    .new_type = MSG_TYPE_NONE,
			    .class = RESULT_FAIL,
			    .code = "2001",
			    .channel = "c" };
	struct verdict v;

	for (int i = 0; i < MSG_TYPE_COUNT; i++)
		rules.by_type[i] =
			(struct validate_type){ .charset = CHARSET_CP949,
						.max_bytes = i == MSG_TYPE_SMS ? 90 : 2000 };
	must(strlen(m->client_key) == CLIENT_KEY_LEN && m->created_at[0] != '\0');
	must(m->priority >= 0 && m->leg >= 0 && m->try_no > 0);
	check_text(&m->body, CAP_BYTES);
	check_text(&m->vars, CAP_BYTES);
	check_text(&m->payload, CAP_BYTES);
	check_text(&m->recipient, SIZE_MAX);
	check_text(&m->send_at, 64);
	validate_message(m, &rules, &v);
	must(store_apply(store, &c, 1, &e) == RC_OK);
	must(c.answer == CHANGED);
}

static void
claim(enum msg_type type, int priority)
{
	struct message *list[ROWS_MAX];
	struct store_claim c = {
		.queue = { type, priority }, .want = ROWS_MAX, .claim_seq = seq, .out = list
	};

	c.batch = batch_new(1 << 20);
	must(c.batch != NULL && store_claim(store, &c, &e) == RC_OK && !c.seq_mismatch);
	if (c.got > 0)
		seq++;
	for (unsigned i = 0; i < c.got; i++)
		settle(list[i]);
	batch_free(c.batch);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum msg_type types[] = { MSG_TYPE_AUTO, MSG_TYPE_SMS, MSG_TYPE_LMS };
	struct store_queue queues[9];
	struct store_walk w = { .step = 10, .queues = queues, .queue_count = 9 };
	struct store_care care = { .limit = 10 };
	struct bytes in = { data, size };
	bool due[9];
	int64_t rows = 0;

	for (int r = 0; r < ROWS_MAX && in.n > 0; r++)
		rows += insert(&in);
	for (int i = 0; i < 9; i++)
		queues[i] = (struct store_queue){ types[i / 3], i % 3 };
	must(store_care(store, &care, &e) == RC_OK && store_walk(store, &w, &e) == RC_OK);
	must(store_peek(store, queues, 9, due, &e) == RC_OK);
	for (int i = 0; i < 9; i++)
		claim(queues[i].type, queues[i].priority);
	/* Fallbacks are new legs of the same message. */
	for (int i = 0; i < 9; i++)
		claim(queues[i].type, queues[i].priority);
	must(store_care(store, &care, &e) == RC_OK && store_walk(store, &w, &e) == RC_OK);
	must(count("SELECT (SELECT COUNT(*) FROM mt_send) + (SELECT COUNT(*) FROM mt_result)") ==
	     rows);
	must(count("SELECT COUNT(*) FROM mt_send WHERE status = 1 AND owner = 'fuzz' AND "
		   "incarnation > 0") == 0);
	sql("DELETE FROM mt_send");
	sql("DELETE FROM mt_result");
	sql("DELETE FROM mt_history");
	return 0;
}
