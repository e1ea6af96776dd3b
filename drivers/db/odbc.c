/* odbc.c - the database contract over unixODBC.
 *
 * DIAGNOSTICS. SQLSTATE and native number become classes by odbc_diag.c. Only begin(), commit() and
 * rollback() touch transactions: turning autocommit on commits on every driver, so it happens with
 * no transaction open only. SQLite is given BEGIN IMMEDIATE as text, since the transaction that its
 * driver opens is a deferred one, which fails with BUSY when it first writes. A session whose
 * transaction cannot be ended is lost. What the drivers do by themselves was measured with psqlODBC
 * 13.02, MariaDB Connector/ODBC 3.1.15 and libsqliteodbc 0.9998 under unixODBC 2.3.11. */
#include "config.h"
#include <errno.h>
#include <pthread.h>
#include <sql.h>
#include <sqlext.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "drivers/db/db.h"
#include "drivers/db/limits.h"
#include "drivers/db/odbc_diag.h"
#include "drivers/db/tx.h"

extern const struct db_driver db_odbc;

/* First size of a text column's buffer; what grew beyond the second is given back by reset(). */
#define CELL_BYTES 512
#define CELL_KEEP_BYTES (64 * 1024)
#define CONNECTION_BYTES 4096
#define DEFAULT_WAIT_MS 20000

struct cell {
	SQLBIGINT i;
	char *buf;
	size_t size;
	SQLLEN ind;
};

struct db_stmt {
	struct db_session *s;
	struct db_stmt *next;
	const struct db_sql *sql;
	SQLHSTMT h;
	struct cell *cells;
	SQLLEN *arg_inds;
	unsigned ncols;
	bool has_rows;
};

/* SQLCancel() opens a connection of its own to some servers and may block as long as connecting
 * does, so a helper thread calls it. The helper may outlive the session: the last one out frees
 * this. */
struct canceller {
	pthread_mutex_t lock;
	SQLHSTMT running; /* SQL_NULL_HSTMT between calls */
	unsigned refs;
};

struct db_session {
	SQLHENV env;
	SQLHDBC dbc;
	struct db_stmt *stmts;
	struct canceller *canceller;
	enum odbc_product product_id;
	struct tx tx;
	bool can_refetch; /* SQLGetData() works on bound columns */
	unsigned timeout_s;
	char product[96];
};

/* What a driver must be told so that it keeps the contract. Appended to the connection string: a
 * keyword that stands there already wins, one from the DSN does not. */
struct driver_needs {
	const char *library; /* SQL_DRIVER_NAME holds this, and so may the connection string */
	const char *name;    /* what distributions call it; the connection string may say this */
	const char *keywords;
};

static const struct driver_needs driver_needs[] = {
	/* No cursors on the server, bytes as bytes, no savepoint round every statement, no log
	 * files (the driver's own would hold message texts), and nothing prepared on the server: a
	 * pool in transaction mode has other sessions behind it each time, where the same name may
	 * even stand for another statement. It is not slower: the large ones were planned anew
	 * anyway. */
	{ "psqlodbc", "PostgreSQL",
	  "UseDeclareFetch=0;UseServerSidePrepare=0;ByteaAsLongVarBinary=1;BoolsAsChar=0;"
	  "Protocol=7.4-1;Debug=0;CommLog=0" },
	/* 2 is FLAG_FOUND_ROWS: an UPDATE to the same value counts. */
	{ "maodbc", "MariaDB", "OPTION=2;CHARSET=utf8mb4" },
	{ "myodbc", "MySQL", "OPTION=2;CHARSET=utf8mb4" },
	{ "sqlite3odbc", "SQLite3", "BigInt=1;NoWCHAR=1;SyncPragma=FULL" },
};

/* ---- cancelling ---- */

static struct canceller *
canceller_new(void)
{
	struct canceller *k = calloc(1, sizeof *k);

	if (k != NULL && pthread_mutex_init(&k->lock, NULL) != 0) {
		free(k);
		return NULL;
	}
	if (k != NULL)
		k->refs = 1;
	return k;
}

static void
canceller_drop(struct canceller *k)
{
	unsigned left;

	pthread_mutex_lock(&k->lock);
	left = --k->refs;
	pthread_mutex_unlock(&k->lock);
	if (left == 0) {
		pthread_mutex_destroy(&k->lock);
		free(k);
	}
}

