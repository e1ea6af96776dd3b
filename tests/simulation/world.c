/* world.c - clock, coroutines, and the imitation of what an agent runs on: libevent, lanes, log,
 * control socket. See sim.h. */
#include "config.h"
#include <event2/event.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>
#include "agent/clock.h"
#include "agent/control.h"
#include "agent/lane.h"
#include "agent/log.h"
#include "agent/pipeline.h"
#include "agent/relay.h"
#include "tests/simulation/sim.h"

#if defined __has_feature
#if __has_feature(address_sanitizer)
#define HAVE_ASAN 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define HAVE_ASAN 1
#endif
#ifdef HAVE_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define STACK_BYTES ((size_t)4 << 20)
#else
#define STACK_BYTES ((size_t)1 << 20)
#endif

#define COROS_MAX 64
#define EVENTS_MAX 256 /* of the world */
#define READY_MAX 128
#define LANE_FD 9000
#define TICK_MS 500
#define TICK_AS_MS (15 * SECOND) /* the relay's tick finds stuck lanes: seldom is often enough */

struct world W;

/* ---- chance ---- */

static uint64_t state[2];

static uint64_t
split_mix(uint64_t *x)
{
	uint64_t z = (*x += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

void
chance_seed(uint64_t seed)
{
	state[0] = split_mix(&seed);
	state[1] = split_mix(&seed);
}

uint64_t
chance_u64(void)
{
	uint64_t a = state[0], b = state[1], sum = a + b;

	b ^= a;
	state[0] = ((a << 24) | (a >> 40)) ^ b ^ (b << 16);
	state[1] = (b << 37) | (b >> 27);
	return sum;
}

unsigned
pick(unsigned n)
{
	return (unsigned)(((chance_u64() >> 32) * n) >> 32);
}

bool
chance(unsigned per_10000)
{
	return per_10000 > 0 && pick(10000) < per_10000;
}

int64_t
between(int64_t least, int64_t most)
{
	return least + (int64_t)(chance_u64() % (uint64_t)(most - least + 1));
}

/* ---- trace ---- */

static void
mix(uint64_t v)
{
	W.hash = (W.hash ^ v) * UINT64_C(0x100000001b3);
	W.hash ^= W.hash >> 29;
}

static void
mix_text(const char *s)
{
	uint64_t h = 14695981039346656037u;

	while (*s != '\0')
		h = (h ^ (unsigned char)*s++) * UINT64_C(0x100000001b3);
	mix(h);
}

static void
line_head(const struct agent *a)
{
	printf("%12.3f  %-3s ", (double)W.now_ms / 1000.0, a != NULL ? a->id : "-");
}

void
trace(const struct agent *a, const char *what, int64_t x, int64_t y)
{
	mix((uint64_t)W.now_ms);
	mix(a != NULL ? (uint64_t)a->no + 1 : 0);
	mix_text(what);
	mix((uint64_t)x);
	mix((uint64_t)y);
	if (W.is_traced) {
		line_head(a);
		printf("%s %" PRId64 " %" PRId64 "\n", what, x, y);
	}
}

void
trace_text(const struct agent *a, const char *what, const char *text)
{
	mix((uint64_t)W.now_ms);
	mix_text(what);
	mix_text(text);
	if (W.is_traced) {
		line_head(a);
		printf("%s %s\n", what, text);
	}
}

void
violation(const char *fmt, ...)
{
	va_list ap;

	if (W.violation[0] != '\0')
		return;
	va_start(ap, fmt);
	vsnprintf(W.violation, sizeof W.violation, fmt, ap);
	va_end(ap);
	if (W.is_traced) {
		line_head(NULL);
		printf("VIOLATION: %s\n", W.violation);
	}
}

/* ---- coroutines ---- */

enum coro_state { CORO_SLEEPS, CORO_WAITS, CORO_ENDED };

struct coro {
	ucontext_t context;
	char *stack;
	bool is_used;
	struct agent *owner;
	void (*fn)(void *arg);
	void *arg;
	enum coro_state state;
	int64_t wake_ms;
	void *fake;
};

static struct coro coros[COROS_MAX];
static struct coro *current;
static ucontext_t scheduler;
#ifdef HAVE_ASAN
static const void *scheduler_stack;
static size_t scheduler_size;
static void *scheduler_fake;
#endif

struct agent *
world_running(void)
{
	return current != NULL ? current->owner : NULL;
}

static void
to_scheduler(bool for_ever)
{
	struct coro *c = current;

#ifdef HAVE_ASAN
	__sanitizer_start_switch_fiber(for_ever ? NULL : &c->fake, scheduler_stack, scheduler_size);
#else
	(void)for_ever;
#endif
	swapcontext(&c->context, &scheduler);
#ifdef HAVE_ASAN
	__sanitizer_finish_switch_fiber(c->fake, &scheduler_stack, &scheduler_size);
#endif
}

static void
coro_main(void)
{
	struct coro *c = current;

#ifdef HAVE_ASAN
	__sanitizer_finish_switch_fiber(NULL, &scheduler_stack, &scheduler_size);
#endif
	c->fn(c->arg);
	c->state = CORO_ENDED;
	to_scheduler(true);
}

static struct coro *
coro_new(struct agent *owner, void (*fn)(void *arg), void *arg)
{
	struct coro *c = NULL;
	size_t i;

	for (i = 0; i < COROS_MAX && c == NULL; i++)
		if (!coros[i].is_used)
			c = &coros[i];
	if (c == NULL) {
		fprintf(stderr, "simulation: no coroutine is free\n");
		abort();
	}
	if (c->stack == NULL) {
		c->stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (c->stack == MAP_FAILED || mprotect(c->stack, 4096, PROT_NONE) != 0)
			abort();
	}
#ifdef HAVE_ASAN
	__asan_unpoison_memory_region(c->stack + 4096, STACK_BYTES - 4096);
#endif
	getcontext(&c->context);
	c->context.uc_stack.ss_sp = c->stack + 4096;
	c->context.uc_stack.ss_size = STACK_BYTES - 4096;
	c->context.uc_link = NULL;
	makecontext(&c->context, coro_main, 0);
	c->is_used = true;
	c->owner = owner;
	c->fn = fn;
	c->arg = arg;
	c->state = CORO_SLEEPS;
	c->wake_ms = W.now_ms;
	c->fake = NULL;
	return c;
}

static void
resume(struct coro *c)
{
	struct agent *a = c->owner;

	current = c;
	agent_held_swap(NULL, a);
#ifdef HAVE_ASAN
	__sanitizer_start_switch_fiber(&scheduler_fake, c->stack + 4096, STACK_BYTES - 4096);
#endif
	swapcontext(&scheduler, &c->context);
#ifdef HAVE_ASAN
	__sanitizer_finish_switch_fiber(scheduler_fake, NULL, NULL);
#endif
	agent_held_swap(a, NULL);
	current = NULL;
	if (a->crash_asked) {
		agent_crash(a);
	} else if (c == a->main && c->state == CORO_ENDED) {
		a->main->is_used = false;
		a->is_alive = a->is_ready = false;
		trace(a, "exits", a->exit_status, 0);
		schedule_agent_ended(a, false);
	}
}

void
sleep_ms(int64_t ms)
{
	current->state = CORO_SLEEPS;
	current->wake_ms = W.now_ms + ms;
	to_scheduler(false);
}

void
crash_point(void)
{
	struct agent *a = world_running();

	if (a == NULL || !W.faults || a->crash_in == 0 || --a->crash_in > 0)
		return;
	a->crash_asked = true;
	to_scheduler(true);
}

void
pause_point(void)
{
	struct agent *a = world_running();

	if (a == NULL || !W.faults || a->pause_in == 0 || --a->pause_in > 0)
		return;
	agent_pause(a, chance(4000) ? between(1, 30 * SECOND) : between(30 * SECOND, 10 * MINUTE),
		    chance(2000));
	sleep_ms(0);
}

void
sim_exit(int status)
{
	struct agent *a = world_running();

	trace(a, "_exit", status, 0);
	if (status == 70)
		violation("agent %s ends with status 70: its own fault", a->id);
	a->crash_asked = true;
	to_scheduler(true);
	abort();
}

/* ---- clocks ---- */

int64_t
clock_mono_ms(void)
{
	const struct agent *a = world_running();

	return W.now_ms - (a != NULL ? a->mono_lag_ms : 0);
}

int64_t
clock_mono_us(void)
{
	return clock_mono_ms() * 1000;
}

int64_t
clock_boot_ms(void)
{
	return W.now_ms;
}

const char *
clock_wall_text(char *buf, size_t size)
{
	snprintf(buf, size, "2026-11-22T00:00:00.000Z");
	return buf;
}

/* ---- libevent ---- */

struct event_base {
	struct agent *agent;
	bool is_broken;
};

struct event {
	struct event *next;
	struct agent *agent;
	struct event_base *base;
	evutil_socket_t fd;
	short what;
	event_callback_fn cb;
	void *arg;
	bool is_added, has_time;
	int64_t due_ms;
};

struct event_base *
event_base_new(void)
{
	struct event_base *b = calloc(1, sizeof *b);

	b->agent = world_running();
	b->agent->base = b;
	return b;
}

void
event_base_free(struct event_base *b)
{
	b->agent->base = NULL;
	free(b);
}

int
event_base_loopbreak(struct event_base *b)
{
	b->is_broken = true;
	return 0;
}

struct event *
event_new(struct event_base *b, evutil_socket_t fd, short what, event_callback_fn cb, void *arg)
{
	struct event *ev = calloc(1, sizeof *ev);
	struct event **at = &b->agent->events;

	ev->agent = b->agent;
	ev->base = b;
	ev->fd = fd;
	ev->what = what;
	ev->cb = cb;
	ev->arg = arg;
	while (*at != NULL)
		at = &(*at)->next;
	*at = ev;
	return ev;
}

int
event_add(struct event *ev, const struct timeval *tv)
{
	int64_t ms;

	ev->is_added = true;
	if (tv == NULL)
		return 0;
	ms = (int64_t)tv->tv_sec * 1000 + tv->tv_usec / 1000;
	if (ms == TICK_MS)
		ms = TICK_AS_MS;
	ev->has_time = true;
	ev->due_ms = W.now_ms + ms;
	return 0;
}

int
event_del(struct event *ev)
{
	ev->is_added = ev->has_time = false;
	return 0;
}

int
event_pending(const struct event *ev, short what, struct timeval *tv)
{
	(void)tv;
	return (what & EV_TIMEOUT) != 0 && ev->is_added && ev->has_time;
}

void
event_free(struct event *ev)
{
	struct event **at = &ev->agent->events;

	while (*at != ev)
		at = &(*at)->next;
	*at = ev->next;
	free(ev);
}

/* ---- lanes ---- */

struct line {
	struct job *first, **last;
};

struct lane {
	struct agent *agent;
	char name[16];
	size_t max_jobs, accepted, queued;
	void (*thread_fini)(void *ctx);
	void *ctx;
	struct line urgent, normal, finished;
	struct coro *coro;
	bool is_busy, is_stopping;
	int64_t busy_since;
	unsigned place;
};

static void
line_clear(struct line *q)
{
	q->first = NULL;
	q->last = &q->first;
}

static void
line_push(struct line *q, struct job *j)
{
	j->next = NULL;
	*q->last = j;
	q->last = &j->next;
}

static struct job *
line_pop(struct line *q)
{
	struct job *j = q->first;

	if (j == NULL)
		return NULL;
	q->first = j->next;
	if (q->first == NULL)
		q->last = &q->first;
	return j;
}

static void
lane_work(void *arg)
{
	struct lane *l = arg;
	struct job *j;

	for (;;) {
		j = line_pop(&l->urgent);
		if (j == NULL)
			j = line_pop(&l->normal);
		if (j == NULL) {
			current->state = CORO_WAITS;
			to_scheduler(false);
			continue;
		}
		l->queued--;
		l->is_busy = true;
		l->busy_since = W.now_ms;
		j->run(j, l->ctx);
		l->is_busy = false;
		line_push(&l->finished, j);
		/* Between its end and the loop's notice everything may happen. */
		sleep_ms(chance(9000) ? 0 : between(1, 50));
	}
}

enum rc
lane_start(const char *name, size_t max_jobs, void (*thread_init)(void *ctx),
	   void (*thread_fini)(void *ctx), void *ctx, struct lane **out, struct err *e)
{
	struct agent *a = world_running();
	struct lane *l = calloc(1, sizeof *l);

	(void)thread_init;
	(void)e;
	l->agent = a;
	snprintf(l->name, sizeof l->name, "%s", name);
	l->max_jobs = max_jobs;
	l->thread_fini = thread_fini;
	l->ctx = ctx;
	line_clear(&l->urgent);
	line_clear(&l->normal);
	line_clear(&l->finished);
	l->coro = coro_new(a, lane_work, l);
	l->coro->state = CORO_WAITS;
	l->place = a->lane_count;
	a->lanes[a->lane_count++] = l;
	*out = l;
	return RC_OK;
}

enum rc
lane_start_inline(const char *name, size_t max_jobs, void (*thread_init)(void *ctx),
		  void (*thread_fini)(void *ctx), void *ctx, struct lane **out, struct err *e)
{
	return lane_start(name, max_jobs, thread_init, thread_fini, ctx, out, e);
}

enum rc
lane_submit(struct lane *l, struct job *j)
{
	if (l->is_stopping || l->accepted >= l->max_jobs)
		return RC_AGAIN;
	line_push(j->urgent ? &l->urgent : &l->normal, j);
	l->queued++;
	l->accepted++;
	return RC_OK;
}

int
lane_fd(const struct lane *l)
{
	return LANE_FD + (int)l->place;
}

size_t
lane_collect(struct lane *l)
{
	struct line batch = l->finished;
	struct job *j = batch.first, *next;
	size_t count = 0;

	line_clear(&l->finished);
	for (; j != NULL; j = next) {
		next = j->next;
		l->accepted--;
		j->done(j);
		count++;
	}
	return count;
}

int64_t
lane_busy_ms(const struct lane *l)
{
	return l->is_busy ? W.now_ms - l->busy_since : 0;
}

size_t
lane_queued(const struct lane *l)
{
	return l->queued;
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
	l->is_stopping = true;
	while (l->queued > 0 || l->is_busy)
		sleep_ms(10);
	(void)lane_collect(l);
	if (l->thread_fini != NULL)
		l->thread_fini(l->ctx);
	l->coro->is_used = false;
	l->agent->lanes[l->place] = NULL;
	free(l);
}

/* ---- the loop ---- */

static struct event *fire; /* what the scheduler wants this loop to do */

int
event_base_dispatch(struct event_base *b)
{
	struct agent *a = b->agent;
	void (*ask)(struct agent * a);
	struct event *ev;

	a->is_ready = true;
	while (!b->is_broken) {
		current->state = CORO_WAITS;
		to_scheduler(false);
		ev = fire;
		fire = NULL;
		crash_point();
		pause_point();
		if (ev == NULL) {
			ask = a->ask;
			a->ask = NULL;
			ask(a);
			continue;
		}
		if ((ev->what & EV_SIGNAL) != 0)
			a->term_asked = false;
		if ((ev->what & EV_PERSIST) == 0)
			ev->is_added = false;
		ev->has_time = false;
		ev->cb(ev->fd, ev->what, ev->arg);
	}
	a->is_ready = false;
	return 0;
}

/* At the end only: no channel here leaves libevent anything to let go of. */
int
event_base_loop(struct event_base *b, int flags)
{
	(void)b;
	(void)flags;
	return 0;
}

static bool
is_active(const struct agent *a, const struct event *ev)
{
	const struct lane *l;

	if (!ev->is_added)
		return false;
	if ((ev->what & EV_SIGNAL) != 0)
		return ev->fd == SIGTERM && a->term_asked;
	if (ev->fd >= LANE_FD) {
		l = a->lanes[ev->fd - LANE_FD];
		return l != NULL && l->finished.first != NULL;
	}
	return ev->has_time && ev->due_ms <= W.now_ms;
}

/* ---- what is due in the world ---- */

struct due {
	int64_t at_ms;
	void (*fn)(void *arg, int64_t n);
	void *arg;
	int64_t n;
};

static struct due dues[EVENTS_MAX];
static size_t due_count;

void
world_at(int64_t due_ms, void (*fn)(void *arg, int64_t n), void *arg, int64_t n)
{
	if (due_count == EVENTS_MAX) {
		violation("the simulation is out of places for what is due");
		return;
	}
	dues[due_count++] = (struct due){ due_ms, fn, arg, n };
}

int64_t
world_next_ms(void)
{
	int64_t least = INT64_MAX;
	size_t i;

	for (i = 0; i < due_count; i++)
		if (dues[i].at_ms < least)
			least = dues[i].at_ms;
	return least;
}

/* ---- the scheduler ---- */

struct ready {
	enum { READY_DUE, READY_CORO, READY_EVENT, READY_ASK } kind;
	size_t at;
	struct coro *coro;
	struct event *event;
	struct agent *agent;
};

static struct ready ready[READY_MAX];
static size_t ready_count;

static void
may_run(struct ready r)
{
	if (ready_count < READY_MAX)
		ready[ready_count++] = r;
}

static void
sooner(int64_t *least, int64_t at)
{
	if (at < *least)
		*least = at;
}

static void
look_coro(struct coro *c, struct agent *a, int64_t *least)
{
	if (c->state != CORO_SLEEPS)
		return;
	if (c->wake_ms <= W.now_ms)
		may_run((struct ready){ .kind = READY_CORO, .coro = c, .agent = a });
	else
		sooner(least, c->wake_ms);
}

static void
look_agent(struct agent *a, int64_t *least)
{
	struct event *ev;
	unsigned i;

	if (!a->is_alive)
		return;
	if (a->paused_until_ms > W.now_ms) {
		sooner(least, a->paused_until_ms);
		return;
	}
	a->paused_until_ms = 0;
	look_coro(a->main, a, least);
	for (i = 0; i < a->lane_count; i++) {
		struct lane *l = a->lanes[i];

		if (l == NULL)
			continue;
		if (l->coro->state == CORO_WAITS && l->queued > 0)
			may_run((struct ready){ .kind = READY_CORO, .coro = l->coro, .agent = a });
		else
			look_coro(l->coro, a, least);
	}
	if (!a->is_ready || a->main->state != CORO_WAITS)
		return;
	if (a->ask != NULL)
		may_run((struct ready){ .kind = READY_ASK, .agent = a });
	for (ev = a->events; ev != NULL; ev = ev->next) {
		if (is_active(a, ev))
			may_run((struct ready){ .kind = READY_EVENT, .event = ev, .agent = a });
		else if (ev->is_added && ev->has_time)
			sooner(least, ev->due_ms);
	}
}

static int64_t
look(void)
{
	int64_t least = INT64_MAX;
	size_t i;

	ready_count = 0;
	for (i = 0; i < due_count; i++)
		if (dues[i].at_ms <= W.now_ms)
			may_run((struct ready){ .kind = READY_DUE, .at = i });
		else
			sooner(&least, dues[i].at_ms);
	for (i = 0; i < W.agent_count; i++)
		look_agent(&W.agents[i], &least);
	return least;
}

static void
run(const struct ready *r)
{
	struct due d;

	switch (r->kind) {
	case READY_DUE:
		d = dues[r->at];
		dues[r->at] = dues[--due_count];
		d.fn(d.arg, d.n);
		break;
	case READY_CORO:
		mix((uint64_t)(r->coro - coros));
		resume(r->coro);
		break;
	case READY_EVENT:
	case READY_ASK:
		mix((uint64_t)r->agent->no);
		fire = r->kind == READY_EVENT ? r->event : NULL;
		resume(r->agent->main);
		break;
	}
}

bool
world_step(int64_t not_after_ms)
{
	int64_t least = look();

	if (ready_count == 0) {
		if (least > not_after_ms) {
			if (not_after_ms != INT64_MAX)
				W.now_ms = not_after_ms;
			return false;
		}
		W.now_ms = least;
		(void)look();
	}
	W.steps++;
	W.counts.steps++;
	mix((uint64_t)W.now_ms);
	/* Whatever became ready by a pause that ended is looked at in the next step. */
	if (ready_count > 0)
		run(&ready[pick((unsigned)ready_count)]);
	return true;
}

bool
world_is_quiet(void)
{
	const struct agent *a;
	unsigned i, k;

	for (i = 0; i < W.agent_count; i++) {
		a = &W.agents[i];
		if (!a->is_alive)
			continue;
		if (a->paused_until_ms > W.now_ms || !a->is_ready || a->hot > 0 || a->ask != NULL ||
		    a->term_asked || !pipeline_is_empty(a->pipeline))
			return false;
		for (k = 0; k < a->lane_count; k++)
			if (a->lanes[k] != NULL &&
			    (a->lanes[k]->accepted > 0 || a->lanes[k]->is_busy))
				return false;
	}
	return true;
}

/* ---- agents ---- */

static void
agent_main(void *arg)
{
	struct agent *a = arg;

	a->exit_status = relay_run("simulation", a->conf);
}

static void
agent_clear(struct agent *a)
{
	a->is_ready = a->term_asked = a->crash_asked = false;
	a->paused_until_ms = 0;
	a->base = NULL;
	a->lane_count = 0;
	a->relay = NULL;
	a->pipeline = NULL;
	a->journal = NULL;
	a->ask = NULL;
	a->hot = 0;
	a->held_bytes = 0;
	memset(a->places, 0, sizeof a->places);
	memset(a->lanes, 0, sizeof a->lanes);
}

void
agent_start(struct agent *a)
{
	agent_clear(a);
	a->is_alive = true;
	a->main = coro_new(a, agent_main, a);
	W.counts.starts++;
	trace(a, "starts", 0, 0);
}

/* As kill -9. What it had allocated is lost with the child that runs these schedules. */
void
agent_crash(struct agent *a)
{
	struct event *ev;
	unsigned i;

	if (!a->is_alive)
		return;
	trace(a, "dies", 0, 0);
	W.counts.crashes++;
	a->main->is_used = false;
	for (i = 0; i < a->lane_count; i++)
		if (a->lanes[i] != NULL)
			a->lanes[i]->coro->is_used = false;
	while ((ev = a->events) != NULL) {
		a->events = ev->next;
		free(ev);
	}
	database_crash(a);
	disk_crash(a);
	provider_agent_crash(a);
	agent_clear(a);
	a->is_alive = false;
	schedule_agent_ended(a, true);
}

void
agent_pause(struct agent *a, int64_t ms, bool sleeps)
{
	struct event *ev;
	unsigned i;

	if (!a->is_alive || a->paused_until_ms > W.now_ms)
		return;
	trace(a, sleeps ? "sleeps" : "stands still", ms, 0);
	W.counts.pauses++;
	a->paused_until_ms = W.now_ms + ms;
	if (!sleeps)
		return;
	a->mono_lag_ms += ms;
	for (ev = a->events; ev != NULL; ev = ev->next)
		ev->due_ms += ms;
	a->main->wake_ms += ms;
	for (i = 0; i < a->lane_count; i++)
		if (a->lanes[i] != NULL)
			a->lanes[i]->coro->wake_ms += ms;
}

void
world_begin(void)
{
	struct counts keep = W.counts;
	bool is_traced = W.is_traced;
	int i;

	for (i = 0; i < COROS_MAX; i++)
		coros[i].is_used = false;
	memset(&W, 0, sizeof W);
	W.counts = keep;
	W.is_traced = is_traced;
	W.now_ms = 1000000;
	due_count = 0;
	fire = NULL;
	for (i = 0; i < AGENTS_MAX; i++) {
		struct agent *a = &W.agents[i];

		a->no = i;
		snprintf(a->id, sizeof a->id, "a%d", i);
		snprintf(a->dir, sizeof a->dir, "/sim/%d", i);
		snprintf(a->boot_id, sizeof a->boot_id, "boot-%d-0", i);
	}
}

void
world_end(void)
{
	W.faults = false;
}

/* ---- the log, the control socket ---- */

static void __attribute__((format(printf, 2, 0)))
log_line(const char *event, const char *fmt, va_list ap)
{
	mix_text(event);
	if (!W.is_traced)
		return;
	line_head(world_running());
	printf("  log %s ", event);
	vprintf(fmt, ap);
	printf("\n");
}

void
log_event(enum log_level level, const char *event, const char *fmt, ...)
{
	va_list ap;

	(void)level;
	va_start(ap, fmt);
	log_line(event, fmt, ap);
	va_end(ap);
}

void
log_err(enum log_level level, const char *event, const struct err *e, const char *fmt, ...)
{
	va_list ap;

	(void)level;
	va_start(ap, fmt);
	log_line(event, fmt, ap);
	va_end(ap);
	if (W.is_traced)
		printf("%19s   %s: %s\n", "", rc_name(e->rc), e->text);
}

void
log_set_level(enum log_level level)
{
	(void)level;
}

enum log_level
log_get_level(void)
{
	return LOG_LEVEL_ERROR;
}

bool
log_level_parse(const char *word, enum log_level *out)
{
	(void)word;
	*out = LOG_LEVEL_ERROR;
	return true;
}

enum rc
log_reopen(struct err *e)
{
	(void)e;
	return RC_OK;
}

void
log_last_error(char *buf, size_t size)
{
	(void)size;
	buf[0] = '\0';
}

const char *
mask_number(char *buf, size_t size, const char *number)
{
	(void)number;
	snprintf(buf, size, "****");
	return buf;
}

enum rc
control_open(struct relay *r, struct event_base *base, const char *path, struct control **out,
	     struct err *e)
{
	(void)base;
	(void)path;
	(void)e;
	*out = NULL;
	world_running()->relay = r;
	return RC_OK;
}

void
control_close(struct control *c)
{
	(void)c;
}
