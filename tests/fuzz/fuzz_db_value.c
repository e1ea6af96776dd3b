/* Values as client libraries hand them over: of any length, NULL or not, cut, without a known
 * length, numbers that are none. unixODBC and the MySQL client are played here, in every form that
 * their contracts allow; the two drivers must give exactly what the server has. The first bytes
 * choose library and abilities, then come columns: type, kind, length, bytes. */
#include "config.h"
#include <errno.h>
#include "agent/text.h"
#include "drivers/db/db.h"
#include "tests/fuzz/fuzz.h"

#define COLUMNS 6
#define ROWS 3

static struct value {
	struct bytes b;
	bool is_null;
	bool is_vague; /* the library does not tell the length of what it cut */
	bool is_read;  /* SQLGetData gave all of it */
	size_t at;
} rows[ROWS][COLUMNS];
static int row;
static char columns[COLUMNS + 1];

static const struct value *
value_of(unsigned c)
{
	return &rows[row][c];
}

static bool
number_of(const struct value *v, int64_t *out)
{
	return text_i64_n((const char *)v->b.p, v->b.n, INT64_MIN, INT64_MAX, out);
}

#ifdef HAVE_ODBC
#include <sql.h>
#include <sqlext.h>

static struct {
	SQLSMALLINT type;
	SQLPOINTER p;
	SQLLEN size;
	SQLLEN *ind;
} bound[COLUMNS];
static SQLUINTEGER extensions;
static const char *product;
static const char *state;

SQLRETURN SQL_API
SQLAllocHandle(SQLSMALLINT type, SQLHANDLE from, SQLHANDLE *out)
{
	static int handle;

	(void)type;
	(void)from;
	*out = (SQLHANDLE)&handle;
	return SQL_SUCCESS;
}

SQLRETURN SQL_API
SQLFreeHandle(SQLSMALLINT type, SQLHANDLE h)
{
	(void)type;
	(void)h;
	return SQL_SUCCESS;
}

SQLRETURN SQL_API
SQLSetEnvAttr(SQLHENV h, SQLINTEGER a, SQLPOINTER p, SQLINTEGER n)
{
	(void)h;
	(void)a;
	(void)p;
	(void)n;
	return SQL_SUCCESS;
}

SQLRETURN SQL_API
SQLSetConnectAttr(SQLHDBC h, SQLINTEGER a, SQLPOINTER p, SQLINTEGER n)
{
	return SQLSetEnvAttr(h, a, p, n);
}

SQLRETURN SQL_API
SQLSetStmtAttr(SQLHSTMT h, SQLINTEGER a, SQLPOINTER p, SQLINTEGER n)
{
	return SQLSetEnvAttr(h, a, p, n);
}

SQLRETURN SQL_API
SQLGetConnectAttr(SQLHDBC h, SQLINTEGER a, SQLPOINTER p, SQLINTEGER n, SQLINTEGER *len)
{
	(void)len;
	return SQLSetEnvAttr(h, a, p, n);
}

SQLRETURN SQL_API
SQLDriverConnect(SQLHDBC h, SQLHWND w, SQLCHAR *in, SQLSMALLINT in_n, SQLCHAR *out,
		 SQLSMALLINT out_n, SQLSMALLINT *len, SQLUSMALLINT how)
{
	(void)h;
	(void)w;
	(void)in;
	(void)in_n;
	(void)out;
	(void)out_n;
	(void)len;
	(void)how;
	return SQL_SUCCESS;
}

SQLRETURN SQL_API
SQLDisconnect(SQLHDBC h)
{
	(void)h;
	return SQL_SUCCESS;
}

