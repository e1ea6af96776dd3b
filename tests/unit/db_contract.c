#include "config.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "tests/unit/unit.h"
#include "tests/unit/db_contract.h"

#define BIG_BYTES (1024 * 1024)
#define WAIT_MS 15000

/* What the databases say differently. */
struct words {
	const char *dialect;
	const char *create;
	const char *create_child;
	const char *own_id; /* the session's number, for kill; NULL: sessions cannot be killed */
	const char *kill;   /* printf form */
	const char *slow;   /* one column of text after 20 s or more; may be interrupted */
	bool has_row_locks;
};

static const struct words all_words[] = {
	{ "mysql",
	  "CREATE TABLE mtr_contract (id BIGINT NOT NULL PRIMARY KEY, txt LONGTEXT, bin LONGBLOB, "
	  "uniq VARCHAR(40) UNIQUE,"
	  " num BIGINT) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4",
	  "CREATE TABLE mtr_child (id BIGINT NOT NULL PRIMARY KEY, parent BIGINT NOT NULL,"
	  " FOREIGN KEY (parent) REFERENCES mtr_contract (id)) ENGINE=InnoDB",
	  "SELECT CONNECTION_ID()", "KILL %lld", "SELECT SLEEP(20)", true },
	{ "postgresql",
	  "CREATE TABLE mtr_contract (id BIGINT NOT NULL PRIMARY KEY, txt TEXT, bin BYTEA, uniq "
	  "VARCHAR(40) UNIQUE, num BIGINT)",
	  "CREATE TABLE mtr_child (id BIGINT NOT NULL PRIMARY KEY, parent BIGINT NOT NULL "
	  "REFERENCES mtr_contract (id)"
	  " DEFERRABLE INITIALLY DEFERRED)",
	  "SELECT pg_backend_pid()", "SELECT pg_terminate_backend(%lld)",
	  "SELECT CAST(pg_sleep(20) AS TEXT)", true },
	{ "sqlite",
	  "CREATE TABLE mtr_contract (id INTEGER NOT NULL PRIMARY KEY, txt TEXT, bin BLOB, uniq "
	  "TEXT UNIQUE, num BIGINT)",
	  "CREATE TABLE mtr_child (id INTEGER NOT NULL PRIMARY KEY, parent BIGINT NOT NULL CHECK "
	  "(parent < 1000))",
	  NULL, NULL,
	  "WITH RECURSIVE c(n) AS (VALUES(1) UNION ALL SELECT n + 1 FROM c WHERE n < 4000000000)"
	  " SELECT CAST(MAX(n) AS TEXT) FROM c",
	  false },
};

static const struct db_target *target;
static const struct db_driver *db;
static const struct words *words;
static struct db_session *s;
static struct err e;

#define ARG_NULL ((struct db_value){ .type = DB_NULL })
#define ARG_INT(v) ((struct db_value){ .type = DB_INT, .i = (v) })
#define ARG_TEXT(v) ((struct db_value){ .type = DB_TEXT, .p = (v), .n = strlen(v) })
#define ARG_BYTES(t, v, len) ((struct db_value){ .type = (t), .p = (v), .n = (len) })

static const struct db_sql insert_sql = {
	.name = "insert",
	.text = "INSERT INTO mtr_contract (id, txt, bin, uniq, num) VALUES (?, ?, ?, ?, ?)",
	.nargs = 5,
	.cols = "",
	.is_write = true,
	.one_row = true,
};
static const struct db_sql select_sql = {
	.name = "select",
	.text = "SELECT id, txt, bin, uniq, num FROM mtr_contract WHERE id = ?",
	.nargs = 1,
	.cols = "itbti",
};
static const struct db_sql list_sql = {
	.name = "list",
	.text = "SELECT id, txt FROM mtr_contract ORDER BY id",
	.nargs = 0,
	.cols = "it",
};
static const struct db_sql count_sql = {
	.name = "count",
	.text = "SELECT COUNT(*) FROM mtr_contract WHERE id >= ?",
	.nargs = 1,
	.cols = "i",
};
static const struct db_sql update_sql = {
	.name = "update",
	.text = "UPDATE mtr_contract SET num = ? WHERE id = ? AND num = ?",
	.nargs = 3,
	.cols = "",
	.is_write = true,
	.one_row = true,
};
static const struct db_sql set_sql = {
	.name = "set",
	.text = "UPDATE mtr_contract SET num = num + ? WHERE id >= ? AND id <= ?",
	.nargs = 3,
	.cols = "",
	.is_write = true,
};
static const struct db_sql child_sql = {
	.name = "child",
	.text = "INSERT INTO mtr_child (id, parent) VALUES (?, ?)",
	.nargs = 2,
	.cols = "",
	.is_write = true,
};

static void
pause_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void
check_rc(enum rc got, enum rc want, const char *what)
{
	if (got != want)
		fail_msg("%s: %s instead of %s: [%s] %d %s", what, rc_name(got), rc_name(want),
			 e.sqlstate, e.native, got == RC_OK ? "" : e.text);
}

