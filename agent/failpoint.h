/* failpoint.h - named fault points between durable effects.
 *
 * All names are rows of failpoint.def. rc = FAILPOINT(name) is RC_OK and costs nothing in the
 * normal build, which holds no code of it. A build with --enable-failpoints reads, before main(),
 *   MTRELAY_FAILPOINT="name:action[:nth][@text][,name:action[:nth][@text]...]"
 * and acts at the nth hit (counted from 1 over all threads), without nth at every hit. A point
 * that is passed with a row, FAILPOINT_TEXT(name, p, n), is hit only by texts that contain @text.
 * Actions: kill (SIGKILL), abort, segv (a store to no address), stall=MS (sleeps, then RC_OK),
 * and lost, unsure, again, config, data, which make FAILPOINT() that class. A wrong value ends the
 * program with one sentence and status
 * 78. Any thread may hit; arming is for start and tests. */
#ifndef MTRELAY_FAILPOINT_H
#define MTRELAY_FAILPOINT_H
#include <stddef.h>
#include "agent/err.h"

enum failpoint {
#define FAILPOINT_DEF(name, sentence) FP_##name,
#include "agent/failpoint.def"
#undef FAILPOINT_DEF
	FP_COUNT
};

#ifdef ENABLE_FAILPOINTS
#define FAILPOINTS_BUILT 1
#define FAILPOINT(name) failpoint_hit(FP_##name)
#define FAILPOINT_TEXT(name, p, n) failpoint_hit_text(FP_##name, p, n)
enum rc failpoint_hit(enum failpoint fp);
/* p may be NULL when n is 0. */
enum rc failpoint_hit_text(enum failpoint fp, const char *p, size_t n);
/* Replaces what was armed before and forgets all hits; spec is the value of the variable, "" arms
 * nothing. */
enum rc failpoint_arm(const char *spec, struct err *e) MUST_USE;
/* All names, ended by NULL. */
const char *const *failpoint_names(void);
#else
#define FAILPOINTS_BUILT 0
#define FAILPOINT(name) ((void)FP_##name, RC_OK)
#define FAILPOINT_TEXT(name, p, n) ((void)FP_##name, RC_OK)
#endif

#endif
