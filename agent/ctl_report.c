/* ctl_report.c - what people and programs read: the lines of check and schema --check, times
 * and spans. */
#include "config.h"
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
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
		printf("%-4s  %-18s  %s\n", words[level], thing, text);
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
	if (r->lines != NULL) {
		ctl_print_json(json_pack("{s:b, s:s, s:o}", "ok", r->worst != CTL_FAIL, "worst",
					 words[r->worst], "lines", r->lines));
	} else {
		printf("\n%s: ", words[r->worst]);
		if (r->count[CTL_FAIL] > 0)
			printf("%u to mend before mtrelayd can work, ", r->count[CTL_FAIL]);
		if (r->count[CTL_WARN] > 0)
			printf("%u to look at, ", r->count[CTL_WARN]);
		printf("%u in order\n", r->count[CTL_OK]);
	}
	r->lines = NULL;
	return r->worst;
}

const char *
ctl_time(char *buf, size_t size, int64_t ms)
{
	time_t t = (time_t)(ms / 1000);
	struct tm tm;
	size_t n;

	if (ms == 0 || localtime_r(&t, &tm) == NULL) {
		snprintf(buf, size, "-");
		return buf;
	}
	n = strftime(buf, size, "%Y-%m-%d %H:%M:%S", &tm);
	snprintf(buf + n, size - n, ".%03d", (int)(ms % 1000));
	return buf;
}

json_t *
ctl_json_time(int64_t ms)
{
	time_t t = (time_t)(ms / 1000);
	struct tm tm;
	char buf[40];
	size_t n;

	if (ms == 0 || gmtime_r(&t, &tm) == NULL)
		return json_null();
	n = strftime(buf, sizeof buf, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf + n, sizeof buf - n, ".%03dZ", (int)(ms % 1000));
	return json_string(buf);
}

const char *
ctl_span(char *buf, size_t size, int64_t ms)
{
	long long s = (ms < 0 ? -ms : ms) / 1000;

	if (s < 1)
		snprintf(buf, size, "%lld ms", (long long)(ms < 0 ? -ms : ms));
	else if (s < 120)
		snprintf(buf, size, "%lld s", s);
	else if (s < 7200)
		snprintf(buf, size, "%lld min", (s + 30) / 60);
	else if (s < 172800)
		snprintf(buf, size, "%lld h %lld min", s / 3600, s % 3600 / 60);
	else
		snprintf(buf, size, "%lld days", s / 86400);
	return buf;
}
