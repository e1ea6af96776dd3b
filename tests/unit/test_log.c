#include "config.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tests/unit/unit.h"
#include "agent/clock.h"
#include "agent/log.h"
#include "agent/stats.h"

static char dir[64];
static char path[96];
static char text[65536];

static const char *
slurp(const char *name)
{
	int fd = open(name, O_RDONLY);
	ssize_t n;

	assert_true(fd >= 0);
	n = read(fd, text, sizeof text - 1);
	assert_true(n >= 0);
	text[n] = '\0';
	close(fd);
	return text;
}

static int
lines_in(const char *s)
{
	int n = 0;

	for (; *s != '\0'; s++)
		n += *s == '\n';
	return n;
}

static int
fresh(void **state)
{
	struct err e;

	(void)state;
	unlink(path);
	stats_reset();
	if (log_open(LOG_SINK_FILE, path, LOG_LEVEL_INFO, &e) != RC_OK)
		return 1;
	return 0;
}

static int
closed(void **state)
{
	(void)state;
	log_close();
	clock_fake_set(-1);
	return 0;
}

static void
a_line_has_stamp_level_thread_event_and_facts(void **state)
{
	char last[256];
	struct stat st;

	(void)state;
	log_event(LOG_LEVEL_INFO, "channel.up", "channel=%s rate=%d", "infobip", 400);
	log_event(LOG_LEVEL_DEBUG, "not.seen", "x=1");
	log_event(LOG_LEVEL_WARN, "bare", "%s", "");
	slurp(path);
	assert_int_equal(lines_in(text), 2);
	assert_int_equal(text[4], '-');
	assert_int_equal(text[23], 'Z');
	assert_non_null(strstr(text, "Z INFO test_log channel.up channel=infobip rate=400\n"));
	assert_non_null(strstr(text, "Z WARN test_log bare\n"));
	log_last_error(last, sizeof last);
	assert_non_null(strstr(last, "Z bare"));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777 & ~0640u, 0);
	log_set_level(LOG_LEVEL_DEBUG);
	assert_int_equal(log_get_level(), LOG_LEVEL_DEBUG);
	log_event(LOG_LEVEL_DEBUG, "seen", "x=1");
	assert_non_null(strstr(slurp(path), "DEBUG test_log seen x=1\n"));
}

static void
an_error_is_told_with_all_it_knows(void **state)
{
	struct err e;

	(void)state;
	err_set(&e, RC_CONFIG, 1045, "mysql.open", "login refused for user %s", "shop");
	log_err(LOG_LEVEL_ERROR, "db.down", &e, "lane=%s", "claim");
	snprintf(e.sqlstate, sizeof e.sqlstate, "28000");
	log_err(LOG_LEVEL_ERROR, "db.down", &e, "%s", "");
	slurp(path);
	assert_non_null(strstr(
		text, "ERROR test_log db.down lane=claim class=CONFIG native=1045 where=mysql.open "
		      "text=\"login refused for user shop\"\n"));
	assert_non_null(
		strstr(text, "db.down class=CONFIG native=1045 sqlstate=28000 where=mysql.open"));
}

static void
nothing_in_a_value_can_end_the_line_or_drive_a_terminal(void **state)
{
	char longer[3000];

	(void)state;
	log_event(LOG_LEVEL_WARN, "evil", "a=%s",
		  "x\nERROR faked\r\t\x1b[31m\x7f\xff\xc2\x9b\xe2\x80\xa8 \xed\x95\x9c");
	slurp(path);
	assert_int_equal(lines_in(text), 1);
	assert_non_null(
		strstr(text, "a=x\\nERROR faked\\r\\t\\x1b[31m\\x7f\\xff\\xc2\\x9b\\xe2\\x80\\xa8 "
			     "\xed\x95\x9c\n"));
	memset(longer, '\x01', sizeof longer);
	longer[sizeof longer - 1] = '\0';
	log_event(LOG_LEVEL_WARN, "long", "%s", longer);
	assert_int_equal(lines_in(slurp(path)), 2);
	assert_int_equal(text[strlen(text) - 1], '\n');
}

