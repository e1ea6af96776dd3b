/* What each outcome makes of a row. Every combination of what pipeline_decide() looks at is matched
 * by exactly one row of the table below. */
#include "config.h"
#include <stdio.h>
#include <string.h>
#include "tests/unit/unit.h"
#include "agent/log.h"
#include "agent/pipeline.h"

#define LAST_GENERATION 60 /* a key has room for 63 */
#define LOOK_MS 30000
#define ASKED_MS 7000
#define KEY "27awh8ag000000000001002cjaftrd"

enum is { NO, YES, ANY };
enum generation { FIRST, BEFORE_LAST, LAST, NOT_LAST, ANY_GENERATION };

/* What is expected of the change, besides its kind. */
enum expected {
	ACCEPT,
	OK_0000,       /* delivered as far as anybody will ever tell */
	FAIL_CODE,     /* the code that the channel gave, else 9099 */
	UNKNOWN_8002,  /* looked at after LOOK_MS */
	RELEASE,       /* nothing left the machine: at once */
	DEFER_ASKED,   /* not before the provider's own time */
	DEFER_BACKOFF, /* a pause that grows with the generation */
};

/* With a resend an older attempt with the same key is open: "no" to this one says nothing about
 * that one, and "duplicate" speaks of that one. */
static const struct {
	enum outcome_kind kind;
	enum is resend, duplicate, ended, final, asked;
	enum generation generation;
	enum expected expected;
	bool new_generation;
} table[] = {
	{ OUT_ACCEPTED, ANY, NO, ANY, NO, ANY, ANY_GENERATION, ACCEPT, false },
	{ OUT_ACCEPTED, ANY, NO, ANY, YES, ANY, ANY_GENERATION, OK_0000, false },
	{ OUT_ACCEPTED, YES, YES, ANY, NO, ANY, ANY_GENERATION, ACCEPT, false },
	{ OUT_ACCEPTED, YES, YES, ANY, YES, ANY, ANY_GENERATION, OK_0000, false },
	{ OUT_ACCEPTED, NO, YES, ANY, ANY, ANY, ANY_GENERATION, UNKNOWN_8002, false },

	{ OUT_REJECTED, NO, ANY, ANY, ANY, ANY, ANY_GENERATION, FAIL_CODE, false },
	{ OUT_REJECTED, YES, ANY, ANY, ANY, ANY, ANY_GENERATION, UNKNOWN_8002, false },

	{ OUT_DEFERRED, NO, ANY, NO, ANY, NO, ANY_GENERATION, RELEASE, false },
	{ OUT_DEFERRED, NO, ANY, NO, ANY, YES, ANY_GENERATION, DEFER_ASKED, false },
	{ OUT_DEFERRED, NO, ANY, YES, ANY, NO, NOT_LAST, DEFER_BACKOFF, true },
	{ OUT_DEFERRED, NO, ANY, YES, ANY, YES, NOT_LAST, DEFER_ASKED, true },
	{ OUT_DEFERRED, NO, ANY, YES, ANY, ANY, LAST, FAIL_CODE, false },
	{ OUT_DEFERRED, YES, ANY, ANY, ANY, ANY, ANY_GENERATION, UNKNOWN_8002, false },

	{ OUT_UNSURE, ANY, ANY, ANY, ANY, ANY, ANY_GENERATION, UNKNOWN_8002, false },
};

/* One combination of everything that is looked at. */
struct given {
	enum outcome_kind kind;
	bool resend, duplicate, ended, final, asked, has_code;
	enum generation generation;
};

static const enum outcome_kind kinds[] = { OUT_ACCEPTED, OUT_REJECTED, OUT_DEFERRED, OUT_UNSURE };
static const int32_t generations[] = {
	[FIRST] = 0,
	[BEFORE_LAST] = LAST_GENERATION - 1,
	[LAST] = LAST_GENERATION,
};

static bool
fits(enum is wanted, bool has)
{
	return wanted == ANY || (wanted == YES) == has;
}

static size_t
row_of(const struct given *g)
{
	size_t i, found = NELEM(table);

	for (i = 0; i < NELEM(table); i++) {
		if (table[i].kind != g->kind || !fits(table[i].resend, g->resend) ||
		    !fits(table[i].duplicate, g->duplicate) || !fits(table[i].ended, g->ended) ||
		    !fits(table[i].final, g->final) || !fits(table[i].asked, g->asked))
			continue;
		if (table[i].generation == ANY_GENERATION ||
		    (table[i].generation == NOT_LAST && g->generation != LAST) ||
		    table[i].generation == g->generation) {
			if (found != NELEM(table))
				fail_msg("rows %zu and %zu of the table overlap", found, i);
			found = i;
		}
	}
	if (found == NELEM(table))
		fail_msg("kind %d has no row", (int)g->kind);
	return found;
}

