/* mysql.c - the database contract over libmysqlclient and MariaDB Connector/C.
 *
 * DIAGNOSTICS. Numbers become classes by errors_mysql.def. A read time-out of the client library
 * closes the connection, so it is RC_LOST or RC_UNSURE. Rows are taken from the server as a whole
 * at exec(), so fetch() only fails for memory or for a value that does not fit.
 * cancel() shuts the socket down: it works while the server does not answer, never blocks, and
 * needs no second login, which KILL QUERY would. The price is the session. */
#include "config.h"
#include <errmsg.h>
#include <mysql.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "drivers/db/db.h"
#include "drivers/db/errmap.h"
#include "drivers/db/limits.h"
#include "drivers/db/tx.h"

extern const struct db_driver db_mysql;

/* MySQL 8 removed my_bool, MariaDB kept it. */
#ifdef HAVE_MY_BOOL
#define MYSQL_BOOL my_bool
#else
#define MYSQL_BOOL bool
#endif

/* First size of a text column's buffer; what grew beyond the second is given back by reset(). */
#define CELL_BYTES 256
#define CELL_KEEP_BYTES (64 * 1024)
/* One bulk packet: well below the smallest max_allowed_packet in use (1 MiB in MySQL 5.5). */
#define BULK_BYTES (512 * 1024)
#define BULK_ROWS 1000
#define SAVEPOINT "mtrelay_many"

struct cell {
	int64_t i;
	char *buf;
	size_t size;
	unsigned long len;
	MYSQL_BOOL is_null;
	MYSQL_BOOL error;
};

struct db_stmt {
	struct db_session *s;
	struct db_stmt *next;
	const struct db_sql *sql;
	MYSQL_STMT *h;
	MYSQL_BIND *in;
	MYSQL_BIND *out;
	struct cell *cells;
	unsigned ncols;
	bool has_rows;
};

struct db_session {
	MYSQL *my;
	struct tx tx;
	struct db_stmt *stmts;
	bool has_bulk;
	char product[80];
};

/* libmysqlclient keeps thread-local memory that is freed with the last session of a thread. */
static _Thread_local unsigned thread_sessions;

static enum rc
process_init(struct err *e)
{
	if (mysql_library_init(0, NULL, NULL) != 0)
		return err_set(e, RC_NOMEM, 0, "mysql.init",
			       "the MySQL client library could not be initialised");
	return RC_OK;
}

static void
process_fini(void)
{
	mysql_library_end();
}

/* Turns the library's error into ours. what names the statement or the step. */
static enum rc
failed(struct db_session *s, enum tx_call call, int native, const char *sqlstate,
       const char *message, const char *where, const char *what, struct err *e)
{
	const struct db_fact *f = db_fact_mysql(native, sqlstate);
	enum rc rc = f->rc;

	/* Later than the handshake a TLS error is a cut connection, not a matter for the
	 * operator. */
	if (native == CR_SSL_CONNECTION_ERROR)
		rc = RC_LOST;
	rc = tx_failed(&s->tx, call, rc);
	/* A lock time-out (1205) undoes its statement only: the rest would be kept by a COMMIT. */
	if (rc == RC_AGAIN && s->tx.open) {
		s->tx.open = false;
		if (mysql_real_query(s->my, "ROLLBACK", 8) != 0) {
			s->tx.lost = true;
			rc = RC_LOST;
		}
	}
	return db_err(e, rc, f, native, sqlstate, where, what, message);
}

static enum rc
my_failed(struct db_session *s, enum tx_call call, const char *where, const char *what,
	  struct err *e)
{
	char message[MYSQL_ERRMSG_SIZE], state[SQLSTATE_LENGTH + 1];

	/* The library overwrites both with the ROLLBACK. */
	snprintf(message, sizeof message, "%s", mysql_error(s->my));
	snprintf(state, sizeof state, "%s", mysql_sqlstate(s->my));
	return failed(s, call, (int)mysql_errno(s->my), state, message, where, what, e);
}

