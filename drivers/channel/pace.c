#include "config.h"
#include "drivers/channel/pace.h"

#include <limits.h>

void
pace_init(struct pace *p, int64_t count, int64_t period_ms, int64_t now_ms)
{
	p->count = count;
	p->period_ms = period_ms;
	p->depth = count * 100 / period_ms;
	if (p->depth < 1)
		p->depth = 1;
	p->level = p->depth * period_ms;
	p->last_ms = now_ms;
}

static void
fill(struct pace *p, int64_t now_ms)
{
	int64_t full = p->depth * p->period_ms;
	int64_t gone = now_ms - p->last_ms;

	p->last_ms = now_ms;
	if (gone <= 0)
		return;
	if (gone > (full - p->level) / p->count)
		p->level = full;
	else
		p->level += gone * p->count;
}

unsigned
pace_room(struct pace *p, int64_t now_ms)
{
	if (p->count == 0)
		return UINT_MAX;
	fill(p, now_ms);
	return p->level < 0 ? 0 : (unsigned)(p->level / p->period_ms);
}

unsigned
pace_worth(const struct pace *p, unsigned most)
{
	int64_t half = p->depth / 2;

	if (p->count == 0 || half < 1)
		return 1;
	return half < most ? (unsigned)half : most;
}

void
pace_take(struct pace *p, int64_t now_ms, unsigned n)
{
	if (p->count == 0)
		return;
	fill(p, now_ms);
	p->level -= (int64_t)n * p->period_ms;
}

int64_t
pace_wait_ms(struct pace *p, int64_t now_ms, unsigned n)
{
	int64_t want = n > p->depth ? p->depth : n;

	if (p->count == 0)
		return 0;
	fill(p, now_ms);
	want = want * p->period_ms - p->level;
	return want <= 0 ? 0 : (want + p->count - 1) / p->count;
}
