#include "config.h"
#include "agent/cp949.h"
#include "agent/cp949_table.h"
#include "agent/text.h"

bool
cp949_has(uint32_t code_point)
{
	if (code_point > 0xffff)
		return false;
	return cp949_pages[cp949_index[code_point >> 8]][code_point >> 6 & 3] >> (code_point & 63) &
	       1;
}

enum cp949_answer
cp949_bytes(const char *p, size_t n, enum channel_charset mode, struct cp949_count *c)
{
	*c = (struct cp949_count){ 0 };
	for (size_t at = 0; at < n;) {
		int32_t cp = text_utf8_next(p, n, &at);

		if (cp < 0) {
			c->bad_byte = at;
			c->bad_char = c->chars + 1;
			return CP949_BAD_UTF8;
		}
		c->chars++;
		if (cp < 0x80) {
			c->bytes += 1;
		} else if (cp949_has((uint32_t)cp)) {
			c->bytes += 2;
		} else if (mode == CHARSET_UNICODE) {
			c->bytes += cp > 0xffff ? 4 : 2;
		} else {
			c->bad_char = c->chars;
			c->bad_code_point = (uint32_t)cp;
			return CP949_OUTSIDE;
		}
	}
	return CP949_OK;
}
