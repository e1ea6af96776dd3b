/* core_relay.c - the agent's start, clocks and end, where they meet the operating system. */
#include "config.h"
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
#include "agent/pipeline.h"
#include "agent/schema.h"
#include "tests/simulation/sim.h"

int sim_wait(const struct timespec *ts);
enum rc sim_pipeline_new(const struct pipeline_env *env, struct conf *conf, struct pipeline **out,
			 struct err *e);
enum rc sim_schema_check(unsigned *fails);

#define sigtimedwait(set, info, ts) ((void)(set), sim_wait(ts))
#define sigprocmask(how, set, old) ((void)(how))
#define signal(number, what) ((void)(number))
#define _exit(status) sim_exit(status)
#define nanosleep(ts, left) sleep_ms((ts)->tv_sec * 1000 + (ts)->tv_nsec / 1000000)
#define gethostname(p, n) ((void)snprintf(p, n, "host"), 0)
#define pipeline_new sim_pipeline_new
#define schema_check(db, say, ctx, fails, e) ((void)(say), sim_schema_check(fails))
#include "agent/relay.c"
#undef pipeline_new

int
sim_wait(const struct timespec *ts)
{
	struct agent *a = world_running();

	if (!a->term_asked)
		sleep_ms((int64_t)ts->tv_sec * 1000 + ts->tv_nsec / 1000000);
	if (!a->term_asked)
		return -1;
	a->term_asked = false;
	return SIGTERM;
}

enum rc
sim_pipeline_new(const struct pipeline_env *env, struct conf *conf, struct pipeline **out,
		 struct err *e)
{
	enum rc rc = pipeline_new(env, conf, out, e);

	world_running()->pipeline = *out;
	world_running()->journal = env->journal;
	return rc;
}

/* The tables are those of the schema: nothing to find. */
enum rc
sim_schema_check(unsigned *fails)
{
	*fails = 0;
	return RC_OK;
}
