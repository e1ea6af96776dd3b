/* ctl_report.c - the lines of check and schema --check: for people one line each, for programs one object. */
#include "config.h"
#include <stdarg.h>
#include <stdio.h>
#include "agent/ctl.h"

static const char *const words[] = { [CTL_OK] = "OK", [CTL_WARN] = "WARN", [CTL_FAIL] = "FAIL" };

void
ctl_report_begin(struct ctl_report *r, const struct ctl *c)
{
	*r = (struct ctl_report){ .c = c,
				  .lines = c->is_json ? json_array() : NULL,
				  .worst = CTL_OK };
}

void
ctl_report_line(struct ctl_report *r, int level, const char *thing, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (level > r->worst)
		r->worst = level;
	r->count[level]++;
	if (r->lines != NULL)
		json_array_append_new(r->lines, json_pack("{s:s, s:s, s:s}", "level", words[level],
							  "thing", thing, "text", text));
	else
		printf("%-4s  %-28s  %s\n", words[level], thing, text);
}

void
ctl_report_finding(void *ctx, const struct schema_finding *f)
{
	static const int levels[] = {
		[SCHEMA_OK] = CTL_OK, [SCHEMA_WARN] = CTL_WARN, [SCHEMA_FAIL] = CTL_FAIL
	};

	ctl_report_line(ctx, levels[f->level], f->thing, "%s", f->text);
}

int
ctl_report_end(struct ctl_report *r)
{
	if (r->lines != NULL)
		ctl_print_json(json_pack("{s:b, s:s, s:o}", "ok", r->worst != CTL_FAIL, "worst",
					 words[r->worst], "lines", r->lines));
	else
		printf("\n%s: %u in order, %u to look at, %u that stop it\n", words[r->worst],
		       r->count[CTL_OK], r->count[CTL_WARN], r->count[CTL_FAIL]);
	r->lines = NULL;
	return r->worst;
}
