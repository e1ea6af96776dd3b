/* The tables on SQLite: made, made again, checked, and broken in every way that the check sees. */
#include "config.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/dialect.h"
#include "agent/result.h"
#include "agent/schema.h"
#include "agent/store.h"
#include "drivers/db/db.h"
#include "drivers/db/mem.h"
#include "schema/sql_source.h"
#include "tests/unit/unit.h"

#define PREFIX "mt_"

static const struct db_driver *driver;
static unsigned databases;

struct place {
	char name[40];
	struct schema_db db;
};

static void
place_open(struct place *p)
{
	struct db_params params = { .name = p->name };
	struct err e = { 0 };

	(void)snprintf(p->name, sizeof p->name, ":memory:schema%u", ++databases);
	p->db = (struct schema_db){ .driver = driver, .dialect = "sqlite", .prefix = PREFIX };
	assert_int_equal(driver->open(&params, &p->db.session, &e), RC_OK);
}

static void
place_close(struct place *p)
{
	driver->close(p->db.session);
}

static enum rc
run(struct place *p, const char *sql)
{
	struct err e = { 0 };
	enum rc rc = driver->exec_text(p->db.session, sql, &e);

	return rc;
}

static int64_t
number(struct place *p, const char *text)
{
	struct db_sql sql = { .name = "number", .text = text, .cols = "i" };
	struct db_value v = { 0 };
	struct db_stmt *st;
	struct err e = { 0 };
	bool more = false;

	assert_int_equal(driver->prepare(p->db.session, &sql, &st, &e), RC_OK);
	assert_int_equal(driver->exec(st, NULL, NULL, &e), RC_OK);
	assert_int_equal(driver->fetch(st, &v, &more, &e), RC_OK);
	assert_true(more);
	driver->finish(st);
	return v.i;
}

static void
apply(struct place *p, int expect_from)
{
	struct err e = { 0 };
	int from = -1;

	if (schema_apply(&p->db, &from, &e) != RC_OK)
		fail_msg("%s", e.text);
	assert_int_equal(from, expect_from);
}

/* Findings that are not OK, as one text. */
struct findings {
	unsigned count[3];
	char text[4000];
};

static void
collect(void *ctx, const struct schema_finding *f)
{
	static const char *const names[] = { "OK", "WARN", "FAIL" };
	struct findings *all = ctx;
	size_t n = strlen(all->text);

	all->count[f->level]++;
	if (f->level != SCHEMA_OK)
		(void)snprintf(all->text + n, sizeof all->text - n, "%s %s: %s\n", names[f->level],
			       f->thing, f->text);
}

static struct findings
check(struct place *p)
{
	struct findings all = { { 0 }, "" };
	struct err e = { 0 };
	unsigned fails = 99;

	if (schema_check(&p->db, collect, &all, &fails, &e) != RC_OK)
		fail_msg("%s", e.text);
	assert_int_equal(fails, all.count[SCHEMA_FAIL]);
	return all;
}

static void
expect_finding(struct place *p, const char *level, const char *thing, const char *part)
{
	struct findings all = check(p);
	char head[128];
	const char *at;

	(void)snprintf(head, sizeof head, "%s %s: ", level, thing);
	at = strstr(all.text, head);
	if (at == NULL || strstr(at, part) == NULL)
		fail_msg("no finding \"%s...%s\" in:\n%s", head, part, all.text);
}

