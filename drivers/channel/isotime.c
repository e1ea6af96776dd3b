#include "config.h"
#include "drivers/channel/isotime.h"

#include <stdint.h>
#include <stdio.h>

static bool
digits(const char **s, int count, int *v)
{
	*v = 0;
	for (int i = 0; i < count; i++, (*s)++) {
		if (**s < '0' || **s > '9')
			return false;
		*v = *v * 10 + (**s - '0');
	}
	return true;
}

static bool
literal(const char **s, char c)
{
	if (**s != c)
		return false;
	(*s)++;
	return true;
}

/* Days since 1970-01-01 of a date of the Gregorian calendar, and back (years begin in March, so
 * that the leap day is the last one). */
static int64_t
days_of(int y, int m, int d)
{
	int64_t year = m <= 2 ? y - 1 : y;
	int64_t era = year / 400;
	int64_t yoe = year - era * 400;
	int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;

	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static void
date_of(int64_t days, int *y, int *m, int *d)
{
	int64_t z = days + 719468;
	int64_t era = z / 146097;
	int64_t doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153;

	*d = (int)(doy - (153 * mp + 2) / 5 + 1);
	*m = (int)(mp < 10 ? mp + 3 : mp - 9);
	*y = (int)(yoe + era * 400 + (*m <= 2));
}

static bool
read_zone(const char **s, int *minutes)
{
	int h;
	int m;
	int sign = **s == '-' ? -1 : 1;

	*minutes = 0;
	if (literal(s, 'Z'))
		return **s == '\0';
	if (!literal(s, '+') && !literal(s, '-'))
		return false;
	if (!digits(s, 2, &h))
		return false;
	literal(s, ':');
	if (!digits(s, 2, &m) || h > 18 || m > 59)
		return false;
	*minutes = sign * (h * 60 + m);
	return **s == '\0';
}

static bool
read_time(const char *s, int64_t *seconds, int *ms)
{
	int y;
	int mo;
	int d;
	int h;
	int mi;
	int sec;
	int zone;
	int scale = 100;

	if (!digits(&s, 4, &y) || !literal(&s, '-') || !digits(&s, 2, &mo) || !literal(&s, '-') ||
	    !digits(&s, 2, &d))
		return false;
	if (!literal(&s, 'T') || !digits(&s, 2, &h) || !literal(&s, ':') || !digits(&s, 2, &mi) ||
	    !literal(&s, ':') || !digits(&s, 2, &sec))
		return false;
	*ms = 0;
	if (literal(&s, '.')) {
		if (*s < '0' || *s > '9')
			return false;
		for (; *s >= '0' && *s <= '9'; s++, scale /= 10)
			*ms += (*s - '0') * scale;
	}
	if (y < 1971 || y > 9998 || mo < 1 || mo > 12 || d < 1 || d > 31 || h > 23 || mi > 59 ||
	    sec > 60)
		return false;
	if (!read_zone(&s, &zone))
		return false;
	*seconds = days_of(y, mo, d) * 86400 + h * 3600 + mi * 60 + sec - zone * 60;
	return true;
}

bool
isotime_utc(const char *s, char *out, size_t size)
{
	int64_t t;
	int ms;
	int y;
	int m;
	int d;
	int rest;

	out[0] = '\0';
	if (!read_time(s, &t, &ms))
		return false;
	date_of(t / 86400, &y, &m, &d);
	rest = (int)(t % 86400);
	snprintf(out, size, "%04d-%02d-%02d %02d:%02d:%02d.%03d", y, m, d, rest / 3600,
		 rest / 60 % 60, rest % 60, ms);
	return true;
}
