/* limits.h - the statements that ask a server for our time-outs, for both ways to it: how long a
 * statement may take, wait for a lock, and how long a transaction of ours may stand idle.
 *
 * Pure; any thread; nothing is freed. A server that does not know one of them refuses it as CONFIG,
 * which the drivers take for "no such limit": MariaDB and the versions of MySQL know different
 * ones. */
#ifndef MTRELAY_LIMITS_H
#define MTRELAY_LIMITS_H
#include <stdbool.h>
#include <stddef.h>

/* Writes the i-th statement for the dialect into buf; false when there are no more. timeout_ms is
 * rounded up to whole seconds where the server counts in them. */
bool db_limit_text(const char *dialect, unsigned i, unsigned timeout_ms, char *buf, size_t size);
unsigned db_whole_seconds(unsigned ms);

#endif
