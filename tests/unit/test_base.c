/* The small ones of the base: errors, clock, numbers, buffers, arenas, embedded SQL. */
#include "config.h"
#include <stdlib.h>
#include <string.h>
#include "tests/unit/unit.h"
#include "agent/arena.h"
#include "agent/buf.h"
#include "agent/clock.h"
#include "agent/err.h"
#include "agent/stats.h"
#include "schema/sql_source.h"

static void
an_error_record_tells_class_cause_and_place(void **state)
{
	static const char *const names[] = { "OK",   "AGAIN",  "LOST",	"UNSURE",
					     "DATA", "CONFIG", "NOMEM", "BUG" };
	struct err e;
	char longer[400];
	size_t i;

	(void)state;
	memset(&e, 0x55, sizeof e);
	assert_int_equal(err_set(&e, RC_LOST, 2013, "mysql.exec", "gone at %s", "db1"), RC_LOST);
	assert_int_equal(e.rc, RC_LOST);
	assert_int_equal(e.native, 2013);
	assert_string_equal(e.sqlstate, "");
	assert_string_equal(e.where, "mysql.exec");
	assert_string_equal(e.text, "gone at db1");
	assert_int_equal(err_set(NULL, RC_DATA, 0, "x", "y"), RC_DATA);
	memset(longer, 'a', sizeof longer);
	longer[sizeof longer - 1] = '\0';
	err_set(&e, RC_BUG, 0, "x", "%s", longer);
	assert_int_equal(strlen(e.text), sizeof e.text - 1);
	for (i = 0; i < NELEM(names); i++)
		assert_string_equal(rc_name((enum rc)i), names[i]);
	assert_string_equal(rc_name((enum rc)99), "?");
}

static void
clocks_go_forward_and_can_be_faked(void **state)
{
	char text[32];
	int64_t before = clock_mono_ms();

	(void)state;
	assert_true(before > 0);
	assert_true(clock_boot_ms() >= before);
	clock_fake_set(5000);
	assert_int_equal(clock_mono_ms(), 5000);
	assert_int_equal(clock_boot_ms(), 5000);
	assert_int_equal(clock_mono_us(), 5000000);
	clock_fake_set(-1);
	assert_true(clock_mono_ms() >= before);
	assert_int_equal(strlen(clock_wall_text(text, sizeof text)), 24);
	assert_int_equal(text[10], 'T');
	assert_int_equal(text[19], '.');
	assert_int_equal(text[23], 'Z');
}

static void
sum_up(const struct stat_info *info, int64_t value, void *ctx)
{
	int64_t *sum = ctx;

	assert_true(strlen(info->name) > 0 && strlen(info->unit) > 0 && strlen(info->sentence) > 0);
	*sum += value;
}

static void
numbers_count_and_are_described(void **state)
{
	int64_t sum = 0;

	(void)state;
	stats_reset();
	stat_inc(STAT_log_write_errors);
	stat_add(STAT_log_write_errors, 4);
	stat_set(STAT_log_lines_suppressed, 7);
	stat_dec(STAT_log_lines_suppressed);
	assert_int_equal(stat_get(STAT_log_write_errors), 5);
	stats_each(sum_up, &sum);
	assert_int_equal(sum, 11);
	assert_string_equal(stat_info(STAT_log_write_errors)->name, "log_write_errors");
	stats_reset();
	assert_int_equal(stat_get(STAT_log_write_errors), 0);
}

static void
a_buffer_grows_up_to_its_maximum_and_no_further(void **state)
{
	struct buf b;
	size_t i;
	size_t n;
	char *text;

	(void)state;
	buf_init(&b, 1000);
	assert_string_equal(buf_text(&b), "");
	for (i = 0; i < 100; i++)
		assert_int_equal(buf_addf(&b, "%04u,", (unsigned)i), i < 200 ? RC_OK : RC_DATA);
	assert_int_equal(b.n, 500);
	assert_int_equal(buf_add(&b, NULL, 0), RC_OK);
	buf_drop(&b, 495);
	assert_string_equal(buf_text(&b), "0099,");
	for (i = 0; i < 995; i++)
		assert_int_equal(buf_addc(&b, 'x'), RC_OK);
	assert_true(b.cap <= 1001);
	assert_int_equal(buf_addc(&b, 'y'), RC_DATA);
	assert_int_equal(b.n, 1000);
	buf_drop(&b, 900);
	assert_int_equal(buf_addz(&b, "z"), RC_DATA); /* the failure stuck */
	assert_int_equal(buf_rc(&b), RC_DATA);
	assert_null(buf_take(&b, &n));
	buf_clear(&b);
	assert_int_equal(buf_addz(&b, "once more"), RC_OK);
	text = buf_take(&b, &n);
	assert_non_null(text);
	assert_int_equal(n, 9);
	assert_string_equal(text, "once more");
	free(text);
	text = buf_take(&b, NULL);
	assert_string_equal(text, "");
	free(text);
	buf_drop(&b, 3);
	buf_addz(&b, "secret");
	buf_wipe(&b);
	assert_int_equal(b.n, 0);
	buf_free(&b);
	buf_init(&b, SIZE_MAX);
	assert_int_equal(buf_addz(&b, "no cap"), RC_OK);
	buf_free(&b);
}

static void
an_arena_gives_aligned_memory_up_to_its_cap(void **state)
{
	struct arena *a = arena_new(200000);
	int *zeros;
	size_t i;

	(void)state;
	assert_non_null(a);
	for (i = 1; i < 300; i++) {
		char *p = arena_alloc(a, i);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
		memset(p, 1, i);
	}
	assert_string_equal(arena_strndup(a, "hello, world", 5), "hello");
	assert_string_equal(arena_strdup(a, "whole"), "whole");
	assert_string_equal(arena_strndup(a, NULL, 0), "");
	zeros = arena_calloc(a, 100, sizeof *zeros);
	assert_non_null(zeros);
	for (i = 0; i < 100; i++)
		assert_int_equal(zeros[i], 0);
	assert_null(arena_calloc(a, SIZE_MAX / 2, 4));
	assert_null(arena_alloc(a, SIZE_MAX));
	assert_null(arena_strndup(a, "", SIZE_MAX));
	assert_non_null(arena_alloc(a, 100000)); /* larger than any chunk */
	assert_null(arena_alloc(a, 100000));
	assert_true(arena_used(a) <= 200000);
	assert_non_null(arena_alloc(a, 0));
	arena_free(a);
	arena_free(NULL);
}

static void
embedded_sql_is_found_by_dialect_and_name(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sql_source_count; i++) {
		const struct sql_source *s = &sql_sources[i];

		assert_ptr_equal(sql_source_find(s->dialect, s->name), s);
		assert_true(s->is_script || strlen(s->text) > 0);
	}
	assert_null(sql_source_find("mysql", "no such statement"));
	assert_null(sql_source_find("", ""));
	assert_null(sql_source_find("zzz", "claim"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_error_record_tells_class_cause_and_place),
		cmocka_unit_test(clocks_go_forward_and_can_be_faked),
		cmocka_unit_test(numbers_count_and_are_described),
		cmocka_unit_test(a_buffer_grows_up_to_its_maximum_and_no_further),
		cmocka_unit_test(an_arena_gives_aligned_memory_up_to_its_cap),
		cmocka_unit_test(embedded_sql_is_found_by_dialect_and_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