static enum rc
stmt_failed(struct db_stmt *st, enum tx_call call, const char *where, struct err *e)
{
	char message[MYSQL_ERRMSG_SIZE], state[SQLSTATE_LENGTH + 1];

	snprintf(message, sizeof message, "%s", mysql_stmt_error(st->h));
	snprintf(state, sizeof state, "%s", mysql_stmt_sqlstate(st->h));
	return failed(st->s, call, (int)mysql_stmt_errno(st->h), state, message, where,
		      st->sql->name, e);
}

static enum rc
run_text(struct db_session *s, const char *text, enum tx_call call, const char *where,
	 const char *what, struct err *e)
{
	MYSQL_RES *res;

	if (mysql_real_query(s->my, text, (unsigned long)strlen(text)) != 0)
		return my_failed(s, call, where, what, e);
	res = mysql_store_result(s->my);
	if (res != NULL)
		mysql_free_result(res);
	else if (mysql_errno(s->my) != 0)
		return my_failed(s, call, where, what, e);
	return RC_OK;
}

/* The two libraries say "encrypted" and "encrypted, and it is the right server" by different
 * options. */
#if defined HAVE_DECL_MYSQL_OPT_SSL_MODE && HAVE_DECL_MYSQL_OPT_SSL_MODE
static int
set_tls_mode(MYSQL *my, enum db_tls tls)
{
	unsigned mode = SSL_MODE_VERIFY_IDENTITY;

	if (tls != DB_TLS_VERIFY)
		mode = tls == DB_TLS_ON ? SSL_MODE_REQUIRED : SSL_MODE_DISABLED;
	return mysql_options(my, MYSQL_OPT_SSL_MODE, &mode);
}
#else
static int
set_tls_mode(MYSQL *my, enum db_tls tls)
{
	MYSQL_BOOL enforce = tls != DB_TLS_OFF;
	MYSQL_BOOL verify = tls == DB_TLS_VERIFY;

	return mysql_options(my, MYSQL_OPT_SSL_ENFORCE, &enforce) != 0 ||
	       mysql_options(my, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify) != 0;
}
#endif

static int
set_tls(MYSQL *my, const struct db_params *p)
{
	if (p->tls == DB_TLS_OFF)
		return set_tls_mode(my, p->tls);
	if (mysql_options(my, MYSQL_OPT_TLS_VERSION, "TLSv1.2,TLSv1.3") != 0)
		return 1;
	/* With a CA file MySQL's client verifies the chain even where only encryption was asked
	 * for. */
	if (p->tls == DB_TLS_VERIFY && p->ca_file != NULL &&
	    mysql_options(my, MYSQL_OPT_SSL_CA, p->ca_file) != 0)
		return 1;
	if (p->cert_file != NULL && mysql_options(my, MYSQL_OPT_SSL_CERT, p->cert_file) != 0)
		return 1;
	if (p->key_file != NULL && mysql_options(my, MYSQL_OPT_SSL_KEY, p->key_file) != 0)
		return 1;
	return set_tls_mode(my, p->tls);
}

static int
set_options(MYSQL *my, const struct db_params *p)
{
	unsigned connect_s = db_whole_seconds(p->connect_timeout_ms);
	/* Behind the server's own limit, so that a slow statement ends with an answer where the
	 * server knows how. */
	unsigned io_s =
		p->statement_timeout_ms == 0 ? 0 : db_whole_seconds(p->statement_timeout_ms) + 2;
	unsigned protocol = p->socket != NULL ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP;
	unsigned off = 0;

	if (connect_s != 0 && mysql_options(my, MYSQL_OPT_CONNECT_TIMEOUT, &connect_s) != 0)
		return 1;
	if (io_s != 0 && (mysql_options(my, MYSQL_OPT_READ_TIMEOUT, &io_s) != 0 ||
			  mysql_options(my, MYSQL_OPT_WRITE_TIMEOUT, &io_s) != 0))
		return 1;
	if ((p->socket != NULL || p->host != NULL) &&
	    mysql_options(my, MYSQL_OPT_PROTOCOL, &protocol) != 0)
		return 1;
	/* A server must not be able to ask for our files. */
	if (mysql_options(my, MYSQL_OPT_LOCAL_INFILE, &off) != 0)
		return 1;
	if (mysql_options(my, MYSQL_SET_CHARSET_NAME, "utf8mb4") != 0)
		return 1;
	return set_tls(my, p);
}

