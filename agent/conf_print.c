/* conf_print.c - the table of options as effective values, as sample file and as manual. */
#include "config.h"
#include "agent/conf.h"
#include "agent/conf_table.h"

#include <inttypes.h>
#include <string.h>

#define WIDTH 96

/* ---- values ---- */

static void
put_string(FILE *f, const char *s)
{
	fputc('"', f);
	for (; *s != '\0'; s++) {
		if (*s == '"' || *s == '\\')
			fputc('\\', f);
		fputc(*s, f);
	}
	fputc('"', f);
}

static void
put_value(FILE *f, const struct conf_option *o, const char *group)
{
	const char *field = group + o->offset, *s, **list;
	char text[64];
	size_t n;
	int64_t v;
	int word;
	bool b;

	switch (o->kind) {
	case KIND_STR:
	case KIND_FILE:
	case KIND_SECRET:
		memcpy(&s, field, sizeof s);
		put_string(f, s);
		break;
	case KIND_BOOL:
		memcpy(&b, field, sizeof b);
		fputs(b ? "true" : "false", f);
		break;
	case KIND_INT:
		memcpy(&v, field, sizeof v);
		/* Without the L libconfig reads a large number as a negative one. */
		fprintf(f, "%" PRId64 "%s", v, v > INT32_MAX ? "L" : "");
		break;
	case KIND_MS:
	case KIND_BYTES:
		memcpy(&v, field, sizeof v);
		put_string(f, conf_number(text, sizeof text, o->kind, v));
		break;
	case KIND_ENUM:
		memcpy(&word, field, sizeof word);
		if (conf_word(o->words, (size_t)word, text, sizeof text))
			put_string(f, text);
		break;
	case KIND_LIST:
		memcpy(&list, field, sizeof list);
		memcpy(&n, group + o->count_offset, sizeof n);
		fputc('[', f);
		for (size_t i = 0; i < n; i++) {
			fputs(i > 0 ? ", " : "", f);
			put_string(f, list[i]);
		}
		fputc(']', f);
		break;
	}
}

static bool
is_unset(const struct conf_option *o, const char *group)
{
	const char *s;
	size_t count;

	if (o->kind == KIND_LIST) {
		memcpy(&count, group + o->count_offset, sizeof count);
		return count == 0;
	}
	if (o->kind != KIND_STR && o->kind != KIND_FILE && o->kind != KIND_SECRET)
		return false;
	memcpy(&s, group + o->offset, sizeof s);
	return s == NULL;
}

static void
dump_group(const struct conf *c, FILE *f, enum conf_section s, size_t i, const char *indent)
{
	const char *group = conf_group(c, s, i);

	for (size_t k = 0; k < conf_option_count; k++) {
		const struct conf_option *o = &conf_options[k];
		const struct conf_place *at;

		if (o->section != s)
			continue;
		at = conf_place(c, i, o);
		if (is_unset(o, group)) {
			fprintf(f, "%s# %s is not set\n", indent, o->name);
			continue;
		}
		fprintf(f, "%s%s = ", indent, o->name);
		put_value(f, o, group);
		if (at->file != NULL)
			fprintf(f, "; # %s:%d\n", at->file, at->line);
		else
			fprintf(f, "; # %s\n", at->is_derived ? "derived" : "default");
	}
}

void
conf_dump(const struct conf *c, FILE *f)
{
	for (enum conf_section s = 0; s < CONF_SECTIONS; s++) {
		const struct conf_section_info *si = &conf_sections[s];

		fprintf(f, "%s: %s\n", si->name, si->is_list ? "(" : "{");
		for (size_t i = 0; i < conf_group_count(c, s); i++) {
			fputs(si->is_list ? "\t{\n" : "", f);
			dump_group(c, f, s, i, si->is_list ? "\t\t" : "\t");
			fprintf(f, "%s",
				!si->is_list			 ? ""
				: i + 1 < conf_group_count(c, s) ? "\t},\n"
								 : "\t}\n");
		}
		fprintf(f, "%s;\n", si->is_list ? ")" : "}");
	}
}

/* ---- sample ---- */

/* What stands uncommented in the sample: it must be said by everybody, or shows the form. */
static const struct {
	enum conf_section section;
	const char *name, *value;
} examples[] = {
	{ CONF_DATABASE, "driver", "\"mysql\"" },
	{ CONF_DATABASE, "host", "\"127.0.0.1\"" },
	{ CONF_DATABASE, "name", "\"mtrelay\"" },
	{ CONF_DATABASE, "user", "\"mtrelay\"" },
	{ CONF_DATABASE, "password_file", "\"/etc/mtrelay/db.pass\"" },
	{ CONF_CHANNELS, "name", "\"infobip\"" },
	{ CONF_CHANNELS, "driver", "\"infobip\"" },
	{ CONF_CHANNELS, "url", "\"https://xyz.api.infobip.com\"" },
	{ CONF_CHANNELS, "api_key_file", "\"/etc/mtrelay/infobip.key\"" },
	{ CONF_ROUTES, "type", "[\"SMS\", \"LMS\"]" },
	{ CONF_ROUTES, "channels", "[\"infobip\"]" },
};