/* Waits for a SQLCancel() that is under way: it must not hit the next statement. */
static void
set_running(struct db_session *s, SQLHSTMT h)
{
	pthread_mutex_lock(&s->canceller->lock);
	s->canceller->running = h;
	pthread_mutex_unlock(&s->canceller->lock);
}

static void *
cancel_main(void *arg)
{
	struct canceller *k = arg;

	pthread_mutex_lock(&k->lock);
	if (k->running != SQL_NULL_HSTMT)
		SQLCancel(k->running);
	pthread_mutex_unlock(&k->lock);
	canceller_drop(k);
	return NULL;
}

static void
cancel(struct db_session *s)
{
	struct canceller *k = s->canceller;
	pthread_attr_t attr;
	pthread_t thread;
	int failed;

	/* A cancel that is still under way holds the lock, and then one is enough. */
	if (pthread_mutex_trylock(&k->lock) != 0)
		return;
	k->refs++;
	pthread_mutex_unlock(&k->lock);
	if (pthread_attr_init(&attr) != 0) {
		canceller_drop(k);
		return;
	}
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	failed = pthread_create(&thread, &attr, cancel_main, k);
	pthread_attr_destroy(&attr);
	if (failed != 0)
		canceller_drop(k);
}

/* ---- errors ---- */

static bool
is_dead(struct db_session *s)
{
	SQLUINTEGER dead = SQL_CD_FALSE;

	if (!SQL_SUCCEEDED(
		    SQLGetConnectAttr(s->dbc, SQL_ATTR_CONNECTION_DEAD, &dead, sizeof dead, NULL)))
		return false;
	return dead == SQL_CD_TRUE;
}

/* Ends the transaction without saying how, and lets statements commit by themselves again. */
static bool
end_by_rollback(struct db_session *s)
{
	bool ended = SQL_SUCCEEDED(SQLEndTran(SQL_HANDLE_DBC, s->dbc, SQL_ROLLBACK));

	if (s->product_id == ODBC_SQLITE) {
		SQLHSTMT h;

		/* The driver ends only what it began; where it did, or SQLite itself gave up, there
		 * is nothing to end. */
		if (!SQL_SUCCEEDED(SQLAllocHandle(SQL_HANDLE_STMT, s->dbc, &h)))
			return false;
		(void)SQLExecDirect(h, (SQLCHAR *)(uintptr_t) "ROLLBACK", SQL_NTS);
		SQLFreeHandle(SQL_HANDLE_STMT, h);
		return true;
	}
	return ended && SQL_SUCCEEDED(SQLSetConnectAttr(s->dbc, SQL_ATTR_AUTOCOMMIT,
							(SQLPOINTER)SQL_AUTOCOMMIT_ON, 0));
}

static enum rc
failed(struct db_session *s, SQLSMALLINT type, SQLHANDLE handle, enum tx_call call,
       const char *where, const char *what, struct err *e)
{
	const struct db_fact *f;
	struct odbc_diag d;
	enum rc rc;

	odbc_diag_read(type, handle, &d);
	f = odbc_fact(s->product_id, &d, false);
	/* Asking costs a round trip with some drivers, so only where the answer can matter. */
	if ((f->rc == RC_CONFIG || f->rc == RC_BUG) && is_dead(s))
		f = odbc_fact(s->product_id, &d, true);
	rc = tx_failed(&s->tx, call, f->rc);
	if (rc == RC_AGAIN && s->tx.open) {
		s->tx.open = false;
		if (!end_by_rollback(s)) {
			s->tx.lost = true;
			rc = RC_LOST;
		}
	}
	return db_err(e, rc, f, d.native, d.sqlstate, where, what, odbc_plain_text(&d));
}

static enum rc
stmt_failed(struct db_stmt *st, enum tx_call call, const char *where, struct err *e)
{
	return failed(st->s, SQL_HANDLE_STMT, st->h, call, where, st->sql->name, e);
}

/* ---- sessions ---- */

static enum rc
process_init(struct err *e)
{
	/* psqlODBC takes the encoding of its connections from this, and without it from the locale:
	 * a service started with LANG=C or a Korean one would send garbled texts. */
	if (setenv("PGCLIENTENCODING", "UTF8", 1) != 0)
		return err_set(e, RC_NOMEM, errno, "odbc.process_init", "out of memory");
	return RC_OK;
}

static void
process_fini(void)
{
}

/* Appends ";KEY=value" or ";KEY={value}". psqlODBC decodes %20 and + in a password without braces,
 * and takes braces round a user's name for a part of it. */
