/* test_blackbox.c - processes that die in every way while they work on a row, and what the next one
 * learns of it. */
#include "config.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "agent/blackbox.h"
#include "agent/lane.h"
#include "agent/log.h"
#include "tests/unit/unit.h"

#define OWNER "0123456789abcdef0123456789abcdef"

static char folder[64], path[96], log_path[96];

enum way { SEGV, ABORT, KILL, FROM_OUTSIDE, WATCHDOG, LEAVES, IN_LANE, DEEP, STANDS_STILL };

static int
deeper(int n)
{
	volatile char here[4096];

	here[0] = (char)n;
	return n <= 0 ? here[0] : deeper(n + 1) + here[0];
}

static void
fault(void)
{
	/* Not NULL: a sanitizer would end us in its own way before the fault. */
	volatile int *volatile nowhere = (volatile int *)64;

	*nowhere = 1;
}

static void
run_fault(struct job *j, void *ctx)
{
	(void)j;
	(void)ctx;
	blackbox_at(BOX_JUDGE, 8, 3);
	fault();
}

static void
nothing(struct job *j)
{
	(void)j;
}

static void
die(enum way way)
{
	static struct job job = { .run = run_fault, .done = nothing };
	struct blackbox_crash none[BLACKBOX_SLOTS];
	struct lane *lane;
	struct err e;

	/* What a sanitizer or cmocka would make of the signal is not what is looked at. */
	for (int sig = 1; sig < 32; sig++)
		if (sig != SIGKILL && sig != SIGSTOP)
			(void)signal(sig, SIG_DFL);
	(void)blackbox_open(folder, OWNER, none);
	blackbox_at(BOX_ENCODE, 7, 5);
	switch (way) {
	case SEGV:
		fault();
		break;
	case ABORT:
		abort();
	case KILL:
		kill(getpid(), SIGKILL);
		break;
	case FROM_OUTSIDE:
	case WATCHDOG:
		for (;;)
			pause();
	case LEAVES:
		blackbox_off();
		abort();
	case IN_LANE:
		blackbox_off();
		if (lane_start("lane", 1, NULL, NULL, NULL, &lane, &e) == RC_OK &&
		    lane_submit(lane, &job) == RC_OK)
			for (;;)
				pause();
		break;
	case DEEP:
		_exit(deeper(1));
	case STANDS_STILL:
		blackbox_off();
		blackbox_at(BOX_JUDGE, 9, 0);
		blackbox_stuck(); /* this thread lives: it is not blamed */
		break;
	}
	_exit(0);
}

static int
died_of(enum way way)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0)
		die(way);
	if (way == FROM_OUTSIDE || way == WATCHDOG) {
		struct stat st;

		/* The box is there before the row stands in it, by less than a look. */
		while (stat(path, &st) != 0 || st.st_size == 0)
			usleep(1000);
		usleep(50000);
		kill(pid, way == WATCHDOG ? SIGABRT : SIGSEGV);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : -1;
}

static size_t
opened(struct blackbox_crash *c)
{
	size_t n = blackbox_open(folder, OWNER, c);

	assert_true(n <= BLACKBOX_SLOTS);
	return n;
}

static void
a_fault_names_its_row(void **state)
{
	struct blackbox_crash c[BLACKBOX_SLOTS];

	(void)state;
	assert_int_equal(died_of(SEGV), SIGSEGV);
	assert_int_equal(opened(c), 1);
	assert_int_equal(c[0].msg_id, 7);
	assert_int_equal(c[0].made, 5);
	assert_int_equal(c[0].step, BOX_ENCODE);
	assert_int_equal(c[0].signal, SIGSEGV);
	blackbox_close();
	assert_int_equal(opened(c), 0);
	blackbox_close();
	assert_int_equal(died_of(ABORT), SIGABRT);
	assert_int_equal(opened(c), 1);
	assert_int_equal(c[0].signal, SIGABRT);
	blackbox_close();
	assert_int_equal(died_of(WATCHDOG), SIGABRT);
	assert_int_equal(opened(c), 1);
	blackbox_close();
}

static void
a_lane_and_a_broken_stack_too(void **state)
{
	struct blackbox_crash c[BLACKBOX_SLOTS];

	(void)state;
	assert_int_equal(died_of(IN_LANE), SIGSEGV);
	assert_int_equal(opened(c), 1);
	assert_int_equal(c[0].msg_id, 8);
	assert_int_equal(c[0].step, BOX_JUDGE);
	blackbox_close();
	assert_int_equal(died_of(DEEP), SIGSEGV);
	assert_int_equal(opened(c), 1);
	assert_int_equal(c[0].msg_id, 7);
	blackbox_close();
}

