#include "config.h"
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include "agent/clock.h"

static _Atomic int64_t fake_ms = -1;

static int64_t
read_us(clockid_t id)
{
	struct timespec ts;
	int64_t fake = fake_ms;

	if (fake >= 0)
		return fake * 1000;
	/* Cannot fail: the ids are constant and the pointer is good. */
	(void)clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t
clock_mono_ms(void)
{
	return read_us(CLOCK_MONOTONIC) / 1000;
}

int64_t
clock_mono_us(void)
{
	return read_us(CLOCK_MONOTONIC);
}

int64_t
clock_boot_ms(void)
{
	return read_us(CLOCK_BOOTTIME) / 1000;
}

const char *
clock_wall_text(char *buf, size_t size)
{
	struct timespec ts;
	struct tm tm;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	if (gmtime_r(&ts.tv_sec, &tm) == NULL ||
	    snprintf(buf, size, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
		     tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
		     (int)(ts.tv_nsec / 1000000)) < 0)
		buf[0] = '\0';
	return buf;
}

void
clock_fake_set(int64_t now_ms)
{
	fake_ms = now_ms;
}