static bool
append_value(char *conn, size_t size, const char *key, const char *value, bool plain)
{
	size_t n = strlen(conn);
	int put = snprintf(conn + n, size - n, ";%s=%s", key, plain ? value : "{");

	if (put < 0 || (size_t)put >= size - n)
		return false;
	if (plain)
		return true;
	n += (size_t)put;
	for (; *value != '\0'; value++) {
		if (n + 4 > size)
			return false;
		conn[n++] = *value;
		if (*value == '}')
			conn[n++] = '}';
	}
	conn[n++] = '}';
	conn[n] = '\0';
	return true;
}

/* Writes the whole connection string into conn. The DSN or driver stays in front, as it must.
 * Timeout is SQLite's time to wait for a lock, which would be 100 s. */
static bool
build_connection(char *conn, size_t size, const struct db_params *p, const char *keywords)
{
	unsigned wait_ms = p->statement_timeout_ms != 0 ? p->statement_timeout_ms : DEFAULT_WAIT_MS;
	size_t n = strlen(p->connection);
	int put;

	while (n > 0 && p->connection[n - 1] == ';')
		n--;
	if (strstr(keywords, "SyncPragma") != NULL)
		put = snprintf(conn, size, "%.*s;%s;Timeout=%u", (int)n, p->connection, keywords,
			       wait_ms);
	else
		put = snprintf(conn, size, "%.*s%s%s", (int)n, p->connection,
			       keywords[0] != '\0' ? ";" : "", keywords);
	if (put < 0 || (size_t)put >= size)
		return false;
	if (p->user != NULL && p->user[0] != '\0' &&
	    !append_value(conn, size, "UID", p->user, strpbrk(p->user, ";{}") == NULL))
		return false;
	return p->password == NULL || p->password[0] == '\0' ||
	       append_value(conn, size, "PWD", p->password, false);
}

/* A driver may quote its connection string. */
static void
hide_password(char *text, const char *password)
{
	size_t n = password != NULL ? strlen(password) : 0;
	char *at;

	while (n > 0 && (at = strstr(text, password)) != NULL) {
		memset(at, '*', n);
		/* "*" as a password would be found for ever. */
		if (strspn(password, "*") == n)
			break;
	}
}

/* A memset() of what is not read again would be left out. */
static void
wipe(volatile char *p, size_t n)
{
	while (n-- > 0)
		*p++ = 0;
}

static enum rc
connect_once(struct db_session *s, const struct db_params *p, const char *keywords, struct err *e)
{
	unsigned connect_s = db_whole_seconds(p->connect_timeout_ms);
	char conn[CONNECTION_BYTES];
	const struct db_fact *f;
	struct odbc_diag d;
	SQLRETURN ret;

	if (!SQL_SUCCEEDED(SQLAllocHandle(SQL_HANDLE_DBC, s->env, &s->dbc)))
		return err_set(e, RC_NOMEM, 0, "odbc.open", "no memory for a session");
	if (!build_connection(conn, sizeof conn, p, keywords))
		return err_set(e, RC_CONFIG, 0, "odbc.open",
			       "database.connection is longer than %d bytes", CONNECTION_BYTES - 1);
	if (connect_s != 0)
		SQLSetConnectAttr(s->dbc, SQL_ATTR_LOGIN_TIMEOUT, (SQLPOINTER)(uintptr_t)connect_s,
				  0);
	/* Drivers without such a time-out refuse it, some with a warning only; the lane's watch
	 * stands behind. */
	if (s->timeout_s != 0)
		SQLSetConnectAttr(s->dbc, SQL_ATTR_CONNECTION_TIMEOUT,
				  (SQLPOINTER)(uintptr_t)(s->timeout_s + 2), 0);
	ret = SQLDriverConnect(s->dbc, NULL, (SQLCHAR *)conn, SQL_NTS, NULL, 0, NULL,
			       SQL_DRIVER_NOPROMPT);
	wipe(conn, sizeof conn);
	if (SQL_SUCCEEDED(ret))
		return RC_OK;
	odbc_diag_read(SQL_HANDLE_DBC, s->dbc, &d);
	hide_password(d.text, p->password);
	f = odbc_connect_fact(&d);
	SQLFreeHandle(SQL_HANDLE_DBC, s->dbc);
	s->dbc = SQL_NULL_HDBC;
	return db_err(e, f->rc, f, d.native, d.sqlstate, "odbc.open", "connecting to the database",
		      odbc_plain_text(&d));
}

