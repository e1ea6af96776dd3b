/* The token bucket keeps the rate over any time and never gives more than a tenth of a second's
 * worth at once. */
#include "config.h"
#include "tests/unit/unit.h"

#include <limits.h>
#include "drivers/channel/pace.h"

static void
no_limit_is_no_limit(void **state)
{
	struct pace p;

	(void)state;
	pace_init(&p, 0, 1000, 5);
	assert_int_equal(pace_room(&p, 5), UINT_MAX);
	pace_take(&p, 5, 100000);
	assert_int_equal(pace_room(&p, 5), UINT_MAX);
	assert_int_equal(pace_wait_ms(&p, 5, 1000), 0);
}

static void
the_rate_holds_over_time(void **state)
{
	static const int64_t rates[][2] = {
		{ 1, 1000 }, { 7, 1000 }, { 400, 1000 }, { 100000, 1000 }, { 120, 60000 }
	};

	(void)state;
	for (size_t i = 0; i < NELEM(rates); i++) {
		struct pace p;
		int64_t gone = 0;
		int64_t now;

		pace_init(&p, rates[i][0], rates[i][1], 0);
		for (now = 0; now < 10 * rates[i][1]; now += 3) {
			unsigned room = pace_room(&p, now);

			assert_true(room <= rates[i][0] * 100 / rates[i][1] + 1);
			pace_take(&p, now, room);
			gone += room;
		}
		assert_true(gone >= 10 * rates[i][0] - rates[i][0] / 10 - 1);
		assert_true(gone <= 10 * rates[i][0] + rates[i][0] * 100 / rates[i][1] + 1);
	}
}

static void
waiting_is_told_and_suffices(void **state)
{
	struct pace p;
	int64_t wait;

	(void)state;
	pace_init(&p, 30, 1000, 1000);
	pace_take(&p, 1000, pace_room(&p, 1000));
	wait = pace_wait_ms(&p, 1000, 1);
	assert_true(wait > 0 && wait <= 34);
	assert_int_equal(pace_room(&p, 1000 + wait), 1);
	/* more than ever fits at once: until it is full */
	wait = pace_wait_ms(&p, 1000 + wait, 1000);
	assert_true(wait > 0 && wait <= 100);
	/* a clock that goes back gives nothing */
	assert_int_equal(pace_room(&p, 10), 1);
}

static void
a_request_is_worth_half_a_handful(void **state)
{
	struct pace p;

	(void)state;
	pace_init(&p, 0, 1000, 0);
	assert_int_equal(pace_worth(&p, 500), 1);
	pace_init(&p, 400, 1000, 0);
	assert_int_equal(pace_worth(&p, 500), 20);
	assert_int_equal(pace_worth(&p, 7), 7);
	assert_true(pace_worth(&p, 500) <= pace_room(&p, 0));
	pace_init(&p, 5, 1000, 0);
	assert_int_equal(pace_worth(&p, 500), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_limit_is_no_limit),
		cmocka_unit_test(the_rate_holds_over_time),
		cmocka_unit_test(waiting_is_told_and_suffices),
		cmocka_unit_test(a_request_is_worth_half_a_handful),
	};

	return cmocka_run_group_tests_name("pace", tests, NULL, NULL);
}