static enum rc
set_limits(struct db_session *s, unsigned timeout_ms, struct err *e)
{
	char text[80];

	for (unsigned i = 0; db_limit_text("mysql", i, timeout_ms, text, sizeof text); i++) {
		enum rc rc = run_text(s, text, TX_READ, "mysql.open", "setting the time-outs", e);

		if (rc != RC_OK && rc != RC_CONFIG)
			return rc;
	}
	return RC_OK;
}

#if defined HAVE_DECL_STMT_ATTR_ARRAY_SIZE && HAVE_DECL_STMT_ATTR_ARRAY_SIZE
static bool
find_bulk(MYSQL *my)
{
	unsigned caps = 0;

	return mariadb_get_infov(my, MARIADB_CONNECTION_EXTENDED_SERVER_CAPABILITIES, &caps) == 0 &&
	       (caps & (unsigned)(MARIADB_CLIENT_STMT_BULK_OPERATIONS >> 32)) != 0;
}
#else
static bool
find_bulk(MYSQL *my)
{
	(void)my;
	return false;
}
#endif

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
	if (st->h != NULL)
		mysql_stmt_close(st->h);
	for (unsigned c = 0; st->cells != NULL && c < st->ncols; c++)
		free(st->cells[c].buf);
	free(st->cells);
	free(st->out);
	free(st->in);
	free(st);
}

static void
close_session(struct db_session *s)
{
	if (s == NULL)
		return;
	while (s->stmts != NULL)
		finish(s->stmts);
	if (s->my != NULL) {
		mysql_close(s->my); /* the server rolls back */
		thread_sessions--;
		if (thread_sessions == 0)
			mysql_thread_end();
	}
	free(s);
}

static enum rc
open_session(const struct db_params *p, struct db_session **out, struct err *e)
{
	struct db_session *s = calloc(1, sizeof *s);
	const struct db_fact *f;
	const char *version;
	enum rc rc = RC_OK;

	if (s == NULL)
		return err_set(e, RC_NOMEM, 0, "mysql.open", "no memory for a session");
	s->my = mysql_init(NULL);
	if (s->my == NULL) {
		rc = err_set(e, RC_NOMEM, 0, "mysql.open", "no memory for a session");
		goto out;
	}
	thread_sessions++;
	if (set_options(s->my, p) != 0) {
		rc = err_set(e, RC_CONFIG, (int)mysql_errno(s->my), "mysql.open",
			     "the MySQL client library refused an option; check the database.tls "
			     "settings");
		goto out;
	}
	if (mysql_real_connect(s->my, p->socket != NULL ? NULL : p->host, p->user, p->password,
			       p->name, p->port, p->socket, CLIENT_FOUND_ROWS) == NULL) {
		f = db_fact_mysql((int)mysql_errno(s->my), mysql_sqlstate(s->my));
		rc = db_err(e, f->rc, f, (int)mysql_errno(s->my), mysql_sqlstate(s->my),
			    "mysql.open", "connecting to the database", mysql_error(s->my));
		goto out;
	}
	/* Old client libraries go on without encryption when the server offers none. */
	if (p->tls != DB_TLS_OFF && mysql_get_ssl_cipher(s->my) == NULL) {
		rc = err_set(e, RC_CONFIG, 0, "mysql.open",
			     "the database server offers no TLS; set it up there or set "
			     "database.tls = \"off\"");
		goto out;
	}
	version = mysql_get_server_info(s->my);
	snprintf(s->product, sizeof s->product, "%s %.*s",
		 strstr(version, "MariaDB") != NULL ? "MariaDB" : "MySQL",
		 (int)strcspn(version, "-"), version);
	s->has_bulk = find_bulk(s->my);
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
	(void)s;
	return "mysql";
}

static const char *
product(const struct db_session *s)
{
	return s->product;
}

static unsigned
caps(const struct db_session *s)
{
	return DB_CAP_CANCEL | (s->has_bulk ? (unsigned)DB_CAP_ARRAY : 0);
}

static enum rc
begin(struct db_session *s, struct err *e)
{
	enum rc rc = tx_check_begin(&s->tx, "mysql.begin", e);

	if (rc == RC_OK)
		rc = run_text(s, "START TRANSACTION", TX_READ, "mysql.begin", "begin", e);
	if (rc == RC_OK)
		s->tx.open = true;
	return rc;
}