static void
the_same_line_is_written_once_a_minute_with_a_count(void **state)
{
	int i;

	(void)state;
	clock_fake_set(1000000);
	for (i = 0; i < 10; i++)
		log_event(LOG_LEVEL_WARN, "storm", "x=1");
	log_event(LOG_LEVEL_WARN, "storm", "x=2");
	assert_int_equal(lines_in(slurp(path)), 2);
	assert_int_equal(stat_get(STAT_log_lines_suppressed), 9);
	clock_fake_set(1059999);
	log_event(LOG_LEVEL_WARN, "storm", "x=1");
	assert_int_equal(lines_in(slurp(path)), 2);
	clock_fake_set(1060000);
	log_event(LOG_LEVEL_WARN, "storm", "x=1");
	assert_int_equal(lines_in(slurp(path)), 3);
	assert_non_null(strstr(text, "storm x=1 repeated=10\n"));
	log_event(LOG_LEVEL_WARN, "storm", "x=1");
	log_event(LOG_LEVEL_WARN, "storm", "x=1");
	/* The storm is over; another event later brings its number out. */
	clock_fake_set(1200000);
	log_event(LOG_LEVEL_INFO, "calm", "y=1");
	assert_int_equal(lines_in(slurp(path)), 5);
	assert_non_null(strstr(text, "WARN test_log storm x=1 repeated=2\n"));
}

static void
more_different_lines_than_slots_lose_no_count(void **state)
{
	int i;

	(void)state;
	clock_fake_set(5000000);
	log_event(LOG_LEVEL_WARN, "first", "a=1");
	log_event(LOG_LEVEL_WARN, "first", "a=1");
	for (i = 0; i < 200; i++) {
		clock_fake_set(5000001 + i);
		log_event(LOG_LEVEL_WARN, "many", "i=%d", i);
	}
	assert_non_null(strstr(slurp(path), "first a=1 repeated=1\n"));
	assert_int_equal(lines_in(text), 202);
}

static void
counts_held_back_are_told_at_close(void **state)
{
	(void)state;
	log_event(LOG_LEVEL_WARN, "twice", "a=1");
	log_event(LOG_LEVEL_WARN, "twice", "a=1");
	log_close();
	assert_non_null(strstr(slurp(path), "twice a=1 repeated=1\n"));
}

static void
reopen_follows_logrotate_and_keeps_the_old_file_when_it_cannot(void **state)
{
	char moved[128];
	struct err e;

	(void)state;
	log_event(LOG_LEVEL_INFO, "one", "n=1");
	snprintf(moved, sizeof moved, "%s.1", path);
	assert_int_equal(rename(path, moved), 0);
	log_event(LOG_LEVEL_INFO, "two", "n=2");
	assert_int_equal(log_reopen(&e), RC_OK);
	log_event(LOG_LEVEL_INFO, "three", "n=3");
	assert_int_equal(lines_in(slurp(moved)), 2);
	assert_int_equal(lines_in(slurp(path)), 1);
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0); /* in the way, also of root */
	assert_int_equal(log_reopen(&e), RC_CONFIG);
	assert_non_null(strstr(e.text, path));
	log_event(LOG_LEVEL_INFO, "four", "n=4");
	rmdir(path);
	unlink(moved);
	assert_int_equal(log_open(LOG_SINK_FILE, "/nonexistent/x.log", LOG_LEVEL_INFO, &e),
			 RC_CONFIG);
	assert_non_null(strstr(e.text, "/nonexistent/x.log"));
}

static void
the_journal_gets_priorities_and_stderr_gets_stamps(void **state)
{
	struct err e;
	int saved = dup(STDERR_FILENO);
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_TRUNC, 0600);

	(void)state;
	assert_true(saved >= 0 && fd >= 0);
	fflush(stderr);
	dup2(fd, STDERR_FILENO);
	assert_int_equal(log_open(LOG_SINK_JOURNAL, NULL, LOG_LEVEL_DEBUG, &e), RC_OK);
	log_event(LOG_LEVEL_ERROR, "j", "n=%d", 3);
	log_event(LOG_LEVEL_WARN, "j", "n=%d", 4);
	log_event(LOG_LEVEL_INFO, "j", "n=%d", 6);
	log_event(LOG_LEVEL_DEBUG, "j", "n=%d", 7);
	log_close();
	log_event(LOG_LEVEL_INFO, "closed", "n=1"); /* after close only what matters */
	log_event(LOG_LEVEL_WARN, "closed", "n=2");
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(fd);
	slurp(path);
	assert_int_equal(strncmp(text,
				 "<3>test_log j n=3\n<4>test_log j n=4\n<6>test_log j "
				 "n=6\n<7>test_log j n=7\n",
				 72),
			 0);
	assert_null(strstr(text, "n=1"));
	assert_non_null(strstr(text, "Z WARN test_log closed n=2\n"));
}

