/* conf.c - the table of options and the reader of the file.
 *
 * DIAGNOSTICS. Every problem is one line: what stands there, where, and what to write. Reading goes
 * on after each, so that one look at the list mends the file. Only a syntax error ends it, because
 * libconfig gives nothing back then. Out of memory ends the process: this is start-up and reload,
 * and a restart is safe. */
#include "config.h"
#include "agent/conf.h"
#include "agent/conf_table.h"

#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <libconfig.h>

#include "agent/text.h"

/* ---- the table ---- */

/* The names that the rows use, as the struct and the number of their section. */
#define conf_t_agent struct conf_agent
#define conf_t_database struct conf_database
#define conf_t_channels struct conf_channel
#define conf_t_routes struct conf_route
#define conf_t_report struct conf_report
#define conf_t_times struct conf_times
#define conf_t_limits struct conf_limits
#define conf_t_log struct conf_log
#define conf_n_agent CONF_AGENT
#define conf_n_database CONF_DATABASE
#define conf_n_channels CONF_CHANNELS
#define conf_n_routes CONF_ROUTES
#define conf_n_report CONF_REPORT
#define conf_n_times CONF_TIMES
#define conf_n_limits CONF_LIMITS
#define conf_n_log CONF_LOG

#define IS_LIVE false
#define IS_START true

#define ROW(s, n, k, f)                                                                            \
	.section = conf_n_##s, .name = #n, .kind = KIND_##k, .offset = offsetof(conf_t_##s, f)
#define COUNT(s, n) .count_offset = offsetof(conf_t_##s, n##_count)
#define END(r, t) .is_start = IS_##r, .text = (t)

