/* conf_table.h - the table of options as data, for conf.c, conf_check.c and conf_print.c (and their
 * test) alone.
 *
 * Constant data: any thread. What is hung on a struct conf_origin dies with its configuration. */
#ifndef MTRELAY_CONF_TABLE_H
#define MTRELAY_CONF_TABLE_H
#include "agent/conf.h"

enum conf_section {
	CONF_AGENT,
	CONF_DATABASE,
	CONF_CHANNELS,
	CONF_ROUTES,
	CONF_REPORT,
	CONF_TIMES,
	CONF_LIMITS,
	CONF_LOG
};
#define CONF_SECTIONS 8

enum conf_kind {
	KIND_STR,
	KIND_FILE,
	KIND_SECRET,
	KIND_BOOL,
	KIND_INT,
	KIND_MS,
	KIND_BYTES,
	KIND_ENUM,
	KIND_LIST
};

struct conf_option {
	enum conf_section section;
	const char *name;
	enum conf_kind kind;
	size_t offset;	     /* in the struct of the section */
	size_t count_offset; /* KIND_LIST */
	const char *def_text;
	int64_t def, min, max; /* KIND_STR: bytes, KIND_LIST: strings */
	const char *words;
	bool is_start;
	const char *text;
};

struct conf_section_info {
	const char *name;
	bool is_list;
	size_t size;   /* of one struct */
	size_t offset; /* in struct conf: of the struct, or of the pointer to the first */
	size_t count_offset;
	const char *text;
};

extern const struct conf_option conf_options[];
extern const size_t conf_option_count;
extern const struct conf_section_info conf_sections[CONF_SECTIONS];

/* Where a value came from. */
struct conf_place {
	const char *file; /* NULL: not from a file */
	int line;
	bool is_derived;
	bool is_refused; /* there was a problem with it, so that nothing further is said about it */
};
struct conf_origin {
	char *path;
	struct conf_place *section[CONF_SECTIONS]; /* one for each group */
	struct conf_place *option[CONF_SECTIONS];  /* conf_option_count for each group */
	void **mem;
	size_t mem_count;
};

/* Groups in a section: 1, or the length of the list. */
size_t conf_group_count(const struct conf *c, enum conf_section s);
/* The struct of one group. */
void *conf_group(const struct conf *c, enum conf_section s, size_t i);
const struct conf_option *conf_option_find(enum conf_section s, const char *name);
struct conf_place *conf_place(const struct conf *c, size_t i, const struct conf_option *o);
/* Zeroed memory that lives as long as c; ends the process when there is none. */
void *conf_alloc(struct conf *c, size_t n);
char *conf_strdup(struct conf *c, const char *s);
/* The n-th of "a|b|c" into buf; false when there are fewer. */
bool conf_word(const char *words, size_t n, char *buf, size_t size);
/* "times.heartbeat", "channels[0].rate" */
const char *conf_name(char *buf, size_t size, const struct conf_option *o, size_t i);
/* The closest of the names, NULL when none is close. next(ctx, i) gives the i-th, NULL ends. */
const char *conf_nearest(const char *name, const char *(*next)(const void *ctx, size_t i),
			 const void *ctx);

void conf_problem(struct conf_problems *p, const char *file, int line, const char *fmt, ...)
	PRINTF_LIKE(4, 5);
/* At the option's own line, or at the group's when it was not set. */
void conf_problem_at(struct conf_problems *p, const struct conf *c, size_t i,
		     const struct conf_option *o, const char *fmt, ...) PRINTF_LIKE(5, 6);
/* Everything that a single value cannot tell. */
void conf_cross_check(struct conf *c, struct conf_problems *p);
/* Values that follow from others where the file has none. */
void conf_derive(struct conf *c);
/* Bytes as "16KiB", milliseconds as "5s", else the number. */
const char *conf_number(char *buf, size_t size, enum conf_kind kind, int64_t v);

#endif
