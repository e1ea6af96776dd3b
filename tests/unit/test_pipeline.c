/* Messages from phones, and messages in several parts, on their way through the pipeline: a channel
 * of the test's own, the pipeline, the journal and the store as they are, SQLite in the test's
 * process. The channel aborts the test when it is called after its end or from inside of its own
 * event. */
#include "config.h"
#include <dirent.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "agent/clock.h"
#include "agent/log.h"
#include "agent/pipeline_int.h"
#include "agent/recover.h"
#include "agent/schema.h"
#include "agent/stats.h"
#include "drivers/db/mem.h"
#include "tests/unit/unit.h"

#define TOLD_MAX 2000
#define NUMBER "01012345678"

static const char db_name[] = ":memory:pipeline";
static char folder[] = "/tmp/pipeline.XXXXXX";
static char log_path[64], conf_path[64], state_dir[64];
static struct journal *journal;
static struct event_base *base;
static struct store_config cfg;
static struct session *session;
static struct pipeline *p;
static struct conf *conf;
static struct db_session *raw;

/* ---- the channel ---- */

struct phone {
	struct channel_env env;
	bool inside;
};

static struct phone *open_phone; /* the one that is the pipeline's */
static unsigned opened;
static struct {
	uint64_t number;
	bool stored;
	unsigned opening;
} told[TOLD_MAX];
static size_t told_n;
static uint64_t answer_with; /* a message that comes as soon as another one is confirmed; 0: none */
static unsigned room;	     /* messages that it takes */
static struct message *taken[8];
static size_t taken_n;

static void
bring(uint64_t number, const char *text, const char *provider_id)
{
	const struct received r = { .from = NUMBER,
				    .to = "0212345678",
				    .text = text,
				    .provider_id = provider_id,
				    .sent_at = "2026-01-02 03:04:05.678" };

	open_phone->inside = true;
	open_phone->env.events->received(open_phone->env.owner, &r, number);
	open_phone->inside = false;
}

static enum rc
phone_open(const struct channel_env *env, const struct conf_channel *cf, struct channel **out,
	   struct err *e)
{
	struct phone *c = calloc(1, sizeof *c);

	(void)cf;
	(void)e;
	assert_non_null(c);
	c->env = *env;
	*out = (struct channel *)c;
	if (env->owner != &p->ways[0])
		return RC_OK; /* new options are tried first */
	open_phone = c;
	opened++;
	return RC_OK;
}

static void
phone_close(struct channel *c)
{
	if ((struct phone *)c == open_phone)
		open_phone = NULL;
	free(c);
}

static const struct channel_caps *
phone_caps(const struct channel *c)
{
	static const struct channel_caps caps = {
		.types = 1u << MSG_TYPE_SMS, .batch_max = 4, .has_reports = true, .sms_bytes = 90
	};

	(void)c;
	return &caps;
}

static unsigned
phone_room(const struct channel *c)
{
	(void)c;
	return room;
}

static enum rc
phone_submit(struct channel *c, struct message **m, size_t n, struct err *e)
{
	assert_ptr_equal(c, open_phone);
	assert_true(n <= room && taken_n + n <= NELEM(taken));
	(void)e;
	memcpy(taken + taken_n, m, n * sizeof *m);
	taken_n += n;
	room -= (unsigned)n;
	return RC_OK;
}

/* The i-th message was accepted in as many parts as there are ids. */
static void
accept_parts(size_t i, const char *first, const char *more)
{
	struct outcome o = { .kind = OUT_ACCEPTED, .parts = 3 };
	char ids[100]; /* borrowed for the call */

	(void)snprintf(o.provider_id, sizeof o.provider_id, "%s", first);
	(void)snprintf(ids, sizeof ids, "%s", more);
	o.more_ids = ids;
	assert_true(open_phone->env.events->wire(open_phone->env.owner, &taken[i], 1));
	open_phone->env.events->done(open_phone->env.owner, &taken[i], &o, 1);
	memset(ids, 'x', sizeof ids);
}