static void
a_sink_that_refuses_is_counted(void **state)
{
	struct err e;

	(void)state;
	if (access("/dev/full", W_OK) != 0)
		skip();
	assert_int_equal(log_open(LOG_SINK_FILE, "/dev/full", LOG_LEVEL_INFO, &e), RC_OK);
	log_event(LOG_LEVEL_WARN, "lost", "n=1");
	assert_int_equal(stat_get(STAT_log_write_errors), 1);
}

static void
syslog_takes_lines(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(log_open(LOG_SINK_SYSLOG, NULL, LOG_LEVEL_INFO, &e), RC_OK);
	log_event(LOG_LEVEL_INFO, "sys", "n=1");
	assert_int_equal(log_reopen(&e), RC_OK);
}

static void
numbers_are_masked(void **state)
{
	static const struct {
		const char *number;
		const char *masked;
	} cases[] = {
		{ "01012345678", "010****5678" },
		{ "010-1234-5678", "010******5678" },
		{ "+821012345678", "+82******5678" },
		{ "15881234", "********" },
		{ "", "" },
		{ "kim.minsu@example.com", "*********************" },
	};
	char buf[64];
	enum log_level level;
	size_t i;

	(void)state;
	for (i = 0; i < NELEM(cases); i++)
		assert_string_equal(mask_number(buf, sizeof buf, cases[i].number), cases[i].masked);
	assert_string_equal(mask_number(buf, 5, "01012345678"), "010*");
	assert_true(log_level_parse("debug", &level));
	assert_int_equal(level, LOG_LEVEL_DEBUG);
	assert_true(log_level_parse("error", &level));
	assert_false(log_level_parse("loud", &level));
}

static void
quotes_of_an_argument_do_not_end_its_value(void **state)
{
	struct err e;

	(void)state;
	log_event(LOG_LEVEL_INFO, "quote.event", "a=1 text=\"%s\" b=%s", "say \"hi\" b=2 \\ \xff",
		  "x\"y");
	assert_non_null(strstr(slurp(path),
			       "quote.event a=1 text=\"say \\\"hi\\\" b=2 \\\\ \\xff\" b=x\"y\n"));
	(void)err_set(&e, RC_DATA, 7, "here", "agent.id = \"a b\"");
	log_err(LOG_LEVEL_ERROR, "quote.err", &e, "n=\"%d\"", 3);
	assert_non_null(
		strstr(slurp(path),
		       "n=\"3\" class=DATA native=7 where=here text=\"agent.id = \\\"a b\\\"\"\n"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_line_has_stamp_level_thread_event_and_facts,
						fresh, closed),
		cmocka_unit_test_setup_teardown(quotes_of_an_argument_do_not_end_its_value, fresh,
						closed),
		cmocka_unit_test_setup_teardown(an_error_is_told_with_all_it_knows, fresh, closed),
		cmocka_unit_test_setup_teardown(
			nothing_in_a_value_can_end_the_line_or_drive_a_terminal, fresh, closed),
		cmocka_unit_test_setup_teardown(the_same_line_is_written_once_a_minute_with_a_count,
						fresh, closed),
		cmocka_unit_test_setup_teardown(more_different_lines_than_slots_lose_no_count,
						fresh, closed),
		cmocka_unit_test_setup_teardown(counts_held_back_are_told_at_close, fresh, closed),
		cmocka_unit_test_setup_teardown(
			reopen_follows_logrotate_and_keeps_the_old_file_when_it_cannot, fresh,
			closed),
		cmocka_unit_test_setup_teardown(the_journal_gets_priorities_and_stderr_gets_stamps,
						fresh, closed),
		cmocka_unit_test_setup_teardown(a_sink_that_refuses_is_counted, fresh, closed),
		cmocka_unit_test_setup_teardown(syslog_takes_lines, fresh, closed),
		cmocka_unit_test_setup_teardown(numbers_are_masked, fresh, closed),
	};
	int failed;

	snprintf(dir, sizeof dir, "/tmp/mtrelay-log-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return 99;
	snprintf(path, sizeof path, "%s/log", dir);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	rmdir(dir);
	return failed;
}
