/* clock.h - the only place that asks the operating system for the time.
 *
 * Waits use the monotonic clock, write deadlines and lease margins the boot-time clock (it goes on
 * while the host sleeps); the wall clock only stamps log lines. Due times and leases in the tables
 * are the database's business and never come from here. Any thread, but the fake is for
 * single-threaded tests. Unit: milliseconds. */
#ifndef MTRELAY_CLOCK_H
#define MTRELAY_CLOCK_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int64_t clock_mono_ms(void);
/* Only for protocols that want this unit. */
int64_t clock_mono_us(void);
int64_t clock_boot_ms(void);
/* Wall time as "2026-11-21T10:00:00.123Z" into buf (at least 25 bytes); returns buf. */
const char *clock_wall_text(char *buf, size_t size);
/* Tests: from now on both clocks stand still at now_ms until the next call; a negative value ends
 * it. */
void clock_fake_set(int64_t now_ms);

#endif