static void
rollback(struct db_session *s)
{
	if (s->tx.open && !s->tx.lost &&
	    run_text(s, "ROLLBACK", TX_READ, "mysql.rollback", "rollback", NULL) != RC_OK)
		s->tx.lost = true;
	s->tx.open = s->tx.failed = false;
}

static enum rc
commit(struct db_session *s, struct err *e)
{
	enum rc rc = tx_check_commit(&s->tx, "mysql.commit", e);

	if (rc == RC_OK)
		rc = run_text(s, "COMMIT", TX_COMMIT, "mysql.commit", "commit", e);
	if (rc == RC_OK)
		s->tx.open = false;
	return rc;
}

static enum rc
exec_text(struct db_session *s, const char *sql, struct err *e)
{
	enum rc rc = tx_check_call(&s->tx, "mysql.exec_text", e);

	if (rc != RC_OK)
		return rc;
	return run_text(s, sql, TX_WRITE, "mysql.exec_text", "statement", e);
}

/* Text and bytes get a first buffer; what does not fit is fetched again by fetch(). */
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

static void
bind_cell(struct db_stmt *st, unsigned c)
{
	struct cell *cell = &st->cells[c];
	MYSQL_BIND *b = &st->out[c];

	memset(b, 0, sizeof *b);
	b->is_null = &cell->is_null;
	b->error = &cell->error;
	b->length = &cell->len;
	if (st->sql->cols[c] == 'i') {
		b->buffer_type = MYSQL_TYPE_LONGLONG;
		b->buffer = &cell->i;
		b->buffer_length = sizeof cell->i;
	} else {
		b->buffer_type = st->sql->cols[c] == 't' ? MYSQL_TYPE_STRING : MYSQL_TYPE_BLOB;
		b->buffer = cell->buf;
		b->buffer_length = (unsigned long)cell->size - 1; /* our NUL */
	}
}

static enum rc
prepare(struct db_session *s, const struct db_sql *sql, struct db_stmt **out, struct err *e)
{
	struct db_stmt *st;
	enum rc rc;

	rc = tx_check_call(&s->tx, "mysql.prepare", e);
	if (rc != RC_OK)
		return rc;
	st = calloc(1, sizeof *st);
	if (st == NULL)
		return err_set(e, RC_NOMEM, 0, "mysql.prepare", "%s: no memory", sql->name);
	st->s = s;
	st->sql = sql;
	st->ncols = (unsigned)strlen(sql->cols);
	st->next = s->stmts;
	s->stmts = st;
	st->h = mysql_stmt_init(s->my);
	st->in = calloc(sql->nargs + 1, sizeof *st->in);
	st->out = calloc(st->ncols + 1, sizeof *st->out);
	st->cells = calloc(st->ncols + 1, sizeof *st->cells);
	if (st->h == NULL || st->in == NULL || st->out == NULL || st->cells == NULL)
		goto nomem;
	for (unsigned c = 0; c < st->ncols; c++) {
		if (sql->cols[c] != 'i' && !cell_resize(&st->cells[c], CELL_BYTES))
			goto nomem;
		bind_cell(st, c);
	}
	if (mysql_stmt_prepare(st->h, sql->text, (unsigned long)strlen(sql->text)) != 0) {
		rc = stmt_failed(st, TX_READ, "mysql.prepare", e);
	} else if (mysql_stmt_param_count(st->h) != sql->nargs ||
		   mysql_stmt_field_count(st->h) != st->ncols) {
		rc = err_set(e, RC_BUG, 0, "mysql.prepare",
			     "%s has %lu arguments and %u columns, described are %u and %u",
			     sql->name, (unsigned long)mysql_stmt_param_count(st->h),
			     mysql_stmt_field_count(st->h), sql->nargs, st->ncols);
	}
	if (rc == RC_OK)
		*out = st;
	else
		finish(st);
	return rc;
nomem:
	finish(st);
	return err_set(e, RC_NOMEM, 0, "mysql.prepare", "%s: no memory", sql->name);
}

