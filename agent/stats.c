#include "config.h"
#include <stdatomic.h>
#include <stddef.h>
#include "agent/stats.h"

#define COUNTER STAT_COUNTER
#define GAUGE STAT_GAUGE
static const struct stat_info infos[STAT_COUNT] = {
#define STAT_DEF(name, kind, unit, sentence) { #name, kind, unit, sentence },
#include "agent/stats.def"
#undef STAT_DEF
};
#undef COUNTER
#undef GAUGE

static _Atomic int64_t values[STAT_COUNT];

/* Relaxed: a number tells nothing about other memory. */
void
stat_add(enum stat_id s, int64_t n)
{
	atomic_fetch_add_explicit(&values[s], n, memory_order_relaxed);
}

void
stat_inc(enum stat_id s)
{
	stat_add(s, 1);
}

void
stat_dec(enum stat_id s)
{
	stat_add(s, -1);
}

void
stat_set(enum stat_id s, int64_t value)
{
	atomic_store_explicit(&values[s], value, memory_order_relaxed);
}

int64_t
stat_get(enum stat_id s)
{
	return atomic_load_explicit(&values[s], memory_order_relaxed);
}

const struct stat_info *
stat_info(enum stat_id s)
{
	return &infos[s];
}

void
stats_each(void (*cb)(const struct stat_info *info, int64_t value, void *ctx), void *ctx)
{
	int i;

	for (i = 0; i < STAT_COUNT; i++)
		cb(&infos[i], stat_get((enum stat_id)i), ctx);
}

void
stats_reset(void)
{
	int i;

	for (i = 0; i < STAT_COUNT; i++)
		stat_set((enum stat_id)i, 0);
}