const struct conf_option conf_options[] = {
#define CONF_STR(s, n, d, lo, hi, r, t)                                                            \
	{ ROW(s, n, STR, n), .def_text = (d), .min = (lo), .max = (hi), END(r, t) },
#define CONF_FILE(s, n, d, r, t)                                                                   \
	{ ROW(s, n, FILE, n), .def_text = (d), .min = 1, .max = 1023, END(r, t) },
#define CONF_SECRET(s, n, r, t) { ROW(s, n, SECRET, n), .min = 1, .max = 1023, END(r, t) },
#define CONF_BOOL(s, n, d, r, t) { ROW(s, n, BOOL, n), .def = (d), .max = 1, END(r, t) },
#define CONF_INT(s, n, d, lo, hi, r, t)                                                            \
	{ ROW(s, n, INT, n), .def = (d), .min = (lo), .max = (hi), END(r, t) },
#define CONF_MS(s, n, d, lo, hi, r, t)                                                             \
	{ ROW(s, n, MS, n##_ms), .def = (d), .min = (lo), .max = (hi), END(r, t) },
#define CONF_BYTES(s, n, d, lo, hi, r, t)                                                          \
	{ ROW(s, n, BYTES, n##_bytes), .def = (d), .min = (lo), .max = (hi), END(r, t) },
#define CONF_ENUM(s, n, tag, d, w, r, t)                                                           \
	{ ROW(s, n, ENUM, n), .def = (d), .words = (w), END(r, t) },
#define CONF_LIST(s, n, most, r, t)                                                                \
	{ ROW(s, n, LIST, n), COUNT(s, n), .min = 1, .max = (most), END(r, t) },
#define CONF_WANT CONF_IN_ALL
#include "agent/conf.def"
};
const size_t conf_option_count = sizeof conf_options / sizeof conf_options[0];

/* A default outside of its own range does not compile; an enum is stored as the int that it is. */
#define CONF_INT(s, n, d, lo, hi, r, t) _Static_assert((lo) <= (d) && (d) <= (hi), #s "." #n);
#define CONF_MS(s, n, d, lo, hi, r, t) _Static_assert((lo) <= (d) && (d) <= (hi), #s "." #n);
#define CONF_BYTES(s, n, d, lo, hi, r, t) _Static_assert((lo) <= (d) && (d) <= (hi), #s "." #n);
#define CONF_ENUM(s, n, tag, d, w, r, t) _Static_assert(sizeof(enum tag) == sizeof(int), #s "." #n);
#define CONF_WANT CONF_IN_ALL
#include "agent/conf.def"

#define SHAPE_GROUP(s) false, sizeof(conf_t_##s), offsetof(struct conf, s), 0
#define SHAPE_LIST_channels                                                                        \
	true, sizeof(struct conf_channel), offsetof(struct conf, channels),                        \
		offsetof(struct conf, channel_count)
#define SHAPE_LIST_routes                                                                          \
	true, sizeof(struct conf_route), offsetof(struct conf, routes),                            \
		offsetof(struct conf, route_count)
#define SHAPE_LIST(s) SHAPE_LIST_##s

const struct conf_section_info conf_sections[CONF_SECTIONS] = {
#define CONF_SECTION(s, shape, t) [conf_n_##s] = { #s, SHAPE_##shape(s), (t) },
#define CONF_WANT CONF_IN_ALL
#include "agent/conf.def"
};

/* ---- small things ---- */

static void *
must(void *p)
{
	if (p == NULL) {
		log_event(LOG_LEVEL_ERROR, "memory.out", "while=\"reading the configuration\"");
		abort();
	}
	return p;
}

void *
conf_alloc(struct conf *c, size_t n)
{
	struct conf_origin *o = c->origin;

	o->mem = must(realloc(o->mem, (o->mem_count + 1) * sizeof *o->mem));
	o->mem[o->mem_count] = must(calloc(1, n != 0 ? n : 1));
	return o->mem[o->mem_count++];
}

char *
conf_strdup(struct conf *c, const char *s)
{
	size_t n = strlen(s) + 1;

	return memcpy(conf_alloc(c, n), s, n);
}

size_t
conf_group_count(const struct conf *c, enum conf_section s)
{
	const struct conf_section_info *si = &conf_sections[s];

	return si->is_list ? *(const size_t *)(const void *)((const char *)c + si->count_offset)
			   : 1;
}

void *
conf_group(const struct conf *c, enum conf_section s, size_t i)
{
	const struct conf_section_info *si = &conf_sections[s];
	char *base = (char *)(uintptr_t)c + si->offset;

	if (si->is_list) {
		char *first;

		memcpy(&first, base, sizeof first);
		base = first;
	}
	return base + i * si->size;
}

const struct conf_option *
conf_option_find(enum conf_section s, const char *name)
{
	for (size_t i = 0; i < conf_option_count; i++) {
		if (conf_options[i].section == s && strcmp(conf_options[i].name, name) == 0)
			return &conf_options[i];
	}
	return NULL;
}

struct conf_place *
conf_place(const struct conf *c, size_t i, const struct conf_option *o)
{
	return &c->origin->option[o->section][i * conf_option_count + (size_t)(o - conf_options)];
}

bool
conf_word(const char *words, size_t n, char *buf, size_t size)
{
	const char *end;

	for (; n > 0; n--) {
		words = strchr(words, '|');
		if (words == NULL)
			return false;
		words++;
	}
	end = strchr(words, '|');
	return text_copy_n(buf, size, words, end != NULL ? (size_t)(end - words) : strlen(words));
}

const char *
conf_name(char *buf, size_t size, const struct conf_option *o, size_t i)
{
	const struct conf_section_info *si = &conf_sections[o->section];

	if (si->is_list)
		snprintf(buf, size, "%s[%zu].%s", si->name, i, o->name);
	else
		snprintf(buf, size, "%s.%s", si->name, o->name);
	return buf;
}

const char *
conf_number(char *buf, size_t size, enum conf_kind kind, int64_t v)
{
	static const struct {
		int64_t bytes;
		const char *unit;
	} units[] = { { CONF_MIB(1024), "GiB" }, { CONF_MIB(1), "MiB" }, { CONF_KIB(1), "KiB" } };

	if (kind == KIND_MS)
		return text_ms_format(buf, size, v);
	for (size_t i = 0; kind == KIND_BYTES && i < sizeof units / sizeof units[0]; i++) {
		if (v != 0 && v % units[i].bytes == 0) {
			snprintf(buf, size, "%" PRId64 "%s", v / units[i].bytes, units[i].unit);
			return buf;
		}
	}
	snprintf(buf, size, "%" PRId64, v);
	return buf;
}

/* Steps of one letter from a to b (left out, put in, changed); stops counting at 9. */
static unsigned
distance(const char *a, const char *b)
{
	unsigned row[40];
	size_t na = strlen(a), nb = strlen(b);

	if (na >= sizeof row / sizeof row[0] || nb >= sizeof row / sizeof row[0])
		return 9;
	for (size_t j = 0; j <= nb; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= na; i++) {
		unsigned corner = row[0];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= nb; j++) {
			unsigned best = corner + (a[i - 1] != b[j - 1]);

			corner = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[nb];
}

const char *
conf_nearest(const char *name, const char *(*next)(const void *ctx, size_t i), const void *ctx)
{
	const char *best = NULL, *word;
	unsigned best_steps = strlen(name) < 4 ? 2 : 4; /* fewer than this */

	for (size_t i = 0; (word = next(ctx, i)) != NULL; i++) {
		unsigned steps = distance(name, word);

		if (word[0] != '\0' && steps < best_steps) {
			best_steps = steps;
			best = word;
		}
	}
	return best;
}

/* ---- problems ---- */

static void problem_add(struct conf_problems *p, const char *file, int line, const char *fmt,
			va_list ap) PRINTF_LIKE(4, 0);

static void
problem_add(struct conf_problems *p, const char *file, int line, const char *fmt, va_list ap)
{
	char text[640];
	size_t i;

	vsnprintf(text, sizeof text, fmt, ap);
	p->v = must(realloc(p->v, (p->n + 1) * sizeof *p->v));
	/* In the order of the lines, however they were found. */
	for (i = p->n; i > 0 && p->v[i - 1].line > line && strcmp(p->v[i - 1].file, file) == 0; i--)
		p->v[i] = p->v[i - 1];
	p->v[i].file = must(strdup(file));
	p->v[i].line = line;
	p->v[i].text = must(strdup(text));
	p->n++;
}

void
conf_problem(struct conf_problems *p, const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	problem_add(p, file, line, fmt, ap);
	va_end(ap);
}

void
conf_problem_at(struct conf_problems *p, const struct conf *c, size_t i,
		const struct conf_option *o, const char *fmt, ...)
{
	const struct conf_place *at = conf_place(c, i, o);
	va_list ap;

	if (at->file == NULL)
		at = &c->origin->section[o->section][i];
	va_start(ap, fmt);
	problem_add(p, at->file != NULL ? at->file : c->origin->path, at->line, fmt, ap);
	va_end(ap);
}

void
conf_problems_print(FILE *f, const struct conf_problems *p)
{
	for (size_t i = 0; i < p->n; i++) {
		if (p->v[i].line > 0)
			fprintf(f, "%s:%d: %s\n", p->v[i].file, p->v[i].line, p->v[i].text);
		else
			fprintf(f, "%s: %s\n", p->v[i].file, p->v[i].text);
	}
}

void
conf_problems_free(struct conf_problems *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free(p->v[i].file);
		free(p->v[i].text);
	}
	free(p->v);
	memset(p, 0, sizeof *p);
}

/* ---- reading ---- */

struct reader {
	struct conf *c;
	struct conf_problems *p;
};

static const char *
setting_file(const struct reader *r, const config_setting_t *s)
{
	const char *file = config_setting_source_file(s);

	return file != NULL ? file : r->c->origin->path;
}

static int
setting_line(const config_setting_t *s)
{
	return (int)config_setting_source_line(s);
}

static const char *
section_name_at(const void *ctx, size_t i)
{
	(void)ctx;
	return i < CONF_SECTIONS ? conf_sections[i].name : NULL;
}

static const char *
option_name_at(const void *ctx, size_t i)
{
	const enum conf_section *s = ctx;

	for (size_t k = 0; k < conf_option_count; k++) {
		if (conf_options[k].section == *s && i-- == 0)
			return conf_options[k].name;
	}
	return NULL;
}

static void
unknown_option(const struct reader *r, const config_setting_t *s, enum conf_section section)
{
	const char *name = config_setting_name(s);
	const char *near = conf_nearest(name, option_name_at, &section);

	for (enum conf_section k = 0; near == NULL && k < CONF_SECTIONS; k++) {
		if (conf_option_find(k, name) != NULL) {
			conf_problem(r->p, setting_file(r, s), setting_line(s),
				     "%s.%s: there is no such option here; it belongs into %s",
				     conf_sections[section].name, name, conf_sections[k].name);
			return;
		}
	}
	if (near != NULL)
		conf_problem(r->p, setting_file(r, s), setting_line(s),
			     "%s.%s: there is no such option; did you mean %s?",
			     conf_sections[section].name, name, near);
	else
		conf_problem(r->p, setting_file(r, s), setting_line(s),
			     "%s.%s: there is no such option; see mtrelay.conf(5)",
			     conf_sections[section].name, name);
}

static void
wrong_type(const struct reader *r, const config_setting_t *s, const char *name, const char *want)
{
	conf_problem(r->p, setting_file(r, s), setting_line(s), "%s: wrong type; write %s", name,
		     want);
}

static void
out_of_range(const struct reader *r, const config_setting_t *s, const char *name,
	     const struct conf_option *o, int64_t v)
{
	char is[32], lo[32], hi[32];

	/* libconfig before 1.7 cuts a number to 32 bits unless it ends in L. */
	conf_problem(r->p, setting_file(r, s), setting_line(s),
		     "%s = %s is out of range; write %s to %s%s", name,
		     conf_number(is, sizeof is, o->kind, v),
		     conf_number(lo, sizeof lo, o->kind, o->min),
		     conf_number(hi, sizeof hi, o->kind, o->max),
		     o->kind == KIND_INT && o->max > INT32_MAX
			     ? ", with an L behind what is above 2147483647"
			     : "");
}

static bool
read_int(const config_setting_t *s, int64_t *out)
{
	int type = config_setting_type(s);

	if (type == CONFIG_TYPE_INT)
		*out = config_setting_get_int(s);
	else if (type == CONFIG_TYPE_INT64)
		*out = config_setting_get_int64(s);
	else
		return false;
	return true;
}

static bool
read_bytes(const char *text, int64_t *out)
{
	static const struct {
		const char *unit;
		int64_t bytes;
	} units[] = { { "KiB", CONF_KIB(1) }, { "MiB", CONF_MIB(1) }, { "GiB", CONF_MIB(1024) } };
	size_t n = strlen(text);
	int64_t v;

	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		if (n > 3 && strcmp(text + n - 3, units[i].unit) == 0 &&
		    text_i64_n(text, n - 3, 0, INT64_MAX / units[i].bytes, &v)) {
			*out = v * units[i].bytes;
			return true;
		}
	}
	return false;
}

static const char *
clean_string(const struct reader *r, const config_setting_t *s, const char *name,
	     const struct conf_option *o)
{
	const char *text = config_setting_get_string(s);
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i++) {
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) {
			conf_problem(r->p, setting_file(r, s), setting_line(s),
				     "%s holds a control character; remove it", name);
			return NULL;
		}
	}
	if ((int64_t)n < o->min) {
		conf_problem(r->p, setting_file(r, s), setting_line(s),
			     "%s is empty; give a value or remove the line", name);
		return NULL;
	}
	if ((int64_t)n > o->max) {
		conf_problem(r->p, setting_file(r, s), setting_line(s),
			     "%s has %zu bytes; at most %" PRId64 " are allowed", name, n, o->max);
		return NULL;
	}
	return conf_strdup(r->c, text);
}

static bool
read_string(const struct reader *r, const config_setting_t *s, const char *name,
	    const struct conf_option *o, char *field)
{
	const char *text;

	if (config_setting_type(s) != CONFIG_TYPE_STRING) {
		wrong_type(r, s, name, "a text in double quotes");
		return false;
	}
	text = clean_string(r, s, name, o);
	if (text == NULL)
		return false;
	if (text[0] == '\0' && o->def_text == NULL)
		text = NULL; /* "" says: unset */
	memcpy(field, &text, sizeof text);
	return true;
}

static bool
read_number(const struct reader *r, const config_setting_t *s, const char *name,
	    const struct conf_option *o, char *field)
{
	bool is_text = config_setting_type(s) == CONFIG_TYPE_STRING;
	int64_t v;
	bool ok;

	if (o->kind == KIND_INT) {
		ok = read_int(s, &v);
		if (!ok)
			wrong_type(r, s, name, "a whole number without quotes");
	} else if (o->kind == KIND_MS) {
		ok = is_text && text_ms(config_setting_get_string(s), 0, INT64_MAX, &v);
		if (!ok)
			wrong_type(r, s, name,
				   "a whole number with its unit in quotes: ms, s, min, h or d, as "
				   "\"5s\"");
	} else {
		ok = is_text && read_bytes(config_setting_get_string(s), &v);
		if (!ok)
			wrong_type(r, s, name,
				   "a whole number with its unit in quotes: KiB, MiB or GiB, as "
				   "\"16MiB\"");
	}
	if (!ok)
		return false;
	if (v < o->min || v > o->max) {
		out_of_range(r, s, name, o, v);
		return false;
	}
	memcpy(field, &v, sizeof v);
	return true;
}

static bool
read_enum(const struct reader *r, const config_setting_t *s, const char *name,
	  const struct conf_option *o, char *field)
{
	const char *text =
		config_setting_type(s) == CONFIG_TYPE_STRING ? config_setting_get_string(s) : NULL;
	char word[32];

	for (int n = 0; text != NULL && conf_word(o->words, (size_t)n, word, sizeof word); n++) {
		if (strcmp(word, text) == 0) {
			memcpy(field, &n, sizeof n);
			return true;
		}
	}
	conf_problem(r->p, setting_file(r, s), setting_line(s),
		     "%s: write one of %s in double quotes", name, o->words);
	return false;
}

static bool
read_list(const struct reader *r, const config_setting_t *s, const char *name,
	  const struct conf_option *o, char *field, char *count_field)
{
	struct conf_option item = { .min = 1, .max = 64 };
	size_t n;
	const char **list;

	if (config_setting_type(s) != CONFIG_TYPE_ARRAY &&
	    config_setting_type(s) != CONFIG_TYPE_LIST) {
		wrong_type(r, s, name, "a list of texts, as [\"one\", \"two\"]");
		return false;
	}
	n = (size_t)config_setting_length(s);
	if ((int64_t)n < o->min || (int64_t)n > o->max) {
		conf_problem(r->p, setting_file(r, s), setting_line(s),
			     "%s has %zu entries; write %" PRId64 " to %" PRId64, name, n, o->min,
			     o->max);
		return false;
	}
	list = conf_alloc(r->c, n * sizeof *list);
	for (size_t i = 0; i < n; i++) {
		const config_setting_t *e = config_setting_get_elem(s, (unsigned)i);

		if (config_setting_type(e) != CONFIG_TYPE_STRING) {
			wrong_type(r, e, name, "a list of texts, as [\"one\", \"two\"]");
			return false;
		}
		list[i] = clean_string(r, e, name, &item);
		if (list[i] == NULL)
			return false;
	}
	memcpy(field, &list, sizeof list);
	memcpy(count_field, &n, sizeof n);
	return true;
}

static bool
read_bool(const struct reader *r, const config_setting_t *s, const char *name, char *field)
{
	bool v;

	if (config_setting_type(s) != CONFIG_TYPE_BOOL) {
		wrong_type(r, s, name, "true or false without quotes");
		return false;
	}
	v = config_setting_get_bool(s) != 0;
	memcpy(field, &v, sizeof v);
	return true;
}

static void
read_option(const struct reader *r, const config_setting_t *s, const struct conf_option *o,
	    size_t i)
{
	char *group = conf_group(r->c, o->section, i);
	char *field = group + o->offset;
	struct conf_place *at = conf_place(r->c, i, o);
	char name[96];
	bool ok = false;

	conf_name(name, sizeof name, o, i);
	switch (o->kind) {
	case KIND_STR:
	case KIND_FILE:
	case KIND_SECRET:
		ok = read_string(r, s, name, o, field);
		break;
	case KIND_BOOL:
		ok = read_bool(r, s, name, field);
		break;
	case KIND_INT:
	case KIND_MS:
	case KIND_BYTES:
		ok = read_number(r, s, name, o, field);
		break;
	case KIND_ENUM:
		ok = read_enum(r, s, name, o, field);
		break;
	case KIND_LIST:
		ok = read_list(r, s, name, o, field, group + o->count_offset);
		break;
	}
	at->is_refused = !ok;
	at->file = conf_strdup(r->c, setting_file(r, s));
	at->line = setting_line(s);
}

static void
set_defaults(const struct conf_option *o, char *group)
{
	char *field = group + o->offset;
	int n = (int)o->def;
	bool b = o->def != 0;

	switch (o->kind) {
	case KIND_STR:
	case KIND_FILE:
	case KIND_SECRET:
		memcpy(field, &o->def_text, sizeof o->def_text);
		break;
	case KIND_BOOL:
		memcpy(field, &b, sizeof b);
		break;
	case KIND_INT:
	case KIND_MS:
	case KIND_BYTES:
		memcpy(field, &o->def, sizeof o->def);
		break;
	case KIND_ENUM:
		memcpy(field, &n, sizeof n);
		break;
	case KIND_LIST:
		break;
	}
}

static void
make_groups(struct conf *c, enum conf_section s, size_t n)
{
	const struct conf_section_info *si = &conf_sections[s];

	if (si->is_list) {
		void *first = conf_alloc(c, n * si->size);

		memcpy((char *)c + si->offset, &first, sizeof first);
		memcpy((char *)c + si->count_offset, &n, sizeof n);
	}
	c->origin->section[s] = conf_alloc(c, n * sizeof(struct conf_place));
	c->origin->option[s] = conf_alloc(c, n * conf_option_count * sizeof(struct conf_place));
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < conf_option_count; k++) {
			if (conf_options[k].section == s)
				set_defaults(&conf_options[k], conf_group(c, s, i));
		}
	}
}

