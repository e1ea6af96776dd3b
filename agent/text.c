#include "config.h"
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include "agent/text.h"

bool
text_i64_n(const char *p, size_t n, int64_t min, int64_t max, int64_t *out)
{
	bool negative = n > 0 && p[0] == '-';
	size_t i = negative ? 1 : 0;
	int64_t value = 0;

	if (i == n)
		return false;
	/* Counted below zero, where there is room for one more. */
	for (; i < n; i++) {
		int digit = p[i] - '0';

		if (digit < 0 || digit > 9 || value < INT64_MIN / 10 ||
		    value * 10 < INT64_MIN + digit)
			return false;
		value = value * 10 - digit;
	}
	if (!negative && value == INT64_MIN)
		return false;
	if (!negative)
		value = -value;
	if (value < min || value > max)
		return false;
	*out = value;
	return true;
}

bool
text_i64(const char *s, int64_t min, int64_t max, int64_t *out)
{
	return text_i64_n(s, strlen(s), min, max, out);
}

static const struct {
	const char *name;
	int64_t ms;
} units[] = {
	{ "d", 86400000 }, { "h", 3600000 }, { "min", 60000 }, { "s", 1000 }, { "ms", 1 },
};

bool
text_ms(const char *s, int64_t min_ms, int64_t max_ms, int64_t *out_ms)
{
	size_t digits = strspn(s, "0123456789");
	int64_t value;
	size_t i;

	if (!text_i64_n(s, digits, 0, INT64_MAX, &value))
		return false;
	for (i = 0; i < sizeof units / sizeof units[0]; i++) {
		if (strcmp(s + digits, units[i].name) == 0)
			break;
	}
	if (i == sizeof units / sizeof units[0]) {
		if (value != 0 || s[digits] != '\0')
			return false;
	} else if (value > INT64_MAX / units[i].ms) {
		return false;
	} else {
		value *= units[i].ms;
	}
	if (value < min_ms || value > max_ms)
		return false;
	*out_ms = value;
	return true;
}

const char *
text_ms_format(char *buf, size_t size, int64_t ms)
{
	size_t i = sizeof units / sizeof units[0] - 1;
	size_t u;

	/* Whole days stay hours up to two of them: "48h" is what people write. */
	for (u = ms > 0 && ms <= 2 * units[0].ms ? 1 : 0; ms != 0 && u < i; u++) {
		if (ms % units[u].ms == 0)
			i = u;
	}
	if (ms == 0)
		snprintf(buf, size, "0s");
	else
		snprintf(buf, size, "%lld%s", (long long)(ms / units[i].ms), units[i].name);
	return buf;
}

int32_t
text_utf8_next(const char *p, size_t n, size_t *at)
{
	const unsigned char *u = (const unsigned char *)p + *at;
	size_t left = n - *at;
	size_t len;
	size_t i;
	int32_t c;
	int32_t least;

	if (u[0] < 0x80) {
		*at += 1;
		return u[0];
	}
	if ((u[0] & 0xe0) == 0xc0) {
		len = 2;
		c = u[0] & 0x1f;
		least = 0x80;
	} else if ((u[0] & 0xf0) == 0xe0) {
		len = 3;
		c = u[0] & 0x0f;
		least = 0x800;
	} else if ((u[0] & 0xf8) == 0xf0) {
		len = 4;
		c = u[0] & 0x07;
		least = 0x10000;
	} else {
		return -1;
	}
	if (left < len)
		return -1;
	for (i = 1; i < len; i++) {
		if ((u[i] & 0xc0) != 0x80)
			return -1;
		c = c << 6 | (u[i] & 0x3f);
	}
	if (c < least || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return -1;
	*at += len;
	return c;
}

bool
text_utf8_check(const char *p, size_t n, size_t *bad)
{
	size_t at = 0;

	while (at < n) {
		if (text_utf8_next(p, n, &at) < 0) {
			if (bad != NULL)
				*bad = at;
			return false;
		}
	}
	return true;
}

size_t
text_utf8_len(const char *p, size_t n)
{
	size_t at = 0;
	size_t count = 0;

	for (; at < n; count++) {
		if (text_utf8_next(p, n, &at) < 0)
			at++;
	}
	return count;
}

size_t
text_utf8_cut(const char *p, size_t n, size_t max)
{
	size_t cut = max;

	if (n <= max)
		return n;
	while (cut > 0 && ((unsigned char)p[cut] & 0xc0) == 0x80)
		cut--;
	return cut;
}

void
text_hex(char *out, const void *p, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *u = p;
	size_t i;

	for (i = 0; i < n; i++) {
		out[2 * i] = digits[u[i] >> 4];
		out[2 * i + 1] = digits[u[i] & 15];
	}
	out[2 * n] = '\0';
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool
text_unhex(const char *s, void *out, size_t n)
{
	unsigned char *u = out;
	size_t i;

	if (strlen(s) != 2 * n)
		return false;
	for (i = 0; i < 2 * n; i++) {
		if (hex_value(s[i]) < 0)
			return false;
	}
	for (i = 0; i < n; i++)
		u[i] = (unsigned char)(hex_value(s[2 * i]) * 16 + hex_value(s[2 * i + 1]));
	return true;
}

uint32_t
text_crc32c(uint32_t crc, const void *p, size_t n)
{
	/* Polynomial 0x82f63b78 (reflected), four bits a step: small, and fast enough for journal
	 * marks. */
	static const uint32_t table[16] = {
		0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
		0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
		0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
	};
	const unsigned char *u = p;
	size_t i;

	crc = ~crc;
	for (i = 0; i < n; i++) {
		crc ^= u[i];
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return ~crc;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

const char *
text_trim(const char *p, size_t *n)
{
	while (*n > 0 && is_blank(p[0])) {
		p++;
		--*n;
	}
	while (*n > 0 && is_blank(p[*n - 1]))
		--*n;
	return p;
}

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool
text_equal_nocase(const char *p, size_t n, const char *word)
{
	size_t i;

	if (strlen(word) != n)
		return false;
	for (i = 0; i < n; i++) {
		if (lower(p[i]) != lower(word[i]))
			return false;
	}
	return true;
}

bool
text_is_identifier(const char *s, size_t max)
{
	size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");

	return n > 0 && n <= max && s[n] == '\0' && (s[0] < '0' || s[0] > '9');
}

bool
text_copy_n(char *dst, size_t size, const char *p, size_t n)
{
	size_t fit = text_utf8_cut(p, n, size - 1);

	if (fit > 0)
		memcpy(dst, p, fit);
	dst[fit] = '\0';
	return fit == n;
}

bool
text_copy(char *dst, size_t size, const char *src)
{
	return text_copy_n(dst, size, src, strlen(src));
}

void
text_wipe(void *p, size_t n)
{
	volatile unsigned char *v = p;

	while (n-- > 0)
		*v++ = 0;
}