/* SQLite's driver refuses to disconnect while a transaction is open. */
static void
disconnect(struct db_session *s)
{
	if (s->dbc == SQL_NULL_HDBC)
		return;
	if (!SQL_SUCCEEDED(SQLDisconnect(s->dbc))) {
		(void)end_by_rollback(s);
		SQLDisconnect(s->dbc);
	}
	SQLFreeHandle(SQL_HANDLE_DBC, s->dbc);
	s->dbc = SQL_NULL_HDBC;
}

/* "" when text names no driver of the table. */
static const char *
find_needs(const char *text)
{
	for (size_t i = 0; i < sizeof driver_needs / sizeof driver_needs[0]; i++) {
		if (strcasestr(text, driver_needs[i].library) != NULL ||
		    strcasestr(text, driver_needs[i].name) != NULL)
			return driver_needs[i].keywords;
	}
	return "";
}

static void
get_info(struct db_session *s, SQLUSMALLINT what, char *buf, size_t size)
{
	SQLSMALLINT len;

	buf[0] = '\0';
	if (!SQL_SUCCEEDED(SQLGetInfo(s->dbc, what, buf, (SQLSMALLINT)size, &len)))
		buf[0] = '\0';
}

/* "10.11.000019" is 10.11.19, and psqlODBC says 15.0.18 for 15.18. libsqliteodbc tells the SQLite
 * that it was compiled with, not the one that runs. */
static void
plain_version(char *out, size_t size, const char *name, const char *version,
	      enum odbc_product product)
{
	unsigned a = 0, b = 0, c = 0;

	if (product == ODBC_SQLITE)
		snprintf(out, size, "%s", name);
	else if (sscanf(version, "%u.%u.%u", &a, &b, &c) != 3)
		snprintf(out, size, "%s %s", name, version);
	else if (product == ODBC_POSTGRESQL && a >= 10 && b == 0)
		snprintf(out, size, "%s %u.%u", name, a, c);
	else
		snprintf(out, size, "%s %u.%u.%u", name, a, b, c);
}

static void
learn_product(struct db_session *s)
{
	char name[64], version[32];
	SQLUINTEGER ext = 0;

	get_info(s, SQL_DBMS_NAME, name, sizeof name);
	get_info(s, SQL_DBMS_VER, version, sizeof version);
	s->product_id = odbc_product_find(name);
	plain_version(s->product, sizeof s->product, name, version, s->product_id);
	if (SQL_SUCCEEDED(SQLGetInfo(s->dbc, SQL_GETDATA_EXTENSIONS, &ext, sizeof ext, NULL)))
		s->can_refetch = (ext & SQL_GD_BOUND) != 0 && (ext & SQL_GD_ANY_ORDER) != 0;
}

static enum rc
alloc_stmt(struct db_session *s, SQLHSTMT *h, const char *where, const char *what, struct err *e)
{
	if (!SQL_SUCCEEDED(SQLAllocHandle(SQL_HANDLE_STMT, s->dbc, h)))
		return failed(s, SQL_HANDLE_DBC, s->dbc, TX_READ, where, what, e);
	/* What the server was told once need not be said with every statement. */
	if (s->timeout_s != 0 && s->product_id == ODBC_OTHER)
		SQLSetStmtAttr(*h, SQL_ATTR_QUERY_TIMEOUT, (SQLPOINTER)(uintptr_t)s->timeout_s, 0);
	return RC_OK;
}

static enum rc
run_text(struct db_session *s, const char *text, enum tx_call call, const char *where,
	 const char *what, struct err *e)
{
	SQLHSTMT h;
	SQLRETURN ret;
	enum rc rc;

	rc = alloc_stmt(s, &h, where, what, e);
	if (rc != RC_OK)
		return rc;
	set_running(s, h);
	ret = SQLExecDirect(h, (SQLCHAR *)(uintptr_t)text, SQL_NTS);
	set_running(s, SQL_NULL_HSTMT);
	if (!SQL_SUCCEEDED(ret) && ret != SQL_NO_DATA)
		rc = failed(s, SQL_HANDLE_STMT, h, call, where, what, e);
	SQLFreeHandle(SQL_HANDLE_STMT, h);
	return rc;
}

static enum rc
set_limits(struct db_session *s, unsigned timeout_ms, struct err *e)
{
	char text[80];

	for (unsigned i = 0;
	     db_limit_text(odbc_dialect(s->product_id), i, timeout_ms, text, sizeof text); i++) {
		enum rc rc = run_text(s, text, TX_READ, "odbc.open", "setting the time-outs", e);

		if (rc != RC_OK && rc != RC_CONFIG)
			return rc;
	}
	return RC_OK;
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
	if (st->h != SQL_NULL_HSTMT)
		SQLFreeHandle(SQL_HANDLE_STMT, st->h);
	for (unsigned c = 0; st->cells != NULL && c < st->ncols; c++)
		free(st->cells[c].buf);
	free(st->cells);
	free(st->arg_inds);
	free(st);
}