static void
read_group(const struct reader *r, const config_setting_t *g, enum conf_section s, size_t i)
{
	struct conf_place *at = &r->c->origin->section[s][i];

	at->file = conf_strdup(r->c, setting_file(r, g));
	at->line = setting_line(g);
	at->is_refused = config_setting_type(g) != CONFIG_TYPE_GROUP;
	if (at->is_refused) {
		conf_problem(r->p, at->file, at->line,
			     "%s: wrong type; write options in braces, as %s: %s",
			     conf_sections[s].name, conf_sections[s].name,
			     conf_sections[s].is_list ? "( { ... } );" : "{ ... };");
		return;
	}
	for (int k = 0; k < config_setting_length(g); k++) {
		const config_setting_t *e = config_setting_get_elem(g, (unsigned)k);
		const struct conf_option *o = conf_option_find(s, config_setting_name(e));

		if (o == NULL)
			unknown_option(r, e, s);
		else
			read_option(r, e, o, i);
	}
}

static void
read_section(const struct reader *r, const config_setting_t *s, enum conf_section section)
{
	const struct conf_section_info *si = &conf_sections[section];

	if (!si->is_list) {
		read_group(r, s, section, 0);
		return;
	}
	/* "[ ]" is libconfig's array, which takes no groups but may stand there empty. */
	if (config_setting_type(s) != CONFIG_TYPE_LIST &&
	    config_setting_type(s) != CONFIG_TYPE_ARRAY) {
		conf_problem(
			r->p, setting_file(r, s), setting_line(s),
			"%s: wrong type; it is a list of groups, write %s: ( { ... }, { ... } );",
			si->name, si->name);
		return;
	}
	make_groups(r->c, section, (size_t)config_setting_length(s));
	for (int i = 0; i < config_setting_length(s); i++)
		read_group(r, config_setting_get_elem(s, (unsigned)i), section, (size_t)i);
}

