#include "config.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "tests/unit/unit.h"
#include "agent/clock.h"
#include "agent/notify.h"

static char received[512];

/* A socket as the service manager has it; name as in NOTIFY_SOCKET. */
static int
listen_at(const char *name)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	size_t n = strlen(name);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	memcpy(a.sun_path, name, n);
	if (name[0] == '@')
		a.sun_path[0] = '\0';
	assert_int_equal(
		bind(fd, (struct sockaddr *)&a,
		     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (name[0] != '@'))),
		0);
	return fd;
}

static const char *
receive(int fd)
{
	ssize_t n = recv(fd, received, sizeof received - 1, MSG_DONTWAIT);

	assert_true(n > 0);
	received[n] = '\0';
	return received;
}

static void
all_messages_arrive(const char *name)
{
	struct err e;
	int fd = listen_at(name);

	setenv("NOTIFY_SOCKET", name, 1);
	assert_int_equal(notify_open(&e), RC_OK);
	assert_null(getenv("NOTIFY_SOCKET"));
	notify_ready();
	assert_string_equal(receive(fd), "READY=1");
	clock_fake_set(12345);
	notify_reloading();
	clock_fake_set(-1);
	assert_string_equal(receive(fd), "RELOADING=1\nMONOTONIC_USEC=12345000");
	notify_stopping();
	assert_string_equal(receive(fd), "STOPPING=1");
	notify_status("%d rows\nREADY=1", 3);
	assert_string_equal(receive(fd), "STATUS=3 rows READY=1");
	notify_watchdog();
	assert_string_equal(receive(fd), "WATCHDOG=1");
	notify_extend(1500);
	assert_string_equal(receive(fd), "EXTEND_TIMEOUT_USEC=1500000");
	close(fd);
	notify_close();
	notify_ready(); /* no socket: nothing happens */
}

static void
messages_reach_a_socket_in_the_file_system(void **state)
{
	char path[64] = "/tmp/mtrelay-notify-XXXXXX";
	char name[96];

	(void)state;
	assert_non_null(mkdtemp(path));
	snprintf(name, sizeof name, "%s/notify", path);
	all_messages_arrive(name);
	unlink(name);
	rmdir(path);
}

static void
messages_reach_an_abstract_socket(void **state)
{
	char name[64];

	(void)state;
	snprintf(name, sizeof name, "@mtrelay-notify-%ld", (long)getpid());
	all_messages_arrive(name);
}

static void
without_a_manager_nothing_happens(void **state)
{
	struct err e;

	(void)state;
	unsetenv("NOTIFY_SOCKET");
	setenv("WATCHDOG_USEC", "1000000", 1);
	assert_int_equal(notify_open(&e), RC_OK);
	assert_int_equal(notify_watchdog_ms(), 0);
	notify_ready();
	notify_close();
}

static void
the_watchdog_is_fed_twice_in_its_time_if_it_is_ours(void **state)
{
	char pid[32];
	struct err e;

	(void)state;
	setenv("NOTIFY_SOCKET", "@mtrelay-nobody-listens", 1);
	setenv("WATCHDOG_USEC", "30000000", 1);
	snprintf(pid, sizeof pid, "%ld", (long)getpid());
	setenv("WATCHDOG_PID", pid, 1);
	assert_int_equal(notify_open(&e), RC_OK);
	assert_int_equal(notify_watchdog_ms(), 15000);
	assert_null(getenv("WATCHDOG_USEC"));
	notify_ready(); /* nobody there: logged, no more */
	setenv("NOTIFY_SOCKET", "@mtrelay-nobody-listens", 1);
	setenv("WATCHDOG_USEC", "30000000", 1);
	setenv("WATCHDOG_PID", "1", 1);
	assert_int_equal(notify_open(&e), RC_OK);
	assert_int_equal(notify_watchdog_ms(), 0);
	notify_close();
}

static void
wrong_variables_are_named(void **state)
{
	char name[300];
	struct err e;

	(void)state;
	setenv("NOTIFY_SOCKET", "relative", 1);
	assert_int_equal(notify_open(&e), RC_CONFIG);
	assert_non_null(strstr(e.text, "NOTIFY_SOCKET=relative"));
	memset(name, 'a', sizeof name);
	name[0] = '/';
	name[sizeof name - 1] = '\0';
	setenv("NOTIFY_SOCKET", name, 1);
	assert_int_equal(notify_open(&e), RC_CONFIG);
	setenv("NOTIFY_SOCKET", "@x", 1);
	setenv("WATCHDOG_USEC", "soon", 1);
	assert_int_equal(notify_open(&e), RC_CONFIG);
	assert_non_null(strstr(e.text, "WATCHDOG_USEC=soon"));
	notify_ready();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_reach_a_socket_in_the_file_system),
		cmocka_unit_test(messages_reach_an_abstract_socket),
		cmocka_unit_test(without_a_manager_nothing_happens),
		cmocka_unit_test(the_watchdog_is_fed_twice_in_its_time_if_it_is_ours),
		cmocka_unit_test(wrong_variables_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