static void
close_session(struct db_session *s)
{
	if (s == NULL)
		return;
	while (s->stmts != NULL)
		finish(s->stmts);
	if (s->tx.open && !s->tx.lost)
		(void)end_by_rollback(s);
	disconnect(s);
	if (s->env != SQL_NULL_HENV)
		SQLFreeHandle(SQL_HANDLE_ENV, s->env);
	if (s->canceller != NULL)
		canceller_drop(s->canceller);
	free(s);
}

static enum rc
open_session(const struct db_params *p, struct db_session **out, struct err *e)
{
	struct db_session *s;
	char driver_name[64];
	const char *needs, *guess;
	enum rc rc;

	if (p->connection == NULL || p->connection[0] == '\0')
		return err_set(
			e, RC_CONFIG, 0, "odbc.open",
			"database.connection is empty; write \"DSN=...\" or \"Driver=...;...\"");
	s = calloc(1, sizeof *s);
	if (s == NULL)
		return err_set(e, RC_NOMEM, 0, "odbc.open", "no memory for a session");
	s->timeout_s = db_whole_seconds(p->statement_timeout_ms);
	s->canceller = canceller_new();
	if (s->canceller == NULL ||
	    !SQL_SUCCEEDED(SQLAllocHandle(SQL_HANDLE_ENV, SQL_NULL_HANDLE, &s->env))) {
		rc = err_set(e, RC_NOMEM, 0, "odbc.open", "no memory for a session");
		goto out;
	}
	SQLSetEnvAttr(s->env, SQL_ATTR_ODBC_VERSION, (SQLPOINTER)SQL_OV_ODBC3, 0);
	guess = find_needs(p->connection);
	rc = connect_once(s, p, guess, e);
	if (rc != RC_OK)
		goto out;
	/* Which driver stands behind a DSN is known only now, and only now what it must be told. */
	get_info(s, SQL_DRIVER_NAME, driver_name, sizeof driver_name);
	needs = find_needs(driver_name);
	if (strcmp(needs, guess) != 0) {
		disconnect(s);
		rc = connect_once(s, p, needs, e);
		if (rc != RC_OK)
			goto out;
	}
	learn_product(s);
	rc = set_limits(s, p->statement_timeout_ms, e);
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
	return odbc_dialect(s->product_id);
}

static const char *
product(const struct db_session *s)
{
	return s->product;
}

static unsigned
caps(const struct db_session *s)
{
	return s->product_id != ODBC_OTHER ? DB_CAP_CANCEL : 0;
}

/* ---- transactions ---- */

static enum rc
exec_text(struct db_session *s, const char *sql, struct err *e)
{
	enum rc rc = tx_check_call(&s->tx, "odbc.exec_text", e);

	if (rc != RC_OK)
		return rc;
	return run_text(s, sql, TX_WRITE, "odbc.exec_text", "statement", e);
}

static enum rc
begin(struct db_session *s, struct err *e)
{
	enum rc rc = tx_check_begin(&s->tx, "odbc.begin", e);

	if (rc != RC_OK)
		return rc;
	if (s->product_id == ODBC_SQLITE)
		rc = run_text(s, "BEGIN IMMEDIATE", TX_READ, "odbc.begin", "begin", e);
	else if (!SQL_SUCCEEDED(SQLSetConnectAttr(s->dbc, SQL_ATTR_AUTOCOMMIT,
						  (SQLPOINTER)SQL_AUTOCOMMIT_OFF, 0)))
		rc = failed(s, SQL_HANDLE_DBC, s->dbc, TX_READ, "odbc.begin", "begin", e);
	if (rc == RC_OK)
		s->tx.open = true;
	return rc;
}

static void
rollback(struct db_session *s)
{
	if (s->tx.open && !s->tx.lost && !end_by_rollback(s))
		s->tx.lost = true;
	s->tx.open = s->tx.failed = false;
}