static void
read_root(const struct reader *r, const config_t *cfg)
{
	const config_setting_t *root = config_root_setting(cfg);

	for (int i = 0; i < config_setting_length(root); i++) {
		const config_setting_t *s = config_setting_get_elem(root, (unsigned)i);
		const char *name = config_setting_name(s), *near;
		enum conf_section k = 0;

		while (k < CONF_SECTIONS && strcmp(conf_sections[k].name, name) != 0)
			k++;
		if (k < CONF_SECTIONS) {
			read_section(r, s, k);
			continue;
		}
		near = conf_nearest(name, section_name_at, NULL);
		conf_problem(r->p, setting_file(r, s), setting_line(s),
			     "%s: there is no such section; %s%s%s", name,
			     near != NULL ? "did you mean " : "see mtrelay.conf(5)",
			     near != NULL ? near : "", near != NULL ? "?" : "");
	}
}

/* libconfig's own words name no remedy. */
static const char *
syntax_text(const char *text)
{
	if (strcmp(text, "syntax error") == 0)
		return "syntax error here or on the line before; look for a missing ; or , or "
		       "quote or bracket";
	if (strcmp(text, "duplicate setting name") == 0)
		return "this name stands twice in its group; remove one of them";
	if (strcmp(text, "mismatched element type in array") == 0)
		return "entries of different types between [ ]; write texts only";
	return text;
}

