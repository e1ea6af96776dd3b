/* mem.h - the driver "mem" of the tests: SQLite in our own process, and calls that fail on demand.
 *
 * Runs the SQL of the dialect "sqlite" without ODBC. A database is named by db_params.name: a path,
 * or ":memory:anything", which all sessions of the process share and which lives until
 * process_fini(). Sessions obey db.h; what stands here is for the test's main thread. Not part of
 * the product. */
#ifndef MTRELAY_MEM_H
#define MTRELAY_MEM_H
#include <stdbool.h>
#include "agent/err.h"

/* Puts the driver into the registry. */
void db_mem_register(void);

/* The k-th call from now (1 is the next; open, begin, commit, prepare, exec, exec_many, fetch and
 * exec_text count) fails once with class rc, before its work, or after it when after is true: then
 * only RC_LOST and RC_UNSURE make sense. What the class means at that call follows db.h: RC_LOST of
 * a commit is RC_UNSURE, RC_UNSURE of a read is RC_LOST, a lost session is rolled back. k 0 takes
 * the order back. */
void db_mem_fail_at(unsigned long k, enum rc rc, bool after);
/* Calls since the last db_mem_fail_at(); a torture loop ends when a run needs fewer than k. */
unsigned long db_mem_calls(void);

#endif
