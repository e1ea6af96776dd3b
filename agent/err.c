#include "config.h"
#include <stdarg.h>
#include <stdio.h>
#include "agent/err.h"

enum rc(err_set)(struct err *e, enum rc rc, int native, const char *where, const char *fmt, ...)
{
	va_list ap;

	if (e == NULL)
		return rc;
	e->rc = rc;
	e->native = native;
	e->sqlstate[0] = '\0';
	e->where = where;
	va_start(ap, fmt);
	if (vsnprintf(e->text, sizeof e->text, fmt, ap) < 0)
		e->text[0] = '\0';
	va_end(ap);
	return rc;
}

const char *
rc_name(enum rc rc)
{
	switch (rc) {
	case RC_OK:
		return "OK";
	case RC_AGAIN:
		return "AGAIN";
	case RC_LOST:
		return "LOST";
	case RC_UNSURE:
		return "UNSURE";
	case RC_DATA:
		return "DATA";
	case RC_CONFIG:
		return "CONFIG";
	case RC_NOMEM:
		return "NOMEM";
	case RC_BUG:
		return "BUG";
	}
	return "?";
}