static void
test_apply_makes_everything_once(void **state)
{
	struct place p;
	struct findings all;
	struct err e = { 0 };
	int version = -1;
	int64_t installation;
	int64_t codes = 0;

	(void)state;
	place_open(&p);
	assert_int_equal(schema_version(&p.db, &version, &e), RC_OK);
	assert_int_equal(version, 0);
	apply(&p, 0);
	installation = number(&p, "SELECT installation FROM mt_meta");
	assert_in_range(installation, 1, UINT32_MAX);
	assert_int_equal(number(&p, "SELECT length(db_identity) FROM mt_meta"), 32);
	apply(&p, STORE_SCHEMA_VERSION);
	assert_int_equal(number(&p, "SELECT installation FROM mt_meta"), installation);
	assert_int_equal(schema_version(&p.db, &version, &e), RC_OK);
	assert_int_equal(version, STORE_SCHEMA_VERSION);
	while (result_at((size_t)codes) != NULL)
		codes++;
	assert_int_equal(number(&p, "SELECT COUNT(*) FROM mt_code"), codes);
	assert_int_equal(number(&p, "SELECT COUNT(*) FROM mt_code WHERE code = '3007' AND class = "
				    "'FAIL' AND name_ko = '취소'"),
			 1);
	all = check(&p);
	assert_string_equal(all.text, "");
	assert_true(all.count[SCHEMA_OK] > 12);
	place_close(&p);
}

/* A column of create.sql that columns.def forgot would never be checked. */
static void
test_facts_name_every_column(void **state)
{
	static const char *const known[] = {
#define SCHEMA_COLUMN(table, name, kind, least) PREFIX #table "." #name,
#include "schema/columns.def"
#undef SCHEMA_COLUMN
	};
	struct db_sql sql = { .name = "columns",
			      .text = "SELECT m.name || '.' || c.name FROM sqlite_master m, "
				      "pragma_table_info(m.name) c "
				      "WHERE m.type = 'table' AND m.name LIKE 'mt!_%' ESCAPE '!'",
			      .cols = "t" };
	struct db_value v = { 0 };
	struct db_stmt *st;
	struct place p;
	struct err e = { 0 };
	size_t count = 0;
	bool more = true;

	(void)state;
	place_open(&p);
	apply(&p, 0);
	assert_int_equal(driver->prepare(p.db.session, &sql, &st, &e), RC_OK);
	assert_int_equal(driver->exec(st, NULL, NULL, &e), RC_OK);
	while (assert_true(driver->fetch(st, &v, &more, &e) == RC_OK), more) {
		bool found = false;

		for (size_t i = 0; i < NELEM(known); i++)
			found = found || strcmp(known[i], v.p) == 0;
		if (!found)
			fail_msg("%s is not in columns.def", v.p);
		count++;
	}
	assert_int_equal(count, NELEM(known));
	driver->finish(st);
	place_close(&p);
}

static void
test_newer_and_older_versions(void **state)
{
	struct place p;
	struct err e = { 0 };
	char both[32];

	(void)state;
	place_open(&p);
	apply(&p, 0);
	assert_int_equal(run(&p, "UPDATE mt_meta SET schema_version = 99"), RC_OK);
	assert_int_equal(run(&p, "DROP VIEW mt_v_open"), RC_OK);
	assert_int_equal(schema_apply(&p.db, NULL, &e), RC_CONFIG);
	(void)snprintf(both, sizeof both, "version 99");
	assert_non_null(strstr(e.text, both));
	(void)snprintf(both, sizeof both, "up to %d", STORE_SCHEMA_VERSION);
	assert_non_null(strstr(e.text, both));
	/* refused means untouched */
	assert_int_equal(number(&p, "SELECT COUNT(*) FROM sqlite_master WHERE name = 'mt_v_open'"),
			 0);
	assert_int_equal(number(&p, "SELECT schema_version FROM mt_meta"), 99);
	expect_finding(&p, "FAIL", "schema", "version 99");
	place_close(&p);

	assert_int_equal(schema_require(STORE_SCHEMA_VERSION, PREFIX, &e), RC_OK);
	assert_int_equal(schema_require(0, PREFIX, &e), RC_CONFIG);
	assert_non_null(strstr(e.text, "schema --apply"));
	assert_int_equal(schema_require(STORE_SCHEMA_VERSION + 1, PREFIX, &e), RC_CONFIG);
	assert_int_equal(schema_require(STORE_SCHEMA_VERSION - 1, PREFIX, &e), RC_CONFIG);
}