static void
phone_taken(struct channel *c, uint64_t number, bool is_stored)
{
	assert_ptr_equal(c, open_phone);
	assert_false(open_phone->inside);
	assert_true(told_n < TOLD_MAX);
	told[told_n].number = number;
	told[told_n].stored = is_stored;
	told[told_n++].opening = opened;
	if (answer_with != 0) {
		answer_with = 0;
		bring(99, "at once", "");
	}
}

static void
phone_drain(struct channel *c)
{
	assert_ptr_equal(c, open_phone);
}

static size_t
phone_in_flight(const struct channel *c)
{
	(void)c;
	return 0;
}

static const char *says = "";

static void
phone_describe(const struct channel *c, char *buf, size_t size)
{
	(void)c;
	(void)snprintf(buf, size, "%s", says);
}

static const struct channel_driver phone = {
	.name = "null",
	.open = phone_open,
	.caps = phone_caps,
	.room = phone_room,
	.submit = phone_submit,
	.received_taken = phone_taken,
	.drain = phone_drain,
	.in_flight = phone_in_flight,
	.describe = phone_describe,
	.close = phone_close,
};

/* In the place of the registry. */
const struct channel_driver *
channel_driver_find(const char *name)
{
	return strcmp(name, phone.name) == 0 ? &phone : NULL;
}

const char *
channel_driver_names(void)
{
	return phone.name;
}

const char *
channel_state_name(enum channel_state s)
{
	return s == CHANNEL_UP ? "UP" : "?";
}

/* ---- around it ---- */

static void
on_fatal(void *arg, int status, const char *why)
{
	(void)arg;
	fail_msg("fatal %d: %s", status, why);
}

static void
sql(const char *text)
{
	struct err e = { .text = "" };

	if (cfg.driver->exec_text(raw, text, &e) != RC_OK)
		fail_msg("%s: %s", text, e.text);
}

static int64_t
number(const char *text)
{
	const struct db_sql q = { .name = "number", .text = text, .cols = "i" };
	struct db_value v = { 0 };
	struct db_stmt *st;
	bool more;

	assert_int_equal(cfg.driver->prepare(raw, &q, &st, NULL), RC_OK);
	assert_int_equal(cfg.driver->exec(st, NULL, NULL, NULL), RC_OK);
	assert_int_equal(cfg.driver->fetch(st, &v, &more, NULL), RC_OK);
	cfg.driver->finish(st);
	return v.i;
}

static int64_t
rows(void)
{
	return number("SELECT COUNT(*) FROM mt_recv");
}

static struct conf *
load(int rate)
{
	struct conf_problems problems = { 0 };
	struct conf *c;
	FILE *f = fopen(conf_path, "w");

	assert_non_null(f);
	fprintf(f,
		"database: { driver = \"odbc\"; connection = \"x\"; };\n"
		"channels: ( { name = \"dry\"; driver = \"null\"; rate = %d; } );\n"
		"routes: ( { type = [\"SMS\"]; channels = [\"dry\"]; } );\n",
		rate);
	assert_int_equal(fclose(f), 0);
	if (conf_load(conf_path, &c, &problems) != RC_OK) {
		conf_problems_print(stderr, &problems);
		fail();
	}
	return c;
}

/* The database can be opened, or cannot: the session that stands goes with the next call. */
static void
away(bool is_away)
{
	cfg.params.name = is_away ? "/nonexistent/pipeline" : db_name;
	db_mem_fail_at(is_away ? 1 : 0, RC_LOST, false);
}

static void
turn_until(bool (*done)(void))
{
	int64_t until = clock_mono_ms() + 10000;

	while (!done()) {
		assert_true(clock_mono_ms() < until);
		event_base_loop(base, EVLOOP_ONCE);
	}
}

static size_t wanted;

static bool
all_told(void)
{
	return told_n >= wanted;
}

static bool
has_failed(void)
{
	return p->received_backoff_ms > 0;
}

static void
turn_until_told(size_t n)
{
	wanted = n;
	turn_until(all_told);
	assert_int_equal(told_n, n);
}

static bool
log_has(const char *word)
{
	char line[1000];
	bool has = false;
	FILE *f = fopen(log_path, "r");

	assert_non_null(f);
	while (fgets(line, sizeof line, f) != NULL) {
		has = has || strstr(line, word) != NULL;
		assert_null(strstr(line, NUMBER));
	}
	fclose(f);
	return has;
}

