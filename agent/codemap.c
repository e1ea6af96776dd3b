#include "config.h"
#include "agent/codemap.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX_BYTES (1024 * 1024)
#define ROWS_MAX 20000
#define FAMILY_MAX 16
#define FIELDS 6 /* the last one takes the rest of the line */

enum code_kind { KIND_GROUP, KIND_STATUS, KIND_ERROR, KIND_NETWORK };

struct row {
	char family[FAMILY_MAX];
	enum code_kind kind;
	int from;
	int to;
	char code[RESULT_CODE_LEN + 1]; /* "": the group's */
	enum code_class class;
	bool refined; /* fail?: the error says it better */
	char text[CARRIER_MAX + 1];
};

struct codemap {
	struct row *rows;
	size_t n;
};

static const struct {
	const char *word;
	enum code_class class;
	bool refined;
} class_words[] = {
	{ "ok", CODE_OK, false },	{ "fail", CODE_FAIL, false },
	{ "fail?", CODE_FAIL, true },	{ "pending", CODE_PENDING, false },
	{ "again", CODE_AGAIN, false }, { "stop", CODE_STOP, false },
	{ "route", CODE_ROUTE, false }, { "dup", CODE_DUPLICATE, false },
};
static const char *const kind_words[] = { "group", "status", "error", "network" };

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Reads digits; false when there are none or too many. */
static bool
read_number(const char **p, int *out)
{
	long v = 0;
	int digits = 0;

	for (; **p >= '0' && **p <= '9'; (*p)++) {
		if (++digits > 7)
			return false;
		v = v * 10 + (**p - '0');
	}
	*out = (int)v;
	return digits > 0;
}

static bool
read_range(const char *p, int *from, int *to)
{
	if (!read_number(&p, from))
		return false;
	*to = *from;
	if (*p == '-') {
		p++;
		if (!read_number(&p, to))
			return false;
	}
	return *p == '\0' && *from <= *to;
}

static bool
code_shape(const char *p)
{
	return strlen(p) == RESULT_CODE_LEN && strspn(p, "0123456789") == RESULT_CODE_LEN;
}

/* Cuts line in place into at most FIELDS words. */
static size_t
split(char *line, char **field)
{
	size_t n = 0;

	for (;;) {
		line += strspn(line, " \t\r");
		if (*line == '\0' || *line == '#' || n == FIELDS)
			return n;
		field[n++] = line;
		if (n == FIELDS) {
			for (char *end = line + strlen(line);
			     end > line && strchr(" \t\r", end[-1]) != NULL;)
				*--end = '\0';
			return n;
		}
		line += strcspn(line, " \t\r");
		if (*line != '\0')
			*line++ = '\0';
	}
}

/* Fills r from the fields; NULL or what is wrong. */
static const char *
read_row(char **field, size_t n, struct row *r)
{
	size_t i;

	memset(r, 0, sizeof *r);
	if (n < 5)
		return "a row has family, kind, id, code, class and a name";
	if (strlen(field[0]) >= sizeof r->family)
		return "the family is too long";
	snprintf(r->family, sizeof r->family, "%s", field[0]);
	for (i = 0; i < COUNT(kind_words) && strcmp(field[1], kind_words[i]) != 0; i++)
		;
	if (i == COUNT(kind_words))
		return "the kind is none of group, status, error, network";
	r->kind = (enum code_kind)i;
	if (!read_range(field[2], &r->from, &r->to))
		return "the id is neither a number nor a range like 11-12";
	if (r->kind == KIND_NETWORK) {
		if (n < FIELDS || strlen(field[5]) >= sizeof r->text)
			return "a network row ends in the carrier's name of at most 16 bytes";
		snprintf(r->text, sizeof r->text, "%s", field[5]);
		return NULL;
	}
	if (strcmp(field[3], "-") != 0) {
		if (!code_shape(field[3]))
			return "the code is neither four digits nor \"-\"";
		snprintf(r->code, sizeof r->code, "%s", field[3]);
	} else if (r->kind == KIND_ERROR) {
		return "an error row needs a code";
	}
	for (i = 0; i < COUNT(class_words) && strcmp(field[4], class_words[i].word) != 0; i++)
		;
	if (i == COUNT(class_words))
		return "the class is none of ok, fail, fail?, pending, again, stop, route, dup";
	r->class = class_words[i].class;
	r->refined = class_words[i].refined;
	return NULL;
}

static int
row_order(const void *a, const void *b)
{
	const struct row *x = a;
	const struct row *y = b;
	int d = strcmp(x->family, y->family);

	if (d == 0)
		d = (x->kind > y->kind) - (x->kind < y->kind);
	if (d == 0)
		d = (x->from > y->from) - (x->from < y->from);
	return d;
}

static enum rc
add_row(struct codemap *c, size_t *room, const struct row *r, struct err *e)
{
	if (c->n == *room) {
		size_t more = *room == 0 ? 128 : *room * 2;
		struct row *rows = realloc(c->rows, more * sizeof *rows);

		if (rows == NULL)
			return err_set(e, RC_NOMEM, ENOMEM, "codemap.parse",
				       "no memory for the code map");
		c->rows = rows;
		*room = more;
	}
	c->rows[c->n++] = *r;
	return RC_OK;
}

static enum rc
check_overlap(const struct codemap *c, const char *name, struct err *e)
{
	for (size_t i = 1; i < c->n; i++) {
		const struct row *a = &c->rows[i - 1];
		const struct row *b = &c->rows[i];

		if (strcmp(a->family, b->family) == 0 && a->kind == b->kind && b->from <= a->to)
			return err_set(e, RC_CONFIG, 0, "codemap.parse",
				       "%s: two rows for %s %s %d", name, b->family,
				       kind_words[b->kind], b->from);
	}
	return RC_OK;
}

