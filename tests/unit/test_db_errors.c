/* What error numbers mean, what is left of a message, and that the mem driver fails as ordered. */
#include "config.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/unit/unit.h"
#include "drivers/db/errmap.h"
#include "drivers/db/limits.h"
#include "drivers/db/mem.h"
#include "drivers/db/db.h"
#include "drivers/db/tx.h"

static void
numbers_have_their_class(void **state)
{
	static const struct {
		int native;
		const char *sqlstate;
		enum rc rc;
	} mysql[] = {
		{ 1213, "40001", RC_AGAIN },  { 1205, "HY000", RC_AGAIN },
		{ 1020, "HY000", RC_AGAIN },  { 3572, "HY000", RC_AGAIN },
		{ 2006, "HY000", RC_LOST },   { 2013, "HY000", RC_LOST },
		{ 2055, "HY000", RC_LOST },   { 1053, "08S01", RC_LOST },
		{ 1927, "70100", RC_LOST },   { 1062, "23000", RC_DATA },
		{ 1406, "22001", RC_DATA },   { 1644, "45000", RC_DATA },
		{ 1644, "99999", RC_DATA },   { 1452, "23000", RC_DATA },
		{ 1045, "28000", RC_CONFIG }, { 1044, "42000", RC_CONFIG },
		{ 1142, "42000", RC_CONFIG }, { 1146, "42S02", RC_CONFIG },
		{ 1054, "42S22", RC_CONFIG }, { 1290, "HY000", RC_CONFIG },
		{ 2002, "HY000", RC_LOST },   { 2003, "HY000", RC_LOST },
		{ 2005, "HY000", RC_LOST },   { 1021, "HY000", RC_CONFIG },
		{ 1114, "HY000", RC_CONFIG }, { 1040, "08004", RC_LOST },
		{ 9999, "23000", RC_DATA },   { 9999, "HY000", RC_CONFIG },
		{ 0, "40001", RC_AGAIN },
	};
	static const struct {
		const char *sqlstate;
		enum rc rc;
	} states[] = {
		{ "40001", RC_AGAIN },	{ "40P01", RC_AGAIN },	{ "55P03", RC_AGAIN },
		{ "57014", RC_AGAIN },	{ "08006", RC_LOST },	{ "08S01", RC_LOST },
		{ "57P01", RC_LOST },	{ "22001", RC_DATA },	{ "23505", RC_DATA },
		{ "P0001", RC_DATA },	{ "28P01", RC_CONFIG }, { "42P01", RC_CONFIG },
		{ "25006", RC_CONFIG }, { "53300", RC_LOST },	{ "53200", RC_NOMEM },
		{ "53100", RC_CONFIG }, { "25P02", RC_BUG },
	};
	static const struct {
		int native;
		enum rc rc;
	} sqlite[] = {
		{ 5, RC_AGAIN },    { 261, RC_AGAIN }, { 517, RC_AGAIN }, { 6, RC_AGAIN },
		{ 13, RC_CONFIG },  { 8, RC_CONFIG },  { 10, RC_CONFIG }, { 1034, RC_CONFIG },
		{ 11, RC_CONFIG },  { 19, RC_DATA },   { 2067, RC_DATA }, { 1, RC_CONFIG },
		{ 200, RC_CONFIG },
	};

	(void)state;
	for (size_t i = 0; i < NELEM(mysql); i++)
		assert_int_equal(db_fact_mysql(mysql[i].native, mysql[i].sqlstate)->rc,
				 mysql[i].rc);
	for (size_t i = 0; i < NELEM(states); i++)
		assert_int_equal(db_fact_sqlstate(states[i].sqlstate)->rc, states[i].rc);
	for (size_t i = 0; i < NELEM(sqlite); i++)
		assert_int_equal(db_fact_sqlite(sqlite[i].native)->rc, sqlite[i].rc);
	assert_null(db_fact_sqlstate("HY000"));
	assert_null(db_fact_sqlstate(""));
}

