/* test_journal.c - marks survive what they must survive, and nothing is ever invented. */
#include "config.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "agent/journal.h"
#include "agent/log.h"
#include "tests/unit/unit.h"

#define SEGMENT 65536

static char dir[64];

static int
make_dir(void **state)
{
	(void)state;
	snprintf(dir, sizeof dir, "/tmp/test_journal.XXXXXX");
	return mkdtemp(dir) == NULL;
}

static int
drop_dir(void **state)
{
	char path[400];
	struct dirent *d;
	DIR *h = opendir(dir);

	(void)state;
	while (h != NULL && (d = readdir(h)) != NULL) {
		snprintf(path, sizeof path, "%s/%s", dir, d->d_name);
		unlink(path);
	}
	if (h != NULL)
		closedir(h);
	return rmdir(dir);
}

static struct journal *
open_journal(struct journal_info *info)
{
	struct journal *j = NULL;
	struct err e = { .text = "" };

	if (journal_open(dir, SEGMENT, SEGMENT * 4, &j, info, &e) != RC_OK)
		fail_msg("journal_open: %s", e.text);
	return j;
}

static struct journal_mark
mark(int64_t id, int32_t try_no)
{
	struct journal_mark m = {
		.msg_id = id, .fence = id * 10, .leg = 1, .generation = 2, .try_no = try_no
	};

	snprintf(m.client_key, sizeof m.client_key, "%030lld", (long long)id);
	snprintf(m.channel, sizeof m.channel, "infobip");
	return m;
}

static struct outcome
accepted(void)
{
	struct outcome o = { .kind = OUT_ACCEPTED, .parts = 3, .duplicate = true };

	snprintf(o.provider_id, sizeof o.provider_id, "provider-7");
	snprintf(o.provider_code, sizeof o.provider_code, "26");
	return o;
}

struct seen {
	size_t n, answers;
	struct journal_mark last;
	struct outcome answer;
	char ids[20000]; /* of that answer */
};

static void
see(void *arg, const struct journal_mark *m, const struct outcome *o)
{
	struct seen *s = arg;

	s->n++;
	s->last = *m;
	if (o != NULL) {
		s->answers++;
		s->answer = *o;
		snprintf(s->ids, sizeof s->ids, "%s", o->more_ids != NULL ? o->more_ids : "");
	}
}

struct seen_reports {
	size_t n;
	struct report last;
	uint64_t number;
};

static void
see_report(void *arg, const struct report *r, uint64_t number)
{
	struct seen_reports *s = arg;

	s->n++;
	s->last = *r;
	s->number = number;
}

static void
count_mark(void *arg, const struct journal_mark *m)
{
	(void)m;
	++*(size_t *)arg;
}

static void
everything_written_is_read_back_by_the_next_start(void **state)
{
	struct journal_info info, again;
	struct journal *j = open_journal(&info);
	struct journal_mark m[3] = { mark(1, 1), mark(2, 5), mark(3, 1) };
	struct outcome o = accepted();
	struct report r = { .class = REPORT_FAIL, .parts = 2, .duplicate = true }, out;
	struct seen s = { 0 };
	struct seen_reports sr = { 0 };
	uint64_t number;
	struct err e;

	(void)state;
	snprintf(r.client_key, sizeof r.client_key, "%s", m[0].client_key);
	snprintf(r.code, sizeof r.code, "4001");
	snprintf(r.done_at, sizeof r.done_at, "2026-11-21 10:00:00.123");
	assert_true(info.is_new);
	assert_int_equal(info.unbroken_since, INT64_MAX);
	assert_int_equal(journal_start(j, 7, &e), RC_OK);
	m[1].is_resend = true;
	assert_int_equal(journal_submit(j, m, 3, &e), RC_OK);
	assert_int_equal(journal_answer(j, &m[1], &o, 1, &e), RC_OK);
	assert_int_equal(journal_settled(j, &m[2], 1, &e), RC_OK);
	assert_int_equal(journal_report(j, &r, &number, 1, &e), RC_OK);
	journal_close(j);

	j = open_journal(&again);
	assert_string_equal(info.id, again.id);
	assert_true(again.same_boot);
	assert_false(again.is_broken);
	assert_int_equal(again.last_incarnation, 7);
	assert_int_equal(again.unbroken_since, 7);
	assert_int_equal(again.live, 2);
	assert_true(journal_knows(j, 1, 1, 1));
	assert_false(journal_knows(j, 1, 1, 2));
	assert_false(journal_knows(j, 3, 1, 1));
	assert_int_equal(journal_settled(j, &m[0], 1, &e), RC_OK);
	journal_each(j, see, &s);
	assert_int_equal(s.n, 1);
	assert_int_equal(s.answers, 1);
	assert_true(s.last.msg_id == 2 && s.last.fence == 20 && s.last.leg == 1 &&
		    s.last.generation == 2 && s.last.try_no == 5 && s.last.is_resend);
	assert_string_equal(s.last.client_key, m[1].client_key);
	assert_string_equal(s.last.channel, "infobip");
	assert_string_equal(s.answer.provider_id, "provider-7");
	assert_true(s.answer.duplicate);
	assert_int_equal(s.answer.parts, 3);
	journal_each_report(j, see_report, &sr);
	assert_int_equal(sr.n, 1);
	assert_int_equal(sr.number, number);
	out = sr.last;
	assert_string_equal(out.code, "4001");
	assert_string_equal(out.done_at, r.done_at);
	assert_int_equal(out.class, REPORT_FAIL);
	assert_int_equal(journal_report_settled(j, &number, 1, &e), RC_OK);
	journal_close(j);
	j = open_journal(&again);
	assert_int_equal(again.reports, 0);
	assert_int_equal(again.live, 1);
	journal_close(j);
}