static struct db_session *
open_params(const struct db_params *p)
{
	struct db_session *made = NULL;

	check_rc(db->open(p, &made, &e), RC_OK, "open");
	assert_non_null(made);
	return made;
}

static struct db_session *
open_one(void)
{
	return open_params(&target->params);
}

static struct db_stmt *
prepare_on(struct db_session *on, const struct db_sql *sql)
{
	struct db_stmt *st = NULL;

	check_rc(db->prepare(on, sql, &st, &e), RC_OK, sql->name);
	assert_non_null(st);
	return st;
}

static void
insert_on(struct db_session *on, int64_t id, const char *text)
{
	struct db_value args[5] = { ARG_INT(id), ARG_TEXT(text), ARG_NULL, ARG_NULL, ARG_INT(0) };
	struct db_stmt *st = prepare_on(on, &insert_sql);
	int64_t n = -7;

	check_rc(db->exec(st, args, &n, &e), RC_OK, "insert");
	assert_int_equal(n, 1);
	db->finish(st);
}

static int64_t
count_on(struct db_session *on, int64_t from)
{
	struct db_stmt *st = prepare_on(on, &count_sql);
	struct db_value arg = ARG_INT(from), col;
	bool more = false;
	int64_t n;

	check_rc(db->exec(st, &arg, NULL, &e), RC_OK, "count");
	check_rc(db->fetch(st, &col, &more, &e), RC_OK, "count");
	assert_true(more);
	assert_int_equal(col.type, DB_INT);
	n = col.i;
	db->finish(st);
	return n;
}

/* Counts in a session of its own: what is committed. */
static int64_t
committed(int64_t from)
{
	struct db_session *other = open_one();
	int64_t n = count_on(other, from);

	db->close(other);
	return n;
}

static int64_t
number_of(struct db_session *on, int64_t id)
{
	struct db_stmt *st = prepare_on(on, &select_sql);
	struct db_value arg = ARG_INT(id), cols[5];
	bool more = false;
	int64_t n;

	check_rc(db->exec(st, &arg, NULL, &e), RC_OK, "select");
	check_rc(db->fetch(st, cols, &more, &e), RC_OK, "select");
	assert_true(more);
	n = cols[4].i;
	db->finish(st);
	return n;
}

/* ---- set-up ---- */

static int
group_setup(void **state)
{
	struct db_session *made = NULL;

	(void)state;
	db = db_driver_find(target->driver);
	if (db == NULL) {
		print_error("no driver %s in this build (%s)\n", target->driver, db_driver_names());
		return -1;
	}
	if (db->process_init(&e) != RC_OK || db->open(&target->params, &made, &e) != RC_OK) {
		print_error("%s\n", e.text);
		return -1;
	}
	for (size_t i = 0; i < NELEM(all_words); i++) {
		if (strcmp(all_words[i].dialect, db->dialect(made)) == 0)
			words = &all_words[i];
	}
	if (words == NULL)
		return -1;
	print_message("# %s: %s, dialect %s\n", target->title, db->product(made),
		      db->dialect(made));
	(void)db->exec_text(made, "DROP TABLE mtr_child", &e);
	(void)db->exec_text(made, "DROP TABLE mtr_contract", &e);
	if (db->exec_text(made, words->create, &e) != RC_OK ||
	    db->exec_text(made, words->create_child, &e) != RC_OK) {
		print_error("%s\n", e.text);
		return -1;
	}
	db->close(made);
	return 0;
}

static int
group_teardown(void **state)
{
	struct db_session *made = NULL;

	(void)state;
	if (db->open(&target->params, &made, &e) == RC_OK) {
		(void)db->exec_text(made, "DROP TABLE mtr_child", &e);
		(void)db->exec_text(made, "DROP TABLE mtr_contract", &e);
		db->close(made);
	}
	db->process_fini();
	return 0;
}

static int
setup(void **state)
{
	struct db_stmt *st;
	static const struct db_sql clean[] = {
		{ .name = "clean", .text = "DELETE FROM mtr_child", .cols = "", .is_write = true },
		{ .name = "clean",
		  .text = "DELETE FROM mtr_contract",
		  .cols = "",
		  .is_write = true },
	};

	(void)state;
	s = NULL;
	if (db->open(&target->params, &s, &e) != RC_OK)
		return -1;
	for (size_t i = 0; i < NELEM(clean); i++) {
		if (db->prepare(s, &clean[i], &st, &e) != RC_OK ||
		    db->exec(st, NULL, NULL, &e) != RC_OK) {
			print_error("%s\n", e.text);
			return -1;
		}
		db->finish(st);
	}
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	db->close(s);
	s = NULL;
	return 0;
}

/* ---- values ---- */

static void
check_value(const struct db_value *got, const struct db_value *want, const char *what)
{
	if (got->type != want->type)
		fail_msg("%s: type %d instead of %d", what, (int)got->type, (int)want->type);
	if (want->type == DB_INT)
		assert_int_equal(got->i, want->i);
	if (want->type != DB_TEXT && want->type != DB_BLOB)
		return;
	if (got->n != want->n)
		fail_msg("%s: %zu bytes instead of %zu", what, got->n, want->n);
	assert_memory_equal(got->p, want->p, want->n);
	if (want->type == DB_TEXT)
		assert_int_equal(got->p[got->n], 0);
}