static void
what_is_no_fault_of_the_row_names_none(void **state)
{
	static const enum way ways[] = { KILL, FROM_OUTSIDE, LEAVES, STANDS_STILL };
	struct blackbox_crash c[BLACKBOX_SLOTS];

	(void)state;
	for (size_t i = 0; i < NELEM(ways); i++) {
		(void)died_of(ways[i]);
		assert_int_equal(opened(c), 0);
		blackbox_close();
	}
}

static void
three_times_and_it_is_shunned_until_it_ends(void **state)
{
	struct blackbox_crash c[BLACKBOX_SLOTS];

	(void)state;
	for (unsigned i = 1; i <= BLACKBOX_LIMIT; i++) {
		assert_int_equal(died_of(SEGV), SIGSEGV);
		assert_int_equal(opened(c), 1);
		assert_false(blackbox_shuns(7, 5));
		assert_int_equal(blackbox_blame(&c[0]), i);
		assert_int_equal(blackbox_shuns(7, 5), i == BLACKBOX_LIMIT);
		blackbox_close();
	}
	assert_int_equal(opened(c), 0);
	assert_true(blackbox_shuns(7, 5));
	assert_true(blackbox_shuns(7, 0));
	assert_false(blackbox_shuns(7, 6)); /* another message of this msg_id */
	assert_false(blackbox_shuns(6, 5));
	blackbox_forget(7);
	assert_false(blackbox_shuns(7, 5));
	blackbox_close();
}

static void
a_key_is_known_by_its_number_once_that_is_told(void **state)
{
	struct blackbox_crash none[BLACKBOX_SLOTS];
	struct blackbox_crash c = { .key = "abc", .step = BOX_REPORT, .signal = SIGSEGV };

	(void)state;
	assert_int_equal(opened(none), 0);
	for (unsigned i = 1; i <= BLACKBOX_LIMIT; i++)
		assert_int_equal(blackbox_blame(&c), i);
	assert_true(blackbox_shuns_key("abc"));
	assert_false(blackbox_shuns_key("abd"));
	assert_false(blackbox_shuns_key(""));
	assert_false(blackbox_shuns(12, 0));
	c.msg_id = 12;
	blackbox_name(&c);
	assert_true(blackbox_shuns(12, 0));
	blackbox_close();
}

static void
evidence_is_told_from_the_row_itself(void **state)
{
	struct blackbox_crash none[BLACKBOX_SLOTS];
	struct blackbox_crash c = { .msg_id = 3, .made = 1, .step = BOX_JUDGE };

	(void)state;
	assert_int_equal(opened(none), 0);
	for (unsigned i = 1; i < BLACKBOX_LIMIT; i++)
		(void)blackbox_blame(&c);
	assert_false(blackbox_shuns_in(3, 1u << BOX_JUDGE)); /* not yet */
	(void)blackbox_blame(&c);
	assert_true(blackbox_shuns(3, 1));
	assert_true(blackbox_shuns_in(3, 1u << BOX_JUDGE));
	assert_false(blackbox_shuns_in(3, BOX_EVIDENCE));
	c.step = BOX_SETTLE;
	(void)blackbox_blame(&c);
	assert_true(blackbox_shuns_in(3, BOX_EVIDENCE));
	assert_false(blackbox_shuns_in(3, 1u << BOX_ANSWER));
	assert_false(blackbox_shuns_in(4, BOX_EVIDENCE));
	/* Whoever gets its place begins anew. */
	blackbox_forget(3);
	c = (struct blackbox_crash){ .msg_id = 5, .step = BOX_READ };
	for (unsigned i = 1; i <= BLACKBOX_LIMIT; i++)
		(void)blackbox_blame(&c);
	assert_false(blackbox_shuns_in(5, BOX_EVIDENCE));
	blackbox_close();
}

static void
a_later_message_with_its_number_is_another(void **state)
{
	struct blackbox_crash none[BLACKBOX_SLOTS];
	struct blackbox_crash c = { .msg_id = 4, .step = BOX_SETTLE };

	(void)state;
	assert_int_equal(opened(none), 0);
	for (unsigned i = 1; i <= BLACKBOX_LIMIT; i++)
		(void)blackbox_blame(&c);
	assert_true(blackbox_shuns(4, 9)); /* nobody knows yet whose number that was */
	c.made = 8;
	blackbox_name(&c);
	assert_true(blackbox_shuns(4, 8));
	assert_true(blackbox_shuns(4, 0));
	assert_false(blackbox_shuns(4, 9));
	assert_false(blackbox_shuns(4, 0)); /* and with that the old one is gone */
	/* One whose row was gone at the start: its report may come still, its row never. */
	c = (struct blackbox_crash){ .msg_id = 4, .step = BOX_REPORT };
	for (unsigned i = 1; i <= BLACKBOX_LIMIT; i++) {
		(void)blackbox_blame(&c);
		c.made = BLACKBOX_GONE;
		blackbox_name(&c);
		c.made = 0;
	}
	assert_true(blackbox_shuns_in(4, BOX_EVIDENCE));
	assert_false(blackbox_shuns(4, 9));
	blackbox_close();
}

