/* schema.h - the tables themselves: prints, makes, upgrades and checks them.
 *
 * The tables stand in schema/<dialect>/create.sql; what the agent needs of them, for all dialects,
 * in schema/columns.def and schema/indexes.def. A session is borrowed for one call and no
 * transaction may be open in it; calls block, so they belong to a lane, to the start of mtrelayd or
 * to mtrelayctl. Findings are handed to the caller one by one and live only as long as that call.
 * Errors: RC_CONFIG with a sentence for the operator, RC_LOST and RC_UNSURE as the driver gives
 * them. */
#ifndef MTRELAY_SCHEMA_H
#define MTRELAY_SCHEMA_H
#include <stddef.h>
#include <stdio.h>
#include "agent/err.h"
#include "drivers/db/db.h"

struct schema_db {
	const struct db_driver *driver;
	struct db_session *session;
	const char *dialect; /* "mysql", "postgresql", "sqlite" */
	const char *prefix;  /* already checked as an identifier */
};

/* *version: 0 when the tables are not there or not complete. */
enum rc schema_version(const struct schema_db *db, int *version, struct err *e) MUST_USE;
/* RC_CONFIG, with one sentence that names both versions and the remedy, unless the tables are of
 * STORE_SCHEMA_VERSION. */
enum rc schema_require(int version, const char *prefix, struct err *e) MUST_USE;

/* Tables, codes and views as a script for the native client of that database, UTF-8. */
enum rc schema_script(const char *dialect, const char *prefix, FILE *out, struct err *e) MUST_USE;
/* User names; MySQL: name or name@host ("relay@10.0.0.%"), host % when it is left out. NULL: the
 * usual name. */
struct schema_roles {
	const char *agent;	 /* mtrelay */
	const char *application; /* mtrelay_app */
	const char *reader;	 /* mtrelay_read */
};
enum rc schema_grants(const char *dialect, const char *prefix, const struct schema_roles *r,
		      FILE *out, struct err *e) MUST_USE;

/* Makes what is missing, upgrades what is older step by step, refuses what is newer; codes and
 * views are made anew. May be run again at any time. *from (may be NULL) is the version that was
 * met. */
enum rc schema_apply(const struct schema_db *db, int *from, struct err *e) MUST_USE;

enum schema_level { SCHEMA_OK, SCHEMA_WARN, SCHEMA_FAIL };
struct schema_finding {
	enum schema_level level;
	const char *thing; /* "table mt_send", "column mt_send.body", "server" */
	const char *text;  /* one sentence, with the remedy unless it is OK */
};
/* Looks at tables, columns, indexes, character sets, triggers and keys in the way, settings and
 * clock, and tries every kind of write in a transaction that is rolled back. RC_OK also when there
 * are findings: *fails counts SCHEMA_FAIL. */
enum rc schema_check(const struct schema_db *db,
		     void (*say)(void *ctx, const struct schema_finding *f), void *ctx,
		     unsigned *fails, struct err *e) MUST_USE;

#endif