static void
test_check_sees(void **state)
{
	static const struct {
		const char *harm, *level, *thing, *part;
	} cases[] = {
		{ "DROP TABLE mt_try", "FAIL", "table mt_try", "is missing" },
		{ "DROP TABLE mt_meta", "FAIL", "schema", "has no tables" },
		{ "DELETE FROM mt_meta", "FAIL", "schema", "has no tables" },
		{ "ALTER TABLE mt_send DROP COLUMN etc4", "FAIL", "column mt_send.etc4",
		  "a text of 100 characters" },
		{ "ALTER TABLE mt_result DROP COLUMN changed_at", "FAIL",
		  "column mt_result.changed_at", "is missing" },
		{ "DROP TABLE mt_sender; CREATE TABLE mt_sender (sender INTEGER PRIMARY KEY, "
		  "use_yn TEXT, note TEXT, "
		  "created_at TEXT)",
		  "FAIL", "column mt_sender.sender", "is of type int" },
		{ "DROP INDEX mt_ix_send_queue", "FAIL", "table mt_send",
		  "CREATE INDEX mt_ix_send_queue ON mt_send (status, msg_type, priority, send_at, "
		  "msg_id)" },
		{ "DROP INDEX mt_ix_send_req_key; CREATE INDEX mt_ix_send_req_key ON mt_send "
		  "(req_key)",
		  "FAIL", "table mt_send", "unique index on (req_key)" },
		{ "DROP INDEX mt_ix_send_due; CREATE INDEX x ON mt_send (status, due_at) WHERE "
		  "status > 0",
		  "FAIL", "table mt_send", "no index on (status, due_at)" },
		{ "DROP INDEX mt_ix_result_unread", "WARN", "table mt_result",
		  "reading what is new" },
		{ "DROP VIEW mt_v_daily", "WARN", "view mt_v_daily", "is missing" },
		{ "DROP VIEW mt_v_daily; DROP TABLE mt_file; CREATE VIEW mt_file AS SELECT 1 AS "
		  "one",
		  "FAIL", "table mt_file", "is a view" },
		{ "CREATE TRIGGER quiet AFTER INSERT ON mt_result BEGIN SELECT 1; END", "WARN",
		  "trigger quiet", "mt_result" },
		{ "CREATE TRIGGER loud BEFORE INSERT ON mt_result BEGIN SELECT RAISE(ABORT, 'no'); "
		  "END",
		  "FAIL", "table mt_result", "INSERT fails when tried" },
		{ "CREATE TRIGGER loud BEFORE UPDATE ON mt_send BEGIN SELECT RAISE(ABORT, 'no'); "
		  "END",
		  "FAIL", "table mt_send", "UPDATE fails when tried" },
		{ "CREATE TRIGGER loud BEFORE DELETE ON mt_send BEGIN SELECT RAISE(ABORT, 'no'); "
		  "END",
		  "FAIL", "table mt_send", "DELETE fails when tried" },
		{ "CREATE TRIGGER loud BEFORE INSERT ON mt_send BEGIN SELECT RAISE(ABORT, 'no'); "
		  "END",
		  "WARN", "table mt_send", "test message" },
		{ "CREATE TABLE mine (id INTEGER PRIMARY KEY, m BIGINT REFERENCES mt_send "
		  "(msg_id))",
		  "WARN", "foreign key mine.m", "mine to mt_send" },
		{ "DROP TABLE mt_history; CREATE TABLE mt_history (id INTEGER PRIMARY KEY "
		  "AUTOINCREMENT, msg_id BIGINT, created_at "
		  "TEXT, at TEXT, event TEXT, who TEXT, from_status INT, to_status INT, leg INT, "
		  "try_no INT, code TEXT, client_key "
		  "TEXT, channel TEXT, reason TEXT, mine INT NOT NULL)",
		  "FAIL", "column mt_history.mine", "has no default" },
	};

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		struct place p;
		const char *at = cases[i].harm;
		bool is_trigger = strncmp(at, "CREATE TRIGGER", 14) == 0;
		char one[600];
		const char *s;
		size_t n;

		place_open(&p);
		apply(&p, 0);
		if (is_trigger)
			assert_int_equal(run(&p, at), RC_OK);
		while (!is_trigger && (s = dialect_next_statement(&at, &n)) != NULL) {
			(void)snprintf(one, sizeof one, "%.*s", (int)n, s);
			if (run(&p, one) != RC_OK)
				fail_msg("%s", one);
		}
		expect_finding(&p, cases[i].level, cases[i].thing, cases[i].part);
		if (strstr(cases[i].harm, "mt_meta") == NULL) {
			assert_int_equal(number(&p, "SELECT COUNT(*) FROM mt_send"), 0);
			assert_int_equal(number(&p, "SELECT COUNT(*) FROM mt_result"), 0);
		}
		place_close(&p);
	}
}