static void
types_come_back_as_they_went(void **state)
{
	static const char blob[] = "\0\1\2\377\0nul\0";
	static const char korean[] = "\xed\x95\x9c\xea\xb8\x80 \xf0\x9f\x8e\x89 caf\xc3\xa9";
	static char big[BIG_BYTES], bytes[BIG_BYTES];
	struct {
		const char *what;
		struct db_value txt, bin, num;
	} rows[] = {
		{ "nulls", ARG_NULL, ARG_NULL, ARG_NULL },
		{ "empty", ARG_BYTES(DB_TEXT, "", 0), ARG_BYTES(DB_BLOB, "", 0), ARG_INT(0) },
		{ "empty, no pointer", ARG_BYTES(DB_TEXT, NULL, 0), ARG_BYTES(DB_BLOB, NULL, 0),
		  ARG_INT(-1) },
		{ "one byte", ARG_TEXT("x"), ARG_BYTES(DB_BLOB, "\0", 1), ARG_INT(INT64_MAX) },
		{ "korean", ARG_BYTES(DB_TEXT, korean, sizeof korean - 1),
		  ARG_BYTES(DB_BLOB, blob, sizeof blob), ARG_INT(INT64_MIN) },
		{ "lines", ARG_TEXT("a\nb\r\n\tc'd\"e\\f%g?h{i}j;--"),
		  ARG_BYTES(DB_BLOB, "'\\\"", 3), ARG_INT(4294967296) },
		{ "255", ARG_BYTES(DB_TEXT, big, 255), ARG_BYTES(DB_BLOB, bytes, 255), ARG_INT(1) },
		{ "256", ARG_BYTES(DB_TEXT, big, 256), ARG_BYTES(DB_BLOB, bytes, 256), ARG_INT(1) },
		{ "511", ARG_BYTES(DB_TEXT, big, 511), ARG_BYTES(DB_BLOB, bytes, 511), ARG_INT(1) },
		{ "512", ARG_BYTES(DB_TEXT, big, 512), ARG_BYTES(DB_BLOB, bytes, 512), ARG_INT(1) },
		{ "513", ARG_BYTES(DB_TEXT, big, 513), ARG_BYTES(DB_BLOB, bytes, 513), ARG_INT(1) },
		{ "64 KiB", ARG_BYTES(DB_TEXT, big, 65536), ARG_BYTES(DB_BLOB, bytes, 65536),
		  ARG_INT(1) },
		{ "1 MiB", ARG_BYTES(DB_TEXT, big, sizeof big),
		  ARG_BYTES(DB_BLOB, bytes, sizeof bytes), ARG_INT(1) },
		{ "short after long", ARG_TEXT("y"), ARG_BYTES(DB_BLOB, "z", 1), ARG_INT(1) },
		{ "nulls again", ARG_NULL, ARG_NULL, ARG_NULL },
	};
	struct db_stmt *put = prepare_on(s, &insert_sql), *get = prepare_on(s, &select_sql);
	struct db_stmt *list = prepare_on(s, &list_sql);
	bool more;

	(void)state;
	for (size_t i = 0; i < sizeof big; i++) {
		big[i] = (char)('a' + i % 26);
		bytes[i] = (char)(i * 7);
	}
	for (size_t i = 0; i < NELEM(rows); i++) {
		struct db_value args[5] = { ARG_INT((int64_t)i + 1), rows[i].txt, rows[i].bin,
					    ARG_NULL, rows[i].num };
		int64_t n = -7;

		check_rc(db->exec(put, args, &n, &e), RC_OK, rows[i].what);
		assert_int_equal(n, 1);
	}
	for (size_t i = 0; i < NELEM(rows); i++) {
		struct db_value arg = ARG_INT((int64_t)i + 1), cols[5];

		check_rc(db->exec(get, &arg, NULL, &e), RC_OK, rows[i].what);
		check_rc(db->fetch(get, cols, &more, &e), RC_OK, rows[i].what);
		assert_true(more);
		check_value(&cols[0], &arg, rows[i].what);
		check_value(&cols[1], &rows[i].txt, rows[i].what);
		check_value(&cols[2], &rows[i].bin, rows[i].what);
		assert_int_equal(cols[3].type, DB_NULL);
		check_value(&cols[4], &rows[i].num, rows[i].what);
		check_rc(db->fetch(get, cols, &more, &e), RC_OK, "end");
		assert_false(more);
	}
	check_rc(db->exec(list, NULL, NULL, &e), RC_OK, "list");
	for (size_t i = 0; i < NELEM(rows); i++) {
		struct db_value cols[2];

		check_rc(db->fetch(list, cols, &more, &e), RC_OK, rows[i].what);
		assert_true(more);
		assert_int_equal(cols[0].i, (int64_t)i + 1);
		check_value(&cols[1], &rows[i].txt, rows[i].what);
	}
}

