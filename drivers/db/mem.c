#include "config.h"
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "drivers/db/db.h"
#include "drivers/db/errmap.h"
#include "drivers/db/mem.h"
#include "drivers/db/registry.h"
#include "drivers/db/tx.h"

#define MEMORY_NAME ":memory:"
#define MAX_ANCHORS 64
#define DEFAULT_TIMEOUT_MS 5000

struct db_stmt {
	struct db_session *s;
	struct db_stmt *next;
	const struct db_sql *sql;
	sqlite3_stmt *h;
	unsigned ncols;
	bool has_rows;
	bool has_first; /* exec() stepped to the first row already */
};

struct db_session {
	sqlite3 *db;
	struct tx tx;
	struct db_stmt *stmts;
	char product[32];
};

/* A memory database dies with its last connection: one is kept for each name. */
static pthread_mutex_t anchors_lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
	char name[64];
	sqlite3 *db;
} anchors[MAX_ANCHORS];

/* ---- failures on demand ---- */

static atomic_ulong calls;
static atomic_ulong fail_call; /* 0: none */
static atomic_int fail_rc;
static atomic_bool fail_after;

void
db_mem_fail_at(unsigned long k, enum rc rc, bool after)
{
	atomic_store(&fail_call, 0);
	atomic_store(&calls, 0);
	atomic_store(&fail_rc, (int)rc);
	atomic_store(&fail_after, after);
	atomic_store(&fail_call, k);
}

unsigned long
db_mem_calls(void)
{
	return atomic_load(&calls);
}

/* What the harness asked of this call: RC_OK, or the class. */
static enum rc
ordered(bool *after)
{
	unsigned long n = atomic_fetch_add(&calls, 1) + 1;
	enum rc rc = RC_OK;

	if (n == atomic_load(&fail_call))
		rc = (enum rc)atomic_load(&fail_rc);
	*after = rc != RC_OK && atomic_load(&fail_after);
	return rc;
}

/* ---- errors ---- */

static void
reset(struct db_stmt *st)
{
	sqlite3_reset(st->h);
	sqlite3_clear_bindings(st->h);
	st->has_rows = st->has_first = false;
}

/* What a server does when its client is gone, or we after RC_AGAIN. */
static void
roll_back(struct db_session *s)
{
	for (struct db_stmt *st = s->stmts; st != NULL; st = st->next)
		reset(st);
	if (sqlite3_get_autocommit(s->db) == 0)
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
}

static enum rc
settle_class(struct db_session *s, enum tx_call call, enum rc rc)
{
	rc = tx_failed(&s->tx, call, rc);
	if (s->tx.lost || rc == RC_AGAIN) {
		roll_back(s);
		s->tx.open = s->tx.open && rc != RC_AGAIN;
	}
	return rc;
}

static enum rc
failed(struct db_session *s, enum tx_call call, const char *where, const char *what, struct err *e)
{
	int native = sqlite3_extended_errcode(s->db);
	const struct db_fact *f = db_fact_sqlite(native);
	char message[256];

	snprintf(message, sizeof message, "%s", sqlite3_errmsg(s->db));
	return db_err(e, settle_class(s, call, f->rc), f, native, "", where, what, message);
}

static enum rc
made_to_fail(struct db_session *s, enum tx_call call, enum rc rc, const char *where, struct err *e)
{
	rc = settle_class(s, call, rc);
	return err_set(e, rc, 0, where, "made to fail by the test as %s", rc_name(rc));
}

/* ---- sessions ---- */

static enum rc
process_init(struct err *e)
{
	if (sqlite3_initialize() != SQLITE_OK)
		return err_set(e, RC_NOMEM, 0, "mem.init", "SQLite could not be initialised");
	return RC_OK;
}

static void
process_fini(void)
{
	pthread_mutex_lock(&anchors_lock);
	for (size_t i = 0; i < MAX_ANCHORS; i++) {
		sqlite3_close(anchors[i].db);
		anchors[i].db = NULL;
	}
	pthread_mutex_unlock(&anchors_lock);
}

static int
open_file(const char *name, sqlite3 **db)
{
	int flags =
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI;
	char uri[128];

	if (strncmp(name, MEMORY_NAME, strlen(MEMORY_NAME)) != 0)
		return sqlite3_open_v2(name, db, flags, NULL);
	/* The shared cache would lock tables without waiting; this file system in memory locks like
	 * a file. */
	snprintf(uri, sizeof uri, "file:/%s?vfs=memdb", name + strlen(MEMORY_NAME));
	return sqlite3_open_v2(uri, db, flags, NULL);
}

