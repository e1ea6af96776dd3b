/* supervise.c - the built-in supervisor.
 *
 * DIAGNOSTICS. supervise.start at each start, supervise.end with the last words of the child (its
 * exit status or its signal, how long it ran, when the next one starts), supervise.stuck when it
 * gave no sign of life, supervise.fork when there is no process to be had. */
#include "config.h"
#include "agent/supervise.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "agent/clock.h"
#include "agent/log.h"

#define LOOK_MS 1000
#define ABORT_MS 2000 /* from ABRT to KILL */

struct watch {
	const struct supervise *s;
	sigset_t signals; /* those that we wait for, blocked */
	sigset_t before;  /* the mask to give the child */
	pid_t child;	  /* 0: none */
	bool is_stopping;
	int64_t pause_ms;
	int64_t looked_ms, since_ms; /* the last look, and from when silence counts */
	int64_t aborted_ms; /* when the child was told to end for want of life; 0: it was not */
};

/* Shared with the child: when it last gave a sign, on the clock that both have. 0: not yet. */
static _Atomic int64_t *alive;

void
supervise_alive(void)
{
	if (alive != NULL)
		*alive = clock_mono_ms();
}

static void
reopen_log(void)
{
	struct err e = { 0 };

	if (log_reopen(&e) != RC_OK)
		log_err(LOG_LEVEL_ERROR, "log.reopen", &e, "keeping=old");
}

/* One signal, or none within wait_ms (negative: for ever); CHLD only wakes. */
static void
take_signal(struct watch *w, int64_t wait_ms)
{
	struct timespec ts = { .tv_sec = (time_t)(wait_ms / 1000),
			       .tv_nsec = (long)(wait_ms % 1000) * 1000000 };
	int sig = sigtimedwait(&w->signals, NULL, wait_ms < 0 ? NULL : &ts);

	if (sig == SIGTERM || sig == SIGINT)
		w->is_stopping = true;
	if (sig == SIGUSR1)
		reopen_log();
	if (sig > 0 && sig != SIGCHLD && w->child > 0)
		kill(w->child, sig);
}

/* A loop that stands still serves nobody and ends nothing by itself. */
static void
end_stuck(struct watch *w)
{
	int64_t now = clock_mono_ms(), last = alive != NULL ? *alive : 0;

	/* Both stood still, as under a freezer: the child has its time from now on. */
	if (now - w->looked_ms > 2 * LOOK_MS)
		w->since_ms = now;
	w->looked_ms = now;
	if (last != 0 && last < w->since_ms)
		last = w->since_ms;
	if (w->aborted_ms != 0) {
		/* Whoever is stopped does not even die of ABRT. */
		if (now - w->aborted_ms >= ABORT_MS)
			kill(w->child, SIGKILL);
		return;
	}
	if (w->s->stuck_ms <= 0 || last == 0 || now - last < w->s->stuck_ms)
		return;
	log_event(LOG_LEVEL_ERROR, "supervise.stuck",
		  "child=%ld silent_ms=%" PRId64 " text=\"no sign of life; it is ended and started "
		  "again\"",
		  (long)w->child, now - last);
	w->aborted_ms = now;
	kill(w->child, SIGABRT);
}

static pid_t
start_child(const struct watch *w)
{
	pid_t parent = getpid(), pid = fork();

	if (pid != 0)
		return pid;
	/* Without its supervisor nobody could stop or start it again by the pid file. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(EX_TEMPFAIL);
	sigprocmask(SIG_SETMASK, &w->before, NULL);
	exit(w->s->child(w->s->ctx));
}

static int
wait_child(struct watch *w)
{
	int status;

	for (;;) {
		pid_t pid = waitpid(w->child, &status, WNOHANG);

		if (pid == w->child)
			break;
		if (pid == -1 && errno == ECHILD) {
			status = 0;
			break;
		}
		take_signal(w, w->s->stuck_ms > 0 ? LOOK_MS : -1);
		end_stuck(w);
	}
	w->child = 0;
	return status;
}

static void
last_words(const struct watch *w, pid_t pid, int status, int64_t ran_ms, bool is_over)
{
	enum log_level level = is_over && WIFEXITED(status) && WEXITSTATUS(status) == 0
				       ? LOG_LEVEL_INFO
				       : LOG_LEVEL_ERROR;
	char how[64], next[64] = "";

	if (WIFSIGNALED(status))
		snprintf(how, sizeof how, "signal=%d (%s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	else
		snprintf(how, sizeof how, "exit=%d", WEXITSTATUS(status));
	if (!is_over)
		snprintf(next, sizeof next, " restart_in_ms=%" PRId64, w->pause_ms);
	log_event(level, "supervise.end", "child=%ld %s ran_ms=%" PRId64 "%s", (long)pid, how,
		  ran_ms, next);
}

static void
pause_before_next(struct watch *w)
{
	int64_t until = clock_mono_ms() + w->pause_ms, left;

	while (!w->is_stopping && (left = until - clock_mono_ms()) > 0)
		take_signal(w, left);
	w->pause_ms = w->pause_ms * 2 < w->s->pause_max_ms ? w->pause_ms * 2 : w->s->pause_max_ms;
}

/* True when another start makes no sense; *code is then the exit status. */
static bool
run_once(struct watch *w, int *code)
{
	int64_t begin = clock_mono_ms(), ran_ms;
	bool is_over;
	int status;
	pid_t pid;

	if (alive != NULL)
		*alive = 0;
	w->aborted_ms = 0;
	pid = start_child(w);

	if (pid == -1) {
		log_event(LOG_LEVEL_ERROR, "supervise.fork", "text=\"%s\" restart_in_ms=%" PRId64,
			  strerror(errno), w->pause_ms);
		return false;
	}
	w->child = pid;
	log_event(LOG_LEVEL_INFO, "supervise.start", "child=%ld", (long)pid);
	status = wait_child(w);
	ran_ms = clock_mono_ms() - begin;
	if (ran_ms >= w->s->good_run_ms)
		w->pause_ms = w->s->pause_min_ms;
	*code = WIFEXITED(status) ? WEXITSTATUS(status) : EX_SOFTWARE;
	is_over = w->is_stopping || (WIFEXITED(status) && (*code == 0 || *code == EX_CONFIG));
	last_words(w, pid, status, ran_ms, is_over);
	return is_over;
}

int
supervise_run(const struct supervise *s)
{
	struct watch w = { .s = s, .pause_ms = s->pause_min_ms };
	int code = 0;
	const int how = MAP_SHARED | MAP_ANONYMOUS;
	// cppcheck-suppress invalidFunctionArg ; there is no file
	void *shared = mmap(NULL, sizeof *alive, PROT_READ | PROT_WRITE, how, -1, 0);

	alive = shared != MAP_FAILED ? shared : NULL;
	sigemptyset(&w.signals);
	sigaddset(&w.signals, SIGTERM);
	sigaddset(&w.signals, SIGINT);
	sigaddset(&w.signals, SIGHUP);
	sigaddset(&w.signals, SIGUSR1);
	sigaddset(&w.signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &w.signals, &w.before);
	while (!run_once(&w, &code)) {
		pause_before_next(&w);
		if (w.is_stopping) {
			code = 0;
			break;
		}
	}
	sigprocmask(SIG_SETMASK, &w.before, NULL);
	if (alive != NULL)
		(void)munmap(shared, sizeof *alive);
	alive = NULL;
	return code;
}