static void
nothing_found_is_no_error(void **state)
{
	struct db_stmt *get = prepare_on(s, &select_sql);
	struct db_value arg = ARG_INT(77), cols[5];
	int64_t n = 5;
	bool more = true;

	(void)state;
	check_rc(db->fetch(get, cols, &more, &e), RC_OK, "fetch before exec");
	assert_false(more);
	for (int i = 0; i < 3; i++) {
		check_rc(db->exec(get, &arg, &n, &e), RC_OK, "exec");
		assert_int_equal(n, -1);
		for (int k = 0; k < 3; k++) {
			more = true;
			check_rc(db->fetch(get, cols, &more, &e), RC_OK, "fetch");
			assert_false(more);
		}
	}
	db->reset(get);
	db->reset(get);
}

static void
statement_serves_a_thousand_times(void **state)
{
	struct db_stmt *put = prepare_on(s, &insert_sql), *get = prepare_on(s, &select_sql);
	char text[64];
	bool more;

	(void)state;
	check_rc(db->begin(s, &e), RC_OK, "begin");
	for (int i = 0; i < 1000; i++) {
		struct db_value args[5] = { ARG_INT(i), ARG_NULL, ARG_NULL, ARG_NULL, ARG_NULL },
				cols[5];

		snprintf(text, sizeof text, "%0*d", i % 30 + 1, i);
		if (i % 3 != 0)
			args[1] = ARG_TEXT(text);
		if (i % 5 != 0)
			args[3] = ARG_TEXT(text);
		if (i % 2 != 0)
			args[4] = ARG_INT(i);
		check_rc(db->exec(put, args, NULL, &e), RC_OK, "insert");
		check_rc(db->exec(get, args, NULL, &e), RC_OK, "select");
		check_rc(db->fetch(get, cols, &more, &e), RC_OK, "fetch");
		assert_true(more);
		check_value(&cols[1], &args[1], "txt");
		check_value(&cols[3], &args[3], "uniq");
		check_value(&cols[4], &args[4], "num");
		/* Every other time the rows are left where they are. */
		if (i % 2 == 0)
			db->reset(get);
	}
	check_rc(db->commit(s, &e), RC_OK, "commit");
	assert_int_equal(committed(0), 1000);
}

static void
affected_counts_rows_that_match(void **state)
{
	struct db_stmt *set;
	struct db_value args[3] = { ARG_INT(0), ARG_INT(1), ARG_INT(2) };
	int64_t n = -7;

	(void)state;
	insert_on(s, 1, "a");
	insert_on(s, 2, "b");
	set = prepare_on(s, &set_sql);
	check_rc(db->exec(set, args, &n, &e), RC_OK, "same value");
	assert_int_equal(n, 2);
	args[2].i = 1;
	check_rc(db->exec(set, args, &n, &e), RC_OK, "same value");
	assert_int_equal(n, 1);
	args[1].i = args[2].i = 99;
	check_rc(db->exec(set, args, &n, &e), RC_OK, "no row");
	assert_int_equal(n, 0);
}

static void
wrong_description_is_a_bug(void **state)
{
	static const struct db_sql wrong = { .name = "wrong",
					     .text = "SELECT id FROM mtr_contract",
					     .cols = "it" };
	struct db_stmt *st = NULL;
	enum rc rc = db->prepare(s, &wrong, &st, &e);

	(void)state;
	/* ODBC knows the columns after the first execution only. */
	if (rc == RC_OK) {
		insert_on(s, 1, "a");
		rc = db->exec(st, NULL, NULL, &e);
	}
	check_rc(rc, RC_BUG, "two columns described, one there");
}

/* ---- transactions ---- */

static void
commit_keeps_and_rollback_undoes(void **state)
{
	(void)state;
	check_rc(db->begin(s, &e), RC_OK, "begin");
	insert_on(s, 1, "a");
	assert_int_equal(count_on(s, 0), 1);
	/* SQLite's readers do not wait for its writer, and see nothing of it. */
	assert_int_equal(committed(0), 0);
	check_rc(db->commit(s, &e), RC_OK, "commit");
	assert_int_equal(committed(0), 1);

	check_rc(db->begin(s, &e), RC_OK, "begin");
	insert_on(s, 2, "b");
	db->rollback(s);
	assert_int_equal(committed(0), 1);
	db->rollback(s);

	insert_on(s, 3, "c");
	assert_int_equal(committed(0), 2);

	check_rc(db->begin(s, &e), RC_OK, "begin");
	check_rc(db->commit(s, &e), RC_OK, "empty commit");
	check_rc(db->commit(s, &e), RC_BUG, "commit without begin");
	check_rc(db->begin(s, &e), RC_OK, "begin");
	check_rc(db->begin(s, &e), RC_BUG, "begin twice");
	db->rollback(s);
	insert_on(s, 4, "d");
	assert_int_equal(committed(0), 3);
}

