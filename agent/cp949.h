/* cp949.h - the Korean code page: its bytes, and the length of a text as a carrier counts it.
 *
 * CP949 (KS X 1001 with the other Hangul syllables of Microsoft's code page 949): ASCII is one
 * byte, every other character that it has two. Pure functions over constant data, any thread.
 * The table is made by scripts/gen-cp949 from Python's codec; the code page's single bytes 0x80
 * and above are not used. */
#ifndef MTRELAY_CP949_H
#define MTRELAY_CP949_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "drivers/channel/channel.h"

enum cp949_answer {
	CP949_OK,
	CP949_BAD_UTF8, /* bad_byte */
	CP949_OUTSIDE,	/* bad_char, bad_code_point; in mode CHARSET_CP949 only */
};

struct cp949_count {
	size_t bytes; /* as the carrier counts, up to the bad place */
	size_t chars;
	size_t bad_byte; /* offset from 0 */
	size_t bad_char; /* position from 1 */
	uint32_t bad_code_point;
};

bool cp949_has(uint32_t code_point);
/* 0x41, 0xb0a1: one byte below 0x80, otherwise two; 0 when it has none (and for U+0000). */
unsigned cp949_encode(uint32_t code_point);
/* Back; 0 when the code stands for nothing. */
uint32_t cp949_decode(unsigned code);
/* The code is EUC-KR too: ASCII, KS X 1001. */
bool cp949_in_ksx1001(unsigned code);
/* In mode CHARSET_UNICODE a character outside of CP949 counts two bytes a UTF-16 unit: an emoji
 * 4. */
enum cp949_answer cp949_bytes(const char *p, size_t n, enum channel_charset mode,
			      struct cp949_count *c);

#endif
