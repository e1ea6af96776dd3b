/* isotime.h - a provider's time with its zone, as UTC. Pure, any thread. */
#ifndef MTRELAY_ISOTIME_H
#define MTRELAY_ISOTIME_H
#include <stdbool.h>
#include <stddef.h>

/* "2019-11-09T16:00:00.000+0100" to "2019-11-09 15:00:00.000"; false and "" when it is no such
 * time. */
bool isotime_utc(const char *s, char *out, size_t size);

#endif