static void
close_undoes_what_is_open(void **state)
{
	struct db_session *other = open_one();
	struct db_stmt *get;
	struct db_value arg = ARG_INT(1);

	(void)state;
	insert_on(s, 1, "a");
	check_rc(db->begin(other, &e), RC_OK, "begin");
	insert_on(other, 2, "b");
	get = prepare_on(other, &select_sql);
	check_rc(db->exec(get, &arg, NULL, &e), RC_OK, "select");
	db->close(other);
	assert_int_equal(committed(0), 1);
	insert_on(s, 2, "free again");
	db->close(NULL);
	db->finish(NULL);
}

static void
refused_row_is_data_and_undone(void **state)
{
	struct db_value args[5] = { ARG_INT(1), ARG_TEXT("secret 01012345678"), ARG_NULL,
				    ARG_TEXT("k1-01012345678"), ARG_NULL };
	struct db_stmt *put = prepare_on(s, &insert_sql);

	(void)state;
	check_rc(db->exec(put, args, NULL, &e), RC_OK, "insert");
	check_rc(db->begin(s, &e), RC_OK, "begin");
	insert_on(s, 5, "earlier work");
	args[0].i = 2;
	check_rc(db->exec(put, args, NULL, &e), RC_DATA, "unique key met twice");
	assert_int_equal(e.rc, RC_DATA);
	assert_non_null(e.where);
	assert_null(strstr(e.text, "01012345678"));
	assert_null(strstr(e.text, "secret"));
	check_rc(db->exec(put, args, NULL, &e), RC_BUG, "going on after a failure");
	check_rc(db->commit(s, &e), RC_BUG, "commit after a failure");
	db->rollback(s);
	assert_int_equal(committed(0), 1);
	/* Without a transaction the session simply goes on. */
	check_rc(db->exec(put, args, NULL, &e), RC_DATA, "unique key met twice");
	args[3] = ARG_TEXT("k2");
	check_rc(db->exec(put, args, NULL, &e), RC_OK, "insert");
	args[0].i = 3;
	args[3] = ARG_TEXT("a text that is much too long for the column uniq");
	if (strcmp(words->dialect, "postgresql") == 0)
		check_rc(db->exec(put, args, NULL, &e), RC_DATA, "too long");
	assert_int_equal(committed(0), 2);
}

static void
check_or_foreign_key_is_data(void **state)
{
	struct db_value args[2] = { ARG_INT(1), ARG_INT(4711) };
	struct db_stmt *put = prepare_on(s, &child_sql);
	enum rc rc;

	(void)state;
	check_rc(db->begin(s, &e), RC_OK, "begin");
	rc = db->exec(put, args, NULL, &e);
	/* PostgreSQL's is deferred: the commit is what fails, and nothing is left of it. */
	if (rc == RC_OK)
		rc = db->commit(s, &e);
	check_rc(rc, RC_DATA, "constraint");
	db->rollback(s);
	check_rc(db->begin(s, &e), RC_OK, "begin");
	insert_on(s, 4711 % 1000, "parent");
	check_rc(db->commit(s, &e), RC_OK, "commit");
	args[1].i = 4711 % 1000;
	check_rc(db->exec(put, args, NULL, &e), RC_OK, "child");
}

static void
missing_table_is_config(void **state)
{
	static const struct db_sql missing = { .name = "missing",
					       .text = "SELECT a FROM mtr_nowhere",
					       .cols = "t" };
	static const struct db_sql column = { .name = "column",
					      .text = "SELECT nothing FROM mtr_contract",
					      .cols = "t" };
	const struct db_sql *both[] = { &missing, &column };

	(void)state;
	for (size_t i = 0; i < NELEM(both); i++) {
		struct db_stmt *st = NULL;
		enum rc rc = db->prepare(s, both[i], &st, &e);

		if (rc == RC_OK)
			rc = db->exec(st, NULL, NULL, &e);
		check_rc(rc, RC_CONFIG, both[i]->name);
		assert_non_null(strstr(e.text, both[i]->name));
	}
	insert_on(s, 1, "goes on");
	check_rc(db->exec_text(s, "THIS IS NO SQL", &e), RC_CONFIG, "nonsense");
}

/* ---- many ---- */

#define MANY 2500

