#include "config.h"
#include <stdio.h>
#include <string.h>
#include "drivers/db/limits.h"

static const struct {
	const char *dialect;
	const char *setting;
	bool in_seconds;
} limits[] = {
	{ "mysql", "SET SESSION innodb_lock_wait_timeout", true },
	{ "mysql", "SET SESSION max_statement_time", true }, /* MariaDB */
	{ "mysql", "SET SESSION max_execution_time",
	  false }, /* MySQL 5.7.8 and later, reading statements only */
	{ "postgresql", "SET statement_timeout", false },
	/* Between two statements of ours lie milliseconds: who is silent for longer in the middle
	 * of a transaction is frozen or its host is gone, and the rows that it has locked would
	 * wait for TCP to notice. */
	{ "mysql", "SET SESSION idle_transaction_timeout", true }, /* MariaDB */
	{ "postgresql", "SET idle_in_transaction_session_timeout", false },
};

unsigned
db_whole_seconds(unsigned ms)
{
	return ms / 1000 + (ms % 1000 != 0 ? 1 : 0);
}

bool
db_limit_text(const char *dialect, unsigned i, unsigned timeout_ms, char *buf, size_t size)
{
	for (size_t at = 0; timeout_ms != 0 && at < sizeof limits / sizeof limits[0]; at++) {
		if (strcmp(limits[at].dialect, dialect) != 0 || i-- != 0)
			continue;
		snprintf(buf, size, "%s = %u", limits[at].setting,
			 limits[at].in_seconds ? db_whole_seconds(timeout_ms) : timeout_ms);
		return true;
	}
	return false;
}
