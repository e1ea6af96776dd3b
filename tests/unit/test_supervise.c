/* test_supervise.c - the supervisor with children of every kind. It runs in a process of its own
 * and is seen by its log. */
#include "config.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/clock.h"
#include "agent/log.h"
#include "agent/supervise.h"
#include "tests/unit/unit.h"

#define DEADLINE_MS 10000

static char folder[64], log_path[96], moved_path[96], runs_path[96];

static void
nap(void)
{
	struct timespec ts = { .tv_nsec = 5 * 1000000 };

	nanosleep(&ts, NULL);
}

static char *
read_log(void)
{
	static char text[16384];
	FILE *f = fopen(log_path, "r");
	size_t n = f != NULL ? fread(text, 1, sizeof text - 1, f) : 0;

	if (f != NULL)
		fclose(f);
	text[n] = '\0';
	return text;
}

static unsigned
count_in_log(const char *what)
{
	unsigned n = 0;

	for (const char *p = read_log(); (p = strstr(p, what)) != NULL; p += strlen(what))
		n++;
	return n;
}

static void
wait_for(const char *what, unsigned times)
{
	int64_t end = clock_mono_ms() + DEADLINE_MS;

	while (count_in_log(what) < times) {
		if (clock_mono_ms() > end)
			fail_msg("waited for %u x %s in:\n%s", times, what, read_log());
		nap();
	}
}

/* The number in the last "NAME=number" of the log. */
static long
last_number(const char *name)
{
	long v = -1;

	for (const char *p = read_log(); (p = strstr(p, name)) != NULL; p += strlen(name))
		v = strtol(p + strlen(name), NULL, 10);
	return v;
}

/* How many children there were, this one included: they share nothing but a file. */
static int
this_run(void)
{
	FILE *f = fopen(runs_path, "a+");
	int n;

	if (f == NULL)
		_exit(99);
	fputc('x', f);
	fflush(f);
	n = (int)ftell(f);
	fclose(f);
	return n;
}

static int
ends_with_the_status_given(void *ctx)
{
	return *(const int *)ctx;
}

static int
fails_twice(void *ctx)
{
	(void)ctx;
	return this_run() <= 2 ? 75 : 0;
}

static volatile sig_atomic_t got_signal;
static volatile sig_atomic_t got_term; /* by itself: another signal may come in the same moment */

static void
on_signal(int sig)
{
	got_signal = sig;
	if (sig == SIGTERM)
		got_term = 1;
}

/* Logs each signal; ends at TERM. */
static int
listens(void *ctx)
{
	sigset_t none, all;

	(void)ctx;
	(void)signal(SIGTERM, on_signal);
	(void)signal(SIGHUP, on_signal);
	(void)signal(SIGUSR1, on_signal);
	sigemptyset(&none);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	log_event(LOG_LEVEL_INFO, "child.ready", "n=%d", this_run());
	while (!got_term) {
		sigsuspend(&none);
		log_event(LOG_LEVEL_INFO, "child.signal", "sig=%d", (int)got_signal);
	}
	return 7;
}

static int64_t stuck_ms; /* of the next start() */

static pid_t
start(int (*child)(void *), void *ctx, int64_t pause_min_ms, int64_t good_run_ms)
{
	struct supervise s = { .child = child,
			       .ctx = ctx,
			       .pause_min_ms = pause_min_ms,
			       .pause_max_ms = 4 * pause_min_ms,
			       .good_run_ms = good_run_ms,
			       .stuck_ms = stuck_ms };
	struct err e;
	pid_t pid;

	(void)unlink(log_path);
	(void)unlink(runs_path);
	pid = fork();
	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (log_open(LOG_SINK_FILE, log_path, LOG_LEVEL_INFO, &e) != RC_OK)
		_exit(99);
	_exit(supervise_run(&s));
}

/* The first two stand still after a sign of life, the first of them deaf to ABRT; the third one has
 * not begun to give signs, which is no reason to end it. */
static int
stands_still(void *ctx)
{
	int n = this_run();

	(void)ctx;
	if (n == 1)
		(void)signal(SIGABRT, SIG_IGN);
	if (n <= 2)
		supervise_alive();
	log_event(LOG_LEVEL_INFO, "child.ready", "n=%d", n);
	while (n > 0)
		nap();
	return n;
}

static int
status_of(pid_t pid)
{
	int64_t end = clock_mono_ms() + DEADLINE_MS;
	int status;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (clock_mono_ms() > end) {
			kill(pid, SIGKILL);
			fail_msg("the supervisor did not end; its log:\n%s", read_log());
		}
		nap();
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
a_child_that_ends_well_or_needs_an_operator_is_not_started_again(void **state)
{
	static int codes[] = { 0, 78 };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(status_of(start(ends_with_the_status_given, &codes[i], 1, 60000)),
				 codes[i]);
		assert_int_equal(count_in_log("supervise.start"), 1);
		assert_int_equal(last_number(" exit="), codes[i]);
	}
}

static void
a_child_that_fails_is_started_again(void **state)
{
	(void)state;
	assert_int_equal(status_of(start(fails_twice, NULL, 1, 60000)), 0);
	assert_int_equal(count_in_log("supervise.start"), 3);
	assert_int_equal(count_in_log("exit=75"), 2);
}