static void
test_an_index_of_another_name_serves(void **state)
{
	struct place p;
	struct findings all;

	(void)state;
	place_open(&p);
	apply(&p, 0);
	assert_int_equal(run(&p, "DROP INDEX mt_ix_send_due"), RC_OK);
	assert_int_equal(run(&p, "CREATE INDEX own ON mt_send (STATUS, due_at, owner)"), RC_OK);
	all = check(&p);
	assert_string_equal(all.text, "");
	place_close(&p);
}

/* An ORM names all columns of the application. */
static const char all_null[] = "INSERT INTO mt_send (req_key, msg_type, priority, sender, "
			       "recipient, subject, body, is_ad, vars, profile_key, "
			       "template_code, payload, file_key, fallback_type, fallback_subject, "
			       "fallback_body, fallback_file_key, send_at, "
			       "expire_at, group_key, dept_code, origin_code, etc1, etc2, etc3, "
			       "etc4, cancel_yn) VALUES (NULL, NULL, NULL, NULL, "
			       "NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, "
			       "NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, "
			       "NULL, NULL, NULL, NULL)";

static void
test_what_an_application_may_write(void **state)
{
	static const char *const good[] = {
		"INSERT INTO mt_send (sender, recipient, body) VALUES ('15880000', '01012345678', "
		"'hello')",
		"INSERT INTO mt_send DEFAULT VALUES",
		all_null,
		"INSERT INTO mt_send (msg_type, priority, sender) VALUES ('CARRIERPIGEON', 7, "
		"12345)",
		"INSERT INTO mt_send (body) VALUES (zeroblob(1000000))",
		"INSERT INTO mt_send (created_at) VALUES (NULL)",
		"INSERT INTO mt_send (send_at, expire_at) VALUES ('2026-02-28 23:59:59', "
		"'2026-03-01 00:00:00.999')",
		"INSERT INTO mt_send (send_at) VALUES (datetime('now', '+10 minutes'))",
		"INSERT INTO mt_send (send_at) VALUES (strftime('%Y-%m-%d %H:%M:%f', 'now', '+1 "
		"day'))",
		/* a copy of a row under way: the agent treats it as new */
		"INSERT INTO mt_send (status, owner, fence, try_no, client_key, provider_id) "
		"VALUES (2, 'x', 5, 1, 'k', 'p')",
	};
	static const char *const bad[] = {
		"INSERT INTO mt_send (send_at) VALUES ('2026-02-30 00:00:00')",
		"INSERT INTO mt_send (send_at) VALUES ('2026-13-01 00:00:00')",
		"INSERT INTO mt_send (send_at) VALUES ('0000-00-00 00:00:00')",
		"INSERT INTO mt_send (send_at) VALUES ('2026-01-01T00:00:00')",
		"INSERT INTO mt_send (send_at) VALUES ('2026-01-01 00:00')",
		"INSERT INTO mt_send (send_at) VALUES ('2026-01-01 00:00:00.5')",
		"INSERT INTO mt_send (send_at) VALUES ('2026-01-01 00:00:00+09:00')",
		"INSERT INTO mt_send (send_at) VALUES ('now')",
		"INSERT INTO mt_send (send_at) VALUES ('')",
		"INSERT INTO mt_send (send_at) VALUES (1767225600)",
		"INSERT INTO mt_send (expire_at) VALUES ('tomorrow')",
		"INSERT INTO mt_send (created_at) VALUES ('x')",
		"INSERT INTO mt_send (status) VALUES (6)",
		"INSERT INTO mt_send (leg) VALUES (16)",
		"INSERT INTO mt_send (generation) VALUES (64)",
	};
	struct place p;

	(void)state;
	place_open(&p);
	apply(&p, 0);
	for (size_t i = 0; i < NELEM(good); i++)
		if (run(&p, good[i]) != RC_OK)
			fail_msg("refused: %s", good[i]);
	for (size_t i = 0; i < NELEM(bad); i++)
		if (run(&p, bad[i]) == RC_OK)
			fail_msg("accepted: %s", bad[i]);
	assert_int_equal(number(&p, "SELECT COUNT(*) FROM mt_send"), NELEM(good));
	assert_int_equal(number(&p, "SELECT COUNT(*) FROM mt_send WHERE length(created_at) = 23"),
			 NELEM(good));
	assert_int_equal(run(&p, "INSERT INTO mt_send (req_key) VALUES ('a')"), RC_OK);
	assert_int_equal(run(&p, "INSERT INTO mt_send (req_key) VALUES ('A')"), RC_OK);
	assert_int_not_equal(run(&p, "INSERT INTO mt_send (req_key) VALUES ('a')"), RC_OK);
	/* an id is not given out again */
	assert_int_equal(run(&p, "DELETE FROM mt_send"), RC_OK);
	assert_int_equal(run(&p, "INSERT INTO mt_send DEFAULT VALUES"), RC_OK);
	assert_true(number(&p, "SELECT MIN(msg_id) FROM mt_send") > (int64_t)NELEM(good));
	place_close(&p);
}