SQLRETURN SQL_API
SQLGetInfo(SQLHDBC h, SQLUSMALLINT what, SQLPOINTER p, SQLSMALLINT size, SQLSMALLINT *len)
{
	(void)h;
	if (what == SQL_GETDATA_EXTENSIONS) {
		memcpy(p, &extensions, sizeof extensions);
		return SQL_SUCCESS;
	}
	snprintf(p, (size_t)size, "%s", what == SQL_DBMS_NAME ? product : "03.40.0001");
	if (len != NULL)
		*len = (SQLSMALLINT)strlen(p);
	return SQL_SUCCESS;
}

SQLRETURN SQL_API
SQLEndTran(SQLSMALLINT type, SQLHANDLE h, SQLSMALLINT how)
{
	(void)type;
	(void)h;
	(void)how;
	return SQL_SUCCESS;
}

SQLRETURN SQL_API
SQLExecDirect(SQLHSTMT h, SQLCHAR *text, SQLINTEGER n)
{
	(void)h;
	(void)text;
	(void)n;
	return SQL_SUCCESS;
}

SQLRETURN SQL_API
SQLPrepare(SQLHSTMT h, SQLCHAR *text, SQLINTEGER n)
{
	return SQLExecDirect(h, text, n);
}

SQLRETURN SQL_API
SQLBindParameter(SQLHSTMT h, SQLUSMALLINT at, SQLSMALLINT io, SQLSMALLINT c, SQLSMALLINT sql,
		 SQLULEN size, SQLSMALLINT dec, SQLPOINTER p, SQLLEN n, SQLLEN *ind)
{
	(void)h;
	(void)at;
	(void)io;
	(void)c;
	(void)sql;
	(void)size;
	(void)dec;
	(void)p;
	(void)n;
	(void)ind;
	return SQL_SUCCESS;
}

SQLRETURN SQL_API
SQLBindCol(SQLHSTMT h, SQLUSMALLINT c, SQLSMALLINT type, SQLPOINTER p, SQLLEN size, SQLLEN *ind)
{
	(void)h;
	must(c >= 1 && c <= COLUMNS);
	bound[c - 1].type = type;
	bound[c - 1].p = p;
	bound[c - 1].size = size;
	bound[c - 1].ind = ind;
	return SQL_SUCCESS;
}

SQLRETURN SQL_API
SQLExecute(SQLHSTMT h)
{
	(void)h;
	row = -1;
	return SQL_SUCCESS;
}

SQLRETURN SQL_API
SQLNumResultCols(SQLHSTMT h, SQLSMALLINT *n)
{
	(void)h;
	*n = (SQLSMALLINT)strlen(columns);
	return SQL_SUCCESS;
}

SQLRETURN SQL_API
SQLRowCount(SQLHSTMT h, SQLLEN *n)
{
	(void)h;
	*n = 0;
	return SQL_SUCCESS;
}

SQLRETURN SQL_API
SQLFreeStmt(SQLHSTMT h, SQLUSMALLINT how)
{
	(void)h;
	(void)how;
	return SQL_SUCCESS;
}

SQLRETURN SQL_API
SQLCancel(SQLHSTMT h)
{
	(void)h;
	return SQL_SUCCESS;
}

SQLRETURN SQL_API
SQLGetDiagRec(SQLSMALLINT type, SQLHANDLE h, SQLSMALLINT at, SQLCHAR *sqlstate, SQLINTEGER *native,
	      SQLCHAR *text, SQLSMALLINT size, SQLSMALLINT *len)
{
	(void)type;
	(void)h;
	if (at != 1)
		return SQL_NO_DATA;
	memcpy(sqlstate, state, 6);
	*native = 0;
	*len = (SQLSMALLINT)snprintf((char *)text, (size_t)size, "invalid value");
	return SQL_SUCCESS;
}

