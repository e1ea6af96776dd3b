/* stats.h - counters and gauges of the process.
 *
 * All are rows of stats.def and start at 0. A counter only grows, a gauge is set or moved. Atomic:
 * any thread. Values are signed so that a gauge taken below 0 by a mistake is seen as such. */
#ifndef MTRELAY_STATS_H
#define MTRELAY_STATS_H
#include <stdint.h>

enum stat_kind { STAT_COUNTER, STAT_GAUGE };

enum stat_id {
#define STAT_DEF(name, kind, unit, sentence) STAT_##name,
#include "agent/stats.def"
#undef STAT_DEF
	STAT_COUNT
};

struct stat_info {
	const char *name; /* "log_lines_suppressed" */
	enum stat_kind kind;
	const char *unit;
	const char *sentence;
};

void stat_add(enum stat_id s, int64_t n);
void stat_inc(enum stat_id s);
void stat_dec(enum stat_id s);		      /* gauges only */
void stat_set(enum stat_id s, int64_t value); /* gauges only */
int64_t stat_get(enum stat_id s);
const struct stat_info *stat_info(enum stat_id s);
/* In the order of stats.def. Each value is read by itself; together they are no snapshot. */
void stats_each(void (*cb)(const struct stat_info *info, int64_t value, void *ctx), void *ctx);
/* Tests: all back to 0. */
void stats_reset(void);

#endif
