/* notify.h - tells the service manager how we are (sd_notify(3), without its library).
 *
 * Without $NOTIFY_SOCKET everything here does nothing. A message that cannot be sent is logged
 * (notify.failed) and has no other effect. Main thread only. Protocol: datagrams of NAME=value
 * lines to an AF_UNIX socket, a leading '@' is the abstract name space. */
#ifndef MTRELAY_NOTIFY_H
#define MTRELAY_NOTIFY_H
#include <stdint.h>
#include "agent/err.h"

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID and removes them from the environment, so
 * that children do not speak in our name. Before any thread. */
enum rc notify_open(struct err *e) MUST_USE;
void notify_close(void);
/* Half of the watchdog's time: how often to call notify_watchdog(); 0 when no watchdog is asked
 * for. */
int64_t notify_watchdog_ms(void);

void notify_ready(void);
void notify_reloading(void); /* then notify_ready() when the reload is over */
void notify_stopping(void);
void notify_status(const char *fmt, ...) PRINTF_LIKE(1, 2);
void notify_watchdog(void);
/* Asks for us more time than the unit's time-outs, in milliseconds from now: long recovery at
 * start. */
void notify_extend(int64_t ms);

#endif
