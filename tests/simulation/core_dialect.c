/* core_dialect.c - names written out once a text, not once a session: thousands of sessions a
 * second are opened here. */
#include "config.h"
#include <stdlib.h>
#include <string.h>
#define dialect_expand real_dialect_expand
#include "agent/dialect.c"
#undef dialect_expand

#define TEXTS 1024u

static struct {
	const char *text;
	size_t list_n;
	char *written;
} known[TEXTS];

enum rc dialect_expand(const char *dialect, const char *prefix, const char *text, size_t list_n,
		       struct buf *out, struct err *e);

enum rc
dialect_expand(const char *dialect, const char *prefix, const char *text, size_t list_n,
	       struct buf *out, struct err *e)
{
	size_t at = ((size_t)(uintptr_t)text / 16 + list_n) % TEXTS;
	enum rc rc;

	while (known[at].text != NULL && (known[at].text != text || known[at].list_n != list_n))
		at = (at + 1) % TEXTS;
	if (known[at].text == NULL) {
		rc = real_dialect_expand(dialect, prefix, text, list_n, out, e);
		if (rc != RC_OK)
			return rc;
		known[at].text = text;
		known[at].list_n = list_n;
		known[at].written = strdup(buf_text(out));
		return RC_OK;
	}
	return buf_addz(out, known[at].written);
}