static void
messages_lose_what_is_a_customers(void **state)
{
	static const struct {
		const char *in;
		bool has_value;
		const char *out;
	} cases[] = {
		{ "Duplicate entry 'k-01012345678' for key 'ux_req_key'", true,
		  "Duplicate entry *** for key 'ux_req_key'" },
		{ "Duplicate entry 'it's for me' for key 'k'", true,
		  "Duplicate entry *** for key 'k'" },
		{ "invalid input syntax for type integer: \"010-1234\"", true,
		  "invalid input syntax for type integer: ***" },
		{ "ERROR: duplicate key\nDETAIL: Key (a)=(secret) already exists.", false,
		  "ERROR: duplicate key" },
		{ "ERROR: no row DETAIL: Failing row contains (1, secret)", false,
		  "ERROR: no row" },
		{ "number 01012345678 on port 65535.", false, "number *** on port 65535" },
		{ "bell\a and \xff and \xed\x95\x9c \xed\x95", false,
		  "bell  and ? and \xed\x95\x9c ??" },
		{ "", true, "" },
	};
	char buf[80], tiny[4];

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		db_clean_message(buf, sizeof buf, cases[i].in, cases[i].has_value);
		assert_string_equal(buf, cases[i].out);
	}
	db_clean_message(tiny, sizeof tiny, "longer than that", false);
	assert_true(strlen(tiny) < sizeof tiny);
}

static void
failures_mean_what_was_under_way(void **state)
{
	static const struct {
		enum rc in;
		enum tx_call call;
		bool open;
		enum rc out;
		bool failed, lost;
	} cases[] = {
		{ RC_LOST, TX_READ, false, RC_LOST, false, true },
		{ RC_LOST, TX_WRITE, false, RC_UNSURE, false, true },
		{ RC_LOST, TX_WRITE, true, RC_LOST, false, true },
		{ RC_LOST, TX_COMMIT, true, RC_UNSURE, false, true },
		{ RC_CONFIG, TX_COMMIT, true, RC_UNSURE, true, true },
		{ RC_DATA, TX_COMMIT, true, RC_DATA, true, false },
		{ RC_AGAIN, TX_COMMIT, true, RC_AGAIN, false, false },
		{ RC_DATA, TX_WRITE, true, RC_DATA, true, false },
		{ RC_DATA, TX_WRITE, false, RC_DATA, false, false },
		{ RC_CONFIG, TX_READ, true, RC_CONFIG, true, false },
	};

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		struct tx t = { .open = cases[i].open };

		assert_int_equal(tx_failed(&t, cases[i].call, cases[i].in), cases[i].out);
		assert_int_equal(t.failed, cases[i].failed);
		assert_int_equal(t.lost, cases[i].lost);
	}
}

static void
time_outs_are_asked_for_in_the_servers_unit(void **state)
{
	char buf[80];

	(void)state;
	assert_true(db_limit_text("mysql", 0, 1500, buf, sizeof buf));
	assert_string_equal(buf, "SET SESSION innodb_lock_wait_timeout = 2");
	assert_true(db_limit_text("mysql", 2, 1500, buf, sizeof buf));
	assert_string_equal(buf, "SET SESSION max_execution_time = 1500");
	assert_true(db_limit_text("mysql", 3, 1500, buf, sizeof buf));
	assert_string_equal(buf, "SET SESSION idle_transaction_timeout = 2");
	assert_false(db_limit_text("mysql", 4, 1500, buf, sizeof buf));
	assert_true(db_limit_text("postgresql", 0, 1500, buf, sizeof buf));
	assert_string_equal(buf, "SET statement_timeout = 1500");
	assert_true(db_limit_text("postgresql", 1, 1500, buf, sizeof buf));
	assert_string_equal(buf, "SET idle_in_transaction_session_timeout = 1500");
	assert_false(db_limit_text("postgresql", 2, 1500, buf, sizeof buf));
	assert_false(db_limit_text("sqlite", 0, 1500, buf, sizeof buf));
	assert_false(db_limit_text("mysql", 0, 0, buf, sizeof buf));
}

/* ---- torture: one transaction, failed at every call with every class ---- */

static const struct db_sql insert_sql = {
	.name = "insert",
	.text = "INSERT INTO t (id) VALUES (?)",
	.nargs = 1,
	.cols = "",
	.is_write = true,
	.one_row = true,
};
static const struct db_sql count_sql = {
	.name = "count",
	.text = "SELECT COUNT(*) FROM t WHERE id = ?",
	.nargs = 1,
	.cols = "i",
};