static int
setup(void **state)
{
	static const char *const tables[] = { "recv", "send", "result", "try", "agent" };
	struct pipeline_env env = {
		.base = base, .claim = session, .settle = session, .store = &cfg, .fatal = on_fatal
	};
	struct store_agent agent = { .journal_id = "j", .boot_id = "b", .host = "h" };
	struct store_registration reg;
	struct store_facts facts;
	struct journal_info info;
	struct store *st;
	struct err e = { .text = "" };

	(void)state;
	for (size_t i = 0; i < NELEM(tables); i++) {
		char text[40];

		(void)snprintf(text, sizeof text, "DELETE FROM mt_%s", tables[i]);
		sql(text);
	}
	room = 0;
	taken_n = 0;
	away(false);
	stats_reset();
	told_n = 0;
	opened = 0;
	answer_with = 0;
	conf = load(10);
	cfg.params.name = db_name;
	if (store_open(&cfg, &st, &e) != RC_OK || store_facts_read(st, &facts, &e) != RC_OK)
		fail_msg("%s", e.text);
	cfg.installation = facts.installation;
	if (store_register(st, &agent, &reg, &e) != RC_OK ||
	    journal_open(state_dir, 1 << 20, 1 << 20, &journal, &info, &e) != RC_OK ||
	    journal_start(journal, reg.incarnation, &e) != RC_OK)
		fail_msg("%s", e.text);
	store_close(st);
	env.journal = journal;
	env.claim_seq = reg.claim_seq;
	if (pipeline_new(&env, conf, &p, &e) != RC_OK || pipeline_start(p, &e) != RC_OK)
		fail_msg("%s", e.text);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	pipeline_stop(p);
	assert_null(open_phone);
	/* What is under way in the session comes back to a pipeline that has stopped. */
	for (int i = 0; i < 3; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	pipeline_free(p);
	journal_close(journal);
	conf_unref(conf);
	away(false);
	return 0;
}

/* ---- cases ---- */

static void
confirmed_when_the_database_has_them(void **state)
{
	(void)state;
	bring(1, "hello", "m1");
	bring(2, "", "");
	bring(3, "hello again", "m1");
	assert_int_equal(told_n, 0);
	assert_false(pipeline_is_empty(p));
	turn_until_told(3);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(told[i].number, i + 1);
		assert_true(told[i].stored);
	}
	assert_int_equal(rows(), 2);
	assert_int_equal(stat_get(STAT_received), 3);
	assert_true(pipeline_is_empty(p));
}

static void
the_next_may_come_while_one_is_confirmed(void **state)
{
	(void)state;
	answer_with = 99;
	bring(1, "one", "");
	bring(2, "two", "");
	turn_until_told(3);
	assert_int_equal(told[2].number, 99);
	assert_int_equal(rows(), 3);
}

static void
what_no_column_takes_is_made_to_fit(void **state)
{
	char *lone = malloc(3 * 5000 + 10);

	(void)state;
	assert_non_null(lone);
	for (size_t i = 0; i < 5000; i++)
		memcpy(lone + 3 * i, "\xea\xb0\x80", 4);
	bring(1, lone, "m1");
	bring(2, "a\xff\xfe b\xed\xa0\x80", "m2");
	free(lone);
	turn_until_told(2);
	assert_true(told[0].stored && told[1].stored);
	assert_true(log_has("received.cut"));
	sql("DELETE FROM mt_recv WHERE provider_id = 'm1' AND length(body) = 4000");
	sql("DELETE FROM mt_recv WHERE provider_id = 'm2' AND body LIKE 'a__ b___'");
	assert_int_equal(rows(), 0);
}

static void
one_that_is_refused_does_not_hold_the_others(void **state)
{
	(void)state;
	sql("CREATE TRIGGER bad BEFORE INSERT ON mt_recv WHEN NEW.body = 'bad' "
	    "BEGIN SELECT RAISE(ABORT, 'no'); END");
	for (uint64_t i = 0; i < 250; i++)
		bring(i, i == 120 ? "bad" : "good", "");
	turn_until_told(250);
	sql("DROP TRIGGER bad");
	for (size_t i = 0; i < 250; i++)
		assert_int_equal(told[i].stored, told[i].number != 120);
	assert_int_equal(rows(), 249);
	assert_int_equal(stat_get(STAT_received_refused), 1);
	assert_true(log_has("received.refused"));
}

