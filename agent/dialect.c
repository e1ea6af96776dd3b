#include "config.h"
#include "agent/dialect.h"
#include <ctype.h>
#include <string.h>
#include "agent/text.h"

#define NAME_MAX_BYTES 48

bool
dialect_is_known(const char *dialect)
{
	return strcmp(dialect, "mysql") == 0 || strcmp(dialect, "postgresql") == 0 ||
	       strcmp(dialect, "sqlite") == 0;
}

static void
add_list(struct buf *out, size_t n)
{
	for (size_t i = 0; i < n; i++)
		(void)buf_addz(out, i == 0 ? "?" : ", ?");
}

/* One {word}: p is behind the brace. Returns what stands behind the closing one, NULL when it is
 * no name. */
static const char *
add_name(const char *dialect, const char *prefix, const char *p, size_t list_n, struct buf *out)
{
	const char *end = strchr(p, '}');
	size_t n = end != NULL ? (size_t)(end - p) : 0;
	char quote = strcmp(dialect, "mysql") == 0 ? '`' : '"';
	char name[NAME_MAX_BYTES];
	bool is_index = n > 3 && memcmp(p, "ix:", 3) == 0;

	if (n == 0 || n >= sizeof name)
		return NULL;
	if (n == 3 && memcmp(p, "ids", 3) == 0) {
		if (list_n == 0)
			return NULL;
		add_list(out, list_n);
		return end + 1;
	}
	memcpy(name, is_index ? p + 3 : p, is_index ? n - 3 : n);
	name[is_index ? n - 3 : n] = '\0';
	if (!text_is_identifier(name, NAME_MAX_BYTES))
		return NULL;
	(void)buf_addf(out, "%c%s%s%s%c", quote, prefix, is_index ? "ix_" : "", name, quote);
	return end + 1;
}

enum rc
dialect_expand(const char *dialect, const char *prefix, const char *text, size_t list_n,
	       struct buf *out, struct err *e)
{
	bool in_quotes = false;
	const char *from = text;

	for (const char *p = text; *p != '\0'; p++) {
		const char *behind;

		if (*p == '\'')
			in_quotes = !in_quotes;
		if (in_quotes || *p != '{')
			continue;
		(void)buf_add(out, from, (size_t)(p - from));
		behind = add_name(dialect, prefix, p + 1, list_n, out);
		if (behind == NULL)
			return err_set(e, RC_BUG, 0, "dialect.expand",
				       "\"%.30s\" in an SQL text is no name", p);
		from = behind;
		p = behind - 1;
	}
	(void)buf_addz(out, from);
	if (buf_rc(out) != RC_OK)
		return err_set(e, buf_rc(out), 0, "dialect.expand", "no memory for an SQL text");
	return RC_OK;
}

const char *
dialect_next_statement(const char **p, size_t *n)
{
	const char *s = *p;
	char quote = '\0';
	const char *begin;

	while (*s == ';' || isspace((unsigned char)*s))
		s++;
	begin = s;
	for (; *s != '\0'; s++) {
		if (quote != '\0')
			quote = *s == quote ? '\0' : quote;
		else if (*s == '\'' || *s == '"' || *s == '`')
			quote = *s;
		else if (*s == ';')
			break;
	}
	*p = s;
	*n = (size_t)(s - begin);
	while (*n > 0 && isspace((unsigned char)begin[*n - 1]))
		(*n)--;
	return *n > 0 ? begin : NULL;
}
