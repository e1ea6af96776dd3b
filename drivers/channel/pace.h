/* pace.h - a token bucket: so many things in a period, evenly.
 *
 * The bucket holds a tenth of a second's worth (at least one), so that no second sees more than a
 * tenth above the rate. Loop thread, owns nothing, milliseconds of the caller's monotonic clock. */
#ifndef MTRELAY_PACE_H
#define MTRELAY_PACE_H
#include <stdint.h>

struct pace {
	int64_t count; /* in each period; 0: no limit */
	int64_t period_ms;
	int64_t depth; /* most that may go at once */
	int64_t level; /* what may go, in count * ms: full is depth * period_ms */
	int64_t last_ms;
};

void pace_init(struct pace *p, int64_t count, int64_t period_ms, int64_t now_ms);
/* How many may go now. */
unsigned pace_room(struct pace *p, int64_t now_ms);
/* The fewest of most that are worth a request (and a claim before it): half of what ever goes at
 * once, so that a slow rate does not become a request a message. */
unsigned pace_worth(const struct pace *p, unsigned most);
/* n went; may be more than the room, the debt is waited for. */
void pace_take(struct pace *p, int64_t now_ms, unsigned n);
/* Until n may go (as many as ever fit at once), 0: now. */
int64_t pace_wait_ms(struct pace *p, int64_t now_ms, unsigned n);

#endif