/* Reads what was written to a temporary file; to be freed. */
static char *
slurp(FILE *f)
{
	long n = ftell(f);
	char *text = calloc(1, (size_t)n + 1);

	assert_non_null(text);
	rewind(f);
	assert_int_equal(fread(text, 1, (size_t)n, f), (size_t)n);
	return text;
}

static void
test_the_printed_script_is_the_same(void **state)
{
	struct place p;
	struct findings all;
	struct err e = { 0 };
	FILE *f = tmpfile();
	char *text;
	const char *at;
	const char *s;
	size_t n;

	(void)state;
	assert_non_null(f);
	assert_int_equal(schema_script("sqlite", PREFIX, f, &e), RC_OK);
	text = slurp(f);
	at = strchr(text, '\n'); /* behind the comment */
	place_open(&p);
	while ((s = dialect_next_statement(&at, &n)) != NULL) {
		char *one = calloc(1, n + 1);

		assert_non_null(one);
		memcpy(one, s, n);
		if (strcmp(one, "BEGIN") != 0 && strcmp(one, "COMMIT") != 0 &&
		    run(&p, one) != RC_OK)
			fail_msg("%s", one);
		free(one);
	}
	all = check(&p);
	assert_string_equal(all.text, "");
	assert_true(number(&p, "SELECT COUNT(*) FROM mt_code") > 50);
	place_close(&p);
	free(text);
	fclose(f);
}