static void
keep_anchor(const char *name)
{
	size_t i;

	if (strncmp(name, MEMORY_NAME, strlen(MEMORY_NAME)) != 0)
		return;
	pthread_mutex_lock(&anchors_lock);
	for (i = 0; i < MAX_ANCHORS && anchors[i].db != NULL; i++) {
		if (strcmp(anchors[i].name, name) == 0)
			break;
	}
	if (i < MAX_ANCHORS && anchors[i].db == NULL &&
	    open_file(name, &anchors[i].db) == SQLITE_OK)
		snprintf(anchors[i].name, sizeof anchors[i].name, "%s", name);
	pthread_mutex_unlock(&anchors_lock);
}

static void
finish(struct db_stmt *st)
{
	struct db_stmt **at;

	if (st == NULL)
		return;
	for (at = &st->s->stmts; *at != NULL; at = &(*at)->next) {
		if (*at == st) {
			*at = st->next;
			break;
		}
	}
	sqlite3_finalize(st->h);
	free(st);
}

static void
close_session(struct db_session *s)
{
	if (s == NULL)
		return;
	while (s->stmts != NULL)
		finish(s->stmts);
	if (s->db != NULL) {
		roll_back(s);
		sqlite3_close(s->db);
	}
	free(s);
}

static enum rc
open_session(const struct db_params *p, struct db_session **out, struct err *e)
{
	const char *name = p->name != NULL ? p->name : MEMORY_NAME;
	struct db_session *s = calloc(1, sizeof *s);
	enum rc rc;
	bool after;

	if (s == NULL)
		return err_set(e, RC_NOMEM, 0, "mem.open", "no memory for a session");
	keep_anchor(name);
	if (open_file(name, &s->db) != SQLITE_OK) {
		rc = failed(s, TX_READ, "mem.open", "opening the database", e);
		goto out;
	}
	sqlite3_busy_timeout(s->db, p->statement_timeout_ms != 0 ? (int)p->statement_timeout_ms
								 : DEFAULT_TIMEOUT_MS);
	snprintf(s->product, sizeof s->product, "SQLite %s", sqlite3_libversion());
	rc = ordered(&after);
	if (rc != RC_OK)
		rc = made_to_fail(s, TX_READ, rc, "mem.open", e);
out:
	if (rc != RC_OK) {
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
	return s->product;
}

static unsigned
caps(const struct db_session *s)
{
	(void)s;
	return DB_CAP_CANCEL;
}

/* Runs text with the failure that was asked for, if any. */
static enum rc
run_text(struct db_session *s, const char *text, enum tx_call call, const char *where,
	 const char *what, struct err *e)
{
	bool after;
	enum rc order = ordered(&after);

	if (order != RC_OK && !after)
		return made_to_fail(s, call, order, where, e);
	if (sqlite3_exec(s->db, text, NULL, NULL, NULL) != SQLITE_OK)
		return failed(s, call, where, what, e);
	if (order != RC_OK)
		return made_to_fail(s, call, order, where, e);
	return RC_OK;
}

static enum rc
begin(struct db_session *s, struct err *e)
{
	enum rc rc = tx_check_begin(&s->tx, "mem.begin", e);

	if (rc == RC_OK)
		rc = run_text(s, "BEGIN IMMEDIATE", TX_READ, "mem.begin", "begin", e);
	if (rc == RC_OK)
		s->tx.open = true;
	return rc;
}

static enum rc
commit(struct db_session *s, struct err *e)
{
	enum rc rc = tx_check_commit(&s->tx, "mem.commit", e);

	if (rc == RC_OK)
		rc = run_text(s, "COMMIT", TX_COMMIT, "mem.commit", "commit", e);
	if (rc == RC_OK)
		s->tx.open = false;
	return rc;
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
	enum rc rc = tx_check_call(&s->tx, "mem.exec_text", e);

	if (rc != RC_OK)
		return rc;
	return run_text(s, sql, TX_WRITE, "mem.exec_text", "statement", e);
}

/* ---- statements ---- */

static enum rc
prepare(struct db_session *s, const struct db_sql *sql, struct db_stmt **out, struct err *e)
{
	struct db_stmt *st;
	enum rc rc, order;
	bool after;

	rc = tx_check_call(&s->tx, "mem.prepare", e);
	if (rc != RC_OK)
		return rc;
	order = ordered(&after);
	if (order != RC_OK)
		return made_to_fail(s, TX_READ, order, "mem.prepare", e);
	st = calloc(1, sizeof *st);
	if (st == NULL)
		return err_set(e, RC_NOMEM, 0, "mem.prepare", "%s: no memory", sql->name);
	st->s = s;
	st->sql = sql;
	st->ncols = (unsigned)strlen(sql->cols);
	st->next = s->stmts;
	s->stmts = st;
	if (sqlite3_prepare_v2(s->db, sql->text, -1, &st->h, NULL) != SQLITE_OK) {
		rc = failed(s, TX_READ, "mem.prepare", sql->name, e);
	} else if (sqlite3_bind_parameter_count(st->h) != (int)sql->nargs ||
		   sqlite3_column_count(st->h) != (int)st->ncols) {
		rc = err_set(e, RC_BUG, 0, "mem.prepare",
			     "%s has %d arguments and %d columns, described are %u and %u",
			     sql->name, sqlite3_bind_parameter_count(st->h),
			     sqlite3_column_count(st->h), sql->nargs, st->ncols);
	}
	if (rc == RC_OK)
		*out = st;
	else
		finish(st);
	return rc;
}

static int
bind_arg(struct db_stmt *st, int at, const struct db_value *v)
{
	/* Rows may be stepped to after the caller's text is gone. */
	switch (v->type) {
	case DB_NULL:
		return sqlite3_bind_null(st->h, at);
	case DB_INT:
		return sqlite3_bind_int64(st->h, at, v->i);
	case DB_TEXT:
		return sqlite3_bind_text(st->h, at, v->p != NULL ? v->p : "", (int)v->n,
					 SQLITE_TRANSIENT);
	case DB_BLOB:
		return sqlite3_bind_blob(st->h, at, v->p != NULL ? v->p : "", (int)v->n,
					 SQLITE_TRANSIENT);
	}
	return SQLITE_MISUSE;
}

static enum rc
run(struct db_stmt *st, const struct db_value *args, int64_t *affected, struct err *e)
{
	enum tx_call call = st->sql->is_write ? TX_WRITE : TX_READ;
	enum rc rc;
	int got;

	reset(st);
	for (unsigned a = 0; a < st->sql->nargs; a++) {
		if (bind_arg(st, (int)a + 1, &args[a]) != SQLITE_OK)
			return failed(st->s, TX_READ, "mem.exec", st->sql->name, e);
	}
	got = sqlite3_step(st->h);
	if (got != SQLITE_ROW && got != SQLITE_DONE) {
		rc = failed(st->s, call, "mem.exec", st->sql->name, e);
		reset(st);
		return rc;
	}
	st->has_rows = st->has_first = got == SQLITE_ROW;
	if (affected != NULL)
		*affected = st->ncols == 0 ? (int64_t)sqlite3_changes(st->s->db) : -1;
	if (!st->has_rows)
		reset(st);
	return RC_OK;
}

static enum rc
exec(struct db_stmt *st, const struct db_value *args, int64_t *affected, struct err *e)
{
	enum tx_call call = st->sql->is_write ? TX_WRITE : TX_READ;
	enum rc rc = tx_check_call(&st->s->tx, "mem.exec", e), order;
	bool after;

	if (rc != RC_OK)
		return rc;
	order = ordered(&after);
	if (order != RC_OK && !after)
		return made_to_fail(st->s, call, order, "mem.exec", e);
	rc = run(st, args, affected, e);
	if (rc == RC_OK && order != RC_OK)
		rc = made_to_fail(st->s, call, order, "mem.exec", e);
	return rc;
}

static enum rc
exec_many(struct db_stmt *st, const struct db_value *args, size_t nrows, int64_t *affected,
	  struct err *e)
{
	enum rc rc = tx_check_call(&st->s->tx, "mem.exec_many", e), order;
	bool after;

	if (rc != RC_OK)
		return rc;
	if (!st->s->tx.open || st->ncols != 0)
		return err_set(e, RC_BUG, 0, "mem.exec_many",
			       "%s: many rows need a transaction and a statement without columns",
			       st->sql->name);
	order = ordered(&after);
	if (order != RC_OK && !after)
		return made_to_fail(st->s, TX_WRITE, order, "mem.exec_many", e);
	for (size_t r = 0; r < nrows; r++) {
		rc = run(st, args + r * st->sql->nargs, affected != NULL ? &affected[r] : NULL, e);
		if (rc != RC_OK) {
			if (e != NULL)
				e->native = (int)r;
			return rc;
		}
	}
	if (order != RC_OK)
		rc = made_to_fail(st->s, TX_WRITE, order, "mem.exec_many", e);
	return rc;
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
	enum rc order;
	bool after;
	int got = SQLITE_ROW;

	*more = false;
	if (!st->has_rows)
		return RC_OK;
	order = ordered(&after);
	if (order != RC_OK)
		return made_to_fail(st->s, TX_READ, order, "mem.fetch", e);
	if (!st->has_first)
		got = sqlite3_step(st->h);
	st->has_first = false;
	if (got == SQLITE_DONE) {
		reset(st);
		return RC_OK;
	}
	if (got != SQLITE_ROW)
		return failed(st->s, TX_READ, "mem.fetch", st->sql->name, e);
	for (unsigned c = 0; c < st->ncols; c++)
		take_cell(st, c, &cols[c]);
	*more = true;
	return RC_OK;
}

static void
cancel(struct db_session *s)
{
	sqlite3_interrupt(s->db);
}

static const struct db_driver db_mem = {
	.name = "mem",
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
	.reset = reset,
	.finish = finish,
	.exec_text = exec_text,
	.cancel = cancel,
};

void
db_mem_register(void)
{
	db_driver_add(&db_mem);
}
