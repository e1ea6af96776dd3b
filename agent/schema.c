#include "config.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include "agent/buf.h"
#include "agent/clock.h"
#include "agent/dialect.h"
#include "agent/result.h"
#include "agent/schema.h"
#include "agent/store.h"
#include "agent/text.h"
#include "schema/sql_source.h"

#define NAME_BYTES 80
#define SCRIPT_BYTES ((size_t)256 * 1024)
#define NELEM(a) (sizeof(a) / sizeof(a)[0])
/* A clock that is off by more makes reserved times hard to understand. */
#define CLOCK_OFF_MS 2000
#define WRITE_TRIES 5

enum column_kind { KIND_INT, KIND_TEXT, KIND_TIME, KIND_BLOB };
enum index_kind { INDEX_PLAIN, INDEX_UNIQUE, INDEX_PARTIAL };

static const struct column_fact {
	const char *table;
	const char *name;
	enum column_kind kind;
	int64_t least;
} columns[] = {
#define SCHEMA_COLUMN(table, name, kind, least) { #table, #name, KIND_##kind, least },
#include "schema/columns.def"
#undef SCHEMA_COLUMN
};

static const struct index_fact {
	const char *table;
	const char *name;
	enum schema_level level;
	enum index_kind kind;
	const char *columns;
	const char *purpose;
} indexes[] = {
#define SCHEMA_INDEX(table, name, level, kind, columns, purpose) \
	{ #table, #name, SCHEMA_##level, INDEX_##kind, columns, purpose },
#include "schema/indexes.def"
#undef SCHEMA_INDEX
};

static const char *const tables[] = { "meta", "send",  "result", "try",	   "report", "history",
				      "recv", "agent", "file",	 "sender", "block",  "code" };
static const char *const views[] = { "v_queue", "v_open", "v_daily", "v_monthly" };

/* Tables that the agent inserts into: an unknown column without a default stops it. */
static bool
agent_inserts(const char *table)
{
	return strcmp(table, "result") == 0 || strcmp(table, "try") == 0 ||
	       strcmp(table, "report") == 0 || strcmp(table, "history") == 0 ||
	       strcmp(table, "recv") == 0 || strcmp(table, "agent") == 0;
}

static enum rc
source_find(const char *dialect, const char *name, const struct sql_source **out, struct err *e)
{
	*out = sql_source_find(dialect, name);
	if (*out == NULL && !dialect_is_known(dialect))
		return err_set(e, RC_CONFIG, 0, "schema",
			       "there is no dialect \"%.20s\": name mysql, postgresql or sqlite",
			       dialect);
	if (*out == NULL)
		return err_set(e, RC_BUG, 0, "schema", "schema/%s/%s.sql is not built in", dialect,
			       name);
	return RC_OK;
}

/* ---- one statement ---- */

struct query {
	const struct schema_db *db;
	struct db_sql sql;
	struct buf text;
	struct db_stmt *st;
};

static void
query_close(struct query *q)
{
	if (q->st != NULL)
		q->db->driver->finish(q->st);
	q->st = NULL;
	buf_free(&q->text);
}

static enum rc
query_open(const struct schema_db *db, const char *name, struct query *q, struct err *e)
{
	const struct sql_source *src;
	enum rc rc;

	*q = (struct query){ .db = db };
	buf_init(&q->text, SCRIPT_BYTES);
	if ((rc = source_find(db->dialect, name, &src, e)) != RC_OK)
		return rc;
	rc = dialect_expand(db->dialect, db->prefix, src->text, 0, &q->text, e);
	if (rc == RC_OK) {
		q->sql = (struct db_sql){ .name = src->name,
					  .text = buf_text(&q->text),
					  .nargs = src->nargs,
					  .cols = src->cols,
					  .is_write = src->is_write };
		rc = db->driver->prepare(db->session, &q->sql, &q->st, e);
	}
	if (rc != RC_OK)
		query_close(q);
	return rc;
}

static struct db_value
value_text(const char *s)
{
	return (struct db_value){ .type = DB_TEXT, .p = s, .n = strlen(s) };
}

/* All arguments of a catalogue query are the same word. */
static enum rc
query_run(struct query *q, const char *word, struct err *e)
{
	struct db_value args[8];

	for (unsigned i = 0; i < q->sql.nargs && i < NELEM(args); i++)
		args[i] = value_text(word);
	return q->db->driver->exec(q->st, args, NULL, e);
}

static enum rc
query_fetch(struct query *q, struct db_value *cols, bool *more, struct err *e)
{
	enum rc rc = q->db->driver->fetch(q->st, cols, more, e);

	if (rc == RC_OK && *more)
		for (size_t i = 0; q->sql.cols[i] != '\0'; i++)
			if (cols[i].type == DB_NULL)
				cols[i] = (struct db_value){ .type = DB_TEXT, .p = "" };
	return rc;
}

/* Calls row() for each row of a catalogue query about that table. */
static enum rc
query_each(const struct schema_db *db, const char *name, const char *word,
	   void (*row)(void *ctx, const struct db_value *cols), void *ctx, struct err *e)
{
	struct query q;
	struct db_value cols[8];
	bool more = true;
	enum rc rc;

	if ((rc = query_open(db, name, &q, e)) != RC_OK)
		return rc;
	rc = query_run(&q, word, e);
	while (rc == RC_OK && more) {
		rc = query_fetch(&q, cols, &more, e);
		if (rc == RC_OK && more)
			row(ctx, cols);
	}
	query_close(&q);
	return rc;
}

/* ---- version ---- */

struct version {
	bool has_table;
	int version;
};

static void
note_table(void *ctx, const struct db_value *cols)
{
	(void)cols;
	((struct version *)ctx)->has_table = true;
}

static void
note_version(void *ctx, const struct db_value *cols)
{
	((struct version *)ctx)->version = (int)cols[0].i;
}

enum rc
schema_version(const struct schema_db *db, int *version, struct err *e)
{
	struct version v = { false, 0 };
	char name[NAME_BYTES];
	enum rc rc;

	*version = 0;
	(void)snprintf(name, sizeof name, "%smeta", db->prefix);
	rc = query_each(db, "check_table", name, note_table, &v, e);
	if (rc == RC_OK && v.has_table)
		rc = query_each(db, "schema_version", "", note_version, &v, e);
	if (rc == RC_OK)
		*version = v.version;
	return rc;
}

enum rc
schema_require(int version, const char *prefix, struct err *e)
{
	if (version == STORE_SCHEMA_VERSION)
		return RC_OK;
	if (version == 0)
		return err_set(e, RC_CONFIG, 0, "schema",
			       "this database has no tables %s...: make them with \"mtrelayctl "
			       "schema --apply\"",
			       prefix);
	if (version < STORE_SCHEMA_VERSION)
		return err_set(e, RC_CONFIG, 0, "schema",
			       "the tables %s... are of version %d and this program needs version "
			       "%d: stop all agents and "
			       "run \"mtrelayctl schema --apply\"",
			       prefix, version, STORE_SCHEMA_VERSION);
	return err_set(e, RC_CONFIG, 0, "schema",
		       "the tables %s... are of version %d and this program knows versions up to "
		       "%d: install the newer "
		       "mtrelay that upgraded them",
		       prefix, version, STORE_SCHEMA_VERSION);
}

/* ---- scripts ---- */

/* Adds the script (create, views, upgrade-02 ...) with its names written out. */
static enum rc
script_add(const char *dialect, const char *prefix, const char *name, struct buf *out,
	   struct err *e)
{
	const struct sql_source *src;
	enum rc rc;

	if ((rc = source_find(dialect, name, &src, e)) != RC_OK)
		return rc;
	return dialect_expand(dialect, prefix, src->text, 0, out, e);
}

static void
write_statements(const char *script, FILE *out)
{
	const char *at = script;
	const char *s;
	size_t n;

	while ((s = dialect_next_statement(&at, &n)) != NULL)
		fprintf(out, "%.*s;\n\n", (int)n, s);
}

static void
write_literal(const char *s, FILE *out)
{
	fputc('\'', out);
	for (; *s != '\0'; s++) {
		if (*s == '\'')
			fputc('\'', out);
		fputc(*s, out);
	}
	fputc('\'', out);
}

/* The statement with literals in the place of its marks. */
static enum rc
write_codes(const char *dialect, const char *prefix, FILE *out, struct err *e)
{
	struct buf text;
	enum rc rc;

	buf_init(&text, SCRIPT_BYTES);
	rc = script_add(dialect, prefix, "code_set", &text, e);
	for (size_t i = 0; rc == RC_OK && result_at(i) != NULL; i++) {
		const struct result *r = result_at(i);
		const char *const values[] = { r->code, result_class_name(r->class), r->name_en,
					       r->name_ko };
		size_t v = 0;

		for (const char *p = buf_text(&text); *p != '\0'; p++)
			if (*p == '?' && v < NELEM(values))
				write_literal(values[v++], out);
			else
				fputc(*p, out);
		fputs(";\n", out);
	}
	buf_free(&text);
	return rc;
}

static enum rc
written(FILE *out, struct err *e)
{
	if (fflush(out) != 0 || ferror(out))
		return err_set(e, RC_CONFIG, 0, "schema",
			       "the script could not be written: look at the space on that disk");
	return RC_OK;
}

enum rc
schema_script(const char *dialect, const char *prefix, FILE *out, struct err *e)
{
	bool is_mysql = strcmp(dialect, "mysql") == 0;
	struct buf text;
	enum rc rc;

	buf_init(&text, SCRIPT_BYTES);
	if ((rc = script_add(dialect, prefix, "create", &text, e)) != RC_OK)
		goto out;
	fprintf(out, "-- Tables of mtrelay, version %d, for %s. May be run again.\n\n",
		STORE_SCHEMA_VERSION, dialect);
	if (is_mysql)
		fputs("SET NAMES utf8mb4;\n\n", out);
	else if (strcmp(dialect, "postgresql") == 0)
		fputs("SET client_encoding = 'UTF8';\n\n", out);
	if (!is_mysql)
		fputs("BEGIN;\n\n", out);
	write_statements(buf_text(&text), out);
	buf_clear(&text);
	if ((rc = script_add(dialect, prefix, "views", &text, e)) != RC_OK)
		goto out;
	write_statements(buf_text(&text), out);
	if ((rc = write_codes(dialect, prefix, out, e)) != RC_OK)
		goto out;
	if (!is_mysql)
		fputs("\nCOMMIT;\n", out);
	rc = written(out, e);
out:
	buf_free(&text);
	return rc;
}

/* Adds a user's name the way the dialect quotes it. */
static enum rc
add_user(const char *dialect, const char *name, struct buf *out, struct err *e)
{
	const char *host = strrchr(name, '@');
	size_t n = strlen(name);

	if (n == 0 || n > 80 || name[strcspn(name, "'\"`\\{};\n\r\t ")] != '\0')
		return err_set(e, RC_CONFIG, 0, "schema.grants",
			       "\"%.80s\" is no name of a database user: it may not have blanks, "
			       "quotes or braces",
			       name);
	if (strcmp(dialect, "mysql") != 0)
		(void)buf_addf(out, "\"%s\"", name);
	else if (host == NULL)
		(void)buf_addf(out, "'%s'@'%%'", name);
	else
		(void)buf_addf(out, "'%.*s'@'%s'", (int)(host - name), name, host + 1);
	return RC_OK;
}

enum rc
schema_grants(const char *dialect, const char *prefix, const struct schema_roles *r, FILE *out,
	      struct err *e)
{
	const struct role {
		const char *mark, *name;
	} roles[] = {
		{ "{agent_user}", r->agent != NULL ? r->agent : "mtrelay" },
		{ "{application_user}", r->application != NULL ? r->application : "mtrelay_app" },
		{ "{reader_user}", r->reader != NULL ? r->reader : "mtrelay_read" },
	};
	const struct sql_source *src;
	struct buf named;
	struct buf text;
	enum rc rc;

	buf_init(&named, SCRIPT_BYTES);
	buf_init(&text, SCRIPT_BYTES);
	if ((rc = source_find(dialect, "grants", &src, e)) != RC_OK)
		goto out;
	for (const char *p = src->text; *p != '\0';) {
		size_t i;

		for (i = 0; i < NELEM(roles); i++)
			if (strncmp(p, roles[i].mark, strlen(roles[i].mark)) == 0)
				break;
		if (i == NELEM(roles)) {
			(void)buf_addc(&named, *p++);
			continue;
		}
		if ((rc = add_user(dialect, roles[i].name, &named, e)) != RC_OK)
			goto out;
		p += strlen(roles[i].mark);
	}
	if ((rc = dialect_expand(dialect, prefix, buf_text(&named), 0, &text, e)) != RC_OK)
		goto out;
	if (text.n == 0)
		fputs("-- SQLite has no users: who may open the file may do everything. Let the "
		      "agent and the applications\n"
		      "-- share a group that owns the file (mode 0660) and its folder (2770), and "
		      "nobody else.\n",
		      out);
	write_statements(buf_text(&text), out);
	rc = written(out, e);
out:
	buf_free(&named);
	buf_free(&text);
	return rc;
}

/* ---- apply ---- */

/* On MySQL every statement about tables commits by itself: a broken run is made whole by the next.
 */
static bool
tables_in_transaction(const struct schema_db *db)
{
	return strcmp(db->dialect, "mysql") != 0;
}

static enum rc
run_script(const struct schema_db *db, const char *name, struct err *e)
{
	struct buf text;
	struct buf one;
	const char *at;
	const char *s;
	size_t n;
	enum rc rc;

	buf_init(&text, SCRIPT_BYTES);
	buf_init(&one, SCRIPT_BYTES);
	rc = script_add(db->dialect, db->prefix, name, &text, e);
	at = buf_text(&text);
	while (rc == RC_OK && (s = dialect_next_statement(&at, &n)) != NULL) {
		buf_clear(&one);
		if ((rc = buf_add(&one, s, n)) != RC_OK)
			rc = err_set(e, rc, 0, "schema", "no memory for a statement of %s.sql",
				     name);
		else
			rc = db->driver->exec_text(db->session, buf_text(&one), e);
	}
	buf_free(&one);
	buf_free(&text);
	return rc;
}

static enum rc
fill_codes(const struct schema_db *db, struct err *e)
{
	struct query q;
	enum rc rc;

	if ((rc = query_open(db, "code_set", &q, e)) != RC_OK)
		return rc;
	for (size_t i = 0; rc == RC_OK && result_at(i) != NULL; i++) {
		const struct result *r = result_at(i);
		struct db_value args[4] = { value_text(r->code),
					    value_text(result_class_name(r->class)),
					    value_text(r->name_en), value_text(r->name_ko) };

		rc = db->driver->exec(q.st, args, NULL, e);
	}
	query_close(&q);
	return rc;
}

static enum rc
set_version(const struct schema_db *db, int version, struct err *e)
{
	struct query q;
	struct db_value arg = { .type = DB_INT, .i = version };
	enum rc rc;

	if ((rc = query_open(db, "schema_version_set", &q, e)) != RC_OK)
		return rc;
	rc = db->driver->exec(q.st, &arg, NULL, e);
	query_close(&q);
	return rc;
}

/* One step in one transaction where the database can: a script, then (unless 0) the new version. */
static enum rc
run_step(const struct schema_db *db, const char *script, int version, struct err *e)
{
	bool is_open = tables_in_transaction(db);
	enum rc rc;

	if (is_open && (rc = db->driver->begin(db->session, e)) != RC_OK)
		return rc;
	rc = run_script(db, script, e);
	if (rc == RC_OK && version > 0)
		rc = set_version(db, version, e);
	if (rc == RC_OK && is_open)
		rc = db->driver->commit(db->session, e);
	if (rc != RC_OK && is_open)
		db->driver->rollback(db->session);
	return rc;
}

enum rc
schema_apply(const struct schema_db *db, int *from, struct err *e)
{
	char step[24];
	int version;
	enum rc rc;

	if ((rc = schema_version(db, &version, e)) != RC_OK)
		return rc;
	if (from != NULL)
		*from = version;
	if (version > STORE_SCHEMA_VERSION)
		return schema_require(version, db->prefix, e);
	if (version == 0 && (rc = run_step(db, "create", 0, e)) != RC_OK)
		return rc;
	for (int next = version + 1; version > 0 && next <= STORE_SCHEMA_VERSION; next++) {
		(void)snprintf(step, sizeof step, "upgrade-%02d", next);
		if ((rc = run_step(db, step, next, e)) != RC_OK)
			return rc;
	}
	if ((rc = run_step(db, "views", 0, e)) != RC_OK)
		return rc;
	if ((rc = db->driver->begin(db->session, e)) != RC_OK)
		return rc;
	rc = fill_codes(db, e);
	if (rc == RC_OK)
		rc = db->driver->commit(db->session, e);
	if (rc != RC_OK)
		db->driver->rollback(db->session);
	return rc;
}

/* ---- check ---- */

struct check {
	const struct schema_db *db;
	void (*say)(void *ctx, const struct schema_finding *f);
	void *ctx;
	unsigned fails;
	char thing[2 * NAME_BYTES + 16];

	const char *table; /* short name, and with the prefix */
	char full[NAME_BYTES];
	bool is_there, lacks_table;
	unsigned long long seen; /* bit by place among the facts of this table */
	unsigned texts,
		odd_texts; /* columns of text, and those of another character set than utf8mb4 */
	char odd_charset[40];
	char odd_column[NAME_BYTES];
	char index[NAME_BYTES]; /* the index whose columns are being collected */
	char index_columns[400];
	bool index_is_unique, index_is_partial;
	bool has_statement_binlog, has_binlog;
};

static void PRINTF_LIKE(3, 4)
	finding(struct check *k, enum schema_level level, const char *fmt, ...)
{
	char text[640];
	struct schema_finding f = { level, k->thing, text };
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (level == SCHEMA_FAIL)
		k->fails++;
	k->say(k->ctx, &f);
}

static void PRINTF_LIKE(2, 3) about(struct check *k, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(k->thing, sizeof k->thing, fmt, ap);
	va_end(ap);
}

static const char *
kind_text(const struct column_fact *c, char *buf, size_t size)
{
	switch (c->kind) {
	case KIND_INT:
		(void)snprintf(buf, size, "a whole number of %" PRId64 " bytes", c->least);
		break;
	case KIND_TEXT:
		(void)snprintf(buf, size, "a text of %" PRId64 " characters", c->least);
		break;
	case KIND_TIME:
		(void)snprintf(buf, size, "a point in time with milliseconds");
		break;
	case KIND_BLOB:
		(void)snprintf(buf, size, "bytes");
		break;
	}
	return buf;
}

static bool
kind_fits(const struct check *k, const struct column_fact *c, const char *kind)
{
	switch (c->kind) {
	case KIND_INT:
		return strcmp(kind, "int") == 0;
	case KIND_TEXT:
		return strcmp(kind, "text") == 0;
	case KIND_TIME: /* SQLite keeps times as text */
		return strcmp(kind, strcmp(k->db->dialect, "sqlite") == 0 ? "text" : "time") == 0;
	case KIND_BLOB:
		return strcmp(kind, "blob") == 0;
	}
	return false;
}

/* Columns that decide whether two rows are the same: "a" and "A" must differ. */
static bool
is_key(const char *column)
{
	return strcmp(column, "req_key") == 0 || strcmp(column, "client_key") == 0 ||
	       strcmp(column, "provider_id") == 0;
}

static void
check_charset(struct check *k, const char *column, const char *charset, const char *collation)
{
	size_t n = strlen(collation);

	if (charset[0] == '\0')
		return;
	k->texts++;
	if (strcmp(charset, "utf8mb4") != 0) {
		if (k->odd_texts++ == 0) {
			(void)text_copy(k->odd_charset, sizeof k->odd_charset, charset);
			(void)text_copy(k->odd_column, sizeof k->odd_column, column);
		}
	}
	if (is_key(column) && (n < 4 || strcmp(collation + n - 4, "_bin") != 0)) {
		about(k, "column %s.%s", k->full, column);
		finding(k, SCHEMA_WARN,
			"compares by %s, so that keys that differ in case only are one key: change "
			"the column to COLLATE "
			"utf8mb4_bin",
			collation);
	}
}

static void
check_column(void *ctx, const struct db_value *cols)
{
	struct check *k = ctx;
	const char *name = cols[0].p;
	const char *kind = cols[1].p;
	int64_t length = cols[2].i;
	const struct column_fact *c = NULL;
	char want[64];
	unsigned bit = 0;

	for (size_t i = 0; i < NELEM(columns); i++) {
		if (strcmp(columns[i].table, k->table) != 0)
			continue;
		if (text_equal_nocase(name, strlen(name), columns[i].name)) {
			c = &columns[i];
			break;
		}
		bit++;
	}
	about(k, "column %s.%s", k->full, name);
	if (c == NULL) {
		if (cols[3].i != 0 && agent_inserts(k->table))
			finding(k, SCHEMA_FAIL,
				"is not one of mtrelay's and has no default, so that each INSERT "
				"of the agent would fail: allow "
				"NULL or give it a default");
		return;
	}
	k->seen |= 1ULL << bit;
	if (!kind_fits(k, c, kind))
		finding(k, SCHEMA_FAIL,
			"is of type %s and has to be %s: alter it to what \"mtrelayctl schema "
			"--print\" says",
			kind, kind_text(c, want, sizeof want));
	else if ((length != 0 || strcmp(kind, "time") == 0) && length < c->least)
		finding(k, SCHEMA_FAIL,
			"is too short (%" PRId64
			") and has to be %s: alter it to what \"mtrelayctl schema --print\" says",
			length, kind_text(c, want, sizeof want));
	check_charset(k, c->name, cols[4].p, cols[5].p);
}

static void
check_missing_columns(struct check *k)
{
	char want[64];
	unsigned bit = 0;

	for (size_t i = 0; i < NELEM(columns); i++) {
		if (strcmp(columns[i].table, k->table) != 0)
			continue;
		if ((k->seen & 1ULL << bit++) != 0)
			continue;
		about(k, "column %s.%s", k->full, columns[i].name);
		finding(k, SCHEMA_FAIL,
			"is missing and has to be %s: add it as \"mtrelayctl schema --print\" says",
			kind_text(&columns[i], want, sizeof want));
	}
}

static bool
index_serves(const struct check *k, const struct index_fact *x)
{
	size_t n = strlen(x->columns);

	if (strncmp(k->index_columns, x->columns, n) != 0)
		return false;
	if (x->kind == INDEX_UNIQUE)
		return k->index_is_unique && !k->index_is_partial && k->index_columns[n] == '\0';
	if (k->index_is_partial && x->kind != INDEX_PARTIAL)
		return false;
	return k->index_columns[n] == '\0' || k->index_columns[n] == ',';
}

static void
index_done(struct check *k)
{
	unsigned bit = 0;

	for (size_t i = 0; k->index[0] != '\0' && i < NELEM(indexes); i++) {
		if (strcmp(indexes[i].table, k->table) != 0)
			continue;
		if (index_serves(k, &indexes[i]))
			k->seen |= 1ULL << bit;
		bit++;
	}
	k->index[0] = '\0';
	k->index_columns[0] = '\0';
}

static void
check_index_column(void *ctx, const struct db_value *cols)
{
	struct check *k = ctx;
	size_t n;

	if (strcmp(k->index, cols[0].p) != 0) {
		index_done(k);
		(void)text_copy(k->index, sizeof k->index, cols[0].p);
	}
	k->index_is_unique = cols[1].i != 0;
	k->index_is_partial = cols[4].i != 0;
	n = strlen(k->index_columns);
	(void)snprintf(k->index_columns + n, sizeof k->index_columns - n, "%s%s", n > 0 ? ", " : "",
		       cols[3].p);
	for (char *p = k->index_columns + n; *p != '\0'; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
}

static void
check_missing_indexes(struct check *k)
{
	unsigned bit = 0;

	index_done(k);
	for (size_t i = 0; i < NELEM(indexes); i++) {
		const struct index_fact *x = &indexes[i];

		if (strcmp(x->table, k->table) != 0)
			continue;
		if ((k->seen & 1ULL << bit++) != 0)
			continue;
		about(k, "table %s", k->full);
		finding(k, x->level,
			"has no %sindex on (%s), needed for %s: CREATE %sINDEX %six_%s ON %s (%s)",
			x->kind == INDEX_UNIQUE ? "unique " : "", x->columns, x->purpose,
			x->kind == INDEX_UNIQUE ? "UNIQUE " : "", k->db->prefix, x->name, k->full,
			x->columns);
	}
}

static void
check_storage(void *ctx, const struct db_value *cols)
{
	struct check *k = ctx;
	const char *engine = cols[1].p;
	const char *format = cols[2].p;

	k->is_there = strcmp(cols[0].p, "table") == 0;
	about(k, "table %s", k->full);
	if (!k->is_there)
		finding(k, SCHEMA_FAIL,
			"is a view: the agent needs a table of this name, or another "
			"database.prefix");
	else if (strcmp(engine, "UNLOGGED") == 0)
		finding(k, SCHEMA_FAIL,
			"is UNLOGGED and empty after a crash: ALTER TABLE %s SET LOGGED", k->full);
	else if (engine[0] != '\0' && strcmp(engine, "InnoDB") != 0)
		finding(k, SCHEMA_FAIL,
			"is stored by %s, which knows no transactions: ALTER TABLE %s "
			"ENGINE=InnoDB",
			engine, k->full);
	else if (format[0] != '\0' && strcmp(format, "Dynamic") != 0 &&
		 strcmp(format, "Compressed") != 0 &&
		 (strcmp(k->table, "send") == 0 || strcmp(k->table, "result") == 0))
		finding(k, SCHEMA_WARN,
			"has the row format %s, in which a row with all long texts filled is "
			"refused: set innodb_file_format = "
			"Barracuda, then ALTER TABLE %s ROW_FORMAT=DYNAMIC",
			format, k->full);
}

static void
check_obstacle(void *ctx, const struct db_value *cols)
{
	struct check *k = ctx;
	const char *kind = cols[0].p;

	about(k, "%s %s", kind, cols[1].p);
	if (strcmp(kind, "trigger") == 0)
		finding(k, SCHEMA_WARN,
			"runs inside the agent's transactions on %s (%s): if it fails, a message "
			"waits in HELD; if it is slow, "
			"everything is",
			k->full, cols[2].p);
	else if (strcmp(kind, "foreign key") == 0)
		finding(k, SCHEMA_WARN,
			"goes from %s: where it forbids that a row of %s comes or goes, that "
			"message waits in HELD; drop it, or "
			"let it cascade",
			cols[2].p, k->full);
	else if (strcmp(kind, "rule") == 0)
		finding(k, SCHEMA_FAIL,
			"rewrites statements on %s, so that row counts mean nothing: drop the rule",
			k->full);
	else
		finding(k, SCHEMA_WARN,
			"is on for %s: the agent must see and change all rows; exempt its user",
			k->full);
}

static enum rc
check_table(struct check *k, const char *table, struct err *e)
{
	unsigned fails = k->fails;
	unsigned has_columns = 0;
	enum rc rc;

	k->table = table;
	k->is_there = false;
	(void)snprintf(k->full, sizeof k->full, "%s%s", k->db->prefix, table);
	if ((rc = query_each(k->db, "check_table", k->full, check_storage, k, e)) != RC_OK)
		return rc;
	if (!k->is_there) {
		k->lacks_table = true;
		about(k, "table %s", k->full);
		if (k->fails == fails)
			finding(k, SCHEMA_FAIL,
				"is missing, or this user has no right on it: make the tables "
				"(mtrelayctl schema --apply) and "
				"give the rights (mtrelayctl schema --grants)");
		return RC_OK;
	}
	k->seen = 0;
	k->texts = k->odd_texts = 0;
	if ((rc = query_each(k->db, "check_columns", k->full, check_column, k, e)) != RC_OK)
		return rc;
	for (unsigned long long b = k->seen; b != 0; b &= b - 1)
		has_columns++;
	check_missing_columns(k);
	if (k->odd_texts > 0) {
		about(k, "table %s", k->full);
		finding(k, SCHEMA_WARN,
			"%u of %u texts are not utf8mb4 (column %s is %s), so that emoji and rare "
			"characters are refused or lost: "
			"ALTER TABLE %s CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
			k->odd_texts, k->texts, k->odd_column, k->odd_charset, k->full);
	}
	k->seen = 0;
	k->index[0] = k->index_columns[0] = '\0';
	if ((rc = query_each(k->db, "check_indexes", k->full, check_index_column, k, e)) != RC_OK)
		return rc;
	check_missing_indexes(k);
	if (strcmp(table, "send") == 0 || strcmp(table, "result") == 0)
		rc = query_each(k->db, "check_obstacles", k->full, check_obstacle, k, e);
	about(k, "table %s", k->full);
	if (rc == RC_OK && k->fails == fails)
		finding(k, SCHEMA_OK, "has its %u columns and its indexes", has_columns);
	return rc;
}

static void
note_view(void *ctx, const struct db_value *cols)
{
	struct check *k = ctx;

	k->is_there = strcmp(cols[0].p, "view") == 0;
}

static enum rc
check_views(struct check *k, struct err *e)
{
	for (size_t i = 0; i < NELEM(views); i++) {
		enum rc rc;

		k->is_there = false;
		(void)snprintf(k->full, sizeof k->full, "%s%s", k->db->prefix, views[i]);
		if ((rc = query_each(k->db, "check_table", k->full, note_view, k, e)) != RC_OK)
			return rc;
		about(k, "view %s", k->full);
		if (!k->is_there)
			finding(k, SCHEMA_WARN,
				"is missing, or this user has no right on it: \"mtrelayctl schema "
				"--apply\" makes it");
	}
	return RC_OK;
}

static void
check_setting(void *ctx, const struct db_value *cols)
{
	struct check *k = ctx;
	const char *name = cols[0].p;
	const char *value = cols[1].p;

	about(k, "setting %s", name);
	if (strcmp(name, "character_set_client") == 0 ||
	    strcmp(name, "character_set_connection") == 0 ||
	    strcmp(name, "character_set_results") == 0) {
		if (strcmp(value, "utf8mb4") != 0)
			finding(k, SCHEMA_FAIL,
				"is %s on this connection and has to be utf8mb4, or texts are "
				"garbled: with driver odbc write "
				"Charset=utf8mb4 into database.connection",
				value);
	} else if (strcmp(name, "client_encoding") == 0) {
		if (strcmp(value, "UTF8") != 0)
			finding(k, SCHEMA_FAIL,
				"is %s on this connection and has to be UTF8, or texts are "
				"garbled: use the Unicode driver "
				"(psqlodbcw.so)",
				value);
	} else if (strcmp(name, "character_set_database") == 0) {
		finding(k, SCHEMA_OK, "is %s; the tables have their own", value);
	} else if (strcmp(name, "server_encoding") == 0) {
		finding(k, strcmp(value, "UTF8") == 0 ? SCHEMA_OK : SCHEMA_WARN, "is %s%s", value,
			strcmp(value, "UTF8") == 0
				? ""
				: ": a text with a character outside of it is refused at INSERT");
	} else if (strcmp(name, "transaction_read_only") == 0) {
		if (strcmp(value, "on") == 0)
			finding(k, SCHEMA_FAIL,
				"is on: this server is a standby or read-only; connect to the "
				"primary");
	} else if (strcmp(name, "read_only") == 0) {
		if (strcmp(value, "ON") == 0)
			finding(k, SCHEMA_FAIL,
				"is ON: this server is a replica or read-only; connect to the "
				"primary");
	} else if (strcmp(name, "log_bin") == 0) {
		k->has_binlog = strcmp(value, "ON") == 0;
	} else if (strcmp(name, "binlog_format") == 0) {
		k->has_statement_binlog = strcmp(value, "STATEMENT") == 0;
	} else if (strcmp(name, "system_time_zone") == 0 || strcmp(name, "TimeZone") == 0) {
		finding(k, SCHEMA_OK,
			"is %s; a literal time means that of the session that writes it", value);
	} else if (strcmp(name, "sqlite_version") == 0) {
		finding(k, SCHEMA_OK, "is %s", value);
	}
}

static enum rc
check_settings(struct check *k, struct err *e)
{
	enum rc rc = query_each(k->db, "check_settings", "", check_setting, k, e);

	if (rc != RC_OK)
		return rc;
	about(k, "setting binlog_format");
	if (k->has_binlog && k->has_statement_binlog)
		finding(k, SCHEMA_FAIL,
			"is STATEMENT, with which InnoDB refuses the agent's changes (READ "
			"COMMITTED): set binlog_format = ROW "
			"on the server");
	return RC_OK;
}

static void
note_clock(void *ctx, const struct db_value *cols)
{
	struct check *k = ctx;
	int64_t ms = cols[0].i;

	about(k, "clock");
	if (ms > CLOCK_OFF_MS || ms < -CLOCK_OFF_MS)
		finding(k, SCHEMA_WARN,
			"the database's is %" PRId64
			" s %s this host's: all due times go by the database's; synchronise both "
			"(chrony, NTP)",
			(ms < 0 ? -ms : ms) / 1000, ms < 0 ? "behind" : "ahead of");
	else
		finding(k, SCHEMA_OK, "of database and host agree");
}

static enum rc
check_clock(struct check *k, struct err *e)
{
	char now[32];

	(void)clock_wall_text(now, sizeof now);
	now[10] = ' ';
	now[23] = '\0';
	return query_each(k->db, "check_clock", now, note_clock, k, e);
}

/* The first word of a statement, and the last table that it names. */
static void
statement_label(const char *s, size_t n, char *verb, size_t verb_size, char *table,
		size_t table_size)
{
	size_t len = strcspn(s, " \n");
	const char *open = NULL;

	(void)text_copy_n(verb, verb_size, s, len);
	for (size_t i = 0; i < n; i++)
		if (s[i] == '{') {
			if (open != NULL)
				(void)text_copy(verb, verb_size, "reading");
			open = s + i + 1;
		}
	table[0] = '\0';
	if (open != NULL)
		(void)text_copy_n(table, table_size, open, strcspn(open, "}"));
}

static enum rc
try_statement(const struct schema_db *db, const char *s, size_t n, struct err *e)
{
	struct buf raw;
	struct buf text;
	enum rc rc;

	buf_init(&raw, SCRIPT_BYTES);
	buf_init(&text, SCRIPT_BYTES);
	if ((rc = buf_add(&raw, s, n)) != RC_OK)
		rc = err_set(e, rc, 0, "schema.check", "no memory for a statement");
	else if ((rc = dialect_expand(db->dialect, db->prefix, buf_text(&raw), 0, &text, e)) ==
		 RC_OK)
		rc = db->driver->exec_text(db->session, buf_text(&text), e);
	buf_free(&raw);
	buf_free(&text);
	return rc;
}

/* Each statement of check_write.sql; after a failure the next begins a new transaction. */
static enum rc
check_writes(struct check *k, struct err *e)
{
	const struct db_driver *driver = k->db->driver;
	const struct sql_source *src;
	struct err cause;
	unsigned fails = k->fails;
	char failed[NAME_BYTES] = "";
	const char *at;
	const char *s;
	size_t n;
	enum rc rc;

	if ((rc = source_find(k->db->dialect, "check_write", &src, e)) != RC_OK)
		return rc;
	if ((rc = driver->begin(k->db->session, e)) != RC_OK)
		return rc;
	at = src->text;
	while ((s = dialect_next_statement(&at, &n)) != NULL) {
		char verb[16];
		char table[NAME_BYTES];
		bool is_test_insert;

		memset(&cause, 0, sizeof cause);
		if ((rc = try_statement(k->db, s, n, &cause)) == RC_OK)
			continue;
		driver->rollback(k->db->session);
		if (rc != RC_DATA && rc != RC_CONFIG) {
			if (e != NULL)
				*e = cause;
			return rc;
		}
		statement_label(s, n, verb, sizeof verb, table, sizeof table);
		is_test_insert = strcmp(table, "send") == 0 && strcmp(verb, "INSERT") == 0;
		about(k, "table %s%s", table[0] != '\0' ? k->db->prefix : "", table);
		if (is_test_insert)
			finding(k, SCHEMA_WARN,
				"%s fails, so \"mtrelayctl send\" cannot insert a test message: %s",
				verb, cause.text);
		else if (strcmp(table, failed) != 0)
			finding(k, SCHEMA_FAIL,
				"%s fails when tried: %s; repair the trigger or the right "
				"(mtrelayctl schema --grants)",
				verb, cause.text);
		if (!is_test_insert)
			(void)text_copy(failed, sizeof failed, table);
		if ((rc = driver->begin(k->db->session, e)) != RC_OK)
			return rc;
	}
	driver->rollback(k->db->session);
	about(k, "rights");
	if (k->fails == fails)
		finding(k, SCHEMA_OK, "every change that the agent makes was tried and taken back");
	return RC_OK;
}

enum rc
schema_check(const struct schema_db *db, void (*say)(void *ctx, const struct schema_finding *f),
	     void *ctx, unsigned *fails, struct err *e)
{
	struct check k = { .db = db, .say = say, .ctx = ctx };
	struct err cause;
	int version;
	enum rc rc;

	*fails = 0;
	if ((rc = schema_version(db, &version, e)) != RC_OK)
		return rc;
	about(&k, "schema");
	if (schema_require(version, db->prefix, &cause) != RC_OK)
		finding(&k, SCHEMA_FAIL, "%s", cause.text);
	else
		finding(&k, SCHEMA_OK, "tables %s... are of version %d", db->prefix, version);
	if (version == 0 || version > STORE_SCHEMA_VERSION)
		goto out;
	for (size_t i = 0; rc == RC_OK && i < NELEM(tables); i++)
		rc = check_table(&k, tables[i], e);
	if (rc == RC_OK)
		rc = check_views(&k, e);
	if (rc == RC_OK)
		rc = check_settings(&k, e);
	if (rc == RC_OK)
		rc = check_clock(&k, e);
	/* A deadlock with an agent at work is nobody's fault. */
	for (unsigned i = 0; rc == RC_OK && !k.lacks_table; i++) {
		rc = check_writes(&k, e);
		if (rc != RC_AGAIN || i == WRITE_TRIES)
			break;
		rc = RC_OK;
	}
out:
	*fails = k.fails;
	return rc;
}
