/* relay.h - the running agent: everything put together, its clocks, its signals, its end.
 *
 * One struct relay a process, on the loop thread. The control socket acts through the functions
 * below; they never block. */
#ifndef MTRELAY_RELAY_H
#define MTRELAY_RELAY_H
#include <jansson.h>
#include "agent/conf.h"

struct relay;

/* Runs until a signal or an error ends it; returns a sysexits status (0 drained, 69 database or
 * holder, 70 own fault, 75 try again, 78 an operator must act). Takes its own reference of conf. */
int relay_run(const char *conf_path, struct conf *conf);

/* Who, since when, lanes, channels, rows, last error; the caller owns it. */
json_t *relay_status(const struct relay *r);
/* All of stats.def: name -> value. */
json_t *relay_stats(const struct relay *r);
enum rc relay_pause(struct relay *r, const char *channel, bool is_paused, struct err *e) MUST_USE;
/* As SIGTERM: finish what is under way, then exit 0. */
void relay_drain(struct relay *r);
/* As SIGHUP; on failure the old configuration stays and text says why, a sentence a line. */
bool relay_reload(struct relay *r, char *text, size_t size);
const struct conf *relay_conf(const struct relay *r);

#endif