static enum rc
commit(struct db_session *s, struct err *e)
{
	enum rc rc = tx_check_commit(&s->tx, "odbc.commit", e);

	if (rc != RC_OK)
		return rc;
	if (s->product_id == ODBC_SQLITE) {
		rc = run_text(s, "COMMIT", TX_COMMIT, "odbc.commit", "commit", e);
		if (rc == RC_OK)
			s->tx.open = false;
		return rc;
	}
	if (!SQL_SUCCEEDED(SQLEndTran(SQL_HANDLE_DBC, s->dbc, SQL_COMMIT)))
		return failed(s, SQL_HANDLE_DBC, s->dbc, TX_COMMIT, "odbc.commit", "commit", e);
	s->tx.open = false;
	/* The commit stands; a session that cannot go on says so at its next call. */
	if (!SQL_SUCCEEDED(SQLSetConnectAttr(s->dbc, SQL_ATTR_AUTOCOMMIT,
					     (SQLPOINTER)SQL_AUTOCOMMIT_ON, 0)))
		s->tx.lost = true;
	return RC_OK;
}

/* ---- statements ---- */

static bool
cell_resize(struct cell *cell, size_t size)
{
	char *buf = realloc(cell->buf, size);

	if (buf == NULL)
		return false;
	cell->buf = buf;
	cell->size = size;
	return true;
}

static SQLSMALLINT
cell_type(const struct db_stmt *st, unsigned c)
{
	switch (st->sql->cols[c]) {
	case 'i':
		return SQL_C_SBIGINT;
	case 't':
		return SQL_C_CHAR;
	default:
		return SQL_C_BINARY;
	}
}

static bool
bind_cell(struct db_stmt *st, unsigned c)
{
	struct cell *cell = &st->cells[c];

	if (!st->s->can_refetch)
		return true;
	if (st->sql->cols[c] == 'i')
		return SQL_SUCCEEDED(SQLBindCol(st->h, (SQLUSMALLINT)(c + 1), SQL_C_SBIGINT,
						&cell->i, sizeof cell->i, &cell->ind));
	return SQL_SUCCEEDED(SQLBindCol(st->h, (SQLUSMALLINT)(c + 1), cell_type(st, c), cell->buf,
					(SQLLEN)cell->size, &cell->ind));
}

static enum rc
prepare(struct db_session *s, const struct db_sql *sql, struct db_stmt **out, struct err *e)
{
	struct db_stmt *st;
	enum rc rc;

	rc = tx_check_call(&s->tx, "odbc.prepare", e);
	if (rc != RC_OK)
		return rc;
	st = calloc(1, sizeof *st);
	if (st == NULL)
		return err_set(e, RC_NOMEM, 0, "odbc.prepare", "%s: no memory", sql->name);
	st->s = s;
	st->sql = sql;
	st->h = SQL_NULL_HSTMT;
	st->ncols = (unsigned)strlen(sql->cols);
	st->next = s->stmts;
	s->stmts = st;
	st->cells = calloc(st->ncols + 1, sizeof *st->cells);
	st->arg_inds = calloc(sql->nargs + 1, sizeof *st->arg_inds);
	if (st->cells == NULL || st->arg_inds == NULL)
		goto nomem;
	for (unsigned c = 0; c < st->ncols; c++) {
		if (sql->cols[c] != 'i' && !cell_resize(&st->cells[c], CELL_BYTES))
			goto nomem;
	}
	rc = alloc_stmt(s, &st->h, "odbc.prepare", sql->name, e);
	if (rc != RC_OK)
		goto out;
	if (!SQL_SUCCEEDED(SQLPrepare(st->h, (SQLCHAR *)(uintptr_t)sql->text, SQL_NTS))) {
		rc = stmt_failed(st, TX_READ, "odbc.prepare", e);
		goto out;
	}
	for (unsigned c = 0; c < st->ncols; c++) {
		if (!bind_cell(st, c)) {
			rc = stmt_failed(st, TX_READ, "odbc.prepare", e);
			goto out;
		}
	}
out:
	if (rc != RC_OK) {
		finish(st);
		return rc;
	}
	*out = st;
	return RC_OK;
nomem:
	finish(st);
	return err_set(e, RC_NOMEM, 0, "odbc.prepare", "%s: no memory", sql->name);
}

static void
reset(struct db_stmt *st)
{
	if (!st->has_rows)
		return;
	SQLFreeStmt(st->h, SQL_CLOSE);
	st->has_rows = false;
	for (unsigned c = 0; c < st->ncols; c++) {
		if (st->cells[c].size > CELL_KEEP_BYTES && cell_resize(&st->cells[c], CELL_BYTES))
			(void)bind_cell(st, c);
	}
}