static int64_t
count(struct db_session *s, int64_t id)
{
	const struct db_driver *d = db_driver_find("mem");
	struct db_value arg = { .type = DB_INT, .i = id }, col = { .type = DB_NULL };
	struct db_stmt *st = NULL;
	struct err e;
	bool more;

	assert_int_equal(d->prepare(s, &count_sql, &st, &e), RC_OK);
	assert_int_equal(d->exec(st, &arg, NULL, &e), RC_OK);
	assert_int_equal(d->fetch(st, &col, &more, &e), RC_OK);
	d->finish(st);
	return col.i;
}

/* Opens a session and inserts id in a transaction; the class tells what came of it. */
static enum rc
one_transaction(const struct db_params *p, int64_t id)
{
	const struct db_driver *d = db_driver_find("mem");
	struct db_value args[2] = { { .type = DB_INT, .i = id }, { .type = DB_INT, .i = -id } };
	struct db_session *s = NULL;
	struct db_stmt *st = NULL;
	struct err e;
	enum rc rc;

	rc = d->open(p, &s, &e);
	if (rc == RC_OK)
		rc = d->prepare(s, &insert_sql, &st, &e);
	if (rc == RC_OK)
		rc = d->begin(s, &e);
	if (rc != RC_OK)
		goto out;
	rc = d->exec(st, &args[0], NULL, &e);
	if (rc == RC_OK)
		rc = d->exec_many(st, &args[1], 1, NULL, &e);
	if (rc == RC_OK)
		rc = d->commit(s, &e);
	if (rc != RC_OK)
		d->rollback(s);
out:
	d->close(s);
	return rc;
}

static void
every_call_fails_as_ordered(void **state)
{
	static const enum rc classes[] = { RC_AGAIN, RC_LOST,	RC_UNSURE,
					   RC_DATA,  RC_CONFIG, RC_NOMEM };
	const struct db_params p = { .name = ":memory:torture" };
	const struct db_driver *d = db_driver_find("mem");
	struct db_session *watch = NULL;
	unsigned unsure_done = 0, unsure_undone = 0;
	int64_t id = 0;
	struct err e;

	(void)state;
	assert_int_equal(d->open(&p, &watch, &e), RC_OK);
	assert_int_equal(d->exec_text(watch, "CREATE TABLE t (id INTEGER PRIMARY KEY)", &e), RC_OK);
	for (size_t c = 0; c < NELEM(classes); c++) {
		for (int after = 0; after <= (classes[c] == RC_LOST || classes[c] == RC_UNSURE);
		     after++) {
			enum rc rc = RC_BUG;
			unsigned long k;

			for (k = 1; rc != RC_OK; k++) {
				id++;
				db_mem_fail_at(k, classes[c], after != 0);
				rc = one_transaction(&p, id);
				db_mem_fail_at(0, RC_OK, false);
				assert_int_equal(count(watch, id), count(watch, -id));
				if (rc == RC_OK)
					assert_int_equal(count(watch, id), 1);
				else if (rc != RC_UNSURE)
					assert_int_equal(count(watch, id), 0);
				else if (count(watch, id) == 1)
					unsure_done++;
				else
					unsure_undone++;
			}
			/* open, prepare, begin, exec, exec_many, commit; and one left alone. */
			assert_int_equal(k - 1, 7);
		}
	}
	/* LOST and UNSURE at the commit, before and after; CONFIG and NOMEM only before. */
	assert_int_equal(unsure_done, 2);
	assert_int_equal(unsure_undone, 4);
	d->close(watch);
	d->process_fini();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_have_their_class),
		cmocka_unit_test(messages_lose_what_is_a_customers),
		cmocka_unit_test(failures_mean_what_was_under_way),
		cmocka_unit_test(time_outs_are_asked_for_in_the_servers_unit),
		cmocka_unit_test(every_call_fails_as_ordered),
	};

	db_mem_register();
	return cmocka_run_group_tests_name("db errors", tests, NULL, NULL);
}
