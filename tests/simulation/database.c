/* database.c - the driver "sim": one SQLite in memory for all agents, with the real SQL, whose
 * clock is virtual.
 *
 * A session yields before it begins and outside of transactions, so that those of several agents
 * interleave as the one writer that SQLite allows. Prepared statements are shared and stay. Every
 * call may be the agent's last, may be lost before or after its work, may take long. */
#include "config.h"
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/dialect.h"
#include "drivers/db/db.h"
#include "drivers/db/errmap.h"
#include "drivers/db/registry.h"
#include "drivers/db/tx.h"
#include "schema/sql_source.h"
#include "tests/simulation/sim.h"

#define UNIX_EPOCH_JULIAN_MS INT64_C(210866760000000)
#define BEGINNING_MS INT64_C(1795305600000) /* 2026-11-22 */
#define STATEMENTS 2048u
#define SESSIONS_MAX 64

struct db_stmt {
	struct db_session *s;
	struct db_stmt *next;
	const struct db_sql *sql;
	sqlite3_stmt *h;
	unsigned ncols;
	bool has_rows, has_first;
	bool is_figure;
};

struct db_session {
	struct agent *agent;
	struct tx tx;
	struct db_stmt *stmts;
	bool is_killed;
	bool is_used;
};

static sqlite3 *db;
static struct db_session *sessions[SESSIONS_MAX];
static struct {
	const char *name;
	unsigned nargs;
	sqlite3_stmt *h;
} statements[STATEMENTS];

static void
must(int rc, const char *what)
{
	if (rc == SQLITE_OK || rc == SQLITE_DONE || rc == SQLITE_ROW)
		return;
	fprintf(stderr, "simulation: %s: %s\n", what, sqlite3_errmsg(db));
	abort();
}

/* One statement for each constant text, kept. */
static sqlite3_stmt *
ready(const char *name, unsigned nargs, const char *text)
{
	size_t at = ((size_t)(uintptr_t)name / 8 + nargs) % STATEMENTS;

	while (statements[at].h != NULL &&
	       (statements[at].name != name || statements[at].nargs != nargs))
		at = (at + 1) % STATEMENTS;
	if (statements[at].h == NULL) {
		if (sqlite3_prepare_v3(db, text, -1, SQLITE_PREPARE_PERSISTENT, &statements[at].h,
				       NULL) != SQLITE_OK)
			return NULL;
		statements[at].name = name;
		statements[at].nargs = nargs;
	}
	return statements[at].h;
}

static void
quick(const char *text)
{
	sqlite3_stmt *h = ready(text, 0, text);

	if (h == NULL)
		must(SQLITE_ERROR, text);
	must(sqlite3_step(h), text);
	sqlite3_reset(h);
}

/* ---- what goes wrong ---- */

static int64_t
latency_ms(void)
{
	unsigned r = pick(1000);

	if (r < 700 || !W.faults)
		return between(0, 4);
	if (r < 960)
		return between(1, 300);
	if (r < 995)
		return between(300, 6000);
	return between(1 * SECOND, 70 * SECOND);
}

/* RC_OK: goes on; *after: the work is done first. */
static enum rc
before(struct db_session *s, bool is_commit, bool *after)
{
	struct agent *a = s->agent;
	unsigned r;

	*after = false;
	crash_point();
	if (!s->tx.open)
		pause_point();
	if (!s->tx.open && chance(4000))
		sleep_ms(latency_ms());
	else if (is_commit && W.faults && chance(30))
		W.now_ms += between(1, 30 * SECOND); /* the others wait for the writer */
	if (s->is_killed || W.db_is_down)
		return RC_LOST;
	if (!W.faults || a->db_fault_in == 0 || --a->db_fault_in > 0)
		return RC_OK;
	a->db_fault_in = 1 + pick(400);
	W.counts.lost_calls++;
	r = pick(10);
	if (r < 3)
		return RC_AGAIN;
	if (r < 7)
		return RC_LOST;
	*after = true;
	return RC_LOST;
}

static void
reset_stmt(struct db_stmt *st)
{
	sqlite3_reset(st->h);
	sqlite3_clear_bindings(st->h);
	st->has_rows = st->has_first = false;
}

static void
roll_back(struct db_session *s)
{
	for (struct db_stmt *st = s->stmts; st != NULL; st = st->next)
		if (st->has_rows)
			reset_stmt(st);
	if (s->tx.open && sqlite3_get_autocommit(db) == 0)
		quick("ROLLBACK");
}