static void
exec_many_counts_each_row(void **state)
{
	static struct db_value args[MANY * 5], cas[MANY * 3];
	static int64_t affected[MANY];
	static char texts[MANY][32];
	struct db_stmt *put = prepare_on(s, &insert_sql), *update = prepare_on(s, &update_sql);
	int64_t hits = 0;

	(void)state;
	for (size_t i = 0; i < MANY; i++) {
		snprintf(texts[i], sizeof texts[i], "%zu", i);
		args[i * 5] = ARG_INT((int64_t)i);
		args[i * 5 + 1] = i % 3 == 0 ? ARG_NULL : ARG_TEXT(texts[i]);
		args[i * 5 + 2] = i % 4 == 0 ? ARG_NULL : ARG_BYTES(DB_BLOB, "\0b", 2);
		args[i * 5 + 3] = ARG_TEXT(texts[i]);
		args[i * 5 + 4] = i % 2 == 0 ? ARG_INT(0) : ARG_INT((int64_t)(i % 7));
	}
	check_rc(db->exec_many(put, args, 2, NULL, &e), RC_BUG, "many outside of a transaction");
	check_rc(db->begin(s, &e), RC_OK, "begin");
	check_rc(db->exec_many(put, args, MANY, affected, &e), RC_OK, "insert many");
	for (size_t i = 0; i < MANY; i++)
		assert_int_equal(affected[i], 1);
	check_rc(db->exec_many(put, args, 0, NULL, &e), RC_OK, "none");
	check_rc(db->commit(s, &e), RC_OK, "commit");
	assert_int_equal(committed(0), MANY);

	/* Compare and set: rows whose number is not 0 any more, or not there, count 0; the same
	 * value again counts 1. */
	for (size_t i = 0; i < MANY; i++) {
		cas[i * 3] = ARG_INT(i % 5 == 0 ? 0 : 9);
		cas[i * 3 + 1] = ARG_INT(i % 11 == 0 ? (int64_t)(i + 100000) : (int64_t)i);
		cas[i * 3 + 2] = ARG_INT(0);
	}
	check_rc(db->begin(s, &e), RC_OK, "begin");
	check_rc(db->exec_many(update, cas, MANY, affected, &e), RC_OK, "update many");
	for (size_t i = 0; i < MANY; i++) {
		int64_t want = i % 11 != 0 && (i % 2 == 0 || i % 7 == 0) ? 1 : 0;

		if (affected[i] != want)
			fail_msg("row %zu: %lld instead of %lld", i, (long long)affected[i],
				 (long long)want);
		hits += want;
	}
	check_rc(db->commit(s, &e), RC_OK, "commit");
	assert_true(hits > 100);
	assert_int_equal(number_of(s, 2), 9);
	assert_int_equal(number_of(s, 11 * 2), 0);

	/* All match: the whole batch in one piece, where there is one. */
	for (size_t i = 0; i < 10; i++) {
		cas[i * 3] = ARG_INT(100);
		cas[i * 3 + 1] = ARG_INT((int64_t)(i + 1) * 2);
		cas[i * 3 + 2] = ARG_INT((i + 1) * 2 % 5 == 0 ? 0 : 9);
	}
	check_rc(db->begin(s, &e), RC_OK, "begin");
	check_rc(db->exec_many(update, cas, 10, affected, &e), RC_OK, "update many");
	for (size_t i = 0; i < 10; i++)
		assert_int_equal(affected[i], 1);
	check_rc(db->commit(s, &e), RC_OK, "commit");
	assert_int_equal(number_of(s, 20), 100);
}

static void
exec_many_names_the_bad_row(void **state)
{
	struct db_value args[20 * 5];
	struct db_stmt *put = prepare_on(s, &insert_sql);

	(void)state;
	for (size_t i = 0; i < 20; i++) {
		args[i * 5] = ARG_INT((int64_t)(i == 13 ? 4 : i));
		args[i * 5 + 1] = ARG_TEXT("t");
		args[i * 5 + 2] = args[i * 5 + 3] = args[i * 5 + 4] = ARG_NULL;
	}
	check_rc(db->begin(s, &e), RC_OK, "begin");
	insert_on(s, 100, "earlier");
	check_rc(db->exec_many(put, args, 20, NULL, &e), RC_DATA, "duplicate");
	assert_int_equal(e.native, 13);
	db->rollback(s);
	assert_int_equal(committed(0), 0);
	args[13 * 5].i = 13;
	check_rc(db->begin(s, &e), RC_OK, "begin");
	check_rc(db->exec_many(put, args, 20, NULL, &e), RC_OK, "repaired");
	check_rc(db->commit(s, &e), RC_OK, "commit");
	assert_int_equal(committed(0), 20);
}

/* ---- two sessions ---- */

static void
busy_row_is_again_and_undoes_all(void **state)
{
	struct db_params quick = target->params;
	struct db_session *other;
	struct db_value args[3] = { ARG_INT(1), ARG_INT(1), ARG_INT(1) };
	struct db_stmt *mine, *theirs;
	enum rc rc;

	(void)state;
	quick.statement_timeout_ms = 1000;
	insert_on(s, 1, "a");
	other = open_params(&quick);
	check_rc(db->begin(s, &e), RC_OK, "begin");
	mine = prepare_on(s, &set_sql);
	check_rc(db->exec(mine, args, NULL, &e), RC_OK, "update");
	rc = db->begin(other, &e);
	if (rc == RC_OK) {
		insert_on(other, 50, "must go with the rest");
		theirs = prepare_on(other, &set_sql);
		rc = db->exec(theirs, args, NULL, &e);
	}
	check_rc(rc, RC_AGAIN, "row or file locked by another session");
	/* Rolled back already: a new transaction may begin, and nothing of the old one is left. */
	db->rollback(other);
	check_rc(db->commit(s, &e), RC_OK, "commit");
	assert_int_equal(committed(50), 0);
	check_rc(db->begin(other, &e), RC_OK, "begin anew");
	theirs = prepare_on(other, &set_sql);
	check_rc(db->exec(theirs, args, NULL, &e), RC_OK, "update");
	check_rc(db->commit(other, &e), RC_OK, "commit");
	assert_int_equal(number_of(s, 1), 2);
	db->close(other);
}

