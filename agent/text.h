/* text.h - checked parsing and small text helpers. Pure functions without locale; any thread.
 *
 * Parsers take the whole text or nothing: no blanks, no rest, out is untouched on false. UTF-8 is
 * that of RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef MTRELAY_TEXT_H
#define MTRELAY_TEXT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "agent/err.h"

/* Decimal with an optional '-'; false when it is no number or outside of min..max. */
bool text_i64(const char *s, int64_t min, int64_t max, int64_t *out) MUST_USE;
/* The same for n bytes without a NUL. */
bool text_i64_n(const char *p, size_t n, int64_t min, int64_t max, int64_t *out) MUST_USE;
/* A whole number and its unit "ms", "s", "min", "h" or "d" ("100ms", "5s", "10min", "48h"), in
 * milliseconds; "0" needs no unit. */
bool text_ms(const char *s, int64_t min_ms, int64_t max_ms, int64_t *out_ms) MUST_USE;
/* The shortest text that text_ms() reads back as ms; returns buf (24 bytes are enough). */
const char *text_ms_format(char *buf, size_t size, int64_t ms);

/* False: *bad (may be NULL) is the offset of the first byte that begins no valid character. */
bool text_utf8_check(const char *p, size_t n, size_t *bad) MUST_USE;
/* The character at *at, which moves behind it; -1 (and *at unmoved) at a bad byte. *at < n is
 * required. */
int32_t text_utf8_next(const char *p, size_t n, size_t *at);
/* Characters (code points) in n bytes; each bad byte counts as one. */
size_t text_utf8_len(const char *p, size_t n);
/* The largest number of bytes <= max that does not cut a character of valid text. */
size_t text_utf8_cut(const char *p, size_t n, size_t max);

/* Two lower-case digits a byte and a NUL; out has 2 * n + 1 bytes. */
void text_hex(char *out, const void *p, size_t n);
/* Reads exactly 2 * n digits of either case into n bytes; false when the text is something else. */
bool text_unhex(const char *s, void *out, size_t n) MUST_USE;

/* CRC-32C (Castagnoli, RFC 3720 B.4); start with 0, and with the last result to go on. */
uint32_t text_crc32c(uint32_t crc, const void *p, size_t n);

/* Skips blanks, tabs, CR and LF at both ends: returns the new begin, *n the new length. */
const char *text_trim(const char *p, size_t *n);
/* ASCII letters compare without case. */
bool text_equal_nocase(const char *p, size_t n, const char *word);
/* An SQL identifier as we allow it: [A-Za-z_][A-Za-z0-9_]*, 1 to max bytes. */
bool text_is_identifier(const char *s, size_t max);
/* Copies what fits and a NUL; false when it was cut (never inside of a UTF-8 character). size >
 * 0. */
bool text_copy(char *dst, size_t size, const char *src);
bool text_copy_n(char *dst, size_t size, const char *p, size_t n);
/* Overwrites in a way that the compiler keeps: for secrets. */
void text_wipe(void *p, size_t n);

#endif