static void
reset(struct db_stmt *st)
{
	if (!st->has_rows)
		return;
	mysql_stmt_free_result(st->h);
	st->has_rows = false;
	for (unsigned c = 0; c < st->ncols; c++) {
		if (st->cells[c].size > CELL_KEEP_BYTES && cell_resize(&st->cells[c], CELL_BYTES))
			bind_cell(st, c);
	}
}

static void
bind_args(struct db_stmt *st, const struct db_value *args)
{
	memset(st->in, 0, st->sql->nargs * sizeof *st->in);
	for (unsigned a = 0; a < st->sql->nargs; a++) {
		MYSQL_BIND *b = &st->in[a];

		switch (args[a].type) {
		case DB_NULL:
			b->buffer_type = MYSQL_TYPE_NULL;
			break;
		case DB_INT:
			b->buffer_type = MYSQL_TYPE_LONGLONG;
			b->buffer = (void *)(uintptr_t)&args[a].i;
			b->buffer_length = sizeof args[a].i;
			break;
		case DB_TEXT:
		case DB_BLOB:
			b->buffer_type =
				args[a].type == DB_TEXT ? MYSQL_TYPE_STRING : MYSQL_TYPE_BLOB;
			b->buffer = (void *)(uintptr_t)(args[a].p != NULL ? args[a].p : "");
			b->buffer_length = (unsigned long)args[a].n;
			break;
		}
	}
}

/* The arguments are bound already, or there are none. */
static enum rc
execute(struct db_stmt *st, struct err *e)
{
	enum tx_call call = st->sql->is_write ? TX_WRITE : TX_READ;

	if (mysql_stmt_execute(st->h) != 0)
		return stmt_failed(st, call, "mysql.exec", e);
	if (st->ncols == 0)
		return RC_OK;
	st->has_rows = true;
	if (mysql_stmt_bind_result(st->h, st->out) != 0 || mysql_stmt_store_result(st->h) != 0)
		return stmt_failed(st, call, "mysql.exec", e);
	return RC_OK;
}

static enum rc
exec(struct db_stmt *st, const struct db_value *args, int64_t *affected, struct err *e)
{
	enum rc rc = tx_check_call(&st->s->tx, "mysql.exec", e);

	if (rc != RC_OK)
		return rc;
	reset(st);
	bind_args(st, args);
	if (st->sql->nargs != 0 && mysql_stmt_bind_param(st->h, st->in) != 0)
		return stmt_failed(st, TX_READ, "mysql.exec", e);
	rc = execute(st, e);
	if (rc == RC_OK && affected != NULL)
		*affected = st->ncols == 0 ? (int64_t)mysql_stmt_affected_rows(st->h) : -1;
	return rc;
}

static enum rc
exec_loop(struct db_stmt *st, const struct db_value *args, size_t nrows, int64_t *affected,
	  size_t first, struct err *e)
{
	for (size_t r = 0; r < nrows; r++) {
		enum rc rc = exec(st, args + r * st->sql->nargs,
				  affected != NULL ? &affected[r] : NULL, e);

		if (rc != RC_OK) {
			if (e != NULL)
				e->native = (int)(first + r);
			return rc;
		}
	}
	return RC_OK;
}

#if defined HAVE_DECL_STMT_ATTR_ARRAY_SIZE && HAVE_DECL_STMT_ATTR_ARRAY_SIZE
/* One column of a bulk: values, lengths and NULL marks side by side, as MariaDB's array binding
 * wants them. */
struct bulk_column {
	int64_t *ints;
	char **texts;
	unsigned long *lengths;
	char *marks;
};

static void
bulk_free(struct bulk_column *cols, unsigned n)
{
	for (unsigned a = 0; cols != NULL && a < n; a++) {
		free(cols[a].ints);
		free(cols[a].texts);
		free(cols[a].lengths);
		free(cols[a].marks);
	}
	free(cols);
}

/* The type that a column has in all rows; DB_NULL when it is NULL in all, false when the rows
 * differ. */
static bool
column_type(const struct db_value *args, size_t nrows, unsigned nargs, unsigned a,
	    enum db_type *type)
{
	*type = DB_NULL;
	for (size_t r = 0; r < nrows; r++) {
		enum db_type t = args[r * nargs + a].type;

		if (t == DB_NULL)
			continue;
		if (*type != DB_NULL && *type != t)
			return false;
		*type = t;
	}
	return true;
}