struct runner {
	pthread_t thread;
	struct db_session *s;
	struct db_value args[3];
	const struct db_sql *sql;
	atomic_bool is_inside;
	atomic_bool is_done;
	enum rc rc;
	struct err err;
};

static void *
runner_main(void *arg)
{
	struct runner *r = arg;
	struct db_stmt *st = NULL;

	r->rc = db->prepare(r->s, r->sql, &st, &r->err);
	atomic_store(&r->is_inside, true);
	if (r->rc == RC_OK)
		r->rc = db->exec(st, r->args, NULL, &r->err);
	atomic_store(&r->is_done, true);
	return NULL;
}

static void
deadlock_is_again_for_one(void **state)
{
	struct db_session *other;
	struct runner r = { .sql = &set_sql, .args = { ARG_INT(10), ARG_INT(1), ARG_INT(1) } };
	struct db_value first[3] = { ARG_INT(10), ARG_INT(2), ARG_INT(2) },
			mine[3] = { ARG_INT(1), ARG_INT(1), ARG_INT(1) };
	enum rc rc;

	(void)state;
	if (!words->has_row_locks)
		skip();
	insert_on(s, 1, "a");
	insert_on(s, 2, "b");
	other = open_one();
	check_rc(db->begin(s, &e), RC_OK, "begin");
	check_rc(db->begin(other, &e), RC_OK, "begin");
	check_rc(db->exec(prepare_on(s, &set_sql), mine, NULL, &e), RC_OK, "mine");
	check_rc(db->exec(prepare_on(other, &set_sql), first, NULL, &e), RC_OK, "theirs");
	r.s = other;
	assert_int_equal(pthread_create(&r.thread, NULL, runner_main, &r), 0);
	mine[1].i = mine[2].i = 2;
	rc = db->exec(prepare_on(s, &set_sql), mine, NULL, &e);
	pthread_join(r.thread, NULL);
	/* One of the two was chosen; the other goes on and can commit. */
	if (rc == RC_OK) {
		e = r.err;
		check_rc(r.rc, RC_AGAIN, "the other");
		check_rc(db->commit(s, &e), RC_OK, "commit");
	} else {
		check_rc(rc, RC_AGAIN, "this one");
		e = r.err;
		check_rc(r.rc, RC_OK, "the other");
		check_rc(db->commit(other, &e), RC_OK, "commit");
	}
	db->close(other);
	assert_int_equal(number_of(s, 1), rc == RC_OK ? 1 : 10);
	assert_int_equal(number_of(s, 2), rc == RC_OK ? 1 : 10);
}

static void
cancel_interrupts_and_others_go_on(void **state)
{
	struct db_session *other = open_one();
	struct db_sql slow = { .name = "slow", .text = words->slow, .nargs = 0, .cols = "t" };
	struct runner r = { .sql = &slow };
	int64_t began = now_ms();

	(void)state;
	assert_true((db->caps(other) & DB_CAP_CANCEL) != 0);
	r.s = other;
	assert_int_equal(pthread_create(&r.thread, NULL, runner_main, &r), 0);
	while (!atomic_load(&r.is_inside))
		pause_ms(1);
	/* A second session is not held up by the first (a driver manager may lock too much). */
	insert_on(s, 1, "meanwhile");
	assert_int_equal(count_on(s, 0), 1);
	assert_false(atomic_load(&r.is_done));
	while (!atomic_load(&r.is_done) && now_ms() - began < WAIT_MS) {
		db->cancel(other);
		pause_ms(50);
	}
	pthread_join(r.thread, NULL);
	assert_true(now_ms() - began < WAIT_MS);
	e = r.err;
	if (r.rc != RC_AGAIN)
		check_rc(r.rc, RC_LOST, "cancelled");
	db->close(other);
}

/* ---- lost ---- */

static void
kill_session(struct db_session *victim)
{
	struct db_sql own = { .name = "own", .text = words->own_id, .nargs = 0, .cols = "i" };
	struct db_stmt *st = prepare_on(victim, &own);
	struct db_value col;
	char text[80];
	bool more;

	check_rc(db->exec(st, NULL, NULL, &e), RC_OK, "own");
	check_rc(db->fetch(st, &col, &more, &e), RC_OK, "own");
	assert_true(more);
	db->finish(st);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(text, sizeof text, words->kill, (long long)col.i);
#pragma GCC diagnostic pop
	check_rc(db->exec_text(s, text, &e), RC_OK, "kill");
}

/* A killed session may take a moment to notice. */
static enum rc
until_refused(struct db_stmt *st, const struct db_value *args)
{
	int64_t began = now_ms();
	enum rc rc = RC_OK;

	while (rc == RC_OK && now_ms() - began < WAIT_MS) {
		rc = db->exec(st, args, NULL, &e);
		pause_ms(5);
	}
	return rc;
}