static const char *
many_ids(unsigned parts, unsigned length)
{
	static char ids[20000];
	size_t n = 0;
	unsigned i;

	ids[0] = '\0';
	for (i = 2; i <= parts; i++)
		n += (size_t)snprintf(ids + n, sizeof ids - n, "%s%0*u", i == 2 ? "" : " ",
				      (int)length, i);
	return ids;
}

static void
the_ids_of_parts_come_back_with_their_answer(void **state)
{
	static const struct {
		unsigned parts, length;
	} sizes[] = { { 2, 1 }, { 10, 36 }, { 12, 36 }, { 255, 65 } };
	struct journal_info info;
	struct journal *j;
	struct outcome o = accepted();
	struct err e;
	size_t i, turn;

	(void)state;
	for (i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		struct journal_mark m = mark((int64_t)i + 1, 1);
		const char *ids = many_ids(sizes[i].parts, sizes[i].length);
		static struct seen s;

		j = open_journal(&info);
		assert_int_equal(journal_start(j, 1, &e), RC_OK);
		assert_int_equal(journal_submit(j, &m, 1, &e), RC_OK);
		o.more_ids = ids;
		assert_int_equal(journal_answer(j, &m, &o, 1, &e), RC_OK);
		/* As it was written, and as a new segment repeats it. */
		for (turn = 0; turn < 3; turn++) {
			journal_close(j);
			j = open_journal(&info);
			assert_false(info.is_broken);
			memset(&s, 0, sizeof s);
			journal_each(j, see, &s);
			assert_int_equal(s.answers, 1);
			assert_string_equal(s.ids, ids);
			assert_string_equal(s.answer.provider_id, "provider-7");
		}
		assert_int_equal(journal_settled(j, &m, 1, &e), RC_OK);
		journal_close(j);
	}
}

static void
a_second_process_is_refused_with_the_number_of_the_first(void **state)
{
	struct journal_info info;
	struct journal *j = open_journal(&info), *other = NULL;
	struct err e;
	char pid[24];

	(void)state;
	snprintf(pid, sizeof pid, "process %ld", (long)getpid());
	assert_int_equal(journal_open(dir, SEGMENT, SEGMENT, &other, &info, &e), RC_CONFIG);
	assert_null(other);
	assert_non_null(strstr(e.text, pid));
	journal_close(j);
}

