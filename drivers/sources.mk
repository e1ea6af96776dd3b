# drivers/sources.mk - database and channel drivers.
#
# Add a file: put its .c and .h into the list that fits, one line each. What needs the MySQL client or unixODBC stands
# below its condition (config.h has HAVE_MYSQL and HAVE_ODBC too). drivers/db/mem.c is for tests: tests/sources.mk.

# contracts, registries, channels
libmtrelay_a_SOURCES += \
	drivers/channel/channel.h \
	drivers/channel/drivers.h \
	drivers/channel/http.c \
	drivers/channel/http.h \
	drivers/channel/http_setup.c \
	drivers/channel/http_setup.h \
	drivers/channel/infobip.c \
	drivers/channel/infobip_ask.c \
	drivers/channel/infobip_build.c \
	drivers/channel/infobip_codec.c \
	drivers/channel/infobip_codec.h \
	drivers/channel/infobip_driver.h \
	drivers/channel/isotime.c \
	drivers/channel/isotime.h \
	drivers/channel/null.c \
	drivers/channel/pace.c \
	drivers/channel/pace.h \
	drivers/channel/registry.c \
	drivers/channel/smpp.c \
	drivers/channel/smpp_pdu.c drivers/channel/smpp_pdu.h \
	drivers/channel/smpp_receipt.c drivers/channel/smpp_receipt.h \
	drivers/channel/smpp_session.c drivers/channel/smpp_session.h \
	drivers/channel/smpp_setup.c drivers/channel/smpp_setup.h \
	drivers/channel/smpp_status.def drivers/channel/smpp_words.def \
	drivers/channel/smpp_text.c drivers/channel/smpp_text.h \
	drivers/channel/stream.c drivers/channel/stream.h \
	drivers/db/db.h \
	drivers/db/errmap.c drivers/db/errmap.h \
	drivers/db/errors_mysql.def drivers/db/errors_sqlite.def drivers/db/errors_sqlstate.def \
	drivers/db/limits.c drivers/db/limits.h \
	drivers/db/registry.c drivers/db/registry.h \
	drivers/db/tx.c drivers/db/tx.h \
	drivers/versions.c \
	drivers/versions.h

if HAVE_MYSQL
libmtrelay_a_SOURCES += \
	drivers/db/mysql.c
endif

if HAVE_ODBC
libmtrelay_a_SOURCES += \
	drivers/db/odbc.c \
	drivers/db/odbc_diag.c drivers/db/odbc_diag.h
endif