static void
killed_session_is_lost(void **state)
{
	struct db_value arg = ARG_INT(1), args[3] = { ARG_INT(1), ARG_INT(1), ARG_INT(1) };
	struct db_session *other;
	struct db_stmt *st;

	(void)state;
	if (words->own_id == NULL)
		skip();
	insert_on(s, 1, "a");
	/* Inside a transaction, even a write is certainly undone. */
	other = open_one();
	st = prepare_on(other, &set_sql);
	check_rc(db->begin(other, &e), RC_OK, "begin");
	check_rc(db->exec(st, args, NULL, &e), RC_OK, "update");
	kill_session(other);
	check_rc(until_refused(st, args), RC_LOST, "killed in a transaction");
	check_rc(db->exec(st, args, NULL, &e), RC_LOST, "still lost");
	check_rc(db->begin(other, &e), RC_LOST, "still lost");
	check_rc(db->commit(other, &e), RC_LOST, "a commit that is never sent");
	db->rollback(other);
	db->close(other);
	assert_int_equal(number_of(s, 1), 0);
	/* A read by itself. */
	other = open_one();
	st = prepare_on(other, &select_sql);
	kill_session(other);
	check_rc(until_refused(st, &arg), RC_LOST, "killed before a read");
	db->close(other);
	/* A write that commits by itself. */
	other = open_one();
	st = prepare_on(other, &set_sql);
	kill_session(other);
	check_rc(until_refused(st, args), RC_UNSURE, "killed before a write");
	db->close(other);
	/* The commit itself finds the session dead. */
	other = open_one();
	check_rc(db->begin(other, &e), RC_OK, "begin");
	insert_on(other, 9, "x");
	kill_session(other);
	check_rc(db->commit(other, &e), RC_UNSURE, "killed before the commit");
	db->close(other);
	assert_int_equal(committed(9), 0);
}

/* The proxy cuts the connection when it sees these words: lose-reply drops the answer to the
 * request that holds it, lose-request the request; arm-reply and arm-request do it to the next
 * COMMIT of the connection. */
static enum rc
commit_through_proxy(int64_t id, const char *word)
{
	struct db_session *cut = open_params(&target->proxy);
	enum rc rc;

	check_rc(db->begin(cut, &e), RC_OK, "begin");
	insert_on(cut, id, word);
	rc = db->commit(cut, &e);
	db->rollback(cut);
	db->close(cut);
	return rc;
}

static void
lost_answer_to_commit_is_unsure(void **state)
{
	(void)state;
	if (!target->has_proxy)
		skip();
	check_rc(commit_through_proxy(1, "harmless"), RC_OK, "proxy that cuts nothing");
	check_rc(commit_through_proxy(2, "arm-reply"), RC_UNSURE, "answer to COMMIT lost");
	assert_int_equal(committed(2), 1);
	check_rc(commit_through_proxy(3, "arm-request"), RC_UNSURE, "COMMIT lost");
	assert_int_equal(committed(3), 0);
}

static void
lost_answer_to_statement(void **state)
{
	struct db_value args[5] = { ARG_INT(1), ARG_TEXT("lose-reply"), ARG_NULL, ARG_NULL,
				    ARG_NULL };
	static const struct db_sql find = { .name = "find",
					    .text = "SELECT id FROM mtr_contract WHERE uniq = ?",
					    .nargs = 1,
					    .cols = "i" };
	struct db_value word = ARG_TEXT("lose-reply");
	struct db_session *cut;

	(void)state;
	if (!target->has_proxy)
		skip();
	cut = open_params(&target->proxy);
	check_rc(db->exec(prepare_on(cut, &insert_sql), args, NULL, &e), RC_UNSURE,
		 "a write by itself");
	db->close(cut);
	assert_int_equal(committed(1), 1);

	cut = open_params(&target->proxy);
	args[0].i = 2;
	check_rc(db->begin(cut, &e), RC_OK, "begin");
	check_rc(db->exec(prepare_on(cut, &insert_sql), args, NULL, &e), RC_LOST,
		 "a write in a transaction");
	db->close(cut);
	assert_int_equal(committed(2), 0);

	cut = open_params(&target->proxy);
	check_rc(db->exec(prepare_on(cut, &find), &word, NULL, &e), RC_LOST, "a read");
	db->close(cut);
}

int
db_contract_run(const struct db_target *t)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(types_come_back_as_they_went),	  CASE(nothing_found_is_no_error),
		CASE(statement_serves_a_thousand_times),  CASE(affected_counts_rows_that_match),
		CASE(wrong_description_is_a_bug),	  CASE(commit_keeps_and_rollback_undoes),
		CASE(close_undoes_what_is_open),	  CASE(refused_row_is_data_and_undone),
		CASE(check_or_foreign_key_is_data),	  CASE(missing_table_is_config),
		CASE(exec_many_counts_each_row),	  CASE(exec_many_names_the_bad_row),
		CASE(busy_row_is_again_and_undoes_all),	  CASE(deadlock_is_again_for_one),
		CASE(cancel_interrupts_and_others_go_on), CASE(killed_session_is_lost),
		CASE(lost_answer_to_commit_is_unsure),	  CASE(lost_answer_to_statement),
	};
#undef CASE

	target = t;
	words = NULL;
	return cmocka_run_group_tests_name(t->title, tests, group_setup, group_teardown);
}