static void
live_marks_move_to_the_next_segment_and_settled_ones_stay_readable(void **state)
{
	struct journal_info info;
	struct journal *j = open_journal(&info);
	struct journal_mark keep = mark(999999, 1), m;
	size_t scanned = 0;
	bool whole = false;
	struct err e;
	int64_t i;

	(void)state;
	assert_int_equal(journal_start(j, 1, &e), RC_OK);
	assert_int_equal(journal_submit(j, &keep, 1, &e), RC_OK);
	for (i = 1; i <= 1000; i++) {
		m = mark(i, 1);
		assert_int_equal(journal_submit(j, &m, 1, &e), RC_OK);
		assert_int_equal(journal_settled(j, &m, 1, &e), RC_OK);
	}
	assert_int_equal(journal_live(j), 1);
	assert_int_equal(journal_scan(j, count_mark, &scanned, &whole, &e), RC_OK);
	assert_true(scanned >= 1001);
	journal_close(j);
	j = open_journal(&info);
	assert_int_equal(info.live, 1);
	assert_int_equal(info.last_incarnation, 1);
	assert_true(journal_knows(j, 999999, 1, 1));
	journal_close(j);
}

static size_t
newest(char *path, size_t size, unsigned char *data, size_t max)
{
	struct dirent *d;
	char best[32] = "";
	DIR *h = opendir(dir);
	ssize_t n;
	int fd;

	while ((d = readdir(h)) != NULL)
		if (strncmp(d->d_name, "journal.", 8) == 0 && strcmp(d->d_name, best) > 0)
			snprintf(best, sizeof best, "%.31s", d->d_name);
	closedir(h);
	snprintf(path, size, "%s/%s", dir, best);
	fd = open(path, O_RDONLY);
	n = read(fd, data, max);
	close(fd);
	return n < 0 ? 0 : (size_t)n;
}

static void
put(const char *path, const unsigned char *data, size_t n)
{
	int fd = open(path, O_WRONLY | O_TRUNC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, n), (ssize_t)n);
	close(fd);
}

/* Reopens with the given content in place of the newest segment; each look begins on the same
 * folder. */
static void
look(const char *path, const unsigned char *data, size_t n, struct journal_info *info,
     struct seen *s)
{
	struct journal *j;
	char made[200];
	unsigned long number;

	put(path, data, n);
	memset(s, 0, sizeof *s);
	j = open_journal(info);
	journal_each(j, see, s);
	journal_close(j);
	/* the reopening has made a newer segment: away with it */
	number = strtoul(path + strlen(path) - 8, NULL, 10) + 1;
	snprintf(made, sizeof made, "%s/journal.%08lu", dir, number);
	unlink(made);
}

static void
cut_or_flipped_anywhere_it_never_invents_and_never_trusts(void **state)
{
	static unsigned char data[SEGMENT], bad[SEGMENT];
	struct journal_info info;
	struct journal *j = open_journal(&info);
	struct journal_mark m[4] = { mark(1, 1), mark(2, 1), mark(3, 1), mark(4, 1) };
	struct seen s;
	struct err e;
	char path[160];
	size_t n, used, i, before = 0;

	(void)state;
	assert_int_equal(journal_start(j, 3, &e), RC_OK);
	for (i = 0; i < 4; i++)
		assert_int_equal(journal_submit(j, &m[i], 1, &e), RC_OK);
	journal_close(j);
	n = newest(path, sizeof path, data, sizeof data);
	for (used = n; used > 0 && data[used - 1] == 0; used--)
		;
	used++; /* the last byte of a mark may be a zero */

	/* a kill in the middle of a write leaves a prefix and zeroes: whole marks stay, the rest
	 * was never written */
	for (i = 96; i <= used; i++) {
		memset(bad, 0, n);
		memcpy(bad, data, i);
		look(path, bad, n, &info, &s);
		assert_false(info.is_broken);
		assert_true(s.n >= before && s.n <= 4);
		before = s.n;
	}
	assert_int_equal(before, 4);

	/* one flipped bit: either damage is seen, or only the last mark is gone as if it had been
	 * cut short */
	for (i = 0; i < used; i++) {
		memcpy(bad, data, n);
		bad[i] ^= 0x10;
		look(path, bad, n, &info, &s);
		assert_true(s.n <= 4);
		if (!info.is_broken)
			assert_true(s.n >= 3);
		if (info.is_broken)
			assert_int_equal(info.unbroken_since, INT64_MAX);
	}
}