enum rc
codemap_parse(const char *name, const char *text, size_t n, struct codemap **out, struct err *e)
{
	struct codemap *c = calloc(1, sizeof *c);
	const char *end = text + n;
	size_t room = 0;
	int line_no = 0;
	enum rc rc = RC_OK;

	*out = NULL;
	if (c == NULL)
		return err_set(e, RC_NOMEM, ENOMEM, "codemap.parse", "no memory for the code map");
	while (text < end && rc == RC_OK) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		size_t length = (size_t)((stop == NULL ? end : stop) - text);
		char line[512];
		char *field[FIELDS];
		struct row r;
		size_t fields;
		const char *wrong = NULL;

		line_no++;
		if (length >= sizeof line || memchr(text, '\0', length) != NULL) {
			wrong = "the line is too long or holds a NUL byte";
		} else {
			memcpy(line, text, length);
			line[length] = '\0';
			fields = split(line, field);
			if (fields > 0)
				wrong = read_row(field, fields, &r);
			if (fields > 0 && wrong == NULL && c->n < ROWS_MAX)
				rc = add_row(c, &room, &r, e);
		}
		if (wrong != NULL)
			rc = err_set(e, RC_CONFIG, 0, "codemap.parse", "%s:%d: %s", name, line_no,
				     wrong);
		text += length + (stop != NULL);
	}
	if (rc == RC_OK && c->n == 0)
		rc = err_set(e, RC_CONFIG, 0, "codemap.parse", "%s: no rows in this code map",
			     name);
	if (rc == RC_OK) {
		qsort(c->rows, c->n, sizeof *c->rows, row_order);
		rc = check_overlap(c, name, e);
	}
	if (rc != RC_OK) {
		codemap_free(c);
		return rc;
	}
	*out = c;
	return RC_OK;
}

enum rc
codemap_builtin(const char *name, struct codemap **out, struct err *e)
{
	for (const struct embedded_text *t = embedded_texts; t->name != NULL; t++)
		if (strcmp(t->name, name) == 0)
			return codemap_parse(name, t->text, strlen(t->text), out, e);
	*out = NULL;
	return err_set(e, RC_BUG, 0, "codemap.builtin", "there is no built-in code map %s", name);
}

enum rc
codemap_read(const char *path, struct codemap **out, struct err *e)
{
	FILE *f = fopen(path, "re");
	char *text = NULL;
	size_t n = 0;
	enum rc rc;

	*out = NULL;
	if (f == NULL)
		return err_set(e, RC_CONFIG, errno, "codemap.read",
			       "code map %s cannot be read: %s", path, strerror(errno));
	text = malloc(FILE_MAX_BYTES);
	if (text == NULL) {
		rc = err_set(e, RC_NOMEM, ENOMEM, "codemap.read", "no memory to read %s", path);
		goto out;
	}
	n = fread(text, 1, FILE_MAX_BYTES, f);
	if (ferror(f))
		rc = err_set(e, RC_CONFIG, errno, "codemap.read", "code map %s cannot be read: %s",
			     path, strerror(errno));
	else if (n == FILE_MAX_BYTES)
		rc = err_set(e, RC_CONFIG, 0, "codemap.read", "code map %s is larger than 1 MiB",
			     path);
	else
		rc = codemap_parse(path, text, n, out, e);
out:
	free(text);
	fclose(f);
	return rc;
}

void
codemap_free(struct codemap *c)
{
	if (c == NULL)
		return;
	free(c->rows);
	free(c);
}

static const struct row *
find(const struct codemap *c, const char *family, enum code_kind kind, int id)
{
	size_t low = 0;
	size_t high = c->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct row *r = &c->rows[mid];
		int d = strcmp(r->family, family);

		if (d == 0)
			d = (r->kind > kind) - (r->kind < kind);
		if (d == 0 && r->from <= id && id <= r->to)
			return r;
		if (d > 0 || (d == 0 && r->from > id))
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

static void
set_code(struct code_verdict *v, const char *code)
{
	snprintf(v->code, sizeof v->code, "%s", code);
}

void
codemap_judge(const struct codemap *c, const char *family, int group, int status, int error,
	      struct code_verdict *out)
{
	const struct row *g = find(c, family, KIND_GROUP, group);
	const struct row *s = find(c, family, KIND_STATUS, status);
	const struct row *x = error > 0 ? find(c, family, KIND_ERROR, error) : NULL;
	const struct row *base = s != NULL ? s : g;

	memset(out, 0, sizeof *out);
	out->mapped = s != NULL;
	out->class = base == NULL ? CODE_PENDING : base->class;
	if (s != NULL && s->code[0] != '\0')
		set_code(out, s->code);
	else if (s != NULL && g != NULL)
		set_code(out, g->code);
	if (out->class == CODE_FAIL && x != NULL && base->refined) {
		set_code(out, x->code);
		out->mapped = true;
	}
	/* What is final has a code, even where the file has none. */
	if (out->class == CODE_OK && out->code[0] == '\0')
		set_code(out, "0000");
	else if (out->class != CODE_OK && out->class != CODE_PENDING && out->code[0] == '\0')
		set_code(out, "9099");
}

const char *
codemap_network(const struct codemap *c, const char *family, const char *mccmnc)
{
	const char *p = mccmnc;
	const struct row *r;
	int id;

	if (!read_number(&p, &id) || *p != '\0')
		return NULL;
	r = find(c, family, KIND_NETWORK, id);
	return r == NULL ? NULL : r->text;
}
