/* supervise.h - keeps the agent running on hosts without a service manager.
 *
 * supervise_run() forks, waits and starts again; the process that calls it does nothing else. Main
 * thread, before any other thread exists. It owns the signals TERM, INT, HUP, USR1 and CHLD while
 * it runs: the first four go on to the child, USR1 also opens our own log anew. The child gets TERM
 * when the supervisor is killed. A child that has given signs of life and gives none for stuck_ms
 * is ended (ABRT, then KILL) and counts as one that failed. Unit: milliseconds. */
#ifndef MTRELAY_SUPERVISE_H
#define MTRELAY_SUPERVISE_H
#include <stdint.h>

struct supervise {
	int (*child)(void *ctx); /* runs in the child; returns its exit status */
	void *ctx;
	int64_t pause_min_ms; /* before the first new start; doubles with each short run */
	int64_t pause_max_ms;
	int64_t good_run_ms; /* a child that ran so long starts the pauses from the beginning */
	int64_t stuck_ms;    /* 0: never */
};

/* Returns what the process should exit with: the child's own status when it was told to stop or
 * ended with 0 or 78 (configuration: starting again would not help), 0 when told to stop during a
 * pause. In the child it does not return. */
int supervise_run(const struct supervise *s);
/* In the child: a sign of life. Without a supervisor it does nothing. */
void supervise_alive(void);

#endif
