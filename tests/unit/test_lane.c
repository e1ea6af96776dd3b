#include "config.h"
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <assert.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tests/unit/unit.h"
#include "agent/lane.h"

#define DEADLINE_MS 20000

struct session {
	int inits;
	int finis;
	int runs;
	pthread_t owner;
	bool signals_blocked;
};

struct task {
	struct job job;
	int number;
	int order;
	int result;
	sem_t *gate; /* run() waits for it */
	atomic_bool *started;
	struct lane *again; /* done() submits once more */
	int done;
};

static int next_order;

static void
session_init(void *ctx)
{
	struct session *s = ctx;
	sigset_t mask;

	s->inits++;
	s->owner = pthread_self();
	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	s->signals_blocked = sigismember(&mask, SIGTERM) && sigismember(&mask, SIGHUP) &&
			     sigismember(&mask, SIGUSR1);
}

static void
session_fini(void *ctx)
{
	struct session *s = ctx;

	assert(pthread_equal(s->owner, pthread_self()));
	s->finis++;
}

static void
task_run(struct job *j, void *session_ctx)
{
	struct task *t = (struct task *)j;
	struct session *s = session_ctx;

	s->runs++;
	if (t->started != NULL)
		*t->started = true;
	if (t->gate != NULL)
		while (sem_wait(t->gate) != 0)
			;
	t->result = t->number * 2;
	t->order = ++next_order;
}

static void
task_done(struct job *j)
{
	struct task *t = (struct task *)j;
	struct lane *l = t->again;

	t->done++;
	if (l != NULL) {
		t->again = NULL;
		assert_int_equal(lane_submit(l, j), RC_OK);
	}
}

static void
task_set(struct task *t, int number, bool urgent)
{
	memset(t, 0, sizeof *t);
	t->job.run = task_run;
	t->job.done = task_done;
	t->job.urgent = urgent;
	t->number = number;
}

/* Collects until so many are done. */
static void
collect(struct lane *l, size_t want)
{
	struct pollfd p = { .fd = lane_fd(l), .events = POLLIN };
	size_t got = 0;

	while (got < want) {
		if (poll(&p, 1, DEADLINE_MS) != 1)
			fail_msg("%zu of %zu jobs finished", got, want);
		got += lane_collect(l);
	}
	assert_int_equal(got, want);
}

static void
jobs_run_in_the_lane_and_finish_in_the_loop(void **state)
{
	static struct task tasks[1000];
	struct session s = { 0 };
	struct lane *l;
	sigset_t before;
	sigset_t after;
	size_t i;

	(void)state;
	next_order = 0;
	pthread_sigmask(SIG_BLOCK, NULL, &before);
	assert_int_equal(lane_start("claim-with-a-long-name", NELEM(tasks), session_init,
				    session_fini, &s, &l, NULL),
			 RC_OK);
	pthread_sigmask(SIG_BLOCK, NULL, &after);
	assert_int_equal(sigismember(&before, SIGTERM), sigismember(&after, SIGTERM));
	assert_string_equal(lane_name(l), "claim-with-a-lo");
	for (i = 0; i < NELEM(tasks); i++) {
		task_set(&tasks[i], (int)i, false);
		assert_int_equal(lane_submit(l, &tasks[i].job), RC_OK);
	}
	collect(l, NELEM(tasks));
	for (i = 0; i < NELEM(tasks); i++) {
		assert_int_equal(tasks[i].result, (int)i * 2);
		assert_int_equal(tasks[i].order, (int)i + 1); /* first in, first out */
		assert_int_equal(tasks[i].done, 1);
	}
	assert_int_equal(lane_collect(l), 0);
	lane_stop(l);
	assert_int_equal(s.inits, 1);
	assert_int_equal(s.finis, 1);
	assert_int_equal(s.runs, NELEM(tasks));
	assert_true(s.signals_blocked);
	assert_false(pthread_equal(s.owner, pthread_self()));
}

static void
wait_for(atomic_bool *flag)
{
	int i;

	for (i = 0; !*flag; i++) {
		assert_true(i < DEADLINE_MS);
		usleep(1000);
	}
}