static void
the_oldest_suspect_makes_room(void **state)
{
	struct blackbox_crash none[BLACKBOX_SLOTS];
	struct blackbox_crash c = { .step = BOX_READ };

	(void)state;
	assert_int_equal(opened(none), 0);
	for (int64_t id = 1; id <= BLACKBOX_SUSPECTS; id++) {
		c.msg_id = id;
		assert_int_equal(blackbox_blame(&c), 1);
	}
	c.msg_id = 1;
	assert_int_equal(blackbox_blame(&c), 2);
	c.msg_id = 100; /* in the place of 2, the one not seen for longest */
	assert_int_equal(blackbox_blame(&c), 1);
	c.msg_id = 1;
	assert_int_equal(blackbox_blame(&c), 3);
	c.msg_id = 2;
	assert_int_equal(blackbox_blame(&c), 1);
	blackbox_close();
}

static void
write_box(const void *p, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, p, n), n);
	close(fd);
}

static const char *
log_text(void)
{
	static char text[4096];
	int fd = open(log_path, O_RDONLY);
	ssize_t n = read(fd, text, sizeof text - 1);

	close(fd);
	assert_true(n >= 0);
	text[n] = '\0';
	return text;
}

static void
a_foreign_or_broken_box_begins_anew_with_a_sentence(void **state)
{
	static unsigned char whole[65536], copy[65536];
	struct blackbox_crash c[BLACKBOX_SLOTS];
	struct err e;
	ssize_t n;
	int fd;

	(void)state;
	assert_int_equal(died_of(SEGV), SIGSEGV);
	fd = open(path, O_RDONLY);
	n = read(fd, whole, sizeof whole);
	close(fd);
	assert_true(n > 100 && n < (ssize_t)sizeof whole);
	assert_int_equal(log_open(LOG_SINK_FILE, log_path, LOG_LEVEL_INFO, &e), RC_OK);
	/* garbage, shorter, longer, and every single byte turned */
	write_box("not a box", 9);
	assert_int_equal(opened(c), 0);
	blackbox_close();
	assert_non_null(strstr(log_text(), "blackbox.new"));
	assert_non_null(strstr(log_text(), "begun anew"));
	write_box(whole, (size_t)n / 2);
	assert_int_equal(opened(c), 0);
	blackbox_close();
	write_box(whole, (size_t)n);
	assert_int_equal(truncate(path, n + 4096), 0);
	assert_int_equal(opened(c), 0);
	blackbox_close();
	for (ssize_t i = 0; i < n; i++) {
		memcpy(copy, whole, (size_t)n);
		copy[i] ^= 0xff;
		write_box(copy, (size_t)n);
		for (size_t k = opened(c); k-- > 0;)
			assert_true(c[k].step < BOX_STEPS && blackbox_blame(&c[k]) >= 1);
		blackbox_close();
	}
	write_box(whole, (size_t)n);
	assert_int_equal(blackbox_open(folder, "another journal", c), 0);
	blackbox_close();
	assert_non_null(strstr(log_text(), "belongs to another journal"));
	log_close();
}

static void
without_a_folder_it_does_nothing(void **state)
{
	struct blackbox_crash c[BLACKBOX_SLOTS];

	(void)state;
	assert_int_equal(blackbox_open("/nonexistent", OWNER, c), 0);
	blackbox_at(BOX_READ, 1, 1);
	blackbox_off();
	assert_false(blackbox_shuns(1, 1));
	blackbox_forget(1);
	blackbox_close();
}

static int
make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "/tmp/mtr-box-XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof path, "%s/blackbox", folder);
	snprintf(log_path, sizeof log_path, "%s/log", folder);
	return 0;
}

static int
fresh(void **state)
{
	(void)state;
	(void)unlink(path);
	return 0;
}

static int
remove_folder(void **state)
{
	(void)state;
	(void)unlink(path);
	(void)unlink(log_path);
	return rmdir(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_fault_names_its_row, fresh),
		cmocka_unit_test_setup(a_lane_and_a_broken_stack_too, fresh),
		cmocka_unit_test_setup(what_is_no_fault_of_the_row_names_none, fresh),
		cmocka_unit_test_setup(three_times_and_it_is_shunned_until_it_ends, fresh),
		cmocka_unit_test_setup(a_key_is_known_by_its_number_once_that_is_told, fresh),
		cmocka_unit_test_setup(evidence_is_told_from_the_row_itself, fresh),
		cmocka_unit_test_setup(a_later_message_with_its_number_is_another, fresh),
		cmocka_unit_test_setup(the_oldest_suspect_makes_room, fresh),
		cmocka_unit_test_setup(a_foreign_or_broken_box_begins_anew_with_a_sentence, fresh),
		cmocka_unit_test_setup(without_a_folder_it_does_nothing, fresh),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