static void
a_lost_session_is_tried_again(void **state)
{
	(void)state;
	away(true);
	bring(1, "hello", "m1");
	turn_until(has_failed);
	away(false);
	turn_until_told(1);
	assert_true(told[0].stored);
	assert_int_equal(rows(), 1);
}

static void
no_longer_than_its_time(void **state)
{
	(void)state;
	away(true);
	bring(1, "hello", "m1");
	turn_until(has_failed);
	bring(2, "later", "m2");
	assert_int_equal(told_n, 0);
	/* As if it had come so long ago. */
	p->received_head->since_ms -= RECEIVED_WAIT_MS;
	turn_until_told(1);
	assert_int_equal(told[0].number, 1);
	assert_false(told[0].stored);
	assert_int_equal(stat_get(STAT_received_put_off), 1);
	assert_true(log_has("received.put_off"));
	away(false);
	bring(3, "hello", "m1");
	turn_until_told(3);
	assert_true(told[1].stored && told[2].stored);
	assert_int_equal(rows(), 2);
}

static void
no_more_than_there_is_room_for(void **state)
{
	size_t stored = 0;
	char *lone;

	(void)state;
	away(true);
	for (uint64_t i = 0; i < RECEIVED_MAX + 5; i++)
		bring(i, "hello", "");
	assert_int_equal(told_n, 0);
	turn_until_told(5);
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(told[i].number, RECEIVED_MAX + i);
		assert_false(told[i].stored);
	}
	away(false);
	turn_until_told(RECEIVED_MAX + 5);
	for (size_t i = 5; i < told_n; i++)
		stored += told[i].stored ? 1 : 0;
	assert_int_equal(stored, RECEIVED_MAX);
	assert_int_equal(rows(), RECEIVED_MAX);
	/* And not larger. */
	told_n = 0;
	lone = malloc(300001);
	assert_non_null(lone);
	memset(lone, 'x', 300000);
	lone[300000] = '\0';
	for (uint64_t i = 0; i < 4; i++)
		bring(i, lone, "");
	free(lone);
	turn_until_told(4);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(told[i].stored, told[i].number != 3);
}