static bool
bulk_column_fill(struct bulk_column *col, MYSQL_BIND *b, const struct db_value *args, size_t nrows,
		 unsigned nargs, unsigned a)
{
	enum db_type type;

	if (!column_type(args, nrows, nargs, a, &type))
		return false;
	col->ints = calloc(nrows, sizeof *col->ints);
	col->texts = calloc(nrows, sizeof *col->texts);
	col->lengths = calloc(nrows, sizeof *col->lengths);
	col->marks = calloc(nrows, 1);
	if (col->ints == NULL || col->texts == NULL || col->lengths == NULL || col->marks == NULL)
		return false;
	for (size_t r = 0; r < nrows; r++) {
		const struct db_value *v = &args[r * nargs + a];

		col->ints[r] = v->i;
		col->texts[r] = (char *)(uintptr_t)(v->p != NULL ? v->p : "");
		col->lengths[r] = (unsigned long)v->n;
		col->marks[r] = v->type == DB_NULL ? STMT_INDICATOR_NULL : STMT_INDICATOR_NONE;
	}
	memset(b, 0, sizeof *b);
	b->u.indicator = col->marks;
	if (type == DB_INT) {
		b->buffer_type = MYSQL_TYPE_LONGLONG;
		b->buffer = col->ints;
	} else {
		b->buffer_type = type == DB_BLOB ? MYSQL_TYPE_BLOB : MYSQL_TYPE_STRING;
		b->buffer = col->texts;
		b->length = col->lengths;
	}
	return true;
}

/* Sends all rows at once. *done is false when they have to go one by one: their types differ, the
 * server refused one (which one it does not say), or not every row matched. The savepoint then
 * undoes what was done. */
static enum rc
exec_bulk(struct db_stmt *st, const struct db_value *args, size_t nrows, bool *done, struct err *e)
{
	struct bulk_column *cols = calloc(st->sql->nargs, sizeof *cols);
	unsigned size = (unsigned)nrows, none = 0;
	enum rc rc = RC_OK;
	bool sent = false, refused = false;

	*done = false;
	for (unsigned a = 0; cols != NULL && a < st->sql->nargs; a++) {
		if (!bulk_column_fill(&cols[a], &st->in[a], args, nrows, st->sql->nargs, a))
			goto out;
	}
	if (cols == NULL)
		goto out;
	rc = run_text(st->s, "SAVEPOINT " SAVEPOINT, TX_READ, "mysql.exec_many", st->sql->name, e);
	if (rc != RC_OK)
		goto out;
	sent = true;
	if (mysql_stmt_attr_set(st->h, STMT_ATTR_ARRAY_SIZE, &size) != 0 ||
	    mysql_stmt_bind_param(st->h, st->in) != 0 || mysql_stmt_execute(st->h) != 0) {
		rc = stmt_failed(st, TX_WRITE, "mysql.exec_many", e);
		refused = rc != RC_AGAIN && rc != RC_LOST;
		if (!refused)
			goto out;
		st->s->tx.failed = false; /* the savepoint heals it */
		rc = RC_OK;
	}
	*done = !refused && mysql_stmt_affected_rows(st->h) == nrows;
	if (!*done)
		rc = run_text(st->s, "ROLLBACK TO SAVEPOINT " SAVEPOINT, TX_WRITE,
			      "mysql.exec_many", st->sql->name, e);
out:
	if (sent)
		mysql_stmt_attr_set(st->h, STMT_ATTR_ARRAY_SIZE, &none);
	bulk_free(cols, st->sql->nargs);
	return rc;
}

