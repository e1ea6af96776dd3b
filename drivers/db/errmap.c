#include "config.h"
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include "drivers/db/errmap.h"

/* Port numbers stay, telephone numbers and one-time codes do not. */
#define MASK_DIGITS 6

struct number_fact {
	int code;
	struct db_fact fact;
};

struct state_fact {
	const char *prefix;
	struct db_fact fact;
};

static const struct number_fact mysql_facts[] = {
#define MYSQL_FACT(code, rc, has_value, hint) { code, { rc, has_value, hint } },
#include "drivers/db/errors_mysql.def"
#undef MYSQL_FACT
};

static const struct number_fact sqlite_facts[] = {
#define SQLITE_FACT(code, rc, has_value, hint) { code, { rc, has_value, hint } },
#include "drivers/db/errors_sqlite.def"
#undef SQLITE_FACT
};

static const struct state_fact state_facts[] = {
#define SQLSTATE_FACT(prefix, rc, has_value, hint) { prefix, { rc, has_value, hint } },
#include "drivers/db/errors_sqlstate.def"
#undef SQLSTATE_FACT
};

/* An unknown message may quote anything. */
static const struct db_fact unknown_fact = { RC_CONFIG, true, "" };

static const struct db_fact *
find_number(const struct number_fact *facts, size_t n, int code)
{
	for (size_t i = 0; i < n; i++) {
		if (facts[i].code == code)
			return &facts[i].fact;
	}
	return NULL;
}

const struct db_fact *
db_fact_unknown(void)
{
	return &unknown_fact;
}

const struct db_fact *
db_fact_sqlstate(const char *sqlstate)
{
	const struct db_fact *best = NULL;
	size_t best_len = 0;

	for (size_t i = 0; i < sizeof state_facts / sizeof state_facts[0]; i++) {
		size_t len = strlen(state_facts[i].prefix);

		if (len > best_len && strncmp(sqlstate, state_facts[i].prefix, len) == 0) {
			best = &state_facts[i].fact;
			best_len = len;
		}
	}
	return best;
}

const struct db_fact *
db_fact_mysql(int native, const char *sqlstate)
{
	const struct db_fact *f;

	f = find_number(mysql_facts, sizeof mysql_facts / sizeof mysql_facts[0], native);
	if (f == NULL)
		f = db_fact_sqlstate(sqlstate);
	return f != NULL ? f : &unknown_fact;
}

const struct db_fact *
db_fact_sqlite(int native)
{
	const struct db_fact *f;

	f = find_number(sqlite_facts, sizeof sqlite_facts / sizeof sqlite_facts[0], native & 0xff);
	return f != NULL ? f : &unknown_fact;
}

/* The last " for " tells the name of the key or column from the value before it, which may itself
 * hold quotes: "Duplicate entry 'it's mine' for key 'ux_req_key'". */
static const char *
value_end(const char *from, const char *end)
{
	static const char word[] = " for ";
	const char *last = NULL;

	for (const char *p = from; p + sizeof word - 1 <= end; p++) {
		if (memcmp(p, word, sizeof word - 1) == 0)
			last = p;
	}
	return last != NULL ? last : end;
}

/* The length of the UTF-8 character at p, 0 when it is none. Only lead and trail bytes are looked
 * at: the text goes into a log line, not into a decision. */
static size_t
utf8_length(const unsigned char *p, const unsigned char *end)
{
	size_t n = *p >= 0xf0 && *p < 0xf5   ? 4
		   : *p >= 0xe0 && *p < 0xf0 ? 3
		   : *p >= 0xc2 && *p < 0xe0 ? 2
					     : 0;

	if (n == 0 || (size_t)(end - p) < n)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	return n;
}

void
db_clean_message(char *out, size_t size, const char *message, bool has_value)
{
	const char *end = message + strcspn(message, "\r\n");
	const char *detail = strstr(message, "DETAIL:");
	const char *p = message;
	size_t n = 0;

	if (size == 0)
		return;
	if (detail != NULL && detail < end)
		end = detail;
	while (p < end && n + 5 < size) {
		size_t digits = 0, len;

		if (has_value && strchr("'\"(", *p) != NULL) {
			const char *close = value_end(p, end);

			memcpy(out + n, "***", 3);
			n += 3;
			p = close;
			/* What follows is a name; the mask is used up. */
			has_value = false;
			continue;
		}
		while (p + digits < end && isdigit((unsigned char)p[digits]) != 0)
			digits++;
		if (digits >= MASK_DIGITS) {
			memcpy(out + n, "***", 3);
			n += 3;
			p += digits;
			continue;
		}
		if ((unsigned char)*p < 0x80) {
			out[n++] = (unsigned char)*p < 0x20 || *p == 0x7f ? ' ' : *p;
			p++;
			continue;
		}
		len = utf8_length((const unsigned char *)p, (const unsigned char *)end);
		if (len == 0) {
			out[n++] = '?';
			p++;
		} else {
			memcpy(out + n, p, len);
			n += len;
			p += len;
		}
	}
	while (n > 0 && strchr(" ;.", out[n - 1]) != NULL)
		n--;
	out[n] = '\0';
}

enum rc
db_err(struct err *e, enum rc rc, const struct db_fact *f, int native, const char *sqlstate,
       const char *where, const char *what, const char *message)
{
	char clean[168];

	db_clean_message(clean, sizeof clean, message, f->has_value);
	err_set(e, rc, native, where, "%s: %s%s%s", what, clean, f->hint[0] != '\0' ? "; " : "",
		f->hint);
	if (e != NULL)
		snprintf(e->sqlstate, sizeof e->sqlstate, "%s", sqlstate);
	return rc;
}
