/* The map of provider codes: reading, judging, and that the shipped file says what the manual
 * promises. */
#include "config.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "agent/codemap.h"
#include "agent/result.h"

static struct codemap *
shipped(void)
{
	struct codemap *c;
	struct err e;

	assert_int_equal(codemap_builtin("infobip", &c, &e), RC_OK);
	return c;
}

static void
shipped_codes_mean_what_they_should(void **state)
{
	static const struct {
		int group, status, error;
		enum code_class class;
		const char *code;
		bool mapped;
	} cases[] = {
		{ 3, 5, 0, CODE_OK, "0000", true },
		{ 3, 2, 0, CODE_OK, "0000", true },
		{ 1, 26, 0, CODE_PENDING, "", true },
		{ 1, 7, 0, CODE_PENDING, "", true },
		{ 2, 9, 27, CODE_FAIL, "4003", true },
		{ 2, 9, 1, CODE_FAIL, "4001", true },
		{ 2, 9, 0, CODE_FAIL, "4010", true },
		{ 2, 9, 31337, CODE_FAIL, "4010", true },
		{ 4, 15, 4101, CODE_FAIL, "4011", true },
		{ 4, 29, 0, CODE_PENDING, "8003", true },
		{ 5, 6, 0, CODE_FAIL, "7099", true },
		{ 5, 10, 27, CODE_FAIL, "4007", true },
		{ 5, 12, 0, CODE_STOP, "7003", true },
		{ 5, 17, 0, CODE_STOP, "7003", true },
		{ 5, 19, 0, CODE_ROUTE, "7004", true },
		{ 5, 20, 0, CODE_FAIL, "6005", true },
		{ 5, 21, 0, CODE_AGAIN, "7006", true },
		{ 5, 100, 0, CODE_AGAIN, "7006", true },
		{ 5, 23, 0, CODE_DUPLICATE, "7007", true },
		/* not in the file: class by the group */
		{ 2, 777, 0, CODE_FAIL, "9099", false },
		{ 2, 777, 27, CODE_FAIL, "4003", true },
		{ 5, 777, 0, CODE_FAIL, "9099", false },
		{ 4, 777, 0, CODE_FAIL, "9099", false },
		{ 3, 777, 0, CODE_OK, "0000", false },
		{ 1, 777, 0, CODE_PENDING, "", false },
		/* a group that nobody knows is not called failed on a guess */
		{ 9, 777, 27, CODE_PENDING, "", false },
	};
	struct codemap *c = shipped();

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct code_verdict v;

		codemap_judge(c, "sms", cases[i].group, cases[i].status, cases[i].error, &v);
		if (v.class != cases[i].class || strcmp(v.code, cases[i].code) != 0 ||
		    v.mapped != cases[i].mapped)
			fail_msg("group %d status %d error %d: class %d code \"%s\" mapped %d",
				 cases[i].group, cases[i].status, cases[i].error, (int)v.class,
				 v.code, v.mapped);
	}
	codemap_free(c);
}

static void
every_shipped_code_is_one_of_ours(void **state)
{
	struct codemap *c = shipped();

	(void)state;
	for (int group = 0; group <= 6; group++)
		for (int status = 0; status < 200; status++)
			for (int error = 0; error < 6000; error += error < 700 ? 1 : 7) {
				struct code_verdict v;

				codemap_judge(c, "sms", group, status, error, &v);
				if (v.code[0] != '\0' && result_find(v.code) == NULL)
					fail_msg("status %d error %d: %s is no code of ours",
						 status, error, v.code);
				if (v.class != CODE_PENDING && v.code[0] == '\0')
					fail_msg("status %d error %d is final without a code",
						 status, error);
				if (v.class == CODE_FAIL && v.code[0] == '8')
					fail_msg("status %d error %d fails with an unknown outcome",
						 status, error);
			}
	codemap_free(c);
}

static void
carriers_have_names(void **state)
{
	struct codemap *c = shipped();

	(void)state;
	assert_string_equal(codemap_network(c, "sms", "45005"), "SKT");
	assert_string_equal(codemap_network(c, "sms", "45008"), "KT");
	assert_null(codemap_network(c, "sms", "26201"));
	assert_null(codemap_network(c, "sms", ""));
	assert_null(codemap_network(c, "sms", "45005x"));
	assert_null(codemap_network(c, "mms", "45005"));
	codemap_free(c);
}

static void
bad_lines_are_named(void **state)
{
	static const struct {
		const char *text;
		const char *says;
	} cases[] = {
		{ "sms status 5 0000 ok\nsms status x 0000 ok", "t:2: the id is neither" },
		{ "sms status 5", "t:1: a row has" },
		{ "sms state 5 0000 ok", "t:1: the kind is none" },
		{ "sms status 5 00000 ok", "t:1: the code is neither" },
		{ "sms status 5 abcd ok", "t:1: the code is neither" },
		{ "sms status 5 0000 good", "t:1: the class is none" },
		{ "sms status 9-5 0000 ok", "t:1: the id is neither" },
		{ "sms error 5 - fail", "t:1: an error row needs a code" },
		{ "sms network 45005 - -", "t:1: a network row ends" },
		{ "sms network 45005 - - a name that is too long", "t:1: a network row ends" },
		{ "averyveryverylongfamily status 5 0000 ok", "t:1: the family" },
		{ "# nothing\n\n", "t: no rows" },
		{ "sms status 5-9 0000 ok\nsms status 7 0000 ok", "t: two rows for sms status 7" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct codemap *c;
		struct err e;

		assert_int_equal(codemap_parse("t", cases[i].text, strlen(cases[i].text), &c, &e),
				 RC_CONFIG);
		assert_null(c);
		if (strncmp(e.text, cases[i].says, strlen(cases[i].says)) != 0)
			fail_msg("case %zu says: %s", i, e.text);
	}
}

static void
a_file_of_ones_own_is_read(void **state)
{
	char path[] = "/tmp/codemap-XXXXXX";
	int fd = mkstemp(path);
	struct codemap *c;
	struct code_verdict v;
	struct err e;

	(void)state;
	assert_true(fd >= 0);
	assert_true(write(fd, "sms status 9 4001 fail MINE\r\nsms group 2 7099 fail", 50) == 50);
	close(fd);
	assert_int_equal(codemap_read(path, &c, &e), RC_OK);
	codemap_judge(c, "sms", 2, 9, 27, &v);
	assert_string_equal(v.code, "4001");
	codemap_free(c);
	unlink(path);
	assert_int_equal(codemap_read(path, &c, &e), RC_CONFIG);
	assert_non_null(strstr(e.text, path));
	assert_int_equal(codemap_builtin("nobody", &c, &e), RC_BUG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shipped_codes_mean_what_they_should),
		cmocka_unit_test(every_shipped_code_is_one_of_ours),
		cmocka_unit_test(carriers_have_names),
		cmocka_unit_test(bad_lines_are_named),
		cmocka_unit_test(a_file_of_ones_own_is_read),
	};

	return cmocka_run_group_tests_name("codemap", tests, NULL, NULL);
}
