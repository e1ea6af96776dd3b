/* The vectors were computed with Python's hashlib and integers, not with this program. */
#include "config.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>
#include "agent/key.h"
#include "agent/sha256.h"

static uint64_t seed;

static uint64_t
next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static const struct {
	struct key_parts parts;
	const char *key;
} vectors[] = {
	{ { 1, 0, 0, 0, 0, 0 }, "200000000000000000000000000000" },
	{ { 1, 0, 1, 0, 0, 1 }, "200000000000000000010000000001" },
	{ { 1, UINT32_MAX, INT64_MAX, 15, 63, 0xffffffffff }, "3zzzzzzqzzzzzzzzzzzzzzzzzzzzzz" },
	{ { 1, 0x12345678, -1, 2, 5, 0xabcdef0123 }, "24hmaswfzzzzzzzzzzzz45nf6yy093" },
	{ { 1, 0xdeadbeef, 1234567890123, 1, 3, 0x59584c250a }, "3qndqvqg00013xrzp16b23b5c4r98a" },
	{ { 1, 7, INT64_MIN, 0, 0, 0 }, "2000003r0000000000000000000000" },
};

static void
assert_parts(const struct key_parts *a, const struct key_parts *b)
{
	assert_int_equal(a->version, b->version);
	assert_int_equal(a->installation, b->installation);
	assert_true(a->msg_id == b->msg_id);
	assert_int_equal(a->leg, b->leg);
	assert_int_equal(a->generation, b->generation);
	assert_true(a->fingerprint == b->fingerprint);
}

static void
key_is_the_number_in_base32(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
		char key[CLIENT_KEY_LEN + 1];
		struct key_parts back;

		key_encode(&vectors[i].parts, key);
		assert_string_equal(key, vectors[i].key);
		assert_true(key_decode(key, strlen(key), &back));
		assert_parts(&back, &vectors[i].parts);
	}
}

static void
every_key_reads_back(void **state)
{
	(void)state;
	for (int i = 0; i < 100000; i++) {
		struct key_parts parts = {
			.version = KEY_VERSION,
			.installation = (uint32_t)next_random(),
			.msg_id = (int64_t)next_random(),
			.leg = next_random() % (KEY_LEG_MAX + 1),
			.generation = next_random() % (KEY_GENERATION_MAX + 1),
			.fingerprint = next_random() & 0xffffffffff,
		};
		struct key_parts back;
		char key[CLIENT_KEY_LEN + 1], again[CLIENT_KEY_LEN + 1];

		key_encode(&parts, key);
		assert_true(key_decode(key, CLIENT_KEY_LEN, &back));
		assert_parts(&back, &parts);
		key_encode(&back, again);
		assert_string_equal(again, key);
	}
}

/* A key that repeats is answered with "duplicate" at worst; one that wraps would be another
 * attempt's. */
static void
too_large_parts_stay_at_their_end(void **state)
{
	struct key_parts parts = { 1, 1, 1, KEY_LEG_MAX + 1, KEY_GENERATION_MAX + 7, 0 }, back;
	char key[CLIENT_KEY_LEN + 1];

	(void)state;
	key_encode(&parts, key);
	assert_true(key_decode(key, CLIENT_KEY_LEN, &back));
	assert_int_equal(back.leg, KEY_LEG_MAX);
	assert_int_equal(back.generation, KEY_GENERATION_MAX);
}

static void
foreign_ids_are_not_ours(void **state)
{
	static const struct {
		const char *p;
		size_t n;
	} foreign[] = {
		{ NULL, 0 },
		{ "", 0 },
		{ "2000000000000000000000000000000", 31 },
		{ "20000000000000000000000000000", 29 },
		{ "400000000000000000000000000000", 30 }, /* version 2 */
		{ "000000000000000000000000000000", 30 }, /* version 0 */
		{ "24HMASWFZZZZZZZZZZZZ45NF6YY093", 30 },
		{ "24hmaswfzzzzzzzzzzzz45nf6yy09i", 30 },
		{ "24hmaswfzzzzzzzzzzzz45nf6yy09l", 30 },
		{ "24hmaswfzzzzzzzzzzzz45nf6yy09o", 30 },
		{ "24hmaswfzzzzzzzzzzzz45nf6yy09u", 30 },
		{ "24hmaswfzzzzzzzzzz-z45nf6yy093", 30 },
		{ "24hmaswfzzzzzzz\0zzzz45nf6yy093", 30 },
		{ "24hmaswfzzzzzzzzzzzz45nf6yy09\xc3", 30 },
	};
	struct key_parts parts;

	(void)state;
	for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++)
		assert_false(key_decode(foreign[i].p, foreign[i].n, &parts));
}

static void
fingerprint_is_of_all_three_with_their_lengths(void **state)
{
	static const char at[] = "2026-01-02 03:04:05.678", hello[] = "안녕하세요",
			  moved[] = "8안녕하세요";

	(void)state;
	assert_true(key_fingerprint("", "", 0, "", 0) == 0x9d908ecfb6);
	assert_true(key_fingerprint(NULL, NULL, 0, NULL, 0) == 0x9d908ecfb6);
	assert_true(key_fingerprint(at, "010-1234-5678", 13, hello, strlen(hello)) == 0x59584c250a);
	assert_true(key_fingerprint(at, "010-1234-567", 12, moved, strlen(moved)) == 0x4d79739e76);
	assert_true(key_fingerprint("x", "\0", 1, "\xff\0a", 3) == 0xc94da54791);
}

/* FIPS 180-4, one block, in one piece and in two. */
static void
sha256_is_the_standard_one(void **state)
{
	static const unsigned char abc[4] = { 0xba, 0x78, 0x16, 0xbf };
	const struct sha256_piece whole[] = { { "abc", 3 } },
				  cut[] = { { "a", 1 }, { NULL, 0 }, { "bc", 2 } };
	unsigned char a[SHA256_BYTES], b[SHA256_BYTES];

	(void)state;
	sha256(whole, 1, a);
	sha256(cut, 3, b);
	assert_memory_equal(a, abc, sizeof abc);
	assert_memory_equal(a, b, sizeof a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(key_is_the_number_in_base32),
		cmocka_unit_test(every_key_reads_back),
		cmocka_unit_test(too_large_parts_stay_at_their_end),
		cmocka_unit_test(foreign_ids_are_not_ours),
		cmocka_unit_test(fingerprint_is_of_all_three_with_their_lengths),
		cmocka_unit_test(sha256_is_the_standard_one),
	};
	const char *given = getenv("MTRELAY_SEED");

	seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL) | 1;
	printf("# MTRELAY_SEED=%llu\n", (unsigned long long)seed);
	return cmocka_run_group_tests_name("key", tests, NULL, NULL);
}