static enum rc
settle_class(struct db_session *s, enum tx_call call, enum rc rc)
{
	rc = tx_failed(&s->tx, call, rc);
	if (s->tx.lost || rc == RC_AGAIN) {
		roll_back(s);
		s->tx.open = false;
	}
	return rc;
}

static enum rc
refused(struct db_session *s, enum tx_call call, const char *what, struct err *e)
{
	int native = sqlite3_extended_errcode(db);
	const struct db_fact *f = db_fact_sqlite(native);
	char message[256];

	snprintf(message, sizeof message, "%s", sqlite3_errmsg(db));
	trace_text(s->agent, "database refuses", message);
	return db_err(e, settle_class(s, call, f->rc), f, native, "", "sim", what, message);
}

static enum rc
made_to_fail(struct db_session *s, enum tx_call call, enum rc rc, const char *what, struct err *e)
{
	trace_text(s->agent, rc == RC_AGAIN ? "database again" : "database lost", what);
	rc = settle_class(s, call, rc);
	return err_set(e, rc, 0, "sim", "%s: made to fail by the schedule", what);
}

/* ---- the driver ---- */

/* Figures for people, and a look for what the simulated application never does (to write the
 * agent's columns, odd types): most of a quiet agent's time. */
static bool
is_figure(const char *name)
{
	return strcmp(name, "queue_oldest") == 0 || strncmp(name, "foreign_", 8) == 0 ||
	       strncmp(name, "type_n", 6) == 0 || strcmp(name, "type_rows") == 0;
}

static enum rc
process_init(struct err *e)
{
	(void)e;
	return RC_OK;
}

static void
process_fini(void)
{
}

static void
finish(struct db_stmt *st)
{
	struct db_stmt **at;

	if (st == NULL)
		return;
	if (st->has_rows)
		reset_stmt(st);
	for (at = &st->s->stmts; *at != st; at = &(*at)->next)
		;
	*at = st->next;
	free(st);
}

static void
close_session(struct db_session *s)
{
	struct db_stmt *st, *next;

	if (s == NULL)
		return;
	if (s->tx.open)
		roll_back(s);
	for (st = s->stmts; st != NULL; st = next) {
		next = st->next;
		if (st->has_rows)
			reset_stmt(st);
		free(st);
	}
	for (size_t i = 0; i < SESSIONS_MAX; i++)
		if (sessions[i] == s)
			sessions[i] = NULL;
	free(s);
}

static enum rc
open_session(const struct db_params *p, struct db_session **out, struct err *e)
{
	struct db_session *s = calloc(1, sizeof *s);
	bool after;
	size_t i;
	enum rc rc;

	(void)p;
	s->agent = world_running();
	for (i = 0; i < SESSIONS_MAX && sessions[i] != NULL; i++)
		;
	if (i == SESSIONS_MAX) {
		violation("sessions leak");
		abort();
	}
	sessions[i] = s;
	rc = before(s, false, &after);
	if (rc != RC_OK) {
		rc = made_to_fail(s, TX_READ, rc, "open", e);
		close_session(s);
		return rc;
	}
	*out = s;
	return RC_OK;
}

static const char *
dialect(const struct db_session *s)
{
	(void)s;
	return "sqlite";
}

static const char *
product(const struct db_session *s)
{
	(void)s;
	return "SQLite (simulated)";
}

static unsigned
caps(const struct db_session *s)
{
	(void)s;
	return 0;
}

static enum rc
begin(struct db_session *s, struct err *e)
{
	enum rc rc = tx_check_begin(&s->tx, "sim.begin", e);
	bool after;

	if (rc != RC_OK)
		return rc;
	rc = before(s, false, &after);
	if (rc != RC_OK)
		return made_to_fail(s, TX_READ, rc, "begin", e);
	quick("BEGIN IMMEDIATE");
	s->tx.open = true;
	return RC_OK;
}

static enum rc
commit(struct db_session *s, struct err *e)
{
	enum rc rc = tx_check_commit(&s->tx, "sim.commit", e), order;
	bool after;

	if (rc != RC_OK)
		return rc;
	order = before(s, true, &after);
	if (order != RC_OK) {
		W.counts.lost_commits += order != RC_AGAIN;
		if (after) {
			quick("COMMIT");
			trace(s->agent, "committed and lost", 0, 0);
		}
		return made_to_fail(s, TX_COMMIT, order, "commit", e);
	}
	quick("COMMIT");
	s->tx.open = false;
	crash_point();
	if (chance(1000))
		sleep_ms(latency_ms());
	return RC_OK;
}

