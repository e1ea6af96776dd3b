/* db_contract.h - the one conformance test that every database driver passes (the rules are in
 * drivers/db/db.h).
 *
 * Test programs only, main thread. The target's texts must outlive the run. */
#ifndef MTRELAY_DB_CONTRACT_H
#define MTRELAY_DB_CONTRACT_H
#include "drivers/db/db.h"

struct db_target {
	const char *title; /* "odbc: SQLite" */
	const char *driver;
	struct db_params params;
	/* The same database behind a proxy that cuts the connection when it meets certain words;
	 * has_proxy false leaves those cases out. */
	bool has_proxy;
	struct db_params proxy;
};

/* Makes and drops the tables mtr_contract and mtr_child. Returns the number of failed tests. */
int db_contract_run(const struct db_target *t);

#endif