static void
pauses_double_up_to_the_longest(void **state)
{
	static int code = 1;
	pid_t pid = start(ends_with_the_status_given, &code, 10, 60000);

	(void)state;
	wait_for("restart_in_ms=40", 2);
	assert_int_equal(count_in_log("restart_in_ms=10"), 1);
	assert_int_equal(count_in_log("restart_in_ms=20"), 1);
	assert_int_equal(count_in_log("restart_in_ms=80"), 0);
	kill(pid, SIGTERM);
	(void)status_of(pid);
}

static void
a_good_run_begins_the_pauses_anew(void **state)
{
	static int code = 1;
	pid_t pid = start(ends_with_the_status_given, &code, 10, 0);

	(void)state;
	wait_for("restart_in_ms=10", 4);
	assert_int_equal(count_in_log("restart_in_ms=20"), 0);
	kill(pid, SIGTERM);
	(void)status_of(pid);
}

static void
a_killed_child_leaves_its_last_words_and_comes_back(void **state)
{
	pid_t pid = start(listens, NULL, 1, 60000);
	long child;

	(void)state;
	wait_for("child.ready", 1);
	/* The child may be faster with its word than its parent, and -1 would be everybody. */
	wait_for("supervise.start", 1);
	child = last_number("child=");
	assert_true(child > 1);
	kill((pid_t)child, SIGKILL);
	wait_for("child.ready", 2);
	assert_int_equal(count_in_log("signal=9 (Killed)"), 1);
	kill(pid, SIGTERM);
	assert_int_equal(status_of(pid), 7);
	assert_int_equal(count_in_log("supervise.start"), 2);
}

static void
signals_go_on_to_the_child_and_usr1_moves_the_log(void **state)
{
	char signal_line[32];
	pid_t pid = start(listens, NULL, 1, 60000);

	(void)state;
	wait_for("child.ready", 1);
	kill(pid, SIGHUP);
	snprintf(signal_line, sizeof signal_line, "child.signal sig=%d", SIGHUP);
	wait_for(signal_line, 1);
	assert_int_equal(rename(log_path, moved_path), 0);
	kill(pid, SIGUSR1);
	/* The supervisor writes into the new file; the child of this test keeps the old one. */
	kill(pid, SIGTERM);
	assert_int_equal(status_of(pid), 7);
	assert_int_equal(count_in_log("supervise.end"), 1);
	assert_int_equal(count_in_log("supervise.start"), 0);
}

static void
term_ends_a_pause_at_once(void **state)
{
	static int code = 1;
	pid_t pid = start(ends_with_the_status_given, &code, 60000, 60000);

	(void)state;
	wait_for("restart_in_ms=60000", 1);
	kill(pid, SIGTERM);
	assert_int_equal(status_of(pid), 0);
}

static void
a_child_without_a_sign_of_life_is_ended(void **state)
{
	pid_t pid;

	(void)state;
	stuck_ms = 300;
	pid = start(stands_still, NULL, 1, 60000);
	stuck_ms = 0;
	wait_for("child.ready", 3);
	assert_int_equal(count_in_log("supervise.stuck"), 2);
	assert_int_equal(count_in_log("signal=9 (Killed)"), 1);
	assert_int_equal(count_in_log("signal=6 (Aborted)"), 1);
	for (int i = 0; i < 200; i++)
		nap();
	assert_int_equal(count_in_log("supervise.stuck"), 2);
	kill(pid, SIGTERM);
	(void)status_of(pid);
}

static void
the_child_does_not_outlive_a_killed_supervisor(void **state)
{
	pid_t pid = start(listens, NULL, 1, 60000);
	char signal_line[32];

	(void)state;
	wait_for("child.ready", 1);
	kill(pid, SIGKILL);
	assert_int_equal(status_of(pid), -1);
	snprintf(signal_line, sizeof signal_line, "child.signal sig=%d", SIGTERM);
	wait_for(signal_line, 1);
}

static int
make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "/tmp/mtr-supervise-XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(log_path, sizeof log_path, "%s/log", folder);
	snprintf(moved_path, sizeof moved_path, "%s/log.1", folder);
	snprintf(runs_path, sizeof runs_path, "%s/runs", folder);
	return 0;
}

static int
remove_folder(void **state)
{
	(void)state;
	(void)unlink(log_path);
	(void)unlink(moved_path);
	(void)unlink(runs_path);
	return rmdir(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_child_that_ends_well_or_needs_an_operator_is_not_started_again),
		cmocka_unit_test(a_child_that_fails_is_started_again),
		cmocka_unit_test(pauses_double_up_to_the_longest),
		cmocka_unit_test(a_good_run_begins_the_pauses_anew),
		cmocka_unit_test(a_killed_child_leaves_its_last_words_and_comes_back),
		cmocka_unit_test(signals_go_on_to_the_child_and_usr1_moves_the_log),
		cmocka_unit_test(term_ends_a_pause_at_once),
		cmocka_unit_test(a_child_without_a_sign_of_life_is_ended),
		cmocka_unit_test(the_child_does_not_outlive_a_killed_supervisor),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