static void
rollback(struct db_session *s)
{
	if (s->tx.open && !s->tx.lost)
		roll_back(s);
	s->tx.open = s->tx.failed = false;
}

static enum rc
exec_text(struct db_session *s, const char *sql, struct err *e)
{
	(void)sql; /* only settings of a session, which all share */
	return tx_check_call(&s->tx, "sim.exec_text", e);
}

static enum rc
prepare(struct db_session *s, const struct db_sql *sql, struct db_stmt **out, struct err *e)
{
	struct db_stmt *st;
	sqlite3_stmt *h;
	enum rc rc = tx_check_call(&s->tx, "sim.prepare", e);

	if (rc != RC_OK)
		return rc;
	h = ready(sql->name, sql->nargs, sql->text);
	if (h == NULL)
		return refused(s, TX_READ, sql->name, e);
	st = calloc(1, sizeof *st);
	st->s = s;
	st->sql = sql;
	st->h = h;
	st->ncols = (unsigned)strlen(sql->cols);
	st->is_figure = is_figure(sql->name);
	st->next = s->stmts;
	s->stmts = st;
	*out = st;
	return RC_OK;
}

static void
bind_arg(struct db_stmt *st, int at, const struct db_value *v)
{
	switch (v->type) {
	case DB_NULL:
		sqlite3_bind_null(st->h, at);
		break;
	case DB_INT:
		sqlite3_bind_int64(st->h, at, v->i);
		break;
	case DB_TEXT:
		sqlite3_bind_text(st->h, at, v->p != NULL ? v->p : "", (int)v->n, SQLITE_TRANSIENT);
		break;
	case DB_BLOB:
		sqlite3_bind_blob(st->h, at, v->p != NULL ? v->p : "", (int)v->n, SQLITE_TRANSIENT);
		break;
	}
}

static enum rc
run(struct db_stmt *st, const struct db_value *args, int64_t *affected, struct err *e)
{
	enum tx_call call = st->sql->is_write ? TX_WRITE : TX_READ;
	enum rc rc;
	int got;

	sqlite3_reset(st->h);
	for (unsigned a = 0; a < st->sql->nargs; a++)
		bind_arg(st, (int)a + 1, &args[a]);
	got = sqlite3_step(st->h);
	if (got != SQLITE_ROW && got != SQLITE_DONE) {
		rc = refused(st->s, call, st->sql->name, e);
		reset_stmt(st);
		return rc;
	}
	st->has_rows = st->has_first = got == SQLITE_ROW;
	if (affected != NULL)
		*affected = st->ncols == 0 ? (int64_t)sqlite3_changes(db) : -1;
	if (!st->has_rows)
		reset_stmt(st);
	return RC_OK;
}

static enum rc
exec(struct db_stmt *st, const struct db_value *args, int64_t *affected, struct err *e)
{
	enum tx_call call = st->sql->is_write ? TX_WRITE : TX_READ;
	enum rc rc = tx_check_call(&st->s->tx, "sim.exec", e), order;
	bool after;

	if (rc != RC_OK)
		return rc;
	if (st->is_figure) {
		st->has_rows = false;
		if (affected != NULL)
			*affected = 0;
		return RC_OK;
	}
	order = before(st->s, false, &after);
	if (order != RC_OK && !after)
		return made_to_fail(st->s, call, order, st->sql->name, e);
	rc = run(st, args, affected, e);
	if (rc == RC_OK && order != RC_OK)
		rc = made_to_fail(st->s, call, order, st->sql->name, e);
	return rc;
}

static enum rc
exec_many(struct db_stmt *st, const struct db_value *args, size_t nrows, int64_t *affected,
	  struct err *e)
{
	enum rc rc = tx_check_call(&st->s->tx, "sim.exec_many", e), order;
	bool after;

	if (rc != RC_OK)
		return rc;
	if (!st->s->tx.open || st->ncols != 0)
		return err_set(e, RC_BUG, 0, "sim.exec_many", "%s is not for many rows",
			       st->sql->name);
	order = before(st->s, false, &after);
	if (order != RC_OK)
		return made_to_fail(st->s, TX_WRITE, order, st->sql->name, e);
	for (size_t r = 0; r < nrows; r++) {
		rc = run(st, args + r * st->sql->nargs, affected != NULL ? &affected[r] : NULL, e);
		if (rc != RC_OK) {
			if (e != NULL)
				e->native = (int)r;
			return rc;
		}
	}
	return RC_OK;
}

