#include "config.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "drivers/db/odbc_diag.h"

void
odbc_diag_read(SQLSMALLINT type, SQLHANDLE handle, struct odbc_diag *d)
{
	memset(d, 0, sizeof *d);
	for (SQLSMALLINT i = 1; i < 16; i++) {
		struct odbc_diag r = { .native = 0 };
		SQLINTEGER native = 0;
		SQLSMALLINT len;
		SQLRETURN ret = SQLGetDiagRec(type, handle, i, (SQLCHAR *)r.sqlstate, &native,
					      (SQLCHAR *)r.text, sizeof r.text, &len);

		if (!SQL_SUCCEEDED(ret))
			break;
		r.native = (int)native;
		if (i == 1)
			*d = r;
		if (strncmp(r.sqlstate, "01", 2) != 0) {
			*d = r;
			break;
		}
	}
}

const char *
odbc_plain_text(const struct odbc_diag *d)
{
	const char *text = d->text;

	while (*text == '[') {
		const char *end = strchr(text, ']');

		if (end == NULL)
			break;
		text = end + 1;
	}
	return text;
}

static const struct db_fact lost_fact = { RC_LOST, false, "" };
static const struct db_fact login_fact = { RC_CONFIG, false,
					   "check database.user and database.password_file" };
static const struct db_fact name_fact = { RC_CONFIG, false,
					  "check database.connection and database.user" };
static const struct db_fact tls_fact = {
	RC_CONFIG, false,
	"check the TLS settings in database.connection and the server's certificate"
};
static const struct db_fact reach_fact = {
	RC_LOST, false, "check that the server runs, and host and port in database.connection"
};

const struct db_fact *
odbc_fact(enum odbc_product product, const struct odbc_diag *d, bool dead)
{
	const struct db_fact *f = NULL;

	switch (product) {
	case ODBC_MYSQL:
		f = d->native >= 1000 ? db_fact_mysql(d->native, d->sqlstate)
				      : db_fact_sqlstate(d->sqlstate);
		break;
	case ODBC_SQLITE:
		/* The driver says HY000 to everything; the driver manager says IM and HY with
		 * native 0. */
		f = d->native > 0 ? db_fact_sqlite(d->native) : db_fact_sqlstate(d->sqlstate);
		break;
	case ODBC_POSTGRESQL:
	case ODBC_OTHER:
		f = db_fact_sqlstate(d->sqlstate);
		break;
	}
	/* psqlODBC says HY000 to some cuts in the middle of an answer. */
	if (dead && (f == NULL || f->rc == RC_CONFIG || f->rc == RC_BUG))
		return &lost_fact;
	return f != NULL ? f : db_fact_unknown();
}

/* psqlODBC gives 08001 to every refusal and only the text tells them apart; where the server speaks
 * another language the refusal stays LOST, which is repeated and shown as well. */
static const struct db_fact *
postgresql_connect_fact(const char *text)
{
	static const struct {
		const char *word;
		const struct db_fact *fact;
	} words[] = {
		{ "password authentication failed", &login_fact },
		{ "no password supplied", &login_fact },
		{ "authentication failed", &login_fact },
		{ "no pg_hba.conf entry", &login_fact },
		{ "pg_hba.conf rejects", &login_fact },
		{ "is not permitted to log in", &login_fact },
		{ "permission denied for database", &login_fact },
		{ "does not exist", &name_fact },
		{ "certificate", &tls_fact },
		{ "server does not support SSL", &tls_fact },
		{ "invalid sslmode", &tls_fact },
		{ "could not read root", &tls_fact },
		{ "does not match host name", &tls_fact },
		{ "invalid connection option", &name_fact },
	};

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		if (strstr(text, words[i].word) != NULL)
			return words[i].fact;
	}
	return &reach_fact;
}

const struct db_fact *
odbc_connect_fact(const struct odbc_diag *d)
{
	const struct db_fact *f;

	if (d->native >= 1000)
		return db_fact_mysql(d->native, d->sqlstate);
	if (strstr(d->text, "[SQLite]") != NULL && d->native > 0)
		return db_fact_sqlite(d->native);
	if (strncmp(d->sqlstate, "HYT", 3) == 0)
		return &reach_fact;
	if (strcmp(d->sqlstate, "08001") == 0 || strcmp(d->sqlstate, "08S01") == 0)
		return postgresql_connect_fact(odbc_plain_text(d));
	/* The driver manager reports a library that it cannot load as a warning. */
	if (strncmp(d->sqlstate, "01", 2) == 0)
		return db_fact_sqlstate("IM003");
	f = db_fact_sqlstate(d->sqlstate);
	return f != NULL ? f : db_fact_unknown();
}

enum odbc_product
odbc_product_find(const char *dbms_name)
{
	if (strcasestr(dbms_name, "mariadb") != NULL || strcasestr(dbms_name, "mysql") != NULL)
		return ODBC_MYSQL;
	if (strcasestr(dbms_name, "postgres") != NULL)
		return ODBC_POSTGRESQL;
	if (strcasestr(dbms_name, "sqlite") != NULL)
		return ODBC_SQLITE;
	return ODBC_OTHER;
}

const char *
odbc_dialect(enum odbc_product product)
{
	switch (product) {
	case ODBC_MYSQL:
		return "mysql";
	case ODBC_POSTGRESQL:
		return "postgresql";
	case ODBC_SQLITE:
		return "sqlite";
	case ODBC_OTHER:
		break;
	}
	return "";
}