static void
an_answer_cut_short_has_all_of_its_ids_or_is_none(void **state)
{
	static unsigned char data[SEGMENT], bad[SEGMENT];
	static struct seen s;
	struct journal_info info;
	struct journal *j = open_journal(&info);
	struct journal_mark m = mark(1, 1);
	struct outcome o = accepted();
	struct err e;
	char path[160];
	size_t n, used, i, answered = 0;

	(void)state;
	o.more_ids = many_ids(30, 36);
	assert_int_equal(journal_start(j, 3, &e), RC_OK);
	assert_int_equal(journal_submit(j, &m, 1, &e), RC_OK);
	assert_int_equal(journal_answer(j, &m, &o, 1, &e), RC_OK);
	journal_close(j);
	n = newest(path, sizeof path, data, sizeof data);
	for (used = n; used > 0 && data[used - 1] == 0; used--)
		;
	for (i = 96; i <= used + 4 && i <= n; i++) {
		memset(bad, 0, n);
		memcpy(bad, data, i);
		look(path, bad, n, &info, &s);
		assert_false(info.is_broken);
		answered += s.answers;
		if (s.answers > 0)
			assert_string_equal(s.ids, o.more_ids);
	}
	assert_true(answered > 0 && answered < 12);
	/* Bits that flip are seen, or end what is read: other ids never come out. */
	for (i = 96; i < used; i++) {
		memcpy(bad, data, n);
		bad[i] ^= 0x10;
		look(path, bad, n, &info, &s);
		if (s.answers > 0)
			assert_string_equal(s.ids, o.more_ids);
	}
}

static void
a_full_folder_refuses_new_attempts_and_still_takes_answers(void **state)
{
	struct journal_info info;
	struct journal *j;
	struct journal_mark m;
	struct outcome o = accepted();
	struct err e;
	int64_t i, taken = 0;

	(void)state;
	j = open_journal(&info);
	assert_int_equal(journal_start(j, 1, &e), RC_OK);
	/* without the right to make files a new segment cannot be made: the same as a full disk,
	 * unless root ignores it */
	if (geteuid() == 0) {
		/* for root: a folder where the new segment should go */
		char path[100];

		snprintf(path, sizeof path, "%s/journal.new", dir);
		assert_int_equal(mkdir(path, 0700), 0);
	} else {
		assert_int_equal(chmod(dir, 0500), 0);
	}
	for (i = 1; i <= 1000; i++) {
		m = mark(i, 1);
		if (journal_submit(j, &m, 1, &e) != RC_OK)
			break;
		taken++;
	}
	assert_true(taken > 10 && taken < 1000);
	for (i = 1; i <= taken; i++) {
		static struct seen s;

		m = mark(i, 1);
		/* Ids of parts have no room of their own: they are left out before the answer is.
		 */
		o.more_ids = i == 1 ? many_ids(255, 65) : NULL;
		assert_int_equal(journal_answer(j, &m, &o, 1, &e), RC_OK);
		if (i == 1) {
			journal_each(j, see, &s);
			assert_int_equal(s.answers, 1);
			assert_string_equal(s.ids, "");
			assert_int_equal(s.answer.parts, 3);
		}
		assert_int_equal(journal_settled(j, &m, 1, &e), RC_OK);
	}
	assert_int_equal(journal_live(j), 0);
	journal_close(j);
	if (geteuid() == 0) {
		char path[100];

		snprintf(path, sizeof path, "%s/journal.new", dir);
		rmdir(path);
	} else {
		chmod(dir, 0700);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(everything_written_is_read_back_by_the_next_start,
						make_dir, drop_dir),
		cmocka_unit_test_setup_teardown(the_ids_of_parts_come_back_with_their_answer,
						make_dir, drop_dir),
		cmocka_unit_test_setup_teardown(an_answer_cut_short_has_all_of_its_ids_or_is_none,
						make_dir, drop_dir),
		cmocka_unit_test_setup_teardown(
			a_second_process_is_refused_with_the_number_of_the_first, make_dir,
			drop_dir),
		cmocka_unit_test_setup_teardown(
			live_marks_move_to_the_next_segment_and_settled_ones_stay_readable,
			make_dir, drop_dir),
		cmocka_unit_test_setup_teardown(
			cut_or_flipped_anywhere_it_never_invents_and_never_trusts, make_dir,
			drop_dir),
		cmocka_unit_test_setup_teardown(
			a_full_folder_refuses_new_attempts_and_still_takes_answers, make_dir,
			drop_dir),
	};
	struct err e;

	/* damage is logged, and this test makes a lot of it */
	if (log_open(LOG_SINK_FILE, "/dev/null", LOG_LEVEL_ERROR, &e) != RC_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