static void
test_scripts_of_all_dialects(void **state)
{
	static const char *const dialects[] = { "mysql", "postgresql", "sqlite" };
	struct schema_roles roles = { .agent = "relay@10.0.0.%" };
	struct err e = { 0 };
	char row[64];

	(void)state;
	(void)snprintf(row, sizeof row, "SELECT 1, %d,", STORE_SCHEMA_VERSION);
	for (size_t i = 0; i < NELEM(dialects); i++) {
		FILE *f = tmpfile();
		char *text;

		assert_non_null(f);
		/* what a fresh database is given is what the program expects */
		assert_non_null(strstr(sql_source_find(dialects[i], "create")->text, row));
		assert_int_equal(schema_script(dialects[i], "Rel_", f, &e), RC_OK);
		assert_int_equal(schema_grants(dialects[i], "Rel_", &roles, f, &e), RC_OK);
		text = slurp(f);
		assert_non_null(strstr(text, "Rel_send"));
		assert_non_null(strstr(text, "취소"));
		assert_null(strchr(text, '{'));
		if (i == 0)
			assert_non_null(strstr(text, "TO 'relay'@'10.0.0.%'"));
		if (i == 1)
			assert_non_null(strstr(text, "TO \"mtrelay_read\""));
		free(text);
		fclose(f);
	}
	roles.agent = "x' TO y";
	assert_int_equal(schema_grants("mysql", PREFIX, &roles, stdout, &e), RC_CONFIG);
	assert_int_equal(schema_script("oracle", PREFIX, stdout, &e), RC_CONFIG);
	assert_non_null(strstr(e.text, "oracle"));
}

/* Whatever call fails, the next run makes it whole, and nothing is reported as done that is not. */
static void
test_apply_after_any_failure(void **state)
{
	unsigned long k;
	bool ended = false;

	(void)state;
	for (k = 1; !ended; k++) {
		struct place p;
		struct findings all;
		struct err e = { 0 };
		struct db_params params = { .name = p.name };
		enum rc rc;

		place_open(&p);
		db_mem_fail_at(k, RC_LOST, k % 2 == 0);
		rc = schema_apply(&p.db, NULL, &e);
		ended = db_mem_calls() < k;
		db_mem_fail_at(0, RC_OK, false);
		assert_true(ended ? rc == RC_OK : rc != RC_OK);
		driver->close(p.db.session);
		assert_int_equal(driver->open(&params, &p.db.session, &e), RC_OK);
		if (schema_apply(&p.db, NULL, &e) != RC_OK)
			fail_msg("after failure of call %lu: %s", k, e.text);
		all = check(&p);
		assert_string_equal(all.text, "");
		place_close(&p);
		driver->process_fini(); /* frees the memory databases */
		assert_int_equal(driver->process_init(&e), RC_OK);
	}
	assert_true(k > 50);
}

/* A check that loses its session says so instead of finding faults. */
static void
test_check_after_any_failure(void **state)
{
	unsigned long k;
	bool ended = false;

	(void)state;
	for (k = 1; !ended; k++) {
		struct place p;
		struct findings all = { { 0 }, "" };
		struct err e = { 0 };
		unsigned fails = 0;
		enum rc rc;

		place_open(&p);
		apply(&p, 0);
		db_mem_fail_at(k, RC_LOST, false);
		rc = schema_check(&p.db, collect, &all, &fails, &e);
		ended = db_mem_calls() < k;
		db_mem_fail_at(0, RC_OK, false);
		assert_true(ended ? rc == RC_OK : rc == RC_LOST || rc == RC_UNSURE);
		assert_int_equal(all.count[SCHEMA_FAIL], 0);
		place_close(&p);
		driver->process_fini();
		assert_int_equal(driver->process_init(&e), RC_OK);
	}
	assert_true(k > 100);
}

static int
setup(void **state)
{
	struct err e = { 0 };

	(void)state;
	db_mem_register();
	driver = db_driver_find("mem");
	return driver == NULL || driver->process_init(&e) != RC_OK;
}

static int
teardown(void **state)
{
	(void)state;
	driver->process_fini();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_apply_makes_everything_once),
		cmocka_unit_test(test_facts_name_every_column),
		cmocka_unit_test(test_newer_and_older_versions),
		cmocka_unit_test(test_check_sees),
		cmocka_unit_test(test_an_index_of_another_name_serves),
		cmocka_unit_test(test_what_an_application_may_write),
		cmocka_unit_test(test_the_printed_script_is_the_same),
		cmocka_unit_test(test_scripts_of_all_dialects),
		cmocka_unit_test(test_apply_after_any_failure),
		cmocka_unit_test(test_check_after_any_failure),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