static void
decide(const struct given *g, struct journal_mark *mark, struct change *c)
{
	struct outcome o = { .kind = g->kind,
			     .duplicate = g->duplicate,
			     .is_final = g->final,
			     .certainly_ended = g->ended,
			     .retry_after_ms = g->asked ? ASKED_MS : 0,
			     .parts = 3,
			     .provider_code = "EC_X",
			     .provider_id = "id-1",
			     .text = "why" };

	if (g->has_code)
		snprintf(o.code, sizeof o.code, "7099");
	*mark = (struct journal_mark){ .msg_id = 17,
				       .fence = 5,
				       .leg = 1,
				       .generation = generations[g->generation],
				       .try_no = 4,
				       .is_resend = g->resend,
				       .client_key = KEY,
				       .channel = "infobip" };
	memset(c, 0, sizeof *c);
	pipeline_decide(mark, &o, LOOK_MS, c);
}

static bool
is_result(const struct change *c, enum result_class class, const char *code)
{
	/* Evidence: taken under any fence. */
	return c->kind == CHANGE_RESULT && c->class == class && c->is_evidence &&
	       strcmp(c->code, code) == 0;
}

static bool
is_expected(const struct change *c, const struct given *g, enum expected expected)
{
	switch (expected) {
	case ACCEPT:
		return c->kind == CHANGE_ACCEPT;
	case OK_0000:
		return is_result(c, RESULT_OK, "0000");
	case FAIL_CODE:
		return is_result(c, RESULT_FAIL, g->has_code ? "7099" : "9099");
	case UNKNOWN_8002:
		return c->kind == CHANGE_UNKNOWN && c->delay_ms == LOOK_MS && !c->is_evidence &&
		       strcmp(c->code, "8002") == 0;
	case RELEASE:
		return c->kind == CHANGE_RELEASE && !c->is_evidence;
	case DEFER_ASKED:
		return c->kind == CHANGE_DEFER && c->delay_ms == ASKED_MS && !c->is_evidence;
	case DEFER_BACKOFF:
		return c->kind == CHANGE_DEFER && !c->is_evidence &&
		       c->delay_ms == (g->generation == FIRST ? 1000 : 512000);
	}
	return false;
}

static void
each_outcome_makes_what_the_table_says(void **state)
{
	bool used[NELEM(table)] = { false };
	size_t i, row, bits;

	(void)state;
	for (i = 0; i < NELEM(kinds) * NELEM(generations) * 64; i++) {
		struct journal_mark mark;
		struct change c;
		struct given g;

		bits = i / NELEM(kinds) / NELEM(generations);
		g = (struct given){ .kind = kinds[i % NELEM(kinds)],
				    .generation = (enum generation)(i / NELEM(kinds) %
								    NELEM(generations)),
				    .resend = bits & 1,
				    .duplicate = bits & 2,
				    .ended = bits & 4,
				    .final = bits & 8,
				    .asked = bits & 16,
				    .has_code = bits & 32 };
		row = row_of(&g);
		used[row] = true;
		decide(&g, &mark, &c);
		if (!is_expected(&c, &g, table[row].expected) ||
		    c.new_generation != table[row].new_generation)
			fail_msg("row %zu: kind=%d resend=%d duplicate=%d ended=%d final=%d "
				 "asked=%d "
				 "generation=%d became change %d class %d code \"%s\" delay %ld",
				 row, (int)g.kind, g.resend, g.duplicate, g.ended, g.final, g.asked,
				 (int)mark.generation, (int)c.kind, (int)c.class, c.code,
				 (long)c.delay_ms);
		/* Whose change it is, and what the provider said, comes along with every one. */
		assert_true(c.msg_id == 17 && c.fence == 5 && c.leg == 1 && c.try_no == 4);
		assert_ptr_equal(c.client_key, mark.client_key);
		assert_int_equal(c.new_type, MSG_TYPE_NONE);
		assert_int_equal(c.parts, 3);
		assert_string_equal(c.channel, "infobip");
		assert_string_equal(c.provider_id, "id-1");
		assert_string_equal(c.provider_code, "EC_X");
		assert_string_equal(c.text, "why");
	}
	for (i = 0; i < NELEM(table); i++)
		assert_true(used[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_outcome_makes_what_the_table_says),
	};

	/* Each "duplicate" to a first attempt is an alarm in the log. */
	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
