/* lane.h - a thread that owns one blocking database session for life.
 *
 * The loop thread submits jobs and collects finished ones; run() of a job is called in the lane's
 * thread, done() in the thread that calls lane_collect(). A job is embedded first in a bigger
 * struct that stays its submitter's; between a lane_submit() that took it and its done() nobody
 * else may touch it. done() may free the job or submit it again. What run() found out is written
 * into the bigger struct. thread_init and thread_fini (either may be NULL) run in the lane's
 * thread before the first and after the last job: the session is opened and closed there. All
 * signals but those of a fault (SEGV, BUS, FPE, ILL, ABRT) are blocked in the thread. Unit:
 * milliseconds. */
#ifndef MTRELAY_LANE_H
#define MTRELAY_LANE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "agent/err.h"

struct job {
	void (*run)(struct job *j, void *session_ctx);
	void (*done)(struct job *j);
	struct job *next; /* the lane's own */
	bool urgent;	  /* runs before all that are not */
};

struct lane;

/* Opens nothing itself: ctx is handed to run(), thread_init() and thread_fini(). At most max_jobs
 * wait or run or are finished and not yet collected. name (up to 15 bytes) names the thread. */
enum rc lane_start(const char *name, size_t max_jobs, void (*thread_init)(void *ctx),
		   void (*thread_fini)(void *ctx), void *ctx, struct lane **out, struct err *e)
	MUST_USE;
/* For tests and for a tool with one thread: no thread is made; lane_submit() queues,
 * lane_collect() runs and finishes everything (also what done() submits meanwhile) on the caller's
 * thread. */
enum rc lane_start_inline(const char *name, size_t max_jobs, void (*thread_init)(void *ctx),
			  void (*thread_fini)(void *ctx), void *ctx, struct lane **out,
			  struct err *e) MUST_USE;
/* RC_OK takes j; RC_AGAIN (full or stopping) leaves it with the caller. Loop thread. */
enum rc lane_submit(struct lane *l, struct job *j) MUST_USE;
/* An eventfd, readable while finished jobs wait (inline: while queued ones do). Owned by the
 * lane. */
int lane_fd(const struct lane *l);
/* Calls done() of every finished job in the order they ended; returns how many. Loop thread. */
size_t lane_collect(struct lane *l);
/* How long the current run() (or thread_init) has lasted; 0 when idle. Any thread. */
int64_t lane_busy_ms(const struct lane *l);
/* Jobs that wait and have not begun. Any thread. */
size_t lane_queued(const struct lane *l);
const char *lane_name(const struct lane *l);
/* Refuses new jobs, finishes the accepted ones, joins, collects, frees. NULL is allowed. */
void lane_stop(struct lane *l);

#endif
