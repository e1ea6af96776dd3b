/* db.h - the contract between the agent and a database client library.
 *
 * Threads: a session and everything under it belongs to the thread that opened it; only cancel()
 * may be called from another one, and only while that thread is inside a call. process_init() runs
 * once before any thread starts.
 * Ownership: arguments stay the caller's and are read during the call only. Fetched columns point
 * into the driver until the next fetch(), reset() or close() of the same statement; rows are
 * fetched before the transaction ends. Statements belong to the session and die with it.
 * Errors: after RC_LOST or RC_UNSURE only rollback() (then without effect) and close() are legal.
 * After RC_AGAIN the transaction is already rolled back. After RC_DATA and RC_CONFIG the caller
 * must roll back (on PostgreSQL the transaction is void); whatever else it calls in it is
 * RC_BUG. exec_many() names the first bad row by its index in err.native. A commit() that fails
 * otherwise than RC_AGAIN or RC_DATA is RC_UNSURE: to read it back, lock the rows, since the server
 * may still be at work on it.
 * A transaction is opened by begin() and ended by commit() or rollback(); outside of one every
 * statement commits by itself, and the same rules hold: an answer lost after a writing statement
 * was sent is RC_UNSURE, of a reading one RC_LOST.
 * Text is UTF-8 on this interface; a driver never converts times or numbers that the SQL did not
 * ask for. The conformance test is tests/unit/db_contract.c; every driver passes it. */
#ifndef MTRELAY_DB_H
#define MTRELAY_DB_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "agent/err.h"

struct db_session; /* defined by each driver */
struct db_stmt;

enum db_type { DB_NULL, DB_INT, DB_TEXT, DB_BLOB };

struct db_value {
	enum db_type type;
	int64_t i;     /* DB_INT */
	const char *p; /* DB_TEXT, DB_BLOB: n bytes; fetched text also ends in an uncounted NUL */
	size_t n;
};

/* One statement. text holds ? marks only; cols has one letter for each result column, 'i' for an
 * integer and 't' for text and 'b' for bytes ("" when it returns no rows), and the driver converts
 * to that. is_write tells whether a lost answer is RC_UNSURE. */
struct db_sql {
	const char *name; /* "claim_mark", for messages */
	const char *text;
	unsigned nargs;
	const char *cols;
	bool is_write;
	/* Each set of arguments matches one row at most (it names a key, or is INSERT ... VALUES):
	 * where the library can, exec_many() then sends many in one piece. */
	bool one_row;
};

enum db_tls { DB_TLS_OFF, DB_TLS_ON, DB_TLS_VERIFY };

struct db_params {
	const char *host;   /* NULL: the library's default; "localhost" is TCP too */
	unsigned port;	    /* 0: the library's default */
	const char *socket; /* mysql only; NULL: none */
	const char *name;   /* database */
	const char *user;
	const char *password; /* read from a file by the caller; wiped by the caller */
	enum db_tls tls;      /* mysql only; ODBC says it in the connection string */
	const char *ca_file;
	const char *cert_file;
	const char *key_file;
	/* odbc only: "DSN=..." or "Driver=...;..."; user and password are appended */
	const char *connection;
	unsigned connect_timeout_ms;
	unsigned statement_timeout_ms; /* asked for; the lane's watch is what is believed */
};

enum db_cap {
	DB_CAP_ARRAY = 1 << 0,	/* exec_many() is one round trip for many rows */
	DB_CAP_CANCEL = 1 << 1, /* cancel() really interrupts */
};

struct db_driver {
	const char *name; /* "mysql", "odbc", "mem" */
	enum rc (*process_init)(struct err *e);
	void (*process_fini)(void);
	enum rc (*open)(const struct db_params *p, struct db_session **out, struct err *e);
	/* Never fails, in any state; rolls back; NULL is allowed. */
	void (*close)(struct db_session *s);
	/* "mysql", "postgresql", "sqlite"; "" unknown. */
	const char *(*dialect)(const struct db_session *s);
	/* "MariaDB 10.11.6": for people. */
	const char *(*product)(const struct db_session *s);
	unsigned (*caps)(const struct db_session *s);
	enum rc (*begin)(struct db_session *s, struct err *e);
	enum rc (*commit)(struct db_session *s, struct err *e);
	void (*rollback)(struct db_session *s);
	/* sql must live as long as the statement. */
	enum rc (*prepare)(struct db_session *s, const struct db_sql *sql, struct db_stmt **out,
			   struct err *e);
	/* Rows that the statement returns are then read by fetch(). affected (may be NULL) counts
	 * the rows that matched; it is -1 for a statement with columns: count the rows fetched. */
	enum rc (*exec)(struct db_stmt *st, const struct db_value *args, int64_t *affected,
			struct err *e);
	/* args holds nrows times nargs values; affected (may be NULL) has nrows places. Only
	 * between begin() and commit(), and not for statements that return rows: else RC_BUG. */
	enum rc (*exec_many)(struct db_stmt *st, const struct db_value *args, size_t nrows,
			     int64_t *affected, struct err *e);
	/* *more false: no further row, cols untouched. cols has one place a column. */
	enum rc (*fetch)(struct db_stmt *st, struct db_value *cols, bool *more, struct err *e);
	void (*reset)(struct db_stmt *st);  /* forgets rows not yet fetched */
	void (*finish)(struct db_stmt *st); /* frees the statement early; NULL is allowed */
	/* Statements without arguments that cannot be prepared everywhere (SET, PRAGMA, DDL). On
	 * MySQL DDL commits: not for a transaction. */
	enum rc (*exec_text)(struct db_session *s, const char *sql, struct err *e);
	/* Returns at once. The call under way ends with RC_AGAIN, or with RC_LOST or RC_UNSURE
	 * where the driver can only cut the connection (mysql). */
	void (*cancel)(struct db_session *s);
};

/* NULL when no driver of that name was built in. */
const struct db_driver *db_driver_find(const char *name);
/* The names built in, comma separated, for messages. */
const char *db_driver_names(void);

#endif