static enum rc
exec_piece(struct db_stmt *st, const struct db_value *args, size_t nrows, int64_t *affected,
	   size_t first, struct err *e)
{
	bool done = false;
	enum rc rc;

	if (!st->s->has_bulk || !st->sql->one_row || st->sql->nargs == 0 || nrows < 3)
		return exec_loop(st, args, nrows, affected, first, e);
	rc = exec_bulk(st, args, nrows, &done, e);
	if (rc == RC_OK && !done)
		return exec_loop(st, args, nrows, affected, first, e);
	if (rc != RC_OK && e != NULL)
		e->native = (int)first;
	for (size_t r = 0; rc == RC_OK && affected != NULL && r < nrows; r++)
		affected[r] = 1;
	return rc;
}
#else
static enum rc
exec_piece(struct db_stmt *st, const struct db_value *args, size_t nrows, int64_t *affected,
	   size_t first, struct err *e)
{
	return exec_loop(st, args, nrows, affected, first, e);
}
#endif

static enum rc
exec_many(struct db_stmt *st, const struct db_value *args, size_t nrows, int64_t *affected,
	  struct err *e)
{
	unsigned nargs = st->sql->nargs;
	enum rc rc = tx_check_call(&st->s->tx, "mysql.exec_many", e);

	if (rc != RC_OK)
		return rc;
	if (!st->s->tx.open || st->ncols != 0)
		return err_set(e, RC_BUG, 0, "mysql.exec_many",
			       "%s: many rows need a transaction and a statement without columns",
			       st->sql->name);
	for (size_t first = 0; first < nrows && rc == RC_OK;) {
		size_t n = 0, bytes = 0;

		while (first + n < nrows && n < BULK_ROWS && bytes < BULK_BYTES) {
			for (unsigned a = 0; a < nargs; a++)
				bytes += args[(first + n) * nargs + a].n + 16;
			n++;
		}
		rc = exec_piece(st, args + first * nargs, n,
				affected != NULL ? affected + first : NULL, first, e);
		first += n;
	}
	return rc;
}

/* Takes one cell of the current row. Text that was cut is fetched again into a buffer of its
 * size. */
static enum rc
take_cell(struct db_stmt *st, unsigned c, struct db_value *v, bool *rebind, struct err *e)
{
	struct cell *cell = &st->cells[c];

	memset(v, 0, sizeof *v);
	if (cell->is_null)
		return RC_OK;
	if (st->sql->cols[c] == 'i') {
		if (cell->error)
			return err_set(e, RC_DATA, 0, "mysql.fetch",
				       "%s: column %u is not a whole number of 64 bits",
				       st->sql->name, c + 1);
		v->type = DB_INT;
		v->i = cell->i;
		return RC_OK;
	}
	if (cell->len >= cell->size) {
		if (!cell_resize(cell, cell->len + 1))
			return err_set(e, RC_NOMEM, 0, "mysql.fetch", "%s: no memory for column %u",
				       st->sql->name, c + 1);
		bind_cell(st, c);
		*rebind = true;
		if (mysql_stmt_fetch_column(st->h, &st->out[c], c, 0) != 0)
			return stmt_failed(st, TX_READ, "mysql.fetch", e);
	}
	cell->buf[cell->len] = '\0';
	v->type = st->sql->cols[c] == 't' ? DB_TEXT : DB_BLOB;
	v->p = cell->buf;
	v->n = cell->len;
	return RC_OK;
}

static enum rc
fetch(struct db_stmt *st, struct db_value *cols, bool *more, struct err *e)
{
	bool rebind = false;
	enum rc rc = RC_OK;
	int got;

	*more = false;
	if (!st->has_rows)
		return RC_OK;
	got = mysql_stmt_fetch(st->h);
	if (got == MYSQL_NO_DATA) {
		reset(st);
		return RC_OK;
	}
	if (got != 0 && got != MYSQL_DATA_TRUNCATED)
		return stmt_failed(st, TX_READ, "mysql.fetch", e);
	for (unsigned c = 0; rc == RC_OK && c < st->ncols; c++)
		rc = take_cell(st, c, &cols[c], &rebind, e);
	if (rebind && mysql_stmt_bind_result(st->h, st->out) != 0 && rc == RC_OK)
		rc = stmt_failed(st, TX_READ, "mysql.fetch", e);
	*more = rc == RC_OK;
	return rc;
}

static void
cancel(struct db_session *s)
{
	/* Both libraries keep the socket here; only MariaDB's has mysql_get_socket(). */
	shutdown((int)s->my->net.fd, SHUT_RDWR);
}

const struct db_driver db_mysql = {
	.name = "mysql",
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
