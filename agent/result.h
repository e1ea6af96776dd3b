/* result.h - the four-digit result codes with their class and names.
 *
 * The list stands in agent/result.def; mt_code is filled from it. Constant data and pure
 * functions, any thread, nothing to free. */
#ifndef MTRELAY_RESULT_H
#define MTRELAY_RESULT_H
#include <stddef.h>

enum result_class { RESULT_OK, RESULT_FAIL, RESULT_UNKNOWN };

struct result {
	const char *code;
	enum result_class class;
	const char *name_en;
	const char *name_ko; /* UTF-8 */
};

/* "OK", "FAIL", "UNKNOWN", as mt_result.result_class has them. */
const char *result_class_name(enum result_class c);
/* The i-th code in ascending order, NULL behind the last one. */
const struct result *result_at(size_t i);
/* NULL when mtrelay has no such code. */
const struct result *result_find(const char *code);
/* The English name; for a code that is not in the list "unknown code", never NULL. */
const char *result_text(const char *code);

#endif