static void
take_cell(struct db_stmt *st, unsigned c, struct db_value *v)
{
	int at = (int)c;

	memset(v, 0, sizeof *v);
	if (sqlite3_column_type(st->h, at) == SQLITE_NULL)
		return;
	switch (st->sql->cols[c]) {
	case 'i':
		v->type = DB_INT;
		v->i = sqlite3_column_int64(st->h, at);
		break;
	case 't':
		v->type = DB_TEXT;
		v->p = (const char *)sqlite3_column_text(st->h, at);
		v->n = (size_t)sqlite3_column_bytes(st->h, at);
		break;
	default:
		v->type = DB_BLOB;
		v->p = sqlite3_column_blob(st->h, at);
		v->n = (size_t)sqlite3_column_bytes(st->h, at);
		if (v->p == NULL)
			v->p = "";
		break;
	}
}

static enum rc
fetch(struct db_stmt *st, struct db_value *cols, bool *more, struct err *e)
{
	int got = SQLITE_ROW;

	*more = false;
	if (!st->has_rows)
		return RC_OK;
	if (!st->has_first)
		got = sqlite3_step(st->h);
	st->has_first = false;
	if (got == SQLITE_DONE) {
		reset_stmt(st);
		return RC_OK;
	}
	if (got != SQLITE_ROW)
		return refused(st->s, TX_READ, st->sql->name, e);
	for (unsigned c = 0; c < st->ncols; c++)
		take_cell(st, c, &cols[c]);
	*more = true;
	return RC_OK;
}

static void
cancel(struct db_session *s)
{
	(void)s;
}

static const struct db_driver driver = {
	.name = "sim",
	.process_init = process_init,
	.process_fini = process_fini,
	.open = open_session,
	.close = close_session,
	.dialect = dialect,
	.product = product,
	.caps = caps,
	.begin = begin,
	.commit = commit,
	.rollback = rollback,
	.prepare = prepare,
	.exec = exec,
	.exec_many = exec_many,
	.fetch = fetch,
	.reset = reset_stmt,
	.finish = finish,
	.exec_text = exec_text,
	.cancel = cancel,
};

/* ---- the database itself ---- */

static int
now(sqlite3_vfs *vfs, sqlite3_int64 *julian_ms)
{
	(void)vfs;
	*julian_ms = UNIX_EPOCH_JULIAN_MS + BEGINNING_MS + W.now_ms + W.db_offset_ms;
	return SQLITE_OK;
}

static const char *const tables[] = {
	"send", "result", "try", "report", "history", "agent", "meta"
};

void
database_open(void)
{
	static sqlite3_vfs vfs;
	const struct sql_source *src = sql_source_find("sqlite", "create");
	struct buf text;
	char sql[512];
	struct err e;

	sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	must(sqlite3_initialize(), "initialize");
	vfs = *sqlite3_vfs_find(NULL);
	vfs.zName = "virtual-time";
	vfs.xCurrentTimeInt64 = now;
	must(sqlite3_vfs_register(&vfs, 1), "vfs");
	must(sqlite3_open(":memory:", &db), "open");
	must(sqlite3_exec(db, "PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL;", NULL,
			  NULL, NULL),
	     "pragma");
	buf_init(&text, 1 << 20);
	if (dialect_expand("sqlite", "mt_", src->text, 0, &text, &e) != RC_OK)
		abort();
	must(sqlite3_exec(db, buf_text(&text), NULL, NULL, NULL), "create");
	buf_free(&text);
	must(sqlite3_exec(db, "ATTACH ':memory:' AS old", NULL, NULL, NULL), "attach");
	for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
		snprintf(sql, sizeof sql,
			 "CREATE TABLE old.o_%s AS SELECT * FROM main.mt_%s WHERE 0", tables[i],
			 tables[i]);
		must(sqlite3_exec(db, sql, NULL, NULL, NULL), sql);
	}
	must(sqlite3_exec(db, "CREATE TABLE old.o_sequence (name, seq)", NULL, NULL, NULL), "old");
	db_driver_add(&driver);
}

void
database_begin(void)
{
	static const char *const empty[] = {
		"DELETE FROM mt_send",
		"DELETE FROM mt_result",
		"DELETE FROM mt_try",
		"DELETE FROM mt_report",
		"DELETE FROM mt_history",
		"DELETE FROM mt_agent",
		"DELETE FROM sqlite_sequence",
		"UPDATE mt_meta SET installation = 7, db_identity = 'first', frozen = 'N', "
		"freeze_reason = NULL, "
		"frozen_at = NULL, freeze_epoch = 0, created_at = '2026-11-22 00:00:00.000'",
	};

	for (size_t i = 0; i < SESSIONS_MAX; i++)
		sessions[i] = NULL;
	if (sqlite3_get_autocommit(db) == 0)
		quick("ROLLBACK");
	quick("BEGIN");
	for (size_t i = 0; i < sizeof empty / sizeof *empty; i++)
		quick(empty[i]);
	quick("COMMIT");
}

