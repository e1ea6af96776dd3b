/* err.h - the failure classes and the error record.
 *
 * The class decides the reaction, the record explains it. The function nearest to the cause fills
 * the record, the function that handles the failure logs it, nobody does both. Any thread; a
 * record belongs to its caller and owns nothing. */
#ifndef MTRELAY_ERR_H
#define MTRELAY_ERR_H

#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define MUST_USE __attribute__((warn_unused_result))

enum rc {
	RC_OK = 0,
	RC_AGAIN,  /* the same call, later: deadlock, lock time-out, full; nothing was changed */
	RC_LOST,   /* the session is gone and nothing was committed: close, reopen */
	RC_UNSURE, /* the other side may have acted: read back, never repeat blindly */
	RC_DATA,   /* this row is bad: set it aside, go on with the others */
	RC_CONFIG, /* an operator must act: login, table, certificate, file */
	RC_NOMEM,  /* postpone; keep what is in flight */
	RC_BUG,	   /* we broke a rule of our own */
};

struct err {
	enum rc rc;
	int native;	   /* the library's own number, 0 when it has none */
	char sqlstate[6];  /* "" when it has none */
	const char *where; /* static text: "odbc.open" */
	char text[256];	   /* one sentence: what, where, remedy; no message text, no whole number */
};

/* Fills e (which may be NULL) and returns rc, so that a failing function can end in one line. */
enum rc err_set(struct err *e, enum rc rc, int native, const char *where, const char *fmt, ...)
	PRINTF_LIKE(5, 6);
#ifdef __clang_analyzer__
/* The analyser looks at one file only: without this it follows failures that return RC_OK. */
#define err_set(e, class, ...) (err_set(e, class, __VA_ARGS__), (class))
#endif

/* "LOST" for RC_LOST; never NULL. */
const char *rc_name(enum rc rc);

#endif
