/* session.h - a lane together with the database session that lives in it.
 *
 * A db_job is run with an open store: the session opens one when it has none (checking durability
 * and schema version each time) and closes it after LOST or UNSURE, so that the next job begins on
 * a new one. It never repeats a job: the submitter decides in done(). Loop thread, but for run().
 */
#ifndef MTRELAY_SESSION_H
#define MTRELAY_SESSION_H
#include "agent/lane.h"
#include "agent/store.h"

struct event_base;
struct session;

struct db_job {
	struct job job;
	enum rc (*run)(struct store *st, struct db_job *j, struct err *e); /* lane's thread */
	void (*done)(struct db_job *j); /* loop thread; rc and err are set */
	bool needs_open; /* RC_AGAIN instead of opening a store: a new connection is to be looked at
			    first */
	enum rc rc;
	struct err err;
	struct session *session;
};

/* cfg is kept by reference; it may not change while a session runs. is_inline: no thread (tests,
 * ctl). */
enum rc session_start(const char *name, const struct store_config *cfg, bool accept_weak,
		      bool is_inline, struct event_base *base, struct session **out, struct err *e)
	MUST_USE;
/* RC_OK takes j, RC_AGAIN leaves it. Urgent jobs go first (settle before claim when all share one
 * lane). */
enum rc session_submit(struct session *s, struct db_job *j, bool urgent) MUST_USE;
int64_t session_busy_ms(const struct session *s);
const char *session_name(const struct session *s);
void session_stop(struct session *s); /* finishes what was taken; NULL is allowed */

/* Opens a store and checks what every connection must: schema version, durability. Any thread. */
enum rc session_open_store(const struct store_config *cfg, bool accept_weak, struct store **out,
			   struct err *e) MUST_USE;

#endif
