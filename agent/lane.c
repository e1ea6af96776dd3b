#include "config.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "agent/clock.h"
#include "agent/lane.h"
#include "agent/text.h"

/* First in, first out; last is only good while first is not NULL. */
struct queue {
	struct job *first;
	struct job *last;
};

struct lane {
	char name[16];
	size_t max_jobs;
	void (*thread_init)(void *ctx);
	void (*thread_fini)(void *ctx);
	void *ctx;
	bool is_inline;
	int fd;
	pthread_t thread;
	_Atomic int64_t busy_since; /* 0 idle */

	pthread_mutex_t mutex; /* guards all that follows */
	pthread_cond_t wake;
	struct queue urgent;
	struct queue normal;
	struct queue finished;
	size_t queued;	 /* in urgent and normal */
	size_t accepted; /* not yet given to done() */
	bool stopping;
};

static void
push(struct queue *q, struct job *j)
{
	j->next = NULL;
	if (q->first == NULL)
		q->first = j;
	else
		q->last->next = j;
	q->last = j;
}

static struct job *
pop(struct queue *q)
{
	struct job *j = q->first;

	if (j != NULL)
		q->first = j->next;
	return j;
}

/* The next job to run; the mutex is held. */
static struct job *
next_job(struct lane *l)
{
	struct job *j = pop(&l->urgent);

	if (j == NULL)
		j = pop(&l->normal);
	if (j != NULL)
		l->queued--;
	return j;
}

static void
signal_fd(struct lane *l)
{
	const uint64_t one = 1;

	/* Can only fail when the counter is full, and then it is readable anyway. */
	while (write(l->fd, &one, sizeof one) < 0 && errno == EINTR)
		;
}

static void
clear_fd(struct lane *l)
{
	uint64_t count;

	while (read(l->fd, &count, sizeof count) < 0 && errno == EINTR)
		;
}

static void
busy_begin(struct lane *l)
{
	int64_t now = clock_mono_ms();

	l->busy_since = now > 0 ? now : 1;
}

static void
busy_end(struct lane *l)
{
	l->busy_since = 0;
}

static void *
lane_main(void *arg)
{
	struct lane *l = arg;
	struct job *j;

	if (l->thread_init != NULL) {
		busy_begin(l);
		l->thread_init(l->ctx);
		busy_end(l);
	}
	pthread_mutex_lock(&l->mutex);
	for (;;) {
		j = next_job(l);
		if (j == NULL && l->stopping)
			break;
		if (j == NULL) {
			pthread_cond_wait(&l->wake, &l->mutex);
			continue;
		}
		pthread_mutex_unlock(&l->mutex);
		busy_begin(l);
		j->run(j, l->ctx);
		busy_end(l);
		pthread_mutex_lock(&l->mutex);
		push(&l->finished, j);
		signal_fd(l);
	}
	pthread_mutex_unlock(&l->mutex);
	if (l->thread_fini != NULL)
		l->thread_fini(l->ctx);
	return NULL;
}

static void
lane_free(struct lane *l)
{
	if (l->fd >= 0)
		close(l->fd);
	pthread_cond_destroy(&l->wake);
	pthread_mutex_destroy(&l->mutex);
	free(l);
}

static enum rc
lane_new(const char *name, size_t max_jobs, void (*thread_init)(void *ctx),
	 void (*thread_fini)(void *ctx), void *ctx, struct lane **out, struct err *e)
{
	struct lane *l = calloc(1, sizeof *l);

	if (l == NULL)
		return err_set(e, RC_NOMEM, 0, "lane.start", "no memory for lane %s", name);
	pthread_mutex_init(&l->mutex, NULL);
	pthread_cond_init(&l->wake, NULL);
	text_copy(l->name, sizeof l->name, name);
	l->max_jobs = max_jobs;
	l->thread_init = thread_init;
	l->thread_fini = thread_fini;
	l->ctx = ctx;
	l->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->fd < 0) {
		int native = errno;

		lane_free(l);
		return err_set(e, RC_NOMEM, native, "lane.start", "eventfd for lane %s: %s", name,
			       strerror(native));
	}
	*out = l;
	return RC_OK;
}

