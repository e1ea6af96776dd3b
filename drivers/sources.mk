# drivers/sources.mk - database and channel drivers.
#
# Add a file: put its .c and .h into the list that fits, one line each. What needs the MySQL client or unixODBC stands
# below its condition (config.h has HAVE_MYSQL and HAVE_ODBC too). drivers/db/mem.c is for tests: tests/sources.mk.

# contracts, registries, channels
libmtrelay_a_SOURCES += \
	drivers/db/db.h

if HAVE_MYSQL
libmtrelay_a_SOURCES +=
endif

if HAVE_ODBC
libmtrelay_a_SOURCES +=
endif

