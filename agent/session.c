/* session.c - see session.h. */
#include "config.h"
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include "agent/log.h"
#include "agent/schema.h"
#include "agent/session.h"

#define LANE_JOBS 16

struct session {
	struct lane *lane;
	struct event *readable;
	const struct store_config *cfg;
	bool accept_weak;
	struct store *store; /* the lane's thread only */
};

enum rc
session_open_store(const struct store_config *cfg, bool accept_weak, struct store **out,
		   struct err *e)
{
	struct store_facts f;
	struct store *st;
	enum rc rc;

	*out = NULL;
	rc = store_open(cfg, &st, e);
	if (rc != RC_OK)
		return rc;
	rc = store_facts_read(st, &f, e);
	if (rc != RC_OK)
		goto failed;
	rc = schema_require(f.schema_version, cfg->prefix, e);
	if (rc != RC_OK)
		goto failed;
	if (f.durability == DURABLE_NOT && !accept_weak) {
		rc = err_set(e, RC_CONFIG, 0, "session.open", "%s", f.durability_text);
		goto failed;
	}
	if (f.durability != DURABLE)
		log_event(LOG_LEVEL_WARN, "db.durability", "text=\"%s\"", f.durability_text);
	*out = st;
	return RC_OK;
failed:
	store_close(st);
	return rc;
}

static void
run_job(struct job *job, void *ctx)
{
	struct db_job *j = (struct db_job *)job;
	struct session *s = ctx;

	memset(&j->err, 0, sizeof j->err);
	j->rc = RC_OK;
	if (s->store == NULL && j->needs_open)
		j->rc = err_set(&j->err, RC_AGAIN, 0, "session.run", "not connected");
	else if (s->store == NULL)
		j->rc = session_open_store(s->cfg, s->accept_weak, &s->store, &j->err);
	if (j->rc != RC_OK) {
		/* Nothing was asked of the database yet: whatever failed, the job itself has not
		 * begun. */
		if (j->rc == RC_UNSURE)
			j->rc = RC_LOST;
		return;
	}
	j->rc = j->run(s->store, j, &j->err);
	if (j->rc == RC_LOST || j->rc == RC_UNSURE || j->rc == RC_BUG) {
		store_close(s->store);
		s->store = NULL;
	}
}

static void
job_done(struct job *job)
{
	struct db_job *j = (struct db_job *)job;

	j->done(j);
}

static void
lane_end(void *ctx)
{
	struct session *s = ctx;

	store_close(s->store);
	s->store = NULL;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct session *s = arg;

	(void)fd;
	(void)what;
	lane_collect(s->lane);
}

enum rc
session_start(const char *name, const struct store_config *cfg, bool accept_weak, bool is_inline,
	      struct event_base *base, struct session **out, struct err *e)
{
	struct session *s;
	enum rc rc;

	*out = NULL;
	s = calloc(1, sizeof *s);
	if (s == NULL)
		return err_set(e, RC_NOMEM, 0, "session.start", "out of memory");
	s->cfg = cfg;
	s->accept_weak = accept_weak;
	rc = is_inline ? lane_start_inline(name, LANE_JOBS, NULL, lane_end, s, &s->lane, e)
		       : lane_start(name, LANE_JOBS, NULL, lane_end, s, &s->lane, e);
	if (rc != RC_OK) {
		free(s);
		return rc;
	}
	s->readable = event_new(base, lane_fd(s->lane), EV_READ | EV_PERSIST, on_readable, s);
	if (s->readable == NULL || event_add(s->readable, NULL) != 0) {
		session_stop(s);
		return err_set(e, RC_NOMEM, 0, "session.start", "out of memory");
	}
	*out = s;
	return RC_OK;
}

enum rc
session_submit(struct session *s, struct db_job *j, bool urgent)
{
	j->job.run = run_job;
	j->job.done = job_done;
	j->job.urgent = urgent;
	j->session = s;
	return lane_submit(s->lane, &j->job);
}

int64_t
session_busy_ms(const struct session *s)
{
	return lane_busy_ms(s->lane);
}

const char *
session_name(const struct session *s)
{
	return lane_name(s->lane);
}

void
session_stop(struct session *s)
{
	if (s == NULL)
		return;
	if (s->readable != NULL)
		event_free(s->readable);
	lane_stop(s->lane);
	free(s);
}
