/* codemap.h - provider codes to ours: data from a file, not code.
 *
 * A map belongs to whoever read it, is immutable after that and may be read by any thread. The rows
 * and their classes are described in etc/codes/infobip.codes; a copy of each such file is in the
 * program, so that nothing has to be installed for the default. Errors are RC_CONFIG with file and
 * line. */
#ifndef MTRELAY_CODEMAP_H
#define MTRELAY_CODEMAP_H
#include <stdbool.h>
#include <stddef.h>
#include "agent/err.h"
#include "agent/message.h"

struct codemap;

enum code_class {
	CODE_OK,
	CODE_FAIL,
	CODE_PENDING,
	CODE_AGAIN,	/* this attempt was refused, another may be taken */
	CODE_STOP,	/* nothing is taken until somebody acts */
	CODE_ROUTE,	/* no route: for this message, or for all */
	CODE_DUPLICATE, /* the provider had the key before */
};

struct code_verdict {
	enum code_class class;
	bool mapped;			/* false: code is 9099 or "", class by the group */
	char code[RESULT_CODE_LEN + 1]; /* "" with pending, when nothing is known */
};

/* Made at build time from etc/codes; ends with a NULL name. */
struct embedded_text {
	const char *name;
	const char *text;
};
extern const struct embedded_text embedded_texts[];

enum rc codemap_builtin(const char *name, struct codemap **out, struct err *e) MUST_USE;
enum rc codemap_read(const char *path, struct codemap **out, struct err *e) MUST_USE;
/* name stands for the file in sentences. */
enum rc codemap_parse(const char *name, const char *text, size_t n, struct codemap **out,
		      struct err *e) MUST_USE;
void codemap_free(struct codemap *c);

/* error 0: none. Always gives an answer. */
void codemap_judge(const struct codemap *c, const char *family, int group, int status, int error,
		   struct code_verdict *out);
/* Carrier of an mcc+mnc, NULL when it has no row. */
const char *codemap_network(const struct codemap *c, const char *family, const char *mccmnc);

#endif
