/* odbc_diag.h - diagnostics of unixODBC and its drivers, and what they mean for each product.
 *
 * Pure but for reading a handle's diagnostic records, which must happen before any other call on
 * the handle (asking for the row count replaces them). The thread that owns the handle; nothing is
 * freed. */
#ifndef MTRELAY_ODBC_DIAG_H
#define MTRELAY_ODBC_DIAG_H
#include <sql.h>
#include <sqlext.h>
#include <stdbool.h>
#include "drivers/db/errmap.h"

enum odbc_product { ODBC_OTHER, ODBC_MYSQL, ODBC_POSTGRESQL, ODBC_SQLITE };

struct odbc_diag {
	char sqlstate[6];
	int native;
	char text[512];
};

/* The first record that is not a mere warning, else the first; "" and 0 when there is none. */
void odbc_diag_read(SQLSMALLINT type, SQLHANDLE handle, struct odbc_diag *d);
/* The message behind the driver's name: "[ma-3.1.15][10.11.6-MariaDB]Unknown table" without its
 * brackets. */
const char *odbc_plain_text(const struct odbc_diag *d);
/* What d means. dead tells that the driver reports the connection as dead. */
const struct db_fact *odbc_fact(enum odbc_product product, const struct odbc_diag *d, bool dead);
/* What a refused SQLDriverConnect() means, the product not being known yet. */
const struct db_fact *odbc_connect_fact(const struct odbc_diag *d);
/* ODBC_POSTGRESQL for "PostgreSQL" and so on. */
enum odbc_product odbc_product_find(const char *dbms_name);
const char *odbc_dialect(enum odbc_product product);

#endif
