#include "config.h"
#include "agent/cp949.h"
#include "agent/cp949_table.h"
#include "agent/text.h"

#define HANGUL_FIRST 0xac00u
#define HANGUL_COUNT 11172u
#define KS_HANGUL 2350u /* of them in KS X 1001, from 0xb0a1 on in rows of 94 */
#define KS_HANGUL_LEAD 0xb0u
#define ROW 94u
#define TRAIL 0xa1u	/* where a row of KS X 1001 begins */
#define SYMBOL_ROWS 12u /* 0xa1 to 0xac; Hanja go on at 0xca */
#define WIDE_ROW 178u	/* other Hangul: rows 0x81 to 0xa0, trails 41-5a 61-7a 81-fe */
#define WIDE_ROWS 32u	/* the rows from 0xa1 on end before TRAIL */
#define NARROW_ROW 84u

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static unsigned
bits(uint64_t v)
{
	return (unsigned)__builtin_popcountll(v);
}

/* Which of its kind (in KS X 1001 or not) the syllable i is, from 0. */
static unsigned
hangul_rank(unsigned i, bool *ks)
{
	uint64_t word = cp949_ks_hangul[i / 64];
	unsigned before = cp949_ks_before[i / 64] + bits(word & ((UINT64_C(1) << i % 64) - 1));

	*ks = word >> i % 64 & 1;
	return *ks ? before : i - before;
}

/* The syllable that has this rank. */
static unsigned
hangul_of_rank(unsigned rank, bool ks)
{
	unsigned low = 0;
	unsigned high = HANGUL_COUNT - 1;

	/* The last syllable before or at which no more than rank others of its kind stand. */
	while (low < high) {
		unsigned mid = (low + high + 1) / 2;
		bool is_ks;
		unsigned r = hangul_rank(mid, &is_ks);
		unsigned before = is_ks == ks ? r : mid - r;

		if (before <= rank)
			low = mid;
		else
			high = mid - 1;
	}
	return low;
}

static unsigned
encode_hangul(unsigned i)
{
	bool ks;
	unsigned rank = hangul_rank(i, &ks);
	unsigned row;
	unsigned col;

	if (ks)
		return (KS_HANGUL_LEAD + rank / ROW) << 8 | (TRAIL + rank % ROW);
	if (rank < WIDE_ROWS * WIDE_ROW) {
		row = rank / WIDE_ROW;
		col = rank % WIDE_ROW;
	} else {
		rank -= WIDE_ROWS * WIDE_ROW;
		row = WIDE_ROWS + rank / NARROW_ROW;
		col = rank % NARROW_ROW;
	}
	return (0x81 + row) << 8 | (col < 26 ? 0x41 + col : col < 52 ? 0x47 + col : 0x4d + col);
}

unsigned
cp949_encode(uint32_t code_point)
{
	unsigned low = 0;
	unsigned high = COUNT(cp949_order);

	if (code_point < 0x80)
		return code_point;
	if (code_point - HANGUL_FIRST < HANGUL_COUNT)
		return encode_hangul(code_point - HANGUL_FIRST);
	while (low < high) {
		unsigned mid = (low + high) / 2;
		unsigned place = cp949_order[mid];
		unsigned row = place / ROW;

		if (cp949_rows[place] == code_point)
			return ((row < SYMBOL_ROWS ? 0xa1 : 0xca - SYMBOL_ROWS) + row) << 8 |
			       (TRAIL + place % ROW);
		if (cp949_rows[place] < code_point)
			low = mid + 1;
		else
			high = mid;
	}
	return 0;
}

uint32_t
cp949_decode(unsigned code)
{
	unsigned lead = code >> 8;
	unsigned trail = code & 0xff;
	unsigned col;
	unsigned rank;

	if (code < 0x80)
		return code;
	if (lead < 0x81 || lead > 0xfd)
		return 0;
	if (lead >= 0xa1 && trail >= TRAIL) {
		if (trail == 0xff)
			return 0;
		col = trail - TRAIL;
		if (lead <= 0xac)
			return cp949_rows[(lead - 0xa1) * ROW + col];
		if (lead >= 0xca)
			return cp949_rows[(lead - 0xca + SYMBOL_ROWS) * ROW + col];
		if (lead < KS_HANGUL_LEAD || lead == 0xc9)
			return 0;
		rank = (lead - KS_HANGUL_LEAD) * ROW + col;
		return HANGUL_FIRST + hangul_of_rank(rank, true);
	}
	if (trail >= 0x41 && trail <= 0x5a)
		col = trail - 0x41;
	else if (trail >= 0x61 && trail <= 0x7a)
		col = trail - 0x47;
	else if (trail >= 0x81 && trail <= 0xfe)
		col = trail - 0x4d;
	else
		return 0;
	rank = lead <= 0xa0 ? (lead - 0x81) * WIDE_ROW + col
			    : WIDE_ROWS * WIDE_ROW + (lead - 0xa1) * NARROW_ROW + col;
	if (rank >= HANGUL_COUNT - KS_HANGUL)
		return 0;
	return HANGUL_FIRST + hangul_of_rank(rank, false);
}

bool
cp949_in_ksx1001(unsigned code)
{
	return code < 0x80 || ((code >> 8) >= 0xa1 && (code & 0xff) >= TRAIL);
}

bool
cp949_has(uint32_t code_point)
{
	return code_point == 0 || cp949_encode(code_point) != 0;
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