static const char *
example_of(const struct conf_option *o)
{
	for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
		if (examples[i].section == o->section && strcmp(examples[i].name, o->name) == 0)
			return examples[i].value;
	}
	return NULL;
}

/* A comment, broken at blanks. */
static void
put_comment(FILE *f, const char *indent, const char *text)
{
	size_t room = WIDTH - 8 * strlen(indent) - 2;

	while (*text != '\0') {
		size_t n = strlen(text);

		if (n > room) {
			for (n = room; n > 0 && text[n] != ' '; n--)
				;
			if (n == 0)
				n = strcspn(text, " ");
		}
		fprintf(f, "%s# %.*s\n", indent, (int)n, text);
		text += n;
		text += strspn(text, " ");
	}
}

static void
put_default(FILE *f, const struct conf_option *o)
{
	char text[64];

	switch (o->kind) {
	case KIND_STR:
	case KIND_FILE:
	case KIND_SECRET:
		put_string(f, o->def_text != NULL ? o->def_text : "");
		break;
	case KIND_BOOL:
		fputs(o->def != 0 ? "true" : "false", f);
		break;
	case KIND_INT:
		fputs(conf_number(text, sizeof text, o->kind, o->def), f);
		break;
	case KIND_MS:
	case KIND_BYTES:
		put_string(f, conf_number(text, sizeof text, o->kind, o->def));
		break;
	case KIND_ENUM:
		if (conf_word(o->words, (size_t)o->def, text, sizeof text))
			put_string(f, text);
		break;
	case KIND_LIST:
		fputs("[ ]", f);
		break;
	}
}

void
conf_print_sample(FILE *f)
{
	fputs("# mtrelay.conf - see mtrelay.conf(5). A # begins a comment; what stands behind one "
	      "here is the default.\n"
	      "# Check a changed file with \"mtrelayd -t\" before \"mtrelayctl reload\".\n",
	      f);
	for (enum conf_section s = 0; s < CONF_SECTIONS; s++) {
		const struct conf_section_info *si = &conf_sections[s];
		const char *indent = si->is_list ? "\t\t" : "\t";

		fputc('\n', f);
		put_comment(f, "", si->text);
		fprintf(f, "%s: %s\n", si->name, si->is_list ? "(\n\t{" : "{");
		for (size_t k = 0; k < conf_option_count; k++) {
			const struct conf_option *o = &conf_options[k];

			if (o->section != s)
				continue;
			put_comment(f, indent, o->text);
			if (example_of(o) != NULL) {
				fprintf(f, "%s%s = %s;\n", indent, o->name, example_of(o));
				continue;
			}
			fprintf(f, "%s#%s = ", indent, o->name);
			put_default(f, o);
			fputs(";\n", f);
		}
		fputs(si->is_list ? "\t}\n);\n" : "};\n", f);
	}
}

/* ---- manual ---- */

/* Text in which neither a backslash nor a dot or quote at the begin of a line means something to
 * man. */
static void
put_man(FILE *f, const char *s)
{
	if (*s == '.' || *s == '\'')
		fputs("\\&", f);
	for (; *s != '\0'; s++) {
		if (*s == '\\')
			fputs("\\e", f);
		else if (*s == '-')
			fputs("\\-", f);
		else
			fputc(*s, f);
	}
}

static void
put_facts(FILE *f, const struct conf_option *o)
{
	char lo[32], hi[32];
	bool is_number = o->kind == KIND_INT || o->kind == KIND_MS || o->kind == KIND_BYTES;
	bool is_text = o->kind == KIND_STR || o->kind == KIND_FILE || o->kind == KIND_SECRET;

	if (o->kind != KIND_LIST && (!is_text || o->def_text != NULL) &&
	    strstr(o->text, "Default:") == NULL) {
		fputs("Default ", f);
		put_default(f, o);
		fputs(".\n", f);
	}
	if (is_number)
		fprintf(f, "Range %s to %s.\n", conf_number(lo, sizeof lo, o->kind, o->min),
			conf_number(hi, sizeof hi, o->kind, o->max));
	fputs(o->is_start ? "A change needs a restart.\n" : "A reload takes a change over.\n", f);
}

void
conf_print_man(FILE *f)
{
	for (enum conf_section s = 0; s < CONF_SECTIONS; s++) {
		fprintf(f, ".SS \"Section %s\"\n", conf_sections[s].name);
		put_man(f, conf_sections[s].text);
		fputc('\n', f);
		for (size_t k = 0; k < conf_option_count; k++) {
			const struct conf_option *o = &conf_options[k];

			if (o->section != s)
				continue;
			fprintf(f, ".TP\n.B %s\n", o->name);
			put_man(f, o->text);
			fputc('\n', f);
			put_facts(f, o);
		}
	}
}