void
database_crash(struct agent *a)
{
	for (size_t i = 0; i < SESSIONS_MAX; i++)
		if (sessions[i] != NULL && sessions[i]->agent == a)
			close_session(sessions[i]);
}

void
database_kill_sessions(void)
{
	for (size_t i = 0; i < SESSIONS_MAX; i++)
		if (sessions[i] != NULL)
			sessions[i]->is_killed = true;
}

void
database_snapshot(void)
{
	static const char *const copy[] = {
		"DELETE FROM old.o_send",
		"INSERT INTO old.o_send SELECT * FROM main.mt_send",
		"DELETE FROM old.o_result",
		"INSERT INTO old.o_result SELECT * FROM main.mt_result",
		"DELETE FROM old.o_try",
		"INSERT INTO old.o_try SELECT * FROM main.mt_try",
		"DELETE FROM old.o_report",
		"INSERT INTO old.o_report SELECT * FROM main.mt_report",
		"DELETE FROM old.o_history",
		"INSERT INTO old.o_history SELECT * FROM main.mt_history",
		"DELETE FROM old.o_agent",
		"INSERT INTO old.o_agent SELECT * FROM main.mt_agent",
		"DELETE FROM old.o_meta",
		"INSERT INTO old.o_meta SELECT * FROM main.mt_meta",
		"DELETE FROM old.o_sequence",
		"INSERT INTO old.o_sequence SELECT name, seq FROM main.sqlite_sequence",
	};

	quick("BEGIN");
	for (size_t i = 0; i < sizeof copy / sizeof *copy; i++)
		quick(copy[i]);
	quick("COMMIT");
}

void
database_restore(bool new_identity)
{
	static const char *const copy[] = {
		"DELETE FROM mt_send",
		"INSERT INTO main.mt_send SELECT * FROM old.o_send",
		"DELETE FROM mt_result",
		"INSERT INTO main.mt_result SELECT * FROM old.o_result",
		"DELETE FROM mt_try",
		"INSERT INTO main.mt_try SELECT * FROM old.o_try",
		"DELETE FROM mt_report",
		"INSERT INTO main.mt_report SELECT * FROM old.o_report",
		"DELETE FROM mt_history",
		"INSERT INTO main.mt_history SELECT * FROM old.o_history",
		"DELETE FROM mt_agent",
		"INSERT INTO main.mt_agent SELECT * FROM old.o_agent",
		"DELETE FROM mt_meta",
		"INSERT INTO main.mt_meta SELECT * FROM old.o_meta",
		"DELETE FROM sqlite_sequence",
		"INSERT INTO main.sqlite_sequence SELECT name, seq FROM old.o_sequence",
	};

	quick("BEGIN");
	for (size_t i = 0; i < sizeof copy / sizeof *copy; i++)
		quick(copy[i]);
	if (new_identity)
		quick("UPDATE mt_meta SET db_identity = db_identity || '+'");
	quick("COMMIT");
}

int64_t
database_run(const char *sql)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) {
		trace_text(NULL, "refused", sqlite3_errmsg(db));
		return -1;
	}
	return sqlite3_changes(db);
}

/* sql is a constant. */
int64_t
database_int(const char *sql)
{
	sqlite3_stmt *h = ready(sql, 0, sql);
	int64_t v = -1;

	if (h == NULL)
		must(SQLITE_ERROR, sql);
	if (sqlite3_step(h) == SQLITE_ROW && sqlite3_column_type(h, 0) != SQLITE_NULL)
		v = sqlite3_column_int64(h, 0);
	sqlite3_reset(h);
	return v;
}

void
database_each(const char *sql, void (*row)(void *arg, char **cols), void *arg)
{
	sqlite3_stmt *h = ready(sql, 0, sql);
	char *cols[16];

	if (h == NULL)
		must(SQLITE_ERROR, sql);
	while (sqlite3_step(h) == SQLITE_ROW) {
		for (int i = 0; i < sqlite3_column_count(h) && i < 16; i++) {
			const char *p = (const char *)sqlite3_column_text(h, i);

			cols[i] = (char *)(uintptr_t)(p != NULL ? p : "");
		}
		row(arg, cols);
	}
	sqlite3_reset(h);
}