static void
a_full_lane_refuses_and_urgent_jobs_go_first(void **state)
{
	struct task tasks[5];
	struct session s = { 0 };
	struct lane *l;
	atomic_bool started = false;
	sem_t gate;
	size_t i;
	int waited;

	(void)state;
	next_order = 0;
	sem_init(&gate, 0, 0);
	assert_int_equal(lane_start("settle", 4, NULL, NULL, &s, &l, NULL), RC_OK);
	assert_int_equal(lane_busy_ms(l), 0);
	for (i = 0; i < NELEM(tasks); i++)
		task_set(&tasks[i], (int)i, i == 3);
	tasks[0].gate = &gate;
	tasks[0].started = &started;
	assert_int_equal(lane_submit(l, &tasks[0].job), RC_OK);
	wait_for(&started);
	for (i = 1; i < 4; i++)
		assert_int_equal(lane_submit(l, &tasks[i].job), RC_OK);
	assert_int_equal(lane_submit(l, &tasks[4].job), RC_AGAIN);
	assert_int_equal(lane_queued(l), 3);
	for (waited = 0; lane_busy_ms(l) < 5; waited++) {
		assert_true(waited < DEADLINE_MS);
		usleep(1000);
	}
	sem_post(&gate);
	collect(l, 4);
	assert_int_equal(lane_queued(l), 0);
	assert_int_equal(tasks[3].order, 2);
	assert_int_equal(tasks[1].order, 3);
	assert_int_equal(tasks[2].order, 4);
	assert_int_equal(tasks[4].done, 0);
	assert_int_equal(lane_submit(l, &tasks[4].job), RC_OK); /* room again */
	lane_stop(l);
	assert_int_equal(tasks[4].done, 1);
	sem_destroy(&gate);
}

static void
stop_finishes_what_was_accepted_and_takes_no_more(void **state)
{
	struct task tasks[50];
	struct session s = { 0 };
	struct lane *l;
	size_t i;

	(void)state;
	assert_int_equal(lane_start("care", NELEM(tasks), session_init, session_fini, &s, &l, NULL),
			 RC_OK);
	for (i = 0; i < NELEM(tasks); i++) {
		task_set(&tasks[i], (int)i, i % 3 == 0);
		assert_int_equal(lane_submit(l, &tasks[i].job), RC_OK);
	}
	lane_stop(l);
	for (i = 0; i < NELEM(tasks); i++)
		assert_int_equal(tasks[i].done, 1);
	assert_int_equal(s.finis, 1);
	lane_stop(NULL);
}

static void
done_may_submit_again(void **state)
{
	struct session s = { 0 };
	struct task t;
	struct lane *l;

	(void)state;
	assert_int_equal(lane_start("again", 1, NULL, NULL, &s, &l, NULL), RC_OK);
	task_set(&t, 1, false);
	t.again = l;
	assert_int_equal(lane_submit(l, &t.job), RC_OK);
	collect(l, 2);
	assert_int_equal(t.done, 2);
	lane_stop(l);
}

static void
an_inline_lane_does_all_on_the_callers_thread(void **state)
{
	struct session s = { 0 };
	struct task tasks[3];
	struct lane *l;
	struct pollfd p;
	size_t i;

	(void)state;
	next_order = 0;
	assert_int_equal(lane_start_inline("test", 3, session_init, session_fini, &s, &l, NULL),
			 RC_OK);
	for (i = 0; i < NELEM(tasks); i++) {
		task_set(&tasks[i], (int)i, i == 2);
		assert_int_equal(lane_submit(l, &tasks[i].job), RC_OK);
	}
	assert_int_equal(s.runs, 0);
	assert_int_equal(lane_queued(l), 3);
	p.fd = lane_fd(l);
	p.events = POLLIN;
	assert_int_equal(poll(&p, 1, 0), 1);
	tasks[0].again = l;
	assert_int_equal(lane_collect(l), 4); /* with what done() submitted */
	assert_int_equal(tasks[2].order, 1);
	/* The descriptor may be readable once too often, but not for ever. */
	assert_int_equal(lane_collect(l), 0);
	assert_int_equal(poll(&p, 1, 0), 0);
	assert_true(pthread_equal(s.owner, pthread_self()));
	assert_int_equal(lane_submit(l, &tasks[0].job), RC_OK);
	lane_stop(l);
	assert_int_equal(tasks[0].done, 3);
	assert_int_equal(s.finis, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(jobs_run_in_the_lane_and_finish_in_the_loop),
		cmocka_unit_test(a_full_lane_refuses_and_urgent_jobs_go_first),
		cmocka_unit_test(stop_finishes_what_was_accepted_and_takes_no_more),
		cmocka_unit_test(done_may_submit_again),
		cmocka_unit_test(an_inline_lane_does_all_on_the_callers_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