static SQLRETURN
bind_arg(struct db_stmt *st, unsigned a, const struct db_value *v)
{
	SQLUSMALLINT at = (SQLUSMALLINT)(a + 1);
	SQLPOINTER p = (SQLPOINTER)(uintptr_t)(v->p != NULL ? v->p : "");
	SQLULEN size = v->n > 0 ? v->n : 1;

	st->arg_inds[a] = (SQLLEN)v->n;
	switch (v->type) {
	case DB_NULL:
		st->arg_inds[a] = SQL_NULL_DATA;
		return SQLBindParameter(st->h, at, SQL_PARAM_INPUT, SQL_C_CHAR, SQL_VARCHAR, 1, 0,
					p, 0, &st->arg_inds[a]);
	case DB_INT:
		st->arg_inds[a] = 0;
		return SQLBindParameter(st->h, at, SQL_PARAM_INPUT, SQL_C_SBIGINT, SQL_BIGINT, 0, 0,
					(SQLPOINTER)(uintptr_t)&v->i, 0, &st->arg_inds[a]);
	case DB_TEXT:
		return SQLBindParameter(st->h, at, SQL_PARAM_INPUT, SQL_C_CHAR, SQL_VARCHAR, size,
					0, p, (SQLLEN)v->n, &st->arg_inds[a]);
	case DB_BLOB:
		return SQLBindParameter(st->h, at, SQL_PARAM_INPUT, SQL_C_BINARY, SQL_VARBINARY,
					size, 0, p, (SQLLEN)v->n, &st->arg_inds[a]);
	}
	return SQL_ERROR;
}

/* SQL_NO_DATA is what an UPDATE that matched nothing, or RETURNING without a row, answers: no
 * error, and no cursor. */
static enum rc
execute(struct db_stmt *st, const struct db_value *args, int64_t *affected, struct err *e)
{
	enum tx_call call = st->sql->is_write ? TX_WRITE : TX_READ;
	SQLSMALLINT ncols = 0;
	SQLLEN count = 0;
	SQLRETURN ret;

	for (unsigned a = 0; a < st->sql->nargs; a++) {
		if (!SQL_SUCCEEDED(bind_arg(st, a, &args[a])))
			return stmt_failed(st, TX_READ, "odbc.exec", e);
	}
	set_running(st->s, st->h);
	ret = SQLExecute(st->h);
	set_running(st->s, SQL_NULL_HSTMT);
	if (!SQL_SUCCEEDED(ret) && ret != SQL_NO_DATA)
		return stmt_failed(st, call, "odbc.exec", e);
	if (st->ncols == 0) {
		if (ret != SQL_NO_DATA && !SQL_SUCCEEDED(SQLRowCount(st->h, &count)))
			return stmt_failed(st, call, "odbc.exec", e);
		if (affected != NULL)
			*affected = ret == SQL_NO_DATA ? 0 : (int64_t)count;
		return RC_OK;
	}
	if (affected != NULL)
		*affected = -1;
	st->has_rows = ret != SQL_NO_DATA;
	if (!st->has_rows)
		return RC_OK;
	if (!SQL_SUCCEEDED(SQLNumResultCols(st->h, &ncols)))
		return stmt_failed(st, call, "odbc.exec", e);
	if (ncols != (SQLSMALLINT)st->ncols) {
		st->s->tx.failed = st->s->tx.open;
		return err_set(e, RC_BUG, 0, "odbc.exec", "%s has %d columns, described are %u",
			       st->sql->name, ncols, st->ncols);
	}
	return RC_OK;
}

static enum rc
exec(struct db_stmt *st, const struct db_value *args, int64_t *affected, struct err *e)
{
	enum rc rc = tx_check_call(&st->s->tx, "odbc.exec", e);

	if (rc != RC_OK)
		return rc;
	reset(st);
	return execute(st, args, affected, e);
}

/* A loop on every driver: none of the three tells the count of each row of a parameter array. */
static enum rc
exec_many(struct db_stmt *st, const struct db_value *args, size_t nrows, int64_t *affected,
	  struct err *e)
{
	enum rc rc = tx_check_call(&st->s->tx, "odbc.exec_many", e);

	if (rc != RC_OK)
		return rc;
	if (!st->s->tx.open || st->ncols != 0)
		return err_set(e, RC_BUG, 0, "odbc.exec_many",
			       "%s: many rows need a transaction and a statement without columns",
			       st->sql->name);
	for (size_t r = 0; r < nrows; r++) {
		rc = exec(st, args + r * st->sql->nargs, affected != NULL ? &affected[r] : NULL, e);
		if (rc != RC_OK) {
			if (e != NULL)
				e->native = (int)r;
			return rc;
		}
	}
	return RC_OK;
}

