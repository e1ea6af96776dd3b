#include "config.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/unit/unit.h"
#include "agent/clock.h"
#include "agent/failpoint.h"

#ifdef ENABLE_FAILPOINTS
static void
each_class_comes_back(void **state)
{
	static const struct {
		const char *spec;
		enum rc rc;
	} cases[] = {
		{ "self_test:lost", RC_LOST },
		{ "self_test:unsure", RC_UNSURE },
		{ "self_test:again", RC_AGAIN },
		{ "self_test:config", RC_CONFIG },
		{ "self_test:data", RC_DATA },
		{ "self_test:stall=1", RC_OK },
		{ "", RC_OK },
	};
	struct err e;
	size_t i;

	(void)state;
	for (i = 0; i < NELEM(cases); i++) {
		assert_int_equal(failpoint_arm(cases[i].spec, &e), RC_OK);
		assert_int_equal(FAILPOINT(self_test), cases[i].rc);
		assert_int_equal(FAILPOINT(self_test), cases[i].rc);
	}
}

static void
only_the_nth_hit_acts(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(failpoint_arm("self_test:lost:3", &e), RC_OK);
	assert_int_equal(FAILPOINT(self_test), RC_OK);
	assert_int_equal(FAILPOINT(self_test), RC_OK);
	assert_int_equal(FAILPOINT(self_test), RC_LOST);
	assert_int_equal(FAILPOINT(self_test), RC_OK);
	assert_int_equal(failpoint_arm("self_test:lost,", &e), RC_OK);
	assert_int_equal(FAILPOINT(self_test), RC_LOST);
}

static void
a_text_chooses_the_row(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(failpoint_arm("self_test:lost:2@bad", &e), RC_OK);
	assert_int_equal(FAILPOINT_TEXT(self_test, "a bad row", 9), RC_OK);
	assert_int_equal(FAILPOINT_TEXT(self_test, "a good row", 10), RC_OK);
	assert_int_equal(FAILPOINT_TEXT(self_test, "a bad row", 4), RC_OK);
	assert_int_equal(FAILPOINT_TEXT(self_test, NULL, 0), RC_OK);
	assert_int_equal(FAILPOINT_TEXT(self_test, "bad", 3), RC_LOST);
	assert_int_equal(failpoint_arm("self_test:lost", &e), RC_OK);
	assert_int_equal(FAILPOINT_TEXT(self_test, NULL, 0), RC_LOST);
}

static void
stall_waits(void **state)
{
	struct err e;
	int64_t before = clock_mono_ms();

	(void)state;
	assert_int_equal(failpoint_arm("self_test:stall=30:1", &e), RC_OK);
	assert_int_equal(FAILPOINT(self_test), RC_OK);
	assert_true(clock_mono_ms() - before >= 29);
}

static int
status_of_child_with(const char *spec)
{
	struct err e;
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		signal(SIGABRT, SIG_DFL);
		if (failpoint_arm(spec, &e) != RC_OK)
			_exit(1);
		(void)FAILPOINT(self_test);
		_exit(2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void
kill_and_abort_end_the_process_at_once(void **state)
{
	int status = status_of_child_with("self_test:kill");

	(void)state;
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	status = status_of_child_with("self_test:abort:1");
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	status = status_of_child_with("self_test:kill:2");
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 2);
}

static void
wrong_specs_are_refused_with_a_sentence(void **state)
{
	static const struct {
		const char *spec;
		const char *says;
	} cases[] = {
		{ "nowhere:kill", "\"nowhere\" is no fault point" },
		{ "self_test", "needs an action" },
		{ "self_test:explode", "needs an action" },
		{ "self_test:stall=", "needs an action" },
		{ "self_test:kill:0", "\"0\" is no count" },
		{ "self_test:kill:x", "\"x\" is no count" },
		{ "self_test:lost,nowhere:lost", "\"nowhere\" is no fault point" },
	};
	char longer[2000];
	struct err e;
	size_t i;

	(void)state;
	for (i = 0; i < NELEM(cases); i++) {
		assert_int_equal(failpoint_arm(cases[i].spec, &e), RC_CONFIG);
		if (strstr(e.text, cases[i].says) == NULL)
			fail_msg("%s: %s", cases[i].spec, e.text);
		assert_int_equal(FAILPOINT(self_test), RC_OK);
	}
	memset(longer, 'a', sizeof longer);
	longer[sizeof longer - 1] = '\0';
	assert_int_equal(failpoint_arm(longer, &e), RC_CONFIG);
}

static void
the_names_are_listed(void **state)
{
	const char *const *name;
	int count = 0;

	(void)state;
	for (name = failpoint_names(); *name != NULL; name++)
		count++;
	assert_int_equal(count, FP_COUNT);
	assert_int_equal(FAILPOINTS_BUILT, 1);
}
#else
static void
the_normal_build_has_none(void **state)
{
	(void)state;
	assert_int_equal(FAILPOINTS_BUILT, 0);
	assert_int_equal(FAILPOINT(self_test), RC_OK);
}
#endif

int
main(void)
{
	const struct CMUnitTest tests[] = {
#ifdef ENABLE_FAILPOINTS
		cmocka_unit_test(each_class_comes_back),
		cmocka_unit_test(only_the_nth_hit_acts),
		cmocka_unit_test(a_text_chooses_the_row),
		cmocka_unit_test(stall_waits),
		cmocka_unit_test(kill_and_abort_end_the_process_at_once),
		cmocka_unit_test(wrong_specs_are_refused_with_a_sentence),
		cmocka_unit_test(the_names_are_listed),
#else
		cmocka_unit_test(the_normal_build_has_none),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
