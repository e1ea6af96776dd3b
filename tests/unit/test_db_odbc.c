/* SQLite through ODBC: the conformance test without a server. Skipped where libsqliteodbc is not
 * installed. */
#include "config.h"
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tests/unit/unit.h"
#include "tests/unit/db_contract.h"

#define EXIT_SKIP 77

static bool
find_library(char *path, size_t size)
{
	static const char *const patterns[] = { "/usr/lib/*/odbc/libsqlite3odbc*.so",
						"/usr/lib64/libsqlite3odbc*.so",
						"/usr/lib/odbc/libsqlite3odbc*.so",
						"/usr/local/lib/libsqlite3odbc*.so" };

	for (size_t i = 0; i < NELEM(patterns); i++) {
		glob_t g;
		bool found = glob(patterns[i], 0, NULL, &g) == 0 && g.gl_pathc > 0;

		if (found)
			snprintf(path, size, "%s", g.gl_pathv[0]);
		globfree(&g);
		if (found)
			return true;
	}
	return false;
}

int
main(void)
{
	struct db_target t = {
		.title = "odbc, SQLite",
		.driver = "odbc",
		.params = { .connect_timeout_ms = 5000, .statement_timeout_ms = 10000 },
	};
	char folder[] = "/tmp/mtrelay-odbc-XXXXXX", library[512], connection[700], path[64];
	int failed;

	if (db_driver_find("odbc") == NULL || !find_library(library, sizeof library)) {
		print_message("1..0 # SKIP no ODBC driver for SQLite (libsqliteodbc)\n");
		return EXIT_SKIP;
	}
	if (mkdtemp(folder) == NULL)
		return 1;
	snprintf(path, sizeof path, "%s/c.db", folder);
	snprintf(connection, sizeof connection, "Driver=%s;Database=%s;JournalMode=WAL;", library,
		 path);
	t.params.connection = connection;
	failed = db_contract_run(&t);
	for (size_t i = 0; i < 3; i++) {
		static const char *const ends[] = { "", "-wal", "-shm" };
		char file[80];

		snprintf(file, sizeof file, "%s%s", path, ends[i]);
		remove(file);
	}
	rmdir(folder);
	return failed;
}