/* Gives what is left of v as the specification says: *ind is what was left before this call. */
static SQLRETURN
give(struct value *v, SQLSMALLINT type, char *p, SQLLEN size, SQLLEN *ind)
{
	size_t left = v->b.n - v->at, room;

	if (v->is_null) {
		*ind = SQL_NULL_DATA;
		return SQL_SUCCESS;
	}
	if (type == SQL_C_SBIGINT) {
		int64_t n;

		if (!number_of(v, &n)) {
			state = "22018";
			return SQL_ERROR;
		}
		memcpy(p, &n, sizeof n);
		*ind = sizeof n;
		return SQL_SUCCESS;
	}
	if (v->is_read)
		return SQL_NO_DATA;
	must(size >= 0 && (type != SQL_C_CHAR || size > 0));
	room = (size_t)size - (type == SQL_C_CHAR ? 1 : 0);
	if (left > room) {
		memcpy(p, v->b.p + v->at, room);
		if (type == SQL_C_CHAR)
			p[room] = '\0';
		v->at += room;
		*ind = v->is_vague ? SQL_NO_TOTAL : (SQLLEN)left;
		state = "01004";
		return SQL_SUCCESS_WITH_INFO;
	}
	if (left > 0)
		memcpy(p, v->b.p + v->at, left);
	if (type == SQL_C_CHAR)
		p[left] = '\0';
	v->at = v->b.n;
	v->is_read = true;
	*ind = (SQLLEN)left;
	return SQL_SUCCESS;
}

SQLRETURN SQL_API
SQLFetch(SQLHSTMT h)
{
	SQLRETURN ret = SQL_SUCCESS;

	(void)h;
	if (++row >= ROWS)
		return SQL_NO_DATA;
	for (unsigned c = 0; c < COLUMNS; c++) {
		struct value *v = &rows[row][c];
		SQLRETURN one;

		v->at = 0;
		v->is_read = false;
		if (bound[c].p == NULL)
			continue;
		one = give(v, bound[c].type, bound[c].p, bound[c].size, bound[c].ind);
		if (one == SQL_ERROR)
			return one;
		if (one == SQL_SUCCESS_WITH_INFO)
			ret = one;
		v->at = 0;
		v->is_read = false;
	}
	return ret;
}

SQLRETURN SQL_API
SQLGetData(SQLHSTMT h, SQLUSMALLINT c, SQLSMALLINT type, SQLPOINTER p, SQLLEN size, SQLLEN *ind)
{
	(void)h;
	must(c >= 1 && c <= COLUMNS && row >= 0 && row < ROWS);
	/* Without the extension a bound column cannot be asked for. */
	must(bound[c - 1].p == NULL || (extensions & SQL_GD_BOUND) != 0);
	return give(&rows[row][c - 1], type, p, size, ind);
}
#endif

#ifdef HAVE_MYSQL
#include <mysql.h>
#endif

/* MySQL's own library declares them a little otherwise; one of the two is enough to drive the
 * driver. */
#ifdef MARIADB_BASE_VERSION
#define HAS_MYSQL_PLAYED

static MYSQL_BIND *out_binds;
static MYSQL server;
static int statement;

#define STMT ((MYSQL_STMT *)(void *)&statement)

MYSQL *STDCALL
mysql_init(MYSQL *my)
{
	(void)my;
	return &server;
}

int
mysql_optionsv(MYSQL *my, enum mysql_option option, ...)
{
	(void)my;
	(void)option;
	return 0;
}

int STDCALL
mysql_options(MYSQL *my, enum mysql_option option, const void *p)
{
	(void)my;
	(void)option;
	(void)p;
	return 0;
}

void STDCALL
mysql_close(MYSQL *my)
{
	(void)my;
}

MYSQL *STDCALL
mysql_real_connect(MYSQL *my, const char *host, const char *user, const char *password,
		   const char *db, unsigned port, const char *path, unsigned long flags)
{
	(void)host;
	(void)user;
	(void)password;
	(void)db;
	(void)port;
	(void)path;
	(void)flags;
	return my;
}

char *STDCALL
mysql_get_server_info(MYSQL *my)
{
	static char version[] = "10.11.6-MariaDB";

	(void)my;
	return version;
}