/* The stream is opened here so that the reason of a failure is known, which libconfig does not
 * tell. */
static bool
parse_file(const struct reader *r, config_t *cfg)
{
	const char *path = r->c->origin->path;
	FILE *f = fopen(path, "re");
	char *folder;
	struct stat st;
	bool ok;

	if (f == NULL) {
		conf_problem(r->p, path, 0, "cannot be opened (%s); name the configuration with -c",
			     strerror(errno));
		return false;
	}
	if (fstat(fileno(f), &st) == 0 && S_ISDIR(st.st_mode)) {
		conf_problem(r->p, path, 0, "is a folder; name a file with -c");
		fclose(f);
		return false;
	}
	folder = must(strdup(path));
	config_set_include_dir(cfg, dirname(folder));
	ok = config_read(cfg, f) == CONFIG_TRUE;
	if (!ok)
		conf_problem(r->p, config_error_file(cfg) != NULL ? config_error_file(cfg) : path,
			     config_error_line(cfg), "%s",
			     syntax_text(config_error_text(cfg) != NULL ? config_error_text(cfg)
									: "cannot be read"));
	free(folder);
	fclose(f);
	return ok;
}

enum rc
conf_load(const char *path, struct conf **out, struct conf_problems *p)
{
	struct conf *c = must(calloc(1, sizeof *c));
	struct reader r = { c, p };
	size_t before = p->n;
	config_t cfg;

	*out = NULL;
	c->refs = 1;
	c->origin = must(calloc(1, sizeof *c->origin));
	c->origin->path = conf_strdup(c, path);
	for (enum conf_section s = 0; s < CONF_SECTIONS; s++)
		make_groups(c, s, conf_sections[s].is_list ? 0 : 1);
	config_init(&cfg);
	if (parse_file(&r, &cfg)) {
		read_root(&r, &cfg);
		conf_derive(c);
		conf_cross_check(c, p);
	}
	config_destroy(&cfg);
	if (p->n > before) {
		conf_unref(c);
		return RC_CONFIG;
	}
	*out = c;
	return RC_OK;
}

struct conf *
conf_ref(struct conf *c)
{
	c->refs++;
	return c;
}

void
conf_unref(struct conf *c)
{
	if (c == NULL || --c->refs > 0)
		return;
	for (size_t i = 0; i < c->origin->mem_count; i++)
		free(c->origin->mem[i]);
	free(c->origin->mem);
	free(c->origin);
	free(c);
}

const struct conf_channel *
conf_channel_find(const struct conf *c, const char *name)
{
	for (size_t i = 0; i < c->channel_count; i++) {
		if (c->channels[i].name != NULL && strcmp(c->channels[i].name, name) == 0)
			return &c->channels[i];
	}
	return NULL;
}

const struct conf_route *
conf_route_find(const struct conf *c, enum msg_type t)
{
	for (size_t i = 0; i < c->route_count; i++) {
		for (size_t k = 0; k < c->routes[i].type_count; k++) {
			if (msg_type_parse(c->routes[i].type[k], strlen(c->routes[i].type[k])) == t)
				return &c->routes[i];
		}
	}
	return NULL;
}
