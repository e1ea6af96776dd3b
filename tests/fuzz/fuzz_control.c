/* Bytes on the control socket, in up to four pieces parted by 0x01: whatever comes, the answer is
 * one line with one object, or the end; and nothing is left behind. The agent behind it is a stub.
 */
#include "config.h"
#include <event2/event.h>
#include <fcntl.h>
#include <jansson.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "agent/control.h"
#include "agent/log.h"
#include "agent/relay.h"
#include "tests/fuzz/fuzz.h"

static struct event_base *base;
static struct control *control;
static struct sockaddr_un address = { .sun_family = AF_UNIX };

json_t *
relay_status(const struct relay *r)
{
	(void)r;
	return json_pack("{s:s, s:i}", "agent", "fuzz", "waiting", 1);
}

json_t *
relay_stats(const struct relay *r)
{
	(void)r;
	return json_pack("{s:i}", "claimed", 1);
}

enum rc
relay_pause(struct relay *r, const char *channel, bool is_paused, struct err *e)
{
	(void)r;
	(void)is_paused;
	if (channel == NULL || strcmp(channel, "infobip") == 0)
		return RC_OK;
	return err_set(e, RC_CONFIG, 0, "fuzz", "there is no channel \"%s\"", channel);
}

void
relay_drain(struct relay *r)
{
	(void)r;
}

bool
relay_reload(struct relay *r, char *text, size_t size)
{
	(void)r;
	snprintf(text, size, "mtrelay.conf:1: agent.id = \"\xff\xc3\" is out of place");
	return false;
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct err e;

	(void)argc;
	(void)argv;
	base = event_base_new();
	must(base != NULL);
	must((size_t)snprintf(address.sun_path, sizeof address.sun_path, "%s/s", own_folder()) <
	     sizeof address.sun_path);
	must(control_open(NULL, base, address.sun_path, &control, &e) == RC_OK);
	return 0;
}

static void
turn(void)
{
	for (int i = 0; i < 4; i++)
		(void)event_base_loop(base, EVLOOP_NONBLOCK);
}

static void
check(const char *p, size_t n)
{
	json_t *root;

	if (n == 0)
		return; /* it ended without a whole request */
	must(p[n - 1] == '\n' && memchr(p, '\n', n) == p + n - 1);
	root = json_loadb(p, n, 0, NULL);
	must(json_is_object(root) && json_is_boolean(json_object_get(root, "ok")));
	if (!json_is_true(json_object_get(root, "ok"))) {
		const char *why = json_string_value(json_object_get(root, "error"));

		must(why != NULL && why[0] != '\0' && strcmp(why, "out of memory") != 0);
	}
	json_decref(root);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = { data, size };
	static char answer[65536];
	size_t have = 0;
	ssize_t n = 0;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	must(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
	must(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
	for (int i = 0; i < 4 && in.n > 0; i++) {
		struct bytes part = take_until(&in, 1);

		(void)send(fd, part.p, part.n, MSG_NOSIGNAL);
		turn();
	}
	shutdown(fd, SHUT_WR);
	for (int i = 0; i < 1000; i++) {
		turn();
		n = recv(fd, answer + have, sizeof answer - have, 0);
		if (n == 0)
			break;
		if (n > 0)
			have += (size_t)n;
	}
	must(n == 0 || have > 0 || size > 60000 || n < 0);
	must(n == 0 || n < 0);
	check(answer, have);
	close(fd);
	turn();
	return 0;
}