/* Reads the whole of a column that did not fit its buffer, or was not bound. */
static enum rc
refetch(struct db_stmt *st, unsigned c, struct err *e)
{
	struct cell *cell = &st->cells[c];
	/* Texts come with a NUL, to bytes take_cell() adds one: room for it is kept in both. */
	size_t own_nul = st->sql->cols[c] == 't' ? 0 : 1, have = 0;

	if (st->sql->cols[c] == 'i') {
		if (!SQL_SUCCEEDED(SQLGetData(st->h, (SQLUSMALLINT)(c + 1), SQL_C_SBIGINT, &cell->i,
					      sizeof cell->i, &cell->ind)))
			return stmt_failed(st, TX_READ, "odbc.fetch", e);
		return RC_OK;
	}
	if (st->s->can_refetch && cell->ind >= 0 && !cell_resize(cell, (size_t)cell->ind + 2))
		goto nomem;
	for (;;) {
		SQLLEN left = 0;
		SQLRETURN ret =
			SQLGetData(st->h, (SQLUSMALLINT)(c + 1), cell_type(st, c), cell->buf + have,
				   (SQLLEN)(cell->size - have - own_nul), &left);

		if (ret == SQL_NO_DATA)
			break;
		if (!SQL_SUCCEEDED(ret))
			return stmt_failed(st, TX_READ, "odbc.fetch", e);
		if (left == SQL_NULL_DATA) {
			cell->ind = SQL_NULL_DATA;
			return RC_OK;
		}
		if (left != SQL_NO_TOTAL && (size_t)left < cell->size - have) {
			have += (size_t)left;
			break;
		}
		/* Cut: the buffer is full but for the NUL. left counts from the start of this
		 * piece. */
		have = cell->size - 1;
		if (!cell_resize(cell,
				 left == SQL_NO_TOTAL ? cell->size * 2 : have + (size_t)left + 2))
			goto nomem;
	}
	cell->ind = (SQLLEN)have;
	return RC_OK;
nomem:
	return err_set(e, RC_NOMEM, 0, "odbc.fetch", "%s: no memory for column %u", st->sql->name,
		       c + 1);
}

static enum rc
take_cell(struct db_stmt *st, unsigned c, struct db_value *v, struct err *e)
{
	struct cell *cell = &st->cells[c];
	bool is_int = st->sql->cols[c] == 'i';
	enum rc rc = RC_OK;

	/* A buffer that is filled to the last byte has no room for our NUL. */
	if (!st->s->can_refetch || (!is_int && cell->ind != SQL_NULL_DATA &&
				    (cell->ind < 0 || (size_t)cell->ind >= cell->size)))
		rc = refetch(st, c, e);
	memset(v, 0, sizeof *v);
	if (rc != RC_OK || cell->ind == SQL_NULL_DATA)
		return rc;
	if (is_int) {
		v->type = DB_INT;
		v->i = cell->i;
		return RC_OK;
	}
	cell->buf[cell->ind] = '\0';
	v->type = st->sql->cols[c] == 't' ? DB_TEXT : DB_BLOB;
	v->p = cell->buf;
	v->n = (size_t)cell->ind;
	return RC_OK;
}

/* Buffers that grew are bound in their new size before the next row. */
static enum rc
fetch(struct db_stmt *st, struct db_value *cols, bool *more, struct err *e)
{
	enum rc rc = RC_OK;
	SQLRETURN ret;

	*more = false;
	if (!st->has_rows)
		return RC_OK;
	for (unsigned c = 0; c < st->ncols; c++) {
		st->cells[c].ind = 0;
		if (st->cells[c].size > CELL_BYTES && !bind_cell(st, c))
			return stmt_failed(st, TX_READ, "odbc.fetch", e);
	}
	set_running(st->s, st->h);
	ret = SQLFetch(st->h);
	set_running(st->s, SQL_NULL_HSTMT);
	if (ret == SQL_NO_DATA) {
		reset(st);
		return RC_OK;
	}
	if (!SQL_SUCCEEDED(ret))
		return stmt_failed(st, TX_READ, "odbc.fetch", e);
	for (unsigned c = 0; rc == RC_OK && c < st->ncols; c++)
		rc = take_cell(st, c, &cols[c], e);
	*more = rc == RC_OK;
	return rc;
}

const struct db_driver db_odbc = {
	.name = "odbc",
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
