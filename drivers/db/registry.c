#include "config.h"
#include <string.h>
#include "drivers/db/registry.h"

#ifdef HAVE_MYSQL
extern const struct db_driver db_mysql;
#endif
#ifdef HAVE_ODBC
extern const struct db_driver db_odbc;
#endif

/* One place is left for a test's driver. */
static const struct db_driver *drivers[] = {
#ifdef HAVE_MYSQL
	&db_mysql,
#endif
#ifdef HAVE_ODBC
	&db_odbc,
#endif
	NULL,
};

static const char names[] = ""
#ifdef HAVE_MYSQL
			    "mysql"
#endif
#if defined HAVE_MYSQL && defined HAVE_ODBC
			    ", "
#endif
#ifdef HAVE_ODBC
			    "odbc"
#endif
	;

void
db_driver_add(const struct db_driver *d)
{
	drivers[sizeof drivers / sizeof drivers[0] - 1] = d;
}

const struct db_driver *
db_driver_find(const char *name)
{
	for (size_t i = 0; i < sizeof drivers / sizeof drivers[0]; i++) {
		if (drivers[i] != NULL && strcmp(drivers[i]->name, name) == 0)
			return drivers[i];
	}
	return NULL;
}

const char *
db_driver_names(void)
{
	return names;
}