int STDCALL
mysql_real_query(MYSQL *my, const char *text, unsigned long n)
{
	(void)my;
	(void)text;
	(void)n;
	return 0;
}

MYSQL_RES *STDCALL
mysql_store_result(MYSQL *my)
{
	(void)my;
	return NULL;
}

unsigned STDCALL
mysql_errno(MYSQL *my)
{
	(void)my;
	return 0;
}

my_bool
mariadb_get_infov(MYSQL *my, enum mariadb_value value, void *arg, ...)
{
	(void)my;
	(void)value;
	(void)arg;
	return 1;
}

MYSQL_STMT *STDCALL
mysql_stmt_init(MYSQL *my)
{
	(void)my;
	return STMT;
}

int STDCALL
mysql_stmt_prepare(MYSQL_STMT *st, const char *text, unsigned long n)
{
	(void)st;
	(void)text;
	(void)n;
	return 0;
}

unsigned long STDCALL
mysql_stmt_param_count(MYSQL_STMT *st)
{
	(void)st;
	return 0;
}

unsigned STDCALL
mysql_stmt_field_count(MYSQL_STMT *st)
{
	(void)st;
	return (unsigned)strlen(columns);
}

int STDCALL
mysql_stmt_execute(MYSQL_STMT *st)
{
	(void)st;
	row = -1;
	return 0;
}

my_bool STDCALL
mysql_stmt_bind_result(MYSQL_STMT *st, MYSQL_BIND *b)
{
	static MYSQL_BIND copy[COLUMNS];

	(void)st;
	memcpy(copy, b, strlen(columns) * sizeof *b);
	out_binds = copy;
	return 0;
}

int STDCALL
mysql_stmt_store_result(MYSQL_STMT *st)
{
	(void)st;
	return 0;
}

my_bool STDCALL
mysql_stmt_free_result(MYSQL_STMT *st)
{
	(void)st;
	return 0;
}

my_bool STDCALL
mysql_stmt_close(MYSQL_STMT *st)
{
	(void)st;
	return 0;
}

/* The library converts, and marks what did not fit. */
static bool
put_value(MYSQL_BIND *b, const struct value *v, unsigned long offset)
{
	size_t n = v->b.n > offset ? v->b.n - offset : 0;
	int64_t number = 0;

	*b->is_null = v->is_null;
	*b->error = 0;
	*b->length = 0;
	if (v->is_null)
		return true;
	if (b->buffer_type == MYSQL_TYPE_LONGLONG) {
		*b->error = !number_of(v, &number);
		memcpy(b->buffer, &number, sizeof number);
		return *b->error == 0;
	}
	*b->length = v->b.n;
	*b->error = n > b->buffer_length;
	if (n > b->buffer_length)
		n = b->buffer_length;
	if (n > 0)
		memcpy(b->buffer, v->b.p + offset, n);
	return *b->error == 0;
}

int STDCALL
mysql_stmt_fetch(MYSQL_STMT *st)
{
	bool fits = true;

	(void)st;
	if (++row >= ROWS)
		return MYSQL_NO_DATA;
	for (unsigned c = 0; columns[c] != '\0'; c++)
		fits = put_value(&out_binds[c], value_of(c), 0) && fits;
	return fits ? 0 : MYSQL_DATA_TRUNCATED;
}

int STDCALL
mysql_stmt_fetch_column(MYSQL_STMT *st, MYSQL_BIND *b, unsigned c, unsigned long offset)
{
	(void)st;
	must(c < strlen(columns) && row >= 0 && row < ROWS);
	(void)put_value(b, value_of(c), offset);
	return 0;
}
#endif

/* Lengths round the sizes of the buffers are what goes wrong. */
static size_t
length_of(struct bytes *in)
{
	static const size_t edges[] = { 255,  256,  257,  511,	 512,	513,
					1023, 1024, 1025, 65535, 65536, 65537 };
	unsigned kind = take_byte(in);

	return kind < 200 ? kind : edges[kind % 12];
}