static void
a_channel_that_ends_is_not_called(void **state)
{
	(void)state;
	bring(1, "hello", "m1");
	pipeline_stop(p); /* aborts in phone_taken() */
	for (int i = 0; i < 3; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(told_n, 0);
}

static bool
is_reopened(void)
{
	return opened == 2;
}

static void
a_channel_is_told_before_it_is_opened_anew(void **state)
{
	struct conf *other = load(20);
	struct err e = { .text = "" };

	(void)state;
	away(true);
	bring(1, "hello", "m1");
	turn_until(has_failed);
	if (pipeline_reload(p, other, &e) != RC_OK)
		fail_msg("%s", e.text);
	conf_unref(other);
	assert_true(p->ways[0].reopen);
	p->received_head->since_ms -= RECEIVED_WAIT_MS;
	turn_until(is_reopened);
	assert_int_equal(told_n, 1);
	assert_false(told[0].stored);
	away(false);
	bring(1, "hello", "m1");
	turn_until_told(2);
	assert_true(told[1].stored);
}

static bool
is_empty(void)
{
	return pipeline_is_empty(p);
}

static void
a_drain_waits_for_them(void **state)
{
	(void)state;
	away(true);
	bring(1, "hello", "m1");
	turn_until(has_failed);
	pipeline_drain(p);
	assert_false(pipeline_is_empty(p));
	away(false);
	turn_until(is_empty);
	assert_int_equal(told_n, 1);
	assert_true(told[0].stored);
}

static const char *
parts_of(const char *outcome)
{
	static char text[200];

	(void)snprintf(text, sizeof text,
		       "SELECT COUNT(*) FROM mt_try WHERE part > 0 AND outcome = '%s'", outcome);
	return text;
}

static bool
both_taken(void)
{
	return taken_n == 2;
}

static void
take_two(void)
{
	for (int i = 0; i < 2; i++)
		sql("INSERT INTO mt_send (msg_type, sender, recipient, body) "
		    "VALUES ('SMS', '0212345678', '" NUMBER "', 'long')");
	room = 2;
	pipeline_again_in(p, 0);
	turn_until(both_taken);
}

static bool
all_settled(void)
{
	return p->in_memory == 0;
}

static void
bring_report(enum report_class class, const char *provider_id)
{
	struct report r = { .class = class };

	(void)snprintf(r.provider_id, sizeof r.provider_id, "%s", provider_id);
	(void)snprintf(r.channel, sizeof r.channel, "dry");
	(void)snprintf(r.code, sizeof r.code, "%s", class == REPORT_OK ? "0000" : "4001");
	pipeline_report(p, &r, 0);
}

static bool
all_ended(void)
{
	return number("SELECT COUNT(*) FROM mt_send") == 0;
}

static void
a_message_ends_with_its_parts(void **state)
{
	(void)state;
	take_two();
	accept_parts(0, "a1", "a2 a3");
	accept_parts(1, "b1", "b2 b3");
	bring_report(REPORT_OK, "a2");
	bring_report(REPORT_FAIL, "b3");
	bring_report(REPORT_OK, "b1");
	turn_until(all_settled);
	bring_report(REPORT_OK, "a1");
	bring_report(REPORT_OK, "a3");
	turn_until(all_ended);
	assert_int_equal(number("SELECT COUNT(*) FROM mt_try WHERE part > 0"), 6);
	assert_int_equal(number(parts_of("DELIVERED")), 4);
	assert_int_equal(number("SELECT COUNT(*) FROM mt_result WHERE result_class = 'OK' "
				"AND provider_id = 'a1' AND parts = 3"),
			 1);
	assert_int_equal(number("SELECT COUNT(*) FROM mt_result WHERE result_class = 'FAIL' "
				"AND provider_id = 'b1' AND result_code = '4001'"),
			 1);
	assert_int_equal(number("SELECT COUNT(*) FROM mt_history"), 0);
}

/* The process ends between the answer and its settle. */
static void
a_start_finds_the_ids_in_the_journal(void **state)
{
	struct journal_info info;
	struct recovered done;
	struct store *st;
	struct err e = { .text = "" };

	(void)state;
	take_two();
	accept_parts(0, "a1", "a2 a3");
	accept_parts(1, "b1", "b2");
	assert_int_equal(number("SELECT COUNT(*) FROM mt_try"), 0);
	pipeline_stop(p);
	journal_close(journal);
	if (journal_open(state_dir, 1 << 20, 1 << 20, &journal, &info, &e) != RC_OK ||
	    store_open(&cfg, &st, &e) != RC_OK)
		fail_msg("%s", e.text);
	assert_int_equal(info.live, 2);
	for (int turn = 0; turn < 2; turn++) {
		if (recover_run(st, journal, &info, conf, &done, &e) != RC_OK)
			fail_msg("%s", e.text);
		assert_int_equal(done.answered, turn == 0 ? 2 : 0);
		assert_int_equal(number("SELECT COUNT(*) FROM mt_send WHERE status = 2"), 2);
		assert_int_equal(number(parts_of("ACCEPTED")), 5);
		assert_int_equal(number("SELECT COUNT(*) FROM mt_try WHERE part = 3 "
					"AND provider_id = 'a3' AND channel = 'dry'"),
				 1);
		assert_int_equal(journal_live(journal), 0);
	}
	store_close(st);
}

static int
open_all(void **state)
{
	struct schema_db db = { .prefix = "mt_" };
	struct err e = { .text = "" };

	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	(void)snprintf(log_path, sizeof log_path, "%s/log", folder);
	(void)snprintf(conf_path, sizeof conf_path, "%s/conf", folder);
	(void)snprintf(state_dir, sizeof state_dir, "%s/state", folder);
	if (mkdir(state_dir, 0700) != 0)
		return -1;
	db_mem_register();
	base = event_base_new();
	cfg = (struct store_config){ .driver = db_driver_find("mem"),
				     .params = { .name = db_name },
				     .prefix = "mt_",
				     .agent_id = "agent-1",
				     .agent_lease_ms = 30000,
				     .row_lease_ms = 120000,
				     .close_after_ms = 3600000,
				     .expire_after_ms = 3600000,
				     .late_ms = 3600000,
				     .body_cap_bytes = 4096 };
	if (base == NULL || log_open(LOG_SINK_FILE, log_path, LOG_LEVEL_DEBUG, &e) != RC_OK ||
	    cfg.driver->process_init(&e) != RC_OK ||
	    cfg.driver->open(&cfg.params, &raw, &e) != RC_OK)
		fail_msg("%s", e.text);
	db.driver = cfg.driver;
	db.session = raw;
	db.dialect = "sqlite";
	if (schema_apply(&db, NULL, &e) != RC_OK ||
	    session_start("test", &cfg, true, true, base, &session, &e) != RC_OK)
		fail_msg("%s", e.text);
	return 0;
}

static void
what_a_channel_says_is_shown_as_text_and_as_fields(void **state)
{
	static const char said[] =
		"sessions=2/2 bound=TRX window=37/100 limit=100 submitted=18446744073709551615 "
		"accepted=123456789012 rejected=-1 deferred=0 unsure= throttled=0 late=7 alone "
		"receipts=123456789012 unreadable=0 put_off=0 received=0 binds=12 "
		"peer=smsc1.example:2776 tls=TLSv1.3 centre=\xea\xb0\xff";
	const char *text;
	const json_t *ch, *fields;
	json_t *root;

	(void)state;
	says = said;
	root = pipeline_status(p);
	says = "";
	assert_non_null(root);
	ch = json_array_get(json_object_get(root, "channels"), 0);
	text = json_string_value(json_object_get(ch, "facts"));
	assert_non_null(text);
	assert_int_equal(strlen(text), strlen(said));
	assert_non_null(strstr(text, "centre=???"));
	fields = json_object_get(ch, "fields");
	assert_int_equal(json_object_size(fields), 19);
	assert_string_equal(json_string_value(json_object_get(fields, "window")), "37/100");
	assert_string_equal(json_string_value(json_object_get(fields, "unsure")), "");
	assert_string_equal(json_string_value(json_object_get(fields, "submitted")),
			    "18446744073709551615");
	assert_int_equal(json_integer_value(json_object_get(fields, "accepted")), 123456789012);
	assert_int_equal(json_integer_value(json_object_get(fields, "late")), 7);
	assert_null(json_object_get(fields, "alone"));
	assert_true(json_is_integer(json_object_get(root, "received_waiting")));
	json_decref(root);
}

static int
remove_all(void)
{
	DIR *d = opendir(state_dir);
	struct dirent *one;
	char path[400];

	while (d != NULL && (one = readdir(d)) != NULL) {
		(void)snprintf(path, sizeof path, "%s/%s", state_dir, one->d_name);
		unlink(path);
	}
	if (d != NULL)
		closedir(d);
	unlink(log_path);
	unlink(conf_path);
	return rmdir(state_dir) == 0 && rmdir(folder) == 0 ? 0 : -1;
}

static int
close_all(void **state)
{
	(void)state;
	session_stop(session);
	event_base_free(base);
	cfg.driver->close(raw);
	cfg.driver->process_fini();
	log_close();
	return remove_all();
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(confirmed_when_the_database_has_them),
		CASE(the_next_may_come_while_one_is_confirmed),
		CASE(what_no_column_takes_is_made_to_fit),
		CASE(one_that_is_refused_does_not_hold_the_others),
		CASE(a_lost_session_is_tried_again),
		CASE(no_longer_than_its_time),
		CASE(no_more_than_there_is_room_for),
		CASE(a_channel_that_ends_is_not_called),
		CASE(a_channel_is_told_before_it_is_opened_anew),
		CASE(a_drain_waits_for_them),
		CASE(a_message_ends_with_its_parts),
		CASE(a_start_finds_the_ids_in_the_journal),
		CASE(what_a_channel_says_is_shown_as_text_and_as_fields),
	};

	return cmocka_run_group_tests(tests, open_all, close_all);
}
