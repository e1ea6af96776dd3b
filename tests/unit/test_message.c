#include "config.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "agent/batch.h"
#include "agent/message.h"
#include "agent/result.h"

static void
types_are_read_trimmed_and_without_case(void **state)
{
	static const struct {
		const char *text;
		enum msg_type type;
	} cases[] = {
		{ "", MSG_TYPE_AUTO },	   { "  \r\n", MSG_TYPE_AUTO }, { "AUTO", MSG_TYPE_AUTO },
		{ "sms", MSG_TYPE_SMS },   { " Lms\t", MSG_TYPE_LMS },	{ "MMS    ", MSG_TYPE_MMS },
		{ "at", MSG_TYPE_AT },	   { "BM", MSG_TYPE_BM },	{ "SMSS", MSG_TYPE_NONE },
		{ "SM", MSG_TYPE_NONE },   { "0", MSG_TYPE_NONE },	{ "NONE", MSG_TYPE_NONE },
		{ "S MS", MSG_TYPE_NONE }, { "ＳＭＳ", MSG_TYPE_NONE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(msg_type_parse(cases[i].text, strlen(cases[i].text)),
				 cases[i].type);
	assert_int_equal(msg_type_parse(NULL, 0), MSG_TYPE_AUTO);
	assert_int_equal(msg_type_parse("SMS\0x", 4), MSG_TYPE_NONE);
	for (int t = 0; t < MSG_TYPE_COUNT; t++) {
		const char *name = msg_type_name((enum msg_type)t);

		assert_int_equal(msg_type_parse(name, strlen(name)), t);
	}
	assert_string_equal(msg_type_name(MSG_TYPE_NONE), "");
}

static void
a_batch_lives_as_long_as_its_last_message(void **state)
{
	struct batch *b = batch_new(1 << 20);
	struct message *m[3];
	char *text;

	(void)state;
	for (int i = 0; i < 3; i++) {
		m[i] = batch_message(b);
		assert_non_null(m[i]);
		assert_int_equal(m[i]->where, AT_NONE);
		assert_int_equal(m[i]->type, MSG_TYPE_AUTO);
		assert_null(m[i]->body.p);
	}
	text = batch_text(b, "hello", 5);
	assert_string_equal(text, "hello");
	assert_string_equal(batch_text(b, NULL, 0), "");
	assert_memory_equal(batch_text(b, "a\0b", 3), "a\0b", 4);
	assert_int_equal(batch_count(b), 3);
	batch_let_go(m[1]);
	batch_let_go(m[0]);
	assert_int_equal(batch_count(b), 1);
	assert_string_equal(text, "hello");
	batch_let_go(m[2]); /* the sanitizer sees what would be left */
	batch_let_go(NULL);
	batch_free(NULL);
}

static void
a_batch_has_an_end(void **state)
{
	struct batch *b = batch_new(8192);
	size_t n = 0;

	(void)state;
	while (batch_message(b) != NULL)
		n++;
	assert_in_range(n, 1, 8192 / sizeof(struct message));
	assert_int_equal(batch_count(b), n);
	assert_null(batch_text(b, "", SIZE_MAX));
	/* What is derived has its own limits and must not fail because the rows filled the
	 * batch. */
	assert_non_null(batch_derive(b, 20000));
	batch_free(b);
}

static void
what_a_batch_holds_is_counted_until_it_is_freed(void **state)
{
	struct batch *one = batch_new(1 << 20), *two = batch_new(1 << 20);
	struct message *m = batch_message(one);

	(void)state;
	assert_non_null(batch_message(two));
	assert_non_null(batch_text(two, "0123456789", 10));
	assert_true(batch_bytes(one) >= sizeof *m);
	assert_true(batch_bytes(two) > batch_bytes(one));
	assert_int_equal(batch_held_bytes(), 0);
	batch_hold(one);
	batch_hold(one);
	assert_int_equal(batch_held_bytes(), batch_bytes(one));
	batch_hold(two);
	assert_int_equal(batch_held_bytes(), batch_bytes(one) + batch_bytes(two));
	batch_let_go(m);
	assert_int_equal(batch_held_bytes(), batch_bytes(two));
	batch_free(two);
	assert_int_equal(batch_held_bytes(), 0);
}

static void
every_message_is_at_one_place(void **state)
{
	struct batch *b = batch_new(1 << 16);
	struct message *m = batch_message(b), *other = batch_message(b);

	(void)state;
	msg_move(m, AT_NONE, AT_PIPELINE);
	msg_move(other, AT_NONE, AT_PIPELINE);
	assert_int_equal(msg_count(AT_PIPELINE), 2);
	msg_move(m, AT_PIPELINE, AT_CHANNEL);
	assert_int_equal(msg_count(AT_PIPELINE), 1);
	assert_int_equal(msg_count(AT_CHANNEL), 1);
	msg_move(m, AT_CHANNEL, AT_SETTLE);
	msg_move(other, AT_PIPELINE, AT_SETTLE);
	assert_int_equal(msg_count(AT_SETTLE), 2);
	msg_move(m, AT_SETTLE, AT_NONE);
	msg_move(other, AT_SETTLE, AT_NONE);
	assert_int_equal(msg_count(AT_PIPELINE) + msg_count(AT_CHANNEL) + msg_count(AT_SETTLE), 0);
	batch_let_go(m);
	batch_let_go(other);
}

/* What f does ends the process by abort(). */
static void
assert_aborts(void (*f)(struct message *m))
{
	struct batch *b = batch_new(1 << 16);
	struct message *m = batch_message(b);
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		const struct rlimit no_core = { 0, 0 };

		setrlimit(RLIMIT_CORE, &no_core);
		signal(SIGABRT, SIG_DFL);
		close(STDERR_FILENO);
		f(m);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
	batch_let_go(m);
}

static void
move_from_elsewhere(struct message *m)
{
	msg_move(m, AT_CHANNEL, AT_SETTLE);
}

static void
let_go_in_the_channel(struct message *m)
{
	msg_move(m, AT_NONE, AT_CHANNEL);
	batch_let_go(m);
}

static void
let_go_twice(struct message *m)
{
	assert_non_null(batch_message(m->batch));
	batch_let_go(m);
	batch_let_go(m);
}

static void
a_message_that_is_elsewhere_ends_the_process(void **state)
{
	(void)state;
	assert_aborts(move_from_elsewhere);
	assert_aborts(let_go_in_the_channel);
	assert_aborts(let_go_twice);
}

static void
result_codes_are_in_order_and_complete(void **state)
{
	const struct result *r;
	size_t n;

	(void)state;
	for (n = 0; (r = result_at(n)) != NULL; n++) {
		assert_int_equal(strlen(r->code), RESULT_CODE_LEN);
		assert_int_equal(strspn(r->code, "0123456789"), RESULT_CODE_LEN);
		if (n > 0)
			assert_true(strcmp(result_at(n - 1)->code, r->code) < 0);
		assert_ptr_equal(result_find(r->code), r);
		assert_string_equal(result_text(r->code), r->name_en);
		assert_in_range(strlen(r->name_en), 1, 60);
		assert_in_range(strlen(r->name_ko), 1, 60);
		/* The group tells the class. */
		assert_int_equal(r->class, r->code[0] == '0'   ? RESULT_OK
					   : r->code[0] == '8' ? RESULT_UNKNOWN
							       : RESULT_FAIL);
		assert_null(strchr("1", r->code[0]));
	}
	assert_true(n > 60);
	assert_null(result_find("2999"));
	assert_null(result_find(""));
	assert_null(result_find(NULL));
	assert_string_equal(result_text("2999"), "unknown code");
	assert_string_equal(result_class_name(RESULT_OK), "OK");
	assert_string_equal(result_class_name(RESULT_FAIL), "FAIL");
	assert_string_equal(result_class_name(RESULT_UNKNOWN), "UNKNOWN");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(types_are_read_trimmed_and_without_case),
		cmocka_unit_test(a_batch_lives_as_long_as_its_last_message),
		cmocka_unit_test(a_batch_has_an_end),
		cmocka_unit_test(what_a_batch_holds_is_counted_until_it_is_freed),
		cmocka_unit_test(every_message_is_at_one_place),
		cmocka_unit_test(a_message_that_is_elsewhere_ends_the_process),
		cmocka_unit_test(result_codes_are_in_order_and_complete),
	};

	return cmocka_run_group_tests_name("message", tests, NULL, NULL);
}