static void
fill(struct bytes *in)
{
	static uint8_t pool[70000];

	for (size_t i = 0; i < sizeof pool && pool[sizeof pool - 1] == 0; i++)
		pool[i] = (uint8_t)(1 + i % 255);
	for (int r = 0; r < ROWS; r++)
		for (int c = 0; c < COLUMNS; c++) {
			struct value *v = &rows[r][c];
			unsigned kind = take_byte(in);

			memset(v, 0, sizeof *v);
			v->is_null = (kind & 7) == 7;
			v->is_vague = (kind & 8) != 0;
			if (columns[c] == 'i' || (kind & 16) != 0)
				v->b = take_some(in, take_byte(in) % 24);
			else
				v->b = (struct bytes){ pool + kind, length_of(in) };
		}
}

/* Everything that the driver said of the row is what the server has. */
static void
check_row(const struct db_value *cols)
{
	for (unsigned c = 0; columns[c] != '\0'; c++) {
		const struct value *v = value_of(c);
		int64_t n = 0;

		if (v->is_null) {
			must(cols[c].type == DB_NULL);
		} else if (columns[c] == 'i') {
			must(cols[c].type == DB_INT && number_of(v, &n) && cols[c].i == n);
		} else {
			must(cols[c].type == (columns[c] == 't' ? DB_TEXT : DB_BLOB));
			must(cols[c].n == v->b.n &&
			     (v->b.n == 0 || memcmp(cols[c].p, v->b.p, v->b.n) == 0));
			must(cols[c].p[cols[c].n] == '\0');
		}
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char kinds[] = "itb";
	const struct db_params params = { .connection = "DSN=fuzz", .user = "u", .password = "p" };
	struct bytes in = { data, size };
	unsigned choice = take_byte(&in);
#ifdef HAS_MYSQL_PLAYED
	const struct db_driver *d = db_driver_find((choice & 1) != 0 ? "mysql" : "odbc");
#else
	const struct db_driver *d = db_driver_find("odbc");
#endif
	struct db_sql sql = { .name = "fuzz", .text = "SELECT", .cols = columns };
	struct db_value cols[COLUMNS];
	struct db_session *s;
	struct db_stmt *st;
	bool more = true, has_number = true;
	struct err e;
	enum rc rc;

	if (d == NULL)
		return 0;
#ifdef HAVE_ODBC
	memset(bound, 0, sizeof bound);
	extensions = (choice & 2) != 0 ? SQL_GD_BOUND | SQL_GD_ANY_ORDER : SQL_GD_ANY_COLUMN;
	product = (choice & 4) != 0 ? "PostgreSQL" : (choice & 8) != 0 ? "SQLite" : "Other";
	state = "HY000";
#endif
	memset(columns, 0, sizeof columns);
	for (unsigned c = 0; c < 1 + (choice >> 4) % COLUMNS; c++)
		columns[c] = kinds[take_byte(&in) % 3];
	fill(&in);
	must(d->open(&params, &s, &e) == RC_OK);
	must(d->prepare(s, &sql, &st, &e) == RC_OK);
	must(d->exec(st, NULL, NULL, &e) == RC_OK);
	for (int r = 0; more; r++) {
		rc = d->fetch(st, cols, &more, &e);
		if (rc != RC_OK) {
			/* Only for a number that is none. */
			for (unsigned c = 0; columns[c] != '\0'; c++) {
				int64_t n;

				has_number =
					has_number && (columns[c] != 'i' || value_of(c)->is_null ||
						       number_of(value_of(c), &n));
			}
			must(!has_number && !more);
			break;
		}
		must(more == (r < ROWS));
		if (more)
			check_row(cols);
	}
	d->reset(st);
	d->close(s);
	return 0;
}