enum rc
lane_start(const char *name, size_t max_jobs, void (*thread_init)(void *ctx),
	   void (*thread_fini)(void *ctx), void *ctx, struct lane **out, struct err *e)
{
	struct lane *l = NULL;
	sigset_t all;
	sigset_t old;
	enum rc rc;
	int native;

	rc = lane_new(name, max_jobs, thread_init, thread_fini, ctx, &l, e);
	if (rc != RC_OK)
		return rc;
	/* Inherited by the thread: signals belong to the loop, and none may interrupt a client
	 * library. A fault of the thread itself is no such signal: blocked, it would pass by its
	 * handler. */
	sigfillset(&all);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGFPE);
	sigdelset(&all, SIGILL);
	sigdelset(&all, SIGABRT);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	native = pthread_create(&l->thread, NULL, lane_main, l);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (native != 0) {
		lane_free(l);
		return err_set(e, RC_NOMEM, native, "lane.start", "thread for lane %s: %s", name,
			       strerror(native));
	}
	(void)pthread_setname_np(l->thread, l->name);
	*out = l;
	return RC_OK;
}

enum rc
lane_start_inline(const char *name, size_t max_jobs, void (*thread_init)(void *ctx),
		  void (*thread_fini)(void *ctx), void *ctx, struct lane **out, struct err *e)
{
	enum rc rc = lane_new(name, max_jobs, thread_init, thread_fini, ctx, out, e);

	if (rc != RC_OK)
		return rc;
	(*out)->is_inline = true;
	if (thread_init != NULL)
		thread_init(ctx);
	return RC_OK;
}

enum rc
lane_submit(struct lane *l, struct job *j)
{
	enum rc rc = RC_AGAIN;

	pthread_mutex_lock(&l->mutex);
	if (!l->stopping && l->accepted < l->max_jobs) {
		push(j->urgent ? &l->urgent : &l->normal, j);
		l->queued++;
		l->accepted++;
		if (l->is_inline)
			signal_fd(l);
		else
			pthread_cond_signal(&l->wake);
		rc = RC_OK;
	}
	pthread_mutex_unlock(&l->mutex);
	return rc;
}

int
lane_fd(const struct lane *l)
{
	return l->fd;
}

static void
finish(struct lane *l, struct job *j)
{
	pthread_mutex_lock(&l->mutex);
	l->accepted--;
	pthread_mutex_unlock(&l->mutex);
	j->done(j); /* may free j or submit it again */
}

static size_t
collect_inline(struct lane *l)
{
	size_t count = 0;
	struct job *j;

	clear_fd(l);
	for (;;) {
		pthread_mutex_lock(&l->mutex);
		j = next_job(l);
		pthread_mutex_unlock(&l->mutex);
		if (j == NULL)
			return count;
		j->run(j, l->ctx);
		finish(l, j);
		count++;
	}
}

size_t
lane_collect(struct lane *l)
{
	struct queue batch;
	struct job *j;
	size_t count = 0;

	if (l->is_inline)
		return collect_inline(l);
	/* Before the list is taken: a job that ends in between makes the descriptor readable once
	 * too often. */
	clear_fd(l);
	pthread_mutex_lock(&l->mutex);
	batch = l->finished;
	l->finished.first = NULL;
	pthread_mutex_unlock(&l->mutex);
	while ((j = pop(&batch)) != NULL) {
		finish(l, j);
		count++;
	}
	return count;
}

int64_t
lane_busy_ms(const struct lane *l)
{
	int64_t since = l->busy_since;
	int64_t now;

	if (since == 0)
		return 0;
	now = clock_mono_ms();
	return now > since ? now - since : 0;
}

size_t
lane_queued(const struct lane *l)
{
	/* The lock is no part of what the caller must not change. */
	struct lane *lane = (struct lane *)l;
	size_t queued;

	pthread_mutex_lock(&lane->mutex);
	queued = lane->queued;
	pthread_mutex_unlock(&lane->mutex);
	return queued;
}

const char *
lane_name(const struct lane *l)
{
	return l->name;
}

void
lane_stop(struct lane *l)
{
	if (l == NULL)
		return;
	pthread_mutex_lock(&l->mutex);
	l->stopping = true;
	pthread_cond_signal(&l->wake);
	pthread_mutex_unlock(&l->mutex);
	if (!l->is_inline)
		pthread_join(l->thread, NULL);
	(void)lane_collect(l);
	if (l->is_inline && l->thread_fini != NULL)
		l->thread_fini(l->ctx);
	lane_free(l);
}
